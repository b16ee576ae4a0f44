"""What an ACM entity must remember across a crash: one frozen record per row of the store.

    AcmTransaction     one ACM transaction as one entity sees it (table of states below)
    OutboxRow          one information flow that still has to reach somebody
    ContactBinding     one contact of a registered user (RFC 3261 10.3, RFC 5626)
    UserConfiguration  which UE initial configuration document holds for which user

States of an :class:`AcmTransaction`, by side (TS 23.280 10.17.6.2; the entity in brackets):

    REQUESTER (primary ACM client)   SENDING -> ACCEPTED -> ANSWERED
    PRIMARY   (primary ACM server)   FORWARDING -> FORWARDED -> PROCESSING -> ANSWERED
    PARTNER   (partner ACM server)   KEPT -> OFFERED -> ANSWERED
    HANDLER   (partner ACM client)   UNDECIDED -> SENDING <-> REFUSED; SENDING -> ANSWERED

A handler has decided in SENDING; REFUSED says that its server did not take the answer (it is sent
again when the server asks again), ANSWERED that it did, or that nobody decided in time.

A state is never left backwards but for OFFERED -> KEPT, when a request is offered again to a user
who logs on, and SENDING <-> REFUSED. ANSWERED is the end; a correction (a response after a failure
that was stated without knowing the outcome) replaces the result within it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from acm_sip.identities import AcmTransactionId, FunctionalAlias, McServiceId

__all__ = [
    "AcmTransaction",
    "AcmTransactionState",
    "ContactBinding",
    "Destination",
    "DestinationKind",
    "OutboxRow",
    "Side",
    "TransactionKey",
    "UserConfiguration",
]


class Side(StrEnum):
    """Which of the four entities of the figure holds the record."""

    REQUESTER = "requester"
    PRIMARY = "primary"
    PARTNER = "partner"
    HANDLER = "handler"


class AcmTransactionState(StrEnum):
    """How far an ACM transaction has come; the module docstring has the table."""

    SENDING = "sending"
    ACCEPTED = "accepted"
    FORWARDING = "forwarding"
    FORWARDED = "forwarded"
    PROCESSING = "processing"
    KEPT = "kept"
    OFFERED = "offered"
    UNDECIDED = "undecided"
    REFUSED = "refused"
    ANSWERED = "answered"


@dataclass(frozen=True, slots=True)
class TransactionKey:
    """What makes an ACM transaction the same one on every hop.

    The identity of the requester stands beside the id, so that nobody can answer, repeat or
    block another user's transaction by guessing its id.
    """

    side: Side
    acm_transaction_id: str
    requesting_mc_service_id: str  # canonical form


@dataclass(frozen=True, slots=True)
class AcmTransaction:
    """One ACM transaction as one entity sees it.

    :param number: the order of receipt in this store, and the primary key.
    :param origin: who sent the request here: ``user:`` and a public user identity,
        ``partner:`` and a system name, ``server:`` at a handler, ``self:`` at a requester.
    :param counterpart: the system on the other side: the partner at a primary server, the
        requesting system at a partner server; empty at clients.
    :param request_flow: element name of the request.
    :param service: MC service, ``mcptt``, ``mcvideo`` or ``mcdata``.
    :param request: octets of the request as they are stored and sent on.
    :param request_digest: SHA-256 of its exclusive C14N flow.
    :param received_at: UTC epoch seconds; likewise every ``_at``.
    :param due_at: when the entity has to act by itself next, None for never.
    :param offered_to: at a partner server, canonical MC service IDs to whom the request went.
    :param response: octets of the response; None until there is one.
    """

    number: int
    side: Side
    acm_transaction_id: AcmTransactionId
    requesting_mc_service_id: McServiceId
    target_mc_service_id: McServiceId | None
    target_functional_alias: FunctionalAlias | None
    origin: str
    counterpart: str
    request_flow: str
    service: str
    state: AcmTransactionState
    request: bytes
    request_digest: bytes
    received_at: float
    expires_at: float
    due_at: float | None
    offered_to: tuple[str, ...] = ()
    processing_at: float | None = None
    response: bytes | None = None
    response_digest: bytes | None = None
    outcome: str | None = None
    cause: str | None = None
    text: str | None = None
    handling_mc_service_id: str | None = None
    answered_at: float | None = None

    @property
    def key(self) -> TransactionKey:
        """The key by which a repeat, a process indication or a response finds this record."""
        return TransactionKey(
            self.side, self.acm_transaction_id.text, self.requesting_mc_service_id.canonical
        )


class DestinationKind(StrEnum):
    """To whom an outbox row goes."""

    PARTNER = "partner"
    USER = "user"
    ALIAS = "alias"
    SERVER = "server"


@dataclass(frozen=True, slots=True)
class Destination:
    """The receiver of an outbox row, named and not located: it is resolved at each attempt.

    :param kind: what the name is.
    :param name: system name, canonical MC service ID, canonical functional alias, or the PSI
        of a client's own server.
    """

    kind: DestinationKind
    name: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}"


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """One information flow that still has to reach somebody.

    Rows of one ``lane`` are sent in the order of their numbers, each after the final answer to
    the one before (or after it was given up).

    :param number: order of commit, and the primary key; 0 until the store numbers it.
    :param transaction_number: the :class:`AcmTransaction` it belongs to.
    :param lane: what must stay in order.
    :param flow: element name of the information flow.
    :param octets: the acm-info document, the same at every attempt.
    :param deadline_at: UTC epoch seconds after which it is given up; None for never.
    :param attempts: how many attempts were made.
    :param next_attempt_at: not before this instant; None while it is parked, waiting for a
        log-on (or an alias to become active) and not for time.
    :param is_maybe_delivered: an attempt ended so that the receiver may hold the flow (no answer,
        a 5xx, a connection lost after sending); what was never on the wire may be given up.
    """

    number: int
    transaction_number: int
    destination: Destination
    lane: str
    flow: str
    service: str
    octets: bytes
    created_at: float
    deadline_at: float | None
    attempts: int = 0
    next_attempt_at: float | None = 0.0
    is_maybe_delivered: bool = False


@dataclass(frozen=True, slots=True)
class ContactBinding:
    """One contact of a registered user.

    :param public_identity: canonical address-of-record.
    :param contact: the Contact URI as it was registered.
    :param instance_id: ``+sip.instance``, empty where there is none.
    :param reg_id: RFC 5626 ``reg-id``, 0 where there is none.
    :param flow: the connection or address pair of the REGISTER, as text of the SIP shell.
    :param path: Path values, topmost first (RFC 3327).
    :param registered_at: UTC epoch seconds of the last REGISTER; newest contact goes first.
    """

    public_identity: str
    contact: str
    instance_id: str
    reg_id: int
    call_id: str
    cseq: int
    flow: str
    path: tuple[str, ...]
    registered_at: float
    expires_at: float

    @property
    def key(self) -> tuple[str, str, int]:
        """What a new REGISTER replaces: instance and reg-id, else the contact (RFC 5626 6)."""
        if self.instance_id and self.reg_id:
            return (self.public_identity, self.instance_id, self.reg_id)
        return (self.public_identity, self.contact, 0)


@dataclass(frozen=True, slots=True)
class UserConfiguration:
    """The UE initial configuration that holds for one migrating MC service user.

    :param side: PARTNER: stored here for a user of another system; PRIMARY: what a partner
        accepted for a user of ours; HANDLER: what a client last accepted.
    :param system: the other system; empty at a client.
    :param mc_service_id: canonical MC service ID.
    :param digest: SHA-256 of the document's exclusive C14N.
    :param transaction_number: the transaction that applied it (order of receipt).
    :param applied_at: UTC epoch seconds.
    """

    side: Side
    system: str
    mc_service_id: str
    digest: bytes
    transaction_number: int
    applied_at: float
