"""The job engine, PgQueuer: on PostgreSQL for any number of workers, in memory inside one process on SQLite.

The only file that names it. It carries a kind, a shop and row ids to a handler, now or later. Rows are the truth: what
a crash makes the engine forget, the sweeper finds in them, so nothing depends on it but speed.
"""

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta

import asyncpg
from pgqueuer import AsyncpgPoolDriver, InMemoryDriver, InMemoryQueries, PgQueuer, Queries
from pgqueuer.models import Job as CarriedJob
from pgqueuer.models import Schedule

from app.usecases.ports import Job

Handler = Callable[[str, Sequence[str]], Awaitable[None]]
_HEARTBEAT = timedelta(seconds=15)  # jobs of a worker that is silent for so long go to another one
_BATCH = 20
_AT_ONCE = 64  # jobs of one worker
_RECONNECT_SECONDS = 2.0


class Engine:
    """The Jobs port. Register handlers, then `run` until `stop`; a process that only enqueues does neither."""

    def __init__(self, bug: Callable[[BaseException], None], database_url: str = "") -> None:
        """`database_url` is a PostgreSQL one, or the engine lives in this process's memory."""
        self._dsn = database_url.replace("+asyncpg", "") if database_url.startswith("postgresql") else None
        self._bug = bug
        self._handlers: dict[str, Handler] = {}
        self._schedules: dict[str, tuple[str, Callable[[], Awaitable[object]]]] = {}
        self._memory = InMemoryQueries(InMemoryDriver())
        self._pool: asyncpg.Pool | None = None
        self._opening = asyncio.Lock()
        self._running: PgQueuer | None = None
        self._stopping = False

    def on(self, kind: Job, handler: Handler) -> None:
        self._handlers[kind.value] = handler

    def schedule(self, name: str, cron: str, work: Callable[[], Awaitable[object]]) -> None:
        """Run `work` by the clock (UTC), once a tick however many workers there are."""
        self._schedules[name] = (cron, work)

    async def enqueue(self, kind: Job, shop: str, row_ids: Sequence[str], *, after: timedelta | None = None) -> None:
        if not row_ids:
            return
        payload = json.dumps([shop, list(row_ids)]).encode()
        # A job that is running must not swallow the one that is to come after it, so its time is part of its name.
        name = hashlib.sha256(payload + (str(after) + str(_now()) if after else "").encode()).hexdigest()
        try:
            queries = await self._queries()
            await queries.enqueue(
                kind.value, payload, execute_after=after, dedupe_key=f"{kind}/{name}", on_conflict="skip"
            )
        except Exception as error:  # noqa: BLE001  # the row is stored: the sweeper carries it in the engine's place
            self._bug(error)

    async def _queries(self) -> Queries | InMemoryQueries:
        return self._memory if self._dsn is None else Queries(AsyncpgPoolDriver(await self._connections()))

    async def _connections(self) -> asyncpg.Pool:
        async with self._opening:
            if self._pool is None:
                self._pool = await asyncpg.create_pool(self._dsn, min_size=1, max_size=5, command_timeout=30)
            return self._pool

    async def run(self) -> None:
        """Carry jobs until `stop`; where the database goes away, until it is back."""
        while not self._stopping:
            try:
                self._running = await self._build()
                await self._running.run(
                    dequeue_timeout=timedelta(seconds=5),
                    batch_size=_BATCH,
                    max_concurrent_tasks=_AT_ONCE,
                    heartbeat_timeout=_HEARTBEAT,
                    shutdown_on_listener_failure=True,
                )
            except Exception as error:  # noqa: BLE001
                self._bug(error)
            if not self._stopping:
                await asyncio.sleep(_RECONNECT_SECONDS)

    async def _build(self) -> PgQueuer:
        if self._dsn is None:
            engine = PgQueuer(InMemoryDriver(), queries=self._memory)
        else:
            engine = PgQueuer.from_asyncpg_pool(await self._connections())
        for kind, handler in self._handlers.items():
            engine.entrypoint(kind)(self._carrier(handler))
        for name, (cron, work) in self._schedules.items():
            engine.schedule(name, cron)(self._ticker(work))
        return engine

    def _carrier(self, handler: Handler) -> Callable[[CarriedJob], Awaitable[None]]:
        async def carry(job: CarriedJob) -> None:
            shop, row_ids = json.loads(job.payload or b"[]")
            try:
                await handler(shop, row_ids)
            except Exception as error:  # noqa: BLE001  # the row is still there: the sweeper brings it back
                self._bug(error)

        return carry

    def _ticker(self, work: Callable[[], Awaitable[object]]) -> Callable[[Schedule], Awaitable[None]]:
        async def tick(_schedule: Schedule) -> None:
            try:
                await work()
            except Exception as error:  # noqa: BLE001  # a failed tick must not end the ticking
                self._bug(error)

        return tick

    async def forget_done(self) -> None:
        """The engine keeps a line for each job for ever; nobody reads them, the rows tell it all."""
        await (await self._queries()).clear_queue_log()

    async def install(self) -> None:
        """Make the engine's tables on PostgreSQL, or bring them up to date."""
        if self._dsn is None:
            return
        connection = await asyncpg.connect(self._dsn)
        try:
            queries = Queries.from_asyncpg_connection(connection)
            if await queries.schema_is_installed():
                await queries.upgrade()
            else:
                await queries.install()
        finally:
            await connection.close()

    async def installed(self) -> bool:
        if self._dsn is None:
            return True
        return await Queries(AsyncpgPoolDriver(await self._connections())).schema_is_installed()

    async def stop(self, task: "asyncio.Task[None] | None" = None, seconds: float = 20.0) -> None:
        """Let running jobs finish; what does not in time is called off and found again by the sweeper."""
        self._stopping = True
        if self._running is not None:
            self._running.shutdown.set()
        if task is not None:
            _, late = await asyncio.wait({task}, timeout=seconds)
            for it in late:
                it.cancel()
            await asyncio.gather(task, return_exceptions=True)
        if self._pool is not None:
            self._pool.terminate()
            self._pool = None


def _now() -> float:
    return asyncio.get_running_loop().time()
