"""What is asked of periods and their subscriptions: by day, by status, by shop, and which are missing."""

from dataclasses import replace
from datetime import date, timedelta

import pytest

from app.domain.records import Page
from app.domain.renewal import RenewalFilter, RenewalReason, RenewalStatus
from app.domain.subscription import Subscriber, SubscriptionStatus
from app.storage.database import SqlStore
from tests.builders import ACCOUNT_ID, NOW, OTHER_SHOP, SHOP, a_renewal, a_row_id, a_subscription

NOBODY = Subscriber(None, None, None)
R = RenewalStatus


async def test_a_row_beyond_the_next_period_does_not_make_up_for_a_missing_one(store: SqlStore) -> None:
    whole, holed = a_subscription(agreement_id="agr_1", next_period=4), a_subscription(agreement_id="agr_2")
    holed = replace(holed, next_period=4)
    fresh = a_subscription(agreement_id="agr_3", next_period=1)
    theirs = a_subscription(agreement_id="agr_4", next_period=2, shop=OTHER_SHOP)
    async with store.begin() as unit:
        for it in (whole, holed, fresh, theirs):
            assert await unit.subscriptions.add(it, NOBODY)
        await unit.renewals.add_all([a_renewal(whole, period) for period in (1, 2, 3)])
        await unit.renewals.add_all([a_renewal(holed, period) for period in (1, 3, 4, 5)])
        assert set(await unit.renewals.gaps(10)) == {(SHOP, holed.id, 1), (OTHER_SHOP, theirs.id, 1)}
        assert len(await unit.renewals.gaps(1)) == 1
        # Only its own shop's row fills it.
        await unit.renewals.add_all([a_renewal(replace(holed, shop=OTHER_SHOP), 2)])
        assert (SHOP, holed.id, 1) in await unit.renewals.gaps(10)
        await unit.renewals.add_all([a_renewal(holed, 2)])
        assert await unit.renewals.gaps(10) == [(OTHER_SHOP, theirs.id, 1)]


async def test_thousands_of_periods_are_stored_and_their_subscriptions_advanced_at_once(store: SqlStore) -> None:
    due = [a_subscription(agreement_id=a_row_id()) for _ in range(2_500)]
    async with store.begin() as unit:
        for it in due:
            assert await unit.subscriptions.add(it, NOBODY)
    horizon = {ACCOUNT_ID: due[0].next_due}
    async with store.begin() as unit:
        claimed = await unit.subscriptions.claim_due(horizon, 2_000)
        rows = [a_renewal(it, it.next_period) for it in claimed]
        assert await unit.renewals.add_all(rows) == 2_000
        assert await unit.renewals.add_all(rows) == 0
        await unit.subscriptions.advance_all([it.planned(it.next_period + 1) for it in claimed])
    async with store.begin() as unit:
        rest = await unit.subscriptions.claim_due(horizon, 2_000)
        assert {it.id for it in rest} == {it.id for it in due} - {it.id for it in claimed}
        first = await unit.subscriptions.get(SHOP, claimed[0].id)
        assert first == replace(claimed[0].planned(2), version=1)
        assert await unit.renewals.gaps(10) == []


async def test_an_advance_that_was_rolled_back_leaves_neither_rows_nor_steps(store: SqlStore) -> None:
    subscription = a_subscription()
    async with store.begin() as unit:
        await unit.subscriptions.add(subscription, NOBODY)

    async def plan() -> None:
        async with store.begin() as unit:
            [it] = await unit.subscriptions.claim_due({ACCOUNT_ID: subscription.next_due}, 10)
            await unit.renewals.add_all([a_renewal(it)])
            await unit.subscriptions.advance_all([it.planned(2)])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await plan()
    async with store.begin() as unit:
        assert await unit.subscriptions.claim_due({ACCOUNT_ID: subscription.next_due}, 10) == [subscription]
        assert await unit.renewals.of_subscription(SHOP, subscription.id) == []


async def test_each_account_has_its_own_day_for_what_is_due_and_for_what_is_overdue(store: SqlStore) -> None:
    early, late = date(2026, 3, 1), date(2026, 3, 10)
    mine = [a_subscription(agreement_id=f"agr_{day}", next_due=day) for day in (early, late)]
    theirs = [a_subscription(agreement_id=f"agr_o{day}", next_due=day, account_id="other") for day in (early, late)]
    paused = a_subscription(agreement_id="agr_p", next_due=early, status=SubscriptionStatus.PAUSED)
    async with store.begin() as unit:
        for it in (*mine, *theirs, paused):
            assert await unit.subscriptions.add(it, NOBODY)
        days = {ACCOUNT_ID: early, "other": late}
        due = await unit.subscriptions.claim_due(days, 10)
        assert {it.id for it in due} == {mine[0].id, paused.id, *(it.id for it in theirs)}
        # Before the day, not on it; and what is paused is late for nobody.
        assert [it.id for it in await unit.subscriptions.overdue(days, 10)] == [theirs[0].id]
        assert await unit.subscriptions.overdue({}, 10) == []


async def test_subscriptions_are_gone_through_page_by_page(store: SqlStore) -> None:
    mine = [a_subscription(agreement_id=a_row_id()) for _ in range(5)]
    ended = a_subscription(agreement_id=a_row_id(), status=SubscriptionStatus.ENDED)
    theirs = a_subscription(agreement_id=a_row_id(), shop=OTHER_SHOP)
    async with store.begin() as unit:
        for it in (*mine, ended, theirs):
            assert await unit.subscriptions.add(it, NOBODY)
        seen: list[str] = []
        while page := await unit.subscriptions.page_after(
            SHOP, seen[-1] if seen else "", [SubscriptionStatus.ACTIVE], 2
        ):
            seen += [it.id for it in page]
    assert seen == sorted(it.id for it in mine)


async def test_periods_are_counted_and_listed_by_status_reason_and_day(store: SqlStore) -> None:
    subscription = a_subscription()
    rows = [
        a_renewal(subscription, 1, status=R.PAID),
        a_renewal(subscription, 2, status=R.WAITING, reason=RenewalReason.OUT_OF_STOCK),
        a_renewal(subscription, 3, status=R.WAITING, reason=RenewalReason.SHIPPING),
        a_renewal(subscription, 4),
    ]
    theirs = a_renewal(replace(subscription, shop=OTHER_SHOP), 1, status=R.WAITING)
    first, last = rows[0].due, rows[2].due
    async with store.begin() as unit:
        assert await unit.renewals.add_all([*rows, theirs]) == 5
        assert await unit.renewals.counts(SHOP, first, last) == {
            (R.PAID, ""): 1,
            (R.WAITING, "OUT_OF_STOCK"): 1,
            (R.WAITING, "SHIPPING"): 1,
        }
        assert await unit.renewals.of_status(SHOP, R.WAITING, None, 10) == rows[1:3]
        assert await unit.renewals.of_status(SHOP, R.WAITING, RenewalReason.SHIPPING, 10) == [rows[2]]
        assert await unit.renewals.stale(rows[2].due, 10) == [theirs, rows[1]]
        wanted = RenewalFilter(due_from=rows[1].due, due_to=rows[3].due)
        assert await unit.renewals.count(SHOP, wanted) == 3
        page = await unit.renewals.page(SHOP, wanted, Page(2))
        assert page == [rows[3], rows[2]]
        assert await unit.renewals.page(SHOP, wanted, Page(2, (page[-1].due, page[-1].id))) == [rows[1]]


async def test_the_newest_periods_of_many_subscriptions_come_oldest_first(store: SqlStore) -> None:
    first, second = a_subscription(agreement_id="agr_1"), a_subscription(agreement_id="agr_2")
    async with store.begin() as unit:
        await unit.renewals.add_all([a_renewal(first, period) for period in range(1, 6)])
        await unit.renewals.add_all([a_renewal(second, 1)])
        found = await unit.renewals.of_subscriptions(SHOP, [first.id, second.id, "absent"], 2)
        assert {key: [it.period for it in rows] for key, rows in found.items()} == {first.id: [4, 5], second.id: [1]}
        assert await unit.renewals.of_subscriptions(OTHER_SHOP, [first.id], 2) == {}


async def test_a_period_is_found_by_its_charge_and_its_order_in_its_own_shop(store: SqlStore) -> None:
    row = a_renewal(
        a_subscription(), order="T3JkZXI6Mg==", order_number="12", charge_row="a-charge", failed_on=NOW.date()
    )
    async with store.begin() as unit:
        await unit.renewals.add_all([row])
        assert await unit.renewals.by_charge(SHOP, "a-charge") == row
        assert await unit.renewals.by_order(SHOP, "T3JkZXI6Mg==") == row
        assert await unit.renewals.by_charge(OTHER_SHOP, "a-charge") is None
        assert await unit.renewals.by_order(OTHER_SHOP, "T3JkZXI6Mg==") is None


async def test_a_lease_is_renewed_while_it_is_held_and_only_then(store: SqlStore) -> None:
    row = a_renewal(a_subscription())
    soon, later = NOW + timedelta(seconds=45), NOW + timedelta(seconds=90)
    async with store.begin() as unit:
        await unit.renewals.add_all([row])
        await unit.renewals.hold_longer(SHOP, row.id, later)
        assert await unit.renewals.claim(SHOP, row.id, NOW, soon) is not None
        await unit.renewals.hold_longer(SHOP, row.id, later)
        assert await unit.renewals.claim(SHOP, row.id, soon, later) is None
        assert await unit.renewals.claim(SHOP, row.id, later, later) is not None
