"""Orders of subscriptions by our client in the simulated shop: read, made as drafts, completed, deleted, cancelled."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from app.domain.account import Installation
from app.domain.checkout import INTERVAL_KEY
from app.domain.errors import Duplicate, Misconfigured, OutcomeUnknown, Rejected
from app.domain.money import Currency
from app.domain.order import DraftOrder, SourceOrder
from app.domain.subscription import Subscriber, SubscriptionLine
from app.saleor.simulator.models import Address, Order, User
from app.saleor.simulator.simulator import Simulator
from tests.builders import nok
from tests.saleor.simulator.buying import ADDRESS, home
from tests.saleor.simulator.doubles import MANIFEST_URL
from tests.saleor.wire import Wire, installed

UNKNOWN = "T3JkZXI6MWQxNzkyNzgtZDkyNS00ZTM2LTkyYTMtNjc0NjljMmU3ODI3"
MONTHLY = {INTERVAL_KEY: "MONTH:1", "kind": "product"}


def a_customer(shop: Simulator) -> User:
    customer = shop.create_customer()
    customer.address = home(shop)
    return customer


def an_order(shop: Simulator, customer: User | None = None, **over: Any) -> Order:
    """Bought in the shop's checkout, and sent by the shop's own method."""
    if not shop.shipping_methods:
        shop.create_shipping_method()
    product = shop.create_product(metadata=MONTHLY, variant_metadata={"kind": "variant"})
    checkout = shop.buy(customer or a_customer(shop), [product], **over)
    shop.channels["norway"].allows_unpaid_orders = True
    return shop.complete_checkout(checkout)


async def source_of(wire: Wire, installation: Installation, order: Order) -> SourceOrder:
    found = await wire.client.source_order(installation, order.id)
    assert found is not None
    return found


def draft_of(source: SourceOrder, reference: str = "vipps-sub:1:1", **over: Any) -> DraftOrder:
    default = DraftOrder(
        reference=reference,
        channel_id=source.channel_id,
        customer=source.customer,
        subscriber=source.subscriber,
        lines=tuple(SubscriptionLine(line.variant, line.quantity, line.name) for line in source.lines),
        currency=Currency.NOK,
        shipping_method=source.shipping_method,
        voucher=None,
        metadata={"vipps-recurring.subscription": "1"},
    )
    return replace(default, **over)


# The order that it comes from


async def test_every_version_tells_what_renewals_are_made_of(any_shop: Simulator) -> None:
    wire, installation = Wire(any_shop), installed(await any_shop.install(MANIFEST_URL))
    customer = a_customer(any_shop)
    order = an_order(any_shop, customer)
    source = await source_of(wire, installation, order)
    assert (source.id, source.number, source.status) == (order.id, str(order.number), order.status)
    assert (source.channel, source.channel_id) == ("norway", any_shop.channels["norway"].id)
    assert (source.customer, source.subscriber.email) == (customer.id, customer.email)
    assert (source.shipping_method, source.voucher) == (any_shop.shipping_methods[0].shown_id, None)
    assert (source.subscriber.language, source.created_at) == ("EN", order.created_at)
    [line] = source.lines
    assert (line.variant, line.name, line.quantity) == (
        any_shop.products[0].variants[0].id,
        "Coffee subscription",
        1,
    )
    assert (line.total, line.undiscounted) == (nok(19900), nok(19900))
    assert line.metadata == {INTERVAL_KEY: "MONTH:1", "kind": "variant"}


async def test_addresses_are_told_as_a_draft_wants_them(
    shop: Simulator, wire: Wire, installation: Installation
) -> None:
    customer = a_customer(shop)
    customer.address = Address(
        number=shop.next_number("Address"),
        first_name="Ola",
        last_name="Nordmann",
        street_address_1="Karl Johans gate 1",
        city="OSLO",
        postal_code="0154",
        country="NO",
    )
    source = await source_of(wire, installation, an_order(shop, customer))
    expected = ADDRESS | {"city": "OSLO"}
    assert source.subscriber.billing == expected
    assert source.subscriber.shipping == expected


async def test_a_vouchers_discount_is_told_apart(shop: Simulator, wire: Wire, installation: Installation) -> None:
    shop.create_voucher("TENTH", 10)
    source = await source_of(wire, installation, an_order(shop, voucher_code="TENTH"))
    [line] = source.lines
    assert (line.total, line.undiscounted, source.voucher) == (nok(17910), nok(19900), "TENTH")


async def test_a_variant_that_is_gone_cannot_be_renewed(
    shop: Simulator, wire: Wire, installation: Installation
) -> None:
    order = an_order(shop)
    shop.delete_variant(shop.products[0].variants[0])
    assert (await source_of(wire, installation, order)).lines == ()


async def test_what_does_not_exist_is_none(wire: Wire, installation: Installation) -> None:
    assert await wire.client.source_order(installation, UNKNOWN) is None
    assert await wire.client.renewal_order(installation, UNKNOWN) is None
    assert await wire.client.order_by_reference(installation, "vipps-sub:9:9") is None


# Drafts


async def test_every_version_makes_and_completes_a_draft(any_shop: Simulator) -> None:
    wire, installation = Wire(any_shop), installed(await any_shop.install(MANIFEST_URL))
    customer = a_customer(any_shop)
    source = await source_of(wire, installation, an_order(any_shop, customer))
    made = await wire.client.create_draft(installation, draft_of(source))
    order = any_shop.order(made.id)
    assert order is not None
    assert (made.draft, made.total, made.charge_status, made.problems) == (True, nok(24800), "NONE", ())
    assert (order.user, order.external_reference) == (customer, "vipps-sub:1:1")
    assert order.metadata == {"vipps-recurring.subscription": "1"}
    assert await wire.client.order_by_reference(installation, "vipps-sub:1:1") == made
    completed = await wire.client.complete_draft(installation, made.id)
    assert (completed.id, completed.draft, completed.status) == (made.id, False, order.status)
    assert await wire.client.renewal_order(installation, made.id) == completed


async def test_a_reference_is_taken_once(shop: Simulator, wire: Wire, installation: Installation) -> None:
    draft = draft_of(await source_of(wire, installation, an_order(shop)))
    made = await wire.client.create_draft(installation, draft)
    with pytest.raises(Duplicate):
        await wire.client.create_draft(installation, draft)
    found = await wire.client.order_by_reference(installation, draft.reference)
    assert found is not None
    assert found.id == made.id
    assert len([order for order in shop.orders if order.is_draft]) == 1


async def test_after_a_lost_answer_the_draft_is_found_by_its_reference(
    shop: Simulator, wire: Wire, installation: Installation
) -> None:
    draft = draft_of(await source_of(wire, installation, an_order(shop)))
    wire.lose = True
    with pytest.raises(OutcomeUnknown):
        await wire.client.create_draft(installation, draft)
    wire.lose = False
    found = await wire.client.order_by_reference(installation, draft.reference)
    assert found is not None
    assert found.draft


async def test_prices_vouchers_and_quantities_are_what_the_subscription_says(
    shop: Simulator, wire: Wire, installation: Installation
) -> None:
    shop.create_voucher("TENTH", 10)
    source = await source_of(wire, installation, an_order(shop))
    [line] = source.lines
    lines = (SubscriptionLine(line.variant, 3, line.name, unit_price=10050),)
    made = await wire.client.create_draft(installation, draft_of(source, lines=lines))
    assert made.total == nok(3 * 10050 + 4900)
    assert wire.bodies[-1]["variables"]["input"]["lines"][0]["price"] == "100.50"
    with_voucher = await wire.client.create_draft(installation, draft_of(source, "2", lines=lines, voucher="TENTH"))
    assert with_voucher.total == nok(27135 + 4900)


async def test_a_guest_is_reached_by_the_address_of_the_order(
    shop: Simulator, wire: Wire, installation: Installation
) -> None:
    source = await source_of(wire, installation, an_order(shop))
    subscriber = replace(source.subscriber, email="guest@example.com")
    draft = draft_of(source, customer=None, subscriber=subscriber)
    made = shop.order((await wire.client.create_draft(installation, draft)).id)
    assert made is not None
    assert (made.user, made.email) == (None, "guest@example.com")


async def test_what_is_not_known_of_a_subscriber_is_not_sent(
    shop: Simulator, wire: Wire, installation: Installation
) -> None:
    source = await source_of(wire, installation, an_order(shop))
    nobody = Subscriber(email=None, billing=None, shipping=None)
    made = await wire.client.create_draft(
        installation, draft_of(source, customer=None, subscriber=nobody, shipping_method=None)
    )
    sent = wire.bodies[-1]["variables"]["input"]
    assert set(sent) == {"externalReference", "channelId", "metadata", "lines"}
    codes = {code for code, _ in made.problems}
    assert {"BILLING_ADDRESS_NOT_SET", "ORDER_NO_SHIPPING_ADDRESS", "SHIPPING_METHOD_REQUIRED"} <= codes


async def test_what_stands_in_the_way_is_shown_and_refused_by_saleors_code(
    shop: Simulator, wire: Wire, installation: Installation
) -> None:
    source = await source_of(wire, installation, an_order(shop))
    made = await wire.client.create_draft(installation, draft_of(source))
    shop.set_stock(shop.products[0].variants[0], 0)
    seen = await wire.client.renewal_order(installation, made.id)
    assert seen is not None
    assert [code for code, _ in seen.problems] == ["INSUFFICIENT_STOCK"]
    with pytest.raises(Rejected) as refusal:
        await wire.client.complete_draft(installation, made.id)
    assert refusal.value.provider_code == "INSUFFICIENT_STOCK"
    shop.set_stock(shop.products[0].variants[0], None)
    assert not (await wire.client.complete_draft(installation, made.id)).draft


async def test_what_is_not_sold_any_more_is_refused(shop: Simulator, wire: Wire, installation: Installation) -> None:
    source = await source_of(wire, installation, an_order(shop))
    shop.unpublish(shop.products[0])
    with pytest.raises(Rejected) as refusal:
        await wire.client.create_draft(installation, draft_of(source))
    assert refusal.value.provider_code == "PRODUCT_NOT_PUBLISHED"


async def test_what_saleor_cannot_read_is_refused_and_not_tried_for_ever(
    shop: Simulator, wire: Wire, installation: Installation
) -> None:
    source = await source_of(wire, installation, an_order(shop))
    subscriber = replace(source.subscriber, language="KLINGON")
    with pytest.raises(Rejected) as refusal:
        await wire.client.create_draft(installation, draft_of(source, subscriber=subscriber))
    assert refusal.value.provider_code == "GRAPHQL_ERROR"


async def test_a_completed_draft_cannot_be_completed_again(
    shop: Simulator, wire: Wire, installation: Installation
) -> None:
    made = await wire.client.create_draft(installation, draft_of(await source_of(wire, installation, an_order(shop))))
    await wire.client.complete_draft(installation, made.id)
    with pytest.raises(Rejected) as refusal:
        await wire.client.complete_draft(installation, made.id)
    assert refusal.value.provider_code == "INVALID"


# Deleting and cancelling


async def test_a_draft_is_deleted_once_and_nothing_else_is(
    shop: Simulator, wire: Wire, installation: Installation
) -> None:
    source = await source_of(wire, installation, an_order(shop))
    draft = await wire.client.create_draft(installation, draft_of(source))
    completed = await wire.client.create_draft(installation, draft_of(source, "2"))
    await wire.client.complete_draft(installation, completed.id)
    for _ in range(2):
        await wire.client.delete_draft(installation, draft.id)
        await wire.client.delete_draft(installation, completed.id)
    assert await wire.client.renewal_order(installation, draft.id) is None
    assert await wire.client.renewal_order(installation, completed.id) is not None


async def test_a_draft_with_a_transaction_is_never_deleted(
    shop: Simulator, wire: Wire, installation: Installation
) -> None:
    made = await wire.client.create_draft(installation, draft_of(await source_of(wire, installation, an_order(shop))))
    await wire.client.create_transaction(installation, made.id, "agr_1/chr_1", "Vipps MobilePay", "")
    with pytest.raises(Rejected):
        await wire.client.delete_draft(installation, made.id)


async def test_an_order_is_cancelled_once(shop: Simulator, wire: Wire, installation: Installation) -> None:
    order = an_order(shop)
    for _ in range(2):
        await wire.client.cancel_order(installation, order.id)
        assert order.status == "CANCELED"
    with pytest.raises(Rejected):
        await wire.client.cancel_order(installation, UNKNOWN)


async def test_a_draft_cannot_be_cancelled(shop: Simulator, wire: Wire, installation: Installation) -> None:
    made = await wire.client.create_draft(installation, draft_of(await source_of(wire, installation, an_order(shop))))
    with pytest.raises(Rejected) as refusal:
        await wire.client.cancel_order(installation, made.id)
    assert refusal.value.provider_code == "CANNOT_CANCEL_ORDER"


async def test_a_note_is_written_on_an_order(shop: Simulator, wire: Wire, installation: Installation) -> None:
    order = an_order(shop)
    await wire.client.add_note(installation, order.id, "renewed by agr_1")
    assert [event.message for event in order.events if event.type == "NOTE_ADDED"] == ["renewed by agr_1"]
    with pytest.raises(Rejected):
        await wire.client.add_note(installation, UNKNOWN, "x")


async def test_without_the_right_to_manage_orders_the_merchant_has_to_act(shop: Simulator, wire: Wire) -> None:
    source = await source_of(wire, installed(await shop.install(MANIFEST_URL)), an_order(shop))
    shop.apps[0].permissions = frozenset({"HANDLE_PAYMENTS"})
    installation = installed(shop.apps[0])
    for call in (
        wire.client.create_draft(installation, draft_of(source)),
        wire.client.order_by_reference(installation, "x"),
        wire.client.complete_draft(installation, source.id),
        wire.client.cancel_order(installation, source.id),
    ):
        with pytest.raises(Misconfigured, match="MANAGE_ORDERS"):
            await call


async def test_nothing_is_told_of_a_person_in_what_is_printed(
    shop: Simulator, wire: Wire, installation: Installation
) -> None:
    source = await source_of(wire, installation, an_order(shop))
    printed = repr(source) + repr(draft_of(source))
    assert not [word for word in ("example.com", "Karl Johan", "Nordmann") if word in printed]


async def test_a_price_thaws_and_the_total_is_read_anew(
    shop: Simulator, wire: Wire, installation: Installation
) -> None:
    made = await wire.client.create_draft(installation, draft_of(await source_of(wire, installation, an_order(shop))))
    shop.set_price(shop.products[0].variants[0], 299)
    shop.clock.advance(timedelta(hours=25).total_seconds())
    seen = await wire.client.renewal_order(installation, made.id)
    assert seen is not None
    assert (made.total, seen.total) == (nok(24800), nok(34800))
