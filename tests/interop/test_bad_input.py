"""What is wrong gets the one answer of the table of refusals, one log line, and hurts nobody else.

One server serves all of these tests; each ends with a request that is served.
"""

from __future__ import annotations

import json
import random
import re
import uuid
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from tests.harness.processes import free_port, wait_until
from tests.interop.lab import Lab
from tests.interop.raw_sip import RawPeer
from tests.interop.sipp import Sipp, request_body

PSI = "sip:acm@mc1.example"
ACM = "application/vnd.3gpp.mcs-acm-info+xml"
EVE = """
[[users]]
public_identity = "sip:eve@mc1.example"
mc_service_ids = ["sip:eve.mcptt@mc1.example"]
"""
NOT_AUTHORISED = '399 mc1.example "100 function not allowed due to user authorisation"'
LOCAL_POLICY = '399 mc1.example "100 function not allowed due to local policy"'
NO_BODY = '399 mc1.example "199 expected MIME bodies not in the request"'
USER_UNKNOWN = '399 mc1.example "141 user unknown to the participating function"'
PARTNER_UNKNOWN = '399 mc1.example "142 unable to determine the controlling function"'
NOT_INTERCONNECTED = '399 mc1.example "179 service not authorized with the interconnected system"'


@pytest.fixture(scope="module")
def server(tmp_path_factory, forker):
    directory = tmp_path_factory.mktemp("bad-input")
    with Lab(directory, forker, EVE, primary='[log]\nformat = "json"') as lab:
        process = lab.start("primary")
        yield lab, process


def body(**changes):
    return request_body(uuid.uuid4().urn, **changes)


@dataclass(frozen=True)
class Wrong:
    """One thing that is wrong with a request, and its answer.

    :param fields: expected header fields of the answer, each a regular expression; None: absent.
    :param closes: over TCP the connection is closed after the answer.
    """

    name: str
    status_code: int
    make: object
    fields: dict[str, str | None] | None = None
    user: str | None = "alice"
    closes: bool = False
    transports: tuple[str, ...] = ("UDP", "TCP")
    host: str = "127.0.0.1"
    is_logged: bool = True

    def __str__(self) -> str:
        return self.name


def message(content=None, *fields, uri=PSI, **options):
    def make(peer):
        octets = body() if content is None else content() if callable(content) else content
        return peer.request("MESSAGE", uri, octets, *fields, **options)

    return make


def method(name, **options):
    return lambda peer: peer.request(name, PSI, **options)


def asserted(identity, **changes):
    return message(lambda: body(**changes), f"P-Asserted-Identity: <{identity}>")


def quoted(text):
    return re.escape(text)


WRONG = [
    Wrong("no body", 403, message(b""), {"warning": quoted(NO_BODY)}),
    Wrong(
        "text/plain",
        415,
        message("hello", content_type="text/plain"),
        {"accept": f".*{quoted(ACM)}.*", "warning": None},
    ),
    Wrong(
        "a body that is compressed",
        415,
        message(None, "Content-Encoding: gzip"),
        {"accept": f".*{quoted(ACM)}.*", "warning": None},
    ),
    Wrong(
        "a body without type",
        400,
        message(None, without=("Content-Type",)),
        {"warning": ".*Content-Type.*"},
    ),
    Wrong("broken XML", 400, message("<acm-info"), {"warning": '399 mc1.example ".+"'}),
    Wrong(
        "XML with a DTD",
        400,
        message(lambda: body().replace("?>", "?><!DOCTYPE x [<!ENTITY e 'x'>]>", 1)),
        {"warning": '399 mc1.example ".*(DTD|DOCTYPE|document type).*"'},
    ),
    Wrong(
        "an element too much",
        400,
        message(lambda: body().replace("</a:mc-service-id-list>", "</a:mc-service-id-list><a:x/>")),
        {"warning": '399 mc1.example "/acm-info.*"'},
    ),
    Wrong(
        "a user listed twice",
        400,
        message(lambda: body(users=("sip:carol@mc1.example", "sip:carol@MC1.example"))),
        {"warning": '399 mc1.example ".*mc-service-id-list.*"'},
    ),
    Wrong(
        "a UE initial configuration that breaks a rule",
        400,
        message(lambda: body().replace("<name xml:lang", "<nonsense/><name xml:lang")),
        {"warning": '399 mc1.example ".+"'},
    ),
    Wrong(
        "a user who may not",
        403,
        message(lambda: body(requester="sip:eve.mcptt@mc1.example"), user="eve"),
        {"warning": quoted(NOT_AUTHORISED)},
        user="eve",
    ),
    Wrong(
        "a user in the name of another",
        403,
        message(None, user="eve"),
        {"warning": quoted(NOT_AUTHORISED)},
        user="eve",
    ),
    Wrong(
        "an unknown partner",
        404,
        message(lambda: body(target="sip:bob@nowhere.example")),
        {"warning": quoted(PARTNER_UNKNOWN)},
    ),
    Wrong(
        "a target of the own system",
        403,
        message(lambda: body(target="sip:bob@mc1.example")),
        {"warning": ".*requesting MC system.*"},
    ),
    Wrong(
        "a user of a foreign system in the list",
        403,
        message(lambda: body(users=("sip:carol@mc1.example", "sip:bob@mc2.example"))),
        {"warning": quoted(LOCAL_POLICY)},
    ),
    Wrong("nobody registered here", 404, message(), {"warning": quoted(USER_UNKNOWN)}, user=None),
    Wrong(
        "the identity of a partner from elsewhere",
        403,
        asserted("sip:acm@mc2.example"),
        {"warning": quoted(NOT_INTERCONNECTED)},
        user=None,
        host="127.0.0.2",
    ),
    Wrong(
        "a system that is no partner",
        403,
        asserted("sip:acm@mc3.example"),
        {"warning": quoted(NOT_INTERCONNECTED)},
        user=None,
    ),
    Wrong(
        "a partner that asks for our users",
        403,
        asserted("sip:acm@mc2.example"),
        {"warning": quoted(NOT_INTERCONNECTED)},
        user=None,
    ),
    Wrong(
        "a body too large",
        413,
        message("x" * 1_200_000),
        transports=("TCP",),
    ),
    Wrong("INVITE", 405, method("INVITE"), {"allow": "MESSAGE, OPTIONS, REGISTER"}),
    Wrong("SUBSCRIBE", 405, method("SUBSCRIBE"), {"allow": "MESSAGE, OPTIONS, REGISTER"}),
    Wrong("an unknown method", 501, method("FROBNICATE")),
    Wrong("CANCEL of nothing", 481, method("CANCEL"), is_logged=False),
    Wrong("another's Request-URI", 404, message(None, uri="sip:acm@mc2.example")),
    Wrong("a user's Request-URI", 404, message(None, uri="sip:alice@mc1.example")),
    Wrong("a tel Request-URI", 416, message(None, uri="tel:+4912345")),
    Wrong("Require: foo", 420, message(None, "Require: foo"), {"unsupported": "foo"}),
    Wrong("SIP/3.0", 505, message(None, version="SIP/3.0")),
    Wrong("no Call-ID", 400, message(None, without=("Call-ID",))),
    Wrong("a CSeq of another method", 400, message(None, "CSeq: 7 INVITE", without=("CSeq",))),
    Wrong("Max-Forwards: x", 400, message(None, "Max-Forwards: x", without=("Max-Forwards",))),
    *(
        Wrong(f"Content-Length: {value}", 400, message(content_length=value), closes=True)
        for value in ("+10", "-1", "1_0", "0x10", "10, 10", "4294967306", "18446744073709551617")
    ),
    Wrong("Content-Length twice", 400, message(None, "l: 3"), closes=True),
    Wrong("Content-Length too long", 400, message(content_length="9999"), transports=("UDP",)),
    Wrong(
        "no Content-Length in a stream",
        400,
        message(None, without=("Content-Length",)),
        closes=True,
        transports=("TCP",),
    ),
    Wrong(
        "a bare line feed",
        400,
        lambda peer: message()(peer).replace(b": 70\r\n", b": 70\n"),
        closes=True,
    ),
    Wrong(
        "a header section without end",
        513,
        lambda peer: message(b"", f"X: {'x' * 70_000}")(peer)[:66_000],
        closes=True,
        transports=("TCP",),
    ),
]
CASES = [
    pytest.param(wrong, transport, id=f"{wrong}-{transport}")
    for wrong in WRONG
    for transport in wrong.transports
]


def refusals(process):
    """Return the log lines that tell of a refusal."""
    lines = [json.loads(line) for line in process.lines if line.startswith("{")]
    return [line for line in lines if line["event"] in {"request refused", "malformed message"}]


@pytest.mark.parametrize(("wrong", "transport"), CASES)
def test_one_answer_one_log_line_and_the_server_serves_on(server, wrong, transport):
    lab, process = server
    with RawPeer(transport, lab.primary_port, host=wrong.host) as peer:
        if wrong.user is not None:
            peer.register(wrong.user)
        logged = len(refusals(process))
        answer = peer.ask(wrong.make(peer))
        assert answer.status_code == wrong.status_code, answer
        for name, pattern in (wrong.fields or {}).items():
            value = answer.field(name)
            assert (value is None) is (pattern is None), answer
            assert pattern is None or re.fullmatch(pattern, value), value
        assert answer.field("contact") is None
        if transport == "TCP" and wrong.closes:
            assert peer.is_closed_by_peer()
        else:
            peer.assert_silent()
    if wrong.is_logged:
        wait_until(lambda: refusals(process)[logged:], what="a log line")
    with RawPeer(transport, lab.primary_port) as good:
        good.register()
        assert good.ask(message()(good)).status_code == 202
    lines = refusals(process)[logged:]
    assert [str(line["status_code"]) for line in lines] == [str(wrong.status_code)][
        : wrong.is_logged
    ]


@pytest.mark.parametrize("transport", ["UDP", "TCP"])
@pytest.mark.parametrize(
    "octets",
    [
        b"SIP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx\r\nFrom: <sip:a@b>;tag=1\r\n"
        b"To: <sip:c@d>;tag=2\r\nCall-ID: 1\r\nCSeq: 1 MESSAGE\r\nContent-Length: 0\r\n\r\n",
        b"\r\n\r\n",
    ],
    ids=["a malformed response", "a response to nothing", "a keep-alive"],
)
def test_some_things_are_never_answered_by_a_message(server, transport, octets):
    lab, _ = server
    with RawPeer(transport, lab.primary_port) as peer:
        peer.send(octets)
        if transport == "TCP" and octets == b"\r\n\r\n":
            assert peer.socket.recv(2) == b"\r\n"  # RFC 5626 4.4.1
        peer.assert_silent()


@pytest.mark.parametrize("transport", ["UDP", "TCP"])
def test_the_acknowledgement_of_a_refused_invite_is_ignored(server, transport):
    lab, _ = server
    with RawPeer(transport, lab.primary_port) as peer:
        invite = peer.request("INVITE", PSI)
        assert peer.ask(invite).status_code == 405
        peer.send(invite.replace(b"INVITE", b"ACK"))
        peer.assert_silent()


def test_a_broken_sipp_gets_the_answers_of_the_table(server, tmp_path):
    lab, _ = server
    with Sipp(
        tmp_path,
        "broken_client_a",
        "TCP",
        local_port=free_port(),
        remote_port=lab.primary_port,
        request=body(),
    ) as sipp:
        assert sipp.process.wait() == 0
        answers = [(m.start_line[8:11], m.field("Warning")) for m in sipp.received("SIP/2.0")]
        assert [status for status, _ in answers] == [
            "404",
            "200",
            "403",
            "415",
            "400",
            "400",
            "202",
        ]
        warnings = [warning for _, warning in answers]
        assert warnings[0] == USER_UNKNOWN
        assert warnings[2] == NO_BODY
        assert warnings[3] is None
        assert all(warning.startswith('399 mc1.example "') for warning in warnings[4:6])


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("transport", ["UDP", "TCP"])
def test_garbage_hurts_nobody(server, transport, seed):
    """Messages with octets changed, cut out, doubled; between them a good user is served."""
    lab, process = server
    chance = random.Random(seed)
    with RawPeer(transport, lab.primary_port) as good:
        good.register()
        for _ in range(40):
            with RawPeer(transport, lab.primary_port) as bad:
                octets = bytearray(message()(bad))
                for _ in range(chance.randint(1, 6)):
                    at = chance.randrange(len(octets) if chance.random() < 0.3 else 500)
                    match chance.randrange(4):
                        case 0:
                            octets[at] = chance.randrange(256)
                        case 1:
                            del octets[at : at + chance.randint(1, 40)]
                        case 2:
                            octets[at:at] = octets[at : at + chance.randint(1, 40)]
                        case _:
                            octets[at:at] = chance.choice([b"\r\n", b"\0", b"\r\n\r\n", b"\xff"])
                bad.send(bytes(octets))
        assert good.ask(message()(good)).status_code == 202
    faults = ("Traceback", "decision failed", "batch failed")
    assert not [line for line in process.lines if any(word in line for word in faults)]


def test_answers_that_nobody_waits_for_are_not_repeated_to_the_next_user(server):
    """A connection is gone before its answer: the next one gets its own answers only."""
    lab, _ = server
    for _ in range(20):
        with RawPeer("TCP", lab.primary_port) as hasty:
            hasty.send(message()(hasty))
    with RawPeer("TCP", lab.primary_port) as good:
        good.register()
        assert good.ask(message()(good)).status_code == 202
        good.assert_silent()


def test_a_slow_peer_does_not_slow_the_others(server):
    """Thirty peers are in the middle of a message, and one of them never reads."""
    lab, _ = server
    with ExitStack() as slow:
        for _ in range(30):
            peer = slow.enter_context(RawPeer("TCP", lab.primary_port))
            peer.send(message()(peer)[:-100])
        deaf = slow.enter_context(RawPeer("TCP", lab.primary_port, receive_buffer=4096))
        for _ in range(300):
            deaf.send(deaf.request("OPTIONS", PSI))
        with RawPeer("TCP", lab.primary_port) as good:
            good.register()
            for _ in range(20):
                assert good.ask(message()(good)).status_code == 202


@pytest.mark.parametrize("transport", ["UDP", "TCP"])
def test_a_repeat_gets_the_same_answer_and_has_no_second_effect(server, transport):
    """The same branch, and then the same flow in a new transaction."""
    lab, _ = server
    content = body()
    with RawPeer(transport, lab.primary_port) as peer:
        peer.register()
        before = len(lab.transactions("primary"))
        octets = peer.request("MESSAGE", PSI, content)
        answers = [peer.ask(octets), peer.ask(octets)]
        answers.append(peer.ask(peer.request("MESSAGE", PSI, content)))
        assert [answer.status_code for answer in answers] == [202, 202, 202]
        assert answers[0] == answers[1]
        other = content.replace("Fire brigade", "Police")
        assert peer.ask(peer.request("MESSAGE", PSI, other)).status_code == 403
    assert len(lab.transactions("primary")) == before + 1
