"""``acm-sip validate``: FILE:LINE: PATH: RULE for each fault, and the exit status."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner, Result

from acm_sip.cli.program import program
from tests.cli.program import DOCUMENT


def validate(*paths: Path) -> Result:
    return CliRunner().invoke(program, ["validate", *map(str, paths)])


def broken(directory: Path, old: str, new: str) -> Path:
    path = directory / "broken.xml"
    text = DOCUMENT.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    return path


def test_the_document_of_the_demo_is_valid() -> None:
    result = validate(DOCUMENT)
    assert result.exit_code == 0
    assert result.stdout == f"{DOCUMENT}: valid\n"


def test_every_fault_is_one_line_with_its_place_and_rule(tmp_path: Path) -> None:
    path = broken(tmp_path, "<gms>sip:gms@mc1.example</gms>", "<gms>gms</gms>")
    line = next(
        number for number, text in enumerate(path.read_text().splitlines(), 1) if "<gms>" in text
    )
    result = validate(path)
    assert result.exit_code == 1
    where = "/mcptt-UE-initial-configuration/on-network/App-Server-Info/gms"
    assert result.stdout.startswith(f"{path}:{line}: {where}: server-uri-usable: ")
    assert result.stdout.count("\n") == 1


def test_a_rule_of_the_schema_is_named_too(tmp_path: Path) -> None:
    result = validate(broken(tmp_path, "<T100>6</T100>", "<T100>600</T100>"))
    assert result.exit_code == 1
    assert "/on-network/Timers/T100: xsd-" in result.stdout


def test_the_worst_file_decides_the_exit_status(tmp_path: Path) -> None:
    invalid = broken(tmp_path, "<T100>6</T100>", "<T100>600</T100>")
    foreign = tmp_path / "foreign.xml"
    foreign.write_text("<other/>")
    assert validate(DOCUMENT, invalid).exit_code == 1
    assert validate(DOCUMENT, invalid, foreign).exit_code == 2
    assert validate(foreign, DOCUMENT).stdout == f"{DOCUMENT}: valid\n"
