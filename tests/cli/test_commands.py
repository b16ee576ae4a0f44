"""The commands of a lab as their users meet them: real processes, real sockets."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.cli.program import CAROL, DOCUMENT, TARGET, LabFiles, run_program, start_program
from tests.harness.processes import Process

_READY = (
    r"^ready system=mc[12] listen=udp:127\.0\.0\.1:(\d+) listen=tcp:127\.0\.0\.1:(\d+) pid=(\d+)$"
)


@pytest.fixture
def files(tmp_path: Path) -> LabFiles:
    return LabFiles(tmp_path)


@pytest.fixture
def servers(files: LabFiles) -> Iterator[tuple[Process, Process]]:
    with ExitStack() as running:
        primary = running.enter_context(start_program("serve", files["primary"], name="P"))
        partner = running.enter_context(start_program("serve", files["partner"], name="Q"))
        primary.wait_for(_READY)
        partner.wait_for(_READY)
        yield primary, partner


def start_client(files: LabFiles, *options: str) -> Process:
    process = start_program("client", files["bob"], *options, name="B")
    process.wait_for("^registered sip:bob@mc2.example")
    return process


def test_the_ready_line_names_addresses_and_process(
    files: LabFiles, servers: tuple[Process, Process]
) -> None:
    ready = servers[0].wait_for(_READY)
    assert ready.group(1) == ready.group(2) == str(files.primary_port)
    assert ready.group(3) == str(servers[0].pid)


def test_sigterm_ends_a_server_in_order(servers: tuple[Process, Process]) -> None:
    assert servers[0].terminate() == 0
    assert servers[0].count("Traceback") == 0


def test_a_second_server_on_the_store_is_refused(
    files: LabFiles, servers: tuple[Process, Process], tmp_path: Path
) -> None:
    second = tmp_path / "second.toml"
    second.write_text(
        files["primary"].read_text().replace(f"127.0.0.1:{files.primary_port}", "127.0.0.1:0")
    )
    result = run_program("serve", second)
    assert result.returncode == 2
    assert result.stderr.splitlines()[-1].endswith("is in use by another process")
    assert servers[0].is_running


def test_an_address_in_use_is_one_line(
    files: LabFiles, servers: tuple[Process, Process], tmp_path: Path
) -> None:
    second = tmp_path / "second.toml"
    second.write_text(files["primary"].read_text().replace("primary.db", "second.db"))
    result = run_program("serve", second)
    assert result.returncode == 2
    assert f"acm-sip: sip.listen: udp:127.0.0.1:{files.primary_port}: " in result.stderr
    assert "Traceback" not in result.stderr
    assert servers[0].is_running


def test_update_and_show(files: LabFiles, servers: tuple[Process, Process]) -> None:
    with start_client(files, "--accept") as bob:
        result = run_program("update", files["alice"], DOCUMENT, CAROL, "--target", TARGET)
        assert result.returncode == 0, result.stdout + result.stderr
        first, *rest = result.stdout.splitlines()
        acm_transaction_id = first.removeprefix("ACM transaction ")
        assert acm_transaction_id.startswith("urn:uuid:")
        assert rest == ["outcome: success", f"handled by: {TARGET}"]
        assert bob.count("would change for sip:carol@mc1.example \\(nothing accepted") == 1
        assert bob.count("    home network: 00101 \\(new\\)") == 1
        assert bob.terminate() == 0
    # While both servers run:
    shown = run_program("show", "transactions", files["primary"])
    head, row = (line.split("\t") for line in shown.stdout.splitlines())
    found = dict(zip(head, row, strict=True))
    assert found["id"] == acm_transaction_id
    assert (found["side"], found["state"], found["outcome"]) == ("primary", "answered", "success")
    details = run_program("show", "transaction", acm_transaction_id, files["partner"]).stdout
    assert re.search(r"^users: +sip:carol@mc1\.example$", details, re.MULTILINE)
    resumed = run_program("show", "transaction", acm_transaction_id, files["alice"], "--wait", "5")
    assert (resumed.returncode, resumed.stdout.splitlines()) == (0, rest)
    stored = run_program("show", "configuration", files["partner"], "--document", CAROL)
    assert stored.stdout.count("mcServiceUELabel") == 1
    assert "Fire brigade" not in stored.stdout


def test_a_second_document_shows_only_what_changes_and_marks_the_older(
    files: LabFiles, servers: tuple[Process, Process], tmp_path: Path
) -> None:
    changed = tmp_path / "changed.xml"
    changed.write_text(DOCUMENT.read_text().replace("sip:kms@mc1", "sip:kms2@mc1"))
    dave = "sip:dave@mc1.example"
    with start_client(files, "--accept") as bob:
        for arguments in ((DOCUMENT, CAROL, dave), (changed, CAROL)):
            result = run_program("update", files["alice"], *arguments, "--target", TARGET)
            assert result.returncode == 0, result.stdout + result.stderr
        said = list(bob.lines)
    last = said.index("  would change for sip:carol@mc1.example:")
    assert said[last + 1].startswith("    key management server: sip:kms@mc1.example -> sip:kms2")
    assert said[last + 2].startswith("accepted urn:uuid:")
    shown = run_program("show", "configuration", files["primary"], "--partner", "mc2").stdout
    marks = {row.split("\t")[2]: row.split("\t")[5] for row in shown.splitlines()[1:]}
    assert marks == {CAROL: "newest", dave: "older"}
    unknown = run_program("show", "configuration", files["primary"], "--partner", "mc3")
    assert unknown.returncode == 2
    assert "no partner mc3; known: mc2" in unknown.stderr


def test_update_that_is_rejected(files: LabFiles, servers: tuple[Process, Process]) -> None:
    with start_client(files, "--reject", "local-policy", "--text", "not today"):
        result = run_program("update", files["alice"], DOCUMENT, CAROL, "--target", TARGET)
    assert result.returncode == 1
    assert result.stdout.splitlines()[1:] == [
        "outcome: failure",
        "cause: local-policy",
        "text: not today",
        f"handled by: {TARGET}",
    ]


def test_a_wait_that_ends_too_early_is_resumed(
    files: LabFiles, servers: tuple[Process, Process]
) -> None:
    """Nobody decides at first: exit status 3; the answer waits for alice's next log-on."""
    result = run_program(
        "update", files["alice"], DOCUMENT, CAROL, "--target", TARGET, "--wait", "1"
    )
    assert result.returncode == 3
    first, outcome, resume = result.stdout.splitlines()
    assert outcome == "outcome: pending"
    acm_transaction_id = first.removeprefix("ACM transaction ")
    assert f"acm-sip show transaction {acm_transaction_id} {files['alice']}" in resume
    with start_client(files, "--accept") as bob:
        bob.wait_for(f"^accepted {acm_transaction_id}$")
        resumed = run_program(
            "show", "transaction", acm_transaction_id, files["alice"], "--wait", "30"
        )
    assert resumed.returncode == 0, resumed.stderr
    assert resumed.stdout.splitlines()[0] == "outcome: success"


def test_answers_by_prompt(files: LabFiles, servers: tuple[Process, Process]) -> None:
    with start_client(files) as bob:
        alice = ("update", files["alice"], DOCUMENT, CAROL, "--target", TARGET)
        with start_program(*alice, name="A") as asking:
            bob.wait_for("^request urn:uuid:")
            bob.send("perhaps")
            bob.send("n local-policy")
            bob.wait_for(": local-policy$")
            asking.wait_for("^cause: local-policy$")
            assert asking.wait() == 1
        with start_program(*alice, name="A") as asking:
            bob.wait_for("^request urn:uuid:", count=2)
            bob.send("y")
            asking.wait_for("^outcome: success$")
            assert asking.wait() == 0
        assert bob.terminate() == 0


def test_probe(files: LabFiles, servers: tuple[Process, Process]) -> None:
    for peer in (
        f"udp:127.0.0.1:{files.primary_port}",
        f"tcp:127.0.0.1:{files.primary_port}",
        f"sip:acm@127.0.0.1:{files.partner_port};transport=tcp",
    ):
        result = run_program("probe", peer)
        assert result.returncode == 0, result.stdout
        assert re.search(r": 200 OK in \d+\.\d ms$", result.stdout.splitlines()[0])
        assert "Allow: MESSAGE, OPTIONS, REGISTER\n" in result.stdout
        assert result.stdout.endswith("ACM: yes\n")


def test_probe_of_nobody(files: LabFiles) -> None:
    result = run_program("probe", f"tcp:127.0.0.1:{files.primary_port}")
    assert result.returncode == 1
    assert "no answer: no connection" in result.stdout


def test_a_registered_user_is_shown(files: LabFiles, servers: tuple[Process, Process]) -> None:
    with start_client(files):
        shown = run_program("show", "registrations", files["partner"]).stdout
        head, row = (line.split("\t") for line in shown.splitlines())
        assert dict(zip(head, row, strict=True))["public identity"] == "sip:bob@mc2.example"
