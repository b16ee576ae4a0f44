"""One clock for a process: UTC by the monotonic clock, anchored when the process started.

A wall clock that is set while the process runs moves nothing here, so that nothing expires
because somebody corrected the time; after a restart it is the wall clock that counts.
"""

from __future__ import annotations

import time
from typing import Final

__all__ = ["Clock"]

_JUMP_S: Final = 5.0  # ours: NTP slews less than this between two looks
_READINGS: Final = 10  # ours: one of them is not interrupted, even on a busy machine


class Clock:
    """UTC epoch seconds that never jump."""

    def __init__(self) -> None:
        self._offset_s = _offset_s()
        self._reported_s = 0.0

    def now(self) -> float:
        """Return UTC epoch seconds."""
        return self._offset_s + time.monotonic()

    def new_jump_s(self) -> float | None:
        """Return how far the wall clock was set away since this was asked last, if it was."""
        away_s = time.time() - self.now()
        if abs(away_s - self._reported_s) < _JUMP_S:
            return None
        self._reported_s = away_s
        return away_s


def _offset_s() -> float:
    """Return UTC less the monotonic clock, from the two readings that were least apart.

    A process that is descheduled between the two would be wrong by milliseconds for as long as
    it runs, and its captures would not fit those of its peers.
    """
    readings = []
    for _ in range(_READINGS):
        before_s = time.monotonic()
        wall_s = time.time()
        after_s = time.monotonic()
        readings.append((after_s - before_s, wall_s - (before_s + after_s) / 2))
    return min(readings)[1]
