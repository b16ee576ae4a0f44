"""The tables of a store, as of the newest schema version.

    acm_transaction         one ACM transaction as one entity sees it
    acm_offer               who was offered a request that is still unanswered
    outbox                  information flows that still have to reach somebody
    contact_binding         contacts of registered users
    user_configuration      which document holds for which user
    configuration_document  UE initial configuration documents, once each by digest
    number_sequence         the next number of a transaction and of an outbox row

Columns that are derived from a record, so that an index can find it:

    acm_transaction.finished_at  the later of answer and expiry, once answered: pruned by it
    outbox.is_head               1 for the first row of its lane, the only one that may be sent
    contact_binding, first three what a new REGISTER replaces (``ContactBinding.key``)
    outbox.leased_until, node    who is sending the row now; both NULL while nobody is

Large columns stand last: SQLite reads a row from its start and spills its end to further pages.
A change here needs a revision in ``migrations/versions``; tests compare the two.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    text,
)

__all__ = [
    "acm_offer",
    "acm_transaction",
    "configuration_document",
    "contact_binding",
    "metadata",
    "number_sequence",
    "outbox",
    "user_configuration",
]

metadata: Final = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
    }
)

# Only INTEGER PRIMARY KEY is the row id of SQLite; elsewhere 32 bits are too few.
_Number: Final = BigInteger().with_variant(Integer(), "sqlite")


def _partial_index(name: str, *columns: str, where: str) -> Index:
    condition: dict[str, Any] = {"sqlite_where": text(where), "postgresql_where": text(where)}
    return Index(name, *columns, **condition)


acm_transaction: Final = Table(
    "acm_transaction",
    metadata,
    Column("number", _Number, primary_key=True, autoincrement=False),
    Column("side", Text, nullable=False),
    Column("acm_transaction_id", Text, nullable=False),
    Column("requester", Text, nullable=False),
    Column("requesting_mc_service_id", Text, nullable=False),
    Column("target_mc_service_id", Text),
    Column("target_functional_alias", Text),
    Column("origin", Text, nullable=False),
    Column("counterpart", Text, nullable=False),
    Column("request_flow", Text, nullable=False),
    Column("service", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("received_at", Double, nullable=False),
    Column("expires_at", Double, nullable=False),
    Column("due_at", Double),
    Column("processing_at", Double),
    Column("answered_at", Double),
    Column("finished_at", Double),
    Column("outcome", Text),
    Column("cause", Text),
    Column("handling_mc_service_id", Text),
    Column("request_digest", LargeBinary, nullable=False),
    Column("response_digest", LargeBinary),
    Column("text", Text),
    Column("offered_to", Text, nullable=False),
    Column("response", LargeBinary),
    Column("request", LargeBinary, nullable=False),
    # The id first: `show transaction` knows nothing else.
    UniqueConstraint("acm_transaction_id", "requester", "side"),
    _partial_index("ix_acm_transaction_due_at", "due_at", where="due_at IS NOT NULL"),
    _partial_index(
        "ix_acm_transaction_finished_at", "finished_at", where="finished_at IS NOT NULL"
    ),
)

acm_offer: Final = Table(
    "acm_offer",
    metadata,
    Column("mc_service_id", Text, primary_key=True),
    Column("transaction_number", _Number, ForeignKey("acm_transaction.number"), primary_key=True),
    Index("ix_acm_offer_transaction_number", "transaction_number"),
    sqlite_with_rowid=False,
)

_READY: Final = "is_head = 1 AND leased_until IS NULL AND next_attempt_at IS NOT NULL"

outbox: Final = Table(
    "outbox",
    metadata,
    Column("number", _Number, primary_key=True, autoincrement=False),
    Column("transaction_number", _Number, ForeignKey("acm_transaction.number"), nullable=False),
    Column("destination_kind", Text, nullable=False),
    Column("destination", Text, nullable=False),
    Column("lane", Text, nullable=False),
    Column("flow", Text, nullable=False),
    Column("service", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("deadline_at", Double),
    Column("attempts", Integer, nullable=False),
    Column("next_attempt_at", Double),
    Column("is_maybe_delivered", SmallInteger, nullable=False),
    Column("is_head", SmallInteger, nullable=False),
    Column("leased_until", Double),
    Column("node", Text),
    Column("octets", LargeBinary, nullable=False),
    Index("ix_outbox_transaction_number", "transaction_number"),
    Index("ix_outbox_lane", "lane", "number"),
    _partial_index("ix_outbox_ready", "next_attempt_at", "number", "destination", where=_READY),
    _partial_index(
        "ix_outbox_destination", "destination", "next_attempt_at", "number", where=_READY
    ),
    _partial_index("ix_outbox_parked", "destination", where="next_attempt_at IS NULL"),
    _partial_index("ix_outbox_deadline_at", "deadline_at", where="deadline_at IS NOT NULL"),
    _partial_index("ix_outbox_leased_until", "leased_until", where="leased_until IS NOT NULL"),
)

contact_binding: Final = Table(
    "contact_binding",
    metadata,
    Column("public_identity", Text, primary_key=True),
    Column("instance_or_contact", Text, primary_key=True),
    Column("key_reg_id", BigInteger, primary_key=True, autoincrement=False),
    Column("contact", Text, nullable=False),
    Column("instance_id", Text, nullable=False),
    Column("reg_id", BigInteger, nullable=False),
    Column("call_id", Text, nullable=False),
    Column("cseq", BigInteger, nullable=False),
    Column("flow", Text, nullable=False),
    Column("path", Text, nullable=False),
    Column("registered_at", Double, nullable=False),
    Column("expires_at", Double, nullable=False),
    Index("ix_contact_binding_flow", "flow"),
    Index("ix_contact_binding_expires_at", "expires_at"),
)

configuration_document: Final = Table(
    "configuration_document",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("document", LargeBinary, nullable=False),
)

user_configuration: Final = Table(
    "user_configuration",
    metadata,
    Column("side", Text, primary_key=True),
    Column("system", Text, primary_key=True),
    Column("mc_service_id", Text, primary_key=True),
    Column("digest", LargeBinary, ForeignKey("configuration_document.digest"), nullable=False),
    # No foreign key: a transaction is pruned, what it applied stays.
    Column("transaction_number", _Number, nullable=False),
    Column("applied_at", Double, nullable=False),
    Index("ix_user_configuration_digest", "digest"),
)

number_sequence: Final = Table(
    "number_sequence",
    metadata,
    Column("name", Text, primary_key=True),
    Column("next_number", _Number, nullable=False),
)
