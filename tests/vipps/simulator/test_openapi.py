"""v2 against Vipps' own OpenAPI files: answers validate, and what the files refuse is refused."""

from datetime import timedelta
from typing import Any

import pytest

from app.vipps.simulator import Simulator
from tests.vipps.simulator.helpers import (
    Caller,
    a_charge,
    a_draft,
    an_active_agreement,
    an_http_client,
    an_initial_charge,
)
from tests.vipps.simulator.openapi import Contract, contract_of, needs_files

pytestmark = needs_files


@pytest.fixture(params=["2022", "2023"])
def contract(request: pytest.FixtureRequest) -> Contract:
    return contract_of(request.param)


AGREEMENT_PATH = "/recurring/v2/agreements/{agreementId}"
CHARGE_PATH = AGREEMENT_PATH + "/charges/{chargeId}"


async def _walk(simulator: Simulator, caller: Caller) -> list[tuple[str, str, Any]]:
    """One life of an agreement that meets every endpoint: path in the files, method, answer."""
    reserve = an_initial_charge(transactionType="RESERVE_CAPTURE", orderId="first-order-longer-than-15")
    draft = await caller.send("POST", "", a_draft(initialCharge=reserve, scope="name"))
    here = "/" + draft.json()["agreementId"]
    there = here + "/charges/first-order-longer-than-15"
    seen = [("/recurring/v2/agreements", "post", draft)]

    async def step(path: str, method: str, response: Any) -> None:
        seen.append((path, method, await response))

    await step("/recurring/v2/agreements", "get", caller.send("GET", "?status=PENDING"))
    phone = {"customerPhoneNumber": "91234567"}
    await step(AGREEMENT_PATH + "/accept", "patch", caller.send("PATCH", here + "/accept", phone))
    await step("/recurring/v2/agreements", "get", caller.send("GET", ""))
    await step(AGREEMENT_PATH, "get", caller.send("GET", here))
    await step(AGREEMENT_PATH, "patch", caller.send("PATCH", here, {"price": 26_000}))
    await step(CHARGE_PATH + "/capture", "post", caller.write("POST", there + "/capture"))
    refund = {"amount": 900, "description": "Sorry"}
    await step(CHARGE_PATH + "/refund", "post", caller.write("POST", there + "/refund", refund))
    await step(AGREEMENT_PATH + "/charges", "post", caller.write("POST", here + "/charges", a_charge()))
    failing = a_charge(amount=151, due="2026-03-11", retryDays=0)
    await step(AGREEMENT_PATH + "/charges", "post", caller.write("POST", here + "/charges", failing))
    to_cancel = await caller.charged(here[1:], due="2026-09-01")
    await step(CHARGE_PATH, "delete", caller.send("DELETE", f"{here}/charges/{to_cancel}"))
    simulator.advance(timedelta(days=2))
    await caller.get_token()
    await step(AGREEMENT_PATH + "/charges", "get", caller.send("GET", here + "/charges"))
    await step(CHARGE_PATH, "get", caller.send("GET", there))
    await step(AGREEMENT_PATH, "put", caller.send("PUT", here, {"status": "STOPPED"}))
    return seen


async def test_every_answer_validates(simulator: Simulator, caller: Caller, contract: Contract) -> None:
    seen = await _walk(simulator, caller)
    variable = await an_active_agreement(
        simulator, caller, price=..., variableAmount={"suggestedMaxAmount": 500}, scope="name"
    )
    seen.append((AGREEMENT_PATH, "get", await caller.send("GET", "/" + variable)))

    for path, method, response in seen:
        if method not in contract.document["paths"][path]:
            continue  # PUT came between the two files
        status = "201" if path.endswith(("/agreements", "/charges")) and method == "post" else "200"
        assert str(response.status_code) == status, response.text
        pointer = contract.answer_pointer(path, method, status)
        if pointer is not None:
            assert contract.errors(pointer, response.json()) == [], (method, path)
    statuses = {item["status"] for _, _, response in seen for item in _items(response.json())}
    assert {"PENDING", "ACTIVE", "PARTIALLY_REFUNDED", "CHARGED", "FAILED", "CANCELLED"} <= statuses


def _items(body: Any) -> list[dict[str, Any]]:
    items = body if isinstance(body, list) else [body]
    return [item for item in items if "status" in item]


async def test_every_operation_of_the_files_was_met(simulator: Simulator, caller: Caller, contract: Contract) -> None:
    met = {(path, method) for path, method, _ in await _walk(simulator, caller)}

    assert contract.operations("/recurring/v2/") <= met


async def test_the_token_answer_validates(simulator: Simulator) -> None:
    response = await Caller(an_http_client(simulator)).get_token()

    assert contract_of("2022").errors("/components/schemas/AccessTokenResponse", response.json()) == []


async def test_errors_validate(caller: Caller) -> None:
    array = (await caller.send("POST", "", a_draft(price="x", productName=...))).json()
    azure = (await caller.http.get("/recurring/v2/agreements")).json()

    assert (
        contract_of("2022").errors("/components/responses/BadRequestError/content/application~1json/schema", array)
        == []
    )
    for body in (array, azure):
        pointer = "/components/responses/ErrorResponseV2/content/application~1json;charset=UTF-8/schema"
        assert contract_of("2023").errors(pointer, body) == []
    assert {item["field"] for item in array} == {"price", "productName"}


BAD_DRAFTS: list[dict[str, Any]] = [
    *({name: ...} for name in ("currency", "interval", "intervalCount", "price", "productName")),
    *({name: ...} for name in ("productDescription", "merchantAgreementUrl", "merchantRedirectUrl", "isApp")),
    *({"price": price} for price in (99, -1, "25000", 250.5, None, 2**31)),
    *({"intervalCount": count} for count in (0, 32, "1", 1.5, None)),
    *({"interval": interval} for interval in ("month", "QUARTER", "", None, 1)),
    *({"currency": currency} for currency in ("SEK", "nok", "", None)),
    *({"productName": name} for name in ("x" * 46, None, 1)),
    *({"productDescription": text} for text in ("x" * 101, None)),
    *({"isApp": value} for value in ("false", 0, None)),
    *({"skipLandingPage": value} for value in ("false", None)),
    *({"scope": value} for value in (["name"], None)),
    *({"customerPhoneNumber": phone} for phone in ("4" * 16, 4791234567, None)),
    {"merchantAgreementUrl": "https://example.com/" + "x" * 1024},
    {"merchantRedirectUrl": "https://example.com/" + "x" * 1024},
    *({"campaign": value} for value in ("soon", {"campaignPrice": 1}, {"end": "2027-01-01T00:00:00Z"})),
    {"campaign": {"campaignPrice": -1, "end": "2027-01-01T00:00:00Z"}},
    {"campaign": {"campaignPrice": "1", "end": "2027-01-01T00:00:00Z"}},
    *({"variableAmount": amount} for amount in ({}, {"suggestedMaxAmount": 99}, {"suggestedMaxAmount": 2_000_001})),
    *({"initialCharge": an_initial_charge(**{name: ...})} for name in ("amount", "currency", "description")),
    {"initialCharge": an_initial_charge(transactionType=...)},
    {"initialCharge": an_initial_charge(transactionType="CAPTURE")},
    {"initialCharge": an_initial_charge(amount=99)},
    {"initialCharge": an_initial_charge(description="x" * 46)},
    {"initialCharge": an_initial_charge(orderId="no_underscore")},
    {"initialCharge": an_initial_charge(orderId="x" * 51)},
]

BAD_CHARGES: list[dict[str, Any]] = [
    *({name: ...} for name in ("amount", "currency", "description", "due", "retryDays")),
    *({"amount": amount} for amount in (99, 0, -100, "25000", 250.5, None, 2**31)),
    *({"retryDays": days} for days in (-1, 15, "2", 1.5, None)),
    *({"currency": currency} for currency in ("EUR", "nok", None)),
    *({"description": text} for text in ("x" * 46, None, 7)),
    *({"due": due} for due in ("2026-3-12", "12.03.2026", "2026-03-12T00:00:00Z", "", None, 20260312, "2026-02-30")),
    *({"orderId": order_id} for order_id in ("", "no_underscore", "no space", "æøå", "x" * 51, None)),
]

# Formats (int32, date) are annotations to the validator; here they are rules.
BY_FORMAT: list[Any] = [2**31, "2026-3-12", "12.03.2026", "2026-03-12T00:00:00Z", "", "2026-02-30"]


def _refused_by_a_file(body: dict[str, Any], schemas: dict[str, str], change: dict[str, Any]) -> bool:
    by_format = any(value in BY_FORMAT for value in change.values() if isinstance(value, str | int))
    return by_format or any(contract_of(era).refuses(schema, body) for era, schema in schemas.items())


@pytest.mark.parametrize("change", BAD_DRAFTS, ids=repr)
async def test_a_draft_that_a_file_refuses_is_refused(
    simulator: Simulator, caller: Caller, change: dict[str, Any]
) -> None:
    body = a_draft(**change)
    assert _refused_by_a_file(body, {"2022": "AgreementRequest", "2023": "DraftAgreementV2"}, change)

    response = await caller.send("POST", "", body)

    assert response.status_code == 400
    assert all({"message", "contextId", "field"} <= set(item) for item in response.json())
    assert simulator.ledger == []


@pytest.mark.parametrize("change", BAD_CHARGES, ids=repr)
async def test_a_charge_that_a_file_refuses_is_refused(
    simulator: Simulator, caller: Caller, change: dict[str, Any]
) -> None:
    agreement_id = await an_active_agreement(simulator, caller)
    body = a_charge(**change)
    assert _refused_by_a_file(body, {"2022": "ChargeRequest", "2023": "CreateChargeV2"}, change)

    response = await caller.write("POST", f"/{agreement_id}/charges", body)

    assert response.status_code == 400
    assert {item["field"] for item in response.json()} == set(change)
    assert simulator.charges(agreement_id) == []


async def test_good_requests_are_good_by_both_files(contract: Contract) -> None:
    names = ("AgreementRequest", "ChargeRequest")
    if "DraftAgreementV2" in contract.document["components"]["schemas"]:
        names = ("DraftAgreementV2", "CreateChargeV2")

    assert not contract.refuses(names[0], a_draft(initialCharge=an_initial_charge()))
    assert not contract.refuses(names[1], a_charge(orderId="order-1"))
