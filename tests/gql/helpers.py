"""A shop with an agreement in every state that the operations need, and a second shop beside it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

import httpx

from app.domain.renewal import RenewalStatus
from app.domain.subscription import Subscriber, Subscription
from app.saleor.simulator.keys import SigningKey
from app.saleor.simulator.models import App, User
from app.saleor.simulator.simulator import Simulator as SaleorSimulator
from tests.builders import a_renewal, a_subscription, nok
from tests.web.helpers import outside
from tests.world import SHOP, World, bearer, make_world

OTHER = "https://other.example/graphql/"

CHARGE_MAKE = """
mutation ($charges: [ChargeMakeInput!]!) {
  chargeMake(charges: $charges) {
    successes
    errors { index id field code message }
    results {
      index id success error { code }
      charge { id agreementId orderId status amount { minor amount currency } due retryDays description }
    }
  }
}
"""
ITEM_RESULTS = "successes errors { index id field code message } results { index id success error { code } }"


def moving(name: str) -> str:
    kind = name[0].upper() + name[1:] + "Input"
    return f"mutation ($charges: [{kind}!]!) {{ {name}(charges: $charges) {{ {ITEM_RESULTS} }} }}"


AGREEMENT_CANCEL = f"mutation ($ids: [ID!]!) {{ agreementCancel(ids: $ids) {{ {ITEM_RESULTS} }} }}"
AGREEMENT_UPDATE = """
mutation ($id: ID!, $input: AgreementUpdateInput!) {
  agreementUpdate(id: $id, input: $input) {
    agreement { id productName productDescription price { minor } }
    errors { field code message }
  }
}
"""
CHARGES = f"query ($ids: [ID!]!) {{ charges(agreementIds: $ids) {{ {ITEM_RESULTS[:-2]} charges {{ id status }} }} }} }}"


@dataclass
class Scene:
    """Two shops with the same merchant account; the first one has an agreement with three charges."""

    world: World
    app: App
    other: SaleorSimulator
    other_app: App
    customer: User
    agreement: str
    due: str
    paid: str
    reserved: str

    @property
    def shop(self) -> SaleorSimulator:
        return self.world.saleor

    def staff(self, *permissions: str, shop: SaleorSimulator | None = None, app: App | None = None) -> dict[str, str]:
        """A member of staff as the Dashboard presents them to the app."""
        where = shop or self.shop
        user = where.create_staff(f"staff-{len(where.users)}@example.com", set(permissions))
        return bearer(where.tokens.dashboard(user, app or (self.app if where is self.shop else self.other_app)))


async def two_shops(database_url: str) -> World:
    world = make_world(database_url, (SHOP, OTHER))
    for url, shop in world.shops.items():
        await world.install(shop)
        await world.set_account(url)
    return world


async def a_scene(world: World) -> Scene:
    shop, other = world.saleor, world.shops[OTHER]
    customer = shop.create_customer()
    own = bearer(shop.tokens.access(customer))
    machine = await world.client()
    first = {"price": 10_000, "description": "First", "type": "RESERVE_CAPTURE"}
    agreement = await world.agreement(own, initialCharge=first)
    [reserved] = [it.id for it in world.vipps.charges(agreement)]
    paid = await made(world, machine, agreement, "order-paid")
    world.advance(timedelta(days=3))
    due = await made(world, machine, agreement, "order-due")
    return Scene(world, shop.apps[0], other, other.apps[0], customer, agreement, due, paid, reserved)


async def a_subscription_of(scene: Scene, **over: Any) -> Subscription:
    """What is renewed on the scene's agreement: period 1 is paid, period 2 is due in three weeks."""
    async with scene.world.context.store.begin() as unit:
        row = await unit.agreements.get(SHOP, scene.agreement)
        assert row is not None
        values = {"id": row.id, "account_id": row.account_id, "agreement_id": scene.agreement, "customer": row.customer}
        subscription = a_subscription(**(values | {"next_period": 2, "next_due": date(2026, 3, 28)} | over))
        subscription = replace(subscription, schedule=replace(subscription.schedule, first_period=2))
        await unit.subscriptions.add(subscription, Subscriber(None, None, None))
        paid = a_renewal(subscription, 1, status=RenewalStatus.PAID, order="T3JkZXI6Nw==", order_number="7")
        await unit.renewals.add_all([replace(paid, amount=nok(25_000))])
    return subscription


async def made(world: World, headers: Mapping[str, str], agreement: str, order_id: str, price: int = 10_000) -> str:
    charge = {"agreementId": agreement, "price": price, "description": "Coffee", "orderId": order_id}
    answer = await world.graphql(CHARGE_MAKE, {"charges": [charge]}, headers)
    [charge_id] = answer["data"]["chargeMake"]["successes"]
    return str(charge_id)


async def post(world: World, body: Any, headers: Mapping[str, str] | None = None) -> httpx.Response:
    """ASCII only, so that any text can be sent, lone surrogates too."""
    sent = {"Content-Type": "application/json"} | dict(headers or {})
    return await outside(world).post("/graphql", content=json.dumps(body), headers=sent)


async def ask(
    world: World, query: str, variables: Mapping[str, Any] | None = None, headers: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """As `World.graphql`, but a mistake of ours is an answer with another status."""
    answer = await post(world, {"query": query, "variables": variables}, headers)
    assert answer.status_code == 200, f"{answer.status_code}: {answer.text}"
    found: dict[str, Any] = answer.json()
    return found


def forged(like: SigningKey) -> SigningKey:
    """A key of somebody else that calls itself the shop's."""
    key = SigningKey()
    key.kid = like.kid
    return key
