"""Steps of subscriptions that are renewed: somebody who subscribes, days that pass, and what came of each period."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

from app.domain.account import Account
from app.domain.charge import Charge
from app.domain.money import Currency
from app.domain.plan import IntervalUnit, Plan
from app.domain.renewal import RENEWAL_SLOT, Renewal, renewal_id
from app.domain.schedule import Schedule
from app.domain.subscription import Subscriber, Subscription, SubscriptionLine, SubscriptionStatus
from app.saleor.simulator.catalog_models import Product
from app.saleor.simulator.models import Order
from app.usecases.agreements import InitialChargeWish
from app.usecases.planning import Planned, local_day, plan
from tests.usecases.steps import agreement_row, an_agreement, the_account
from tests.world import SHOP, World

HOME = {
    "firstName": "Ola",
    "lastName": "Nordmann",
    "streetAddress1": "Karl Johans gate 1",
    "city": "Oslo",
    "postalCode": "0154",
    "country": "NO",
}
MONTHLY = Plan(IntervalUnit.MONTH, 1)


@dataclass
class Subscribed:
    world: World
    id: str
    agreement: str
    product: Product

    async def row(self) -> Subscription:
        async with self.world.context.store.begin() as unit:
            found = await unit.subscriptions.get(SHOP, self.id)
        assert found is not None
        return found

    async def change(self, changed: Subscription) -> Subscription:
        async with self.world.context.store.begin() as unit:
            assert await unit.subscriptions.save(changed)
        return await self.row()

    async def renewals(self) -> Sequence[Renewal]:
        async with self.world.context.store.begin() as unit:
            return await unit.renewals.of_subscription(SHOP, self.id, 1000)

    async def renewal(self, period: int = 1) -> Renewal:
        async with self.world.context.store.begin() as unit:
            found = await unit.renewals.get(SHOP, renewal_id(SHOP, self.id, period))
        assert found is not None
        return found

    async def charge(self, period: int = 1, attempt: int = 1) -> Charge:
        slot = f"{RENEWAL_SLOT}{renewal_id(SHOP, self.id, period)}/{attempt}"
        async with self.world.context.store.begin() as unit:
            return (await unit.charges.by_slots(SHOP, [slot]))[slot]

    async def outcomes(self) -> list[str]:
        """Status and reason of each period, oldest first."""
        return [f"{it.status}/{it.reason}" if it.reason else it.status.value for it in await self.renewals()]

    def orders(self) -> list[Order]:
        """The shop's orders and drafts of it, oldest first."""
        mine = f"vipps-recurring:{self.agreement}:"
        return [it for it in self.world.saleor.orders if (it.external_reference or "").startswith(mine)]


async def subscribe(
    world: World,
    price: int = 199,
    plan: Plan = MONTHLY,
    *,
    first_due: date | None = None,
    product: Product | None = None,
    subscriber: Subscriber | None = None,
    initial: InitialChargeWish | None = None,
    **over: Any,
) -> Subscribed:
    """A customer with an approved agreement and a first order behind them; period 1 is due in four days."""
    users = [user for user in world.saleor.users if not user.is_staff]
    user = users[0] if users else world.saleor.create_customer()
    account = await the_account(world)
    product = product or world.saleor.create_product(price=price, is_shipping_required=False)
    agreement_id = await an_agreement(
        world, user, price=price * 100, unit=plan.unit, count=plan.count, initial_charge=initial
    )
    agreement = await agreement_row(world, agreement_id)
    channel = next(iter(world.saleor.channels.values()))
    first = first_due or local_day(world.context.deps, account) + timedelta(days=4)
    subscription = Subscription(
        id=agreement.id,
        shop=SHOP,
        account_id=account.id,
        agreement_id=agreement_id,
        customer=user.id,
        channel=channel.slug,
        channel_id=channel.id,
        currency=Currency.NOK,
        initial_order="T3JkZXI6MQ==",
        lines=(SubscriptionLine(product.variants[0].id, 1, product.name),),
        schedule=Schedule(plan, first, 1),
        next_period=1,
        next_due=first,
        status=SubscriptionStatus.ACTIVE,
        created_at=world.time.now,
    )
    async with world.context.store.begin() as unit:
        person = subscriber or Subscriber(None, HOME, HOME)
        assert await unit.subscriptions.add(replace(subscription, **over), person)
    return Subscribed(world, agreement.id, agreement_id, product)


async def account_is(world: World, **over: Any) -> Account:
    """Change the merchant account's settings."""
    account = replace(await the_account(world), **over)
    async with world.context.store.begin() as unit:
        await unit.accounts.put(account)
    return account


async def planned(world: World) -> Planned:
    return await plan(world.context.deps)


async def days_pass(world: World, days: int = 1) -> None:
    """Each day the planner and the sweeper run, jobs are done, and webhooks come in."""
    for _ in range(days):
        world.advance(timedelta(days=1))
        await settle(world)


async def settle(world: World, rounds: int = 3) -> None:
    """Whatever can be done now is done."""
    await planned(world)
    for _ in range(rounds):
        world.advance(timedelta(minutes=5))
        await world.sweep()
        await world.drain()


def problems(world: World) -> list[str]:
    """Keys of what staff are told of in Saleor."""
    return sorted(
        {it.key_text for app in world.saleor.apps for it in world.saleor.problems.of(app) if not it.dismissed_by}
    )
