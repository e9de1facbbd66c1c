"""The documented REST operations: the module's own examples, its error texts, and bodies that are wrong."""

import base64
import itertools
import json
from collections.abc import AsyncIterator
from datetime import date, timedelta
from typing import Any

import httpx
import pytest

from app.domain.account import Scope
from app.usecases.clients import revoke_client
from app.vipps.simulator import DEFAULT_MERCHANT
from app.vipps.simulator.models import AgreementStatus, ChargeStatus
from tests.web.helpers import (
    foreign_agreement,
    foreign_charge,
    nothing_happens,
    nothing_is_written_to_vipps,
    outside,
    stored,
    writes,
)
from tests.world import SHOP, World, basic, bearer, make_world

PREFIX = "/vipps-recurring-payments"
KEYS_OF_AN_AGREEMENT = [
    "id", "start", "stop", "status", "productName", "price", "productDescription", "interval", "intervalCount",
    "currency", "campaign",
]  # fmt: skip


async def post(world: World, path: str, body: Any, headers: dict[str, str], **more: str) -> Any:
    """A documented request that is answered with 200."""
    answer = await outside(world).post(f"{PREFIX}{path}", content=json.dumps(body), headers=headers | more)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def raw(world: World, path: str, content: bytes, headers: dict[str, str]) -> httpx.Response:
    return await outside(world).post(f"{PREFIX}{path}", content=content, headers=headers)


def refused(answer: httpx.Response, status: int) -> str:
    """The text of a refusal of the whole request."""
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert list(body) == ["success", "error"]
    assert body["success"] is False
    assert isinstance(body["error"], str)
    return str(body["error"])


# The documentation's examples


async def test_agreement_get_takes_a_bare_json_string_and_answers_the_v2_agreement(one_world: World) -> None:
    foreign_agreement(one_world, "agr_UVUFcx31")
    headers = await one_world.client()

    answer = await raw(one_world, "/agreement/get", b'"agr_UVUFcx31"', headers)

    body = answer.json()
    assert list(body)[: len(KEYS_OF_AN_AGREEMENT)] == KEYS_OF_AN_AGREEMENT
    assert {name: body[name] for name in KEYS_OF_AN_AGREEMENT} == {
        "id": "agr_UVUFcx31",
        "start": "2020-02-06T10:10:07Z",
        "stop": None,
        "status": "ACTIVE",
        "productName": "Vipps product",
        "price": 87600,
        "productDescription": "Testing Vipps recurring payment",
        "interval": "MONTH",
        "intervalCount": 1,
        "currency": "NOK",
        "campaign": None,
    }
    assert answer.headers["Content-Type"] == "application/json"


async def test_agreement_cancel_stops_the_active_one_and_names_the_other(one_world: World) -> None:
    foreign_agreement(one_world, "agr_UVUFcx31")
    foreign_agreement(one_world, "agr_CUfJvfx", status=AgreementStatus.STOPPED)
    headers = await one_world.client()

    body = await post(one_world, "/agreement/cancel", ["agr_UVUFcx31", "agr_CUfJvfx"], headers)

    assert list(body) == ["successes", "errors"]
    assert body["successes"] == ["agr_UVUFcx31"]
    [error] = body["errors"]
    assert error.startswith("agr_CUfJvfx: ")
    assert "status.notActive" in error
    assert [it.agreement_id for it in one_world.effects("stop")] == ["agr_UVUFcx31"]


async def test_charge_make_charges_what_the_agreement_allows_and_names_the_rest(world: World) -> None:
    """The documentation's own request: prices are texts, the second is too much, the third agreement is unknown."""
    foreign_agreement(world, "agr_UVUFcx3", price=5000)
    headers = await world.client()

    body = await post(
        world,
        "/charge/make",
        [
            {"agreement_id": "agr_UVUFcx3", "price": "250", "description": "Custom description"},
            {"agreement_id": "agr_UVUFcx3", "price": "25000", "description": "Custom description"},
            {"agreement_id": "agr_UVUFcx31", "price": "25000", "description": "Custom description"},
        ],
        headers,
    )

    assert list(body) == ["successes", "errors"]
    [made] = world.effects("create")
    assert body["successes"] == [made.charge_id]
    assert (made.agreement_id, made.amount) == ("agr_UVUFcx3", 250)
    too_much, unknown = body["errors"]
    assert too_much.startswith("agr_UVUFcx3: ")
    assert "amount.exceeds.expected.chargelimit" in too_much
    assert unknown.startswith("agr_UVUFcx31: ")
    assert "This agreement does not exist" in unknown
    [charge] = world.vipps.charges("agr_UVUFcx3")
    assert charge.description == "Custom description"


async def test_a_price_may_be_an_integer_too(one_world: World) -> None:
    foreign_agreement(one_world, "agr_1")
    body = await post(one_world, "/charge/make", [{"agreement_id": "agr_1", "price": 25000}], await one_world.client())
    assert body["errors"] == []
    assert [it.amount for it in one_world.effects("create")] == [25000]


async def test_charge_make_uses_the_given_charge_id_and_is_due_the_day_after_tomorrow(one_world: World) -> None:
    foreign_agreement(one_world, "agr_1")
    item = {"agreement_id": "agr_1", "price": 25000, "description": "March", "charge_id": "order-1001"}

    body = await post(one_world, "/charge/make", [item], await one_world.client())

    assert body == {"successes": ["order-1001"], "errors": []}
    [charge] = one_world.vipps.charges("agr_1")
    assert (charge.id, charge.due) == ("order-1001", one_world.time.now.date() + timedelta(days=2))


async def test_charge_get_answers_each_agreements_charges_as_a_text_of_json(one_world: World) -> None:
    agreement = foreign_agreement(one_world, "agr_UVUFcx3")
    foreign_charge(
        agreement,
        "chr_Ntsak6z",
        type="INITIAL",
        status=ChargeStatus.PARTIALLY_REFUNDED,
        due=date(2020, 2, 6),
        amount=87600,
        captured=87600,
        refunded=26640,
        transaction_id="5001630551",
        description="Testing Vipps recurring payment",
    )
    foreign_charge(agreement, "chr_dxWPD5n", status=ChargeStatus.CANCELLED, due=date(2020, 3, 1), amount=123)
    foreign_charge(agreement, "chr_xTsRNrg", due=date(2020, 3, 1), amount=123, transaction_id="5001659055")
    headers = await one_world.client()

    asked = [{"agreement_id": "agr_UVUFcx3"}, {"agreement_id": "agr_UVUFcx3"}, {"agreement_id": "agr_unknown"}]
    body = await post(one_world, "/charge/get", asked, headers)

    golden = (
        '[{"id":"chr_Ntsak6z","status":"PARTIALLY_REFUNDED","due":"2020-02-06T00:00:00Z","amount":87600,'
        '"amountRefunded":26640,"transactionId":"5001630551","description":"Testing Vipps recurring payment",'
        '"type":"INITIAL"},{"id":"chr_dxWPD5n","status":"CANCELLED","due":"2020-03-01T00:00:00Z","amount":123,'
        '"amountRefunded":0,"transactionId":null,"description":"This is description","type":"RECURRING"},'
        '{"id":"chr_xTsRNrg","status":"DUE","due":"2020-03-01T00:00:00Z","amount":123,"amountRefunded":0,'
        '"transactionId":"5001659055","description":"This is description","type":"RECURRING"}]'
    )
    assert list(body) == ["successes", "errors"]
    assert body["successes"] == [golden, golden]
    [error] = body["errors"]
    assert error.startswith("agr_unknown: ")


async def test_charge_get_of_an_agreement_without_charges_is_an_empty_list_in_a_text(one_world: World) -> None:
    foreign_agreement(one_world, "agr_1")
    body = await post(one_world, "/charge/get", [{"agreement_id": "agr_1"}], await one_world.client())
    assert body == {"successes": ["[]"], "errors": []}


async def test_charge_cancel_takes_the_documented_request_and_its_price_means_nothing(one_world: World) -> None:
    agreement = foreign_agreement(one_world, "agr_CUfJvfx")
    charge = foreign_charge(agreement, "chr_ptqHYWG")
    one_world.vipps.book.awaiting.setdefault(charge.due.isoformat(), []).append((agreement, charge))
    agreement.interval_totals = dict.fromkeys(range(200), charge.amount)
    item = {
        "agreement_id": "agr_CUfJvfx", "price": 123, "description": "This is description", "charge_id": "chr_ptqHYWG",
    }  # fmt: skip

    body = await post(one_world, "/charge/cancel", [item], await one_world.client())

    assert body == {"successes": ["chr_ptqHYWG"], "errors": []}
    assert [it.charge_id for it in one_world.effects("cancel")] == ["chr_ptqHYWG"]


async def test_charge_refund_takes_the_documented_request(one_world: World) -> None:
    """123 is an amount that Vipps' test environment refuses to refund (facts: VIPPS 11), so it is refused here too."""
    agreement = foreign_agreement(one_world, "agr_CUfJvfx")
    foreign_charge(agreement, "chr_ptqHYWG", status=ChargeStatus.CHARGED, captured=10_000)
    item = {
        "agreement_id": "agr_CUfJvfx", "price": 123, "description": "This is description", "charge_id": "chr_ptqHYWG",
    }  # fmt: skip
    headers = await one_world.client()

    magic = await post(one_world, "/charge/refund", [item], headers)
    body = await post(one_world, "/charge/refund", [item | {"price": 1230}, item | {"price": "2000"}], headers)

    assert magic["successes"] == []
    assert magic["errors"][0].startswith("chr_ptqHYWG: ")
    assert body == {"successes": ["chr_ptqHYWG", "chr_ptqHYWG"], "errors": []}
    assert [(it.charge_id, it.amount) for it in one_world.effects("refund")] == [
        ("chr_ptqHYWG", 1230),
        ("chr_ptqHYWG", 2000),
    ]


async def test_charge_errors_name_the_charge(one_world: World) -> None:
    agreement = foreign_agreement(one_world, "agr_1")
    foreign_charge(agreement, "chr_due")
    foreign_charge(agreement, "chr_paid", status=ChargeStatus.CHARGED, captured=10_000)
    headers = await one_world.client()

    async with nothing_is_written_to_vipps(one_world):
        refund = await post(
            one_world,
            "/charge/refund",
            [
                {"agreement_id": "agr_1", "charge_id": "chr_due", "price": 1000, "description": "x"},
                {"agreement_id": "agr_1", "charge_id": "chr_paid", "price": 10_001, "description": "x"},
                {"agreement_id": "agr_1", "charge_id": "chr_none", "price": 1000, "description": "x"},
                {"agreement_id": "agr_no", "charge_id": "chr_paid", "price": 1000, "description": "x"},
            ],
            headers,
        )
        cancel = await post(one_world, "/charge/cancel", [{"agreement_id": "agr_1", "charge_id": "chr_paid"}], headers)

    assert refund["successes"] == cancel["successes"] == []
    assert [it.partition(": ")[0] for it in refund["errors"]] == ["chr_due", "chr_paid", "chr_none", "chr_paid"]
    assert [it.partition(": ")[0] for it in cancel["errors"]] == ["chr_paid"]


async def test_test_auth_answers_the_token_text_to_who_may_read_it(one_world: World) -> None:
    answer = await one_world.http.get(f"{PREFIX}/test/auth", headers=await one_world.client(Scope.TOKEN_READ))
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/plain")
    check = await one_world.context.http.vipps.get(
        "https://vipps.example/recurring/v2/agreements",
        headers={
            "Authorization": f"Bearer {answer.text}",
            "Ocp-Apim-Subscription-Key": DEFAULT_MERCHANT.subscription_key,
            "Merchant-Serial-Number": DEFAULT_MERCHANT.msn,
        },
    )
    assert check.status_code == 200, "the text is not a token that Vipps takes"


async def test_test_auth_tells_of_wrong_credentials_without_the_token(one_world: World) -> None:
    await one_world.set_account(client_secret="wrong-and-secret")
    answer = await one_world.http.get(f"{PREFIX}/test/auth", headers=await one_world.client())
    assert answer.status_code >= 500
    assert "wrong-and-secret" not in refused(answer, answer.status_code)


async def test_an_unknown_agreement_is_404_in_agreement_get(one_world: World) -> None:
    headers = await one_world.client()
    for agreement_id in ("agr_unknown", "chr_1"):
        error = refused(await raw(one_world, "/agreement/get", json.dumps(agreement_id).encode(), headers), 404)
        assert "This agreement does not exist" in error


# Agreements that another program made


async def test_what_another_program_made_is_stored_when_it_is_learnt_of(world: World) -> None:
    agreement = foreign_agreement(world, "agr_UVUFcx3")
    foreign_charge(agreement, "chr_Ntsak6z", status=ChargeStatus.CHARGED, captured=10_000)
    headers = await world.client()

    await post(world, "/agreement/get", "agr_UVUFcx3", headers)
    await post(world, "/charge/get", [{"agreement_id": "agr_UVUFcx3"}], headers)

    rows = await stored(world)
    [row] = rows["agreement"]
    assert (row["agreement_id"], row["shop"], row["customer"]) == ("agr_UVUFcx3", SHOP, None)
    assert (row["status"], row["price"]) == ("ACTIVE", 87600)
    [charge] = rows["charge"]
    assert (charge["charge_id"], charge["status"], charge["amount"]) == ("chr_Ntsak6z", "CHARGED", 10_000)
    assert writes(world) == []


async def test_an_agreement_named_many_times_before_it_is_known_is_stored_once(one_world: World) -> None:
    foreign_agreement(one_world, "agr_UVUFcx3")
    asked = [{"agreement_id": "agr_UVUFcx3"}] * 5
    body = await post(one_world, "/charge/get", asked, await one_world.client())
    assert body == {"successes": ["[]"] * 5, "errors": []}
    assert len((await stored(one_world))["agreement"]) == 1


async def test_no_customer_may_claim_what_another_program_made(one_world: World) -> None:
    foreign_agreement(one_world, "agr_UVUFcx3")
    await post(one_world, "/agreement/get", "agr_UVUFcx3", await one_world.client())
    customer = one_world.saleor.create_customer()
    token = bearer(one_world.saleor.tokens.access(customer))
    answer = await one_world.graphql('{ agreement(id: "agr_UVUFcx3") { id } agreements { totalCount } }', None, token)
    assert answer == {"data": {"agreement": None, "agreements": {"totalCount": 0}}}


# Who may do what

OPERATIONS: dict[str, tuple[Scope, Any]] = {
    "/agreement/get": (Scope.AGREEMENTS_READ, "agr_1"),
    "/agreement/cancel": (Scope.AGREEMENTS_WRITE, ["agr_1"]),
    "/charge/make": (Scope.CHARGES_WRITE, [{"agreement_id": "agr_1", "price": 1000}]),
    "/charge/get": (Scope.CHARGES_READ, [{"agreement_id": "agr_1"}]),
    "/charge/cancel": (Scope.CHARGES_WRITE, [{"agreement_id": "agr_1", "charge_id": "chr_due"}]),
    "/charge/refund": (
        Scope.CHARGES_WRITE,
        [{"agreement_id": "agr_1", "charge_id": "chr_paid", "price": 500, "description": "x"}],
    ),
}


async def call(world: World, path: str, headers: dict[str, str]) -> httpx.Response:
    http = outside(world)
    if path == "/test/auth":
        return await http.get(PREFIX + path, headers=headers)
    return await http.post(PREFIX + path, json=OPERATIONS[path][1], headers=headers)


@pytest.mark.parametrize("path", ["/test/auth", *OPERATIONS])
async def test_each_operation_needs_its_own_scope_and_no_other(one_world: World, path: str) -> None:
    agreement = foreign_agreement(one_world, "agr_1")
    agreement.interval_totals = dict.fromkeys(range(200), 10_000)
    foreign_charge(agreement, "chr_due")
    foreign_charge(agreement, "chr_paid", status=ChargeStatus.CHARGED, captured=10_000)
    right = Scope.TOKEN_READ if path == "/test/auth" else OPERATIONS[path][0]
    others = [scope for scope in Scope if scope is not right]

    for scopes in (*((scope,) for scope in others), tuple(others)):
        headers = await one_world.client(*scopes)
        async with nothing_happens(one_world):
            refused(await call(one_world, path, headers), 403)

    answer = await call(one_world, path, await one_world.client(right))
    assert answer.status_code == 200, answer.text
    if path not in {"/test/auth", "/agreement/get"}:
        assert answer.json()["errors"] == []


def _b64(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


async def test_without_usable_credentials_everything_is_401_and_says_how(world: World) -> None:
    """On both databases: what is no id may be no text for the database either."""
    known = (await world.client())["Authorization"]
    client_id = base64.b64decode(known.removeprefix("Basic ")).decode().partition(":")[0]
    customer = world.saleor.create_customer()
    credentials = [
        None, "", "Basic", "Basic ", "Basic !!!", "Basic é", "Basic " + "A" * 5, "Basic /w==", "Digest x", "garbage",
        _b64("no-colon"), _b64(":"), _b64("x:y"), _b64(f"{client_id}:"), _b64(f"{client_id}:wrong"), _b64("\x00:\x00"),
        _b64("blåbær:x"), _b64("x" * 5000 + ":y"), known + "x", known[:-8], f"Bearer {known.removeprefix('Basic ')}",
        f"Bearer {world.saleor.tokens.access(customer)}",
    ]  # fmt: skip
    wrong = {}
    async with nothing_happens(world):
        for text, path in itertools.product(credentials, ("/charge/get", "/test/auth")):
            headers = {} if text is None else {"Authorization": text.encode("latin-1")}
            answer = await call(world, path, headers)  # type: ignore[arg-type]
            challenge = answer.headers.get("WWW-Authenticate", "")
            if answer.status_code != 401 or not challenge.startswith("Basic realm=") or "error" not in answer.text:
                wrong[(text, path)] = answer.status_code
    assert wrong == {}


async def test_a_revoked_client_is_401_everywhere(one_world: World) -> None:
    headers = await one_world.client()
    client_id = base64.b64decode(headers["Authorization"].removeprefix("Basic ")).decode().partition(":")[0]
    foreign_agreement(one_world, "agr_1")
    await revoke_client(one_world.context.deps, client_id)
    async with nothing_happens(one_world):
        for path in ("/test/auth", *OPERATIONS):
            refused(await call(one_world, path, headers), 401)


async def test_a_client_secret_is_not_stored(one_world: World) -> None:
    headers = await one_world.client()
    secret = base64.b64decode(headers["Authorization"].removeprefix("Basic ")).decode().partition(":")[2]
    assert secret not in repr(await stored(one_world))


async def test_a_client_of_another_shop_cannot_reach_an_agreement_that_this_shop_holds(database_url: str) -> None:
    """Even though both shops use the same merchant account, so that Vipps itself would let it."""
    other = "https://other.example/graphql/"
    world = make_world(database_url, (SHOP, other))
    for shop in world.shops.values():
        await world.install(shop)
    await world.set_account()
    await world.set_account(other)
    agreement = foreign_agreement(world, "agr_1")
    foreign_charge(agreement, "chr_due")
    foreign_charge(agreement, "chr_paid", status=ChargeStatus.CHARGED, captured=10_000)
    await post(world, "/agreement/get", "agr_1", await world.client())
    theirs = await world.client(shop=other)

    before = await stored(world)
    async with nothing_is_written_to_vipps(world):
        refused(await call(world, "/agreement/get", theirs), 404)
        for path in list(OPERATIONS)[1:]:
            body = (await call(world, path, theirs)).json()
            assert body["successes"] == [], path
            assert "This agreement does not exist" in body["errors"][0], path
    assert await stored(world) == before
    await world.context.close()


# Bodies

ARRAYS = [path for path in OPERATIONS if path != "/agreement/get"]
NO_BODIES = [b"", b" ", b"x", b"{", b"[", b"['agr_1']", b"[agr_1]", b'["agr_1",]', b"\xff\xfe\x00", b"[" * 100_000]


@pytest.fixture
async def rest(one_world: World) -> tuple[World, dict[str, str]]:
    """A world with an agreement and a client that may do everything."""
    agreement = foreign_agreement(one_world, "agr_1")
    foreign_charge(agreement, "chr_paid", status=ChargeStatus.CHARGED, captured=10_000)
    return one_world, await one_world.client()


async def test_a_body_that_is_no_json_is_400(rest: tuple[World, dict[str, str]]) -> None:
    world, headers = rest
    async with nothing_happens(world):
        for path, body in itertools.product(OPERATIONS, NO_BODIES):
            refused(await raw(world, path, body, headers), 400)


async def test_a_body_that_is_no_array_is_400(rest: tuple[World, dict[str, str]]) -> None:
    world, headers = rest
    bodies = [b"null", b"{}", b'{"agreement_id": "agr_1", "price": 1000}', b'"agr_1"', b"1", b"true", b"1.5", b"NaN"]
    async with nothing_happens(world):
        for path, body in itertools.product(ARRAYS, bodies):
            refused(await raw(world, path, body, headers), 400)
        for body in (
            b"null",
            b"{}",
            b"[]",
            b'["agr_1"]',
            b"1",
            b"NaN",
            b"-Infinity",
            b'""',
            b'"a b"',
            b'"agr_1\\u0000"',
        ):
            refused(await raw(world, "/agreement/get", body, headers), 400)


async def test_an_empty_array_is_an_empty_answer(rest: tuple[World, dict[str, str]]) -> None:
    world, headers = rest
    async with nothing_happens(world):
        for path in ARRAYS:
            assert await post(world, path, [], headers) == {"successes": [], "errors": []}


async def test_items_that_are_no_objects_are_their_own_errors(rest: tuple[World, dict[str, str]]) -> None:
    world, headers = rest
    bad: list[Any] = [None, True, 1, 1.5, [], ["agr_1"], {}, {"agreement_id": 5}, {"agreement_id": None}]
    async with nothing_is_written_to_vipps(world):
        for path in ARRAYS:
            body = await post(world, path, bad, headers)
            assert body["successes"] == []
            assert [it.partition(": ")[0] for it in body["errors"]] == [f"item {index}" for index in range(len(bad))]


async def test_a_content_type_other_than_json_is_415(rest: tuple[World, dict[str, str]]) -> None:
    world, headers = rest
    async with nothing_happens(world):
        for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/json"):
            sent = headers | {"Content-Type": kind}
            for path in OPERATIONS:
                refused(await raw(world, path, b"[]", sent), 415)
    for kind in ("application/json", "application/json; charset=utf-8", "APPLICATION/JSON"):
        answer = await raw(world, "/charge/get", b"[]", headers | {"Content-Type": kind})
        assert answer.status_code == 200


async def test_a_body_above_one_mebibyte_is_413_however_it_is_sent(rest: tuple[World, dict[str, str]]) -> None:
    world, headers = rest
    padding = b" " * (1024 * 1024)

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(padding), 65_536):
            yield padding[start : start + 65_536]
        yield b'[{"agreement_id": "agr_1", "price": 1000}]'

    async with nothing_happens(world):
        http = outside(world)
        for path in OPERATIONS:
            refused(await http.post(PREFIX + path, content=padding + b"[]", headers=headers), 413)
            refused(await http.post(PREFIX + path, content=chunks(), headers=headers), 413)
        lying = headers | {"Content-Length": "2"}
        refused(await http.post(PREFIX + "/charge/make", content=chunks(), headers=lying), 413)
    answer = await raw(world, "/charge/get", b"[]".ljust(1024 * 1024), headers)
    assert answer.status_code == 200


BAD_PRICES = [
    "250.5", "2.5e2", "250.0", "NaN", "Infinity", "-Infinity", "-250", "0", "-0", "true", "false", "null", "[]", "{}",
    "[250]", '""', '" 250"', '"250 "', '"+250"', '"-250"', '"250.0"', '"2e2"', '"0x10"', '"two"', '"٢٥٠"', '"²"',
    '"1_000"', "99", '"99"', "2147483648", "9223372036854775808", '"2147483648"', "1" + "0" * 60, '"1' + "0" * 60 + '"',
    '"' + "9" * 5000 + '"', '"NaN"', '"0"', '"00"',
]  # fmt: skip


@pytest.mark.parametrize("path", ["/charge/make", "/charge/refund"])
async def test_a_price_that_is_no_amount_is_its_items_error_and_the_rest_goes_on(world: World, path: str) -> None:
    """On both databases, whose integers have different sizes."""
    agreement = foreign_agreement(world, "agr_1")
    foreign_charge(agreement, "chr_paid", status=ChargeStatus.CHARGED, captured=10_000)
    headers = await world.client()
    charge = '"charge_id": "chr_paid", ' if path == "/charge/refund" else ""
    # Each has its own description: two equal ones would be one.
    bad = [
        f'{{"agreement_id": "agr_1", {charge}"description": "{number}", "price": {price}}}'
        for number, price in enumerate(BAD_PRICES)
    ]
    good = f'{{"agreement_id": "agr_1", {charge}"description": "x", "price": "500"}}'

    answer = await raw(world, path, f"[{', '.join([*bad, good])}]".encode(), headers)

    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert len(body["successes"]) == 1
    assert len(body["errors"]) == len(bad)
    assert [error for error in body["errors"] if "price" not in error] == []
    assert [it.amount for it in world.effects("create") + world.effects("refund")] == [500]


async def test_a_price_with_leading_zeros_is_read_whole_or_not_at_all(rest: tuple[World, dict[str, str]]) -> None:
    world, headers = rest
    price = "0" * 15 + "2500000"
    await post(world, "/charge/make", [{"agreement_id": "agr_1", "price": price}], headers)
    assert {it.amount for it in world.effects("create")} <= {2_500_000}


async def test_missing_and_wrong_fields_are_named(rest: tuple[World, dict[str, str]]) -> None:
    world, headers = rest
    make: list[dict[str, Any]] = [
        {"price": 1000}, {"agreement_id": "agr_1"}, {"agreement_id": "agr_1", "price": 1000, "description": 5},
        {"agreement_id": "agr_1", "price": 1000, "charge_id": 5},
        {"agreement_id": "agr_1", "price": 1000, "charge_id": "x"},
        {"agreement_id": "agr_1", "price": 1000, "description": "x" * 46},
    ]  # fmt: skip
    refund: list[dict[str, Any]] = [
        {"charge_id": "chr_paid", "price": 500, "description": "x"},
        {"agreement_id": "agr_1", "price": 500, "description": "x"},
        {"agreement_id": "agr_1", "charge_id": "chr_paid", "description": "x"},
        {"agreement_id": "agr_1", "charge_id": "chr_paid", "price": 500},
        {"agreement_id": "agr_1", "charge_id": "chr_paid", "price": 500, "description": ""},
    ]
    async with nothing_is_written_to_vipps(world):
        made = await post(world, "/charge/make", make, headers)
        refunded = await post(world, "/charge/refund", refund, headers)
    named = ("agreement_id", "price", "description", "charge_id", "order id", "description")
    assert [name in error for name, error in zip(named, made["errors"], strict=True)] == [True] * 6, made["errors"]
    named = ("agreement_id", "charge_id", "price", "description", "description")  # type: ignore[assignment]
    assert [name in error for name, error in zip(named, refunded["errors"], strict=True)] == [True] * 5


async def test_texts_that_a_database_cannot_hold_are_their_items_errors(world: World) -> None:
    """A lone surrogate is JSON and no UTF-8; PostgreSQL stores no NUL. Neither may cost other items their answer."""
    agreement = foreign_agreement(world, "agr_1")
    foreign_charge(agreement, "chr_paid", status=ChargeStatus.CHARGED, captured=10_000)
    headers = await world.client()
    wrong = {}
    for bad in ("a\ud800", "a\x00b"):
        bodies: dict[str, list[Any]] = {
            "/charge/make description": [{"agreement_id": "agr_1", "price": 300, "description": bad}],
            "/charge/make agreement_id": [{"agreement_id": bad, "price": 301}],
            "/charge/make charge_id": [{"agreement_id": "agr_1", "price": 302, "charge_id": "order-0001" + bad}],
            "/charge/get agreement_id": [{"agreement_id": bad}],
            "/agreement/cancel": [bad],
            "/charge/cancel charge_id": [{"agreement_id": "agr_1", "charge_id": bad}],
            "/charge/refund charge_id": [{"agreement_id": "agr_1", "charge_id": bad, "price": 300, "description": "x"}],
            "/charge/refund description": [
                {"agreement_id": "agr_1", "charge_id": "chr_paid", "price": 300, "description": bad}
            ],
        }
        for name, body in bodies.items():
            answer = await raw(world, name.partition(" ")[0], json.dumps(body).encode(), headers)
            if answer.status_code != 200 or len(answer.json()["errors"]) != 1:
                wrong[(bad, name)] = answer.status_code
    world.unforeseen.clear()
    assert wrong == {}


async def test_a_text_that_is_no_unicode_does_not_hide_what_the_batch_did(rest: tuple[World, dict[str, str]]) -> None:
    world, headers = rest
    body = [{"agreement_id": "agr_1", "price": 1000}, {"agreement_id": "\ud800", "price": 1000}]
    answer = await raw(world, "/charge/make", json.dumps(body).encode(), headers)
    [made] = world.effects("create")
    assert answer.status_code == 200, "the charge was made and its id was not answered"
    assert answer.json()["successes"] == [made.charge_id]


async def test_ids_that_are_none_are_item_errors_and_never_become_paths(rest: tuple[World, dict[str, str]]) -> None:
    world, headers = rest
    bad = [
        "",
        " ",
        "agr 1",
        "agr_1/charges",
        "../agr_1",
        "agr_1?x",
        "agr_1%2f",
        "a" * 65,
        "agr_1\n",
        "blåbær",
        "agr_1;",
    ]
    before = world.vipps.requests_seen
    async with nothing_is_written_to_vipps(world):
        stop = await post(world, "/agreement/cancel", bad, headers)
        get = await post(world, "/charge/get", [{"agreement_id": it} for it in bad], headers)
        make = await post(world, "/charge/make", [{"agreement_id": it, "price": 1000} for it in bad], headers)
    assert stop["successes"] == get["successes"] == make["successes"] == []
    assert len(stop["errors"]) == len(get["errors"]) == len(make["errors"]) == len(bad)
    assert world.vipps.requests_seen == before


async def test_more_items_than_one_batch_takes_are_refused_whole(sqlite_url: str) -> None:
    world = make_world(sqlite_url, max_sync_batch=3)
    await world.install()
    await world.set_account()
    foreign_agreement(world, "agr_1")
    headers = await world.client()
    async with nothing_happens(world):
        for path in ARRAYS:
            item = OPERATIONS[path][1][0]
            error = refused(await raw(world, path, json.dumps([item] * 4).encode(), headers), 400)
            assert "4" in error
            assert "3" in error
    assert len((await post(world, "/charge/get", [{"agreement_id": "agr_1"}] * 3, headers))["successes"]) == 3
    await world.context.close()


# Again


async def test_the_same_item_twice_in_a_batch_is_done_once(rest: tuple[World, dict[str, str]]) -> None:
    world, headers = rest
    make = {"agreement_id": "agr_1", "price": 1000, "description": "March"}
    refund = {"agreement_id": "agr_1", "charge_id": "chr_paid", "price": 500, "description": "x"}

    made = await post(world, "/charge/make", [make, make], headers)
    refunded = await post(world, "/charge/refund", [refund, refund], headers)
    charge_id = made["successes"][0]
    cancel = {"agreement_id": "agr_1", "charge_id": charge_id}
    cancelled = await post(world, "/charge/cancel", [cancel, cancel], headers)
    stopped = await post(world, "/agreement/cancel", ["agr_1", "agr_1"], headers)

    for body, name in ((made, "agr_1"), (refunded, "chr_paid"), (cancelled, charge_id), (stopped, "agr_1")):
        assert len(body["successes"]) == 1
        assert [it.partition(": ")[0] for it in body["errors"]] == [name]
        assert "item 0" in body["errors"][0]
    assert [len(world.effects(it)) for it in ("create", "refund", "cancel", "stop")] == [1, 1, 1, 1]


async def test_charges_that_differ_in_their_charge_id_only_are_two(rest: tuple[World, dict[str, str]]) -> None:
    world, headers = rest
    make = {"agreement_id": "agr_1", "price": 1000, "description": "March"}
    items = [make | {"charge_id": "order-0001"}, make | {"charge_id": "order-0002"}]
    assert await post(world, "/charge/make", items, headers) == {
        "successes": ["order-0001", "order-0002"],
        "errors": [],
    }


async def test_the_same_request_twice_makes_no_second_charge(one_world: World) -> None:
    foreign_agreement(one_world, "agr_1")
    headers = await one_world.client()
    items = [{"agreement_id": "agr_1", "price": 1000, "description": "March"}]

    first = await post(one_world, "/charge/make", items, headers)
    async with nothing_is_written_to_vipps(one_world):
        second = await post(one_world, "/charge/make", items, headers)

    assert second["successes"] == []
    [error] = second["errors"]
    assert error.startswith("agr_1: ")
    assert first["successes"][0] in error


async def test_the_same_charge_id_again_answers_the_same_charge(one_world: World) -> None:
    foreign_agreement(one_world, "agr_1")
    headers = await one_world.client()
    item = {"agreement_id": "agr_1", "price": 1000, "description": "March", "charge_id": "order-0001"}

    assert await post(one_world, "/charge/make", [item], headers) == {"successes": ["order-0001"], "errors": []}
    async with nothing_is_written_to_vipps(one_world):
        assert await post(one_world, "/charge/make", [item], headers) == {"successes": ["order-0001"], "errors": []}
        other = await post(one_world, "/charge/make", [item | {"price": 1001}], headers)
    assert other["successes"] == []
    assert "order-0001" in other["errors"][0]


async def test_the_same_idempotency_key_answers_the_same_and_does_nothing_twice(world: World) -> None:
    agreement = foreign_agreement(world, "agr_1")
    foreign_charge(agreement, "chr_paid", status=ChargeStatus.CHARGED, captured=10_000)
    headers = (await world.client()) | {"Idempotency-Key": "day-1"}
    make = [{"agreement_id": "agr_1", "price": 1000}, {"agreement_id": "agr_1", "price": 1001}]
    refund = [{"agreement_id": "agr_1", "charge_id": "chr_paid", "price": 500, "description": "x"}]

    made = await post(world, "/charge/make", make, headers)
    refunded = await post(world, "/charge/refund", refund, headers)
    async with nothing_is_written_to_vipps(world):
        assert await post(world, "/charge/make", make, headers) == made
        assert await post(world, "/charge/refund", refund, headers) == refunded
        changed = await post(world, "/charge/make", [make[1], make[0]], headers)

    assert len(made["successes"]) == 2
    assert len(changed["errors"]) == 2
    again = await post(world, "/charge/refund", refund, headers | {"Idempotency-Key": "day-2"})
    assert again == refunded
    assert [it.amount for it in world.effects("refund")] == [500, 500]


@pytest.mark.parametrize("length", [40, 80, 100, 255])
async def test_a_long_idempotency_key_still_tells_items_and_requests_apart(
    rest: tuple[World, dict[str, str]], length: int
) -> None:
    world, headers = rest
    key = "k" * length
    refund = {"agreement_id": "agr_1", "charge_id": "chr_paid", "description": "x"}

    first = await post(
        world, "/charge/refund", [refund | {"price": 500}, refund | {"price": 600}], headers, **{"Idempotency-Key": key}
    )
    second = await post(world, "/charge/refund", [refund | {"price": 500}], headers, **{"Idempotency-Key": key + "2"})

    assert first["errors"] == second["errors"] == []
    assert [it.amount for it in world.effects("refund")] == [500, 600, 500]


async def test_two_clients_may_use_the_same_idempotency_key(rest: tuple[World, dict[str, str]]) -> None:
    world, headers = rest
    other = await world.client()
    for price, who in ((1000, headers), (1001, other)):
        body = await post(
            world, "/charge/make", [{"agreement_id": "agr_1", "price": price}], who, **{"Idempotency-Key": "1"}
        )
        assert body["errors"] == []
    assert [it.amount for it in world.effects("create")] == [1000, 1001]


async def test_answers_keep_the_order_of_the_items(rest: tuple[World, dict[str, str]]) -> None:
    world, headers = rest
    for number in range(20):
        foreign_agreement(world, f"agr_{number:04}")
    ids = [f"agr_{number:04}" if number % 2 else f"agr_x{number:03}" for number in range(20)]
    items = [
        {"agreement_id": agreement_id, "price": 1000, "charge_id": f"order-{number:04}"}
        for number, agreement_id in enumerate(ids)
    ]
    body = await post(world, "/charge/make", items, headers)
    assert body["successes"] == [f"order-{number:04}" for number in range(1, 20, 2)]
    assert [it.partition(": ")[0] for it in body["errors"]] == [f"agr_x{number:03}" for number in range(0, 20, 2)]


async def test_nothing_secret_is_in_a_refusal(one_world: World) -> None:
    headers = basic("vrc_unknown", "this-is-my-secret")
    answer = await call(one_world, "/charge/get", headers)
    assert "this-is-my-secret" not in answer.text
    assert "vrc_unknown" not in answer.text
