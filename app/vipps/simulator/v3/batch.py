"""The batch: many charges in one call, each taken in or refused by itself, and made a little later."""

import json
from typing import Any

from pydantic import ValidationError

from app.vipps.simulator import charges, rules
from app.vipps.simulator.answers import Answer, json_answer
from app.vipps.simulator.book import Book, Caller
from app.vipps.simulator.gateway import Call
from app.vipps.simulator.models import Agreement, Charge, Effect, FailureReason
from app.vipps.simulator.payloads import as_refusal
from app.vipps.simulator.problems import in_words_of_v3
from app.vipps.simulator.refusals import RefusedError, refuse
from app.vipps.simulator.v3.payloads import BatchItem, refuse_unknown
from app.vipps.simulator.v3.wishes import new_charge


def create_charges(book: Book, caller: Caller, call: Call) -> Answer:
    valid: list[str] = []
    invalid: list[dict[str, Any]] = []
    for item in _read_items(call.body, book.config.max_batch):
        try:
            valid.append(_take_in(book, caller, item))
        except RefusedError as refusal:
            invalid.append({"chargeBatchItemDto": item, "errors": _texts(refusal)})
    return json_answer(202, {"validCharges": valid, "invalidCharges": invalid})


def count_items(call: Call) -> int:
    """For the rate limit, which is counted before the body is looked into."""
    try:
        content = json.loads(call.body)
    except ValueError:
        return 1
    return max(1, len(content)) if isinstance(content, list) else 1


def _read_items(body: bytes, most: int) -> list[Any]:
    try:
        content = json.loads(body)
    except ValueError:
        raise refuse(400, "The body is not valid JSON.", code="invalid-json") from None
    if not isinstance(content, list) or not 1 <= len(content) <= most:
        raise refuse(400, f"The body must be a list of 1 to {most} charges.", code="validation-error")
    return content


def _texts(refusal: RefusedError) -> list[str]:
    items = [in_words_of_v3(item) for item in refusal.items]
    return [f"{item.field}: {item.message}" if item.field else item.message for item in items]


def _take_in(book: Book, caller: Caller, item: Any) -> str:
    """The order id is taken from now on, the charge comes into being later."""
    try:
        request = BatchItem.model_validate(item)
    except ValidationError as error:
        raise as_refusal(error) from None
    if book.knobs.strict_fields:
        refuse_unknown(request)
    agreement = book.find(caller, request.agreement_id)
    wish = new_charge(request)
    due = charges.check_new(book, agreement, wish)
    charge = charges.new_charge(book.claim_charge_id(caller.msn, request.order_id, "orderId"), due, wish)
    if book.knobs.batch_delay:
        book.timeline.plan(book.now() + book.knobs.batch_delay, lambda _: _make(book, caller, agreement, charge))
    else:
        _make(book, caller, agreement, charge)
    return charge.id


def _make(book: Book, caller: Caller, agreement: Agreement, charge: Charge) -> None:
    """What has changed since the charge was taken in can still prevent it."""
    reason = book.doomed_orders.pop(charge.id, None)
    if reason is None:
        try:
            charges.check_chargeable(agreement)
            rules.check_amount(agreement, charge.amount, charge.due, book.config)
        except RefusedError as refusal:
            reason = "charge_amount_too_high" if refusal.items[0].field == "amount" else "technical_error"
    if reason is None:
        charges.enter(book, caller, agreement, charge)
    else:
        _give_up(book, caller, agreement, charge, reason)


def _give_up(book: Book, caller: Caller, agreement: Agreement, charge: Charge, reason: FailureReason) -> None:
    """The order id is free again: there is no charge of that name."""
    charge.failure_reason = reason
    book.release_charge_id(agreement.msn, charge.id)
    book.record(Effect.CREATION_FAIL, agreement, charge, charge.amount, caller.idempotency_key, "VIPPS")
