"""What staff may do with one charge: capture, refund in part or whole, cancel, have its period charged again."""

import re
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial

from fastapi.responses import HTMLResponse

from app.domain.account import Scope
from app.domain.charge import Charge
from app.domain.errors import (
    Duplicate,
    IllegalState,
    InvalidInput,
    LimitExceeded,
    NotFound,
    ProviderError,
    RecurringError,
    Rejected,
)
from app.domain.money import Money
from app.domain.operation import OperationKind
from app.usecases.charges import get_charge
from app.usecases.looking import ChargeDetail, charge_detail
from app.usecases.money_moves import ChargeMove, move
from app.usecases.retrying import Hindrance, cost_now, retry_charges
from app.web.answers import http_status
from app.web.pages import formats
from app.web.pages.actions import Action, Field, required, show_action_on
from app.web.pages.charge_page import ACTIONS, hindered, show_charge, untouched
from app.web.pages.typed import Form, a_sum, written
from app.web.pages.visits import Fragments, Visit

KINDS = {"capture": OperationKind.CAPTURE, "refund": OperationKind.REFUND, "cancel": OperationKind.CANCEL}
_FIELDS = {"price": "amount", "description": "description"}  # ours by the use case's names


def add_to(fragments: Fragments) -> None:
    for action in KINDS:
        fragments.get(f"/charges/{{charge}}/{action}", partial(_ask, action), Scope.CHARGES_WRITE)
        fragments.post(f"/charges/{{charge}}/{action}", partial(_move, action))
    fragments.get("/charges/{charge}/retry", _ask_retry, Scope.CHARGES_WRITE)
    fragments.post("/charges/{charge}/retry", _retry)


async def _detail(visit: Visit) -> ChargeDetail:
    return await charge_detail(visit.context.deps, visit.caller, visit.parameters["charge"])


async def _ask(name: str, visit: Visit) -> HTMLResponse:
    """Vipps is asked before anybody decides on what we remember; where it is away our books have to do."""
    detail = await _detail(visit)
    with suppress(ProviderError, NotFound):
        before = detail.charge
        await get_charge(visit.context.deps, visit.caller, before.agreement_id, before.charge_id or before.order_id)
        detail = await _detail(visit)
    try:
        ACTIONS[name](detail.charge)
    except IllegalState:
        return await show_charge(visit, detail.charge.id, "stale", 409)
    form = _form(visit, name, detail.charge, {})
    return await show_action_on(visit, detail.orders, _action(visit, name, detail.charge), form)


def left_of(name: str, charge: Charge) -> Money:
    """What there is to move."""
    match name:
        case "refund":
            return Money(charge.captured - charge.refunded, charge.amount.currency)
        case "retry":
            return charge.amount
        case _:
            return Money(charge.amount.minor - charge.captured - charge.cancelled, charge.amount.currency)


def _form(visit: Visit, name: str, charge: Charge, typed: Mapping[str, str]) -> Form:
    usual = {"amount": written(visit.language, left_of(name, charge)), "description": ""}
    return Form({field: typed.get(field, value) for field, value in usual.items()})


def _action(visit: Visit, name: str, charge: Charge, hidden: Mapping[str, str] | None = None) -> Action:
    left, path = left_of(name, charge), f"/charges/{charge.id}"
    words = {"currency": charge.amount.currency.value, "example": written(visit.language, left)}
    fields = [Field("amount", "decimal", words=words), Field("description")]
    return Action(
        area="charges",
        name=name,
        path=f"{path}/{name}",
        back=path,
        subject=heading(visit, charge),
        about={"left": formats.money(visit.language, left)},
        fields={"refund": fields, "capture": fields[:1]}.get(name, []),
        hidden={"key": str(uuid.uuid4()), "seen": charge.sums} if hidden is None else hidden,
        danger=name == "cancel",
    )


def heading(visit: Visit, charge: Charge) -> str:
    sum_, due = formats.money(visit.language, charge.amount), formats.day(visit.language, charge.due)
    return visit.language.text("dashboard.charges.heading", amount=sum_, day=due)


async def _move(name: str, visit: Visit) -> HTMLResponse:
    detail = await _detail(visit)
    charge = detail.charge
    hidden = {field: required(visit.form, field) for field in ("key", "seen")}
    form = _form(visit, name, charge, visit.form)
    price = form.read("amount", a_sum(visit.language, charge.amount.currency)) if name != "cancel" else None
    if form.wrong:
        return await show_action_on(visit, detail.orders, _action(visit, name, charge, hidden), form, status=422)
    wanted = ChargeMove(
        KINDS[name],
        charge.agreement_id,
        charge.charge_id or charge.order_id,
        price=price.minor if price else None,
        description=form.values["description"] if name == "refund" else "",
        idempotency_key=hidden["key"],
        sums=hidden["seen"],
    )
    error = (await move(visit.context.deps, visit.caller, [wanted])).items[0].error
    if error is None:
        return await show_charge(
            visit, charge.id, f"done_{name}" if untouched(charge, hidden["seen"], name) else "done_before"
        )
    return await _refused(visit, detail, _action(visit, name, charge, hidden), form, error)


async def _refused(
    visit: Visit, detail: ChargeDetail, action: Action, form: Form, error: RecurringError
) -> HTMLResponse:
    """What is typed wrong stands beside its field; what is overtaken shows the charge as it is."""
    shown_again = partial(show_action_on, visit, detail.orders)
    match error:
        case InvalidInput() | LimitExceeded() if error.field in _FIELDS:
            form.wrong.add(_FIELDS[error.field])
            return await shown_again(action, form, status=422, detail=error.message)
        case IllegalState() | Duplicate():
            return await show_charge(visit, detail.charge.id, "stale", http_status(error))
        case Rejected():
            # It is over: another try is another request.
            fresh = replace(action, hidden={**action.hidden, "key": str(uuid.uuid4())})
            return await shown_again(fresh, form, status=422, notice="refused", detail=error.message)
        case ProviderError():
            return await shown_again(
                action, form, status=http_status(error), notice="unconfirmed", detail=error.message
            )
        case _:
            raise error


async def _ask_retry(visit: Visit) -> HTMLResponse:
    return await _asked_retry(visit, await _detail(visit))


async def _asked_retry(visit: Visit, detail: ChargeDetail) -> HTMLResponse:
    cost = None
    match hindered(visit, detail):
        case None:
            pass
        case Hindrance.COSTS_MORE if detail.renewal is not None:
            cost = await cost_now(visit.context.deps, visit.caller, detail.renewal)
            if cost is None:
                return await show_charge(visit, detail.charge.id, "stale", 409)
        case _:
            return await show_charge(visit, detail.charge.id, "stale", 409)
    return await show_action_on(visit, detail.orders, _retrying(visit, detail, cost), Form({}))


def _retrying(visit: Visit, detail: ChargeDetail, cost: Money | None) -> Action:
    """No key: one charge follows a failed one, whoever asks for it and however often. `cost` is what its order comes
    to where that is not what the failed charge was of; no more than what was seen is charged.
    """
    if cost is None:
        return _action(visit, "retry", detail.charge, {})
    plain = _action(visit, "retry", detail.charge, {"up_to": str(cost.minor)})
    sums = {"cost": formats.money(visit.language, cost), **plain.about}
    return replace(plain, name="retry_dearer", path=f"/charges/{detail.charge.id}/retry", about=sums)


async def _retry(visit: Visit) -> HTMLResponse:
    detail = await _detail(visit)
    agreed = visit.form.get("up_to", "")
    up_to = int(agreed) if re.fullmatch(r"[0-9]{1,12}", agreed) else None  # nobody types it: others are asked anew
    found = (await retry_charges(visit.context.deps, visit.caller, [detail.charge.id], up_to)).items[0].error
    if isinstance(found, LimitExceeded):
        return await _asked_retry(visit, await _detail(visit))  # it costs more since somebody looked
    if found is not None:
        return await _refused(visit, detail, _retrying(visit, detail, None), Form({}), found)
    before = hindered(visit, detail) not in {None, Hindrance.COSTS_MORE}
    return await show_charge(visit, detail.charge.id, "done_before" if before else "done_retry")
