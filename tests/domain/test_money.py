"""Money is exact or refused."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.errors import InvalidInput
from app.domain.money import Currency, Money, currency_of
from tests.builders import nok


@pytest.mark.parametrize(
    ("amount", "minor"),
    [
        ("250", 25_000),
        ("250.0", 25_000),
        ("250.50", 25_050),
        ("0.01", 1),
        ("-12.34", -1_234),
        ("1E+2", 10_000),
        ("249.990", 24_999),
        (Decimal("1234567.89"), 123_456_789),
        (Decimal("0.10") + Decimal("0.20"), 30),
        (7, 700),
        (0, 0),
    ],
)
def test_major_units_convert_exactly(amount: Decimal | int | str, minor: int) -> None:
    assert Money.from_decimal(amount, Currency.NOK) == nok(minor)


@given(st.integers(-(2**63), 2**63), st.sampled_from(Currency))
def test_minor_units_survive_the_way_to_decimal_and_back(minor: int, currency: Currency) -> None:
    money = Money(minor, currency)
    assert Money.from_decimal(money.to_decimal(), currency) == money
    assert Money.from_decimal(str(money.to_decimal()), currency) == money


@given(st.decimals())
def test_every_decimal_converts_exactly_or_is_refused(amount: Decimal) -> None:
    try:
        money = Money.from_decimal(amount, Currency.NOK)
    except InvalidInput:
        # More than Vipps or Saleor could ever mean may be refused, too.
        assert not amount.is_finite() or abs(amount) > 10**15 or amount != round(amount, 2)
    else:
        numerator, denominator = amount.as_integer_ratio()
        assert money.minor * denominator == numerator * 100


@pytest.mark.parametrize("amount", [0.5, 250.0, float("nan"), float("inf"), True, False])
def test_floats_and_truth_values_are_refused(amount: Any) -> None:
    with pytest.raises(InvalidInput) as refused:
        Money.from_decimal(amount, Currency.NOK)
    assert refused.value.field == "amount"


@pytest.mark.parametrize("amount", ["NaN", "sNaN", "Infinity", "-Infinity", "", "abc", "12,50", "1.2.3", "0x10"])
def test_what_is_no_number_is_refused(amount: str) -> None:
    with pytest.raises(InvalidInput):
        Money.from_decimal(amount, Currency.NOK)


@pytest.mark.parametrize("amount", ["0.001", "1.005", "33.333", "-0.009", "1E-3"])
def test_fractions_of_a_minor_unit_are_refused(amount: str) -> None:
    with pytest.raises(InvalidInput):
        Money.from_decimal(amount, Currency.NOK)


def test_a_fraction_far_behind_the_point_is_not_rounded_away() -> None:
    with pytest.raises(InvalidInput):
        Money.from_decimal("1." + "0" * 34 + "1", Currency.NOK)


def test_a_number_of_many_digits_is_not_rounded() -> None:
    text = "12345678901234567890123456789.01"
    try:
        money = Money.from_decimal(text, Currency.NOK)
    except InvalidInput:
        return
    assert money.minor == int(text.replace(".", ""))


@pytest.mark.parametrize("amount", ["1E+999999", "1E+9999999999", "-1E+999999"])
def test_a_number_beyond_all_measure_is_refused(amount: str) -> None:
    with pytest.raises(InvalidInput):
        Money.from_decimal(amount, Currency.NOK)


@pytest.mark.parametrize("minor", [True, 1.0, "100", None, Decimal(1)])
def test_minor_units_are_whole_numbers(minor: Any) -> None:
    with pytest.raises(InvalidInput):
        Money(minor, Currency.NOK)


@pytest.mark.parametrize(
    "mix",
    [
        lambda a, b: a + b,
        lambda a, b: a - b,
        lambda a, b: a < b,
        lambda a, b: a <= b,
        lambda a, b: a > b,
        lambda a, b: a >= b,
    ],
)
def test_currencies_do_not_mix(mix: Callable[[Money, Money], object]) -> None:
    with pytest.raises(InvalidInput) as refused:
        mix(nok(100), Money(100, Currency.DKK))
    assert refused.value.field == "currency"


def test_the_same_number_in_two_currencies_is_not_equal() -> None:
    assert nok(100) != Money(100, Currency.EUR)


@given(st.integers(-(10**12), 10**12), st.integers(-(10**12), 10**12))
def test_adding_and_taking_away_are_inverse(one: int, other: int) -> None:
    assert nok(one) + nok(other) - nok(other) == nok(one)
    assert (nok(one) <= nok(other)) is (one <= other)
    assert (nok(one) < nok(other)) is (one < other)


@pytest.mark.parametrize(
    ("money", "text"), [(nok(25_000), "250.00 NOK"), (nok(1), "0.01 NOK"), (Money(-150, Currency.EUR), "-1.50 EUR")]
)
def test_money_reads_as_major_units_and_currency(money: Money, text: str) -> None:
    assert str(money) == text


def test_times_multiplies() -> None:
    assert nok(25_000).times(5) == nok(125_000)


def test_currencies_are_known_by_their_code() -> None:
    assert [currency_of(code) for code in ("NOK", "DKK", "EUR")] == [Currency.NOK, Currency.DKK, Currency.EUR]


@pytest.mark.parametrize("code", ["SEK", "nok", "", "NOK "])
def test_other_currencies_are_refused(code: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        currency_of(code)
    assert refused.value.field == "currency"


@pytest.mark.parametrize(("currency", "minimum"), [(Currency.NOK, 100), (Currency.DKK, 1), (Currency.EUR, 1)])
def test_each_currency_has_its_smallest_charge(currency: Currency, minimum: int) -> None:
    assert currency.minimum == minimum
