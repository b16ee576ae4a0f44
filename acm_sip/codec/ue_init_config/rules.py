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
from ipaddress import ip_address
from typing import Final, Literal

from lxml import etree

from acm_sip.codec import xml
from acm_sip.codec.faults import Fault, InvalidXml, bounded
from acm_sip.codec.names import UE_INIT_CONFIG_NAMESPACE, UE_INIT_CONFIG_ROOT
from acm_sip.codec.schemas import SchemaName, find_first_fault

__all__ = ["RULES", "DocumentMode", "find_faults", "judge"]

DocumentMode = Literal["strict", "report"]

_UE: Final = f"{{{UE_INIT_CONFIG_NAMESPACE}}}"
_MAX_FAULTS: Final = 20  # ours: enough for a person; the wire is told the first only
_XML_SPACE: Final = " \t\r\n"
_PLMN: Final = re.compile(r"[0-9]{5,6}")
_HOST_NAME: Final = re.compile(
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.?"
)
_ABSOLUTE_URI: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:[^\s<>\"{}|\\^`\x00-\x1f\x7f]+")
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
    by_schema = find_first_fault(root, octets, SchemaName.UE_INIT_CONFIG)
    schema_faults = () if by_schema is None else (by_schema,)
    rule_faults = tuple(_apply_rules(root))
    if mode == "strict":
        return (*schema_faults, *rule_faults), ()
    return rule_faults, schema_faults


def _apply_rules(root: etree._Element) -> Iterator[Fault]:
    count = 0
    for check in _CHECKS if root.tag == UE_INIT_CONFIG_ROOT else (_check_root,):
        for element, rule, message in check(root):
            yield Fault(element.sourceline, xml.path_of(element), rule, bounded(message))
            count += 1
            if count == _MAX_FAULTS:
                return


_Finding = tuple[etree._Element, str, str]


def _text(element: etree._Element) -> str:
    return (element.text or "").strip(_XML_SPACE)


def _check_root(root: etree._Element) -> Iterator[_Finding]:
    if root.tag != UE_INIT_CONFIG_ROOT:
        yield root, "root", "the root is not mcptt-UE-initial-configuration"


def _check_domain(root: etree._Element) -> Iterator[_Finding]:
    domain = (root.get("domain") or "").strip(_XML_SPACE)
    if not _is_host(domain):
        yield root, "domain-usable", "the attribute domain is no host name and no address"


def _check_top_level(root: etree._Element) -> Iterator[_Finding]:
    seen: dict[str, int] = {}
    for child in root:
        tag = str(child.tag)
        seen[tag] = seen.get(tag, 0) + 1
        if seen[tag] == 2 and tag in _AT_MOST_ONE:
            rule = f"{xml.local_name(child)}-at-most-one"
            yield child, rule, f"a second {xml.local_name(child)}"
    if f"{_UE}Default-user-profile" not in seen:
        yield root, "default-user-profile-present", "there is no Default-user-profile"
    if f"{_UE}on-network" not in seen:
        yield root, "on-network-present", "there is no on-network"


def _check_on_network(root: etree._Element) -> Iterator[_Finding]:
    on_network = root.find(f"{_UE}on-network")
    if on_network is None:
        return
    children = {child.tag: child for child in on_network}
    for tag in _ON_NETWORK_CHILDREN:
        if tag not in children:
            message = f"there is no {tag.removeprefix(_UE)}"
            yield on_network, "on-network-complete", message
    servers = children.get(f"{_UE}App-Server-Info")
    yield from _check_uris(on_network)
    if servers is not None:
        present = {child.tag for child in servers}
        for tag in _SERVERS:
            if tag not in present:
                message = f"there is no {tag.removeprefix(_UE)}"
                yield servers, "on-network-complete", message
        yield from _check_uris(servers)


def _check_uris(parent: etree._Element) -> Iterator[_Finding]:
    for child in parent:
        if child.tag in _URIS and _ABSOLUTE_URI.fullmatch(_text(child)) is None:
            if child.tag == f"{_UE}http-proxy" and not _text(child):
                continue
            yield child, "server-uri-usable", "this is no absolute URI"


def _check_networks(root: etree._Element) -> Iterator[_Finding]:
    home = root.find(f"{_UE}on-network/{_UE}HPLMN")
    if home is None:
        return
    yield from _check_network(home)
    seen: set[str] = set()
    for visited in home.iterchildren(f"{_UE}VPLMN"):
        yield from _check_network(visited)
        plmn = visited.get("PLMN", "")
        if plmn in seen:
            yield visited, "vplmn-distinct", "a second VPLMN for one PLMN"
        seen.add(plmn)


def _check_network(network: etree._Element) -> Iterator[_Finding]:
    if _PLMN.fullmatch(network.get("PLMN", "")) is None:
        yield network, "plmn-usable", "the attribute PLMN is not five or six digits"
    for reference in network.iterfind(f"{_UE}service/*"):
        if reference.tag in _CONNECTION_REFERENCES and not _text(reference):
            yield reference, "connection-reference-usable", "the connection reference is blank"


def _check_ue_ids(root: etree._Element) -> Iterator[_Finding]:
    for imei_range in root.iterfind(f"{_UE}mcptt-UE-id/{_UE}IMEI-range"):
        for number in imei_range.iter(*_IMEI_NUMBERS):
            if _DIGITS.fullmatch(_text(number)) is None:
                yield number, "imei-digits", "this is not a number of digits"
        for serial_range in imei_range.iterchildren(f"{_UE}SNR-range"):
            low, high = (
                _text(number) if number is not None else ""
                for number in (
                    serial_range.find(f"{_UE}Low-SNR"),
                    serial_range.find(f"{_UE}High-SNR"),
                )
            )
            if _DIGITS.fullmatch(low) and _DIGITS.fullmatch(high) and int(low) > int(high):
                yield serial_range, "serial-number-range-ordered", "Low-SNR is above High-SNR"


def _is_host(text: str) -> bool:
    if len(text) <= 253 and _HOST_NAME.fullmatch(text):  # RFC 1035 2.3.4
        return True
    try:
        ip_address(text.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True


_CHECKS: Final = (
    _check_domain,
    _check_top_level,
    _check_on_network,
    _check_networks,
    _check_ue_ids,
)
_AT_MOST_ONE: Final = frozenset({f"{_UE}on-network", f"{_UE}off-network"})
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
_URIS: Final = frozenset(_SERVERS + _ON_NETWORK_URIS)
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
