"""A purchase whose process dies on any line: nobody pays twice, and one subscription begins."""

import contextlib
import itertools
from collections.abc import Awaitable, Callable

import pytest

from app.domain.account import ApiVersion
from app.domain.checkout import Cart, CartLine, SessionAnswer, SessionRequest
from app.domain.transaction import ActionType, EventType
from app.usecases.checkout import initialize, process
from app.usecases.installations import installed
from app.usecases.ports import Deps
from app.usecases.starting import begin_subscription
from tests.builders import nok
from tests.usecases.buying import MONTHLY, RETURN, Purchase, a_cart, session_of, subscription_of
from tests.usecases.steps import LEASE, Died, Life, mortal, raw, recover
from tests.world import SHOP, World


@pytest.fixture(params=["v2", "v3"])
async def spoken(request: pytest.FixtureRequest, one_world: World) -> World:
    await one_world.set_account(api_version=ApiVersion(request.param))
    return one_world


async def _answered(
    world: World, deps: Deps, work: Callable[..., Awaitable[SessionAnswer]], request: SessionRequest
) -> SessionAnswer:
    return await work(deps, await installed(world.context.deps, SHOP), request)


async def test_beginning_to_pay(spoken: World) -> None:
    world = spoken
    price = nok(19_900)
    lines = (CartLine("UHJvZHVjdFZhcmlhbnQ6MQ==", "Coffee", 1, price, price, MONTHLY),)
    cart = Cart("Q2hlY2tvdXQ6MQ==", "norway", None, lines, None, None)
    for dies_at in itertools.count(1):
        life, name = Life(dies_at), f"T{dies_at}"
        request = SessionRequest(name, ActionType.CHARGE, price, name, cart, dict(RETURN))
        with contextlib.suppress(Died):
            await _answered(world, mortal(world.context.deps, life), initialize, request)
        world.advance(LEASE)
        answer = await _answered(world, world.context.deps, initialize, request)
        assert answer.result is EventType.CHARGE_ACTION_REQUIRED, life.last
        assert answer.data is not None
        agreement = answer.data["agreementId"]
        world.vipps.approve(agreement)
        paid = await _answered(world, world.context.deps, process, request)
        assert (paid.result, paid.amount) == (EventType.CHARGE_SUCCESS, price), life.last
        async with world.context.store.begin() as unit:
            charge = await unit.charges.by_transaction(SHOP, name)
        assert charge is not None, life.last
        assert charge.agreement_id == agreement
        if not life.ended:
            break
    assert len(life.steps) >= 8
    # Of each purchase money was taken once, whatever was drafted before it.
    assert len(world.effects("charge")) == dies_at
    assert len(await raw(world, "payment_session")) == dies_at


async def test_beginning_the_subscription(spoken: World) -> None:
    world = spoken
    for dies_at in itertools.count(1):
        buying = await _paid(world)
        session = await session_of(world, buying)
        assert session is not None
        life = Life(dies_at)
        with contextlib.suppress(Died):
            await begin_subscription(mortal(world.context.deps, life), SHOP, session.id)
        await recover(world, 1)
        assert await subscription_of(world, buying) is not None, life.last
        if not life.ended:
            break
    assert len(life.steps) >= 5
    assert len(await raw(world, "subscription")) == dies_at
    assert len([it for it in await raw(world, "audit") if it["action"] == "subscription.started"]) == dies_at


async def _paid(world: World) -> Purchase:
    """Ordered and approved; nobody has begun the subscription."""
    world.saleor.channels["norway"].allows_unpaid_orders = True
    buying = a_cart(world)
    await buying.begin()
    buying.complete()
    await world.drain()
    buying.approve()
    await buying.process()
    world.jobs.waiting.clear()
    return buying
