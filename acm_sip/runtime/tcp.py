"""One TCP connection: octets in, whole messages out (RFC 3261 18.3)."""

from __future__ import annotations

import asyncio
from typing import Any, Final, Protocol, cast

from acm_sip.sip.framing import KeepAlive, Limits, MalformedMessage
from acm_sip.sip.message import Message
from acm_sip.sip.routing import Flow
from acm_sip.sip.stream import StreamParser

__all__ = ["ConnectionUser", "TcpConnection"]

_MAX_UNREAD_OCTETS: Final = 8 * 1024 * 1024  # ours: a few of the largest messages


class ConnectionUser(Protocol):
    """Who owns the connections."""

    def connection_opened(self, connection: TcpConnection) -> bool:
        """Take a new connection; False refuses it."""
        ...

    def octets_received(self, connection: TcpConnection, octets: bytes) -> None:
        """Take note of octets as they arrived."""
        ...

    def stream_event(
        self, connection: TcpConnection, event: Message | KeepAlive | MalformedMessage
    ) -> None:
        """Handle one thing that the stream held."""
        ...

    def connection_closed(self, connection: TcpConnection, reason: str) -> None:
        """Forget a connection."""
        ...


class TcpConnection(asyncio.Protocol):
    """A connection that a peer or we opened.

    :param number: names the connection in this process.
    :param is_outgoing: we opened it.
    :ivar names: the addresses under which it is found; written by its owner.
    :ivar pongs: answers to keep-alives so far; likewise.
    """

    def __init__(
        self, user: ConnectionUser, number: int, limits: Limits, *, is_outgoing: bool
    ) -> None:
        self.number = number
        self.is_outgoing = is_outgoing
        self._user = user
        self._parser = StreamParser(limits)
        self._transport: asyncio.Transport | None = None
        self._is_known = False
        self.flow: Flow
        self.names: set[tuple[str, int]] = set()
        self.pongs = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Learn both addresses."""
        self._transport = cast(asyncio.Transport, transport)
        local: Any = self._transport.get_extra_info("sockname")
        remote: Any = self._transport.get_extra_info("peername")
        if not local or not remote:  # the peer was gone before we looked
            self._transport.abort()
            return
        self.flow = Flow(
            "TCP", (local[0], local[1]), (remote[0].partition("%")[0], remote[1]), self.number
        )
        self._is_known = self._user.connection_opened(self)
        if not self._is_known:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Read what arrived and hand over what it completes."""
        if not self._is_known:
            return
        self._user.octets_received(self, data)
        for event in self._parser.receive_data(data):
            self._user.stream_event(self, event)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the owner once."""
        if self._is_known:
            self._is_known = False
            self._user.connection_closed(self, str(exc) if exc else "closed by the peer")

    def write(self, octets: bytes) -> bool:
        """Send octets; False when the connection is closing.

        A peer that does not read costs its own connection and nothing else.
        """
        transport = self._transport
        if transport is None or transport.is_closing():
            return False
        if transport.get_write_buffer_size() > _MAX_UNREAD_OCTETS:
            transport.abort()
            return False
        transport.write(octets)
        return True

    @property
    def is_closing(self) -> bool:
        """Whether nothing can be written any more."""
        return self._transport is None or self._transport.is_closing()

    def close(self) -> None:
        """Close after what was written has left."""
        if self._transport is not None:
            self._transport.close()
