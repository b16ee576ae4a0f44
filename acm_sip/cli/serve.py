"""``acm-sip serve``: the ACM server of one MC system."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

import click

from acm_sip.cli.parameters import SERVER_FILE
from acm_sip.cli.running import StoppedBySignal, run
from acm_sip.errors import StoreError
from acm_sip.runtime.configuration import ServerConfiguration, load_server_configuration
from acm_sip.runtime.log import configure_logging
from acm_sip.runtime.server import AcmServer

__all__ = ["READY", "serve"]

READY: Final = "ready"
# Measured: beside a busy engine thread the 99th percentile of the loop's lag falls from 10 ms,
# at the interpreter's own 5 ms, to 1.3 ms.
_SWITCH_INTERVAL_S: Final = 0.0005


@click.command()
@SERVER_FILE
def serve(configuration_file: Path) -> None:
    """Serve as the ACM server of an MC system, primary and partner in one.

    When it listens, a line on standard output says so, with the ports that the system chose for
    port 0; logs go to standard error. SIGTERM and Ctrl-C end it in order, with exit status 0.

    \b
    Example, in two terminals:
        acm-sip serve tools/lab/primary.toml
        acm-sip serve tools/lab/partner.toml
    """  # noqa: D301 - \b is for click
    configuration = load_server_configuration(configuration_file)
    configure_logging(configuration.log.level, configuration.log.format)
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    try:
        run(_serve(configuration))
    except StoppedBySignal:
        return


async def _serve(configuration: ServerConfiguration) -> None:
    async with AcmServer(configuration) as server:
        addresses = " ".join(f"listen={address}" for address in server.bound)
        click.echo(f"{READY} system={configuration.system.name} {addresses} pid={os.getpid()}")
        await server.failed.wait()
        raise StoreError("the engine failed, see the log; start the server again")
