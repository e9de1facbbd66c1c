"""What the tests of the clients share: providers of both versions, and a wire that remembers what went over it."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import httpx

from app.domain.agreement import InitialCharge, TransactionType
from app.vipps.calls import CallLog, no_log
from app.vipps.http import Credentials, SystemNames, VippsHttp
from app.vipps.simulator import DEFAULT_MERCHANT, Effect, Simulator
from app.vipps.v2 import VippsV2
from app.vipps.v3 import VippsV3
from tests.builders import NOW, a_draft, nok

Provider = VippsV2 | VippsV3
VERSIONS: dict[str, type[Provider]] = {"v2": VippsV2, "v3": VippsV3}
BASE = "https://apitest.vipps.test"
GOOD = Credentials(
    DEFAULT_MERCHANT.msn, DEFAULT_MERCHANT.client_id, DEFAULT_MERCHANT.client_secret, DEFAULT_MERCHANT.subscription_key
)
NAMES = SystemNames("saleor", "3.22", "vipps-recurring-saleor", "0.1.0")
KEY = "0123456789abcdef0123456789abcdef"
OTHER_KEY = "fedcba9876543210fedcba9876543210"
THIRD_KEY = "00112233445566778899aabbccddeeff"
AGR = "agr_5kSeqzF"
PHONE = "4791234567"
TOKEN = httpx.Response(200, json={"access_token": "t0ken", "expires_in": "3600"})


class Wire(httpx.AsyncBaseTransport):
    """Passes everything on, and remembers what went over the wire."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self._inner = inner
        self.sent: list[httpx.Request] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        # A copy: httpx changes the very same request before it tries again.
        self.sent.append(httpx.Request(request.method, request.url, headers=request.headers, content=request.content))
        return await self._inner.handle_async_request(request)

    @property
    def calls(self) -> list[httpx.Request]:
        """Without those for a token."""
        return [request for request in self.sent if "/accesstoken/" not in request.url.path.lower()]


def an_http(
    client: httpx.AsyncClient,
    clock: Callable[[], datetime] = lambda: NOW,
    deadline: float = 5.0,
    credentials: Credentials = GOOD,
    base: str = BASE,
    log: CallLog = no_log,
) -> VippsHttp:
    return VippsHttp(client, base, credentials, NAMES, clock=clock, deadline=deadline, log=log)


def a_provider(
    version: str, client: httpx.AsyncClient, clock: Callable[[], datetime] = lambda: NOW, **options: Any
) -> Provider:
    return VERSIONS[version](an_http(client, clock, **options), clock)


Answer = httpx.Response | Callable[[httpx.Request], httpx.Response]


def answering(*answers: Answer, token: httpx.Response = TOKEN) -> Wire:
    """A Vipps that gives these answers, in turn and the last one for ever; and a token."""
    left = list(answers)

    def handle(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/accesstoken/get":
            return token
        answer = left.pop(0) if len(left) > 1 else left[0]
        return answer(request) if callable(answer) else answer

    return Wire(httpx.MockTransport(handle))


@asynccontextmanager
async def provider_of(version: str, wire: Wire, **options: Any) -> AsyncIterator[Provider]:
    async with httpx.AsyncClient(transport=wire) as client:
        yield a_provider(version, client, **options)


async def active(vipps: Provider, simulator: Simulator, **draft: Any) -> str:
    """An agreement that the customer has approved."""
    made = await vipps.create_agreement(a_draft(**draft), key=KEY)
    simulator.approve(made.agreement_id)
    return made.agreement_id


def initial(kind: TransactionType, order_id: str = "INITIAL-1") -> InitialCharge:
    return InitialCharge(nok(25_000), "First box", kind, order_id)


def count(simulator: Simulator, effect: Effect) -> int:
    return sum(entry.effect is effect for entry in simulator.ledger)


# One agreement and one charge as each version shows them.
AGREEMENTS: dict[str, dict[str, Any]] = {
    "v2": {
        "id": AGR,
        "start": "2020-02-06T10:10:07Z",
        "stop": None,
        "status": "ACTIVE",
        "productName": "Kaffe",
        "productDescription": "",
        "price": 87600,
        "interval": "MONTH",
        "intervalCount": 1,
        "currency": "NOK",
        "campaign": None,
    },
    "v3": {
        "id": AGR,
        "uuid": "9c2ca95c-245f-4a2e-aab2-4a08eb78e6fb",
        "created": "2020-02-06T10:08:55Z",
        "start": "2020-02-06T10:10:07Z",
        "stop": None,
        "status": "ACTIVE",
        "productName": "Kaffe",
        "productDescription": "",
        "pricing": {"type": "LEGACY", "currency": "NOK", "amount": 87600},
        "interval": {"unit": "MONTH", "count": 1, "text": "every month"},
        "campaign": None,
        "countryCode": "NO",
        "merchantAgreementUrl": "https://shop.example/my/1",
        "merchantRedirectUrl": "https://shop.example/return/1",
    },
}
CHARGES: dict[str, dict[str, Any]] = {
    "v2": {
        "id": "chr-5kSeqzF",
        "status": "PARTIALLY_REFUNDED",
        "due": "2021-06-19T00:01:00Z",
        "amount": 87600,
        "amountRefunded": 26640,
        "transactionId": "5001234567",
        "description": "Kaffe",
        "type": "RECURRING",
    },
    "v3": {
        "id": "chr-5kSeqzF",
        "agreementId": AGR,
        "externalId": "order-1",
        "status": "PARTIALLY_REFUNDED",
        "due": "2021-06-19T00:01:00Z",
        "amount": 87600,
        "currency": "NOK",
        "retryDays": 5,
        "transactionId": "5001234567",
        "transactionType": "DIRECT_CAPTURE",
        "description": "Kaffe",
        "type": "RECURRING",
        "summary": {"captured": 87600, "refunded": 26640, "cancelled": 0},
        "history": [
            {
                "occurred": "2021-06-19T07:05:00Z",
                "event": "CAPTURE",
                "amount": 87600,
                "idempotencyKey": KEY,
                "success": True,
            }
        ],
    },
}


def changed(body: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """An ellipsis takes the field away."""
    return {name: value for name, value in (body | changes).items() if value is not ...}


async def agreement_of(version: str, **changes: Any) -> Any:
    """How an agreement with these fields is seen."""
    body = changed(AGREEMENTS[version], changes)
    async with provider_of(version, answering(httpx.Response(200, json=body))) as vipps:
        return await vipps.get_agreement(AGR)


async def charge_of(version: str, **changes: Any) -> Any:
    """How a charge with these fields is seen."""
    body = changed(CHARGES[version], changes)
    async with provider_of(version, answering(httpx.Response(200, json=body))) as vipps:
        return await vipps.get_charge(AGR, "chr-5kSeqzF")
