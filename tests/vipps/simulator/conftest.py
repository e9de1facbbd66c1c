"""A fresh simulator, frozen at noon of 10 March 2026, and its default merchant with a valid token."""

import pytest

from app.vipps.simulator import Simulator
from tests.vipps.simulator.helpers import Caller, a_caller, a_simulator


@pytest.fixture
def simulator() -> Simulator:
    return a_simulator()


@pytest.fixture
async def caller(simulator: Simulator) -> Caller:
    return await a_caller(simulator)
