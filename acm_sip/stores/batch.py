"""One database transaction of the engine, and what is done in it besides decisions.

:class:`StoreBatch` is made by ``AcmStore.transact``. Over the overlay and the write buffer it
has what the engine asks by itself: which rows of the outbox may be sent now, what has become
due, what has expired, what may be forgotten. Each of these is bounded work, whatever the store
holds, and sees what the batch has changed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from acm_sip.procedures.records import AcmTransaction, ContactBinding, OutboxRow
from acm_sip.stores.buffer import Numbers, WriteBuffer
from acm_sip.stores.rows import read_binding, read_outbox_row, read_transaction

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from acm_sip.stores.statements import Statements

__all__ = ["Positions", "StoreBatch"]

_MIN_SCANNED_ROWS: Final = 128  # ours: one page of the index, about 50 us
# Ours: 2 us each. More ready destinations than this are visited in turns, call by call.
_MAX_VISITED_DESTINATIONS: Final = 1000
_UNLIMITED: Final = 1 << 30


@dataclass(slots=True)
class Positions:
    """Where bounded walks over a whole table go on at their next call.

    :param destination: the last destination that was visited.
    :param digest: the last document that was looked at.
    """

    destination: str = ""
    digest: bytes = b""


class StoreBatch(WriteBuffer):
    """Reads and writes inside one database transaction."""

    def __init__(
        self,
        connection: Connection,
        statements: Statements,
        numbers: Numbers,
        positions: Positions,
    ) -> None:
        super().__init__(connection, statements, numbers)
        self._positions = positions

    def lease_rows(
        self,
        now: float,
        *,
        leased_until: float,
        node: str,
        blocked: Collection[str] = (),
        window: Callable[[str], int] | None = None,
        limit: int,
    ) -> list[OutboxRow]:
        """Take the rows that may be sent now, oldest first, and mark them as being sent.

        A row may be sent if it is the first of its lane, due, not parked and not leased. Rows
        whose lease has ended may be sent again.

        :param leased_until: UTC epoch seconds; after it another node may take the row.
        :param blocked: destinations, as text, that take nothing now.
        :param window: how many rows a destination takes now at most; None for any number.
        """
        self.flush()
        self._connection.execute(self._statements.end_leases, {"b_now": now})
        free = _Window(blocked, window)
        scanned = max(4 * limit, _MIN_SCANNED_ROWS)
        parameters: dict[str, Any] = {"b_now": now, "b_limit": scanned}
        rows = self._connection.execute(self._statements.ready_outbox, parameters).all()
        numbers = [number for number, destination in rows if free.take(destination)][:limit]
        if len(numbers) < limit and len(rows) == scanned:
            # Rows that may not go now stand before those that may: go by destination.
            numbers = self._ready_by_destination(now, _Window(blocked, window), limit)
        if not numbers:
            return []
        lease = {"leased_until": leased_until, "node": node}
        self._write(self._statements.lease_outbox, [lease | {"number": n} for n in numbers])
        found = map(
            read_outbox_row, self._rows(self._statements.outbox_by_number, "b_numbers", numbers)
        )
        by_number = {row.number: row for row in found}
        return [by_number[number] for number in numbers]

    def _ready_by_destination(self, now: float, free: _Window, limit: int) -> list[int]:
        parameters: dict[str, Any] = {
            "b_after": self._positions.destination,
            "b_limit": _MAX_VISITED_DESTINATIONS,
        }
        visited = self._connection.execute(self._statements.ready_destinations, parameters).all()
        was_all = len(visited) < _MAX_VISITED_DESTINATIONS
        self._positions.destination = "" if was_all else visited[-1][0]
        due = [(at, name) for name, at in visited if at <= now and free.count(name)]
        numbers: list[int] = []
        for _, destination in sorted(due):
            wanted = min(free.count(destination), limit - len(numbers))
            if wanted <= 0:
                break
            parameters = {"b_destination": destination, "b_now": now, "b_limit": wanted}
            rows = self._connection.execute(self._statements.ready_outbox_of, parameters)
            numbers += rows.scalars()
        return numbers

    def rows_past_deadline(self, now: float, limit: int) -> list[OutboxRow]:
        """Return rows to give up, earliest deadline first; a row being sent is not among them."""
        self.flush()
        parameters = {"b_now": now, "b_limit": limit}
        rows = self._connection.execute(self._statements.outbox_past_deadline, parameters)
        return [read_outbox_row(row) for row in rows]

    def due_transactions(self, now: float, limit: int) -> list[AcmTransaction]:
        """Return the ACM transactions whose ``due_at`` has come, earliest first."""
        self.flush()
        parameters = {"b_now": now, "b_limit": limit}
        rows = self._connection.execute(self._statements.due_transactions, parameters)
        return [self._learn(read_transaction(row)) for row in rows]

    def next_due_at(self) -> float | None:
        """Return when the next ACM transaction becomes due, None if none ever does."""
        self.flush()
        at: float | None = self._connection.execute(self._statements.next_due_at).scalar()
        return at

    def expired_bindings(self, now: float, limit: int) -> list[ContactBinding]:
        """Return contacts whose registration has ended, earliest first."""
        self.flush()
        parameters = {"b_now": now, "b_limit": limit}
        rows = self._connection.execute(self._statements.expired_bindings, parameters)
        return [read_binding(row) for row in rows]

    def prune(self, before: float, limit: int) -> int:
        """Forget ACM transactions that were answered and had expired before an instant.

        One with rows in the outbox stays. Documents that hold for no user any more go too: each
        call looks at the next ``limit`` of them.

        :return: how many ACM transactions were removed, at most ``limit``.
        """
        self.flush()
        parameters: dict[str, Any] = {"b_before": before, "b_limit": limit}
        rows = self._connection.execute(self._statements.prunable_transactions, parameters)
        numbers = list(rows.scalars())
        if numbers:
            gone = [{"number": number} for number in numbers]
            self._write(self._statements.delete_transactions, gone)
            self._forget(numbers)
        self._prune_documents(limit)
        return len(numbers)

    def _prune_documents(self, limit: int) -> None:
        parameters: dict[str, Any] = {"b_after": self._positions.digest, "b_limit": limit}
        rows = self._connection.execute(self._statements.documents_after, parameters).all()
        self._positions.digest = b"" if len(rows) < limit else rows[-1][0]
        unused = [digest for digest, is_used in rows if not is_used]
        if unused:
            self._write(self._statements.delete_documents, [{"digest": d} for d in unused])
            for digest in unused:
                self._documents.pop(digest, None)


class _Window:
    """How many more rows each destination takes in one call."""

    def __init__(self, blocked: Collection[str], window: Callable[[str], int] | None) -> None:
        self._blocked = blocked
        self._window = window
        self._left: dict[str, int] = {}

    def count(self, destination: str) -> int:
        if destination not in self._left:
            allowed = _UNLIMITED if self._window is None else self._window(destination)
            self._left[destination] = 0 if destination in self._blocked else allowed
        return self._left[destination]

    def take(self, destination: str) -> bool:
        left = self.count(destination)
        if left > 0:
            self._left[destination] = left - 1
        return left > 0
