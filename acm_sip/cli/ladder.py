"""``acm-sip ladder``: a capture as the figure of the standard."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, Final

import click

from acm_sip.capture.ladder import FOLDED_METHODS, LadderBuilder
from acm_sip.capture.ladder_text import DEFAULT_WIDTH, draw_ladder
from acm_sip.capture.reading import CaptureReader
from acm_sip.cli.printing import error_line
from acm_sip.errors import CaptureError

__all__ = ["ladder"]

_NARROWEST: Final = 40
_WIDEST: Final = 400


def _read_names(
    _ctx: click.Context, _parameter: click.Parameter, values: tuple[str, ...]
) -> dict[str, str]:
    names = {}
    for value in values:
        address, separator, name = value.partition("=")
        if not separator or not name or ":" not in address:
            raise click.BadParameter(f"{value!r} is not like 192.0.2.1:5060=NAME")
        names[address] = name
    return names


@click.command()
@click.argument("capture", metavar="CAPTURE", type=click.Path(path_type=Path))
@click.option("--all", "shows_all", is_flag=True, help="Draw REGISTER and OPTIONS too.")
@click.option(
    "--name",
    "names",
    metavar="HOST:PORT=NAME",
    multiple=True,
    callback=_read_names,
    help="Call the entity at this address so; may be given again.",
)
@click.option(
    "--width",
    type=click.IntRange(_NARROWEST, _WIDEST),
    help="Characters in a line; that of the terminal where there is one.",
)
@click.pass_context
def ladder(
    ctx: click.Context, capture: Path, shows_all: bool, names: dict[str, Any], width: int | None
) -> None:
    """Draw the SIP messages of a capture: who sent which information flow to whom.

    Reads pcap and pcapng, its own or anybody's, over UDP and TCP. Of a file that is cut it draws
    what stands before the cut, and exits 2.

    \b
    Example:
        acm-sip ladder pcaps/ue-initial-configuration-update-accepted-by-user.pcapng
    """  # noqa: D301 - \b is for click
    builder = LadderBuilder(names, fold=() if shows_all else FOLDED_METHODS)
    fault: CaptureError | None = None
    try:
        for message in CaptureReader(capture):
            builder.add(message)
    except CaptureError as error:
        fault = error
    picture = builder.finish()
    if fault is None or picture.entities:
        columns = shutil.get_terminal_size((DEFAULT_WIDTH, 24)).columns
        click.echo(draw_ladder(picture, width or max(_NARROWEST, columns)), nl=False)
    if fault is not None:
        error_line(str(fault))
        ctx.exit(2)
