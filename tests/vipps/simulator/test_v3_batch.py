"""The batch: each item by itself, at once or later, or never."""

from datetime import timedelta
from typing import Any

import pytest

from app.vipps.simulator import Effect, Simulator
from tests.vipps.simulator.v3 import V3, a_v3_charge, an_active_v3_agreement, problem_of


def an_item(agreement_id: str, order_id: str, **changes: Any) -> dict[str, Any]:
    return a_v3_charge(agreementId=agreement_id, orderId=order_id, amount=1000, **changes)


async def test_each_item_is_taken_or_refused_by_itself(simulator: Simulator, v3: V3) -> None:
    active = await an_active_v3_agreement(simulator, v3)
    pending = await v3.drafted()
    bad: list[Any] = [
        an_item(pending, "b-1"),
        an_item("agr_unknown", "b-2"),
        an_item(active, "a-1"),
        an_item(active, "b-3", due="2026-03-10"),
        an_item(active, "b-4", currency="NOK"),
        a_v3_charge(agreementId=active),
        a_v3_charge(orderId="b-5"),
        "no item at all",
    ]

    answer = await v3.batch(an_item(active, "a-1"), *bad, an_item(active, "a-2"))

    assert answer["validCharges"] == ["a-1", "a-2"]
    assert [refused["chargeBatchItemDto"] for refused in answer["invalidCharges"]] == bad
    assert all(refused["errors"] and isinstance(refused["errors"][0], str) for refused in answer["invalidCharges"])
    assert [charge.id for charge in simulator.charges(active)] == ["a-1", "a-2"]
    created = [entry for entry in simulator.ledger if entry.effect is Effect.CREATE]
    assert [(entry.order_id, entry.idempotency_key) for entry in created] == [("a-1", "key-3"), ("a-2", "key-3")]


async def test_a_repeated_batch_is_made_once(simulator: Simulator, v3: V3) -> None:
    agreement_id = await an_active_v3_agreement(simulator, v3)
    items = [an_item(agreement_id, "a-1")]

    answers = [await v3.send("POST", "/charges", items, key="same") for _ in range(2)]
    other = await v3.send("POST", "/charges", [*items, *items], key="same")

    assert answers[0].json() == answers[1].json() == {"validCharges": ["a-1"], "invalidCharges": []}
    assert problem_of(other) == (409, "idempotency-conflict")
    assert len(simulator.charges(agreement_id)) == 1


@pytest.mark.parametrize("body", [{}, [], [{}] * 2001], ids=["no list", "empty", "too many"])
async def test_a_batch_is_a_list_of_up_to_2000(simulator: Simulator, v3: V3, body: Any) -> None:
    response = await v3.write("POST", "/charges", body)

    assert problem_of(response) == (400, "validation-error")
    assert simulator.ledger == []


async def test_charges_can_come_into_being_later(simulator: Simulator, v3: V3) -> None:
    simulator.knobs.batch_delay = timedelta(seconds=30)
    agreement_id = await an_active_v3_agreement(simulator, v3)

    await v3.batch(an_item(agreement_id, "a-1"))
    early = await v3.send("GET", f"/{agreement_id}/charges/a-1")
    taken = await v3.write("POST", f"/{agreement_id}/charges", a_v3_charge(orderId="a-1"))
    simulator.advance(timedelta(seconds=30))

    assert (early.status_code, problem_of(taken)) == (404, (409, "conflict"))
    assert (await v3.charge(agreement_id, "a-1"))["status"] == "DUE"
    assert simulator.ledger[-1].at == simulator.clock.now()


async def test_an_agreement_that_stops_meanwhile_gets_no_charge(simulator: Simulator, v3: V3) -> None:
    simulator.knobs.batch_delay = timedelta(seconds=30)
    agreement_id = await an_active_v3_agreement(simulator, v3)
    await v3.batch(an_item(agreement_id, "a-1"))
    simulator.stop_in_app(agreement_id)

    simulator.advance(timedelta(seconds=30))

    assert simulator.charges(agreement_id) == []
    assert simulator.ledger[-1].effect == "creation-fail"


async def test_chosen_orders_fail_later_and_free_their_id(simulator: Simulator, v3: V3) -> None:
    agreement_id = await an_active_v3_agreement(simulator, v3)
    simulator.fail_creation("a-2")

    answer = await v3.batch(*(an_item(agreement_id, f"a-{number}") for number in (1, 2, 3)))

    assert answer == {"validCharges": ["a-1", "a-2", "a-3"], "invalidCharges": []}
    assert [charge.id for charge in simulator.charges(agreement_id)] == ["a-1", "a-3"]
    event = simulator.events[-1]
    assert event.type == "recurring.charge-creation-failed.v1"
    told = {"agreementId": agreement_id, "chargeId": "a-2", "amount": 1000, "failureReason": "technical_error"}
    assert told.items() <= event.payload.items()
    assert (await v3.batch(an_item(agreement_id, "a-2")))["validCharges"] == ["a-2"]


async def test_ten_thousand_charges_are_soon_made(simulator: Simulator, v3: V3) -> None:
    agreement_id = await an_active_v3_agreement(simulator, v3, pricing={"type": "FLEXIBLE", "currency": "NOK"})

    for start in range(0, 10_000, 2000):
        items = [an_item(agreement_id, f"order-{number}") for number in range(start, start + 2000)]
        assert len((await v3.batch(*items))["validCharges"]) == 2000
    simulator.advance(timedelta(days=3))

    assert sum(entry.effect is Effect.CHARGE for entry in simulator.ledger) == 10_000
