"""When money came and went back, for the overview; charges from before are given Vipps' time, or noon of their day."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_NOON = {"postgresql": "(due + TIME '12:00') AT TIME ZONE 'UTC'", "sqlite": "due || ' 12:00:00.000000'"}


def upgrade() -> None:
    with op.batch_alter_table("charge", schema=None) as batch_op:
        batch_op.add_column(sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("refunded_at", sa.DateTime(timezone=True), nullable=True))
    noon = _NOON[op.get_bind().dialect.name]
    # Vipps' time is that of the newest event: of a charge that was refunded it is the refund's.
    op.execute(
        f"UPDATE charge SET settled_at = CASE WHEN refunded = 0 THEN COALESCE(happened_at, {noon}) ELSE {noon} END "  # noqa: S608
        "WHERE captured > 0 OR status = 'FAILED'"
    )
    op.execute(f"UPDATE charge SET refunded_at = COALESCE(happened_at, {noon}) WHERE refunded > 0")  # noqa: S608
    _index("charge", "settled_at", "ix_charge_settled", ["currency", "status", "captured", "amount"])
    _index("charge", "refunded_at", "ix_charge_refunded", ["currency", "refunded"])
    _index("renewal", "failed_on", "ix_renewal_failed", [])
    op.create_index("ix_subscription_status", "subscription", ["shop", "status"])


def _index(table: str, column: str, name: str, include: list[str]) -> None:
    there = sa.text(f"{column} IS NOT NULL")
    more = {"postgresql_include": include} if include else {}
    op.create_index(name, table, ["shop", column], sqlite_where=there, postgresql_where=there, **more)
