"""The Jobs port without an engine: jobs wait in a list until somebody drains it. For commands and tests."""

from collections.abc import Awaitable, Callable, Mapping


class InlineJobs:
    def __init__(self) -> None:
        self.waiting: list[tuple[str, str, str]] = []

    async def enqueue(self, kind: str, shop: str, row_id: str) -> None:
        self.waiting.append((kind, shop, row_id))

    async def drain(self, handlers: Mapping[str, Callable[[str, str], Awaitable[None]]]) -> int:
        """Run what waits, and what that enqueues; the number of jobs run."""
        done = 0
        while self.waiting:
            kind, shop, row_id = self.waiting.pop(0)
            await handlers[kind](shop, row_id)
            done += 1
        return done
