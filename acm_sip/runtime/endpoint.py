"""The SIP endpoint: sockets and one timer around the pure transaction layer.

Everything here runs on the event loop. Received messages go into the layer, what it wants done
is done at once, and requests and results go to one transaction user each. Nothing here knows
XML, a store or a procedure.

A request that is larger than a datagram may be leaves over TCP (RFC 3261 18.1.1).
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol

from acm_sip.capture.recorder import Recorder
from acm_sip.errors import AcmSipError, ConfigurationError, RemoteProtocolError
from acm_sip.runtime.clock import Clock
from acm_sip.runtime.connections import Connections
from acm_sip.runtime.flow_names import format_hostport
from acm_sip.runtime.log import get_logger
from acm_sip.runtime.tcp import TcpConnection
from acm_sip.runtime.udp import UdpSocket
from acm_sip.sip.framing import KeepAlive, Limits, MalformedMessage
from acm_sip.sip.message import Message, Request, Response, create_response
from acm_sip.sip.parser import parse_datagram
from acm_sip.sip.routing import Flow, Transport, annotate_received, requires_reliable_transport
from acm_sip.sip.timers import TimerValues
from acm_sip.sip.transaction.key import ClientTransactionKey, ServerTransactionKey
from acm_sip.sip.transaction.layer import TransactionLayer
from acm_sip.sip.transaction.outputs import (
    Discard,
    Output,
    PassRequest,
    PassResponse,
    ReportTimeout,
    ReportTransportError,
    SendRequest,
    SendResponse,
)

__all__ = ["ListenAddress", "Peer", "SendResult", "SipEndpoint", "TransactionUser"]

_MAGIC_COOKIE: Final = "z9hG4bK"  # RFC 3261 8.1.1.7

log = get_logger("acm_sip.sip")


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """Where to listen; port 0 lets the system choose."""

    transport: Transport
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.transport.lower()}:{format_hostport(self.host, self.port)}"


@dataclass(frozen=True, slots=True)
class Peer:
    """A next hop by address.

    :param accepts_large_datagrams: large requests may go there over UDP (configured).
    """

    transport: Transport
    host: str
    port: int
    accepts_large_datagrams: bool = False


@dataclass(frozen=True, slots=True)
class SendResult:
    """How a client transaction ended (RFC 3261 8.1.3.1).

    :param status_code: final response, 408 for none in time, 503 for a transport error.
    :param was_sent: False where not one octet can have reached the peer.
    """

    status_code: int
    text: str
    was_sent: bool
    response: Response | None = None


class TransactionUser(Protocol):
    """Who is told of requests and of lost connections."""

    def request_received(
        self, key: ServerTransactionKey | None, request: Request, flow: Flow
    ) -> None:
        """Take a new request, exactly once per client transaction."""
        ...

    def flow_closed(self, flow: Flow) -> None:
        """Learn that a connection is gone."""
        ...


class SipEndpoint:
    """All SIP of one process.

    :param listen: UDP and TCP addresses.
    :param clock: UTC for captures; the layer itself runs on the loop's monotonic time.
    :param recorder: where every message is recorded, or None.
    """

    def __init__(
        self,
        listen: Sequence[ListenAddress],
        clock: Clock,
        *,
        recorder: Recorder | None = None,
        timers: TimerValues | None = None,
        limits: Limits | None = None,
        capacity: int = 100_000,
    ) -> None:
        self._listen = tuple(listen)
        self._clock = clock
        self._recorder = recorder
        self._limits = limits or Limits()
        self._layer = TransactionLayer(
            timers, capacity=capacity, tag_secret=secrets.token_bytes(16)
        )
        self._loop: asyncio.AbstractEventLoop
        self._user: TransactionUser
        self._udp: list[UdpSocket] = []
        self._connections: Connections
        self._results: dict[ClientTransactionKey, Callable[[SendResult], None]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self.bound: tuple[ListenAddress, ...] = ()

    async def start(self, user: TransactionUser) -> None:
        """Bind every address.

        :raises ConfigurationError: an address cannot be bound.
        """
        self._loop = asyncio.get_running_loop()
        self._user = user
        self._connections = Connections(self._loop, self, self._limits)
        bound = []
        for address in self._listen:
            try:
                bound.append(await self._bind(address))
            except OSError as error:
                await self.stop(0.0)
                raise ConfigurationError(
                    f"sip.listen: {address}: {error.strerror or error}"
                ) from None
        self.bound = tuple(bound)

    async def _bind(self, address: ListenAddress) -> ListenAddress:
        if address.transport == "UDP":
            udp = await UdpSocket.bind(self._loop, address.host, address.port, self._datagram)
            self._udp.append(udp)
            return ListenAddress("UDP", *udp.local)
        return ListenAddress("TCP", *await self._connections.listen(address.host, address.port))

    async def stop(self, drain_s: float) -> None:
        """Refuse new requests, let what is under way end, close everything.

        :param drain_s: how long to wait for transactions without a final response.
        """
        self._layer.drain()
        end_at = self._loop.time() + drain_s
        # The layer is pure: it has no event to wait for.
        while self._layer.active and self._loop.time() < end_at:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        self._connections.close()
        for udp in self._udp:
            udp.close()
        if self._timer is not None:
            self._timer.cancel()
        await asyncio.sleep(0)

    # Sending

    def respond(
        self,
        key: ServerTransactionKey | None,
        request: Request,
        flow: Flow,
        status_code: int,
        reason_phrase: str = "",
        headers: Iterable[tuple[str, str]] = (),
    ) -> None:
        """Send the final response to a request that was passed on."""
        response = create_response(
            request,
            status_code,
            reason_phrase or None,
            to_tag=self._layer.to_tag(request),
            headers=headers,
        )
        if key is None:
            self._perform(self._layer.respond_stateless(request, response, flow))
        else:
            self._perform(self._layer.respond(key, response, self._loop.time()))

    def send(
        self, request: Request, to: Flow | Peer, on_result: Callable[[SendResult], None]
    ) -> None:
        """Send a request in a client transaction of its own.

        :param request: complete but for its Via.
        :param to: a flow that is open, or a peer by address.
        :param on_result: called once, on the loop.
        """
        if isinstance(to, Flow):
            if to.connection is not None:
                connection = self._connections.get(to.connection)
                if connection is None:
                    on_result(SendResult(430, "Flow Failed", was_sent=False))
                else:
                    self._start(request, connection.flow, on_result)
                return
            to = Peer("UDP", *to.remote)
        if to.transport == "UDP" and not self._is_too_large(request, to):
            self._send_datagram(request, to, on_result)
            return
        self._connections.find_or_open(
            (to.host, to.port), partial(self._start_on_connection, request, on_result)
        )

    def local_address(self, peer: Peer) -> tuple[str, int]:
        """Return the address and port of ours that a peer sees on UDP.

        :raises OSError: no UDP socket of its address family, or no route.
        """
        udp = next((udp for udp in self._udp if udp.reaches(peer.host)), None)
        if udp is None:
            raise OSError(f"no UDP socket reaches {peer.host}")
        return udp.flow_to((peer.host, peer.port)).local

    def ping(self, flow: Flow) -> bool:
        """Send the keep-alive of RFC 5626 4.4.1; False when the connection is gone."""
        connection = self._connections.get(flow.connection)
        return connection is not None and connection.write(b"\r\n\r\n")

    def pongs(self, flow: Flow) -> int:
        """Return how many keep-alives were answered on a connection."""
        connection = self._connections.get(flow.connection)
        return 0 if connection is None else connection.pongs

    def close_flow(self, flow: Flow) -> None:
        """Close a connection that does not answer any more."""
        connection = self._connections.get(flow.connection)
        if connection is not None:
            connection.close()

    def connect(self, host: str, port: int, on_done: Callable[[Flow | str], None]) -> None:
        """Open a connection, or find the one that is open; gives its flow, or why there is none."""

        def done(connection: TcpConnection | str) -> None:
            on_done(connection if isinstance(connection, str) else connection.flow)

        self._connections.find_or_open((host, port), done)

    def _is_too_large(self, request: Request, peer: Peer) -> bool:
        if peer.accepts_large_datagrams:
            return False
        # The Via is still to come; 100 octets are more than ours ever has.
        return requires_reliable_transport(len(request.encode()) + 100)  # RFC 3261 18.1.1

    def _send_datagram(
        self, request: Request, peer: Peer, on_result: Callable[[SendResult], None]
    ) -> None:
        udp = next((udp for udp in self._udp if udp.reaches(peer.host)), None)
        if udp is None:
            on_result(SendResult(503, "no UDP socket for this address", was_sent=False))
            return
        try:
            flow = udp.flow_to((peer.host, peer.port))
        except OSError as error:  # no route to the host
            on_result(SendResult(503, error.strerror or str(error), was_sent=False))
            return
        self._start(request, flow, on_result)

    def _start_on_connection(
        self,
        request: Request,
        on_result: Callable[[SendResult], None],
        connection: TcpConnection | str,
    ) -> None:
        if isinstance(connection, str):
            on_result(SendResult(503, connection, was_sent=False))
        else:
            self._start(request, connection.flow, on_result)

    def _start(self, request: Request, flow: Flow, on_result: Callable[[SendResult], None]) -> None:
        branch = _MAGIC_COOKIE + secrets.token_hex(12)
        # RFC 3581 3: rport, so that the answer finds its way through a NAT.
        via = f"SIP/2.0/{flow.transport} {self._sent_by(flow)};branch={branch};rport"
        request.headers.prepend("Via", via)
        try:
            key, outputs = self._layer.send_request(request, flow, self._loop.time())
        except AcmSipError as error:
            on_result(SendResult(503, str(error), was_sent=False))
            return
        self._results[key] = on_result
        self._perform(outputs)

    def _sent_by(self, flow: Flow) -> str:
        """RFC 3261 18.1.1: where a response may reach us when the flow is gone."""
        port = flow.local[1]
        if flow.connection is not None:
            listening = (a.port for a in self.bound if a.transport == flow.transport)
            port = next(listening, port)
        return format_hostport(flow.local[0], port)

    # From the connections

    def octets_received(self, flow: Flow, octets: bytes) -> None:
        """Record octets as they arrived."""
        if self._recorder is not None:
            self._record(flow, octets, self._clock.now(), sent=False)

    def stream_message(self, message: Message | MalformedMessage, flow: Flow) -> None:
        """Handle a message of a stream, or a fault in it."""
        if isinstance(message, MalformedMessage):
            self._malformed(message, flow)
        else:
            self._message(message, flow)

    def connection_closed(self, flow: Flow, reason: str) -> None:
        """Fail what waits on a connection, and tell the user."""
        if self._recorder is not None:
            self._recorder.record_close(self._clock.now(), flow.local, flow.remote, flow.connection)
        self._perform(self._layer.transport_failed(flow, reason, self._loop.time()))
        self._user.flow_closed(flow)

    # Receiving

    def _datagram(self, octets: bytes, flow: Flow) -> None:
        if self._recorder is not None:
            self._record(flow, octets, self._clock.now(), sent=False)
        try:
            message = parse_datagram(octets, self._limits)
        except MalformedMessage as fault:
            self._malformed(fault, flow)
            return
        if not isinstance(message, KeepAlive):
            self._message(message, flow)

    def _message(self, message: Message, flow: Flow) -> None:
        now = self._loop.time()
        try:
            if isinstance(message, Request):
                outputs = self._layer.receive_request(message, flow, now)
            else:
                outputs = self._layer.receive_response(message, flow, now)
        except RemoteProtocolError as error:
            log.warning("message discarded", source=str(flow.remote), reason=error.text)
            return
        self._perform(outputs)

    def _malformed(self, fault: MalformedMessage, flow: Flow) -> None:
        log.warning(
            "malformed message",
            source=format_hostport(*flow.remote),
            transport=flow.transport,
            status_code=fault.status_code,
            reason=fault.text,
        )
        if fault.answer is None:
            return
        try:
            answer = annotate_received(fault.answer, flow)
            self._perform(self._layer.respond_stateless(answer, answer, flow))
        except RemoteProtocolError:
            return  # no way back that could be trusted

    # Doing what the layer wants

    def _perform(self, outputs: Sequence[Output]) -> None:
        for output in outputs:
            self._perform_one(output)
        self._arm_timer()

    def _perform_one(self, output: Output) -> None:
        match output:
            case SendRequest(key, octets, flow):
                if not self._write(flow, octets):
                    self._perform(
                        self._layer.request_send_failed(key, "flow is gone", self._loop.time())
                    )
            case SendResponse():
                self._send_response(output)
            case PassRequest(key, request, flow):
                self._user.request_received(key, request, flow)
            case PassResponse(key, response):
                if response.status_code >= 200:
                    self._settle(key, _result_of(response))
            case ReportTimeout(key):
                self._settle(key, SendResult(408, "no final response in time", was_sent=True))
            case ReportTransportError(key, reason):
                if isinstance(key, ClientTransactionKey):
                    self._settle(key, SendResult(503, reason, was_sent=True))
                else:
                    log.warning("response not delivered", reason=reason)
            case Discard(reason):
                log.debug("message discarded", reason=reason)

    def _settle(self, key: ClientTransactionKey, result: SendResult) -> None:
        on_result = self._results.pop(key, None)
        if on_result is not None:
            on_result(result)

    def _write(self, flow: Flow, octets: bytes) -> bool:
        # Before the sending: what it leads to must not be captured as having happened earlier.
        at = self._clock.now()
        if flow.connection is None:
            udp = next((udp for udp in self._udp if udp.carries(flow)), None)
            is_written = udp is not None and udp.send(octets, flow.remote)
        else:
            connection = self._connections.get(flow.connection)
            is_written = connection is not None and connection.write(octets)
        if is_written and self._recorder is not None:
            self._record(flow, octets, at, sent=True)
        return is_written

    def _send_response(self, output: SendResponse) -> None:
        flow, target = output.flow, output.target
        if flow.connection is None:
            reply = Flow("UDP", flow.local, target.address)
            if not self._write(reply, output.octets) and output.key is not None:
                self._response_failed(output.key, "no socket")
            return
        if self._write(flow, output.octets):
            return
        # RFC 3261 18.2.2: the connection is gone, so a new one to the source and sent-by port.
        self._connections.find_or_open(target.address, partial(self._send_response_again, output))

    def _send_response_again(self, output: SendResponse, connection: TcpConnection | str) -> None:
        reason = connection if isinstance(connection, str) else "connection is gone"
        if isinstance(connection, TcpConnection) and self._write(connection.flow, output.octets):
            return
        if output.key is not None:
            self._response_failed(output.key, reason)

    def _response_failed(self, key: ServerTransactionKey, reason: str) -> None:
        self._perform(self._layer.response_send_failed(key, reason, self._loop.time()))

    def _record(self, flow: Flow, octets: bytes, at: float, *, sent: bool) -> None:
        assert self._recorder is not None
        self._recorder.record(
            at,
            flow.transport,
            flow.local,
            flow.remote,
            sent,
            octets,
            flow.connection,
        )

    # The one timer

    def _arm_timer(self) -> None:
        next_at = self._layer.next_timer_at
        if next_at is None or (self._timer is not None and self._timer_at <= next_at):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = next_at
        self._timer = self._loop.call_at(next_at, self._timer_fired)

    def _timer_fired(self) -> None:
        self._timer = None
        self._perform(self._layer.handle_timers(self._loop.time()))


def _result_of(response: Response) -> SendResult:
    try:
        warnings = response.warnings
    except RemoteProtocolError:
        warnings = ()
    text = warnings[0].text if warnings else response.reason_phrase
    return SendResult(response.status_code, text, was_sent=True, response=response)
