"""Charges as a merchant makes, cancels, captures and refunds them."""

from datetime import timedelta
from typing import Any

import pytest

from app.vipps.simulator import Simulator
from tests.vipps.simulator.helpers import (
    Caller,
    a_caller,
    a_charge,
    a_simulator,
    an_active_agreement,
    an_initial_charge,
)


async def test_a_charge_that_is_near_is_due_at_once_and_a_far_one_comes_into_view(
    simulator: Simulator, caller: Caller
) -> None:
    agreement_id = await an_active_agreement(simulator, caller)
    near = await caller.charged(agreement_id, due="2026-04-09", orderId="near-1")
    far = await caller.charged(agreement_id, due="2026-04-20", amount=100)

    assert near == "near-1"
    assert await caller.charge(agreement_id, near) == {
        "id": "near-1",
        "status": "DUE",
        "due": "2026-04-09T00:00:00Z",
        "amount": 25_000,
        "amountRefunded": 0,
        "transactionId": None,
        "description": "March",
        "type": "RECURRING",
    }
    assert far.startswith("chr-")
    simulator.advance(timedelta(days=10))
    assert simulator.agreement(agreement_id).charges[far].status == "PENDING"
    simulator.advance(timedelta(hours=12))
    assert simulator.agreement(agreement_id).charges[far].status == "DUE"


@pytest.mark.parametrize(
    ("due", "status"),
    [("2026-03-10", 400), ("2026-03-11", 201), ("2028-03-10", 201), ("2028-03-11", 400), ("2026-02-30", 400)],
)
async def test_the_due_date_lies_between_tomorrow_and_two_years(
    simulator: Simulator, caller: Caller, due: str, status: int
) -> None:
    agreement_id = await an_active_agreement(simulator, caller)

    response = await caller.write("POST", f"/{agreement_id}/charges", a_charge(due=due))

    assert response.status_code == status
    if status == 400:
        assert response.json()[0]["field"] == "due"


async def test_the_lead_time_is_a_knob() -> None:
    simulator = a_simulator(due_lead_days=2)
    caller = await a_caller(simulator)
    agreement_id = await an_active_agreement(simulator, caller)

    too_soon = await caller.write("POST", f"/{agreement_id}/charges", a_charge(due="2026-03-11"))

    assert too_soon.status_code == 400
    assert await caller.charged(agreement_id, due="2026-03-12")


@pytest.mark.parametrize("state", ["PENDING", "STOPPED", "EXPIRED"])
async def test_only_an_active_agreement_can_be_charged(simulator: Simulator, caller: Caller, state: str) -> None:
    agreement_id = await caller.drafted()
    if state == "STOPPED":
        simulator.reject(agreement_id)
    if state == "EXPIRED":
        simulator.advance(timedelta(minutes=10))

    response = await caller.write("POST", f"/{agreement_id}/charges", a_charge())

    assert response.status_code == 400
    assert response.json()[0]["code"] == "recurring.core.charges.create.invalid_agreement"
    assert simulator.charges(agreement_id) == []


async def test_the_charges_of_one_interval_add_up_to_five_times_the_price(simulator: Simulator, caller: Caller) -> None:
    """The interval runs from the agreement's start, 10 March, to 9 April."""
    agreement_id = await an_active_agreement(simulator, caller, price=1000)
    await caller.charged(agreement_id, amount=3000, due="2026-03-20")
    cancelled = await caller.charged(agreement_id, amount=2000, due="2026-04-09")

    refused = await caller.write("POST", f"/{agreement_id}/charges", a_charge(amount=100, due="2026-04-01"))

    assert refused.status_code == 400
    assert refused.json()[0]["code"] == "amount.exceeds.expected.chargelimit"
    await caller.charged(agreement_id, amount=5000, due="2026-04-10")
    await caller.write("DELETE", f"/{agreement_id}/charges/{cancelled}")
    await caller.charged(agreement_id, amount=2000, due="2026-04-01")


async def test_a_higher_price_makes_room_for_a_higher_charge(simulator: Simulator, caller: Caller) -> None:
    agreement_id = await an_active_agreement(simulator, caller, price=1000)
    await caller.send("PATCH", f"/{agreement_id}", {"price": 2000})

    assert await caller.charged(agreement_id, amount=10_000)


async def test_the_initial_charge_does_not_use_up_the_limit(simulator: Simulator, caller: Caller) -> None:
    charge = an_initial_charge(amount=100_000)
    agreement_id = await an_active_agreement(simulator, caller, price=1000, initialCharge=charge)

    assert await caller.charged(agreement_id, amount=5000)


async def test_a_variable_charge_is_limited_by_the_higher_of_two_maximums(simulator: Simulator, caller: Caller) -> None:
    agreement_id = await caller.drafted(price=..., variableAmount={"suggestedMaxAmount": 50_000})
    simulator.approve(agreement_id, max_amount=20_000)

    too_high = await caller.write("POST", f"/{agreement_id}/charges", a_charge(amount=50_001))
    await caller.charged(agreement_id, amount=50_000)
    await caller.charged(agreement_id, amount=50_000)

    assert too_high.json()[0]["code"] == "amount.exceeds.expected.chargelimit"


async def test_an_order_id_can_be_used_once(simulator: Simulator, caller: Caller) -> None:
    agreement_id = await an_active_agreement(simulator, caller, initialCharge=an_initial_charge(orderId="order-1"))

    response = await caller.write("POST", f"/{agreement_id}/charges", a_charge(orderId="order-1"))

    assert (response.status_code, response.json()[0]["field"]) == (409, "orderId")
    assert len(simulator.charges(agreement_id)) == 1


async def test_a_due_charge_can_be_cancelled_and_a_paid_one_cannot(simulator: Simulator, caller: Caller) -> None:
    agreement_id = await an_active_agreement(simulator, caller)
    due, paid = await caller.charged(agreement_id), await caller.charged(agreement_id)

    cancelled = await caller.send("DELETE", f"/{agreement_id}/charges/{due}")
    simulator.advance(timedelta(days=2))
    await caller.get_token()
    again = await caller.send("DELETE", f"/{agreement_id}/charges/{due}")
    refused = await caller.send("DELETE", f"/{agreement_id}/charges/{paid}")

    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "CANCELLED")
    assert (again.status_code, refused.status_code) == (409, 409)
    assert (await caller.charge(agreement_id, paid))["status"] == "CHARGED"


async def _a_reservation(simulator: Simulator, caller: Caller) -> str:
    charge = an_initial_charge(transactionType="RESERVE_CAPTURE", orderId="reserved-1")
    agreement_id = await an_active_agreement(simulator, caller, initialCharge=charge)
    return f"/{agreement_id}/charges/reserved-1"


async def test_a_reservation_is_captured_once_and_whole(simulator: Simulator, caller: Caller) -> None:
    path = await _a_reservation(simulator, caller)

    partial = await caller.write("POST", path + "/capture", {"amount": 100})
    captured = await caller.write("POST", path + "/capture")
    again = await caller.write("POST", path + "/capture")

    assert [answer.status_code for answer in (partial, captured, again)] == [400, 200, 400]
    assert captured.json() == {}
    assert (await caller.send("GET", path)).json()["status"] == "CHARGED"
    assert [entry.amount for entry in simulator.ledger if entry.effect == "capture"] == [9900]


async def test_a_reservation_can_be_cancelled(simulator: Simulator, caller: Caller) -> None:
    path = await _a_reservation(simulator, caller)

    assert (await caller.send("DELETE", path)).json()["status"] == "CANCELLED"


async def test_a_reservation_older_than_180_days_can_be_neither_captured_nor_cancelled(
    simulator: Simulator, caller: Caller
) -> None:
    path = await _a_reservation(simulator, caller)
    simulator.advance(timedelta(days=180, seconds=1))
    await caller.get_token()

    assert (await caller.write("POST", path + "/capture")).status_code == 400
    assert (await caller.send("DELETE", path)).status_code == 400


async def test_the_initial_charge_of_a_draft_cannot_be_cancelled_alone(simulator: Simulator, caller: Caller) -> None:
    agreement_id = await caller.drafted(initialCharge=an_initial_charge(orderId="first-1"))

    response = await caller.send("DELETE", f"/{agreement_id}/charges/first-1")

    assert response.status_code == 409
    assert simulator.charges(agreement_id)[0].status == "PENDING"


async def _a_payment(simulator: Simulator, caller: Caller) -> str:
    agreement_id = await an_active_agreement(simulator, caller, initialCharge=an_initial_charge(orderId="paid-1"))
    return f"/{agreement_id}/charges/paid-1"


async def test_a_payment_is_refunded_in_parts_until_nothing_is_left(simulator: Simulator, caller: Caller) -> None:
    path = await _a_payment(simulator, caller)
    states = []

    for amount in (900, 9000, 100):
        answer = await caller.write("POST", path + "/refund", {"amount": amount, "description": "Sorry"})
        view = (await caller.send("GET", path)).json()
        states.append((answer.status_code, view["status"], view["amountRefunded"]))

    assert states == [(200, "PARTIALLY_REFUNDED", 900), (200, "REFUNDED", 9900), (400, "REFUNDED", 9900)]


@pytest.mark.parametrize(
    "body",
    [
        {"amount": 9901, "description": "x"},
        {"amount": 99, "description": "x"},
        {"amount": 123, "description": "x"},
        {"amount": 124, "description": "x"},
        {"amount": 100},
        {"amount": 100, "description": ""},
        {"amount": 100, "description": "x" * 46},
    ],
)
async def test_a_refund_that_is_not_allowed_moves_nothing(
    simulator: Simulator, caller: Caller, body: dict[str, Any]
) -> None:
    path = await _a_payment(simulator, caller)

    response = await caller.write("POST", path + "/refund", body)

    assert response.status_code == 400
    assert simulator.ledger[-1].effect == "activate"


async def test_a_year_after_the_payment_there_is_no_refund(simulator: Simulator, caller: Caller) -> None:
    path = await _a_payment(simulator, caller)
    simulator.advance(timedelta(days=365, seconds=1))
    await caller.get_token()

    response = await caller.write("POST", path + "/refund", {"amount": 100, "description": "x"})

    assert response.status_code == 400


async def test_a_charge_that_is_not_paid_cannot_be_refunded(simulator: Simulator, caller: Caller) -> None:
    agreement_id = await an_active_agreement(simulator, caller)
    charge_id = await caller.charged(agreement_id)

    path = f"/{agreement_id}/charges/{charge_id}/refund"

    assert (await caller.write("POST", path, {"amount": 100, "description": "x"})).status_code == 400


async def test_charges_are_listed_by_status(simulator: Simulator, caller: Caller) -> None:
    agreement_id = await an_active_agreement(simulator, caller)
    near, far = await caller.charged(agreement_id), await caller.charged(agreement_id, due="2026-09-01")

    async def listed(query: str) -> list[str]:
        return [item["id"] for item in (await caller.send("GET", f"/{agreement_id}/charges{query}")).json()]

    assert await listed("") == [near, far]
    assert await listed("?chargeStatus=PENDING") == [far]
    assert await listed("?status=PENDING") == [near, far]  # the name of v3 means nothing here
    assert (await caller.send("GET", f"/{agreement_id}/charges?chargeStatus=LATE")).status_code == 400
