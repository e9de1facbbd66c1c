"""The list of agreements, narrowed down to what somebody looks for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from zoneinfo import ZoneInfo

from fastapi.responses import HTMLResponse

from app.domain.account import Account
from app.domain.agreement import AgreementStatus
from app.domain.records import AgreementFilter
from app.domain.subscription import RESTING, SubscriptionStatus
from app.usecases.looking import AgreementLine, look_through_agreements, matching_agreements, merchant_accounts
from app.usecases.people import buyers_of
from app.web.pages.lists import (
    MOST_CHOSEN,
    NAMES,
    Asked,
    Shortcut,
    a_moment,
    an_account_of,
    count_matching,
    read_search,
    shortcuts,
    shown,
    zone_of,
)
from app.web.pages.visits import Fragments, Visit

PATH = "/agreements"
_A, _S = AgreementStatus, SubscriptionStatus


@dataclass(frozen=True, slots=True)
class Group:
    statuses: frozenset[AgreementStatus] = frozenset()
    renewed: frozenset[SubscriptionStatus] = frozenset()
    unless: frozenset[SubscriptionStatus] = frozenset()


GROUPS: Mapping[str, Group] = {
    "active": Group(frozenset({_A.ACTIVE}), unless=frozenset(RESTING)),
    "held": Group(renewed=frozenset({_S.HELD})),
    "paused": Group(renewed=frozenset({_S.PAUSED})),
    "ending": Group(renewed=frozenset({_S.ENDING})),
    "pending": Group(frozenset({_A.NEW, _A.PENDING, _A.UNKNOWN})),
    "stopped": Group(frozenset({_A.STOPPED})),
    "expired": Group(frozenset({_A.EXPIRED, _A.REJECTED})),
}


def add_to(fragments: Fragments) -> None:
    fragments.get(PATH, _list)


async def _list(visit: Visit) -> HTMLResponse:
    accounts = await merchant_accounts(visit.context.deps, visit.caller)
    asked, wanted = await read_filter(visit, accounts)
    page = asked.page(a_moment)
    found = await look_through_agreements(visit.context.deps, visit.caller, wanted, page)
    list_ = shown(found, asked, page, PATH, place_of)
    return visit.show(
        "agreements.html",
        form=asked,
        list=list_,
        matching=await count_matching(
            visit, list_, partial(matching_agreements, visit.context.deps, visit.caller, wanted)
        ),
        most=MOST_CHOSEN,
        people=await buyers_of(visit.context.deps, visit.caller, (it.first_order for it in list_.rows)),
        accounts=accounts,
        groups=list(GROUPS),
        shortcuts=_shortcuts(asked),
        narrowed=asked.narrowed,
        path=asked.here(PATH),
        export=asked.address(f"{PATH}.csv"),
    )


async def all_that_match(visit: Visit) -> Sequence[str]:
    """What the list's form has beside the boxes says what was looked for."""
    accounts = await merchant_accounts(visit.context.deps, visit.caller)
    asked, wanted = await read_filter(replace(visit, parameters=visit.form), accounts)
    asked.require_readable()
    return await matching_agreements(visit.context.deps, visit.caller, wanted, MOST_CHOSEN)


async def read_filter(visit: Visit, accounts: Sequence[Account]) -> tuple[Asked, AgreementFilter]:
    """Days are those of the merchant's own clock; both count."""
    asked, zone = Asked(visit.parameters, NAMES, visit.search), zone_of(accounts)
    group = asked.read("status", GROUPS.__getitem__) or Group()
    until = asked.read("to", date.fromisoformat)
    wanted = AgreementFilter(
        statuses=group.statuses,
        renewed=group.renewed,
        unless=group.unless,
        account=asked.read("account", an_account_of(accounts)),
        created_from=_midnight(asked.read("from", date.fromisoformat), zone),
        created_to=_midnight(until + timedelta(days=1) if until and until < date.max else None, zone),
    )
    return asked, replace(wanted, sought=await read_search(visit, asked))


def _midnight(day: date | None, zone: ZoneInfo) -> datetime | None:
    """In UTC; None too for the first and the last year of the calendar, which no agreement is of."""
    if day is None or not date.min.year < day.year < date.max.year:
        return None
    return datetime.combine(day, time(), zone).astimezone(UTC)


def place_of(line: AgreementLine) -> tuple[date, str]:
    return line.agreement.created_at, line.agreement.id


def _shortcuts(asked: Asked) -> Sequence[Shortcut]:
    names = {"all": "", "active": "active", "held": "held", "paused": "paused", "ending": "ending"}
    return shortcuts(asked, PATH, {name: {"status": group} if group else {} for name, group in names.items()})
