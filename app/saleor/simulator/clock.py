"""A clock that can be moved, because retries and token lifetimes are measured in minutes and tests in milliseconds."""

from datetime import UTC, datetime, timedelta


class Clock:
    """Stands still at `start`, or follows the system when no start is given; either way it can be moved."""

    def __init__(self, start: datetime | None = None) -> None:
        self._start = start
        self._moved = timedelta()

    def now(self) -> datetime:
        return (self._start or datetime.now(UTC)) + self._moved

    def advance(self, by: timedelta | float) -> datetime:
        """Move by a duration, or by that many seconds."""
        self._moved += by if isinstance(by, timedelta) else timedelta(seconds=by)
        return self.now()

    def move_to(self, moment: datetime) -> None:
        self._moved += moment - self.now()
