"""Vipps' webhooks: registering for them, telling genuine ones, and reading what they are about.

Facts: VIPPS 12.1 (registration), 12.2 and 12.3 (events), 12.5 (signatures).
"""

import hashlib
import hmac
import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel

from app.domain.errors import InvalidInput, Rejected, Unauthenticated
from app.domain.provider import WebhookRegistration
from app.domain.records import VippsEvent
from app.vipps.http import VippsHttp
from app.vipps.redaction import plain
from app.vipps.wire import read, step, written

_PATH = "/webhooks/v1/webhooks"
_EVENTS_2023 = tuple(
    f"recurring.{name}.v1"
    for name in (
        "agreement-activated",
        "agreement-rejected",
        "agreement-stopped",
        "agreement-expired",
        "charge-reserved",
        "charge-captured",
        "charge-canceled",
        "charge-failed",
    )
)
EVENTS = (*_EVENTS_2023, "recurring.charge-refunded.v1", "recurring.charge-creation-failed.v1")
_SIGNED = "HMAC-SHA256 SignedHeaders=x-ms-date;host;x-ms-content-sha256&Signature="
_DEFAULT_PORTS = {"http": 80, "https": 443}


class _Registered(BaseModel):
    id: str
    secret: str


class _Webhook(BaseModel):
    id: str
    url: str
    events: list[str] = []


class _Webhooks(BaseModel):
    webhooks: list[_Webhook]


class VippsWebhooks:
    """WebhookRegistry of one merchant account. Its API takes no idempotency key: a repeat registers once more."""

    def __init__(self, http: VippsHttp) -> None:
        self._http = http

    async def register(self, url: str) -> tuple[str, str]:
        try:
            return await self._register(url, EVENTS)
        except Rejected as error:
            # Two of the names came later; a Vipps that does not know them yet refuses the whole registration.
            told = f"{error.field} {error.message}".lower()
            if error.status != 400 or "event" not in told:  # noqa: PLR2004
                raise
            return await self._register(url, _EVENTS_2023)

    async def _register(self, url: str, events: Sequence[str]) -> tuple[str, str]:
        body = {"url": url, "events": list(events)}
        response = await self._http.write("POST", _PATH, operation="registerWebhook", key=None, body=body)
        made = written(_Registered.model_validate_json, response)
        return made.id, made.secret

    async def registrations(self) -> Sequence[WebhookRegistration]:
        body = await self._http.read(_PATH, operation="listWebhooks")
        listed = read(_Webhooks.model_validate_json, body).webhooks
        return [WebhookRegistration(it.id, it.url, frozenset(it.events)) for it in listed]

    async def remove(self, registration_id: str) -> None:
        path = f"{_PATH}/{step(registration_id)}"
        try:
            await self._http.write("DELETE", path, operation="deleteWebhook", key=None)
        except Rejected:
            # Which status an unknown id is answered with is not documented, so the list has to tell.
            if any(it.id == registration_id for it in await self.registrations()):
                raise


def verify(secrets: Sequence[str], url: str, body: bytes, headers: Mapping[str, str]) -> None:
    """Raise Unauthenticated unless one of the secrets signed exactly this body for exactly this URL.

    `url` is the one that was registered: host and path are taken from it, never from the request. How old a signature
    may be is not documented, and retries go on for a week, so its date is not judged; the inbox knows repeats.
    """
    by_name = {name.lower(): value for name, value in headers.items()}
    usable = [secret for secret in secrets if secret]
    if not usable:
        raise Unauthenticated(
            "no secret is stored for Vipps' webhooks of this account; register again with: account check"
        )
    given = _signature(by_name)
    date, digest = by_name.get("x-ms-date", ""), by_name.get("x-ms-content-sha256", "")
    if not date or not digest:
        raise Unauthenticated("the webhook lacks x-ms-date or x-ms-content-sha256; let the proxy pass Vipps' headers")
    same_body = _equal(_base64(hashlib.sha256(body).digest()), digest)
    text = f"POST\n{_path_and_query(url)}\n{date};{_host(url)};{digest}".encode("utf-8", "surrogatepass")
    # All of them, whichever fits: how long this takes must not tell which.
    fits = [_equal(_base64(hmac.digest(secret.encode(), text, "sha256")), given) for secret in usable]
    if not same_body:
        raise Unauthenticated("the webhook's body is not the one that was signed; let the proxy pass it unchanged")
    if not any(fits):
        raise Unauthenticated(
            "the webhook is not signed with a known secret for this address; if it came from Vipps, check that APP_URL "
            "is the address that is registered, or register again with: account check"
        )


def _signature(headers: Mapping[str, str]) -> str:
    """Some web servers take Authorization away, so it may come under another name (facts: VIPPS 12.5)."""
    for name in ("authorization", "x-vipps-authorization"):
        value = headers.get(name, "")
        if value.startswith(_SIGNED):
            return value.removeprefix(_SIGNED)
    raise Unauthenticated(
        "the webhook carries no signature of Vipps'; let the proxy pass Authorization or X-Vipps-Authorization"
    )


def _path_and_query(url: str) -> str:
    parts = urlsplit(url)
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _host(url: str) -> str:
    """As the Host header has it: with the port where that is not the scheme's own."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2].lower()
    return host.removesuffix(f":{_DEFAULT_PORTS.get(parts.scheme)}")


def _base64(raw: bytes) -> str:
    return b64encode(raw).decode()


def _equal(expected: str, given: str) -> bool:
    return hmac.compare_digest(expected.encode(), given.encode("utf-8", "surrogatepass"))


def read_event(body: bytes) -> VippsEvent:
    """What a webhook that was found genuine is about. Fields may be null or missing, and kinds may be new.

    Without a time the content stands in for it: two events that differ must not pass for one.
    """
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        data = None
    if not isinstance(data, dict):
        raise InvalidInput("the webhook's body is no JSON object", field="body")
    kind, agreement_id = _text(data, "eventType"), _text(data, "agreementId")
    if kind is None or agreement_id is None:
        raise InvalidInput("the webhook's body names no eventType or no agreementId", field="body")
    return VippsEvent(
        kind=kind,
        occurred=_text(data, "occurred") or hashlib.sha256(body).hexdigest()[:32],
        agreement_id=agreement_id,
        charge_id=_text(data, "chargeId"),
        actor=_text(data, "actor"),
    )


def _text(data: dict[str, Any], name: str) -> str | None:
    value = data.get(name)
    return plain(value[:_LONGEST]) or None if isinstance(value, str) else None


_LONGEST = 100
