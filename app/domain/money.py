"""Money in minor units with its currency; no float ever takes part."""

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Self

from app.domain.errors import InvalidInput


class Currency(StrEnum):
    """The currencies of Vipps MobilePay Recurring; each has two decimals (facts: VIPPS 5.1)."""

    NOK = "NOK"
    DKK = "DKK"
    EUR = "EUR"

    @property
    def exponent(self) -> int:
        return 2

    @property
    def minimum(self) -> int:
        """The smallest charge in minor units: NOK 1.00, DKK 0.01, EUR 0.01 (facts: VIPPS 5.1)."""
        return 100 if self is Currency.NOK else 1

    @property
    def highest_suggested_max(self) -> int:
        """The most, in minor units, that a VARIABLE agreement may suggest to the customer (facts: VIPPS 5.1)."""
        return {Currency.NOK: 2_000_000, Currency.DKK: 30_000_000, Currency.EUR: 200_000}[self]


def currency_of(code: str) -> Currency:
    try:
        return Currency(code)
    except ValueError:
        known = ", ".join(Currency)
        raise InvalidInput(
            f"currency {code!r} is not one Vipps MobilePay charges in ({known})", field="currency"
        ) from None


def _exact_minor(amount: Decimal | int | str, exponent: int) -> int | None:
    """Whole minor units by looking at the digits: decimal arithmetic would round what is longer than its precision."""
    try:
        value = Decimal(amount)
    except InvalidOperation:
        return None
    if not value.is_finite():
        return None
    sign, digits, power = value.as_tuple()
    shift = int(power) + exponent
    if len(digits) + max(shift, 0) > _MOST_DIGITS:
        return None
    whole = int("".join(map(str, digits)))
    if shift < 0 and whole % 10**-shift:
        return None
    minor: int = whole * 10**shift if shift >= 0 else whole // 10**-shift
    return -minor if sign else minor


_MOST_DIGITS = 60  # far more than any amount has, far less than a computer chokes on


@dataclass(frozen=True, slots=True)
class Money:
    """`minor` counts øre or cent."""

    minor: int
    currency: Currency

    def __post_init__(self) -> None:
        if isinstance(self.minor, bool) or not isinstance(self.minor, int):
            raise InvalidInput(f"an amount is a whole number of minor units, not {self.minor!r}", field="amount")

    @classmethod
    def from_decimal(cls, amount: Decimal | int | str, currency: Currency) -> Self:
        """Convert major units (Saleor's decimals) exactly, or raise InvalidInput.

        A float is refused even where it looks exact: 0.1 + 0.2 looks exact to whoever wrote it.
        """
        if isinstance(amount, bool | float):
            raise InvalidInput("an amount must be a decimal number or text, not a float", field="amount")
        minor = _exact_minor(amount, currency.exponent)
        if minor is None:
            raise InvalidInput(f"{amount!s:.40} cannot be written in whole minor units of {currency}", field="amount")
        return cls(minor, currency)

    def to_decimal(self) -> Decimal:
        sign, digits, _ = Decimal(self.minor).as_tuple()
        return Decimal((sign, digits, -self.currency.exponent))

    def _same(self, other: "Money") -> int:
        if other.currency is not self.currency:
            raise InvalidInput(f"cannot mix {self.currency} and {other.currency}", field="currency")
        return other.minor

    def __add__(self, other: "Money") -> "Money":
        return Money(self.minor + self._same(other), self.currency)

    def __sub__(self, other: "Money") -> "Money":
        return Money(self.minor - self._same(other), self.currency)

    def __lt__(self, other: "Money") -> bool:
        return self.minor < self._same(other)

    def __le__(self, other: "Money") -> bool:
        return self.minor <= self._same(other)

    def times(self, factor: int) -> "Money":
        return Money(self.minor * factor, self.currency)

    def __str__(self) -> str:
        return f"{self.to_decimal():.{self.currency.exponent}f} {self.currency}"
