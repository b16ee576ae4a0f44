"""What a picture needs to know of one SIP message, read from the worst of them.

The fields are read one by one by the readers of :mod:`acm_sip.sip`, and one that is broken or
missing costs itself alone: a capture is looked at mostly because something in it is wrong. What
is wrong stands in :attr:`Summary.note`.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, TypeVar

from acm_sip.capture.body_summary import Flow, read_flow
from acm_sip.errors import RemoteProtocolError
from acm_sip.sip.header_fields import HeaderFields, canonical_name
from acm_sip.sip.message import Request
from acm_sip.sip.parser import parse_datagram

if TYPE_CHECKING:
    from collections.abc import Callable

    from acm_sip.sip.headers import NameAddr

__all__ = ["Summary", "bare_uri", "summarize"]

T = TypeVar("T")

_REQUEST_LINE: Final = re.compile(rb"([!-~]{1,64}) +(.+?) +SIP/[0-9.]+ *")
_STATUS_LINE: Final = re.compile(rb"SIP/[0-9.]+ +([0-9]{3}) ?(.*)")
_LINE_END: Final = re.compile(rb"\r?\n(?![ \t])")  # not in front of a folded line
_HEAD_END: Final = re.compile(rb"\r?\n\r?\n")


@dataclass(frozen=True, slots=True)
class Summary:
    """One message at a glance; what could not be read is None or empty.

    :param method: of a request; None for a response and for what is neither.
    :param status_code: of a response.
    :param transaction: top branch and CSeq method: what joins a response to its request.
    :param sent_by: host and port of the top Via, as they stand.
    :param identity: P-Asserted-, else P-Preferred-Identity, else From, without scheme.
    :param is_asserted: P-Asserted-Identity is there, which servers send.
    :param is_preferred: P-Preferred-Identity or -Service is there, which clients send.
    :param contacts: host and port of each Contact.
    :param flow: what an ACM body holds.
    :param note: what is wrong with the message, in one line.
    """

    method: str | None = None
    request_uri: str = ""
    status_code: int | None = None
    reason_phrase: str = ""
    transaction: tuple[str, str] | None = None
    cseq_method: str = ""
    sent_by: tuple[str, int | None] | None = None
    identity: str = ""
    is_asserted: bool = False
    is_preferred: bool = False
    contacts: tuple[tuple[str, int | None], ...] = ()
    content_type: str = ""
    flow: Flow | None = None
    note: str = ""


def summarize(octets: bytes, *, is_cut: bool = False) -> Summary:
    """Read what can be read of one message; never raises on its content."""
    head, body = _split(octets)
    lines = _LINE_END.split(head)
    # The fields' typed readings are those of a message; its own start line may be beyond one.
    fields = Request("OPTIONS", "sip:unread.invalid", _fields(lines[1:]), body)
    status = _STATUS_LINE.fullmatch(lines[0])
    if status:
        return Summary(
            status_code=int(status[1]),
            reason_phrase=status[2].decode("utf-8", "replace"),
            transaction=_transaction(fields),
            cseq_method=_attempt(lambda: fields.cseq.method) or "",
        )
    request = _REQUEST_LINE.fullmatch(lines[0])
    if not request:
        return Summary(note="no start line of SIP")
    summary = _summary_of_request(fields)
    method = request[1].decode("ascii")
    note = "the capture kept only the beginning of this message" if is_cut else _verdict(octets)
    flow: Flow | None = None
    if method == "MESSAGE" and not is_cut:
        flow, fault = read_flow(_attempt(lambda: fields.content_type), body)
        note = note or fault
    request_uri = request[2].decode("utf-8", "replace")
    return replace(summary, method=method, request_uri=request_uri, flow=flow, note=note)


def _split(octets: bytes) -> tuple[bytes, bytes]:
    octets = octets.lstrip(b"\r\n")
    end = _HEAD_END.search(octets)
    if end is None:
        return octets.rstrip(b"\r\n"), b""
    return octets[: end.start()], octets[end.end() :]


def _fields(lines: list[bytes]) -> HeaderFields:
    pairs = []
    for line in lines:
        name, colon, value = line.decode("utf-8", "surrogateescape").partition(":")
        if colon:
            text = re.sub(r"\r?\n[ \t]+", " ", value).strip(" \t\r\n")
            pairs.append((canonical_name(name.rstrip(" \t")), text))
    return HeaderFields.from_canonical(pairs)


def _summary_of_request(fields: Request) -> Summary:
    """Return what the header fields of a request tell."""
    asserted = _attempt(lambda: fields.p_asserted_identity) or ()
    preferred = _attempt(lambda: fields.p_preferred_identity) or ()
    sender = _attempt(lambda: fields.from_)
    identities = (*asserted, *preferred, *((sender,) if sender else ()))
    via = _attempt(lambda: fields.via)
    media_type = _attempt(lambda: fields.content_type)
    return Summary(
        transaction=_transaction(fields),
        cseq_method=_attempt(lambda: fields.cseq.method) or "",
        sent_by=(via.sent_by_host, via.sent_by_port) if via else None,
        identity=bare_uri(identities[0].uri) if identities else "",
        is_asserted=bool(asserted),
        is_preferred=bool(preferred) or "P-Preferred-Service" in fields.headers,
        contacts=_contacts(_attempt(lambda: fields.contacts) or ()),
        content_type=media_type.essence if media_type else "",
    )


def _verdict(octets: bytes) -> str:
    """Return what our own SIP layer would refuse the request for."""
    try:
        parse_datagram(octets)
    except RemoteProtocolError as error:
        return error.text
    return ""


def _transaction(fields: Request) -> tuple[str, str] | None:
    branch = _attempt(lambda: fields.via.branch)
    method = _attempt(lambda: fields.cseq.method)
    return (branch, method) if branch and method else None


def _contacts(contacts: tuple[NameAddr, ...]) -> tuple[tuple[str, int | None], ...]:
    found = []
    for contact in contacts:
        with suppress(RemoteProtocolError):
            found.append((contact.sip_uri.host, contact.sip_uri.port))
    return tuple(found)


def bare_uri(uri: str) -> str:
    """Return a SIP URI without scheme, parameters and headers, for the eye."""
    return re.sub(r"^sips?:", "", uri, flags=re.IGNORECASE).partition(";")[0].partition("?")[0]


def _attempt(read: Callable[[], T]) -> T | None:
    try:
        return read()
    except RemoteProtocolError:
        return None
