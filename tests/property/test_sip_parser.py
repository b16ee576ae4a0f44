"""Whatever a peer sends: one kind of error, one verdict, and nothing changed by being written."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from time import process_time

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from acm_sip.errors import RemoteProtocolError
from acm_sip.sip.framing import Limits, read_head
from acm_sip.sip.headers import MediaType
from acm_sip.sip.message import Request, Response
from acm_sip.sip.multipart import BodyPart, encode_multipart, split_multipart
from acm_sip.sip.parser import KeepAlive, MalformedMessage, StreamParser, parse_datagram
from acm_sip.uri import SipUri
from tests.vectors.sip.torture import VECTORS

quick = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)
vector_octets = st.sampled_from([vector.octets for vector in VECTORS])
fragments = st.sampled_from(
    [b"\r\n", b"\r", b"\n", b" ", b"\t", b":", b";", b",", b'"', b"\\", b"<", b">", b"\x00", b"=",
     b"0", b"l: 3\r\n", b"\xc2\xa0", b"\xe2\x84\xaa", b"SIP/2.0", b"%0d%0a", b"\xff", b"["]
)  # fmt: skip


def outcome(call: Callable[[], object]) -> object:
    """Return what a call returns, or the protocol error that it raises."""
    try:
        return call()
    except RemoteProtocolError as error:
        return error


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    octets = draw(vector_octets)
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(octets)))
        removed = draw(st.integers(0, 3))
        octets = octets[:at] + draw(fragments | st.binary(max_size=3)) + octets[at + removed :]
    return octets


def stream_events(octets: bytes, cuts: list[int]) -> list[object]:
    parser = StreamParser()
    events: list[object] = []
    edges = [0, *sorted(cut % (len(octets) + 1) for cut in cuts), len(octets)]
    for start, end in pairwise(edges):
        events += parser.receive_data(octets[start:end])
    return [
        (event.text, event.status_code, event.answer)
        if isinstance(event, MalformedMessage)
        else event
        for event in events
        if not isinstance(event, KeepAlive)
    ]


@quick
@given(mutated(), st.lists(st.integers(0, 10_000), max_size=20))
def test_stream_verdict_does_not_depend_on_the_cut(octets: bytes, cuts: list[int]) -> None:
    assert stream_events(octets, cuts) == stream_events(octets, [])


@quick
@given(mutated() | st.binary(max_size=200))
@example(b"")
def test_datagram_raises_malformed_message_only(octets: bytes) -> None:
    message = outcome(lambda: parse_datagram(octets))
    if isinstance(message, MalformedMessage):
        assert message.text.isascii()
        if message.answer is not None:
            written = message.answer.encode()
            assert written.isascii() or not octets.isascii()
            assert message.answer.reason_phrase.isprintable()
            assert len(message.answer.reason_phrase) <= 120
        return
    if isinstance(message, KeepAlive):
        return
    assert isinstance(message, Request | Response)
    again = parse_datagram(message.encode())
    assert isinstance(again, Request | Response)
    assert again.encode() == message.encode()
    assert (again.call_id, again.cseq, again.vias) == (message.call_id, message.cseq, message.vias)


@quick
@given(mutated())
def test_every_typed_reading_raises_protocol_errors_only(octets: bytes) -> None:
    message = outcome(lambda: parse_datagram(octets))
    if not isinstance(message, Request | Response):
        return
    for name in ("routes", "record_routes", "path", "service_route", "p_asserted_identity",
                 "p_preferred_identity", "accept_contacts", "require", "proxy_require", "supported",
                 "unsupported", "allow", "expires", "min_expires", "retry_after", "warnings",
                 "content_type"):  # fmt: skip
        reading = outcome(lambda name=name: getattr(message, name))
        assert not isinstance(reading, RemoteProtocolError) or "header field" in reading.text


@quick
@given(mutated())
def test_fast_and_thorough_reading_of_lines_agree(octets: bytes) -> None:
    section = octets.partition(b"\r\n\r\n")[0]
    fast = read_head(section, Limits(), is_stream=True)
    thorough = read_head(section, Limits(line_octets=len(section) - 1), is_stream=True)
    if thorough.fault is None or thorough.fault.status_code != 513:
        assert fast.pairs == thorough.pairs
        assert str(fast.fault) == str(thorough.fault)
        assert fast.is_fatal == thorough.is_fatal


@quick
@given(st.text(alphabet="aZ09-_.!~*'()&=+$,;?/:@[]%3bB", max_size=40))
def test_canonical_uri_is_a_fixed_point(rest: str) -> None:
    try:
        uri = SipUri.parse("sip:" + rest)
    except RemoteProtocolError:
        return
    assert SipUri.parse(str(uri)) == uri
    assert SipUri.parse(uri.canonical).canonical == uri.canonical


@quick
@given(st.lists(st.binary(max_size=60), min_size=1, max_size=5))
def test_multipart_comes_back(bodies: list[bytes]) -> None:
    parts = tuple(BodyPart(MediaType("a", "b"), body) for body in bodies)
    media_type, octets = encode_multipart(parts, "boundary-that-no-body-holds")
    assert split_multipart(media_type, octets) == parts


@quick
@given(
    st.binary(max_size=300)
    | st.lists(st.sampled_from([b"--b", b"\r\n", b"--", b"c: a/b", b"x"])).map(b"".join)
)
def test_multipart_raises_protocol_errors_only(octets: bytes) -> None:
    media_type = MediaType("multipart", "mixed", (("boundary", "b"),))
    parts = outcome(lambda: split_multipart(media_type, octets))
    assert isinstance(parts, tuple) or parts.status_code in (400, 413, 415)


@pytest.mark.parametrize(
    "hostile", ['"', "<", "\\", '"\\', "(", " ", "\t", ";", ";a", ",", "a ", '"a" ']
)
def test_matching_is_linear(hostile: str) -> None:
    """48 kB cost some milliseconds of CPU; with a quadratic pattern they cost seconds."""
    octets = b"".join(
        [
            b"MESSAGE sip:a@h SIP/2.0\r\n",
            *(
                f"{name}: {hostile * (16_000 // len(hostile))}\r\n".encode()
                for name in ("Via", "From", "Contact")
            ),
            b"Subject: \x01\r\n\r\n",
        ]
    )
    before = process_time()
    with pytest.raises(MalformedMessage):
        parse_datagram(octets)
    assert process_time() - before < 0.5
