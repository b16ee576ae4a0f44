"""How a transaction ended, for the requester: printed alike by ``update`` and ``show``."""

from __future__ import annotations

from typing import Final

import click

from acm_sip.cli.printing import printable
from acm_sip.codec.flows import Outcome
from acm_sip.procedures.records import AcmTransaction

__all__ = ["EXIT_FAILURE", "EXIT_PENDING", "EXIT_SUCCESS", "print_outcome"]

EXIT_SUCCESS: Final = 0
EXIT_FAILURE: Final = 1
EXIT_PENDING: Final = 3


def print_outcome(transaction: AcmTransaction | None) -> int:
    """Print the outcome of a request and return the exit status that says the same.

    :param transaction: None, or one without an outcome, is still pending.
    """
    if transaction is None or transaction.outcome is None:
        click.echo("outcome: pending")
        return EXIT_PENDING
    click.echo(f"outcome: {printable(transaction.outcome)}")
    for title, text in (
        ("cause", transaction.cause),
        ("text", transaction.text),
        ("handled by", transaction.handling_mc_service_id),
    ):
        if text:
            click.echo(f"{title}: {printable(text)}")
    return EXIT_SUCCESS if transaction.outcome == Outcome.SUCCESS.value else EXIT_FAILURE
