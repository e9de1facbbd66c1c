"""What a customer sees of an agreement by its link: by our own rows, so that opening it makes nothing happen."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from zoneinfo import ZoneInfo

from app.domain.account import Account
from app.domain.agreement import Agreement, AgreementStatus
from app.domain.charge import Charge, ChargeOrigin
from app.domain.errors import NotFound
from app.domain.money import Money
from app.domain.renewal import Renewal
from app.domain.subscription import Subscription, SubscriptionStatus
from app.usecases.known import account_of
from app.usecases.pay_links import is_payable
from app.usecases.periods import upcoming_of
from app.usecases.planning import local_day
from app.usecases.ports import Deps
from app.usecases.receipts import Receipt, receipts_of

SHOWN = 24  # receipts


@dataclass(frozen=True, slots=True)
class NextPayment:
    """`amount` is None where the shop's prices of that day decide; `charge` where Vipps has it already."""

    day: date
    amount: Money | None
    charge: Charge | None = None


@dataclass(frozen=True, slots=True)
class CustomerPage:
    """Nothing of a person but the language. `price` is what a period costs as far as that is known; `unpaid` is the
    period that may be paid by its own link; `goes_on_at` the page of the agreement with which the subscription goes on.
    """

    agreement: Agreement
    subscription: Subscription | None
    account: Account
    today: date
    renewals: Sequence[Renewal]
    receipts: Sequence[Receipt]
    next: NextPayment | None
    unpaid: Renewal | None
    language: str | None
    shop_name: str | None
    goes_on_at: str | None = None
    price: Money | None = None

    @property
    def since(self) -> date | None:
        """The day on which it was approved, where the merchant is."""
        start = self.agreement.start
        return start.astimezone(ZoneInfo(self.account.time_zone)).date() if start else None

    @property
    def state(self) -> str:
        """In one word how it stands: a subscription's status, or NONE for an agreement without one; PENDING; ENDED."""
        if self.agreement.status.final:
            return SubscriptionStatus.ENDED
        if self.agreement.status is not AgreementStatus.ACTIVE:
            return AgreementStatus.PENDING
        return self.subscription.status if self.subscription else "NONE"


async def customer_page(deps: Deps, row_id: str, number: int) -> CustomerPage:
    """Raises NotFound where the link was revoked."""
    async with deps.store.begin() as unit:
        agreement = await unit.agreements.anywhere(row_id)
        if agreement is None or agreement.link_number != number or agreement.agreement_id is None:
            raise NotFound("this link is not valid")
        shop = agreement.shop
        subscription = await unit.subscriptions.get(shop, row_id)
        person = await unit.subscriptions.subscriber(shop, row_id)
        renewals = await unit.renewals.of_subscription(shop, row_id)
        # Periods from before a pay link moved the subscription were paid on the agreement of then.
        names = sorted({agreement.agreement_id, *(it.agreement_id for it in renewals)})
        charges = await unit.charges.of_agreements(shop, names)
        installation = await unit.installations.get(shop)
        goes_on_with = await unit.agreements.get(shop, (subscription.moved_to if subscription else None) or "")
    account = await account_of(deps, shop, agreement.account_id)
    today = local_day(deps, account)
    number_of_first = subscription.initial_number if subscription else None
    return CustomerPage(
        agreement=agreement,
        subscription=subscription,
        account=account,
        today=today,
        renewals=renewals,
        receipts=receipts_of(renewals, charges, number_of_first, ZoneInfo(account.time_zone)),
        next=_next(agreement, subscription, renewals, charges, today),
        unpaid=next((it for it in renewals if subscription and is_payable(it, subscription, renewals)), None),
        language=person.language if person else None,
        shop_name=installation.shop_name if installation else None,
        goes_on_at=_goes_on_at(deps, agreement, goes_on_with),
        price=known_cost(agreement, subscription, charges),
    )


def _goes_on_at(deps: Deps, old: Agreement, new: Agreement | None) -> str | None:
    """For the same customer, and only by a link that the shop has never revoked: this one gives no right of its own."""
    if new is None or new.customer is None or new.customer != old.customer or new.link_number:
        return None
    return deps.my_url(new.id, 0)


def _next(
    agreement: Agreement,
    subscription: Subscription | None,
    renewals: Sequence[Renewal],
    charges: Sequence[Charge],
    today: date,
) -> NextPayment | None:
    if subscription is None or agreement.status is not AgreementStatus.ACTIVE:
        return None
    change, known = subscription.price_change, known_cost(agreement, subscription, charges)

    def cost_on(day: date) -> Money | None:
        return change.price if change is not None and day >= change.on else known

    upcoming = upcoming_of(renewals, today)
    charge = next((it for it in charges if upcoming is not None and it.id == upcoming.charge_row), None)
    rests = subscription.status is not SubscriptionStatus.ACTIVE
    if upcoming is not None and (charge is not None or not rests):
        return NextPayment(upcoming.due, upcoming.amount or cost_on(upcoming.due), charge)
    day = next_day(subscription)
    return None if day is None else NextPayment(day, cost_on(day))


def next_day(it: Subscription) -> date | None:
    """The day of the next period that is no renewal yet; None where none is to come by itself."""
    if it.status is SubscriptionStatus.ACTIVE:
        return it.next_due
    if it.status is SubscriptionStatus.PAUSED and it.paused_until is not None:
        return it.schedule.due(it.schedule.first_from(max(it.paused_until, it.next_due), it.next_period))
    return None


def known_cost(agreement: Agreement, subscription: Subscription | None, charges: Sequence[Charge]) -> Money | None:
    """What a period costs: the agreement's price, or what the last order cost since the shop changed its contents.

    None where the shop's prices decide, and where the first order since such a change is still to come.
    """
    changed_at = subscription.changed_at if subscription else None
    if changed_at is None:
        return agreement.price if agreement.price.minor else None
    since = [it for it in charges if it.origin is ChargeOrigin.RENEWAL and it.created_at >= changed_at]
    return max(since, key=lambda it: it.created_at).amount if since else None
