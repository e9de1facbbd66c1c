"""What is to be told to Saleor's transactions and to the shop's own endpoint: stored first, sent until it is taken."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select, update

from app.domain.money import Currency, Money
from app.domain.notice import Notice, NoticeKind
from app.domain.transaction import ActionType, EventType, Report, ReportStatus
from app.storage.base import Repository, chunks, insert
from app.storage.mapping import Row
from app.storage.tables import NoticeRow, ReportRow

_WAITING = "WAITING"


class Outbox(Repository):
    """Rows that are WAITING until somebody who holds them has got rid of them."""

    def _in_turn(self) -> Sequence[Any]:
        """What has to hold besides, for a row to go out now."""
        return ()

    async def _claimed(self, shop: str, row_id: str, now: datetime, until: datetime) -> Row | None:
        return await self._lease(shop, row_id, now, until, _WAITING, *self._in_turn())

    async def _settled(self, shop: str, row_id: str, status: str, **more: Any) -> None:
        where = (self._c.shop == shop, self._c.id == row_id)
        await self._db.execute(update(self._t).where(*where).values(status=status, lease_until=None, **more))

    async def _again(self, shop: str, row_id: str, attempts: int, values: dict[str, Any]) -> None:
        """Unless somebody else has taken it over since."""
        where = (self._c.shop == shop, self._c.id == row_id, self._c.attempts == attempts)
        await self._db.execute(update(self._t).where(*where).values(values | {"lease_until": None}))

    async def waiting(self, now: datetime, limit: int) -> Sequence[tuple[str, str]]:
        free = (self._free(now), self._due(now), *self._in_turn())
        where = (self._c.status == _WAITING, self._c.dead.is_(None), *free)
        query = select(self._c.shop, self._c.id).where(*where).order_by(self._c.created_at, self._c.id).limit(limit)
        return [(shop, row_id) for shop, row_id in await self._db.execute(query)]


_REPORT_PLAIN = (
    "id",
    "shop",
    "transaction",
    "psp_reference",
    "occurred_at",
    "message",
    "created_at",
    "attempts",
    "next_attempt_at",
    "lease_until",
    "failure",
    "dead",
)


def _report(row: Row) -> Report:
    return Report(
        **{name: row[name] for name in _REPORT_PLAIN},
        type=EventType(row["type"]),
        amount=Money(row["amount"], Currency(row["currency"])),
        actions=tuple(ActionType(word) for word in row["actions"].split()),
        status=ReportStatus(row["status"]),
    )


def _report_row(it: Report) -> dict[str, Any]:
    return {name: getattr(it, name) for name in _REPORT_PLAIN} | {
        "type": it.type.value,
        "amount": it.amount.minor,
        "currency": it.amount.currency.value,
        "actions": " ".join(it.actions),
        "status": it.status.value,
    }


class ReportRepository(Outbox):
    row = ReportRow

    def _in_turn(self) -> Sequence[Any]:
        """Those of one transaction go one after another; what was given up holds nothing up."""
        earlier = self._t.alias("earlier")
        waits = (earlier.c.status == _WAITING, earlier.c.dead.is_(None), earlier.c.created_at < self._c.created_at)
        same = (earlier.c.shop == self._c.shop, earlier.c.transaction == self._c.transaction)
        return (~select(earlier.c.id).where(*same, *waits).exists(),)

    async def add_all(self, reports: Sequence[Report]) -> frozenset[str]:
        added: set[str] = set()
        for some in chunks(sorted(reports, key=lambda it: it.id)):
            statement = insert(self._db, self._t).on_conflict_do_nothing().returning(self._c.id)
            added |= set((await self._db.execute(statement, [_report_row(it) for it in some])).scalars())
        return frozenset(added)

    async def of_transaction(self, shop: str, transaction: str) -> Sequence[Report]:
        query = select(self._t).where(self._c.shop == shop, self._c.transaction == transaction)
        rows = (await self._db.execute(query.order_by(self._c.created_at, self._c.id))).mappings().all()
        return [_report(row) for row in rows]

    async def claim(self, shop: str, report_id: str, now: datetime, until: datetime) -> Report | None:
        row = await self._claimed(shop, report_id, now, until)
        return _report(row) if row else None

    async def settle(self, shop: str, report_id: str, status: ReportStatus, failure: str | None = None) -> None:
        await self._settled(shop, report_id, status.value, failure=failure)

    async def retry(self, report: Report) -> None:
        values = {"failure": report.failure, "next_attempt_at": report.next_attempt_at, "dead": report.dead}
        await self._again(report.shop, report.id, report.attempts, values)


class NoticeRepository(Outbox):
    row = NoticeRow

    async def add(self, notice: Notice) -> bool:
        return await self._add(
            {
                "id": notice.id,
                "shop": notice.shop,
                "account_id": notice.account_id,
                "kind": notice.kind.value,
                "subscription_id": notice.subscription_id,
                "data": dict(notice.data),
                "status": _WAITING,
                "attempts": notice.attempts,
                "next_attempt_at": notice.next_attempt_at,
                "lease_until": notice.lease_until,
                "dead": notice.dead,
                "created_at": notice.created_at,
            }
        )

    async def claim(self, shop: str, notice_id: str, now: datetime, until: datetime) -> Notice | None:
        row = await self._claimed(shop, notice_id, now, until)
        if row is None:
            return None
        return Notice(
            **{name: row[name] for name in Notice.__dataclass_fields__ if name != "kind"}, kind=NoticeKind(row["kind"])
        )

    async def done(self, shop: str, notice_id: str) -> None:
        await self._settled(shop, notice_id, "DONE")

    async def retry(self, notice: Notice) -> None:
        values = {"next_attempt_at": notice.next_attempt_at, "dead": notice.dead}
        await self._again(notice.shop, notice.id, notice.attempts, values)
