"""The example storefront sells a subscription in a real browser: through Saleor, Vipps, our page between, and back."""

import re

import pytest
from playwright.sync_api import Browser, expect

from app.demo import Place
from app.web.links import Links
from tests.e2e.browsing import window
from tests.e2e.selling import Shop, looked_at, to_vipps

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def shop(place: Place) -> Shop:
    return Shop(place)


def test_a_guest_buys_it_and_is_thanked(browser: Browser, shop: Shop, storefront: str) -> None:
    assert shop.variant
    with window(browser, locale="en-GB") as it:
        it.page.goto(storefront)
        expect(it.page.get_by_label("Coffee box, every month")).to_be_checked()
        looked_at(it, "storefront")
        to_vipps(it.page, storefront)
        it.page.locator("button[value=approve]").click()
        expect(it.page.locator("#order")).to_contain_text("Your order has the number", timeout=30_000)
        expect(it.page).to_have_url(storefront)
        expect(it.page.locator("#manage")).to_be_hidden()
        looked_at(it, "storefront-thanks")


def test_a_customer_is_led_to_their_page(browser: Browser, shop: Shop, storefront: str) -> None:
    with window(browser, locale="en-GB") as it:
        it.page.goto(storefront)
        it.page.evaluate("(token) => sessionStorage.setItem('token', token)", shop.token())
        to_vipps(it.page, storefront)
        it.page.locator("button[value=approve]").click()
        expect(it.page.locator("#next")).to_contain_text("The next payment is on", timeout=40_000)
        it.page.get_by_role("link", name="Manage your subscription").click()
        expect(it.page.locator("h1")).to_have_text("Your subscription")


def test_whoever_says_no_is_told_so_and_may_try_again(browser: Browser, shop: Shop, storefront: str) -> None:
    assert shop.variant
    with window(browser, locale="en-GB") as it:
        to_vipps(it.page, storefront)
        it.page.locator("button[value=reject]").click()
        expect(it.page.locator("h1")).to_have_text("You said no", timeout=30_000)
        looked_at(it, "back-rejected")
        it.page.get_by_role("link", name="On to 127.0.0.1").click()
        expect(it.page.get_by_role("alert")).not_to_be_empty()
        it.page.get_by_role("button", name="Pay with Vipps MobilePay").click()
        it.page.locator("button[value=approve]").click()
        expect(it.page.locator("#order")).to_contain_text("Your order has the number", timeout=30_000)


def test_waiting_looks_like_waiting(browser: Browser, place: Place, shop: Shop) -> None:
    row_id = str(shop.manage_url(shop.begun()["data"]["agreementId"])).rpartition("/")[2].partition(".")[0]
    address = Links(place.environment["SECRET_KEY"].split(","), place.app).back(row_id)
    with window(browser, locale="en-GB") as it:
        it.page.goto(address)
        expect(it.page.locator("h1")).to_have_text("One moment")
        expect(it.page).to_have_url(re.compile(r"look=1"), timeout=10_000)  # by itself, without a script
        it.page.goto(f"{address}?look=15")
        expect(it.page.locator("h1")).to_have_text("It takes longer than usual")
        looked_at(it, "back-slow")
