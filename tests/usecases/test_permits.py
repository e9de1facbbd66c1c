"""Vipps' limits per merchant are asked for before a call, shared by all workers, and kept to after a 429."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest

from app.domain.account import Environment
from app.domain.errors import Rejected, Unavailable
from app.domain.limits import CREATE_CHARGE, LIST_AGREEMENTS
from app.main import Context
from app.usecases.permits import permitted, require_permit, told_to_wait
from tests.usecases.steps import another_worker, limited, the_account
from tests.world import World

TOO_MANY = Unavailable("Vipps answered 429", status=429, retry_after=90.0)


@pytest.fixture
async def second(world: World) -> AsyncIterator[Context]:
    """Another worker on the same database."""
    context = another_worker(world)
    yield context
    await context.store.close()


async def test_two_workers_together_get_no_more_than_the_limit(world: World, second: Context) -> None:
    account, deps = await the_account(world), world.context.deps
    granted = await asyncio.gather(
        *(permitted(it, account, LIST_AGREEMENTS, patience=0) for it in (deps, second.deps) * 10)
    )

    assert sum(it.count for it in granted) == LIST_AGREEMENTS.per_minute == 5
    assert all(0 < it.wait <= 65 for it in granted if not it.count)


async def test_whoever_has_patience_waits_for_a_place(world: World) -> None:
    account, deps = await the_account(world), world.context.deps
    began = world.time.now
    for _ in range(12):
        await require_permit(deps, account, LIST_AGREEMENTS, patience=180)

    assert timedelta(minutes=2) <= world.time.now - began <= timedelta(minutes=2, seconds=15)


async def test_whoever_has_none_is_told_how_long_to_wait(one_world: World) -> None:
    account, deps = await the_account(one_world), one_world.context.deps
    began = one_world.time.now
    await permitted(deps, account, LIST_AGREEMENTS, 5)
    with pytest.raises(Unavailable, match="used up") as told:
        await require_permit(deps, account, LIST_AGREEMENTS)

    assert told.value.retry_after is not None
    assert one_world.time.now == began
    one_world.advance(timedelta(seconds=told.value.retry_after))
    await require_permit(deps, account, LIST_AGREEMENTS)


async def test_some_of_many_are_granted(one_world: World) -> None:
    account, deps = await the_account(one_world), one_world.context.deps

    first = await permitted(deps, account, CREATE_CHARGE, 400)
    second = await permitted(deps, account, CREATE_CHARGE, 400)

    assert (first.count, second.count) == (400, 100)
    assert second.wait > 50


async def test_a_shop_may_ask_for_less_than_vipps_takes(one_world: World) -> None:
    deps = limited(one_world, charges_per_minute=3)
    assert (await permitted(deps, await the_account(one_world), CREATE_CHARGE, 10)).count == 3


async def test_a_429_stops_all_workers_for_as_long_as_vipps_said(world: World, second: Context) -> None:
    account, deps = await the_account(world), world.context.deps
    await told_to_wait(deps, account, CREATE_CHARGE, TOO_MANY)

    for it in (deps, second.deps):
        told = await permitted(it, account, CREATE_CHARGE, 10)
        assert (told.count, told.wait) == (0, 90.0)
    assert (await permitted(second.deps, account, LIST_AGREEMENTS)).count == 1
    world.advance(timedelta(seconds=91))
    assert (await permitted(second.deps, account, CREATE_CHARGE, 10)).count == 10


async def test_other_refusals_stop_nobody(one_world: World) -> None:
    account, deps = await the_account(one_world), one_world.context.deps
    for error in (Rejected("no", status=400), Unavailable("away", status=503, retry_after=90), Unavailable("away")):
        await told_to_wait(deps, account, CREATE_CHARGE, error)

    assert (await permitted(deps, account, CREATE_CHARGE)).count == 1


async def test_merchants_and_environments_have_limits_of_their_own(one_world: World) -> None:
    account, deps = await the_account(one_world), one_world.context.deps
    await told_to_wait(deps, account, CREATE_CHARGE, TOO_MANY)

    for other in (replace(account, msn="654321"), replace(account, environment=Environment.LIVE)):
        assert (await permitted(deps, other, CREATE_CHARGE)).count == 1
    # Another account, of another shop even, with the same serial number shares them.
    same = replace(account, id="another", shop="https://other.example/graphql/", channel="b")
    assert (await permitted(deps, same, CREATE_CHARGE)).count == 0
