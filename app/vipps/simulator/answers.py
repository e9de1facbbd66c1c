"""Answers as bytes, and the formats in which Vipps and what stands before Vipps write their errors."""

import json
import uuid
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from app.vipps.simulator.config import ErrorStyle
from app.vipps.simulator.refusals import ErrorItem, RefusedError

JSON = "application/json;charset=UTF-8"
# The statuses for which Vipps documents a description and no body.
_WITHOUT_BODY = {404, 429, 503, 504}


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes = b""
    content_type: str | None = None
    headers: tuple[tuple[str, str], ...] = ()


def json_answer(status: int, content: Any) -> Answer:
    return Answer(status, json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode(), JSON)


def refusal_answer(refusal: RefusedError, path: str, style: ErrorStyle) -> Answer:
    return error_answer(refusal.status, refusal.items, path, style, refusal.headers)


def error_answer(
    status: int,
    items: tuple[ErrorItem, ...],
    path: str,
    style: ErrorStyle,
    headers: tuple[tuple[str, str], ...] = (),
) -> Answer:
    items = items or (ErrorItem(_phrase(status)),)
    content_type: str | None = JSON
    match _documented_style(status) if style == "documented" else style:
        case "array":
            content: Any = _array(items)
        case "azure":
            content = _azure(status, items)
        case "problem":
            content, content_type = _problem(status, items, path), "application/problem+json"
        case "text":
            return Answer(status, items[0].message.encode(), "text/plain;charset=UTF-8", headers)
        case _:
            return Answer(status, headers=headers)
    return Answer(status, json.dumps(content).encode(), content_type, headers)


def _documented_style(status: int) -> ErrorStyle:
    if status in _WITHOUT_BODY:
        return "empty"
    return "azure" if status == HTTPStatus.UNAUTHORIZED else "array"


def _array(items: tuple[ErrorItem, ...]) -> list[dict[str, str]]:
    context_id = str(uuid.uuid4())
    fields = [{"field": item.field, "message": item.message, "code": item.code} for item in items]
    return [{name: text for name, text in item.items() if text} | {"contextId": context_id} for item in fields]


def _azure(status: int, items: tuple[ErrorItem, ...]) -> dict[str, Any]:
    message = f"(An error from Azure API Management) {items[0].message}"
    return {
        "responseInfo": {"responseCode": status, "responseMessage": _phrase(status)},
        "result": {"message": message},
    }


def _problem(status: int, items: tuple[ErrorItem, ...], path: str) -> dict[str, Any]:
    base = "https://developer.vippsmobilepay.com/docs/APIs/recurring-api/recurring-api-problems#"
    return {
        "type": base + items[0].code if items[0].code else "about:blank",
        "title": _phrase(status),
        "status": status,
        "detail": items[0].message,
        # The real service, too, shows its inner name here.
        "instance": path.replace("/recurring/", "/vipps-recurring-merchant-api/", 1),
        "contextId": str(uuid.uuid4()),
        "extraDetails": [{"name": item.field, "reason": item.message} for item in items if item.field],
    }


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"
