"""What the commands print: harmless text, instants, tables.

Text that came from the wire or from a file may hold what a terminal would act upon; it goes
through :func:`printable` before it is shown.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import click

__all__ = ["NotUsable", "error_line", "instant", "octets_as_hex", "print_table", "printable"]

_MAX_CHARACTERS: Final = 2000  # ours: of one text; nobody reads more in a terminal


class NotUsable(click.ClickException):
    """A command line, a configuration or a file that is not usable: one line, exit status 2."""

    exit_code = 2

    def show(self, file: Any = None) -> None:
        """Print one clear line for each thing that is wrong."""
        error_line(self.message)


def printable(text: str | None) -> str:
    """Return a text without anything that a terminal would act upon; None becomes ``-``."""
    if text is None:
        return "-"
    return "".join(
        character if character.isprintable() else f"\\x{ord(character):02x}"
        for character in text[:_MAX_CHARACTERS]
    )


def instant(at: float | None) -> str:
    """Return UTC epoch seconds for people; None becomes ``-``."""
    if at is None:
        return "-"
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def octets_as_hex(digest: bytes) -> str:
    """Return the beginning of a digest, enough to tell documents apart by eye."""
    return digest.hex()[:12]


def error_line(text: str) -> None:
    """Print an error, one line for each of the text's, on standard error."""
    for line in text.splitlines() or [""]:
        click.echo(f"acm-sip: {printable(line)}", err=True)


def print_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table, uncut: in columns on a terminal, elsewhere with a tab between two cells."""
    lines = [[printable(cell) for cell in row] for row in (head, *rows)]
    if not sys.stdout.isatty():
        for line in lines:
            click.echo("\t".join(line))
        return
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for number, line in enumerate(lines):
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        text = "  ".join(cells).rstrip()
        click.echo(text if number else click.style(text, bold=True))
