"""What may be done to a subscription: pause, resume, skip, move, cancel; each decided on the row as it is now."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from enum import StrEnum

from app.domain.account import Account, Caller, Scope
from app.domain.agreement import Agreement
from app.domain.batch import BatchResult, check_size
from app.domain.charge import Charge
from app.domain.errors import Duplicate, IllegalState, Misconfigured, NotFound, OutcomeUnknown, Unavailable
from app.domain.notice import NoticeKind
from app.domain.records import AuditEntry
from app.domain.renewal import Renewal, RenewalReason, RenewalStatus
from app.domain.subscription import Subscriber, Subscription, SubscriptionStatus
from app.usecases.agreements import cancel_agreements
from app.usecases.batches import Malformed, each_once
from app.usecases.dunning import in_dunning
from app.usecases.known import check_id
from app.usecases.notices import note, soon
from app.usecases.periods import (
    OPEN,
    ending,
    first_movable,
    left_out,
    may_be_taken_back,
    skipped_already,
    upcoming_of,
)
from app.usecases.planning import local_day, planned_anew, planned_row, take
from app.usecases.ports import Deps, Job, Unit
from app.usecases.renewals import renew
from app.usecases.sending import GONE, lease_end

_TRIES = 5  # as often as somebody else may be quicker
_DAY = timedelta(days=1)


class CancelAt(StrEnum):
    NOW = "NOW"
    PERIOD_END = "PERIOD_END"


@dataclass(frozen=True, slots=True)
class Subscribed:
    """An agreement and the subscription on it."""

    agreement: Agreement
    subscription: Subscription


@dataclass(frozen=True, slots=True)
class Situation:
    """All that a decision is made on, read in the transaction that stores it. `today` is the merchant's."""

    caller: Caller
    agreement: Agreement
    subscription: Subscription
    account: Account
    renewals: Sequence[Renewal]
    today: date
    now: datetime

    @property
    def upcoming(self) -> Renewal | None:
        return upcoming_of(self.renewals, self.today)


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of a subscription, which of its periods get a row or are renewed after all, and what of it is told.

    `person` changes where its renewals go; `said` names what of that for the audit, without what it says.
    """

    after: Subscription
    rows: Sequence[Renewal] = ()
    revived: Sequence[Renewal] = ()
    notice: NoticeKind | None = None
    facts: Mapping[str, str | int | None] = field(default_factory=dict)
    person: Callable[[Subscriber], Subscriber] | None = None
    said: str = ""


async def pause(deps: Deps, caller: Caller, ids: Sequence[str], until: date | None = None) -> BatchResult[Subscribed]:
    """Nothing is renewed until that day, or until somebody resumes it. What is charged already stays charged."""

    def decide(it: Situation) -> Decision:
        _require_free(it)
        after = it.subscription.paused(until, it.today)
        told = {"until": until.isoformat() if until else None}
        # An earlier pause, or a hold, may have left out what this one does not reach.
        beyond = [row for row in left_out(after, it.renewals, it.today) if until is not None and row.due >= until]
        return Decision(after, revived=_anew(it, beyond), notice=NoticeKind.SUBSCRIPTION_PAUSED, facts=told)

    return await _each(deps, caller, ids, "paused", decide)


async def resume(deps: Deps, caller: Caller, ids: Sequence[str]) -> BatchResult[Subscribed]:
    """Renew it again: after a pause, a hold, or a cancellation whose day has not come."""

    def decide(it: Situation) -> Decision:
        _require_free(it)
        before = it.subscription
        rests = before.status in {SubscriptionStatus.PAUSED, SubscriptionStatus.HELD}
        if before.status is SubscriptionStatus.ENDING and (before.ends_on or it.today) <= it.today:
            raise IllegalState("the subscription ends today: it cannot be taken back any more", field="agreementId")
        # Periods that went by while it rested get their reason, as the planner would have given it.
        yesterday = it.today - _DAY
        slept = take(replace(before, paused_until=None), yesterday, yesterday, it.now) if rests else None
        after = (slept.subscription if slept else before).resumed()
        told = {"next_due": after.next_due.isoformat()}
        return Decision(
            after,
            slept.renewals if slept else (),
            _anew(it, left_out(after, it.renewals, it.today)),
            NoticeKind.SUBSCRIPTION_RESUMED,
            facts=told,
        )

    return await _each(deps, caller, ids, "resumed", decide)


def _anew(it: Situation, rows: Sequence[Renewal]) -> Sequence[Renewal]:
    return [planned_anew(row, it.subscription.agreement_id, it.now) for row in rows]


def _require_free(it: Situation) -> None:
    """What the shop has put on hold, for a payment that is missing perhaps, no customer lets go."""
    if it.caller.own_only and it.subscription.reason is not None:
        raise IllegalState("the subscription is on hold; ask the shop", field="agreementId")


async def move(deps: Deps, caller: Caller, agreement_id: str, day: date) -> Subscribed:
    """Have the next period due on another day, and those after it counted from there."""
    caller.require(Scope.AGREEMENTS_WRITE)

    def decide(it: Situation) -> Decision:
        earliest = first_movable(it.account, it.today)
        if it.upcoming is not None:
            raise IllegalState(
                f"the period that is due on {it.upcoming.due} is being renewed already: skip it, or move the next one "
                "when that day is over",
                field="agreementId",
            )
        return Decision(it.subscription.moved(day, earliest))

    return await change(deps, caller, agreement_id, "moved", decide)


async def cancel(
    deps: Deps, caller: Caller, ids: Sequence[str | Malformed], at: CancelAt = CancelAt.NOW
) -> BatchResult[Agreement]:
    """End subscriptions now, or when what is paid for is over; agreements without one are stopped now."""
    if at is CancelAt.NOW:
        return await cancel_agreements(deps, caller, ids)

    def decide(it: Situation) -> Decision:
        if it.subscription.status is SubscriptionStatus.ENDING:
            return Decision(it.subscription)
        return Decision(ending(it.subscription, it.upcoming))

    async def end_later(agreement_id: str) -> Agreement:
        return (await change(deps, caller, agreement_id, "ending", decide)).agreement

    caller.require(Scope.AGREEMENTS_WRITE)
    check_size(ids, deps.limits.max_sync_batch)
    return await each_once(deps, ids, end_later, "cancelled once")


async def _each(
    deps: Deps, caller: Caller, ids: Sequence[str], verb: str, decide: Callable[[Situation], Decision]
) -> BatchResult[Subscribed]:
    caller.require(Scope.AGREEMENTS_WRITE)
    check_size(ids, deps.limits.max_sync_batch)

    async def one(agreement_id: str) -> Subscribed:
        return await change(deps, caller, agreement_id, verb, decide)

    return await each_once(deps, ids, one, f"{verb} once")


async def change(
    deps: Deps, caller: Caller, agreement_id: str, verb: str, decide: Callable[[Situation], Decision]
) -> Subscribed:
    """Decide and store in one transaction; decided anew where somebody else was quicker."""
    for _ in range(_TRIES):
        async with deps.store.begin() as unit:
            it = await _situation(unit, deps, caller, agreement_id)
            made = decide(it)
            if made.after == it.subscription and made.person is None:
                return Subscribed(it.agreement, it.subscription)
            if not await unit.subscriptions.save(made.after):
                continue
            told = await _write_down(unit, deps, it, made, verb)
            revived = [row.id for row in made.revived if await unit.renewals.save(row)]
            # What waits for the day of its next charge goes on waiting for it.
            uncharged = (row for row in it.renewals if row.status in OPEN and row.charge_row is None)
            woken = [row.id for row in uncharged if not in_dunning(row)] + revived
            for renewal_id in woken:
                await unit.renewals.wake(caller.shop, renewal_id, it.now)
        await soon(deps, caller.shop, told)
        if woken:
            await deps.jobs.enqueue(Job.RENEW, caller.shop, woken)
        return Subscribed(it.agreement, made.after)
    raise Unavailable("somebody else is changing this subscription; ask again in a moment")


async def _situation(unit: Unit, deps: Deps, caller: Caller, agreement_id: str) -> Situation:
    check_id(agreement_id, "agreementId")
    agreement = await unit.agreements.get(caller.shop, agreement_id)
    if agreement is None:
        raise NotFound(f"no agreement {agreement_id:.60}", field="agreementId")
    caller.require_owner(agreement.customer, agreement_id)
    subscription = await unit.subscriptions.get(caller.shop, agreement.id, lock=True)
    if subscription is None:
        raise NotFound(f"agreement {agreement_id:.60} has no subscription", field="agreementId")
    account = await unit.accounts.get(caller.shop, subscription.account_id)
    if account is None:
        raise Misconfigured(GONE)
    renewals = await unit.renewals.of_subscription(caller.shop, subscription.id)
    return Situation(caller, agreement, subscription, account, renewals, local_day(deps, account), deps.clock())


async def _write_down(unit: Unit, deps: Deps, it: Situation, made: Decision, verb: str) -> str | None:
    """What belongs to a change that is stored: its rows, the person, the audit, and a notice, whose id it gives."""
    if await unit.renewals.add_all(made.rows) != len(made.rows):
        raise Unavailable("the planner has taken this period at the same moment; ask again")
    if made.person is not None:
        person = await unit.subscriptions.subscriber(it.caller.shop, made.after.id)
        await unit.subscriptions.put_subscriber(
            it.caller.shop, made.after.id, made.person(person or Subscriber(None, None, None))
        )
    before, after = _differences(it.subscription, made.after)
    entry = AuditEntry(
        it.caller.shop, it.caller.actor, f"subscription.{verb}", it.agreement.agreement_id or "", it.now, before, after
    )
    await unit.audit.add([replace(entry, reason=made.said)])
    if made.notice is None:
        return None
    key = f"{verb}/{it.subscription.version}"
    return await note(unit, deps, it.account, made.notice, made.after, made.facts, key)


_AUDITED = ("status", "next_due", "paused_until", "ends_on", "lines", "shipping_method", "voucher_policy")


def _differences(before: Subscription, after: Subscription) -> tuple[str, str]:
    """What differs, as texts: ids, days and amounts."""
    names = [name for name in _AUDITED if getattr(before, name) != getattr(after, name)]
    price = before.price_change != after.price_change
    return _said(before, names, price=price), _said(after, names, price=price)


def _said(it: Subscription, names: Sequence[str], *, price: bool) -> str:
    values = {name: str(getattr(it, name)) for name in names}
    if "lines" in values:
        values["lines"] = ",".join(f"{line.quantity}*{line.variant}" for line in it.lines)
    if price:
        values["price"] = f"{it.price_change.price} on {it.price_change.on}" if it.price_change else "as it is"
    return " ".join(f"{name}={value}" for name, value in values.items())


async def skip(deps: Deps, caller: Caller, ids: Sequence[str]) -> BatchResult[Subscribed]:
    """Leave the next period out: one at a time, so that whoever asks twice does not leave out two."""
    caller.require(Scope.AGREEMENTS_WRITE)
    check_size(ids, deps.limits.max_sync_batch)

    async def one(agreement_id: str) -> Subscribed:
        async with deps.store.begin() as unit:
            it = await _situation(unit, deps, caller, agreement_id)
            it.subscription.require_active()
            marked = await _mark(unit, deps, it) if it.upcoming is not None else None
        if marked is None:
            return await change(deps, caller, agreement_id, "skipped", _without_next)
        return await _take_back(deps, it, marked)

    return await each_once(deps, ids, one, "skipped once")


def _without_next(it: Situation) -> Decision:
    earlier = skipped_already(it.renewals, it.today)
    if earlier is not None:
        raise Duplicate(
            f"the period that is due on {earlier.due} is skipped already; to leave out more, pause it until a day",
            field="agreementId",
        )
    if it.upcoming is not None:
        raise Unavailable("the next period is being planned at this moment; ask again")
    after = it.subscription.skipped()
    row = planned_row(it.subscription, it.subscription.next_period, it.subscription.next_due, it.now)
    skipped = replace(row, status=RenewalStatus.SKIPPED, reason=RenewalReason.SKIPPED, next_attempt_at=None)
    return Decision(after, [replace(skipped, reason_text=_by(it.caller))])


def _by(caller: Caller) -> str:
    return "skipped by the customer" if caller.own_only else "skipped by the shop"


async def _mark(unit: Unit, deps: Deps, it: Situation) -> Renewal:
    """Write on a period that is a renewal already that nobody wants it: whoever works on it next takes it back.

    Raises where it is too late for that, or somebody is at work on it.
    """
    renewal = it.upcoming
    if renewal is None:
        raise AssertionError("there is no such renewal")
    _require_time(await unit.charges.get(renewal.shop, renewal.charge_row) if renewal.charge_row else None)
    if renewal.reason is RenewalReason.SKIPPED:
        return renewal
    await unit.renewals.wake(renewal.shop, renewal.id, it.now)
    held = await unit.renewals.claim(renewal.shop, renewal.id, it.now, lease_end(deps))
    if held is None:
        raise Unavailable("the next period is being worked on at this moment; ask again in a minute")
    marked = replace(held, reason=RenewalReason.SKIPPED, reason_text=_by(it.caller), lease_until=None)
    await unit.renewals.save(marked)
    what = AuditEntry(
        renewal.shop,
        it.caller.actor,
        "subscription.skipped",
        renewal.agreement_id,
        it.now,
        before=f"period {renewal.period} {renewal.status}",
        after=f"period {renewal.period} {RenewalReason.SKIPPED}",
    )
    await unit.audit.add([what])
    return marked


def _require_time(charge: Charge | None) -> None:
    if charge is not None and not may_be_taken_back(charge):
        raise IllegalState(
            f"the next period is charged already ({charge.status}); it can only be refunded", field="agreementId"
        )


async def _take_back(deps: Deps, it: Situation, marked: Renewal) -> Subscribed:
    """Cancel its charge and take its order away, and tell how far that went."""
    await renew(deps, marked.shop, marked.id)
    async with deps.store.begin() as unit:
        after = await unit.renewals.get(marked.shop, marked.id) or marked
    if after.status in {RenewalStatus.PAID, RenewalStatus.COLLECTED}:
        raise IllegalState("the next period was collected meanwhile; it can only be refunded", field="agreementId")
    if not after.status.final:
        raise OutcomeUnknown(
            "that the next period is skipped is stored; its charge or order is not taken back yet, which is followed up"
        )
    return Subscribed(it.agreement, it.subscription)
