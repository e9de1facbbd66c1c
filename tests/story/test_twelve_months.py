"""Twelve months of many subscriptions, checked against a calendar that shares no code with the app.

Every due period has one order and one charge, or one named reason; the money in Saleor's transactions is the money in
Vipps' ledger.
"""

import asyncio
import calendar
import random
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import uvloop

from app.domain.account import Scope
from app.domain.money import Currency
from app.domain.plan import IntervalUnit, Plan
from app.domain.renewal import Renewal, RenewalReason, RenewalStatus
from app.domain.schedule import Schedule
from app.domain.subscription import Subscriber, Subscription, SubscriptionLine, SubscriptionStatus
from app.saleor.simulator.catalog_models import ProductVariant
from app.usecases.planning import plan
from app.usecases.watchdog import find_gaps
from app.vipps.simulator.models import FailureReason
from tests.world import SHOP, START, World, make_world

FIRST = date(2028, 1, 27)  # a leap year, so that subscriptions begin at the ends of January and February
LAST = FIRST + timedelta(days=365)
PRICE = 249
ADDRESS = {"firstName": "A", "lastName": "B", "streetAddress1": "Gata 1", "city": "OSLO", "postalCode": "0154"}

# How many of each rhythm, and on which days of the story they begin: some 200 people in two stories told side by side.
Rhythms = Sequence[tuple[str, int, int, range]]
RHYTHMS: dict[str, Rhythms] = {
    "yearly-and-quarterly": (("YEAR", 1, 121, range(3)), ("MONTH", 3, 22, range(4))),
    "half-yearly-to-daily": (
        ("MONTH", 6, 55, range(3)),
        ("MONTH", 1, 7, range(4)),
        ("WEEK", 2, 1, range(3)),
        ("WEEK", 1, 1, range(330, 333)),
        ("DAY", 1, 1, range(358, 360)),
    ),
}


def reference(unit: str, count: int, anchor: date, number: int) -> date:
    """When the `number`-th interval after the anchor begins, worked out by hand."""
    if unit in {"DAY", "WEEK"}:
        return anchor + timedelta(days=number * count * (7 if unit == "WEEK" else 1))
    months = number * count * (12 if unit == "YEAR" else 1)
    year, month = anchor.year + (anchor.month - 1 + months) // 12, (anchor.month - 1 + months) % 12 + 1
    last = calendar.monthrange(year, month)[1]
    return date(year, month, min(anchor.day, last))


@dataclass
class Subscriber12:
    """One subscriber of the story, with what the calendar expects of every period.

    `dues` are the due days by period, `why` the reasons that are expected where a period is not paid, `dearer_from`
    the first period that costs the new price.
    """

    agreement_id: str
    row_id: str
    unit: str
    count: int
    began: date
    fate: str
    at: int
    dues: dict[int, date] = field(default_factory=dict)
    why: dict[int, str] = field(default_factory=dict)
    attempts: dict[int, int] = field(default_factory=dict)
    dearer_from: int | None = None
    variant: str = ""
    earlier: str = ""  # the agreement that was left for one paid by link

    def count_from(self, period: int, anchor: date) -> None:
        """The calendar from that period on, to the end of the story."""
        self.dues = {number: day for number, day in self.dues.items() if number < period}
        number = period
        while (day := reference(self.unit, self.count, anchor, number - period)) <= LAST:
            self.dues[number] = day
            number += 1

    def price(self, period: int) -> int:
        """In minor units."""
        return PRICE * 100 if self.dearer_from is None or period < self.dearer_from else NEW_PRICE

    def end_before(self, period: int) -> None:
        self.dues = {number: day for number, day in self.dues.items() if number < period}


FATES = (
    *("plain", "plain", "pause", "skip", "move", "fails-once", "fails", "pays-by-link"),
    *("price", "no-stock", "in-app", "period-end", "now"),
)
REASONS: tuple[FailureReason, ...] = ("user_action_required", "non_technical_error", "technical_error")
TOO_HIGH: FailureReason = "charge_amount_too_high"  # which Vipps' retries cannot mend, so nobody charges again
NEW_PRICE = 29_900


class Story:
    def __init__(self, world: World, headers: dict[str, str], choose: random.Random) -> None:
        self.world = world
        self.headers = headers
        self.choose = choose
        self.today = FIRST
        self.people: list[Subscriber12] = []
        self.later: dict[date, list[Callable[[], Any]]] = defaultdict(list)
        self.coffee: ProductVariant
        self.tea: ProductVariant  # of which there is none now and then
        self.channel_id = ""

    async def day(self) -> None:
        """One day: Vipps collects, webhooks and jobs run, the planner and the sweeper have their turns."""
        self.today += timedelta(days=1)
        self.world.advance(timedelta(days=1))
        await self.world.drain()
        for act in self.later.pop(self.today, []):
            await act()
        await plan(self.world.context.deps)
        await self.world.drain()
        await self.world.sweep()
        await self.world.drain()

    async def ask(self, mutation: str, **variables: Any) -> None:
        kinds = {"ids": "[ID!]!", "id": "ID!", "until": "Date", "date": "Date!", "at": "CancelAt"}
        kinds["input"] = "AgreementUpdateInput!"
        heads = ", ".join(f"${name}: {kinds[name]}" for name in variables)
        arguments = ", ".join(f"{name}: ${name}" for name in variables)
        query = f"mutation ({heads}) {{ {mutation}({arguments}) {{ errors {{ field code message }} }} }}"
        answer = await self.world.graphql(query, variables, self.headers)
        assert "errors" not in answer, answer
        assert answer["data"][mutation]["errors"] == [], answer

    async def begin(self, unit: str, count: int, fate: str) -> None:
        """A subscription that starts today: an agreement at Vipps, and its row as a purchase leaves it behind."""
        variant = self.tea if fate == "no-stock" else self.coffee
        agreement_id = await self.world.agreement(
            self.headers,
            price=PRICE * 100,
            interval={"unit": unit, "count": count},
            idempotencyKey=str(uuid.uuid4()),
        )
        async with self.world.context.store.begin() as unit_of_work:
            agreement = await unit_of_work.agreements.get(SHOP, agreement_id)
            assert agreement is not None
            begins = Schedule(Plan(IntervalUnit(unit), count), self.today)
            subscription = Subscription(
                id=agreement.id,
                shop=SHOP,
                account_id=agreement.account_id,
                agreement_id=agreement_id,
                customer=None,
                channel="norway",
                channel_id=self.channel_id,
                currency=Currency.NOK,
                initial_order="T3JkZXI6MA==",
                lines=(SubscriptionLine(variant.id, 1, "Coffee"),),
                schedule=begins,
                next_period=1,
                next_due=begins.due(1),
                status=SubscriptionStatus.ACTIVE,
                created_at=self.world.time.now,
            )
            person = Subscriber("someone@shop.example", ADDRESS | {"country": "NO"}, None)
            assert await unit_of_work.subscriptions.add(subscription, person)
        one = Subscriber12(agreement_id, agreement.id, unit, count, self.today, fate, 1, variant=variant.id)
        one.count_from(0, self.today)
        del one.dues[0]  # the first order paid it
        self.people.append(one)
        self._decide(one)

    def _decide(self, one: Subscriber12) -> None:
        """When the fate of a subscriber strikes: some days before one of its periods is due."""
        days = sorted(one.dues)
        if one.fate == "plain" or len(days) < 2:
            return
        one.at = self.choose.choice(days[: max(1, len(days) - 1)])
        due = one.dues[one.at]
        strikes = due - timedelta(days=8)
        if strikes <= self.today:
            strikes = self.today + timedelta(days=1)
        # Too short a rhythm for anything to happen between two periods.
        if (due - strikes).days < 4 or (one.fate == "no-stock" and one.unit != "YEAR"):
            one.fate = "plain"
            return
        self.later[strikes].append(lambda: self._strike(one, due))

    async def _strike(self, one: Subscriber12, due: date) -> None:
        if one.fate in {"pause", "skip", "move", "price", "period-end", "now"}:
            await self._wish(one, due)
        else:
            self._suffer(one, due)

    async def _wish(self, one: Subscriber12, due: date) -> None:
        """What customers and staff ask for."""
        ids = [one.agreement_id]
        match one.fate:
            case "pause":
                until = due + timedelta(days=self.choose.choice([1, 20, 70]))
                await self.ask("agreementPause", ids=ids, until=until.isoformat())
                one.why |= {number: "PAUSED" for number, day in one.dues.items() if due <= day < until}
            case "skip":
                await self.ask("agreementSkip", ids=ids)
                one.why[one.at] = "SKIPPED"
            case "move":
                moved = due + timedelta(days=3)
                await self.ask("agreementMove", id=one.agreement_id, date=moved.isoformat())
                one.count_from(one.at, moved)
            case "price":
                prices = [{"variantId": one.variant, "price": NEW_PRICE}]
                change = {"on": due.isoformat(), "price": NEW_PRICE, "unitPrices": prices}
                await self.ask("agreementUpdate", id=one.agreement_id, input={"priceChange": change})
                one.dearer_from = one.at
            case _:
                await self.ask("agreementCancel", ids=ids, at="NOW" if one.fate == "now" else "PERIOD_END")
                one.end_before(one.at)

    def _suffer(self, one: Subscriber12, due: date) -> None:
        """What happens at Vipps and in the shop."""
        vipps = self.world.vipps
        match one.fate:
            case "fails-once":
                vipps.set_failure(one.agreement_id, self.choose.choice(REASONS))
                one.attempts[one.at] = 2
                self.later[due + timedelta(days=4)].append(lambda: self._mend(one))
            case "fails":
                vipps.set_failure(one.agreement_id, self.choose.choice((*REASONS, TOO_HIGH)))
                one.why[one.at] = "CHARGE_FAILED"
                one.why |= {number: "HELD" for number in one.dues if number > one.at}
            case "pays-by-link":
                vipps.set_failure(one.agreement_id, self.choose.choice(REASONS))
                one.attempts[one.at] = 2
                self.later[due + timedelta(days=4)].append(lambda: self._pay(one))
            case "no-stock":
                self.world.saleor.set_stock(self.tea, 0)
                self.later[due + timedelta(days=5)].append(self._restock)
            case _:
                vipps.stop_in_app(one.agreement_id)
                one.end_before(one.at)

    async def _mend(self, one: Subscriber12) -> None:
        self.world.vipps.set_failure(one.agreement_id, None)

    async def _restock(self) -> None:
        self.world.saleor.set_stock(self.tea, 1000)

    async def _pay(self, one: Subscriber12) -> None:
        """The customer follows the link; from then on another agreement stands for this one."""
        async with self.world.context.store.begin() as unit:
            [failed] = [it for it in await unit.renewals.of_subscription(SHOP, one.row_id) if it.period == one.at]
        known = set(self.world.vipps.book.agreements)
        pressed = await self.world.http.post(self.world.context.deps.pay_url(failed.id))
        assert pressed.status_code == 303, pressed.text
        [new] = set(self.world.vipps.book.agreements) - known
        self.world.vipps.approve(new)
        one.earlier, one.agreement_id = one.agreement_id, new
        async with self.world.context.store.begin() as unit:
            found = await unit.agreements.get(SHOP, new)
        assert found is not None
        one.row_id = found.id


@pytest.fixture
def new_world(sqlite_url: str) -> World:
    return make_world(sqlite_url)


def starts(rhythms: Rhythms, choose: random.Random) -> Iterator[tuple[int, str, int, str]]:
    """(day of the story, unit, count, fate) of everybody."""
    for unit, count, many, days in rhythms:
        for number in range(many):
            yield choose.choice(days), unit, count, FATES[number % len(FATES)]


@pytest.mark.parametrize("rhythms", RHYTHMS)
def test_a_year_of_subscriptions(new_world: World, rhythms: str) -> None:
    """On the loop that `serve` and `worker` run on, which a year on SQLite takes a third less on."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(tell(new_world, RHYTHMS[rhythms]))


async def tell(world: World, rhythms: Rhythms) -> None:
    choose = random.Random(20280127)  # noqa: S311 - a story, not a secret
    world.advance(datetime(FIRST.year, FIRST.month, FIRST.day, 6, tzinfo=UTC) - START)
    await world.install()
    await world.set_account(retry_days=2, price_notice_days=7)
    await world.register_webhooks()
    story = Story(world, await world.client(Scope.AGREEMENTS_READ, Scope.AGREEMENTS_WRITE), choose)
    monthly = {"vipps-recurring.interval": "MONTH:1"}
    story.coffee, story.tea = (
        world.saleor.create_product(name, PRICE, metadata=monthly, is_shipping_required=False).variants[0]
        for name in ("Coffee", "Tea")
    )
    story.channel_id = world.saleor.channels["norway"].id
    everybody: dict[int, list[tuple[str, int, str]]] = defaultdict(list)
    for day, unit, count, fate in starts(rhythms, choose):
        everybody[day].append((unit, count, fate))
    for number in range(366):
        for unit, count, fate in everybody.pop(number, []):
            await story.begin(unit, count, fate)
        await plan(world.context.deps)  # a worker does it every ten minutes: what is due tomorrow is planned today
        await story.day()
    assert not everybody
    # What was planned for the last days is given the time to be collected.
    for _ in range(20):
        story.today += timedelta(days=1)
        world.advance(timedelta(days=1))
        await world.drain()
        await world.sweep()
        await world.drain()

    assert len(story.people) == sum(many for _, _, many, _ in rhythms)
    await _every_period_is_accounted_for(story)
    await _money_is_the_same_on_both_sides(story)
    assert world.unforeseen == []
    await world.context.close()


async def _every_period_is_accounted_for(story: Story) -> None:
    world = story.world
    wrong: list[object] = []
    async with world.context.store.begin() as unit:
        rows = {one.agreement_id: await unit.renewals.of_subscription(SHOP, one.row_id, 1000) for one in story.people}
        accounts = {it.id: it for it in await unit.accounts.of_shop(SHOP)}
    for one in story.people:
        found = {it.period: it for it in rows[one.agreement_id] if it.due <= LAST}
        expected = {number: _outcome(one, number) for number in one.dues}
        shown = {number: _shown(it) for number, it in found.items()}
        dues = {number: it.due for number, it in found.items()}
        if shown != expected or dues != one.dues:
            wrong.append((one, shown, dues))
        wrong += [(one, it, "charges") for it in found.values() if _tries(one, it) not in (None, it.attempt)]
    assert wrong == [], (len(wrong), wrong[:3])
    assert len({one.fate for one in story.people}) > len(set(FATES)) // 2
    assert [it for it in await find_gaps(world.context.deps, accounts) if "not planned" in str(it)] == []


def _outcome(one: Subscriber12, period: int) -> str:
    return one.why.get(period, "PAID")


def _tries(one: Subscriber12, renewal: Renewal) -> int | None:
    if renewal.status is not RenewalStatus.PAID:
        return None
    return one.attempts.get(renewal.period, 1)


def _shown(renewal: Renewal) -> str:
    if renewal.status is RenewalStatus.PAID:
        return "PAID"
    return str(renewal.reason) if renewal.status.final else f"{renewal.status}/{renewal.reason}"


async def _money_is_the_same_on_both_sides(story: Story) -> None:
    world = story.world
    vipps: Counter[str] = Counter()
    for one in story.people:
        both = [*world.vipps.charges(one.agreement_id), *(world.vipps.charges(one.earlier) if one.earlier else ())]
        charges = [it for it in both if it.status == "CHARGED"]
        vipps[one.agreement_id] = sum(it.amount for it in charges)
        # One collected charge for each paid period, and none besides.
        assert len({it.id for it in charges}) == len(charges)
    moved = {one.earlier: one.agreement_id for one in story.people if one.earlier}
    saleor_money: Counter[str] = Counter()
    orders: Counter[str] = Counter()
    for order in world.saleor.orders:
        if order.external_reference is None or order.status == "DRAFT":
            continue
        _, named, _ = order.external_reference.split(":")
        agreement_id = moved.get(named, named)
        orders[agreement_id] += 1
        saleor_money[agreement_id] += int(order.total_charged * Decimal(100))
        assert order.charge_status == "FULL", order.external_reference
    assert +saleor_money == +vipps
    async with world.context.store.begin() as unit:
        for one in story.people:
            rows = await unit.renewals.of_subscription(SHOP, one.row_id, 1000)
            paid = [it for it in rows if it.status is RenewalStatus.PAID]
            assert orders[one.agreement_id] == len(paid) == len({it.order for it in paid})
            assert vipps[one.agreement_id] == sum(one.price(it.period) for it in paid)
    assert RenewalReason.MISSED not in {it.reason for it in rows}
