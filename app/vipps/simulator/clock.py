"""A clock that only moves forward, and only as far as its owner says."""

from datetime import UTC, datetime, timedelta


class SimulatorClock:
    """Frozen at `start` until advanced; without a start it follows the system clock plus what was advanced."""

    def __init__(self, start: datetime | None = None) -> None:
        if start is not None and start.tzinfo is None:
            raise ValueError("The start of a simulated clock needs a time zone.")
        self._start = None if start is None else start.astimezone(UTC)
        self._offset = timedelta()

    def now(self) -> datetime:
        return (self._start or datetime.now(UTC)) + self._offset

    def wire_now(self) -> datetime:
        """The time that goes into signatures: who follows the system clock signs with it, moved or not."""
        return datetime.now(UTC) if self._start is None else self.now()

    def advance(self, delta: timedelta) -> datetime:
        if delta < timedelta():
            raise ValueError("Simulated time does not run backwards.")
        self._offset += delta
        return self.now()
