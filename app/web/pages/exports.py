"""Lists as files for spreadsheets: what is filtered, read page by page and sent as it is read."""

import csv
import io
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import TypeVar

from fastapi.responses import Response, StreamingResponse

from app.domain.account import Scope
from app.domain.figures import MONEY_SUMS, SUMS, Sums
from app.domain.money import Money
from app.domain.records import AuditEntry, Page
from app.usecases.audits import look_through_audit
from app.usecases.clients import shop_clients
from app.usecases.failures import list_failures
from app.usecases.looking import (
    AgreementLine,
    ChargeLine,
    RenewalLine,
    look_through_agreements,
    look_through_charges,
    look_through_renewals,
    merchant_accounts,
)
from app.web.pages import agreements, audit, charges, renewals
from app.web.pages import overview as overview_page
from app.web.pages.lists import OLDEST_FIRST
from app.web.pages.rendering import security_headers
from app.web.pages.visits import Fragments, Visit

T = TypeVar("T")
_PAGE = 500  # rows held at a time, however many there are
_FORMULAS = ("=", "+", "-", "@", "\t", "\r")

CHARGES = (
    *("due", "amount", "currency", "status", "captured", "refunded", "product", "agreement", "charge", "customer"),
    *("order", "order_number", "period", "failure", "created"),
)
AGREEMENTS = (
    *("created", "agreement", "product", "price", "currency", "interval", "status", "subscription", "next_due"),
    *("customer", "first_order", "approved", "stopped"),
)

RENEWALS = (
    *("due", "agreement", "product", "period", "status", "reason", "detail", "amount", "currency", "order"),
    *("order_number", "attempts", "planned"),
)
AUDIT = ("at", "who", "what", "object", "before", "after", "reason")
CAME = ("from", "currency", *SUMS)
COMING = ("day", "currency", "payments", "amount")
FAILURES = ("created", "kind", "what", "object", "reason", "attempts")
CLIENTS = ("id", "name", "scopes", "made", "used", "revoked")


def add_to(fragments: Fragments) -> None:
    fragments.get("/charges.csv", _charges, Scope.CHARGES_READ)
    fragments.get("/runs/renewals.csv", _renewals, Scope.CHARGES_READ)
    fragments.get("/agreements.csv", _agreements)
    fragments.get("/audit.csv", _audit, Scope.CHARGES_READ)
    fragments.get("/overview.csv", _came)
    fragments.get("/overview/due.csv", _coming)
    fragments.get("/failures.csv", _failures, Scope.CHARGES_READ)
    fragments.get("/clients.csv", _clients)


async def _charges(visit: Visit) -> Response:
    deps, caller = visit.context.deps, visit.caller
    asked, wanted = await charges.read_filter(visit, await merchant_accounts(deps, caller))

    async def page(at: Page) -> Sequence[ChargeLine]:
        return await look_through_charges(deps, caller, wanted, at)

    first = Page(_PAGE, newest_first=asked.values["sort"] != OLDEST_FIRST)
    return _file(CHARGES, page, first, charges.place_of, _charge)


async def _agreements(visit: Visit) -> Response:
    deps, caller = visit.context.deps, visit.caller
    asked, wanted = await agreements.read_filter(visit, await merchant_accounts(deps, caller))

    async def page(at: Page) -> Sequence[AgreementLine]:
        return await look_through_agreements(deps, caller, wanted, at)

    first = Page(_PAGE, newest_first=asked.values["sort"] != OLDEST_FIRST)
    return _file(AGREEMENTS, page, first, agreements.place_of, _agreement)


async def _renewals(visit: Visit) -> Response:
    asked, wanted = renewals.read_filter(visit)

    async def page(at: Page) -> Sequence[RenewalLine]:
        if asked.wrong:
            return []
        return await look_through_renewals(visit.context.deps, visit.caller, wanted, at)

    first = Page(_PAGE, newest_first=asked.values["sort"] != OLDEST_FIRST)
    return _file(RENEWALS, page, first, renewals.place_of, _renewal)


async def _audit(visit: Visit) -> Response:
    asked, wanted = audit.read_filter(visit)

    async def pieces() -> AsyncIterator[bytes]:
        before: int | None = None
        while not asked.wrong:
            page = await look_through_audit(visit.context.deps, visit.caller, wanted, before, _PAGE)
            yield _lines([_entry(it) for it in page.entries])
            before = page.older
            if before is None:
                break

    return _sent(AUDIT, pieces())


async def _came(visit: Visit) -> Response:
    """What came, failed and went back in the period that is looked at: each day of it, or each month of a year."""
    found = await overview_page.read(visit)
    rows = [
        (it.day, it.currency, *(_sum_or_count(name, it) for name in SUMS))
        for figures in found.figures
        for it in figures.sums
        if it.day <= found.period.last
    ]
    return _whole(CAME, rows)


def _sum_or_count(name: str, sums: Sums) -> object:
    value = getattr(sums, name)
    return Money(value, sums.currency).to_decimal() if name in MONEY_SUMS else value


async def _coming(visit: Visit) -> Response:
    found = await overview_page.read(visit)
    rows = [
        (it.date, figures.currency, it.count, it.total.to_decimal()) for figures in found.figures for it in figures.due
    ]
    return _whole(COMING, rows)


async def _failures(visit: Visit) -> Response:
    letters = await list_failures(visit.context.deps, visit.caller)
    rows = [(it.created_at.isoformat(), it.kind, it.what, it.object_id, it.reason, it.attempts) for it in letters]
    return _whole(FAILURES, rows)


async def _clients(visit: Visit) -> Response:
    def at(moment: datetime | None) -> str | None:
        return moment.isoformat() if moment else None

    found = await shop_clients(visit.context.deps, visit.caller)
    rows = [
        (it.id, it.name, " ".join(sorted(it.scopes)), at(it.created_at), at(it.used_at), at(it.revoked_at))
        for it in found
    ]
    return _whole(CLIENTS, rows)


def _whole(heading: Sequence[str], rows: Sequence[Sequence[object]]) -> Response:
    """What fits on a page is read at once."""

    async def pieces() -> AsyncIterator[bytes]:
        yield _lines(rows)

    return _sent(heading, pieces())


def _file(
    heading: Sequence[str],
    read: Callable[[Page], Awaitable[Sequence[T]]],
    first: Page,
    place_of: Callable[[T], tuple[date, str]],
    cells: Callable[[T], Sequence[object]],
) -> Response:
    """One page is in memory at a time; each is a transaction of its own, so that a slow reader holds none open."""

    async def pieces() -> AsyncIterator[bytes]:
        page: Page | None = first
        while page is not None:
            rows = await read(page)
            yield _lines([cells(row) for row in rows])
            page = replace(page, cursor=place_of(rows[-1])) if len(rows) == page.size else None

    return _sent(heading, pieces())


def _sent(heading: Sequence[str], pieces: AsyncIterator[bytes]) -> Response:
    async def file() -> AsyncIterator[bytes]:
        yield "\N{ZERO WIDTH NO-BREAK SPACE}".encode() + _lines([heading])  # by which spreadsheets know it is UTF-8
        async for piece in pieces:
            yield piece

    return StreamingResponse(file(), media_type="text/csv; charset=utf-8", headers=security_headers())


def _lines(rows: Sequence[Sequence[object]]) -> bytes:
    written = io.StringIO()
    csv.writer(written).writerows([[_cell(value) for value in row] for row in rows])
    return written.getvalue().encode()


def _cell(value: object) -> str:
    """A text that a spreadsheet would take for a formula is marked as a text."""
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(_FORMULAS) else text


def _sum(minor: int, like: Money) -> str:
    return str(Money(minor, like.currency).to_decimal())


def _charge(line: ChargeLine) -> Sequence[object]:
    it, agreement, renewal = line.charge, line.agreement, line.renewal
    return (
        it.due,
        it.amount.to_decimal(),
        it.amount.currency,
        it.status,
        _sum(it.captured, it.amount),
        _sum(it.refunded, it.amount),
        agreement.product_name if agreement else it.description,
        it.agreement_id,
        it.charge_id or it.order_id,
        agreement.customer if agreement else None,
        it.saleor_order,
        renewal.order_number if renewal else None,
        renewal.period if renewal else None,
        it.failure_code,
        it.created_at.isoformat(),
    )


def _agreement(line: AgreementLine) -> Sequence[object]:
    it, subscription = line.agreement, line.subscription
    return (
        it.created_at.isoformat(),
        it.agreement_id,
        it.product_name,
        it.price.to_decimal(),
        it.price.currency,
        it.plan,
        it.status,
        subscription.status if subscription else None,
        subscription.next_due if subscription else None,
        it.customer,
        subscription.initial_order if subscription else it.initial_order,
        it.start.isoformat() if it.start else None,
        it.stop.isoformat() if it.stop else None,
    )


def _entry(it: AuditEntry) -> Sequence[object]:
    return it.at.isoformat(), it.actor, it.action, it.object_id, it.before, it.after, it.reason


def _renewal(line: RenewalLine) -> Sequence[object]:
    it, agreement = line.renewal, line.agreement
    return (
        it.due,
        it.agreement_id,
        agreement.product_name if agreement else None,
        it.period,
        it.status,
        it.reason,
        it.reason_text,
        it.amount.to_decimal() if it.amount else None,
        it.amount.currency if it.amount else None,
        it.order,
        it.order_number,
        it.attempt,
        it.created_at.isoformat(),
    )
