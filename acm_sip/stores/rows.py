"""Records to rows of the store and back.

A row is written as a dictionary of column values, and read as a sequence in the order of the
``*_COLUMNS`` here, which is the order of the record's fields. Text that is no Unicode (octets of
a header field that were no UTF-8) cannot stand in a database; such characters are replaced,
which touches no identity and no key of an ACM transaction.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

from acm_sip.identities import AcmTransactionId, FunctionalAlias, McServiceId
from acm_sip.procedures.records import (
    AcmTransaction,
    AcmTransactionState,
    ContactBinding,
    Destination,
    DestinationKind,
    OutboxRow,
    Side,
    UserConfiguration,
)

__all__ = [
    "BINDING_COLUMNS",
    "CONFIGURATION_COLUMNS",
    "OUTBOX_COLUMNS",
    "TRANSACTION_COLUMNS",
    "Values",
    "binding_key_values",
    "binding_values",
    "configuration_values",
    "outbox_values",
    "read_binding",
    "read_configuration",
    "read_outbox_row",
    "read_transaction",
    "storable",
    "transaction_values",
]

Values = dict[str, Any]

TRANSACTION_COLUMNS: Final = (
    "number",
    "side",
    "acm_transaction_id",
    "requesting_mc_service_id",
    "target_mc_service_id",
    "target_functional_alias",
    "origin",
    "counterpart",
    "request_flow",
    "service",
    "state",
    "request",
    "request_digest",
    "received_at",
    "expires_at",
    "due_at",
    "offered_to",
    "processing_at",
    "response",
    "response_digest",
    "outcome",
    "cause",
    "text",
    "handling_mc_service_id",
    "answered_at",
)
OUTBOX_COLUMNS: Final = (
    "number",
    "transaction_number",
    "destination_kind",
    "destination",
    "lane",
    "flow",
    "service",
    "octets",
    "created_at",
    "deadline_at",
    "attempts",
    "next_attempt_at",
    "is_maybe_delivered",
)
BINDING_COLUMNS: Final = (
    "public_identity",
    "contact",
    "instance_id",
    "reg_id",
    "call_id",
    "cseq",
    "flow",
    "path",
    "registered_at",
    "expires_at",
)
CONFIGURATION_COLUMNS: Final = (
    "side",
    "system",
    "mc_service_id",
    "digest",
    "transaction_number",
    "applied_at",
)

_CACHED_IDENTITIES: Final = 8192  # ours: reading an identity again costs a whole URI parse
_mc_service_id = lru_cache(_CACHED_IDENTITIES)(McServiceId)
_functional_alias = lru_cache(_CACHED_IDENTITIES)(FunctionalAlias)
_sides: Final = {side.value: side for side in Side}
_states: Final = {state.value: state for state in AcmTransactionState}


def storable(text: str) -> str:
    """Return the text with what no database takes (lone surrogates, NUL) replaced."""
    if text.isascii() and "\0" not in text:
        return text
    return text.encode("utf-8", "replace").decode("utf-8").replace("\0", "?")


def _storable_or_none(text: str | None) -> str | None:
    return None if text is None else storable(text)


def transaction_values(record: AcmTransaction) -> Values:
    """Return the row of an ACM transaction."""
    target = record.target_mc_service_id
    alias = record.target_functional_alias
    answered_at = record.answered_at
    return {
        "number": record.number,
        "side": record.side.value,
        "acm_transaction_id": record.acm_transaction_id.text,
        "requester": record.requesting_mc_service_id.canonical,
        "requesting_mc_service_id": record.requesting_mc_service_id.text,
        "target_mc_service_id": None if target is None else target.text,
        "target_functional_alias": None if alias is None else alias.text,
        "origin": record.origin,
        "counterpart": record.counterpart,
        "request_flow": record.request_flow,
        "service": record.service,
        "state": record.state.value,
        "received_at": record.received_at,
        "expires_at": record.expires_at,
        "due_at": record.due_at,
        "processing_at": record.processing_at,
        "answered_at": answered_at,
        "finished_at": None if answered_at is None else max(answered_at, record.expires_at),
        "outcome": record.outcome,
        "cause": _storable_or_none(record.cause),
        "handling_mc_service_id": record.handling_mc_service_id,
        "request_digest": record.request_digest,
        "response_digest": record.response_digest,
        "text": _storable_or_none(record.text),
        "offered_to": " ".join(record.offered_to),  # a canonical SIP URI holds no space
        "response": record.response,
        "request": record.request,
    }


def read_transaction(row: Sequence[Any]) -> AcmTransaction:
    """Return the record of a row in the order of ``TRANSACTION_COLUMNS``."""
    number, side, identifier, requesting, target, alias, *plain = row
    origin, counterpart, request_flow, service, state, *rest = plain
    request, request_digest, received_at, expires_at, due_at, offered_to, *answer = rest
    return AcmTransaction(
        number,
        _sides[side],
        AcmTransactionId(identifier),
        _mc_service_id(requesting),
        None if target is None else _mc_service_id(target),
        None if alias is None else _functional_alias(alias),
        origin,
        counterpart,
        request_flow,
        service,
        _states[state],
        request,
        request_digest,
        received_at,
        expires_at,
        due_at,
        tuple(offered_to.split()),
        *answer,
    )


def outbox_values(row: OutboxRow) -> Values:
    """Return the row of the outbox, without what only the store knows (head, lease)."""
    return {
        "number": row.number,
        "transaction_number": row.transaction_number,
        "destination_kind": row.destination.kind.value,
        "destination": str(row.destination),
        "lane": row.lane,
        "flow": row.flow,
        "service": row.service,
        "octets": row.octets,
        "created_at": row.created_at,
        "deadline_at": row.deadline_at,
        "attempts": row.attempts,
        "next_attempt_at": row.next_attempt_at,
        "is_maybe_delivered": int(row.is_maybe_delivered),
    }


def read_outbox_row(row: Sequence[Any]) -> OutboxRow:
    """Return the record of a row in the order of ``OUTBOX_COLUMNS``."""
    number, transaction_number, kind, destination, *rest, is_maybe_delivered = row
    to = Destination(DestinationKind(kind), destination[len(kind) + 1 :])
    fields: list[Any] = [number, transaction_number, to, *rest, bool(is_maybe_delivered)]
    return OutboxRow(*fields)


def binding_key_values(key: tuple[str, str, int]) -> Values:
    """Return the key columns of a binding, as parameters of a removal."""
    public_identity, instance_or_contact, reg_id = key
    return {
        "public_identity": public_identity,
        "instance_or_contact": storable(instance_or_contact),
        "key_reg_id": reg_id,
    }


def binding_values(record: ContactBinding) -> Values:
    """Return the row of a contact binding."""
    public_identity, instance_or_contact, key_reg_id = record.key
    return {
        "public_identity": public_identity,
        "instance_or_contact": storable(instance_or_contact),
        "key_reg_id": key_reg_id,
        "contact": storable(record.contact),
        "instance_id": storable(record.instance_id),
        "reg_id": record.reg_id,
        "call_id": storable(record.call_id),
        "cseq": record.cseq,
        "flow": record.flow,
        "path": json.dumps(record.path),  # a Path value may hold any separator
        "registered_at": record.registered_at,
        "expires_at": record.expires_at,
    }


def read_binding(row: Sequence[Any]) -> ContactBinding:
    """Return the record of a row in the order of ``BINDING_COLUMNS``."""
    public_identity, contact, instance_id, reg_id, call_id, cseq, flow, path, *times = row
    return ContactBinding(
        public_identity,
        contact,
        instance_id,
        reg_id,
        call_id,
        cseq,
        flow,
        tuple(json.loads(path)),
        *times,
    )


def configuration_values(record: UserConfiguration) -> Values:
    """Return the row of a user's configuration."""
    return {
        "side": record.side.value,
        "system": record.system,
        "mc_service_id": record.mc_service_id,
        "digest": record.digest,
        "transaction_number": record.transaction_number,
        "applied_at": record.applied_at,
    }


def read_configuration(row: Sequence[Any]) -> UserConfiguration:
    """Return the record of a row in the order of ``CONFIGURATION_COLUMNS``."""
    side, system, mc_service_id, digest, transaction_number, applied_at = row
    return UserConfiguration(
        _sides[side], system, mc_service_id, digest, transaction_number, applied_at
    )
