"""What a changed transaction means for the order or checkout that it pays, and who is told."""

from decimal import Decimal

from app.saleor.simulator.models import Order, Payable
from app.saleor.simulator.records import Principal, Records
from app.saleor.simulator.sums import sums_of
from app.saleor.simulator.transaction_models import Sums, TransactionItem

PAID = {"FULL", "OVERCHARGED"}


def settle(shop: Records, transaction: TransactionItem, by: Principal | None) -> None:
    """Adds the events up again and tells what has changed by that."""
    source, before = transaction.source, transaction.sums
    was_paid, was_authorized = source.charge_status in PAID, source.authorize_status == "FULL"
    transaction.sums = sums_of(transaction.events)
    transaction.modified_at = shop.clock.now()
    if isinstance(source, Order):
        _tell_of_order(shop, source, before, transaction.sums, by)
    else:
        _tell_of_checkout(shop, source, by, was_paid=was_paid, was_authorized=was_authorized)


def _tell_of_order(shop: Records, order: Order, before: Sums, now: Sums, by: Principal | None) -> None:
    """A draft is silent: completing it tells everything at once."""
    if before == now:
        return
    order.updated_at = shop.clock.now()
    if order.status == "DRAFT":
        return
    updated = now.authorized != before.authorized
    if now.charged > before.charged:
        updated = False
        shop.emit("ORDER_PAID", order, by)
        if order.charge_status in PAID:
            shop.emit("ORDER_FULLY_PAID", order, by)
        shop.emit("ORDER_UPDATED", order, by)
    elif now.charged != before.charged:
        updated = True
    if now.refunded > before.refunded:
        updated = False
        shop.emit("ORDER_REFUNDED", order, by)
        shop.emit("ORDER_UPDATED", order, by)
        if _refunded(order) >= order.total:
            shop.emit("ORDER_FULLY_REFUNDED", order, by)
    if updated:
        shop.emit("ORDER_UPDATED", order, by)


def _refunded(order: Order) -> Decimal:
    return sum((transaction.sums.refunded for transaction in order.transactions), Decimal(0))


def _tell_of_checkout(
    shop: Records, checkout: Payable, by: Principal | None, *, was_paid: bool, was_authorized: bool
) -> None:
    if checkout.charge_status in PAID and not was_paid:
        shop.emit("CHECKOUT_FULLY_PAID", checkout, by)
    if checkout.authorize_status == "FULL" and not was_authorized:
        shop.emit("CHECKOUT_FULLY_AUTHORIZED", checkout, by)
