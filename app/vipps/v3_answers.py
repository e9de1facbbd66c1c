"""What v3 answers, and how it is understood (facts: VIPPS 5.2, 6.5, 6.6).

What Vipps may come to say that nobody has heard of yet has a reading here that asks nobody for too much money; each
stands where it is made.
"""

from datetime import UTC, datetime

from pydantic import TypeAdapter

from app.domain.agreement import Campaign, Pricing
from app.domain.charge import SeenCharge
from app.domain.errors import InvalidInput
from app.domain.money import Money, currency_of
from app.domain.plan import IntervalUnit, Plan
from app.domain.provider import SeenAgreement
from app.vipps.wire import PER_USE, Instant, Wire, agreement_status, charge_status, collected, money, short

# The kinds that are a price until a day, as the domain knows campaigns. The others are shown as none: a campaign
# charges nothing by itself.
_CAMPAIGNS = {"PRICE_CAMPAIGN", "LEGACY_CAMPAIGN"}


class _Period(Wire):
    unit: str | None = None
    count: int | None = None


class _Interval(_Period):
    """As it is documented in answers, or nested as in a PATCH."""

    period: _Period | None = None

    def plan(self) -> Plan:
        period = self.period or self
        try:
            return Plan(IntervalUnit(period.unit or ""), 1 if period.count is None else period.count)
        except (ValueError, InvalidInput):
            return PER_USE


class _Pricing(Wire):
    type: str | None = None
    currency: str
    amount: int | None = None
    suggested_max_amount: int | None = None
    max_amount: int | None = None

    def kind(self) -> Pricing:
        """A kind that is not known yet has no limit that we could reckon: Vipps' own answer is the limit."""
        try:
            return Pricing(self.type or Pricing.LEGACY)
        except ValueError:
            return Pricing.FLEXIBLE


class _Campaign(Wire):
    type: str | None = None
    price: int | None = None
    end: Instant | None = None

    def seen(self, currency: str) -> Campaign | None:
        if self.type not in _CAMPAIGNS or self.price is None or self.end is None:
            return None
        return Campaign(Money(self.price, currency_of(currency)), self.end)


class Agreement(Wire):
    id: str
    status: str = ""
    product_name: str = ""
    product_description: str | None = None
    pricing: _Pricing
    interval: _Interval | None = None
    created: Instant | None = None
    start: Instant | None = None
    stop: Instant | None = None
    campaign: _Campaign | None = None
    merchant_agreement_url: str | None = None
    vipps_confirmation_url: str | None = None
    external_id: str | None = None
    sub: str | None = None
    userinfo_url: str | None = None

    def seen(self) -> SeenAgreement:
        pricing = self.pricing
        return SeenAgreement(
            agreement_id=self.id,
            status=agreement_status(self.status),
            product_name=self.product_name[:100],
            product_description=(self.product_description or "")[:255],
            price=Money(pricing.amount or 0, currency_of(pricing.currency)),
            plan=self.interval.plan() if self.interval else PER_USE,
            start=self.start,
            stop=self.stop,
            pricing=pricing.kind(),
            campaign=self.campaign.seen(pricing.currency) if self.campaign else None,
            suggested_max=money(pricing.suggested_max_amount, pricing.currency),
            max_amount=money(pricing.max_amount, pricing.currency),
            agreement_url=self.merchant_agreement_url,
            sub=self.sub,
            userinfo_url=self.userinfo_url,
            created=self.created,
            external_id=self.external_id,
            confirmation_url=self.vipps_confirmation_url,
        )


class _Summary(Wire):
    captured: int | None = None
    refunded: int | None = None
    cancelled: int | None = None


class _Event(Wire):
    occurred: str | None = None
    event: str | None = None
    idempotency_key: str | None = None
    success: bool | None = None

    def moved_at(self) -> datetime | None:
        """When it moved the charge on, which making it did not. A time that cannot be read is none."""
        if self.event == "CREATE" or not (self.success or self.event == "FAIL"):
            return None
        try:
            moment = datetime.fromisoformat(self.occurred or "")
        except ValueError:
            return None
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


class Charge(Wire):
    id: str
    status: str
    due: Instant | None = None
    amount: int
    description: str | None = ""
    type: str | None = "RECURRING"
    transaction_id: str | None = None
    failure_reason: str | None = None
    failure_description: str | None = None
    summary: _Summary | None = None
    history: list[_Event] | None = None

    def seen(self) -> SeenCharge:
        status = charge_status(self.status)
        summary = self.summary or _Summary(captured=collected(status, self.amount))
        return SeenCharge(
            charge_id=self.id,
            status=status,
            due=self.due,
            amount=self.amount,
            captured=summary.captured or 0,
            refunded=summary.refunded or 0,
            description=(self.description or "")[:255],
            kind=(self.type or "RECURRING")[:20],
            transaction_id=short(self.transaction_id, 64),
            failure_reason=short(self.failure_reason, 120),
            failure_text=short(self.failure_description, 300),
            cancelled=summary.cancelled or 0,
            applied=self._applied(),
            happened_at=max((at for event in self.history or () if (at := event.moved_at())), default=None),
        )

    def _applied(self) -> frozenset[str] | None:
        if self.history is None:
            return None
        return frozenset(event.idempotency_key for event in self.history if event.success and event.idempotency_key)


AGREEMENTS = TypeAdapter(list[Agreement])
CHARGES = TypeAdapter(list[Charge])
