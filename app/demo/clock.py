"""One clock for the app, Vipps and the shops: it stands in the past, is moved by the story, and ends at the present."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from app.saleor.simulator.clock import Clock as SaleorClock
from app.vipps.simulator import SimulatorClock

OSLO = ZoneInfo("Europe/Oslo")


class SharedTime:
    """Stands still where it was put until `catch_up`; from then on it follows the system, and may be moved ahead."""

    def __init__(self, start: datetime) -> None:
        self._frozen: datetime | None = start
        self._ahead = timedelta()
        self.moved: list[Callable[[], None]] = []  # who wants to hear of it when somebody moves it

    def now(self) -> datetime:
        return self._frozen or datetime.now(UTC) + self._ahead

    def advance(self, by: timedelta) -> datetime:
        if self._frozen is not None:
            self._frozen += by
        else:
            self._ahead += by
        for hear in self.moved:
            hear()
        return self.now()

    def catch_up(self) -> None:
        self._frozen = None

    async def sleep(self, seconds: float) -> None:
        """Whoever waits in the past finds that the time has passed."""
        self.advance(timedelta(seconds=seconds))


class TimeAtVipps(SimulatorClock):
    def __init__(self, time: SharedTime) -> None:
        super().__init__()
        self._time = time

    def now(self) -> datetime:
        return self._time.now()

    def wire_now(self) -> datetime:
        """The app checks signatures by the same clock."""
        return self._time.now()

    def advance(self, delta: timedelta) -> datetime:
        return self._time.advance(delta)


class TimeAtShop(SaleorClock):
    def __init__(self, time: SharedTime) -> None:
        super().__init__()
        self._time = time

    def now(self) -> datetime:
        return self._time.now()

    def advance(self, by: timedelta | float) -> datetime:
        return self._time.advance(by if isinstance(by, timedelta) else timedelta(seconds=by))

    def move_to(self, moment: datetime) -> None:
        self._time.advance(moment - self.now())
