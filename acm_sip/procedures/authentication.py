"""Who sent a MESSAGE to an ACM server: a user of ours, or a partner system.

The registration or the peer decides, never the body and never From. In order:

1. From a trusted proxy, P-Asserted-Identity decides; it names a user of ours or a partner.
2. On a flow over which a user registered, it is that user; P-Preferred-Identity only chooses
   among the identities of that flow, and P-Asserted-Identity is dropped (RFC 3325 5).
3. Else it has to be a partner: a configured source address and a P-Asserted-Identity that is the
   partner's PSI or a user of its domains.
4. Everybody else is a stranger.
"""

from __future__ import annotations

from dataclasses import dataclass

from acm_sip import errors
from acm_sip.errors import Refused, RemoteProtocolError
from acm_sip.procedures.mc_system import LocalUser, McSystem, PartnerSystem
from acm_sip.procedures.ports import Records
from acm_sip.sip.headers import NameAddr
from acm_sip.sip.message import Request
from acm_sip.uri import SipUri

__all__ = ["Sender", "Source", "authenticate_sender"]

Sender = LocalUser | PartnerSystem


@dataclass(frozen=True, slots=True)
class Source:
    """Where a request came from.

    :param host: source address without brackets.
    :param flow: the connection or address pair, as the SIP shell names it.
    """

    host: str
    flow: str


def authenticate_sender(
    system: McSystem, records: Records, request: Request, source: Source, now: float
) -> Sender:
    """Return who sent the request.

    :raises Refused: nobody this server knows: 404 with 141 for a user without a registration,
        403 with 179 for who claims to be a system and is none of ours.
    """
    if source.host in system.trusted_proxies:
        return _asserted_by_proxy(system, request, source)
    user = _registered_user(system, records, request, source, now)
    if user is not None:
        return user
    if request.headers.get("P-Asserted-Identity") is None:
        raise Refused(errors.USER_UNKNOWN)
    partner = _asserted_partner(system, _asserted_uri(request))
    if partner is None or source.host not in partner.addresses:
        raise Refused(errors.NOT_INTERCONNECTED)
    return partner


def _asserted_by_proxy(system: McSystem, request: Request, source: Source) -> Sender:
    if request.headers.get("P-Asserted-Identity") is None:
        raise Refused(errors.USER_UNKNOWN)
    uri = _asserted_uri(request)
    user = system.user(uri.canonical)
    if user is not None:
        return user
    partner = _asserted_partner(system, uri)
    if partner is None:
        raise Refused(
            errors.USER_UNKNOWN if uri.host in system.domains else errors.NOT_INTERCONNECTED
        )
    return partner


def _registered_user(
    system: McSystem, records: Records, request: Request, source: Source, now: float
) -> LocalUser | None:
    registered: list[str] = []
    for binding in records.bindings_on(source.flow):
        if binding.expires_at > now and binding.public_identity not in registered:
            registered.append(binding.public_identity)
    if not registered:
        return None
    # RFC 3325 9.2: a preferred identity that the sender may not use is ignored.
    for preferred in _identities(request.p_preferred_identity):
        if preferred.canonical in registered:
            return system.user(preferred.canonical)
    return system.user(registered[0])


def _asserted_partner(system: McSystem, uri: SipUri) -> PartnerSystem | None:
    for partner in system.partners:
        if uri.canonical == partner.psi.canonical or (uri.user and uri.host in partner.domains):
            return partner
    return None


def _asserted_uri(request: Request) -> SipUri:
    """Return the sip(s) value of P-Asserted-Identity.

    RFC 3325 9.1: one or two values; if two, one is a sip(s) and the other a tel URI.
    """
    values = request.p_asserted_identity
    uris = _identities(values)
    is_pair_with_tel = len(values) == 2 and any(value.uri[:4].lower() == "tel:" for value in values)
    if len(uris) != 1 or not (len(values) == 1 or is_pair_with_tel):
        raise Refused(errors.NOT_INTERCONNECTED)
    if uris[0].password is not None or uris[0].headers:
        raise Refused(errors.NOT_INTERCONNECTED)
    return uris[0]


def _identities(values: tuple[NameAddr, ...]) -> list[SipUri]:
    uris = []
    for value in values:
        try:
            uris.append(value.sip_uri)
        except RemoteProtocolError:
            continue
    return uris
