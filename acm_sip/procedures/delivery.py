"""Delivering outbox rows: to whom now, and what the end of an attempt means.

A row names its receiver and is resolved at each attempt:

    partner   the configured next hop of the partner's ACM server
    user      a live binding of a user with this MC service ID, newest first, the next one after
              408, 430, 480 or 503; no live binding: parked until the next log-on
    alias     one present holder by local policy, then as a user; none: parked
    server    the client's own ACM server

What a final answer means for the row (no answer in time counts as 408, a transport error as 503,
RFC 3261 8.1.3.1):

    2xx                                   delivered
    408, 430, 480, 500, 502, 503, 504     tried again, later each time, until the deadline
    404 with 141 of a client's server     the same: the binding lapsed, the client registers again
    all else, 3xx included                refused for good
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

from acm_sip import errors
from acm_sip.codec.flows import Cause
from acm_sip.identities import FunctionalAlias
from acm_sip.procedures.effects import Log
from acm_sip.procedures.events import DeliveryEnded
from acm_sip.procedures.functional_alias import choose_holder
from acm_sip.procedures.mc_system import McSystem
from acm_sip.procedures.ports import AliasDirectory, Records
from acm_sip.procedures.procedure import PROCEDURES
from acm_sip.procedures.records import ContactBinding, DestinationKind, OutboxRow

__all__ = [
    "Attempt",
    "Ending",
    "cause_of_refusal",
    "classify",
    "is_binding_lost",
    "postpone",
    "refusal_log",
    "refusal_text",
    "resolve",
]

_TRY_AGAIN: Final = frozenset({408, 430, 480, 500, 502, 503, 504})
_USER_UNKNOWN_CODE: Final = "141 "  # TS 24.379 table 4.4.2-2
# Ours: 1, 2, 4 ... seconds between attempts, at most a minute, so that a peer that is back is
# found soon and one that stays away costs little.
_FIRST_PAUSE_S: Final = 1.0
_LONGEST_PAUSE_S: Final = 60.0


class Ending(Enum):
    """What the end of an attempt means for its row."""

    DELIVERED = "delivered"
    TRY_AGAIN = "try again"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Attempt:
    """Where a row goes now.

    :param binding: the contact of the user, None towards a server.
    :param receiver: canonical MC service ID of the user it is offered to, None towards a server.
    """

    binding: ContactBinding | None = None
    receiver: str | None = None


def resolve(
    system: McSystem | None,
    aliases: AliasDirectory,
    records: Records,
    row: OutboxRow,
    now: float,
) -> Attempt | None:
    """Return where the row goes now; None to park it.

    :param system: the own MC system; None at a client, which sends to its server only.
    """
    kind = row.destination.kind
    if kind is DestinationKind.PARTNER or kind is DestinationKind.SERVER or system is None:
        return Attempt()
    if kind is DestinationKind.ALIAS:
        holders = aliases.holders(FunctionalAlias(row.destination.name)) or ()
        names = [holder.canonical for holder in holders]
    else:
        names = [row.destination.name]
    contacts_of = {name: _live_contacts(system, records, name, row.flow, now) for name in names}
    present = [name for name in names if contacts_of[name]]
    if not present:
        return None
    receiver = choose_holder(system.alias_choice, present, row.transaction_number, row.attempts)
    contacts = contacts_of[receiver]
    return Attempt(contacts[row.attempts % len(contacts)], receiver)


def classify(ended: DeliveryEnded) -> Ending:
    """Return what the end of this attempt means for its row."""
    if 200 <= ended.status_code < 300:
        return Ending.DELIVERED
    if ended.status_code in _TRY_AGAIN or is_binding_lost(ended):
        return Ending.TRY_AGAIN
    return Ending.REFUSED


def is_binding_lost(ended: DeliveryEnded) -> bool:
    """Return whether a client's own server does not know the client's registration any more."""
    return (
        ended.row.destination.kind is DestinationKind.SERVER
        and ended.status_code == errors.USER_UNKNOWN.status_code
        and ended.warn_text[:4] == _USER_UNKNOWN_CODE
    )


def postpone(system: McSystem | None, records: Records, ended: DeliveryEnded) -> OutboxRow:
    """Return the row as it waits for its next attempt.

    Another contact of the same user is tried at once; after the last of them, and towards a
    server, the row waits.
    """
    row = ended.row
    attempts = row.attempts + 1
    contacts = 0
    if row.destination.kind is DestinationKind.USER and system is not None:
        contacts = len(_live_contacts(system, records, row.destination.name, row.flow, ended.at))
    if contacts > 1 and attempts % contacts:
        next_attempt_at = ended.at
    else:
        doublings = min(attempts - 1, 6)
        next_attempt_at = ended.at + min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2.0**doublings)
    return replace(
        row,
        attempts=attempts,
        next_attempt_at=next_attempt_at,
        is_maybe_delivered=row.is_maybe_delivered or ended.was_sent,
    )


def cause_of_refusal(status_code: int) -> str:
    """Return the cause that a requester sees when the next hop refused its request for good."""
    if status_code == 403:
        return Cause.NOT_AUTHORIZED
    if status_code in {404, 405, 415, 501}:
        return Cause.PARTNER_UNREACHABLE
    return Cause.INTERNAL_ERROR


def refusal_text(ended: DeliveryEnded) -> str:
    """Return what the receiver said, for the result and the log."""
    return f"{ended.status_code} {ended.warn_text}".strip()


def refusal_log(ended: DeliveryEnded) -> Log:
    """Return the line of the log for a row that was refused for good."""
    return Log(
        "delivery refused",
        (
            ("flow", ended.row.flow),
            ("destination", str(ended.row.destination)),
            ("answer", refusal_text(ended)),
        ),
        is_warning=True,
    )


def _live_contacts(
    system: McSystem, records: Records, mc_service_id: str, flow: str, now: float
) -> list[ContactBinding]:
    """Return where the user is reached; a request is offered only to who may answer it now."""
    contacts = [
        binding
        for user in system.users_with(mc_service_id)
        if flow not in PROCEDURES or flow in user.may_answer
        for binding in records.bindings_of(user.public_identity.canonical)
        if binding.expires_at > now
    ]
    contacts.sort(key=lambda binding: binding.registered_at, reverse=True)
    return contacts
