"""Our client against the simulated shop: which orders it finds, and what a shop that fails makes of the question."""

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import httpx
import pytest

from app.domain.account import Installation
from app.domain.errors import Misconfigured, Unavailable
from app.domain.order import AGREEMENT_KEY
from app.saleor.client import SaleorClient
from app.saleor.documents import document
from app.saleor.simulator.keys import SigningKey
from app.saleor.simulator.models import Order
from app.saleor.simulator.simulator import Simulator
from tests.builders import an_installation
from tests.saleor.conftest import START
from tests.saleor.simulator.doubles import MANIFEST_URL, AppDouble
from tests.saleor.wire import Wire, installed

Answer = Callable[[int], httpx.Response]
DAY = timedelta(days=1)


def an_order(shop: Simulator, **over: Any) -> Order:
    shop.clock.advance(60)
    values: dict[str, Any] = {"email": "a@example.com", "amount": 1, "metadata": {AGREEMENT_KEY: "agr_1"}}
    return shop.create_order(**(values | over))


def ids(*orders: Order) -> list[str]:
    return [order.id for order in orders]


# Which orders


@pytest.mark.parametrize("version", ["3.21", "3.22", "3.23", "3.24"])
async def test_every_version_tells_which_orders_name_an_agreement_oldest_first(
    double: AppDouble, key: SigningKey, version: str
) -> None:
    shop = Simulator(version=version, start=START, clients=double.client, key=key)
    installation = installed(await shop.install(MANIFEST_URL))
    first = an_order(shop)
    an_order(shop, metadata={})
    an_order(shop, metadata={"vipps-recurring.other": "agr_1", "agreement": AGREEMENT_KEY})
    an_order(shop, metadata={}, private_metadata={AGREEMENT_KEY: "agr_1"})
    second = an_order(shop, metadata={AGREEMENT_KEY: "", "another": "key"}, channel="denmark")
    an_order(shop).status = "DRAFT"
    third = an_order(shop, paid=True, confirm=False)
    shop.cancel_order(first)
    found = await Wire(shop).client.orders_with_agreement(installation, START)
    assert found == ids(first, second, third)


async def test_the_small_schema_serves_the_question_too(double: AppDouble, key: SigningKey) -> None:
    shop = Simulator(start=START, clients=double.client, key=key, schema_directory=None)
    installation = installed(await shop.install(MANIFEST_URL))
    order = an_order(shop)
    assert await Wire(shop).client.orders_with_agreement(installation, START) == [order.id]


async def test_an_agreement_named_later_is_found(shop: Simulator, wire: Wire, installation: Installation) -> None:
    order = an_order(shop, metadata={})
    assert await wire.client.orders_with_agreement(installation, START) == []
    shop.update_order_metadata(order, {AGREEMENT_KEY: "agr_1"})
    assert await wire.client.orders_with_agreement(installation, START) == [order.id]


@pytest.mark.parametrize("count", [0, 1, 99, 100, 101, 200, 250])
async def test_all_pages_are_read_and_no_order_is_told_twice(
    shop: Simulator, wire: Wire, installation: Installation, count: int
) -> None:
    orders = [an_order(shop, metadata={AGREEMENT_KEY: f"agr_{number}"}) for number in range(count)]
    for _ in range(3):
        an_order(shop, metadata={})
    assert await wire.client.orders_with_agreement(installation, START) == ids(*orders)
    assert len(wire.bodies) == max(1, -(-count // 100))


async def test_orders_of_the_same_instant_are_all_found(
    shop: Simulator, wire: Wire, installation: Installation
) -> None:
    metadata = {AGREEMENT_KEY: "agr_1"}
    orders = [shop.create_order(email="a@example.com", amount=1, metadata=metadata) for _ in range(150)]
    assert await wire.client.orders_with_agreement(installation, START) == ids(*orders)


async def test_an_order_that_comes_while_we_read_is_told_once(
    shop: Simulator, wire: Wire, installation: Installation
) -> None:
    orders = [an_order(shop) for _ in range(150)]

    def one_more(number: int) -> None:
        if number == 2:
            orders.append(an_order(shop))

    wire.before = one_more
    assert await wire.client.orders_with_agreement(installation, START) == ids(*orders)


# Since when


async def test_the_time_of_creation_decides_to_the_instant(
    shop: Simulator, wire: Wire, installation: Installation
) -> None:
    before, at, after = an_order(shop), an_order(shop), an_order(shop)
    for hours in (0, -11, 14):
        since = at.created_at.astimezone(timezone(timedelta(hours=hours)))
        assert await wire.client.orders_with_agreement(installation, since) == ids(at, after)
    instant = timedelta(microseconds=1)
    assert await wire.client.orders_with_agreement(installation, at.created_at + instant) == ids(after)
    assert await wire.client.orders_with_agreement(installation, before.created_at) == ids(before, at, after)


async def test_old_orders_are_left_out_and_the_shop_is_asked_for_a_day_more(
    shop: Simulator, wire: Wire, installation: Installation
) -> None:
    an_order(shop)
    shop.clock.advance(10 * DAY)
    order = an_order(shop)
    assert await wire.client.orders_with_agreement(installation, START + 9 * DAY) == [order.id]
    expected = {"key": AGREEMENT_KEY, "since": (START + 8 * DAY).date().isoformat(), "after": None}
    assert [body["variables"] for body in wire.bodies] == [expected]


def test_nothing_about_the_customer_is_asked_for() -> None:
    text = document("queries/orders-with-agreement")
    assert not [word for word in ("user", "email", "Address", "value") if word in text]


# A shop that fails


async def test_a_dead_or_missing_token_is_for_the_merchant_to_mend(shop: Simulator, wire: Wire) -> None:
    app = await shop.install(MANIFEST_URL)
    an_order(shop)
    installation = installed(app)
    shop.delete_app(app)
    for dead in (
        installation,
        an_installation(token="x" * 30),
        an_installation(token="x"),
        an_installation(token=None),
    ):
        with pytest.raises(Misconfigured):
            await wire.client.orders_with_agreement(dead, START)


async def test_an_app_that_may_not_manage_orders_is_told_so(shop: Simulator, wire: Wire) -> None:
    app = await shop.install(MANIFEST_URL, ["HANDLE_PAYMENTS"])
    with pytest.raises(Misconfigured, match="MANAGE_ORDERS"):
        await wire.client.orders_with_agreement(installed(app), START)


@pytest.mark.parametrize("status", [500, 502, 503, 504])
async def test_a_shop_that_is_away_is_asked_again_later(
    shop: Simulator, wire: Wire, installation: Installation, status: int
) -> None:
    order = an_order(shop)
    shop.go_away(600, status)
    with pytest.raises(Unavailable) as failure:
        await wire.client.orders_with_agreement(installation, START)
    assert failure.value.status == status
    with pytest.raises(Unavailable):
        await wire.client.key_set(installation.shop)
    shop.clock.advance(600)
    assert await wire.client.orders_with_agreement(installation, START) == [order.id]


async def test_a_shop_that_goes_away_between_two_pages_is_not_read_in_part(
    shop: Simulator, wire: Wire, installation: Installation
) -> None:
    for _ in range(101):
        an_order(shop)
    wire.before = lambda number: shop.go_away() if number == 2 else None
    with pytest.raises(Unavailable):
        await wire.client.orders_with_agreement(installation, START)
    assert len(wire.bodies) == 2


def scripted(answer: Answer) -> tuple[SaleorClient, list[httpx.Request]]:
    seen: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return answer(len(seen))

    return SaleorClient(httpx.AsyncClient(transport=httpx.MockTransport(handle))), seen


def listing(*created: object, following: object = None, more: bool = False) -> httpx.Response:
    edges = [{"node": {"id": f"order-{number}", "created": text}} for number, text in enumerate(created)]
    page = {"edges": edges, "pageInfo": {"hasNextPage": more, "endCursor": following}}
    return httpx.Response(200, json={"data": {"orders": page}})


async def test_a_list_without_end_is_given_up() -> None:
    client, seen = scripted(lambda number: listing(START.isoformat(), following=str(number), more=True))
    with pytest.raises(Unavailable, match="more than 100 pages of orders with an agreement since 2026-11-21"):
        await client.orders_with_agreement(an_installation(), START)
    assert len(seen) == 100


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, json={"data": {"orders": None}}),
        httpx.Response(200, json={"data": None}),
        httpx.Response(200, json={"data": {"orders": []}}),
        httpx.Response(200, json={"data": {"orders": {"edges": None, "pageInfo": {"hasNextPage": False}}}}),
        httpx.Response(200, json={"data": {"orders": {"edges": [None], "pageInfo": {"hasNextPage": False}}}}),
        httpx.Response(200, json={"data": {"orders": {"edges": []}}}),
        listing("yesterday"),
        listing(None),
        listing(17),
        listing(START.isoformat(), more=True),
        listing(START.isoformat(), more=True, following=""),
    ],
)
async def test_a_list_that_cannot_be_read_is_no_empty_list(answer: httpx.Response) -> None:
    client, _seen = scripted(lambda _number: answer)
    with pytest.raises(Unavailable, match="list of orders"):
        await client.orders_with_agreement(an_installation(), START)


@pytest.mark.parametrize("text", ["2026-11-22T05:00:00.123456Z", "2026-11-22T06:00:00.123456+01:00"])
async def test_a_time_may_be_written_in_any_zone(text: str) -> None:
    client, _seen = scripted(lambda _number: listing(text))
    assert await client.orders_with_agreement(an_installation(), datetime.fromisoformat(text)) == ["order-0"]
    assert await client.orders_with_agreement(an_installation(), START) == ["order-0"]
