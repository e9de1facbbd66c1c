"""A customer follows the link of a failed renewal: opening it does nothing, its button leads to Vipps."""

import re
from collections.abc import Mapping

import pytest

from app.web.links import Links
from tests.usecases.renewing import Subscribed, days_pass, settle
from tests.usecases.test_dunning import failing
from tests.usecases.test_pay_links import in_dunning
from tests.world import APP_URL, SECRET_KEY, World

ENGLISH = {"Accept-Language": "en"}


async def link(them: Subscribed) -> str:
    """As the notice has it."""
    url = them.world.context.deps.pay_url((await them.renewal()).id)
    return url.removeprefix(APP_URL)


async def shown(world: World, path: str, headers: Mapping[str, str] = ENGLISH) -> str:
    answer = await world.http.get(path, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.text


async def test_it_is_paid_from_the_link_to_the_end(world: World) -> None:
    them = await in_dunning(world)
    path = await link(them)
    first = await shown(world, path)
    assert "Pay your subscription" in first
    assert "NOK\N{NO-BREAK SPACE}199.00" in first
    assert len(world.vipps.book.agreements) == 1

    pressed = await world.http.post(path, headers=ENGLISH)
    assert pressed.status_code == 303
    [new] = [it for name, it in world.vipps.book.agreements.items() if name != them.agreement]
    assert new.merchant_redirect_url == APP_URL + path
    assert pressed.headers["Location"] == (await pay_again(world, path))
    waiting = await world.http.get(path, headers=ENGLISH)
    assert "Waiting for Vipps MobilePay" in waiting.text
    assert waiting.headers["Refresh"] == "4"

    world.vipps.approve(new.id)
    await settle(world)
    done = await world.http.get(path, headers=ENGLISH)
    assert "it is paid" in done.text
    assert "Refresh" not in done.headers
    assert (await world.http.post(path)).headers["Location"] == APP_URL + path
    assert len(world.effects("charge")) == 1


async def test_a_form_that_another_site_made_the_browser_send_pays_nothing(one_world: World) -> None:
    path = await link(await in_dunning(one_world))
    before = len(one_world.vipps.book.agreements)
    answer = await one_world.http.post(path, headers=ENGLISH | {"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 403
    assert "This did not come from this page" in answer.text
    assert len(one_world.vipps.book.agreements) == before
    own = await one_world.http.post(path, headers=ENGLISH | {"Sec-Fetch-Site": "same-origin"})
    assert own.status_code == 303


async def pay_again(world: World, path: str) -> str:
    return (await world.http.post(path)).headers["Location"]


async def test_the_page_says_nothing_of_a_person_and_runs_nothing(one_world: World) -> None:
    path = await link(await in_dunning(one_world))
    text = await shown(one_world, path)
    assert not re.search(r"Ola|Nordmann|Karl Johans|@|<script", text)
    answer = await one_world.http.get(path)
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["Referrer-Policy"] == "no-referrer"


@pytest.mark.parametrize(
    ("asked", "word"), [("nb-NO", "Betal"), ("da", "Betal dit"), ("fi", "Maksa"), ("sv", "Betala"), ("de", "Pay")]
)
async def test_it_speaks_the_browsers_language(one_world: World, asked: str, word: str) -> None:
    path = await link(await in_dunning(one_world))
    assert word in await shown(one_world, path, {"Accept-Language": asked})


async def test_vipps_in_trouble_is_told_and_the_button_stays(one_world: World) -> None:
    them = await in_dunning(one_world)
    path = await link(them)
    one_world.vipps.faults.add("status", status=503, times=None)
    answer = await one_world.http.post(path, headers=ENGLISH)
    assert answer.status_code == 503
    assert "try again" in answer.text
    assert "<button" in answer.text
    one_world.vipps.faults.clear()
    assert (await one_world.http.post(path)).status_code == 303


async def test_what_the_shop_has_to_mend_is_told(one_world: World) -> None:
    them = await in_dunning(one_world)
    path = await link(them)
    one_world.saleor.set_stock(them.product.variants[0], 0)
    answer = await one_world.http.post(path, headers=ENGLISH)
    assert answer.status_code == 409
    assert "Ask the shop" in answer.text
    assert len(one_world.vipps.book.agreements) == 1


async def test_a_link_of_a_period_that_is_collected_has_no_button(one_world: World) -> None:
    them = await failing(one_world)
    await days_pass(one_world, 4)
    text = await shown(one_world, await link(them))
    assert "Nothing to do just now" in text
    assert "<button" not in text


@pytest.mark.parametrize("token", ["", "x", "A" * 43, "å", "A" * 5000])
async def test_what_was_not_signed_here_opens_nothing(one_world: World, token: str) -> None:
    for method in ("GET", "POST"):
        answer = await one_world.http.request(method, f"/pay/{token}")
        assert answer.status_code in {404, 405}


async def test_a_link_of_another_key_or_with_another_id_is_not_valid(one_world: World) -> None:
    renewal = await (await in_dunning(one_world)).renewal()
    good = Links([SECRET_KEY], APP_URL)
    token = good.pay(renewal.id).rpartition("/")[2]
    assert good.renewal_of(token) == renewal.id
    rotated = Links(["another-key-of-thirty-two-characters", SECRET_KEY], APP_URL)
    assert rotated.renewal_of(token) == renewal.id
    forged = Links(["another-key-of-thirty-two-characters"], APP_URL).pay(renewal.id).removeprefix(APP_URL)
    assert (await one_world.http.get(forged)).status_code == 404
    assert (await one_world.http.post(forged)).status_code == 404
    flipped = ("B" if token[0] != "B" else "C") + token[1:]
    assert (await one_world.http.get(f"/pay/{flipped}")).status_code == 404


async def test_a_link_that_is_hammered_asks_vipps_no_more_and_others_do(one_world: World) -> None:
    """Each press asks Vipps, whose limits all customers share."""
    them = await in_dunning(one_world)
    path = await link(them)
    other = await link(await in_dunning(one_world))
    for _ in range(10):
        assert (await one_world.http.post(path)).status_code == 303
    before = one_world.vipps.requests_seen
    refused = await one_world.http.post(path, headers=ENGLISH)
    assert (refused.status_code, one_world.vipps.requests_seen) == (429, before)
    assert 0 < int(refused.headers["Retry-After"]) <= 65
    assert (await one_world.http.post(other)).status_code == 303
    for _ in range(60):
        await shown(one_world, path)
    assert (await one_world.http.get(path)).status_code == 429
