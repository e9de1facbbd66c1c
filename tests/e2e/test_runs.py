"""What renewals do, and who may ask over the API: two of the Dashboard's pages in a real browser."""

import asyncio
import random
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, expect

from app.config import Settings
from app.demo import Place
from app.domain.account import Account, Environment
from app.domain.charge import Charge, ChargeOrigin, ChargeStatus
from app.domain.money import Currency, Money
from app.domain.plan import IntervalUnit, Plan
from app.domain.records import AuditEntry
from app.domain.renewal import RENEWAL_SLOT, Renewal, RenewalReason, RenewalStatus, renewal_order_id
from app.domain.schedule import Schedule
from app.domain.subscription import Subscriber
from app.main import build
from tests.builders import a_charge, a_finding, a_renewal, a_row_id, a_subscription, an_agreement
from tests.e2e.browsing import window
from tests.e2e.test_dashboard import Shop, fill, looked_at, opened

pytestmark = pytest.mark.e2e
NOW = datetime.now(UTC)
DAY = timedelta(days=1)
R, WHY = RenewalStatus, RenewalReason
# What may become of a period, and how often; each waits far longer than a story takes.
FATES: tuple[tuple[int, dict[str, Any]], ...] = (
    (80, {"status": R.PAID}),
    (6, {"status": R.WAITING, "reason": WHY.CHARGE_FAILED}),
    (4, {"status": R.WAITING, "reason": WHY.OUT_OF_STOCK}),
    (5, {"status": R.SKIPPED, "reason": WHY.PAUSED}),
    (3, {"status": R.FAILED, "reason": WHY.CHARGE_FAILED}),
)


@pytest.fixture(scope="module")
def app_id(place: Place) -> str:
    app_id = Shop(place).install()
    with ThreadPoolExecutor(1) as elsewhere:  # the browser's driver has this thread's event loop
        elsewhere.submit(lambda: asyncio.run(books(place))).result()
    return app_id


def failed_charge_of(renewal: Renewal) -> Charge:
    return a_charge(
        shop=renewal.shop,
        account_id=renewal.account_id,
        agreement_id=renewal.agreement_id,
        order_id=renewal_order_id(renewal.shop, renewal.agreement_id, renewal.period, 1),
        slot=f"{RENEWAL_SLOT}{renewal.id}/1",
        amount=renewal.amount,
        due=renewal.due,
        status=ChargeStatus.FAILED,
        origin=ChargeOrigin.RENEWAL,
    )


async def books(place: Place) -> None:
    """Two weeks of a shop, written straight into its books."""
    chance = random.Random(3)  # noqa: S311  # the same shop every time
    settings = Settings(
        app_url=place.app, secret_key=(place.environment["SECRET_KEY"],), data_dir=place.environment["DATA_DIR"]
    )
    context, shop = build(settings), place.shop
    account = Account(a_row_id(), shop, "default", Environment.TEST, "123456", "client", "secret", "key")
    fates = [fate for often, fate in FATES for _ in range(often)]
    async with context.store.begin() as unit:
        await unit.accounts.put(account)
        for number in range(150):
            price = Money(2_490, Currency.EUR) if number % 9 == 0 else Money(24_900, Currency.NOK)
            agreement = an_agreement(shop=shop, account_id=account.id, price=price, start=NOW - 60 * DAY)
            due = NOW.date() - chance.randrange(14) * DAY
            following = NOW.date() + (4 + number % 4) * DAY
            subscription = a_subscription(
                id=agreement.id,
                agreement_id=agreement.agreement_id,
                shop=shop,
                account_id=account.id,
                currency=price.currency,
                schedule=Schedule(Plan(IntervalUnit.MONTH, 1), following, 2),
                next_period=2,
                next_due=following,
            )
            missed: dict[str, Any] = {"status": R.SKIPPED, "reason": WHY.MISSED}
            fate = missed if number < 3 else chance.choice(fates)
            ordered = {} if fate["status"] is R.SKIPPED else {"amount": price, "order_number": str(1_000 + number)}
            late = {} if fate["status"].final else {"next_attempt_at": NOW + 30 * DAY}
            await unit.agreements.add(agreement)
            await unit.subscriptions.add(subscription, Subscriber(None, None, None))
            charged = {"attempt": 1} if fate.get("reason") is WHY.CHARGE_FAILED else {}
            renewal = a_renewal(subscription, 1, due=due, **fate, **ordered, **late, **charged)
            await unit.renewals.add_all([renewal])
            await unit.charges.add_all([failed_charge_of(renewal)] if charged else [])
        what = "150 agreements, 420 charges, 1 differences"
        night = AuditEntry(shop, "system:reconcile", "account.reconciled", account.id, NOW - DAY, after=what)
        await unit.audit.add([night])
        finding = a_finding(shop=shop, account_id=account.id, agreement_id=agreement.agreement_id, repaired=False)
        await unit.findings.replace(shop, account.id, [finding])
    await context.close()


def test_two_weeks_of_renewals(browser: Browser, place: Place, app_id: str) -> None:
    with window(browser) as it:
        frame = opened(it, place, app_id)
        frame.get_by_role("link", name="Decide what becomes of them").click()
        expect(frame.locator(".list tbody tr")).to_have_count(3)
        expect(it.page).to_have_url(re.compile("reason=MISSED"))
        looked_at(it, "renewals-missed")
        frame.get_by_role("link", name="Charge missed periods").click()
        expect(frame.get_by_text("3 periods were missed since").first).to_be_visible()
        looked_at(it, "renewals-backfill")
        fill(frame, **{"from": (NOW.date() + DAY).isoformat()})
        frame.get_by_role("button", name="Plan and charge them").click()
        expect(frame.get_by_text("Nothing was done yet")).to_be_visible()
        fill(frame, **{"from": (NOW.date() - 20 * DAY).isoformat()})
        frame.get_by_role("button", name="Plan and charge them").click()
        expect(frame.get_by_text("3 periods were missed since").first).to_be_visible()
        frame.get_by_role("button", name="Plan and charge them").dblclick()
        expect(frame.get_by_text("3 periods are planned")).to_be_visible()

        frame.get_by_role("link", name="Renewals", exact=True).click()
        expect(frame.locator("h1")).to_have_text("Renewals")
        expect(frame.get_by_text("One difference is left")).to_be_visible()
        looked_at(it, "runs")
        frame.get_by_role("link", name=re.compile("waiting")).first.click()
        expect(it.page).to_have_url(re.compile("status=WAITING"))
        frame.get_by_role("link", name="Charge failed").click()
        expect(frame.locator("[aria-current=true]")).to_have_text("Charge failed")
        looked_at(it, "renewals")
        with it.page.expect_download() as saved:
            frame.get_by_role("link", name="Export as CSV").click()
        assert saved.value.suggested_filename == "renewals.csv"
        frame.locator("input[name=id]").first.check()
        frame.get_by_role("button", name="Charge again").click()
        expect(frame.locator("h1")).to_have_text("Charge one period again")
        looked_at(it, "renewals-retry")
        frame.get_by_role("button", name="Charge again").dblclick()
        expect(frame.get_by_text("1 of 1 are done.")).to_be_visible()

        it.page.locator("#locale").select_option("nb")
        frame.locator("nav a[href$='/runs']", has_text="Fornyelser").click()
        expect(frame.locator("h1")).to_have_text("Fornyelser")
        looked_at(it, "runs-norwegian")


def test_an_api_client_is_made_and_revoked(browser: Browser, place: Place, app_id: str) -> None:
    with window(browser) as it:
        frame = opened(it, place, app_id, "/clients")
        frame.get_by_role("link", name="New API client").click()
        frame.get_by_role("button", name="Make it").click()
        expect(frame.get_by_text("2 fields need another look.")).to_be_visible()
        expect(frame.locator("#name")).to_be_focused()
        looked_at(it, "client-wrong")
        fill(frame, name="Webshop")
        frame.get_by_role("checkbox", name="See agreements").check()
        frame.get_by_role("checkbox", name="See charges").check()
        frame.get_by_role("button", name="Make it").dblclick()
        expect(frame.get_by_text("Copy the secret now")).to_be_visible()
        looked_at(it, "client-made")
        credentials = frame.locator("#id").input_value(), frame.locator("#secret").input_value()
        frame.locator("[data-copy=secret]").click()
        expect(frame.locator("[data-copy=secret]")).to_have_text("Copied")
        query = {"query": "{ agreements(first: 1) { totalCount } }"}
        asked = httpx.post(f"{place.app}/graphql", json=query, auth=credentials, timeout=30).json()
        assert asked["data"]["agreements"]["totalCount"] == 150

        it.page.reload()
        expect(frame.locator(".list tbody tr")).to_have_count(1)
        expect(frame.locator("#secret")).to_have_count(0)
        looked_at(it, "clients")
        frame.get_by_role("link", name="Revoke").dispatch_event(
            "click", {"detail": 2}
        )  # of a double click on the last page
        expect(frame.locator("h1")).to_have_text("API clients")
        frame.get_by_role("link", name="Revoke").click()
        expect(frame.locator("h1")).to_have_text("Revoke this API client")
        looked_at(it, "client-revoke")
        frame.get_by_role("button", name="Revoke it").dblclick()
        expect(frame.get_by_text("is refused from now on")).to_be_visible()
        expect(frame.locator(".list .badge")).to_have_text("Revoked")
        it.picture("clients-revoked")
        assert "errors" in httpx.post(f"{place.app}/graphql", json=query, auth=credentials, timeout=30).json()
