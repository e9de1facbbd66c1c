"""The overview's fragment: figures of each currency, what has to be looked at first, and nothing of another shop."""

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from html import unescape
from typing import Any

import pytest

from app.domain.agreement import AgreementStatus
from app.domain.charge import ChargeStatus
from app.domain.money import Currency, Money
from app.domain.records import Finding, FindingKind
from app.domain.renewal import RenewalReason, RenewalStatus
from app.domain.subscription import Subscriber, Subscription, SubscriptionStatus
from tests.builders import NOW, OTHER_SHOP, SHOP, TODAY, a_charge, a_renewal, a_subscription, an_agreement, nok
from tests.usecases.steps import the_account
from tests.web.pages.visiting import MONEY, Staff, words
from tests.world import World

NOBODY = Subscriber(None, None, None)
OTHER: dict[str, Any] = {"shop": OTHER_SHOP}


async def subscribed(world: World, number: int = 1, *, price: Money | None = None, **over: Any) -> list[Subscription]:
    account = await the_account(world)
    made = []
    async with world.context.store.begin() as unit:
        for _ in range(number):
            agreement = an_agreement(
                account_id=account.id,
                shop=over.get("shop", SHOP),
                price=price or nok(25_000),
                start=NOW - timedelta(60),
            )
            names = {"id": agreement.id, "agreement_id": agreement.agreement_id, "account_id": account.id}
            made.append(a_subscription(**(names | {"currency": agreement.price.currency} | over)))
            await unit.agreements.add(agreement)
            await unit.subscriptions.add(made[-1], NOBODY)
    return made


def headings(text: str) -> Sequence[tuple[str, str]]:
    return re.findall(r"<dt>([^<]+)</dt><dd class=\"number\">([^<]+)</dd>", text)


async def test_a_shop_without_anything_is_told_so_and_where_to_begin(one_world: World) -> None:
    answer = await Staff(one_world).get("/overview")
    assert answer.status_code == 200
    assert "There is nothing to add up yet" in words(answer)
    assert "Everything goes its way" in words(answer)
    assert "<svg role" not in answer.text


async def test_the_checklist_comes_first_until_there_is_a_subscriber(one_world: World) -> None:
    staff = Staff(one_world)
    assert 'data-path="/start"' in (await staff.get("/home")).text
    await subscribed(one_world, **OTHER)
    assert 'data-path="/start"' in (await staff.get("/home")).text
    await subscribed(one_world)
    assert 'data-path="/overview"' in (await staff.get("/home")).text


async def test_each_figure_of_a_month(one_world: World) -> None:
    await subscribed(one_world, 3)
    [late] = await subscribed(one_world, status=SubscriptionStatus.PAUSED)
    charges = [
        a_charge(status=ChargeStatus.CHARGED, captured=25_000, settled_at=NOW),
        a_charge(status=ChargeStatus.FAILED, amount=nok(9_900), settled_at=NOW),
        a_charge(
            status=ChargeStatus.PARTIALLY_REFUNDED,
            captured=25_000,
            refunded=1_050,
            settled_at=NOW - timedelta(days=40),
            refunded_at=NOW,
        ),
        a_charge(status=ChargeStatus.DUE, amount=nok(100)),
    ]
    stopped = an_agreement(status=AgreementStatus.STOPPED, start=NOW - timedelta(60), stop=NOW)
    failed = {"failed_on": TODAY, "amount": nok(25_000)}
    async with one_world.context.store.begin() as unit:
        await unit.charges.add_all(charges)
        await unit.agreements.add(stopped)
        rows = [
            a_renewal(late, 2, status=RenewalStatus.PAID, **failed),
            a_renewal(late, 3, status=RenewalStatus.FAILED, **failed),
        ]
        await unit.renewals.add_all(rows)
    answer = await Staff(one_world).get("/overview")
    assert dict(headings(answer.text)) == {
        "Collected": "NOK 250.00".replace(" ", "\xa0"),
        "Due in the next 30 days": "NOK 751.00".replace(" ", "\xa0"),
        "Failed": "NOK 99.00".replace(" ", "\xa0"),
        "Refunded": "NOK 10.50".replace(" ", "\xa0"),
        "Monthly recurring revenue": "NOK 750.00".replace(" ", "\xa0"),
        "Active agreements": "3",
        "Churn": "20.0%",
        "Recovery rate": "50.0%",
    }
    assert "1 of 5. Agreements that ended" in words(answer)
    assert "Besides: Paused: 1 Churn" in words(answer)
    assert "/agreements?status=paused" in answer.text
    assert answer.text.count('<svg role="img"') == 2


async def test_each_currency_has_its_own_figures_the_largest_first(one_world: World) -> None:
    await subscribed(one_world, price=Money(1_200, Currency.EUR))
    await subscribed(one_world, 2)
    answer = await Staff(one_world).get("/overview")
    assert re.findall(r'<h2 id="of-(\w+)">', answer.text) == ["NOK", "EUR"]
    revenue = [value for name, value in headings(answer.text) if name == "Monthly recurring revenue"]
    assert revenue == ["NOK\xa0500.00", "EUR\xa012.00"]


async def test_nothing_of_another_shop_is_counted(one_world: World) -> None:
    [theirs] = await subscribed(one_world, status=SubscriptionStatus.HELD, **OTHER)
    reason: dict[str, Any] = {"status": RenewalStatus.WAITING, "reason": RenewalReason.SHIPPING}
    async with one_world.context.store.begin() as unit:
        await unit.charges.add_all(
            [a_charge(status=ChargeStatus.CHARGED, captured=9, settled_at=NOW, dead="x", **OTHER)]
        )
        await unit.renewals.add_all([a_renewal(theirs, **reason)])
    said = words(await Staff(one_world).get("/overview?period=year"))
    assert "There is nothing to add up yet" in said
    assert "Everything goes its way" in said


async def test_what_has_to_be_looked_at_most_urgent_first_with_a_way_there(one_world: World) -> None:
    account = await the_account(one_world)
    staff = Staff(one_world)
    await one_world.set_account(id=account.id, client_secret="not-the-right-one")
    await staff.post(f"/accounts/{account.id}/try")
    [held, late, waiting] = [
        *await subscribed(one_world, status=SubscriptionStatus.HELD),
        *await subscribed(one_world, next_due=TODAY - timedelta(days=1)),
        *await subscribed(one_world),
    ]
    reason: dict[str, Any] = {"status": RenewalStatus.WAITING, "reason": RenewalReason.OUT_OF_STOCK}
    missed: dict[str, Any] = {
        "status": RenewalStatus.SKIPPED,
        "reason": RenewalReason.MISSED,
        "due": TODAY - timedelta(days=3),
    }
    reserved = [a_charge(status=ChargeStatus.RESERVED, due=TODAY - timedelta(days=number)) for number in (6, 7)]
    finding = Finding(SHOP, account.id, FindingKind.CHARGE_AMOUNT, "agr_x", "1", "2", repaired=False, found_at=NOW)
    others = [replace(finding, repaired=True), replace(finding, kind=FindingKind.AGREEMENT_UNKNOWN_HERE)]
    async with one_world.context.store.begin() as unit:
        await unit.charges.add_all([a_charge(dead="given up after 9 attempts"), *reserved])
        await unit.findings.replace(SHOP, account.id, [finding, *others])
        await unit.renewals.add_all([a_renewal(waiting, **reason), a_renewal(held, **missed)])
    answer = await staff.get("/overview")
    matters = re.search(r'<ul class="matters">(.*?)</ul>', answer.text, re.DOTALL)
    assert matters
    assert re.findall(r'href="/app([^"]+)"', unescape(matters[1])) == [
        f"/accounts/{account.id}",
        f"/agreements/{late.agreement_id}",
        "/failures",
        "/charges?status=reserved&sort=oldest",
        "/runs",
        "/runs/renewals?status=WAITING&reason=OUT_OF_STOCK",
        "/runs/renewals?status=SKIPPED&reason=MISSED&from=2026-02-16",
        "/agreements?status=held",
    ]
    assert "1 payment waits: a product is out of stock." in words(answer)
    assert "1 payment is reserved for a week or longer" in words(answer)
    assert "1 difference from Vipps' books is left." in words(answer)


async def test_more_than_anybody_counts_is_not_counted(one_world: World) -> None:
    async with one_world.context.store.begin() as unit:
        await unit.charges.add_all([a_charge(dead="given up") for _ in range(102)])
    assert "100+ pieces of work were given up." in words(await Staff(one_world).get("/overview"))


@pytest.mark.parametrize(
    ("period", "said", "path"),
    [
        ("month", "1 March 2026 to 2 March 2026", "/overview"),
        ("last-month", "1 February 2026 to 28 February 2026", "/overview?period=last-month"),
        ("year", "1 April 2025 to 2 March 2026", "/overview?period=year"),
        ("nonsense", "1 March 2026 to 2 March 2026", "/overview"),
    ],
)
async def test_each_period_has_its_address(one_world: World, period: str, said: str, path: str) -> None:
    answer = await Staff(one_world).get(f"/overview?period={period}")
    assert said in words(answer)
    assert f'data-path="{path}"' in answer.text


async def test_the_table_behind_a_chart_has_every_number(one_world: World) -> None:
    charge = a_charge(status=ChargeStatus.CHARGED, captured=25_000, settled_at=NOW)
    older = replace(a_charge(status=ChargeStatus.CHARGED, captured=100), settled_at=NOW - timedelta(days=70))
    async with one_world.context.store.begin() as unit:
        await unit.charges.add_all([charge, older])
    answer = await Staff(one_world, locale="nb").get("/overview?period=year")
    rows = re.findall(r'<th scope="row">([^<]+)</th><td class="sum">([^<]+)</td>', answer.text)
    assert len(rows) == 12
    assert ("desember 2025", "1,00\xa0kr") in rows
    assert rows[-1] == ("mars 2026", "250,00\xa0kr")


async def test_whoever_may_only_look_sees_it_too(one_world: World) -> None:
    answer = await Staff(one_world, MONEY - {"HANDLE_PAYMENTS"}).get("/overview")
    assert answer.status_code == 200
