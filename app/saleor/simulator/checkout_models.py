"""Baskets: what becomes an order, and its lines."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar

from app.saleor.simulator.catalog_models import ProductVariant
from app.saleor.simulator.models import Channel, Line, Payable


@dataclass(eq=False, kw_only=True)
class CheckoutLine(Line):
    checkout: "Checkout"
    variant: ProductVariant  # one that is deleted takes its lines along

    @property
    def channel(self) -> Channel:
        return self.checkout.channel


@dataclass(eq=False, kw_only=True)
class Checkout(Payable):
    """A basket on its way to an order. Once it is one it is gone, but whoever completes it again gets the order."""

    counts_pending: ClassVar[bool] = True

    created_at: datetime
    updated_at: datetime
    redirect_url: str | None = None
    lines: list[CheckoutLine] = field(default_factory=list)
    token: uuid.UUID = field(default_factory=uuid.uuid4)

    @property
    def key(self) -> object:
        return self.token

    @property
    def goods(self) -> Sequence[CheckoutLine]:
        return self.lines
