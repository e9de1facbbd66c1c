"""Channels and marked products, from answers of the simulator and from answers that make no sense."""

from typing import Any

import httpx
import pytest

from app.domain.errors import Unavailable
from app.saleor.client import SaleorClient
from app.usecases.installations import installed
from tests.builders import an_installation
from tests.world import SHOP, World

SENSELESS: list[Any] = [
    {},
    {"channels": None},
    {"channels": [{"slug": "a"}]},
    {"channels": [{"slug": "a", "name": "A", "isActive": True}], "products": {"edges": [{}]}},
]


async def test_channels_are_listed(one_world: World) -> None:
    installation = await installed(one_world.context.deps, SHOP)
    found = await one_world.context.deps.shop.channels(installation)
    assert [it.slug for it in found] == list(one_world.saleor.channels)
    assert all(it.active for it in found)


@pytest.mark.parametrize("marked", ["metadata", "variant_metadata"])
async def test_a_marked_product_is_found_by_itself_or_its_variant(one_world: World, marked: str) -> None:
    installation = await installed(one_world.context.deps, SHOP)
    shop = one_world.context.deps.shop
    assert await shop.subscription_products(installation) == []
    one_world.saleor.create_product("Tea", **{marked: {"vipps-recurring.interval": "MONTH:1"}})  # type: ignore[arg-type]
    assert await shop.subscription_products(installation) == [("Tea", "MONTH:1")]


@pytest.mark.parametrize("data", SENSELESS)
async def test_an_answer_that_makes_no_sense_is_no_answer(data: Any) -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(200, json={"data": data}))
    async with httpx.AsyncClient(transport=transport) as http:
        with pytest.raises(Unavailable):
            await SaleorClient(http).subscription_products(an_installation())
