"""The composition root: settings to collaborators to an ASGI app; the only file that knows every concrete class."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import httpx
import structlog
from fastapi import FastAPI, Request
from httpx_aiohttp import AiohttpTransport
from starlette.middleware.cors import CORSMiddleware

from app import __version__
from app.config import Settings
from app.domain.account import Account, Caller, Environment
from app.domain.errors import Misconfigured, RecurringError
from app.domain.provider import RecurringProvider
from app.gql import schema as graphql_schema
from app.jobs.engine import Engine
from app.jobs.inline import InlineJobs
from app.jobs.workflows import register
from app.observability import Metrics, RequestLog
from app.saleor.client import SaleorClient
from app.saleor.manifest import app_identifier
from app.saleor.network import GuardedResolver, ShopRules
from app.saleor.payloads import object_of
from app.storage.database import SqlStore
from app.storage.secrets import SecretBox
from app.usecases.keys import KeyRing
from app.usecases.locks import Turns
from app.usecases.ports import Clock, Deps, Jobs, Limits, Shop, Store
from app.usecases.sweep import sweep
from app.vipps.http import Credentials, SystemNames, VippsHttp
from app.vipps.v2 import VippsV2
from app.web import drupal, health, saleor
from app.web.auth import any_caller
from app.web.context import WebContext
from app.web.limits import MaxBody


def system_clock() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class HttpClients:
    """The two ways out. Saleor's is guarded, because its URLs come from outside."""

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
    """One way to Vipps per merchant account, kept while its credentials stay the same, so that its token is shared."""

    def __init__(self, settings: Settings, client: httpx.AsyncClient, clock: Clock) -> None:
        self._urls = {Environment.TEST: settings.vipps_test_url, Environment.LIVE: settings.vipps_live_url}
        self._client = client
        self._clock = clock
        self._made: dict[str, tuple[Account, VippsV2]] = {}

    def __call__(self, account: Account) -> RecurringProvider:
        made = self._made.get(account.id)
        if made is None or made[0] != account:
            made = self._made[account.id] = (account, self._make(account))
        return made[1]

    def _make(self, account: Account) -> VippsV2:
        if account.client_secret is None or account.subscription_key is None:
            raise Misconfigured("the merchant account has no credentials; set them with: account set")
        credentials = Credentials(account.msn, account.client_id, account.client_secret, account.subscription_key)
        http = VippsHttp(
            self._client,
            self._urls[account.environment],
            credentials,
            SystemNames(plugin_version=__version__),
            clock=self._clock,
        )
        return VippsV2(http, self._clock, test_environment=account.environment is Environment.TEST)


@dataclass(frozen=True, slots=True)
class Context:
    """Everything one process works with."""

    settings: Settings
    store: SqlStore
    deps: Deps
    web: WebContext
    http: HttpClients
    metrics: Metrics

    async def close(self) -> None:
        await self.http.close()
        await self.store.close()


def build(
    settings: Settings,
    *,
    jobs: Jobs | None = None,
    clock: Clock = system_clock,
    http: HttpClients | None = None,
    metrics: Metrics | None = None,
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
    deps = Deps(
        store=as_store,
        shop=shop,
        provider=Providers(settings, http.vipps, clock),
        jobs=jobs or InlineJobs(),
        clock=clock,
        limits=Limits(max_sync_batch=settings.max_sync_batch, concurrency=settings.vipps_concurrency),
        jitter=random.random,
        turns=Turns(),
        bug=metrics.bug,
    )
    web = WebContext(
        deps=deps,
        keys=KeyRing(deps),
        rules=ShopRules(settings.allowed_saleor_urls, settings.allow_any_saleor, settings.private_networks == "allow"),
        app_url=settings.app_url,
        app_version=__version__,
        app_identifier=app_identifier(),
    )
    return Context(settings, store, deps, web, http, metrics)


Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


def create_app(
    context: Context,
    lifespan: Lifespan | None = None,
    checks: Mapping[str, Callable[[], Awaitable[bool]]] | None = None,
) -> FastAPI:
    """The ASGI app over a context that whoever calls has built and closes."""
    app = FastAPI(
        title="Vipps Recurring for Saleor",
        version=__version__,
        lifespan=lifespan,
        docs_url=None,  # the pages load their scripts from elsewhere, and GraphQL describes itself
        redoc_url=None,
        openapi_url=None,
    )
    app.include_router(saleor.router(context.web))
    app.include_router(drupal.router(context.web))
    app.include_router(graphql_schema.router(context.deps, _who(context.web)))
    ready = {"database": context.store.migrated} | dict(checks or {})
    app.include_router(health.router(context.metrics.registry, ready))
    app.add_middleware(MaxBody)
    # Storefronts call from browsers with a bearer token and never a cookie, so any origin may ask.
    app.add_middleware(CORSMiddleware, allow_origins=["*"], allow_methods=["POST"], allow_headers=["*"])
    app.add_middleware(RequestLog, metrics=context.metrics)
    return app


def _who(web: WebContext) -> Callable[[Request], Awaitable[Caller | RecurringError]]:
    async def who(request: Request) -> Caller | RecurringError:
        try:
            headers = request.headers
            return await any_caller(web, headers.get("Authorization"), headers.get("Authorization-Bearer"))
        except RecurringError as error:
            return error

    return who


def serving_app(settings: Settings) -> FastAPI:
    """The app as `serve` runs it: the worker inside, everything open taken up at the start."""
    metrics = Metrics()
    engine = Engine(metrics.bug)
    context = build(settings, jobs=engine, metrics=metrics)
    register(engine, context.deps, object_of, metrics.record_sweep)

    workers: list[asyncio.Task[None]] = []

    async def worker_runs() -> bool:
        return bool(workers) and not workers[0].done()

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        await prepare_database(context)
        worker = asyncio.create_task(engine.run())
        workers.append(worker)
        first = asyncio.create_task(_first_sweep(context))
        structlog.get_logger().info("serve.ready", url=settings.app_url)
        try:
            yield
        finally:
            first.cancel()
            await engine.stop(worker)
            await context.close()

    return create_app(context, lifespan, {"worker": worker_runs})


async def _first_sweep(context: Context) -> None:
    try:
        context.metrics.record_sweep(await sweep(context.deps, object_of))
    except Exception as error:  # noqa: BLE001  # the next minute's sweep tries again
        context.metrics.bug(error)


async def require_database(settings: Settings) -> None:
    """PostgreSQL is shared, so it is migrated by a command: raises where it is away or not up to date."""
    store = SqlStore(settings.database, SecretBox(list(settings.secret_key)))
    try:
        if not store.sqlite and not await store.migrated():
            raise Misconfigured("the database is not up to date: run vipps-recurring migrate")
    except OSError as error:
        raise Misconfigured(f"the database cannot be reached: {error.strerror or type(error).__name__}") from error
    finally:
        await store.close()


async def prepare_database(context: Context) -> None:
    """SQLite belongs to this process alone: migrate it, and take back what a dead process held."""
    if context.store.sqlite:
        await context.store.migrate()
        await context.store.release_leases()
