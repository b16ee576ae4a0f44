"""The configuration of a server and of a client: TOML, typed, unknown keys refused.

An error names the dotted key, such as ``partners[0].next_hop``. What the procedures need is
given to them as :class:`~acm_sip.procedures.mc_system.McSystem`; nothing below this layer reads
a file.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    model_validator,
)

from acm_sip.codec import names
from acm_sip.codec.flows import FLOWS, AcmRequest, Cause
from acm_sip.errors import ConfigurationError, RemoteProtocolError
from acm_sip.identities import FunctionalAlias, McServiceId, SipIdentity
from acm_sip.procedures.functional_alias import AliasTable
from acm_sip.procedures.mc_system import (
    AliasChoice,
    Handling,
    LocalUser,
    McSystem,
    PartnerSystem,
)
from acm_sip.procedures.registration import RegistrationLimits
from acm_sip.procedures.wire_names import WireNames
from acm_sip.runtime.endpoint import ListenAddress, Peer
from acm_sip.uri import parse_hostport

__all__ = [
    "CaptureSection",
    "ClientConfiguration",
    "ServerConfiguration",
    "load_client_configuration",
    "load_server_configuration",
]

_REQUEST_FLOWS: Final = tuple(name for name, flow in FLOWS.items() if issubclass(flow, AcmRequest))
_DAY_S: Final = 86_400.0


def _sip_identity(value: Any) -> SipIdentity:
    return _identity(SipIdentity, value)


def _mc_service_id(value: Any) -> McServiceId:
    return _identity(McServiceId, value)


_AnyIdentity = TypeVar("_AnyIdentity", bound=SipIdentity)


def _identity(kind: type[_AnyIdentity], value: Any) -> _AnyIdentity:
    if isinstance(value, kind):
        return value
    if not isinstance(value, str):
        raise ValueError("a SIP URI in quotes is expected")
    try:
        return kind(value)
    except RemoteProtocolError as error:
        raise ValueError(error.text) from None


def _listen_address(value: Any) -> ListenAddress:
    if isinstance(value, str) and value.endswith(":0"):
        # The system chooses; elsewhere no port is 0.
        transport, host, _ = _transport_address(value[:-1] + "1")
        return ListenAddress(transport, host, 0)
    transport, host, port = _transport_address(value)
    return ListenAddress(transport, host, port)


def _peer(value: Any) -> Peer:
    transport, host, port = _transport_address(value)
    return Peer(transport, host, port)


def _transport_address(value: Any) -> tuple[Literal["UDP", "TCP"], str, int]:
    form = 'a string like "tcp:192.0.2.1:5060" or "udp:[2001:db8::1]:5060" is expected'
    if not isinstance(value, str):
        raise ValueError(form)
    kind, _, address = value.partition(":")
    try:
        host, port = parse_hostport(address)
    except RemoteProtocolError:
        raise ValueError(form) from None
    if port is None or kind not in {"udp", "tcp"}:
        raise ValueError(form)
    return ("UDP" if kind == "udp" else "TCP"), host.strip("[]"), port


def _request_flow(value: Any) -> str:
    if value not in _REQUEST_FLOWS:
        raise ValueError(f"no ACM request; known: {', '.join(_REQUEST_FLOWS)}")
    return str(value)


def _ip_address(value: Any) -> str:
    try:
        return str(ip_address(value))
    except ValueError:
        raise ValueError("an IP address in quotes is expected") from None


def _cause(value: Any) -> str:
    if not isinstance(value, str) or not value or value != " ".join(value.split()):
        raise ValueError("a token such as " + Cause.LOCAL_POLICY.value)
    return value


Identity = Annotated[SipIdentity, BeforeValidator(_sip_identity)]
UserId = Annotated[McServiceId, BeforeValidator(_mc_service_id)]
Listen = Annotated[ListenAddress, BeforeValidator(_listen_address)]
NextHop = Annotated[Peer, BeforeValidator(_peer)]
RequestFlow = Annotated[str, BeforeValidator(_request_flow)]
Address = Annotated[str, BeforeValidator(_ip_address)]
CauseToken = Annotated[str, BeforeValidator(_cause)]
MediaTypeName = Annotated[str, Field(pattern=r"^[a-z0-9.+-]+/[a-z0-9.+-]+$")]
Icsi = Annotated[str, Field(pattern=r"^urn:urn-7:[A-Za-z0-9._-]+$")]
Domain = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$")]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


class SystemSection(_Section):
    """The own MC system."""

    name: str
    psi: Identity
    mc_service_id: UserId
    domains: tuple[Domain, ...] = Field(min_length=1)
    alias_domains: tuple[Domain, ...] | None = None
    alias_choice: AliasChoice = AliasChoice.ROUND_ROBIN

    @property
    def domains_of_aliases(self) -> tuple[str, ...]:
        """The domains of its functional aliases: its domains where nothing else is said."""
        return self.domains if self.alias_domains is None else self.alias_domains


class SipSection(_Section):
    """Where to listen, and whom to believe."""

    listen: tuple[Listen, ...] = Field(min_length=1)
    client_authentication: Literal["none"]
    trusted_proxies: tuple[Address, ...] = ()
    clients_accept_large_datagrams: bool = False
    transaction_capacity: PositiveInt = 100_000


class RegistrationSection(_Section):
    """What the registrar grants, in seconds."""

    shortest_s: PositiveInt = 10
    usual_s: PositiveInt = 600
    longest_s: PositiveInt = 3600

    @model_validator(mode="after")
    def _in_order(self) -> RegistrationSection:
        if not self.shortest_s <= self.usual_s <= self.longest_s:
            raise ValueError("shortest_s, usual_s and longest_s must be in this order")
        return self


class TransactionsSection(_Section):
    """How long ACM transactions live, in seconds."""

    request_expiry_s: PositiveFloat = _DAY_S
    longest_expiry_s: PositiveFloat = 30 * _DAY_S
    response_deadline_s: PositiveFloat = _DAY_S
    retention_s: PositiveFloat = 3 * _DAY_S
    document_mode: Literal["strict", "report"] = "strict"
    both_targets: Literal["prefer-mc-service-id", "refuse"] = "prefer-mc-service-id"

    @model_validator(mode="after")
    def _retention_is_longest(self) -> TransactionsSection:
        # A repeat must find its transaction for as long as anybody may send it.
        if self.retention_s < self.response_deadline_s + _DAY_S:
            raise ValueError("retention_s must be at least response_deadline_s plus a day")
        return self


class StoreSection(_Section):
    """Where the store is."""

    path: Path
    synchronous: Literal["full"] = "full"


class CaptureSection(_Section):
    """Where to record everything that is sent and received."""

    path: Path
    only_sent: bool = False


class LogSection(_Section):
    """How much to log, and in which form."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["console", "json"] = "console"


class NamesSection(_Section):
    """The provisional names of ACM on the wire, where a system under test chose others."""

    media_type: MediaTypeName = names.MEDIA_TYPE
    icsi: dict[Literal["mcptt", "mcvideo", "mcdata"], Icsi] = {}

    def wire_names(self) -> WireNames:
        """Return the names as the procedures use them."""
        return WireNames(self.media_type, tuple(self.icsi.items()))


class UserSection(_Section):
    """A user of the own MC system."""

    public_identity: Identity
    mc_service_ids: tuple[UserId, ...] = Field(min_length=1)
    may_request: tuple[RequestFlow, ...] = ()
    may_answer: tuple[RequestFlow, ...] = ()


class PartnerSection(_Section):
    """A partner MC system."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    psi: Identity
    domains: tuple[Domain, ...] = Field(min_length=1)
    alias_domains: tuple[Domain, ...] | None = None
    next_hop: NextHop
    accepts_large_datagrams: bool = False
    addresses: tuple[Address, ...] = ()
    window: PositiveInt = 1
    migrating_users: tuple[UserId, ...] = ()
    handling: Handling = Handling.ASK
    reject_cause: CauseToken = Cause.LOCAL_POLICY.value

    @model_validator(mode="after")
    def _window_needs_a_connection(self) -> PartnerSection:
        # RFC 3428 8: on UDP nothing but the answer says that the peer keeps up.
        if self.window > 1 and self.next_hop.transport == "UDP":
            raise ValueError("window above 1 needs a next_hop over tcp")
        return self

    @model_validator(mode="after")
    def _addresses_are_known(self) -> PartnerSection:
        if not self.addresses:
            try:
                ip_address(self.next_hop.host)
            except ValueError:
                raise ValueError("addresses is needed where next_hop is a name") from None
        return self

    @property
    def domains_of_aliases(self) -> tuple[str, ...]:
        """The domains of its functional aliases: its domains where nothing else is said."""
        return self.domains if self.alias_domains is None else self.alias_domains

    @property
    def source_addresses(self) -> frozenset[str]:
        """Where its requests come from; from its next hop where nothing else is said."""
        return frozenset(self.addresses or (str(ip_address(self.next_hop.host)),))

    @property
    def peer(self) -> Peer:
        """The next hop towards its ACM server."""
        hop = self.next_hop
        return Peer(hop.transport, hop.host, hop.port, self.accepts_large_datagrams)


class ServerConfiguration(_Section):
    """Everything that ``acm-sip serve`` needs."""

    system: SystemSection
    sip: SipSection
    store: StoreSection
    registration: RegistrationSection = RegistrationSection()
    transactions: TransactionsSection = TransactionsSection()
    capture: CaptureSection | None = None
    log: LogSection = LogSection()
    names: NamesSection = NamesSection()
    users: tuple[UserSection, ...] = ()
    partners: tuple[PartnerSection, ...] = ()
    functional_aliases: dict[str, tuple[UserId, ...]] = {}

    @model_validator(mode="after")
    def _agree(self) -> ServerConfiguration:
        self._check_domains()
        identities = [user.public_identity.canonical for user in self.users]
        _refuse_duplicates("users", "public_identity", identities)
        _refuse_duplicates("partners", "name", [partner.name for partner in self.partners])
        for number, user in enumerate(self.users):
            for mc_service_id in user.mc_service_ids:
                if mc_service_id.domain not in self.system.domains:
                    raise ValueError(
                        f"users[{number}].mc_service_ids: {mc_service_id} is not of system.domains"
                    )
        for alias in self.functional_aliases:
            try:
                _identity(FunctionalAlias, alias)
            except ValueError as error:
                raise ValueError(f'functional_aliases."{alias}": {error}') from None
        return self

    def _check_domains(self) -> None:
        """Every domain belongs to one system, else nobody could say whose user it is."""
        if self.system.mc_service_id.domain not in self.system.domains:
            # A partner would refuse every response that is made in its name.
            raise ValueError(
                f"system.mc_service_id: {self.system.mc_service_id} is not of system.domains"
            )
        systems = [
            ("system", self.system),
            *((f"partners[{number}]", partner) for number, partner in enumerate(self.partners)),
        ]
        for key, attribute in (("domains", "domains"), ("alias_domains", "domains_of_aliases")):
            owner: dict[str, str] = {}
            for name, system in systems:
                for domain in getattr(system, attribute):
                    if domain in owner:
                        raise ValueError(
                            f"{name}.{key}: {domain} belongs to {owner[domain]} already"
                        )
                    owner[domain] = name

    def mc_system(self) -> McSystem:
        """Return the facts that the procedures rest on."""
        system, transactions = self.system, self.transactions
        return McSystem(
            name=system.name,
            psi=system.psi,
            mc_service_id=system.mc_service_id,
            domains=frozenset(system.domains),
            alias_domains=frozenset(system.domains_of_aliases),
            users=tuple(
                LocalUser(
                    user.public_identity,
                    user.mc_service_ids,
                    frozenset(user.may_request),
                    frozenset(user.may_answer),
                )
                for user in self.users
            ),
            partners=tuple(
                PartnerSystem(
                    name=partner.name,
                    psi=partner.psi,
                    domains=frozenset(partner.domains),
                    alias_domains=frozenset(partner.domains_of_aliases),
                    addresses=partner.source_addresses,
                    migrating_users=frozenset(partner.migrating_users),
                    handling=partner.handling,
                    reject_cause=partner.reject_cause,
                )
                for partner in self.partners
            ),
            trusted_proxies=frozenset(self.sip.trusted_proxies),
            alias_choice=system.alias_choice,
            request_expiry_s=transactions.request_expiry_s,
            longest_expiry_s=transactions.longest_expiry_s,
            response_deadline_s=transactions.response_deadline_s,
            document_mode=transactions.document_mode,
            refuses_both_targets=transactions.both_targets == "refuse",
            wire_names=self.names.wire_names(),
        )

    def aliases(self) -> AliasTable:
        """Return the table of functional aliases."""
        return AliasTable(
            {FunctionalAlias(alias): holders for alias, holders in self.functional_aliases.items()}
        )

    def registration_limits(self) -> RegistrationLimits:
        """Return what the registrar grants."""
        section = self.registration
        return RegistrationLimits(section.shortest_s, section.longest_s, section.usual_s)


class ClientSection(_Section):
    """Who the client is, and where its server is."""

    public_identity: Identity
    mc_service_ids: tuple[UserId, ...] = Field(min_length=1)
    service: Literal["mcptt", "mcvideo", "mcdata"] = "mcptt"
    server: Identity
    next_hop: NextHop
    accepts_large_datagrams: bool = False
    registration_s: PositiveInt = 600
    keep_alive_s: PositiveFloat = 95.0
    recovery_base_s: PositiveFloat = 30.0

    @model_validator(mode="after")
    def _udp_needs_large_datagrams(self) -> ClientSection:
        # RFC 3261 18.1.1 sends what is larger than 1,300 octets over TCP, where nobody registered.
        if self.next_hop.transport == "UDP" and not self.accepts_large_datagrams:
            raise ValueError(
                "next_hop over udp needs accepts_large_datagrams = true, and"
                " sip.clients_accept_large_datagrams = true at the server"
            )
        return self

    @property
    def peer(self) -> Peer:
        """The next hop towards the own ACM server."""
        hop = self.next_hop
        return Peer(hop.transport, hop.host, hop.port, self.accepts_large_datagrams)


class ClientConfiguration(_Section):
    """Everything that ``acm-sip update`` and ``acm-sip client`` need."""

    client: ClientSection
    store: StoreSection
    capture: CaptureSection | None = None
    log: LogSection = LogSection(level="warning")
    names: NamesSection = NamesSection()


_Configuration = TypeVar("_Configuration", bound=_Section)


def load_server_configuration(path: Path) -> ServerConfiguration:
    """Read the configuration of a server.

    :raises ConfigurationError: no such file, no TOML, an unknown key, an unusable value.
    """
    return _load(ServerConfiguration, path)


def load_client_configuration(path: Path) -> ClientConfiguration:
    """Read the configuration of a client.

    :raises ConfigurationError: no such file, no TOML, an unknown key, an unusable value.
    """
    return _load(ClientConfiguration, path)


def _load(kind: type[_Configuration], path: Path) -> _Configuration:
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: not TOML: {error}") from None
    return _validate(kind, values, path)


def _validate(kind: type[_Configuration], values: Mapping[str, Any], path: Path) -> _Configuration:
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        entries = error.errors()
        faults = [_fault(entry) for entry in entries if not _is_echo(entry, entries)]
        raise ConfigurationError("\n".join(f"{path}: {fault}" for fault in faults)) from None


def _is_echo(entry: Mapping[str, Any], entries: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether an array is called too short only because its entries are faulty."""
    place = entry["loc"]
    return entry["type"] == "too_short" and any(
        other["loc"][: len(place)] == place for other in entries if other is not entry
    )


def _fault(entry: Mapping[str, Any]) -> str:
    """One fault with its dotted key."""
    key = ""
    for step in entry["loc"]:
        if isinstance(step, int):
            key += f"[{step}]"
        else:
            key += f".{step}" if key else str(step)
    message = str(entry["msg"]).removeprefix("Value error, ")
    if entry["type"] == "extra_forbidden":
        message = "unknown key"
    elif entry["type"] == "missing":
        message = "is missing"
    return f"{key}: {message}" if key else message


def _refuse_duplicates(table: str, key: str, values: list[str]) -> None:
    seen: dict[str, int] = {}
    for number, value in enumerate(values):
        if value in seen:
            raise ValueError(f"{table}[{number}].{key}: the same as in {table}[{seen[value]}]")
        seen[value] = number
