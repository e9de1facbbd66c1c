"""The sweeper behind every queue: what the rows say is open or overdue is handed to the jobs, whoever died over it.

Rows are the truth and jobs only carry them, so this alone is enough to lose nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import TypeVar

from app.domain.account import Account, ApiVersion
from app.domain.agreement import Agreement, AgreementStatus
from app.domain.charge import Charge
from app.usecases.agreements import settle_draft
from app.usecases.following import all_of
from app.usecases.ports import Deps, Job

_PAGE = 10_000
_DRAFT_LIFE = timedelta(minutes=15)  # Vipps lets a draft live for ten (facts: VIPPS 6.8)
_DRAFT_LOOK = timedelta(minutes=1)
_FEW = 50  # rows of a job that makes a call for each
ACTOR = "system:sweep"
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Swept:
    """How many rows of each sort were taken up."""

    inbox: int = 0
    charges: int = 0
    operations: int = 0
    drafts: int = 0
    followed: int = 0
    reported: int = 0
    renewals: int = 0
    notices: int = 0
    reports: int = 0
    starts: int = 0


async def sweep(deps: Deps) -> Swept:
    now = deps.clock()
    async with deps.store.begin() as unit:
        inbox = await unit.inbox.waiting(now, _PAGE)
        unsent = await unit.charges.unsent(now, _PAGE)
        operations = await unit.operations.unfinished(now, _PAGE)
        drafts = await unit.agreements.unsettled(now - _DRAFT_LOOK, _PAGE)
        unsettled = await unit.charges.unsettled(now, _PAGE)
        unreported = await unit.charges.unreported(now, _PAGE)
        renewals = await unit.renewals.waiting(now, _PAGE)
        notices = await unit.notices.waiting(now, _PAGE)
        reports = await unit.reports.waiting(now, _PAGE)
        unstarted = await unit.sessions.unstarted(_PAGE)
        accounts = {it.id: it for it in await unit.accounts.everywhere()}
    await _hand_over(deps, Job.APPLY_INBOX, inbox, 1)
    for rows, size in _chunks_of(deps, unsent, accounts):
        await _hand_over(deps, Job.CHARGE_CHUNK, rows, size)
    await _hand_over(deps, Job.OPERATION, [(it.shop, it.id) for it in operations], 1)
    await all_of(deps, [_draft(deps, it, now) for it in drafts])
    await _hand_over(deps, Job.FOLLOW_UP, [(it.shop, it.id) for it in unsettled], _FEW)
    await _hand_over(deps, Job.NOTIFY_SHOP, [(it.shop, it.id) for it in unreported], _FEW)
    await _hand_over(deps, Job.RENEW, renewals, deps.limits.chunk)
    await _hand_over(deps, Job.NOTICE, notices, 1)
    await _hand_over(deps, Job.REPORT, reports, _FEW)
    await _hand_over(deps, Job.START, [(it.shop, it.id) for it in unstarted], 1)
    counts = (inbox, unsent, operations, drafts, unsettled, unreported, renewals, notices, reports, unstarted)
    return Swept(*(len(rows) for rows in counts))


def _chunks_of(
    deps: Deps, unsent: Sequence[Charge], accounts: Mapping[str, Account]
) -> Iterable[tuple[Sequence[tuple[str, str]], int]]:
    """What was sent together is repeated together; what v3 takes in one request is handed over in one job."""
    groups: dict[tuple[str, str | None], list[tuple[str, str]]] = {}
    for it in unsent:
        groups.setdefault((it.account_id, it.batch_id), []).append((it.shop, it.id))
    for (account_id, batch_id), rows in groups.items():
        account = accounts.get(account_id)
        together = batch_id is not None or (account is not None and account.api_version is ApiVersion.V3)
        yield rows, deps.limits.batch if together else deps.limits.chunk


async def _hand_over(deps: Deps, kind: Job, rows: Sequence[tuple[str, str]], size: int) -> None:
    """One job for up to `size` rows of a shop."""
    for shop, mine in groupby(sorted(rows), key=lambda row: row[0]):
        for ids in _pieces([row_id for _, row_id in mine], size):
            await deps.jobs.enqueue(kind, shop, ids)


def _pieces(items: Sequence[T], size: int) -> Iterable[Sequence[T]]:
    return (items[start : start + size] for start in range(0, len(items), size))


async def _draft(deps: Deps, row: Agreement, now: datetime) -> None:
    if row.agreement_id is None and row.created_at > now - _DRAFT_LIFE:
        return
    async with deps.store.begin() as unit:
        # Before the look, so that a draft that cannot be read does not hold up the rest.
        await unit.agreements.looked_at(row.shop, row.id, now)
    if row.status is AgreementStatus.PENDING:
        await deps.jobs.enqueue(Job.FOLLOW_DRAFT, row.shop, [row.id])
    else:
        await settle_draft(deps, ACTOR, row)
