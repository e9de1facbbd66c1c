"""Sums over a shop's rows: by currency, by the merchant's own days, and never of another shop."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from app.domain.agreement import AgreementStatus
from app.domain.charge import Charge, ChargeOrigin, ChargeStatus
from app.domain.figures import Bucket, Expected, Outcome, Recovered, Sums, Waiting
from app.domain.money import Currency, Money
from app.domain.recovery import Recovery, RecoveryStatus
from app.domain.renewal import RenewalReason, RenewalStatus
from app.domain.subscription import Subscriber, SubscriptionLine, SubscriptionStatus
from app.storage.database import SqlStore
from app.usecases.spans import Span, period_of
from tests.builders import (
    ACCOUNT_ID,
    NOW,
    OTHER_SHOP,
    SHOP,
    TODAY,
    a_charge,
    a_renewal,
    a_row_id,
    a_subscription,
    an_agreement,
    an_agreement_id,
    nok,
)

NOBODY = Subscriber(None, None, None)
C, R, S = ChargeStatus, RenewalStatus, SubscriptionStatus
OSLO = ZoneInfo("Europe/Oslo")
DAY = timedelta(days=1)


def march() -> Sequence[Bucket]:
    return period_of(Span.THIS_MONTH, NOW, OSLO).buckets


def paid(minor: int, at: datetime, **over: Any) -> Charge:
    return a_charge(amount=nok(minor), captured=minor, status=C.CHARGED, settled_at=at, **over)


def euro(minor: int) -> Money:
    return Money(minor, Currency.EUR)


async def test_what_came_stands_on_the_merchants_own_day(store: SqlStore) -> None:
    """In Oslo 1 March begins at 23 o'clock UTC of the day before, and 1 April an hour earlier still."""
    first, last = datetime(2026, 2, 28, 23, tzinfo=UTC), datetime(2026, 3, 31, 22, tzinfo=UTC)
    second = timedelta(seconds=1)
    charges = [
        paid(100, first - second),
        paid(2_000, first),
        paid(3_000, first + DAY - second),
        paid(4_000, first + DAY),
        paid(5_000, last - second),
        paid(600, last),
    ]
    async with store.begin() as unit:
        await unit.charges.add_all(charges)
        found = await unit.figures.settled(SHOP, march())
    assert sorted((it.day.day, it.collected, it.collections) for it in found) == [
        (1, 5_000, 2),
        (2, 4_000, 1),
        (31, 5_000, 1),
    ]


async def test_currencies_failures_and_other_shops_are_kept_apart(store: SqlStore) -> None:
    failed = a_charge(status=C.FAILED, settled_at=NOW)
    euros = replace(paid(900, NOW), amount=euro(900))
    late = replace(failed, id=a_row_id(), order_id="ORD-late", captured=25_000)  # it had succeeded before
    open_ = a_charge(status=C.DUE)
    async with store.begin() as unit:
        await unit.charges.add_all([failed, euros, late, open_, paid(1_000, NOW), paid(7, NOW, shop=OTHER_SHOP)])
        found = await unit.figures.settled(SHOP, march())
    assert sorted(found, key=lambda it: (it.currency, it.failed)) == [
        Sums(TODAY, Currency.EUR, collected=900, collections=1),
        Sums(TODAY, Currency.NOK, collected=1_000, collections=1),
        Sums(TODAY, Currency.NOK, failed=50_000, failures=2),
    ]


async def test_what_went_back_stands_on_its_own_day(store: SqlStore) -> None:
    charges = [
        replace(paid(5_000, NOW - 40 * DAY), status=C.PARTIALLY_REFUNDED, refunded=1_500, refunded_at=NOW),
        replace(paid(5_000, NOW, shop=OTHER_SHOP), status=C.REFUNDED, refunded=5_000, refunded_at=NOW),
        replace(paid(5_000, NOW), status=C.REFUNDED, refunded=5_000, refunded_at=NOW - 40 * DAY),
    ]
    async with store.begin() as unit:
        await unit.charges.add_all(charges)
        assert await unit.figures.refunded(SHOP, march()) == [Sums(TODAY, Currency.NOK, refunded=1_500, refunds=1)]


async def test_charges_on_their_way_are_due_on_their_day_and_renewals_are_counted_elsewhere(store: SqlStore) -> None:
    due, last = TODAY + 2 * DAY, TODAY + 29 * DAY
    charges = [
        a_charge(status=C.DUE, due=due),
        a_charge(status=C.PENDING, due=due),
        a_charge(status=C.NEW, due=last, amount=nok(100)),
        a_charge(status=C.PENDING, due=last + DAY),
        a_charge(status=C.DUE, due=due, origin=ChargeOrigin.RENEWAL),
        a_charge(status=C.CHARGED, due=due),
        a_charge(status=C.NEW, due=due, dead="given up"),
        a_charge(status=C.NEW, due=due, withdrawn="the order is paid"),
        a_charge(status=C.DUE, due=due, shop=OTHER_SHOP),
    ]
    async with store.begin() as unit:
        await unit.charges.add_all(charges)
        found = await unit.figures.charges_to_come(SHOP, TODAY, last)
    assert sorted(found, key=lambda it: it.day) == [Expected(due, 2, nok(25_000)), Expected(last, 1, nok(100))]


async def test_renewals_are_expected_at_their_orders_sum_or_at_what_is_agreed(store: SqlStore) -> None:
    lines = (SubscriptionLine("UHJvZHVjdFZhcmlhbnQ6MQ==", 2, "Kaffe", 12_500),)
    fixed, open_priced = an_agreement(price=nok(30_000)), an_agreement(price=nok(0))
    mine = [a_subscription(id=it.id, agreement_id=it.agreement_id, lines=lines) for it in (fixed, open_priced)]
    foreign = an_agreement(shop=OTHER_SHOP)
    theirs = a_subscription(id=foreign.id, agreement_id=foreign.agreement_id, shop=OTHER_SHOP)
    rows = [
        a_renewal(mine[0], 1),
        a_renewal(mine[0], 2, status=R.CHARGING, amount=nok(31_000), due=date(2026, 3, 28)),
        a_renewal(mine[1], 1),
        a_renewal(mine[1], 2, status=R.PAID, due=date(2026, 3, 28)),
        a_renewal(mine[1], 3, due=date(2026, 5, 28)),
        a_renewal(theirs, 1),
    ]
    async with store.begin() as unit:
        for agreement in (fixed, open_priced, foreign):
            await unit.agreements.add(agreement)
        for it in (*mine, theirs):
            await unit.subscriptions.add(it, NOBODY)
        await unit.renewals.add_all(rows)
        found = await unit.figures.renewals_to_come(SHOP, TODAY, date(2026, 3, 31))
    day = date(2026, 3, 28)
    assert sorted(found, key=lambda it: it.price.minor) == [
        Expected(day, 1, nok(0), lines),
        Expected(day, 1, nok(30_000)),
        Expected(day, 1, nok(31_000)),
    ]


async def test_what_is_on_hold_is_counted(store: SqlStore) -> None:
    async with store.begin() as unit:
        for status, shop in ((S.ACTIVE, SHOP), (S.HELD, SHOP), (S.HELD, SHOP), (S.ENDED, SHOP), (S.HELD, OTHER_SHOP)):
            it = a_subscription(agreement_id=an_agreement_id(), shop=shop, status=status)
            await unit.subscriptions.add(it, NOBODY)
        assert await unit.figures.held(SHOP) == 2


async def test_an_agreement_that_a_pay_link_replaced_has_not_ended(store: SqlStore) -> None:
    since, until = march()[0].since, march()[-1].until
    before = since - DAY
    stopped = {"status": AgreementStatus.STOPPED, "start": before}
    ended, replaced = an_agreement(**stopped, stop=NOW), an_agreement(**stopped, stop=NOW)
    agreements = [
        ended,
        replaced,
        an_agreement(start=before),
        an_agreement(start=NOW),  # it came in the period, so that it was not there when that began
        an_agreement(**stopped, stop=before),
        an_agreement(**stopped, stop=until),
        an_agreement(status=AgreementStatus.STOPPED, start=NOW, stop=NOW + DAY),
        an_agreement(status=AgreementStatus.PENDING),
        an_agreement(start=None, created_at=before, price=euro(100)),
        an_agreement(start=before, shop=OTHER_SHOP),
    ]
    recovery = Recovery(a_row_id(), SHOP, ACCOUNT_ID, replaced.id, a_row_id(), 1, nok(25_000), RecoveryStatus.PAID, NOW)
    async with store.begin() as unit:
        for it in agreements:
            await unit.agreements.add(it)
        await unit.recoveries.add(recovery)
        await unit.recoveries.add(replace(recovery, id=a_row_id(), shop=OTHER_SHOP, subscription_id=ended.id))
        assert await unit.figures.active(SHOP) == {Currency.EUR: 1, Currency.NOK: 2}
        assert await unit.figures.alive(SHOP, since) == {Currency.EUR: 1, Currency.NOK: 4}
        assert await unit.figures.ended(SHOP, since, until) == {Currency.NOK: 1}


async def test_what_failed_first_and_was_paid_later_is_recovered(store: SqlStore) -> None:
    subscription = a_subscription(agreement_id=an_agreement_id())
    failed = {"failed_on": TODAY, "amount": nok(25_000)}
    rows = [
        a_renewal(subscription, 1, status=R.PAID, **failed),
        a_renewal(subscription, 2, status=R.COLLECTED, **failed),
        a_renewal(subscription, 3, status=R.FAILED, **failed),
        a_renewal(subscription, 4, status=R.PAID, amount=nok(25_000)),
        a_renewal(subscription, 5, status=R.PAID, **(failed | {"failed_on": TODAY - DAY})),
        a_renewal(replace(subscription, shop=OTHER_SHOP), 1, status=R.PAID, **failed),
    ]
    async with store.begin() as unit:
        await unit.renewals.add_all(rows)
        assert await unit.figures.recovered(SHOP, TODAY, TODAY + DAY) == [Recovered(Currency.NOK, failed=3, paid=2)]


async def test_what_waits_is_counted_by_its_reason(store: SqlStore) -> None:
    subscription = a_subscription()
    stock, shipping = RenewalReason.OUT_OF_STOCK, RenewalReason.SHIPPING
    rows = [
        a_renewal(subscription, 1, status=R.WAITING, reason=shipping),
        a_renewal(subscription, 2, status=R.WAITING, reason=stock),
        a_renewal(subscription, 3, status=R.WAITING, reason=stock),
        a_renewal(subscription, 4, status=R.WAITING),
        a_renewal(subscription, 5, status=R.SKIPPED, reason=stock),
        a_renewal(replace(subscription, shop=OTHER_SHOP), 1, status=R.WAITING, reason=shipping),
    ]
    async with store.begin() as unit:
        await unit.renewals.add_all(rows)
        assert await unit.figures.waiting(SHOP) == [Waiting(stock, 2), Waiting(shipping, 1)]


async def test_periods_of_a_day_are_counted_by_what_became_of_them_and_by_currency(store: SqlStore) -> None:
    subscription = a_subscription()
    stock = RenewalReason.OUT_OF_STOCK
    rows = [
        a_renewal(subscription, 1, due=TODAY - DAY, status=R.PAID, amount=nok(900)),
        a_renewal(subscription, 2, due=TODAY, status=R.PAID, amount=nok(100)),
        a_renewal(subscription, 3, due=TODAY, status=R.PAID, amount=nok(20)),
        a_renewal(subscription, 4, due=TODAY, status=R.PAID, amount=euro(7)),
        a_renewal(subscription, 5, due=TODAY, status=R.WAITING, reason=stock),
        a_renewal(subscription, 6, due=TODAY + DAY),
        a_renewal(subscription, 7, due=TODAY + 2 * DAY),
        a_renewal(replace(subscription, shop=OTHER_SHOP), 1, due=TODAY, status=R.PAID, amount=nok(5)),
    ]
    async with store.begin() as unit:
        await unit.renewals.add_all(rows)
        found = await unit.figures.outcomes(SHOP, TODAY, TODAY + DAY)
    assert set(found) == {
        Outcome(TODAY, R.PAID, None, 2, nok(120)),
        Outcome(TODAY, R.PAID, None, 1, euro(7)),
        Outcome(TODAY, R.WAITING, stock, 1, None),
        Outcome(TODAY + DAY, R.PLANNED, None, 1, None),
    }
    assert [it.day for it in found] == sorted(it.day for it in found)


async def test_agreements_that_rest_are_counted_by_why_and_only_while_they_are_in_force(store: SqlStore) -> None:
    resting = [
        (an_agreement(), SubscriptionStatus.PAUSED),
        (an_agreement(), SubscriptionStatus.PAUSED),
        (an_agreement(), SubscriptionStatus.HELD),
        (an_agreement(price=euro(100)), SubscriptionStatus.ENDING),
        (an_agreement(), SubscriptionStatus.ACTIVE),
        (an_agreement(status=AgreementStatus.STOPPED, stop=NOW), SubscriptionStatus.HELD),
        (an_agreement(shop=OTHER_SHOP), SubscriptionStatus.PAUSED),
    ]
    async with store.begin() as unit:
        for agreement, status in resting:
            await unit.agreements.add(agreement)
            of = {"id": agreement.id, "agreement_id": agreement.agreement_id, "shop": agreement.shop}
            await unit.subscriptions.add(a_subscription(**of, status=status), NOBODY)
        assert await unit.figures.resting(SHOP) == {
            Currency.NOK: {SubscriptionStatus.PAUSED: 2, SubscriptionStatus.HELD: 1},
            Currency.EUR: {SubscriptionStatus.ENDING: 1},
        }


async def test_an_empty_shop_has_nothing(store: SqlStore) -> None:
    async with store.begin() as unit:
        figures = unit.figures
        assert not await figures.settled(SHOP, march())
        assert not await figures.refunded(SHOP, march())
        assert not await figures.charges_to_come(SHOP, TODAY, TODAY)
        assert not await figures.renewals_to_come(SHOP, TODAY, TODAY)
        assert not await figures.held(SHOP)
        assert not await figures.active(SHOP)
        assert not await figures.resting(SHOP)
        assert not await figures.alive(SHOP, NOW)
        assert not await figures.ended(SHOP, NOW, NOW)
        assert not await figures.recovered(SHOP, TODAY, TODAY)
        assert not await figures.waiting(SHOP)
        assert not await figures.outcomes(SHOP, TODAY, TODAY)
