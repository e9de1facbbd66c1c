"""Which change is told, by which event, whichever version made it."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.vipps.simulator import Simulator
from app.vipps.simulator.webhooks.events import stamp
from tests.vipps.simulator.helpers import Caller, a_caller, an_active_agreement, an_initial_charge
from tests.vipps.simulator.hooks import Shop, a_listened_simulator, a_webhook
from tests.vipps.simulator.v3 import (
    V3,
    a_v3_caller,
    a_v3_initial_charge,
    a_v3_reservation,
    an_active_v3_agreement,
)

MONEY = {"amount": 400, "description": "x"}


def _short(types: list[str]) -> list[str]:
    return [it.removeprefix("recurring.").removesuffix(".v1") for it in types]


async def _v2_life(simulator: Simulator, caller: Caller) -> None:
    agreement_id = await caller.drafted(initialCharge=an_initial_charge(orderId="first", amount=1000))
    simulator.approve(agreement_id)
    await caller.write("POST", f"/{agreement_id}/charges/first/refund", MONEY)
    await caller.charged(agreement_id, orderId="second", due="2026-06-01")
    await caller.send("DELETE", f"/{agreement_id}/charges/second")
    await caller.charged(agreement_id, orderId="third", due="2026-06-01")
    await caller.send("PATCH", f"/{agreement_id}", {"status": "STOPPED"})


async def _v3_life(simulator: Simulator, v3: V3) -> None:
    initial = a_v3_initial_charge(orderId="first", amount=1000)
    agreement_id = await an_active_v3_agreement(simulator, v3, initialCharge=initial)
    await v3.write("POST", f"/{agreement_id}/charges/first/refund", MONEY)
    await v3.charged(agreement_id, orderId="second", due="2026-06-01")
    await v3.write("DELETE", f"/{agreement_id}/charges/second")
    await v3.charged(agreement_id, orderId="third", due="2026-06-01")
    await v3.write("PATCH", f"/{agreement_id}", {"status": "STOPPED"})


Life = Callable[[Simulator, Any], Awaitable[None]]


@pytest.mark.parametrize(("caller_of", "life"), [(a_caller, _v2_life), (a_v3_caller, _v3_life)], ids=["v2", "v3"])
async def test_a_life_is_told_the_same_whichever_version_lives_it(caller_of: Any, life: Life) -> None:
    shop = Shop()
    simulator = a_listened_simulator(shop)
    caller = await caller_of(simulator)
    secret = await a_webhook(caller)

    await life(simulator, caller)
    sent = await simulator.deliver()

    assert _short(shop.types) == [
        "charge-captured",
        "agreement-activated",
        "charge-refunded",
        "charge-canceled",
        "agreement-stopped",
        "charge-canceled",
    ]
    assert sent == len(shop.heard) == len(simulator.deliveries)
    assert all(heard.is_genuine(secret) for heard in shop.heard)
    assert [heard.content["actor"] for heard in shop.heard if "stopped" in heard.type] == ["MERCHANT"]
    assert await simulator.deliver() == 0


async def _reject(simulator: Simulator, v3: V3) -> None:
    simulator.reject(await v3.drafted())


async def _expire(simulator: Simulator, v3: V3) -> None:
    await v3.drafted(initialCharge=a_v3_initial_charge())
    simulator.advance(timedelta(minutes=10))


async def _fail_at_first(simulator: Simulator, v3: V3) -> None:
    simulator.approve(await v3.drafted(initialCharge=a_v3_initial_charge(amount=151)))


async def _fail(simulator: Simulator, v3: V3) -> None:
    agreement_id = await an_active_v3_agreement(simulator, v3)
    await v3.charged(agreement_id, amount=151, due="2026-03-11", retryDays=0)
    simulator.advance(timedelta(days=2))


async def _reserve_capture_release(simulator: Simulator, v3: V3) -> None:
    path = await a_v3_reservation(simulator, v3)
    await v3.write("POST", path + "/capture", MONEY)
    await v3.write("DELETE", path)


async def _stop_in_app(simulator: Simulator, v3: V3) -> None:
    simulator.stop_in_app(await an_active_v3_agreement(simulator, v3))


@pytest.mark.parametrize(
    ("happening", "told"),
    [
        (_reject, ["agreement-rejected"]),
        (_expire, ["agreement-expired", "charge-canceled"]),
        (_fail_at_first, ["charge-failed", "agreement-expired"]),
        (_fail, ["agreement-activated", "charge-failed"]),
        (_reserve_capture_release, ["agreement-activated", "charge-reserved", "charge-captured", "charge-canceled"]),
        (_stop_in_app, ["agreement-activated", "agreement-stopped"]),
    ],
)
async def test_what_users_banks_and_time_do_is_told(
    simulator: Simulator, v3: V3, happening: Callable[[Simulator, V3], Awaitable[None]], told: list[str]
) -> None:
    await happening(simulator, v3)

    assert _short([event.type for event in simulator.events]) == told


@pytest.mark.parametrize("who", ["USER", "ADMIN"])
async def test_a_stop_says_who_stopped(simulator: Simulator, v3: V3, who: str) -> None:
    agreement_id = await an_active_v3_agreement(simulator, v3)

    (simulator.stop_as_admin if who == "ADMIN" else simulator.stop_in_app)(agreement_id)

    assert simulator.events[-1].payload["actor"] == who
    assert simulator.ledger[-1].actor == who


async def test_an_agreements_event(simulator: Simulator, v3: V3) -> None:
    agreement_id = await an_active_v3_agreement(simulator, v3, externalId="sub-17")

    (event,) = simulator.events

    assert event.payload == {
        "agreementId": agreement_id,
        "agreementUUID": simulator.agreement(agreement_id).uuid,
        "agreementExternalId": "sub-17",
        "eventType": "recurring.agreement-activated.v1",
        "occurred": "2026-03-10T12:00:00Z",
        "msn": "123456",
    }


async def test_a_charges_event(simulator: Simulator, v3: V3) -> None:
    path = await a_v3_reservation(simulator, v3)
    await v3.write("POST", path + "/capture", MONEY)
    await v3.write("DELETE", path)

    event = simulator.events[-1]

    assert event.payload == {
        "agreementId": path.split("/")[1],
        "chargeId": "reserved-1",
        "transactionId": simulator.charges(path.split("/")[1])[0].transaction_id,
        "msn": "123456",
        "amount": 1000,
        "chargeType": "RECURRING",
        "eventType": "recurring.charge-canceled.v1",
        "currency": "NOK",
        "occurred": "2026-03-11T12:00:00.000000003Z",
        "amountCaptured": 400,
        "amountCanceled": 600,
        "amountRefunded": 0,
    }


async def test_a_failure_has_its_reason(simulator: Simulator, v3: V3) -> None:
    await _fail(simulator, v3)

    assert simulator.events[-1].payload["failureReason"] == "user_action_required"
    assert simulator.events[-1].at == datetime(2026, 3, 11, 15, tzinfo=UTC)


async def test_two_equal_refunds_at_the_same_moment_can_be_told_apart(simulator: Simulator, caller: Caller) -> None:
    initial = an_initial_charge(orderId="first", amount=1000)
    agreement_id = await an_active_agreement(simulator, caller, initialCharge=initial)
    for _ in range(2):
        await caller.write("POST", f"/{agreement_id}/charges/first/refund", MONEY)

    first, second = (event.payload["occurred"] for event in simulator.events[-2:])

    assert first != second


@pytest.mark.parametrize(
    ("microsecond", "number", "expected"),
    [(0, 0, ""), (562_000, 0, ".562"), (562_829, 0, ".562829"), (562_829, 303, ".562829303"), (0, 1002, ".000000002")],
)
def test_a_second_has_as_many_digits_as_it_needs(microsecond: int, number: int, expected: str) -> None:
    at = datetime(2023, 10, 11, 9, 51, 4, microsecond, tzinfo=UTC)

    assert stamp(at, number) == f"2023-10-11T09:51:04{expected}Z"
