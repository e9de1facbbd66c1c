"""Lists of products and variants, by channel and metadata."""

from collections.abc import Mapping
from typing import Any

from app.saleor.simulator.api.connection import PAGE_LIMIT, has_pair
from app.saleor.simulator.api.fields import Fields, NotServed, Request
from app.saleor.simulator.base import Metadata

Connection = dict[str, Any]


def _products(_root: Any, request: Request, **arguments: Any) -> Connection:
    hidden = _hidden(request, arguments)
    products = [it for it in request.shop.products if not hidden(it.unpublished_in)]
    return _page([it for it in products if _wanted(it.metadata, arguments)], arguments)


def _variants(_root: Any, request: Request, **arguments: Any) -> Connection:
    hidden = _hidden(request, arguments)
    variants = [it for product in request.shop.products for it in product.variants]
    visible = [it for it in variants if not hidden(it.product.unpublished_in) and not hidden(it.unlisted_in)]
    return _page([it for it in visible if _wanted(it.metadata, arguments)], arguments)


def _hidden(request: Request, arguments: Mapping[str, Any]) -> Any:
    """Whether what is switched off in those channels is hidden: it is not from whoever manages products or orders."""
    if request.requestor.has_any("MANAGE_PRODUCTS", "MANAGE_ORDERS"):
        return lambda _slugs: False
    channel = arguments.get("channel")
    return lambda slugs: channel not in request.shop.channels or channel in slugs


def _wanted(metadata: Metadata, arguments: Mapping[str, Any]) -> bool:
    filter_ = arguments.get("filter") or {}
    if unknown := set(filter_) - {"metadata"}:
        raise NotServed(f"The simulator does not filter products by {sorted(unknown)}.")
    return all(has_pair(metadata, pair) for pair in filter_.get("metadata") or [])


def _page(found: list[Any], arguments: Mapping[str, Any]) -> Connection:
    """The first page only: nobody here turns it."""
    size = arguments.get("first")
    if size is None or not 0 < size <= PAGE_LIMIT:
        raise NotServed(f"The simulator serves the first 1 to {PAGE_LIMIT} products.")
    return {"edges": [{"node": it, "cursor": str(it.number)} for it in found[:size]], "totalCount": len(found)}


QUERY: Fields = {"products": _products, "productVariants": _variants}
