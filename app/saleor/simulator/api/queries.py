"""The root queries."""

from typing import Any

from graphql import GraphQLError

from app.saleor.simulator import ids
from app.saleor.simulator.api.checkouts import QUERY as CHECKOUTS
from app.saleor.simulator.api.connection import filtered, page
from app.saleor.simulator.api.fields import Fields, NotServed, Request
from app.saleor.simulator.api.products import QUERY as PRODUCTS
from app.saleor.simulator.api.transactions import QUERY as TRANSACTIONS
from app.saleor.simulator.models import App, Channel, Order, User


def _app(_root: Any, request: Request, id: str | None = None) -> App | None:  # noqa: A002 - Saleor's argument name
    own = request.requestor.app
    if id is None or (own and own.id == id):
        return own
    request.requestor.require_any("MANAGE_APPS")
    return next((app for app in request.shop.apps if app.id == id and app.removed_at is None), None)


def _order(
    _root: Any,
    request: Request,
    id: str | None = None,  # noqa: A002 - Saleor's argument name
    externalReference: str | None = None,  # noqa: N803 - Saleor's argument name
) -> Order | None:
    if (id is None) == (externalReference is None):
        raise GraphQLError("Give exactly one of: id, externalReference.")
    if id is not None:
        check_kind(id, "Order")
        return request.shop.order(id)
    request.requestor.require_any("MANAGE_ORDERS")
    return request.shop.order_by_reference(externalReference or "")


def check_kind(global_id: str, kind: str) -> None:
    """A bare token passes, as in Saleor; the id of something else does not."""
    try:
        found, _key = ids.decode(global_id)
    except ids.UnknownId:
        return
    if found != kind:
        raise GraphQLError(f"Invalid ID: {global_id}. Expected: {kind}, received: {found}.")


def _orders(_root: Any, request: Request, **arguments: Any) -> dict[str, Any]:
    """Newest first where no sorting is asked for, never a draft. What is not known here is refused, not ignored."""
    request.requestor.require_any("MANAGE_ORDERS")
    if unknown := set(arguments) - {"first", "last", "after", "before", "channel", "filter", "sortBy"}:
        raise NotServed(f"The simulator does not serve the arguments {sorted(unknown)} of orders.")
    channel = arguments.get("channel")
    orders = [o for o in request.shop.orders if channel in (None, o.channel.slug) and o.status != "DRAFT"]
    return page(filtered(orders, arguments.get("filter") or {}), arguments)


def _channels(_root: Any, request: Request) -> list[Channel]:
    requestor = request.requestor
    if not (requestor.app or (requestor.user and requestor.user.is_staff)):
        requestor.require_any("AUTHENTICATED_APP", "AUTHENTICATED_STAFF_USER")
    return list(request.shop.channels.values())


def _channel(
    _root: Any,
    request: Request,
    id: str | None = None,  # noqa: A002 - Saleor's argument name
    slug: str | None = None,
) -> Channel | None:
    return next((c for c in request.shop.channels.values() if id == c.id or slug == c.slug), None)


def _me(_root: Any, request: Request) -> User | None:
    return request.requestor.user


QUERY: Fields = (
    TRANSACTIONS
    | CHECKOUTS
    | PRODUCTS
    | {
        "app": _app,
        "shop": lambda _, request: request.shop,
        "me": _me,
        "order": _order,
        "orders": _orders,
        "channel": _channel,
        "channels": _channels,
    }
)
