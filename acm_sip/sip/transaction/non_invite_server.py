"""The non-INVITE server transaction of RFC 3261 17.2.2, as RFC 4320 changed it.

| state | input | next state | output | source |
|---|---|---|---|---|
| (new) | request | Trying | pass the request to the user | 17.2.2 |
| Trying | request | Trying | none: absorbed | 17.2.2 |
| Trying | 100 from the user | Proceeding | send it; on UDP before 3.5 s discard, stay | 4320 4.1 |
| Trying | 3.5 s have passed | Proceeding | make and send a 100 | 4320 4.1 |
| Trying | 200-699 from the user | Completed | send it; Timer J | 17.2.2 |
| Proceeding | request | Proceeding | send the latest 100 again | 17.2.2 |
| Proceeding | 100 from the user | Proceeding | send it | 17.2.2 |
| Proceeding | 3.5 s have passed | Proceeding | none: the user was earlier | 4320 4.1 |
| Proceeding | 200-699 from the user | Completed | send it; Timer J | 17.2.2 |
| Trying, Proceeding | 64*T1 have passed | Completed | none; Timer J | 4320 4.2 |
| Trying, Proceeding | 200-699 after 64*T1 | Completed | discard; Timer J | 4320 4.2 |
| Completed | request | Completed | send the final response again, if one was sent | 17.2.2 |
| Completed | any response from the user | Completed | discard | 17.2.2 |
| Completed | Timer J | Terminated | none | 17.2.2 |
| Trying, Proceeding, Completed | transport error | Terminated | report it | 17.2.4 |
| Terminated | anything | Terminated | discard a response; else none | 17.2.2 |
| any | 101-199 or 408 from the user | the same | LocalProtocolError | 4320 4.1, 4.2 |

Inputs that a row does not name change nothing. A transaction that nobody answered stays in
Completed without octets: a late copy of its request must not reach the user a second time.

Deliberately absent: clock and timers (the layer starts and stops them when the state changes),
and INVITE.
"""

from __future__ import annotations

from enum import Enum

from acm_sip.errors import LocalProtocolError
from acm_sip.sip.message import Request, Response, create_response
from acm_sip.sip.routing import Flow, ResponseTarget
from acm_sip.sip.timers import TimerValues
from acm_sip.sip.transaction.key import ServerTransactionKey
from acm_sip.sip.transaction.outputs import Discard, ReportTransportError, SendResponse

__all__ = ["NonInviteServerTransaction", "ServerState"]


class ServerState(Enum):
    """The states of RFC 3261 Figure 8."""

    TRYING = "Trying"
    PROCEEDING = "Proceeding"
    COMPLETED = "Completed"
    TERMINATED = "Terminated"


class NonInviteServerTransaction:
    """One request being answered; in state Trying from the start.

    :param request: kept until it is answered, then dropped.
    :param target: where its responses go.
    :param received_at: instant of the request.
    :param timers: says from when a 100 may, and until when a final response may go out.
    """

    __slots__ = (
        "flow",
        "key",
        "octets",
        "received_at",
        "request",
        "state",
        "target",
        "timers",
    )

    def __init__(
        self,
        key: ServerTransactionKey,
        request: Request,
        flow: Flow,
        target: ResponseTarget,
        *,
        received_at: float,
        timers: TimerValues,
    ) -> None:
        self.key = key
        self.request: Request | None = request
        self.flow = flow
        self.target = target
        self.received_at = received_at
        self.timers = timers
        self.octets: bytes | None = None
        self.state = ServerState.TRYING

    @property
    def is_answered(self) -> bool:
        """Whether the user owes nothing any more."""
        return self.state is ServerState.COMPLETED or self.state is ServerState.TERMINATED

    def receive_request(self) -> SendResponse | Discard:
        """Handle one more copy of the request."""
        if self.octets is None:
            # RFC 3261 17.2.2: in Trying, retransmissions are discarded
            return Discard("retransmitted request absorbed")
        if self.state is ServerState.TERMINATED:
            return Discard("transaction is terminated")
        return self._send(self.octets)  # RFC 3261 17.2.2: the latest response once more

    def respond(self, response: Response, now: float) -> SendResponse | Discard:
        """Handle a response from the user.

        :raises LocalProtocolError: a response that a non-INVITE request never gets.
        """
        status_code = response.status_code
        if 100 < status_code < 200 or status_code == 408:
            # RFC 4320 4.1, 4.2: no provisional response but 100, and no 408
            raise LocalProtocolError(f"{status_code} never answers a non-INVITE request")
        if self.is_answered:
            return Discard("response after the final one")  # RFC 3261 17.2.2
        if now >= self.received_at + self.timers.answer_within_s:
            self.give_up()
            return Discard("response after 64*T1")  # RFC 4320 4.2
        if status_code == 100:
            may_send_at = self.received_at + self.timers.provisional_after_s
            if now < may_send_at and not self.flow.is_reliable:
                return Discard("100 before Timer E reached T2")  # RFC 4320 4.1
            self.state = ServerState.PROCEEDING
        else:
            self._complete()
        self.octets = response.encode()
        return self._send(self.octets)

    def send_provisional(self) -> SendResponse | None:
        """Handle that 3.5 s have passed: send a 100 when nothing was sent so far."""
        if self.state is not ServerState.TRYING or self.request is None:
            return None
        self.state = ServerState.PROCEEDING
        self.octets = create_response(self.request, 100, to_tag="").encode()
        return self._send(self.octets)  # RFC 4320 4.1: on every transport

    def give_up(self) -> None:
        """Handle that 64*T1 have passed: only copies of the request are absorbed from now on."""
        if not self.is_answered:
            self.octets = None
            self._complete()

    def terminate(self) -> None:
        """Handle Timer J."""
        self.state = ServerState.TERMINATED
        self.request = None

    def fail(self, reason: str) -> ReportTransportError | None:
        """Handle that no way to deliver a response is left."""
        if self.state is ServerState.TERMINATED:
            return None
        self.terminate()
        return ReportTransportError(self.key, reason)  # RFC 3261 17.2.4

    def _complete(self) -> None:
        self.state = ServerState.COMPLETED
        self.request = None

    def _send(self, octets: bytes) -> SendResponse:
        return SendResponse(octets, self.flow, self.target, self.key)
