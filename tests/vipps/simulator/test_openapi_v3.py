"""v3 and the Webhooks API against Vipps' own OpenAPI files: answers validate, and what the files refuse is refused."""

from datetime import timedelta
from typing import Any

import httpx
import pytest

from app.vipps.simulator import Simulator
from tests.vipps.simulator.helpers import Caller, an_active_agreement
from tests.vipps.simulator.openapi import contract_of, needs_files
from tests.vipps.simulator.v3 import V3, a_v3_charge, a_v3_draft, a_v3_initial_charge, an_active_v3_agreement

pytestmark = needs_files

AGREEMENTS = "/recurring/v3/agreements"
AGREEMENT = AGREEMENTS + "/{agreementId}"
CHARGE = AGREEMENT + "/charges/{chargeId}"


async def _walk(simulator: Simulator, v3: V3) -> list[tuple[str, str, httpx.Response]]:
    """One life of an agreement that meets every endpoint: path in the file, method, answer."""
    reserve = a_v3_initial_charge(transactionType="RESERVE_CAPTURE", orderId="first-order", externalId="x-1")
    draft = await v3.write("POST", "", a_v3_draft(initialCharge=reserve, scope="name", externalId="sub-1"))
    here = "/" + draft.json()["agreementId"]
    there = here + "/charges/first-order"
    seen = [(AGREEMENTS, "post", draft)]

    async def step(path: str, method: str, response: Any) -> None:
        seen.append((path, method, await response))

    await step(AGREEMENTS, "get", v3.send("GET", "?status=PENDING"))
    await step(AGREEMENT + "/accept", "patch", v3.write("PATCH", here + "/accept", {"phoneNumber": "4791234567"}))
    await step(AGREEMENT, "patch", v3.write("PATCH", here, {"pricing": {"amount": 26_000}}))
    money = {"amount": 900, "description": "x"}
    await step(CHARGE + "/capture", "post", v3.write("POST", there + "/capture", money))
    await step(CHARGE, "get", v3.send("GET", there))
    await step(CHARGE, "delete", v3.write("DELETE", there))
    await step(CHARGE + "/refund", "post", v3.write("POST", there + "/refund", money | {"amount": 100}))
    for charge in (a_v3_charge(), a_v3_charge(amount=151, due="2026-03-11", retryDays=0)):
        await step(AGREEMENT + "/charges", "post", v3.write("POST", here + "/charges", charge))
    simulator.advance(timedelta(days=2))
    await v3.get_token()
    await step(AGREEMENT + "/charges", "get", v3.send("GET", here + "/charges"))
    await step(CHARGE, "get", v3.send("GET", there))
    by_id = v3.http.get("/recurring/v3/charges/first-order", headers=v3.headers())
    await step("/recurring/v3/charges/{chargeId}", "get", by_id)
    await step(AGREEMENT, "get", v3.send("GET", here))
    await step(AGREEMENT, "patch", v3.write("PATCH", here, {"status": "STOPPED"}))
    return seen


async def test_every_answer_validates_and_every_operation_was_met(simulator: Simulator, caller: Caller, v3: V3) -> None:
    contract = contract_of("2023")
    seen = await _walk(simulator, v3)
    await caller.get_token()
    for campaign in (
        {"type": "PRICE_CAMPAIGN", "price": 1, "end": "2027-01-01T00:00:00Z"},
        {"type": "PERIOD_CAMPAIGN", "price": 1, "period": {"unit": "DAY", "count": 3}},
        {"type": "EVENT_CAMPAIGN", "price": 1, "eventDate": "2027-01-01T00:00:00Z", "eventText": "x"},
    ):
        seen.append((AGREEMENT, "get", await v3.send("GET", f"/{await v3.drafted(campaign=campaign)}")))
    legacy = await an_active_agreement(simulator, caller, campaign={"campaignPrice": 1, "end": "2027-01-01T00:00:00Z"})
    variable = await v3.drafted(pricing={"type": "VARIABLE", "currency": "NOK", "suggestedMaxAmount": 500})
    seen += [(AGREEMENT, "get", await v3.send("GET", f"/{it}")) for it in (legacy, variable)]

    for path, method, response in seen:
        status = str(response.status_code)
        assert status in contract.document["paths"][path][method]["responses"], response.text
        pointer = contract.answer_pointer(path, method, status)
        if status == "204":  # for one of them the file describes a body all the same
            assert response.content == b""
        else:
            assert pointer is not None
            assert contract.errors(pointer, response.json()) == [], (method, path)
    assert contract.operations("/recurring/v3/") == {(path, method) for path, method, _ in seen}


async def test_problems_validate(v3: V3) -> None:
    contract = contract_of("2023")
    pointer = "/components/responses/ErrorResponseV3/content/application~1json;charset=UTF-8/schema"

    for response in (
        await v3.write("POST", "", {}),
        await v3.send("GET", "/agr_unknown"),
        await v3.http.get(AGREEMENTS),
    ):
        assert contract.errors(pointer, response.json()) == []


BAD_DRAFTS: list[dict[str, Any]] = [
    *({name: ...} for name in ("pricing", "merchantAgreementUrl", "merchantRedirectUrl", "productName")),
    *({"pricing": {"currency": "NOK", "amount": amount}} for amount in (99, "100", 1.5, None)),
    *({"pricing": value} for value in ({}, "500", {"amount": 500}, {"currency": "nok", "amount": 500})),
    {"pricing": {"type": "VARIABLE", "currency": "NOK", "suggestedMaxAmount": 2_000_001}},
    *({"interval": value} for value in ({"unit": "MONTH"}, {"unit": "MONTH", "count": 32}, {"unit": "x", "count": 1})),
    *({"productName": name} for name in ("x" * 46, None, 1)),
    *({"productDescription": text} for text in ("x" * 101, None)),
    *({"isApp": value} for value in ("false", None)),
    *({"externalId": value} for value in ("", "x" * 65, 7)),
    *({"phoneNumber": phone} for phone in ("4" * 16, 4791234567)),
    {"countryCode": "no"},
    {"initialCharge": {"amount": 100, "description": "x"}},
    {"initialCharge": a_v3_initial_charge(transactionType="LATER")},
    {"campaign": {"price": 1, "end": "2027-01-01T00:00:00Z"}},
]
BAD_CHARGES: list[dict[str, Any]] = [
    *({name: ...} for name in ("amount", "description", "due", "retryDays", "transactionType")),
    *({"amount": amount} for amount in (99, "25000", 250.5, None)),
    *({"retryDays": days} for days in (-1, 15, "2", None)),
    *({"transactionType": value} for value in ("LATER", None)),
    *({"orderId": value} for value in ("", "_", "x" * 51)),
    *({"externalId": value} for value in ("", "x" * 65)),
]


@pytest.mark.parametrize("change", BAD_DRAFTS, ids=repr)
async def test_a_draft_that_the_file_refuses_is_refused(simulator: Simulator, v3: V3, change: dict[str, Any]) -> None:
    body = a_v3_draft(**change)
    assert contract_of("2023").refuses("DraftAgreementV3", body)

    assert (await v3.write("POST", "", body)).status_code == 400
    assert simulator.ledger == []


@pytest.mark.parametrize("change", BAD_CHARGES, ids=repr)
async def test_a_charge_that_the_file_refuses_is_refused(simulator: Simulator, v3: V3, change: dict[str, Any]) -> None:
    agreement_id = await an_active_v3_agreement(simulator, v3)
    body = a_v3_charge(**change)
    assert contract_of("2023").refuses("CreateChargeV3", body)

    assert (await v3.write("POST", f"/{agreement_id}/charges", body)).status_code == 400
    assert simulator.charges(agreement_id) == []


async def test_good_requests_are_good_by_the_file() -> None:
    contract = contract_of("2023")

    assert not contract.refuses("DraftAgreementV3", a_v3_draft(initialCharge=a_v3_initial_charge(), countryCode="NO"))
    assert not contract.refuses("CreateChargeV3", a_v3_charge(orderId="order-1"))


async def test_the_webhooks_api_validates(v3: V3) -> None:
    contract, path = contract_of("webhooks"), "/v1/webhooks"
    wish = {"url": "https://shop.example/hooks", "events": ["recurring.charge-captured.v1"]}
    url = "/webhooks/v1/webhooks"

    made = await v3.http.post(url, json=wish, headers=v3.headers())
    listed = await v3.http.get(url, headers=v3.headers())
    bad = await v3.http.post(url, json={"url": 7}, headers=v3.headers())
    gone = await v3.http.delete(f"{url}/{made.json()['id']}", headers=v3.headers())

    seen = [("post", made), ("get", listed), ("post", bad)]
    for method, response in seen:
        media = response.headers["content-type"].partition(";")[0]
        pointer = contract.answer_pointer(path, method, str(response.status_code), media)
        assert pointer is not None
        assert contract.errors(pointer, response.json()) == []
    assert (gone.status_code, gone.content) == (204, b"")
