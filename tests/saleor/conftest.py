"""A simulated shop with an app beside it. One key serves all tests, because making one is slow."""

from datetime import UTC, datetime

import pytest

from app.domain.account import Installation
from app.saleor.simulator.keys import SigningKey
from app.saleor.simulator.simulator import Simulator
from tests.saleor.simulator.doubles import MANIFEST_URL, AppDouble
from tests.saleor.wire import Wire, installed

START = datetime(2026, 11, 22, 5, 0, 0, 123456, tzinfo=UTC)


@pytest.fixture(scope="session")
def key() -> SigningKey:
    return SigningKey()


@pytest.fixture
def double() -> AppDouble:
    return AppDouble()


@pytest.fixture
def shop(double: AppDouble, key: SigningKey) -> Simulator:
    return Simulator(start=START, clients=double.client, key=key)


@pytest.fixture
def wire(shop: Simulator) -> Wire:
    return Wire(shop)


@pytest.fixture
async def installation(shop: Simulator) -> Installation:
    return installed(await shop.install(MANIFEST_URL))


@pytest.fixture(params=["3.21", "3.22", "3.23", "3.24", "small"])
def any_shop(request: pytest.FixtureRequest, double: AppDouble, key: SigningKey) -> Simulator:
    """One of each version, and one with the small schema."""
    if request.param == "small":
        return Simulator(start=START, clients=double.client, key=key, schema_directory=None)
    return Simulator(version=request.param, start=START, clients=double.client, key=key)
