"""The engine: one thread per process that decodes, decides and commits, batch by batch.

    take what has gathered (at most 32 events)
    read every request (XML, schema), without the store
    BEGIN
        decide each event over what the batch has changed so far
        look after what is due; lease the rows that may leave now
    COMMIT
    hand all effects to the event loop at once

Nothing is answered or sent before the COMMIT that holds it. An exception in one decision costs
that event alone (500); a store that cannot be written costs the batch (503, Retry-After), and
what was not a request is tried again with the next batch. The loop hands events over without
waiting, and the engine never waits for the loop.

lxml remembers every name it has seen, per thread, so the thread is replaced now and then.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass, field, replace
from typing import Any, Final

import structlog

from acm_sip.errors import AcmSipError, StoreError
from acm_sip.procedures.authentication import Source
from acm_sip.procedures.effects import (
    AnswerRequest,
    Effect,
    Log,
    PutOutboxRow,
    RemoveBinding,
    TellUser,
    UpdateTransaction,
)
from acm_sip.procedures.events import DeliveryEnded
from acm_sip.procedures.ports import Records
from acm_sip.procedures.records import AcmTransaction, OutboxRow
from acm_sip.procedures.role import ReadRequest, Role, Sending
from acm_sip.runtime.clock import Clock
from acm_sip.runtime.windows import Windows
from acm_sip.sip.message import Request
from acm_sip.stores import AcmStore, ConflictError, StoreBatch

__all__ = [
    "Answered",
    "Engine",
    "EngineCall",
    "FlowClosed",
    "Performance",
    "RequestArrived",
    "RowLeaves",
    "UserTold",
]

# Measured: 8 to 32 events per COMMIT cost a third of one by one; more gains little.
_MAX_BATCH: Final = 32
_MAX_QUEUED: Final = 4096  # ours: about a second of work; above it the loop answers 503
_MAX_LEASED: Final = 64
_TICK_S: Final = 1.0  # ours: how late a deadline or a retry may be
_PRUNE_EVERY_S: Final = 60.0
_LEASE_S: Final = 45.0  # longer than Timer F (32 s), so that no attempt outlives its lease
_DOCUMENTS_PER_THREAD: Final = 500  # measured: lxml's memory of names stays under 50 MiB
_BATCH_TRIES: Final = 5
_AFTER_A_FAULT_S: Final = 60.0  # ours: a row that a bug of ours stops must not stop the others
_BUSY_RETRY_AFTER_S: Final = 5

log = structlog.get_logger("acm_sip.engine")


@dataclass(frozen=True, slots=True)
class RequestArrived:
    """A MESSAGE or REGISTER waits for its answer.

    :param handle: what the loop needs to answer it.
    """

    request: Request
    source: Source
    at: float
    handle: Any


@dataclass(frozen=True, slots=True)
class FlowClosed:
    """A connection is gone."""

    flow: str


@dataclass(frozen=True, slots=True)
class EngineCall:
    """A decision of the own user, to be made inside a batch.

    :param decide: called with the store, a fresh transaction number and the time.
    :param done: gets None after the COMMIT, or the exception.
    """

    decide: Callable[[Records, int, float], Sequence[Effect]]
    done: Future[None]


Event = RequestArrived | DeliveryEnded | FlowClosed | EngineCall


@dataclass(frozen=True, slots=True)
class Answered:
    """The answer to a request that arrived."""

    event: RequestArrived
    answer: AnswerRequest


@dataclass(frozen=True, slots=True)
class RowLeaves:
    """A row that is leased and may be sent now."""

    row: OutboxRow
    sending: Sending


@dataclass(frozen=True, slots=True)
class UserTold:
    """A transaction that the user of a client wants to see."""

    transaction: AcmTransaction


Performance = Answered | RowLeaves | UserTold


@dataclass(slots=True)
class _Outcome:
    """What a batch leads to once it is committed."""

    performances: list[Performance] = field(default_factory=list)
    logs: list[Log] = field(default_factory=list)
    settled: list[tuple[Future[None], Exception | None]] = field(default_factory=list)
    leaving: list[RowLeaves] = field(default_factory=list)


class Engine:
    """Decodes, decides and commits for one ACM entity.

    :param store: used by the engine alone until :meth:`stop`, which closes it.
    :param role: the decisions; may be replaced between batches.
    :param perform: called in the engine thread with what the loop has to do.
    :param node: names this process in leases and flows.
    """

    def __init__(
        self,
        store: AcmStore,
        role: Role,
        clock: Clock,
        windows: Windows,
        perform: Callable[[list[Performance]], None],
        *,
        node: str,
        retention_s: float,
    ) -> None:
        self.role = role
        self._store = store
        self._clock = clock
        self._windows = windows
        self._perform = perform
        self._node = node
        self._retention_s = retention_s
        self._queue: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self._again: list[Event] = []
        self._is_stopping = False
        self._documents = 0
        self._next_tick_at = 0.0
        self._next_prune_at = 0.0
        self._thread = threading.Thread(target=self._run, name="acm-engine", daemon=True)
        self._ended = threading.Event()

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Finish what is queued, then close the store; blocks until that is done."""
        if self._ended.is_set():
            return
        self._queue.put(None)
        self._ended.wait()

    def submit(self, event: Event) -> bool:
        """Hand an event over without waiting; False when the engine has too much to do.

        Only requests are turned away: all else belongs to what was accepted before.
        """
        if isinstance(event, RequestArrived) and self._queue.qsize() >= _MAX_QUEUED:
            return False
        self._queue.put(event)
        return True

    # The thread

    def _run(self) -> None:
        while not self._is_stopping:
            if self._documents >= _DOCUMENTS_PER_THREAD:
                self._documents = 0
                self._thread = threading.Thread(target=self._run, name="acm-engine", daemon=True)
                self._thread.start()
                return
            self._run_batch(self._gather())
        self._store.close()
        self._ended.set()

    def _gather(self) -> list[Event]:
        events, self._again = self._again, []
        try:
            wait_s = max(0.0, self._next_tick_at - self._clock.now()) if not events else 0.0
            while len(events) < _MAX_BATCH:
                event = self._queue.get(timeout=wait_s) if wait_s else self._queue.get_nowait()
                if event is None:
                    self._is_stopping = True
                    break
                events.append(event)
                wait_s = 0.0
        except queue.Empty:
            pass
        return events

    def _run_batch(self, events: list[Event]) -> None:
        outcome = _Outcome()
        reads = [self._read(event) for event in events]
        for event in events:
            if isinstance(event, DeliveryEnded):
                self._windows.ended(event.row, event.retry_after_s, event.at)
        try:
            outcome = self._commit(events, reads)
        except StoreError as error:
            self._refuse(events, error)
            return
        except Exception:  # the thread must live: a bug in a batch must not stop the service
            log.exception("batch failed")
            outcome = self._commit_one_by_one(events, reads)
        self._hand_over(outcome)

    def _commit(self, events: list[Event], reads: list[Any]) -> _Outcome:
        for _ in range(_BATCH_TRIES):
            outcome = _Outcome()
            try:
                with self._store.transact() as batch:
                    self._decide(batch, events, reads, outcome)
                    self._look_after(batch, outcome)
                    self._lease(batch, outcome)
            except ConflictError:
                continue
            return outcome
        raise StoreError("the batch met a conflict again and again")

    def _commit_one_by_one(self, events: list[Event], reads: list[Any]) -> _Outcome:
        """Find the event that a batch failed over; it alone is lost."""
        outcome = _Outcome()
        for event, read in zip(events, reads, strict=True):
            single = _Outcome()
            try:
                with self._store.transact() as batch:
                    self._decide(batch, [event], [read], single)
            except StoreError as error:
                self._refuse([event], error)
                continue
            except Exception as error:  # noqa: BLE001 - the boundary of one event
                self._fail(event, error, outcome)
                continue
            outcome.performances += single.performances
            outcome.logs += single.logs
            outcome.settled += single.settled
        return outcome

    def _read(self, event: Event) -> ReadRequest | Sequence[Effect] | Exception | None:
        if not isinstance(event, RequestArrived):
            return None
        self._documents += 1
        try:
            return self.role.read(event.request, event.source, event.at)
        except Exception as error:  # noqa: BLE001 - the boundary of one event
            return error

    def _decide(
        self, batch: StoreBatch, events: list[Event], reads: list[Any], outcome: _Outcome
    ) -> None:
        requests = [read for read in reads if isinstance(read, ReadRequest)]
        batch.prefetch(
            keys={key for read in requests for key in read.keys},
            flows={read.source.flow for read in requests},
            numbers={
                event.row.transaction_number for event in events if isinstance(event, DeliveryEnded)
            },
        )
        for event, read in zip(events, reads, strict=True):
            try:
                effects = self._effects_of(batch, event, read)
            except AcmSipError as error:
                if isinstance(error, StoreError):
                    raise
                self._fail(event, error, outcome)
            except Exception as error:  # noqa: BLE001 - the boundary of one event
                self._fail(event, error, outcome)
            else:
                self._apply(batch, effects, outcome, event)
                if isinstance(event, EngineCall):
                    outcome.settled.append((event.done, None))

    def _effects_of(self, batch: StoreBatch, event: Event, read: Any) -> Sequence[Effect]:
        match event:
            case RequestArrived():
                if isinstance(read, Exception):
                    raise read
                if isinstance(read, ReadRequest):
                    number = batch.allocate_numbers(1) if read.needs_number else 0
                    return self.role.decide(batch, read, number)
                effects: Sequence[Effect] = read
                return effects
            case DeliveryEnded():
                return self.role.on_delivery_ended(batch, event)
            case FlowClosed(flow):
                return self.role.on_flow_closed(batch, flow)
            case EngineCall():
                return event.decide(batch, batch.allocate_numbers(1), self._clock.now())

    def _apply(
        self,
        batch: StoreBatch,
        effects: Sequence[Effect],
        outcome: _Outcome,
        event: Event | None = None,
    ) -> None:
        for effect in effects:
            match effect:
                case AnswerRequest():
                    assert isinstance(event, RequestArrived)
                    outcome.performances.append(Answered(event, effect))
                case TellUser(transaction):
                    outcome.performances.append(UserTold(transaction))
                case Log():
                    outcome.logs.append(effect)
                case _:
                    batch.apply(effect)

    def _look_after(self, batch: StoreBatch, outcome: _Outcome) -> None:
        """Do what time asks for: deadlines of rows and transactions, expired contacts, pruning."""
        now = self._clock.now()
        if now < self._next_tick_at:
            return
        self._next_tick_at = now + _TICK_S
        jump_s = self._clock.new_jump_s()
        if jump_s is not None:
            facts = (("away_s", f"{jump_s:.1f}"),)
            outcome.logs.append(Log("the wall clock was set", facts, is_warning=True))
        later_at = now + _AFTER_A_FAULT_S
        for row in batch.rows_past_deadline(now, _MAX_BATCH):
            try:
                effects = self.role.on_row_deadline(batch, row, now)
            except StoreError:
                raise
            except Exception as error:  # the boundary of one row
                log.error("row cannot be given up", row=row.number, exc_info=error)
                effects = (PutOutboxRow(replace(row, deadline_at=later_at)),)
            self._apply(batch, effects, outcome)
        for transaction in batch.due_transactions(now, _MAX_BATCH):
            try:
                effects = self.role.on_deadline(batch, transaction, now)
            except StoreError:
                raise
            except Exception as error:  # the boundary of one transaction
                log.error("deadline failed", transaction=transaction.number, exc_info=error)
                effects = (UpdateTransaction(replace(transaction, due_at=later_at)),)
            self._apply(batch, effects, outcome)
        for binding in batch.expired_bindings(now, _MAX_BATCH):
            batch.apply(RemoveBinding(binding))
        if now >= self._next_prune_at:
            self._next_prune_at = now + _PRUNE_EVERY_S
            batch.prune(now - self._retention_s, limit=1000)

    def _lease(self, batch: StoreBatch, outcome: _Outcome) -> None:
        """Take the rows that may leave now; they leave after the COMMIT."""
        if self._is_stopping:
            return
        now = self._clock.now()
        plan = self._windows.plan(now)
        rows = batch.lease_rows(
            now,
            leased_until=now + _LEASE_S,
            node=self._node,
            blocked=plan.blocked,
            window=plan.left_for,
            limit=_MAX_LEASED,
        )
        if len(rows) == _MAX_LEASED:
            self._next_tick_at = now  # there may be more: do not wait for the next event
        for row in rows:
            try:
                sending = self.role.resolve(batch, row, now)
            except StoreError:
                raise
            except Exception as error:  # the boundary of one row
                log.error("row cannot be sent", row=row.number, flow=row.flow, exc_info=error)
                later_at = now + _AFTER_A_FAULT_S
                batch.apply(PutOutboxRow(replace(row, next_attempt_at=later_at)))
                continue
            if sending is None:
                # Nobody to send it to: it waits for a log-on, not for time.
                batch.apply(PutOutboxRow(replace(row, next_attempt_at=None)))
            elif not plan.take(row, sending.addressing.request_uri):
                batch.apply(PutOutboxRow(row))
            else:
                self._apply(batch, sending.updates, outcome)
                outcome.leaving.append(RowLeaves(row, sending))

    # After the COMMIT

    def _hand_over(self, outcome: _Outcome) -> None:
        for entry in outcome.logs:
            level = log.warning if entry.is_warning else log.info
            level(entry.event, **dict(entry.facts))
        for leaving in outcome.leaving:
            self._windows.started(leaving.row, leaving.sending.addressing.request_uri)
        performances = [*outcome.performances, *outcome.leaving]
        if performances:
            self._perform(performances)
        for future, error in outcome.settled:
            _settle(future, error)

    def _fail(self, event: Event, error: Exception, outcome: _Outcome) -> None:
        if isinstance(event, EngineCall):
            outcome.settled.append((event.done, error))  # told once, whatever the batch does
            return
        log.error("decision failed", event_kind=type(event).__name__, exc_info=error)
        if isinstance(event, RequestArrived):
            outcome.performances.append(Answered(event, AnswerRequest(500)))

    def _refuse(self, events: list[Event], error: StoreError) -> None:
        """Say 503 where an answer is due; keep what has to be stored once the store is back."""
        log.error("the store cannot be written", reason=str(error))
        busy = AnswerRequest(503, headers=(("Retry-After", str(_BUSY_RETRY_AFTER_S)),))
        answers: list[Performance] = []
        for event in events:
            match event:
                case RequestArrived():
                    answers.append(Answered(event, busy))
                case EngineCall():
                    _settle(event.done, error)
                case _:
                    self._again.append(event)
        if answers:
            self._perform(answers)
        self._next_tick_at = self._clock.now() + _TICK_S
        if self._again and not self._is_stopping:
            self._ended.wait(_TICK_S)  # what waits for the store must not spin


def _settle(future: Future[None], error: Exception | None) -> None:
    """Tell who waits for a call, if somebody still does."""
    with contextlib.suppress(InvalidStateError):  # cancelled meanwhile
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)
