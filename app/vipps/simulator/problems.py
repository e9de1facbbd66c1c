"""Errors as problem+json: of Recurring in any version, in v3's own words, and of the Webhooks API."""

import uuid
from http import HTTPStatus
from typing import Any

from app.vipps.simulator.refusals import ErrorItem

PROBLEM_JSON = "application/problem+json"
BASE = "https://developer.vippsmobilepay.com/docs/APIs/recurring-api/recurring-api-problems#"

# v3's words for what v2 calls otherwise.
_CODES = {
    "amount.exceeds.expected.chargelimit": "charge-amount-too-high",
    "idempotentkey.hash.mismatch": "idempotency-conflict",
    "invalid.agreementId": "invalid-agreement-id",
    "merchantagreementurl.apacheurlvalidation": "validation-error",
    "merchantredirecturl.apacheurlvalidation": "validation-error",
    "recurring.core.charges.create.invalid_agreement": "charge-creation-failed",
    "status.notActive": "illegal-agreement-update",
}
_MESSAGES = {
    "invalid.agreementId": "The agreement id is invalid.",
    "status.notActive": "Cannot modify an agreement which is not active.",
}
_FIELDS = {
    "agreement.status": "status",
    "charge.status": "status",
    "chargeStatus": "status",
    "currency": "pricing.currency",
    "customerPhoneNumber": "phoneNumber",
    "price": "pricing.amount",
    "suggestedMaxAmount": "pricing.suggestedMaxAmount",
}
_TITLES = {"illegal-agreement-update": "Illegal update"}


def phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"


def problem(status: int, items: tuple[ErrorItem, ...], path: str) -> dict[str, Any]:
    return {
        "type": BASE + items[0].code if items[0].code else "about:blank",
        "title": _TITLES.get(items[0].code or "", phrase(status)),
        "status": status,
        "detail": items[0].message,
        # The real service, too, shows its inner name here.
        "instance": path.replace("/recurring/", "/vipps-recurring-merchant-api/", 1),
        "contextId": str(uuid.uuid4()),
        "extraDetails": _details(items),
    }


def v3_problem(status: int, items: tuple[ErrorItem, ...], path: str) -> dict[str, Any]:
    content = problem(status, tuple(in_words_of_v3(item) for item in items), path)
    if content["type"].endswith("#validation-error"):
        content["detail"] = "Input validation failed"
    if not content["extraDetails"]:
        del content["extraDetails"]
    return content


def in_words_of_v3(item: ErrorItem) -> ErrorItem:
    return ErrorItem(
        message=_MESSAGES.get(item.code or "", item.message),
        code=_CODES.get(item.code, item.code) if item.code else None,
        field=_FIELDS.get(item.field, item.field) if item.field and not item.as_sent else item.field,
    )


def webhooks_problem(status: int, items: tuple[ErrorItem, ...], path: str) -> dict[str, Any]:
    trace = f"00-{uuid.uuid4().hex}-{uuid.uuid4().hex[:16]}-00"
    return {
        "type": trace,
        "title": phrase(status),
        "status": status,
        "detail": "One or more validation errors occurred." if _details(items) else items[0].message,
        "instance": path.removeprefix("/webhooks"),
        "traceId": trace,
        "extraDetails": _details(items),
    }


def _details(items: tuple[ErrorItem, ...]) -> list[dict[str, str]]:
    return [{"name": item.field, "reason": item.message} for item in items if item.field]
