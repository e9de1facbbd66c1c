"""The root queries."""

import base64
import binascii
from typing import Any

from graphql import GraphQLError

from app.saleor.simulator import ids
from app.saleor.simulator.api.fields import Fields, NotServed, Request
from app.saleor.simulator.models import App, Channel, Order, User

PAGE_LIMIT = 100


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
    """Newest first. Filters and sorting are refused rather than ignored."""
    request.requestor.require_any("MANAGE_ORDERS")
    if unknown := set(arguments) - {"first", "last", "after", "before", "channel"}:
        raise NotServed(f"The simulator does not serve the arguments {sorted(unknown)} of orders.")
    channel = arguments.get("channel")
    orders = [o for o in request.shop.orders if channel in (None, o.channel.slug)]
    return _page(sorted(orders, key=lambda o: -o.number), arguments)


def _page(orders: list[Order], arguments: dict[str, Any]) -> dict[str, Any]:
    first, last = _page_size(arguments, "first"), _page_size(arguments, "last")
    if (first is None) == (last is None):
        raise GraphQLError("One of `first` and `last` is required to page through the `orders` connection.")
    after, before = _position(arguments.get("after")), _position(arguments.get("before"))
    window = [o for o in orders if (after is None or o.number < after) and (before is None or o.number > before)]
    page = window[:first] if first is not None else window[max(0, len(window) - (last or 0)) :]
    edges = [{"node": order, "cursor": _cursor(order)} for order in page]
    info = {
        "hasNextPage": bool(page) and page[-1] is not orders[-1],
        "hasPreviousPage": bool(page) and page[0] is not orders[0],
        "startCursor": edges[0]["cursor"] if edges else None,
        "endCursor": edges[-1]["cursor"] if edges else None,
    }
    return {"edges": edges, "totalCount": len(orders), "pageInfo": info}


def _page_size(arguments: dict[str, Any], name: str) -> int | None:
    size: int | None = arguments.get(name)
    if size is not None and not 0 < size <= PAGE_LIMIT:
        raise GraphQLError(f"`{name}` of the `orders` connection is {size}; it may be 1 to {PAGE_LIMIT}.")
    return size


def _cursor(order: Order) -> str:
    return base64.b64encode(f'["{order.number}"]'.encode()).decode()


def _position(cursor: str | None) -> int | None:
    if cursor is None:
        return None
    try:
        return int(base64.b64decode(cursor, validate=True).decode().strip('[]"'))
    except (binascii.Error, ValueError) as error:
        raise GraphQLError("Received cursor is invalid.") from error


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


QUERY: Fields = {
    "app": _app,
    "shop": lambda _, request: request.shop,
    "me": _me,
    "order": _order,
    "orders": _orders,
    "channel": _channel,
    "channels": _channels,
}
