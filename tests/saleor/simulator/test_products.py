"""Lists of products and variants by metadata, as whoever may see more or less of them gets them."""

from typing import Any

import pytest

from app.saleor.simulator.simulator import Simulator

LISTS = """query ($channel: String, $key: String!) {
  products(first: 5, channel: $channel, filter: { metadata: [{ key: $key }] }) { edges { node { name } } totalCount }
  productVariants(first: 5, channel: $channel, filter: { metadata: [{ key: $key }] }) { edges { node { name } } }
}"""


def listed(
    simulator: Simulator, key: str, channel: str | None, token: str | None = None
) -> tuple[list[str], list[str]]:
    headers = {"authorization": f"Bearer {token}"} if token else {}
    body = {"query": LISTS, "variables": {"key": key, "channel": channel}}
    data: dict[str, Any] = simulator.execute(body, headers).content["data"]
    names = [[edge["node"]["name"] for edge in data[part]["edges"]] for part in ("products", "productVariants")]
    return names[0], names[1]


@pytest.fixture
def stocked(shop: Simulator) -> Simulator:
    shop.create_product("Coffee", variant_name="250 g", metadata={"mark": "1"})
    shop.create_product("Tea", variant_name="Loose", variant_metadata={"mark": "2"})
    shop.create_product("Cups")
    return shop


def test_metadata_finds_products_and_variants_apart(stocked: Simulator) -> None:
    channel = next(iter(stocked.channels))
    assert listed(stocked, "mark", channel) == (["Coffee"], ["Loose"])
    assert listed(stocked, "other", channel) == ([], [])


def test_what_is_unpublished_or_asked_for_without_a_channel_is_staffs_to_see(stocked: Simulator) -> None:
    channel = next(iter(stocked.channels))
    for product in stocked.products:
        stocked.unpublish(product)
    staff = stocked.tokens.access(stocked.create_staff("staff@shop.example"))
    assert listed(stocked, "mark", channel) == ([], [])
    assert listed(stocked, "mark", None) == ([], [])
    assert listed(stocked, "mark", channel, staff) == (["Coffee"], ["Loose"])
