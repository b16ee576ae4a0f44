"""Resolving a functional alias that is the target of a request (10.17.6.2 step 4).

An alias is resolved at each attempt to deliver and never on arrival. Only holders who may answer
the flow and are logged on count.

    active for one such ACM client      that one
    active for several                  one of them, by local policy
    active for none, or state unknown   none: the request is kept
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from acm_sip.identities import FunctionalAlias, McServiceId
from acm_sip.procedures.mc_system import AliasChoice

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
    choice: AliasChoice, present: Sequence[str], transaction_number: int, attempts: int
) -> str:
    """Return which of the holders who may answer and are logged on gets the request.

    :param present: canonical MC service IDs, most wanted first; not empty.
    :param attempts: how many attempts failed; each makes it the turn of the next one.
    """
    first = 0 if choice is AliasChoice.PRIORITY else transaction_number
    return present[(first + attempts) % len(present)]
