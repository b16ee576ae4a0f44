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
from typing import Any, Final

from acm_sip.errors import AcmSipError, LocalProtocolError, StoreError
from acm_sip.procedures.effects import AnswerRequest, Effect
from acm_sip.procedures.events import DeliveryEnded
from acm_sip.procedures.role import ReadRequest, Role
from acm_sip.runtime.clock import Clock
from acm_sip.runtime.engine_events import (
    Answered,
    EngineCall,
    Event,
    FlowClosed,
    Outcome,
    Performance,
    RequestArrived,
)
from acm_sip.runtime.log import get_logger
from acm_sip.runtime.upkeep import Upkeep
from acm_sip.runtime.windows import Windows
from acm_sip.stores import AcmStore, ConflictError, StoreBatch, StoreUnavailable

__all__ = ["Engine"]

# Measured: 8 to 32 events per COMMIT cost a third of one by one; more gains little.
_MAX_BATCH: Final = 32
_MAX_QUEUED: Final = 4096  # ours: about a second of work; above it the loop answers 503
_LEASE_S: Final = 45.0  # longer than Timer F (32 s), so that no attempt outlives its lease
_DOCUMENTS_PER_THREAD: Final = 500  # measured: lxml's memory of names stays under 50 MiB
_BATCH_TRIES: Final = 5
_STORE_AWAY_S: Final = 1.0  # ours: how long a store that failed is left alone
_BUSY_RETRY_AFTER_S: Final = 5

log = get_logger("acm_sip.engine")


class Engine:
    """Decodes, decides and commits for one ACM entity.

    :param store: used by the engine alone until :meth:`stop`, which closes it.
    :param role: the decisions; may be replaced between batches.
    :param perform: called in the engine thread with what the loop has to do.
    :param window_of: how many rows may be under way to a destination.
    :param node: names this process in leases and flows.
    :param died: called in the engine thread when it ends by an exception.
    """

    def __init__(
        self,
        store: AcmStore,
        role: Role,
        clock: Clock,
        window_of: Callable[[str], int],
        perform: Callable[[list[Performance]], None],
        *,
        node: str,
        retention_s: float,
        died: Callable[[], None] | None = None,
    ) -> None:
        self.role = role
        self._store = store
        self._clock = clock
        self._windows = Windows(window_of, _LEASE_S)
        self._upkeep = Upkeep(
            clock, self._windows, node=node, lease_s=_LEASE_S, retention_s=retention_s
        )
        self._perform = perform
        self._died = died
        self._queue: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self._again: list[Event] = []
        self._store_away_until = 0.0
        self._is_stopping = False
        self._closed = threading.Event()
        self._documents = 0
        self._thread = threading.Thread(target=self._run, name="acm-engine", daemon=True)
        self._ended = threading.Event()

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop_sending(self) -> None:
        """Let no more rows leave: the process is to stop."""
        self._upkeep.sends = False

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
        if self._closed.is_set():
            if isinstance(event, EngineCall):
                _settle(event.done, _STOPPED)
            return False
        if isinstance(event, RequestArrived) and self._queue.qsize() >= _MAX_QUEUED:
            return False
        self._queue.put(event)
        if self._closed.is_set() and isinstance(event, EngineCall):
            _settle(event.done, _STOPPED)  # it closed in between; who was told is told once
        return True

    # The thread

    def _run(self) -> None:
        try:
            while not self._is_stopping:
                if self._documents >= _DOCUMENTS_PER_THREAD:
                    self._documents = 0
                    self._thread = threading.Thread(
                        target=self._run, name="acm-engine", daemon=True
                    )
                    self._thread.start()
                    return
                self._run_batch(self._gather())
        except Exception:  # nothing is decided any more: whoever runs this process has to know
            log.critical("the engine died", exc_info=True)
            if self._died is not None:
                self._died()
        self._close()

    def _close(self) -> None:
        """Close the store; who still waits for a call is told that it was not made."""
        self._closed.set()
        with contextlib.suppress(queue.Empty):
            while True:
                event = self._queue.get_nowait()
                if isinstance(event, EngineCall):
                    _settle(event.done, _STOPPED)
        if self._again:
            # Their rows are leased and their flows gone: the next start knows what to do.
            log.warning("stopped without the store", events=len(self._again))
        self._store.close()
        self._ended.set()

    def _gather(self) -> list[Event]:
        """Wait for something to do; take what has gathered."""
        now = self._clock.now()
        events: list[Event] = []
        if self._again and now >= self._store_away_until:
            events, self._again = self._again[:_MAX_BATCH], self._again[_MAX_BATCH:]
        wake_at = self._upkeep.next_at
        if self._again:
            wake_at = min(wake_at, self._store_away_until)
        wait_s = 0.0 if events else max(0.0, wake_at - now)
        taken = 0
        with contextlib.suppress(queue.Empty):
            while taken < _MAX_BATCH:
                event = self._queue.get(timeout=wait_s) if wait_s else self._queue.get_nowait()
                if event is None:
                    self._is_stopping = True
                    self._upkeep.sends = False
                    break
                events.append(event)
                taken += 1
                wait_s = 0.0
        return events

    def _run_batch(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, DeliveryEnded):
                self._windows.ended(event.row, event.retry_after_s, event.at)
        if self._clock.now() < self._store_away_until:
            self._refuse(events)
            return
        reads = [self._read(event) for event in events]
        try:
            outcome = self._commit(events, reads)
        except StoreUnavailable as error:
            self._store_failed(error)
            self._refuse(events)
            return
        except Exception:  # a bug in a batch, or in one event of it, must not stop the service
            log.exception("batch failed")
            outcome = self._commit_one_by_one(events, reads)
        self._hand_over(outcome)

    def _commit(self, events: list[Event], reads: list[Any]) -> Outcome:
        for _ in range(_BATCH_TRIES):
            outcome = Outcome()
            try:
                with self._store.transact() as batch:
                    self._decide(batch, events, reads, outcome)
                    self._upkeep.look_after(self.role, batch, outcome)
                    self._upkeep.lease(self.role, batch, outcome)
            except ConflictError:
                continue
            return outcome
        raise StoreUnavailable("the batch met a conflict again and again")

    def _commit_one_by_one(self, events: list[Event], reads: list[Any]) -> Outcome:
        """Find the event that a batch failed over; it alone is lost."""
        outcome = Outcome()
        for event, read in zip(events, reads, strict=True):
            single = Outcome()
            try:
                with self._store.transact() as batch:
                    self._decide(batch, [event], [read], single)
            except (StoreUnavailable, ConflictError) as error:
                self._store_failed(error)
                self._refuse([event])
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
        self, batch: StoreBatch, events: list[Event], reads: list[Any], outcome: Outcome
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
                outcome.apply(batch, effects, event)
                if isinstance(event, EngineCall):
                    outcome.settled.append((event.done, None))

    def _effects_of(self, batch: StoreBatch, event: Event, read: Any) -> Sequence[Effect]:
        match event:
            case RequestArrived():
                if isinstance(read, Exception):
                    raise read
                if isinstance(read, ReadRequest):
                    return self.role.decide(batch, read)
                effects: Sequence[Effect] = read
                return effects
            case DeliveryEnded():
                return self.role.on_delivery_ended(batch, event)
            case FlowClosed(flow):
                return self.role.on_flow_closed(batch, flow)
            case EngineCall():
                return event.decide(batch, self._clock.now())

    # After the COMMIT

    def _hand_over(self, outcome: Outcome) -> None:
        for entry in outcome.logs:
            level = log.warning if entry.is_warning else log.info
            level(entry.event, **dict(entry.facts))
        for leaving in outcome.leaving:
            request_uri = leaving.sending.addressing.request_uri
            self._windows.started(leaving.row, request_uri, self._clock.now())
        performances = [*outcome.performances, *outcome.leaving]
        if performances:
            self._perform(performances)
        for future, error in outcome.settled:
            _settle(future, error)

    def _fail(self, event: Event, error: Exception, outcome: Outcome) -> None:
        if isinstance(event, EngineCall):
            outcome.settled.append((event.done, error))  # told once, whatever the batch does
            return
        log.error("decision failed", event_kind=type(event).__name__, exc_info=error)
        if isinstance(event, RequestArrived):
            outcome.performances.append(Answered(event, AnswerRequest(500)))

    def _store_failed(self, error: StoreError) -> None:
        log.error("the store cannot be written", reason=str(error))
        self._store_away_until = self._clock.now() + _STORE_AWAY_S
        self._upkeep.next_at = self._store_away_until

    def _refuse(self, events: list[Event]) -> None:
        """Say 503 where an answer is due; keep what has to be stored once the store is back."""
        answers: list[Performance] = []
        for event in events:
            match event:
                case RequestArrived():
                    answers.append(Answered(event, _BUSY))
                case EngineCall():
                    _settle(event.done, StoreUnavailable("the store cannot be written now"))
                case _:
                    self._again.append(event)
        if answers:
            self._perform(answers)


_BUSY: Final = AnswerRequest(503, headers=(("Retry-After", str(_BUSY_RETRY_AFTER_S)),))
_STOPPED: Final = LocalProtocolError("this ACM entity has stopped")


def _settle(future: Future[None], error: Exception | None) -> None:
    """Tell who waits for a call, if somebody still does."""
    with contextlib.suppress(InvalidStateError):  # cancelled meanwhile
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)
