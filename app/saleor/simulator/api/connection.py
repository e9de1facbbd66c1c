"""Lists of orders: what a filter lets through, in which sequence, and one page of that."""

import base64
import json
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from graphql import GraphQLError

from app.saleor.simulator import ids
from app.saleor.simulator.api.fields import NotServed
from app.saleor.simulator.api.order_search import like
from app.saleor.simulator.base import Metadata
from app.saleor.simulator.models import Order

PAGE_LIMIT = 100
Arguments = Mapping[str, Any]
Key = tuple[Any, ...]

# How a cursor's texts become values again, and which of them each sorting compares.
_VALUES: dict[str, Callable[[str], Any]] = {"created_at": datetime.fromisoformat, "status": str, "number": int}
_SORTINGS = {"NUMBER": ("number",), "CREATED_AT": ("created_at", "status", "number")}
_NEWEST_FIRST = {"field": "NUMBER", "direction": "DESC"}


def filtered(orders: Sequence[Order], wanted: Arguments) -> list[Order]:
    """What all given fields of OrderFilterInput let through; a field that is not known here is refused."""
    if unknown := set(wanted) - {"metadata", "created", "search", "ids", "numbers"}:
        raise NotServed(f"The simulator does not serve the fields {sorted(unknown)} of OrderFilterInput.")
    pairs, days = wanted.get("metadata") or [], wanted.get("created") or {}
    if "ids" in wanted and "numbers" in wanted:
        raise GraphQLError("'ids' and 'numbers` are not allowed to use together in filter.")
    for global_id in wanted.get("ids") or []:
        _check_order(global_id)
    since, until = _day(days.get("gte")), _day(days.get("lte"))
    return [
        order
        for order in orders
        if all(has_pair(order.metadata, pair) for pair in pairs)
        and (since is None or _day_of(order) >= since)
        and (until is None or _day_of(order) <= until)
        and (not wanted.get("ids") or order.id in wanted["ids"])
        and (not wanted.get("numbers") or str(order.number) in wanted["numbers"])
        and (not wanted.get("search") or like(order, wanted["search"]))
    ]


def _check_order(global_id: str) -> None:
    try:
        kind, _key = ids.decode(global_id)
    except ids.UnknownId:
        kind = ""
    if kind != "Order":
        raise GraphQLError(f"Must receive an Order id. Got: {global_id}.")


def has_pair(metadata: Metadata, pair: Arguments) -> bool:
    """Without a value, and with an empty one, the key is enough."""
    key, value = pair["key"], pair.get("value")
    return metadata.get(key) == value if value else key in metadata


def _day(text: str | None) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except (TypeError, ValueError) as error:
        raise GraphQLError(f'Expected type "Date", found {text!r}.') from error


def _day_of(order: Order) -> date:
    """Saleor compares whole days, of UTC."""
    return order.created_at.astimezone(UTC).date()


@dataclass(frozen=True)
class Sorting:
    names: tuple[str, ...]
    descending: bool

    def key(self, order: Order) -> Key:
        return tuple(getattr(order, name) for name in self.names)

    def cursor(self, order: Order) -> str:
        return base64.b64encode(json.dumps([str(value) for value in self.key(order)]).encode()).decode()

    def position(self, cursor: str | None) -> Key | None:
        """A cursor of another sorting is refused."""
        if not cursor:
            return None
        try:
            texts = json.loads(base64.b64decode(cursor, validate=True))
            return tuple(_VALUES[name](text) for name, text in zip(self.names, texts, strict=True))
        except (TypeError, ValueError) as error:
            raise GraphQLError("Received cursor is invalid.") from error

    def between(self, orders: Sequence[Order], after: Key | None, before: Key | None) -> list[Order]:
        later, earlier = (operator.lt, operator.gt) if self.descending else (operator.gt, operator.lt)
        return [
            order
            for order in sorted(orders, key=self.key, reverse=self.descending)
            if (after is None or later(self.key(order), after)) and (before is None or earlier(self.key(order), before))
        ]


def sorting(wanted: Arguments | None) -> Sorting:
    wanted = wanted or _NEWEST_FIRST
    names = _SORTINGS.get(wanted["field"])
    if names is None:
        raise NotServed(f"The simulator does not sort orders by {wanted['field']}.")
    return Sorting(names, wanted["direction"] == "DESC")


def page(orders: Sequence[Order], arguments: Arguments) -> dict[str, Any]:
    first, last = _size(arguments, "first"), _size(arguments, "last")
    if (first is None) == (last is None):
        raise GraphQLError("One of `first` and `last` is required to page through the `orders` connection.")
    for size, cursor in (("first", "before"), ("last", "after")):
        if arguments.get(size) and arguments.get(cursor):
            raise GraphQLError(f"Argument `{size}` cannot be combined with `{cursor}`.")
    sequence = sorting(arguments.get("sortBy"))
    after, before = sequence.position(arguments.get("after")), sequence.position(arguments.get("before"))
    window = sequence.between(orders, after, before)
    shown = window[:first] if first else window[-(last or 0) :]
    more = len(window) > len(shown)
    edges = [{"node": order, "cursor": sequence.cursor(order)} for order in shown]
    info = {
        "hasNextPage": more if first else before is not None,
        "hasPreviousPage": after is not None if first else more,
        "startCursor": edges[0]["cursor"] if edges else None,
        "endCursor": edges[-1]["cursor"] if edges else None,
    }
    return {"edges": edges, "totalCount": len(orders), "pageInfo": info}


def _size(arguments: Arguments, name: str) -> int | None:
    size: int | None = arguments.get(name)
    if size is not None and not 0 < size <= PAGE_LIMIT:
        raise GraphQLError(f"`{name}` of the `orders` connection is {size}; it may be 1 to {PAGE_LIMIT}.")
    return size
