"""The ASGI app over a context, and the app as `serve` runs it, worker inside."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager

import structlog
from fastapi import FastAPI, Request
from starlette.middleware.cors import CORSMiddleware

from app import __version__
from app.config import Settings
from app.domain.account import Caller
from app.domain.errors import RecurringError
from app.gql import schema as graphql_schema
from app.jobs.engine import Engine
from app.main import Context, build, prepare_database, system_clock
from app.observability import Metrics, RequestLog
from app.usecases.ports import Clock
from app.web import drupal, health, saleor, vipps
from app.web.auth import any_caller
from app.web.context import WebContext
from app.web.limits import MaxBody
from app.web.pages import routes as pages
from app.working import watching, worker_alive, working

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
    app.include_router(vipps.router(context.web))
    app.include_router(drupal.router(context.web))
    app.include_router(pages.router(context.web))
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


def serving_app(settings: Settings, *, worker: bool, clock: Clock = system_clock) -> FastAPI:
    """The app as `serve` runs it; with `worker` it carries jobs too, else it only hands them over."""
    metrics = Metrics()
    engine = Engine(metrics.bug, settings.database)
    context = build(settings, jobs=engine, metrics=metrics, clock=clock)

    async def worker_runs() -> bool:
        return await worker_alive(context)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        await prepare_database(context)
        async with AsyncExitStack() as stack:
            stack.push_async_callback(context.close)
            await stack.enter_async_context(watching(context))
            if worker:
                await stack.enter_async_context(working(context, engine))
            else:
                stack.push_async_callback(engine.stop)
            structlog.get_logger().info("serve.ready", url=settings.app_url)
            yield

    return create_app(context, lifespan, {"worker": worker_runs})


async def work_alone(settings: Settings, stop: asyncio.Event) -> None:
    """The `worker` command: carries jobs until it is told to stop."""
    metrics = Metrics()
    engine = Engine(metrics.bug, settings.database)
    context = build(settings, jobs=engine, metrics=metrics)
    try:
        async with watching(context), working(context, engine) as carrying:
            loop = type(asyncio.get_running_loop()).__module__
            structlog.get_logger().info("worker.ready", loop=loop)
            stopping = asyncio.create_task(stop.wait())
            await asyncio.wait({stopping, carrying}, return_when=asyncio.FIRST_COMPLETED)
            stopping.cancel()
    finally:
        await context.close()
