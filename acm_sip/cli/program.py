"""The commands put together, and the one boundary at which errors become a line and a status."""

from __future__ import annotations

from typing import Any

import click

from acm_sip.cli.check import config
from acm_sip.cli.client import client
from acm_sip.cli.demo import demo
from acm_sip.cli.ladder import ladder
from acm_sip.cli.printing import NotUsable
from acm_sip.cli.probe import probe
from acm_sip.cli.serve import serve
from acm_sip.cli.show import show
from acm_sip.cli.update import update
from acm_sip.cli.validate import validate
from acm_sip.errors import AcmSipError

__all__ = ["main", "program"]


class _Program(click.Group):
    """Commands in the order of use, and the boundary for errors."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except AcmSipError as error:
            raise NotUsable(str(error)) from None
        except OSError as error:
            if isinstance(error, BrokenPipeError):
                raise  # click ends quietly when nobody reads any more
            place = f"{error.filename}: " if error.filename else ""
            raise NotUsable(f"{place}{error.strerror or error}") from None


@click.group(cls=_Program, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="acm-sip", prog_name="acm-sip")
def program() -> None:
    """Administrative configuration between interconnected MC systems, over SIP.

    3GPP TS 23.280 clause 10.17: an ACM client and an ACM server for interoperability tests, and
    the tools around them.

    \b
    Begin with:
        acm-sip demo
    """  # noqa: D301 - \b is for click


for _command in (demo, serve, update, client, show, probe, validate, ladder, config):
    program.add_command(_command)


def main() -> None:
    """Run the command line."""
    program(prog_name="acm-sip")
