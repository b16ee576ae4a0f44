"""The TCP connections of one endpoint: accepted, opened, found again, closed.

A connection is reused while it lives, whoever opened it (RFC 3261 18); who asks for one that is
being opened waits for the same attempt.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final, Protocol

from acm_sip.runtime.flow_names import format_hostport
from acm_sip.runtime.tcp import TcpConnection
from acm_sip.sip.framing import KeepAlive, Limits, MalformedMessage
from acm_sip.sip.message import Message
from acm_sip.sip.routing import Flow

__all__ = ["ConnectionListener", "Connections", "WhenConnected"]

_CONNECT_WITHIN_S: Final = 5.0  # ours: far below Timer F, so that the next attempt comes in time

WhenConnected = Callable[[TcpConnection | str], None]
"""Called with a connection, or with why there is none."""


class ConnectionListener(Protocol):
    """Who is told what connections bring: the SIP endpoint."""

    def octets_received(self, flow: Flow, octets: bytes) -> None:
        """Take note of octets as they arrived."""
        ...

    def stream_message(self, message: Message | MalformedMessage, flow: Flow) -> None:
        """Handle one message, or one that breaks a rule."""
        ...

    def connection_closed(self, flow: Flow, reason: str) -> None:
        """Learn that a connection is gone."""
        ...


class Connections:
    """Every connection of one endpoint."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, listener: ConnectionListener, limits: Limits
    ) -> None:
        self._loop = loop
        self._listener = listener
        self._limits = limits
        self._servers: list[asyncio.Server] = []
        self._by_number: dict[int, TcpConnection] = {}
        self._by_address: dict[tuple[str, int], TcpConnection] = {}
        self._waiting: dict[tuple[str, int], list[WhenConnected]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._next_number = 1

    async def listen(self, host: str, port: int) -> tuple[str, int]:
        """Accept connections; return the bound address. OSError when that is not possible."""
        server = await self._loop.create_server(
            lambda: self._new(is_outgoing=False), host, port, reuse_address=True
        )
        self._servers.append(server)
        name: Any = server.sockets[0].getsockname()
        return name[0], name[1]

    def get(self, number: int | None) -> TcpConnection | None:
        """Return the connection with this number, if it lives."""
        return None if number is None else self._by_number.get(number)

    def find_or_open(self, address: tuple[str, int], then: WhenConnected) -> None:
        """Give the connection to an address; one is opened where there is none."""
        connection = self._by_address.get(address)
        if connection is not None and not connection.is_closing:
            then(connection)
            return
        waiting = self._waiting.get(address)
        if waiting is not None:
            waiting.append(then)
            return
        self._waiting[address] = [then]
        task = self._loop.create_task(self._open(address))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def close(self) -> None:
        """Accept nothing any more and close every connection after what was written left."""
        for server in self._servers:
            server.close()
        for connection in tuple(self._by_number.values()):
            connection.close()
        for task in tuple(self._tasks):
            task.cancel()

    async def _open(self, address: tuple[str, int]) -> None:
        outcome: TcpConnection | str
        try:
            async with asyncio.timeout(_CONNECT_WITHIN_S):
                _, outcome = await self._loop.create_connection(
                    lambda: self._new(is_outgoing=True), *address
                )
            if outcome.number not in self._by_number:
                outcome = f"no connection to {format_hostport(*address)}: closed at once"
        except TimeoutError:
            outcome = f"no connection to {format_hostport(*address)} in {_CONNECT_WITHIN_S:.0f} s"
        except (OSError, UnicodeError) as error:  # UnicodeError: a name that IDNA cannot encode
            reason = getattr(error, "strerror", None) or str(error)
            outcome = f"no connection to {format_hostport(*address)}: {reason}"
        if isinstance(outcome, TcpConnection):
            # Also under the name it was asked for, where that was not the address itself.
            self._remember(outcome, address)
        for then in self._waiting.pop(address, ()):
            then(outcome)

    def _new(self, *, is_outgoing: bool) -> TcpConnection:
        number = self._next_number
        self._next_number += 1
        return TcpConnection(self, number, self._limits, is_outgoing=is_outgoing)

    def _remember(self, connection: TcpConnection, address: tuple[str, int]) -> None:
        self._by_address[address] = connection
        connection.names.add(address)

    # From the connections

    def connection_opened(self, connection: TcpConnection) -> bool:
        """Take a new connection."""
        self._by_number[connection.number] = connection
        self._remember(connection, connection.flow.remote)
        return True

    def octets_received(self, connection: TcpConnection, octets: bytes) -> None:
        """Pass on octets as they arrived."""
        self._listener.octets_received(connection.flow, octets)

    def stream_event(
        self, connection: TcpConnection, event: Message | KeepAlive | MalformedMessage
    ) -> None:
        """Answer keep-alives; pass the rest on."""
        if isinstance(event, KeepAlive):
            if event.is_ping:
                connection.write(b"\r\n")  # RFC 5626 4.4.1
            else:
                connection.pongs += 1
            return
        self._listener.stream_message(event, connection.flow)
        if isinstance(event, MalformedMessage) and event.is_fatal:
            connection.close()  # where the next message begins is not known

    def connection_closed(self, connection: TcpConnection, reason: str) -> None:
        """Forget a connection."""
        self._by_number.pop(connection.number, None)
        for address in connection.names:
            if self._by_address.get(address) is connection:
                del self._by_address[address]
        self._listener.connection_closed(connection.flow, reason)
