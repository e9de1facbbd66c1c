"""What happens to orders, and the events that each change causes, in Saleor's order."""

import uuid
from collections.abc import Mapping, Sequence
from decimal import Decimal

from app.saleor.simulator.base import Metadata
from app.saleor.simulator.catalog import Catalog
from app.saleor.simulator.catalog_models import Product, ProductVariant
from app.saleor.simulator.models import Order, OrderEvent, OrderLine, User
from app.saleor.simulator.records import Amount, Principal
from app.saleor.simulator.stock import allocate, release

Wanted = Sequence[ProductVariant | Product | tuple[ProductVariant | Product, int]]


class Orders(Catalog):
    """Creating, confirming, paying, annotating and cancelling."""

    def create_order(
        self,
        customer: User | None = None,
        lines: Wanted | None = None,
        *,
        amount: Amount | None = None,
        email: str | None = None,
        channel: str = "norway",
        metadata: Metadata | None = None,
        private_metadata: Metadata | None = None,
        external_reference: str | None = None,
        paid: bool = False,
        confirm: bool = True,
    ) -> Order:
        """An order by checkout, of variants or of one amount. Without a customer it is a guest's, known by e-mail."""
        order = self._new_order(customer, email, channel, external_reference)
        order.metadata.update(metadata or {})
        order.private_metadata.update(private_metadata or {})
        order.lines = self._lines(order, lines, amount)
        if paid:
            order.charged = order.total
        self.orders.append(order)
        self.place_order(order, customer, confirm=confirm)
        return order

    def _new_order(
        self, customer: User | None, email: str | None, channel: str, external_reference: str | None
    ) -> Order:
        if customer is None and email is None:
            raise ValueError("An order needs a customer or an e-mail address.")
        if external_reference and self.order_by_reference(external_reference):
            raise ValueError(f"There is already an order with the external reference {external_reference}.")
        now = self.clock.now()
        return Order(
            number=self.next_number("Order"),
            channel=self.channels[channel],
            user=customer,
            email=email or (customer.email if customer else ""),
            created_at=now,
            updated_at=now,
            status="UNCONFIRMED",
            billing_address=customer.address if customer else None,
            shipping_address=customer.address if customer else None,
            language=customer.language if customer else "EN",
            external_reference=external_reference,
            checkout_token=uuid.uuid4(),
        )

    @staticmethod
    def _lines(
        order: Order,
        wanted: Wanted | None,
        amount: Amount | None,
    ) -> list[OrderLine]:
        if (wanted is None) == (amount is None):
            raise ValueError("An order is made of lines or of an amount, one of them.")
        if amount is not None:
            return [OrderLine(order=order, product_name="Goods", variant_name="", quantity=1, price=Decimal(amount))]
        return [new_line(order, variant, quantity) for variant, quantity in pairs_of(wanted or [])]

    def place_order(
        self, order: Order, by: Principal | None = None, *, told_as: str = "PLACED", confirm: bool = True
    ) -> None:
        """Takes what it needs from the stock and tells everything at once; paid is also what is free."""
        confirmed = confirm and order.channel.auto_confirms
        order.status = "UNFULFILLED" if confirmed else "UNCONFIRMED"
        allocate(order.lines)
        self._tell(order, told_as, by=by)
        self.emit("ORDER_CREATED", order, by)
        if order.charge_status in {"FULL", "OVERCHARGED"}:
            for name in ("ORDER_PAID", "ORDER_FULLY_PAID", "ORDER_UPDATED"):
                self.emit(name, order, by)
        if confirmed:
            self.confirm_order(order, by=by)

    def confirm_order(self, order: Order, by: Principal | None = None) -> None:
        order.status = "UNFULFILLED"
        self._tell(order, "CONFIRMED", by=by)
        self.emit("ORDER_CONFIRMED", order, by)

    def update_order_metadata(self, order: Order, metadata: Mapping[str, str], by: Principal | None = None) -> None:
        order.metadata.update(metadata)
        self.order_metadata_changed(order, by)

    def update_order_private_metadata(
        self, order: Order, metadata: Mapping[str, str], by: Principal | None = None
    ) -> None:
        order.private_metadata.update(metadata)
        self.order_metadata_changed(order, by)

    def order_metadata_changed(self, order: Order, by: Principal | None = None) -> None:
        """Sent whether or not a value differs: this is what makes an app that answers events with metadata loop."""
        order.updated_at = self.clock.now()
        self.emit("ORDER_METADATA_UPDATED", order, by)

    def touch_order(self, order: Order, by: Principal | None = None) -> None:
        order.updated_at = self.clock.now()
        self.emit("ORDER_UPDATED", order, by)

    def add_note(self, order: Order, message: str, by: Principal | None = None) -> OrderEvent:
        note = self._tell(order, "NOTE_ADDED", message, by)
        self.touch_order(order, by)
        return note

    def cancel_order(self, order: Order, by: Principal | None = None) -> None:
        """Its payments stay as they are."""
        order.status = "CANCELED"
        release(order.lines)
        self._tell(order, "CANCELED", by=by)
        order.updated_at = self.clock.now()
        self.emit("ORDER_CANCELLED", order, by)
        self.touch_order(order, by)

    def mark_charged(self, order: Order, amount: Amount | None = None, by: Principal | None = None) -> None:
        """The charged amount grows by `amount`, or by all that is left."""
        order.charged += Decimal(amount) if amount is not None else order.total - order.total_charged
        order.updated_at = self.clock.now()
        self.emit("ORDER_PAID", order, by)
        if order.is_paid:
            self.emit("ORDER_FULLY_PAID", order, by)
        self.emit("ORDER_UPDATED", order, by)

    def _tell(self, order: Order, type_: str, message: str | None = None, by: Principal | None = None) -> OrderEvent:
        event = OrderEvent(
            number=self.next_number("OrderEvent"), type=type_, at=self.clock.now(), by=by, message=message
        )
        order.events.append(event)
        return event


def pairs_of(wanted: Wanted) -> list[tuple[ProductVariant, int]]:
    """Variants with quantities; a product is its first variant."""
    pairs = [item if isinstance(item, tuple) else (item, 1) for item in wanted]
    return [(item.variants[0] if isinstance(item, Product) else item, quantity) for item, quantity in pairs]


def new_line(order: Order, variant: ProductVariant, quantity: int) -> OrderLine:
    return OrderLine(
        order=order,
        product_name=variant.product.name,
        variant_name=variant.name,
        quantity=quantity,
        price=variant.price,
        variant=variant,
    )
