"""Our books against Vipps': every difference is found, repaired forward or told, once, and nobody else's is touched."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from app.domain.account import ApiVersion, customer
from app.domain.agreement import AgreementStatus
from app.domain.charge import ChargeStatus
from app.domain.limits import LIST_AGREEMENTS
from app.domain.operation import OperationKind
from app.domain.records import Finding
from app.main import Context
from app.saleor.simulator.deliveries import Mischief
from app.saleor.simulator.models import Order
from app.usecases.agreements import cancel_agreements
from app.usecases.money_moves import ChargeMove
from app.usecases.nightly import reconcile_all, tidy
from app.usecases.reconciliation import Reconciliation, reconcile_account
from app.vipps.simulator import DEFAULT_MERCHANT
from tests.builders import a_call, a_charge, an_agreement, nok
from tests.usecases.steps import (
    MACHINE,
    Subscriber,
    a_collected_charge,
    a_made_charge,
    a_subscriber,
    agreement_row,
    an_order,
    another_worker,
    calls_of,
    charge_of,
    charges_by_id,
    each_once,
    moved,
    raw,
    recover,
    status_of,
    stored_charges,
    the_account,
    trouble,
)
from tests.usecases.steps import an_agreement as agreement_of
from tests.web.helpers import foreign_agreement, foreign_charge
from tests.world import SHOP, World, make_world

OTHER_SHOP = "https://other.example/graphql/"
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
async def version(request: pytest.FixtureRequest, world: World) -> ApiVersion:
    version = ApiVersion(request.param)
    await world.set_account(api_version=version)
    return version


@pytest.fixture
async def second(world: World) -> AsyncIterator[Context]:
    """Another worker on the same database."""
    context = another_worker(world)
    yield context
    await context.store.close()


async def compared(world: World, **which: str) -> Reconciliation:
    return await reconcile_account(world.context.deps, await the_account(world, **which))


def kinds(books: Reconciliation) -> list[tuple[str, bool]]:
    return [(str(it.kind), it.repaired) for it in books.findings]


async def stored(world: World, shop: str = SHOP) -> Sequence[Finding]:
    async with world.context.store.begin() as unit:
        return await unit.findings.of_shop(shop)


async def sums(world: World) -> list[tuple[str, int, int]]:
    return sorted((row["status"], row["captured"], row["refunded"]) for row in await raw(world, "charge"))


def deaf(world: World, *orders: Order) -> None:
    """What happens to these orders is lost on the way, or everything that happens."""
    subjects = frozenset(order.id for order in orders) if orders else None
    world.saleor.mischief = Mischief(drop=True, subjects=subjects)


@each_once
async def test_books_that_agree_are_told_so(world: World, version: ApiVersion) -> None:
    del version
    who = await a_subscriber(world)
    await a_made_charge(world, who.agreement)
    await a_collected_charge(world)
    await recover(world, rounds=1)
    books = await compared(world)

    assert (books.agreements, books.charges, books.orders) == (2, 2, 0)
    assert (books.findings, books.trouble) == ([], "")
    assert await stored(world) == []
    [told] = [it for it in await raw(world, "audit") if it["action"] == "account.reconciled"]
    assert (told["after"], told["reason"]) == ("2 agreements, 2 charges, 0 differences", "")


async def _a_stop_nobody_heard_of(world: World) -> None:
    world.vipps.stop_in_app((await a_subscriber(world)).agreement)


async def _a_draft_that_expired(world: World) -> None:
    await agreement_of(world, world.saleor.create_customer("late@example.com"), approve=False)
    world.advance(timedelta(minutes=20))


async def _a_stop_that_vipps_knows_nothing_of(world: World) -> None:
    row = await agreement_row(world, (await a_subscriber(world)).agreement)
    async with world.context.store.begin() as unit:
        await unit.agreements.save(replace(row, status=AgreementStatus.STOPPED))


async def _an_agreement_of_the_old_module(world: World) -> None:
    foreign_agreement(world, "agr_5kSeqzF")


async def _an_agreement_that_vipps_has_lost(world: World) -> None:
    account = await the_account(world)
    async with world.context.store.begin() as unit:
        assert await unit.agreements.add(an_agreement(account_id=account.id, agreement_id="agr_gone123"))


async def _a_charge_made_by_hand(world: World) -> None:
    who = await a_subscriber(world)
    foreign_charge(world.vipps.agreement(who.agreement), "chr-byhand1")


async def _a_charge_that_vipps_has_lost(world: World) -> None:
    who, account = await a_subscriber(world), await the_account(world)
    lost = a_charge(account_id=account.id, agreement_id=who.agreement, charge_id="chr-gone123", status=ChargeStatus.DUE)
    async with world.context.store.begin() as unit:
        await unit.charges.add_all([replace(lost, due=(world.time.now + timedelta(days=3)).date())])


async def _a_collection_nobody_heard_of(world: World) -> None:
    who = await a_subscriber(world)
    await a_made_charge(world, who.agreement)
    await world.sweep()
    world.advance(timedelta(days=3))


async def _a_collection_that_vipps_denies(world: World) -> None:
    it = await a_collected_charge(world)
    await recover(world, rounds=1)
    world.vipps.disguise(it.agreement_id, it.charge_id, status="DUE")


async def _a_refund_made_by_hand(world: World) -> None:
    it = await a_collected_charge(world)
    await recover(world, rounds=1)
    provider = world.context.deps.provider(await the_account(world))
    await provider.refund_charge(it.agreement_id, it.charge_id, nok(5_000), "by hand", key="portal")


async def _another_amount(world: World) -> None:
    who = await a_subscriber(world)
    charge = await a_made_charge(world, who.agreement, 10_000)
    await recover(world, rounds=1)
    world.vipps.disguise(who.agreement, charge.charge_id, fields={"amount": 12_345})


async def _a_charge_that_cannot_be_read(world: World) -> None:
    who = await a_subscriber(world)
    await a_subscriber(world)
    world.vipps.faults.add("status", status=500, path=f"{who.agreement}/charges", times=None)


async def _an_order_nobody_heard_of(world: World) -> None:
    deaf(world)
    an_order(world, await a_subscriber(world))
    await world.drain()


Happening = Callable[[World], Awaitable[None]]
# What happened, what is found (and whether our row could follow), and whether it is found again the next night.
DIFFERENCES: dict[str, tuple[Happening, list[tuple[str, bool]], str]] = {
    "a stop": (_a_stop_nobody_heard_of, [("AGREEMENT_STATUS", True)], "ACTIVE STOPPED"),
    "a draft": (_a_draft_that_expired, [("AGREEMENT_STATUS", True)], "PENDING EXPIRED"),
    "our own stop": (_a_stop_that_vipps_knows_nothing_of, [("AGREEMENT_STATUS", False)], "STOPPED ACTIVE"),
    "unknown here": (_an_agreement_of_the_old_module, [("AGREEMENT_UNKNOWN_HERE", False)], "unknown ACTIVE"),
    "unknown there": (_an_agreement_that_vipps_has_lost, [("AGREEMENT_UNKNOWN_THERE", False)], "ACTIVE not there"),
    "charge unknown here": (_a_charge_made_by_hand, [("CHARGE_UNKNOWN_HERE", True)], "unknown DUE 10000"),
    "charge unknown there": (_a_charge_that_vipps_has_lost, [("CHARGE_UNKNOWN_THERE", False)], "DUE not there"),
    "a collection": (
        _a_collection_nobody_heard_of,
        [("CHARGE_STATUS", True), ("CHARGE_AMOUNT", True)],
        "PENDING CHARGED",
    ),
    "a collection denied": (
        _a_collection_that_vipps_denies,
        [("CHARGE_STATUS", False)],
        "CHARGED DUE",
    ),
    "a refund": (
        _a_refund_made_by_hand,
        [("CHARGE_STATUS", True), ("CHARGE_AMOUNT", True)],
        "CHARGED PARTIALLY_REFUNDED",
    ),
    "an amount": (_another_amount, [("CHARGE_AMOUNT", False)], "10000 charged, 0 captured, 0 refunded 12345"),
    "unreadable": (_a_charge_that_cannot_be_read, [("UNREADABLE", False)], "ACTIVE Vipps answered 500"),
    "an order": (_an_order_nobody_heard_of, [("ORDER_NOT_CHARGED", True)], "had no charge"),
}


@pytest.mark.parametrize("name", DIFFERENCES)
@each_once
async def test_every_difference_is_found_and_repaired_or_told(world: World, version: ApiVersion, name: str) -> None:
    happening, expected, text = DIFFERENCES[name]
    await happening(world)
    first = await compared(world)
    await world.drain()

    # v2 shows no captured amount of its own, so that a denial of the collection is one of the money too.
    assert [it for it in kinds(first) if it in expected] == expected, (version, first.findings)
    assert {kind for kind, _ in kinds(first)} <= {kind for kind, _ in expected} | {"CHARGE_AMOUNT"}
    told = first.findings[0]
    assert text in f"{told.ours} {told.theirs}"
    assert first.trouble == ""
    assert [replace(it, kind=str(it.kind)) for it in await stored(world)] == [  # as a column holds it
        replace(it, kind=str(it.kind), ours=str(it.ours), theirs=str(it.theirs)) for it in first.findings
    ]

    second = await compared(world)

    assert kinds(second) == [it for it in kinds(first) if not it[1]]
    assert [(it.ours, it.theirs) for it in second.findings] == [(it.ours, it.theirs) for it in first.open_findings]
    assert list(await stored(world)) == [replace(it, kind=str(it.kind)) for it in second.findings]


@each_once
async def test_what_is_repaired_stands_in_the_books_and_in_the_audit(world: World, version: ApiVersion) -> None:
    del version
    await _a_refund_made_by_hand(world)
    await _a_collection_nobody_heard_of(world)
    await compared(world)

    assert await sums(world) == [("CHARGED", 10_000, 0), ("PARTIALLY_REFUNDED", 25_000, 5_000)]
    # Vipps' doing, not that of who looked; who looked is said.
    told = [it for it in await raw(world, "audit") if it["reason"] == "seen by system:reconcile"]
    steps = [(it["before"], it["after"]) for it in told]
    assert ("CHARGED", "PARTIALLY_REFUNDED") in steps
    assert {it["actor"] for it in told} == {"vipps:seen"}
    assert all(after != "" for _, after in steps)


@on_sqlite
async def test_what_would_be_a_step_back_is_never_taken(world: World) -> None:
    await _a_collection_that_vipps_denies(world)
    await _a_stop_that_vipps_knows_nothing_of(world)
    before = await sums(world), [row["status"] for row in await raw(world, "agreement")]
    for _ in range(2):
        await compared(world)

    assert (await sums(world), [row["status"] for row in await raw(world, "agreement")]) == before


@on_sqlite
async def test_a_status_that_nobody_has_heard_of_is_no_difference(world: World) -> None:
    await world.set_account(api_version=ApiVersion.V3)
    who = await a_subscriber(world)
    charge = await a_made_charge(world, who.agreement)
    await recover(world, rounds=1)
    world.vipps.disguise(who.agreement, charge.charge_id, status="TELEPORTED")

    assert kinds(await compared(world)) == []
    assert (await raw(world, "charge"))[0]["status"] in {"PENDING", "DUE"}


@on_sqlite
async def test_a_charge_whose_answer_was_lost_is_settled_and_one_that_was_never_sent_is_sent(world: World) -> None:
    who = await a_subscriber(world)
    for kind, price in (("reset-after", 1_000), ("reset-before", 2_000)):
        trouble(world, "createCharge", {"kind": kind})
        with pytest.raises(Exception, match="do not make it anew"):
            await a_made_charge(world, who.agreement, price, f"order-{price}")
    world.advance(timedelta(minutes=20))
    await compared(world)
    await world.run_jobs()

    assert sorted(it.amount for it in world.effects("create")) == [1_000, 2_000]
    assert ChargeStatus.NEW not in {it.status for it in (await charges_by_id(world)).values()}


@on_sqlite
async def test_an_order_shows_what_the_night_found_out(world: World) -> None:
    who = await a_subscriber(world)
    order = an_order(world, who)
    await world.drain()
    world.advance(timedelta(days=3))
    await compared(world)
    await world.run_jobs()

    assert status_of(order) == "CHARGED"


@each_once
async def test_an_order_whose_webhooks_were_all_lost_is_charged_once(world: World, version: ApiVersion) -> None:
    del version
    who = await a_subscriber(world, price=1_000_000)
    lost, heard = an_order(world, who, 199), an_order(world, who, 99)
    deaf(world, lost)
    await world.drain()
    assert await charge_of(world, lost) is None
    books = [await compared(world) for _ in range(2)]

    charge = await charge_of(world, lost)
    assert charge is not None
    assert sorted(it.amount for it in world.effects("create")) == [9_900, 19_900]
    assert [kinds(it) for it in books] == [[("ORDER_NOT_CHARGED", True)], []]
    [finding] = books[0].findings
    assert (finding.charge_id, finding.agreement_id) == (charge.charge_id, who.agreement)
    assert lost.id in finding.ours
    assert [it.orders for it in books] == [2, 2]
    assert status_of(lost) == status_of(heard) == "DUE"


@on_sqlite
async def test_orders_that_must_not_be_charged_are_not_charged_at_night_either(world: World) -> None:
    who = await a_subscriber(world)
    stranger = world.saleor.create_customer("stranger@example.com")
    deaf(world)
    cancelled, paid = an_order(world, who), an_order(world, who, 20)
    world.saleor.cancel_order(cancelled)
    world.saleor.mark_charged(paid)
    an_order(world, Subscriber(stranger, who.agreement), 30)
    an_order(world, Subscriber(who.user, "agr_unknown"), 40)
    world.saleor.create_order(who.user, amount=50)
    old = an_order(world, who, 60)
    old.created_at = world.time.now - timedelta(days=9)
    books = await compared(world)

    assert world.effects("create") == []
    assert books.findings == []
    assert books.orders == 4


@on_sqlite
async def test_a_shop_that_left_is_compared_without_its_orders(world: World) -> None:
    await a_subscriber(world)
    async with world.context.store.begin() as unit:
        installation = await unit.installations.get(SHOP)
        assert installation is not None
        await unit.installations.put(replace(installation, active=False, token=None))
    books = await compared(world)

    assert (books.agreements, books.orders, books.trouble) == (1, 0, "")


@pytest.fixture
async def two_shops(sqlite_url: str) -> AsyncIterator[World]:
    """Both with the same merchant serial number."""
    world = make_world(sqlite_url, (SHOP, OTHER_SHOP))
    for url, shop in world.shops.items():
        await world.install(shop)
        await world.set_account(shop=url)
    yield world
    await world.context.close()
    assert world.unforeseen == []


async def test_nothing_of_another_shop_is_touched_or_told(two_shops: World) -> None:
    world = two_shops
    person = world.shops[OTHER_SHOP].create_customer()
    theirs = await agreement_of(world, person, OTHER_SHOP)
    stopped = await agreement_of(world, person, OTHER_SHOP)
    world.vipps.stop_in_app(stopped)
    world.shops[OTHER_SHOP].mischief = Mischief(drop=True)
    order = world.shops[OTHER_SHOP].create_order(person, amount=10, metadata={"vipps-recurring.agreement": theirs})
    await world.drain()
    before = [row for row in await raw(world, "agreement") if row["shop"] == OTHER_SHOP]
    await a_subscriber(world)
    books = await compared(world, shop=SHOP)

    assert (books.agreements, books.findings) == (1, [])
    assert [row for row in await raw(world, "agreement") if row["shop"] == OTHER_SHOP] == before
    assert await charge_of(world, order, OTHER_SHOP) is None
    assert await stored(world, OTHER_SHOP) == []
    own = await compared(world, shop=OTHER_SHOP)
    assert sorted(kind for kind, _ in kinds(own)) == ["AGREEMENT_STATUS", "ORDER_NOT_CHARGED"]
    assert await stored(world, SHOP) == []


@on_sqlite
async def test_nothing_of_another_account_of_the_same_shop_is_touched_or_told(world: World) -> None:
    """Two channels whose accounts share a serial number: Vipps' list holds the agreements of both."""
    channel = next(iter(world.saleor.channels))
    other = await world.set_account(channel=channel)
    mine = await a_subscriber(world)
    theirs = Subscriber(mine.user, await agreement_of(world, mine.user, channel=channel))
    world.vipps.stop_in_app(mine.agreement)
    deaf(world)
    order = an_order(world, theirs)
    await world.drain()
    first = await compared(world)

    assert kinds(first) == [("AGREEMENT_STATUS", True)]
    assert first.agreements == 1
    assert await charge_of(world, order) is None
    second = await reconcile_account(world.context.deps, other)
    assert kinds(second) == [("ORDER_NOT_CHARGED", True)]
    charge = await charge_of(world, order)
    assert charge is not None
    assert charge.account_id == other.id
    assert sorted(it.kind for it in await stored(world)) == ["AGREEMENT_STATUS", "ORDER_NOT_CHARGED"]


AWAY: tuple[dict[str, Any], ...] = (
    {"kind": "status", "status": 503},
    {"kind": "reset-before"},
    {"kind": "garbage"},
    {"kind": "status", "status": 429, "retry_after": "60"},
    {"kind": "status", "status": 403},
)


@on_sqlite
async def test_vipps_away_is_trouble_and_what_was_found_before_stays_known(world: World) -> None:
    await _a_stop_that_vipps_knows_nothing_of(world)
    await compared(world)
    known = await stored(world)
    assert len(known) == 1
    for what in AWAY:
        trouble(world, "listAgreements", what | {"times": None})
        books = await compared(world)

        assert books.trouble, what
        assert (books.agreements, books.findings) == (0, []), what
        assert await stored(world) == known, what
        world.vipps.faults.clear()
        world.advance(timedelta(minutes=2))
    reasons = [it["reason"] for it in await raw(world, "audit") if it["action"] == "account.reconciled"]
    assert [bool(it) for it in reasons] == [False] + [True] * len(AWAY)
    assert len((await compared(world)).findings) == 1


@each_once
async def test_vipps_away_halfway_is_told_for_each_that_could_not_be_read(world: World, version: ApiVersion) -> None:
    del version
    people = [await a_subscriber(world) for _ in range(4)]
    world.vipps.stop_in_app(people[0].agreement)
    world.vipps.faults.add("status", status=503, operation="listCharges", times=None)
    world.vipps.faults.add("status", status=503, operation="getAgreement", times=None)
    books = await compared(world)

    assert kinds(books) == [("UNREADABLE", False)] * 4
    assert {it.agreement_id for it in books.findings} == {it.agreement for it in people}
    world.vipps.faults.clear()
    assert kinds(await compared(world)) == [("AGREEMENT_STATUS", True)]


@on_sqlite
async def test_a_shop_away_is_trouble_and_the_rest_is_compared(world: World) -> None:
    await _a_stop_nobody_heard_of(world)
    [app] = world.saleor.apps
    app.token = "another one"
    books = await compared(world)

    assert kinds(books) == [("AGREEMENT_STATUS", True)]
    assert "install the app again" in books.trouble
    assert len(await stored(world)) == 1


@each_once
async def test_two_comparisons_at_the_same_time_do_no_harm(world: World, second: Context, version: ApiVersion) -> None:
    del version
    await _a_stop_nobody_heard_of(world)
    await _a_refund_made_by_hand(world)
    await _an_order_nobody_heard_of(world)
    account = await the_account(world)
    books = await asyncio.gather(*(reconcile_account(it, account) for it in (world.context.deps, second.deps) * 2))
    await world.drain()

    assert [it.trouble for it in books] == [""] * 4
    assert len(world.effects("create")) == 1
    assert len(world.effects("refund")) == 1
    assert await sums(world) in (
        [("CHARGED", 25_000, 0)],
        [("DUE", 0, 0), ("PARTIALLY_REFUNDED", 25_000, 5_000)],
        [("PARTIALLY_REFUNDED", 25_000, 5_000), ("PENDING", 0, 0)],
    )
    assert len(await stored(world)) in {len(it.findings) for it in books}
    assert kinds(await compared(world)) == []


@on_sqlite
async def test_everything_is_counted(world: World) -> None:
    who = await a_subscriber(world, price=1_000_000)
    for number in range(3):
        await a_made_charge(world, who.agreement, 1_000 + number)
    await a_collected_charge(world)
    for number in range(2):
        an_order(world, who, 10 + number)
    await recover(world, rounds=1)
    foreign_agreement(world, "agr_5kSeqzF")
    books = await compared(world)

    assert (books.agreements, books.charges, books.orders, len(books.findings)) == (2, 6, 2, 1)
    assert len(calls_of(world, "listAgreements")) == 1
    assert len(calls_of(world, "listCharges")) == 2


@on_sqlite
async def test_what_was_over_long_ago_is_not_asked_for_every_night(world: World) -> None:
    it = await a_collected_charge(world)
    await cancel_agreements(world.context.deps, MACHINE, [it.agreement_id])
    await recover(world, rounds=1)
    await compared(world)
    assert len(calls_of(world, "listCharges")) == 1
    world.advance(timedelta(days=60))
    await compared(world)

    assert len(calls_of(world, "listCharges")) == 1


@on_sqlite
async def test_a_list_that_has_no_place_in_this_minute_waits_for_one(world: World) -> None:
    await a_subscriber(world)
    async with world.context.store.begin() as unit:
        bucket = LIST_AGREEMENTS.bucket("test", DEFAULT_MERCHANT.msn)
        await unit.allowances.take(bucket, 5, 5, world.time.now)
    began = world.time.now
    books = await compared(world)

    assert (books.agreements, books.trouble) == (1, "")
    assert timedelta(seconds=50) < world.time.now - began <= timedelta(seconds=65)


@on_sqlite
async def test_charges_that_wait_for_their_turn_are_no_differences(world: World) -> None:
    who = await a_subscriber(world, price=1_000_000)
    await stored_charges(world, who.agreement, 3)
    assert kinds(await compared(world)) == []


@on_sqlite
async def test_a_charge_that_vipps_refused_is_not_missed_there(world: World) -> None:
    who = await a_subscriber(world)
    world.vipps.faults.add("status", status=400, operation="createCharge")
    with pytest.raises(Exception, match="400"):
        await a_made_charge(world, who.agreement)

    assert kinds(await compared(world)) == []


@on_sqlite
async def test_a_move_of_ours_that_is_under_way_is_seen_once(world: World) -> None:
    it = replace(await a_collected_charge(world), price=5_000, idempotency_key="wish")
    await recover(world, rounds=1)
    world.vipps.faults.add("reset-after", operation="refundCharge")
    await moved(world, it)
    books = await compared(world)
    await recover(world)

    assert [kind for kind, _ in kinds(books)] == ["CHARGE_STATUS", "CHARGE_AMOUNT"]
    assert [entry.amount for entry in world.effects("refund")] == [5_000]
    [again] = await moved(world, it)
    assert again.answer.refunded == 5_000


@on_sqlite
async def test_every_account_has_its_turn_and_trouble_of_one_is_its_own(world: World) -> None:
    await a_subscriber(world)
    await world.set_account(channel="channel-b", client_secret="wrong")
    await world.set_account(channel="channel-c", client_secret=None)
    told: list[Reconciliation] = []
    await reconcile_all(world.context.deps, told.append)

    assert {it.account.channel: bool(it.trouble) for it in told} == {"default": False, "channel-b": True}
    assert await reconcile_all(world.context.deps, told.append, OTHER_SHOP) == []


@on_sqlite
async def test_customers_agreements_keep_their_owner_and_found_ones_have_none(world: World) -> None:
    """Whoever made a charge by hand made it for the agreement's customer; an unknown agreement is nobody's."""
    await _a_charge_made_by_hand(world)
    await _an_agreement_of_the_old_module(world)
    await compared(world)
    rows = await raw(world, "agreement")

    assert [row["customer"] for row in rows] == [customer(SHOP, world.saleor.users[-1].id).id]
    assert [row["origin"] for row in await raw(world, "charge")] == ["FOUND"]


@on_sqlite
async def test_old_calls_are_tidied_away(world: World) -> None:
    async with world.context.store.begin() as unit:
        await unit.calls.add([a_call(at=world.time.now - timedelta(days=91)), a_call(at=world.time.now)])

    assert await tidy(world.context.deps) == 1
    assert len(await raw(world, "call")) == 1


@on_sqlite
async def test_a_cancelled_charge_is_compared_like_any_other(world: World) -> None:
    who = await a_subscriber(world)
    charge = await a_made_charge(world, who.agreement)
    provider = world.context.deps.provider(await the_account(world))
    await provider.cancel_charge(who.agreement, charge.charge_id or "", key="portal")
    books = await compared(world)

    assert kinds(books) == [("CHARGE_STATUS", True)]
    [refused] = await moved(world, ChargeMove(OperationKind.CANCEL, who.agreement, charge.charge_id or ""))
    assert refused.error is not None
