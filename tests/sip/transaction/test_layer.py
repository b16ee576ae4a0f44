"""The layer beyond its machines: capacity, draining, tags and timers that come late."""

from __future__ import annotations

import pytest

from acm_sip.errors import RemoteProtocolError
from acm_sip.sip.header_fields import HeaderFields
from acm_sip.sip.message import Request
from acm_sip.sip.transaction.key import server_key
from acm_sip.sip.transaction.layer import TransactionLayer
from acm_sip.sip.transaction.outputs import Discard, PassRequest, SendResponse
from tests.harness.transactions import make_flow, make_request, make_response, reverse

UDP = make_flow()


def numbered(number: int, **changes: str) -> Request:
    return make_request(f"z9hG4bK-{number}", call_id=f"{number}@c", **changes)  # type: ignore[arg-type]


def fill(layer: TransactionLayer, transactions: int) -> None:
    for number in range(transactions):
        request = numbered(number)
        layer.receive_request(request, UDP, float(number))
        layer.respond(server_key(request), make_response(request), float(number))


def read_retry_after(output: object) -> int:
    assert isinstance(output, SendResponse)
    lines = output.octets.split(b"\r\n")
    assert lines[0] == b"SIP/2.0 503 Service Unavailable"
    (value,) = [line for line in lines if line.startswith(b"Retry-After: ")]
    return int(value.removeprefix(b"Retry-After: "))


def test_above_the_capacity_a_new_request_gets_a_stateless_503() -> None:
    layer = TransactionLayer(capacity=3)
    fill(layer, 3)
    (refusal,) = layer.receive_request(numbered(3), UDP, 4.0)
    assert read_retry_after(refusal) == 28  # the oldest one ends at 32
    assert isinstance(refusal, SendResponse)
    assert refusal.key is None
    assert len(layer) == 3
    # the same request gets the same answer, tag included (8.2.7)
    assert layer.receive_request(numbered(3), UDP, 4.0) == [refusal]


def test_retry_after_is_rounded_up_to_whole_seconds() -> None:
    layer = TransactionLayer(capacity=3)
    fill(layer, 3)
    assert read_retry_after(layer.receive_request(numbered(3), UDP, 4.5)[0]) == 28
    assert read_retry_after(layer.receive_request(numbered(3), UDP, 31.999)[0]) == 1


def test_above_the_capacity_known_requests_are_still_answered() -> None:
    layer = TransactionLayer(capacity=3)
    fill(layer, 3)
    (again,) = layer.receive_request(numbered(1), UDP, 4.0)
    assert isinstance(again, SendResponse)
    assert again.octets.startswith(b"SIP/2.0 200 ")


def test_room_comes_back_with_timer_j() -> None:
    layer = TransactionLayer(capacity=3)
    fill(layer, 3)
    layer.handle_timers(32.0)
    assert isinstance(layer.receive_request(numbered(3), UDP, 32.0)[0], PassRequest)


def test_client_transactions_count_but_are_never_refused() -> None:
    layer = TransactionLayer(capacity=1)
    layer.send_request(numbered(1), reverse(UDP), 0.0)
    layer.send_request(numbered(2), reverse(UDP), 0.0)
    (refusal,) = layer.receive_request(numbered(3), UDP, 0.0)
    assert read_retry_after(refusal) == 32


def test_draining_refuses_new_requests_and_completes_the_others() -> None:
    layer = TransactionLayer()
    waiting, answered = numbered(1), numbered(2)
    for request in (waiting, answered):
        layer.receive_request(request, UDP, 0.0)
    layer.respond(server_key(answered), make_response(answered), 0.0)
    client_request = numbered(3)
    layer.send_request(client_request, reverse(UDP), 0.0)
    layer.drain()
    assert layer.is_draining
    assert layer.active == 2
    assert read_retry_after(layer.receive_request(numbered(4), UDP, 0.1)[0]) == 32
    assert read_retry_after(layer.receive_request(numbered(5, method="INVITE"), UDP, 0.1)[0]) == 32
    assert layer.receive_request(numbered(1), UDP, 0.5) == [
        Discard("retransmitted request absorbed")
    ]
    layer.respond(server_key(waiting), make_response(waiting), 0.6)
    assert layer.active == 1
    layer.receive_response(make_response(client_request), reverse(UDP), 0.7)
    assert layer.active == 0
    # what is over still answers copies of its request until the process stops
    assert isinstance(layer.receive_request(numbered(2), UDP, 0.8)[0], SendResponse)


def test_tags_are_stable_and_nobody_else_can_make_them() -> None:
    request = make_request()
    ours, theirs = TransactionLayer(tag_secret=b"ours"), TransactionLayer(tag_secret=b"theirs")
    assert ours.to_tag(request) == ours.to_tag(make_request())
    assert ours.to_tag(request) != theirs.to_tag(request)
    assert ours.to_tag(request) != ours.to_tag(make_request("z9hG4bK-2"))
    assert len(ours.to_tag(request)) == 16


def test_a_late_timer_call_makes_no_burst_of_requests() -> None:
    layer = TransactionLayer()
    _, sent = layer.send_request(make_request(), reverse(UDP), 0.0)
    assert layer.handle_timers(10.0) == sent
    assert layer.next_timer_at == 11.0  # Timer E is 1 s after what was in fact sent


def test_a_request_that_was_received_is_annotated_before_it_is_passed() -> None:
    layer = TransactionLayer()
    request = make_request(sent_by="mc1.example", via_parameters=";rport")
    (passed,) = layer.receive_request(request, UDP, 0.0)
    assert isinstance(passed, PassRequest)
    assert (passed.request.via.received, passed.request.via.rport) == ("192.0.2.1", 5070)
    copy = make_request(sent_by="mc1.example", via_parameters=";rport")
    assert layer.receive_request(copy, UDP, 0.5) == [Discard("retransmitted request absorbed")]


def test_finished_transactions_keep_no_request() -> None:
    layer = TransactionLayer()
    fill(layer, 1)
    (transaction,) = layer._servers.values()
    assert transaction.request is None


def test_what_cannot_be_identified_is_a_remote_error() -> None:
    layer = TransactionLayer()
    request = Request("MESSAGE", "sip:a@b.example", HeaderFields([("Via", "nonsense")]))
    with pytest.raises(RemoteProtocolError):
        layer.receive_request(request, UDP, 0.0)
    assert (len(layer), layer.next_timer_at) == (0, None)


def test_a_broken_udp_peer_fails_its_own_transactions_only() -> None:
    layer = TransactionLayer()
    flow = reverse(UDP)
    layer.send_request(numbered(1), flow, 0.0)
    elsewhere = type(flow)("UDP", flow.local, ("192.0.2.9", 5060))
    layer.send_request(numbered(2), elsewhere, 0.0)
    assert len(layer.transport_failed(flow, "port unreachable", 0.1)) == 1
    assert layer.active == 1


def test_finished_client_transactions_leave_nothing_behind() -> None:
    layer = TransactionLayer()
    for number in range(4):
        flow = type(UDP)("UDP", UDP.remote, ("192.0.2.9", 5060 + number // 2))
        layer.send_request(numbered(number), flow, 0.0)
    layer.receive_response(make_response(numbered(0)), UDP, 0.1)
    layer.handle_timers(32.0)
    assert len(layer) == 0
    assert layer._clients_at == {}
