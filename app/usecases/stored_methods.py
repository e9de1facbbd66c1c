"""A customer's agreements as stored payment methods in Saleor: shown to their owner, and stopped by their owner."""

from collections.abc import Sequence

from app.domain.account import Installation, customer
from app.domain.agreement import Agreement, AgreementStatus
from app.domain.errors import Misconfigured, NotFound, RecurringError
from app.domain.records import AgreementFilter, Page
from app.usecases.agreements import cancel_agreements
from app.usecases.ending import end
from app.usecases.known import account_for_channel, find_agreement
from app.usecases.ports import Deps

_MOST = 100
_NOT_YOURS = "This agreement does not exist."
_REASON = "the customer removed it among the stored payment methods"


async def stored_methods(deps: Deps, installation: Installation, user: str, channel: str) -> Sequence[Agreement]:
    """The ACTIVE agreements of that user on the channel's merchant account, newest first."""
    try:
        account = await account_for_channel(deps, installation.shop, channel)
    except Misconfigured:
        return []
    wanted = AgreementFilter(statuses=frozenset({AgreementStatus.ACTIVE}), customer=user)
    async with deps.store.begin() as unit:
        rows = await unit.agreements.page(installation.shop, wanted, Page(_MOST))
    return [row for row in rows if row.account_id == account.id]


async def delete_stored_method(
    deps: Deps, installation: Installation, user: str, channel: str, method: str
) -> str | None:
    """Stop the agreement and end its subscription, as its customer; None where that is done, or why it is not."""
    caller = customer(installation.shop, user)
    try:
        account = await account_for_channel(deps, installation.shop, channel)
        agreement = await find_agreement(deps, caller, method)
        if agreement.account_id != account.id:
            return _NOT_YOURS
        async with deps.store.begin() as unit:
            subscription = await unit.subscriptions.get(agreement.shop, agreement.id)
        if subscription is not None:
            await end(deps, caller, subscription, _REASON)
            return None
        [stopped] = (await cancel_agreements(deps, caller, [method])).items
    except NotFound:
        return _NOT_YOURS
    except RecurringError as error:
        return error.message
    return stopped.error.message if stopped.error else None
