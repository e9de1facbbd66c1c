"""Draft orders: made by staff and apps, priced by the shop, and completed only where nothing stands in the way."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from app.saleor.simulator.base import Metadata
from app.saleor.simulator.catalog import is_listed, is_published
from app.saleor.simulator.catalog_models import ProductVariant, ShippingMethodType, Voucher
from app.saleor.simulator.input_errors import InputError
from app.saleor.simulator.models import Address, Channel, Order, OrderLine, User
from app.saleor.simulator.obstacles import obstacles_of
from app.saleor.simulator.orders import Orders, new_line
from app.saleor.simulator.pricing import reprice
from app.saleor.simulator.records import Principal

LONGEST_REFERENCE = 250


class ProtectedError(Exception):
    """Saleor's database refuses to delete what something else refers to; nobody there makes a payload error of it."""


class NotCompletable(Exception):
    """Everything that stands in the way of completing a draft."""

    def __init__(self, obstacles: Sequence[InputError]) -> None:
        super().__init__(", ".join(obstacle.code for obstacle in obstacles))
        self.obstacles = obstacles


@dataclass(frozen=True)
class WantedLine:
    """`price` overrides the catalogue's and never thaws."""

    variant: ProductVariant
    quantity: int = 1
    price: Decimal | None = None


@dataclass(frozen=True)
class DraftWish:
    channel: Channel
    lines: Sequence[WantedLine] = ()
    user: User | None = None
    email: str = ""
    billing: Address | None = None
    shipping: Address | None = None
    shipping_method: ShippingMethodType | None = None
    voucher_code: str | None = None
    external_reference: str | None = None
    language: str = "EN"
    customer_note: str = ""
    redirect_url: str | None = None
    metadata: Metadata = field(default_factory=dict)
    private_metadata: Metadata = field(default_factory=dict)


class Drafts(Orders):
    """Making, changing, pricing, completing and deleting drafts."""

    def create_draft(self, wish: DraftWish, by: Principal | None = None) -> Order:
        """Raises InputError."""
        voucher = self.voucher_for(wish.channel, wish.voucher_code)
        _check_lines(wish)
        self.check_reference(wish.external_reference)
        now = self.clock.now()
        order = Order(
            number=self.next_number("Order"),
            channel=wish.channel,
            user=wish.user,
            email=wish.email or (wish.user.email if wish.user else ""),
            created_at=now,
            updated_at=now,
            status="DRAFT",
            origin="DRAFT",
            billing_address=wish.billing,
            shipping_address=wish.shipping,
            shipping_method=wish.shipping_method,
            voucher=voucher,
            voucher_code=wish.voucher_code,
            external_reference=wish.external_reference,
            language=wish.language,
            customer_note=wish.customer_note,
            redirect_url=wish.redirect_url,
            metadata=dict(wish.metadata),
            private_metadata=dict(wish.private_metadata),
        )
        order.lines = [self._draft_line(order, wanted) for wanted in wish.lines]
        reprice(order)
        self.orders.append(order)
        self._tell(order, "DRAFT_CREATED", by=by)
        self.emit("DRAFT_ORDER_CREATED", order, by)
        return order

    def _draft_line(self, order: Order, wanted: WantedLine) -> OrderLine:
        line = new_line(order, wanted.variant, wanted.quantity)
        if wanted.price is None:
            self._freeze(line)
        else:
            line.price, line.is_price_overridden = wanted.price, True
        return line

    def _freeze(self, line: OrderLine) -> None:
        period = line.order.channel.price_freeze
        line.price_expires_at = None if period is None else self.clock.now() + period

    def check_reference(self, reference: str | None, holder: Order | None = None) -> None:
        if reference and len(reference) > LONGEST_REFERENCE:
            text = f"Ensure this value has at most {LONGEST_REFERENCE} characters (it has {len(reference)})."
            raise InputError("externalReference", "INVALID", text)
        if self.order_by_reference(reference or "") not in (None, holder):
            raise InputError("externalReference", "UNIQUE", "Order with this External reference already exists.")

    def voucher_for(self, channel: Channel, code: str | None) -> Voucher | None:
        voucher = self.voucher(code, channel) if code else None
        if code and voucher is None:
            raise InputError("voucherCode", "INVALID_VOUCHER_CODE", "Voucher code is invalid.")
        return voucher

    def refresh_draft(self, order: Order) -> None:
        """Whoever looks at a draft after its lines' prices have thawed sees the catalogue's of today."""
        now = self.clock.now()
        if not order.is_draft:
            return
        thawed = [line for line in order.lines if line.price_expires_at and line.price_expires_at < now]
        for line in thawed:
            if line.variant:
                line.price = line.variant.price
            self._freeze(line)
        if thawed:
            reprice(order)

    def draft_changed(self, order: Order, by: Principal | None = None) -> None:
        reprice(order)
        order.updated_at = self.clock.now()
        self.emit("DRAFT_ORDER_UPDATED", order, by)

    def complete_draft(self, order: Order, by: Principal | None = None) -> Order:
        """Raises InputError where it is none, NotCompletable where something is missing."""
        self.refresh_draft(order)
        if not order.is_draft:
            raise InputError("id", "INVALID", "The order is not draft.")
        if obstacles := obstacles_of(order):
            raise NotCompletable(obstacles)
        if order.user:
            order.email = order.user.email
        else:
            order.user = next((user for user in self.users if order.email and user.email == order.email), None)
        if not order.is_shipped:
            order.shipping_address = order.shipping_method = None
            order.shipping_price = Decimal(0)
        if order.voucher and order.channel.counts_vouchers_of_drafts:
            order.voucher.used_by.append(order.email)
        order.updated_at = self.clock.now()
        self.place_order(order, by, told_as="PLACED_FROM_DRAFT")
        return order

    def delete_draft(self, order: Order, by: Principal | None = None) -> None:
        if not order.is_draft:
            raise InputError("id", "INVALID", "Provided order id belongs to non-draft order.")
        if order.transactions:
            raise ProtectedError("Cannot delete some instances of model 'Order': transactions refer to them.")
        self.orders.remove(order)
        self.emit("DRAFT_ORDER_DELETED", order, by)


def _check_lines(wish: DraftWish) -> None:
    """Whether they are available for purchase and in stock is asked when the draft is completed."""
    if any(line.quantity <= 0 for line in wish.lines):
        raise InputError("quantity", "ZERO_QUANTITY", "Ensure this value is greater than 0.")
    unpublished = [line.variant.id for line in wish.lines if not is_published(line.variant, wish.channel)]
    if unpublished:
        text = "Can't add product variant that are not published in the channel associated with this draft order."
        raise InputError("lines", "PRODUCT_NOT_PUBLISHED", text, variants=unpublished)
    unlisted = [line.variant.id for line in wish.lines if not is_listed(line.variant, wish.channel)]
    if unlisted:
        text = "Cannot add variants that are not listed in the channel."
        raise InputError("lines", "NOT_AVAILABLE_IN_CHANNEL", text, variants=unlisted)
