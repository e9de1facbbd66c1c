"""Two shops, Vipps and the app in this process, on one clock: the past is told without a socket, as fast as it goes."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Coroutine
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypeVar

import httpx
from starlette.types import ASGIApp

from app.config import Settings
from app.demo import storefront
from app.demo.clock import OSLO, SharedTime, TimeAtShop, TimeAtVipps
from app.demo.processes import Place
from app.jobs.inline import InlineJobs
from app.jobs.workflows import handlers
from app.main import Context, HttpClients, build
from app.observability import Metrics
from app.saleor.payloads import object_of
from app.saleor.simulator.outgoing import default_client
from app.saleor.simulator.server import create_app as saleor_app
from app.saleor.simulator.simulator import Simulator as SaleorSimulator
from app.serving import create_app
from app.usecases.day_totals import total_days
from app.usecases.planning import plan
from app.usecases.sweep import sweep
from app.usecases.watchdog import watch
from app.vipps.simulator import DEFAULT_MERCHANT, MerchantCredentials, SimulatorConfig
from app.vipps.simulator import Simulator as VippsSimulator
from app.vipps.simulator import create_app as vipps_app

T = TypeVar("T")
SECOND_MERCHANT = MerchantCredentials(
    msn="654321",
    client_id="5a1b7f0e-0000-4000-8000-000000000002",
    client_secret="second-simulated-client-secret",  # noqa: S106  # opens nothing but this simulator
    subscription_key="second-simulated-subscription-key",
)
_EARLIER = timedelta(hours=1)  # the past ends a little before the present, for the minutes that its steps take
_BATCHES = (0, 7, 15)  # the first with the day, so that a day later what was due on it is collected
_A_WHILE = timedelta(minutes=5)


class Router(httpx.AsyncBaseTransport):
    """Sends each host and port to the application that will listen there."""

    def __init__(self) -> None:
        self.applications: dict[bytes, httpx.ASGITransport] = {}

    def add(self, url: str, application: ASGIApp) -> None:
        self.applications[httpx.URL(url).netloc] = httpx.ASGITransport(app=application)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        found = self.applications.get(request.url.netloc)
        if found is None:
            raise httpx.ConnectError(f"nobody listens at {request.url}", request=request)
        return await found.handle_async_request(request)


class _Told(Metrics):
    """Keeps what no rule foresaw: the story must not hide it."""

    def __init__(self) -> None:
        super().__init__()
        self.unforeseen: list[BaseException] = []

    def bug(self, error: BaseException) -> None:
        self.unforeseen.append(error)
        super().bug(error)


class World(httpx.BaseTransport):
    """The story's way to all of them; whatever a request sets off has happened when it is answered."""

    def __init__(self, runner: asyncio.Runner, settings: Settings, place: Place, new_shop: Place, days: int) -> None:
        self._runner = runner
        self.settings, self.place, self.new_shop = settings, place, new_shop
        self._morning = datetime.now(UTC) - timedelta(days=days) - _EARLIER
        self.time = SharedTime(self._morning)
        self.calendar: dict[date, list[Callable[[], None]]] = defaultdict(list)
        self._router = Router()
        self._past = True
        self.vipps = VippsSimulator(
            SimulatorConfig(
                public_url=place.vipps, merchants=(DEFAULT_MERCHANT, SECOND_MERCHANT), batch_hours=_BATCHES
            ),
            TimeAtVipps(self.time),
            self._clients,
        )
        self.shops = {it.saleor: self._shop(name, it) for name, it in {"Kaffe": place, "Ny butikk": new_shop}.items()}
        self.applications: dict[str, ASGIApp] = {place.vipps: vipps_app(self.vipps)}
        for it in (place, new_shop):
            self.applications[it.saleor] = application = saleor_app(self.shops[it.saleor])
            application.router.routes.append(storefront.route(it))
        self.told = _Told()
        self._jobs = InlineJobs()
        self.context = self.run(self._build())

    def _shop(self, name: str, place: Place) -> SaleorSimulator:
        clock = TimeAtShop(self.time)
        return SaleorSimulator(place.shop, name=name, clients=self._clients, clock=clock, schema_directory=None)

    async def _build(self) -> Context:
        clients = HttpClients(self._clients(), self._clients())
        context = build(
            self.settings,
            jobs=self._jobs,
            clock=self.time.now,
            http=clients,
            metrics=self.told,
            sleep=self.time.sleep,
        )
        await context.store.migrate()
        for url, application in (self.applications | {self.place.app: create_app(context)}).items():
            self._router.add(url, application)
        return context

    def _clients(self) -> httpx.AsyncClient:
        """The simulators' own: inside the process while the past is told, then over real sockets."""
        return httpx.AsyncClient(transport=self._router) if self._past else default_client()

    # Asking

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(work)

    def with_context(self, work: Callable[[Context], Awaitable[T]]) -> T:
        async def whole() -> T:
            return await work(self.context)

        return self.run(whole())

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return self.run(self._answer(request))

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        sent = httpx.Request(request.method, request.url, headers=request.headers, content=request.read())
        async with self._clients() as client:
            answer = await client.send(sent)
        await self._drain()
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content, request=request)

    # Time

    @property
    def today(self) -> date:
        return self.time.now().astimezone(OSLO).date()

    def wait(self) -> None:
        """A moment later: what was put off is taken up."""
        self.run(self._later())

    def days(self, number: int) -> None:
        """Each begins at the same time of the day, however long the one before was."""
        for _ in range(number):
            self._morning += timedelta(days=1)
            self.run(self._pass(self._morning - self.time.now()))
            self._keep_appointments()
            self.run(self._work())

    def until(self, day: date) -> None:
        while self.today < day:
            self.days(1)

    def catch_up(self) -> None:
        """The present has come: from now on the clock goes by itself."""
        self.time.catch_up()
        self._keep_appointments()

    def finish(self) -> None:
        """What is served from now on is reached over sockets."""
        self.run(self._finish())
        self._past = False

    def _keep_appointments(self) -> None:
        for day in sorted(it for it in self.calendar if it <= self.today):
            for act in self.calendar.pop(day):
                act()

    async def _finish(self) -> None:
        await plan(self.context.deps)
        await self._drain()
        await sweep(self.context.deps)
        await self._drain()
        await watch(self.context.deps)
        await total_days(self.context.deps)
        await self.context.close()

    async def _pass(self, time: timedelta) -> None:
        self.vipps.advance(time)
        await self._drain()

    async def _later(self) -> None:
        await self._pass(_A_WHILE)
        await sweep(self.context.deps)
        await self._drain()

    async def _work(self) -> None:
        """What a worker does by the clock."""
        await plan(self.context.deps)
        await self._later()

    async def _drain(self) -> None:
        """Deliver webhooks and do jobs until nothing is left to do."""
        while True:
            delivered = [await shop.deliver() for shop in self.shops.values()] + [await self.vipps.deliver()]
            done = await self._jobs.drain(handlers(self.context.deps, object_of))
            if not done and not any(delivered):
                return
