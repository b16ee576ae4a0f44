"""The ACM client: what it decides alone, without its server, and what its server must confirm."""

from __future__ import annotations

import pytest

from acm_sip.errors import LocalProtocolError
from acm_sip.procedures.records import AcmTransactionState
from tests.harness.fake_records import only
from tests.harness.interworking import World, make_world
from tests.procedures.examples import REQUEST, RESPONSE, T0, request
from tests.procedures.test_repeats_and_races import sent


@pytest.fixture
def world() -> World:
    """Bob has been asked, until an hour after T0."""
    world = make_world()
    world.alice.ask(request())
    world.network.run()
    return world


@pytest.mark.parametrize("cause", [None, "rejected-by-user"])
@pytest.mark.parametrize("late_s", [0.0, 0.001, 3600.0])
def test_nobody_decides_what_has_expired(world: World, late_s: float, cause: str | None) -> None:
    world.network.now = T0 + 3600.0 + late_s
    with pytest.raises(LocalProtocolError, match="expired"):
        world.bob.decide(cause)
    assert world.bob.rows == world.bob.facts.tables.applied == []
    assert world.bob.transaction.outcome is None


def test_what_nobody_decided_in_time_ends_and_is_told(world: World) -> None:
    world.network.now = T0 + 3600.0
    world.network.run()
    ended = world.bob.transaction
    assert (ended.state, ended.outcome, ended.cause) == (
        AcmTransactionState.ANSWERED,
        "failure",
        "expired",
    )
    assert ended.due_at is None
    assert ended.answered_at == T0 + 3600.0  # by which it is pruned
    assert world.bob.told[-1] == ended
    assert world.bob.rows == []


def test_a_decision_is_not_ended_by_the_deadline(world: World) -> None:
    world.bob.decide()
    world.bob.disconnect()
    world.network.now = T0 + 3600.0
    world.bob.look_after()
    assert world.bob.transaction.outcome == "success"


@pytest.mark.parametrize("end", [403, 408, 503])
def test_an_acceptance_holds_once_the_server_has_taken_it(world: World, end: int) -> None:
    world.bob.decide()
    assert world.bob.transaction.state is AcmTransactionState.SENDING
    world.network.end(sent(world, "bob", RESPONSE), end, "no")
    assert world.bob.facts.tables.applied == []
    world.network.now += 60.0
    world.bob.disconnect()
    world.bob.register()
    world.network.run()
    assert world.bob.transaction.state is AcmTransactionState.ANSWERED
    stored = only(world.bob.facts.tables.applied)
    assert (stored.side, stored.applied_at) == ("handler", world.network.now)


def test_a_rejection_stores_nothing(world: World) -> None:
    world.bob.decide("rejected-by-user")
    world.network.run()
    assert world.bob.transaction.state is AcmTransactionState.ANSWERED
    assert world.bob.facts.tables.applied == []


def test_acceptances_that_are_taken_in_another_order(world: World) -> None:
    """What was asked later holds, whichever answer the server took first."""
    first = world.bob.transaction
    world.alice.ask(request(2, variant=2))
    world.network.run()
    second = world.bob.asked[-1]
    world.bob.decide(transaction=second)
    world.network.run()
    world.bob.decide(transaction=first)
    world.network.run()
    assert [a.transaction_number for a in world.bob.facts.tables.applied] == [second.number]


@pytest.mark.parametrize("client", ["alice", "bob"])
def test_a_server_that_lost_the_binding_is_tried_again(world: World, client: str) -> None:
    if client == "bob":
        world.bob.decide()
        attempt = sent(world, "bob", RESPONSE)
    else:
        world.alice.ask(request(2))
        attempt = sent(world, "alice", REQUEST)
    sender = attempt.sender
    server = attempt.receiver
    server.call(lambda batch: server.role.on_flow_closed(batch, attempt.source.flow))
    assert world.network.deliver(attempt).status_code == 404
    world.network.answer(attempt)
    assert sender.registers_again == 1
    assert only(sender.rows).next_attempt_at is not None
    told = len(sender.told)
    getattr(world, client).register()
    world.network.now += 1.0
    world.network.run()
    assert attempt.row.number not in {row.number for row in sender.rows}
    assert len(sender.told) == told
    assert server.transactions[-1].outcome == ("success" if client == "bob" else None)
