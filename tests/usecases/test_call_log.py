"""The log of calls: written in groups, in order, without a secret, and never in the way of a call."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import pytest

from app.domain.agreement import TransactionType
from app.domain.operation import OperationKind
from app.domain.plan import IntervalUnit
from app.storage.database import SqlStore
from app.usecases.agreements import (
    AgreementChange,
    AgreementWish,
    InitialChargeWish,
    cancel_agreements,
    create_agreement,
    update_agreement,
)
from app.usecases.charges import get_charges
from app.usecases.journal import CallJournal
from app.usecases.money_moves import ChargeMove
from app.usecases.ports import Store, Unit
from app.vipps.simulator import DEFAULT_MERCHANT
from tests.builders import a_call
from tests.usecases.steps import (
    MACHINE,
    a_made_charge,
    a_subscriber,
    hears_vipps,
    moved,
    on_v3,
    raw,
    until_called,
)
from tests.world import World

PHONE = "4791234567"
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


class Moody:
    """A store that is away for some transactions."""

    def __init__(self, store: SqlStore, away: int = 0) -> None:
        self._store = store
        self.away = away
        self.begun = 0

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Unit]:
        self.begun += 1
        if self.away:
            self.away -= 1
            raise ConnectionError("the database is away")
        async with self._store.begin() as unit:
            yield unit

    async def release_leases(self) -> None:
        await self._store.release_leases()


def a_journal(store: Moody) -> CallJournal:
    return CallJournal(cast(Store, store))


async def written(store: SqlStore) -> list[int]:
    """The numbers that the calls carry as their duration, in the order in which they came in."""
    async with store.begin() as unit:
        return [
            it.milliseconds for it in await unit.calls.of_agreement(a_call().shop, a_call().agreement_id or "", 9_999)
        ]


async def test_calls_are_written_in_groups_and_in_order(store: SqlStore) -> None:
    moody = Moody(store)
    journal = a_journal(moody)
    for number in range(2_500):
        journal.add(a_call(milliseconds=number))
    assert await written(store) == []
    assert await journal.flush() == 2_500
    assert moody.begun == 3
    assert await written(store) == list(range(2_500))
    assert await journal.flush() == 0
    assert moody.begun == 3


async def test_what_cannot_be_written_now_waits(store: SqlStore) -> None:
    journal = a_journal(Moody(store, away=2))
    for number in range(10):
        journal.add(a_call(milliseconds=number))
    for _ in range(2):
        with pytest.raises(ConnectionError):
            await journal.flush()
        journal.add(a_call(milliseconds=10))
    assert await journal.flush() == 12
    assert (await written(store))[:10] == list(range(10))


@on_sqlite
async def test_a_database_that_is_away_for_long_costs_the_oldest_lines_and_no_memory(store: SqlStore) -> None:
    journal = a_journal(Moody(store, away=1))
    call = a_call()
    for _ in range(20_001):
        journal.add(call)
    with pytest.raises(ConnectionError):
        await journal.flush()
    for _ in range(5):
        journal.add(a_call(agreement_id="agr_new"))
    assert await journal.flush() == 20_000
    async with store.begin() as unit:
        assert len(await unit.calls.of_agreement(call.shop, "agr_new")) == 5


async def test_two_who_write_at_the_same_time_write_each_line_once(store: SqlStore) -> None:
    journal = a_journal(Moody(store))
    for number in range(1_500):
        journal.add(a_call(milliseconds=number))
    counts = await asyncio.gather(*(journal.flush() for _ in range(3)))

    assert sum(counts) == 1_500
    assert sorted(await written(store)) == list(range(1_500))


async def test_a_process_that_is_told_to_end_loses_nothing_that_it_was_writing(store: SqlStore) -> None:
    journal = a_journal(Moody(store))
    for number in range(3):
        journal.add(a_call(milliseconds=number))
    task = asyncio.create_task(journal.flush())
    await asyncio.sleep(0)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    await journal.flush()

    assert sorted(set(await written(store))) == [0, 1, 2]


async def test_every_change_and_every_failed_look_is_logged_and_nothing_else(one_world: World) -> None:
    world = one_world
    await hears_vipps(world)
    who = await a_subscriber(world)
    charge = await a_made_charge(world, who.agreement)
    await update_agreement(world.context.deps, MACHINE, who.agreement, AgreementChange(price=30_000))
    await moved(world, ChargeMove(OperationKind.CANCEL, who.agreement, charge.charge_id or ""))
    await get_charges(world.context.deps, MACHINE, [who.agreement])
    world.vipps.faults.add("status", status=503, operation="listCharges")
    await get_charges(world.context.deps, MACHINE, [who.agreement])
    await cancel_agreements(world.context.deps, MACHINE, [who.agreement])
    await world.context.journal.flush()

    rows = await raw(world, "call")
    assert [(row["operation"], row["method"], row["status"]) for row in rows] == [
        ("registerWebhook", "POST", 201),
        ("draftAgreement", "POST", 201),
        ("createCharge", "POST", 201),
        ("updateAgreement", "PATCH", 200),
        ("cancelCharge", "DELETE", 200),
        ("listCharges", "GET", 503),
        ("stopAgreement", "PATCH", 200),
    ]
    assert {row["agreement_id"] for row in rows[1:]} == {who.agreement}
    keys = {row["idempotency_key"] for row in rows if row["method"] != "GET" and row["operation"] != "registerWebhook"}
    assert keys == {row["idempotency_key"] for table in ("charge", "operation") for row in await raw(world, table)}
    assert all(row["shop"] and row["account_id"] for row in rows)


async def test_a_call_that_was_called_off_is_logged_all_the_same(one_world: World) -> None:
    """What was sent may have been heard."""
    world = one_world
    who = await a_subscriber(world)
    world.vipps.faults.add("slow", seconds=5, operation="createCharge")
    task = asyncio.create_task(a_made_charge(world, who.agreement))
    await until_called(world, "createCharge")
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    await world.context.journal.flush()

    [row] = [row for row in await raw(world, "call") if row["operation"] == "createCharge"]
    assert row["status"] is None


async def test_the_log_holds_no_secret_and_nothing_of_a_person(world: World) -> None:
    await on_v3(world)
    await hears_vipps(world)
    wish = AgreementWish(
        price=25_000,
        product_name="Coffee",
        redirect_url="https://shop.example/thanks?session=s3cr3t-session",
        unit=IntervalUnit.MONTH,
        phone=PHONE,
        agreement_url="https://shop.example/my/s3cr3t-page",
        initial_charge=InitialChargeWish(1_000, f"Ring +{PHONE}", TransactionType.DIRECT_CAPTURE),
    )
    await create_agreement(world.context.deps, MACHINE, wish)
    for style in ("documented", "array", "azure", "problem", "text", "empty"):
        world.vipps.faults.add("status", status=400, style=style, operation="draftAgreement")
        with contextlib.suppress(Exception):
            await create_agreement(world.context.deps, MACHINE, wish)
    world.vipps.revoke_tokens()
    await world.set_account(client_secret="a-mistyped-client-secret")
    with contextlib.suppress(Exception):
        await create_agreement(world.context.deps, MACHINE, wish)
    await world.context.journal.flush()

    rows = await raw(world, "call")
    assert len(rows) > 8
    assert {row["operation"] for row in rows} >= {"draftAgreement", "registerWebhook", "getAccessToken"}
    text = json.dumps(rows, default=str, ensure_ascii=False)
    [registration] = world.vipps.registrations
    secrets = {
        PHONE,
        PHONE[2:],
        "s3cr3t-session",
        "s3cr3t-page",
        "a-mistyped-client-secret",
        DEFAULT_MERCHANT.client_secret,
        DEFAULT_MERCHANT.subscription_key,
        registration.secret,
        *world.vipps.tokens._valid,
    }
    secrets |= {str(it.approval_token) for it in world.vipps.agreements}
    assert [it for it in secrets if it in text] == []


async def test_nobody_waits_for_the_log(one_world: World) -> None:
    """Neither a database that is away nor anything else in the journal may reach whoever makes a call."""
    world = one_world
    who = await a_subscriber(world)
    await a_made_charge(world, who.agreement)
    assert await raw(world, "call") == []
    await world.context.journal.flush()
    assert len(await raw(world, "call")) == 2


@on_sqlite
async def test_the_journal_writes_every_second_until_it_is_ended(store: SqlStore) -> None:
    journal = a_journal(Moody(store))
    running = asyncio.create_task(journal.run())
    journal.add(a_call(milliseconds=7))
    await asyncio.sleep(1.2)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)

    assert await written(store) == [7]
