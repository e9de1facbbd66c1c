"""Indexes by which staff look through charges and find one by any name that they have in hand."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_BEGUN = sa.text("initial_order IS NOT NULL")
_BY_PEOPLE = sa.text("actor NOT LIKE 'system%' AND actor NOT LIKE 'vipps%' AND actor NOT LIKE 'saleor%'")
_NUMBERED = sa.text("order_number IS NOT NULL")


def upgrade() -> None:
    op.create_index("ix_charge_shop_due", "charge", ["shop", "due", "id"])
    op.create_index("ix_charge_shop_status_due", "charge", ["shop", "status", "due", "id"])
    op.create_index("ix_charge_shop_name", "charge", ["shop", "order_id"])
    op.create_index(
        "ix_agreement_order", "agreement", ["shop", "initial_order"], sqlite_where=_BEGUN, postgresql_where=_BEGUN
    )
    op.create_index(
        "ix_renewal_number", "renewal", ["shop", "order_number"], sqlite_where=_NUMBERED, postgresql_where=_NUMBERED
    )
    op.create_index("ix_audit_shop", "audit", ["shop", "id"])
    op.create_index(
        "ix_audit_people", "audit", ["shop", "id"], sqlite_where=_BY_PEOPLE, postgresql_where=_BY_PEOPLE
    )
