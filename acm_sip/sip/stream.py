"""Messages out of a stream: RFC 3261 18.3 and 7.5, keep-alive of RFC 5626 4.4.1.

The verdicts do not depend on how the stream is cut. Time is linear in the octets received: no
octet is searched twice, and what is consumed is cut off once per call. Memory is bounded by one
header section or one body of the allowed size plus what one call brings.

| state   | octets                        | does                                        | next    |
|---------|-------------------------------|---------------------------------------------|---------|
| between | CRLF                          | KeepAlive                                   | between |
| between | else                          |                                             | head    |
| head    | empty line, no fault          |                                             | body    |
| head    | empty line, fault             | MalformedMessage                            | skip    |
| head    | empty line, fatal fault       | MalformedMessage                            | closed  |
| head    | above the limit               | MalformedMessage, 513                       | closed  |
| body    | Content-Length octets         | Message                                     | between |
| skip    | Content-Length octets         | nothing: the refused body is dropped        | between |
| closed  | any                           | nothing                                     | closed  |

Deliberately absent: the time a half message may take; that is the shell's.
"""

from __future__ import annotations

from typing import Final

from acm_sip.errors import RemoteProtocolError
from acm_sip.sip.framing import Head, KeepAlive, Limits, MalformedMessage, read_head
from acm_sip.sip.message import Message

__all__ = ["StreamParser"]

_PING: Final = KeepAlive(is_ping=True)
_PONG: Final = KeepAlive(is_ping=False)

StreamEvent = Message | KeepAlive | MalformedMessage


class StreamParser:
    """Cuts one direction of one connection into messages.

    :param limits: what a message may cost.
    """

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._buffer = bytearray()
        self._searched = 0  # octets of the buffer that hold no empty line
        self._head: Head | None = None
        self._to_skip = 0
        self._half_ping = False
        self._is_closed = False

    @property
    def buffered_octets(self) -> int:
        """Octets kept until more arrive."""
        return len(self._buffer)

    @property
    def is_closed(self) -> bool:
        """True after a fatal fault: nothing more will be read from this stream."""
        return self._is_closed

    @property
    def is_between_messages(self) -> bool:
        """True when no message has begun and not ended."""
        return not (self._buffer or self._to_skip or self._head)

    def receive_data(self, data: bytes) -> list[StreamEvent]:
        """Take what arrived, in any cut, and return what it completes, in order.

        A CRLF that arrives alone is reported as a pong at once, since nothing may follow; if a
        second one follows directly, that one completes the ping.
        """
        if self.is_closed:
            return []
        source: bytes | bytearray = data
        if self._buffer:
            self._buffer += data
            source = self._buffer
        events: list[StreamEvent] = []
        at = 0
        while (end := self._advance(source, at, events)) is not None:
            at = end
        if self._is_closed:
            self._buffer.clear()
        elif source is data:
            self._buffer += data[at:]
        else:
            del self._buffer[:at]
        return events

    def receive_eof(self) -> list[MalformedMessage]:
        """Return a verdict on a message that the end of the stream cut short, if there is one."""
        was_inside = not self._is_closed and not self.is_between_messages
        self._is_closed = True
        self._buffer.clear()
        self._head = None
        if not was_inside:
            return []
        return [MalformedMessage("Incomplete message", 400, None, is_fatal=True)]

    def _advance(self, source: bytes | bytearray, at: int, events: list[StreamEvent]) -> int | None:
        """Consume one piece from ``at``; return where it ended, or None to wait for more."""
        available = len(source) - at
        if self._is_closed or (self._head is None and not available):
            return None
        if self._to_skip:
            skipped = min(self._to_skip, available)
            self._to_skip -= skipped
            return at + skipped
        if self._head is not None:
            return self._take_body(source, at, self._head, events)
        if source.startswith(b"\r\n", at):
            return self._take_line_end(source, at, events)
        return self._take_head(source, at, events)

    def _take_line_end(self, source: bytes | bytearray, at: int, events: list[StreamEvent]) -> int:
        self._searched = 0
        if self._half_ping:
            self._half_ping = False
            events.append(_PING)
            return at + 2
        if source.startswith(b"\r\n\r\n", at):
            events.append(_PING)
            return at + 4
        self._half_ping = True
        events.append(_PONG)
        return at + 2

    def _take_head(
        self, source: bytes | bytearray, at: int, events: list[StreamEvent]
    ) -> int | None:
        limit = self._limits.header_section_octets
        end = source.find(b"\r\n\r\n", at + self._searched)
        if end < 0 and len(source) - at <= limit:
            self._searched = max(0, len(source) - at - 3)
            return None
        self._searched = 0
        self._half_ping = False
        too_long = end < 0 or end - at > limit
        head = read_head(
            bytes(source[at : at + limit if too_long else end]), self._limits, is_stream=True
        )
        if too_long:
            head.fault = RemoteProtocolError("Header section too long", 513)
            head.is_fatal = True
        if head.fault is None:
            self._head = head
            return end + 4
        events.append(head.refusal())
        self._is_closed = head.is_fatal
        self._to_skip = head.content_length or 0
        return end + 4

    def _take_body(
        self, source: bytes | bytearray, at: int, head: Head, events: list[StreamEvent]
    ) -> int | None:
        assert head.message is not None
        end = at + (head.content_length or 0)
        if len(source) < end:
            return None
        head.message.body = bytes(source[at:end])
        events.append(head.message)
        self._head = None
        return end
