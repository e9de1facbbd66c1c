"""A simulated shop with an app beside it. One key serves all tests, because making one is slow."""

from datetime import UTC, datetime

import pytest

from app.saleor.simulator.keys import SigningKey
from app.saleor.simulator.simulator import Simulator
from tests.saleor.simulator.doubles import AppDouble

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
