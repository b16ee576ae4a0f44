"""Reading the containers: pcap and pcapng files as a stream of packets.

draft-ietf-opsawg-pcap (both byte orders, micro- and nanoseconds) and draft-ietf-opsawg-pcapng
(any number of sections and interfaces, each with its own byte order, link type and resolution).
One block is in memory at a time. Whatever stands before a fault is delivered first, then one
:class:`CaptureError` tells what is wrong.

Our own because dpkt 1.9.8 reads one interface and one section only and drops what it cannot
name, and python-pcapng knows no pcap; packet formats above are dpkt's.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from acm_sip.errors import CaptureError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

__all__ = ["Packet", "open_capture", "read_packets"]

# The largest packet that libpcap writes (MAXIMUM_SNAPLEN of USB); above it, it is no capture.
MAX_PACKET_OCTETS: Final = 128 * 1024 * 1024
_PCAP_MAGIC: Final = {
    b"\xa1\xb2\xc3\xd4": (">", 1_000),
    b"\xd4\xc3\xb2\xa1": ("<", 1_000),
    b"\xa1\xb2\x3c\x4d": (">", 1),
    b"\x4d\x3c\xb2\xa1": ("<", 1),
}
_SECTION_HEADER: Final = b"\x0a\x0d\x0d\x0a"
_ORDER: Final = {b"\x1a\x2b\x3c\x4d": ">", b"\x4d\x3c\x2b\x1a": "<"}
_INTERFACE_DESCRIPTION: Final = 1
_OBSOLETE_PACKET: Final = 2
_SIMPLE_PACKET: Final = 3
_ENHANCED_PACKET: Final = 6


class Packet(NamedTuple):
    """One captured packet.

    *number* counts from 1 as tshark's frame numbers do; *time_ns* is UTC nanoseconds of the
    epoch; *original_octets* exceeds ``len(octets)`` when the capture cut the packet.
    """

    number: int
    time_ns: int
    link_type: int
    octets: bytes
    original_octets: int


@dataclass(frozen=True, slots=True)
class _Interface:
    link_type: int
    snap_octets: int
    unit_numerator: int  # nanoseconds for one unit of the clock, as a fraction
    unit_denominator: int
    offset_ns: int


def open_capture(path: str | Path) -> BinaryIO:
    """Open a capture for reading; :raises CaptureError: when the file cannot be opened."""
    try:
        return Path(path).open("rb")
    except OSError as error:
        raise CaptureError(f"{path}: {error.strerror}") from error


def read_packets(stream: BinaryIO, name: str) -> Iterator[Packet]:
    """Yield the packets of a pcap or pcapng stream.

    :param stream: a binary stream that returns as many octets as asked for, or is at its end.
    :param name: what the error calls it.
    :raises CaptureError: after the last whole packet, when the stream is cut or no capture.
    """
    try:
        magic = stream.read(4)
        if magic in _PCAP_MAGIC:
            yield from _read_pcap(stream, *_PCAP_MAGIC[magic])
        elif magic == _SECTION_HEADER:
            yield from _read_pcapng(stream)
        elif not magic:
            raise CaptureError("is empty")
        elif magic[:2] == b"\x1f\x8b":
            raise CaptureError("is compressed with gzip; decompress it first")
        else:
            raise CaptureError("is neither pcap nor pcapng")
    except CaptureError as error:
        raise CaptureError(f"{name} {error}") from None
    except OSError as error:
        raise CaptureError(f"{name} cannot be read: {error.strerror}") from error


def _read(stream: BinaryIO, octets: int, number: int) -> bytes:
    data = stream.read(octets)
    if len(data) < octets:
        raise CaptureError(f"is cut short after packet {number}")
    return data


def _read_pcap(stream: BinaryIO, order: str, unit_ns: int) -> Iterator[Packet]:
    head = _read(stream, 20, 0)
    link_type = struct.unpack(order + "I", head[16:])[0] & 0xFFFF
    record = struct.Struct(order + "IIII")
    number = 0
    while head := stream.read(16):
        if len(head) < 16:
            raise CaptureError(f"is cut short after packet {number}")
        seconds, fraction, captured, original = record.unpack(head)
        if captured > MAX_PACKET_OCTETS:
            raise CaptureError(f"is damaged after packet {number}")
        octets = _read(stream, captured, number)
        number += 1
        time_ns = seconds * 1_000_000_000 + fraction * unit_ns
        yield Packet(number, time_ns, link_type, octets, original)


def _read_pcapng(stream: BinaryIO) -> Iterator[Packet]:
    order = "<"
    interfaces: list[_Interface] = []
    number = 0
    kind = _SECTION_HEADER
    while kind:
        if len(kind) < 4:
            raise CaptureError(f"is cut short after packet {number}")
        length_octets = _read(stream, 4, number)
        if kind == _SECTION_HEADER:
            byte_order_magic = _read(stream, 4, number)
            if byte_order_magic not in _ORDER:
                raise CaptureError(f"is damaged after packet {number}")
            order = _ORDER[byte_order_magic]
            _read_body(stream, order, length_octets, number, taken_octets=12)
            interfaces = []
        else:
            body = _read_body(stream, order, length_octets, number, taken_octets=8)
            (block_type,) = struct.unpack(order + "I", kind)
            if block_type == _INTERFACE_DESCRIPTION:
                interfaces.append(_interface(body, order, number))
            elif block_type in (_ENHANCED_PACKET, _OBSOLETE_PACKET, _SIMPLE_PACKET):
                number += 1
                yield _packet(block_type, body, order, interfaces, number)
        kind = stream.read(4)


def _read_body(
    stream: BinaryIO, order: str, length_octets: bytes, number: int, taken_octets: int
) -> bytes:
    """Return a block's body without the two lengths, which must agree."""
    (length,) = struct.unpack(order + "I", length_octets)
    if length % 4 or not taken_octets + 4 <= length <= MAX_PACKET_OCTETS:
        raise CaptureError(f"is damaged after packet {number}")
    body = _read(stream, length - taken_octets, number)
    if struct.unpack(order + "I", body[-4:]) != (length,):
        raise CaptureError(f"is damaged after packet {number}")
    return body[:-4]


def _interface(body: bytes, order: str, number: int) -> _Interface:
    if len(body) < 8:
        raise CaptureError(f"is damaged after packet {number}")
    link_type, _, snap_octets = struct.unpack(order + "HHI", body[:8])
    numerator, denominator, offset_ns = 1_000, 1, 0
    for code, value in _options(body[8:], order):
        if code == 9 and len(value) == 1:
            power = value[0] & 0x7F
            base = 2 if value[0] & 0x80 else 10
            numerator, denominator = 1_000_000_000, base**power
        elif code == 14 and len(value) == 8:
            offset_ns = struct.unpack(order + "q", value)[0] * 1_000_000_000
    return _Interface(link_type, snap_octets, numerator, denominator, offset_ns)


def _options(octets: bytes, order: str) -> Iterator[tuple[int, bytes]]:
    start = 0
    while start + 4 <= len(octets):
        code, length = struct.unpack(order + "HH", octets[start : start + 4])
        if code == 0:
            return
        yield code, octets[start + 4 : start + 4 + length]
        start += 4 + length + -length % 4


def _packet(
    block_type: int, body: bytes, order: str, interfaces: list[_Interface], number: int
) -> Packet:
    try:
        if block_type == _SIMPLE_PACKET:
            interface = interfaces[0]
            (original,) = struct.unpack_from(order + "I", body)
            # The captured length stands nowhere: it is the shorter of the two bounds.
            captured = min(original, interface.snap_octets or original, len(body) - 4)
            return Packet(number, 0, interface.link_type, body[4 : 4 + captured], original)
        layout = "IIIII" if block_type == _ENHANCED_PACKET else "HxxIIII"
        index, high, low, captured, original = struct.unpack_from(order + layout, body)
        interface = interfaces[index]
    except (IndexError, struct.error):
        raise CaptureError(f"is damaged after packet {number - 1}") from None
    if captured > len(body) - 20:
        raise CaptureError(f"is damaged after packet {number - 1}")
    units = high << 32 | low
    time_ns = units * interface.unit_numerator // interface.unit_denominator + interface.offset_ns
    return Packet(number, time_ns, interface.link_type, body[20 : 20 + captured], original)
