"""What a disk could hold after a power failure at any moment of a traced process.

``kill -9`` cannot see a missing fsync: the kernel still has the data. So a process is run under
strace, and from the log of its system calls the files are built again as they could be found
after the power failed at each write and each sync:

    only what was synced; everything that was written; random parts of what was not synced,
    torn at sectors of 512 octets; new names in a directory lost unless that directory (or the
    file, on the journalling file systems in use) was synced since

    trace = read_trace(log)                     system calls, in order
    for crash in crash_points(trace, root, marks, seed=..., limit=...):
        crash.files                             path below root -> octets
        crash.acknowledged                      what had been acknowledged before that moment

An acknowledgement is a write to the descriptor of ``marks``, a file that takes no part in the
crash: whatever is in it before a moment must be found after it.

Deliberately pessimistic where SQLite is: each write may be lost alone, in any order. Deliberately
optimistic in one thing: a synced write is whole.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["STRACE_OPTIONS", "Crash", "SystemCall", "crash_points", "read_trace"]

SECTOR_OCTETS = 512
STRACE_OPTIONS = (
    "-f",
    "--seccomp-bpf",
    "-xx",
    "-s",
    "1048576",
    "-e",
    "trace=openat,close,write,pwrite64,pwritev,writev,fsync,fdatasync,ftruncate,"
    "unlink,unlinkat,rename,renameat,renameat2,dup,dup2,dup3,lseek,fallocate",
    "-e",
    "signal=none",
    "-e",
    "status=successful",
)
_LINE = re.compile(r"(?:\[pid +)?(\d+)?\]? *([a-z0-9_]+)\((.*)\) += (-?\d+|0x[0-9a-f]+)(?: .*)?")
_UNFINISHED = re.compile(r"(?:\[pid +)?(\d+)?\]? *([a-z0-9_]+)\((.*) <unfinished \.\.\.>")
_RESUMED = re.compile(r"(?:\[pid +)?(\d+)?\]? *<\.\.\. ([a-z0-9_]+) resumed>(.*)")
_STRING = re.compile(r'"((?:\\x[0-9a-f]{2})*)"(\.\.\.)?')


@dataclass(frozen=True, slots=True)
class SystemCall:
    """One successful system call: name, text arguments, octet strings among them, result."""

    name: str
    arguments: tuple[str, ...]
    strings: tuple[bytes, ...]
    result: int


def read_trace(log: str) -> list[SystemCall]:
    """Read the log of ``strace`` with STRACE_OPTIONS; joins calls that were interrupted."""
    calls: list[SystemCall] = []
    unfinished: dict[str | None, str] = {}
    for text in log.splitlines():
        line = text
        if match := _UNFINISHED.fullmatch(line):
            unfinished[match[1]] = f"{match[2]}({match[3]}"
            continue
        if match := _RESUMED.fullmatch(line):
            line = unfinished.pop(match[1], "") + match[3]
        if match := _LINE.fullmatch(line):
            calls.append(_call(match[2], match[3], int(match[4], 0)))
    return calls


def _call(name: str, text: str, result: int) -> SystemCall:
    strings = []
    for octets, is_cut in _STRING.findall(text):
        if is_cut:
            raise ValueError(f"strace cut a string of {name}; raise its -s")
        strings.append(bytes.fromhex(octets.replace("\\x", "")))
    arguments = tuple(part.strip() for part in _STRING.sub("S", text).split(","))
    return SystemCall(name, arguments, tuple(strings), result)


@dataclass(slots=True)
class _File:
    """One file: what is safe on the disk, and the writes that are not."""

    synced: bytes = b""
    pending: list[tuple[int, bytes | None]] = field(default_factory=list)  # None: cut to offset

    def whole(self) -> bytes:
        return _applied(self.synced, self.pending)

    def sync(self) -> None:
        self.synced = self.whole()
        self.pending = []


def _applied(octets: bytes, writes: list[tuple[int, bytes | None]]) -> bytes:
    if not writes:
        return octets
    content = bytearray(octets)
    for offset, data in writes:
        if data is None:
            del content[offset:]
            content.extend(bytes(offset - len(content)))
            continue
        content.extend(bytes(max(0, offset - len(content))))
        content[offset : offset + len(data)] = data
    return bytes(content)


def _torn(write: tuple[int, bytes | None], chance: random.Random) -> list[tuple[int, bytes | None]]:
    """Return the sectors of a write that reached the disk."""
    offset, data = write
    if data is None:
        return [write] if chance.random() < 0.5 else []
    fate = chance.random()
    if fate < 0.4:
        return [write]
    if fate < 0.7:
        return []
    sectors: list[tuple[int, bytes | None]] = []
    end = offset + len(data)
    start = offset
    while start < end:
        stop = min(end, (start // SECTOR_OCTETS + 1) * SECTOR_OCTETS)
        if chance.random() < 0.5:
            sectors.append((start, data[start - offset : stop - offset]))
        start = stop
    return sectors


@dataclass(frozen=True, slots=True)
class Crash:
    """What a disk could hold after the power failed at one moment.

    :param moment: which system call was the last one.
    :param way: ``synced``, ``written`` or ``torn``.
    :param files: octets by path relative to the root.
    :param acknowledged: octets that had been written to the marks.
    """

    moment: int
    way: str
    files: dict[str, bytes]
    acknowledged: bytes


class _Disk:
    """The files below a root, as the calls of one process left them."""

    def __init__(self, root: Path, marks: Path) -> None:
        self.root = root
        self.marks = marks
        self.acknowledged = b""
        self.names: dict[str, _File] = {}  # as the process sees them
        self.durable: dict[str, _File] = {}  # as the directory on the disk has them
        self._open: dict[int, tuple[str, _File]] = {}
        self._directories: set[int] = set()
        self._offsets: dict[int, int] = {}
        self._mark_descriptors: set[int] = set()

    def perform(self, call: SystemCall) -> bool:
        """Follow a call; True if it is a moment worth a crash: a write or a sync below root."""
        method = getattr(self, f"_{call.name}", None)
        return bool(method(call)) if method is not None else False

    def _relative(self, octets: bytes) -> str | None:
        path = Path(octets.decode())
        return str(path.relative_to(self.root)) if path.is_relative_to(self.root) else None

    def _openat(self, call: SystemCall) -> None:
        path = Path(call.strings[0].decode())
        descriptor = call.result
        self._close_descriptor(descriptor)
        if path == self.marks:
            self._mark_descriptors.add(descriptor)
            return
        if path == self.root:
            self._directories.add(descriptor)
            return
        name = self._relative(call.strings[0])
        flags = call.arguments[2]
        if name is None or "O_DIRECTORY" in flags:
            return
        if name not in self.names:
            self.names[name] = _File()
        if "O_TRUNC" in flags:
            self.names[name].pending.append((0, None))
        self._open[descriptor] = (name, self.names[name])
        self._offsets[descriptor] = 0

    def _close(self, call: SystemCall) -> None:
        self._close_descriptor(int(call.arguments[0]))

    def _close_descriptor(self, descriptor: int) -> None:
        self._open.pop(descriptor, None)
        self._directories.discard(descriptor)
        self._mark_descriptors.discard(descriptor)

    def _write(self, call: SystemCall) -> bool:
        descriptor = int(call.arguments[0])
        data = b"".join(call.strings)[: call.result]
        if descriptor in self._mark_descriptors:
            self.acknowledged += data
            return False
        if descriptor not in self._open:
            return False
        offset = self._offsets[descriptor]
        self._offsets[descriptor] = offset + len(data)
        self._open[descriptor][1].pending.append((offset, data))
        return True

    def _pwrite64(self, call: SystemCall) -> bool:
        descriptor = int(call.arguments[0])
        if descriptor not in self._open:
            return False
        data = call.strings[0][: call.result]
        self._open[descriptor][1].pending.append((int(call.arguments[-1]), data))
        return True

    def _ftruncate(self, call: SystemCall) -> bool:
        descriptor = int(call.arguments[0])
        if descriptor not in self._open:
            return False
        self._open[descriptor][1].pending.append((int(call.arguments[1]), None))
        return True

    def _lseek(self, call: SystemCall) -> None:
        self._offsets[int(call.arguments[0])] = call.result

    def _fsync(self, call: SystemCall) -> bool:
        descriptor = int(call.arguments[0])
        if descriptor in self._directories:
            self.durable = dict(self.names)
            return True
        if descriptor in self._open:
            name, file = self._open[descriptor]
            file.sync()
            if self.names.get(name) is file and name not in self.durable:
                self.durable[name] = file  # ext4, XFS and Btrfs: the name goes with the file
            return True
        return False

    _fdatasync = _fsync

    def _unlink(self, call: SystemCall) -> bool:
        name = self._relative(call.strings[0])
        return name is not None and self.names.pop(name, None) is not None

    _unlinkat = _unlink

    def _rename(self, call: SystemCall) -> bool:
        old, new = (self._relative(octets) for octets in call.strings[:2])
        if old is None or new is None:
            return False
        self.names[new] = self.names.pop(old)
        return True

    _renameat = _renameat2 = _rename

    def _refuse(self, call: SystemCall) -> None:
        if call.arguments[0].isdigit() and int(call.arguments[0]) in self._open:
            raise ValueError(f"{call.name} on a traced file is not followed")

    _pwritev = _writev = _fallocate = _dup = _dup2 = _dup3 = _refuse

    def crashed(self, way: str, chance: random.Random) -> dict[str, bytes]:
        """Return the files of one possible disk."""
        files: dict[str, bytes] = {}
        names = self._surviving_names(way, chance)
        for name, file in names.items():
            match way:
                case "synced":
                    files[name] = file.synced
                case "written":
                    files[name] = file.whole()
                case _:
                    writes = [part for w in file.pending for part in _torn(w, chance)]
                    files[name] = _applied(file.synced, writes)
        return files

    def _surviving_names(self, way: str, chance: random.Random) -> dict[str, _File]:
        if way == "written":
            return dict(self.names)
        if way == "synced":
            return dict(self.durable)
        choices = (self.durable, self.names)
        found = {}
        for name in sorted({*self.durable, *self.names}):
            file = choices[chance.randrange(2)].get(name)
            if file is not None:
                found[name] = file
        return found


def crash_points(
    trace: list[SystemCall], root: Path, marks: Path, *, seed: int, torn_ways: int, stride: int = 1
) -> Iterator[Crash]:
    """Give the possible disks after each write and each sync below a directory.

    :param torn_ways: how many random disks for each moment, besides the two fixed ones.
    :param stride: take every n-th moment only.
    """
    chance = random.Random(seed)
    disk = _Disk(root, marks)
    moments = 0
    for index, call in enumerate(trace):
        if not disk.perform(call):
            continue
        moments += 1
        if moments % stride:
            continue
        for way in ("synced", "written", *["torn"] * torn_ways):
            yield Crash(index, way, disk.crashed(way, chance), disk.acknowledged)
