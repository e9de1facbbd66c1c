"""The job engine, PgQueuer: on PostgreSQL for any number of workers, in memory inside one process on SQLite.

The only file that names it. It carries a kind, a shop and row ids to a handler, now or later. Rows are the truth: what
a crash makes the engine forget, the sweeper finds in them, so nothing depends on it but speed.
"""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import asyncpg
from pgqueuer import AsyncpgPoolDriver, InMemoryDriver, InMemoryQueries, PgQueuer, Queries
from pgqueuer.models import Job as CarriedJob
from pgqueuer.models import Schedule
from pgqueuer.types import HealthCheckId

from app.usecases.ports import Job

Handler = Callable[[str, Sequence[str]], Awaitable[None]]
_HEARTBEAT = timedelta(seconds=15)  # jobs of a worker that is silent for so long go to another one
_LOOK = timedelta(seconds=5)  # how often the queue is looked at where nobody tells of news
_BATCH = 20
_AT_ONCE = 64  # jobs of one worker
_RECONNECT_SECONDS = 2.0
_CONNECT_SECONDS = 5.0
_ENQUEUE_SECONDS = 10.0  # a request that hands over a job waits no longer for the engine's sake
_UNWIND_SECONDS = 5.0


class _NoLog(list[Any]):
    """Keeps none of what is added: nobody reads the engine's log, and in memory it would only grow."""

    def append(self, _entry: Any) -> None:
        pass


class _Driver(AsyncpgPoolDriver):
    """Tells when it listens."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        super().__init__(pool)
        self.listens = asyncio.Event()

    async def add_listener(self, channel: str, callback: Callable[[str | bytes | bytearray], None]) -> None:
        await super().add_listener(channel, callback)
        self.listens.set()


class _Shared(Queries):
    """The queue on PostgreSQL. Once a job is taken up its name is free: what is enqueued from then on comes after."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        driver = _Driver(pool)
        super().__init__(driver)
        self._listens = driver.listens

    async def notify_health_check(self, health_check_event_id: HealthCheckId) -> None:
        """PgQueuer 1.6 may send its first probe before it listens, and take itself for deaf ten seconds later."""
        await self._listens.wait()
        await super().notify_health_check(health_check_event_id)

    async def dequeue(self, *args: Any, **options: Any) -> list[CarriedJob]:
        jobs = await super().dequeue(*args, **options)
        if jobs:
            free = f"UPDATE {self.qbq.qualified.queue_table} SET dedupe_key = NULL WHERE id = ANY($1)"  # noqa: S608
            await self.driver.execute(free, [job.id for job in jobs])
        return jobs


class _InMemory(InMemoryQueries):
    """The queue of one process, with the same rule about names."""

    def __init__(self) -> None:
        super().__init__(InMemoryDriver())
        self._log = _NoLog()

    async def dequeue(self, *args: Any, **options: Any) -> list[CarriedJob]:
        jobs = await super().dequeue(*args, **options)
        for job in jobs:
            self._remove_dedupe_for_job(job.id)
        return jobs


class Engine:
    """The Jobs port. Register handlers, then `run` until `stop`; a process that only enqueues does neither."""

    def __init__(self, bug: Callable[[BaseException], None], database_url: str = "") -> None:
        """`database_url` is a PostgreSQL one, or the engine lives in this process's memory."""
        self._dsn = _dsn(database_url) if database_url.startswith("postgresql") else None
        self._bug = bug
        self._handlers: dict[str, Handler] = {}
        self._schedules: dict[str, tuple[str, Callable[[], Awaitable[object]]]] = {}
        self._memory = _InMemory()
        self._pool: asyncpg.Pool | None = None  # for what is handed over; what is carried has connections of its own
        self._opening = asyncio.Lock()
        self._running: asyncio.Event | None = None
        self._stopping = asyncio.Event()
        self._closed = False

    def on(self, kind: Job, handler: Handler) -> None:
        self._handlers[kind.value] = handler

    def schedule(self, name: str, cron: str, work: Callable[[], Awaitable[object]]) -> None:
        """Run `work` by the clock (UTC), once a tick however many workers there are."""
        self._schedules[name] = (cron, work)

    async def enqueue(self, kind: Job, shop: str, row_ids: Sequence[str], *, after: timedelta | None = None) -> None:
        if not row_ids or self._closed:
            return
        payload = json.dumps([shop, list(row_ids)]).encode()
        # What has a time of its own is another job than what is to be done now, and never stands in its way.
        name = None if after else f"{kind}/{hashlib.sha256(payload).hexdigest()}"
        try:
            async with asyncio.timeout(_ENQUEUE_SECONDS):
                queries = await self._queries()
                await queries.enqueue(kind.value, payload, execute_after=after, dedupe_key=name, on_conflict="skip")
        except Exception as error:  # noqa: BLE001  # the row is stored: the sweeper carries it in the engine's place
            self._bug(error)

    async def _queries(self) -> Queries | InMemoryQueries:
        return self._memory if self._dsn is None else Queries(AsyncpgPoolDriver(await self._connections()))

    async def _connections(self) -> asyncpg.Pool:
        async with self._opening:
            if self._pool is None:
                self._pool = await asyncpg.create_pool(
                    self._dsn, min_size=1, max_size=4, command_timeout=_ENQUEUE_SECONDS, timeout=_CONNECT_SECONDS
                )
            return self._pool

    async def run(self) -> None:
        """Carry jobs until `stop`; where the database goes away, until it is back."""
        while not self._stopping.is_set():
            try:
                if self._dsn is None:
                    self._memory.driver = InMemoryDriver()  # without the listeners of an earlier run
                    await self._carry(self._memory, asyncio.Event())
                else:
                    async with self._carrying_connections() as (pool, lost):
                        await self._carry(_Shared(pool), lost)
            except Exception as error:  # noqa: BLE001
                self._bug(error)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), _RECONNECT_SECONDS)

    @asynccontextmanager
    async def _carrying_connections(self) -> AsyncIterator[tuple[asyncpg.Pool, asyncio.Event]]:
        """Connections to carry jobs with, and an event for the loss of one: perhaps of the one that hears the news."""
        lost = asyncio.Event()

        async def watch(connection: asyncpg.Connection) -> None:
            connection.add_termination_listener(lambda _connection: lost.set())

        pool = await asyncpg.create_pool(
            self._dsn,
            min_size=2,
            max_size=5,
            init=watch,
            max_inactive_connection_lifetime=0,  # so that none ends without a reason
            command_timeout=30,
            timeout=_CONNECT_SECONDS,
        )
        try:
            yield pool, lost
        except Exception as error:
            if lost.is_set():
                raise ConnectionError("the job engine lost a connection to the database and connects anew") from error
            raise
        finally:
            pool.terminate()  # not closed: a connection that was listened on is not given back where it was lost

    async def _carry(self, queries: _Shared | _InMemory, lost: asyncio.Event) -> None:
        engine = PgQueuer(queries.driver, queries=queries)
        for kind, handler in self._handlers.items():
            engine.entrypoint(kind)(self._carrier(handler))
        for name, (cron, work) in self._schedules.items():
            engine.schedule(name, cron)(self._ticker(work))
        self._running = engine.shutdown
        if self._stopping.is_set():
            return
        watching = asyncio.create_task(_pass_on(lost, engine.shutdown))
        try:
            await engine.run(
                dequeue_timeout=_LOOK,
                batch_size=_BATCH,
                max_concurrent_tasks=_AT_ONCE,
                heartbeat_timeout=_HEARTBEAT,
                shutdown_on_listener_failure=True,
                log_aggregation_interval=timedelta(0),  # nobody reads its statistics
            )
        finally:
            watching.cancel()

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
        """Make the engine's tables on PostgreSQL, or bring them up to date; whoever comes second finds it done."""
        if self._dsn is None:
            return
        connection = await asyncpg.connect(self._dsn)
        try:
            await Queries.from_asyncpg_connection(connection).upgrade()
        finally:
            await connection.close()

    async def installed(self) -> bool:
        """True where the engine's tables are there and up to date."""
        if self._dsn is None:
            return True
        connection = await asyncpg.connect(self._dsn)
        try:
            return not (await Queries.from_asyncpg_connection(connection).plan_upgrade()).statements
        finally:
            await connection.close()

    async def stop(self, task: "asyncio.Task[None] | None" = None, seconds: float = 20.0) -> None:
        """Let running jobs finish; what does not in time is called off and found again by the sweeper."""
        self._stopping.set()
        if self._running is not None:
            self._running.set()
        if task is not None:
            await asyncio.wait({task}, timeout=seconds)
            if not task.done():
                task.cancel()
                await asyncio.wait({task}, timeout=_UNWIND_SECONDS)
        self._closed = True
        if self._pool is not None:
            self._pool.terminate()
            self._pool = None


def _dsn(database_url: str) -> str:
    """As asyncpg itself reads it, which calls `sslmode` what SQLAlchemy calls `ssl`."""
    parts = urlsplit(database_url.replace("+asyncpg", "", 1))
    query = [("sslmode" if name == "ssl" else name, value) for name, value in parse_qsl(parts.query)]
    return urlunsplit(parts._replace(query=urlencode(query)))


async def _pass_on(event: asyncio.Event, to: asyncio.Event) -> None:
    await event.wait()
    to.set()
