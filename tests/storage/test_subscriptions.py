"""Sessions, subscriptions, renewals: one row each, in their shop, taken by one at a time."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from app.domain.money import Currency, Money
from app.domain.notice import Notice, NoticeKind
from app.domain.plan import IntervalUnit, Plan
from app.domain.renewal import Renewal, RenewalReason, RenewalStatus, renewal_id
from app.domain.schedule import Schedule
from app.domain.subscription import (
    Alike,
    PriceChange,
    Subscriber,
    Subscription,
    SubscriptionLine,
    SubscriptionStatus,
    VoucherPolicy,
)
from app.domain.transaction import ActionType, EventType, Report, ReportStatus, Session, report_id
from app.storage.database import SqlStore
from tests.builders import a_row_id, an_agreement, nok

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
SOON = NOW + timedelta(seconds=45)
SHOP, OTHER_SHOP = "https://shop.example/graphql/", "https://other.example/graphql/"
ACCOUNT = "00000000-0000-4000-8000-00000000acc0"
NOBODY = Subscriber(None, None, None)


def a_subscription(name: str = "1", **over: object) -> Subscription:
    values: dict[str, object] = {
        "id": f"00000000-0000-4000-8000-{name:0>12}",
        "shop": SHOP,
        "account_id": ACCOUNT,
        "agreement_id": f"agr_{name}",
        "customer": "VXNlcjox",
        "channel": "norway",
        "channel_id": "Q2hhbm5lbDox",
        "currency": Currency.NOK,
        "initial_order": "T3JkZXI6MQ==",
        "lines": (SubscriptionLine("UHJvZHVjdFZhcmlhbnQ6MQ==", 2, "Coffee", 19_900),),
        "schedule": Schedule(Plan(IntervalUnit.MONTH, 1), date(2026, 1, 31)),
        "next_period": 1,
        "next_due": date(2026, 2, 28),
        "status": SubscriptionStatus.ACTIVE,
        "created_at": NOW,
        "voucher": "EVERY10",
        "voucher_policy": VoucherPolicy.EVERY,
        "price_change": PriceChange(date(2026, 5, 1), Money(29_900, Currency.NOK), {"v": 29_900}, NOW),
    }
    return Subscription(**(values | over))  # type: ignore[arg-type]


def a_renewal(subscription: Subscription, period: int = 1, **over: object) -> Renewal:
    values: dict[str, object] = {
        "id": renewal_id(subscription.shop, subscription.id, period),
        "shop": subscription.shop,
        "account_id": subscription.account_id,
        "subscription_id": subscription.id,
        "agreement_id": subscription.agreement_id,
        "period": period,
        "due": subscription.schedule.due(period),
        "status": RenewalStatus.PLANNED,
        "created_at": NOW,
    }
    return Renewal(**(values | over))  # type: ignore[arg-type]


async def test_a_subscription_reads_back_as_it_was_and_stands_once(store: SqlStore) -> None:
    subscription = a_subscription()
    person = Subscriber("someone@shop.example", {"city": "OSLO"}, None, "NB")
    async with store.begin() as unit:
        assert await unit.subscriptions.add(subscription, person)
        assert not await unit.subscriptions.add(replace(subscription, id="another"), NOBODY)
        assert await unit.subscriptions.get(SHOP, subscription.id) == subscription
        assert await unit.subscriptions.subscriber(SHOP, subscription.id) == person
        assert await unit.subscriptions.get(OTHER_SHOP, subscription.id) is None
        assert await unit.subscriptions.subscriber(OTHER_SHOP, subscription.id) is None
        assert await unit.subscriptions.by_agreements(OTHER_SHOP, [subscription.agreement_id]) == {}


async def test_those_that_cost_the_same_on_the_same_days_are_one_group(store: SqlStore) -> None:
    """At the agreement's price, whenever that changes; lines tell only where it has none."""
    agreements = {name: an_agreement(price=nok(price)) for name, price in (("1", 500), ("2", 500), ("3", 0))}
    mine = {name: a_subscription(name, id=it.id) for name, it in agreements.items()}
    paused = a_subscription("4", status=SubscriptionStatus.PAUSED, paused_until=date(2026, 4, 1), price_change=None)
    ended = replace(mine["1"], id=a_row_id(), agreement_id="agr_5", status=SubscriptionStatus.ENDED)
    theirs = replace(mine["1"], id=a_row_id(), shop=OTHER_SHOP)
    agreements |= {"4": an_agreement(id=paused.id), "5": an_agreement(id=ended.id)}
    async with store.begin() as unit:
        for agreement in [*agreements.values(), an_agreement(id=theirs.id, shop=OTHER_SHOP)]:
            await unit.agreements.add(agreement)
        for it in (*mine.values(), paused, ended, theirs):
            assert await unit.subscriptions.add(it, NOBODY)
        plan, change = mine["1"].schedule.plan, (date(2026, 5, 1), nok(29_900))
        schedule, active = Schedule(plan, date(2026, 1, 31), -1), SubscriptionStatus.ACTIVE
        priced = Alike(2, schedule, date(2026, 2, 28), active, None, nok(500), change, ())
        by_lines = replace(priced, count=1, price=nok(0), lines=mine["3"].lines)
        rests = replace(
            priced,
            count=1,
            status=SubscriptionStatus.PAUSED,
            paused_until=date(2026, 4, 1),
            price=nok(25_000),
            change=None,
        )
        assert sorted(await unit.subscriptions.alike(SHOP), key=repr) == sorted([priced, by_lines, rests], key=repr)

        await unit.agreements.save(replace(agreements["2"], price=nok(700)))
        await unit.subscriptions.advance_all([replace(mine["1"], next_period=2, next_due=date(2026, 3, 31))])
        dearer = replace(priced, count=1, price=nok(700))
        advanced = replace(priced, count=1, schedule=replace(schedule, first_period=-2), next_due=date(2026, 3, 31))
        found = sorted(await unit.subscriptions.alike(SHOP), key=repr)
        assert found == sorted([dearer, advanced, by_lines, rests], key=repr)


async def test_a_persons_data_is_sealed(store: SqlStore) -> None:
    async with store.begin() as unit:
        await unit.subscriptions.add(a_subscription(), Subscriber("someone@shop.example", None, None))
    async with store.engine.connect() as connection:
        rows = (await connection.exec_driver_sql("SELECT * FROM subscription")).all()
    assert "someone@shop.example" not in str(rows)


async def test_of_two_changes_at_once_one_wins(store: SqlStore) -> None:
    subscription = a_subscription()
    async with store.begin() as unit:
        await unit.subscriptions.add(subscription, NOBODY)
        assert await unit.subscriptions.save(subscription.paused(None, NOW.date()))
        assert not await unit.subscriptions.save(subscription.ending())
        stored = await unit.subscriptions.get(SHOP, subscription.id)
    assert stored is not None
    assert (stored.status, stored.version) == (SubscriptionStatus.PAUSED, 1)


async def test_due_subscriptions_of_each_account_are_claimed_in_order(store: SqlStore) -> None:
    due = [a_subscription("3"), a_subscription("1"), a_subscription("2", next_due=date(2026, 2, 1))]
    others = [
        a_subscription("4", next_due=date(2026, 3, 5)),
        a_subscription("5", status=SubscriptionStatus.ENDED),
        a_subscription("6", account_id="another-account"),
    ]
    async with store.begin() as unit:
        for it in (*due, *others):
            await unit.subscriptions.add(it, NOBODY)
        claimed = await unit.subscriptions.claim_due({ACCOUNT: date(2026, 3, 4)}, 10)
        assert [it.id[-1] for it in claimed] == ["2", "1", "3"]
        assert await unit.subscriptions.claim_due({}, 10) == []
        await unit.subscriptions.advance_all([it.planned(2) for it in claimed])
        assert await unit.subscriptions.claim_due({ACCOUNT: date(2026, 3, 4)}, 10) == []
        assert {it.version for it in (await unit.subscriptions.by_agreements(SHOP, ["agr_1"])).values()} == {1}


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_planners_on_postgresql_take_different_subscriptions(store: SqlStore) -> None:
    async with store.begin() as unit:
        for number in range(4):
            await unit.subscriptions.add(a_subscription(str(number)), NOBODY)
    horizon = {ACCOUNT: date(2026, 3, 4)}
    async with store.begin() as first, store.begin() as second:
        mine = await first.subscriptions.claim_due(horizon, 3)
        theirs = await second.subscriptions.claim_due(horizon, 3)
    assert len(mine) == 3
    assert len(theirs) == 1
    assert not {it.id for it in mine} & {it.id for it in theirs}


async def test_a_period_has_one_row_and_gaps_are_counted(store: SqlStore) -> None:
    subscription = a_subscription(next_period=4, next_due=date(2026, 5, 31))
    async with store.begin() as unit:
        await unit.subscriptions.add(subscription, NOBODY)
        assert await unit.renewals.gaps(10) == [(SHOP, subscription.id, 3)]
        assert await unit.renewals.add_all([a_renewal(subscription, 1), a_renewal(subscription, 3)]) == 2
        assert await unit.renewals.add_all([a_renewal(subscription, 1), a_renewal(subscription, 2)]) == 1
        assert await unit.renewals.gaps(10) == []
        assert [it.period for it in await unit.renewals.of_subscription(SHOP, subscription.id)] == [1, 2, 3]


async def test_a_renewal_is_held_by_one_and_stored_by_whoever_holds_it(store: SqlStore) -> None:
    subscription = a_subscription()
    async with store.begin() as unit:
        await unit.renewals.add_all([a_renewal(subscription)])
        held = await unit.renewals.claim(SHOP, renewal_id(SHOP, subscription.id, 1), NOW, SOON)
        assert held is not None
        assert await unit.renewals.claim(SHOP, held.id, NOW, SOON) is None
        assert await unit.renewals.waiting(NOW, 10) == []
        again = await unit.renewals.claim(SHOP, held.id, SOON, SOON + timedelta(seconds=45))
        assert again is not None
        charging = replace(again, status=RenewalStatus.CHARGING, amount=Money(100, Currency.NOK), lease_until=None)
        assert not await unit.renewals.save(replace(held, status=RenewalStatus.FAILED))
        assert await unit.renewals.save(charging)
        assert await unit.renewals.get(SHOP, held.id) == charging
        assert await unit.renewals.waiting(NOW, 10) == [(SHOP, held.id)]
        assert await unit.renewals.claim(OTHER_SHOP, held.id, SOON, SOON) is None


async def test_what_is_final_or_dead_is_left_alone(store: SqlStore) -> None:
    subscription = a_subscription()
    paid = a_renewal(subscription, 1, status=RenewalStatus.PAID)
    dead = a_renewal(subscription, 2, dead="given up")
    later = a_renewal(subscription, 3, next_attempt_at=SOON)
    async with store.begin() as unit:
        await unit.renewals.add_all([paid, dead, later])
        assert await unit.renewals.waiting(NOW, 10) == []
        for it in (paid, dead, later):
            assert await unit.renewals.claim(SHOP, it.id, NOW, SOON) is None
        await unit.renewals.wake(SHOP, later.id, NOW)
        await unit.renewals.wake(SHOP, paid.id, NOW)
        assert await unit.renewals.waiting(NOW, 10) == [(SHOP, later.id)]
        assert [it.kind for it in await unit.failures.of_shop(SHOP, 10)] == ["RENEWAL"]
        assert await unit.failures.revive(SHOP, dead.id, NOW) == "RENEWAL"
        assert await unit.failures.count() == 0


async def test_ending_skips_what_is_not_charged_and_takes_it_from_whoever_holds_it(store: SqlStore) -> None:
    subscription = a_subscription()
    charged = a_renewal(subscription, 2, status=RenewalStatus.CHARGING, charge_row="charge")
    async with store.begin() as unit:
        await unit.renewals.add_all([a_renewal(subscription, 1), charged])
        held = await unit.renewals.claim(SHOP, renewal_id(SHOP, subscription.id, 1), NOW, SOON)
        assert held is not None
        before = await unit.renewals.end_open(SHOP, subscription.id, RenewalReason.ENDED, "it has ended")
        assert [it.id for it in before] == [held.id]
        assert not await unit.renewals.save(replace(held, status=RenewalStatus.CHARGING))
        now = await unit.renewals.get(SHOP, held.id)
        assert now is not None
        assert (now.status, now.reason) == (RenewalStatus.SKIPPED, RenewalReason.ENDED)
        assert await unit.renewals.get(SHOP, charged.id) == charged


async def test_a_session_belongs_to_its_shop_and_is_started_once_its_agreement_stands(store: SqlStore) -> None:
    agreement = an_agreement()
    session = Session(
        id="VHJhbnNhY3Rpb25JdGVtOjE=",
        shop=SHOP,
        account_id=ACCOUNT,
        agreement_row=agreement.id,
        action=ActionType.CHARGE,
        amount=Money(24_800, Currency.NOK),
        source="Q2hlY2tvdXQ6MQ==",
        created_at=NOW,
    )
    async with store.begin() as unit:
        assert await unit.sessions.add(session)
        assert not await unit.sessions.add(replace(session, source="other"))
        assert await unit.sessions.get(OTHER_SHOP, session.id) is None
        await unit.agreements.add(agreement)
        assert await unit.sessions.unstarted(10) == []
        assert [it.id for it in await unit.subscriptions.without(SHOP, 10)] == [session.id]
        await unit.sessions.give_order(SHOP, session.id, "T3JkZXI6MQ==")
        assert [it.id for it in await unit.sessions.unstarted(10)] == [session.id]
        await unit.sessions.mark_started(SHOP, session.id)
        assert await unit.sessions.unstarted(10) == []
        await unit.subscriptions.add(a_subscription(id=agreement.id), NOBODY)
        assert await unit.subscriptions.without(SHOP, 10) == []


async def test_a_report_is_stored_once_and_sent_until_it_is_settled(store: SqlStore) -> None:
    report = Report(
        id=report_id(SHOP, "transaction", "agr_1/chr-1", EventType.CHARGE_SUCCESS),
        shop=SHOP,
        transaction="transaction",
        psp_reference="agr_1/chr-1",
        type=EventType.CHARGE_SUCCESS,
        amount=Money(24_800, Currency.NOK),
        occurred_at=NOW,
        message="",
        actions=(ActionType.REFUND,),
        status=ReportStatus.WAITING,
        created_at=NOW,
    )
    async with store.begin() as unit:
        assert await unit.reports.add_all([report]) == {report.id}
        assert await unit.reports.add_all([replace(report, message="again")]) == frozenset()
        assert await unit.reports.of_transaction(SHOP, "transaction") == [report]
        held = await unit.reports.claim(SHOP, report.id, NOW, SOON)
        assert held is not None
        assert await unit.reports.waiting(NOW, 10) == []
        await unit.reports.retry(replace(held, next_attempt_at=SOON, failure="away"))
        assert await unit.reports.waiting(NOW, 10) == []
        assert await unit.reports.waiting(SOON, 10) == [(SHOP, report.id)]
        await unit.reports.settle(SHOP, report.id, ReportStatus.DONE)
        assert await unit.reports.waiting(SOON, 10) == []


async def test_reports_of_a_transaction_go_one_after_another_whatever_becomes_of_each(store: SqlStore) -> None:
    def a_report(number: int, transaction: str = "first") -> Report:
        return Report(
            id=report_id(SHOP, transaction, f"agr_1/{number}", EventType.CHARGE_SUCCESS),
            shop=SHOP,
            transaction=transaction,
            psp_reference=f"agr_1/{number}",
            type=EventType.CHARGE_SUCCESS,
            amount=Money(100, Currency.NOK),
            occurred_at=NOW,
            message="",
            actions=(),
            status=ReportStatus.WAITING,
            created_at=NOW + timedelta(microseconds=number),
        )

    first, second, third = (a_report(number) for number in range(3))
    other = a_report(3, "other")
    async with store.begin() as unit:
        await unit.reports.add_all([third, second, first, other])
        assert await unit.reports.waiting(NOW, 10) == [(SHOP, first.id), (SHOP, other.id)]
        assert await unit.reports.claim(SHOP, second.id, NOW, SOON) is None
        held = await unit.reports.claim(SHOP, first.id, NOW, SOON)
        assert held is not None
        # While it is on its way, and while it waits for another try.
        assert await unit.reports.claim(SHOP, second.id, NOW, SOON) is None
        await unit.reports.retry(replace(held, next_attempt_at=SOON))
        assert await unit.reports.claim(SHOP, second.id, NOW, SOON) is None
        held = await unit.reports.claim(SHOP, first.id, SOON, SOON)
        assert held is not None
        await unit.reports.settle(SHOP, first.id, ReportStatus.REFUSED, "no")
        held = await unit.reports.claim(SHOP, second.id, NOW, SOON)
        assert held is not None
        await unit.reports.retry(replace(held, dead="given up"))
        assert await unit.reports.claim(SHOP, third.id, NOW, SOON) is not None
        assert [it.id for it in await unit.reports.of_transaction(SHOP, "first")] == [first.id, second.id, third.id]


async def test_news_is_stored_once(store: SqlStore) -> None:
    notice = Notice("n-1", SHOP, ACCOUNT, NoticeKind.RENEWAL_PAID, "s-1", {"amount": 24_800}, NOW)
    async with store.begin() as unit:
        assert await unit.notices.add(notice)
        assert not await unit.notices.add(notice)
        held = await unit.notices.claim(SHOP, notice.id, NOW, SOON)
        assert held == replace(notice, attempts=1, lease_until=SOON)
        await unit.notices.done(SHOP, notice.id)
        assert await unit.notices.waiting(SOON, 10) == []
