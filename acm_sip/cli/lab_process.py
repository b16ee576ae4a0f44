"""One process of a lab: started, listened to, and ended in every case."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Final

__all__ = ["LabError", "LabProcess"]

_TAIL_LINES: Final = 15
_END_WITHIN_S: Final = 8.0  # ours: above the 5 s that a server waits for answers under way


class LabError(Exception):
    """A lab did not do what it should; the text says which process said what.

    :param process: the one that is quoted already.
    """

    def __init__(self, text: str, process: LabProcess | None = None) -> None:
        super().__init__(text)
        self.process = process


class LabProcess:
    """A process of this same program.

    :param letter: of the entity, for people.
    :param arguments: of the command line.
    :param log: file for everything that it prints.
    """

    def __init__(self, letter: str, arguments: Sequence[str], log: Path) -> None:
        self.letter = letter
        self.arguments = tuple(arguments)
        self.lines: list[str] = []
        self._log = log
        self._process: asyncio.subprocess.Process
        self._reading: asyncio.Task[None]
        self._news = asyncio.Event()
        self._is_started = False

    async def start(self) -> None:
        """Start it, in a session of its own: a Ctrl-C reaches it through the lab only."""
        with self._log.open("wb") as log:
            starting = asyncio.create_task(self._spawn(log))
            try:
                await asyncio.shield(starting)
            finally:
                # A start that is interrupted half way would leave a process that nobody ends.
                self._process = await starting
                self._reading = asyncio.create_task(self._read())
                self._is_started = True

    async def _spawn(self, log: IO[bytes]) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",
            "-m",
            "acm_sip.cli",
            *self.arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
            start_new_session=True,
        )

    async def wait_line(self, start: str, within_s: float) -> str:
        """Return the first line of its standard output that starts so.

        :raises LabError: it ended, or did not say so in time.
        """
        try:
            async with asyncio.timeout(within_s):
                while True:
                    for line in self.lines:
                        if line.startswith(start):
                            return line
                    if self._reading.done():
                        raise self.error(f"ended before it said {start!r}")
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise self.error(f"did not say {start!r} within {within_s:.0f} s") from None

    async def wait_end(self, within_s: float) -> int:
        """Return its exit status.

        :raises LabError: it did not end in time.
        """
        try:
            async with asyncio.timeout(within_s):
                await self._reading
                return await self._process.wait()
        except TimeoutError:
            raise self.error(f"did not end within {within_s:.0f} s") from None

    async def stop(self) -> int | None:
        """End it in order, by force where it does not; return its exit status."""
        if not self._is_started:
            return None
        for number in (signal.SIGTERM, signal.SIGKILL):
            if self._process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    self._process.send_signal(number)
            try:
                async with asyncio.timeout(_END_WITHIN_S):
                    await self._process.wait()
                    await self._reading
            except TimeoutError:
                continue
            break
        return self._process.returncode

    def kill(self) -> None:
        """End it at once, if it has not ended; :meth:`wait_killed` waits for that."""
        if self._is_started and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()

    async def wait_killed(self) -> None:
        """Wait for the end of a process that was killed or never started."""
        if self._is_started:
            await self._reading

    def error(self, what: str) -> LabError:
        """Return an error that quotes what the process said last."""
        return LabError(f"{self.letter} {what}\n{self.last_words()}", self)

    def last_words(self) -> str:
        """Return what the process said last, on both outputs."""
        said = self._log.read_text(encoding="utf-8", errors="replace").splitlines()
        quoted = [*self.lines[-_TAIL_LINES:], *said[-_TAIL_LINES:]] or ["(nothing)"]
        command = " ".join(("acm-sip", *self.arguments))
        return "\n".join([f"{self.letter}: {command}", *(f"  {line}" for line in quoted)])

    async def _read(self) -> None:
        stream = self._process.stdout
        assert stream is not None
        while line := await stream.readline():
            self.lines.append(line.decode("utf-8", "replace").rstrip("\n"))
            self._news.set()
        await self._process.wait()
        self._news.set()
