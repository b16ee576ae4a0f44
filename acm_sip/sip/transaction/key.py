"""What makes two messages belong to one transaction: RFC 3261 17.1.3 and 17.2.3.

A response belongs to the client transaction with its branch and CSeq method; a request to the
server transaction with its branch, sent-by and method. Branches are tokens, so they compare
without regard to case (RFC 3261 7.3.1), and an absent port is the default one of the transport.

A request whose branch does not begin with the magic cookie, or is nothing but the cookie (RFC
4475 3.2.1), comes from an RFC 2543 client and is told apart by the fields that 17.2.3 lists.

Deliberately absent: ACK, which matches the INVITE that has no transaction here.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from acm_sip.sip.message import Request, Response
from acm_sip.sip.routing import default_port

__all__ = [
    "CANCELLABLE_METHODS",
    "MAGIC_COOKIE",
    "ClientTransactionKey",
    "SentBy",
    "ServerTransactionKey",
    "client_key",
    "is_compliant_branch",
    "sent_by",
    "server_key",
]

MAGIC_COOKIE: Final = "z9hG4bK"  # RFC 3261 8.1.1.7
_COOKIE: Final = MAGIC_COOKIE.lower()

CANCELLABLE_METHODS: Final = (
    "MESSAGE",
    "REGISTER",
    "OPTIONS",
    "SUBSCRIBE",
    "NOTIFY",
    "PUBLISH",
    "INFO",
    "REFER",
    "BYE",
    "UPDATE",
    "PRACK",
)
"""Methods whose transactions a CANCEL finds (IANA registry "SIP Methods" without INVITE, ACK)."""


class SentBy(NamedTuple):
    """The sent-by of a Via, with its default port filled in."""

    host: str
    port: int


class ClientTransactionKey(NamedTuple):
    """Names a client transaction (RFC 3261 17.1.3)."""

    branch: str
    method: str


class ServerTransactionKey(NamedTuple):
    """Names a server transaction (RFC 3261 17.2.3)."""

    branch: str
    sent_by_host: str
    sent_by_port: int
    method: str


def is_compliant_branch(branch: str | None) -> bool:
    """Tell whether a branch is one that an RFC 3261 client made: the magic cookie and more."""
    return branch is not None and len(branch) > len(_COOKIE) and branch.lower().startswith(_COOKIE)


def sent_by(message: Request | Response) -> SentBy:
    """Read the sent-by of the top Via."""
    via = message.via
    port = via.sent_by_port
    return SentBy(via.sent_by_host, default_port(via.transport) if port is None else port)


def client_key(message: Request | Response) -> ClientTransactionKey:
    """Make the key under which a request is filed and its response is looked up.

    :raises RemoteProtocolError: Via or CSeq cannot be read.
    """
    return ClientTransactionKey((message.via.branch or "").lower(), message.cseq.method)


def server_key(request: Request) -> ServerTransactionKey:
    """Make the key of the server transaction to which a request belongs.

    :raises RemoteProtocolError: a field that the key needs cannot be read.
    """
    via = request.via
    port = via.sent_by_port
    branch = (via.branch or "").lower()
    if not branch.startswith(_COOKIE) or len(branch) == len(_COOKIE):
        branch = _legacy_branch(request, branch)
    return ServerTransactionKey(
        branch,
        via.sent_by_host,
        default_port(via.transport) if port is None else port,
        request.method,
    )


def _legacy_branch(request: Request, branch: str) -> str:
    # RFC 3261 17.2.3: Request-URI, To tag, From tag, Call-ID, CSeq and top Via must all match
    cseq = request.cseq
    fields = (
        branch,
        request.request_uri,
        request.to.tag or "",
        request.from_.tag or "",
        request.call_id,
        str(cseq.sequence_number),
        cseq.method,
    )
    return "\0".join(fields)  # NUL: in none of them, and in no branch
