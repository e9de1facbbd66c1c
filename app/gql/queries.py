"""The queries: test auth, agreements, charges, renewals."""

import base64
import re
from datetime import UTC, date, datetime
from typing import Annotated

import strawberry

from app.domain.account import CallerKind
from app.domain.agreement import Agreement as AgreementRow
from app.domain.errors import Forbidden, InvalidInput, Misconfigured, NotFound, Unavailable
from app.domain.money import currency_of
from app.domain.records import AgreementFilter, Page
from app.domain.renewal import RenewalFilter
from app.gql.charge_types import Charge
from app.gql.context import Info, refusals
from app.gql.inputs import AgreementFilterInput, AgreementSortInput, OrderDirection, RenewalFilterInput
from app.gql.subscription_types import MAX_PAGE, RenewalForecast, renewal_edges
from app.gql.types import (
    Agreement,
    AgreementConnection,
    AuthTest,
    ChargeExplanation,
    ChargesByAgreement,
    Failure,
    Finding,
    MutationError,
    PageInfo,
    RenewalConnection,
    batch_fields,
    edges_of,
)
from app.usecases import accounts
from app.usecases.agreements import get_agreement, list_agreements
from app.usecases.charges import get_charge, get_charges
from app.usecases.explaining import explain_charge
from app.usecases.failures import list_failures, list_findings
from app.usecases.forecast import forecast, list_renewals

_ROW_ID = re.compile(r"[0-9a-f-]{1,36}")


@strawberry.type
class Query:
    @strawberry.field(description="Whether the channel's merchant account can sign in at Vipps now.")
    async def auth_test(self, info: Info, channel: str | None = None) -> AuthTest:
        context = info.context
        async with refusals():
            caller = context.caller()
            if caller.kind is CallerKind.CUSTOMER:
                raise Forbidden("only staff and API clients may test the credentials")
            try:
                result = await accounts.test_auth(context.deps, caller, channel)
            except (Misconfigured, Unavailable) as error:
                return AuthTest(
                    ok=False,
                    expires_at=None,
                    token_preview=None,
                    environment=None,
                    api_version=None,
                    error=MutationError.of(error),
                )
        return AuthTest(
            ok=True,
            expires_at=result.token.expires_at,
            token_preview=f"{len(result.token.value)} characters",
            environment=result.account.environment,
            api_version=result.account.api_version,
            error=None,
        )

    @strawberry.field(description="One agreement, read from Vipps now; null where there is none of yours.")
    async def agreement(self, info: Info, id: strawberry.ID) -> Agreement | None:  # noqa: A002
        async with refusals():
            try:
                row, _ = await get_agreement(info.context.deps, info.context.caller(), id)
            except NotFound:
                return None
        return Agreement.of(row)

    @strawberry.field(description="Agreements as we know them, newest first. `first` or `last` is at most 100.")
    async def agreements(
        self,
        info: Info,
        first: int | None = None,
        after: str | None = None,
        last: int | None = None,
        before: str | None = None,
        filter: AgreementFilterInput | None = None,  # noqa: A002
        sort: AgreementSortInput | None = None,
    ) -> AgreementConnection:
        async with refusals():
            wanted = filter.wanted() if filter else AgreementFilter()
            _aware(wanted)
            page = _page(first, after, last, before, sort)
            # One row more than asked for tells whether there is another page.
            more = Page(page.size + 1, page.cursor, page.backwards, page.newest_first)
            rows, total = await list_agreements(info.context.deps, info.context.caller(), wanted, more)
        beyond = len(rows) > page.size
        rows = (rows[1:] if page.backwards else rows[: page.size]) if beyond else rows
        edges = edges_of(rows, _cursor)
        came_from = page.cursor is not None
        return AgreementConnection(
            edges=edges,
            total_count=total,
            page_info=PageInfo(
                has_next_page=came_from if page.backwards else beyond,
                has_previous_page=beyond if page.backwards else came_from,
                start_cursor=edges[0].cursor if edges else None,
                end_cursor=edges[-1].cursor if edges else None,
            ),
        )

    @strawberry.field(description="The charges of each agreement, read from Vipps now.")
    async def charges(self, info: Info, agreement_ids: list[strawberry.ID]) -> ChargesByAgreement:
        async with refusals():
            ids = [str(it) for it in agreement_ids]
            return ChargesByAgreement(**batch_fields(await get_charges(info.context.deps, info.context.caller(), ids)))

    @strawberry.field(description="One charge, read from Vipps now; null where there is none of yours.")
    async def charge(self, info: Info, agreement_id: strawberry.ID, charge_id: strawberry.ID) -> Charge | None:
        async with refusals():
            try:
                row = await get_charge(info.context.deps, info.context.caller(), agreement_id, charge_id)
            except NotFound:
                return None
        return Charge.of(row)

    @strawberry.field(description="Why and how was this charged? By charge id, order id or Saleor's order id.")
    async def charge_explain(self, info: Info, id: strawberry.ID) -> ChargeExplanation | None:  # noqa: A002
        async with refusals():
            try:
                return ChargeExplanation.of(await explain_charge(info.context.deps, info.context.caller(), id))
            except NotFound:
                return None

    @strawberry.field(description="What was given up and waits for a person, oldest first; for staff.")
    async def failures(self, info: Info) -> list[Failure]:
        async with refusals():
            return [Failure.of(it) for it in await list_failures(info.context.deps, info.context.caller())]

    @strawberry.field(description="Where our books and Vipps' differed when last compared; for staff.")
    async def findings(self, info: Info) -> list[Finding]:
        async with refusals():
            return [Finding.of(it) for it in await list_findings(info.context.deps, info.context.caller())]

    @strawberry.field(
        description="What will be renewed on each day, as the schedules say: up to 400 days, for staff and API clients."
    )
    async def renewal_forecast(
        self,
        info: Info,
        from_: Annotated[date, strawberry.argument(name="from")],
        to: date,
        currency: Annotated[
            str | None, strawberry.argument(description="The one in which most is renewed, if left out.")
        ] = None,
    ) -> RenewalForecast:
        async with refusals():
            wanted = currency_of(currency) if currency else None
            found = await forecast(info.context.deps, info.context.caller(), from_, to, wanted)
        return RenewalForecast.of(found)

    @strawberry.field(
        description="Periods of all subscriptions, the latest due first; for staff and API clients. "
        "`first` is at most 100."
    )
    async def renewals(
        self,
        info: Info,
        first: int = 20,
        after: str | None = None,
        filter: RenewalFilterInput | None = None,  # noqa: A002
    ) -> RenewalConnection:
        async with refusals():
            if not 1 <= first <= MAX_PAGE:
                raise InvalidInput(f"a page has 1 to {MAX_PAGE} renewals", field="first")
            wanted = filter.wanted() if filter else RenewalFilter()
            place = _read_place(after) if after else None
            rows, total = await list_renewals(info.context.deps, info.context.caller(), wanted, place, first + 1)
        edges = renewal_edges(rows[:first])
        return RenewalConnection(
            edges=edges,
            total_count=total,
            page_info=PageInfo(
                has_next_page=len(rows) > first,
                has_previous_page=place is not None,
                start_cursor=edges[0].cursor if edges else None,
                end_cursor=edges[-1].cursor if edges else None,
            ),
        )


def _read_place(cursor: str) -> tuple[date, str]:
    """A renewal's due day and id."""
    try:
        day, _, row_id = base64.urlsafe_b64decode(cursor.encode()).decode().partition("|")
        read = date.fromisoformat(day)
    except ValueError:
        read = None
    if read is None or not _ROW_ID.fullmatch(row_id):
        raise InvalidInput("the cursor cannot be read; take one from pageInfo or an edge", field="after")
    return read, row_id


def _aware(wanted: AgreementFilter) -> None:
    for name, moment in (("createdFrom", wanted.created_from), ("createdTo", wanted.created_to)):
        if moment is not None and _utc(moment) is None:
            raise InvalidInput(f"{name} needs a time zone, for example 2026-01-31T00:00:00Z", field=name)


def _utc(moment: datetime) -> datetime | None:
    """The same moment in UTC; None where it has no zone or lies beyond the calendar."""
    try:
        return moment.astimezone(UTC) if moment.tzinfo else None
    except OverflowError:
        return None


def _page(
    first: int | None, after: str | None, last: int | None, before: str | None, sort: AgreementSortInput | None
) -> Page:
    if first is not None and last is not None:
        raise InvalidInput("give first or last, not both", field="first")
    backwards = last is not None
    size = last if last is not None else 20 if first is None else first
    if not 1 <= size <= MAX_PAGE:
        raise InvalidInput(f"a page has 1 to {MAX_PAGE} agreements", field="last" if backwards else "first")
    cursor = before if backwards else after
    newest_first = sort is None or sort.direction is OrderDirection.DESC
    place = _read_cursor(cursor, "before" if backwards else "after") if cursor else None
    return Page(size, place, backwards, newest_first)


def _cursor(row: AgreementRow) -> str:
    return base64.urlsafe_b64encode(f"{row.created_at.isoformat()}|{row.id}".encode()).decode()


def _read_cursor(cursor: str, field: str) -> tuple[datetime, str]:
    try:
        moment, _, row_id = base64.urlsafe_b64decode(cursor.encode()).decode().partition("|")
        read = _utc(datetime.fromisoformat(moment))
    except ValueError:
        read = None
    if read is None or not _ROW_ID.fullmatch(row_id):
        raise InvalidInput("the cursor cannot be read; take one from pageInfo or an edge", field=field)
    return read, row_id
