"""A fresh simulated Vipps, frozen at the builders' NOW, and a client of each version that talks to it."""

from collections.abc import AsyncIterator

import httpx
import pytest

from app.vipps.simulator import Simulator, SimulatorClock, SimulatorConfig, create_app
from tests.builders import NOW
from tests.vipps.helpers import VERSIONS, Provider, Wire, a_provider


@pytest.fixture
def simulator() -> Simulator:
    return Simulator(SimulatorConfig(), SimulatorClock(NOW))


@pytest.fixture
def wire(simulator: Simulator) -> Wire:
    return Wire(httpx.ASGITransport(app=create_app(simulator)))


@pytest.fixture(params=list(VERSIONS))
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def client(wire: Wire) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=wire) as client:
        yield client


@pytest.fixture
def vipps(version: str, simulator: Simulator, client: httpx.AsyncClient) -> Provider:
    """One after the other: v2 and v3."""
    return a_provider(version, client, simulator.clock.now)


@pytest.fixture
def v2(simulator: Simulator, client: httpx.AsyncClient) -> Provider:
    return a_provider("v2", client, simulator.clock.now)


@pytest.fixture
def v3(simulator: Simulator, client: httpx.AsyncClient) -> Provider:
    return a_provider("v3", client, simulator.clock.now)
