"""Where messages go: RFC 3261 18.1.1, 18.2.1, 18.2.2 and 8.1.2, RFC 3581.

Received requests are annotated with where they came from, responses get their target from it,
and requests to be sent get their next hop and their transport.

Deliberately absent: looking anything up in the DNS (RFC 3263 is the shell's), multicast, strict
routing (12.2.1.1 needs dialogs; a next hop without ``lr`` is refused), and proxying.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address
from typing import Final, Literal, TypeVar

from acm_sip.errors import LocalProtocolError
from acm_sip.sip.message import Request, Response
from acm_sip.uri import SipUri

__all__ = [
    "Flow",
    "ResponseTarget",
    "Transport",
    "annotate_received",
    "choose_transport",
    "default_port",
    "next_hop",
    "requires_reliable_transport",
    "response_target",
]

Transport = Literal["UDP", "TCP", "TLS"]
_Message = TypeVar("_Message", Request, Response)

_DEFAULT_PORT: Final = 5060  # RFC 3261 18.1.1
_DEFAULT_TLS_PORT: Final = 5061  # RFC 3261 18.1.1
_LARGEST_UNPROBED_OCTETS: Final = 1300  # RFC 3261 18.1.1
_PATH_MTU_RESERVE_OCTETS: Final = 200  # RFC 3261 18.1.1


@dataclass(frozen=True, slots=True)
class Flow:
    """The way between us and a peer that a message takes.

    :param local: our address and port.
    :param remote: the peer's address (an IPv6 one without brackets) and port.
    :param connection: number of the connection; None on UDP and while none is open.
    """

    transport: Transport
    local: tuple[str, int]
    remote: tuple[str, int]
    connection: int | None = None

    @property
    def is_reliable(self) -> bool:
        """Whether the transport retransmits by itself."""
        return self.transport != "UDP"


@dataclass(frozen=True, slots=True)
class ResponseTarget:
    """Where a response goes (RFC 3261 18.2.2).

    :param address: on UDP the address and port to send to; else where a new connection is
        opened when ``connection`` is gone.
    :param connection: the connection on which the request came; None on UDP.
    :param sent_by: host and port (None: none was given) for RFC 3263 section 5 when opening a
        connection to ``address`` failed as well; None on UDP.
    """

    address: tuple[str, int]
    connection: int | None = None
    sent_by: tuple[str, int | None] | None = None


def default_port(transport: str) -> int:
    """Return the port of a sent-by or URI that names none."""
    return _DEFAULT_TLS_PORT if transport == "TLS" else _DEFAULT_PORT


def annotate_received(message: _Message, flow: Flow) -> _Message:
    """Note in the top Via where a message came from, in the message itself.

    Works on a request, and on the answer to one that could not be read. What the peer itself
    wrote into ``received`` and ``rport`` is never trusted.

    :return: the same object.
    :raises RemoteProtocolError: the Via cannot be read.
    """
    via = message.via
    wants_rport = via.has_rport
    if not wants_rport and via.received is None and _is_host(via.sent_by_host, flow.remote[0]):
        return message
    # RFC 3261 18.2.1: a name or another address in sent-by; RFC 3581 4: rport adds both
    source = flow.remote[0].partition("%")[0]
    annotated = via.with_received(source, flow.remote[1] if wants_rport else None)
    message.replace_top_via(annotated)
    return message


def response_target(message: Request | Response, flow: Flow) -> ResponseTarget:
    """Tell where the answer to a request goes that came on a flow.

    :param message: the request, or an answer that has its Via fields.
    :raises RemoteProtocolError: the Via cannot be read.
    """
    via = message.via
    port = via.sent_by_port
    source, source_port = flow.remote
    if flow.is_reliable:
        # RFC 3261 18.2.2: the same connection, then source address and sent-by port
        address = (source, port or default_port(flow.transport))
        return ResponseTarget(address, flow.connection, (via.sent_by_host, port))
    # Deviates from RFC 3261 18.2.2: maddr is ignored and section 5 of RFC 3263 is not used on
    # UDP: nobody gets an answer but the source of the request.
    if via.has_rport:
        return _datagram_target(flow.remote)  # RFC 3581 4
    if port is None:
        port = _DEFAULT_PORT
    return _datagram_target(flow.remote if port == source_port else (source, port))


def requires_reliable_transport(size_octets: int, path_mtu_octets: int | None = None) -> bool:
    """Whether a request of this size must not go over UDP.

    :param path_mtu_octets: None when it is unknown.
    """
    if path_mtu_octets is None:
        return size_octets > _LARGEST_UNPROBED_OCTETS  # RFC 3261 18.1.1
    return size_octets >= path_mtu_octets - _PATH_MTU_RESERVE_OCTETS  # RFC 3261 18.1.1


def choose_transport(
    uri: SipUri,
    size_octets: int,
    *,
    path_mtu_octets: int | None = None,
    accepts_large_datagrams: bool = False,
) -> Transport:
    """Choose the transport for a request whose next hop is known by its URI alone.

    :param uri: the next hop (RFC 3263 4.1: sips means TLS, a transport parameter decides, else
        UDP; the records of the DNS, where there are any, come before this).
    :param size_octets: size of the encoded request; TCP and UDP are words of equal length, so
        it does not change with the transport in the Via.
    :param accepts_large_datagrams: the peer is configured to take large requests over UDP.
    :raises LocalProtocolError: no transport of ours, or one that contradicts the scheme.
    """
    named = (uri.parameter("transport") or "").upper()
    if named not in ("", "UDP", "TCP", "TLS"):
        raise LocalProtocolError(f"Transport {named} is not supported")
    if uri.scheme == "sips":
        if named == "UDP":
            raise LocalProtocolError("A SIPS URI cannot be reached over UDP")  # RFC 3261 19.1.1
        return "TLS"
    if named == "TLS":  # RFC 3261 26.2.2: deprecated, yet in use
        return "TLS"
    if named == "TCP":
        return "TCP"
    if requires_reliable_transport(size_octets, path_mtu_octets) and not accepts_large_datagrams:
        return "TCP"  # RFC 3261 18.1.1
    return "UDP"


def next_hop(request: Request) -> SipUri:
    """Tell where a request is sent: the topmost Route, or the Request-URI (RFC 3261 8.1.2).

    :raises RemoteProtocolError: that URI cannot be read.
    :raises LocalProtocolError: the topmost Route is a strict router.
    """
    routes = request.routes
    if not routes:
        return SipUri.parse(request.request_uri)
    uri = routes[0].sip_uri
    if uri.parameter("lr") is None:
        raise LocalProtocolError("The topmost Route has no lr parameter")
    return uri


@lru_cache(maxsize=4096)  # ours: finished transactions of one peer share its target
def _datagram_target(address: tuple[str, int]) -> ResponseTarget:
    return ResponseTarget(address)


def _is_host(sent_by_host: str, address: str) -> bool:
    """Whether a sent-by is literally the address a message came from."""
    if sent_by_host == address:
        return True
    if ":" not in sent_by_host:  # a name, or another IPv4 address
        return False
    # RFC 5954 4.2: IPv6 addresses compare by their binary value
    return ip_address(sent_by_host.strip("[]")) == ip_address(address.partition("%")[0])
