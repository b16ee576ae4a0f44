"""The primary ACM server: TS 23.280 10.17.6.2 steps 1 to 3, 8 to 10, for every ACM procedure.

    event                             before           after        and
    request of an own user (1, 2)     -                FORWARDING   202; request to partner (3)
    the same request again            any              unchanged    202
    2xx of the partner to (3)         FORWARDING       FORWARDED
    process indication (4)            not ANSWERED     PROCESSING   200
    refused by the partner for good   not ANSWERED     ANSWERED     failure to the client (10)
    response of the partner (8)       not ANSWERED     ANSWERED     202; stored (9); client (10)
    response after a failure of ours  ANSWERED         ANSWERED     202; correction to the client
      (whatever its cause: a repeat may be refused although an earlier attempt arrived)
    response deadline                 not ANSWERED     ANSWERED     failure to the client (10)

Step 9 names the primary ACM client; the reference to 10.17.3.1 shows that the server stores the
response, so that it waits for a user who is away (inferred).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from acm_sip import errors
from acm_sip.codec.completion import complete_request
from acm_sip.codec.flows import AcmRequest, AcmResponse, Cause, Outcome, ProcessIndication
from acm_sip.errors import Refused
from acm_sip.procedures.answers import ACCEPTED, OK
from acm_sip.procedures.authorization import authorize_local_request, authorize_partner_response
from acm_sip.procedures.beginning import begin_transaction, expiry_of, new_row
from acm_sip.procedures.delivery import (
    Ending,
    cause_of_refusal,
    classify,
    postpone,
    refusal_log,
    refusal_text,
)
from acm_sip.procedures.effects import (
    Effect,
    InsertTransaction,
    PutOutboxRow,
    RemoveOutboxRow,
    RemoveRows,
    UpdateTransaction,
)
from acm_sip.procedures.events import DeliveryEnded, FlowReceived
from acm_sip.procedures.mc_system import LocalUser, McSystem, PartnerSystem
from acm_sip.procedures.outcome import (
    answered,
    encode_outcome,
    response_row,
    store_acceptance,
)
from acm_sip.procedures.ports import AliasDirectory, Records
from acm_sip.procedures.procedure import Failure, procedure_of
from acm_sip.procedures.records import (
    AcmTransaction,
    AcmTransactionState,
    Destination,
    DestinationKind,
    OutboxRow,
    Side,
    TransactionKey,
)

__all__ = [
    "on_deadline",
    "on_delivery_ended",
    "on_process_indication",
    "on_request",
    "on_response",
    "on_row_deadline",
]


def on_request(
    system: McSystem,
    aliases: AliasDirectory,
    records: Records,
    user: LocalUser,
    event: FlowReceived,
) -> Sequence[Effect]:
    """Authorize a request of an own user, store it and send it to the partner (steps 1 to 3).

    :raises Refused: the user may not; the procedure stops and the partner sees no octet.
    """
    request = event.body.flow
    assert isinstance(request, AcmRequest)
    origin = f"user:{user.public_identity.canonical}"
    known = records.transaction(
        TransactionKey(
            Side.PRIMARY,
            request.acm_transaction_id.text,
            request.requesting_mc_service_id.canonical,
        )
    )
    if known is not None and known.origin == origin and known.request_digest == event.body.digest:
        # Before authorization: what was accepted stays accepted, whatever was revoked since.
        return (ACCEPTED,)
    partner = authorize_local_request(system, aliases, user, request)
    if known is not None:
        raise Refused(errors.FORBIDDEN, "the acm-transaction-id is in use with other content")
    expires_at = expiry_of(request, event.at + system.request_expiry_s)
    _refuse_unusable(system, event, expires_at)
    transaction = _begin(system, records, origin, partner, event, expires_at)
    if event.at >= expires_at:
        failure = Failure(Cause.EXPIRED, "the request had expired on arrival")
        failed = _fail(system, transaction, failure, event.at)
        return (InsertTransaction(transaction), *failed, ACCEPTED)
    return (
        InsertTransaction(transaction),
        PutOutboxRow(_request_row(transaction)),
        ACCEPTED,
    )


def on_process_indication(
    records: Records, partner: PartnerSystem, event: FlowReceived
) -> Sequence[Effect]:
    """Note that the partner processes the request (step 4); it is not relayed to the client.

    :raises Refused: nobody asked this partner.
    """
    indication = event.body.flow
    assert isinstance(indication, ProcessIndication)
    transaction = _own_transaction(
        records,
        partner,
        indication.acm_transaction_id.text,
        indication.requesting_mc_service_id.canonical,
    )
    if transaction.state in {AcmTransactionState.PROCESSING, AcmTransactionState.ANSWERED}:
        return (OK,)
    return (
        UpdateTransaction(
            replace(transaction, state=AcmTransactionState.PROCESSING, processing_at=event.at)
        ),
        # It proves that the request arrived, also where its 2xx is still under way.
        RemoveRows(transaction.number, transaction.request_flow),
        OK,
    )


def on_response(records: Records, partner: PartnerSystem, event: FlowReceived) -> Sequence[Effect]:
    """Store the outcome (step 9) and pass it on to the requester (step 10).

    :raises Refused: nobody asked this partner, or it answered differently before.
    """
    response = event.body.flow
    assert isinstance(response, AcmResponse)
    transaction = _own_transaction(
        records,
        partner,
        response.acm_transaction_id.text,
        response.target_mc_service_id.canonical,
    )
    if not isinstance(response, procedure_of(transaction.request_flow).response):
        raise Refused(errors.FORBIDDEN, "the response is not that of the request")
    authorize_partner_response(partner, response)
    if transaction.state is AcmTransactionState.ANSWERED:
        if transaction.response_digest == event.body.digest:
            return (ACCEPTED,)
        # A failure of our own is never the last word: this server keeps no digest of its words.
        if transaction.response_digest is not None:
            raise Refused(errors.FORBIDDEN, "the transaction has been answered already")
    updated = answered(transaction, response, event.body.octets, event.body.digest, event.at)
    effects: list[Effect] = [
        UpdateTransaction(updated),
        RemoveRows(transaction.number, transaction.request_flow),
    ]
    if response.result.outcome is Outcome.SUCCESS:
        effects += store_acceptance(records, updated, event.at)
    effects.append(
        PutOutboxRow(
            response_row(
                updated,
                DestinationKind.USER,
                updated.requesting_mc_service_id.canonical,
                event.body.octets,
                event.at,
            )
        )
    )
    effects.append(ACCEPTED)
    return effects


def on_delivery_ended(
    system: McSystem, records: Records, transaction: AcmTransaction, ended: DeliveryEnded
) -> Sequence[Effect]:
    """Act on the end of an attempt: the request at the partner, or the response at the user."""
    ending = classify(ended)
    is_request = ended.row.flow == transaction.request_flow
    if ending is Ending.TRY_AGAIN:
        return (PutOutboxRow(postpone(system, records, ended)),)
    effects: list[Effect] = [RemoveOutboxRow(ended.row.number)]
    if not is_request:
        if ending is Ending.REFUSED:
            effects.append(refusal_log(ended))
        return effects
    if ending is Ending.DELIVERED:
        if transaction.state is AcmTransactionState.FORWARDING:
            effects.append(
                UpdateTransaction(replace(transaction, state=AcmTransactionState.FORWARDED))
            )
        return effects
    effects.append(refusal_log(ended))
    # Once processing, the partner has it: a refusal of the repeat says nothing about the outcome.
    if transaction.state is AcmTransactionState.FORWARDING:
        failure = Failure(cause_of_refusal(ended.status_code), refusal_text(ended))
        effects += _fail(system, transaction, failure, ended.at)
    return effects


def on_row_deadline(
    system: McSystem, transaction: AcmTransaction, row: OutboxRow, at: float
) -> Sequence[Effect]:
    """Give up a row whose time is over.

    A request that never was on the wire cannot be answered any more, so its requester is told
    at once; any other may still be answered until the response deadline.
    """
    effects: list[Effect] = [RemoveOutboxRow(row.number)]
    is_request = row.flow == transaction.request_flow
    if (
        is_request
        and not row.is_maybe_delivered
        and transaction.state is AcmTransactionState.FORWARDING
    ):
        failure = Failure(Cause.PARTNER_UNREACHABLE, "the partner system could not be reached")
        effects += _fail(system, transaction, failure, at)
    return effects


def on_deadline(system: McSystem, transaction: AcmTransaction, at: float) -> Sequence[Effect]:
    """Tell the requester that no outcome came in time."""
    if transaction.state is AcmTransactionState.ANSWERED:
        return (UpdateTransaction(replace(transaction, due_at=None)),)
    cause = (
        Cause.PARTNER_UNREACHABLE
        if transaction.state is AcmTransactionState.FORWARDING
        else Cause.EXPIRED
    )
    return _fail(system, transaction, Failure(cause, "no response in time"), at)


def _refuse_unusable(system: McSystem, event: FlowReceived, expires_at: float) -> None:
    if event.body.document_faults:
        fault = event.body.document_faults[0]
        raise Refused(errors.BODY_INVALID, f"{fault.path}: {fault.message}")
    if expires_at > event.at + system.longest_expiry_s:
        raise Refused(
            errors.BODY_INVALID,
            f"expires-at: more than {system.longest_expiry_s:.0f} s ahead",
        )


def _begin(
    system: McSystem,
    records: Records,
    origin: str,
    partner: PartnerSystem,
    event: FlowReceived,
    expires_at: float,
) -> AcmTransaction:
    # NOTE 2 of table 10.17.2.13-1: the label leaves the primary system blank.
    octets = complete_request(event.body.octets, expires_at=datetime.fromtimestamp(expires_at, UTC))
    return begin_transaction(
        event.body,
        number=records.allocate_numbers(1),
        side=Side.PRIMARY,
        state=AcmTransactionState.FORWARDING,
        origin=origin,
        counterpart=partner.name,
        service=event.service,
        octets=octets,
        received_at=event.at,
        expires_at=expires_at,
        due_at=expires_at + system.response_deadline_s,
    )


def _own_transaction(
    records: Records, partner: PartnerSystem, acm_transaction_id: str, requester: str
) -> AcmTransaction:
    transaction = records.transaction(TransactionKey(Side.PRIMARY, acm_transaction_id, requester))
    if transaction is None or transaction.counterpart != partner.name:
        raise Refused(errors.FORBIDDEN, "no such ACM transaction")
    return transaction


def _request_row(transaction: AcmTransaction) -> OutboxRow:
    destination = Destination(DestinationKind.PARTNER, transaction.counterpart)
    return new_row(
        transaction,
        destination,
        transaction.request_flow,
        transaction.request,
        transaction.received_at,
        deadline_at=transaction.expires_at,
        # Requests of one requester reach the partner in the order in which they were committed.
        lane=f"{destination}|{transaction.requesting_mc_service_id.canonical}",
    )


def _fail(
    system: McSystem, transaction: AcmTransaction, failure: Failure, at: float
) -> list[Effect]:
    """Answer the requester ourselves, in the name of the server's own MC service ID."""
    response, octets = encode_outcome(transaction, system.mc_service_id, failure)
    updated = answered(transaction, response, octets, None, at)
    return [
        UpdateTransaction(updated),
        RemoveRows(transaction.number, transaction.request_flow),
        PutOutboxRow(
            response_row(
                updated,
                DestinationKind.USER,
                updated.requesting_mc_service_id.canonical,
                octets,
                at,
            )
        ),
    ]
