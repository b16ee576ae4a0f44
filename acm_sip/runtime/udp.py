"""One UDP socket: datagrams in, datagrams out (RFC 3261 18)."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final, Self, cast

from acm_sip.sip.routing import Flow

__all__ = ["UdpSocket"]

# Ours: a burst of a second at the rate one core can serve; the kernel may grant less.
_RECEIVE_BUFFER_OCTETS: Final = 4 * 1024 * 1024
_MAX_CACHED_FLOWS: Final = 4096  # ours: the peers of a busy server, about 1 MiB
_WILDCARDS: Final = frozenset({"0.0.0.0", "::"})  # noqa: S104 - compared, not bound


class UdpSocket(asyncio.DatagramProtocol):
    """A bound UDP socket.

    :param on_datagram: called with the octets and the flow they came on.
    """

    def __init__(self, on_datagram: Callable[[bytes, Flow], None]) -> None:
        self._on_datagram = on_datagram
        self._transport: asyncio.DatagramTransport
        self.local: tuple[str, int]
        # One Flow per peer, shared by its transactions: it is kept as long as they are.
        self.flow_to = lru_cache(maxsize=_MAX_CACHED_FLOWS)(self._flow_to)

    @classmethod
    async def bind(
        cls,
        loop: asyncio.AbstractEventLoop,
        host: str,
        port: int,
        on_datagram: Callable[[bytes, Flow], None],
    ) -> Self:
        """Bind a socket; OSError when that is not possible."""
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_DGRAM, flags=socket.AI_PASSIVE)
        family, kind, number, _, address = found[0]
        raw = socket.socket(family, kind, number)
        try:
            raw.setblocking(False)
            if family == socket.AF_INET6:
                # IPv4 peers would come under names like ::ffff:192.0.2.1, that nobody configured.
                raw.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            raw.bind(address)
            _, protocol = await loop.create_datagram_endpoint(lambda: cls(on_datagram), sock=raw)
        except BaseException:
            raw.close()
            raise
        return protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Learn the bound address."""
        # Neither asyncio nor uvloop derives what it passes from DatagramTransport.
        self._transport = cast(asyncio.DatagramTransport, transport)
        name: Any = transport.get_extra_info("sockname")
        self.local = (name[0], name[1])
        raw: Any = transport.get_extra_info("socket")
        with contextlib.suppress(OSError):
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER_OCTETS)

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        """Hand a datagram over with its flow."""
        try:
            flow = self.flow_to((addr[0].partition("%")[0], addr[1]))
        except OSError:
            return  # no way back, so nothing to answer
        self._on_datagram(data, flow)

    def error_received(self, exc: Exception) -> None:
        """Leave it to the timers: ICMP may be forged, and the next datagram may arrive."""

    def reaches(self, host: str) -> bool:
        """Return whether an address is of the family of this socket."""
        return (":" in host) == (":" in self.local[0])

    def carries(self, flow: Flow) -> bool:
        """Return whether a flow is one of this socket."""
        return flow.local[1] == self.local[1] and self.reaches(flow.remote[0])

    def _flow_to(self, remote: tuple[str, int]) -> Flow:
        """Return the flow to a peer, with the address of ours that it sees."""
        host = self.local[0]
        if host in _WILDCARDS:
            host = _local_host_for(remote[0])
        return Flow("UDP", (host, self.local[1]), remote)

    def send(self, octets: bytes, remote: tuple[str, int]) -> bool:
        """Send one datagram; False when the socket is closed or the system refuses."""
        if self._transport.is_closing():
            return False
        try:
            self._transport.sendto(octets, remote)
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Close the socket."""
        self._transport.close()


@lru_cache(maxsize=1024)  # ours: the peers of a busy server; an entry is two short strings
def _local_host_for(remote: str) -> str:
    """Return our address on the way to a host; a connected UDP socket sends nothing."""
    family = socket.AF_INET6 if ":" in remote else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect((remote, 9))
        name: Any = probe.getsockname()
        return str(name[0])
