"""Checkouts: what a customer puts together, pays for and turns into an order."""

import dataclasses
from collections.abc import Mapping

from app.saleor.simulator.base import Metadata
from app.saleor.simulator.catalog import is_available_for_purchase, is_listed, is_published
from app.saleor.simulator.catalog_models import ProductVariant, ShippingMethodType
from app.saleor.simulator.checkout_models import Checkout, CheckoutLine
from app.saleor.simulator.drafts import Drafts
from app.saleor.simulator.input_errors import InputError
from app.saleor.simulator.models import Address, Channel, Order, OrderLine, User
from app.saleor.simulator.obstacles import is_applicable, is_usable
from app.saleor.simulator.orders import Wanted, new_line, pairs_of
from app.saleor.simulator.pricing import reprice
from app.saleor.simulator.records import Principal
from app.saleor.simulator.stock import lines_out_of_stock
from app.saleor.simulator.transactions import Transactions

MOST_PIECES = 50  # of one variant


class Checkouts(Drafts):
    """Making, changing and completing checkouts. Every mistake is an InputError in Saleor's words."""

    transactions: Transactions

    def checkout(self, global_id_or_token: str) -> Checkout | None:
        """At today's prices."""
        found = next((c for c in self.checkouts if global_id_or_token in (c.id, str(c.token))), None)
        if found:
            refresh_checkout(found)
        return found

    def create_checkout(
        self,
        customer: User | None = None,
        lines: Wanted = (),
        *,
        email: str | None = None,
        channel: str = "norway",
        billing: Address | None = None,
        shipping: Address | None = None,
        language: str = "EN",
        metadata: Mapping[str, str] | None = None,
    ) -> Checkout:
        """A customer's own e-mail address where none is given; addresses have to be given."""
        now = self.clock.now()
        checkout = Checkout(
            channel=self._channel(channel),
            user=customer,
            email=email or (customer.email if customer else ""),
            created_at=now,
            updated_at=now,
            billing_address=billing,
            shipping_address=shipping,
            language=language,
            metadata=dict(metadata or {}),
        )
        for variant, quantity in pairs_of(lines):
            _check_line(variant, quantity, checkout.channel)
            line = CheckoutLine(checkout=checkout, variant=variant, quantity=quantity, price=variant.price)
            checkout.lines.append(line)
        if lines_out_of_stock(checkout.lines):
            raise InputError("quantity", "INSUFFICIENT_STOCK", "Could not add items. Not enough of them in stock.")
        reprice(checkout)
        self.checkouts.append(checkout)
        self.emit("CHECKOUT_CREATED", checkout, customer)
        return checkout

    def buy(
        self,
        customer: User | None = None,
        lines: Wanted = (),
        *,
        email: str | None = None,
        channel: str = "norway",
        method: ShippingMethodType | None = None,
        voucher_code: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> Checkout:
        """Everything up to the payment, in one go: home to the customer, by the first method that goes there."""
        home = customer.address if customer and customer.address else self._somewhere(channel)
        checkout = self.create_checkout(
            customer,
            lines,
            email=email,
            channel=channel,
            billing=self.copy_of(home),
            shipping=self.copy_of(home),
            metadata=metadata,
        )
        if checkout.is_shipped:
            able = (each for each in self.shipping_methods if self.is_deliverable(checkout, each))
            self.deliver_by(checkout, method or next(able, None), customer)
        if voucher_code:
            self.add_promo_code(checkout, voucher_code, customer)
        return checkout

    def _somewhere(self, channel: str) -> Address:
        return Address(
            number=self.next_number("Address"),
            first_name="Ola",
            last_name="Nordmann",
            street_address_1="Karl Johans gate 1",
            city="OSLO",
            postal_code="0154",
            country=self._channel(channel).country,
        )

    def _channel(self, slug: str) -> Channel:
        if slug not in self.channels:
            raise InputError("channel", "NOT_FOUND", f"Channel with '{slug}' slug does not exist.")
        if not self.channels[slug].is_active:
            raise InputError("channel", "CHANNEL_INACTIVE", f"Channel with '{slug}' is inactive.")
        return self.channels[slug]

    def deliver_by(self, checkout: Checkout, method: ShippingMethodType | None, by: Principal | None = None) -> None:
        """None takes the method away."""
        field = "deliveryMethodId"
        if not checkout.is_shipped:
            raise InputError(field, "SHIPPING_NOT_REQUIRED", "This checkout doesn't need shipping")
        if method and not self.is_deliverable(checkout, method):
            text = "This shipping method is not applicable."
            raise InputError(field, "DELIVERY_METHOD_NOT_APPLICABLE", text)
        checkout.shipping_method = method
        self.checkout_changed(checkout, by)

    def is_deliverable(self, checkout: Checkout, method: ShippingMethodType) -> bool:
        """Unlike a draft a checkout offers nothing before it knows where to."""
        return checkout.shipping_address is not None and is_applicable(method, checkout)

    def add_promo_code(self, checkout: Checkout, code: str, by: Principal | None = None) -> None:
        voucher = self.voucher(code, checkout.channel)
        if voucher is None:
            raise InputError("promoCode", "INVALID", "Promo code is invalid")
        if not is_usable(voucher, checkout):
            raise InputError("promoCode", "VOUCHER_NOT_APPLICABLE", "Voucher is not applicable to this checkout.")
        checkout.voucher, checkout.voucher_code = voucher, code
        self.checkout_changed(checkout, by)

    def checkout_changed(self, checkout: Checkout, by: Principal | None = None) -> None:
        refresh_checkout(checkout)
        checkout.updated_at = self.clock.now()
        self.emit("CHECKOUT_UPDATED", checkout, by)

    def checkout_metadata_changed(self, checkout: Checkout, by: Principal | None = None) -> None:
        checkout.updated_at = self.clock.now()
        self.emit("CHECKOUT_METADATA_UPDATED", checkout, by)

    def order_of_checkout(self, global_id_or_token: str) -> Order | None:
        """What a completed checkout has become."""
        return next((o for o in self.orders if global_id_or_token in (o.checkout_id, str(o.checkout_token))), None)

    def complete_checkout(
        self,
        checkout: Checkout,
        by: Principal | None = None,
        *,
        metadata: Metadata | None = None,
        redirect_url: str | None = None,
    ) -> Order:
        """The order; the checkout is gone, and its transactions are the order's."""
        refresh_checkout(checkout)
        self._check_complete(checkout)
        checkout.redirect_url = redirect_url or checkout.redirect_url
        order = self._order_from(checkout, metadata or {})
        if order.voucher:
            order.voucher.used_by.append(order.email)
        self.orders.append(order)
        self.checkouts.remove(checkout)
        self.transactions.move(checkout, order)
        self.place_order(order, by or checkout.user)
        return order

    def _order_from(self, checkout: Checkout, metadata: Metadata) -> Order:
        now = self.clock.now()
        order = Order(
            number=self.next_number("Order"),
            created_at=now,
            updated_at=now,
            status="UNCONFIRMED",
            channel=checkout.channel,
            user=checkout.user,
            email=checkout.email,
            language=checkout.language,
            billing_address=self.copy_of(checkout.billing_address),
            shipping_address=self.copy_of(checkout.shipping_address) if checkout.is_shipped else None,
            shipping_method=checkout.shipping_method if checkout.is_shipped else None,
            shipping_price=checkout.shipping_price,
            voucher=checkout.voucher,
            voucher_code=checkout.voucher_code,
            charged=checkout.charged,
            redirect_url=checkout.redirect_url,
            checkout_token=checkout.token,
            metadata=checkout.metadata | metadata,
            private_metadata=dict(checkout.private_metadata),
        )
        order.lines = [_order_line(order, line) for line in checkout.lines]
        return order

    def copy_of(self, address: Address | None) -> Address | None:
        """An order has addresses of its own: a customer who moves does not change them."""
        return address and dataclasses.replace(address, number=self.next_number("Address"))

    def _check_complete(self, checkout: Checkout) -> None:
        if not checkout.channel.is_active:
            raise InputError("channel", "CHANNEL_INACTIVE", "Cannot complete checkout with inactive channel.")
        if not checkout.email:
            raise InputError(None, "EMAIL_NOT_SET", "Checkout email must be set.")
        _check_still_sold(checkout)
        if checkout.is_shipped:
            self._check_shipping(checkout)
        if checkout.billing_address is None:
            raise InputError("billingAddress", "BILLING_ADDRESS_NOT_SET", "Billing address is not set")
        _check_paid(checkout)
        if checkout.voucher and not is_usable(checkout.voucher, checkout):
            raise InputError("voucherCode", "VOUCHER_NOT_APPLICABLE", "Voucher not applicable")
        if lines_out_of_stock(checkout.lines):
            raise InputError(None, "INSUFFICIENT_STOCK", "Insufficient product stock.")

    def _check_shipping(self, checkout: Checkout) -> None:
        method = checkout.shipping_method
        if method is None:
            raise InputError("shippingMethod", "SHIPPING_METHOD_NOT_SET", "Shipping method is not set")
        if checkout.shipping_address is None:
            raise InputError("shippingAddress", "SHIPPING_ADDRESS_NOT_SET", "Shipping address is not set")
        if not self.is_deliverable(checkout, method):
            text = "Delivery method is not valid for your shipping address"
            raise InputError("shippingMethod", "INVALID_SHIPPING_METHOD", text)


def refresh_checkout(checkout: Checkout) -> None:
    """Prices follow the catalogue at once; in Saleor it may take an hour."""
    for line in checkout.lines:
        if not line.is_price_overridden:
            line.price = line.variant.price
    reprice(checkout)


def _order_line(order: Order, line: CheckoutLine) -> OrderLine:
    copy = new_line(order, line.variant, line.quantity)
    copy.price, copy.discount, copy.is_price_overridden = line.price, line.discount, line.is_price_overridden
    copy.metadata, copy.private_metadata = dict(line.metadata), dict(line.private_metadata)
    return copy


def _check_line(variant: ProductVariant, quantity: int, channel: Channel) -> None:
    if quantity <= 0:
        raise InputError("quantity", "ZERO_QUANTITY", "The quantity should be higher than zero.")
    if quantity > MOST_PIECES:
        text = f"Cannot add more than {MOST_PIECES} times this item."
        raise InputError("quantity", "QUANTITY_GREATER_THAN_LIMIT", text)
    if not is_available_for_purchase(variant, channel):
        text = "Cannot add lines for unavailable for purchase variants."
        raise InputError("lines", "PRODUCT_UNAVAILABLE_FOR_PURCHASE", text, variants=[variant.id])
    if not is_listed(variant, channel):
        text = "Cannot add lines with unavailable variants."
        raise InputError("lines", "UNAVAILABLE_VARIANT_IN_CHANNEL", text, variants=[variant.id])
    if not is_published(variant, channel):
        raise InputError("lines", "PRODUCT_NOT_PUBLISHED", "Can't add unpublished product.", variants=[variant.id])


def _check_still_sold(checkout: Checkout) -> None:
    if not checkout.lines:
        raise InputError("lines", "NO_LINES", "Cannot complete checkout without lines.")
    gone = [line.variant.id for line in checkout.lines if not _is_sold(line.variant, checkout.channel)]
    if gone:
        text = "Some of the checkout lines variants are unavailable."
        raise InputError("lines", "UNAVAILABLE_VARIANT_IN_CHANNEL", text, variants=gone)


def _is_sold(variant: ProductVariant, channel: Channel) -> bool:
    sold = is_listed(variant, channel) and is_published(variant, channel)
    return sold and is_available_for_purchase(variant, channel)


def _check_paid(checkout: Checkout) -> None:
    """What is on its way counts; a payment that waits for the customer does not."""
    if checkout.authorize_status == "FULL" or checkout.channel.allows_unpaid_orders:
        return
    if checkout.transactions:
        text = "The authorized amount doesn't cover the checkout's total amount."
        raise InputError("id", "CHECKOUT_NOT_FULLY_PAID", text)
    text = "Provided payment methods can not cover the checkout's total amount"
    raise InputError(None, "CHECKOUT_NOT_FULLY_PAID", text)
