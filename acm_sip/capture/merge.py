"""Merging captures of several processes, or machines, into one by time.

Packets are copied as they are, each with its link type; times are kept to the nanosecond. Inputs
are streamed, and expected to be in order of time themselves, as captures nearly are.
"""

from __future__ import annotations

import heapq
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING

from acm_sip.capture.packets import open_capture, read_packets
from acm_sip.capture.pcapng import interface_block, packet_block, section_block
from acm_sip.errors import CaptureError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from acm_sip.capture.packets import Packet

__all__ = ["merge"]

_NANOSECONDS = 9  # the resolution of the merged file, as a negative power of ten


def merge(
    inputs: Sequence[str | Path], output: str | Path, *, application: str = "acm-sip"
) -> tuple[CaptureError, ...]:
    """Merge *inputs* into *output*, which is replaced only when the merge is complete.

    :returns: the faults of inputs that are cut or no captures; what stands before a fault is in
        the output.
    :raises OSError: when the output cannot be written.
    """
    faults: list[CaptureError] = []
    packets = heapq.merge(
        *(_packets_until_fault(path, faults) for path in inputs), key=attrgetter("time_ns")
    )
    target = Path(output)
    part = target.with_name(target.name + ".part")
    interfaces: dict[int, int] = {}
    try:
        with part.open("wb") as stream:
            stream.write(section_block(application=application))
            for packet in packets:
                interface = interfaces.get(packet.link_type)
                if interface is None:
                    interface = interfaces[packet.link_type] = len(interfaces)
                    stream.write(interface_block(packet.link_type, _NANOSECONDS))
                stream.write(
                    packet_block(
                        packet.time_ns,
                        packet.octets,
                        interface=interface,
                        original_octets=packet.original_octets,
                    )
                )
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    return tuple(faults)


def _packets_until_fault(path: str | Path, faults: list[CaptureError]) -> Iterator[Packet]:
    try:
        with open_capture(path) as stream:
            yield from read_packets(stream, str(path))
    except CaptureError as error:
        faults.append(error)
