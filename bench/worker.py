"""What a worker costs: CPU per charge on v2 and on v3's batch endpoint, and the memory of 10,000 charges.

A real worker process on PostgreSQL against the simulated Vipps in a process of its own, beside the cost of a bare
`httpx` call from this process to the same simulator. Needs a PostgreSQL whose user may create databases
(TEST_POSTGRES, or the local server).
"""

import asyncio
import os
import secrets
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import httpx

from app.config import Settings
from app.demo import free_port
from app.domain.account import Account, ApiVersion, Environment, Installation
from app.domain.agreement import Agreement, AgreementDraft, AgreementStatus
from app.domain.charge import Charge, ChargeOrigin, ChargeStatus
from app.domain.money import Currency, Money
from app.domain.operation import key_for
from app.domain.plan import IntervalUnit, Plan
from app.jobs.engine import Engine
from app.main import Context, build, http_clients
from app.usecases.sweep import sweep
from app.vipps.simulator import DEFAULT_MERCHANT

POSTGRES = os.environ.get("TEST_POSTGRES", "postgresql://postgres@127.0.0.1:5432/postgres")
SHOP = "https://shop.example/graphql/"
CHARGES = int(os.environ.get("BENCH_CHARGES", "10000"))
BARE_CALLS = 4000
_TICKS = os.sysconf("SC_CLK_TCK")
_COMMAND = "from app.cli import main; main()"


def worker() -> None:
    asyncio.run(_worker())


async def _worker() -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with _running({}, "simulate", "vipps", "--port", str(port)):
        await _answers(url)
        bare = await _bare(url)
        print(f"a bare httpx call (aiohttp transport, 32 at a time): {bare:.2f} ms of CPU")
        for version, goal in ((ApiVersion.V2, 1.5), (ApiVersion.V3, 0.3)):
            cpu, seconds, memory = await _measure(url, version)
            print(
                f"a worker on {version}: {cpu:.2f} ms of CPU a charge (goal {goal}), {cpu / bare:.2f} bare calls, "
                f"{CHARGES} charges in {seconds:.1f} s, {memory} MB at most (goal 250)"
            )


async def _bare(url: str) -> float:
    """Milliseconds of this process's CPU for one POST, keep-alive and all."""
    settings = Settings(app_url=url, secret_key=("x" * 32,), vipps_test_url=url)
    client = http_clients(settings).vipps
    headers = {
        "client_id": DEFAULT_MERCHANT.client_id,
        "client_secret": DEFAULT_MERCHANT.client_secret,
        "Ocp-Apim-Subscription-Key": DEFAULT_MERCHANT.subscription_key,
    }
    gate = asyncio.Semaphore(32)

    async def one() -> None:
        async with gate:
            (await client.post(f"{url}/accesstoken/get", headers=headers)).raise_for_status()

    await one()
    began = time.process_time()
    await asyncio.gather(*(one() for _ in range(BARE_CALLS)))
    spent = time.process_time() - began
    await client.aclose()
    return spent / BARE_CALLS * 1000


async def _measure(url: str, version: ApiVersion) -> tuple[float, float, int]:
    """CPU milliseconds a charge, seconds for all, and the worker's largest memory in MB."""
    name = f"vr_bench_{os.getpid()}_{version}"
    await _sql(f'CREATE DATABASE "{name}"')
    try:
        database = urlsplit(POSTGRES)._replace(scheme="postgresql+asyncpg", path=f"/{name}").geturl()
        environment = {
            "APP_URL": "http://127.0.0.1:9",
            "SECRET_KEY": secrets.token_hex(32),
            "DATABASE_URL": database,
            "VIPPS_TEST_URL": url,
            "VIPPS_CHARGES_PER_MINUTE": "1000000000",
            "LOG_LEVEL": "warning",
        }
        _run(environment, "migrate")
        context = build(Settings(**{key.lower(): value for key, value in environment.items()}))  # type: ignore[arg-type]
        try:
            with _running(environment, "worker") as process:
                await _alive(context)
                await asyncio.sleep(3)
                idle = _cpu(process.pid)
                await _enqueue(context, version)
                began = time.monotonic()
                await _done(context, version)
                seconds = time.monotonic() - began
                return (_cpu(process.pid) - idle) / CHARGES * 1000, seconds, _peak(process.pid)
        finally:
            await context.close()
    finally:
        await _sql(f'DROP DATABASE "{name}" WITH (FORCE)')


async def _enqueue(context: Context, version: ApiVersion) -> None:
    """An approved agreement and CHARGES stored charges of it, handed over in chunks as the sweeper does."""
    account = Account(
        id=str(uuid.uuid4()),
        shop=SHOP,
        channel="default",
        environment=Environment.TEST,
        msn=DEFAULT_MERCHANT.msn,
        client_id=DEFAULT_MERCHANT.client_id,
        client_secret=DEFAULT_MERCHANT.client_secret,
        subscription_key=DEFAULT_MERCHANT.subscription_key,
        api_version=version,
    )
    agreement = await _agreement(context, account)
    async with context.store.begin() as unit:
        await unit.installations.put(Installation(SHOP, "app", "token", None, "3.23", context.deps.clock()))
        await unit.accounts.put(account)
        await unit.agreements.add(agreement)
        await unit.charges.add_all([_charge(account, agreement) for _ in range(CHARGES)])
    engine = Engine(context.metrics.bug, context.settings.database)
    await sweep(replace(context.deps, jobs=engine))
    await engine.stop()


async def _agreement(context: Context, account: Account) -> Agreement:
    provider = context.deps.provider(account)
    price = Money(10_000_000, Currency.NOK)
    draft = AgreementDraft(price, Plan(IntervalUnit.YEAR, 1), "Bench", "https://a.example/", "https://a.example/")
    drafted = await provider.create_agreement(draft, key=uuid.uuid4().hex)
    await provider.accept_agreement(drafted.agreement_id, "4791234567")
    now = datetime.now(UTC)
    return Agreement(
        id=str(uuid.uuid4()),
        shop=SHOP,
        account_id=account.id,
        environment="test",
        idempotency_key=uuid.uuid4().hex,
        plan=draft.plan,
        price=price,
        product_name="Bench",
        product_description="",
        status=AgreementStatus.ACTIVE,
        created_at=now,
        agreement_id=drafted.agreement_id,
        start=now,
    )


def _charge(account: Account, agreement: Agreement) -> Charge:
    row_id = str(uuid.uuid4())
    now = datetime.now(UTC)
    return Charge(
        id=row_id,
        shop=SHOP,
        account_id=account.id,
        agreement_id=agreement.agreement_id or "",
        order_id=f"vr-{row_id}",
        idempotency_key=key_for("create-charge", row_id),
        amount=Money(100, Currency.NOK),
        description="Bench",
        due=now.date() + timedelta(days=10),
        retry_days=5,
        status=ChargeStatus.NEW,
        origin=ChargeOrigin.API,
        created_at=now,
    )


async def _done(context: Context, version: ApiVersion) -> None:
    """Until Vipps has taken all: made on v2, accepted by the batch on v3."""
    open_ = "accepted_at IS NULL" if version is ApiVersion.V3 else "TRUE"
    deadline = time.monotonic() + 300
    connection = await asyncpg.connect(context.settings.database.replace("+asyncpg", ""))
    try:
        while time.monotonic() < deadline:
            left = await connection.fetchval(f"SELECT count(*) FROM charge WHERE status = 'NEW' AND {open_}")  # noqa: S608
            if left == 0:
                return
            await asyncio.sleep(0.2)
    finally:
        await connection.close()
    raise RuntimeError(f"{left} charges were not sent")


async def _alive(context: Context) -> None:
    for _ in range(200):
        async with context.store.begin() as unit:
            if await unit.workers.since(datetime.now(UTC) - timedelta(minutes=1)):
                return
        await asyncio.sleep(0.1)
    raise RuntimeError("the worker did not start")


async def _answers(url: str) -> None:
    async with httpx.AsyncClient() as client:
        for _ in range(200):
            try:
                await client.get(url)
            except httpx.TransportError:
                await asyncio.sleep(0.1)
            else:
                return
    raise RuntimeError("the simulator did not start")


async def _sql(command: str) -> None:
    connection = await asyncpg.connect(POSTGRES)
    try:
        await connection.execute(command)
    finally:
        await connection.close()


def _run(environment: dict[str, str], *arguments: str) -> None:
    command = [sys.executable, "-c", _COMMAND, *arguments]
    subprocess.run(command, env=dict(os.environ) | environment, check=True, stdout=subprocess.DEVNULL)  # noqa: S603


@contextmanager
def _running(environment: dict[str, str], *arguments: str) -> Iterator["subprocess.Popen[bytes]"]:
    with tempfile.TemporaryFile() as log:
        command = [sys.executable, "-c", _COMMAND, *arguments]
        process = subprocess.Popen(command, env=dict(os.environ) | environment, stdout=log, stderr=log)  # noqa: S603
        try:
            yield process
        finally:
            process.terminate()
            process.wait(25)


def _cpu(pid: int) -> float:
    """Seconds of CPU a process has used, its own and the kernel's for it."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _peak(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) // 1024
