"""Repositories of what stands beside the money: webhooks, calls, findings, allowances, workers, dead letters."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, func, literal, null, or_, select, union_all, update

from app.domain.limits import Allowance, Granted
from app.domain.operation import OperationStatus
from app.domain.records import CallEntry, DeadLetter, Failing, Finding, Webhook
from app.storage.base import Repository, insert, table
from app.storage.tables import (
    AccountRow,
    AllowanceRow,
    CallRow,
    ChargeRow,
    FindingRow,
    InboxRow,
    NoticeRow,
    OperationRow,
    RenewalRow,
    ReportRow,
    WebhookRow,
    WorkerRow,
)


class WebhookRepository(Repository):
    row = WebhookRow

    async def of_account(self, shop: str, account_id: str) -> Sequence[Webhook]:
        rows = await self._all(self._c.shop == shop, self._c.account_id == account_id, order=self._c.created_at)
        fields = [name for name in Webhook.__dataclass_fields__ if name != "secret"]
        return [
            Webhook(**{name: row[name] for name in fields}, secret=self._secrets.open(row["secret_sealed"]))
            for row in rows
        ]

    async def put(self, webhook: Webhook) -> None:
        values = asdict(webhook)
        values["secret_sealed"] = self._secrets.seal(values.pop("secret"))
        await self._put(values, ["id"])

    async def remove(self, shop: str, webhook_id: str) -> None:
        await self._db.execute(delete(self._t).where(self._c.shop == shop, self._c.id == webhook_id))

    async def forget(self, shop: str) -> None:
        await self._db.execute(delete(self._t).where(self._c.shop == shop))


class CallRepository(Repository):
    row = CallRow

    async def add(self, calls: Sequence[CallEntry]) -> None:
        if calls:
            await self._db.execute(self._t.insert(), [asdict(call) for call in calls])

    async def of_agreement(self, shop: str, agreement_id: str, limit: int = 500) -> Sequence[CallEntry]:
        query = select(self._t).where(self._c.shop == shop, self._c.agreement_id == agreement_id)
        newest = query.order_by(self._c.at.desc(), self._c.id.desc()).limit(limit)
        rows = (await self._db.execute(newest)).mappings().all()
        found = [CallEntry(**{name: row[name] for name in CallEntry.__dataclass_fields__}) for row in rows]
        return found[::-1]

    async def of_key(self, shop: str, idempotency_key: str) -> Sequence[CallEntry]:
        where = (self._c.shop == shop, self._c.agreement_id.is_(None), self._c.idempotency_key == idempotency_key)
        rows = await self._all(*where, order=self._c.id, limit=20)
        return [CallEntry(**{name: row[name] for name in CallEntry.__dataclass_fields__}) for row in rows]

    async def prune(self, before: datetime) -> int:
        gone = await self._db.execute(delete(self._t).where(self._c.at < before))
        return int(gone.rowcount)


class FindingRepository(Repository):
    row = FindingRow

    async def replace(self, shop: str, account_id: str, findings: Sequence[Finding]) -> None:
        # One comparison after the other, or the findings of two would stand side by side.
        account = table(AccountRow)
        await self._db.execute(select(account.c.id).where(account.c.id == account_id).with_for_update())
        await self._db.execute(delete(self._t).where(self._c.shop == shop, self._c.account_id == account_id))
        if findings:
            await self._db.execute(self._t.insert(), [asdict(it) for it in findings])

    async def of_shop(self, shop: str) -> Sequence[Finding]:
        rows = await self._all(self._c.shop == shop, order=self._c.id)
        return [Finding(**{name: row[name] for name in Finding.__dataclass_fields__}) for row in rows]

    async def open_everywhere(self) -> int:
        query = select(func.count()).select_from(self._t).where(~self._c.repaired)
        return int((await self._db.execute(query)).scalar_one())


class AllowanceRepository(Repository):
    row = AllowanceRow

    async def take(self, bucket: str, wanted: int, per_minute: int, now: datetime) -> Granted:
        after, granted = (await self._read(bucket)).take(wanted, per_minute, now)
        if granted.count:
            await self._write(bucket, after)
        return granted

    async def emptied(self, bucket: str, now: datetime, retry_after: float | None) -> None:
        await self._write(bucket, (await self._read(bucket)).emptied(now, retry_after))

    async def _read(self, bucket: str) -> Allowance:
        """Locks the row; the first one to need it makes it, so that there is one to lock."""
        made = insert(self._db, self._t).values(bucket=bucket, used=[], blocked_until=None)
        await self._db.execute(made.on_conflict_do_nothing())
        row = await self._one(self._c.bucket == bucket, lock=True)
        if row is None:
            return Allowance()
        return Allowance(tuple((at, count) for at, count in row["used"]), row["blocked_until"])

    async def _write(self, bucket: str, allowance: Allowance) -> None:
        values = {"used": [list(pair) for pair in allowance.used], "blocked_until": allowance.blocked_until}
        await self._db.execute(update(self._t).where(self._c.bucket == bucket).values(values))


class WorkerRepository(Repository):
    row = WorkerRow

    async def seen(self, worker_id: str, at: datetime) -> None:
        """Write a sign of life, and forget processes that have given none for a day."""
        statement = insert(self._db, self._t).values(id=worker_id, seen_at=at)
        put = statement.on_conflict_do_update(index_elements=["id"], set_={"seen_at": statement.excluded.seen_at})
        await self._db.execute(put)
        await self._db.execute(delete(self._t).where(self._c.seen_at < at - timedelta(days=1)))

    async def gone(self, worker_id: str) -> None:
        await self._db.execute(delete(self._t).where(self._c.id == worker_id))

    async def since(self, at: datetime) -> int:
        """How many workers have given a sign of life since."""
        return len((await self._db.execute(select(self._c.id).where(self._c.seen_at >= at))).all())


class FailureRepository(Repository):
    """Dead letters: in the tables where the work stands."""

    row = InboxRow

    async def of_shop(self, shop: str, limit: int) -> Sequence[DeadLetter]:
        return await self._letters(limit, shop)

    async def everywhere(self, limit: int) -> Sequence[DeadLetter]:
        """For the operator, never for a caller."""
        return await self._letters(limit)

    async def _letters(self, limit: int, shop: str | None = None) -> Sequence[DeadLetter]:
        charges, operations, inbox = table(ChargeRow).c, table(OperationRow).c, table(InboxRow).c
        reports, renewals, notices = table(ReportRow).c, table(RenewalRow).c, table(NoticeRow).c
        parts = union_all(
            select(
                charges.id,
                charges.shop,
                literal(Failing.CHARGE.value).label("kind"),
                literal("charge").label("what"),
                charges.order_id.label("object_id"),
                charges.dead.label("reason"),
                charges.attempts,
                charges.created_at,
            ).where(charges.dead.is_not(None)),
            select(
                operations.id,
                operations.shop,
                literal(Failing.OPERATION.value),
                operations.kind,
                operations.charge_id,
                operations.dead,
                operations.attempts,
                operations.created_at,
            ).where(operations.dead.is_not(None), operations.charge_id.is_not(None)),
            select(
                operations.id,
                operations.shop,
                literal(Failing.OPERATION.value),
                operations.kind,
                operations.agreement_id,
                operations.dead,
                operations.attempts,
                operations.created_at,
            ).where(operations.dead.is_not(None), operations.charge_id.is_(None)),
            select(
                inbox.id,
                inbox.shop,
                literal(Failing.WEBHOOK.value),
                inbox.event,
                inbox.id,
                inbox.result,
                inbox.attempts,
                inbox.received_at,
            ).where(inbox.status == "DEAD"),
            *(
                select(
                    rows.id,
                    rows.shop,
                    literal(kind.value),
                    what,
                    about,
                    rows.dead,
                    rows.attempts,
                    rows.created_at,
                ).where(rows.dead.is_not(None))
                for kind, rows, what, about in (
                    (Failing.REPORT, reports, reports.type, reports.transaction),
                    (Failing.RENEWAL, renewals, literal("renewal"), renewals.agreement_id),
                    (Failing.NOTICE, notices, notices.kind, notices.subscription_id),
                )
            ),
        ).subquery()
        query = select(parts).order_by(parts.c.created_at, parts.c.id).limit(limit)
        if shop is not None:
            query = query.where(parts.c.shop == shop)
        rows = (await self._db.execute(query)).mappings()
        return [
            DeadLetter(**(dict(row) | {"kind": Failing(row["kind"]), "reason": row["reason"] or ""})) for row in rows
        ]

    async def revive(self, shop: str, letter_id: str, now: datetime) -> Failing | None:
        """Give it another life from its first attempt on; None where there is no such dead letter."""
        again: dict[str, Any] = {"dead": None, "next_attempt_at": now, "lease_until": null()}
        charges, operations, inbox = table(ChargeRow), table(OperationRow), table(InboxRow)
        # What was sent before keeps more than one attempt: it is looked for before it is sent again, and a charge of a
        # batch goes its own way.
        for kind, rows in (
            (Failing.CHARGE, charges),
            (Failing.OPERATION, operations),
            (Failing.REPORT, table(ReportRow)),
            (Failing.RENEWAL, table(RenewalRow)),
            (Failing.NOTICE, table(NoticeRow)),
        ):
            mine = (rows.c.shop == shop, rows.c.id == letter_id, rows.c.dead.is_not(None))
            failures = {"failures": 0} if "failures" in rows.c else {}
            done = await self._db.execute(update(rows).where(*mine).values(again | failures | {"attempts": 2}))
            if done.rowcount:
                return kind
        waiting = {"status": "WAITING", "attempts": 0, "next_attempt_at": now, "lease_until": null()}
        dead = (inbox.c.shop == shop, inbox.c.id == letter_id, inbox.c.status == "DEAD")
        done = await self._db.execute(update(inbox).where(*dead).values(waiting))
        return Failing.WEBHOOK if done.rowcount else None

    async def count(self) -> int:
        """How many there are, in all shops."""
        charges, operations = table(ChargeRow).c, table(OperationRow).c
        parts = union_all(
            select(charges.id).where(charges.dead.is_not(None)),
            select(operations.id).where(operations.dead.is_not(None), operations.status == OperationStatus.OPEN.value),
            select(self._c.id).where(or_(self._c.status == "DEAD")),
            *(
                select(table(row).c.id).where(table(row).c.dead.is_not(None))
                for row in (ReportRow, RenewalRow, NoticeRow)
            ),
        )
        return len((await self._db.execute(parts)).all())
