"""What the procedures need from outside, as Protocols.

:class:`Records` is the store as a decision sees it: the rows that were committed, with the
changes of the earlier decisions of the same batch already over them. A decision only reads, and
takes the number of what it inserts; what it wants changed it returns as effects.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from acm_sip.identities import FunctionalAlias, McServiceId
from acm_sip.procedures.records import (
    AcmTransaction,
    ContactBinding,
    Side,
    TransactionKey,
    UserConfiguration,
)

__all__ = ["AliasDirectory", "Records"]


class Records(Protocol):
    """The store as a decision sees it."""

    def transaction(self, key: TransactionKey) -> AcmTransaction | None:
        """Return the ACM transaction of this key, or None."""
        ...

    def transaction_by_number(self, number: int) -> AcmTransaction | None:
        """Return the ACM transaction with this number, or None."""
        ...

    def allocate_numbers(self, count: int) -> int:
        """Return the first of so many new transaction numbers, in order of receipt.

        Taken only for what is inserted, so that they follow each other and a choice by turns
        (local policy for functional aliases) gives everybody a turn.
        """
        ...

    def bindings_of(self, public_identity: str) -> tuple[ContactBinding, ...]:
        """Return all contacts of a public user identity, newest first."""
        ...

    def bindings_on(self, flow: str) -> tuple[ContactBinding, ...]:
        """Return all contacts that were registered over this flow."""
        ...

    def configurations(
        self, side: Side, system: str, users: Iterable[McServiceId]
    ) -> Mapping[str, UserConfiguration]:
        """Return what is stored for these users, by canonical MC service ID."""
        ...

    def document(self, digest: bytes) -> bytes | None:
        """Return the UE initial configuration document with this digest, or None."""
        ...

    def unanswered_for(self, destination: str) -> tuple[AcmTransaction, ...]:
        """Return the requests at a partner server that this user was offered, unanswered."""
        ...


class AliasDirectory(Protocol):
    """The state of the functional aliases of the own system, as the controlling server told it."""

    def is_subscribed(self) -> bool:
        """Return whether the server has a live subscription to the state of the aliases."""
        ...

    def is_known(self, alias: FunctionalAlias) -> bool:
        """Return whether the system has such an alias, active or not."""
        ...

    def held_by(self, user: McServiceId) -> tuple[FunctionalAlias, ...]:
        """Return the aliases that are active for this user now."""
        ...

    def holders(self, alias: FunctionalAlias) -> tuple[McServiceId, ...] | None:
        """Return for whom the alias is active now; None when its state is not known."""
        ...
