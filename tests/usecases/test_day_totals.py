"""Totals of days that are over say what the charges themselves say, and hide no change of these."""

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from app.domain.account import Account, staff
from app.domain.agreement import AgreementStatus
from app.domain.charge import Charge, ChargeStatus, SeenCharge
from app.domain.figures import DayTotal, Sums
from app.domain.money import Currency, Money
from app.domain.records import AuditEntry
from app.usecases.day_totals import total_days
from app.usecases.known import observe_charges
from app.usecases.overview import Figures, overview
from app.usecases.sending import Sent, store_sent
from app.usecases.spans import Span
from tests.builders import OTHER_SHOP, a_charge, an_account, an_agreement, nok
from tests.usecases.steps import the_account
from tests.world import SHOP, START, World

OSLO, DAY = "Europe/Oslo", timedelta(days=1)
YESTERDAY = date(2026, 3, 1)
C = ChargeStatus


async def figures(world: World, span: Span = Span.YEAR) -> Sequence[Figures]:
    caller = staff(SHOP, "VXNlcjox", frozenset({"HANDLE_PAYMENTS"}))
    return (await overview(world.context.deps, caller, span)).figures


async def kept(world: World, zone: str = OSLO, shop: str = SHOP) -> dict[date, DayTotal]:
    async with world.context.store.begin() as unit:
        found = await unit.figures.day_totals(shop, zone, date(2024, 1, 1), date(2027, 1, 1))
    return {it.day: it for it in found}


async def put(world: World, *charges: Charge) -> None:
    async with world.context.store.begin() as unit:
        await unit.charges.add_all(charges)


def paid(minor: int, at: datetime, **over: object) -> Charge:
    values = {"amount": nok(minor), "captured": minor, "status": C.CHARGED, "settled_at": at}
    return a_charge(**values | over)


def somebodys(chance: random.Random) -> Charge:
    """Of some moment of the last fourteen months, in some state."""
    at = START - chance.random() * 420 * DAY
    amount = Money(chance.randint(100, 90_000), chance.choice([Currency.NOK, Currency.EUR]))
    match chance.choice(["paid", "part", "failed", "refunded", "open"]):
        case "paid":
            return paid(amount.minor, at, amount=amount)
        case "part":
            return paid(amount.minor // 2, at, amount=amount, status=C.PARTIALLY_CAPTURED)
        case "failed":
            return a_charge(amount=amount, status=C.FAILED, settled_at=at)
        case "refunded":
            went = {"refunded": amount.minor // 3, "refunded_at": min(START, at + chance.random() * 90 * DAY)}
            return paid(amount.minor, at, amount=amount, status=C.PARTIALLY_REFUNDED, **went)
    return a_charge(amount=amount, status=C.DUE)


async def test_with_totals_the_overview_says_what_it_says_without(world: World) -> None:
    chance = random.Random(20261128)  # noqa: S311
    await put(world, *(somebodys(chance) for _ in range(400)), paid(1, START, shop=OTHER_SHOP))
    begun = [START - number * 9 * DAY for number in range(60)]
    async with world.context.store.begin() as unit:
        for at in begun:
            ended = {"status": AgreementStatus.STOPPED, "stop": at + 100 * DAY} if at < START - 300 * DAY else {}
            await unit.agreements.add(an_agreement(start=at, **ended))
    live = {span: await figures(world, span) for span in Span}
    assert live[Span.YEAR][0].population.ended
    await the_account(world)

    await total_days(world.context.deps)

    assert max(await kept(world)) == YESTERDAY
    assert await kept(world, shop=OTHER_SHOP) == {}
    assert {span: await figures(world, span) for span in Span} == live
    await put(world, paid(700, START))
    assert (await figures(world))[0].total.collected == live[Span.YEAR][0].total.collected + 700


async def test_the_totals_are_what_is_read(world: World) -> None:
    """Or they would cost and be of no use."""
    await total_days(world.context.deps)
    account = await the_account(world)
    invented = DayTotal(date(2025, 12, 24), [Sums(date(2025, 12, 24), Currency.NOK, collected=7, collections=1)])
    async with world.context.store.begin() as unit:
        await unit.figures.put_day_totals(SHOP, account.time_zone, [invented])
    [mine] = await figures(world)
    assert (mine.total.collected, mine.total.collections) == (7, 1)
    await total_days(world.context.deps)
    assert await figures(world) == []


def seen(charge: Charge, status: ChargeStatus, refunded: int, at: datetime, captured: int | None = None) -> SeenCharge:
    took = charge.captured if captured is None else captured
    name = charge.charge_id or ""
    return SeenCharge(name, status, None, charge.amount.minor, took, refunded, "", "RECURRING", happened_at=at)


async def test_what_goes_back_later_moves_to_that_day_at_once(world: World) -> None:
    agreement = an_agreement(account_id=(await the_account(world)).id)
    first, then = START - 40 * DAY, START - 20 * DAY
    charge = paid(
        10_000,
        START - 60 * DAY,
        agreement_id=agreement.agreement_id,
        charge_id="chr-1",
        refunded=1_000,
        refunded_at=first,
        status=C.PARTIALLY_REFUNDED,
    )
    async with world.context.store.begin() as unit:
        await unit.agreements.add(agreement)
    await put(world, charge)
    await total_days(world.context.deps)

    shows = seen(charge, C.PARTIALLY_REFUNDED, 3_500, then)
    await observe_charges(world.context.deps, "vipps", agreement, [shows])

    [mine] = await figures(world)
    assert {it.day: it.refunded for it in mine.sums if it.refunded} == {date(2026, 2, 1): 3_500}
    assert mine.total.collected == 10_000
    days = await kept(world)
    assert first.date() not in days
    assert then.date() not in days
    assert (START - 60 * DAY).date() in days, "the day on which it was paid came to the same"

    shows_it_again = seen(charge, C.PARTIALLY_REFUNDED, 3_500, then)
    await total_days(world.context.deps)
    await observe_charges(world.context.deps, "vipps", agreement, [shows_it_again])
    assert {first.date(), then.date()} <= set(await kept(world))
    assert await figures(world) == [mine]


async def test_what_is_found_late_at_vipps_stands_on_its_day_at_once(one_world: World) -> None:
    """Its answer was lost, and it was looked for days after it was collected."""
    account = await the_account(one_world)
    agreement = an_agreement(account_id=account.id)
    charge = a_charge(agreement_id=agreement.agreement_id, account_id=account.id)
    async with one_world.context.store.begin() as unit:
        await unit.agreements.add(agreement)
    await put(one_world, charge)
    await total_days(one_world.context.deps)
    found = charge.see(seen(charge, C.CHARGED, 0, START - 3 * DAY, captured=charge.amount.minor), START)
    told = AuditEntry(SHOP, "system", "charge.made", charge.order_id, START)
    await store_sent(one_world.context.deps, [Sent(found, told)])
    [mine] = await figures(one_world)
    assert mine.total.collected == charge.amount.minor


async def test_what_comes_now_costs_no_total(one_world: World) -> None:
    """Nobody writes into totals while charges are paid: today has none."""
    account = await the_account(one_world)
    agreement = an_agreement(account_id=account.id)
    charge = a_charge(status=C.DUE, agreement_id=agreement.agreement_id, charge_id="chr-1")
    async with one_world.context.store.begin() as unit:
        await unit.agreements.add(agreement)
    await put(one_world, charge)
    await total_days(one_world.context.deps)
    before = await kept(one_world)
    shows = seen(charge, C.CHARGED, 0, START, captured=charge.amount.minor)
    await observe_charges(one_world.context.deps, "vipps", agreement, [shows])
    assert await kept(one_world) == before
    [mine] = await figures(one_world)
    assert mine.total.collected == charge.amount.minor


async def test_another_time_zone_asks_for_other_days(one_world: World) -> None:
    account = await the_account(one_world)
    at = datetime(2026, 1, 31, 23, 30, tzinfo=UTC)  # February already where the merchant is
    await put(one_world, paid(500, at))
    await total_days(one_world.context.deps)
    assert {it.day: it.collected for it in (await figures(one_world))[0].sums if it.collected} == {
        date(2026, 2, 1): 500
    }
    await moved_to(one_world, account, "Europe/London")
    january = {date(2026, 1, 1): 500}
    assert {it.day: it.collected for it in (await figures(one_world))[0].sums if it.collected} == january
    await total_days(one_world.context.deps)
    assert await kept(one_world) == {}
    assert {it.day: it.collected for it in (await figures(one_world))[0].sums if it.collected} == january


async def moved_to(world: World, account: Account, zone: str) -> None:
    async with world.context.store.begin() as unit:
        await unit.accounts.put(replace(account, time_zone=ZoneInfo(zone).key))


async def test_a_day_that_has_only_just_ended_is_left_for_the_next_night(one_world: World) -> None:
    account = await the_account(one_world)
    one_world.time.now = datetime(2026, 3, 1, 23, 30, tzinfo=UTC)  # half past midnight in Oslo
    await total_days(one_world.context.deps)
    assert max(await kept(one_world, account.time_zone)) == date(2026, 2, 28)


async def test_each_shop_has_its_own(one_world: World) -> None:
    await put(one_world, paid(500, START - 5 * DAY), paid(900, START - 5 * DAY, shop=OTHER_SHOP))
    async with one_world.context.store.begin() as unit:
        await unit.accounts.put(an_account(shop=OTHER_SHOP, time_zone="Europe/Helsinki"))
    await the_account(one_world)
    await total_days(one_world.context.deps)
    day = (START - 5 * DAY).date()
    assert (await kept(one_world))[day].sums == [Sums(day, Currency.NOK, collected=500, collections=1)]
    theirs = await kept(one_world, "Europe/Helsinki", OTHER_SHOP)
    assert theirs[day].sums == [Sums(day, Currency.NOK, collected=900, collections=1)]
