"""The clock of a process does not jump when the wall clock is set."""

from __future__ import annotations

import time

import pytest

from acm_sip.runtime.clock import Clock


@pytest.fixture
def clock(monkeypatch):
    times = {"wall": 1_000_000.0, "monotonic": 50.0}
    monkeypatch.setattr(time, "time", lambda: times["wall"])
    monkeypatch.setattr(time, "monotonic", lambda: times["monotonic"])
    return Clock(), times


def test_it_is_utc_when_the_process_starts_and_goes_on_by_the_monotonic_clock(clock):
    ticking, times = clock
    assert ticking.now() == 1_000_000.0
    times["monotonic"] += 7.0
    assert ticking.now() == 1_000_007.0


@pytest.mark.parametrize("jump_s", [3600.0, -3600.0])
def test_a_wall_clock_that_is_set_moves_nothing_and_is_told_once(clock, jump_s):
    ticking, times = clock
    assert ticking.new_jump_s() is None
    times["wall"] += jump_s
    assert ticking.now() == 1_000_000.0
    assert ticking.new_jump_s() == jump_s
    assert ticking.new_jump_s() is None
    times["wall"] -= jump_s
    assert ticking.new_jump_s() == 0.0


def test_slewing_is_no_jump(clock):
    ticking, times = clock
    times["wall"] += 4.9
    assert ticking.new_jump_s() is None
