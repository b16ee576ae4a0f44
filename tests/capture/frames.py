"""Frames and files as other programs write them, built by hand."""

from __future__ import annotations

import struct
from pathlib import Path

import dpkt

from acm_sip.capture.packets import Packet

ETHERNET, NULL, RAW, SLL, SLL2 = 1, 0, 101, 113, 276
CLIENT, SERVER = ("10.0.0.1", 40000), ("10.0.0.2", 5060)
CLIENT6, SERVER6 = ("2001:db8::1", 40000), ("2001:db8::2", 5060)
SYN, ACK, FIN, RST = 2, 16, 1, 4


def packet(octets: bytes, link_type: int = RAW, at_ns: int = 0, number: int = 1) -> Packet:
    return Packet(number, at_ns, link_type, octets, len(octets))


def address(host: str) -> bytes:
    if ":" in host:
        return dpkt.utils.socket.inet_pton(dpkt.utils.socket.AF_INET6, host)
    return bytes(map(int, host.split(".")))


def udp(payload: bytes, source=CLIENT, destination=SERVER) -> bytes:
    return struct.pack("!HHHH", source[1], destination[1], 8 + len(payload), 0) + payload


def tcp(
    payload: bytes,
    number: int,
    source=CLIENT,
    destination=SERVER,
    *,
    flags: int = ACK,
    acknowledged: int = 1,
) -> bytes:
    head = (
        source[1],
        destination[1],
        number & 0xFFFFFFFF,
        acknowledged,
        5 << 4,
        flags,
        65535,
        0,
        0,
    )
    return struct.pack("!HHIIBBHHH", *head) + payload


def ipv4(
    protocol: int,
    payload: bytes,
    source=CLIENT,
    destination=SERVER,
    *,
    identification: int = 1,
    offset: int = 0,
    more: bool = False,
) -> bytes:
    flags = (0x2000 if more else 0) | offset // 8
    length = 20 + len(payload)
    head = struct.pack("!BBHHHBBH", 0x45, 0, length, identification, flags, 64, protocol, 0)
    return head + address(source[0]) + address(destination[0]) + payload


def ipv6(next_header: int, payload: bytes, source=CLIENT6, destination=SERVER6) -> bytes:
    head = struct.pack("!IHBB", 6 << 28, len(payload), next_header, 64)
    return head + address(source[0]) + address(destination[0]) + payload


def ethernet(payload: bytes, ether_type: int = 0x0800, tags: bytes = b"") -> bytes:
    return b"\2" * 12 + tags + struct.pack("!H", ether_type) + payload


def pcap(path: Path, frames: list[tuple[float, bytes]], link_type: int, order: str = "<") -> Path:
    """Write a pcap file with microseconds."""
    octets = struct.pack(order + "IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, link_type)
    for at, frame in frames:
        seconds, micros = divmod(round(at * 1_000_000), 1_000_000)
        octets += struct.pack(order + "IIII", seconds, micros, len(frame), len(frame)) + frame
    path.write_bytes(octets)
    return path
