"""What a customer may do to an agreement by its link: what is offered, what it will mean, and doing it once."""

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from enum import StrEnum

from app.domain.account import Caller, link_holder
from app.domain.agreement import AgreementStatus
from app.domain.errors import Duplicate, IllegalState, InvalidInput
from app.domain.money import Money
from app.domain.subscription import Subscription, SubscriptionStatus
from app.usecases.customer_page import CustomerPage, NextPayment, customer_page, next_day
from app.usecases.periods import (
    ending,
    first_movable,
    left_out,
    may_be_taken_back,
    skipped_already,
    upcoming_of,
)
from app.usecases.ports import Deps
from app.usecases.receipts import ReceiptState
from app.usecases.subscriptions import CancelAt, cancel, move, pause, resume, skip

_LONGEST_PAUSE = timedelta(days=365)


class Action(StrEnum):
    """END is at the end of the paid period, CANCEL at once."""

    SKIP = "skip"
    MOVE = "move"
    PAUSE = "pause"
    RESUME = "resume"
    END = "end"
    CANCEL = "cancel"


@dataclass(frozen=True, slots=True)
class Consequence:
    """What will have happened. `day` is the day that was chosen, or the one that it is about; `next` when the next
    payment comes; `charged` what Vipps has already and collects all the same; `reserved` what is collected by it.
    """

    day: date | None = None
    before: date | None = None
    next: date | None = None
    charged: NextPayment | None = None
    reserved: Money | None = None


def offered(page: CustomerPage) -> Sequence[Action]:
    """What can be done now, in the order in which it is shown: what ends it last."""
    if page.agreement.status is not AgreementStatus.ACTIVE:
        return ()
    it = page.subscription
    if it is None or it.status is SubscriptionStatus.ENDED:
        return (Action.CANCEL,)
    match it.status:
        case SubscriptionStatus.ACTIVE:
            moves = [name for name, can in ((Action.SKIP, _can_skip(page)), (Action.MOVE, _can_move(page))) if can]
            return (*moves, Action.PAUSE, Action.END, Action.CANCEL)
        case SubscriptionStatus.PAUSED:
            return (Action.RESUME, Action.END, Action.CANCEL)
        case SubscriptionStatus.ENDING if (it.ends_on or page.today) > page.today and it.reason is None:
            return (Action.RESUME, Action.CANCEL)
        case _:
            return (Action.CANCEL,)


def _can_skip(page: CustomerPage) -> bool:
    if upcoming_of(page.renewals, page.today) is None:
        return skipped_already(page.renewals, page.today) is None
    return page.next is not None and may_be_taken_back(page.next.charge)


def _can_move(page: CustomerPage) -> bool:
    first, last = choosable(page, Action.MOVE)
    return upcoming_of(page.renewals, page.today) is None and first <= last


def choosable(page: CustomerPage, action: Action) -> tuple[date, date]:
    """The first and the last day that may be chosen."""
    it = _subscription(page)
    if action is Action.MOVE:
        return first_movable(page.account, page.today), it.plan.after(it.next_due, 1)
    return page.today + timedelta(days=1), page.today + _LONGEST_PAUSE


def check_day(page: CustomerPage, action: Action, day: date | None) -> None:
    """Raises InvalidInput where the action needs another day, or takes none."""
    if action is Action.PAUSE and day is None:
        return
    if action not in {Action.PAUSE, Action.MOVE}:
        if day is not None:
            raise InvalidInput("this takes no day", field="day")
        return
    first, last = choosable(page, action)
    if day is None or not first <= day <= last:
        raise InvalidInput(f"a day from {first} to {last} is needed", field="day")


def consequence(page: CustomerPage, action: Action, day: date | None) -> Consequence:
    """What the action would do to what the page shows; the action is offered, and the day checked."""
    if action is Action.CANCEL:
        return Consequence(reserved=_reserved(page))
    it, upcoming = _subscription(page), upcoming_of(page.renewals, page.today)
    due = upcoming.due if upcoming is not None else it.next_due
    charged = page.next if page.next is not None and page.next.charge is not None else None
    match action:
        case Action.SKIP:
            following = it.next_due if upcoming is not None else it.schedule.due(it.next_period + 1)
            return Consequence(due, next=following)
        case Action.MOVE:
            return Consequence(day, before=due)
        case Action.PAUSE:
            planned = due if upcoming is not None and charged is None and day is not None and due >= day else None
            later = next_day(replace(it, status=SubscriptionStatus.PAUSED, paused_until=day))
            return Consequence(day, next=planned or later, charged=charged)
        case Action.END:
            return Consequence(ending(it, upcoming).ends_on, charged=charged)
        case Action.RESUME:
            return Consequence(next=_after_resuming(page, it), charged=charged)


def _after_resuming(page: CustomerPage, it: Subscription) -> date:
    revived = [row.due for row in left_out(it, page.renewals, page.today)]
    return min([*revived, it.schedule.due(it.schedule.first_from(page.today, it.next_period))])


def _reserved(page: CustomerPage) -> Money | None:
    held = [it.amount for it in page.receipts if it.state is ReceiptState.RESERVED and it.amount is not None]
    return replace(held[0], minor=sum(it.minor for it in held)) if held else None


def _subscription(page: CustomerPage) -> Subscription:
    if page.subscription is None:
        raise IllegalState("there is no subscription on this agreement", field="agreementId")
    return page.subscription


def mark(page: CustomerPage) -> str:
    """Tells one state of the agreement from another: whatever an action would change, or was decided on."""
    it, upcoming = page.subscription, upcoming_of(page.renewals, page.today)
    seen = (
        page.agreement.id,
        page.agreement.status,
        it and (it.version, it.status),
        upcoming and (upcoming.period, upcoming.status, upcoming.reason, upcoming.charge_row),
        page.next and page.next.charge and page.next.charge.status,
        len(page.renewals),
    )
    return hashlib.sha256(repr(seen).encode()).hexdigest()[:32]


async def act(deps: Deps, row_id: str, number: int, action: Action, day: date | None, seen: str) -> None:
    """Do it as the owner would, once.

    `seen` is the mark of the page on which it was confirmed. Raises Duplicate where that is old, because it was done
    already perhaps; NotFound where the link was revoked; and what stands in the way.
    """
    async with deps.turns.of(f"my {row_id}"):
        page = await customer_page(deps, row_id, number)
        if mark(page) != seen or action not in offered(page):
            raise Duplicate("this was done already, or something changed since it was looked at; nothing was done")
        check_day(page, action, day)
        agreement_id = page.agreement.agreement_id or ""
        await _WORK[action](deps, link_holder(page.agreement.shop, row_id, agreement_id), agreement_id, day)


Work = Callable[[Deps, Caller, str, date | None], Awaitable[None]]


async def _skip(deps: Deps, caller: Caller, agreement_id: str, _day: date | None) -> None:
    _ = (await skip(deps, caller, [agreement_id])).items[0].answer


async def _move(deps: Deps, caller: Caller, agreement_id: str, day: date | None) -> None:
    if day is None:
        raise InvalidInput("which day?", field="day")
    await move(deps, caller, agreement_id, day)


async def _pause(deps: Deps, caller: Caller, agreement_id: str, day: date | None) -> None:
    _ = (await pause(deps, caller, [agreement_id], day)).items[0].answer


async def _resume(deps: Deps, caller: Caller, agreement_id: str, _day: date | None) -> None:
    _ = (await resume(deps, caller, [agreement_id])).items[0].answer


async def _end(deps: Deps, caller: Caller, agreement_id: str, _day: date | None) -> None:
    _ = (await cancel(deps, caller, [agreement_id], CancelAt.PERIOD_END)).items[0].answer


async def _cancel(deps: Deps, caller: Caller, agreement_id: str, _day: date | None) -> None:
    _ = (await cancel(deps, caller, [agreement_id], CancelAt.NOW)).items[0].answer


_WORK: dict[Action, Work] = {
    Action.SKIP: _skip,
    Action.MOVE: _move,
    Action.PAUSE: _pause,
    Action.RESUME: _resume,
    Action.END: _end,
    Action.CANCEL: _cancel,
}
