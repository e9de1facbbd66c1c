"""One agreement's actions: said before, decided on what it is now, and never done twice by an old page."""

from datetime import timedelta

import httpx
import pytest

from app.domain.agreement import AgreementStatus
from app.domain.subscription import SubscriptionStatus
from tests.usecases.renewing import Subscribed, subscribe
from tests.usecases.steps import a_subscriber, agreement_row
from tests.web.helpers import nothing_happens
from tests.web.pages.test_lists import OTHER, VIEWER
from tests.web.pages.visiting import Staff, fields, words, wrong
from tests.world import SHOP, World, make_world

ALL = ("pause", "resume", "skip", "move", "price", "quantity", "stop")


async def do(staff: Staff, agreement: str, action: str, **typed: str) -> httpx.Response:
    page = await staff.get(f"/agreements/{agreement}/{action}")
    assert page.status_code == 200, words(page)
    return await staff.post(f"/agreements/{agreement}/{action}", fields(page) | typed)


async def status_of(who: Subscribed) -> SubscriptionStatus:
    return (await who.row()).status


async def test_paused_until_a_day_and_resumed(world: World) -> None:
    who, staff = await subscribe(world), Staff(world)
    until = (world.time.now + timedelta(days=40)).date()
    done = await do(staff, who.agreement, "pause", until=until.isoformat())
    assert "Paused." in words(done)
    assert ((await who.row()).paused_until, await status_of(who)) == (until, SubscriptionStatus.PAUSED)
    assert "It is renewed again." in words(await do(staff, who.agreement, "resume"))
    assert await status_of(who) is SubscriptionStatus.ACTIVE


async def test_the_next_period_is_skipped_once(world: World) -> None:
    who, staff = await subscribe(world), Staff(world)
    form = fields(await staff.get(f"/agreements/{who.agreement}/skip"))
    await staff.post(f"/agreements/{who.agreement}/skip", form)
    async with nothing_happens(world):
        late = await staff.post(f"/agreements/{who.agreement}/skip", form)
    assert late.status_code == 409
    assert "Nothing was done" in words(late)
    assert await who.outcomes() == ["SKIPPED/SKIPPED"]


async def test_another_day_another_price_other_quantities(world: World) -> None:
    who, staff = await subscribe(world), Staff(world)
    before = await who.row()
    day = before.next_due + timedelta(days=7)
    await do(staff, who.agreement, "move", date=day.isoformat())
    assert (await who.row()).next_due == day
    page = await staff.get(f"/agreements/{who.agreement}/price")
    assert "14 days at the least" in words(page)
    assert "The new price is set" in words(await do(staff, who.agreement, "price", amount="249.00"))
    change = (await who.row()).price_change
    assert change is not None
    assert change.price.minor == 24_900
    await do(staff, who.agreement, "quantity", **{"quantity-0": "3"})
    assert [it.quantity for it in (await who.row()).lines] == [3]
    assert "NOK 249.00 from" in words(await staff.get(f"/agreements/{who.agreement}"))


@pytest.mark.parametrize(("at", "status"), [("NOW", "STOPPED"), ("PERIOD_END", "ACTIVE")])
async def test_it_ends_now_or_with_what_is_paid_for(world: World, at: str, status: str) -> None:
    who, staff = await subscribe(world), Staff(world)
    page = await staff.get(f"/agreements/{who.agreement}/stop")
    assert "Nothing is refunded." in words(page)
    assert fields(page)["at"] == "PERIOD_END"
    await staff.post(f"/agreements/{who.agreement}/stop", fields(page) | {"at": at})
    assert (await agreement_row(world, who.agreement)).status == status
    assert await status_of(who) is (SubscriptionStatus.ENDED if at == "NOW" else SubscriptionStatus.ENDING)


async def test_an_agreement_without_a_subscription_is_stopped(one_world: World) -> None:
    who, staff = await a_subscriber(one_world), Staff(one_world)
    await do(staff, who.agreement, "stop")
    assert (await agreement_row(one_world, who.agreement)).status is AgreementStatus.STOPPED
    for action in ALL:
        assert (await staff.get(f"/agreements/{who.agreement}/{action}")).status_code == 409


@pytest.mark.parametrize(
    ("action", "name", "typed"),
    [
        ("pause", "until", "2026-03-01"),
        ("pause", "until", "soon"),
        ("move", "date", "2026-03-02"),
        ("move", "date", "2028-01-01"),
        ("move", "date", ""),
        ("price", "on", "2026-03-03"),
        ("price", "on", "x"),
        ("price", "amount", "1000000"),
        ("price", "amount", "0.5"),
        ("price", "amount", "1.999"),
        ("quantity", "quantity-0", "0"),
        ("quantity", "quantity-0", "1001"),
        ("quantity", "quantity-0", "two"),
        ("stop", "at", "LATER"),
    ],
)
async def test_what_is_wrong_stands_beside_its_field(one_world: World, action: str, name: str, typed: str) -> None:
    who, staff = await subscribe(one_world), Staff(one_world)
    before = await who.row()
    answer = await do(staff, who.agreement, action, **{name: typed})
    assert answer.status_code == 422
    assert wrong(answer) == {name}
    assert f'id="{name}-wrong"' in answer.text
    assert action == "stop" or fields(answer)[name] == typed
    assert await who.row() == before


async def test_a_page_that_is_old_changes_nothing(one_world: World) -> None:
    who, staff = await subscribe(one_world), Staff(one_world)
    forms = {
        action: fields(await staff.get(f"/agreements/{who.agreement}/{action}")) for action in ALL if action != "resume"
    }
    await do(staff, who.agreement, "pause")
    async with nothing_happens(one_world):
        for action, form in forms.items():
            late = await staff.post(f"/agreements/{who.agreement}/{action}", form)
            assert late.status_code == 409, action
            assert "Something has changed since you looked" in words(late)


async def test_whoever_may_only_look_changes_nothing(one_world: World) -> None:
    who, staff = await subscribe(one_world), Staff(one_world, VIEWER)
    assert "/pause" not in (await staff.get(f"/agreements/{who.agreement}")).text
    async with nothing_happens(one_world):
        for action in ALL:
            assert (await staff.get(f"/agreements/{who.agreement}/{action}")).status_code == 403
            assert (await staff.post(f"/agreements/{who.agreement}/{action}", {"seen": "x"})).status_code == 403


async def test_another_shops_agreement_is_not_here(sqlite_url: str) -> None:
    world = make_world(sqlite_url, [SHOP, OTHER])
    await world.install()
    await world.install(world.shops[OTHER])
    await world.set_account()
    who = await subscribe(world)
    stranger = Staff(world)
    stranger.shop = world.shops[OTHER]
    stranger.user = stranger.shop.create_staff("s@other.example", frozenset({"HANDLE_PAYMENTS"}))
    async with nothing_happens(world):
        for action in ALL:
            assert (await stranger.get(f"/agreements/{who.agreement}/{action}")).status_code == 404
            assert (await stranger.post(f"/agreements/{who.agreement}/{action}", {"seen": "x"})).status_code == 404
    await world.context.close()


async def test_the_audit_says_who_did_it(one_world: World) -> None:
    who, staff = await subscribe(one_world), Staff(one_world)
    await do(staff, who.agreement, "pause")
    answer = await staff.get(f"/agreements/{who.agreement}")
    assert f'href="/staff/{staff.user.id.replace("=", "%3D")}" data-dashboard' in answer.text
