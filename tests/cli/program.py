"""Running the installed program in a test, and the lab's files on ports of the test's own."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.harness.processes import PYTHON, ROOT, Process, free_port

__all__ = ["CAROL", "DOCUMENT", "TARGET", "LabFiles", "run_program", "start_program"]

DOCUMENT = ROOT / "acm_sip" / "cli" / "data" / "ue-initial-configuration.xml"
CAROL = "sip:carol@mc1.example"
TARGET = "sip:bob.mcptt@mc2.example"
_PROGRAM = (PYTHON, "-P", "-m", "acm_sip.cli")
_WITHIN_S = 60.0


def start_program(*arguments: str | Path, name: str = "") -> Process:
    """Start a command that stays; its output can be waited for."""
    return Process(*_PROGRAM, *arguments, name=name or str(arguments[0]))


def run_program(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [*_PROGRAM, *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_WITHIN_S,
        check=False,
    )


class LabFiles:
    """The configurations of ``tools/lab/`` below a directory, on free ports."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.primary_port = free_port()
        self.partner_port = free_port()
        for path in sorted((ROOT / "tools" / "lab").glob("*.toml")):
            text = path.read_text(encoding="utf-8")
            text = text.replace(":5060", f":{self.primary_port}")
            text = text.replace(":5062", f":{self.partner_port}")
            text = text.replace('"run/', f'"{directory}/')
            (directory / path.name).write_text(text, encoding="utf-8")

    def __getitem__(self, name: str) -> Path:
        """Return the configuration of an entity: primary, partner, alice or bob."""
        return self._directory / f"{name}.toml"
