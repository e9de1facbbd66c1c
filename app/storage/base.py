"""What all repositories share: conditional inserts, updates and claims in one set of statements for both databases."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Table, bindparam, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import SQLModel

from app.domain.errors import NotFound
from app.storage import mapping
from app.storage.secrets import SecretBox


def insert(connection: AsyncConnection, table: Table) -> Any:
    """Both dialects know ON CONFLICT and RETURNING; SQLAlchemy keeps them in two modules."""
    return postgresql.insert(table) if connection.dialect.name == "postgresql" else sqlite.insert(table)


def table(row: type[SQLModel]) -> Table:
    return row.__table__  # type: ignore[attr-defined, no-any-return]


_CHUNK = 1000  # ids a statement: far below SQLite's and PostgreSQL's 32,766 parameters


def chunks(items: Sequence[Any]) -> Iterable[Sequence[Any]]:
    return (items[start : start + _CHUNK] for start in range(0, len(items), _CHUNK))


class Repository:
    row: type[SQLModel]

    def __init__(self, connection: AsyncConnection, secrets: SecretBox) -> None:
        self._db = connection
        self._secrets = secrets
        self._t = table(self.row)
        self._c = self._t.c

    async def _one(self, *where: Any, lock: bool = False) -> mapping.Row | None:
        """`lock` holds the row on PostgreSQL until the transaction ends; on SQLite there is one writer anyway."""
        query = select(self._t).where(*where)
        return (await self._db.execute(query.with_for_update() if lock else query)).mappings().first()

    async def _all(
        self, *where: Any, order: Any = None, limit: int | None = None, lock: bool = False
    ) -> Sequence[mapping.Row]:
        query = select(self._t).where(*where)
        if lock:
            query = query.order_by(self._c.id).with_for_update()
        if order is not None:
            query = query.order_by(order)
        return (await self._db.execute(query.limit(limit))).mappings().all()

    async def _add(self, values: dict[str, Any]) -> bool:
        """Insert unless a unique constraint is in the way."""
        statement = insert(self._db, self._t).values(values).on_conflict_do_nothing().returning(*self._t.primary_key)
        return (await self._db.execute(statement)).first() is not None

    async def _put(self, values: dict[str, Any], key: Sequence[str]) -> None:
        statement = insert(self._db, self._t).values(values)
        new = {name: statement.excluded[name] for name in values if name not in key}
        # A row of another shop is never taken over, whoever knows its id.
        mine = self._c.shop == statement.excluded.shop
        put = statement.on_conflict_do_update(index_elements=list(key), set_=new, where=mine)
        if (await self._db.execute(put.returning(self._c.shop))).first() is None:
            raise NotFound("this id belongs to another shop")

    async def _save(self, rows: Sequence[dict[str, Any]], *where: Any) -> None:
        """Update rows by shop and id, and where they are still as they must be; every column but those two."""
        if not rows:
            return
        # Everybody locks rows in the same order, so that no two wait for each other.
        rows = sorted(rows, key=lambda row: str(row["id"]))
        columns: dict[str, Any] = {name: bindparam(f"v_{name}") for name in rows[0] if name not in {"id", "shop"}}
        statement = update(self._t).where(self._c.id == bindparam("v_id"), self._c.shop == bindparam("v_shop"), *where)
        await self._db.execute(statement.values(columns), [{f"v_{k}": v for k, v in row.items()} for row in rows])

    async def _lease(
        self, shop: str, row_id: str, now: datetime, until: datetime, state: str, *more: Any
    ) -> mapping.Row | None:
        """Take a row in one conditional statement, which is a claim on SQLite and PostgreSQL alike."""
        statement = (
            update(self._t)
            .where(self._c.shop == shop, self._c.id == row_id, self._c.status == state)
            .where(self._free(now), self._due(now), *self._alive(), *more)
            .values(self._lease_values(until))
            .returning(self._t)
        )
        taken: mapping.Row | None = (await self._db.execute(statement)).mappings().first()
        return taken

    def _lease_values(self, until: datetime) -> dict[str, Any]:
        return {"lease_until": until, "attempts": self._c.attempts + 1}

    def _free(self, now: datetime) -> Any:
        return or_(self._c.lease_until.is_(None), self._c.lease_until <= now)

    def _alive(self) -> Sequence[Any]:
        """A dead letter is not taken up again; the inbox tells by its status."""
        return (self._c.dead.is_(None),) if "dead" in self._c else ()

    def _due(self, now: datetime) -> Any:
        return or_(self._c.next_attempt_at.is_(None), self._c.next_attempt_at <= now)
