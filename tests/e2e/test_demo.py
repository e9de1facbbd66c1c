"""The demo's shops as a merchant finds them: one with last month's failed charges, and one that is empty."""

import asyncio
import sqlite3
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from app.demo import storefront
from app.demo.months import Months
from app.demo.office import account_of
from app.demo.run import make_world, tell
from app.demo.serving import opened
from app.demo.world import SECOND_MERCHANT, World
from app.domain.account import Caller, CallerKind, Scope
from app.domain.charge import Charge, ChargeStatus
from app.domain.records import ChargeFilter, Page
from app.domain.renewal import Renewal, RenewalStatus, attempt_of, renewal_of
from app.jobs.inline import InlineJobs
from app.jobs.workflows import handlers
from app.main import Context, build
from app.observability import configure_logging
from app.saleor.payloads import object_of
from app.usecases.account_settings import try_account
from app.usecases.accounts import set_account
from app.usecases.retrying import is_retriable, retry_charges
from app.usecases.setup import Step, setup

pytestmark = pytest.mark.e2e
PATIENCE = 60.0


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="module")
def world(runner: asyncio.Runner, tmp_path_factory: pytest.TempPathFactory) -> World:
    configure_logging("error", "json")
    return make_world(runner, str(tmp_path_factory.mktemp("demo")))


@pytest.fixture(scope="module")
def months(world: World) -> Months:
    return tell(world)


def staff(shop: str) -> Caller:
    return Caller(CallerKind.STAFF, shop, "VXNlcjox", frozenset(Scope))


@asynccontextmanager
async def looking(world: World) -> AsyncIterator[tuple[Context, InlineJobs]]:
    """Beside what is served, as a command works."""
    jobs = InlineJobs()
    context = build(world.settings, clock=world.time.now, jobs=jobs)
    try:
        yield context, jobs
    finally:
        await context.close()


async def failed_last_month(context: Context, months: Months) -> Sequence[Charge]:
    until = (months.last_month + timedelta(days=40)).replace(day=1) - timedelta(days=1)
    wanted = ChargeFilter(frozenset({ChargeStatus.FAILED}), due_from=months.last_month, due_to=until)
    async with context.store.begin() as unit:
        return await unit.charges.page(months.story.shop, wanted, Page(100))


async def retriable(context: Context, charges: Sequence[Charge]) -> dict[str, Renewal]:
    """The periods of those charges that staff may have charged again, by id."""
    ids = [renewal_of(it.slot) or "" for it in charges]
    async with context.store.begin() as unit:
        found = await unit.renewals.many(charges[0].shop, ids)
    return {name: it for name, it in found.items() if is_retriable(it)}


def newest(charges: Sequence[Charge], periods: Mapping[str, Renewal]) -> Sequence[str]:
    """The last charge of each of these periods."""
    found = {renewal_of(it.slot): it.id for it in sorted(charges, key=lambda it: attempt_of(it.slot))}
    return [found[period] for period in periods]


def rows(world: World, query: str) -> list[tuple[object, ...]]:
    """Straight from the app's own file."""
    with sqlite3.connect(Path(world.settings.data_dir) / "vipps-recurring.sqlite3") as connection:
        return connection.execute(query).fetchall()


def test_everything_that_happens_to_subscriptions_is_there_to_be_seen(world: World, months: Months) -> None:
    mine = months.story.shop
    assert {shop for (shop,) in rows(world, "SELECT shop FROM subscription")} == {mine}
    lives = Counter(status for (status,) in rows(world, "SELECT status FROM subscription"))
    assert lives["HELD"] == 3
    assert (lives["PAUSED"], lives["ENDING"]) == (1, 1)
    assert lives["ACTIVE"] >= 5
    assert lives["ENDED"] == 2
    assert (
        len(rows(world, "SELECT id FROM subscription WHERE price_change IS NOT NULL AND price_change <> 'null'")) == 1
    )
    periods = Counter(rows(world, "SELECT status, reason FROM renewal"))
    assert periods["WAITING", "OUT_OF_STOCK"] == 1
    assert rows(world, "SELECT id FROM renewal WHERE status = 'PAID' AND attempt = 2")
    alone = "SELECT id FROM agreement WHERE status = 'ACTIVE' AND id NOT IN (SELECT id FROM subscription)"
    assert rows(world, alone) == []
    assert len(rows(world, "SELECT id FROM charge WHERE status = 'PARTIALLY_REFUNDED' AND origin = 'RENEWAL'")) == 1
    assert rows(world, "SELECT id FROM charge WHERE created_at > datetime('now')") == []


def test_last_months_failed_charges_can_be_charged_again(runner: asyncio.Runner, world: World, months: Months) -> None:
    async def morning() -> None:
        async with opened(world), looking(world) as (context, jobs):
            failed = await failed_last_month(context, months)
            assert len({it.failure_code for it in failed}) >= 3
            again = await retriable(context, failed)
            assert len(again) == 3
            done = await retry_charges(context.deps, staff(months.story.shop), newest(failed, again))
            assert [it.error for it in done.items] == [None, None, None]
            await jobs.drain(handlers(context.deps, object_of))
            await a_day_later(world)
            await a_day_later(world)
            assert await paid(context, months.story.shop, list(again))

    runner.run(morning())


async def a_day_later(world: World) -> None:
    """By the button on the simulated Vipps' page."""
    before = world.time.now()
    async with httpx.AsyncClient(timeout=30) as http:
        answer = await http.post(f"{world.place.vipps}/pages/advance", data={"by": "day"})
    assert answer.status_code == httpx.codes.SEE_OTHER
    clocks = [shop.clock.now() for shop in world.shops.values()] + [world.vipps.clock.now(), world.time.now()]
    assert min(clocks) >= before + timedelta(days=1)


async def paid(context: Context, shop: str, renewal_ids: Sequence[str]) -> bool:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        async with context.store.begin() as unit:
            rows = [await unit.renewals.get(shop, it) for it in renewal_ids]
        if all(it is not None and it.status is RenewalStatus.PAID for it in rows):
            return True
        await asyncio.sleep(0.2)
    return False


def test_the_second_shop_is_set_up_from_nothing(runner: asyncio.Runner, world: World, months: Months) -> None:
    assert months
    new = world.new_shop

    async def newcomer() -> None:
        async with opened(world), looking(world) as (context, _), httpx.AsyncClient(timeout=30) as http:
            assert (await setup(context.deps, staff(new.shop))).next is Step.CREDENTIALS
            account = await set_account(context.deps, account_of(SECOND_MERCHANT, new.shop))
            checked = await try_account(context.deps, staff(new.shop), account.id, new.app)
            assert checked.good
            assert (await setup(context.deps, staff(new.shop))).next is Step.PRODUCT
            [product] = (await http.get(f"{new.saleor}/simulator/products")).json()
            mark = {"key": "vipps-recurring.interval", "value": "MONTH:1"}
            await http.post(f"{new.saleor}/dashboard/parts/products/{product['id']}/metadata", data=mark)
            assert (await setup(context.deps, staff(new.shop))).next is Step.AGREEMENT
            page = await http.get(new.saleor + storefront.PATH)
            assert new.shop in page.text
            assert (await http.get(f"{new.saleor}/favicon.ico")).status_code == httpx.codes.OK
            assert (await http.get(f"{new.vipps}/favicon.ico")).status_code == httpx.codes.OK

    runner.run(newcomer())
