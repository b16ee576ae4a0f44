"""Requests and responses: RFC 3261 7, and the making of responses, 8.2.6.

A message keeps its header fields as text and reads them when asked; what was read is remembered
by the fields. The typed readings raise RemoteProtocolError naming the field.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from hashlib import sha256
from typing import Final

from acm_sip.errors import LocalProtocolError, RemoteProtocolError
from acm_sip.sip import headers as typed
from acm_sip.sip.grammar import TOKEN_PATTERN, split_list
from acm_sip.sip.header_fields import HeaderFields
from acm_sip.sip.headers import AcceptContact, CSeq, MediaType, NameAddr, Via, WarningValue

__all__ = [
    "REASON_PHRASES",
    "Message",
    "Request",
    "Response",
    "create_response",
    "stateless_to_tag",
]

# RFC 3261 21; 202 RFC 6665, 423 and 489 likewise, 412 RFC 3903, 428-430 RFC 8224, 3893, 5626.
REASON_PHRASES: Final = {
    100: "Trying", 180: "Ringing", 181: "Call Is Being Forwarded", 182: "Queued",
    183: "Session Progress", 200: "OK", 202: "Accepted", 204: "No Notification",
    300: "Multiple Choices", 301: "Moved Permanently", 302: "Moved Temporarily",
    305: "Use Proxy", 380: "Alternative Service", 400: "Bad Request", 401: "Unauthorized",
    402: "Payment Required", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed",
    406: "Not Acceptable", 407: "Proxy Authentication Required", 408: "Request Timeout",
    410: "Gone", 412: "Conditional Request Failed", 413: "Request Entity Too Large",
    414: "Request-URI Too Long", 415: "Unsupported Media Type", 416: "Unsupported URI Scheme",
    420: "Bad Extension", 421: "Extension Required", 422: "Session Interval Too Small",
    423: "Interval Too Brief", 428: "Use Identity Header", 430: "Flow Failed",
    439: "First Hop Lacks Outbound Support", 480: "Temporarily Unavailable",
    481: "Call/Transaction Does Not Exist", 482: "Loop Detected", 483: "Too Many Hops",
    484: "Address Incomplete", 485: "Ambiguous", 486: "Busy Here", 487: "Request Terminated",
    488: "Not Acceptable Here", 489: "Bad Event", 491: "Request Pending", 493: "Undecipherable",
    500: "Server Internal Error", 501: "Not Implemented", 502: "Bad Gateway",
    503: "Service Unavailable", 504: "Server Time-out", 505: "Version Not Supported",
    513: "Message Too Large", 600: "Busy Everywhere", 603: "Decline",
    604: "Does Not Exist Anywhere", 606: "Not Acceptable",
}  # fmt: skip

_read_from: Final = partial(typed.read_name_addr, field="From")
_read_to: Final = partial(typed.read_name_addr, field="To")
_read_max_forwards: Final = partial(typed.read_number, field="Max-Forwards", maximum=255)
_read_expires: Final = partial(typed.read_number, field="Expires")
_read_min_expires: Final = partial(typed.read_number, field="Min-Expires")


def _reader_of_addresses(field: str) -> Callable[[list[str]], tuple[NameAddr, ...]]:
    return partial(typed.read_name_addrs, field=field)


def _reader_of_tokens(field: str) -> Callable[[list[str]], tuple[str, ...]]:
    return partial(typed.read_tokens, field=field)


_read_routes: Final = _reader_of_addresses("Route")
_read_record_routes: Final = _reader_of_addresses("Record-Route")
_read_path: Final = _reader_of_addresses("Path")
_read_service_route: Final = _reader_of_addresses("Service-Route")
_read_p_asserted_identity: Final = _reader_of_addresses("P-Asserted-Identity")
_read_p_preferred_identity: Final = _reader_of_addresses("P-Preferred-Identity")
_read_require: Final = _reader_of_tokens("Require")
_read_proxy_require: Final = _reader_of_tokens("Proxy-Require")
_read_supported: Final = _reader_of_tokens("Supported")
_read_unsupported: Final = _reader_of_tokens("Unsupported")
_read_allow: Final = _reader_of_tokens("Allow")


def _read_contacts(values: list[str]) -> tuple[NameAddr, ...] | None:
    """Read Contact; None stands for ``*``, which is alone or malformed (10.2.2)."""
    if values == ["*"]:
        return None
    return typed.read_name_addrs(values, "Contact")


class _Fields:
    """The typed readings that requests and responses share."""

    __slots__ = ("body", "headers")

    headers: HeaderFields
    body: bytes

    @property
    def vias(self) -> tuple[Via, ...]:
        """Every Via, the topmost first."""
        return self.headers.read("Via", typed.read_vias)

    @property
    def via(self) -> Via:
        """The topmost Via."""
        return self.headers.read("Via", typed.read_vias)[0]

    @property
    def from_(self) -> NameAddr:
        """From."""
        return self.headers.read("From", _read_from)

    @property
    def to(self) -> NameAddr:
        """To."""
        return self.headers.read("To", _read_to)

    @property
    def call_id(self) -> str:
        """Call-ID."""
        return self.headers.read("Call-ID", typed.read_call_id)

    @property
    def cseq(self) -> CSeq:
        """CSeq."""
        return self.headers.read("CSeq", typed.read_cseq)

    @property
    def max_forwards(self) -> int | None:
        """Max-Forwards, 0 to 255."""
        return self.headers.read("Max-Forwards", _read_max_forwards)

    @property
    def contacts(self) -> tuple[NameAddr, ...]:
        """Every Contact; empty when there is none and for ``*``."""
        return self.headers.read("Contact", _read_contacts) or ()

    @property
    def contact_is_star(self) -> bool:
        """True when Contact is ``*`` (10.2.2)."""
        return self.headers.read("Contact", _read_contacts) is None

    @property
    def expires(self) -> int | None:
        """Expires in seconds."""
        return self.headers.read("Expires", _read_expires)

    @property
    def min_expires(self) -> int | None:
        """Min-Expires in seconds."""
        return self.headers.read("Min-Expires", _read_min_expires)

    @property
    def content_type(self) -> MediaType | None:
        """Content-Type."""
        return self.headers.read("Content-Type", typed.read_media_type)

    @property
    def routes(self) -> tuple[NameAddr, ...]:
        """Every Route, the next hop first."""
        return self.headers.read("Route", _read_routes)

    @property
    def record_routes(self) -> tuple[NameAddr, ...]:
        """Every Record-Route."""
        return self.headers.read("Record-Route", _read_record_routes)

    @property
    def path(self) -> tuple[NameAddr, ...]:
        """Every Path (RFC 3327)."""
        return self.headers.read("Path", _read_path)

    @property
    def service_route(self) -> tuple[NameAddr, ...]:
        """Every Service-Route (RFC 3608)."""
        return self.headers.read("Service-Route", _read_service_route)

    @property
    def p_asserted_identity(self) -> tuple[NameAddr, ...]:
        """P-Asserted-Identity (RFC 3325 9.1)."""
        return self.headers.read("P-Asserted-Identity", _read_p_asserted_identity)

    @property
    def p_preferred_identity(self) -> tuple[NameAddr, ...]:
        """P-Preferred-Identity (RFC 3325 9.2)."""
        return self.headers.read("P-Preferred-Identity", _read_p_preferred_identity)

    @property
    def accept_contacts(self) -> tuple[AcceptContact, ...]:
        """Accept-Contact (RFC 3841 9.2)."""
        return self.headers.read("Accept-Contact", typed.read_accept_contacts)

    @property
    def require(self) -> tuple[str, ...]:
        """Option tags of Require."""
        return self.headers.read("Require", _read_require)

    @property
    def proxy_require(self) -> tuple[str, ...]:
        """Option tags of Proxy-Require."""
        return self.headers.read("Proxy-Require", _read_proxy_require)

    @property
    def supported(self) -> tuple[str, ...]:
        """Option tags of Supported."""
        return self.headers.read("Supported", _read_supported)

    @property
    def unsupported(self) -> tuple[str, ...]:
        """Option tags of Unsupported."""
        return self.headers.read("Unsupported", _read_unsupported)

    @property
    def allow(self) -> tuple[str, ...]:
        """Methods of Allow."""
        return self.headers.read("Allow", _read_allow)

    @property
    def retry_after(self) -> int | None:
        """Retry-After in seconds."""
        return self.headers.read("Retry-After", typed.read_retry_after)

    @property
    def warnings(self) -> tuple[WarningValue, ...]:
        """Every Warning."""
        return self.headers.read("Warning", typed.read_warnings)

    def replace_top_via(self, via: Via) -> None:
        """Put another Via in the place of the topmost one, in this message itself."""
        first_line = split_list(self.headers.get("Via") or "", "Via")
        self.headers.replace_first("Via", ", ".join([str(via), *first_line[1:]]))

    def _encode(self, start_line: str) -> bytes:
        lines = [start_line]
        lines += [f"{name}: {value}" for name, value in self.headers if name != "Content-Length"]
        lines.append(f"Content-Length: {len(self.body)}\r\n\r\n")
        return "\r\n".join(lines).encode("utf-8", "surrogateescape") + self.body


class Request(_Fields):
    """A SIP request.

    :param method: a token; case matters (7.1).
    :param request_uri: as it stands in the request line.
    :param headers: the header fields; Content-Length among them is ignored when encoding.
    :param body: octets.
    :raises LocalProtocolError: method or Request-URI cannot stand in a request line.
    """

    __slots__ = ("method", "request_uri")

    def __init__(
        self, method: str, request_uri: str, headers: HeaderFields, body: bytes = b""
    ) -> None:
        if TOKEN_PATTERN.fullmatch(method) is None:
            raise LocalProtocolError("Method is no token")
        if (
            not request_uri
            or not request_uri.isascii()
            or not request_uri.isprintable()
            or (" " in request_uri)
        ):
            raise LocalProtocolError("Request-URI holds what a request line cannot")
        self.method = method
        self.request_uri = request_uri
        self.headers = headers
        self.body = body

    @classmethod
    def from_parsed(cls, method: str, request_uri: str, headers: HeaderFields) -> Request:
        """Make a request of parts that a parser has checked."""
        request = cls.__new__(cls)
        request.method = method
        request.request_uri = request_uri
        request.headers = headers
        request.body = b""
        return request

    def encode(self) -> bytes:
        """Return the octets for the wire, with exactly one Content-Length."""
        return self._encode(f"{self.method} {self.request_uri} SIP/2.0")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Request) and (
            (self.method, self.request_uri, self.headers, self.body)
            == (other.method, other.request_uri, other.headers, other.body)
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.request_uri}, {len(self.body)} octets of body>"


class Response(_Fields):
    """A SIP response.

    :param status_code: 100 to 699.
    :param reason_phrase: any text without CR and LF; may be empty (RFC 4475 3.1.1.13).
    :param headers: the header fields; Content-Length among them is ignored when encoding.
    :param body: octets.
    :raises LocalProtocolError: the status line cannot be written.
    """

    __slots__ = ("reason_phrase", "status_code")

    def __init__(
        self, status_code: int, reason_phrase: str, headers: HeaderFields, body: bytes = b""
    ) -> None:
        if not 100 <= status_code <= 699 or "\r" in reason_phrase or "\n" in reason_phrase:
            raise LocalProtocolError("Status code or reason phrase cannot be written")
        self.status_code = status_code
        self.reason_phrase = reason_phrase
        self.headers = headers
        self.body = body

    def encode(self) -> bytes:
        """Return the octets for the wire, with exactly one Content-Length."""
        return self._encode(f"SIP/2.0 {self.status_code} {self.reason_phrase}")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Response) and (
            (self.status_code, self.reason_phrase, self.headers, self.body)
            == (other.status_code, other.reason_phrase, other.headers, other.body)
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<Response {self.status_code} {self.reason_phrase!r}>"


Message = Request | Response


def create_response(
    request: Request,
    status_code: int,
    reason_phrase: str | None = None,
    *,
    to_tag: str,
    headers: Iterable[tuple[str, str]] = (),
    body: bytes = b"",
) -> Response:
    """Make a response to a request (RFC 3261 8.2.6).

    A field that the request lacks, or that cannot be read, is left out or copied as it is, so
    that malformed requests have answers too.

    :param reason_phrase: None for the usual one of the status code.
    :param to_tag: written into To unless the request has a tag there, or for a 100.
    :param headers: further fields, after the copied ones.
    """
    if reason_phrase is None:
        reason_phrase = REASON_PHRASES.get(status_code, "Unknown")
    pairs = [("Via", value) for value in request.headers.get_all("Via")]  # 8.2.6.2
    for name in ("From", "To", "Call-ID", "CSeq"):
        value = request.headers.get(name)
        if value is not None:
            if name == "To" and status_code != 100:
                value = _with_tag(request, value, to_tag)
            pairs.append((name, value))
    timestamp = request.headers.get("Timestamp")
    if status_code == 100 and timestamp is not None:  # 8.2.6.1
        pairs.append(("Timestamp", timestamp))
    copied = HeaderFields.from_canonical(pairs)
    for name, value in headers:
        copied.append(name, value)
    return Response(status_code, reason_phrase, copied, body)


def stateless_to_tag(request: Request) -> str:
    """Return the To tag of an answer for which no state is kept: the same for each repeat.

    RFC 3261 8.2.7. It hides nothing: no dialog is ever made from such an answer.
    """
    identifying = "\n".join(
        request.headers.get(name) or "" for name in ("Via", "From", "Call-ID", "CSeq")
    )
    return sha256(identifying.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def _with_tag(request: Request, value: str, to_tag: str) -> str:
    try:
        present = request.to.tag is not None
    except RemoteProtocolError:
        present = "tag" in value.lower()
    return value if present else f"{value};tag={to_tag}"
