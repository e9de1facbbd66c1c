"""Links by which a customer manages an agreement: given to whoever may change it anyway, sent, and revoked."""

from collections.abc import Sequence

from app.domain.account import Caller, Scope
from app.domain.agreement import Agreement, AgreementChanges, AgreementStatus
from app.domain.batch import BatchResult, check_size
from app.domain.errors import (
    Forbidden,
    IllegalState,
    NotFound,
    OutcomeUnknown,
    Overtaken,
    ProviderError,
    RecurringError,
)
from app.domain.notice import NoticeKind
from app.domain.operation import OperationKind
from app.domain.records import AuditEntry
from app.usecases.batches import each_once
from app.usecases.known import find_agreements, refresh_agreement
from app.usecases.notices import note, soon
from app.usecases.operations import new_operation, perform, request_of
from app.usecases.pay_links import is_payable
from app.usecases.ports import Deps


def manage_url(deps: Deps, caller: Caller, row_id: str, number: int) -> str | None:
    """The link of an agreement that the caller was shown. Who may only look is given none: it lets cancel."""
    return deps.my_url(row_id, number) if Scope.AGREEMENTS_WRITE in caller.rights else None


async def send_link(deps: Deps, caller: Caller, agreement_id: str, key: str) -> bool:
    """Have the shop's e-mail app send the customer the link, with that of an unpaid period where one can be paid.

    The same `key` is the same wish: False where it was told of before.
    """
    caller.require(Scope.AGREEMENTS_WRITE)
    if caller.own_only:
        raise Forbidden("only the shop has links sent; ask it to")
    async with deps.store.begin() as unit:
        agreement = await unit.agreements.get(caller.shop, agreement_id)
        subscription = await unit.subscriptions.get(caller.shop, agreement.id) if agreement else None
        account = await unit.accounts.get(caller.shop, agreement.account_id) if agreement else None
        if subscription is None or account is None:
            raise NotFound(f"no subscription on agreement {agreement_id:.60}", field="agreementId")
        if account.notify_url is None:
            raise IllegalState("no e-mail app of the shop listens: set its address on the account", field="agreementId")
        periods = await unit.renewals.of_subscription(caller.shop, subscription.id)
        unpaid = next((it for it in reversed(periods) if is_payable(it, subscription, periods)), None)
        data = {"pay_url": deps.pay_url(unpaid.id) if unpaid else None}
        told = await note(unit, deps, account, NoticeKind.LINK, subscription, data, key)
        if told is not None:
            what = AuditEntry(caller.shop, caller.actor, "agreement.link_sent", agreement_id, deps.clock())
            await unit.audit.add([what])
    await soon(deps, caller.shop, told)
    return told is not None


async def revoke_links(deps: Deps, caller: Caller, ids: Sequence[str]) -> BatchResult[Agreement]:
    """All links of these agreements open nothing any more. Vipps is given a new one where it had ours."""
    _require_shop(caller)
    check_size(ids, deps.limits.max_sync_batch)
    found = await find_agreements(deps, caller, list(dict.fromkeys(ids)))

    async def one(agreement_id: str) -> Agreement:
        row = found[agreement_id]
        if isinstance(row, RecurringError):
            raise row
        return await _told(deps, caller, await _revoked(deps, caller, row))

    return await each_once(deps, ids, one, "revoked once")


async def replace_link(deps: Deps, caller: Caller, agreement_id: str, seen: int) -> Agreement:
    """As `revoke_links`, for whoever saw the link of this number: it is replaced once, however often they send it."""
    _require_shop(caller)
    row = (await find_agreements(deps, caller, [agreement_id]))[agreement_id]
    if isinstance(row, RecurringError):
        raise row
    return await _told(deps, caller, await _revoked(deps, caller, row, seen))


def _require_shop(caller: Caller) -> None:
    caller.require(Scope.AGREEMENTS_WRITE)
    if caller.own_only:
        raise Forbidden("only the shop revokes links; ask it to")


async def _revoked(deps: Deps, caller: Caller, row: Agreement, seen: int | None = None) -> Agreement:
    async with deps.store.begin() as unit:
        if not await unit.agreements.revoke_links(row.shop, row.id, seen):
            raise Overtaken("the link was replaced already; nothing was done a second time", field="agreementId")
        after = await unit.agreements.by_row(row.shop, row.id) or row
        numbers = f"link {after.link_number - 1}", f"link {after.link_number}"
        what = AuditEntry(
            row.shop, caller.actor, "agreement.links_revoked", row.agreement_id or "", deps.clock(), *numbers
        )
        await unit.audit.add([what])
    return after


async def _told(deps: Deps, caller: Caller, row: Agreement) -> Agreement:
    """Vipps leads the customer to the page that it was given, which must not be a dead link (facts: VIPPS 15.5)."""
    if row.status is not AgreementStatus.ACTIVE:
        return row
    link = deps.my_url(row.id, row.link_number)
    try:
        row, seen = await refresh_agreement(deps, caller.actor, row)
        ours = (seen.agreement_url or "").startswith(link.partition(row.id)[0])
        if ours and row.status is AgreementStatus.ACTIVE:
            changes = request_of(AgreementChanges(agreement_url=link))
            await perform(deps, new_operation(deps, caller, row, OperationKind.UPDATE, changes))
    except ProviderError as error:
        text = (
            "all earlier links are revoked, but Vipps may show the last one still; revoke again to give it the new one"
        )
        raise OutcomeUnknown(f"{text}: {error.message}") from error
    return row
