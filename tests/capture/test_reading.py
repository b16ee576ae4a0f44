"""From packets to messages: order, gaps, retransmissions, other protocols, flat memory."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acm_sip.capture import reassembly
from acm_sip.capture.dissection import Segment
from acm_sip.capture.pcapng import interface_block, packet_block, section_block
from acm_sip.capture.reading import CaptureReader, read_messages
from acm_sip.capture.reassembly import MessageCutter, StreamAssembler
from acm_sip.errors import CaptureError

from . import frames
from .conversation import A, P, Q, body, request, response
from .frames import CLIENT, SERVER, ipv4, tcp, udp

ASKED = [
    request(
        P, Q, body(f"flow-{number}") + b"\r\n\r\nMESSAGE sip:x SIP/2.0\r\n" * number, f"{number}"
    )
    for number in range(4)
]
STREAM = b"\r\n\r\n".join(ASKED)


def segment(
    number: int,
    octets: bytes,
    *,
    source=CLIENT,
    destination=SERVER,
    acknowledged: int | None = 1,
    flags: int = 0,
) -> Segment:
    return Segment(
        source,
        destination,
        number % 2**32,
        acknowledged,
        bool(flags & frames.SYN),
        bool(flags & frames.FIN),
        bool(flags & frames.RST),
        octets,
    )


def assemble(segments: list[Segment], step_ns: int = 1_000_000) -> list[bytes]:
    assembler = StreamAssembler()
    found = []
    for index, one in enumerate(segments):
        found += [message.octets for message in assembler.receive(one, index * step_ns)]
    return found + [message.octets for message in assembler.finish()]


def cut(stream: bytes, size: int, first: int = 1) -> list[Segment]:
    return [
        segment(first + start, stream[start : start + size])
        for start in range(0, len(stream), size)
    ]


@pytest.mark.parametrize("size", [1, 7, 100, 1460, 100_000])
def test_a_stream_cut_at_any_size(size):
    assert assemble([segment(0, b"", flags=frames.SYN), *cut(STREAM, size)]) == ASKED


@given(st.integers(0, 2**32), st.integers(20, 400), st.randoms(use_true_random=False))
def test_segments_out_of_order_and_twice_and_overlapping(first, size, chance: random.Random):
    pieces = cut(STREAM, size, first + 1)
    pieces += chance.sample(pieces, len(pieces) // 2)
    start = chance.randrange(len(STREAM))
    pieces.append(segment(first + 1 + start, STREAM[start : start + 2 * size]))
    chance.shuffle(pieces)
    assert assemble([segment(first, b"", flags=frames.SYN), *pieces], step_ns=1) == ASKED


def test_a_capture_that_begins_in_the_middle_finds_the_next_message():
    pieces = [segment(100, ASKED[0][50:])]
    pieces += [segment(100 + len(ASKED[0]) - 50, ASKED[1])]
    assert assemble(pieces) == [ASKED[1]]


def test_what_the_capture_lost_is_given_up_when_the_peer_acknowledged_it():
    number = 1 + len(ASKED[0])
    pieces = [
        segment(1, ASKED[0]),
        segment(number + 500, ASKED[1]),
        segment(1, b"", source=SERVER, destination=CLIENT, acknowledged=number + 501),
    ]
    assembler = StreamAssembler()
    found = []
    for index, one in enumerate(pieces):
        found += [message.octets for message in assembler.receive(one, index * 300_000_000)]
    assert found == ASKED[:2]


def test_a_gap_that_is_not_acknowledged_is_waited_for():
    number = 1 + len(ASKED[0])
    late = [
        segment(number, ASKED[1]),
        segment(1, b"", source=SERVER, destination=CLIENT, acknowledged=1),
        segment(1, ASKED[0]),
    ]
    begun = segment(0, b"", flags=frames.SYN)
    assert assemble([begun, *late], step_ns=300_000_000) == ASKED[:2]


def test_what_waits_behind_a_gap_is_bounded(monkeypatch):
    monkeypatch.setattr(reassembly, "MAX_WAITING_SEGMENTS", 3)
    assembler = StreamAssembler()
    list(assembler.receive(segment(0, b"", flags=frames.SYN), 0))
    found = []
    for index in range(8):
        found += assembler.receive(segment(1000 * (index + 1), ASKED[0]), index)
    assert len(found) > 0
    (direction,) = assembler._directions.values()
    assert len(direction.waiting) <= 3


def test_streams_are_bounded(monkeypatch):
    monkeypatch.setattr(reassembly, "MAX_STREAMS", 5)
    assembler = StreamAssembler()
    for port in range(20):
        list(assembler.receive(segment(1, b"GET /", source=("10.0.0.1", port)), 0))
    assert len(assembler._directions) == 5


def test_a_port_used_again_begins_a_new_stream():
    again = request(A, P, body("again"), "again")
    pieces = [
        segment(0, b"", flags=frames.SYN),
        segment(1, ASKED[0][:-10]),
        segment(1, b"", flags=frames.RST),
        segment(7_000, b"", flags=frames.SYN),
        segment(7_001, again),
        segment(900_000_000, ASKED[1]),
    ]
    assert assemble(pieces) == [again, ASKED[1]]


@pytest.mark.parametrize(
    "octets",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01" + bytes(500),
        b"x" * 20_000,
        b"MESSAGE sip:a@b SIP/2.0\r\n" + b"A: b\r\n" * 50_000,
        b"MESSAGE sip:a@b SIP/2.0\r\nContent-Length: 4294967296\r\n\r\n",
    ],
    ids=["HTTP", "TLS", "no line", "endless head", "endless body"],
)
def test_other_protocols_are_left_alone_and_not_kept(octets):
    cutter = MessageCutter(is_at_start=True)
    assert cutter.feed(octets) == []
    assert cutter.feed(b"more") == []
    assert len(cutter._buffer) == 0
    assert cutter.feed(ASKED[0]) == [ASKED[0]]


def test_compact_content_length_and_a_missing_one():
    compact = b"MESSAGE sip:a@b SIP/2.0\r\nl : 3\r\n\r\nabc"
    without = b"OPTIONS sip:a@b SIP/2.0\r\n\r\n"
    assert MessageCutter(is_at_start=True).feed(compact + without) == [compact, without]


def capture(tmp_path, packets: list[bytes]):
    path = tmp_path / "x.pcapng"
    blocks = [packet_block(1_000_000 * (index + 1), one) for index, one in enumerate(packets)]
    path.write_bytes(section_block() + interface_block(101) + b"".join(blocks))
    return path


def test_datagrams_and_streams_come_in_the_order_of_the_capture(tmp_path):
    stream = request(A, P, body("f"), "2")
    packets = [
        ipv4(17, udp(ASKED[0])),
        ipv4(6, tcp(stream[:100], 1)),
        ipv4(17, udp(b"\r\n\r\n")),
        ipv4(17, udp(response(ASKED[0]), SERVER, CLIENT), SERVER, CLIENT),
        ipv4(6, tcp(stream[100:], 101)),
    ]
    found = [
        (message.frame_number, message.at, message.transport, message.source, message.octets)
        for message in read_messages(capture(tmp_path, packets))
    ]
    assert found == [
        (1, 1.0, "UDP", CLIENT, ASKED[0]),
        (4, 4.0, "UDP", SERVER, response(ASKED[0])),
        (5, 5.0, "TCP", CLIENT, stream),
    ]


def test_a_datagram_without_start_line_counts_from_one_who_speaks_sip(tmp_path):
    broken, dns = b"MESSAGE\r\n\r\n", b"\x12\x34\x01\x00"
    packets = [
        ipv4(17, udp(broken)),
        ipv4(17, udp(ASKED[0])),
        ipv4(17, udp(broken)),
        ipv4(17, udp(dns, (CLIENT[0], 53)), (CLIENT[0], 53)),
    ]
    found = [message.octets for message in read_messages(capture(tmp_path, packets))]
    assert found == [ASKED[0], broken]


def test_what_stands_before_a_cut_is_delivered_also_from_behind_a_gap(tmp_path):
    path = capture(
        tmp_path,
        [
            ipv4(6, tcp(ASKED[0], 1)),
            ipv4(6, tcp(ASKED[1], 1 + len(ASKED[0]) + 9)),
            ipv4(17, udp(ASKED[2])),
        ],
    )
    path.write_bytes(path.read_bytes()[:-30])
    messages = read_messages(path)
    assert [next(messages).octets, next(messages).octets] == ASKED[:2]
    with pytest.raises(CaptureError, match="cut short after packet 2"):
        next(messages)


def test_streams_in_tls_are_counted(tmp_path):
    reader = CaptureReader(capture(tmp_path, [ipv4(6, tcp(b"\x16\x03\x01\x00\x05hello", 1))]))
    assert list(reader) == []
    assert reader.encrypted_streams == 1
    assert reader.packets == 1


def test_a_reader_may_be_left_early(tmp_path):
    path = capture(tmp_path, [ipv4(17, udp(octets)) for octets in ASKED])
    messages = read_messages(path)
    assert next(messages).octets == ASKED[0]
    messages.close()


def test_a_missing_file_is_one_clear_line(tmp_path):
    with pytest.raises(CaptureError, match=r"nowhere\.pcap: No such file or directory$"):
        read_messages(tmp_path / "nowhere.pcap")
