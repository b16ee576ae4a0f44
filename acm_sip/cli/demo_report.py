"""What ``acm-sip demo`` prints, and its judgement: told by the capture and the stores alone."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click

from acm_sip.capture.ladder import Arrow, Ladder
from acm_sip.capture.ladder_text import draw_ladder
from acm_sip.cli import lab_files
from acm_sip.cli.lab import Lab, LabReport
from acm_sip.cli.printing import instant, printable
from acm_sip.codec.flows import Outcome, UpdateMcServiceUeInitialConfigurationRequest
from acm_sip.codec.ue_init_config import is_equal, read_ue_initial_configuration
from acm_sip.identities import McServiceId
from acm_sip.procedures.records import AcmTransaction, Side, UserConfiguration
from acm_sip.procedures.stored import decode_stored_request
from acm_sip.stores import AcmStore

__all__ = ["find_deviations", "print_end", "print_head", "print_outcome", "print_steps"]

_WIDTH: Final = 100
_HEAD: Final = """\
Update MC service UE initial configuration, 3GPP TS 23.280 clause 10.17.6.2

  A  ACM client of alice, authorized user of the primary MC system mc1
  P  ACM server of mc1
  Q  ACM server of the partner MC system mc2
  B  ACM client of bob, authorized user of mc2, who decides
"""
_STEPS: Final = ("1", "3", "4", "5", "7", "8", "10")
_FLOWS: Final = {
    "1": "update request",
    "3": "update request",
    "4": "process indication",
    "5": "update request",
    "7": "update response",
    "8": "update response",
    "10": "update response",
}
# What the entities do between the MESSAGEs, and the step of its own that the standard gives it.
_INSIDE: Final = {
    "1": ("2", "P", "is alice authorized? yes; P stores the request"),
    "4": ("", "Q", "verifies and assesses; local policy: ask an authorized user"),
    "5": ("6", "B", "sees what would change for each user, and accepts"),
    "7": ("", "Q", "stores the configuration for every user of the list"),
    "8": ("9", "P", "stores the response"),
}


def print_head(document: bytes) -> None:
    """Say who takes part and what is asked."""
    names = read_ue_initial_configuration(document).names
    name = f' "{printable(names[0].text)}"' if names else ""
    users = " and ".join(user.removeprefix("sip:") for user in lab_files.MIGRATING_USERS)
    click.echo(_HEAD)
    click.echo(f"A sends the document{name} ({len(document)} octets)")
    click.echo(f"for {users}, who may migrate to mc2.")
    click.echo("Four processes start, each with a store and a capture of its own ...\n")


def print_steps(ladder: Ladder) -> None:
    """Draw the capture, then name the steps of the procedure."""
    click.echo(draw_ladder(ladder, _WIDTH))
    click.echo("The steps of 10.17.6.2 and the SIP MESSAGE transactions that carry them\n")
    arrows = sorted(ladder.arrows, key=lambda arrow: (_number(arrow.step), arrow.at_s))
    for count, arrow in enumerate(arrows, 1):
        click.echo(_step_line(ladder, arrow, count))
        if arrow.step in _INSIDE:
            step, letter, what = _INSIDE[arrow.step]
            click.echo(f"  {step:>2}  {letter:<7} {what}")
    click.echo()


def _step_line(ladder: Ladder, arrow: Arrow, count: int) -> str:
    ends = f"{_letter(ladder, arrow.source)} -> {_letter(ladder, arrow.destination)}"
    what = _FLOWS.get(arrow.step, arrow.label)
    if arrow.outcome:
        what += f": {arrow.outcome}"
    answer = "no answer"
    if arrow.answer is not None:
        took_ms = (arrow.answer.at_s - arrow.at_s) * 1000
        answer = f"{arrow.answer.status_code} {arrow.answer.reason_phrase} after {took_ms:.0f} ms"
    return (
        f"  {arrow.step:>2}  {ends:<7} MESSAGE {count}  {printable(what):<26} {printable(answer)}"
    )


def _letter(ladder: Ladder, column: int) -> str:
    return ladder.entities[column].name.partition(" ")[0]


def _number(step: str) -> int:
    return int(step) if step else 0


def find_deviations(
    lab: Lab, report: LabReport, ladder: Ladder, document: bytes
) -> tuple[str, ...]:
    """Return what is not as the procedure and the demo promise; () when all is well."""
    return (
        *_in_ladder(ladder),
        *_at_requester(lab.store("A"), report.acm_transaction_id),
        *_at_handler(lab.store("B"), report.acm_transaction_id, document),
        *_at_partner(lab.store("Q"), document),
    )


def _in_ladder(ladder: Ladder) -> Iterator[str]:
    steps = sorted((arrow.step for arrow in ladder.arrows), key=_number)
    if tuple(steps) != _STEPS:
        yield f"the capture has the MESSAGE transactions of steps {', '.join(steps) or 'none'}"
    for arrow in ladder.arrows:
        if arrow.answer is None or not 200 <= arrow.answer.status_code < 300:
            yield f"the MESSAGE of step {arrow.step} was not answered by a 2xx"
        if arrow.note:
            yield f"the MESSAGE of step {arrow.step}: {arrow.note}"


def _at_requester(path: Path, acm_transaction_id: str) -> Iterator[str]:
    transaction = _transaction(path, acm_transaction_id, Side.REQUESTER)
    outcome = None if transaction is None else transaction.outcome
    if outcome != Outcome.SUCCESS.value:
        yield f"the outcome at A is {outcome or 'not there'}"


def _at_handler(path: Path, acm_transaction_id: str, document: bytes) -> Iterator[str]:
    transaction = _transaction(path, acm_transaction_id, Side.HANDLER)
    if transaction is None:
        yield "B was not asked"
        return
    request = decode_stored_request(transaction)
    assert isinstance(request, UpdateMcServiceUeInitialConfigurationRequest)
    if not _is_sent(request.mc_service_ue_initial_configuration_data, document):
        yield "the document that B was shown is not the one that A sent"


def _at_partner(path: Path, document: bytes) -> Iterator[str]:
    held = {entry.mc_service_id: entry.digest for entry in _configurations(path)}
    with AcmStore.open(path, read_only=True) as store, store.read() as reader:
        for user in lab_files.MIGRATING_USERS:
            digest = held.get(McServiceId(user).canonical)
            stored = None if digest is None else reader.document(digest)
            if stored is None:
                yield f"Q stored nothing for {user}"
            elif not _is_sent(stored, document):
                yield f"what Q stored for {user} is not what A sent"


def _is_sent(received: bytes, document: bytes) -> bool:
    """Return whether it is the document that was sent, its labels blank."""
    has_label = any(read_ue_initial_configuration(received).labels)
    return not has_label and is_equal(received, document, ignore_labels=True)


def print_outcome(lab: Lab, report: LabReport, document: bytes) -> None:
    """Print how it ended, as the stores of A, B and Q have it."""
    asked = _transaction(lab.store("A"), report.acm_transaction_id, Side.REQUESTER)
    if asked is not None and asked.outcome is not None:
        handler = printable(asked.handling_mc_service_id)
        _fact("Outcome at A", f"{printable(asked.outcome)}, handled by {handler}")
    _fact("ACM transaction", report.acm_transaction_id)
    changes = sum(line.startswith("    ") for line in report.said.get("B", []))
    _fact("Shown to B", f"{changes} things that would change for the users")
    for entry in _configurations(lab.store("Q")):
        _fact("Stored at Q", f"for {entry.mc_service_id} at {instant(entry.applied_at)}")
    if not [*_at_partner(lab.store("Q"), document)]:
        _fact("", "equal to what A sent under exclusive C14N, labels apart")
    labels = [label for label in read_ue_initial_configuration(document).labels if label]
    if labels:
        _fact("Label", f'"{printable(labels[0])}" at home, blank on the wire (NOTE 2)')


def print_end(capture: Path, took_s: float) -> None:
    """Say where the capture is and how to look at it."""
    name = shlex.quote(str(capture))
    _fact("Took", f"{took_s:.1f} s")
    _fact("Capture", name)
    _fact("Draw it again", f"acm-sip ladder {name}")
    _fact("Look inside", f"tshark -r {name} -Y 'sip.Method == \"MESSAGE\"' -O sip")


def _fact(title: str, text: str) -> None:
    click.echo(f"{title:<20}{text}")


def _configurations(path: Path) -> list[UserConfiguration]:
    with AcmStore.open(path, read_only=True) as store, store.read() as reader:
        return reader.list_configurations(1000, side=Side.PARTNER)


def _transaction(path: Path, acm_transaction_id: str, side: Side) -> AcmTransaction | None:
    with AcmStore.open(path, read_only=True) as store, store.read() as reader:
        found = reader.transactions_with_id(acm_transaction_id)
    return next((one for one in found if one.side is side), None)
