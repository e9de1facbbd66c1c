"""Sums, days and intervals as each language writes them."""

from datetime import UTC, date, datetime

import pytest

from app.domain.money import Currency, Money
from app.domain.plan import Plan
from app.web.pages import formats
from app.web.pages.catalogue import language

SUMS = [
    ("en", 24900, Currency.NOK, "NOK 249.00"),
    ("en", 123456789, Currency.EUR, "EUR 1,234,567.89"),
    ("nb", 24900, Currency.NOK, "249,00 kr"),
    ("nb", 5, Currency.EUR, "0,05 EUR"),
    ("nb", 100000, Currency.NOK, "1 000,00 kr"),
    ("nb", -24950, Currency.NOK, "−249,50 kr"),
    ("da", 123456, Currency.DKK, "1.234,56 kr."),
    ("fi", 990, Currency.EUR, "9,90 €"),
    ("sv", 99999, Currency.NOK, "999,99 NOK"),
    ("en", 0, Currency.DKK, "DKK 0.00"),
]


@pytest.mark.parametrize(("code", "minor", "currency", "text"), SUMS)
def test_money(code: str, minor: int, currency: Currency, text: str) -> None:
    written = formats.money(language("public", code), Money(minor, currency))
    assert written == text.replace(" ", "\N{NO-BREAK SPACE}")


def test_money_is_exact_beyond_what_a_float_holds() -> None:
    written = formats.money(language("public", "da"), Money(9_007_199_254_740_993, Currency.DKK))
    assert written == "90.071.992.547.409,93\N{NO-BREAK SPACE}kr."


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("en", "1 May 2026"),
        ("nb", "1. mai 2026"),
        ("da", "1. maj 2026"),
        ("fi", "1. toukokuuta 2026"),
        ("sv", "1 maj 2026"),
    ],
)
def test_days(code: str, text: str) -> None:
    assert formats.day(language("public", code), date(2026, 5, 1)) == text


def test_a_moment_is_told_by_the_clock_of_its_zone() -> None:
    late = datetime(2026, 6, 30, 22, 5, tzinfo=UTC)
    assert formats.moment(language("public", "nb"), late, "Europe/Oslo") == "1. juli 2026 kl. 00.05"
    assert formats.moment(language("public", "en"), late, "UTC") == "30 June 2026, 22:05"


@pytest.mark.parametrize(
    ("code", "plan", "text"),
    [
        ("en", "WEEK:2", "every 2 weeks"),
        ("nb", "MONTH:1", "hver måned"),
        ("nb", "YEAR:2", "hvert 2. år"),
        ("sv", "MONTH:3", "med 3 månaders mellanrum"),
        ("fi", "DAY:10", "10 päivän välein"),
        ("da", "WEEK:1", "hver uge"),
    ],
)
def test_intervals(code: str, plan: str, text: str) -> None:
    assert formats.interval(language("public", code), Plan.parse(plan)) == text
