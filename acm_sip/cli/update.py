"""``acm-sip update``: client A of TS 23.280 10.17.6.2, step 1 and step 10."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import click
from rich.console import Console

from acm_sip.cli.outcome import print_outcome
from acm_sip.cli.parameters import ALIAS, CLIENT_FILE, MC_SERVICE_ID, Seconds, read_input
from acm_sip.cli.printing import printable
from acm_sip.cli.running import StoppedBySignal, run
from acm_sip.identities import AcmTransactionId, FunctionalAlias, McServiceId
from acm_sip.procedures.records import AcmTransaction, AcmTransactionState
from acm_sip.runtime.client import AcmClient
from acm_sip.runtime.configuration import ClientConfiguration, load_client_configuration
from acm_sip.runtime.log import configure_logging
from acm_sip.stores import AcmStore

__all__ = ["TRANSACTION_LINE", "log_beside_progress", "update", "wait_with_progress"]

TRANSACTION_LINE: Final = "ACM transaction "
_DAY_S: Final = 86_400.0
_REDRAW_S: Final = 0.5
_PROGRESS: Final = {
    AcmTransactionState.SENDING: "the request waits for the own ACM server",
    AcmTransactionState.ACCEPTED: "the own ACM server has it; waiting for the outcome",
}


@click.command()
@CLIENT_FILE
@click.argument("document", metavar="DOCUMENT.xml", type=click.Path(path_type=Path))
@click.argument("users", metavar="USER...", nargs=-1, required=True, type=MC_SERVICE_ID)
@click.option(
    "--target",
    type=MC_SERVICE_ID,
    metavar="MC-SERVICE-ID",
    help="The user of the partner MC system whom the request is for.",
)
@click.option(
    "--target-alias",
    type=ALIAS,
    metavar="ALIAS",
    help="The same by functional alias; give exactly one of the two.",
)
@click.option(
    "--functional-alias",
    type=ALIAS,
    metavar="ALIAS",
    help="Ask in the name of this alias of yours.",
)
@click.option(
    "--expires",
    "expires_s",
    type=Seconds(1),
    default=_DAY_S,
    metavar="S",
    show_default=True,
    help="Seconds after which the partner must not apply it any more.",
)
@click.option(
    "--wait",
    "wait_s",
    type=Seconds(0),
    metavar="S",
    help="Wait so many seconds for the outcome; without it until there is one.",
)
@click.pass_context
def update(
    ctx: click.Context,
    configuration_file: Path,
    document: Path,
    users: tuple[McServiceId, ...],
    target: McServiceId | None,
    target_alias: FunctionalAlias | None,
    functional_alias: FunctionalAlias | None,
    expires_s: float,
    wait_s: float | None,
) -> None:
    """Ask the partner MC system to update the UE initial configuration of migrating USERs.

    Prints the ACM transaction id at once, then the outcome. A request that is still pending when
    the wait is over stays alive; "acm-sip show transaction" resumes the wait.

    \b
    Exit status: 0 success, 1 failure, 3 still pending.

    \b
    Example:
        acm-sip update tools/lab/alice.toml ue-init-config.xml \\
            sip:carol@mc1.example --target sip:bob.mcptt@mc2.example --wait 60
    """  # noqa: D301 - \b is for click
    receiver = target or target_alias
    if receiver is None or (target is not None and target_alias is not None):
        # Table 10.17.2.13-1 NOTE 1; of the two that may be, we send one.
        raise click.UsageError("give exactly one of --target and --target-alias")
    configuration = load_client_configuration(configuration_file)
    octets = read_input(document)
    log_beside_progress(configuration)
    made: list[AcmTransactionId] = []

    async def command() -> AcmTransaction | None:
        async with AcmClient(configuration) as client:
            acm_transaction_id = await client.update_ue_initial_configuration(
                users,
                octets,
                target=receiver,
                functional_alias=functional_alias,
                expires_s=expires_s,
            )
            made.append(acm_transaction_id)
            click.echo(f"{TRANSACTION_LINE}{acm_transaction_id}")
            return await wait_with_progress(client, configuration, acm_transaction_id, wait_s)

    outcome = None
    try:
        outcome = run(command())
    except StoppedBySignal:
        if not made:
            ctx.exit(130)
    status = print_outcome(outcome)
    if outcome is None:
        click.echo(f"resume: acm-sip show transaction {made[0]} {configuration_file} --wait 60")
    ctx.exit(status)


def log_beside_progress(configuration: ClientConfiguration) -> None:
    """Log as configured, but leave warnings to the progress line where a terminal has one."""
    level = configuration.log.level
    is_told_by_progress = sys.stderr.isatty() and level == "warning"
    configure_logging("error" if is_told_by_progress else level, configuration.log.format)


async def wait_with_progress(
    client: AcmClient,
    configuration: ClientConfiguration,
    acm_transaction_id: AcmTransactionId,
    wait_s: float | None,
) -> AcmTransaction | None:
    """Wait for the outcome of an own request; None when that took too long.

    Meanwhile a terminal on standard error shows how far it has come.
    """
    if not sys.stderr.isatty():
        return await client.wait_outcome(acm_transaction_id, wait_s)
    async with _progress(client, configuration, acm_transaction_id):
        return await client.wait_outcome(acm_transaction_id, wait_s)


@contextlib.asynccontextmanager
async def _progress(
    client: AcmClient, configuration: ClientConfiguration, acm_transaction_id: AcmTransactionId
) -> AsyncIterator[None]:
    started_at = asyncio.get_running_loop().time()
    with (
        AcmStore.open(configuration.store.path, read_only=True) as store,
        Console(stderr=True).status("registering") as status,
    ):

        async def redraw() -> None:
            while True:
                seconds = int(asyncio.get_running_loop().time() - started_at)
                status.update(f"{_describe(client, store, acm_transaction_id)} ({seconds} s)")
                await asyncio.sleep(_REDRAW_S)

        task = asyncio.create_task(redraw())
        try:
            yield
        finally:
            task.cancel()


def _describe(client: AcmClient, store: AcmStore, acm_transaction_id: AcmTransactionId) -> str:
    if not client.is_registered:
        refusal = client.last_refusal
        return "registering" if refusal is None else f"not registered: {printable(refusal)}"
    with store.read() as reader:
        found = reader.transactions_with_id(acm_transaction_id.text)
    return _PROGRESS.get(found[0].state, "answered") if found else "sending"
