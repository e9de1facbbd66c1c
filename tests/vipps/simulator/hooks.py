"""A shop that listens to webhooks, checks them by itself, and answers as it was told to."""

import base64
import hashlib
import hmac
import json
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.vipps.simulator import Simulator, SimulatorClock, SimulatorConfig
from tests.vipps.simulator.helpers import START, Caller

URL = "https://shop.example.com:8443/hooks/vipps?tenant=42"
EVERYTHING = [
    *(f"recurring.agreement-{what}.v1" for what in ("activated", "rejected", "stopped", "expired")),
    *(f"recurring.charge-{what}.v1" for what in ("reserved", "captured", "canceled", "refunded", "failed")),
    "recurring.charge-creation-failed.v1",
]


def expected_authorization(secret: str, path: str, host: str, date: str, body: bytes) -> str:
    """Written from the documentation, apart from the simulator's own way of doing it."""
    body_hash = base64.b64encode(hashlib.sha256(body).digest()).decode()
    text = "\n".join(["POST", path, f"{date};{host};{body_hash}"])
    digest = hmac.new(secret.encode("utf-8"), text.encode("utf-8"), hashlib.sha256).digest()
    return "HMAC-SHA256 SignedHeaders=x-ms-date;host;x-ms-content-sha256&Signature=" + base64.b64encode(digest).decode()


@dataclass
class Heard:
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def content(self) -> dict[str, Any]:
        return dict(json.loads(self.body))

    @property
    def type(self) -> str:
        return str(self.content["eventType"])

    def is_genuine(self, secret: str, header: str = "authorization") -> bool:
        headers = self.headers
        hashed = base64.b64encode(hashlib.sha256(self.body).digest()).decode()
        expected = expected_authorization(secret, self.path, headers["host"], headers["x-ms-date"], self.body)
        return headers["x-ms-content-sha256"] == hashed and headers.get(header) == expected


@dataclass
class Shop:
    """Answers 200, unless `answers` holds other statuses; None breaks the connection."""

    heard: list[Heard] = field(default_factory=list)
    answers: deque[int | None] = field(default_factory=deque)

    @property
    def types(self) -> list[str]:
        return [it.type for it in self.heard]

    def app(self) -> Starlette:
        return Starlette(routes=[Route("/{path:path}", self._hear, methods=["POST"])])

    async def _hear(self, request: Request) -> Response:
        path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        self.heard.append(Heard(path, dict(request.headers), await request.body()))
        status = self.answers.popleft() if self.answers else 200
        if status is None:
            raise httpx.ReadTimeout("The shop says nothing.")
        return Response(status_code=status)


def a_listened_simulator(shop: Shop, **knobs: Any) -> Simulator:
    return Simulator(
        SimulatorConfig(**knobs),
        SimulatorClock(START),
        lambda: httpx.AsyncClient(transport=httpx.ASGITransport(app=shop.app())),
    )


async def post_webhook(caller: Caller, url: Any = URL, events: Any = EVERYTHING) -> httpx.Response:
    body = {"url": url, "events": events}
    return await caller.http.post("/webhooks/v1/webhooks", json=body, headers=caller.headers())


async def a_webhook(caller: Caller, url: str = URL, events: list[str] = EVERYTHING) -> str:
    """Its secret."""
    response = await post_webhook(caller, url, events)
    assert response.status_code == 201, response.text
    return str(response.json()["secret"])
