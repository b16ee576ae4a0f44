"""Real processes for tests: start one, wait for a line of it, speak to it, end it in any way.

Nothing here sleeps: who waits, waits for a line or for the end, until a deadline that fails the
test and shows what the process had said.
"""

from __future__ import annotations

import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

__all__ = ["PYTHON", "ForkedProcess", "Forker", "Process", "free_port", "wait_until"]

PYTHON = sys.executable
ROOT = Path(__file__).parents[2]
# Below the range from which the system takes the ports of connections, so that a port is still
# free when the process that had it is started again.
_PORTS = range(20_000, 32_000)

# How long a process may take to end or to say something, unless told otherwise: far more than
# it needs, for machines on which much else runs.
_WITHIN_S = 30.0

_Value = TypeVar("_Value")


def free_port(host: str = "127.0.0.1") -> int:
    """Return a port that is free for UDP and TCP."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for _ in range(100):
        port = random.choice(_PORTS)
        with (
            socket.socket(family, socket.SOCK_STREAM) as tcp,
            socket.socket(family, socket.SOCK_DGRAM) as udp,
        ):
            try:
                tcp.bind((host, port))
                udp.bind((host, port))
            except OSError:
                continue
            return port
    raise AssertionError("no free port")


def wait_until(
    look: Callable[[], _Value], within_s: float = _WITHIN_S, *, what: str = "the condition"
) -> _Value:
    """Look again and again, for what has no line to wait for; return the first true value."""
    end_at = time.monotonic() + within_s
    pause = threading.Event()
    while not (value := look()):
        assert time.monotonic() < end_at, f"{what}: not within {within_s:.0f} s"
        pause.wait(0.01)
    return value


class Speaker:
    """What can be waited for and spoken to, whoever started it.

    :param name: for what a failed test shows.
    :param stream: its standard output and standard error.
    """

    def __init__(self, name: str, stream: Any) -> None:
        self.name = name
        self._stream = stream
        self._lines: list[str] = []
        self._read = threading.Condition()
        self._is_at_end = False
        self._reader = threading.Thread(target=self._read_lines, daemon=True)
        self._reader.start()

    @property
    def lines(self) -> Sequence[str]:
        """What it has said so far, standard output and standard error."""
        with self._read:
            return tuple(self._lines)

    def wait_for(
        self, pattern: str, within_s: float = _WITHIN_S, *, count: int = 1
    ) -> re.Match[str]:
        """Wait for the ``count``-th line that holds a pattern; fail when the process ends first."""
        end_at = time.monotonic() + within_s
        expression = re.compile(pattern)
        seen, matches = 0, 0
        with self._read:
            while True:
                for line in self._lines[seen:]:
                    match = expression.search(line)
                    matches += match is not None
                    if match is not None and matches == count:
                        return match
                seen = len(self._lines)
                left_s = end_at - time.monotonic()
                if self._is_at_end or left_s <= 0:
                    raise AssertionError(f"{self.name}: no line with {pattern!r}\n{self.said()}")
                self._read.wait(left_s)

    def count(self, pattern: str) -> int:
        """Return how many lines hold a pattern."""
        return sum(re.search(pattern, line) is not None for line in self.lines)

    def said(self) -> str:
        """Return its last lines, for people."""
        return "\n".join(f"    {self.name}| {line}" for line in self.lines[-60:])

    def _read_lines(self) -> None:
        try:
            for line in self._stream:
                with self._read:
                    self._lines.append(line.rstrip("\n"))
                    self._read.notify_all()
        except ConnectionResetError:
            pass
        with self._read:
            self._is_at_end = True
            self._read.notify_all()


class Process(Speaker):
    """A process of its own.

    :param arguments: the command; the first is a path.

    Use it as a context manager: at the end of the block it is killed if it still runs.
    """

    def __init__(
        self,
        *arguments: str | Path,
        name: str = "",
        cwd: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
        self._process = subprocess.Popen(
            [str(argument) for argument in arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=cwd,
            env={**os.environ, "PYTHONPATH": path, **(environment or {})},
            text=True,
            errors="replace",
        )
        self.pid = self._process.pid
        super().__init__(name or Path(arguments[0]).name, self._process.stdout)

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def send(self, line: str) -> None:
        """Write a line to its standard input."""
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def kill(self) -> None:
        """End it at once (SIGKILL)."""
        self._process.kill()
        self.wait()

    def terminate(self, within_s: float = _WITHIN_S) -> int:
        """Ask it to end (SIGTERM); return its exit status."""
        self._process.terminate()
        return self.wait(within_s)

    def wait(self, within_s: float = _WITHIN_S) -> int:
        """Wait for its end; return its exit status, negative for a signal."""
        try:
            status = self._process.wait(within_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} has not ended\n{self.said()}") from None
        self._reader.join(5.0)
        return status

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.is_running:
            self.kill()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                try:
                    stream.close()
                except BrokenPipeError:
                    continue
        if error is not None:
            print(self.said())


class Forker:
    """A process that has imported a module and forks others that run its ``main``.

    See :mod:`tests.harness.forking`. Starting Python with all that the product imports takes a
    second or two; forking takes milliseconds, and what is forked can be killed just as well.
    """

    def __init__(self, module: str) -> None:
        self._control, other = socket.socketpair()
        self._process = subprocess.Popen(
            [PYTHON, "-m", "tests.harness.forking", module], stdin=other, cwd=ROOT
        )
        other.close()

    def fork(self, *arguments: str | Path, name: str) -> ForkedProcess:
        """Start a process with these arguments in its ``sys.argv``."""
        own, other = socket.socketpair()
        order = json.dumps([str(argument) for argument in arguments])
        socket.send_fds(self._control, [order.encode()], [other.fileno()])
        other.close()
        return ForkedProcess(self, int(json.loads(self._control.recv(64))), own, name)

    def wait(self, pid: int) -> int:
        """Wait for the end of a process; return its exit status."""
        self._control.send(json.dumps(pid).encode())
        return int(json.loads(self._control.recv(64)))

    def close(self) -> None:
        """End it; its processes have to be ended before."""
        self._control.close()
        self._process.wait(_WITHIN_S)


class ForkedProcess(Speaker):
    """A process that a :class:`Forker` started; used like :class:`Process`."""

    def __init__(self, forker: Forker, pid: int, control: socket.socket, name: str) -> None:
        self.pid = pid
        self._forker = forker
        self._control = control
        self._status: int | None = None
        super().__init__(name, control.makefile("r", encoding="utf-8", errors="replace"))

    def send(self, line: str) -> None:
        """Write a line to its standard input."""
        self._control.sendall(line.encode() + b"\n")

    def kill(self) -> None:
        """End it at once (SIGKILL)."""
        os.kill(self.pid, signal.SIGKILL)
        self.wait()

    def terminate(self, within_s: float = _WITHIN_S) -> int:
        """Ask it to end (SIGTERM); return its exit status."""
        os.kill(self.pid, signal.SIGTERM)
        return self.wait(within_s)

    def wait(self, within_s: float = _WITHIN_S) -> int:
        """Wait for its end; return its exit status, negative for a signal."""
        self._reader.join(within_s)  # its streams close when it ends
        assert not self._reader.is_alive(), f"{self.name} has not ended\n{self.said()}"
        if self._status is None:
            self._status = self._forker.wait(self.pid)
        return self._status

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._status is None:
            self.kill()
        self._stream.close()
        self._control.close()
        if error is not None:
            print(self.said())
