"""Ways that once led our books and orders astray for good, and money with them; each of them closed."""

import itertools
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

import httpx
import pytest

from app.domain.account import ApiVersion
from app.domain.charge import ChargeRequest, ChargeStatus
from app.domain.errors import OutcomeUnknown
from app.domain.operation import OperationKind
from app.domain.order import AGREEMENT_KEY
from app.saleor.simulator.server import create_app as saleor_app
from app.usecases.agreements import AgreementChange, cancel_agreements, update_agreement
from app.usecases.charges import ChargeMake, get_charge, get_charges, make_charges
from app.usecases.installations import installed
from app.usecases.money_moves import ChargeMove, move
from app.usecases.nightly import reconcile_all
from app.usecases.orders import charge_order
from app.usecases.ports import Shop
from app.usecases.reconciliation import reconcile_account
from tests.builders import nok
from tests.usecases.steps import (
    MACHINE,
    Beforehand,
    Interrupted,
    a_collected_charge,
    a_made_charge,
    a_reserved_charge,
    a_subscriber,
    agreement_row,
    amounts,
    an_agreement,
    an_order,
    another_worker,
    charge_of,
    hears_vipps,
    moved,
    on_v3,
    only_order_created,
    operation_row,
    raw,
    reason_of,
    recover,
    status_of,
    stored_charges,
    the_account,
    trouble,
)
from tests.web.helpers import saleor_hosts
from tests.world import APP_URL, SHOP, World, new_shop

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # the database does not matter here
MOVED_SHOP = "https://moved.example/graphql/"


async def findings(world: World) -> list[Any]:
    return (await reconcile_account(world.context.deps, await the_account(world))).findings


def refund_of(it: ChargeMove, price: int | None = None) -> ChargeMove:
    return ChargeMove(OperationKind.REFUND, it.agreement_id, it.charge_id, price, "Broken")


# Rows that could not be stored or read.


@pytest.mark.parametrize("away", [False, True])
async def test_an_order_id_that_we_showed_given_back_keeps_nobodys_charge_from_being_stored(
    world: World, *, away: bool
) -> None:
    who = await a_subscriber(world, price=1_000_000)
    first = await a_made_charge(world, who.agreement)
    if away:
        world.vipps.faults.add("reset-before", operation="createCharge", times=None)
    wanted = [ChargeMake(who.agreement, 10_000, "Coffee", order_id=first.order_id)]
    wanted += [
        ChargeMake(who.agreement, 20_000 + number, "April", order_id=f"april-{number:04}") for number in range(3)
    ]
    items = (await make_charges(world.context.deps, MACHINE, wanted)).items
    assert items[0].answer.id == first.id

    world.vipps.faults.clear()
    await recover(world)

    assert sorted(amounts(world, "create")) == [10_000, 20_000, 20_001, 20_002]
    rows = await raw(world, "charge")
    assert sorted(row["charge_id"] for row in rows) == sorted(
        [first.order_id, *(str(it.order_id) for it in wanted[1:])]
    )
    assert {row["failure"] for row in rows} == {None}


async def test_a_row_whose_charge_is_known_as_another_one_does_not_keep_its_neighbours_from_being_stored(
    world: World,
) -> None:
    who = await a_subscriber(world, price=1_000_000)
    first = await a_made_charge(world, who.agreement, 1_000)
    again = {"order_id": first.order_id, "description": first.description}
    [poison] = await stored_charges(world, who.agreement, 1, 1_000, **again)
    await stored_charges(world, who.agreement, 3, 2_000)

    await recover(world)

    rows = {row["amount"]: row for row in await raw(world, "charge") if row["id"] != poison.id}
    assert sorted(rows) == [1_000, 2_000, 2_001, 2_002]
    assert all(row["charge_id"] == row["order_id"] for row in rows.values())
    [mine] = [row for row in await raw(world, "charge") if row["id"] == poison.id]
    assert (mine["status"], mine["charge_id"], mine["captured"]) == ("REJECTED", None, 0)
    assert sorted(amounts(world, "create")) == [1_000, 2_000, 2_001, 2_002]


async def test_an_agreement_can_be_read_after_its_charge_from_elsewhere_was_asked_for_again(world: World) -> None:
    """Somebody moves over from another system and repeats its order ids; which of two rows was found was chance."""
    provider = world.context.deps.provider(await the_account(world))
    due = (world.time.now + timedelta(days=5)).date()
    for number in range(6):
        agreement = await an_agreement(world, world.saleor.create_customer(f"number-{number}@example.com"))
        name = f"drupal-{number:04}"
        await provider.create_charge(ChargeRequest(agreement, name, nok(10_000), "Coffee", due, 2), key=name)
        await get_charges(world.context.deps, MACHINE, [agreement])

        again = await a_made_charge(world, agreement, order_id=name)

        assert again.charge_id == name
        [item] = (await get_charges(world.context.deps, MACHINE, [agreement])).items
        assert list(item.answer.rows) == [name]
    assert amounts(world, "create") == [10_000] * 6
    assert await findings(world) == []


# Amounts that were counted or guessed wrong.


MOVES = {"refund": a_collected_charge, "capture": a_reserved_charge}


@pytest.mark.parametrize(
    ("database_url", "what"), [("sqlite", "refund"), ("postgresql", "capture")], indirect=["database_url"]
)
async def test_a_move_whose_webhook_is_quicker_than_the_look_after_it_is_counted_once(world: World, what: str) -> None:
    """The webhook is applied between any two transactions of the move, and the look after the move fails."""
    await on_v3(world)
    await hears_vipps(world)
    for before in itertools.count(1):
        wanted = replace(await MOVES[what](world, 25_000), price=10_000)
        await world.drain()
        # The look before the move goes well, and the one after it does not.
        world.vipps.faults.add("slow", seconds=0, operation="getCharge")
        world.vipps.faults.add("status", status=503, operation="getCharge")
        store = Interrupted(world.context.store, before, world.drain)
        [first] = (await move(replace(world.context.deps, store=store), MACHINE, [wanted])).items
        world.vipps.faults.clear()
        assert first.error is None, before
        if store.begun < before:
            break
        await recover(world, rounds=1)

        [rest] = await moved(world, replace(wanted, price=None))

        assert rest.error is None, before
        assert amounts(world, what, wanted.charge_id) == [10_000, 15_000], before
    assert before > 4


@on_sqlite
async def test_what_v3_captured_in_part_and_released_v2_does_not_make_the_whole(world: World) -> None:
    """v2 shows a status and no captured sum; CHARGED is not all of it here."""
    await on_v3(world)
    wanted = await a_reserved_charge(world, 10_000)
    await moved(world, replace(wanted, price=4_000))
    await moved(world, ChargeMove(OperationKind.CANCEL, wanted.agreement_id, wanted.charge_id))

    await world.set_account(api_version=ApiVersion.V2)
    row = await get_charge(world.context.deps, MACHINE, wanted.agreement_id, wanted.charge_id)
    assert (row.captured, row.cancelled) == (4_000, 6_000)

    await on_v3(world)
    [rest] = await moved(world, refund_of(wanted))
    assert rest.error is None
    assert amounts(world, "refund") == [4_000]
    assert await findings(world) == []


@on_sqlite
async def test_nor_does_it_where_the_rest_is_released_in_the_portal_meanwhile(world: World) -> None:
    await on_v3(world)
    wanted = await a_reserved_charge(world, 10_000)
    portal = world.context.deps.provider(await the_account(world))
    await moved(world, replace(wanted, price=4_000))
    await world.set_account(api_version=ApiVersion.V2)
    await portal.cancel_charge(wanted.agreement_id, wanted.charge_id, key="portal")

    row = await get_charge(world.context.deps, MACHINE, wanted.agreement_id, wanted.charge_id)
    assert (row.status, row.captured) == (ChargeStatus.CHARGED, 4_000)

    await on_v3(world)
    [rest] = await moved(world, refund_of(wanted))
    assert rest.error is None
    assert amounts(world, "refund") == [4_000]
    assert await findings(world) == []


@on_sqlite
@pytest.mark.parametrize("status", [429, 503])
async def test_a_refund_that_cannot_be_looked_at_does_not_end_a_charge_that_is_reserved_in_part(
    world: World, status: int
) -> None:
    """All that was captured is refunded, and the rest can be captured still."""
    await on_v3(world)
    wanted = await a_reserved_charge(world, 20_000)
    await moved(world, replace(wanted, price=5_000))
    world.vipps.faults.add("slow", seconds=0, operation="getCharge")
    world.vipps.faults.add("status", status=status, operation="getCharge")
    [refunded] = await moved(world, refund_of(wanted, 5_000))
    assert refunded.error is None
    assert world.vipps.faults.armed == ()

    await recover(world)
    [rest] = await moved(world, replace(wanted, price=15_000))

    assert rest.error is None
    assert amounts(world, "capture") == [5_000, 15_000]
    assert (rest.answer.captured, rest.answer.refunded) == (20_000, 5_000)


# Refusals that were none.


async def a_stop(world: World, agreement: str) -> None:
    [item] = (await cancel_agreements(world.context.deps, MACHINE, [agreement])).items
    if item.error is not None:
        raise item.error


async def an_update(world: World, agreement: str) -> None:
    await update_agreement(world.context.deps, MACHINE, agreement, AgreementChange(price=50_000))


@on_sqlite
@pytest.mark.parametrize(("kind", "change"), [(OperationKind.STOP, a_stop), (OperationKind.UPDATE, an_update)])
async def test_a_conflict_while_vipps_is_still_at_a_stop_or_an_update_is_no_refusal(
    world: World, kind: OperationKind, change: Callable[[World, str], Any]
) -> None:
    who = await a_subscriber(world)
    world.vipps.faults.add("status", status=409, style="problem", operation="updateAgreement")

    with pytest.raises(OutcomeUnknown):
        await change(world, who.agreement)
    assert (await operation_row(world, kind))["status"] == "OPEN"
    await recover(world)

    assert (await operation_row(world, kind))["status"] == "DONE"
    assert len(world.effects(kind.lower())) == 1
    row = await agreement_row(world, who.agreement)
    assert (row.status, row.price.minor) == (("STOPPED", 25_000) if kind is OperationKind.STOP else ("ACTIVE", 50_000))


@on_sqlite
async def test_a_stop_that_took_effect_is_not_taken_for_refused_while_it_cannot_be_looked_at(world: World) -> None:
    """Its answer was lost, Vipps forgot its key, and what is stopped cannot be stopped."""
    who = await a_subscriber(world)
    trouble(world, "updateAgreement", {"kind": "reset-after"})
    with pytest.raises(OutcomeUnknown):
        await a_stop(world, who.agreement)
    trouble(world, "updateAgreement", {"kind": "status", "status": 400})
    trouble(world, "getAgreement", {"kind": "status", "status": 503})

    await recover(world, rounds=2)

    assert world.vipps.faults.armed == ()
    assert (await operation_row(world, OperationKind.STOP))["status"] == "DONE"
    assert (await agreement_row(world, who.agreement)).status == "STOPPED"
    assert len(world.effects("stop")) == 1


@on_sqlite
async def test_nor_is_a_cancellation(world: World) -> None:
    who = await a_subscriber(world)
    made = await a_made_charge(world, who.agreement)
    trouble(world, "cancelCharge", {"kind": "reset-after"})
    await moved(world, ChargeMove(OperationKind.CANCEL, who.agreement, made.charge_id or ""))
    trouble(world, "cancelCharge", {"kind": "status", "status": 409, "style": "problem"})
    trouble(world, "getCharge", {"kind": "status", "status": 503})

    await recover(world, rounds=2)

    assert world.vipps.faults.armed == ()
    assert (await operation_row(world, OperationKind.CANCEL))["status"] == "DONE"
    assert [row["status"] for row in await raw(world, "charge")] == ["CANCELLED"]


# What orders say.


async def test_a_worker_that_is_late_does_not_leave_an_order_not_charged_that_was_charged_since(world: World) -> None:
    """It read the order before somebody corrected the agreement in it, and tells what it found after that."""
    who = await a_subscriber(world)
    only_order_created(world)
    order = an_order(world, replace(who, agreement="agr_wrong"))
    await world.saleor.deliver()
    world.jobs.waiting.clear()
    world.saleor.mischief.drop = False
    second = another_worker(world)

    async def corrected() -> None:
        world.saleor.update_order_metadata(order, {AGREEMENT_KEY: who.agreement})
        await world.drain()
        assert status_of(order) == "DUE"

    slow = replace(second.deps, shop=cast(Shop, Beforehand(second.deps.shop, "report", corrected)))
    await charge_order(slow, await installed(second.deps, SHOP), order.id)
    await recover(world, rounds=1)
    await second.store.close()

    charge = await charge_of(world, order)
    assert charge is not None
    assert (charge.status, status_of(order), reason_of(order)) == (ChargeStatus.DUE, "DUE", "")
    assert len(world.effects("create")) == 1


@on_sqlite
async def test_an_order_that_names_a_charge_is_never_told_that_it_is_not_charged(world: World) -> None:
    """A shop that moved to another address brings its orders along, and is a new shop to us."""
    who = await a_subscriber(world)
    charged = an_order(world, who)
    await world.drain()
    await recover(world, pause=timedelta(days=1))
    assert status_of(charged) == "CHARGED"
    told = dict(charged.private_metadata)
    shop = new_shop(MOVED_SHOP, lambda: world.app)
    shop.clock.advance(world.time.now - shop.clock.now())
    saleor_hosts(world).apps["moved.example"] = httpx.ASGITransport(app=saleor_app(shop))
    world.shops[MOVED_SHOP] = shop
    await shop.install(f"{APP_URL}/api/manifest")
    await world.set_account(shop=MOVED_SHOP)

    order = shop.create_order(
        shop.create_customer(), amount=199, metadata=dict(charged.metadata), private_metadata=told
    )
    await world.drain()
    await reconcile_all(world.context.deps, lambda _: None)
    await world.drain()

    assert dict(order.private_metadata) == told
    assert order.notes == []
    assert amounts(world, "charge") == [19_900]
