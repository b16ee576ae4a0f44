"""The facts a decision rests on: the own MC system, its users, and its partners.

Filled from the configuration; pure data with the questions that procedures ask of it
(TS 23.280 10.17.6.2, pre-conditions 1 to 3).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from acm_sip.codec.ue_init_config import DocumentMode
from acm_sip.identities import FunctionalAlias, McServiceId, SipIdentity
from acm_sip.procedures.wire_names import USUAL_NAMES, WireNames

__all__ = ["AliasChoice", "Handling", "LocalUser", "McSystem", "PartnerSystem"]

_DAY_S = 86_400.0


class Handling(StrEnum):
    """How a partner ACM server handles what it has verified (TS 23.280 10.17.3)."""

    ACCEPT = "accept"
    REJECT = "reject"
    ASK = "ask"


class AliasChoice(StrEnum):
    """Local policy where an alias is active for several ACM clients (10.17.6.2 step 4)."""

    ROUND_ROBIN = "round-robin"
    PRIORITY = "priority"


@dataclass(frozen=True, slots=True)
class LocalUser:
    """A user of the own MC system.

    :param public_identity: the address-of-record that registers.
    :param mc_service_ids: the MC service IDs that it may speak for; not the same identity.
    :param may_request: element names of the requests it may trigger.
    :param may_answer: element names of the requests it may answer.
    """

    public_identity: SipIdentity
    mc_service_ids: tuple[McServiceId, ...]
    may_request: frozenset[str] = frozenset()
    may_answer: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class PartnerSystem:
    """An MC system that this one is interconnected with.

    :param psi: public service identity of its ACM server.
    :param domains: the domains of its MC service IDs.
    :param alias_domains: the domains of its functional aliases.
    :param addresses: source addresses of its server.
    :param migrating_users: its users known here as migrating users.
    :param handling: what is done with a verified request of theirs.
    :param reject_cause: the cause where ``handling`` is REJECT.
    """

    name: str
    psi: SipIdentity
    domains: frozenset[str]
    alias_domains: frozenset[str] = frozenset()
    addresses: frozenset[str] = frozenset()
    migrating_users: frozenset[McServiceId] = frozenset()
    handling: Handling = Handling.ASK
    reject_cause: str = "local-policy"


@dataclass(frozen=True, slots=True)
class McSystem:
    """The own MC system as its ACM server sees it.

    :param mc_service_id: who handled what no user handled (10.17.2.14 makes the element M).
    :param request_expiry_s: how long a request lives that names no end itself.
    :param longest_expiry_s: a request that wants to live longer is refused.
    :param response_deadline_s: how long after its end a primary server waits for the response.
    :param document_mode: ``strict`` or ``report``: what a fault in a TS 24.484 document does.
    :param refuses_both_targets: refuse a request that names both targets (conformance runs).
    :param wire_names: media type and ICSIs, where they are not the usual ones.
    """

    name: str
    psi: SipIdentity
    mc_service_id: McServiceId
    domains: frozenset[str]
    alias_domains: frozenset[str]
    users: tuple[LocalUser, ...] = ()
    partners: tuple[PartnerSystem, ...] = ()
    trusted_proxies: frozenset[str] = frozenset()
    alias_choice: AliasChoice = AliasChoice.ROUND_ROBIN
    request_expiry_s: float = _DAY_S
    longest_expiry_s: float = 30 * _DAY_S
    response_deadline_s: float = _DAY_S
    document_mode: DocumentMode = "strict"
    refuses_both_targets: bool = False
    wire_names: WireNames = USUAL_NAMES
    _by_public_identity: Mapping[str, LocalUser] = field(init=False, repr=False)
    _by_mc_service_id: Mapping[str, tuple[LocalUser, ...]] = field(init=False, repr=False)
    _by_partner_name: Mapping[str, PartnerSystem] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        by_id: dict[str, tuple[LocalUser, ...]] = {}
        for user in self.users:
            for mc_service_id in user.mc_service_ids:
                key = mc_service_id.canonical
                by_id[key] = (*by_id.get(key, ()), user)
        object.__setattr__(
            self,
            "_by_public_identity",
            {user.public_identity.canonical: user for user in self.users},
        )
        object.__setattr__(self, "_by_mc_service_id", by_id)
        object.__setattr__(
            self, "_by_partner_name", {partner.name: partner for partner in self.partners}
        )

    def user(self, public_identity: str) -> LocalUser | None:
        """Return the user with this canonical public user identity, or None."""
        return self._by_public_identity.get(public_identity)

    def users_with(self, mc_service_id: str) -> tuple[LocalUser, ...]:
        """Return the users that may speak for this canonical MC service ID."""
        return self._by_mc_service_id.get(mc_service_id, ())

    def partner(self, name: str) -> PartnerSystem | None:
        """Return the partner system of this name, or None."""
        return self._by_partner_name.get(name)

    def partner_of(
        self, target: McServiceId | None, alias: FunctionalAlias | None
    ) -> PartnerSystem | None:
        """Return the partner whose user or alias this is; the user decides where both are given."""
        for partner in self.partners:
            if target is not None:
                if target.domain in partner.domains:
                    return partner
            elif alias is not None and alias.domain in partner.alias_domains:
                return partner
        return None

    def is_own_target(self, target: McServiceId | None, alias: FunctionalAlias | None) -> bool:
        """Return whether the target of a request is of this system."""
        if target is not None:
            return target.domain in self.domains
        return alias is not None and alias.domain in self.alias_domains
