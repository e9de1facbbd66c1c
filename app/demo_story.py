"""The demo's story: what a shop, a customer and the staff do, each step shown with what came of it, and checked."""

import base64
import json
import time
from collections.abc import Callable
from typing import Any, Protocol

import httpx
from rich.console import Console
from rich.table import Table

from app.demo_subscription import Subscription
from app.vipps.simulator import DEFAULT_MERCHANT

_PATIENCE = 20.0
_COLLECTED = 3


class StoryError(Exception):
    """A step did not do what was told."""


class Command(Protocol):
    def __call__(self, *arguments: str, **more: str) -> str: ...


class Story:
    def __init__(self, http: httpx.Client, app: str, vipps: str, saleor: str, command: Command) -> None:
        self.http = http
        self.app = app
        self.vipps = vipps
        self.saleor = saleor
        self.shop = f"{saleor}/graphql/"
        self.command = command
        self.console = Console(highlight=False, soft_wrap=True)
        self.step_number = 0

    def tell(self) -> None:
        started = time.monotonic()
        self.console.print(
            "[bold]Vipps Recurring for Saleor[/bold]: a shop sells subscriptions, customers pay with Vipps.\n"
            "A customer approves an [bold]agreement[/bold] once; the shop then makes [bold]charges[/bold] on it.\n"
            "Running now: a simulated Vipps, a simulated Saleor shop, and the app between them. No network needed."
        )
        self.install()
        customer = self.sign_up()
        agreement = self.approve(customer)
        order = self.order(customer, agreement)
        self.repeat(order)
        self.stranger(agreement)
        self.batch(agreement)
        self.reserve_capture_refund(customer)
        self.collect(agreement, order)
        self.stop(agreement)
        self.books()
        self.explain(order)
        Subscription(self).tell()
        self.console.print(f"\n[green]Everything went as told[/green], in {time.monotonic() - started:.0f} seconds.")

    # Telling

    def step(self, title: str, text: str = "") -> None:
        self.step_number += 1
        self.console.print(f"\n[bold cyan]{self.step_number}. {title}[/bold cyan]" + (f"\n   {text}" if text else ""))

    def say(self, text: str) -> None:
        self.console.print(f"   {text}")

    def check(self, what: str, *, holds: bool) -> None:
        if not holds:
            raise StoryError(what)
        self.console.print(f"   [green]✓[/green] {what}")

    # Calling

    def post(self, url: str, body: Any = None, headers: dict[str, str] | None = None) -> Any:
        answer = self.http.post(url, json=body, headers=headers)
        if not answer.is_success:
            raise StoryError(f"{url} answered {answer.status_code}: {answer.text[:300]}")
        return answer.json() if answer.content else None

    def get(self, url: str) -> Any:
        return self.http.get(url).raise_for_status().json()

    def graphql(self, query: str, variables: dict[str, Any], headers: dict[str, str]) -> Any:
        answer = self.post(f"{self.app}/graphql", {"query": query, "variables": variables}, headers)
        if answer.get("errors"):
            raise StoryError(f"GraphQL: {answer['errors'][0]['message']}")
        return next(iter(answer["data"].values()))

    def wait_for(self, what: str, look: Callable[[], Any]) -> Any:
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            if found := look():
                return found
            time.sleep(0.1)
        raise StoryError(f"waited {_PATIENCE:.0f} s in vain for: {what}")

    def find_order(self, order_id: str) -> dict[str, Any]:
        found: dict[str, Any] = next(it for it in self.get(f"{self.saleor}/simulator/orders") if it["id"] == order_id)
        return found

    def sums_of(self, order_id: str) -> dict[str, float]:
        """What the order's only transaction adds up to."""
        found = self.get(f"{self.saleor}/simulator/orders/{order_id}/transactions")
        return dict(found[0]["sums"]) if found else {"charge_pending": 0, "charged": 0}

    def charges_made(self) -> list[dict[str, Any]]:
        return [it for it in self.get(f"{self.vipps}/simulator/ledger") if it["effect"] == "create"]

    def token(self, user: str) -> dict[str, str]:
        found = self.post(f"{self.saleor}/simulator/tokens", {"kind": "customer", "user": user})
        return {"Authorization": f"Bearer {found['token']}"}

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
        self.set_account()
        self.say("the merchant account at Vipps is set, its secrets are stored encrypted")
        [checked] = json.loads(self.command("account", "check", "--json"))
        self.check(
            f"account check: signs in, v2 {checked['v2']}, v3 {checked['v3']}, webhooks: {checked['webhooks']}",
            holds=checked["sign in"] == checked["v2"] == "ok",
        )
        scopes = ["agreements:read", "agreements:write", "charges:read", "charges:write", "token:read"]
        options = [part for scope in scopes for part in ("--scope", scope)]
        made = json.loads(self.command("client", "create", "--shop", self.shop, "--json", *options))
        pair = f"{made['id']}:{made['secret']}".encode()
        self.machine = {"Authorization": "Basic " + base64.b64encode(pair).decode()}
        signed_in = self.graphql("query { authTest { ok environment apiVersion } }", {}, self.machine)
        self.check(
            f"Vipps knows the account ({signed_in['environment']}, API {signed_in['apiVersion']})",
            holds=signed_in["ok"],
        )

    def set_account(self, *more: str) -> None:
        self.command(
            *("account", "set", "--shop", self.shop, "--environment", "test", "--msn", DEFAULT_MERCHANT.msn),
            *("--client-id", DEFAULT_MERCHANT.client_id, "--agreement-url", "http://127.0.0.1/my-subscription", *more),
            VIPPS_CLIENT_SECRET=DEFAULT_MERCHANT.client_secret,
            VIPPS_SUBSCRIPTION_KEY=DEFAULT_MERCHANT.subscription_key,
        )

    def sign_up(self) -> str:
        customer = self.post(f"{self.saleor}/simulator/customers", {"email": "kari@example.com", "first_name": "Kari"})
        return str(customer["id"])

    def draft(self, customer: str, **more: Any) -> dict[str, Any]:
        values: dict[str, Any] = {
            "price": 24900,
            "productName": "Coffee every month",
            "interval": {"unit": "MONTH", "count": 1},
            "redirectUrl": "http://127.0.0.1/thanks",
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
        time.sleep(2)
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

    def reserve_capture_refund(self, customer: str) -> None:
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

    def collect(self, agreement: str, order: dict[str, Any]) -> None:
        self.step("Three days later", "The simulated Vipps moves its clock and collects what is due.")
        self.post(f"{self.vipps}/simulator/clock", {"advance_seconds": 3 * 86400})
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

    def stop(self, agreement: str) -> None:
        self.step("The agreement is stopped", "For good: nothing can be charged on it any more.")
        mutation = "mutation ($ids: [ID!]!) { agreementCancel(ids: $ids) { successes errors { message } } }"
        done = self.graphql(mutation, {"ids": [agreement]}, self.machine)
        self.check(f"{agreement} is stopped", holds=done["successes"] == [agreement])
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
        [compared] = json.loads(self.command("reconcile", "--json"))
        self.check(
            f"reconcile: {compared['agreements']} agreements and {compared['charges']} charges are as in our books",
            holds=compared["left"] == "0" and not compared["trouble"],
        )

    def explain(self, order: dict[str, Any]) -> None:
        self.step(
            "Why was I charged?", "One command tells the whole story of a charge, for whoever has to answer that."
        )
        moments = json.loads(self.command("explain", "--shop", self.shop, order["id"], "--json"))
        for it in moments:
            self.say(f"{it['at']}  {it['what']}: {it['text']}")
        self.check("from the order to the money", holds=any(it["what"] == "charge.status" for it in moments))
