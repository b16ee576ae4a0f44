"""TS 23.280 10.17.6.2: the ten steps, each as a case named after it."""

from __future__ import annotations

import dataclasses

import pytest

from acm_sip.codec.ue_init_config import document_digest
from acm_sip.identities import FunctionalAlias
from acm_sip.procedures.mc_system import Handling
from acm_sip.procedures.records import AcmTransactionState, Side
from tests.harness.fake_records import only
from tests.harness.interworking import World, make_world
from tests.procedures import examples
from tests.procedures.examples import BOB, CAROL, DAVE, INDICATION, REQUEST, RESPONSE, request
from tests.procedures.stored_flows import comparable, row_flow, stored_request, stored_response


@pytest.fixture
def world() -> World:
    return make_world()


def up_to_step_5(world: World) -> None:
    world.alice.ask(request(mc_service_id_list=(CAROL, DAVE)))
    world.network.run()


def test_step_1_client_sends_the_request_to_its_server(world: World) -> None:
    world.alice.ask(request())
    attempt = only(world.network.send_all())
    assert (attempt.sender, attempt.receiver, attempt.row.flow) == (world.alice, world.p, REQUEST)
    assert attempt.request.request_uri == examples.P_PSI.text
    assert world.network.deliver(attempt).status_code == 202
    world.network.answer(attempt)
    assert world.alice.transaction.state is AcmTransactionState.ACCEPTED
    assert comparable(stored_request(world.p)) == comparable(request())


def test_step_2_not_authorized_stops_the_procedure(world: World) -> None:
    eve = dataclasses.replace(examples.ALICE_USER, may_request=frozenset())
    world.p.configure(dataclasses.replace(examples.P_SYSTEM, users=(eve,)))
    world.alice.ask(request())
    world.network.run()
    assert world.network.steps == [("alice", "P", REQUEST, 403)]
    assert world.p.transactions == world.p.rows == world.q.transactions == []
    assert world.alice.outcomes == [("failure", "not-authorized")]


def test_step_3_server_sends_the_request_to_the_partner(world: World) -> None:
    world.alice.ask(request())
    world.network.run()
    attempt = world.network.attempts[1]
    assert attempt.step == ("P", "Q", REQUEST, 202)
    assert attempt.request.request_uri == examples.Q_PSI.text
    assert attempt.row.octets == world.p.transaction.request
    assert comparable(row_flow(attempt.row)) == comparable(request())


def test_step_4_process_indication_and_the_request_is_stored(world: World) -> None:
    up_to_step_5(world)
    indication = only(a for a in world.network.attempts if a.row.flow == INDICATION)
    assert indication.step == ("Q", "P", INDICATION, 200)
    flow = row_flow(indication.row)
    assert flow == examples.indication(target_mc_service_id=BOB)
    assert world.p.transaction.state is AcmTransactionState.PROCESSING
    assert world.p.transaction.processing_at == world.network.now
    expected = request(mc_service_id_list=(CAROL, DAVE))
    assert comparable(stored_request(world.q)) == comparable(expected)


def test_step_4_automatic_handling_goes_on_with_step_8() -> None:
    world = make_world(q_system=examples.automatic(Handling.ACCEPT))
    up_to_step_5(world)
    flows = [step[:3] for step in world.network.steps]
    assert flows == [
        ("alice", "P", REQUEST),
        ("P", "Q", REQUEST),
        ("Q", "P", INDICATION),
        ("Q", "P", RESPONSE),
        ("P", "alice", RESPONSE),
    ]
    assert world.bob.asked == []


def test_step_5_the_stored_request_goes_to_the_client(world: World) -> None:
    up_to_step_5(world)
    attempt = only(a for a in world.network.attempts if a.receiver is world.bob)
    assert attempt.step == ("Q", "bob", REQUEST, 200)
    assert attempt.row.octets == world.q.transaction.request
    assert attempt.request.headers.get("Request-Disposition") == "no-fork"
    assert world.q.transaction.state is AcmTransactionState.OFFERED


def test_step_6_the_user_decides_after_the_answer_of_the_client(world: World) -> None:
    up_to_step_5(world)
    assert only(world.bob.asked).state is AcmTransactionState.UNDECIDED
    assert world.network.under_way() == []
    assert world.configured == []
    assert world.alice.outcomes == []


def test_step_7_client_sends_the_response(world: World) -> None:
    up_to_step_5(world)
    world.bob.decide()
    attempt = only(world.network.send_all())
    assert (attempt.sender, attempt.receiver, attempt.row.flow) == (world.bob, world.q, RESPONSE)
    assert world.network.deliver(attempt).status_code == 202
    flow = row_flow(attempt.row)
    assert flow == examples.response()


def test_step_8_partner_sends_the_response_and_has_stored_the_configuration(world: World) -> None:
    up_to_step_5(world)
    world.bob.decide()
    world.network.run()
    assert ("Q", "P", RESPONSE, 202) in world.network.steps
    assert sorted(world.configured) == [CAROL.canonical, DAVE.canonical]
    stored = world.q.facts.configurations(Side.PARTNER, "mc1", (CAROL, DAVE))
    digests = {configuration.digest for configuration in stored.values()}
    assert digests == {document_digest(examples.document())}
    assert list(world.q.facts.tables.documents) == list(digests)  # once, linked to both


def test_step_9_the_response_is_stored_at_the_primary(world: World) -> None:
    up_to_step_5(world)
    world.alice.register(0)
    world.bob.decide()
    world.network.run()
    assert world.p.transaction.outcome == "success"
    assert stored_response(world.p) == examples.response()
    assert world.alice.outcomes == []
    assert only(world.p.rows).next_attempt_at is None


def test_step_10_server_forwards_the_response_to_the_client(world: World) -> None:
    up_to_step_5(world)
    world.bob.decide()
    world.network.run()
    assert world.network.steps[-1] == ("P", "alice", RESPONSE, 200)
    assert world.network.attempts[-1].row.octets == world.p.transaction.response
    assert world.alice.outcomes == [("success", None)]
    assert world.alice.transaction.handling_mc_service_id == BOB.text
    assert [e.rows for e in world.network.entities.values()] == [[], [], [], [], []]


# Pre-conditions


def test_precondition_1_systems_not_interconnected_at_the_primary(world: World) -> None:
    world.p.configure(dataclasses.replace(examples.P_SYSTEM, partners=()))
    up_to_step_5(world)
    assert world.network.steps == [("alice", "P", REQUEST, 404)]
    warning = dict(world.network.attempts[0].answers[0].headers)["Warning"]
    assert "142 unable to determine the controlling function" in warning
    assert world.alice.outcomes == [("failure", "partner-unreachable")]


def test_precondition_1_systems_not_interconnected_at_the_partner(world: World) -> None:
    world.q.configure(dataclasses.replace(examples.Q_SYSTEM, partners=()))
    up_to_step_5(world)
    assert world.network.steps[1] == ("P", "Q", REQUEST, 403)
    warning = dict(world.network.attempts[1].answers[0].headers)["Warning"]
    assert "179 service not authorized with the interconnected system" in warning
    assert world.alice.outcomes == [("failure", "not-authorized")]
    assert "179" in str(world.alice.transaction.text)


@pytest.mark.parametrize("status_code", [404, 405, 415, 501])
def test_precondition_2_partner_without_acm(world: World, status_code: int) -> None:
    world.alice.ask(request())
    first = only(world.network.send_all())
    world.network.deliver(first)
    world.network.answer(first)
    to_partner = only(world.network.send_all())
    world.network.end(to_partner, status_code, "what is this?")
    world.network.run()
    assert world.alice.outcomes == [("failure", "partner-unreachable")]
    assert world.alice.transaction.text == f"{status_code} what is this?"
    assert world.alice.transaction.handling_mc_service_id == examples.P_SERVER.text


def test_precondition_3_users_not_known_from_clause_10_17_5(world: World) -> None:
    world.q.configure(examples.partner_system(migrating_users=frozenset({DAVE})))
    up_to_step_5(world)
    assert world.alice.outcomes == [("failure", "unknown-mc-service-id")]
    assert stored_response(world.alice).result.mc_service_ids == (CAROL,)
    assert world.configured == []


class NotSubscribed:
    """The server has no subscription to its functional alias controlling server."""

    def is_subscribed(self) -> bool:
        return False

    def is_known(self, _alias: FunctionalAlias) -> bool:
        return True

    def held_by(self, _user: object) -> tuple[FunctionalAlias, ...]:
        return ()

    def holders(self, _alias: FunctionalAlias) -> None:
        return None


def test_precondition_4_alias_target_without_subscription_at_the_primary(world: World) -> None:
    world.p.configure(aliases=NotSubscribed())
    by_alias = request(target_mc_service_id=None, target_functional_alias=examples.DUTY)
    answer = world.alice.send_flow(by_alias)
    assert answer.status_code == 503
    assert "Retry-After" in dict(answer.headers)
    assert world.p.transactions == []
    assert world.alice.send_flow(request()).status_code == 202  # a user as target needs none


def test_precondition_4_alias_target_without_subscription_at_the_partner(world: World) -> None:
    world.q.configure(aliases=NotSubscribed())
    world.alice.ask(request(target_mc_service_id=None, target_functional_alias=examples.DUTY))
    world.network.run()
    assert only(world.q.rows).next_attempt_at is None
    assert world.q.transaction.state is AcmTransactionState.KEPT
    assert world.alice.outcomes == []
