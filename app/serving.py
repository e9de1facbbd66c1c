"""The ASGI app over a context, and the app as `serve` runs it, worker inside."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import structlog
from fastapi import FastAPI, Request
from starlette.middleware.cors import CORSMiddleware

from app import __version__
from app.config import Settings
from app.domain.account import Caller
from app.domain.errors import RecurringError
from app.gql import schema as graphql_schema
from app.jobs.engine import Engine
from app.jobs.workflows import register
from app.main import Context, build, prepare_database
from app.observability import Metrics, RequestLog
from app.saleor.payloads import object_of
from app.usecases.sweep import sweep
from app.web import drupal, health, saleor
from app.web.auth import any_caller
from app.web.context import WebContext
from app.web.limits import MaxBody

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


def create_app(
    context: Context,
    lifespan: Lifespan | None = None,
    checks: Mapping[str, Callable[[], Awaitable[bool]]] | None = None,
) -> FastAPI:
    """The ASGI app over a context that whoever calls has built and closes."""
    app = FastAPI(
        title="Vipps Recurring for Saleor",
        version=__version__,
        lifespan=lifespan,
        docs_url=None,  # the pages load their scripts from elsewhere, and GraphQL describes itself
        redoc_url=None,
        openapi_url=None,
    )
    app.include_router(saleor.router(context.web))
    app.include_router(drupal.router(context.web))
    app.include_router(graphql_schema.router(context.deps, _who(context.web)))
    ready = {"database": context.store.migrated} | dict(checks or {})
    app.include_router(health.router(context.metrics.registry, ready))
    app.add_middleware(MaxBody)
    # Storefronts call from browsers with a bearer token and never a cookie, so any origin may ask.
    app.add_middleware(CORSMiddleware, allow_origins=["*"], allow_methods=["POST"], allow_headers=["*"])
    app.add_middleware(RequestLog, metrics=context.metrics)
    return app


def _who(web: WebContext) -> Callable[[Request], Awaitable[Caller | RecurringError]]:
    async def who(request: Request) -> Caller | RecurringError:
        try:
            headers = request.headers
            return await any_caller(web, headers.get("Authorization"), headers.get("Authorization-Bearer"))
        except RecurringError as error:
            return error

    return who


def serving_app(settings: Settings) -> FastAPI:
    """The app as `serve` runs it: the worker inside, everything open taken up at the start."""
    metrics = Metrics()
    engine = Engine(metrics.bug)
    context = build(settings, jobs=engine, metrics=metrics)
    register(engine, context.deps, object_of, metrics.record_sweep)

    workers: list[asyncio.Task[None]] = []

    async def worker_runs() -> bool:
        return bool(workers) and not workers[0].done()

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        await prepare_database(context)
        worker = asyncio.create_task(engine.run())
        workers.append(worker)
        first = asyncio.create_task(_first_sweep(context))
        structlog.get_logger().info("serve.ready", url=settings.app_url)
        try:
            yield
        finally:
            first.cancel()
            await engine.stop(worker)
            await context.close()

    return create_app(context, lifespan, {"worker": worker_runs})


async def _first_sweep(context: Context) -> None:
    try:
        context.metrics.record_sweep(await sweep(context.deps, object_of))
    except Exception as error:  # noqa: BLE001  # the next minute's sweep tries again
        context.metrics.bug(error)
