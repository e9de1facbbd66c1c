"""Charges and agreements as staff look through them: found by any name, narrowed down, page by page, and explained."""

import re
from dataclasses import replace
from datetime import timedelta
from urllib.parse import urlencode

import httpx
import pytest

from app.domain.charge import Charge, ChargeStatus
from app.domain.dunning import DunningPolicy
from app.vipps.simulator import DEFAULT_MERCHANT
from tests.usecases.renewing import Subscribed, account_is, days_pass, subscribe
from tests.usecases.steps import (
    a_collected_charge,
    a_made_charge,
    a_subscriber,
    stored_charges,
    the_account,
)
from tests.web.helpers import nothing_happens
from tests.web.pages.visiting import Staff, words, wrong
from tests.world import SHOP, World, make_world

OTHER = "https://other.example/graphql/"
VIEWER = frozenset({"MANAGE_ORDERS"})


async def failed_period(world: World, price: int = 199) -> Subscribed:
    """Its charge has failed at Vipps, and the next one is due in some days."""
    await account_is(world, dunning=DunningPolicy(retry_after=(9,)), retry_days=1)
    who = await subscribe(world, price)
    world.vipps.set_failure(who.agreement, "user_action_required")
    await days_pass(world, 6)
    assert (await who.charge()).status is ChargeStatus.FAILED
    return who


def rows(answer: httpx.Response, path: str = "charges") -> list[str]:
    """The ids to which the rows of a list lead."""
    return re.findall(rf'<th scope="row">(?:<[^a][^>]*>)*\s*<a href="/app/{path}/([\w-]+)"', answer.text)


async def look(staff: Staff, path: str, **asked: str) -> httpx.Response:
    answer = await staff.get(f"{path}?{urlencode(asked)}")
    assert answer.status_code == 200, words(answer)
    return answer


def neighbour(answer: httpx.Response, rel: str) -> str | None:
    found = re.search(rf'href="/app([^"]+)" rel="{rel}"', answer.text)
    return found[1].replace("&amp;", "&") if found else None


async def saved(world: World, charges: list[Charge], **over: object) -> None:
    async with world.context.store.begin() as unit:
        await unit.charges.save_all([replace(it, **over) for it in charges])  # type: ignore[arg-type]


async def test_a_failed_charge_of_last_month_is_found_and_explained(world: World) -> None:
    who, staff = await failed_period(world), Staff(world, VIEWER)
    await a_collected_charge(world)
    world.advance(timedelta(days=27))
    charge = await who.charge()
    listed = await look(staff, "/charges")
    [address] = re.findall(r'href="/app([^"]+)"[^>]*>Failed last month<', listed.text)
    found = await staff.get(address.replace("&amp;", "&"))
    assert rows(found) == [charge.id]
    assert "The customer has to act, in the app or with the bank" in words(found)
    told = await staff.get(f"/charges/{charge.id}")
    said = words(told)
    assert "This charge failed" in said
    story = "On 6 March 2026 NOK 199.00 was due for Coffee, for the period 6 March 2026 to 6 April 2026."
    assert f"{story} It was not collected." in said.replace("\xa0", " ")
    assert "The charge was asked for" in said
    assert "The customer approved the agreement on 2 March 2026." in said
    assert f'href="/customers/{world.saleor.users[0].id.replace("=", "%3D")}" data-dashboard' in told.text
    assert "/pay/" in told.text


async def test_a_charge_is_found_by_any_name_that_somebody_has(world: World) -> None:
    who, staff = await failed_period(world), Staff(world, VIEWER)
    paid = await a_collected_charge(world)
    charge, renewal, row = await who.charge(), await who.renewal(), await who.row()
    assert renewal.order_number
    for name in (charge.order_id, renewal.order or "", renewal.order_number, who.agreement):
        assert rows(await look(staff, "/charges", q=name)) == [charge.id], name
        assert rows(await look(staff, "/agreements", q=name), "agreements") == [who.agreement], name
    both = rows(await look(staff, "/agreements", q=row.customer or ""), "agreements")
    assert set(both) == {who.agreement, paid.agreement_id}
    assert charge.id in rows(await look(staff, "/charges", q=row.customer or ""))
    assert "No charge is like that." in words(await look(staff, "/charges", q="nothing-like-this"))


async def test_a_list_goes_page_by_page_in_both_directions(world: World) -> None:
    who, staff = await a_subscriber(world), Staff(world, VIEWER)
    made = await stored_charges(world, who.agreement, 60)
    first = {it.due for it in made}.pop()
    async with world.context.store.begin() as unit:
        await unit.charges.save_all([replace(it, due=first + timedelta(days=n // 7)) for n, it in enumerate(made)])
    for sort, ordered in (("", True), ("oldest", False)):
        answer, seen, addresses = await look(staff, "/charges", sort=sort), list[str](), []
        while True:
            seen += rows(answer)
            addresses.append(rows(answer))
            following = neighbour(answer, "next")
            if following is None:
                break
            answer = await staff.get(following)
        assert [len(it) for it in addresses] == [25, 25, 10]
        assert len(set(seen)) == 60
        by_id = {it.id: n // 7 for n, it in enumerate(made)}
        assert [by_id[it] for it in seen] == sorted((by_id[it] for it in seen), reverse=ordered)
        for expected in reversed(addresses[:-1]):
            back = neighbour(answer, "prev")
            assert back is not None
            answer = await staff.get(back)
            assert rows(answer) == expected
        assert neighbour(answer, "prev") is None


async def test_charges_are_narrowed_down_by_status_day_and_account(one_world: World) -> None:
    who, staff = await a_subscriber(one_world), Staff(one_world, VIEWER)
    made = await stored_charges(one_world, who.agreement, 3)
    day = made[0].due
    await saved(one_world, made[:1], status=ChargeStatus.FAILED)
    await saved(one_world, made[1:2], due=day + timedelta(days=1))
    other = await one_world.set_account(channel="other", msn="654321")
    await saved(one_world, made[2:], account_id=other.id)
    ids = [it.id for it in made]
    assert rows(await look(staff, "/charges", status="failed")) == ids[:1]
    assert rows(await look(staff, "/charges", **{"from": (day + timedelta(days=1)).isoformat()})) == ids[1:2]
    assert set(rows(await look(staff, "/charges", to=day.isoformat()))) == {ids[0], ids[2]}
    assert rows(await look(staff, "/charges", account=other.id)) == ids[2:]
    assert set(rows(await look(staff, "/charges", account=(await the_account(one_world)).id))) == set(ids[:2])


@pytest.mark.parametrize(
    ("name", "typed"),
    [
        ("q", "\x07"),
        ("status", "SHRUG"),
        ("account", "nobody's"),
        ("from", "yesterday"),
        ("to", "2026-13-01"),
        ("q", "x" * 400),
    ],
)
@pytest.mark.parametrize("path", ["/charges", "/agreements"])
async def test_what_cannot_be_looked_for_is_told_beside_its_field(
    one_world: World, path: str, name: str, typed: str
) -> None:
    await one_world.set_account(channel="other", msn="654321")
    await a_made_charge(one_world, (await a_subscriber(one_world)).agreement)
    answer = await look(Staff(one_world), path, **{name: typed})
    assert wrong(answer) == {name}
    assert re.search(rf'id="{name}-(wrong|remark)"', answer.text)
    assert name in {"status", "account"} or typed[:100] in answer.text
    assert rows(answer, path[1:]) == []
    assert "chosen" not in answer.text


@pytest.mark.parametrize("place", ["nonsense", "2026-01-01~" + "x" * 99, "~", "9999-99-99~a", "2026-01-01~\x00"])
async def test_a_place_that_cannot_be_read_is_the_beginning(one_world: World, place: str) -> None:
    await stored_charges(one_world, (await a_subscriber(one_world)).agreement, 2)
    for direction in ("after", "before"):
        assert len(rows(await look(Staff(one_world, VIEWER), "/charges", **{direction: place}))) == 2


async def test_agreements_are_narrowed_down_by_what_becomes_of_them(world: World) -> None:
    staff = Staff(world, VIEWER)
    who = await subscribe(world)
    row = await who.row()
    plain = await a_subscriber(world)
    assert set(rows(await look(staff, "/agreements", status="active"), "agreements")) == {
        who.agreement,
        plain.agreement,
    }
    await who.change(row.held("UNPAID"))
    assert rows(await look(staff, "/agreements", status="held"), "agreements") == [who.agreement]
    assert rows(await look(staff, "/agreements", status="active"), "agreements") == [plain.agreement]
    assert rows(await look(staff, "/agreements", status="paused"), "agreements") == []
    today = world.time.now.date().isoformat()
    assert len(rows(await look(staff, "/agreements", **{"from": today, "to": today}), "agreements")) == 2
    assert rows(await look(staff, "/agreements", to="2026-03-01"), "agreements") == []


async def test_an_agreement_shows_its_periods_with_reason_order_and_pay_link(world: World) -> None:
    who = await failed_period(world)
    renewal = await who.renewal()
    answer = await Staff(world, VIEWER).get(f"/agreements/{who.agreement}")
    said = words(answer)
    assert "Period 1, due 6 March 2026" in said
    assert "The charge failed." in said
    assert f"Order {renewal.order_number}" in said
    assert f'value="{world.context.deps.pay_url(renewal.id)}"' in answer.text
    assert f'href="/app/charges/{(await who.charge()).id}"' in answer.text
    assert "A period waits" in said


async def test_pages_hold_nothing_of_a_person_for_whoever_may_not_look_at_orders(one_world: World) -> None:
    who, staff = await failed_period(one_world), Staff(one_world, frozenset({"HANDLE_PAYMENTS"}))
    user = one_world.saleor.users[0]
    pages = [
        await staff.get("/charges"),
        await staff.get("/agreements"),
        await staff.get(f"/charges/{(await who.charge()).id}"),
        await staff.get(f"/agreements/{who.agreement}"),
    ]
    for text in (it.text for it in pages):
        for personal in (user.email, user.first_name, user.last_name, "Nordmann", "Karl Johan"):
            assert not personal or personal not in text
        assert DEFAULT_MERCHANT.client_secret not in text


async def test_another_shops_are_not_here(sqlite_url: str) -> None:
    world = make_world(sqlite_url, [SHOP, OTHER])
    await world.install()
    await world.install(world.shops[OTHER])
    await world.set_account()
    charge = await a_made_charge(world, (await a_subscriber(world)).agreement)
    stranger = Staff(world)
    stranger.shop = world.shops[OTHER]
    stranger.user = stranger.shop.create_staff("s@other.example", frozenset({"HANDLE_PAYMENTS"}))
    async with nothing_happens(world):
        for path in (f"/charges/{charge.id}", f"/agreements/{charge.agreement_id}"):
            answer = await stranger.get(path)
            assert answer.status_code == 404
            assert "This is not here" in words(answer)
        for path in ("/charges", "/agreements"):
            assert rows(await look(stranger, path, q=charge.agreement_id), path[1:]) == []
            assert rows(await look(stranger, path), path[1:]) == []
    await world.context.close()


async def test_norwegian_staff_read_norwegian(one_world: World) -> None:
    who, staff = await failed_period(one_world), Staff(one_world, VIEWER, "nb")
    said = words(await staff.get(f"/charges/{(await who.charge()).id}"))
    assert "Hvorfor dette ble belastet" in said
    assert "199,00" in said
    assert "Mislykket" in words(await staff.get("/charges"))


async def test_the_document_opens_at_what_a_list_was_narrowed_down_to(one_world: World) -> None:
    asked = urlencode({"saleorApiUrl": SHOP, "id": "1", "theme": "dark", "status": "failed", "from": "2026-02-01"})
    answer = await one_world.http.get(f"/app/charges?{asked}&featureFlags%5Ba%5D=1")
    assert 'data-path="/charges?status=failed&amp;from=2026-02-01"' in answer.text
