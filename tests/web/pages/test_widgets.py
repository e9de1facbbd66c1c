"""What stands on the Dashboard's pages of an order and a customer: ids and sums, and nothing of another shop."""

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from app.domain.charge import Charge, ChargeStatus
from app.domain.renewal import Renewal, RenewalReason, RenewalStatus
from app.domain.subscription import Subscriber, Subscription, SubscriptionStatus
from tests.builders import (
    CUSTOMER,
    OTHER_SHOP,
    SHOP,
    a_charge,
    a_renewal,
    a_subscription,
    an_agreement,
    nok,
)
from tests.usecases.buying import MONTHLY, a_customers_cart, a_product, initial_charge
from tests.usecases.steps import the_account
from tests.web.pages.visiting import MONEY, Staff, words
from tests.world import World

ORDER = "T3JkZXI6Nw=="
PERSON = Subscriber("kari@example.com", {"firstName": "Kari", "city": "Oslo"}, None)


async def renewed(world: World, *, charge: dict[str, Any], shop: str = SHOP, **over: Any) -> tuple[Charge, Renewal]:
    """A subscription whose first period's order is ORDER, charged."""
    agreement = an_agreement(shop=shop)
    names = {"id": agreement.id, "agreement_id": agreement.agreement_id, "shop": shop}
    subscription: Subscription = a_subscription(**names)
    paid = a_charge(shop=shop, agreement_id=agreement.agreement_id, saleor_order=ORDER, **charge)
    row = a_renewal(subscription, 1, **({"order": ORDER, "charge_row": paid.id, "status": RenewalStatus.PAID} | over))
    async with world.context.store.begin() as unit:
        await unit.agreements.add(agreement)
        await unit.subscriptions.add(subscription, PERSON)
        await unit.charges.add_all([paid])
        await unit.renewals.add_all([row])
    return paid, row


async def of_order(world: World, order: str = ORDER, permissions: frozenset[str] = MONEY) -> httpx.Response:
    return await Staff(world, permissions).get(f"/widgets/order?orderId={order}")


PAID: dict[str, Any] = {"status": ChargeStatus.CHARGED, "captured": 25_000}


async def test_an_order_shows_its_agreement_its_payment_and_what_comes_next(one_world: World) -> None:
    charge, renewal = await renewed(one_world, charge=PAID)
    answer = await of_order(one_world)
    said = words(answer)
    assert "Agreement Kaffe hver måned Active" in said
    assert "Payment NOK\xa0250.00 Collected".replace("\xa0", " ") in said
    assert "Next renewal 28 March 2026" in said
    app = Staff(one_world).app.id
    place = f"/extensions/app/{app.replace('=', '%3D')}"
    assert f'href="{place}/charges/{charge.id}/refund" data-dashboard>Refund</a>' in answer.text
    assert f'href="{place}/agreements/{renewal.agreement_id}" data-dashboard' in answer.text


@pytest.mark.parametrize(
    "charge",
    [
        {"status": ChargeStatus.DUE},
        {"status": ChargeStatus.FAILED},
        {"status": ChargeStatus.REFUNDED, "captured": 25_000, "refunded": 25_000},
        {"status": ChargeStatus.REJECTED},
    ],
)
async def test_only_what_was_collected_can_be_refunded(one_world: World, charge: dict[str, Any]) -> None:
    await renewed(one_world, charge=charge)
    answer = await of_order(one_world)
    assert ">Refund</a>" not in answer.text
    assert ">Why this was charged</a>" in answer.text


async def test_whoever_may_only_look_is_not_led_to_a_refund(one_world: World) -> None:
    await renewed(one_world, charge=PAID)
    answer = await of_order(one_world, permissions=MONEY - {"HANDLE_PAYMENTS"})
    assert answer.status_code == 200
    assert ">Refund</a>" not in answer.text


async def test_what_was_given_up_promises_no_other_attempt(one_world: World) -> None:
    why = {"status": RenewalStatus.FAILED, "reason": RenewalReason.CHARGE_FAILED}
    await renewed(one_world, charge={"status": ChargeStatus.FAILED}, **why)
    said = words(await of_order(one_world))
    assert "This period Not paid. The charge failed." in said
    assert "another attempt" not in said


async def test_what_waits_says_why_and_when_it_is_due(one_world: World) -> None:
    why = {"status": RenewalStatus.WAITING, "reason": RenewalReason.OUT_OF_STOCK}
    await renewed(one_world, charge={"status": ChargeStatus.DUE}, **why)
    said = words(await of_order(one_world))
    assert "Waits, because a product is out of stock." in said
    assert "Due 4 March 2026" in said


async def test_the_newest_charge_of_an_order_counts(one_world: World) -> None:
    older, row = await renewed(one_world, charge={"status": ChargeStatus.FAILED})
    again = a_charge(agreement_id=row.agreement_id, saleor_order=ORDER, created_at=older.created_at.replace(hour=23))
    async with one_world.context.store.begin() as unit:
        await unit.charges.add_all([again])
    assert "NOK 250.00 Being made" in words(await of_order(one_world)).replace("\xa0", " ")


async def test_an_order_that_is_not_ours_says_so(one_world: World) -> None:
    await renewed(one_world, charge=PAID, shop=OTHER_SHOP)
    assert "Nothing of this order was paid" in words(await of_order(one_world))


async def test_a_customer_has_agreements_and_nothing_of_the_person_is_shown(one_world: World) -> None:
    await renewed(one_world, charge=PAID)
    agreement = an_agreement(product_name="Te", price=nok(9_900))
    held = a_subscription(id=agreement.id, agreement_id=agreement.agreement_id, status=SubscriptionStatus.HELD)
    async with one_world.context.store.begin() as unit:
        await unit.agreements.add(agreement)
        await unit.subscriptions.add(held, PERSON)
    answer = await Staff(one_world).get(f"/widgets/customer?customerId={CUSTOMER}")
    said = words(answer).replace("\xa0", " ")
    assert "Kaffe hver måned Active" in said
    assert "Te On hold NOK 99.00, every month" in said
    for personal in ("kari@example.com", "Kari", "Oslo"):
        assert personal not in answer.text


async def test_more_agreements_than_fit_are_counted(one_world: World) -> None:
    async with one_world.context.store.begin() as unit:
        for _ in range(7):
            await unit.agreements.add(an_agreement())
    assert "And 2 more." in words(await Staff(one_world).get(f"/widgets/customer?customerId={CUSTOMER}"))


async def test_a_customer_of_another_shop_has_none_here(one_world: World) -> None:
    await renewed(one_world, charge=PAID, shop=OTHER_SHOP)
    assert "has no agreement" in words(await Staff(one_world).get(f"/widgets/customer?customerId={CUSTOMER}"))


@pytest.mark.parametrize("address", ["/widgets/order", "/widgets/customer?customerId=", "/widgets/order?orderId=a%20b"])
async def test_without_an_id_there_is_nothing_to_show(one_world: World, address: str) -> None:
    assert (await Staff(one_world).get(address)).status_code == 400


async def test_the_dashboards_token_for_a_widget_is_enough(one_world: World) -> None:
    staff = Staff(one_world, frozenset({"MANAGE_ORDERS"}))
    token = one_world.saleor.tokens.extension(staff.user, staff.app.extensions[0])
    address = f"/app/content/widgets/order?orderId={ORDER}"
    answer = await one_world.http.get(address, headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 200


async def test_an_order_says_when_it_was_collected_on_the_merchants_clock(one_world: World) -> None:
    late = datetime(2026, 3, 3, 23, 30, tzinfo=UTC)
    account = await the_account(one_world)
    charge, _ = await renewed(one_world, charge=PAID | {"settled_at": late, "account_id": account.id})
    answer = await of_order(one_world)
    assert "Collected on 4 March 2026" in words(answer)
    assert f'/charges/{charge.id}" data-dashboard>Why this was charged</a>' in answer.text


async def test_a_first_order_shows_the_initial_charge(world: World) -> None:
    purchase = a_customers_cart(world)
    order = await purchase.buy()
    charge = await initial_charge(world, purchase)
    answer = await of_order(world, order.id)
    assert charge
    assert "Collected on 2 March 2026" in words(answer)
    assert f'/charges/{charge.id}" data-dashboard>Why this was charged</a>' in answer.text


async def test_the_first_order_of_a_trial_leads_to_its_agreement(world: World) -> None:
    trial = a_product(world, metadata=MONTHLY | {"vipps-recurring.trial": "DAY:14"})
    purchase = a_customers_cart(world, trial)
    world.saleor.create_voucher("FREE", 100)
    world.saleor.add_promo_code(purchase.checkout, "FREE")
    order = await purchase.buy()
    assert await initial_charge(world, purchase) is None
    said = words(await of_order(world, order.id))
    assert "Active" in said
    assert "Next renewal 16 March 2026" in said
    assert "Nothing was charged for this order." in said
