"""The life of an agreement: draft, answer of the user, change, stop."""

from datetime import timedelta
from typing import Any

import pytest

from app.vipps.simulator import Simulator
from app.vipps.simulator.user import NotPossibleError
from tests.vipps.simulator.helpers import Caller, a_caller, a_draft, a_simulator, an_active_agreement, an_initial_charge


async def test_a_draft_waits_for_the_user(simulator: Simulator, caller: Caller) -> None:
    response = await caller.send("POST", "", a_draft())

    body = response.json()
    assert response.status_code == 201
    assert set(body) == {"agreementResource", "agreementId", "vippsConfirmationUrl", "chargeId"}
    assert body["chargeId"] is None
    assert body["vippsConfirmationUrl"].startswith("http://vipps.test/")
    view = await caller.agreement(body["agreementId"])
    assert (view["status"], view["start"], view["stop"]) == ("PENDING", None, None)
    assert [entry.effect for entry in simulator.ledger] == ["draft"]


async def test_approval_makes_the_agreement_active(simulator: Simulator, caller: Caller) -> None:
    agreement_id = await an_active_agreement(simulator, caller)

    view = await caller.agreement(agreement_id)

    assert (view["status"], view["start"]) == ("ACTIVE", "2026-03-10T12:00:00Z")
    assert view["campaign"] is None
    assert "variableAmount" not in view


async def test_profile_data_is_offered_only_where_it_was_asked_for(simulator: Simulator, caller: Caller) -> None:
    without = await caller.agreement(await an_active_agreement(simulator, caller))
    asked = await caller.agreement(await an_active_agreement(simulator, caller, scope="name email"))

    assert (without["sub"], without["userinfoUrl"]) == (None, None)
    assert asked["userinfoUrl"].endswith(asked["sub"])


async def test_rejection_stops_the_draft_and_cancels_its_charge(simulator: Simulator, caller: Caller) -> None:
    agreement_id = await caller.drafted(initialCharge=an_initial_charge())

    simulator.reject(agreement_id)

    assert (await caller.agreement(agreement_id))["status"] == "STOPPED"
    assert [charge.status for charge in simulator.charges(agreement_id)] == ["CANCELLED"]
    with pytest.raises(NotPossibleError):
        simulator.approve(agreement_id)


async def test_a_draft_expires_after_ten_minutes(simulator: Simulator, caller: Caller) -> None:
    agreement_id = await caller.drafted(initialCharge=an_initial_charge())

    simulator.advance(timedelta(seconds=599))
    assert (await caller.agreement(agreement_id))["status"] == "PENDING"
    simulator.advance(timedelta(seconds=1))

    assert (await caller.agreement(agreement_id))["status"] == "EXPIRED"
    assert [charge.status for charge in simulator.charges(agreement_id)] == ["CANCELLED"]
    with pytest.raises(NotPossibleError):
        simulator.approve(agreement_id)


@pytest.mark.parametrize(
    ("kind", "status", "effect"), [("DIRECT_CAPTURE", "CHARGED", "charge"), ("RESERVE_CAPTURE", "RESERVED", "reserve")]
)
async def test_the_initial_charge_is_taken_or_reserved_on_approval(
    simulator: Simulator, caller: Caller, kind: str, status: str, effect: str
) -> None:
    charge = an_initial_charge(transactionType=kind, orderId="first-1")
    agreement_id = await an_active_agreement(simulator, caller, initialCharge=charge)

    view = await caller.charge(agreement_id, "first-1")

    assert (view["status"], view["type"], view["amount"]) == (status, "INITIAL", 9900)
    assert view["transactionId"]
    assert [entry.effect for entry in simulator.ledger] == ["draft", effect, "activate"]


async def test_without_the_initial_payment_there_is_no_agreement(simulator: Simulator, caller: Caller) -> None:
    agreement_id = await caller.drafted(initialCharge=an_initial_charge(amount=151))

    simulator.approve(agreement_id)

    assert (await caller.agreement(agreement_id))["status"] == "EXPIRED"
    (charge,) = simulator.charges(agreement_id)
    assert (charge.status, charge.failure_reason) == ("FAILED", "user_action_required")


async def test_force_accept_works_once(caller: Caller) -> None:
    agreement_id = await caller.drafted()
    phone = {"customerPhoneNumber": "91234567"}

    first = await caller.send("PATCH", f"/{agreement_id}/accept", phone)
    second = await caller.send("PATCH", f"/{agreement_id}/accept", phone)

    assert (first.status_code, first.json(), second.status_code) == (200, {}, 409)
    assert (await caller.agreement(agreement_id))["status"] == "ACTIVE"


async def test_a_variable_agreement_needs_no_price_and_knows_the_users_limit(
    simulator: Simulator, caller: Caller
) -> None:
    agreement_id = await caller.drafted(price=..., variableAmount={"suggestedMaxAmount": 50_000})
    assert (await caller.agreement(agreement_id))["variableAmount"] == {"suggestedMaxAmount": 50_000}

    simulator.approve(agreement_id, max_amount=60_000)

    view = await caller.agreement(agreement_id)
    assert (view["price"], view["variableAmount"]) == (0, {"suggestedMaxAmount": 50_000, "maxAmount": 60_000})


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
async def test_an_active_agreement_can_be_changed(simulator: Simulator, caller: Caller, method: str) -> None:
    agreement_id = await an_active_agreement(simulator, caller)
    campaign = {"campaignPrice": 100, "start": "2026-03-10T00:00:00Z", "end": "2026-04-10T00:00:00Z"}

    response = await caller.send(method, f"/{agreement_id}", {"price": 30_000, "campaign": campaign})

    assert (response.status_code, response.json()) == (200, {"agreementId": agreement_id})
    view = await caller.agreement(agreement_id)
    assert (view["price"], view["campaign"], view["productName"]) == (30_000, campaign, "Kaffe hver måned")


@pytest.mark.parametrize(
    "change",
    [
        {"status": "STOPPED", "productName": "Stopped coffee"},
        {"status": "STOPPED", "id": "agr_1"},
        {"status": "EXPIRED"},
        {"suggestedMaxAmount": 5000},
        {"interval": "WEEK"},
        {"price": -1},
        {"price": None},
        {"merchantAgreementUrl": "nowhere"},
        {"campaign": {"campaignPrice": 0, "start": "2026-01-01T00:00:00Z", "end": "2026-03-10T12:00:00Z"}},
    ],
)
async def test_a_change_that_is_not_allowed_changes_nothing(
    simulator: Simulator, caller: Caller, change: dict[str, Any]
) -> None:
    agreement_id = await an_active_agreement(simulator, caller)
    before = await caller.agreement(agreement_id)

    response = await caller.send("PATCH", f"/{agreement_id}", change)

    assert response.status_code == 400
    assert response.json()[0]["contextId"]
    assert await caller.agreement(agreement_id) == before


@pytest.mark.parametrize("state", ["PENDING", "STOPPED", "EXPIRED"])
@pytest.mark.parametrize("change", [{"productName": "New"}, {"status": "STOPPED"}])
async def test_only_an_active_agreement_can_be_changed(
    simulator: Simulator, caller: Caller, state: str, change: dict[str, str]
) -> None:
    agreement_id = await caller.drafted()
    if state == "STOPPED":
        simulator.reject(agreement_id)
    if state == "EXPIRED":
        simulator.advance(timedelta(minutes=10))

    response = await caller.send("PATCH", f"/{agreement_id}", change)

    assert response.status_code == 400
    assert response.json()[0]["code"] == "status.notActive"
    assert (await caller.agreement(agreement_id))["status"] == state


async def _with_every_open_charge(simulator: Simulator, caller: Caller) -> str:
    charge = an_initial_charge(transactionType="RESERVE_CAPTURE")
    agreement_id = await an_active_agreement(simulator, caller, initialCharge=charge)
    await caller.charged(agreement_id)
    await caller.charged(agreement_id, due="2026-08-01")
    assert [charge.status for charge in simulator.charges(agreement_id)] == ["RESERVED", "DUE", "PENDING"]
    return agreement_id


async def test_a_merchants_stop_cancels_what_is_open_and_what_is_reserved(simulator: Simulator, caller: Caller) -> None:
    agreement_id = await _with_every_open_charge(simulator, caller)

    response = await caller.send("PATCH", f"/{agreement_id}", {"status": "STOPPED"})

    assert response.status_code == 200
    view = await caller.agreement(agreement_id)
    assert (view["status"], view["stop"]) == ("STOPPED", "2026-03-10T12:00:00Z")
    assert {charge.status for charge in simulator.charges(agreement_id)} == {"CANCELLED"}


async def test_a_users_stop_leaves_the_reservation_for_capture(simulator: Simulator, caller: Caller) -> None:
    agreement_id = await _with_every_open_charge(simulator, caller)

    simulator.stop_in_app(agreement_id)

    reserved, *others = simulator.charges(agreement_id)
    assert reserved.status == "RESERVED"
    assert {charge.status for charge in others} == {"CANCELLED"}
    assert simulator.ledger[-3].actor == "USER"
    capture = await caller.write("POST", f"/{agreement_id}/charges/{reserved.id}/capture")
    assert capture.status_code == 200


async def test_lists_show_active_agreements_unless_asked_otherwise(simulator: Simulator, caller: Caller) -> None:
    pending, active = await caller.drafted(), await an_active_agreement(simulator, caller)

    async def listed(query: str) -> list[str]:
        return [item["id"] for item in (await caller.send("GET", query)).json()]

    assert await listed("") == [active]
    assert await listed("?status=PENDING") == [pending]
    noon = int(simulator.clock.now().timestamp() * 1000)
    assert await listed(f"?createdAfter={noon - 1}") == [active]
    assert await listed(f"?createdAfter={noon}") == []
    assert (await caller.send("GET", "?status=SLEEPING")).status_code == 400
    assert (await caller.send("GET", "?createdAfter=yesterday")).status_code == 400


async def test_an_unknown_id_is_404_and_a_malformed_one_400(caller: Caller) -> None:
    unknown, malformed = await caller.send("GET", "/agr_unknown"), await caller.send("GET", "/unknown")

    assert (unknown.status_code, unknown.content) == (404, b"")
    assert (malformed.status_code, malformed.json()[0]["code"]) == (400, "invalid.agreementId")


async def test_skipping_the_landing_page_needs_permission() -> None:
    refused = await a_caller(a_simulator())
    allowed = await a_caller(a_simulator(allow_skip_landing_page=True))
    draft = a_draft(skipLandingPage=True)

    assert (await refused.send("POST", "", draft)).status_code == 403
    assert (await allowed.send("POST", "", draft)).status_code == 201
    assert (await allowed.send("POST", "", a_draft(skipLandingPage=True, customerPhoneNumber=...))).status_code == 400


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"merchantAgreementUrl": "http://localhost/my"}, 400),
        ({"merchantAgreementUrl": "shop"}, 400),
        ({"merchantAgreementUrl": "http://127.0.0.1:8000/my"}, 201),
        ({"merchantRedirectUrl": "myshop://return"}, 201),
        ({"merchantRedirectUrl": "/return"}, 400),
        ({"merchantRedirectUrl": "/return", "isApp": True}, 201),
    ],
)
async def test_addresses_are_checked_as_vipps_checks_them(caller: Caller, changes: dict[str, Any], status: int) -> None:
    assert (await caller.send("POST", "", a_draft(**changes))).status_code == status


async def test_an_app_gets_an_app_link(caller: Caller) -> None:
    response = await caller.send("POST", "", a_draft(isApp=True))

    assert response.json()["vippsConfirmationUrl"].startswith("vippsMT://")
