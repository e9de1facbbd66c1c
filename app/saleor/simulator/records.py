"""The rows of a shop, their numbers, and the news of their changes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from itertools import count
from typing import Any

from app.saleor.simulator.base import Record
from app.saleor.simulator.catalog_models import Product, ProductVariant, ShippingMethodType, Voucher
from app.saleor.simulator.checkout_models import Checkout
from app.saleor.simulator.clock import Clock
from app.saleor.simulator.models import Address, App, Channel, Order, Payable, User

Principal = App | User
Amount = Decimal | int | str


@dataclass(frozen=True)
class Event:
    """Something that happened to a record, as Saleor names it: ORDER_CREATED. A question to an app has details."""

    name: str
    subject: Record
    by: Principal | None
    at: datetime
    details: Mapping[str, Any] = field(default_factory=dict)


class Records:
    """All records. Whoever wants to know of changes adds a listener."""

    def __init__(self, name: str, clock: Clock) -> None:
        self.name = name
        self.company_address: Address | None = None
        self.clock = clock
        self.listeners: list[Callable[[Event], None]] = []
        self.channels: dict[str, Channel] = {}
        self.users: list[User] = []
        self.products: list[Product] = []
        self.shipping_methods: list[ShippingMethodType] = []
        self.vouchers: list[Voucher] = []
        self.checkouts: list[Checkout] = []
        self.orders: list[Order] = []
        self.apps: list[App] = []
        self._numbers: dict[str, count[int]] = {}

    def next_number(self, kind: str, start: int = 1) -> int:
        return next(self._numbers.setdefault(kind, count(start)))

    def emit(self, name: str, subject: Record, by: Principal | None = None) -> None:
        event = Event(name, subject, by, self.clock.now())
        for listener in self.listeners:
            listener(event)

    def find(self, global_id: str) -> Record | None:
        """Any record with metadata by its global id; removed apps are gone."""
        variants = [variant for product in self.products for variant in product.variants]
        purchases: list[Payable] = [*self.orders, *self.checkouts]
        lines = [line for purchase in purchases for line in purchase.goods]
        apps = [app for app in self.apps if app.removed_at is None]
        groups: list[Sequence[Record]] = [
            list(self.channels.values()), self.users, self.products, variants, self.shipping_methods, self.vouchers,
            purchases, lines, apps,
        ]  # fmt: skip
        return next((record for group in groups for record in group if record.id == global_id), None)

    def variant(self, global_id: str) -> ProductVariant | None:
        variants = (variant for product in self.products for variant in product.variants)
        return next((variant for variant in variants if variant.id == global_id), None)

    def order(self, global_id_or_token: str) -> Order | None:
        """Saleor accepts the bare token of an order wherever it accepts its id."""
        return next((o for o in self.orders if global_id_or_token in (o.id, str(o.token))), None)

    def order_by_reference(self, external_reference: str) -> Order | None:
        return next((o for o in self.orders if external_reference and o.external_reference == external_reference), None)
