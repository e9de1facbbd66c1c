"""The list of charges, narrowed down to what somebody looks for."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from functools import partial

from fastapi.responses import HTMLResponse

from app.domain.account import Account, Scope
from app.domain.charge import ChargeStatus
from app.domain.records import ChargeFilter
from app.usecases.looking import ChargeLine, look_through_charges, matching_charges, merchant_accounts
from app.usecases.people import buyers_of
from app.web.pages.lists import (
    MOST_CHOSEN,
    NAMES,
    Asked,
    Shortcut,
    an_account_of,
    count_matching,
    read_search,
    shortcuts,
    shown,
    zone_of,
)
from app.web.pages.visits import Fragments, Visit

PATH = "/charges"
_S = ChargeStatus
GROUPS: Mapping[str, frozenset[ChargeStatus]] = {
    "failed": frozenset({_S.FAILED, _S.REJECTED}),
    "waiting": frozenset({_S.NEW, _S.PENDING, _S.DUE, _S.PROCESSING, _S.UNKNOWN}),
    "reserved": frozenset({_S.RESERVED, _S.PARTIALLY_CAPTURED}),
    "charged": frozenset({_S.CHARGED}),
    "refunded": frozenset({_S.PARTIALLY_REFUNDED, _S.REFUNDED}),
    "cancelled": frozenset({_S.CANCELLED}),
}


def add_to(fragments: Fragments) -> None:
    fragments.get(PATH, _list, Scope.CHARGES_READ)


async def _list(visit: Visit) -> HTMLResponse:
    accounts = await merchant_accounts(visit.context.deps, visit.caller)
    asked, wanted = await read_filter(visit, accounts)
    page = asked.page(date.fromisoformat)
    found = await look_through_charges(visit.context.deps, visit.caller, wanted, page)
    list_ = shown(found, asked, page, PATH, place_of)
    orders = [order for it in list_.rows for order in it.orders]
    return visit.show(
        "charges.html",
        form=asked,
        list=list_,
        matching=await count_matching(
            visit, list_, partial(matching_charges, visit.context.deps, visit.caller, wanted)
        ),
        most=MOST_CHOSEN,
        people=await buyers_of(visit.context.deps, visit.caller, orders),
        accounts=accounts,
        groups=list(GROUPS),
        shortcuts=_shortcuts(visit, asked, accounts),
        narrowed=asked.narrowed,
        path=asked.here(PATH),
        export=asked.address(f"{PATH}.csv"),
    )


async def all_that_match(visit: Visit) -> Sequence[str]:
    """What the list's form has beside the boxes says what was looked for."""
    accounts = await merchant_accounts(visit.context.deps, visit.caller)
    asked, wanted = await read_filter(replace(visit, parameters=visit.form), accounts)
    asked.require_readable()
    return await matching_charges(visit.context.deps, visit.caller, wanted, MOST_CHOSEN)


async def read_filter(visit: Visit, accounts: Sequence[Account]) -> tuple[Asked, ChargeFilter]:
    asked = Asked(visit.parameters, NAMES, visit.search)
    wanted = ChargeFilter(
        statuses=asked.read("status", GROUPS.__getitem__) or frozenset(),
        account=asked.read("account", an_account_of(accounts)),
        due_from=asked.read("from", date.fromisoformat),
        due_to=asked.read("to", date.fromisoformat),
    )
    return asked, replace(wanted, sought=await read_search(visit, asked))


def place_of(line: ChargeLine) -> tuple[date, str]:
    return line.charge.due, line.charge.id


def _shortcuts(visit: Visit, asked: Asked, accounts: Sequence[Account]) -> Sequence[Shortcut]:
    first = visit.context.deps.clock().astimezone(zone_of(accounts)).date().replace(day=1)
    before = first - timedelta(days=1)
    last_month = {"from": before.replace(day=1).isoformat(), "to": before.isoformat()}
    lists = {
        "all": {},
        "failed_last_month": {"status": "failed"} | last_month,
        "failed_this_month": {"status": "failed", "from": first.isoformat()},
        "reserved": {"status": "reserved"},
    }
    return shortcuts(asked, PATH, lists)
