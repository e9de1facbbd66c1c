"""Who is behind orders, from every version's answers and from answers that make no sense."""

from typing import Any

import httpx
import pytest

from app.domain.account import Installation
from app.domain.buyer import OrdersWanted
from app.domain.errors import Misconfigured, Unavailable
from app.saleor.client import SaleorClient
from app.saleor.simulator.models import Order
from app.saleor.simulator.simulator import Simulator
from tests.builders import an_installation
from tests.saleor.simulator.doubles import MANIFEST_URL
from tests.saleor.wire import Wire, installed


def karis(shop: Simulator) -> Order:
    return shop.create_order(shop.create_customer("kari@example.com", "Kari", "Nordmann"), amount=1)


@pytest.mark.parametrize("by", ["ids", "number", "like"])
async def test_every_version_says_who_bought(any_shop: Simulator, by: str) -> None:
    app, order = await any_shop.install(MANIFEST_URL), karis(any_shop)
    any_shop.create_order(email="ola@example.com", amount=1)
    wanted: dict[str, Any] = {"ids": [order.id], "number": str(order.number), "like": "Kari Nordmann"}
    [it] = await Wire(any_shop).client.buyers(installed(app), OrdersWanted(**{by: wanted[by]}))
    assert order.user is not None
    assert (it.order, it.number, it.customer) == (order.id, str(order.number), order.user.id)
    assert (it.name, it.email) == ("Kari Nordmann", "kari@example.com")


async def test_a_guest_without_an_address_has_an_email(shop: Simulator, wire: Wire, installation: Installation) -> None:
    order = shop.create_order(email="ola@example.com", amount=1)
    [it] = await wire.client.buyers(installation, OrdersWanted(ids=[order.id]))
    assert (it.customer, it.name, it.email) == (None, "", "ola@example.com")


async def test_what_is_no_order_is_not_asked_for(shop: Simulator, wire: Wire, installation: Installation) -> None:
    order = karis(shop)
    assert await wire.client.buyers(installation, OrdersWanted(ids=["order-7", "VXNlcjox", "x" * 250, ""])) == []
    assert wire.bodies == []
    found = await wire.client.buyers(installation, OrdersWanted(ids=["order-7", order.id, order.id]))
    assert [it.order for it in found] == [order.id]
    assert wire.bodies[0]["variables"]["filter"] == {"ids": [order.id]}


async def test_an_app_that_may_not_look_at_orders_is_refused(shop: Simulator, wire: Wire) -> None:
    app = await shop.install(MANIFEST_URL, ["HANDLE_PAYMENTS"])
    with pytest.raises(Misconfigured):
        await wire.client.buyers(installed(app), OrdersWanted(like="Kari"))


@pytest.mark.parametrize(
    "data", [{}, {"orders": None}, {"orders": {"edges": [{}]}}, {"orders": {"edges": [{"node": 1}]}}]
)
async def test_an_answer_that_makes_no_sense_is_no_answer(data: Any) -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(200, json={"data": data}))
    async with httpx.AsyncClient(transport=transport) as http:
        with pytest.raises(Unavailable):
            await SaleorClient(http).buyers(an_installation(), OrdersWanted(like="Kari"))
