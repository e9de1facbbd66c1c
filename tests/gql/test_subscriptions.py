"""Subscriptions and renewals in GraphQL: what is shown, in how many queries, page by page, and what is foretold."""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import event

from app.domain.account import Scope
from app.domain.money import Currency, Money
from app.domain.plan import IntervalUnit, Plan
from app.domain.renewal import RenewalReason, RenewalStatus
from app.domain.schedule import Schedule
from app.domain.subscription import PriceChange, Subscriber, Subscription, SubscriptionStatus
from tests.builders import NOW, a_charge, a_renewal, a_row_id, a_subscription, an_agreement, nok
from tests.gql.helpers import Scene, a_scene, a_subscription_of, ask, two_shops
from tests.world import SHOP, World, bearer

SHOWN = """
query ($id: ID!) { agreement(id: $id) { id subscription {
  status reason nextDue pausedUntil endsOn channel initialOrderId shippingMethodId voucherPolicy
  lines { variantId name quantity unitPrice { minor } }
  priceChange { on price { minor } unitPrices { variantId price { minor } } }
  renewals(first: 5) { period due status reason reasonText orderId orderNumber amount { minor } charge { id status } }
} } }
"""
UPDATE = """
mutation ($id: ID!, $input: AgreementUpdateInput!) { agreementUpdate(id: $id, input: $input) {
  agreement { subscription {
    lines { variantId quantity } shippingMethodId voucherPolicy priceChange { on price { minor } }
  } }
  errors { field code message }
} }
"""
LIST = """
query ($first: Int!, $after: String, $filter: RenewalFilter) {
  renewals(first: $first, after: $after, filter: $filter) {
    totalCount pageInfo { hasNextPage hasPreviousPage endCursor }
    edges { node { agreementId period due status reason } }
  }
}
"""
FORECAST = """
query ($from: Date!, $to: Date!, $currency: String) { renewalForecast(from: $from, to: $to, currency: $currency) {
  count total { minor currency } currency currencies byDay { date count total { minor } }
} }
"""
NOBODY = Subscriber(None, None, None)


@pytest.fixture
async def scene(database_url: str) -> AsyncIterator[Scene]:
    world = await two_shops(database_url)
    yield await a_scene(world)
    await world.context.close()
    assert world.unforeseen == []


async def stored(world: World, *subscriptions: Subscription, price: Money | None = None) -> None:
    """With an agreement of each in our books."""
    async with world.context.store.begin() as unit:
        for it in subscriptions:
            amount = price or nok(25_000)
            await unit.agreements.add(an_agreement(id=it.id, agreement_id=it.agreement_id, price=amount))
            await unit.subscriptions.add(it, NOBODY)


def some(count: int, **over: Any) -> list[Subscription]:
    return [a_subscription(agreement_id=f"agr_many{number:03}", **over) for number in range(count)]


@contextmanager
def queries(world: World, table: str) -> Iterator[list[str]]:
    """The statements that read from a table."""
    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if f"FROM {table}" in statement:
            seen.append(statement)

    engine = world.context.store.engine.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    yield seen
    event.remove(engine, "before_cursor_execute", note)


async def test_an_agreement_shows_its_subscription_to_its_customer(scene: Scene) -> None:
    own = bearer(scene.shop.tokens.access(scene.customer))
    none = await ask(scene.world, SHOWN, {"id": scene.agreement}, own)
    assert none["data"]["agreement"] == {"id": scene.agreement, "subscription": None}

    change = PriceChange(date(2026, 5, 1), nok(30_000), {"UHJvZHVjdFZhcmlhbnQ6MQ==": 15_000}, NOW)
    subscription = await a_subscription_of(scene, price_change=change)
    charge = a_charge(agreement_id=scene.agreement, charge_id="chr-renewal")
    skipped = a_renewal(
        subscription,
        2,
        status=RenewalStatus.SKIPPED,
        reason=RenewalReason.SKIPPED,
        reason_text="skipped by the customer",
        charge_row=charge.id,
    )
    async with scene.world.context.store.begin() as unit:
        await unit.charges.add_all([charge])
        await unit.renewals.add_all([skipped])
    shown = (await ask(scene.world, SHOWN, {"id": scene.agreement}, own))["data"]["agreement"]["subscription"]
    assert shown == {
        "status": "ACTIVE",
        "reason": None,
        "nextDue": "2026-03-28",
        "pausedUntil": None,
        "endsOn": None,
        "channel": "default-channel",
        "initialOrderId": "T3JkZXI6MQ==",
        "shippingMethodId": None,
        "voucherPolicy": "FIRST",
        "lines": [
            {"variantId": "UHJvZHVjdFZhcmlhbnQ6MQ==", "name": "Kaffe", "quantity": 2, "unitPrice": {"minor": 12_500}}
        ],
        "priceChange": {
            "on": "2026-05-01",
            "price": {"minor": 30_000},
            "unitPrices": [{"variantId": "UHJvZHVjdFZhcmlhbnQ6MQ==", "price": {"minor": 15_000}}],
        },
        "renewals": [
            {
                "period": 2,
                "due": "2026-03-28",
                "status": "SKIPPED",
                "reason": "SKIPPED",
                "reasonText": "skipped by the customer",
                "orderId": None,
                "orderNumber": None,
                "amount": None,
                "charge": {"id": "chr-renewal", "status": "NEW"},
            },
            {
                "period": 1,
                "due": "2026-02-28",
                "status": "PAID",
                "reason": None,
                "reasonText": None,
                "orderId": "T3JkZXI6Nw==",
                "orderNumber": "7",
                "amount": {"minor": 25_000},
                "charge": None,
            },
        ],
    }
    # A client that may not read charges sees the periods without them.
    blind = await scene.world.client(Scope.AGREEMENTS_READ)
    answer = await ask(scene.world, SHOWN, {"id": scene.agreement}, blind)
    assert {error["extensions"]["code"] for error in answer["errors"]} == {"PERMISSION_DENIED"}
    assert [it["charge"] for it in answer["data"]["agreement"]["subscription"]["renewals"]] == [None, None]


async def test_a_page_of_agreements_costs_one_query_of_each_sort(scene: Scene) -> None:
    them = some(30)
    await stored(scene.world, *them)
    async with scene.world.context.store.begin() as unit:
        for it in them:
            charges = [
                a_charge(agreement_id=it.agreement_id, charge_id=f"chr-{it.agreement_id}-{n}") for n in (1, 2, 3)
            ]
            await unit.charges.add_all(charges)
            rows = [a_renewal(it, number, charge_row=row.id) for number, row in enumerate(charges, 1)]
            await unit.renewals.add_all(rows)
    query = """{ agreements(first: 100) { edges { node {
        id subscription { status renewals(first: 2) { period charge { id } } } } } } }"""
    machine = await scene.world.client()
    with (
        queries(scene.world, "subscription") as subscriptions,
        queries(scene.world, "renewal") as renewals,
        queries(scene.world, "charge") as charges_read,
    ):
        answer = await ask(scene.world, query, None, machine)
    nodes = [it["node"] for it in answer["data"]["agreements"]["edges"]]
    periods = [[row["period"] for row in it["subscription"]["renewals"]] for it in nodes if it["subscription"]]
    assert periods == [[3, 2]] * 30
    assert all(row["charge"]["id"] for it in nodes if it["subscription"] for row in it["subscription"]["renewals"])
    assert (len(subscriptions), len(renewals), len(charges_read)) == (1, 1, 1)
    too_many = "{ agreements { edges { node { subscription { renewals(first: 101) { id } } } } } }"
    assert (await ask(scene.world, too_many, None, machine))["errors"][0]["extensions"]["code"] == "INVALID"


async def test_a_mutation_shows_what_it_made_of_the_subscription(scene: Scene) -> None:
    await a_subscription_of(scene)
    mutation = """mutation ($ids: [ID!]!) {
      agreementPause(ids: $ids, until: "2026-04-10") { results { agreement { subscription { status pausedUntil } } } }
      agreementResume(ids: $ids) { results { agreement { subscription { status pausedUntil } } } }
      agreementSkip(ids: $ids) { results { agreement { subscription { nextDue } } } }
      agreementCancel(ids: $ids, at: PERIOD_END) { results { agreement { subscription { status endsOn } } } }
    }"""
    own = bearer(scene.shop.tokens.access(scene.customer))
    data = (await ask(scene.world, mutation, {"ids": [scene.agreement]}, own))["data"]
    seen = [it["results"][0]["agreement"]["subscription"] for it in data.values()]
    assert seen == [
        {"status": "PAUSED", "pausedUntil": "2026-04-10"},
        {"status": "ACTIVE", "pausedUntil": None},
        {"nextDue": "2026-04-28"},
        {"status": "ENDING", "endsOn": "2026-04-28"},
    ]


async def test_move_and_update_name_the_argument_that_is_wrong(scene: Scene) -> None:
    await a_subscription_of(scene)
    staff = scene.staff("HANDLE_PAYMENTS")
    mutation = """mutation ($id: ID!, $date: Date!) { agreementMove(id: $id, date: $date) {
      agreement { subscription { nextDue } } errors { field code message } } }"""
    moved = await ask(scene.world, mutation, {"id": scene.agreement, "date": "2026-04-02"}, staff)
    assert moved["data"]["agreementMove"] == {"agreement": {"subscription": {"nextDue": "2026-04-02"}}, "errors": []}
    for variables, field in (
        ({"id": scene.agreement, "date": "2026-03-05"}, "date"),
        ({"id": "agr_unknown", "date": "2026-04-02"}, "id"),
    ):
        answer = (await ask(scene.world, mutation, variables, staff))["data"]["agreementMove"]
        assert answer["agreement"] is None
        assert [it["field"] for it in answer["errors"]] == [field]

    good = {
        "lines": [{"variantId": "UHJvZHVjdFZhcmlhbnQ6MQ==", "quantity": 4}],
        "priceChange": {"on": "2026-05-01", "price": 26_000, "unitPrices": []},
        "shippingMethodId": "U2hpcHBpbmc6MQ==",
        "voucherPolicy": "EVERY",
    }
    answer = (await ask(scene.world, UPDATE, {"id": scene.agreement, "input": good}, staff))["data"]["agreementUpdate"]
    assert answer == {
        "agreement": {
            "subscription": {
                "lines": good["lines"],
                "shippingMethodId": "U2hpcHBpbmc6MQ==",
                "voucherPolicy": "EVERY",
                "priceChange": {"on": "2026-05-01", "price": {"minor": 26_000}},
            }
        },
        "errors": [],
    }
    wrong: dict[str, dict[str, Any]] = {
        "on": {"priceChange": {"on": "2026-03-10", "price": 26_000}},
        "price": {"priceChange": {"on": "2026-05-01", "price": 125_001}},
        "lines": {"lines": []},
        "input": {"shippingMethodId": "x", "price": 1000},
        "billingAddress": {"billingAddress": {"city": "Oslo"}},
    }
    for field, values in wrong.items():
        answer = await ask(scene.world, UPDATE, {"id": scene.agreement, "input": values}, staff)
        [error] = answer["data"]["agreementUpdate"]["errors"]
        assert error["field"] == field, error
    assert (
        "needs a new agreement"
        in (await ask(scene.world, UPDATE, {"id": scene.agreement, "input": wrong["price"]}, staff))["data"][
            "agreementUpdate"
        ]["errors"][0]["message"]
    )


async def test_an_address_is_stored_and_never_repeated(scene: Scene) -> None:
    subscription = await a_subscription_of(scene)
    staff = scene.staff("HANDLE_PAYMENTS")
    home = {"firstName": "Kari", "streetAddress1": "Hemmelige gate 7", "city": "Oslo", "country": "NO"}
    values: dict[str, Any] = {"billingAddress": home, "shippingAddress": home | {"streetAddress2": ""}}
    answer = await ask(scene.world, UPDATE, {"id": scene.agreement, "input": values}, staff)
    assert answer["data"]["agreementUpdate"]["errors"] == []
    async with scene.world.context.store.begin() as unit:
        person = await unit.subscriptions.subscriber(SHOP, subscription.id)
    assert person is not None
    assert (person.billing, person.shipping) == (home, home)
    for broken in (
        home | {"nickname": "x; y"},
        home | {"city": ["Oslo"]},
        home | {"country": "Norge"},
        "Hemmelige",
        {"city": ["Hemmelige"]},
    ):
        answer = await ask(scene.world, UPDATE, {"id": scene.agreement, "input": {"billingAddress": broken}}, staff)
        assert "Hemmelige" not in str(answer), broken
        assert "errors" in answer or answer["data"]["agreementUpdate"]["errors"]


async def test_renewals_are_listed_page_by_page_and_filtered(scene: Scene) -> None:
    them = some(5)
    await stored(scene.world, *them)
    rows = [a_renewal(it, number) for it in them for number in (1, 2)]
    for place in (3, 6):
        rows[place] = replace(rows[place], status=RenewalStatus.WAITING, reason=RenewalReason.OUT_OF_STOCK)
    async with scene.world.context.store.begin() as unit:
        await unit.renewals.add_all(rows)
    staff = scene.staff("MANAGE_ORDERS")

    found: list[dict[str, Any]] = []
    after = None
    while True:
        page = (await ask(scene.world, LIST, {"first": 3, "after": after}, staff))["data"]["renewals"]
        found += [it["node"] for it in page["edges"]]
        assert page["totalCount"] == 10
        assert page["pageInfo"]["hasPreviousPage"] is (after is not None)
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break
    assert len({(it["agreementId"], it["period"]) for it in found}) == 10
    assert [it["due"] for it in found] == ["2026-04-28"] * 5 + ["2026-03-28"] * 5

    async def total(**wanted: Any) -> int:
        answer = await ask(scene.world, LIST, {"first": 100, "filter": wanted}, staff)
        listed = answer["data"]["renewals"]
        assert len(listed["edges"]) == listed["totalCount"]
        return int(listed["totalCount"])

    assert await total(status=["WAITING"]) == 2
    assert await total(status=["PLANNED", "WAITING"], dueTo="2026-03-28") == 5
    assert await total(reason="OUT_OF_STOCK", dueFrom="2026-04-01") == 1
    assert await total(reason="PAUSED") == 0
    for wrong in ({"first": 0}, {"first": 101}, {"first": 1, "after": "rubbish"}):
        assert (await ask(scene.world, LIST, wrong, staff))["errors"][0]["extensions"]["code"] == "INVALID"
    other = await ask(scene.world, LIST, {"first": 10}, scene.staff("MANAGE_ORDERS", shop=scene.other))
    assert other["data"]["renewals"]["totalCount"] == 0


async def test_the_forecast_is_what_the_schedules_say(scene: Scene) -> None:
    month, week = Plan(IntervalUnit.MONTH, 1), Plan(IntervalUnit.WEEK, 2)
    end = date(2026, 1, 31)
    monthly = a_subscription(
        agreement_id="agr_month", schedule=Schedule(month, end), next_period=2, next_due=date(2026, 3, 31)
    )
    change = PriceChange(date(2026, 5, 1), nok(30_000), {}, NOW)
    dearer = replace(monthly, id=a_row_id(), agreement_id="agr_dearer", price_change=change)
    weekly = a_subscription(
        agreement_id="agr_week",
        schedule=Schedule(week, date(2026, 3, 9), 4),
        next_period=5,
        next_due=date(2026, 3, 23),
        status=SubscriptionStatus.PAUSED,
        paused_until=date(2026, 4, 6),
    )
    silent = [
        replace(weekly, id=a_row_id(), agreement_id="agr_rests", paused_until=None),
        replace(monthly, id=a_row_id(), agreement_id="agr_ends", status=SubscriptionStatus.ENDING, ends_on=end),
        replace(monthly, id=a_row_id(), agreement_id="agr_held", status=SubscriptionStatus.HELD),
    ]
    await stored(scene.world, monthly, dearer, weekly, *silent)
    # An older one: its periods have other numbers, and its days are the same.
    older = replace(monthly.schedule, first_period=5)
    await stored(scene.world, replace(monthly, id=a_row_id(), agreement_id="agr_old", schedule=older, next_period=7))
    open_ = a_renewal(weekly, 4, due=date(2026, 3, 9), amount=nok(24_000), status=RenewalStatus.CHARGING)
    done = a_renewal(monthly, 1, due=date(2026, 3, 10), status=RenewalStatus.PAID, amount=nok(25_000))
    euro = a_subscription(agreement_id="agr_euro", currency=Currency.EUR, lines=monthly.lines)
    await stored(scene.world, euro, price=Money(0, Currency.EUR))
    async with scene.world.context.store.begin() as unit:
        await unit.renewals.add_all([open_, done])

    machine = await scene.world.client(Scope.AGREEMENTS_READ)
    span = {"from": "2026-03-05", "to": "2026-05-31"}
    found = (await ask(scene.world, FORECAST, span, machine))["data"]["renewalForecast"]
    days = {it["date"]: (it["count"], it["total"]["minor"]) for it in found["byDay"]}
    assert days == {
        "2026-03-09": (1, 24_000),
        "2026-03-31": (3, 75_000),
        "2026-04-06": (1, 25_000),
        "2026-04-20": (1, 25_000),
        "2026-04-30": (3, 75_000),
        "2026-05-04": (1, 25_000),
        "2026-05-18": (1, 25_000),
        "2026-05-31": (3, 80_000),
    }
    assert (found["count"], found["total"]) == (14, {"minor": 354_000, "currency": "NOK"})
    assert (found["currency"], found["currencies"]) == ("NOK", ["EUR", "NOK"])
    # What has no price of its own costs what its lines do.
    theirs = (await ask(scene.world, FORECAST, span | {"currency": "EUR"}, machine))["data"]["renewalForecast"]
    assert [(it["date"], it["total"]["minor"]) for it in theirs["byDay"]] == [
        ("2026-03-28", 25_000),
        ("2026-04-28", 25_000),
        ("2026-05-28", 25_000),
    ]
    last = date(2026, 3, 5) + timedelta(days=401)
    for wrong in ({"to": "2026-03-04"}, {"to": str(last)}, {"to": "2026-03-31", "currency": "SEK"}):
        answer = await ask(scene.world, FORECAST, {"from": "2026-03-05"} | wrong, machine)
        assert answer["errors"][0]["extensions"]["code"] == "INVALID"
