"""How a language writes sums, days and intervals; the words and signs stand in its catalogue under `format`."""

from collections.abc import Sequence
from datetime import date, datetime
from zoneinfo import ZoneInfo

from app.domain.account import Account
from app.domain.money import Money
from app.domain.plan import Plan
from app.web.pages.catalogue import Language

_GROUP = 3
_FIXED = "\N{NO-BREAK SPACE}"


def money(language: Language, sum_: Money) -> str:
    """From whole minor units by cutting digits; its parts never stand on two lines."""
    exponent = sum_.currency.exponent
    digits = str(abs(sum_.minor)).rjust(exponent + 1, "0")
    whole, fraction = digits[:-exponent], digits[-exponent:]
    number = _grouped(whole, language.text("format.group")) + language.text("format.decimal") + fraction
    sign = "\N{MINUS SIGN}" if sum_.minor < 0 else ""
    name = language.texts[f"format.currency.{sum_.currency}"]
    return language.text("format.money", number=sign + number, currency=name).replace(" ", _FIXED)


def minor(number: int, like: Money) -> Money:
    """A sum of the same currency."""
    return Money(number, like.currency)


def count(language: Language, number: int) -> str:
    return _grouped(str(number), language.text("format.group")).replace(" ", _FIXED)


def percent(language: Language, part: int, whole: int) -> str:
    """With one decimal, halves rounded up; a dash where there is nothing to be a part of."""
    if not whole:
        return "\N{EN DASH}"
    tenths = (2000 * part + whole) // (2 * whole)
    number = f"{tenths // 10}{language.text('format.decimal')}{tenths % 10}"
    return language.text("dashboard.percent", number=number).replace(" ", _FIXED)


def _grouped(whole: str, separator: str) -> str:
    first = len(whole) % _GROUP or _GROUP
    parts = [whole[:first], *(whole[at : at + _GROUP] for at in range(first, len(whole), _GROUP))]
    return separator.join(parts)


def day(language: Language, value: date) -> str:
    month = language.text(f"format.month.{value.month}")
    return language.text("format.day", day=value.day, month=month, year=value.year)


def month(language: Language, value: date) -> str:
    return language.text("dashboard.month_of_year", month=language.text(f"format.month.{value.month}"), year=value.year)


def moment(language: Language, value: datetime, time_zone: str) -> str:
    """A point in time as a clock on that zone's wall shows it."""
    there = value.astimezone(ZoneInfo(time_zone))
    return language.text("format.moment", day=day(language, there), hour=f"{there:%H}", minute=f"{there:%M}")


def any_of(language: Language, value: object) -> str:
    """A sum or a day as the language writes it, anything else as it is."""
    if isinstance(value, Money):
        return money(language, value)
    return day(language, value) if isinstance(value, date) else str(value)


def interval(language: Language, plan: Plan) -> str:
    """How often: "every month", "every 3 months"."""
    return language.text(f"format.every.{plan.unit.lower()}", count=plan.count)


def labelled(language: Language, key: str, values: Sequence[str]) -> Sequence[tuple[str, str]]:
    """Values of a choice with their texts below a key."""
    return [(value, language.text(f"{key}.{value}")) for value in values]


def account_name(language: Language, account: Account) -> str:
    """A merchant account by the channel that it serves; an earlier one also by its number."""
    name = language.text("dashboard.accounts.default") if account.served == "default" else account.served
    if account.is_earlier:
        return language.text("dashboard.accounts.earlier", channel=name, msn=account.msn)
    return name


def channels(language: Language, accounts: Sequence[Account]) -> Sequence[tuple[str, str]]:
    return [(it.id, account_name(language, it)) for it in accounts]
