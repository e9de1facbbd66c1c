"""What the Dashboard's own pages show of ours: an order's payment, and a customer's agreements. Our own books only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from zoneinfo import ZoneInfo

from app.domain.account import Caller, Scope
from app.domain.agreement import Agreement
from app.domain.charge import Charge, ChargeStatus
from app.domain.records import AgreementFilter, ChargeFilter, Page, Sought
from app.domain.renewal import Renewal
from app.domain.subscription import Subscription
from app.usecases.installations import installed
from app.usecases.known import check_opaque
from app.usecases.ports import Deps, Unit

_MOST = 5  # agreements of a customer; a widget is small
_CAPTURED = frozenset({ChargeStatus.CHARGED, ChargeStatus.PARTIALLY_CAPTURED, ChargeStatus.PARTIALLY_REFUNDED})


@dataclass(frozen=True, slots=True)
class OrderPayment:
    """`app_id` is the app's in the shop, whose pages the Dashboard has below it. What there is not is None.

    `collected_on` is the day on the merchant's clock.
    """

    app_id: str
    agreement: Agreement | None
    subscription: Subscription | None
    charge: Charge | None
    renewal: Renewal | None
    collected_on: date | None = None

    @property
    def refundable(self) -> bool:
        it = self.charge
        return it is not None and it.status in _CAPTURED and it.captured > it.refunded


@dataclass(frozen=True, slots=True)
class CustomerAgreements:
    """The newest of `count` agreements, with the subscriptions of those that are renewed."""

    app_id: str
    agreements: Sequence[Agreement]
    subscriptions: Mapping[str, Subscription]
    count: int


async def order_payment(deps: Deps, caller: Caller, order: str) -> OrderPayment:
    _require_staff(caller)
    check_opaque(order, "orderId")
    app_id = (await installed(deps, caller.shop)).app_id
    async with deps.store.begin() as unit:
        charge = await _charge_of(unit, caller.shop, order)
        renewal = await unit.renewals.by_order(caller.shop, order)
        name = renewal.agreement_id if renewal else charge.agreement_id if charge else None
        agreement = await _agreement_of(unit, caller.shop, order, name)
        name = (agreement.agreement_id if agreement else name) or ""
        subscription = (await unit.subscriptions.by_agreements(caller.shop, [name])).get(name)
        account = await unit.accounts.get(caller.shop, charge.account_id) if charge else None
    collected_on = charge.collected_on(ZoneInfo(account.time_zone)) if charge and account else None
    return OrderPayment(app_id, agreement, subscription, charge, renewal, collected_on)


async def _charge_of(unit: Unit, shop: str, order: str) -> Charge | None:
    """Its newest, or the initial one of the agreement that began with it."""
    found = await unit.charges.newest_of_order(shop, order)
    if found is None:
        found = next(iter(await unit.charges.page(shop, ChargeFilter(sought=Sought(orders=(order,))), Page(1))), None)
    return found


async def _agreement_of(unit: Unit, shop: str, order: str, name: str | None) -> Agreement | None:
    """By its name, or the one that began with the order: a trial begins with an order that nothing is charged for."""
    if name is not None:
        return await unit.agreements.get(shop, name)
    begun = AgreementFilter(sought=Sought(orders=(order,)))
    return next(iter(await unit.agreements.page(shop, begun, Page(1))), None)


async def customer_agreements(deps: Deps, caller: Caller, customer: str) -> CustomerAgreements:
    _require_staff(caller)
    check_opaque(customer, "customerId")
    app_id = (await installed(deps, caller.shop)).app_id
    theirs = AgreementFilter(customer=customer)
    async with deps.store.begin() as unit:
        agreements = await unit.agreements.page(caller.shop, theirs, Page(_MOST))
        count = await unit.agreements.count(caller.shop, theirs)
        names = [it.agreement_id or "" for it in agreements]
        subscriptions = await unit.subscriptions.by_agreements(caller.shop, names)
    return CustomerAgreements(app_id, agreements, subscriptions, count)


def _require_staff(caller: Caller) -> None:
    caller.require(Scope.AGREEMENTS_READ)
    caller.require(Scope.CHARGES_READ)
