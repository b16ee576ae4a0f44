"""What the transaction layer wants done, in the order in which it must be done.

Each method of :class:`~acm_sip.sip.transaction.layer.TransactionLayer` returns a list of these;
the caller performs them at once. ``Send...`` goes to the transport (RFC 3261 18), ``Pass...``
and ``Report...`` to the transaction user, ``Discard`` to counters and logs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from acm_sip.sip.message import Request, Response
from acm_sip.sip.routing import Flow, ResponseTarget
from acm_sip.sip.transaction.key import ClientTransactionKey, ServerTransactionKey

__all__ = [
    "Discard",
    "Output",
    "PassRequest",
    "PassResponse",
    "ReportTimeout",
    "ReportTransportError",
    "SendRequest",
    "SendResponse",
]


@dataclass(frozen=True, slots=True)
class SendRequest:
    """Send the octets of a request; when that fails, tell ``request_send_failed``.

    :param flow: where to; without a connection on a reliable transport, one is to be opened.
    """

    key: ClientTransactionKey
    octets: bytes
    flow: Flow


@dataclass(frozen=True, slots=True)
class SendResponse:
    """Send the octets of a response to its target.

    :param flow: the flow on which the request came.
    :param target: where to (RFC 3261 18.2.2), with what to try when a connection is gone.
    :param key: the transaction to name to ``response_send_failed`` when every way failed;
        None for a stateless response, whose loss nobody needs to know.
    """

    octets: bytes
    flow: Flow
    target: ResponseTarget
    key: ServerTransactionKey | None = None


@dataclass(frozen=True, slots=True)
class PassRequest:
    """Give a new request to the transaction user, exactly once per client transaction.

    :param key: names the transaction to ``respond``; None for an INVITE, which has no
        transaction here and is answered by ``respond_stateless`` (RFC 3261 8.2.7).
    :param request: with received and rport filled in.
    """

    key: ServerTransactionKey | None
    request: Request
    flow: Flow


@dataclass(frozen=True, slots=True)
class PassResponse:
    """Give a response, provisional or final, to the transaction user."""

    key: ClientTransactionKey
    response: Response


@dataclass(frozen=True, slots=True)
class ReportTimeout:
    """Tell the transaction user that no final response came within Timer F."""

    status_code: ClassVar[int] = 408  # RFC 3261 8.1.3.1

    key: ClientTransactionKey


@dataclass(frozen=True, slots=True)
class ReportTransportError:
    """Tell the transaction user that a request or a response could not be sent."""

    status_code: ClassVar[int] = 503  # RFC 3261 8.1.3.1

    key: ClientTransactionKey | ServerTransactionKey
    reason: str


@dataclass(frozen=True, slots=True)
class Discard:
    """Nothing is sent or passed on; the reason is one of a fixed set, fit for a counter."""

    reason: str


Output = (
    SendRequest
    | SendResponse
    | PassRequest
    | PassResponse
    | ReportTimeout
    | ReportTransportError
    | Discard
)
