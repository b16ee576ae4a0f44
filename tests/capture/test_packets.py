"""The containers: every byte order and resolution, and files that are cut or foreign."""

from __future__ import annotations

import io
import struct

import pytest

from acm_sip.capture.packets import MAX_PACKET_OCTETS, Packet, read_packets
from acm_sip.capture.pcapng import interface_block, packet_block, section_block
from acm_sip.errors import CaptureError


def read(octets: bytes) -> list[Packet]:
    return list(read_packets(io.BytesIO(octets), "x.pcap"))


def pcap(order: str, magic: int, fraction: int) -> bytes:
    head = struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 65535, 1)
    return head + struct.pack(order + "IIII", 5, fraction, 3, 60) + b"abc"


def block(order: str, kind: int, body: bytes) -> bytes:
    body += b"\0" * (-len(body) % 4)
    length = struct.pack(order + "I", 12 + len(body))
    return struct.pack(order + "I", kind) + length + body + length


def section(order: str) -> bytes:
    return block(order, 0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1))


def enhanced(order: str, interface: int, units: int, octets: bytes) -> bytes:
    head = (interface, units >> 32, units & 0xFFFFFFFF, len(octets), len(octets))
    return block(order, 6, struct.pack(order + "IIIII", *head) + octets)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("magic", "fraction"), [(0xA1B2C3D4, 250_000), (0xA1B23C4D, 250_000_000)])
def test_pcap_of_either_byte_order_and_resolution(order, magic, fraction):
    assert read(pcap(order, magic, fraction)) == [Packet(1, 5_250_000_000, 1, b"abc", 60)]


@pytest.mark.parametrize("order", ["<", ">"])
def test_pcapng_sections_interfaces_resolutions_and_offsets(order):
    nanoseconds = struct.pack(order + "HHB3xHHqHH", 9, 1, 9, 14, 8, 100, 0, 0)
    binary = struct.pack(order + "HHB3x", 9, 1, 0x80 | 10)
    interfaces = [
        block(order, 1, struct.pack(order + "HHI", link_type, 0, 2) + options)
        for link_type, options in ((1, b""), (101, nanoseconds), (113, binary))
    ]
    octets = section(order) + b"".join(interfaces)
    octets += enhanced(order, 0, 1_000_000, b"micro") + enhanced(order, 1, 7, b"nano")
    octets += block(order, 0x0BAD, b"unknown") + enhanced(order, 2, 512, b"binary")
    octets += block(order, 2, struct.pack(order + "HHIIII", 0, 0, 0, 9, 3, 3) + b"old")
    octets += block(order, 3, struct.pack(order + "I", 60) + b"simple")
    # A second section begins anew, in the other byte order.
    other = ">" if order == "<" else "<"
    octets += section(other) + block(other, 1, struct.pack(other + "HHI", 0, 0, 0))
    octets += enhanced(other, 0, 3, b"second")
    assert [packet[1:4] for packet in read(octets)] == [
        (1_000_000_000, 1, b"micro"),
        (100_000_000_007, 101, b"nano"),
        (500_000_000, 113, b"binary"),
        (9_000, 1, b"old"),
        (0, 1, b"si"),
        (3_000, 0, b"second"),
    ]


@pytest.mark.parametrize(
    "octets",
    [
        pytest.param(section_block() + interface_block(1) + packet_block(1, b"abcd"), id="pcapng"),
        pytest.param(pcap("<", 0xA1B2C3D4, 0), id="pcap"),
    ],
)
def test_a_file_cut_anywhere_gives_what_stands_before_and_then_one_error(octets):
    second = packet_block(2, b"efgh") if octets[:1] == b"\n" else octets[24:]
    for end in range(1, len(second)):
        found = []
        with pytest.raises(CaptureError, match=r"^x\.pcap is cut short after packet 1$"):
            found.extend(read_packets(io.BytesIO(octets + second[:end]), "x.pcap"))
        packets = read_packets(io.BytesIO(octets + second[:end]), "x.pcap")
        assert next(packets).number == 1
    assert len(read(octets + second)) == 2


@pytest.mark.parametrize(
    ("octets", "text"),
    [
        (b"", "x.pcap is empty"),
        (b"MESSAGE sip:a@b SIP/2.0\r\n", "x.pcap is neither pcap nor pcapng"),
        (b"\x1f\x8b\x08\x00", "x.pcap is compressed with gzip; decompress it first"),
        (b"\xd4\xc3\xb2\xa1", "x.pcap is cut short after packet 0"),
        (b"\n\r\r\n" + bytes(20), "x.pcap is damaged after packet 0"),
        (section_block() + packet_block(0, b"x"), "x.pcap is damaged after packet 0"),
        (
            pcap("<", 0xA1B2C3D4, 0) + struct.pack("<IIII", 0, 0, MAX_PACKET_OCTETS + 1, 0),
            "x.pcap is damaged after packet 1",
        ),
        (section("<") + b"\6\0\0\0\xff\xff\xff\xff", "x.pcap is damaged after packet 0"),
        (section("<")[:-4] + b"\0\0\0\0", "x.pcap is damaged after packet 0"),
        (section("<") + block("<", 1, b""), "x.pcap is damaged after packet 0"),
        (
            section_block()
            + interface_block(1)
            + block("<", 6, struct.pack("<IIIII", 0, 0, 0, 99, 99)),
            "x.pcap is damaged after packet 0",
        ),
    ],
)
def test_a_foreign_or_damaged_file_is_one_clear_line(octets, text):
    with pytest.raises(CaptureError) as caught:
        read(octets)
    assert str(caught.value) == text
