"""What the simulator's tests share: a caller with good headers and bodies that are accepted."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx

from app.vipps.simulator import DEFAULT_MERCHANT, MerchantCredentials, Simulator, SimulatorClock, SimulatorConfig
from app.vipps.simulator.server import create_app

START = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
AGREEMENTS = "/recurring/v2/agreements"
OTHER_MERCHANT = MerchantCredentials("654321", "other-client", "other-secret", "other-key")


def a_simulator(**knobs: Any) -> Simulator:
    return Simulator(SimulatorConfig(**knobs), SimulatorClock(START))


def an_http_client(simulator: Simulator) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app=create_app(simulator))
    return httpx.AsyncClient(transport=transport, base_url="http://vipps.test")


def a_draft(**changes: Any) -> dict[str, Any]:
    draft = {
        "currency": "NOK",
        "interval": "MONTH",
        "intervalCount": 1,
        "price": 25_000,
        "productName": "Kaffe hver måned",
        "productDescription": "Ferskbrent, 500 g",
        "merchantAgreementUrl": "https://shop.example.com/my/1",
        "merchantRedirectUrl": "https://shop.example.com/return/1",
        "isApp": False,
        "customerPhoneNumber": "4791234567",
    }
    return changed(draft, changes)


def an_initial_charge(**changes: Any) -> dict[str, Any]:
    charge = {"amount": 9900, "currency": "NOK", "description": "First box", "transactionType": "DIRECT_CAPTURE"}
    return changed(charge, changes)


def a_charge(**changes: Any) -> dict[str, Any]:
    charge = {"amount": 25_000, "currency": "NOK", "description": "March", "due": "2026-03-12", "retryDays": 2}
    return changed(charge, changes)


def changed(body: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """An ellipsis takes the field away."""
    return {name: value for name, value in (body | changes).items() if value is not ...}


@dataclass
class Caller:
    """A merchant with a token, who finds its own agreements by short calls."""

    http: httpx.AsyncClient
    merchant: MerchantCredentials = DEFAULT_MERCHANT
    token: str = ""
    keys: int = field(default=0)

    async def get_token(self) -> httpx.Response:
        headers = {
            "client_id": self.merchant.client_id,
            "client_secret": self.merchant.client_secret,
            "Ocp-Apim-Subscription-Key": self.merchant.subscription_key,
        }
        response = await self.http.post("/accesstoken/get", headers=headers)
        self.token = response.json()["access_token"]
        return response

    def headers(self, key: str | None = None) -> dict[str, str]:
        headers = {
            "Authorization": f"Bearer {self.token}",
            "Ocp-Apim-Subscription-Key": self.merchant.subscription_key,
            "Merchant-Serial-Number": self.merchant.msn,
        }
        return headers if key is None else headers | {"Idempotency-Key": key}

    async def send(self, method: str, path: str, json: Any = None, *, key: str | None = None) -> httpx.Response:
        return await self.http.request(method, AGREEMENTS + path, json=json, headers=self.headers(key))

    async def write(self, method: str, path: str, json: Any = None) -> httpx.Response:
        """With a key of its own."""
        self.keys += 1
        return await self.send(method, path, json, key=f"key-{self.keys}")

    async def drafted(self, **changes: Any) -> str:
        response = await self.send("POST", "", a_draft(**changes))
        assert response.status_code == 201, response.text
        return str(response.json()["agreementId"])

    async def charged(self, agreement_id: str, **changes: Any) -> str:
        response = await self.write("POST", f"/{agreement_id}/charges", a_charge(**changes))
        assert response.status_code == 201, response.text
        return str(response.json()["chargeId"])

    async def charge(self, agreement_id: str, charge_id: str) -> dict[str, Any]:
        response = await self.send("GET", f"/{agreement_id}/charges/{charge_id}")
        return dict(response.json())

    async def agreement(self, agreement_id: str) -> dict[str, Any]:
        return dict((await self.send("GET", f"/{agreement_id}")).json())


async def a_caller(simulator: Simulator, merchant: MerchantCredentials = DEFAULT_MERCHANT) -> Caller:
    caller = Caller(an_http_client(simulator), merchant)
    await caller.get_token()
    return caller


async def an_active_agreement(simulator: Simulator, caller: Caller, **changes: Any) -> str:
    agreement_id = await caller.drafted(**changes)
    simulator.approve(agreement_id)
    return agreement_id
