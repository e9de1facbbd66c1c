"""Applying stored webhooks, Saleor's and Vipps': once, or again later where the other side could not be reached."""

from collections.abc import Callable

from app.domain.errors import Misconfigured, OutcomeUnknown, RecurringError, Unavailable
from app.domain.records import InboxEntry
from app.usecases.batches import unforeseen
from app.usecases.installations import APP_DELETED, ORDER_EVENTS, forget, installed
from app.usecases.notifications import SOURCE as VIPPS
from app.usecases.notifications import apply_vipps
from app.usecases.orders import charge_order
from app.usecases.ports import Deps, Job
from app.usecases.renewals import order_changed
from app.usecases.retries import next_attempt
from app.usecases.sending import lease_end


async def apply_inbox(deps: Deps, object_id: Callable[[str], str | None], shop: str, entry_id: str) -> None:
    """`object_id` reads the id that a Saleor event is about out of its body."""
    async with deps.store.begin() as unit:
        entry = await unit.inbox.claim(shop, entry_id, deps.clock(), lease_end(deps))
    if entry is None:
        return
    try:
        result = await (apply_vipps(deps, entry) if entry.source == VIPPS else _apply(deps, entry, object_id))
    except (Unavailable, OutcomeUnknown, Misconfigured) as error:
        await _again(deps, entry, error)
    except RecurringError as error:
        await _done(deps, entry, f"{error.code}: {error.message}")
    except Exception as error:  # noqa: BLE001  # the row must not be lost to a mistake of ours
        await _again(deps, entry, unforeseen(deps, error))
    else:
        await _done(deps, entry, result)


async def _done(deps: Deps, entry: InboxEntry, result: str) -> None:
    async with deps.store.begin() as unit:
        await unit.inbox.done(entry.shop, entry.id, deps.clock(), result)


async def _again(deps: Deps, entry: InboxEntry, error: RecurringError) -> None:
    now, dead = deps.clock(), entry.attempts >= deps.limits.inbox_attempts
    at = next_attempt(deps, entry.attempts, entry.received_at, error)
    async with deps.store.begin() as unit:
        if dead:
            reason = f"given up after {entry.attempts} attempts: {error.message}"
            await unit.inbox.dead(entry.shop, entry.id, now, reason)
        else:
            await unit.inbox.retry(entry.shop, entry.id, at, error.message)
    if not dead:
        await deps.jobs.enqueue(Job.APPLY_INBOX, entry.shop, [entry.id], after=at - now)


async def _apply(deps: Deps, entry: InboxEntry, object_id: Callable[[str], str | None]) -> str:
    about = object_id(entry.body)
    if entry.event == APP_DELETED:
        return await forget(deps, entry.shop, about)
    if entry.event not in ORDER_EVENTS:
        return "stored; no rule asks for more"
    if about is None:
        return "the event names no order"
    if await order_changed(deps, entry.shop, about):
        return "a renewal's order; the renewal is looked at"
    return await charge_order(deps, await installed(deps, entry.shop), about)
