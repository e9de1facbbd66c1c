"""Dead letters: work that was given up with a reason, shown to people, and tried again when they say so."""

from collections.abc import Sequence

from app.domain.account import Caller, CallerKind, Scope
from app.domain.batch import BatchResult, check_size
from app.domain.errors import Forbidden, NotFound
from app.domain.records import AuditEntry, DeadLetter, Failing, Finding
from app.usecases.batches import each
from app.usecases.ports import Deps, Job

_MOST = 1000
_JOBS = {
    Failing.CHARGE: Job.CHARGE_CHUNK,
    Failing.OPERATION: Job.OPERATION,
    Failing.WEBHOOK: Job.APPLY_INBOX,
    Failing.REPORT: Job.REPORT,
    Failing.RENEWAL: Job.RENEW,
    Failing.NOTICE: Job.NOTICE,
}


def _require_staff(caller: Caller) -> None:
    if caller.kind not in {CallerKind.STAFF, CallerKind.SYSTEM}:
        raise Forbidden("only the shop's staff see failures and findings")


async def list_failures(deps: Deps, caller: Caller) -> Sequence[DeadLetter]:
    """The shop's dead letters, oldest first."""
    _require_staff(caller)
    caller.require(Scope.CHARGES_READ)
    async with deps.store.begin() as unit:
        return await unit.failures.of_shop(caller.shop, _MOST)


async def list_findings(deps: Deps, caller: Caller) -> Sequence[Finding]:
    """Where the shop's books and Vipps' differed when they were last compared."""
    _require_staff(caller)
    caller.require(Scope.CHARGES_READ)
    async with deps.store.begin() as unit:
        return await unit.findings.of_shop(caller.shop)


async def all_failures(deps: Deps) -> Sequence[DeadLetter]:
    """Every shop's, for the operator of this deployment."""
    async with deps.store.begin() as unit:
        return await unit.failures.everywhere(_MOST)


async def retry_failures(deps: Deps, caller: Caller, ids: Sequence[str]) -> BatchResult[Failing]:
    """Try again, with the same keys: what Vipps has done already is found out first."""
    _require_staff(caller)
    caller.require(Scope.CHARGES_WRITE)
    check_size(ids, deps.limits.max_sync_batch)

    async def retry(letter_id: str) -> Failing:
        now = deps.clock()
        async with deps.store.begin() as unit:
            kind = await unit.failures.revive(caller.shop, letter_id, now)
            if kind is None:
                raise NotFound(f"no failure {letter_id:.60}; perhaps it is being tried already", field="ids")
            what = AuditEntry(caller.shop, caller.actor, "failure.retried", letter_id, now, after=kind)
            await unit.audit.add([what])
        await deps.jobs.enqueue(_JOBS[kind], caller.shop, [letter_id])
        return kind

    return await each(deps, list(dict.fromkeys(ids)), str, retry)
