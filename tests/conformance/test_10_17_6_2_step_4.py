"""TS 23.280 10.17.6.2 step 4: verification, and every alternative of the local policy."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from acm_sip.identities import FunctionalAlias, McServiceId
from acm_sip.procedures.functional_alias import AliasTable
from acm_sip.procedures.mc_system import AliasChoice, Handling, McSystem
from acm_sip.procedures.records import AcmTransactionState
from tests.harness.fake_records import only
from tests.harness.interworking import World, make_world
from tests.procedures import examples
from tests.procedures.examples import (
    BEA,
    BOB,
    CAROL,
    DUTY,
    NED,
    Q_SERVER,
    Q_SYSTEM,
    REQUEST,
    STRANGER,
    request,
)
from tests.procedures.stored_flows import stored_response

BY_ALIAS = {"target_mc_service_id": None, "target_functional_alias": DUTY}


def run(world: World, number: int = 1, **changes: Any) -> None:
    world.alice.ask(request(number, **changes))
    world.network.run()


def asked(world: World) -> list[str]:
    """Who was offered a request, in order."""
    steps = world.network.steps
    return [to for sender, to, flow, _ in steps if sender == "Q" and flow == REQUEST]


def aliases(*holders: McServiceId) -> AliasTable:
    return AliasTable({DUTY: holders})


# Local policy


def test_automatic_accept() -> None:
    world = make_world(q_system=examples.automatic(Handling.ACCEPT))
    run(world)
    assert world.alice.outcomes == [("success", None)]
    assert world.configured == [CAROL.canonical]
    assert stored_response(world.alice).handling_mc_service_id == Q_SERVER
    assert asked(world) == []


def test_automatic_reject() -> None:
    world = make_world(q_system=examples.automatic(Handling.REJECT, reject_cause="local-policy"))
    run(world)
    assert world.alice.outcomes == [("failure", "local-policy")]
    assert stored_response(world.alice).handling_mc_service_id == Q_SERVER
    assert world.configured == asked(world) == []


def test_automatic_for_a_target_who_may_not_answer() -> None:
    world = make_world(q_system=examples.automatic(Handling.ACCEPT))
    run(world, target_mc_service_id=NED)
    assert world.alice.outcomes == [("success", None)]


def test_ask_a_user_who_is_logged_on() -> None:
    world = make_world()
    run(world)
    assert asked(world) == ["bob"]
    assert world.q.transaction.state is AcmTransactionState.OFFERED
    world.bob.decide("rejected-by-user")
    world.network.run()
    assert world.alice.outcomes == [("failure", "rejected-by-user")]
    assert stored_response(world.alice).handling_mc_service_id == BOB
    assert world.configured == []


def test_ask_a_user_who_is_not_logged_on_keeps_the_request() -> None:
    world = make_world(logged_on=("alice",))
    run(world)
    assert world.q.transaction.state is AcmTransactionState.KEPT
    assert only(world.q.rows).next_attempt_at is None
    assert world.alice.outcomes == []
    world.bob.register()
    world.network.run()
    assert asked(world) == ["bob"]


# Functional alias


def test_alias_active_for_one_client() -> None:
    world = make_world(q_aliases=aliases(BEA), logged_on=("alice", "bob", "bea"))
    run(world, **BY_ALIAS)
    assert asked(world) == ["bea"]
    world.bea.decide()
    world.network.run()
    assert world.alice.outcomes == [("success", None)]
    assert stored_response(world.alice).handling_mc_service_id == BEA


def test_alias_active_for_several_clients_round_robin() -> None:
    world = make_world(q_aliases=aliases(BOB, BEA), logged_on=("alice", "bob", "bea"))
    for number in range(1, 9):
        run(world, number, **BY_ALIAS)
        client = {"bob": world.bob, "bea": world.bea}[asked(world)[-1]]
        client.decide(transaction=client.asked[-1])
        world.network.run()
    assert asked(world) in (["bob", "bea"] * 4, ["bea", "bob"] * 4)
    assert world.alice.outcomes == [("success", None)] * 8


def test_alias_round_robin_whatever_stands_between_the_requests() -> None:
    """Repeats and refusals take nobody's turn."""
    world = make_world(q_aliases=aliases(BOB, BEA), logged_on=("alice", "bob", "bea"))
    source = examples.source(examples.P_HOST)
    stranger = request(99, requesting_mc_service_id=BOB, **BY_ALIAS)
    for number in range(1, 7):
        run(world, number, **BY_ALIAS)
        repeat = examples.message(
            request(number, **BY_ALIAS), examples.Q_PSI.text, examples.P_PSI.text
        )
        assert world.q.receive(repeat, source).status_code == 202
        if number % 2:
            refused = examples.message(stranger, examples.Q_PSI.text, examples.P_PSI.text)
            assert world.q.receive(refused, source).status_code == 403
    assert asked(world) in (["bob", "bea"] * 3, ["bea", "bob"] * 3)
    assert [t.number for t in world.q.transactions] == list(range(1, 7))


def test_alias_active_for_several_clients_priority() -> None:
    system = dataclasses.replace(Q_SYSTEM, alias_choice=AliasChoice.PRIORITY)
    world = make_world(
        q_system=system, q_aliases=aliases(BEA, BOB), logged_on=("alice", "bob", "bea")
    )
    for number in range(1, 4):
        run(world, number, **BY_ALIAS)
    assert asked(world) == ["bea"] * 3


@pytest.mark.parametrize("choice", AliasChoice)
@pytest.mark.parametrize("here", ["bob", "bea"])
def test_alias_active_for_several_of_whom_one_is_logged_on(choice: AliasChoice, here: str) -> None:
    system = dataclasses.replace(Q_SYSTEM, alias_choice=choice)
    world = make_world(q_system=system, q_aliases=aliases(BOB, BEA), logged_on=("alice", here))
    for number in range(1, 4):
        run(world, number, **BY_ALIAS)
    assert asked(world) == [here] * 3


@pytest.mark.parametrize("choice", AliasChoice)
def test_alias_next_holder_after_one_that_cannot_be_reached(choice: AliasChoice) -> None:
    system = dataclasses.replace(Q_SYSTEM, alias_choice=choice)
    world = make_world(
        q_system=system, q_aliases=aliases(BOB, BEA), logged_on=("alice", "bob", "bea")
    )
    world.alice.ask(request(**BY_ALIAS))
    tried = []
    for _ in range(8):
        for attempt in world.network.send_all():
            if attempt.receiver.name in {"bob", "bea"} and not tried:
                tried.append(attempt.receiver.name)
                world.network.time_out(attempt)
            else:
                world.network.deliver(attempt)
                world.network.answer(attempt)
        world.network.now += 1.0
    assert len(asked(world)) == 1
    assert asked(world) != tried


@pytest.mark.parametrize("choice", AliasChoice)
@pytest.mark.parametrize("number", [1, 2])
def test_alias_offered_again_to_the_one_who_logs_on_again(choice: AliasChoice, number: int) -> None:
    system = dataclasses.replace(Q_SYSTEM, alias_choice=choice)
    world = make_world(
        q_system=system, q_aliases=aliases(BOB, BEA), logged_on=("alice", "bob", "bea")
    )
    for each in range(number):
        run(world, each + 1, **BY_ALIAS)
    chosen = {"bob": world.bob, "bea": world.bea}[asked(world)[-1]]
    before = asked(world)
    chosen.disconnect()
    world.q.configure(aliases=aliases(BEA, BOB))  # what the policy would choose now may differ
    chosen.register()
    world.network.run()
    assert set(asked(world)[len(before) :]) == {chosen.name}
    assert len(chosen.asked) == before.count(chosen.name)


def test_alias_not_active_keeps_the_request() -> None:
    world = make_world(q_aliases=aliases())
    run(world, **BY_ALIAS)
    assert only(world.q.rows).next_attempt_at is None
    assert asked(world) == world.alice.outcomes == []


def test_alias_that_becomes_active_releases_at_log_on() -> None:
    world = make_world(q_aliases=aliases())
    run(world, **BY_ALIAS)
    world.q.configure(aliases=aliases(BEA))
    world.bea.register()
    world.network.run()
    assert asked(world) == ["bea"]


def test_alias_holder_who_may_not_answer_is_passed_over() -> None:
    world = make_world(q_aliases=aliases(NED, BOB))
    run(world, **BY_ALIAS)
    assert asked(world) == ["bob"]


def test_alias_is_resolved_at_delivery_and_not_on_arrival() -> None:
    world = make_world(q_aliases=aliases(BOB), logged_on=("alice",))
    run(world, **BY_ALIAS)
    world.q.configure(aliases=aliases(BEA))
    world.bea.register()
    world.bob.register()
    world.network.run()
    assert asked(world) == ["bea"]


# Verification


def failure_of(
    changes: dict[str, object], system: McSystem = Q_SYSTEM
) -> tuple[str | None, tuple[McServiceId, ...]]:
    world = make_world(q_system=system)
    run(world, **changes)
    assert world.configured == asked(world) == []
    ((outcome, cause),) = world.alice.outcomes
    assert outcome == "failure"
    result = stored_response(world.alice).result
    assert result.text
    assert stored_response(world.alice).handling_mc_service_id == Q_SERVER
    return cause, result.mc_service_ids


def test_target_unknown() -> None:
    nobody = McServiceId("sip:nobody@mc2.example")
    failure = failure_of({"target_mc_service_id": nobody})
    assert failure == ("unknown-mc-service-id", (nobody,))


def test_alias_unknown() -> None:
    alias = FunctionalAlias("sip:never-heard-of@mc2.example")
    changes = {"target_mc_service_id": None, "target_functional_alias": alias}
    assert failure_of(changes) == ("unknown-functional-alias", ())


def test_target_may_not_answer() -> None:
    assert failure_of({"target_mc_service_id": NED}) == ("not-authorized", ())


def test_rule_9_one_unknown_user_refuses_all_and_is_named() -> None:
    changes: dict[str, object] = {"mc_service_id_list": (CAROL, STRANGER)}
    assert failure_of(changes) == ("unknown-mc-service-id", (STRANGER,))
    system = examples.automatic(Handling.ACCEPT)
    assert failure_of(changes, system) == ("unknown-mc-service-id", (STRANGER,))


def test_rule_23_document_not_usable() -> None:
    broken = examples.document().replace(b"<T100>5</T100>", b"<T100>x</T100>")
    world = make_world()
    answer = world.alice.send_flow(request(mc_service_ue_initial_configuration_data=broken))
    assert answer.status_code == 400  # at P
    assert "T100" in dict(answer.headers)["Warning"]
    assert world.p.transactions == []
    lenient = dataclasses.replace(examples.P_SYSTEM, document_mode="report")
    world = make_world(p_system=lenient)
    run(world, mc_service_ue_initial_configuration_data=broken)
    assert world.network.steps[1] == ("P", "Q", REQUEST, 202)  # at Q
    assert world.alice.outcomes == [("failure", "invalid-configuration")]
    assert "T100" in str(world.alice.transaction.text)


def test_rule_23_what_is_only_reported_is_logged_at_both_servers() -> None:
    broken = examples.document().replace(b"<T100>5</T100>", b"<T100>x</T100>")
    world = make_world(
        p_system=dataclasses.replace(examples.P_SYSTEM, document_mode="report"),
        q_system=dataclasses.replace(examples.Q_SYSTEM, document_mode="report"),
    )
    run(world, mc_service_ue_initial_configuration_data=broken)
    for server in (world.p, world.q):
        log = only(log for log in server.logs if log.event == "faults in the document")
        facts = dict(log.facts)
        assert log.is_warning
        assert int(facts["count"]) >= 1
        assert "T100" in facts["path"]
    assert asked(world) == ["bob"]


def test_rule_23_document_mode_report_holds_at_acceptance_as_well() -> None:
    odd = examples.document().replace(b"<T100>5</T100>", b"<T100>x</T100>")
    world = make_world(
        p_system=dataclasses.replace(examples.P_SYSTEM, document_mode="report"),
        q_system=dataclasses.replace(Q_SYSTEM, document_mode="report"),
    )
    run(world, mc_service_ue_initial_configuration_data=odd)
    world.bob.decide()
    world.network.run()
    assert world.alice.outcomes == [("success", None)]
    assert world.configured == [CAROL.canonical]
