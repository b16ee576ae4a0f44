"""The information flow of a MESSAGE's body, named as far as it can be told.

Lenient where the codec is strict: a body that breaks the schema still has a name if its XML can
be read, and one that cannot be read is named ``?``; in both cases a note says what is wrong.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from acm_sip.codec import names, xml
from acm_sip.codec.body import BodyPart, decode_body
from acm_sip.errors import RemoteProtocolError
from acm_sip.sip.multipart import split_multipart

if TYPE_CHECKING:
    from lxml import etree

    from acm_sip.sip.headers import MediaType

__all__ = ["UNKNOWN_FLOW", "Flow", "read_flow"]

UNKNOWN_FLOW: Final = "?"


@dataclass(frozen=True, slots=True)
class Flow:
    """An information flow at a glance.

    :param name: the local name of its element, or ``?``.
    :param transaction_id: the acm-transaction-id, or "".
    :param outcome: of a response: ``success``, or ``failure`` and its cause; else "".
    """

    name: str
    transaction_id: str = ""
    outcome: str = ""


def read_flow(media_type: MediaType | None, body: bytes) -> tuple[Flow | None, str]:
    """Return the flow of a body (None: no ACM body) and what is wrong with it ("": nothing)."""
    if media_type is None:
        return None, "a MESSAGE without a body" if not body else "a body without Content-Type"
    try:
        parts = _parts(media_type, body)
    except RemoteProtocolError as error:
        return Flow(UNKNOWN_FLOW), error.text
    acm = [part for part in parts if part.media_type == names.MEDIA_TYPE]
    if not acm:
        return None, ""
    return _name(acm[0].octets), _fault(parts)


def _parts(media_type: MediaType, body: bytes) -> list[BodyPart]:
    if media_type.type != "multipart":
        return [BodyPart(media_type.essence, body)]
    return [
        BodyPart(part.content_type.essence, part.body, part.content_id)
        for part in split_multipart(media_type, body)
    ]


def _fault(parts: list[BodyPart]) -> str:
    """Return what the codec would refuse, in its words."""
    try:
        # Foreign parts are no fault of the flow: a picture is no place to refuse them.
        decoded = decode_body([replace(part, handling_optional=True) for part in parts])
    except RemoteProtocolError as error:
        return error.text
    return str(decoded.document_faults[0]) if decoded.document_faults else ""


def _name(document: bytes) -> Flow:
    """Return the name of the flow of a document that may break every rule of the schema."""
    try:
        root = xml.parse(document)
    except RemoteProtocolError:
        return Flow(UNKNOWN_FLOW)
    flow = next(iter(root), None)
    if root.tag not in (names.ACM_INFO, names.ACM_DATA) or flow is None:
        return Flow(UNKNOWN_FLOW)
    transaction_id = (flow.findtext(f"{{{names.NAMESPACE}}}acm-transaction-id") or "").strip()
    return Flow(xml.local_name(flow), transaction_id, _outcome(flow))


def _outcome(flow: etree._Element) -> str:
    result = flow.find(f"{{{names.NAMESPACE}}}result")
    if result is None:
        return ""
    words = [xml.local_name(child) for child in result[:1]]
    words += [(cause.text or "").strip() for cause in result.findall(f"{{{names.NAMESPACE}}}cause")]
    return " ".join(words)
