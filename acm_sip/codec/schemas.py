"""The catalogue over the XSDs: compiled once per thread, found in wheel and checkout alike.

lxml decides on the wire. Its error report grows with the square of the number of siblings that
are wrong, so a large document is validated while it is parsed and given up at the first error;
the first error is all that the wire is told anyway.
"""

from __future__ import annotations

import re
from enum import Enum
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Final

from lxml import etree

from acm_sip.codec import xml
from acm_sip.codec.faults import Fault, InvalidXml, bounded

__all__ = ["SchemaName", "find_first_fault", "parse_valid", "schema_path"]

_CHUNK_OCTETS: Final = 8192  # ours: what is parsed beyond the first error, at the most
_NAMESPACE_IN_MESSAGE: Final = re.compile(r"\{[^{}]*\}")


class SchemaName(Enum):
    """The schemas of this package, by file name."""

    ACM_INFO = "mcs-acm-info.xsd"
    UE_INIT_CONFIG = "ue-init-config.xsd"


@cache
def schema_path(name: SchemaName) -> Path:
    """Return where a schema lies: beside the modules in a wheel, at the top of a checkout."""
    packaged = Path(str(files("acm_sip"))) / "schemas" / name.value
    if packaged.is_file():
        return packaged
    return Path(__file__).parents[2] / "schemas" / name.value


def get_schema(name: SchemaName) -> etree.XMLSchema:
    """Return this thread's compiled schema."""
    schema = xml.PER_THREAD.schemas.get(name.value)
    if schema is None:
        parser = etree.XMLParser(no_network=True, resolve_entities=False)
        schema = etree.XMLSchema(etree.parse(schema_path(name), parser))
        xml.PER_THREAD.schemas[name.value] = schema
    return schema


def parse_valid(octets: bytes, name: SchemaName) -> etree._Element:
    """Parse a document and check it against its schema.

    :raises InvalidXml: with the first fault.
    """
    if _is_large(octets):
        return _parse_while_validating(octets, name)
    root = xml.parse(octets)
    fault = _first_fault(root, name)
    if fault is not None:
        raise InvalidXml(fault)
    return root


def find_first_fault(element: etree._Element, octets: bytes, name: SchemaName) -> Fault | None:
    """Check an element that is already parsed; None when it is valid.

    :param octets: the element as a document of its own, for the case that it is large.
    """
    if _is_large(octets):
        try:
            _parse_while_validating(octets, name)
        except InvalidXml as error:
            return error.fault
        return None
    return _first_fault(element, name)


def _is_large(octets: bytes) -> bool:
    return octets.count(b"<") > xml.LARGE_DOCUMENT_TAGS


def _first_fault(element: etree._Element, name: SchemaName) -> Fault | None:
    schema = get_schema(name)
    if schema.validate(element):
        return None
    return _read_entry(schema.error_log[0], element)


def _read_entry(entry: etree._LogEntry, element: etree._Element) -> Fault:
    place = _follow(entry.path or "", element)
    message = _NAMESPACE_IN_MESSAGE.sub("", entry.message)
    rule = entry.type_name.removeprefix("SCHEMAV_").lower().replace("_", "-")
    if not rule.startswith("cvc-"):
        rule = f"xsd-{rule}"
    return Fault(entry.line or None, xml.path_of(place), rule, bounded(message))


def _follow(path: str, element: etree._Element) -> etree._Element:
    """Follow a path of libxml2, ``/*/*[4]/p:name[2]``, which starts at what was validated.

    It is no XPath that could be evaluated: its prefixes are those of the places it passes.
    """
    for step in path.split("/")[2:]:
        name, _, position = step.partition("[")
        children = [child for child in element if name in ("*", _prefixed_name(child))]
        index = int(position.removesuffix("]")) - 1 if position else 0
        if index >= len(children):
            break
        element = children[index]
    return element


def _prefixed_name(element: etree._Element) -> str:
    name = xml.local_name(element)
    return f"{element.prefix}:{name}" if element.prefix else name


def _parse_while_validating(octets: bytes, name: SchemaName) -> etree._Element:
    xml.check_before_parsing(octets)
    parser = xml.new_parser(schema=get_schema(name))
    try:
        for start in range(0, len(octets), _CHUNK_OCTETS):
            parser.feed(octets[start : start + _CHUNK_OCTETS])
            if len(parser.feed_error_log):
                raise InvalidXml(_locate(parser, octets[: start + _CHUNK_OCTETS], name))
        root: etree._Element | None = parser.close()
    except etree.XMLSyntaxError as error:
        if len(parser.feed_error_log) == 0:
            raise InvalidXml(xml.fault_of(error)) from None
        raise InvalidXml(_locate(parser, octets, name)) from None
    if root is None:  # the parser gave up without a word
        raise InvalidXml(Fault(None, "/", "well-formed", "this is not an XML document"))
    xml.check_declaration(root)
    return root


def _locate(parser: etree.XMLParser, prefix: bytes, name: SchemaName) -> Fault:
    """Name the first fault of a large document.

    :param prefix: what was read of it; it ends at most one chunk behind the fault, so that a
        report over the prefix is short.
    """
    entry = parser.feed_error_log[0]
    if entry.domain_name != "SCHEMASV":
        return Fault(entry.line or None, "/", "well-formed", bounded(entry.message))
    root = etree.fromstring(prefix, xml.new_parser(recover=True))
    fault = None if root is None else _first_fault(root, name)
    return fault or _read_entry(entry, etree.Element("unknown"))
