"""What somebody has to look at, most urgent first, from queries that cost next to nothing.

Periods without a row and renewals without an end, which the nightly watchdog finds by looking at every subscription,
are not looked for again here: it raises a problem of the app in Saleor for each.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from enum import StrEnum

from app.domain.account import Account, Caller
from app.domain.charge import ChargeStatus
from app.domain.records import ChargeFilter, FindingKind
from app.domain.renewal import RenewalReason
from app.usecases.account_settings import ShownAccount, shown_accounts
from app.usecases.backfilling import missed_since
from app.usecases.overview import require_shop
from app.usecases.planning import local_day
from app.usecases.ports import Deps, Unit

MOST = 100  # beyond which nobody counts any more
MISSED_FOR = timedelta(days=14)
RESERVED_FOR = timedelta(days=7)
_RESERVED = ChargeFilter(statuses=frozenset({ChargeStatus.RESERVED, ChargeStatus.PARTIALLY_CAPTURED}))
_NOT_OURS = frozenset({FindingKind.AGREEMENT_UNKNOWN_HERE})  # another system may share the merchant serial number


class Matter(StrEnum):
    """In the order of their urgency: nothing works, money is stuck, customers wait, something is to be decided."""

    ACCOUNT = "account"  # Vipps does not let us in; `about` is the account
    NOT_PLANNED = "not_planned"  # past their due day, and nobody planned them
    FAILURES = "failures"  # work that was given up
    RESERVED = "reserved"  # money that nobody captured for a week: MobilePay's lapses after 14 days (facts: VIPPS 6.9)
    DIFFERENCES = "differences"  # from Vipps' books, left by the last comparison
    WAITING = "waiting"  # periods that cannot be charged; `reason` says why
    MISSED = "missed"  # periods that nobody planned in time, due on the day `since` or later
    HELD = "held"  # subscriptions on hold

    @property
    def grave(self) -> bool:
        return self in {Matter.ACCOUNT, Matter.NOT_PLANNED, Matter.FAILURES}


@dataclass(frozen=True, slots=True)
class Attention:
    """`count` is at most MOST where `many` is true, and exact where it is not."""

    matter: Matter
    count: int = 1
    about: str = ""
    reason: RenewalReason | None = None
    many: bool = False
    since: date | None = None


async def attention(deps: Deps, caller: Caller) -> Sequence[Attention]:
    require_shop(caller)
    shown = await shown_accounts(deps, caller)
    found = [Attention(Matter.ACCOUNT, about=it.account.id) for it in shown if _broken(it)]
    async with deps.store.begin() as unit:
        found += await _in_books(deps, unit, caller.shop, [it.account for it in shown])
    return found


def _broken(shown: ShownAccount) -> bool:
    return not shown.complete or bool(shown.tried and shown.tried.trouble)


async def _in_books(deps: Deps, unit: Unit, shop: str, accounts: Sequence[Account]) -> list[Attention]:
    days = {it.id: local_day(deps, it) for it in accounts}
    today = max(days.values(), default=deps.clock().date())
    reserved = await unit.charges.matching(shop, replace(_RESERVED, due_to=today - RESERVED_FOR), MOST + 1)
    differ = [it for it in await unit.findings.of_shop(shop) if not it.repaired and it.kind not in _NOT_OURS]
    late = await unit.subscriptions.overdue(days, MOST + 1)
    dead = await unit.failures.of_shop(shop, MOST + 1)
    since = today - MISSED_FOR
    found = [
        _counted(Matter.NOT_PLANNED, len(late), late[0].agreement_id if late else ""),
        _counted(Matter.FAILURES, len(dead)),
        _counted(Matter.RESERVED, len(reserved)),
        Attention(Matter.DIFFERENCES, len(differ)),
        *(Attention(Matter.WAITING, it.count, reason=it.reason) for it in await unit.figures.waiting(shop)),
        Attention(Matter.MISSED, await unit.renewals.count(shop, missed_since(since)), since=since),
        Attention(Matter.HELD, await unit.figures.held(shop)),
    ]
    return [it for it in found if it.count]


def _counted(matter: Matter, count: int, about: str = "") -> Attention:
    return Attention(matter, min(count, MOST), about, many=count > MOST)
