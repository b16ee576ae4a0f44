"""``acm-sip client``: client B of TS 23.280 10.17.6.2, steps 5 to 7."""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path
from typing import Final

import click

from acm_sip.cli.parameters import CLIENT_FILE
from acm_sip.cli.printing import error_line, printable
from acm_sip.cli.question import describe_request
from acm_sip.cli.running import StoppedBySignal, run
from acm_sip.codec.flows import Cause
from acm_sip.errors import LocalProtocolError
from acm_sip.procedures.records import AcmTransaction, AcmTransactionState, Side
from acm_sip.runtime.client import AcmClient
from acm_sip.runtime.configuration import ClientConfiguration, load_client_configuration
from acm_sip.runtime.log import configure_logging
from acm_sip.stores import AcmStore

__all__ = ["REGISTERED", "client"]

REGISTERED: Final = "registered"
_PROMPT: Final = "accept? [y]es, [n]o, n CAUSE, [l]ater: "
_YES: Final = frozenset({"y", "yes"})
_NO: Final = frozenset({"n", "no"})
_LATER: Final = frozenset({"l", "later"})


@click.command()
@CLIENT_FILE
@click.option("--accept", "accepts", is_flag=True, help="Accept every request without asking.")
@click.option(
    "--reject",
    "reject_cause",
    metavar="CAUSE",
    help=f"Reject every request with this cause, for example {Cause.REJECTED_BY_USER.value}.",
)
@click.option("--text", metavar="TEXT", help="A text for people that goes with a rejection.")
def client(
    configuration_file: Path, accepts: bool, reject_cause: str | None, text: str | None
) -> None:
    """Be a user who is asked: show each request with what it would change, and answer it.

    Without --accept or --reject a prompt asks for each request. What is put off, or not decided
    before the end of the input, is asked again at the next start. Ctrl-C ends it.

    \b
    Example:
        acm-sip client tools/lab/bob.toml
        acm-sip client tools/lab/bob.toml --reject local-policy --text "not today"
    """  # noqa: D301 - \b is for click
    if accepts and reject_cause is not None:
        raise click.UsageError("give at most one of --accept and --reject")
    if reject_cause is not None and (not reject_cause or reject_cause.split() != [reject_cause]):
        raise click.UsageError("--reject: a cause is one word, such as local-policy")
    configuration = load_client_configuration(configuration_file)
    configure_logging(configuration.log.level, configuration.log.format)
    try:
        if accepts or reject_cause is not None:
            run(_answer_all(configuration, reject_cause, text))
        else:
            run(_ask_for_each(configuration, text))
    except StoppedBySignal:
        return


async def _answer_all(
    configuration: ClientConfiguration, reject_cause: str | None, text: str | None
) -> None:
    async with AcmClient(configuration) as acm_client:
        await _announce(acm_client, configuration)
        with AcmStore.open(configuration.store.path, read_only=True) as store:
            async for transaction in acm_client.requests():
                _print_request(store, transaction)
                await _decide(acm_client, transaction, reject_cause, text)


async def _ask_for_each(configuration: ClientConfiguration, text: str | None) -> None:
    lines = _InputLines()
    async with AcmClient(configuration) as acm_client:
        await _announce(acm_client, configuration)
        with AcmStore.open(configuration.store.path, read_only=True) as store:
            async for transaction in acm_client.requests():
                _print_request(store, transaction)
                answer = await _ask(lines)
                if answer is None:
                    click.echo("end of input; what is not decided stays and is asked again")
                    return
                word, _, cause = answer.partition(" ")
                if word in _LATER:
                    click.echo("put off until the next start")
                else:
                    refusal = None if word in _YES else cause or Cause.REJECTED_BY_USER.value
                    await _decide(acm_client, transaction, refusal, text)


async def _announce(acm_client: AcmClient, configuration: ClientConfiguration) -> None:
    """Say when the own server can reach this client; and later what it would not take."""
    acm_client.on_told(_told)
    await acm_client.wait_registered()
    section = configuration.client
    click.echo(f"{REGISTERED} {section.public_identity} at {section.server}; waiting for requests")


def _print_request(store: AcmStore, transaction: AcmTransaction) -> None:
    for line in describe_request(store, transaction):
        click.echo(line)


async def _decide(
    acm_client: AcmClient, transaction: AcmTransaction, reject_cause: str | None, text: str | None
) -> None:
    try:
        if reject_cause is None:
            await acm_client.accept(transaction)
            click.echo(f"accepted {transaction.acm_transaction_id}")
        else:
            await acm_client.reject(transaction, reject_cause, text)
            click.echo(f"rejected {transaction.acm_transaction_id}: {reject_cause}")
    except LocalProtocolError as error:
        error_line(str(error))


async def _ask(lines: _InputLines) -> str | None:
    """Return the decision in the user's words; None at the end of the input."""
    while True:
        click.echo(_PROMPT, nl=False)
        line = await lines.next()
        if line is None:
            click.echo()
            return None
        words = line.split()
        if len(words) == 1 and words[0].lower() in _YES | _NO | _LATER:
            return words[0].lower()
        if len(words) == 2 and words[0].lower() in _NO:
            return f"n {words[1]}"


def _told(transaction: AcmTransaction) -> None:
    is_over = {AcmTransactionState.REFUSED, AcmTransactionState.ANSWERED}
    if transaction.side is Side.HANDLER and transaction.state in is_over:
        error_line(f"{transaction.acm_transaction_id}: {printable(transaction.text)}")


class _InputLines:
    """Lines of standard input without holding up the loop.

    A thread of its own reads the descriptor itself: a file object's lock, held by a thread that
    waits for a person, would stop the interpreter from ending.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._lines: asyncio.Queue[str | None] = asyncio.Queue()
        threading.Thread(target=self._read, name="input", daemon=True).start()

    async def next(self) -> str | None:
        """Return the next line, None for ever after the last."""
        line = await self._lines.get()
        if line is None:
            self._lines.put_nowait(None)
        return line

    def _read(self) -> None:
        rest = b""
        while octets := os.read(0, 4096):
            *whole, rest = (rest + octets).split(b"\n")
            for line in whole:
                self._put(line.decode("utf-8", "replace"))
        if rest:
            self._put(rest.decode("utf-8", "replace"))
        self._put(None)

    def _put(self, line: str | None) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._lines.put_nowait, line)
