"""Orders after they were placed: cancelled, confirmed and changed, and what remains of deleted customers."""

import pytest

from app.saleor.simulator.models import App, Order
from app.saleor.simulator.simulator import Simulator
from tests.saleor.simulator.buying import (
    ADDRESS,
    CANCEL,
    CONFIRM,
    UPDATE_ORDER,
    codes,
    complete_draft,
    listen,
    make_draft,
)
from tests.saleor.simulator.doubles import MANIFEST_URL, AppDouble, manifest, subscription
from tests.saleor.simulator.payments import ask, error_codes, make, payload, report

Shop = Simulator

DELETE_CUSTOMER = "mutation($id: ID) { customerDelete(id: $id) { user { id } errors { field code } } }"


async def test_cancelled_order_keeps_its_payment_and_gives_its_goods_back(shop: Shop, app: App) -> None:
    (variant,) = shop.create_product(stock=1).variants
    order = make_draft(shop, app)
    complete_draft(shop, app, order)
    report(shop, app, make(shop, app, order), "CHARGE_SUCCESS", "agr/chr", amount=248)
    heard = listen(shop)
    assert payload(ask(shop, CANCEL, app, id=order.id))["order"] == {"id": order.id, "status": "CANCELED"}
    assert heard == ["ORDER_CANCELLED", "ORDER_UPDATED"]
    assert (variant.available, order.charge_status) == (1, "FULL")
    assert codes(payload(ask(shop, CANCEL, app, id=order.id))) == [("order", "CANNOT_CANCEL_ORDER")]
    assert variant.available == 1


async def test_draft_is_not_cancelled(shop: Shop, app: App) -> None:
    order = make_draft(shop, app)
    assert codes(payload(ask(shop, CANCEL, app, id=order.id))) == [("order", "CANNOT_CANCEL_ORDER")]


async def test_order_is_confirmed_once(shop: Shop, app: App) -> None:
    order = shop.create_order(email="a@example.com", amount=1, confirm=False)
    heard = listen(shop)
    assert payload(ask(shop, CONFIRM, app, id=order.id))["order"] == {"id": order.id, "status": "UNFULFILLED"}
    assert codes(payload(ask(shop, CONFIRM, app, id=order.id))) == [("id", "INVALID")]
    assert heard == ["ORDER_CONFIRMED"]


async def test_unknown_order_is_not_found(shop: Shop, app: App, order: Order) -> None:
    shop.orders.clear()
    assert codes(payload(ask(shop, CANCEL, app, id=order.id))) == [("id", "NOT_FOUND")]
    assert codes(payload(ask(shop, CANCEL, app, id=app.id))) == [("id", "GRAPHQL_ERROR")]


@pytest.mark.parametrize("mutation", [CANCEL, CONFIRM])
def test_orders_are_changed_by_those_who_manage_them(shop: Shop, order: Order, mutation: str) -> None:
    assert error_codes(ask(shop, mutation, shop.create_customer(), id=order.id)) == ["PermissionDenied"]


async def test_order_update_changes_addresses_but_no_draft(shop: Shop, app: App, order: Order) -> None:
    changes = {"billingAddress": ADDRESS, "externalReference": "a"}
    assert payload(ask(shop, UPDATE_ORDER, app, id=order.id, input=changes))["errors"] == []
    assert order.billing_address
    assert (order.billing_address.city, order.external_reference) == ("OSLO", "a")
    draft = make_draft(shop, app)
    assert codes(payload(ask(shop, UPDATE_ORDER, app, id=draft.id, input=changes))) == [("id", "INVALID")]


async def test_unpublished_variant_is_hidden_from_the_public(shop: Shop, app: App) -> None:
    product = shop.create_product()
    order = shop.create_order(shop.create_customer(), [product])
    query = "query($id: ID!) { order(id: $id) { lines { variant { id } } } }"
    seen = {"lines": [{"variant": {"id": product.variants[0].id}}]}
    assert payload(ask(shop, query, id=order.id)) == seen
    shop.unpublish(product)
    assert payload(ask(shop, query, app, id=order.id)) == seen
    assert payload(ask(shop, query, id=order.id)) == {"lines": [{"variant": None}]}


async def test_deleted_customer_leaves_orders_behind(shop: Shop) -> None:
    customer, staff = shop.create_customer(), shop.create_staff()
    order = shop.create_order(customer, amount=1)
    shop.create_checkout(customer, [shop.create_product()])
    token = shop.tokens.access(customer)
    heard = listen(shop)
    assert payload(ask(shop, DELETE_CUSTOMER, staff, id=customer.id)) == {"user": {"id": customer.id}, "errors": []}
    assert (order.user, order.email, shop.checkouts) == (None, customer.email, [])
    assert heard == ["CUSTOMER_DELETED"]
    assert codes(payload(ask(shop, DELETE_CUSTOMER, staff, id=customer.id))) == [("id", "NOT_FOUND")]
    answer = shop.execute({"query": "{ me { id } }"}, {"authorization": f"Bearer {token}"})
    assert "errors" in answer.content or answer.content["data"] == {"me": None}


def test_staff_is_no_customer(shop: Shop) -> None:
    staff = shop.create_staff()
    assert codes(payload(ask(shop, DELETE_CUSTOMER, staff, id=staff.id))) == [("id", "DELETE_STAFF_ACCOUNT")]


async def test_customer_who_leaves_is_told_of_otherwise(shop: Shop, double: AppDouble) -> None:
    fields = "... on AccountDeleted { user { id } } ... on CustomerDeleted { user { id } }"
    hook = {
        "name": "gone",
        "targetUrl": "https://app.example/webhooks/gone",
        "query": f"subscription {{ event {{ __typename {fields} }} }}",
        "asyncEvents": ["ACCOUNT_DELETED", "CUSTOMER_DELETED"],
    }
    double.manifest = manifest(webhooks=[hook], permissions=["MANAGE_USERS"])
    await shop.install(MANIFEST_URL)
    first, second = shop.create_customer(), shop.create_customer("kari@example.com")
    shop.delete_customer(first, by=first)
    shop.delete_customer(second)
    await shop.deliver()
    assert double.bodies == [
        {"__typename": "AccountDeleted", "user": {"id": first.id}},
        {"__typename": "CustomerDeleted", "user": {"id": second.id}},
    ]


async def test_draft_webhook_is_sent_with_manage_orders(shop: Shop, double: AppDouble) -> None:
    hook = {
        "name": "draft",
        "targetUrl": "https://app.example/webhooks/draft",
        "query": subscription("DraftOrderCreated", "order { id status }"),
    }
    double.manifest = manifest(webhooks=[hook])
    app = await shop.install(MANIFEST_URL)
    order = make_draft(shop, app)
    await shop.deliver()
    assert double.bodies == [{"order": {"id": order.id, "status": "DRAFT"}}]
