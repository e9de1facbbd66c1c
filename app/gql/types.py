"""Output types: what the domain knows, in Saleor's habits of naming."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import strawberry

from app.domain import agreement as agreements
from app.domain import charge as charges
from app.domain.account import ApiVersion, Environment
from app.domain.agreement import AgreementStatus, Pricing
from app.domain.batch import BatchResult, ItemResult
from app.domain.errors import ErrorCode, RecurringError
from app.domain.plan import IntervalUnit
from app.domain.records import DeadLetter, Failing, FindingKind
from app.domain.records import Finding as FindingRow
from app.gql.charge_types import Charge, Money
from app.gql.context import Info
from app.gql.naming import camel
from app.gql.subscription_types import AgreementSubscription, RenewalEdge
from app.usecases.charges import AgreementCharges
from app.usecases.explaining import Explanation
from app.usecases.manage_links import manage_url
from app.usecases.subscriptions import Subscribed


@strawberry.type(description="How often: every `count` units.")
class Interval:
    unit: IntervalUnit
    count: int


@strawberry.type(description="A reduced price until its end. It charges nothing by itself.")
class Campaign:
    price: Money
    start: datetime | None
    end: datetime


@strawberry.type(description="A customer's consent to be charged. `id` is Vipps' agreement id.")
class Agreement:
    id: strawberry.ID
    status: AgreementStatus
    product_name: str
    product_description: str
    price: Money
    pricing: Pricing
    interval: Interval
    campaign: Campaign | None
    max_amount: Money | None = strawberry.field(description="What the customer allows at most, for variable prices.")
    customer_id: strawberry.ID | None = strawberry.field(description="Saleor's id of the customer it belongs to.")
    initial_order_id: strawberry.ID | None
    confirmation_url: str | None = strawberry.field(description="Where the customer approves it; open it unchanged.")
    environment: str
    created: datetime
    start: datetime | None
    stop: datetime | None
    stopped_by: str | None = strawberry.field(description="MERCHANT, USER or ADMIN, where Vipps has told.")
    row_id: strawberry.Private[str]
    link_number: strawberry.Private[int]

    @strawberry.field(
        description="A link by which its customer sees and changes it without signing in; null for whoever may not."
    )
    def manage_url(self, info: Info) -> str | None:
        return manage_url(info.context.deps, info.context.caller(), self.row_id, self.link_number)

    @strawberry.field(description="What is renewed on it; null where it did not begin with an order in Saleor.")
    async def subscription(self, info: Info) -> AgreementSubscription | None:
        found = await info.context.loaders.subscriptions.load(self.id)
        return AgreementSubscription.of(found) if found else None

    @classmethod
    def of(cls, it: agreements.Agreement) -> "Agreement":
        campaign = it.campaign
        return cls(
            id=strawberry.ID(it.agreement_id or it.id),
            status=it.status,
            product_name=it.product_name,
            product_description=it.product_description,
            price=Money.of(it.price),
            pricing=it.pricing,
            interval=Interval(unit=it.plan.unit, count=it.plan.count),
            campaign=Campaign(price=Money.of(campaign.price), start=campaign.start, end=campaign.end)
            if campaign
            else None,
            max_amount=Money.of(it.max_amount) if it.max_amount else None,
            customer_id=strawberry.ID(it.customer) if it.customer else None,
            initial_order_id=strawberry.ID(it.initial_order) if it.initial_order else None,
            confirmation_url=it.confirmation_url if it.status is agreements.AgreementStatus.PENDING else None,
            environment=it.environment,
            created=it.created_at,
            start=it.start,
            stop=it.stop,
            stopped_by=it.stopped_by,
            row_id=it.id,
            link_number=it.link_number,
        )


@strawberry.type(name="RecurringError", description="Why a mutation was not done: which field, and what to do.")
class MutationError:
    field: str | None
    code: ErrorCode
    message: str

    @classmethod
    def of(cls, error: RecurringError, own_name: Mapping[str, str] | None = None) -> "MutationError":
        """`own_name` maps the use case's field to the mutation's argument, where the two differ."""
        field = error.field and camel(error.field)
        return cls(field=(own_name or {}).get(field or "", field), code=error.code, message=error.message)


@strawberry.type(description="Why one item of a batch was not done.")
class BatchError:
    index: int
    id: strawberry.ID | None
    field: str | None
    code: ErrorCode
    message: str

    @classmethod
    def of(cls, item: ItemResult[Any], error: RecurringError) -> "BatchError":
        return cls(
            index=item.index,
            id=strawberry.ID(item.id) if item.id else None,
            field=error.field and camel(error.field),
            code=error.code,
            message=error.message,
        )


@strawberry.type(
    name="ItemResult", description="The answer to one item of a batch: what became of it, or why nothing did."
)
class ItemResultType:
    index: int
    id: strawberry.ID
    success: bool
    agreement: Agreement | None
    charge: Charge | None
    charges: list[Charge] | None
    error: BatchError | None

    @classmethod
    def of(cls, item: ItemResult[Any]) -> "ItemResultType":
        value = item.value
        return cls(
            index=item.index,
            id=strawberry.ID(success_id(item)),
            success=item.error is None,
            agreement=_agreement_of(value),
            charge=Charge.of(value) if isinstance(value, charges.Charge) else None,
            charges=_charges_of(value) if isinstance(value, AgreementCharges) else None,
            error=BatchError.of(item, item.error) if item.error else None,
        )


def _agreement_of(value: object) -> Agreement | None:
    row = value.agreement if isinstance(value, Subscribed) else value
    return Agreement.of(row) if isinstance(row, agreements.Agreement) else None


def _charges_of(found: AgreementCharges) -> list[Charge]:
    return [Charge.of(found.rows[it.charge_id]) for it in found.seen] + [Charge.of(it) for it in found.waiting]


def success_id(item: ItemResult[Any]) -> str:
    """A charge that was made is named by its own id, everything else as the caller named it."""
    value = item.value
    return value.charge_id or value.order_id if isinstance(value, charges.Charge) else item.id


@strawberry.interface(description="A batch: every item has its answer in `results`, in order.")
class Batch:
    successes: list[strawberry.ID]
    errors: list[BatchError]
    results: list[ItemResultType]


def batch_fields(result: BatchResult[Any]) -> dict[str, Any]:
    return {
        "successes": [strawberry.ID(success_id(item)) for item in result.successes],
        "errors": [BatchError.of(item, item.error) for item in result.errors if item.error],
        "results": [ItemResultType.of(item) for item in result.items],
    }


@strawberry.type
class ChargesByAgreement(Batch):
    """Results hold each agreement's charges as Vipps shows them now."""


@strawberry.type
class AgreementCancel(Batch): ...


@strawberry.type
class AgreementPause(Batch): ...


@strawberry.type
class AgreementResume(Batch): ...


@strawberry.type
class AgreementSkip(Batch): ...


@strawberry.type
class AgreementLinkRevoke(Batch): ...


@strawberry.type
class AgreementMove:
    agreement: Agreement | None
    errors: list[MutationError]


@strawberry.type
class ChargeMake(Batch): ...


@strawberry.type
class ChargeCancel(Batch): ...


@strawberry.type
class ChargeRefund(Batch): ...


@strawberry.type
class ChargeCapture(Batch): ...


@strawberry.type
class AgreementCreate:
    agreement: Agreement | None
    confirmation_url: str | None = strawberry.field(
        description="Send the customer here, unchanged and not in a frame; it lives for ten minutes."
    )
    errors: list[MutationError]


@strawberry.type
class AgreementUpdate:
    agreement: Agreement | None
    errors: list[MutationError]


@strawberry.type(description="Whether the merchant account's credentials work now. The token itself is never shown.")
class AuthTest:
    ok: bool
    expires_at: datetime | None
    token_preview: str | None
    environment: Environment | None
    api_version: ApiVersion | None
    error: MutationError | None


@strawberry.type
class PageInfo:
    has_next_page: bool
    has_previous_page: bool
    start_cursor: str | None
    end_cursor: str | None


@strawberry.type
class RenewalConnection:
    edges: list[RenewalEdge]
    page_info: PageInfo
    total_count: int


@strawberry.type
class AgreementEdge:
    node: Agreement
    cursor: str


@strawberry.type
class AgreementConnection:
    edges: list[AgreementEdge]
    page_info: PageInfo
    total_count: int


def edges_of(rows: Sequence[agreements.Agreement], cursor: Any) -> list[AgreementEdge]:
    return [AgreementEdge(node=Agreement.of(row), cursor=cursor(row)) for row in rows]


@strawberry.type(description="One moment in the story of a charge. `who` is a kind and an id, never a name.")
class Moment:
    at: datetime
    what: str
    who: str
    text: str
    context_id: str | None = strawberry.field(description="Vipps' id of the call, to quote to their support.")


@strawberry.type(description="Everything known about a charge, in the order in which it happened.")
class ChargeExplanation:
    charge: Charge
    agreement: Agreement | None
    moments: list[Moment]

    @classmethod
    def of(cls, it: Explanation) -> "ChargeExplanation":
        return cls(
            charge=Charge.of(it.charge),
            agreement=Agreement.of(it.agreement) if it.agreement else None,
            moments=[Moment(at=m.at, what=m.what, who=m.who, text=m.text, context_id=m.context_id) for m in it.moments],
        )


@strawberry.type(description="Work that was given up with a reason and waits for a person: retry it with failureRetry.")
class Failure:
    id: strawberry.ID
    kind: Failing
    what: str = strawberry.field(description="The operation or event.")
    object_id: str = strawberry.field(description="The charge's order id, or the agreement or charge it was about.")
    reason: str
    attempts: int
    created: datetime

    @classmethod
    def of(cls, it: DeadLetter) -> "Failure":
        return cls(
            id=strawberry.ID(it.id),
            kind=it.kind,
            what=it.what,
            object_id=it.object_id,
            reason=it.reason,
            attempts=it.attempts,
            created=it.created_at,
        )


@strawberry.type
class ChargeRetry(Batch):
    """Each failed charge whose period is charged again."""


@strawberry.type
class FailureRetry(Batch):
    """Each id that is tried again, with the keys it had."""


@strawberry.type(description="A difference between our books and Vipps' as the last reconciliation found it.")
class Finding:
    kind: FindingKind
    agreement_id: strawberry.ID
    charge_id: strawberry.ID | None
    ours: str
    theirs: str
    repaired: bool = strawberry.field(description="Whether our row followed Vipps' forward.")
    found: datetime

    @classmethod
    def of(cls, it: FindingRow) -> "Finding":
        return cls(
            kind=FindingKind(it.kind),
            agreement_id=strawberry.ID(it.agreement_id),
            charge_id=strawberry.ID(it.charge_id) if it.charge_id else None,
            ours=it.ours,
            theirs=it.theirs,
            repaired=it.repaired,
            found=it.found_at,
        )
