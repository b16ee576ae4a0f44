"""Hardened XML reading and canonical writing.

Only UTF-8, no document type, no entity but the five of XML, nothing fetched, nothing included.
The limits on octets, tags and distinct names are checked before a tree is built; libxml2 itself
ends a document that is deeper than 256 elements while it parses.

Comments and processing instructions carry nothing in ACM and are dropped by the parser, which
joins the text around them. Readers of identities must therefore ask
:func:`may_hold_comments` and refuse an identity that held one: another reader of the same
octets might see only its first half.

Parsers and schemas are kept per thread: lxml keeps a schema's error log inside it, and
every name it ever saw in a dictionary of the thread.

Deliberately absent: XInclude and xsi:schemaLocation are never acted upon; an element of that
kind at an extension point is carried like any other foreign element.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from typing import Final

from lxml import etree

from acm_sip.codec.faults import Fault, InvalidXml, bounded

__all__ = [
    "LARGE_DOCUMENT_TAGS",
    "MAX_DOCUMENT_OCTETS",
    "PER_THREAD",
    "canonicalize",
    "check_before_parsing",
    "check_declaration",
    "fault_of",
    "local_name",
    "may_hold_comments",
    "new_parser",
    "parse",
    "path_of",
    "placeholder",
    "serialize",
    "splice",
]

MAX_DOCUMENT_OCTETS: Final = 1024 * 1024  # ours: the limit of a body
MAX_NAMES: Final = 500  # ours: both schemas together have about 150
MAX_TAGS: Final = 100_000  # ours: more than twice what a list of 10,000 users has
# ours: below this count of tags a whole error report costs less than 20 ms; it grows with the
# square of the number of siblings.
LARGE_DOCUMENT_TAGS: Final = 2000

_XML_SPACE: Final = b" \t\r\n"
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_DOCTYPE: Final = re.compile(
    rb"(?:\xef\xbb\xbf)?"
    rb"(?:[ \t\r\n]++|<\?(?:[^?]++|\?(?!>))*\?>|<!--(?:[^-]++|-(?!->))*-->)*<!DOCTYPE"
)
_PLACEHOLDER: Final = "acm-sip-splice"
_PLACED: Final = re.compile(rb"<\?acm-sip-splice ([0-9]+)\?>")
_NAME: Final = re.compile(rb"<(\??[^\s<>/?=\"'!]+)")
_TAG_WITH_ATTRIBUTES: Final = re.compile(
    rb"<[^\s<>/?=\"'!]++(\s(?:[^<>\"']++|\"[^\"<]*+\"|'[^'<]*+')*)"
)
_ATTRIBUTE: Final = re.compile(rb"(?<![^\s\"'])([^\s=\"']++)\s*+=\s*+(?:\"([^\"]*+)\"|'([^']*+)')")


class _PerThread(threading.local):
    """What lxml wants to have once per thread; threading is used for this only."""

    def __init__(self) -> None:
        self.dropping = new_parser()
        self.keeping = new_parser(keep_comments=True)
        self.schemas: dict[str, etree.XMLSchema] = {}
        self.approved_documents: dict[bytes, None] = {}


def new_parser(
    *, keep_comments: bool = False, schema: etree.XMLSchema | None = None, recover: bool = False
) -> etree.XMLParser:
    """Make a parser that fetches nothing and expands nothing."""
    return etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        attribute_defaults=False,
        huge_tree=False,
        recover=recover,
        remove_comments=not keep_comments,
        remove_pis=not keep_comments,
        strip_cdata=not keep_comments,
        schema=schema,
    )


PER_THREAD: Final = _PerThread()


def parse(octets: bytes, *, keep_comments: bool = False) -> etree._Element:
    """Parse a document and return its root.

    :param keep_comments: for editing: comments, processing instructions and CDATA stay.
    :raises InvalidXml: not well formed, or beyond a limit; status code 413 for too many octets.
    """
    check_before_parsing(octets)
    parser = PER_THREAD.keeping if keep_comments else PER_THREAD.dropping
    try:
        root = etree.fromstring(octets, parser)
    except etree.XMLSyntaxError as error:
        raise InvalidXml(fault_of(error)) from None
    check_declaration(root)
    return root


def check_before_parsing(octets: bytes) -> None:
    """Check what can be checked without building a tree.

    :raises InvalidXml: see :func:`parse`.
    """
    if len(octets) > MAX_DOCUMENT_OCTETS:
        message = f"more than {MAX_DOCUMENT_OCTETS} octets"
        raise InvalidXml(Fault(None, "/", "octets-limit", message), 413)
    # No UTF-8 document has a NUL, every UTF-16 and UTF-32 document does; EBCDIC has no "<" here.
    start = octets[3:4] if octets.startswith(_BYTE_ORDER_MARK) else octets[:1]
    if start != b"<" and not octets.removeprefix(_BYTE_ORDER_MARK).lstrip(_XML_SPACE)[:1] == b"<":
        raise InvalidXml(Fault(1, "/", "well-formed", "this is not an XML document"))
    if b"\0" in octets:
        raise InvalidXml(Fault(1, "/", "encoding", "the encoding is not UTF-8"))
    if b"!DOCTYPE" in octets and _DOCTYPE.match(octets):
        raise InvalidXml(Fault(1, "/", "no-document-type", "a document type is not allowed"))
    tags = octets.count(b"<")
    if tags > MAX_TAGS:
        raise InvalidXml(Fault(None, "/", "tags-limit", f"more than {MAX_TAGS} tags"))
    # Each name stands behind a "<" or before a "=": mostly that bound is answer enough.
    if tags + octets.count(b"=") > MAX_NAMES and _count_names(octets) > MAX_NAMES:
        raise InvalidXml(Fault(None, "/", "names-limit", f"more than {MAX_NAMES} distinct names"))


def check_declaration(root: etree._Element) -> None:
    """Refuse a document type or an encoding that only the parser could see.

    :raises InvalidXml: the document declares either.
    """
    information = root.getroottree().docinfo
    if information.internalDTD is not None or information.doctype:
        raise InvalidXml(Fault(1, "/", "no-document-type", "a document type is not allowed"))
    if (information.encoding or "UTF-8").upper() not in {"UTF-8", "UTF8"}:
        raise InvalidXml(Fault(1, "/", "encoding", "the encoding is not UTF-8"))


def may_hold_comments(octets: bytes) -> bool:
    """Tell whether a document may hold a comment or a processing instruction.

    Exact for a document without; a text or a CDATA section with such octets makes it say True.
    """
    # "!" and "?" are rare, so that these are quicker to look for than what begins with "<".
    if b"!--" in octets:
        return True
    declaration = octets.startswith((b"<?xml ", b"\xef\xbb\xbf<?xml "))
    return octets.count(b"?>") > declaration


def canonicalize(element: etree._Element) -> bytes:
    """Return the exclusive canonical form without comments (xml-exc-c14n) of an element."""
    octets: bytes = etree.tostring(element, method="c14n", exclusive=True, with_comments=False)
    return octets


def serialize(element: etree._Element) -> bytes:
    """Return an element as a document of its own, in UTF-8.

    Every namespace prefix in scope stays declared, so that a QName in a text or an attribute
    value (xsi:type) keeps its meaning; the canonical form would drop it.
    """
    octets: bytes = etree.tostring(
        element, encoding="UTF-8", xml_declaration=False, with_tail=False
    )
    return octets


def placeholder(number: int) -> etree._ProcessingInstruction:
    """Return a node that :func:`splice` replaces; no document read here can hold one."""
    return etree.ProcessingInstruction(_PLACEHOLDER, str(number))


def splice(root: etree._Element, fragments: Sequence[bytes]) -> bytes:
    """Return a document whose placeholders are replaced by fragments, octet for octet.

    :param fragments: elements as documents of their own (:func:`serialize`).
    """
    pieces = _PLACED.split(serialize(root))
    pieces[1::2] = [fragments[int(number)] for number in pieces[1::2]]
    return b"".join(pieces)


def local_name(element: etree._Element) -> str:
    """Return the name of an element without its namespace."""
    tag = str(element.tag)
    return tag[tag.rfind("}") + 1 :]


def path_of(element: etree._Element) -> str:
    """Return the names from the root to an element, numbered among siblings of one name."""
    steps: list[str] = []
    current: etree._Element | None = element
    while current is not None:
        step = local_name(current)
        parent = current.getparent()
        if parent is not None:
            tag = str(current.tag)
            before = sum(1 for _ in current.itersiblings(tag, preceding=True))
            if before or next(current.itersiblings(tag), None) is not None:
                step += f"[{before + 1}]"
        steps.append(step)
        current = parent
    return bounded("/" + "/".join(reversed(steps)))


def fault_of(error: etree.XMLSyntaxError) -> Fault:
    """Say what the parser objected to."""
    return Fault(error.lineno, "/", "well-formed", bounded(str(error.msg)))


def _count_names(octets: bytes) -> int:
    names = set(_NAME.findall(octets))
    for attributes in set(_TAG_WITH_ATTRIBUTES.findall(octets)):
        if len(names) > MAX_NAMES:
            break
        for name, quoted, apostrophed in _ATTRIBUTE.findall(attributes):
            names.add(name)
            if name.startswith(b"xmlns"):  # namespace names are kept as names are
                names.add(quoted or apostrophed)
    return len(names)
