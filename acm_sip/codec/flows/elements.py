"""Reading and writing the elements of which information flows are made.

Identities follow the contentType idiom of TS 24.379 Annex F. A protected identity (type
"Encrypted", or a foreign element in place of mcsURI) is valid XML, and the procedure refuses it
until protection is built. Each identity is read again as a SIP URI: both validators accept
control characters inside xs:anyURI.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final, TypeVar, cast

from lxml import etree

from acm_sip.codec import xml
from acm_sip.codec.faults import InvalidXml
from acm_sip.codec.flows.result import Outcome, Result, collapse
from acm_sip.codec.names import ACM_INFO, NAMESPACE, UE_INIT_CONFIG_ROOT, XML_LANG
from acm_sip.errors import (
    BODY_INVALID,
    FORBIDDEN,
    LocalProtocolError,
    Refused,
    RemoteProtocolError,
)
from acm_sip.identities import AcmTransactionId, FunctionalAlias, McServiceId, SipIdentity

__all__ = ["FlowElement", "FlowWriter", "format_instant", "read_identity"]

_ACM: Final = f"{{{NAMESPACE}}}"
_MCS_URI: Final = f"{_ACM}mcsURI"
_ANY_EXT: Final = f"{_ACM}anyExt"
_ITEM: Final = f"{_ACM}mc-service-id"
_XML_SPACE: Final = " \t\r\n"  # not what str.strip() takes for space

_Identity = TypeVar("_Identity", bound=SipIdentity)


def read_identity(element: etree._Element, kind: type[_Identity]) -> _Identity:
    """Read an identity from an element of contentType.

    :raises Refused: FORBIDDEN for a protected identity, BODY_INVALID for what is no SIP URI.
    """
    content = element[0]
    if content.tag != _MCS_URI or element.get("type") == "Encrypted":
        if content.tag == _ANY_EXT:
            raise _invalid(element, "an identity must be in mcsURI")
        raise Refused(FORBIDDEN, f"{xml.path_of(element)}: protected identities are not supported")
    try:
        identity: _Identity = _make_identity(
            cast("Any", kind), (content.text or "").strip(_XML_SPACE)
        )
    except RemoteProtocolError as error:
        raise _invalid(content, error.text) from None
    return identity


@lru_cache(maxsize=4096)  # ours: the users of a busy server; identities are frozen
def _make_identity(kind: Any, text: str) -> Any:
    return kind(text)


class FlowElement:
    """Typed reading of the children of one element that is valid by the schema.

    :param element: a flow, or an element inside one.
    """

    __slots__ = ("_children", "_foreign", "element")

    def __init__(self, element: etree._Element) -> None:
        self.element = element
        self._foreign: list[etree._Element] = []
        self._children: dict[str, etree._Element] = {}
        for child in element:
            tag = str(child.tag)
            if tag.startswith(_ACM):
                self._children[tag] = child
            else:
                self._foreign.append(child)

    @property
    def extensions(self) -> tuple[bytes, ...]:
        """The foreign children in exclusive canonical form."""
        return tuple(map(xml.canonicalize, self._foreign))

    @property
    def any_ext(self) -> bytes | None:
        """The element anyExt in exclusive canonical form."""
        child = self._children.get(_ANY_EXT)
        return None if child is None else xml.canonicalize(child)

    def child(self, name: str) -> etree._Element | None:
        """Return a child of the ACM namespace, or None when it is absent."""
        return self._children.get(_ACM + name)

    def token(self, name: str) -> str | None:
        """Return the text of a child with white space collapsed, or None when it is absent."""
        child = self._children.get(_ACM + name)
        return None if child is None else collapse(child.text or "")

    def transaction_id(self) -> AcmTransactionId:
        """Read acm-transaction-id."""
        element = self._children[_ACM + "acm-transaction-id"]
        try:
            return AcmTransactionId((element.text or "").strip(_XML_SPACE))
        except RemoteProtocolError as error:
            raise _invalid(element, error.text) from None

    def mc_service_id(self, name: str) -> McServiceId:
        """Read a mandatory MC service ID."""
        return read_identity(self._children[_ACM + name], McServiceId)

    def optional_mc_service_id(self, name: str) -> McServiceId | None:
        """Read an optional MC service ID."""
        child = self._children.get(_ACM + name)
        return None if child is None else read_identity(child, McServiceId)

    def functional_alias(self, name: str) -> FunctionalAlias | None:
        """Read an optional functional alias."""
        child = self._children.get(_ACM + name)
        return None if child is None else read_identity(child, FunctionalAlias)

    def mc_service_id_list(self) -> tuple[McServiceId, ...]:
        """Read the list of MC service IDs; () when it is absent.

        :raises Refused: a user is listed twice (judged after the comparison of identities).
        """
        child = self._children.get(_ACM + "mc-service-id-list")
        if child is None:
            return ()
        identities = [read_identity(item, McServiceId) for item in child.iterchildren(_ITEM)]
        if len(set(identities)) != len(identities):
            raise _listed_twice(child, identities)
        return tuple(identities)

    def instant(self, name: str) -> datetime | None:
        """Read an optional UTC instant."""
        child = self._children.get(_ACM + name)
        if child is None:
            return None
        try:
            return datetime.fromisoformat((child.text or "").strip(_XML_SPACE)).astimezone(UTC)
        except ValueError:  # valid for xs:dateTime, beyond datetime: 24:00:00, year 9999 and on
            raise _invalid(child, "this instant cannot be represented") from None

    def result(self) -> Result:
        """Read the mandatory result."""
        inner = FlowElement(self._children[_ACM + "result"])
        text = inner.child("text")
        return Result(
            outcome=Outcome.FAILURE if inner.child("failure") is not None else Outcome.SUCCESS,
            cause=inner.token("cause"),
            mc_service_ids=inner.mc_service_id_list(),
            text=None if text is None else text.text or "",
            language=None if text is None else _language(text),
        )


class FlowWriter:
    """Builds the document of one information flow.

    Documents and extensions are spliced in as octets: moving nodes between trees would drop
    namespace declarations that only a QName in a value (xsi:type) needs. The envelope uses a
    prefix, so that what is spliced in inherits no default namespace.
    """

    __slots__ = ("_flow", "_root", "_splices")

    def __init__(self, element_name: str, acm_transaction_id: AcmTransactionId) -> None:
        self._root = etree.Element(ACM_INFO, nsmap={"acm": NAMESPACE})
        self._splices: list[bytes] = []
        self._flow = etree.SubElement(self._root, _ACM + element_name)
        self.text("acm-transaction-id", str(acm_transaction_id))

    def extensions(self, extensions: Sequence[bytes], any_ext: bytes | None) -> None:
        """Write what a flow ends with: foreign elements, then anyExt."""
        for extension in extensions:
            self._append(extension, "an extension")
        if any_ext is not None:
            self._append(any_ext, "anyExt")

    def octets(self) -> bytes:
        """Return the document."""
        return xml.splice(self._root, self._splices)

    def text(self, name: str, text: str, parent: etree._Element | None = None) -> etree._Element:
        """Write an element with a text.

        :raises LocalProtocolError: the text has a character that XML cannot carry.
        """
        element: etree._Element = etree.SubElement(
            self._flow if parent is None else parent, _ACM + name
        )
        try:
            element.text = text
        except ValueError:
            raise LocalProtocolError(f"XML cannot carry the text of {name}") from None
        return element

    def identity(
        self, name: str, identity: SipIdentity | None, parent: etree._Element | None = None
    ) -> None:
        """Write an identity in the contentType idiom, if there is one."""
        if identity is not None:
            element = etree.SubElement(self._flow if parent is None else parent, _ACM + name)
            self.text("mcsURI", str(identity), element)

    def mc_service_id_list(
        self, identities: Sequence[McServiceId], parent: etree._Element | None = None
    ) -> None:
        """Write the list of MC service IDs."""
        element = etree.SubElement(
            self._flow if parent is None else parent, _ACM + "mc-service-id-list"
        )
        for identity in identities:
            self.identity("mc-service-id", identity, element)

    def ue_initial_configuration(self, name: str, octets: bytes) -> None:
        """Write the element that holds a document of TS 24.484 7.2.

        :raises LocalProtocolError: the octets are no such document.
        """
        parent = etree.SubElement(self._flow, _ACM + name)
        if self._append(octets, name, parent) != UE_INIT_CONFIG_ROOT:
            raise LocalProtocolError(f"{name} is no UE initial configuration document")

    def result(self, result: Result) -> None:
        """Write the result."""
        element = etree.SubElement(self._flow, _ACM + "result")
        etree.SubElement(element, _ACM + result.outcome.value)
        if result.cause is not None:
            self.text("cause", result.cause, element)
        if result.mc_service_ids:
            self.mc_service_id_list(result.mc_service_ids, element)
        if result.text is not None:
            text = self.text("text", result.text, element)
            if result.language is not None:
                text.set(XML_LANG, result.language)

    def _append(self, octets: bytes, name: str, parent: etree._Element | None = None) -> str:
        try:
            element = xml.parse(octets, keep_comments=True)
        except InvalidXml as error:
            raise LocalProtocolError(f"{name} is no XML: {error.text}") from None
        (self._flow if parent is None else parent).append(xml.placeholder(len(self._splices)))
        self._splices.append(xml.serialize(element))
        return str(element.tag)


def format_instant(instant: datetime) -> str:
    """Write an aware instant as UTC with Z, in microseconds where it has them."""
    return instant.astimezone(UTC).isoformat().removesuffix("+00:00") + "Z"


def _language(element: etree._Element) -> str | None:
    language = element.get(XML_LANG)
    return None if language is None else language.strip(_XML_SPACE)


def _invalid(element: etree._Element, message: str) -> Refused:
    return Refused(BODY_INVALID, f"{xml.path_of(element)}: {message}")


def _listed_twice(parent: etree._Element, identities: Sequence[McServiceId]) -> Refused:
    first_seen: dict[McServiceId, int] = {}
    for position, identity in enumerate(identities, 1):
        earlier = first_seen.setdefault(identity, position)
        if earlier != position:
            message = f"mc-service-id[{position}] is the user of mc-service-id[{earlier}]"
            return _invalid(parent, message)
    raise AssertionError("no user is listed twice")
