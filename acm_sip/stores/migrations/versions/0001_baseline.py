"""The baseline: every table of the first release, and the first number of each sequence."""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0001"
down_revision: Final = None

_NUMBER: Final = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_READY: Final = "is_head = 1 AND leased_until IS NULL AND next_attempt_at IS NOT NULL"


def _where(condition: str) -> dict[str, Any]:
    return {"sqlite_where": sa.text(condition), "postgresql_where": sa.text(condition)}


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "acm_transaction",
        sa.Column("number", _NUMBER, autoincrement=False, nullable=False),
        sa.Column("side", sa.Text(), nullable=False),
        sa.Column("acm_transaction_id", sa.Text(), nullable=False),
        sa.Column("requester", sa.Text(), nullable=False),
        sa.Column("requesting_mc_service_id", sa.Text(), nullable=False),
        sa.Column("target_mc_service_id", sa.Text(), nullable=True),
        sa.Column("target_functional_alias", sa.Text(), nullable=True),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("counterpart", sa.Text(), nullable=False),
        sa.Column("request_flow", sa.Text(), nullable=False),
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("received_at", sa.Double(), nullable=False),
        sa.Column("expires_at", sa.Double(), nullable=False),
        sa.Column("due_at", sa.Double(), nullable=True),
        sa.Column("processing_at", sa.Double(), nullable=True),
        sa.Column("answered_at", sa.Double(), nullable=True),
        sa.Column("finished_at", sa.Double(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("cause", sa.Text(), nullable=True),
        sa.Column("handling_mc_service_id", sa.Text(), nullable=True),
        sa.Column("request_digest", sa.LargeBinary(), nullable=False),
        sa.Column("response_digest", sa.LargeBinary(), nullable=True),
        sa.Column("text", sa.Text(), nullable=True),
        sa.Column("offered_to", sa.Text(), nullable=False),
        sa.Column("response", sa.LargeBinary(), nullable=True),
        sa.Column("request", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_acm_transaction")),
        sa.UniqueConstraint(
            "acm_transaction_id", "requester", "side", name=op.f("uq_acm_transaction")
        ),
    )
    op.create_index(
        "ix_acm_transaction_due_at",
        "acm_transaction",
        ["due_at"],
        unique=False,
        **_where("due_at IS NOT NULL"),
    )
    op.create_index(
        "ix_acm_transaction_finished_at",
        "acm_transaction",
        ["finished_at"],
        unique=False,
        **_where("finished_at IS NOT NULL"),
    )
    op.create_table(
        "configuration_document",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_configuration_document")),
    )
    op.create_table(
        "contact_binding",
        sa.Column("public_identity", sa.Text(), nullable=False),
        sa.Column("instance_or_contact", sa.Text(), nullable=False),
        sa.Column("key_reg_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("contact", sa.Text(), nullable=False),
        sa.Column("instance_id", sa.Text(), nullable=False),
        sa.Column("reg_id", sa.BigInteger(), nullable=False),
        sa.Column("call_id", sa.Text(), nullable=False),
        sa.Column("cseq", sa.BigInteger(), nullable=False),
        sa.Column("flow", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("registered_at", sa.Double(), nullable=False),
        sa.Column("expires_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint(
            "public_identity", "instance_or_contact", "key_reg_id", name=op.f("pk_contact_binding")
        ),
    )
    op.create_index(
        "ix_contact_binding_expires_at", "contact_binding", ["expires_at"], unique=False
    )
    op.create_index("ix_contact_binding_flow", "contact_binding", ["flow"], unique=False)
    op.create_table(
        "number_sequence",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("next_number", _NUMBER, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_number_sequence")),
    )
    op.create_table(
        "acm_offer",
        sa.Column("mc_service_id", sa.Text(), nullable=False),
        sa.Column("transaction_number", _NUMBER, nullable=False),
        sa.ForeignKeyConstraint(
            ["transaction_number"],
            ["acm_transaction.number"],
            name=op.f("fk_acm_offer_transaction_number"),
        ),
        sa.PrimaryKeyConstraint("mc_service_id", "transaction_number", name=op.f("pk_acm_offer")),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_acm_offer_transaction_number", "acm_offer", ["transaction_number"], unique=False
    )
    op.create_table(
        "outbox",
        sa.Column("number", _NUMBER, autoincrement=False, nullable=False),
        sa.Column("transaction_number", _NUMBER, nullable=False),
        sa.Column("destination_kind", sa.Text(), nullable=False),
        sa.Column("destination", sa.Text(), nullable=False),
        sa.Column("lane", sa.Text(), nullable=False),
        sa.Column("flow", sa.Text(), nullable=False),
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("deadline_at", sa.Double(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_attempt_at", sa.Double(), nullable=True),
        sa.Column("is_maybe_delivered", sa.SmallInteger(), nullable=False),
        sa.Column("is_head", sa.SmallInteger(), nullable=False),
        sa.Column("leased_until", sa.Double(), nullable=True),
        sa.Column("node", sa.Text(), nullable=True),
        sa.Column("octets", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["transaction_number"],
            ["acm_transaction.number"],
            name=op.f("fk_outbox_transaction_number"),
        ),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_outbox")),
    )
    op.create_index(
        "ix_outbox_deadline_at",
        "outbox",
        ["deadline_at"],
        unique=False,
        **_where("deadline_at IS NOT NULL"),
    )
    op.create_index(
        "ix_outbox_destination",
        "outbox",
        ["destination", "next_attempt_at", "number"],
        unique=False,
        **_where(_READY),
    )
    op.create_index("ix_outbox_lane", "outbox", ["lane", "number"], unique=False)
    op.create_index(
        "ix_outbox_leased_until",
        "outbox",
        ["leased_until"],
        unique=False,
        **_where("leased_until IS NOT NULL"),
    )
    op.create_index(
        "ix_outbox_parked",
        "outbox",
        ["destination"],
        unique=False,
        **_where("next_attempt_at IS NULL"),
    )
    op.create_index(
        "ix_outbox_ready",
        "outbox",
        ["next_attempt_at", "number", "destination"],
        unique=False,
        **_where(_READY),
    )
    op.create_index("ix_outbox_transaction_number", "outbox", ["transaction_number"], unique=False)
    op.create_table(
        "user_configuration",
        sa.Column("side", sa.Text(), nullable=False),
        sa.Column("system", sa.Text(), nullable=False),
        sa.Column("mc_service_id", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("transaction_number", _NUMBER, nullable=False),
        sa.Column("applied_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["digest"], ["configuration_document.digest"], name=op.f("fk_user_configuration_digest")
        ),
        sa.PrimaryKeyConstraint(
            "side", "system", "mc_service_id", name=op.f("pk_user_configuration")
        ),
    )
    op.create_index("ix_user_configuration_digest", "user_configuration", ["digest"], unique=False)
    sequence = sa.table("number_sequence", sa.column("name"), sa.column("next_number"))
    names = ("acm_transaction", "outbox")
    op.bulk_insert(sequence, [{"name": name, "next_number": 1} for name in names])
