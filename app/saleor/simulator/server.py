"""The simulated shop as an ASGI application: Saleor's endpoints, the controls, and a page to look at."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from starlette.middleware.cors import CORSMiddleware

from app.saleor.simulator.control import Control
from app.saleor.simulator.control_payments import PaymentControl
from app.saleor.simulator.control_shop import ShopControl
from app.saleor.simulator.dashboard import Dashboard
from app.saleor.simulator.dashboard_parts import DashboardParts
from app.saleor.simulator.outgoing import to_json
from app.saleor.simulator.simulator import Simulator
from app.saleor.simulator.views import app_view, checkout_view, delivery_view, order_view

_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).with_name("templates")),
    autoescape=select_autoescape(),
    undefined=StrictUndefined,
)

_ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><rect width="9" height="9" rx="2" fill="#394052"/></svg>'
)


def create_app(simulator: Simulator) -> FastAPI:
    """Served by uvicorn it sends webhooks by itself; under an ASGI transport, without lifespan, `deliver()` does."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with simulator.delivering():
            yield

    server = FastAPI(title="Saleor simulator", lifespan=lifespan)
    # Saleor lets storefronts of any origin ask, unless ALLOWED_GRAPHQL_ORIGINS says otherwise.
    server.add_middleware(CORSMiddleware, allow_origins=["*"], allow_methods=["POST"], allow_headers=["*"])
    server.include_router(Control(simulator).router())
    server.include_router(PaymentControl(simulator).router())
    server.include_router(ShopControl(simulator).router())
    server.include_router(DashboardParts(simulator, _TEMPLATES).router())
    server.include_router(Dashboard(simulator, _TEMPLATES).router())

    @server.post("/graphql/")
    async def graphql(request: Request) -> Response:
        if simulator.away:
            return _nobody_here(simulator.away)
        try:
            body = json.loads(await request.body())
        except ValueError:
            body = None
        answer = await simulator.answer(body, request.headers)
        return Response(to_json(answer.content), answer.status, media_type="application/json")

    @server.get("/.well-known/jwks.json")
    async def jwks() -> Response:
        if simulator.away:
            return _nobody_here(simulator.away)
        return JSONResponse(simulator.jwks())

    @server.get("/favicon.ico")
    async def icon() -> Response:
        return Response(_ICON, media_type="image/svg+xml")

    @server.get("/", response_class=HTMLResponse)
    async def page() -> str:
        return _page(simulator)

    return server


def _nobody_here(status: int) -> Response:
    """What the proxy before an absent shop says: no JSON."""
    return HTMLResponse(f"<html><body><h1>{status}</h1></body></html>", status)


def _page(simulator: Simulator) -> str:
    return _TEMPLATES.get_template("shop.html").render(
        shop=simulator,
        checkouts=[checkout_view(checkout) for checkout in simulator.checkouts],
        orders=[order_view(order) for order in reversed(simulator.orders)],
        apps=[app_view(app) for app in simulator.apps if app.removed_at is None],
        deliveries=[delivery_view(delivery) for delivery in reversed(simulator.deliveries)],
    )
