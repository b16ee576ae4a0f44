"""``acm-sip demo``: what it promises, judged by its output, its capture and its processes."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

from acm_sip.capture.reading import read_messages
from acm_sip.cli.lab_files import default_document
from acm_sip.codec.explain import explain
from acm_sip.codec.ue_init_config import read_ue_initial_configuration
from tests.cli.program import DOCUMENT, run_program, start_program
from tests.harness.peers import require_program
from tests.harness.processes import wait_until

_CALL_ID = re.compile(rb"^Call-ID: *([^\r\n]+)", re.MULTILINE | re.IGNORECASE)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    directory = tmp_path_factory.mktemp("demo")
    result = run_program("demo", "--directory", directory)
    assert result.returncode == 0, result.stdout + result.stderr
    assert [path.name for path in directory.iterdir()] == ["demo.pcapng"]
    return result.stdout, directory / "demo.pcapng"


def call_ids(capture: Path) -> set[bytes]:
    found = set()
    for message in read_messages(capture):
        match = _CALL_ID.search(message.octets)
        assert match is not None
        found.add(match.group(1))
    return found


def test_it_shows_the_ten_steps_and_seven_messages(demo: tuple[str, Path]) -> None:
    output, capture = demo
    table = output.partition("The steps of 10.17.6.2")[2]
    assert re.findall(r"^ +(\d+)  ", table, re.MULTILINE) == [str(step) for step in range(1, 11)]
    messages = re.findall(r"^ +\d+  (. -> .) +MESSAGE (\d)  .* (\d\d\d) [A-Z]", table, re.MULTILINE)
    ends = ["A -> P", "P -> Q", "Q -> P", "Q -> B", "B -> Q", "Q -> P", "P -> A"]
    assert [message[0] for message in messages] == ends
    assert [message[1] for message in messages] == list("1234567")
    assert all(message[2].startswith("2") for message in messages)
    assert "\nOutcome at A        success, handled by sip:bob.mcptt@mc2.example\n" in output
    assert f"\nCapture             {capture}\n" in output


def test_every_call_id_differs_in_the_next_run_with_a_document_of_the_users(
    demo: tuple[str, Path], tmp_path: Path
) -> None:
    document = tmp_path / "mine.xml"
    document.write_text(
        DOCUMENT.read_text().replace(">MC system 1, UE initial configuration<", ">Mine<")
    )
    result = run_program("demo", "--directory", tmp_path, "--ue-init-config", document, "--keep")
    assert result.returncode == 0, result.stdout + result.stderr
    assert 'A sends the document "Mine"' in result.stdout
    assert not call_ids(demo[1]) & call_ids(tmp_path / "demo.pcapng")
    kept = Path(result.stdout.splitlines()[-1].removeprefix("Everything else").strip())
    assert {"primary.toml", "primary.db", "partner.log", "bob.toml"} <= {
        path.name for path in kept.iterdir()
    }
    shown = run_program("show", "transactions", kept / "partner.toml")
    assert "\tpartner\tanswered\t" in shown.stdout


def test_tshark_sees_seven_messages_and_nothing_malformed(demo: tuple[str, Path]) -> None:
    tshark = require_program("tshark")

    def count(display_filter: str) -> int:
        command = [tshark, "-r", str(demo[1]), "-Y", display_filter]
        output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        return len(output.splitlines())

    assert count('sip.Method == "MESSAGE"') == 7
    assert count("_ws.malformed || tcp.analysis.flags || ip.checksum.status == 0") == 0


def test_ladder_draws_the_capture_again(demo: tuple[str, Path]) -> None:
    result = run_program("ladder", demo[1])
    assert result.returncode == 0
    assert result.stdout.count("-mc-service-ue-initial-configuration-re") == 6
    assert result.stdout.count("4. process-indication") == 1
    assert "REGISTER" in result.stdout.splitlines()[-1]
    assert "acm@mc2.example" in result.stdout


def test_interrupted_it_leaves_nothing_running(tmp_path: Path) -> None:
    with start_program("demo", "--directory", tmp_path) as demo:
        servers = wait_until(lambda: children(demo.pid), what="processes of the demo")
        os.kill(demo.pid, signal.SIGINT)
        assert demo.wait() == 130
        assert not [pid for pid in servers if Path(f"/proc/{pid}").exists()]
        assert demo.count("Traceback") == 0
    assert not list(tmp_path.iterdir())


def children(pid: int) -> list[int]:
    path = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in path.read_text().split()]


def test_a_failure_says_which_process_said_what(tmp_path: Path) -> None:
    """Interference from outside: a server dies under the demo."""
    with start_program("demo", "--directory", tmp_path) as demo:
        servers = wait_until(lambda: children(demo.pid), what="processes of the demo")
        os.kill(servers[0], signal.SIGKILL)
        assert demo.wait() == 1
        demo.wait_for("^acm-sip: [PQ] ended before it said 'ready'")
        demo.wait_for("^The demo failed. Configurations, stores and logs: ")
        assert not [pid for pid in servers if Path(f"/proc/{pid}").exists()]


def test_the_document_inside_is_valid_and_has_a_label() -> None:
    assert explain(default_document()) == ()
    assert read_ue_initial_configuration(default_document()).labels == (
        "Fire brigade North, handheld 17",
    )
