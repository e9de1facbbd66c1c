"""The composition root: settings to collaborators; the only file that knows every concrete class behind a Protocol."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

from app import __version__
from app.config import Settings
from app.domain.account import Account, ApiVersion, Environment
from app.domain.errors import Misconfigured
from app.domain.provider import RecurringProvider, WebhookRegistry
from app.domain.records import CallEntry
from app.jobs.inline import InlineJobs
from app.observability import Metrics
from app.saleor.client import SaleorClient
from app.saleor.manifest import app_identifier
from app.saleor.network import GuardedResolver, ShopRules
from app.saleor.notifier import WebhookNotifier
from app.storage.database import SqlStore, unusable
from app.storage.secrets import SecretBox
from app.usecases.journal import CallJournal
from app.usecases.keys import KeyRing
from app.usecases.locks import Turns
from app.usecases.ports import Clock, Deps, Jobs, Limits, Notifier, Shop, Store
from app.vipps.calls import Call
from app.vipps.http import Credentials, SystemNames, VippsHttp
from app.vipps.v2 import VippsV2
from app.vipps.v3 import VippsV3
from app.vipps.webhooks import VippsWebhooks
from app.web.context import WebContext
from app.web.links import Links


def system_clock() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class HttpClients:
    """The two ways out. Saleor's, which merchants' endpoints share, is guarded: its URLs come from outside."""

    vipps: httpx.AsyncClient
    saleor: httpx.AsyncClient

    async def close(self) -> None:
        await self.vipps.aclose()
        await self.saleor.aclose()


def http_clients(settings: Settings) -> HttpClients:
    timeout = httpx.Timeout(20.0, connect=5.0, pool=30.0)
    guarded = settings.private_networks == "deny"

    def session(*, guard: bool = False) -> Callable[[], aiohttp.ClientSession]:
        # Made on first use, because it wants the running event loop. No cookie of one call may ride on another.
        return lambda: aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=settings.vipps_concurrency * 2, resolver=GuardedResolver() if guard else None
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    return HttpClients(
        vipps=httpx.AsyncClient(transport=AiohttpTransport(client=session()), timeout=timeout),
        saleor=httpx.AsyncClient(transport=AiohttpTransport(client=session(guard=guarded)), timeout=timeout),
    )


class Providers:
    """One way to Vipps per merchant account, kept while its credentials stay the same, so that its token is shared.

    Both versions of an account go the same way, and so do its webhooks.
    """

    def __init__(self, settings: Settings, client: httpx.AsyncClient, clock: Clock, log: CallJournal) -> None:
        self._urls = {Environment.TEST: settings.vipps_test_url, Environment.LIVE: settings.vipps_live_url}
        self._client = client
        self._clock = clock
        self._log = log
        self._made: dict[str, tuple[Account, VippsHttp]] = {}

    def __call__(self, account: Account) -> RecurringProvider:
        version = VippsV3 if account.api_version is ApiVersion.V3 else VippsV2
        return version(self._http(account), self._clock, test_environment=account.environment is Environment.TEST)

    def webhooks(self, account: Account) -> WebhookRegistry:
        return VippsWebhooks(self._http(account))

    def _http(self, account: Account) -> VippsHttp:
        # Nothing but what Vipps is told matters here.
        same = replace(account, api_version=ApiVersion.V2, retry_days=0, lead_days=0, agreement_url=None)
        made = self._made.get(account.id)
        if made is None or made[0] != same:
            made = self._made[account.id] = (same, self._make(account))
        return made[1]

    def _make(self, account: Account) -> VippsHttp:
        if account.client_secret is None or account.subscription_key is None:
            raise Misconfigured("the merchant account has no credentials; set them with: account set")
        credentials = Credentials(account.msn, account.client_id, account.client_secret, account.subscription_key)
        shop, account_id = account.shop, account.id

        def log(call: Call) -> None:
            self._log.add(CallEntry(shop, account_id, **{name: getattr(call, name) for name in _CALL_FIELDS}))

        return VippsHttp(
            self._client,
            self._urls[account.environment],
            credentials,
            SystemNames(plugin_version=__version__),
            clock=self._clock,
            deadline=_CALL_SECONDS,
            log=log,
        )


_CALL_FIELDS = tuple(Call.__dataclass_fields__)
_CALL_SECONDS = 15.0  # less than a process is given to end: what it is at can be finished


@dataclass(frozen=True, slots=True)
class Context:
    """Everything one process works with."""

    settings: Settings
    store: SqlStore
    deps: Deps
    web: WebContext
    http: HttpClients
    metrics: Metrics
    journal: CallJournal

    async def close(self) -> None:
        await self.journal.flush()
        await self.http.close()
        await self.store.close()


def build(
    settings: Settings,
    *,
    jobs: Jobs | None = None,
    clock: Clock = system_clock,
    http: HttpClients | None = None,
    metrics: Metrics | None = None,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> Context:
    """Wire the parts. Without `jobs` what is enqueued waits for the sweeper of another process."""
    metrics = metrics or Metrics()
    http = http or http_clients(settings)
    if settings.database.startswith("sqlite"):
        Path(settings.database.removeprefix("sqlite+aiosqlite:///")).parent.mkdir(parents=True, exist_ok=True)
    store = SqlStore(settings.database, SecretBox(list(settings.secret_key)))
    # Here mypy proves that the concrete classes fit the Protocols.
    as_store: Store = store
    shop: Shop = SaleorClient(http.saleor)
    private = settings.private_networks == "allow"
    notifier: Notifier = WebhookNotifier(http.saleor, clock, allow_private=private)
    journal = CallJournal(as_store)
    providers = Providers(settings, http.vipps, clock, journal)
    links = Links(settings.secret_key, settings.app_url)
    carrier: Jobs = jobs if jobs is not None else InlineJobs()
    deps = Deps(
        store=as_store,
        shop=shop,
        provider=providers,
        webhooks=providers.webhooks,
        jobs=carrier,
        clock=clock,
        sleep=sleep,
        limits=Limits(
            max_sync_batch=settings.max_sync_batch,
            concurrency=settings.vipps_concurrency,
            charges_per_minute=settings.vipps_charges_per_minute,
        ),
        jitter=random.random,
        turns=Turns(),
        notifier=notifier,
        pay_url=links.pay,
        my_url=links.my,
        return_url=links.back,
        bug=metrics.bug,
    )
    web = WebContext(
        deps=deps,
        keys=KeyRing(deps),
        rules=ShopRules(settings.allowed_saleor_urls, settings.allow_any_saleor, private),
        app_url=settings.app_url,
        app_version=__version__,
        app_identifier=app_identifier(),
        links=links,
        dashboard_origins=settings.dashboard_origins,
    )
    return Context(settings, store, deps, web, http, metrics, journal)


async def require_database(settings: Settings) -> None:
    """PostgreSQL is shared, so it is migrated by a command: raises where it is away or not up to date."""
    from app.jobs.engine import Engine  # which the other commands do without, for a quick start

    if settings.database.startswith("sqlite"):
        return
    store = SqlStore(settings.database, SecretBox(list(settings.secret_key)))
    engine = Engine(lambda _: None, settings.database)
    try:
        migrated, installed = await store.migrated(), await engine.installed()
    except Exception as error:  # whatever a driver raises, the database cannot be used
        raise unusable(error) from error
    finally:
        await store.close()
    if not migrated:
        raise Misconfigured("the database is not up to date: run vipps-recurring migrate")
    if not installed:
        raise Misconfigured("the job engine has no tables yet: run vipps-recurring migrate")


async def prepare_database(context: Context) -> None:
    """SQLite belongs to this process alone: migrate it, and take back what a dead process held."""
    if context.store.sqlite:
        await context.store.migrate()
        await context.store.release_leases()
