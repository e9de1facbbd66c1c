"""The migrations make exactly the tables that the code speaks of."""

import asyncio
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, inspect
from sqlmodel import SQLModel

from app.storage.database import SqlStore
from tests.builders import SHOP, an_installation
from tests.conftest import PROJECT, PostgresServer, a_secret_box


@pytest.fixture
async def blank(blank_database_url: str) -> AsyncIterator[SqlStore]:
    store = SqlStore(blank_database_url, a_secret_box())
    yield store
    await store.close()


def _differences(connection: Connection) -> list[object]:
    context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
    return list(compare_metadata(context, SQLModel.metadata))


def _tables(connection: Connection) -> set[str]:
    return set(inspect(connection).get_table_names())


async def test_the_migrated_schema_is_the_one_the_code_speaks_of(store: SqlStore) -> None:
    async with store.engine.connect() as connection:
        assert await connection.run_sync(_differences) == []


async def test_every_index_and_unique_constraint_is_there(store: SqlStore) -> None:
    """Alembic does not compare everything on every database; names are compared here."""

    def names(connection: Connection) -> set[str | None]:
        inspector = inspect(connection)
        found: set[str | None] = set()
        for table in SQLModel.metadata.tables:
            found |= {it["name"] for it in inspector.get_indexes(table)}
            found |= {it["name"] for it in inspector.get_unique_constraints(table)}
        return found

    wanted = {str(index.name) for table in SQLModel.metadata.tables.values() for index in table.indexes}
    wanted |= {
        str(constraint.name)
        for table in SQLModel.metadata.tables.values()
        for constraint in table.constraints
        if str(constraint.name).startswith("uq_")
    }
    async with store.engine.connect() as connection:
        assert wanted <= await connection.run_sync(names)


async def test_a_store_knows_whether_it_is_migrated(blank: SqlStore) -> None:
    assert not await blank.migrated()
    await blank.migrate()
    assert await blank.migrated()


async def test_migrating_again_changes_nothing(blank: SqlStore) -> None:
    await blank.migrate()
    async with blank.begin() as unit:
        await unit.installations.put(an_installation())
    await blank.migrate()
    assert await blank.migrated()
    async with blank.begin() as unit:
        assert await unit.installations.get(SHOP) == an_installation()


async def test_a_migration_that_breaks_leaves_nothing_half_done(blank: SqlStore) -> None:
    """A table of the last migration stands in the way; none of those before it may stay."""
    async with blank.engine.begin() as connection:
        await connection.exec_driver_sql("CREATE TABLE operation (id INTEGER)")
    with pytest.raises(Exception, match="operation"):
        await blank.migrate()
    async with blank.engine.connect() as connection:
        assert "agreement" not in await connection.run_sync(_tables)
    assert not await blank.migrated()


_MIGRATE = """
import asyncio, sys
from app.storage.database import SqlStore
from app.storage.secrets import SecretBox

async def main():
    store = SqlStore(sys.argv[1], SecretBox(["a key for tests, which is longer than thirty-two characters"]))
    print("ready", flush=True)
    sys.stdin.readline()
    await store.migrate()
    await store.close()

asyncio.run(main())
"""


async def test_two_processes_may_migrate_at_once(postgres: PostgresServer) -> None:
    """As when a deployment starts several; alembic keeps its state in module globals, so only processes show it."""
    url = postgres.create()
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", _MIGRATE, url, stdin=PIPE, stdout=PIPE, stderr=PIPE, cwd=PROJECT
        )
        for _ in range(2)
    ]
    for process in processes:
        assert process.stdout is not None
        assert await process.stdout.readline() == b"ready\n"
    endings = await asyncio.gather(*(process.communicate(b"go\n") for process in processes))
    errors = [stderr.decode()[-300:] for _, stderr in endings]
    assert ([process.returncode for process in processes], errors) == ([0, 0], ["", ""])
