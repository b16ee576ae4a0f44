"""Under strace: what was acknowledged was on the disk before.

Between the system call that read a request and the one that writes its 2xx lies an fdatasync of
the write-ahead log, begun after the one and ended before the other.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.harness.peers import require_program
from tests.harness.processes import PYTHON, Process, wait_until
from tests.interop.lab import Lab
from tests.interop.raw_sip import RawPeer
from tests.interop.sipp import request_body

PSI = "sip:acm@mc1.example"
READS = {"read", "readv", "recvfrom", "recvmsg", "recvmmsg"}
WRITES = {"write", "writev", "sendto", "sendmsg", "sendmmsg"}
_LINE = re.compile(r"(\d+) +(?:<\.\.\. (\w+) resumed>(.*)|(\w+)\((.*))")


@dataclass(slots=True)
class SystemCall:
    """One system call.

    :param began: number of the line on which it began; ``ended`` likewise.
    """

    name: str
    text: str
    began: int
    ended: int


def read_calls(lines: Sequence[str]) -> list[SystemCall]:
    """Read the log of ``strace -f``, calls that were interrupted by others included."""
    calls: list[SystemCall] = []
    unfinished: dict[str, SystemCall] = {}
    for number, line in enumerate(lines):
        match = _LINE.match(line)
        if match is None:
            continue
        thread, resumed, rest, name, text = match.groups()
        if resumed is not None:
            call = unfinished.pop(thread)
            call.text += rest
            call.ended = number
            continue
        call = SystemCall(name, text, number, number)
        calls.append(call)
        if text.endswith("<unfinished ...>"):
            unfinished[thread] = call
    return calls


def assert_durable_before_answered(calls: Sequence[SystemCall], call_id: str, wal: Path) -> None:
    """Demand the fdatasync for the request with this Call-ID."""

    def ends(names: set[str], start: str) -> list[SystemCall]:
        return [c for c in calls if c.name in names and start in c.text and call_id in c.text]

    (read,) = ends(READS, f'"MESSAGE {PSI}') or ends(READS, '"REGISTER ')
    (write,) = ends(WRITES, '"SIP/2.0 20')
    syncs = [
        call
        for call in calls
        if call.name in {"fdatasync", "fsync"}
        and f"<{wal}>" in call.text
        and call.text.endswith("= 0")
        and read.ended < call.began
        and call.ended < write.began
    ]
    assert syncs, f"{call_id} was answered before it was on the disk"


@pytest.fixture(scope="module", params=["uvloop", "asyncio"])
def traced(request, tmp_path_factory, forker):
    """Give the log of a server that took requests over both transports, and their Call-IDs."""
    directory = tmp_path_factory.mktemp("strace")
    log = directory / "strace.log"
    names = ",".join(sorted({*READS, *WRITES, "fdatasync", "fsync"}))
    strace = [require_program("strace"), "-D", "-f", "-y", "-s", "65536"]
    strace += ["-e", f"trace={names}", "-e", "signal=none", "-o", log]
    with Lab(directory, forker) as lab:
        server = [PYTHON, "-m", "tests.harness.entity", "server", lab.path("primary")]
        call_ids = []
        with Process(*strace, *server, request.param) as process:
            process.wait_for("^serving", 60.0)
            for transport in ("UDP", "TCP"):
                with RawPeer(transport, lab.primary_port) as peer:
                    contact = "Contact: <sip:alice@raw.invalid>"
                    requests = [peer.request("REGISTER", "sip:mc1.example", b"", contact)]
                    requests += [
                        peer.request("MESSAGE", PSI, request_body(uuid.uuid4().urn))
                        for _ in range(3)
                    ]
                    for octets in requests:
                        answer = peer.ask(octets)
                        assert 200 <= answer.status_code < 300, answer
                        call_ids.append(answer.field("call-id"))
            assert process.terminate() == 0
        lines = wait_until(lambda: _whole_log(log, process.pid), what="the end of the trace")
        yield lines, call_ids, directory / "primary.db-wal"


def _whole_log(log: Path, pid: int) -> list[str]:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return lines if any(re.match(rf"{pid} +\+\+\+ exited", line) for line in lines[-20:]) else []


def test_an_fdatasync_of_the_wal_lies_between_a_request_and_its_2xx(traced):
    lines, call_ids, wal = traced
    calls = read_calls(lines)
    assert len(call_ids) == 8
    for call_id in call_ids:
        assert_durable_before_answered(calls, call_id, wal)


def test_without_the_fdatasync_the_check_fails(traced):
    lines, call_ids, wal = traced
    calls = [call for call in read_calls(lines) if call.name != "fdatasync"]
    for call_id in call_ids:
        with pytest.raises(AssertionError, match="before it was on the disk"):
            assert_durable_before_answered(calls, call_id, wal)


def test_an_fdatasync_that_ends_after_the_answer_does_not_count(traced):
    lines, call_ids, wal = traced
    calls = read_calls(lines)
    for call in calls:
        if call.name == "fdatasync":
            call.ended = len(lines)
    with pytest.raises(AssertionError, match="before it was on the disk"):
        assert_durable_before_answered(calls, call_ids[0], wal)
