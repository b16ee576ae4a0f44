"""``acm-sip validate``: documents judged by the schemas and by the rules beside them."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

import click

from acm_sip.cli.parameters import read_input
from acm_sip.cli.printing import NotUsable, error_line, printable
from acm_sip.codec.explain import explain
from acm_sip.codec.faults import Fault

__all__ = ["validate"]

_NOT_A_DOCUMENT: Final = frozenset({"well-formed", "root"})


@click.command()
@click.argument(
    "files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@click.option(
    "--mode",
    type=click.Choice(["strict", "report"]),
    default="strict",
    show_default=True,
    help="In mode report elements of later releases pass in a UE initial configuration.",
)
@click.pass_context
def validate(
    ctx: click.Context, files: tuple[Path, ...], mode: Literal["strict", "report"]
) -> None:
    """Validate ACM bodies and UE initial configuration documents.

    The root element tells which of the two a file is. A fault is one line,
    FILE:LINE: PATH: RULE: what is wrong.

    \b
    Exit status: 0 all are valid, 1 a rule is broken,
                 2 a file cannot be read, is cut, or is neither kind of document.

    \b
    Example:
        acm-sip validate ue-init-config.xml
    """  # noqa: D301 - \b is for click
    ctx.exit(max(_validate(path, mode) for path in files))


def _validate(path: Path, mode: Literal["strict", "report"]) -> int:
    try:
        octets = read_input(path)
    except NotUsable as error:
        error_line(error.message)
        return 2
    faults = explain(octets, document_mode=mode)
    if any(fault.rule in _NOT_A_DOCUMENT and _is_root(fault) for fault in faults):
        error_line(_line(path, faults[0]))
        return 2
    for fault in sorted(faults, key=lambda fault: fault.line or 0):
        click.echo(printable(_line(path, fault)))
    if faults:
        return 1
    click.echo(f"{path}: valid")
    return 0


def _is_root(fault: Fault) -> bool:
    return fault.rule == "well-formed" or fault.path.count("/") <= 1


def _line(path: Path, fault: Fault) -> str:
    place = str(path) if fault.line is None else f"{path}:{fault.line}"
    return f"{place}: {fault.path}: {fault.rule}: {fault.message}"
