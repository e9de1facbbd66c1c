"""Why something was charged, in sentences that staff read out on the telephone."""

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest

from app.domain.charge import Charge, ChargeOrigin, ChargeStatus
from app.domain.plan import IntervalUnit, Plan
from app.domain.schedule import Schedule
from app.domain.subscription import Subscriber
from tests.builders import a_charge, a_renewal, a_subscription, an_agreement, nok
from tests.usecases.buying import a_customers_cart, initial_charge
from tests.usecases.renewing import days_pass
from tests.usecases.steps import the_account
from tests.web.pages.visiting import Staff, words
from tests.world import SHOP, World

LATE = datetime(2026, 3, 28, 22, 30, tzinfo=UTC)  # still the 28th in Oslo


async def told(world: World, charge: Charge, locale: str = "en") -> str:
    return words(await Staff(world, locale=locale).get(f"/charges/{charge.id}")).replace("\xa0", " ")


async def stored(world: World, *, period: bool = True, **over: Any) -> Charge:
    account = await the_account(world)
    agreement = an_agreement(account_id=account.id, product_name="Coffee box", start=datetime(2026, 2, 1, tzinfo=UTC))
    names = {"id": agreement.id, "agreement_id": agreement.agreement_id}
    subscription = a_subscription(**names)
    renewal = a_renewal(subscription)
    made = {"account_id": account.id, "agreement_id": agreement.agreement_id, "amount": nok(24_900)}
    made |= {"slot": f"renewal/{renewal.id}/1", "origin": ChargeOrigin.RENEWAL} if period else {}
    charge = a_charge(**(made | over))
    async with world.context.store.begin() as unit:
        await unit.agreements.add(agreement)
        await unit.subscriptions.add(subscription, Subscriber(None, None, None))
        await unit.renewals.add_all([renewal])
        await unit.charges.add_all([charge])
    return charge


PAID: dict[str, Any] = {"status": ChargeStatus.CHARGED, "captured": 24_900, "settled_at": LATE}


async def test_a_period_that_was_collected_says_when_and_for_which_days(one_world: World) -> None:
    charge = await stored(one_world, **PAID)
    said = await told(one_world, charge)
    collected = (
        "On 28 March 2026 NOK 249.00 was collected for Coffee box, for the period 28 March 2026 to 28 April 2026."
    )
    assert f"{collected} The customer approved the agreement on 1 February 2026." in said
    assert "Text in Vipps" in said
    norsk = await told(one_world, charge, "nb")
    assert "Den 28. mars 2026 ble 249,00 kr trukket for Coffee box, for perioden 28. mars 2026 til 28. april" in norsk
    assert "Kunden godkjente avtalen 1. februar 2026." in norsk


@pytest.mark.parametrize(
    ("charge", "sentence"),
    [
        ({"status": ChargeStatus.DUE}, "On 4 March 2026 NOK 249.00 is to be collected for Coffee box, for the period"),
        ({"status": ChargeStatus.RESERVED}, "NOK 249.00 is reserved for Coffee box, for the period"),
        (
            {"status": ChargeStatus.CANCELLED},
            "was due for Coffee box, for the period 28 March 2026 to 28 April 2026. It",
        ),
        ({**PAID, "refunded": 5_000, "refunded_at": LATE}, "NOK 50.00 of it was given back on 28 March 2026."),
        ({**PAID, "captured": 10_000}, "On 28 March 2026 NOK 100.00 was collected for Coffee box"),
    ],
)
async def test_what_became_of_the_money_is_in_the_sentence(one_world: World, charge: Any, sentence: str) -> None:
    assert sentence in await told(one_world, await stored(one_world, **charge))


@pytest.mark.parametrize("origin", list(ChargeOrigin))
async def test_every_origin_has_a_sentence(one_world: World, origin: ChargeOrigin) -> None:
    charge = await stored(one_world, period=False, origin=origin, **PAID)
    assert "On 28 March 2026 NOK 249.00 was collected for Coffee box, " in await told(one_world, charge)


async def test_the_first_payment_says_so_once_and_names_the_customer(world: World) -> None:
    purchase = a_customers_cart(world)
    await purchase.buy()
    charge = await initial_charge(world, purchase)
    assert charge
    said = await told(world, charge)
    assert "On 2 March 2026 NOK 199.00 was collected for Coffee subscription, as the first payment." in said
    assert "Ola Nordmann approved the agreement on 2 March 2026." in said
    assert said.count("approved the agreement") == 1
    await days_pass(world, 32)
    async with world.context.store.begin() as unit:
        [renewed] = [
            it
            for it in await unit.charges.of_agreements(SHOP, [purchase.agreement_id])
            if it.origin is ChargeOrigin.RENEWAL
        ]
    assert "for the period 2 April 2026 to 2 May 2026. Ola Nordmann approved" in await told(world, renewed)


def test_a_period_ends_where_the_next_begins_even_if_the_rhythm_has_changed() -> None:
    monthly = Schedule(Plan(IntervalUnit.MONTH, 1), date(2026, 1, 31), 1)
    assert monthly.window(2, date(2026, 2, 28)) == (date(2026, 2, 28), date(2026, 3, 31))
    moved = replace(monthly, anchor=date(2026, 6, 10), first_period=6)
    assert moved.window(2, date(2026, 2, 28)) == (date(2026, 2, 28), date(2026, 3, 28))
    assert moved.window(6, date(2026, 6, 10)) == (date(2026, 6, 10), date(2026, 7, 10))
