"""The Dashboard's own pages of orders, customers and products, as far as it takes to find an app's widgets."""

from dataclasses import fields
from typing import Annotated, Any

from fastapi import APIRouter, Form, HTTPException
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment

from app.saleor.simulator.catalog_models import Product
from app.saleor.simulator.models import Order, User
from app.saleor.simulator.simulator import Simulator
from app.saleor.simulator.transaction_models import Sums, TransactionItem

_TEMPLATE = "dashboard_parts.html"


class DashboardParts:
    """Each is a piece of HTML that the Dashboard's script puts into its page."""

    def __init__(self, simulator: Simulator, templates: Environment) -> None:
        self._shop = simulator
        self._templates = templates

    def router(self) -> APIRouter:
        router = APIRouter(prefix="/dashboard/parts")
        router.get("/orders")(self.orders)
        router.get("/orders/{id}")(self.order)
        router.get("/customers")(self.customers)
        router.get("/customers/{id}")(self.customer)
        router.get("/products")(self.products)
        router.get("/products/{id}")(self.product)
        router.post("/products/{id}/metadata")(self.mark)
        return router

    def _shown(self, part: str, **values: Any) -> HTMLResponse:
        return HTMLResponse(self._templates.get_template(_TEMPLATE).render(part=part, **values))

    async def orders(self) -> HTMLResponse:
        return self._shown("orders", orders=self._newest(self._shop.orders))

    async def order(self, id: str) -> HTMLResponse:  # noqa: A002 - the name in the path
        order = self._shop.order(id)
        if order is None:
            raise HTTPException(404, "There is no such order.")
        payments = [(it, _sums(it)) for it in order.transactions]
        return self._shown("order", order=order, payments=payments)

    async def customers(self) -> HTMLResponse:
        return self._shown("customers", customers=[it for it in self._shop.users if not it.is_staff])

    async def customer(self, id: str) -> HTMLResponse:  # noqa: A002 - the name in the path
        customer = self._shop.find(id)
        if not isinstance(customer, User):
            raise HTTPException(404, "There is no such customer.")
        theirs = [it for it in self._shop.orders if it.user is customer]
        return self._shown("customer", customer=customer, orders=self._newest(theirs))

    async def products(self) -> HTMLResponse:
        return self._shown("products", products=self._shop.products)

    async def product(self, id: str) -> HTMLResponse:  # noqa: A002 - the name in the path
        return self._shown("product", product=self._product(id))

    async def mark(
        self,
        id: str,  # noqa: A002 - the name in the path
        key: Annotated[str, Form(min_length=1)],
        value: Annotated[str, Form()] = "",
    ) -> RedirectResponse:
        """An empty value takes the key away."""
        product = self._product(id)
        if value.strip():
            product.metadata[key.strip()] = value.strip()
        else:
            product.metadata.pop(key.strip(), None)
        return RedirectResponse(f"/dashboard/products/{id}", 303)

    def _product(self, id: str) -> Product:  # noqa: A002 - the name in the path
        product = self._shop.find(id)
        if not isinstance(product, Product):
            raise HTTPException(404, "There is no such product.")
        return product

    @staticmethod
    def _newest(orders: list[Order]) -> list[Order]:
        return sorted(orders, key=lambda it: it.number, reverse=True)


def _sums(transaction: TransactionItem) -> dict[str, str]:
    """Those that are not zero, in words."""
    named = {each.name.replace("_", " "): getattr(transaction.sums, each.name) for each in fields(Sums)}
    return {name: f"{amount:.2f}" for name, amount in named.items() if amount}
