"""What users type: identities, and configuration files of a server or a client."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from acm_sip.cli.printing import NotUsable
from acm_sip.errors import ConfigurationError, RemoteProtocolError
from acm_sip.identities import AcmTransactionId, FunctionalAlias, McServiceId
from acm_sip.runtime.configuration import (
    ClientConfiguration,
    ServerConfiguration,
    load_client_configuration,
    load_server_configuration,
)

__all__ = [
    "ALIAS",
    "CLIENT_FILE",
    "CONFIGURATION_FILE",
    "MC_SERVICE_ID",
    "SERVER_FILE",
    "TRANSACTION_ID",
    "Seconds",
    "load_configuration",
    "read_input",
]

# Ours: far above the 1 MiB that a body may have, so that the codec says what is too large.
_MAX_INPUT_OCTETS: Final = 16 * 1024 * 1024

_LONGEST_S: Final = 1e9  # ours: thirty years


class Seconds(click.FloatRange):
    """A number of seconds; neither NaN nor infinity is one."""

    name = "seconds"

    def __init__(self, least: float, most: float = _LONGEST_S) -> None:
        super().__init__(min=least, max=most)

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Read a number.

        :raises click.BadParameter: no number, or out of range.
        """
        seconds = float(super().convert(value, param, ctx))
        if not math.isfinite(seconds):
            self.fail(f"{value!r} is no number of seconds.", param, ctx)
        return seconds


_Identity = TypeVar("_Identity", McServiceId, FunctionalAlias, AcmTransactionId)

_FILE = click.Path(path_type=Path)
SERVER_FILE = click.argument("configuration_file", metavar="SERVER.toml", type=_FILE)
CLIENT_FILE = click.argument("configuration_file", metavar="CLIENT.toml", type=_FILE)
CONFIGURATION_FILE = click.argument("configuration_file", metavar="CONFIG.toml", type=_FILE)


def _identity_type(kind: type[_Identity]) -> Callable[[Any], _Identity]:
    """Return what click calls with the text of a parameter."""

    def convert(value: Any) -> _Identity:
        try:
            return kind(str(value))
        except RemoteProtocolError as error:
            raise click.BadParameter(f"{value!r}: {error.text}") from None

    return convert


MC_SERVICE_ID = _identity_type(McServiceId)
ALIAS = _identity_type(FunctionalAlias)
TRANSACTION_ID = _identity_type(AcmTransactionId)


def load_configuration(path: Path) -> ServerConfiguration | ClientConfiguration:
    """Read a configuration of either kind; its tables tell which.

    :raises ConfigurationError: not usable, or neither a server's nor a client's.
    """
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8")).keys()
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError):
        return load_server_configuration(path)  # which says what is wrong with the file
    if "system" in tables:
        return load_server_configuration(path)
    if "client" in tables:
        return load_client_configuration(path)
    raise ConfigurationError(
        f"{path}: neither [system], as a server has it, nor [client], as a client has it"
    )


def read_input(path: Path) -> bytes:
    """Read a file that the user named.

    :raises NotUsable: it cannot be read, or is larger than any document may be.
    """
    try:
        with path.open("rb") as stream:
            octets = stream.read(_MAX_INPUT_OCTETS + 1)
    except OSError as error:
        raise NotUsable(f"{path}: {error.strerror}") from None
    if len(octets) > _MAX_INPUT_OCTETS:
        raise NotUsable(f"{path}: larger than {_MAX_INPUT_OCTETS} octets")
    return octets
