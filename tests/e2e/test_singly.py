"""One subscription and its charges in a real browser: each thing that staff may do with them, done once and seen."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

import httpx
import pytest
from playwright.sync_api import Browser, FrameLocator, expect

from app.demo import Place, command, processes
from tests.e2e.browsing import Window, window
from tests.e2e.machines import wait_for
from tests.e2e.test_dashboard import Shop, fill, looked_at, opened
from tests.e2e.test_lists import account, buy, heading, rows

pytestmark = pytest.mark.e2e
_EXTRA, _GIVEN_UP = 1_100, 1_200  # what two charges of another system come to


@dataclass(frozen=True)
class Action:
    """What is pressed on the page of a charge or an agreement, filled in and pressed again, and what is said then."""

    link: str
    title: str
    button: str
    said: str

    def done(self, it: Window, frame: FrameLocator, **values: str) -> None:
        frame.get_by_role("link", name=self.link, exact=True).click()
        heading(frame, self.title)
        fill(frame, **values)
        looked_at(it, f"one-{self.name}")
        frame.get_by_role("button", name=self.button, exact=True).click()
        expect(frame.locator(".notice[data-focus]")).to_have_text(self.said)
        looked_at(it, f"one-{self.name}-done")

    @property
    def name(self) -> str:
        return self.link.lower().replace(" ", "-")


CAPTURE = Action("Capture", "Capture this charge", "Capture", "Captured.")
CANCEL = Action("Cancel", "Cancel this charge", "Cancel the charge", "Cancelled.")
QUANTITY = Action("Change quantities", "Change the quantities", "Save the quantities", "The quantities are changed.")
PRICED = "The new price is set, and your e-mail app is told if it listens."
PRICE = Action("Change the price", "Change the price", "Set the new price", PRICED)
MOVE = Action("Change the day", "Change the day of the next period", "Change the day", "Moved.")
SKIP = Action("Skip the next period", "Skip the next period", "Skip it", "The next period is left out.")
PAUSE = Action("Pause", "Pause the subscription", "Pause", "Paused.")
RESUME = Action("Resume", "Resume the subscription", "Resume", "It is renewed again.")
STOP = Action("Stop", "Stop the subscription", "Stop it", "It ends when the paid period is over.")


@dataclass
class Scene:
    """Somebody subscribed, the first payment is reserved, and another system made two charges: one is given up."""

    place: Place
    app_id: str
    agreement: str

    def effects(self, effect: str) -> list[int]:
        """The sums to which it happened at Vipps."""
        ledger = httpx.get(f"{self.place.vipps}/simulator/ledger", timeout=30).json()
        return [it["amount"] for it in ledger if it["effect"] == effect]


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    with processes() as place:
        shop = Shop(place)
        app_id = shop.install()
        account(place, 3)
        mark = {"vipps-recurring.interval": "MONTH:1", "vipps-recurring.initial": "reserve"}
        product = shop.post("/products", name="Coffee box", price=199, metadata=mark)
        shop.post("/shipping-methods", name="Posten", price=49)
        agreement = buy(shop, "ida@example.com", product["variants"][0]["id"])
        wait_for("the subscription", lambda: rows(place, "SELECT id FROM subscription"))
        made = command(place, "client", "create", "--shop", place.shop, "--scope", "charges:write", "--json")
        client = json.loads(made)
        wanted = [{"agreement_id": agreement, "price": it, "description": "Extra"} for it in (_EXTRA, _GIVEN_UP)]
        address = f"{place.app}/vipps-recurring-payments/charge/make"
        answer = httpx.post(address, json=wanted, auth=(client["id"], client["secret"]), timeout=60)
        assert len(answer.json()["successes"]) == 2, answer.text
        rows(place, "UPDATE charge SET dead = 'given up after 9 attempts' WHERE amount = ?", _GIVEN_UP)
        yield Scene(place, app_id, agreement)


def charge_in_list(frame: FrameLocator, text: str) -> None:
    frame.get_by_role("link", name="Charges", exact=True).click()
    heading(frame, "Charges")
    frame.locator(".list tbody tr", has_text=text).locator("th a").click()
    expect(frame.get_by_text("Why this was charged")).to_be_visible()


def test_one_charge_is_captured_and_one_is_cancelled(browser: Browser, scene: Scene) -> None:
    with window(browser) as it:
        frame = opened(it, scene.place, scene.app_id)
        charge_in_list(frame, "Reserved")
        CAPTURE.done(it, frame)
        expect(frame.locator("h1 + .badge")).to_have_text("Charged")
        assert scene.effects("capture") == [24_800]
        charge_in_list(frame, "11.00")
        CANCEL.done(it, frame)
        expect(frame.locator("h1 + .badge")).to_have_text("Cancelled")
        assert scene.effects("cancel") == [_EXTRA]


def test_what_was_given_up_is_tried_again(browser: Browser, scene: Scene) -> None:
    with window(browser) as it:
        frame = opened(it, scene.place, scene.app_id, "/failures")
        heading(frame, "Failures")
        letter = frame.get_by_role("checkbox", name="A charge was not made")
        expect(frame.get_by_text("given up after 9 attempts")).to_be_visible()
        looked_at(it, "failures-one")
        letter.check()
        frame.get_by_role("button", name="Try the chosen ones again").click()
        expect(frame.get_by_text("One is being tried again.")).to_be_visible()
        expect(letter).to_have_count(0)
        looked_at(it, "failures-retried")
        made = "SELECT charge_id FROM charge WHERE amount = ? AND dead IS NULL"
        assert len(rows(scene.place, made, _GIVEN_UP)) == 1


def test_one_subscription_is_changed_in_each_way_and_ended(browser: Browser, scene: Scene) -> None:
    with window(browser) as it:
        frame = opened(it, scene.place, scene.app_id, "/agreements")
        heading(frame, "Agreements")
        frame.locator(".list tbody th a").click()
        heading(frame, "Coffee box")
        QUANTITY.done(it, frame, **{"quantity-0": "2"})
        expect(frame.get_by_text("2 × Coffee box")).to_be_visible()
        PRICE.done(it, frame, amount="299")
        expect(frame.get_by_text("NOK 299.00 from")).to_be_visible()
        [(due,)] = rows(scene.place, "SELECT next_due FROM subscription")
        MOVE.done(it, frame, date=(date.fromisoformat(due) + timedelta(days=3)).isoformat())
        for action, badge in ((SKIP, "Active"), (PAUSE, "Paused"), (RESUME, "Active"), (STOP, "Ending")):
            action.done(it, frame)
            expect(frame.locator("h1 + .badge")).to_have_text(badge)
