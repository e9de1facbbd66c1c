"""The overview in a real browser: a shop with months behind it in two currencies, and something to look at."""

import asyncio
import random
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Browser, expect

from app.config import Settings
from app.demo import Place
from app.domain.account import Account, Environment
from app.domain.agreement import AgreementStatus
from app.domain.charge import Charge, ChargeStatus
from app.domain.money import Currency, Money
from app.domain.plan import IntervalUnit, Plan
from app.domain.renewal import RenewalReason, RenewalStatus
from app.domain.schedule import Schedule
from app.domain.subscription import Subscriber, SubscriptionStatus
from app.main import build
from tests.builders import a_charge, a_renewal, a_row_id, a_subscription, an_agreement
from tests.e2e.browsing import window
from tests.e2e.test_dashboard import Shop, looked_at, opened

pytestmark = pytest.mark.e2e
NOW = datetime.now(UTC)
ORDER, CUSTOMER = "T3JkZXI6Nzc=", "VXNlcjo3Nw=="
PRICES = (
    Money(24_900, Currency.NOK),
    Money(24_900, Currency.NOK),
    Money(59_900, Currency.NOK),
    Money(2_490, Currency.EUR),
)


@pytest.fixture(scope="module")
def app_id(place: Place) -> str:
    app_id = Shop(place).install()
    with ThreadPoolExecutor(1) as elsewhere:  # the browser's driver has this thread's event loop
        elsewhere.submit(lambda: asyncio.run(books(place))).result()
    return app_id


def a_payment(price: Money, day: datetime, chance: random.Random, shop: str) -> Charge:
    at = {"amount": price, "shop": shop, "settled_at": day, "due": day.date(), "charge_id": a_row_id()}
    if chance.random() < 0.06:
        return a_charge(status=ChargeStatus.FAILED, **at)
    paid = a_charge(status=ChargeStatus.CHARGED, captured=price.minor, **at)
    if chance.random() > 0.05:
        return paid
    return replace(paid, status=ChargeStatus.REFUNDED, refunded=price.minor, refunded_at=day + timedelta(days=2))


async def books(place: Place) -> None:
    """A year of a small shop, written straight into its books: no simulator is that patient."""
    chance = random.Random(7)  # noqa: S311  # the same shop every time
    settings = Settings(
        app_url=place.app, secret_key=(place.environment["SECRET_KEY"],), data_dir=place.environment["DATA_DIR"]
    )
    context, shop = build(settings), place.shop
    account = Account(a_row_id(), shop, "default", Environment.TEST, "123456", "client", "secret", "key")
    async with context.store.begin() as unit:
        await unit.accounts.put(account)
        for number in range(120):
            price = PRICES[number % len(PRICES)]
            began = NOW - timedelta(days=chance.randrange(5, 400))
            stopped = chance.random() < 0.12
            agreement = an_agreement(
                shop=shop,
                account_id=account.id,
                price=price,
                start=began,
                status=AgreementStatus.STOPPED if stopped else AgreementStatus.ACTIVE,
                stop=NOW - timedelta(days=chance.randrange(40)) if stopped else None,
            )
            await unit.agreements.add(agreement)
            days = [began + timedelta(days=30 * month) for month in range(14)]
            await unit.charges.add_all([a_payment(price, day, chance, shop) for day in days if day < NOW])
            if stopped:
                continue
            next_due = (NOW + timedelta(days=chance.randrange(1, 30))).date()
            subscription = a_subscription(
                id=agreement.id,
                agreement_id=agreement.agreement_id,
                shop=shop,
                account_id=account.id,
                currency=price.currency,
                schedule=Schedule(Plan(IntervalUnit.MONTH, 1), next_due, 1),
                next_due=next_due,
                status=SubscriptionStatus.HELD if number in {5, 9} else SubscriptionStatus.ACTIVE,
            )
            await unit.subscriptions.add(subscription, Subscriber(None, None, None))
            failed = {"failed_on": NOW.date(), "amount": price}
            if number < 3:
                await unit.renewals.add_all([a_renewal(subscription, 1, status=RenewalStatus.PAID, **failed)])
            elif number < 5:
                why = RenewalReason.OUT_OF_STOCK
                await unit.renewals.add_all([a_renewal(subscription, 1, status=RenewalStatus.WAITING, reason=why)])
            elif number < 7:
                await unit.renewals.add_all([a_renewal(subscription, 1, status=RenewalStatus.FAILED, **failed)])
        gone = an_agreement(shop=shop, account_id=account.id, customer=CUSTOMER)
        paid = {"status": ChargeStatus.CHARGED, "captured": 25_000, "saleor_order": ORDER}
        await unit.agreements.add(gone)
        await unit.charges.add_all(
            [
                a_charge(shop=shop, dead="given up after 9 attempts"),
                a_charge(shop=shop, agreement_id=gone.agreement_id, charge_id=a_row_id(), **paid),
            ]
        )
    await context.close()


def test_a_shop_with_a_year_behind_it(browser: Browser, place: Place, app_id: str) -> None:
    with window(browser) as it:
        frame = opened(it, place, app_id)
        expect(frame.locator("h1")).to_have_text("Overview")
        expect(frame.locator(".matters li").first).to_contain_text("given up")
        looked_at(it, "overview")

        frame.get_by_role("link", name="12 months").click()
        expect(frame.get_by_role("link", name="12 months")).to_have_attribute("aria-current", "true")
        expect(it.page).to_have_url(re.compile(r"/overview\?period=year$"))
        frame.get_by_text("Show the numbers").first.click()
        expect(frame.get_by_role("table", name="What came in").first.locator("tbody tr")).to_have_count(12)
        looked_at(it, "overview-year")

        it.page.reload()
        expect(frame.get_by_role("link", name="12 months")).to_have_attribute("aria-current", "true")
        it.page.locator("#locale").select_option("nb")
        expect(frame.locator("h1")).to_have_text("Oversikt")
        it.picture("overview-norwegian")


@pytest.mark.usefixtures("app_id")
def test_widgets_are_as_high_as_what_they_hold(browser: Browser, place: Place) -> None:
    with window(browser, 404) as it:  # the books name an order and a customer that this shop never had
        for page, heading in ((f"orders/{ORDER}", "Vipps payment"), (f"customers/{CUSTOMER}", "Vipps agreements")):
            it.page.goto(f"{place.saleor}/dashboard/{page}")
            frame = it.page.frame_locator("iframe")
            expect(frame.locator("h1")).to_have_text(heading)
            fits = "() => document.documentElement.scrollHeight <= window.innerHeight"
            it.page.frames[1].wait_for_function(fits)
            looked_at(it, f"widget-{page.partition('/')[0]}")
        it.page.wait_for_function("bridge.heard.some((message) => message.type === 'widgetResize')")


def test_a_widget_leads_the_dashboard_to_the_apps_own_page(browser: Browser, place: Place, app_id: str) -> None:
    with window(browser, 404) as it:
        it.page.goto(f"{place.saleor}/dashboard/orders/{ORDER}")
        it.page.frame_locator("iframe").get_by_role("link", name="Refund").click()
        it.page.wait_for_url(f"**/dashboard/extensions/app/{app_id.replace('=', '%3D')}/charges/*/refund")
