"""What a shop holds: plain records, with the sums that Saleor derives from them."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING, Any, ClassVar

from app.saleor.simulator import ids
from app.saleor.simulator.base import Numbered, Record
from app.saleor.simulator.catalog_models import ProductVariant, ShippingMethodType, Voucher

if TYPE_CHECKING:
    from app.saleor.simulator.transaction_models import TransactionItem

CENT = Decimal("0.01")  # the smallest amount of every currency of the simulated shop


@dataclass(eq=False, kw_only=True)
class Channel(Numbered):
    slug: str
    name: str
    currency: str
    country: str
    auto_confirms: bool = True
    flow_strategy: str = "CHARGE"  # or AUTHORIZATION: what a payment session does unless it is told
    is_active: bool = True
    tax_rate: Decimal = Decimal("0.25")  # prices are entered with this tax
    price_freeze: timedelta | None = timedelta(hours=24)  # of the lines of drafts; None never refreshes them
    allows_unpaid_orders: bool = False
    counts_vouchers_of_drafts: bool = False  # Saleor's includeDraftOrderInVoucherUsage


@dataclass(eq=False, kw_only=True)
class Address(Numbered):
    first_name: str = ""
    last_name: str = ""
    company_name: str = ""
    street_address_1: str = ""
    street_address_2: str = ""
    city: str = ""
    city_area: str = ""
    postal_code: str = ""
    country: str = "NO"
    country_area: str = ""
    phone: str = ""


@dataclass(eq=False, kw_only=True)
class User(Numbered):
    email: str
    first_name: str
    last_name: str
    joined_at: datetime
    token_key: str  # the `token` claim: changing it revokes every token of the user
    is_staff: bool = False
    is_active: bool = True
    permissions: frozenset[str] = frozenset()
    address: Address | None = None
    language: str = "EN"
    external_reference: str | None = None


@dataclass(eq=False, kw_only=True)
class Line(Record):
    """`price` is that of one piece with tax, `discount` that of the whole line."""

    quantity: int
    price: Decimal
    discount: Decimal = Decimal(0)
    is_price_overridden: bool = False
    variant: ProductVariant | None = None
    token: uuid.UUID = field(default_factory=uuid.uuid4)

    @property
    def key(self) -> object:
        return self.token

    @property
    def undiscounted_total(self) -> Decimal:
        return self.price * self.quantity

    @property
    def total(self) -> Decimal:
        return self.undiscounted_total - self.discount

    @property
    def unit_price(self) -> Decimal:
        return (self.total / self.quantity).quantize(CENT, ROUND_HALF_UP)

    @property
    def is_shipped(self) -> bool:
        return bool(self.variant and self.variant.product.product_type.is_shipping_required)


@dataclass(eq=False, kw_only=True)
class Payable(Record):
    """An order or a checkout. `charged` is what was paid otherwise than by transactions."""

    counts_pending: ClassVar[bool] = False  # a checkout counts what is on its way, an order does not

    channel: Channel
    user: User | None = None
    email: str = ""
    language: str = "EN"
    billing_address: Address | None = None
    shipping_address: Address | None = None
    shipping_method: ShippingMethodType | None = None
    shipping_price: Decimal = Decimal(0)
    voucher: Voucher | None = None
    voucher_code: str | None = None
    charged: Decimal = Decimal(0)
    is_locked: bool = False  # while a checkout is being completed no payment begins
    transactions: list["TransactionItem"] = field(default_factory=list)

    @property
    def goods(self) -> Sequence[Line]:
        raise NotImplementedError

    @property
    def is_shipped(self) -> bool:
        return any(line.is_shipped for line in self.goods)

    @property
    def subtotal(self) -> Decimal:
        return sum((line.total for line in self.goods), Decimal(0))

    @property
    def total(self) -> Decimal:
        return self.subtotal + self.shipping_price

    @property
    def undiscounted_total(self) -> Decimal:
        return sum((line.undiscounted_total for line in self.goods), Decimal(0)) + self.shipping_price

    @property
    def total_charged(self) -> Decimal:
        amounts = (t.sums.charged + (t.sums.charge_pending if self.counts_pending else 0) for t in self.transactions)
        return sum(amounts, self.charged)

    @property
    def total_authorized(self) -> Decimal:
        amounts = (
            t.sums.authorized + (t.sums.authorize_pending if self.counts_pending else 0) for t in self.transactions
        )
        return sum(amounts, Decimal(0))

    @property
    def charge_status(self) -> str:
        if self.total_charged == self.total:
            return "FULL"
        if self.total_charged > self.total:
            return "OVERCHARGED"
        return "PARTIAL" if self.total_charged > 0 else "NONE"

    @property
    def authorize_status(self) -> str:
        covered = self.total_authorized + self.total_charged
        if covered >= self.total:
            return "FULL"
        return "PARTIAL" if covered > 0 else "NONE"

    @property
    def is_paid(self) -> bool:
        return self.total_charged >= self.total


@dataclass(eq=False, kw_only=True)
class OrderLine(Line):
    order: "Order"
    product_name: str
    variant_name: str
    price_expires_at: datetime | None = None  # of a draft

    @property
    def channel(self) -> Channel:
        return self.order.channel


@dataclass(eq=False, kw_only=True)
class OrderEvent(Numbered):
    type: str
    at: datetime
    by: "App | User | None" = None
    message: str | None = None


@dataclass(eq=False, kw_only=True)
class Order(Payable):
    number: int
    created_at: datetime
    updated_at: datetime
    status: str
    origin: str = "CHECKOUT"
    external_reference: str | None = None
    customer_note: str = ""
    redirect_url: str | None = None
    lines: list[OrderLine] = field(default_factory=list)
    events: list[OrderEvent] = field(default_factory=list)
    token: uuid.UUID = field(default_factory=uuid.uuid4)
    checkout_token: uuid.UUID | None = None  # drafts have none

    @property
    def key(self) -> object:
        return self.token

    @property
    def checkout_id(self) -> str | None:
        return ids.encode("Checkout", self.checkout_token) if self.checkout_token else None

    @property
    def goods(self) -> Sequence[OrderLine]:
        return self.lines

    @property
    def is_draft(self) -> bool:
        return self.status == "DRAFT"

    @property
    def notes(self) -> list[OrderEvent]:
        return [event for event in self.events if event.type == "NOTE_ADDED"]


@dataclass(eq=False, kw_only=True)
class Webhook(Numbered):
    app: "App"
    name: str
    target_url: str
    query: str
    asynchronous: frozenset[str]
    synchronous: frozenset[str] = frozenset()
    is_active: bool = True
    custom_headers: dict[str, str] = field(default_factory=dict)
    identifier: str | None = None


@dataclass(eq=False, kw_only=True)
class Extension(Numbered):
    app: "App"
    label: str
    url: str
    mount: str
    target: str
    permissions: frozenset[str]

    @property
    def id(self) -> str:
        return ids.encode("AppExtension", self.number)


@dataclass(eq=False, kw_only=True)
class App(Numbered):
    identifier: str
    name: str
    token: str
    permissions: frozenset[str]
    created_at: datetime
    manifest: dict[str, Any]
    manifest_url: str
    is_active: bool = True
    is_installed: bool = False
    removed_at: datetime | None = None
    webhooks: list[Webhook] = field(default_factory=list)
    extensions: list[Extension] = field(default_factory=list)
