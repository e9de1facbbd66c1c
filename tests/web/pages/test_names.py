"""Pages say who the customer is, as the shop knows them at that moment; nobody else is asked, and nothing is kept."""

import asyncio
from typing import Any

import httpx
import pytest

from tests.usecases.buying import Purchase, a_cart, a_customers_cart, initial_charge
from tests.usecases.renewing import days_pass
from tests.web.helpers import saleor_hosts, stored
from tests.web.pages.visiting import MONEY, Staff, fields, words
from tests.world import World


async def bought(world: World, *, guest: bool = False) -> Purchase:
    """A subscription whose first period was renewed, too."""
    purchase = a_cart(world) if guest else a_customers_cart(world)
    await purchase.buy()
    await days_pass(world, 32)
    return purchase


async def pages(world: World, purchase: Purchase) -> list[str]:
    charge = await initial_charge(world, purchase)
    assert charge
    return [
        "/agreements",
        "/charges",
        "/runs/renewals",
        f"/agreements/{purchase.agreement_id}",
        f"/charges/{charge.id}",
    ]


def asked(world: World) -> list[Any]:
    """The questions about people that the shop got."""
    return [it for it in saleor_hosts(world).calls if b"query Buyers" in it.content]


async def test_every_page_says_who_the_customer_is_in_one_question(world: World) -> None:
    purchase, staff = await bought(world), Staff(world, frozenset({"MANAGE_ORDERS"}))
    before = await stored(world)
    assert purchase.order
    for path in await pages(world, purchase):
        so_far = len(asked(world))
        answer = await staff.get(path)
        assert "Ola Nordmann" in words(answer), path
        assert "@example.com" in words(answer), path
        assert len(asked(world)) == so_far + 1, path
        if path not in {"/agreements", "/runs/renewals"}:
            assert f"Order {purchase.order.number}" in words(answer), path
        assert "Order in Saleor" not in words(answer)
    assert await stored(world) == before


@pytest.mark.parametrize("typed", [{"amount": "9999.00"}, {"amount": "x"}, {"description": ""}])
async def test_a_form_with_a_mistake_still_says_whose_money_it_is(one_world: World, typed: dict[str, str]) -> None:
    purchase, staff = await bought(one_world), Staff(one_world)
    charge = await initial_charge(one_world, purchase)
    assert charge
    path = f"/charges/{charge.id}/refund"
    shown = await staff.get(path)
    assert "Ola Nordmann" in words(shown)
    again = await staff.post(path, fields(shown) | {"description": "Broken"} | typed)
    assert (again.status_code, "Ola Nordmann" in words(again)) == (422, True)
    path = f"/agreements/{purchase.agreement_id}/move"
    again = await staff.post(path, fields(await staff.get(path)) | {"date": "never"})
    assert (again.status_code, "Ola Nordmann" in words(again)) == (422, True)


async def test_many_at_once_are_named_before_and_those_that_fail_afterwards(world: World) -> None:
    purchase, staff = await bought(world), Staff(world)
    charge = await initial_charge(world, purchase)
    assert charge
    chosen = {"action": "pause", "id": purchase.agreement_id}
    preview = await staff.post("/agreements/chosen", chosen)
    assert "Ola Nordmann guest@example.com" in words(preview)
    assert "Ola Nordmann" in words(
        await staff.post("/charges/chosen", {"action": "cancel", "id": charge.id})
    )  # left out
    form = fields(preview)
    assert "Ola" not in str(form)
    so_far = len(asked(world))
    assert "Nordmann" not in words(await staff.post("/agreements/chosen/done", form))
    assert len(asked(world)) == so_far
    again = await staff.post("/agreements/chosen/done", form)
    assert f"Ola Nordmann · {purchase.agreement_id}" in words(again)


async def test_a_guest_is_named_too(one_world: World) -> None:
    purchase, staff = await bought(one_world, guest=True), Staff(one_world)
    for path in await pages(one_world, purchase):
        said = words(await staff.get(path))
        assert "Ola Nordmann" in said, path
        assert "guest@example.com" in said, path
        assert "No Saleor customer" not in said
        assert ("guest, without an account" in said) is path.startswith(("/agreements/", "/charges/"))


async def test_files_hold_no_names(one_world: World) -> None:
    await bought(one_world)
    for path in ("/agreements.csv", "/charges.csv"):
        text = (await Staff(one_world).get(path)).text
        assert "agr_" in text
        assert "Nordmann" not in text
        assert "@" not in text
    assert asked(one_world) == []


async def test_whoever_may_not_look_at_orders_sees_nobody(one_world: World) -> None:
    purchase, staff = await bought(one_world), Staff(one_world, MONEY - {"MANAGE_ORDERS"})
    for path in await pages(one_world, purchase):
        text = (await staff.get(path)).text
        assert "Nordmann" not in text
        assert "example.com" not in text
    assert asked(one_world) == []


async def test_where_there_is_nobody_to_name_nobody_is_asked(one_world: World) -> None:
    for path in ("/agreements", "/charges", "/agreements?status=SHRUG"):
        assert "Saleor did not answer" not in words(await Staff(one_world).get(path))
    assert asked(one_world) == []


@pytest.mark.parametrize("hangs", [False, True])
async def test_without_an_answer_the_page_appears_without_names(one_world: World, *, hangs: bool) -> None:
    async def silent(_request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(60)
        return httpx.Response(500)

    purchase, staff = await bought(one_world), Staff(one_world)
    if hangs:
        saleor_hosts(one_world).apps["shop.example"] = httpx.MockTransport(silent)
    else:
        one_world.saleor.go_away(6000)
    for path in await pages(one_world, purchase):
        async with asyncio.timeout(30):
            answer = await staff.get(path)
        assert answer.status_code == 200
        assert "Saleor did not answer: names and some order numbers are missing." in words(answer), path
        assert "Nordmann" not in answer.text
        assert "Coffee" in answer.text
