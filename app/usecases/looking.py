"""What staff look through: pages of charges and agreements, and one of them with all that belongs to it.

Our own books only: what moves money looks at Vipps first, and who people are `people.py` asks the shop.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from app.domain.account import Account, Caller, Scope
from app.domain.agreement import Agreement
from app.domain.charge import Charge, ChargeOrigin
from app.domain.errors import Forbidden, NotFound
from app.domain.records import AgreementFilter, ChargeFilter, Page
from app.domain.renewal import Renewal, RenewalFilter, RenewalStatus, attempt_of, renewal_of, renewal_order_id
from app.domain.subscription import Subscription
from app.usecases.dunning import slot_of
from app.usecases.explaining import Explanation, Moment, explain_agreement, explain_row
from app.usecases.pay_links import is_payable
from app.usecases.ports import Deps, Unit

_PERIODS = 24  # the newest that are shown with an agreement, with all their charges
_CHARGES = 50  # of the others


@dataclass(frozen=True, slots=True)
class ChargeLine:
    """`renewal` is the period that it was made for, `subscription` the one that this belongs to by now."""

    charge: Charge
    agreement: Agreement | None
    renewal: Renewal | None
    subscription: Subscription | None

    @property
    def orders(self) -> Sequence[str | None]:
        return orders_of(self.charge, self.agreement)

    @property
    def then(self) -> str:
        """What became of the period of a charge that failed: `paid_later`, `charged_again`, or nothing yet."""
        if self.renewal is None or not self.charge.status.holds_no_money:
            return ""
        if self.renewal.status in {RenewalStatus.PAID, RenewalStatus.COLLECTED}:
            return "paid_later"
        return "charged_again" if attempt_of(self.charge.slot) < self.renewal.attempt else ""


@dataclass(frozen=True, slots=True)
class RenewalLine:
    """`charge` is the last one that was made for it."""

    renewal: Renewal
    agreement: Agreement | None
    charge: Charge | None

    @property
    def orders(self) -> Sequence[str | None]:
        return self.renewal.order, self.agreement.initial_order if self.agreement else None


@dataclass(frozen=True, slots=True)
class AgreementLine:
    agreement: Agreement
    subscription: Subscription | None

    @property
    def first_order(self) -> str | None:
        return self.subscription.initial_order if self.subscription else self.agreement.initial_order


@dataclass(frozen=True, slots=True)
class ChargeDetail:
    """As `ChargeLine`; `payable` where the customer may pay its period by the link; `successor` is the period's next
    charge, where this one failed.
    """

    explanation: Explanation
    renewal: Renewal | None
    subscription: Subscription | None
    account: Account | None
    payable: bool
    successor: Charge | None

    @property
    def charge(self) -> Charge:
        return self.explanation.charge

    @property
    def orders(self) -> Sequence[str | None]:
        return orders_of(self.charge, self.explanation.agreement)

    @property
    def window(self) -> tuple[date, date] | None:
        """The days that it pays for, where it was made for a period."""
        if self.renewal is None or self.subscription is None:
            return None
        return self.subscription.schedule.window(self.renewal.period, self.renewal.due)


def orders_of(charge: Charge, agreement: Agreement | None) -> Sequence[str | None]:
    """The shop's order that it pays, and the one that its agreement began with, which an initial charge pays."""
    first = agreement.initial_order if agreement else None
    return charge.saleor_order or (first if charge.origin is ChargeOrigin.INITIAL else None), first


@dataclass(frozen=True, slots=True)
class AgreementDetail(AgreementLine):
    """Periods and charges the newest first; `charges` are what there is beside those of the periods too, `payable` the
    ids of periods that the customer may pay by their link. `more` where there are others besides.
    """

    account: Account | None
    renewals: Sequence[Renewal]
    charges: Sequence[Charge]
    moments: Sequence[Moment]
    payable: frozenset[str]
    more: bool

    def charges_of(self, renewal: Renewal) -> Sequence[Charge]:
        """Every attempt of a period, the newest first."""
        return [it for it in self.charges if renewal_of(it.slot) == renewal.id]

    @property
    def orders(self) -> Sequence[str | None]:
        return [self.first_order, *(it.order for it in self.renewals), *(it.saleor_order for it in self.charges)]

    @property
    def other_charges(self) -> Sequence[Charge]:
        """Those that pay no period: a renewal's charge belongs to its period, be that shown or not."""
        return [it for it in self.charges if it.origin is not ChargeOrigin.RENEWAL]


def require_shop(caller: Caller) -> None:
    caller.require(Scope.AGREEMENTS_READ)
    caller.require(Scope.CHARGES_READ)
    if caller.own_only:
        raise Forbidden("only the shop looks through the agreements and charges of all its customers")


async def merchant_accounts(deps: Deps, caller: Caller) -> Sequence[Account]:
    """All of the shop: whose names and time zones a list needs."""
    require_shop(caller)
    async with deps.store.begin() as unit:
        return await unit.accounts.of_shop(caller.shop)


async def look_through_charges(deps: Deps, caller: Caller, wanted: ChargeFilter, page: Page) -> Sequence[ChargeLine]:
    require_shop(caller)
    async with deps.store.begin() as unit:
        charges = await unit.charges.page(caller.shop, wanted, page)
        return await _charge_lines(unit, caller.shop, charges)


async def matching_charges(deps: Deps, caller: Caller, wanted: ChargeFilter, limit: int) -> Sequence[str]:
    """Row ids of all that `look_through_charges` would show page by page, at most so many."""
    require_shop(caller)
    async with deps.store.begin() as unit:
        return await unit.charges.matching(caller.shop, wanted, limit)


async def _charge_lines(unit: Unit, shop: str, charges: Sequence[Charge]) -> Sequence[ChargeLine]:
    periods = {it.id: renewal_of(it.slot) for it in charges}
    agreements = await unit.agreements.many(shop, list({it.agreement_id for it in charges}))
    renewals = await unit.renewals.many(shop, [it for it in periods.values() if it])
    subscriptions = await unit.subscriptions.many(shop, list({it.subscription_id for it in renewals.values()}))

    def line(charge: Charge) -> ChargeLine:
        renewal = renewals.get(periods[charge.id] or "")
        subscription = subscriptions.get(renewal.subscription_id) if renewal else None
        return ChargeLine(charge, agreements.get(charge.agreement_id), renewal, subscription)

    return [line(it) for it in charges]


async def chosen_charges(deps: Deps, caller: Caller, rows: Sequence[str]) -> Sequence[ChargeLine]:
    """The shop's own of these charges, by row id, in the order in which they are named."""
    require_shop(caller)
    async with deps.store.begin() as unit:
        found = await unit.charges.many(caller.shop, rows)
        return await _charge_lines(unit, caller.shop, [found[it] for it in dict.fromkeys(rows) if it in found])


async def look_through_agreements(
    deps: Deps, caller: Caller, wanted: AgreementFilter, page: Page
) -> Sequence[AgreementLine]:
    require_shop(caller)
    async with deps.store.begin() as unit:
        agreements = await unit.agreements.page(caller.shop, wanted, page)
        return await _agreement_lines(unit, caller.shop, agreements)


async def matching_agreements(deps: Deps, caller: Caller, wanted: AgreementFilter, limit: int) -> Sequence[str]:
    """As `matching_charges`, by Vipps' ids: a draft that Vipps has not answered cannot be chosen."""
    require_shop(caller)
    async with deps.store.begin() as unit:
        return await unit.agreements.matching(caller.shop, wanted, limit)


async def _agreement_lines(unit: Unit, shop: str, agreements: Sequence[Agreement]) -> Sequence[AgreementLine]:
    names = [it.agreement_id for it in agreements if it.agreement_id]
    subscriptions = await unit.subscriptions.by_agreements(shop, names)
    return [AgreementLine(it, subscriptions.get(it.agreement_id or "")) for it in agreements]


async def chosen_agreements(deps: Deps, caller: Caller, names: Sequence[str]) -> Sequence[AgreementLine]:
    """The shop's own of these agreements, in the order in which they are named."""
    require_shop(caller)
    async with deps.store.begin() as unit:
        found = await unit.agreements.many(caller.shop, names)
        return await _agreement_lines(unit, caller.shop, [found[it] for it in dict.fromkeys(names) if it in found])


async def look_through_renewals(deps: Deps, caller: Caller, wanted: RenewalFilter, page: Page) -> Sequence[RenewalLine]:
    require_shop(caller)
    async with deps.store.begin() as unit:
        return await _renewal_lines(unit, caller.shop, await unit.renewals.page(caller.shop, wanted, page))


async def _renewal_lines(unit: Unit, shop: str, renewals: Sequence[Renewal]) -> Sequence[RenewalLine]:
    agreements = await unit.agreements.many(shop, list({it.agreement_id for it in renewals}))
    names = {it.id: renewal_order_id(shop, it.agreement_id, it.period, it.attempt) for it in renewals if it.attempt}
    charges = await unit.charges.with_order_ids(shop, list(names.values()))
    return [RenewalLine(it, agreements.get(it.agreement_id), charges.get(names.get(it.id, ""))) for it in renewals]


async def charge_detail(deps: Deps, caller: Caller, charge_row: str) -> ChargeDetail:
    """By our own id of it."""
    require_shop(caller)
    explanation = await explain_row(deps, caller, charge_row)
    charge, shop = explanation.charge, caller.shop
    async with deps.store.begin() as unit:
        period = renewal_of(charge.slot)
        renewal = await unit.renewals.get(shop, period) if period else None
        subscription = await unit.subscriptions.get(shop, renewal.subscription_id) if renewal else None
        account = await unit.accounts.get(shop, charge.account_id)
        rows = await unit.renewals.of_subscription(shop, subscription.id) if subscription else []
        successor = None
        if renewal is not None:
            slot = slot_of(renewal, attempt_of(charge.slot) + 1)
            successor = (await unit.charges.by_slots(shop, [slot])).get(slot)
    payable = bool(renewal and subscription and is_payable(renewal, subscription, rows))
    return ChargeDetail(explanation, renewal, subscription, account, payable, successor)


async def agreement_detail(deps: Deps, caller: Caller, agreement_id: str) -> AgreementDetail:
    require_shop(caller)
    shop = caller.shop
    async with deps.store.begin() as unit:
        agreement = await unit.agreements.get(shop, agreement_id)
        if agreement is None:
            raise NotFound(f"no agreement {agreement_id:.60}", field="agreementId")
        subscription = await unit.subscriptions.get(shop, agreement.id)
        account = await unit.accounts.get(shop, agreement.account_id)
        periods = await unit.renewals.of_subscription(shop, agreement.id, _PERIODS + 1)
        charges = await unit.charges.of_agreements(shop, [agreement_id])
    moments = await explain_agreement(deps, caller, agreement)
    renewals = periods[::-1][:_PERIODS]
    shown = _shown_charges(charges, renewals)
    payable = frozenset(it.id for it in renewals if subscription and is_payable(it, subscription, periods))
    more = len(periods) > len(renewals) or len(charges) > len(shown)
    return AgreementDetail(agreement, subscription, account, renewals, shown, moments, payable, more)


def _shown_charges(charges: Sequence[Charge], renewals: Sequence[Renewal]) -> Sequence[Charge]:
    """Every attempt of these periods, and the newest of what is no renewal's."""
    newest, periods = sorted(charges, key=lambda it: (it.due, it.created_at), reverse=True), {it.id for it in renewals}
    others = [it for it in newest if it.origin is not ChargeOrigin.RENEWAL][:_CHARGES]
    theirs = [it for it in newest if it.origin is ChargeOrigin.RENEWAL and renewal_of(it.slot) in periods]
    return [*theirs, *others]
