"""The control endpoints: the same levers over HTTP."""

from typing import Any

import pytest

from app.vipps.simulator import DEFAULT_MERCHANT, Simulator
from tests.vipps.simulator.helpers import Caller, a_draft, an_active_agreement


async def test_the_ledger_tells_every_effect_in_order(simulator: Simulator, caller: Caller) -> None:
    agreement_id = await an_active_agreement(simulator, caller)
    await caller.charged(agreement_id, orderId="order-1")

    entries = (await caller.http.get("/simulator/ledger")).json()

    assert [entry["effect"] for entry in entries] == ["draft", "activate", "create"]
    assert entries[-1] == {
        "number": 3,
        "at": "2026-03-10T12:00:00+00:00",
        "effect": "create",
        "msn": DEFAULT_MERCHANT.msn,
        "agreement_id": agreement_id,
        "charge_id": "order-1",
        "order_id": "order-1",
        "amount": 25_000,
        "idempotency_key": "key-1",
        "actor": "MERCHANT",
    }


async def test_time_moves_and_charges_are_paid(simulator: Simulator, caller: Caller) -> None:
    agreement_id = await an_active_agreement(simulator, caller)
    await caller.charged(agreement_id, due="2026-03-11")

    moved = await caller.http.post("/simulator/clock", json={"advance_seconds": 86_400})

    assert moved.json() == (await caller.http.get("/simulator/clock")).json() == {"now": "2026-03-11T12:00:00Z"}
    view = (await caller.http.get(f"/simulator/agreements/{agreement_id}")).json()
    assert [charge["status"] for charge in view["charges"]] == ["CHARGED"]
    assert (await caller.http.post("/simulator/process-due")).json() == {"attempts": 0}


@pytest.mark.parametrize(("action", "status"), [("approve", "ACTIVE"), ("reject", "STOPPED")])
async def test_the_user_answers_once(caller: Caller, action: str, status: str) -> None:
    agreement_id = await caller.drafted()
    path = f"/simulator/agreements/{agreement_id}/{action}"

    answers = [await caller.http.post(path) for _ in range(2)]

    assert answers[0].json() == {"agreementId": agreement_id, "status": status}
    assert answers[1].status_code == 409


async def test_the_user_stops_and_the_bank_refuses(simulator: Simulator, caller: Caller) -> None:
    agreement_id = await an_active_agreement(simulator, caller)
    base = f"/simulator/agreements/{agreement_id}"

    failure = await caller.http.post(base + "/failure", json={"reason": "technical_error"})
    stop = await caller.http.post(base + "/stop")

    assert failure.json() == {"reason": "technical_error"}
    assert stop.json()["status"] == "STOPPED"
    assert (await caller.http.post("/simulator/agreements/agr_unknown/stop")).status_code == 404


async def test_faults_are_armed_shown_and_cleared(caller: Caller) -> None:
    fault = {"kind": "status", "status": 503, "operation": "draftAgreement", "times": 2}

    armed = await caller.http.post("/simulator/faults", json=fault)
    struck = await caller.send("POST", "", a_draft())

    assert armed.json()["number"] == 1
    assert struck.status_code == 503
    (shown,) = (await caller.http.get("/simulator/faults")).json()
    assert (shown["kind"], shown["hits"], shown["times"]) == ("status", 1, 2)
    assert (await caller.http.delete("/simulator/faults")).json() == []
    assert (await caller.send("POST", "", a_draft())).status_code == 201


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/simulator/faults", {"kind": "earthquake"}),
        ("/simulator/faults", {"kind": "status", "operatoin": "createCharge"}),
        ("/simulator/faults", {"kind": "status", "probability": 2}),
        ("/simulator/clock", {"advance_seconds": -1}),
        ("/simulator/clock", {"advance_seconds": 1e12}),
        ("/simulator/latency", {}),
    ],
)
async def test_a_command_that_makes_no_sense_is_400(simulator: Simulator, caller: Caller, path: str, body: Any) -> None:
    before = simulator.clock.now()

    response = await caller.http.post(path, json=body)

    assert (response.status_code, response.json()["error"]) == (400, "The body cannot be used.")
    assert (simulator.clock.now(), simulator.faults.armed) == (before, ())


async def test_latency_and_tokens_can_be_set(simulator: Simulator, caller: Caller) -> None:
    latency = await caller.http.post("/simulator/latency", json={"seconds": 0.01})
    await caller.http.post("/simulator/tokens/revoke")

    assert (latency.json(), simulator.latency) == ({"seconds": 0.01}, 0.01)
    assert (await caller.send("GET", "")).status_code == 401


async def test_requests_are_listed_without_control_calls(caller: Caller) -> None:
    await caller.send("GET", "?status=PENDING")
    await caller.http.get("/simulator/ledger")

    listed = (await caller.http.get("/simulator/requests")).json()

    assert [record["operation"] for record in listed] == ["getAccessToken", "listAgreements"]
    assert (listed[-1]["query"], listed[-1]["status"], len(listed[-1]["body_sha256"])) == ("status=PENDING", 200, 64)
