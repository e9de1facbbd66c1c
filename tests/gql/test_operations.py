"""Each operation of the GraphQL extension: what it does, and that every item of a batch is answered in order."""

import asyncio
import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.domain.account import Scope
from app.vipps.simulator.models import AgreementStatus
from tests.gql.helpers import (
    AGREEMENT_CANCEL,
    AGREEMENT_UPDATE,
    CHARGE_MAKE,
    CHARGES,
    ask,
    made,
    moving,
    post,
)
from tests.web.helpers import foreign_agreement, nothing_happens, nothing_is_written_to_vipps, writes
from tests.world import AGREEMENT_CREATE, World, bearer

DRAFT: dict[str, Any] = {
    "price": 25_000,
    "productName": "Coffee",
    "interval": {"unit": "MONTH", "count": 1},
    "redirectUrl": "https://shop.example/thanks",
}
LIST = """
query ($first: Int, $after: String, $last: Int, $before: String, $filter: AgreementFilter, $sort: AgreementSort) {
  agreements(first: $first, after: $after, last: $last, before: $before, filter: $filter, sort: $sort) {
    totalCount
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
    edges { cursor node { id status created } }
  }
}
"""


def agree(found: dict[str, Any], size: int) -> None:
    """The three views of one batch tell the same story, in order."""
    results = found["results"]
    assert [it["index"] for it in results] == list(range(size))
    assert found["successes"] == [it["id"] for it in results if it["success"]]
    assert [(it["index"], it["code"]) for it in found["errors"]] == [
        (it["index"], it["error"]["code"]) for it in results if not it["success"]
    ]
    for error in found["errors"]:
        assert error["message"]
        assert results[error["index"]]["id"] == error["id"]


async def batch(world: World, query: str, variables: dict[str, Any], headers: dict[str, str]) -> dict[str, Any]:
    answer = await ask(world, query, variables, headers)
    assert "errors" not in answer, answer
    [found] = answer["data"].values()
    result: dict[str, Any] = found
    size = len(next(iter(variables.values())))
    agree(result, size)
    return result


# Agreements


async def test_an_agreement_is_drafted_and_its_confirmation_url_answered(one_world: World) -> None:
    headers = await one_world.client()
    answer = await ask(one_world, AGREEMENT_CREATE, {"input": DRAFT}, headers)
    created = answer["data"]["agreementCreate"]
    assert created["errors"] == []
    assert created["agreement"]["status"] == "PENDING"
    assert created["confirmationUrl"].startswith("https://vipps.example/")
    [drafted] = one_world.effects("draft")
    assert drafted.agreement_id == created["agreement"]["id"]


async def test_an_agreement_is_read_from_vipps_now(one_world: World) -> None:
    headers = await one_world.client()
    agreement = await one_world.agreement(headers, productDescription="Every month", customerId="VXNlcjo0Ng==")
    query = """
    query ($id: ID!) {
      agreement(id: $id) {
        id status productName productDescription price { minor amount currency } interval { unit count }
        customerId confirmationUrl environment stop
      }
    }
    """
    answer = await ask(one_world, query, {"id": agreement}, headers)
    assert answer["data"]["agreement"] == {
        "id": agreement,
        "status": "ACTIVE",
        "productName": "Coffee",
        "productDescription": "Every month",
        "price": {"minor": 25_000, "amount": "250.00", "currency": "NOK"},
        "interval": {"unit": "MONTH", "count": 1},
        "customerId": "VXNlcjo0Ng==",
        "confirmationUrl": None,
        "environment": "test",
        "stop": None,
    }
    one_world.vipps.stop_in_app(agreement)
    assert (await ask(one_world, query, {"id": agreement}, headers))["data"]["agreement"]["status"] == "STOPPED"


async def test_an_unknown_agreement_or_charge_is_null(one_world: World) -> None:
    headers = await one_world.client()
    agreement = await one_world.agreement(headers)
    query = """
    query ($id: ID!) { agreement(id: "agr_unknown") { id } charge(agreementId: $id, chargeId: "chr-unknown") { id } }
    """
    assert await ask(one_world, query, {"id": agreement}, headers) == {"data": {"agreement": None, "charge": None}}


async def test_an_agreement_that_another_program_made_works_for_machines_and_staff(one_world: World) -> None:
    foreign_agreement(one_world, "agr_UVUFcx31")
    staff = one_world.saleor.create_staff(permissions={"HANDLE_PAYMENTS"})
    headers = bearer(one_world.saleor.tokens.dashboard(staff, one_world.saleor.apps[0]))
    charge = {"agreementId": "agr_UVUFcx31", "price": 1000, "description": "x"}
    found = await batch(one_world, CHARGE_MAKE, {"charges": [charge]}, headers)
    assert len(found["successes"]) == 1


BAD_DRAFTS: list[tuple[dict[str, Any], str]] = [
    ({"price": 0}, "price"),
    ({"price": -1}, "price"),
    ({"price": 99}, "price"),
    ({"productName": ""}, "productName"),
    ({"productName": "x" * 46}, "productName"),
    ({"productDescription": "x" * 101}, "productDescription"),
    ({"redirectUrl": "javascript:alert(1)"}, "redirectUrl"),
    ({"redirectUrl": "shop.example"}, "redirectUrl"),
    ({"redirectUrl": "https://shop.example/" + "x" * 2000}, "redirectUrl"),
    ({"merchantAgreementUrl": "myapp://x"}, "merchantAgreementUrl"),
    ({"interval": {"unit": "MONTH", "count": 0}}, "intervalCount"),
    ({"interval": {"unit": "MONTH", "count": 32}}, "intervalCount"),
    ({"currency": "XXX"}, "currency"),
    ({"currency": ""}, "currency"),
    ({"phoneNumber": "+47 400 00 000"}, "phoneNumber"),
    ({"initialCharge": {"price": 0, "description": "x"}}, "initialCharge.price"),
    ({"initialCharge": {"price": 1000, "description": ""}}, "initialCharge.description"),
    ({"campaign": {"price": 100, "end": "2020-01-01T00:00:00Z"}}, "campaign.end"),
    ({"campaign": {"price": 100, "end": "2027-01-01T00:00:00"}}, "campaign.end"),
]


async def test_a_draft_that_vipps_would_refuse_names_field_and_remedy_and_is_not_sent(one_world: World) -> None:
    headers = await one_world.client()
    seen = {}
    async with nothing_happens(one_world):
        for over, field in BAD_DRAFTS:
            answer = await ask(one_world, AGREEMENT_CREATE, {"input": DRAFT | over}, headers)
            created = (answer["data"] or {}).get("agreementCreate") or {"errors": answer["errors"], "agreement": None}
            assert created["agreement"] is None
            [error] = created["errors"]
            if (error.get("code"), error.get("field")) != ("INVALID", field):
                seen[str(over)[:70]] = error
    one_world.unforeseen.clear()
    assert seen == {}


TOO_MUCH_FOR_A_COLUMN: list[dict[str, Any]] = [
    {"customerId": "x" * 300},
    {"orderId": "x" * 300},
    {"customerId": "a\x00b"},
    {"productName": "a\x00b"},
    {"productName": "a\ud800"},
    {"productDescription": "a\x00b"},
    {"channel": "x" * 300},
    {"channel": "a\x00b"},
]


async def test_texts_that_a_database_cannot_hold_are_refused_and_not_a_mistake_of_ours(world: World) -> None:
    headers = await world.client()
    crashed = []
    for over in TOO_MUCH_FOR_A_COLUMN:
        answer = await post(world, {"query": AGREEMENT_CREATE, "variables": {"input": DRAFT | over}}, headers)
        if answer.status_code != 200 or "An internal error" in answer.text or world.unforeseen:
            crashed.append(str(over)[:40])
        world.unforeseen.clear()
    assert crashed == []


async def test_an_agreement_changes_only_in_what_is_given(one_world: World) -> None:
    headers = await one_world.client()
    agreement = await one_world.agreement(headers, productDescription="Every month")
    answer = await ask(one_world, AGREEMENT_UPDATE, {"id": agreement, "input": {"price": 30_000}}, headers)
    changed = answer["data"]["agreementUpdate"]
    assert changed["errors"] == []
    expected = {"productName": "Coffee", "productDescription": "Every month", "price": {"minor": 30_000}}
    assert changed["agreement"] == {"id": agreement} | expected
    assert (one_world.vipps.agreement(agreement).price, one_world.vipps.agreement(agreement).product_name) == (
        30_000,
        "Coffee",
    )


async def test_an_update_that_cannot_be_done_says_why_and_is_not_sent(one_world: World) -> None:
    headers = await one_world.client()
    agreement = await one_world.agreement(headers)
    pending = await one_world.agreement(headers, approve=False)
    cases: list[tuple[str, dict[str, Any], str, str | None]] = [
        (agreement, {}, "INVALID", "input"),
        (agreement, {"price": 0}, "INVALID", "price"),
        (agreement, {"productName": "x" * 46}, "INVALID", "productName"),
        (agreement, {"merchantAgreementUrl": "x"}, "INVALID", "merchantAgreementUrl"),
        (pending, {"price": 1000}, "ILLEGAL_STATE", None),
        ("agr_unknown", {"price": 1000}, "NOT_FOUND", "id"),
        ("not an id", {"price": 1000}, "INVALID", "id"),
    ]
    seen = []
    async with nothing_is_written_to_vipps(one_world):
        for agreement_id, change, code, field in cases:
            answer = await ask(one_world, AGREEMENT_UPDATE, {"id": agreement_id, "input": change}, headers)
            [error] = answer["data"]["agreementUpdate"]["errors"]
            if error["code"] != code or (field is not None and error["field"] != field):
                seen.append((agreement_id, change, error))
    assert seen == []


async def test_agreements_are_stopped_each_with_its_answer(one_world: World) -> None:
    headers = await one_world.client()
    first, second = await one_world.agreement(headers), await one_world.agreement(headers)
    pending = await one_world.agreement(headers, approve=False)
    ids = [first, "agr_unknown", pending, second, first, "no id"]

    found = await batch(one_world, AGREEMENT_CANCEL, {"ids": ids}, headers)

    assert found["successes"] == [first, second]
    assert [(it["index"], it["id"], it["code"]) for it in found["errors"]] == [
        (1, "agr_unknown", "NOT_FOUND"),
        (2, pending, "ILLEGAL_STATE"),
        (4, first, "DUPLICATE"),
        (5, "no id", "INVALID"),
    ]
    assert sorted(it.agreement_id for it in one_world.effects("stop")) == sorted([first, second])


# Paging


async def _pages(world: World, headers: dict[str, str]) -> list[str]:
    """Seven agreements, the newest first."""
    ids = []
    for number in range(7):
        ids.append(await world.agreement(headers, approve=number % 2 == 0))
        if number % 3 == 0:
            world.advance(timedelta(seconds=1))  # some share their moment: the id decides
    answer = await ask(world, LIST, {"first": 100}, headers)
    found = [edge["node"]["id"] for edge in answer["data"]["agreements"]["edges"]]
    assert sorted(found) == sorted(ids)
    created = [edge["node"]["created"] for edge in answer["data"]["agreements"]["edges"]]
    assert created == sorted(created, reverse=True)
    return found


async def _page(world: World, headers: dict[str, str], **variables: Any) -> tuple[list[str], dict[str, Any]]:
    answer = await ask(world, LIST, variables, headers)
    connection = answer["data"]["agreements"]
    assert connection["totalCount"] == 7
    edges = connection["edges"]
    info = connection["pageInfo"]
    assert (info["startCursor"], info["endCursor"]) == (
        (edges[0]["cursor"], edges[-1]["cursor"]) if edges else (None, None)
    )
    return [edge["node"]["id"] for edge in edges], info


async def test_pages_forwards_and_backwards_hold_everything_once(world: World) -> None:
    headers = await world.client()
    everything = await _pages(world, headers)

    forwards: list[str] = []
    cursor, more = None, True
    while more:
        ids, info = await _page(world, headers, first=3, after=cursor)
        assert info["hasPreviousPage"] is (cursor is not None)
        forwards += ids
        cursor, more = info["endCursor"], info["hasNextPage"]
    assert forwards == everything

    backwards: list[str] = []
    cursor, more = None, True
    while more:
        ids, info = await _page(world, headers, last=3, before=cursor)
        assert info["hasNextPage"] is (cursor is not None)
        backwards = ids + backwards
        cursor, more = info["startCursor"], info["hasPreviousPage"]
    assert backwards == everything

    oldest, _ = await _page(world, headers, first=7, sort={"direction": "ASC"})
    assert oldest == everything[::-1]
    ids, info = await _page(world, headers, first=7)
    assert (ids, info["hasNextPage"]) == (everything, False)
    ids, info = await _page(world, headers, first=3, after=info["endCursor"])
    assert (ids, info["hasNextPage"], info["endCursor"]) == ([], False, None)


async def test_a_page_without_a_size_has_twenty_at_most(one_world: World) -> None:
    headers = await one_world.client()
    for _ in range(21):
        await one_world.agreement(headers, approve=False)
    connection = (await ask(one_world, LIST, {}, headers))["data"]["agreements"]
    assert (len(connection["edges"]), connection["totalCount"]) == (20, 21)


async def test_filters_choose_by_status_customer_and_time(world: World) -> None:
    headers = await world.client()
    mine = await world.agreement(headers, customerId="VXNlcjox")
    world.advance(timedelta(minutes=1))
    since = world.time.now.isoformat()
    pending = await world.agreement(headers, approve=False)
    await ask(world, "query ($id: ID!) { agreement(id: $id) { id } }", {"id": mine}, headers)
    cases: list[tuple[dict[str, Any], list[str]]] = [
        ({"status": ["ACTIVE"]}, [mine]),
        ({"status": ["PENDING"]}, [pending]),
        ({"status": ["STOPPED"]}, []),
        ({"status": []}, [pending, mine]),
        ({"customerId": "VXNlcjox"}, [mine]),
        ({"customerId": "VXNlcjoy"}, []),
        ({"createdFrom": since}, [pending]),
        ({"createdTo": since}, [mine]),
        ({"createdFrom": since, "createdTo": since}, []),
    ]
    for wanted, ids in cases:
        connection = (await ask(world, LIST, {"filter": wanted}, headers))["data"]["agreements"]
        assert [edge["node"]["id"] for edge in connection["edges"]] == ids, wanted
        assert connection["totalCount"] == len(ids)


BAD_PAGES: list[tuple[dict[str, Any], str]] = [
    ({"first": 101}, "first"),
    ({"first": 0}, "first"),
    ({"first": -1}, "first"),
    ({"last": 101}, "last"),
    ({"last": 0}, "last"),
    ({"first": 1, "last": 1}, "first"),
    ({"after": "x"}, "after"),
    ({"after": "!!!"}, "after"),
    ({"after": "bm8gY3Vyc29y"}, "after"),
    ({"after": "\ud800"}, "after"),
    ({"last": 1, "before": "x"}, "before"),
    ({"filter": {"createdFrom": "2026-01-01T00:00:00"}}, "createdFrom"),
    ({"filter": {"createdTo": "2026-01-01T00:00:00"}}, "createdTo"),
]


async def test_a_page_that_cannot_be_is_refused_by_the_name_of_its_argument(one_world: World) -> None:
    headers = await one_world.client()
    seen = []
    for variables, field in BAD_PAGES:
        answer = await ask(one_world, LIST, variables, headers)
        extensions = answer["errors"][0].get("extensions", {})
        if (extensions.get("code"), extensions.get("field")) != ("INVALID", field):
            seen.append((variables, extensions))
    assert seen == []


async def test_hostile_cursors_and_moments_are_refused_and_not_a_mistake_of_ours(world: World) -> None:
    """What a cursor holds goes into a query: on both databases."""
    headers = await world.client()
    inside = ["2026-01-01T00:00:00+00:00|\x00", "0001-01-01T00:00:00+14:00|x", "9999-12-31T23:59:59-14:00|x"]
    cursors = [base64.urlsafe_b64encode(it.encode()).decode() for it in inside]
    cases: list[dict[str, Any]] = [{"after": cursor} for cursor in cursors]
    cases += [{"filter": {"createdFrom": "0001-01-01T00:00:00+14:00"}}, {"filter": {"customerId": "\x00"}}]
    cases += [{"filter": {"createdTo": "9999-12-31T23:59:59-14:00"}}, {"filter": {"customerId": "\ud800"}}]
    crashed = []
    for variables in cases:
        answer = await post(world, {"query": LIST, "variables": variables}, headers)
        if answer.status_code != 200 or "An internal error" in answer.text:
            crashed.append(variables)
    assert crashed == []


# Charges


async def test_charges_are_made_each_with_its_answer_in_order(world: World) -> None:
    headers = await world.client()
    agreement = await world.agreement(headers)
    stopped = foreign_agreement(world, "agr_stopped", status=AgreementStatus.STOPPED).id
    item = {"agreementId": agreement, "price": 10_000, "description": "March"}
    items = [
        item,
        item | {"agreementId": "agr_unknown"},
        item | {"price": 0},
        item | {"price": -5},
        item | {"orderId": "order-0001"},
        item | {"agreementId": stopped},
        item | {"price": 125_000, "orderId": "order-0002"},
        item,
        item | {"description": "x" * 46},
        item | {"description": ""},
        item | {"due": "2026-03-02", "orderId": "order-0003"},
        item | {"due": "2029-01-01", "orderId": "order-0004"},
        item | {"retryDays": 15, "orderId": "order-0005"},
        item | {"orderId": "short"},
        item | {"agreementId": "no id"},
        item | {"due": "2026-04-05", "retryDays": 0, "orderId": "order-0006"},
    ]

    found = await batch(world, CHARGE_MAKE, {"charges": items}, headers)

    assert [(it["index"], it["code"], it["field"]) for it in found["errors"]] == [
        (1, "NOT_FOUND", "agreementId"),
        (2, "INVALID", "price"),
        (3, "INVALID", "price"),
        (5, "ILLEGAL_STATE", "agreementId"),
        (6, "LIMIT_EXCEEDED", "price"),
        (7, "DUPLICATE", "orderId"),
        (8, "INVALID", "description"),
        (9, "INVALID", "description"),
        (10, "INVALID", "due"),
        (11, "INVALID", "due"),
        (12, "INVALID", "retryDays"),
        (13, "INVALID", "orderId"),
        (14, "INVALID", "agreementId"),
    ]
    assert found["successes"][1:] == ["order-0001", "order-0006"]
    assert len(world.effects("create")) == 3
    last = found["results"][15]["charge"]
    assert last == {
        "id": "order-0006",
        "agreementId": agreement,
        "orderId": "order-0006",
        "status": "PENDING",
        "amount": {"minor": 10_000, "amount": "100.00", "currency": "NOK"},
        "due": "2026-04-05",
        "retryDays": 0,
        "description": "March",
    }


async def test_charges_are_read_per_agreement_in_order(one_world: World) -> None:
    headers = await one_world.client()
    first, second = await one_world.agreement(headers), await one_world.agreement(headers)
    await made(one_world, headers, first, "order-0001")
    await made(one_world, headers, first, "order-0002")
    query = CHARGES

    found = await batch(one_world, query, {"ids": [second, first, "agr_unknown", first, "no id"]}, headers)

    charges = [None if it["charges"] is None else [c["id"] for c in it["charges"]] for it in found["results"]]
    both = ["order-0001", "order-0002"]
    assert charges == [[], both, None, both, None]
    assert [it["code"] for it in found["errors"]] == ["NOT_FOUND", "INVALID"]


async def test_one_charge_is_read_from_vipps_now(one_world: World) -> None:
    headers = await one_world.client()
    agreement = await one_world.agreement(headers)
    charge = await made(one_world, headers, agreement, "order-0001")
    query = """
    query ($a: ID!, $c: ID!) {
      charge(agreementId: $a, chargeId: $c) { id status captured { minor } refunded { minor } saleorOrderId origin }
    }
    """
    one_world.advance(timedelta(days=3))
    answer = await ask(one_world, query, {"a": agreement, "c": charge}, headers)
    paid = {"status": "CHARGED", "captured": {"minor": 10_000}, "refunded": {"minor": 0}}
    assert answer["data"]["charge"] == {"id": charge, "saleorOrderId": None, "origin": "API"} | paid


async def test_charges_are_cancelled_captured_and_refunded_each_with_its_answer(world: World) -> None:
    headers = await world.client()
    agreement = await world.agreement(
        headers, initialCharge={"price": 20_000, "description": "First", "type": "RESERVE_CAPTURE"}
    )
    [reserved] = [it.id for it in world.vipps.charges(agreement)]
    paid = await made(world, headers, agreement, "order-paid")
    world.advance(timedelta(days=3))
    due = await made(world, headers, agreement, "order-due")

    def item(charge_id: str, **over: Any) -> dict[str, Any]:
        return {"agreementId": agreement, "chargeId": charge_id} | over

    capture = [item(reserved), item(due), item("chr-unknown"), item(reserved)]
    captured = await batch(world, moving("chargeCapture"), {"charges": capture}, headers)
    cancelled = await batch(
        world, moving("chargeCancel"), {"charges": [item(paid), item(due), item("bad id")]}, headers
    )
    words = {"description": "Sorry"}
    refund = [item(paid, price=4000, **words), item(paid, price=9000, **words), item(paid, **words)]
    refund += [item(due, **words), item(reserved, price=0, **words), item(reserved, description="")]
    refund += [item(paid, agreementId="agr_unknown", **words)]
    refunded = await batch(world, moving("chargeRefund"), {"charges": refund}, headers)

    assert captured["successes"] == [reserved]
    assert [it["code"] for it in captured["errors"]] == ["ILLEGAL_STATE", "NOT_FOUND", "DUPLICATE"]
    assert cancelled["successes"] == [due]
    assert [(it["code"], it["field"]) for it in cancelled["errors"]] == [
        ("ILLEGAL_STATE", "chargeId"),
        ("INVALID", "chargeId"),
    ]
    assert refunded["successes"] == [paid, paid]
    assert [(it["index"], it["code"], it["field"]) for it in refunded["errors"]] == [
        (1, "LIMIT_EXCEEDED", "price"),
        (3, "ILLEGAL_STATE", "chargeId"),
        (4, "INVALID", "price"),
        (5, "INVALID", "description"),
        (6, "NOT_FOUND", "agreementId"),
    ]
    assert [it.amount for it in world.effects("refund")] == [4000, 6000]
    assert [it.charge_id for it in world.effects("capture")] == [reserved]
    assert [it.charge_id for it in world.effects("cancel")] == [due]


async def test_an_empty_batch_has_an_empty_answer(one_world: World) -> None:
    headers = await one_world.client()
    async with nothing_happens(one_world):
        await batch(one_world, CHARGE_MAKE, {"charges": []}, headers)
        await batch(one_world, AGREEMENT_CANCEL, {"ids": []}, headers)
        await batch(one_world, CHARGES, {"ids": []}, headers)
        for name in ("chargeCancel", "chargeRefund", "chargeCapture"):
            await batch(one_world, moving(name), {"charges": []}, headers)


async def test_an_items_own_key_gives_the_same_answer_and_nothing_twice(one_world: World) -> None:
    headers = await one_world.client()
    agreement = await one_world.agreement(headers)
    item = {"agreementId": agreement, "price": 1000, "description": "x", "idempotencyKey": "k1"}
    first = await batch(one_world, CHARGE_MAKE, {"charges": [item]}, headers)
    async with nothing_is_written_to_vipps(one_world):
        assert await batch(one_world, CHARGE_MAKE, {"charges": [item]}, headers) == first
        other = await batch(one_world, CHARGE_MAKE, {"charges": [item | {"price": 1001}]}, headers)
    assert [it["code"] for it in other["errors"]] == ["DUPLICATE"]
    again = await batch(one_world, CHARGE_MAKE, {"charges": [item | {"idempotencyKey": "k2"}]}, headers)
    assert again["successes"] != first["successes"]
    assert len(one_world.effects("create")) == 2


@pytest.mark.parametrize("length", [30, 85, 200])
async def test_refunds_with_long_keys_that_differ_at_the_end_are_two(one_world: World, length: int) -> None:
    headers = await one_world.client()
    agreement = await one_world.agreement(headers)
    paid = await made(one_world, headers, agreement, "order-paid")
    one_world.advance(timedelta(days=3))
    item = {"agreementId": agreement, "chargeId": paid, "price": 1000, "description": "x"}
    for end in "ab":
        charges = [item | {"idempotencyKey": "k" * length + end}]
        found = await batch(one_world, moving("chargeRefund"), {"charges": charges}, headers)
        assert found["successes"] == [paid]
    assert [it.amount for it in one_world.effects("refund")] == [1000, 1000]


async def test_the_same_request_at_the_same_time_makes_one_charge(world: World) -> None:
    headers = await world.client()
    agreement = await world.agreement(headers)
    variables = {"charges": [{"agreementId": agreement, "price": 1000, "description": "x"}]}
    await asyncio.gather(*(ask(world, CHARGE_MAKE, variables, headers) for _ in range(6)))
    assert len(world.effects("create")) == 1


# Credentials


async def test_auth_test_tells_environment_version_and_expiry_and_never_the_token(one_world: World) -> None:
    query = "{ authTest { ok expiresAt tokenPreview environment apiVersion error { code message } } }"
    headers = await one_world.client(Scope.AGREEMENTS_READ)
    answer = await ask(one_world, query, None, headers)
    found = answer["data"]["authTest"]
    assert (found["ok"], found["error"]) == (True, None)
    assert (found["environment"], found["apiVersion"]) == ("TEST", "V2")
    assert datetime.fromisoformat(found["expiresAt"]) > datetime(2026, 3, 2, tzinfo=UTC)
    machine = await one_world.client(Scope.TOKEN_READ)
    token = (await one_world.http.get("/vipps-recurring-payments/test/auth", headers=machine)).text
    assert token[:12] not in str(answer)
    assert token[-12:] not in found["tokenPreview"]


async def test_auth_test_with_wrong_credentials_says_what_to_do(one_world: World) -> None:
    await one_world.set_account(client_secret="wrong-and-secret")
    query = "{ authTest { ok tokenPreview error { code message } } }"
    answer = await ask(one_world, query, None, await one_world.client())
    found = answer["data"]["authTest"]
    assert (found["ok"], found["tokenPreview"], found["error"]["code"]) == (False, None, "MISCONFIGURED")
    assert "wrong-and-secret" not in str(answer)


async def test_a_shop_without_a_merchant_account_is_told_to_set_one(one_world: World) -> None:
    other = "query ($c: String) { authTest(channel: $c) { ok error { code message } } }"
    headers = await one_world.client()
    # A channel without an account of its own uses the default one.
    assert (await ask(one_world, other, {"c": "norway"}, headers))["data"]["authTest"]["ok"] is True


async def test_secrets_and_tokens_are_in_no_answer(one_world: World) -> None:
    headers = await one_world.client()
    agreement = await one_world.agreement(headers)
    app = one_world.saleor.apps[0]
    answers = [
        await ask(one_world, "{ authTest { ok tokenPreview } }", None, headers),
        await ask(one_world, LIST, {}, headers),
        await ask(one_world, CHARGES, {"ids": [agreement]}, headers),
        await ask(one_world, LIST, {}, bearer("my-own-secret-token")),
        await ask(one_world, LIST, {}, bearer(one_world.saleor.tokens.refresh(one_world.saleor.create_customer()))),
    ]
    secrets = [app.token, "simulated-client-secret", "simulated-subscription-key", "my-own-secret-token"]
    secrets.append(headers["Authorization"].removeprefix("Basic "))
    for answer in answers:
        assert [secret for secret in secrets if secret in str(answer)] == []
    assert writes(one_world)
