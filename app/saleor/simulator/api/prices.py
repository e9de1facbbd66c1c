"""Prices of orders and checkouts: with tax, at the prices of now."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from app.saleor.simulator.api.fields import Fields, Price, Request, Resolver, TaxedPrice
from app.saleor.simulator.models import Order, OrderLine, Payable
from app.saleor.simulator.pricing import Taxed, subtotal_of, taxed, total_of, undiscounted_total_of


def money(of: Callable[[Any], Decimal]) -> Resolver:
    """Of an order, a checkout, or a line of one."""
    return lambda source, request: Price(of(_fresh(source, request)), source.channel.currency)


def with_tax(of: Callable[[Any], Taxed]) -> Resolver:
    return lambda source, request: TaxedPrice(of(_fresh(source, request)), source.channel.currency)


def gross(of: Callable[[Any], Decimal]) -> Resolver:
    """The same for an amount that contains tax."""
    return with_tax(lambda source: taxed(of(source), source.channel.tax_rate))


def _fresh(source: Any, request: Request) -> Any:
    """Whoever looks at the price of a draft whose prices have thawed makes Saleor ask the catalogue again."""
    order = source.order if isinstance(source, OrderLine) else source
    if isinstance(order, Order):
        request.shop.refresh_draft(order)
    return source


TOTALS: Fields = {
    "total": with_tax(total_of),
    "subtotal": with_tax(subtotal_of),
    "undiscountedTotal": with_tax(undiscounted_total_of),
    "shippingPrice": gross(lambda purchase: purchase.shipping_price),
    "totalCharged": money(lambda purchase: purchase.total_charged),
    "totalBalance": money(lambda purchase: purchase.total_charged - purchase.total),
    "totalAuthorized": money(lambda purchase: purchase.total_authorized),
    "totalCanceled": money(lambda purchase: _sum(purchase, "canceled")),
    "totalRefunded": money(lambda purchase: _sum(purchase, "refunded")),
}

LINE_PRICES: Fields = {
    "unitPrice": gross(lambda line: line.unit_price),
    "undiscountedUnitPrice": gross(lambda line: line.price),
    "totalPrice": gross(lambda line: line.total),
    "undiscountedTotalPrice": gross(lambda line: line.undiscounted_total),
}


def _sum(purchase: Payable, name: str) -> Decimal:
    return sum((getattr(transaction.sums, name) for transaction in purchase.transactions), Decimal(0))
