"""Drafts of pay links that Vipps has and our database does not, because it was restored from a backup of before them.

Whoever is about to have a failed period paid looks first: its customer may have paid it there.
"""

from dataclasses import replace

from app.domain.account import Account, ApiVersion
from app.domain.agreement import Agreement
from app.domain.errors import Misconfigured, ProviderError, Unavailable
from app.domain.limits import FIND_CHARGE
from app.domain.provider import SeenAgreement
from app.domain.records import AuditEntry
from app.domain.recovery import Recovery, RecoveryStatus, order_id_of, recovery_id
from app.domain.renewal import RenewalStatus
from app.usecases.known import found_agreement, merge_agreement
from app.usecases.permits import require_permit, told_to_wait
from app.usecases.ports import Deps, Job, Unit
from app.usecases.recoveries import ACTOR
from app.usecases.renewal_work import Work, put, rested

_AHEAD = 3  # a draft that Vipps refused has used its number up, and is not there


async def next_number(unit: Unit, work: Work) -> int:
    """Of the period's next draft."""
    newest = await unit.recoveries.newest(work.renewal.shop, work.renewal.id)
    return newest.number + 1 if newest else 1


async def found_again(deps: Deps, work: Work) -> bool:
    """Whether there was such a draft. Then it is the period's again, which is about to be looked at for it."""
    renewal = work.renewal
    if renewal.attempt == 0:
        return False  # nothing of it has failed, so it never had a link
    async with deps.store.begin() as unit:
        first = await next_number(unit, work)
    for number in range(first, first + _AHEAD):
        agreement_id = await _agreement_of(deps, work.account, order_id_of(recovery_id(renewal.id, number)))
        if agreement_id is not None:
            seen = await deps.provider(work.account).get_agreement(agreement_id)
            await _adopt(deps, work, number, seen)
            await deps.jobs.enqueue(Job.RENEW, renewal.shop, [renewal.id])
            return True
    return False


async def _agreement_of(deps: Deps, account: Account, order_id: str) -> str | None:
    """None, too, where a v2 account's keys do not open v3, which alone can look: its periods would never be paid."""
    await require_permit(deps, account, FIND_CHARGE)
    try:
        return await deps.provider(account).agreement_of(order_id)
    except Misconfigured:
        if account.api_version is ApiVersion.V2:
            return None
        raise
    except ProviderError as error:
        await told_to_wait(deps, account, FIND_CHARGE, error)
        raise


async def _adopt(deps: Deps, work: Work, number: int, seen: SeenAgreement) -> None:
    renewal, now = work.renewal, deps.clock()
    async with deps.store.begin() as unit:
        row = await _its_row(unit, deps, work, recovery_id(renewal.id, number), seen)
        recovery = Recovery(
            id=row.id,
            shop=renewal.shop,
            account_id=renewal.account_id,
            subscription_id=renewal.subscription_id,
            renewal_id=renewal.id,
            number=number,
            amount=renewal.amount or work.agreement.price,
            status=RecoveryStatus.OPEN,
            created_at=now,
            resume_at=None if renewal.status.final else renewal.next_attempt_at or now,
        )
        if not await unit.recoveries.add(recovery):
            raise Unavailable("another period of the subscription is being paid; it is looked at again", retry_after=5)
        await put(unit, rested(replace(renewal, status=RenewalStatus.WAITING, dead=None), now))
        reason = f"period {renewal.period}, agreement {seen.agreement_id} is {seen.status}"
        await unit.audit.add(
            [AuditEntry(renewal.shop, ACTOR, "recovery.found", renewal.agreement_id, now, reason=reason)]
        )


async def _its_row(unit: Unit, deps: Deps, work: Work, row_id: str, seen: SeenAgreement) -> Agreement:
    """The agreement as the customer's own: whoever came across it meanwhile did not know whose it is."""
    old, now = work.agreement, deps.clock()
    met = await unit.agreements.get(old.shop, seen.agreement_id, lock=True)
    if met is not None:
        theirs = replace(merge_agreement(met, seen, now), customer=old.customer)
        await unit.agreements.save(theirs)
        return theirs
    found = replace(found_agreement(work.account, row_id, seen, now), customer=old.customer)
    if not await unit.agreements.add(found):
        raise Unavailable(f"agreement {seen.agreement_id} is being stored by somebody else", retry_after=5)
    return found
