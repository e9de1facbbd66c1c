"""Durable work: drafts, batches, dead letters, webhooks, calls, findings, shared allowances, workers."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "allowance",
        sa.Column("bucket", sa.String(length=120), nullable=False),
        sa.Column("used", sa.JSON(), nullable=False),
        sa.Column("blocked_until", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("bucket"),
    )
    op.create_table(
        "call",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("shop", sa.String(length=255), nullable=False),
        sa.Column("account_id", sa.String(length=36), nullable=False),
        sa.Column("operation", sa.String(length=40), nullable=False),
        sa.Column("method", sa.String(length=10), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("milliseconds", sa.Integer(), nullable=False),
        sa.Column("agreement_id", sa.String(length=64), nullable=True),
        sa.Column("charge_id", sa.String(length=64), nullable=True),
        sa.Column("idempotency_key", sa.String(length=40), nullable=True),
        sa.Column("context_id", sa.String(length=120), nullable=True),
        sa.Column("request", sa.Text(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("call", schema=None) as batch_op:
        batch_op.create_index("ix_call_agreement", ["shop", "agreement_id", "at"], unique=False)
        batch_op.create_index("ix_call_at", ["at"], unique=False)

    op.create_table(
        "finding",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("shop", sa.String(length=255), nullable=False),
        sa.Column("account_id", sa.String(length=36), nullable=False),
        sa.Column("kind", sa.String(length=30), nullable=False),
        sa.Column("agreement_id", sa.String(length=64), nullable=False),
        sa.Column("charge_id", sa.String(length=64), nullable=True),
        sa.Column("ours", sa.Text(), nullable=False),
        sa.Column("theirs", sa.Text(), nullable=False),
        sa.Column("repaired", sa.Boolean(), nullable=False),
        sa.Column("found_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("finding", schema=None) as batch_op:
        batch_op.create_index("ix_finding_account", ["shop", "account_id"], unique=False)

    op.create_table(
        "webhook",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("shop", sa.String(length=255), nullable=False),
        sa.Column("account_id", sa.String(length=36), nullable=False),
        sa.Column("registration_id", sa.String(length=64), nullable=False),
        sa.Column("url", sa.String(length=1024), nullable=False),
        sa.Column("secret_sealed", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("retired_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("webhook", schema=None) as batch_op:
        batch_op.create_index("ix_webhook_account", ["account_id"], unique=False)

    op.create_table(
        "worker",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("agreement", schema=None) as batch_op:
        batch_op.add_column(sa.Column("slot", sa.String(length=160), nullable=True))
        batch_op.add_column(sa.Column("pricing", sa.String(length=8), server_default="LEGACY", nullable=False))
        batch_op.add_column(sa.Column("stopped_by", sa.String(length=20), nullable=True))
        batch_op.create_unique_constraint("uq_agreement_shop_slot", ["shop", "slot"])

    with op.batch_alter_table("charge", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("transaction_type", sa.String(length=20), server_default="DIRECT_CAPTURE", nullable=False)
        )
        batch_op.add_column(sa.Column("cancelled", sa.BigInteger(), server_default="0", nullable=False))
        batch_op.add_column(sa.Column("api_version", sa.String(length=4), nullable=True))
        batch_op.add_column(sa.Column("batch_id", sa.String(length=36), nullable=True))
        batch_op.add_column(sa.Column("accepted_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("withdrawn", sa.Text(), nullable=True))
        batch_op.add_column(sa.Column("dead", sa.Text(), nullable=True))
        batch_op.create_index(
            "ix_charge_batch",
            ["batch_id"],
            unique=False,
            sqlite_where=sa.text("batch_id IS NOT NULL"),
            postgresql_where=sa.text("batch_id IS NOT NULL"),
        )
        batch_op.create_index(
            "ix_charge_dead",
            ["shop", "created_at"],
            unique=False,
            sqlite_where=sa.text("dead IS NOT NULL"),
            postgresql_where=sa.text("dead IS NOT NULL"),
        )

    with op.batch_alter_table("inbox", schema=None) as batch_op:
        batch_op.create_index(
            "ix_inbox_dead",
            ["shop", "received_at"],
            unique=False,
            sqlite_where=sa.text("status = 'DEAD'"),
            postgresql_where=sa.text("status = 'DEAD'"),
        )

    with op.batch_alter_table("operation", schema=None) as batch_op:
        batch_op.add_column(sa.Column("api_version", sa.String(length=4), nullable=True))
        batch_op.add_column(sa.Column("dead", sa.Text(), nullable=True))
        batch_op.create_index(
            "ix_operation_dead",
            ["shop", "created_at"],
            unique=False,
            sqlite_where=sa.text("dead IS NOT NULL"),
            postgresql_where=sa.text("dead IS NOT NULL"),
        )
        batch_op.create_index("ix_operation_object", ["shop", "agreement_id", "charge_id"], unique=False)
