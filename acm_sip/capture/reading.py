"""Reading the SIP messages of any capture, ours or not, in the order they were complete.

The layers below: containers (:mod:`.packets`), packets (:mod:`.dissection`), streams
(:mod:`.reassembly`). A capture is streamed; memory does not grow with it.

What is SIP is told by its start line, not by its port; from an endpoint that has spoken SIP in
datagrams, a datagram that has lost its start line is delivered too, for the reader to see.
Keep-alives (RFC 5626 3.5.1) are left out. Deliberately absent: SIP inside TLS.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from acm_sip.capture.dissection import Datagram, Dissector
from acm_sip.capture.packets import open_capture, read_packets
from acm_sip.capture.reassembly import StreamAssembler, is_start_line
from acm_sip.errors import CaptureError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from acm_sip.capture.packets import Packet
    from acm_sip.capture.pcapng import Endpoint

__all__ = ["CaptureReader", "CapturedMessage", "read_messages"]

_MAX_SPEAKERS: Final = 10_000  # endpoints remembered to speak SIP over UDP


@dataclass(frozen=True, slots=True)
class CapturedMessage:
    """One SIP message of a capture.

    :param frame_number: the packet that completed it, counted from 1.
    :param at: when that was, UTC seconds of the epoch.
    :param transport: ``UDP`` or ``TCP``.
    :param octets: the message, in full unless *is_cut*.
    :param is_cut: the capture kept only its beginning.
    """

    frame_number: int
    at: float
    transport: str
    source: Endpoint
    destination: Endpoint
    octets: bytes
    is_cut: bool = False


class CaptureReader:
    """Iterates over the messages of one capture file, once.

    :raises CaptureError: from the constructor when the file cannot be opened; from the iteration
        when it is no capture or is cut, after every message that stands before the cut.
    """

    def __init__(self, path: str | Path) -> None:
        self._name = str(path)
        self._stream = open_capture(path)
        self._dissector = Dissector()
        self._assembler = StreamAssembler()
        self._speakers: OrderedDict[Endpoint, None] = OrderedDict()
        self.packets = 0
        """How many packets have been read."""

    @property
    def encrypted_streams(self) -> int:
        """How many directions of TCP connections began with TLS and were left unread."""
        return self._assembler.encrypted_streams

    def __iter__(self) -> Iterator[CapturedMessage]:
        last: Packet | None = None
        fault: CaptureError | None = None
        with self._stream as stream:
            try:
                for packet in read_packets(stream, self._name):
                    last = packet
                    self.packets = packet.number
                    yield from self._read(packet)
            except CaptureError as error:
                fault = error
        if last is not None:
            yield from self._finish(last)
        if fault is not None:
            raise fault

    def _read(self, packet: Packet) -> Iterator[CapturedMessage]:
        found = self._dissector.dissect(packet)
        if found is None:
            return
        at = packet.time_ns / 1_000_000_000
        if isinstance(found, Datagram):
            if self._is_sip(found):
                yield CapturedMessage(
                    packet.number,
                    at,
                    "UDP",
                    found.source,
                    found.destination,
                    found.octets,
                    found.is_cut,
                )
            return
        for message in self._assembler.receive(found, packet.time_ns):
            yield CapturedMessage(packet.number, at, "TCP", *message)

    def _finish(self, last: Packet) -> Iterator[CapturedMessage]:
        for message in self._assembler.finish():
            yield CapturedMessage(last.number, last.time_ns / 1_000_000_000, "TCP", *message)

    def _is_sip(self, datagram: Datagram) -> bool:
        line = datagram.octets.lstrip(b"\r\n").partition(b"\n")[0]
        if is_start_line(line):
            self._speakers[datagram.source] = None
            self._speakers.move_to_end(datagram.source)
            if len(self._speakers) > _MAX_SPEAKERS:
                self._speakers.popitem(last=False)
            return True
        return bool(datagram.octets.strip(b"\r\n\0")) and datagram.source in self._speakers


def read_messages(path: str | Path) -> Iterator[CapturedMessage]:
    """Yield the SIP messages of a capture; see :class:`CaptureReader`."""
    return iter(CaptureReader(path))
