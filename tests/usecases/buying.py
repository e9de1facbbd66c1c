"""Steps of a purchase: a subscription product, a cart, its payment through Saleor, and the approval at Vipps."""

import itertools
from dataclasses import dataclass, field
from typing import Any

from app.domain.charge import Charge
from app.domain.subscription import Subscription
from app.domain.transaction import Session
from app.saleor.simulator.catalog_models import Product
from app.saleor.simulator.checkout_models import Checkout
from app.saleor.simulator.models import Address, Order, User
from app.saleor.simulator.sessions import Outcome
from app.saleor.simulator.transaction_models import TransactionItem
from tests.world import SHOP, World

MONTHLY = {"vipps-recurring.interval": "MONTH:1"}
RETURN = {"returnUrl": "https://shop.example/thanks"}
_keys = itertools.count(1)


@dataclass
class Purchase:
    """A cart and how it is paid; `order` once it is one."""

    world: World
    checkout: Checkout
    begun: Outcome | None = None
    data: dict[str, Any] = field(default_factory=lambda: dict(RETURN))
    order: Order | None = None

    async def begin(self, **over: Any) -> Outcome:
        """As a storefront does; the same key again where none is given."""
        wish = {"data": self.data, "idempotency_key": self.key} | over
        self.begun = await self.world.saleor.initialize_transaction(self.checkout, **wish)
        return self.begun

    def __post_init__(self) -> None:
        self.key = f"key-{next(_keys)}"

    @property
    def transaction(self) -> TransactionItem:
        assert self.begun is not None
        return self.begun.transaction

    @property
    def agreement_id(self) -> str:
        assert self.begun is not None
        assert self.begun.data is not None, self.begun.event.message
        return str(self.begun.data["agreementId"])

    def approve(self) -> None:
        self.world.vipps.approve(self.agreement_id)

    async def process(self) -> Outcome:
        return await self.world.saleor.process_transaction(self.transaction)

    def complete(self) -> Order:
        self.order = self.world.saleor.complete_checkout(self.checkout)
        return self.order

    async def buy(self, **over: Any) -> Order:
        """From the cart to the order, all webhooks delivered and all jobs done."""
        await self.begin(**over)
        self.approve()
        await self.process()
        order = self.complete()
        await self.world.drain()
        return order


def a_product(world: World, price: Any = 199, *, metadata: dict[str, str] | None = None, **over: Any) -> Product:
    over.setdefault("is_shipping_required", False)
    return world.saleor.create_product(price=price, metadata=MONTHLY if metadata is None else metadata, **over)


def home(world: World) -> Address:
    return Address(
        number=world.saleor.next_number("Address"),
        first_name="Ola",
        last_name="Nordmann",
        street_address_1="Karl Johans gate 1",
        city="OSLO",
        postal_code="0154",
        country="NO",
    )


def a_cart(world: World, *products: Product, user: User | None = None, **over: Any) -> Purchase:
    """Of the given products, or of one monthly one for 199."""
    lines = [(product, 1) for product in products or (a_product(world),)]
    checkout = world.saleor.create_checkout(
        user, lines, email="guest@example.com", billing=home(world), shipping=home(world), **over
    )
    return Purchase(world, checkout)


def a_customer(world: World) -> User:
    found = [user for user in world.saleor.users if not user.is_staff]
    return found[0] if found else world.saleor.create_customer()


def a_customers_cart(world: World, *products: Product, **over: Any) -> Purchase:
    return a_cart(world, *products, user=a_customer(world), **over)


async def session_of(world: World, purchase: Purchase, shop: str = SHOP) -> Session | None:
    async with world.context.store.begin() as unit:
        return await unit.sessions.get(shop, purchase.transaction.id)


async def initial_charge(world: World, purchase: Purchase) -> Charge | None:
    async with world.context.store.begin() as unit:
        return await unit.charges.by_transaction(SHOP, purchase.transaction.id)


async def subscription_of(world: World, purchase: Purchase) -> Subscription | None:
    session = await session_of(world, purchase)
    if session is None:
        return None
    async with world.context.store.begin() as unit:
        return await unit.subscriptions.get(SHOP, session.agreement_row)


def events_of(purchase: Purchase) -> list[tuple[str, str]]:
    """What counts in Saleor's books of the transaction, oldest first."""
    return [(it.type, f"{it.amount:.2f}") for it in purchase.transaction.events if it.counts]
