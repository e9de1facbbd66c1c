"""Tokens, headers and who sees what."""

from datetime import timedelta

import pytest

from app.vipps.simulator import DEFAULT_MERCHANT, Simulator
from tests.vipps.simulator.helpers import (
    AGREEMENTS,
    OTHER_MERCHANT,
    Caller,
    a_caller,
    a_draft,
    a_simulator,
    an_http_client,
)


@pytest.mark.parametrize("path", ["/accesstoken/get", "/accessToken/get"])
async def test_a_token_answer_holds_only_text(simulator: Simulator, path: str) -> None:
    headers = {
        "client_id": DEFAULT_MERCHANT.client_id,
        "client_secret": DEFAULT_MERCHANT.client_secret,
        "Ocp-Apim-Subscription-Key": DEFAULT_MERCHANT.subscription_key,
    }

    response = await an_http_client(simulator).post(path, headers=headers)

    body = response.json()
    assert response.status_code == 200
    assert all(isinstance(value, str) for value in body.values())
    assert body["expires_in"] == "3600"
    assert int(body["expires_on"]) - int(body["not_before"]) == 3600
    assert body["access_token"].count(".") == 2
    assert len(body["access_token"]) > 1000
    assert simulator.tokens_issued == 1


@pytest.mark.parametrize(
    ("changes", "status", "error"),
    [
        ({"client_secret": "wrong"}, 401, "unauthorized_client"),
        ({"client_id": "unknown"}, 401, "unauthorized_client"),
        ({"client_secret": ""}, 400, "invalid_request"),
    ],
)
async def test_wrong_client_credentials_answer_in_the_style_of_the_directory(
    simulator: Simulator, changes: dict[str, str], status: int, error: str
) -> None:
    headers = {
        "client_id": DEFAULT_MERCHANT.client_id,
        "client_secret": DEFAULT_MERCHANT.client_secret,
        "Ocp-Apim-Subscription-Key": DEFAULT_MERCHANT.subscription_key,
    }

    response = await an_http_client(simulator).post("/accesstoken/get", headers=headers | changes)

    assert response.status_code == status
    assert response.json()["error"] == error
    assert simulator.tokens_issued == 0


async def test_a_wrong_subscription_key_answers_in_the_style_of_azure(simulator: Simulator) -> None:
    headers = {"client_id": "x", "client_secret": "y", "Ocp-Apim-Subscription-Key": "wrong"}

    response = await an_http_client(simulator).post("/accesstoken/get", headers=headers)

    assert response.status_code == 401
    assert response.json()["responseInfo"] == {"responseCode": 401, "responseMessage": "Unauthorized"}


@pytest.mark.parametrize(
    "changes",
    [
        {"Authorization": ""},
        {"Authorization": "Bearer made-up"},
        {"Ocp-Apim-Subscription-Key": "wrong"},
        {"Ocp-Apim-Subscription-Key": ""},
        {"Ocp-Apim-Subscription-Key": OTHER_MERCHANT.subscription_key},
    ],
)
async def test_a_call_with_wrong_keys_is_401_and_changes_nothing(changes: dict[str, str]) -> None:
    simulator = a_simulator(merchants=(DEFAULT_MERCHANT, OTHER_MERCHANT))
    caller = await a_caller(simulator)

    response = await caller.http.post(AGREEMENTS, json=a_draft(), headers=caller.headers() | changes)

    assert response.status_code == 401
    assert set(response.json()) == {"responseInfo", "result"}
    assert simulator.ledger == []


async def test_the_word_bearer_is_case_sensitive(caller: Caller) -> None:
    headers = caller.headers() | {"Authorization": f"bearer {caller.token}"}

    assert (await caller.http.get(AGREEMENTS, headers=headers)).status_code == 401


async def test_the_serial_number_may_be_missing_but_not_wrong(caller: Caller) -> None:
    headers = caller.headers()
    del headers["Merchant-Serial-Number"]

    without = await caller.http.get(AGREEMENTS, headers=headers)
    wrong = await caller.http.get(AGREEMENTS, headers=headers | {"Merchant-Serial-Number": "654321"})

    assert (without.status_code, wrong.status_code) == (200, 403)
    assert wrong.json()[0]["field"] == "Merchant-Serial-Number"


async def test_a_token_ends_with_its_hour(simulator: Simulator, caller: Caller) -> None:
    simulator.advance(timedelta(seconds=3599))
    assert (await caller.send("GET", "")).status_code == 200

    simulator.advance(timedelta(seconds=1))
    assert (await caller.send("GET", "")).status_code == 401


async def test_revoked_tokens_open_nothing_until_a_new_one_is_fetched(simulator: Simulator, caller: Caller) -> None:
    simulator.revoke_tokens()
    assert (await caller.send("GET", "")).status_code == 401

    await caller.get_token()
    assert (await caller.send("GET", "")).status_code == 200


async def test_another_merchants_agreement_does_not_exist() -> None:
    simulator = a_simulator(merchants=(DEFAULT_MERCHANT, OTHER_MERCHANT))
    owner, stranger = await a_caller(simulator), await a_caller(simulator, OTHER_MERCHANT)
    agreement_id = await owner.drafted()
    simulator.approve(agreement_id)
    charge_id = await owner.charged(agreement_id)
    before = list(simulator.ledger)

    answers = [
        await stranger.send("GET", f"/{agreement_id}"),
        await stranger.send("PATCH", f"/{agreement_id}", {"status": "STOPPED"}),
        await stranger.send("GET", f"/{agreement_id}/charges"),
        await stranger.send("GET", f"/{agreement_id}/charges/{charge_id}"),
        await stranger.send("DELETE", f"/{agreement_id}/charges/{charge_id}"),
        await stranger.write(
            "POST", f"/{agreement_id}/charges/{charge_id}/refund", {"amount": 100, "description": "x"}
        ),
    ]

    assert {(answer.status_code, answer.content) for answer in answers} == {(404, b"")}
    assert (await stranger.send("GET", "")).json() == []
    assert simulator.ledger == before


async def test_two_merchants_may_use_the_same_order_id() -> None:
    simulator = a_simulator(merchants=(DEFAULT_MERCHANT, OTHER_MERCHANT))

    for merchant in (DEFAULT_MERCHANT, OTHER_MERCHANT):
        caller = await a_caller(simulator, merchant)
        agreement_id = await caller.drafted()
        simulator.approve(agreement_id)
        assert await caller.charged(agreement_id, orderId="order-1") == "order-1"


async def test_a_body_must_be_declared_as_json(caller: Caller) -> None:
    headers = caller.headers() | {"Content-Type": "text/plain"}

    response = await caller.http.post(AGREEMENTS, content=b"{}", headers=headers)

    assert response.status_code == 415


async def test_a_body_that_is_no_json_is_422_for_a_draft_and_400_elsewhere(
    simulator: Simulator, caller: Caller
) -> None:
    agreement_id = await caller.drafted()
    headers = caller.headers("key") | {"Content-Type": "application/json"}

    draft = await caller.http.post(AGREEMENTS, content=b"{", headers=headers)
    charge = await caller.http.post(f"{AGREEMENTS}/{agreement_id}/charges", content=b"\xff", headers=headers)

    assert (draft.status_code, charge.status_code) == (422, 400)
    assert len(simulator.ledger) == 1


async def test_json_answers_name_their_character_set(caller: Caller) -> None:
    response = await caller.send("GET", "")

    assert response.headers["content-type"] == "application/json;charset=UTF-8"


async def test_rate_limits_answer_429_with_the_seconds_to_wait() -> None:
    simulator = a_simulator(rate_limits_on=True)
    caller = await a_caller(simulator)
    for _ in range(5):
        assert (await caller.send("GET", "")).status_code == 200
    simulator.advance(timedelta(seconds=20))

    limited = await caller.send("GET", "")

    assert (limited.status_code, limited.content, limited.headers["retry-after"]) == (429, b"", "40")
    simulator.advance(timedelta(seconds=40))
    assert (await caller.send("GET", "")).status_code == 200


async def test_the_record_of_requests_keeps_no_secret(simulator: Simulator, caller: Caller) -> None:
    headers = caller.headers("key-7") | {"Vipps-System-Name": "saleor"}

    await caller.http.post(AGREEMENTS, json=a_draft(), headers=headers)

    record = simulator.requests[-1]
    assert (record.method, record.path, record.operation, record.status) == ("POST", AGREEMENTS, "draftAgreement", 201)
    assert record.idempotency_key == "key-7"
    assert record.vipps_system == {"vipps-system-name": "saleor"}
    assert "authorization" in record.header_names
    text = repr(list(simulator.requests))
    assert caller.token not in text
    assert DEFAULT_MERCHANT.client_secret not in text
    assert DEFAULT_MERCHANT.subscription_key not in text
