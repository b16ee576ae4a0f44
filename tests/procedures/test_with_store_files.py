"""The procedures over the real store: the same ten steps, with files that are closed and opened.

What :mod:`tests.harness.fake_records` promises in the other tests is checked here to be what
``acm_sip.stores`` does.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from acm_sip.procedures.mc_system import Handling, McSystem
from acm_sip.procedures.records import Side
from acm_sip.stores import AcmStore
from tests.harness.interworking import World, make_world
from tests.procedures import examples
from tests.procedures.examples import CAROL, DAVE, Q_SYSTEM, RESPONSE, request


def open_world(directory: Path, q_system: McSystem = Q_SYSTEM, **options: Any) -> World:
    return make_world(
        q_system=q_system,
        make_store=lambda name: AcmStore.open(directory / f"{name}.db"),
        **options,
    )


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    opened = open_world(tmp_path)
    yield opened
    close(opened)


def close(world: World) -> None:
    for entity in world.network.entities.values():
        entity.store.close()


def digests(world: World, name: str, side: Side) -> dict[str, bytes]:
    with world.network.entities[name].store.read() as reader:
        return {c.mc_service_id: c.digest for c in reader.list_configurations(100, side=side)}


def test_ten_steps(world: World) -> None:
    world.alice.ask(request(mc_service_id_list=(CAROL, DAVE)))
    world.network.run()
    world.bob.decide()
    world.network.run()
    assert world.alice.outcomes == [("success", None)]
    expected = dict.fromkeys((CAROL.canonical, DAVE.canonical), examples.digest_of(1))
    assert digests(world, "Q", Side.PARTNER) == expected
    assert digests(world, "P", Side.PRIMARY) == expected
    assert digests(world, "bob", Side.HANDLER) == expected
    assert [entity.rows for entity in world.network.entities.values()] == [[]] * 5


def test_parked_released_and_offered_again(tmp_path: Path) -> None:
    world = open_world(tmp_path, logged_on=("alice",))
    world.alice.ask(request())
    world.network.run()
    assert [row.next_attempt_at for row in world.q.rows] == [None]
    world.q.restart()
    world.bob.register()
    world.network.run()
    world.bob.disconnect()
    world.bob.register()
    world.network.run()
    assert len([a for a in world.network.attempts if a.receiver is world.bob]) == 2
    assert len(world.bob.asked) == 1
    world.bob.decide()
    world.network.run()
    assert world.alice.outcomes == [("success", None)]
    close(world)


def test_what_may_have_been_delivered_is_remembered(world: World) -> None:
    world.alice.ask(request())
    world.network.run_for(0.5)
    world.network.now += 1.0
    world.alice.ask(request(2))
    for _ in range(3):
        for attempt in world.network.send_all():
            if attempt.receiver is world.q:
                world.network.end(attempt, 408, "no answer")
            else:
                world.network.deliver(attempt)
                world.network.answer(attempt)
    assert [row.is_maybe_delivered for row in world.p.rows] == [True]


def test_expiry_and_correction(tmp_path: Path) -> None:
    world = open_world(tmp_path, logged_on=("alice",))
    world.alice.ask(request())
    world.network.run()
    world.network.now = examples.T0 + 3601.0
    world.network.run()
    assert world.alice.outcomes == [("failure", "expired")]
    assert world.q.rows == []
    close(world)


@pytest.mark.parametrize("seed", range(6))
def test_random_losses_and_crashes_converge(tmp_path: Path, seed: int) -> None:
    """Deliveries, answers and processes are lost at random; the requests end as decided."""
    handling = Handling.ACCEPT if seed % 2 else Handling.ASK
    world = open_world(tmp_path, examples.automatic(handling))
    chance = random.Random(seed)
    for number in (1, 2, 3):
        world.alice.ask(request(number, variant=number))
    for _ in range(60):
        for attempt in world.network.send_all():
            if chance.random() < 0.8:
                world.network.deliver(attempt)
            if attempt.is_open and attempt.answers and chance.random() < 0.7:
                world.network.answer(attempt)
            elif attempt.is_open:
                world.network.time_out(attempt)
        if chance.random() < 0.2:
            chance.choice(list(world.network.entities.values())).restart()
        for transaction in world.bob.transactions:
            if transaction.outcome is None and chance.random() < 0.5:
                world.bob.decide(transaction=transaction)
        world.network.now += 7.0
    world.network.run_for(300.0, 10.0)
    for transaction in world.bob.transactions:
        if transaction.outcome is None:
            world.bob.decide(transaction=transaction)
    world.network.run_for(300.0, 10.0)
    outcomes = {t.acm_transaction_id: (t.outcome, t.cause) for t in world.alice.transactions}
    of_q = {t.acm_transaction_id: (t.outcome, t.cause) for t in world.q.transactions}
    assert outcomes == of_q
    assert len(of_q) == 3
    assert len(world.alice.outcomes) == 3
    assert digests(world, "Q", Side.PARTNER) == digests(world, "P", Side.PRIMARY)
    assert all(step[3] in {200, 202} for step in world.network.steps)
    assert not [row for row in world.q.rows if row.flow == RESPONSE]
    close(world)
