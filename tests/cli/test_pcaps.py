"""The captures in pcaps/: each holds the course that its README says, and nothing malformed."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from types import ModuleType
from typing import Any

import pytest

from acm_sip.capture.ladder import build_ladder
from acm_sip.capture.reading import read_messages
from tests.harness.peers import require_program
from tests.harness.processes import ROOT


def load_tool() -> ModuleType:
    specification = importlib.util.spec_from_file_location(
        "make_captures", ROOT / "tools" / "make_captures.py"
    )
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules["make_captures"] = module  # where its dataclasses look for it
    specification.loader.exec_module(module)
    return module


TOOL = load_tool()
COURSES = pytest.mark.parametrize("course", TOOL.COURSES, ids=lambda course: course.name)


@COURSES
def test_the_capture_holds_its_steps(course: Any) -> None:
    ladder = build_ladder(read_messages(course.path))
    assert tuple(sorted((arrow.step for arrow in ladder.arrows), key=int)) == course.steps
    assert all(arrow.answer is not None and not arrow.note for arrow in ladder.arrows)
    outcomes = {arrow.outcome for arrow in ladder.arrows if arrow.outcome}
    if course.scenario.is_success:
        assert outcomes == {"success"}
    else:
        assert outcomes <= {"failure rejected-by-user"}


@COURSES
def test_the_readme_has_one_line_for_it(course: Any) -> None:
    lines = (ROOT / "pcaps" / "README.md").read_text(encoding="utf-8").splitlines()
    assert f"| [{course.path.name}]({course.path.name}) | {course.shows} |" in lines


def test_the_readme_has_no_other_and_the_directory_neither() -> None:
    assert {path.name for path in (ROOT / "pcaps").iterdir()} == {
        "README.md",
        *(course.path.name for course in TOOL.COURSES),
    }


@COURSES
def test_tshark_sees_nothing_wrong(course: Any) -> None:
    tshark = require_program("tshark")
    command = [tshark, "-r", str(course.path), "-Y", "_ws.malformed || tcp.analysis.flags"]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert output == ""
