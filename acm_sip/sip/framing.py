"""From octets to a message: the rules that datagrams and streams share.

RFC 3261 7, 8.2.2, 18.3 and 25.1, and the answers that RFC 4475 asks for. A message is refused
here when it breaks a rule that holds for every method: field lines, Content-Length, start line,
the mandatory fields, scalar ranges, repeated single fields. What needs to know a method, a scheme
or an extension (405, 416, 420, 415, ...) is decided by the transaction user.

Strict, because two readers of one stream could otherwise disagree where a message ends: a bare
CR or LF, a line without colon, a name that is no token, Content-Length other than one number.
Such a fault is fatal to a stream. Every other fault leaves the end of the message known.

# Deviates from RFC 3261 17.2.3: a request whose branch lacks the magic cookie is refused; that
# is a sender of RFC 2543, which had no MESSAGE.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from acm_sip.errors import RemoteProtocolError
from acm_sip.sip.grammar import (
    MAX_UINT32,
    QUOTED_STRING,
    TOKEN,
    TOKEN_PATTERN,
    malformed,
    parse_decimal,
)
from acm_sip.sip.header_fields import NAMES_ON_RECEIPT, HeaderFields
from acm_sip.sip.headers import SIP_SCHEMES
from acm_sip.sip.message import (
    REASON_PHRASES,
    Message,
    Request,
    Response,
    create_response,
    stateless_to_tag,
)
from acm_sip.uri import SipUri

__all__ = ["Head", "KeepAlive", "Limits", "MalformedMessage", "read_head"]

_MAX_REASON_CHARACTERS: Final = 120  # ours: one line of a log
_CONTROLS: Final = bytes(octet for octet in (*range(32), 127) if octet != ord("\t"))
# 25.1: only a quoted pair in a quoted string may hold a control character. What follows a quote
# that is never closed may hold none. The lookahead, which is never entered twice, keeps it linear.
_LEGAL_LINE: Final = re.compile(
    rf'(?=(?P<closed>(?:[^"\x00-\x08\x0a-\x1f\x7f]++|{QUOTED_STRING})*))(?P=closed)'
    r'(?:"[^\x00-\x08\x0a-\x1f\x7f]*+)?'
)
_REQUEST_LINE: Final = re.compile(rf"({TOKEN}) ([!-~]++) [Ss][Ii][Pp]/([0-9]++\.[0-9]++)")
_STATUS_LINE: Final = re.compile(r"[Ss][Ii][Pp]/2\.0 ([1-6][0-9]{2}) ([^\r\n]*+)")
_ABSOLUTE_URI: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*+:[!#-;=?-Z\[\]_a-z~]++")
_MAX_CACHED_CHARACTERS: Final = 256  # ours: bounds the memory of the cache below
_MAGIC_COOKIE: Final = "z9hG4bK"


@dataclass(frozen=True, slots=True)
class Limits:
    """What a message may cost before it is refused.

    The defaults are ours: a header section as large as a datagram can be, and the one limit of
    bodies; RFC 4475 3.1.1.7 needs a header section of 3.5 KiB.

    :param header_section_octets: start line and header fields; above it 513.
    :param line_octets: one line, folding undone; above it 513.
    :param header_fields: number of field lines; above it 513.
    :param body_octets: above it 413.
    :param drained_octets: a refused body up to this size is read and dropped, so that the
        sender sees the 413; a larger one closes the stream.
    """

    header_section_octets: int = 65_536
    line_octets: int = 16_384
    header_fields: int = 256
    body_octets: int = 1_048_576
    drained_octets: int = 16_777_216


@dataclass(frozen=True, slots=True)
class KeepAlive:
    """CRLF between messages (RFC 5626 4.4.1).

    :param is_ping: True for a double CRLF, which is answered by one CRLF; False for one CRLF,
        which is such an answer or nothing (RFC 3261 7.5).
    """

    is_ping: bool


class MalformedMessage(RemoteProtocolError):  # noqa: N818 - it is received, not only raised
    """A message that breaks a rule for every receiver.

    :param answer: to be sent statelessly to where the message came from, or None when nothing
        may be sent: to a response, to an ACK, or without a Via to follow.
    :param is_fatal: on a stream, where the next message begins is not known: close.
    """

    def __init__(
        self, text: str, status_code: int, answer: Response | None, is_fatal: bool
    ) -> None:
        super().__init__(text, status_code)
        self.answer = answer
        self.is_fatal = is_fatal


class Head:
    """The start line and header fields of one message while it is being read.

    It holds whatever could be read, so that a refusal can say it back.

    :param content_length: None when the message has none.
    :param fault: the first rule that is broken, and whether framing is lost by it.
    """

    __slots__ = ("content_length", "fault", "fields", "is_fatal", "message", "method", "pairs")

    def __init__(self) -> None:
        self.pairs: list[tuple[str, str]] = []
        self.fields = HeaderFields.from_canonical(self.pairs)
        self.content_length: int | None = None
        self.message: Message | None = None
        self.method: str | None = None
        self.fault: RemoteProtocolError | None = None
        self.is_fatal = False

    def break_rule(self, fault: RemoteProtocolError, *, is_fatal: bool) -> None:
        """Remember the first fault; a later fatal one still makes the message fatal."""
        self.fault = self.fault or fault
        self.is_fatal = self.is_fatal or is_fatal

    def refusal(self) -> MalformedMessage:
        """Make the verdict of a head with a fault."""
        assert self.fault is not None
        text, status_code = self.fault.text, self.fault.status_code
        return MalformedMessage(text, status_code, self._answer(text, status_code), self.is_fatal)

    def _answer(self, text: str, status_code: int) -> Response | None:
        if self.method is None or self.method == "ACK":  # RFC 3261 17.1.1.3: ACK has no answer
            return None
        request = Request(self.method, "sip:malformed.invalid", self.fields)
        try:
            _ = request.via
        except RemoteProtocolError:
            return None
        reason = text if status_code == 400 else REASON_PHRASES[status_code]
        printable = "".join(c if " " <= c <= "~" else "?" for c in reason[:_MAX_REASON_CHARACTERS])
        return create_response(request, status_code, printable, to_tag=stateless_to_tag(request))


def read_head(section: bytes, limits: Limits, *, is_stream: bool) -> Head:
    """Read start line and header fields, without the empty line that ends them.

    Never raises: what is wrong is in :attr:`Head.fault`. The checks run in the order in which
    they decide where the message ends.
    """
    head = Head()
    lines = section.decode("utf-8", "surrogateescape").split("\r\n")
    pairs = _read_plain_lines(section, lines, limits)
    if pairs is None:
        _find_line_faults(section, lines, head, limits)
        lines = _unfold(lines, head)
        _read_field_lines(lines, head, limits)
    else:
        head.pairs += pairs
    try:
        head.content_length = _read_content_length(head.fields, is_stream=is_stream)
    except RemoteProtocolError as fault:
        head.break_rule(fault, is_fatal=True)
    try:
        _check_body_size(head, limits)
        start_line = lines[0]
        if start_line[:4].upper() == "SIP/":
            _read_response(start_line, head)
        else:
            _read_request(start_line, head)
    except RemoteProtocolError as fault:
        head.break_rule(fault, is_fatal=False)
    return head


def _read_plain_lines(
    section: bytes, lines: list[str], limits: Limits
) -> list[tuple[str, str]] | None:
    """Read the field lines of an unremarkable message fast; None for every other message."""
    controls = len(section) - len(section.translate(None, _CONTROLS))
    if controls != 2 * (len(lines) - 1):  # more than one CR and one LF for each line
        return None
    if len(lines) > limits.header_fields or len(section) > limits.line_octets:
        return None
    try:
        items = [line.split(": ", 1) for line in lines]
        del items[0]
        return [(NAMES_ON_RECEIPT[name], value.strip(" \t")) for name, value in items]
    except (ValueError, RemoteProtocolError):  # no ": " in a line, or no name before it
        return None


def _find_line_faults(section: bytes, lines: list[str], head: Head, limits: Limits) -> None:
    line_ends = section.count(b"\r\n")
    if section.count(b"\n") != line_ends or section.count(b"\r") != line_ends:
        head.break_rule(RemoteProtocolError("Bare CR or LF in header section"), is_fatal=True)
    elif any(_LEGAL_LINE.fullmatch(line) is None for line in lines):
        head.break_rule(RemoteProtocolError("Control character in header section"), is_fatal=True)
    if line_ends > limits.header_fields:
        head.break_rule(RemoteProtocolError("Too many header fields", 513), is_fatal=True)


def _unfold(lines: list[str], head: Head) -> list[str]:
    """Join continuation lines with one space (7.3.1), but never a name or the start line."""
    folded: list[list[str]] = []
    for line in lines:
        if line[:1] not in (" ", "\t"):
            folded.append([line])
        elif len(folded) < 2 or ":" not in folded[-1][0]:
            head.break_rule(RemoteProtocolError("Folded start line or name"), is_fatal=True)
            folded.append([line])
        else:
            folded[-1].append(line.strip(" \t"))
    return [" ".join(parts) for parts in folded]


def _read_field_lines(lines: list[str], head: Head, limits: Limits) -> None:
    if max(map(len, lines)) > limits.line_octets:
        head.break_rule(RemoteProtocolError("Line too long", 513), is_fatal=False)
    for line in lines[1 : limits.header_fields + 1]:
        name, colon, value = line.partition(":")
        try:
            if not colon:
                raise RemoteProtocolError("Malformed header field line")
            head.pairs.append((NAMES_ON_RECEIPT[name], value.strip(" \t")))
        except RemoteProtocolError as fault:
            head.break_rule(fault, is_fatal=True)


def _read_content_length(fields: HeaderFields, *, is_stream: bool) -> int | None:
    values = fields.get_all("Content-Length")
    if not values:
        if is_stream:  # RFC 3261 20.14: mandatory where messages follow each other
            raise RemoteProtocolError("Missing Content-Length header field")
        return None
    if len(values) > 1:  # RFC 4475 3.3.9
        raise RemoteProtocolError("Repeated Content-Length header field")
    return parse_decimal(values[0], MAX_UINT32, "Content-Length")


def _check_body_size(head: Head, limits: Limits) -> None:
    if head.content_length is not None and head.content_length > limits.body_octets:
        fatal = head.content_length > limits.drained_octets
        head.break_rule(RemoteProtocolError("Body too large", 413), is_fatal=fatal)


def _read_request(start_line: str, head: Head) -> None:
    match = _REQUEST_LINE.fullmatch(start_line)
    if match is None:
        first = start_line.partition(" ")[0]
        if TOKEN_PATTERN.fullmatch(first) is not None and " SIP/" in start_line.upper():
            head.method = first  # it means to be a request, so it is answered
        raise RemoteProtocolError("Malformed request line")
    method, request_uri, version = match.groups()
    head.method = method
    if version != "2.0":
        raise RemoteProtocolError("Version not supported", 505)
    if len(request_uri) <= _MAX_CACHED_CHARACTERS:
        _check_short_request_uri(request_uri)
    else:
        _check_request_uri(request_uri)
    request = Request.from_parsed(method, request_uri, head.fields)
    _check_mandatory(request)
    if request.cseq.method != method:  # RFC 3261 8.1.1.5
        raise RemoteProtocolError("CSeq method differs from request line")
    branch = request.via.branch
    if branch is None or not branch.startswith(_MAGIC_COOKIE) or len(branch) == len(_MAGIC_COOKIE):
        raise malformed("Via", "no transaction identifier in branch")  # RFC 4475 3.2.1
    head.message = request


@lru_cache(maxsize=1024)  # ours: a server has few names, and its users few contacts
def _check_short_request_uri(text: str) -> None:
    _check_request_uri(text)


def _check_request_uri(text: str) -> None:
    if _ABSOLUTE_URI.fullmatch(text) is None:
        raise RemoteProtocolError("Malformed Request-URI")
    if text.partition(":")[0].lower() not in SIP_SCHEMES:
        return
    try:
        uri = SipUri.parse(text)
    except RemoteProtocolError as error:
        raise RemoteProtocolError(f"Malformed Request-URI: {error.text}") from None
    if uri.headers:  # RFC 3261 19.1.1: not allowed there; RFC 4475 3.1.2.11
        raise RemoteProtocolError("Malformed Request-URI: escaped header fields")


def _read_response(start_line: str, head: Head) -> None:
    match = _STATUS_LINE.fullmatch(start_line)
    if match is None:
        raise RemoteProtocolError("Malformed status line")
    response = Response(int(match[1]), match[2], head.fields)
    _check_mandatory(response)
    head.message = response


def _check_mandatory(message: Message) -> None:
    """RFC 3261 8.1.1; a field that is read here is remembered for whoever asks later."""
    _ = message.vias, message.from_, message.to, message.call_id, message.cseq
    _ = message.max_forwards, message.contacts, message.content_type
