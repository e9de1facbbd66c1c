"""The cart in a checkout or order as Saleor shows it; what is wrong with it is said in a shopper's words."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from app.domain.checkout import Cart, CartLine
from app.domain.errors import InvalidInput
from app.domain.money import Currency, Money

_ELSEWHERE = "please choose another way to pay."


def cart_of(source: Mapping[str, Any]) -> Cart:
    """Of `fragments/checkout-cart` or `fragments/order-cart`, with the `__typename`."""
    checkout = source.get("__typename") == "Checkout"
    channel = object_at(source, "channel")
    taxes = channel.get("taxConfiguration")
    net = isinstance(taxes, dict) and taxes.get("pricesEnteredWithTax") is False
    shipping = source.get("shippingPrice")
    customer = source.get("user")
    voucher = source.get("voucherCode")
    return Cart(
        id=text_at(source, "id"),
        channel=text_at(channel, "slug"),
        customer=text_at(customer, "id") if isinstance(customer, dict) else None,
        lines=lines_of(source.get("checkoutLines" if checkout else "orderLines"), prices_are_net=net),
        shipping=money_of(shipping.get("gross")) if isinstance(shipping, dict) else None,
        voucher=voucher if isinstance(voucher, str) and voucher else None,
    )


def lines_of(found: object, *, prices_are_net: bool = False) -> tuple[CartLine, ...]:
    """What can be renewed of it: neither gifts nor lines whose variant is gone.

    `prices_are_net`: the channel's prices are entered without tax, and so are a checkout's undiscounted ones.
    """
    if not isinstance(found, list):
        raise InvalidInput("Saleor shows no lines", field="lines")
    lines = (line for line in found if isinstance(line, dict) and not line.get("isGift"))
    present = (line for line in lines if isinstance(line.get("variant"), dict))
    return tuple(_line(line, prices_are_net=prices_are_net) for line in present)


def _line(line: Mapping[str, Any], *, prices_are_net: bool) -> CartLine:
    variant = object_at(line, "variant")
    product = object_at(variant, "product")
    quantity = line.get("quantity")
    if isinstance(quantity, bool) or not isinstance(quantity, int) or quantity < 1:
        raise InvalidInput("a line's quantity cannot be read", field="quantity")
    return CartLine(
        variant=text_at(variant, "id"),
        name=text_at(product, "name"),
        quantity=quantity,
        total=money_of(object_at(line, "totalPrice").get("gross")),
        undiscounted=_undiscounted(line, prices_are_net=prices_are_net),
        metadata=pairs_of(product.get("metadata")) | pairs_of(variant.get("metadata")),
    )


def _undiscounted(line: Mapping[str, Any], *, prices_are_net: bool) -> Money:
    """With tax. An order says so itself; a checkout's line pays the same share of tax with and without its discount."""
    found, total = object_at(line, "undiscountedTotalPrice"), object_at(line, "totalPrice")
    if "gross" in found:
        return money_of(found["gross"])
    price = money_of(found)
    if not prices_are_net:
        return price
    gross, net = money_of(total.get("gross")), money_of(total.get("net"))
    if net.minor <= 0:
        return price
    return Money((2 * price.minor * gross.minor + net.minor) // (2 * net.minor), price.currency)


def money_of(found: object) -> Money:
    """Of Saleor's `Money {amount currency}`."""
    money = found if isinstance(found, dict) else {}
    return amount_of(money.get("amount"), money.get("currency"))


def amount_of(amount: object, code: object) -> Money:
    try:
        currency = Currency(str(code))
    except ValueError:
        raise InvalidInput(f"Vipps MobilePay cannot be used for {code!s:.10}; {_ELSEWHERE}", field="currency") from None
    if isinstance(amount, bool) or not isinstance(amount, Decimal | int):
        raise InvalidInput("Saleor shows no amount that can be read", field="amount")
    try:
        return Money.from_decimal(amount, currency)
    except InvalidInput:
        text = f"{amount!s:.40} {currency} cannot be paid with Vipps MobilePay; {_ELSEWHERE}"
        raise InvalidInput(text, field="amount") from None


def pairs_of(items: object) -> dict[str, str]:
    """Of a list of metadata."""
    return {str(it["key"]): str(it["value"]) for it in items} if isinstance(items, list) else {}


def object_at(holder: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = holder.get(name)
    if not isinstance(value, dict):
        raise InvalidInput(f"Saleor shows no {name}", field=name)
    return value


def text_at(holder: Mapping[str, Any], name: str) -> str:
    value = holder.get(name)
    if not isinstance(value, str) or not value:
        raise InvalidInput(f"Saleor shows no {name}", field=name)
    return value
