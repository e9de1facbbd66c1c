"""Orders looked for by words, numbers and ids, as Saleor's filters find them."""

from typing import Any

import pytest

from app.saleor.simulator.models import Address, App, Order
from app.saleor.simulator.simulator import Simulator
from tests.saleor.simulator.doubles import MANIFEST_URL

QUERY = "query($filter: OrderFilterInput) { orders(first: 9, filter: $filter) { edges { node { id } } } }"


@pytest.fixture
async def app(shop: Simulator) -> App:
    return await shop.install(MANIFEST_URL)


def listed(shop: Simulator, app: App, wanted: dict[str, Any]) -> dict[str, Any]:
    body = {"query": QUERY, "variables": {"filter": wanted}}
    return shop.execute(body, {"authorization": f"Bearer {app.token}"}).content


def found(shop: Simulator, app: App, **wanted: Any) -> list[str]:
    answer = listed(shop, app, wanted)
    return [edge["node"]["id"] for edge in answer["data"]["orders"]["edges"]]


def two(shop: Simulator) -> tuple[Order, Order]:
    """Of a customer with a telephone, and of a guest."""
    known = shop.create_order(shop.create_customer("kari@example.com", "Kari", "Nordmann"), amount=1)
    guest = shop.create_order(email="ola@example.com", amount=2)
    guest.billing_address = Address(number=99, first_name="Ola", last_name="Guest", city="Bergen", phone="+4591234567")
    return known, guest


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("kari@example.com", [0]),
        ("KARI", [0]),
        ("Kari Nordmann", [0]),
        ("Kari Guest", []),
        ("Kar", []),
        ("+4591234567", [1]),
        ("91234567", []),
        ("91234567 OR +4591234567", [1]),
        ("kari OR ola", [1, 0]),
        ("goods -kari", [1]),
        ("...", []),
        ("", [1, 0]),
    ],
)
async def test_whole_words_are_found_all_of_them_or_one_of_two(
    shop: Simulator, app: App, text: str, expected: list[int]
) -> None:
    orders = two(shop)
    assert found(shop, app, search=text) == [orders[n].id for n in expected]


async def test_numbers_and_ids_are_found_and_nothing_by_none(shop: Simulator, app: App) -> None:
    known, guest = two(shop)
    assert found(shop, app, numbers=[str(guest.number), "77"]) == [guest.id]
    assert found(shop, app, ids=[known.id]) == [known.id]
    assert found(shop, app, ids=[]) == [guest.id, known.id]


@pytest.mark.parametrize("wanted", [{"ids": ["VXNlcjox"]}, {"ids": ["x"]}, {"ids": ["T3JkZXI6MQ=="], "numbers": ["1"]}])
async def test_ids_of_something_else_and_both_at_once_are_refused(shop: Simulator, app: App, wanted: Any) -> None:
    assert "errors" in listed(shop, app, wanted)
