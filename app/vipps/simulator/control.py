"""The `/simulator/` endpoints: what a test can do in process, over HTTP. They ask for no key: never expose them."""

import dataclasses
from collections.abc import Awaitable, Callable, Iterable
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from app.vipps.simulator.faults import ArmedFault, Fault
from app.vipps.simulator.models import FailureReason
from app.vipps.simulator.state import Simulator
from app.vipps.simulator.user import NotPossibleError
from app.vipps.simulator.views import agreement_view, charge_view, moment

TEN_YEARS = 10 * 366 * 86_400
_FAULT = TypeAdapter(Fault)
Handler = Callable[[Simulator, Request], Awaitable[Any]]


class Strict(BaseModel):
    """A misspelled wish would do nothing, so it is refused."""

    model_config = ConfigDict(extra="forbid")


class KnobsCommand(Strict):
    """Durations are given in seconds; what is left out stays as it is."""

    rate_limits_on: bool | None = None
    strict_fields: bool | None = None
    forced_202: bool | None = None
    accepted_delay: Annotated[timedelta | None, Field(ge=timedelta())] = None
    batch_delay: Annotated[timedelta | None, Field(ge=timedelta())] = None
    repeated_stop_ok: bool | None = None
    v2_draft_keys: bool | None = None
    require_https: bool | None = None


class ClockCommand(BaseModel):
    advance_seconds: Annotated[float, Field(ge=0, le=TEN_YEARS)]


class LatencyCommand(BaseModel):
    seconds: Annotated[float, Field(ge=0, le=3600)]


class ApproveCommand(BaseModel):
    max_amount: Annotated[int | None, Field(ge=100)] = None


class FailureCommand(BaseModel):
    reason: FailureReason | None


class StopCommand(BaseModel):
    actor: Literal["USER", "ADMIN"] = "USER"


class DisguiseCommand(Strict):
    status: Annotated[str | None, Field(min_length=1)] = None
    fields: dict[str, Any] = {}


class CreationFailureCommand(Strict):
    order_ids: list[str]
    reason: FailureReason = "technical_error"


def control_routes(simulator: Simulator) -> list[Route]:
    table: tuple[tuple[str, str, Handler], ...] = (
        ("GET", "/ledger", _ledger),
        ("GET", "/requests", _requests),
        ("GET", "/agreements/{agreement_id}", _agreement),
        ("GET", "/clock", _clock),
        ("POST", "/clock", _advance),
        ("POST", "/latency", _latency),
        ("POST", "/process-due", _process_due),
        ("POST", "/tokens/revoke", _revoke),
        ("POST", "/agreements/{agreement_id}/approve", _approve),
        ("POST", "/agreements/{agreement_id}/reject", _reject),
        ("POST", "/agreements/{agreement_id}/stop", _stop),
        ("POST", "/agreements/{agreement_id}/failure", _failure),
        ("POST", "/agreements/{agreement_id}/disguise", _disguise),
        ("POST", "/agreements/{agreement_id}/charges/{charge_id}/disguise", _disguise),
        ("POST", "/creation-failures", _fail_creation),
        ("GET", "/knobs", _knobs),
        ("POST", "/knobs", _turn_knobs),
        ("GET", "/faults", _list_faults),
        ("POST", "/faults", _add_fault),
        ("DELETE", "/faults", _clear_faults),
    )
    return routes_of(simulator, table)


def routes_of(simulator: Simulator, table: Iterable[tuple[str, str, Handler]]) -> list[Route]:
    return [Route("/simulator" + path, _endpoint(simulator, run), methods=[method]) for method, path, run in table]


def _endpoint(simulator: Simulator, run: Handler) -> Callable[[Request], Awaitable[JSONResponse]]:
    async def respond(request: Request) -> JSONResponse:
        try:
            return JSONResponse(await run(simulator, request))
        except ValidationError as error:
            problems = error.errors(include_url=False, include_context=False, include_input=False)
            return JSONResponse({"error": "The body cannot be used.", "problems": problems}, 400)
        except KeyError:
            return JSONResponse({"error": "There is no such agreement."}, 404)
        except LookupError as error:
            return JSONResponse({"error": str(error)}, 404)
        except NotPossibleError as error:
            return JSONResponse({"error": str(error)}, 409)

    return respond


async def _ledger(simulator: Simulator, _: Request) -> Any:
    simulator.settle()
    return [dataclasses.asdict(entry) | {"at": entry.at.isoformat()} for entry in simulator.ledger]


async def _requests(simulator: Simulator, _: Request) -> Any:
    return [dataclasses.asdict(record) | {"at": record.at.isoformat()} for record in simulator.requests]


async def _agreement(simulator: Simulator, request: Request) -> Any:
    agreement = simulator.agreement(request.path_params["agreement_id"])
    charges = [charge_view(charge) for charge in agreement.charges.values()]
    return agreement_view(agreement, str(request.base_url).rstrip("/")) | {"charges": charges}


async def _clock(simulator: Simulator, _: Request) -> Any:
    return {"now": moment(simulator.clock.now())}


async def _advance(simulator: Simulator, request: Request) -> Any:
    command = ClockCommand.model_validate_json(await request.body())
    return {"now": moment(simulator.advance(timedelta(seconds=command.advance_seconds)))}


async def _latency(simulator: Simulator, request: Request) -> Any:
    simulator.latency = LatencyCommand.model_validate_json(await request.body()).seconds
    return {"seconds": simulator.latency}


async def _process_due(simulator: Simulator, _: Request) -> Any:
    return {"attempts": simulator.process_due()}


async def _revoke(simulator: Simulator, _: Request) -> Any:
    simulator.revoke_tokens()
    return {}


async def _approve(simulator: Simulator, request: Request) -> Any:
    command = ApproveCommand.model_validate_json(await request.body() or b"{}")
    simulator.approve(request.path_params["agreement_id"], command.max_amount)
    return await _status(simulator, request)


async def _reject(simulator: Simulator, request: Request) -> Any:
    simulator.reject(request.path_params["agreement_id"])
    return await _status(simulator, request)


async def _stop(simulator: Simulator, request: Request) -> Any:
    command = StopCommand.model_validate_json(await request.body() or b"{}")
    stop = simulator.stop_as_admin if command.actor == "ADMIN" else simulator.stop_in_app
    stop(request.path_params["agreement_id"])
    return await _status(simulator, request)


async def _failure(simulator: Simulator, request: Request) -> Any:
    command = FailureCommand.model_validate_json(await request.body())
    simulator.set_failure(request.path_params["agreement_id"], command.reason)
    return {"reason": command.reason}


async def _disguise(simulator: Simulator, request: Request) -> Any:
    command = DisguiseCommand.model_validate_json(await request.body() or b"{}")
    simulator.disguise(**request.path_params, status=command.status, fields=command.fields)
    return command.model_dump()


async def _fail_creation(simulator: Simulator, request: Request) -> Any:
    command = CreationFailureCommand.model_validate_json(await request.body())
    for order_id in command.order_ids:
        simulator.fail_creation(order_id, command.reason)
    return dict(simulator.book.doomed_orders)


async def _knobs(simulator: Simulator, _: Request) -> Any:
    values = dataclasses.asdict(simulator.knobs)
    return {name: it.total_seconds() if isinstance(it, timedelta) else it for name, it in values.items()}


async def _turn_knobs(simulator: Simulator, request: Request) -> Any:
    command = KnobsCommand.model_validate_json(await request.body())
    for name, value in command.model_dump(exclude_none=True).items():
        setattr(simulator.knobs, name, value)
    return await _knobs(simulator, request)


async def _status(simulator: Simulator, request: Request) -> Any:
    agreement = simulator.agreement(request.path_params["agreement_id"])
    return {"agreementId": agreement.id, "status": agreement.status}


async def _list_faults(simulator: Simulator, _: Request) -> Any:
    return [_fault_view(armed) for armed in simulator.faults.armed]


async def _add_fault(simulator: Simulator, request: Request) -> Any:
    return _fault_view(simulator.faults.add(_FAULT.validate_json(await request.body())))


async def _clear_faults(simulator: Simulator, _: Request) -> Any:
    simulator.faults.clear()
    return []


def _fault_view(armed: ArmedFault) -> dict[str, Any]:
    return {"number": armed.number, "hits": armed.hits} | dataclasses.asdict(armed.fault)
