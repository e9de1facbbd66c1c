"""A customer in a real browser: from the link to each change and back, on a telephone, without any script."""

import re

import pytest
from playwright.sync_api import Browser, Page, expect

from app.demo import Place
from tests.e2e.browsing import NARROW, window
from tests.e2e.selling import Shop, looked_at

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def shop(place: Place) -> Shop:
    return Shop(place)


def heading(page: Page, text: str) -> None:
    expect(page.locator("h1")).to_have_text(text)


def test_a_customer_changes_a_subscription_and_ends_it(browser: Browser, shop: Shop) -> None:
    link = shop.bought()
    with window(browser, viewport=NARROW) as it:
        page = it.page
        page.goto(link)
        heading(page, "Your subscription")
        expect(page.get_by_text("every month")).to_be_visible()
        expect(page.get_by_text("First payment")).to_be_visible()
        looked_at(it, "my")

        page.get_by_role("link", name="Skip the next payment").click()
        expect(page.get_by_text("is not collected, and nothing is delivered for it")).to_be_visible()
        looked_at(it, "my-skip")
        page.get_by_role("button", name="Skip it").click()
        expect(page.get_by_role("status")).to_have_text("The next payment is skipped.")
        expect(page.get_by_role("link", name="Skip the next payment")).to_have_count(0)

        page.get_by_role("link", name="Pause").click()
        heading(page, "Pause the subscription")
        looked_at(it, "my-pause-day")
        page.get_by_label("Day").press("Tab")
        page.get_by_role("button", name="Continue").click()
        expect(page.get_by_text("until you resume it on this page")).to_be_visible()
        looked_at(it, "my-pause")
        page.get_by_role("button", name="Pause it").click()
        expect(page.get_by_role("status")).to_have_text("The subscription is paused.")
        looked_at(it, "my-paused")

        page.go_back()  # to the button that was pressed
        expect(page.get_by_role("status")).to_contain_text("Nothing was done just now")
        looked_at(it, "my-stale")

        page.get_by_role("link", name="Resume").click()
        page.get_by_role("button", name="Resume it").click()
        expect(page.get_by_role("status")).to_have_text("The subscription goes on.")

        page.get_by_role("link", name="Cancel now").click()
        heading(page, "Cancel now")
        looked_at(it, "my-cancel")
        page.get_by_role("link", name="Back, change nothing").click()
        heading(page, "Your subscription")
        page.get_by_role("link", name="Cancel now").click()
        page.get_by_role("button", name="Cancel it now").dblclick()
        expect(page.get_by_text("Ended", exact=True)).to_be_visible()
        looked_at(it, "my-ended")
        page.reload()
        expect(page.get_by_text("Ended", exact=True)).to_be_visible()


def test_without_script_and_in_norwegian(browser: Browser, shop: Shop) -> None:
    link = shop.bought()
    with window(browser, locale="nb-NO", java_script_enabled=False) as it:
        page = it.page
        page.goto(link)
        heading(page, "Your subscription")  # as the shop has it for this customer
        page.get_by_role("link", name="Norsk").click()
        heading(page, "Abonnementet ditt")
        page.get_by_role("link", name="Si opp senere").click()
        page.get_by_role("button", name="Si opp ved periodens slutt").click()
        expect(page.get_by_role("status")).to_contain_text("sagt opp")
        page.set_viewport_size(NARROW)  # type: ignore[arg-type]
        it.picture("my-norwegian")


def test_by_keyboard_alone(browser: Browser, shop: Shop) -> None:
    with window(browser) as it:
        it.page.goto(shop.bought())
        it.page.get_by_role("link", name="Move the next payment").focus()
        it.page.keyboard.press("Enter")
        heading(it.page, "Move the next payment")
        last = it.page.locator("#day").get_attribute("max") or ""
        it.page.locator("#day").fill(last)
        it.page.keyboard.press("Enter")
        expect(it.page.get_by_text("are counted from there")).to_be_visible()
        it.page.get_by_role("button", name="Move it").press("Enter")
        expect(it.page.get_by_role("status")).to_have_text("The next payment is moved.")


def test_another_site_cannot_press_the_button(browser: Browser, place: Place, shop: Shop) -> None:
    link = shop.bought()
    with window(browser, 403) as it:
        page = it.page
        page.goto(f"{link}/cancel")
        seen = page.locator("input[name=seen]").get_attribute("value")
        page.goto(f"{place.vipps}/")
        page.set_content(
            f'<form method="post" action="{link}/cancel"><input name="seen" value="{seen}"><button>Win</button></form>'
        )
        page.get_by_role("button", name="Win").click()
        heading(page, "This did not come from this page")
        page.goto(link)
        expect(page.locator(".badge").first).to_have_text(re.compile("Active"))
