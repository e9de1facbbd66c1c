"""More than a page: all that match are chosen, up to a limit, and worked off some at a time, each of them once."""

from datetime import timedelta

from app.domain.charge import ChargeStatus
from app.web.pages import lists
from tests.usecases.renewing import subscribe
from tests.usecases.steps import a_reserved_charge, a_subscriber, on_v3, stored_charges
from tests.web.helpers import nothing_happens
from tests.web.pages.test_bulk import chosen, done, form_of
from tests.web.pages.test_charge_actions import seen
from tests.web.pages.test_lists import VIEWER, look, saved
from tests.web.pages.visiting import Staff, words
from tests.world import World

MATCH = "Choose all {} that match"


async def test_all_that_match_are_chosen_and_worked_off_in_parts_each_once(world: World) -> None:
    who, staff = await a_subscriber(world), Staff(world)
    made = await stored_charges(world, who.agreement, 60)
    await saved(world, made[:7], status=ChargeStatus.CANCELLED)
    await world.sweep()
    listed = await look(staff, "/charges", status="waiting")
    assert MATCH.format(53) in words(listed)
    assert '<input type="hidden" name="status" value="waiting">' in listed.text
    preview = await staff.post("/charges/chosen", {"action": "cancel", "all": "1", "status": "waiting"})
    assert "Cancel 53 charges" in words(preview)
    assert "And 28 more" in words(preview)
    form = form_of(preview)
    items = form["item"]
    assert isinstance(items, list)
    assert {it.partition(" ")[0] for it in items} == {it.id for it in made[7:]}
    for part in (items[:25], items[:25], items[25:50], items[50:]):
        answer = await done(staff, "charges", form | {"item": part})
        assert answer.text.count("data-good") == len(part)
    assert len(world.effects("cancel")) == 53
    again = await staff.post("/charges/chosen", {"action": "cancel", "all": "1", "status": "waiting"})
    assert 'name="item"' not in again.text


async def test_what_is_looked_for_has_to_be_readable(one_world: World) -> None:
    """A day that cannot be read would narrow nothing down: all charges of the shop would be chosen."""
    who, staff = await a_subscriber(one_world), Staff(one_world)
    await stored_charges(one_world, who.agreement, 3)
    async with nothing_happens(one_world):
        answer = await staff.post("/charges/chosen", {"action": "cancel", "all": "1", "from": "last month"})
    assert answer.status_code == 400
    assert 'name="item"' not in answer.text


async def test_a_page_that_shows_all_and_whoever_only_looks_are_not_offered_more(one_world: World) -> None:
    who = await a_subscriber(one_world)
    await stored_charges(one_world, who.agreement, 30)
    assert "that match" in words(await look(Staff(one_world), "/charges"))
    assert "that match" not in words(await look(Staff(one_world), "/charges", q="nothing"))
    viewer = Staff(one_world, VIEWER)
    assert "that match" not in words(await look(viewer, "/charges"))
    async with nothing_happens(one_world):
        answer = await viewer.post("/charges/chosen", {"action": "cancel", "all": "1"})
    assert answer.status_code == 403


async def test_too_many_have_to_be_narrowed_down(one_world: World) -> None:
    who, staff = await a_subscriber(one_world), Staff(one_world)
    made = await stored_charges(one_world, who.agreement, lists.MOST_CHOSEN + 1)
    answer = await look(staff, "/charges")
    assert "At most 1,000 can be chosen at once" in words(answer)
    assert 'name="all"' not in answer.text
    await saved(one_world, made[:1], due=made[0].due + timedelta(days=9))
    listed = await look(staff, "/charges", to=made[0].due.isoformat())
    assert MATCH.format("1,000") in words(listed)
    preview = await staff.post("/charges/chosen", {"action": "cancel", "all": "1", "to": made[0].due.isoformat()})
    assert preview.text.count('name="item"') == lists.MOST_CHOSEN
    form = form_of(preview)
    async with nothing_happens(one_world):
        refused = await done(staff, "charges", form | {"item": form["item"][:101]})  # type: ignore[index]
    assert refused.status_code == 400


async def test_all_agreements_that_match_are_paused_and_a_part_that_is_sent_again_is_told(world: World) -> None:
    first, staff = await subscribe(world), Staff(world)
    for _ in range(27):
        await subscribe(world, product=first.product)
    assert MATCH.format(28) in words(await look(staff, "/agreements", status="active"))
    form = form_of(await staff.post("/agreements/chosen", {"action": "pause", "all": "1", "status": "active"}))
    items = form["item"]
    assert isinstance(items, list)
    assert len(items) == 28
    assert "25 of 25 are done." in words(await done(staff, "agreements", form | {"item": items[:25]}))
    again = await done(staff, "agreements", form | {"item": items[:25]})
    assert words(again).count("it is so already; nothing was done a second time") == 25
    rest = await staff.post("/agreements/chosen", {"action": "pause", "all": "1", "status": "active"})
    assert sorted(form_of(rest)["item"]) == sorted(items[25:])  # type: ignore[call-overload]


async def test_reserved_charges_are_captured_together(world: World) -> None:
    await on_v3(world)
    charges, staff = [await seen(world, await a_reserved_charge(world)) for _ in range(2)], Staff(world)
    preview = await chosen(staff, "charges", "capture", *(it.id for it in charges))
    assert "NOK 500.00 is reserved" in words(preview)
    assert "2 of 2 are done." in words(await done(staff, "charges", form_of(preview)))
    again = await done(staff, "charges", form_of(preview))
    assert "second time" in words(again)
    assert [it.amount for it in world.effects("capture")] == [25_000, 25_000]
