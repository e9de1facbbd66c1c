"""The fragment that says what a shop's renewals do, day by day."""

from fastapi.responses import HTMLResponse

from app.domain.account import Scope
from app.usecases.runs import runs
from app.web.pages.visits import Fragments, Visit

PATH = "/runs"
_MOST = 25  # differences on one page; the command writes all of them to a file


def add_to(fragments: Fragments) -> None:
    fragments.get(PATH, _days, Scope.CHARGES_READ)


async def _days(visit: Visit) -> HTMLResponse:
    found = await runs(visit.context.deps, visit.caller)
    return visit.show(
        "runs.html",
        runs=found,
        findings=found.findings[:_MOST],
        more=len(found.findings[_MOST:]),
        path=PATH,
    )
