"""Vipps' answers to the four kinds of failure: every body format that they are known to use, and none at all.

v2 answers errors as an array; the platform in front of it as an object; v3 as problem+json; the token endpoint in
Azure AD's own way; and any of them may be text or empty (facts: VIPPS 8.1 to 8.3).
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import aiohttp
import httpx

from app.domain.errors import Misconfigured, OutcomeUnknown, ProviderError, Rejected, Unavailable
from app.vipps.redaction import clean, plain

_READ = 1_200  # characters of a short field that are looked at
_LONGEST_WAIT = 86_400.0  # seconds; whatever asks for more has not understood the question
# A product that the sales unit lacks is the merchant's to order, whatever status it comes with (facts: VIPPS 8.1).
_MERCHANT_CODES = frozenset({"merchant.not.allowed.for.recurring.operation", "invalid-sale-unit"})
_MERCHANT_TEXTS = ("Invalid MSN", "supermerchant")


@dataclass(frozen=True, slots=True)
class Complaint:
    """What an error body said, in the one shape the rest of the code knows."""

    message: str = ""
    code: str | None = None
    field: str | None = None
    context_id: str | None = None


def read_complaint(body: bytes) -> Complaint:
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        return Complaint()
    if isinstance(data, list):
        data = data[0] if data else {}
    if not isinstance(data, dict):
        return Complaint()
    details = _details(data.get("extraDetails"))
    azure = data.get("result")
    texts = (
        data.get("message"),
        azure.get("message") if isinstance(azure, dict) else None,
        "; ".join(part for part in [data.get("detail"), *map(": ".join, details)] if isinstance(part, str) and part),
        data.get("error_description"),
        data.get("title"),
    )
    return Complaint(
        message=next((clean(text) for text in texts if isinstance(text, str) and text), ""),
        code=_text(data.get("code")) or _problem_id(data.get("type")) or _text(data.get("error")),
        field=_text(data.get("field")) or next((_text(name) for name, _ in details), None),
        context_id=_text(data.get("contextId")) or _text(data.get("traceId")) or _text(data.get("trace_id")),
    )


def _details(extra: object) -> list[tuple[str, str]]:
    """Fields with what is wrong about them: {field, text} in 2023, {name, reason} from 2024, {field: text} once.

    Facts: VIPPS 8.2.
    """
    items = extra if isinstance(extra, list) else [extra]
    found: list[tuple[object, object]] = []
    for item in items:
        if not isinstance(item, dict):
            continue
        name, reason = item.get("name") or item.get("field"), item.get("reason") or item.get("text")
        found += [(name, reason)] if name or reason else item.items()
    return [(name, text) for name, text in found if isinstance(name, str) and isinstance(text, str) and name and text]


def _problem_id(kind: object) -> str | None:
    return _text(kind.rpartition("#")[2]) if isinstance(kind, str) and "#" in kind else None


def _text(value: object) -> str | None:
    return plain(value[:_READ])[:120] or None if isinstance(value, str) else None


def retry_after(headers: httpx.Headers, now: datetime) -> float | None:
    """Seconds to wait; the header may hold seconds or a date (facts: VIPPS 3)."""
    value = headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdigit():
        return min(float(value[:9]), _LONGEST_WAIT)
    try:
        moment = parsedate_to_datetime(value)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        seconds = (moment - now).total_seconds()
    except (ValueError, OverflowError):
        return None
    return min(max(seconds, 0.0), _LONGEST_WAIT)


def from_answer(response: httpx.Response, *, write: bool, now: datetime) -> ProviderError:
    """Sort an answer other than 2xx. A 429 or 5xx says nothing about the charge: the same key may be sent again."""
    complaint = read_complaint(response.content)
    status = response.status_code
    what = complaint.message or "no reason given"
    text = f"Vipps answered {status}: {what}" + (f" ({complaint.code})" if complaint.code else "")
    kind: type[ProviderError]
    if status in {401, 403} or complaint.code in _MERCHANT_CODES or any(t in what for t in _MERCHANT_TEXTS):
        kind = Misconfigured
        text += "; check the account's keys, merchant serial number and products in the Vipps portal"
    elif status == 429 or status >= 500:  # noqa: PLR2004
        kind = Unavailable
    elif status == 408 or status < 400:  # noqa: PLR2004
        kind = OutcomeUnknown if write else Unavailable
    else:
        kind = Rejected
    return kind(
        text,
        field=complaint.field,
        status=status,
        provider_code=complaint.code,
        context_id=complaint.context_id,
        retry_after=retry_after(response.headers, now),
    )


def from_transport(error: Exception, *, write: bool) -> ProviderError:
    """Sort a call without an answer. Only where no connection came about is it certain that nothing was sent.

    The aiohttp transport reports a connection that broke after sending as httpx.ConnectTimeout too, so its own cause
    is asked, never the name it was given.
    """
    cause = error if isinstance(error, aiohttp.ClientError) else error.__cause__
    never_sent = isinstance(cause, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError) or (
        not isinstance(cause, aiohttp.ClientError) and isinstance(error, httpx.ConnectError)
    )
    name = type(error).__name__
    if never_sent or not write:
        return Unavailable(f"Vipps could not be reached ({name})")
    return OutcomeUnknown(f"Vipps did not answer ({name}); the same request is repeated with the same key")
