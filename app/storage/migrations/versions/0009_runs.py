"""Indexes by which staff look through renewals, and by which a day's are added up without reading their rows."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_WITH_REASON = sa.text("reason IS NOT NULL")


def upgrade() -> None:
    op.drop_index("ix_renewal_due", "renewal")
    op.drop_index("ix_renewal_status", "renewal")
    summed = ["status", "reason", "currency", "amount"]
    op.create_index("ix_renewal_due", "renewal", ["shop", "due", "id"], postgresql_include=summed)
    op.create_index("ix_renewal_status", "renewal", ["shop", "status", "due", "id"])
    op.create_index(
        "ix_renewal_reason",
        "renewal",
        ["shop", "reason", "due", "id"],
        sqlite_where=_WITH_REASON,
        postgresql_where=_WITH_REASON,
    )
