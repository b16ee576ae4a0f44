"""Makes every capture in pcaps/ anew, and their README: `python tools/make_captures.py`.

Each capture is made by running its course of the procedure with the installed acm-sip, in
processes of their own on this machine, and is checked before it replaces the old one: the steps
of TS 23.280 10.17.6.2 that it must hold, no more and no fewer.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from acm_sip.cli.lab import Lab, LabError, Scenario
from acm_sip.cli.lab_files import default_document

PCAPS = Path(__file__).parents[1] / "pcaps"
PREFIX = "ue-initial-configuration-update"
HEAD = """\
# Captures

Each shows one course of TS 23.280 10.17.6.2 between a client A, its primary ACM server P, the
partner ACM server Q and a client B: real messages of real processes over TCP on one machine.
`make pcaps` makes all of them anew; `acm-sip ladder FILE` draws one.

| capture | what it shows |
|---|---|
"""


@dataclass(frozen=True, slots=True)
class Course:
    """One capture: how it is made, and which steps it must hold."""

    name: str
    shows: str
    scenario: Scenario
    steps: tuple[str, ...]

    @property
    def path(self) -> Path:
        """Where the capture goes."""
        return PCAPS / f"{PREFIX}-{self.name}.pcapng"


ALL_STEPS = ("1", "3", "4", "5", "7", "8", "10")
COURSES = (
    Course(
        "accepted-by-user",
        "Q asks its authorized user B, who accepts: the seven MESSAGEs of steps 1 to 10.",
        Scenario(),
        ALL_STEPS,
    ),
    Course(
        "accepted-automatically",
        "the local policy of Q accepts: steps 5 to 7 are not there, and Q is the handler.",
        Scenario(handling="accept", answer=None),
        ("1", "3", "4", "8", "10"),
    ),
    Course(
        "rejected",
        "B rejects: the response carries failure, rejected-by-user, and nothing is stored at Q.",
        Scenario(answer=("--reject", "rejected-by-user"), is_success=False),
        ALL_STEPS,
    ),
    Course(
        "unauthorized",
        "A may not trigger the procedure: 403 in step 2, and nothing ever reaches Q.",
        Scenario(may_request=False, answer=None, is_success=False),
        ("1",),
    ),
    Course(
        "pending",
        "B is not logged on: Q keeps the request, and sends it when B has registered.",
        Scenario(is_late=True),
        ALL_STEPS,
    ),
)


def make(course: Course) -> None:
    """Run one course and put its capture in place.

    :raises LabError: a process failed, or the capture does not hold the steps it must.
    """
    with tempfile.TemporaryDirectory() as directory:
        new = Path(directory) / "new.pcapng"
        report = asyncio.run(Lab(Path(directory), default_document(), course.scenario).run(new))
        steps = sorted((arrow.step for arrow in report.ladder().arrows), key=int)
        if tuple(steps) != course.steps:
            raise LabError(f"{course.name}: steps {steps} instead of {list(course.steps)}")
        course.path.write_bytes(new.read_bytes())


def main() -> int:
    PCAPS.mkdir(exist_ok=True)
    for course in COURSES:
        try:
            make(course)
        except LabError as error:
            print(error, file=sys.stderr)
            return 1
        print(course.path)
    rows = [f"| [{course.path.name}]({course.path.name}) | {course.shows} |" for course in COURSES]
    (PCAPS / "README.md").write_text(HEAD + "\n".join(rows) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
