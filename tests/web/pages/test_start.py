"""The checklist: it knows what is done, says what is next, and never takes what it could not find out for a no."""

import re
from collections.abc import AsyncIterator

import httpx
import pytest

from tests.usecases.renewing import settle
from tests.usecases.steps import a_subscriber, the_account
from tests.web.pages.visiting import MONEY, Staff, words
from tests.world import World, make_world


@pytest.fixture
async def bare(database_url: str) -> AsyncIterator[World]:
    world = make_world(database_url)
    await world.install()
    yield world
    await world.context.close()


def states(answer: httpx.Response) -> list[str]:
    return re.findall(r'<span class="badge[^"]*">([^<]+)</span></h2>', answer.text)


def next_step(answer: httpx.Response) -> int:
    """Its place in the list, from 0; -1 where all is done."""
    items = re.findall(r"<li [^>]*>", answer.text)
    return next((place for place, item in enumerate(items) if 'aria-current="step"' in item), -1)


async def test_the_whole_way_from_nothing_to_a_subscriber(bare: World) -> None:
    staff = Staff(bare)
    answer = await staff.get("/start")
    assert states(answer) == ["To do"] * 5
    assert next_step(answer) == 0

    await bare.set_account()
    assert next_step(await staff.get("/start")) == 1

    await staff.post(f"/accounts/{(await the_account(bare)).id}/try")
    answer = await staff.get("/start")
    assert states(answer) == ["Done", "Done", "Done", "To do", "To do"]
    assert next_step(answer) == 3
    assert "vipps-recurring.interval" in answer.text

    bare.saleor.create_product("Tea box", variant_metadata={"vipps-recurring.interval": "WEEK:2"})
    answer = await staff.get("/start")
    assert "Found: Tea box" in words(answer)
    assert next_step(answer) == 4

    draft = await a_subscriber(bare, approve=False)
    assert next_step(await staff.get("/start")) == 4  # nobody has agreed to anything yet
    bare.vipps.approve(draft.agreement)
    await settle(bare)
    answer = await staff.get("/start")
    assert states(answer) == ["Done"] * 5
    assert next_step(answer) == -1
    assert "Everything is in place, in Vipps' test environment" in words(answer)


async def test_a_connection_that_broke_is_the_next_thing_to_do(bare: World) -> None:
    staff = Staff(bare)
    await bare.set_account(client_secret="not-the-right-one")
    tried = await staff.post(f"/accounts/{(await the_account(bare)).id}/try")
    assert "Vipps does not accept the client id and the client secret" in words(tried)
    answer = await staff.get("/start")
    assert next_step(answer) == 1
    assert states(answer)[:3] == ["Done", "To do", "To do"]


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"client_id": "unknown"}, "Vipps does not accept the client id and the client secret"),
        ({"subscription_key": "unknown"}, "Vipps does not accept the subscription key"),
        ({"msn": "654321"}, "not for recurring payments with this merchant serial number"),
    ],
)
async def test_a_try_says_what_is_wrong_and_where_to_mend_it(one_world: World, keys: dict[str, str], said: str) -> None:
    await one_world.set_account(**keys)
    staff, account = Staff(one_world), await the_account(one_world)
    tried = await staff.post(f"/accounts/{account.id}/try")
    assert said in words(tried)
    assert "portal.vippsmobilepay.com" in tried.text
    assert said in words(await staff.get("/accounts"))


async def test_vipps_being_away_is_no_fault_of_the_keys(one_world: World) -> None:
    one_world.vipps.faults.add("status", status=503, times=None)
    staff, account = Staff(one_world), await the_account(one_world)
    assert "Vipps did not answer" in words(await staff.post(f"/accounts/{account.id}/try"))


async def test_asking_too_often_finds_nothing_out_and_changes_nothing(one_world: World) -> None:
    staff, account = Staff(one_world), await the_account(one_world)
    said = [words(await staff.post(f"/accounts/{account.id}/try"))]
    one_world.vipps.faults.add("status", status=429, times=None, operation="listAgreements")
    said.append(words(await staff.post(f"/accounts/{account.id}/try")))
    assert "The connection works" in said[0]
    assert "Tested too often" in said[1]
    assert states(await staff.get("/start"))[1] == "Done"


async def test_a_shop_that_does_not_answer_hides_nothing_else(one_world: World) -> None:
    staff = Staff(one_world)
    await staff.get("/start")  # the app has the shop's keys now
    one_world.saleor.go_away(600, 503)
    answer = await staff.get("/start")
    assert answer.status_code == 200
    assert states(answer) == ["Done", "To do", "To do", "Not known", "To do"]


async def test_an_unmarked_product_is_not_enough(one_world: World) -> None:
    one_world.saleor.create_product("Coffee", metadata={"something": "else"})
    assert states(await Staff(one_world).get("/start"))[3] == "To do"


@pytest.mark.parametrize("written", ["monthly", "MONTH", "MONTH:0", " "])
async def test_an_interval_that_nobody_can_buy_is_not_done(one_world: World, written: str) -> None:
    one_world.saleor.create_product("Tea box", metadata={"vipps-recurring.interval": "WEEK:2"})
    one_world.saleor.create_product("Coffee box", variant_metadata={"vipps-recurring.interval": written})
    answer = await Staff(one_world).get("/start")
    assert states(answer)[3] == "To do"
    assert "Coffee box has an interval that cannot be read" in words(answer)
    assert "MONTH:1" in words(answer)


async def test_whoever_may_only_look_sees_it_too(one_world: World) -> None:
    answer = await Staff(one_world, MONEY - {"HANDLE_PAYMENTS"}).get("/start")
    assert answer.status_code == 200


async def test_it_speaks_norwegian(one_world: World) -> None:
    answer = await Staff(one_world, locale="nb").get("/start")
    assert "Kom i gang" in words(answer)
    assert answer.headers["Content-Language"] == "nb"
