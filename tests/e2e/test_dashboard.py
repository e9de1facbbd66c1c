"""The app inside a Dashboard, in a real browser: set up from nothing, by mouse and keyboard, in words and pictures."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
from playwright.sync_api import Browser, FrameLocator, Page, expect

from app.demo import Place
from app.vipps.simulator import DEFAULT_MERCHANT
from tests.e2e.browsing import NARROW, Window, barriers, overflow, window
from tests.e2e.selling import to_vipps

pytestmark = pytest.mark.e2e
APP_FRAME = "iframe"
SANDBOX = "allow-same-origin allow-forms allow-scripts allow-downloads allow-popups"  # facts: SALEOR 8.1


class Shop:
    """The simulated shop's controls."""

    def __init__(self, place: Place) -> None:
        self.place = place

    def post(self, path: str, **body: Any) -> Any:
        answer = httpx.post(f"{self.place.saleor}/simulator{path}", json=body, timeout=30)
        assert answer.is_success, answer.text
        return answer.json()

    def install(self) -> str:
        installed = self.post("/install", manifest_url=f"{self.place.app}/api/manifest")
        return str(installed["id"])


@pytest.fixture(scope="module")
def app_id(place: Place) -> str:
    return Shop(place).install()


def opened(opened_window: Window, place: Place, app_id: str, path: str = "") -> FrameLocator:
    """The app's frame in the Dashboard, when its first fragment is there."""
    page = opened_window.page
    page.goto(f"{place.saleor}/dashboard/extensions/app/{app_id}{path}")
    frame = page.frame_locator(APP_FRAME)
    expect(frame.locator("h1")).to_be_visible()
    return frame


def looked_at(opened_window: Window, name: str) -> None:
    """No barrier for anybody, in both themes, and readable on a telephone; a picture of each."""
    page = opened_window.page
    for theme in ("dark", "light"):
        page.locator("#theme").select_option(theme)
        inner = page.frames[1]
        inner.wait_for_function("(theme) => document.documentElement.dataset.theme === theme", arg=theme)
        assert barriers(inner) == [], (name, theme)
        stretched(page)
        opened_window.picture(f"{name}-{theme}")
    usual = page.viewport_size
    page.set_viewport_size(NARROW)  # type: ignore[arg-type]
    stretched(page)
    assert overflow(page.frames[1]) <= 0, name
    opened_window.picture(f"{name}-narrow")
    page.set_viewport_size(usual)  # type: ignore[arg-type]


def stretched(page: Page) -> None:
    """The frame as high as what is in it, so that a picture shows all of it."""
    height = page.frames[1].evaluate("document.body.scrollHeight")
    page.evaluate("(height) => { document.querySelector('iframe').style.height = `${height}px` }", height)


def fill(frame: FrameLocator, **values: str) -> None:
    for name, value in values.items():
        frame.locator(f"#{name}").fill(value)


def test_from_nothing_to_the_first_charge(browser: Browser, place: Place, app_id: str, storefront: str) -> None:
    shop = Shop(place)
    shop.post("/products", name="Coffee box", price=199)
    shop.post("/shipping-methods", name="Posten", price=49)
    with window(browser) as it:
        frame = opened(it, place, app_id)
        expect(frame.locator("h1")).to_have_text("Get started")
        looked_at(it, "start-empty")
        enter_the_keys(it, frame)
        frame.get_by_role("link", name="Vipps accounts").first.click()
        expect(frame.locator("section.card")).to_have_count(1)
        looked_at(it, "accounts")

        frame.get_by_role("link", name="Start").click()
        expect(frame.locator("[aria-current=step] h2")).to_contain_text("Mark a product")
        looked_at(it, "start-halfway")
        mark_the_product(it, frame)
        expect(frame.locator("[aria-current=step] h2")).to_contain_text("Welcome your first subscriber")
        looked_at(it, "start-product")
        somebody_subscribes(browser, storefront)
        frame.get_by_role("link", name="Look again").click()
        expect(frame.get_by_text("Everything is in place")).to_be_visible()
        looked_at(it, "start-complete")

        frame.get_by_role("link", name="Charges", exact=True).click()
        expect(frame.locator("h1")).to_have_text("Charges")
        expect(frame.locator(".list tbody tr")).to_have_count(1)
        expect(frame.locator(".list tbody tr")).to_contain_text("Coffee box")
        expect(frame.locator(".list tbody .badge")).to_have_text("Charged")
        looked_at(it, "charges-first")


def enter_the_keys(it: Window, frame: FrameLocator) -> None:
    """Wrong ones first, and each is told of where it stands."""
    frame.get_by_role("link", name="Enter the keys").click()
    expect(frame.locator("h1")).to_have_text("New Vipps account")
    expect(it.page).to_have_url(re.compile("/accounts/new$"))
    looked_at(it, "account-new")

    fill(frame, msn="12-34", client_id=DEFAULT_MERCHANT.client_id)
    fill(frame, client_secret=DEFAULT_MERCHANT.client_secret)
    frame.get_by_text("More settings").click()
    fill(frame, retry_days="20")
    frame.get_by_role("button", name="Save and test").click()
    expect(frame.locator("#msn-wrong")).to_be_visible()
    expect(frame.locator("#msn")).to_be_focused()
    expect(frame.locator("#msn")).to_have_value("12-34")
    expect(frame.locator("#client_secret")).to_have_value("")
    looked_at(it, "account-wrong")

    fill(frame, msn=DEFAULT_MERCHANT.msn, retry_days="5", subscription_key="not-the-right-one")
    fill(frame, agreement_url="https://shop.example/my-subscription")
    fill(frame, client_secret=DEFAULT_MERCHANT.client_secret)
    frame.get_by_role("button", name="Save").click()
    expect(frame.get_by_text("Saved, but the connection does not work yet.")).to_be_visible()
    expect(frame.get_by_text("Vipps does not accept the subscription key.")).to_be_visible()
    looked_at(it, "account-broken")

    fill(frame, subscription_key=DEFAULT_MERCHANT.subscription_key)
    frame.get_by_role("button", name="Save").dblclick()
    expect(frame.get_by_text("Saved. The connection works.")).to_be_visible()
    frame.get_by_role("button", name="Test connection").click()
    expect(frame.get_by_text("The connection works.", exact=True)).to_be_visible()
    it.page.wait_for_function("bridge.toasts.at(-1)?.status === 'success'")
    looked_at(it, "account-works")


def mark_the_product(it: Window, frame: FrameLocator) -> None:
    """As the checklist says, on the Dashboard's own page; then back to the app by the Dashboard's menu."""
    frame.get_by_role("link", name="Open the products").click()
    expect(it.page.get_by_role("heading", name="Products")).to_be_visible()
    it.page.get_by_role("link", name="Coffee box").click()
    expect(it.page.get_by_role("heading", name="Coffee box")).to_be_visible()
    it.page.get_by_label("Key").fill("vipps-recurring.interval")
    it.page.get_by_label("Value").fill("MONTH:1")
    it.page.get_by_role("button", name="Save").click()
    expect(it.page.get_by_text("vipps-recurring.interval = MONTH:1")).to_be_visible()
    it.page.get_by_role("link", name="Vipps").click()
    expect(frame.locator("h1")).to_have_text("Get started")


def somebody_subscribes(browser: Browser, storefront: str) -> None:
    with window(browser, locale="en-GB") as theirs:
        to_vipps(theirs.page, storefront)
        theirs.page.locator("button[value=approve]").click()
        expect(theirs.page.locator("#order")).to_contain_text("Your order has the number", timeout=30_000)


def test_a_token_that_ran_out_is_replaced_and_nothing_is_lost(browser: Browser, place: Place, app_id: str) -> None:
    with window(browser, 401) as it:
        frame = opened(it, place, app_id, "/accounts/new")
        fill(frame, msn="12-34")
        inside = it.page.frames[1]
        it.page.evaluate(
            """() => bridge.frame.contentWindow.postMessage(
                 { type: "tokenRefresh", payload: { token: "stale" } }, new URL(bridge.app.url).origin)"""
        )
        inside.wait_for_timeout(100)
        frame.get_by_role("button", name="Save").click()
        expect(frame.locator("#msn-wrong")).to_be_visible()
        expect(frame.locator("#msn")).to_have_value("12-34")
        it.page.wait_for_function("bridge.heard.slice(1).some((message) => message.type === 'notifyReady')")


def test_a_session_that_ends_in_the_middle_of_a_form_loses_nothing(browser: Browser, place: Place, app_id: str) -> None:
    """The Dashboard has no good token either, until somebody has signed in again."""
    with window(browser, 401) as it:
        frame = opened(it, place, app_id, "/clients/new")
        fill(frame, name="Till in the shop")
        frame.locator("#scope").check()
        it.page.route("**/dashboard/token", lambda route: route.fulfill(json={"token": "stale", "seconds": 300}))
        it.page.locator("#refresh").click()
        it.page.wait_for_function("bridge.token === 'stale'")
        frame.locator("main form [type=submit]").click()
        expect(frame.locator("form [data-refused]")).to_be_focused()
        expect(frame.locator("form [data-refused]")).to_contain_text("session")
        expect(frame.locator("#name")).to_have_value("Till in the shop")
        expect(frame.locator("#scope")).to_be_checked()
        looked_at(it, "session-ended-in-its-form")
        it.page.unroute("**/dashboard/token")
        frame.locator("main form [type=submit]").click()
        expect(frame.locator("h1")).not_to_have_text("New API client")
        expect(frame.get_by_text("Till in the shop").first).to_be_visible()


def test_a_form_that_is_refused_stays_with_what_was_typed(browser: Browser, place: Place, app_id: str) -> None:
    with window(browser, 400) as it:
        frame = opened(it, place, app_id, "/clients/new")
        fill(frame, name="Warehouse")
        it.page.frames[1].evaluate("document.querySelector('main [name=key]').value = ''")
        for _ in range(2):
            frame.locator("main form [type=submit]").click()
            expect(frame.locator("form [data-refused]")).to_have_count(1)
            expect(frame.locator("form [data-refused]")).to_be_focused()
            expect(frame.get_by_text("Nothing that you typed is lost.")).to_be_visible()
            expect(frame.locator("#name")).to_have_value("Warehouse")
        looked_at(it, "refused-in-its-form")


def test_the_simulated_dashboard_says_what_a_real_one_does(
    browser: Browser, place: Place, app_id: str, shared_data: Callable[[str], Path]
) -> None:
    recorded = json.loads(shared_data("saleor/recorded/app-bridge-messages.json").read_text())
    shapes = {it["data"]["type"]: set(it["data"]["payload"]) for it in recorded if it["kind"] == "postMessage"}
    with window(browser) as it:
        frame = opened(it, place, app_id)
        frame.get_by_role("link", name="Vipps accounts").first.click()
        it.page.locator("#refresh").click()
        kinds = json.dumps(list(shapes))
        it.page.wait_for_function(f"{kinds}.every((kind) => bridge.sent.some((message) => message.type === kind))")
        sent = it.page.evaluate("bridge.sent")
        assert {message["type"]: set(message["payload"]) for message in sent} == shapes
        real = next(it["href"] for it in recorded if it["kind"] == "page-load")
        ours = it.page.locator(APP_FRAME).get_attribute("src")
        assert list(dict(parse_qsl(urlsplit(str(ours)).query))) == list(dict(parse_qsl(urlsplit(real).query)))
        assert it.page.locator(APP_FRAME).get_attribute("sandbox") == SANDBOX


def test_only_the_dashboard_is_listened_to(browser: Browser, place: Place, app_id: str) -> None:
    with window(browser) as it:
        frame = opened(it, place, app_id)
        inside = it.page.frames[1]
        inside.evaluate("postMessage({ type: 'theme', payload: { theme: 'dark' } }, '*')")
        inside.wait_for_timeout(200)
        assert inside.evaluate("document.documentElement.dataset.theme") == "light"
        expect(frame.locator("h1")).to_be_visible()


@pytest.mark.usefixtures("app_id")
def test_no_other_page_may_frame_it(browser: Browser, place: Place) -> None:
    address = f"{place.app}/app?saleorApiUrl={place.shop}"
    with window(browser) as it:
        it.page.goto(f"{place.vipps}/")
        with it.page.expect_console_message(lambda it: f"frame-ancestors {place.saleor}" in it.text) as refused:
            it.page.set_content(f'<iframe src="{address}"></iframe>')
        assert it.page.frames[1].url.startswith("chrome-error")
        assert it.complaints == [refused.value.text]
        it.complaints.clear()


def test_it_speaks_norwegian_and_follows_the_dashboards_language(browser: Browser, place: Place, app_id: str) -> None:
    with window(browser, locale="nb-NO") as it:
        frame = opened(it, place, app_id, "/start")
        expect(frame.locator("h1")).to_have_text("Get started")  # as the Dashboard says, whatever the browser wants
        expect(frame.locator("html")).to_have_attribute("lang", "en")
        expect(frame.get_by_role("link", name="Vipps accounts").first).to_be_visible()
        it.page.locator("#locale").select_option("nb")
        expect(frame.locator("h1")).to_have_text("Kom i gang")
        expect(frame.locator("html")).to_have_attribute("lang", "nb")
        expect(frame.get_by_role("link", name="Vipps-kontoer").first).to_be_visible()
        looked_at(it, "start-norwegian")


def test_by_keyboard_alone(browser: Browser, place: Place, app_id: str) -> None:
    with window(browser) as it:
        frame = opened(it, place, app_id)
        frame.get_by_role("link", name="Overview").press("Shift+Tab")
        expect(frame.locator(".skip")).to_be_focused()
        frame.locator(".skip").press("Enter")
        expect(frame.locator("#content")).to_be_focused()
        frame.get_by_role("link", name="Vipps accounts").first.press("Enter")
        expect(frame.locator("h1")).to_have_text("Vipps accounts")
        expect(frame.locator("h1")).to_be_focused()


@pytest.mark.parametrize(
    ("staff", "says", "refusals"),
    [("orders-only@example.com", "Get started", ()), ("nobody@example.com", "may not", (403,))],
)
def test_staff_with_less_rights(
    browser: Browser, place: Place, app_id: str, staff: str, says: str, refusals: tuple[int, ...]
) -> None:
    with window(browser, *refusals) as it:
        frame = opened(it, place, app_id, "/start")
        it.page.locator("#staff").select_option(staff)
        expect(frame.locator("h1")).to_contain_text(says)
        looked_at(it, re.sub(r"@.*", "", staff))


def test_the_app_by_its_own_address_says_where_it_lives(browser: Browser, place: Place) -> None:
    with window(browser, 404, viewport=NARROW) as it:
        it.page.goto(f"{place.app}/app")
        expect(it.page.locator("h1")).to_have_text("Open this app in the Saleor Dashboard")
        assert barriers(it.page) == []
        it.picture("outside")
