"""RULES 10 to 14, 36: repeats, what overtakes what, and what supersedes what."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from acm_sip.identities import McServiceId
from acm_sip.procedures.effects import PutBinding
from acm_sip.procedures.functional_alias import AliasTable
from acm_sip.procedures.mc_system import Handling, PartnerSystem
from acm_sip.procedures.records import AcmTransactionState, Side
from tests.harness.fake_records import only
from tests.harness.interworking import Attempt, World, make_world
from tests.procedures import examples
from tests.procedures.examples import (
    BEA,
    BOB,
    CAROL,
    DAVE,
    INDICATION,
    P_SYSTEM,
    Q_SYSTEM,
    REQUEST,
    RESPONSE,
    request,
    response,
)


@pytest.fixture
def world() -> World:
    return make_world()


def sent(world: World, sender: str, flow: str) -> Attempt:
    """Send until this attempt is in the air; deliver and answer what stands before it."""
    for _ in range(10):
        world.network.send_all()
        for attempt in world.network.under_way():
            if (attempt.sender.name, attempt.row.flow) == (sender, flow):
                return attempt
            if not attempt.answers:
                world.network.deliver(attempt)
            world.network.answer(attempt)
    raise AssertionError(f"{sender} sends no {flow}")


def warning_of(answer: Any) -> str:
    return dict(answer.headers).get("Warning", "")


# Rule 12


@pytest.mark.parametrize(
    ("sender", "flow", "status"),
    [
        pytest.param("alice", REQUEST, 202, id="rule-12-repeat step 1"),
        pytest.param("P", REQUEST, 202, id="rule-12-repeat step 3"),
        pytest.param("Q", INDICATION, 200, id="rule-12-repeat step 4"),
        pytest.param("Q", REQUEST, 200, id="rule-12-repeat step 5"),
        pytest.param("bob", RESPONSE, 202, id="rule-12-repeat step 7"),
        pytest.param("Q", RESPONSE, 202, id="rule-12-repeat step 8"),
        pytest.param("P", RESPONSE, 200, id="rule-12-repeat step 10"),
    ],
)
@pytest.mark.parametrize("moment", ["at once", "at the end", "after a restart"])
def test_rule_12_a_repeat_gets_the_same_answer_and_has_one_effect(
    world: World, sender: str, flow: str, status: int, moment: str
) -> None:
    world.alice.ask(request())
    if sender == "bob" or flow == RESPONSE:
        world.network.run()
        world.bob.decide()
    attempt = sent(world, sender, flow)
    assert world.network.deliver(attempt).status_code == status
    if moment == "at once":
        assert world.network.deliver(attempt).status_code == status
    world.network.run()
    if not world.bob.transaction.outcome:
        world.bob.decide()
    world.network.run()
    if moment == "after a restart":
        attempt.receiver.restart()
    steps = len(world.network.attempts)
    assert world.network.deliver(attempt).status_code == status
    world.network.run()
    assert len(world.network.attempts) == steps
    assert world.alice.outcomes == [("success", None)]
    assert len(world.bob.asked) == 1
    assert len(world.q.facts.tables.applied) == 1
    assert all(len(entity.transactions) <= 1 for entity in world.network.entities.values())


def test_rule_12_same_key_other_digest(world: World) -> None:
    assert world.alice.send_flow(request()).status_code == 202
    answer = world.alice.send_flow(request(variant=2))
    assert answer.status_code == 403
    assert "other content" in warning_of(answer)
    world.network.run()
    to_q = next(a for a in world.network.attempts if a.sender is world.p)
    changed = examples.with_body(to_q.request, to_q.request.body.replace(b" 1<", b" 2<"))
    assert world.q.receive(changed, to_q.source).status_code == 403
    to_b = next(a for a in world.network.attempts if a.receiver is world.bob)
    changed = examples.with_body(to_b.request, to_b.request.body.replace(b" 1<", b" 2<"))
    assert world.bob.receive(changed, to_b.source).status_code == 403


def test_rule_12_the_digest_does_not_see_how_it_was_written(world: World) -> None:
    message = world.alice.message(request())
    assert world.p.receive(message, world.alice.source).status_code == 202
    spelling = message.body.replace(b"<acm:acm-info ", b"<acm:acm-info\n ") + b"\n"
    other_spelling = examples.with_body(message, spelling)
    assert other_spelling.body != message.body
    assert world.p.receive(other_spelling, world.alice.source).status_code == 202


def test_rule_12_same_id_of_another_requester_is_another_transaction() -> None:
    eve = dataclasses.replace(examples.EVE_USER, may_request=frozenset({REQUEST}))
    system = dataclasses.replace(P_SYSTEM, users=(examples.ALICE_USER, eve))
    world = make_world(p_system=system)
    assert world.alice.send_flow(request()).status_code == 202
    other = request(requesting_mc_service_id=examples.EVE)
    assert world.alice.send_flow(other).status_code == 403  # not hers to ask as
    assert len(world.p.transactions) == 1


def test_rule_12_same_flow_of_another_user_is_no_repeat() -> None:
    """Two users may speak for one MC service ID; what one asked the other did not."""
    twin = dataclasses.replace(
        examples.ALICE_USER, public_identity=examples.EVE_USER.public_identity
    )
    system = dataclasses.replace(P_SYSTEM, users=(examples.ALICE_USER, twin))
    world = make_world(p_system=system)
    assert world.alice.send_flow(request()).status_code == 202
    of_alice = only(world.p.facts.tables.bindings.values())
    of_twin = dataclasses.replace(of_alice, public_identity="sip:eve@mc1.example", flow="tcp:eve")
    world.p.call(lambda _: [PutBinding(of_twin)])
    answer = world.p.receive(world.alice.message(request()), examples.source("", "tcp:eve"))
    assert answer.status_code == 403


def test_rule_12_same_flow_of_another_partner_is_no_repeat(world: World) -> None:
    written = examples.message(request(), examples.Q_PSI.text, examples.P_PSI.text)
    assert world.q.receive(written, examples.source(examples.P_HOST)).status_code == 202
    third = third_system(examples.PARTNER_OF_Q)
    world.q.configure(dataclasses.replace(Q_SYSTEM, partners=(*Q_SYSTEM.partners, third)))
    replayed = examples.message(request(), examples.Q_PSI.text, third.psi.text)
    assert world.q.receive(replayed, examples.source(examples.OTHER_HOST)).status_code == 403


def third_system(like: PartnerSystem) -> PartnerSystem:
    return dataclasses.replace(
        like,
        name="mc3",
        psi=examples.SipIdentity("sip:acm@mc3.example"),
        domains=frozenset({"mc3.example"}),
        addresses=frozenset({examples.OTHER_HOST}),
    )


def test_rule_12_only_2xx_are_remembered(world: World) -> None:
    world.p.configure(dataclasses.replace(P_SYSTEM, partners=()))
    assert world.alice.send_flow(request()).status_code == 404
    world.p.configure(P_SYSTEM)
    assert world.alice.send_flow(request()).status_code == 202


@pytest.mark.parametrize("where", ["P", "Q"])
def test_rule_12_repeat_after_the_right_was_revoked(world: World, where: str) -> None:
    """The answer was lost, the repeat must not turn into an outcome of its own."""
    world.alice.ask(request())
    attempt = sent(world, "alice" if where == "P" else "P", REQUEST)
    assert world.network.deliver(attempt).status_code == 202
    nobody = dataclasses.replace(examples.ALICE_USER, may_request=frozenset())
    world.p.configure(dataclasses.replace(P_SYSTEM, users=(nobody,)))
    world.q.configure(examples.partner_system(domains=frozenset({"mc1.example"})))
    world.network.time_out(attempt)
    world.network.run_for(10.0, 1.0)
    world.bob.decide()
    world.network.run()
    assert world.alice.outcomes == [("success", None)]


# Rule 13


def test_rule_13_a_retry_is_a_new_client_transaction_with_the_same_body(world: World) -> None:
    world.alice.ask(request())
    first = sent(world, "P", REQUEST)
    world.network.time_out(first)
    world.network.now += 1.0
    second = sent(world, "P", REQUEST)
    assert first.request.body == second.request.body
    assert first.request.call_id != second.request.call_id
    assert first.request.from_.tag != second.request.from_.tag
    assert second.request.to.tag is None


# Rule 14


def test_rule_14_process_indication_before_the_2xx(world: World) -> None:
    world.alice.ask(request())
    attempt = sent(world, "P", REQUEST)
    world.network.deliver(attempt)
    indication = next(a for a in world.network.send_all() if a.row.flow == INDICATION)
    assert world.network.deliver(indication).status_code == 200
    assert world.p.rows == []  # it proves receipt
    assert world.p.transaction.state is AcmTransactionState.PROCESSING
    world.network.answer(attempt)
    assert world.p.transaction.state is AcmTransactionState.PROCESSING


@pytest.mark.parametrize("status_code", [408, 403, 482, 500, 503])
def test_rule_14_after_proof_of_receipt_no_answer_harms(world: World, status_code: int) -> None:
    world.alice.ask(request())
    attempt = sent(world, "P", REQUEST)
    world.network.deliver(attempt)
    indication = next(a for a in world.network.send_all() if a.row.flow == INDICATION)
    world.network.deliver(indication)
    world.network.end(attempt, status_code, "already seen")
    world.network.run()
    world.bob.decide()
    world.network.run()
    assert world.alice.outcomes == [("success", None)]


def test_rule_14_response_before_the_2xx(world: World) -> None:
    world.alice.ask(request())
    attempt = sent(world, "P", REQUEST)
    world.network.deliver(attempt)
    answer = world.p.receive(to_p(world, response()), q_source(world))
    assert answer.status_code == 202
    world.network.time_out(attempt)
    assert [row.flow for row in world.p.rows] == [RESPONSE]
    world.network.run()
    assert world.alice.outcomes == [("success", None)]


def test_rule_14_process_indication_after_the_response(world: World) -> None:
    world.alice.ask(request())
    world.network.run()
    world.bob.decide()
    world.network.run()
    before = world.p.transaction
    answer = world.p.receive(to_p(world, examples.indication()), q_source(world))
    assert answer.status_code == 200
    assert world.p.transaction == before


def test_rule_14_response_waits_for_the_answer_to_the_process_indication() -> None:
    world = make_world(q_system=examples.automatic(Handling.ACCEPT))
    world.network.window = 8  # the order is that of the rows, not of the window
    world.alice.ask(request())
    indication = sent(world, "Q", INDICATION)
    assert not [a for a in world.network.send_all() if a.row.flow == RESPONSE]
    world.network.deliver(indication)
    world.network.answer(indication)
    assert [a.row.flow for a in world.q.send()] == [RESPONSE]


@pytest.mark.parametrize("status_code", [400, 403, 404, 405, 603])
def test_rule_14_a_refused_process_indication_is_given_up_alone(
    world: World, status_code: int
) -> None:
    world.alice.ask(request())
    world.network.end(sent(world, "Q", INDICATION), status_code, "no")
    world.network.run()
    world.bob.decide()
    world.network.run()
    assert world.alice.outcomes == [("success", None)]


def test_rule_14_a_process_indication_of_32_s_is_given_up_alone() -> None:
    world = make_world(q_system=examples.automatic(Handling.ACCEPT))
    world.alice.ask(request())
    start = world.network.now
    sent(world, "Q", INDICATION)
    while [row.flow for row in world.q.rows] != [RESPONSE]:
        for attempt in world.network.under_way():
            if attempt.row.flow == INDICATION:
                world.network.end(attempt, 503, "busy")
        world.network.now += 1.0
        world.network.send_all()
        assert world.network.now < start + 40.0
    assert world.network.now == start + 32.0
    world.network.run_for(60.0)
    assert world.alice.outcomes == [("success", None)]


# Rule 36, second half


@pytest.mark.parametrize(
    ("flow", "text"),
    [
        pytest.param(response(9), "no such ACM transaction", id="rule-36-unknown transaction at P"),
        pytest.param(
            response(1, cause="local-policy"), "answered already", id="rule-36-other content at P"
        ),
        pytest.param(
            response(1, target_mc_service_id=DAVE), "no such", id="rule-36-not the requester at P"
        ),
        pytest.param(examples.indication(9), "no such", id="rule-36-unknown indication at P"),
    ],
)
def test_rule_36_response_refused_at_the_primary(world: World, flow: Any, text: str) -> None:
    finish(world)
    steps = len(world.network.attempts)
    answer = world.p.receive(to_p(world, flow), q_source(world))
    assert answer.status_code == 403
    assert text in warning_of(answer)
    world.network.run()
    assert len(world.network.attempts) == steps  # text, no flow


@pytest.mark.parametrize(
    ("flow", "text"),
    [
        pytest.param(response(9), "no such ACM transaction", id="rule-36-unknown transaction at Q"),
        pytest.param(
            response(1, cause="local-policy"), "already answered", id="rule-36-other content at Q"
        ),
    ],
)
def test_rule_36_response_refused_at_the_partner(world: World, flow: Any, text: str) -> None:
    finish(world)
    answer = world.bob.send_flow(flow)
    assert answer.status_code == 403
    assert text in warning_of(answer)
    assert world.q.rows == []


def test_rule_36_response_of_a_partner_that_was_not_asked() -> None:
    third = third_system(examples.PARTNER_OF_P)
    world = make_world(p_system=dataclasses.replace(P_SYSTEM, partners=(*P_SYSTEM.partners, third)))
    world.alice.ask(request())
    world.network.run()
    of_third = response(handling_mc_service_id=McServiceId("sip:bob@mc3.example"))
    forged = to_p(world, of_third, third.psi.text)
    answer = world.p.receive(forged, examples.source(examples.OTHER_HOST))
    assert answer.status_code == 403
    assert world.p.transaction.outcome is None


# Rule 7


def test_rule_7_a_response_only_from_whom_it_was_offered_to(world: World) -> None:
    world.bea.register()
    world.alice.ask(request())
    world.network.run()
    answer = world.bea.send_flow(response(handling_mc_service_id=BEA))
    assert answer.status_code == 403
    assert "not offered" in warning_of(answer)
    forged = world.bea.send_flow(response(handling_mc_service_id=BOB))
    assert forged.status_code == 403
    assert world.q.transaction.state is AcmTransactionState.OFFERED


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        pytest.param(
            {"handling_mc_service_id": examples.NED}, "100 function", id="rule-7-as another user"
        ),
        pytest.param(
            {"handling_functional_alias": examples.DUTY},
            "not active for the handler",
            id="rule-45-alias that is not active for the handler",
        ),
    ],
)
def test_rule_7_a_response_in_the_name_of_another(changes: Any, text: str) -> None:
    world = make_world(q_aliases=AliasTable({examples.DUTY: (BEA,)}))
    world.alice.ask(request())
    world.network.run()
    answer = world.bob.send_flow(response(**changes))
    assert answer.status_code == 403
    assert text in warning_of(answer)
    assert world.q.transaction.outcome is None


def test_rule_7_another_who_was_offered_it_cannot_repeat_the_answer() -> None:
    by_alias = request(target_mc_service_id=None, target_functional_alias=examples.DUTY)
    world = make_world(logged_on=("alice", "bob", "bea"))
    world.alice.ask(by_alias)
    to_bob = sent(world, "Q", REQUEST)
    world.network.deliver(to_bob)
    world.network.time_out(to_bob)
    world.q.configure(aliases=AliasTable({examples.DUTY: (BEA,)}))
    world.network.now += 1.0
    world.network.run()  # offered again, to who holds the alias now
    assert world.q.transaction.offered_to == (BOB.canonical, BEA.canonical)
    assert world.bob.send_flow(response()).status_code == 202  # the first response wins
    assert world.bea.send_flow(response()).status_code == 403
    answer = world.bea.send_flow(response(handling_mc_service_id=BEA))
    assert answer.status_code == 403
    assert "already answered: success" in warning_of(answer)


def test_rule_7_a_response_that_overtakes_the_2xx_of_the_offer(world: World) -> None:
    world.alice.ask(request())
    offer = sent(world, "Q", REQUEST)
    world.network.deliver(offer)
    assert world.bob.send_flow(response()).status_code == 202
    world.network.time_out(offer)
    world.network.run_for(120.0)
    assert world.alice.outcomes == [("success", None)]
    assert [a for a in world.network.attempts if a.receiver is world.bob] == [offer]


def test_rule_7_a_client_answers_as_another_of_its_identities() -> None:
    both = dataclasses.replace(examples.BOB_USER, mc_service_ids=(BOB, BEA))
    world = make_world(
        q_system=dataclasses.replace(Q_SYSTEM, users=(both,)),
        q_aliases=AliasTable({examples.DUTY: (BEA,)}),
    )
    world.alice.ask(request(target_mc_service_id=None, target_functional_alias=examples.DUTY))
    world.network.run()
    assert world.q.transaction.offered_to == (BEA.canonical,)
    assert world.bob.send_flow(response(handling_mc_service_id=BOB)).status_code == 202


@pytest.mark.parametrize(
    ("system", "status_code", "cause"),
    [
        pytest.param(
            dataclasses.replace(
                Q_SYSTEM, users=(dataclasses.replace(examples.BOB_USER, may_answer=frozenset()),)
            ),
            403,
            None,
            id="rule-7-right to answer revoked",
        ),
        pytest.param(
            dataclasses.replace(Q_SYSTEM, users=()), 404, None, id="rule-7-handler removed"
        ),
        pytest.param(
            examples.partner_system(migrating_users=frozenset()),
            202,
            "unknown-mc-service-id",
            id="rule-7-migrating user removed",
        ),
        pytest.param(
            dataclasses.replace(Q_SYSTEM, partners=()),
            202,
            "not-authorized",
            id="rule-7-partner removed",
        ),
    ],
)
def test_rule_7_checked_again_at_acceptance(
    world: World, system: Any, status_code: int, cause: str | None
) -> None:
    world.alice.ask(request())
    world.network.run()
    world.q.configure(system)
    assert world.bob.send_flow(response()).status_code == status_code
    assert world.q.facts.tables.applied == []
    assert world.q.transaction.cause == cause


def test_rule_7_not_forwarded_to_who_may_no_longer_answer() -> None:
    world = make_world(logged_on=("alice",))
    world.alice.ask(request())
    world.network.run()
    may_not = dataclasses.replace(examples.BOB_USER, may_answer=frozenset())
    world.q.configure(dataclasses.replace(Q_SYSTEM, users=(may_not,)))
    world.bob.register()
    world.network.run()
    assert world.bob.asked == []


# Rules 10 and 11


def two_requests(world: World, first: tuple[object, ...], second: tuple[object, ...]) -> None:
    world.alice.ask(request(1, variant=1, mc_service_id_list=first))
    world.alice.ask(request(2, variant=2, mc_service_id_list=second))
    world.network.run()


def test_rule_10_sent_in_the_order_of_commit(world: World) -> None:
    two_requests(world, (CAROL,), (CAROL,))
    numbers = [t.acm_transaction_id for t in sorted(world.q.transactions, key=lambda t: t.number)]
    assert numbers == [examples.transaction_id(1), examples.transaction_id(2)]


def test_rule_10_an_acceptance_after_a_later_one_is_superseded(world: World) -> None:
    two_requests(world, (CAROL, DAVE), (CAROL,))
    first, second = world.bob.asked
    world.bob.decide(transaction=second)
    world.network.run()
    world.bob.decide(transaction=first)
    world.network.run()
    assert world.alice.outcomes == [("success", None), ("failure", "superseded")]
    by_user = world.q.facts.configurations(Side.PARTNER, "mc1", (CAROL, DAVE))
    assert list(by_user) == [CAROL.canonical]
    assert by_user[CAROL.canonical].digest == examples.digest_of(2)


def test_rule_10_rejecting_the_later_one_supersedes_nothing(world: World) -> None:
    two_requests(world, (CAROL,), (CAROL,))
    first, second = world.bob.asked
    world.bob.decide("rejected-by-user", transaction=second)
    world.network.run()
    world.bob.decide(transaction=first)
    world.network.run()
    assert world.alice.outcomes == [("failure", "rejected-by-user"), ("success", None)]


def test_rule_10_other_users_are_not_superseded(world: World) -> None:
    two_requests(world, (CAROL,), (DAVE,))
    for transaction in reversed(world.bob.asked):
        world.bob.decide(transaction=transaction)
        world.network.run()
    assert world.alice.outcomes == [("success", None)] * 2


def test_rule_11_primary_keeps_the_last_document_accepted(world: World) -> None:
    two_requests(world, (CAROL, DAVE), (CAROL,))
    for transaction in world.bob.asked:
        world.bob.decide(transaction=transaction)
    answers = run_until_responses(world, 2)
    for attempt in reversed(answers):  # the later overtakes the earlier
        world.network.deliver(attempt)
        world.network.answer(attempt)
    world.network.run()
    kept = world.p.facts.configurations(Side.PRIMARY, "mc2", (CAROL, DAVE))
    held = world.q.facts.configurations(Side.PARTNER, "mc1", (CAROL, DAVE))
    assert {k: c.digest for k, c in kept.items()} == {k: c.digest for k, c in held.items()}
    assert kept[CAROL.canonical].digest == examples.digest_of(2)
    assert kept[DAVE.canonical].digest == examples.digest_of(1)


def run_until_responses(world: World, count: int) -> list[Attempt]:
    """Take both responses to P out of the air, which sends one at a time."""
    found: list[Attempt] = []
    while len(found) < count:
        world.network.send_all()
        for attempt in world.network.under_way():
            if attempt.sender is world.q and attempt.row.flow == RESPONSE:
                found.append(attempt)
                attempt.is_open = False  # the sender hears of it later
            else:
                world.network.deliver(attempt)
                world.network.answer(attempt)
    return found


def finish(world: World) -> None:
    world.alice.ask(request())
    world.network.run()
    world.bob.decide()
    world.network.run()
    assert world.alice.outcomes == [("success", None)]


def to_p(world: World, flow: Any, asserted: str = examples.Q_PSI.text) -> Any:
    return examples.message(flow, examples.P_PSI.text, asserted)


def q_source(world: World) -> Any:
    return examples.source(world.q.host)
