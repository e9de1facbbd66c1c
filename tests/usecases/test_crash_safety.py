"""Whatever breaks, and wherever the process dies: one effect per intent, none lost, and the same bytes every time."""

import asyncio
import contextlib
import itertools
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from app.domain.charge import ChargeStatus
from app.domain.errors import OutcomeUnknown, Rejected, Unavailable
from app.domain.operation import OperationKind
from app.saleor.payloads import object_of
from app.saleor.simulator.deliveries import Mischief
from app.usecases.agreements import AgreementChange, cancel_agreements, update_agreement
from app.usecases.charges import ChargeMake, get_charges, make_charges
from app.usecases.inbox import apply_inbox
from app.usecases.money_moves import ChargeMove, move
from app.usecases.operations import resume_operation
from app.usecases.ports import Deps
from app.usecases.sending import resume_charge
from tests.builders import a_charge, an_installation
from tests.usecases.steps import (
    LEASE,
    MACHINE,
    Died,
    Life,
    a_collected_charge,
    a_made_charge,
    a_reserved_charge,
    a_strangers_charge,
    a_subscriber,
    agreement_row,
    an_order,
    another_worker,
    charge_of,
    creations,
    hears_vipps,
    keys_and_bodies,
    limited,
    mortal,
    moved,
    notes_of,
    only_order_created,
    raw,
    reason_of,
    recover,
    status_of,
    stored_charges,
    swept_by,
    trouble,
)
from tests.world import SHOP, World

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # the database does not matter here
BROKEN_SHOP = "https://broken.example/graphql/"
# Everything that can come between a request and its answer.
TROUBLES: tuple[dict[str, Any], ...] = (
    {"kind": "timeout-before", "seconds": 0},
    {"kind": "timeout-after", "seconds": 0},
    {"kind": "reset-before"},
    {"kind": "reset-after"},
    {"kind": "status", "status": 429, "retry_after": "7"},
    {"kind": "status", "status": 500},
    {"kind": "status", "status": 500, "when": "after"},
    {"kind": "status", "status": 503, "style": "text"},
    {"kind": "status", "status": 502, "when": "after", "style": "empty"},
    {"kind": "status", "status": 408, "when": "after"},
    {"kind": "status", "status": 302, "when": "after"},
    {"kind": "slow", "seconds": 0.02},
    {"kind": "garbage"},
    {"kind": "garbage", "when": "after"},
)


async def test_an_order_whose_process_dies_at_any_step_is_charged_once_and_told_once(world: World) -> None:
    who = await a_subscriber(world, price=1_000_000)
    only_order_created(world)
    # Every step on SQLite; PostgreSQL need only show that it is no different.
    for dies_at in itertools.count(1, 1 if world.context.store.sqlite else 5):
        life = Life(dies_at)
        order = an_order(world, who, amount=10 + dies_at)
        await world.saleor.deliver()
        _, shop, [entry] = world.jobs.waiting[0]
        world.jobs.waiting.clear()
        try:
            await apply_inbox(mortal(world.context.deps, life), object_of, shop, entry)
        except Died:
            world.jobs.waiting.clear()
        await recover(world, rounds=1)

        charge = await charge_of(world, order)
        assert charge is not None, life.last
        assert len(creations(world, 1000 + 100 * dies_at)) == 1, life.last
        assert charge.status is ChargeStatus.DUE, life.last
        assert status_of(order) == "DUE", life.last
        assert order.private_metadata["vipps-recurring.charge"] == charge.charge_id, life.last
        assert reason_of(order) == "", life.last
        assert len(order.notes) == 1, (life.last, notes_of(order))
        if not life.ended:
            break
    # Every transaction three times, every call twice.
    assert len(life.steps) > 30
    assert all(len(bodies) == 1 for bodies in keys_and_bodies(world, "createCharge").values())


@on_sqlite
async def test_a_restart_gives_back_the_leases_of_a_dead_process_at_once(world: World) -> None:
    who = await a_subscriber(world)
    order = an_order(world, who)
    await world.saleor.deliver()
    _, shop, [entry] = world.jobs.waiting[0]
    world.jobs.waiting.clear()
    dying = mortal(world.context.deps, Life(dies_on="after create_charge"))
    with pytest.raises(Died):
        await apply_inbox(dying, object_of, shop, entry)
    assert len(world.effects("create")) == 1

    await world.sweep()
    assert status_of(order) == ""
    await world.context.store.release_leases()
    await world.sweep()

    assert len(world.effects("create")) == 1
    assert status_of(order) == "DUE"


Resume = Callable[[Deps], Awaitable[object]]


async def _a_charge_to_die_over(world: World) -> Resume:
    who = await a_subscriber(world)
    [charge] = await stored_charges(world, who.agreement, 1)
    return lambda deps: resume_charge(deps, SHOP, charge.id)


async def _a_refund_to_die_over(world: World) -> Resume:
    wanted = replace(await a_collected_charge(world), idempotency_key="wish")
    with contextlib.suppress(Died):
        await move(mortal(world.context.deps, Life(dies_on="before refund_charge")), MACHINE, [wanted])
    [row] = [it for it in await raw(world, "operation") if it["kind"] == "REFUND"]
    return lambda deps: resume_operation(deps, SHOP, row["id"])


async def _a_webhook_to_die_over(world: World) -> Resume:
    await hears_vipps(world)
    who = await a_subscriber(world)
    await world.drain()
    world.vipps.stop_in_app(who.agreement)
    await world.vipps.deliver()
    _, shop, [entry] = world.jobs.waiting.pop()
    return lambda deps: apply_inbox(deps, object_of, shop, entry)


# Each: what is resumed, the call that its process dies before, the operation, and what its row says when it is done.
DEADLY: dict[str, tuple[Callable[[World], Awaitable[Resume]], str, str, tuple[str, str]]] = {
    "charge": (_a_charge_to_die_over, "create_charge", "createCharge", ("NEW", "PENDING")),
    "operation": (_a_refund_to_die_over, "get_charge", "getCharge", ("OPEN", "DONE")),
    "inbox": (_a_webhook_to_die_over, "get_agreement", "getAgreement", ("WAITING", "DONE")),
}


async def test_deaths_of_processes_make_no_dead_letter_of_a_charge(world: World) -> None:
    begin, deadly, operation, _ = DEADLY["charge"]
    resume = await begin(world)
    limited(world, attempts=3)
    for _ in range(5):
        await _leases_end(world)
        with pytest.raises(Died):
            await resume(mortal(world.context.deps, Life(dies_on=f"before {deadly}")))
    await _leases_end(world)
    trouble(world, operation, {"kind": "status", "status": 503})
    await resume(world.context.deps)
    [row] = [it for it in await raw(world, "charge") if it["status"] == "NEW"]
    assert (row["dead"], row["failures"]) == (None, 1)


@pytest.mark.parametrize("table", DEADLY)
async def test_what_many_processes_died_over_is_tried_again_soon(world: World, table: str) -> None:
    """Twelve deaths are twelve attempts: were they counted as failures, the next pause would be an hour."""
    begin, deadly, operation, (open_, done) = DEADLY[table]
    resume = await begin(world)
    began = world.time.now
    for _ in range(12):
        await _leases_end(world)
        with pytest.raises(Died):
            await resume(mortal(world.context.deps, Life(dies_on=f"before {deadly}")))
    await _leases_end(world)
    trouble(world, operation, {"kind": "status", "status": 503})
    await resume(world.context.deps)
    [row] = [it for it in await raw(world, table) if it["status"] == open_]
    assert row["attempts"] > 12
    world.jobs.waiting.clear()
    world.jobs.later.clear()

    # A minute is the least that Vipps' limit on repeated creations asks for.
    world.advance(max((world.time.now - began) * 1.25, timedelta(seconds=60)))
    await world.sweep()

    assert done in {it["status"] for it in await raw(world, table) if it["id"] == row["id"]}


async def _leases_end(world: World) -> None:
    """On SQLite by the next start, some seconds later; on PostgreSQL in their time."""
    if world.context.store.sqlite:
        world.advance(timedelta(seconds=2))
        await world.context.store.release_leases()
    else:
        world.advance(timedelta(seconds=world.context.deps.limits.lease_seconds + 1))


async def test_a_charge_by_api_whose_process_dies_at_any_step_is_made_once(world: World) -> None:
    who = await a_subscriber(world)
    for dies_at in itertools.count(1, 1 if world.context.store.sqlite else 5):
        life = Life(dies_at)
        wanted = ChargeMake(who.agreement, 1000 + dies_at, "Coffee", order_id=f"api-order-{dies_at}")
        try:
            await make_charges(mortal(world.context.deps, life), MACHINE, [wanted])
        except* Died:
            pass
        world.advance(LEASE)
        await world.sweep()

        again = (await make_charges(world.context.deps, MACHINE, [wanted])).items[0].answer
        assert len(creations(world, wanted.price)) == 1, life.last
        assert again.charge_id == wanted.order_id, life.last
        if not life.ended:
            break
    assert len(life.steps) > 12
    assert all(len(bodies) == 1 for bodies in keys_and_bodies(world, "createCharge").values())


@on_sqlite
async def test_a_sweeper_that_dies_at_any_step_leaves_the_rest_to_the_next_one(world: World) -> None:
    who = await a_subscriber(world)
    only_order_created(world)
    for dies_at in itertools.count(1):
        life = Life(dies_at)
        world.vipps.faults.add("reset-after", operation="createCharge", times=None)
        order = an_order(world, who, amount=10 + dies_at)
        await world.drain()
        world.vipps.faults.clear()
        charge = await charge_of(world, order)
        assert charge is not None
        assert charge.status is ChargeStatus.NEW
        world.advance(LEASE)
        with contextlib.suppress(Died):
            await resume_charge(mortal(world.context.deps, life), SHOP, charge.id)
        await recover(world, rounds=1)

        assert len(creations(world, 1000 + 100 * dies_at)) == 1, life.last
        assert status_of(order) == "DUE", life.last
        assert len(order.notes) == 1, life.last
        if not life.ended:
            break
    assert len(life.steps) >= 8


Begin = Callable[[World], Awaitable[ChargeMove]]


async def _a_due_charge(world: World) -> ChargeMove:
    who = await a_subscriber(world)
    charge = await a_made_charge(world, who.agreement)
    return ChargeMove(OperationKind.CANCEL, who.agreement, charge.charge_id or "")


# Each move: how its charge comes to be, what it does at Vipps, and the operation that does it.
MOVES: dict[str, tuple[Begin, str, str]] = {
    "capture": (a_reserved_charge, "capture", "captureCharge"),
    "refund": (a_collected_charge, "refund", "refundCharge"),
    "cancel": (_a_due_charge, "cancel", "cancelCharge"),
}


@on_sqlite
@pytest.mark.parametrize("name", MOVES)
async def test_a_move_whose_process_dies_at_any_step_is_done_once(world: World, name: str) -> None:
    begin, effect, operation = MOVES[name]
    for dies_at in itertools.count(1):
        life = Life(dies_at)
        wanted = replace(await begin(world), idempotency_key=f"wish-{dies_at}")
        with contextlib.suppress(Died):
            await move(mortal(world.context.deps, life), MACHINE, [wanted])
        world.advance(LEASE)
        await world.sweep()

        [again] = await moved(world, wanted)
        assert again.error is None, (life.last, again.error)
        done = [it for it in world.effects(effect) if it.charge_id == wanted.charge_id]
        assert len(done) == 1, life.last
        if not life.ended:
            break
    assert len(life.steps) > 12
    assert {row["status"] for row in await raw(world, "operation")} == {"DONE"}
    assert all(len(bodies) == 1 for bodies in keys_and_bodies(world, operation).values())


@on_sqlite
async def test_a_stop_whose_process_dies_at_any_step_is_done_once(world: World) -> None:
    for dies_at in itertools.count(1):
        life = Life(dies_at)
        who = await a_subscriber(world)
        with contextlib.suppress(Died):
            await cancel_agreements(mortal(world.context.deps, life), MACHINE, [who.agreement])
        world.advance(LEASE)
        await world.sweep()
        await cancel_agreements(world.context.deps, MACHINE, [who.agreement])

        stops = [it for it in world.effects("stop") if it.agreement_id == who.agreement]
        assert len(stops) == 1, life.last
        assert (await agreement_row(world, who.agreement)).status == "STOPPED", life.last
        if not life.ended:
            break
    assert len(life.steps) > 12


@on_sqlite
async def test_an_order_is_charged_once_whatever_befalls_the_call(world: World) -> None:
    who = await a_subscriber(world)
    orders = []
    for number, what in enumerate(TROUBLES):
        trouble(world, "createCharge", what)
        order = an_order(world, who, amount=10 + number)
        await world.drain()
        assert len(creations(world, 1000 + 100 * number)) <= 1, what
        orders.append((number, what, order))
    await recover(world)

    for number, what, order in orders:
        assert len(creations(world, 1000 + 100 * number)) == 1, what
        assert status_of(order) == "DUE", what
        assert reason_of(order) == "", what
        assert len(order.notes) == 1, what
    sent = keys_and_bodies(world, "createCharge")
    assert len(sent) == len(TROUBLES)
    assert all(len(bodies) == 1 for bodies in sent.values())


@on_sqlite
async def test_a_charge_survives_trouble_after_trouble_under_one_key(world: World) -> None:
    who = await a_subscriber(world)
    for what in TROUBLES:
        trouble(world, "createCharge", what)
    order = an_order(world, who)
    await world.drain()

    await recover(world, rounds=len(TROUBLES) + 6, pause=timedelta(minutes=45))

    assert len(world.effects("create")) == 1
    [bodies] = keys_and_bodies(world, "createCharge").values()
    assert len(bodies) == 1
    assert status_of(order) == "DUE"
    assert len(order.notes) == 1


@on_sqlite
async def test_a_batch_by_api_ends_with_one_charge_per_item_whatever_befalls_the_calls(world: World) -> None:
    who = await a_subscriber(world)
    items = []
    for number, what in enumerate(TROUBLES):
        trouble(world, "createCharge", what)
        items.append(ChargeMake(who.agreement, 1000 + number, "Coffee", order_id=f"trouble-{number:03}"))
    first = await make_charges(world.context.deps, MACHINE, items)
    assert len(first.errors) == len(TROUBLES) - 1  # all but the slow one
    assert all("do not make it anew" in it.error.message for it in first.errors if it.error)
    await recover(world)

    second = await make_charges(world.context.deps, MACHINE, items)

    assert second.errors == ()
    assert [it.answer.charge_id for it in second.items] == [it.order_id for it in items]
    assert len(world.effects("create")) == len(items)
    assert all(len(bodies) == 1 for bodies in keys_and_bodies(world, "createCharge").values())


@on_sqlite
@pytest.mark.parametrize("name", MOVES)
async def test_a_move_is_done_once_whatever_befalls_the_call(world: World, name: str) -> None:
    begin, effect, operation = MOVES[name]
    wanted = []
    for number, what in enumerate(TROUBLES):
        it = replace(await begin(world), idempotency_key=f"wish-{number}")
        trouble(world, operation, what)
        await moved(world, it)
        wanted.append((it, what))
    await recover(world)

    for it, what in wanted:
        [again] = await moved(world, it)
        assert again.error is None, (what, again.error)
        assert len([done for done in world.effects(effect) if done.charge_id == it.charge_id]) == 1, what
    rows = await raw(world, "charge")
    expected = {
        "capture": ("CHARGED", 25_000, 0),
        "refund": ("REFUNDED", 25_000, 25_000),
        "cancel": ("CANCELLED", 0, 0),
    }
    assert {(row["status"], row["captured"], row["refunded"]) for row in rows} == {expected[name]}
    sent = keys_and_bodies(world, operation)
    assert len(sent) == len(TROUBLES)
    assert all(len(bodies) == 1 for bodies in sent.values())


@on_sqlite
async def test_a_stop_and_an_update_are_done_once_whatever_befalls_the_call(world: World) -> None:
    agreements = []
    for number, what in enumerate(TROUBLES):
        who = await a_subscriber(world)
        trouble(world, "updateAgreement", what)
        change = AgreementChange(price=30_000 + number)
        try:
            await update_agreement(world.context.deps, MACHINE, who.agreement, change)
        except (Unavailable, OutcomeUnknown):
            assert what["kind"] != "slow"
        agreements.append((who.agreement, what))
    await recover(world)
    for agreement, what in agreements:
        trouble(world, "updateAgreement", what)
        await cancel_agreements(world.context.deps, MACHINE, [agreement])
    await recover(world)

    for number, (agreement, what) in enumerate(agreements):
        updates = [it.amount for it in world.effects("update") if it.agreement_id == agreement]
        row = await agreement_row(world, agreement)
        assert updates == [30_000 + number], what
        assert row.price.minor == 30_000 + number, what
        assert len([it for it in world.effects("stop") if it.agreement_id == agreement]) == 1, what
        assert row.status == "STOPPED", what
    assert {row["status"] for row in await raw(world, "operation")} == {"DONE"}


@on_sqlite
async def test_the_sweeper_obeys_retry_after(world: World) -> None:
    who = await a_subscriber(world)
    only_order_created(world)
    world.vipps.faults.add("status", status=429, retry_after="600", operation="createCharge")
    order = an_order(world, who)
    await world.drain()

    await recover(world, rounds=4, pause=timedelta(seconds=120))
    assert len([it for it in world.vipps.requests if it.operation == "createCharge"]) == 1

    await recover(world, rounds=2, pause=timedelta(seconds=120))
    assert len(world.effects("create")) == 1
    assert status_of(order) == "DUE"


@on_sqlite
async def test_news_of_an_order_do_not_send_its_charge_before_vipps_wants_to_hear_of_it_again(world: World) -> None:
    who = await a_subscriber(world)
    world.vipps.faults.add("status", status=429, retry_after="600", operation="createCharge", times=None)
    order = an_order(world, who)
    await world.drain()
    for _ in range(3):
        world.advance(timedelta(seconds=10))
        world.saleor.touch_order(order)
        await world.drain()

    assert len([it for it in world.vipps.requests if it.operation == "createCharge"]) == 1


@on_sqlite
async def test_a_refusal_by_vipps_is_never_sent_again(world: World) -> None:
    who = await a_subscriber(world)
    for status, style in ((400, "documented"), (404, "problem"), (413, "azure"), (422, "text")):
        world.vipps.faults.add("status", status=status, style=style, operation="createCharge")
    orders = [an_order(world, who, amount=10 + number) for number in range(4)]
    await world.drain()

    await recover(world, rounds=4, pause=timedelta(hours=1))
    for order in orders:
        world.saleor.touch_order(order)
    await world.drain()

    assert world.effects("create") == []
    assert len([it for it in world.vipps.requests if it.operation == "createCharge"]) == 4
    assert [status_of(order) for order in orders] == ["REJECTED"] * 4
    assert all(reason_of(order) for order in orders)
    assert [len(order.notes) for order in orders] == [1] * 4


@on_sqlite
async def test_two_sweepers_at_the_same_time_send_and_tell_everything_once(world: World) -> None:
    await _two_sweepers(world)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_two_sweepers_of_two_processes_send_and_tell_everything_once(world: World) -> None:
    await _two_sweepers(world)


async def _two_sweepers(world: World) -> None:
    second = another_worker(world)
    who = await a_subscriber(world)
    only_order_created(world)
    world.vipps.faults.add("reset-before", operation="createCharge", times=8)
    orders = [an_order(world, who, amount=10 + number) for number in range(8)]
    await world.drain()
    refund = await a_collected_charge(world)
    world.vipps.faults.add("reset-after", operation="refundCharge")
    await moved(world, refund)
    world.advance(LEASE)

    await asyncio.gather(*(swept_by(deps) for deps in (world.context.deps, second.deps) * 2))
    await world.drain()
    await second.store.close()

    assert len(world.effects("create")) == 8
    assert len({it.charge_id for it in world.effects("create")}) == 8
    assert len(world.effects("refund")) == 1
    sends = [it for it in world.vipps.requests if it.operation == "createCharge"]
    assert len(sends) == 16  # each once in vain and once by one of the sweepers
    assert [status_of(order) for order in orders] == ["DUE"] * 8
    assert [len(order.notes) for order in orders] == [1] * 8


async def test_a_charge_whose_key_vipps_forgot_is_found_by_its_order_id(world: World) -> None:
    who = await a_subscriber(world)
    world.vipps.faults.add("timeout-after", seconds=0, operation="createCharge")
    order = an_order(world, who)
    await world.drain()
    world.vipps._keys._answers.clear()

    await recover(world)

    assert len(world.effects("create")) == 1
    assert status_of(order) == "DUE"
    charge = await charge_of(world, order)
    assert charge is not None
    assert charge.charge_id == charge.order_id
    assert charge.failure is None


@on_sqlite
async def test_a_charge_that_was_found_late_keeps_why_it_failed(world: World) -> None:
    """The answer was lost and the app was away until Vipps had given up collecting."""
    who = await a_subscriber(world)
    world.vipps.faults.add("timeout-after", seconds=0, operation="createCharge")
    order = an_order(world, who)
    await world.drain()
    world.vipps.set_failure(who.agreement, "user_action_required")
    world.vipps._keys._answers.clear()
    world.advance(timedelta(days=9))

    await recover(world)

    assert status_of(order) == "FAILED"
    assert "user_action_required" in reason_of(order)


@on_sqlite
async def test_somebody_elses_charge_of_the_same_order_id_is_not_taken_for_ours(world: World) -> None:
    who = await a_subscriber(world)
    await a_strangers_charge(world, who.agreement, 7_000, "mug-0001")
    world.vipps.faults.add("reset-before", operation="createCharge")
    wanted = ChargeMake(who.agreement, 9_000, "Coffee", order_id="mug-0001")
    await make_charges(world.context.deps, MACHINE, [wanted])
    await recover(world)

    [again] = (await make_charges(world.context.deps, MACHINE, [wanted])).items

    assert isinstance(again.error, Rejected)
    assert [it.amount for it in world.effects("create")] == [7_000]


@on_sqlite
async def test_somebody_elses_charge_is_not_taken_for_ours_after_the_due_date_either(world: World) -> None:
    who = await a_subscriber(world)
    await a_strangers_charge(world, who.agreement, 7_000, "mug-0001")
    world.vipps.faults.add("reset-before", operation="createCharge")
    wanted = ChargeMake(who.agreement, 9_000, "Coffee", order_id="mug-0001")
    await make_charges(world.context.deps, MACHINE, [wanted])
    await recover(world, rounds=2, pause=timedelta(days=2))

    ours = [row for row in await raw(world, "charge") if row["amount"] == 9_000]
    assert [(row["status"], row["charge_id"], row["captured"]) for row in ours] == [("REJECTED", None, 0)]


@on_sqlite
async def test_a_refund_that_vipps_repeats_is_counted_once(world: World) -> None:
    """Its answer was lost, somebody looked at the charge meanwhile, and looking fails when it is repeated."""
    refund = replace(await a_collected_charge(world), price=5_000, idempotency_key="wish")
    world.vipps.faults.add("timeout-after", seconds=0, operation="refundCharge")
    [first] = await moved(world, refund)
    assert isinstance(first.error, OutcomeUnknown)
    await get_charges(world.context.deps, MACHINE, [refund.agreement_id])
    world.vipps.faults.add("status", status=503, operation="getCharge")
    world.advance(LEASE)

    await recover(world)

    assert [it.amount for it in world.effects("refund")] == [5_000]
    [row] = await raw(world, "charge")
    assert row["refunded"] == 5_000
    rest = replace(refund, price=20_000, idempotency_key="the rest")
    [second] = await moved(world, rest)
    assert second.error is None
    assert second.answer.refunded == 25_000


@on_sqlite
async def test_a_charge_whose_lost_answer_was_found_by_listing_shows_no_error(world: World) -> None:
    who = await a_subscriber(world)
    world.vipps.faults.add("timeout-after", seconds=0, operation="createCharge")
    order = an_order(world, who)
    await world.drain()
    await get_charges(world.context.deps, MACHINE, [who.agreement])

    await recover(world)

    charge = await charge_of(world, order)
    assert charge is not None
    assert charge.status is ChargeStatus.DUE
    assert charge.failure is None
    assert status_of(order) == "DUE"
    assert reason_of(order) == ""


@on_sqlite
async def test_a_charge_waits_for_right_credentials_and_then_goes_out(world: World) -> None:
    who = await a_subscriber(world)
    await world.set_account(client_secret="not the secret")
    order = an_order(world, who)
    await world.drain()
    await recover(world, rounds=5)
    assert world.effects("create") == []

    await world.set_account()
    await recover(world, pause=timedelta(minutes=31))

    assert len(world.effects("create")) == 1
    assert status_of(order) == "DUE"
    assert len(order.notes) == 1


@on_sqlite
async def test_a_charge_that_waited_past_its_due_date_still_goes_out(world: World) -> None:
    """A long weekend with a wrong key: Vipps never had the charge, and its first due date has become illegal."""
    who = await a_subscriber(world)
    await world.set_account(client_secret="not the secret")
    order = an_order(world, who)
    await world.drain()
    await recover(world, rounds=4, pause=timedelta(days=1))

    await world.set_account()
    await recover(world, rounds=4, pause=timedelta(minutes=45))

    assert len(world.effects("create")) == 1, reason_of(order)
    assert status_of(order) == "DUE"


@on_sqlite
async def test_a_postponed_charge_whose_process_dies_at_any_step_is_made_once(world: World) -> None:
    who = await a_subscriber(world, price=1_000_000)
    only_order_created(world)
    for dies_at in itertools.count(1):
        life = Life(dies_at)
        world.vipps.faults.add("status", status=503, operation="createCharge", times=None)
        order = an_order(world, who, amount=10 + dies_at)
        await world.drain()
        world.vipps.faults.clear()
        charge = await charge_of(world, order)
        assert charge is not None
        world.advance(timedelta(days=4))
        with contextlib.suppress(Died):
            await resume_charge(mortal(world.context.deps, life), SHOP, charge.id)
        await recover(world, rounds=1)

        assert len(creations(world, 1000 + 100 * dies_at)) == 1, life.last
        assert status_of(order) == "DUE", life.last
        if not life.ended:
            break
    assert len(life.steps) >= 12
    assert all(len(bodies) == 1 for bodies in keys_and_bodies(world, "createCharge").values())


@on_sqlite
async def test_an_order_that_was_paid_otherwise_while_vipps_was_away_is_not_collected(world: World) -> None:
    who = await a_subscriber(world)
    world.vipps.faults.add("status", status=503, operation="createCharge", times=None)
    order = an_order(world, who)
    await world.drain()
    world.advance(timedelta(hours=1))
    world.saleor.mark_charged(order)
    await world.drain()
    world.vipps.faults.clear()

    for _ in range(5):
        await recover(world, rounds=1, pause=timedelta(hours=1))
    for _ in range(5):
        await recover(world, rounds=1, pause=timedelta(days=1))

    assert world.effects("charge") == []


@on_sqlite
async def test_an_order_is_charged_although_the_shop_could_not_be_read_for_a_day(world: World) -> None:
    who = await a_subscriber(world)
    order = an_order(world, who)
    await world.saleor.deliver()
    [app] = world.saleor.apps
    token, app.token = app.token, "rotated away"
    await world.drain()
    for _ in range(48):
        world.advance(timedelta(minutes=30))
        await world.sweep()

    app.token = token
    await recover(world, pause=timedelta(hours=1))

    assert len(world.effects("create")) == 1
    assert status_of(order) == "DUE"


@on_sqlite
async def test_a_shop_that_cannot_be_told_does_not_keep_others_from_being_told(world: World) -> None:
    now = world.time.now - timedelta(days=1)
    async with world.context.store.begin() as unit:
        await unit.installations.put(an_installation(shop=BROKEN_SHOP))
        theirs = [
            a_charge(shop=BROKEN_SHOP, saleor_order=f"order-{number}", status=ChargeStatus.CHARGED, created_at=now)
            for number in range(200)
        ]
        await unit.charges.add_all(theirs)
    who = await a_subscriber(world)
    order = an_order(world, who)
    await world.drain()
    world.saleor.mischief = Mischief(drop=True)
    for _ in range(2):
        await recover(world, rounds=1, pause=timedelta(days=2))

    assert len(world.effects("charge")) == 1
    assert status_of(order) == "CHARGED"


@on_sqlite
async def test_one_row_that_breaks_the_sweeper_does_not_keep_it_from_the_others(world: World) -> None:
    who = await a_subscriber(world)
    only_order_created(world)
    world.vipps.faults.add("reset-before", operation="createCharge", times=2)
    orders = [an_order(world, who, amount=10 + number) for number in range(2)]
    await world.drain()
    world.advance(LEASE)

    await swept_by(_with_a_mistake(world.context.deps))
    assert sorted(status_of(order) for order in orders) == ["", "DUE"]
    assert len(world.unforeseen) == 1
    world.unforeseen.clear()

    await recover(world)
    assert [status_of(order) for order in orders] == ["DUE", "DUE"]
    assert len(world.effects("create")) == 2


def _with_a_mistake(deps: Deps) -> Deps:
    """A clock that breaks when the first row asks it for the time."""
    calls = itertools.count()

    def clock() -> datetime:
        if next(calls) == 1:
            raise RuntimeError("a mistake of ours")
        return deps.clock()

    return replace(deps, clock=clock)
