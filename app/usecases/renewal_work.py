"""A renewal in the hands of one process: what it belongs to, what stands in its way, how its steps are stored."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from app.domain.account import Account, Installation, system
from app.domain.agreement import Agreement
from app.domain.errors import Misconfigured, NotFound, ProviderError, RecurringError
from app.domain.notice import NoticeKind
from app.domain.records import AuditEntry
from app.domain.renewal import Renewal, RenewalReason, RenewalStatus
from app.domain.subscription import Subscription, SubscriptionStatus
from app.usecases.installations import require_installed
from app.usecases.notices import note, soon
from app.usecases.planning import local_day
from app.usecases.ports import Deps, Job, Unit
from app.usecases.retries import next_attempt
from app.usecases.sending import GONE, lease_end

PROBLEM_KEY = "vipps-recurring-renewal:"
PROBLEMS = frozenset(
    {
        RenewalReason.OUT_OF_STOCK,
        RenewalReason.UNAVAILABLE,
        RenewalReason.ADDRESS_MISSING,
        RenewalReason.SHIPPING,
        RenewalReason.PRICE_ABOVE_LIMIT,
        RenewalReason.COSTS_MORE,
        RenewalReason.ORDER_REFUSED,
        RenewalReason.ORDER_GONE,
        RenewalReason.AGREEMENT_NOT_ACTIVE,
    }
)
_DAY = timedelta(days=1)


class TakenOver(Exception):
    """The lease ran out and another process has the renewal now."""


class Hindered(Exception):
    """Nothing is charged for now: why, by name and in words for staff."""

    def __init__(self, reason: RenewalReason, text: str) -> None:
        super().__init__(text)
        self.reason = reason
        self.text = text


class OrderGone(Exception):
    """Staff deleted or cancelled the order: they do not want it to be paid."""


@dataclass(frozen=True, slots=True)
class Work:
    """A renewal that this process holds, and what it belongs to. `met` says that its order was there before: somebody
    has been at it.
    """

    renewal: Renewal
    subscription: Subscription
    agreement: Agreement
    account: Account
    installation: Installation
    met: bool = False


async def work_on(deps: Deps, renewal: Renewal) -> Work:
    """Raises NotFound where the shop is gone, Misconfigured where the account is."""
    async with deps.store.begin() as unit:
        installation = await require_installed(unit, renewal.shop)
        subscription = await unit.subscriptions.get(renewal.shop, renewal.subscription_id)
        agreement = await unit.agreements.by_row(renewal.shop, renewal.subscription_id)
        account = await unit.accounts.get(renewal.shop, renewal.account_id)
    if subscription is None or agreement is None:
        raise NotFound(f"no subscription of agreement {renewal.agreement_id}")
    if account is None:
        raise Misconfigured(GONE)
    if renewal.charge_row is None and agreement.agreement_id is not None:
        # Its subscription may have gone on with another agreement, by a pay link, since its last charge failed.
        renewal = replace(renewal, agreement_id=agreement.agreement_id)
    return Work(renewal, subscription, agreement, account, installation)


@asynccontextmanager
async def kept(deps: Deps, renewal: Renewal) -> AsyncIterator[None]:
    """Renews the lease while this process lives and is at it, so that leases can be short."""

    async def hold(until: datetime) -> None:
        async with deps.store.begin() as unit:
            await unit.renewals.hold_longer(renewal.shop, renewal.id, until)

    async def renewing() -> None:
        while True:
            await asyncio.sleep(deps.limits.lease_seconds / 3)
            await hold(lease_end(deps))

    task = asyncio.create_task(renewing())
    try:
        yield
    except asyncio.CancelledError:
        # The process is told to end: somebody else may go on at once.
        await asyncio.shield(hold(deps.clock()))
        raise
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def put(unit: Unit, renewal: Renewal) -> None:
    """Save a step inside a transaction, which is rolled back where somebody else has the renewal."""
    if not await unit.renewals.save(renewal):
        raise TakenOver


def why_unwanted(subscription: Subscription, renewal: Renewal) -> tuple[RenewalReason, str] | None:
    """Why a period without a charge is not renewed any more; None where it is."""
    if renewal.reason is RenewalReason.SKIPPED and not renewal.status.final:
        return RenewalReason.SKIPPED, renewal.reason_text or "it was skipped"
    match subscription.status:
        case SubscriptionStatus.ENDED:
            return RenewalReason.ENDED, "the subscription has ended"
        case SubscriptionStatus.ENDING if subscription.ends_on is not None and renewal.due >= subscription.ends_on:
            return RenewalReason.ENDED, f"the subscription ends on {subscription.ends_on}"
        case SubscriptionStatus.HELD:
            return RenewalReason.HELD, "the subscription is on hold"
        case SubscriptionStatus.PAUSED if renewal.failed_on is None:
            until = subscription.paused_until
            return None if until is not None and renewal.due >= until else (RenewalReason.PAUSED, "it is paused")
        case _:
            return None


async def step(deps: Deps, work: Work, renewal: Renewal) -> Work:
    """Store a step and go on with it."""
    renewal = replace(renewal, lease_until=lease_end(deps))
    async with deps.store.begin() as unit:
        await put(unit, renewal)
    return replace(work, renewal=renewal)


def rested(renewal: Renewal, until: datetime | None) -> Renewal:
    """Given back, to be looked at again at that time; never where it is final."""
    return replace(renewal, next_attempt_at=None if renewal.status.final else until, lease_until=None, failures=0)


def entry(deps: Deps, before: Renewal, after: Renewal) -> AuditEntry:
    """What the audit says of a step, under the agreement's id."""
    why = ": ".join(part for part in (after.reason, after.reason_text) if part)
    return AuditEntry(
        before.shop,
        system(before.shop).actor,
        f"renewal.{after.status.lower()}",
        before.agreement_id,
        deps.clock(),
        f"period {before.period} {before.status}",
        f"period {after.period} {after.status}",
        why,
    )


def facts(work: Work, **more: str | int | None) -> dict[str, str | int | None]:
    """What a notice says of a renewal."""
    renewal = work.renewal
    amount = renewal.amount
    return {
        "renewal": renewal.id,
        "period": renewal.period,
        "due": renewal.due.isoformat(),
        "order": renewal.order,
        "order_number": renewal.order_number,
        "amount": amount.minor if amount else None,
        "currency": amount.currency.value if amount else None,
        "attempt": renewal.attempt,
        **more,
    }


async def settle(
    deps: Deps, work: Work, after: Renewal, *notices: tuple[NoticeKind, dict[str, str | int | None], str]
) -> Work:
    """Store where a renewal has come to, with the notices of it, in one transaction."""
    before = work.renewal
    async with deps.store.begin() as unit:
        await put(unit, after)
        await unit.audit.add([entry(deps, before, after)])
        told = [
            await note(unit, deps, work.account, kind, work.subscription, data, f"{after.id}/{key}")
            for kind, data, key in notices
        ]
    await soon(deps, after.shop, *told)
    if before.reason in PROBLEMS and (after.status.final or after.reason is not before.reason):
        await went_away(deps, work.installation, before.reason)
    return replace(work, renewal=after)


async def wait(deps: Deps, work: Work, hindered: Hindered) -> None:
    """No charge: the row names the reason, staff see a problem, and it is tried again tomorrow."""
    after = replace(
        work.renewal,
        status=RenewalStatus.WAITING,
        reason=hindered.reason,
        reason_text=hindered.text,
        charge_row=None,
        hindered_on=work.renewal.hindered_on or local_day(deps, work.account),
    )
    data = facts(work, reason=hindered.reason.value, text=hindered.text)
    await settle(
        deps,
        work,
        rested(after, deps.clock() + _DAY),
        (NoticeKind.RENEWAL_WAITING, data, f"waiting/{after.attempt}/{hindered.reason}"),
    )
    await problem(deps, work, hindered.reason, hindered.text)


async def problem(deps: Deps, work: Work, reason: RenewalReason, text: str) -> None:
    """Tell staff in Saleor. That it cannot be told is no reason to stop."""
    renewal = work.renewal
    message = f"Agreement {renewal.agreement_id}, period {renewal.period}, due {renewal.due}: {reason}. {text}"
    with suppress(ProviderError):
        await deps.shop.raise_problem(work.installation, PROBLEM_KEY + reason, message)


async def went_away(deps: Deps, installation: Installation, reason: RenewalReason) -> None:
    """Take the problem back when no renewal of the shop waits for that reason any more."""
    async with deps.store.begin() as unit:
        left: Sequence[Renewal] = [
            *await unit.renewals.of_status(installation.shop, RenewalStatus.WAITING, reason, 1),
            *await unit.renewals.of_status(installation.shop, RenewalStatus.COLLECTED, reason, 1),
        ]
    if not left:
        with suppress(ProviderError):
            await deps.shop.dismiss_problem(installation, PROBLEM_KEY + reason)


async def later(deps: Deps, renewal: Renewal, error: RecurringError) -> None:
    """What stood in the way may go away by itself: tried again soon, and given up for a person in the end."""
    failures = renewal.failures + 1
    dead = None
    if failures >= deps.limits.inbox_attempts:
        dead = f"given up after {failures} attempts: {error.message}"
    at = next_attempt(deps, failures, renewal.created_at, error)
    async with deps.store.begin() as unit:
        # Steps may have been stored since it was claimed, and they stay.
        current = await unit.renewals.get(renewal.shop, renewal.id)
        if current is None or current.attempts != renewal.attempts or current.status.final:
            return
        failed = replace(rested(current, None if dead else at), failures=failures, dead=dead)
        if not await unit.renewals.save(failed):
            return
        what = AuditEntry(
            renewal.shop,
            system(renewal.shop).actor,
            "renewal.delayed",
            renewal.agreement_id,
            deps.clock(),
            before=f"period {renewal.period} {renewal.status}",
            reason=dead or error.message,
        )
        await unit.audit.add([what])
    if dead is None:
        await deps.jobs.enqueue(Job.RENEW, renewal.shop, [renewal.id], after=at - deps.clock())
