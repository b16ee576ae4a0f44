"""RFC 3261 7 and 8.2.6."""

from __future__ import annotations

import pytest

from acm_sip.errors import LocalProtocolError
from acm_sip.sip.header_fields import HeaderFields
from acm_sip.sip.message import Request, Response, create_response, stateless_to_tag
from acm_sip.sip.parser import parse_datagram

PAIRS = [
    ("Via", "SIP/2.0/UDP p.example;branch=z9hG4bK2, SIP/2.0/UDP q.example;branch=z9hG4bK3"),
    ("Via", "SIP/2.0/UDP h.example;branch=z9hG4bK1"),
    ("From", "<sip:a@h>;tag=1"),
    ("To", "<sip:b@h>"),
    ("Call-ID", "c@h"),
    ("CSeq", "1 MESSAGE"),
    ("Timestamp", "54"),
    ("Subject", "not copied"),
]


def request(*more: tuple[str, str]) -> Request:
    return Request("MESSAGE", "sip:b@h", HeaderFields([*PAIRS, *more]), b"body")


def test_response_copies_what_8_2_6_2_names() -> None:
    response = create_response(request(), 202, to_tag="t", headers=[("Server", "x")])
    assert list(response.headers) == [
        *PAIRS[:3],
        ("To", "<sip:b@h>;tag=t"),
        *PAIRS[4:6],
        ("Server", "x"),
    ]
    assert (response.status_code, response.reason_phrase, response.body) == (202, "Accepted", b"")


def test_trying_has_timestamp_and_no_tag() -> None:
    response = create_response(request(), 100, to_tag="t")
    assert response.headers.get("Timestamp") == "54"
    assert response.to.tag is None


def test_tag_of_the_request_stays() -> None:
    inside = request()
    inside.headers.set("To", "<sip:b@h>;tag=theirs")
    assert create_response(inside, 481, to_tag="ours").to.tag == "theirs"


def test_reason_phrase() -> None:
    assert create_response(request(), 404, to_tag="t").reason_phrase == "Not Found"
    assert (
        create_response(request(), 404, "Gone fishing", to_tag="t").reason_phrase == "Gone fishing"
    )


def test_octets_survive() -> None:
    message = request(("Comment", b"\xff\xfe \xe2\x82\xac".decode("utf-8", "surrogateescape")))
    encoded = message.encode()
    assert b"Comment: \xff\xfe \xe2\x82\xac\r\n" in encoded
    parsed = parse_datagram(encoded)
    assert isinstance(parsed, Request)
    assert parsed.encode() == encoded
    assert parsed.body == b"body"


@pytest.mark.parametrize(
    ("method", "uri"),
    [("MESSAGE", "sip:a b"), ("MESSAGE", "sip:a\r\nX: y"), ("MES SAGE", "sip:a@h"), ("", "sip:a@h"),
     ("MESSAGE", ""), ("MESSAGE", "sip:\u00e9@h")],
)  # fmt: skip
def test_request_line_cannot_be_broken(method: str, uri: str) -> None:
    with pytest.raises(LocalProtocolError):
        Request(method, uri, HeaderFields())


@pytest.mark.parametrize(("status_code", "phrase"), [(99, "x"), (700, "x"), (200, "a\r\nX: y")])
def test_status_line_cannot_be_broken(status_code: int, phrase: str) -> None:
    with pytest.raises(LocalProtocolError):
        Response(status_code, phrase, HeaderFields())


def test_stateless_tag_is_that_of_the_transaction() -> None:
    other = request()
    other.headers.set("Call-ID", "other")
    assert stateless_to_tag(request()) == stateless_to_tag(request())
    assert stateless_to_tag(request()) != stateless_to_tag(other)
