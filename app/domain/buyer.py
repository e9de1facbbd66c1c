"""Who bought: people as the shop knows them at this moment, and what is typed to find one. Nothing of it is kept."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

_NUMBER = re.compile(r"(?:#|order\b|ordre\b)\s*#?\s*(\d{1,9})|(\d{1,7})", re.IGNORECASE | re.ASCII)
_PHONE = re.compile(r"(?:\+|00)?\d[\d ().-]{6,18}\d", re.ASCII)
_COUNTRIES = ("47", "45", "358")  # of those who have Vipps or MobilePay


@dataclass(frozen=True, slots=True)
class Buyer:
    """An order's number and the person behind it. `customer` is the shop's id of theirs; guests have none."""

    order: str
    number: str
    customer: str | None
    name: str = field(repr=False)
    email: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class OrdersWanted:
    """Orders by their ids or by their number, or like a text; one of the three."""

    ids: Sequence[str] = ()
    number: str = ""
    like: str = field(default="", repr=False)


MOST_BUYERS = 100  # that a shop tells at once


def number_in(text: str) -> str:
    """`4`, `#4` and `Order 4` are the order 4; empty where the text is no number of an order."""
    found = _NUMBER.fullmatch(text)
    return (found[1] or found[2]) if found else ""


def like(text: str) -> str:
    """As shops look for it: a telephone number as an address has it, whichever country it may be of."""
    if not _PHONE.fullmatch(text):
        return text
    digits = re.sub(r"\D", "", text)
    if text.startswith(("+", "00")):
        return f"+{digits.removeprefix('00')}"
    local = digits.lstrip("0")
    return " OR ".join([digits, *(f"+{country}{local}" for country in _COUNTRIES)])
