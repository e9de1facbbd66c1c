"""What a story's window notices by itself: each of these pages would pass if nobody looked."""

import pytest
from playwright.sync_api import Browser, Error

from tests.e2e.browsing import window

pytestmark = pytest.mark.e2e
ADDRESS = "http://127.0.0.1/thing"


def test_a_page_that_asks_another_host_fails_its_story(browser: Browser) -> None:
    with pytest.raises(AssertionError, match=r"http://shop\.example/logo\.png"), window(browser) as it:  # noqa: PT012
        it.page.set_content('<img src="data:image/gif;base64,R0lGODlhAQABAAAAACw=" alt="">')
        assert it.complaints == []
        it.page.set_content('<img src="http://shop.example/logo.png" alt="">')


@pytest.mark.parametrize("host", ["shop.example", "192.0.2.1"])
def test_the_browser_finds_no_host_but_its_own(browser: Browser, host: str) -> None:
    context = browser.new_context()
    with pytest.raises(Error, match="ERR_NAME_NOT_RESOLVED"):
        context.new_page().goto(f"http://{host}/")
    context.close()


@pytest.mark.parametrize(
    ("element", "status"),
    [("<iframe src=URL></iframe>", 500), ("<iframe src=URL></iframe>", 404), ("<script src=URL></script>", 409)],
)
def test_an_answer_that_nobody_foresaw_fails_its_story(browser: Browser, element: str, status: int) -> None:
    with pytest.raises(AssertionError, match=f"{status} for GET {ADDRESS}"), window(browser) as it:  # noqa: PT012
        it.page.route(ADDRESS, lambda route: route.fulfill(status=status, body=""))
        it.page.set_content(element.replace("URL", ADDRESS))


@pytest.mark.parametrize("status", [409, 422, 503])
def test_a_form_may_be_refused_and_a_story_may_mean_more(browser: Browser, status: int) -> None:
    with window(browser, 503) as it:
        it.page.route(ADDRESS, lambda route: route.fulfill(status=status, body=""))
        it.page.set_content(f"<iframe src={ADDRESS}></iframe>")


def test_what_belongs_to_a_page_has_to_come(browser: Browser) -> None:
    with pytest.raises(AssertionError, match=f"ERR_FAILED for {ADDRESS}"), window(browser) as it:  # noqa: PT012
        it.page.route(ADDRESS, lambda route: route.abort())
        it.page.set_content(f"<img src={ADDRESS} alt=>")
