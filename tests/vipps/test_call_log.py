"""The log of calls: every write, every read that failed, and in none of it a secret or a person's data."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.agreement import TransactionType
from app.domain.errors import Misconfigured, OutcomeUnknown, RecurringError, Rejected, Unavailable
from app.vipps.calls import Call
from app.vipps.redaction import redacted
from app.vipps.simulator import Simulator
from app.vipps.webhooks import VippsWebhooks
from tests.builders import NOW, a_charge_request, a_draft, nok
from tests.vipps.helpers import (
    AGR,
    GOOD,
    KEY,
    PHONE,
    Provider,
    Wire,
    active,
    an_http,
    answering,
    initial,
    provider_of,
)


@pytest.fixture
def calls() -> list[Call]:
    return []


@pytest.fixture
async def logged(version: str, simulator: Simulator, wire: Wire, calls: list[Call]) -> AsyncIterator[Provider]:
    async with provider_of(version, wire, clock=simulator.clock.now, log=calls.append) as vipps:
        yield vipps


async def test_every_write_is_written_down_once(
    version: str, simulator: Simulator, logged: Provider, calls: list[Call]
) -> None:
    agreement_id = await active(logged, simulator, initial_charge=initial(TransactionType.RESERVE_CAPTURE))
    request = a_charge_request(agreement_id=agreement_id)
    await logged.create_charge(request, key=KEY)
    await logged.cancel_charge(agreement_id, request.order_id, key=KEY)
    await logged.capture_charge(agreement_id, "INITIAL-1", nok(25_000), "All", key=KEY)
    await logged.refund_charge(agreement_id, "INITIAL-1", nok(5_000), "Damaged", key=KEY)
    await logged.stop_agreement(agreement_id, key=KEY)
    assert [(call.operation, call.method, call.charge_id) for call in calls] == [
        ("draftAgreement", "POST", None),
        ("createCharge", "POST", request.order_id),
        ("cancelCharge", "DELETE", request.order_id),
        ("captureCharge", "POST", "INITIAL-1"),
        ("refundCharge", "POST", "INITIAL-1"),
        ("stopAgreement", "PATCH", None),
    ]
    for call in calls:
        assert call.agreement_id == agreement_id
        assert call.path.startswith(f"/recurring/{version}/agreements")
        assert (call.idempotency_key, call.at, call.context_id) == (KEY, NOW, None)
        assert call.status in {200, 201, 204}
        assert 0 <= call.milliseconds < 5_000
    assert json.loads(calls[1].request)["orderId"] == request.order_id
    assert json.loads(calls[1].answer) == {"chargeId": request.order_id}


async def test_reads_that_succeed_are_not_written_down(
    simulator: Simulator, logged: Provider, calls: list[Call]
) -> None:
    agreement_id = await active(logged, simulator)
    calls.clear()
    await logged.get_agreement(agreement_id)
    await logged.list_agreements()
    await logged.list_charges(agreement_id)
    assert calls == []


async def test_a_read_that_fails_is_written_down_with_vipps_id_of_the_call(
    simulator: Simulator, logged: Provider, calls: list[Call]
) -> None:
    simulator.faults.add("status", operation="listAgreements", status=500, style="problem")
    with pytest.raises(Unavailable) as failed:
        await logged.list_agreements()
    (call,) = calls
    assert (call.operation, call.method, call.status) == ("listAgreements", "GET", 500)
    assert call.context_id
    assert call.context_id == failed.value.context_id
    assert call.context_id in call.answer


@pytest.mark.parametrize("kind", ["reset-after", "timeout-after"])
async def test_a_call_without_an_answer_is_written_down_without_a_status(
    simulator: Simulator, logged: Provider, calls: list[Call], kind: Any
) -> None:
    agreement_id = await active(logged, simulator)
    calls.clear()
    simulator.faults.add(kind, operation="createCharge", seconds=0)
    simulator.faults.add(kind, operation="getAgreement", seconds=0)
    with pytest.raises(OutcomeUnknown):
        await logged.create_charge(a_charge_request(agreement_id=agreement_id), key=KEY)
    with pytest.raises(Unavailable):
        await logged.get_agreement(agreement_id)
    assert [(call.operation, call.status, call.answer) for call in calls] == [
        ("createCharge", None, ""),
        ("getAgreement", None, ""),
    ]


async def test_a_write_that_is_called_off_is_written_down(
    simulator: Simulator, logged: Provider, calls: list[Call]
) -> None:
    """Vipps may have heard it."""
    await logged.authenticate()
    simulator.faults.add("timeout-after", operation="createCharge")
    task = asyncio.create_task(logged.create_charge(a_charge_request(), key=KEY))
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [(call.operation, call.status) for call in calls] == [("createCharge", None)]


async def test_each_exchange_is_an_entry_of_its_own(simulator: Simulator, logged: Provider, calls: list[Call]) -> None:
    agreement_id = await active(logged, simulator)
    calls.clear()
    simulator.revoke_tokens()
    await logged.create_charge(a_charge_request(agreement_id=agreement_id), key=KEY)
    assert [(call.operation, call.status) for call in calls] == [("createCharge", 401), ("createCharge", 201)]


async def test_a_token_is_written_down_only_where_it_is_refused_and_without_bodies(
    simulator: Simulator, logged: Provider, calls: list[Call]
) -> None:
    await logged.authenticate()
    assert calls == []
    simulator.faults.add("status", operation="getAccessToken", status=401, style="problem")
    with pytest.raises(Misconfigured):
        await logged.authenticate()
    (call,) = calls
    assert (call.operation, call.path, call.status) == ("getAccessToken", "/accesstoken/get", 401)
    assert (call.request, call.answer) == ("", "")


async def test_no_entry_holds_a_secret_a_number_or_a_link_that_opens_a_page(
    simulator: Simulator, logged: Provider, calls: list[Call]
) -> None:
    draft = a_draft(phone=PHONE, product_description="Ring 912 34 567 eller ola@example.no")
    made = await logged.create_agreement(draft, key=KEY)
    await logged.accept_agreement(made.agreement_id, PHONE)
    token = (await logged.authenticate()).value
    simulator.faults.add("status", status=401, times=2)
    with pytest.raises(Misconfigured):
        await logged.stop_agreement(made.agreement_id, key=KEY)
    text = repr(calls)
    for secret in (GOOD.client_secret, GOOD.subscription_key, token, "91234567", "912 34 567", "ola@example.no"):
        assert secret not in text
    for link in (made.confirmation_url, draft.agreement_url, draft.redirect_url):
        assert link not in text
    shown = json.loads(calls[0].answer)
    assert shown["vippsConfirmationUrl"] == "[hidden]"
    assert shown["agreementId"] == made.agreement_id


async def test_a_batch_is_one_entry_with_a_count(simulator: Simulator, wire: Wire, calls: list[Call]) -> None:
    async with provider_of("v3", wire, clock=simulator.clock.now, log=calls.append) as vipps:
        agreement_id = await active(vipps, simulator, price=nok(10_000_000))
        calls.clear()
        assert vipps.batches is not None
        requests = [a_charge_request(agreement_id=agreement_id, amount=nok(100)) for _ in range(500)]
        await vipps.batches.create_charges(requests, key=KEY)
    (call,) = calls
    assert (call.operation, call.charge_id, call.agreement_id, call.status) == ("createCharges", None, None, 202)
    assert call.request == "500 charges"
    assert "… 500 in all" in call.answer
    assert len(call.answer) < 2_000


async def test_a_webhooks_secret_is_not_written_down(calls: list[Call]) -> None:
    wire = answering(httpx.Response(201, json={"id": "1", "secret": "very-secret"}))
    async with httpx.AsyncClient(transport=wire) as client:
        await VippsWebhooks(an_http(client, log=calls.append)).register("https://app.example/hooks")
    (call,) = calls
    assert "very-secret" not in repr(call)
    assert (call.operation, call.idempotency_key) == ("registerWebhook", None)


async def test_bodies_ids_and_paths_are_cut_to_what_can_be_kept(calls: list[Call]) -> None:
    wire = answering(httpx.Response(400, text="x" * 100_000))
    async with provider_of("v2", wire, log=calls.append) as vipps:
        with pytest.raises(Rejected):
            await vipps.refund_charge(f"agr_{'a' * 500}\x00", "c" * 500, nok(100), "d" * 5_000, key=KEY)
    (call,) = calls
    assert (len(call.request), len(call.answer)) == (2_000, 2_000)
    assert (len(call.agreement_id or ""), len(call.charge_id or ""), len(call.path)) == (64, 64, 500)


async def test_the_query_of_a_read_is_part_of_its_path(calls: list[Call]) -> None:
    async with provider_of("v3", answering(httpx.Response(500)), log=calls.append) as vipps:
        with pytest.raises(Unavailable):
            await vipps.list_agreements(created_after=NOW - timedelta(days=1))
    assert calls[0].path.startswith("/recurring/v3/agreements?createdAfter=")


async def test_without_a_log_nothing_is_missing() -> None:
    async with provider_of("v2", answering(httpx.Response(200))) as vipps:
        await vipps.stop_agreement(AGR, key=KEY)


async def test_what_is_refused_before_it_is_sent_is_no_call(calls: list[Call]) -> None:
    async with provider_of("v2", answering(httpx.Response(200)), log=calls.append) as vipps:
        with pytest.raises(RecurringError):
            await vipps.cancel_charge(AGR, "..", key=KEY)
    assert calls == []


# The cleaning of bodies.


def shown(body: Any) -> Any:
    return json.loads(redacted(json.dumps(body).encode()))


@pytest.mark.parametrize(
    "name",
    [
        *("customerPhoneNumber", "phoneNumber", "phone_number", "msisdn", "sub", "userinfoUrl", "vippsConfirmationUrl"),
        *("merchantAgreementUrl", "merchantRedirectUrl", "email", "given_name", "familyName", "name", "birthdate"),
        *("secret", "client_secret", "access_token", "Authorization", "Ocp-Apim-Subscription-Key"[9:]),
    ],
)
@pytest.mark.parametrize("value", ["a private thing", 4791234567, {"deep": "a private thing"}, ["a private thing"]])
def test_fields_that_are_private_are_hidden_whatever_is_in_them(name: str, value: Any) -> None:
    assert shown({"outer": [{name: value}]}) == {"outer": [{name: "[hidden]"}]}


def test_what_support_needs_stays() -> None:
    body = {
        "agreementId": "agr_5kSeqzF",
        "orderId": "1234567890",
        "transactionId": "5001234567",
        "amount": 25_000_000,
        "due": "2026-03-04",
        "description": "Kaffe i mars",
        "contextId": "12345678-1234-1234-1234-123456789012",
        "extraDetails": [{"name": "phoneNumber", "reason": "must not be empty"}],
        "sub": None,
        "isApp": False,
    }
    assert shown(body) == body


@pytest.mark.parametrize(
    "text",
    [
        *("4791234567", "+47 912 34 567", "ring 91234567 nå", "ola.nordmann@example.no", "Bearer abcdefgh12345678"),
        "eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
    ],
)
@pytest.mark.parametrize("shape", ["json", "list", "text", "html"])
def test_texts_are_cleaned_in_every_shape(text: str, shape: str) -> None:
    bodies = {
        "json": json.dumps({"description": text}),
        "list": json.dumps([[text]]),
        "text": text,
        "html": f"<p>{text}</p>",
    }
    for private in ("91234567", "912 34 567", "nordmann", "abcdefgh12345678", "c2lnbmF0dXJl"):
        assert private not in redacted(bodies[shape].encode())


def test_a_number_where_a_text_is_cut_is_not_half_shown() -> None:
    for length in range(1_985, 2_005):
        for body in (b"x" * length + b" 4791234567 y", json.dumps(["x" * length + " 4791234567 y"]).encode()):
            assert "47912" not in redacted(body)


@given(st.binary(max_size=300))
def test_any_bytes_can_be_shown(body: bytes) -> None:
    text = redacted(body)
    assert "\x00" not in text
    assert text.encode().decode() == text


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=30),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
        max_leaves=20,
    )
)
def test_any_json_can_be_shown(data: Any) -> None:
    text = redacted(json.dumps(data).encode())
    assert len(text) <= 2_000
    assert text.encode().decode() == text


@pytest.mark.parametrize("body", [b"[" * 100_000, b"9" * 5_000, b'{"a":' * 500 + b"1" + b"}" * 500, b"x" * 3_000_000])
def test_a_body_made_to_hurt_does_not(body: bytes) -> None:
    assert len(redacted(body)) <= 2_000
