"""The list of periods, narrowed down to what somebody looks for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from fastapi.responses import HTMLResponse

from app.domain.account import Scope
from app.domain.renewal import RenewalFilter, RenewalReason, RenewalStatus
from app.usecases.looking import RenewalLine, look_through_renewals
from app.usecases.people import buyers_of
from app.usecases.retrying import is_retriable
from app.web.pages.lists import Asked, Shortcut, shortcuts, shown
from app.web.pages.visits import Fragments, Visit

PATH = "/runs/renewals"
NAMES = ("status", "reason", "from", "to", "sort")
_S = RenewalStatus


def add_to(fragments: Fragments) -> None:
    fragments.get(PATH, _list, Scope.CHARGES_READ)


async def _list(visit: Visit) -> HTMLResponse:
    return await show_renewals(visit)


@dataclass(frozen=True, slots=True)
class Filled:
    """How many missed periods were planned after all, and how many were not."""

    planned: int
    left: int


async def show_renewals(visit: Visit, filled: Filled | None = None) -> HTMLResponse:
    asked, wanted = read_filter(visit)
    page = asked.page(date.fromisoformat)
    found = [] if asked.wrong else await look_through_renewals(visit.context.deps, visit.caller, wanted, page)
    lines = shown(found, asked, page, PATH, place_of)
    return visit.show(
        "renewals.html",
        form=asked,
        list=lines,
        people=await buyers_of(visit.context.deps, visit.caller, (order for it in lines.rows for order in it.orders)),
        retriable={it.renewal.id for it in lines.rows if it.charge and is_retriable(it.renewal)}
        if visit.may_write
        else set(),
        statuses=list(RenewalStatus),
        reasons=list(RenewalReason),
        shortcuts=_shortcuts(asked),
        narrowed=asked.narrowed,
        missed=wanted.reason is RenewalReason.MISSED,
        since=wanted.due_from,
        path=asked.here(PATH),
        export=asked.address(f"{PATH}.csv"),
        filled=filled,
    )


def read_filter(visit: Visit) -> tuple[Asked, RenewalFilter]:
    asked = Asked(visit.parameters, NAMES)
    status = asked.read("status", RenewalStatus)
    wanted = RenewalFilter(
        statuses=frozenset({status} if status else ()),
        reason=asked.read("reason", RenewalReason),
        due_from=asked.read("from", date.fromisoformat),
        due_to=asked.read("to", date.fromisoformat),
    )
    return asked, wanted


def place_of(line: RenewalLine) -> tuple[date, str]:
    return line.renewal.due, line.renewal.id


def _shortcuts(asked: Asked) -> Sequence[Shortcut]:
    lists: Mapping[str, Mapping[str, str]] = {
        "all": {},
        "waiting": {"status": _S.WAITING},
        "failed": {"status": _S.WAITING, "reason": RenewalReason.CHARGE_FAILED},
        "unpaid": {"status": _S.FAILED},
        "missed": missed(),
        "charging": {"status": _S.CHARGING},
    }
    return shortcuts(asked, PATH, lists)


def missed(since: date | None = None) -> dict[str, str]:
    """What the list of periods that nobody planned in time is asked by."""
    found: dict[str, str] = {"status": _S.SKIPPED, "reason": RenewalReason.MISSED}
    return found | {"from": since.isoformat()} if since else found
