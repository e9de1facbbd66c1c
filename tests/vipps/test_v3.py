"""What only v3 does: its very bytes, partial captures, reserved charges, pages, 202, and what may come one day."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx
import pytest

from app.domain.agreement import AgreementChanges, AgreementStatus, Campaign, InitialCharge, Pricing, TransactionType
from app.domain.charge import ChargeStatus
from app.domain.errors import Rejected, Unavailable
from app.domain.money import Currency, Money
from app.domain.plan import IntervalUnit, Plan
from app.domain.provider import Outcome
from app.vipps.simulator import DEFAULT_MERCHANT, Effect, Simulator, SimulatorClock, SimulatorConfig, create_app
from tests.builders import NOW, a_charge_request, a_draft, nok
from tests.vipps.helpers import (
    AGR,
    AGREEMENTS,
    KEY,
    OTHER_KEY,
    PHONE,
    THIRD_KEY,
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

ORDER = "ORD-00000001"
DRAFTED = httpx.Response(201, json={"agreementId": AGR, "uuid": "u", "vippsConfirmationUrl": "https://vipps.example/x"})


async def sent(call: Any, answer: httpx.Response | None = None) -> bytes:
    """The body that goes over the wire."""
    wire = answering(answer or httpx.Response(204))
    async with provider_of("v3", wire) as vipps:
        await call(vipps)
    return wire.calls[0].content


# A stored write may be repeated by a later release: these bytes must never change.


async def test_a_charge_is_written_like_this() -> None:
    request = a_charge_request(order_id=ORDER, description="Kaffe – mars ☕")
    body = await sent(lambda v: v.create_charge(request, key=KEY), httpx.Response(201, json={"chargeId": ORDER}))
    assert body.decode() == (
        '{"amount":25000,"transactionType":"DIRECT_CAPTURE","description":"Kaffe – mars ☕","due":"2026-03-04",'
        '"retryDays":5,"orderId":"ORD-00000001"}'
    )


async def test_a_reserved_charge_with_an_external_id_is_written_like_this() -> None:
    request = a_charge_request(
        order_id=ORDER, transaction_type=TransactionType.RESERVE_CAPTURE, external_id="our-own-id"
    )
    body = await sent(lambda v: v.create_charge(request, key=KEY), httpx.Response(201, json={"chargeId": ORDER}))
    assert body.decode() == (
        '{"amount":25000,"transactionType":"RESERVE_CAPTURE","description":"Kaffe i mars","due":"2026-03-04",'
        '"retryDays":5,"orderId":"ORD-00000001","externalId":"our-own-id"}'
    )


async def test_a_draft_is_written_like_this() -> None:
    draft = a_draft(
        phone=PHONE,
        campaign=Campaign(nok(100), datetime(2026, 6, 1, tzinfo=UTC)),
        initial_charge=InitialCharge(nok(9_900), "First box", TransactionType.RESERVE_CAPTURE, "INITIAL-1"),
        external_id="our-own-id",
    )
    body = await sent(lambda v: v.create_agreement(draft, key=KEY), DRAFTED)
    assert body.decode() == (
        '{"pricing":{"type":"LEGACY","currency":"NOK","amount":25000},"interval":{"unit":"MONTH","count":1},'
        '"merchantRedirectUrl":"https://shop.example/return/1","merchantAgreementUrl":"https://shop.example/my/1",'
        '"productName":"Kaffe hver måned","isApp":false,"productDescription":"Ferskbrent, 500 g",'
        '"phoneNumber":"4791234567","initialCharge":{"amount":9900,"description":"First box",'
        '"transactionType":"RESERVE_CAPTURE","orderId":"INITIAL-1"},'
        '"campaign":{"type":"PRICE_CAMPAIGN","price":100,"end":"2026-06-01T00:00:00Z"},"externalId":"our-own-id"}'
    )


@pytest.mark.parametrize(
    ("draft", "pricing"),
    [
        (
            {"price": nok(0), "pricing": Pricing.VARIABLE, "suggested_max": nok(50_000)},
            '{"type":"VARIABLE","currency":"NOK","suggestedMaxAmount":50000}',
        ),
        ({"price": nok(0), "pricing": Pricing.FLEXIBLE}, '{"type":"FLEXIBLE","currency":"NOK"}'),
        ({"price": Money(1_900, Currency.DKK)}, '{"type":"LEGACY","currency":"DKK","amount":1900}'),
    ],
)
async def test_other_pricings_are_written_like_this(draft: dict[str, Any], pricing: str) -> None:
    wanted = a_draft(product_description="", **draft)
    body = await sent(lambda v: v.create_agreement(wanted, key=KEY), DRAFTED)
    assert body.decode() == (
        f'{{"pricing":{pricing},"interval":{{"unit":"MONTH","count":1}},'
        '"merchantRedirectUrl":"https://shop.example/return/1","merchantAgreementUrl":"https://shop.example/my/1",'
        '"productName":"Kaffe hver måned","isApp":false}'
    )


async def test_changes_are_written_like_this() -> None:
    changes = AgreementChanges(nok(30_000), "Te", "", "https://shop.example/my/2")
    body = await sent(lambda v: v.update_agreement(AGR, changes, key=KEY))
    assert body.decode() == (
        '{"productName":"Te","productDescription":"","merchantAgreementUrl":"https://shop.example/my/2",'
        '"pricing":{"amount":30000}}'
    )
    limit = AgreementChanges(suggested_max=nok(50_000))
    body = await sent(lambda v: v.update_agreement(AGR, limit, key=KEY))
    assert body == b'{"pricing":{"suggestedMaxAmount":50000}}'


async def test_a_capture_and_a_refund_are_written_like_this() -> None:
    body = await sent(lambda v: v.capture_charge(AGR, ORDER, nok(10_000), "Første eske", key=KEY))
    assert body.decode() == '{"amount":10000,"description":"Første eske"}'
    body = await sent(lambda v: v.refund_charge(AGR, ORDER, nok(5_000), "Skadet på veien", key=KEY))
    assert body.decode() == '{"amount":5000,"description":"Skadet på veien"}'


@pytest.mark.parametrize("empty", ["", "  "])
async def test_a_description_that_v3_would_refuse_as_empty_gets_a_word(empty: str) -> None:
    body = await sent(lambda v: v.capture_charge(AGR, ORDER, nok(10_000), empty, key=KEY))
    assert body == b'{"amount":10000,"description":"Capture"}'
    body = await sent(lambda v: v.refund_charge(AGR, ORDER, nok(10_000), empty, key=KEY))
    assert body == b'{"amount":10000,"description":"Refund"}'


async def test_an_approval_is_written_like_this() -> None:
    assert await sent(lambda v: v.accept_agreement(AGR, PHONE)) == b'{"phoneNumber":"4791234567"}'


# What v2 cannot do.


async def test_a_reservation_is_captured_in_parts_and_the_rest_released(simulator: Simulator, v3: Provider) -> None:
    agreement_id = await active(v3, simulator, initial_charge=initial(TransactionType.RESERVE_CAPTURE))
    await v3.capture_charge(agreement_id, "INITIAL-1", nok(10_000), "One box", key=KEY)
    part = await v3.get_charge(agreement_id, "INITIAL-1")
    assert (part.status, part.captured) == (ChargeStatus.PARTIALLY_CAPTURED, 10_000)
    await v3.refund_charge(agreement_id, "INITIAL-1", nok(4_000), "Damaged", key=OTHER_KEY)
    await v3.cancel_charge(agreement_id, "INITIAL-1", key=THIRD_KEY)
    seen = await v3.get_charge(agreement_id, "INITIAL-1")
    assert (seen.captured, seen.refunded, seen.cancelled) == (10_000, 4_000, 15_000)
    assert seen.applied is not None
    assert {KEY, OTHER_KEY, THIRD_KEY} <= seen.applied


async def test_a_recurring_charge_can_be_reserved_only(simulator: Simulator, v3: Provider) -> None:
    agreement_id = await active(v3, simulator)
    request = a_charge_request(agreement_id=agreement_id, transaction_type=TransactionType.RESERVE_CAPTURE)
    charge_id = await v3.create_charge(request, key=KEY)
    simulator.advance(timedelta(days=3))
    assert (await v3.get_charge(agreement_id, charge_id)).status is ChargeStatus.RESERVED
    await v3.capture_charge(agreement_id, charge_id, nok(25_000), "", key=KEY)
    assert (await v3.get_charge(agreement_id, charge_id)).status is ChargeStatus.CHARGED


async def test_an_agreement_without_a_limit_is_drafted_and_charged(simulator: Simulator, v3: Provider) -> None:
    agreement_id = await active(v3, simulator, price=nok(0), pricing=Pricing.FLEXIBLE)
    assert (await v3.get_agreement(agreement_id)).pricing is Pricing.FLEXIBLE
    request = a_charge_request(agreement_id=agreement_id, amount=nok(9_000_000))
    assert await v3.create_charge(request, key=KEY) == request.order_id


async def test_a_sales_unit_of_another_market_is_served_in_its_currency() -> None:
    config = SimulatorConfig(merchants=(replace(DEFAULT_MERCHANT, currency="DKK"),))
    danish = Simulator(config, SimulatorClock(NOW))
    async with provider_of("v3", Wire(httpx.ASGITransport(app=create_app(danish)))) as vipps:
        agreement_id = await active(vipps, danish, price=Money(1_900, Currency.DKK))
        assert (await vipps.get_agreement(agreement_id)).price == Money(1_900, Currency.DKK)
        request = a_charge_request(agreement_id=agreement_id, amount=Money(50, Currency.DKK))
        assert await vipps.create_charge(request, key=KEY) == request.order_id


async def test_the_external_ids_stand_at_vipps(simulator: Simulator, v3: Provider) -> None:
    agreement_id = await active(v3, simulator, external_id="our-agreement")
    request = a_charge_request(agreement_id=agreement_id, external_id="our-order")
    await v3.create_charge(request, key=KEY)
    agreement = simulator.agreement(agreement_id)
    assert (agreement.external_id, agreement.charges[request.order_id].external_id) == ("our-agreement", "our-order")
    assert (await v3.get_agreement(agreement_id)).external_id == "our-agreement"


# Accepted is not done.


@pytest.mark.parametrize("name", ["update", "stop", "cancel", "capture", "refund"])
async def test_what_vipps_only_accepted_is_not_called_done(simulator: Simulator, v3: Provider, name: str) -> None:
    kind = TransactionType.DIRECT_CAPTURE if name == "refund" else TransactionType.RESERVE_CAPTURE
    agreement_id = await active(v3, simulator, initial_charge=initial(kind))
    simulator.knobs.forced_202 = True
    simulator.knobs.accepted_delay = timedelta(minutes=1)
    calls: dict[str, tuple[Effect, Any]] = {
        "update": (Effect.UPDATE, lambda: v3.update_agreement(agreement_id, AgreementChanges(nok(30_000)), key=KEY)),
        "stop": (Effect.STOP, lambda: v3.stop_agreement(agreement_id, key=KEY)),
        "cancel": (Effect.CANCEL, lambda: v3.cancel_charge(agreement_id, "INITIAL-1", key=KEY)),
        "capture": (
            Effect.CAPTURE,
            lambda: v3.capture_charge(agreement_id, "INITIAL-1", nok(25_000), "All", key=KEY),
        ),
        "refund": (
            Effect.REFUND,
            lambda: v3.refund_charge(agreement_id, "INITIAL-1", nok(5_000), "Damaged", key=KEY),
        ),
    }
    effect, call = calls[name]
    before = count(simulator, effect)
    assert await call() is Outcome.ACCEPTED
    assert count(simulator, effect) == before
    simulator.advance(timedelta(minutes=2))
    assert count(simulator, effect) == before + 1
    assert await call() is Outcome.ACCEPTED
    assert count(simulator, effect) == before + 1


# Pages.


async def test_a_full_page_says_that_there_may_be_another() -> None:
    many = [AGREEMENTS["v3"] | {"id": f"agr_{number:07d}"} for number in range(2_000)]
    wire = answering(httpx.Response(200, json=many), httpx.Response(200, json=many[:3]))
    async with provider_of("v3", wire) as vipps:
        first = await vipps.list_agreements(AgreementStatus.STOPPED, NOW)
        assert (len(first.items), first.next_page) == (2_000, 2)
        second = await vipps.list_agreements(AgreementStatus.STOPPED, NOW, 2)
        assert (len(second.items), second.next_page) == (3, None)
    milliseconds = str(int(NOW.timestamp() * 1000))
    assert [dict(request.url.params) for request in wire.calls] == [
        {"status": "STOPPED", "createdAfter": milliseconds, "pageNumber": page, "pageSize": "2000"} for page in "12"
    ]


async def test_a_vipps_that_knows_no_pages_is_not_asked_for_the_same_list_for_ever() -> None:
    many = [AGREEMENTS["v3"]] * 2_001
    async with provider_of("v3", answering(httpx.Response(200, json=many))) as vipps:
        assert (await vipps.list_agreements()).next_page is None


async def test_a_draft_is_looked_for_on_every_page() -> None:
    pending = AGREEMENTS["v3"] | {"status": "PENDING", "externalId": "somebody-else"}
    ours = pending | {"id": "agr_ours", "externalId": "ours", "vippsConfirmationUrl": "https://vipps.example/x"}
    wire = answering(httpx.Response(200, json=[pending] * 2_000), httpx.Response(200, json=[pending, ours]))
    async with provider_of("v3", wire) as vipps:
        found = await vipps.find_draft(a_draft(external_id="ours"), NOW)
    assert found is not None
    assert (found.agreement_id, found.confirmation_url) == ("agr_ours", "https://vipps.example/x")
    assert len(wire.calls) == 2


async def test_a_url_that_the_list_does_not_show_is_asked_for() -> None:
    ours = AGREEMENTS["v3"] | {"status": "PENDING", "externalId": "ours"}
    whole = ours | {"vippsConfirmationUrl": "https://vipps.example/x"}
    wire = answering(httpx.Response(200, json=[ours]), httpx.Response(200, json=whole))
    async with provider_of("v3", wire) as vipps:
        found = await vipps.find_draft(a_draft(external_id="ours"), NOW)
    assert found is not None
    assert found.confirmation_url == "https://vipps.example/x"


@pytest.mark.parametrize("external_id", ["OURS", "ours ", "our", "ours-too", None])
async def test_only_the_very_same_external_id_is_ours(external_id: str | None) -> None:
    listed = AGREEMENTS["v3"] | {
        "status": "PENDING",
        "externalId": external_id,
        "vippsConfirmationUrl": "https://vipps.example/x",
    }
    async with provider_of("v3", answering(httpx.Response(200, json=[listed]))) as vipps:
        assert await vipps.find_draft(a_draft(external_id="ours"), NOW) is None
        assert await vipps.find_draft(a_draft(), NOW) is None


# How v3 shows things.


async def test_an_agreement_shows_what_v2_does_not() -> None:
    seen = await agreement_of("v3", externalId="our-own-id", vippsConfirmationUrl="https://vipps.example/x")
    assert (seen.status, seen.price) == (AgreementStatus.ACTIVE, nok(87_600))
    assert seen.created == datetime(2020, 2, 6, 10, 8, 55, tzinfo=UTC)
    assert (seen.external_id, seen.confirmation_url) == ("our-own-id", "https://vipps.example/x")
    assert seen.agreement_url == "https://shop.example/my/1"


async def test_unknown_missing_and_null_fields_are_no_trouble() -> None:
    seen = await agreement_of(
        "v3",
        history=[{"occurred": "2026-01-01T00:00:00Z", "event": "X", "actor": "ADMIN"}],
        paymentMethod={"blockedSources": ["COMMERCIAL_CARDS"]},
        campaign=...,
        productDescription=None,
        start=None,
        status=...,
        created=...,
        countryCode=None,
        merchantAgreementUrl=None,
    )
    assert (seen.product_description, seen.start, seen.status) == ("", None, AgreementStatus.UNKNOWN)
    charge = await charge_of(
        "v3",
        summary={"captured": None, "brandNew": 1},
        history=None,
        type=None,
        transactionId=None,
        description=None,
        due=None,
    )
    assert (charge.kind, charge.captured, charge.refunded, charge.transaction_id) == ("RECURRING", 0, 0, None)
    assert (charge.due, charge.applied, charge.cancelled) == (None, None, 0)


@pytest.mark.parametrize(
    ("interval", "plan"),
    [
        ({"unit": "WEEK", "count": 2, "text": "every 2 weeks"}, Plan(IntervalUnit.WEEK, 2)),
        ({"type": "RECURRING", "period": {"unit": "WEEK", "count": 2}}, Plan(IntervalUnit.WEEK, 2)),
        ({"unit": "DAY"}, Plan(IntervalUnit.DAY, 1)),
        # Paid per use, or by something that nobody has heard of yet: a month stands in for it.
        *((odd, Plan(IntervalUnit.MONTH, 1)) for odd in (None, ..., {}, {"type": "FLEXIBLE"}, {"unit": None})),
        ({"unit": "QUARTER", "count": 1}, Plan(IntervalUnit.MONTH, 1)),
        ({"unit": "DAY", "count": 90}, Plan(IntervalUnit.MONTH, 1)),
    ],
)
async def test_any_interval_is_read(interval: Any, plan: Plan) -> None:
    assert (await agreement_of("v3", interval=interval)).plan == plan


@pytest.mark.parametrize(
    ("pricing", "kind", "price"),
    [
        ({"type": "LEGACY", "currency": "EUR", "amount": 499}, Pricing.LEGACY, Money(499, Currency.EUR)),
        ({"currency": "NOK", "amount": 499}, Pricing.LEGACY, nok(499)),
        ({"type": "FLEXIBLE", "currency": "DKK"}, Pricing.FLEXIBLE, Money(0, Currency.DKK)),
        ({"type": "TIERED", "currency": "NOK", "amount": 499, "tiers": []}, Pricing.FLEXIBLE, nok(499)),
        ({"type": "VARIABLE", "currency": "NOK", "suggestedMaxAmount": 900}, Pricing.VARIABLE, nok(0)),
    ],
)
async def test_any_pricing_is_read(pricing: Any, kind: Pricing, price: Money) -> None:
    seen = await agreement_of("v3", pricing=pricing)
    assert (seen.pricing, seen.price) == (kind, price)


async def test_a_variable_agreement_shows_its_limits() -> None:
    pricing = {"type": "VARIABLE", "currency": "NOK", "suggestedMaxAmount": 200_000, "maxAmount": 150_000}
    seen = await agreement_of("v3", pricing=pricing)
    assert (seen.suggested_max, seen.max_amount) == (nok(200_000), nok(150_000))


@pytest.mark.parametrize("kind", ["PRICE_CAMPAIGN", "LEGACY_CAMPAIGN"])
async def test_campaigns_that_are_a_price_until_a_day_are_read(kind: str) -> None:
    campaign = {"type": kind, "price": 100, "end": "2026-06-01T00:00:00Z", "explanation": "Ordinary price later"}
    seen = await agreement_of("v3", campaign=campaign)
    assert seen.campaign == Campaign(nok(100), datetime(2026, 6, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    "campaign",
    [
        {
            "type": "PERIOD_CAMPAIGN",
            "price": 100,
            "end": "2026-06-01T00:00:00Z",
            "period": {"unit": "WEEK", "count": 4},
        },
        {"type": "EVENT_CAMPAIGN", "price": 100, "eventDate": "2026-12-25T00:00:00Z", "eventText": "Until Christmas"},
        {"type": "FULL_FLEX_CAMPAIGN", "price": 100, "end": "2026-06-01T00:00:00Z", "interval": {}},
        {"type": "MOON_CAMPAIGN", "phase": "full"},
        {"type": "PRICE_CAMPAIGN", "price": 100},
        {},
    ],
)
async def test_other_campaigns_are_shown_as_none(campaign: dict[str, Any]) -> None:
    assert (await agreement_of("v3", campaign=campaign)).campaign is None


async def test_a_summary_is_believed_over_the_status() -> None:
    """Vipps' own sample calls a charge REFUNDED of which 600 of 1000 went back."""
    seen = await charge_of("v3", status="REFUNDED", summary={"captured": 1_000, "refunded": 600, "cancelled": 86_600})
    assert (seen.captured, seen.refunded, seen.cancelled) == (1_000, 600, 86_600)


async def test_history_tells_which_keys_took_effect() -> None:
    history = [
        {"event": "RESERVE", "idempotencyKey": KEY, "success": True, "amount": 1, "occurred": "2026-03-01T00:00:00Z"},
        {"event": "CAPTURE", "idempotencyKey": OTHER_KEY, "success": False},
        {"event": "TELEPORT", "idempotencyKey": THIRD_KEY, "success": True},
        {"event": "REFUND", "success": True},
        {"event": "CANCEL", "idempotencyKey": None, "success": None},
    ]
    assert (await charge_of("v3", history=history)).applied == {KEY, THIRD_KEY}
    assert (await charge_of("v3", history=[])).applied == frozenset()
    assert (await charge_of("v3", history=...)).applied is None


async def test_history_tells_when_the_charge_moved_last() -> None:
    made = {"occurred": "2026-03-09T01:00:00Z", "event": "CREATE", "amount": 1, "success": True}
    taken = {"occurred": "2026-03-04T01:00:00Z", "event": "CAPTURE", "amount": 1, "success": True}
    refused = {"occurred": "2026-03-05T01:00:00Z", "event": "REFUND", "amount": 1, "success": False}
    failed = {"occurred": "2026-03-06T02:00:00+01:00", "event": "FAIL", "amount": 1, "success": False}
    odd = {"occurred": "yesterday", "event": "CAPTURE", "success": True}
    assert (await charge_of("v3", history=[made, refused, odd])).happened_at is None
    assert (await charge_of("v3", history=[taken, made, refused])).happened_at == datetime(2026, 3, 4, 1, tzinfo=UTC)
    assert (await charge_of("v3", history=[taken, failed])).happened_at == datetime(2026, 3, 6, 1, tzinfo=UTC)


async def test_an_unscheduled_charge_is_read() -> None:
    seen = await charge_of("v3", type="UNSCHEDULED", due=..., retryDays=...)
    assert (seen.kind, seen.due) == ("UNSCHEDULED", None)


@pytest.mark.parametrize(
    "over",
    [
        {"pricing": {"type": "LEGACY", "currency": "SEK", "amount": 1}},
        {"pricing": ...},
        {"id": ...},
        {"created": "soon"},
    ],
)
async def test_an_agreement_that_cannot_be_understood_is_unavailable(over: dict[str, Any]) -> None:
    with pytest.raises(Unavailable):
        await agreement_of("v3", **over)


async def test_an_order_id_stands_for_its_charge_whatever_the_due_date(simulator: Simulator, v3: Provider) -> None:
    agreement_id = await active(v3, simulator)
    request = a_charge_request(agreement_id=agreement_id, due=date(2027, 1, 4))
    await v3.create_charge(request, key=KEY)
    assert (await v3.get_charge(agreement_id, request.order_id)).status is ChargeStatus.PENDING


async def test_a_stop_that_is_repeated_late_is_refused_or_done(simulator: Simulator, v3: Provider) -> None:
    """400 until September 2026, 204 from then on."""
    agreement_id = await active(v3, simulator)
    await v3.stop_agreement(agreement_id, key=KEY)
    with pytest.raises(Rejected):
        await v3.stop_agreement(agreement_id, key=OTHER_KEY)
    simulator.knobs.repeated_stop_ok = True
    assert await v3.stop_agreement(agreement_id, key=THIRD_KEY) is Outcome.DONE
