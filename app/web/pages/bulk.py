"""Many at once: chosen in a list, looked at before, and done by the batches that GraphQL uses, with an answer for each.

A form carries each item with what it showed, and one key of which every item makes its own.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

from fastapi.responses import HTMLResponse

from app.domain.batch import check_size
from app.domain.errors import InvalidInput, RecurringError
from app.domain.money import Money
from app.usecases.looking import merchant_accounts
from app.usecases.people import Buyers, buyers_of
from app.usecases.planning import local_day
from app.usecases.subscriptions import CancelAt
from app.web.pages import formats
from app.web.pages.actions import required
from app.web.pages.chosen import AGREEMENTS, CHARGES, Area, Item
from app.web.pages.lists import SIZE
from app.web.pages.typed import Form, a_day_or_none
from app.web.pages.visits import Fragments, Visit

_MOST = 100  # in one request; a page's worth at a time is what the script sends


def add_to(fragments: Fragments) -> None:
    for area in (CHARGES, AGREEMENTS):
        fragments.post(f"/{area.name}/chosen", partial(_preview, area), area.needs)
        fragments.post(f"/{area.name}/chosen/done", partial(_done, area), area.needs)


def _action(area: Area, visit: Visit) -> str:
    action = required(visit.form, "action")
    if action not in area.actions:
        raise InvalidInput("there is no such action", field="action")
    return action


async def _preview(area: Area, visit: Visit) -> HTMLResponse:
    action = _action(area, visit)
    chosen = [it for it in visit.form.get("id", "").split("\n") if it][:_MOST]
    ids = await area.all(visit) if visit.form.get("all") else chosen
    items = await area.find(visit, action, ids)
    return await _shown(
        visit, area, action, items, Form({"description": "", "until": "", "at": CancelAt.PERIOD_END.value})
    )


async def _shown(
    visit: Visit, area: Area, action: str, items: Sequence[Item], form: Form, key: str = "", status: int = 200
) -> HTMLResponse:
    fit = [it for it in items if it.fits]
    return visit.show(
        "bulk.html",
        status=status,
        area=area.name,
        action=action,
        items=fit,
        others=_by_reason(items),
        people=await _people(visit, [*fit, *(it for it in items if not it.fits)]),
        sums=[formats.money(visit.language, it) for it in _sums(fit)],
        form=form,
        key=key or str(uuid.uuid4()),
        ends=tuple(CancelAt),
        size=SIZE,
    )


async def _people(visit: Visit, items: Sequence[Item]) -> Buyers:
    return await buyers_of(visit.context.deps, visit.caller, (it.order for it in items))


def _name(people: Buyers, it: Item) -> str:
    buyer = people.of(it.order)
    return " · ".join(part for part in (it.name, buyer and (buyer.name or buyer.email), it.detail) if part)


def _by_reason(items: Sequence[Item]) -> Mapping[str, Sequence[Item]]:
    """What is left out."""
    found: dict[str, list[Item]] = {}
    for it in items:
        if not it.fits:
            found.setdefault(it.why, []).append(it)
    return found


def _sums(items: Sequence[Item]) -> Sequence[Money]:
    """One for each currency."""
    totals: dict[str, Money] = {}
    for money in (it.sum for it in items if it.sum is not None):
        before = totals.get(money.currency)
        totals[money.currency] = before + money if before else money
    return list(totals.values())


async def _done(area: Area, visit: Visit) -> HTMLResponse:
    action, key = _action(area, visit), required(visit.form, "key")
    seen = dict(it.partition(" ")[::2] for it in required(visit.form, "item").split("\n"))
    check_size(list(seen), _MOST)
    now = await area.find(visit, action, list(seen))
    # What was shown decides, not what is there now: what has changed is refused, item by item.
    items = [replace(it, seen=seen[it.id], why=it.why or ("" if it.seen == seen[it.id] else "STALE")) for it in now]
    form = Form({name: visit.form.get(name, "") for name in ("description", "until", "at")})
    await _check(visit, area, action, form)
    if form.wrong:
        return await _shown(visit, area, action, [replace(it, why="") for it in items], form, key, 422)
    results = await area.do(visit, action, form, items)
    return await _told(visit, area, action, items, [it.error for it in results])


async def _check(visit: Visit, area: Area, action: str, form: Form) -> None:
    """What no item can take is said once, before anything is done to any."""
    if action == "refund" and not 1 <= len(form.values["description"]) <= 45:  # noqa: PLR2004
        form.wrong.add("description")
    if action == "pause":
        until, accounts = form.read("until", a_day_or_none), await merchant_accounts(visit.context.deps, visit.caller)
        if until is not None and any(until <= local_day(visit.context.deps, it) for it in accounts):
            form.wrong.add("until")
    if action == "stop" and area is AGREEMENTS:
        form.read("at", CancelAt)


async def _told(
    visit: Visit,
    area: Area,
    action: str,
    items: Sequence[Item],
    errors: Sequence[RecurringError | None],
) -> HTMLResponse:
    """What was not done stands first."""
    # Whose they are is asked for where somebody has to see to it.
    people = await _people(visit, [it for it, error in zip(items, errors, strict=True) if error is not None])
    outcomes = [(_name(people, it), error) for it, error in zip(items, errors, strict=True)]
    done = [it for it, error in zip(items, errors, strict=True) if error is None]
    again = bool(done) and not any(it.fits for it in done)
    status = 200 if done else 409
    return visit.show(
        "bulk_done.html",
        status=status,
        area=area.name,
        action=action,
        outcomes=sorted(outcomes, key=lambda it: it[1] is None),
        done=len(done),
        again=again,
    )
