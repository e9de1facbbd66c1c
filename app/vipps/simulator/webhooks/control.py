"""The `/simulator/` endpoints for webhooks: who registered, what was sent, and what goes wrong on the way."""

from datetime import timedelta
from typing import Annotated, Any

from pydantic import Field
from starlette.requests import Request
from starlette.routing import Route

from app.vipps.simulator.control import Strict, routes_of
from app.vipps.simulator.state import Simulator
from app.vipps.simulator.webhooks.deliveries import Delivery, Mischief, Tampering


class MischiefCommand(Strict):
    """The whole of it: what is left out is off. Durations are given in seconds."""

    drop: bool = False
    duplicate: bool = False
    reorder: bool = False
    delay: Annotated[timedelta, Field(ge=timedelta())] = timedelta()
    tamper: Tampering | None = None
    stale: timedelta = timedelta()
    x_authorization: bool = False
    events: frozenset[str] | None = None


class InventCommand(Strict):
    event_type: str
    fields: Annotated[dict[str, Any], Field(default_factory=dict)]
    msn: str | None = None


def webhook_control_routes(simulator: Simulator) -> list[Route]:
    return routes_of(
        simulator,
        (
            ("GET", "/webhooks", _registrations),
            ("GET", "/events", _events),
            ("POST", "/events", _invent),
            ("GET", "/deliveries", _deliveries),
            ("POST", "/deliveries/{number:int}/replay", _replay),
            ("POST", "/deliver", _deliver),
            ("GET", "/mischief", _mischief),
            ("POST", "/mischief", _set_mischief),
        ),
    )


async def _registrations(simulator: Simulator, _: Request) -> Any:
    """Secrets are shown here no more than in the API."""
    return [
        {"id": it.id, "msn": it.msn, "url": it.url, "events": it.events, "waiting": len(it.queue)}
        for it in simulator.registrations
    ]


async def _events(simulator: Simulator, _: Request) -> Any:
    return [event.payload for event in simulator.events]


async def _invent(simulator: Simulator, request: Request) -> Any:
    command = InventCommand.model_validate_json(await request.body())
    simulator.invent_event(command.event_type, command.fields, command.msn)
    return simulator.events[-1].payload


async def _deliveries(simulator: Simulator, _: Request) -> Any:
    simulator.settle()
    return [_view(delivery) for delivery in simulator.deliveries]


async def _replay(simulator: Simulator, request: Request) -> Any:
    return _view(simulator.replay(request.path_params["number"]))


async def _deliver(simulator: Simulator, _: Request) -> Any:
    return {"sent": await simulator.deliver()}


async def _mischief(simulator: Simulator, _: Request) -> Any:
    return _mischief_view(simulator.mischief)


async def _set_mischief(simulator: Simulator, request: Request) -> Any:
    command = MischiefCommand.model_validate_json(await request.body())
    simulator.mischief = Mischief(**dict(command))
    return _mischief_view(simulator.mischief)


def _mischief_view(mischief: Mischief) -> dict[str, Any]:
    seconds = {"delay": mischief.delay.total_seconds(), "stale": mischief.stale.total_seconds()}
    events = None if mischief.events is None else sorted(mischief.events)
    return vars(mischief) | seconds | {"events": events}


def _view(delivery: Delivery) -> dict[str, Any]:
    return {
        "number": delivery.number,
        "registration": delivery.registration.id,
        "url": delivery.registration.url,
        "event": delivery.event.payload,
        "status": delivery.status,
        "due_at": delivery.due_at.isoformat(),
        "attempts": [
            {"at": it.at.isoformat(), "status_code": it.status_code, "response": it.response}
            for it in delivery.attempts
        ],
        "replay_of": delivery.replay_of,
    }
