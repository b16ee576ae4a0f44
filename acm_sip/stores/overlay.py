"""The store as the decisions of one batch see it (``procedures.ports.Records``).

Rows that were committed, with what earlier decisions of the batch changed over them. A row that
was read or changed stays in the overlay until the batch ends, so that it is read once. Nobody
else writes in the same database transaction.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from acm_sip.identities import McServiceId
from acm_sip.procedures.records import (
    AcmTransaction,
    AcmTransactionState,
    ContactBinding,
    Side,
    TransactionKey,
    UserConfiguration,
)
from acm_sip.stores.rows import read_binding, read_configuration, read_transaction

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from acm_sip.stores.statements import Statements

__all__ = ["BindingKey", "ConfigurationKey", "RecordsOverlay", "offers_of"]

BindingKey = tuple[str, str, int]
ConfigurationKey = tuple[Side, str, str]
_MAX_PARAMETERS: Final = 5000  # ours: far below the 32,766 of SQLite and 65,535 of PostgreSQL
_NO_OFFERS: Final = frozenset[str]()


class RecordsOverlay:
    """What a batch has read and changed so far; misses are read from the database."""

    def __init__(self, connection: Connection, statements: Statements) -> None:
        self._connection = connection
        self._statements = statements
        # ACM transactions: what is known now, and what the database holds of it.
        self._number_of: dict[TransactionKey, int | None] = {}
        self._transactions: dict[int, AcmTransaction | None] = {}
        self._written: dict[int, AcmTransaction] = {}
        # Bindings, by public identity and key; None is one that was removed.
        self._bindings: dict[str, dict[BindingKey, ContactBinding | None]] = {}
        self._read_identities: set[str] = set()
        self._read_flows: set[str] = set()
        # Configurations and documents.
        self._configurations: dict[ConfigurationKey, UserConfiguration | None] = {}
        self._documents: dict[bytes, bytes | None] = {}

    def prefetch(
        self,
        *,
        keys: Collection[TransactionKey] = (),
        numbers: Collection[int] = (),
        flows: Collection[str] = (),
        identities: Collection[str] = (),
    ) -> None:
        """Read what a batch is going to ask for, with one statement per kind."""
        wanted_keys = {key for key in keys if key not in self._number_of}
        if wanted_keys:
            ids = {key.acm_transaction_id for key in wanted_keys}
            for row in self._rows(self._statements.transactions_by_id, "b_ids", sorted(ids)):
                self._learn(read_transaction(row))
            for key in wanted_keys:
                self._number_of.setdefault(key, None)
        wanted_numbers = {number for number in numbers if number not in self._transactions}
        if wanted_numbers:
            statement = self._statements.transactions_by_number
            for row in self._rows(statement, "b_numbers", sorted(wanted_numbers)):
                self._learn(read_transaction(row))
            for number in wanted_numbers:
                self._transactions.setdefault(number, None)
        self._read_bindings(
            self._statements.bindings_of, "b_identities", self._read_identities, identities
        )
        self._read_bindings(self._statements.bindings_on, "b_flows", self._read_flows, flows)

    def _rows(self, statement: Any, name: str, values: Sequence[Any]) -> Iterator[Sequence[Any]]:
        for start in range(0, len(values), _MAX_PARAMETERS):
            part = values[start : start + _MAX_PARAMETERS]
            yield from self._connection.execute(statement, {name: part})

    def _learn(self, record: AcmTransaction) -> AcmTransaction:
        """Take in a row as it was read, unless the overlay already knows it."""
        known = self._transactions.get(record.number)
        if known is not None:
            return known
        self._transactions[record.number] = self._written[record.number] = record
        self._number_of[record.key] = record.number
        return record

    def _forget(self, numbers: Iterable[int]) -> None:
        """Drop ACM transactions that were removed from the database."""
        for number in numbers:
            record = self._transactions.get(number)
            self._transactions[number] = None
            self._written.pop(number, None)
            if record is not None:
                self._number_of[record.key] = None

    def transaction(self, key: TransactionKey) -> AcmTransaction | None:
        """Return the ACM transaction of this key, or None."""
        if key not in self._number_of:
            parameters = {
                "b_id": key.acm_transaction_id,
                "b_requester": key.requesting_mc_service_id,
                "b_side": key.side.value,
            }
            statement = self._statements.transaction_by_key
            row = self._connection.execute(statement, parameters).first()
            self._number_of[key] = None
            return None if row is None else self._learn(read_transaction(row))
        number = self._number_of[key]
        return None if number is None else self._transactions[number]

    def transaction_by_number(self, number: int) -> AcmTransaction | None:
        """Return the ACM transaction with this number, or None."""
        if number not in self._transactions:
            statement = self._statements.transaction_by_number
            row = self._connection.execute(statement, {"b_number": number}).first()
            self._transactions[number] = None
            return None if row is None else self._learn(read_transaction(row))
        return self._transactions[number]

    def unanswered_for(self, destination: str) -> tuple[AcmTransaction, ...]:
        """Return the requests at a partner server that this user was offered, unanswered."""
        statement = self._statements.transactions_offered_to
        for row in self._connection.execute(statement, {"b_mc_service_id": destination}):
            self._learn(read_transaction(row))
        found = [t for t in self._transactions.values() if t and destination in offers_of(t)]
        return tuple(sorted(found, key=lambda record: record.number))

    def _read_bindings(
        self, statement: Any, name: str, known: set[str], wanted: Collection[str]
    ) -> None:
        missing = sorted(set(wanted) - known)
        if missing:
            known.update(missing)
            for row in self._rows(statement, name, missing):
                binding = read_binding(row)
                of_identity = self._bindings.setdefault(binding.public_identity, {})
                of_identity.setdefault(binding.key, binding)

    def bindings_of(self, public_identity: str) -> tuple[ContactBinding, ...]:
        """Return all contacts of a public user identity, newest first."""
        self.prefetch(identities=(public_identity,))
        return _newest_first(self._bindings.get(public_identity, {}).values())

    def bindings_on(self, flow: str) -> tuple[ContactBinding, ...]:
        """Return all contacts that were registered over this flow, newest first."""
        self.prefetch(flows=(flow,))
        known = (b for of_identity in self._bindings.values() for b in of_identity.values())
        return _newest_first(b for b in known if b and b.flow == flow)

    def configurations(
        self, side: Side, system: str, users: Iterable[McServiceId]
    ) -> Mapping[str, UserConfiguration]:
        """Return what is stored for these users, by canonical MC service ID."""
        names = dict.fromkeys(user.canonical for user in users)
        missing = [name for name in names if (side, system, name) not in self._configurations]
        for start in range(0, len(missing), _MAX_PARAMETERS):
            part = missing[start : start + _MAX_PARAMETERS]
            parameters = {"b_side": side.value, "b_system": system, "b_users": part}
            for row in self._connection.execute(self._statements.configurations, parameters):
                record = read_configuration(row)
                self._configurations[side, system, record.mc_service_id] = record
        for name in missing:
            self._configurations.setdefault((side, system, name), None)
        found = ((name, self._configurations[side, system, name]) for name in names)
        return {name: record for name, record in found if record is not None}

    def document(self, digest: bytes) -> bytes | None:
        """Return the UE initial configuration document with this digest, or None."""
        if digest not in self._documents:
            statement = self._statements.document
            octets = self._connection.execute(statement, {"b_digest": digest}).scalar()
            self._documents[digest] = octets
        return self._documents[digest]


def offers_of(record: AcmTransaction) -> frozenset[str]:
    """Return to whom a request is offered now: canonical MC service IDs."""
    if record.side is Side.PARTNER and record.state is AcmTransactionState.OFFERED:
        return frozenset(record.offered_to)
    return _NO_OFFERS


def _newest_first(bindings: Iterable[ContactBinding | None]) -> tuple[ContactBinding, ...]:
    found = [binding for binding in bindings if binding is not None]
    return tuple(sorted(found, key=lambda b: (-b.registered_at, b.contact)))
