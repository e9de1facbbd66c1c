"""Work that was tried in vain is given up with a reason, shown to the right people and tried again when they say so."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from app.domain.account import ApiVersion, Caller, customer, staff, system
from app.domain.charge import ChargeStatus
from app.domain.errors import BatchTooLarge, Duplicate, Forbidden, NotFound, OutcomeUnknown
from app.domain.records import DeadLetter, Failing
from app.usecases.agreements import cancel_agreements
from app.usecases.charges import ChargeMake, make_charges
from app.usecases.failures import all_failures, list_failures, retry_failures
from tests.usecases.steps import (
    MACHINE,
    a_collected_charge,
    a_subscriber,
    agreement_row,
    an_order,
    calls_of,
    charge_of,
    charges_by_id,
    hears_vipps,
    keys_and_bodies,
    limited,
    moved,
    raw,
    recover,
    status_of,
)
from tests.world import SHOP, World, make_world

OTHER_SHOP = "https://other.example/graphql/"
PAYMENTS, ORDERS = frozenset({"HANDLE_PAYMENTS"}), frozenset({"MANAGE_ORDERS"})
CASHIER = staff(SHOP, "VXNlcjox", PAYMENTS)
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


async def letters(world: World, caller: Caller = CASHIER) -> list[DeadLetter]:
    return list(await list_failures(world.context.deps, caller))


async def retried(world: World, *ids: str, caller: Caller = CASHIER) -> Any:
    result = await retry_failures(world.context.deps, caller, ids)
    await world.run_jobs()
    return result


async def a_given_up_charge(world: World, kind: Any = "reset-after") -> str:
    """Tried three times in vain; its order id."""
    limited(world, attempts=3)
    who = await a_subscriber(world)
    world.vipps.faults.add(kind, operation="createCharge", times=None)
    world.vipps.faults.add(kind, operation="getCharge", times=None)
    await make_charges(world.context.deps, MACHINE, [ChargeMake(who.agreement, 10_000, "Coffee", order_id="mug-0001")])
    await recover(world, rounds=6)
    world.vipps.faults.clear()
    return "mug-0001"


@pytest.mark.parametrize("spoken", ["v2", "v3"])
async def test_a_charge_is_given_up_after_so_many_attempts_with_a_reason(world: World, spoken: str) -> None:
    await world.set_account(api_version=ApiVersion(spoken))
    order_id = await a_given_up_charge(world)

    [letter] = await letters(world)
    assert (letter.kind, letter.what, letter.object_id, letter.attempts) == (Failing.CHARGE, "charge", order_id, 3)
    assert letter.reason.startswith("given up after 3 attempts: Vipps did not answer")
    assert letter.shop == SHOP
    assert len(calls_of(world, "createCharge")) == 3
    [told] = [it for it in await raw(world, "audit") if "given up" in it["reason"]]
    assert (told["action"], told["object_id"]) == ("charge.delayed", order_id)


@on_sqlite
async def test_what_was_given_up_is_not_tried_again_by_itself(world: World) -> None:
    order_id = await a_given_up_charge(world)
    calls = len(world.vipps.requests)
    for pause in (timedelta(hours=1), timedelta(days=1)):
        await recover(world, rounds=3, pause=pause)

    assert len(world.vipps.requests) == calls
    assert len(await letters(world)) == 1
    # Nor where its maker asks for it again: whoever does is told that its outcome is open.
    agreement = (await raw(world, "charge"))[0]["agreement_id"]
    [again] = (
        await make_charges(world.context.deps, MACHINE, [ChargeMake(agreement, 10_000, "Coffee", order_id=order_id)])
    ).items
    assert isinstance(again.error, OutcomeUnknown)


@pytest.mark.parametrize("kind", ["reset-after", "reset-before"])
async def test_a_retry_goes_on_with_the_same_key_and_charges_once(world: World, kind: str) -> None:
    await a_given_up_charge(world, kind)
    [letter] = await letters(world)
    result = await retried(world, letter.id)

    assert [it.answer for it in result.items] == [Failing.CHARGE]
    assert await letters(world) == []
    assert len(world.effects("create")) == 1
    [bodies] = keys_and_bodies(world, "createCharge").values()
    assert len(bodies) == 1
    [row] = (await charges_by_id(world)).values()
    assert row.status is not ChargeStatus.NEW
    assert (row.dead, row.failure) == (None, None)
    [told] = [it for it in await raw(world, "audit") if it["action"] == "failure.retried"]
    assert (told["actor"], told["object_id"], told["after"]) == ("staff:VXNlcjox", letter.id, "CHARGE")


@on_sqlite
async def test_a_retry_in_vain_ends_as_a_dead_letter_again(world: World) -> None:
    await a_given_up_charge(world, "reset-before")
    [letter] = await letters(world)
    world.vipps.faults.add("reset-before", times=None)
    await retried(world, letter.id)
    await recover(world, rounds=6)

    [again] = await letters(world)
    assert (again.id, again.attempts) == (letter.id, letter.attempts + 2)


@on_sqlite
async def test_a_charge_whose_day_has_passed_gets_a_new_one_when_it_is_retried(world: World) -> None:
    await a_given_up_charge(world, "reset-before")
    world.advance(timedelta(days=30))
    [letter] = await letters(world)
    await retried(world, letter.id)

    assert len(world.effects("create")) == 1
    [row] = (await charges_by_id(world)).values()
    assert row.due > world.time.now.date()


@on_sqlite
async def test_a_letter_that_is_retried_twice_is_tried_once(world: World) -> None:
    await a_given_up_charge(world)
    [letter] = await letters(world)
    first = await retry_failures(world.context.deps, CASHIER, [letter.id, letter.id])
    second = await retry_failures(world.context.deps, CASHIER, [letter.id])
    await world.run_jobs()

    assert [it.error for it in first.items] == [None]
    assert [type(it.error) for it in second.items] == [NotFound]
    assert len(calls_of(world, "createCharge")) == 4
    assert len([it for it in await raw(world, "audit") if it["action"] == "failure.retried"]) == 1


async def test_two_people_who_retry_at_the_same_time_do_it_once(world: World) -> None:
    await a_given_up_charge(world)
    [letter] = await letters(world)
    answers = await asyncio.gather(
        *(retry_failures(world.context.deps, staff(SHOP, f"user-{n}", PAYMENTS), [letter.id]) for n in range(4))
    )
    await world.run_jobs()

    assert sorted(len(it.successes) for it in answers) == [0, 0, 0, 1]
    assert len(world.effects("create")) == 1


@on_sqlite
async def test_every_letter_is_answered_and_an_unknown_one_is_not_found(world: World) -> None:
    await a_given_up_charge(world)
    [letter] = await letters(world)
    result = await retried(world, "unknown", letter.id, "'; DROP TABLE charge; --")

    assert [type(it.error) for it in result.items] == [NotFound, type(None), NotFound]
    assert [it.id for it in result.items] == ["unknown", letter.id, "'; DROP TABLE charge; --"]


@on_sqlite
async def test_too_many_letters_at_once_are_refused(world: World) -> None:
    limited(world, max_sync_batch=2)
    with pytest.raises(BatchTooLarge):
        await retry_failures(world.context.deps, CASHIER, ["a", "b", "c"])


@on_sqlite
async def test_a_refund_that_was_given_up_keeps_its_place_and_is_done_once_when_retried(world: World) -> None:
    limited(world, attempts=2)
    refund = replace(await a_collected_charge(world), price=5_000, idempotency_key="wish")
    world.vipps.faults.add("reset-after", operation="refundCharge")
    await moved(world, refund)
    world.vipps.faults.add("status", status=503, operation="getCharge", times=None)
    await recover(world, rounds=4)
    world.vipps.faults.clear()
    [letter] = await letters(world)
    assert (letter.kind, letter.what, letter.object_id) == (Failing.OPERATION, "REFUND", refund.charge_id)

    # While nobody knows what became of it, another refund of the charge would be a guess.
    [other] = await moved(world, replace(refund, idempotency_key="another"))
    assert isinstance(other.error, Duplicate)
    await retried(world, letter.id)

    assert [it.amount for it in world.effects("refund")] == [5_000]
    assert await letters(world) == []
    [again] = await moved(world, refund)
    assert again.error is None
    assert again.answer.refunded == 5_000


@on_sqlite
async def test_a_stop_that_was_given_up_is_done_when_retried(world: World) -> None:
    limited(world, attempts=2)
    who = await a_subscriber(world)
    world.vipps.faults.add("status", status=503, operation="updateAgreement", times=None)
    await cancel_agreements(world.context.deps, MACHINE, [who.agreement])
    await recover(world, rounds=4)
    world.vipps.faults.clear()
    [letter] = await letters(world)
    assert (letter.kind, letter.what, letter.object_id) == (Failing.OPERATION, "STOP", who.agreement)
    await retried(world, letter.id)

    assert len(world.effects("stop")) == 1
    assert (await agreement_row(world, who.agreement)).status == "STOPPED"


@on_sqlite
async def test_a_webhook_that_was_given_up_is_applied_when_retried(world: World) -> None:
    limited(world, inbox_attempts=2)
    await hears_vipps(world)
    who = await a_subscriber(world)
    await world.drain()
    world.vipps.faults.add("status", status=503, operation="getAgreement", times=None)
    world.vipps.stop_in_app(who.agreement)
    await world.drain()
    await recover(world, rounds=4)
    world.vipps.faults.clear()
    [letter] = await letters(world)
    assert letter.kind is Failing.WEBHOOK
    await retried(world, letter.id)

    row = await agreement_row(world, who.agreement)
    assert (row.status, row.stopped_by) == ("STOPPED", "USER")
    assert await letters(world) == []


@on_sqlite
async def test_a_charge_of_an_order_that_was_cancelled_meanwhile_is_not_sent_when_retried(world: World) -> None:
    limited(world, attempts=4)
    who = await a_subscriber(world)
    world.vipps.faults.add("reset-before", operation="createCharge", times=None)
    order = an_order(world, who)
    await world.drain()
    await recover(world, rounds=8)
    world.vipps.faults.clear()
    [letter] = await letters(world)
    world.saleor.cancel_order(order)
    await world.drain()
    await retried(world, letter.id)

    assert world.effects("create") == []
    charge = await charge_of(world, order)
    assert charge is not None
    assert charge.status is ChargeStatus.CANCELLED
    assert status_of(order) == "CANCELLED"


@on_sqlite
async def test_what_vipps_turns_out_to_have_is_no_dead_letter_any_more(world: World) -> None:
    """Found by a listing, before anybody said that it should be tried again."""
    await a_given_up_charge(world, "reset-after")
    world.advance(timedelta(days=3))
    await hears_vipps(world)
    world.vipps.invent_event(
        "recurring.charge-captured.v1",
        {"agreementId": (await raw(world, "charge"))[0]["agreement_id"], "chargeId": "mug-0001"},
    )
    await world.drain()

    assert await letters(world) == []
    assert (await raw(world, "charge"))[0]["status"] == "CHARGED"


@pytest.fixture
async def two_shops(sqlite_url: str) -> AsyncIterator[World]:
    world = make_world(sqlite_url, (SHOP, OTHER_SHOP))
    for url, shop in world.shops.items():
        await world.install(shop)
        await world.set_account(shop=url)
    yield world
    await world.context.close()
    assert world.unforeseen == []


NOBODY = {
    "customer": customer(SHOP, "VXNlcjox"),
    "API client with every scope": MACHINE,
}


@pytest.mark.parametrize("who", NOBODY)
async def test_failures_are_the_staffs_business(one_world: World, who: str) -> None:
    await a_given_up_charge(one_world)
    [letter] = await letters(one_world)
    with pytest.raises(Forbidden):
        await letters(one_world, NOBODY[who])
    with pytest.raises(Forbidden):
        await retried(one_world, letter.id, caller=NOBODY[who])

    assert len(await letters(one_world)) == 1


async def test_staff_who_may_not_move_money_see_failures_and_cannot_retry_them(one_world: World) -> None:
    await a_given_up_charge(one_world)
    clerk = staff(SHOP, "VXNlcjoy", ORDERS)
    [letter] = await letters(one_world, clerk)
    with pytest.raises(Forbidden):
        await retried(one_world, letter.id, caller=clerk)

    assert len(await letters(one_world)) == 1


async def test_another_shops_staff_neither_see_nor_retry_them(two_shops: World) -> None:
    world = two_shops
    await a_given_up_charge(world)
    [letter] = await letters(world)
    stranger = staff(OTHER_SHOP, "VXNlcjox", PAYMENTS)
    assert await letters(world, stranger) == []
    for caller in (stranger, system(OTHER_SHOP)):
        result = await retried(world, letter.id, caller=caller)
        assert [type(it.error) for it in result.items] == [NotFound]

    assert [it.id for it in await letters(world)] == [letter.id]
    assert [it.id for it in await all_failures(world.context.deps)] == [letter.id]
