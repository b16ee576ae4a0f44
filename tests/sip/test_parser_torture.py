"""RFC 4475 and RFC 5118: the parser's verdict for each case, in a datagram and in a stream."""

from __future__ import annotations

import pytest

from acm_sip.sip.message import Request, Response
from acm_sip.sip.parser import KeepAlive, MalformedMessage, StreamParser, parse_datagram
from tests.vectors.sip.torture import VECTORS, Vector

each_vector = pytest.mark.parametrize("vector", VECTORS, ids=lambda v: f"{v.clause}-{v.name}")


def verdict(event: object) -> str | int:
    if isinstance(event, Request | Response):
        return "accept"
    assert isinstance(event, MalformedMessage)
    if event.answer is None:
        return "drop"
    assert event.answer.status_code == event.status_code
    return event.status_code


def in_stream(octets: bytes, size: int) -> list[object]:
    parser = StreamParser()
    events: list[object] = []
    for at in range(0, len(octets), size):
        events += parser.receive_data(octets[at : at + size])
    return events


def comparable(events: list[object]) -> list[object]:
    return [
        (event.text, event.status_code, event.is_fatal, event.answer)
        if isinstance(event, MalformedMessage)
        else event
        for event in events
    ]


@each_vector
def test_datagram(vector: Vector) -> None:
    try:
        event: object = parse_datagram(vector.octets)
    except MalformedMessage as malformed:
        event = malformed
    assert verdict(event) == vector.datagram


@each_vector
def test_stream(vector: Vector) -> None:
    events = in_stream(vector.octets, len(vector.octets))
    expected = [] if vector.stream == "wait" else [vector.stream] * vector.messages
    assert [verdict(event) for event in events] == expected


@each_vector
@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_stream_cut(vector: Vector, size: int) -> None:
    whole = in_stream(vector.octets, len(vector.octets))
    assert comparable(in_stream(vector.octets, size)) == comparable(whole)


@pytest.mark.parametrize(
    "vector", [v for v in VECTORS if v.stream != "wait"], ids=lambda v: f"{v.clause}-{v.name}"
)
def test_usable_after_non_fatal_fault(vector: Vector) -> None:
    following = (
        b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKx\r\nFrom: <sip:a@b>;tag=1\r\n"
        b"To: <sip:a@b>;tag=2\r\nCall-ID: following\r\nCSeq: 1 MESSAGE\r\nContent-Length: 0\r\n\r\n"
    )
    events = in_stream(vector.octets + following, 50)
    last = events[-1]
    if any(isinstance(event, MalformedMessage) and event.is_fatal for event in events):
        assert isinstance(last, MalformedMessage)
    else:
        assert isinstance(last, Response)
        assert last.call_id == "following"


@pytest.mark.parametrize(
    "vector", [v for v in VECTORS if v.datagram == "accept"], ids=lambda v: f"{v.clause}-{v.name}"
)
def test_what_is_accepted_survives_being_written(vector: Vector) -> None:
    message = parse_datagram(vector.octets)
    assert not isinstance(message, KeepAlive)
    assert parse_datagram(message.encode()).headers.get_all("Via") == message.headers.get_all("Via")
    again = parse_datagram(message.encode())
    assert again.body == message.body
    assert again.encode() == message.encode()
