"""Many charges in one request: taken, refused, or left open, each by its own order id."""

import json
from datetime import timedelta
from typing import Any

import httpx
import pytest

from app.domain.agreement import TransactionType
from app.domain.charge import ChargeStatus
from app.domain.errors import BatchTooLarge, Misconfigured, OutcomeUnknown, Rejected, Unavailable
from app.domain.provider import ChargeBatches
from app.vipps.simulator import Effect, Simulator
from tests.builders import a_charge_request, nok
from tests.vipps.helpers import KEY, OTHER_KEY, Provider, Wire, active, answering, count, provider_of

OPERATION = "createCharges"


def batches_of(vipps: Provider) -> ChargeBatches:
    assert vipps.batches is not None
    return vipps.batches


async def asked(answer: httpx.Response, *order_ids: str) -> Any:
    async with provider_of("v3", answering(answer)) as vipps:
        return await batches_of(vipps).create_charges([a_charge_request(order_id=it) for it in order_ids], key=KEY)


def accepted(valid: Any = (), invalid: Any = ()) -> httpx.Response:
    return httpx.Response(202, json={"validCharges": valid, "invalidCharges": invalid})


def refused(order_id: str, *errors: Any) -> dict[str, Any]:
    return {"chargeBatchItemDto": {"orderId": order_id, "amount": 25_000}, "errors": list(errors)}


async def test_good_and_bad_items_get_an_answer_each(simulator: Simulator, v3: Provider) -> None:
    agreement_id = await active(v3, simulator)
    good = [a_charge_request(agreement_id=agreement_id) for _ in range(3)]
    bad = [
        a_charge_request(agreement_id="agr_0000000"),
        a_charge_request(agreement_id=agreement_id, amount=nok(9_000_000)),
        a_charge_request(agreement_id=agreement_id, retry_days=15),
    ]
    answers = await batches_of(v3).create_charges([good[0], *bad, *good[1:]], key=KEY)
    assert {request.order_id: answers[request.order_id] for request in good} == dict.fromkeys(
        request.order_id for request in good
    )
    for request in bad:
        refusal = answers[request.order_id]
        assert isinstance(refusal, Rejected)
        assert len(refusal.message) > len("Vipps refuses the charge: ")
    for request in good:
        assert (await v3.get_charge(agreement_id, request.order_id)).status is ChargeStatus.DUE
    assert count(simulator, Effect.CREATE) == 3


async def test_taken_is_not_made(simulator: Simulator, v3: Provider) -> None:
    agreement_id = await active(v3, simulator)
    simulator.knobs.batch_delay = timedelta(minutes=1)
    request = a_charge_request(agreement_id=agreement_id)
    assert await batches_of(v3).create_charges([request], key=KEY) == {request.order_id: None}
    with pytest.raises(Rejected) as unknown:
        await v3.get_charge(agreement_id, request.order_id)
    assert unknown.value.unknown_object
    simulator.advance(timedelta(minutes=2))
    assert (await v3.get_charge(agreement_id, request.order_id)).status is ChargeStatus.DUE


async def test_a_batch_is_written_like_this() -> None:
    """A stored batch may be repeated by a later release: these bytes must never change."""
    wire = answering(accepted())
    first = a_charge_request(order_id="ORD-00000001", agreement_id="agr_1")
    second = a_charge_request(
        order_id="ORD-00000002",
        agreement_id="agr_2",
        transaction_type=TransactionType.RESERVE_CAPTURE,
        external_id="our-own-id",
    )
    async with provider_of("v3", wire) as vipps:
        await batches_of(vipps).create_charges([first, second], key=KEY)
    (request,) = wire.calls
    assert (request.method, request.url.path) == ("POST", "/recurring/v3/agreements/charges")
    assert request.headers["Idempotency-Key"] == KEY
    assert request.content.decode() == (
        '[{"agreementId":"agr_1","amount":25000,"transactionType":"DIRECT_CAPTURE","description":"Kaffe i mars",'
        '"due":"2026-03-04","retryDays":5,"orderId":"ORD-00000001"},'
        '{"agreementId":"agr_2","amount":25000,"transactionType":"RESERVE_CAPTURE","description":"Kaffe i mars",'
        '"due":"2026-03-04","retryDays":5,"orderId":"ORD-00000002","externalId":"our-own-id"}]'
    )


@pytest.mark.parametrize(
    ("kind", "conditions", "took_effect"),
    [
        ("timeout-before", {"seconds": 0}, False),
        ("reset-before", {}, False),
        ("reset-after", {}, True),
        ("garbage", {"when": "after"}, True),
    ],
)
async def test_a_batch_without_a_usable_answer_is_open_and_its_repeat_makes_each_charge_once(
    simulator: Simulator, v3: Provider, wire: Wire, kind: Any, conditions: dict[str, Any], *, took_effect: bool
) -> None:
    agreement_id = await active(v3, simulator)
    requests = [a_charge_request(agreement_id=agreement_id) for _ in range(3)]
    simulator.faults.add(kind, operation=OPERATION, **conditions)
    with pytest.raises(OutcomeUnknown):
        await batches_of(v3).create_charges(requests, key=KEY)
    assert count(simulator, Effect.CREATE) == (3 if took_effect else 0)
    for _ in range(2):
        answers = await batches_of(v3).create_charges(requests, key=KEY)
        assert set(answers.values()) == {None}
    assert count(simulator, Effect.CREATE) == 3
    assert len({request.content for request in wire.calls[-3:]}) == 1


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, Rejected),
        (409, Rejected),
        (401, Misconfigured),
        (403, Misconfigured),
        (429, Unavailable),
        (503, Unavailable),
    ],
)
async def test_a_no_to_the_whole_batch_is_sorted_as_usual(
    simulator: Simulator, v3: Provider, status: int, error: type[Exception]
) -> None:
    agreement_id = await active(v3, simulator)
    simulator.faults.add("status", operation=OPERATION, status=status, times=2)
    with pytest.raises(error):
        await batches_of(v3).create_charges([a_charge_request(agreement_id=agreement_id)], key=KEY)
    assert count(simulator, Effect.CREATE) == 0


async def test_another_batch_under_the_same_key_is_refused(simulator: Simulator, v3: Provider) -> None:
    agreement_id = await active(v3, simulator)
    await batches_of(v3).create_charges([a_charge_request(agreement_id=agreement_id)], key=KEY)
    with pytest.raises(Rejected) as refusal:
        await batches_of(v3).create_charges([a_charge_request(agreement_id=agreement_id)], key=KEY)
    assert refusal.value.provider_code == "idempotency-conflict"


async def test_an_order_id_that_has_its_charge_already_is_refused_and_not_charged_again(
    simulator: Simulator, v3: Provider
) -> None:
    agreement_id = await active(v3, simulator)
    request = a_charge_request(agreement_id=agreement_id)
    await v3.create_charge(request, key=KEY)
    answers = await batches_of(v3).create_charges([request], key=OTHER_KEY)
    assert isinstance(answers[request.order_id], Rejected)
    assert count(simulator, Effect.CREATE) == 1


async def test_the_largest_batch_is_taken_and_a_larger_one_never_sent(
    simulator: Simulator, v3: Provider, wire: Wire
) -> None:
    agreement_id = await active(v3, simulator, price=nok(100_000_000))
    batches = batches_of(v3)
    assert batches.largest == 2_000
    requests = [a_charge_request(agreement_id=agreement_id, amount=nok(100)) for _ in range(2_001)]
    before = len(wire.calls)
    with pytest.raises(BatchTooLarge):
        await batches.create_charges(requests, key=KEY)
    assert len(wire.calls) == before
    answers = await batches.create_charges(requests[:-1], key=KEY)
    assert len(answers) == 2_000
    assert count(simulator, Effect.CREATE) == 2_000


async def test_an_empty_batch_is_not_sent(v3: Provider, wire: Wire) -> None:
    assert await batches_of(v3).create_charges([], key=KEY) == {}
    assert wire.sent == []


async def test_reasons_are_joined_and_hold_no_persons_data() -> None:
    reasons = ["The user 4791234567 is blocked", "write to ola@example.no", 7, "", None]
    answers = await asked(accepted(invalid=[refused("ORD-1", *reasons)]), "ORD-1")
    message = answers["ORD-1"].message
    assert "is blocked; write to" in message
    assert "91234567" not in message
    assert "@example.no" not in message


@pytest.mark.parametrize("errors", [[], None, "text", [None]])
async def test_a_refusal_without_a_reason_is_a_refusal(errors: Any) -> None:
    answers = await asked(accepted(invalid=[refused("ORD-1") | {"errors": errors}]), "ORD-1")
    assert isinstance(answers["ORD-1"], Rejected)
    assert "no reason given" in answers["ORD-1"].message


async def test_what_the_answer_does_not_name_stays_open() -> None:
    answers = await asked(accepted(["ORD-1"], [refused("ORD-2", "No")]), "ORD-1", "ORD-2", "ORD-3")
    assert list(answers) == ["ORD-1", "ORD-2"]


async def test_what_the_answer_names_on_both_sides_stays_open() -> None:
    assert await asked(accepted(["ORD-1"], [refused("ORD-1", "Duplicate")]), "ORD-1") == {}


async def test_what_nobody_asked_for_is_not_answered() -> None:
    assert await asked(accepted(["ORD-9"], [refused("ORD-8", "No")]), "ORD-1") == {}


@pytest.mark.parametrize(
    "odd", [None, 7, "ORD-2", {}, {"chargeBatchItemDto": None}, {"chargeBatchItemDto": {"orderId": 2}}]
)
async def test_one_item_that_cannot_be_read_does_not_spoil_the_others(odd: Any) -> None:
    answers = await asked(accepted(["ORD-1", odd], [odd, refused("ORD-3", "No")]), "ORD-1", "ORD-3")
    assert answers["ORD-1"] is None
    assert isinstance(answers["ORD-3"], Rejected)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}", b"null", b'{"chargeId": "x"}', b"<html>", b"[" * 100_000])
async def test_an_answer_that_cannot_be_read_leaves_all_open(body: bytes) -> None:
    with pytest.raises(OutcomeUnknown):
        await asked(httpx.Response(202, content=body), "ORD-1")


@pytest.mark.parametrize("body", [{"validCharges": ["ORD-1"]}, {"validCharges": ["ORD-1"], "invalidCharges": None}])
async def test_one_side_of_the_answer_may_be_missing(body: Any) -> None:
    answers = await asked(httpx.Response(202, content=json.dumps(body).encode()), "ORD-1")
    assert answers == {"ORD-1": None}
