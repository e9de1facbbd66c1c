"""The shop itself: who buys, what is sold, which apps are installed."""

import secrets
from decimal import Decimal

from app.saleor.simulator import permissions
from app.saleor.simulator.models import (
    Address,
    App,
    Channel,
    Metadata,
    Product,
    ProductType,
    ProductVariant,
    User,
)
from app.saleor.simulator.orders import Orders
from app.saleor.simulator.records import Amount, Principal


class Shop(Orders):
    """A whole shop."""

    def add_channel(self, slug: str, name: str, currency: str, country: str, *, auto_confirms: bool = True) -> Channel:
        channel = Channel(
            number=self.next_number("Channel"),
            slug=slug,
            name=name,
            currency=currency,
            country=country,
            auto_confirms=auto_confirms,
        )
        self.channels[slug] = channel
        return channel

    def create_customer(
        self,
        email: str = "ola.nordmann@example.com",
        first_name: str = "Ola",
        last_name: str = "Nordmann",
        *,
        metadata: Metadata | None = None,
        private_metadata: Metadata | None = None,
    ) -> User:
        user = self._create_user(email, first_name, last_name)
        user.metadata.update(metadata or {})
        user.private_metadata.update(private_metadata or {})
        user.address = Address(
            number=self.next_number("Address"),
            first_name=first_name,
            last_name=last_name,
            street_address_1="Karl Johans gate 1",
            city="OSLO",
            postal_code="0154",
            phone="+4740000000",
        )
        self.emit("CUSTOMER_CREATED", user)
        return user

    def create_staff(
        self,
        email: str = "admin@example.com",
        permissions: frozenset[str] | set[str] = permissions.ALL,
        first_name: str = "Kari",
        last_name: str = "Ansatt",
    ) -> User:
        user = self._create_user(email, first_name, last_name)
        user.is_staff = True
        user.permissions = frozenset(permissions)
        self.emit("STAFF_CREATED", user)
        return user

    def _create_user(self, email: str, first_name: str, last_name: str) -> User:
        if any(user.email == email for user in self.users):
            raise ValueError(f"There is already a user with the e-mail address {email}.")
        user = User(
            number=self.next_number("User", 46),
            email=email,
            first_name=first_name,
            last_name=last_name,
            joined_at=self.clock.now(),
            token_key=secrets.token_urlsafe(9),
        )
        self.users.append(user)
        return user

    def create_product(
        self,
        name: str = "Coffee subscription",
        price: Amount = 199,
        *,
        sku: str | None = None,
        variant_name: str = "250 g every month",
        metadata: Metadata | None = None,
        variant_metadata: Metadata | None = None,
        private_metadata: Metadata | None = None,
        is_shipping_required: bool = True,
    ) -> Product:
        """A product with one variant; `add_variant` adds more."""
        product = Product(
            number=self.next_number("Product"),
            name=name,
            slug=_slug(name),
            product_type=ProductType(
                number=self.next_number("ProductType"),
                name="Subscription box",
                slug="subscription-box",
                is_shipping_required=is_shipping_required,
            ),
            created_at=self.clock.now(),
            metadata=dict(metadata or {}),
            private_metadata=dict(private_metadata or {}),
        )
        self.products.append(product)
        self.add_variant(product, variant_name, price, sku=sku, metadata=variant_metadata)
        return product

    def add_variant(
        self, product: Product, name: str, price: Amount, *, sku: str | None = None, metadata: Metadata | None = None
    ) -> ProductVariant:
        number = self.next_number("ProductVariant", 402)
        variant = ProductVariant(
            number=number,
            name=name,
            sku=sku or f"SKU-{number}",
            price=Decimal(price),
            product=product,
            created_at=self.clock.now(),
            metadata=dict(metadata or {}),
        )
        product.variants.append(variant)
        return variant

    def set_app_active(self, app: App, *, active: bool, by: Principal | None = None) -> None:
        app.is_active = active
        self.emit("APP_STATUS_CHANGED", app, by)

    def delete_app(self, app: App, by: Principal | None = None) -> None:
        """The token dies at once; the row stays a day longer, hidden."""
        app.is_active = False
        app.removed_at = self.clock.now()
        self.emit("APP_DELETED", app, by)


def _slug(name: str) -> str:
    return "-".join("".join(letter if letter.isalnum() else " " for letter in name.lower()).split())
