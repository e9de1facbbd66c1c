"""Renewals, reports and notices as work: held by one, given up with a reason, revived by their own shop only."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeAlias

import pytest

from app.domain.charge import ChargeStatus
from app.domain.notice import Notice, NoticeKind
from app.domain.records import Failing
from app.domain.renewal import Renewal, RenewalReason, RenewalStatus
from app.domain.transaction import ActionType, EventType, Report, ReportStatus
from app.storage.database import SqlStore
from app.storage.repositories import SqlUnit
from tests.builders import ACCOUNT_ID, NOW, OTHER_SHOP, SHOP, a_charge, a_renewal, a_row_id, a_subscription, nok

SOON = NOW + timedelta(seconds=45)
Work: TypeAlias = Renewal | Report | Notice


def a_period(**over: Any) -> Renewal:
    return a_renewal(a_subscription(agreement_id=a_row_id()), **over)


def a_report(**over: Any) -> Report:
    row_id = a_row_id()
    default = Report(
        id=row_id,
        shop=SHOP,
        transaction=f"transaction-{row_id}",
        psp_reference="agr_1/chr-1",
        type=EventType.CHARGE_SUCCESS,
        amount=nok(24_800),
        occurred_at=NOW,
        message="Paid",
        actions=(ActionType.REFUND, ActionType.CANCEL),
        status=ReportStatus.WAITING,
        created_at=NOW,
    )
    return replace(default, **over)


def a_notice(**over: Any) -> Notice:
    news = {"period": 1, "amount": 24_800, "link": None}
    default = Notice(a_row_id(), SHOP, ACCOUNT_ID, NoticeKind.RENEWAL_PAID, "a-subscription", news, NOW)
    return replace(default, **over)


async def added(store: SqlStore, *things: Work) -> None:
    async with store.begin() as unit:
        for thing in things:
            match thing:
                case Renewal():
                    assert await unit.renewals.add_all([thing]) == 1
                case Report():
                    assert await unit.reports.add_all([thing]) == {thing.id}
                case Notice():
                    assert await unit.notices.add(thing)


def repository_of(unit: SqlUnit, thing: Work) -> Any:
    match thing:
        case Renewal():
            return unit.renewals
        case Report():
            return unit.reports
        case Notice():
            return unit.notices


async def claimed(store: SqlStore, thing: Work) -> Any:
    async with store.begin() as unit:
        return await repository_of(unit, thing).claim(thing.shop, thing.id, NOW, SOON)


EACH = pytest.mark.parametrize("make", [a_period, a_report, a_notice])


@EACH
async def test_of_many_claimers_at_once_one_wins(store: SqlStore, make: Callable[..., Work]) -> None:
    thing = make()
    await added(store, thing)
    winners = [it for it in await asyncio.gather(*(claimed(store, thing) for _ in range(8))) if it is not None]
    assert winners == [replace(thing, attempts=1, lease_until=SOON)]


@EACH
async def test_a_claim_that_is_not_committed_yet_keeps_others_out(store: SqlStore, make: Callable[..., Work]) -> None:
    thing = make()
    await added(store, thing)
    async with store.begin() as unit:
        assert await repository_of(unit, thing).claim(SHOP, thing.id, NOW, SOON) is not None
        late = asyncio.create_task(claimed(store, thing))
        await asyncio.sleep(0.1)
        assert not late.done()
    assert await late is None


@EACH
async def test_what_a_dead_process_held_can_be_given_back(store: SqlStore, make: Callable[..., Work]) -> None:
    thing = make()
    await added(store, thing)
    assert await claimed(store, thing) is not None
    await store.release_leases()
    again = await claimed(store, thing)
    assert again.attempts == 2


@EACH
async def test_the_same_stored_ten_times_at_once_stands_once(store: SqlStore, make: Callable[..., Work]) -> None:
    thing = make()

    async def store_it() -> int:
        async with store.begin() as unit:
            match thing:
                case Renewal():
                    return await unit.renewals.add_all([thing])
                case Report():
                    return len(await unit.reports.add_all([thing]))
                case Notice():
                    return int(await unit.notices.add(thing))

    assert sum(await asyncio.gather(*(store_it() for _ in range(10)))) == 1


@EACH
async def test_work_is_waited_for_while_it_is_free_due_and_alive(store: SqlStore, make: Callable[..., Work]) -> None:
    found = [make(), make(next_attempt_at=NOW, lease_until=NOW)]
    hidden = [make(next_attempt_at=SOON), make(lease_until=SOON), make(dead="given up")]
    await added(store, *found, *hidden)
    async with store.begin() as unit:
        waiting = await repository_of(unit, found[0]).waiting(NOW, 10)
        assert set(waiting) == {(SHOP, it.id) for it in found}
        assert len(await repository_of(unit, found[0]).waiting(NOW, 1)) == 1
    assert [await claimed(store, it) for it in hidden] == [None, None, None]


@EACH
async def test_given_up_work_is_a_dead_letter_until_its_own_shop_revives_it(
    store: SqlStore, make: Callable[..., Work]
) -> None:
    thing = make(dead="given up: 503", attempts=60)
    await added(store, thing, make())
    kind = {Renewal: Failing.RENEWAL, Report: Failing.REPORT, Notice: Failing.NOTICE}[type(thing)]
    async with store.begin() as unit:
        letters = await unit.failures.of_shop(SHOP, 10)
        assert [(it.id, it.kind, it.reason, it.attempts) for it in letters] == [(thing.id, kind, "given up: 503", 60)]
        assert await unit.failures.of_shop(OTHER_SHOP, 10) == []
        assert [it.id for it in await unit.failures.everywhere(10)] == [thing.id]
        assert await unit.failures.count() == 1
        assert await unit.failures.revive(OTHER_SHOP, thing.id, NOW) is None
        assert await unit.failures.revive(SHOP, thing.id, NOW) is kind
        assert await unit.failures.revive(SHOP, thing.id, NOW) is None
        assert await unit.failures.count() == 0
    assert await claimed(store, thing) is not None


async def test_dead_letters_tell_what_they_are_about(store: SqlStore) -> None:
    period, report, notice = a_period(dead="x"), a_report(dead="x"), a_notice(dead="x")
    await added(store, period, report, notice)
    async with store.begin() as unit:
        assert {(it.kind, it.what, it.object_id) for it in await unit.failures.of_shop(SHOP, 10)} == {
            (Failing.RENEWAL, "renewal", period.agreement_id),
            (Failing.REPORT, "CHARGE_SUCCESS", report.transaction),
            (Failing.NOTICE, "renewal.paid", "a-subscription"),
        }


async def test_a_period_that_was_given_up_and_then_skipped_is_no_dead_letter(store: SqlStore) -> None:
    period = a_period(dead="given up", next_attempt_at=NOW)
    await added(store, period)
    async with store.begin() as unit:
        await unit.renewals.end_open(SHOP, period.subscription_id, RenewalReason.ENDED, "it has ended")
        assert await unit.failures.count() == 0
        ended = await unit.renewals.get(SHOP, period.id)
    assert ended is not None
    assert (ended.status, ended.dead) == (RenewalStatus.SKIPPED, None)


@pytest.mark.parametrize("make", [a_report, a_notice])
async def test_whoever_lost_the_lease_puts_nothing_off(store: SqlStore, make: Callable[..., Work]) -> None:
    thing = make()
    await added(store, thing)
    slow = await claimed(store, thing)
    await store.release_leases()
    quick = await claimed(store, thing)
    async with store.begin() as unit:
        await repository_of(unit, thing).retry(replace(slow, dead="given up"))
        assert await unit.failures.count() == 0
        await repository_of(unit, thing).retry(replace(quick, next_attempt_at=SOON))
        assert await repository_of(unit, thing).waiting(NOW, 10) == []
        assert await repository_of(unit, thing).waiting(SOON, 10) == [(SHOP, thing.id)]


async def test_another_shop_claims_and_changes_nothing(store: SqlStore) -> None:
    period, report, notice = a_period(), a_report(), a_notice()
    await added(store, period, report, notice)
    for thing in (period, report, notice):
        assert await claimed(store, replace(thing, shop=OTHER_SHOP)) is None
    async with store.begin() as unit:
        assert not await unit.renewals.save(replace(period, shop=OTHER_SHOP, status=RenewalStatus.PAID))
        await unit.renewals.wake(OTHER_SHOP, period.id, SOON)
        await unit.renewals.hold_longer(OTHER_SHOP, period.id, SOON)
        end = unit.renewals.end_open
        assert await end(OTHER_SHOP, period.subscription_id, RenewalReason.ENDED, "ended") == []
        await unit.reports.settle(OTHER_SHOP, report.id, ReportStatus.REFUSED, "no")
        await unit.reports.retry(replace(report, shop=OTHER_SHOP, dead="given up"))
        await unit.notices.done(OTHER_SHOP, notice.id)
        await unit.notices.retry(replace(notice, shop=OTHER_SHOP, dead="given up"))
    async with store.begin() as unit:
        assert await unit.renewals.get(SHOP, period.id) == period
        assert await unit.renewals.get(OTHER_SHOP, period.id) is None
        assert await unit.renewals.of_subscription(OTHER_SHOP, period.subscription_id) == []
        assert await unit.reports.of_transaction(SHOP, report.transaction) == [report]
        assert await unit.reports.of_transaction(OTHER_SHOP, report.transaction) == []
        assert await unit.notices.waiting(NOW, 10) == [(SHOP, notice.id)]


async def test_a_charge_is_shown_by_one_of_many(store: SqlStore) -> None:
    charge = a_charge(status=ChargeStatus.CHARGED, captured=25_000, saleor_transaction="transaction")
    async with store.begin() as unit:
        await unit.charges.add_all([charge])

    async def show() -> Any:
        async with store.begin() as unit:
            return await unit.charges.claim_report(SHOP, charge.id, NOW, SOON)

    shown = [it for it in await asyncio.gather(*(show() for _ in range(8))) if it is not None]
    assert [it.shown for it in shown] == ["CHARGED/25000/0/0"]


async def test_what_happens_while_a_charge_is_shown_is_shown_after_it(store: SqlStore) -> None:
    charge = a_charge(status=ChargeStatus.CHARGED, captured=25_000, saleor_transaction="transaction")
    async with store.begin() as unit:
        await unit.charges.add_all([charge])
        held = await unit.charges.claim_report(SHOP, charge.id, NOW, SOON)
        assert held is not None
        # A refund comes in between: the same status may hide another sum.
        await unit.charges.save_all([replace(held, refunded=100)])
        await unit.charges.mark_reported(SHOP, charge.id, held.shown)
        assert [it.id for it in await unit.charges.unreported(NOW, 10)] == [charge.id]
        again = await unit.charges.claim_report(SHOP, charge.id, NOW, SOON)
        assert again is not None
        await unit.charges.mark_reported(SHOP, charge.id, again.shown)
        assert await unit.charges.unreported(SOON, 10) == []
