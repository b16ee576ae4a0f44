"""How many MESSAGEs may be under way to whom: RFC 3428 8, and Retry-After."""

from __future__ import annotations

from dataclasses import replace

import pytest

from acm_sip.runtime.windows import Windows
from tests.stores.records import PARTNER, outbox_row, to_user

URI = "sip:acm@mc2.example"
KEY = str(PARTNER)
LEASE_S = 45.0


def row(number, destination=PARTNER):
    return replace(outbox_row(number, number=number), destination=destination)


def test_one_at_a_time_to_a_request_uri():
    windows = Windows(lambda destination: 1, LEASE_S)
    plan = windows.plan(0.0)
    assert plan.take(row(1), URI)
    assert not plan.take(row(2), URI)
    windows.started(row(1), URI, 0.0)
    assert windows.plan(0.0).blocked == [KEY]
    windows.ended(row(1), None, 1.0)
    assert windows.plan(1.0).blocked == []
    assert windows.plan(1.0).take(row(2), URI)


def test_two_users_behind_one_contact_share_its_window():
    windows = Windows(lambda destination: 1, LEASE_S)
    windows.started(row(1, to_user("alice")), URI, 0.0)
    assert not windows.plan(0.0).take(row(2, to_user("bob")), URI)


@pytest.mark.parametrize("window", [2, 5])
def test_a_wider_window_for_a_configured_peer(window):
    windows = Windows(lambda destination: window, LEASE_S)
    plan = windows.plan(0.0)
    assert [plan.take(row(number), URI) for number in range(1, window + 2)] == [
        *[True] * window,
        False,
    ]
    windows.started(row(1), URI, 0.0)
    assert windows.plan(0.0).left_for(KEY) == window - 1


@pytest.mark.parametrize(("retry_after_s", "pause_s"), [(5.0, 5.0), (100_000.0, 300.0)])
def test_retry_after_pauses_the_peer_but_not_for_ever(retry_after_s, pause_s):
    windows = Windows(lambda destination: 1, LEASE_S)
    windows.started(row(1), URI, 0.0)
    windows.ended(row(1), retry_after_s, 10.0)
    assert windows.plan(10.0 + pause_s - 0.1).blocked == [KEY]
    assert windows.plan(10.0 + pause_s).blocked == []


def test_the_end_of_what_was_not_under_way_changes_nothing():
    windows = Windows(lambda destination: 1, LEASE_S)
    windows.started(row(1), URI, 0.0)
    windows.ended(row(2), 60.0, 0.0)
    windows.ended(row(1), None, 0.0)
    windows.ended(row(1), 60.0, 0.0)
    assert windows.plan(0.0).blocked == []


def test_an_end_that_nobody_told_holds_its_place_no_longer_than_its_lease():
    windows = Windows(lambda destination: 1, LEASE_S)
    windows.started(row(1), URI, 0.0)
    assert windows.plan(LEASE_S - 0.1).blocked == [KEY]
    assert windows.plan(LEASE_S).blocked == []
    assert windows.plan(LEASE_S).take(row(2), URI)


def test_a_contact_that_asks_for_time_leaves_the_others_of_its_user_alone():
    windows = Windows(lambda destination: 1, LEASE_S)
    windows.started(row(1, to_user("alice")), URI, 0.0)
    windows.ended(row(1, to_user("alice")), 60.0, 1.0)
    assert windows.plan(1.0).blocked == []
