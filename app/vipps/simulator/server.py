"""The simulator as a web application: the API of Vipps, the control endpoints, and pages to look around."""

from functools import partial

from starlette.applications import Starlette
from starlette.routing import BaseRoute, Route

from app.vipps.simulator.access import OPERATION, PATHS, answer_token
from app.vipps.simulator.api import ApiEndpoint
from app.vipps.simulator.control import control_routes
from app.vipps.simulator.operations import OPERATIONS
from app.vipps.simulator.pages import page_routes
from app.vipps.simulator.state import Simulator


def create_app(simulator: Simulator) -> Starlette:
    """Plain routes without middleware: benchmarks should measure the caller, not this."""
    routes: list[BaseRoute] = [
        Route(
            operation.path,
            ApiEndpoint(simulator, operation.name, partial(simulator.handle, operation)),
            methods=list(operation.methods),
        )
        for operation in OPERATIONS
    ]
    tokens = ApiEndpoint(simulator, OPERATION, partial(answer_token, simulator))
    routes += [Route(path, tokens, methods=["POST"]) for path in PATHS]
    return Starlette(routes=[*routes, *control_routes(simulator), *page_routes(simulator)])


def default_app() -> Starlette:
    """For `uvicorn --factory app.vipps.simulator.server:default_app`: default merchant, system clock."""
    return create_app(Simulator())
