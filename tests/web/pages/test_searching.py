"""Staff with a customer on the telephone: found by whatever the customer can say, and nowhere written down."""

import asyncio
import re
from dataclasses import replace
from urllib.parse import quote

import httpx
import pytest

from app.domain.records import AgreementFilter, Page
from app.saleor.simulator.models import User
from tests.builders import an_agreement
from tests.usecases.buying import Purchase, a_cart, home
from tests.usecases.renewing import days_pass
from tests.web.helpers import saleor_hosts
from tests.web.pages.test_lists import neighbour, rows
from tests.web.pages.visiting import MONEY, Staff, words, wrong
from tests.world import SHOP, World

VIEWER = frozenset({"MANAGE_ORDERS"})


async def look(staff: Staff, path: str, typed: str) -> httpx.Response:
    """As the script asks: what was typed stands in a header."""
    headers = staff.headers() | {"Search-For": quote(typed, safe="")}
    answer = await staff.world.http.get(f"/app/content{path}", headers=headers)
    assert answer.status_code == 200, words(answer)
    return answer


async def two_buyers(world: World) -> tuple[Purchase, Purchase]:
    """Kari has an account, Per is a guest; each has bought a subscription."""
    kari = world.saleor.create_customer("kari@example.com", "Kari", "Nordmann")
    found = []
    for user, first, email, phone in (
        (kari, "Kari", "", "+4791234567"),
        (None, "Per", "per@example.com", "+4540000000"),
    ):
        cart = a_cart(world, user=user)
        address = replace(home(world), first_name=first, phone=phone)
        cart.checkout.billing_address = cart.checkout.shipping_address = address
        cart.checkout.email = email or "kari@example.com"
        await cart.buy()
        found.append(cart)
    return found[0], found[1]


async def found_agreements(staff: Staff, typed: str) -> list[str]:
    return rows(await look(staff, "/agreements", typed), "agreements")


async def test_a_customer_is_found_by_what_they_can_say(world: World) -> None:
    (kari, per), staff = await two_buyers(world), Staff(world, VIEWER)
    cases = {
        kari.agreement_id: ["kari@example.com", "KARI", "Kari Nordmann", "91234567", "+47 912 34 567", "0047 91234567"],
        per.agreement_id: ["per@example.com", "Per", "40 00 00 00", "Per Nordmann"],
    }
    for purchase in (kari, per):
        assert purchase.order
        number = purchase.order.number
        cases[purchase.agreement_id] += [str(number), f"#{number}", f"Order {number}", f"ordre {number}"]
    for agreement, texts in cases.items():
        for typed in texts:
            assert await found_agreements(staff, typed) == [agreement], typed
            assert len(rows(await look(staff, "/charges", typed))) == 1, typed
    assert set(await found_agreements(staff, "Nordmann")) == set(cases)
    assert await found_agreements(staff, "Kari Per") == []
    assert await found_agreements(staff, "99999") == []


async def test_all_charges_of_a_person_are_found_but_one_of_an_order(world: World) -> None:
    (_, per), staff = await two_buyers(world), Staff(world, VIEWER)
    await days_pass(world, 32)
    everything = rows(await look(staff, "/charges", "per@example.com"))
    assert len(everything) == 2
    newest = max(it.number for it in world.saleor.orders if it.email == "per@example.com")
    for number in (newest, per.order.number if per.order else 0):
        [one] = rows(await look(staff, "/charges", f"#{number}"))
        assert one in everything


async def test_the_name_of_a_person_stands_in_no_address(one_world: World) -> None:
    (kari, _), staff = await two_buyers(one_world), Staff(one_world)
    answer = await look(staff, "/agreements?status=active", "kari@example.com")
    assert rows(answer, "agreements") == [kari.agreement_id]
    addresses = re.findall(r'(?:href|action|data-path)="([^"]*)"', answer.text)
    assert "/agreements?status=active" in addresses
    assert not [it for it in addresses if "kari" in it.lower() or "q=" in it]
    assert 'value="kari@example.com"' in answer.text
    assert 'data-download="agreements.csv" data-search-for="kari@example.com"' in answer.text
    file = await look(staff, "/agreements.csv", "kari@example.com")
    assert file.text.count("agr_") == 1


async def test_an_id_in_an_address_stays_there(one_world: World) -> None:
    (kari, _), staff = await two_buyers(one_world), Staff(one_world, VIEWER)
    answer = await staff.get(f"/charges?q={kari.agreement_id}")
    assert len(rows(answer)) == 1
    assert f'data-path="/charges?q={kari.agreement_id}"' in answer.text
    assert "data-search-for" not in answer.text


@pytest.mark.parametrize("path", ["/charges", "/agreements"])
async def test_a_shop_that_does_not_answer_is_told_and_nothing_is_listed(one_world: World, path: str) -> None:
    (kari, _), staff = await two_buyers(one_world), Staff(one_world)
    one_world.saleor.go_away(600)
    for typed in ("kari@example.com", "Order 1", "two words"):
        answer = await look(staff, path, typed)
        assert wrong(answer) == {"q"}
        assert "Saleor did not answer" in words(answer)
        assert rows(answer, path[1:]) == []
        assert "chosen" not in answer.text
        assert "is like that" not in words(answer)
    assert len(rows(await look(staff, path, kari.agreement_id), path[1:])) == 1


async def test_a_shop_that_hangs_is_not_waited_for(one_world: World) -> None:
    async def hangs(_request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(60)
        return httpx.Response(500)

    staff = Staff(one_world)
    headers = staff.headers() | {"Search-For": "Kari"}
    saleor_hosts(one_world).apps["shop.example"] = httpx.MockTransport(hangs)
    async with asyncio.timeout(30):
        answer = await one_world.http.get("/app/content/agreements", headers=headers)
    assert "Saleor did not answer" in words(answer)


async def test_whoever_may_not_look_at_orders_finds_no_people(one_world: World) -> None:
    (kari, _), staff = await two_buyers(one_world), Staff(one_world, MONEY - {"MANAGE_ORDERS"})
    answer = await look(staff, "/agreements", "kari@example.com")
    assert "you need the permission to manage orders" in words(answer)
    assert rows(answer, "agreements") == []
    assert kari.order
    for typed in (kari.agreement_id, f"#{kari.order.number}"):
        assert await found_agreements(staff, typed) == [kari.agreement_id]


async def test_of_very_many_orders_there_is_a_word(one_world: World) -> None:
    user: User = one_world.saleor.create_customer("kari@example.com", "Kari", "Nordmann")
    for _ in range(100):
        one_world.saleor.create_order(user, amount=1)
    answer = await look(Staff(one_world), "/agreements", "Kari")
    assert "Saleor has more orders like that" in words(answer)
    assert wrong(answer) == set()


async def test_a_list_that_is_looked_through_goes_on_with_the_search(one_world: World) -> None:
    kari = one_world.saleor.create_customer("kari@example.com", "Kari", "Nordmann")
    await a_cart(one_world, user=kari).buy()
    async with one_world.context.store.begin() as unit:
        [agreement] = await unit.agreements.page(SHOP, AgreementFilter(), Page(5))
        for _ in range(30):
            await unit.agreements.add(an_agreement(customer=kari.id, account_id=agreement.account_id))
    staff = Staff(one_world)
    first = await look(staff, "/agreements", "kari@example.com")
    address = neighbour(first, "next")
    assert address is not None
    assert "kari" not in address
    assert 'rel="next" data-search-for="kari@example.com"' in first.text
    second = await look(staff, address, "kari@example.com")
    seen = rows(first, "agreements") + rows(second, "agreements")
    assert len(set(seen)) == len(seen) == 31
