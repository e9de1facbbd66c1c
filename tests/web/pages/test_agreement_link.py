"""The customer's link sent again: one notice for each press, and plain words where nobody would take it."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import httpx
import pytest

from app.domain.account import customer
from app.domain.dunning import GiveUp
from app.domain.errors import Forbidden
from app.usecases.manage_links import replace_link, send_link
from app.usecases.pay_links import PayState, pay_page
from tests.usecases.renewing import Subscribed, account_is, days_pass, subscribe
from tests.usecases.steps import MACHINE, Died, Life, Subscriber, a_subscriber, mortal, raw
from tests.usecases.test_dunning import failing
from tests.usecases.test_notices import SECRET, URL, Endpoint
from tests.web.helpers import nothing_happens
from tests.web.pages.mine import opened, path_of
from tests.web.pages.test_charge_actions import audited
from tests.web.pages.test_lists import VIEWER, failed_period
from tests.web.pages.visiting import Staff, fields, words
from tests.world import APP_URL, SHOP, World


async def listening(world: World) -> Endpoint:
    """The shop's e-mail app, at the address that its account names."""
    endpoint = Endpoint()
    world.context.http.saleor._transport.apps["mail.example"] = httpx.ASGITransport(app=endpoint)  # type: ignore[attr-defined]
    await account_is(world, notify_url=URL, notify_secret=SECRET)
    return endpoint


async def press(staff: Staff, who: Subscribed, form: dict[str, str] | None = None) -> httpx.Response:
    path = f"/agreements/{who.agreement}/link"
    return await staff.post(path, fields(await staff.get(path)) if form is None else form)


async def links(world: World) -> int:
    return len([it for it in await raw(world, "notice") if it["kind"] == "subscription.link"])


async def test_each_press_is_one_notice_however_often_it_arrives(world: World) -> None:
    endpoint, who, staff = await listening(world), await subscribe(world), Staff(world)
    page = await staff.get(f"/agreements/{who.agreement}/link")
    assert "Your e-mail app gets a notice now" in words(page)
    form = fields(page)
    answers = await asyncio.gather(press(staff, who, form), press(staff, who, form))
    assert all(it.status_code == 200 for it in answers)
    assert "Nothing happened a second time" in words(await press(staff, who, form))
    await world.drain()
    [news] = endpoint.news
    assert (news["kind"], news["agreement"], news["data"]["pay_url"]) == ("subscription.link", who.agreement, None)
    shown = await staff.get(f"/agreements/{who.agreement}")
    assert f'value="{news["data"]["manage_url"]}"' in shown.text
    assert "told to send the link now" in words(await press(staff, who))
    assert await links(world) == 2
    assert [it.action for it in await audited(world, who.agreement)].count("agreement.link_sent") == 2


async def test_an_unpaid_periods_pay_link_goes_with_it(one_world: World) -> None:
    who, endpoint, staff = await failed_period(one_world), await listening(one_world), Staff(one_world)
    await press(staff, who)
    await one_world.drain()
    assert endpoint.news[-1]["data"]["pay_url"] == one_world.context.deps.pay_url((await who.renewal()).id)


async def test_no_pay_link_goes_with_it_where_it_opens_nothing_to_pay(one_world: World) -> None:
    """The policy lets the period go and goes on: its link says that it is over."""
    who = await failing(one_world, then=GiveUp.CONTINUE, retry_after=())
    await days_pass(one_world, 10)
    assert await who.outcomes() == ["FAILED/CHARGE_FAILED"]
    link = one_world.context.deps.pay_url((await who.renewal()).id)
    assert (await pay_page(one_world.context.deps, (await who.renewal()).id)).state is PayState.OVER
    charge = await who.charge()
    for path in (f"/agreements/{who.agreement}", f"/charges/{charge.id}"):
        assert link not in (await Staff(one_world).get(path)).text, "nor is it there to be copied"
    endpoint = await listening(one_world)
    await press(Staff(one_world), who)
    await one_world.drain()
    assert endpoint.news[-1]["data"]["pay_url"] is None


async def test_a_press_that_died_on_any_line_is_made_up_for_by_another(one_world: World) -> None:
    await listening(one_world)
    who = await subscribe(one_world)
    for number in range(1, 9):
        life = Life(number)
        with contextlib.suppress(Died):
            await send_link(mortal(one_world.context.deps, life), MACHINE, who.agreement, f"key {number}")
        await send_link(one_world.context.deps, MACHINE, who.agreement, f"key {number}")
        assert await links(one_world) == number, life.last
        if not life.ended:
            break
    assert 2 <= len(life.steps) < 8


async def test_where_no_e_mail_app_listens_it_says_so_and_sends_nothing(one_world: World) -> None:
    who, staff = await subscribe(one_world), Staff(one_world)
    async with nothing_happens(one_world):
        asked = await staff.get(f"/agreements/{who.agreement}/link")
        sent = await press(staff, who, {"key": "k"})
    for answer in (asked, sent):
        assert answer.status_code == 409
        assert "No e-mail app of yours listens" in words(answer)
        assert "The customer's link" in words(answer)


async def test_who_may_not_and_what_is_not_there(one_world: World) -> None:
    await listening(one_world)
    who, viewer, staff = await subscribe(one_world), Staff(one_world, VIEWER), Staff(one_world)
    bare = (await a_subscriber(one_world)).agreement
    async with nothing_happens(one_world):
        assert (await press(viewer, who, {"key": "k"})).status_code == 403
        assert "my-link" not in (await viewer.get(f"/agreements/{who.agreement}")).text
        assert (await staff.get(f"/agreements/{bare}/link")).status_code == 409
        assert (await staff.post(f"/agreements/{bare}/link", {"key": "k"})).status_code == 404
        assert (await press(staff, who, {})).status_code == 400
        with pytest.raises(Forbidden):
            await send_link(one_world.context.deps, customer(SHOP, "someone"), who.agreement, "k")


async def replace(staff: Staff, agreement: str, form: dict[str, str] | None = None) -> httpx.Response:
    path = f"/agreements/{agreement}/replace"
    return await staff.post(path, fields(await staff.get(path)) if form is None else form)


@pytest.mark.parametrize("begun", [subscribe, a_subscriber])
async def test_the_link_is_replaced_once_however_often_the_form_arrives(
    world: World, begun: Callable[[World], Awaitable[Subscribed | Subscriber]]
) -> None:
    await account_is(world, agreement_url=None)
    agreement, staff = (await begun(world)).agreement, Staff(world)
    before = await path_of(world, agreement)
    assert f'href="/app/agreements/{agreement}/replace"' in (await staff.get(f"/agreements/{agreement}")).text
    page = await staff.get(f"/agreements/{agreement}/replace")
    assert "given out before opens nothing any more" in words(page)
    assert (await world.http.get(before)).status_code == 200, "looking changes nothing"
    form = fields(page)
    answers = await asyncio.gather(replace(staff, agreement, form), replace(staff, agreement, form))
    assert sorted(it.status_code for it in answers) == [200, 409]

    after = await path_of(world, agreement)
    assert all(f'value="{APP_URL}{after}"' in it.text for it in answers)
    assert (await world.http.get(before)).status_code == 404
    await opened(world, after)
    assert world.vipps.book.agreements[agreement].merchant_agreement_url == APP_URL + after
    async with nothing_happens(world):
        assert "Nothing was done" in words(await replace(staff, agreement, form))
    assert [it.action for it in await audited(world, agreement)].count("agreement.links_revoked") == 1
    assert "The link is replaced" in words(await replace(staff, agreement))


async def test_a_link_that_vipps_was_not_told_of_is_shown_all_the_same(one_world: World) -> None:
    await account_is(one_world, agreement_url=None)
    who, staff = await a_subscriber(one_world), Staff(one_world)
    before = await path_of(one_world, who.agreement)
    form = fields(await staff.get(f"/agreements/{who.agreement}/replace"))
    one_world.vipps.faults.add("status", status=503, times=None)
    answer = await replace(staff, who.agreement, form)
    assert "Vipps did not answer" in words(answer)
    assert APP_URL + await path_of(one_world, who.agreement) in answer.text
    assert (await one_world.http.get(before)).status_code == 404


async def test_who_may_not_replace_a_link(one_world: World) -> None:
    who, viewer, staff = await a_subscriber(one_world), Staff(one_world, VIEWER), Staff(one_world)
    async with nothing_happens(one_world):
        assert "/replace" not in (await viewer.get(f"/agreements/{who.agreement}")).text
        assert (await viewer.get(f"/agreements/{who.agreement}/replace")).status_code == 403
        assert (await replace(viewer, who.agreement, {"seen": "0"})).status_code == 403
        assert (await replace(staff, who.agreement, {})).status_code == 400
        assert (await replace(staff, who.agreement, {"seen": "9" * 5000})).status_code == 409
        assert (await replace(staff, "agr_none", {"seen": "0"})).status_code == 404
        with pytest.raises(Forbidden):
            await replace_link(one_world.context.deps, customer(SHOP, "someone"), who.agreement, 0)
