"""The operations of v2 by the names Vipps gives them: from a call to an answer."""

from http import HTTPStatus

from app.vipps.simulator import agreements, charges, user
from app.vipps.simulator.answers import Answer, json_answer
from app.vipps.simulator.book import Book, Caller
from app.vipps.simulator.gateway import Call
from app.vipps.simulator.models import Agreement
from app.vipps.simulator.operation import Operation
from app.vipps.simulator.payloads import (
    CreateCharge,
    DraftAgreement,
    ForceAccept,
    Refund,
    UpdateAgreement,
    read_payload,
)
from app.vipps.simulator.refusals import refuse
from app.vipps.simulator.views import agreement_view, charge_view, draft_view


def _list_agreements(book: Book, caller: Caller, call: Call) -> Answer:
    found = agreements.list_agreements(book, caller, call.query.get("status"), call.query.get("createdAfter"))
    return json_answer(200, [agreement_view(agreement, call.base_url) for agreement in found])


def _draft_agreement(book: Book, caller: Caller, call: Call) -> Answer:
    request = read_payload(DraftAgreement, call.body, malformed=HTTPStatus.UNPROCESSABLE_ENTITY)
    agreement = agreements.draft(book, caller, request.intent(book.now()))
    return json_answer(201, draft_view(agreement, call.base_url))


def _get_agreement(book: Book, caller: Caller, call: Call) -> Answer:
    return json_answer(200, agreement_view(book.find(caller, call.path_parameters["agreement_id"]), call.base_url))


def _update_agreement(book: Book, caller: Caller, call: Call) -> Answer:
    agreement = book.find(caller, call.path_parameters["agreement_id"])
    _change(book, caller, agreement, read_payload(UpdateAgreement, call.body))
    return json_answer(200, {"agreementId": agreement.id})


def _change(book: Book, caller: Caller, agreement: Agreement, request: UpdateAgreement) -> None:
    given = request.model_fields_set
    if request.status is not None and len(given) > 1:
        raise agreements.refuse_company_of_status()
    agreements.check_active(agreement)
    if request.status == "STOPPED":
        agreements.stop(book, caller, agreement)
    elif request.status is None and given:
        for name in sorted({"interval", "intervalCount"} & given):
            raise refuse(400, "The interval cannot be changed.", code="illegal-agreement-update", field=name)
        agreements.update(book, caller, agreement, request.intent())


def _force_accept(book: Book, caller: Caller, call: Call) -> Answer:
    """Like the user's own approval, initial charge and magic amounts included."""
    agreement = book.find(caller, call.path_parameters["agreement_id"])
    read_payload(ForceAccept, call.body)
    try:
        user.approve(book, agreement)
    except user.NotPossibleError as error:
        raise refuse(409, str(error), code="conflict", field="agreement.status") from None
    return json_answer(200, {})


def _list_charges(book: Book, caller: Caller, call: Call) -> Answer:
    agreement = book.find(caller, call.path_parameters["agreement_id"])
    found = charges.list_charges(agreement, call.query.get("chargeStatus"))
    return json_answer(200, [charge_view(charge) for charge in found])


def _create_charge(book: Book, caller: Caller, call: Call) -> Answer:
    agreement = book.find(caller, call.path_parameters["agreement_id"])
    charge = charges.create(book, caller, agreement, read_payload(CreateCharge, call.body).intent())
    return json_answer(201, {"chargeId": charge.id})


def _get_charge(book: Book, caller: Caller, call: Call) -> Answer:
    _, charge = book.find_charge(caller, **call.path_parameters)
    return json_answer(200, charge_view(charge))


def _cancel_charge(book: Book, caller: Caller, call: Call) -> Answer:
    agreement, charge = book.find_charge(caller, **call.path_parameters)
    charges.cancel(book, caller, agreement, charge)
    return json_answer(200, charge_view(charge))


def _capture_charge(book: Book, caller: Caller, call: Call) -> Answer:
    agreement, charge = book.find_charge(caller, **call.path_parameters)
    if call.body.strip() not in {b"", b"{}"}:
        # v2 captures everything; whoever sends an amount expects something else.
        raise refuse(400, "A capture takes no body.", code="charge-capture-failed")
    charges.capture(book, caller, agreement, charge, charge.amount)
    return json_answer(200, {})


def _refund_charge(book: Book, caller: Caller, call: Call) -> Answer:
    agreement, charge = book.find_charge(caller, **call.path_parameters)
    charges.refund(book, caller, agreement, charge, read_payload(Refund, call.body).amount)
    return json_answer(200, {})


_AGREEMENTS = "/recurring/v2/agreements"
_AGREEMENT = _AGREEMENTS + "/{agreement_id}"
_CHARGES = _AGREEMENT + "/charges"
_CHARGE = _CHARGES + "/{charge_id}"

OPERATIONS = (
    Operation("createCharge", ("POST",), _CHARGES, _create_charge, keys="required", takes_body=True),
    Operation("getCharge", ("GET",), _CHARGE, _get_charge),
    Operation("getAgreement", ("GET",), _AGREEMENT, _get_agreement),
    Operation("listCharges", ("GET",), _CHARGES, _list_charges),
    Operation("captureCharge", ("POST",), _CHARGE + "/capture", _capture_charge, keys="required"),
    Operation("refundCharge", ("POST",), _CHARGE + "/refund", _refund_charge, keys="required", takes_body=True),
    Operation("cancelCharge", ("DELETE",), _CHARGE, _cancel_charge, keys="honoured"),
    # A key is no part of v2's draft: two drafts with the same key are two drafts.
    Operation("draftAgreement", ("POST",), _AGREEMENTS, _draft_agreement, keys="knob", takes_body=True),
    Operation("listAgreements", ("GET",), _AGREEMENTS, _list_agreements),
    Operation("updateAgreement", ("PATCH", "PUT"), _AGREEMENT, _update_agreement, keys="honoured", takes_body=True),
    Operation(
        "forceAcceptAgreement", ("PATCH",), _AGREEMENT + "/accept", _force_accept, keys="honoured", takes_body=True
    ),
)
