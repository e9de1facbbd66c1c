"""The fragment that says who did what: the newest first, of one object or of all."""

import re

from fastapi.responses import HTMLResponse

from app.domain.account import Scope
from app.domain.records import AuditFilter
from app.usecases.audits import look_through_audit
from app.usecases.explaining import told_of
from app.usecases.looking import merchant_accounts
from app.web.pages.lists import Asked, a_name, zone_of
from app.web.pages.visits import Fragments, Visit

PATH = "/audit"
_SIZE = 50
_WHO = {"people": True, "all": False}


def add_to(fragments: Fragments) -> None:
    fragments.get(PATH, _list, Scope.CHARGES_READ)


async def _list(visit: Visit) -> HTMLResponse:
    asked, wanted = read_filter(visit)
    page = await look_through_audit(visit.context.deps, visit.caller, wanted, _number(visit), _SIZE)
    accounts = await merchant_accounts(visit.context.deps, visit.caller)
    before = visit.parameters.get("before", "")
    return visit.show(
        "audit.html",
        form=asked,
        entries=[(it, told_of(it)) for it in page.entries],
        older=asked.address(PATH, before=str(page.older)) if page.older else None,
        newest=asked.address(PATH) if before else None,
        zone=zone_of(accounts).key,
        path=asked.address(PATH, before=before),
        export=asked.address(f"{PATH}.csv"),
    )


def read_filter(visit: Visit) -> tuple[Asked, AuditFilter]:
    """Everybody's and the app's own where one object is asked for; else what people did, unless all is asked for."""
    asked = Asked(visit.parameters, ("object", "who"))
    name = asked.read("object", a_name)
    people = asked.read("who", _WHO.__getitem__)
    return asked, AuditFilter(name, people if people is not None else name is None)


def _number(visit: Visit) -> int | None:
    text = visit.parameters.get("before", "")
    return int(text) if re.fullmatch(r"(?a:\d{1,18})", text) else None
