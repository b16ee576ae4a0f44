"""The body of a SIP MESSAGE <-> one information flow of ACM.

What a peer sent is judged in this order: which parts there are (415, 403, 413), the envelope
(400 with path and rule), the identities in it (400, or 403 for protected ones), and last the
TS 24.484 document, whose faults are returned and not raised: the primary ACM server answers
them with 400, the partner ACM server with a failure flow.

A document that comes as a body part of its own is named by a ``cid:`` URI (RFC 2392) in the
attribute ``href`` of the otherwise empty data element (provisional), and is embedded at once:
what is stored and forwarded is always one self-contained document.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

from lxml import etree

from acm_sip.codec import names, xml
from acm_sip.codec.faults import Fault, InvalidXml
from acm_sip.codec.flows import FLOWS, InformationFlow
from acm_sip.codec.flows.elements import FlowElement, FlowWriter
from acm_sip.codec.schemas import SchemaName, parse_valid
from acm_sip.codec.ue_init_config import DocumentMode, judge
from acm_sip.errors import (
    BODY_INVALID,
    BODY_MISSING,
    BODY_TOO_LARGE,
    MEDIA_TYPE_UNSUPPORTED,
    LocalProtocolError,
    Refused,
)

__all__ = [
    "BodyPart",
    "DecodedBody",
    "FlowSummary",
    "decode_body",
    "encode_body",
    "summarize_body",
]

_ACM: Final = f"{{{names.NAMESPACE}}}"
_DATA: Final = "mc-service-ue-initial-configuration-data"
_DATA_FIELD: Final = "mc_service_ue_initial_configuration_data"
# Elements whose text is a value: a comment inside one could hide half of it from a reader.
_VALUES: Final = frozenset(
    f"{_ACM}{name}" for name in ("mcsURI", "acm-transaction-id", "expires-at", "cause")
)
# Foreign parts that MC systems send beside their own body; never a reason to refuse.
_IGNORED_TYPES: Final = frozenset({"application/resource-lists+xml", "application/mikey"})
_IGNORED_TREE: Final = "application/vnd.3gpp."


@dataclass(frozen=True, slots=True)
class BodyPart:
    """One body part of a message, its transfer encoding undone.

    :param media_type: type "/" subtype; parameters are allowed and not looked at.
    :param content_id: with or without angle brackets.
    :param handling_optional: Content-Disposition says handling=optional (RFC 3261 20.11).
    """

    media_type: str
    octets: bytes
    content_id: str | None = None
    handling_optional: bool = False


@dataclass(frozen=True, slots=True)
class DecodedBody:
    """A body that may be acted upon, unless ``document_faults`` says otherwise.

    :param flow: the information flow.
    :param octets: the document as it is to be stored and forwarded.
    :param digest: SHA-256 of the exclusive canonical form of the flow's element.
    :param document_faults: what decides against the TS 24.484 document; () when it may be used.
    :param document_warnings: what is only reported (mode "report").
    :param ignored_parts: media types of the parts that were not looked at.
    """

    flow: InformationFlow
    octets: bytes
    digest: bytes
    document_faults: tuple[Fault, ...] = ()
    document_warnings: tuple[Fault, ...] = ()
    ignored_parts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FlowSummary:
    """What a picture of a capture needs of a body; nothing in it was validated."""

    element_name: str
    acm_transaction_id: str | None


def decode_body(
    parts: Sequence[BodyPart],
    *,
    document_mode: DocumentMode = "strict",
    media_type: str = names.MEDIA_TYPE,
) -> DecodedBody:
    """Read the body of a MESSAGE.

    :param parts: the parts of a multipart/mixed body, or the one body.
    :param media_type: the configured media type of ACM.
    :raises Refused: BODY_MISSING, BODY_INVALID, BODY_TOO_LARGE, MEDIA_TYPE_UNSUPPORTED, or
        FORBIDDEN for a protected identity.
    """
    acm, documents, ignored = _sort_parts(parts, media_type.lower())
    try:
        octets, element = _read_envelope(acm.octets, documents)
    except InvalidXml as error:
        if error.status_code == BODY_TOO_LARGE.status_code:
            raise Refused(BODY_TOO_LARGE, error.text) from None
        raise Refused(BODY_INVALID, str(error.fault)) from None
    flow = _read_flow(element)
    faults: tuple[Fault, ...] = ()
    warnings: tuple[Fault, ...] = ()
    data = element.child(_DATA)
    if data is not None:
        document = getattr(flow, _DATA_FIELD, b"") or xml.serialize(data[0])
        faults, warnings = judge(data[0], document, document_mode)
    digest = hashlib.sha256(xml.canonicalize(element.element)).digest()
    return DecodedBody(flow, octets, digest, faults, warnings, ignored)


def encode_body(flow: InformationFlow) -> bytes:
    """Write the document of a flow; its media type is ``names.MEDIA_TYPE``.

    :raises LocalProtocolError: the flow holds what XML or the envelope cannot carry.
    """
    writer = FlowWriter(flow.element_name, flow.acm_transaction_id)
    flow.write(writer)
    writer.extensions(flow.extensions, flow.any_ext)
    octets = writer.octets()
    if len(octets) > xml.MAX_DOCUMENT_OCTETS:
        raise LocalProtocolError(f"the body has more than {xml.MAX_DOCUMENT_OCTETS} octets")
    return octets


def summarize_body(octets: bytes) -> FlowSummary | None:
    """Name the flow in a body without judging it; None when there is none to be seen."""
    try:
        root = xml.parse(octets)
    except InvalidXml:
        return None
    if root.tag != names.ACM_INFO or not len(root) or not str(root[0].tag).startswith(_ACM):
        return None
    transaction_id = root[0].findtext(f"{_ACM}acm-transaction-id")
    return FlowSummary(xml.local_name(root[0]), transaction_id and transaction_id.strip())


def _sort_parts(
    parts: Sequence[BodyPart], media_type: str
) -> tuple[BodyPart, list[BodyPart], tuple[str, ...]]:
    acm: list[BodyPart] = []
    documents: list[BodyPart] = []
    ignored: list[str] = []
    for part in parts:
        essence = part.media_type.partition(";")[0].strip(" \t").lower()
        if not part.octets:
            continue
        if essence == media_type:
            acm.append(part)
        elif essence == names.UE_INIT_CONFIG_MEDIA_TYPE:
            documents.append(part)
        elif (
            part.handling_optional  # RFC 3261 8.2.3
            or essence in _IGNORED_TYPES
            or essence.startswith(_IGNORED_TREE)
        ):
            ignored.append(essence)
        else:
            raise Refused(MEDIA_TYPE_UNSUPPORTED, f"{essence} is not understood")
    if not acm:
        raise Refused(BODY_MISSING)
    if len(acm) > 1:
        raise Refused(BODY_INVALID, "more than one ACM body part")
    if len(documents) > 1:
        raise Refused(BODY_INVALID, "more than one UE initial configuration body part")
    return acm[0], documents, tuple(ignored)


def _read_envelope(octets: bytes, documents: Sequence[BodyPart]) -> tuple[bytes, FlowElement]:
    root = parse_valid(octets, SchemaName.ACM_INFO)
    if root.tag != names.ACM_INFO:
        raise Refused(BODY_INVALID, f"/{xml.local_name(root)}: the root is not acm-info")
    if xml.may_hold_comments(octets):
        _reject_hidden_text(octets)
    element = FlowElement(root[0])
    data = element.child(_DATA)
    reference = None if data is None else data.get("href")
    if data is not None and len(data):
        if reference is not None or documents:
            raise _data_fault(data, "the document is both embedded and a body part")
    elif data is not None:
        if reference is None:
            raise _data_fault(data, "there is no document and no reference to one")
        return _read_envelope(_embed(root, data, reference, documents), ())
    elif documents:
        raise Refused(BODY_INVALID, "this flow carries no UE initial configuration")
    return octets, element


def _embed(
    root: etree._Element, data: etree._Element, reference: str, documents: Sequence[BodyPart]
) -> bytes:
    wanted = unquote(reference.strip(" \t\r\n")[len("cid:") :])
    for part in documents:
        if (part.content_id or "").strip(" \t").removeprefix("<").removesuffix(">") == wanted:
            document = xml.parse(part.octets)
            del data.attrib["href"]
            data.append(xml.placeholder(0))
            octets = xml.splice(root, [xml.serialize(document)])
            embedded = xml.parse(octets)[0].find(_ACM + _DATA)
            # A document without a default namespace would inherit that of the envelope.
            if embedded is None or xml.canonicalize(embedded[0]) != xml.canonicalize(document):
                raise _data_fault(data, "the document cannot be embedded unchanged")
            return octets
    raise _data_fault(data, "href names no UE initial configuration body part")


def _data_fault(data: etree._Element, message: str) -> Refused:
    return Refused(BODY_INVALID, f"{xml.path_of(data)}: {message}")


def _read_flow(element: FlowElement) -> InformationFlow:
    try:
        return FLOWS[xml.local_name(element.element)].read(element)
    except LocalProtocolError as error:  # a rule of the class that the schema does not have
        raise Refused(BODY_INVALID, f"{xml.path_of(element.element)}: {error}") from None


def _reject_hidden_text(octets: bytes) -> None:
    """Refuse a comment or processing instruction inside a value.

    The parser joins the text around it, and another reader of the same octets may see the first
    half only: alice@mc1<!-- -->.example would be two users.
    """
    root = xml.parse(octets, keep_comments=True)
    for node in root.iter(etree.Comment, etree.ProcessingInstruction):
        parent = node.getparent()
        if parent is not None and parent.tag in _VALUES:
            path = xml.path_of(parent)
            raise Refused(BODY_INVALID, f"{path}: a comment is not allowed inside a value")
