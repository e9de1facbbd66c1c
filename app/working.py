"""A process at work: it carries jobs, keeps time and shows that it is alive; inside `serve`, or on its own."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta

import structlog

from app.domain.account import Account
from app.jobs.engine import Engine
from app.jobs.workflows import Told, register
from app.main import Context
from app.saleor.payloads import object_of
from app.usecases.planning import Planned
from app.usecases.reconciliation import Reconciliation
from app.usecases.registrations import WebhookState
from app.usecases.sweep import sweep
from app.usecases.watchdog import Gap

_HEARTBEAT_SECONDS = 15.0
_FIRST_SWEEPS, _FIRST_SWEEPS_SECONDS = 8, 15.0
ALIVE = timedelta(seconds=60)


@asynccontextmanager
async def working(context: Context, engine: Engine) -> AsyncIterator["asyncio.Task[None]"]:
    """Carries jobs until the block ends; then running ones have 20 seconds to finish."""
    register(engine, context.deps, object_of, context.settings.app_url, _told(context))
    worker_id = str(uuid.uuid4())
    carrying = asyncio.create_task(engine.run())
    side = [asyncio.create_task(_heartbeat(context, worker_id)), asyncio.create_task(_first_sweeps(context))]
    try:
        yield carrying
    finally:
        for task in side:
            task.cancel()
        await asyncio.gather(*side, return_exceptions=True)
        await engine.stop(carrying)
        await _say_goodbye(context, worker_id)


@asynccontextmanager
async def watching(context: Context) -> AsyncIterator[None]:
    """What every process does beside its work: it writes the log of calls down, and keeps its gauges right."""

    async def gauges() -> None:
        while True:
            async with context.store.begin() as unit:
                context.metrics.dead_letters.set(await unit.failures.count())
                context.metrics.findings.set(await unit.findings.open_everywhere())
            await asyncio.sleep(_HEARTBEAT_SECONDS)

    tasks = [asyncio.create_task(_for_ever(context, work)) for work in (context.journal.run, gauges)]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _for_ever(context: Context, work: Callable[[], Awaitable[None]]) -> None:
    while True:
        try:
            await work()
        except Exception as error:  # noqa: BLE001  # the database may be away for a while
            context.metrics.bug(error)
        await asyncio.sleep(1)


def _told(context: Context) -> Told:
    log = structlog.get_logger()

    def reconciled(books: Reconciliation) -> None:
        left = len(books.open_findings)
        log.info(
            "reconcile.done",
            account=books.account.id,
            agreements=books.agreements,
            charges=books.charges,
            differences=len(books.findings),
            open=left,
            trouble=books.trouble,
        )

    def webhooks(account: Account, state: WebhookState) -> None:
        log.info("webhooks.checked", account=account.id, state=state.text)

    def planned(done: Planned) -> None:
        if done.total:
            log.info("renewals.planned", **done.counts)

    def watched(gaps: Sequence[Gap]) -> None:
        context.metrics.renewal_gaps.set(len(gaps))
        for gap in gaps:
            log.warning("renewals.gap", kind=gap.kind.value, agreement=gap.agreement_id, text=gap.text)

    return Told(context.metrics.record_sweep, reconciled, webhooks, planned, watched)


async def _heartbeat(context: Context, worker_id: str) -> None:
    while True:
        try:
            async with context.store.begin() as unit:
                await unit.workers.seen(worker_id, context.deps.clock())
        except Exception as error:  # noqa: BLE001  # the database may be away for a while
            context.metrics.bug(error)
        await asyncio.sleep(_HEARTBEAT_SECONDS)


async def _say_goodbye(context: Context, worker_id: str) -> None:
    try:
        async with context.store.begin() as unit:
            await unit.workers.gone(worker_id)
    except Exception as error:  # noqa: BLE001  # with the database away it is forgotten after a minute all the same
        context.metrics.bug(error)


async def worker_alive(context: Context) -> bool:
    """Whether any process that carries jobs has shown itself lately."""
    async with context.store.begin() as unit:
        return await unit.workers.since(context.deps.clock() - ALIVE) > 0


async def _first_sweeps(context: Context) -> None:
    """What a process that died has left open is looked for more often than each minute, for a while.

    Its leases end one by one, and on SQLite its delayed jobs are forgotten.
    """
    for pause in (0.0, *[_FIRST_SWEEPS_SECONDS] * _FIRST_SWEEPS):
        await asyncio.sleep(pause)
        try:
            context.metrics.record_sweep(await sweep(context.deps))
        except Exception as error:  # noqa: BLE001  # the next sweep tries again
            context.metrics.bug(error)
