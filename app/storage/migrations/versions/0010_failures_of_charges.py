"""What Saleor has not been shown of charges is found without reading them all; how often sending a charge failed."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_UNSHOWN = sa.text(
    "(saleor_order IS NOT NULL OR saleor_transaction IS NOT NULL) AND status <> 'NEW' AND (reported IS NULL OR "
    "reported <> status || '/' || CAST(captured AS VARCHAR) || '/' || CAST(refunded AS VARCHAR) || '/' || "
    "CAST(cancelled AS VARCHAR))"
)


def upgrade() -> None:
    with op.batch_alter_table("charge", schema=None) as batch_op:
        batch_op.add_column(sa.Column("failures", sa.Integer(), server_default="0", nullable=False))
    nulls = " NULLS FIRST" if op.get_bind().dialect.name == "postgresql" else ""  # SQLite's order by itself
    lease = sa.text(f"lease_until{nulls}")
    op.create_index("ix_charge_unshown", "charge", [lease], sqlite_where=_UNSHOWN, postgresql_where=_UNSHOWN)
