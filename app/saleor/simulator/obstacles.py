"""What stands in the way of completing a draft order, all of it at once and in Saleor's order."""

from collections.abc import Sequence

from app.saleor.simulator.catalog import is_available_for_purchase, is_listed, is_published
from app.saleor.simulator.catalog_models import ShippingMethodType, Voucher
from app.saleor.simulator.input_errors import InputError
from app.saleor.simulator.models import Order, OrderLine, Payable
from app.saleor.simulator.stock import lines_out_of_stock


def obstacles_of(order: Order) -> list[InputError]:
    found = []
    if order.billing_address is None:
        found.append(InputError("order", "BILLING_ADDRESS_NOT_SET", "Can't finalize draft with no billing address."))
    if order.is_shipped:
        found += _shipping(order)
    found += _lines(order)
    if not order.channel.is_active:
        text = "Cannot complete draft order with inactive channel."
        found.append(InputError("channel", "CHANNEL_INACTIVE", text))
    found += _sale(order)
    if order.voucher and order.channel.counts_vouchers_of_drafts and not is_usable(order.voucher, order):
        found.append(InputError("voucher", "INVALID_VOUCHER", "Voucher is not valid for this order."))
    return found


def _shipping(order: Order) -> list[InputError]:
    found = []
    if order.shipping_address is None:
        found.append(InputError("order", "ORDER_NO_SHIPPING_ADDRESS", "Can't finalize draft with no shipping address."))
    method = order.shipping_method
    if method is None:
        found.append(InputError("shipping", "SHIPPING_METHOD_REQUIRED", "Shipping method is required."))
    elif not is_applicable(method, order):
        text = "Shipping method cannot be used with this order."
        found.append(InputError("shipping", "SHIPPING_METHOD_NOT_APPLICABLE", text))
    return found


def is_applicable(method: ShippingMethodType, purchase: Payable) -> bool:
    """Without an address its country is not asked for."""
    address = purchase.shipping_address
    goes_there = address is None or address.country in method.countries
    return method.is_active and purchase.channel.slug in method.channels and goes_there


def _lines(order: Order) -> list[InputError]:
    found = []
    if not order.lines:
        found.append(InputError("lines", "REQUIRED", "Could not create order without any products."))
    short = lines_out_of_stock(order.lines)
    for line in order.lines:
        if line.variant is None:
            found.append(InputError("lines", "NOT_FOUND", "Could not create orders with non-existing products."))
        elif line in short:
            found.append(InputError("lines", "INSUFFICIENT_STOCK", "Insufficient product stock.", lines=[line.id]))
    return found


def _sale(order: Order) -> list[InputError]:
    """Whether the shop sells these things in the channel at all."""
    found, channel = [], order.channel
    present = [(line, line.variant) for line in order.lines if line.variant]
    if any(not is_published(variant, channel) for _line, variant in present):
        text = "Can't finalize draft with unpublished product."
        found.append(InputError("lines", "PRODUCT_NOT_PUBLISHED", text))
    unavailable = [line for line, variant in present if not is_available_for_purchase(variant, channel)]
    if unavailable:
        text = "Can't finalize draft with product unavailable for purchase."
        found.append(InputError("lines", "PRODUCT_UNAVAILABLE_FOR_PURCHASE", text, lines=_ids(unavailable)))
    unlisted = [variant.id for _line, variant in present if not is_listed(variant, channel)]
    if unlisted:
        text = "Cannot add variants that are not listed in the channel."
        found.append(InputError("lines", "NOT_AVAILABLE_IN_CHANNEL", text, variants=unlisted))
    return found


def _ids(lines: Sequence[OrderLine]) -> list[str]:
    return [line.id for line in lines]


def is_usable(voucher: Voucher, purchase: Payable) -> bool:
    """Still on offer, not used up, and not by this customer where each may use it once."""
    is_left = voucher.usage_limit is None or len(voucher.used_by) < voucher.usage_limit
    is_first = not (voucher.once_per_customer and purchase.email in voucher.used_by)
    return voucher.is_active and purchase.channel.slug in voucher.channels and is_left and is_first
