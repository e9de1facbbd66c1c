"""What `doctor` looks at: everything that has to be right before money can move, each with its remedy."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from app.config import Settings
from app.domain.errors import RecurringError
from app.jobs.engine import Engine
from app.main import Context, build
from app.usecases.accounts import OK, check_account
from app.usecases.nightly import usable_accounts, webhook_url
from app.working import worker_alive

_LOCAL = {"localhost", "127.0.0.1", "::1"}


@dataclass(frozen=True, slots=True)
class Examined:
    """One check. `remedy` is empty where nothing has to be done."""

    name: str
    result: str
    remedy: str = ""


async def examine(settings: Settings) -> list[Examined]:
    """Never raises for what is wrong outside of this program."""
    context = build(settings)
    try:
        found = [_url(settings), *await _database(context)]
        if any(it.remedy for it in found[1:]):
            return found
        return [*found, *await _jobs(context), *await _shops(context), *await _accounts(context)]
    finally:
        await context.close()


def _url(settings: Settings) -> Examined:
    parts = urlsplit(settings.app_url)
    if parts.scheme == "https" and parts.hostname not in _LOCAL:
        return Examined("APP_URL", settings.app_url)
    return Examined(
        "APP_URL",
        f"{settings.app_url} cannot be reached by Vipps' webhooks; polling does their work",
        "" if parts.hostname in _LOCAL else "set APP_URL to the public https:// address",
    )


async def _database(context: Context) -> list[Examined]:
    kind = "SQLite" if context.store.sqlite else "PostgreSQL"

    async def migrated() -> Examined:
        if await context.store.migrated():
            return Examined("database", f"{kind}, up to date")
        return Examined("database", f"{kind}, not up to date", "run: vipps-recurring migrate")

    return [await _or(migrated, "database", "check DATABASE_URL and that the server runs")]


async def _jobs(context: Context) -> list[Examined]:
    engine = Engine(lambda _: None, context.settings.database)
    try:
        if not await engine.installed():
            return [Examined("jobs", "the engine has no tables", "run: vipps-recurring migrate")]
    finally:
        await engine.stop()
    start = "serve" if context.store.sqlite else "worker"
    alive = await worker_alive(context)
    worker = (
        Examined("worker", "alive")
        if alive
        else Examined("worker", "none has shown itself for a minute", f"start: vipps-recurring {start}")
    )
    async with context.store.begin() as unit:
        dead = await unit.failures.count()
    letters = Examined("failures", f"{dead} wait for a person", "see: vipps-recurring failures list" if dead else "")
    return [worker, letters]


async def _shops(context: Context) -> list[Examined]:
    async with context.store.begin() as unit:
        accounts = await unit.accounts.everywhere()
    if accounts:
        return []
    return [
        Examined(
            "accounts",
            "no merchant account is set",
            f"install {context.settings.app_url}/api/manifest in the Dashboard, then: vipps-recurring account set",
        )
    ]


async def _accounts(context: Context) -> list[Examined]:
    found: list[Examined] = []
    for account in await usable_accounts(context.deps):
        check = await check_account(context.deps, account, webhook_url(context.settings.app_url, account))
        name = f"account {account.channel} {account.msn}"
        if check.sign_in != OK:
            found.append(Examined(name, check.sign_in, "set the credentials again with: vipps-recurring account set"))
            continue
        answers = ", ".join(f"{version} {text}" for version, text in check.versions.items())
        other = next((version for version, text in check.versions.items() if text == OK), None)
        remedy = "" if check.good else f"use --api-version {other} with account set" if other else "ask Vipps MobilePay"
        found.append(
            Examined(name, f"signs in; uses {account.api_version}: {answers}; webhooks {check.webhooks}", remedy)
        )
    return found


async def _or(check: Callable[[], Awaitable[Examined]], name: str, remedy: str) -> Examined:
    try:
        return await check()
    except RecurringError as error:
        return Examined(name, error.message, remedy)
    except Exception as error:  # noqa: BLE001  # whatever a driver raises, it says that the thing is not there
        return Examined(name, f"cannot be reached ({type(error).__name__})", remedy)
