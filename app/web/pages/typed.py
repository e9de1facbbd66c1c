"""What staff type into forms: sums in the page's language, days, whole numbers; read exactly, or refused."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import TypeVar

from app.domain.errors import InvalidInput
from app.domain.money import Currency, Money
from app.domain.subscription import MAX_QUANTITY
from app.web.pages.catalogue import Language

T = TypeVar("T")
_BLANKS = "\N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}"
_MOST_CHARACTERS = 20
_PLAIN = re.compile(r"(?a:(\d+)[.,](\d\d))")


@dataclass(slots=True)
class Form:
    """`values` are what stands in the fields, `wrong` the names of those that cannot be taken."""

    values: Mapping[str, str]
    wrong: set[str] = field(default_factory=set)

    def read(self, name: str, kind: Callable[[str], T]) -> T | None:
        """None where it is wrong, which is noted; so that all that is wrong is told at once."""
        try:
            return kind(self.values.get(name, ""))
        except (ValueError, InvalidInput):
            self.wrong.add(name)
            return None


def a_sum(language: Language, currency: Currency) -> Callable[[str], Money]:
    """Reads "1 234,50" or "1,234.50" as the language writes it. Thousands stand in groups of three or in none.

    With two decimals and no groups a point and a comma mean the same, whatever the language: "49,50" and "49.50".
    """
    decimal, group = language.text("format.decimal"), language.text("format.group")
    groups = re.escape(group if group.strip() else " ")
    number = re.compile(rf"(?a:(\d+|\d{{1,3}}(?:{groups}\d{{3}})+)(?:{re.escape(decimal)}(\d+))?)")

    def read(text: str) -> Money:
        plain = text.translate(dict.fromkeys(map(ord, _BLANKS), " ")).strip()
        plain = plain if len(plain) <= _MOST_CHARACTERS else ""
        found = _PLAIN.fullmatch(plain) or number.fullmatch(plain)
        if found is None:
            raise ValueError(text)
        whole = re.sub(r"\D", "", found[1])
        return Money.from_decimal(f"{whole}.{found[2] or 0}", currency)

    return read


def written(language: Language, sum_: Money) -> str:
    """As `a_sum` reads it: "1234.50"."""
    exponent = sum_.currency.exponent
    digits = str(sum_.minor).rjust(exponent + 1, "0")
    return digits[:-exponent] + language.text("format.decimal") + digits[-exponent:]


def a_day(text: str) -> date:
    return date.fromisoformat(text)


def a_day_or_none(text: str) -> date | None:
    return date.fromisoformat(text) if text else None


def a_count(text: str) -> int:
    """A quantity."""
    if not re.fullmatch(r"(?a:\d{1,4})", text) or not 1 <= int(text) <= MAX_QUANTITY:
        raise ValueError(text)
    return int(text)
