"""A renewal's order in Saleor: made once, looked at before each step, completed, or taken away."""

from collections.abc import Mapping
from dataclasses import replace

from app.domain.charge import check_limit
from app.domain.errors import Duplicate, InvalidInput, LimitExceeded, Rejected, Unavailable
from app.domain.order import DraftOrder, RenewalOrder
from app.domain.renewal import RENEWAL_KEY, Renewal, RenewalReason, RenewalStatus
from app.domain.subscription import Subscriber, Subscription, VoucherPolicy
from app.usecases.ports import Deps
from app.usecases.renewal_work import Hindered, OrderGone, TakenOver, Work, rested, settle, step
from app.usecases.unpaid import FAILURES

NOT_RENEWED = "Vipps: this renewal was not paid and is not tried again. Leave this draft as it is: it is no order."
# Saleor's codes of what stands in the way of an order (facts: SALEOR 6.2).
_REASONS: Mapping[str, RenewalReason] = {
    "INSUFFICIENT_STOCK": RenewalReason.OUT_OF_STOCK,
    "PRODUCT_NOT_PUBLISHED": RenewalReason.UNAVAILABLE,
    "PRODUCT_UNAVAILABLE_FOR_PURCHASE": RenewalReason.UNAVAILABLE,
    "NOT_AVAILABLE_IN_CHANNEL": RenewalReason.UNAVAILABLE,
    "CHANNEL_INACTIVE": RenewalReason.UNAVAILABLE,
    "NOT_FOUND": RenewalReason.UNAVAILABLE,  # a variant that does not exist any more
    "BILLING_ADDRESS_NOT_SET": RenewalReason.ADDRESS_MISSING,
    "ORDER_NO_SHIPPING_ADDRESS": RenewalReason.ADDRESS_MISSING,
    "SHIPPING_METHOD_REQUIRED": RenewalReason.SHIPPING,
    "SHIPPING_METHOD_NOT_APPLICABLE": RenewalReason.SHIPPING,
}
# What a draft of the subscription as it is now may mend.
_OF_THE_DRAFT = frozenset(
    {*_REASONS.values(), RenewalReason.ORDER_REFUSED, RenewalReason.PRICE_ABOVE_LIMIT, RenewalReason.COSTS_MORE}
)


def reason_of(code: str | None) -> RenewalReason:
    return _REASONS.get(code or "", RenewalReason.ORDER_REFUSED)


async def order_for(deps: Deps, work: Work) -> tuple[Work, RenewalOrder]:
    """The order of the renewal, made if there is none. Raises Hindered or OrderGone where there can be none."""
    renewal = work.renewal
    if renewal.order is not None:
        order = await deps.shop.renewal_order(work.installation, renewal.order)
        if order is None:
            work, order = await _made_since(deps, work)
        if order.dead:
            raise OrderGone
        if not await _outdated(deps, work, order):
            return replace(work, met=True), order
        # The subscription may have other lines or another address by now. Forgotten first, so that whoever dies here
        # does not take it for one that staff deleted.
        work = await step(deps, work, replace(renewal, order=None, order_number=None))
        await deps.shop.delete_draft(work.installation, order.id)
    order, met = await _make(deps, work)
    if order.dead:
        raise OrderGone
    work = await step(deps, work, replace(work.renewal, order=order.id, order_number=order.number))
    return replace(work, met=met), order


async def _made_since(deps: Deps, work: Work) -> tuple[Work, RenewalOrder]:
    """The draft that was made anew in place of one that is gone, where a restored backup names that one. Raises
    OrderGone where there is none: then staff deleted it.
    """
    found, _ = await _by_reference(deps, work)
    if found is None or found.dead:
        raise OrderGone
    return await step(deps, work, replace(work.renewal, order=found.id, order_number=found.number)), found


async def _outdated(deps: Deps, work: Work, order: RenewalOrder) -> bool:
    """What stood in the way of the draft still does. Saleor keeps one with transactions for good, so it goes on so."""
    renewal = work.renewal
    waited = renewal.status is RenewalStatus.WAITING and renewal.reason in _OF_THE_DRAFT
    if not waited or not order.draft or order.transactions:
        return False
    try:
        check_known_sum(work, order)
        await check_price(deps, work, order)
    except Hindered:
        return True
    return bool(order.problems)


async def _make(deps: Deps, work: Work) -> tuple[RenewalOrder, bool]:
    """Its reference is taken once, so after a lost answer the order is found by it, and never made twice. And whether
    it was there already.
    """
    reference = work.renewal.reference
    if work.renewal.attempts > 1:
        found, reference = await _by_reference(deps, work)
        if found is not None:
            return found, True
    async with deps.store.begin() as unit:
        subscriber = await unit.subscriptions.subscriber(work.renewal.shop, work.subscription.id)
    if subscriber is None or (subscriber.billing is None and subscriber.shipping is None):
        raise Hindered(RenewalReason.ADDRESS_MISSING, "the subscription has no address; give it one")
    try:
        draft = draft_of(work.subscription, subscriber, work.renewal)
        return await deps.shop.create_draft(work.installation, replace(draft, reference=reference)), False
    except Duplicate:
        found = await deps.shop.order_by_reference(work.installation, reference)
        if found is None:
            raise Unavailable(f"Saleor has an order {reference} and does not show it; it is looked for again") from None
        return found, True
    except Rejected as error:
        raise Hindered(reason_of(error.provider_code), error.message) from error


async def _by_reference(deps: Deps, work: Work) -> tuple[RenewalOrder | None, str]:
    """The order of the renewal that stands, and the reference that it has, or will have.

    One that was cancelled when its period was given up keeps its reference for good: the next one is numbered.
    """
    reference, number = work.renewal.reference, 1
    while True:
        found = await deps.shop.order_by_reference(work.installation, reference)
        if found is None or not found.dead or work.renewal.attempt == 0:
            return found, reference
        number += 1
        reference = f"{work.renewal.reference}/{number}"


def draft_of(subscription: Subscription, subscriber: Subscriber, renewal: Renewal) -> DraftOrder:
    return DraftOrder(
        reference=renewal.reference,
        channel_id=subscription.channel_id,
        customer=subscription.customer,
        subscriber=subscriber,
        lines=subscription.lines,
        currency=subscription.currency,
        shipping_method=subscription.shipping_method,
        voucher=subscription.voucher if subscription.voucher_policy is VoucherPolicy.EVERY else None,
        metadata={RENEWAL_KEY: f"{subscription.agreement_id}:{renewal.period}"},
    )


def check_order(order: RenewalOrder) -> None:
    """Raises Hindered where the order cannot be made or paid."""
    if order.problems:
        text = "; ".join(said or code for code, said in order.problems)
        raise Hindered(reason_of(order.problems[0][0]), text)
    if order.total is None:
        raise Hindered(
            RenewalReason.ORDER_REFUSED, f"the total {order.total_text} is not an amount that Vipps can charge"
        )
    if order.charge_status == "PARTIAL":
        raise Hindered(RenewalReason.ORDER_REFUSED, "a part of the order is paid already")


def nothing_to_pay(order: RenewalOrder) -> bool:
    """A free period, or one that somebody has paid in another way."""
    return order.charge_status in {"FULL", "OVERCHARGED"} or (order.total is not None and order.total.minor == 0)


def check_known_sum(work: Work, order: RenewalOrder) -> None:
    """The order of a period whose charge has failed, at the prices and with the contents of today, is not charged for
    more than that charge was of, or than staff have agreed to since: they and its customer were shown the sum. Saleor
    prices drafts anew, so that a draft that costs more is no sign that somebody wanted it.
    """
    renewal, total, known = work.renewal, order.total, work.renewal.amount
    if renewal.failed_on is None or known is None or total is None:
        return
    if total.currency is not known.currency or total.minor > max(known.minor, renewal.agreed or 0):
        text = (
            f"its order comes to {total} by now, more than the {known} that the charge that failed was of, or that was"
            " agreed to since: charge it again at the new sum, or make the draft cheaper"
        )
        raise Hindered(RenewalReason.COSTS_MORE, text)


async def check_price(deps: Deps, work: Work, order: RenewalOrder) -> None:
    """What the customer agreed to is not gone beyond."""
    if order.total is None:
        return
    async with deps.store.begin() as unit:
        taken = await unit.charges.taken(work.renewal.shop, [work.renewal.agreement_id])
    try:
        check_limit(work.agreement, taken[work.renewal.agreement_id], order.total, work.renewal.due)
    except LimitExceeded as error:
        raise Hindered(RenewalReason.PRICE_ABOVE_LIMIT, error.message) from error
    except InvalidInput as error:
        raise Hindered(RenewalReason.ORDER_REFUSED, error.message) from error


async def complete(deps: Deps, work: Work, order: RenewalOrder) -> RenewalOrder:
    """Once: an order that is complete already is left as it is. Raises Hindered where Saleor says no."""
    if not order.draft:
        return order
    try:
        return await deps.shop.complete_draft(work.installation, order.id)
    except Rejected as error:
        now = await deps.shop.renewal_order(work.installation, order.id)
        if now is None or now.dead:
            raise OrderGone from error
        if not now.draft:
            return now  # an attempt whose answer was lost completed it
        raise Hindered(reason_of(error.provider_code), error.message) from error


async def take_away(deps: Deps, work: Work, *, told: bool = False) -> None:
    """Nobody pays for it and nobody gets it: a draft is deleted, an order that is not paid is cancelled.

    Saleor keeps a draft with transactions for good: what was tried on it stays to be seen, and staff are told, unless
    they were `told` before.
    """
    if work.renewal.order is None:
        if work.renewal.attempts == 1:
            return
        order, _ = await _by_reference(deps, work)
    else:
        order = await deps.shop.renewal_order(work.installation, work.renewal.order)
    if order is None or order.dead:
        return
    if order.draft and order.transactions:
        if told:
            return
        await deps.shop.add_note(work.installation, order.id, NOT_RENEWED)
    elif order.draft:
        await deps.shop.delete_draft(work.installation, order.id)
    elif order.charge_status == "NONE":
        await deps.shop.cancel_order(work.installation, order.id)


async def skip(deps: Deps, work: Work, reason: RenewalReason, text: str) -> None:
    """Nothing is charged and nothing is left behind; a period whose charge has failed before is called failed.

    One that a hold finds so stays failed for its charge, so that it can be collected when the hold is over.
    """
    async with deps.store.begin() as unit:
        current = await unit.renewals.get(work.renewal.shop, work.renewal.id)
    if current is None:
        raise TakenOver
    # Its order may have become known since this work began.
    work = replace(work, renewal=replace(work.renewal, order=current.order, order_number=current.order_number))
    await take_away(deps, work)
    failed = work.renewal.failed_on is not None
    if failed and reason is RenewalReason.HELD:
        before = work.renewal.reason
        text = f"{reason}: {text}"
        reason = before if before in FAILURES else RenewalReason.CHARGE_FAILED
    after = replace(
        work.renewal,
        status=RenewalStatus.FAILED if failed else RenewalStatus.SKIPPED,
        reason=reason,
        reason_text=text,
        charge_row=None,
    )
    await settle(deps, work, rested(after, None))
