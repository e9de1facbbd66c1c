"""The job engine, PgQueuer, in its in-memory form; the only file that names it.

It carries a kind and a row's id to a handler in this process. What a crash makes it forget, the sweeper finds in the
rows, so nothing depends on it but speed.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import timedelta

from pgqueuer import InMemoryDriver, InMemoryQueries, PgQueuer
from pgqueuer.models import Job, Schedule

Handler = Callable[[str, str], Awaitable[None]]


class Engine:
    """The Jobs port. Register handlers, then `run` until `stop`."""

    def __init__(self, bug: Callable[[BaseException], None]) -> None:
        driver = InMemoryDriver()
        self._queries = InMemoryQueries(driver)
        self._engine = PgQueuer(driver, queries=self._queries)
        self._bug = bug

    def on(self, kind: str, handler: Handler, *, concurrency: int) -> None:
        @self._engine.entrypoint(kind, concurrency_limit=concurrency)
        async def carry(job: Job) -> None:
            shop, row_id = json.loads(job.payload or b"[]")
            await handler(shop, row_id)

    def every_minute(self, kind: str, work: Callable[[], Awaitable[object]]) -> None:
        @self._engine.schedule(kind, "* * * * *")
        async def tick(_schedule: Schedule) -> None:
            # The in-memory adapter keeps a line for each job for ever; nobody reads them, the rows tell it all.
            await self._queries.clear_queue_log()
            try:
                await work()
            except Exception as error:  # noqa: BLE001  # a failed tick must not end the ticking
                self._bug(error)

    async def enqueue(self, kind: str, shop: str, row_id: str) -> None:
        await self._queries.enqueue(kind, json.dumps([shop, row_id]).encode())

    async def run(self) -> None:
        await self._engine.run(dequeue_timeout=timedelta(seconds=5), batch_size=20)

    async def stop(self, task: asyncio.Task[None], seconds: float = 20.0) -> None:
        """Let running jobs finish; what does not in time is called off and found again by the sweeper."""
        self._engine.shutdown.set()
        _, late = await asyncio.wait({task}, timeout=seconds)
        for it in late:
            it.cancel()
        await asyncio.gather(task, return_exceptions=True)
