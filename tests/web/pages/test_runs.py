"""What renewals do, as staff see it: day by day, period by period, and what they may have charged after all."""

import re
from datetime import date, timedelta
from html import unescape
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from app.domain.renewal import Renewal, RenewalReason, RenewalStatus
from app.domain.schedule import Schedule
from app.domain.subscription import Subscription, SubscriptionStatus
from app.usecases.nightly import reconcile_all
from app.web.pages.exports import RENEWALS
from tests.builders import TODAY, a_finding, a_renewal, nok
from tests.usecases.renewing import MONTHLY, Subscribed, days_pass, settle, subscribe
from tests.usecases.steps import the_account
from tests.web.helpers import nothing_happens, nothing_is_written_to_vipps
from tests.web.pages.test_bulk import chosen, done, form_of
from tests.web.pages.test_exports import table
from tests.web.pages.test_lists import OTHER, VIEWER, failed_period, look, neighbour
from tests.web.pages.test_overview import subscribed
from tests.web.pages.visiting import Staff, fields, words, wrong
from tests.world import SHOP, World, make_world

R, DAY = RenewalStatus, timedelta(days=1)
PERIODS = "/runs/renewals"


async def stored(world: World, *renewals: Renewal) -> None:
    async with world.context.store.begin() as unit:
        assert await unit.renewals.add_all(renewals) == len(renewals)


async def some_periods(world: World, number: int, **over: Any) -> list[Subscription]:
    """Each of a subscription of its own."""
    made = await subscribed(world, number, status=SubscriptionStatus.PAUSED)
    await stored(world, *(a_renewal(it, **({"due": TODAY} | over)) for it in made))
    return made


def agreements(answer: httpx.Response) -> list[str]:
    """Where the rows of the list lead."""
    return re.findall(r'<th scope="row"><a href="/app/agreements/([\w-]+)"', answer.text)


async def test_each_day_tells_what_became_of_its_periods_and_leads_to_them(world: World) -> None:
    await some_periods(world, 3, status=R.PAID, amount=nok(25_000))
    await some_periods(world, 1, status=R.COLLECTED, amount=nok(100))
    [late] = await some_periods(world, 1, status=R.WAITING, reason=RenewalReason.OUT_OF_STOCK)
    await some_periods(world, 1, due=TODAY - DAY, status=R.FAILED, reason=RenewalReason.CHARGE_FAILED, amount=nok(9))
    await some_periods(world, 1, due=TODAY - 14 * DAY, status=R.PAID, amount=nok(7))
    for number, day in ((2, TODAY + 2 * DAY), (1, TODAY + 8 * DAY)):
        await subscribed(world, number, next_due=day, schedule=Schedule(MONTHLY, day, 1))
    staff = Staff(world, VIEWER)
    answer = await look(staff, "/runs")
    said = words(answer).replace("\xa0", " ")
    assert "4 March 2026 2 NOK 500.00 Not planned yet" in said
    assert "10 March 2026" not in said
    today = said.index("2 March 2026 Today")
    assert said[today:].startswith("2 March 2026 Today 5 NOK 751.00")
    assert "1 collected, order open 1 waiting The product is out of stock. 3 paid" in said
    assert "1 not paid The charge failed." in said
    assert "16 February 2026" not in said
    [waiting] = re.findall(r'href="/app(/runs/renewals\?status=WAITING[^"]+)"', answer.text)
    assert agreements(await staff.get(unescape(waiting))) == [late.agreement_id]


async def test_a_period_that_is_planned_already_is_counted_once(world: World) -> None:
    who = await subscribe(world)
    await days_pass(world, 2)
    said = words(await look(Staff(world, VIEWER), "/runs")).replace("\xa0", " ")
    due = (await who.renewal()).due
    assert due > world.time.now.date()
    assert f"{due.day} March 2026 1 NOK 199.00 1 being charged" in said
    await days_pass(world, 5)
    said = words(await look(Staff(world, VIEWER), "/runs")).replace("\xa0", " ")
    assert f"{due.day} March 2026 1 NOK 199.00 1 paid" in said


async def test_the_last_comparison_with_vipps_is_told_with_what_it_left(world: World) -> None:
    staff, account = Staff(world, VIEWER), await the_account(world)
    assert "Not compared yet." in words(await look(staff, "/runs"))
    await reconcile_all(world.context.deps, lambda _: None)
    assert "0 agreements, 0 charges, 0 differences" in words(await look(staff, "/runs"))
    async with world.context.store.begin() as unit:
        found = [a_finding(account_id=account.id, agreement_id=f"agr_{n}", repaired=False) for n in range(27)]
        repaired = a_finding(account_id=account.id, agreement_id="agr_repaired", repaired=True)
        await unit.findings.replace(SHOP, account.id, [*found, repaired])
    said = words(await look(staff, "/runs"))
    assert "27 differences are left" in said
    assert "2 more are not shown." in said
    assert "agr_repaired" not in said


async def test_periods_are_narrowed_down_by_status_reason_and_day(world: World) -> None:
    staff = Staff(world, VIEWER)
    [paid] = await some_periods(world, 1, status=R.PAID, amount=nok(25_000), order_number="17")
    [stock] = await some_periods(world, 1, status=R.WAITING, reason=RenewalReason.OUT_OF_STOCK)
    missed = {"status": R.SKIPPED, "reason": RenewalReason.MISSED}
    [lost] = await some_periods(world, 1, due=TODAY - DAY, **missed)
    everything = await look(staff, PERIODS)
    assert set(agreements(everything)) == {it.agreement_id for it in (paid, stock, lost)}
    assert "Order 17" in words(everything)
    assert agreements(await look(staff, PERIODS, status="PAID")) == [paid.agreement_id]
    assert agreements(await look(staff, PERIODS, reason="OUT_OF_STOCK")) == [stock.agreement_id]
    assert agreements(await look(staff, PERIODS, to=(TODAY - DAY).isoformat())) == [lost.agreement_id]
    assert lost.agreement_id not in agreements(await look(staff, PERIODS, **{"from": TODAY.isoformat()}))
    assert agreements(await look(staff, PERIODS, sort="oldest"))[0] == lost.agreement_id
    [shortcut] = re.findall(r'href="/app([^"]+)"[^>]*>Missed<', everything.text)
    found = await staff.get(unescape(shortcut))
    assert agreements(found) == [lost.agreement_id]
    assert 'aria-current="true">Missed' in found.text
    assert "No period is like that." in words(await look(staff, PERIODS, status="CHARGING"))


@pytest.mark.parametrize(
    ("name", "typed"), [("status", "SHRUG"), ("reason", "because"), ("from", "yesterday"), ("to", "2026-13-01")]
)
async def test_what_cannot_be_looked_for_is_told_beside_its_field(one_world: World, name: str, typed: str) -> None:
    await some_periods(one_world, 2, status=R.PAID)
    staff = Staff(one_world, VIEWER)
    answer = await look(staff, PERIODS, **{name: typed})
    assert (wrong(answer), agreements(answer)) == ({name}, [])
    assert "No period" not in words(answer)
    assert table(await staff.get(f"{PERIODS}.csv?{name}={typed}")) == []


async def test_the_list_goes_page_by_page_in_both_directions(world: World) -> None:
    made = await some_periods(world, 60, status=R.PAID)
    staff, seen = Staff(world, VIEWER), list[list[str]]()
    answer = await look(staff, PERIODS, status="PAID")
    while True:
        seen.append(agreements(answer))
        following = neighbour(answer, "next")
        if following is None:
            break
        answer = await staff.get(following)
    assert [len(it) for it in seen] == [25, 25, 10]
    assert {name for page in seen for name in page} == {it.agreement_id for it in made}
    for expected in reversed(seen[:-1]):
        answer = await staff.get(neighbour(answer, "prev") or "")
        assert agreements(answer) == expected


async def test_a_file_has_every_period_that_is_looked_for(world: World) -> None:
    who, staff = await failed_period(world), Staff(world, VIEWER)
    await some_periods(world, 3, status=R.PAID)
    [line] = table(await staff.get(f"{PERIODS}.csv?status=WAITING"))
    assert tuple(line) == RENEWALS
    renewal = await who.renewal()
    assert (line["agreement"], line["period"], line["reason"]) == (who.agreement, "1", "CHARGE_FAILED")
    assert (line["amount"], line["currency"], line["order_number"]) == ("199.00", "NOK", renewal.order_number)
    assert len(table(await staff.get(f"{PERIODS}.csv"))) == 4


async def test_failed_periods_are_charged_again_together_and_once(world: World) -> None:
    people, staff = [await failed_period(world), await failed_period(world, 100)], Staff(world)
    await some_periods(world, 1, status=R.PAID, amount=nok(5))
    shown = await look(staff, PERIODS)
    ids = re.findall(r'name="id" value="([\w-]+)"', shown.text)
    assert len(set(ids)) == 2
    preview = await chosen(staff, "charges", "retry", *ids)
    assert "Charge 2 periods again" in words(preview)
    assert "NOK 299.00 in all" in words(preview).replace("\xa0", " ")
    form = form_of(preview)
    assert "2 of 2 are done." in words(await done(staff, "charges", form))
    async with nothing_is_written_to_vipps(world):
        await done(staff, "charges", form)
    for it in people:
        world.vipps.set_failure(it.agreement, None)
    await days_pass(world, 6)
    assert [await it.outcomes() for it in people] == [["PAID"], ["PAID"]]
    assert sorted(it.amount for it in world.effects("charge")) == [10_000, 19_900]


async def two_missed(world: World) -> Subscribed:
    who = await subscribe(world, 100)
    world.advance(timedelta(days=66))
    await settle(world)
    assert (await who.outcomes())[:2] == ["SKIPPED/MISSED", "SKIPPED/MISSED"]
    return who


async def test_missed_periods_are_counted_and_charged_once_when_somebody_says_so(world: World) -> None:
    who, staff = await two_missed(world), Staff(world)
    listed = await look(staff, PERIODS, status="SKIPPED", reason="MISSED", **{"from": "2026-03-01"})
    [address] = re.findall(r'href="/app(/runs/backfill[^"]*)"', listed.text)
    page = await staff.get(address)
    assert "2 periods were missed since 1 March 2026" in words(page)
    second = (await who.renewal(2)).due
    async with nothing_happens(world):
        counted = await staff.post("/runs/backfill", fields(page) | {"from": second.isoformat()})
    assert counted.status_code == 409
    assert f"One period was missed since {second.day} April 2026" in words(counted)
    assert "Nothing was done yet" in words(counted)
    form = fields(counted)
    assert "One period is planned, and is charged in a moment." in words(await staff.post("/runs/backfill", form))
    async with nothing_happens(world):
        late = await staff.post("/runs/backfill", form)
    assert late.status_code == 409
    assert "0 periods were missed" in words(late)
    await days_pass(world, 5)
    assert await who.outcomes() == ["SKIPPED/MISSED", "PAID", "PAID"]
    assert len(world.effects("charge")) == 2
    async with world.context.store.begin() as unit:
        entries = await unit.audit.of_object(SHOP, who.agreement)
    [entry] = [it for it in entries if it.action == "renewal.backfilled"]
    assert (entry.actor, entry.before, entry.after) == (
        f"staff:{staff.user.id}",
        "period 2 SKIPPED",
        "period 2 PLANNED",
    )


async def test_a_period_without_a_row_is_planned_only_when_it_was_counted(one_world: World) -> None:
    who, staff = await subscribe(one_world), Staff(one_world)
    form = fields(await staff.get("/runs/backfill?from=2026-03-01"))
    await days_pass(one_world, 36)
    async with one_world.context.store.engine.begin() as connection:
        await connection.execute(text("DELETE FROM renewal WHERE period = 2"))
    async with nothing_happens(one_world):
        counted = await staff.post("/runs/backfill", form)
    assert "One period was missed since 1 March 2026" in words(counted)
    assert "One period is planned" in words(await staff.post("/runs/backfill", fields(counted)))
    await settle(one_world)
    assert await who.outcomes() == ["PAID", "PAID"]


async def test_missed_periods_of_a_subscription_that_is_not_active_stay_left_out(one_world: World) -> None:
    who, staff = await two_missed(one_world), Staff(one_world)
    await who.change((await who.row()).held("UNPAID"))
    form = fields(await staff.get("/runs/backfill?from=2026-03-01"))
    async with nothing_happens(one_world):
        answer = await staff.post("/runs/backfill", form)
    assert "0 periods are planned" in words(answer)
    assert "2 stay left out" in words(answer)


async def test_a_day_that_cannot_be_read_is_told_beside_its_field(one_world: World) -> None:
    staff = Staff(one_world)
    form = fields(await staff.get("/runs/backfill"))
    assert form["from"] == date(2026, 2, 16).isoformat()
    async with nothing_happens(one_world):
        answer = await staff.post("/runs/backfill", form | {"from": "soon"})
    assert (answer.status_code, wrong(answer)) == (422, {"from"})


async def test_another_shops_periods_are_not_here_and_a_viewer_changes_nothing(sqlite_url: str) -> None:
    world = make_world(sqlite_url, [SHOP, OTHER])
    await world.install()
    await world.install(world.shops[OTHER])
    await world.set_account()
    who = await failed_period(world)
    assert (await who.renewal()).status is R.WAITING
    await some_periods(world, 1, status=R.SKIPPED, reason=RenewalReason.MISSED)
    stranger, viewer = Staff(world), Staff(world, VIEWER)
    stranger.shop = world.shops[OTHER]
    stranger.user = stranger.shop.create_staff("s@other.example", frozenset({"HANDLE_PAYMENTS"}))
    async with nothing_happens(world):
        assert "Nothing was due" in words(await look(stranger, "/runs"))
        assert agreements(await look(stranger, PERIODS)) == []
        assert table(await stranger.get(f"{PERIODS}.csv")) == []
        assert "0 periods were missed" in words(await stranger.get("/runs/backfill?from=2020-01-01"))
        assert (await viewer.get("/runs/backfill")).status_code == 403
        listed = await look(viewer, PERIODS, reason="MISSED")
        assert 'name="id"' not in listed.text
        assert "/runs/backfill" not in listed.text
    await world.context.close()


async def test_norwegian_staff_read_norwegian(one_world: World) -> None:
    await some_periods(one_world, 1, status=R.WAITING, reason=RenewalReason.SHIPPING)
    staff = Staff(one_world, VIEWER, "nb")
    assert "De siste to ukene" in words(await look(staff, "/runs"))
    assert "Leveringsmåten kan ikke brukes." in words(await look(staff, PERIODS))
