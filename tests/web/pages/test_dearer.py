"""A failed period whose order costs more by now, in the Dashboard: the new sum is shown and agreed to."""

from app.domain.renewal import RenewalStatus
from tests.usecases.renewing import days_pass
from tests.usecases.test_dearer_orders import dearer
from tests.web.helpers import nothing_is_written_to_vipps
from tests.web.pages.test_bulk import chosen
from tests.web.pages.test_charge_actions import opened, send
from tests.web.pages.test_lists import look
from tests.web.pages.visiting import Staff, words
from tests.world import World


async def test_a_period_that_costs_more_by_now_is_charged_at_the_sum_that_was_shown(world: World) -> None:
    (who, charge, cost), staff = await dearer(world), Staff(world)
    shown, old = f"NOK {cost // 100:,}.00", "NOK 199.00"
    listed = await look(staff, "/runs/renewals", reason="COSTS_MORE")
    assert f'href="/app/charges/{charge.id}/retry"' in listed.text
    form = await opened(staff, charge, "retry")
    page = words(await staff.get(f"/charges/{charge.id}/retry"))
    assert f"was of {old}, and the order of its period comes to {shown} by now" in page
    assert f"Charge {shown}" in page
    # What its contents become meanwhile nobody has seen, and whoever sends a form that says nothing of it is asked.
    async with nothing_is_written_to_vipps(world):
        asked = await send(staff, charge, "retry", {})
        assert "Charge this period again, at what it costs now" in words(asked)
        for forged in ("9" * 5_000, "٣٩٨٠٠", "-1", "1e9"):
            again = await send(staff, charge, "retry", {"up_to": forged})
            assert "Charge this period again, at what it costs now" in words(again)
        preview = words(await chosen(staff, "charges", "retry", charge.id))
        assert "It costs more by now" in preview
    assert "It is being charged again" in words(await send(staff, charge, "retry", form))
    assert "Nothing happened a second time" in words(await send(staff, charge, "retry", form))
    await days_pass(world, 5)
    assert (await who.renewal()).status is RenewalStatus.PAID
    assert [it.amount for it in world.effects("charge")] == [cost]
    assert (await staff.get(f"/charges/{charge.id}/retry")).status_code == 409


async def test_a_period_whose_draft_is_gone_by_then_is_shown_as_it_is(one_world: World) -> None:
    (who, charge, _), staff = await dearer(one_world), Staff(one_world)
    order = (await who.renewal()).order
    [draft] = [it for it in who.orders() if it.id == order]
    one_world.saleor.delete_draft(draft)
    assert (await staff.get(f"/charges/{charge.id}/retry")).status_code == 409
