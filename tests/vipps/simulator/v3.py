"""What the tests of v3 share: bodies that are accepted, and short calls."""

from datetime import timedelta
from typing import Any

import httpx

from app.vipps.simulator import DEFAULT_MERCHANT, MerchantCredentials, Simulator
from tests.vipps.simulator.helpers import Caller, an_http_client, changed

AGREEMENTS = "/recurring/v3/agreements"
DANISH = MerchantCredentials("777001", "danish-client", "danish-secret", "danish-key", "DKK")
FINNISH = MerchantCredentials("777002", "finnish-client", "finnish-secret", "finnish-key", "EUR")


def a_v3_draft(**changes: Any) -> dict[str, Any]:
    draft = {
        "pricing": {"type": "LEGACY", "currency": "NOK", "amount": 25_000},
        "interval": {"unit": "MONTH", "count": 1},
        "productName": "Kaffe hver måned",
        "productDescription": "Ferskbrent, 500 g",
        "merchantAgreementUrl": "https://shop.example.com/my/1",
        "merchantRedirectUrl": "https://shop.example.com/return/1",
        "phoneNumber": "4791234567",
    }
    return changed(draft, changes)


def a_v3_charge(**changes: Any) -> dict[str, Any]:
    charge = {
        "amount": 25_000,
        "transactionType": "DIRECT_CAPTURE",
        "description": "March",
        "due": "2026-03-12",
        "retryDays": 2,
    }
    return changed(charge, changes)


def a_v3_initial_charge(**changes: Any) -> dict[str, Any]:
    return changed({"amount": 9900, "description": "First box", "transactionType": "DIRECT_CAPTURE"}, changes)


class V3(Caller):
    """A merchant who speaks v3."""

    async def send(self, method: str, path: str, json: Any = None, *, key: str | None = None) -> httpx.Response:
        return await self.http.request(method, AGREEMENTS + path, json=json, headers=self.headers(key))

    async def drafted(self, **changes: Any) -> str:
        response = await self.write("POST", "", a_v3_draft(**changes))
        assert response.status_code == 201, response.text
        return str(response.json()["agreementId"])

    async def charged(self, agreement_id: str, **changes: Any) -> str:
        response = await self.write("POST", f"/{agreement_id}/charges", a_v3_charge(**changes))
        assert response.status_code == 201, response.text
        return str(response.json()["chargeId"])

    async def batch(self, *items: Any) -> dict[str, Any]:
        response = await self.write("POST", "/charges", list(items))
        assert response.status_code == 202, response.text
        return dict(response.json())


async def a_v3_caller(simulator: Simulator, merchant: MerchantCredentials = DEFAULT_MERCHANT) -> V3:
    caller = V3(an_http_client(simulator), merchant)
    await caller.get_token()
    return caller


async def an_active_v3_agreement(simulator: Simulator, caller: V3, **changes: Any) -> str:
    agreement_id = await caller.drafted(**changes)
    simulator.approve(agreement_id)
    return agreement_id


async def a_v3_reservation(simulator: Simulator, caller: V3) -> str:
    """The path of a recurring charge of 1000 that is reserved and waits for its capture."""
    agreement_id = await an_active_v3_agreement(simulator, caller)
    await caller.charged(
        agreement_id, orderId="reserved-1", amount=1000, transactionType="RESERVE_CAPTURE", due="2026-03-11"
    )
    simulator.advance(timedelta(days=1))
    await caller.get_token()
    return f"/{agreement_id}/charges/reserved-1"


def problem_of(response: httpx.Response) -> tuple[int, str]:
    """The status and the id of a problem."""
    assert response.headers["content-type"] == "application/problem+json"
    body = response.json()
    assert body["status"] == response.status_code
    return response.status_code, body["type"].rpartition("#")[2]


def fields_of(response: httpx.Response) -> set[str]:
    return {detail["name"] for detail in response.json()["extraDetails"]}
