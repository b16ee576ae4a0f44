"""Typed reading of a UE initial configuration document (TS 24.484 7.2.2).

Reading is lenient: it takes what is there and never raises on a missing child, because a
document that passed in mode "report" may lack what this release knows. Equality and digests use
exclusive C14N.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

from lxml import etree

from acm_sip.codec import xml
from acm_sip.codec.names import UE_INIT_CONFIG_NAMESPACE, XML_LANG

__all__ = [
    "LABEL",
    "AppServerInfo",
    "DefaultUserProfile",
    "HomeNetwork",
    "Name",
    "OnNetwork",
    "ServiceDetails",
    "ServiceReferences",
    "UeInitialConfiguration",
    "VisitedNetwork",
    "blank_labels",
    "document_digest",
    "is_equal",
    "read_ue_initial_configuration",
    "without_labels",
]

_UE: Final = f"{{{UE_INIT_CONFIG_NAMESPACE}}}"
LABEL: Final = f"{_UE}mcServiceUELabel"
_XML_SPACE: Final = " \t\r\n"


@dataclass(frozen=True, slots=True)
class Name:
    """A human-readable name of the configuration."""

    text: str
    language: str | None


@dataclass(frozen=True, slots=True)
class DefaultUserProfile:
    """The user profile of a UE before its user is known; the index as it was written."""

    user_id: str
    user_profile_index: str


@dataclass(frozen=True, slots=True)
class ServiceReferences:
    """The APN or DNN references of the three connections (TS 23.280 5.2.7.0).

    :param slices: (element name, S-NSSAI reference) pairs from the extension.
    """

    mcptt: str
    mc_common_core: str
    mc_identity_management: str
    slices: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class VisitedNetwork:
    """A visited PLMN and its connections."""

    plmn: str
    service: ServiceReferences


@dataclass(frozen=True, slots=True)
class HomeNetwork:
    """The home PLMN, its connections, and the PLMNs that may be visited."""

    plmn: str
    service: ServiceReferences
    visited: tuple[VisitedNetwork, ...]


@dataclass(frozen=True, slots=True)
class AppServerInfo:
    """The application plane servers; URIs as they were written, empty when absent."""

    idms_auth_endpoint: str
    idms_token_endpoint: str
    http_proxy: str
    gms: str
    cms: str
    kms: str
    mutual_authentication: bool | None
    lms: str | None = None
    idm_client_id: str | None = None


@dataclass(frozen=True, slots=True)
class ServiceDetails:
    """The public service identity of the participating function of one MC service."""

    service: str
    server_uri: str
    ipv6_required: bool | None


@dataclass(frozen=True, slots=True)
class OnNetwork:
    """What a UE needs to reach the MC system.

    :param timers: (letter and number, value as written) in order.
    """

    home_network: HomeNetwork | None
    app_server_info: AppServerInfo | None
    gms_uri: str
    group_creation_xui: str
    gms_xcap_root_uri: str
    cms_xcap_root_uri: str
    integrity_protection_enabled: bool | None
    confidentiality_protection_enabled: bool | None
    timers: tuple[tuple[str, str], ...]
    service_details: tuple[ServiceDetails, ...]


@dataclass(frozen=True, slots=True)
class UeInitialConfiguration:
    """A UE initial configuration document, whole and read.

    :param octets: the document as it was given.
    :param digest: SHA-256 of its exclusive canonical form.
    :param off_network: (name, value as written) of the off-network timers and counters.
    :param labels: the text of every mcServiceUELabel, in document order.
    """

    octets: bytes
    digest: bytes
    domain: str
    xui_uri: str | None
    instance_id_urn: str | None
    names: tuple[Name, ...]
    ue_ids: tuple[str, ...]
    default_user_profiles: tuple[DefaultUserProfile, ...]
    on_network: OnNetwork | None
    off_network: tuple[tuple[str, str], ...]
    labels: tuple[str, ...]


def read_ue_initial_configuration(octets: bytes) -> UeInitialConfiguration:
    """Read a document; of several on-network elements the first.

    :raises InvalidXml: the octets are not XML, or beyond the limits of a document.
    """
    root = xml.parse(octets)
    on_network = root.find(f"{_UE}on-network")
    off_network = root.find(f"{_UE}off-network")
    return UeInitialConfiguration(
        octets=octets,
        digest=hashlib.sha256(xml.canonicalize(root)).digest(),
        domain=root.get("domain", "").strip(_XML_SPACE),
        xui_uri=root.get("XUI-URI"),
        instance_id_urn=root.get("Instance-ID-URN"),
        names=tuple(
            Name(_own_text(name), name.get(XML_LANG)) for name in root.iterchildren(f"{_UE}name")
        ),
        ue_ids=tuple(_read_ue_ids(root)),
        default_user_profiles=tuple(
            DefaultUserProfile(profile.get("User-ID", ""), profile.get("user-profile-index", ""))
            for profile in root.iterchildren(f"{_UE}Default-user-profile")
        ),
        on_network=None if on_network is None else _read_on_network(on_network),
        off_network=() if off_network is None else _read_values(off_network, "Timers", "Counters"),
        labels=tuple("".join(label.itertext()) for label in root.iter(LABEL)),
    )


def document_digest(octets: bytes) -> bytes:
    """Return the SHA-256 of a document's exclusive canonical form.

    :raises InvalidXml: the octets are not XML.
    """
    return hashlib.sha256(xml.canonicalize(xml.parse(octets))).digest()


def without_labels(octets: bytes) -> bytes:
    """Return a document with every label blank, in exclusive canonical form.

    :raises InvalidXml: the octets are not XML.
    """
    root = xml.parse(octets)
    blank_labels(root)
    return xml.canonicalize(root)


def is_equal(left: bytes, right: bytes, *, ignore_labels: bool = False) -> bool:
    """Tell whether two documents are equal under exclusive C14N.

    :raises InvalidXml: one of them is not XML.
    """
    if ignore_labels:
        return without_labels(left) == without_labels(right)
    return xml.canonicalize(xml.parse(left)) == xml.canonicalize(xml.parse(right))


def blank_labels(root: etree._Element) -> bool:
    """Remove the content of every mcServiceUELabel; attributes stay. Tell whether any had one."""
    changed = False
    for label in list(root.iter(LABEL)):
        if label.text or len(label):
            label.text = None
            del label[:]
            changed = True
    return changed


def _own_text(element: etree._Element | None) -> str:
    return "" if element is None else (element.text or "").strip(_XML_SPACE)


def _child_text(parent: etree._Element, name: str) -> str:
    return _own_text(parent.find(_UE + name))


def _boolean(parent: etree._Element, name: str) -> bool | None:
    return {"true": True, "1": True, "false": False, "0": False}.get(_child_text(parent, name))


def _read_values(parent: etree._Element, *groups: str) -> tuple[tuple[str, str], ...]:
    return tuple(
        (xml.local_name(value), _own_text(value))
        for group in groups
        for value in parent.iterfind(f"{_UE}{group}/{_UE}*")
        if not len(value)
    )


def _read_ue_ids(root: etree._Element) -> list[str]:
    ids: list[str] = []
    for ue_id in root.iterchildren(f"{_UE}mcptt-UE-id"):
        for child in ue_id.iterchildren(f"{_UE}Instance-ID-URN", f"{_UE}IMEI-range"):
            if xml.local_name(child) == "Instance-ID-URN":
                ids.append(_own_text(child))
                continue
            serials = [
                f"{_child_text(serial, 'Low-SNR')}-{_child_text(serial, 'High-SNR')}"
                if xml.local_name(serial) == "SNR-range"
                else _own_text(serial)
                for serial in child.iterchildren(f"{_UE}SNR", f"{_UE}SNR-range")
            ]
            ids.append(f"IMEI {_child_text(child, 'TAC')} {', '.join(serials) or 'any serial'}")
    return ids


def _read_on_network(element: etree._Element) -> OnNetwork:
    home = element.find(f"{_UE}HPLMN")
    servers = element.find(f"{_UE}App-Server-Info")
    return OnNetwork(
        home_network=None if home is None else _read_home_network(home),
        app_server_info=None if servers is None else _read_servers(servers, element),
        gms_uri=_child_text(element, "GMS-URI"),
        group_creation_xui=_child_text(element, "group-creation-XUI"),
        gms_xcap_root_uri=_child_text(element, "GMS-XCAP-root-URI"),
        cms_xcap_root_uri=_child_text(element, "CMS-XCAP-root-URI"),
        integrity_protection_enabled=_boolean(element, "integrity-protection-enabled"),
        confidentiality_protection_enabled=_boolean(element, "confidentiality-protection-enabled"),
        timers=_read_values(element, "Timers"),
        service_details=tuple(
            ServiceDetails(
                xml.local_name(details).removesuffix("-Service-Details"),
                _child_text(details, "Server-URI"),
                _boolean(details, "IPv6-Required"),
            )
            for details in element.iterfind(f"{_UE}anyExt/{_UE}*")
            if xml.local_name(details).endswith("-Service-Details")
        ),
    )


def _read_home_network(element: etree._Element) -> HomeNetwork:
    return HomeNetwork(
        plmn=element.get("PLMN", ""),
        service=_read_service(element),
        visited=tuple(
            VisitedNetwork(visited.get("PLMN", ""), _read_service(visited))
            for visited in element.iterchildren(f"{_UE}VPLMN")
        ),
    )


def _read_service(network: etree._Element) -> ServiceReferences:
    service = network.find(f"{_UE}service")
    if service is None:
        return ServiceReferences("", "", "")
    return ServiceReferences(
        mcptt=_child_text(service, "MCPTT-to-con-ref"),
        mc_common_core=_child_text(service, "MC-common-core-to-con-ref"),
        mc_identity_management=_child_text(service, "MC-ID-to-con-ref"),
        slices=tuple(
            (xml.local_name(reference), _own_text(reference))
            for reference in service.iterfind(f"{_UE}anyExt/{_UE}*")
            if xml.local_name(reference).endswith("-ref-SNSSAI")
        ),
    )


def _read_servers(element: etree._Element, on_network: etree._Element) -> AppServerInfo:
    method = element.find(f"{_UE}tls-tunnel-auth-method")
    return AppServerInfo(
        idms_auth_endpoint=_child_text(element, "idms-auth-endpoint"),
        idms_token_endpoint=_child_text(element, "idms-token-endpoint"),
        http_proxy=_child_text(element, "http-proxy"),
        gms=_child_text(element, "gms"),
        cms=_child_text(element, "cms"),
        kms=_child_text(element, "kms"),
        mutual_authentication=None if method is None else _boolean(method, "mutual-authentication"),
        lms=_extension_text((element, on_network), "lms"),
        idm_client_id=_extension_text((element, on_network), "Idm-Client-Id"),
    )


def _extension_text(parents: tuple[etree._Element, ...], name: str) -> str | None:
    """Read a global element from an anyExt; the schema does not say whose anyExt it is."""
    for parent in parents:
        found = parent.find(f"{_UE}anyExt/{_UE}{name}")
        if found is not None:
            return _own_text(found)
    return None
