"""The timers of RFC 3261 Table 4 that non-INVITE transactions use, each under its letter.

| name | value | on a reliable transport | source |
|---|---|---|---|
| T1 | 0.5 s | the same | RFC 3261 17.1.1.1: estimate of the round trip |
| T2 | 4 s | the same | RFC 3261 17.1.2.2: longest interval between two sends of a request |
| T4 | 5 s | the same | RFC 3261 17.1.2.2: longest stay of a message in the network |
| Timer E | T1, 2*T1, 4*T1, ... T2 | not started | RFC 3261 17.1.2.2 |
| Timer F | 64*T1 | the same | RFC 3261 17.1.2.2 |
| Timer J | 64*T1 | 0 | RFC 3261 17.2.2 |
| Timer K | T4 | 0 | RFC 3261 17.1.2.2 |
| 100 | when Timer E reaches T2: 3.5 s | the same | RFC 4320 4.1; has no letter |

Deliberately absent: the timers of INVITE (A, B, C, D, G, H, I) and of SUBSCRIBE (N), and any
clock: an instant is a float in seconds that the caller brings along.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from acm_sip.errors import LocalProtocolError

__all__ = ["TimerQueue", "TimerValues"]

_LIFETIME_IN_T1: Final = 64  # RFC 3261 17.1.2.2, 17.2.2: Timers F and J are 64*T1


@dataclass(frozen=True, slots=True)
class TimerValues:
    """T1, T2 and T4 and what follows from them; all in seconds.

    :param t1_s: estimate of the round-trip time.
    :param t2_s: longest interval between two sends of a request.
    :param t4_s: longest time a message stays in the network.
    :raises LocalProtocolError: T1 is not above zero, T2 is below T1, or T4 is negative.
    """

    t1_s: float = 0.5
    t2_s: float = 4.0
    t4_s: float = 5.0

    timer_e_intervals_s: tuple[float, ...] = field(init=False)
    """The successive values of Timer E on UDP; the last one, T2, repeats."""
    timer_f_s: float = field(init=False)
    """Timer F: how long a client transaction waits for its final response."""
    provisional_after_s: float = field(init=False)
    """When an unanswered request gets its 100: Timer E of its client has become T2."""
    answer_within_s: float = field(init=False)
    """After this time no final response is sent: Timer F of the client has fired."""

    def __post_init__(self) -> None:
        if not 0 < self.t1_s <= self.t2_s or self.t4_s < 0:
            raise LocalProtocolError("Timers need 0 < T1 <= T2 and T4 >= 0")
        intervals: list[float] = []
        interval_s = self.t1_s
        while interval_s < self.t2_s:  # RFC 3261 17.1.2.2: MIN(2*T1, T2), MIN(4*T1, T2), ...
            intervals.append(interval_s)
            interval_s *= 2
        timer_f_s = _LIFETIME_IN_T1 * self.t1_s
        object.__setattr__(self, "timer_e_intervals_s", (*intervals, self.t2_s))
        object.__setattr__(self, "timer_f_s", timer_f_s)
        object.__setattr__(self, "provisional_after_s", sum(intervals))  # RFC 4320 4.1
        object.__setattr__(self, "answer_within_s", timer_f_s)  # RFC 4320 4.2

    def timer_j_s(self, *, is_reliable: bool) -> float:
        """Timer J: how long a server transaction answers retransmitted requests."""
        return 0.0 if is_reliable else _LIFETIME_IN_T1 * self.t1_s

    def timer_k_s(self, *, is_reliable: bool) -> float:
        """Timer K: how long a client transaction absorbs retransmitted responses."""
        return 0.0 if is_reliable else self.t4_s


_Key = TypeVar("_Key", bound=Hashable)


class TimerQueue(Generic[_Key]):
    """All running timers of one length, first in first out.

    As every entry has the same length and instants never go back, the order of starting is the
    order of firing: start, cancel and fire each take constant time, without a heap.

    :param length_s: seconds from start to firing.
    """

    __slots__ = ("_entries", "length_s")

    def __init__(self, length_s: float) -> None:
        self.length_s = length_s
        self._entries: OrderedDict[_Key, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def start(self, key: _Key, now: float) -> None:
        """Let the timer of a key fire ``length_s`` after ``now``; the key has none running."""
        self._entries[key] = now + self.length_s

    def cancel(self, key: _Key) -> None:
        """Stop the timer of a key; one that is not running is ignored."""
        self._entries.pop(key, None)

    @property
    def next_at(self) -> float | None:
        """The instant at which the next timer fires, or None when none is running."""
        for at in self._entries.values():
            return at
        return None

    def pop_due(self, now: float) -> tuple[_Key, float] | None:
        """Take out the next timer that has fired by ``now``: its key and instant, or None."""
        for key, at in self._entries.items():
            if at > now:
                return None
            del self._entries[key]
            return key, at
        return None
