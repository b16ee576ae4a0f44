"""Every statement the engine executes, built once for each kind of database.

Nothing is built at a call: SQLAlchemy spends ten times as long on a statement that is new to it.
Parameters that are not the values of a whole row are named ``b_``.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Dialect,
    Select,
    Table,
    Update,
    and_,
    bindparam,
    case,
    delete,
    exists,
    func,
    literal_column,
    null,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql import FromClause
from sqlalchemy.sql.dml import UpdateBase

from acm_sip.stores.prepared import PreparedWrite
from acm_sip.stores.rows import (
    BINDING_COLUMNS,
    CONFIGURATION_COLUMNS,
    OUTBOX_COLUMNS,
    TRANSACTION_COLUMNS,
)
from acm_sip.stores.schema import (
    acm_offer,
    acm_transaction,
    configuration_document,
    contact_binding,
    number_sequence,
    outbox,
    user_configuration,
)

__all__ = ["Statements", "statements_for"]

_ONE: Final[ColumnElement[int]] = literal_column(
    "1"
)  # literal, so that the planner sees the partial index


def _in(name: str) -> Any:
    return bindparam(name, expanding=True)


def _columns(table: FromClause, names: tuple[str, ...]) -> list[ColumnElement[Any]]:
    return [table.c[name] for name in names]


def _ready(rows: FromClause) -> ColumnElement[bool]:
    """Return the condition of the partial indexes: may be sent as soon as it is due."""
    return and_(
        rows.c.is_head == _ONE,
        rows.c.leased_until.is_(None),
        rows.c.next_attempt_at.is_not(None),
    )


def _transactions(*conditions: ColumnElement[bool]) -> Select[Any]:
    return select(*_columns(acm_transaction, TRANSACTION_COLUMNS)).where(*conditions)


def _outbox_rows(*conditions: ColumnElement[bool]) -> Select[Any]:
    return select(*_columns(outbox, OUTBOX_COLUMNS)).where(*conditions)


def _bindings(*conditions: ColumnElement[bool]) -> Select[Any]:
    return select(*_columns(contact_binding, BINDING_COLUMNS)).where(*conditions)


class Statements:
    """The prebuilt statements for one kind of database.

    :param dialect: SQLite or PostgreSQL; the statements differ in the class of an upsert only.
    """

    def __init__(self, dialect: Dialect) -> None:
        inserts = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
        self._insert: Any = inserts[dialect.name]
        self._dialect = dialect
        self._build_transactions()
        self._build_outbox()
        self._build_sending()
        self._build_bindings()
        self._build_configurations()
        self._build_pruning()

    def _write(self, statement: UpdateBase, into: Table | None = None) -> PreparedWrite:
        return PreparedWrite(statement, self._dialect, into)

    def _ignoring(self, table: Table) -> PreparedWrite:
        return self._write(self._insert(table).on_conflict_do_nothing(), table)

    def _replacing(self, table: Table) -> PreparedWrite:
        statement = self._insert(table)
        key = [column.name for column in table.primary_key]
        new = {c.name: statement.excluded[c.name] for c in table.c if not c.primary_key}
        upsert = statement.on_conflict_do_update(index_elements=key, set_=new)
        return self._write(upsert, table)

    def _build_transactions(self) -> None:
        t = acm_transaction.c
        self.transactions_by_id = _transactions(t.acm_transaction_id.in_(_in("b_ids")))
        self.transaction_by_key = _transactions(
            t.acm_transaction_id == bindparam("b_id"),
            t.requester == bindparam("b_requester"),
            t.side == bindparam("b_side"),
        )
        self.transactions_by_number = _transactions(t.number.in_(_in("b_numbers")))
        self.transaction_by_number = _transactions(t.number == bindparam("b_number"))
        self.transactions_offered_to = (
            select(*_columns(acm_transaction, TRANSACTION_COLUMNS))
            .join_from(acm_offer, acm_transaction, t.number == acm_offer.c.transaction_number)
            .where(acm_offer.c.mc_service_id == bindparam("b_mc_service_id"))
        )
        self.due_transactions = (
            _transactions(t.due_at <= bindparam("b_now"))
            .order_by(t.due_at, t.number)
            .limit(bindparam("b_limit"))
        )
        self.next_due_at = select(func.min(t.due_at)).where(t.due_at.is_not(None))
        self.insert_transactions = self._ignoring(acm_transaction)
        fixed = {"number", "side", "acm_transaction_id", "requester", "received_at"}
        self.update_transactions = self._write(
            update(acm_transaction)
            .where(t.number == bindparam("b_number"), t.state == bindparam("b_written_state"))
            .values({c.name: bindparam(f"v_{c.name}") for c in t if c.name not in fixed})
        )
        self.insert_offers = self._write(self._insert(acm_offer), acm_offer)
        self.delete_offers = self._write(
            delete(acm_offer).where(
                acm_offer.c.mc_service_id == bindparam("b_mc_service_id"),
                acm_offer.c.transaction_number == bindparam("b_number"),
            )
        )
        n = number_sequence.c
        self.numbers = select(n.name, n.next_number)
        self.update_numbers = self._write(
            update(number_sequence)
            .where(n.name == bindparam("b_name"))
            .values(next_number=bindparam("v_next_number"))
        )

    def _build_outbox(self) -> None:
        o = outbox.c
        lane_is_taken = exists(select(_ONE).where(o.lane == bindparam("b_lane")))
        is_first = case((lane_is_taken, literal_column("0")), else_=_ONE)
        values: dict[str, ColumnElement[Any]] = {n: bindparam(f"v_{n}") for n in OUTBOX_COLUMNS}
        values["is_head"] = is_first
        self.insert_outbox = self._write(self._insert(outbox).values(values))
        self.update_outbox = self._write(
            update(outbox)
            .where(o.number == bindparam("b_number"))
            .values(
                attempts=bindparam("v_attempts"),
                next_attempt_at=bindparam("v_next_attempt_at"),
                deadline_at=bindparam("v_deadline_at"),
                is_maybe_delivered=bindparam("v_is_maybe_delivered"),
                leased_until=null(),
                node=null(),
            )
        )
        gone, later = outbox.alias("gone"), outbox.alias("later")
        next_of_lane = (
            select(func.min(later.c.number))
            .select_from(gone)
            .join(later, and_(later.c.lane == gone.c.lane, later.c.number > gone.c.number))
            .where(gone.c.number == bindparam("b_number"), gone.c.is_head == _ONE)
            .scalar_subquery()
        )
        self.promote_outbox = self._write(
            update(outbox).where(o.number == next_of_lane).values(is_head=_ONE)
        )
        self.delete_outbox = self._write(delete(outbox).where(o.number == bindparam("b_number")))
        self.release_outbox = self._write(
            update(outbox)
            .where(o.destination == bindparam("b_destination"), o.next_attempt_at.is_(None))
            .values(next_attempt_at=literal_column("0.0"))
        )
        self.hasten_outbox = self._write(
            update(outbox)
            .where(o.destination == bindparam("b_destination"), _ready(outbox))
            .values(next_attempt_at=literal_column("0.0"))
        )
        self.outbox_of_flow = select(o.number).where(
            o.transaction_number == bindparam("b_transaction_number"),
            o.flow == bindparam("b_flow"),
        )
        self.outbox_past_deadline = (
            _outbox_rows(o.deadline_at <= bindparam("b_now"), o.leased_until.is_(None))
            .order_by(o.deadline_at, o.number)
            .limit(bindparam("b_limit"))
        )

    def _build_sending(self) -> None:
        o = outbox.c
        self.ready_outbox = (
            select(o.number, o.destination)
            .where(_ready(outbox), o.next_attempt_at <= bindparam("b_now"))
            .order_by(o.next_attempt_at, o.number)
            .limit(bindparam("b_limit"))
        )
        self.ready_outbox_of = (
            select(o.number)
            .where(
                _ready(outbox),
                o.destination == bindparam("b_destination"),
                o.next_attempt_at <= bindparam("b_now"),
            )
            .order_by(o.next_attempt_at, o.number)
            .limit(bindparam("b_limit"))
        )
        self.ready_destinations = self._ready_destinations()
        self.outbox_by_number = _outbox_rows(o.number.in_(_in("b_numbers")))
        self.lease_outbox = self._write(
            update(outbox)
            .where(o.number == bindparam("b_number"))
            .values(leased_until=bindparam("v_leased_until"), node=bindparam("v_node"))
        )
        # Nobody knows how the attempt ended: the receiver may hold the flow.
        unlease = update(outbox).values(leased_until=null(), node=null(), is_maybe_delivered=_ONE)
        self.end_leases: Update = unlease.where(o.leased_until <= bindparam("b_now"))
        self.end_all_leases: Update = unlease.where(o.leased_until.is_not(None))

    @staticmethod
    def _ready_destinations() -> Select[Any]:
        """Walk the index from one destination to the next, whatever stands between them."""
        first, following, earliest = outbox.alias("f"), outbox.alias("n"), outbox.alias("e")
        walk = (
            select(func.min(first.c.destination).label("destination"), _ONE.label("step"))
            .where(_ready(first), first.c.destination > bindparam("b_after"))
            .cte("walk", recursive=True)
        )
        next_destination = (
            select(func.min(following.c.destination))
            .where(_ready(following), following.c.destination > walk.c.destination)
            .correlate(walk)
            .scalar_subquery()
        )
        walk = walk.union_all(
            select(next_destination, walk.c.step + _ONE).where(
                walk.c.destination.is_not(None), walk.c.step < bindparam("b_limit")
            )
        )
        earliest_attempt_at = (
            select(func.min(earliest.c.next_attempt_at))
            .where(_ready(earliest), earliest.c.destination == walk.c.destination)
            .correlate(walk)
            .scalar_subquery()
        )
        return select(walk.c.destination, earliest_attempt_at).where(
            walk.c.destination.is_not(None)
        )

    def _build_bindings(self) -> None:
        b = contact_binding.c
        self.bindings_of = _bindings(b.public_identity.in_(_in("b_identities")))
        self.bindings_on = _bindings(b.flow.in_(_in("b_flows")))
        self.expired_bindings = (
            _bindings(b.expires_at <= bindparam("b_now"))
            .order_by(b.expires_at)
            .limit(bindparam("b_limit"))
        )
        self.put_bindings = self._replacing(contact_binding)
        self.delete_bindings = self._write(
            delete(contact_binding).where(
                b.public_identity == bindparam("b_public_identity"),
                b.instance_or_contact == bindparam("b_instance_or_contact"),
                b.key_reg_id == bindparam("b_key_reg_id"),
            )
        )

    def _build_configurations(self) -> None:
        c, d = user_configuration.c, configuration_document.c
        self.configurations = select(*_columns(user_configuration, CONFIGURATION_COLUMNS)).where(
            c.side == bindparam("b_side"),
            c.system == bindparam("b_system"),
            c.mc_service_id.in_(_in("b_users")),
        )
        self.document = select(d.document).where(d.digest == bindparam("b_digest"))
        self.insert_documents = self._ignoring(configuration_document)
        self.put_configurations = self._replacing(user_configuration)

    def _build_pruning(self) -> None:
        t, d = acm_transaction.c, configuration_document.c
        has_rows = exists(select(_ONE).where(outbox.c.transaction_number == t.number))
        self.prunable_transactions = (
            select(t.number)
            .where(t.finished_at < bindparam("b_before"), ~has_rows)
            .order_by(t.finished_at)
            .limit(bindparam("b_limit"))
        )
        self.delete_transactions = self._write(
            delete(acm_transaction).where(t.number == bindparam("b_number"))
        )
        is_used = exists(select(_ONE).where(user_configuration.c.digest == d.digest))
        self.documents_after = (
            select(d.digest, is_used)
            .where(d.digest > bindparam("b_after"))
            .order_by(d.digest)
            .limit(bindparam("b_limit"))
        )
        self.delete_documents = self._write(
            delete(configuration_document).where(d.digest == bindparam("b_digest"))
        )


@cache
def statements_for(kind: str) -> Statements:
    """Return the statements for a kind of database; building them takes 20 ms, once."""
    dialects: dict[str, type[Dialect]] = {"sqlite": sqlite.dialect}
    return Statements(dialects[kind]())
