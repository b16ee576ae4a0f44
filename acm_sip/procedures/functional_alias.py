"""Resolving a functional alias that is the target of a request (10.17.6.2 step 4).

An alias is resolved at each attempt to deliver and never on arrival. Only holders whose user may
answer the flow count.

    active for one such ACM client      that one
    active for several                  one of them, by local policy
    active for none, or state unknown   none: the request is kept
"""

from __future__ import annotations

from collections.abc import Mapping

from acm_sip.identities import FunctionalAlias, McServiceId
from acm_sip.procedures.mc_system import AliasChoice, McSystem
from acm_sip.procedures.ports import AliasDirectory

__all__ = ["AliasTable", "choose_holder"]


class AliasTable:
    """An :class:`~acm_sip.procedures.ports.AliasDirectory` over a table of the configuration.

    :param table: functional alias -> MC service IDs for whom it is active, most wanted first.
    """

    def __init__(self, table: Mapping[FunctionalAlias, tuple[McServiceId, ...]]) -> None:
        self._table = dict(table)

    def is_subscribed(self) -> bool:
        """Return True: the table is the state."""
        return True

    def is_known(self, alias: FunctionalAlias) -> bool:
        """Return whether the table has the alias."""
        return alias in self._table

    def held_by(self, user: McServiceId) -> tuple[FunctionalAlias, ...]:
        """Return the aliases that are active for this user."""
        return tuple(alias for alias, holders in self._table.items() if user in holders)

    def holders(self, alias: FunctionalAlias) -> tuple[McServiceId, ...]:
        """Return for whom the alias is active; nobody for an alias the table does not have."""
        return self._table.get(alias, ())


def choose_holder(
    system: McSystem,
    aliases: AliasDirectory,
    alias: FunctionalAlias,
    request_flow: str,
    turn: int,
) -> McServiceId | None:
    """Return the MC service ID of the holder that gets the request, or None to keep it.

    :param turn: a number that goes on by one per request and attempt; round robin walks by it.
    """
    holders = [
        holder
        for holder in aliases.holders(alias) or ()
        if any(request_flow in user.may_answer for user in system.users_with(holder.canonical))
    ]
    if not holders:
        return None
    if system.alias_choice is AliasChoice.PRIORITY:
        return holders[0]
    return holders[turn % len(holders)]
