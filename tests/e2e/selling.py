"""A shop that sells a subscription, with real processes behind it: an account without a page of its own, and buyers."""

from typing import Any

import httpx
from playwright.sync_api import Page, expect

from app.demo import Place, command
from app.vipps.simulator import DEFAULT_MERCHANT
from tests.e2e.browsing import NARROW, WIDE, Window, barriers, overflow
from tests.e2e.machines import wait_for

SECRETS = {
    "VIPPS_CLIENT_SECRET": DEFAULT_MERCHANT.client_secret,
    "VIPPS_SUBSCRIPTION_KEY": DEFAULT_MERCHANT.subscription_key,
}

PERSON = {
    "email": "guest@example.com",
    "firstName": "Ola",
    "lastName": "Nordmann",
    "streetAddress1": "Karl Johans gate 1",
    "postalCode": "0154",
    "city": "Oslo",
}


class Shop:
    """A shop with a product on sale, an account without a page of its own, and a customer who subscribes."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.post("/install", manifest_url=f"{place.app}/api/manifest")
        account = ("account", "set", "--shop", place.shop, "--environment", "test", "--msn", DEFAULT_MERCHANT.msn)
        command(place, *account, "--client-id", DEFAULT_MERCHANT.client_id, **SECRETS)
        command(place, "account", "check")
        mark = {"vipps-recurring.interval": "MONTH:1"}
        product = self.post("/products", name="Coffee box", price=199, metadata=mark, stock=1000)
        self.variant = product["variants"][0]["id"]
        self.post("/shipping-methods", name="Posten", price=49)
        self.customer = self.post("/customers", email="ida@example.com", first_name="Ida")["id"]

    def post(self, path: str, **body: Any) -> Any:
        answer = httpx.post(f"{self.place.saleor}/simulator{path}", json=body, timeout=30)
        assert answer.is_success, answer.text
        return answer.json()

    def begun(self) -> Any:
        """A payment that waits for its customer."""
        checkout = self.post("/checkouts", customer=self.customer, lines=[{"variant": self.variant}])
        return self.post("/transactions", source=checkout["id"], data={"returnUrl": "http://127.0.0.1/thanks"}) | {
            "checkout": checkout["id"]
        }

    def bought(self) -> str:
        """The link of a subscription that was bought and paid just now."""
        begun = self.begun()
        agreement = begun["data"]["agreementId"]
        httpx.post(begun["data"]["confirmationUrl"], data={"decision": "approve"}, timeout=30)
        self.post(f"/transactions/{begun['transaction']['id']}/process")
        self.post(f"/checkouts/{begun['checkout']}/complete")
        return str(wait_for("the subscription", lambda: self.manage_url(agreement, started=True)))

    def token(self) -> str:
        """The customer's, as from Saleor's tokenCreate."""
        return str(self.post("/tokens", kind="customer", user=self.customer)["token"])

    def manage_url(self, agreement: str, *, started: bool = False) -> str | None:
        """The link, when the subscription stands if that is asked for."""
        query = "query ($id: ID!) { agreement(id: $id) { manageUrl subscription { status } } }"
        answer = httpx.post(
            f"{self.place.app}/graphql",
            json={"query": query, "variables": {"id": agreement}},
            headers={"Authorization": f"Bearer {self.token()}"},
            timeout=30,
        )
        found = answer.json()["data"]["agreement"]
        return str(found["manageUrl"]) if found["subscription"] or not started else None


def looked_at(it: Window, name: str) -> None:
    """No barrier for anybody, by day and by night, on a telephone and on a desk; a picture of each."""
    usual = it.page.viewport_size
    for size, view in (("wide", WIDE), ("narrow", NARROW)):
        it.page.set_viewport_size(view)  # type: ignore[arg-type]
        for theme in ("dark", "light"):
            # Without motion, because a colour half-way to another has any contrast.
            it.page.emulate_media(color_scheme=theme, reduced_motion="reduce")
            assert barriers(it.page) == [], (name, theme)
            it.picture(f"{name}-{size}-{theme}")
        assert overflow(it.page) <= 0, name
    it.page.set_viewport_size(usual)  # type: ignore[arg-type]


def to_vipps(page: Page, storefront: str) -> None:
    """From the choice to Vipps' own page."""
    page.goto(storefront)
    page.get_by_label("Coffee box, every month").check()
    for name, value in PERSON.items():
        page.locator(f"[name={name}]").fill(value)
    page.get_by_role("button", name="To the payment").click()
    expect(page.locator("#total")).to_contain_text("248.00")
    page.get_by_role("button", name="Pay with Vipps MobilePay").dblclick()
    expect(page.locator("button[value=approve]")).to_be_visible()
