"""A customer comes back from Vipps: the page waits for the outcome, tells it, and leads on to the shop."""

import re
from datetime import timedelta

import httpx
import pytest

from app.domain.agreement import AgreementStatus
from app.web.links import Links
from tests.usecases.buying import a_cart, a_customers_cart, initial_charge
from tests.usecases.renewing import settle
from tests.usecases.steps import a_subscriber, agreement_row
from tests.web.helpers import nothing_happens
from tests.world import APP_URL, SECRET_KEY, World

THANKS = "https://shop.example/thanks?cart=7#done"
ENGLISH = {"Accept-Language": "en"}


async def drafted(world: World, return_url: str = THANKS) -> tuple[str, str]:
    """An agreement that waits for its customer, and the path to which Vipps sends them."""
    who = await a_subscriber(world, approve=False, redirect_url=return_url)
    return who.agreement, world.vipps.book.agreements[who.agreement].merchant_redirect_url.removeprefix(APP_URL)


async def looked(world: World, path: str, look: int = 0) -> httpx.Response:
    return await world.http.get(f"{path}?look={look}" if look else path, headers=ENGLISH)


async def test_it_waits_and_then_leads_to_the_shop_with_the_outcome(world: World) -> None:
    agreement, path = await drafted(world)
    first = await looked(world, path)
    assert first.status_code == 200
    assert "One moment" in first.text
    assert first.headers["Refresh"] == f"2; url={APP_URL}{path}?look=1"
    assert "shop.example" not in first.text

    world.vipps.approve(agreement)
    await settle(world)
    forwarded = await looked(world, path, 1)
    assert forwarded.status_code == 303
    assert forwarded.headers["Location"] == (
        f"https://shop.example/thanks?cart=7&agreement={agreement}&status=ACTIVE#done"
    )
    assert forwarded.headers["Referrer-Policy"] == "no-referrer"
    assert forwarded.headers["Cache-Control"] == "no-store"


async def test_a_checkout_comes_back_the_same_way(world: World) -> None:
    buying = a_customers_cart(world)
    await buying.begin()
    redirect = world.vipps.book.agreements[buying.agreement_id].merchant_redirect_url
    assert redirect.startswith(f"{APP_URL}/return/")
    buying.approve()
    assert (await buying.process()).event.type == "CHARGE_SUCCESS"
    forwarded = await looked(world, redirect.removeprefix(APP_URL))
    assert forwarded.headers["Location"] == f"https://shop.example/thanks?agreement={buying.agreement_id}&status=ACTIVE"
    assert await initial_charge(world, buying) is not None


async def test_a_refusal_is_told_plainly_with_a_way_on(world: World) -> None:
    agreement, path = await drafted(world)
    world.vipps.reject(agreement)
    await settle(world)
    told = await looked(world, path)
    assert told.status_code == 200
    assert "You said no" in told.text
    assert f"agreement={agreement}&amp;status=STOPPED" in told.text
    assert "On to shop.example" in told.text
    assert "Refresh" not in told.headers


async def test_what_nobody_approved_in_time_is_told_too(world: World) -> None:
    _, path = await drafted(world)
    world.advance(timedelta(minutes=12))
    await settle(world)
    told = await looked(world, path)
    assert "not approved in time" in told.text
    assert "status=EXPIRED" in told.text


async def test_after_half_a_minute_it_says_that_it_is_slow_and_goes_on_looking(one_world: World) -> None:
    agreement, path = await drafted(one_world)
    assert "One moment" in (await looked(one_world, path, 14)).text
    slow = await looked(one_world, path, 15)
    assert "longer than usual" in slow.text
    assert f"agreement={agreement}&amp;status=PENDING" in slow.text
    assert slow.headers["Refresh"].startswith("10; ")
    assert "Refresh" not in (await looked(one_world, path, 75)).headers
    one_world.vipps.approve(agreement)
    await settle(one_world)
    assert (await looked(one_world, path, 20)).status_code == 303


@pytest.mark.parametrize("look", ["-1", "x", "1e3", "٣", "9" * 400])
async def test_a_count_that_somebody_made_up_does_no_harm(one_world: World, look: str) -> None:
    _, path = await drafted(one_world)
    assert (await one_world.http.get(f"{path}?look={look}")).status_code == 200


async def test_opening_it_makes_nothing_happen_and_tells_nothing_of_a_person(one_world: World) -> None:
    buying = a_cart(one_world)
    await buying.begin()
    path = one_world.vipps.book.agreements[buying.agreement_id].merchant_redirect_url.removeprefix(APP_URL)
    async with nothing_happens(one_world):
        answer = await looked(one_world, path)
    assert not re.search(r"Ola|Nordmann|Karl Johans|@|<script", answer.text)
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["Referrer-Policy"] == "no-referrer"


async def test_an_old_link_sends_nobody_away_by_itself(world: World) -> None:
    agreement, path = await drafted(world)
    world.vipps.approve(agreement)
    await settle(world)
    world.advance(timedelta(hours=2))
    told = await looked(world, path)
    assert told.status_code == 200
    assert "It is approved" in told.text
    assert "On to shop.example" in told.text


async def test_what_was_approved_and_stopped_since_is_over_and_no_refusal(world: World) -> None:
    await world.register_webhooks()
    agreement, path = await drafted(world)
    world.vipps.approve(agreement)
    await settle(world)
    world.vipps.stop_in_app(agreement)
    await settle(world)
    assert (await agreement_row(world, agreement)).status is AgreementStatus.STOPPED
    assert "has ended" in (await looked(world, path)).text


async def test_an_apps_own_scheme_is_left_to_vipps(world: World) -> None:
    agreement, redirect = await drafted(world, "myshop://thanks")
    assert redirect == "myshop://thanks"
    row = await agreement_row(world, agreement)
    assert row.return_url is None
    told = await world.http.get(world.context.deps.return_url(row.id).removeprefix(APP_URL), headers=ENGLISH)
    assert "One moment" in told.text


@pytest.mark.parametrize(
    ("asked", "word"), [("nb-NO", "Et øyeblikk"), ("da", "Et øjeblik"), ("fi", "Hetki"), ("sv", "Ett ögonblick")]
)
async def test_it_speaks_the_browsers_language(one_world: World, asked: str, word: str) -> None:
    _, path = await drafted(one_world)
    assert word in (await one_world.http.get(path, headers={"Accept-Language": asked})).text


async def test_a_link_for_something_else_opens_nothing(one_world: World) -> None:
    agreement, path = await drafted(one_world)
    row = await agreement_row(one_world, agreement)
    links = Links([SECRET_KEY], APP_URL)
    tokens = [
        links.pay(row.id).rpartition("/")[2],
        links.my(row.id, 0).rpartition("/")[2],
        Links(["another-key-of-thirty-two-characters"], APP_URL).back(row.id).rpartition("/")[2],
        "x",
        "A" * 5000,
    ]
    for token in tokens:
        assert (await one_world.http.get(f"/return/{token}")).status_code == 404
    assert (await one_world.http.post(path)).status_code == 405
    token = path.rpartition("/")[2]
    assert (await one_world.http.get(f"/pay/{token}")).status_code == 404
    assert (await one_world.http.get(f"/my/{token}")).status_code == 404
