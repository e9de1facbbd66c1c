"""The demo's first half: what a shop, a customer and the staff do, each step shown with what came of it and checked."""

import json
from typing import Any

from rich.table import Table

from app.demo.errors import StoryError
from app.demo.teller import Teller
from app.domain.account import Scope
from app.domain.dunning import DunningPolicy, GiveUp
from app.usecases.accounts import OK
from app.vipps.simulator import DEFAULT_MERCHANT

_COLLECTED = 3


class Story(Teller):
    def tell(self) -> None:
        self.console.print(
            "[bold]Vipps Recurring for Saleor[/bold]: a shop sells subscriptions, customers pay with Vipps.\n"
            "A customer approves an [bold]agreement[/bold] once; the shop then makes [bold]charges[/bold] on it.\n"
            "A simulated Vipps, a simulated Saleor shop, and the app between them; no network needed.\n"
            "The story begins two months ago and ends today, because its clock is moved on day by day."
        )
        self.install()
        customer = self.sign_up()
        agreement = self.approve(customer)
        order = self.order(customer, agreement)
        self.repeat(order)
        self.stranger(agreement)
        self.batch(agreement)
        box = self.reserve_capture_refund(customer)
        self.collect(agreement, order)
        self.stop(agreement, box)
        self.books()
        self.explain(order)

    # The steps

    def install(self) -> None:
        self.step(
            "The app is installed",
            "Saleor reads the manifest and hands over a token; the app proves it by calling back.",
        )
        installed = self.post(f"{self.saleor}/simulator/install", {"manifest_url": f"{self.app}/api/manifest"})
        self.check(
            f"installed as {installed['id']} with {len(installed['webhooks'])} webhooks", holds=installed["active"]
        )
        # A failed charge is tried again once, and then the subscription waits for somebody: it is on hold.
        dunning = DunningPolicy(retry_after=(3,), then=GiveUp.HOLD)
        self.office.set_account(DEFAULT_MERCHANT, lead_days=1, retry_days=2, dunning=dunning)
        self.say("the merchant account at Vipps is set, its secrets are stored encrypted")
        checked = self.office.check_account()
        answers = ", ".join(f"{version} {said}" for version, said in checked.versions.items())
        self.check(
            f"account check: signs in, {answers}, webhooks: {checked.webhooks}",
            holds=checked.sign_in == OK and set(checked.versions.values()) == {OK},
        )
        self.machine = self.office.client("billing", tuple(Scope))
        signed_in = self.graphql("query { authTest { ok environment apiVersion } }", {}, self.machine)
        self.check(
            f"Vipps knows the account ({signed_in['environment']}, API {signed_in['apiVersion']})",
            holds=signed_in["ok"],
        )

    def sign_up(self) -> str:
        customer = self.post(f"{self.saleor}/simulator/customers", {"email": "kari@example.com", "first_name": "Kari"})
        return str(customer["id"])

    def draft(self, customer: str, **more: Any) -> dict[str, Any]:
        values: dict[str, Any] = {
            "price": 24900,
            "productName": "Coffee every month",
            "interval": {"unit": "MONTH", "count": 1},
            "redirectUrl": f"{self.saleor}/storefront",
        }
        mutation = """mutation ($input: AgreementCreateInput!) {
          agreementCreate(input: $input) { agreement { id status } confirmationUrl errors { field message } } }"""
        made = self.graphql(mutation, {"input": values | more}, self.token(customer))
        if made["errors"]:
            raise StoryError(made["errors"][0]["message"])
        return dict(made)

    def approve(self, customer: str) -> str:
        self.step("A customer signs up", "The storefront asks the app for an agreement: coffee, 249.00 NOK a month.")
        drafted = self.draft(customer)
        agreement = drafted["agreement"]["id"]
        self.say(f"agreement {agreement} is {drafted['agreement']['status']}; the customer approves it in Vipps")
        self.http.post(drafted["confirmationUrl"], data={"decision": "approve"})
        query = "query ($id: ID!) { agreement(id: $id) { status } }"
        now = self.graphql(query, {"id": agreement}, self.token(customer))["status"]
        self.check(f"agreement {agreement} is {now}", holds=now == "ACTIVE")
        return str(agreement)

    def place(self, customer: str, agreement: str) -> dict[str, Any]:
        body = {"customer": customer, "amount": 249, "metadata": {"vipps-recurring.agreement": agreement}}
        placed: dict[str, Any] = self.post(f"{self.saleor}/simulator/orders", body)
        return placed

    def order(self, customer: str, agreement: str) -> dict[str, Any]:
        self.step(
            "A subscription order is placed", "Saleor sends a signed webhook; the app reads the order and charges it."
        )
        placed = self.place(customer, agreement)
        shown = self.wait_for(
            "the charge on the order",
            lambda: self.find_order(placed["id"])["privateMetadata"].get("vipps-recurring.charge"),
        )
        order = self.find_order(placed["id"])
        self.check(f"order {order['number']} is charged at Vipps as {shown}", holds=len(self.charges_made()) == 1)
        self.say(f'staff read on the order: "{order["notes"][-1]["message"]}"')
        self.wait_for("the transaction on the order", lambda: self.sums_of(order["id"])["charge_pending"])
        self.check(
            "Saleor shows the payment as pending, and the order as not paid yet",
            holds=not self.find_order(order["id"])["isPaid"],
        )
        return order

    def repeat(self, order: dict[str, Any]) -> None:
        self.step("The webhook comes again, twice", "Networks repeat things. Money must not move again.")
        deliveries = self.get(f"{self.saleor}/simulator/deliveries")
        first = next(it["delivery"] for it in deliveries if it["event"].lower() == "order_created")
        for _ in range(2):
            self.post(f"{self.saleor}/simulator/webhooks/replay", {"delivery": first})
        self.post(f"{self.saleor}/simulator/orders/{order['id']}/touch")
        self.check("still exactly one charge at Vipps", holds=len(self.charges_made()) == 1)

    def stranger(self, agreement: str) -> None:
        self.step(
            "Somebody else's order names the same agreement", "Metadata can be written by anyone: it never authorises."
        )
        other = self.post(f"{self.saleor}/simulator/customers", {"email": "per@example.com", "first_name": "Per"})
        placed = self.place(other["id"], agreement)
        reason = self.wait_for(
            "the reason on the order",
            lambda: self.find_order(placed["id"])["privateMetadata"].get("vipps-recurring.reason"),
        )
        self.check("no charge was made", holds=len(self.charges_made()) == 1)
        self.say(f'staff read why: "{reason}"')

    def batch(self, agreement: str) -> None:
        self.step(
            "A batch of three charges, one of them wrong",
            "Every item gets an answer; one failure never stops the rest.",
        )
        mutation = """mutation ($charges: [ChargeMakeInput!]!) { chargeMake(charges: $charges) {
          results { index success charge { id due } error { message } } } }"""
        items = [
            {"agreementId": agreement, "price": 5000, "description": "Extra beans", "orderId": "extra-beans-1"},
            {"agreementId": agreement, "price": 9_000_000, "description": "A fat finger"},
            {"agreementId": agreement, "price": 7500, "description": "A mug", "orderId": "a-mug-0001"},
        ]
        results = self.graphql(mutation, {"charges": items}, self.machine)["results"]
        for it in results:
            outcome = (
                f"charge {it['charge']['id']}, due {it['charge']['due']}" if it["success"] else it["error"]["message"]
            )
            self.say(f"item {it['index']}: {outcome}")
        self.check("two made, one refused", holds=[it["success"] for it in results] == [True, False, True])
        again = self.graphql(mutation, {"charges": items[:1]}, self.machine)["results"][0]
        same = again["success"] and again["charge"]["id"] == results[0]["charge"]["id"]
        self.check(
            "the first item sent again answers with the same charge",
            holds=same and len(self.charges_made()) == len(items),
        )
        url = f"{self.app}/vipps-recurring-payments/charge/cancel"
        body = [{"agreement_id": agreement, "charge_id": "a-mug-0001"}]
        cancelled = self.post(url, body, self.machine)
        self.say(f"over the documented REST operations: charge/cancel answers {json.dumps(cancelled)}")
        self.check("the mug is cancelled", holds=cancelled == {"successes": ["a-mug-0001"], "errors": []})

    def reserve_capture_refund(self, customer: str) -> str:
        self.step("Goods that are shipped: reserve, capture, refund a part", "The first box is reserved at sign-up.")
        initial = {"price": 29900, "description": "First box", "type": "RESERVE_CAPTURE"}
        drafted = self.draft(customer, productName="A box a month", price=29900, initialCharge=initial)
        agreement = drafted["agreement"]["id"]
        self.http.post(drafted["confirmationUrl"], data={"decision": "approve"})
        query = "query ($ids: [ID!]!) { charges(agreementIds: $ids) { results { charges { id status } } } }"
        charge = self.graphql(query, {"ids": [agreement]}, self.machine)["results"][0]["charges"][0]
        self.check(f"charge {charge['id']} is {charge['status']}", holds=charge["status"] == "RESERVED")
        fields = "results { charge { status captured { amount } refunded { amount } } error { message } }"
        item = {"agreementId": agreement, "chargeId": charge["id"]}
        capture = f"mutation ($it: [ChargeCaptureInput!]!) {{ chargeCapture(charges: $it) {{ {fields} }} }}"
        after = self.graphql(capture, {"it": [item]}, self.machine)["results"][0]["charge"]
        self.check(f"captured: {after['captured']['amount']}", holds=after["status"] == "CHARGED")
        refund = f"mutation ($it: [ChargeRefundInput!]!) {{ chargeRefund(charges: $it) {{ {fields} }} }}"
        wish = item | {"price": 5000, "description": "A broken cup"}
        after = self.graphql(refund, {"it": [wish]}, self.machine)["results"][0]["charge"]
        self.check(f"refunded: {after['refunded']['amount']}", holds=after["status"] == "PARTIALLY_REFUNDED")
        return str(agreement)

    def collect(self, agreement: str, order: dict[str, Any]) -> None:
        self.step("Three days later", "The clock moves on, and the simulated Vipps collects what is due.")
        self.passing.days(3)
        self.wait_for(
            "the order to show it",
            lambda: self.find_order(order["id"])["privateMetadata"].get("vipps-recurring.status") == "CHARGED",
        )
        self.check(
            f'Vipps told by webhook, and the order shows it: "{self.find_order(order["id"])["notes"][-1]["message"]}"',
            holds=True,
        )
        self.wait_for("the order to be paid", lambda: self.find_order(order["id"])["isPaid"])
        paid = self.sums_of(order["id"])
        self.check(
            f"the order is paid in Saleor, by the {paid['charged']:.2f} that Vipps collected",
            holds=(paid["charged"], paid["charge_pending"]) == (self.find_order(order["id"])["total"]["amount"], 0),
        )
        url = f"{self.app}/vipps-recurring-payments/charge/get"
        answer = self.post(url, [{"agreement_id": agreement}], self.machine)
        seen = {it["id"]: it["status"] for it in json.loads(answer["successes"][0])}
        for name, status in seen.items():
            self.say(f"{name}: {status}")

    def stop(self, agreement: str, box: str) -> None:
        self.step("Both agreements are stopped", "For good: nothing can be charged on them any more.")
        mutation = "mutation ($ids: [ID!]!) { agreementCancel(ids: $ids) { successes errors { message } } }"
        done = self.graphql(mutation, {"ids": [agreement, box]}, self.machine)
        self.check(f"{agreement} and {box} are stopped", holds=done["successes"] == [agreement, box])
        mutation = "mutation ($it: [ChargeMakeInput!]!) { chargeMake(charges: $it) { errors { message } } }"
        late = [{"agreementId": agreement, "price": 24900, "description": "One more"}]
        refused = self.graphql(mutation, {"it": late}, self.machine)["errors"]
        self.check("another charge is refused", holds=len(refused) == 1)
        self.say(refused[0]["message"])

    def books(self) -> None:
        self.step("The simulated Vipps' own books", "What really happened there, whatever we believe.")
        table = Table("effect", "charge", "amount", box=None, pad_edge=False)
        effects = [it for it in self.get(f"{self.vipps}/simulator/ledger") if it["amount"] is not None]
        for it in effects:
            table.add_row(str(it["effect"]), str(it["charge_id"]), f"{it['amount'] / 100:.2f}")
        self.console.print(table)
        taken = [it["charge_id"] for it in effects if it["effect"] in {"charge", "capture"}]
        self.check("three charges collected, none of them twice", holds=len(taken) == len(set(taken)) == _COLLECTED)
        compared = self.office.reconcile()
        self.check(
            f"reconcile: {compared.agreements} agreements and {compared.charges} charges are as in our books",
            holds=not compared.open_findings and not compared.trouble,
        )

    def explain(self, order: dict[str, Any]) -> None:
        self.step(
            "Why was I charged?", "One command tells the whole story of a charge, for whoever has to answer that."
        )
        moments = self.office.explain(order["id"])
        for it in moments:
            self.say(f"{it.at:%Y-%m-%d %H:%M}  {it.what}: {it.text}")
        self.check("from the order to the money", holds=any(it.what == "charge.status" for it in moments))
