"""Customers are told whose page it is: the shop's name, as the merchant has written it in the Dashboard."""

from dataclasses import replace

import httpx
import pytest

from app.saleor.simulator.models import Address
from app.usecases.nightly import look_at_shops
from tests.usecases.renewing import subscribe
from tests.usecases.steps import a_subscriber
from tests.usecases.test_pay_links import in_dunning
from tests.web.pages.mine import ENGLISH, confirming, opened, path_of
from tests.world import APP_URL, SHOP, World, make_world

OTHER = "https://other.example/graphql/"


def called(world: World, company: str, site: str = "Saleor e-commerce") -> None:
    world.saleor.company_address = Address(number=7_000, company_name=company)
    world.saleor.name = site


async def known(world: World, shop: str = SHOP) -> tuple[str | None, str | None]:
    async with world.context.store.begin() as unit:
        found = await unit.installations.get(shop)
    assert found is not None
    return found.shop_name, found.saleor_version


def assert_named(answer: httpx.Response, name: str) -> None:
    assert f'<p class="shop">{name}</p>' in answer.text
    assert f" · {name}</title>" in answer.text


async def test_every_page_of_a_customer_says_whose_it_is(world: World) -> None:
    called(world, "Kaffe & Te AS")
    them = await in_dunning(world)
    await look_at_shops(world.context.deps)
    path, name = await path_of(world, them.agreement), "Kaffe &amp; Te AS"
    assert_named(await opened(world, path), name)
    assert_named(await confirming(world, path, "cancel"), name)
    assert_named(await confirming(world, path, "pause"), name)
    pay = world.context.deps.pay_url((await them.renewal()).id)
    assert_named(await opened(world, pay.removeprefix(APP_URL)), name)
    waiting = await a_subscriber(world, approve=False, redirect_url="https://shop.example/")
    back = world.vipps.book.agreements[waiting.agreement].merchant_redirect_url
    assert_named(await opened(world, back.removeprefix(APP_URL)), name)


@pytest.mark.parametrize(
    ("company", "site", "name"),
    [
        ("", "Kaffebutikken", "Kaffebutikken"),
        ("  Te AS ", "Kaffebutikken", "Te AS"),
        ("  ", "Saleor e-commerce", None),
        ("x" * 120, "", "x" * 100),
    ],
)
async def test_the_companys_name_or_the_sites_unless_nobody_gave_it_one(
    one_world: World, company: str, site: str, name: str | None
) -> None:
    called(one_world, company, site)
    await look_at_shops(one_world.context.deps)
    assert (await known(one_world))[0] == name


async def test_a_shop_that_nobody_named_has_no_name_on_its_pages(one_world: World) -> None:
    them = await subscribe(one_world)
    answer = await opened(one_world, await path_of(one_world, them.agreement), ENGLISH)
    assert "e-commerce" not in answer.text
    assert 'class="shop"' not in answer.text
    assert "Your subscription</title>" in answer.text


async def test_it_is_known_from_the_installation_on_and_followed_every_night(sqlite_url: str) -> None:
    world = make_world(sqlite_url, (SHOP, OTHER), "3.21")
    called(world, "Kaffe AS")
    for shop in world.shops.values():
        await world.install(shop)
    assert await known(world) == ("Kaffe AS", world.saleor.site.full_version)

    called(world, "Te AS")
    world.saleor.site = replace(world.saleor.site, version="3.22")
    world.shops[OTHER].name = "Another"
    world.shops[OTHER].go_away()
    await look_at_shops(world.context.deps)
    assert await known(world) == ("Te AS", world.saleor.site.full_version)
    assert (await known(world, OTHER))[0] is None
    await world.context.close()
