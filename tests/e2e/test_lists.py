"""A merchant's morning in a real browser: last month's failed charges, a new try, a part given back, and why."""

import re
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, FrameLocator, expect

from app.demo import Place, command, processes
from app.vipps.simulator import DEFAULT_MERCHANT
from tests.e2e.browsing import Window, window
from tests.e2e.machines import wait_for
from tests.e2e.selling import looked_at as customer_look
from tests.e2e.test_dashboard import Shop, fill, looked_at, opened

pytestmark = pytest.mark.e2e
_AHEAD = 40  # days: a month is planned ahead, because the app's own clock cannot be moved


@dataclass
class Scene:
    """Three people have subscribed. In the month that has passed one of them paid, and the others' charges failed."""

    place: Place
    app_id: str
    paid: str
    failed: str
    failed_too: str


def buy(shop: Shop, email: str, variant: str) -> str:
    """The id of the agreement."""
    customer = shop.post("/customers", email=email, first_name=email.partition("@")[0].title())
    checkout = shop.post("/checkouts", customer=customer["id"], lines=[{"variant": variant}])
    begun = shop.post("/transactions", source=checkout["id"], data={"returnUrl": "http://127.0.0.1/thanks"})
    httpx.post(begun["data"]["confirmationUrl"], data={"decision": "approve"}, timeout=30)
    shop.post(f"/transactions/{begun['transaction']['id']}/process")
    shop.post(f"/checkouts/{checkout['id']}/complete")
    return str(begun["data"]["agreementId"])


def account(place: Place, lead_days: int) -> None:
    command(
        place,
        *("account", "set", "--shop", place.shop, "--environment", "test", "--msn", DEFAULT_MERCHANT.msn),
        *("--client-id", DEFAULT_MERCHANT.client_id, "--agreement-url", "http://127.0.0.1/my-subscription"),
        *("--lead-days", str(lead_days), "--retry-days", "0", "--dunning-retry", "85"),
        *("--notify-url", f"{place.saleor}/e-mail-app"),
        VIPPS_CLIENT_SECRET=DEFAULT_MERCHANT.client_secret,
        VIPPS_SUBSCRIPTION_KEY=DEFAULT_MERCHANT.subscription_key,
        NOTIFY_SECRET="the e-mail app's own secret, long enough",
    )
    command(place, "account", "check")


def rows(place: Place, query: str, *values: Any) -> list[tuple[Any, ...]]:
    """Straight from the app's own file."""
    [path] = Path(place.environment["DATA_DIR"]).glob("*.sqlite3")
    with sqlite3.connect(path, timeout=30) as connection:
        return connection.execute(query, values).fetchall()


def let_a_month_pass(place: Place) -> None:
    """At Vipps by its clock. In our books the due days are moved back, because the app lives in the present."""
    httpx.post(f"{place.vipps}/simulator/clock", json={"advance_seconds": (_AHEAD + 1) * 86_400}, timeout=60)
    ends = "SELECT status FROM charge WHERE origin = 'RENEWAL' AND status IN ('CHARGED', 'FAILED')"
    wait_for("the charges to end", lambda: len(rows(place, ends)) == 3)
    wait_for("the periods to wait", lambda: len(rows(place, "SELECT id FROM renewal WHERE status = 'WAITING'")) == 2)
    today = datetime.now(UTC).date()
    last_month = today.replace(day=1) - timedelta(days=12)
    for table in ("charge", "renewal"):
        rows(place, f"UPDATE {table} SET due = ? WHERE due > ?", last_month.isoformat(), today.isoformat())  # noqa: S608
    account(place, 2 * _AHEAD)  # past the day that it is at Vipps


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    with processes() as place:
        shop = Shop(place)
        app_id = shop.install()
        account(place, _AHEAD)
        product = shop.post("/products", name="Coffee box", price=199, metadata={"vipps-recurring.interval": "MONTH:1"})
        shop.post("/shipping-methods", name="Posten", price=49)
        variant = product["variants"][0]["id"]
        paid, *failing = (buy(shop, f"{name}@example.com", variant) for name in ("ida", "ola", "eva"))
        wait_for("all subscriptions", lambda: len(rows(place, "SELECT id FROM subscription")) == 3)
        failure = {"reason": "user_action_required"}
        for it in failing:
            httpx.post(f"{place.vipps}/simulator/agreements/{it}/failure", json=failure, timeout=30).raise_for_status()
        command(place, "renewals", "run", "--json")
        made = "SELECT id FROM charge WHERE origin = 'RENEWAL' AND charge_id IS NOT NULL"
        wait_for("all charges", lambda: len(rows(place, made)) == 3)
        let_a_month_pass(place)
        yield Scene(place, app_id, paid, *failing)


def the_customer_looks(browser: Browser, pay_link: str) -> None:
    with window(browser, locale="en-GB") as theirs:
        theirs.page.goto(pay_link)
        expect(theirs.page.get_by_role("button")).to_be_visible()
        customer_look(theirs, "pay")


def heading(frame: FrameLocator, text: str) -> None:
    expect(frame.locator("h1")).to_contain_text(text)


def test_a_morning_with_last_months_charges(browser: Browser, scene: Scene) -> None:
    with window(browser, reduced_motion="reduce") as it:
        frame = opened(it, scene.place, scene.app_id)
        frame.get_by_role("link", name="Charges", exact=True).click()
        heading(frame, "Charges")
        expect(frame.locator(".list tbody tr")).to_have_count(6)
        looked_at(it, "charges")
        frame.get_by_role("link", name="Failed last month").click()
        expect(frame.locator(".list tbody tr")).to_have_count(2)
        expect(it.page).to_have_url(re.compile("status=failed"))
        with it.page.expect_download() as saved:
            frame.get_by_role("link", name="Export as CSV").click()
        assert saved.value.suggested_filename == "charges.csv"
        assert saved.value.path().read_text("utf-8-sig").count(scene.failed) == 1
        looked_at(it, "charges-failed")

        it.page.reload()
        expect(frame.locator(".list tbody tr")).to_have_count(2)
        frame.locator(".list tbody tr", has_text=scene.failed).locator("th a").click()
        expect(frame.get_by_text("This charge failed")).to_be_visible()
        looked_at(it, "charge-failed")
        frame.get_by_role("button", name="Copy").click()
        expect(frame.get_by_role("button", name="Copied")).to_be_visible()
        the_customer_looks(browser, frame.locator("input[readonly]").first.input_value())
        frame.get_by_role("link", name="Charge again").click()
        heading(frame, "Charge this period again")
        looked_at(it, "charge-retry")
        frame.get_by_role("button", name="Charge again").click()
        expect(frame.get_by_text("It is being charged again")).to_be_visible()
        again = "SELECT id FROM charge WHERE agreement_id = ? AND origin = 'RENEWAL' AND charge_id IS NOT NULL"
        wait_for("the new charge", lambda: len(rows(scene.place, again, scene.failed)) == 2)
        frame.get_by_role("link", name=scene.failed).first.click()
        expect(frame.get_by_text("Period 1, due")).to_be_visible()
        expect(frame.locator("section").get_by_text("Announced")).to_be_visible()
        looked_at(it, "agreement")
        send_the_link(it, frame)

        retry_the_rest(it, frame, scene)
        refund_a_part(it, frame, scene)


def send_the_link(it: Window, frame: FrameLocator) -> None:
    frame.get_by_role("link", name="Send the link again").click()
    heading(frame, "Send the customer's link again")
    looked_at(it, "link")
    frame.get_by_role("button", name="Send it").dblclick()
    expect(frame.get_by_text("told to send the link now")).to_be_visible()


def retry_the_rest(it: Window, frame: FrameLocator, scene: Scene) -> None:
    """All of last month's: what is charged again already is left out, and a double click is one press."""
    frame.get_by_role("link", name="Charges", exact=True).click()
    frame.get_by_role("link", name="Failed last month").click()
    expect(frame.locator(".list tbody tr")).to_have_count(2)
    frame.get_by_role("checkbox", name="Choose all").check()
    frame.get_by_role("button", name="Charge again").click()
    heading(frame, "Charge one period again")
    expect(frame.get_by_text("The period was charged again already (1)")).to_be_visible()
    looked_at(it, "bulk-retry")
    frame.get_by_role("button", name="Charge again").dblclick()
    expect(frame.get_by_text("1 of 1 are done.")).to_be_visible()
    looked_at(it, "bulk-retried")
    again = "SELECT id FROM charge WHERE agreement_id = ? AND origin = 'RENEWAL' AND charge_id IS NOT NULL"
    wait_for("the new charge", lambda: len(rows(scene.place, again, scene.failed_too)) == 2)


def refund_a_part(it: Window, frame: FrameLocator, scene: Scene) -> None:
    """Typed as in another language first; then exactly, and sent twice."""
    frame.get_by_role("link", name="Charges", exact=True).click()
    fill(frame, q=scene.paid)
    frame.get_by_role("button", name="Search").click()
    expect(frame.locator(".list tbody tr")).to_have_count(2)
    frame.locator(".list tbody th a").first.click()
    frame.get_by_role("link", name="Refund").click()
    fill(frame, amount="fifty", description="Broken cup")
    frame.get_by_role("button", name="Refund").click()
    expect(frame.locator("#amount-wrong")).to_be_visible()
    expect(frame.locator("#amount")).to_be_focused()
    looked_at(it, "refund-wrong")
    fill(frame, amount="49,50")
    frame.get_by_role("button", name="Refund").dblclick()
    expect(frame.get_by_text("Partly refunded")).to_be_visible()
    expect(frame.get_by_text("Why this was charged")).to_be_visible()
    expect(frame.locator(".timeline").get_by_text("Refunded", exact=True)).to_be_visible()
    looked_at(it, "charge-refunded")
    ledger = httpx.get(f"{scene.place.vipps}/simulator/ledger").json()
    assert [entry["amount"] for entry in ledger if entry["effect"] == "refund"] == [4_950]


def test_a_customer_on_the_telephone(browser: Browser, scene: Scene) -> None:
    """Found by e-mail, which no address shows; told why; and what there is to see when the shop is silent."""
    with window(browser, reduced_motion="reduce") as it:
        frame = opened(it, scene.place, scene.app_id, "/agreements")
        fill(frame, q="ida@example.com")
        frame.get_by_role("button", name="Search").click()
        expect(frame.locator(".list tbody tr")).to_have_count(1)
        expect(frame.locator(".list")).to_contain_text("Ida")
        assert "ida" not in it.page.url
        assert "ida" not in it.page.frames[1].url
        looked_at(it, "agreements-found")
        frame.locator(".list tbody th a").click()
        expect(frame.get_by_role("link", name="Ida")).to_be_visible()
        expect(frame.get_by_text("First order")).to_be_visible()
        looked_at(it, "agreement-of-somebody")
        frame.locator(".timeline a[href*='/charges/']").first.click()
        expect(frame.get_by_text("was collected for Coffee box, for the period")).to_be_visible()
        looked_at(it, "charge-told")
        Shop(scene.place).post("/away", seconds=600, status=503)
        frame.get_by_role("link", name="Charges", exact=True).click()
        expect(frame.get_by_text("names and some order numbers are missing")).to_be_visible()
        looked_at(it, "charges-unnamed")
        fill(frame, q="ida@example.com")
        frame.get_by_role("button", name="Search").click()
        expect(frame.get_by_text("Saleor did not answer, and only it knows customers")).to_be_visible()
        expect(frame.locator(".list")).to_have_count(0)
        looked_at(it, "charges-unanswered")
        Shop(scene.place).post("/back")


def test_the_other_pages_read_well(browser: Browser, scene: Scene) -> None:
    with window(browser, reduced_motion="reduce") as it:
        frame = opened(it, scene.place, scene.app_id, "/agreements")
        looked_at(it, "agreements")
        frame.locator(".list tbody th a").first.click()
        frame.get_by_role("link", name="Pause", exact=True).first.click()
        heading(frame, "Pause the subscription")
        looked_at(it, "pause")
        frame.locator("nav a[href$='/agreements']").first.click()
        frame.get_by_role("checkbox", name="Choose all").check()
        frame.get_by_role("button", name="Pause", exact=True).click()
        heading(frame, "Pause 3 subscriptions")
        looked_at(it, "bulk-pause")
        frame.get_by_role("button", name="Pause", exact=True).click()
        expect(frame.get_by_text("3 of 3 are done.")).to_be_visible()
        looked_at(it, "bulk-done")
        frame.get_by_role("link", name="Failures").click()
        heading(frame, "Failures")
        looked_at(it, "failures")
        frame.get_by_role("link", name="Audit").click()
        heading(frame, "Audit")
        looked_at(it, "audit")
        it.page.locator("#locale").select_option("nb")
        frame.locator("nav a[href$='/charges']", has_text="Belastninger").click()
        heading(frame, "Belastninger")
        looked_at(it, "charges-norwegian")
