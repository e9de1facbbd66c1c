"""Which work each kind of job does, and what is done by the clock."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from app.domain.account import Account
from app.domain.errors import RecurringError
from app.jobs.engine import Engine, Handler
from app.usecases.day_totals import total_days
from app.usecases.drafts import follow_draft
from app.usecases.following import follow_up, notify_shop, report_all, send_charges, start_all
from app.usecases.inbox import apply_inbox
from app.usecases.nightly import check_all_webhooks, look_at_shops, reconcile_all, tidy
from app.usecases.notices import send_notice
from app.usecases.operations import resume_operation
from app.usecases.planning import Planned, plan
from app.usecases.ports import Deps, Job
from app.usecases.reconciliation import Reconciliation
from app.usecases.registrations import WebhookState
from app.usecases.renewals import renew_all
from app.usecases.sweep import ACTOR, Swept, sweep
from app.usecases.watchdog import Gap, watch

ObjectId = Callable[[str], str | None]


def handlers(deps: Deps, object_id: ObjectId) -> Mapping[Job, Handler]:
    """`object_id` reads the id that a Saleor event is about out of its body."""

    async def apply(shop: str, ids: Sequence[str]) -> None:
        for row_id in ids:
            await apply_inbox(deps, object_id, shop, row_id)

    async def operate(shop: str, ids: Sequence[str]) -> None:
        for row_id in ids:
            await resume_operation(deps, shop, row_id)

    async def draft(shop: str, ids: Sequence[str]) -> None:
        for row_id in ids:
            with suppress(RecurringError):  # the next look is on its way, and behind it the sweeper
                await follow_draft(deps, shop, row_id, ACTOR)

    async def tell(shop: str, ids: Sequence[str]) -> None:
        for row_id in ids:
            await send_notice(deps, shop, row_id)

    return {
        Job.APPLY_INBOX: apply,
        Job.CHARGE_CHUNK: partial(send_charges, deps),
        Job.OPERATION: operate,
        Job.FOLLOW_DRAFT: draft,
        Job.FOLLOW_UP: partial(follow_up, deps),
        Job.NOTIFY_SHOP: partial(notify_shop, deps),
        Job.START: partial(start_all, deps),
        Job.REPORT: partial(report_all, deps),
        Job.RENEW: partial(renew_all, deps),
        Job.NOTICE: tell,
    }


@dataclass(frozen=True, slots=True)
class Told:
    """Who hears what came of the work by the clock."""

    swept: Callable[[Swept], None]
    reconciled: Callable[[Reconciliation], None]
    webhooks: Callable[[Account, WebhookState], None]
    planned: Callable[[Planned], None]
    watched: Callable[[Sequence[Gap]], None]


def register(engine: Engine, deps: Deps, object_id: ObjectId, app_url: str, told: Told) -> None:
    for kind, handler in handlers(deps, object_id).items():
        engine.on(kind, handler)

    async def minute() -> None:
        told.swept(await sweep(deps))

    async def renewals() -> None:
        told.planned(await plan(deps))

    async def hour() -> None:
        await engine.forget_done()

    async def night() -> None:
        await look_at_shops(deps)
        await check_all_webhooks(deps, app_url, told.webhooks)
        await reconcile_all(deps, told.reconciled)
        told.watched(await watch(deps))
        await total_days(deps)
        await tidy(deps)

    engine.schedule("sweep", "* * * * *", minute)
    engine.schedule("plan-renewals", "*/10 * * * *", renewals)
    engine.schedule("forget-done", "7 * * * *", hour)
    engine.schedule("reconcile", "30 1 * * *", night)
