"""The shops, Vipps and the app as servers of this process, on the clock that they share, and where to find what."""

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from urllib.parse import quote

import httpx
import uvicorn
from rich.console import Console
from starlette.types import ASGIApp

from app.demo import storefront
from app.demo.errors import StoryError
from app.demo.processes import Place
from app.demo.world import SECOND_MERCHANT, World
from app.jobs.inline import InlineJobs
from app.jobs.workflows import handlers
from app.main import Context, build
from app.saleor.payloads import object_of
from app.serving import serving_app
from app.usecases.planning import plan
from app.usecases.sweep import sweep

_LOOKS, _PAUSE = 600, 0.1  # whether everything has come up, and the seconds between


class _Server(uvicorn.Server):
    """One of several: the demo itself hears of Ctrl-C."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(world: World, *, once: bool) -> None:
    """Until Ctrl-C or SIGTERM; `once` only sees that everything answers."""
    async with opened(world), httpx.AsyncClient(timeout=10) as http:
        await _look(http, world)
        Console(highlight=False, soft_wrap=True).print(await _directory(http, world))
        if not once:
            asked_to_end = asyncio.Event()
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, asked_to_end.set)
            await asked_to_end.wait()


@asynccontextmanager
async def opened(world: World) -> AsyncIterator[None]:
    """Everything listens, on the clock that the story has brought to the present."""
    app = serving_app(world.settings, worker=True, clock=world.time.now)
    async with _listening({**world.applications, world.place.app: app}), _following(world):
        yield


def _server(url: str, application: ASGIApp) -> _Server:
    where = httpx.URL(url)
    options = {"log_config": None, "access_log": False, "timeout_graceful_shutdown": 2}
    return _Server(uvicorn.Config(application, host=where.host, port=where.port or 80, **options))  # type: ignore[arg-type]


@asynccontextmanager
async def _listening(applications: dict[str, ASGIApp]) -> AsyncIterator[None]:
    servers = [_server(url, application) for url, application in applications.items()]
    running = [asyncio.create_task(it.serve()) for it in servers]
    try:
        for _ in range(_LOOKS):
            if all(it.started for it in servers):
                break
            await asyncio.sleep(_PAUSE)
        else:
            raise StoryError("not everything came up to be served")
        yield
    finally:
        for it in servers:
            it.should_exit = True
        await asyncio.gather(*running, return_exceptions=True)


@asynccontextmanager
async def _following(world: World) -> AsyncIterator[None]:
    """Whoever moves the clock finds done what a worker does by the clock, without waiting for its real minutes."""
    moved, ending = asyncio.Event(), asyncio.Event()
    world.time.moved.append(moved.set)
    jobs = InlineJobs()
    context = build(world.settings, clock=world.time.now, jobs=jobs)
    task = asyncio.create_task(_follow(context, jobs, moved, ending))
    try:
        yield
    finally:
        # Called off in the middle of a transaction it would leave SQLite locked for whoever opens it next.
        ending.set()
        moved.set()
        await asyncio.gather(task, return_exceptions=True)
        await context.close()


async def _follow(context: Context, jobs: InlineJobs, moved: asyncio.Event, ending: asyncio.Event) -> None:
    while True:
        await moved.wait()
        moved.clear()
        if ending.is_set():
            return
        await plan(context.deps)
        await sweep(context.deps)
        await jobs.drain(handlers(context.deps, object_of))


async def _look(http: httpx.AsyncClient, world: World) -> None:
    place, second = world.place, world.new_shop
    pages = [place.vipps, place.saleor, second.saleor, f"{place.app}/readyz", place.saleor + storefront.PATH]
    for page in pages:
        answer = await http.get(page)
        if answer.status_code != httpx.codes.OK:
            raise StoryError(f"{page} answered {answer.status_code}: {answer.text[:300]}")


async def _dashboard(http: httpx.AsyncClient, place: Place) -> str:
    """Where the app is opened in the simulated Dashboard."""
    apps = (await http.get(f"{place.saleor}/simulator/apps")).json()
    return f"{place.saleor}/dashboard/extensions/app/{quote(apps[-1]['id'], safe='')}"


async def _directory(http: httpx.AsyncClient, world: World) -> str:
    place, second, keys = world.place, world.new_shop, SECOND_MERCHANT
    return f"""
[bold]Everything keeps running, look around:[/bold]
  the shop's Dashboard, with the app's pages      {await _dashboard(http, place)}
  its storefront, to subscribe as a customer      {place.saleor}{storefront.PATH}
  the simulated Vipps, with its agreements        {place.vipps}/
    ("Advance one day" there moves the clock of everything: a charge made today is collected tomorrow)
  the shop behind it, with orders and webhooks    {place.saleor}/
  the app's GraphQL                               {place.app}/graphql

[bold]A second shop, to be set up from nothing:[/bold]
  its Dashboard, with the app's pages             {await _dashboard(http, second)}
  its storefront                                  {second.saleor}{storefront.PATH}
  Vipps' keys for it, which open this simulation only:
    environment              test
    merchant serial number   {keys.msn}
    client id                {keys.client_id}
    client secret            {keys.client_secret}
    subscription key         {keys.subscription_key}

Ctrl-C ends it. Nothing is kept."""
