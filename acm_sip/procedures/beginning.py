"""How an ACM transaction and its outbox rows begin, the same at all four entities."""

from __future__ import annotations

from acm_sip.codec.body import DecodedBody
from acm_sip.codec.flows import AcmRequest
from acm_sip.procedures.records import (
    AcmTransaction,
    AcmTransactionState,
    Destination,
    OutboxRow,
    Side,
)

__all__ = ["begin_transaction", "expiry_of", "new_row"]


def begin_transaction(
    body: DecodedBody,
    *,
    number: int,
    side: Side,
    state: AcmTransactionState,
    origin: str,
    service: str,
    received_at: float,
    expires_at: float,
    due_at: float | None,
    counterpart: str = "",
    octets: bytes | None = None,
) -> AcmTransaction:
    """Return the record of a request as it came in or was made here.

    :param octets: as they are stored and sent on; None for those of the body.
    """
    request = body.flow
    assert isinstance(request, AcmRequest)
    return AcmTransaction(
        number=number,
        side=side,
        acm_transaction_id=request.acm_transaction_id,
        requesting_mc_service_id=request.requesting_mc_service_id,
        target_mc_service_id=request.target_mc_service_id,
        target_functional_alias=request.target_functional_alias,
        origin=origin,
        counterpart=counterpart,
        request_flow=request.element_name,
        service=service,
        state=state,
        request=body.octets if octets is None else octets,
        request_digest=body.digest,
        received_at=received_at,
        expires_at=expires_at,
        due_at=due_at,
    )


def expiry_of(request: AcmRequest, otherwise_at: float) -> float:
    """Return when a request ends, UTC epoch seconds.

    :param otherwise_at: for a request that names no end.
    """
    return otherwise_at if request.expires_at is None else request.expires_at.timestamp()


def new_row(
    transaction: AcmTransaction,
    destination: Destination,
    flow: str,
    octets: bytes,
    at: float,
    *,
    deadline_at: float | None,
    lane: str | None = None,
) -> OutboxRow:
    """Return a row that may leave at once; the store numbers it.

    :param lane: what must stay in order; what one transaction sends to one destination where
        None is given.
    """
    return OutboxRow(
        number=0,
        transaction_number=transaction.number,
        destination=destination,
        lane=f"{destination}|{transaction.number}" if lane is None else lane,
        flow=flow,
        service=transaction.service,
        octets=octets,
        created_at=at,
        deadline_at=deadline_at,
        next_attempt_at=at,
    )
