"""A fresh simulator, frozen at noon of 10 March 2026, and its default merchant with a valid token."""

import pytest

from app.vipps.simulator import Simulator
from tests.vipps.simulator.helpers import Caller, a_caller, a_simulator
from tests.vipps.simulator.v3 import V3, a_v3_caller


@pytest.fixture
def simulator() -> Simulator:
    return a_simulator()


@pytest.fixture
async def caller(simulator: Simulator) -> Caller:
    return await a_caller(simulator)


@pytest.fixture
async def v3(simulator: Simulator) -> V3:
    return await a_v3_caller(simulator)
