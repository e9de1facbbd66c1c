"""Charges as v3 makes, captures in parts, cancels, refunds and shows them."""

import random
from datetime import timedelta
from typing import Any

import pytest

from app.vipps.simulator import Simulator
from tests.vipps.simulator.helpers import a_simulator
from tests.vipps.simulator.v3 import (
    V3,
    a_v3_caller,
    a_v3_charge,
    a_v3_initial_charge,
    a_v3_reservation,
    an_active_v3_agreement,
    fields_of,
    problem_of,
)


def money(amount: int) -> dict[str, Any]:
    return {"amount": amount, "description": "x"}


async def test_a_charge_tells_its_whole_story(simulator: Simulator, v3: V3) -> None:
    agreement_id = await an_active_v3_agreement(simulator, v3, externalId="sub-17")
    await v3.charged(agreement_id, orderId="order-1", externalId="invoice-9", due="2026-03-11")
    simulator.advance(timedelta(days=1))
    await v3.get_token()

    view = await v3.charge(agreement_id, "order-1")

    assert view.pop("transactionId")
    created, captured = view.pop("history")
    assert view == {
        "id": "order-1",
        "agreementId": agreement_id,
        "externalId": "invoice-9",
        "externalAgreementId": "sub-17",
        "status": "CHARGED",
        "amount": 25_000,
        "currency": "NOK",
        "description": "March",
        "due": "2026-03-11T00:00:00Z",
        "retryDays": 2,
        "type": "RECURRING",
        "transactionType": "DIRECT_CAPTURE",
        "failureReason": None,
        "summary": {"captured": 25_000, "refunded": 0, "cancelled": 0},
    }
    assert created == {
        "occurred": "2026-03-10T12:00:00Z",
        "event": "CREATE",
        "amount": 25_000,
        "idempotencyKey": "key-2",
        "success": True,
    }
    assert (captured["event"], captured["occurred"], captured["amount"]) == ("CAPTURE", "2026-03-11T07:00:00Z", 25_000)
    assert captured["idempotencyKey"]


async def test_a_charge_is_found_without_its_agreement(simulator: Simulator, v3: V3) -> None:
    agreement_id = await an_active_v3_agreement(simulator, v3)
    charge_id = await v3.charged(agreement_id)

    found = await v3.http.get(f"/recurring/v3/charges/{charge_id}", headers=v3.headers())
    unknown = await v3.http.get("/recurring/v3/charges/chr-unknown", headers=v3.headers())

    assert found.json() == await v3.charge(agreement_id, charge_id)
    assert (unknown.status_code, unknown.json()["detail"]) == (404, "Charge not found.")


async def test_the_initial_charge_has_its_own_type(simulator: Simulator, v3: V3) -> None:
    initial = a_v3_initial_charge(orderId="first-1", transactionType="RESERVE_CAPTURE")
    agreement_id = await an_active_v3_agreement(simulator, v3, initialCharge=initial)

    view = await v3.charge(agreement_id, "first-1")

    assert (view["type"], view["transactionType"], view["status"]) == ("INITIAL", "RESERVE_CAPTURE", "RESERVED")
    assert [line["event"] for line in view["history"]] == ["CREATE", "RESERVE"]


@pytest.mark.parametrize(
    ("changes", "problem", "field"),
    [
        ({"due": "2026-03-10"}, "charge-due-too-soon", "due"),
        ({"due": "2028-03-11"}, "charge-due-in-too-long", "due"),
        ({"due": "2026-02-30"}, "validation-error", "due"),
        ({"amount": 125_001}, "charge-amount-too-high", "amount"),
        ({"amount": 99}, "validation-error", "amount"),
        ({"amount": "100"}, "validation-error", "amount"),
        ({"retryDays": 15}, "validation-error", "retryDays"),
        ({"transactionType": ...}, "validation-error", "transactionType"),
        ({"transactionType": "LATER"}, "validation-error", "transactionType"),
        ({"description": "x" * 46}, "validation-error", "description"),
        ({"orderId": "no_underscore"}, "validation-error", "orderId"),
        ({"currency": "NOK"}, "validation-error", "currency"),
        ({"type": "UNSCHEDULED"}, "validation-error", "type"),
        ({"processingMode": "SINGLE_ATTEMPT"}, "validation-error", "retryDays"),
    ],
)
async def test_a_charge_that_is_not_allowed_is_not_made(
    simulator: Simulator, v3: V3, changes: dict[str, Any], problem: str, field: str
) -> None:
    agreement_id = await an_active_v3_agreement(simulator, v3)

    response = await v3.write("POST", f"/{agreement_id}/charges", a_v3_charge(**changes))

    assert (problem_of(response), fields_of(response)) == ((400, problem), {field})
    assert simulator.charges(agreement_id) == []


async def test_a_charge_needs_an_active_agreement_and_a_new_order_id(simulator: Simulator, v3: V3) -> None:
    agreement_id = await v3.drafted()
    early = await v3.write("POST", f"/{agreement_id}/charges", a_v3_charge())
    simulator.approve(agreement_id)
    await v3.charged(agreement_id, orderId="order-1")

    twice = await v3.write("POST", f"/{agreement_id}/charges", a_v3_charge(orderId="order-1"))

    assert problem_of(early) == (400, "charge-creation-failed")
    assert problem_of(twice) == (409, "conflict")


async def test_a_flexible_agreement_has_no_limit_and_pay_per_use_has_one_for_each_charge(
    simulator: Simulator, v3: V3
) -> None:
    flexible = await an_active_v3_agreement(simulator, v3, pricing={"type": "FLEXIBLE", "currency": "NOK"})
    per_use = await an_active_v3_agreement(simulator, v3, interval=...)

    assert await v3.charged(flexible, amount=100_000_000)
    for _ in range(2):
        assert await v3.charged(per_use, amount=125_000)
    too_high = await v3.write("POST", f"/{per_use}/charges", a_v3_charge(amount=125_001))

    assert problem_of(too_high) == (400, "charge-amount-too-high")


async def test_a_single_attempt_is_the_only_one(simulator: Simulator, v3: V3) -> None:
    agreement_id = await an_active_v3_agreement(simulator, v3)
    await v3.charged(agreement_id, amount=151, due="2026-03-11", retryDays=0, processingMode="SINGLE_ATTEMPT")

    simulator.advance(timedelta(days=1))

    (charge,) = simulator.charges(agreement_id)
    assert (charge.status, simulator.ledger[-1].at.hour) == ("FAILED", 7)


async def test_a_reservation_is_captured_in_parts(simulator: Simulator, v3: V3) -> None:
    path = await a_v3_reservation(simulator, v3)
    states = []

    for amount in (1001, 400, 601, 600, 100):
        answer = await v3.write("POST", path + "/capture", money(amount))
        view = (await v3.send("GET", path)).json()
        states.append((answer.status_code, view["status"], view["summary"]["captured"]))

    assert states == [
        (400, "RESERVED", 0),
        (204, "PARTIALLY_CAPTURED", 400),
        (400, "PARTIALLY_CAPTURED", 400),
        (204, "CHARGED", 1000),
        (400, "CHARGED", 1000),
    ]


async def test_what_is_not_captured_is_released(simulator: Simulator, v3: V3) -> None:
    path = await a_v3_reservation(simulator, v3)
    await v3.write("POST", path + "/capture", money(400))

    cancelled = await v3.write("DELETE", path)
    more = await v3.write("POST", path + "/capture", money(600))
    again = await v3.write("DELETE", path)

    view = (await v3.send("GET", path)).json()
    assert (cancelled.status_code, problem_of(more), problem_of(again)) == (
        204,
        (400, "charge-capture-failed"),
        (409, "cancel-charge-failed"),
    )
    assert (view["status"], view["summary"]) == ("CHARGED", {"captured": 400, "refunded": 0, "cancelled": 600})
    assert [(line["event"], line["amount"]) for line in view["history"]] == [
        ("CREATE", 1000),
        ("RESERVE", 1000),
        ("CAPTURE", 400),
        ("CANCEL", 600),
    ]


async def test_a_payment_is_refunded_in_parts(simulator: Simulator, v3: V3) -> None:
    path = await a_v3_reservation(simulator, v3)
    early = await v3.write("POST", path + "/refund", money(100))
    await v3.write("POST", path + "/capture", money(400))
    states = []

    for method, suffix, amount in (("POST", "/refund", 100), ("DELETE", "", 0), ("POST", "/refund", 300)):
        await v3.write(method, path + suffix, money(amount) if amount else None)
        view = (await v3.send("GET", path)).json()
        states.append((view["status"], view["summary"]["refunded"]))

    assert problem_of(early) == (400, "operation-failed")
    assert states == [("PARTIALLY_CAPTURED", 100), ("PARTIALLY_REFUNDED", 100), ("REFUNDED", 400)]
    assert problem_of(await v3.write("POST", path + "/refund", money(100))) == (400, "operation-failed")


@pytest.mark.parametrize("body", [None, {}, {"amount": 100}, money(99), money(100) | {"currency": "NOK"}])
async def test_a_capture_says_how_much_and_why(simulator: Simulator, v3: V3, body: Any) -> None:
    path = await a_v3_reservation(simulator, v3)

    response = await v3.write("POST", path + "/capture", body)

    assert response.status_code in {400, 415}
    assert simulator.ledger[-1].effect == "reserve"


async def test_charges_are_listed_by_status(simulator: Simulator, v3: V3) -> None:
    agreement_id = await an_active_v3_agreement(simulator, v3)
    near, far = await v3.charged(agreement_id), await v3.charged(agreement_id, due="2026-09-01")

    async def listed(query: str) -> list[str]:
        return [item["id"] for item in (await v3.send("GET", f"/{agreement_id}/charges{query}")).json()]

    assert await listed("?status=PENDING") == [far]
    assert await listed("?chargeStatus=PENDING") == [near, far]  # the name of v2 means nothing here
    assert problem_of(await v3.send("GET", f"/{agreement_id}/charges?status=LATE")) == (400, "validation-error")


@pytest.mark.parametrize("delay", [0, 60])
async def test_accepted_is_not_done(delay: int) -> None:
    simulator = a_simulator(forced_202=True, accepted_delay=timedelta(seconds=delay))
    v3 = await a_v3_caller(simulator)
    path = await a_v3_reservation(simulator, v3)

    impossible = await v3.write("POST", path + "/capture", money(1001))
    accepted = await v3.write("POST", path + "/capture", money(400))

    assert (impossible.status_code, accepted.status_code) == (400, 202)
    assert (await v3.send("GET", path)).json()["summary"]["captured"] == (0 if delay else 400)
    simulator.advance(timedelta(seconds=delay))
    assert (await v3.send("GET", path)).json()["summary"]["captured"] == 400


async def test_what_was_accepted_can_still_come_to_nothing() -> None:
    simulator = a_simulator(forced_202=True, accepted_delay=timedelta(minutes=1))
    v3 = await a_v3_caller(simulator)
    path = await a_v3_reservation(simulator, v3)

    answers = [await v3.write("POST", path + "/capture", money(600)) for _ in range(2)]
    simulator.advance(timedelta(minutes=1))

    assert [answer.status_code for answer in answers] == [202, 202]
    assert (await v3.send("GET", path)).json()["summary"]["captured"] == 600


@pytest.mark.parametrize("seed", range(5))
async def test_no_money_is_made_or_lost(simulator: Simulator, v3: V3, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311  # a drill
    path = await a_v3_reservation(simulator, v3)
    (charge,) = simulator.agreements[0].charges.values()

    for _ in range(40):
        suffix = chance.choice(["/capture", "/capture", "/refund", "/refund", ""])
        body = money(chance.randint(100, 700)) if suffix else None
        if suffix or not chance.randrange(8):
            await v3.write("POST" if suffix else "DELETE", path + suffix, body)
        assert charge.captured + charge.cancelled <= charge.amount
        assert 0 <= charge.refunded <= charge.captured

    moved = {name: sum(e.amount or 0 for e in simulator.ledger if e.effect == name) for name in ("capture", "refund")}
    assert moved == {"capture": charge.captured, "refund": charge.refunded}
