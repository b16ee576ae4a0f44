"""Which rows of the outbox may be sent now, and at what cost."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from acm_sip.procedures.effects import (
    InsertTransaction,
    PutOutboxRow,
    ReleaseRows,
    RemoveOutboxRow,
    RemoveRows,
    Update,
)
from acm_sip.procedures.records import OutboxRow
from acm_sip.stores import AcmStore
from acm_sip.stores.statements import statements_for
from tests.stores.records import PARTNER, outbox_row, to_user, transaction

MANY = 100_000


@pytest.fixture
def store(tmp_path: Path) -> Iterator[AcmStore]:
    with AcmStore.open(tmp_path / "acm.db") as opened:
        do(opened, InsertTransaction(transaction(1)))
        yield opened


def do(store: AcmStore, *effects: Update) -> list[int]:
    with store.transact() as batch:
        for effect in effects:
            batch.apply(effect)
        return batch.assigned_numbers


def put(store: AcmStore, *rows: OutboxRow) -> list[int]:
    return do(store, *(PutOutboxRow(row) for row in rows))


def lease(store: AcmStore, now: float = 10.0, limit: int = 100, **options: object) -> list[int]:
    with store.transact() as batch:
        rows = batch.lease_rows(now, leased_until=now + 45, node="n", limit=limit, **options)  # type: ignore[arg-type]
    return [row.number for row in rows]


def test_only_the_first_of_a_lane_goes_each_after_the_one_before(store: AcmStore) -> None:
    assert put(store, *(outbox_row(1, lane=lane) for lane in "aabab")) == [1, 2, 3, 4, 5]
    assert lease(store) == [1, 3]
    assert lease(store) == []
    do(store, RemoveOutboxRow(1))
    assert lease(store) == [2]
    do(store, RemoveOutboxRow(3), RemoveOutboxRow(2))
    assert lease(store) == [4, 5]
    do(store, RemoveOutboxRow(4))
    put(store, outbox_row(1, lane="a"), outbox_row(1, lane="b"))
    assert lease(store) == [6]


def test_rows_given_up_out_of_order_keep_the_lane_in_order(store: AcmStore) -> None:
    put(store, *(outbox_row(1, lane="a") for _ in range(6)))
    do(store, RemoveOutboxRow(2))
    assert lease(store) == [1]
    do(store, RemoveOutboxRow(3), RemoveOutboxRow(1), RemoveOutboxRow(4))
    assert lease(store) == [5]
    do(store, RemoveOutboxRow(5))
    assert lease(store) == [6]


def test_a_new_lane_that_loses_its_first_row_in_the_same_batch(store: AcmStore) -> None:
    with store.transact() as batch:
        batch.apply(PutOutboxRow(outbox_row(1, lane="a")))
        batch.apply(PutOutboxRow(outbox_row(1, lane="a")))
        batch.apply(RemoveOutboxRow(batch.assigned_numbers[0]))
    assert lease(store) == [2]


def test_a_row_waits_for_its_time_and_keeps_its_lane_waiting(store: AcmStore) -> None:
    put(store, outbox_row(1, lane="a"), outbox_row(1, lane="a"))
    assert lease(store, 10.0) == [1]
    put(store, outbox_row(1, number=1, lane="a", attempts=1, next_attempt_at=20.0))
    assert lease(store, 19.9) == []
    with store.transact() as batch:
        (row,) = batch.lease_rows(20.0, leased_until=65.0, node="n", limit=9)
    assert row == outbox_row(1, number=1, lane="a", attempts=1, next_attempt_at=20.0)


def test_the_oldest_goes_first_within_the_limit(store: AcmStore) -> None:
    times = (5.0, 3.0, 4.0, 3.0)
    put(store, *(outbox_row(1, lane=str(n), next_attempt_at=t) for n, t in enumerate(times)))
    assert lease(store, limit=3) == [2, 4, 3]
    assert lease(store, limit=3) == [1]


def test_a_lease_ends_by_time_and_when_the_store_is_opened_again(store: AcmStore) -> None:
    put(store, outbox_row(1))
    assert lease(store, 10.0) == [1]
    assert lease(store, 54.9) == []
    assert lease(store, 55.0) == [1]
    store.close()
    with AcmStore.open(store.path) as again:
        with again.read() as reader:  # nobody knows whether the receiver got it
            assert reader.list_outbox(9)[0].row.is_maybe_delivered
        assert lease(again, 55.0) == [1]


def test_the_rows_of_one_flow_go_together_and_free_their_lane(store: AcmStore) -> None:
    put(store, outbox_row(1, lane="a"), outbox_row(1, lane="a", flow="response"))
    do(store, RemoveRows(1, "request"))
    assert lease(store) == [2]
    do(store, PutOutboxRow(outbox_row(1, lane="b")), RemoveRows(1, "request"))
    with store.read() as reader:
        assert [entry.row.flow for entry in reader.list_outbox(9)] == ["response"]


def test_a_row_remembers_that_it_may_have_arrived(store: AcmStore) -> None:
    put(store, outbox_row(1))
    do(store, PutOutboxRow(outbox_row(1, number=1, is_maybe_delivered=True)))
    with store.read() as reader:
        assert reader.list_outbox(9)[0].row.is_maybe_delivered


def test_parked_rows_leave_when_their_destination_is_released(store: AcmStore) -> None:
    alice, bob = to_user("alice"), to_user("bob")
    rows = [outbox_row(1, destination=d, lane=str(d), next_attempt_at=None) for d in (alice, bob)]
    put(store, *rows)
    assert lease(store) == []
    do(store, ReleaseRows((str(bob), "user:nobody")))
    assert lease(store) == [2]


def test_rows_that_wait_for_their_next_attempt_are_released_too(store: AcmStore) -> None:
    alice, bob = to_user("alice"), to_user("bob")
    rows = [outbox_row(1, destination=d, lane=str(d), next_attempt_at=99.0) for d in (alice, bob)]
    put(store, *rows)
    assert lease(store) == []
    do(store, ReleaseRows((str(alice),)))
    assert lease(store) == [1]


def test_parking_and_releasing_in_one_batch_keep_their_order(store: AcmStore) -> None:
    alice = to_user("alice")
    rows = [
        outbox_row(1, number=n, destination=alice, lane=str(n), next_attempt_at=None)
        for n in (1, 2, 3)
    ]
    put(store, *(replace(row, number=0) for row in rows))
    release = ReleaseRows((str(alice),))
    do(store, PutOutboxRow(rows[0]), release, PutOutboxRow(rows[1]))
    assert lease(store) == [1, 3]


def test_what_was_removed_is_not_put_back(store: AcmStore) -> None:
    put(store, outbox_row(1))
    do(store, RemoveOutboxRow(1), PutOutboxRow(outbox_row(1, number=1)))
    put(store, outbox_row(1, number=1))
    assert lease(store) == []


def test_blocked_destinations_and_windows(store: AcmStore) -> None:
    other = to_user("bob")
    put(store, *(outbox_row(1, lane=f"p{n}") for n in range(5)))
    put(store, outbox_row(1, lane="o", destination=other))
    assert lease(store, blocked={str(PARTNER)}) == [6]
    windows = {str(PARTNER): 2}
    assert lease(store, window=lambda name: windows.get(name, 1)) == [1, 2]
    assert lease(store) == [3, 4, 5]


def test_rows_past_their_deadline_unless_they_are_being_sent(store: AcmStore) -> None:
    deadlines = (30.0, 10.0, None, 20.0, 5.0)
    put(store, *(outbox_row(1, lane=str(n), deadline_at=d) for n, d in enumerate(deadlines)))
    do(store, PutOutboxRow(outbox_row(1, number=1, deadline_at=30.0, next_attempt_at=None)))
    with store.transact() as batch:
        assert [row.number for row in batch.rows_past_deadline(20.0, 2)] == [5, 2]
        assert [row.number for row in batch.rows_past_deadline(30.0, 9)] == [5, 2, 4, 1]
        batch.lease_rows(15.0, leased_until=60.0, node="n", limit=2)
        assert [row.number for row in batch.rows_past_deadline(30.0, 9)] == [5, 4, 1]


def plans(store: AcmStore) -> Iterator[tuple[str, str]]:
    driver = store._connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    statements = statements_for("sqlite")
    dialect = store._connection.dialect
    for name in (
        "ready_outbox",
        "ready_outbox_of",
        "ready_destinations",
        "outbox_past_deadline",
        "due_transactions",
        "next_due_at",
        "prunable_transactions",
        "documents_after",
        "expired_bindings",
        "transactions_offered_to",
        "end_leases",
    ):
        sql = str(getattr(statements, name).compile(dialect=dialect))
        values = [None] * sql.count("?")
        yield name, " | ".join(r[3] for r in driver.execute("EXPLAIN QUERY PLAN " + sql, values))
    for name in ("release_outbox", "promote_outbox", "update_transactions", "insert_outbox"):
        sql = getattr(statements, name).sql
        values = [None] * sql.count("?")
        yield name, " | ".join(r[3] for r in driver.execute("EXPLAIN QUERY PLAN " + sql, values))


def test_no_statement_of_the_engine_walks_a_table_or_sorts(store: AcmStore) -> None:
    for name, plan in plans(store):
        scans = [step for step in plan.split(" | ") if step.startswith("SCAN")]
        assert all("walk" in step or "CONSTANT" in step for step in scans), f"{name}: {plan}"
        if name != "expired_bindings":
            assert "TEMP B-TREE" not in plan, f"{name}: {plan}"


def fill_many(store: AcmStore, *, blocked: bool) -> None:
    driver = store._connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    row = outbox_row(1)
    columns = (
        "number, transaction_number, destination_kind, destination, lane, flow, service,"
        " octets, created_at, attempts, next_attempt_at, is_head, is_maybe_delivered"
    )
    at = 0.0 if blocked else None
    name = "partner:partner" if blocked else "user:parked"
    values = (
        (
            n,
            1,
            name.split(":", maxsplit=1)[0],
            name,
            f"l{n}",
            row.flow,
            "mcptt",
            b"",
            0.0,
            0,
            at,
            1,
            0,
        )
        for n in range(10, MANY + 10)
    )
    driver.execute("BEGIN")
    driver.executemany(f"INSERT INTO outbox ({columns}) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)", values)
    last = (MANY + 10, 1, "user", "user:free", "free", "r", "mcptt", b"", 0.0, 0, 1.0, 1, 0)
    driver.execute(f"INSERT INTO outbox ({columns}) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)", last)
    driver.execute("COMMIT")


@pytest.mark.parametrize("blocked", [False, True], ids=["parked", "due_but_blocked"])
def test_a_hundred_thousand_rows_that_may_not_go_cost_nothing(
    store: AcmStore, blocked: bool
) -> None:
    fill_many(store, blocked=blocked)
    driver = store._connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 1
        return 0

    driver.set_progress_handler(count, 100)
    assert lease(store, blocked={str(PARTNER)}) == [MANY + 10]
    # Walking over them would take more than 5 instructions of the database for each.
    assert steps * 100 < MANY / 2


def test_more_destinations_than_one_call_visits_are_all_served_in_turns(
    store: AcmStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("acm_sip.stores.batch._MAX_VISITED_DESTINATIONS", 50)
    names = [f"blocked{n:04d}" for n in range(1000)]
    for name in [*names, "zoe", "zara"]:
        put(store, outbox_row(1, destination=to_user(name), lane=name))
    blocked = {str(to_user(name)) for name in names}
    served = [number for _ in range(25) for number in lease(store, blocked=blocked, limit=8)]
    assert sorted(served) == [1001, 1002]
