"""A store in memory with the interface of ``acm_sip.stores``: the facts, without a file.

What a ``transact`` block changed is there after it, and only if it did not raise: a crash between
two blocks loses nothing, a crash inside one loses the block. Rows come back in the order and
under the conditions that ``StoreBatch.lease_rows`` promises.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from acm_sip.identities import McServiceId
from acm_sip.procedures.effects import (
    InsertTransaction,
    PutBinding,
    PutOutboxRow,
    ReleaseRows,
    RemoveBinding,
    RemoveOutboxRow,
    RemoveRows,
    StoreConfiguration,
    Update,
    UpdateTransaction,
)
from acm_sip.procedures.records import (
    AcmTransaction,
    AcmTransactionState,
    ContactBinding,
    OutboxRow,
    Side,
    TransactionKey,
    UserConfiguration,
)

ConfigurationKey = tuple[Side, str, str]


@dataclass
class _Tables:
    transactions: dict[int, AcmTransaction] = field(default_factory=dict)
    rows: dict[int, OutboxRow] = field(default_factory=dict)
    leases: dict[int, float] = field(default_factory=dict)
    bindings: dict[tuple[str, str, int], ContactBinding] = field(default_factory=dict)
    configurations: dict[ConfigurationKey, UserConfiguration] = field(default_factory=dict)
    documents: dict[bytes, bytes] = field(default_factory=dict)
    applied: list[StoreConfiguration] = field(default_factory=list)
    next_transaction: int = 1
    next_row: int = 1

    def copy(self) -> _Tables:
        return _Tables(
            dict(self.transactions),
            dict(self.rows),
            dict(self.leases),
            dict(self.bindings),
            dict(self.configurations),
            dict(self.documents),
            list(self.applied),
            self.next_transaction,
            self.next_row,
        )


class FakeRecords:
    """``procedures.ports.Records`` over plain dictionaries, and the writing side of a batch."""

    def __init__(self, tables: _Tables | None = None) -> None:
        self.tables = tables or _Tables()

    # procedures.ports.Records

    def transaction(self, key: TransactionKey) -> AcmTransaction | None:
        return next((t for t in self.tables.transactions.values() if t.key == key), None)

    def transaction_by_number(self, number: int) -> AcmTransaction | None:
        return self.tables.transactions.get(number)

    def bindings_of(self, public_identity: str) -> tuple[ContactBinding, ...]:
        return self._bindings(lambda binding: binding.public_identity == public_identity)

    def bindings_on(self, flow: str) -> tuple[ContactBinding, ...]:
        return self._bindings(lambda binding: binding.flow == flow)

    def _bindings(self, is_wanted: Callable[[ContactBinding], bool]) -> tuple[ContactBinding, ...]:
        found = [binding for binding in self.tables.bindings.values() if is_wanted(binding)]
        return tuple(sorted(found, key=lambda b: (-b.registered_at, b.contact)))

    def configurations(
        self, side: Side, system: str, users: Iterable[McServiceId]
    ) -> Mapping[str, UserConfiguration]:
        keys = [(side, system, user.canonical) for user in users]
        known = self.tables.configurations
        return {key[2]: known[key] for key in keys if key in known}

    def document(self, digest: bytes) -> bytes | None:
        return self.tables.documents.get(digest)

    def unanswered_for(self, destination: str) -> tuple[AcmTransaction, ...]:
        return tuple(
            t
            for t in self.tables.transactions.values()
            if t.side is Side.PARTNER
            and t.state is AcmTransactionState.OFFERED
            and destination in t.offered_to
        )

    # stores.StoreBatch

    def allocate_numbers(self, count: int) -> int:
        first = self.tables.next_transaction
        self.tables.next_transaction += count
        return first

    def apply(self, effect: Update) -> None:
        tables = self.tables
        match effect:
            case InsertTransaction(transaction):
                assert self.transaction(transaction.key) is None, "a key is inserted twice"
                assert transaction.number not in tables.transactions
                tables.transactions[transaction.number] = transaction
            case UpdateTransaction(transaction):
                assert transaction.number in tables.transactions
                tables.transactions[transaction.number] = transaction
            case PutOutboxRow(row):
                self._put(row)
            case RemoveOutboxRow(number):
                self._remove([number])
            case RemoveRows(number, flow):
                rows = tables.rows.values()
                self._remove(
                    [r.number for r in rows if r.transaction_number == number and r.flow == flow]
                )
            case ReleaseRows(destinations):
                for row in list(tables.rows.values()):
                    if str(row.destination) in destinations and row.next_attempt_at is None:
                        tables.rows[row.number] = replace(row, next_attempt_at=0.0)
            case PutBinding(binding):
                tables.bindings[binding.key] = binding
            case RemoveBinding(binding):
                tables.bindings.pop(binding.key, None)
            case StoreConfiguration():
                self._store(effect)
            case _:
                raise AssertionError(f"not a change of the store: {effect}")

    def _put(self, row: OutboxRow) -> None:
        if row.number == 0:
            row = replace(row, number=self.tables.next_row)
            self.tables.next_row += 1
        elif row.number not in self.tables.rows:
            return  # it was removed meanwhile: nothing brings it back
        self.tables.rows[row.number] = row
        self.tables.leases.pop(row.number, None)

    def _remove(self, numbers: Iterable[int]) -> None:
        for number in numbers:
            self.tables.rows.pop(number, None)
            self.tables.leases.pop(number, None)

    def _store(self, effect: StoreConfiguration) -> None:
        self.tables.applied.append(effect)
        self.tables.documents.setdefault(effect.digest, effect.document)
        for user in effect.users:
            key = (effect.side, effect.system, user.canonical)
            self.tables.configurations[key] = UserConfiguration(
                *key, effect.digest, effect.transaction_number, effect.applied_at
            )

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
        tables = self.tables
        for number in [n for n, until in tables.leases.items() if until <= now]:
            del tables.leases[number]
        left: dict[str, int] = {}
        lanes: set[str] = set()
        leased: list[OutboxRow] = []
        for number, row in sorted(tables.rows.items()):
            if row.lane in lanes:
                continue
            lanes.add(row.lane)
            name = str(row.destination)
            left.setdefault(name, 1 << 30 if window is None else window(name))
            is_ready = row.next_attempt_at is not None and row.next_attempt_at <= now
            if number in tables.leases or not is_ready or name in blocked or left[name] <= 0:
                continue
            left[name] -= 1
            tables.leases[number] = leased_until
            leased.append(row)
        return leased[:limit]

    def rows_past_deadline(self, now: float, limit: int) -> list[OutboxRow]:
        rows = [
            row
            for row in self.tables.rows.values()
            if row.deadline_at is not None
            and row.deadline_at <= now
            and row.number not in self.tables.leases
        ]
        return sorted(rows, key=lambda row: (row.deadline_at, row.number))[:limit]

    def due_transactions(self, now: float, limit: int) -> list[AcmTransaction]:
        due = [
            t for t in self.tables.transactions.values() if t.due_at is not None and t.due_at <= now
        ]
        return sorted(due, key=lambda t: (t.due_at, t.number))[:limit]

    def expired_bindings(self, now: float, limit: int) -> list[ContactBinding]:
        return [b for b in self.tables.bindings.values() if b.expires_at <= now][:limit]


class FakeStore:
    """``stores.AcmStore`` in memory."""

    def __init__(self) -> None:
        self._tables = _Tables()

    @contextlib.contextmanager
    def transact(self) -> Iterator[FakeRecords]:
        batch = FakeRecords(self._tables.copy())
        yield batch
        self._tables = batch.tables

    @property
    def facts(self) -> FakeRecords:
        """What is committed."""
        return FakeRecords(self._tables)

    def end_leases(self) -> None:
        """Do what opening a store does: nobody else can be sending."""
        self._tables.leases.clear()

    def close(self) -> None:
        """Nothing to close; there for the tests that use a file as well."""


def only(items: Iterable[Any]) -> Any:
    """Return the one item there is."""
    found = list(items)
    assert len(found) == 1, found
    return found[0]
