"""Served over real connections, the simulator sends webhooks by itself."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

import httpx
import uvicorn

from app.vipps.simulator import Simulator, SimulatorConfig, create_app
from tests.vipps.simulator.helpers import Caller
from tests.vipps.simulator.hooks import Shop, a_webhook


@asynccontextmanager
async def _served(app: Any) -> AsyncIterator[str]:
    server = uvicorn.Server(uvicorn.Config(app, port=0, ws="none", log_level="critical"))
    running = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110  # uvicorn offers nothing to await
        await asyncio.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    await running


async def test_it_delivers_by_itself() -> None:
    """Signed with the system's time, however far the simulated one was moved; a first failure is made good."""
    shop = Shop()
    shop.answers.append(500)
    simulator = Simulator(SimulatorConfig())
    simulator.advance(timedelta(days=30))
    async with (
        _served(shop.app()) as shop_url,
        _served(create_app(simulator)) as url,
        httpx.AsyncClient(base_url=url, trust_env=False) as client,
    ):
        caller = Caller(client)
        await caller.get_token()
        secret = await a_webhook(caller, shop_url + "/hooks")
        simulator.approve(await caller.drafted())
        async with asyncio.timeout(30):
            while len(shop.heard) < 2:  # noqa: ASYNC110  # the shop is another server
                await asyncio.sleep(0.01)

    signed = datetime.strptime(shop.heard[0].headers["x-ms-date"], "%a, %d %b %Y %H:%M:%S %Z")  # noqa: DTZ007
    assert shop.heard[0].is_genuine(secret)
    assert simulator.clock.now().replace(tzinfo=None) - signed > timedelta(days=29)
