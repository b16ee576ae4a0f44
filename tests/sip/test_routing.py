"""Where messages go: RFC 3261 18.1.1, 18.2.1, 18.2.2, 8.1.2 and RFC 3581."""

from __future__ import annotations

import pytest

from acm_sip.errors import LocalProtocolError
from acm_sip.sip.routing import (
    Flow,
    ResponseTarget,
    annotate_received,
    choose_transport,
    default_port,
    next_hop,
    requires_reliable_transport,
    response_target,
)
from acm_sip.uri import SipUri
from tests.harness.transactions import make_request, make_response

UDP = Flow("UDP", ("192.0.2.2", 5060), ("192.0.2.1", 40000))
TCP = Flow("TCP", ("192.0.2.2", 5060), ("192.0.2.1", 40000), 7)
TLS = Flow("TLS", ("192.0.2.2", 5061), ("192.0.2.1", 40000), 8)
UDP6 = Flow("UDP", ("2001:db8::2", 5060), ("2001:db8::1", 40000))


@pytest.mark.parametrize(
    ("sent_by", "parameters", "flow", "received", "rport"),
    [
        pytest.param("192.0.2.1:5070", "", UDP, None, None, id="18.2.1 same address"),
        pytest.param("192.0.2.9:5070", "", UDP, "192.0.2.1", None, id="18.2.1 other address"),
        pytest.param("mc1.example", "", UDP, "192.0.2.1", None, id="18.2.1 domain name"),
        pytest.param("mc1.example", "", TCP, "192.0.2.1", None, id="18.2.1 any transport"),
        pytest.param("192.0.2.1", ";rport", UDP, "192.0.2.1", 40000, id="RFC 3581 4 rport"),
        pytest.param("192.0.2.1", ";rport=1", UDP, "192.0.2.1", 40000, id="rport forged"),
        pytest.param(
            "192.0.2.1", ";received=198.51.100.1", UDP, "192.0.2.1", None, id="received forged"
        ),
        pytest.param("[2001:db8::1]:5070", "", UDP6, None, None, id="18.2.1 same IPv6"),
        pytest.param("[2001:DB8:0::1]", "", UDP6, None, None, id="RFC 5954 4.2 same IPv6"),
        pytest.param("[2001:db8::9]", "", UDP6, "2001:db8::1", None, id="18.2.1 other IPv6"),
        pytest.param("[2001:db8::1]", ";rport", UDP6, "2001:db8::1", 40000, id="rport on IPv6"),
    ],
)
def test_received_and_rport(
    sent_by: str, parameters: str, flow: Flow, received: str | None, rport: int | None
) -> None:
    request = make_request(sent_by=sent_by, via_parameters=parameters)
    annotated = annotate_received(request, flow)
    assert annotated.via.received == received
    assert annotated.via.rport == rport
    assert annotated.via.branch == "z9hG4bK-1"
    assert annotate_received(annotated, flow).via == annotated.via


def test_18_2_1_only_the_top_via_is_annotated() -> None:
    request = make_request(
        sent_by="mc1.example", headers=(("Via", "SIP/2.0/UDP far.example;branch=z9hG4bK-far"),)
    )
    vias = annotate_received(request, UDP).vias
    assert [via.received for via in vias] == ["192.0.2.1", None]


def test_received_has_no_zone_of_a_link_local_address() -> None:
    flow = Flow("UDP", ("fe80::2%eth0", 5060), ("fe80::1%eth0", 5060))
    assert annotate_received(make_request(sent_by="a.example"), flow).via.received == "fe80::1"
    same = annotate_received(make_request(sent_by="[fe80::1]"), flow)
    assert same.via.received is None


@pytest.mark.parametrize(
    ("sent_by", "parameters", "flow", "target"),
    [
        pytest.param(
            "192.0.2.1:5070", "", UDP, ResponseTarget(("192.0.2.1", 5070)), id="18.2.2 sent-by port"
        ),
        pytest.param(
            "192.0.2.1", "", UDP, ResponseTarget(("192.0.2.1", 5060)), id="18.2.2 default port"
        ),
        pytest.param(
            "198.51.100.1:5070", "", UDP, ResponseTarget(("192.0.2.1", 5070)), id="source address"
        ),
        pytest.param(
            "192.0.2.1:5070",
            ";rport",
            UDP,
            ResponseTarget(("192.0.2.1", 40000)),
            id="RFC 3581 4 source port",
        ),
        pytest.param(
            "192.0.2.1:5070",
            ";maddr=255.255.255.255",
            UDP,
            ResponseTarget(("192.0.2.1", 5070)),
            id="maddr ignored",
        ),
        pytest.param(
            "192.0.2.1:5070",
            ";received=203.0.113.9",
            UDP,
            ResponseTarget(("192.0.2.1", 5070)),
            id="forged received ignored",
        ),
        pytest.param(
            "[2001:db8::1]:5070", "", UDP6, ResponseTarget(("2001:db8::1", 5070)), id="IPv6"
        ),
        pytest.param(
            "mc1.example",
            "",
            TCP,
            ResponseTarget(("192.0.2.1", 5060), 7, ("mc1.example", None)),
            id="18.2.2 TCP",
        ),
        pytest.param(
            "mc1.example:5080",
            ";rport",
            TCP,
            ResponseTarget(("192.0.2.1", 5080), 7, ("mc1.example", 5080)),
            id="18.2.2 TCP sent-by port",
        ),
        pytest.param(
            "mc1.example",
            "",
            TLS,
            ResponseTarget(("192.0.2.1", 5061), 8, ("mc1.example", None)),
            id="18.1.1 TLS default port",
        ),
    ],
)
def test_response_target(sent_by: str, parameters: str, flow: Flow, target: ResponseTarget) -> None:
    request = make_request(sent_by=sent_by, via_parameters=parameters, transport=flow.transport)
    assert response_target(request, flow) == target
    assert response_target(annotate_received(request, flow), flow) == target
    assert response_target(make_response(request), flow) == target


@pytest.mark.parametrize(
    ("size_octets", "path_mtu_octets", "is_required"),
    [
        pytest.param(1300, None, False, id="18.1.1 1300, MTU unknown"),
        pytest.param(1301, None, True, id="18.1.1 1301, MTU unknown"),
        pytest.param(1299, 1500, False, id="18.1.1 more than 200 below the MTU"),
        pytest.param(1300, 1500, True, id="18.1.1 within 200 of the MTU"),
        pytest.param(8000, 9000, False, id="18.1.1 jumbo frames"),
    ],
)
def test_requires_reliable_transport(
    size_octets: int, path_mtu_octets: int | None, is_required: bool
) -> None:
    assert requires_reliable_transport(size_octets, path_mtu_octets) is is_required


@pytest.mark.parametrize(
    ("uri", "size_octets", "accepts_large_datagrams", "transport"),
    [
        ("sip:mc2.example", 1300, False, "UDP"),
        ("sip:mc2.example", 1301, False, "TCP"),
        ("sip:mc2.example", 1301, True, "UDP"),
        ("sip:mc2.example;transport=udp", 1301, False, "TCP"),
        ("sip:mc2.example;transport=TCP", 100, False, "TCP"),
        ("sip:mc2.example;transport=tls", 100, False, "TLS"),
        ("sips:mc2.example", 100, False, "TLS"),
        ("sips:mc2.example;transport=tcp", 100, False, "TLS"),
    ],
)
def test_choose_transport(
    uri: str, size_octets: int, accepts_large_datagrams: bool, transport: str
) -> None:
    chosen = choose_transport(
        SipUri.parse(uri), size_octets, accepts_large_datagrams=accepts_large_datagrams
    )
    assert chosen == transport


@pytest.mark.parametrize(
    "uri", ["sips:mc2.example;transport=udp", "sip:mc2.example;transport=sctp"]
)
def test_choose_transport_refuses(uri: str) -> None:
    with pytest.raises(LocalProtocolError):
        choose_transport(SipUri.parse(uri), 100)


def test_8_1_2_next_hop_is_the_request_uri_without_a_route() -> None:
    assert str(next_hop(make_request())) == "sip:acm@mc2.example"


def test_8_1_2_next_hop_is_the_topmost_route() -> None:
    request = make_request(headers=(("Route", "<sip:p1.example;lr>, <sip:p2.example;lr>"),))
    assert next_hop(request).host == "p1.example"


def test_a_strict_router_is_refused() -> None:
    with pytest.raises(LocalProtocolError):
        next_hop(make_request(headers=(("Route", "<sip:p1.example>"),)))


def test_18_1_1_default_ports() -> None:
    assert [default_port(transport) for transport in ("UDP", "TCP", "TLS")] == [5060, 5060, 5061]
