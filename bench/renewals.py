"""What planning costs: 10,000 and 100,000 due subscriptions on PostgreSQL, by time for each and by memory.

Each size has a database and a process of its own, so that the one's memory is not the other's. Needs a PostgreSQL whose
user may create databases (TEST_POSTGRES, or the local server).
"""

import asyncio
import json
import os
import resource
import secrets
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from urllib.parse import urlsplit

import asyncpg

from app.config import Settings
from app.domain.account import Account, Environment, Installation
from app.domain.money import Currency
from app.domain.plan import IntervalUnit, Plan
from app.domain.schedule import Schedule
from app.domain.subscription import Subscriber, Subscription, SubscriptionLine, SubscriptionStatus
from app.main import Context, build
from app.usecases.planning import plan

POSTGRES = os.environ.get("TEST_POSTGRES", "postgresql://postgres@127.0.0.1:5432/postgres")
SIZES = tuple(int(size) for size in os.environ.get("BENCH_RENEWALS", "10000,100000").split(","))
SHOP = "https://shop.example/graphql/"
_COPIES = """
INSERT INTO subscription ({columns})
SELECT {values} FROM subscription, generate_series(1, {count}) AS number WHERE id = 'first'
"""


def renewals() -> None:
    costs = []
    for size in SIZES:
        found = json.loads(_alone(size))
        costs.append(found["seconds"] / size)
        print(
            f"planning {size} due subscriptions: {found['seconds']:.1f} s, {costs[-1] * 1e6:.0f} µs each, "
            f"{found['memory']} MB at most (goal 200)"
        )
    print(f"cost of one at {SIZES[-1]} to one at {SIZES[0]}: {costs[-1] / costs[0]:.2f} (goal 1.3)")


def _alone(size: int) -> str:
    """The measurement in a process of its own; its one line of JSON."""
    command = [sys.executable, "-c", f"from bench.renewals import measure; measure({size})"]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)  # noqa: S603
    return done.stdout


def measure(size: int) -> None:
    print(json.dumps(asyncio.run(_measure(size))))


async def _measure(size: int) -> dict[str, float]:
    async with in_a_database() as (context, url):
        await filled(context, url, size)
        began = time.perf_counter()
        done = await plan(context.deps)
        seconds = time.perf_counter() - began
        if done.planned != size:
            raise RuntimeError(f"{done.planned} of {size} were planned")
    return {"seconds": seconds, "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}


@asynccontextmanager
async def in_a_database() -> AsyncIterator[tuple[Context, str]]:
    """The app on a migrated database of its own, which is gone afterwards."""
    name = f"vr_bench_{os.getpid()}"
    await _sql(POSTGRES, f'CREATE DATABASE "{name}"')
    try:
        url = urlsplit(POSTGRES)._replace(path=f"/{name}").geturl()
        settings = Settings(
            app_url="http://127.0.0.1:9",
            secret_key=(secrets.token_hex(32),),
            database_url=url.replace("postgresql://", "postgresql+asyncpg://"),
        )
        context = build(settings)
        try:
            await context.store.migrate()
            yield context, url
        finally:
            await context.close()
    finally:
        await _sql(POSTGRES, f'DROP DATABASE "{name}" WITH (FORCE)')


async def filled(context: Context, url: str, size: int) -> None:
    """One subscription that is due today, and copies of it under other names."""
    now = datetime.now(UTC)
    account = Account("account", SHOP, "default", Environment.TEST, "123456", "client", "secret", "key")
    subscription = Subscription(
        id="first",
        shop=SHOP,
        account_id=account.id,
        agreement_id="agr_first",
        customer="VXNlcjox",
        channel="norway",
        channel_id="Q2hhbm5lbDox",
        currency=Currency.NOK,
        initial_order="T3JkZXI6MQ==",
        lines=(SubscriptionLine("UHJvZHVjdFZhcmlhbnQ6MQ==", 1, "Coffee"), SubscriptionLine("UHJ2OjI=", 2, "Tea", 9900)),
        schedule=Schedule(Plan(IntervalUnit.MONTH, 1), now.date(), 1),
        next_period=1,
        next_due=now.date(),
        status=SubscriptionStatus.ACTIVE,
        created_at=now,
    )
    async with context.store.begin() as unit:
        await unit.installations.put(Installation(SHOP, "app", "token", None, "3.23", now))
        await unit.accounts.put(account)
        await unit.subscriptions.add(subscription, Subscriber(None, {"city": "Oslo"}, None))
    connection = await asyncpg.connect(url)
    try:
        found = await connection.fetch(
            "SELECT column_name FROM information_schema.columns WHERE table_name = 'subscription'"
        )
        columns = [f'"{row["column_name"]}"' for row in found]
        new = {'"id"': "md5(number::text)::uuid::text", '"agreement_id"': "'agr_' || number"}
        values = [new.get(column, column) for column in columns]
        copies = _COPIES.format(columns=", ".join(columns), values=", ".join(values), count=size - 1)
        await connection.execute(copies)
        await connection.execute("ANALYZE")
    finally:
        await connection.close()


async def _sql(url: str, command: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(command)
    finally:
        await connection.close()
