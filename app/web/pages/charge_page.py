"""The story of one charge: what it is, why it was made, all that happened to it, and what may be done with it."""

from collections.abc import Callable, Mapping, Sequence
from zoneinfo import ZoneInfo

from fastapi.responses import HTMLResponse

from app.domain.account import Scope
from app.domain.charge import Charge, ChargeStatus
from app.domain.errors import IllegalState
from app.usecases.looking import ChargeDetail, ChargeLine, charge_detail
from app.usecases.people import buyers_of
from app.usecases.retrying import Hindrance, hindrance
from app.web.pages.lists import DEFAULT_ZONE
from app.web.pages.visits import Fragments, Visit


def add_to(fragments: Fragments) -> None:
    fragments.get("/charges/{charge}", _one, Scope.CHARGES_READ)


async def _one(visit: Visit) -> HTMLResponse:
    return await show_charge(visit, visit.parameters["charge"])


async def show_charge(visit: Visit, charge_row: str, notice: str = "", status: int = 200) -> HTMLResponse:
    """`notice` names what became of an action that somebody asked for on it."""
    detail = await charge_detail(visit.context.deps, visit.caller, charge_row)
    zone = detail.account.time_zone if detail.account else DEFAULT_ZONE
    clock = ZoneInfo(zone)
    return visit.show(
        "charge.html",
        status=status,
        it=detail,
        people=await buyers_of(visit.context.deps, visit.caller, detail.orders),
        notice=notice,
        actions=actions_on(visit, detail) if visit.may_write else (),
        pay_url=visit.context.deps.pay_url(detail.renewal.id) if detail.renewal and detail.payable else None,
        became=became(detail.charge),
        collected_on=detail.charge.collected_on(clock) or detail.charge.due,
        there=lambda at: at.astimezone(clock),
        zone=zone,
        path=f"/charges/{charge_row}",
    )


def became(charge: Charge) -> str:
    """What its story says of its money."""
    if charge.captured:
        return "collected"
    if charge.status.holds_no_money:
        return "missed"
    return "reserved" if charge.status is ChargeStatus.RESERVED else "open"


def can_be_cancelled(charge: Charge) -> None:
    if not (charge.unmade and charge.status is ChargeStatus.NEW):
        charge.require_cancellable()


# By its name in addresses; each raises where the charge does not allow it.
ACTIONS: Mapping[str, Callable[[Charge], object]] = {
    "capture": lambda it: it.check_capture(None),
    "refund": lambda it: it.check_refund(None),
    "cancel": can_be_cancelled,
}


def allows(charge: Charge, action: str) -> bool:
    try:
        ACTIONS[action](charge)
    except IllegalState:
        return False
    return True


def untouched(charge: Charge, seen: str, action: str) -> bool:
    """Whether nobody has moved anything of it since its `sums` were seen, so that the action is still to be done."""
    return charge.sums == seen and allows(charge, action)


def hindered(visit: Visit, it: ChargeDetail | ChargeLine) -> Hindrance | None:
    """Why its period is not charged again; None where it can be."""
    return hindrance(it.charge, it.renewal, it.subscription, visit.context.deps.clock())


def actions_on(visit: Visit, detail: ChargeDetail) -> Sequence[str]:
    found = [action for action in ACTIONS if allows(detail.charge, action)]
    return ["retry", *found] if hindered(visit, detail) in {None, Hindrance.COSTS_MORE} else found
