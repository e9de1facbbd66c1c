"""What staff may do with missed periods: have them planned after all."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date

from fastapi.responses import HTMLResponse

from app.domain.account import Scope
from app.usecases.attention import MISSED_FOR
from app.usecases.backfilling import backfill, count_missed
from app.web.pages import formats
from app.web.pages.actions import Action, Field, required, show_action
from app.web.pages.renewals import PATH, Filled, show_renewals
from app.web.pages.typed import Form, a_day
from app.web.pages.visits import Fragments, Visit

_BACKFILL = "/runs/backfill"
_MOST = 1000  # periods planned by one press, while somebody waits


def add_to(fragments: Fragments) -> None:
    fragments.get(_BACKFILL, _ask, Scope.CHARGES_WRITE)
    fragments.post(_BACKFILL, _backfill)


async def _ask(visit: Visit) -> HTMLResponse:
    return await _asked(visit, _form(visit, visit.parameters))


async def _asked(visit: Visit, form: Form, notice: str = "", status: int = 200) -> HTMLResponse:
    since = form.read("from", a_day)
    count = await count_missed(visit.context.deps, visit.caller, since) if since else 0
    action = Action(
        area="runs",
        name="backfill",
        path=_BACKFILL,
        back=PATH,
        subject=_subject(visit, since, count),
        about={},
        fields=[Field("from", "date")],
        hidden={"seen": _mark(since, count)},
        back_to=visit.language.text("dashboard.runs.list"),
    )
    return show_action(visit, action, form, status=422 if form.wrong else status, notice=notice)


def _subject(visit: Visit, since: date | None, count: int) -> str:
    day = formats.day(visit.language, since) if since else "–"
    return visit.language.text("dashboard.runs.backfill.subject", count=count, day=day)


def _form(visit: Visit, typed: Mapping[str, str]) -> Form:
    usual = (visit.context.deps.clock().date() - MISSED_FOR).isoformat()
    return Form({"from": typed.get("from") or usual})


def _mark(since: date | None, count: int) -> str:
    """What was seen: how many there are since which day."""
    return f"{since}/{count}"


async def _backfill(visit: Visit) -> HTMLResponse:
    """Nothing is done before somebody has seen how many it is about: another day is shown first."""
    deps, form, seen = visit.context.deps, _form(visit, visit.form), required(visit.form, "seen")
    since = form.read("from", a_day)
    if since is None:
        return await _asked(visit, form)
    if seen != _mark(since, await count_missed(deps, visit.caller, since)):
        return await _asked(visit, form, "counted", 409)
    planned = await backfill(deps, visit.caller, since, _MOST)
    left = await count_missed(deps, visit.caller, since)
    return await show_renewals(replace(visit, parameters={"from": since.isoformat()}), Filled(planned, left))
