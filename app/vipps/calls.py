"""The log of calls: what support asks for when something went wrong (facts: VIPPS 15.2)."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode

import httpx

from app.vipps.errors import read_complaint
from app.vipps.redaction import plain, redacted

DRAFT = "draftAgreement"
_PATH, _ID, _KEY = 500, 64, 40  # characters that are kept


@dataclass(frozen=True, slots=True)
class Call:
    """One exchange with Vipps. The bodies are without secrets and personal data; no status means no answer."""

    operation: str
    method: str
    path: str
    at: datetime
    milliseconds: int
    status: int | None
    agreement_id: str | None = None
    charge_id: str | None = None
    idempotency_key: str | None = None
    context_id: str | None = None
    request: str = ""
    answer: str = ""


CallLog = Callable[[Call], None]


def no_log(_: Call) -> None:
    """For whoever needs none."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is about to be sent, by the name that the log gives it.

    `summary` stands in the log for a body that is too long for it; without `bodies` neither body is shown.
    """

    operation: str
    method: str
    path: str
    write: bool = False
    params: Mapping[str, str] | None = None
    key: str | None = None
    content: bytes | None = None
    agreement_id: str | None = None
    charge_id: str | None = None
    summary: str | None = None
    bodies: bool = True


def describe(request: Request, at: datetime, milliseconds: int, response: httpx.Response | None) -> Call:
    answer = b"" if response is None else response.content
    refused = response is not None and not response.is_success
    query = f"?{urlencode(request.params)}" if request.params else ""
    return Call(
        operation=request.operation,
        method=request.method,
        path=(request.path + query)[:_PATH],
        at=at,
        milliseconds=milliseconds,
        status=None if response is None else response.status_code,
        agreement_id=_cut(request.agreement_id or _drafted(request, answer), _ID),
        charge_id=_cut(request.charge_id, _ID),
        idempotency_key=_cut(request.key, _KEY),
        context_id=read_complaint(answer).context_id if refused else None,
        request=(request.summary or redacted(request.content or b"")) if request.bodies else "",
        answer=redacted(answer) if request.bodies else "",
    )


def _drafted(request: Request, answer: bytes) -> str | None:
    """A draft has no id before its answer gives one."""
    if request.operation != DRAFT:
        return None
    try:
        made = json.loads(answer)
    except (ValueError, RecursionError):
        return None
    agreement_id = made.get("agreementId") if isinstance(made, dict) else None
    return agreement_id if isinstance(agreement_id, str) else None


def _cut(text: str | None, longest: int) -> str | None:
    return None if text is None else plain(text)[:longest]
