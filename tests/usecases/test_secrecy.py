"""Nothing confidential and nothing of a person leaves by logs, failure texts, the audit or the database's bytes."""

import io
import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

import httpx
import pytest
import structlog
from sqlmodel import SQLModel

from app.domain.account import Account
from app.domain.errors import Unavailable
from app.domain.provider import RecurringProvider
from app.observability import configure_logging
from app.saleor.simulator.models import Address, User
from app.usecases.day_totals import total_days
from app.usecases.planning import plan
from app.usecases.reconciliation import reconcile_account
from app.vipps.simulator import DEFAULT_MERCHANT
from tests.usecases.buying import Purchase, a_product
from tests.usecases.steps import a_made_charge, an_agreement, hears_vipps, raw, recover, swept_by, the_account
from tests.web.helpers import foreign_agreement, saleor_hosts
from tests.web.pages.visiting import Staff
from tests.world import SECRET_KEY, SHOP, World, bearer

EMAIL, FIRST, LAST, PHONE = "kari.normann@kundepost.no", "Kariannette", "Normannsen", "4791234567"
OTHER_EMAIL = "ola@kundepost.no"
STREET, NOTIFY_SECRET = "Hemmelighetsveien 17", "a-secret-between-two-computers"
TABLES = tuple(SQLModel.metadata.tables)


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """What the process would write, as JSON and at its most talkative."""
    root = logging.getLogger()
    handlers, level, configured = list(root.handlers), root.level, structlog.get_config()
    written = io.StringIO()
    monkeypatch.setattr("sys.stderr", written)
    configure_logging("debug", "json")
    yield written
    structlog.configure(**configured)
    root.handlers[:] = handlers
    root.setLevel(level)


@dataclass
class Told:
    """A whole story, and all that must stay secret in it."""

    secrets: dict[str, str]

    def check(self, where: str, text: str) -> None:
        assert [name for name, secret in self.secrets.items() if secret in text] == [], where


async def _story(world: World) -> Told:
    """Everything that happens in a shop's life, so that every table has something to tell."""
    machine = await world.client()
    await hears_vipps(world)
    person = world.saleor.create_customer(EMAIL, FIRST, LAST)
    token = world.saleor.tokens.access(person)
    agreement = await world.agreement(bearer(token), phoneNumber=PHONE)
    world.vipps.faults.add("status", status=400, style="problem", operation="createCharge")
    world.vipps.faults.add("reset-after", operation="createCharge")
    for amount in (100, 101, 102):
        world.saleor.create_order(person, amount=amount, metadata={"vipps-recurring.agreement": agreement})
        await world.drain()
    world.saleor.create_order(email="guest@kundepost.no", amount=1, metadata={"vipps-recurring.agreement": agreement})
    charge = await a_made_charge(world, agreement, 5_000, "by-machine-1")
    answer = await world.http.get("/vipps-recurring-payments/test/auth", headers=machine)
    assert answer.status_code == 200
    await world.rest("/charge/cancel", [{"agreement_id": agreement, "charge_id": charge.charge_id}], machine)
    await world.rest("/charge/make", [{"agreement_id": agreement, "price": EMAIL, "description": PHONE}], machine)
    await world.rest(f"/agreement/get?token={token}", agreement, machine)
    await world.graphql("{ agreements(first: 1) { edges { node { id } } } }", headers=bearer(token + "x"))
    await world.set_account(client_secret="a-mistyped-client-secret")
    world.saleor.create_order(person, amount=103, metadata={"vipps-recurring.agreement": agreement})
    await recover(world)
    await world.set_account()
    await recover(world, rounds=2)
    await _subscribed(world, person)
    await _looked_for(world)
    await _stopped_and_compared(world, agreement)
    async with world.context.store.begin() as unit:
        await unit.workers.seen("worker-1", world.time.now)
    await world.context.journal.flush()
    _, _, pair = machine["Authorization"].partition(" ")
    [app] = world.saleor.apps
    vipps_tokens = {f"vipps token {n}": it for n, it in enumerate(world.vipps.tokens._valid)}
    assert vipps_tokens
    return Told(
        {
            "client secret": DEFAULT_MERCHANT.client_secret,
            "mistyped client secret": "a-mistyped-client-secret",
            "subscription key": DEFAULT_MERCHANT.subscription_key,
            "secret key": SECRET_KEY,
            "app token": app.token,
            "customer token": token,
            "Basic credentials": pair,
            "e-mail": EMAIL,
            "guest's e-mail": "guest@kundepost.no",
            "second e-mail": OTHER_EMAIL,
            "first name": FIRST,
            "last name": LAST,
            "phone": PHONE,
            "local phone": PHONE[2:],
            "street": STREET,
            "notify secret": NOTIFY_SECRET,
        }
        | vipps_tokens
        | {f"webhook secret {n}": it.secret for n, it in enumerate(world.vipps.registrations)}
    )


async def _looked_for(world: World) -> None:
    """Staff look for the person while the shop answers, and while it repeats what it was asked."""
    staff = Staff(world)
    repeats = httpx.MockTransport(
        lambda request: httpx.Response(200, json={"errors": [{"message": str(request.read())}]})
    )
    for shop in (None, repeats):
        hosts = saleor_hosts(world).apps
        usual = hosts["shop.example"]
        hosts["shop.example"] = shop or usual
        for path in ("/agreements", "/charges", "/agreements.csv"):
            for typed in (EMAIL, f"{FIRST} {LAST}", f"+{PHONE}", f"{LAST}\x07", f"{LAST}%FF" * 60):
                headers = staff.headers() | {"Search-For": quote(typed)}
                answer = await world.http.get(f"/app/content{path}", headers=headers)
                assert answer.status_code == 200
        hosts["shop.example"] = usual


async def _subscribed(world: World, person: User) -> None:
    """A purchase in the checkout, and its renewal, which fails and is paid by link: addresses, reports, notices."""
    await world.set_account(notify_url="https://hooks.example/vipps", notify_secret=NOTIFY_SECRET, retry_days=0)
    address = {"first_name": FIRST, "last_name": LAST, "street_address_1": STREET, "city": "OSLO", "phone": f"+{PHONE}"}
    address |= {"postal_code": "0154", "country": "NO"}
    home = [Address(number=world.saleor.next_number("Address"), **address) for _ in range(2)]  # type: ignore[arg-type]
    checkout = world.saleor.create_checkout(
        person, [(a_product(world), 1)], email=EMAIL, billing=home[0], shipping=home[1]
    )
    purchase = Purchase(world, checkout)
    await purchase.buy()
    world.vipps.set_failure(purchase.agreement_id, "user_action_required")
    world.advance(timedelta(days=30))
    await plan(world.context.deps)
    await world.drain()
    for _ in range(3):
        world.advance(timedelta(days=1))
        await world.sweep()
        await world.drain()
    [renewal] = await raw(world, "renewal")
    pressed = await world.http.post(world.context.deps.pay_url(renewal["id"]))
    assert pressed.headers["Location"].startswith("https://vipps"), pressed.text


async def _stopped_and_compared(world: World, agreement: str) -> None:
    """A draft that is still open keeps the phone number for its repetition; the rest is heard of, or found at night."""
    person = world.saleor.create_customer(OTHER_EMAIL)
    world.vipps.faults.add("status", status=503, operation="draftAgreement")
    with pytest.raises(Unavailable):
        await an_agreement(world, person, phone=PHONE, idempotency_key="lost")
    world.vipps.stop_in_app(agreement)
    await world.drain()
    foreign_agreement(world, "agr_5kSeqzF")
    books = await reconcile_account(world.context.deps, await the_account(world))
    assert len(books.findings) > 0


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_logs_hold_nothing_confidential_and_nothing_of_a_person(log: io.StringIO, world: World) -> None:
    told = await _story(world)
    lines = log.getvalue().splitlines()

    assert len(lines) > 20
    assert {json.loads(line)["event"] for line in lines} >= {"request.answered"}
    told.check("log", log.getvalue())


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_mistake_of_ours_is_logged_without_what_it_was_about(log: io.StringIO, world: World) -> None:
    person = world.saleor.create_customer(EMAIL, FIRST, LAST)
    token = world.saleor.tokens.access(person)
    agreement = await world.agreement(bearer(token))
    world.saleor.create_order(person, amount=100, metadata={"vipps-recurring.agreement": agreement})
    await world.saleor.deliver()
    world.jobs.waiting.clear()

    def broken(_account: Account) -> RecurringProvider:
        raise RuntimeError(f"cannot serve {EMAIL}, {PHONE} or +{PHONE}, with Bearer {token}")

    await swept_by(replace(world.context.deps, provider=cast(Any, broken)))

    assert "error.unforeseen" in log.getvalue()
    assert "RuntimeError" in log.getvalue()
    Told({"e-mail": EMAIL, "phone": PHONE, "token": token}).check("log", log.getvalue())
    assert len(world.unforeseen) > 0
    world.unforeseen.clear()


async def test_tables_hold_no_plain_secret_and_nothing_of_a_person(world: World) -> None:
    told = await _story(world)
    await total_days(world.context.deps)

    for table in TABLES:
        rows = await raw(world, table)
        told.check(table, json.dumps(rows, default=str, ensure_ascii=False))
        assert rows, table
    assert any("phone" in str(row["request"]) for row in await raw(world, "operation"))
    reasons = [row["reason"] for row in await raw(world, "audit") if row["reason"]]
    assert any("credentials" in reason for reason in reasons)


def _files(folder: Path) -> list[Path]:
    return list(folder.glob("store.db*"))


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_the_bytes_of_the_database_file_hold_no_secret(world: World, tmp_path: Path) -> None:
    told = await _story(world)
    files = _files(tmp_path)

    assert files
    for file in files:
        told.check(file.name, file.read_bytes().decode("latin-1"))


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_an_uninstalled_shops_secrets_are_gone(world: World) -> None:
    await world.client()
    [app] = world.saleor.apps
    world.saleor.delete_app(app)
    await world.drain()

    [installation] = await raw(world, "installation")
    [account] = await raw(world, "account")
    [client] = await raw(world, "api_client")
    assert installation["shop"] == SHOP
    assert installation["token_sealed"] is None
    assert account["client_secret_sealed"] is None
    assert account["subscription_key_sealed"] is None
    assert client["revoked_at"] is not None
