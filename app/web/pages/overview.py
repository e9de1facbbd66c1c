"""The fragment that staff of a shop with subscribers see first: what comes in, and what has to be looked at."""

from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlencode

from fastapi.responses import HTMLResponse

from app.domain.renewal import RenewalStatus
from app.usecases.attention import Attention, Matter, attention
from app.usecases.overview import AHEAD, Figures, Overview, overview
from app.usecases.setup import has_subscribers
from app.usecases.spans import Span
from app.web.pages import renewals, start
from app.web.pages.charts import Chart, chart
from app.web.pages.visits import Fragments, Visit

PATH = "/overview"


@dataclass(frozen=True, slots=True)
class Shown:
    """One currency's figures and their charts; None where there is nothing to draw."""

    figures: Figures
    came: Chart | None
    due: Chart | None


def add_to(fragments: Fragments) -> None:
    fragments.get("/home", _home)
    fragments.get(PATH, _overview)


async def _home(visit: Visit) -> HTMLResponse:
    """The checklist until there is something to look at."""
    if await has_subscribers(visit.context.deps, visit.caller):
        return await _overview(visit)
    return await start.show(visit)


async def _overview(visit: Visit) -> HTMLResponse:
    found = await read(visit)
    span = found.period.span
    return visit.show(
        "overview.html",
        overview=found,
        shown=[_shown(found, it) for it in found.figures],
        attention=[(it, _place(it)) for it in await attention(visit.context.deps, visit.caller)],
        spans=list(Span),
        path=PATH if span is Span.THIS_MONTH else f"{PATH}?period={span}",
    )


async def read(visit: Visit) -> Overview:
    """The figures of the period that is asked for."""
    return await overview(visit.context.deps, visit.caller, _span(visit.parameters.get("period", "")))


def _place(matter: Attention) -> str:
    """Where somebody does something about it."""
    match matter.matter:
        case Matter.ACCOUNT:
            return f"/accounts/{matter.about}"
        case Matter.NOT_PLANNED:
            return f"/agreements/{matter.about}"
        case Matter.RESERVED:
            return "/charges?status=reserved&sort=oldest"
        case Matter.DIFFERENCES:
            return "/runs"
        case Matter.WAITING:
            return f"{renewals.PATH}?{urlencode({'status': RenewalStatus.WAITING, 'reason': matter.reason})}"
        case Matter.MISSED:
            return f"{renewals.PATH}?{urlencode(renewals.missed(matter.since))}"
        case Matter.FAILURES:
            return "/failures"
        case Matter.HELD:
            return "/agreements?status=held"


def _span(name: str) -> Span:
    """An address that somebody has mistyped shows what it shows without."""
    return Span(name) if name in set(Span) else Span.THIS_MONTH


def _shown(found: Overview, figures: Figures) -> Shown:
    sums = figures.sums
    came = chart(
        figures.currency,
        [it.day for it in sums],
        {"collected": [it.collected for it in sums]},
        {"refunded": [it.refunded for it in sums], "failed": [it.failed for it in sums]},
    )
    days = [found.period.today + timedelta(days=number) for number in range(AHEAD.days)]
    totals = {it.date: it.total.minor for it in figures.due}
    return Shown(figures, came, chart(figures.currency, days, {"due": [totals.get(day, 0) for day in days]}, {}))
