"""A real browser before the real pages: Chromium, what it complains about, what shuts people out, and pictures."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Frame,
    Page,
    Request,
    Response,
    expect,
    sync_playwright,
)

PROJECT = Path(__file__).parents[2]
PICTURES = Path(os.environ.get("SCREENSHOTS", PROJECT / "screenshots"))
_NAMES = ("chromium", "chromium-browser", "google-chrome")
WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 380, "height": 800}
_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
FORMS = frozenset({409, 422})  # what was overtaken, and what was typed wrong
_ASKED = {"document", "fetch", "xhr"}  # the other types are what such a page consists of
_LOOPBACK = {"127.0.0.1", "localhost"}
_NOWHERE_ELSE = ", ".join(("MAP * ~NOTFOUND", *(f"EXCLUDE {host}" for host in sorted(_LOOPBACK))))
# A fragment stands in a document of its own frame, and the demo's Dashboard around it is not ours to judge.
_NOT_OURS = ["region", "landmark-unique", "frame-tested"]
PATIENCE = 30_000.0  # milliseconds that a page, or what is expected of it, may take on a busy machine
expect.set_options(timeout=PATIENCE)


def missing(what: str, remedy: str) -> None:
    """Skip, saying so; where everything has to be there (CI=true) fail."""
    reason = f"{what} is not on this machine; {remedy}"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@contextmanager
def chromium() -> Iterator[Browser]:
    """The system's own Chromium, or the one that CHROMIUM names: none is downloaded."""
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, _NAMES)), None)
    if found is None:
        missing("chromium", "install it, or set CHROMIUM to its path")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=found, args=["--disable-gpu", f"--host-resolver-rules={_NOWHERE_ELSE}"]
        )
        yield browser
        browser.close()


@cache
def axe_source() -> str:
    script = PROJECT / "tests" / "e2e" / "axe" / "node_modules" / "axe-core" / "axe.min.js"
    if not script.is_file():
        missing("axe-core", "`make test` brings it where there is npm")
    return script.read_text("utf-8")


@dataclass
class Window:
    """One browser window and what it opens. `complaints` are errors of scripts, refusals by the
    Content-Security-Policy, requests that would leave this machine, and answers that nobody foresaw: `refusals` are the
    statuses with which a page or a form may be answered; what belongs to a page has to be there.
    """

    page: Page
    refusals: frozenset[int] = FORMS
    complaints: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.context.on("request", self._asked)
        self.page.context.on("response", self._answered)
        self.page.context.on("requestfailed", self._failed)

    def _asked(self, request: Request) -> None:
        where = urlsplit(request.url)
        if where.scheme not in {"data", "blob", "about"} and where.hostname not in _LOOPBACK:
            self.complaints.append(f"{request.url} is not on this machine")

    def _answered(self, response: Response) -> None:
        meant = response.status in self.refusals and response.request.resource_type in _ASKED
        if response.status >= 400 and not meant:
            self.complaints.append(f"{response.status} for {response.request.method} {response.url}")

    def _failed(self, request: Request) -> None:
        """Only what belongs to a page: whoever goes on to the next one gives up what was asked before."""
        if request.resource_type not in _ASKED and request.failure != "net::ERR_ABORTED":
            self.complaints.append(f"{request.failure} for {request.url}")

    def _heard(self, message: ConsoleMessage) -> None:
        # The browser calls a refused form's status an error; `_answered` knows which are meant.
        if message.type == "error" and not message.text.startswith("Failed to load resource"):
            self.complaints.append(message.text)

    def picture(self, name: str) -> None:
        PICTURES.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=PICTURES / f"{name}.png", full_page=True)


@contextmanager
def window(browser: Browser, *refusals: int, **options: Any) -> Iterator[Window]:
    """Fails where the browser complained about anything. `refusals` are those that the story means to get, beside what
    any form may answer. Nothing moves, so that no colour is judged on its way.
    """
    usual = {"viewport": WIDE, "reduced_motion": "reduce"}
    context: BrowserContext = browser.new_context(**usual | options)
    context.set_default_timeout(PATIENCE)
    opened = Window(context.new_page(), FORMS | set(refusals))
    try:
        yield opened
        assert opened.complaints == [], opened.complaints
    finally:
        context.close()


def barriers(frame: Frame | Page) -> list[str]:
    """What axe-core finds, as rule, text and the elements."""
    frame.evaluate(axe_source())
    wanted = {
        "runOnly": {"type": "tag", "values": _RULES},
        "rules": {rule: {"enabled": False} for rule in _NOT_OURS},
        "iframes": False,
    }
    found = frame.evaluate("(wanted) => axe.run(document, wanted)", wanted)
    return [
        f"{it['id']}: {it['help']}: {', '.join(str(node['target']) for node in it['nodes'])}"
        for it in found["violations"]
    ]


def overflow(frame: Frame | Page) -> int:
    """Pixels by which the page is wider than its window."""
    found: int = frame.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return found
