"""What every version of the client must do, against the simulated Vipps: each operation, and each kind of trouble."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx
import pytest

from app.domain.agreement import AgreementChanges, AgreementStatus, Campaign, Pricing, TransactionType
from app.domain.charge import ChargeStatus
from app.domain.errors import Misconfigured, OutcomeUnknown, RecurringError, Rejected, Unavailable
from app.domain.plan import IntervalUnit, Plan
from app.domain.provider import Outcome, RecurringProvider
from app.vipps.simulator import Effect, Simulator
from tests.builders import NOW, a_charge_request, a_draft, nok
from tests.vipps.helpers import (
    AGR,
    CHARGES,
    KEY,
    OTHER_KEY,
    PHONE,
    THIRD_KEY,
    VERSIONS,
    Provider,
    Wire,
    active,
    agreement_of,
    answering,
    charge_of,
    count,
    initial,
    provider_of,
)


def test_every_version_fits_the_protocol(vipps: Provider) -> None:
    """Mypy is who checks it."""
    provider: RecurringProvider = vipps
    assert provider is vipps


# Every operation, from end to end.


async def test_an_agreement_is_drafted_approved_and_read(simulator: Simulator, vipps: Provider) -> None:
    made = await vipps.create_agreement(a_draft(phone=PHONE), key=KEY)
    assert made.agreement_id.startswith("agr_")
    assert made.confirmation_url.startswith("https://")
    assert made.charge_id is None
    pending = await vipps.get_agreement(made.agreement_id)
    assert (pending.status, pending.start, pending.price) == (AgreementStatus.PENDING, None, nok(25_000))
    simulator.approve(made.agreement_id)
    seen = await vipps.get_agreement(made.agreement_id)
    assert (seen.status, seen.start, seen.stop) == (AgreementStatus.ACTIVE, NOW, None)
    assert (seen.product_name, seen.product_description) == ("Kaffe hver måned", "Ferskbrent, 500 g")
    assert (seen.plan, seen.pricing) == (Plan(IntervalUnit.MONTH, 1), Pricing.LEGACY)
    assert seen.agreement_url == "https://shop.example/my/1"


async def test_a_draft_without_a_description_is_taken(vipps: Provider) -> None:
    made = await vipps.create_agreement(a_draft(product_description=""), key=KEY)
    assert (await vipps.get_agreement(made.agreement_id)).product_description == ""


async def test_a_draft_carries_campaign_interval_and_initial_charge(simulator: Simulator, vipps: Provider) -> None:
    campaign = Campaign(nok(100), datetime(2026, 6, 1, tzinfo=UTC))
    draft = a_draft(
        plan=Plan(IntervalUnit.WEEK, 2), campaign=campaign, initial_charge=initial(TransactionType.DIRECT_CAPTURE)
    )
    made = await vipps.create_agreement(draft, key=KEY)
    assert made.charge_id == "INITIAL-1"
    simulator.approve(made.agreement_id)
    seen = await vipps.get_agreement(made.agreement_id)
    assert seen.plan == Plan(IntervalUnit.WEEK, 2)
    assert seen.campaign is not None
    assert (seen.campaign.price, seen.campaign.end) == (nok(100), campaign.end)
    (charge,) = await vipps.list_charges(made.agreement_id)
    assert (charge.charge_id, charge.kind, charge.status) == ("INITIAL-1", "INITIAL", ChargeStatus.CHARGED)
    assert (charge.amount, charge.captured, charge.description) == (25_000, 25_000, "First box")


async def test_a_variable_agreement_is_drafted_limited_and_changed(simulator: Simulator, vipps: Provider) -> None:
    draft = a_draft(price=nok(0), pricing=Pricing.VARIABLE, suggested_max=nok(50_000))
    agreement_id = (await vipps.create_agreement(draft, key=KEY)).agreement_id
    fresh = await vipps.get_agreement(agreement_id)
    assert (fresh.pricing, fresh.price, fresh.suggested_max) == (Pricing.VARIABLE, nok(0), nok(50_000))
    assert fresh.max_amount is None
    simulator.approve(agreement_id, max_amount=40_000)
    changes = AgreementChanges(suggested_max=nok(60_000))
    assert await vipps.update_agreement(agreement_id, changes, key=KEY) is Outcome.DONE
    seen = await vipps.get_agreement(agreement_id)
    assert (seen.suggested_max, seen.max_amount) == (nok(60_000), nok(40_000))
    request = a_charge_request(agreement_id=agreement_id, amount=nok(39_900))
    assert await vipps.create_charge(request, key=KEY) == request.order_id


async def test_agreements_are_listed_by_status_and_time(simulator: Simulator, vipps: Provider) -> None:
    first = await active(vipps, simulator)
    simulator.advance(timedelta(hours=1))
    second = (await vipps.create_agreement(a_draft(), key=OTHER_KEY)).agreement_id

    async def listed(*filters: Any) -> list[str]:
        page = await vipps.list_agreements(*filters)
        assert page.next_page is None
        return [item.agreement_id for item in page.items]

    assert await listed() == [first]
    assert await listed(AgreementStatus.PENDING) == [second]
    assert await listed(AgreementStatus.ACTIVE, NOW + timedelta(seconds=1)) == []
    assert await listed(AgreementStatus.ACTIVE, NOW - timedelta(seconds=1)) == [first]


async def test_a_page_past_the_end_is_empty(simulator: Simulator, vipps: Provider) -> None:
    await active(vipps, simulator)
    page = await vipps.list_agreements(page=2)
    assert (list(page.items), page.next_page) == ([], None)


async def test_an_agreement_is_changed(simulator: Simulator, vipps: Provider) -> None:
    agreement_id = await active(vipps, simulator)
    changes = AgreementChanges(nok(30_000), "Te", "", "https://shop.example/my/2")
    assert await vipps.update_agreement(agreement_id, changes, key=KEY) is Outcome.DONE
    seen = await vipps.get_agreement(agreement_id)
    assert (seen.price, seen.product_name, seen.product_description) == (nok(30_000), "Te", "")
    assert seen.agreement_url == "https://shop.example/my/2"


async def test_only_what_changes_is_sent(simulator: Simulator, vipps: Provider, wire: Wire) -> None:
    agreement_id = await active(vipps, simulator)
    await vipps.update_agreement(agreement_id, AgreementChanges(product_name="Te"), key=KEY)
    assert json.loads(wire.calls[-1].content) == {"productName": "Te"}
    await vipps.stop_agreement(agreement_id, key=OTHER_KEY)
    assert json.loads(wire.calls[-1].content) == {"status": "STOPPED"}


async def test_an_agreement_is_stopped(simulator: Simulator, vipps: Provider) -> None:
    agreement_id = await active(vipps, simulator)
    assert await vipps.stop_agreement(agreement_id, key=KEY) is Outcome.DONE
    seen = await vipps.get_agreement(agreement_id)
    assert (seen.status, seen.stop) == (AgreementStatus.STOPPED, NOW)


async def test_an_agreement_is_approved_in_the_customers_place(vipps: Provider) -> None:
    agreement_id = (await vipps.create_agreement(a_draft(), key=KEY)).agreement_id
    await vipps.accept_agreement(agreement_id, PHONE)
    assert (await vipps.get_agreement(agreement_id)).status is AgreementStatus.ACTIVE


async def test_nobody_approves_in_the_customers_place_in_the_live_environment(
    version: str, simulator: Simulator, wire: Wire, vipps: Provider
) -> None:
    agreement_id = (await vipps.create_agreement(a_draft(), key=KEY)).agreement_id
    before = len(wire.calls)
    live = VERSIONS[version](vipps._http, lambda: NOW, test_environment=False)
    with pytest.raises(Misconfigured):
        await live.accept_agreement(agreement_id, PHONE)
    assert len(wire.calls) == before
    assert simulator.agreement(agreement_id).status == "PENDING"


async def test_a_charge_is_made_read_and_paid(simulator: Simulator, vipps: Provider) -> None:
    agreement_id = await active(vipps, simulator)
    request = a_charge_request(agreement_id=agreement_id, description="Kaffe – mars ☕")
    assert await vipps.create_charge(request, key=KEY) == request.order_id
    due = await vipps.get_charge(agreement_id, request.order_id)
    assert (due.status, due.amount, due.captured, due.refunded) == (ChargeStatus.DUE, 25_000, 0, 0)
    assert (due.description, due.kind) == ("Kaffe – mars ☕", "RECURRING")
    assert due.due is not None
    assert due.due.date() == date(2026, 3, 4)
    simulator.advance(timedelta(days=3))
    paid = await vipps.get_charge(agreement_id, request.order_id)
    assert (paid.status, paid.captured) == (ChargeStatus.CHARGED, 25_000)
    assert paid.transaction_id


async def test_charges_are_listed_by_status(simulator: Simulator, vipps: Provider) -> None:
    agreement_id = await active(vipps, simulator)
    soon, later = a_charge_request(agreement_id=agreement_id), a_charge_request(agreement_id=agreement_id)
    await vipps.create_charge(soon, key=KEY)
    await vipps.create_charge(replace(later, due=date(2026, 6, 1)), key=OTHER_KEY)
    assert [it.charge_id for it in await vipps.list_charges(agreement_id)] == [soon.order_id, later.order_id]
    pending = await vipps.list_charges(agreement_id, ChargeStatus.PENDING)
    assert [it.charge_id for it in pending] == [later.order_id]


async def test_a_failed_charge_tells_why(simulator: Simulator, vipps: Provider) -> None:
    agreement_id = await active(vipps, simulator)
    simulator.set_failure(agreement_id, "user_action_required")
    request = a_charge_request(agreement_id=agreement_id, retry_days=0)
    await vipps.create_charge(request, key=KEY)
    simulator.advance(timedelta(days=4))
    seen = await vipps.get_charge(agreement_id, request.order_id)
    assert (seen.status, seen.failure_reason) == (ChargeStatus.FAILED, "user_action_required")
    assert seen.failure_text


async def test_a_charge_is_cancelled(simulator: Simulator, vipps: Provider) -> None:
    agreement_id = await active(vipps, simulator)
    charge_id = await vipps.create_charge(a_charge_request(agreement_id=agreement_id), key=KEY)
    assert await vipps.cancel_charge(agreement_id, charge_id, key=KEY) is Outcome.DONE
    seen = await vipps.get_charge(agreement_id, charge_id)
    assert (seen.status, seen.captured, seen.cancelled) == (ChargeStatus.CANCELLED, 0, 25_000)


async def test_a_reservation_is_captured_and_refunded_in_parts(simulator: Simulator, vipps: Provider) -> None:
    agreement_id = await active(vipps, simulator, initial_charge=initial(TransactionType.RESERVE_CAPTURE))
    reserved = await vipps.get_charge(agreement_id, "INITIAL-1")
    assert (reserved.status, reserved.captured) == (ChargeStatus.RESERVED, 0)
    assert await vipps.capture_charge(agreement_id, "INITIAL-1", nok(25_000), "All", key=KEY) is Outcome.DONE
    assert await vipps.refund_charge(agreement_id, "INITIAL-1", nok(5_000), "Damaged", key=KEY) is Outcome.DONE
    part = await vipps.get_charge(agreement_id, "INITIAL-1")
    assert (part.status, part.captured, part.refunded) == (ChargeStatus.PARTIALLY_REFUNDED, 25_000, 5_000)
    await vipps.refund_charge(agreement_id, "INITIAL-1", nok(20_000), "Damaged", key=OTHER_KEY)
    assert (await vipps.get_charge(agreement_id, "INITIAL-1")).status is ChargeStatus.REFUNDED


# The draft that a lost answer was about.


def own(draft_number: int = 1, **over: Any) -> Any:
    """A draft as the app makes them: our reference is in the URL, and in v3's external id."""
    reference = f"8f14e45f-0000-4000-8000-00000000000{draft_number}"
    return a_draft(agreement_url=f"https://app.example/my/{reference}.signed", external_id=reference, **over)


async def test_a_draft_whose_answer_was_lost_is_found_with_its_url(simulator: Simulator, vipps: Provider) -> None:
    await vipps.create_agreement(own(2), key=OTHER_KEY)
    simulator.faults.add("reset-after", operation="draftAgreement")
    with pytest.raises(OutcomeUnknown):
        await vipps.create_agreement(own(initial_charge=initial(TransactionType.DIRECT_CAPTURE)), key=KEY)
    lost = simulator.agreements[-1].id
    draft = own(initial_charge=initial(TransactionType.DIRECT_CAPTURE))
    found = await vipps.find_draft(draft, NOW)
    assert found is not None
    assert (found.agreement_id, found.charge_id) == (lost, "INITIAL-1")
    assert found.confirmation_url.startswith("https://")
    simulator.approve(lost)
    assert count(simulator, Effect.DRAFT) == 2


async def test_a_charge_alone_tells_its_agreement(simulator: Simulator, vipps: Provider) -> None:
    made = await vipps.create_agreement(own(initial_charge=initial(TransactionType.DIRECT_CAPTURE)), key=KEY)
    assert await vipps.agreement_of("INITIAL-1") == made.agreement_id
    simulator.reject(made.agreement_id)
    assert await vipps.agreement_of("INITIAL-1") == made.agreement_id
    assert await vipps.agreement_of("INITIAL-2") is None


async def test_a_draft_that_never_arrived_is_not_found(simulator: Simulator, vipps: Provider) -> None:
    await vipps.create_agreement(own(2), key=OTHER_KEY)
    simulator.faults.add("reset-before", operation="draftAgreement")
    with pytest.raises(OutcomeUnknown):
        await vipps.create_agreement(own(), key=KEY)
    assert await vipps.find_draft(own(), NOW) is None


async def test_a_draft_of_before_is_not_found(simulator: Simulator, vipps: Provider) -> None:
    await vipps.create_agreement(own(), key=KEY)
    simulator.advance(timedelta(minutes=5))
    assert await vipps.find_draft(own(), NOW + timedelta(minutes=5)) is None
    assert await vipps.find_draft(own(), NOW + timedelta(seconds=30)) is not None


async def test_a_draft_that_can_no_longer_be_approved_is_not_found(simulator: Simulator, vipps: Provider) -> None:
    made = await vipps.create_agreement(own(), key=KEY)
    simulator.approve(made.agreement_id)
    assert await vipps.find_draft(own(), NOW) is None


async def test_a_draft_that_nothing_marks_as_ours_is_not_found(vipps: Provider) -> None:
    """Two customers may have drafted the very same thing."""
    draft = a_draft()
    await vipps.create_agreement(draft, key=KEY)
    assert await vipps.find_draft(draft, NOW) is None


async def test_where_vipps_cannot_be_asked_for_drafts_nobody_says_that_there_are_none(
    simulator: Simulator, vipps: Provider
) -> None:
    simulator.faults.add("status", operation="listAgreements", status=503)
    with pytest.raises(Unavailable):
        await vipps.find_draft(own(), NOW)


# Trouble with writes: whatever happens, a repeat makes one effect.

Write = Callable[[Provider, str], Awaitable[object]]


def charging(vipps: Provider, agreement_id: str) -> Awaitable[object]:
    return vipps.create_charge(replace(a_charge_request(agreement_id=agreement_id), order_id="ORD-FIXED"), key=KEY)


WRITES: dict[str, tuple[str, Effect, Write]] = {
    "create": ("draftAgreement", Effect.DRAFT, lambda v, _: v.create_agreement(own(), key=OTHER_KEY)),
    "update": (
        "updateAgreement",
        Effect.UPDATE,
        lambda v, agr: v.update_agreement(agr, AgreementChanges(price=nok(30_000)), key=KEY),
    ),
    "stop": ("updateAgreement", Effect.STOP, lambda v, agr: v.stop_agreement(agr, key=KEY)),
    "charge": ("createCharge", Effect.CREATE, charging),
    "cancel": ("cancelCharge", Effect.CANCEL, lambda v, agr: v.cancel_charge(agr, "ORD-OPEN", key=KEY)),
    "capture": (
        "captureCharge",
        Effect.CAPTURE,
        lambda v, agr: v.capture_charge(agr, "INITIAL-1", nok(25_000), "All", key=KEY),
    ),
    "refund": (
        "refundCharge",
        Effect.REFUND,
        lambda v, agr: v.refund_charge(agr, "INITIAL-1", nok(5_000), "Damaged", key=KEY),
    ),
}
EVERY_WRITE = pytest.mark.parametrize("name", list(WRITES))


async def prepared(vipps: Provider, simulator: Simulator, name: str) -> str:
    """An agreement on which that write is legal."""
    kind = TransactionType.DIRECT_CAPTURE if name == "refund" else TransactionType.RESERVE_CAPTURE
    wants_initial = name in {"capture", "refund"}
    agreement_id = await active(vipps, simulator, initial_charge=initial(kind) if wants_initial else None)
    if name == "cancel":
        request = replace(a_charge_request(agreement_id=agreement_id), order_id="ORD-OPEN")
        await vipps.create_charge(request, key=OTHER_KEY)
    return agreement_id


async def repeat(vipps: Provider, name: str, agreement_id: str) -> None:
    """As the app does it: v2 heeds no keys for drafts (facts: VIPPS 9.1), so a draft is looked for first."""
    if name != "create" or await vipps.find_draft(own(), NOW) is None:
        await WRITES[name][2](vipps, agreement_id)


@EVERY_WRITE
@pytest.mark.parametrize(
    ("kind", "conditions", "took_effect"),
    [
        ("timeout-before", {"seconds": 0}, False),
        ("timeout-after", {"seconds": 0}, True),
        ("reset-before", {}, False),
        ("reset-after", {}, True),
        ("garbage", {"when": "before"}, False),
        ("garbage", {"when": "after"}, True),
        ("status", {"status": 408, "when": "after"}, True),
    ],
)
async def test_a_write_without_a_usable_answer_is_open_and_its_repeat_makes_one_effect(
    simulator: Simulator, vipps: Provider, name: str, kind: Any, conditions: dict[str, Any], *, took_effect: bool
) -> None:
    operation, effect, write = WRITES[name]
    agreement_id = await prepared(vipps, simulator, name)
    before = count(simulator, effect)
    simulator.faults.add(kind, operation=operation, **conditions)
    with pytest.raises(OutcomeUnknown):
        await write(vipps, agreement_id)
    assert count(simulator, effect) - before == int(took_effect)
    await repeat(vipps, name, agreement_id)
    await repeat(vipps, name, agreement_id)
    assert count(simulator, effect) - before == 1


@EVERY_WRITE
@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_busy_vipps_may_be_asked_again_with_the_same_key(
    simulator: Simulator, vipps: Provider, name: str, status: int, when: str
) -> None:
    operation, effect, write = WRITES[name]
    agreement_id = await prepared(vipps, simulator, name)
    before = count(simulator, effect)
    simulator.faults.add("status", operation=operation, status=status, when=when)
    with pytest.raises(Unavailable) as failed:
        await write(vipps, agreement_id)
    assert failed.value.status == status
    await repeat(vipps, name, agreement_id)
    assert count(simulator, effect) - before == 1


@EVERY_WRITE
async def test_a_write_is_the_same_to_the_byte_when_it_is_repeated(
    simulator: Simulator, vipps: Provider, wire: Wire, name: str
) -> None:
    operation, _, write = WRITES[name]
    agreement_id = await prepared(vipps, simulator, name)
    simulator.faults.add("reset-after", operation=operation)
    with pytest.raises(OutcomeUnknown):
        await write(vipps, agreement_id)
    await write(vipps, agreement_id)
    first, second = wire.calls[-2:]
    assert (first.method, first.url, first.content) == (second.method, second.url, second.content)
    assert first.headers["Idempotency-Key"] == second.headers["Idempotency-Key"]


@EVERY_WRITE
@pytest.mark.parametrize("status", [400, 404, 409, 422])
@pytest.mark.parametrize("style", ["array", "azure", "problem", "text", "empty"])
async def test_a_no_is_a_no_in_every_format(
    simulator: Simulator, vipps: Provider, name: str, status: int, style: str
) -> None:
    operation, effect, write = WRITES[name]
    agreement_id = await prepared(vipps, simulator, name)
    before = count(simulator, effect)
    simulator.faults.add("status", operation=operation, status=status, style=style)
    with pytest.raises(Rejected) as refused:
        await write(vipps, agreement_id)
    assert refused.value.status == status
    assert count(simulator, effect) == before


@EVERY_WRITE
@pytest.mark.parametrize("status", [401, 403])
async def test_missing_rights_are_the_merchants_to_mend(
    simulator: Simulator, vipps: Provider, name: str, status: int
) -> None:
    operation, _, write = WRITES[name]
    agreement_id = await prepared(vipps, simulator, name)
    simulator.faults.add("status", operation=operation, status=status, times=2)
    with pytest.raises(Misconfigured):
        await write(vipps, agreement_id)


async def test_an_answer_that_never_comes_ends_at_the_deadline(version: str, simulator: Simulator, wire: Wire) -> None:
    async with provider_of(version, wire, clock=simulator.clock.now, deadline=1) as vipps:
        agreement_id = await active(vipps, simulator)
        simulator.faults.add("timeout-after", operation="createCharge")
        simulator.faults.add("timeout-before", operation="getAgreement")
        started = time.monotonic()
        with pytest.raises(OutcomeUnknown):
            await charging(vipps, agreement_id)
        with pytest.raises(Unavailable):
            await vipps.get_agreement(agreement_id)
        assert time.monotonic() - started < 10
        assert await charging(vipps, agreement_id) == "ORD-FIXED"
    assert count(simulator, Effect.CREATE) == 1


async def test_the_same_key_for_another_request_is_refused(version: str, simulator: Simulator, vipps: Provider) -> None:
    agreement_id = await active(vipps, simulator)
    await vipps.create_charge(a_charge_request(agreement_id=agreement_id), key=KEY)
    with pytest.raises(Rejected) as refused:
        await vipps.create_charge(a_charge_request(agreement_id=agreement_id), key=KEY)
    names = {"v2": "idempotentkey.hash.mismatch", "v3": "idempotency-conflict"}
    assert refused.value.provider_code == names[version]
    assert refused.value.context_id
    assert count(simulator, Effect.CREATE) == 1


async def test_the_same_order_id_under_another_key_makes_no_second_charge(
    simulator: Simulator, vipps: Provider
) -> None:
    agreement_id = await active(vipps, simulator)
    request = a_charge_request(agreement_id=agreement_id)
    await vipps.create_charge(request, key=KEY)
    with pytest.raises(Rejected) as refused:
        await vipps.create_charge(request, key=OTHER_KEY)
    assert refused.value.in_conflict
    assert count(simulator, Effect.CREATE) == 1


async def test_what_vipps_refuses_is_told_with_its_code_and_field(
    version: str, simulator: Simulator, vipps: Provider
) -> None:
    agreement_id = await active(vipps, simulator)
    with pytest.raises(Rejected) as refused:
        await vipps.create_charge(a_charge_request(agreement_id=agreement_id, amount=nok(2_500_000)), key=KEY)
    names = {"v2": "amount.exceeds.expected.chargelimit", "v3": "charge-amount-too-high"}
    assert (refused.value.provider_code, refused.value.field, refused.value.status) == (names[version], "amount", 400)
    assert "higher than this agreement allows" in refused.value.message


# Trouble with reads: nothing was changed, so all of it is Unavailable.

Read = Callable[[Provider, str], Awaitable[object]]
READS: dict[str, tuple[str, Read]] = {
    "get": ("getAgreement", lambda v, agr: v.get_agreement(agr)),
    "list": ("listAgreements", lambda v, _: v.list_agreements()),
    "charge": ("getCharge", lambda v, agr: v.get_charge(agr, "ORD-OPEN")),
    "owner": ("getChargeById", lambda v, _: v.agreement_of("ORD-OPEN")),
    "charges": ("listCharges", lambda v, agr: v.list_charges(agr)),
}


@pytest.mark.parametrize("name", list(READS))
@pytest.mark.parametrize(
    ("kind", "conditions"),
    [
        ("timeout-before", {"seconds": 0}),
        ("timeout-after", {"seconds": 0}),
        ("reset-before", {}),
        ("reset-after", {}),
        ("garbage", {}),
        *(("status", {"status": status}) for status in (408, 429, 500, 502, 503, 504)),
    ],
)
async def test_a_read_without_a_usable_answer_changed_nothing(
    simulator: Simulator, vipps: Provider, name: str, kind: Any, conditions: dict[str, Any]
) -> None:
    operation, read = READS[name]
    agreement_id = await prepared(vipps, simulator, "cancel")
    simulator.faults.add(kind, operation=operation, **conditions)
    with pytest.raises(Unavailable):
        await read(vipps, agreement_id)
    await read(vipps, agreement_id)


@pytest.mark.parametrize(("retry_after", "seconds"), [("30", 30), ("Mon, 02 Mar 2026 09:01:30 GMT", 90)])
async def test_a_busy_vipps_says_when_to_come_back(
    simulator: Simulator, vipps: Provider, retry_after: str, seconds: float
) -> None:
    simulator.faults.add("status", status=429, retry_after=retry_after, operation="draftAgreement")
    with pytest.raises(Unavailable) as busy:
        await vipps.create_agreement(a_draft(), key=KEY)
    assert busy.value.retry_after == seconds


async def test_an_agreement_that_does_not_exist_is_told_from_other_trouble(vipps: Provider) -> None:
    with pytest.raises(Rejected) as refused:
        await vipps.get_agreement("agr_0000000")
    assert refused.value.unknown_object


async def test_a_charge_that_does_not_exist_is_told_from_other_trouble(simulator: Simulator, vipps: Provider) -> None:
    agreement_id = await active(vipps, simulator)
    with pytest.raises(Rejected) as refused:
        await vipps.get_charge(agreement_id, "ORD-UNKNOWN")
    assert refused.value.unknown_object


# Both versions are views on the same data: what one made the other reads, charges and changes.


@pytest.mark.parametrize(("maker", "reader"), [("v2", "v3"), ("v3", "v2")])
async def test_what_one_version_made_the_other_goes_on_with(
    simulator: Simulator, v2: Provider, v3: Provider, maker: str, reader: str
) -> None:
    versions = {"v2": v2, "v3": v3}
    made, other = versions[maker], versions[reader]
    campaign = Campaign(nok(100), datetime(2026, 6, 1, tzinfo=UTC))
    draft = a_draft(campaign=campaign, initial_charge=initial(TransactionType.RESERVE_CAPTURE))
    agreement_id = (await made.create_agreement(draft, key=KEY)).agreement_id
    simulator.approve(agreement_id)
    seen = await other.get_agreement(agreement_id)
    assert (seen.price, seen.plan, seen.product_name) == (draft.price, draft.plan, draft.product_name)
    assert seen.campaign is not None
    assert (seen.campaign.price, seen.campaign.end) == (nok(100), campaign.end)
    request = a_charge_request(agreement_id=agreement_id)
    await made.create_charge(request, key=KEY)
    assert (await other.get_charge(agreement_id, request.order_id)).status is ChargeStatus.DUE
    await other.cancel_charge(agreement_id, request.order_id, key=OTHER_KEY)
    assert (await made.get_charge(agreement_id, request.order_id)).status is ChargeStatus.CANCELLED
    await other.capture_charge(agreement_id, "INITIAL-1", nok(25_000), "All", key=OTHER_KEY)
    await made.refund_charge(agreement_id, "INITIAL-1", nok(5_000), "Damaged", key=THIRD_KEY)
    for vipps in (made, other):
        charge = await vipps.get_charge(agreement_id, "INITIAL-1")
        assert (charge.status, charge.captured) == (ChargeStatus.PARTIALLY_REFUNDED, 25_000)
        assert (charge.refunded, charge.kind) == (5_000, "INITIAL")
    await other.update_agreement(agreement_id, AgreementChanges(price=nok(30_000)), key=OTHER_KEY)
    assert (await made.get_agreement(agreement_id)).price == nok(30_000)
    await made.stop_agreement(agreement_id, key=THIRD_KEY)
    assert (await other.get_agreement(agreement_id)).status is AgreementStatus.STOPPED


# What Vipps may come to say one day.


@pytest.mark.parametrize("status", ["PAUSED", "NEW", "REJECTED", "UNKNOWN", "active", ""])
async def test_an_unheard_of_agreement_status_is_unknown(version: str, status: str) -> None:
    assert (await agreement_of(version, status=status)).status is AgreementStatus.UNKNOWN


@pytest.mark.parametrize("status", ["SETTLED", "NEW", "REJECTED", "UNKNOWN", "charged", ""])
async def test_an_unheard_of_charge_status_is_unknown_and_took_no_money(version: str, status: str) -> None:
    seen = await charge_of(version, status=status, summary=...)
    assert (seen.status, seen.captured) == (ChargeStatus.UNKNOWN, 0)


@pytest.mark.parametrize("status", [status for status in ChargeStatus if status.name not in {"NEW", "REJECTED"}])
async def test_every_charge_status_of_vipps_is_understood(version: str, status: ChargeStatus) -> None:
    taken = status in {ChargeStatus.CHARGED, ChargeStatus.PARTIALLY_REFUNDED, ChargeStatus.REFUNDED}
    seen = await charge_of(version, status=status.value, summary=...)
    assert (seen.status, seen.captured) == (status, 87_600 if taken else 0)


async def test_a_charge_in_part_refunded_is_read(version: str) -> None:
    seen = await charge_of(version)
    assert (seen.status, seen.captured, seen.refunded) == (ChargeStatus.PARTIALLY_REFUNDED, 87_600, 26_640)
    assert (seen.transaction_id, seen.cancelled) == ("5001234567", 0)


async def test_statuses_of_tomorrow_come_through_from_end_to_end(simulator: Simulator, vipps: Provider) -> None:
    agreement_id = await active(vipps, simulator)
    charge_id = await vipps.create_charge(a_charge_request(agreement_id=agreement_id), key=KEY)
    simulator.disguise(agreement_id, status="PAUSED", fields={"brandNew": {"deep": [1, None]}})
    simulator.disguise(agreement_id, charge_id, status="SETTLED", fields={"brandNew": True})
    assert (await vipps.get_agreement(agreement_id)).status is AgreementStatus.UNKNOWN
    assert (await vipps.get_charge(agreement_id, charge_id)).status is ChargeStatus.UNKNOWN


async def test_failures_are_shown_as_vipps_tells_them(version: str) -> None:
    seen = await charge_of(
        version, status="FAILED", failureReason="brand_new_reason", failureDescription="Something new"
    )
    assert (seen.status, seen.failure_reason, seen.failure_text) == (
        ChargeStatus.FAILED,
        "brand_new_reason",
        "Something new",
    )


@pytest.mark.parametrize(
    ("due", "day"),
    [
        ("2021-06-19", date(2021, 6, 19)),
        ("2021-06-19T00:01:00Z", date(2021, 6, 19)),
        ("2021-06-19T10:00:00", date(2021, 6, 19)),
    ],
)
async def test_a_due_date_may_carry_a_time(version: str, due: str, day: date) -> None:
    seen = await charge_of(version, due=due)
    assert seen.due.tzinfo is not None
    assert seen.due.date() == day


@pytest.mark.parametrize("body", [b"{}", b"[]", b"null", b'{"agreementId": "agr_1"}', b"", b"{"])
async def test_a_success_that_does_not_say_what_was_made_leaves_it_open(version: str, body: bytes) -> None:
    async with provider_of(version, answering(httpx.Response(201, content=body))) as vipps:
        with pytest.raises(OutcomeUnknown):
            await vipps.create_agreement(a_draft(), key=KEY)
        with pytest.raises(OutcomeUnknown):
            await vipps.create_charge(a_charge_request(), key=KEY)


@pytest.mark.parametrize(
    ("status", "outcome"),
    [(200, Outcome.DONE), (204, Outcome.DONE), (202, Outcome.ACCEPTED)],
)
@pytest.mark.parametrize("body", [b"", b"{}", b" ", b'{"agreementId": "agr_1"}'])
async def test_writes_that_answer_nothing_are_done_on_success_and_accepted_is_not_done(
    version: str, body: bytes, status: int, outcome: Outcome
) -> None:
    """v2's bodies were empty until 2022 and an object later; v3 has none, and 202 for what is still to come."""
    async with provider_of(version, answering(httpx.Response(status, content=body))) as vipps:
        assert await vipps.stop_agreement(AGR, key=KEY) is outcome
        assert await vipps.update_agreement(AGR, AgreementChanges(price=nok(100)), key=KEY) is outcome
        assert await vipps.cancel_charge(AGR, "chr-1", key=KEY) is outcome
        assert await vipps.capture_charge(AGR, "chr-1", nok(100), "All", key=KEY) is outcome
        assert await vipps.refund_charge(AGR, "chr-1", nok(100), "Some", key=KEY) is outcome


@pytest.mark.parametrize(
    ("odd", "quoted"),
    [
        ("a/b", "a%2Fb"),
        ("a?b=c", "a%3Fb%3Dc"),
        ("a#b", "a%23b"),
        ("a b", "a%20b"),
        ("../token", "..%2Ftoken"),
        ("a%2Fb", "a%252Fb"),
        ("å", "%C3%A5"),
        ("a\r\nX: y", "a%0D%0AX%3A%20y"),
    ],
)
async def test_odd_characters_in_ids_stay_in_their_place(version: str, odd: str, quoted: str) -> None:
    wire = answering(httpx.Response(404))
    async with provider_of(version, wire) as vipps:
        with pytest.raises(Rejected):
            await vipps.get_agreement(odd)
        with pytest.raises(Rejected):
            await vipps.get_charge(odd, odd)
        with pytest.raises(Rejected):
            await vipps.refund_charge(odd, odd, nok(100), "Damaged", key=KEY)
    assert [request.url.raw_path.decode() for request in wire.calls] == [
        f"/recurring/{version}/agreements/{quoted}",
        f"/recurring/{version}/agreements/{quoted}/charges/{quoted}",
        f"/recurring/{version}/agreements/{quoted}/charges/{quoted}/refund",
    ]


@pytest.mark.parametrize("odd", ["", ".", ".."])
async def test_an_id_that_is_a_step_in_a_path_reaches_no_other_object(version: str, odd: str) -> None:
    wire = answering(httpx.Response(200, json=CHARGES[version]))
    async with provider_of(version, wire) as vipps:
        with pytest.raises(RecurringError):
            await vipps.get_charge(AGR, odd)
        with pytest.raises(RecurringError):
            await vipps.cancel_charge(AGR, odd, key=KEY)
    assert [request.url.path for request in wire.calls] == []


async def test_many_charges_at_once_do_not_get_in_each_others_way(simulator: Simulator, vipps: Provider) -> None:
    agreement_id = await active(vipps, simulator, price=nok(1_000_000))
    requests = [a_charge_request(agreement_id=agreement_id) for _ in range(30)]
    keys = [f"{number:032d}" for number in range(30)]
    made = await asyncio.gather(
        *(vipps.create_charge(request, key=key) for request, key in zip(requests, keys, strict=True))
    )
    assert made == [request.order_id for request in requests]
    assert count(simulator, Effect.CREATE) == 30
