"""A customer opens the link of an agreement: who has it sees the agreement, and nobody else sees anything."""

import re
from dataclasses import replace
from datetime import date, timedelta

import pytest

from app.domain.agreement import TransactionType
from app.domain.money import Currency, Money
from app.domain.subscription import PriceChange, Subscriber, SubscriptionStatus
from app.usecases.agreements import InitialChargeWish
from app.usecases.manage_links import revoke_links
from app.web.links import Links
from tests.usecases.buying import a_cart, subscription_of
from tests.usecases.renewing import HOME, Subscribed, account_is, days_pass, settle, subscribe
from tests.usecases.steps import a_made_charge, a_subscriber, agreement_row
from tests.usecases.test_dunning import failing
from tests.usecases.test_pay_links import begin, in_dunning
from tests.usecases.test_subscriptions import STAFF
from tests.web.helpers import nothing_happens, writes
from tests.web.pages.mine import FIXED, opened, path_of, said
from tests.web.pages.test_agreement_actions import do
from tests.web.pages.visiting import Staff, words
from tests.world import APP_URL, SECRET_KEY, SHOP, World

REVOKE = "mutation ($ids: [ID!]!) { agreementLinkRevoke(ids: $ids) { successes errors { code message } } }"
MANAGE = "query ($id: ID!) { agreement(id: $id) { manageUrl } }"


async def test_a_year_of_payments_is_there_to_read(world: World) -> None:
    wish = InitialChargeWish(19_900, "First", TransactionType.DIRECT_CAPTURE)
    them = await subscribe(world, initial=wish, initial_number="17")
    text = await said(them)
    assert "Active" in text
    assert "NOK 199.00 every month" in text
    assert "Next payment 6 March 2026 NOK 199.00" in text

    await days_pass(world, 8)
    text = await said(them)
    order = (await them.renewal()).order_number
    assert f"6 March 2026 NOK 199.00 Order {order} Paid" in text
    assert "2 March 2026 NOK 199.00 First payment · Order 17 Paid" in text
    assert "Next payment 6 April 2026 NOK 199.00" in text


async def test_other_quantities_cost_what_their_first_order_does_and_until_then_nobody_says_a_sum(world: World) -> None:
    them, staff = await subscribe(world), Staff(world)
    form = await staff.get(f"/agreements/{them.agreement}/quantity")
    assert "up to the limit of the agreement: NOK 995.00" in words(form)
    await do(staff, them.agreement, "quantity", **{"quantity-0": "2"})
    page = f"/agreements/{them.agreement}"
    assert "known when the next order is made" in words(await staff.get(page))
    text = await said(them)
    assert "Next payment 6 March 2026" in text
    assert "NOK" not in text.split("Next payment")[1][:30]
    assert "NOK 199.00 every month" not in text

    await days_pass(world, 8)
    cost = (await them.charge()).amount
    assert cost.minor > 19_900
    shown = f"NOK {cost.minor // 100}.00"
    text = await said(them)
    assert f"{shown} every month" in text
    assert f"Next payment 6 April 2026 {shown}" in text
    assert f"{shown}, " in words(await staff.get(page))
    await do(staff, them.agreement, "quantity", **{"quantity-0": "2"})  # which it has: nothing is unknown by that
    assert f"Next payment 6 April 2026 {shown}" in await said(them)


async def test_opening_it_makes_nothing_happen(world: World) -> None:
    them = await subscribe(world)
    path = await path_of(world, them.agreement)
    async with nothing_happens(world):
        answer = await opened(world, path)
    assert "<script" not in answer.text
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["Cache-Control"] == "no-store"


async def test_neither_page_nor_link_tells_who_it_is(world: World) -> None:
    them = await subscribe(world, subscriber=Subscriber("ola@example.com", HOME, HOME))
    await days_pass(world, 8)
    path = await path_of(world, them.agreement)
    assert not re.search(r"Ola|Nordmann|Karl Johans|0154|@", (await opened(world, path)).text)
    row = await agreement_row(world, them.agreement)
    for told in (row.customer, them.agreement, "ola", "Nordmann"):
        assert told is not None
        assert told not in path


@pytest.mark.parametrize(
    ("code", "word"),
    [("nb", "Neste betaling"), ("da", "Næste betaling"), ("fi", "Seuraava maksu"), ("sv", "Nästa betalning")],
)
async def test_it_speaks_the_subscribers_language_before_the_browsers(one_world: World, code: str, word: str) -> None:
    them = await subscribe(one_world, subscriber=Subscriber(None, HOME, HOME, language=code))
    answer = await opened(one_world, await path_of(one_world, them.agreement))
    assert word in answer.text
    assert answer.headers["Content-Language"] == code


@pytest.mark.parametrize("asked", ["nb-NO", "da", "fi", "sv", "en"])
async def test_it_speaks_the_browsers_language_where_the_shop_knows_none(one_world: World, asked: str) -> None:
    them = await subscribe(one_world)
    answer = await opened(one_world, await path_of(one_world, them.agreement), {"Accept-Language": asked})
    assert answer.headers["Content-Language"] == asked[:2]


async def test_each_state_is_explained(world: World) -> None:
    await world.register_webhooks()
    them = await subscribe(world)
    row = await them.row()
    paused = await them.change(replace(row, status=SubscriptionStatus.PAUSED))
    assert "Nothing is collected until it is resumed" in await said(them)
    until = await them.change(replace(paused, paused_until=date(2026, 4, 1)))
    text = await said(them)
    assert "Nothing is collected before 1 April 2026" in text
    assert "Next payment 6 April 2026" in text
    held = await them.change(replace(until, status=SubscriptionStatus.HELD, reason="ask us", paused_until=None))
    assert "put it on hold" in await said(them)
    await them.change(replace(held, status=SubscriptionStatus.ENDING, reason=None, ends_on=date(2026, 3, 6)))
    assert "It ends on 6 March 2026" in await said(them)
    world.vipps.stop_in_app(them.agreement)
    await settle(world)
    text = await said(them)
    assert "Nothing more is collected" in text
    assert "Next payment" not in text


async def test_a_new_price_is_told_and_counts_from_its_day(one_world: World) -> None:
    them = await subscribe(one_world)
    change = PriceChange(date(2026, 3, 6), Money(24_900, Currency.NOK), {}, one_world.time.now)
    await them.change(replace(await them.row(), price_change=change))
    text = await said(them)
    assert "From 6 March 2026 the price is NOK 249.00." in text
    assert "Next payment 6 March 2026 NOK 249.00" in text


async def test_what_failed_is_paid_from_here(one_world: World) -> None:
    them = await in_dunning(one_world)
    answer = await opened(one_world, await path_of(one_world, them.agreement))
    assert "could not be collected" in answer.text
    link = one_world.context.deps.pay_url((await them.renewal()).id)
    assert f'href="{link}"' in answer.text
    assert "Not paid yet" in answer.text


async def test_what_is_under_way_is_no_failure(one_world: World) -> None:
    them = await failing(one_world)
    await days_pass(one_world, 3)
    assert "could not be collected" not in await said(them)


async def test_an_agreement_without_a_subscription_shows_its_charges(world: World) -> None:
    who = await a_subscriber(world)
    await a_made_charge(world, who.agreement, 12_300)
    text = words(await opened(world, await path_of(world, who.agreement))).replace(FIXED, " ")
    assert "Active" in text
    assert "NOK 123.00 Coming" in text


async def test_a_guest_has_a_link_too_and_it_is_the_page_that_vipps_shows(world: World) -> None:
    await account_is(world, agreement_url=None)
    buying = a_cart(world)
    order = await buying.buy()
    path = await path_of(world, buying.agreement_id)
    assert world.vipps.book.agreements[buying.agreement_id].merchant_agreement_url == APP_URL + path
    assert await subscription_of(world, buying) is not None
    text = words(await opened(world, path))
    assert f"First payment · Order {order.number}" in text


async def test_only_who_may_change_an_agreement_is_given_its_link(one_world: World) -> None:
    world = one_world
    who = await a_subscriber(world)
    link = APP_URL + await path_of(world, who.agreement)
    tokens = world.saleor.tokens

    async def given(headers: dict[str, str]) -> str | None:
        answer = await world.graphql(MANAGE, {"id": who.agreement}, headers)
        found: str | None = answer["data"]["agreement"]["manageUrl"]
        return found

    assert await given({"Authorization": f"Bearer {tokens.access(who.user)}"}) == link
    app = world.saleor.apps[0]
    for permissions, expected in (({"HANDLE_PAYMENTS"}, link), ({"MANAGE_ORDERS"}, None)):
        staff = world.saleor.create_staff(f"{len(permissions)}{expected}@example.com", permissions)
        assert await given({"Authorization": f"Bearer {tokens.dashboard(staff, app)}"}) == expected


async def test_a_revoked_link_opens_nothing_and_vipps_is_given_the_new_one(world: World) -> None:
    await account_is(world, agreement_url=None)
    who = await a_subscriber(world)
    before = await path_of(world, who.agreement)
    answer = await world.graphql(REVOKE, {"ids": [who.agreement]}, await world.client())
    assert answer["data"]["agreementLinkRevoke"]["errors"] == []

    assert (await world.http.get(before)).status_code == 404
    after = await path_of(world, who.agreement)
    assert after != before
    await opened(world, after)
    assert world.vipps.book.agreements[who.agreement].merchant_agreement_url == APP_URL + after
    async with world.context.store.begin() as unit:
        told = [it.action for it in await unit.audit.of_object(SHOP, who.agreement)]
    assert "agreement.links_revoked" in told


async def test_whoever_read_the_row_before_does_not_bring_a_revoked_link_back(world: World) -> None:
    who = await a_subscriber(world)
    stale = await agreement_row(world, who.agreement)
    await world.graphql(REVOKE, {"ids": [who.agreement]}, await world.client())
    async with world.context.store.begin() as unit:
        await unit.agreements.save(stale)
    assert (await agreement_row(world, who.agreement)).link_number == 1


async def test_the_merchants_own_page_stays_when_links_are_revoked(one_world: World) -> None:
    who = await a_subscriber(one_world)
    before = writes(one_world)
    answer = await one_world.graphql(REVOKE, {"ids": [who.agreement]}, await one_world.client())
    assert answer["data"]["agreementLinkRevoke"]["successes"] == [who.agreement]
    assert writes(one_world) == before
    page = one_world.vipps.book.agreements[who.agreement].merchant_agreement_url
    assert page.startswith("https://shop.example/")


async def test_that_vipps_still_shows_a_revoked_link_is_told(one_world: World) -> None:
    await account_is(one_world, agreement_url=None)
    who = await a_subscriber(one_world)
    before = await path_of(one_world, who.agreement)
    one_world.vipps.faults.add("status", status=503, times=None)
    answer = await one_world.graphql(REVOKE, {"ids": [who.agreement]}, await one_world.client())
    [error] = answer["data"]["agreementLinkRevoke"]["errors"]
    assert error["code"] == "OUTCOME_UNKNOWN"
    assert "revoke again" in error["message"]
    assert (await one_world.http.get(before)).status_code == 404


@pytest.mark.parametrize("token", ["", "x", ".", "A" * 43, "å", "A" * 5000, "0" * 36, "0" * 36 + "." + "A" * 27])
async def test_what_was_not_signed_here_opens_nothing(one_world: World, token: str) -> None:
    answer = await one_world.http.get(f"/my/{token}")
    assert answer.status_code == 404


async def test_links_are_forged_neither_by_key_nor_purpose_nor_id_nor_number(one_world: World) -> None:
    who, other = await a_subscriber(one_world), await a_subscriber(one_world)
    row, others = await agreement_row(one_world, who.agreement), await agreement_row(one_world, other.agreement)
    links = Links([SECRET_KEY], APP_URL)
    good = links.my(row.id, 0).rpartition("/")[2]
    signed = good.partition(".")[2]
    of_payment = links.pay(row.id).rpartition("/")[2]
    forged = [
        Links(["another-key-of-thirty-two-characters"], APP_URL).my(row.id, 0).rpartition("/")[2],
        of_payment,
        f"{row.id}.{of_payment}",
        f"{others.id}.{signed}",
        f"{row.id.upper()}.{signed}",
        f"{{{row.id}}}.{signed}",
        links.my(row.id, 1).rpartition("/")[2],
        f"{row.id}.{'B' if signed[0] != 'B' else 'C'}{signed[1:]}",
        f"{good}A",
    ]
    for token in forged:
        assert (await one_world.http.get(f"/my/{token}")).status_code == 404, token
    await opened(one_world, f"/my/{good}")
    rotated = Links(["another-key-of-thirty-two-characters", SECRET_KEY], APP_URL)
    assert rotated.agreement_of(good) == (row.id, 0)


async def test_a_link_that_is_hammered_has_to_wait_and_others_do_not(one_world: World) -> None:
    who, other = await a_subscriber(one_world), await a_subscriber(one_world)
    path = await path_of(one_world, who.agreement)
    for _ in range(60):
        await opened(one_world, path)
    refused = await one_world.http.get(path, headers={"Accept-Language": "en"})
    assert refused.status_code == 429
    assert "Please wait a moment" in refused.text
    assert 0 < int(refused.headers["Retry-After"]) <= 65
    await opened(one_world, await path_of(one_world, other.agreement))
    one_world.advance(timedelta(seconds=66))
    await opened(one_world, path)


async def test_another_language_is_chosen_on_the_page_and_kept(one_world: World) -> None:
    them = await subscribe(one_world, subscriber=Subscriber(None, HOME, HOME, language="EN"))
    path = await path_of(one_world, them.agreement)
    chosen = await opened(one_world, f"{path}?lang=fi")
    assert chosen.headers["Content-Language"] == "fi"
    assert "/skip?lang=fi" in chosen.text
    assert (await opened(one_world, f"{path}?lang=xx")).headers["Content-Language"] == "en"
    assert "Ohita" in (await opened(one_world, f"{path}/skip?lang=fi")).text
    # A form that asks for a day puts its fields in the place of its address's.
    assert '<input type="hidden" name="lang" value="fi">' in (await opened(one_world, f"{path}/pause?lang=fi")).text
    assert 'name="lang"' not in (await opened(one_world, f"{path}/pause")).text


async def moved_by_link(world: World) -> tuple[Subscribed, str]:
    them = await in_dunning(world)
    new = await begin(them)
    world.vipps.approve(new)
    await settle(world)
    return them, new


async def test_the_link_of_before_a_pay_link_leads_to_the_new_agreement(world: World) -> None:
    them, new = await moved_by_link(world)
    old = await opened(world, await path_of(world, them.agreement))
    path = await path_of(world, new)
    assert f'href="{APP_URL}{path}"' in old.text
    assert "goes on with a new agreement" in words(old)
    assert "Active" in words(await opened(world, path))


async def test_it_leads_nowhere_where_the_shop_has_revoked_the_new_ones_link(world: World) -> None:
    them, new = await moved_by_link(world)
    await revoke_links(world.context.deps, STAFF, [new])
    old = await opened(world, await path_of(world, them.agreement))
    assert "/my/" not in old.text.partition("<nav")[0]
    assert "goes on with a new agreement" in words(old)


async def test_it_leads_to_no_other_customers_agreement(world: World) -> None:
    them, new = await moved_by_link(world)
    row = replace(await agreement_row(world, new), customer="VXNlcjo5OTk=")
    async with world.context.store.begin() as unit:
        await unit.agreements.save(row)
    text = (await opened(world, await path_of(world, them.agreement))).text
    assert "/my/" not in text.partition("<nav")[0]
