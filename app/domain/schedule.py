"""Which day each period of a subscription is due: calendar-true, and counted from one anchor so that nothing drifts."""

from dataclasses import dataclass, replace
from datetime import date

from app.domain.plan import Plan


@dataclass(frozen=True, slots=True)
class Schedule:
    """Period `first_period` is due on `anchor`, each later one so many intervals after it.

    Counted from the anchor and never from the period before: after 31 January come 28 (or 29) February and 31 March.
    """

    plan: Plan
    anchor: date
    first_period: int = 0

    def due(self, period: int) -> date:
        return self.plan.after(self.anchor, period - self.first_period)

    def window(self, period: int, due: date) -> tuple[date, date]:
        """From the day on which a period was due to that of the next one, also where the rhythm has changed since."""
        kept = period >= self.first_period and self.due(period) == due
        return due, self.due(period + 1) if kept else self.plan.after(due, 1)

    def moved(self, period: int, day: date) -> "Schedule":
        """The same rhythm, with this period and all after it counted from another day."""
        return replace(self, anchor=day, first_period=period)

    def first_from(self, day: date, least: int) -> int:
        """The first period, `least` at the earliest, that is due on that day or later."""
        period = least
        if self.due(period) >= day:
            return period
        # Whole windows are skipped at once: a pause of years over a daily plan is not counted day by day.
        start, _ = self.plan.window(self.due(period), day)
        while self.due(period) < start:
            period += max((start - self.due(period)).days // _LONGEST[self.plan.unit.value] // self.plan.count, 1)
        while self.due(period) < day:
            period += 1
        return period


_LONGEST = {"YEAR": 366, "MONTH": 31, "WEEK": 7, "DAY": 1}
