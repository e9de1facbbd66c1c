"""JSON endpoints by which a demonstration keeps a shop: its goods and prices, purchases by checkout, its customers."""

from collections.abc import Callable
from decimal import Decimal
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, HTTPException
from pydantic import Field

from app.saleor.simulator.base import Record
from app.saleor.simulator.catalog_models import Product, ProductVariant, ShippingMethodType
from app.saleor.simulator.checkout_models import Checkout
from app.saleor.simulator.control_bodies import Body, Line, Texts
from app.saleor.simulator.input_errors import InputError
from app.saleor.simulator.models import User
from app.saleor.simulator.simulator import Simulator
from app.saleor.simulator.views import (
    View,
    checkout_view,
    order_view,
    product_view,
    shipping_method_view,
    user_view,
)

Found = TypeVar("Found", bound=Record)
Result = TypeVar("Result")


class Stock(Body):
    stock: Annotated[int, Field(ge=0)] | None  # null: not tracked


class Price(Body):
    price: Annotated[Decimal, Field(ge=0)]


class Switch(Body):
    """On or off, in one channel or in all of them."""

    on: bool
    channel: str | None = None


class NewShippingMethod(Body):
    name: str = "Posten"
    price: Annotated[Decimal, Field(ge=0)] = Decimal(49)
    channels: list[str] | None = None


class NewVoucher(Body):
    code: str
    value: Annotated[Decimal, Field(gt=0)]
    is_percentage: bool = True
    once_per_order: bool = False
    once_per_customer: bool = False
    usage_limit: int | None = None


class Purchase(Body):
    """By a customer (global id), or by a guest's e-mail address. The first method that goes there when absent."""

    lines: list[Line]
    customer: str | None = None
    email: str | None = None
    channel: str = "norway"
    shipping_method: str | None = None
    voucher_code: str | None = None
    metadata: Annotated[Texts, Field(default_factory=dict)]


class Leaving(Body):
    themselves: bool = False  # the customer deletes the account, not staff


class ShopControl:
    """The endpoints' functions over one simulator."""

    def __init__(self, simulator: Simulator) -> None:
        self._shop = simulator

    def router(self) -> APIRouter:
        router = APIRouter(prefix="/simulator")
        posts: dict[str, Callable[..., Any]] = {
            "/variants/{id}/stock": self.set_stock,
            "/variants/{id}/price": self.set_price,
            "/variants/{id}/listed": self.set_listed,
            "/products/{id}/published": self.publish,
            "/products/{id}/purchasable": self.set_purchasable,
            "/shipping-methods": self.create_shipping_method,
            "/vouchers": self.create_voucher,
            "/checkouts": self.buy,
            "/checkouts/{id}/complete": self.complete,
            "/customers/{id}/delete": self.delete_customer,
        }
        gets: dict[str, Callable[..., Any]] = {
            "/products": self.products,
            "/shipping-methods": self.shipping_methods,
            "/checkouts": self.checkouts,
            "/orders/{id}": self.order,
        }
        for path, endpoint in posts.items():
            router.post(path)(endpoint)
        for path, endpoint in gets.items():
            router.get(path)(endpoint)
        return router

    # Goods

    async def products(self) -> list[View]:
        return [product_view(product) for product in self._shop.products]

    async def set_stock(self, id: str, body: Stock) -> View:  # noqa: A002 - the name in the path
        variant = self._find(id, ProductVariant)
        self._shop.set_stock(variant, body.stock)
        return product_view(variant.product)

    async def set_price(self, id: str, body: Price) -> View:  # noqa: A002 - the name in the path
        variant = self._find(id, ProductVariant)
        self._shop.set_price(variant, body.price)
        return product_view(variant.product)

    async def set_listed(self, id: str, body: Switch) -> View:  # noqa: A002 - the name in the path
        variant = self._find(id, ProductVariant)
        self._shop.set_listed(variant, listed=body.on, channel=body.channel)
        return product_view(variant.product)

    async def publish(self, id: str, body: Switch) -> View:  # noqa: A002 - the name in the path
        product = self._find(id, Product)
        self._shop.publish(product, published=body.on, channel=body.channel)
        return product_view(product)

    async def set_purchasable(self, id: str, body: Switch) -> View:  # noqa: A002 - the name in the path
        product = self._find(id, Product)
        self._shop.set_available_for_purchase(product, available=body.on, channel=body.channel)
        return product_view(product)

    async def create_shipping_method(self, body: NewShippingMethod) -> View:
        return shipping_method_view(self._shop.create_shipping_method(**body.model_dump()))

    async def shipping_methods(self) -> list[View]:
        return [shipping_method_view(method) for method in self._shop.shipping_methods]

    async def create_voucher(self, body: NewVoucher) -> View:
        voucher = _or_400(lambda: self._shop.create_voucher(**body.model_dump()))
        return {"code": voucher.code, "value": float(voucher.value), "isPercentage": voucher.is_percentage}

    # Purchases

    async def buy(self, body: Purchase) -> View:
        """A checkout with everything but a payment."""
        customer = self._find(body.customer, User) if body.customer else None
        method = self._find(body.shipping_method, ShippingMethodType) if body.shipping_method else None
        lines = [(self._find(line.variant, ProductVariant), line.quantity) for line in body.lines]
        checkout = _or_400(
            lambda: self._shop.buy(
                customer,
                lines,
                email=body.email,
                channel=body.channel,
                method=method,
                voucher_code=body.voucher_code,
                metadata=body.metadata,
            )
        )
        return checkout_view(checkout)

    async def checkouts(self) -> list[View]:
        return [checkout_view(checkout) for checkout in self._shop.checkouts]

    async def complete(self, id: str) -> View:  # noqa: A002 - the name in the path
        """As the storefront does when the customer comes back; once it is an order, that order again."""
        if order := self._shop.order_of_checkout(id):
            return order_view(order)
        checkout = self._find(id, Checkout)
        return order_view(_or_400(lambda: self._shop.complete_checkout(checkout)))

    async def order(self, id: str) -> View:  # noqa: A002 - the name in the path
        order = self._shop.order(id)
        if order is None:
            raise HTTPException(404, "There is no such order.")
        return order_view(order)

    async def delete_customer(self, id: str, body: Leaving) -> View:  # noqa: A002 - the name in the path
        customer = self._find(id, User)
        self._shop.delete_customer(customer, by=customer if body.themselves else None)
        return user_view(customer)

    def _find(self, global_id: str, kind: type[Found]) -> Found:
        record = self._shop.find(global_id)
        if not isinstance(record, kind):
            raise HTTPException(404, f"There is no {kind.__name__} {global_id}.")
        return record


def _or_400(make: Callable[[], Result]) -> Result:
    try:
        return make()
    except InputError as error:
        described = {"field": error.field, "code": error.code, "message": error.message}
        raise HTTPException(400, described) from error
    except ValueError as error:
        raise HTTPException(400, str(error)) from error
