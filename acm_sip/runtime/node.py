"""One ACM entity on the wire: the SIP endpoint on the loop, the engine in its thread.

The way of a MESSAGE: socket -> parser -> transaction -> :meth:`AcmNode.request_received` ->
engine (decode, decide, commit) -> :meth:`AcmNode._perform` -> the final response, and the rows
that may leave now -> client transaction -> :class:`DeliveryEnded` -> engine.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Final

from acm_sip.capture.recorder import Recorder
from acm_sip.errors import RemoteProtocolError
from acm_sip.procedures.authentication import Source
from acm_sip.procedures.binding import write_message
from acm_sip.procedures.capabilities import SUPPORTED, accept_header, allow_header
from acm_sip.procedures.effects import AnswerRequest, Effect, RegisterAgain
from acm_sip.procedures.events import DeliveryEnded
from acm_sip.procedures.ports import Records
from acm_sip.procedures.records import AcmTransaction
from acm_sip.procedures.role import Role
from acm_sip.procedures.screening import inspect_extensions, inspect_method
from acm_sip.runtime.clock import Clock
from acm_sip.runtime.configuration import CaptureSection
from acm_sip.runtime.endpoint import ListenAddress, Peer, SendResult, SipEndpoint
from acm_sip.runtime.engine import Engine
from acm_sip.runtime.engine_events import (
    Answered,
    EngineCall,
    FlowClosed,
    Performance,
    RequestArrived,
    RowLeaves,
    UserTold,
)
from acm_sip.runtime.flow_names import name_flow
from acm_sip.runtime.log import get_logger
from acm_sip.sip.message import Request
from acm_sip.sip.routing import Flow
from acm_sip.sip.transaction.key import ServerTransactionKey
from acm_sip.stores import AcmStore

__all__ = ["AcmNode", "retry_after_s"]

_DRAIN_S: Final = 5.0  # ours: how long a stop waits for answers that are under way
_BUSY_RETRY_AFTER: Final = ("Retry-After", "1")

log = get_logger("acm_sip.node")


class AcmNode:
    """The shell of an ACM server or an ACM client.

    :param methods: what it serves through the engine; OPTIONS it answers by itself.
    :param media_type: of a body with an information flow.
    :param find_hop: where a hop of a row is now; None when it cannot be reached.
    :ivar failed: set when nothing can be decided any more; the process has to be restarted.
    :param tell: called on the loop with what the user of a client wants to see.
    :param register_again: called on the loop when the own server lost this client's binding.
    """

    def __init__(
        self,
        role: Role,
        store: AcmStore,
        listen: Sequence[ListenAddress],
        *,
        methods: frozenset[str],
        media_type: str,
        find_hop: Callable[[str], Flow | Peer | None],
        window_of: Callable[[str], int],
        retention_s: float,
        capture: CaptureSection | None = None,
        capacity: int = 100_000,
        tell: Callable[[AcmTransaction], None] | None = None,
        register_again: Callable[[], None] | None = None,
        flow_closed: Callable[[Flow], None] | None = None,
    ) -> None:
        self.node = secrets.token_hex(8)
        self.clock = Clock()
        self._methods = methods | {"OPTIONS"}
        self._capabilities = AnswerRequest(  # RFC 3261 11.2
            200, headers=(allow_header(methods), accept_header(media_type), SUPPORTED)
        )
        self._find_hop = find_hop
        self._tell = tell
        self._register_again = register_again
        self._on_flow_closed = flow_closed
        self._recorder = (
            None if capture is None else Recorder(capture.path, only_sent=capture.only_sent)
        )
        self.endpoint = SipEndpoint(listen, self.clock, recorder=self._recorder, capacity=capacity)
        self._engine = Engine(
            store,
            role,
            self.clock,
            window_of,
            self._perform_soon,
            node=self.node,
            retention_s=retention_s,
            died=self._engine_died,
        )
        self.failed = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop
        self._is_stopping = False

    async def start(self) -> None:
        """Bind, and begin to serve.

        :raises ConfigurationError: an address cannot be bound.
        """
        self._loop = asyncio.get_running_loop()
        try:
            await self.endpoint.start(self)
        except BaseException:
            if self._recorder is not None:
                self._recorder.close()
            raise
        self._engine.start()

    async def stop(self) -> None:
        """Answer what was accepted, then close sockets, store and capture."""
        if self._is_stopping:
            return
        self._is_stopping = True
        self._engine.stop_sending()
        await self.endpoint.stop(_DRAIN_S)
        await self._loop.run_in_executor(None, self._engine.stop)
        if self._recorder is not None:
            await self._loop.run_in_executor(None, self._recorder.close)
            if self._recorder.dropped_packets:
                log.warning("capture is not complete", dropped=self._recorder.dropped_packets)

    async def call(self, decide: Callable[[Records, float], Sequence[Effect]]) -> None:
        """Make a decision of the own user durable.

        :raises AcmSipError: it was not possible, and nothing was stored.
        """
        done: Future[None] = Future()
        self._engine.submit(EngineCall(decide, done))
        await asyncio.wrap_future(done)

    # From the endpoint

    def request_received(
        self, key: ServerTransactionKey | None, request: Request, flow: Flow
    ) -> None:
        """Answer what asks nothing of the store; give the rest to the engine."""
        answer = inspect_method(request, self._methods)
        if answer is None and request.method == "OPTIONS":
            answer = inspect_extensions(request) or self._capabilities
        if answer is not None:
            if answer is not self._capabilities:
                log.warning(
                    "request refused",
                    method=request.method,
                    source=name_flow(flow, self.node),
                    status_code=str(answer.status_code),
                    reason=answer.reason_phrase,
                )
            self.endpoint.respond(key, request, flow, answer.status_code, headers=answer.headers)
            return
        event = RequestArrived(
            request,
            Source(flow.remote[0], name_flow(flow, self.node)),
            self.clock.now(),
            (key, flow),
        )
        if not self._engine.submit(event):
            self.endpoint.respond(key, request, flow, 503, headers=(_BUSY_RETRY_AFTER,))

    def flow_closed(self, flow: Flow) -> None:
        """Tell the engine, which knows who was reached over it."""
        if not self._is_stopping:
            self._engine.submit(FlowClosed(name_flow(flow, self.node)))
        if self._on_flow_closed is not None:
            self._on_flow_closed(flow)

    # From the engine

    def _perform_soon(self, performances: list[Performance]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._perform, performances)

    def _engine_died(self) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self.failed.set)

    def _perform(self, performances: list[Performance]) -> None:
        for performance in performances:
            try:
                self._perform_one(performance)
            except Exception:  # the boundary of one effect: the others are committed as well
                log.exception("not performed", effect=type(performance).__name__)
                if isinstance(performance, RowLeaves):
                    failed = SendResult(503, "internal error", was_sent=True)
                    self._ended(performance, failed)

    def _perform_one(self, performance: Performance) -> None:
        match performance:
            case Answered(event, answer):
                key, flow = event.handle
                self.endpoint.respond(
                    key,
                    event.request,
                    flow,
                    answer.status_code,
                    answer.reason_phrase,
                    answer.headers,
                )
            case RowLeaves():
                self._send(performance)
            case UserTold(transaction):
                if self._tell is not None:
                    self._tell(transaction)
            case RegisterAgain():
                if self._register_again is not None:
                    self._register_again()

    def _send(self, leaves: RowLeaves) -> None:
        row, sending = leaves.row, leaves.sending
        hop = self._find_hop(sending.hop)
        if hop is None:
            self._ended(leaves, SendResult(480, "no way to the receiver", was_sent=False))
            return
        request = write_message(
            sending.addressing,
            row.octets,
            service=row.service,
            at=self.clock.now(),
            expires_at=sending.expires_at,
            call_id=secrets.token_hex(16),
            from_tag=secrets.token_hex(8),
        )
        self.endpoint.send(request, hop, lambda result: self._ended(leaves, result))

    def _ended(self, leaves: RowLeaves, result: SendResult) -> None:
        row = leaves.row
        log.debug(
            "delivery ended", flow=row.flow, to=str(row.destination), status=result.status_code
        )
        self._engine.submit(
            DeliveryEnded(
                row,
                self.clock.now(),
                result.status_code,
                result.text,
                retry_after_s(result),
                result.was_sent,
            )
        )


def retry_after_s(result: SendResult) -> float | None:
    """Return the Retry-After of a response; one that cannot be read is none."""
    try:
        retry_after = None if result.response is None else result.response.retry_after
    except RemoteProtocolError:
        return None
    return None if retry_after is None else float(retry_after)
