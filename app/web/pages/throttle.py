"""How often one public link may be asked for: counted in this process, because guessing one is hopeless anyway."""

from collections import OrderedDict
from datetime import datetime

from app.domain.limits import Allowance

READS, WRITES = 60, 10  # a minute
_MOST = 10_000  # links that are remembered; who asks for more of them at once has that many


class Throttle:
    """Keeps one customer's link from being hammered, by whoever has it, at the expense of everybody else's."""

    def __init__(self) -> None:
        self._used: OrderedDict[tuple[str, int], Allowance] = OrderedDict()

    def wait(self, link: str, per_minute: int, now: datetime) -> float:
        """Seconds to wait; 0 where it may be asked for, which then counts."""
        key = (link, per_minute)
        after, granted = self._used.pop(key, Allowance()).take(1, per_minute, now)
        self._used[key] = after
        while len(self._used) > _MOST:
            self._used.popitem(last=False)
        return 0.0 if granted.count else max(granted.wait, 1.0)
