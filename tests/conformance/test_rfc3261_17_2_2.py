"""RFC 3261 17.2.2 to 17.2.4, 9.2: one row of the state table, one case; then the full product."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from acm_sip.errors import LocalProtocolError
from acm_sip.sip.message import Request
from acm_sip.sip.routing import Flow, ResponseTarget
from acm_sip.sip.timers import TimerValues
from acm_sip.sip.transaction.key import ServerTransactionKey, server_key
from acm_sip.sip.transaction.layer import TransactionLayer
from acm_sip.sip.transaction.non_invite_server import NonInviteServerTransaction, ServerState
from acm_sip.sip.transaction.outputs import (
    Discard,
    PassRequest,
    ReportTransportError,
    SendResponse,
)
from tests.harness.transactions import CLIENT, make_flow, make_request, make_response

UDP = make_flow()
TCP = make_flow("TCP")
ABSORBED = [Discard("retransmitted request absorbed")]


def receive(flow: Flow = UDP) -> tuple[TransactionLayer, Request, ServerTransactionKey]:
    layer = TransactionLayer()
    request = make_request(transport=flow.transport)
    key = server_key(request)
    assert layer.receive_request(request, flow, 0.0) == [PassRequest(key, request, flow)]
    return layer, request, key


def test_new_request_is_passed_to_the_user() -> None:
    layer, _, _ = receive()
    assert (layer.active, len(layer)) == (1, 1)


def test_trying_request_is_absorbed() -> None:
    layer, _, _ = receive()
    for now in (0.5, 1.5):
        assert layer.receive_request(make_request(), UDP, now) == ABSORBED


def test_trying_provisional_is_sent() -> None:
    layer, request, key = receive(TCP)
    response = make_response(request, 100)
    (sent,) = layer.respond(key, response, 0.1)
    assert isinstance(sent, SendResponse)
    assert sent.octets == response.encode()
    assert layer.active == 1


@pytest.mark.parametrize("status_code", [200, 202, 302, 404, 503, 699])
def test_trying_final_is_sent_to_the_source(status_code: int) -> None:
    layer, request, key = receive()
    response = make_response(request, status_code)
    sent = SendResponse(response.encode(), UDP, ResponseTarget(CLIENT), key)
    assert layer.respond(key, response, 0.1) == [sent]
    assert (layer.active, len(layer)) == (0, 1)


def test_proceeding_request_gets_the_latest_provisional_again() -> None:
    layer, request, key = receive(TCP)
    layer.respond(key, make_response(request, 100), 0.1)
    latest = make_response(request, 100)
    latest.headers.append("X-Order", "2")
    layer.respond(key, latest, 0.2)
    (sent,) = layer.receive_request(make_request(transport="TCP"), TCP, 0.5)
    assert isinstance(sent, SendResponse)
    assert sent.octets == latest.encode()


def test_proceeding_final_is_sent() -> None:
    layer, request, key = receive(TCP)
    layer.respond(key, make_response(request, 100), 0.1)
    final = make_response(request)
    (sent,) = layer.respond(key, final, 0.2)
    assert isinstance(sent, SendResponse)
    assert sent.octets == final.encode()


def test_completed_request_gets_the_final_response_again_until_timer_j() -> None:
    layer, request, key = receive()
    (sent,) = layer.respond(key, make_response(request), 1.0)
    for now in (1.5, 3.5, 32.5):
        assert layer.handle_timers(now) == []
        assert layer.receive_request(make_request(), UDP, now) == [sent]
    assert layer.next_timer_at == 33.0  # Timer J = 64*T1
    assert layer.handle_timers(33.0) == []
    assert (len(layer), layer.next_timer_at) == (0, None)


def test_completed_on_a_reliable_transport_ends_at_once() -> None:
    layer, request, key = receive(TCP)
    layer.respond(key, make_response(request), 1.0)
    assert (len(layer), layer.next_timer_at) == (0, None)  # Timer J = 0


def test_completed_another_final_response_is_discarded() -> None:
    layer, request, key = receive()
    (sent,) = layer.respond(key, make_response(request), 1.0)
    assert layer.respond(key, make_response(request, 500), 1.1) == [
        Discard("response after the final one")
    ]
    assert layer.receive_request(make_request(), UDP, 1.5) == [sent]
    assert layer.next_timer_at == 33.0


def test_a_response_to_nothing_is_discarded() -> None:
    layer = TransactionLayer()
    request = make_request()
    assert layer.respond(server_key(request), make_response(request), 0.0) == [
        Discard("response without a transaction")
    ]


@pytest.mark.parametrize("is_answered", [False, True], ids=["Trying", "Completed"])
def test_17_2_4_transport_error_is_reported_and_ends(is_answered: bool) -> None:
    layer, request, key = receive()
    if is_answered:
        layer.respond(key, make_response(request), 0.1)
    assert layer.response_send_failed(key, "no route", 0.2) == [
        ReportTransportError(key, "no route")
    ]
    assert (len(layer), layer.active, layer.next_timer_at) == (0, 0, None)
    assert layer.response_send_failed(key, "no route", 0.2) == [
        Discard("failed response without a transaction")
    ]


def test_18_2_2_a_broken_connection_leaves_the_server_transaction() -> None:
    layer, request, key = receive(TCP)
    assert layer.transport_failed(TCP, "reset", 0.1) == []
    (sent,) = layer.respond(key, make_response(request), 0.2)
    assert isinstance(sent, SendResponse)
    assert sent.target == ResponseTarget(CLIENT, 1, CLIENT)


@pytest.mark.parametrize(
    ("other", "is_same"),
    [
        pytest.param(make_request(), True, id="17.2.3 all equal"),
        pytest.param(make_request("Z9hG4bK-1"), True, id="7.3.1 case of a token"),
        pytest.param(make_request(cseq=2, call_id="2"), True, id="17.2.3 nothing else counts"),
        pytest.param(make_request("z9hG4bK-2"), False, id="17.2.3 branch"),
        pytest.param(make_request(sent_by="192.0.2.1:5071"), False, id="17.2.3 sent-by port"),
        pytest.param(make_request(sent_by="192.0.2.9:5070"), False, id="17.2.3 sent-by host"),
        pytest.param(make_request(method="OPTIONS"), False, id="17.2.3 method"),
    ],
)
def test_17_2_3_matching(other: Request, is_same: bool) -> None:
    layer, _, _ = receive()
    outputs = layer.receive_request(other, UDP, 0.1)
    assert (outputs == ABSORBED) is is_same
    assert isinstance(outputs[0], PassRequest) is not is_same


def test_17_2_3_an_absent_sent_by_port_is_the_default_one() -> None:
    assert server_key(make_request(sent_by="a.example")) == server_key(
        make_request(sent_by="A.example:5060")
    )


@pytest.mark.parametrize("branch", [None, "1", "z9hG4bK"], ids=["none", "no cookie", "cookie only"])
@pytest.mark.parametrize(
    ("changed", "is_same"),
    [
        pytest.param({}, True, id="all equal"),
        pytest.param({"request_uri": "sip:b@mc2.example"}, False, id="Request-URI"),
        pytest.param({"from_tag": "b"}, False, id="From tag"),
        pytest.param({"call_id": "2@192.0.2.1"}, False, id="Call-ID"),
        pytest.param({"cseq": 2}, False, id="CSeq number"),
        pytest.param({"method": "OPTIONS"}, False, id="CSeq method"),
        pytest.param({"sent_by": "192.0.2.1:5071"}, False, id="top Via"),
    ],
)
def test_17_2_3_matching_without_the_magic_cookie(
    changed: dict[str, str], is_same: bool, branch: str | None
) -> None:
    first = server_key(make_request(branch))
    assert (server_key(make_request(branch, **changed)) == first) is is_same  # type: ignore[arg-type]


def test_9_2_cancel_of_a_known_message_has_no_effect() -> None:
    layer, request, key = receive()
    cancel = make_request(method="CANCEL")
    (sent,) = layer.receive_request(cancel, UDP, 0.1)
    assert isinstance(sent, SendResponse)
    assert sent.octets.startswith(b"SIP/2.0 200 ")
    assert layer.receive_request(make_request(method="CANCEL"), UDP, 0.5) == [sent]
    (answer,) = layer.respond(key, make_response(request), 0.6)
    assert isinstance(answer, SendResponse)


def test_9_2_the_answer_to_cancel_has_the_tag_of_the_request() -> None:
    layer, request, _ = receive()
    (sent,) = layer.receive_request(make_request(method="CANCEL"), UDP, 0.1)
    assert isinstance(sent, SendResponse)
    assert f";tag={layer.to_tag(request)}\r\n".encode() in sent.octets


def test_9_2_cancel_of_an_unknown_request_gets_481() -> None:
    layer = TransactionLayer()
    (sent,) = layer.receive_request(make_request(method="CANCEL"), UDP, 0.1)
    assert isinstance(sent, SendResponse)
    assert sent.octets.startswith(b"SIP/2.0 481 ")
    assert layer.active == 0


def test_8_2_7_ack_is_ignored() -> None:
    layer = TransactionLayer()
    assert layer.receive_request(make_request(method="ACK"), UDP, 0.0) == [Discard("ACK")]
    assert len(layer) == 0


def test_8_2_7_invite_is_passed_without_a_transaction() -> None:
    layer = TransactionLayer()
    invite = make_request(method="INVITE")
    assert layer.receive_request(invite, UDP, 0.0) == [PassRequest(None, invite, UDP)]
    response = make_response(invite, 405)
    assert layer.respond_stateless(invite, response, UDP) == [
        SendResponse(response.encode(), UDP, ResponseTarget(CLIENT))
    ]
    assert len(layer) == 0


# All states x all inputs: the rows of the module's table, spelled out once more as expectations.


@dataclass(frozen=True)
class Row:
    next_state: ServerState
    output: type | None


def _transaction(state: ServerState) -> NonInviteServerTransaction:
    request = make_request()
    transaction = NonInviteServerTransaction(
        server_key(request),
        request,
        UDP,
        ResponseTarget(CLIENT),
        received_at=0.0,
        timers=TimerValues(),
    )
    transaction.state = state
    if state is not ServerState.TRYING:
        transaction.octets = b"the latest response"
    if transaction.is_answered:
        transaction.request = None
    return transaction


def _respond(status_code: int, now: float) -> Callable[[NonInviteServerTransaction], object]:
    return lambda transaction: transaction.respond(make_response(make_request(), status_code), now)


INPUTS: dict[str, Callable[[NonInviteServerTransaction], object]] = {
    "request": lambda transaction: transaction.receive_request(),
    "100 before 3.5 s": _respond(100, 3.4),
    "100": _respond(100, 3.5),
    "final": _respond(200, 4.0),
    "final after 64*T1": _respond(200, 32.0),
    "3.5 s": lambda transaction: transaction.send_provisional(),
    "64*T1": lambda transaction: transaction.give_up(),
    "Timer J": lambda transaction: transaction.terminate(),
    "transport error": lambda transaction: transaction.fail("gone"),
}
TRYING, PROCEEDING, COMPLETED, TERMINATED = ServerState
EXPECTED: dict[ServerState, dict[str, Row]] = {
    TRYING: {
        "request": Row(TRYING, Discard),
        "100 before 3.5 s": Row(TRYING, Discard),
        "100": Row(PROCEEDING, SendResponse),
        "final": Row(COMPLETED, SendResponse),
        "final after 64*T1": Row(COMPLETED, Discard),
        "3.5 s": Row(PROCEEDING, SendResponse),
        "64*T1": Row(COMPLETED, None),
        "Timer J": Row(TERMINATED, None),
        "transport error": Row(TERMINATED, ReportTransportError),
    },
    PROCEEDING: {
        "request": Row(PROCEEDING, SendResponse),
        "100 before 3.5 s": Row(PROCEEDING, Discard),
        "100": Row(PROCEEDING, SendResponse),
        "final": Row(COMPLETED, SendResponse),
        "final after 64*T1": Row(COMPLETED, Discard),
        "3.5 s": Row(PROCEEDING, None),
        "64*T1": Row(COMPLETED, None),
        "Timer J": Row(TERMINATED, None),
        "transport error": Row(TERMINATED, ReportTransportError),
    },
    COMPLETED: {
        "request": Row(COMPLETED, SendResponse),
        "100 before 3.5 s": Row(COMPLETED, Discard),
        "100": Row(COMPLETED, Discard),
        "final": Row(COMPLETED, Discard),
        "final after 64*T1": Row(COMPLETED, Discard),
        "3.5 s": Row(COMPLETED, None),
        "64*T1": Row(COMPLETED, None),
        "Timer J": Row(TERMINATED, None),
        "transport error": Row(TERMINATED, ReportTransportError),
    },
    TERMINATED: {
        "request": Row(TERMINATED, Discard),
        "100 before 3.5 s": Row(TERMINATED, Discard),
        "100": Row(TERMINATED, Discard),
        "final": Row(TERMINATED, Discard),
        "final after 64*T1": Row(TERMINATED, Discard),
        "3.5 s": Row(TERMINATED, None),
        "64*T1": Row(TERMINATED, None),
        "Timer J": Row(TERMINATED, None),
        "transport error": Row(TERMINATED, None),
    },
}


@pytest.mark.parametrize("name", INPUTS)
@pytest.mark.parametrize("state", ServerState, ids=lambda state: state.value)
def test_every_state_meets_every_input(state: ServerState, name: str) -> None:
    transaction = _transaction(state)
    output = INPUTS[name](transaction)
    expected = EXPECTED[state][name]
    assert transaction.state is expected.next_state
    assert (None if output is None else type(output)) is expected.output
    assert (transaction.request is None) is transaction.is_answered  # memory


@pytest.mark.parametrize("status_code", [101, 180, 199, 408])
@pytest.mark.parametrize("state", ServerState, ids=lambda state: state.value)
def test_no_state_sends_what_rfc4320_forbids(state: ServerState, status_code: int) -> None:
    transaction = _transaction(state)
    with pytest.raises(LocalProtocolError):
        _respond(status_code, 4.0)(transaction)
    assert transaction.state is state
