"""Subscriptions in Saleor: payment sessions, reports, subscriptions, renewals, notices, and how accounts renew."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "notice",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("shop", sa.String(length=255), nullable=False),
        sa.Column("account_id", sa.String(length=36), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("subscription_id", sa.String(length=36), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("status", sa.String(length=10), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("dead", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("notice", schema=None) as batch_op:
        batch_op.create_index(
            "ix_notice_dead",
            ["shop", "created_at"],
            unique=False,
            sqlite_where=sa.text("dead IS NOT NULL"),
            postgresql_where=sa.text("dead IS NOT NULL"),
        )
        batch_op.create_index(
            "ix_notice_waiting",
            ["next_attempt_at"],
            unique=False,
            sqlite_where=sa.text("status = 'WAITING'"),
            postgresql_where=sa.text("status = 'WAITING'"),
        )

    op.create_table(
        "payment_session",
        sa.Column("shop", sa.String(length=255), nullable=False),
        sa.Column("id", sa.String(length=256), nullable=False),
        sa.Column("account_id", sa.String(length=36), nullable=False),
        sa.Column("agreement_row", sa.String(length=36), nullable=False),
        sa.Column("action", sa.String(length=20), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("source", sa.String(length=256), nullable=False),
        sa.Column("trial", sa.String(length=20), nullable=True),
        sa.Column("order", sa.String(length=256), nullable=True),
        sa.Column("started", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("shop", "id"),
    )
    with op.batch_alter_table("payment_session", schema=None) as batch_op:
        batch_op.create_index("ix_payment_session_agreement", ["shop", "agreement_row", "created_at"], unique=False)
        batch_op.create_index(
            "ix_payment_session_unstarted",
            ["created_at"],
            unique=False,
            sqlite_where=sa.text("NOT started"),
            postgresql_where=sa.text("NOT started"),
        )

    op.create_table(
        "renewal",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("shop", sa.String(length=255), nullable=False),
        sa.Column("account_id", sa.String(length=36), nullable=False),
        sa.Column("subscription_id", sa.String(length=36), nullable=False),
        sa.Column("agreement_id", sa.String(length=64), nullable=False),
        sa.Column("period", sa.Integer(), nullable=False),
        sa.Column("due", sa.Date(), nullable=False),
        sa.Column("status", sa.String(length=10), nullable=False),
        sa.Column("reason", sa.String(length=30), nullable=True),
        sa.Column("reason_text", sa.Text(), nullable=True),
        sa.Column("order", sa.String(length=256), nullable=True),
        sa.Column("order_number", sa.String(length=40), nullable=True),
        sa.Column("amount", sa.BigInteger(), nullable=True),
        sa.Column("currency", sa.String(length=3), nullable=True),
        sa.Column("charge_row", sa.String(length=36), nullable=True),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("failed_on", sa.Date(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("dead", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("shop", "subscription_id", "period", name="uq_renewal_period"),
    )
    with op.batch_alter_table("renewal", schema=None) as batch_op:
        batch_op.create_index("ix_renewal_charge", ["shop", "charge_row"], unique=False)
        batch_op.create_index(
            "ix_renewal_dead",
            ["shop", "created_at"],
            unique=False,
            sqlite_where=sa.text("dead IS NOT NULL"),
            postgresql_where=sa.text("dead IS NOT NULL"),
        )
        batch_op.create_index("ix_renewal_due", ["shop", "due"], unique=False)
        batch_op.create_index(
            "ix_renewal_open",
            ["next_attempt_at"],
            unique=False,
            sqlite_where=sa.text("status NOT IN ('PAID', 'SKIPPED', 'FAILED')"),
            postgresql_where=sa.text("status NOT IN ('PAID', 'SKIPPED', 'FAILED')"),
        )
        batch_op.create_index("ix_renewal_order", ["shop", "order"], unique=False)
        batch_op.create_index("ix_renewal_status", ["shop", "status", "due"], unique=False)

    op.create_table(
        "report",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("shop", sa.String(length=255), nullable=False),
        sa.Column("transaction", sa.String(length=256), nullable=False),
        sa.Column("psp_reference", sa.String(length=255), nullable=False),
        sa.Column("type", sa.String(length=40), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("actions", sa.String(length=60), nullable=False),
        sa.Column("status", sa.String(length=10), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failure", sa.Text(), nullable=True),
        sa.Column("dead", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("report", schema=None) as batch_op:
        batch_op.create_index(
            "ix_report_dead",
            ["shop", "created_at"],
            unique=False,
            sqlite_where=sa.text("dead IS NOT NULL"),
            postgresql_where=sa.text("dead IS NOT NULL"),
        )
        batch_op.create_index("ix_report_transaction", ["shop", "transaction", "created_at"], unique=False)
        batch_op.create_index(
            "ix_report_waiting",
            ["next_attempt_at"],
            unique=False,
            sqlite_where=sa.text("status = 'WAITING'"),
            postgresql_where=sa.text("status = 'WAITING'"),
        )

    op.create_table(
        "subscription",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("shop", sa.String(length=255), nullable=False),
        sa.Column("account_id", sa.String(length=36), nullable=False),
        sa.Column("agreement_id", sa.String(length=64), nullable=False),
        sa.Column("customer", sa.String(length=256), nullable=True),
        sa.Column("channel", sa.String(length=255), nullable=False),
        sa.Column("channel_id", sa.String(length=256), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("initial_order", sa.String(length=256), nullable=False),
        sa.Column("lines", sa.JSON(), nullable=False),
        sa.Column("interval_unit", sa.String(length=5), nullable=False),
        sa.Column("interval_count", sa.Integer(), nullable=False),
        sa.Column("anchor", sa.Date(), nullable=False),
        sa.Column("first_period", sa.Integer(), nullable=False),
        sa.Column("next_period", sa.Integer(), nullable=False),
        sa.Column("next_due", sa.Date(), nullable=False),
        sa.Column("status", sa.String(length=10), nullable=False),
        sa.Column("shipping_method", sa.String(length=256), nullable=True),
        sa.Column("voucher", sa.String(length=255), nullable=True),
        sa.Column("voucher_policy", sa.String(length=10), nullable=False),
        sa.Column("paused_until", sa.Date(), nullable=True),
        sa.Column("ends_on", sa.Date(), nullable=True),
        sa.Column("price_change", sa.JSON(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("subscriber_sealed", sa.Text(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("shop", "agreement_id", name="uq_subscription_shop_agreement"),
    )
    with op.batch_alter_table("subscription", schema=None) as batch_op:
        batch_op.create_index(
            "ix_subscription_due",
            ["account_id", "next_due", "id"],
            unique=False,
            sqlite_where=sa.text("status != 'ENDED'"),
            postgresql_where=sa.text("status != 'ENDED'"),
        )
        batch_op.create_index("ix_subscription_shop", ["shop", "id"], unique=False)

    with op.batch_alter_table("account", schema=None) as batch_op:
        batch_op.add_column(sa.Column("time_zone", sa.String(length=64), server_default="Europe/Oslo", nullable=False))
        batch_op.add_column(sa.Column("dunning", sa.JSON(), nullable=True))
        batch_op.add_column(
            sa.Column("complete_when_paid", sa.Boolean(), server_default=sa.text("true"), nullable=False)
        )
        batch_op.add_column(sa.Column("price_notice_days", sa.Integer(), server_default="14", nullable=False))
        batch_op.add_column(sa.Column("notify_url", sa.String(length=1024), nullable=True))
        batch_op.add_column(sa.Column("notify_secret_sealed", sa.Text(), nullable=True))

    with op.batch_alter_table("charge", schema=None) as batch_op:
        batch_op.add_column(sa.Column("saleor_transaction", sa.String(length=256), nullable=True))
        batch_op.add_column(sa.Column("happened_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.alter_column(
            "reported", existing_type=sa.VARCHAR(length=20), type_=sa.String(length=100), existing_nullable=True
        )
        batch_op.create_index(
            "ix_charge_transaction",
            ["shop", "saleor_transaction"],
            unique=False,
            sqlite_where=sa.text("saleor_transaction IS NOT NULL"),
            postgresql_where=sa.text("saleor_transaction IS NOT NULL"),
        )

    # What an order shows was its charge's status alone; what was told stays told.
    op.execute(
        "UPDATE charge SET reported = status || '/' || CAST(captured AS VARCHAR) || '/' || CAST(refunded AS VARCHAR) "
        "|| '/' || CAST(cancelled AS VARCHAR) WHERE reported = status"
    )
