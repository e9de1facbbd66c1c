"""The simulator as a web application: the API of Vipps, the control endpoints, and pages to look around."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from starlette.applications import Starlette
from starlette.routing import BaseRoute, Route

from app.vipps.simulator.access import OPERATION, PATHS, answer_token
from app.vipps.simulator.api import ApiEndpoint
from app.vipps.simulator.control import control_routes
from app.vipps.simulator.operations import OPERATIONS as V2_OPERATIONS
from app.vipps.simulator.pages import page_routes
from app.vipps.simulator.state import Simulator
from app.vipps.simulator.v3.operations import OPERATIONS as V3_OPERATIONS
from app.vipps.simulator.webhooks.control import webhook_control_routes
from app.vipps.simulator.webhooks.operations import webhook_operations


def create_app(simulator: Simulator) -> Starlette:
    """Plain routes without middleware: benchmarks should measure the caller, not this.

    Served by uvicorn it sends webhooks by itself; under an ASGI transport, without lifespan, `deliver()` does.
    """
    operations = (*V2_OPERATIONS, *V3_OPERATIONS, *webhook_operations(simulator.sender.registrations))
    routes: list[BaseRoute] = [
        Route(
            operation.path,
            ApiEndpoint(simulator, operation.name, partial(simulator.handle, operation)),
            methods=list(operation.methods),
        )
        for operation in operations
    ]
    tokens = ApiEndpoint(simulator, OPERATION, partial(answer_token, simulator))
    routes += [Route(path, tokens, methods=["POST"]) for path in PATHS]
    routes += [*control_routes(simulator), *webhook_control_routes(simulator), *page_routes(simulator)]

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with simulator.delivering():
            yield

    return Starlette(routes=routes, lifespan=lifespan)


def default_app() -> Starlette:
    """For `uvicorn --factory app.vipps.simulator.server:default_app`: default merchant, system clock."""
    return create_app(Simulator())
