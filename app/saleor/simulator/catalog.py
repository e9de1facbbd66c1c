"""What is sold: products, their variants, stock and switches, shipping methods and vouchers."""

from collections.abc import Collection, Iterable
from decimal import Decimal

from app.saleor.simulator.base import Metadata
from app.saleor.simulator.catalog_models import Product, ProductType, ProductVariant, ShippingMethodType, Voucher
from app.saleor.simulator.models import Channel
from app.saleor.simulator.records import Amount, Records

NORDIC = ("NO", "DK", "FI", "SE")


class Catalog(Records):
    """Everything is sold in every channel until it is switched off; `channel` is a slug, None all of them."""

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
        stock: int | None = None,
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
        self.add_variant(product, variant_name, price, sku=sku, metadata=variant_metadata, stock=stock)
        return product

    def add_variant(
        self,
        product: Product,
        name: str,
        price: Amount,
        *,
        sku: str | None = None,
        metadata: Metadata | None = None,
        stock: int | None = None,
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
            stock=stock,
        )
        product.variants.append(variant)
        return variant

    def set_stock(self, variant: ProductVariant, stock: int | None) -> None:
        """None is not tracked any more."""
        variant.stock = stock

    def set_price(self, variant: ProductVariant, price: Amount) -> None:
        """Baskets follow when they are looked at, drafts when their prices thaw, orders never."""
        variant.price = Decimal(price)

    def publish(self, product: Product, *, published: bool = True, channel: str | None = None) -> None:
        self._switch(product.unpublished_in, channel, on=published)

    def unpublish(self, product: Product, channel: str | None = None) -> None:
        self.publish(product, published=False, channel=channel)

    def set_available_for_purchase(self, product: Product, *, available: bool, channel: str | None = None) -> None:
        self._switch(product.unavailable_in, channel, on=available)

    def set_listed(self, variant: ProductVariant, *, listed: bool, channel: str | None = None) -> None:
        self._switch(variant.unlisted_in, channel, on=listed)

    def _switch(self, off: set[str], channel: str | None, *, on: bool) -> None:
        slugs = {channel} if channel else set(self.channels)
        off.difference_update(slugs) if on else off.update(slugs)

    def delete_variant(self, variant: ProductVariant) -> None:
        """Orders keep their lines, without a variant."""
        variant.product.variants.remove(variant)
        for line in (line for order in self.orders for line in order.lines if line.variant is variant):
            line.variant = None
        for checkout in self.checkouts:
            checkout.lines = [line for line in checkout.lines if line.variant is not variant]

    def create_shipping_method(
        self,
        name: str = "Posten",
        price: Amount = 49,
        *,
        channels: Iterable[str] | None = None,
        countries: Collection[str] = NORDIC,
    ) -> ShippingMethodType:
        method = ShippingMethodType(
            number=self.next_number("ShippingMethodType", 21),
            name=name,
            price=Decimal(price),
            channels=self._slugs(channels),
            countries=frozenset(countries),
        )
        self.shipping_methods.append(method)
        return method

    def create_voucher(
        self,
        code: str,
        value: Amount,
        *,
        is_percentage: bool = True,
        channels: Iterable[str] | None = None,
        once_per_order: bool = False,
        once_per_customer: bool = False,
        usage_limit: int | None = None,
    ) -> Voucher:
        if self.voucher(code):
            raise ValueError(f"There is already a voucher {code}.")
        voucher = Voucher(
            number=self.next_number("Voucher"),
            code=code,
            value=Decimal(value),
            is_percentage=is_percentage,
            channels=self._slugs(channels),
            once_per_order=once_per_order,
            once_per_customer=once_per_customer,
            usage_limit=usage_limit,
        )
        self.vouchers.append(voucher)
        return voucher

    def _slugs(self, channels: Iterable[str] | None) -> frozenset[str]:
        return frozenset(self.channels if channels is None else channels)

    def voucher(self, code: str, channel: Channel | None = None) -> Voucher | None:
        """With a channel only a voucher that may be used there now."""
        found = next((voucher for voucher in self.vouchers if voucher.code == code), None)
        if found and channel and not (found.is_active and channel.slug in found.channels):
            return None
        return found


def is_published(variant: ProductVariant, channel: Channel) -> bool:
    return channel.slug not in variant.product.unpublished_in


def is_available_for_purchase(variant: ProductVariant, channel: Channel) -> bool:
    return channel.slug not in variant.product.unavailable_in


def is_listed(variant: ProductVariant, channel: Channel) -> bool:
    return channel.slug not in variant.unlisted_in


def _slug(name: str) -> str:
    return "-".join("".join(letter if letter.isalnum() else " " for letter in name.lower()).split())
