"""Four entities as processes of their own, through one update of 10.17.6.2, with its capture.

    A  acm-sip update     P  acm-sip serve     Q  acm-sip serve     B  acm-sip client

Each has a store of its own and records only what it sent, so that the merged capture holds each
message once. The ports of the servers are chosen by the system and held by bound sockets that
do not listen until the servers have bound them too: nobody else can be given them meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from acm_sip.capture.ladder import Ladder, build_ladder
from acm_sip.capture.merge import merge
from acm_sip.capture.reading import read_messages
from acm_sip.capture.summary import summarize
from acm_sip.cli import lab_files
from acm_sip.cli.client import REGISTERED
from acm_sip.cli.lab_process import LabError, LabProcess
from acm_sip.cli.outcome import EXIT_FAILURE, EXIT_SUCCESS
from acm_sip.cli.serve import READY
from acm_sip.cli.update import TRANSACTION_LINE
from acm_sip.errors import StoreError
from acm_sip.procedures.records import AcmTransactionState, Side
from acm_sip.stores import AcmStore

__all__ = ["Lab", "LabError", "LabReport", "Scenario"]

_READY_WITHIN_S: Final = 30.0  # ours: a loaded machine imports slowly; one at rest needs one
_OUTCOME_WITHIN_S: Final = 30.0
_LOOK_EVERY_S: Final = 0.05


@dataclass(frozen=True, slots=True)
class Scenario:
    """A course that the procedure can take.

    :param handling: local policy of Q: ``ask``, ``accept`` or ``reject``.
    :param may_request: whether alice is authorized.
    :param answer: options of client B; None where B is not there at all.
    :param is_late: B logs on only after its server has kept the request.
    :param is_success: the outcome that this must have.
    """

    handling: str = "ask"
    may_request: bool = True
    answer: tuple[str, ...] | None = ("--accept",)
    is_late: bool = False
    is_success: bool = True


@dataclass(frozen=True, slots=True)
class LabReport:
    """What came of it.

    :param ports: of the servers, by letter.
    :param said: the lines of standard output, by letter.
    """

    scenario: Scenario
    capture: Path
    acm_transaction_id: str
    ports: dict[str, int]
    said: dict[str, list[str]] = field(repr=False)

    def ladder(self) -> Ladder:
        """Read the capture; its entities carry their letters."""
        names = {f"127.0.0.1:{port}": _title(letter) for letter, port in self.ports.items()}
        by_identity = {identity: letter for letter, identity in lab_files.ENTITIES.items()}
        for message in read_messages(self.capture):
            summary = summarize(message.octets)
            if summary.method == "REGISTER" and summary.identity in by_identity:
                host, port = message.source
                names[f"{host}:{port}"] = _title(by_identity[summary.identity])
        return build_ladder(read_messages(self.capture), names)


class Lab:
    """A directory with configurations, and the processes that run from it.

    :param directory: exists; everything is written there.
    :param document: the TS 24.484 document that A sends.
    """

    def __init__(self, directory: Path, document: bytes, scenario: Scenario | None = None) -> None:
        self.directory = directory
        self.scenario = scenario or Scenario()
        self._document = directory / "ue-initial-configuration.xml"
        self._document.write_bytes(document)
        self._ports: dict[str, int] = {}
        self._processes: dict[str, LabProcess] = {}

    def store(self, letter: str) -> Path:
        """Return where the store of an entity is."""
        return self._file(letter, ".db")

    async def run(self, capture: Path) -> LabReport:
        """Run the procedure to its outcome, end every process, and write the capture.

        :raises LabError: a process did not do what it should.
        """
        try:
            with _reserved_ports() as (primary, partner):
                self._ports = {"P": primary, "Q": partner}
                self._write_files()
                await self._start_systems()
            acm_transaction_id = await self._update()
            await self._stop_all()
        except LabError as error:
            others = [
                process for process in self._processes.values() if process is not error.process
            ]
            raise LabError("\n".join([str(error), *(one.last_words() for one in others)])) from None
        finally:
            for process in self._processes.values():
                process.kill()  # all of them, before anything can interrupt the waiting
            await asyncio.gather(*(process.wait_killed() for process in self._processes.values()))
        # A process that the scenario did not need has recorded nothing.
        parts = [path for letter in "APQB" if (path := self._file(letter, ".pcapng")).exists()]
        for fault in merge(parts, capture):
            raise LabError(str(fault))
        said = {letter: process.lines for letter, process in self._processes.items()}
        return LabReport(self.scenario, capture, acm_transaction_id, self._ports, said)

    async def _start_systems(self) -> None:
        await asyncio.gather(
            self._start("P", "serve", str(self._file("P"))),
            self._start("Q", "serve", str(self._file("Q"))),
            *([] if self.scenario.is_late else [self._start_b()]),
        )
        await asyncio.gather(
            self._processes["P"].wait_line(READY, _READY_WITHIN_S),
            self._processes["Q"].wait_line(READY, _READY_WITHIN_S),
        )
        if "B" in self._processes:
            await self._processes["B"].wait_line(REGISTERED, _READY_WITHIN_S)

    async def _start_b(self) -> None:
        if self.scenario.answer is not None:
            await self._start("B", "client", str(self._file("B")), *self.scenario.answer)

    async def _update(self) -> str:
        await self._start(
            "A",
            "update",
            str(self._file("A")),
            str(self._document),
            *lab_files.MIGRATING_USERS,
            "--target",
            lab_files.TARGET,
            "--wait",
            f"{_OUTCOME_WITHIN_S:.0f}",
        )
        client = self._processes["A"]
        line = await client.wait_line(TRANSACTION_LINE, _READY_WITHIN_S)
        if self.scenario.is_late:
            await self._wait_kept()
            await self._start_b()
        status = await client.wait_end(_READY_WITHIN_S + _OUTCOME_WITHIN_S)
        if status != (EXIT_SUCCESS if self.scenario.is_success else EXIT_FAILURE):
            raise client.error(f"ended with exit status {status}")
        return line.removeprefix(TRANSACTION_LINE)

    async def _wait_kept(self) -> None:
        """Wait until Q keeps the request for a user who is not logged on."""
        try:
            async with asyncio.timeout(_OUTCOME_WITHIN_S):
                # Another process writes the store: there is no event to wait for.
                while not self._is_kept():  # noqa: ASYNC110
                    await asyncio.sleep(_LOOK_EVERY_S)
        except TimeoutError:
            raise self._processes["Q"].error("did not keep the request") from None

    def _is_kept(self) -> bool:
        try:
            with AcmStore.open(self.store("Q"), read_only=True) as store, store.read() as reader:
                found = reader.list_transactions(1, side=Side.PARTNER)
                return bool(found) and found[0].state is AcmTransactionState.KEPT
        except StoreError:
            return False

    async def _start(self, letter: str, *arguments: str) -> None:
        process = LabProcess(letter, arguments, self._file(letter, ".log"))
        self._processes[letter] = process
        await process.start()

    async def _stop_all(self) -> None:
        """End clients before their servers, so that they can de-register."""
        for letters in ("B", "PQ"):
            ending = [process for letter in letters if (process := self._processes.get(letter))]
            statuses = await asyncio.gather(*(process.stop() for process in ending))
            for process, status in zip(ending, statuses, strict=True):
                if status != 0:
                    raise process.error(f"ended with exit status {status}")

    def _write_files(self) -> None:
        scenario, primary, partner = self.scenario, self._ports["P"], self._ports["Q"]
        lab_files.write_primary_file(
            self._file("P"), primary, partner, may_request=scenario.may_request
        )
        lab_files.write_partner_file(self._file("Q"), partner, primary, handling=scenario.handling)
        lab_files.write_client_file(self._file("A"), "alice", "mc1", primary)
        lab_files.write_client_file(self._file("B"), "bob", "mc2", partner)

    def _file(self, letter: str, suffix: str = ".toml") -> Path:
        names = {"A": "alice", "P": "primary", "Q": "partner", "B": "bob"}
        return self.directory / (names[letter] + suffix)


def _title(letter: str) -> str:
    return f"{letter} {lab_files.ENTITIES[letter]}"


@contextlib.contextmanager
def _reserved_ports() -> Iterator[tuple[int, int]]:
    """Give two free TCP ports of this host that the system gives to nobody else meanwhile."""
    with socket.socket() as one, socket.socket() as other:
        ports = []
        for reserved in (one, other):
            # Two sockets may be bound to one port as long as at most one of them listens.
            reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            reserved.bind(("127.0.0.1", 0))
            ports.append(reserved.getsockname()[1])
        yield ports[0], ports[1]
