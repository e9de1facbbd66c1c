"""The migrations make exactly the tables that the code speaks of."""

import asyncio
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, date, datetime, time
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Column, Connection, MetaData, Table, inspect
from sqlmodel import SQLModel

from app.domain.agreement import AgreementStatus
from app.domain.charge import Charge, ChargeStatus
from app.domain.errors import Misconfigured
from app.domain.operation import OperationStatus
from app.domain.subscription import PriceChange
from app.storage import mapping
from app.storage.database import SqlStore, _config
from app.storage.subscriptions import subscription_row
from tests.builders import (
    NOW,
    SHOP,
    a_charge,
    a_subscription,
    an_account,
    an_agreement,
    an_api_client,
    an_audit_entry,
    an_inbox_entry,
    an_installation,
    an_operation,
    nok,
)
from tests.conftest import PROJECT, PostgresServer, a_secret_box


@pytest.fixture
async def blank(blank_database_url: str) -> AsyncIterator[SqlStore]:
    store = SqlStore(blank_database_url, a_secret_box())
    yield store
    await store.close()


# SQLite has no words for this order, which is its own.
_ORDERED = "ix_charge_unshown"


def _differences(connection: Connection) -> list[object]:
    def compared(_: object, name: str | None, *_more: object) -> bool:
        return name != _ORDERED or connection.dialect.name != "sqlite"

    options = {"compare_type": True, "compare_server_default": True, "include_object": compared}
    context = MigrationContext.configure(connection, opts=options)
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


FIRST_TABLES = ("account", "agreement", "api_client", "audit", "charge", "inbox", "installation", "operation")


def _to(revision: str) -> Callable[[Connection], None]:
    def upgrade(connection: Connection) -> None:
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, revision)

    return upgrade


def _noon(charge: Charge) -> datetime:
    """When money is taken to have come where nobody wrote it down."""
    return datetime.combine(charge.due, time(12), UTC)


def _put(rows: Mapping[str, Sequence[Mapping[str, Any]]]) -> Callable[[Connection], None]:
    """Insert rows as the code of that day did: without what it did not know."""

    def put(connection: Connection) -> None:
        for name, values in rows.items():
            table = Table(name, MetaData(), autoload_with=connection)
            typed = SQLModel.metadata.tables[name]
            known = [column.name for column in table.columns]
            columns = [Column(it, typed.c[it].type) for it in known]
            old = Table(name, MetaData(), *columns)
            connection.execute(old.insert(), [{it: row[it] for it in known if it in row} for row in values])

    return put


async def test_rows_of_the_first_version_are_kept_by_the_newest(blank: SqlStore) -> None:
    box = a_secret_box()
    installation, account, client = an_installation(), an_account(), an_api_client()
    agreements = [
        an_agreement(),
        an_agreement(status=AgreementStatus.NEW, agreement_id=None, confirmation_url="https://vipps.example/1"),
    ]
    charges = [
        a_charge(slot="order/T3JkZXI6MQ==", saleor_order="T3JkZXI6MQ==", attempts=3),
        a_charge(status=ChargeStatus.CHARGED, captured=25_000, charge_id="chr-1", reported="CHARGED"),
    ]
    operations = [an_operation(lock="REFUND/1/2", slot="key/1"), an_operation(status=OperationStatus.DONE)]
    entry, told = an_inbox_entry(), an_audit_entry()
    async with blank.engine.begin() as connection:
        await connection.run_sync(_to("0001"))
        assert set(FIRST_TABLES) == await connection.run_sync(_tables) - {"alembic_version"}
        await connection.run_sync(
            _put(
                {
                    "installation": [mapping.installation_row(installation, box)],
                    "account": [mapping.account_row(account, box)],
                    "api_client": [mapping.api_client_row(client)],
                    "agreement": [mapping.agreement_row(it) for it in agreements],
                    "charge": [mapping.charge_row(it) for it in charges],
                    "operation": [mapping.operation_row(it, box) for it in operations],
                    "inbox": [asdict(entry) | {"status": "WAITING", "next_attempt_at": NOW}],
                    "audit": [asdict(told)],
                }
            )
        )
    assert not await blank.migrated()

    await blank.migrate()

    assert await blank.migrated()
    async with blank.engine.connect() as connection:
        assert await connection.run_sync(_differences) == []
    async with blank.begin() as unit:
        assert await unit.installations.get(SHOP) == installation
        assert await unit.accounts.get(SHOP, account.id) == account
        assert await unit.clients.get(client.id) == client
        assert [await unit.agreements.by_row(SHOP, it.id) for it in agreements] == agreements
        # What was told of a charge is told from now on with its sums.
        told_anew = [charges[0], replace(charges[1], reported="CHARGED/25000/0/0", settled_at=_noon(charges[1]))]
        assert [await unit.charges.get(SHOP, it.id) for it in charges] == told_anew
        assert told_anew[1].reported == told_anew[1].shown
        assert [await unit.operations.get(SHOP, it.id) for it in operations] == operations
        assert await unit.inbox.waiting(NOW, 10) == [(SHOP, entry.id)]
        assert await unit.audit.of_object(SHOP, told.object_id) == [told]
        # What was open is taken up, and what was once is still once.
        assert [it.id for it in await unit.charges.unsent(NOW, 10)] == [charges[0].id]
        assert not await unit.charges.add_all([a_charge(slot=charges[0].slot)])
        assert not await unit.operations.add(an_operation(lock="REFUND/1/2"))
        assert await unit.failures.count() == 0


async def test_rows_of_the_second_version_are_kept_and_nothing_is_told_again(blank: SqlStore) -> None:
    box = a_secret_box()
    account = an_account()
    order = {"saleor_order": "T3JkZXI6MQ==", "charge_id": None}
    sums = {"captured": 25_000, "refunded": 5_000, "cancelled": 0}
    told = a_charge(status=ChargeStatus.PARTIALLY_REFUNDED, reported="PARTIALLY_REFUNDED", **order, **sums)
    stale = a_charge(status=ChargeStatus.CHARGED, reported="DUE", captured=25_000, **order)
    never = a_charge(status=ChargeStatus.DUE, **order)
    released = a_charge(status=ChargeStatus.CHARGED, reported="CHARGED", captured=20_000, cancelled=5_000, **order)
    charges = [told, stale, never, released]
    async with blank.engine.begin() as connection:
        await connection.run_sync(_to("0002"))
        assert "subscription" not in await connection.run_sync(_tables)
        rows = [mapping.charge_row(it) for it in charges]
        await connection.run_sync(_put({"account": [mapping.account_row(account, box)], "charge": rows}))

    await blank.migrate()

    async with blank.begin() as unit:
        # How an account renews begins with what the domain begins with.
        assert await unit.accounts.get(SHOP, account.id) == account
        assert {it.id for it in await unit.charges.unreported(NOW, 10)} == {stale.id, never.id}
        for it, shown in ((told, "PARTIALLY_REFUNDED/25000/5000/0"), (released, "CHARGED/20000/0/5000")):
            refunded_at = _noon(it) if it.refunded else None
            kept = replace(it, reported=shown, settled_at=_noon(it), refunded_at=refunded_at)
            assert await unit.charges.get(SHOP, it.id) == kept
            assert await unit.charges.claim_report(SHOP, it.id, NOW, NOW) is None
        assert await unit.charges.get(SHOP, stale.id) == replace(stale, settled_at=_noon(stale))


async def test_subscriptions_from_before_are_alike_as_new_ones_are(blank: SqlStore) -> None:
    """What the migration writes in SQL is what the code writes."""
    change = PriceChange(date(2026, 5, 1), nok(29_900), {}, NOW)
    agreements = [an_agreement(price=nok(price)) for price in (0, 500, 700)]
    names = [{"id": it.id, "agreement_id": it.agreement_id} for it in agreements]
    made = [
        a_subscription(**names[0]),
        a_subscription(**names[1], price_change=change, paused_until=date(2026, 4, 1)),
        a_subscription(**names[2], next_period=7, next_due=date(2026, 12, 31)),
    ]
    async with blank.engine.begin() as connection:
        await connection.run_sync(_to("0007"))
        rows = [subscription_row(it) for it in made]
        await connection.run_sync(
            _put({"agreement": [mapping.agreement_row(it) for it in agreements], "subscription": rows})
        )

    await blank.migrate()

    async with blank.engine.connect() as connection:
        kept = await connection.exec_driver_sql("SELECT id, alike, price FROM subscription ORDER BY price")
        wanted = [(row["id"], row["alike"], it.price.minor) for row, it in zip(rows, agreements, strict=True)]
        assert list(map(tuple, kept)) == wanted


async def test_partial_indexes_stay_partial_when_sqlite_makes_a_table_anew(blank: SqlStore) -> None:
    """Alembic does not compare what an index is limited to, and SQLite copies a table to change it."""
    await blank.migrate()
    key = "sqlite_where" if blank.sqlite else "postgresql_where"

    def partial(connection: Connection) -> set[str | None]:
        inspector = inspect(connection)
        indexes = [it for table in SQLModel.metadata.tables for it in inspector.get_indexes(table)]
        return {it["name"] for it in indexes if key in it.get("dialect_options", {})}

    tables = SQLModel.metadata.tables.values()
    wanted = {str(it.name) for table in tables for it in table.indexes if it.dialect_kwargs.get(key) is not None}
    async with blank.engine.connect() as connection:
        assert await connection.run_sync(partial) == wanted
    assert "ix_charge_transaction" in wanted


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


@pytest.mark.parametrize("name", ["ssl", "sslmode"])
async def test_the_database_may_be_asked_to_encrypt_the_connection(postgres: PostgresServer, name: str) -> None:
    url = postgres.create()
    for mode in ("disable", "require"):
        store = SqlStore(f"{url}?{name}={mode}", a_secret_box())
        if mode == "disable":
            await store.require_answer()
        else:
            with pytest.raises(Misconfigured, match="SSL"):
                await store.require_answer()
        await store.close()
