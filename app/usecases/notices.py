"""Notices: stored with what they tell of, sent to the shop's own endpoint until it takes them."""

import uuid
from collections.abc import Mapping
from dataclasses import replace

from app.domain.account import Account
from app.domain.errors import ProviderError, RecurringError, Rejected
from app.domain.notice import Notice, NoticeKind
from app.domain.subscription import Subscription
from app.usecases.batches import unforeseen
from app.usecases.ports import Deps, Job, Unit
from app.usecases.retries import given_up, next_attempt
from app.usecases.sending import lease_end

_NOTICES = uuid.UUID("3f1e6a52-8b7d-5c1e-9d43-6a0b7c2f58d1")


async def note(
    unit: Unit,
    deps: Deps,
    account: Account,
    kind: NoticeKind,
    subscription: Subscription,
    data: Mapping[str, str | int | None],
    key: str,
) -> str | None:
    """Store a notice in the transaction of what it tells of; its id for `Job.NOTICE`, or None where nobody listens.

    The same `key` is the same news, and is told once.
    """
    if account.notify_url is None:
        return None
    agreement = await unit.agreements.by_row(subscription.shop, subscription.id)
    link = {"manage_url": deps.my_url(agreement.id, agreement.link_number)} if agreement else {}
    notice = Notice(
        id=str(uuid.uuid5(_NOTICES, f"{subscription.shop} {subscription.id} {kind} {key}")),
        shop=subscription.shop,
        account_id=account.id,
        kind=kind,
        subscription_id=subscription.id,
        data={"agreement": subscription.agreement_id, **link, **data},
        created_at=deps.clock(),
    )
    return notice.id if await unit.notices.add(notice) else None


async def soon(deps: Deps, shop: str, *notice_ids: str | None) -> None:
    """Have what was stored sent; the sweeper would find it too."""
    for notice_id in notice_ids:
        if notice_id is not None:
            await deps.jobs.enqueue(Job.NOTICE, shop, [notice_id])


async def send_notice(deps: Deps, shop: str, notice_id: str) -> None:
    async with deps.store.begin() as unit:
        notice = await unit.notices.claim(shop, notice_id, deps.clock(), lease_end(deps))
        account = await unit.accounts.get(shop, notice.account_id) if notice else None
    if notice is None:
        return
    if account is None or account.notify_url is None:
        # Nobody listens any more.
        await _done(deps, notice)
        return
    try:
        await deps.notifier.send(account, notice)
    except Rejected as error:
        await _again(deps, notice, error, f"the endpoint refused it: {error.message}")
    except ProviderError as error:
        await _again(deps, notice, error, given_up(deps, notice.attempts, error))
    except Exception as error:  # noqa: BLE001  # the row must not be lost to a mistake of ours
        bug = unforeseen(deps, error)
        await _again(deps, notice, bug, given_up(deps, notice.attempts, bug))
    else:
        await _done(deps, notice)


async def _done(deps: Deps, notice: Notice) -> None:
    async with deps.store.begin() as unit:
        await unit.notices.done(notice.shop, notice.id)


async def _again(deps: Deps, notice: Notice, error: RecurringError, dead: str | None) -> None:
    now = deps.clock()
    at = None if dead else next_attempt(deps, notice.attempts, notice.created_at, error)
    async with deps.store.begin() as unit:
        await unit.notices.retry(replace(notice, next_attempt_at=at, lease_until=None, dead=dead))
    if at is not None:
        await deps.jobs.enqueue(Job.NOTICE, notice.shop, [notice.id], after=at - now)
