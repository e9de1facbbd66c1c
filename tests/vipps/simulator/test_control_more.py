"""The control endpoints for knobs, disguises, batches that fail, and webhooks."""

from datetime import timedelta
from typing import Any

import pytest

from app.vipps.simulator import Mischief, Simulator
from app.vipps.simulator.webhooks.sender import EndlessDeliveriesError
from tests.vipps.simulator.helpers import Caller, a_caller, an_active_agreement
from tests.vipps.simulator.hooks import EVERYTHING, URL, Shop, a_listened_simulator, post_webhook
from tests.vipps.simulator.v3 import V3, a_v3_charge, an_active_v3_agreement


async def test_knobs_are_shown_and_turned(simulator: Simulator, caller: Caller) -> None:
    before = (await caller.http.get("/simulator/knobs")).json()

    turned = await caller.http.post("/simulator/knobs", json={"forced_202": True, "batch_delay": 90})

    assert before == {
        "rate_limits_on": False,
        "strict_fields": True,
        "forced_202": False,
        "accepted_delay": 0.0,
        "batch_delay": 0.0,
        "repeated_stop_ok": False,
        "v2_draft_keys": False,
        "require_https": False,
    }
    assert turned.json() == before | {"forced_202": True, "batch_delay": 90.0}
    assert (simulator.knobs.forced_202, simulator.knobs.batch_delay) == (True, timedelta(seconds=90))


async def test_an_admin_stops(simulator: Simulator, caller: Caller) -> None:
    agreement_id = await an_active_agreement(simulator, caller)

    stop = await caller.http.post(f"/simulator/agreements/{agreement_id}/stop", json={"actor": "ADMIN"})

    assert stop.json()["status"] == "STOPPED"
    assert simulator.ledger[-1].actor == "ADMIN"


async def test_things_are_disguised(simulator: Simulator, caller: Caller) -> None:
    agreement_id = await an_active_agreement(simulator, caller)
    charge_id = await caller.charged(agreement_id)
    here = f"/simulator/agreements/{agreement_id}"

    for path in (here, f"{here}/charges/{charge_id}"):
        answer = await caller.http.post(path + "/disguise", json={"status": "ON_HOLD", "fields": {"x": 1}})
        assert answer.json() == {"status": "ON_HOLD", "fields": {"x": 1}}
    shown = await caller.agreement(agreement_id), await caller.charge(agreement_id, charge_id)

    assert [(it["status"], it["x"]) for it in shown] == [("ON_HOLD", 1), ("ON_HOLD", 1)]
    await caller.http.post(here + "/disguise")
    assert (await caller.agreement(agreement_id))["status"] == "ACTIVE"
    assert (await caller.http.post(f"{here}/charges/chr-unknown/disguise")).status_code == 404


async def test_orders_are_doomed(simulator: Simulator, v3: V3) -> None:
    agreement_id = await an_active_v3_agreement(simulator, v3)
    doom = {"order_ids": ["a-1"], "reason": "user_action_required"}

    told = await v3.http.post("/simulator/creation-failures", json=doom)
    await v3.batch(a_v3_charge(agreementId=agreement_id, orderId="a-1"))

    assert told.json() == {"a-1": "user_action_required"}
    events = (await v3.http.get("/simulator/events")).json()
    assert (events[-1]["eventType"], events[-1]["failureReason"]) == (EVERYTHING[-1], "user_action_required")


async def test_webhooks_are_shown_sent_and_sent_again() -> None:
    shop = Shop()
    simulator = a_listened_simulator(shop)
    caller = await a_caller(simulator)
    made = (await post_webhook(caller)).json()
    shop.answers.append(500)
    simulator.approve(await caller.drafted())

    async def get(path: str) -> Any:
        return (await caller.http.get("/simulator" + path)).json()

    assert await get("/webhooks") == [
        {"id": made["id"], "msn": "123456", "url": URL, "events": EVERYTHING, "waiting": 1}
    ]
    assert (await caller.http.post("/simulator/deliver")).json() == {"sent": 1}
    (delivery,) = await get("/deliveries")
    assert (delivery["status"], delivery["due_at"]) == ("pending", "2026-03-10T12:00:02+00:00")
    assert delivery["attempts"] == [{"at": "2026-03-10T12:00:00+00:00", "status_code": 500, "response": ""}]
    simulator.advance(timedelta(seconds=2))
    again = await caller.http.post("/simulator/deliveries/1/replay")
    assert (again.json()["number"], again.json()["replay_of"]) == (2, 1)
    assert (await caller.http.post("/simulator/deliver")).json() == {"sent": 2}
    assert (await caller.http.post("/simulator/deliveries/9/replay")).status_code == 404
    assert made["secret"] not in str([await get(path) for path in ("/webhooks", "/deliveries", "/events", "/requests")])


async def test_mischief_is_set_as_a_whole(simulator: Simulator, caller: Caller) -> None:
    await caller.http.post("/simulator/mischief", json={"drop": True})
    wish = {"delay": 60, "tamper": "signature", "events": ["recurring.charge-failed.v1"]}

    answer = await caller.http.post("/simulator/mischief", json=wish)

    events = frozenset({"recurring.charge-failed.v1"})
    assert simulator.mischief == Mischief(delay=timedelta(minutes=1), tamper="signature", events=events)
    assert answer.json() == (await caller.http.get("/simulator/mischief")).json()
    assert wish.items() <= answer.json().items()


async def test_events_are_invented(simulator: Simulator, caller: Caller) -> None:
    invention = {"event_type": "recurring.agreement-paused.v1", "fields": {"agreementId": "agr_1"}}

    told = (await caller.http.post("/simulator/events", json=invention)).json()

    assert (told["eventType"], told["agreementId"]) == ("recurring.agreement-paused.v1", "agr_1")
    assert [event.payload for event in simulator.events] == [told]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/knobs", {"forced202": True}),
        ("/knobs", {"batch_delay": -1}),
        ("/mischief", {"dorp": True}),
        ("/mischief", {"tamper": "gently"}),
        ("/events", {}),
        ("/creation-failures", {"order_ids": "a-1"}),
    ],
)
async def test_a_wish_that_makes_no_sense_is_400(caller: Caller, path: str, body: Any) -> None:
    response = await caller.http.post("/simulator" + path, json=body)

    assert (response.status_code, response.json()["error"]) == (400, "The body cannot be used.")


async def test_more_than_anybody_wants_to_send_is_an_error() -> None:
    simulator = a_listened_simulator(Shop())
    caller = await a_caller(simulator)
    await post_webhook(caller)
    for _ in range(3):
        simulator.reject(await caller.drafted())

    with pytest.raises(EndlessDeliveriesError):
        await simulator.deliver(limit=2)
