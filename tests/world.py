"""The whole app in one process: our real clients against both simulators over ASGI, on a clock that tests move."""

import base64
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import httpx
from fastapi import FastAPI

from app.config import Settings
from app.domain.account import Account, Environment, Scope
from app.jobs.inline import InlineJobs
from app.jobs.workflows import handlers
from app.main import Context, HttpClients, build
from app.observability import Metrics
from app.saleor.payloads import object_of
from app.saleor.simulator import models as saleor_models
from app.saleor.simulator.keys import SigningKey
from app.saleor.simulator.server import create_app as saleor_app
from app.saleor.simulator.simulator import Simulator as SaleorSimulator
from app.serving import create_app
from app.usecases.accounts import set_account
from app.usecases.clients import create_client
from app.usecases.nightly import webhook_url
from app.usecases.registrations import WebhookState, check_webhooks
from app.usecases.sweep import Swept, sweep
from app.vipps.simulator import DEFAULT_MERCHANT, SimulatorClock, SimulatorConfig
from app.vipps.simulator import Simulator as VippsSimulator
from app.vipps.simulator import create_app as vipps_app

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
APP_URL = "https://app.example"
SHOP = "https://shop.example/graphql/"
VIPPS_URL = "https://vipps.example"
SECRET_KEY = "a-secret-key-for-tests-only-0123456789"
ALL_SCOPES = tuple(Scope)


class Told(Metrics):
    """Metrics that keep what was told of as unforeseen, for a test to look at."""

    def __init__(self) -> None:
        super().__init__()
        self.unforeseen: list[BaseException] = []

    def bug(self, error: BaseException) -> None:
        self.unforeseen.append(error)
        super().bug(error)


class Time:
    """One clock for the app; moving it moves the simulators with it."""

    def __init__(self) -> None:
        self.now = START
        self.move: Callable[[timedelta], None] = lambda _: None

    def __call__(self) -> datetime:
        return self.now

    async def sleep(self, seconds: float) -> None:
        """Whoever waits finds that the time has passed, everywhere."""
        self.move(timedelta(seconds=seconds))


@dataclass
class World:
    context: Context
    app: FastAPI
    http: httpx.AsyncClient
    vipps: VippsSimulator
    saleor: SaleorSimulator
    jobs: InlineJobs
    time: Time
    unforeseen: list[BaseException]
    shops: dict[str, SaleorSimulator] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.time.move = self.advance

    def advance(self, delta: timedelta) -> None:
        self.time.now += delta
        self.vipps.advance(delta)
        for shop in self.shops.values():
            shop.clock.advance(delta)

    async def drain(self) -> None:
        """Deliver webhooks and run jobs until nothing is left to do."""
        while True:
            delivered = [await shop.deliver() for shop in self.shops.values()] + [await self.vipps.deliver()]
            ran = await self.run_jobs()
            if not ran and not any(delivered):
                return

    async def run_jobs(self) -> int:
        """Run the jobs that wait, and what they enqueue for now; how many."""
        return await self.jobs.drain(handlers(self.context.deps, object_of))

    async def sweep(self) -> Swept:
        """The sweeper's minute: it hands over what the rows say is open, and the jobs are done."""
        swept = await sweep(self.context.deps)
        await self.run_jobs()
        return swept

    async def install(self, shop: SaleorSimulator | None = None) -> saleor_models.App:
        return await (shop or self.saleor).install(f"{APP_URL}/api/manifest")

    async def set_account(self, shop: str = SHOP, **over: Any) -> Account:
        values: dict[str, Any] = {
            "id": str(uuid.uuid4()),
            "shop": shop,
            "channel": "default",
            "environment": Environment.TEST,
            "msn": DEFAULT_MERCHANT.msn,
            "client_id": DEFAULT_MERCHANT.client_id,
            "client_secret": DEFAULT_MERCHANT.client_secret,
            "subscription_key": DEFAULT_MERCHANT.subscription_key,
            "agreement_url": "https://shop.example/my-agreement",
        }
        return await set_account(self.context.deps, Account(**(values | over)))

    async def register_webhooks(self, shop: str = SHOP) -> WebhookState:
        """As `account check` does, for the shop's first account."""
        async with self.context.store.begin() as unit:
            account = (await unit.accounts.of_shop(shop))[0]
        return await check_webhooks(self.context.deps, account, webhook_url(APP_URL, account))

    async def client(self, *scopes: Scope, shop: str = SHOP) -> dict[str, str]:
        """Headers of a new API client with these scopes; with all of them where none is named."""
        made = await create_client(self.context.deps, shop, "test", scopes or ALL_SCOPES)
        return basic(made.client.id, made.secret)

    async def graphql(
        self, query: str, variables: Mapping[str, Any] | None = None, headers: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        answer = await self.http.post("/graphql", json={"query": query, "variables": variables}, headers=headers)
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body

    async def rest(self, path: str, body: Any, headers: Mapping[str, str] | None = None) -> httpx.Response:
        return await self.http.post(f"/vipps-recurring-payments{path}", json=body, headers=headers)

    def effects(self, effect: str) -> list[Any]:
        """What really happened at Vipps, by kind: charge, create, refund, …"""
        return [entry for entry in self.vipps.ledger if entry.effect == effect]

    async def agreement(self, headers: Mapping[str, str], *, approve: bool = True, **over: Any) -> str:
        """Make an agreement through the API, and approve it in the simulated app; its id."""
        values: dict[str, Any] = {
            "price": 25000,
            "productName": "Coffee",
            "interval": {"unit": "MONTH", "count": 1},
            "redirectUrl": "https://shop.example/thanks",
        }
        answer = await self.graphql(AGREEMENT_CREATE, {"input": values | over}, headers)
        created = answer["data"]["agreementCreate"]
        assert created["errors"] == [], created
        agreement_id: str = created["agreement"]["id"]
        if approve:
            self.vipps.approve(agreement_id)
        return agreement_id


AGREEMENT_CREATE = """
mutation ($input: AgreementCreateInput!) {
  agreementCreate(input: $input) {
    agreement { id status }
    confirmationUrl
    errors { field code message }
  }
}
"""


def basic(client_id: str, secret: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{client_id}:{secret}".encode()).decode()}


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


class Router(httpx.AsyncBaseTransport):
    """Sends each host to its ASGI app: the loopback of a test without sockets."""

    def __init__(self, apps: Mapping[str, httpx.AsyncBaseTransport]) -> None:
        self.apps = dict(apps)
        self.calls: list[httpx.Request] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.calls.append(request)
        app = self.apps.get(request.url.host)
        if app is None:
            raise httpx.ConnectError(f"no such host {request.url.host}", request=request)
        return await app.handle_async_request(request)


@cache
def _a_key(api_url: str) -> SigningKey:
    """One key for each shop's name and process: making one takes longer than many a test."""
    del api_url
    return SigningKey()


def new_shop(api_url: str, app: Callable[[], FastAPI], version: str = "3.23") -> SaleorSimulator:
    def clients() -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.ASGITransport(app=app()))

    return SaleorSimulator(api_url, version, start=START, clients=clients, key=_a_key(api_url))


def settings_for(database_url: str, **over: Any) -> Settings:
    values: dict[str, Any] = {
        "app_url": APP_URL,
        "secret_key": SECRET_KEY,
        "database_url": database_url,
        "allow_any_saleor": True,
        "vipps_test_url": VIPPS_URL,
        "vipps_live_url": "https://vipps-live.example",
    }
    return Settings(**(values | over))


def make_world(database_url: str, shop_urls: Sequence[str] = (SHOP,), version: str = "3.23", **over: Any) -> World:
    """A world on a migrated database. Close it with `await world.context.close()`."""
    time = Time()
    holder: list[FastAPI] = []

    def to_the_app() -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.ASGITransport(app=holder[0]))

    vipps = VippsSimulator(SimulatorConfig(public_url=VIPPS_URL), SimulatorClock(START), clients=to_the_app)
    shops = {url: new_shop(url, lambda: holder[0], version) for url in shop_urls}
    hosts: dict[str, httpx.AsyncBaseTransport] = {
        httpx.URL(url).host: httpx.ASGITransport(app=saleor_app(shop)) for url, shop in shops.items()
    }
    vipps_transport = httpx.ASGITransport(app=vipps_app(vipps))
    clients = HttpClients(
        vipps=httpx.AsyncClient(transport=Router({"vipps.example": vipps_transport})),
        saleor=httpx.AsyncClient(transport=Router(hosts)),
    )
    jobs = InlineJobs()
    told = Told()
    context = build(
        settings_for(database_url, **over), jobs=jobs, clock=time, http=clients, metrics=told, sleep=time.sleep
    )
    app = create_app(context)
    holder.append(app)
    http = httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url=APP_URL)
    return World(context, app, http, vipps, shops[shop_urls[0]], jobs, time, told.unforeseen, shops)
