"""Answers as bytes, and the formats in which Vipps and what stands before Vipps write their errors."""

import json
import uuid
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from app.vipps.simulator.config import ErrorStyle
from app.vipps.simulator.problems import PROBLEM_JSON, phrase, problem, v3_problem, webhooks_problem
from app.vipps.simulator.refusals import ErrorItem, RefusedError

JSON = "application/json;charset=UTF-8"
V2 = "/recurring/v2/"
V3 = "/recurring/v3/"
WEBHOOKS = "/webhooks/"
# The statuses for which Vipps documents a description and no body; v3 has one for what it cannot find.
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
    items = items or (ErrorItem(phrase(status)),)
    content_type: str | None = JSON
    match _documented_style(status, path) if style == "documented" else style:
        case "array":
            content: Any = _array(items)
        case "azure":
            content = _azure(status, items)
        case "problem":
            content, content_type = _problem(status, items, path), PROBLEM_JSON
        case "text":
            return Answer(status, items[0].message.encode(), "text/plain;charset=UTF-8", headers)
        case _:
            return Answer(status, headers=headers)
    return Answer(status, json.dumps(content).encode(), content_type, headers)


def _documented_style(status: int, path: str) -> ErrorStyle:
    has_problems = path.startswith((V3, WEBHOOKS))
    if status in _WITHOUT_BODY and not (has_problems and status == HTTPStatus.NOT_FOUND):
        return "empty"
    if status == HTTPStatus.UNAUTHORIZED:
        return "azure"
    return "problem" if has_problems else "array"


def _array(items: tuple[ErrorItem, ...]) -> list[dict[str, str]]:
    context_id = str(uuid.uuid4())
    fields = [{"field": item.field, "message": item.message, "code": item.code} for item in items]
    return [{name: text for name, text in item.items() if text} | {"contextId": context_id} for item in fields]


def _azure(status: int, items: tuple[ErrorItem, ...]) -> dict[str, Any]:
    message = f"(An error from Azure API Management) {items[0].message}"
    return {
        "responseInfo": {"responseCode": status, "responseMessage": phrase(status)},
        "result": {"message": message},
    }


def _problem(status: int, items: tuple[ErrorItem, ...], path: str) -> dict[str, Any]:
    if path.startswith(V3):
        return v3_problem(status, items, path)
    return webhooks_problem(status, items, path) if path.startswith(WEBHOOKS) else problem(status, items, path)
