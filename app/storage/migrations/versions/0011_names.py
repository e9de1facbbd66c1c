"""What a shop's customers know it by; when an API client was used; names by which agreements and charges are found;
since when a period is hindered; whether first payments are reserved.
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_RENAMED = sa.text("charge_id <> order_id")


def upgrade() -> None:
    op.add_column("installation", sa.Column("shop_name", sa.String(100), nullable=True))
    op.add_column("api_client", sa.Column("used_at", sa.DateTime(timezone=True), nullable=True))
    reserve = sa.Column("reserve_initial", sa.Boolean(), server_default=sa.text("false"), nullable=False)
    op.add_column("account", reserve)
    op.add_column("renewal", sa.Column("hindered_on", sa.Date(), nullable=True))
    op.create_index("ix_agreement_name", "agreement", ["shop", "agreement_id"])
    op.create_index(
        "ix_charge_renamed", "charge", ["shop", "charge_id"], sqlite_where=_RENAMED, postgresql_where=_RENAMED
    )
    op.drop_index("ix_renewal_status", "renewal")
    op.create_index("ix_renewal_status", "renewal", ["shop", "status", "due", "id"], postgresql_include=["reason"])
