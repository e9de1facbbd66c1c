"""A stateful stand-in for the Vipps Recurring API v2 that shares no code with our client."""

from app.vipps.simulator.clock import SimulatorClock
from app.vipps.simulator.config import DEFAULT_MERCHANT, MerchantCredentials, SimulatorConfig
from app.vipps.simulator.faults import Fault
from app.vipps.simulator.models import Effect, LedgerEntry, RequestRecord
from app.vipps.simulator.server import create_app, default_app
from app.vipps.simulator.state import Simulator

__all__ = [
    "DEFAULT_MERCHANT",
    "Effect",
    "Fault",
    "LedgerEntry",
    "MerchantCredentials",
    "RequestRecord",
    "Simulator",
    "SimulatorClock",
    "SimulatorConfig",
    "create_app",
    "default_app",
]
