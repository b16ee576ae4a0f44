"""Transactions over a link that loses, doubles and reorders, on a virtual clock."""

from __future__ import annotations

from random import Random

import pytest

from tests.harness.lossy_link import Link, LossyLink
from tests.harness.transactions import make_request

# RFC 3261 17.1.2.2: intervals of 500 ms, 1 s, 2 s, 4 s, 4 s, ... until Timer F at 32 s
SENDS_AT = [0.0, 0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]


def run_many(wire: LossyLink, transactions: int) -> None:
    for number in range(transactions):
        request = make_request(f"z9hG4bK-{number}", call_id=f"{number}@c", body=b"octets")
        wire.send_at(number * 0.01, request)
    wire.run()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("loss", [0.0, 0.1, 0.2, 0.3, 0.4, 0.5])
def test_each_request_has_exactly_one_effect(loss: float, seed: int) -> None:
    link = Link(loss=loss, duplication=0.3, longest_delay_s=0.45)
    wire = LossyLink(link, seed=seed, answer_after_s=lambda random: random.random() * 6)
    run_many(wire, 200)
    assert len(wire.exchanges) == 200
    answered = 0
    for exchange in wire.exchanges.values():
        assert len(exchange.outcomes) == 1, (seed, exchange)
        outcome = exchange.outcomes[0][1]
        # nothing passed on only when every copy was lost; never passed on twice
        assert len(exchange.passed_at) <= 1, (seed, exchange)
        assert outcome in (200, 408)
        if outcome == 200:
            assert len(exchange.passed_at) == 1
            answered += 1
    # eleven sends at most: with half of everything lost, about 1 in 25 finds no way at all
    assert answered >= (200 if loss <= 0.1 else 180)
    assert (len(wire.client), len(wire.server)) == (0, 0)


def test_instants_of_sending_without_any_answer() -> None:
    wire = LossyLink(Link(loss=1.0))
    run_many(wire, 1)
    (exchange,) = wire.exchanges.values()
    assert exchange.sent_at == SENDS_AT
    assert exchange.outcomes == [(32.0, 408)]  # Timer F, RFC 3261 8.1.3.1


def test_instants_of_sending_towards_a_user_who_never_answers() -> None:
    wire = LossyLink(Link(), answer_after_s=None)
    run_many(wire, 1)
    (exchange,) = wire.exchanges.values()
    assert exchange.passed_at == [0.0]
    # RFC 4320 4.1: the 100 at 3.5 s, and again for each later copy of the request
    assert exchange.provisional_at == [3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
    assert exchange.sent_at == SENDS_AT
    assert exchange.outcomes == [(32.0, 408)]
    assert wire.now == 64.0  # Timer J of a transaction that was never answered
    assert (len(wire.client), len(wire.server)) == (0, 0)


def test_instants_without_loss() -> None:
    wire = LossyLink(Link())
    run_many(wire, 1)
    (exchange,) = wire.exchanges.values()
    assert exchange.sent_at == [0.0]
    assert exchange.outcomes == [(0.0, 200)]
    assert wire.now == 32.0  # Timer J; Timer K was at 5 s


def test_an_answer_at_two_seconds_ends_the_sending() -> None:
    wire = LossyLink(Link(), answer_after_s=lambda _: 2.0)
    run_many(wire, 1)
    (exchange,) = wire.exchanges.values()
    assert exchange.sent_at == [0.0, 0.5, 1.5]
    assert exchange.provisional_at == []
    assert exchange.outcomes == [(2.0, 200)]


def test_an_answer_after_64_t1_is_not_sent() -> None:
    wire = LossyLink(Link(), answer_after_s=lambda _: 33.0)
    run_many(wire, 1)
    (exchange,) = wire.exchanges.values()
    assert exchange.answered_at == [33.0]
    assert exchange.outcomes == [(32.0, 408)]  # RFC 4320 4.2


def test_a_seed_repeats_itself() -> None:
    runs = []
    for _ in range(2):
        wire = LossyLink(
            Link(loss=0.4, duplication=0.4, longest_delay_s=0.4),
            seed=7,
            answer_after_s=Random.random,
        )
        run_many(wire, 20)
        runs.append(wire.exchanges)
    assert runs[0] == runs[1]
