"""The operations of v3, under the same names as those of v2: from a call to an answer."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial

from app.vipps.simulator import agreements, charges, user
from app.vipps.simulator.answers import Answer, json_answer
from app.vipps.simulator.book import Book, Caller
from app.vipps.simulator.gateway import Call
from app.vipps.simulator.models import AgreementStatus
from app.vipps.simulator.operation import Operation
from app.vipps.simulator.refusals import RefusedError, refuse
from app.vipps.simulator.rules import check_minimum
from app.vipps.simulator.v3.batch import count_items, create_charges
from app.vipps.simulator.v3.payloads import (
    Capture,
    CreateCharge,
    DraftAgreement,
    ForceAccept,
    Refund,
    UpdateAgreement,
    V3PayloadType,
    read,
)
from app.vipps.simulator.v3.views import agreement_view, charge_view, draft_view
from app.vipps.simulator.v3.wishes import agreement_change, new_agreement, new_charge

_DEFAULT_PAGE_SIZE = 500
_LARGEST_PAGE = 2000


def _body(kind: type[V3PayloadType], book: Book, call: Call) -> V3PayloadType:
    return read(kind, call.body, strict_fields=book.knobs.strict_fields)


def _do(book: Book, check: Callable[[], None], act: Callable[[], None]) -> Answer:
    """204 for what is done, or 202 for what will be: checked now, done later, unless something comes in between."""
    if not book.knobs.forced_202:
        act()
        return Answer(204)
    check()
    if book.knobs.accepted_delay:
        book.timeline.plan(book.now() + book.knobs.accepted_delay, lambda _: _do_late(act))
    else:
        act()
    return Answer(202)


def _do_late(act: Callable[[], None]) -> None:
    with suppress(RefusedError):
        act()


def _list_agreements(book: Book, caller: Caller, call: Call) -> Answer:
    number = _whole(call.query, "pageNumber", 1)
    size = _whole(call.query, "pageSize", _DEFAULT_PAGE_SIZE, _LARGEST_PAGE)
    found = agreements.list_agreements(book, caller, call.query.get("status"), call.query.get("createdAfter"))
    page = found[(number - 1) * size : number * size]
    return json_answer(200, [agreement_view(agreement, call.base_url) for agreement in page])


def _whole(query: Mapping[str, str], name: str, default: int, most: int | None = None) -> int:
    text = query.get(name)
    if text is None:
        return default
    # A number longer than any page is refused before it is read.
    if not text.isascii() or not text.isdigit() or len(text) > 9 or int(text) < 1:  # noqa: PLR2004
        raise refuse(400, "must be a whole number from 1", code="validation-error", field=name)
    if most is not None and int(text) > most:
        raise refuse(400, f"must be at most {most}", code="validation-error", field=name)
    return int(text)


def _draft_agreement(book: Book, caller: Caller, call: Call) -> Answer:
    wish = new_agreement(_body(DraftAgreement, book, call), book.now())
    return json_answer(201, draft_view(agreements.draft(book, caller, wish), call.base_url))


def _get_agreement(book: Book, caller: Caller, call: Call) -> Answer:
    return json_answer(200, agreement_view(book.find(caller, call.path_parameters["agreement_id"]), call.base_url))


def _update_agreement(book: Book, caller: Caller, call: Call) -> Answer:
    agreement = book.find(caller, call.path_parameters["agreement_id"])
    request = _body(UpdateAgreement, book, call)
    if request.status is None:
        change = agreement_change(request, agreement)
        check = partial(agreements.check_change, book, agreement, change)
        # A change of nothing is no effect.
        act = partial(agreements.update, book, caller, agreement, change) if request.model_fields_set else check
        return _do(book, check, act)
    if len(request.model_fields_set) > 1:
        raise agreements.refuse_company_of_status()
    if agreement.status is AgreementStatus.STOPPED and book.knobs.repeated_stop_ok:
        return Answer(204)
    check_active = partial(agreements.check_active, agreement)
    return _do(book, check_active, partial(agreements.stop, book, caller, agreement))


def _force_accept(book: Book, caller: Caller, call: Call) -> Answer:
    """Like the user's own approval, initial charge and magic amounts included."""
    agreement = book.find(caller, call.path_parameters["agreement_id"])
    _body(ForceAccept, book, call)
    try:
        user.approve(book, agreement)
    except user.NotPossibleError as error:
        raise refuse(400, str(error), code="illegal-agreement-update", field="agreement.status") from None
    return Answer(204)


def _list_charges(book: Book, caller: Caller, call: Call) -> Answer:
    agreement = book.find(caller, call.path_parameters["agreement_id"])
    found = charges.list_charges(agreement, call.query.get("status"))
    return json_answer(200, [charge_view(agreement, charge) for charge in found])


def _create_charge(book: Book, caller: Caller, call: Call) -> Answer:
    agreement = book.find(caller, call.path_parameters["agreement_id"])
    charge = charges.create(book, caller, agreement, new_charge(_body(CreateCharge, book, call)))
    return json_answer(201, {"chargeId": charge.id})


def _get_charge(book: Book, caller: Caller, call: Call) -> Answer:
    return json_answer(200, charge_view(*book.find_charge(caller, **call.path_parameters)))


def _get_charge_by_id(book: Book, caller: Caller, call: Call) -> Answer:
    return json_answer(200, charge_view(*book.find_charge_by_id(caller, **call.path_parameters)))


def _cancel_charge(book: Book, caller: Caller, call: Call) -> Answer:
    agreement, charge = book.find_charge(caller, **call.path_parameters)
    check = partial(charges.check_cancel, book, agreement, charge)
    return _do(book, check, partial(charges.cancel, book, caller, agreement, charge))


def _capture_charge(book: Book, caller: Caller, call: Call) -> Answer:
    agreement, charge = book.find_charge(caller, **call.path_parameters)
    amount = _body(Capture, book, call).amount
    check_minimum(amount, agreement.currency, "amount")
    check = partial(charges.check_capture, book, charge, amount)
    return _do(book, check, partial(charges.capture, book, caller, agreement, charge, amount))


def _refund_charge(book: Book, caller: Caller, call: Call) -> Answer:
    agreement, charge = book.find_charge(caller, **call.path_parameters)
    amount = _body(Refund, book, call).amount
    check_minimum(amount, agreement.currency, "amount")
    check = partial(charges.check_refund, book, charge, amount)
    return _do(book, check, partial(charges.refund, book, caller, agreement, charge, amount))


_AGREEMENTS = "/recurring/v3/agreements"
_AGREEMENT = _AGREEMENTS + "/{agreement_id}"
_CHARGES = _AGREEMENT + "/charges"
_CHARGE = _CHARGES + "/{charge_id}"


def _write(name: str, method: str, path: str, run: Callable[[Book, Caller, Call], Answer]) -> Operation:
    """Every write of v3 needs a key, and all but cancellations a body."""
    return Operation(name, (method,), path, run, keys="required", takes_body=method != "DELETE")


OPERATIONS = (
    Operation(
        "createCharges",
        ("POST",),
        _AGREEMENTS + "/charges",
        create_charges,
        keys="required",
        takes_body=True,
        weight=count_items,
    ),
    _write("createCharge", "POST", _CHARGES, _create_charge),
    Operation("getCharge", ("GET",), _CHARGE, _get_charge),
    Operation("getChargeById", ("GET",), "/recurring/v3/charges/{charge_id}", _get_charge_by_id),
    Operation("getAgreement", ("GET",), _AGREEMENT, _get_agreement),
    Operation("listCharges", ("GET",), _CHARGES, _list_charges),
    _write("captureCharge", "POST", _CHARGE + "/capture", _capture_charge),
    _write("refundCharge", "POST", _CHARGE + "/refund", _refund_charge),
    _write("cancelCharge", "DELETE", _CHARGE, _cancel_charge),
    _write("draftAgreement", "POST", _AGREEMENTS, _draft_agreement),
    Operation("listAgreements", ("GET",), _AGREEMENTS, _list_agreements),
    _write("updateAgreement", "PATCH", _AGREEMENT, _update_agreement),
    _write("forceAcceptAgreement", "PATCH", _AGREEMENT + "/accept", _force_accept),
)
