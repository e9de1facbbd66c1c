"""The requests by which storefronts buy and by which apps and staff make orders, and the answers they read."""

from typing import Any

from app.saleor.simulator.models import Address, App, Order, User
from app.saleor.simulator.records import Event
from app.saleor.simulator.simulator import Simulator
from tests.saleor.simulator.payments import ask, payload

ERRORS = "errors { field code message orderLines variants addressType }"

CREATE_DRAFT = f"""mutation($input: DraftOrderCreateInput!) {{
  draftOrderCreate(input: $input) {{ order {{ id number status }} {ERRORS} }} }}"""
UPDATE_DRAFT = f"""mutation($id: ID, $reference: String, $input: DraftOrderInput!) {{
  draftOrderUpdate(id: $id, externalReference: $reference, input: $input) {{ order {{ id }} {ERRORS} }} }}"""
COMPLETE_DRAFT = f"""mutation($id: ID!) {{ draftOrderComplete(id: $id) {{ order {{ id status origin }} {ERRORS} }} }}"""
DELETE_DRAFT = f"""mutation($id: ID, $reference: String) {{
  draftOrderDelete(id: $id, externalReference: $reference) {{ order {{ id }} {ERRORS} }} }}"""
CANCEL = f"mutation($id: ID!) {{ orderCancel(id: $id) {{ order {{ id status }} {ERRORS} }} }}"
CONFIRM = f"mutation($id: ID!) {{ orderConfirm(id: $id) {{ order {{ id status }} {ERRORS} }} }}"
UPDATE_ORDER = f"""mutation($id: ID, $input: OrderUpdateInput!) {{
  orderUpdate(id: $id, input: $input) {{ order {{ id }} {ERRORS} }} }}"""

CHECKOUT_ERRORS = "errors { field code message variants addressType }"
CREATE_CHECKOUT = f"""mutation($input: CheckoutCreateInput!) {{
  checkoutCreate(input: $input) {{ checkout {{ id }} {CHECKOUT_ERRORS} }} }}"""
COMPLETE_CHECKOUT = f"""mutation($id: ID!, $metadata: [MetadataInput!]) {{
  checkoutComplete(id: $id, metadata: $metadata) {{
  order {{ id status }} confirmationNeeded {CHECKOUT_ERRORS} }} }}"""
DELIVER_BY = f"""mutation($id: ID, $method: ID) {{
  checkoutDeliveryMethodUpdate(id: $id, deliveryMethodId: $method) {{ checkout {{ id }} {CHECKOUT_ERRORS} }} }}"""
ADD_CODE = f"""mutation($id: ID, $code: String!) {{
  checkoutAddPromoCode(id: $id, promoCode: $code) {{ checkout {{ voucherCode }} {CHECKOUT_ERRORS} }} }}"""
ATTACH = f"""mutation($id: ID, $customer: ID) {{
  checkoutCustomerAttach(id: $id, customerId: $customer) {{ checkout {{ id email }} {CHECKOUT_ERRORS} }} }}"""

ADDRESS = {
    "firstName": "Ola",
    "lastName": "Nordmann",
    "streetAddress1": "Karl Johans gate 1",
    "city": "Oslo",
    "postalCode": "0154",
    "country": "NO",
}


def codes(answer: Any) -> list[tuple[str | None, str]]:
    """Field and code of each error of a payload."""
    return [(error["field"], error["code"]) for error in answer["errors"]]


def home(shop: Simulator, country: str = "NO") -> Address:
    return Address(
        number=shop.next_number("Address"),
        street_address_1="Karl Johans gate 1",
        city="OSLO",
        postal_code="0154",
        country=country,
    )


def listen(shop: Simulator) -> list[str]:
    """The names of the events from now on."""
    names: list[str] = []

    def hear(event: Event) -> None:
        names.append(event.name)

    shop.listeners.append(hear)
    return names


def draft_input(shop: Simulator, **changes: Any) -> dict[str, Any]:
    """Everything that completing needs; the shop's first product, customer and shipping method are made if need be."""
    product = shop.products[0] if shop.products else shop.create_product()
    method = shop.shipping_methods[0] if shop.shipping_methods else shop.create_shipping_method()
    user = next((user for user in shop.users if not user.is_staff), None) or shop.create_customer()
    return {
        "channelId": shop.channels["norway"].id,
        "user": user.id,
        "lines": [{"variantId": product.variants[0].id, "quantity": 1}],
        "billingAddress": ADDRESS,
        "shippingAddress": ADDRESS,
        "shippingMethod": method.id,
    } | changes


def make_draft(shop: Simulator, app: App | User, **changes: Any) -> Order:
    made = payload(ask(shop, CREATE_DRAFT, app, input=draft_input(shop, **changes)))
    assert made["errors"] == []
    order = shop.order(made["order"]["id"])
    assert order is not None
    return order


def complete_draft(shop: Simulator, app: App | User, order: Order) -> Any:
    return payload(ask(shop, COMPLETE_DRAFT, app, id=order.id))
