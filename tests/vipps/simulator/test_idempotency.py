"""One key, one effect: repetitions, changed bodies, kept refusals, and the format of keys."""

import asyncio
from typing import Any

import pytest

from app.vipps.simulator import Effect, Simulator
from tests.vipps.simulator.helpers import (
    AGREEMENTS,
    Caller,
    a_charge,
    a_draft,
    an_active_agreement,
    an_initial_charge,
)


def effects(simulator: Simulator, kind: str) -> int:
    return sum(entry.effect == kind for entry in simulator.ledger)


async def test_a_repeated_charge_is_made_once(simulator: Simulator, caller: Caller) -> None:
    agreement_id = await an_active_agreement(simulator, caller)

    answers = await asyncio.gather(
        *(caller.send("POST", f"/{agreement_id}/charges", a_charge(), key="same") for _ in range(20))
    )

    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert len(simulator.charges(agreement_id)) == 1
    assert [entry.idempotency_key for entry in simulator.ledger if entry.effect == Effect.CREATE] == ["same"]


async def test_the_same_key_with_another_body_is_a_conflict(simulator: Simulator, caller: Caller) -> None:
    agreement_id = await an_active_agreement(simulator, caller)
    await caller.send("POST", f"/{agreement_id}/charges", a_charge(), key="same")

    response = await caller.send("POST", f"/{agreement_id}/charges", a_charge(amount=100), key="same")

    assert (response.status_code, response.json()[0]["code"]) == (409, "idempotentkey.hash.mismatch")
    assert effects(simulator, "create") == 1


async def test_a_refusal_stays_with_its_key(simulator: Simulator, caller: Caller) -> None:
    agreement_id = await caller.drafted()
    path = f"/{agreement_id}/charges"
    refused = await caller.send("POST", path, a_charge(), key="early")
    simulator.approve(agreement_id)

    same_key = await caller.send("POST", path, a_charge(), key="early")
    new_key = await caller.send("POST", path, a_charge(), key="later")

    assert (refused.status_code, same_key.content) == (400, refused.content)
    assert new_key.status_code == 201


async def test_a_key_belongs_to_one_path(simulator: Simulator, caller: Caller) -> None:
    first, second = await an_active_agreement(simulator, caller), await an_active_agreement(simulator, caller)

    for agreement_id in (first, second):
        response = await caller.send("POST", f"/{agreement_id}/charges", a_charge(), key="same")
        assert response.status_code == 201

    assert effects(simulator, "create") == 2


@pytest.mark.parametrize(("name", "body"), [("capture", None), ("refund", {"amount": 100, "description": "x"})])
async def test_captures_and_refunds_need_a_key_and_happen_once_for_it(
    simulator: Simulator, caller: Caller, name: str, body: Any
) -> None:
    kind = "RESERVE_CAPTURE" if name == "capture" else "DIRECT_CAPTURE"
    charge = an_initial_charge(orderId="first-1", transactionType=kind)
    path = f"/{await an_active_agreement(simulator, caller, initialCharge=charge)}/charges/first-1/{name}"

    keyless = await caller.send("POST", path, body)
    answers = [await caller.send("POST", path, body, key="same") for _ in range(3)]

    assert (keyless.status_code, keyless.json()[0]["field"]) == (400, "Idempotency-Key")
    assert {answer.status_code for answer in answers} == {200}
    assert effects(simulator, name) == 1


async def test_a_charge_needs_a_key(simulator: Simulator, caller: Caller) -> None:
    agreement_id = await an_active_agreement(simulator, caller)

    assert (await caller.send("POST", f"/{agreement_id}/charges", a_charge())).status_code == 400
    assert effects(simulator, "create") == 0


async def test_the_misspelled_header_of_old_clients_counts(simulator: Simulator, caller: Caller) -> None:
    agreement_id = await an_active_agreement(simulator, caller)
    headers = caller.headers() | {"Idempotent-Key": "old-1"}

    for _ in range(2):
        url = f"{AGREEMENTS}/{agreement_id}/charges"
        assert (await caller.http.post(url, json=a_charge(), headers=headers)).status_code == 201

    assert effects(simulator, "create") == 1


async def test_a_repeated_cancellation_answers_the_same_with_a_key_and_409_without(
    simulator: Simulator, caller: Caller
) -> None:
    agreement_id = await an_active_agreement(simulator, caller)
    path = f"/{agreement_id}/charges/{await caller.charged(agreement_id)}"

    answers = [await caller.send("DELETE", path, key=key) for key in ("same", "same", None)]

    assert [answer.status_code for answer in answers] == [200, 200, 409]
    assert effects(simulator, "cancel") == 1


async def test_changes_honour_a_key_that_is_sent(simulator: Simulator, caller: Caller) -> None:
    agreement_id = await an_active_agreement(simulator, caller)

    stops = [await caller.send("PATCH", f"/{agreement_id}", {"status": "STOPPED"}, key="stop") for _ in range(2)]

    assert [stop.status_code for stop in stops] == [200, 200]
    assert effects(simulator, "stop") == 1
    assert (await caller.send("PATCH", f"/{agreement_id}", {"status": "STOPPED"})).status_code == 400


@pytest.mark.parametrize("key", ["draft", "no: key"])
async def test_a_key_is_no_part_of_a_draft(simulator: Simulator, caller: Caller, key: str) -> None:
    drafts = [await caller.send("POST", "", a_draft(), key=key) for _ in range(2)]

    assert [draft.status_code for draft in drafts] == [201, 201]
    assert drafts[0].json()["agreementId"] != drafts[1].json()["agreementId"]
    assert effects(simulator, "draft") == 2


async def test_that_drafts_honour_a_key_is_a_knob(simulator: Simulator, caller: Caller) -> None:
    simulator.knobs.v2_draft_keys = True

    drafts = [await caller.send("POST", "", a_draft(), key="draft") for _ in range(2)]

    assert drafts[0].json() == drafts[1].json()
    assert effects(simulator, "draft") == 1


@pytest.mark.parametrize("key", ["", "x" * 41, "a#b", "a?b", "a/b", "a\\b", "a:b", "a b"])
async def test_a_key_of_the_wrong_form_is_refused(simulator: Simulator, caller: Caller, key: str) -> None:
    agreement_id = await an_active_agreement(simulator, caller)

    response = await caller.send("POST", f"/{agreement_id}/charges", a_charge(), key=key)

    assert (response.status_code, response.json()[0]["field"]) == (400, "Idempotency-Key")
    assert effects(simulator, "create") == 0
