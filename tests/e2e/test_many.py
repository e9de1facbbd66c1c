"""Sixty charges at once in a real browser: all that match are cancelled, though it is stopped and a line is cut."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest
from playwright.sync_api import Browser, FrameLocator, Route, expect

from app.demo import Place, command, processes
from tests.e2e.browsing import Window, window
from tests.e2e.test_dashboard import Shop, looked_at, opened
from tests.e2e.test_lists import account, buy, heading

pytestmark = pytest.mark.e2e
_MANY = 60
_DONE = "**/charges/chosen/done"


@dataclass
class Scene:
    """Somebody has subscribed, and another system of the shop asked for many charges on the agreement."""

    place: Place
    app_id: str
    agreement: str

    def effects(self, effect: str) -> list[str]:
        """The charges to which it happened at Vipps."""
        ledger = httpx.get(f"{self.place.vipps}/simulator/ledger").json()
        return [it["charge_id"] for it in ledger if it["effect"] == effect]


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    with processes() as place:
        shop = Shop(place)
        app_id = shop.install()
        account(place, 3)
        product = shop.post("/products", name="Coffee box", price=199, metadata={"vipps-recurring.interval": "MONTH:1"})
        shop.post("/shipping-methods", name="Posten", price=49)
        agreement = buy(shop, "ida@example.com", product["variants"][0]["id"])
        made = command(place, "client", "create", "--shop", place.shop, "--scope", "charges:write", "--json")
        client = json.loads(made)
        wanted = [{"agreement_id": agreement, "price": 1000 + n, "description": "Extra box"} for n in range(_MANY)]
        address = f"{place.app}/vipps-recurring-payments/charge/make"
        answer = httpx.post(address, json=wanted, auth=(client["id"], client["secret"]), timeout=60)
        assert len(answer.json()["successes"]) == _MANY, answer.text
        yield Scene(place, app_id, agreement)


def chosen(it: Window, scene: Scene) -> FrameLocator:
    """The preview of all that match."""
    frame = opened(it, scene.place, scene.app_id, "/charges?status=waiting")
    everything = frame.get_by_role("checkbox", name="that match")
    everything.check()
    first = frame.locator(".box input").first
    expect(first).to_be_checked()
    first.uncheck()
    expect(everything).not_to_be_checked()
    everything.check()
    return frame


def begun(it: Window, frame: FrameLocator, count: int, *, arrives: bool) -> None:
    """The answer to the second part is lost, or the second part itself."""
    heading(frame, f"Cancel {count} charges")
    sent = 0

    def cut(route: Route) -> None:
        nonlocal sent
        sent += 1
        if sent != 2:
            route.continue_()
            return
        if arrives:
            route.fetch()
        route.abort()

    it.page.route(_DONE, cut)
    frame.get_by_role("button", name="Cancel the charge").click()
    expect(frame.get_by_text(f"25 of {count} are tried.")).to_be_visible()
    expect(frame.get_by_role("button", name="Try again")).to_be_visible()


def test_many_charges_are_cancelled_each_once(browser: Browser, scene: Scene) -> None:
    with window(browser) as it:
        frame = chosen(it, scene)
        looked_at(it, "many-chosen")
        frame.get_by_role("button", name="Cancel", exact=True).click()
        expect(frame.get_by_text("And 35 more")).to_be_visible()
        looked_at(it, "many-preview")
        begun(it, frame, _MANY, arrives=False)
        looked_at(it, "many-progress")
        frame.get_by_role("button", name="Stop").click()
        expect(frame.get_by_text("Stopped. 25 are done, and 35 were not tried.")).to_be_focused()
        assert len(scene.effects("cancel")) == 25
        looked_at(it, "many-stopped")
        it.page.unroute(_DONE)

        frame = chosen(it, scene)
        frame.get_by_role("button", name="Cancel", exact=True).click()
        begun(it, frame, 35, arrives=True)
        frame.get_by_role("button", name="Try again").click()
        expect(frame.get_by_text("35 of 35 are done.")).to_be_focused()
        expect(frame.locator("[data-outcomes] li")).to_have_count(35)
        looked_at(it, "many-done")
        cancelled = scene.effects("cancel")
        assert len(cancelled) == len(set(cancelled)) == _MANY
