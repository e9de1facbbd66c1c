"""Restored backups and numbers that Vipps never took; and periods from before a pay link moved their subscription."""

from contextlib import suppress
from typing import Any

import pytest

from app.domain.account import ApiVersion
from app.domain.charge import Charge, ChargeStatus
from app.domain.dunning import DunningPolicy, GiveUp
from app.domain.errors import IllegalState, RecurringError
from app.domain.plan import IntervalUnit, Plan
from app.domain.renewal import RenewalStatus
from app.domain.subscription import SubscriptionStatus
from app.usecases.pay_links import pay
from app.usecases.retrying import retry_charges
from app.usecases.watchdog import watch
from tests.usecases.renewing import Subscribed, account_is, days_pass, settle, subscribe
from tests.usecases.steps import MACHINE, each_once
from tests.usecases.test_backups_and_pay_links import a_backup
from tests.usecases.test_pay_links import PRICE, begin, in_dunning, on
from tests.world import SHOP, World

pytestmark = pytest.mark.usefixtures("version")


@pytest.fixture
async def version(request: pytest.FixtureRequest, world: World) -> ApiVersion:
    version = ApiVersion(getattr(request, "param", "v2"))
    await world.set_account(api_version=version)
    return version


async def last(them: Subscribed) -> Charge:
    return await them.charge(attempt=(await them.renewal()).attempt)


async def charged_again(them: Subscribed) -> None:
    """Staff press the button, and it is sent."""
    [it] = (await retry_charges(them.world.context.deps, MACHINE, [(await last(them)).id])).items
    assert it.error is None
    await settle(them.world)


def collected(world: World) -> list[tuple[str, int]]:
    return [(it.agreement_id, it.amount) for it in world.effects("charge")]


async def refused_at_once(world: World, them: Subscribed) -> None:
    """A second attempt that Vipps does not take, so that its order id stays free."""
    for operation in ("createCharge", "createCharges"):
        world.vipps.faults.add("status", status=400, operation=operation, times=1)
    await charged_again(them)
    world.vipps.faults.clear()
    assert (await last(them)).status is ChargeStatus.REJECTED


@each_once
@pytest.mark.parametrize("how", ["link", "policy"])
async def test_a_charge_behind_a_gap_is_found_before_another_one_is_made(world: World, how: str) -> None:
    them = await in_dunning(world, retry_after=(20, 20, 20, 20))
    world.vipps.set_failure(them.agreement, None)
    restore = await a_backup(world)
    await refused_at_once(world, them)
    await charged_again(them)
    assert (await last(them)).status in {ChargeStatus.PENDING, ChargeStatus.DUE}
    await restore()
    assert (await them.renewal()).attempt == 1
    if how == "link":
        with pytest.raises(IllegalState, match="not over yet"):
            await begin(them)
    await days_pass(world, 30)
    assert collected(world)[:1] == [(them.agreement, PRICE)]
    assert [it for it in await them.outcomes() if it != "PAID"] in ([], ["CHARGING"])
    paid = await them.renewal(1)
    assert (paid.status, paid.attempt) == (RenewalStatus.PAID, 3)
    assert len({it.order_id for it in world.effects("charge")}) == len(collected(world))
    assert len([it for it in them.orders() if it.charge_status == "FULL"]) == len(collected(world))
    assert await watch(world.context.deps) == []


@each_once
async def test_attempts_that_came_to_nothing_at_vipps_are_not_made_again(world: World) -> None:
    them = await in_dunning(world, retry_after=(20, 20, 20, 20))
    restore = await a_backup(world)
    await charged_again(them)  # it fails too
    await days_pass(world, 6)
    assert (await last(them)).status is ChargeStatus.FAILED
    await restore()
    world.vipps.set_failure(them.agreement, None)
    await charged_again(them)
    assert (await them.renewal()).attempt == 3
    await days_pass(world, 6)
    assert collected(world) == [(them.agreement, PRICE)]


@each_once
async def test_a_draft_behind_a_gap_is_found_before_the_period_is_charged(world: World) -> None:
    them = await in_dunning(world)
    world.vipps.set_failure(them.agreement, None)
    restore = await a_backup(world)
    world.vipps.faults.add("status", status=400, operation="draftAgreement", times=1)
    with suppress(RecurringError):
        await begin(them)
    world.vipps.faults.clear()
    await settle(world)
    new = await begin(them)
    await restore()
    world.vipps.approve(new)
    await days_pass(world, 6)
    assert collected(world) == [(new, PRICE)]
    assert (await them.renewal()).status is RenewalStatus.PAID


@pytest.mark.parametrize("version", ["v3"], indirect=True)
@pytest.mark.parametrize(
    "policy",
    [{"then": it} for it in GiveUp] + [{"retry_after": (3, 7), "then": GiveUp.HOLD}],
    ids=lambda it: f"{it['then']} {len(it.get('retry_after', ()))}",
)
async def test_a_batch_that_vipps_has_already_is_found_in_it(world: World, policy: dict[str, Any]) -> None:
    await account_is(world, dunning=DunningPolicy(**({"retry_after": ()} | policy)), retry_days=1)
    first = await subscribe(world, 199)
    both = [first, await subscribe(world, 199, product=first.product)]
    await days_pass(world, 1)
    restore = await a_backup(world)
    await days_pass(world, 1)
    assert (await first.charge()).status is not ChargeStatus.NEW
    await restore()
    await settle(world)
    await days_pass(world, 12)
    assert sorted(collected(world)) == sorted((it.agreement, PRICE) for it in both)
    for it in both:
        assert await it.outcomes() == ["PAID"]
        assert (await it.row()).status is SubscriptionStatus.ACTIVE
        assert [order.charge_status for order in it.orders()] == ["FULL"]


async def test_a_period_of_before_is_charged_on_the_agreement_of_now(world: World) -> None:
    """Two were given up, the later one was paid by its link, and the subscription went on with another agreement."""
    them = await subscribe(world, 199, Plan(IntervalUnit.WEEK, 1))
    await account_is(world, dunning=DunningPolicy(retry_after=(3,)), retry_days=1)
    world.vipps.set_failure(them.agreement, "user_action_required")
    await days_pass(world, 18)
    first, second = await them.renewal(1), await them.renewal(2)
    assert {first.status, second.status} == {RenewalStatus.FAILED}
    before = set(world.vipps.book.agreements)
    await pay(world.context.deps, second.id)
    [new] = set(world.vipps.book.agreements) - before
    world.vipps.approve(new)
    await settle(world)
    async with world.context.store.begin() as unit:
        charges = await unit.charges.of_agreements(SHOP, [them.agreement])
    [failed] = [it for it in charges if it.slot == f"renewal/{first.id}/{first.attempt}"]
    [item] = (await retry_charges(world.context.deps, MACHINE, [failed.id])).items
    assert item.error is None
    await days_pass(world, 6)
    again = await them.renewal(1)
    assert (again.status, again.agreement_id) == (RenewalStatus.PAID, new)
    moved = await on(world, new)
    assert moved is not None
    assert moved.status is SubscriptionStatus.ACTIVE
    assert [it for it in collected(world) if it[0] == new][:2] == [(new, PRICE)] * 2
