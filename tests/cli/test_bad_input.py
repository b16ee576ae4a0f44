"""Truncated and foreign files, wrong command lines: one clear line, exit status 2, no traceback."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from acm_sip.cli.program import program
from tests.cli.program import CAROL, DOCUMENT, TARGET
from tests.harness.processes import ROOT

CAPTURE = ROOT / "pcaps" / "ue-initial-configuration-update-accepted-by-user.pcapng"
PRIMARY = ROOT / "tools" / "lab" / "primary.toml"
ALICE = ROOT / "tools" / "lab" / "alice.toml"


def invoke(*arguments: str | Path) -> Result:
    return CliRunner().invoke(program, [str(argument) for argument in arguments])


def assert_one_line(result: Result, *parts: str) -> None:
    assert result.exit_code == 2
    assert isinstance(result.exception, SystemExit)
    assert result.stderr.count("\n") == 1, result.stderr
    assert result.stderr.startswith("acm-sip: ")
    for part in parts:
        assert part in result.stderr


def cut(path: Path, directory: Path, octets: int) -> Path:
    target = directory / path.name
    target.write_bytes(path.read_bytes()[:octets])
    return target


@pytest.mark.parametrize("command", ["validate", "ladder", "serve", "client", "config check"])
def test_a_file_that_is_not_there(command: str, tmp_path: Path) -> None:
    assert_one_line(invoke(*command.split(), tmp_path / "nothing"), "nothing: No such file")


@pytest.mark.parametrize("command", ["validate", "ladder", "serve", "client", "config check"])
def test_a_directory(command: str, tmp_path: Path) -> None:
    assert_one_line(invoke(*command.split(), tmp_path), "Is a directory")


@pytest.mark.parametrize("command", ["validate", "ladder", "serve", "client", "config check"])
@pytest.mark.parametrize(
    "octets",
    [b"", b"\x7fELF\x02\x01\x01\x00\xd0\xff", b"PK\x03\x04", b"hello\n", b"\x00" * 4096],
    ids=["empty", "elf", "zip", "text", "zeros"],
)
def test_a_foreign_file(command: str, octets: bytes, tmp_path: Path) -> None:
    path = tmp_path / "foreign"
    path.write_bytes(octets)
    result = invoke(*command.split(), path)
    if not octets and command != "validate" and command != "ladder":
        # An empty file is TOML: it lacks what a configuration must have.
        assert result.exit_code == 2
        assert "is missing" in result.stderr or "neither [system]" in result.stderr
    else:
        assert_one_line(result, str(path))


@pytest.mark.parametrize("octets", [1, 60, 700, 2000, 3290])
def test_validate_a_document_that_is_cut(octets: int, tmp_path: Path) -> None:
    assert_one_line(invoke("validate", cut(DOCUMENT, tmp_path, octets)), "well-formed")


def test_validate_xml_of_another_kind(tmp_path: Path) -> None:
    path = tmp_path / "other.xml"
    path.write_text("<html/>")
    assert_one_line(invoke("validate", path), "other.xml:1: /html: root")


def test_ladder_of_a_capture_that_is_cut_draws_what_stands_before(tmp_path: Path) -> None:
    result = invoke("ladder", cut(CAPTURE, tmp_path, 20_000))
    assert_one_line(result, "cut short after packet")
    assert "1. update-mc-service-ue-initial-configuration-request" in result.stdout


def test_ladder_of_a_capture_cut_in_its_first_block(tmp_path: Path) -> None:
    result = invoke("ladder", cut(CAPTURE, tmp_path, 10))
    assert_one_line(result)
    assert not result.stdout


@pytest.mark.parametrize("command", ["serve", "config check"])
def test_an_unknown_key_is_named_with_its_tables(command: str, tmp_path: Path) -> None:
    path = tmp_path / "primary.toml"
    path.write_text(PRIMARY.read_text().replace("shortest_s", "shortset_s"))
    assert_one_line(invoke(*command.split(), path), "registration.shortset_s: unknown key")


def test_an_unknown_key_in_an_array_is_named_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "primary.toml"
    path.write_text(PRIMARY.read_text().replace("next_hop", "nexthop"))
    result = invoke("config", "check", path)
    assert result.exit_code == 2
    assert "partners[0].nexthop: unknown key" in result.stderr
    assert "partners[0].next_hop: is missing" in result.stderr


def test_serve_refuses_the_configuration_of_a_client() -> None:
    result = invoke("serve", ALICE)
    assert result.exit_code == 2
    assert "client: unknown key" in result.stderr


def test_serve_refuses_a_store_that_is_none(tmp_path: Path) -> None:
    path = tmp_path / "primary.toml"
    store = tmp_path / "store.db"
    store.write_bytes(b"no database at all, but long enough to be looked at" * 100)
    path.write_text(PRIMARY.read_text().replace("run/primary.db", str(store)))
    assert_one_line(invoke("serve", path), str(store))


@pytest.mark.parametrize("command", ["transactions", "registrations", "configuration"])
def test_show_without_a_store(command: str, tmp_path: Path) -> None:
    path = tmp_path / "primary.toml"
    path.write_text(PRIMARY.read_text().replace("run/", f"{tmp_path}/none/"))
    assert_one_line(invoke("show", command, path), "does not exist")
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "give exactly one of --target and --target-alias"),
        (("--target", TARGET, "--target-alias", TARGET), "give exactly one of"),
        (("--target", "bob"), "--target"),
        (("--target", TARGET, "--wait", "-1"), "--wait"),
        (("--target", TARGET, "--expires", "soon"), "--expires"),
    ],
    ids=["no target", "two targets", "no URI", "negative wait", "no number"],
)
def test_update_with_a_wrong_command_line(arguments: tuple[str, ...], said: str) -> None:
    result = invoke("update", ALICE, DOCUMENT, CAROL, *arguments)
    assert result.exit_code == 2
    assert said in result.stderr


def test_update_with_a_document_that_is_no_xml(tmp_path: Path) -> None:
    path = tmp_path / "alice.toml"
    path.write_text(ALICE.read_text().replace("run/", f"{tmp_path}/"))
    result = invoke("update", path, cut(DOCUMENT, tmp_path, 700), CAROL, "--target", TARGET)
    assert_one_line(result)
    assert not result.stdout


@pytest.mark.parametrize(
    "peer", ["nowhere", "tls:192.0.2.1:5061", "sips:mc1.example", "udp:", "udp:h:x"]
)
def test_probe_of_no_peer(peer: str) -> None:
    result = invoke("probe", peer)
    assert result.exit_code == 2
    assert "Traceback" not in result.stderr


def test_client_with_two_answers() -> None:
    result = invoke("client", ALICE, "--accept", "--reject", "local-policy")
    assert result.exit_code == 2


def test_demo_with_a_document_that_breaks_a_rule(tmp_path: Path) -> None:
    path = tmp_path / "document.xml"
    path.write_text(DOCUMENT.read_text().replace("https://idms.mc1.example/token", "no URI"))
    assert_one_line(invoke("demo", "--ue-init-config", path), "server-uri-usable")


@pytest.mark.parametrize("command", sorted(program.commands))
def test_every_command_explains_itself_with_an_example(command: str) -> None:
    result = invoke(command, "--help")
    assert result.exit_code == 0
    text = result.stdout if command != "config" else invoke("config", "check", "--help").stdout
    assert f"\n      acm-sip {command} " in text.replace("demo\n", "demo \n")
    assert "\b" not in text


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "1e18", "soon"])
def test_seconds_are_a_number(value: str) -> None:
    result = CliRunner().invoke(program, ["probe", "tcp:127.0.0.1:1", "--within", value])
    assert result.exit_code == 2
    assert "--within" in result.output
