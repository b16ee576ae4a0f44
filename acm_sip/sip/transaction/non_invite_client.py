"""The non-INVITE client transaction of RFC 3261 17.1.2.

| state | input | next state | output | source |
|---|---|---|---|---|
| (new) | request from the user | Trying | send it; Timer F; on UDP Timer E = T1 | 17.1.2.2 |
| Trying | Timer E | Trying | send again; Timer E = MIN(2*E, T2) | 17.1.2.2 |
| Trying | 1xx | Proceeding | pass the response | 17.1.2.2 |
| Proceeding | Timer E | Proceeding | send again; Timer E = T2 | 17.1.2.2 |
| Proceeding | 1xx | Proceeding | pass the response | 17.1.2.2 |
| Trying, Proceeding | 200-699 | Completed | pass the response; Timer K | 17.1.2.2 |
| Trying, Proceeding | Timer F | Terminated | report the timeout | 17.1.2.2 |
| Trying, Proceeding | transport error | Terminated | report it | 17.1.4 |
| Completed | any response | Completed | discard: a retransmission | 17.1.2.2 |
| Completed | Timer K | Terminated | none | 17.1.2.2 |
| Completed | transport error | Completed | none: the answer is here | Figure 6 |
| Terminated | a response | Terminated | discard | 17.1.2.2 |

Inputs that a row does not name change nothing.

Deliberately absent: clock and timers (the layer starts and stops them when the state changes),
a further destination after a failure (that is a new transaction), and INVITE.
"""

from __future__ import annotations

from enum import Enum

from acm_sip.sip.message import Response
from acm_sip.sip.routing import Flow
from acm_sip.sip.transaction.key import ClientTransactionKey, SentBy
from acm_sip.sip.transaction.outputs import (
    Discard,
    PassResponse,
    ReportTimeout,
    ReportTransportError,
    SendRequest,
)

__all__ = ["ClientState", "NonInviteClientTransaction"]


class ClientState(Enum):
    """The states of RFC 3261 Figure 6."""

    TRYING = "Trying"
    PROCEEDING = "Proceeding"
    COMPLETED = "Completed"
    TERMINATED = "Terminated"


class NonInviteClientTransaction:
    """One request on its way to a final response; in state Trying from the start.

    :param sent_by: what our top Via names; the response must name it too.
    :param octets: the request, sent again unchanged.
    :param last_interval: index of T2 in the successive values of Timer E.
    """

    __slots__ = ("flow", "interval", "key", "last_interval", "octets", "sent_by", "state")

    def __init__(
        self,
        key: ClientTransactionKey,
        sent_by: SentBy,
        octets: bytes,
        flow: Flow,
        *,
        last_interval: int,
    ) -> None:
        self.key = key
        self.sent_by = sent_by
        self.octets = octets
        self.flow = flow
        self.interval = 0
        self.last_interval = last_interval
        self.state = ClientState.TRYING

    @property
    def is_waiting(self) -> bool:
        """Whether a final response is still to come."""
        return self.state is ClientState.TRYING or self.state is ClientState.PROCEEDING

    def send(self) -> SendRequest:
        """Send the request: the first time, and each time Timer E says so."""
        return SendRequest(self.key, self.octets, self.flow)

    def receive_response(self, response: Response) -> PassResponse | Discard:
        """Handle a response that matches this transaction."""
        if not self.is_waiting:
            # RFC 3261 17.1.2.2: Completed is there to buffer retransmissions
            return Discard("retransmitted response absorbed")
        if response.status_code < 200:
            self.state = ClientState.PROCEEDING
        else:
            self.state = ClientState.COMPLETED
            self.octets = b""
        return PassResponse(self.key, response)

    def retransmit(self) -> SendRequest | None:
        """Handle Timer E; :attr:`interval` then tells its next value."""
        if self.state is ClientState.TRYING:
            self.interval = min(self.interval + 1, self.last_interval)
        elif self.state is ClientState.PROCEEDING:
            self.interval = self.last_interval  # RFC 3261 17.1.2.2: T2 after a 1xx
        else:
            return None
        return self.send()

    def time_out(self) -> ReportTimeout | None:
        """Handle Timer F."""
        if not self.is_waiting:
            return None
        self.terminate()
        return ReportTimeout(self.key)

    def terminate(self) -> None:
        """Handle Timer K."""
        self.state = ClientState.TERMINATED
        self.octets = b""

    def fail(self, reason: str) -> ReportTransportError | None:
        """Handle that the request could not be sent or its connection is gone."""
        if not self.is_waiting:
            return None
        self.terminate()
        return ReportTransportError(self.key, reason)  # RFC 3261 17.1.4
