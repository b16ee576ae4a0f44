"""RFC 3261 19.1, RFC 5118, RFC 5954."""

from __future__ import annotations

import pytest

from acm_sip.errors import RemoteProtocolError
from acm_sip.uri import SipUri, parse_hostport

WELL_FORMED = [
    "sip:alice@atlanta.example",
    "sip:alice:secretword@atlanta.example;transport=tcp",
    "sips:alice@atlanta.example?subject=project%20x&priority=urgent",
    "sip:+1-212-555-1212:1234@gateway.example;user=phone",
    "sips:1212@gateway.example",
    "sip:alice@192.0.2.4",
    "sip:atlanta.example;method=REGISTER?to=alice%40atlanta.example",
    "sip:alice;day=tuesday@atlanta.example",
    "sip:[2001:db8::10]:5070",
    "sip:alice@[::ffff:192.0.2.1];lr",
    "sip:a@host.example.",
    "sip:%00@mc1.example",
]


@pytest.mark.parametrize("text", WELL_FORMED)
def test_written_as_it_was_read(text: str) -> None:
    assert str(SipUri.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "", "sip:", "sip:@host", "sip:a@", "sip:a b@host", "sip:a@host ", " sip:a@host",
        "sip:a@host\n", "sip:a@host\r\nTo: x", "sip:a%4@host", "sip:a%zz@host", "sip:a@@host",
        "sip:a@host:", "sip:a@host:0", "sip:a@host:65536", "sip:a@host:8_4", "sip:a@host:\uff15",
        "sip:a@host:+5", "sip:a@1.2.3", "sip:a@1.2.3.256", "sip:a@1.2.3.04", "sip:a@1.2.3.4.5",
        "sip:a@-host", "sip:a@host-", "sip:a@ho_st", "sip:a@h\u00f6st", "sip:a@[::1",
        "sip:a@[::g]", "sip:a@[1:2]", "sip:a@[fe80::1%25eth0]", "sip:2001:db8::10",
        "sip:a@host;", "sip:a@host;=x", "sip:a@host;lr;LR", "sip:a@host;p=a;%70=b",
        "sip:a@host?", "sip:a@host?x", "sip:a@host;x=<y>", "<sip:a@host>", "alice", "alice@host",
        "sip:a@" + "h" * 256,
    ],
)  # fmt: skip
def test_malformed(text: str) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        SipUri.parse(text)
    assert caught.value.status_code == 400


@pytest.mark.parametrize("text", ["tel:+12125551212", "http://host/", "soap.beep://192.0.2.1:3"])
def test_other_scheme(text: str) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        SipUri.parse(text)
    assert caught.value.status_code == 416


def test_parts() -> None:
    uri = SipUri.parse("SIPS:J%20Doe:pw@Example.COM:5061;Transport=TCP;lr?Subject=x")
    assert (uri.scheme, uri.user, uri.password) == ("sips", "J%20Doe", "pw")
    assert (uri.host, uri.port) == ("example.com", 5061)
    assert uri.parameters == (("Transport", "TCP"), ("lr", None))
    assert uri.headers == "Subject=x"
    assert uri.parameter("transport") == "TCP"
    assert uri.parameter("LR") == ""
    assert uri.parameter("maddr") is None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("sip:%61lice@atlanta.example;transport=TCP", "sip:alice@AtLanTa.example;Transport=tcp"),
        ("sip:a@h.example;x=1;y=2", "sip:a@h.example;y=2;x=1"),
        ("sip:a%2fb@h.example", "sip:a%2Fb@h.example"),
        ("sip:a@h.example?b=1&a=2", "sip:a@h.example?a=2&b=1"),
        ("sip:a@[2001:db8::1]", "sip:a@[2001:DB8:0:0::1]"),
        ("sip:a@[2001:db8:::192.0.2.1]", "sip:a@[2001:db8::c000:201]"),
        ("SIP:a@h.example", "sip:a@h.example"),
    ],
)
def test_equal(one: str, other: str) -> None:
    assert SipUri.parse(one).canonical == SipUri.parse(other).canonical


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("sip:ALICE@h.example", "sip:alice@h.example"),
        ("sip:bob@h.example", "sip:bob@h.example:5060"),
        ("sip:bob@h.example", "sips:bob@h.example"),
        ("sip:a%3Bb@h.example", "sip:a;b@h.example"),
        ("sip:%2561@h.example", "sip:a@h.example"),
        ("sip:a@h.example;user=phone", "sip:a@h.example"),
        ("sip:%00@h.example", "sip:%00%00@h.example"),
    ],
)
def test_different(one: str, other: str) -> None:
    assert SipUri.parse(one).canonical != SipUri.parse(other).canonical


@pytest.mark.parametrize("text", WELL_FORMED)
def test_canonical_form_is_a_fixed_point(text: str) -> None:
    canonical = SipUri.parse(text).canonical
    assert SipUri.parse(canonical).canonical == canonical


def test_long_uri_reads_like_a_short_one() -> None:
    user = "u" * 300
    assert SipUri.parse(f"sip:{user}@h.example").user == user


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Host.example", ("host.example", None)),
        ("192.0.2.1:05060", ("192.0.2.1", 5060)),
        ("[2001:DB8::1]:5061", ("[2001:db8::1]", 5061)),
    ],
)
def test_hostport(text: str, expected: tuple[str, int | None]) -> None:
    assert parse_hostport(text) == expected


@pytest.mark.parametrize("text", ["", ":5060", "h:", "2001:db8::1", "h:1:2", "h 1", "h:\u0661"])
def test_malformed_hostport(text: str) -> None:
    with pytest.raises(RemoteProtocolError):
        parse_hostport(text)
