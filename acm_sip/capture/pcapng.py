"""Writing SIP messages as pcapng: blocks, IP, UDP and TCP headers, checksums.

The file format is draft-ietf-opsawg-pcapng: one section header, one interface of
LINKTYPE_RAW (the packet starts with its IP header, so IPv4 and IPv6 fit one interface), one
enhanced packet block for each packet. IPv4 RFC 791, IPv6 RFC 8200, UDP RFC 768, TCP RFC 9293,
checksums RFC 1071. Times are whole microseconds of UTC, as exact as a float of the epoch is.

Nothing was on a wire: the packets are what the messages would have been on a path without
fragmentation. A UDP message is one datagram; a TCP stream is cut at the largest segment of IPv4.

Deliberately absent: IP fragments (the largest UDP payload fits one IP packet), IPv6 jumbograms,
options other than those of a SYN. Numbering a TCP stream is the recorder's part.
"""

from __future__ import annotations

import ipaddress
import platform
import struct
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from acm_sip.errors import LocalProtocolError

if TYPE_CHECKING:
    from typing import BinaryIO

__all__ = [
    "LINKTYPE_RAW",
    "MAX_SEGMENT_OCTETS",
    "MAX_UDP_OCTETS",
    "Endpoint",
    "PcapngWriter",
    "interface_block",
    "packet_block",
    "section_block",
]

Endpoint = tuple[str, int]
"""A host (IP address in text) and a port."""

LINKTYPE_RAW: Final = 101
MAX_SEGMENT_OCTETS: Final = 65_495  # 65,535 of an IPv4 packet less two headers of 20
MAX_UDP_OCTETS: Final = 65_507  # RFC 768 over RFC 791: 65,535 - 20 - 8
_SNAP_OCTETS: Final = 262_144  # what tcpdump and dumpcap write for "everything"

_BYTE_ORDER_MAGIC: Final = 0x1A2B3C4D
_SECTION_HEADER: Final = 0x0A0D0D0A
_INTERFACE_DESCRIPTION: Final = 1
_ENHANCED_PACKET: Final = 6
_BLOCK: Final = struct.Struct("<IIIIIII")
_TRAILER: Final = struct.Struct("<I")
_PADDING: Final = (b"", b"\0\0\0", b"\0\0", b"\0")  # to 4 octets, by the length modulo 4
_IPV4: Final = struct.Struct("!BBHHHBBH8s")
_IPV6: Final = struct.Struct("!IHBB32s")
_UDP: Final = struct.Struct("!HHHH")
_TCP: Final = struct.Struct("!HHIIBBHHH")

_PROTOCOL_TCP: Final = 6
_PROTOCOL_UDP: Final = 17
_HOP_LIMIT: Final = 64  # RFC 1700's recommended default, and Linux's
_DO_NOT_FRAGMENT: Final = 0x4000  # with it the identification may stay 0 (RFC 6864 4.1)

FIN: Final = 0x01
SYN: Final = 0x02
PUSH: Final = 0x08
ACK: Final = 0x10
_WINDOW: Final = 0xFFFF
# In a SYN: MSS, then window scale 14 (the most RFC 7323 allows), so that a reader never sees a
# window that is full although nobody acknowledges a one-way stream.
_SYN_OPTIONS: Final = struct.pack("!BBHBBBB", 2, 4, MAX_SEGMENT_OCTETS, 1, 3, 3, 14)


class _Path(NamedTuple):
    """What every packet from one host to another has in common."""

    is_ipv6: bool
    addresses: bytes  # source, destination
    checksum_base: int  # sum of the address words, for the pseudo-headers


@lru_cache(maxsize=4096)
def _path(source: str, destination: str) -> _Path:
    ends = [_address(source), _address(destination)]
    if {end.version for end in ends} == {4, 6}:
        # A socket bound to "::" that serves an IPv4 peer.
        ends = [ipaddress.IPv4Address(0) if end.is_unspecified else end for end in ends]
        if {end.version for end in ends} != {4}:
            raise LocalProtocolError(f"{source} and {destination} are of different IP versions")
    addresses = ends[0].packed + ends[1].packed
    return _Path(ends[0].version == 6, addresses, int.from_bytes(addresses, "big") % 0xFFFF)


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    try:
        address = ipaddress.ip_address(host.strip("[]").partition("%")[0])
    except ValueError as error:
        raise LocalProtocolError(f"not an IP address: {host!r}") from error
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def _word_sum(octets: bytes) -> int:
    """Return the sum of the 16-bit words modulo 65,535 (RFC 1071: that is the ones' complement).

    One division of a long integer, which costs less than a loop over the words.
    """
    total = int.from_bytes(octets, "big") % 0xFFFF
    return total << 8 if len(octets) & 1 else total


def _ip_header(path: _Path, protocol: int, segment_octets: int) -> bytes:
    """Return the IP header in front of a segment of *segment_octets*."""
    if path.is_ipv6:
        return _IPV6.pack(0x6000_0000, segment_octets, protocol, _HOP_LIMIT, path.addresses)
    length = 20 + segment_octets
    words = 0x4500 + length + _DO_NOT_FRAGMENT + (_HOP_LIMIT << 8 | protocol) + path.checksum_base
    checksum = 0xFFFF - words % 0xFFFF
    return _IPV4.pack(
        0x45,
        0,
        length,
        0,
        _DO_NOT_FRAGMENT,
        _HOP_LIMIT,
        protocol,
        checksum % 0xFFFF,
        path.addresses,
    )


def section_block(*, hardware: str = "", os: str = "", application: str = "") -> bytes:
    """Return a section header block in little-endian order, of unknown section length."""
    options = b"".join(
        _option(code, text.encode())
        for code, text in ((2, hardware), (3, os), (4, application))
        if text
    )
    body = struct.pack("<IHHq", _BYTE_ORDER_MAGIC, 1, 0, -1) + options
    return _block(_SECTION_HEADER, body + (_option(0, b"") if options else b""))


def interface_block(link_type: int, resolution: int = 6) -> bytes:
    """Return an interface description block; times in units of 10 ** -*resolution* seconds."""
    body = struct.pack("<HHI", link_type, 0, _SNAP_OCTETS)
    if resolution != 6:
        body += _option(9, bytes((resolution,))) + _option(0, b"")
    return _block(_INTERFACE_DESCRIPTION, body)


def packet_block(
    units: int, packet: bytes, *, interface: int = 0, original_octets: int | None = None
) -> bytes:
    """Return an enhanced packet block; *units* is the time in the interface's resolution."""
    length = len(packet)
    total = 32 + (length + 3 & ~3)
    head = _BLOCK.pack(
        _ENHANCED_PACKET,
        total,
        interface,
        units >> 32,
        units & 0xFFFF_FFFF,
        length,
        length if original_octets is None else original_octets,
    )
    return b"".join((head, packet, _PADDING[length & 3], _TRAILER.pack(total)))


def _option(code: int, value: bytes) -> bytes:
    return struct.pack("<HH", code, len(value)) + value + b"\0" * (-len(value) % 4)


def _block(block_type: int, body: bytes) -> bytes:
    total = 12 + len(body)
    return struct.pack("<II", block_type, total) + body + struct.pack("<I", total)


class PcapngWriter:
    """Writes messages to a binary stream as the packets that would have carried them.

    :param stream: a binary stream; neither flushed nor closed here.
    :param hardware: free text for the section header, as are *os* and *application*.

    Times are UTC seconds of the epoch; source and destination are ``(IP address, port)``.
    Every method raises :class:`LocalProtocolError` on what no packet can carry, and the stream's
    own OSError.
    """

    def __init__(
        self,
        stream: BinaryIO,
        *,
        hardware: str = "",
        os: str = "",
        application: str = "acm-sip",
    ) -> None:
        self._write = stream.write
        system = os or f"{platform.system()} {platform.release()}"
        self._write(
            section_block(hardware=hardware, os=system, application=application)
            + interface_block(LINKTYPE_RAW)
        )

    def write_udp(self, at: float, source: Endpoint, destination: Endpoint, payload: bytes) -> None:
        """Write one datagram of at most 65,507 octets of payload."""
        if len(payload) > MAX_UDP_OCTETS:
            raise LocalProtocolError(f"{len(payload)} octets do not fit a UDP datagram")
        path = _path(source[0], destination[0])
        length = 8 + len(payload)
        words = (
            path.checksum_base
            + _PROTOCOL_UDP
            + length
            + source[1]
            + destination[1]
            + length
            + _word_sum(payload)
        )
        # RFC 768: a computed zero is sent as all ones, which is what the modulus gives.
        header = _UDP.pack(source[1], destination[1], length, 0xFFFF - words % 0xFFFF)
        self._packet(at, _ip_header(path, _PROTOCOL_UDP, length) + header, payload)

    def write_tcp_open(
        self, at: float, source: Endpoint, destination: Endpoint, sequence_number: int = 0
    ) -> None:
        """Write the three segments of a handshake, opened by *source* (RFC 9293 3.5).

        Both directions start at *sequence_number*, so that two processes that each write their
        own direction agree without a word: the first octet of data is number 1 later.
        """
        after = (sequence_number + 1) & 0xFFFF_FFFF
        self._segment(at, source, destination, (sequence_number, 0), SYN)
        self._segment(at, destination, source, (sequence_number, after), SYN | ACK)
        self._segment(at, source, destination, (after, after), ACK)

    def write_tcp_data(
        self,
        at: float,
        source: Endpoint,
        destination: Endpoint,
        payload: bytes,
        *,
        sequence_number: int,
        acknowledgement_number: int,
    ) -> None:
        """Write *payload* in as many segments as it needs, the last one pushed."""
        for start in range(0, len(payload), MAX_SEGMENT_OCTETS):
            part = payload[start : start + MAX_SEGMENT_OCTETS]
            is_last = start + MAX_SEGMENT_OCTETS >= len(payload)
            self._segment(
                at,
                source,
                destination,
                ((sequence_number + start) & 0xFFFF_FFFF, acknowledgement_number),
                PUSH | ACK if is_last else ACK,
                payload=part,
            )

    def write_tcp_close(
        self,
        at: float,
        source: Endpoint,
        destination: Endpoint,
        *,
        sequence_number: int,
        acknowledgement_number: int,
    ) -> None:
        """Write the FIN of one direction; it counts as one octet of the stream."""
        numbers = (sequence_number, acknowledgement_number)
        self._segment(at, source, destination, numbers, FIN | ACK)

    def _segment(
        self,
        at: float,
        source: Endpoint,
        destination: Endpoint,
        numbers: tuple[int, int],
        flags: int,
        *,
        payload: bytes = b"",
    ) -> None:
        sequence_number, acknowledgement_number = numbers
        path = _path(source[0], destination[0])
        options = _SYN_OPTIONS if flags & SYN else b""
        length = 20 + len(options) + len(payload)
        offset = (20 + len(options)) << 2
        words = (
            path.checksum_base
            + _PROTOCOL_TCP
            + length
            + source[1]
            + destination[1]
            + (sequence_number >> 16)
            + (sequence_number & 0xFFFF)
            + (acknowledgement_number >> 16)
            + (acknowledgement_number & 0xFFFF)
            + (offset << 8 | flags)
            + _WINDOW
            + _word_sum(options)
            + _word_sum(payload)
        )
        header = _TCP.pack(
            source[1],
            destination[1],
            sequence_number,
            acknowledgement_number,
            offset,
            flags,
            _WINDOW,
            (0xFFFF - words % 0xFFFF) % 0xFFFF,
            0,
        )
        head = _ip_header(path, _PROTOCOL_TCP, length) + header + options
        self._packet(at, head, payload)

    def _packet(self, at: float, head: bytes, payload: bytes) -> None:
        # packet_block() in one step: this is the path of every recorded message.
        units = round(at * 1_000_000)
        length = len(head) + len(payload)
        total = 32 + (length + 3 & ~3)
        self._write(
            b"".join(
                (
                    _BLOCK.pack(
                        _ENHANCED_PACKET,
                        total,
                        0,
                        units >> 32,
                        units & 0xFFFF_FFFF,
                        length,
                        length,
                    ),
                    head,
                    payload,
                    _PADDING[length & 3],
                    _TRAILER.pack(total),
                )
            )
        )
