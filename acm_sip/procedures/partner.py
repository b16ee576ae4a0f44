"""The partner ACM server: TS 23.280 10.17.6.2 steps 3 to 8, for every ACM procedure.

    event                              before         after      and
    request of a partner (3)           -              (below)    202; process indication (4)
      verification fails                              ANSWERED   failure to the partner (8)
      policy accepts                                  ANSWERED   stored; success (8)
      policy rejects                                  ANSWERED   failure (8)
      policy asks a client                            KEPT       request to user or alias (5)
    the same request again             any            unchanged  202
    2xx of the client to (5)           KEPT           OFFERED
    refused by the client for good     not ANSWERED   ANSWERED   failure (8)
    the user logs on again             OFFERED        KEPT       request to the user (5)
    response of the client (7)         not ANSWERED   ANSWERED   202; checked again, stored; (8)
    the request expires                not ANSWERED   ANSWERED   failure, expired (8)

Verify means identity, users and document; assess means local policy. What leaves in step 5 is
what was stored in step 4.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from acm_sip import errors
from acm_sip.codec.body import encode_body
from acm_sip.codec.completion import complete_request
from acm_sip.codec.flows import AcmRequest, AcmResponse, Cause, Outcome, ProcessIndication
from acm_sip.errors import Refused
from acm_sip.procedures.answers import ACCEPTED
from acm_sip.procedures.authorization import authorize_local_response, authorize_partner_request
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
    Log,
    PutOutboxRow,
    ReleaseRows,
    RemoveOutboxRow,
    RemoveRows,
    UpdateTransaction,
)
from acm_sip.procedures.events import DeliveryEnded, FlowReceived
from acm_sip.procedures.mc_system import Handling, LocalUser, McSystem, PartnerSystem
from acm_sip.procedures.outcome import answered, encode_outcome, response_row
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
from acm_sip.procedures.stored import decode_stored

__all__ = [
    "offered_to",
    "on_deadline",
    "on_delivery_ended",
    "on_log_on",
    "on_request",
    "on_response",
]

_PROCESS_INDICATION_S = 32.0  # as long as Timer F: after that the request itself tells nothing


def on_request(
    system: McSystem,
    aliases: AliasDirectory,
    records: Records,
    partner: PartnerSystem,
    event: FlowReceived,
) -> Sequence[Effect]:
    """Store, verify and assess a request of a partner system (step 4).

    :raises Refused: identities are on the wrong side, or the id is in use with other content.
    """
    request = event.body.flow
    assert isinstance(request, AcmRequest)
    origin = f"partner:{partner.name}"
    known = records.transaction(
        TransactionKey(
            Side.PARTNER,
            request.acm_transaction_id.text,
            request.requesting_mc_service_id.canonical,
        )
    )
    if known is not None and known.origin == origin and known.request_digest == event.body.digest:
        return (ACCEPTED,)
    authorize_partner_request(system, partner, request)
    if known is not None:
        raise Refused(errors.FORBIDDEN, "the acm-transaction-id is in use with other content")
    transaction = _begin(system, records, origin, partner, event, request)
    failure = _verify(system, aliases, partner, transaction, event)
    after, effects = _assess(system, partner, transaction, request, failure, event.at)
    return (
        InsertTransaction(after),
        PutOutboxRow(_process_indication_row(transaction, event.at)),
        *effects,
        *_label_log(transaction.request is not event.body.octets, transaction),
        ACCEPTED,
    )


def on_response(
    system: McSystem,
    aliases: AliasDirectory,
    records: Records,
    user: LocalUser,
    event: FlowReceived,
) -> Sequence[Effect]:
    """Take the decision of a user (step 7), check everything again, apply it, answer (step 8).

    :raises Refused: not asked, not allowed, or already answered.
    """
    response = event.body.flow
    assert isinstance(response, AcmResponse)
    transaction = _asked_transaction(records, user, response)
    if (
        transaction.state is AcmTransactionState.ANSWERED
        and transaction.response_digest == event.body.digest
        and response.handling_mc_service_id in user.mc_service_ids
    ):
        return (ACCEPTED,)
    authorize_local_response(aliases, user, transaction.request_flow, response)
    if transaction.state is AcmTransactionState.ANSWERED:
        raise Refused(errors.FORBIDDEN, f"already answered: {_outcome_of(transaction)}")
    if event.at >= transaction.expires_at:
        # Nothing is applied after expires-at; that no timer has fired yet changes nothing.
        raise Refused(errors.FORBIDDEN, "the request has expired")
    failure = None
    applied: Sequence[Effect] = ()
    if response.result.outcome is Outcome.SUCCESS:
        failure, applied = _accept(system, records, transaction, event.at)
    octets = event.body.octets
    if failure is not None:
        response, octets = encode_outcome(transaction, system.mc_service_id, failure)
    after = answered(transaction, response, octets, event.body.digest, event.at)
    return (
        UpdateTransaction(after),
        RemoveRows(transaction.number, transaction.request_flow),
        *applied,
        _response_to_partner(after, octets, event.at),
        ACCEPTED,
    )


def on_log_on(
    system: McSystem, aliases: AliasDirectory, records: Records, user: LocalUser, at: float
) -> Sequence[Effect]:
    """Release what is kept for a user who logged on, and offer again what it has not answered."""
    effects: list[Effect] = []
    destinations = []
    offered: set[int] = set()
    for mc_service_id in user.mc_service_ids:
        destination = Destination(DestinationKind.USER, mc_service_id.canonical)
        destinations.append(str(destination))
        destinations += [
            str(Destination(DestinationKind.ALIAS, alias.canonical))
            for alias in aliases.held_by(mc_service_id)
        ]
        for transaction in records.unanswered_for(mc_service_id.canonical):
            if transaction.expires_at > at and transaction.number not in offered:
                offered.add(transaction.number)
                effects.append(
                    UpdateTransaction(replace(transaction, state=AcmTransactionState.KEPT))
                )
                # To the very user, not to another holder: another one would be asked as well.
                effects.append(PutOutboxRow(_offer_row(transaction, destination, at)))
    effects.append(ReleaseRows(tuple(destinations)))
    return effects


def offered_to(transaction: AcmTransaction, receiver: str) -> AcmTransaction:
    """Return the transaction with one more user who may answer it.

    Written before the request leaves, so that an answer that overtakes the 2xx counts.
    """
    if receiver in transaction.offered_to:
        return transaction
    return replace(transaction, offered_to=(*transaction.offered_to, receiver))


def on_delivery_ended(
    system: McSystem, records: Records, transaction: AcmTransaction, ended: DeliveryEnded
) -> Sequence[Effect]:
    """Act on the end of an attempt: indication or response at the partner, request at a user."""
    ending = classify(ended)
    if ending is Ending.TRY_AGAIN:
        return (PutOutboxRow(postpone(system, records, ended)),)
    effects: list[Effect] = [RemoveOutboxRow(ended.row.number)]
    if ending is Ending.REFUSED:
        effects.append(refusal_log(ended))
    is_offer = ended.row.flow == transaction.request_flow
    if not is_offer or transaction.state is AcmTransactionState.ANSWERED:
        return effects
    if ending is Ending.DELIVERED:
        effects.append(UpdateTransaction(replace(transaction, state=AcmTransactionState.OFFERED)))
    else:
        failure = Failure(cause_of_refusal(ended.status_code), refusal_text(ended))
        after, answer = _answer(system, transaction, failure, ended.at)
        effects += [UpdateTransaction(after), answer]
    return effects


def on_deadline(system: McSystem, transaction: AcmTransaction, at: float) -> Sequence[Effect]:
    """Answer ``expired`` for a request that nobody decided in time."""
    if transaction.state is AcmTransactionState.ANSWERED:
        return (UpdateTransaction(replace(transaction, due_at=None)),)
    after, answer = _answer(
        system, transaction, Failure(Cause.EXPIRED, "nobody decided in time"), at
    )
    return (
        UpdateTransaction(after),
        RemoveRows(transaction.number, transaction.request_flow),
        answer,
    )


def _begin(
    system: McSystem,
    records: Records,
    origin: str,
    partner: PartnerSystem,
    event: FlowReceived,
    request: AcmRequest,
) -> AcmTransaction:
    expires_at = expiry_of(request, event.at + system.request_expiry_s)
    return begin_transaction(
        event.body,
        number=records.allocate_numbers(1),
        side=Side.PARTNER,
        state=AcmTransactionState.KEPT,
        origin=origin,
        counterpart=partner.name,
        service=event.service,
        octets=complete_request(event.body.octets, expires_at=None),
        received_at=event.at,
        expires_at=expires_at,
        due_at=expires_at,
    )


def _asked_transaction(records: Records, user: LocalUser, response: AcmResponse) -> AcmTransaction:
    """Return the transaction that a response answers, if this user was asked."""
    transaction = records.transaction(
        TransactionKey(
            Side.PARTNER,
            response.acm_transaction_id.text,
            response.target_mc_service_id.canonical,
        )
    )
    if transaction is None:
        raise Refused(errors.FORBIDDEN, "no such ACM transaction")
    if not isinstance(response, procedure_of(transaction.request_flow).response):
        raise Refused(errors.FORBIDDEN, "the response is not that of the request")
    # A client with several MC service IDs is not told for which of them it was asked.
    if not any(own.canonical in transaction.offered_to for own in user.mc_service_ids):
        raise Refused(errors.FORBIDDEN, "the request was not offered to this user")
    return transaction


def _verify(
    system: McSystem,
    aliases: AliasDirectory,
    partner: PartnerSystem,
    transaction: AcmTransaction,
    event: FlowReceived,
) -> Failure | None:
    if event.at >= transaction.expires_at:
        return Failure(Cause.EXPIRED, "the request had expired on arrival")
    if transaction.expires_at > event.at + system.longest_expiry_s:
        return Failure(
            Cause.LOCAL_POLICY, f"expires-at: more than {system.longest_expiry_s:.0f} s ahead"
        )
    return procedure_of(transaction.request_flow).verify(partner, event.body) or _verify_target(
        system, aliases, transaction, is_asked=partner.handling is Handling.ASK
    )


def _verify_target(
    system: McSystem, aliases: AliasDirectory, transaction: AcmTransaction, *, is_asked: bool
) -> Failure | None:
    target = transaction.target_mc_service_id
    if target is not None:
        users = system.users_with(target.canonical)
        if not users:
            return Failure(Cause.UNKNOWN_MC_SERVICE_ID, "the target is not known", (target,))
        may_answer = any(transaction.request_flow in user.may_answer for user in users)
        if is_asked and not may_answer:
            return Failure(Cause.NOT_AUTHORIZED, "the target may not answer this request")
        return None
    alias = transaction.target_functional_alias
    assert alias is not None  # NOTE 1 of table 10.17.2.13-1
    if not aliases.is_known(alias):
        return Failure(Cause.UNKNOWN_FUNCTIONAL_ALIAS, "the target is not known")
    return None


def _assess(
    system: McSystem,
    partner: PartnerSystem,
    transaction: AcmTransaction,
    request: AcmRequest,
    failure: Failure | None,
    at: float,
) -> tuple[AcmTransaction, Sequence[Effect]]:
    """Choose between automatic handling and a client, by local policy (step 4)."""
    if failure is None and partner.handling is Handling.ASK:
        return transaction, (PutOutboxRow(_offer_row(transaction, _target_of(transaction), at)),)
    applied: Sequence[Effect] = ()
    if failure is None and partner.handling is Handling.REJECT:
        failure = Failure(partner.reject_cause)
    if failure is None:
        # The newest request by order of receipt: nothing later can have been applied.
        procedure = procedure_of(transaction.request_flow)
        applied = procedure.apply(transaction, request, Side.PARTNER, at, ())
    after, answer = _answer(system, transaction, failure, at)
    return after, (*applied, answer)


def _accept(
    system: McSystem, records: Records, transaction: AcmTransaction, at: float
) -> tuple[Failure | None, Sequence[Effect]]:
    """Check an acceptance again in the database transaction that stores it, and apply it."""
    procedure = procedure_of(transaction.request_flow)
    partner = system.partner(transaction.counterpart)
    if partner is None:
        return Failure(Cause.NOT_AUTHORIZED, "the systems are no longer interconnected"), ()
    body = decode_stored(transaction.request, system.document_mode)
    request = body.flow
    assert isinstance(request, AcmRequest)
    failure = procedure.verify(partner, body) or procedure.find_later(records, transaction, request)
    if failure is not None:
        return failure, ()
    return None, procedure.apply(transaction, request, Side.PARTNER, at, ())


def _answer(
    system: McSystem, transaction: AcmTransaction, failure: Failure | None, at: float
) -> tuple[AcmTransaction, PutOutboxRow]:
    """Answer in the name of the server's own MC service ID (step 8 without a client)."""
    response, octets = encode_outcome(transaction, system.mc_service_id, failure)
    after = answered(transaction, response, octets, None, at)
    return after, _response_to_partner(after, octets, at)


def _response_to_partner(transaction: AcmTransaction, octets: bytes, at: float) -> PutOutboxRow:
    return PutOutboxRow(
        response_row(transaction, DestinationKind.PARTNER, transaction.counterpart, octets, at)
    )


def _process_indication_row(transaction: AcmTransaction, at: float) -> OutboxRow:
    indication = ProcessIndication(
        acm_transaction_id=transaction.acm_transaction_id,
        requesting_mc_service_id=transaction.requesting_mc_service_id,
        target_mc_service_id=transaction.target_mc_service_id,
        target_functional_alias=(
            None if transaction.target_mc_service_id else transaction.target_functional_alias
        ),
    )
    # The lane of the response, so that they go in this order.
    return new_row(
        transaction,
        Destination(DestinationKind.PARTNER, transaction.counterpart),
        ProcessIndication.element_name,
        encode_body(indication),
        at,
        deadline_at=at + _PROCESS_INDICATION_S,
    )


def _target_of(transaction: AcmTransaction) -> Destination:
    target = transaction.target_mc_service_id
    if target is not None:
        return Destination(DestinationKind.USER, target.canonical)
    alias = transaction.target_functional_alias
    assert alias is not None  # NOTE 1 of table 10.17.2.13-1
    return Destination(DestinationKind.ALIAS, alias.canonical)


def _offer_row(transaction: AcmTransaction, destination: Destination, at: float) -> OutboxRow:
    return new_row(
        transaction,
        destination,
        transaction.request_flow,
        transaction.request,
        at,
        deadline_at=transaction.expires_at,
    )


def _outcome_of(transaction: AcmTransaction) -> str:
    return f"{transaction.outcome} {transaction.cause or ''}".strip()


def _label_log(was_blanked: bool, transaction: AcmTransaction) -> Sequence[Log]:
    if not was_blanked:
        return ()
    return (
        Log(
            "MC service UE label was not blank",
            (("acm_transaction_id", transaction.acm_transaction_id.text),),
            is_warning=True,
        ),
    )
