"""All transactions of one process: RFC 3261 17, and what 8.2.7, 9.2, 18.1.2 and 18.2 ask of it.

The layer reads no clock and owns no socket: each method takes the instant it happens at and
returns what is to be done, in order. Instants are floats in seconds that never go back.

The state tables are those of the two machines, ``non_invite_server`` and ``non_invite_client``;
the layer finds the machine for a message, and starts and stops its timers:

| the state becomes | server transaction | client transaction |
|---|---|---|
| Trying | 100 at 3.5 s (RFC 4320 4.1) | Timer F; on UDP Timer E |
| Proceeding | after the 100: an end at 64*T1 (RFC 4320 4.2) | the same go on |
| Completed | Timer J | Timer K instead of E and F |
| Terminated | destroyed | destroyed |

Beside the machines:

| received | done | source |
|---|---|---|
| ACK | discarded: it acknowledges what had no transaction | RFC 3261 8.2.7 |
| INVITE | passed without a transaction | RFC 3261 8.2.7 |
| CANCEL | 200 without effect when its request is known, else 481 | RFC 3261 9.2 |
| a new request above the capacity, or while draining | stateless 503 with Retry-After | 21.5.4 |
| a response to nothing, or not for us | discarded | RFC 3261 18.1.2, 8.1.3.3 |

Deliberately absent: INVITE transactions, authentication, and merged requests (8.2.2.2), which
the transaction user tells apart by what they carry.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import ceil
from typing import Any, Final

from acm_sip.errors import LocalProtocolError
from acm_sip.sip.message import Request, Response, create_response
from acm_sip.sip.routing import Flow, annotate_received, response_target
from acm_sip.sip.timers import TimerQueue, TimerValues
from acm_sip.sip.transaction.key import (
    CANCELLABLE_METHODS,
    ClientTransactionKey,
    ServerTransactionKey,
    client_key,
    is_compliant_branch,
    sent_by,
    server_key,
)
from acm_sip.sip.transaction.non_invite_client import NonInviteClientTransaction
from acm_sip.sip.transaction.non_invite_server import NonInviteServerTransaction
from acm_sip.sip.transaction.outputs import Discard, Output, PassRequest, SendResponse
from acm_sip.sip.transaction.tag import response_tag

__all__ = ["TransactionLayer"]

_CAPACITY: Final = 100_000  # ours: about 100 MiB of finished transactions waiting for Timer J
_NO_TRANSACTION: Final = ("INVITE", "ACK")


class TransactionLayer:
    """Client and server transactions of one process.

    :param timers: T1, T2 and T4.
    :param capacity: transactions kept at once; above it new requests get a stateless 503.
    :param tag_secret: at most 64 octets that no peer knows, for the To tags.
    """

    def __init__(
        self,
        timers: TimerValues | None = None,
        *,
        capacity: int = _CAPACITY,
        tag_secret: bytes = b"",
    ) -> None:
        self.timers = timers or TimerValues()
        self.capacity = capacity
        self._tag_secret = tag_secret
        self._is_draining = False
        self._servers: dict[ServerTransactionKey, NonInviteServerTransaction] = {}
        self._clients: dict[ClientTransactionKey, NonInviteClientTransaction] = {}
        self._clients_at: dict[tuple[str, int], set[ClientTransactionKey]] = {}
        self._start_timers()

    def _start_timers(self) -> None:
        timers = self.timers
        self._timer_100: TimerQueue[NonInviteServerTransaction] = TimerQueue(
            timers.provisional_after_s
        )
        self._timer_end: TimerQueue[NonInviteServerTransaction] = TimerQueue(
            timers.answer_within_s - timers.provisional_after_s
        )
        self._timer_j: TimerQueue[NonInviteServerTransaction] = TimerQueue(
            timers.timer_j_s(is_reliable=False)
        )
        self._timer_e: tuple[TimerQueue[NonInviteClientTransaction], ...] = tuple(
            TimerQueue(interval_s) for interval_s in timers.timer_e_intervals_s
        )
        self._timer_f: TimerQueue[NonInviteClientTransaction] = TimerQueue(timers.timer_f_s)
        self._timer_k: TimerQueue[NonInviteClientTransaction] = TimerQueue(
            timers.timer_k_s(is_reliable=False)
        )
        self._queues: tuple[TimerQueue[Any], ...] = (
            self._timer_100,
            self._timer_end,
            self._timer_j,
            *self._timer_e,
            self._timer_f,
            self._timer_k,
        )

    def __len__(self) -> int:
        """All transactions, those included that only wait for Timer J or K."""
        return len(self._servers) + len(self._clients)

    @property
    def active(self) -> int:
        """Transactions without a final response so far; 0 means that a drain is done."""
        return len(self._timer_100) + len(self._timer_end) + len(self._timer_f)

    @property
    def is_draining(self) -> bool:
        """Whether new requests are refused because the process is to stop."""
        return self._is_draining

    def drain(self) -> None:
        """Refuse new requests from now on; what is under way completes."""
        self._is_draining = True

    @property
    def next_timer_at(self) -> float | None:
        """The instant at which ``handle_timers`` is due, or None."""
        earliest = None
        for queue in self._queues:
            at = queue.next_at
            if at is not None and (earliest is None or at < earliest):
                earliest = at
        return earliest

    def to_tag(self, request: Request) -> str:
        """Make the To tag for every response to a request, the same each time it is asked for."""
        return response_tag(request, self._tag_secret)

    # Server transactions

    def receive_request(self, request: Request, flow: Flow, now: float) -> list[Output]:
        """Handle a request that came on a flow.

        :raises RemoteProtocolError: a field that identifies the request cannot be read.
        """
        if request.method in _NO_TRANSACTION:
            return [self._receive_without_transaction(request, flow, now)]
        key = server_key(request)
        known = self._servers.get(key)
        if known is not None:
            return [known.receive_request()]  # RFC 3261 17.2.3
        request = annotate_received(request, flow)
        if self._is_draining or len(self._servers) + len(self._clients) >= self.capacity:
            return [self._refuse(request, flow, now)]
        transaction = NonInviteServerTransaction(
            key,
            request,
            flow,
            response_target(request, flow),
            received_at=now,
            timers=self.timers,
        )
        self._servers[key] = transaction
        self._timer_100.start(transaction, now)
        if request.method == "CANCEL":
            return self.respond(key, self._answer_cancel(request, key), now)
        return [PassRequest(key, request, flow)]

    def respond(self, key: ServerTransactionKey, response: Response, now: float) -> list[Output]:
        """Answer a request that was passed on with this key.

        A response that may not go out any more is discarded; what the user has committed stands.

        :raises LocalProtocolError: a 1xx other than 100, or 408 (RFC 4320 4.1, 4.2).
        """
        transaction = self._servers.get(key)
        if transaction is None:
            return [Discard("response without a transaction")]
        state = transaction.state
        output = transaction.respond(response, now)
        if transaction.state is not state and transaction.is_answered:
            self._complete_server(transaction, now)
        return [output]

    def respond_stateless(
        self, request: Request | Response, response: Response, flow: Flow
    ) -> list[Output]:
        """Answer without a transaction: an INVITE, or a request that cannot be read.

        :param request: what is answered; where it cannot be read, the answer itself.
        """
        return [SendResponse(response.encode(), flow, response_target(request, flow))]

    def response_send_failed(
        self, key: ServerTransactionKey, reason: str, now: float
    ) -> list[Output]:
        """Handle that a response could be delivered in no way (RFC 3261 17.2.4)."""
        transaction = self._servers.get(key)
        if transaction is None:
            return [Discard("failed response without a transaction")]
        report = transaction.fail(reason)
        self._destroy_server(transaction)
        return [] if report is None else [report]

    def _receive_without_transaction(self, request: Request, flow: Flow, now: float) -> Output:
        if request.method == "ACK":
            return Discard("ACK")  # RFC 3261 8.2.7: a stateless UAS ignores it
        request = annotate_received(request, flow)
        if self._is_draining:
            return self._refuse(request, flow, now)
        return PassRequest(None, request, flow)

    def _answer_cancel(self, request: Request, key: ServerTransactionKey) -> Response:
        # RFC 3261 9.2: a CANCEL matches as if its method were that of the request it cancels,
        # and has no effect on any request but INVITE
        is_known = any(
            key._replace(method=method) in self._servers for method in CANCELLABLE_METHODS
        )
        return create_response(request, 200 if is_known else 481, to_tag=self.to_tag(request))

    def _refuse(self, request: Request, flow: Flow, now: float) -> SendResponse:
        # RFC 3261 21.5.4: until the oldest transaction is over, or this process has stopped
        frees_at = None if self._is_draining else self._timer_j.next_at
        wait_s = self.timers.answer_within_s if frees_at is None else frees_at - now
        response = create_response(
            request,
            503,
            to_tag=self.to_tag(request),
            headers=(("Retry-After", str(max(1, ceil(wait_s)))),),
        )
        return SendResponse(response.encode(), flow, response_target(request, flow))

    def _complete_server(self, transaction: NonInviteServerTransaction, now: float) -> None:
        if transaction.flow.is_reliable:  # RFC 3261 17.2.2: Timer J is zero
            transaction.terminate()
            self._destroy_server(transaction)
            return
        self._timer_100.cancel(transaction)
        self._timer_end.cancel(transaction)
        self._timer_j.start(transaction, now)

    def _destroy_server(self, transaction: NonInviteServerTransaction) -> None:
        del self._servers[transaction.key]
        self._timer_100.cancel(transaction)
        self._timer_end.cancel(transaction)
        self._timer_j.cancel(transaction)

    # Client transactions

    def send_request(
        self, request: Request, flow: Flow, now: float
    ) -> tuple[ClientTransactionKey, list[Output]]:
        """Start a client transaction.

        :param request: complete, with our Via and its branch on top.
        :param flow: where to; its transport is the one that the Via names.
        :raises LocalProtocolError: INVITE or ACK, a branch that RFC 3261 8.1.1.7 does not allow
            or that is in use, or a Via that names another transport.
        """
        if request.method in _NO_TRANSACTION:
            raise LocalProtocolError(f"{request.method} has no non-INVITE transaction")
        if not is_compliant_branch(request.via.branch):
            raise LocalProtocolError("A branch begins with the magic cookie")
        if request.via.transport != flow.transport:
            raise LocalProtocolError("The Via names another transport")  # RFC 3261 18.1.1
        key = client_key(request)
        if key in self._clients:
            raise LocalProtocolError("A branch is unique")
        transaction = NonInviteClientTransaction(
            key, sent_by(request), request.encode(), flow, last_interval=len(self._timer_e) - 1
        )
        self._clients[key] = transaction
        self._clients_at.setdefault(flow.remote, set()).add(key)
        self._timer_f.start(transaction, now)
        if not flow.is_reliable:
            self._timer_e[0].start(transaction, now)
        return key, [transaction.send()]

    def receive_response(self, response: Response, flow: Flow, now: float) -> list[Output]:
        """Handle a response that came on a flow.

        :raises RemoteProtocolError: a field that identifies the response cannot be read.
        """
        transaction = self._clients.get(client_key(response))
        if transaction is None:
            return [Discard("response to no request of ours")]  # RFC 3261 18.1.2
        if sent_by(response) != transaction.sent_by:
            return [Discard("response for another sent-by")]  # RFC 3261 18.1.2
        if len(response.vias) > 1:
            return [Discard("response with more than one Via")]  # RFC 3261 8.1.3.3
        if transaction.flow.transport == "TLS" and flow.transport != "TLS":
            return [Discard("unprotected response to a protected request")]
        state = transaction.state
        output = transaction.receive_response(response)
        if transaction.state is not state and not transaction.is_waiting:
            self._complete_client(transaction, now)
        return [output]

    def request_send_failed(
        self, key: ClientTransactionKey, reason: str, now: float
    ) -> list[Output]:
        """Handle that a request could not be sent (RFC 3261 17.1.4)."""
        transaction = self._clients.get(key)
        if transaction is None:
            return []
        return self._fail_clients([transaction], reason)

    def transport_failed(self, flow: Flow, reason: str, now: float) -> list[Output]:
        """Handle that a connection broke, or that ICMP says a UDP peer cannot be reached.

        Every client transaction on it fails, those included that still wait for a connection to
        the same peer. Server transactions go on: their response opens a connection of its own
        (RFC 3261 18.2.2), and when that fails too, ``response_send_failed`` is called.
        """
        affected = [
            transaction
            for key in self._clients_at.get(flow.remote, ())
            if (transaction := self._clients[key]).flow.transport == flow.transport
            and transaction.flow.connection in (None, flow.connection)
        ]
        return self._fail_clients(affected, reason)

    def _fail_clients(
        self, transactions: Iterable[NonInviteClientTransaction], reason: str
    ) -> list[Output]:
        outputs: list[Output] = []
        for transaction in transactions:
            report = transaction.fail(reason)
            if report is not None:
                self._destroy_client(transaction)
                outputs.append(report)
        return outputs

    def _complete_client(self, transaction: NonInviteClientTransaction, now: float) -> None:
        if transaction.flow.is_reliable:  # RFC 3261 17.1.2.2: Timer K is zero
            transaction.terminate()
            self._destroy_client(transaction)
            return
        self._timer_e[transaction.interval].cancel(transaction)
        self._timer_f.cancel(transaction)
        self._timer_k.start(transaction, now)

    def _destroy_client(self, transaction: NonInviteClientTransaction) -> None:
        del self._clients[transaction.key]
        keys = self._clients_at[transaction.flow.remote]
        keys.discard(transaction.key)
        if not keys:
            del self._clients_at[transaction.flow.remote]
        self._timer_e[transaction.interval].cancel(transaction)
        self._timer_f.cancel(transaction)
        self._timer_k.cancel(transaction)

    # Timers

    def handle_timers(self, now: float) -> list[Output]:
        """Fire every timer whose instant has come, ends before retransmissions."""
        outputs: list[Output] = []
        self._fire_client_timers(now, outputs)
        self._fire_server_timers(now, outputs)
        return outputs

    def _fire_client_timers(self, now: float, outputs: list[Output]) -> None:
        while (due := self._timer_f.pop_due(now)) is not None:
            report = due[0].time_out()
            self._destroy_client(due[0])
            if report is not None:
                outputs.append(report)
        for queue in self._timer_e:
            while (due := queue.pop_due(now)) is not None:
                request = due[0].retransmit()
                if request is not None:
                    outputs.append(request)
                    # from now, not from when it was due: a late call makes no burst
                    self._timer_e[due[0].interval].start(due[0], now)
        while (due := self._timer_k.pop_due(now)) is not None:
            due[0].terminate()
            self._destroy_client(due[0])

    def _fire_server_timers(self, now: float, outputs: list[Output]) -> None:
        while (fired := self._timer_100.pop_due(now)) is not None:
            response = fired[0].send_provisional()
            if response is not None:
                outputs.append(response)
            self._timer_end.start(*fired)
        while (fired := self._timer_end.pop_due(now)) is not None:
            fired[0].give_up()  # RFC 4320 4.2
            self._complete_server(fired[0], now)
        while (fired := self._timer_j.pop_due(now)) is not None:
            fired[0].terminate()
            self._destroy_server(fired[0])
