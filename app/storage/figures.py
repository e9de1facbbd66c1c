"""Sums over a shop's rows, each in one statement: nothing is added up in Python but groups."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Select,
    String,
    and_,
    case,
    cast,
    delete,
    exists,
    func,
    literal,
    or_,
    select,
)

from app.domain.agreement import AgreementStatus
from app.domain.charge import ChargeOrigin, ChargeStatus
from app.domain.figures import SUMS, Bucket, DayTotal, Expected, Outcome, Recovered, Sums, Waiting
from app.domain.money import Currency, Money
from app.domain.recovery import RecoveryStatus
from app.domain.renewal import RenewalReason, RenewalStatus
from app.domain.subscription import RESTING, SubscriptionLine, SubscriptionStatus
from app.storage.base import Repository, insert, table
from app.storage.tables import (
    AgreementRow,
    ChargeRow,
    DayTotalRow,
    RecoveryRow,
    RenewalRow,
    SubscriptionRow,
    UtcDateTime,
)

_TO_COME = [it.value for it in (ChargeStatus.NEW, ChargeStatus.PENDING, ChargeStatus.DUE, ChargeStatus.PROCESSING)]
_OPEN = [it.value for it in (RenewalStatus.PLANNED, RenewalStatus.WAITING, RenewalStatus.CHARGING)]
_PAID = [RenewalStatus.PAID.value, RenewalStatus.COLLECTED.value]
_ACTIVE = AgreementStatus.ACTIVE.value
_ENDED = table(AgreementRow).c.status == AgreementStatus.STOPPED.value


def _sum(what: ColumnElement[Any]) -> ColumnElement[int]:
    return func.coalesce(func.sum(what), 0)


def _number(which: ColumnElement[bool]) -> ColumnElement[int]:
    return func.count(case((which, 1)))


def _lines(text: str | None) -> tuple[SubscriptionLine, ...]:
    return tuple(SubscriptionLine(**line) for line in json.loads(text or "[]"))


def _began(at: datetime) -> ColumnElement[bool]:
    c = table(AgreementRow).c
    return func.coalesce(c.start, c.created_at) < at


def _day_total_row(it: DayTotal) -> dict[str, Any]:
    sums = {of.currency.value: [getattr(of, name) for name in SUMS] for of in it.sums}
    alive = None if it.alive is None else {of.value: count for of, count in it.alive.items()}
    return {"day": it.day, "sums": sums, "alive": alive}


def _day_total(row: Any) -> DayTotal:
    sums = [Sums(row["day"], Currency(of), *values) for of, values in row["sums"].items()]
    alive = row["alive"]
    return DayTotal(row["day"], sums, None if alive is None else {Currency(of): n for of, n in alive.items()})


class FigureRepository(Repository):
    row = ChargeRow

    def _place(self, at: ColumnElement[Any], buckets: Sequence[Bucket]) -> ColumnElement[int]:
        """Which bucket a moment is in, from 0: neither database is asked to know the merchant's time zone."""
        edges = [it.since for it in buckets[1:]]
        if self._db.dialect.name == "postgresql":
            return func.width_bucket(at, literal(edges, ARRAY(UtcDateTime)))
        whens = [(at < edge, place) for place, edge in enumerate(edges)]
        return case(*whens, else_=len(edges)) if whens else literal(0)

    def _within(self, shop: str, at: ColumnElement[Any], buckets: Sequence[Bucket]) -> ColumnElement[bool]:
        return and_(self._c.shop == shop, at >= buckets[0].since, at < buckets[-1].until)

    async def settled(self, shop: str, buckets: Sequence[Bucket]) -> Sequence[Sums]:
        """What came and what failed, each in sums of its own."""
        c = self._c
        found = (
            select(
                self._place(c.settled_at, buckets).label("place"),
                c.currency,
                (c.status == ChargeStatus.FAILED.value).label("failed"),
                c.captured,
                c.amount,
            )
            .where(self._within(shop, c.settled_at, buckets))
            .subquery()
        )
        of = found.c
        query = select(of.place, of.currency, of.failed, func.sum(of.captured), func.sum(of.amount), func.count())
        rows = await self._db.execute(query.group_by(of.place, of.currency, of.failed))
        return [
            Sums(buckets[place].day, Currency(currency), failed=int(amount), failures=count)
            if failed
            else Sums(buckets[place].day, Currency(currency), collected=int(captured), collections=count)
            for place, currency, failed, captured, amount, count in rows
        ]

    async def refunded(self, shop: str, buckets: Sequence[Bucket]) -> Sequence[Sums]:
        """A charge counts with all that went back of it, on the day of its last refund."""
        c = self._c
        place = self._place(c.refunded_at, buckets).label("place")
        found = select(place, c.currency, c.refunded).where(self._within(shop, c.refunded_at, buckets)).subquery()
        of = found.c
        query = select(of.place, of.currency, func.sum(of.refunded), func.count()).group_by(of.place, of.currency)
        rows = await self._db.execute(query)
        return [
            Sums(buckets[at].day, Currency(of), refunded=int(minor), refunds=count) for at, of, minor, count in rows
        ]

    async def charges_to_come(self, shop: str, since: date, until: date) -> Sequence[Expected]:
        """Charges that are made and not collected, except for those of renewals."""
        c = self._c
        query = (
            select(c.due, c.currency, func.count(), _sum(c.amount))
            .where(c.shop == shop, c.status.in_(_TO_COME), c.due.between(since, until), c.dead.is_(None))
            .where(c.origin != ChargeOrigin.RENEWAL.value, c.withdrawn.is_(None))
            .group_by(c.due, c.currency, c.amount)
        )
        rows = await self._db.execute(query)
        return [Expected(day, count, Money(int(total) // count, Currency(of))) for day, of, count, total in rows]

    async def renewals_to_come(self, shop: str, since: date, until: date) -> Sequence[Expected]:
        """Periods that have a row already and are not collected, at their order's sum or at their agreement's price."""
        c, agreements, subscriptions = table(RenewalRow).c, table(AgreementRow), table(SubscriptionRow)
        price = func.coalesce(c.amount, agreements.c.price)
        found = (
            select(
                c.due.label("due"),
                func.coalesce(c.currency, agreements.c.currency).label("currency"),
                price.label("price"),
                case((price > 0, None), else_=cast(subscriptions.c.lines, String)).label("lines"),
            )
            .join(agreements, and_(agreements.c.shop == c.shop, agreements.c.id == c.subscription_id))
            .join(subscriptions, and_(subscriptions.c.shop == c.shop, subscriptions.c.id == c.subscription_id))
            .where(c.shop == shop, c.status.in_(_OPEN), c.due.between(since, until))
            .subquery()
        )
        query: Select[Any] = select(*found.c, func.count()).group_by(*found.c)
        rows = (await self._db.execute(query)).all()
        return [
            Expected(day, count, Money(minor, Currency(of)), _lines(lines)) for day, of, minor, lines, count in rows
        ]

    async def held(self, shop: str) -> int:
        c = table(SubscriptionRow).c
        query = select(func.count()).where(c.shop == shop, c.status == SubscriptionStatus.HELD.value)
        return int((await self._db.execute(query)).scalar_one())

    async def active(self, shop: str) -> Mapping[Currency, int]:
        return await self._agreements(shop, table(AgreementRow).c.status == _ACTIVE)

    async def resting(self, shop: str) -> Mapping[Currency, Mapping[SubscriptionStatus, int]]:
        """Of the active ones those whose subscription brings in nothing more as it stands."""
        agreements, subscriptions = table(AgreementRow).c, table(SubscriptionRow).c
        query = (
            select(agreements.currency, subscriptions.status, func.count())
            .where(subscriptions.shop == shop, subscriptions.status.in_([it.value for it in RESTING]))
            .where(agreements.shop == shop, agreements.id == subscriptions.id, agreements.status == _ACTIVE)
            .group_by(agreements.currency, subscriptions.status)
        )
        found: dict[Currency, dict[SubscriptionStatus, int]] = {}
        for of, status, count in await self._db.execute(query):
            found.setdefault(Currency(of), {})[SubscriptionStatus(status)] = count
        return found

    async def alive(self, shop: str, at: datetime) -> Mapping[Currency, int]:
        c = table(AgreementRow).c
        return await self._agreements(shop, _began(at), or_(c.status == _ACTIVE, and_(_ENDED, c.stop >= at)))

    async def ended(self, shop: str, since: datetime, until: datetime) -> Mapping[Currency, int]:
        c, moved = table(AgreementRow).c, table(RecoveryRow).c
        went_on = exists().where(
            moved.shop == c.shop, moved.subscription_id == c.id, moved.status == RecoveryStatus.PAID.value
        )
        return await self._agreements(shop, _ENDED, _began(since), c.stop >= since, c.stop < until, ~went_on)

    async def _agreements(self, shop: str, *where: ColumnElement[bool]) -> Mapping[Currency, int]:
        c = table(AgreementRow).c
        query = select(c.currency, func.count()).where(c.shop == shop, *where).group_by(c.currency)
        return {Currency(of): count for of, count in await self._db.execute(query)}

    async def day_totals(self, shop: str, zone: str, since: date, until: date) -> Sequence[DayTotal]:
        t = table(DayTotalRow)
        query = select(t).where(t.c.shop == shop, t.c.day.between(since, until), t.c.zone == zone)
        return [_day_total(row) for row in (await self._db.execute(query)).mappings()]

    async def put_day_totals(self, shop: str, zone: str, totals: Sequence[DayTotal]) -> None:
        t = table(DayTotalRow)
        statement = insert(self._db, t)
        new = {name: statement.excluded[name] for name in ("zone", "sums", "alive")}
        put = statement.on_conflict_do_update(index_elements=["shop", "day"], set_=new)
        if totals:
            await self._db.execute(put, [{"shop": shop, "zone": zone} | _day_total_row(it) for it in totals])

    async def forget_day_totals(self, shop: str, moments: Sequence[datetime]) -> None:
        t, near = table(DayTotalRow), (-1, 0, 1)  # a moment's day is one of these, wherever the merchant is
        days = sorted({at.astimezone(UTC).date() + timedelta(days=by) for at in moments for by in near})
        await self._db.execute(delete(t).where(t.c.shop == shop, t.c.day.in_(days)))

    async def recovered(self, shop: str, since: date, until: date) -> Sequence[Recovered]:
        """By the day of the first failure; both days count."""
        c = table(RenewalRow).c
        query = (
            select(c.currency, func.count(), _number(c.status.in_(_PAID)))
            .where(c.shop == shop, c.failed_on.between(since, until), c.currency.is_not(None))
            .group_by(c.currency)
        )
        return [Recovered(Currency(of), failed, int(paid)) for of, failed, paid in await self._db.execute(query)]

    async def waiting(self, shop: str) -> Sequence[Waiting]:
        c = table(RenewalRow).c
        query = (
            select(c.reason, func.count())
            .where(c.shop == shop, c.status == RenewalStatus.WAITING.value, c.reason.is_not(None))
            .group_by(c.reason)
            .order_by(func.count().desc(), c.reason)
        )
        return [Waiting(RenewalReason(reason), count) for reason, count in await self._db.execute(query)]

    async def outcomes(self, shop: str, since: date, until: date) -> Sequence[Outcome]:
        c = table(RenewalRow).c
        what = (c.due, c.status, c.reason, c.currency)
        query = (
            select(*what, func.count(), _sum(c.amount))
            .where(c.shop == shop, c.due.between(since, until))
            .group_by(*what)
            .order_by(*what)
        )
        return [
            Outcome(
                day,
                RenewalStatus(status),
                RenewalReason(reason) if reason else None,
                count,
                Money(int(minor), Currency(of)) if of else None,
            )
            for day, status, reason, of, count, minor in await self._db.execute(query)
        ]
