"""What only v2 does: its very bytes, what it has no words for, and how it shows what v3 made."""

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from app.domain.agreement import AgreementChanges, AgreementStatus, Campaign, InitialCharge, Pricing, TransactionType
from app.domain.errors import InvalidInput, OutcomeUnknown, Rejected, Unavailable
from app.domain.money import Currency, Money
from app.domain.plan import IntervalUnit, Plan
from app.vipps.simulator import Simulator
from tests.builders import NOW, a_charge_request, a_draft, nok
from tests.vipps.helpers import (
    AGR,
    KEY,
    OTHER_KEY,
    PHONE,
    Provider,
    Wire,
    active,
    agreement_of,
    answering,
    charge_of,
    initial,
    provider_of,
)

ORDER = "ORD-00000001"
DRAFTED = httpx.Response(201, json={"agreementId": AGR, "vippsConfirmationUrl": "https://vipps.example/x"})


async def sent(call: Any, answer: httpx.Response | None = None) -> bytes:
    """The body that goes over the wire."""
    wire = answering(answer or httpx.Response(200))
    async with provider_of("v2", wire) as vipps:
        await call(vipps)
    return wire.calls[0].content


# A stored write may be repeated by a later release: these bytes must never change.


async def test_a_charge_is_written_like_this() -> None:
    request = a_charge_request(order_id=ORDER, description="Kaffe – mars ☕", external_id="our-own-id")
    body = await sent(lambda v: v.create_charge(request, key=KEY), httpx.Response(201, json={"chargeId": ORDER}))
    assert body.decode() == (
        '{"amount":25000,"currency":"NOK","description":"Kaffe – mars ☕","due":"2026-03-04","retryDays":5,'
        '"orderId":"ORD-00000001"}'
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
        '{"currency":"NOK","interval":"MONTH","intervalCount":1,"price":25000,"productName":"Kaffe hver måned",'
        '"productDescription":"Ferskbrent, 500 g","merchantAgreementUrl":"https://shop.example/my/1",'
        '"merchantRedirectUrl":"https://shop.example/return/1","isApp":false,"customerPhoneNumber":"4791234567",'
        '"campaign":{"campaignPrice":100,"end":"2026-06-01T00:00:00Z"},'
        '"initialCharge":{"amount":9900,"currency":"NOK","description":"First box",'
        '"transactionType":"RESERVE_CAPTURE","orderId":"INITIAL-1"}}'
    )


async def test_a_variable_draft_is_written_like_this() -> None:
    draft = a_draft(price=nok(0), pricing=Pricing.VARIABLE, suggested_max=nok(50_000), product_description="")
    body = await sent(lambda v: v.create_agreement(draft, key=KEY), DRAFTED)
    assert body.decode() == (
        '{"currency":"NOK","interval":"MONTH","intervalCount":1,"price":0,"productName":"Kaffe hver måned",'
        '"productDescription":"","merchantAgreementUrl":"https://shop.example/my/1",'
        '"merchantRedirectUrl":"https://shop.example/return/1","isApp":false,'
        '"variableAmount":{"suggestedMaxAmount":50000}}'
    )


async def test_changes_are_written_like_this() -> None:
    changes = AgreementChanges(nok(30_000), "Te", "", "https://shop.example/my/2", nok(50_000))
    body = await sent(lambda v: v.update_agreement(AGR, changes, key=KEY))
    assert body.decode() == (
        '{"productName":"Te","productDescription":"","merchantAgreementUrl":"https://shop.example/my/2",'
        '"price":30000,"suggestedMaxAmount":50000}'
    )


async def test_a_capture_has_no_body_and_a_refund_is_written_like_this() -> None:
    assert await sent(lambda v: v.capture_charge(AGR, ORDER, nok(25_000), "All", key=KEY)) == b""
    body = await sent(lambda v: v.refund_charge(AGR, ORDER, nok(5_000), "Skadet på veien", key=KEY))
    assert body.decode() == '{"amount":5000,"description":"Skadet på veien"}'


async def test_an_approval_is_written_like_this() -> None:
    assert await sent(lambda v: v.accept_agreement(AGR, PHONE)) == b'{"customerPhoneNumber":"4791234567"}'


# What v2 has no words for.

EUR = Money(500, Currency.EUR)
BEYOND: dict[str, Any] = {
    "a draft in euro": lambda v: v.create_agreement(a_draft(price=EUR), key=KEY),
    "an initial charge in euro": lambda v: v.create_agreement(
        a_draft(initial_charge=InitialCharge(EUR, "First box")), key=KEY
    ),
    "a limit in euro": lambda v: v.create_agreement(
        a_draft(price=nok(0), pricing=Pricing.VARIABLE, suggested_max=EUR), key=KEY
    ),
    "flexible pricing": lambda v: v.create_agreement(a_draft(price=nok(0), pricing=Pricing.FLEXIBLE), key=KEY),
    "a price in euro": lambda v: v.update_agreement(AGR, AgreementChanges(price=EUR), key=KEY),
    "another limit in euro": lambda v: v.update_agreement(AGR, AgreementChanges(suggested_max=EUR), key=KEY),
    "a charge in euro": lambda v: v.create_charge(a_charge_request(amount=EUR), key=KEY),
    "a reserved charge": lambda v: v.create_charge(
        a_charge_request(transaction_type=TransactionType.RESERVE_CAPTURE), key=KEY
    ),
    "a capture in euro": lambda v: v.capture_charge(AGR, ORDER, EUR, "All", key=KEY),
    "a refund in euro": lambda v: v.refund_charge(AGR, ORDER, EUR, "Damaged", key=KEY),
}


@pytest.mark.parametrize("name", list(BEYOND))
async def test_what_v2_cannot_say_is_refused_before_anything_is_sent(name: str) -> None:
    wire = answering(httpx.Response(200))
    async with provider_of("v2", wire) as vipps:
        with pytest.raises(InvalidInput, match="account set --api-version v3") as refused:
            await BEYOND[name](vipps)
    assert refused.value.field
    assert wire.sent == []


def test_there_are_no_batches(v2: Provider) -> None:
    assert v2.batches is None


async def test_a_second_page_is_empty_without_asking(v2: Provider, wire: Wire) -> None:
    assert list((await v2.list_agreements(page=2)).items) == []
    assert wire.sent == []


# How v2 shows things.


async def test_the_agreement_of_2020_is_read() -> None:
    seen = await agreement_of("v2")
    assert (seen.status, seen.price, seen.start) == (
        AgreementStatus.ACTIVE,
        nok(87_600),
        datetime(2020, 2, 6, 10, 10, 7, tzinfo=UTC),
    )
    assert (seen.created, seen.external_id, seen.confirmation_url) == (None, None, None)


async def test_unknown_and_missing_fields_are_no_trouble() -> None:
    seen = await agreement_of(
        "v2",
        history=[{"event": "X"}],
        paymentMethod={"a": 1},
        campaign=...,
        productDescription=None,
        start=None,
        price=None,
    )
    assert (seen.product_description, seen.start, seen.price) == ("", None, nok(0))
    charge = await charge_of(
        "v2", summary={"x": 1}, type=None, amountRefunded=None, transactionId=..., description=None, due=...
    )
    assert (charge.kind, charge.refunded, charge.transaction_id, charge.due) == ("RECURRING", 0, None, None)


async def test_a_variable_agreement_shows_its_limits() -> None:
    seen = await agreement_of("v2", price=0, variableAmount={"suggestedMaxAmount": 200000, "maxAmount": 150000})
    assert (seen.suggested_max, seen.max_amount) == (nok(200_000), nok(150_000))
    fresh = await agreement_of("v2", price=0, variableAmount={"suggestedMaxAmount": 200000})
    assert (fresh.suggested_max, fresh.max_amount) == (nok(200_000), None)
    assert fresh.pricing is Pricing.VARIABLE


async def test_a_charge_does_not_tell_which_keys_took_effect() -> None:
    assert (await charge_of("v2")).applied is None


@pytest.mark.parametrize(
    "over", [{"interval": "QUARTER"}, {"currency": "SEK"}, {"intervalCount": 0}, {"id": ...}, {"price": "a lot"}]
)
async def test_an_agreement_that_cannot_be_understood_is_unavailable(over: dict[str, Any]) -> None:
    with pytest.raises(Unavailable):
        await agreement_of("v2", **over)


async def test_an_agreement_that_only_v3_could_make_is_read(simulator: Simulator, v2: Provider, v3: Provider) -> None:
    """Neither price nor interval nor limit: there is nothing to reckon with, so the last word is Vipps'."""
    agreement_id = await active(v3, simulator, price=nok(0), pricing=Pricing.FLEXIBLE)
    agreement = simulator.agreement(agreement_id)
    agreement.interval = agreement.interval_count = None
    seen = await v2.get_agreement(agreement_id)
    assert (seen.pricing, seen.price, seen.plan) == (Pricing.FLEXIBLE, nok(0), Plan(IntervalUnit.MONTH, 1))


@pytest.mark.parametrize("unknown", ["agr_0000000", "nonsense"])
async def test_an_agreement_that_does_not_exist_is_told_from_a_bad_id(v2: Provider, unknown: str) -> None:
    with pytest.raises(Rejected) as refused:
        await v2.get_agreement(unknown)
    assert refused.value.unknown_object


# Finding a draft again, which v2 has to do without an external id.

OURS = {"agreement_url": "https://app.example/my/our-reference", "external_id": "our-reference"}
LISTED = httpx.Response(
    200,
    json=[
        {
            "id": AGR,
            "status": "PENDING",
            "productName": "Kaffe hver måned",
            "price": 25_000,
            "interval": "MONTH",
            "intervalCount": 1,
            "merchantAgreementUrl": OURS["agreement_url"],
        }
    ],
)


async def test_a_draft_is_known_by_its_initial_charge(v2: Provider) -> None:
    await v2.create_agreement(
        a_draft(initial_charge=initial(TransactionType.DIRECT_CAPTURE, "INITIAL-2")), key=OTHER_KEY
    )
    draft = a_draft(initial_charge=initial(TransactionType.DIRECT_CAPTURE))
    made = await v2.create_agreement(draft, key=KEY)
    assert await v2.find_draft(draft, NOW) == made


async def test_a_draft_is_found_where_vipps_heeds_no_keys_for_drafts(simulator: Simulator, v2: Provider) -> None:
    """As v2 is documented: asking again would make another one (facts: VIPPS 9.1)."""
    assert not simulator.knobs.v2_draft_keys
    simulator.faults.add("reset-after", operation="draftAgreement")
    with pytest.raises(OutcomeUnknown):
        await v2.create_agreement(a_draft(**OURS), key=KEY)
    found = await v2.find_draft(a_draft(**OURS), NOW)
    assert found is not None
    assert [agreement.id for agreement in simulator.agreements] == [found.agreement_id]


async def test_a_draft_is_known_by_our_reference_in_its_url_without_a_look_at_charges(v2: Provider, wire: Wire) -> None:
    draft = a_draft(initial_charge=initial(TransactionType.DIRECT_CAPTURE), **OURS)
    other = a_draft(initial_charge=initial(TransactionType.DIRECT_CAPTURE, "INITIAL-2"))
    await v2.create_agreement(other, key=OTHER_KEY)
    made = await v2.create_agreement(draft, key=KEY)
    before = len(wire.calls)
    assert await v2.find_draft(draft, NOW) == made
    # The list, and v3's view of the one that is ours: v2 shows no confirmation URL.
    assert [request.url.path for request in wire.calls[before:]] == [
        "/recurring/v2/agreements",
        f"/recurring/v3/agreements/{made.agreement_id}",
    ]


async def test_a_url_that_all_customers_share_makes_no_draft_ours(v2: Provider) -> None:
    """A merchant's fixed page: the reference is ours, but nothing at Vipps carries it."""
    await v2.create_agreement(a_draft(external_id="another-reference"), key=KEY)
    assert await v2.find_draft(a_draft(external_id="our-reference"), NOW) is None


@pytest.mark.parametrize(
    "other",
    [{"product_name": "Te"}, {"price": nok(30_000)}, {"plan": Plan(IntervalUnit.WEEK, 1)}],
)
async def test_a_draft_that_says_something_else_is_not_taken_for_ours(v2: Provider, other: dict[str, Any]) -> None:
    await v2.create_agreement(a_draft(**OURS, **other), key=KEY)
    assert await v2.find_draft(a_draft(**OURS), NOW) is None


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(404),
        httpx.Response(403),
        httpx.Response(200, json={"status": "PENDING"}),
        httpx.Response(200, json={"status": "PENDING", "vippsConfirmationUrl": None}),
        httpx.Response(200, json={"status": "ACTIVE", "vippsConfirmationUrl": "https://vipps.example/x"}),
    ],
)
async def test_a_draft_whose_url_is_not_to_be_had_is_as_good_as_none(answer: httpx.Response) -> None:
    async with provider_of("v2", answering(LISTED, answer)) as vipps:
        assert await vipps.find_draft(a_draft(**OURS), NOW) is None


@pytest.mark.parametrize("answer", [httpx.Response(503), httpx.Response(429), httpx.Response(200, content=b"<html>")])
async def test_a_draft_whose_url_cannot_be_had_just_now_is_not_said_to_be_missing(answer: httpx.Response) -> None:
    """Another draft with the same initial charge would be refused, and this one could still be approved."""
    async with provider_of("v2", answering(LISTED, answer)) as vipps:
        with pytest.raises(Unavailable):
            await vipps.find_draft(a_draft(**OURS), NOW)
