"""Records for the tests of the stores, with defaults that are valid."""

from __future__ import annotations

from typing import Any

from acm_sip.identities import AcmTransactionId, McServiceId
from acm_sip.procedures.records import (
    AcmTransaction,
    AcmTransactionState,
    ContactBinding,
    Destination,
    DestinationKind,
    OutboxRow,
    Side,
)

ALICE = McServiceId("sip:alice@primary.example")
BOB = McServiceId("sip:bob@partner.example")
PARTNER = Destination(DestinationKind.PARTNER, "partner")


def transaction(number: int, **changes: Any) -> AcmTransaction:
    values: dict[str, Any] = {
        "number": number,
        "side": Side.PRIMARY,
        "acm_transaction_id": AcmTransactionId(f"urn:uuid:{number:032x}"),
        "requesting_mc_service_id": ALICE,
        "target_mc_service_id": BOB,
        "target_functional_alias": None,
        "origin": "user:sip:alice@primary.example",
        "counterpart": "partner",
        "request_flow": "request",
        "service": "mcptt",
        "state": AcmTransactionState.FORWARDING,
        "request": b"<request/>",
        "request_digest": bytes(32),
        "received_at": 1000.0,
        "expires_at": 4600.0,
        "due_at": None,
    }
    return AcmTransaction(**(values | changes))


def outbox_row(transaction_number: int, number: int = 0, **changes: Any) -> OutboxRow:
    values: dict[str, Any] = {
        "number": number,
        "transaction_number": transaction_number,
        "destination": PARTNER,
        "lane": f"partner:partner {transaction_number}",
        "flow": "request",
        "service": "mcptt",
        "octets": b"<request/>",
        "created_at": 1000.0,
        "deadline_at": None,
        "attempts": 0,
        "next_attempt_at": 0.0,
    }
    return OutboxRow(**(values | changes))


def to_user(name: str) -> Destination:
    return Destination(DestinationKind.USER, f"sip:{name}@primary.example")


def binding(**changes: Any) -> ContactBinding:
    values: dict[str, Any] = {
        "public_identity": "sip:alice@primary.example",
        "contact": "sip:alice@192.0.2.1:5060",
        "instance_id": "<urn:uuid:1>",
        "reg_id": 1,
        "call_id": "abc",
        "cseq": 1,
        "flow": "UDP 192.0.2.1:5060",
        "path": ("<sip:edge.example;lr>", "<sip:two.example;lr>"),
        "registered_at": 1000.0,
        "expires_at": 2000.0,
    }
    return ContactBinding(**(values | changes))
