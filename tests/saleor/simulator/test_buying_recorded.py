"""Buying and renewing beside what a real Saleor 3.23 answered: the same queries, the same shape, the same cost."""

import json
from typing import Any

import pytest

from app.saleor.simulator.models import App
from app.saleor.simulator.schema import COMPLETE
from app.saleor.simulator.simulator import Simulator
from tests.saleor.simulator.buying import home, make_draft
from tests.saleor.simulator.payments import headers_of, make, report
from tests.saleor.simulator.test_recorded import compare

RECORDED = COMPLETE / "recorded" / "graphql"
pytestmark = pytest.mark.skipif(not RECORDED.is_dir(), reason="the recording of a real Saleor is not at hand")


def load(name: str) -> Any:
    return json.loads((RECORDED / f"{name}.json").read_text(encoding="utf-8"))


def replay(shop: Simulator, name: str, by: Any, variables: dict[str, Any]) -> tuple[Any, Any]:
    """The recorded answer and ours."""
    recorded = load(name)
    answer = shop.execute({"query": recorded["query"], "variables": variables}, headers_of(shop, by))
    assert answer.status == 200
    compare(recorded["response"], answer.content)
    assert answer.content["extensions"] == recorded["response"]["extensions"]
    return recorded["response"]["data"], answer.content["data"]


async def test_checkout_is_completed_as_recorded(shop: Simulator, app: App) -> None:
    customer = shop.create_customer()
    goods, method = shop.create_product(), shop.create_shipping_method()
    checkout = shop.create_checkout(customer, [goods], billing=home(shop), shipping=home(shop))
    shop.deliver_by(checkout, method)
    report(shop, app, make(shop, app, checkout), "CHARGE_SUCCESS", "agr/chr", amount=248)
    theirs, ours = replay(shop, "016-checkoutComplete-action_required", customer, {"id": checkout.id})
    for same in ("status", "chargeStatus", "total"):
        assert ours["checkoutComplete"]["order"][same] == theirs["checkoutComplete"]["order"][same]
    order = shop.orders[0]
    theirs, ours = replay(shop, "030-order-as-app", app, {"id": order.id})
    assert ours["order"]["checkoutId"] == checkout.id
    assert {**ours["order"], "transactions": []} == {
        **theirs["order"],
        "id": order.id,
        "number": "1",
        "checkoutId": checkout.id,
        "transactions": [],
    }


async def test_draft_is_made_completed_and_noted_on_as_recorded(shop: Simulator, app: App) -> None:
    customer = shop.create_customer()
    variables = load("033-draftOrderCreate-as-app")["variables"]
    shop.create_product()
    shop.create_shipping_method()
    variables["i"]["channelId"] = shop.channels["norway"].id
    assert (variables["i"]["user"], variables["i"]["shippingMethod"]) == (customer.id, shop.shipping_methods[0].id)
    theirs, ours = replay(shop, "033-draftOrderCreate-as-app", app, variables)
    assert ours["draftOrderCreate"]["order"]["status"] == theirs["draftOrderCreate"]["order"]["status"]
    order = shop.orders[0]
    theirs, ours = replay(shop, "034-draftOrderComplete-as-app", app, {"id": order.id})
    changed = {"id": order.id, "number": "1"}
    assert ours["draftOrderComplete"]["order"] == theirs["draftOrderComplete"]["order"] | changed
    theirs, ours = replay(shop, "040-updateMetadata-order-as-app", app, {"id": order.id})
    assert ours == theirs


async def test_order_is_cancelled_as_recorded(shop: Simulator, app: App) -> None:
    order = make_draft(shop, app)
    shop.complete_draft(order)
    theirs, ours = replay(shop, "045-orderCancel-as-staff", shop.create_staff(), {"id": order.id})
    assert ours["orderCancel"] == theirs["orderCancel"] | {"order": {"id": order.id, "status": "CANCELED"}}
