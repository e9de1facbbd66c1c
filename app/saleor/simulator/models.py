"""What a shop holds: plain records, with the sums that Saleor derives from them."""

import uuid
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from app.saleor.simulator import ids

Metadata = dict[str, str]


@dataclass(eq=False, kw_only=True)
class Record:
    """Anything with metadata. Records are compared by identity, as rows are by their key."""

    metadata: Metadata = field(default_factory=dict)
    private_metadata: Metadata = field(default_factory=dict)

    @property
    def key(self) -> object:
        raise NotImplementedError

    @property
    def id(self) -> str:
        return ids.encode(type(self).__name__, self.key)


@dataclass(eq=False, kw_only=True)
class Numbered(Record):
    number: int

    @property
    def key(self) -> object:
        return self.number


@dataclass(eq=False, kw_only=True)
class Channel(Numbered):
    slug: str
    name: str
    currency: str
    country: str
    auto_confirms: bool = True
    is_active: bool = True


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
class ProductType(Numbered):
    name: str
    slug: str
    is_shipping_required: bool = True


@dataclass(eq=False, kw_only=True)
class Product(Numbered):
    name: str
    slug: str
    product_type: ProductType
    created_at: datetime
    variants: list["ProductVariant"] = field(default_factory=list)
    external_reference: str | None = None


@dataclass(eq=False, kw_only=True)
class ProductVariant(Numbered):
    name: str
    sku: str
    price: Decimal
    product: Product
    created_at: datetime
    external_reference: str | None = None


@dataclass(eq=False, kw_only=True)
class OrderLine(Record):
    order: "Order"
    product_name: str
    variant_name: str
    quantity: int
    unit_price: Decimal
    variant: ProductVariant | None = None
    token: uuid.UUID = field(default_factory=uuid.uuid4)

    @property
    def key(self) -> object:
        return self.token

    @property
    def total(self) -> Decimal:
        return self.unit_price * self.quantity


@dataclass(eq=False, kw_only=True)
class OrderEvent(Numbered):
    type: str
    at: datetime
    by: "App | User | None" = None
    message: str | None = None


@dataclass(eq=False, kw_only=True)
class Order(Record):
    number: int
    channel: Channel
    user: User | None
    email: str
    created_at: datetime
    updated_at: datetime
    status: str
    origin: str = "CHECKOUT"
    address: Address | None = None
    language: str = "EN"
    charged: Decimal = Decimal(0)
    external_reference: str | None = None
    lines: list[OrderLine] = field(default_factory=list)
    events: list[OrderEvent] = field(default_factory=list)
    token: uuid.UUID = field(default_factory=uuid.uuid4)
    checkout_token: uuid.UUID = field(default_factory=uuid.uuid4)

    @property
    def key(self) -> object:
        return self.token

    @property
    def total(self) -> Decimal:
        return sum((line.total for line in self.lines), Decimal(0))

    @property
    def charge_status(self) -> str:
        if self.charged == self.total:
            return "FULL"
        if self.charged > self.total:
            return "OVERCHARGED"
        return "PARTIAL" if self.charged else "NONE"

    @property
    def is_paid(self) -> bool:
        return self.charged >= self.total

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
