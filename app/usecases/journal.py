"""The log of calls to Vipps, written down in groups: a line for each call would cost more than the call."""

import asyncio
from collections import deque

from app.domain.records import CallEntry
from app.usecases.ports import Store

_MOST = 20_000  # lines that wait for a database which is away
_GROUP = 1000
_SECONDS = 1.0


class CallJournal:
    """`add` is quick and never raises, `flush` writes. A crash takes a second of the log along, never of the truth."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: deque[CallEntry] = deque(maxlen=_MOST)

    def add(self, entry: CallEntry) -> None:
        self._waiting.append(entry)

    async def flush(self) -> int:
        """Write what waits; the number of lines."""
        written = 0
        while self._waiting:
            group = [self._waiting.popleft() for _ in range(min(len(self._waiting), _GROUP))]
            try:
                async with self._store.begin() as unit:
                    await unit.calls.add(group)
            except BaseException:
                self._waiting.extendleft(reversed(group))
                raise
            written += len(group)
        return written

    async def run(self) -> None:
        """Flush every second until cancelled."""
        while True:
            await asyncio.sleep(_SECONDS)
            await self.flush()
