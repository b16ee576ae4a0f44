"""RFC 3261 18.3, 20.14: no Content-Length makes two readers disagree where a message ends."""

from __future__ import annotations

import pytest

from acm_sip.sip.message import Request
from acm_sip.sip.parser import KeepAlive, Limits, MalformedMessage, StreamParser, parse_datagram
from tests.vectors.sip.torture import request

INNER = request("MESSAGE sip:inner@mc2.example SIP/2.0", call_id="Call-ID: inner")

UNFRAMEABLE = {
    "plus sign": "Content-Length: +5",
    "minus sign": "Content-Length: -5",
    "list": "Content-Length: 5, 5",
    "repeated": "Content-Length: 5\r\nContent-Length: 5",
    "repeated, compact": "Content-Length: 5\r\nl: 6",
    "2^32": "Content-Length: 4294967296",
    "2^32 + 5": "Content-Length: 4294967301",
    "2^64": "Content-Length: 18446744073709551616",
    "2^64 + 5": "Content-Length: 18446744073709551621",
    "5,000 digits": "Content-Length: " + "9" * 5000,
    "underscore": "Content-Length: 1_0",
    "Arabic-Indic digit": "Content-Length: \u0665",
    "full-width digit": "Content-Length: \uff15",
    "superscript digit": "Content-Length: \u00b2",
    "no-break space": "Content-Length: \u00a05",
    "inner space": "Content-Length: 1 0",
    "hexadecimal": "Content-Length: 0x5",
    "fraction": "Content-Length: 5.0",
    "empty": "Content-Length:",
    "form feed": "Content-Length: \x0c5",
    "vertical tab after": "Content-Length: 5\x0b",
    "NUL": "Content-Length: 5\x00",
    "fold between digits": "Content-Length: 1\r\n 0",
    "fold before colon": "Content-Length\r\n : 5",
    "bare LF inside": "X: y\nContent-Length: 5",
    "bare CR inside": "X: y\rContent-Length: 5",
    "no colon": "Content-Length 5\r\nContent-Length: 5",
    "Unicode hyphen": "Content\u2010Length: 5",
    "Kelvin sign": "Content-Length: 5\r\nMax-Forwards\u212a: 5",
    "quoted": 'Content-Length: "5"',
}


@pytest.mark.parametrize("line", UNFRAMEABLE.values(), ids=UNFRAMEABLE.keys())
@pytest.mark.parametrize("size", [1, 5, 1_000_000])
def test_stream_closes(line: str, size: int) -> None:
    octets = request(body=b"12345", length=line) + INNER
    parser = StreamParser()
    events = [
        e for at in range(0, len(octets), size) for e in parser.receive_data(octets[at : at + size])
    ]
    (event,) = events
    assert isinstance(event, MalformedMessage)
    assert event.is_fatal
    assert parser.is_closed
    assert parser.buffered_octets == 0
    assert event.answer is not None
    assert 400 <= event.answer.status_code < 500


@pytest.mark.parametrize("line", UNFRAMEABLE.values(), ids=UNFRAMEABLE.keys())
def test_datagram_is_refused(line: str) -> None:
    with pytest.raises(MalformedMessage) as caught:
        parse_datagram(request(body=b"12345", length=line) + INNER)
    assert caught.value.answer is not None


@pytest.mark.parametrize(
    "line",
    ["Content-Length: 5", "l:5", "CONTENT-LENGTH \t:\t5 \t", "Content-Length:\r\n 5", "l: 00005"],
)
def test_legal_spellings(line: str) -> None:
    octets = request(body=b"12345", length=line)
    (message, inner) = StreamParser().receive_data(octets + INNER)
    assert isinstance(message, Request)
    assert message.body == b"12345"
    assert isinstance(inner, Request)
    assert inner.call_id == "inner"
    assert parse_datagram(octets + INNER) == message


def test_missing_content_length() -> None:
    octets = request(body=b"all of it", length="")
    message = parse_datagram(octets)
    assert isinstance(message, Request)
    assert message.body == b"all of it"
    (event,) = StreamParser().receive_data(octets)
    assert isinstance(event, MalformedMessage)
    assert event.is_fatal
    assert event.answer is not None
    assert event.answer.reason_phrase == "Missing Content-Length header field"


def test_written_message_has_one_content_length() -> None:
    message = parse_datagram(request(body=b"12345"))
    assert isinstance(message, Request)
    message.body = b"123"
    message.headers.append("l", "99")
    assert message.encode().count(b"Content-Length: 3\r\n") == 1
    assert b"99" not in message.encode()


def test_body_above_the_limit_is_drained() -> None:
    limits = Limits(body_octets=1000, drained_octets=5000)
    parser = StreamParser(limits)
    head = request(length="Content-Length: 4000")
    (event,) = parser.receive_data(head)
    assert isinstance(event, MalformedMessage)
    assert (event.status_code, event.is_fatal) == (413, False)
    assert event.answer is not None
    assert event.answer.reason_phrase == "Request Entity Too Large"
    for _ in range(4):
        assert parser.receive_data(b"x" * 999) == []
        assert parser.buffered_octets == 0
    (inner,) = parser.receive_data(b"xxxx" + INNER)
    assert isinstance(inner, Request)


def test_body_far_above_the_limit_closes() -> None:
    parser = StreamParser(Limits(body_octets=1000, drained_octets=5000))
    (event,) = parser.receive_data(request(length="Content-Length: 5001"))
    assert isinstance(event, MalformedMessage)
    assert (event.status_code, event.is_fatal) == (413, True)


@pytest.mark.parametrize("size", [1, 100, 10_000])
def test_endless_header_section(size: int) -> None:
    limits = Limits(header_section_octets=2000)
    start = request()[:-4] + b"\r\nX: "
    octets = start + b"y" * 10_000
    parser = StreamParser(limits)
    events = []
    for at in range(0, len(octets), size):
        events += parser.receive_data(octets[at : at + size])
        assert parser.buffered_octets <= 2000 + size
    (event,) = events
    assert isinstance(event, MalformedMessage)
    assert (event.status_code, event.is_fatal) == (513, True)
    assert event.answer is not None
    with pytest.raises(MalformedMessage) as caught:
        parse_datagram(octets, limits)
    assert caught.value.status_code == 513


def test_too_many_header_fields() -> None:
    octets = request("MESSAGE sip:psi@mc2.example SIP/2.0", *["X: y"] * 300)
    (event,) = StreamParser().receive_data(octets)
    assert isinstance(event, MalformedMessage)
    assert event.status_code == 513


def test_long_line() -> None:
    octets = request("MESSAGE sip:psi@mc2.example SIP/2.0", "X: " + "y" * 20_000)
    (event,) = StreamParser().receive_data(octets)
    assert isinstance(event, MalformedMessage)
    assert (event.status_code, event.is_fatal) == (513, False)


def pings(events: list[object]) -> int:
    return sum(isinstance(event, KeepAlive) and event.is_ping for event in events)


def test_keep_alive() -> None:
    assert parse_datagram(b"") == KeepAlive(is_ping=False)
    assert parse_datagram(b"\r\n\r\n") == KeepAlive(is_ping=True)
    assert StreamParser().receive_data(b"\r\n\r\n") == [KeepAlive(is_ping=True)]
    assert StreamParser().receive_data(b"\r\n") == [KeepAlive(is_ping=False)]
    parser = StreamParser()
    one_by_one = [e for octet in b"\r\n\r\n" for e in parser.receive_data(bytes([octet]))]
    assert pings(one_by_one) == 1
    events = StreamParser().receive_data(b"\r\n\r\n\r\n" + INNER + b"\r\n\r\n")
    assert pings(events) == 2
    assert sum(isinstance(event, Request) for event in events) == 1


def test_leading_line_ends_in_a_datagram() -> None:
    assert parse_datagram(b"\r\n\r\n" + INNER) == parse_datagram(INNER)


@pytest.mark.parametrize("octets", [INNER[:-1], INNER[:10], request(body=b"12345")[:-1], b"\r"])
def test_end_of_stream_inside_a_message(octets: bytes) -> None:
    parser = StreamParser()
    assert parser.receive_data(octets) == []
    (event,) = parser.receive_eof()
    assert event.is_fatal
    assert event.answer is None
    assert parser.receive_data(INNER) == []


def test_end_of_stream_between_messages() -> None:
    parser = StreamParser()
    assert len(parser.receive_data(INNER)) == 1
    assert parser.receive_eof() == []


@pytest.mark.parametrize(
    ("octets", "why"),
    [
        (request("ACK sip:psi@mc2.example SIP/2.0", cseq="CSeq: x ACK"), "ACK"),
        (request("SIP/2.0 200 OK", call_id=""), "response"),
        (request(via="", call_id=""), "no Via"),
        (request("GET / HTTP/1.1"), "not SIP"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", "TLS"),
    ],
)
def test_not_answered(octets: bytes, why: str) -> None:
    with pytest.raises(MalformedMessage) as caught:
        parse_datagram(octets)
    assert caught.value.answer is None, why


def test_answer_says_back_what_could_be_read() -> None:
    octets = request(cseq="CSeq: MESSAGE", call_id="") + b""
    with pytest.raises(MalformedMessage) as caught:
        parse_datagram(octets)
    answer = caught.value.answer
    assert answer is not None
    assert answer.reason_phrase == "Missing Call-ID header field"
    assert answer.headers.get_all("Via") == ["SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK-t1"]
    assert answer.headers.get("From") == "<sip:alice@mc1.example>;tag=a1"
    assert answer.headers.get("CSeq") == "MESSAGE"
    assert answer.to.tag
    with pytest.raises(MalformedMessage) as again:
        parse_datagram(octets)
    assert again.value.answer == answer  # RFC 3261 8.2.7: the same tag for each repeat
