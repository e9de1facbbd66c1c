"""The connection to SQLite or PostgreSQL, and the unit of work: the only place that commits."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncpg
from sqlalchemy import AdaptedConnection, Connection, event, inspect, make_url, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from app.domain.errors import Misconfigured
from app.storage.repositories import SqlUnit
from app.storage.secrets import SecretBox

if TYPE_CHECKING:
    from alembic.config import Config

_MIGRATIONS = Path(__file__).parent / "migrations"
_LOCK_TIMEOUT = "5s"
_LOOKED_AT = 1_000  # rows of each index
_MIGRATION_LOCK = 7_242_005  # any number, the same in all processes


class SqlStore:
    """One engine for one database. On SQLite one connection serves all: its writers would only wait for each other."""

    def __init__(self, url: str, secrets: SecretBox, *, pool_size: int = 10) -> None:
        self.sqlite = url.startswith("sqlite")
        self.engine = _sqlite_engine(url) if self.sqlite else _postgres_engine(url, pool_size)
        self._secrets = secrets

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[SqlUnit]:
        async with self.engine.begin() as connection:
            yield SqlUnit(connection, self._secrets)

    async def require_answer(self) -> None:
        """Raises Misconfigured where the database does not let us in."""
        try:
            async with self.engine.connect():
                pass
        except Exception as error:  # whatever a driver raises, the database cannot be used
            raise unusable(error) from error

    async def release_leases(self) -> None:
        async with self.begin() as unit:
            await unit.release_leases()

    async def reseal_secrets(self) -> int:
        """Write every secret anew with the newest key; the number of secrets."""
        async with self.begin() as unit:
            return await unit.reseal_secrets()

    async def migrate(self) -> None:
        if await self.migrated():
            return
        async with self.engine.begin() as connection:
            if not self.sqlite:
                # One at a time, and whoever waits finds the work done.
                await connection.execute(text(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})"))
                await connection.execute(text(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}'"))
            await connection.run_sync(_upgrade)

    async def analyze(self) -> None:
        """PostgreSQL does so by itself. SQLite, which has never looked, prefers to read all rows of a shop."""
        if self.sqlite:
            async with self.engine.begin() as connection:
                await connection.execute(text(f"PRAGMA analysis_limit = {_LOOKED_AT}"))
                await connection.execute(text("ANALYZE"))

    async def migrated(self) -> bool:
        """True where the database has every migration this code knows."""
        async with self.engine.connect() as connection:
            if not await connection.run_sync(lambda it: inspect(it).has_table("alembic_version")):
                return False
            return (await connection.execute(text("SELECT version_num FROM alembic_version"))).scalar() == head()

    async def close(self) -> None:
        await self.engine.dispose()


def unusable(error: BaseException) -> Misconfigured:
    """Why the database cannot be used, in a line for whoever starts us.

    Only the server and the system are quoted: any other text may show DATABASE_URL, and with it the password.
    """
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, asyncpg.PostgresError | OSError):
        cause = cause.__cause__
    said = (getattr(cause, "strerror", None) or str(cause or "")).partition("\n")[0]
    return Misconfigured(
        f"the database cannot be used: {said or type(error).__name__}; check DATABASE_URL and that the server runs"
    )


def head() -> str:
    """The newest migration: each one's revision is the number that its file name begins with."""
    return max(path.name.partition("_")[0] for path in (_MIGRATIONS / "versions").glob("[0-9]*.py"))


def _config() -> "Config":
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    return config


def _upgrade(connection: Connection) -> None:
    # Alembic is ten megabytes that a process with nothing to migrate does without.
    from alembic import command

    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _postgres_engine(url: str, pool_size: int) -> AsyncEngine:
    made = make_url(url)
    if mode := made.query.get("sslmode"):  # PostgreSQL's own word for what SQLAlchemy hands to asyncpg as `ssl`
        made = made.difference_update_query(["sslmode"]).update_query_dict({"ssl": mode})
    # A statement's parameters are people's data: they stay out of its errors.
    return create_async_engine(made, pool_size=pool_size, max_overflow=0, hide_parameters=True)


def _sqlite_engine(url: str) -> AsyncEngine:
    engine = create_async_engine(url, pool_size=1, max_overflow=0, pool_timeout=60, hide_parameters=True)

    @event.listens_for(engine.sync_engine, "connect")
    def configure(dbapi: Any, _record: object) -> None:
        # SQLAlchemy's recipe for SQLite: the driver must not open transactions of its own accord.
        dbapi.isolation_level = None
        cursor = dbapi.cursor()
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=30000", "foreign_keys=ON"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Connection) -> None:
        # Taking the write lock at once avoids the dead end of two readers that both want to write.
        # One trip to the driver's thread; a cursor of its own would take three.
        driver: AdaptedConnection = connection.connection.dbapi_connection  # type: ignore[assignment]
        driver.run_async(lambda sqlite: sqlite.execute("BEGIN IMMEDIATE"))

    return engine
