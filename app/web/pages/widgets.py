"""Fragments inside the Dashboard's own pages of an order and of a customer."""

from fastapi.responses import HTMLResponse

from app.usecases.widgets import customer_agreements, order_payment
from app.web.pages.visits import Fragments, Visit


def add_to(fragments: Fragments) -> None:
    fragments.get("/widgets/order", _order)
    fragments.get("/widgets/customer", _customer)


async def _order(visit: Visit) -> HTMLResponse:
    found = await order_payment(visit.context.deps, visit.caller, visit.parameters.get("orderId", ""))
    return visit.show("widget_order.html", shown=found)


async def _customer(visit: Visit) -> HTMLResponse:
    found = await customer_agreements(visit.context.deps, visit.caller, visit.parameters.get("customerId", ""))
    return visit.show("widget_customer.html", shown=found)
