"""Putting TCP streams together again and cutting SIP messages out of them.

:class:`StreamAssembler` orders the segments of each direction of each connection (RFC 9293
3.4, sequence numbers modulo 2**32), drops what was retransmitted, and waits for what is missing.
It gives up a gap when the peer has acknowledged it (the capture lost it, not the network), when
too much waits behind it, or when the connection ends. Everything is bounded, so that memory
stays flat on any capture.

:class:`MessageCutter` finds the messages in one direction (RFC 3261 18.3: Content-Length). It is
not the parser of :mod:`acm_sip.sip`: it must go on after what that one refuses, must leave
streams of other protocols alone, and yields octets, not messages.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from acm_sip.capture.dissection import Segment
    from acm_sip.capture.pcapng import Endpoint

__all__ = ["MessageCutter", "StreamAssembler", "StreamMessage", "is_start_line"]

MAX_STREAMS: Final = 20_000
# Waiting behind a gap in one direction: twice the largest message we accept.
MAX_WAITING_OCTETS: Final = 2 * 1024 * 1024
MAX_WAITING_SEGMENTS: Final = 4_096
# So far from the expected octet, a segment belongs to another connection of the same endpoints
# whose SYN is not in the capture; the largest window of RFC 7323 is 4 times this, unused.
_FAR_OCTETS: Final = 2**28
# How long an acknowledged gap may still be filled by segments that the capture reordered.
_REORDERING_NS: Final = 200_000_000
_MAX_HEAD_OCTETS: Final = 256 * 1024
_MAX_BODY_OCTETS: Final = 64 * 1024 * 1024
_MAX_LINE_OCTETS: Final = 16 * 1024

_START_LINE: Final = re.compile(rb"(?:[!-~]{1,64} [^\r\n]{1,16000} SIP/[0-9.]+|SIP/[0-9.]+ .*)\r?")
_LINE_START: Final = re.compile(rb"[!-~]{1,64}(?: [^\x00-\x1f]*\r?)?")
_CONTENT_LENGTH: Final = re.compile(
    rb"^(?:content-length|l)[ \t]*:[ \t]*([0-9]{1,10})[ \t]*\r?$", re.IGNORECASE | re.MULTILINE
)


def is_start_line(line: bytes) -> bool:
    """Tell whether *line* (without its LF) can begin a SIP message, well or badly formed."""
    return _START_LINE.fullmatch(line) is not None


class MessageCutter:
    """Cuts the octets of one direction of a connection into SIP messages.

    :param is_at_start: whether the first octets are the first of the connection; if not, a
        message is taken to begin where a segment begins with a start line.
    """

    def __init__(self, *, is_at_start: bool) -> None:
        self._buffer = bytearray()
        self._searched = 0
        self._needed = 0
        self._is_synchronised = is_at_start

    def feed(self, octets: bytes) -> list[bytes]:
        """Take the next octets of the stream; return the messages that are whole now."""
        if not self._is_synchronised:
            line = octets.lstrip(b"\r\n").partition(b"\n")[0]
            if not is_start_line(line):
                return []
            self._is_synchronised = True
        self._buffer += octets
        messages = []
        while (message := self._next()) is not None:
            messages.append(message)
        return messages

    def skip(self) -> None:
        """Octets are missing here: forget what has begun, go on at the next start line."""
        self._buffer.clear()
        self._searched = self._needed = 0
        self._is_synchronised = False

    def _next(self) -> bytes | None:
        buffer = self._buffer
        if not self._needed:
            if not self._searched:
                begin = 0
                while begin < len(buffer) and buffer[begin] in b"\r\n":
                    begin += 1  # RFC 3261 7.5 and RFC 5626 3.5.1: empty lines between messages
                del buffer[:begin]
            end = buffer.find(b"\r\n\r\n", max(0, self._searched - 3))
            if not self._is_plausible(buffer):
                self.skip()
                return None
            if end < 0:
                self._searched = len(buffer)
                return None
            length = _CONTENT_LENGTH.search(buffer, 0, end + 2)
            body_octets = int(length[1]) if length else 0
            if body_octets > _MAX_BODY_OCTETS:
                self.skip()
                return None
            self._needed = end + 4 + body_octets
        if len(buffer) < self._needed:
            return None
        message = bytes(buffer[: self._needed])
        del buffer[: self._needed]
        self._searched = self._needed = 0
        return message

    def _is_plausible(self, buffer: bytearray) -> bool:
        if not buffer:
            return True
        end = buffer.find(b"\n", 0, _MAX_LINE_OCTETS)
        if end < 0:
            return len(buffer) < _MAX_LINE_OCTETS and bool(_LINE_START.fullmatch(buffer))
        return len(buffer) < _MAX_HEAD_OCTETS and is_start_line(bytes(buffer[:end]))


class StreamMessage(NamedTuple):
    """A SIP message of a stream."""

    source: Endpoint
    destination: Endpoint
    octets: bytes


@dataclass(slots=True)
class _Direction:
    """One direction of one connection."""

    source: Endpoint
    destination: Endpoint
    first_number: int
    next_number: int
    cutter: MessageCutter
    is_judged: bool = False
    waiting: dict[int, bytes] = field(default_factory=dict)
    waiting_octets: int = 0
    gap_since_ns: int = 0

    def distance(self, number: int) -> int:
        """Return how far *number* lies after the next expected octet; negative: before."""
        return (number - self.next_number + 0x8000_0000 & 0xFFFF_FFFF) - 0x8000_0000


class StreamAssembler:
    """Turns segments, as captured, into the SIP messages of their streams."""

    def __init__(self) -> None:
        self._directions: OrderedDict[tuple[Endpoint, Endpoint], _Direction] = OrderedDict()
        self.encrypted_streams = 0
        """How many directions began with a TLS record."""

    def receive(self, segment: Segment, now_ns: int) -> Iterator[StreamMessage]:
        """Take one segment; yield the messages that it completes."""
        yield from self._acknowledge(segment, now_ns)
        key = (segment.source, segment.destination)
        direction = self._directions.get(key)
        if segment.is_syn:
            first = (segment.sequence_number + 1) & 0xFFFF_FFFF
            if direction is None or direction.first_number != first:
                if direction is not None:
                    yield from self._finish(direction)
                self._begin(segment, first, is_at_start=True)
            return
        if direction is None:
            if not segment.octets:
                return
            direction = self._begin(segment, segment.sequence_number, is_at_start=False)
        elif segment.octets and abs(direction.distance(segment.sequence_number)) >= _FAR_OCTETS:
            yield from self._finish(direction)
            direction = self._begin(segment, segment.sequence_number, is_at_start=False)
        self._directions.move_to_end(key)
        if segment.octets:
            yield from self._take(direction, segment, now_ns)
        if segment.is_reset:
            yield from self._finish(direction)
            del self._directions[key]

    def finish(self) -> Iterator[StreamMessage]:
        """Yield what still waits behind gaps when the capture ends."""
        for direction in self._directions.values():
            yield from self._finish(direction)

    def _begin(self, segment: Segment, first: int, *, is_at_start: bool) -> _Direction:
        if len(self._directions) >= MAX_STREAMS:
            self._directions.popitem(last=False)
        cutter = MessageCutter(is_at_start=is_at_start)
        direction = _Direction(segment.source, segment.destination, first, first, cutter)
        self._directions[segment.source, segment.destination] = direction
        return direction

    def _take(
        self, direction: _Direction, segment: Segment, now_ns: int
    ) -> Iterator[StreamMessage]:
        octets = segment.octets
        distance = direction.distance(segment.sequence_number)
        if distance > 0:
            self._wait(direction, segment.sequence_number, octets, now_ns)
            if (
                direction.waiting_octets > MAX_WAITING_OCTETS
                or len(direction.waiting) > MAX_WAITING_SEGMENTS
            ):
                yield from self._give_up_gap(direction)
        elif distance + len(octets) > 0:
            yield from self._deliver(direction, octets[-distance:] if distance else octets)
            yield from self._release(direction)

    def _wait(self, direction: _Direction, number: int, octets: bytes, now_ns: int) -> None:
        if not direction.waiting:
            direction.gap_since_ns = now_ns
        known = direction.waiting.get(number, b"")
        if len(octets) > len(known):
            direction.waiting[number] = octets
            direction.waiting_octets += len(octets) - len(known)

    def _deliver(self, direction: _Direction, octets: bytes) -> Iterator[StreamMessage]:
        if not direction.is_judged:
            direction.is_judged = True
            # RFC 8446 5.1: a handshake record, of a version 3.x
            self.encrypted_streams += octets[:2] == b"\x16\x03"
        direction.next_number = (direction.next_number + len(octets)) & 0xFFFF_FFFF
        for message in direction.cutter.feed(octets):
            yield StreamMessage(direction.source, direction.destination, message)

    def _release(self, direction: _Direction) -> Iterator[StreamMessage]:
        """Deliver what waited and is in order now."""
        while direction.waiting:
            number = min(direction.waiting, key=direction.distance)
            distance = direction.distance(number)
            if distance > 0:
                return
            octets = direction.waiting.pop(number)
            direction.waiting_octets -= len(octets)
            if distance + len(octets) > 0:
                yield from self._deliver(direction, octets[-distance:] if distance else octets)

    def _give_up_gap(self, direction: _Direction) -> Iterator[StreamMessage]:
        direction.cutter.skip()
        direction.next_number = min(direction.waiting, key=direction.distance)
        yield from self._release(direction)

    def _acknowledge(self, segment: Segment, now_ns: int) -> Iterator[StreamMessage]:
        if segment.acknowledgement_number is None:
            return
        direction = self._directions.get((segment.destination, segment.source))
        if direction is None or not direction.waiting:
            return
        if now_ns - direction.gap_since_ns < _REORDERING_NS:
            return
        first_waiting = min(direction.waiting, key=direction.distance)
        if direction.distance(segment.acknowledgement_number) > direction.distance(first_waiting):
            yield from self._give_up_gap(direction)

    def _finish(self, direction: _Direction) -> Iterator[StreamMessage]:
        while direction.waiting:
            yield from self._give_up_gap(direction)
