"""From a captured packet to the UDP datagram or TCP segment inside it.

Link types Ethernet (with VLAN tags and MPLS), Linux cooked 1 and 2, BSD loopback, raw IP; IPv4,
IPv6 with extension headers, and fragments of both (RFC 791 3.2, RFC 8200 4.5).

Packet formats are dpkt's (BSD licence): small, no dependencies, the most used one that is not
under the GPL; impacket brings a dozen dependencies, and PyPCAPKit, the one that also
reassembles, holds a whole capture in memory.

Fragments wait in a table that is bounded in datagrams and octets, the oldest giving way.
Deliberately absent: tunnels (IP in IP, GRE, GTP) and checksums: captures are made before a
network card fills these in.
"""

from __future__ import annotations

import socket
import struct
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import dpkt  # type: ignore[import-untyped]

from acm_sip.capture.pcapng import LINKTYPE_RAW, Endpoint

if TYPE_CHECKING:
    from acm_sip.capture.packets import Packet

__all__ = ["Datagram", "Dissector", "Segment"]

MAX_FRAGMENTED_DATAGRAMS: Final = 1_000
MAX_FRAGMENT_OCTETS: Final = 16 * 1024 * 1024
# RFC 791 3.2 keeps fragments 15 s, RFC 8200 4.5 keeps them 60 s.
FRAGMENT_LIFETIME_NS: Final = 60_000_000_000

_LINKTYPE_NULL: Final = 0
_LINKTYPE_ETHERNET: Final = 1
_LINKTYPE_LOOP: Final = 108
_LINKTYPE_SLL: Final = 113
_LINKTYPE_SLL2: Final = 276
_LINKTYPES_IP: Final = frozenset((12, 14, LINKTYPE_RAW, 228, 229))

# dpkt raises UnpackError by design and the others by oversight, on packets made to break it.
_BROKEN: Final = (
    dpkt.UnpackError,
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
    struct.error,
)


class Datagram(NamedTuple):
    """A UDP datagram; *is_cut* when the capture kept only its beginning."""

    source: Endpoint
    destination: Endpoint
    octets: bytes
    is_cut: bool


class Segment(NamedTuple):
    """A TCP segment; octets that the capture cut away leave a gap before the next one."""

    source: Endpoint
    destination: Endpoint
    sequence_number: int
    acknowledgement_number: int | None
    is_syn: bool
    is_fin: bool
    is_reset: bool
    octets: bytes


@dataclass(slots=True)
class _Fragments:
    """The pieces of one datagram by offset."""

    started_ns: int
    pieces: dict[int, bytes] = field(default_factory=dict)
    received_octets: int = 0
    total_octets: int | None = None

    def add(self, offset: int, octets: bytes, more: bool) -> None:
        if offset not in self.pieces:
            self.pieces[offset] = octets
            self.received_octets += len(octets)
        if not more:
            self.total_octets = offset + len(octets)

    def joined(self) -> bytes | None:
        """Return the whole payload, or None while a piece is missing; the first piece wins."""
        if self.total_octets is None or self.received_octets < self.total_octets:
            return None
        whole = bytearray()
        for offset in sorted(self.pieces):
            if offset > len(whole):
                return None
            whole += self.pieces[offset][len(whole) - offset :]
        return bytes(whole[: self.total_octets]) if len(whole) >= self.total_octets else None


class Dissector:
    """Turns packets into datagrams and segments; keeps fragments until their datagram is whole."""

    def __init__(self) -> None:
        self._fragments: OrderedDict[tuple[bytes, bytes, int, int], _Fragments] = OrderedDict()
        self._fragment_octets = 0

    def dissect(self, packet: Packet) -> Datagram | Segment | None:
        """Return what *packet* carried or completed; None for anything else."""
        try:
            internet = _internet(packet.link_type, packet.octets)
            if isinstance(internet, dpkt.ip.IP):
                return self._dissect_ipv4(internet, packet)
            if isinstance(internet, dpkt.ip6.IP6):
                return self._dissect_ipv6(internet, packet)
        except _BROKEN:
            return None
        return None

    def _dissect_ipv4(self, ip: Any, packet: Packet) -> Datagram | Segment | None:
        transport = ip.data
        lost = packet.original_octets - len(packet.octets)
        if ip.mf or ip.offset:
            key = (ip.src, ip.dst, ip.p, ip.id)
            octets = self._join(key, ip.offset * 8, bytes(transport), bool(ip.mf), packet.time_ns)
            if octets is None:
                return None
            transport, lost = _transport(ip.p, octets), 0
        return _from_transport(transport, ip.src, ip.dst, lost)

    def _dissect_ipv6(self, ip: Any, packet: Packet) -> Datagram | Segment | None:
        transport = ip.data
        lost = packet.original_octets - len(packet.octets)
        fragment = ip.extension_hdrs.get(dpkt.ip.IP_PROTO_FRAGMENT)
        if fragment is not None:
            key = (ip.src, ip.dst, fragment.nxt, fragment.id)
            octets = self._join(
                key, fragment.frag_off * 8, bytes(transport), bool(fragment.m_flag), packet.time_ns
            )
            if octets is None:
                return None
            transport, lost = _transport(fragment.nxt, octets), 0
        return _from_transport(transport, ip.src, ip.dst, lost)

    def _join(
        self,
        key: tuple[bytes, bytes, int, int],
        offset: int,
        octets: bytes,
        more: bool,
        now_ns: int,
    ) -> bytes | None:
        fragments = self._fragments.get(key)
        if fragments is None or now_ns - fragments.started_ns > FRAGMENT_LIFETIME_NS:
            self._forget(key)
            fragments = self._fragments[key] = _Fragments(now_ns)
        before = fragments.received_octets
        fragments.add(offset, octets, more)
        self._fragment_octets += fragments.received_octets - before
        whole = fragments.joined()
        if whole is not None:
            self._forget(key)
        while (
            len(self._fragments) > MAX_FRAGMENTED_DATAGRAMS
            or self._fragment_octets > MAX_FRAGMENT_OCTETS
        ):
            self._forget(next(iter(self._fragments)))
        return whole

    def _forget(self, key: tuple[bytes, bytes, int, int]) -> None:
        fragments = self._fragments.pop(key, None)
        if fragments is not None:
            self._fragment_octets -= fragments.received_octets


def _internet(link_type: int, octets: bytes) -> Any:
    """Return dpkt's IP or IP6 of a captured frame, or something else."""
    if link_type == _LINKTYPE_ETHERNET:
        return dpkt.ethernet.Ethernet(octets).data
    if link_type == _LINKTYPE_SLL:
        return _untagged(dpkt.sll.SLL(octets), octets[16:])
    if link_type == _LINKTYPE_SLL2:
        return _untagged(dpkt.sll2.SLL2(octets), octets[20:])
    if link_type in (_LINKTYPE_NULL, _LINKTYPE_LOOP):
        # The address family before it has another number on each system; the version tells.
        octets = octets[4:]
    elif link_type not in _LINKTYPES_IP:
        return None
    version = octets[0] >> 4
    if version == 4:
        return dpkt.ip.IP(octets)
    return dpkt.ip6.IP6(octets) if version == 6 else None


def _untagged(frame: Any, payload: bytes) -> Any:
    """Return a cooked frame's payload; a VLAN tag is left in place by dpkt."""
    protocol = frame.ethtype
    while protocol in (0x8100, 0x88A8) and len(payload) > 4:
        (protocol,) = struct.unpack_from("!H", payload, 2)
        payload = payload[4:]
    if protocol == dpkt.ethernet.ETH_TYPE_IP:
        return dpkt.ip.IP(payload)
    return dpkt.ip6.IP6(payload) if protocol == dpkt.ethernet.ETH_TYPE_IP6 else None


def _transport(protocol: int, octets: bytes) -> Any:
    if protocol == dpkt.ip.IP_PROTO_UDP:
        return dpkt.udp.UDP(octets)
    return dpkt.tcp.TCP(octets) if protocol == dpkt.ip.IP_PROTO_TCP else None


def _from_transport(
    transport: Any, source: bytes, destination: bytes, lost_octets: int
) -> Datagram | Segment | None:
    if isinstance(transport, dpkt.udp.UDP):
        length = transport.ulen - 8 if transport.ulen >= 8 else len(transport.data)
        return Datagram(
            (_host(source), transport.sport),
            (_host(destination), transport.dport),
            bytes(transport.data[:length]),
            lost_octets > 0 and len(transport.data) < length,
        )
    if isinstance(transport, dpkt.tcp.TCP):
        flags = transport.flags
        return Segment(
            (_host(source), transport.sport),
            (_host(destination), transport.dport),
            transport.seq,
            transport.ack if flags & dpkt.tcp.TH_ACK else None,
            bool(flags & dpkt.tcp.TH_SYN),
            bool(flags & dpkt.tcp.TH_FIN),
            bool(flags & dpkt.tcp.TH_RST),
            bytes(transport.data),
        )
    return None


def _host(address: bytes) -> str:
    return socket.inet_ntop(socket.AF_INET if len(address) == 4 else socket.AF_INET6, address)
