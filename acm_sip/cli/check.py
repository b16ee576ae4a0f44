"""``acm-sip config check``: whether a configuration is usable."""

from __future__ import annotations

from pathlib import Path

import click

from acm_sip.cli.parameters import CONFIGURATION_FILE, load_configuration
from acm_sip.runtime.configuration import ClientConfiguration, ServerConfiguration

__all__ = ["config"]


@click.group()
def config() -> None:
    """Look at configuration files."""


@config.command()
@CONFIGURATION_FILE
def check(configuration_file: Path) -> None:
    """Check the configuration of a server or of a client; errors name the dotted key.

    \b
    Example:
        acm-sip config check tools/lab/primary.toml
    """  # noqa: D301 - \b is for click
    configuration = load_configuration(configuration_file)
    click.echo(f"{configuration_file}: {_describe(configuration)}")


def _describe(configuration: ServerConfiguration | ClientConfiguration) -> str:
    if isinstance(configuration, ClientConfiguration):
        client = configuration.client
        return f"valid: ACM client {client.public_identity} of server {client.server}"
    partners = ", ".join(partner.name for partner in configuration.partners) or "none"
    return (
        f"valid: ACM server {configuration.system.psi} of MC system {configuration.system.name}, "
        f"{len(configuration.users)} users, partners: {partners}"
    )
