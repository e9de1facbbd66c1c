"""The periods that are looked at, and their days and months on the merchant's own clock."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from app.domain.account import Account
from app.domain.figures import Bucket
from app.domain.plan import add_months

_DAY = timedelta(days=1)
_DEFAULT_ZONE = "Europe/Oslo"
_MONTHS = 12


class Span(StrEnum):
    """Which period is looked at."""

    THIS_MONTH = "month"
    LAST_MONTH = "last-month"
    YEAR = "year"


@dataclass(frozen=True, slots=True)
class Period:
    """`buckets` are its days, or its months where it is a year; `today` is the merchant's."""

    span: Span
    today: date
    buckets: Sequence[Bucket]

    @property
    def first(self) -> date:
        return self.buckets[0].day

    @property
    def end(self) -> date:
        """Its last day, which may be to come."""
        return add_months(self.buckets[-1].day.replace(day=1), 1) - _DAY

    @property
    def last(self) -> date:
        """The last day that is over or under way."""
        return min(self.end, self.today)


def zone_of(accounts: Sequence[Account]) -> ZoneInfo:
    """One chart has one calendar, so that channels of other zones follow the default account's."""
    ranked = sorted(accounts, key=lambda it: (it.channel != "default", it.channel))
    return ZoneInfo(ranked[0].time_zone if ranked else _DEFAULT_ZONE)


def period_of(span: Span, now: datetime, zone: ZoneInfo) -> Period:
    today = now.astimezone(zone).date()
    month = today.replace(day=1)
    match span:
        case Span.THIS_MONTH:
            buckets = days_between(month, add_months(month, 1) - _DAY, zone)
        case Span.LAST_MONTH:
            buckets = days_between(add_months(month, -1), month - _DAY, zone)
        case Span.YEAR:
            buckets = _buckets([add_months(month, back) for back in range(1 - _MONTHS, 2)], zone)
    return Period(span, today, buckets)


def days_between(first: date, last: date, zone: ZoneInfo) -> Sequence[Bucket]:
    """Both count."""
    return _buckets([first + number * _DAY for number in range((last - first).days + 2)], zone)


def _buckets(firsts: Sequence[date], zone: ZoneInfo) -> Sequence[Bucket]:
    """From each first day to the one before the next; the last of them only ends one."""
    starts = [datetime.combine(day, time(), zone).astimezone(UTC) for day in firsts]
    return [Bucket(day, since, until) for day, since, until in zip(firsts, starts, starts[1:], strict=False)]
