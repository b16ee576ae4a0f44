"""Link types, IP versions and fragments."""

from __future__ import annotations

import itertools
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acm_sip.capture import dissection
from acm_sip.capture.dissection import Datagram, Dissector, Segment

from . import frames
from .frames import CLIENT, CLIENT6, SERVER, SERVER6, ethernet, ipv4, ipv6, packet, tcp, udp

IP = ipv4(17, udp(b"payload"))
IP6 = ipv6(17, udp(b"payload", CLIENT6, SERVER6))
VLAN = struct.pack("!HH", 0x8100, 5)
SLL_HEAD = struct.pack("!HHH8s", 0, 1, 6, b"")
OF_LINK_TYPES = {
    "Ethernet": (frames.ETHERNET, ethernet(IP)),
    "Ethernet, padded": (frames.ETHERNET, ethernet(IP) + bytes(20)),
    "Ethernet, VLAN": (frames.ETHERNET, ethernet(IP, tags=VLAN)),
    "Ethernet, two VLANs": (
        frames.ETHERNET,
        ethernet(IP, tags=struct.pack("!HH", 0x88A8, 7) + VLAN),
    ),
    "Ethernet, IPv6": (frames.ETHERNET, ethernet(IP6, 0x86DD)),
    "BSD loopback, little-endian": (frames.NULL, struct.pack("<I", 2) + IP),
    "BSD loopback, big-endian, IPv6": (frames.NULL, struct.pack(">I", 30) + IP6),
    "OpenBSD loopback": (108, struct.pack(">I", 2) + IP),
    "raw": (frames.RAW, IP),
    "raw of BSD": (12, IP),
    "raw IPv6": (229, IP6),
    "Linux cooked": (frames.SLL, SLL_HEAD + b"\x08\x00" + IP),
    "Linux cooked, IPv6": (frames.SLL, SLL_HEAD + b"\x86\xdd" + IP6),
    "Linux cooked, VLAN": (frames.SLL, SLL_HEAD + b"\x81\x00\x00\x05\x08\x00" + IP),
    "Linux cooked 2": (frames.SLL2, struct.pack("!HHiHBB8s", 0x0800, 0, 1, 1, 0, 6, b"") + IP),
    "IPv6 with options": (
        frames.RAW,
        ipv6(0, bytes((60, 0, 1, 4, 0, 0, 0, 0)) + bytes((17, 0, 1, 4, 0, 0, 0, 0)) + IP6[40:]),
    ),
}


@pytest.mark.parametrize("name", OF_LINK_TYPES)
def test_a_datagram_is_found_on_every_link(name):
    link_type, octets = OF_LINK_TYPES[name]
    found = Dissector().dissect(packet(octets, link_type))
    ends = (CLIENT6, SERVER6) if IP6[8:40] in octets else (CLIENT, SERVER)
    assert found == Datagram(*ends, b"payload", False)


def test_a_segment_keeps_its_numbers_and_flags():
    octets = ipv4(6, tcp(b"data", 2**32 - 1, flags=frames.ACK | frames.FIN, acknowledged=9))
    assert Dissector().dissect(packet(octets)) == Segment(
        CLIENT, SERVER, 2**32 - 1, 9, False, True, False, b"data"
    )


@pytest.mark.parametrize(
    ("link_type", "octets"),
    [
        (frames.ETHERNET, ethernet(b"arp", 0x0806)),
        (frames.SLL, SLL_HEAD + b"\x08\x06arp"),
        (frames.RAW, ipv4(1, b"\x08\0\0\0icmp")),
        (frames.RAW, b"\x00"),
        (frames.RAW, b""),
        (frames.ETHERNET, b"short"),
        (9999, IP),
    ],
)
def test_anything_else_is_nothing(link_type, octets):
    assert Dissector().dissect(packet(octets, link_type)) is None


def test_a_datagram_cut_by_the_capture_says_so():
    cut = packet(IP[:-3])._replace(original_octets=len(IP))
    assert Dissector().dissect(cut) == Datagram(CLIENT, SERVER, b"payl", True)


def fragments4(segment: bytes, size: int, identification: int = 1) -> list[bytes]:
    return [
        ipv4(
            17,
            segment[start : start + size],
            identification=identification,
            offset=start,
            more=start + size < len(segment),
        )
        for start in range(0, len(segment), size)
    ]


def fragments6(segment: bytes, size: int) -> list[bytes]:
    found = []
    for start in range(0, len(segment), size):
        more = start + size < len(segment)
        head = struct.pack("!BBHI", 17, 0, start | more, 77)
        found.append(ipv6(44, head + segment[start : start + size]))
    return found


PAYLOAD = bytes(range(50))


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("version", [4, 6])
def test_fragments_in_any_order_make_one_datagram(version, order):
    ends = (CLIENT, SERVER) if version == 4 else (CLIENT6, SERVER6)
    segment = udp(PAYLOAD, *ends)
    pieces = fragments4(segment, 24) if version == 4 else fragments6(segment, 24)
    dissector = Dissector()
    found = [dissector.dissect(packet(pieces[index])) for index in (order[0], *order)]
    assert found == [None, None, None, Datagram(*ends, PAYLOAD, False)]
    assert dissector._fragment_octets == 0


def test_fragments_of_two_datagrams_do_not_mix():
    dissector = Dissector()
    one, other = fragments4(udp(b"a" * 40), 24, 1), fragments4(udp(b"b" * 40), 24, 2)
    assert [dissector.dissect(packet(piece)) for piece in (one[0], other[1])] == [None, None]
    assert dissector.dissect(packet(other[0])).octets == b"b" * 40
    assert dissector.dissect(packet(one[1])).octets == b"a" * 40


def test_fragments_older_than_a_minute_do_not_join():
    dissector = Dissector()
    first, second = fragments4(udp(b"a" * 40), 24)
    dissector.dissect(packet(first))
    later = dissection.FRAGMENT_LIFETIME_NS + 1
    assert dissector.dissect(packet(second, at_ns=later)) is None


def test_fragments_that_wait_are_bounded(monkeypatch):
    monkeypatch.setattr(dissection, "MAX_FRAGMENTED_DATAGRAMS", 3)
    monkeypatch.setattr(dissection, "MAX_FRAGMENT_OCTETS", 50)
    dissector = Dissector()
    for identification in range(10):
        dissector.dissect(packet(fragments4(udp(b"a" * 40), 24, identification)[0]))
    assert len(dissector._fragments) == 2
    assert dissector._fragment_octets == 48


@given(st.sampled_from(sorted(OF_LINK_TYPES)), st.data(), st.binary(max_size=4), st.integers(0, 90))
def test_nothing_a_packet_holds_makes_the_dissector_fail(name, data, patch, place):
    link_type, octets = OF_LINK_TYPES[name]
    broken = octets[:place] + patch + octets[place + len(patch) :]
    broken = broken[: data.draw(st.integers(0, len(broken)))]
    Dissector().dissect(packet(broken, link_type))


def test_headers_nested_without_end_do_not_exhaust_the_stack():
    octets = b""
    for _ in range(2000):
        octets = ipv4(4, octets)
    assert Dissector().dissect(packet(octets)) is None
