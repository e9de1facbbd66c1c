"""Fragments about work that was given up with a reason, and that a person may have tried again."""

from fastapi.responses import HTMLResponse

from app.domain.account import Scope
from app.domain.errors import RecurringError
from app.usecases.failures import list_failures, retry_failures
from app.usecases.looking import merchant_accounts
from app.web.pages.lists import zone_of
from app.web.pages.visits import Fragments, Visit

_MOST = 100  # on one page, oldest first; the rest follows when these are done
ID = "id"


def add_to(fragments: Fragments) -> None:
    fragments.get("/failures", _list, Scope.CHARGES_READ)
    fragments.post("/failures", _retry)


async def _list(visit: Visit) -> HTMLResponse:
    return await _shown(visit, [])


async def _shown(
    visit: Visit, outcomes: list[tuple[str, RecurringError | None]], status: int = 200, *, nothing: bool = False
) -> HTMLResponse:
    letters = await list_failures(visit.context.deps, visit.caller)
    accounts = await merchant_accounts(visit.context.deps, visit.caller)
    return visit.show(
        "failures.html",
        status=status,
        letters=letters[:_MOST],
        more=len(letters) - len(letters[:_MOST]),
        outcomes=outcomes,
        nothing=nothing,
        done=sum(error is None for _, error in outcomes),
        zone=zone_of(accounts).key,
    )


async def _retry(visit: Visit) -> HTMLResponse:
    """With the same keys. What is tried already, because somebody was quicker, says so."""
    wanted = [it for it in visit.form.get(ID, "").split("\n") if it][:_MOST]
    if not wanted:
        return await _shown(visit, [], 422, nothing=True)
    names = {it.id: f"{it.what}: {it.object_id}" for it in await list_failures(visit.context.deps, visit.caller)}
    result = await retry_failures(visit.context.deps, visit.caller, wanted)
    outcomes = [(names.get(it.id, it.id[:60]), it.error) for it in result.items]
    return await _shown(visit, outcomes, 200 if result.successes else 409)
