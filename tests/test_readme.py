"""What the README shows is run: its commands, its examples, and the demo it prints."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PROGRAM = Path(sys.executable).with_name("acm-sip")
READY_WORDS = ("ready", "registered")
WITHIN_S = 60  # ours: a busy machine


@dataclass(frozen=True, slots=True)
class Command:
    """A command of the README, and what the README says it prints."""

    text: str
    output: tuple[str, ...]

    @property
    def is_lasting(self) -> bool:
        return self.text.startswith(("acm-sip serve ", "acm-sip client "))


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def commands() -> list[Command]:
    found = []
    for block in blocks("console"):
        for part in re.split(r"^\$ ", block.replace("\\\n", ""), flags=re.MULTILINE)[1:]:
            text, *output = part.splitlines()
            text = text.replace("make demo", "acm-sip demo")  # which is what it ends with
            found.append(Command(text, tuple(output)))
    return found


def words(command: Command) -> list[str]:
    name, *arguments = shlex.split(command.text)
    assert name == "acm-sip"
    return [str(PROGRAM), *arguments]


class Place:
    """A directory with the files that the README names, on ports that are free now."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.ports = {"5060": _free_port(), "5062": _free_port()}
        shutil.copytree(ROOT / "acm_sip" / "cli" / "data", directory / "acm_sip" / "cli" / "data")
        (directory / "tools" / "lab").mkdir(parents=True)
        for path in (ROOT / "tools" / "lab").glob("*.toml"):
            text = self.on_free_ports(path.read_text(encoding="utf-8"))
            (directory / "tools" / "lab" / path.name).write_text(text, encoding="utf-8")

    def on_free_ports(self, text: str) -> str:
        for port, free in self.ports.items():
            text = text.replace(f"127.0.0.1:{port}", f"127.0.0.1:{free}")
        return text

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.on_free_ports(word) for word in command],
            cwd=self.directory,
            capture_output=True,
            text=True,
            timeout=WITHIN_S,
            check=False,
        )

    @contextmanager
    def running(self, *command: str) -> Iterator[None]:
        """Keep a command running, from the line that says it is ready until the end."""
        log = self.directory / f"log-{len(list(self.directory.glob('log-*')))}"
        with (
            log.open("w") as errors,
            subprocess.Popen(
                command, cwd=self.directory, stdout=subprocess.PIPE, stderr=errors, text=True
            ) as process,
        ):
            assert process.stdout is not None
            watchdog = threading.Timer(WITHIN_S, process.kill)
            watchdog.start()
            try:
                for line in process.stdout:
                    if any(word in line for word in READY_WORDS):
                        break
                else:
                    pytest.fail(f"{shlex.join(command)} is not ready: {log.read_text()}")
                yield
            finally:
                watchdog.cancel()
                process.send_signal(signal.SIGINT)
                process.communicate(timeout=WITHIN_S)


def _free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


@pytest.fixture(scope="module")
def lab(tmp_path_factory) -> Iterator[Place]:
    place = Place(tmp_path_factory.mktemp("readme"))
    with ExitStack() as stack:
        for command in commands():
            if command.is_lasting:
                stack.enter_context(place.running(*words(command)))
        yield place


def at_once(command: Command) -> bool:
    return command.text.startswith("acm-sip ") and not command.is_lasting


@pytest.mark.parametrize(
    "command", [c for c in commands() if at_once(c)], ids=lambda command: command.text
)
def test_a_command_does_what_the_readme_shows(lab, command):
    result = lab.run(*words(command))
    assert result.returncode == 0, result.stdout + result.stderr
    shown = Counter(normal(line) for line in command.output if line != "...")
    printed = Counter(normal(line) for line in result.stdout.splitlines())
    assert shown <= printed


def test_the_readme_runs_a_whole_lab():
    lasting = [command.text.split()[1] for command in commands() if command.is_lasting]
    assert sorted(lasting) == ["client", "serve", "serve"]


@pytest.mark.parametrize("target", sorted(set(re.findall(r"(?:`|\$ )make (\w+)", README))))
def test_make_knows_the_target(target):
    environment = {name: text for name, text in os.environ.items() if "MAKE" not in name}
    command = ["make", "--dry-run", target]
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=False)
    assert result.returncode == 0, result.stderr


def test_the_examples_talk_to_each_other(tmp_path):
    place = Place(tmp_path)
    client, server = blocks("python")
    (tmp_path / "client_example.py").write_text(client, encoding="utf-8")
    (tmp_path / "server_example.py").write_text(server, encoding="utf-8")
    with (
        place.running(str(PROGRAM), "serve", "tools/lab/primary.toml"),
        place.running(sys.executable, "server_example.py"),
        place.running(str(PROGRAM), "client", "tools/lab/bob.toml", "--accept"),
    ):
        result = place.run(sys.executable, "client_example.py")
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-1] == "success"  # behind what is logged


def test_an_example_is_short():
    examples = blocks("python")
    assert len(examples) == 2
    assert all(len(example.strip().splitlines()) <= 15 for example in examples)
    assert len(README.splitlines()) <= 150


def normal(line: str) -> str:
    """Take from a line what differs from run to run: times, ports, ids, places, column widths."""
    for pattern, name in (
        (r"^ +\d+\.\d{3} ", "AT "),
        (r"\d+(\.\d+)? (ms|s)\b", "DURATION"),
        (r"127\.0\.0\.1:\d+", "ADDRESS"),
        (r"urn:uuid:[0-9a-f-]{36}", "ID"),
        (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "DATE"),
        (r"/\S*acm-sip-demo-\w+/", "DIRECTORY/"),
        (r"tcp\.port==\d+", "PORT"),
    ):
        line = re.sub(pattern, name, line)
    return " ".join(line.split())


@pytest.mark.parametrize("document", ["README.md", "docs/clauses.md", "schemas/README.md"])
def test_a_file_that_is_named_exists(document):
    text = (ROOT / document).read_text(encoding="utf-8")
    named = re.findall(r"`((?:acm_sip|docs|schemas|tests|tools)/[\w./-]*)`", text)
    made = {"acm_sip/schemas"}  # in a wheel
    assert [path for path in named if not (ROOT / path).exists() and path not in made] == []
