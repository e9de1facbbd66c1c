"""v2 and v3 are two views on the same data: what one makes, the other reads and changes."""

from datetime import timedelta
from typing import Any

import pytest

from app.vipps.simulator import DEFAULT_MERCHANT, Simulator
from tests.vipps.simulator.helpers import (
    Caller,
    a_caller,
    a_charge,
    a_draft,
    a_simulator,
    an_active_agreement,
    an_initial_charge,
)
from tests.vipps.simulator.v3 import (
    DANISH,
    V3,
    a_v3_caller,
    a_v3_initial_charge,
    a_v3_reservation,
    an_active_v3_agreement,
)


async def test_a_v2_agreement_is_a_legacy_one_in_v3(simulator: Simulator, caller: Caller, v3: V3) -> None:
    campaign = {"campaignPrice": 100, "end": "2026-06-01T00:00:00Z"}
    agreement_id = await an_active_agreement(simulator, caller, campaign=campaign, interval="WEEK", intervalCount=2)

    view = await v3.agreement(agreement_id)

    assert view["pricing"] == {"type": "LEGACY", "currency": "NOK", "amount": 25_000}
    assert view["interval"] == {"unit": "WEEK", "count": 2, "text": "every 2 weeks"}
    assert view["campaign"] == {"type": "LEGACY_CAMPAIGN", "price": 100, "end": "2026-06-01T00:00:00Z"}
    assert (view["externalId"], view["countryCode"]) == (None, "NO")
    assert view["uuid"]


async def test_a_variable_agreement_is_one_in_both(simulator: Simulator, caller: Caller, v3: V3) -> None:
    pricing = {"type": "VARIABLE", "currency": "NOK", "suggestedMaxAmount": 50_000}
    by_v2 = await caller.drafted(price=..., variableAmount={"suggestedMaxAmount": 50_000})
    by_v3 = await v3.drafted(pricing=pricing)
    for agreement_id in (by_v2, by_v3):
        simulator.approve(agreement_id, max_amount=40_000)

        assert (await v3.agreement(agreement_id))["pricing"] == pricing | {"maxAmount": 40_000}
        view = await caller.agreement(agreement_id)
        assert (view["price"], view["variableAmount"]) == (0, {"suggestedMaxAmount": 50_000, "maxAmount": 40_000})


async def test_a_v3_agreement_is_readable_in_v2(simulator: Simulator, caller: Caller, v3: V3) -> None:
    campaign = {"type": "PERIOD_CAMPAIGN", "price": 100, "period": {"unit": "MONTH", "count": 1}}
    agreement_id = await an_active_v3_agreement(simulator, v3, campaign=campaign)

    view = await caller.agreement(agreement_id)

    assert (view["price"], view["interval"], view["intervalCount"], view["currency"]) == (25_000, "MONTH", 1, "NOK")
    assert view["campaign"] == {"campaignPrice": 100, "start": "2026-03-10T12:00:00Z", "end": "2026-04-10T12:00:00Z"}


async def test_what_v2_has_no_words_for_is_left_empty(caller: Caller, v3: V3) -> None:
    agreement_id = await v3.drafted(pricing={"type": "FLEXIBLE", "currency": "NOK"}, interval=...)

    view = await caller.agreement(agreement_id)

    assert (view["price"], view["interval"], view["intervalCount"]) == (0, None, None)
    assert "variableAmount" not in view


async def test_v2_shows_another_currency_and_cannot_charge_it() -> None:
    simulator = a_simulator(merchants=(DEFAULT_MERCHANT, DANISH))
    v2, v3 = await a_caller(simulator, DANISH), await a_v3_caller(simulator, DANISH)
    agreement_id = await an_active_v3_agreement(simulator, v3, pricing={"currency": "DKK", "amount": 5000})

    draft = await v2.send("POST", "", a_draft())
    charge = await v2.write("POST", f"/{agreement_id}/charges", a_charge(amount=5000))

    assert (await v2.agreement(agreement_id))["currency"] == "DKK"
    assert (draft.status_code, draft.json()[0]["field"]) == (400, "currency")
    assert (charge.status_code, charge.json()[0]["field"]) == (400, "currency")
    await v3.charged(agreement_id, amount=5000)


async def test_each_version_changes_what_the_other_made(simulator: Simulator, caller: Caller, v3: V3) -> None:
    by_v2 = await an_active_agreement(simulator, caller)
    by_v3 = await an_active_v3_agreement(simulator, v3)

    assert (await v3.write("PATCH", f"/{by_v2}", {"pricing": {"amount": 500}})).status_code == 204
    assert (await caller.send("PATCH", f"/{by_v3}", {"price": 600})).status_code == 200
    assert (await caller.send("PATCH", f"/{by_v3}", {"status": "STOPPED"})).status_code == 200

    assert (await caller.agreement(by_v2))["price"] == 500
    view = await v3.agreement(by_v3)
    assert (view["pricing"]["amount"], view["status"]) == (600, "STOPPED")


async def test_charges_of_both_versions_lie_side_by_side(simulator: Simulator, caller: Caller, v3: V3) -> None:
    agreement_id = await an_active_agreement(simulator, caller, initialCharge=an_initial_charge(orderId="first-1"))
    await caller.charged(agreement_id, orderId="by-v2", due="2026-03-11")
    await v3.charged(agreement_id, orderId="by-v3", due="2026-03-11", transactionType="RESERVE_CAPTURE")
    simulator.advance(timedelta(days=1))
    await caller.get_token()
    await v3.get_token()

    in_v2 = {view["id"]: view for view in (await caller.send("GET", f"/{agreement_id}/charges")).json()}
    in_v3 = {view["id"]: view for view in (await v3.send("GET", f"/{agreement_id}/charges")).json()}

    assert [(view["id"], view["status"]) for view in in_v2.values()] == [
        ("first-1", "CHARGED"),
        ("by-v2", "CHARGED"),
        ("by-v3", "RESERVED"),
    ]
    assert [(view["type"], view["transactionType"]) for view in in_v3.values()] == [
        ("INITIAL", "DIRECT_CAPTURE"),
        ("RECURRING", "DIRECT_CAPTURE"),
        ("RECURRING", "RESERVE_CAPTURE"),
    ]
    assert all(in_v2[name]["transactionId"] == in_v3[name]["transactionId"] for name in in_v2)


async def test_v2_sees_a_partial_capture_and_can_release_the_rest(simulator: Simulator, caller: Caller, v3: V3) -> None:
    path = await a_v3_reservation(simulator, v3)
    await caller.get_token()
    await v3.write("POST", path + "/capture", {"amount": 400, "description": "x"})

    assert (await caller.send("GET", path)).json()["status"] == "PARTIALLY_CAPTURED"
    assert (await caller.write("POST", path + "/capture")).status_code == 400  # v2 only knows the whole amount
    assert (await caller.send("DELETE", path)).json()["status"] == "CHARGED"
    assert (await v3.send("GET", path)).json()["summary"] == {"captured": 400, "refunded": 0, "cancelled": 600}


async def test_refunds_show_in_both(simulator: Simulator, caller: Caller, v3: V3) -> None:
    agreement_id = await an_active_v3_agreement(
        simulator, v3, initialCharge=a_v3_initial_charge(orderId="first-1", amount=1000)
    )
    path = f"/{agreement_id}/charges/first-1"
    refund = {"amount": 300, "description": "x"}

    await caller.write("POST", path + "/refund", refund)
    await v3.write("POST", path + "/refund", refund)

    assert (await caller.send("GET", path)).json()["amountRefunded"] == 600
    view = (await v3.send("GET", path)).json()
    assert (view["status"], view["summary"]["refunded"]) == ("PARTIALLY_REFUNDED", 600)


async def test_the_limit_of_an_interval_counts_both(simulator: Simulator, caller: Caller, v3: V3) -> None:
    agreement_id = await an_active_agreement(simulator, caller, price=1000)
    await caller.charged(agreement_id, amount=3000)
    await v3.charged(agreement_id, amount=2000)

    answer = await caller.write("POST", f"/{agreement_id}/charges", a_charge(amount=100))

    assert answer.json()[0]["code"] == "amount.exceeds.expected.chargelimit"


@pytest.mark.parametrize("version", ["v2", "v3"])
async def test_anything_can_be_shown_that_nobody_has_heard_of(
    simulator: Simulator, caller: Caller, v3: V3, version: str
) -> None:
    agreement_id = await an_active_agreement(simulator, caller)
    charge_id = await caller.charged(agreement_id)
    by: Any = caller if version == "v2" else v3

    simulator.disguise(agreement_id, status="ON_HOLD", fields={"mood": {"of": "the day"}})
    simulator.disguise(agreement_id, charge_id, status="FROZEN", fields={"frost": -7})

    agreement, charge = await by.agreement(agreement_id), await by.charge(agreement_id, charge_id)
    assert (agreement["status"], agreement["mood"]) == ("ON_HOLD", {"of": "the day"})
    assert (charge["status"], charge["frost"]) == ("FROZEN", -7)
    assert (await by.send("GET", "")).json() == []  # it is not shown as ACTIVE
    simulator.disguise(agreement_id)
    simulator.disguise(agreement_id, charge_id)
    assert "mood" not in (await by.agreement(agreement_id))
    assert (await by.charge(agreement_id, charge_id))["status"] == "DUE"


async def test_only_the_look_changes(simulator: Simulator, caller: Caller) -> None:
    agreement_id = await an_active_agreement(simulator, caller)
    simulator.disguise(agreement_id, status="ON_HOLD")

    assert await caller.charged(agreement_id)
