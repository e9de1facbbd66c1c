"""One question tells a charge's whole story, in the order in which it happened, to whoever may hear it."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest

from app.domain.account import ApiVersion, Caller, CallerKind, Scope, customer, staff
from app.domain.agreement import Agreement
from app.domain.errors import Forbidden, NotFound, OutcomeUnknown
from app.domain.operation import OperationKind
from app.jobs.workflows import handlers
from app.saleor.payloads import object_of
from app.usecases.explaining import Explanation, explain_charge
from app.usecases.money_moves import ChargeMove
from app.usecases.ports import Job
from app.vipps.simulator import DEFAULT_MERCHANT
from tests.usecases.steps import (
    LEASE,
    MACHINE,
    a_made_charge,
    a_subscriber,
    an_order,
    hears_vipps,
    moved,
    on_v3,
    recover,
    stored_charges,
)
from tests.world import SHOP, World, make_world

OTHER_SHOP = "https://other.example/graphql/"
CLERK = staff(SHOP, "VXNlcjox", frozenset({"MANAGE_ORDERS"}))
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


async def explained(world: World, name: str, caller: Caller = CLERK) -> Explanation:
    await world.context.journal.flush()
    return await explain_charge(world.context.deps, caller, name)


async def _story(world: World) -> str:
    """Lost, repeated, collected, told by webhook, refunded in vain and then for good; its order id."""
    await hears_vipps(world)
    who = await a_subscriber(world)
    await world.drain()
    world.advance(timedelta(minutes=1))
    world.vipps.faults.add("reset-after", operation="createCharge")
    with pytest.raises(OutcomeUnknown):
        await a_made_charge(world, who.agreement, 10_000, "mug-0001")
    world.advance(LEASE)
    await world.sweep()
    world.advance(timedelta(days=3))
    await world.drain()
    refund = ChargeMove(OperationKind.REFUND, who.agreement, "mug-0001", 4_000, "Broken")
    world.advance(timedelta(minutes=1))
    world.vipps.faults.add("status", status=400, style="problem", operation="refundCharge")
    [refused] = await moved(world, refund)
    assert refused.error is not None
    world.advance(timedelta(minutes=1))
    [done] = await moved(world, refund)
    assert done.error is None
    await world.drain()
    return "mug-0001"


@pytest.mark.parametrize("spoken", ["v2", "v3"])
async def test_the_whole_story_of_a_charge_in_order(world: World, spoken: str) -> None:
    await world.set_account(api_version=ApiVersion(spoken))
    found = await explained(world, await _story(world))

    assert [it.at for it in found.moments] == sorted(it.at for it in found.moments)
    steps = [it.what for it in found.moments]
    wanted = [
        "charge.stored",
        "call.createCharge",
        "call.createCharge",
        "charge.status",
        "call.refundCharge",
        "call.refundCharge",
    ]
    assert [it for it in steps if it in wanted] == wanted
    assert {"charge.delayed", "charge.sent", "refund.rejected", "refund.done"} <= set(steps)
    assert steps.index("charge.delayed") < steps.index("charge.sent") < steps.index("charge.status")
    assert steps.index("refund.rejected") < steps.index("refund.done")
    calls = [it for it in found.moments if it.what.startswith("call.")]
    first, second, no, yes = (it.text for it in calls if it.what in wanted)
    assert "did not answer" in first
    assert "answered 201" in second
    assert "answered 400" in no
    assert f"/recurring/{spoken}/agreements/" in yes
    [context_id] = [it.context_id for it in calls if it.context_id]
    assert len(context_id) == 36
    # Every call of it, and nothing of the agreement's making.
    assert not [it for it in steps if "raft" in it]
    assert all(it.text and it.who for it in found.moments)


@on_sqlite
async def test_the_story_names_who_did_it_and_what_came_of_it(world: World) -> None:
    found = await explained(world, await _story(world))

    assert (found.charge.order_id, found.charge.refunded, found.charge.status) == (
        "mug-0001",
        4_000,
        "PARTIALLY_REFUNDED",
    )
    assert found.agreement is not None
    assert found.agreement.agreement_id == found.charge.agreement_id
    assert [(it.kind, it.status) for it in found.operations] == [("REFUND", "REJECTED"), ("REFUND", "DONE")]
    by = {it.what: it.who for it in found.moments}
    assert by["charge.stored"] == by["refund.done"] == MACHINE.actor
    assert by["charge.status"] == "vipps:webhook"
    assert by["call.createCharge"] == "system:vipps-recurring"


@on_sqlite
async def test_a_charge_is_found_by_whatever_somebody_has_in_hand(world: World) -> None:
    who = await a_subscriber(world)
    order = an_order(world, who)
    await world.drain()
    by_order = await explained(world, order.id)
    names = {by_order.charge.order_id, by_order.charge.charge_id or "", order.id}

    assert len({(await explained(world, name)).charge.id for name in names}) == 1
    assert by_order.charge.saleor_order == order.id
    for name in ("mug-9999", "", "%", "' OR 1=1 --", "x" * 500, by_order.charge.id):
        with pytest.raises(NotFound):
            await explained(world, name)


@on_sqlite
async def test_the_story_of_a_charge_of_a_batch_tells_that_it_was_accepted(world: World) -> None:
    await on_v3(world)
    who = await a_subscriber(world)
    charges = await stored_charges(world, who.agreement, 3)
    await handlers(world.context.deps, object_of)[Job.CHARGE_CHUNK](SHOP, [it.id for it in charges])
    await recover(world, rounds=1)
    found = await explained(world, charges[0].order_id)

    texts = [it.text for it in found.moments]
    assert any("accepted" in text for text in texts)
    assert any("found at Vipps" in text for text in texts)
    assert not any(other.order_id in str(found.moments) for other in charges[1:])


@on_sqlite
async def test_a_story_holds_nothing_confidential_and_nothing_of_a_person(world: World) -> None:
    await world.set_account(client_secret="a-mistyped-client-secret")
    await world.set_account()
    who = await a_subscriber(world, phone="4791234567")
    for style in ("documented", "azure", "text", "problem"):
        world.vipps.faults.add("status", status=500, style=style, operation="createCharge")
    with pytest.raises(Exception, match="do not make it anew"):
        await a_made_charge(world, who.agreement, 10_000, "mug-0001")
    await recover(world, rounds=6, pause=timedelta(minutes=10))
    told = repr((await explained(world, "mug-0001")).moments)

    secrets = {DEFAULT_MERCHANT.client_secret, DEFAULT_MERCHANT.subscription_key, "4791234567", who.user.email}
    secrets |= {who.user.first_name, who.user.last_name, *world.vipps.tokens._valid}
    assert [it for it in secrets if it and it in told] == []


@on_sqlite
async def test_other_charges_of_the_same_agreement_have_their_own_story(world: World) -> None:
    who = await a_subscriber(world)
    for number in range(3):
        await a_made_charge(world, who.agreement, 1_000 + number, f"mug-000{number}")
    found = await explained(world, "mug-0001")

    assert "mug-0000" not in repr(found.moments)
    assert "mug-0002" not in repr(found.moments)
    assert len([it for it in found.moments if it.what == "call.createCharge"]) == 1


@pytest.fixture
async def two_shops(sqlite_url: str) -> AsyncIterator[World]:
    world = make_world(sqlite_url, (SHOP, OTHER_SHOP))
    for url, shop in world.shops.items():
        await world.install(shop)
        await world.set_account(shop=url)
    yield world
    await world.context.close()
    assert world.unforeseen == []


async def test_nobody_else_hears_it(two_shops: World) -> None:
    world = two_shops
    who = await a_subscriber(world)
    await a_made_charge(world, who.agreement, 10_000, "mug-0001")
    refused: dict[str, tuple[Caller, type[Exception]]] = {
        "its customer": (customer(SHOP, who.user.id), Forbidden),
        "another customer": (customer(SHOP, "VXNlcjo5OQ=="), Forbidden),
        "a machine without the scope": (
            Caller(CallerKind.CLIENT, SHOP, "vrc_1", frozenset({Scope.AGREEMENTS_READ, Scope.CHARGES_WRITE})),
            Forbidden,
        ),
        "another shop's staff": (replace(CLERK, shop=OTHER_SHOP), NotFound),
        "another shop's machine": (replace(MACHINE, shop=OTHER_SHOP), NotFound),
    }
    for name, (caller, kind) in refused.items():
        with pytest.raises(kind):
            await explained(world, "mug-0001", caller)
        assert name

    reader = Caller(CallerKind.CLIENT, SHOP, "vrc_2", frozenset({Scope.CHARGES_READ}))
    for caller in (CLERK, MACHINE, reader):
        assert isinstance((await explained(world, "mug-0001", caller)).agreement, Agreement)


async def test_shops_with_the_same_order_id_each_hear_their_own(two_shops: World) -> None:
    """Two merchants would have to share a serial number for that; then Vipps refuses the second, and both are told."""
    world = two_shops
    who = await a_subscriber(world)
    await a_made_charge(world, who.agreement, 10_000, "mug-0001")
    with pytest.raises(NotFound):
        await explained(world, "mug-0001", replace(CLERK, shop=OTHER_SHOP))

    assert (await explained(world, "mug-0001")).charge.shop == SHOP


@on_sqlite
async def test_a_story_asks_vipps_nothing(world: World) -> None:
    name = await _story(world)
    calls = world.vipps.requests_seen
    world.vipps.faults.add("reset-before", times=None)
    await explained(world, name)

    assert world.vipps.requests_seen == calls
