"""The Jobs port without an engine: jobs wait in a list until somebody drains it. For commands and tests."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta

from app.usecases.ports import Job

Handler = Callable[[str, Sequence[str]], Awaitable[None]]


class InlineJobs:
    """`waiting` is to be done now, `later` after a while, which somebody else's clock has to tell."""

    def __init__(self) -> None:
        self.waiting: list[tuple[Job, str, Sequence[str]]] = []
        self.later: list[tuple[timedelta, Job, str, Sequence[str]]] = []

    async def enqueue(self, kind: Job, shop: str, row_ids: Sequence[str], *, after: timedelta | None = None) -> None:
        if after is not None:
            self.later.append((after, kind, shop, row_ids))
        elif row_ids and (kind, shop, row_ids) not in self.waiting:
            self.waiting.append((kind, shop, row_ids))

    async def drain(self, handlers: Mapping[Job, Handler]) -> int:
        """Run what waits, and what that enqueues; the number of jobs run."""
        done = 0
        while self.waiting:
            kind, shop, row_ids = self.waiting.pop(0)
            await handlers[kind](shop, row_ids)
            done += 1
        return done
