"""Dead letters and the audit: seen, tried again once, and who did what is found by what it was done to."""

import re

from app.domain.charge import ChargeStatus
from app.domain.records import AuditFilter
from app.web.pages.catalogue import language
from tests.usecases.renewing import days_pass, subscribe
from tests.usecases.steps import calls_of, charges_by_id
from tests.usecases.test_failures import a_given_up_charge
from tests.usecases.test_pay_links import begin, in_dunning
from tests.web.helpers import nothing_happens
from tests.web.pages.test_agreement_actions import do
from tests.web.pages.test_lists import OTHER, VIEWER
from tests.web.pages.visiting import Staff, words, wrong
from tests.world import SHOP, World, make_world


def letters(text: str) -> list[str]:
    return re.findall(r'name="id" value="([\w-]+)"', text)


async def test_what_was_given_up_is_shown_and_tried_again_once(world: World) -> None:
    order_id = await a_given_up_charge(world)
    staff = Staff(world)
    shown = await staff.get("/failures")
    assert "A charge was not made" in words(shown)
    assert f'href="/app/charges?q={order_id}"' in shown.text
    [letter] = letters(shown.text)
    done = await staff.post("/failures", {"id": letter})
    assert "One is being tried again." in words(done)
    assert letters(done.text) == []
    sent = len(calls_of(world, "createCharge"))
    late = await staff.post("/failures", {"id": letter})
    assert late.status_code == 409
    assert "perhaps it is being tried already" in words(late)
    await world.run_jobs()
    [charge] = (await charges_by_id(world)).values()
    assert charge.status is not ChargeStatus.NEW
    assert len(calls_of(world, "createCharge")) <= sent + 1
    assert len(world.effects("create")) == 1
    assert "Nothing waits for you." in words(await staff.get("/failures"))


async def test_a_press_with_nothing_chosen_is_answered(one_world: World) -> None:
    await a_given_up_charge(one_world)
    staff = Staff(one_world)
    assert "Nothing is chosen." not in words(await staff.get("/failures"))
    async with nothing_happens(one_world):
        answer = await staff.post("/failures", {})
    assert answer.status_code == 422
    assert "Nothing is chosen." in words(answer)
    assert letters(answer.text)


async def test_failures_belong_to_a_shop_and_to_whoever_may_move_money(sqlite_url: str) -> None:
    world = make_world(sqlite_url, [SHOP, OTHER])
    await world.install()
    await world.install(world.shops[OTHER])
    await world.set_account()
    await a_given_up_charge(world)
    [letter] = letters((await Staff(world).get("/failures")).text)
    stranger, viewer = Staff(world), Staff(world, VIEWER)
    stranger.shop = world.shops[OTHER]
    stranger.user = stranger.shop.create_staff("s@other.example", frozenset({"HANDLE_PAYMENTS"}))
    async with nothing_happens(world):
        assert letters((await stranger.get("/failures")).text) == []
        assert (await stranger.post("/failures", {"id": letter})).status_code == 409
        assert "A charge was not made" in words(await viewer.get("/failures"))
        assert letters((await viewer.get("/failures")).text) == []
        assert (await viewer.post("/failures", {"id": letter})).status_code == 403
    await world.context.close()


async def test_the_audit_tells_who_did_what_and_goes_back_page_by_page(world: World) -> None:
    who, staff = await subscribe(world), Staff(world)
    for _ in range(30):
        await do(staff, who.agreement, "pause")
        await do(staff, who.agreement, "resume")
    first = await staff.get(f"/audit?object={who.agreement}")
    assert "status=PAUSED" in words(first)
    assert f'href="/staff/{staff.user.id.replace("=", "%3D")}"' in first.text
    assert first.text.count("<li>") == 50
    [older] = re.findall(r'href="/app(/audit[^"]+)" rel="next"', first.text)
    second = await staff.get(older.replace("&amp;", "&"))
    assert 0 < second.text.count("<li>") < 50
    assert "The app" not in words(await staff.get("/audit"))
    assert "There is no such entry." in words(await staff.get("/audit?object=nothing"))


async def test_an_audit_that_cannot_be_asked_for_says_so(one_world: World) -> None:
    staff = Staff(one_world, VIEWER)
    assert wrong(await staff.get("/audit?object=two+words")) == {"object"}
    assert wrong(await staff.get("/audit?who=nobody")) == {"who"}
    assert (await staff.get("/audit?before=soon")).status_code == 200


async def test_another_shops_audit_is_not_shown(sqlite_url: str) -> None:
    world = make_world(sqlite_url, [SHOP, OTHER])
    await world.install()
    await world.install(world.shops[OTHER])
    await world.set_account()
    who = await subscribe(world)
    await do(Staff(world), who.agreement, "pause")
    stranger = Staff(world)
    stranger.shop = world.shops[OTHER]
    stranger.user = stranger.shop.create_staff("s@other.example", VIEWER)
    for path in (f"/audit?object={who.agreement}", "/audit?who=all"):
        assert who.agreement not in words(await stranger.get(path)).replace(path, "")
    await world.context.close()


async def test_the_audit_is_in_words_and_keeps_those_of_machines_for_who_asks(world: World) -> None:
    them = await in_dunning(world)
    await begin(them)
    await days_pass(world, 3)
    staff = Staff(world, locale="nb")
    await do(staff, them.agreement, "pause")
    async with world.context.store.begin() as unit:
        actions = {it.action for _, it in await unit.audit.page(SHOP, AuditFilter(), None, 500)}
    assert {"charge.status", "recovery.over", "subscription.paused"} <= actions
    for code in ("en", "nb"):
        known = language("dashboard", code).texts
        assert [it for it in sorted(actions) if f"dashboard.lists.moment.{it.replace('.', '_')}" not in known] == []
    told, _, details = (await staff.get("/audit?who=all")).text.partition("<details>")
    assert "Satt på pause" in told
    assert "status=PAUSED" in details
    assert "status=PAUSED" not in told
