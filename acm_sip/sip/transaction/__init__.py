"""Non-INVITE transactions after RFC 3261 17 and RFC 4320: pure, without a clock or a socket."""

from acm_sip.sip.transaction.key import (
    MAGIC_COOKIE,
    ClientTransactionKey,
    ServerTransactionKey,
)
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

__all__ = [
    "MAGIC_COOKIE",
    "ClientTransactionKey",
    "Discard",
    "Output",
    "PassRequest",
    "PassResponse",
    "ReportTimeout",
    "ReportTransportError",
    "SendRequest",
    "SendResponse",
    "ServerTransactionKey",
    "TransactionLayer",
]
