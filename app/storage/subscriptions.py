"""Repositories of payment sessions, subscriptions and renewals."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import date, datetime
from typing import Any

from sqlalchemy import String, and_, bindparam, case, cast, func, or_, select, tuple_, update
from sqlalchemy.sql.elements import ColumnElement

from app.domain.agreement import AgreementStatus
from app.domain.money import Currency, Money
from app.domain.plan import IntervalUnit, Plan
from app.domain.renewal import Renewal, RenewalFilter, RenewalReason, RenewalStatus
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
from app.storage.base import Repository, chunks, insert, table
from app.storage.mapping import Row
from app.storage.tables import AgreementRow, RenewalRow, SessionRow, SubscriptionRow

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
)


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


def _subscription_row(it: Subscription) -> dict[str, Any]:
    change = it.price_change
    return {name: getattr(it, name) for name in _SUBSCRIPTION_PLAIN} | {
        "currency": it.currency.value,
        "lines": [asdict(line) for line in it.lines],
        "interval_unit": it.plan.unit.value,
        "interval_count": it.plan.count,
        "anchor": it.schedule.anchor,
        "first_period": it.schedule.first_period,
        "status": it.status.value,
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


def _alike(row: Row) -> Alike:
    currency = Currency(row["currency"])
    change = json.loads(row["change"] or "null")
    return Alike(
        count=row["count"],
        schedule=Schedule(Plan(IntervalUnit(row["unit"]), row["interval"]), row["anchor"], row["first"]),
        next_due=row["next_due"],
        status=SubscriptionStatus(row["status"]),
        paused_until=row["paused_until"],
        price=Money(row["price"], currency),
        change=(date.fromisoformat(change["on"]), Money(change["price"], currency)) if change else None,
        lines=tuple(SubscriptionLine(**line) for line in json.loads(row["lines"] or "[]")),
    )


_PLANNED = [it.value for it in SubscriptionStatus if it is not SubscriptionStatus.ENDED]


class SubscriptionRepository(Repository):
    row = SubscriptionRow

    async def get(self, shop: str, subscription_id: str, *, lock: bool = False) -> Subscription | None:
        row = await self._one(self._c.shop == shop, self._c.id == subscription_id, lock=lock)
        return _subscription(row) if row else None

    async def by_agreements(self, shop: str, agreement_ids: Sequence[str]) -> Mapping[str, Subscription]:
        found: dict[str, Subscription] = {}
        for ids in chunks(agreement_ids):
            rows = await self._all(self._c.shop == shop, self._c.agreement_id.in_(ids))
            found |= {row["agreement_id"]: _subscription(row) for row in rows}
        return found

    async def add(self, subscription: Subscription, subscriber: Subscriber) -> bool:
        return await self._add(_subscription_row(subscription) | {"subscriber_sealed": self._sealed(subscriber)})

    async def save(self, subscription: Subscription) -> bool:
        values = _subscription_row(subscription) | {"version": subscription.version + 1}
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
        await self._save([_subscription_row(it) | {"version": it.version + 1} for it in subscriptions])

    async def page_after(
        self, shop: str, after: str, statuses: Sequence[SubscriptionStatus], limit: int
    ) -> Sequence[Subscription]:
        wanted = self._c.status.in_([it.value for it in statuses])
        rows = await self._all(self._c.shop == shop, self._c.id > after, wanted, order=self._c.id, limit=limit)
        return [_subscription(row) for row in rows]

    async def alike(self, shop: str) -> Sequence[Alike]:
        c, agreements = self._c, table(AgreementRow).c
        lines = case((agreements.price > 0, None), else_=cast(c.lines, String))
        what = {
            "unit": c.interval_unit,
            "interval": c.interval_count,
            "anchor": c.anchor,
            "first": c.first_period - c.next_period,
            "next_due": c.next_due,
            "status": c.status,
            "paused_until": c.paused_until,
            "currency": c.currency,
            "price": agreements.price,
            "change": cast(c.price_change, String),
            "lines": lines,
        }
        named = [column.label(name) for name, column in what.items()]
        grouped = (
            select(*named)
            .select_from(self._t.join(table(AgreementRow), and_(agreements.shop == c.shop, agreements.id == c.id)))
            .where(c.shop == shop, c.status.in_([SubscriptionStatus.ACTIVE.value, SubscriptionStatus.PAUSED.value]))
            .subquery()
        )
        query = select(grouped, func.count().label("count")).group_by(*grouped.c)
        return [_alike(row) for row in (await self._db.execute(query)).mappings()]

    async def overdue(self, before: Mapping[str, date], limit: int) -> Sequence[Subscription]:
        if not before:
            return []
        where = (self._c.status == SubscriptionStatus.ACTIVE.value, self._until(before, before=True))
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


_RENEWAL_PLAIN = (
    "id",
    "shop",
    "account_id",
    "subscription_id",
    "agreement_id",
    "period",
    "due",
    "created_at",
    "reason_text",
    "order",
    "order_number",
    "charge_row",
    "attempt",
    "failed_on",
    "attempts",
    "next_attempt_at",
    "lease_until",
    "dead",
)


def _renewal(row: Row) -> Renewal:
    return Renewal(
        **{name: row[name] for name in _RENEWAL_PLAIN},
        status=RenewalStatus(row["status"]),
        reason=RenewalReason(row["reason"]) if row["reason"] else None,
        amount=None if row["amount"] is None else Money(row["amount"], Currency(row["currency"])),
    )


def _renewal_row(it: Renewal) -> dict[str, Any]:
    return {name: getattr(it, name) for name in _RENEWAL_PLAIN} | {
        "status": it.status.value,
        "reason": it.reason.value if it.reason else None,
        "amount": it.amount.minor if it.amount else None,
        "currency": it.amount.currency.value if it.amount else None,
    }


_FINAL = [it.value for it in RenewalStatus if it.final]
_NOT_CHARGED = [RenewalStatus.PLANNED.value, RenewalStatus.WAITING.value]


class RenewalRepository(Repository):
    row = RenewalRow

    async def get(self, shop: str, renewal_id: str) -> Renewal | None:
        row = await self._one(self._c.shop == shop, self._c.id == renewal_id)
        return _renewal(row) if row else None

    async def by_charge(self, shop: str, charge_row: str) -> Renewal | None:
        row = await self._one(self._c.shop == shop, self._c.charge_row == charge_row)
        return _renewal(row) if row else None

    async def by_order(self, shop: str, order: str) -> Renewal | None:
        row = await self._one(self._c.shop == shop, self._c.order == order)
        return _renewal(row) if row else None

    async def of_subscription(self, shop: str, subscription_id: str, limit: int = 100) -> Sequence[Renewal]:
        where = (self._c.shop == shop, self._c.subscription_id == subscription_id)
        rows = await self._all(*where, order=self._c.period.desc(), limit=limit)
        return [_renewal(row) for row in reversed(rows)]

    async def of_subscriptions(
        self, shop: str, subscription_ids: Sequence[str], limit: int
    ) -> Mapping[str, Sequence[Renewal]]:
        found: dict[str, list[Renewal]] = {}
        age = func.row_number().over(partition_by=self._c.subscription_id, order_by=self._c.period.desc())
        for ids in chunks(subscription_ids):
            where = (self._c.shop == shop, self._c.subscription_id.in_(ids))
            aged = select(self._t, age.label("age")).where(*where).subquery()
            newest = select(aged).where(aged.c.age <= limit).order_by(aged.c.period)
            for row in (await self._db.execute(newest)).mappings():
                found.setdefault(row["subscription_id"], []).append(_renewal(row))
        return found

    def _wanted(self, shop: str, wanted: RenewalFilter) -> list[ColumnElement[bool]]:
        where = [self._c.shop == shop]
        if wanted.statuses:
            where.append(self._c.status.in_(sorted(it.value for it in wanted.statuses)))
        if wanted.reason is not None:
            where.append(self._c.reason == wanted.reason.value)
        if wanted.due_from is not None:
            where.append(self._c.due >= wanted.due_from)
        if wanted.due_to is not None:
            where.append(self._c.due <= wanted.due_to)
        return where

    async def page(
        self, shop: str, wanted: RenewalFilter, after: tuple[date, str] | None, limit: int
    ) -> Sequence[Renewal]:
        query = select(self._t).where(*self._wanted(shop, wanted))
        if after is not None:
            at = tuple_(bindparam("at", after[0], self._c.due.type), bindparam("at_id", after[1]))
            query = query.where(tuple_(self._c.due, self._c.id) < at)
        query = query.order_by(self._c.due.desc(), self._c.id.desc()).limit(limit)
        return [_renewal(row) for row in (await self._db.execute(query)).mappings()]

    async def count(self, shop: str, wanted: RenewalFilter) -> int:
        query = select(func.count()).select_from(self._t).where(*self._wanted(shop, wanted))
        return int((await self._db.execute(query)).scalar_one())

    async def add_all(self, renewals: Sequence[Renewal]) -> int:
        added = 0
        for some in chunks(sorted(renewals, key=lambda it: it.id)):
            statement = insert(self._db, self._t).on_conflict_do_nothing().returning(self._c.id)
            made = await self._db.execute(statement, [_renewal_row(it) for it in some])
            added += len(made.scalars().all())
        return added

    async def claim(self, shop: str, renewal_id: str, now: datetime, until: datetime) -> Renewal | None:
        where = (self._c.shop == shop, self._c.id == renewal_id, self._open(now))
        claim = update(self._t).where(*where).values(self._lease_values(until)).returning(self._t)
        row = (await self._db.execute(claim)).mappings().first()
        return _renewal(row) if row else None

    def _open(self, now: datetime) -> ColumnElement[bool]:
        return and_(self._c.status.not_in(_FINAL), self._c.dead.is_(None), self._free(now), self._due(now))

    async def hold_longer(self, shop: str, renewal_id: str, until: datetime) -> None:
        held = (self._c.shop == shop, self._c.id == renewal_id, self._c.lease_until.is_not(None))
        await self._db.execute(update(self._t).where(*held).values(lease_until=until))

    async def save(self, renewal: Renewal) -> bool:
        where = (self._c.shop == renewal.shop, self._c.id == renewal.id, self._c.attempts == renewal.attempts)
        saved = await self._db.execute(update(self._t).where(*where).values(_renewal_row(renewal)))
        return bool(saved.rowcount)

    async def wake(self, shop: str, renewal_id: str, now: datetime) -> None:
        where = (self._c.shop == shop, self._c.id == renewal_id, self._c.status.not_in(_FINAL))
        await self._db.execute(update(self._t).where(*where).values(next_attempt_at=now))

    async def waiting(self, now: datetime, limit: int) -> Sequence[tuple[str, str]]:
        soonest = (self._c.next_attempt_at.nulls_first(), self._c.id)
        query = select(self._c.shop, self._c.id).where(self._open(now)).order_by(*soonest).limit(limit)
        return [(shop, renewal_id) for shop, renewal_id in await self._db.execute(query)]

    async def end_open(self, shop: str, subscription_id: str, reason: RenewalReason, text: str) -> Sequence[Renewal]:
        where = (self._c.shop == shop, self._c.subscription_id == subscription_id)
        uncharged = (self._c.status.in_(_NOT_CHARGED), self._c.charge_row.is_(None))
        before = [_renewal(row) for row in await self._all(*where, *uncharged, lock=True)]
        ended = {"status": RenewalStatus.SKIPPED.value, "reason": reason.value, "reason_text": text}
        # One attempt more, so that whoever holds it cannot store what it came to.
        values = ended | {"next_attempt_at": None, "lease_until": None, "attempts": self._c.attempts + 1, "dead": None}
        await self._db.execute(update(self._t).where(*where, *uncharged).values(values))
        return before

    async def counts(self, shop: str, since: date, until: date) -> Mapping[tuple[RenewalStatus, str], int]:
        reason = func.coalesce(self._c.reason, "")
        query = (
            select(self._c.status, reason, func.count())
            .where(self._c.shop == shop, self._c.due >= since, self._c.due <= until)
            .group_by(self._c.status, reason)
        )
        return {(RenewalStatus(status), why): count for status, why, count in await self._db.execute(query)}

    async def of_status(
        self, shop: str, status: RenewalStatus, reason: RenewalReason | None, limit: int
    ) -> Sequence[Renewal]:
        where = [self._c.shop == shop, self._c.status == status.value]
        if reason is not None:
            where.append(self._c.reason == reason.value)
        return [_renewal(row) for row in await self._all(*where, order=self._c.due, limit=limit)]

    async def stale(self, before: date, limit: int) -> Sequence[Renewal]:
        where = (self._c.status.not_in(_FINAL), self._c.due < before)
        return [_renewal(row) for row in await self._all(*where, order=self._c.due, limit=limit)]

    async def gaps(self, limit: int) -> Sequence[tuple[str, str, int]]:
        """Counted for all subscriptions in one query: period 0 is the first order's and has no row."""
        subscriptions = table(SubscriptionRow).c
        same = and_(self._c.shop == subscriptions.shop, self._c.subscription_id == subscriptions.id)
        # A row beyond the next period does not make up for one that is missing before it.
        planned = and_(self._c.period >= 1, self._c.period < subscriptions.next_period)
        missing = subscriptions.next_period - 1 - func.count(self._c.period)
        query = (
            select(subscriptions.shop, subscriptions.id, missing)
            .select_from(table(SubscriptionRow).outerjoin(self._t, and_(same, planned)))
            .group_by(subscriptions.shop, subscriptions.id, subscriptions.next_period)
            .having(missing > 0)
            .order_by(subscriptions.id)
            .limit(limit)
        )
        return [(shop, row_id, count) for shop, row_id, count in await self._db.execute(query)]
