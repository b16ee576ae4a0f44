"""Writing a response flow into a transaction: the one place where a transaction is answered.

Used by both servers, for what a user decided, for what was handled automatically and for a
failure that the server itself states (TS 23.280 10.17.6.2 steps 8 and 10).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from acm_sip.codec.body import encode_body
from acm_sip.codec.flows import AcmResponse, Outcome, Result
from acm_sip.identities import McServiceId
from acm_sip.procedures.beginning import new_row
from acm_sip.procedures.effects import Update
from acm_sip.procedures.ports import Records
from acm_sip.procedures.procedure import Failure, procedure_of
from acm_sip.procedures.records import (
    AcmTransaction,
    AcmTransactionState,
    Destination,
    DestinationKind,
    OutboxRow,
)
from acm_sip.procedures.stored import decode_stored_request

__all__ = ["answered", "encode_outcome", "response_row", "store_acceptance"]

_MAX_NAMED_OCTETS: Final = 500_000  # ours: half of what a body may have; some 2,000 users
_MAX_TEXT_CHARACTERS: Final = 500  # ours: a sentence for people; a Warning may be of any length


def encode_outcome(
    transaction: AcmTransaction, handler: McServiceId, failure: Failure | None
) -> tuple[AcmResponse, bytes]:
    """Return the response flow that states success, or this failure, and its octets.

    :param handler: who answers; the configured MC service ID of a server that answers itself.
    """
    if failure is None:
        result = Result(outcome=Outcome.SUCCESS)
    else:
        text = failure.text and _printable(failure.text)
        result = Result(
            outcome=Outcome.FAILURE,
            cause=failure.cause,
            mc_service_ids=_as_many_as_fit(failure.mc_service_ids),
            text=text,
            language="en" if text else None,
        )
    response = procedure_of(transaction.request_flow).response(
        acm_transaction_id=transaction.acm_transaction_id,
        handling_mc_service_id=handler,
        handling_functional_alias=None,
        target_mc_service_id=transaction.requesting_mc_service_id,
        result=result,
    )
    return response, encode_body(response)


def _as_many_as_fit(mc_service_ids: tuple[McServiceId, ...]) -> tuple[McServiceId, ...]:
    """Bound the users that a result names: a request may list more than a response can hold."""
    left = _MAX_NAMED_OCTETS
    for count, entry in enumerate(mc_service_ids):
        left -= 100 + 5 * len(entry.text)  # its elements, and each character escaped
        if left < 0:
            return mc_service_ids[:count]
    return mc_service_ids


def _printable(text: str) -> str:
    """Bound what a peer made us say, and leave out what XML cannot carry."""
    return "".join(char if char.isprintable() else " " for char in text[:_MAX_TEXT_CHARACTERS])


def answered(
    transaction: AcmTransaction,
    response: AcmResponse,
    octets: bytes,
    digest: bytes | None,
    at: float,
) -> AcmTransaction:
    """Return the transaction with its response written in.

    :param digest: of the response as it was received; None where this entity made it.
    """
    return replace(
        transaction,
        state=AcmTransactionState.ANSWERED,
        due_at=None,
        response=octets,
        response_digest=digest,
        outcome=response.result.outcome.value,
        cause=response.result.cause,
        text=response.result.text,
        handling_mc_service_id=response.handling_mc_service_id.text,
        answered_at=at,
    )


def response_row(
    transaction: AcmTransaction, kind: DestinationKind, name: str, octets: bytes, at: float
) -> OutboxRow:
    """Return the row that carries a response one hop on; nothing but delivery ends it."""
    flow = procedure_of(transaction.request_flow).response.element_name
    return new_row(transaction, Destination(kind, name), flow, octets, at, deadline_at=None)


def store_acceptance(records: Records, transaction: AcmTransaction, at: float) -> Sequence[Update]:
    """Keep what was accepted, for the users for whom nothing later was accepted.

    For the primary server and for the handler; the partner server, which decides what is later,
    refuses instead.
    """
    procedure = procedure_of(transaction.request_flow)
    request = decode_stored_request(transaction)
    later = procedure.find_later(records, transaction, request)
    but_for = () if later is None else later.mc_service_ids
    return procedure.apply(transaction, request, transaction.side, at, but_for)
