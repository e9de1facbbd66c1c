"""Sending stored charges many at a time: one by one on v2, in one request on v3, within the merchant's rate limit."""

import asyncio
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from app.domain.account import Account
from app.domain.charge import Charge
from app.domain.errors import OutcomeUnknown, ProviderError, RecurringError, Rejected
from app.domain.limits import CREATE_CHARGE
from app.domain.operation import key_for
from app.domain.provider import ChargeBatches
from app.usecases.batches import pour, unforeseen
from app.usecases.permits import permitted, told_to_wait
from app.usecases.ports import Deps, Job
from app.usecases.retries import today
from app.usecases.sending import (
    ALWAYS_THE_SAME,
    Sent,
    being_made,
    held,
    later,
    lease_end,
    rejected,
    request_for,
    send_again,
    store_sent,
)

_FIRST_REPEAT = 2


async def send_chunk(deps: Deps, shop: str, charge_row_ids: Sequence[str]) -> int:
    """Send those of the charges that are open and due and that nobody else holds; how many were taken up.

    A chunk that runs twice does nothing twice: rows are claimed as their turn comes, and their outcomes are stored in
    small groups, so that a rerun finds only what has none.
    """
    async with deps.store.begin() as unit:
        accounts = {account.id: account for account in await unit.accounts.of_shop(shop)}
        open_ = await unit.charges.open_of(shop, charge_row_ids)
    taken = 0
    for account_id in dict.fromkeys(it.account_id for it in open_):
        mine = [it for it in open_ if it.account_id == account_id]
        account = accounts.get(account_id)
        few = deps.limits.concurrency * 2
        for ids in _pieces([it.id for it in mine if it.accepted_at is not None], few):
            taken += await _look_for(deps, shop, account, ids)
        batches = _batches(deps, account)
        for ids in _pieces([it.id for it in mine if it.accepted_at is None], batches.largest if batches else few):
            taken += await _send_some(deps, shop, account, ids, batches)
    return taken


def _pieces(ids: Sequence[str], size: int) -> Iterable[Sequence[str]]:
    return (ids[start : start + size] for start in range(0, len(ids), size))


async def _look_for(deps: Deps, shop: str, account: Account | None, ids: Sequence[str]) -> int:
    """What Vipps has accepted already is looked for, which takes no place under the limit."""
    async with deps.store.begin() as unit:
        claimed = await unit.charges.claim_all(shop, ids, deps.clock(), lease_end(deps))
    if claimed:
        async with held(deps, claimed):
            await _one_by_one(deps, account, claimed, permitted=False)
    return len(claimed)


def _batches(deps: Deps, account: Account | None) -> ChargeBatches | None:
    try:
        return deps.provider(account).batches if account else None
    except ProviderError:
        return None  # each charge is told what is wrong with the account when its turn comes


async def _send_some(
    deps: Deps, shop: str, account: Account | None, ids: Sequence[str], batches: ChargeBatches | None
) -> int:
    if account is not None:
        granted = await permitted(deps, account, CREATE_CHARGE, len(ids))
        if granted.count < len(ids):
            await _postpone(deps, shop, ids[granted.count :], timedelta(seconds=granted.wait))
        ids = ids[: granted.count]
    if not ids:
        return 0
    batch_id = str(uuid.uuid4()) if batches and len(ids) > 1 else None
    async with deps.store.begin() as unit:
        claimed = await unit.charges.claim_all(shop, ids, deps.clock(), lease_end(deps), batch_id)
    if not claimed:
        return 0
    async with held(deps, claimed):
        await _send_claimed(deps, account, claimed, batches, batch_id)
    return len(claimed)


async def _send_claimed(
    deps: Deps, account: Account | None, claimed: Sequence[Charge], batches: ChargeBatches | None, batch_id: str | None
) -> None:
    alone = [it for it in claimed if it.batch_id is None or it.batch_id != batch_id]
    together = [it for it in claimed if batch_id is not None and it.batch_id == batch_id]
    if account is not None and batches is not None:
        if together:
            await _send_batch(deps, account, batches, together)
        for earlier in dict.fromkeys(it.batch_id for it in alone if _to_repeat(deps, it)):
            again = [it for it in alone if it.batch_id == earlier]
            alone = [it for it in alone if it.batch_id != earlier]
            await _send_batch(deps, account, batches, again)
    if alone:
        await _one_by_one(deps, account, alone, permitted=True)


async def _one_by_one(deps: Deps, account: Account | None, charges: Sequence[Charge], *, permitted: bool) -> None:
    async def send(charge: Charge) -> Sent:
        return await send_again(deps, account, charge, permitted=permitted)

    async def keep(group: list[Sent]) -> None:
        await asyncio.shield(store_sent(deps, group))

    await pour(charges, send, keep, deps.limits.concurrency)


def _to_repeat(deps: Deps, charge: Charge) -> bool:
    """A batch without an answer is sent once more as it was; then each of its charges goes its own way."""
    unanswered = charge.batch_id is not None and charge.accepted_at is None and charge.attempts == _FIRST_REPEAT
    return unanswered and charge.due > today(deps)


async def _send_batch(deps: Deps, account: Account, batches: ChargeBatches, charges: Sequence[Charge]) -> None:
    """One request for all; the whole batch as it was stored is sent, whatever became of some of it meanwhile."""
    batch_id = charges[0].batch_id or ""
    async with deps.store.begin() as unit:
        whole = await unit.charges.of_batch(charges[0].shop, batch_id)
    requests = [request_for(it) for it in whole]
    try:
        answers = await batches.create_charges(requests, key=key_for("create-charges", batch_id))
    except ProviderError as error:
        await told_to_wait(deps, account, CREATE_CHARGE, error)
        await store_sent(deps, _together([_unanswered(deps, it, error) for it in charges]))
    except Exception as error:  # noqa: BLE001  # the rows stay open whatever it was
        bug = unforeseen(deps, error)
        await store_sent(deps, _together([later(deps, it, bug) for it in charges]))
    else:
        await asyncio.shield(store_sent(deps, [_answered(deps, it, answers) for it in charges]))


def _together(sent: Sequence[Sent]) -> Sequence[Sent]:
    """All at the same time again: one job repeats the batch, and not one for each of its charges."""
    at = max((it.charge.next_attempt_at for it in sent if it.charge.next_attempt_at), default=None)
    return [it if it.charge.dead else replace(it, charge=replace(it.charge, next_attempt_at=at)) for it in sent]


def _unanswered(deps: Deps, charge: Charge, error: RecurringError) -> Sent:
    """A refusal of the whole batch says nothing about one of its charges: each goes its own way, with a look first."""
    return later(deps, charge, OutcomeUnknown(error.message) if isinstance(error, Rejected) else error)


def _answered(deps: Deps, charge: Charge, answers: Mapping[str, Rejected | None]) -> Sent:
    if charge.order_id not in answers:
        return later(deps, charge, OutcomeUnknown("Vipps' answer does not name this charge; it is looked for"))
    error = answers[charge.order_id]
    if error is None:
        return being_made(deps, charge)
    if charge.attempts > 1 or charge.origin in ALWAYS_THE_SAME:
        # It may have been made by an attempt whose answer was lost, or before the database was restored from a backup:
        # looked for before a no is believed.
        return later(deps, charge, OutcomeUnknown(error.message))
    return rejected(deps, charge, error)


async def _postpone(deps: Deps, shop: str, ids: Sequence[str], wait: timedelta) -> None:
    at = deps.clock() + wait
    async with deps.store.begin() as unit:
        await unit.charges.wait_until(shop, ids, at)
    await deps.jobs.enqueue(Job.CHARGE_CHUNK, shop, ids, after=wait)
