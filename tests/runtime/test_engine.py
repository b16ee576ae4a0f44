"""The engine over a real store, with a role that does what each request says."""

from __future__ import annotations

import queue
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace

import pytest

from acm_sip.codec.body import BodyPart, decode_body
from acm_sip.errors import LocalProtocolError, StoreError
from acm_sip.procedures.authentication import Source
from acm_sip.procedures.binding import Addressing
from acm_sip.procedures.effects import (
    AnswerRequest,
    InsertTransaction,
    PutOutboxRow,
    RemoveOutboxRow,
    TellUser,
)
from acm_sip.procedures.events import DeliveryEnded
from acm_sip.procedures.role import ReadRequest, Sending
from acm_sip.runtime import engine as engine_module
from acm_sip.runtime import upkeep
from acm_sip.runtime.clock import Clock
from acm_sip.runtime.engine import Engine
from acm_sip.runtime.engine_events import (
    Answered,
    EngineCall,
    FlowClosed,
    RequestArrived,
    RowLeaves,
)
from acm_sip.sip.header_fields import HeaderFields
from acm_sip.sip.message import Request
from acm_sip.stores import AcmStore, ConflictError, StoreUnavailable
from tests.codec.bodies import request_body
from tests.harness.processes import wait_until
from tests.stores.records import outbox_row, transaction

SOURCE = Source("127.0.0.1", "udp:127.0.0.1:1|127.0.0.1:2")
BODY = decode_body((BodyPart("application/vnd.3gpp.mcs-acm-info+xml", request_body()),))
WITHIN_S = 20.0


class ObedientRole:
    """Does what the body of a request says: ``store``, ``row``, ``boom``, ``boom read``."""

    def __init__(self):
        self.order = []
        self.delivered = []
        self.unresolvable = set()

    def read(self, request, source, at):
        if request.body == b"boom read":
            raise ZeroDivisionError("read")
        return ReadRequest(request, source, at, BODY)

    def decide(self, records, read):
        number = records.allocate_numbers(1)
        body = read.request.body
        self.order.append(body)
        if body.startswith(b"boom"):
            raise ZeroDivisionError("decide")
        due_at = 1.0 if body == b"due" else None
        effects = [InsertTransaction(transaction(number, due_at=due_at))]
        if body.startswith(b"row"):
            late = {"next_attempt_at": None, "deadline_at": 1.0} if b"late" in body else {}
            row = outbox_row(number, lane=f"lane {number}", octets=body, **late)
            effects.append(PutOutboxRow(row))
        return [*effects, AnswerRequest(202)]

    def resolve(self, records, row, now):
        if row.octets in self.unresolvable:
            raise ZeroDivisionError("resolve")
        return Sending(Addressing("sip:x@y", "sip:a@b", is_asserted=True), "partner:x", None)

    def on_delivery_ended(self, records, ended):
        self.delivered.append(ended.row.number)
        return (RemoveOutboxRow(ended.row.number),)

    def on_row_deadline(self, records, row, at):
        if row.octets.startswith(b"row late boom"):
            raise ZeroDivisionError("deadline")
        return (RemoveOutboxRow(row.number),)

    def on_deadline(self, records, transaction, at):
        raise ZeroDivisionError("due")

    def on_flow_closed(self, records, flow):
        return ()


class Weather:
    """A store whose transactions fail as often as asked for, each time with one error."""

    def __init__(self, store):
        self._store = store
        self.errors: list[Exception] = []
        self.at_commit = False
        self.batches = 0

    @contextmanager
    def transact(self):
        self.batches += 1
        error = self.errors.pop(0) if self.errors else None
        if error is not None and not self.at_commit:
            raise error
        with self._store.transact() as batch:
            yield batch
            if error is not None:
                raise error

    def __getattr__(self, name):
        return getattr(self._store, name)


class Bench:
    """An engine, and what it wanted done."""

    def __init__(self, path, monkeypatch):
        monkeypatch.setattr(upkeep, "_TICK_S", 0.05)
        monkeypatch.setattr(engine_module, "_STORE_AWAY_S", 0.05)
        self.role = ObedientRole()
        self.store = Weather(AcmStore.open(path))
        self.path = path
        self.performed: queue.SimpleQueue = queue.SimpleQueue()
        self.engine = Engine(
            self.store,
            self.role,
            Clock(),
            lambda destination: 4,
            self.performed.put,
            node="node",
            retention_s=86_400.0,
        )

    def submit(self, *bodies):
        for handle, body in enumerate(bodies):
            assert self.engine.submit(RequestArrived(request(body), SOURCE, 1.0, handle))

    def answers(self, count):
        """Return the answers by the order of their requests."""
        found: list[Answered] = []
        while len(found) < count:
            found += [p for p in self.performed.get(timeout=WITHIN_S) if isinstance(p, Answered)]
        return [entry.answer for entry in sorted(found, key=lambda entry: entry.event.handle)]

    def statuses(self, *bodies):
        self.submit(*bodies)
        return [answer.status_code for answer in self.answers(len(bodies))]

    def leaving(self, count):
        found: list[RowLeaves] = []
        while len(found) < count:
            found += [p for p in self.performed.get(timeout=WITHIN_S) if isinstance(p, RowLeaves)]
        return found

    def call(self, decide) -> Future:
        future: Future = Future()
        self.engine.submit(EngineCall(decide, future))
        return future

    def outbox(self):
        with AcmStore.open(self.path, read_only=True) as store, store.read() as reader:
            return reader.list_outbox(10_000)

    def stored(self):
        with AcmStore.open(self.path, read_only=True) as store, store.read() as reader:
            return [entry.number for entry in reader.list_transactions(10_000)]


def request(body):
    return Request("MESSAGE", "sip:x@y", HeaderFields(), body)


@pytest.fixture
def bench(tmp_path, monkeypatch):
    bench = Bench(tmp_path / "store.db", monkeypatch)
    yield bench
    bench.engine.stop()


def test_requests_are_decided_in_order_and_answered_after_the_commit(bench):
    bodies = [b"store %d" % number for number in range(100)]
    bench.submit(*bodies)
    bench.engine.start()
    assert {answer.status_code for answer in bench.answers(100)} == {202}
    assert bench.role.order == bodies
    assert len(bench.stored()) == 100
    assert bench.store.batches < 100  # many to a COMMIT


@pytest.mark.parametrize("fault", [b"boom", b"boom read"])
def test_an_exception_in_a_decision_costs_that_event_alone(bench, fault):
    bench.submit(b"store", fault, b"store", fault, b"store")
    bench.engine.start()
    assert [answer.status_code for answer in bench.answers(5)] == [202, 500, 202, 500, 202]
    assert len(bench.stored()) == 3


@pytest.mark.parametrize("at_commit", [False, True])
def test_a_store_that_cannot_be_written_is_503_and_recovers_by_itself(bench, at_commit):
    bench.store.at_commit = at_commit
    bench.store.errors = [StoreUnavailable("disk full")]
    bench.submit(b"store", b"store")
    bench.engine.start()
    answers = bench.answers(2)
    assert [answer.status_code for answer in answers] == [503, 503]
    assert all(dict(answer.headers)["Retry-After"].isdigit() for answer in answers)
    assert bench.stored() == []
    wait_until(lambda: bench.statuses(b"store") == [202], what="the store is back")
    assert len(bench.stored()) == 1


def test_a_store_that_is_away_for_long_starves_nobody_of_a_503_and_lets_the_engine_stop(bench):
    bench.store.errors = [StoreUnavailable("disk full")] * 1000
    for number in range(100):
        bench.engine.submit(FlowClosed(f"tcp:node:{number}"))
    bench.submit(*[b"store"] * 40)
    bench.engine.start()
    assert {answer.status_code for answer in bench.answers(40)} == {503}
    bench.engine.stop()
    assert bench.store.errors


def test_a_store_that_refuses_one_event_for_good_costs_that_event(bench):
    bench.store.at_commit = True
    bench.store.errors = [StoreError("no such column"), StoreError("no such column")]
    bench.submit(b"store 1", b"store 2")
    bench.engine.start()
    assert [answer.status_code for answer in bench.answers(2)] == [500, 202]


def test_what_was_not_a_request_is_kept_until_the_store_is_back(bench):
    bench.submit(b"row")
    bench.engine.start()
    (leaves,) = bench.leaving(1)
    bench.store.errors = [StoreUnavailable("disk full")] * 3
    bench.engine.submit(DeliveryEnded(leaves.row, 2.0, 200, "", None, was_sent=True))
    wait_until(lambda: not bench.outbox(), what="the row is gone")
    assert bench.role.delivered == [leaves.row.number]
    assert bench.store.errors == []


def test_a_conflict_runs_the_batch_again_and_nothing_happens_twice(bench):
    bench.store.at_commit = True
    bench.store.errors = [ConflictError("taken")] * 3
    bench.submit(b"row")
    bench.engine.start()
    (leaves,) = bench.leaving(1)
    assert leaves.row.octets == b"row"
    assert len(bench.stored()) == 1
    assert bench.performed.empty()


def test_a_conflict_that_never_ends_is_503(bench):
    bench.store.errors = [ConflictError("taken")] * 50
    bench.submit(b"store")
    bench.engine.start()
    assert [answer.status_code for answer in bench.answers(1)] == [503]


def test_a_bug_below_the_decisions_costs_the_event_that_has_it(bench):
    bench.store.at_commit = True
    bench.store.errors = [ZeroDivisionError("commit"), ZeroDivisionError("commit")]
    bench.submit(b"store 1", b"store 2")
    bench.engine.start()
    # The first failure undoes the batch, the second one the first event alone.
    assert [answer.status_code for answer in bench.answers(2)] == [500, 202]
    assert len(bench.stored()) == 1


def test_above_its_queue_only_requests_are_turned_away(bench, monkeypatch):
    monkeypatch.setattr(engine_module, "_MAX_QUEUED", 3)
    bench.submit(b"store", b"store", b"store")
    assert not bench.engine.submit(RequestArrived(request(b"store"), SOURCE, 1.0, 9))
    done = bench.call(lambda records, at: ())
    bench.engine.start()
    assert done.result(WITHIN_S) is None
    assert len(bench.answers(3)) == 3
    assert bench.statuses(b"store") == [202]


def test_the_thread_is_replaced_and_nothing_is_lost(bench, monkeypatch):
    monkeypatch.setattr(engine_module, "_DOCUMENTS_PER_THREAD", 40)
    started = []
    start = threading.Thread.start
    monkeypatch.setattr(threading.Thread, "start", lambda it: (started.append(it), start(it)))
    bench.engine.start()
    for _ in range(10):
        assert set(bench.statuses(*[b"store"] * 30)) == {202}
    assert len(bench.stored()) == 300
    # A thread ends after 40 documents and those of its last batch.
    assert len(started) >= 5


def test_more_that_is_due_than_one_batch_takes_does_not_wait_for_the_next_second(
    bench, monkeypatch
):
    monkeypatch.setattr(upkeep, "_TICK_S", 1000.0)
    bench.submit(*[b"row late"] * 100)
    bench.engine.start()
    assert {answer.status_code for answer in bench.answers(100)} == {202}
    monkeypatch.setattr(bench.engine._upkeep, "next_at", 0.0)
    assert bench.statuses(b"store") == [202]
    wait_until(lambda: not bench.outbox(), what="every row was given up")


def test_a_call_after_the_end_is_told_so(bench):
    bench.engine.start()
    bench.engine.stop()
    with pytest.raises(LocalProtocolError, match="stopped"):
        bench.call(lambda records, at: ()).result(WITHIN_S)


def test_an_engine_that_dies_says_so(tmp_path, monkeypatch):
    bench = Bench(tmp_path / "store.db", monkeypatch)
    died = threading.Event()
    bench.engine._died = died.set
    monkeypatch.setattr(bench.engine, "_hand_over", None)
    bench.engine.start()
    assert died.wait(WITHIN_S)
    bench.engine.stop()


def test_stop_finishes_what_is_queued(bench):
    bench.submit(*[b"row"] * 100)
    stopping = threading.Thread(target=bench.engine.stop)
    stopping.start()
    bench.engine.start()
    stopping.join(WITHIN_S)
    assert not stopping.is_alive()
    assert [answer.status_code for answer in bench.answers(100)] == [202] * 100
    with AcmStore.open(bench.path) as store, store.read() as reader:  # closed and unlocked
        assert len(reader.list_outbox(1000)) == 100


def test_rows_leave_after_the_commit_within_the_window_and_go_on(bench):
    bench.submit(*[b"row"] * 6)
    bench.engine.start()
    first = bench.leaving(4)
    bench.engine.submit(DeliveryEnded(first[0].row, 2.0, 200, "", None, was_sent=True))
    (fifth,) = bench.leaving(1)
    assert fifth.row.number not in {leaves.row.number for leaves in first}


class TestCalls:
    """Decisions of the own user."""

    def test_is_done_after_the_commit(self, bench):
        bench.engine.start()
        done = bench.call(
            lambda records, at: (InsertTransaction(transaction(records.allocate_numbers(1))),)
        )
        assert done.result(WITHIN_S) is None
        assert len(bench.stored()) == 1

    def test_gets_its_own_exception(self, bench):
        def decide(records, at) -> Sequence:
            raise LocalProtocolError("no such request")

        bench.engine.start()
        with pytest.raises(LocalProtocolError, match="no such request"):
            bench.call(decide).result(WITHIN_S)
        assert bench.statuses(b"store") == [202]

    def test_an_exception_is_told_once_although_the_batch_runs_again(self, bench):
        def decide(records, at) -> Sequence:
            raise LocalProtocolError("no such request")

        bench.store.at_commit = True
        bench.store.errors = [ConflictError("taken")]
        failing = bench.call(decide)
        bench.engine.start()
        with pytest.raises(LocalProtocolError, match="no such request"):
            failing.result(WITHIN_S)
        assert bench.statuses(b"store") == [202]

    def test_one_that_nobody_waits_for_any_more_stops_nothing(self, bench):
        done = bench.call(
            lambda records, at: (InsertTransaction(transaction(records.allocate_numbers(1))),)
        )
        done.cancel()
        bench.engine.start()
        assert bench.statuses(b"store") == [202]

    def test_a_store_that_cannot_be_written_is_told(self, bench):
        bench.store.errors = [StoreUnavailable("disk full")]
        done = bench.call(lambda records, at: ())
        bench.engine.start()
        with pytest.raises(StoreUnavailable):
            done.result(WITHIN_S)

    def test_tells_the_user(self, bench):
        told = replace(transaction(7), number=7)
        done = bench.call(lambda records, at: (TellUser(told),))
        bench.engine.start()
        (performance,) = bench.performed.get(timeout=WITHIN_S)
        assert performance.transaction is told
        assert done.result(WITHIN_S) is None


def test_a_row_that_cannot_be_resolved_holds_no_other_back(bench):
    bench.role.unresolvable = {b"row 1"}
    bench.submit(b"row 1", b"row 2")
    bench.engine.start()
    (leaves,) = bench.leaving(1)
    assert leaves.row.octets == b"row 2"
    assert len(bench.stored()) == 2


@pytest.mark.parametrize("fault", [b"due", b"row late boom"])
def test_a_deadline_that_cannot_be_decided_stops_no_other(bench, fault):
    bench.submit(fault, b"row late")
    bench.engine.start()
    wait_until(lambda: [e.row.octets for e in bench.outbox()] in ([], [b"row late boom"]))
    bench.submit(b"row")
    (leaves,) = bench.leaving(1)
    assert leaves.row.octets == b"row"
