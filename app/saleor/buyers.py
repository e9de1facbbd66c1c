"""Who is behind orders, asked of the shop when somebody looks; answers are handed on and kept nowhere."""

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from typing import Any

from app.domain.account import Installation
from app.domain.buyer import MOST_BUYERS, Buyer, OrdersWanted
from app.saleor.calls import Found, SaleorCalls, object_of, read

_ORDER = re.compile(rb"Order:[0-9a-f-]+")


class BuyerCalls(SaleorCalls):
    """The part of the Shop port that is about people."""

    async def buyers(self, installation: Installation, wanted: OrdersWanted) -> Sequence[Buyer]:
        filter_: dict[str, Any] = {"search": wanted.like}
        if wanted.number:
            filter_ = {"numbers": [wanted.number]}
        elif not wanted.like:
            # One id that is none would make Saleor refuse them all.
            filter_ = {"ids": [it for it in dict.fromkeys(wanted.ids) if _is_order(it)][:MOST_BUYERS]}
            if not filter_["ids"]:
                return []
        variables = {"filter": filter_, "first": MOST_BUYERS}
        return read(_buyers, await self._ask(installation, "queries/buyers", variables), "the shop's list of orders")


def _is_order(global_id: str) -> bool:
    try:
        return _ORDER.fullmatch(base64.b64decode(global_id, validate=True)) is not None
    except (binascii.Error, ValueError):
        return False


def _buyers(data: Found) -> Sequence[Buyer]:
    return [_buyer(edge["node"]) for edge in data["orders"]["edges"]]


def _buyer(found: Mapping[str, Any]) -> Buyer:
    address = object_of(found.get("billingAddress"))
    names = (str(address.get(name) or "").strip() for name in ("firstName", "lastName"))
    return Buyer(
        order=str(found["id"]),
        number=str(found["number"]),
        customer=object_of(found.get("user")).get("id"),
        name=" ".join(filter(None, names)),
        email=str(found.get("userEmail") or ""),
    )
