"""The real client against the simulated Vipps: every operation, every kind of trouble, and the token's life."""

import asyncio
import json
import socket
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx
import pytest
from httpx_aiohttp import AiohttpTransport

from app.domain.agreement import AgreementChanges, AgreementStatus, Campaign, InitialCharge, TransactionType
from app.domain.charge import ChargeStatus
from app.domain.errors import Misconfigured, OutcomeUnknown, RecurringError, Rejected, Unavailable
from app.domain.plan import IntervalUnit, Plan
from app.domain.provider import Outcome
from app.vipps.http import Credentials, SystemNames, VippsHttp
from app.vipps.simulator import DEFAULT_MERCHANT, Effect, Simulator, SimulatorClock, SimulatorConfig, create_app
from app.vipps.v2 import VippsV2
from tests.builders import NOW, a_charge_request, a_draft, nok

BASE = "https://apitest.vipps.test"
GOOD = Credentials(
    DEFAULT_MERCHANT.msn, DEFAULT_MERCHANT.client_id, DEFAULT_MERCHANT.client_secret, DEFAULT_MERCHANT.subscription_key
)
NAMES = SystemNames("saleor", "3.22", "vipps-recurring-saleor", "0.1.0")
KEY = "0123456789abcdef0123456789abcdef"
OTHER_KEY = "fedcba9876543210fedcba9876543210"
AGR = "agr_5kSeqzF"


class Wire(httpx.AsyncBaseTransport):
    """Passes everything on, and remembers what went over the wire."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self._inner = inner
        self.sent: list[httpx.Request] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        # A copy: httpx changes the very same request before it tries again.
        self.sent.append(httpx.Request(request.method, request.url, headers=request.headers, content=request.content))
        return await self._inner.handle_async_request(request)

    @property
    def calls(self) -> list[httpx.Request]:
        """Without those for a token."""
        return [request for request in self.sent if "/accesstoken/" not in request.url.path.lower()]


@pytest.fixture
def simulator() -> Simulator:
    return Simulator(SimulatorConfig(), SimulatorClock(NOW))


@pytest.fixture
def wire(simulator: Simulator) -> Wire:
    return Wire(httpx.ASGITransport(app=create_app(simulator)))


def a_provider(
    client: httpx.AsyncClient, clock: Callable[[], datetime], deadline: float = 5.0, credentials: Credentials = GOOD
) -> VippsV2:
    return VippsV2(VippsHttp(client, BASE, credentials, NAMES, clock=clock, deadline=deadline), clock)


@pytest.fixture
async def vipps(simulator: Simulator, wire: Wire) -> AsyncIterator[VippsV2]:
    async with httpx.AsyncClient(transport=wire) as client:
        yield a_provider(client, simulator.clock.now)


async def active(vipps: VippsV2, simulator: Simulator, **draft: Any) -> str:
    made = await vipps.create_agreement(a_draft(**draft), key=KEY)
    simulator.approve(made.agreement_id)
    return made.agreement_id


def initial(kind: TransactionType, order_id: str = "INITIAL-1") -> InitialCharge:
    return InitialCharge(nok(25_000), "First box", kind, order_id)


# The token.


async def test_twenty_first_calls_at_once_fetch_one_token(simulator: Simulator, vipps: VippsV2) -> None:
    await asyncio.gather(*(vipps.list_agreements() for _ in range(20)))
    assert simulator.tokens_issued == 1


async def test_a_token_is_kept_until_shortly_before_it_ends(simulator: Simulator, vipps: VippsV2) -> None:
    await vipps.list_agreements()
    simulator.advance(timedelta(seconds=3600 - 61))
    await vipps.list_agreements()
    assert simulator.tokens_issued == 1
    simulator.advance(timedelta(seconds=1))
    await vipps.list_agreements()
    assert simulator.tokens_issued == 2


async def test_a_revoked_token_is_renewed_once_and_the_call_succeeds(
    simulator: Simulator, vipps: VippsV2, wire: Wire
) -> None:
    agreement_id = await active(vipps, simulator)
    simulator.revoke_tokens()
    request = a_charge_request(agreement_id=agreement_id)
    assert await vipps.create_charge(request, key=KEY) == request.order_id
    assert simulator.tokens_issued == 2
    first, second = wire.calls[-2:]
    assert (first.content, first.headers["Idempotency-Key"]) == (second.content, second.headers["Idempotency-Key"])
    assert first.headers["Authorization"] != second.headers["Authorization"]


async def test_many_calls_with_a_revoked_token_renew_it_once(simulator: Simulator, vipps: VippsV2) -> None:
    await vipps.list_agreements()
    simulator.revoke_tokens()
    await asyncio.gather(*(vipps.list_agreements() for _ in range(20)))
    assert simulator.tokens_issued == 2


async def test_a_token_that_is_refused_again_and_again_is_asked_for_twice_only(
    simulator: Simulator, vipps: VippsV2, wire: Wire
) -> None:
    simulator.faults.add("status", status=401, operation="listAgreements", times=None)
    with pytest.raises(Misconfigured):
        await vipps.list_agreements()
    assert len(wire.calls) == 2
    assert simulator.tokens_issued == 2


async def test_authenticate_always_fetches_a_new_token(simulator: Simulator, vipps: VippsV2) -> None:
    first, second = await vipps.authenticate(), await vipps.authenticate()
    assert simulator.tokens_issued == 2
    assert first.value != second.value
    assert second.expires_at == NOW + timedelta(hours=1)
    assert second.value not in repr(second)


@pytest.mark.parametrize(
    "wrong",
    [
        {"client_secret": "wr0ng-s3cret"},
        {"client_id": "wrong-id"},
        {"subscription_key": "wr0ng-k3y"},
    ],
)
async def test_wrong_credentials_are_the_merchants_to_mend_and_stay_secret(
    simulator: Simulator, wire: Wire, wrong: dict[str, str]
) -> None:
    credentials = replace(GOOD, **wrong)
    async with httpx.AsyncClient(transport=wire) as client:
        vipps = a_provider(client, simulator.clock.now, credentials=credentials)
        calls: list[Callable[[], Awaitable[object]]] = [
            vipps.authenticate,
            lambda: vipps.create_agreement(a_draft(), key=KEY),
        ]
        for call in calls:
            with pytest.raises(Misconfigured) as refused:
                await call()
            for text in (str(refused.value), repr(refused.value), repr(credentials)):
                assert credentials.client_secret not in text
                assert credentials.subscription_key not in text


async def test_a_wrong_serial_number_is_the_merchants_to_mend(simulator: Simulator, wire: Wire) -> None:
    async with httpx.AsyncClient(transport=wire) as client:
        vipps = a_provider(client, simulator.clock.now, credentials=replace(GOOD, msn="654321"))
        with pytest.raises(Misconfigured, match="Invalid MSN"):
            await vipps.list_agreements()


@pytest.mark.parametrize("name", ["client_secret", "subscription_key", "client_id", "msn"])
async def test_credentials_that_no_header_can_carry_are_the_merchants_to_mend(
    simulator: Simulator, wire: Wire, name: str
) -> None:
    """Copied from a document, with a typographic dash in it."""
    async with httpx.AsyncClient(transport=wire) as client:
        vipps = a_provider(client, simulator.clock.now, credentials=replace(GOOD, **{name: "s3cret\u2013tail"}))
        with pytest.raises(Misconfigured) as refused:
            await vipps.create_charge(a_charge_request(), key=KEY)
    assert "s3cret" not in str(refused.value)


def answering(*answers: httpx.Response | Callable[[httpx.Request], httpx.Response], token: Any = None) -> Wire:
    """A Vipps that gives these answers, in turn and the last one for ever; and a token."""
    left = list(answers)

    def handle(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/accesstoken/get":
            return token or httpx.Response(200, json={"access_token": "t0ken", "expires_in": "3600"})
        answer = left.pop(0) if len(left) > 1 else left[0]
        return answer(request) if callable(answer) else answer

    return Wire(httpx.MockTransport(handle))


@asynccontextmanager
async def provider_of(wire: Wire) -> AsyncIterator[VippsV2]:
    async with httpx.AsyncClient(transport=wire) as client:
        yield a_provider(client, lambda: NOW)


@pytest.mark.parametrize("expires_in", ["86398", 86398])
async def test_the_lifetime_is_read_as_text_or_as_a_number(expires_in: str | int) -> None:
    token = httpx.Response(200, json={"access_token": "t0ken", "expires_in": expires_in, "token_type": "Bearer"})
    async with provider_of(answering(httpx.Response(200), token=token)) as vipps:
        assert (await vipps.authenticate()).expires_at == NOW + timedelta(seconds=86398)


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"{}", b"<html>", b"[]", b'{"access_token": "x"}'),
        *(b'{"access_token": "x", "expires_in": "soon"}', b'{"access_token": "x", "expires_in": 1000000000000000}'),
    ],
)
async def test_a_token_answer_that_cannot_be_read_means_that_nothing_happened(body: bytes) -> None:
    wire = answering(httpx.Response(200), token=httpx.Response(200, content=body))
    async with provider_of(wire) as vipps:
        with pytest.raises(Unavailable):
            await vipps.create_charge(a_charge_request(), key=KEY)
    assert wire.calls == []


@pytest.mark.parametrize("status", [302, 404, 405, 409, 415, 422, 429, 500, 503])
async def test_trouble_with_the_token_never_counts_as_a_no_to_the_charge(status: int) -> None:
    """A Rejected would settle a charge for good that Vipps has never heard of."""
    wire = answering(httpx.Response(200), token=httpx.Response(status))
    async with provider_of(wire) as vipps:
        with pytest.raises((Unavailable, Misconfigured)):
            await vipps.create_charge(a_charge_request(), key=KEY)
    assert wire.calls == []


@pytest.mark.parametrize("kind", ["timeout-before", "reset-before", "reset-after", "garbage"])
async def test_a_token_that_does_not_come_leaves_a_write_unsent(
    simulator: Simulator, vipps: VippsV2, wire: Wire, kind: Any
) -> None:
    simulator.faults.add(kind, operation="getAccessToken", seconds=0)
    with pytest.raises(Unavailable):
        await vipps.create_agreement(a_draft(), key=KEY)
    assert wire.calls == []


async def test_a_token_that_hangs_until_the_deadline_leaves_a_write_unsent(simulator: Simulator, wire: Wire) -> None:
    """Also for those that wait for somebody else's token: nothing of theirs was sent, and they must know."""
    simulator.faults.add("timeout-before", operation="getAccessToken", times=None)
    async with httpx.AsyncClient(transport=wire) as client:
        vipps = a_provider(client, simulator.clock.now, deadline=0.1)
        calls = (vipps.create_charge(a_charge_request(agreement_id=AGR), key=KEY) for _ in range(3))
        failures = await asyncio.gather(*calls, return_exceptions=True)
    assert wire.calls == []
    assert [type(failure) for failure in failures] == [Unavailable] * 3


# Headers.


async def every_operation(vipps: VippsV2, simulator: Simulator) -> None:
    agreement_id = await active(vipps, simulator, initial_charge=initial(TransactionType.RESERVE_CAPTURE))
    await vipps.get_agreement(agreement_id)
    await vipps.list_agreements(AgreementStatus.ACTIVE)
    await vipps.update_agreement(agreement_id, AgreementChanges(price=nok(30_000)), key=KEY)
    charge_id = await vipps.create_charge(a_charge_request(agreement_id=agreement_id), key=KEY)
    await vipps.get_charge(agreement_id, charge_id)
    await vipps.list_charges(agreement_id)
    await vipps.cancel_charge(agreement_id, charge_id, key=KEY)
    await vipps.capture_charge(agreement_id, "INITIAL-1", nok(25_000), "All", key=KEY)
    await vipps.refund_charge(agreement_id, "INITIAL-1", nok(5_000), "Damaged", key=KEY)
    await vipps.stop_agreement(agreement_id, key=OTHER_KEY)


async def test_every_call_carries_every_header(simulator: Simulator, vipps: VippsV2, wire: Wire) -> None:
    await every_operation(vipps, simulator)
    assert len(wire.calls) == 11
    for request in wire.calls:
        headers = request.headers
        assert headers["Authorization"].startswith("Bearer ey")
        assert headers["Ocp-Apim-Subscription-Key"] == GOOD.subscription_key
        assert headers["Merchant-Serial-Number"] == GOOD.msn
        assert headers["Vipps-System-Name"] == "saleor"
        assert headers["Vipps-System-Version"] == "3.22"
        assert headers["Vipps-System-Plugin-Name"] == "vipps-recurring-saleor"
        assert headers["Vipps-System-Plugin-Version"] == "0.1.0"
        assert ("Idempotency-Key" in headers) is (request.method != "GET")
        assert "client_secret" not in headers
        assert headers.get("Content-Type") == ("application/json" if request.content else None)
        assert "Idempotent-Key" not in headers


async def test_the_token_is_asked_for_with_the_headers_that_vipps_wants(vipps: VippsV2, wire: Wire) -> None:
    await vipps.authenticate()
    (request,) = wire.sent
    assert (request.method, request.content) == ("POST", b"")
    assert request.headers["client_id"] == GOOD.client_id
    assert request.headers["client_secret"] == GOOD.client_secret
    assert request.headers["Ocp-Apim-Subscription-Key"] == GOOD.subscription_key


async def test_the_token_is_asked_for_in_the_name_of_the_system(vipps: VippsV2, wire: Wire) -> None:
    """Point 3 of Vipps' checklist: the serial number and the four system headers on every call, token included."""
    await vipps.authenticate()
    wanted = {"Merchant-Serial-Number": GOOD.msn, **NAMES.headers()}
    assert {name: wire.sent[0].headers.get(name) for name in wanted} == wanted


async def test_system_names_are_cut_to_what_vipps_takes() -> None:
    assert set(SystemNames("n" * 31, "v" * 40, "p" * 99, "q" * 31).headers().values()) == {c * 30 for c in "nvpq"}


# Every operation, from end to end.


async def test_an_agreement_is_drafted_approved_and_read(simulator: Simulator, vipps: VippsV2) -> None:
    made = await vipps.create_agreement(a_draft(phone="4791234567"), key=KEY)
    assert made.agreement_id.startswith("agr_")
    assert made.confirmation_url.startswith("https://")
    assert made.charge_id is None
    pending = await vipps.get_agreement(made.agreement_id)
    assert (pending.status, pending.start, pending.price) == (AgreementStatus.PENDING, None, nok(25_000))
    simulator.approve(made.agreement_id)
    seen = await vipps.get_agreement(made.agreement_id)
    assert (seen.status, seen.start, seen.stop) == (AgreementStatus.ACTIVE, NOW, None)
    assert (seen.product_name, seen.product_description) == ("Kaffe hver måned", "Ferskbrent, 500 g")
    assert seen.plan == Plan(IntervalUnit.MONTH, 1)
    assert seen.agreement_url == "https://shop.example/my/1"


async def test_a_draft_carries_campaign_interval_and_initial_charge(simulator: Simulator, vipps: VippsV2) -> None:
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


async def test_agreements_are_listed_by_status_and_time(simulator: Simulator, vipps: VippsV2) -> None:
    first = await active(vipps, simulator)
    simulator.advance(timedelta(hours=1))
    second = (await vipps.create_agreement(a_draft(), key=OTHER_KEY)).agreement_id
    assert [it.agreement_id for it in await vipps.list_agreements()] == [first]
    assert [it.agreement_id for it in await vipps.list_agreements(AgreementStatus.PENDING)] == [second]
    assert await vipps.list_agreements(AgreementStatus.ACTIVE, created_after=NOW + timedelta(seconds=1)) == []
    earlier = await vipps.list_agreements(AgreementStatus.ACTIVE, created_after=NOW - timedelta(seconds=1))
    assert [it.agreement_id for it in earlier] == [first]


async def test_an_agreement_is_changed(simulator: Simulator, vipps: VippsV2) -> None:
    agreement_id = await active(vipps, simulator)
    changes = AgreementChanges(nok(30_000), "Te", "", "https://shop.example/my/2")
    assert await vipps.update_agreement(agreement_id, changes, key=KEY) is Outcome.DONE
    seen = await vipps.get_agreement(agreement_id)
    assert (seen.price, seen.product_name, seen.product_description) == (nok(30_000), "Te", "")
    assert seen.agreement_url == "https://shop.example/my/2"


async def test_only_what_changes_is_sent(simulator: Simulator, vipps: VippsV2, wire: Wire) -> None:
    agreement_id = await active(vipps, simulator)
    await vipps.update_agreement(agreement_id, AgreementChanges(product_name="Te"), key=KEY)
    assert json.loads(wire.calls[-1].content) == {"productName": "Te"}
    await vipps.stop_agreement(agreement_id, key=OTHER_KEY)
    assert json.loads(wire.calls[-1].content) == {"status": "STOPPED"}


async def test_an_agreement_is_stopped(simulator: Simulator, vipps: VippsV2) -> None:
    agreement_id = await active(vipps, simulator)
    assert await vipps.stop_agreement(agreement_id, key=KEY) is Outcome.DONE
    seen = await vipps.get_agreement(agreement_id)
    assert (seen.status, seen.stop) == (AgreementStatus.STOPPED, NOW)


async def test_an_agreement_is_approved_in_the_customers_place(vipps: VippsV2) -> None:
    agreement_id = (await vipps.create_agreement(a_draft(), key=KEY)).agreement_id
    await vipps.accept_agreement(agreement_id, "4791234567")
    assert (await vipps.get_agreement(agreement_id)).status is AgreementStatus.ACTIVE


async def test_a_charge_is_made_read_and_paid(simulator: Simulator, vipps: VippsV2) -> None:
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


async def test_charges_are_listed_by_status(simulator: Simulator, vipps: VippsV2) -> None:
    agreement_id = await active(vipps, simulator)
    soon, later = a_charge_request(agreement_id=agreement_id), a_charge_request(agreement_id=agreement_id)
    await vipps.create_charge(soon, key=KEY)
    await vipps.create_charge(replace(later, due=date(2026, 6, 1)), key=OTHER_KEY)
    assert [it.charge_id for it in await vipps.list_charges(agreement_id)] == [soon.order_id, later.order_id]
    pending = await vipps.list_charges(agreement_id, ChargeStatus.PENDING)
    assert [it.charge_id for it in pending] == [later.order_id]


async def test_a_failed_charge_tells_why(simulator: Simulator, vipps: VippsV2) -> None:
    agreement_id = await active(vipps, simulator)
    simulator.set_failure(agreement_id, "user_action_required")
    request = a_charge_request(agreement_id=agreement_id, retry_days=0)
    await vipps.create_charge(request, key=KEY)
    simulator.advance(timedelta(days=4))
    seen = await vipps.get_charge(agreement_id, request.order_id)
    assert (seen.status, seen.failure_reason) == (ChargeStatus.FAILED, "user_action_required")
    assert seen.failure_text


async def test_a_charge_is_cancelled(simulator: Simulator, vipps: VippsV2) -> None:
    agreement_id = await active(vipps, simulator)
    charge_id = await vipps.create_charge(a_charge_request(agreement_id=agreement_id), key=KEY)
    assert await vipps.cancel_charge(agreement_id, charge_id, key=KEY) is Outcome.DONE
    assert (await vipps.get_charge(agreement_id, charge_id)).status is ChargeStatus.CANCELLED


async def test_a_reservation_is_captured_and_refunded_in_parts(simulator: Simulator, vipps: VippsV2) -> None:
    agreement_id = await active(vipps, simulator, initial_charge=initial(TransactionType.RESERVE_CAPTURE))
    reserved = await vipps.get_charge(agreement_id, "INITIAL-1")
    assert (reserved.status, reserved.captured) == (ChargeStatus.RESERVED, 0)
    assert await vipps.capture_charge(agreement_id, "INITIAL-1", nok(25_000), "All", key=KEY) is Outcome.DONE
    assert await vipps.refund_charge(agreement_id, "INITIAL-1", nok(5_000), "Damaged", key=KEY) is Outcome.DONE
    part = await vipps.get_charge(agreement_id, "INITIAL-1")
    assert (part.status, part.captured, part.refunded) == (ChargeStatus.PARTIALLY_REFUNDED, 25_000, 5_000)
    await vipps.refund_charge(agreement_id, "INITIAL-1", nok(20_000), "Damaged", key=OTHER_KEY)
    assert (await vipps.get_charge(agreement_id, "INITIAL-1")).status is ChargeStatus.REFUNDED


# Trouble with writes: whatever happens, a repeat with the same key makes one effect.

Write = Callable[[VippsV2, str], Awaitable[object]]


def charging(vipps: VippsV2, agreement_id: str) -> Awaitable[object]:
    return vipps.create_charge(replace(a_charge_request(agreement_id=agreement_id), order_id="ORD-FIXED"), key=KEY)


WRITES: dict[str, tuple[str, Effect, Write]] = {
    "create": ("draftAgreement", Effect.DRAFT, lambda v, _: v.create_agreement(a_draft(), key=OTHER_KEY)),
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


async def prepared(vipps: VippsV2, simulator: Simulator, name: str) -> str:
    """An agreement on which that write is legal."""
    kind = TransactionType.DIRECT_CAPTURE if name == "refund" else TransactionType.RESERVE_CAPTURE
    wants_initial = name in {"capture", "refund"}
    agreement_id = await active(vipps, simulator, initial_charge=initial(kind) if wants_initial else None)
    if name == "cancel":
        request = replace(a_charge_request(agreement_id=agreement_id), order_id="ORD-OPEN")
        await vipps.create_charge(request, key=OTHER_KEY)
    return agreement_id


def count(simulator: Simulator, effect: Effect) -> int:
    return sum(entry.effect is effect for entry in simulator.ledger)


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
    simulator: Simulator, vipps: VippsV2, name: str, kind: Any, conditions: dict[str, Any], *, took_effect: bool
) -> None:
    operation, effect, write = WRITES[name]
    agreement_id = await prepared(vipps, simulator, name)
    before = count(simulator, effect)
    simulator.faults.add(kind, operation=operation, **conditions)
    with pytest.raises(OutcomeUnknown):
        await write(vipps, agreement_id)
    assert count(simulator, effect) - before == int(took_effect)
    await write(vipps, agreement_id)
    await write(vipps, agreement_id)
    assert count(simulator, effect) - before == 1


@EVERY_WRITE
@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_busy_vipps_may_be_asked_again_with_the_same_key(
    simulator: Simulator, vipps: VippsV2, name: str, status: int, when: str
) -> None:
    operation, effect, write = WRITES[name]
    agreement_id = await prepared(vipps, simulator, name)
    before = count(simulator, effect)
    simulator.faults.add("status", operation=operation, status=status, when=when)
    with pytest.raises(Unavailable) as failed:
        await write(vipps, agreement_id)
    assert failed.value.status == status
    await write(vipps, agreement_id)
    assert count(simulator, effect) - before == 1


@EVERY_WRITE
async def test_a_write_is_the_same_to_the_byte_when_it_is_repeated(
    simulator: Simulator, vipps: VippsV2, wire: Wire, name: str
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
    simulator: Simulator, vipps: VippsV2, name: str, status: int, style: str
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
    simulator: Simulator, vipps: VippsV2, name: str, status: int
) -> None:
    operation, _, write = WRITES[name]
    agreement_id = await prepared(vipps, simulator, name)
    simulator.faults.add("status", operation=operation, status=status, times=2)
    with pytest.raises(Misconfigured):
        await write(vipps, agreement_id)


async def test_an_answer_that_never_comes_ends_at_the_deadline(simulator: Simulator, wire: Wire) -> None:
    async with httpx.AsyncClient(transport=wire) as client:
        vipps = a_provider(client, simulator.clock.now, deadline=0.2)
        agreement_id = await active(vipps, simulator)
        simulator.faults.add("timeout-after", operation="createCharge")
        simulator.faults.add("timeout-before", operation="getAgreement")
        started = time.monotonic()
        with pytest.raises(OutcomeUnknown):
            await charging(vipps, agreement_id)
        with pytest.raises(Unavailable):
            await vipps.get_agreement(agreement_id)
        assert time.monotonic() - started < 2
        assert await charging(vipps, agreement_id) == "ORD-FIXED"
    assert count(simulator, Effect.CREATE) == 1


async def test_a_call_that_is_called_off_stays_called_off(simulator: Simulator, vipps: VippsV2) -> None:
    """A cancelled task must not come to look like a timeout."""
    await vipps.authenticate()
    simulator.faults.add("timeout-before", operation="listAgreements")
    task = asyncio.create_task(vipps.list_agreements())
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_the_same_key_for_another_request_is_refused(simulator: Simulator, vipps: VippsV2) -> None:
    agreement_id = await active(vipps, simulator)
    await vipps.create_charge(a_charge_request(agreement_id=agreement_id), key=KEY)
    with pytest.raises(Rejected) as refused:
        await vipps.create_charge(a_charge_request(agreement_id=agreement_id), key=KEY)
    assert refused.value.provider_code == "idempotentkey.hash.mismatch"


# Trouble with reads: nothing was changed, so all of it is Unavailable.

Read = Callable[[VippsV2, str], Awaitable[object]]
READS: dict[str, tuple[str, Read]] = {
    "get": ("getAgreement", lambda v, agr: v.get_agreement(agr)),
    "list": ("listAgreements", lambda v, _: v.list_agreements()),
    "charge": ("getCharge", lambda v, agr: v.get_charge(agr, "ORD-OPEN")),
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
    simulator: Simulator, vipps: VippsV2, name: str, kind: Any, conditions: dict[str, Any]
) -> None:
    operation, read = READS[name]
    agreement_id = await prepared(vipps, simulator, "cancel")
    simulator.faults.add(kind, operation=operation, **conditions)
    with pytest.raises(Unavailable):
        await read(vipps, agreement_id)
    await read(vipps, agreement_id)


@pytest.mark.parametrize(("retry_after", "seconds"), [("30", 30), ("Mon, 02 Mar 2026 09:01:30 GMT", 90)])
async def test_a_busy_vipps_says_when_to_come_back(
    simulator: Simulator, vipps: VippsV2, retry_after: str, seconds: float
) -> None:
    simulator.faults.add("status", status=429, retry_after=retry_after, operation="draftAgreement")
    with pytest.raises(Unavailable) as busy:
        await vipps.create_agreement(a_draft(), key=KEY)
    assert busy.value.retry_after == seconds


async def test_an_agreement_that_does_not_exist_is_told_from_a_bad_id(vipps: VippsV2) -> None:
    for unknown in ("agr_0000000", "nonsense"):
        with pytest.raises(Rejected) as refused:
            await vipps.get_agreement(unknown)
        assert refused.value.unknown_object


# What Vipps may come to say one day.

AGREEMENT = {
    "id": AGR,
    "start": "2020-02-06T10:10:07Z",
    "stop": None,
    "status": "ACTIVE",
    "productName": "Kaffe",
    "productDescription": "",
    "price": 87600,
    "interval": "MONTH",
    "intervalCount": 1,
    "currency": "NOK",
    "campaign": None,
}
CHARGE = {
    "id": "chr-5kSeqzF",
    "status": "CHARGED",
    "due": "2021-06-19T00:01:00Z",
    "amount": 87600,
    "amountRefunded": 26640,
    "transactionId": "5001234567",
    "description": "Kaffe",
    "type": "RECURRING",
}


async def agreement_of(**over: Any) -> Any:
    body = {name: value for name, value in (AGREEMENT | over).items() if value is not ...}
    async with provider_of(answering(httpx.Response(200, json=body))) as vipps:
        return await vipps.get_agreement(AGR)


async def charge_of(**over: Any) -> Any:
    body = {name: value for name, value in (CHARGE | over).items() if value is not ...}
    async with provider_of(answering(httpx.Response(200, json=body))) as vipps:
        return await vipps.get_charge(AGR, "chr-5kSeqzF")


async def test_the_agreement_of_2020_is_read() -> None:
    seen = await agreement_of()
    assert (seen.status, seen.price, seen.start) == (
        AgreementStatus.ACTIVE,
        nok(87_600),
        datetime(2020, 2, 6, 10, 10, 7, tzinfo=UTC),
    )


@pytest.mark.parametrize("status", ["PAUSED", "NEW", "REJECTED", "UNKNOWN", "active", ""])
async def test_an_unheard_of_agreement_status_is_unknown(status: str) -> None:
    assert (await agreement_of(status=status)).status is AgreementStatus.UNKNOWN


@pytest.mark.parametrize("status", ["SETTLED", "NEW", "REJECTED", "UNKNOWN", "charged", ""])
async def test_an_unheard_of_charge_status_is_unknown_and_took_no_money(status: str) -> None:
    seen = await charge_of(status=status)
    assert (seen.status, seen.captured) == (ChargeStatus.UNKNOWN, 0)


@pytest.mark.parametrize("status", [status for status in ChargeStatus if status.name not in {"NEW", "REJECTED"}])
async def test_every_charge_status_of_vipps_is_understood(status: ChargeStatus) -> None:
    taken = status in {ChargeStatus.CHARGED, ChargeStatus.PARTIALLY_REFUNDED, ChargeStatus.REFUNDED}
    seen = await charge_of(status=status.value)
    assert (seen.status, seen.captured) == (status, 87_600 if taken else 0)


async def test_unknown_and_missing_fields_are_no_trouble() -> None:
    seen = await agreement_of(
        history=[{"event": "X"}], paymentMethod={"a": 1}, campaign=..., productDescription=None, start=None, price=None
    )
    assert (seen.product_description, seen.start, seen.price) == ("", None, nok(0))
    charge = await charge_of(
        summary={"x": 1}, type=None, amountRefunded=None, transactionId=..., description=None, due=...
    )
    assert (charge.kind, charge.refunded, charge.transaction_id, charge.due) == ("RECURRING", 0, None, None)


async def test_a_variable_agreement_shows_its_limits() -> None:
    seen = await agreement_of(price=0, variableAmount={"suggestedMaxAmount": 200000, "maxAmount": 150000})
    assert (seen.suggested_max, seen.max_amount) == (nok(200_000), nok(150_000))
    fresh = await agreement_of(price=0, variableAmount={"suggestedMaxAmount": 200000})
    assert (fresh.suggested_max, fresh.max_amount) == (nok(200_000), None)


async def test_failures_are_shown_as_vipps_tells_them() -> None:
    seen = await charge_of(status="FAILED", failureReason="brand_new_reason", failureDescription="Something new")
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
async def test_a_due_date_may_carry_a_time(due: str, day: date) -> None:
    seen = await charge_of(due=due)
    assert seen.due.tzinfo is not None
    assert seen.due.date() == day


@pytest.mark.parametrize(
    "over", [{"interval": "QUARTER"}, {"currency": "SEK"}, {"intervalCount": 0}, {"id": ...}, {"price": "a lot"}]
)
async def test_an_agreement_that_cannot_be_understood_is_unavailable(over: dict[str, Any]) -> None:
    with pytest.raises(Unavailable):
        await agreement_of(**over)


@pytest.mark.parametrize("body", [b"{}", b"[]", b"null", b'{"agreementId": "agr_1"}', b"", b"{"])
async def test_a_success_that_does_not_say_what_was_made_leaves_it_open(body: bytes) -> None:
    async with provider_of(answering(httpx.Response(201, content=body))) as vipps:
        with pytest.raises(OutcomeUnknown):
            await vipps.create_agreement(a_draft(), key=KEY)
        with pytest.raises(OutcomeUnknown):
            await vipps.create_charge(a_charge_request(), key=KEY)


@pytest.mark.parametrize("body", [b"", b"{}", b" ", b'{"agreementId": "agr_1"}'])
async def test_writes_that_answer_nothing_are_done_on_success(body: bytes) -> None:
    """Until 2022 these bodies were empty, later an object."""
    async with provider_of(answering(httpx.Response(200, content=body))) as vipps:
        assert await vipps.stop_agreement(AGR, key=KEY) is Outcome.DONE
        assert await vipps.cancel_charge(AGR, "chr-1", key=KEY) is Outcome.DONE
        assert await vipps.capture_charge(AGR, "chr-1", nok(100), "All", key=KEY) is Outcome.DONE
        assert await vipps.refund_charge(AGR, "chr-1", nok(100), "Some", key=KEY) is Outcome.DONE


async def test_an_answer_whose_packing_is_broken_leaves_a_write_open_and_a_read_undone() -> None:
    def broken(_: httpx.Request) -> httpx.Response:
        stream = httpx.ByteStream(b"this is not gzip")
        return httpx.Response(200, headers={"Content-Encoding": "gzip"}, stream=stream)

    async with provider_of(answering(broken)) as vipps:
        with pytest.raises(OutcomeUnknown):
            await vipps.create_charge(a_charge_request(), key=KEY)
        with pytest.raises(Unavailable):
            await vipps.get_agreement(AGR)


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
async def test_odd_characters_in_ids_stay_in_their_place(odd: str, quoted: str) -> None:
    wire = answering(httpx.Response(404))
    async with provider_of(wire) as vipps:
        with pytest.raises(Rejected):
            await vipps.get_agreement(odd)
        with pytest.raises(Rejected):
            await vipps.get_charge(odd, odd)
        with pytest.raises(Rejected):
            await vipps.refund_charge(odd, odd, nok(100), "Damaged", key=KEY)
    assert [request.url.raw_path.decode() for request in wire.calls] == [
        f"/recurring/v2/agreements/{quoted}",
        f"/recurring/v2/agreements/{quoted}/charges/{quoted}",
        f"/recurring/v2/agreements/{quoted}/charges/{quoted}/refund",
    ]


@pytest.mark.parametrize("odd", ["", ".", ".."])
async def test_an_id_that_is_a_step_in_a_path_reaches_no_other_object(odd: str) -> None:
    wire = answering(httpx.Response(200, json=CHARGE))
    async with provider_of(wire) as vipps:
        with pytest.raises(RecurringError):
            await vipps.get_charge(AGR, odd)
        with pytest.raises(RecurringError):
            await vipps.cancel_charge(AGR, odd, key=KEY)
    assert [request.url.path for request in wire.calls] == []


# The real transport over a real connection.

Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def close_without_a_word(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
    """The server closes once this has come back."""


async def reset(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    connection = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def break_off_in_the_body(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b'HTTP/1.1 201 Created\r\nContent-Length: 500\r\n\r\n{"chargeId": ')
    await writer.drain()


async def break_off_in_the_head(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 201 Created\r\nContent-Le")
    await writer.drain()


async def speak_another_language(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"220 mail.example ESMTP\r\n\r\n")
    await writer.drain()


async def send_a_broken_chunk(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n")
    await writer.drain()


async def send_an_endless_header(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 201 Created\r\nX-Long: " + b"x" * 100_000 + b"\r\n\r\n")
    await writer.drain()


async def say_nothing(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await reader.read()


@asynccontextmanager
async def loopback(behaviour: Behaviour) -> AsyncIterator[tuple[str, list[bytes]]]:
    """A server that gives out a token and then behaves as told; its address and the request lines it read."""
    lines: list[bytes] = []
    serving: set[asyncio.Task[Any]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving.add(task)
        try:
            await answer(reader, writer)
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next((line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), b": 0")
        await reader.readexactly(int(length.partition(b":")[2]))
        if b"/accesstoken/get" in head:
            body = b'{"access_token": "t0ken", "expires_in": "3600"}'
            writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
            await writer.drain()
            return
        lines.append(head.partition(b"\r\n")[0])
        await behaviour(reader, writer)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        port = server.sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}", lines
    finally:
        server.close()
        if serving:
            await asyncio.wait(serving, timeout=5)
        await server.wait_closed()


@asynccontextmanager
async def aiohttp_provider(base: str, deadline: float = 5.0) -> AsyncIterator[VippsV2]:
    async with httpx.AsyncClient(transport=AiohttpTransport()) as client:
        yield VippsV2(VippsHttp(client, base, GOOD, NAMES, clock=lambda: NOW, deadline=deadline), lambda: NOW)


@pytest.mark.parametrize(
    "behaviour",
    [
        close_without_a_word,
        reset,
        break_off_in_the_body,
        break_off_in_the_head,
        speak_another_language,
        send_a_broken_chunk,
        send_an_endless_header,
    ],
)
@pytest.mark.parametrize("name", ["charge", "cancel", "refund"])
async def test_a_connection_that_breaks_after_the_request_leaves_a_write_open(behaviour: Behaviour, name: str) -> None:
    """The transport calls some of these ConnectTimeout, as if nothing had been sent."""
    async with loopback(behaviour) as (base, lines), aiohttp_provider(base) as vipps:
        with pytest.raises(OutcomeUnknown):
            await WRITES[name][2](vipps, AGR)
    assert lines


@pytest.mark.parametrize(
    "behaviour", [close_without_a_word, reset, break_off_in_the_body, speak_another_language, send_a_broken_chunk]
)
async def test_a_connection_that_breaks_leaves_a_read_undone(behaviour: Behaviour) -> None:
    async with loopback(behaviour) as (base, _), aiohttp_provider(base) as vipps:
        with pytest.raises(Unavailable):
            await vipps.get_agreement(AGR)


async def test_a_server_that_says_nothing_ends_at_the_deadline() -> None:
    async with loopback(say_nothing) as (base, _), aiohttp_provider(base, deadline=0.3) as vipps:
        with pytest.raises(OutcomeUnknown):
            await vipps.create_charge(a_charge_request(), key=KEY)
        with pytest.raises(Unavailable):
            await vipps.get_agreement(AGR)


async def test_a_port_that_nobody_listens_on_leaves_a_write_unsent() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        base = f"http://127.0.0.1:{unused.getsockname()[1]}"
    async with aiohttp_provider(base) as vipps:
        with pytest.raises(Unavailable):
            await vipps.create_charge(a_charge_request(), key=KEY)


async def test_a_port_that_closes_after_the_token_leaves_a_write_unsent() -> None:
    async with loopback(say_nothing) as (base, lines):
        stack = aiohttp_provider(base)
        vipps = await stack.__aenter__()
        await vipps.authenticate()
    try:
        with pytest.raises(Unavailable):
            await vipps.create_charge(a_charge_request(), key=KEY)
    finally:
        await stack.__aexit__(None, None, None)
    assert lines == []


async def test_nobody_approves_in_the_customers_place_in_the_live_environment(
    simulator: Simulator, wire: Wire, vipps: VippsV2
) -> None:
    agreement_id = (await vipps.create_agreement(a_draft(), key=KEY)).agreement_id
    before = len(wire.calls)
    live = VippsV2(vipps._http, lambda: NOW, test_environment=False)
    with pytest.raises(Misconfigured):
        await live.accept_agreement(agreement_id, "4791234567")
    assert len(wire.calls) == before
    assert simulator.agreement(agreement_id).status == "PENDING"
