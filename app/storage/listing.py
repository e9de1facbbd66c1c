"""How lists are read: a page of them by a place in their order, and what somebody looks for.

Every part of a search has an index of its own, and the parts are united: one condition with OR would be answered by
reading whole tables.
"""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import CompoundSelect, Select, bindparam, false, select, tuple_, union

from app.domain.charge import ChargeOrigin
from app.domain.records import Page, Sought
from app.domain.subscription import SubscriptionStatus
from app.storage.base import table
from app.storage.tables import AgreementRow, ChargeRow, RenewalRow, SubscriptionRow


def paged(query: Select[Any], by: Any, row_id: Any, page: Page) -> Select[Any]:
    """The page's rows in the order of `by`; from behind, where it is asked for backwards."""
    downwards = page.newest_first != page.backwards
    if page.cursor is not None:
        at = tuple_(bindparam("at", page.cursor[0], by.type), bindparam("at_id", page.cursor[1]))
        place = tuple_(by, row_id)
        query = query.where(place < at if downwards else place > at)
    return query.order_by(*(column.desc() if downwards else column.asc() for column in (by, row_id))).limit(page.size)


def sought_charges(shop: str, sought: Sought) -> CompoundSelect[Any]:
    """Row ids of charges by their own id, their order's id or number, their agreement's or their customer's id."""
    charges, agreements, renewals = table(ChargeRow).c, table(AgreementRow).c, table(RenewalRow).c
    mine = select(charges.id).where(charges.shop == shop)
    owned = select(agreements.agreement_id).where(agreements.shop == shop)
    initial = mine.where(charges.origin == ChargeOrigin.INITIAL.value)
    renewed = select(renewals.agreement_id).where(renewals.shop == shop)
    parts: list[Any] = []
    if sought.name is not None:
        numbered = select(renewals.order).where(renewals.shop == shop, renewals.order_number == sought.name)
        parts += [
            mine.where(charges.order_id == sought.name),
            mine.where(charges.charge_id == sought.name, charges.charge_id != charges.order_id),
            mine.where(charges.saleor_order == sought.name),
            mine.where(charges.saleor_order.in_(numbered)),
            initial.where(charges.agreement_id.in_(owned.where(agreements.initial_order == sought.name))),
            mine.where(charges.agreement_id == sought.name),
            mine.where(charges.agreement_id.in_(owned.where(agreements.customer == sought.name))),
        ]
    if orders := [*sought.orders, *sought.buyers_of]:
        parts += [
            mine.where(charges.saleor_order.in_(orders)),
            initial.where(charges.agreement_id.in_(owned.where(agreements.initial_order.in_(orders)))),
        ]
    if sought.buyers_of:
        parts += [
            mine.where(charges.agreement_id.in_(owned.where(agreements.initial_order.in_(sought.buyers_of)))),
            mine.where(charges.agreement_id.in_(renewed.where(renewals.order.in_(sought.buyers_of)))),
        ]
    if sought.customers:
        parts.append(mine.where(charges.agreement_id.in_(owned.where(agreements.customer.in_(sought.customers)))))
    return union(*(parts or [mine.where(false())]))


def sought_agreements(shop: str, sought: Sought) -> CompoundSelect[Any]:
    """Row ids of agreements by their own id or their customer's, or by those of a charge or an order on them."""
    charges, agreements, renewals = table(ChargeRow).c, table(AgreementRow).c, table(RenewalRow).c
    mine = select(agreements.id).where(agreements.shop == shop)
    charged = select(charges.agreement_id).where(charges.shop == shop)
    renewed = select(renewals.agreement_id).where(renewals.shop == shop)
    parts: list[Any] = []
    if sought.name is not None:
        parts += [
            mine.where(agreements.agreement_id == sought.name),
            mine.where(agreements.customer == sought.name),
            mine.where(agreements.initial_order == sought.name),
            mine.where(agreements.agreement_id.in_(charged.where(charges.order_id == sought.name))),
            mine.where(
                agreements.agreement_id.in_(
                    charged.where(charges.charge_id == sought.name, charges.charge_id != charges.order_id)
                )
            ),
            mine.where(agreements.agreement_id.in_(charged.where(charges.saleor_order == sought.name))),
            mine.where(agreements.agreement_id.in_(renewed.where(renewals.order_number == sought.name))),
        ]
    if orders := [*sought.orders, *sought.buyers_of]:
        parts += [
            mine.where(agreements.initial_order.in_(orders)),
            mine.where(agreements.agreement_id.in_(charged.where(charges.saleor_order.in_(orders)))),
            mine.where(agreements.agreement_id.in_(renewed.where(renewals.order.in_(orders)))),
        ]
    if sought.customers:
        parts.append(mine.where(agreements.customer.in_(sought.customers)))
    return union(*(parts or [mine.where(false())]))


def renewed_as(shop: str, statuses: Iterable[SubscriptionStatus]) -> Select[Any]:
    """Row ids of agreements whose subscription is in one of these states."""
    subscriptions = table(SubscriptionRow).c
    wanted = sorted(it.value for it in statuses)
    return select(subscriptions.id).where(subscriptions.shop == shop, subscriptions.status.in_(wanted))
