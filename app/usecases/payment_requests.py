"""What staff ask for in Saleor on a transaction of ours: capture, refund, cancel."""

import asyncio

from app.domain.account import Installation, system
from app.domain.charge import DESCRIPTION_MAX, Charge
from app.domain.checkout import ActionAnswer, ActionRequest
from app.domain.errors import Duplicate, OutcomeUnknown, RecurringError, Unavailable
from app.domain.money import Money, currency_of
from app.domain.operation import Operation, OperationKind, OperationStatus
from app.domain.reports import ACTION_SLOT, actions_of, reference_of
from app.domain.transaction import ActionType, EventType
from app.usecases.charges import digest
from app.usecases.money_moves import ChargeMove, move
from app.usecases.operations import resume_operation
from app.usecases.ports import Deps

_KINDS = {
    ActionType.CHARGE: OperationKind.CAPTURE,
    ActionType.REFUND: OperationKind.REFUND,
    ActionType.CANCEL: OperationKind.CANCEL,
}


async def act(deps: Deps, installation: Installation, request: ActionRequest) -> ActionAnswer:
    """Do it once, however often the request is delivered. Raises Unavailable where nothing is stored and Saleor shall
    ask again, which it does after a 5xx but not after a time-out (facts: SALEOR 4.4); what is stored and open is told
    of later, under the operation's id.
    """
    shop = installation.shop
    async with deps.store.begin() as unit:
        charge = await unit.charges.by_transaction(shop, request.transaction)
    if charge is None:
        return _no(request, "Vipps has no charge of this transaction.", request.transaction)
    refused = _refusal(charge, request)
    if refused is not None:
        return _no(request, refused, reference_of(charge))
    slot = ACTION_SLOT + digest(request.transaction, request.action, request.key)
    error: RecurringError | None = None
    try:
        async with asyncio.timeout(deps.limits.session_seconds), deps.turns.of(f"action {shop} {charge.id}"):
            error = await _do(deps, charge, request, slot)
    except TimeoutError:
        error = Unavailable("Vipps did not answer in time; ask again")
    async with deps.store.begin() as unit:
        operation = await unit.operations.by_slot(shop, slot)
        charge = await unit.charges.get(shop, charge.id) or charge
    if operation is not None:
        return _of_operation(request, charge, operation)
    if error is None:
        # Stored and never made, so Vipps had nothing to cancel: it is not sent any more.
        return _yes(request, charge, f"{reference_of(charge)}/withdrawn", None)
    if isinstance(error, Unavailable | OutcomeUnknown | Duplicate):
        # A Duplicate is another move of the sort that is under way: this one can be made when that is over.
        raise Unavailable(error.message)
    return _no(request, error.message, reference_of(charge))


def _refusal(charge: Charge, request: ActionRequest) -> str | None:
    currency = charge.amount.currency
    if currency is not request.amount.currency:
        return f"The charge is in {currency}, not {request.amount.currency}."
    left = Money(charge.amount.minor - charge.captured - charge.cancelled, currency)
    if request.action is ActionType.CANCEL and 0 < request.amount.minor < left.minor:
        return f"Vipps releases all that is reserved or nothing; ask for {left}."
    return None


async def _do(deps: Deps, charge: Charge, request: ActionRequest, slot: str) -> RecurringError | None:
    async with deps.store.begin() as unit:
        asked = await unit.operations.by_slot(charge.shop, slot)
    if asked is not None:
        if asked.status is OperationStatus.OPEN:
            await resume_operation(deps, charge.shop, asked.id)
        return None
    kind = _KINDS[request.action]
    description = "" if kind is OperationKind.CANCEL else _description(kind, charge)
    wanted = ChargeMove(
        kind,
        charge.agreement_id,
        charge.charge_id or charge.order_id,
        price=None if kind is OperationKind.CANCEL else request.amount.minor,
        description=description,
        slot=slot,
    )
    [item] = (await move(deps, system(charge.shop), [wanted])).items
    return item.error


def _description(kind: OperationKind, charge: Charge) -> str:
    """What the customer reads in the app."""
    text = f"Refund: {charge.description}" if kind is OperationKind.REFUND else charge.description
    return text[:DESCRIPTION_MAX].strip()


def _of_operation(request: ActionRequest, charge: Charge, operation: Operation) -> ActionAnswer:
    if operation.status is OperationStatus.OPEN:
        return ActionAnswer(None, operation.id, actions=actions_of(charge))
    if operation.status is OperationStatus.REJECTED:
        amount = None if operation.kind is OperationKind.CANCEL else request.amount
        text = operation.failure or "Vipps refused it."
        return ActionAnswer(EventType(f"{request.action}_FAILURE"), operation.id, amount, text, actions_of(charge))
    if operation.kind is OperationKind.CANCEL:
        return _yes(request, charge, operation.id, None)  # what was reserved and is left, which Saleor knows
    amount = Money(int(operation.request["amount"]), currency_of(str(operation.request["currency"])))
    return _yes(request, charge, operation.id, amount)


def _yes(request: ActionRequest, charge: Charge, reference: str, amount: Money | None) -> ActionAnswer:
    return ActionAnswer(EventType(f"{request.action}_SUCCESS"), reference, amount, actions=actions_of(charge))


def _no(request: ActionRequest, message: str, about: str) -> ActionAnswer:
    """Under a reference of its own, by which Saleor knows which of its requests is over."""
    reference = f"{about}/refused/{request.key[:16]}"
    return ActionAnswer(EventType(f"{request.action}_FAILURE"), reference, request.amount, message)
