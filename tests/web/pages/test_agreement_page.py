"""One agreement's page: what belongs to a period stands with it, and that there is more is said."""

from dataclasses import replace
from datetime import timedelta

import pytest

from app.domain.account import system
from app.domain.charge import Charge, ChargeOrigin, ChargeStatus
from app.domain.dunning import GiveUp
from app.domain.renewal import Renewal, RenewalStatus
from app.usecases.dunning import slot_of
from app.usecases.ending import end
from app.web.pages.catalogue import language
from app.web.pages.reasons import why
from tests.builders import a_renewal, a_subscription
from tests.usecases.renewing import Subscribed, days_pass, subscribe
from tests.usecases.steps import agreement_row, hears_vipps, stored_charges
from tests.usecases.test_dunning import failing
from tests.usecases.test_pay_links import begin, in_dunning
from tests.web.pages.test_agreement_actions import do
from tests.web.pages.visiting import Staff, words
from tests.world import SHOP, World

MORE = "There are more periods or charges than are shown here."


async def paid_periods(world: World, who: Subscribed, count: int) -> list[tuple[Renewal, Charge]]:
    subscription, found = await who.row(), []
    for number in range(1, count + 1):
        due = subscription.next_due - timedelta(days=30 * (count - number + 1))
        period = a_renewal(subscription, number, due=due, status=RenewalStatus.PAID)
        paid = {"status": ChargeStatus.CHARGED, "captured": 1_000, "due": due, "origin": ChargeOrigin.RENEWAL}
        [charge] = await stored_charges(world, who.agreement, 1, 1_000, slot=slot_of(period, 1), **paid)
        async with world.context.store.begin() as unit:
            await unit.renewals.add_all([period])
        found.append((period, charge))
    return found


def others(text: str) -> str:
    return text.partition('id="charges"')[2].partition("</section>")[0]


async def test_all_is_shown_where_there_is_little(one_world: World) -> None:
    who = await subscribe(one_world)
    paid = await paid_periods(one_world, who, 24)
    shown = await Staff(one_world).get(f"/agreements/{who.agreement}")
    assert MORE not in words(shown)
    assert shown.text.count("/app/charges/") == 24 + others(shown.text).count("/app/charges/")
    assert all(f"/app/charges/{charge.id}" not in others(shown.text) for _, charge in paid)


async def test_older_periods_are_said_to_be_there_and_their_charges_are_no_others(one_world: World) -> None:
    who, staff = await subscribe(one_world), Staff(one_world)
    (_, oldest), *rest = await paid_periods(one_world, who, 25)
    shown = await staff.get(f"/agreements/{who.agreement}")
    assert MORE in words(shown)
    assert oldest.id not in shown.text
    assert all(f"/app/charges/{charge.id}" in shown.text for _, charge in rest)
    assert f'href="/app/charges?q={who.agreement}"' in shown.text
    assert (await staff.get(f"/charges?q={who.agreement}")).status_code == 200


async def test_many_other_charges_push_none_of_a_period_out(one_world: World) -> None:
    who = await subscribe(one_world)
    [(_, charge)] = await paid_periods(one_world, who, 1)
    await stored_charges(one_world, who.agreement, 51)
    shown = await Staff(one_world).get(f"/agreements/{who.agreement}")
    assert others(shown.text).count("/app/charges/") == 50
    assert f"/app/charges/{charge.id}" in shown.text.partition('id="charges"')[0]
    assert MORE in words(shown)


async def told(world: World, agreement: str, locale: str = "en") -> str:
    shown = await Staff(world, locale=locale).get(f"/agreements/{agreement}")
    return shown.text.partition('id="facts"')[0]


@pytest.mark.parametrize(
    ("actor", "english", "norwegian"),
    [
        ("USER", "The customer stopped the agreement", "Kunden stoppet"),
        ("ADMIN", "Vipps stopped the agreement", "Vipps stoppet"),
    ],
)
async def test_who_stopped_it_is_in_words(one_world: World, actor: str, english: str, norwegian: str) -> None:
    await hears_vipps(one_world)
    who = await subscribe(one_world)
    one_world.vipps.stop_in_app(who.agreement) if actor == "USER" else one_world.vipps.stop_as_admin(who.agreement)
    await one_world.drain()
    assert (await agreement_row(one_world, who.agreement)).stopped_by == actor
    assert english in await told(one_world, who.agreement)
    assert norwegian in await told(one_world, who.agreement, "nb")
    whole = words(await Staff(one_world).get(f"/agreements/{who.agreement}"))
    assert "· by " in whole
    assert f"· {actor}" not in whole


async def test_that_the_shop_cancelled_it_is_in_words(one_world: World) -> None:
    who, staff = await subscribe(one_world), Staff(one_world)
    await do(staff, who.agreement, "stop", at="NOW")
    assert "The shop cancelled it." in await told(one_world, who.agreement)
    assert "Butikken sa det opp." in await told(one_world, who.agreement, "nb")


async def test_what_stayed_unpaid_is_in_words(one_world: World) -> None:
    who = await failing(one_world, then=GiveUp.CANCEL, retry_after=())
    await days_pass(one_world, 10)
    assert "Period 1 stayed unpaid. The charge failed." in await told(one_world, who.agreement)
    assert "Periode 1 ble ikke betalt." in await told(one_world, who.agreement, "nb")


async def test_where_it_goes_on_is_led_to(one_world: World) -> None:
    them = await in_dunning(one_world)
    new = await begin(them)
    one_world.vipps.approve(new)
    await days_pass(one_world, 1)
    assert f'href="/app/agreements/{new}">{new}</a>' in await told(one_world, them.agreement)


@pytest.mark.parametrize("code", ["en", "nb"])
@pytest.mark.parametrize(
    ("reason", "known"),
    [
        ("UNPAID", True),
        ("cancelled by the customer", True),
        ("cancelled by the shop's system", True),
        ("the paid period is over", True),
        ("it was on hold for 30 days, and a period stayed unpaid", True),
        ("enough", False),
    ],
)
def test_every_reason_of_ours_has_words(code: str, reason: str, known: bool) -> None:
    found = why(language("dashboard", code), replace(a_subscription(), reason=reason))
    assert bool(found) is known
    assert "{" not in found


async def test_a_reason_without_words_is_shown_as_it_is(one_world: World) -> None:
    who = await subscribe(one_world)
    await end(one_world.context.deps, system(SHOP), await who.row(), "enough")
    assert 'lang="en">enough</p>' in await told(one_world, who.agreement, "nb")
