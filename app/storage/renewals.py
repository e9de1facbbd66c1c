"""Repositories of renewals, and of failed ones that their customers pay by a link."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import and_, case, func, null, or_, select, update
from sqlalchemy.sql.elements import ColumnElement

from app.domain.money import Currency, Money
from app.domain.records import Page
from app.domain.recovery import Recovery, RecoveryStatus
from app.domain.renewal import Renewal, RenewalFilter, RenewalReason, RenewalStatus
from app.domain.subscription import Subscription
from app.storage.base import Repository, chunks, insert, table
from app.storage.listing import paged
from app.storage.mapping import Row
from app.storage.tables import RecoveryRow, RenewalRow, SubscriptionRow

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
    "agreed",
    "failed_on",
    "hindered_on",
    "attempts",
    "failures",
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

    async def many(self, shop: str, renewal_ids: Sequence[str]) -> Mapping[str, Renewal]:
        found: dict[str, Renewal] = {}
        for ids in chunks(renewal_ids):
            rows = await self._all(self._c.shop == shop, self._c.id.in_(ids))
            found |= {row["id"]: _renewal(row) for row in rows}
        return found

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

    async def page(self, shop: str, wanted: RenewalFilter, page: Page) -> Sequence[Renewal]:
        query = paged(select(self._t).where(*self._wanted(shop, wanted)), self._c.due, self._c.id, page)
        rows = [_renewal(row) for row in (await self._db.execute(query)).mappings()]
        return rows[::-1] if page.backwards else rows

    async def count(self, shop: str, wanted: RenewalFilter) -> int:
        query = select(func.count()).select_from(self._t).where(*self._wanted(shop, wanted))
        return int((await self._db.execute(query)).scalar_one())

    async def anywhere(self, renewal_id: str) -> Renewal | None:
        row = await self._one(self._c.id == renewal_id)
        return _renewal(row) if row else None

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

    async def take(self, renewal: Renewal, now: datetime, until: datetime) -> Renewal | None:
        as_seen = (self._c.attempts == renewal.attempts, self._c.status == renewal.status.value)
        where = (self._c.shop == renewal.shop, self._c.id == renewal.id, *as_seen, self._free(now))
        taken = update(self._t).where(*where).values(self._lease_values(until)).returning(self._t)
        row = (await self._db.execute(taken)).mappings().first()
        return _renewal(row) if row else None

    async def move(self, shop: str, subscription_id: str, to: Subscription, held: str) -> None:
        where = (self._c.shop == shop, self._c.subscription_id == subscription_id)
        kept = or_(self._c.status.in_(_FINAL), self._c.id == held)
        values = {
            "subscription_id": to.id,
            "account_id": to.account_id,
            "agreement_id": case((self._c.status.in_(_FINAL), self._c.agreement_id), else_=to.agreement_id),
            # One attempt more, so that whoever holds another of them cannot store what it was before.
            "attempts": case((kept, self._c.attempts), else_=self._c.attempts + 1),
            "lease_until": case((kept, self._c.lease_until), else_=null()),
        }
        await self._db.execute(update(self._t).where(*where).values(values))

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
        self, shop: str, status: RenewalStatus, reason: RenewalReason | None, limit: int, *, newest: bool = False
    ) -> Sequence[Renewal]:
        where = [self._c.shop == shop, self._c.status == status.value]
        if reason is not None:
            where.append(self._c.reason == reason.value)
        order = self._c.due.desc() if newest else self._c.due
        return [_renewal(row) for row in await self._all(*where, order=order, limit=limit)]

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


_RECOVERY_PLAIN = (
    "id",
    "shop",
    "account_id",
    "subscription_id",
    "renewal_id",
    "number",
    "created_at",
    "resume_at",
)


def _recovery(row: Row) -> Recovery:
    return Recovery(
        **{name: row[name] for name in _RECOVERY_PLAIN},
        amount=Money(row["amount"], Currency(row["currency"])),
        status=RecoveryStatus(row["status"]),
    )


class RecoveryRepository(Repository):
    row = RecoveryRow

    async def get(self, shop: str, recovery_id: str) -> Recovery | None:
        row = await self._one(self._c.shop == shop, self._c.id == recovery_id)
        return _recovery(row) if row else None

    async def open_of(self, shop: str, subscription_id: str) -> Recovery | None:
        is_open = self._c.status == RecoveryStatus.OPEN.value
        row = await self._one(self._c.shop == shop, self._c.subscription_id == subscription_id, is_open)
        return _recovery(row) if row else None

    async def newest(self, shop: str, renewal_id: str) -> Recovery | None:
        where = (self._c.shop == shop, self._c.renewal_id == renewal_id)
        rows = await self._all(*where, order=self._c.number.desc(), limit=1)
        return _recovery(rows[0]) if rows else None

    async def add(self, recovery: Recovery) -> bool:
        values = {name: getattr(recovery, name) for name in _RECOVERY_PLAIN}
        money = {"amount": recovery.amount.minor, "currency": recovery.amount.currency.value}
        return await self._add(values | money | {"status": recovery.status.value})

    async def settle(self, shop: str, recovery_id: str, status: RecoveryStatus) -> None:
        where = (self._c.shop == shop, self._c.id == recovery_id)
        await self._db.execute(update(self._t).where(*where).values(status=status.value))
