"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "account",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("shop", sa.String(length=255), nullable=False),
        sa.Column("channel", sa.String(length=255), nullable=False),
        sa.Column("environment", sa.String(length=4), nullable=False),
        sa.Column("msn", sa.String(length=20), nullable=False),
        sa.Column("client_id", sa.String(length=128), nullable=False),
        sa.Column("client_secret_sealed", sa.Text(), nullable=True),
        sa.Column("subscription_key_sealed", sa.Text(), nullable=True),
        sa.Column("api_version", sa.String(length=4), nullable=False),
        sa.Column("retry_days", sa.Integer(), nullable=False),
        sa.Column("lead_days", sa.Integer(), nullable=False),
        sa.Column("agreement_url", sa.String(length=1024), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("shop", "channel", name="uq_account_shop_channel"),
    )
    op.create_table(
        "agreement",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("shop", sa.String(length=255), nullable=False),
        sa.Column("account_id", sa.String(length=36), nullable=False),
        sa.Column("environment", sa.String(length=4), nullable=False),
        sa.Column("agreement_id", sa.String(length=64), nullable=True),
        sa.Column("customer", sa.String(length=256), nullable=True),
        sa.Column("initial_order", sa.String(length=256), nullable=True),
        sa.Column("idempotency_key", sa.String(length=40), nullable=False),
        sa.Column("interval_unit", sa.String(length=5), nullable=False),
        sa.Column("interval_count", sa.Integer(), nullable=False),
        sa.Column("price", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("campaign_price", sa.BigInteger(), nullable=True),
        sa.Column("campaign_start", sa.DateTime(timezone=True), nullable=True),
        sa.Column("campaign_end", sa.DateTime(timezone=True), nullable=True),
        sa.Column("max_amount", sa.BigInteger(), nullable=True),
        sa.Column("product_name", sa.String(length=100), nullable=False),
        sa.Column("product_description", sa.String(length=255), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("confirmation_url", sa.Text(), nullable=True),
        sa.Column("start", sa.DateTime(timezone=True), nullable=True),
        sa.Column("stop", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failure", sa.Text(), nullable=True),
        sa.Column("checked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("environment", "agreement_id", name="uq_agreement_environment_id"),
    )
    with op.batch_alter_table("agreement", schema=None) as batch_op:
        batch_op.create_index("ix_agreement_shop_created", ["shop", "created_at", "id"], unique=False)
        batch_op.create_index("ix_agreement_shop_customer", ["shop", "customer", "created_at"], unique=False)
        batch_op.create_index(
            "ix_agreement_unsettled",
            ["checked_at"],
            unique=False,
            sqlite_where=sa.text("status IN ('NEW', 'PENDING')"),
            postgresql_where=sa.text("status IN ('NEW', 'PENDING')"),
        )

    op.create_table(
        "api_client",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("shop", sa.String(length=255), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("secret_hash", sa.String(length=64), nullable=False),
        sa.Column("scopes", sa.String(length=255), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("api_client", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_api_client_shop"), ["shop"], unique=False)

    op.create_table(
        "audit",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("shop", sa.String(length=255), nullable=False),
        sa.Column("actor", sa.String(length=320), nullable=False),
        sa.Column("action", sa.String(length=60), nullable=False),
        sa.Column("object_id", sa.String(length=256), nullable=False),
        sa.Column("before", sa.Text(), nullable=False),
        sa.Column("after", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("audit", schema=None) as batch_op:
        batch_op.create_index("ix_audit_object", ["shop", "object_id", "id"], unique=False)

    op.create_table(
        "charge",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("shop", sa.String(length=255), nullable=False),
        sa.Column("account_id", sa.String(length=36), nullable=False),
        sa.Column("agreement_id", sa.String(length=64), nullable=False),
        sa.Column("order_id", sa.String(length=64), nullable=False),
        sa.Column("charge_id", sa.String(length=64), nullable=True),
        sa.Column("idempotency_key", sa.String(length=40), nullable=False),
        sa.Column("slot", sa.String(length=160), nullable=True),
        sa.Column("origin", sa.String(length=10), nullable=False),
        sa.Column("actor", sa.String(length=320), nullable=False),
        sa.Column("saleor_order", sa.String(length=256), nullable=True),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("captured", sa.BigInteger(), nullable=False),
        sa.Column("refunded", sa.BigInteger(), nullable=False),
        sa.Column("description", sa.String(length=255), nullable=False),
        sa.Column("due", sa.Date(), nullable=False),
        sa.Column("retry_days", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("failure_code", sa.String(length=120), nullable=True),
        sa.Column("failure", sa.Text(), nullable=True),
        sa.Column("transaction_id", sa.String(length=64), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reported", sa.String(length=20), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("shop", "agreement_id", "charge_id", name="uq_charge_shop_agreement_id"),
        sa.UniqueConstraint("shop", "slot", name="uq_charge_shop_slot"),
    )
    with op.batch_alter_table("charge", schema=None) as batch_op:
        batch_op.create_index(
            "ix_charge_open",
            ["next_attempt_at"],
            unique=False,
            sqlite_where=sa.text(
                "status IN ('NEW', 'PENDING', 'DUE', 'PROCESSING', 'RESERVED', 'PARTIALLY_CAPTURED', 'UNKNOWN')"
            ),
            postgresql_where=sa.text(
                "status IN ('NEW', 'PENDING', 'DUE', 'PROCESSING', 'RESERVED', 'PARTIALLY_CAPTURED', 'UNKNOWN')"
            ),
        )
        batch_op.create_index(
            "ix_charge_order",
            ["shop", "saleor_order"],
            unique=False,
            sqlite_where=sa.text("saleor_order IS NOT NULL"),
            postgresql_where=sa.text("saleor_order IS NOT NULL"),
        )
        batch_op.create_index("ix_charge_shop_agreement_due", ["shop", "agreement_id", "due"], unique=False)

    op.create_table(
        "inbox",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("shop", sa.String(length=255), nullable=False),
        sa.Column("source", sa.String(length=10), nullable=False),
        sa.Column("event", sa.String(length=60), nullable=False),
        sa.Column("event_key", sa.String(length=160), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("status", sa.String(length=10), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("result", sa.Text(), nullable=True),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("handled_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("shop", "source", "event_key", name="uq_inbox_event"),
    )
    with op.batch_alter_table("inbox", schema=None) as batch_op:
        batch_op.create_index(
            "ix_inbox_waiting",
            ["next_attempt_at"],
            unique=False,
            sqlite_where=sa.text("status = 'WAITING'"),
            postgresql_where=sa.text("status = 'WAITING'"),
        )

    op.create_table(
        "installation",
        sa.Column("shop", sa.String(length=255), nullable=False),
        sa.Column("app_id", sa.String(length=256), nullable=False),
        sa.Column("token_sealed", sa.Text(), nullable=True),
        sa.Column("jwks", sa.Text(), nullable=True),
        sa.Column("saleor_version", sa.String(length=60), nullable=True),
        sa.Column("installed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("shop"),
    )
    op.create_table(
        "operation",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("shop", sa.String(length=255), nullable=False),
        sa.Column("account_id", sa.String(length=36), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("agreement_id", sa.String(length=64), nullable=False),
        sa.Column("charge_id", sa.String(length=64), nullable=True),
        sa.Column("idempotency_key", sa.String(length=40), nullable=False),
        sa.Column("slot", sa.String(length=160), nullable=True),
        sa.Column("lock", sa.String(length=160), nullable=True),
        sa.Column("request", sa.JSON(), nullable=False),
        sa.Column("status", sa.String(length=10), nullable=False),
        sa.Column("actor", sa.String(length=320), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failure_code", sa.String(length=120), nullable=True),
        sa.Column("failure", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("shop", "lock", name="uq_operation_shop_lock"),
        sa.UniqueConstraint("shop", "slot", name="uq_operation_shop_slot"),
    )
    with op.batch_alter_table("operation", schema=None) as batch_op:
        batch_op.create_index(
            "ix_operation_open",
            ["next_attempt_at"],
            unique=False,
            sqlite_where=sa.text("status = 'OPEN'"),
            postgresql_where=sa.text("status = 'OPEN'"),
        )


def downgrade() -> None:
    with op.batch_alter_table("operation", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_operation_open", sqlite_where=sa.text("status = 'OPEN'"), postgresql_where=sa.text("status = 'OPEN'")
        )

    op.drop_table("operation")
    op.drop_table("installation")
    with op.batch_alter_table("inbox", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_inbox_waiting",
            sqlite_where=sa.text("status = 'WAITING'"),
            postgresql_where=sa.text("status = 'WAITING'"),
        )

    op.drop_table("inbox")
    with op.batch_alter_table("charge", schema=None) as batch_op:
        batch_op.drop_index("ix_charge_shop_agreement_due")
        batch_op.drop_index(
            "ix_charge_order",
            sqlite_where=sa.text("saleor_order IS NOT NULL"),
            postgresql_where=sa.text("saleor_order IS NOT NULL"),
        )
        batch_op.drop_index(
            "ix_charge_open",
            sqlite_where=sa.text(
                "status IN ('NEW', 'PENDING', 'DUE', 'PROCESSING', 'RESERVED', 'PARTIALLY_CAPTURED', 'UNKNOWN')"
            ),
            postgresql_where=sa.text(
                "status IN ('NEW', 'PENDING', 'DUE', 'PROCESSING', 'RESERVED', 'PARTIALLY_CAPTURED', 'UNKNOWN')"
            ),
        )

    op.drop_table("charge")
    with op.batch_alter_table("audit", schema=None) as batch_op:
        batch_op.drop_index("ix_audit_object")

    op.drop_table("audit")
    with op.batch_alter_table("api_client", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_api_client_shop"))

    op.drop_table("api_client")
    with op.batch_alter_table("agreement", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_agreement_unsettled",
            sqlite_where=sa.text("status IN ('NEW', 'PENDING')"),
            postgresql_where=sa.text("status IN ('NEW', 'PENDING')"),
        )
        batch_op.drop_index("ix_agreement_shop_customer")
        batch_op.drop_index("ix_agreement_shop_created")

    op.drop_table("agreement")
    op.drop_table("account")
