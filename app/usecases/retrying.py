"""Failed charges whose period is charged again because staff say so: now, not on the dunning policy's day."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from app.domain.account import Caller, Scope
from app.domain.batch import BatchResult, check_size
from app.domain.charge import Charge
from app.domain.errors import Forbidden, IllegalState, InvalidInput, LimitExceeded, NotFound, Overtaken, Unavailable
from app.domain.money import Money
from app.domain.records import AuditEntry
from app.domain.renewal import Renewal, RenewalReason, RenewalStatus, attempt_of, renewal_of
from app.domain.subscription import UNPAID, Subscription, SubscriptionStatus
from app.usecases.batches import each_once
from app.usecases.dunning import in_dunning
from app.usecases.installations import require_installed
from app.usecases.ports import Deps, Job, Unit
from app.usecases.renewal_orders import nothing_to_pay
from app.usecases.renewal_work import rested, went_away
from app.usecases.subscriptions import resume
from app.usecases.unpaid import FAILURES

_OVER = frozenset({SubscriptionStatus.ENDED, SubscriptionStatus.ENDING})
_PAID = frozenset({RenewalStatus.PAID, RenewalStatus.COLLECTED})
_LARGEST = 2**31 - 1  # GraphQL has no larger numbers
_TRIES = 3  # as often as somebody else may be quicker


class Hindrance(StrEnum):
    """Why the period of a charge is not charged again."""

    NOT_FAILED = "NOT_FAILED"
    ONE_OFF = "ONE_OFF"  # it was made for no period: nothing says what another charge would be for
    PAID = "PAID"
    RETRIED = "RETRIED"  # a later charge of the period was made, or is about to be
    FRESH = "FRESH"  # it has failed only now, and what follows by the policy is not decided yet
    LEFT_OUT = "LEFT_OUT"
    ON_HOLD = "ON_HOLD"  # by the shop, not for a payment that is missing
    ENDED = "ENDED"
    COSTS_MORE = "COSTS_MORE"  # than the charge that failed: whoever agrees to the new sum has it charged


_SAID = {
    Hindrance.NOT_FAILED: "the charge has not failed",
    Hindrance.ONE_OFF: "the charge was made for no period: make another one instead",
    Hindrance.PAID: "the period is paid by now",
    Hindrance.RETRIED: "the period was charged again meanwhile, and that failed too",
    Hindrance.FRESH: "it has failed only now, and is being looked at: try again in a minute",
    Hindrance.LEFT_OUT: "the period is left out",
    Hindrance.ON_HOLD: "the shop has put the subscription on hold",
    Hindrance.ENDED: "the subscription has ended, or is about to",
    Hindrance.COSTS_MORE: "its order costs more by now than the charge that failed: say up to which sum it is charged",
}


@dataclass(frozen=True, slots=True)
class _Failed:
    """`subscription` is the one that its period belongs to by now."""

    charge: Charge
    renewal: Renewal | None
    subscription: Subscription | None

    @property
    def period(self) -> Renewal:
        if self.renewal is None:
            raise AssertionError("a charge of no period is followed by none")
        return self.renewal


def is_retriable(renewal: Renewal) -> bool:
    """It waits for its next charge, or was given up, because a charge of it failed."""
    waits = renewal.status in {RenewalStatus.WAITING, RenewalStatus.FAILED}
    return waits and (renewal.reason in FAILURES or _costs_more(renewal))


def _costs_more(renewal: Renewal) -> bool:
    return renewal.status is RenewalStatus.WAITING and renewal.reason is RenewalReason.COSTS_MORE


def hindrance(
    charge: Charge, renewal: Renewal | None, subscription: Subscription | None, now: datetime
) -> Hindrance | None:
    """`subscription` is the one that the period belongs to; None where the charge's period can be charged again."""
    if not charge.status.holds_no_money:
        return Hindrance.NOT_FAILED
    if renewal is None:
        return Hindrance.ONE_OFF
    if renewal.status in _PAID:
        return Hindrance.PAID
    if _is_followed(charge, renewal):
        return Hindrance.RETRIED
    if renewal.status is RenewalStatus.CHARGING:
        return Hindrance.FRESH
    if not is_retriable(renewal):
        return Hindrance.LEFT_OUT
    if subscription is None or subscription.status in _OVER:
        return Hindrance.ENDED
    if subscription.status is SubscriptionStatus.HELD and subscription.reason != UNPAID:
        return Hindrance.ON_HOLD
    if _costs_more(renewal):
        return Hindrance.COSTS_MORE
    return Hindrance.RETRIED if subscription.status is not SubscriptionStatus.HELD and _is_next(renewal, now) else None


def _is_followed(charge: Charge, renewal: Renewal) -> bool:
    """A later charge of the period was made."""
    return attempt_of(charge.slot) < renewal.attempt


def _is_next(renewal: Renewal, now: datetime) -> bool:
    """Whoever finds it next makes its next charge."""
    soon = renewal.next_attempt_at is None or renewal.next_attempt_at <= now
    return in_dunning(renewal) and soon and renewal.dead is None


async def retry_charges(
    deps: Deps, caller: Caller, charge_rows: Sequence[str], up_to: int | None = None
) -> BatchResult[Renewal]:
    """Have the period of each of these failed charges charged again now, for its order and the way renewals always go.

    A subscription that is on hold for an unpaid period is resumed first. One charge follows a failed one: the period's
    next attempt, with an order id that Vipps takes once. Whoever asks for it again, by accident or because somebody
    else was quicker, is answered as the first one was, and nothing is done a second time.

    `up_to`, in minor units, agrees to a larger sum than the failed charge was of: what its order costs by now. Without
    it a period that costs more is not charged.
    """
    caller.require(Scope.CHARGES_WRITE)
    if up_to is not None and not 0 < up_to <= _LARGEST:
        text = f"give the most that may be charged, in minor units, 1 to {_LARGEST}, or leave it out"
        raise InvalidInput(text, field="upTo")
    if caller.own_only:
        raise Forbidden("customers pay a failed period by its link", field="ids")
    check_size(charge_rows, deps.limits.max_sync_batch)

    async def one(charge_row: str) -> Renewal:
        held = await _to_resume(deps, caller, charge_row, up_to)
        if held is not None:
            with suppress(IllegalState):  # somebody else has resumed it; what it is now decides
                (await resume(deps, caller, [held.agreement_id])).items[0].answer  # noqa: B018
        return await _reopened(deps, caller, charge_row, up_to)

    result = await each_once(deps, charge_rows, one, "charged once")
    again = [it.value.id for it in result.successes if it.value is not None and not it.value.status.final]
    if again:
        await deps.jobs.enqueue(Job.RENEW, caller.shop, again)
    return result


async def retry_named(
    deps: Deps, caller: Caller, names: Sequence[str], up_to: int | None = None
) -> BatchResult[Renewal]:
    """As `retry_charges`, by the ids that Vipps knows the failed charges by."""
    caller.require(Scope.CHARGES_WRITE)
    check_size(names, deps.limits.max_sync_batch)
    rows = []
    async with deps.store.begin() as unit:
        for name in names:
            found = [it for it in await unit.charges.named(caller.shop, name) if name in {it.charge_id, it.order_id}]
            rows.append(found[0].id if found else name)
    items = (await retry_charges(deps, caller, rows, up_to)).items
    return BatchResult(tuple(replace(it, id=name) for it, name in zip(items, names, strict=True)))


async def _to_resume(deps: Deps, caller: Caller, charge_row: str, up_to: int | None) -> Subscription | None:
    """The subscription on hold whose period is about to be charged again. What is refused leaves the hold as it is."""
    async with deps.store.begin() as unit:
        it = await _failed(unit, caller, charge_row)
        held = it.subscription is not None and it.subscription.status is SubscriptionStatus.HELD
        if not held or _is_answered(it, deps.clock()):
            return None
        _require_retriable(it, deps.clock(), up_to)
        await _require_no_link(unit, it.period)
    return it.subscription


async def _failed(unit: Unit, caller: Caller, charge_row: str) -> _Failed:
    charge = await unit.charges.get(caller.shop, charge_row)
    if charge is None:
        raise NotFound(f"no charge {charge_row:.60}", field="ids")
    renewal = await unit.renewals.get(caller.shop, renewal_of(charge.slot) or "")
    subscription = await unit.subscriptions.get(caller.shop, renewal.subscription_id) if renewal else None
    return _Failed(charge, renewal, subscription)


async def _reopened(deps: Deps, caller: Caller, charge_row: str, up_to: int | None) -> Renewal:
    for _ in range(_TRIES):
        async with deps.store.begin() as unit:
            it = await _failed(unit, caller, charge_row)
            if not _agrees_to_more(it, deps.clock(), up_to):
                if _is_answered(it, deps.clock()):
                    return it.period
                _require_retriable(it, deps.clock(), up_to)
            if it.subscription is not None and it.subscription.status is SubscriptionStatus.HELD:
                raise Unavailable("the subscription is on hold again; look at it in a moment", retry_after=2)
            after = await _reopen(unit, deps, caller, it.period, up_to)
            installation = await require_installed(unit, caller.shop)
        if after is not None:
            if _costs_more(it.period):
                await went_away(deps, installation, RenewalReason.COSTS_MORE)
            return after
    raise Unavailable("somebody is at it; look again in a moment", retry_after=2)


def _is_answered(it: _Failed, now: datetime) -> bool:
    """Its period's next charge is made, or is about to be."""
    found = hindrance(it.charge, it.renewal, it.subscription, now)
    if found is Hindrance.PAID:
        return _is_followed(it.charge, it.period)
    return found is Hindrance.RETRIED and (_is_next(it.period, now) or it.period.status is RenewalStatus.CHARGING)


def _agrees_to_more(it: _Failed, now: datetime, up_to: int | None) -> bool:
    """Its next charge is about to be made, because somebody asked for it and agreed to less, or to nothing."""
    found = hindrance(it.charge, it.renewal, it.subscription, now)
    if found is not Hindrance.RETRIED or _is_followed(it.charge, it.period) or not _is_next(it.period, now):
        return False
    return up_to is not None and (it.period.agreed or 0) < up_to


def _require_retriable(it: _Failed, now: datetime, up_to: int | None) -> None:
    found = hindrance(it.charge, it.renewal, it.subscription, now)
    if found is Hindrance.COSTS_MORE:
        if up_to is None:
            raise LimitExceeded(f"{_SAID[found]}; nothing was done", field="upTo")
        return
    if found is Hindrance.RETRIED:
        raise Overtaken(f"{_SAID[found]}; nothing was done", field="ids")
    if found is not None:
        raise IllegalState(f"{_SAID[found]}; nothing was done", field="ids")


async def _require_no_link(unit: Unit, period: Renewal) -> None:
    if await unit.recoveries.open_of(period.shop, period.subscription_id) is not None:
        raise IllegalState("its customer is paying by the link at this moment", field="ids")


async def _reopen(unit: Unit, deps: Deps, caller: Caller, before: Renewal, up_to: int | None) -> Renewal | None:
    """None, and nothing done, where somebody else is at it."""
    now = deps.clock()
    await _require_no_link(unit, before)
    taken = await unit.renewals.take(before, now, now)
    if taken is None:
        return None
    after = replace(taken, status=RenewalStatus.WAITING, dead=None, hindered_on=None)
    if before.status.final:
        # Its draft was taken away when it was given up.
        after = replace(after, order=None, order_number=None)
    if _costs_more(before):
        after = replace(after, reason=RenewalReason.CHARGE_FAILED, reason_text=None)
    after = rested(replace(after, agreed=up_to), now)
    await unit.renewals.save(after)
    change = (f"period {before.period} {before.status}", f"period {after.period} {after.status}")
    why = f"up to {up_to} in minor units" if up_to is not None else ""
    await unit.audit.add(
        [AuditEntry(caller.shop, caller.actor, "renewal.retried", before.agreement_id, now, *change, why)]
    )
    return after


async def cost_now(deps: Deps, caller: Caller, renewal: Renewal) -> Money | None:
    """What the order of a period costs by now, as Saleor says; None where there is none, or nothing of it is to pay."""
    caller.require(Scope.CHARGES_READ)
    if renewal.order is None or renewal.shop != caller.shop:
        return None
    async with deps.store.begin() as unit:
        installation = await require_installed(unit, caller.shop)
    order = await deps.shop.renewal_order(installation, renewal.order)
    return None if order is None or order.dead or nothing_to_pay(order) else order.total
