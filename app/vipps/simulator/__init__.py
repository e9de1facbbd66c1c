"""A stateful stand-in for the Vipps Recurring API, v2 and v3, and its webhooks, that shares no code with our client."""

from app.vipps.simulator.clock import SimulatorClock
from app.vipps.simulator.config import DEFAULT_MERCHANT, MerchantCredentials, RateLimit, SimulatorConfig
from app.vipps.simulator.faults import Fault
from app.vipps.simulator.knobs import Knobs
from app.vipps.simulator.models import Effect, LedgerEntry, RequestRecord
from app.vipps.simulator.server import create_app, default_app
from app.vipps.simulator.state import Simulator
from app.vipps.simulator.webhooks.deliveries import Attempt, Delivery, Mischief, Registration
from app.vipps.simulator.webhooks.events import Event

__all__ = [
    "DEFAULT_MERCHANT",
    "Attempt",
    "Delivery",
    "Effect",
    "Event",
    "Fault",
    "Knobs",
    "LedgerEntry",
    "MerchantCredentials",
    "Mischief",
    "RateLimit",
    "Registration",
    "RequestRecord",
    "Simulator",
    "SimulatorClock",
    "SimulatorConfig",
    "create_app",
    "default_app",
]
