"""A customer changes an agreement by its link: each change is explained, confirmed, done at Vipps, and done once."""

import asyncio
from datetime import date, timedelta

import pytest

from app.domain.agreement import AgreementStatus, TransactionType
from app.domain.subscription import SubscriptionStatus
from app.usecases.agreements import InitialChargeWish
from app.vipps.simulator.models import Agreement as AtVipps
from tests.usecases.buying import a_cart, subscription_of
from tests.usecases.renewing import Subscribed, account_is, days_pass, settle, subscribe
from tests.usecases.steps import a_subscriber, agreement_row
from tests.usecases.test_pay_links import given_up, in_dunning
from tests.web.helpers import nothing_happens
from tests.web.pages.mine import ENGLISH, FIXED, actions, confirming, done, opened, path_of, press, said, told_after
from tests.web.pages.visiting import fields, words
from tests.world import SHOP, World

STALE = "Nothing was done just now"
CANCELS = {"end", "cancel"}


async def a_page(world: World) -> tuple[Subscribed, str]:
    """A subscriber whose first renewal is due on 6 March, four days from now, and the path of their page."""
    them = await subscribe(world)
    return them, await path_of(world, them.agreement)


def at_vipps(them: Subscribed) -> AtVipps:
    return them.world.vipps.book.agreements[them.agreement]


async def offered(them: Subscribed) -> set[str]:
    return actions(await opened(them.world, await path_of(them.world, them.agreement)))


async def test_a_period_is_skipped_before_it_is_charged(world: World) -> None:
    them, path = await a_page(world)
    asked = words(await confirming(world, path, "skip"))
    assert "The payment on 6 March 2026 is not collected" in asked
    assert "The payment after that is on 6 April 2026" in asked
    text = await done(world, path, "skip")
    assert "The next payment is skipped" in text
    assert "6 March 2026 Skipped" in text
    assert "Next payment 6 April 2026" in text
    assert "skip" not in await offered(them)
    await days_pass(world, 8)
    assert world.effects("charge") == []


async def test_a_period_is_skipped_after_vipps_has_its_charge(world: World) -> None:
    them, path = await a_page(world)
    await days_pass(world, 2)
    charge = await them.charge()
    assert "skip" in await offered(them)
    assert "move" not in await offered(them)
    await done(world, path, "skip")
    await settle(world)
    assert at_vipps(them).charges[charge.charge_id or ""].status == "CANCELLED"
    assert await them.outcomes() == ["SKIPPED/SKIPPED"]


async def test_the_next_payment_is_moved(world: World) -> None:
    them, path = await a_page(world)
    asked = words(await confirming(world, path, "move", "2026-03-20"))
    assert "on 20 March 2026 instead of 6 March 2026" in asked
    text = await done(world, path, "move", "2026-03-20")
    assert "The next payment is moved" in text
    assert "Next payment 20 March 2026" in text
    await days_pass(world, 21)
    assert [it.due for it in await them.renewals()] == [date(2026, 3, 20)]
    assert len(world.effects("charge")) == 1


async def test_it_is_paused_until_a_day_and_goes_on_by_itself(world: World) -> None:
    them, path = await a_page(world)
    asked = words(await confirming(world, path, "pause", "2026-04-01"))
    assert "Nothing is collected and nothing is delivered before 1 April 2026" in asked
    assert "the next payment is on 6 April 2026" in asked
    text = await done(world, path, "pause", "2026-04-01")
    assert "The subscription is paused" in text
    assert await offered(them) == {"resume", *CANCELS}
    await days_pass(world, 30)
    assert world.effects("charge") == []
    await days_pass(world, 8)
    assert (await them.row()).status is SubscriptionStatus.ACTIVE
    assert len(world.effects("charge")) == 1


async def test_it_is_paused_without_an_end_and_resumed(world: World) -> None:
    them, path = await a_page(world)
    assert "until you resume it" in words(await confirming(world, path, "pause", ""))
    await done(world, path, "pause", "")
    await days_pass(world, 10)
    assert world.effects("charge") == []
    assert "The next payment is on 6 April 2026" in words(await confirming(world, path, "resume"))
    text = await done(world, path, "resume")
    assert "The subscription goes on" in text
    assert "Next payment 6 April 2026" in text
    assert (await them.row()).status is SubscriptionStatus.ACTIVE


async def test_what_vipps_has_already_is_said_to_be_collected_all_the_same(one_world: World) -> None:
    _, path = await a_page(one_world)
    await days_pass(one_world, 2)
    for action, day, sentence in (
        ("pause", "", "is with Vipps MobilePay already, and is collected all the same"),
        ("end", None, "is with Vipps MobilePay already, and is the last one"),
    ):
        text = words(await confirming(one_world, path, action, day)).replace(FIXED, " ")
        assert f"The payment of NOK 199.00 on 6 March 2026 {sentence}" in text


async def test_it_is_cancelled_at_the_end_of_the_period_and_taken_back(world: World) -> None:
    them, path = await a_page(world)
    assert "It ends on 6 March 2026" in words(await confirming(world, path, "end"))
    assert "It ends on 6 March 2026" in await done(world, path, "end")
    assert await offered(them) == {"resume", "cancel"}
    await done(world, path, "resume")
    await done(world, path, "end")
    await days_pass(world, 6)
    assert at_vipps(them).status == "STOPPED"
    assert world.effects("charge") == []
    assert "Nothing more is collected" in await said(them)
    assert await offered(them) == set()


async def test_it_is_cancelled_at_once_and_what_is_reserved_is_collected(world: World) -> None:
    wish = InitialChargeWish(19_900, "First", TransactionType.RESERVE_CAPTURE)
    them = await subscribe(world, initial=wish)
    await settle(world)
    path = await path_of(world, them.agreement)
    asked = words(await confirming(world, path, "cancel")).replace(FIXED, " ")
    assert "It ends at once and for good" in asked
    assert "The NOK 199.00 that are reserved are collected" in asked
    text = await done(world, path, "cancel")
    assert "The subscription has ended" in text
    assert at_vipps(them).status == "STOPPED"
    assert [it.status for it in world.vipps.charges(them.agreement)] == ["CHARGED"]
    assert (await them.row()).reason == "cancelled by the customer"


async def test_a_guest_and_an_agreement_without_a_subscription_can_be_cancelled(world: World) -> None:
    await account_is(world, agreement_url=None)
    buying = a_cart(world)
    await buying.buy()
    guest = await path_of(world, buying.agreement_id)
    assert "The subscription has ended" in await done(world, guest, "cancel")
    subscription = await subscription_of(world, buying)
    assert subscription is not None
    assert subscription.status is SubscriptionStatus.ENDED

    who = await a_subscriber(world)
    path = await path_of(world, who.agreement)
    assert actions(await opened(world, path)) == {"cancel"}
    assert "The subscription has ended" in await done(world, path, "cancel")
    assert (await agreement_row(world, who.agreement)).status is AgreementStatus.STOPPED
    assert world.vipps.book.agreements[who.agreement].status == "STOPPED"


async def test_the_audit_says_that_it_was_by_link(one_world: World) -> None:
    them, path = await a_page(one_world)
    await done(one_world, path, "pause", "")
    async with one_world.context.store.begin() as unit:
        actors = {it.actor for it in await unit.audit.of_object(SHOP, them.agreement) if it.action.endswith("paused")}
    assert actors == {f"customer:link/{them.id}"}


async def test_what_the_shop_has_put_on_hold_no_customer_lets_go(world: World) -> None:
    them = await given_up(world)
    assert await offered(them) == {"cancel"}
    path = await path_of(world, them.agreement)
    async with nothing_happens(world):
        assert STALE in await told_after(world, await press(world, path, "resume", {"seen": ""}))


async def test_an_unpaid_period_is_not_forgotten_by_a_pause(one_world: World) -> None:
    them = await in_dunning(one_world)
    path = await path_of(one_world, them.agreement)
    assert "still to be paid" in words(await confirming(one_world, path, "pause", ""))


@pytest.mark.parametrize("action", ["skip", "cancel"])
async def test_pressing_twice_does_it_once_and_says_so(world: World, action: str) -> None:
    them, path = await a_page(world)
    form = fields(await confirming(world, path, action))
    first = await press(world, path, action, form)
    assert f"told={action}" in first.headers["Location"]
    async with nothing_happens(world):
        assert STALE in await told_after(world, await press(world, path, action, form))
    assert len(await them.renewals()) == (1 if action == "skip" else 0)


async def test_two_at_the_same_moment_do_it_once(world: World) -> None:
    them, path = await a_page(world)
    form = fields(await confirming(world, path, "skip"))
    answers = await asyncio.gather(*(press(world, path, "skip", form) for _ in range(4)))
    told = sorted(it.headers["Location"].rpartition("=")[2] for it in answers)
    assert told == ["skip", "stale", "stale", "stale"]
    assert await them.outcomes() == ["SKIPPED/SKIPPED"]


async def test_a_page_from_before_something_changed_does_nothing(world: World) -> None:
    them, path = await a_page(world)
    form = fields(await confirming(world, path, "cancel"))
    await done(world, path, "pause", "")
    async with nothing_happens(world):
        assert STALE in await told_after(world, await press(world, path, "cancel", form))
    assert (await them.row()).status is SubscriptionStatus.PAUSED


async def test_a_form_without_its_mark_does_nothing(one_world: World) -> None:
    _, path = await a_page(one_world)
    async with nothing_happens(one_world):
        for form in ({}, {"seen": "guessed"}):
            assert STALE in await told_after(one_world, await press(one_world, path, "cancel", form))


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "https://evil.example"},
    ],
)
async def test_another_site_cannot_press_the_button(one_world: World, headers: dict[str, str]) -> None:
    _, path = await a_page(one_world)
    form = fields(await confirming(one_world, path, "cancel"))
    async with nothing_happens(one_world):
        refused = await press(one_world, path, "cancel", form, ENGLISH | headers)
    assert refused.status_code == 403
    assert "did not come from this page" in refused.text


@pytest.mark.parametrize(
    "headers", [{"Sec-Fetch-Site": "same-origin", "Origin": "null"}, {"Origin": "https://app.example"}, {}]
)
async def test_our_own_page_can(one_world: World, headers: dict[str, str]) -> None:
    _, path = await a_page(one_world)
    form = fields(await confirming(one_world, path, "cancel"))
    answer = await press(one_world, path, "cancel", form, ENGLISH | headers)
    assert "told=cancel" in answer.headers["Location"]


async def test_a_revoked_link_changes_nothing(world: World) -> None:
    them, path = await a_page(world)
    form = fields(await confirming(world, path, "cancel"))
    async with world.context.store.begin() as unit:
        await unit.agreements.revoke_links(SHOP, them.id)
    async with nothing_happens(world):
        assert (await press(world, path, "cancel", form)).status_code == 404
        assert (await world.http.get(f"{path}/cancel")).status_code == 404


async def test_looking_at_what_would_happen_makes_nothing_happen(one_world: World) -> None:
    _, path = await a_page(one_world)
    async with nothing_happens(one_world):
        for action in ("skip", "move", "pause", "end", "cancel", "resume", "invent"):
            await one_world.http.get(f"{path}/{action}")
            await one_world.http.get(f"{path}/{action}?day=2026-03-20")


@pytest.mark.parametrize(
    ("action", "day"),
    [("move", ""), ("move", "2026-03-02"), ("move", "2027-01-01"), ("pause", "2026-03-02"), ("pause", "never")],
)
async def test_a_day_that_cannot_be_is_asked_for_again(one_world: World, action: str, day: str) -> None:
    _, path = await a_page(one_world)
    answer = await one_world.http.get(f"{path}/{action}?day={day}", headers=ENGLISH)
    assert answer.status_code == 400
    assert "Choose one of these days" in answer.text
    seen = fields(await confirming(one_world, path, "pause", ""))["seen"]
    async with nothing_happens(one_world):
        sent = await press(one_world, path, action, {"seen": seen, "day": day})
    assert sent.headers["Location"].endswith(f"/{action}")


async def test_the_page_does_not_claim_what_is_not_so(one_world: World) -> None:
    _, path = await a_page(one_world)
    for told in ("pause", "cancel", "resume?", "<b>"):
        shown = words(await opened(one_world, f"{path}?told={told}"))
        assert "paused" not in shown
        assert "ended" not in shown


async def test_vipps_in_trouble_is_told_and_what_is_stored_is_followed_up(world: World) -> None:
    them, path = await a_page(world)
    form = fields(await confirming(world, path, "cancel"))
    world.vipps.faults.add("status", status=503, times=None)
    failed = await press(world, path, "cancel", form)
    assert failed.status_code == 503
    assert "nothing was changed" in failed.text
    assert (await them.row()).status is SubscriptionStatus.ACTIVE
    world.vipps.faults.clear()
    world.vipps.faults.add("status", status=503, operation="updateAgreement", times=None)
    pressed = await press(world, path, "cancel", fields(failed))
    assert "finished as soon as Vipps MobilePay answers" in await told_after(world, pressed)
    assert at_vipps(them).status == "ACTIVE"
    world.vipps.faults.clear()
    world.advance(timedelta(minutes=10))
    await settle(world)
    assert at_vipps(them).status == "STOPPED"


async def test_buttons_may_be_pressed_ten_times_a_minute(one_world: World) -> None:
    _, path = await a_page(one_world)
    for _ in range(10):
        assert (await press(one_world, path, "cancel", {})).status_code == 303
    assert (await press(one_world, path, "cancel", {})).status_code == 429


async def test_a_failed_renewal_is_not_charged_again_after_a_cancellation(world: World) -> None:
    them = await in_dunning(world)
    await done(world, await path_of(world, them.agreement), "cancel")
    await days_pass(world, 15)
    assert world.effects("charge") == []
    assert (await them.renewal()).status.final
