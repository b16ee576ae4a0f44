"""RULES 20 to 26 and 34 to 37 at the servers: refusals, answers, labels, header fields."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from acm_sip.codec import names
from acm_sip.codec.body import encode_body
from acm_sip.codec.flows import Outcome, Result
from acm_sip.procedures.effects import AnswerRequest
from acm_sip.sip.message import Request
from tests.harness.fake_records import only
from tests.harness.interworking import World, make_world
from tests.procedures import examples
from tests.procedures.examples import (
    BOB,
    DUTY,
    INDICATION,
    P_PSI,
    P_SYSTEM,
    Q_PSI,
    Q_SYSTEM,
    REQUEST,
    RESPONSE,
    request,
)
from tests.procedures.stored_flows import stored_request, stored_response


@pytest.fixture
def world() -> World:
    return make_world()


def at_p(
    world: World, *, body: bytes | None = None, uri: str = "", **changes: str
) -> AnswerRequest:
    """What P answers to the request of Alice with something else in it."""
    written = world.alice.message(request(), **changes)
    body = written.body if body is None else body
    altered = Request("MESSAGE", uri or written.request_uri, written.headers, body)
    return world.p.receive(altered, world.alice.source)


def field(answer: AnswerRequest, name: str) -> str:
    return dict(answer.headers).get(name, "")


BODY = encode_body(request())

SIP_REFUSALS: list[Any] = [
    pytest.param({"uri": "sip:acm@mc9.example"}, 404, "", "", id="rule-36-not our PSI"),
    pytest.param({"uri": "sip:other@mc1.example"}, 404, "", "", id="rule-36-another user"),
    pytest.param({"uri": "tel:+358401234567"}, 416, "", "", id="rule-36-scheme"),
    pytest.param({"Require": "100rel"}, 420, "Unsupported", "100rel", id="rule-36-Require"),
    pytest.param(
        {"Content_Type": "text/plain"}, 415, "Accept", names.MEDIA_TYPE, id="rule-36-type"
    ),
    pytest.param(
        {"Content_Encoding": "gzip"}, 415, "Accept", names.MEDIA_TYPE, id="rule-36-coding"
    ),
    pytest.param(
        {"Content_Type": "multipart/alternative;boundary=x"},
        415,
        "Accept",
        "",
        id="rule-36-multipart",
    ),
    pytest.param(
        {"body": b""}, 403, "Warning", "199 expected MIME bodies", id="rule-36-empty body"
    ),
    pytest.param(
        {"Content_Type": names.UE_INIT_CONFIG_MEDIA_TYPE},
        403,
        "Warning",
        "199 expected MIME bodies",
        id="rule-36-no ACM part",
    ),
    pytest.param({"body": b"<acm"}, 400, "Warning", "", id="not well formed"),
    pytest.param({"body": b"<!DOCTYPE a><a/>"}, 400, "Warning", "", id="a DTD"),
    pytest.param(
        {"body": BODY.replace(b"mc-service-id-list", b"mc-service-id-lost")},
        400,
        "Warning",
        "/acm-info/",
        id="envelope breaks a rule",
    ),
    pytest.param({"body": BODY + b" " * 2**20}, 413, "", "", id="body too large"),
    pytest.param(
        {"body": BODY.replace(b"<acm:mcsURI>sip:bob", b"<acm:mcsURI>sip:bob:pw", 1)},
        400,
        "Warning",
        "",
        id="rule-25-password in an identity",
    ),
    pytest.param(
        {
            "body": BODY.replace(
                b"target-mc-service-id>", b'target-mc-service-id type="Encrypted">', 1
            )
        },
        403,
        "",
        "",
        id="rule-20-encrypted",
    ),
]


@pytest.mark.parametrize(("changes", "status_code", "name", "value"), SIP_REFUSALS)
def test_refused_at_the_primary(
    world: World, changes: dict[str, Any], status_code: int, name: str, value: str
) -> None:
    answer = at_p(world, **changes)
    assert answer.status_code == status_code
    assert value in field(answer, name)
    if name:
        assert field(answer, name)
    if name != "Warning" and status_code not in {403, 413}:
        assert not field(answer, "Warning")
    assert world.p.transactions == world.p.rows == []
    log = only(world.p.logs)
    assert log.is_warning  # one log line
    assert ("status_code", str(status_code)) in log.facts


@pytest.mark.parametrize(
    ("method", "status_code"),
    [("INVITE", 405), ("SUBSCRIBE", 405), ("PUBLISH", 405), ("BREW", 501), ("message", 501)],
)
def test_rule_35_other_methods(world: World, method: str, status_code: int) -> None:
    written = world.alice.message(request())
    answer = world.p.receive(
        Request(method, written.request_uri, written.headers, written.body), world.alice.source
    )
    assert answer.status_code == status_code
    assert field(answer, "Allow") == "MESSAGE, OPTIONS, REGISTER"


@pytest.mark.parametrize("method", ["INVITE", "REGISTER", "BREW"])
def test_rule_35_other_methods_at_a_client(world: World, method: str) -> None:
    written = examples.message(examples.response(), "sip:alice@198.51.100.0:5070", P_PSI.text)
    answer = world.alice.receive(
        Request(method, written.request_uri, written.headers, written.body),
        examples.source(examples.P_HOST),
    )
    assert answer.status_code == (501 if method == "BREW" else 405)
    assert answer.reason_phrase in {"Method Not Allowed", "Not Implemented"}
    assert field(answer, "Allow") == "MESSAGE, OPTIONS"


def test_rule_35_max_forwards_0_is_accepted(world: World) -> None:
    assert at_p(world, Max_Forwards="0").status_code == 202


def test_rule_36_warning_cannot_be_broken_out_of(world: World) -> None:
    evil = BODY.replace(b"urn:uuid:", b"&quot;, 399 x &quot;&#13;&#10;\\")
    answer = at_p(world, body=evil)
    assert answer.status_code == 400
    warning = field(answer, "Warning")
    assert "\r" not in warning
    assert "\n" not in warning
    inner = warning.removeprefix('399 mc1.example "').removesuffix('"')
    assert '"' not in inner.replace("\\\\", "").replace('\\"', "")
    assert len(warning) < 1100


@pytest.mark.parametrize(
    ("flow", "sender"),
    [
        pytest.param(examples.indication(), "alice", id="a process indication from a client"),
        pytest.param(examples.indication(), "bob", id="a process indication from client B"),
        pytest.param(examples.response(), "alice", id="a response from client A"),
    ],
)
def test_a_flow_that_is_not_for_this_server(world: World, flow: Any, sender: str) -> None:
    answer = getattr(world, sender).send_flow(flow)
    assert answer.status_code == 403


# Rule 34


def test_rule_34_which_2xx() -> None:
    world = make_world()
    world.alice.ask(request())
    world.network.run()
    world.bob.decide()
    world.network.run()
    assert {step[1:] for step in world.network.steps} == {
        ("P", REQUEST, 202),
        ("Q", REQUEST, 202),
        ("P", INDICATION, 200),
        ("bob", REQUEST, 200),
        ("Q", RESPONSE, 202),
        ("P", RESPONSE, 202),
        ("alice", RESPONSE, 200),
    }
    for attempt in world.network.attempts:
        assert attempt.answers[0].headers == ()  # no Contact, no body
        assert "Contact" not in attempt.request.headers


# Rule 37 and the table "The SIP MESSAGE"


def test_rule_37_header_fields_of_every_hop() -> None:
    world = make_world()
    world.alice.ask(request())
    world.network.run()
    world.bob.decide()
    world.network.run()
    hops = {(a.sender.name, a.receiver.name, a.row.flow): a.request for a in world.network.attempts}
    contact = {
        name: f"sip:{name}@198.51.100.{n}:5070;transport=tcp"
        for n, name in enumerate(["alice", "bob"])
    }
    expected = {
        ("alice", "P", REQUEST): (P_PSI.text, "Preferred", "sip:alice@mc1.example"),
        ("P", "Q", REQUEST): (Q_PSI.text, "Asserted", P_PSI.text),
        ("Q", "P", INDICATION): (P_PSI.text, "Asserted", Q_PSI.text),
        ("Q", "bob", REQUEST): (contact["bob"], "Asserted", Q_PSI.text),
        ("bob", "Q", RESPONSE): (Q_PSI.text, "Preferred", "sip:bob@mc2.example"),
        ("Q", "P", RESPONSE): (P_PSI.text, "Asserted", Q_PSI.text),
        ("P", "alice", RESPONSE): (contact["alice"], "Asserted", P_PSI.text),
    }
    assert hops.keys() == expected.keys()
    for hop, (uri, kind, sender) in expected.items():
        written = hops[hop]
        assert written.request_uri == uri
        assert (written.from_.uri, written.to.uri, written.to.tag) == (sender, uri, None)
        assert written.from_.tag
        assert written.headers.get(f"P-{kind}-Identity") == f"<{sender}>"
        assert written.headers.get(f"P-{kind}-Service") == "urn:urn-7:3gpp-service.ims.icsi.mcptt"
        assert len(written.headers.get_all("Accept-Contact")) == 2
        assert (written.headers.get("Request-Disposition") == "no-fork") is (hop[1] in contact)
        assert (written.expires is not None) is (hop[2] == REQUEST)
        assert written.headers.get("Date")
    assert len({written.call_id for written in hops.values()}) == 7


def test_rule_39_path_of_the_registration_is_the_route_to_the_contact(world: World) -> None:
    register = world.bob.registration(600)
    register.headers.set("Supported", "path")
    path = ["<sip:edge1.example;lr>", "<sip:scscf@mc2.example:5062;lr;orig>"]
    register.headers.append("Path", ", ".join(path[:1]))
    register.headers.append("Path", path[1])
    register.headers.set("Call-ID", "through-the-edge")
    world.bob.flow = "tcp:edge:1"
    answer = world.q.receive(register, world.bob.source)
    assert [value for name, value in answer.headers if name == "Path"] == path
    world.alice.ask(request())
    world.network.run()
    to_bob = next(a for a in world.network.attempts if a.receiver is world.bob)
    assert [str(value) for value in to_bob.request.routes] == path
    assert to_bob.source.flow == "to-flow:tcp:edge:1"  # the flow stays that of the REGISTER
    assert all(
        a.request.headers.get("Route") is None
        for a in world.network.attempts
        if a.receiver is not world.bob
    )


@pytest.mark.parametrize("service", ["mcptt", "mcvideo", "mcdata"])
def test_the_service_of_the_requester_is_that_of_every_hop(service: str) -> None:
    world = make_world()
    icsi = f"urn:urn-7:3gpp-service.ims.icsi.{service}"
    assert at_p(world, P_Preferred_Service=icsi).status_code == 202
    world.network.run()
    services = [a.request.headers.get("P-Asserted-Service") for a in world.network.attempts]
    assert set(services) == {icsi}
    assert len(services) == 3


def test_rule_40_a_request_without_icsi_and_feature_tags(world: World) -> None:
    written = world.alice.message(request())
    for name in ("P-Preferred-Service", "Accept-Contact"):
        written.headers.remove(name)
    assert world.p.receive(written, world.alice.source).status_code == 202
    assert [entry.event for entry in world.p.logs] == ["no MC service named"]


def test_rule_40_a_client_cannot_assert_a_service(world: World) -> None:
    icsi = "urn:urn-7:3gpp-service.ims.icsi.mcvideo"
    assert at_p(world, P_Asserted_Service=icsi).status_code == 202
    world.network.run()
    services = [a.request.headers.get("P-Asserted-Service") for a in world.network.attempts]
    assert set(services) == {"urn:urn-7:3gpp-service.ims.icsi.mcptt"}


# Rule 38


def multipart(*parts: tuple[str, bytes]) -> tuple[dict[str, str], bytes]:
    body = b""
    for headers, octets in parts:
        body += b"--b\r\n" + headers.encode() + b"\r\n\r\n" + octets + b"\r\n"
    return {"Content_Type": "multipart/mixed;boundary=b"}, body + b"--b--\r\n"


ACM = (f"Content-Type: {names.MEDIA_TYPE}", BODY)


@pytest.mark.parametrize(
    ("parts", "status_code"),
    [
        pytest.param([ACM], 202, id="rule-38-alone"),
        pytest.param(
            [("Content-Type: application/vnd.3gpp.mcptt-info+xml", b"<x/>"), ACM],
            202,
            id="rule-38-foreign 3GPP part",
        ),
        pytest.param(
            [ACM, ("Content-Type: application/resource-lists+xml", b"<x/>")], 202, id="rule-38-list"
        ),
        pytest.param([ACM, ("Content-Type: text/plain", b"hello")], 415, id="rule-38-unknown"),
        pytest.param(
            [
                ACM,
                ("Content-Type: text/plain\r\nContent-Disposition: render;handling=optional", b"x"),
            ],
            202,
            id="rule-38-unknown and optional",
        ),
        pytest.param([ACM, ACM], 400, id="rule-38-two ACM parts"),
        pytest.param(
            [("Content-Type: application/vnd.3gpp.mcptt-info+xml", b"<x/>")], 403, id="rule-38-none"
        ),
    ],
)
def test_rule_38_parts(world: World, parts: Any, status_code: int) -> None:
    headers, body = multipart(*parts)
    assert at_p(world, body=body, **headers).status_code == status_code
    ignored = [entry.event for entry in world.p.logs if entry.event == "body parts ignored"]
    assert len(ignored) == (status_code == 202 and len(parts) > 1)


# Rules 21, 26: tables 10.17.2.13-1 and 10.17.2.14-1 at the servers

BOTH = {"target_mc_service_id": BOB, "target_functional_alias": DUTY}


def test_table_10_17_2_13_1_note_1_both_targets_the_id_decides() -> None:
    world = make_world(
        q_aliases=examples.AliasTable({DUTY: (examples.BEA,)}), logged_on=("alice", "bob", "bea")
    )
    world.alice.ask(request(**BOTH))
    world.network.run()
    assert len(world.bob.asked) == 1
    assert world.bea.asked == []
    flow = stored_request(world.bob)
    assert flow.target_functional_alias == DUTY  # carried


def test_table_10_17_2_13_1_note_1_both_targets_refused_by_setting() -> None:
    world = make_world(p_system=dataclasses.replace(P_SYSTEM, refuses_both_targets=True))
    answer = world.alice.send_flow(request(**BOTH))
    assert answer.status_code == 400
    assert "NOTE 1" in field(answer, "Warning")
    world = make_world(q_system=dataclasses.replace(Q_SYSTEM, refuses_both_targets=True))
    world.alice.ask(request(**BOTH))
    world.network.run()
    assert world.network.steps[1] == ("P", "Q", REQUEST, 400)
    assert world.alice.outcomes == [("failure", "internal-error")]


LABEL = b"<anyExt><mcServiceUELabel>Engine 7</mcServiceUELabel></anyExt></on-network>"


def labelled() -> Any:
    document = examples.document().replace(b"</on-network>", LABEL)
    return request(mc_service_ue_initial_configuration_data=document)


def test_table_10_17_2_13_1_note_2_label_blank_when_it_leaves_the_primary(world: World) -> None:
    assert world.alice.send_flow(labelled()).status_code == 202
    world.network.run()
    assert b"Engine 7" not in world.p.transaction.request
    assert all(b"Engine 7" not in attempt.row.octets for attempt in world.network.attempts)
    assert b"mcServiceUELabel" in world.bob.transaction.request
    assert not [log for log in world.q.logs if "label" in log.event]
    world.alice.send_flow(labelled())  # the repeat is one, though P stored something else
    assert len(world.p.transactions) == 1


def test_table_10_17_2_13_1_note_2_label_blanked_and_logged_at_the_partner(world: World) -> None:
    written = examples.message(labelled(), Q_PSI.text, P_PSI.text)
    assert world.q.receive(written, examples.source(examples.P_HOST)).status_code == 202
    assert b"Engine 7" not in world.q.transaction.request
    log = only(log for log in world.q.logs if "label" in log.event)
    assert log.is_warning
    assert b"Engine 7" not in world.q.rows[1].octets


def test_rule_26_nothing_else_is_touched(world: World) -> None:
    extension = b"<!-- kept --><x:y xmlns:x='urn:x'> <![CDATA[<kept>]]> </x:y>"
    body = BODY.replace(b"</acm:update", extension + b"</acm:update")
    assert at_p(world, body=body).status_code == 202
    world.network.run()
    assert world.p.transaction.request == body
    assert world.bob.transaction.request == body


def test_rule_6_elements_of_a_response(world: World) -> None:
    world.alice.ask(request())
    world.network.run()
    world.bob.decide()
    world.network.run()
    flow = stored_response(world.alice)
    assert flow.acm_transaction_id == examples.transaction_id()
    assert (flow.handling_mc_service_id, flow.target_mc_service_id) == (BOB, examples.ALICE)
    assert flow.handling_functional_alias is None


def test_rule_22_unknown_cause_is_a_failure_shown_as_it_is(world: World) -> None:
    world.alice.ask(request())
    world.network.run()
    result = Result(outcome=Outcome.FAILURE, cause="on-strike", text="no", language="fi")
    assert world.bob.send_flow(examples.response(result=result)).status_code == 202
    world.network.run()
    assert world.alice.outcomes == [("failure", "on-strike")]
    assert stored_response(world.alice).result == result


def test_rule_3_what_leaves_in_step_5_is_what_was_stored() -> None:
    world = make_world(logged_on=("alice",))
    world.alice.ask(request())
    world.network.run()
    stored = world.q.transaction.request
    world.q.configure(dataclasses.replace(Q_SYSTEM, document_mode="report"))
    world.q.restart()
    world.bob.register()
    world.network.run()
    offer = only(a for a in world.network.attempts if a.receiver is world.bob)
    assert offer.row.octets == stored == world.bob.transaction.request


@pytest.mark.parametrize("name", ["u{}", "u{}" + "&amp;" * 150])
def test_rule_9_more_unknown_users_than_a_response_can_hold(world: World, name: str) -> None:
    """A sender that writes shorter than we do can list more users than we could name."""
    start, end = BODY.split(b"<acm:mc-service-id-list>")
    end = end.partition(b"</acm:mc-service-id-list>")[2]
    short = "<mc-service-id><mcsURI>sip:{}@mc1.example</mcsURI></mc-service-id>".format
    users, size = [], 0
    while size < 2**20 - 10_000:
        users.append(short(name.format(len(users))))
        size += len(users[-1])
    listed = f'<mc-service-id-list xmlns="{names.NAMESPACE}">{"".join(users)}</mc-service-id-list>'
    assert at_p(world, body=start + listed.encode() + end).status_code == 202
    world.network.run()
    result = stored_response(world.p).result
    assert result.cause == "unknown-mc-service-id"
    assert 100 < len(result.mc_service_ids) < len(users)


# Who says it to a client


def test_a_client_listens_to_its_own_server_only(world: World) -> None:
    world.alice.ask(request())
    written = examples.message(examples.response(), "sip:alice@198.51.100.0:5070", P_PSI.text)
    assert world.alice.receive(written, examples.source(examples.OTHER_HOST)).status_code == 403
    assert world.alice.outcomes == []
    assert world.alice.receive(written, examples.source(examples.P_HOST)).status_code == 200
    assert world.alice.outcomes == [("success", None)]


@pytest.mark.parametrize(
    "flow",
    [
        pytest.param(examples.response(9), id="unknown transaction"),
        pytest.param(examples.response(target_mc_service_id=examples.EVE), id="another user"),
        pytest.param(examples.indication(), id="no flow for a client"),
    ],
)
def test_a_client_refuses_what_is_not_for_it(world: World, flow: Any) -> None:
    world.alice.ask(request())
    written = examples.message(flow, "sip:alice@198.51.100.0:5070", P_PSI.text)
    assert world.alice.receive(written, examples.source(examples.P_HOST)).status_code == 403
