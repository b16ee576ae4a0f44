"""The picture as data: who is who, which step, what was answered, what is wrong."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acm_sip.capture import ladder as ladder_module
from acm_sip.capture.ladder import Arrow, Ladder, LadderBuilder, build_ladder
from acm_sip.capture.ladder_text import draw, draw_ladder
from acm_sip.capture.reading import CapturedMessage

from .conversation import (
    A_TO_P,
    ACCEPTED,
    ASKED,
    B_TO_Q,
    INDICATED,
    MEDIA_TYPE,
    P_TO_Q,
    Q_TO_P,
    REJECTED,
    REQUEST,
    RESPONSE,
    A,
    B,
    Conversation,
    P,
    Q,
    accepted_by_a_user,
    body,
    request,
    response,
)

FIGURE = """\
            alice@mc1.example      acm@mc1.example       acm@mc2.example       bob@mc2.example
            primary ACM client    primary ACM server    partner ACM server    partner ACM client
             127.0.0.1:40001        127.0.0.1:5081        127.0.0.1:5082       127.0.0.1:40004
                                   and 1 more port       and 1 more port
                     |                     |                     |                     |
   0.000             | 1. update-mc-service-ue-initial-configuration-request           |
                     |-------------------->|                     |                     |
   0.010             |<... 202 Accepted ...|                     |                     |
   0.020             |                     | 3. update-mc-service-ue-initial-configuration-request
                     |                     |-------------------->|                     |
   0.030             |                     |<... 202 Accepted ...|                     |
   0.040             |                     | 4. process-indication                     |
                     |                     |<--------------------|                     |
   0.050             |                     |....... 200 OK .....>|                     |
   0.060             |                     |   5. update-mc-service-ue-initial-configuration-request
                     |                     |                     |-------------------->|
   0.070             |                     |                     |<...... 200 OK ......|
   0.080             |               7. update-mc-service-ue-initial-configuration-response: success
                     |                     |                     |<--------------------|
   0.090             |                     |                     |.... 202 Accepted ..>|
   0.100             |               8. update-mc-service-ue-initial-configuration-response: success
                     |                     |<--------------------|                     |
   0.110             |                     |.... 202 Accepted ..>|                     |
   0.120             | 10. update-mc-service-ue-initial-configuration-response: success|
                     |<--------------------|                     |                     |
   0.130             |....... 200 OK .....>|                     |                     |
                     |                     |                     |                     |
not drawn: 2 REGISTER (2 x 200)
"""


def steps(ladder: Ladder) -> list[str]:
    return [arrow.step for arrow in ladder.arrows]


def names_of(ladder: Ladder) -> list[str]:
    return [entity.name for entity in ladder.entities]


def one_arrow(*octets: bytes) -> Arrow:
    talk = Conversation()
    for one in octets:
        talk.say(A_TO_P, P, one)
    (arrow,) = build_ladder(talk.messages).arrows
    return arrow


def test_the_figure_of_the_standard():
    assert draw(accepted_by_a_user()) == FIGURE


def test_steps_of_10_17_6_2_accepted_by_a_user():
    ladder = build_ladder(accepted_by_a_user())
    assert steps(ladder) == ["1", "3", "4", "5", "7", "8", "10"]
    assert [entity.role for entity in ladder.entities] == ["client", "server", "server", "client"]
    assert [entity.system for entity in ladder.entities] == ["primary"] * 2 + ["partner"] * 2
    assert [arrow.answer.status_code for arrow in ladder.arrows] == [
        202, 202, 200, 200, 202, 202, 200,
    ]  # fmt: skip
    assert ladder.arrows[-1].outcome == "success"
    assert all(arrow.note == "" for arrow in ladder.arrows)


def test_steps_of_10_17_6_2_handled_automatically_and_rejected():
    talk = Conversation()
    talk.exchange(A_TO_P, P, request(A, P, ASKED, "1"))
    talk.exchange(P_TO_Q, Q, request(P, Q, ASKED, "3"))
    talk.exchange(Q_TO_P, P, request(Q, P, INDICATED, "4"), "200 OK")
    talk.exchange(Q_TO_P, P, request(Q, P, REJECTED, "8"))
    talk.exchange(P, A_TO_P, request(P, A, REJECTED, "10"), "200 OK")
    ladder = build_ladder(talk.messages)
    assert steps(ladder) == ["1", "3", "4", "8", "10"]
    assert ladder.arrows[-1].outcome == "failure rejected-by-user"


def test_steps_of_10_17_6_2_requester_not_authorized():
    talk = Conversation()
    talk.exchange(A_TO_P, P, request(A, P, ASKED, "1"), "403 Forbidden")
    ladder = build_ladder(talk.messages)
    assert steps(ladder) == ["1"]
    assert ladder.arrows[0].answer.reason_phrase == "Forbidden"


def test_a_client_that_never_answers_is_told_by_the_path():
    """Kept at B: nothing but the request came there, and no REGISTER is in the capture."""
    talk = Conversation()
    talk.exchange(P_TO_Q, Q, request(P, Q, ASKED, "3"))
    talk.exchange(Q, B_TO_Q, request(Q, B, ASKED, "5"), "200 OK")
    assert steps(build_ladder(talk.messages)) == ["3", "5"]


def test_a_client_addressed_by_its_contact_is_a_client():
    talk = Conversation()
    contact = "sip:bob@127.0.0.1:40004;transport=tcp"
    talk.exchange(Q, B_TO_Q, request(Q, B, ASKED, "5", request_uri=contact), "200 OK")
    assert steps(build_ladder(talk.messages)) == ["5"]


def test_what_cannot_be_told_has_no_step():
    talk = Conversation()
    anonymous = request(A, P, ASKED, "1").replace(b"P-Preferred-Identity", b"X-Nothing")
    talk.exchange(A_TO_P, P, anonymous)
    assert steps(build_ladder(talk.messages)) == [""]


def test_given_names_join_ports_and_win():
    given = {"127.0.0.1:5081": "server P", "127.0.0.1:40002": "server P", "127.0.0.1:5082": "Q"}
    ladder = build_ladder(accepted_by_a_user(), given)
    assert names_of(ladder) == ["alice@mc1.example", "server P", "Q", "bob@mc2.example"]


def test_a_client_that_connects_again_stays_one_entity():
    talk = Conversation()
    for port in (41000, 42000):
        fresh = request(("127.0.0.1", 5071), P, ASKED, f"{port}")
        octets = fresh.replace(b"127.0.0.1:5071", b"alice.invalid")
        talk.exchange(("127.0.0.1", port), P, octets)
    ladder = build_ladder(talk.messages)
    assert names_of(ladder) == ["alice@mc1.example", "acm@mc1.example"]
    assert len(ladder.entities[0].endpoints) == 2


def test_clients_stand_beside_their_server():
    talk = Conversation()
    talk.messages = accepted_by_a_user()
    other = request(A, P, ASKED, "other").replace(b"alice@", b"carol@").replace(b":5071", b":5079")
    talk.exchange(("127.0.0.1", 45000), P, other)
    names = names_of(build_ladder(talk.messages))
    assert names[:2] == ["alice@mc1.example", "carol@mc1.example"]
    assert names[2:] == ["acm@mc1.example", "acm@mc2.example", "bob@mc2.example"]


def test_log_on_is_folded_unless_asked_for():
    messages = accepted_by_a_user()
    folded = build_ladder(messages).folded
    assert [(one.method, one.count, one.answers) for one in folded] == [
        ("REGISTER", 2, ((200, 2),))
    ]
    everything = build_ladder(messages, fold=())
    assert [arrow.label for arrow in everything.arrows[:2]] == ["REGISTER", "REGISTER"]
    assert everything.folded == ()
    assert steps(everything)[2:] == ["1", "3", "4", "5", "7", "8", "10"]


def test_retransmissions_are_counted_and_not_drawn_again():
    asked = request(A, P, ASKED, "1", transport="UDP")
    talk = Conversation()
    for _ in range(3):
        talk.say(A, P, asked)
    for status in ("100 Trying", "202 Accepted", "202 Accepted"):
        talk.say(P, A, response(asked, status))
    (arrow,) = build_ladder(talk.messages).arrows
    assert (arrow.times, arrow.answer.times, arrow.answer.status_code) == (3, 2, 202)
    assert arrow.answer.at_s == pytest.approx(0.04)
    picture = draw(talk.messages)
    assert "(sent 3 times)" in picture
    assert "202 Accepted (x2)" in picture


def test_the_same_branch_with_other_content_is_an_arrow_of_its_own():
    talk = Conversation()
    talk.say(A_TO_P, P, request(A, P, ASKED, "1"))
    talk.say(A_TO_P, P, request(A, P, ACCEPTED, "1"))
    assert len(build_ladder(talk.messages).arrows) == 2


def test_no_final_answer_is_said():
    asked = request(A, P, ASKED, "1")
    talk = Conversation()
    talk.say(A_TO_P, P, asked)
    talk.say(P, A_TO_P, response(asked, "100 Trying"))
    assert build_ladder(talk.messages).arrows[0].answer is None
    assert "(no final answer)" in draw(talk.messages)


def test_an_answer_without_its_request_is_drawn_alone():
    talk = Conversation()
    talk.say(P, A_TO_P, response(request(A, P, ASKED, "1")))
    (arrow,) = build_ladder(talk.messages).arrows
    assert (arrow.method, arrow.label) == ("", "202 Accepted (to a request not captured)")
    assert "not captured" in draw(talk.messages)


@pytest.mark.parametrize(
    ("content", "label", "note"),
    [
        (b"plain words", "?", "not an XML document"),
        (b"", "?", "199 expected MIME bodies not in the request"),
        (b"<other/>", "?", "other"),
        (body("unknown-flow"), "unknown-flow", "unknown-flow"),
        (body(REQUEST), REQUEST, "requesting-mc-service-id"),
        (body(RESPONSE, "<result/>"), RESPONSE, "handling-mc-service-id"),
        (ASKED.replace(b"00101", b"x"), REQUEST, "PLMN"),
        (b'<!DOCTYPE x [<!ENTITY e "e">]>' + ASKED, "?", "document type"),
    ],
)
def test_a_body_fault_is_a_note_and_the_arrow_stays(content, label, note):
    arrow = one_arrow(request(A, P, content, "1"))
    assert arrow.label == label
    assert note in arrow.note


def test_a_multipart_body_is_named_by_its_acm_part():
    parts = (
        b"--x\r\nContent-Type: application/vnd.3gpp.x\r\n\r\nhello\r\n"
        b"--x\r\nContent-Type: %s\r\n\r\n%s\r\n--x--"
    )
    octets = request(
        A, P, parts % (MEDIA_TYPE.encode(), ASKED), "1", content_type="multipart/mixed;boundary=x"
    )
    arrow = one_arrow(octets)
    assert (arrow.label, arrow.note) == (REQUEST, "")


@pytest.mark.parametrize(
    ("before", "after", "label"),
    [
        (b"CSeq: 1 MESSAGE", b"CSeq: x", REQUEST),
        (b"Via: ", b"X-Via: ", REQUEST),
        (b"Content-Type: " + MEDIA_TYPE.encode(), b"Content-Type: broken", "MESSAGE"),
        (b"Content-Type: " + MEDIA_TYPE.encode(), b"Content-Type: multipart/mixed", "?"),
        (b"From: <", b"From: <<", REQUEST),
        (b" SIP/2.0\r\n", b"\r\n", "?"),
    ],
)
def test_a_fault_of_the_sip_message_is_a_note_and_the_arrow_stays(before, after, label):
    arrow = one_arrow(request(A, P, ASKED, "1").replace(before, after, 1))
    assert arrow.label == label
    assert arrow.note


def test_other_messages_are_named_by_method_and_content():
    arrow = one_arrow(request(A, P, b"hello", "1", content_type="text/plain"))
    assert (arrow.label, arrow.step, arrow.note) == ("MESSAGE text/plain", "", "")


def test_a_message_cut_by_the_capture_says_so():
    octets = request(A, P, ASKED, "1")[:300]
    cut = CapturedMessage(1, 0.0, "UDP", A, P, octets, is_cut=True)
    assert "only the beginning" in build_ladder([cut]).arrows[0].note


def test_text_from_the_wire_is_harmless_on_a_terminal():
    hostile = request(A, P, ASKED, "1").replace(b"alice@mc1", b"al\x1b[31mice\xe2\x80\xae@mc1")
    talk = Conversation()
    talk.exchange(A_TO_P, P, hostile, "200 \x1b]0;owned\x07")
    picture = draw(talk.messages)
    assert all(character.isprintable() or character == "\n" for character in picture)


def test_the_picture_fits_100_columns_and_grows_for_many_entities():
    assert max(map(len, FIGURE.splitlines())) <= 100
    talk = Conversation()
    for index in range(12):
        octets = request(A, P, b"x", f"{index}", content_type="text/plain")
        octets = octets.replace(b"alice", b"user%d" % index).replace(
            b":5071", b":%d" % (6000 + index)
        )
        talk.exchange(("127.0.0.1", 50_000 + index), P, octets)
    lines = draw(talk.messages).splitlines()
    assert len({len(line) <= 10 + 18 * 13 for line in lines}) == 1
    assert len(build_ladder(talk.messages).entities) == 13


def test_a_message_to_oneself_is_drawn():
    talk = Conversation()
    talk.exchange(P, P, request(P, P, b"x", "1", content_type="text/plain"), "482 Loop Detected")
    assert "482 Loop Detected" in draw(talk.messages)


def test_what_stands_before_a_fault_is_drawn():
    builder = LadderBuilder()
    for message in accepted_by_a_user()[:6]:
        builder.add(message)
    assert steps(builder.finish()) == ["1"]


def test_nothing_to_draw():
    assert draw([]) == "no SIP request to draw\n"


def test_arrows_are_bounded(monkeypatch):
    monkeypatch.setattr(ladder_module, "MAX_ARROWS", 3)
    ladder = build_ladder(accepted_by_a_user())
    assert len(ladder.arrows) == 3
    assert ladder.undrawn > 0
    assert f"not drawn: {ladder.undrawn} more messages" in draw_ladder(ladder)


@given(st.integers(0, 17), st.integers(0, 2_000), st.binary(max_size=20), st.integers(0, 20))
def test_no_damage_to_a_message_breaks_the_picture(index, place, patch, removed):
    messages = accepted_by_a_user()
    one = messages[index]
    octets = one.octets[:place] + patch + one.octets[place + removed :]
    messages[index] = CapturedMessage(index + 1, one.at, "TCP", one.source, one.destination, octets)
    assert draw(messages).endswith("\n")
