"""A subscription and its renewals as the API shows them."""

import base64
from collections.abc import Sequence
from datetime import date, datetime

import strawberry

from app.domain import renewal as renewals
from app.domain import subscription as subscriptions
from app.domain.errors import InvalidInput
from app.domain.money import Currency
from app.domain.money import Money as DomainMoney
from app.domain.renewal import RenewalReason, RenewalStatus
from app.domain.subscription import SubscriptionStatus, VoucherPolicy
from app.gql.charge_types import Charge, Money
from app.gql.context import Info, refusals
from app.usecases import forecast
from app.usecases.unpaid import FAILURES

MAX_PAGE = 100


@strawberry.type
class SubscriptionLine:
    variant_id: strawberry.ID
    name: str
    quantity: int
    unit_price: Money | None = strawberry.field(description="Null where the catalogue says what it costs.")

    @classmethod
    def of(cls, it: subscriptions.SubscriptionLine, currency: Currency) -> "SubscriptionLine":
        price = None if it.unit_price is None else Money.of(DomainMoney(it.unit_price, currency))
        return cls(variant_id=strawberry.ID(it.variant), name=it.name, quantity=it.quantity, unit_price=price)


@strawberry.type
class VariantPrice:
    variant_id: strawberry.ID
    price: Money


@strawberry.type(description="A new price that the customer was told of, for renewals that are due on `on` or later.")
class PriceChange:
    on: date
    price: Money
    unit_prices: list[VariantPrice]
    told: datetime

    @classmethod
    def of(cls, it: subscriptions.PriceChange) -> "PriceChange":
        prices = [
            VariantPrice(variant_id=strawberry.ID(variant), price=Money.of(DomainMoney(minor, it.price.currency)))
            for variant, minor in it.unit_prices.items()
        ]
        return cls(on=it.on, price=Money.of(it.price), unit_prices=prices, told=it.told_at)


@strawberry.type(description="One period of a subscription: its order and charge, or why there is none.")
class Renewal:
    id: strawberry.ID
    agreement_id: strawberry.ID
    period: int = strawberry.field(description="1 is the first renewal; 0 was the order that it began with.")
    due: date
    status: RenewalStatus
    reason: RenewalReason | None
    reason_text: str | None
    order_id: strawberry.ID | None = strawberry.field(description="Saleor's id of its order.")
    order_number: str | None
    amount: Money | None
    charge_row: strawberry.Private[str | None]

    @strawberry.field(
        description="A link by which its customer pays it with a new agreement; null where its charge has not failed."
    )
    def pay_url(self, info: Info) -> str | None:
        unpaid = self.status in {RenewalStatus.WAITING, RenewalStatus.FAILED} and self.reason in FAILURES
        return info.context.deps.pay_url(self.id) if unpaid else None

    @strawberry.field(description="As we know it; `charge(agreementId, chargeId)` asks Vipps.")
    async def charge(self, info: Info) -> Charge | None:
        if self.charge_row is None:
            return None
        async with refusals():
            found = await info.context.loaders.charges.load(self.charge_row)
        return Charge.of(found) if found else None

    @classmethod
    def of(cls, it: renewals.Renewal) -> "Renewal":
        return cls(
            id=strawberry.ID(it.id),
            agreement_id=strawberry.ID(it.agreement_id),
            period=it.period,
            due=it.due,
            status=it.status,
            reason=it.reason,
            reason_text=it.reason_text,
            order_id=strawberry.ID(it.order) if it.order else None,
            order_number=it.order_number,
            amount=Money.of(it.amount) if it.amount else None,
            charge_row=it.charge_row,
        )


@strawberry.type(description="What is renewed on an agreement, and when.")
class AgreementSubscription:
    row_id: strawberry.Private[str]
    status: SubscriptionStatus
    reason: str | None = strawberry.field(description="Why it is on hold, or why it ended.")
    next_due: date = strawberry.field(description="When the next period is due that is not a renewal yet.")
    paused_until: date | None
    ends_on: date | None
    lines: list[SubscriptionLine]
    price_change: PriceChange | None
    channel: str
    initial_order_id: strawberry.ID
    shipping_method_id: strawberry.ID | None
    voucher_policy: VoucherPolicy
    created: datetime

    @strawberry.field(description="Its periods, the newest first. `first` is at most 100.")
    async def renewals(self, info: Info, first: int = 12) -> list[Renewal]:
        async with refusals():
            if not 1 <= first <= MAX_PAGE:
                raise InvalidInput(f"a page has 1 to {MAX_PAGE} renewals", field="first")
            rows = await info.context.loaders.renewals.load((self.row_id, first))
        return [Renewal.of(it) for it in rows]

    @classmethod
    def of(cls, it: subscriptions.Subscription) -> "AgreementSubscription":
        return cls(
            row_id=it.id,
            status=it.status,
            reason=it.reason,
            next_due=it.next_due,
            paused_until=it.paused_until,
            ends_on=it.ends_on,
            lines=[SubscriptionLine.of(line, it.currency) for line in it.lines],
            price_change=PriceChange.of(it.price_change) if it.price_change else None,
            channel=it.channel,
            initial_order_id=strawberry.ID(it.initial_order),
            shipping_method_id=strawberry.ID(it.shipping_method) if it.shipping_method else None,
            voucher_policy=it.voucher_policy,
            created=it.created_at,
        )


@strawberry.type
class RenewalEdge:
    node: Renewal
    cursor: str


def renewal_edges(rows: Sequence[renewals.Renewal]) -> list[RenewalEdge]:
    return [RenewalEdge(node=Renewal.of(it), cursor=_cursor(it)) for it in rows]


def _cursor(it: renewals.Renewal) -> str:
    return base64.urlsafe_b64encode(f"{it.due.isoformat()}|{it.id}".encode()).decode()


@strawberry.type
class ForecastDay:
    date: date
    count: int
    total: Money


@strawberry.type(description="What will be renewed in one currency, if everything stays as it is.")
class RenewalForecast:
    total: Money
    count: int
    by_day: list[ForecastDay]
    currency: str
    currencies: list[str] = strawberry.field(description="All in which something will be renewed.")

    @classmethod
    def of(cls, it: forecast.Forecast) -> "RenewalForecast":
        days = [ForecastDay(date=day.date, count=day.count, total=Money.of(day.total)) for day in it.days]
        return cls(
            total=Money.of(it.total),
            count=it.count,
            by_day=days,
            currency=it.currency.value,
            currencies=[currency.value for currency in it.currencies],
        )
