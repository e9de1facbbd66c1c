"""Links by which customers manage their agreements, where they are sent back to, and the first order's number."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("agreement", schema=None) as batch_op:
        batch_op.add_column(sa.Column("link_number", sa.Integer(), server_default="0", nullable=False))
        batch_op.add_column(sa.Column("return_url", sa.String(length=1024), nullable=True))

    with op.batch_alter_table("subscription", schema=None) as batch_op:
        batch_op.add_column(sa.Column("initial_number", sa.String(length=40), nullable=True))
