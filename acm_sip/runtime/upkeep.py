"""What a batch does beside its events: what time asks for, and the rows that may leave now.

Each call does bounded work; where there was more than that, :attr:`Upkeep.next_at` says "at
once". A decision that raises costs its own row or transaction a pause and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from acm_sip.errors import StoreError
from acm_sip.procedures.effects import (
    Effect,
    Log,
    PutOutboxRow,
    RemoveBinding,
    UpdateTransaction,
)
from acm_sip.procedures.role import Role
from acm_sip.runtime.clock import Clock
from acm_sip.runtime.engine_events import Outcome, RowLeaves
from acm_sip.runtime.log import get_logger
from acm_sip.runtime.windows import Windows
from acm_sip.stores import StoreBatch

__all__ = ["Upkeep"]

_TICK_S: Final = 1.0  # ours: how late a deadline or a retry may be
_MAX_DUE: Final = 32  # ours: as many as events in a batch
_PRUNE_EVERY_S: Final = 60.0
_MAX_PRUNED: Final = 1000
_MAX_LEASED: Final = 64
_AFTER_A_FAULT_S: Final = 60.0  # ours: a row that a bug of ours stops must not stop the others

log = get_logger("acm_sip.engine")


class Upkeep:
    """Deadlines, pruning and leasing; used by the engine thread inside its batches.

    :param node: names this process in leases.
    :param lease_s: how long a row that leaves is nobody else's.
    :ivar next_at: when to come again even if nothing happens, UTC epoch seconds.
    :ivar sends: False when no more rows may leave because the process is to stop.
    """

    def __init__(
        self,
        clock: Clock,
        windows: Windows,
        *,
        node: str,
        lease_s: float,
        retention_s: float,
    ) -> None:
        self.next_at = 0.0
        self.sends = True
        self._clock = clock
        self._windows = windows
        self._node = node
        self._lease_s = lease_s
        self._retention_s = retention_s
        self._next_prune_at = 0.0

    def look_after(self, role: Role, batch: StoreBatch, outcome: Outcome) -> None:
        """Do what time asks for: deadlines of rows and transactions, expired contacts, pruning."""
        now = self._clock.now()
        if now < self.next_at:
            return
        self.next_at = now + _TICK_S
        jump_s = self._clock.new_jump_s()
        if jump_s is not None:
            facts = (("away_s", f"{jump_s:.1f}"),)
            outcome.logs.append(Log("the wall clock was set", facts, is_warning=True))
        later_at = now + _AFTER_A_FAULT_S
        rows = batch.rows_past_deadline(now, _MAX_DUE)
        for row in rows:
            effects = _guarded(
                lambda row=row: role.on_row_deadline(batch, row, now),  # type: ignore[misc]
                lambda row=row: (PutOutboxRow(replace(row, deadline_at=later_at)),),  # type: ignore[misc]
                "row cannot be given up",
                row.number,
            )
            outcome.apply(batch, effects)
        transactions = batch.due_transactions(now, _MAX_DUE)
        for due in transactions:
            effects = _guarded(
                lambda due=due: role.on_deadline(batch, due, now),  # type: ignore[misc]
                lambda due=due: (UpdateTransaction(replace(due, due_at=later_at)),),  # type: ignore[misc]
                "deadline failed",
                due.number,
            )
            outcome.apply(batch, effects)
        bindings = batch.expired_bindings(now, _MAX_DUE)
        for binding in bindings:
            batch.apply(RemoveBinding(binding))
        if _MAX_DUE in {len(rows), len(transactions), len(bindings)}:
            self.next_at = now
        if now >= self._next_prune_at:
            was_all = batch.prune(now - self._retention_s, limit=_MAX_PRUNED) < _MAX_PRUNED
            self._next_prune_at = now + _PRUNE_EVERY_S if was_all else now

    def lease(self, role: Role, batch: StoreBatch, outcome: Outcome) -> None:
        """Take the rows that may leave now; they leave after the COMMIT."""
        if not self.sends:
            return
        now = self._clock.now()
        plan = self._windows.plan(now)
        rows = batch.lease_rows(
            now,
            leased_until=now + self._lease_s,
            node=self._node,
            blocked=plan.blocked,
            window=plan.left_for,
            limit=_MAX_LEASED,
        )
        if len(rows) == _MAX_LEASED:
            self.next_at = now
        for row in rows:
            try:
                sending = role.resolve(batch, row, now)
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
                outcome.apply(batch, sending.updates)
                outcome.leaving.append(RowLeaves(row, sending))


def _guarded(
    decide: Callable[[], Sequence[Effect]],
    postpone: Callable[[], Sequence[Effect]],
    fault: str,
    number: int,
) -> Sequence[Effect]:
    """Return the effects of a decision; a pause where it raised."""
    try:
        return decide()
    except StoreError:
        raise
    except Exception as error:  # the boundary of one row or transaction
        log.error(fault, number=number, exc_info=error)
        return postpone()
