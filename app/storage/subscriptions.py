"""Repositories of payment sessions and subscriptions."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import date, datetime
from typing import Any

from sqlalchemy import String, and_, cast, func, or_, select, update
from sqlalchemy.sql.elements import ColumnElement

from app.domain.agreement import AgreementStatus
from app.domain.money import Currency, Money
from app.domain.plan import IntervalUnit, Plan
from app.domain.schedule import Schedule
from app.domain.subscription import (
    Alike,
    PriceChange,
    Subscriber,
    Subscription,
    SubscriptionLine,
    SubscriptionStatus,
    VoucherPolicy,
)
from app.domain.transaction import ActionType, Session
from app.storage.base import Repository, chunks, table
from app.storage.mapping import Row
from app.storage.tables import AgreementRow, SessionRow, SubscriptionRow

_SESSION_PLAIN = ("id", "shop", "account_id", "agreement_row", "source", "trial", "order", "started", "created_at")


def _session(row: Row) -> Session:
    return Session(
        **{name: row[name] for name in _SESSION_PLAIN},
        action=ActionType(row["action"]),
        amount=Money(row["amount"], Currency(row["currency"])),
    )


class SessionRepository(Repository):
    row = SessionRow

    async def get(self, shop: str, transaction: str) -> Session | None:
        row = await self._one(self._c.shop == shop, self._c.id == transaction)
        return _session(row) if row else None

    async def of_agreement(self, shop: str, agreement_row: str) -> Session | None:
        where = (self._c.shop == shop, self._c.agreement_row == agreement_row)
        rows = await self._all(*where, order=self._c.created_at.desc(), limit=1)
        return _session(rows[0]) if rows else None

    async def add(self, session: Session) -> bool:
        values = {name: getattr(session, name) for name in _SESSION_PLAIN}
        amount = {"amount": session.amount.minor, "currency": session.amount.currency.value}
        return await self._add(values | amount | {"action": session.action.value})

    async def of_transactions(self, shop: str, transactions: Sequence[str]) -> Mapping[str, Session]:
        found: dict[str, Session] = {}
        for ids in chunks(transactions):
            rows = await self._all(self._c.shop == shop, self._c.id.in_(ids))
            found |= {row["id"]: _session(row) for row in rows}
        return found

    async def give_order(self, shop: str, transaction: str, order: str) -> None:
        where = (self._c.shop == shop, self._c.id == transaction)
        await self._db.execute(update(self._t).where(*where).values({"order": order}))

    async def mark_started(self, shop: str, transaction: str) -> None:
        where = (self._c.shop == shop, self._c.id == transaction)
        await self._db.execute(update(self._t).where(*where).values(started=True))

    async def unstarted(self, limit: int) -> Sequence[Session]:
        agreements = table(AgreementRow).c
        query = (
            select(self._t)
            .join(table(AgreementRow), and_(agreements.shop == self._c.shop, agreements.id == self._c.agreement_row))
            .where(~self._c.started, self._c.order.is_not(None))
            .where(agreements.status == AgreementStatus.ACTIVE.value)
            .order_by(self._c.created_at)
            .limit(limit)
        )
        return [_session(row) for row in (await self._db.execute(query)).mappings()]


_SUBSCRIPTION_PLAIN = (
    "id",
    "shop",
    "account_id",
    "agreement_id",
    "customer",
    "channel",
    "channel_id",
    "initial_order",
    "next_period",
    "next_due",
    "created_at",
    "shipping_method",
    "voucher",
    "paused_until",
    "ends_on",
    "reason",
    "version",
    "initial_number",
)


def _line(it: SubscriptionLine) -> dict[str, Any]:
    """`since` only where it says something, so that lines that are alike are the same text."""
    return {name: value for name, value in asdict(it).items() if name != "since" or value}


def _subscription(row: Row) -> Subscription:
    currency = Currency(row["currency"])
    plan = Plan(IntervalUnit(row["interval_unit"]), row["interval_count"])
    change = row["price_change"]
    return Subscription(
        **{name: row[name] for name in _SUBSCRIPTION_PLAIN},
        currency=currency,
        lines=tuple(SubscriptionLine(**line) for line in row["lines"]),
        schedule=Schedule(plan, row["anchor"], row["first_period"]),
        status=SubscriptionStatus(row["status"]),
        voucher_policy=VoucherPolicy(row["voucher_policy"]),
        price_change=None
        if change is None
        else PriceChange(
            on=date.fromisoformat(change["on"]),
            price=Money(change["price"], currency),
            unit_prices=change["unit_prices"],
            told_at=datetime.fromisoformat(change["told_at"]),
        ),
    )


def subscription_row(it: Subscription) -> dict[str, Any]:
    change = it.price_change
    return {name: getattr(it, name) for name in _SUBSCRIPTION_PLAIN} | {
        "currency": it.currency.value,
        "lines": [_line(line) for line in it.lines],
        "interval_unit": it.plan.unit.value,
        "interval_count": it.plan.count,
        "anchor": it.schedule.anchor,
        "first_period": it.schedule.first_period,
        "status": it.status.value,
        "alike": _likeness(it),
        "voucher_policy": it.voucher_policy.value,
        "price_change": None
        if change is None
        else {
            "on": change.on.isoformat(),
            "price": change.price.minor,
            "unit_prices": dict(change.unit_prices),
            "told_at": change.told_at.isoformat(),
        },
    }


def _likeness(it: Subscription) -> str:
    """Everything that says on which days it is renewed and at which new price, but for its status and its price."""
    change = it.price_change
    parts = (
        it.currency,
        it.plan.unit,
        it.plan.count,
        it.schedule.anchor,
        it.schedule.first_period - it.next_period,
        it.next_due,
        it.paused_until or "",
        change.on if change else "",
        change.price.minor if change else "",
    )
    return "|".join(map(str, parts))


def _alike(status: SubscriptionStatus, minor: int, alike: str, *rest: Any) -> Alike:
    *lines, number = rest
    of, unit, every, anchor, first, next_due, paused_until, on, price = alike.split("|")
    currency = Currency(of)
    return Alike(
        count=number,
        schedule=Schedule(Plan(IntervalUnit(unit), int(every)), date.fromisoformat(anchor), int(first)),
        next_due=date.fromisoformat(next_due),
        status=status,
        paused_until=date.fromisoformat(paused_until) if paused_until else None,
        price=Money(minor, currency),
        change=(date.fromisoformat(on), Money(int(price), currency)) if on else None,
        lines=tuple(SubscriptionLine(**line) for text in lines for line in json.loads(text)),
    )


_S = SubscriptionStatus
_PLANNED = [it.value for it in _S if it is not _S.ENDED]


class SubscriptionRepository(Repository):
    row = SubscriptionRow

    async def get(self, shop: str, subscription_id: str, *, lock: bool = False) -> Subscription | None:
        row = await self._one(self._c.shop == shop, self._c.id == subscription_id, lock=lock)
        return _subscription(row) if row else None

    async def many(self, shop: str, subscription_ids: Sequence[str]) -> Mapping[str, Subscription]:
        return await self._by(self._c.id, shop, subscription_ids)

    async def by_agreements(self, shop: str, agreement_ids: Sequence[str]) -> Mapping[str, Subscription]:
        return await self._by(self._c.agreement_id, shop, agreement_ids)

    async def _by(self, name: ColumnElement[str], shop: str, names: Sequence[str]) -> Mapping[str, Subscription]:
        found: dict[str, Subscription] = {}
        for some in chunks(names):
            rows = await self._all(self._c.shop == shop, name.in_(some))
            found |= {row[name]: _subscription(row) for row in rows}
        return found

    async def add(self, subscription: Subscription, subscriber: Subscriber) -> bool:
        agreements = table(AgreementRow).c
        same = (agreements.shop == subscription.shop, agreements.id == subscription.id)
        more = {
            "price": select(agreements.price).where(*same).scalar_subquery(),
            "subscriber_sealed": self._sealed(subscriber),
        }
        return await self._add(subscription_row(subscription) | more)

    async def save(self, subscription: Subscription) -> bool:
        values = subscription_row(subscription) | {"version": subscription.version + 1}
        where = (self._c.shop == subscription.shop, self._c.id == subscription.id)
        read = self._c.version == subscription.version
        return bool((await self._db.execute(update(self._t).where(*where, read).values(values))).rowcount)

    def _sealed(self, subscriber: Subscriber) -> str:
        return self._secrets.seal(json.dumps(asdict(subscriber)))

    async def subscriber(self, shop: str, subscription_id: str) -> Subscriber | None:
        query = select(self._c.subscriber_sealed).where(self._c.shop == shop, self._c.id == subscription_id)
        sealed = (await self._db.execute(query)).scalar_one_or_none()
        return Subscriber(**json.loads(self._secrets.open(sealed))) if sealed else None

    async def put_subscriber(self, shop: str, subscription_id: str, subscriber: Subscriber) -> None:
        where = (self._c.shop == shop, self._c.id == subscription_id)
        sealed = {"subscriber_sealed": self._sealed(subscriber)}
        await self._db.execute(update(self._t).where(*where).values(sealed))

    def _until(self, horizons: Mapping[str, date], *, before: bool = False) -> ColumnElement[bool]:
        due = self._c.next_due
        return or_(
            *(
                and_(self._c.account_id == account_id, due < day if before else due <= day)
                for account_id, day in horizons.items()
            )
        )

    async def claim_due(self, horizons: Mapping[str, date], limit: int) -> Sequence[Subscription]:
        if not horizons:
            return []
        query = (
            select(self._t)
            .where(self._c.status.in_(_PLANNED), self._until(horizons))
            .order_by(self._c.next_due, self._c.id)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        return [_subscription(row) for row in (await self._db.execute(query)).mappings()]

    async def advance_all(self, subscriptions: Sequence[Subscription]) -> None:
        await self._save([subscription_row(it) | {"version": it.version + 1} for it in subscriptions])

    async def page_after(
        self, shop: str, after: str, statuses: Sequence[SubscriptionStatus], limit: int
    ) -> Sequence[Subscription]:
        wanted = self._c.status.in_([it.value for it in statuses])
        rows = await self._all(self._c.shop == shop, self._c.id > after, wanted, order=self._c.id, limit=limit)
        return [_subscription(row) for row in rows]

    async def alike(self, shop: str) -> Sequence[Alike]:
        """In the order of an index, which holds all of it but what the lines of those without a price cost."""
        c, found = self._c, []
        lines = cast(c.lines, String)
        for status in (_S.ACTIVE, _S.PAUSED):
            for which, what in ((c.price > 0, (c.price, c.alike)), (c.price == 0, (c.price, c.alike, lines))):
                query = select(*what, func.count()).where(c.shop == shop, c.status == status.value, which)
                rows = await self._db.execute(query.group_by(*what))
                found += [_alike(status, *row) for row in rows]
        return found

    async def overdue(self, before: Mapping[str, date], limit: int) -> Sequence[Subscription]:
        if not before:
            return []
        waits_for_its_day = [SubscriptionStatus.ACTIVE.value, SubscriptionStatus.ENDING.value]
        where = (self._c.status.in_(waits_for_its_day), self._until(before, before=True))
        return [_subscription(row) for row in await self._all(*where, order=self._c.next_due, limit=limit)]

    async def without(self, shop: str | None, limit: int) -> Sequence[Session]:
        sessions, agreements = table(SessionRow), table(AgreementRow)
        same = and_(agreements.c.shop == sessions.c.shop, agreements.c.id == sessions.c.agreement_row)
        mine = and_(self._c.shop == sessions.c.shop, self._c.id == sessions.c.agreement_row)
        query = (
            select(sessions)
            .join(agreements, same)
            .outerjoin(self._t, mine)
            .where(agreements.c.status == AgreementStatus.ACTIVE.value, self._c.id.is_(None))
            .order_by(sessions.c.created_at)
            .limit(limit)
        )
        if shop is not None:
            query = query.where(sessions.c.shop == shop)
        return [_session(row) for row in (await self._db.execute(query)).mappings()]
