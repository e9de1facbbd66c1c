"""What apps report as wrong with themselves, for staff to read in the Dashboard (from 3.22 on)."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from app.saleor.simulator.base import Numbered
from app.saleor.simulator.input_errors import InputError
from app.saleor.simulator.models import App
from app.saleor.simulator.records import Principal, Records

SHORTEST, LONGEST_KEY, LONGEST_MESSAGE = 3, 128, 2048
MOST_PROBLEMS = 100
MOST_DISMISSED = 100


@dataclass(eq=False, kw_only=True)
class AppProblem(Numbered):
    app: App
    key_text: str
    message: str
    created_at: datetime
    updated_at: datetime
    count: int = 1
    is_critical: bool = False
    dismissed_by: Principal | None = None


class Problems:
    """The same key reported again within its period is the same problem, counted once more."""

    def __init__(self, shop: Records) -> None:
        self._shop = shop
        self._all: list[AppProblem] = []

    def of(self, app: App) -> list[AppProblem]:
        """Newest first, dismissed ones too."""
        return [problem for problem in self._all[::-1] if problem.app is app]

    def report(self, app: App, message: str, key: str, threshold: int | None, minutes: int) -> AppProblem:
        """A threshold of None never makes it critical; a period of 0 minutes never merges."""
        _check(message, key, threshold, minutes)
        message = message if len(message) <= LONGEST_MESSAGE else message[: LONGEST_MESSAGE - 3] + "..."
        now = self._shop.clock.now()
        open_ones = [p for p in self.of(app) if p.key_text == key and p.dismissed_by is None]
        latest = max(open_ones, key=lambda problem: problem.updated_at, default=None)
        if latest and minutes and latest.updated_at >= now - timedelta(minutes=minutes):
            latest.count, latest.message, latest.updated_at = latest.count + 1, message, now
        else:
            self._make_room(app)
            number = self._shop.next_number("AppProblem")
            latest = AppProblem(number=number, app=app, key_text=key, message=message, created_at=now, updated_at=now)
            self._all.append(latest)
        latest.is_critical = threshold is not None and latest.count >= threshold
        return latest

    def _make_room(self, app: App) -> None:
        own = [problem for problem in self._all if problem.app is app]
        oldest_first = sorted(own, key=lambda problem: problem.updated_at)
        surplus = oldest_first[: max(0, len(oldest_first) - MOST_PROBLEMS + 1)]
        self._all = [problem for problem in self._all if problem not in surplus]

    def dismiss_by_ids(self, ids: Collection[str], by: Principal) -> None:
        if len(ids) > MOST_DISMISSED:
            raise InputError("ids", "INVALID", f"At most {MOST_DISMISSED} problems can be dismissed at once.")
        found = [problem for problem in self._all if problem.id in ids]
        if isinstance(by, App) and any(problem.app is not by for problem in found):
            raise InputError("ids", "OUT_OF_SCOPE_APP", "Cannot dismiss problems belonging to other apps.")
        _dismiss(found, by)

    def dismiss_by_keys(self, app: App, keys: Collection[str], by: Principal) -> None:
        if len(keys) > MOST_DISMISSED:
            raise InputError("keys", "INVALID", f"At most {MOST_DISMISSED} keys can be dismissed at once.")
        _dismiss([problem for problem in self.of(app) if problem.key_text in keys], by)


def _dismiss(problems: Collection[AppProblem], by: Principal) -> None:
    for problem in problems:
        problem.dismissed_by = problem.dismissed_by or by


def _check(message: str, key: str, threshold: int | None, minutes: int) -> None:
    if len(message) < SHORTEST:
        raise InputError("message", "INVALID", f"String should have at least {SHORTEST} characters")
    if not SHORTEST <= len(key) <= LONGEST_KEY:
        raise InputError("key", "INVALID", f"String should have {SHORTEST} to {LONGEST_KEY} characters")
    if threshold is not None and threshold < 1:
        raise InputError("criticalThreshold", "INVALID", "Input should be greater than or equal to 1")
    if minutes < 0:
        raise InputError("aggregationPeriod", "INVALID", "Input should be greater than or equal to 0")
