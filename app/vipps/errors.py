"""Vipps' answers to the four kinds of failure: every body format that v2 is known to use, and none at all.

v2 answers errors as an array; the platform in front of it as an object; v3 as problem+json; the token endpoint in
Azure AD's own way; and any of them may be text or empty (facts: VIPPS 8.1 to 8.3).
"""

import json
import re
import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
import httpx

from app.domain.errors import Misconfigured, OutcomeUnknown, ProviderError, Rejected, Unavailable

_LONGEST = 300
_READ = 1200  # characters of a text that are looked at: cleaning must stay quick whatever is sent
_NUMBER = re.compile(r"(?<![\w.-])\+?\d(?:[ .-]?\d){7,14}(?![\w-])")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_ADDRESS = re.compile(r"[^\s@]{1,64}@[^\s@]{1,255}")
_LONGEST_WAIT = 86_400.0  # seconds; whatever asks for more has not understood the question
# A product that the sales unit lacks is the merchant's to order, whatever status it comes with (facts: VIPPS 8.1).
_MERCHANT_CODES = frozenset({"merchant.not.allowed.for.recurring.operation"})
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
    extra = data.get("extraDetails")
    details = [_detail(item) for item in extra if isinstance(item, dict)] if isinstance(extra, list) else []
    azure = data.get("result")
    texts = (
        data.get("message"),
        azure.get("message") if isinstance(azure, dict) else None,
        "; ".join(part for part in [data.get("detail"), *details] if isinstance(part, str) and part),
        data.get("error_description"),
        data.get("title"),
    )
    return Complaint(
        message=next((_clean(text) for text in texts if isinstance(text, str) and text), ""),
        code=_text(data.get("code")) or _problem_id(data.get("type")) or _text(data.get("error")),
        field=_text(data.get("field")),
        context_id=_text(data.get("contextId")) or _text(data.get("traceId")) or _text(data.get("trace_id")),
    )


def _detail(item: dict[str, Any]) -> str:
    """2023 wrote {field, text}, 2024 {name, reason} (facts: VIPPS 8.2)."""
    name, reason = item.get("name") or item.get("field"), item.get("reason") or item.get("text")
    return f"{name}: {reason}" if name and reason else ""


def _problem_id(kind: object) -> str | None:
    return kind.rpartition("#")[2] or None if isinstance(kind, str) and "#" in kind else None


def _text(value: object) -> str | None:
    return _plain(value)[:120] or None if isinstance(value, str) else None


def _clean(text: str) -> str:
    """An error text goes to logs and screens: no phone number or address of a person may ride along."""
    if len(text) > _READ:
        # Without its last word, which may be half a number that would not be known as one.
        text = text[:_READ].rpartition(" ")[0]
    text = _ADDRESS.sub("…", _plain(text))
    return _NUMBER.sub(lambda found: found[0] if _DATE.match(found[0]) else "…", text)[:_LONGEST]


def _plain(text: str) -> str:
    """Without control characters and halves of characters, which a database or an answer could not carry."""
    return "".join(char for char in text[: _READ * 4] if unicodedata.category(char) not in {"Cc", "Cs"})


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
