"""What would change for a user, in words: two UE initial configuration documents compared."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from acm_sip.codec.ue_init_config.reading import (
    HomeNetwork,
    OnNetwork,
    ServiceReferences,
    UeInitialConfiguration,
)

__all__ = ["Change", "describe_changes"]


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that differs.

    :param path: where it is in the document.
    :param what: the same in words.
    :param old: None when there was nothing; ``new``: None when nothing stays.
    """

    path: str
    what: str
    old: str | None
    new: str | None

    def __str__(self) -> str:
        if self.old is None:
            return f"{self.what}: {self.new} (new)"
        if self.new is None:
            return f"{self.what}: {self.old} (removed)"
        return f"{self.what}: {self.old} -> {self.new}"


_Row = tuple[str, str]  # path, what
_SERVERS: Final = {
    "idms_auth_endpoint": ("idms-auth-endpoint", "identity management, authorization endpoint"),
    "idms_token_endpoint": ("idms-token-endpoint", "identity management, token endpoint"),
    "http_proxy": ("http-proxy", "HTTP proxy"),
    "gms": ("gms", "group management server"),
    "cms": ("cms", "configuration management server"),
    "kms": ("kms", "key management server"),
    "lms": ("anyExt/lms", "location management server"),
    "idm_client_id": ("anyExt/Idm-Client-Id", "client id at the identity management server"),
}
_ON_NETWORK: Final = {
    "gms_uri": ("GMS-URI", "group management server, SIP URI"),
    "group_creation_xui": ("group-creation-XUI", "XUI for the creation of groups"),
    "gms_xcap_root_uri": ("GMS-XCAP-root-URI", "XCAP root of group management"),
    "cms_xcap_root_uri": ("CMS-XCAP-root-URI", "XCAP root of configuration management"),
    "integrity_protection_enabled": ("integrity-protection-enabled", "integrity protection"),
    "confidentiality_protection_enabled": (
        "confidentiality-protection-enabled",
        "confidentiality protection",
    ),
}


def describe_changes(
    old: UeInitialConfiguration | None, new: UeInitialConfiguration
) -> tuple[Change, ...]:
    """Say what differs, in the order of the document; () when nothing does.

    Labels count: where they must not, compare documents whose labels are blank.

    :param old: None when the user has no configuration yet; then all of ``new`` is listed.
    """
    before = {} if old is None else dict(_facts(old))
    after = dict(_facts(new))
    changes = [
        Change(path, what, before.get((path, what)), after.get((path, what)))
        for path, what in dict.fromkeys([*after, *before])
        if before.get((path, what)) != after.get((path, what))
    ]
    if old is not None and not changes and old.digest != new.digest:
        changes.append(
            Change("/", "content that is not read here", old.digest.hex(), new.digest.hex())
        )
    return tuple(changes)


def _facts(document: UeInitialConfiguration) -> Iterator[tuple[_Row, str]]:
    yield ("/@domain", "domain of the MC system"), document.domain
    yield from _optional("/@XUI-URI", "XUI", document.xui_uri)
    yield from _optional("/@Instance-ID-URN", "instance id", document.instance_id_urn)
    for position, name in enumerate(document.names, 1):
        text = name.text if name.language is None else f"{name.text} ({name.language})"
        yield (f"/name[{position}]", f"name {position}"), text
    for position, ue_id in enumerate(document.ue_ids, 1):
        yield (f"/mcptt-UE-id[{position}]", f"UE {position}"), ue_id
    for position, profile in enumerate(document.default_user_profiles, 1):
        row = (f"/Default-user-profile[{position}]", f"default user profile {position}")
        yield row, f"{profile.user_id}, index {profile.user_profile_index}"
    if document.on_network is not None:
        yield from _on_network_facts(document.on_network)
    for timer, value in document.off_network:
        yield (f"/off-network/{timer}", f"off-network timer or counter {timer}"), value
    for position, label in enumerate(document.labels, 1):
        if label:
            yield (f"//mcServiceUELabel[{position}]", f"MC service UE label {position}"), label


def _on_network_facts(on_network: OnNetwork) -> Iterator[tuple[_Row, str]]:
    for name, value in on_network.timers:
        yield (f"/on-network/Timers/{name}", f"timer {name}"), value
    if on_network.home_network is not None:
        yield from _network_facts(on_network.home_network)
    servers = on_network.app_server_info
    if servers is not None:
        for attribute, (path, what) in _SERVERS.items():
            text = getattr(servers, attribute)
            yield from _optional(f"/on-network/App-Server-Info/{path}", what, text)
        yield from _switch(
            "/on-network/App-Server-Info/tls-tunnel-auth-method/mutual-authentication",
            "mutual TLS authentication",
            servers.mutual_authentication,
        )
    for attribute, (path, what) in _ON_NETWORK.items():
        value = getattr(on_network, attribute)
        if isinstance(value, str):
            yield from _optional(f"/on-network/{path}", what, value)
        else:
            yield from _switch(f"/on-network/{path}", what, value)
    for details in on_network.service_details:
        path = f"/on-network/anyExt/{details.service}-Service-Details"
        yield from _optional(f"{path}/Server-URI", f"{details.service} server", details.server_uri)
        yield from _switch(
            f"{path}/IPv6-Required", f"{details.service} server needs IPv6", details.ipv6_required
        )


def _network_facts(home: HomeNetwork) -> Iterator[tuple[_Row, str]]:
    yield ("/on-network/HPLMN/@PLMN", "home network"), home.plmn
    yield from _service_facts("/on-network/HPLMN", "at home", home.service)
    for visited in home.visited:
        path = f"/on-network/HPLMN/VPLMN[@PLMN='{visited.plmn}']"
        yield (path, f"network that may be visited, {visited.plmn}"), "yes"
        yield from _service_facts(path, f"in {visited.plmn}", visited.service)


def _service_facts(path: str, where: str, service: ServiceReferences) -> Iterator[tuple[_Row, str]]:
    for name, what, value in (
        ("MCPTT-to-con-ref", "MC services connection", service.mcptt),
        ("MC-common-core-to-con-ref", "MC common core connection", service.mc_common_core),
        ("MC-ID-to-con-ref", "MC identity connection", service.mc_identity_management),
    ):
        yield from _optional(f"{path}/service/{name}", f"{what} {where}", value)
    for name, value in service.slices:
        yield (f"{path}/service/anyExt/{name}", f"{name} {where}"), value


def _optional(path: str, what: str, text: str | None) -> Iterator[tuple[_Row, str]]:
    if text:
        yield (path, what), text


def _switch(path: str, what: str, value: bool | None) -> Iterator[tuple[_Row, str]]:
    if value is not None:
        yield (path, what), "on" if value else "off"
