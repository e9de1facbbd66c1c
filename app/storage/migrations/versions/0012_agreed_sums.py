"""What staff agreed to have charged for a failed period whose order costs more by now."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("renewal", sa.Column("agreed", sa.BigInteger(), nullable=True))
