"""The demo's second half: a subscription that lives in Saleor: bought, renewed, refunded in part, and ended."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from app.demo.story import Story

_A_MONTH = 31  # days, or a little less


class Subscription:
    """Everything is done, and seen, in the shop: what staff and customers have in front of them."""

    def __init__(self, story: "Story") -> None:
        self.story = story

    def tell(self) -> None:
        self.story.console.print("\n[bold]Subscriptions that live in Saleor[/bold]")
        self.put_on_sale()
        first = self.buy()
        self.renew(first)
        self.refund(first)
        self.stop_in_app(first)

    def put_on_sale(self) -> None:
        self.story.step(
            "A product becomes a subscription",
            "Its metadata says vipps-recurring.interval = MONTH:1; nothing else is set up.",
        )
        product = self.story.control(
            "/products",
            {"name": "Coffee box", "price": 199, "metadata": {"vipps-recurring.interval": "MONTH:1"}, "stock": 500},
        )
        self.story.control("/shipping-methods", {"name": "Posten", "price": 49})
        self.variant = product["variants"][0]["id"]
        self.story.check("on sale for 199.00 NOK a month, and 49.00 for the delivery", holds=bool(self.variant))

    def buy(self) -> dict[str, Any]:
        story = self.story
        story.step(
            "A customer buys it in the shop's ordinary checkout", "Saleor asks the app to begin and to end the payment."
        )
        customer = self.story.control("/customers", {"email": "ida@example.com", "first_name": "Ida"})
        checkout = self.story.control("/checkouts", {"customer": customer["id"], "lines": [{"variant": self.variant}]})
        begun = self.story.control(
            "/transactions", {"source": checkout["id"], "data": {"returnUrl": f"{story.saleor}/storefront"}}
        )
        story.check(
            f"the payment waits for the customer ({begun['event']['type']})",
            holds=begun["event"]["type"] == "CHARGE_ACTION_REQUIRED",
        )
        self.agreement = str(begun["data"]["agreementId"])
        story.http.post(begun["data"]["confirmationUrl"], data={"decision": "approve"})
        done = self.story.control(f"/transactions/{begun['transaction']['id']}/process", {})
        story.check(
            f"approved in Vipps, and paid ({done['event']['type']})", holds=done["event"]["type"] == "CHARGE_SUCCESS"
        )
        order: dict[str, Any] = self.story.control(f"/checkouts/{checkout['id']}/complete")
        story.check(f"order {order['number']} is paid: {order['charged']:.2f}", holds=order["isPaid"])
        story.wait_for("the subscription", lambda: self._seen()["subscription"])
        return order | {"transaction": begun["transaction"]["id"]}

    def _seen(self) -> Any:
        query = "query ($id: ID!) { agreement(id: $id) { status subscription { status } } }"
        return self.story.graphql(query, {"id": self.agreement}, self.story.machine)

    def renew(self, first: dict[str, Any]) -> None:
        story = self.story
        story.step("A month later", "Others have subscribed meanwhile; each day the app charges what comes due.")
        story.passing.days(_A_MONTH)
        story.wait_for("the renewal order to be paid", lambda: self._renewal(first)["isPaid"])
        story.wait_for("the renewal order to be complete", lambda: self._renewal(first)["status"] == "UNFULFILLED")
        order = self._renewal(first)
        sums = story.sums_of(order["id"])
        story.check(
            f"order {order['number']} ({order['externalReference']}) is {order['status']} and paid: "
            f"{sums['charged']:.2f}",
            holds=sums["charged"] == order["total"]["amount"],
        )

    def _renewal(self, first: dict[str, Any]) -> dict[str, Any]:
        story = self.story

        def look() -> dict[str, Any] | None:
            orders = story.get(f"{story.saleor}/simulator/orders")
            mine = [it for it in orders if f":{self.agreement}:" in (it["externalReference"] or "")]
            return mine[0] if mine and mine[0]["id"] != first["id"] else None

        found: dict[str, Any] = story.wait_for("the renewal order", look)
        return found

    def refund(self, first: dict[str, Any]) -> None:
        story = self.story
        story.step("Staff refund a part, on the order in Saleor", "50.00 for a broken cup.")
        self.story.control(f"/transactions/{first['transaction']}/actions", {"action": "REFUND", "amount": 50})
        story.wait_for("the refund", lambda: story.sums_of(first["id"]).get("refunded") == 50)  # noqa: PLR2004
        sums = story.sums_of(first["id"])
        refunds = [it for it in story.get(f"{story.vipps}/simulator/ledger") if it["effect"] == "refund"]
        story.check(
            f"Saleor shows {sums['charged']:.2f} charged and {sums['refunded']:.2f} refunded, as Vipps' books do",
            holds=refunds[-1]["amount"] == 5000,  # noqa: PLR2004
        )

    def stop_in_app(self, first: dict[str, Any]) -> None:
        story = self.story
        story.step("The customer stops it in the Vipps app", "Nobody in the shop has done anything.")
        story.post(f"{story.vipps}/simulator/agreements/{self.agreement}/stop")

        def ended() -> Any:
            seen = self._seen()
            return seen if (seen["subscription"] or {}).get("status") == "ENDED" else None

        seen = story.wait_for("the end of the subscription", ended)
        story.check(f"the subscription is {seen['subscription']['status']}", holds=seen["status"] == "STOPPED")

        def told() -> Any:
            found = story.get(f"{story.saleor}/simulator/orders/{self._renewal(first)['id']}/transactions")
            return next((it["message"] for it in found[0]["events"] if it["type"] == "INFO"), None)

        story.check(f'and its last order\'s payment says so: "{story.wait_for("the news", told)}"', holds=True)
