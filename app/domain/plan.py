"""How often an agreement may be charged: a unit and a count, and the calendar windows they span."""

import calendar
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import Self

from app.domain.errors import InvalidInput

MAX_COUNT = 31  # facts: VIPPS 4.1


class IntervalUnit(StrEnum):
    YEAR = "YEAR"
    MONTH = "MONTH"
    WEEK = "WEEK"
    DAY = "DAY"


def add_months(anchor: date, months: int) -> date:
    """The same day `months` later, or the last day of a shorter month: 31 January plus one is 28 or 29 February."""
    index = anchor.year * 12 + anchor.month - 1 + months
    year, month = index // 12, index % 12 + 1
    return date(year, month, min(anchor.day, calendar.monthrange(year, month)[1]))


@dataclass(frozen=True, slots=True)
class Plan:
    unit: IntervalUnit
    count: int

    def __post_init__(self) -> None:
        if isinstance(self.count, bool) or not isinstance(self.count, int) or not 1 <= self.count <= MAX_COUNT:
            raise InvalidInput(f"an interval count is a whole number from 1 to {MAX_COUNT}", field="intervalCount")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read our metadata convention `UNIT:count`, for example `MONTH:1`."""
        unit, _, count = text.partition(":")
        try:
            return cls(IntervalUnit(unit), int(count) if count.isascii() and count.isdigit() else 0)
        except ValueError:
            raise InvalidInput(
                f"{text!r:.40} is no interval; write UNIT:count, for example MONTH:1", field="interval"
            ) from None

    def __str__(self) -> str:
        return f"{self.unit}:{self.count}"

    def after(self, anchor: date, periods: int) -> date:
        """The first day of the period that begins `periods` periods after `anchor`."""
        steps = periods * self.count
        match self.unit:
            case IntervalUnit.YEAR:
                return add_months(anchor, 12 * steps)
            case IntervalUnit.MONTH:
                return add_months(anchor, steps)
            case IntervalUnit.WEEK:
                return anchor + timedelta(weeks=steps)
            case IntervalUnit.DAY:
                return anchor + timedelta(days=steps)

    def per_month(self, price: int) -> int:
        """What a price for each interval makes a month: a year has 12 months, 52 weeks or 365 days; halves go up."""
        times, over = {
            IntervalUnit.YEAR: (1, 12),
            IntervalUnit.MONTH: (1, 1),
            IntervalUnit.WEEK: (52, 12),
            IntervalUnit.DAY: (365, 12),
        }[self.unit]
        whole, parts = price * times, over * self.count
        return (2 * whole + parts) // (2 * parts)

    def window(self, anchor: date, day: date) -> tuple[date, date]:
        """The period [first, next) that holds `day`, counted from `anchor`; earlier days fall in the first."""
        if day < anchor:
            return anchor, self.after(anchor, 1)
        days = {IntervalUnit.YEAR: 366, IntervalUnit.MONTH: 31, IntervalUnit.WEEK: 7, IntervalUnit.DAY: 1}
        periods = (day - anchor).days // (days[self.unit] * self.count)
        while self.after(anchor, periods + 1) <= day:
            periods += 1
        return self.after(anchor, periods), self.after(anchor, periods + 1)
