"""The registrar of an MC system: RFC 3261 10.3, RFC 3327 (Path), RFC 5626 (flows).

    what the REGISTER carries          answer and effect
    no Contact                         200, the bindings as they are
    Contact: * with Expires: 0         200, all bindings removed
    a contact, expires 0               200, this binding removed
    a contact, expires below minimum   423 with Min-Expires
    a contact                          200, put in place of the one with the same instance and
                                       reg-id, or of the same contact
    an older CSeq of the same Call-ID  500 (10.3 step 7)
    an address-of-record we lack       404

A contact that is new, that came over another flow than before, or with another Call-ID (its
client was started again, 10.2.4) is a log-on. Requests to a user leave over the flow of its
REGISTER.

# Deviates from RFC 3261 16.6: without Path the contact's own host is never contacted, only the
# source of the REGISTER, so that a contact cannot point our requests at a stranger.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from acm_sip import errors
from acm_sip.errors import Refused, RemoteProtocolError
from acm_sip.procedures.answers import refuse_plainly
from acm_sip.procedures.effects import AnswerRequest, Effect, PutBinding, RemoveBinding
from acm_sip.procedures.mc_system import LocalUser, McSystem
from acm_sip.procedures.ports import Records
from acm_sip.procedures.records import ContactBinding
from acm_sip.sip.grammar import quote
from acm_sip.sip.headers import NameAddr
from acm_sip.sip.message import Request
from acm_sip.uri import SipUri

__all__ = ["Registered", "RegistrationLimits", "on_register"]


@dataclass(frozen=True, slots=True)
class RegistrationLimits:
    """What a registrar grants, in seconds.

    :param most_contacts: of one user; ours, so that nobody fills the store.
    """

    shortest_s: int = 10
    longest_s: int = 3600
    usual_s: int = 600
    most_contacts: int = 16


@dataclass(frozen=True, slots=True)
class Registered:
    """What a REGISTER did.

    :param is_log_on: a contact became reachable that was not before.
    """

    user: LocalUser
    is_log_on: bool
    effects: Sequence[Effect]


def on_register(
    system: McSystem,
    limits: RegistrationLimits,
    records: Records,
    request: Request,
    flow: str,
    now: float,
) -> Registered:
    """Register, refresh, query or remove contacts.

    :param flow: over which the REGISTER came.
    :raises Refused: the address-of-record is unknown or not the sender's.
    :raises RemoteProtocolError: a header field cannot be used.
    """
    user = _user_of(system, request)
    public_identity = user.public_identity.canonical
    present = [b for b in records.bindings_of(public_identity) if b.expires_at > now]
    if request.contact_is_star:
        return _remove_all(request, user, present, now)
    wanted = []
    for contact in request.contacts:
        expires_s = _expiry(contact, request, limits)
        if 0 < expires_s < limits.shortest_s:
            shortest = ("Min-Expires", str(limits.shortest_s))
            brief = refuse_plainly(errors.INTERVAL_TOO_BRIEF, shortest)
            return Registered(user, is_log_on=False, effects=(brief,))
        wanted.append(
            _binding(public_identity, contact, request, flow, now, min(expires_s, limits.longest_s))
        )
    return _update(request, user, present, wanted, limits, now)


def _user_of(system: McSystem, request: Request) -> LocalUser:
    try:
        address_of_record = SipUri.parse(request.to.uri)
        sender = SipUri.parse(request.from_.uri)
    except RemoteProtocolError as error:
        raise Refused(errors.MALFORMED, error.text) from None
    if sender.canonical != address_of_record.canonical:
        raise Refused(errors.FORBIDDEN, "third-party registration")
    user = system.user(address_of_record.canonical)
    if user is None:
        raise Refused(errors.REQUEST_URI_UNKNOWN)  # 10.3 step 5
    return user


def _remove_all(
    request: Request, user: LocalUser, present: list[ContactBinding], now: float
) -> Registered:
    if request.expires != 0:  # 10.3 step 6
        raise RemoteProtocolError("Contact: * without Expires: 0")
    if any(_is_stale(request, binding) for binding in present):
        return Registered(user, is_log_on=False, effects=(_OUT_OF_ORDER,))
    effects: list[Effect] = [RemoveBinding(binding) for binding in present]
    return Registered(user, is_log_on=False, effects=(*effects, _success(request, [], now)))


def _update(
    request: Request,
    user: LocalUser,
    present: list[ContactBinding],
    wanted: list[ContactBinding],
    limits: RegistrationLimits,
    now: float,
) -> Registered:
    before_by_key = {binding.key: binding for binding in present}
    by_key = dict(before_by_key)
    effects: list[Effect] = []
    is_log_on = False
    for binding in wanted:
        before = before_by_key.get(binding.key)
        if before is not None and _is_stale(request, before):
            # 10.3 step 7: one binding that cannot be updated fails the whole request.
            return Registered(user, is_log_on=False, effects=(_OUT_OF_ORDER,))
        if binding.expires_at <= now:
            if before is not None:
                effects.append(RemoveBinding(before))
                by_key.pop(binding.key, None)
            continue
        is_log_on = is_log_on or before is None or _is_elsewhere(before, binding)
        effects.append(PutBinding(binding))
        by_key[binding.key] = binding
    if len(by_key) > limits.most_contacts:
        raise Refused(errors.FORBIDDEN, f"more than {limits.most_contacts} contacts")
    effects.append(_success(request, list(by_key.values()), now))
    return Registered(user, is_log_on, effects)


def _binding(
    public_identity: str,
    contact: NameAddr,
    request: Request,
    flow: str,
    now: float,
    expires_s: int,
) -> ContactBinding:
    SipUri.parse(contact.uri)  # RFC 4475 3.3.4: a registrar refuses what it cannot route to
    instance_id = contact.parameter("+sip.instance") or ""
    # RFC 5626 6: without an instance a reg-id means nothing.
    reg_id = (instance_id and contact.parameter("reg-id")) or "0"
    if not (reg_id.isascii() and reg_id.isdigit() and len(reg_id) <= 9):
        raise RemoteProtocolError("reg-id in Contact")
    return ContactBinding(
        public_identity=public_identity,
        contact=contact.uri,
        instance_id=instance_id,
        reg_id=int(reg_id),
        call_id=request.call_id,
        cseq=request.cseq.sequence_number,
        flow=flow,
        path=tuple(str(value) for value in request.path),
        registered_at=now,
        expires_at=now + expires_s,
    )


def _expiry(contact: NameAddr, request: Request, limits: RegistrationLimits) -> int:
    """Seconds the contact wants (10.2.1.1): its parameter, else Expires, else the usual."""
    parameter = contact.parameter("expires")
    if parameter is not None:
        # RFC 3261 20.10: what cannot be read counts as 3600.
        readable = parameter.isascii() and parameter.isdigit() and len(parameter) <= 10
        return int(parameter) if readable else 3600
    return limits.usual_s if request.expires is None else request.expires


def _is_elsewhere(before: ContactBinding, binding: ContactBinding) -> bool:
    return before.flow != binding.flow or before.call_id != binding.call_id


def _is_stale(request: Request, binding: ContactBinding) -> bool:
    return binding.call_id == request.call_id and request.cseq.sequence_number <= binding.cseq


_OUT_OF_ORDER = refuse_plainly(errors.REGISTER_OUT_OF_ORDER)


def _success(request: Request, bindings: list[ContactBinding], now: float) -> AnswerRequest:
    """Return the 200 with every binding (10.3 step 8)."""
    headers: list[tuple[str, str]] = []
    uses_outbound = False
    for binding in bindings:
        value = f"<{binding.contact}>;expires={max(0, round(binding.expires_at - now))}"
        if binding.instance_id:
            value += f";+sip.instance={quote(binding.instance_id)}"
        if binding.reg_id:
            value += f";reg-id={binding.reg_id}"
            uses_outbound = True
        headers.append(("Contact", value))
    if "path" in request.supported:
        headers += [("Path", str(value)) for value in request.path]  # RFC 3327 5.3
    if uses_outbound and "outbound" in request.supported:
        headers.append(("Require", "outbound"))  # RFC 5626 6
    return AnswerRequest(200, headers=tuple(headers))
