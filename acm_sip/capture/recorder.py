"""Recording what a process sends and receives, without ever making it wait.

The event loop calls :meth:`Recorder.record`, which puts a tuple into a queue and returns; a
thread of its own turns the tuples into pcapng (:mod:`acm_sip.capture.pcapng`) and hands each
gathered batch to the operating system, so that a process that is killed leaves a readable file
with all but its last moments. A full queue and a failing disk cost packets, which are counted,
and never anything else.

A TCP connection gets a synthetic stream. Both directions are numbered from the same number: 0,
and 2**28 more each time that two endpoints meet again, since readers tell a new connection from
a repeated SYN by its number. A process that writes only what it sent still counts what it
received, for its acknowledgement numbers; so the files of all processes together are one
coherent stream for each connection. The side that opened the connection (the first to send on
it) writes the handshake for both.

Deliberately absent: TLS. A message that travelled in TLS is recorded as the plain stream that
was inside.
"""

from __future__ import annotations

import queue
import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from acm_sip.capture.pcapng import Endpoint, PcapngWriter
from acm_sip.errors import LocalProtocolError

__all__ = ["Recorder"]

# The bounds of what waits for the disk: two seconds of 15,000 MESSAGEs of 2 KiB, by either count.
MAX_QUEUED_PACKETS: Final = 30_000
MAX_QUEUED_OCTETS: Final = 64 * 1024 * 1024
# Packets written between two flushes while the queue never runs empty.
MAX_BATCH: Final = 256
# Connections whose numbers are kept when nobody reports that they closed.
MAX_CONNECTIONS: Final = 10_000
_JOIN_S: Final = 10.0  # a disk that takes longer than this to take the rest is given up


class _Packet(NamedTuple):
    at: float
    is_stream: bool
    local: Endpoint
    remote: Endpoint
    sent: bool
    octets: bytes | None  # None: the connection closed
    connection: int | None


@dataclass(slots=True)
class _Stream:
    """The next sequence number of each direction of one TCP connection."""

    sent: int
    received: int


class Recorder:
    """Records the messages of one process into one pcapng file.

    :param path: the file, made anew.
    :param only_sent: write what this process sent and leave the rest to its peers' recorders.
    :param application: the application's name and version for the section header.
    :raises OSError: when the file cannot be made.

    :meth:`record` and :meth:`record_close` are called from one thread.
    """

    def __init__(
        self, path: str | Path, *, only_sent: bool = False, application: str = "acm-sip"
    ) -> None:
        self.path = Path(path)
        self._only_sent = only_sent
        self._stream = self.path.open("wb")
        self._writer = PcapngWriter(self._stream, application=application)
        self._stream.flush()
        self._queue: queue.SimpleQueue[_Packet | None] = queue.SimpleQueue()
        self._connections: OrderedDict[tuple[Endpoint, Endpoint, int | None], _Stream]
        self._connections = OrderedDict()
        self._meetings: OrderedDict[tuple[Endpoint, Endpoint], int] = OrderedDict()
        # Each counter has one writing thread, so that no lock is needed; their difference is
        # what waits.
        self._put_octets = 0
        self._taken_octets = 0
        self._refused_packets = 0
        self._lost_packets = 0
        self._written_packets = 0
        self._failure: str | None = None
        self._is_closed = False
        self._thread = threading.Thread(target=self._run, name="capture", daemon=True)
        self._thread.start()

    @property
    def dropped_packets(self) -> int:
        """How many packets were not written: the queue was full or the disk failed."""
        return self._refused_packets + self._lost_packets

    @property
    def written_packets(self) -> int:
        """How many records (not segments) are in the file."""
        return self._written_packets

    @property
    def failure(self) -> str | None:
        """Why nothing more is written, or None."""
        return self._failure

    def record(
        self,
        at: float,
        transport: str,
        local: Endpoint,
        remote: Endpoint,
        sent: bool,
        octets: bytes,
        connection: int | None = None,
    ) -> None:
        """Note *octets* that were sent or received; never waits, never raises.

        :param at: UTC seconds of the epoch; for what is sent, taken before the sending.
        :param transport: ``UDP``, ``TCP`` or ``TLS``.
        :param connection: tells two connections between the same endpoints apart.
        """
        if (
            self._is_closed
            or self._put_octets - self._taken_octets >= MAX_QUEUED_OCTETS
            or self._queue.qsize() >= MAX_QUEUED_PACKETS
        ):
            self._refused_packets += 1
            return
        self._put_octets += len(octets)
        self._queue.put(
            _Packet(at, transport != "UDP", local, remote, sent, bytes(octets), connection)
        )

    def record_close(
        self, at: float, local: Endpoint, remote: Endpoint, connection: int | None = None
    ) -> None:
        """Note that a TCP connection closed: this side's FIN is written, its numbers go."""
        if not self._is_closed:
            self._queue.put(_Packet(at, True, local, remote, True, None, connection))

    def close(self) -> None:
        """Write what is queued and close the file; a second call does nothing."""
        if self._is_closed:
            return
        self._is_closed = True
        self._queue.put(None)
        self._thread.join(_JOIN_S)

    def _run(self) -> None:
        batch: list[_Packet | None] = []
        while None not in batch:
            batch = [self._queue.get()]
            while len(batch) < MAX_BATCH:
                try:
                    batch.append(self._queue.get_nowait())
                except queue.Empty:
                    break
            for packet in batch:
                if packet is not None:
                    self._take(packet)
            self._flush()
        try:
            self._stream.close()
        except OSError as error:
            self._failure = self._failure or str(error)

    def _flush(self) -> None:
        if self._failure is None:
            try:
                self._stream.flush()
            except OSError as error:
                self._failure = str(error)

    def _take(self, packet: _Packet) -> None:
        try:
            # After a failed write the file may end inside a block: nothing may follow it.
            if self._failure is None:
                self._write(packet)
            else:
                self._lost_packets += 1
        except LocalProtocolError:
            self._lost_packets += 1
        except OSError as error:
            self._lost_packets += 1
            self._failure = str(error)
        finally:
            self._taken_octets += len(packet.octets or b"")

    def _write(self, packet: _Packet) -> None:
        if packet.is_stream:
            self._write_stream(packet)
        elif packet.octets is not None and (packet.sent or not self._only_sent):
            source, destination = _direction(packet)
            self._writer.write_udp(packet.at, source, destination, packet.octets)
            self._written_packets += 1

    def _write_stream(self, packet: _Packet) -> None:
        key = (packet.local, packet.remote, packet.connection)
        stream = self._connections.get(key)
        if stream is None:
            if packet.octets is None:
                return
            stream = self._open(key, packet)
        if packet.octets is None:
            del self._connections[key]
            self._writer.write_tcp_close(
                packet.at,
                packet.local,
                packet.remote,
                sequence_number=stream.sent,
                acknowledgement_number=stream.received,
            )
            return
        length = len(packet.octets)
        if packet.sent or not self._only_sent:
            source, destination = _direction(packet)
            numbers = (stream.sent, stream.received)
            sequence, acknowledgement = numbers if packet.sent else numbers[::-1]
            self._writer.write_tcp_data(
                packet.at,
                source,
                destination,
                packet.octets,
                sequence_number=sequence,
                acknowledgement_number=acknowledgement,
            )
            self._written_packets += 1
        if packet.sent:
            stream.sent = (stream.sent + length) & 0xFFFF_FFFF
        else:
            stream.received = (stream.received + length) & 0xFFFF_FFFF

    def _open(self, key: tuple[Endpoint, Endpoint, int | None], packet: _Packet) -> _Stream:
        if len(self._connections) >= MAX_CONNECTIONS:
            self._connections.popitem(last=False)
        first = self._first_number(packet.local, packet.remote)
        if packet.sent or not self._only_sent:
            source, destination = _direction(packet)
            self._writer.write_tcp_open(packet.at, source, destination, first)
        stream = self._connections[key] = _Stream(first + 1, first + 1)
        return stream

    def _first_number(self, local: Endpoint, remote: Endpoint) -> int:
        meetings = self._meetings.pop((local, remote), -1) + 1
        self._meetings[local, remote] = meetings
        if len(self._meetings) > MAX_CONNECTIONS:
            self._meetings.popitem(last=False)
        return meetings % 16 << 28


def _direction(packet: _Packet) -> tuple[Endpoint, Endpoint]:
    """Return source and destination."""
    if packet.sent:
        return packet.local, packet.remote
    return packet.remote, packet.local
