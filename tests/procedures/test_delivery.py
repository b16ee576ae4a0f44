"""RULES 1, 15 to 19: what becomes of a row, deadlines, parked rows, log-on."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from acm_sip.procedures.delivery import Ending, cause_of_refusal, classify
from acm_sip.procedures.effects import PutBinding
from acm_sip.procedures.events import DeliveryEnded
from acm_sip.procedures.mc_system import Handling
from acm_sip.procedures.records import AcmTransactionState, Destination, DestinationKind, OutboxRow
from tests.harness.fake_records import only
from tests.harness.interworking import Attempt, make_world
from tests.procedures import examples
from tests.procedures.examples import DAY_S, INDICATION, REQUEST, RESPONSE, T0, request, response
from tests.procedures.test_repeats_and_races import sent

ROW = OutboxRow(
    1, 1, Destination(DestinationKind.PARTNER, "mc2"), "lane", REQUEST, "mcptt", b"", T0, None
)
# Every status code that RFC 3261, 3428, 5626 and 4320 define for a final answer, by our reading.
DELIVERED = {200, 202, 299}
TRY_AGAIN = {408, 430, 480, 500, 502, 503, 504}
REFUSED = {
    *(300, 301, 302, 305, 380),
    *(400, 401, 402, 403, 404, 405, 406, 407, 410, 413, 414, 415, 416, 420, 421, 423),
    *(481, 482, 483, 484, 485, 486, 487, 488, 489, 491, 493),
    *(501, 505, 513, 600, 603, 604, 606),
}


def ended(status_code: int, row: OutboxRow = ROW) -> DeliveryEnded:
    return DeliveryEnded(row, T0, status_code, "", None, was_sent=True)


@pytest.mark.parametrize(
    ("status_code", "expected"),
    [
        pytest.param(status_code, ending, id=f"rule-15-{status_code}")
        for ending, codes in [
            (Ending.DELIVERED, DELIVERED),
            (Ending.TRY_AGAIN, TRY_AGAIN),
            (Ending.REFUSED, REFUSED),
        ]
        for status_code in sorted(codes)
    ],
)
def test_rule_15_what_a_final_answer_means(status_code: int, expected: Ending) -> None:
    assert classify(ended(status_code)) is expected


@pytest.mark.parametrize(
    ("status_code", "cause"),
    [
        (403, "not-authorized"),
        *((code, "partner-unreachable") for code in (404, 405, 415, 501)),
        *((code, "internal-error") for code in (400, 413, 420, 302, 481, 482, 505, 603)),
    ],
)
def test_rule_15_cause_for_the_requester(status_code: int, cause: str) -> None:
    assert cause_of_refusal(status_code) == cause
    world = make_world()
    world.alice.ask(request())
    world.network.end(sent(world, "P", REQUEST), status_code, 'the "Warning" they sent')
    world.network.run()
    assert world.alice.outcomes == [("failure", cause)]
    assert world.alice.transaction.text == f'{status_code} the "Warning" they sent'


@pytest.mark.parametrize("text", ["bell \x07 nul \x00", "\udcff\udc80", "￾￿", "x" * 5000])
def test_rule_15_a_warning_that_no_xml_can_carry(text: str) -> None:
    world = make_world()
    world.alice.ask(request())
    world.network.end(sent(world, "P", REQUEST), 403, text)
    world.network.run()
    assert world.alice.outcomes == [("failure", "not-authorized")]
    assert len(str(world.alice.transaction.text)) <= 500


@pytest.mark.parametrize("status_code", sorted(TRY_AGAIN))
def test_rule_15_tried_again_until_it_arrives(status_code: int) -> None:
    world = make_world()
    world.alice.ask(request())
    for _ in range(5):
        attempt = sent(world, "P", REQUEST)
        world.network.end(attempt, status_code, "later")
        assert not [a for a in world.network.send_all() if a.row.flow == REQUEST]  # it waits
        world.network.now += 60.0
    assert len({a.row.octets for a in world.network.attempts if a.sender is world.p}) == 1
    world.network.run()
    world.bob.decide()
    world.network.run()
    assert world.alice.outcomes == [("success", None)]


def test_rule_15_pauses_grow_and_are_bounded() -> None:
    world = make_world()
    world.alice.ask(request())
    pauses = []
    for _ in range(10):
        world.network.end(sent(world, "P", REQUEST), 503, "busy")
        at = only(world.p.rows).next_attempt_at
        assert at is not None
        pauses.append(at - world.network.now)
        world.network.now = at
    assert pauses == sorted(pauses)
    assert pauses[0] == 1.0
    assert pauses[-1] == 60.0


def test_rule_15_a_response_is_tried_for_ever() -> None:
    world = make_world(q_system=examples.automatic(Handling.ACCEPT))
    world.alice.ask(request())
    for attempt in range(40):
        response_to_a = sent(world, "P", RESPONSE)
        world.network.end(response_to_a, 408, "no answer")
        world.network.now += 60.0 + 3600.0 * attempt
        world.alice.register()
    world.network.run()
    assert world.alice.outcomes == [("success", None)]


def test_rule_15_next_contact_of_the_user_first() -> None:
    world = make_world()
    second = dataclasses.replace(
        world.q.facts.bindings_of("sip:bob@mc2.example")[0],
        contact="sip:bob@198.51.100.77",
        flow="tcp:gone:1",
        registered_at=T0 + 1,
    )
    world.q.call(lambda _: [PutBinding(second)])
    world.network.now += 2.0
    world.alice.ask(request())
    world.network.run()
    uris = [a.request.request_uri for a in world.network.attempts if a.row.flow == REQUEST][2:]
    assert uris == ["sip:bob@198.51.100.77", "sip:bob@198.51.100.1:5070;transport=tcp"]
    assert len(world.bob.asked) == 1


# Rule 1

ASKED = [
    ("alice", "P", REQUEST),
    ("P", "Q", REQUEST),
    ("Q", "P", INDICATION),
    ("Q", "bob", REQUEST),
    ("bob", "Q", RESPONSE),
    ("Q", "P", RESPONSE),
    ("P", "alice", RESPONSE),
]


def test_rule_1_messages_decided_by_a_user() -> None:
    world = make_world()
    world.alice.ask(request())
    world.network.run()
    world.bob.decide()
    world.network.run()
    assert sorted(step[:3] for step in world.network.steps) == sorted(ASKED)


def test_rule_1_messages_handled_automatically() -> None:
    world = make_world(q_system=examples.automatic(Handling.ACCEPT))
    world.alice.ask(request())
    world.network.run()
    without_bob = [step for step in ASKED if "bob" not in step]
    assert [step[:3] for step in world.network.steps] == without_bob


def test_rule_1_messages_refused_by_q_in_sip() -> None:
    world = make_world(q_system=dataclasses.replace(examples.Q_SYSTEM, partners=()))
    world.alice.ask(request())
    world.network.run()
    assert world.network.steps == [
        ("alice", "P", REQUEST, 202),
        ("P", "Q", REQUEST, 403),
        ("P", "alice", RESPONSE, 200),
    ]


# Rule 17


def test_rule_17_primary_writes_an_absolute_expiry() -> None:
    world = make_world()
    world.alice.ask(request(expires_at=None))
    attempt = sent(world, "P", REQUEST)
    expected = b">2027-01-16T08:00:00Z</"
    assert b"expires-at" in attempt.row.octets
    assert expected in attempt.row.octets
    assert attempt.request.expires == int(DAY_S)
    assert attempt.request.headers.get("Date") == "Fri, 15 Jan 2027 08:00:00 GMT"
    world.network.run()
    assert world.q.transaction.expires_at == T0 + DAY_S


def test_rule_17_expires_header_counts_down_with_each_attempt() -> None:
    world = make_world()
    world.alice.ask(request())
    world.network.end(sent(world, "P", REQUEST), 503)
    world.network.now += 1000.0
    assert sent(world, "P", REQUEST).request.expires == 2600


def test_rule_17_too_far_ahead() -> None:
    world = make_world()
    answer = world.alice.send_flow(request(expires_at=T0 + 31 * DAY_S))
    assert answer.status_code == 400
    assert "expires-at" in dict(answer.headers)["Warning"]
    patient = dataclasses.replace(examples.P_SYSTEM, longest_expiry_s=90 * DAY_S)
    world.p.configure(patient)
    world.alice.ask(request(expires_at=T0 + 31 * DAY_S))
    world.network.run()
    assert world.alice.outcomes == [("failure", "local-policy")]


@pytest.mark.parametrize("late_s", [0.0, 0.001, 3600.0])
def test_rule_17_never_applied_after_its_end(late_s: float) -> None:
    world = make_world()
    world.alice.ask(request())
    world.network.run()
    world.network.now = T0 + 3600.0 + late_s
    answer = world.bob.send_flow(response())  # no timer has fired at Q yet
    assert answer.status_code == 403
    assert "expired" in dict(answer.headers)["Warning"]
    world.network.run()
    assert world.configured == []
    assert world.alice.outcomes == [("failure", "expired")]
    assert world.bob.send_flow(response()).status_code == 403


def test_rule_17_applied_just_before_its_end() -> None:
    world = make_world()
    world.alice.ask(request())
    world.network.run()
    world.network.now = T0 + 3599.999
    assert world.bob.send_flow(response()).status_code == 202
    world.network.run()
    assert world.alice.outcomes == [("success", None)]


@pytest.mark.parametrize("handling", Handling)
def test_rule_17_expired_on_arrival_at_the_partner(handling: Handling) -> None:
    world = make_world(q_system=examples.automatic(handling))
    world.alice.ask(request())
    attempt = sent(world, "P", REQUEST)
    world.network.now = T0 + 3600.0
    assert world.network.deliver(attempt).status_code == 202
    world.network.answer(attempt)
    world.network.run()
    assert world.alice.outcomes == [("failure", "expired")]
    assert world.configured == world.bob.told == []


def test_rule_17_expired_on_arrival_at_the_primary() -> None:
    world = make_world()
    assert world.alice.send_flow(request(expires_at=T0 - 1.0)).status_code == 202
    assert world.p.transaction.cause == "expired"
    world.network.run()
    assert [step[:2] for step in world.network.steps] == [("P", "alice")]


def test_rule_17_primary_gives_up_at_the_response_deadline() -> None:
    world = make_world()
    world.alice.ask(request())
    world.network.run()
    world.q.configure(dataclasses.replace(examples.Q_SYSTEM, partners=()))  # it cannot send
    world.network.now = T0 + 3600.0 + DAY_S - 1.0
    world.network.run()
    assert world.alice.outcomes == []
    world.network.now += 2.0
    world.alice.register()
    world.network.run()
    assert world.alice.outcomes == [("failure", "expired")]
    assert world.alice.transaction.handling_mc_service_id == examples.P_SERVER.text


def test_rule_17_never_on_the_wire_is_told_at_the_end_of_the_request() -> None:
    world = make_world()
    world.alice.ask(request())
    while world.network.now < T0 + 3600.0:
        attempt = sent(world, "P", REQUEST)
        world.network.end(attempt, 503, "connection refused", was_sent=False)
        world.network.now += 60.0
    world.network.run()
    assert world.alice.outcomes == [("failure", "partner-unreachable")]


def test_rule_17_maybe_delivered_is_waited_for() -> None:
    world = make_world()
    world.alice.ask(request())
    world.network.end(sent(world, "P", REQUEST), 408, "no answer")
    while world.network.now < T0 + 3600.0:
        for attempt in world.p.send():
            world.network.end(attempt, 503, "connection refused", was_sent=False)
        world.network.now += 60.0
    world.network.run()
    assert world.alice.outcomes == []
    assert world.p.rows == []
    world.network.now = T0 + 3600.0 + DAY_S
    world.alice.register()
    world.network.run()
    assert world.alice.outcomes == [("failure", "partner-unreachable")]


@pytest.mark.parametrize("state", ["seen", "parked"])
def test_rule_17_a_later_response_is_a_correction(state: str) -> None:
    world = make_world()
    world.alice.ask(request())
    for attempt in (sent(world, "P", REQUEST),):
        world.network.deliver(attempt)
        world.network.time_out(attempt)
    world.q.configure(dataclasses.replace(examples.Q_SYSTEM, partners=()))
    world.network.now = T0 + 3600.0 + DAY_S
    if state == "seen":
        world.alice.register()
    world.network.run()
    answer = world.p.receive(
        examples.message(response(), examples.P_PSI.text, examples.Q_PSI.text),
        examples.source(examples.Q_HOST),
    )
    assert answer.status_code == 202
    world.alice.register()
    world.network.run()
    assert world.alice.outcomes[-1] == ("success", None)
    assert world.alice.outcomes[0][1] in {"partner-unreachable", "expired"}
    assert len(world.alice.outcomes) == 2
    assert world.p.transaction.outcome == "success"


@pytest.mark.parametrize("status_code", [400, 403, 482, 404])
@pytest.mark.parametrize("by_alias", [False, True])
def test_rule_17_a_refused_repeat_does_not_hide_the_outcome(
    status_code: int, by_alias: bool
) -> None:
    """The first attempt arrived, its answer was lost, and what came between refused the repeat."""
    world = make_world()
    target = {"target_mc_service_id": None, "target_functional_alias": examples.DUTY}
    world.alice.ask(request(**(target if by_alias else {})))
    first = sent(world, "P", REQUEST)
    world.network.deliver(first)
    world.network.time_out(first)
    world.network.now += 1.0
    world.network.end(only(world.p.send()), status_code, "no")
    world.network.run()
    assert [outcome for outcome, _ in world.alice.outcomes] == ["failure"]
    world.bob.decide()
    world.network.run()
    assert [outcome for outcome, _ in world.alice.outcomes] == ["failure", "success"]
    assert world.p.transaction.outcome == "success"
    assert world.p.facts.tables.applied
    again = world.alice.transaction
    late = response(cause="local-policy")
    refused = world.p.receive(
        examples.message(late, examples.P_PSI.text, examples.Q_PSI.text),
        examples.source(examples.Q_HOST),
    )
    assert refused.status_code == 403  # one correction, by the partner
    assert world.alice.receive(to_alice(late), examples.source(examples.P_HOST)).status_code == 403
    assert world.alice.transaction == again


def to_alice(flow: Any) -> Any:
    return examples.message(flow, "sip:alice@198.51.100.0", examples.P_PSI.text)


def test_rule_17_a_client_corrects_what_it_concluded_itself() -> None:
    world = make_world()
    world.alice.ask(request())
    first = sent(world, "alice", REQUEST)
    world.network.deliver(first)
    world.network.time_out(first)
    world.network.now += 1.0
    world.network.end(sent(world, "alice", REQUEST), 404, "142 unable to determine")
    assert world.alice.outcomes == [("failure", "partner-unreachable")]
    world.network.run()
    world.bob.decide()
    world.network.run()
    assert world.alice.outcomes[-1] == ("success", None)


# Rules 18 and 19


def test_rule_18_parked_and_released_at_the_next_register() -> None:
    world = make_world(logged_on=("alice",))
    world.alice.ask(request())
    world.network.run_for(1800.0, 300.0)
    assert only(world.q.rows).next_attempt_at is None
    assert only(world.q.rows).attempts == 0
    world.bob.register()
    assert [a.receiver for a in world.network.send_all()] == [world.bob]


def test_rule_18_only_its_end_ends_a_parked_request() -> None:
    world = make_world(logged_on=("alice",))
    world.alice.ask(request())
    world.network.run()
    world.network.now = T0 + 3601.0
    world.alice.register()
    world.network.run()
    assert world.alice.outcomes == [("failure", "expired")]
    assert world.q.rows == []


def test_rule_18_nothing_ends_a_parked_response() -> None:
    world = make_world(q_system=examples.automatic(Handling.ACCEPT))
    world.alice.ask(request())
    sent(world, "P", REQUEST)
    world.alice.disconnect()
    world.network.run()
    world.network.now += 365 * DAY_S
    world.network.run()
    world.alice.register()
    world.network.run()
    assert world.alice.outcomes == [("success", None)]


def test_rule_18_an_expired_binding_is_not_live() -> None:
    world = make_world()
    world.bob.register(60)
    world.network.now += 60.0
    world.alice.ask(request())
    for attempt in world.alice.send():
        world.network.deliver(attempt)
    for attempt in world.p.send():
        world.network.deliver(attempt)
    assert world.q.facts.bindings_of("sip:bob@mc2.example")  # no timer has removed it yet
    assert [attempt.row.flow for attempt in world.q.send()] == [INDICATION]
    offer = only(row for row in world.q.rows if row.flow == REQUEST)
    assert offer.next_attempt_at is None


def test_rule_19_what_has_expired_is_not_offered_again() -> None:
    world = make_world()
    world.alice.ask(request())
    world.network.run()
    world.network.now = T0 + 3600.0
    world.bob.disconnect()
    world.bob.register()  # no timer has ended it yet
    assert [row.flow for row in world.q.rows] == []


def test_rule_18_a_refresh_is_no_log_on() -> None:
    world = make_world()
    world.alice.ask(request())
    world.network.run()
    world.q.receive(world.bob.registration(600), world.bob.source)
    world.network.run()
    assert len([a for a in world.network.attempts if a.receiver is world.bob]) == 1


@pytest.mark.parametrize("how", ["new connection", "started again at the same address"])
def test_rule_19_offered_again_at_log_on_and_asked_once(how: str) -> None:
    world = make_world()
    world.alice.ask(request())
    world.network.run()
    if how == "new connection":
        world.bob.disconnect()
        world.bob.register()
    else:
        again = world.bob.registration(600)
        again.headers.set("Call-ID", "after-the-restart")
        assert world.q.receive(again, world.bob.source).status_code == 200
    world.network.run()
    offers = [a for a in world.network.attempts if a.receiver is world.bob]
    assert [offer.answers[0].status_code for offer in offers] == [200, 200]
    assert len(world.bob.asked) == 1
    world.bob.decide()
    world.network.run()
    assert world.alice.outcomes == [("success", None)]
    assert world.q.transaction.state is AcmTransactionState.ANSWERED


def test_rule_19_an_answer_that_was_refused_is_given_again_when_asked_again() -> None:
    world = make_world()
    world.alice.ask(request())
    world.network.run()
    world.bob.decide()
    world.network.end(sent(world, "bob", RESPONSE), 403, "100 function not allowed")
    world.network.run()
    assert world.alice.outcomes == []
    assert world.bob.transaction.state is AcmTransactionState.REFUSED
    told = world.bob.told[-1].text
    assert told is not None
    assert told.endswith("403 100 function not allowed")
    assert world.bob.facts.tables.applied == []
    world.bob.disconnect()
    world.bob.register()
    world.network.run()
    assert world.alice.outcomes == [("success", None)]
    assert len(world.bob.asked) == 1
    assert world.bob.transaction.state is AcmTransactionState.ANSWERED
    assert len(world.bob.facts.tables.applied) == 1


def test_rule_19_a_refusal_of_the_answer_leaves_the_words_of_the_user() -> None:
    world = make_world()
    world.alice.ask(request())
    world.network.run()
    world.bob.decide("local-policy", text="not today")
    world.network.end(sent(world, "bob", RESPONSE), 403, "100 function not allowed")
    assert world.bob.transaction.text == "not today"
    world.bob.disconnect()
    world.bob.register()
    world.network.run()
    assert world.bob.transaction.text == "not today"
    assert world.alice.transaction.text == "not today"


def test_rule_19_what_is_answered_is_not_offered() -> None:
    world = make_world()
    world.alice.ask(request())
    world.network.run()
    world.bob.decide()
    world.network.run()
    world.bob.disconnect()
    world.bob.register()
    world.network.run()
    assert len([a for a in world.network.attempts if a.receiver is world.bob]) == 1


def test_rule_19_many_requests_in_order() -> None:
    world = make_world(logged_on=("alice",))
    for number in range(1, 6):
        world.alice.ask(request(number))
        world.network.run()
    world.bob.register()
    world.network.run()
    asked = [t.acm_transaction_id for t in world.bob.asked]
    assert asked == [examples.transaction_id(number) for number in range(1, 6)]


# Crash at each step (nothing lost, nothing twice)


@pytest.mark.parametrize("crash_at", range(14))
def test_crash_of_everybody_after_each_delivery_and_each_answer(crash_at: int) -> None:
    world = make_world()
    world.alice.ask(request())
    count = 0

    def crash() -> None:
        nonlocal count
        if count == crash_at:
            for entity in world.network.entities.values():
                entity.restart()
        count += 1

    def let(attempt: Attempt) -> None:
        if attempt.is_open:
            world.network.deliver(attempt)
            crash()
        if attempt.is_open:
            world.network.answer(attempt)
            crash()

    for _ in range(30):
        for attempt in world.network.send_all():
            let(attempt)
        if world.bob.transactions and not world.bob.transaction.outcome:
            world.bob.decide()
    assert count > crash_at
    assert world.alice.outcomes == [("success", None)]
    assert len(world.bob.asked) == 1
    assert len(world.q.facts.tables.applied) == 1
    assert all(entity.rows == [] for entity in world.network.entities.values())
