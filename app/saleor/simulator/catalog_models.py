"""What a shop sells, how it sends it, and the vouchers that make it cheaper."""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from app.saleor.simulator import ids
from app.saleor.simulator.base import Numbered


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
    unpublished_in: set[str] = field(default_factory=set)  # slugs of channels, as below
    unavailable_in: set[str] = field(default_factory=set)  # not for purchase


@dataclass(eq=False, kw_only=True)
class ProductVariant(Numbered):
    name: str
    sku: str
    price: Decimal
    product: Product
    created_at: datetime
    external_reference: str | None = None
    unlisted_in: set[str] = field(default_factory=set)  # has no price there
    stock: int | None = None  # None is not tracked
    allocated: int = 0  # by orders that are not sent yet

    @property
    def available(self) -> int | None:
        return None if self.stock is None else self.stock - self.allocated


@dataclass(eq=False, kw_only=True)
class ShippingMethodType(Numbered):
    """A native one. Its price contains tax, as all prices do."""

    name: str
    price: Decimal
    channels: frozenset[str]
    countries: frozenset[str]
    is_active: bool = True

    @property
    def shown_id(self) -> str:
        """As a method of one order or checkout it has another type, with the same key."""
        return ids.encode("ShippingMethod", self.number)


@dataclass(eq=False, kw_only=True)
class Voucher(Numbered):
    """Cuts the prices of a whole order, or of one piece of its cheapest line."""

    code: str
    value: Decimal
    is_percentage: bool
    channels: frozenset[str]
    once_per_order: bool = False
    once_per_customer: bool = False
    usage_limit: int | None = None
    is_active: bool = True
    used_by: list[str] = field(default_factory=list)  # e-mail addresses
