"""The rules of a UE initial configuration document that its XSD cannot say.

The schema takes an empty root and two on-network elements; what makes a document usable is in
the prose of TS 24.484 7.2.2 and in what TS 23.280 table A.6-1 wants a UE to know. The prose was
read in excerpts only: rules marked "inferred" below come from the purpose of the document.

================================ ===========================================================
rule                             what it asks
================================ ===========================================================
root                             the root is mcptt-UE-initial-configuration
domain-usable                    @domain is a host name or an address
default-user-profile-present     at least one Default-user-profile
on-network-present               one on-network: without it no server is known (inferred)
on-network-at-most-one           not two on-network elements
off-network-at-most-one          not two off-network elements
on-network-complete              HPLMN, App-Server-Info and the four URIs are there (decisive
                                 in mode "report", where the schema is not)
plmn-usable                      @PLMN is MCC and MNC: five or six digits (TS 23.003 2.2)
vplmn-distinct                   not two VPLMN elements for one PLMN (inferred)
connection-reference-usable      a connection reference is not blank (inferred)
server-uri-usable                a server URI is absolute; http-proxy may be empty, as it is
                                 in the field
serial-number-range-ordered      Low-SNR is not above High-SNR
imei-digits                      TAC and SNR are digits only, though xs:decimal takes more
================================ ===========================================================

In mode ``strict`` the schema and these rules decide. In mode ``report`` these rules alone
decide, so that a document with elements of a later release can pass; what the schema says is
reported.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, Literal

from lxml import etree

from acm_sip.codec import xml
from acm_sip.codec.faults import Fault, InvalidXml, bounded
from acm_sip.codec.names import UE_INIT_CONFIG_NAMESPACE, UE_INIT_CONFIG_ROOT
from acm_sip.codec.schemas import SchemaName, find_first_fault

__all__ = ["RULES", "DocumentMode", "find_faults", "judge"]

DocumentMode = Literal["strict", "report"]
_Finding = tuple[etree._Element, str, str]

_UE: Final = f"{{{UE_INIT_CONFIG_NAMESPACE}}}"
_MAX_REMEMBERED: Final = 64  # ours: with the next line half a megabyte at the most
_MAX_REMEMBERED_OCTETS: Final = 8192
_MAX_FAULTS: Final = 20  # ours: enough for a person; the wire is told the first only
_XML_SPACE: Final = " \t\r\n"
_PLMN: Final = re.compile(r"[0-9]{5,6}")
_HOST_NAME: Final = re.compile(
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.?"
)
# RFC 3986 4.3, with the white space that xs:anyURI collapses.
_ABSOLUTE_URI: Final = re.compile(
    r"[ \t\r\n]*+[A-Za-z][A-Za-z0-9+.\-]*+:[^\s<>\"{}|\\^`\x00-\x1f\x7f]++[ \t\r\n]*+"
)
_DIGITS: Final = re.compile(r"[0-9]{1,8}")


def find_faults(octets: bytes, mode: DocumentMode = "strict") -> tuple[Fault, ...]:
    """Return what decides against a document; () when it may be used.

    At most 20 faults; of the schema's only the first. Never raises on what the octets hold.
    """
    try:
        root = xml.parse(octets)
    except InvalidXml as error:
        return (error.fault,)
    return judge(root, octets, mode)[0]


def judge(
    root: etree._Element, octets: bytes, mode: DocumentMode
) -> tuple[tuple[Fault, ...], tuple[Fault, ...]]:
    """Return the faults that decide, and those that are only reported.

    :param octets: the element as a document of its own.
    """
    approved = xml.PER_THREAD.approved_documents
    if octets in approved:
        return (), ()
    by_schema = find_first_fault(root, octets, SchemaName.UE_INIT_CONFIG)
    schema_faults = () if by_schema is None else (by_schema,)
    rule_faults = tuple(_apply_rules(root))
    if not schema_faults and not rule_faults:
        _remember(octets, approved)
    if mode == "strict":
        return (*schema_faults, *rule_faults), ()
    return rule_faults, schema_faults


def _remember(octets: bytes, approved: dict[bytes, None]) -> None:
    """Keep a document without any fault: the same one comes for many users and at each hop."""
    if len(octets) > _MAX_REMEMBERED_OCTETS:
        return
    if len(approved) >= _MAX_REMEMBERED:
        del approved[next(iter(approved))]
    approved[octets] = None


def _apply_rules(root: etree._Element) -> Iterator[Fault]:
    findings: list[_Finding] = []
    if root.tag == UE_INIT_CONFIG_ROOT:
        _check_document(root, findings)
    else:
        findings.append((root, "root", "the root is not mcptt-UE-initial-configuration"))
    for element, rule, message in findings[:_MAX_FAULTS]:
        yield Fault(element.sourceline, xml.path_of(element), rule, bounded(message))


def _check_document(root: etree._Element, findings: list[_Finding]) -> None:
    if not _is_host((root.get("domain") or "").strip(_XML_SPACE)):
        message = "the attribute domain is no host name and no address"
        findings.append((root, "domain-usable", message))
    seen: dict[str, int] = {}
    for child in root:
        tag = str(child.tag)
        count = seen[tag] = seen.get(tag, 0) + 1
        if tag == _ON_NETWORK:
            if count == 2:
                findings.append((child, "on-network-at-most-one", "a second on-network"))
            elif count == 1:
                _check_on_network(child, findings)
        elif tag == _OFF_NETWORK and count == 2:
            findings.append((child, "off-network-at-most-one", "a second off-network"))
        elif tag == _UE_ID and len(findings) < _MAX_FAULTS:
            _check_ue_id(child, findings)
    if _DEFAULT_USER_PROFILE not in seen:
        message = "there is no Default-user-profile"
        findings.append((root, "default-user-profile-present", message))
    if _ON_NETWORK not in seen:
        findings.append((root, "on-network-present", "there is no on-network"))


def _check_on_network(on_network: etree._Element, findings: list[_Finding]) -> None:
    children = _by_name(on_network)
    _check_complete(on_network, children, _ON_NETWORK_CHILDREN, findings)
    _check_uris(children, _ON_NETWORK_URIS, findings)
    servers = children.get(f"{_UE}App-Server-Info")
    if servers is not None:
        server_uris = _by_name(servers)
        _check_complete(servers, server_uris, _SERVERS, findings)
        _check_uris(server_uris, _SERVERS, findings)
    home = children.get(f"{_UE}HPLMN")
    if home is None:
        return
    _check_network(home, findings)
    seen: set[str] = set()
    for visited in home.iterchildren(f"{_UE}VPLMN"):
        _check_network(visited, findings)
        plmn = visited.get("PLMN", "")
        if plmn in seen:
            findings.append((visited, "vplmn-distinct", "a second VPLMN for one PLMN"))
        seen.add(plmn)


def _by_name(parent: etree._Element) -> dict[str, etree._Element]:
    return {str(child.tag): child for child in parent}


def _check_complete(
    parent: etree._Element,
    children: dict[str, etree._Element],
    wanted: tuple[str, ...],
    findings: list[_Finding],
) -> None:
    for tag in wanted:
        if tag not in children:
            message = f"there is no {tag.removeprefix(_UE)}"
            findings.append((parent, "on-network-complete", message))


def _check_uris(
    children: dict[str, etree._Element], tags: tuple[str, ...], findings: list[_Finding]
) -> None:
    for tag in tags:
        child = children.get(tag)
        if child is None or _ABSOLUTE_URI.fullmatch(child.text or ""):
            continue
        if tag == _HTTP_PROXY and not (child.text or "").strip(_XML_SPACE):
            continue
        findings.append((child, "server-uri-usable", "this is no absolute URI"))


def _check_network(network: etree._Element, findings: list[_Finding]) -> None:
    if _PLMN.fullmatch(network.get("PLMN", "")) is None:
        message = "the attribute PLMN is not five or six digits"
        findings.append((network, "plmn-usable", message))
    service = network.find(f"{_UE}service")
    if service is None:
        return
    for reference in service:
        if reference.tag in _CONNECTION_REFERENCES and not (reference.text or "").strip(_XML_SPACE):
            message = "the connection reference is blank"
            findings.append((reference, "connection-reference-usable", message))


def _check_ue_id(ue_id: etree._Element, findings: list[_Finding]) -> None:
    for imei_range in ue_id.iterchildren(f"{_UE}IMEI-range"):
        for number in imei_range.iter(*_IMEI_NUMBERS):
            if _DIGITS.fullmatch((number.text or "").strip(_XML_SPACE)) is None:
                findings.append((number, "imei-digits", "this is not a number of digits"))
        for serial_range in imei_range.iterchildren(f"{_UE}SNR-range"):
            low = (serial_range.findtext(f"{_UE}Low-SNR") or "").strip(_XML_SPACE)
            high = (serial_range.findtext(f"{_UE}High-SNR") or "").strip(_XML_SPACE)
            if _DIGITS.fullmatch(low) and _DIGITS.fullmatch(high) and int(low) > int(high):
                message = "Low-SNR is above High-SNR"
                findings.append((serial_range, "serial-number-range-ordered", message))


def _is_host(text: str) -> bool:
    # An IPv4 address has the form of a host name; an IPv6 address cannot be an xs:anyURI.
    return len(text) <= 253 and _HOST_NAME.fullmatch(text) is not None  # RFC 1035 2.3.4


_ON_NETWORK: Final = f"{_UE}on-network"
_OFF_NETWORK: Final = f"{_UE}off-network"
_UE_ID: Final = f"{_UE}mcptt-UE-id"
_DEFAULT_USER_PROFILE: Final = f"{_UE}Default-user-profile"
_HTTP_PROXY: Final = f"{_UE}http-proxy"
_IMEI_NUMBERS: Final = tuple(f"{_UE}{name}" for name in ("TAC", "SNR", "Low-SNR", "High-SNR"))
_CONNECTION_REFERENCES: Final = frozenset(
    f"{_UE}{name}" for name in ("MCPTT-to-con-ref", "MC-common-core-to-con-ref", "MC-ID-to-con-ref")
)
_SERVERS: Final = tuple(
    f"{_UE}{name}"
    for name in ("idms-auth-endpoint", "idms-token-endpoint", "http-proxy", "gms", "cms", "kms")
)
_ON_NETWORK_URIS: Final = tuple(
    f"{_UE}{name}"
    for name in ("GMS-URI", "group-creation-XUI", "GMS-XCAP-root-URI", "CMS-XCAP-root-URI")
)
_ON_NETWORK_CHILDREN: Final = (f"{_UE}HPLMN", f"{_UE}App-Server-Info", *_ON_NETWORK_URIS)

RULES: Final = (
    "root",
    "domain-usable",
    "default-user-profile-present",
    "on-network-present",
    "on-network-at-most-one",
    "off-network-at-most-one",
    "on-network-complete",
    "plmn-usable",
    "vplmn-distinct",
    "connection-reference-usable",
    "server-uri-usable",
    "serial-number-range-ordered",
    "imei-digits",
)
"""The names of the rules of this module, stable from release to release."""
