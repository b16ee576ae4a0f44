"""The ACM client: TS 23.280 10.17.6.2 steps 1 and 10 as requester, 5 to 7 as handler.

    event                              before       after       and
    own user makes a request (1)       -            SENDING     request to the server
    2xx of the server                  SENDING      ACCEPTED
    refused by the server for good     SENDING      ANSWERED    the user is told
    response (10)                      not ANSWERED ANSWERED    stored, then 200; told
    response of the partner after a failure of this client or its server
                                       ANSWERED     ANSWERED    stored, then 200; told
    no server until the request ends   SENDING      ANSWERED    the user is told
    request of the server (5)          -            UNDECIDED   stored, then 200; told
    the same request again             any          unchanged   200, asked once only
                                       REFUSED      SENDING     200, answered again
    the user decides (6)               UNDECIDED    SENDING     response to the server (7)
    2xx of the server to (7)           SENDING      ANSWERED    an acceptance is stored
    refused by the server for good     SENDING      REFUSED     the user is told
    nobody decides until it ends       UNDECIDED    ANSWERED    failure, expired; told

Nobody decides inside a SIP transaction: the 200 says that the request is safe here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from acm_sip import errors
from acm_sip.codec.body import DecodedBody
from acm_sip.codec.flows import AcmRequest, AcmResponse, Cause, Outcome
from acm_sip.errors import LocalProtocolError, Refused
from acm_sip.identities import AcmTransactionId, McServiceId
from acm_sip.procedures.answers import OK
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
    TellUser,
    UpdateTransaction,
)
from acm_sip.procedures.events import DecisionMade, DeliveryEnded, FlowReceived
from acm_sip.procedures.outcome import (
    answered,
    encode_outcome,
    response_row,
    store_acceptance,
)
from acm_sip.procedures.ports import Records
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
    "on_decision",
    "on_delivery_ended",
    "on_flow",
    "on_outcome_wanted",
    "on_own_request",
    "on_row_deadline",
]

_REQUEST_LIFETIME_S = 86_400.0  # ours: a day, as a server lets a request live by default


def on_own_request(
    server: str, number: int, service: str, body: DecodedBody, at: float, expires_at: float
) -> Sequence[Effect]:
    """Store a request of the own user and send it to the own server (step 1).

    :param server: PSI of the own ACM server.
    """
    transaction = begin_transaction(
        body,
        number=number,
        side=Side.REQUESTER,
        state=AcmTransactionState.SENDING,
        origin="self:",
        service=service,
        received_at=at,
        expires_at=expires_at,
        due_at=None,
    )
    row = new_row(
        transaction,
        Destination(DestinationKind.SERVER, server),
        transaction.request_flow,
        body.octets,
        at,
        deadline_at=expires_at,
    )
    return (InsertTransaction(transaction), PutOutboxRow(row))


def on_outcome_wanted(
    records: Records, acm_transaction_id: AcmTransactionId, requester: McServiceId
) -> Sequence[Effect]:
    """Tell the user of an own request again, if its outcome is known by now.

    :raises LocalProtocolError: there is no such request.
    """
    transaction = records.transaction(
        TransactionKey(Side.REQUESTER, acm_transaction_id.text, requester.canonical)
    )
    if transaction is None:
        raise LocalProtocolError("no such request")
    if transaction.state is AcmTransactionState.ANSWERED:
        return (TellUser(transaction),)
    return ()


def on_flow(
    server: str, own_identities: Sequence[McServiceId], records: Records, event: FlowReceived
) -> Sequence[Effect]:
    """Take a flow from the own server: a request to decide, or the outcome of an own one.

    :param server: PSI of the own ACM server.

    :raises Refused: the flow is not for this client, or contradicts what it knows.
    """
    flow = event.body.flow
    if isinstance(flow, AcmRequest):
        return _on_request(server, records, event, flow)
    if isinstance(flow, AcmResponse):
        return _on_response(own_identities, records, event, flow)
    raise Refused(errors.FORBIDDEN, "the information flow is not one for a client")


def on_decision(server: str, records: Records, event: DecisionMade) -> Sequence[Effect]:
    """Answer a request as the user decided (step 7).

    :raises LocalProtocolError: there is no such request, it has been decided, or its time is over.
    """
    transaction = records.transaction(
        TransactionKey(
            Side.HANDLER,
            event.acm_transaction_id.text,
            event.requesting_mc_service_id.canonical,
        )
    )
    if transaction is None:
        raise LocalProtocolError("no such request")
    if event.at >= transaction.expires_at:
        raise LocalProtocolError("the request has expired")
    if transaction.state is not AcmTransactionState.UNDECIDED:
        raise LocalProtocolError("the request has been decided already")
    failure = None
    if not event.is_accepted:
        failure = Failure(event.cause or Cause.REJECTED_BY_USER, event.text)
    response, octets = encode_outcome(transaction, event.handling_mc_service_id, failure)
    decided = answered(transaction, response, octets, None, event.at)
    after = replace(decided, state=AcmTransactionState.SENDING)
    row = response_row(after, DestinationKind.SERVER, server, octets, event.at)
    return (UpdateTransaction(after), PutOutboxRow(row))


def on_deadline(transaction: AcmTransaction, at: float) -> Sequence[Effect]:
    """End a request that its user did not decide in time."""
    if transaction.state is not AcmTransactionState.UNDECIDED:
        return (UpdateTransaction(replace(transaction, due_at=None)),)
    after = replace(
        transaction,
        state=AcmTransactionState.ANSWERED,
        due_at=None,
        outcome=Outcome.FAILURE.value,
        cause=Cause.EXPIRED.value,
        text="nobody decided in time",
        answered_at=at,
    )
    return (UpdateTransaction(after), TellUser(after))


def on_delivery_ended(
    records: Records, transaction: AcmTransaction, ended: DeliveryEnded
) -> Sequence[Effect]:
    """Act on the server's final answer to an own request or response."""
    ending = classify(ended)
    if ending is Ending.TRY_AGAIN:
        return (PutOutboxRow(postpone(None, records, ended)),)
    effects: list[Effect] = [RemoveOutboxRow(ended.row.number)]
    if transaction.side is Side.HANDLER:
        return [*effects, *_on_answer_ended(records, transaction, ended, ending)]
    if transaction.state is not AcmTransactionState.SENDING:
        return effects
    if ending is Ending.DELIVERED:
        effects.append(UpdateTransaction(replace(transaction, state=AcmTransactionState.ACCEPTED)))
        return effects
    failure = Failure(cause_of_refusal(ended.status_code), refusal_text(ended))
    return [*effects, *_fail(transaction, failure, ended.at)]


def on_row_deadline(transaction: AcmTransaction, row: OutboxRow, at: float) -> Sequence[Effect]:
    """Give up an own request that the server never took."""
    effects: list[Effect] = [RemoveOutboxRow(row.number)]
    if transaction.side is Side.REQUESTER and transaction.state is AcmTransactionState.SENDING:
        effects += _fail(
            transaction, Failure(Cause.EXPIRED, "the own ACM server did not take it in time"), at
        )
    return effects


def _on_answer_ended(
    records: Records, transaction: AcmTransaction, ended: DeliveryEnded, ending: Ending
) -> Sequence[Effect]:
    """Act on the server's final answer to the decision of the own user."""
    if transaction.state is AcmTransactionState.ANSWERED:
        return ()
    if ending is Ending.DELIVERED:
        after = replace(transaction, state=AcmTransactionState.ANSWERED)
        if transaction.outcome != Outcome.SUCCESS.value:
            return (UpdateTransaction(after),)
        # Only now does it hold: what the server refuses was never agreed.
        return (UpdateTransaction(after), *store_acceptance(records, after, ended.at))
    after = replace(transaction, state=AcmTransactionState.REFUSED)
    # The record keeps the user's own text; what is told says what the server said.
    told = replace(after, text=f"the server did not take the answer: {refusal_text(ended)}")
    return (UpdateTransaction(after), TellUser(told), refusal_log(ended))


def _on_request(
    server: str, records: Records, event: FlowReceived, request: AcmRequest
) -> Sequence[Effect]:
    key = TransactionKey(
        Side.HANDLER,
        request.acm_transaction_id.text,
        request.requesting_mc_service_id.canonical,
    )
    known = records.transaction(key)
    if known is not None:
        if known.request_digest != event.body.digest:
            raise Refused(errors.FORBIDDEN, "the acm-transaction-id is in use with other content")
        if known.state is not AcmTransactionState.REFUSED:
            return (OK,)
        # The server refused the answer, of a user with too few rights perhaps, and asks again.
        assert known.response is not None
        row = response_row(known, DestinationKind.SERVER, server, known.response, event.at)
        again = replace(known, state=AcmTransactionState.SENDING)
        return (UpdateTransaction(again), PutOutboxRow(row), OK)
    # A request that names no end itself ends when its server said, in Expires (RFC 3428 4).
    lifetime_s = _REQUEST_LIFETIME_S if event.expires_s is None else event.expires_s
    expires_at = expiry_of(request, event.at + lifetime_s)
    transaction = begin_transaction(
        event.body,
        number=records.allocate_numbers(1),
        side=Side.HANDLER,
        state=AcmTransactionState.UNDECIDED,
        origin="server:",
        service=event.service,
        received_at=event.at,
        expires_at=expires_at,
        due_at=expires_at,
    )
    return (InsertTransaction(transaction), TellUser(transaction), OK)


def _on_response(
    own_identities: Sequence[McServiceId],
    records: Records,
    event: FlowReceived,
    response: AcmResponse,
) -> Sequence[Effect]:
    if response.target_mc_service_id not in own_identities:
        raise Refused(errors.FORBIDDEN, "the response is for another user")
    transaction = records.transaction(
        TransactionKey(
            Side.REQUESTER,
            response.acm_transaction_id.text,
            response.target_mc_service_id.canonical,
        )
    )
    if transaction is None:
        raise Refused(errors.FORBIDDEN, "no such ACM transaction")
    if not isinstance(response, procedure_of(transaction.request_flow).response):
        raise Refused(errors.FORBIDDEN, "the response is not that of the request")
    if transaction.state is AcmTransactionState.ANSWERED:
        if transaction.response_digest == event.body.digest:
            return (OK,)
        if not _is_correctable(transaction):
            raise Refused(errors.FORBIDDEN, "the transaction has been answered already")
    after = answered(transaction, response, event.body.octets, event.body.digest, event.at)
    return (
        UpdateTransaction(after),
        RemoveRows(transaction.number, transaction.request_flow),
        TellUser(after),
        OK,
    )


def _is_correctable(transaction: AcmTransaction) -> bool:
    """Return whether the outcome was stated without knowing that of the partner.

    That is a failure of this client (which keeps no digest of its own words) or of its own server:
    one whose handler is not of the MC system that was asked.
    """
    if transaction.response_digest is None:
        return True
    asked = transaction.target_mc_service_id or transaction.target_functional_alias
    assert asked is not None  # NOTE 1 of table 10.17.2.13-1
    assert transaction.handling_mc_service_id is not None
    handler = McServiceId(transaction.handling_mc_service_id)
    return transaction.outcome == Outcome.FAILURE.value and handler.domain != asked.domain


def _fail(transaction: AcmTransaction, failure: Failure, at: float) -> list[Effect]:
    """End an own request without an outcome from outside."""
    response, octets = encode_outcome(transaction, transaction.requesting_mc_service_id, failure)
    after = answered(transaction, response, octets, None, at)
    return [
        UpdateTransaction(after),
        RemoveRows(transaction.number, transaction.request_flow),
        TellUser(after),
    ]
