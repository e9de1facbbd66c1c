"""An installed app as the shop sees it, and an independent reader of the shop's signatures."""

import base64
import json
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
from joserfc import jws, jwt
from joserfc.jwk import KeySet, RSAKey

MANIFEST_URL = "https://app.example/api/manifest"

ORDER_FIELDS = (
    "order { id number total { gross { amount currency } } metadata { key value } privateMetadata { key value } }"
)
EVENT_FIELDS = "issuedAt version issuingPrincipal { ... on App { id } ... on User { id } } recipient { id }"


def subscription(event_type: str, fields: str = f"{EVENT_FIELDS} {ORDER_FIELDS}") -> str:
    return f"subscription {{ event {{ ... on {event_type} {{ {fields} }} }} }}"


def webhook(event_type: str, **changes: Any) -> dict[str, Any]:
    fields = "app { id isActive }" if event_type.startswith("App") else ORDER_FIELDS
    return {
        "name": event_type,
        "targetUrl": f"https://app.example/webhooks/{event_type}",
        "query": subscription(event_type, f"{EVENT_FIELDS} {fields}"),
    } | changes


def manifest(*event_types: str, **changes: Any) -> dict[str, Any]:
    return {
        "id": "recurring.example",
        "name": "Recurring",
        "version": "1.0.0",
        "appUrl": "https://app.example/app",
        "tokenTargetUrl": "https://app.example/api/register",
        "permissions": ["MANAGE_ORDERS", "HANDLE_PAYMENTS"],
        "webhooks": [webhook(name) for name in event_types],
    } | changes


class AppDouble(httpx.AsyncBaseTransport):
    """Serves a manifest, takes the token, answers webhooks with the statuses it is told to; keeps every request."""

    def __init__(self) -> None:
        self.manifest: Any = manifest()
        self.register: tuple[int, Any] = (200, {"success": True})
        self.while_registering: Callable[[str], Awaitable[None]] | None = None
        self.on_webhook: Callable[[dict[str, Any]], None] | None = None
        self.statuses: list[int | Exception] = []  # of the next webhooks; then 200
        self.answers: dict[str, Any] = {}  # JSON by event; without one "noted"
        self.requests: list[httpx.Request] = []

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=self)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        self.requests.append(request)
        if request.url.path == "/api/manifest":
            return httpx.Response(200, json=self.manifest)
        if request.url.path == "/api/register":
            if self.while_registering:
                await self.while_registering(json.loads(request.content)["auth_token"])
            status, content = self.register
            return httpx.Response(status, json=content)
        return self._webhook(request)

    def _webhook(self, request: httpx.Request) -> httpx.Response:
        answer = self.statuses.pop(0) if self.statuses else 200
        if isinstance(answer, Exception):
            raise answer
        if self.on_webhook:
            self.on_webhook(json.loads(request.content))
        event = request.headers["Saleor-Event"]
        if event in self.answers:
            return httpx.Response(answer, json=self.answers[event])
        return httpx.Response(answer, text="noted")

    @property
    def webhooks(self) -> list[httpx.Request]:
        return [request for request in self.requests if request.url.path.startswith("/webhooks/")]

    @property
    def events(self) -> list[str]:
        return [request.headers["Saleor-Event"] for request in self.webhooks]

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [json.loads(request.content) for request in self.webhooks]


def verify_detached(signature: str, body: bytes, jwks: Any) -> dict[str, Any]:
    """The protected header, if the signature over exactly these bytes holds; raises otherwise."""
    protected, payload, _ = signature.split(".")
    assert payload == ""
    kid = json.loads(_decode(protected))["kid"]
    key = next(RSAKey.import_key(key) for key in jwks["keys"] if key["kid"] == kid)
    registry = jws.JWSRegistry(algorithms=["RS256"])
    return dict(jws.deserialize_compact(signature, key, payload=body, registry=registry).headers())


def read_token(token: str, jwks: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims of a token whose signature holds."""
    decoded = jwt.decode(token, KeySet.import_key_set(jwks), algorithms=["RS256"])
    return dict(decoded.header), dict(decoded.claims)


def _decode(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
