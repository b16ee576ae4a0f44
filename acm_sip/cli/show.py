"""``acm-sip show``: what a store holds, read-only and beside the running server or client."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click

from acm_sip.cli.parameters import (
    CONFIGURATION_FILE,
    MC_SERVICE_ID,
    TRANSACTION_ID,
    Seconds,
    load_configuration,
)
from acm_sip.cli.printing import instant, octets_as_hex, print_table, printable
from acm_sip.cli.resumed import resume
from acm_sip.errors import StoreError
from acm_sip.identities import AcmTransactionId, McServiceId
from acm_sip.procedures.records import AcmTransaction, Side, UserConfiguration
from acm_sip.procedures.stored import decode_stored_request
from acm_sip.runtime.configuration import ClientConfiguration, ServerConfiguration
from acm_sip.stores import AcmStore, StoreReader

__all__ = ["show"]

_LIMIT: Final = 100
_MANY: Final = 1_000_000  # every user: what is newest is told by all of them
_LIMIT_OPTION = click.option(
    "--limit",
    type=click.IntRange(1, 1_000_000),
    default=_LIMIT,
    show_default=True,
    help="Rows at the most.",
)


@click.group()
def show() -> None:
    """Show what the store of a server or of a client holds.

    Reads only, and works while the server runs. Each command takes the configuration file that
    names the store.

    \b
    Example:
        acm-sip show transactions tools/lab/primary.toml
        acm-sip show configuration tools/lab/primary.toml --partner mc2
    """  # noqa: D301 - \b is for click


@show.command()
@CONFIGURATION_FILE
@click.option("--side", type=click.Choice([side.value for side in Side]), help="Only these.")
@click.option("--open", "only_open", is_flag=True, help="Only those without an outcome.")
@_LIMIT_OPTION
def transactions(configuration_file: Path, side: str | None, only_open: bool, limit: int) -> None:
    """ACM transactions, the newest first."""
    with _reading(load_configuration(configuration_file)) as reader:
        found = reader.list_transactions(
            limit, side=None if side is None else Side(side), unanswered_only=only_open
        )
        waiting = {entry.row.transaction_number for entry in reader.list_outbox(limit * 10)}
    print_table(
        ("received", "side", "state", "outcome", "under way", "requester", "target", "id"),
        [
            (
                instant(transaction.received_at),
                transaction.side.value,
                transaction.state.value,
                _outcome(transaction),
                "yes" if transaction.number in waiting else "-",
                transaction.requesting_mc_service_id.text,
                _target(transaction),
                transaction.acm_transaction_id.text,
            )
            for transaction in found
        ],
    )


@show.command()
@click.argument("acm_transaction_id", metavar="ID", type=TRANSACTION_ID)
@CONFIGURATION_FILE
@click.option(
    "--wait",
    "wait_s",
    type=Seconds(0),
    metavar="S",
    help="Wait so many seconds for the outcome, as the client that asked.",
)
@click.pass_context
def transaction(
    ctx: click.Context,
    acm_transaction_id: AcmTransactionId,
    configuration_file: Path,
    wait_s: float | None,
) -> None:
    """One ACM transaction, by its id; with --wait the resumed wait of "acm-sip update".

    \b
    Exit status with --wait: 0 success, 1 failure, 3 still pending.

    \b
    Example:
        acm-sip show transaction urn:uuid:0b0e... tools/lab/alice.toml --wait 60
    """  # noqa: D301 - \b is for click
    configuration = load_configuration(configuration_file)
    if wait_s is not None:
        if not isinstance(configuration, ClientConfiguration):
            raise click.UsageError("--wait needs the configuration of the client that asked")
        ctx.exit(resume(configuration, acm_transaction_id, wait_s))
    with _reading(configuration) as reader:
        found = reader.transactions_with_id(acm_transaction_id.text)
        if not found:
            raise StoreError(f"no transaction {acm_transaction_id} in {configuration.store.path}")
        for one in found:
            _print_transaction(reader, one)


@show.command()
@CONFIGURATION_FILE
@_LIMIT_OPTION
def registrations(configuration_file: Path, limit: int) -> None:
    """Contacts of registered users, the newest of each first."""
    configuration = load_configuration(configuration_file)
    if isinstance(configuration, ClientConfiguration):
        raise click.UsageError("registrations are kept by a server; give its configuration")
    with _reading(configuration) as reader:
        found = reader.list_bindings(limit)
    print_table(
        ("public identity", "contact", "reg-id", "registered", "expires", "flow"),
        [
            (
                binding.public_identity,
                binding.contact,
                str(binding.reg_id),
                instant(binding.registered_at),
                instant(binding.expires_at),
                binding.flow,
            )
            for binding in found
        ],
    )


@show.command()
@CONFIGURATION_FILE
@click.option("--partner", metavar="NAME", help="Only what this partner system accepted or sent.")
@click.option(
    "--document",
    "document_of",
    type=MC_SERVICE_ID,
    metavar="USER",
    help="Print the document that holds for this user instead.",
)
@_LIMIT_OPTION
@click.pass_context
def configuration(
    ctx: click.Context,
    configuration_file: Path,
    partner: str | None,
    document_of: McServiceId | None,
    limit: int,
) -> None:
    """Which UE initial configuration holds for which user.

    At a primary system: what each partner accepted last for each user; "older" marks users who
    hold an older document than the last one that the partner accepted, and who shall be updated
    (TS 23.280 10.17.6.1). At a partner system: what is stored for its migrating users.
    """
    loaded = load_configuration(configuration_file)
    if partner is not None:
        _check_partner(loaded, partner)
    with _reading(loaded) as reader:
        found = reader.list_configurations(_MANY, system=partner)
        if document_of is not None:
            _print_document(reader, found, document_of)
            ctx.exit(0)
    newest = _newest(found)
    print_table(
        ("side", "system", "user", "document", "applied", "is"),
        [
            (
                entry.side.value,
                entry.system or "-",
                entry.mc_service_id,
                octets_as_hex(entry.digest),
                instant(entry.applied_at),
                "newest" if entry.digest == newest[entry.side, entry.system].digest else "older",
            )
            for entry in found[:limit]
        ],
    )


@contextlib.contextmanager
def _reading(configuration: ServerConfiguration | ClientConfiguration) -> Iterator[StoreReader]:
    with AcmStore.open(configuration.store.path, read_only=True) as store, store.read() as reader:
        yield reader


def _target(transaction: AcmTransaction) -> str:
    target = transaction.target_mc_service_id or transaction.target_functional_alias
    return "-" if target is None else target.text


def _outcome(transaction: AcmTransaction) -> str:
    return " ".join(filter(None, (transaction.outcome, transaction.cause))) or "-"


def _print_transaction(reader: StoreReader, transaction: AcmTransaction) -> None:
    users = decode_stored_request(transaction).users_of_requester
    rows = [
        ("transaction", transaction.acm_transaction_id.text),
        ("side", transaction.side.value),
        ("state", transaction.state.value),
        ("flow", transaction.request_flow),
        ("requester", transaction.requesting_mc_service_id.text),
        ("target", _target(transaction)),
        ("users", ", ".join(user.text for user in users)),
        ("came from", transaction.origin),
        ("other system", transaction.counterpart or None),
        ("received", instant(transaction.received_at)),
        ("expires", instant(transaction.expires_at)),
        ("processing", instant(transaction.processing_at)),
        ("offered to", ", ".join(transaction.offered_to) or None),
        ("answered", instant(transaction.answered_at)),
        ("outcome", transaction.outcome),
        ("cause", transaction.cause),
        ("text", transaction.text),
        ("handled by", transaction.handling_mc_service_id),
    ]
    for entry in reader.list_outbox(_LIMIT, transaction_number=transaction.number):
        row = entry.row
        what = f"{row.flow} to {row.destination}, {entry.state.value}, {row.attempts} attempts"
        rows.append(("under way", what))
    for title, text in rows:
        if text is not None and text != "-":
            click.echo(f"{title + ':':<13} {printable(text)}")
    click.echo()


def _check_partner(configuration: ServerConfiguration | ClientConfiguration, name: str) -> None:
    known = (
        [partner.name for partner in configuration.partners]
        if isinstance(configuration, ServerConfiguration)
        else []
    )
    if name not in known:
        raise click.UsageError(f"--partner: no partner {name}; known: {', '.join(known) or 'none'}")


def _newest(found: list[UserConfiguration]) -> dict[tuple[Side, str], UserConfiguration]:
    """Return, for each side and system, what was applied last."""
    newest: dict[tuple[Side, str], UserConfiguration] = {}
    for entry in sorted(found, key=lambda entry: (entry.applied_at, entry.transaction_number)):
        newest[entry.side, entry.system] = entry
    return newest


def _print_document(reader: StoreReader, found: list[UserConfiguration], user: McServiceId) -> None:
    digests = {entry.digest for entry in found if entry.mc_service_id == user.canonical}
    if not digests:
        raise StoreError(f"no configuration is stored for {user}")
    if len(digests) > 1:
        raise click.UsageError(f"systems hold different documents for {user}; add --partner")
    octets = reader.document(digests.pop())
    assert octets is not None
    click.echo(octets)
