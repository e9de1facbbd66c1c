"""Many at once: shown before, each answered, once; and what has changed meanwhile is left alone."""

import re
from html import unescape

import httpx
import pytest

from app.domain.subscription import SubscriptionStatus
from tests.usecases.renewing import subscribe
from tests.usecases.steps import a_collected_charge, a_made_charge, a_subscriber, amounts
from tests.web.helpers import nothing_happens, nothing_is_written_to_vipps
from tests.web.pages.test_charge_actions import opened, seen, send
from tests.web.pages.test_lists import OTHER, VIEWER
from tests.web.pages.visiting import Staff, fields, words, wrong
from tests.world import SHOP, World, make_world

S = SubscriptionStatus


async def chosen(staff: Staff, area: str, action: str, *ids: str) -> httpx.Response:
    return await staff.post(f"/{area}/chosen", {"action": action, "id": list(ids)})  # type: ignore[dict-item]


def form_of(answer: httpx.Response) -> dict[str, object]:
    """As a browser sends it: the items are fields of one name."""
    items = [unescape(it) for it in re.findall(r'name="item" value="([^"]*)"', answer.text)]
    return {**fields(answer), "item": items}


async def done(staff: Staff, area: str, form: dict[str, object], **typed: str) -> httpx.Response:
    return await staff.post(f"/{area}/chosen/done", form | typed)  # type: ignore[arg-type]


async def test_refunds_are_shown_with_their_sum_and_each_is_answered_once(world: World) -> None:
    charges = [await seen(world, await a_collected_charge(world, price)) for price in (25_000, 10_000)]
    waiting, staff = await a_made_charge(world, charges[0].agreement_id), Staff(world)
    listed = await staff.get("/charges")
    assert set(re.findall(r'name="id" value="([\w-]+)"', listed.text)) == {it.id for it in (*charges, waiting)}
    preview = await chosen(staff, "charges", "refund", *(it.id for it in charges), waiting.id)
    said = words(preview)
    assert "Refund 2 charges" in said
    assert "NOK 350.00 can be refunded" in said
    assert "Left out" in said
    form = form_of(preview)
    result = await done(staff, "charges", form, description="Closed")
    assert "2 of 2 are done." in words(result)
    assert sorted(amounts(world, "refund")) == [10_000, 25_000]
    again = await done(staff, "charges", form, description="Closed")
    assert "Nothing happened a second time" in words(again)
    assert len(amounts(world, "refund")) == 2


async def test_what_somebody_was_quicker_with_is_left_alone_and_the_rest_is_done(world: World) -> None:
    charges = [await seen(world, await a_collected_charge(world, price)) for price in (25_000, 10_000)]
    staff = Staff(world)
    form = form_of(await chosen(staff, "charges", "refund", *(it.id for it in charges)))
    part = await opened(staff, charges[0], "refund") | {"amount": "5.00", "description": "Part"}
    await send(staff, charges[0], "refund", part)
    result = await done(staff, "charges", form, description="Closed")
    assert "1 of 2 are done." in words(result)
    assert "Not done" in words(result)
    assert sorted(amounts(world, "refund")) == [500, 10_000]


async def test_charges_are_cancelled_together(world: World) -> None:
    who, staff = await a_subscriber(world), Staff(world)
    made = [await a_made_charge(world, who.agreement, price) for price in (10_000, 11_000)]
    form = form_of(await chosen(staff, "charges", "cancel", *(it.id for it in made)))
    assert "2 of 2 are done." in words(await done(staff, "charges", form))
    assert len(world.effects("cancel")) == 2


async def test_subscriptions_are_paused_resumed_and_stopped(world: World) -> None:
    people, staff = [await subscribe(world) for _ in range(3)], Staff(world)
    ids = [it.agreement for it in people]
    form = form_of(await chosen(staff, "agreements", "pause", *ids))
    assert "3 of 3 are done." in words(await done(staff, "agreements", form))
    assert [(await it.row()).status for it in people] == [S.PAUSED] * 3
    async with nothing_happens(world):
        late = await done(staff, "agreements", form)
    assert late.status_code == 409
    resumed = form_of(await chosen(staff, "agreements", "resume", *ids[:2]))
    await done(staff, "agreements", resumed)
    stopped = form_of(await chosen(staff, "agreements", "stop", *ids))
    assert stopped["at"] == "PERIOD_END"
    await done(staff, "agreements", stopped, at="NOW")
    assert [(await it.row()).status for it in people] == [S.ENDED] * 3


@pytest.mark.parametrize(
    ("action", "name", "typed"),
    [
        ("pause", "until", "soon"),
        ("pause", "until", "2020-01-01"),
        ("pause", "until", "2026-03-02"),
        ("stop", "at", "LATER"),
    ],
)
async def test_what_is_wrong_stands_beside_its_field(one_world: World, action: str, name: str, typed: str) -> None:
    who, staff = await subscribe(one_world), Staff(one_world)
    form = form_of(await chosen(staff, "agreements", action, who.agreement))
    async with nothing_happens(one_world):
        answer = await done(staff, "agreements", form, **{name: typed})
    assert (answer.status_code, wrong(answer)) == (422, {name})
    assert f'aria-describedby="{name}-hint {name}-wrong"' in answer.text
    again = form_of(answer)
    assert (again["item"], again["key"]) == (form["item"], form["key"])
    if action == "pause":
        assert again[name] == typed


async def test_a_pause_may_end_on_the_day_after_today(one_world: World) -> None:
    who, staff = await subscribe(one_world), Staff(one_world)
    form = form_of(await chosen(staff, "agreements", "pause", who.agreement))
    assert "1 of 1 are done." in words(await done(staff, "agreements", form, until="2026-03-03"))
    assert str((await who.row()).paused_until) == "2026-03-03"


async def test_a_reason_is_needed_to_refund(one_world: World) -> None:
    charge, staff = await seen(one_world, await a_collected_charge(one_world)), Staff(one_world)
    form = form_of(await chosen(staff, "charges", "refund", charge.id))
    async with nothing_is_written_to_vipps(one_world):
        answer = await done(staff, "charges", form)
    assert wrong(answer) == {"description"}
    assert "NOK 250.00" in words(answer)
    assert form_of(answer)["key"] == form["key"]


async def test_nothing_chosen_and_nothing_known(one_world: World) -> None:
    staff = Staff(one_world)
    async with nothing_happens(one_world):
        assert "Nothing is chosen." in words(await chosen(staff, "charges", "refund"))
        assert (await chosen(staff, "charges", "burn", "x")).status_code == 400
        assert (await done(staff, "charges", {"action": "refund"})).status_code == 400


async def test_another_shops_and_a_viewer_change_nothing(sqlite_url: str) -> None:
    world = make_world(sqlite_url, [SHOP, OTHER])
    await world.install()
    await world.install(world.shops[OTHER])
    await world.set_account()
    charge = await seen(world, await a_collected_charge(world))
    stranger, viewer = Staff(world), Staff(world, VIEWER)
    stranger.shop = world.shops[OTHER]
    stranger.user = stranger.shop.create_staff("s@other.example", frozenset({"HANDLE_PAYMENTS"}))
    form: dict[str, object] = {
        "action": "refund",
        "key": "k",
        "item": f"{charge.id} {charge.sums}",
        "description": "x",
    }
    async with nothing_happens(world):
        assert charge.agreement_id not in (await chosen(stranger, "charges", "refund", charge.id)).text
        assert (await done(stranger, "charges", form)).status_code == 409
        assert (await done(viewer, "charges", form)).status_code == 403
        assert 'name="id"' not in (await viewer.get("/charges")).text
    await world.context.close()
