"""RFC 3261 Table 4, and the queue of timers of one length."""

from __future__ import annotations

import pytest

from acm_sip.errors import LocalProtocolError
from acm_sip.sip.timers import TimerQueue, TimerValues


def test_table_4_on_an_unreliable_transport() -> None:
    timers = TimerValues()
    assert timers.timer_e_intervals_s == (0.5, 1.0, 2.0, 4.0)
    assert timers.timer_f_s == 32.0
    assert timers.timer_j_s(is_reliable=False) == 32.0
    assert timers.timer_k_s(is_reliable=False) == 5.0


def test_table_4_on_a_reliable_transport() -> None:
    timers = TimerValues()
    assert timers.timer_f_s == 32.0
    assert timers.timer_j_s(is_reliable=True) == 0.0
    assert timers.timer_k_s(is_reliable=True) == 0.0


def test_rfc4320_4_1_the_100_is_due_when_timer_e_becomes_t2() -> None:
    assert TimerValues().provisional_after_s == 3.5
    assert TimerValues().answer_within_s == 32.0


def test_timer_e_stops_doubling_at_a_t2_that_is_no_power_of_two_of_t1() -> None:
    timers = TimerValues(t1_s=1.0, t2_s=3.0)
    assert timers.timer_e_intervals_s == (1.0, 2.0, 3.0)
    assert timers.provisional_after_s == 3.0


@pytest.mark.parametrize(
    ("t1_s", "t2_s", "t4_s"), [(0.0, 4.0, 5.0), (-1.0, 4.0, 5.0), (5.0, 4.0, 5.0), (0.5, 4.0, -1.0)]
)
def test_values_that_make_no_sense_are_refused(t1_s: float, t2_s: float, t4_s: float) -> None:
    with pytest.raises(LocalProtocolError):
        TimerValues(t1_s, t2_s, t4_s)


def test_a_queue_fires_in_the_order_of_starting_and_not_before_its_length() -> None:
    queue: TimerQueue[str] = TimerQueue(2.0)
    assert queue.next_at is None
    assert queue.pop_due(100.0) is None
    queue.start("a", 1.0)
    queue.start("b", 1.5)
    queue.start("c", 1.5)
    assert len(queue) == 3
    assert queue.next_at == 3.0  # type: ignore[comparison-overlap]
    assert queue.pop_due(2.999) is None
    assert queue.pop_due(3.0) == ("a", 3.0)
    assert queue.pop_due(3.0) is None
    queue.cancel("b")
    queue.cancel("never started")
    assert queue.pop_due(9.0) == ("c", 3.5)
    assert queue.next_at is None
