"""Finding people, and saying who they are: our books know ids only, so the shop's orders are asked at that moment.

What the shop answers is shown and forgotten. Its errors may repeat what was looked for, so they are told to nobody.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from app.domain.account import Caller
from app.domain.buyer import MOST_BUYERS, Buyer, OrdersWanted, like, number_in
from app.domain.errors import InvalidInput, RecurringError
from app.domain.records import AgreementFilter, Page, Sought
from app.usecases.installations import installed
from app.usecases.known import check_opaque
from app.usecases.looking import require_shop
from app.usecases.ports import Deps

_LONGEST = 255


class Remark(StrEnum):
    """What there is to say about a search; with all but MORE there is nothing to list."""

    UNREADABLE = "unreadable"
    UNANSWERED = "unanswered"
    FORBIDDEN = "forbidden"
    MORE = "more"


@dataclass(frozen=True, slots=True)
class Search:
    sought: Sought
    remark: Remark | None = None


@dataclass(frozen=True, slots=True)
class Buyers:
    """Who is behind the orders that a page is about. `missing` where the shop was asked and did not answer in time."""

    by_order: Mapping[str, Buyer] = field(default_factory=dict)
    missing: bool = False

    def of(self, *orders: str | None) -> Buyer | None:
        """Whoever is known by the first of these orders that the shop shows."""
        return next((self.by_order[it] for it in orders if it and it in self.by_order), None)

    def number(self, order: str | None) -> str | None:
        found = self.of(order)
        return found.number if found else None


async def buyers_of(deps: Deps, caller: Caller, orders: Iterable[str | None]) -> Buyers:
    """One question for the whole page; none where there is nobody to name, or for whoever may not look at orders."""
    wanted = list(dict.fromkeys(it for it in orders if it))[:MOST_BUYERS]
    if not (wanted and caller.sees_people):
        return Buyers()
    found = await _asked(deps, caller.shop, OrdersWanted(ids=wanted), deps.limits.names_seconds)
    return Buyers(missing=True) if found is None else Buyers({it.order: it for it in found})


async def search(deps: Deps, caller: Caller, text: str) -> Search:
    """What a text leads to: a name of ours, or else the shop's orders like it and the customers who made them."""
    require_shop(caller)
    if not text.isprintable() or len(text) > _LONGEST:
        return Search(Sought(), Remark.UNREADABLE)
    number = number_in(text)
    ours = Sought(number or text)
    if await _is_known(deps, caller.shop, number or text):
        return Search(ours)
    if not (number or caller.sees_people):
        return Search(Sought(), Remark.FORBIDDEN)
    wanted = OrdersWanted(number=number) if number else OrdersWanted(like=like(text))
    found = await _asked(deps, caller.shop, wanted, deps.limits.search_seconds)
    if found is None:
        return Search(Sought(), Remark.UNANSWERED)
    orders = tuple(it.order for it in found)
    if number:
        return Search(Sought(orders=orders))
    customers = tuple(sorted({it.customer for it in found if it.customer}))
    remark = Remark.MORE if len(found) >= MOST_BUYERS else None
    return Search(Sought(buyers_of=orders, customers=customers), remark)


async def _is_known(deps: Deps, shop: str, name: str) -> bool:
    try:
        check_opaque(name, "name")
    except InvalidInput:
        return False
    async with deps.store.begin() as unit:
        return bool(await unit.agreements.page(shop, AgreementFilter(sought=Sought(name)), Page(1)))


async def _asked(deps: Deps, shop: str, wanted: OrdersWanted, seconds: float) -> Sequence[Buyer] | None:
    """None where the shop does not answer, or not in time."""
    installation = await installed(deps, shop)
    try:
        async with asyncio.timeout(seconds):
            return await deps.shop.buyers(installation, wanted)
    except (RecurringError, TimeoutError):
        return None
