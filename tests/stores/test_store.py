"""The store: opened, used in batches, opened again."""

# ruff: noqa: PT012 - what raises is a whole batch

from __future__ import annotations

import sqlite3
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from acm_sip.errors import StoreError
from acm_sip.identities import FunctionalAlias, McServiceId
from acm_sip.procedures.effects import (
    InsertTransaction,
    PutBinding,
    PutOutboxRow,
    ReleaseRows,
    RemoveBinding,
    RemoveOutboxRow,
    StoreConfiguration,
    UpdateTransaction,
)
from acm_sip.procedures.records import AcmTransactionState, Side
from acm_sip.stores import AcmStore, ConflictError, OutboxState, StoreUnavailable
from tests.stores.records import ALICE, BOB, binding, outbox_row, to_user, transaction

OFFERED = AcmTransactionState.OFFERED
FULL = transaction(
    1,
    side=Side.PARTNER,
    target_functional_alias=FunctionalAlias("sip:chief@partner.example"),
    state=AcmTransactionState.ANSWERED,
    due_at=1234.5,
    offered_to=(BOB.canonical, ALICE.canonical),
    processing_at=1001.25,
    response=b"\x00<response/>",
    response_digest=bytes(range(32)),
    outcome="failure",
    cause="superseded",
    text="späť",
    handling_mc_service_id=BOB.canonical,
    answered_at=1500.0,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "acm.db"


def fill(store: AcmStore, *effects: object) -> list[int]:
    with store.transact() as batch:
        for effect in effects:
            batch.apply(effect)  # type: ignore[arg-type]
        return batch.assigned_numbers


def driver_of(store: AcmStore) -> sqlite3.Connection:
    driver = store._connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    return driver


def test_every_field_of_every_record_survives_reopening(path: Path) -> None:
    configuration = StoreConfiguration(
        Side.PARTNER, "primary", (ALICE, BOB), b"d" * 32, b"<d/>", 1, 5.0
    )
    parked = outbox_row(1, destination=to_user("alice"), deadline_at=9.5, next_attempt_at=None)
    with AcmStore.open(path) as store:
        fill(store, InsertTransaction(FULL), PutOutboxRow(parked))
        fill(store, PutBinding(binding()), configuration)
    with AcmStore.open(f"sqlite:///{path}") as store, store.transact() as batch:
        assert batch.transaction(FULL.key) == FULL
        assert batch.transaction_by_number(1) == FULL
        assert batch.bindings_of("sip:alice@primary.example") == (binding(),)
        assert batch.bindings_on(binding().flow) == (binding(),)
        held = batch.configurations(Side.PARTNER, "primary", [ALICE, BOB])
        assert {name: c.digest for name, c in held.items()} == {
            ALICE.canonical: b"d" * 32,
            BOB.canonical: b"d" * 32,
        }
        assert batch.document(b"d" * 32) == b"<d/>"
        assert batch.document(b"e" * 32) is None
        batch.apply(ReleaseRows((str(parked.destination),)))
        rows = batch.lease_rows(10.0, leased_until=55.0, node="n", limit=5)
        assert rows == [replace(parked, number=1, next_attempt_at=0.0)]


def test_a_text_that_is_no_unicode_is_stored_without_harm(path: Path) -> None:
    with AcmStore.open(path) as store:
        fill(store, InsertTransaction(replace(FULL, text="a\udcffb\0")))
        fill(store, PutBinding(binding(call_id="\udc80")))
        with store.transact() as batch:
            record = batch.transaction_by_number(1)
    assert record is not None
    assert record.text == "a?b?"


@pytest.mark.parametrize("known", [True, False], ids=["prefetched", "lazily"])
def test_a_decision_sees_what_the_batch_changed(path: Path, known: bool) -> None:
    old = transaction(1)
    with AcmStore.open(path) as store:
        fill(store, InsertTransaction(old))
        with store.transact() as batch:
            if known:
                batch.prefetch(keys=[old.key, transaction(2).key], numbers=[1, 2])
            assert batch.transaction(old.key) == old
            assert batch.transaction(transaction(2).key) is None
            assert batch.transaction_by_number(2) is None
            batch.apply(InsertTransaction(transaction(2)))
            assert batch.transaction(transaction(2).key) == transaction(2)
            assert batch.transaction_by_number(2) == transaction(2)
            for state in (AcmTransactionState.FORWARDED, AcmTransactionState.PROCESSING):
                batch.apply(UpdateTransaction(replace(old, state=state)))
                batch.apply(UpdateTransaction(replace(transaction(2), state=state)))
            assert batch.transaction(old.key) == replace(old, state=state)
        with store.transact() as batch:
            assert batch.transaction_by_number(1) == replace(old, state=state)
            assert batch.transaction_by_number(2) == replace(transaction(2), state=state)


def test_offers_follow_the_state(path: Path) -> None:
    offered = transaction(1, side=Side.PARTNER, state=OFFERED, offered_to=(BOB.canonical,))
    moved = replace(offered, offered_to=(ALICE.canonical,))
    with AcmStore.open(path) as store:
        with store.transact() as batch:
            batch.apply(InsertTransaction(offered))
            assert batch.unanswered_for(BOB.canonical) == (offered,)
        with store.transact() as batch:
            assert batch.unanswered_for(BOB.canonical) == (offered,)
            batch.apply(UpdateTransaction(moved))
            assert batch.unanswered_for(BOB.canonical) == ()
            assert batch.unanswered_for(ALICE.canonical) == (moved,)
        with store.transact() as batch:
            assert batch.unanswered_for(BOB.canonical) == ()
            assert batch.unanswered_for(ALICE.canonical) == (moved,)
            batch.apply(UpdateTransaction(replace(moved, state=AcmTransactionState.ANSWERED)))
            assert batch.unanswered_for(ALICE.canonical) == ()
        with store.transact() as batch:
            assert batch.unanswered_for(ALICE.canonical) == ()


def test_a_binding_is_replaced_by_its_key_and_listed_newest_first(path: Path) -> None:
    identity = binding().public_identity
    first = binding(registered_at=1.0)
    other = binding(instance_id="", reg_id=0, contact="sip:alice@192.0.2.9", registered_at=2.0)
    renewed = binding(contact="sip:alice@192.0.2.7", flow="UDP other", registered_at=3.0)
    with AcmStore.open(path) as store:
        fill(store, PutBinding(first), PutBinding(other))
        with store.transact() as batch:
            assert batch.bindings_of(identity) == (other, first)
            batch.apply(PutBinding(renewed))
            assert batch.bindings_of(identity) == (renewed, other)
            assert batch.bindings_on(first.flow) == (other,)
            assert batch.bindings_on("UDP other") == (renewed,)
        with store.transact() as batch:
            batch.apply(RemoveBinding(other))
            assert batch.bindings_of(identity) == (renewed,)
        with store.transact() as batch:
            assert batch.bindings_of(identity) == (renewed,)
            assert batch.expired_bindings(1999.9, 5) == []
            assert batch.expired_bindings(2000.0, 5) == [renewed]


def test_a_later_configuration_replaces_and_shares_its_document(path: Path) -> None:
    def effect(digest: bytes, *users: McServiceId) -> StoreConfiguration:
        return StoreConfiguration(Side.PRIMARY, "partner", users, digest, digest * 2, 1, 1.0)

    with AcmStore.open(path) as store:
        fill(store, effect(b"one", ALICE, BOB))
        with store.transact() as batch:
            batch.apply(effect(b"two", ALICE))
            held = batch.configurations(Side.PRIMARY, "partner", [ALICE, BOB])
            assert [held[u.canonical].digest for u in (ALICE, BOB)] == [b"two", b"one"]
            assert batch.configurations(Side.PRIMARY, "other", [ALICE]) == {}
        with store.transact() as batch:
            held = batch.configurations(Side.PRIMARY, "partner", [ALICE, BOB])
            assert [held[u.canonical].digest for u in (ALICE, BOB)] == [b"two", b"one"]
            assert batch.prune(0.0, 10) == 0
            assert batch.document(b"one") == b"oneone"
            batch.apply(effect(b"two", BOB))
        with store.transact() as batch:
            batch.prune(0.0, 10)
            assert batch.document(b"one") is None
            assert batch.document(b"two") == b"twotwo"


def test_an_exception_leaves_nothing_behind(path: Path) -> None:
    with AcmStore.open(path) as store:
        with pytest.raises(ZeroDivisionError), store.transact() as batch:
            assert batch.allocate_numbers(3) == 1
            batch.apply(InsertTransaction(transaction(1)))
            batch.apply(PutOutboxRow(outbox_row(1)))
            batch.flush()
            raise ZeroDivisionError
        with store.transact() as batch:
            assert batch.transaction_by_number(1) is None
            assert batch.lease_rows(1.0, leased_until=2.0, node="n", limit=1) == []
            assert batch.allocate_numbers(1) == 1


def test_numbers_are_never_used_again(path: Path) -> None:
    with AcmStore.open(path) as store:
        with store.transact() as batch:
            assert [batch.allocate_numbers(2), batch.allocate_numbers(1)] == [1, 3]
            batch.apply(InsertTransaction(FULL))
            batch.apply(PutOutboxRow(outbox_row(1)))
            assert batch.assigned_numbers == [1]
        fill(store, RemoveOutboxRow(1))
        with store.transact() as batch:
            assert batch.prune(1e9, 10) == 1
            assert batch.transaction(FULL.key) is None
    with AcmStore.open(path) as store, store.transact() as batch:
        assert batch.allocate_numbers(1) == 4
        batch.apply(InsertTransaction(transaction(4)))
        batch.apply(PutOutboxRow(outbox_row(4)))
        assert batch.assigned_numbers == [2]


def test_a_key_that_exists_is_a_conflict_and_stores_nothing(path: Path) -> None:
    again = replace(transaction(1), number=2)
    with AcmStore.open(path) as store:
        fill(store, InsertTransaction(transaction(1)))
        with pytest.raises(ConflictError), store.transact() as batch:
            batch.apply(InsertTransaction(transaction(3)))
            batch.apply(InsertTransaction(again))  # never read: found out by the database
        with pytest.raises(ConflictError), store.transact() as batch:
            assert batch.transaction(again.key) is not None
            batch.apply(InsertTransaction(again))
        with store.transact() as batch:
            assert batch.transaction_by_number(3) is None
            assert batch.transaction_by_number(1) == transaction(1)


def test_a_state_that_changed_since_it_was_read_is_a_conflict(path: Path) -> None:
    with AcmStore.open(path) as store:
        fill(store, InsertTransaction(transaction(1)))
        with pytest.raises(ConflictError), store.transact() as batch:
            assert batch.transaction_by_number(1) is not None
            driver_of(store).execute("UPDATE acm_transaction SET state = 'answered'")
            batch.apply(UpdateTransaction(transaction(1, text="too late")))
        with pytest.raises(ConflictError), store.transact() as batch:
            batch.apply(UpdateTransaction(transaction(77)))


def test_prune_keeps_what_is_young_or_still_to_be_sent(path: Path) -> None:
    with AcmStore.open(path) as store:
        for number in range(1, 6):
            fill(store, InsertTransaction(transaction(number, answered_at=100.0, expires_at=200.0)))
        fill(store, InsertTransaction(transaction(6)))
        fill(store, PutOutboxRow(outbox_row(2)))
        with store.transact() as batch:
            assert batch.prune(200.0, 10) == 0
            assert batch.prune(200.5, 3) == 3
            assert batch.prune(200.5, 3) == 1
            assert batch.prune(200.5, 3) == 0
            kept = [n for n in range(1, 7) if batch.transaction_by_number(n) is not None]
            assert kept == [2, 6]


def test_due_transactions_come_by_time(path: Path) -> None:
    with AcmStore.open(path) as store:
        with store.transact() as batch:
            assert batch.next_due_at() is None
        for number, due_at in ((1, 30.0), (2, 10.0), (3, None), (4, 20.0)):
            fill(store, InsertTransaction(transaction(number, due_at=due_at)))
        with store.transact() as batch:
            assert batch.next_due_at() == 10.0
            assert [t.number for t in batch.due_transactions(20.0, 5)] == [2, 4]
            assert [t.number for t in batch.due_transactions(30.0, 2)] == [2, 4]
            batch.apply(UpdateTransaction(transaction(2, due_at=None)))
            assert batch.next_due_at() == 20.0


def test_a_reader_works_beside_the_server_and_changes_nothing(path: Path) -> None:
    with pytest.raises(StoreError, match="does not exist"):
        AcmStore.open(path, read_only=True)
    with AcmStore.open(path) as store:
        fill(store, InsertTransaction(transaction(1)), PutOutboxRow(outbox_row(1)))
        fill(store, PutOutboxRow(outbox_row(1, lane="partner:partner 1")), PutBinding(binding()))
        fill(
            store,
            PutOutboxRow(outbox_row(1, destination=to_user("bob"), lane="b", next_attempt_at=None)),
        )
        fill(store, StoreConfiguration(Side.PARTNER, "primary", (BOB,), b"d", b"<d/>", 1, 5.0))
        with AcmStore.open(path, read_only=True) as show, store.transact() as batch:
            batch.apply(InsertTransaction(transaction(2)))
            batch.flush()  # the server is in the middle of a transaction
            with show.read() as reader:
                assert reader.list_transactions(9) == [transaction(1)]
                assert reader.list_transactions(9, side=Side.PARTNER) == []
                text = str(transaction(1).acm_transaction_id)
                assert reader.transactions_with_id(text) == [transaction(1)]
                assert reader.list_bindings(9) == [binding()]
                assert [c.mc_service_id for c in reader.list_configurations(9)] == [BOB.canonical]
                assert reader.document(b"d") == b"<d/>"
                states = [entry.state for entry in reader.list_outbox(9)]
                assert states == [OutboxState.WAITING, OutboxState.BEHIND, OutboxState.PARKED]
                counts = reader.count_outbox()
                assert (counts.total, counts.parked, counts.behind) == (3, 1, 1)
            with pytest.raises(StoreUnavailable), show.transact() as mine:
                mine.apply(InsertTransaction(transaction(3)))
    with AcmStore.open(path, read_only=True) as show, show.read() as reader:
        assert [t.number for t in reader.list_transactions(9)] == [2, 1]


def test_a_second_process_is_refused_and_let_in_later(path: Path) -> None:
    program = f"from acm_sip.stores import AcmStore; AcmStore.open({str(path)!r})"
    command = [sys.executable, "-c", program]
    with AcmStore.open(path):
        second = subprocess.run(command, check=False, capture_output=True, text=True)
        assert second.returncode == 1
        assert "is in use by another process" in second.stderr
        with pytest.raises(StoreError, match="in use"):
            AcmStore.open(path)
    assert subprocess.run(command, check=False).returncode == 0


def test_a_new_file_is_for_its_owner_only_and_survives_a_power_failure(path: Path) -> None:
    with AcmStore.open(path) as store:
        fill(store, InsertTransaction(transaction(1)))
        modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in path.parent.iterdir()}
        assert modes["acm.db"] == modes["acm.db-wal"] == 0o600
        driver = driver_of(store)
        settings = ("synchronous", "journal_mode", "foreign_keys")
        found = [driver.execute(f"PRAGMA {name}").fetchone()[0] for name in settings]
        assert found == [2, "wal", 1]


def test_a_full_disk_is_reported_and_overcome(path: Path) -> None:
    with AcmStore.open(path) as store:
        fill(store, InsertTransaction(transaction(1)))
        driver = driver_of(store)
        pages = driver.execute("PRAGMA page_count").fetchone()[0]
        driver.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(StoreUnavailable, match="full"):
            fill(store, InsertTransaction(transaction(2, request=bytes(500_000))))
        with store.transact() as batch:
            assert batch.transaction_by_number(2) is None
        driver.execute("PRAGMA max_page_count = 100000")
        fill(store, InsertTransaction(transaction(2, request=bytes(500_000))))
        with store.transact() as batch:
            assert batch.transaction_by_number(2) is not None


def test_a_file_that_is_no_database_is_refused_and_left_alone(path: Path) -> None:
    content = b"no database at all, but long enough to look at" * 30
    path.write_bytes(content)
    with pytest.raises(StoreError, match="not a database"):
        AcmStore.open(path)
    assert path.read_bytes() == content


def test_a_database_of_others_is_refused_and_left_alone(path: Path) -> None:
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE t (x)")
    other.close()
    with pytest.raises(StoreError, match="no store of acm-sip"):
        AcmStore.open(path)
    with pytest.raises(StoreError, match="no store of acm-sip"):
        AcmStore.open(path, read_only=True)


@pytest.mark.parametrize(
    "url", ["postgresql://host/acm", ":memory:", "sqlite:///", "/no/such/dir/x"]
)
def test_what_is_no_usable_path_is_refused_in_one_line(url: str) -> None:
    with pytest.raises(StoreError) as caught:
        AcmStore.open(url)
    assert "\n" not in str(caught.value)
