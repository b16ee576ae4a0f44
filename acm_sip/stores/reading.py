"""Reading a store for people: what ``acm-sip show`` prints, as typed records.

Works on the store of a running server (its own reader sees the last commit) and writes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select

from acm_sip.procedures.records import (
    AcmTransaction,
    ContactBinding,
    OutboxRow,
    Side,
    UserConfiguration,
)
from acm_sip.stores.rows import (
    BINDING_COLUMNS,
    CONFIGURATION_COLUMNS,
    OUTBOX_COLUMNS,
    TRANSACTION_COLUMNS,
    read_binding,
    read_configuration,
    read_outbox_row,
    read_transaction,
)
from acm_sip.stores.schema import (
    acm_transaction,
    configuration_document,
    contact_binding,
    outbox,
    user_configuration,
)

if TYPE_CHECKING:
    from sqlalchemy import Connection

__all__ = ["OutboxCounts", "OutboxEntry", "OutboxState", "StoreReader"]


class OutboxState(StrEnum):
    """What a row of the outbox waits for."""

    LEASED = "leased"  # the answer to the attempt that is under way
    BEHIND = "behind"  # an earlier row of its lane
    PARKED = "parked"  # a log-on, or an alias to become active
    WAITING = "waiting"  # its next attempt


@dataclass(frozen=True, slots=True)
class OutboxEntry:
    """A row of the outbox with what only the store knows of it.

    :param node: who is sending it; None unless leased.
    :param leased_until: UTC epoch seconds; None unless leased.
    """

    row: OutboxRow
    state: OutboxState
    node: str | None
    leased_until: float | None


@dataclass(frozen=True, slots=True)
class OutboxCounts:
    """How many rows of the outbox are in each state."""

    leased: int
    behind: int
    parked: int
    waiting: int

    @property
    def total(self) -> int:
        """All rows that still have to reach somebody."""
        return self.leased + self.behind + self.parked + self.waiting


class StoreReader:
    """Reads inside one database transaction; made by ``AcmStore.read``.

    Statements are built at each call: a person waits for them, not a peer.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def list_transactions(
        self, limit: int, *, side: Side | None = None, unanswered_only: bool = False
    ) -> list[AcmTransaction]:
        """Return ACM transactions, the newest first."""
        t = acm_transaction.c
        query = select(*(t[name] for name in TRANSACTION_COLUMNS))
        if side is not None:
            query = query.where(t.side == side.value)
        if unanswered_only:
            query = query.where(t.answered_at.is_(None))
        rows = self._connection.execute(query.order_by(t.number.desc()).limit(limit))
        return [read_transaction(row) for row in rows]

    def transactions_with_id(self, acm_transaction_id: str) -> list[AcmTransaction]:
        """Return the ACM transactions with this id, of any side and requester, oldest first."""
        t = acm_transaction.c
        query = select(*(t[name] for name in TRANSACTION_COLUMNS))
        query = query.where(t.acm_transaction_id == acm_transaction_id).order_by(t.number)
        return [read_transaction(row) for row in self._connection.execute(query)]

    def list_bindings(self, limit: int) -> list[ContactBinding]:
        """Return contacts of registered users by public identity, the newest of each first."""
        b = contact_binding.c
        query = select(*(b[name] for name in BINDING_COLUMNS))
        query = query.order_by(b.public_identity, b.registered_at.desc()).limit(limit)
        return [read_binding(row) for row in self._connection.execute(query)]

    def list_configurations(
        self, limit: int, *, side: Side | None = None, system: str | None = None
    ) -> list[UserConfiguration]:
        """Return which configuration holds for which user, by system and user."""
        c = user_configuration.c
        query = select(*(c[name] for name in CONFIGURATION_COLUMNS))
        if side is not None:
            query = query.where(c.side == side.value)
        if system is not None:
            query = query.where(c.system == system)
        query = query.order_by(c.side, c.system, c.mc_service_id).limit(limit)
        return [read_configuration(row) for row in self._connection.execute(query)]

    def document(self, digest: bytes) -> bytes | None:
        """Return the UE initial configuration document with this digest, or None."""
        d = configuration_document.c
        octets: bytes | None = self._connection.execute(
            select(d.document).where(d.digest == digest)
        ).scalar()
        return octets

    def list_outbox(
        self, limit: int, *, transaction_number: int | None = None
    ) -> list[OutboxEntry]:
        """Return rows that still have to reach somebody, in the order of their numbers."""
        o = outbox.c
        columns: list[Any] = [o[name] for name in OUTBOX_COLUMNS]
        query = select(*columns, o.is_head, o.node, o.leased_until)
        if transaction_number is not None:
            query = query.where(o.transaction_number == transaction_number)
        entries = []
        for values in self._connection.execute(query.order_by(o.number).limit(limit)):
            *plain, is_head, node, leased_until = values
            row = read_outbox_row(plain)
            is_parked = row.next_attempt_at is None
            state = _state(is_leased=node is not None, is_head=is_head, is_parked=is_parked)
            entries.append(OutboxEntry(row, state, node, leased_until))
        return entries

    def count_outbox(self) -> OutboxCounts:
        """Return how many rows are in each state."""
        o = outbox.c
        facts = (o.node.is_not(None), o.is_head, o.next_attempt_at.is_(None))
        counts = dict.fromkeys(OutboxState, 0)
        rows = self._connection.execute(select(*facts, func.count()).group_by(*facts))
        for is_leased, is_head, is_parked, count in rows:
            counts[_state(is_leased=is_leased, is_head=is_head, is_parked=is_parked)] += count
        return OutboxCounts(
            leased=counts[OutboxState.LEASED],
            behind=counts[OutboxState.BEHIND],
            parked=counts[OutboxState.PARKED],
            waiting=counts[OutboxState.WAITING],
        )


def _state(*, is_leased: object, is_head: object, is_parked: object) -> OutboxState:
    if is_leased:
        return OutboxState.LEASED
    if not is_head:
        return OutboxState.BEHIND
    return OutboxState.PARKED if is_parked else OutboxState.WAITING
