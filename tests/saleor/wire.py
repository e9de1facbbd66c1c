"""The way from our client to the simulated shop, where a test can look and meddle."""

import json
from collections.abc import Callable
from typing import Any

import httpx

from app.domain.account import Installation
from app.saleor.client import SaleorClient
from app.saleor.simulator.models import App
from app.saleor.simulator.server import create_app
from app.saleor.simulator.simulator import Simulator
from tests.builders import an_installation


class Wire(httpx.AsyncBaseTransport):
    """The way to the simulated shop; keeps what was asked, and may do something before a request arrives."""

    def __init__(self, shop: Simulator) -> None:
        self.lose = False
        """Whether the shop's answers are lost on their way back."""
        self._shop = httpx.ASGITransport(app=create_app(shop))
        self.bodies: list[dict[str, Any]] = []
        self.before: Callable[[int], None] = lambda _number: None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.bodies.append(json.loads(await request.aread()))
        self.before(len(self.bodies))
        answer = await self._shop.handle_async_request(request)
        if self.lose:
            raise httpx.ReadTimeout("the answer is lost", request=request)
        return answer

    @property
    def client(self) -> SaleorClient:
        return SaleorClient(httpx.AsyncClient(transport=self))


def installed(app: App, saleor_version: str = "3.23.28") -> Installation:
    return an_installation(app_id=app.id, token=app.token, saleor_version=saleor_version)
