"""Every fault of a document, for people: the ``validate`` command and the reports.

lxml decides, xmlschema explains; both run, and a document on which they disagree is itself a
fault. xmlschema is slow (milliseconds) and stays away from the wire.
"""

from __future__ import annotations

from functools import cache
from itertools import islice
from typing import Any, Final

from lxml import etree

from acm_sip.codec import names, xml
from acm_sip.codec.body import BodyPart, decode_body
from acm_sip.codec.faults import Fault, InvalidXml, bounded
from acm_sip.codec.schemas import SchemaName, find_first_fault, schema_path
from acm_sip.codec.ue_init_config import DocumentMode, find_faults
from acm_sip.errors import Refused

__all__ = ["explain", "is_valid_by_xmlschema"]

_MAX_FAULTS: Final = 20  # ours: what one person reads at a time


def explain(octets: bytes, *, document_mode: DocumentMode = "strict") -> tuple[Fault, ...]:
    """Return what is wrong with an ACM body or a UE initial configuration document.

    The root element tells which of the two it is. () means valid. Never raises on what the
    octets hold.
    """
    try:
        root = xml.parse(octets)
    except InvalidXml as error:
        return (error.fault,)
    if root.tag == names.UE_INIT_CONFIG_ROOT:
        return _explain_document(root, octets, document_mode)
    if root.tag == names.ACM_INFO:
        return _explain_body(root, octets, document_mode)
    known = "acm-info nor mcptt-UE-initial-configuration"
    return (Fault(root.sourceline, xml.path_of(root), "root", f"the root is neither {known}"),)


def is_valid_by_xmlschema(root: etree._Element, name: SchemaName) -> bool:
    """Ask the second referee alone.

    # Its is_valid() may raise errors of the interpreter on odd values: these mean "not valid".
    """
    try:
        return next(_schema(name).iter_errors(root), None) is None
    except (OverflowError, KeyError, RecursionError, ValueError):
        return False


def _explain_body(
    root: etree._Element, octets: bytes, document_mode: DocumentMode
) -> tuple[Fault, ...]:
    faults = _judge_twice(root, octets, SchemaName.ACM_INFO)
    if faults:
        return faults
    try:
        decoded = decode_body([BodyPart(names.MEDIA_TYPE, octets)], document_mode=document_mode)
    except Refused as error:
        path, separator, message = error.text.partition(": ")
        if not separator:
            path, message = xml.path_of(root), error.text
        return (Fault(_line_of(root, path), path, "envelope", message),)
    if not decoded.document_faults:
        return ()
    document = root[0].find(
        f"{{*}}mc-service-ue-initial-configuration-data/{names.UE_INIT_CONFIG_ROOT}"
    )
    if document is None or document_mode == "report":
        return decoded.document_faults
    by_schema = _judge_twice(document, xml.serialize(document), SchemaName.UE_INIT_CONFIG)
    return by_schema + tuple(_named_rules(decoded.document_faults))


def _explain_document(
    root: etree._Element, octets: bytes, document_mode: DocumentMode
) -> tuple[Fault, ...]:
    faults = find_faults(octets, document_mode)
    if document_mode == "report":
        return faults
    return _judge_twice(root, octets, SchemaName.UE_INIT_CONFIG) + tuple(_named_rules(faults))


def _named_rules(faults: tuple[Fault, ...]) -> list[Fault]:
    return [fault for fault in faults if not fault.rule.startswith(("xsd-", "cvc-"))]


def _judge_twice(root: etree._Element, octets: bytes, name: SchemaName) -> tuple[Fault, ...]:
    """Return xmlschema's faults, or lxml's where it alone objects."""
    deciding = find_first_fault(root, octets, name)
    explained = _explain_by_xmlschema(root, name)
    if (deciding is None) == (not explained):
        return explained
    if deciding is not None and _is_known_leniency(deciding):
        return (deciding,)
    message = f"lxml says {deciding or 'valid'}; xmlschema says {explained[:1] or 'valid'}"
    place = Fault(root.sourceline, xml.path_of(root), "validators-disagree", bounded(message))
    return (*explained, *(() if deciding is None else (deciding,)), place)


def _is_known_leniency(fault: Fault) -> bool:
    """Tell what xmlschema lets pass: any text as xs:anyURI, text where no child has to be."""
    return "'xs:anyURI'" in fault.message or fault.rule == "cvc-complex-type-2-3"


def _explain_by_xmlschema(root: etree._Element, name: SchemaName) -> tuple[Fault, ...]:
    faults: list[Fault] = []
    try:
        for error in islice(_schema(name).iter_errors(root), _MAX_FAULTS):
            element = error.elem if isinstance(error.elem, etree._Element) else root
            rule = f"xsd-{type(error.validator).__name__.removeprefix('Xsd').lower()}"
            message = bounded(str(error.reason))
            faults.append(Fault(element.sourceline, xml.path_of(element), rule, message))
    except (OverflowError, KeyError, RecursionError, ValueError) as error:
        message = f"xmlschema gave up: {type(error).__name__}"
        faults.append(Fault(root.sourceline, xml.path_of(root), "xsd-unreadable", message))
    return tuple(faults)


@cache
def _schema(name: SchemaName) -> Any:  # its annotations do not know lxml
    import xmlschema  # noqa: PLC0415 - 0.4 s that a server or client saves at its start

    return xmlschema.XMLSchema10(str(schema_path(name)), allow="local")


def _line_of(root: etree._Element, path: str) -> int | None:
    for element in root.iter(etree.Element):
        if xml.path_of(element) == path:
            return element.sourceline
    return None
