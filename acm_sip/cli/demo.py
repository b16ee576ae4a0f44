"""``acm-sip demo``: the whole procedure of TS 23.280 10.17.6.2, on this machine, in seconds."""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path
from typing import Final

import click

from acm_sip.cli import lab_files
from acm_sip.cli.demo_report import (
    find_deviations,
    print_end,
    print_head,
    print_outcome,
    print_steps,
)
from acm_sip.cli.lab import Lab, LabError
from acm_sip.cli.parameters import read_input
from acm_sip.cli.printing import NotUsable, error_line
from acm_sip.cli.running import StoppedBySignal, run
from acm_sip.codec.ue_init_config import find_faults

__all__ = ["demo"]

_CAPTURE: Final = "demo.pcapng"


@click.command()
@click.option(
    "--ue-init-config",
    "document_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Send this UE initial configuration document (TS 24.484) instead of the one inside.",
)
@click.option(
    "--directory",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Where to put the capture; without it a new directory among the temporary files.",
)
@click.option(
    "--keep", is_flag=True, help="Keep configurations, stores and logs beside the capture."
)
@click.pass_context
def demo(
    ctx: click.Context, document_file: Path | None, directory: Path | None, keep: bool
) -> None:
    """Run the update of a UE initial configuration between two MC systems, from step 1 to 10.

    Four processes with stores of their own talk SIP over TCP on 127.0.0.1: client A, its primary
    ACM server P, the partner ACM server Q, and client B, who accepts. Needs no root, no network.

    \b
    Exit status: 0 the outcome was success and the document arrived unchanged, 1 otherwise.

    \b
    Example:
        acm-sip demo
        acm-sip demo --ue-init-config ue-init-config.xml --directory /tmp/demo --keep
    """  # noqa: D301 - \b is for click
    document = lab_files.default_document() if document_file is None else read_input(document_file)
    if document_file is not None:
        _refuse_unusable(document_file, document)
    target = _make_directory(directory)
    work = Path(tempfile.mkdtemp(prefix="run-", dir=target))
    try:
        is_good = _run(document, work, target / _CAPTURE)
    except LabError as error:
        error_line(str(error))
        is_good = False
    except StoppedBySignal:
        shutil.rmtree(work)
        ctx.exit(130)
    if not is_good:
        click.echo(f"\nThe demo failed. Configurations, stores and logs: {work}", err=True)
        ctx.exit(1)
    if keep:
        click.echo(f"Everything else     {work}")
    else:
        shutil.rmtree(work)


def _run(document: bytes, work: Path, capture: Path) -> bool:
    """Run the procedure and print it; tell whether all is as it should be."""
    started_at = time.monotonic()
    print_head(document)
    lab = Lab(work, document)
    report = run(lab.run(capture))
    ladder = report.ladder()
    print_steps(ladder)
    deviations = find_deviations(lab, report, ladder, document)
    print_outcome(lab, report, document)
    print_end(report.capture, time.monotonic() - started_at)
    for deviation in deviations:
        error_line(f"not as it should be: {deviation}")
    return not deviations


def _refuse_unusable(path: Path, document: bytes) -> None:
    for fault in find_faults(document)[:1]:
        place = str(path) if fault.line is None else f"{path}:{fault.line}"
        raise NotUsable(f"{place}: {fault.path}: {fault.rule}: {fault.message}")


def _make_directory(directory: Path | None) -> Path:
    if directory is None:
        return Path(tempfile.mkdtemp(prefix="acm-sip-demo-"))
    directory.mkdir(parents=True, exist_ok=True)
    return directory
