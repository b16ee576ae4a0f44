"""Time and memory of the stream parser do not depend on how a peer cuts its octets."""

from __future__ import annotations

from collections.abc import Iterator

from acm_sip.sip.message import Request
from acm_sip.sip.stream import StreamParser
from tests.vectors.sip.torture import request


class CountingOctets(bytearray):
    """A buffer that counts the octets that searches look at."""

    searched = 0

    def find(self, sub, start=0, end=None):  # type: ignore[no-untyped-def]
        CountingOctets.searched += len(self) - start
        return super().find(sub, start)


def chunks(octets: bytes, size: int) -> Iterator[bytes]:
    for at in range(0, len(octets), size):
        yield octets[at : at + size]


def test_no_octet_is_searched_twice() -> None:
    octets = request("MESSAGE sip:psi@mc2.example SIP/2.0", "X: " + "y" * 8_000)
    parser = StreamParser()
    parser._buffer = CountingOctets()
    CountingOctets.searched = 0
    events = [event for chunk in chunks(octets, 1) for event in parser.receive_data(chunk)]
    assert len(events) == 1
    assert CountingOctets.searched <= 5 * len(octets)


def test_body_octet_by_octet_is_kept_once() -> None:
    body = bytes(range(256)) * 64
    parser = StreamParser()
    events = []
    for chunk in chunks(request(body=body), 1):
        events += parser.receive_data(chunk)
        assert parser.buffered_octets <= len(body) + 1000
    (message,) = events
    assert isinstance(message, Request)
    assert message.body == body
    assert parser.buffered_octets == 0


def test_many_messages_in_one_piece() -> None:
    one = request(body=b"12345")
    parser = StreamParser()
    events = parser.receive_data(one * 500 + one[:-1])
    assert len(events) == 500
    assert parser.buffered_octets == 4  # the head is read already, the rest of a body is left
    assert len(parser.receive_data(one[-1:])) == 1


def test_between_messages() -> None:
    parser = StreamParser()
    assert parser.is_between_messages
    parser.receive_data(b"MESS")
    assert not parser.is_between_messages
