"""Agreements as v3 drafts, shows, changes, stops and lists them."""

from datetime import timedelta
from typing import Any

import pytest

from app.vipps.simulator import DEFAULT_MERCHANT, Effect, Simulator
from tests.vipps.simulator.helpers import a_simulator
from tests.vipps.simulator.v3 import (
    DANISH,
    FINNISH,
    V3,
    a_v3_caller,
    a_v3_charge,
    a_v3_draft,
    a_v3_initial_charge,
    an_active_v3_agreement,
    fields_of,
    problem_of,
)

VARIABLE = {"type": "VARIABLE", "currency": "NOK", "suggestedMaxAmount": 50_000}


async def test_a_draft_waits_for_the_user(simulator: Simulator, v3: V3) -> None:
    response = await v3.write("POST", "", a_v3_draft(externalId="sub-17", initialCharge=a_v3_initial_charge()))

    body = response.json()
    assert response.status_code == 201
    assert set(body) == {"agreementId", "uuid", "vippsConfirmationUrl", "chargeId"}
    assert body["chargeId"].startswith("chr-")
    view = await v3.agreement(body["agreementId"])
    assert (view["status"], view["start"], view["stop"]) == ("PENDING", None, None)
    assert (view["created"], view["uuid"], view["externalId"]) == ("2026-03-10T12:00:00Z", body["uuid"], "sub-17")
    assert view["pricing"] == {"type": "LEGACY", "currency": "NOK", "amount": 25_000}
    assert view["interval"] == {"unit": "MONTH", "count": 1, "text": "every month"}
    assert view["vippsConfirmationUrl"] == body["vippsConfirmationUrl"]
    assert view["merchantRedirectUrl"] == "https://shop.example.com/return/1"
    assert [entry.effect for entry in simulator.ledger] == ["draft"]


async def test_pricing_is_legacy_unless_said_otherwise(simulator: Simulator, v3: V3) -> None:
    plain = await v3.drafted(pricing={"currency": "NOK", "amount": 500})
    variable = await v3.drafted(pricing=VARIABLE)
    flexible = await v3.drafted(pricing={"type": "FLEXIBLE", "currency": "NOK"}, interval=...)

    assert (await v3.agreement(plain))["pricing"]["type"] == "LEGACY"
    assert (await v3.agreement(variable))["pricing"] == VARIABLE
    simulator.approve(variable, max_amount=60_000)
    assert (await v3.agreement(variable))["pricing"] == VARIABLE | {"maxAmount": 60_000}
    view = await v3.agreement(flexible)
    assert (view["pricing"], view["interval"]) == ({"type": "FLEXIBLE", "currency": "NOK"}, None)


@pytest.mark.parametrize(
    ("pricing", "field"),
    [
        ({"currency": "NOK"}, "pricing.amount"),
        ({"currency": "NOK", "amount": 99}, "pricing.amount"),
        ({"currency": "NOK", "amount": 500, "suggestedMaxAmount": 500}, "pricing.suggestedMaxAmount"),
        ({"type": "VARIABLE", "currency": "NOK"}, "pricing.suggestedMaxAmount"),
        (VARIABLE | {"amount": 500}, "pricing.amount"),
        (VARIABLE | {"suggestedMaxAmount": 2_000_001}, "pricing.suggestedMaxAmount"),
        ({"type": "FLEXIBLE", "currency": "NOK", "amount": 500}, "pricing.amount"),
        ({"type": "FREE", "currency": "NOK"}, "pricing.type"),
        ({"currency": "SEK", "amount": 500}, "pricing.currency"),
        ({"currency": "DKK", "amount": 500}, "pricing.currency"),
        ({"amount": 500}, "pricing.currency"),
    ],
)
async def test_pricing_that_does_not_fit_is_refused(
    simulator: Simulator, v3: V3, pricing: dict[str, Any], field: str
) -> None:
    response = await v3.write("POST", "", a_v3_draft(pricing=pricing))

    assert response.status_code == 400
    assert fields_of(response) == {field}
    assert simulator.ledger == []


@pytest.mark.parametrize(
    ("merchant", "country", "highest"), [(DANISH, "DK", 30_000_000), (FINNISH, "FI", 200_000)], ids=["DKK", "EUR"]
)
async def test_each_market_has_its_currency_and_its_numbers(merchant: Any, country: str, highest: int) -> None:
    simulator = a_simulator(merchants=(DEFAULT_MERCHANT, merchant))
    v3 = await a_v3_caller(simulator, merchant)
    currency = merchant.currency
    variable = {"type": "VARIABLE", "currency": currency}

    agreement_id = await an_active_v3_agreement(simulator, v3, pricing={"currency": currency, "amount": 1})
    await v3.charged(agreement_id, amount=1)
    foreign = await v3.write("POST", "", a_v3_draft())
    too_high = await v3.write("POST", "", a_v3_draft(pricing=variable | {"suggestedMaxAmount": highest + 1}))

    view = await v3.agreement(agreement_id)
    assert (view["countryCode"], view["pricing"]["currency"]) == (country, currency)
    assert (problem_of(foreign), fields_of(foreign)) == ((400, "validation-error"), {"pricing.currency"})
    assert problem_of(too_high) == (400, "invalid-suggested-max-amount")
    assert await v3.drafted(pricing=variable | {"suggestedMaxAmount": highest})


@pytest.mark.parametrize(
    ("campaign", "shown"),
    [
        (
            {"type": "PRICE_CAMPAIGN", "price": 100, "end": "2026-06-01T00:00:00Z"},
            {"end": "2026-06-01T00:00:00Z"},
        ),
        (
            {"type": "PERIOD_CAMPAIGN", "price": 100, "period": {"unit": "WEEK", "count": 2}},
            {"end": "2026-03-24T12:00:00Z", "period": {"unit": "WEEK", "count": 2}},
        ),
        (
            {"type": "PERIOD_CAMPAIGN", "price": 100, "period": {"unit": "YEAR", "count": 1}},
            {"end": "2027-03-10T12:00:00Z"},
        ),
        (
            {"type": "EVENT_CAMPAIGN", "price": 100, "eventDate": "2026-12-24T00:00:00Z", "eventText": "jul"},
            {"eventDate": "2026-12-24T00:00:00Z", "eventText": "jul"},
        ),
    ],
)
async def test_campaigns_have_types(v3: V3, campaign: Any, shown: dict[str, Any]) -> None:
    view = (await v3.agreement(await v3.drafted(campaign=campaign)))["campaign"]

    assert (view["type"], view["price"]) == (campaign["type"], 100)
    assert shown.items() <= view.items()
    assert view["explanation"]


@pytest.mark.parametrize(
    ("changes", "problem", "field"),
    [
        ({"campaign": {"type": "PRICE_CAMPAIGN", "price": 1}}, (400, "validation-error"), "campaign.end"),
        (
            {"campaign": {"type": "EVENT_CAMPAIGN", "price": 1, "eventDate": "2026-03-10T12:00:00Z", "eventText": "x"}},
            (400, "validation-error"),
            "campaign.eventDate",
        ),
        (
            {"campaign": {"type": "PERIOD_CAMPAIGN", "price": 1, "period": {"unit": "DAY", "count": 1}}}
            | {"pricing": VARIABLE},
            (400, "validation-error"),
            "campaign",
        ),
        (
            {"campaign": {"type": "FULL_FLEX_CAMPAIGN", "price": 1, "interval": {"unit": "DAY", "count": 1}}},
            (400, "validation-error"),
            "campaign.end",
        ),
        (
            {
                "campaign": {
                    "type": "FULL_FLEX_CAMPAIGN",
                    "price": 1,
                    "interval": {"unit": "DAY", "count": 1},
                    "end": "2027-01-01T00:00:00Z",
                }
            },
            (403, "unsupported-feature"),
            "campaign.type",
        ),
        ({"skipLandingPage": True}, (403, "unsupported-feature"), "skipLandingPage"),
        ({"merchantAgreementUrl": "http://shop.example.com/my"}, (400, "validation-error"), "merchantAgreementUrl"),
        ({"merchantRedirectUrl": "/return"}, (400, "validation-error"), "merchantRedirectUrl"),
        ({"interval": {"unit": "MONTH", "count": 32}}, (400, "validation-error"), "interval.count"),
        ({"externalId": "x" * 65}, (400, "validation-error"), "externalId"),
        ({"countryCode": "SE"}, (400, "validation-error"), "countryCode"),
        ({"initialCharge": {"amount": 1, "description": "x"}}, (400, "validation-error"), "initialCharge"),
    ],
)
async def test_a_draft_that_is_not_allowed_makes_nothing(
    simulator: Simulator, v3: V3, changes: dict[str, Any], problem: tuple[int, str], field: str
) -> None:
    response = await v3.write("POST", "", a_v3_draft(**changes))

    assert problem_of(response) == problem
    assert {name.partition(".transactionType")[0] for name in fields_of(response)} == {field}
    assert simulator.ledger == []


async def test_a_phone_number_matters_only_without_a_landing_page() -> None:
    v3 = await a_v3_caller(a_simulator(allow_skip_landing_page=True))

    assert (await v3.write("POST", "", a_v3_draft(phoneNumber="+47 912"))).status_code == 201
    refused = await v3.write("POST", "", a_v3_draft(phoneNumber="+47 912", skipLandingPage=True))

    assert (problem_of(refused), fields_of(refused)) == ((400, "validation-error"), {"phoneNumber"})


async def test_an_active_agreement_can_be_changed(simulator: Simulator, v3: V3) -> None:
    agreement_id = await an_active_v3_agreement(simulator, v3)
    change = {"productName": "Te", "externalId": "sub-18", "pricing": {"amount": 30_000}}
    period = {"type": "RECURRING", "period": {"unit": "WEEK", "count": 2}}

    response = await v3.write("PATCH", f"/{agreement_id}", change | {"interval": period})

    assert (response.status_code, response.content) == (204, b"")
    view = await v3.agreement(agreement_id)
    assert (view["productName"], view["externalId"], view["pricing"]["amount"]) == ("Te", "sub-18", 30_000)
    assert view["interval"] == {"unit": "WEEK", "count": 2, "text": "every 2 weeks"}
    assert simulator.ledger[-1].effect == "update"


async def test_a_shorter_interval_counts_anew(simulator: Simulator, v3: V3) -> None:
    agreement_id = await an_active_v3_agreement(simulator, v3)
    for due in ("2026-03-12", "2026-03-26"):
        await v3.charged(agreement_id, amount=60_000, due=due)
    full = await v3.write("POST", f"/{agreement_id}/charges", a_v3_charge(amount=60_000, due="2026-03-27"))

    await v3.write("PATCH", f"/{agreement_id}", {"interval": {"period": {"unit": "WEEK", "count": 1}}})

    assert problem_of(full) == (400, "charge-amount-too-high")
    assert await v3.charged(agreement_id, amount=60_000, due="2026-03-27")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"status": "STOPPED", "productName": "x"}, "illegal-agreement-update"),
        ({"status": "ACTIVE"}, "validation-error"),
        ({"pricing": {"suggestedMaxAmount": 500}}, "invalid-suggested-max-amount"),
        ({"pricing": {"amount": 99}}, "validation-error"),
        ({"pricing": {"type": "VARIABLE"}}, "validation-error"),
        ({"interval": {"type": "RECURRING"}}, "validation-error"),
        ({"campaign": {"type": "PRICE_CAMPAIGN", "price": 1, "end": "2027-01-01T00:00:00Z"}}, "validation-error"),
        ({"productName": ""}, "validation-error"),
    ],
)
async def test_a_change_that_is_not_allowed_changes_nothing(
    simulator: Simulator, v3: V3, change: dict[str, Any], problem: str
) -> None:
    agreement_id = await an_active_v3_agreement(simulator, v3)
    before = await v3.agreement(agreement_id)

    response = await v3.write("PATCH", f"/{agreement_id}", change)

    assert problem_of(response) == (400, problem)
    assert await v3.agreement(agreement_id) == before


@pytest.mark.parametrize("state", ["PENDING", "STOPPED", "EXPIRED"])
@pytest.mark.parametrize("change", [{"productName": "New"}, {"status": "STOPPED"}])
async def test_only_an_active_agreement_can_be_changed(
    simulator: Simulator, v3: V3, state: str, change: dict[str, str]
) -> None:
    agreement_id = await v3.drafted()
    if state == "STOPPED":
        simulator.reject(agreement_id)
    if state == "EXPIRED":
        simulator.advance(timedelta(minutes=10))

    response = await v3.write("PATCH", f"/{agreement_id}", change)

    assert problem_of(response) == (400, "illegal-agreement-update")
    assert response.json()["title"] == "Illegal update"


async def test_stopping_what_is_stopped_is_refused_or_taken_by_a_knob(simulator: Simulator, v3: V3) -> None:
    agreement_id = await an_active_v3_agreement(simulator, v3)
    stop = {"status": "STOPPED"}

    before = [(await v3.write("PATCH", f"/{agreement_id}", stop)).status_code for _ in range(2)]
    simulator.knobs.repeated_stop_ok = True
    after = await v3.write("PATCH", f"/{agreement_id}", stop)

    assert (before, after.status_code) == ([204, 400], 204)
    assert [entry.effect for entry in simulator.ledger].count(Effect.STOP) == 1


async def test_force_accept_works_once(v3: V3) -> None:
    agreement_id = await v3.drafted()
    answers = [await v3.write("PATCH", f"/{agreement_id}/accept", {"phoneNumber": "4791234567"}) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [204, 400]
    assert (await v3.agreement(agreement_id))["status"] == "ACTIVE"


async def test_lists_come_in_pages(simulator: Simulator, v3: V3) -> None:
    drafted = [await v3.drafted() for _ in range(5)]

    async def page(query: str) -> list[str]:
        return [item["id"] for item in (await v3.send("GET", "?status=PENDING" + query)).json()]

    assert await page("") == drafted
    assert await page("&pageSize=2") == drafted[:2]
    assert await page("&pageSize=2&pageNumber=3") == drafted[4:]
    assert await page("&pageNumber=2") == []
    assert (await v3.send("GET", "")).json() == []
    before = int(simulator.clock.now().timestamp() * 1000) - 1
    assert await page(f"&createdAfter={before}&pageSize=2000") == drafted


@pytest.mark.parametrize("query", ["pageNumber=0", "pageNumber=-1", "pageSize=2001", "pageSize=", "status=SLEEPING"])
async def test_a_query_that_makes_no_sense_is_400(v3: V3, query: str) -> None:
    response = await v3.send("GET", f"?{query}")

    assert (problem_of(response), fields_of(response)) == ((400, "validation-error"), {query.partition("=")[0]})
