"""Last month's failed charges, charged again together: shown before with what is left out, and each once."""

import asyncio
import re

from app.domain.charge import ChargeStatus
from app.domain.renewal import RenewalStatus
from tests.usecases.renewing import Subscribed, days_pass, settle, subscribe
from tests.usecases.steps import a_collected_charge
from tests.web.helpers import nothing_happens
from tests.web.pages.test_bulk import chosen, done, form_of
from tests.web.pages.test_charge_actions import seen
from tests.web.pages.test_lists import failed_period, look, rows
from tests.web.pages.visiting import Staff, words
from tests.world import World


async def two_failed(world: World) -> list[Subscribed]:
    first = await failed_period(world)
    second = await subscribe(world, product=first.product)
    world.vipps.set_failure(second.agreement, "user_action_required")
    await days_pass(world, 6)
    assert (await second.charge()).status is ChargeStatus.FAILED
    return [first, second]


async def test_failed_charges_are_found_shown_with_their_sum_and_charged_again(world: World) -> None:
    them, staff = await two_failed(world), Staff(world)
    paid = await seen(world, await a_collected_charge(world))
    listed = await look(staff, "/charges", status="failed")
    failed = rows(listed)
    assert set(failed) == {(await one.charge()).id for one in them}
    preview = await chosen(staff, "charges", "retry", *failed, paid.id)
    said = words(preview)
    assert "Charge 2 periods again" in said
    assert "New charges of NOK 398.00 in all" in said
    assert "They have not failed (1)" in said
    for one in them:
        world.vipps.set_failure(one.agreement, None)
    answers = await asyncio.gather(*(done(staff, "charges", form_of(preview)) for _ in range(2)))
    assert [it.status_code for it in answers] == [200, 200]
    assert all("2 of 2 are done." in words(it) or "second time" in words(it) for it in answers)
    late = await done(Staff(world), "charges", form_of(preview))
    assert "Nothing happened a second time" in words(late)
    await days_pass(world, 6)
    assert [(await one.renewal()).status for one in them] == [RenewalStatus.PAID] * 2
    assert sorted(it.amount for it in world.effects("charge") if it.charge_id != paid.charge_id) == [19_900, 19_900]


async def test_what_is_left_out_says_why(one_world: World) -> None:
    world = one_world
    them, staff = await two_failed(world), Staff(world)
    first, second = [await one.charge() for one in them]
    await done(staff, "charges", form_of(await chosen(staff, "charges", "retry", first.id)))
    await settle(world)
    stop = form_of(await chosen(staff, "agreements", "stop", them[1].agreement))
    await done(staff, "agreements", stop, at="NOW")
    async with nothing_happens(world):
        preview = await chosen(staff, "charges", "retry", first.id, second.id)
        said = words(preview)
    assert "The period was charged again already (1)" in said
    assert "The subscription has ended, or is about to (1)" in said
    assert 'name="item"' not in preview.text
    assert not re.search(r"chosen/done", preview.text)


async def test_what_changed_after_the_preview_is_answered_for_itself(one_world: World) -> None:
    world = one_world
    them, staff = await two_failed(world), Staff(world)
    form = form_of(await chosen(staff, "charges", "retry", *[(await one.charge()).id for one in them]))
    stop = form_of(await chosen(staff, "agreements", "stop", them[1].agreement))
    await done(staff, "agreements", stop, at="NOW")
    result = await done(staff, "charges", form)
    assert "1 of 2 are done." in words(result)
    assert "the subscription has ended" in words(result)
