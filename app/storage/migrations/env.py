"""Runs migrations on the connection that the store hands over; there is no other way to run them."""

from typing import Literal

from alembic import context
from sqlmodel import SQLModel

from app.storage import tables

connection = context.config.attributes.get("connection")
if connection is None:
    raise SystemExit("run migrations with: vipps-recurring migrate")


def render(kind: str, item: object, _context: object) -> str | Literal[False]:
    """Migrations name plain column types, so that an old one never depends on today's code."""
    return "sa.DateTime(timezone=True)" if kind == "type" and isinstance(item, tables.UtcDateTime) else False


context.configure(
    connection=connection,
    target_metadata=SQLModel.metadata,
    render_as_batch=connection.dialect.name == "sqlite",
    compare_type=True,
    render_item=render,
)
with context.begin_transaction():
    context.run_migrations()
