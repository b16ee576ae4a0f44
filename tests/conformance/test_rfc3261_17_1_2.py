"""RFC 3261 17.1.2, 17.1.3, 17.1.4: one row of the state table, one case; then the full product."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from acm_sip.errors import LocalProtocolError
from acm_sip.sip.message import Request
from acm_sip.sip.routing import Flow
from acm_sip.sip.transaction.key import client_key, sent_by
from acm_sip.sip.transaction.layer import TransactionLayer
from acm_sip.sip.transaction.non_invite_client import ClientState, NonInviteClientTransaction
from acm_sip.sip.transaction.outputs import (
    Discard,
    Output,
    PassResponse,
    ReportTimeout,
    ReportTransportError,
    SendRequest,
)
from tests.harness.transactions import make_flow, make_request, make_response, reverse

UDP = reverse(make_flow())
TCP = reverse(make_flow("TCP"))


def start(request: Request, flow: Flow = UDP) -> tuple[TransactionLayer, list[Output]]:
    layer = TransactionLayer()
    key, outputs = layer.send_request(request, flow, 0.0)
    assert key == client_key(request)
    return layer, outputs


def test_new_request_is_sent_and_timers_e_and_f_run() -> None:
    request = make_request()
    layer, outputs = start(request)
    assert outputs == [SendRequest(client_key(request), request.encode(), UDP)]
    assert layer.next_timer_at == 0.5  # Timer E = T1
    assert layer.active == 1


def test_new_request_on_a_reliable_transport_has_timer_f_alone() -> None:
    layer, outputs = start(make_request(transport="TCP"), TCP)
    assert len(outputs) == 1
    assert layer.next_timer_at == 32.0


def test_trying_timer_e_doubles_up_to_t2() -> None:
    layer, first = start(make_request())
    at = []
    while (due := layer.next_timer_at) is not None and due < 32.0:
        assert layer.handle_timers(due) == first
        at.append(due)
    assert at == [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]


def test_trying_1xx_is_passed_and_timer_e_becomes_t2_when_it_next_fires() -> None:
    request = make_request()
    layer, first = start(request)
    response = make_response(request, 100)
    assert layer.receive_response(response, UDP, 0.1) == [
        PassResponse(client_key(request), response)
    ]
    at = []
    while (due := layer.next_timer_at) is not None and due < 32.0:
        assert layer.handle_timers(due) == first
        at.append(due)
    assert at == [0.5, 4.5, 8.5, 12.5, 16.5, 20.5, 24.5, 28.5]


def test_proceeding_1xx_is_passed() -> None:
    request = make_request()
    layer, _ = start(request)
    response = make_response(request, 100)
    for now in (0.1, 0.2, 0.3):
        assert layer.receive_response(response, UDP, now) == [
            PassResponse(client_key(request), response)
        ]


@pytest.mark.parametrize("is_proceeding", [False, True], ids=["Trying", "Proceeding"])
@pytest.mark.parametrize("status_code", [200, 299, 300, 404, 503, 699])
def test_final_response_is_passed_once_and_timer_k_runs(
    status_code: int, is_proceeding: bool
) -> None:
    request = make_request()
    layer, _ = start(request)
    if is_proceeding:
        layer.receive_response(make_response(request, 100), UDP, 0.1)
    response = make_response(request, status_code)
    assert layer.receive_response(response, UDP, 0.25) == [
        PassResponse(client_key(request), response)
    ]
    assert (layer.active, len(layer)) == (0, 1)
    assert layer.next_timer_at == 5.25  # Timer K = T4
    assert layer.receive_response(response, UDP, 5.0) == [
        Discard("retransmitted response absorbed")
    ]
    assert layer.handle_timers(5.25) == []
    assert len(layer) == 0
    assert layer.receive_response(response, UDP, 5.5) == [Discard("response to no request of ours")]


def test_final_response_on_a_reliable_transport_ends_at_once() -> None:
    request = make_request(transport="TCP")
    layer, _ = start(request, TCP)
    layer.receive_response(make_response(request), TCP, 0.1)
    assert (len(layer), layer.next_timer_at) == (0, None)  # Timer K = 0


@pytest.mark.parametrize("is_proceeding", [False, True], ids=["Trying", "Proceeding"])
def test_timer_f_reports_the_timeout(is_proceeding: bool) -> None:
    request = make_request(transport="TCP")
    layer, _ = start(request, TCP)
    if is_proceeding:
        layer.receive_response(make_response(request, 100), TCP, 0.1)
    assert layer.handle_timers(31.999) == []
    (report,) = layer.handle_timers(32.0)
    assert report == ReportTimeout(client_key(request))
    assert isinstance(report, ReportTimeout)
    assert report.status_code == 408  # 8.1.3.1
    assert (len(layer), layer.next_timer_at) == (0, None)


def test_timer_f_wins_over_a_retransmission_due_in_the_same_call() -> None:
    request = make_request()
    layer, _ = start(request)
    assert layer.handle_timers(40.0) == [ReportTimeout(client_key(request))]


def test_17_1_4_transport_error_is_reported() -> None:
    request = make_request()
    layer, _ = start(request)
    (report,) = layer.request_send_failed(client_key(request), "refused", 0.1)
    assert report == ReportTransportError(client_key(request), "refused")
    assert isinstance(report, ReportTransportError)
    assert report.status_code == 503  # 8.1.3.1
    assert (len(layer), layer.next_timer_at) == (0, None)
    assert layer.request_send_failed(client_key(request), "refused", 0.1) == []


def test_17_1_4_a_broken_connection_fails_what_waits_on_it_and_nothing_else() -> None:
    layer = TransactionLayer()
    unconnected = Flow("TCP", TCP.local, TCP.remote, None)
    other = Flow("TCP", TCP.local, TCP.remote, 2)
    elsewhere = Flow("TCP", TCP.local, ("192.0.2.9", 5060), 1)
    keys = [
        layer.send_request(make_request(f"z9hG4bK-{number}", transport="TCP"), flow, 0.0)[0]
        for number, flow in enumerate([TCP, unconnected, other, elsewhere])
    ]
    layer.send_request(make_request("z9hG4bK-udp"), UDP, 0.0)
    outputs = layer.transport_failed(TCP, "reset", 0.1)
    assert {output.key for output in outputs if isinstance(output, ReportTransportError)} == {
        keys[0],
        keys[1],
    }
    assert layer.active == 3


def test_17_1_3_branch_and_method_match() -> None:
    request = make_request()
    layer, _ = start(request)
    other_branch = make_response(make_request("z9hG4bK-2"))
    assert layer.receive_response(other_branch, UDP, 0.1) == [
        Discard("response to no request of ours")
    ]
    other_method = make_response(make_request(method="CANCEL"))
    assert layer.receive_response(other_method, UDP, 0.1) == [
        Discard("response to no request of ours")
    ]
    any_case = make_response(make_request("Z9HG4BK-1"))
    assert layer.receive_response(any_case, UDP, 0.1) == [
        PassResponse(client_key(request), any_case)
    ]


def test_18_1_2_another_sent_by_is_discarded() -> None:
    layer, _ = start(make_request())
    response = make_response(make_request(sent_by="192.0.2.1:5071"))
    assert layer.receive_response(response, UDP, 0.1) == [Discard("response for another sent-by")]
    assert layer.active == 1


def test_8_1_3_3_more_than_one_via_is_discarded() -> None:
    layer, _ = start(make_request())
    further = ("Via", "SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK-9")
    response = make_response(make_request(headers=(further,)))
    assert layer.receive_response(response, UDP, 0.1) == [
        Discard("response with more than one Via")
    ]


def test_a_response_without_tls_does_not_answer_a_request_over_tls() -> None:
    request = make_request(transport="TLS")
    layer, _ = start(request, reverse(make_flow("TLS")))
    assert layer.receive_response(make_response(request), UDP, 0.1) == [
        Discard("unprotected response to a protected request")
    ]


@pytest.mark.parametrize(
    "request_",
    [
        pytest.param(make_request(method="INVITE"), id="17.1 INVITE"),
        pytest.param(make_request(method="ACK"), id="17.1 ACK"),
        pytest.param(make_request("1"), id="8.1.1.7 no magic cookie"),
        pytest.param(make_request("z9hG4bK"), id="8.1.1.7 nothing but the cookie"),
        pytest.param(make_request(None), id="8.1.1.7 no branch"),
        pytest.param(make_request(transport="TCP"), id="18.1.1 Via and flow differ"),
    ],
)
def test_send_request_refuses(request_: Request) -> None:
    with pytest.raises(LocalProtocolError):
        TransactionLayer().send_request(request_, UDP, 0.0)


def test_8_1_1_7_a_branch_is_used_once() -> None:
    layer, _ = start(make_request())
    with pytest.raises(LocalProtocolError):
        layer.send_request(make_request(), UDP, 0.1)
    layer.send_request(make_request(method="OPTIONS"), UDP, 0.1)


# All states x all inputs: the rows of the module's table, spelled out once more as expectations.


@dataclass(frozen=True)
class Row:
    next_state: ClientState
    output: type | None


def _transaction(state: ClientState) -> NonInviteClientTransaction:
    request = make_request()
    transaction = NonInviteClientTransaction(
        client_key(request), sent_by(request), request.encode(), UDP, last_interval=3
    )
    transaction.state = state
    return transaction


INPUTS: dict[str, Callable[[NonInviteClientTransaction], object]] = {
    "1xx": lambda transaction: transaction.receive_response(make_response(make_request(), 183)),
    "2xx": lambda transaction: transaction.receive_response(make_response(make_request(), 200)),
    "3xx-6xx": lambda transaction: transaction.receive_response(make_response(make_request(), 503)),
    "Timer E": lambda transaction: transaction.retransmit(),
    "Timer F": lambda transaction: transaction.time_out(),
    "Timer K": lambda transaction: transaction.terminate(),
    "transport error": lambda transaction: transaction.fail("gone"),
}
TRYING, PROCEEDING, COMPLETED, TERMINATED = ClientState
_WAITING = {
    "1xx": Row(PROCEEDING, PassResponse),
    "2xx": Row(COMPLETED, PassResponse),
    "3xx-6xx": Row(COMPLETED, PassResponse),
    "Timer F": Row(TERMINATED, ReportTimeout),
    "Timer K": Row(TERMINATED, None),
    "transport error": Row(TERMINATED, ReportTransportError),
}
EXPECTED: dict[ClientState, dict[str, Row]] = {
    TRYING: {**_WAITING, "Timer E": Row(TRYING, SendRequest)},
    PROCEEDING: {**_WAITING, "Timer E": Row(PROCEEDING, SendRequest)},
    COMPLETED: {
        "1xx": Row(COMPLETED, Discard),
        "2xx": Row(COMPLETED, Discard),
        "3xx-6xx": Row(COMPLETED, Discard),
        "Timer E": Row(COMPLETED, None),
        "Timer F": Row(COMPLETED, None),
        "Timer K": Row(TERMINATED, None),
        "transport error": Row(COMPLETED, None),
    },
    TERMINATED: {
        "1xx": Row(TERMINATED, Discard),
        "2xx": Row(TERMINATED, Discard),
        "3xx-6xx": Row(TERMINATED, Discard),
        "Timer E": Row(TERMINATED, None),
        "Timer F": Row(TERMINATED, None),
        "Timer K": Row(TERMINATED, None),
        "transport error": Row(TERMINATED, None),
    },
}


@pytest.mark.parametrize("name", INPUTS)
@pytest.mark.parametrize("state", ClientState, ids=lambda state: state.value)
def test_every_state_meets_every_input(state: ClientState, name: str) -> None:
    transaction = _transaction(state)
    output = INPUTS[name](transaction)
    expected = EXPECTED[state][name]
    assert transaction.state is expected.next_state
    assert (None if output is None else type(output)) is expected.output
