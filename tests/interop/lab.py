"""The two MC systems of ``tools/lab/``, each entity in a process of its own, on free ports."""

from __future__ import annotations

import tomllib
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from acm_sip import AcmTransaction, Side
from acm_sip.procedures.records import UserConfiguration
from acm_sip.stores import AcmStore, OutboxEntry
from tests.harness.processes import ROOT, ForkedProcess, Forker, Process, free_port

ALICE = "sip:alice.mcptt@mc1.example"
BOB = "sip:bob.mcptt@mc2.example"
CAROL = "sip:carol@mc1.example"
DAVE = "sip:dave@mc1.example"
SERVERS = ("primary", "partner")
NAMES = (*SERVERS, "alice", "bob")


class Lab:
    """Configurations of ``tools/lab/`` below a directory, and processes that run them.

    :ivar primary_port: of P, for UDP and TCP alike.
    :ivar partner_port: of Q.
    """

    def __init__(self, directory: Path, forker: Forker, added: str = "", **edits: str) -> None:
        """Write the configurations.

        :param added: TOML for the end of the primary's.
        :param edits: for each of NAMES, TOML that replaces keys of the shipped file, section by
            section (``[partners]`` stands for the only entry of that array).
        """
        self.directory = directory
        self._forker = forker
        self.primary_port = free_port()
        self.partner_port = free_port()
        self._processes = ExitStack()
        for name in NAMES:
            text = (ROOT / "tools" / "lab" / f"{name}.toml").read_text(encoding="utf-8")
            text = text.replace(":5060", f":{self.primary_port}")
            text = text.replace(":5062", f":{self.partner_port}")
            text = text.replace('"run/', f'"{directory}/')
            text = text.replace("recovery_base_s = 1 ", "recovery_base_s = 0.2 ")
            text = text.replace("recovery_base_s = 1\n", "recovery_base_s = 0.2\n")
            text = _edit(text, edits.get(name, "")) + (added if name == "primary" else "")
            self.path(name).write_text(text, encoding="utf-8")

    def path(self, name: str) -> Path:
        """Return the configuration of an entity."""
        return self.directory / f"{name}.toml"

    def start(self, name: str, *, loop: str = "uvloop") -> ForkedProcess:
        """Start an entity; a server has bound its addresses, a client is on its way."""
        (process,) = self.start_all(name, loop=loop)
        return process

    def start_all(self, *names: str, loop: str = "uvloop") -> list[ForkedProcess]:
        """Start several entities at the same time."""
        processes = []
        for name in names:
            kind = "server" if name in SERVERS else "client"
            process = self._forker.fork(kind, self.path(name), loop, name=name)
            processes.append(self._processes.enter_context(process))
        for name, process in zip(names, processes, strict=True):
            if name in SERVERS:
                process.wait_for("^serving")
        return processes

    def own(self, process: Process) -> Process:
        """End a process together with the lab."""
        return self._processes.enter_context(process)

    def transactions(self, name: str) -> list[AcmTransaction]:
        """Return what an entity has stored."""
        with AcmStore.open(self._store(name), read_only=True) as store, store.read() as reader:
            return reader.list_transactions(limit=10_000)

    def configurations(self, name: str, side: Side) -> list[UserConfiguration]:
        """Return the configurations that an entity has stored."""
        with AcmStore.open(self._store(name), read_only=True) as store, store.read() as reader:
            return reader.list_configurations(10_000, side=side)

    def outbox(self, name: str) -> list[OutboxEntry]:
        """Return what an entity still has to send."""
        with AcmStore.open(self._store(name), read_only=True) as store, store.read() as reader:
            return reader.list_outbox(10_000)

    def _store(self, name: str) -> Path:
        return self.directory / Path(
            tomllib.loads(self.path(name).read_text(encoding="utf-8"))["store"]["path"]
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._processes.__exit__(kind, error, trace)


def _edit(text: str, edits: str) -> str:
    """Put ``key = value`` lines below their section header, in place of those that are there."""
    lines = text.splitlines()
    section = ""
    for edit in edits.splitlines():
        if edit.startswith("["):
            section = edit.strip("[] ")
            if not any(line.strip().strip("[]") == section for line in lines):
                lines += ["", f"[{section}]"]
            continue
        if "=" not in edit:
            continue
        key = edit.partition("=")[0].strip()
        start = next(i for i, line in enumerate(lines) if line.strip().strip("[]") == section)
        end = next(
            (i for i in range(start + 1, len(lines)) if lines[i].startswith("[")), len(lines)
        )
        kept = [
            line
            for line in lines[start + 1 : end]
            if line.lstrip("# ").partition("=")[0].strip() != key or line.startswith("#")
        ]
        lines[start + 1 : end] = [edit, *kept]
    return "\n".join(lines) + "\n"
