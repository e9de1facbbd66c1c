"""What v3 asks of every request: keys, known fields, JSON; and how it says no."""

from typing import Any

import pytest

from app.vipps.simulator import Effect, Simulator
from tests.vipps.simulator.helpers import a_simulator
from tests.vipps.simulator.v3 import (
    AGREEMENTS,
    V3,
    a_v3_caller,
    a_v3_charge,
    a_v3_draft,
    an_active_v3_agreement,
    fields_of,
    problem_of,
)


def effects(simulator: Simulator, effect: Effect) -> int:
    return sum(entry.effect is effect for entry in simulator.ledger)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", ""),
        ("PATCH", "/agr_1"),
        ("PATCH", "/agr_1/accept"),
        ("POST", "/charges"),
        ("POST", "/agr_1/charges"),
        ("DELETE", "/agr_1/charges/1"),
        ("POST", "/agr_1/charges/1/capture"),
        ("POST", "/agr_1/charges/1/refund"),
    ],
)
@pytest.mark.parametrize("key", [None, "x" * 41, "a:b"])
async def test_every_write_needs_a_good_key(v3: V3, method: str, path: str, key: str | None) -> None:
    response = await v3.send(method, path, None if method == "DELETE" else {}, key=key)

    assert (problem_of(response), fields_of(response)) == ((400, "idempotency-key-header"), {"Idempotency-Key"})


async def test_the_misspelled_header_of_v2_does_not_count(v3: V3) -> None:
    headers = v3.headers() | {"Idempotent-Key": "old-1"}

    response = await v3.http.post(AGREEMENTS, json=a_v3_draft(), headers=headers)

    assert problem_of(response) == (400, "idempotency-key-header")


async def test_a_repeated_draft_is_the_same_draft(simulator: Simulator, v3: V3) -> None:
    drafts = [await v3.send("POST", "", a_v3_draft(), key="same") for _ in range(3)]

    assert {draft.status_code for draft in drafts} == {201}
    assert len({draft.content for draft in drafts}) == 1
    assert effects(simulator, Effect.DRAFT) == 1


async def test_repetitions_of_other_writes_have_one_effect(simulator: Simulator, v3: V3) -> None:
    agreement_id = await an_active_v3_agreement(simulator, v3)
    path = f"/{agreement_id}/charges"

    created = [await v3.send("POST", path, a_v3_charge(orderId="order-1"), key="c") for _ in range(2)]
    cancelled = [await v3.send("DELETE", path + "/order-1", key="d") for _ in range(2)]
    stopped = [await v3.send("PATCH", f"/{agreement_id}", {"status": "STOPPED"}, key="s") for _ in range(2)]

    assert created[0].content == created[1].content
    assert {answer.status_code for answer in (*cancelled, *stopped)} == {204}
    assert [effects(simulator, effect) for effect in (Effect.CREATE, Effect.CANCEL, Effect.STOP)] == [1, 1, 1]


async def test_the_same_key_with_another_body_is_a_conflict(simulator: Simulator, v3: V3) -> None:
    await v3.send("POST", "", a_v3_draft(), key="same")

    response = await v3.send("POST", "", a_v3_draft(productName="Te"), key="same")

    assert problem_of(response) == (409, "idempotency-conflict")
    assert effects(simulator, Effect.DRAFT) == 1


async def test_a_refusal_stays_with_its_key(simulator: Simulator, v3: V3) -> None:
    agreement_id = await v3.drafted()
    path = f"/{agreement_id}/charges"
    refused = await v3.send("POST", path, a_v3_charge(), key="early")
    simulator.approve(agreement_id)

    same_key, new_key = [await v3.send("POST", path, a_v3_charge(), key=key) for key in ("early", "later")]

    assert (refused.status_code, same_key.content, new_key.status_code) == (400, refused.content, 201)


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({"currency": "NOK", "price": 500}, {"currency", "price"}),
        ({"interval": {"unit": "MONTH", "count": 1, "text": "every month"}}, {"interval.text"}),
        (
            {"campaign": {"type": "PRICE_CAMPAIGN", "price": 1, "end": "2027-01-01T00:00:00Z", "start": "x"}},
            {"campaign.start"},
        ),
    ],
)
async def test_unknown_fields_are_refused_unless_a_knob_is_turned(
    simulator: Simulator, v3: V3, changes: dict[str, Any], fields: set[str]
) -> None:
    refused = await v3.write("POST", "", a_v3_draft(**changes))
    simulator.knobs.strict_fields = False
    taken = await v3.write("POST", "", a_v3_draft(**changes))

    assert (problem_of(refused), fields_of(refused)) == ((400, "validation-error"), fields)
    assert taken.status_code == 201


async def test_a_problem_says_what_where_and_which(v3: V3) -> None:
    response = await v3.write("POST", "", a_v3_draft(productName="", productDescription=7))

    body = response.json()
    assert {name: body[name] for name in ("title", "detail", "instance")} == {
        "title": "Bad Request",
        "detail": "Input validation failed",
        "instance": "/vipps-recurring-merchant-api/v3/agreements",
    }
    assert body["contextId"]
    assert fields_of(response) == {"productName", "productDescription"}
    assert all(detail["reason"] for detail in body["extraDetails"])


async def test_unknown_and_malformed_ids(v3: V3) -> None:
    unknown, malformed = await v3.send("GET", "/agr_unknown"), await v3.send("GET", "/unknown")

    assert unknown.headers["content-type"] == "application/problem+json"
    body = unknown.json()
    assert (body["type"], body["status"], body["detail"]) == ("about:blank", 404, "Agreement not found.")
    assert body["instance"] == "/vipps-recurring-merchant-api/v3/agreements/agr_unknown"
    assert problem_of(malformed) == (400, "invalid-agreement-id")


async def test_bodies_must_be_json_and_say_so(v3: V3) -> None:
    headers = v3.headers("a")

    plain = await v3.http.post(AGREEMENTS, content=b"{}", headers=headers | {"Content-Type": "text/plain"})
    broken = await v3.http.post(AGREEMENTS, content=b"{", headers=headers | {"Content-Type": "application/json"})

    assert (problem_of(plain), problem_of(broken)) == ((415, "unsupported-media-type"), (400, "invalid-json"))


async def test_a_stranger_is_turned_away_in_azures_words(v3: V3) -> None:
    response = await v3.http.get(AGREEMENTS)

    assert (response.status_code, response.json()["responseInfo"]["responseCode"]) == (401, 401)


async def test_faults_answer_in_the_format_of_the_version(simulator: Simulator, v3: V3) -> None:
    simulator.faults.add("status", status=500, operation="listAgreements")
    simulator.faults.add("status", status=429, operation="listAgreements", retry_after="7")

    error, limited = await v3.send("GET", ""), await v3.send("GET", "")

    assert (error.status_code, error.json()["title"]) == (500, "Internal Server Error")
    assert (limited.status_code, limited.content, limited.headers["retry-after"]) == (429, b"", "7")


async def test_both_versions_use_up_the_same_limits() -> None:
    simulator = a_simulator(rate_limits_on=True)
    v3 = await a_v3_caller(simulator)
    v2_list = "/recurring/v2/agreements"

    seen = [(await v3.send("GET", "")).status_code for _ in range(3)]
    seen += [(await v3.http.get(v2_list, headers=v3.headers())).status_code for _ in range(3)]

    assert seen == [200] * 5 + [429]


async def test_looking_charges_up_is_limited_for_the_merchant() -> None:
    simulator = a_simulator(rate_limits_on=True)
    v3 = await a_v3_caller(simulator)

    seen = [(await v3.http.get(f"/recurring/v3/charges/{n}", headers=v3.headers())).status_code for n in range(101)]

    assert seen == [404] * 100 + [429]


async def test_a_batch_counts_as_many_creations_as_it_has_items() -> None:
    simulator = a_simulator(rate_limits_on=True)
    v3 = await a_v3_caller(simulator)
    agreement_id = await an_active_v3_agreement(simulator, v3)

    first = await v3.write("POST", "/charges", [{}] * 499)
    too_many = await v3.write("POST", "/charges", [{}] * 2)
    await v3.charged(agreement_id, amount=100)
    single = await v3.write("POST", f"/{agreement_id}/charges", a_v3_charge(amount=100))

    assert [answer.status_code for answer in (first, too_many, single)] == [202, 429, 429]
    assert (too_many.headers["retry-after"], single.headers["retry-after"]) == ("60", "60")
