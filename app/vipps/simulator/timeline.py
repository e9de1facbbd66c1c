"""What will happen by itself: expiries, charges coming into view, and the daily batches, in order of time."""

import heapq
from collections.abc import Callable
from datetime import datetime, timedelta

Happening = Callable[[datetime], None]


class Timeline:
    """A queue ordered by time, so that looking whether anything is due costs the same however much is planned."""

    def __init__(self) -> None:
        self._queue: list[tuple[datetime, int, Happening]] = []
        self._planned = 0
        self.moment: datetime | None = None  # while something planned happens: the time it was planned for

    def plan(self, at: datetime, happening: Happening) -> None:
        self._planned += 1  # breaks ties in the order of planning
        heapq.heappush(self._queue, (at, self._planned, happening))

    def play(self, until: datetime) -> None:
        """Everything up to `until` happens now, each with its own time."""
        while self._queue and self._queue[0][0] <= until:
            self.moment, _, happening = heapq.heappop(self._queue)
            try:
                happening(self.moment)
            finally:
                self.moment = None


def next_hour(after: datetime, hours: tuple[int, ...]) -> datetime:
    """The next of some full hours of the day, strictly after a moment."""
    midnight = after.replace(hour=0, minute=0, second=0, microsecond=0)
    candidates = [midnight + timedelta(days=day, hours=hour) for day in (0, 1) for hour in hours]
    return next(candidate for candidate in candidates if candidate > after)
