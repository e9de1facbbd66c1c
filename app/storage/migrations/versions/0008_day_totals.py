"""What makes the overview quick: totals of days that are over, and one index that says what all subscriptions come to."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_BYTEWISE = sa.String(160).with_variant(sa.String(160, collation="C"), "postgresql")
_STOPPED = sa.text("stop IS NOT NULL")
_CHANGE = {
    "postgresql": "COALESCE(price_change->>'on', '') || '|' || COALESCE(price_change->>'price', '')",
    "sqlite": "COALESCE(price_change->>'$.on', '') || '|' || COALESCE(price_change->>'$.price', '')",
}
_DAY = {"postgresql": "TO_CHAR({}, 'YYYY-MM-DD')", "sqlite": "DATE({})"}
_SAME = "agreement.shop = subscription.shop AND agreement.id = subscription.id"


def upgrade() -> None:
    dialect = op.get_bind().dialect.name
    op.create_table(
        "day_total",
        sa.Column("shop", sa.String(255), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("zone", sa.String(64), nullable=False),
        sa.Column("sums", sa.JSON(), nullable=False),
        sa.Column("alive", sa.JSON(), nullable=True),
        sa.PrimaryKeyConstraint("shop", "day"),
    )
    op.create_index("ix_agreement_status", "agreement", ["shop", "status", "currency"])
    op.create_index("ix_agreement_stopped", "agreement", ["shop", "stop"], sqlite_where=_STOPPED, postgresql_where=_STOPPED)

    with op.batch_alter_table("subscription", schema=None) as batch_op:
        batch_op.add_column(sa.Column("alike", _BYTEWISE, nullable=True))
        batch_op.add_column(sa.Column("price", sa.BigInteger(), nullable=True))
        batch_op.drop_index("ix_subscription_status")
    day = {name: _DAY[dialect].format(name) for name in ("anchor", "next_due", "paused_until")}
    alike = " || '|' || ".join(
        [
            "currency",
            "interval_unit",
            "interval_count",
            day["anchor"],
            "(first_period - next_period)",
            day["next_due"],
            f"COALESCE({day['paused_until']}, '')",
            _CHANGE[dialect],
        ]
    )
    price = f"(SELECT price FROM agreement WHERE {_SAME})"  # noqa: S608
    op.execute(f"UPDATE subscription SET alike = {alike}, price = {price}")  # noqa: S608
    with op.batch_alter_table("subscription", schema=None) as batch_op:
        batch_op.alter_column("alike", existing_type=_BYTEWISE, nullable=False)
    op.create_index("ix_subscription_alike", "subscription", ["shop", "status", "price", "alike"])
