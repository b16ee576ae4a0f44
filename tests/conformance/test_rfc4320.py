"""RFC 4320: what a server may send to a non-INVITE request, and when."""

from __future__ import annotations

import pytest

from acm_sip.errors import LocalProtocolError
from acm_sip.sip.message import Request
from acm_sip.sip.routing import Flow
from acm_sip.sip.timers import TimerValues
from acm_sip.sip.transaction.key import ServerTransactionKey, server_key
from acm_sip.sip.transaction.layer import TransactionLayer
from acm_sip.sip.transaction.outputs import Discard, SendResponse
from tests.harness.transactions import make_flow, make_request, make_response

FLOWS = pytest.mark.parametrize("flow", [make_flow(), make_flow("TCP")], ids=["UDP", "TCP"])
ABSORBED = [Discard("retransmitted request absorbed")]


def receive(
    flow: Flow, timers: TimerValues | None = None
) -> tuple[TransactionLayer, Request, ServerTransactionKey]:
    layer = TransactionLayer(timers)
    request = make_request(transport=flow.transport, headers=(("Timestamp", "54"),))
    layer.receive_request(request, flow, 0.0)
    return layer, request, server_key(request)


@pytest.mark.parametrize("status_code", [101, 180, 183, 199])
@FLOWS
def test_4_1_no_provisional_response_but_100(flow: Flow, status_code: int) -> None:
    layer, request, key = receive(flow)
    with pytest.raises(LocalProtocolError):
        layer.respond(key, make_response(request, status_code), 4.0)
    assert layer.active == 1


def test_4_1_no_100_on_udp_before_timer_e_reaches_t2() -> None:
    layer, request, key = receive(make_flow())
    assert layer.respond(key, make_response(request, 100), 3.499) == [
        Discard("100 before Timer E reached T2")
    ]
    assert layer.handle_timers(3.499) == []
    assert layer.receive_request(make_request(), make_flow(), 3.499) == ABSORBED


def test_4_1_100_on_a_reliable_transport_at_any_time() -> None:
    layer, request, key = receive(make_flow("TCP"))
    (sent,) = layer.respond(key, make_response(request, 100), 0.0)
    assert isinstance(sent, SendResponse)


@FLOWS
def test_4_1_100_is_sent_when_timer_e_reaches_t2(flow: Flow) -> None:
    layer, _, _ = receive(flow)
    assert layer.next_timer_at == 3.5
    (sent,) = layer.handle_timers(3.5)
    assert isinstance(sent, SendResponse)
    lines = sent.octets.split(b"\r\n")
    assert lines[0] == b"SIP/2.0 100 Trying"
    assert b"To: <sip:acm@mc2.example>" in lines  # no tag: RFC 3261 8.2.6.2
    assert b"Timestamp: 54" in lines  # RFC 3261 8.2.6.1
    assert layer.receive_request(make_request(transport=flow.transport), flow, 3.6) == [sent]


@FLOWS
def test_4_1_the_100_follows_other_values_of_t1_and_t2(flow: Flow) -> None:
    layer, _, _ = receive(flow, TimerValues(t1_s=1.0, t2_s=8.0))
    assert layer.next_timer_at == 7.0


@FLOWS
def test_4_1_no_100_when_a_final_response_was_sent(flow: Flow) -> None:
    layer, request, key = receive(flow)
    layer.respond(key, make_response(request), 3.4)
    assert layer.handle_timers(3.5) == []


def test_4_1_no_second_100_when_the_user_sent_one() -> None:
    layer, request, key = receive(make_flow("TCP"))
    layer.respond(key, make_response(request, 100), 0.1)
    assert layer.handle_timers(3.5) == []


@FLOWS
def test_4_2_no_408(flow: Flow) -> None:
    layer, request, key = receive(flow)
    with pytest.raises(LocalProtocolError):
        layer.respond(key, make_response(request, 408), 1.0)
    (sent,) = layer.respond(key, make_response(request, 503), 1.0)
    assert isinstance(sent, SendResponse)


@FLOWS
def test_4_2_a_final_response_goes_out_until_64_t1(flow: Flow) -> None:
    layer, request, key = receive(flow)
    layer.handle_timers(3.5)
    (sent,) = layer.respond(key, make_response(request), 31.999)
    assert isinstance(sent, SendResponse)


@FLOWS
def test_4_2_no_final_response_after_64_t1(flow: Flow) -> None:
    layer, request, key = receive(flow)
    layer.handle_timers(3.5)
    assert layer.next_timer_at == 32.0
    assert layer.handle_timers(32.0) == []
    assert layer.active == 0
    (output,) = layer.respond(key, make_response(request), 33.0)
    assert isinstance(output, Discard)


def test_4_2_no_final_response_after_64_t1_though_the_timers_are_late() -> None:
    layer, request, key = receive(make_flow())
    assert layer.respond(key, make_response(request), 32.0) == [Discard("response after 64*T1")]
    assert layer.active == 0


def test_4_2_a_late_copy_of_an_unanswered_request_is_absorbed_until_timer_j() -> None:
    layer, _, _ = receive(make_flow())
    layer.handle_timers(3.5)
    layer.handle_timers(32.0)
    assert layer.receive_request(make_request(), make_flow(), 36.5) == ABSORBED
    layer.handle_timers(64.0)
    assert (len(layer), layer.next_timer_at) == (0, None)
