"""Ways that once led to a second charge, a second refund, or somebody else's money; each of them closed."""

from dataclasses import replace
from datetime import timedelta

import httpx
import pytest

from app.domain.account import Environment
from app.domain.charge import ChargeRequest, ChargeStatus
from app.domain.errors import OutcomeUnknown, Rejected
from app.domain.money import Currency, Money
from app.saleor.simulator.installation import InstallationFailed
from app.saleor.simulator.server import create_app as saleor_app
from app.usecases.charges import get_charges
from app.usecases.installations import forget_shop
from tests.usecases.steps import (
    LEASE,
    MACHINE,
    a_collected_charge,
    a_made_charge,
    a_strangers_charge,
    a_subscriber,
    an_agreement,
    an_order,
    charge_of,
    moved,
    notes_of,
    raw,
    reason_of,
    recover,
    status_of,
)
from tests.web.helpers import saleor_hosts
from tests.world import APP_URL, SHOP, World, new_shop


async def test_a_conflict_while_vipps_is_still_at_it_is_no_refusal(world: World) -> None:
    who = await a_subscriber(world)
    world.vipps.faults.add("status", status=409, style="problem", operation="createCharge")

    with pytest.raises(OutcomeUnknown):
        await a_made_charge(world, who.agreement, order_id="in-flight-1")
    await recover(world)

    again = await a_made_charge(world, who.agreement, order_id="in-flight-1")
    assert again.charge_id == "in-flight-1"
    assert len(world.effects("create")) == 1


async def test_an_order_id_of_somebody_elses_charge_is_refused_at_once(world: World) -> None:
    who = await a_subscriber(world)
    await a_strangers_charge(world, who.agreement, 10_000, "taken-0001")

    with pytest.raises(Rejected, match="409"):
        await a_made_charge(world, who.agreement, 20_000, order_id="taken-0001")
    assert [it.amount for it in world.effects("create")] == [10_000]


async def test_an_answer_of_an_attempt_that_was_taken_over_is_not_stored(world: World) -> None:
    who = await a_subscriber(world)
    world.vipps.faults.add("reset-before", operation="createCharge")
    order = an_order(world, who)
    await world.drain()
    mine = await charge_of(world, order)
    assert mine is not None
    async with world.context.store.begin() as unit:
        later = world.time.now + timedelta(hours=1)
        theirs = await unit.charges.claim(SHOP, mine.id, later, later + LEASE)
        assert theirs is not None
        await unit.charges.record_sent([replace(mine, status=ChargeStatus.REJECTED)])

    now = await charge_of(world, order)
    assert now is not None
    assert now.status is ChargeStatus.NEW


async def test_a_refund_whose_answer_was_lost_is_not_repeated_when_vipps_forgot_its_key(world: World) -> None:
    refund = replace(await a_collected_charge(world), price=10_000)
    world.vipps.faults.add("timeout-after", seconds=0, operation="refundCharge")
    [first] = await moved(world, refund)
    assert isinstance(first.error, OutcomeUnknown)

    await recover(world, rounds=4, pause=timedelta(days=1))

    assert [it.amount for it in world.effects("refund")] == [10_000]
    assert len([it for it in world.vipps.requests if it.operation == "refundCharge"]) == 1


async def test_a_refund_that_cannot_be_told_from_another_is_left_to_a_person(world: World) -> None:
    refund = replace(await a_collected_charge(world), price=10_000)
    world.vipps.faults.add("reset-before", operation="refundCharge")
    await moved(world, refund)
    async with world.context.store.begin() as unit:
        [operation] = await unit.operations.unfinished(world.time.now + timedelta(days=1), 10)
        # As if somebody had refunded 5.00 in the portal meanwhile.
        await unit.operations.save(replace(operation, request=dict(operation.request) | {"refunded_before": -500}))

    await recover(world)

    assert world.effects("refund") == []
    [row] = [it for it in await raw(world, "operation") if it["kind"] == "REFUND"]
    assert row["status"] == "REJECTED"
    assert "compare with the Vipps portal" in row["failure"]


async def test_an_order_of_one_channel_is_not_paid_by_an_agreement_of_another_account(world: World) -> None:
    await world.set_account(channel="norway", environment=Environment.LIVE)
    user = world.saleor.create_customer()
    agreement = await an_agreement(world, user)  # on the default account, which is a test account

    order = world.saleor.create_order(user, amount=199, metadata={"vipps-recurring.agreement": agreement})
    await world.drain()

    assert world.effects("create") == []
    assert status_of(order) == "NOT_CHARGED"
    assert "another merchant account" in reason_of(order)


async def test_a_charge_is_taken_back_when_the_order_is_paid_in_another_way(world: World) -> None:
    who = await a_subscriber(world)
    order = an_order(world, who)
    await world.drain()
    assert status_of(order) == "DUE"

    world.advance(timedelta(seconds=1))
    world.saleor.mark_charged(order)
    await world.drain()
    world.advance(timedelta(days=3))
    await recover(world)

    assert [it.amount for it in world.effects("cancel")] == [19_900]
    assert world.effects("charge") == []
    assert status_of(order) == "CANCELLED"
    assert "because the order was paid in another way" in notes_of(order)[-1]


async def test_another_shop_behind_the_same_name_inherits_nothing(world: World) -> None:
    usurper = new_shop(SHOP, lambda: world.app)
    usurper.rotate_key()
    saleor_hosts(world).apps["shop.example"] = httpx.ASGITransport(app=saleor_app(usurper))
    with pytest.raises(InstallationFailed, match="keys were different"):
        await usurper.install(f"{APP_URL}/api/manifest")

    async with world.context.store.begin() as unit:
        installation = await unit.installations.get(SHOP)
        accounts = await unit.accounts.of_shop(SHOP)
    assert installation is not None
    assert installation.token == world.saleor.apps[0].token
    assert all(it.client_secret for it in accounts)

    await forget_shop(world.context.deps, SHOP)
    await usurper.install(f"{APP_URL}/api/manifest")
    async with world.context.store.begin() as unit:
        assert all(it.client_secret is None for it in await unit.accounts.of_shop(SHOP))


async def test_somebody_elses_charge_in_a_list_does_not_settle_ours(world: World) -> None:
    who = await a_subscriber(world)
    world.vipps.faults.add("reset-before", operation="createCharge")
    with pytest.raises(OutcomeUnknown):
        await a_made_charge(world, who.agreement, 20_000, order_id="coffee-2026-1")
    provider = world.context.deps.provider(await world.set_account())
    async with world.context.store.begin() as unit:
        [row] = (await unit.charges.find(SHOP, who.agreement, ["coffee-2026-1"])).values()
    theirs = ChargeRequest(who.agreement, "coffee-2026-1", Money(100, Currency.NOK), "Old", row.due, 0)
    await provider.create_charge(theirs, key="somebody-else")

    await get_charges(world.context.deps, MACHINE, [who.agreement])

    async with world.context.store.begin() as unit:
        mine = await unit.charges.get(SHOP, row.id)
    assert mine is not None
    assert mine.status is ChargeStatus.NEW


async def test_a_conflict_while_vipps_is_still_at_a_refund_is_no_refusal(world: World) -> None:
    refund = replace(await a_collected_charge(world), price=10_000)
    world.vipps.faults.add("status", status=409, style="problem", operation="refundCharge")

    [first] = await moved(world, refund)
    assert isinstance(first.error, OutcomeUnknown)
    await recover(world)

    assert [it.amount for it in world.effects("refund")] == [10_000]
    [row] = [it for it in await raw(world, "operation") if it["kind"] == "REFUND"]
    assert row["status"] == "DONE"


async def test_a_charge_is_not_sent_again_while_its_order_cannot_be_asked(world: World) -> None:
    who = await a_subscriber(world)
    world.vipps.faults.add("reset-before", operation="createCharge")
    order = an_order(world, who)
    await world.drain()
    saleor_hosts(world).apps["shop.example"] = httpx.MockTransport(lambda _request: httpx.Response(503))
    for _ in range(3):
        world.advance(LEASE)
        await world.sweep()
    assert world.effects("create") == []

    saleor_hosts(world).apps["shop.example"] = httpx.ASGITransport(app=saleor_app(world.saleor))
    world.advance(timedelta(hours=1))
    await recover(world)

    assert len(world.effects("create")) == 1
    assert status_of(order) == "DUE"
