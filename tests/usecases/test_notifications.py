"""A webhook of Vipps' says where to look: what was read there is applied, once, in whatever order events come."""

import contextlib
import itertools
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest

from app.domain.account import ApiVersion
from app.domain.agreement import TransactionType
from app.domain.charge import ChargeStatus
from app.domain.operation import OperationKind
from app.jobs.workflows import handlers
from app.saleor.payloads import object_of
from app.usecases.agreements import InitialChargeWish, cancel_agreements
from app.usecases.charges import ChargeMake, make_charges
from app.usecases.money_moves import ChargeMove
from app.usecases.ports import Job
from app.vipps.simulator import Mischief
from app.vipps.simulator.webhooks.deliveries import Status
from tests.builders import nok
from tests.usecases.steps import (
    MACHINE,
    Died,
    Life,
    Subscriber,
    a_collected_charge,
    a_made_charge,
    a_reserved_charge,
    a_subscriber,
    agreement_row,
    an_agreement,
    an_order,
    calls_of,
    charge_of,
    charges_by_id,
    each_once,
    each_version,
    hears_vipps,
    limited,
    mortal,
    moved,
    notes_of,
    on_v3,
    only_order_created,
    raw,
    recover,
    status_of,
    stored_charges,
    the_account,
    trouble,
)
from tests.world import SHOP, World, make_world

OTHER_SHOP = "https://other.example/graphql/"
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
async def version(request: pytest.FixtureRequest, world: World) -> ApiVersion:
    """The account hears Vipps' webhooks, whichever version it speaks."""
    version = ApiVersion(request.param)
    await world.set_account(api_version=version)
    await hears_vipps(world)
    return version


async def a_draft(world: World, **over: Any) -> str:
    return await an_agreement(world, world.saleor.create_customer(), approve=False, **over)


async def by_portal(world: World, what: str, agreement: str, charge: str, amount: int = 0) -> None:
    """Somebody moves money at Vipps past this app."""
    provider = world.context.deps.provider(replace(await the_account(world), api_version=ApiVersion.V3))
    key = f"portal-{len(world.vipps.ledger)}"
    match what:
        case "cancel":
            await provider.cancel_charge(agreement, charge, key=key)
        case "capture":
            await provider.capture_charge(agreement, charge, nok(amount), "by hand", key=key)
        case _:
            await provider.refund_charge(agreement, charge, nok(amount), "by hand", key=key)


async def handled(world: World) -> dict[str, str]:
    """Per event type what came of the last one."""
    rows = [row for row in await raw(world, "inbox") if row["source"] == "vipps"]
    assert {row["status"] for row in rows} <= {"DONE"}
    return {row["event"].removeprefix("recurring.").removesuffix(".v1"): row["result"] for row in rows}


async def the_charge(world: World) -> dict[str, Any]:
    [row] = await raw(world, "charge")
    return row


@dataclass(frozen=True)
class Told:
    """What is expected after an event: the agreement's status, and the charge's with what was captured and refunded."""

    agreement: str
    charge: tuple[str, int, int] | None = None
    stopped_by: str | None = None


Happening = Callable[[World], Awaitable[str]]


async def _activated(world: World) -> str:
    agreement = await a_draft(world)
    world.vipps.approve(agreement)
    return agreement


async def _rejected(world: World) -> str:
    agreement = await a_draft(world)
    world.vipps.reject(agreement)
    return agreement


async def _expired(world: World) -> str:
    agreement = await a_draft(world)
    world.advance(timedelta(minutes=11))
    return agreement


async def _stopped_by_user(world: World) -> str:
    agreement = (await a_subscriber(world)).agreement
    world.vipps.stop_in_app(agreement)
    return agreement


async def _stopped_by_admin(world: World) -> str:
    agreement = (await a_subscriber(world)).agreement
    world.vipps.stop_as_admin(agreement)
    return agreement


async def _reserved(world: World) -> str:
    initial = InitialChargeWish(25_000, "First box", TransactionType.RESERVE_CAPTURE)
    agreement = await a_draft(world, initial_charge=initial)
    world.vipps.approve(agreement)
    return agreement


async def _captured(world: World) -> str:
    agreement = (await a_subscriber(world)).agreement
    await a_made_charge(world, agreement)
    world.advance(timedelta(days=3))
    return agreement


async def _failed(world: World) -> str:
    agreement = (await a_subscriber(world)).agreement
    await a_made_charge(world, agreement)
    world.vipps.set_failure(agreement, "user_action_required")
    world.advance(timedelta(days=8))
    return agreement


async def _canceled(world: World) -> str:
    agreement = (await a_subscriber(world)).agreement
    charge = await a_made_charge(world, agreement)
    await by_portal(world, "cancel", agreement, charge.charge_id or "")
    return agreement


async def _refunded(world: World) -> str:
    collected = await a_collected_charge(world)
    await by_portal(world, "refund", collected.agreement_id, collected.charge_id, 10_000)
    return collected.agreement_id


HAPPENINGS: dict[str, tuple[Happening, str, Told]] = {
    "activated": (_activated, "agreement-activated", Told("ACTIVE")),
    "rejected": (_rejected, "agreement-rejected", Told("STOPPED")),
    "expired": (_expired, "agreement-expired", Told("EXPIRED")),
    "stopped by the user": (_stopped_by_user, "agreement-stopped", Told("STOPPED", stopped_by="USER")),
    "stopped by Vipps": (_stopped_by_admin, "agreement-stopped", Told("STOPPED", stopped_by="ADMIN")),
    "reserved": (_reserved, "charge-reserved", Told("ACTIVE", ("RESERVED", 0, 0))),
    "captured": (_captured, "charge-captured", Told("ACTIVE", ("CHARGED", 10_000, 0))),
    "failed": (_failed, "charge-failed", Told("ACTIVE", ("FAILED", 0, 0))),
    "canceled": (_canceled, "charge-canceled", Told("ACTIVE", ("CANCELLED", 0, 0))),
    "refunded": (_refunded, "charge-refunded", Told("ACTIVE", ("PARTIALLY_REFUNDED", 25_000, 10_000))),
}


@pytest.mark.parametrize("name", HAPPENINGS)
@each_once
async def test_every_event_brings_our_row_to_where_vipps_is(world: World, version: ApiVersion, name: str) -> None:
    """No sweep and no job by the clock: what is known is known by the webhook."""
    happening, event, told = HAPPENINGS[name]
    agreement = await happening(world)
    await world.drain()

    assert (await handled(world))[event], version
    row = await agreement_row(world, agreement)
    assert (row.status, row.stopped_by) == (told.agreement, told.stopped_by)
    if told.charge:
        charge = await the_charge(world)
        assert (charge["status"], charge["captured"], charge["refunded"]) == told.charge
    assert "vipps:webhook" in {it["actor"] for it in await raw(world, "audit")}
    assert {it.status for it in world.vipps.deliveries} == {Status.DELIVERED}


@each_once
async def test_a_repeated_event_is_applied_once(world: World, version: ApiVersion) -> None:
    del version
    agreement = await _captured(world)
    world.vipps.mischief = Mischief(duplicate=True)
    await world.drain()
    audit, looks = await raw(world, "audit"), len(calls_of(world, "getCharge"))
    for delivery in world.vipps.deliveries:
        world.vipps.replay(delivery.number)
    await world.drain()

    assert len(await raw(world, "inbox")) == len(world.vipps.events)
    assert await raw(world, "audit") == audit
    assert len(calls_of(world, "getCharge")) == looks == 1
    assert (await the_charge(world))["status"] == "CHARGED"
    assert (await agreement_row(world, agreement)).status == "ACTIVE"


@each_version
async def test_events_in_any_order_lead_to_the_same_end(world: World, version: ApiVersion) -> None:
    """Reserved, captured, refunded in two parts, stopped: all is over at Vipps before the first of them is heard of."""
    del version
    ends, orders = set(), list(itertools.permutations(range(5)))[::13]
    for order in orders:
        reserved = await a_reserved_charge(world)
        agreement, charge = reserved.agreement_id, reserved.charge_id
        before = len(await raw(world, "inbox"))
        await by_portal(world, "capture", agreement, charge, 25_000)
        await by_portal(world, "refund", agreement, charge, 10_000)
        world.advance(timedelta(minutes=1))
        await by_portal(world, "refund", agreement, charge, 15_000)
        world.vipps.stop_in_app(agreement)
        await world.vipps.deliver()
        waiting = [it for it in world.jobs.waiting if it[0] is Job.APPLY_INBOX][-5:]
        assert len(await raw(world, "inbox")) - before >= 5
        world.jobs.waiting[:] = [it for it in world.jobs.waiting if it not in waiting]
        world.jobs.waiting += [waiting[place] for place in order]
        await world.run_jobs()

        row = await agreement_row(world, agreement)
        [found] = [it for it in await raw(world, "charge") if it["charge_id"] == charge]
        ends.add((row.status, row.stopped_by, found["status"], found["captured"], found["refunded"]))
    assert len(orders) == 10
    assert ends == {("STOPPED", "USER", "REFUNDED", 25_000, 25_000)}


@each_once
async def test_our_own_stop_is_not_taken_for_somebody_elses(world: World, version: ApiVersion) -> None:
    del version
    who = await a_subscriber(world)
    await a_made_charge(world, who.agreement)
    await world.drain()
    await cancel_agreements(world.context.deps, MACHINE, [who.agreement])
    looks = len(calls_of(world, "getAgreement"))
    await world.drain()

    assert (await handled(world))["agreement-stopped"] == "stopped by ourselves"
    assert len(calls_of(world, "getAgreement")) == looks
    row = await agreement_row(world, who.agreement)
    assert (row.status, row.stopped_by) == ("STOPPED", None)
    # What went with it is heard of all the same.
    assert (await the_charge(world))["status"] == "CANCELLED"


@on_sqlite
async def test_a_stop_in_the_portal_after_our_own_was_refused_is_somebody_elses(world: World) -> None:
    await hears_vipps(world)
    who = await a_subscriber(world)
    world.vipps.faults.add("status", status=400, operation="updateAgreement")
    await cancel_agreements(world.context.deps, MACHINE, [who.agreement])
    account = await the_account(world)
    await world.context.deps.provider(account).stop_agreement(who.agreement, key="portal")
    await world.drain()

    row = await agreement_row(world, who.agreement)
    assert (row.status, row.stopped_by) == ("STOPPED", "MERCHANT")


@on_sqlite
async def test_a_stop_of_ours_whose_answer_was_lost_is_finished_once(world: World) -> None:
    await hears_vipps(world)
    who = await a_subscriber(world)
    world.vipps.faults.add("reset-after", operation="updateAgreement")
    await cancel_agreements(world.context.deps, MACHINE, [who.agreement])
    await world.drain()
    await recover(world, rounds=1)

    assert len(world.effects("stop")) == 1
    assert (await agreement_row(world, who.agreement)).status == "STOPPED"
    assert {row["status"] for row in await raw(world, "operation")} == {"DONE"}


@each_once
async def test_who_stopped_it_is_noted_once(world: World, version: ApiVersion) -> None:
    """A second event of another actor, invented perhaps, does not change it."""
    del version
    agreement = await _stopped_by_user(world)
    await world.drain()
    world.vipps.invent_event("recurring.agreement-stopped.v1", {"agreementId": agreement, "actor": "ADMIN"})
    await world.drain()

    assert (await agreement_row(world, agreement)).stopped_by == "USER"
    notes = [it for it in await raw(world, "audit") if it["action"] == "agreement.stopped_by"]
    assert [it["reason"] for it in notes] == ["stopped by USER"]


@on_sqlite
@pytest.mark.parametrize("event", ["agreement-stopped", "agreement-expired", "agreement-rejected"])
async def test_an_event_of_what_never_happened_changes_nothing(world: World, event: str) -> None:
    await hears_vipps(world)
    who = await a_subscriber(world)
    charge = await a_made_charge(world, who.agreement)
    fields = {"agreementId": who.agreement, "actor": "USER"}
    world.vipps.invent_event(f"recurring.{event}.v1", fields)
    world.vipps.invent_event("recurring.charge-refunded.v1", fields | {"chargeId": charge.charge_id})
    await world.drain()

    row = await agreement_row(world, who.agreement)
    assert (row.status, row.stopped_by) == ("ACTIVE", None)
    assert (await the_charge(world))["status"] == "DUE"


@pytest.fixture
async def two_shops(sqlite_url: str) -> AsyncIterator[World]:
    """Both with the same merchant serial number, and each with a registration of its own."""
    world = make_world(sqlite_url, (SHOP, OTHER_SHOP))
    for url, shop in world.shops.items():
        await world.install(shop)
        await hears_vipps(world, await world.set_account(shop=url))
    yield world
    await world.context.close()
    assert world.unforeseen == []


async def test_an_event_of_another_shops_agreement_changes_nothing_here(two_shops: World) -> None:
    world = two_shops
    person = world.shops[OTHER_SHOP].create_customer()
    theirs = await an_agreement(world, person, OTHER_SHOP)
    await world.drain()
    await a_subscriber(world)
    await world.drain()
    world.vipps.stop_in_app(theirs)
    world.vipps.invent_event("recurring.charge-captured.v1", {"agreementId": theirs, "chargeId": "chr-1"})
    await world.drain()

    rows = {row["agreement_id"]: row for row in await raw(world, "agreement")}
    assert rows[theirs]["shop"] == OTHER_SHOP
    assert rows[theirs]["status"] == "STOPPED"
    results = [row["result"] for row in await raw(world, "inbox") if row["shop"] == SHOP and theirs in row["body"]]
    assert results == ["not an agreement of this shop"] * 3
    assert {it.status for it in world.vipps.deliveries} == {Status.DELIVERED}
    mine = [row for row in await raw(world, "audit") if row["shop"] == SHOP and row["object_id"] == theirs]
    assert mine == []


@on_sqlite
async def test_an_event_of_another_accounts_agreement_of_the_same_shop_is_left_to_that_account(world: World) -> None:
    """Two channels with the same serial number: each hears everything, and it is applied once."""
    await hears_vipps(world)
    await hears_vipps(world, await world.set_account(channel="channel-b"))
    agreement = (await a_subscriber(world)).agreement
    await world.drain()
    world.vipps.stop_in_app(agreement)
    await world.drain()

    results = [row["result"] for row in await raw(world, "inbox") if "stopped" in row["event"]]
    assert sorted(results) == [f"agreement {agreement} is STOPPED, was ACTIVE", "not an agreement of this shop"]


async def test_a_charge_of_a_batch_that_vipps_could_not_make_is_sent_on_its_own_once(world: World) -> None:
    await on_v3(world)
    await hears_vipps(world)
    who = await a_subscriber(world)
    charges = await stored_charges(world, who.agreement, 4)
    world.vipps.fail_creation(charges[2].order_id)
    await handlers(world.context.deps, object_of)[Job.CHARGE_CHUNK](SHOP, [it.id for it in charges])
    await world.drain()

    made = [it.order_id for it in world.effects("create")]
    assert sorted(made) == sorted(it.order_id for it in charges)
    assert len(calls_of(world, "createCharges")) == 1
    assert len(calls_of(world, "createCharge")) == 1
    row = (await charges_by_id(world))[charges[2].id]
    assert row.status is not ChargeStatus.NEW
    await recover(world)
    assert len(world.effects("create")) == 4
    assert ChargeStatus.NEW not in {it.status for it in (await charges_by_id(world)).values()}


@on_sqlite
async def test_news_that_a_charge_was_not_made_are_checked_before_they_are_believed(world: World) -> None:
    await on_v3(world)
    await hears_vipps(world)
    who = await a_subscriber(world)
    made = await a_made_charge(world, who.agreement, order_id="by-machine-1")
    for charge_id in (made.charge_id, "not-ours-1"):
        fields = {"agreementId": who.agreement, "chargeId": charge_id}
        world.vipps.invent_event("recurring.charge-creation-failed.v1", fields)
    await world.drain()

    assert len(world.effects("create")) == 1
    assert len(calls_of(world, "createCharge")) == 1
    results = sorted(row["result"] for row in await raw(world, "inbox") if "creation" in row["event"])
    assert results == ["a charge that is not ours was not made", "charge by-machine-1 is DUE all the same"]


@on_sqlite
async def test_news_that_a_charge_was_not_made_find_vipps_away_and_wait(world: World) -> None:
    await on_v3(world)
    await hears_vipps(world)
    who = await a_subscriber(world)
    charges = await stored_charges(world, who.agreement, 2)
    world.vipps.fail_creation(charges[0].order_id)
    trouble(world, "getCharge", {"kind": "status", "status": 503})
    await handlers(world.context.deps, object_of)[Job.CHARGE_CHUNK](SHOP, [it.id for it in charges])
    await world.drain()
    assert {row["status"] for row in await raw(world, "inbox") if "creation" in row["event"]} == {"WAITING"}

    await recover(world)

    assert sorted(it.order_id for it in world.effects("create")) == sorted(it.order_id for it in charges)


@each_once
async def test_an_order_shows_what_a_webhook_brought(world: World, version: ApiVersion) -> None:
    del version
    who = await a_subscriber(world)
    order = an_order(world, who)
    await world.drain()
    world.advance(timedelta(days=3))
    await world.drain()

    assert status_of(order) == "CHARGED"
    assert any("collected 199.00 NOK" in note for note in notes_of(order))
    assert len(order.notes) == 2


@on_sqlite
async def test_an_order_shows_that_its_customer_stopped_the_agreement(world: World) -> None:
    await hears_vipps(world)
    who = await a_subscriber(world)
    order = an_order(world, who)
    await world.drain()
    world.vipps.stop_in_app(who.agreement)
    world.vipps.mischief = Mischief(drop=True, events=frozenset({"recurring.charge-canceled.v1"}))
    await world.drain()

    assert status_of(order) == "CANCELLED"


@on_sqlite
async def test_a_webhook_about_a_charge_whose_answer_was_lost_settles_it(world: World) -> None:
    await hears_vipps(world)
    who = await a_subscriber(world)
    only_order_created(world)
    world.vipps.faults.add("reset-after", operation="createCharge")
    order = an_order(world, who)
    await world.drain()
    [row] = await raw(world, "charge")
    assert row["status"] == "NEW"
    world.advance(timedelta(days=3))
    await world.vipps.deliver()
    await world.run_jobs()

    charge = await charge_of(world, order)
    assert charge is not None
    assert charge.status is ChargeStatus.CHARGED
    await recover(world)
    assert len(calls_of(world, "createCharge")) == 1
    assert status_of(order) == "CHARGED"


@each_once
async def test_an_event_that_finds_vipps_away_is_applied_when_it_is_back(world: World, version: ApiVersion) -> None:
    del version
    agreement = await _captured(world)
    world.vipps.faults.add("status", status=503, operation="getCharge", times=3)
    await world.drain()
    assert (await the_charge(world))["captured"] == 0
    [waiting] = [row for row in await raw(world, "inbox") if row["status"] == "WAITING"]
    assert "503" in waiting["result"]
    # Only the webhook's own repetition is of interest: the charge's next look is far away.
    async with world.context.store.begin() as unit:
        [charge] = await unit.charges.of_agreements(SHOP, [agreement])
        await unit.charges.look_again(SHOP, charge.id, world.time.now + timedelta(days=1))

    await recover(world, rounds=4)

    assert (await the_charge(world))["status"] == "CHARGED"
    assert await handled(world)


@on_sqlite
async def test_an_event_that_finds_vipps_away_for_ever_is_given_up_for_a_person_to_see(world: World) -> None:
    deps = limited(world, inbox_attempts=3)
    await hears_vipps(world)
    agreement = (await a_subscriber(world)).agreement
    await world.drain()
    world.vipps.faults.add("status", status=503, operation="getAgreement", times=None)
    world.vipps.stop_in_app(agreement)
    await world.drain()
    await recover(world, rounds=5, pause=timedelta(hours=1))

    [row] = [it for it in await raw(world, "inbox") if "stopped" in it["event"]]
    assert (row["status"], row["attempts"]) == ("DEAD", 3)
    assert "given up after 3 attempts" in row["result"]
    async with deps.store.begin() as unit:
        [letter] = await unit.failures.of_shop(SHOP, 10)
    assert (letter.kind, letter.what, letter.attempts) == ("WEBHOOK", "recurring.agreement-stopped.v1", 3)


@on_sqlite
async def test_an_event_whose_worker_dies_at_any_step_is_applied(world: World) -> None:
    await hears_vipps(world)
    for dies_at in itertools.count(1):
        life = Life(dies_at)
        agreement = await _stopped_by_user(world)
        await world.vipps.deliver()
        mine = [it for it in world.jobs.waiting if it[0] is Job.APPLY_INBOX]
        world.jobs.waiting.clear()
        with contextlib.suppress(Died):
            for kind, shop, ids in mine:
                await handlers(mortal(world.context.deps, life), object_of)[kind](shop, ids)
        world.jobs.waiting.clear()
        await recover(world, rounds=1)

        row = await agreement_row(world, agreement)
        assert (row.status, row.stopped_by) == ("STOPPED", "USER"), life.last
        if not life.ended:
            break
    assert len(life.steps) > 10
    assert {row["status"] for row in await raw(world, "inbox")} == {"DONE"}


@on_sqlite
async def test_a_move_of_ours_and_its_webhook_count_once(world: World) -> None:
    await hears_vipps(world)
    collected = await a_collected_charge(world)
    trouble(world, "refundCharge", {"kind": "reset-after"})
    [first] = await moved(world, replace(collected, price=5_000, idempotency_key="wish"))
    assert first.error is not None
    await world.drain()
    await recover(world)
    [again] = await moved(
        world, ChargeMove(OperationKind.REFUND, collected.agreement_id, collected.charge_id, 5_000, "x")
    )

    assert again.error is None
    assert [it.amount for it in world.effects("refund")] == [5_000, 5_000]
    assert (await the_charge(world))["refunded"] == 10_000


@on_sqlite
async def test_a_hundred_events_of_a_batch_are_heard_in_one_go(world: World) -> None:
    await hears_vipps(world)
    who: Subscriber = await a_subscriber(world, price=100_000)
    items = [ChargeMake(who.agreement, 1_000 + number, "Coffee", order_id=f"batch-{number:04}") for number in range(40)]
    await make_charges(world.context.deps, MACHINE, items)
    world.advance(timedelta(days=3))
    await world.drain()

    assert {it.status for it in (await charges_by_id(world)).values()} == {ChargeStatus.CHARGED}
    assert len([row for row in await raw(world, "inbox") if "captured" in row["event"]]) == 40


@on_sqlite
async def test_an_event_for_a_shop_that_left_asks_nobody(world: World) -> None:
    agreement = await a_draft(world)
    await hears_vipps(world)
    [app] = world.saleor.apps
    world.saleor.delete_app(app)
    await world.drain()
    world.vipps.approve(agreement)
    calls = len(world.vipps.requests)
    await world.drain()

    assert len(world.vipps.requests) == calls
    assert (await agreement_row(world, agreement)).status == "PENDING"


@on_sqlite
async def test_nothing_is_asked_of_vipps_for_an_unknown_agreement(world: World) -> None:
    await hears_vipps(world)
    world.vipps.invent_event("recurring.charge-captured.v1", {"agreementId": "agr_unknown", "chargeId": "chr-1"})
    await world.vipps.deliver()
    calls = world.vipps.requests_seen
    await world.run_jobs()

    assert world.vipps.requests_seen == calls
    [row] = await raw(world, "inbox")
    assert (row["status"], row["result"]) == ("DONE", "not an agreement of this shop")
    assert json.loads(row["body"])["agreement_id"] == "agr_unknown"
