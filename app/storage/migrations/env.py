"""Runs migrations on the connection that the store hands over; there is no other way to run them."""

from alembic import context
from sqlmodel import SQLModel

from app.storage import tables

connection = context.config.attributes.get("connection")
if connection is None:
    raise SystemExit("run migrations with: vipps-recurring migrate")
assert tables  # noqa: S101  # imported for the tables it declares
context.configure(
    connection=connection,
    target_metadata=SQLModel.metadata,
    render_as_batch=connection.dialect.name == "sqlite",
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
