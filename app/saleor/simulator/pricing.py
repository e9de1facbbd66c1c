"""Prices with and without tax, and what vouchers take off them."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

from app.saleor.simulator.catalog_models import Voucher
from app.saleor.simulator.models import CENT, Line, Payable


@dataclass(frozen=True)
class Taxed:
    gross: Decimal
    net: Decimal

    def __add__(self, other: "Taxed") -> "Taxed":
        return Taxed(self.gross + other.gross, self.net + other.net)


def taxed(gross: Decimal, rate: Decimal) -> Taxed:
    """Prices are entered with tax: the net price is what remains, to the cent."""
    return Taxed(gross, _cents(gross / (1 + rate)))


def subtotal_of(purchase: Payable) -> Taxed:
    rate = purchase.channel.tax_rate
    return sum((taxed(line.total, rate) for line in purchase.goods), _NOTHING)


def total_of(purchase: Payable) -> Taxed:
    """Each line and the shipping are rounded on their own."""
    return subtotal_of(purchase) + taxed(purchase.shipping_price, purchase.channel.tax_rate)


def undiscounted_total_of(purchase: Payable) -> Taxed:
    rate = purchase.channel.tax_rate
    lines = (taxed(line.undiscounted_total, rate) for line in purchase.goods)
    return sum(lines, taxed(purchase.shipping_price, rate))


def reprice(purchase: Payable) -> None:
    """Takes the voucher off the lines, and asks for the shipping what its method costs now."""
    for line, discount in zip(purchase.goods, discounts(purchase.voucher, purchase.goods), strict=True):
        line.discount = discount
    method = purchase.shipping_method if purchase.is_shipped else None
    purchase.shipping_price = method.price if method else Decimal(0)


def discounts(voucher: Voucher | None, lines: Sequence[Line]) -> list[Decimal]:
    """What each line is cheaper by."""
    nothing = [Decimal(0) for _ in lines]
    if voucher is None or not lines:
        return nothing
    if voucher.once_per_order:
        cheapest = min(range(len(lines)), key=lambda index: lines[index].price)
        nothing[cheapest] = _worth(voucher, lines[cheapest].price)
        return nothing
    subtotal = sum((line.undiscounted_total for line in lines), Decimal(0))
    return _spread(_worth(voucher, subtotal), lines, subtotal) if subtotal else nothing


def _worth(voucher: Voucher, price: Decimal) -> Decimal:
    return min(_cents(price * voucher.value / 100) if voucher.is_percentage else voucher.value, price)


def _spread(discount: Decimal, lines: Sequence[Line], subtotal: Decimal) -> list[Decimal]:
    """By the lines' worth; the last one bears the rounding."""
    shares = [_cents(discount * line.undiscounted_total / subtotal) for line in lines[:-1]]
    return [*shares, discount - sum(shares, Decimal(0))]


def _cents(amount: Decimal) -> Decimal:
    return amount.quantize(CENT, ROUND_HALF_UP)


_NOTHING = Taxed(Decimal(0), Decimal(0))
