"""What the writer writes, read back and checked against the RFCs' own arithmetic."""

from __future__ import annotations

import io

import dpkt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from acm_sip.capture.packets import read_packets
from acm_sip.capture.pcapng import MAX_SEGMENT_OCTETS, MAX_UDP_OCTETS, PcapngWriter
from acm_sip.errors import LocalProtocolError

PAIRS = [
    pytest.param(("10.0.0.1", 5060), ("10.0.0.2", 40000), id="IPv4"),
    pytest.param(("2001:db8::1", 5060), ("fe80::2%eth0", 40000), id="IPv6"),
]


def packets_of(stream: io.BytesIO) -> list[bytes]:
    stream.seek(0)
    return [packet.octets for packet in read_packets(stream, "capture")]


def ones_complement_sum(octets: bytes) -> int:
    """RFC 1071 as the RFC writes it, word by word."""
    octets += b"\0" * (len(octets) % 2)
    total = 0
    for index in range(0, len(octets), 2):
        total += octets[index] << 8 | octets[index + 1]
        total = (total & 0xFFFF) + (total >> 16)
    return total


def assert_checksums(octets: bytes) -> None:
    if octets[0] >> 4 == 4:
        head, segment, protocol = octets[:20], octets[20:], octets[9]
        assert ones_complement_sum(head) == 0xFFFF
        assert int.from_bytes(head[2:4], "big") == len(octets)
        pseudo = head[12:20] + bytes((0, protocol)) + len(segment).to_bytes(2, "big")
    else:
        head, segment, protocol = octets[:40], octets[40:], octets[6]
        assert int.from_bytes(head[4:6], "big") == len(segment)
        pseudo = head[8:40] + len(segment).to_bytes(4, "big") + bytes((0, 0, 0, protocol))
    assert ones_complement_sum(pseudo + segment) == 0xFFFF


@pytest.mark.parametrize(("source", "destination"), PAIRS)
@pytest.mark.parametrize("length", [0, 1, 2, 3199, 3200, MAX_UDP_OCTETS])
def test_udp_datagram_has_right_lengths_and_checksums(source, destination, length):
    stream = io.BytesIO()
    payload = bytes(range(256)) * (length // 256) + bytes(length % 256)
    PcapngWriter(stream).write_udp(1.5, source, destination, payload)
    (octets,) = packets_of(stream)
    assert_checksums(octets)
    assert octets.endswith(payload)


@given(st.binary(max_size=64), st.integers(0, 65535), st.integers(0, 65535))
def test_udp_checksum_is_right_and_never_zero(payload, one_port, other_port):
    stream = io.BytesIO()
    PcapngWriter(stream).write_udp(0, ("0.0.0.0", one_port), ("0.0.0.0", other_port), payload)
    (octets,) = packets_of(stream)
    assert_checksums(octets)
    assert octets[26:28] != b"\0\0"  # RFC 768: zero means "no checksum"


@given(st.binary(max_size=64), st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
def test_tcp_checksum_is_right_for_any_numbers(payload, sequence, acknowledgement):
    stream = io.BytesIO()
    writer = PcapngWriter(stream)
    ends = (("::1", 1), ("::1", 2))
    writer.write_tcp_data(
        0, *ends, payload, sequence_number=sequence, acknowledgement_number=acknowledgement
    )
    writer.write_tcp_close(0, *ends, sequence_number=sequence, acknowledgement_number=1)
    writer.write_tcp_open(0, *ends, sequence_number=sequence)
    for octets in packets_of(stream):
        assert_checksums(octets)


@pytest.mark.parametrize(("source", "destination"), PAIRS)
def test_long_stream_is_cut_into_numbered_segments(source, destination):
    stream = io.BytesIO()
    payload = bytes(range(251)) * 1200
    PcapngWriter(stream).write_tcp_data(
        0, source, destination, payload, sequence_number=2**32 - 5, acknowledgement_number=7
    )
    packets = packets_of(stream)
    header = 20 if ":" not in source[0] else 40
    segments = [dpkt.tcp.TCP(octets[header:]) for octets in packets]
    assert b"".join(segment.data for segment in segments) == payload
    assert [segment.seq for segment in segments[:2]] == [2**32 - 5, MAX_SEGMENT_OCTETS - 5]
    assert [bool(segment.flags & dpkt.tcp.TH_PUSH) for segment in segments] == [
        *[False] * (len(segments) - 1),
        True,
    ]
    for octets in packets:
        assert_checksums(octets)
        assert len(octets) <= 65_535 + (20 if header == 40 else 0)


def test_time_is_kept_to_the_microsecond():
    stream = io.BytesIO()
    PcapngWriter(stream).write_udp(1_795_000_000.123456, ("::1", 1), ("::1", 2), b"x")
    stream.seek(0)
    (packet,) = read_packets(stream, "capture")
    assert packet.time_ns == 1_795_000_000_123_456_000


def test_an_ipv4_peer_of_an_ipv6_socket_is_written_as_ipv4():
    stream = io.BytesIO()
    writer = PcapngWriter(stream)
    writer.write_udp(0, ("::ffff:10.0.0.1", 1), ("10.0.0.2", 2), b"x")
    writer.write_udp(0, ("::", 1), ("10.0.0.2", 2), b"x")
    mapped, unspecified = packets_of(stream)
    assert mapped[12:20] == bytes((10, 0, 0, 1, 10, 0, 0, 2))
    assert unspecified[12:20] == bytes((0, 0, 0, 0, 10, 0, 0, 2))


@pytest.mark.parametrize(
    ("source", "destination", "length"),
    [
        (("::1", 1), ("::1", 2), MAX_UDP_OCTETS + 1),
        (("::1", 1), ("10.0.0.1", 2), 1),
        (("server.example", 1), ("10.0.0.1", 2), 1),
    ],
    ids=["too long", "two IP versions", "a name"],
)
def test_what_no_packet_can_carry_is_refused_and_leaves_nothing(source, destination, length):
    stream = io.BytesIO()
    writer = PcapngWriter(stream)
    with pytest.raises(LocalProtocolError):
        writer.write_udp(0, source, destination, b"x" * length)
    assert packets_of(stream) == []
