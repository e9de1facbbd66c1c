"""The audit as staff read it: who did what to which object, when, from what to what, and why."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.domain.account import Caller, Scope
from app.domain.records import AuditEntry, AuditFilter
from app.usecases.known import check_opaque
from app.usecases.looking import require_shop
from app.usecases.ports import Deps


@dataclass(frozen=True, slots=True)
class AuditPage:
    """The newest first. `older` is the number after which the next page begins, None where there is none."""

    entries: Sequence[AuditEntry]
    older: int | None


async def look_through_audit(
    deps: Deps, caller: Caller, wanted: AuditFilter, before: int | None, size: int
) -> AuditPage:
    require_shop(caller)
    caller.require(Scope.CHARGES_READ)
    check_opaque(wanted.object_id, "object")
    async with deps.store.begin() as unit:
        rows = await unit.audit.page(caller.shop, wanted, before, size + 1)
    shown = rows[:size]
    return AuditPage([entry for _, entry in shown], shown[-1][0] if len(rows) > size else None)
