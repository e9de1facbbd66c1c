"""What each page costs, from its request to its HTML: 10,000 and 100,000 agreements with a year of monthly payments.

The app runs in this process on PostgreSQL, so that this is a server's own time; a page's token is checked as always.
"""

import asyncio
import hashlib
import json
import os
import statistics
import subprocess
import sys
import time
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import asyncpg
import httpx

from app.domain.account import Installation
from app.domain.agreement import Agreement, AgreementStatus
from app.domain.charge import Charge, ChargeOrigin, ChargeStatus
from app.domain.money import Currency, Money
from app.domain.plan import IntervalUnit, Plan
from app.domain.renewal import Renewal, RenewalStatus
from app.main import Context
from app.saleor.simulator.keys import SigningKey
from app.serving import create_app
from app.usecases.day_totals import total_days
from app.usecases.spans import Span
from bench.renewals import SHOP, filled, in_a_database

SIZES = tuple(int(size) for size in os.environ.get("BENCH_PAGES", "10000,100000").split(","))
GOAL, ROUNDS, MONTHS = 150, 9, 12
PAGES = (
    *(f"/overview?period={span}" for span in Span),
    "/home",
    "/start",
    "/accounts",
    "/accounts/account",
    "/agreements",
    "/agreements?status=active&sort=oldest",
    "/agreements?account=account",
    "/agreements?q=agr_77",
    "/agreements/agr_77",
    "/agreements/agr_77/pause",
    "/charges",
    "/charges?status=failed",
    "/charges?account=account",
    "/charges?account=account&status=failed",
    "/charges?q=agr_77",
    "/charges?q=nobody-has-this",
    "/charges/{charge}",
    "/charges/{charge}/refund",
    "/runs",
    "/runs/renewals",
    "/runs/renewals?status=WAITING&reason=CHARGE_FAILED",
    "/clients",
    "/failures",
    "/audit",
    "/widgets/order?orderId=T3JkZXI6MQ%3D%3D",
    "/widgets/customer?customerId=VXNlcjox",
)
_DAYS = 28  # over which the due days of a month are spread
_SPREAD = """
UPDATE subscription SET
    price = 24900, next_due = due, anchor = begun, first_period = 0, next_period = months,
    alike = 'NOK|MONTH|1|' || begun || '|' || -months || '|' || due || '|||'
FROM (
    SELECT id AS other, due, months, (due - make_interval(months => months))::date AS begun FROM (
        SELECT id, next_due + 1 + (abs(hashtext(id)) % 28) AS due, 1 + abs(hashtext(id || 'months')) % 36 AS months
        FROM subscription
    ) AS spread
) AS terms
WHERE other = id
"""
_AGREEMENTS = """
INSERT INTO agreement ({columns})
SELECT {values} FROM agreement, subscription WHERE agreement.id = 'first' AND subscription.id <> 'first'
"""
_CHARGES = """
INSERT INTO charge ({columns})
SELECT {values} FROM charge, subscription, generate_series(1, {months}) AS month WHERE charge.id = 'first'
"""
_RENEWALS = """
INSERT INTO renewal ({columns})
SELECT {values} FROM renewal, subscription, generate_series(1, {months}) AS month WHERE renewal.id = 'first'
"""


def pages() -> None:
    for size in SIZES:
        command = [sys.executable, "-c", f"from bench.pages import measure; measure({size})"]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)  # noqa: S603
        took = json.loads(done.stdout.splitlines()[-1])
        for path, milliseconds in sorted(took.items(), key=lambda it: -it[1]):
            print(f"{milliseconds:6.0f} ms  {path}")
        print(f"{size} agreements: {max(took.values()):.0f} ms at most for {len(took)} pages (goal {GOAL})")


def measure(size: int) -> None:
    print(json.dumps(asyncio.run(_measure(size))))


async def _measure(size: int) -> dict[str, float]:
    key = SigningKey()
    async with in_a_database() as (context, url):
        await filled(context, url, size)
        await _books(context, url)
        await total_days(context.deps)
        async with context.store.begin() as unit:
            jwks = json.dumps({"keys": [key.jwk()]})
            await unit.installations.put(Installation(SHOP, "app", "token", jwks, "3.23", datetime.now(UTC)))
        transport = httpx.ASGITransport(app=create_app(context))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:9") as client:
            client.headers["Authorization"] = f"Bearer {_token(key)}"
            charge = _id(f"{_id('77')}3")
            return {path: await _milliseconds(client, path.format(charge=charge)) for path in PAGES}


def _id(name: str) -> str:
    """As PostgreSQL makes one of a name: a subscription's of its number, a charge's of that and its month."""
    return str(uuid.UUID(hashlib.md5(name.encode()).hexdigest()))  # noqa: S324


def _token(key: SigningKey) -> str:
    """As the Dashboard hands it over, for an hour."""
    now, rights = int(time.time()), ["HANDLE_PAYMENTS"]  # who may not look at orders: no shop is asked for names
    claims = {"iat": now, "exp": now + 3600, "owner": "saleor", "iss": SHOP, "type": "thirdparty", "app": "app"}
    person = {"user_id": "VXNlcjox", "is_staff": True, "token": "key", "email": "staff@shop.example"}
    return key.sign_token(claims | person | {"permissions": rights, "user_permissions": rights})


async def _milliseconds(client: httpx.AsyncClient, path: str) -> float:
    """The median of some rounds."""
    took = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        answer = await client.get(f"/app/content{path}")
        took.append((time.perf_counter() - began) * 1000)
        if answer.status_code != httpx.codes.OK:
            raise RuntimeError(f"{path}: {answer.status_code}")
    return statistics.median(took)


async def _books(context: Context, url: str) -> None:
    """An agreement for each subscription, and a charge of each of the last months; some failed, some are refunded."""
    now = datetime.now(UTC)
    price = Money(24_900, Currency.NOK)
    agreement = Agreement(
        id="first",
        shop=SHOP,
        account_id="account",
        environment="test",
        idempotency_key="key",
        plan=Plan(IntervalUnit.MONTH, 1),
        price=price,
        product_name="Coffee",
        product_description="",
        status=AgreementStatus.ACTIVE,
        created_at=now - timedelta(days=400),
        start=now - timedelta(days=400),
        agreement_id="agr_first",
    )
    charge = Charge(
        id="first",
        shop=SHOP,
        account_id="account",
        agreement_id="agr_first",
        order_id="order",
        idempotency_key="key",
        amount=price,
        description="Coffee",
        due=now.date(),
        retry_days=5,
        status=ChargeStatus.CHARGED,
        origin=ChargeOrigin.RENEWAL,
        created_at=now,
        captured=price.minor,
    )
    renewal = Renewal(
        id="first",
        shop=SHOP,
        account_id="account",
        subscription_id="first",
        agreement_id="agr_first",
        period=0,
        due=now.date() - timedelta(days=500),
        status=RenewalStatus.PAID,
        created_at=now,
        amount=price,
        attempt=1,
    )
    async with context.store.begin() as unit:
        await unit.agreements.add(agreement)
        await unit.renewals.add_all([renewal])
        await unit.charges.add_all([replace(charge, settled_at=now - timedelta(days=500))])
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(_SPREAD)
        names = {"id": "subscription.id", "agreement_id": "subscription.agreement_id"}
        await _copy(connection, "agreement", _AGREEMENTS, names)
        number = "abs(hashtext(subscription.id || month))"
        when = f"now() - make_interval(months => month - 1, days => abs(hashtext(subscription.id)) % {_DAYS})"
        names = {
            "id": "md5(subscription.id || month)::uuid::text",
            "agreement_id": "subscription.agreement_id",
            "status": f"CASE WHEN {number} % 20 = 0 THEN 'FAILED' ELSE 'CHARGED' END",
            "captured": f"CASE WHEN {number} % 20 = 0 THEN 0 ELSE charge.amount END",
            "refunded": f"CASE WHEN {number} % 50 = 1 THEN charge.amount ELSE 0 END",
            "refunded_at": f"CASE WHEN {number} % 50 = 1 THEN {when} END",
            "settled_at": when,
            "due": f"({when})::date",
        }
        await _copy(connection, "charge", _CHARGES, names)
        names = {
            "id": "md5(subscription.id || month)::uuid::text",
            "subscription_id": "subscription.id",
            "agreement_id": "subscription.agreement_id",
            "period": "month",
            "due": f"({when})::date",
            "status": f"CASE WHEN {number} % 20 = 0 THEN 'WAITING' ELSE 'PAID' END",
            "reason": f"CASE WHEN {number} % 20 = 0 THEN 'CHARGE_FAILED' END",
        }
        await _copy(connection, "renewal", _RENEWALS, names)
        await connection.execute("VACUUM ANALYZE")
    finally:
        await connection.close()


async def _copy(connection: asyncpg.Connection, table: str, statement: str, new: dict[str, str]) -> None:
    found = await connection.fetch(
        "SELECT column_name FROM information_schema.columns WHERE table_name = $1 AND table_schema = 'public'", table
    )
    columns = [row["column_name"] for row in found]
    values = [new.get(column, f'{table}."{column}"') for column in columns]
    listed = ", ".join(f'"{column}"' for column in columns)
    await connection.execute(statement.format(columns=listed, values=", ".join(values), months=MONTHS))
