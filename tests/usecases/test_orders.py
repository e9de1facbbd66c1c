"""Subscription orders: charged once, for their own total, or not at all and then with a reason."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any, cast

import pytest

from app.domain.account import Installation
from app.domain.charge import ChargeStatus
from app.domain.order import AGREEMENT_KEY, Order
from app.saleor.simulator.deliveries import Mischief, Status
from app.saleor.simulator.models import Order as ShopOrder
from app.usecases.agreements import cancel_agreements
from app.usecases.installations import installed
from app.usecases.orders import charge_order
from app.usecases.ports import Shop
from app.usecases.showing import report_charge
from app.vipps.simulator import DEFAULT_MERCHANT
from tests.usecases.steps import (
    MACHINE,
    a_made_charge,
    a_subscriber,
    an_agreement,
    an_order,
    another_worker,
    charge_of,
    creations,
    notes_of,
    only_order_created,
    raw,
    reason_of,
    recover,
    status_of,
)
from tests.world import SHOP, World, bearer, make_world

OTHER_SHOP = "https://other.example/graphql/"
EVENTS = ("ORDER_CREATED", "ORDER_CONFIRMED", "ORDER_UPDATED", "ORDER_METADATA_UPDATED")
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # the database does not matter here
# Totals as Saleor may write them, and what they are in minor units.
AMOUNTS = {"199": 19_900, "199.90": 19_990, "0.01e2": 100, "1249.5": 124_950, "249.000": 24_900}


async def test_an_order_that_names_an_agreement_is_charged_for_its_own_total(world: World) -> None:
    customer = world.saleor.create_customer()
    agreement = await world.agreement(bearer(world.saleor.tokens.access(customer)))
    metadata = {"vipps-recurring.agreement": agreement}

    order = world.saleor.create_order(customer, amount=199, metadata=metadata)
    await world.drain()

    [made] = world.effects("create")
    assert made.amount == 19900
    assert order.private_metadata["vipps-recurring.charge"] == made.charge_id
    assert order.private_metadata["vipps-recurring.status"] == "DUE"
    assert len(order.notes) == 1


@pytest.mark.parametrize("event", EVENTS)
@on_sqlite
async def test_each_order_event_alone_leads_to_exactly_one_charge(world: World, event: str) -> None:
    who = await a_subscriber(world)
    world.saleor.mischief = Mischief(drop=True, events=frozenset(EVENTS) - {event})

    order = an_order(world, who)
    if event in {"ORDER_UPDATED", "ORDER_METADATA_UPDATED"}:
        await world.drain()
        assert world.effects("create") == []
        world.advance(timedelta(seconds=1))
        world.saleor.touch_order(order)
        world.saleor.order_metadata_changed(order)
    await world.drain()

    assert {it.event.name for it in world.saleor.deliveries if it.status is Status.SUCCESS} == {event}
    assert [made.amount for made in world.effects("create")] == [19_900]
    assert status_of(order) == "DUE"
    assert len(order.notes) == 1


@on_sqlite
async def test_an_unconfirmed_order_is_charged_only_when_it_is_confirmed(world: World) -> None:
    who = await a_subscriber(world)

    order = an_order(world, who, confirm=False)
    world.saleor.touch_order(order)
    await world.drain()
    assert world.effects("create") == []
    assert order.notes == []
    assert order.private_metadata == {}

    world.advance(timedelta(seconds=1))
    world.saleor.confirm_order(order)
    await world.drain()
    assert len(world.effects("create")) == 1
    assert status_of(order) == "DUE"


@on_sqlite
async def test_metadata_that_is_added_later_leads_to_a_charge(world: World) -> None:
    who = await a_subscriber(world)
    order = world.saleor.create_order(who.user, amount="199.90")
    await world.drain()
    assert world.effects("create") == []
    assert order.notes == []

    world.advance(timedelta(seconds=1))
    world.saleor.update_order_metadata(order, {AGREEMENT_KEY: f" {who.agreement} "})
    await world.drain()

    assert [made.amount for made in world.effects("create")] == [19_990]
    assert status_of(order) == "DUE"


async def test_all_events_of_an_order_doubled_and_out_of_order_make_one_charge(world: World) -> None:
    who = await a_subscriber(world)
    world.saleor.mischief = Mischief(duplicate=True, reorder=True)

    orders = [an_order(world, who, amount=100 + number) for number in range(4)]
    for order in orders:
        world.saleor.touch_order(order)
        world.saleor.order_metadata_changed(order)
    await world.drain()
    for delivery in list(world.saleor.deliveries):
        if delivery.event.name in EVENTS:
            world.saleor.replay(delivery.number)
    await world.drain()

    assert sorted(made.amount for made in world.effects("create")) == [10_000, 10_100, 10_200, 10_300]
    assert [len(order.notes) for order in orders] == [1, 1, 1, 1]


async def test_the_same_bytes_again_are_no_new_event(world: World) -> None:
    who = await a_subscriber(world)
    an_order(world, who)
    await world.drain()
    stored = len(await raw(world, "inbox"))

    for delivery in list(world.saleor.deliveries):
        world.saleor.replay(delivery.number)
    replayed = await world.saleor.deliver()

    assert replayed
    assert all(delivery.attempts[-1].status_code == 202 for delivery in replayed)
    assert len(await raw(world, "inbox")) == stored
    assert world.jobs.waiting == []


@on_sqlite
async def test_the_charge_is_the_total_to_the_last_minor_unit(world: World) -> None:
    orders = {text: an_order(world, await a_subscriber(world), amount=Decimal(text)) for text in AMOUNTS}
    await world.drain()

    charged = {made.charge_id: made.amount for made in world.effects("create")}
    shown = {text: charged.get(order.private_metadata["vipps-recurring.charge"]) for text, order in orders.items()}
    assert shown == AMOUNTS


async def test_the_write_back_ends_its_own_loop(world: World) -> None:
    who = await a_subscriber(world)
    order = an_order(world, who)
    await world.drain()
    told = len(world.saleor.deliveries)

    for _ in range(5):
        world.advance(timedelta(seconds=1))
        world.saleor.touch_order(order)
        world.saleor.order_metadata_changed(order)
        await world.drain()
        await world.sweep()

    assert len(order.notes) == 1
    # Ten events of ours came in and none went out: each would have brought two more.
    assert len(world.saleor.deliveries) == told + 10


async def test_a_collected_charge_is_written_back_once(world: World) -> None:
    who = await a_subscriber(world)
    order = an_order(world, who)
    await world.drain()

    for _ in range(4):
        await recover(world, rounds=1, pause=timedelta(days=1))

    assert [entry.amount for entry in world.effects("charge")] == [19_900]
    assert status_of(order) == "CHARGED"
    assert reason_of(order) == ""
    assert len(order.notes) == 2
    assert "collected 199.00 NOK" in notes_of(order)[1]
    charge = await charge_of(world, order)
    assert charge is not None
    assert charge.captured == 19_900


@on_sqlite
async def test_an_order_shows_that_its_charge_became_due_without_the_same_words_again(world: World) -> None:
    who = await a_subscriber(world)
    world.vipps.faults.add("status", status=503, operation="getCharge", times=None)
    order = an_order(world, who)
    await world.drain()
    world.vipps.faults.clear()
    shown = [status_of(order)]

    await recover(world, rounds=2, pause=timedelta(hours=13))
    shown.append(status_of(order))

    assert shown == ["PENDING", "DUE"]
    assert len(order.notes) == 1
    assert "Vipps charges 199.00 NOK" in notes_of(order)[0]


@on_sqlite
async def test_an_order_that_was_told_of_meanwhile_is_not_given_the_same_words_again(world: World) -> None:
    """Whoever read the order before another process showed its charge there looks at it again."""
    who = await a_subscriber(world)
    only_order_created(world)
    order = an_order(world, who)
    deps, installation = world.context.deps, await installed(world.context.deps, SHOP)
    stale = await deps.shop.order(installation, order.id)
    world.vipps.faults.add("status", status=503, operation="getCharge", times=None)
    await world.drain()
    world.vipps.faults.clear()
    charge = await charge_of(world, order)
    assert charge is not None
    assert (status_of(order), charge.status) == ("PENDING", ChargeStatus.PENDING)

    await report_charge(deps, installation, charge, stale)

    assert status_of(order) == "DUE"
    assert len(order.notes) == 1


@pytest.mark.parametrize("amount", [151, 184])
@on_sqlite
async def test_a_charge_that_fails_for_good_is_written_back_with_its_reason(world: World, amount: int) -> None:
    who = await a_subscriber(world)
    order = an_order(world, who, amount=Decimal(amount) / 100)
    await world.drain()

    for _ in range(9):
        await recover(world, rounds=1, pause=timedelta(days=1))

    assert world.effects("charge") == []
    assert len(world.effects("create")) == 1
    assert status_of(order) == "FAILED"
    assert reason_of(order)
    assert len(order.notes) == 2
    assert "could not collect" in notes_of(order)[1]


@dataclass
class Refusal:
    """An order that must not be charged, and words that staff have to read."""

    order: ShopOrder
    words: str


async def _refusals(world: World) -> dict[str, Refusal]:
    shop = world.saleor
    who = await a_subscriber(world)
    mine = {AGREEMENT_KEY: who.agreement}
    stranger = shop.create_customer("per@example.com", "Per", "Hansen")
    theirs = await an_agreement(world, stranger)
    pending = await an_agreement(world, who.user, approve=False)
    stopped = await an_agreement(world, who.user)
    await cancel_agreements(world.context.deps, MACHINE, [stopped])
    partly = shop.create_order(who.user, amount=199, metadata=mine)
    partly.charged = Decimal(1)
    cancelled = shop.create_order(who.user, amount=199, metadata=mine, confirm=False)
    shop.cancel_order(cancelled)
    wanted: dict[str, tuple[str, Mapping[str, Any]]] = {
        "another customer's agreement": ("does not belong to the customer", {"metadata": {AGREEMENT_KEY: theirs}}),
        "an unknown agreement": ("has no agreement agr_unknown", {"metadata": {AGREEMENT_KEY: "agr_unknown"}}),
        "no id at all": ("has no agreement", {"metadata": {AGREEMENT_KEY: "'; DROP TABLE charge; --" * 20}}),
        "a pending agreement": ("is PENDING", {"metadata": {AGREEMENT_KEY: pending}}),
        "a stopped agreement": ("is STOPPED", {"metadata": {AGREEMENT_KEY: stopped}}),
        "paid already": ("is paid", {"paid": True}),
        "nothing to pay": ("", {"amount": 0}),
        "a third of an øre": ("not an amount that Vipps can charge", {"amount": Decimal("199.995")}),
        "another currency": ("DKK", {"channel": "denmark"}),
        "below what Vipps takes": ("least", {"amount": Decimal("0.99")}),
        "above five times the price": ("five times", {"amount": Decimal("1250.01")}),
        "above what an integer of Vipps holds": ("", {"amount": Decimal("99999999999.99")}),
    }
    found = {}
    for name, (words, over) in wanted.items():
        details: dict[str, Any] = {"amount": 199, "metadata": mine} | dict(over)
        found[name] = Refusal(shop.create_order(who.user, **details), words)
    guest = shop.create_order(email="guest@example.com", amount=199, metadata=mine)
    return found | {
        "a guest's order": Refusal(guest, "does not belong to the customer"),
        "partly paid": Refusal(partly, "in part"),
        "cancelled before anything was charged": Refusal(cancelled, "CANCELED"),
    }


@on_sqlite
async def test_what_must_not_be_charged_is_refused_with_a_reason_that_staff_can_read(world: World) -> None:
    refusals = await _refusals(world)
    await world.drain()
    await recover(world)

    assert world.effects("create") == []
    assert await raw(world, "charge") == []
    for name, it in refusals.items():
        assert status_of(it.order) == "NOT_CHARGED", name
        assert it.words in reason_of(it.order), name
        assert len(reason_of(it.order)) > 10, name
        assert len(it.order.notes) == 1, (name, notes_of(it.order))
        assert reason_of(it.order) in notes_of(it.order)[0], name


@on_sqlite
async def test_an_expired_draft_is_refused(world: World) -> None:
    who = await a_subscriber(world, approve=False)
    world.advance(timedelta(minutes=11))

    order = an_order(world, who)
    await world.drain()

    assert world.effects("create") == []
    assert "is EXPIRED" in reason_of(order)


@on_sqlite
async def test_an_agreement_that_the_customer_stopped_in_vipps_is_refused_by_vipps_and_told(world: World) -> None:
    who = await a_subscriber(world)
    first = an_order(world, who)
    await world.drain()
    assert status_of(first) == "DUE"
    world.vipps.stop_in_app(who.agreement)

    order = an_order(world, who)
    await world.drain()
    await recover(world)

    assert len(world.effects("create")) == 1
    assert status_of(order) == "REJECTED"
    assert "active" in reason_of(order)
    assert len(order.notes) == 1


class ShopThatShows:
    """The shop with some fields of every order as a test wants them: what the simulator cannot hold."""

    def __init__(self, shop: Shop, **over: Any) -> None:
        self._shop = shop
        self._over = over

    async def order(self, installation: Installation, order_id: str) -> Order | None:
        found = await self._shop.order(installation, order_id)
        return replace(found, **self._over) if found else None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._shop, name)


@pytest.mark.parametrize(
    ("over", "words"),
    [
        ({"authorize_status": "PARTIAL"}, "paid"),
        ({"authorize_status": "FULL"}, "paid"),
        ({"charge_status": "OVERCHARGED"}, "paid"),
        ({"payment_pending": True}, "under way"),
        ({"status": "EXPIRED"}, "EXPIRED"),
        ({"status": "RETURNED"}, "RETURNED"),
    ],
)
@on_sqlite
async def test_an_order_that_is_being_paid_otherwise_or_dead_is_refused(
    world: World, over: dict[str, Any], words: str
) -> None:
    deps = world.context.deps
    order = an_order(world, await a_subscriber(world))

    shown = replace(deps, shop=cast(Shop, ShopThatShows(deps.shop, **over)))
    done = await charge_order(shown, await installed(deps, SHOP), order.id)

    assert "not charged" in done
    assert words in reason_of(order)
    assert world.effects("create") == []


async def test_a_pending_agreement_that_was_approved_meanwhile_is_charged(world: World) -> None:
    who = await a_subscriber(world, approve=False)
    order = an_order(world, who)
    await world.drain()
    assert "is PENDING" in reason_of(order)

    world.advance(timedelta(seconds=1))
    world.vipps.approve(who.agreement)
    world.saleor.touch_order(order)
    await world.drain()

    assert [made.amount for made in world.effects("create")] == [19_900]
    assert status_of(order) == "DUE"
    assert reason_of(order) == ""
    assert len(order.notes) == 2


@on_sqlite
async def test_a_refused_order_is_charged_once_its_metadata_is_corrected(world: World) -> None:
    who = await a_subscriber(world)
    order = world.saleor.create_order(who.user, amount=199, metadata={AGREEMENT_KEY: "agr_misspelt"})
    await world.drain()
    assert status_of(order) == "NOT_CHARGED"

    world.advance(timedelta(seconds=1))
    world.saleor.update_order_metadata(order, {AGREEMENT_KEY: who.agreement})
    await world.drain()

    [made] = world.effects("create")
    assert status_of(order) == "DUE"
    assert order.private_metadata["vipps-recurring.charge"] == made.charge_id
    assert reason_of(order) == ""


async def test_a_cancelled_order_takes_back_its_charge_while_that_is_possible(world: World) -> None:
    who = await a_subscriber(world)
    order = an_order(world, who)
    await world.drain()
    [made] = world.effects("create")

    world.advance(timedelta(seconds=1))
    world.saleor.cancel_order(order)
    await world.drain()
    await recover(world)
    world.advance(timedelta(days=5))

    assert [entry.charge_id for entry in world.effects("cancel")] == [made.charge_id]
    assert world.effects("charge") == []
    assert status_of(order) == "CANCELLED"
    assert len(order.notes) == 2


async def test_an_order_cancelled_while_vipps_was_away_is_not_collected(world: World) -> None:
    who = await a_subscriber(world)
    world.vipps.faults.add("status", status=503, times=None)
    order = an_order(world, who)
    await world.drain()
    world.advance(timedelta(seconds=1))
    world.saleor.cancel_order(order)
    await world.drain()
    world.vipps.faults.clear()

    await recover(world)
    world.advance(timedelta(days=5))
    await recover(world)

    assert world.effects("charge") == []
    assert len(world.effects("create")) == len(world.effects("cancel"))


async def test_an_order_whose_cancelling_was_never_told_is_not_collected(world: World) -> None:
    """Saleor tries for five minutes only: the app may have been away for longer (facts: SALEOR 3.4)."""
    who = await a_subscriber(world)
    order = an_order(world, who)
    await world.drain()
    world.saleor.mischief = Mischief(drop=True)
    world.saleor.cancel_order(order)
    await world.drain()

    # Every quarter of an hour until past the due date: the sweeper looks at the charge on the way.
    for _ in range(4):
        await recover(world, rounds=1, pause=timedelta(hours=12))
        await recover(world, rounds=1, pause=timedelta(minutes=15))

    assert [entry.amount for entry in world.effects("cancel")] == [19_900]
    assert world.effects("charge") == []


@on_sqlite
async def test_a_charge_that_was_collected_before_the_order_was_cancelled_is_not_touched(world: World) -> None:
    who = await a_subscriber(world)
    order = an_order(world, who)
    await world.drain()
    world.advance(timedelta(days=3))
    await recover(world)

    world.saleor.cancel_order(order)
    await world.drain()
    await recover(world)

    assert [entry.amount for entry in world.effects("charge")] == [19_900]
    assert world.effects("cancel") == []
    assert world.effects("refund") == []
    assert status_of(order) == "CHARGED"


async def test_orders_of_one_agreement_are_refused_once_they_exceed_five_times_its_price(world: World) -> None:
    who = await a_subscriber(world)
    orders = [an_order(world, who, amount=500) for _ in range(4)]
    await world.drain()

    assert [status_of(order) for order in orders] == ["DUE", "DUE", "NOT_CHARGED", "NOT_CHARGED"]
    assert [made.amount for made in world.effects("create")] == [50_000, 50_000]


@on_sqlite
async def test_an_order_and_a_charge_by_api_count_towards_the_same_limit(world: World) -> None:
    who = await a_subscriber(world)
    await a_made_charge(world, who.agreement, price=100_000)

    order = an_order(world, who, amount=500)
    await world.drain()

    assert status_of(order) == "NOT_CHARGED"
    assert [made.amount for made in world.effects("create")] == [100_000]


@pytest.fixture
async def two_shops(database_url: str) -> AsyncIterator[World]:
    """Two shops of one merchant, with the same merchant account at Vipps."""
    world = make_world(database_url, (SHOP, OTHER_SHOP))
    for url, shop in world.shops.items():
        await world.install(shop)
        await world.set_account(url, msn=DEFAULT_MERCHANT.msn)
    yield world
    await world.context.close()
    assert world.unforeseen == []


async def test_an_agreement_of_another_shop_is_not_charged(two_shops: World) -> None:
    """The ids of the two customers are equal: every shop counts from one."""
    world = two_shops
    who = await a_subscriber(world)
    other = world.shops[OTHER_SHOP]
    theirs = other.create_customer()
    assert theirs.id == who.user.id

    order = other.create_order(theirs, amount=199, metadata={AGREEMENT_KEY: who.agreement})
    await world.drain()
    await recover(world)

    assert world.effects("create") == []
    assert status_of(order) == "NOT_CHARGED"
    assert "has no agreement" in reason_of(order)


@on_sqlite
async def test_two_shops_charge_their_own_orders_of_the_same_number(two_shops: World) -> None:
    world = two_shops
    orders = []
    for url, shop in world.shops.items():
        user = shop.create_customer()
        agreement = await an_agreement(world, user, url)
        orders.append(shop.create_order(user, amount=199, metadata={AGREEMENT_KEY: agreement}))
    await world.drain()

    assert [order.number for order in orders] == [1, 1]
    assert [status_of(order) for order in orders] == ["DUE", "DUE"]
    assert len({order.private_metadata["vipps-recurring.charge"] for order in orders}) == 2
    assert len(world.effects("create")) == 2


async def test_one_orders_events_worked_on_at_the_same_time_make_one_charge_and_one_note(world: World) -> None:
    second = another_worker(world)
    who = await a_subscriber(world)
    orders = [an_order(world, who, amount=50 + number) for number in range(3)]
    installation = await installed(world.context.deps, SHOP)

    works = [charge_order(deps, installation, it.id) for it in orders for deps in (world.context.deps, second.deps) * 2]
    await asyncio.gather(*works)
    await recover(world)
    await second.store.close()

    assert [len(creations(world, 5_000 + 100 * number)) for number in range(3)] == [1, 1, 1]
    assert [status_of(order) for order in orders] == ["DUE", "DUE", "DUE"]
    assert [len(order.notes) for order in orders] == [1, 1, 1]


async def test_a_refused_orders_events_worked_on_at_the_same_time_leave_one_note(world: World) -> None:
    """ORDER_CREATED and ORDER_CONFIRMED come within milliseconds of each other."""
    user = world.saleor.create_customer()
    order = world.saleor.create_order(user, amount=199, metadata={AGREEMENT_KEY: "agr_unknown"})
    installation = await installed(world.context.deps, SHOP)

    await asyncio.gather(*(charge_order(world.context.deps, installation, order.id) for _ in range(2)))

    assert status_of(order) == "NOT_CHARGED"
    assert len(order.notes) == 1
