"""What the GraphQL endpoint refuses: amounts that are none, requests that are too large, formats it does not speak."""

import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from graphql import build_schema, print_schema
from sqlalchemy import text

from app.gql.schema import export
from tests.gql.helpers import AGREEMENT_UPDATE, CHARGE_MAKE, CHARGES, ask, made, moving, post
from tests.web.helpers import foreign_agreement, nothing_happens, outside
from tests.world import AGREEMENT_CREATE, World, make_world

PROJECT = Path(__file__).resolve().parents[2]
JSON = {"Content-Type": "application/json"}
MAKE_LITERAL = (
    'mutation {{ chargeMake(charges: [{{agreementId: "agr_1", price: {0}, description: "x"}}]) {{ successes }} }}'
)


@pytest.fixture
async def headers(one_world: World) -> dict[str, str]:
    """A client that may do everything, beside an agreement `agr_1`."""
    foreign_agreement(one_world, "agr_1")
    return await one_world.client()


async def raw(world: World, body: str | bytes, headers: dict[str, str]) -> httpx.Response:
    return await outside(world).post("/graphql", content=body, headers=JSON | headers)


# Amounts

NO_AMOUNTS = ["25000.5", "0.1", "NaN", "Infinity", "-Infinity", '"25000"', '"two"', "null", "true", "[]", "{}", "1e400"]
NO_AMOUNTS += ["2147483648", "-2147483649", "9223372036854775808", "1" + "0" * 50, "1e300"]


async def test_what_is_no_whole_number_is_refused_as_an_amount_before_anything_is_done(
    one_world: World, headers: dict[str, str]
) -> None:
    charge = '{{"agreementId": "agr_1", "price": {0}, "description": "x"}}'
    refund = '{{"agreementId": "agr_1", "chargeId": "chr_1", "price": {0}, "description": "x"}}'
    draft = (
        '{{"price": {0}, "productName": "x", "interval": {{"unit": "MONTH"}}, "redirectUrl": "https://shop.example/"}}'
    )
    bodies = {
        "make": (CHARGE_MAKE, f'{{"charges": [{charge}]}}'),
        "refund": (moving("chargeRefund"), f'{{"charges": [{refund}]}}'),
        "create": (AGREEMENT_CREATE, f'{{"input": {draft}}}'),
        "update": (AGREEMENT_UPDATE, '{{"id": "agr_1", "input": {{"price": {0}}}}}'),
    }
    wrong = {}
    async with nothing_happens(one_world):
        for name, (query, variables) in bodies.items():
            for amount in NO_AMOUNTS:
                if amount == "null" and name in {"refund", "update"}:
                    continue  # optional there
                template = variables.replace("{{", "{").replace("}}", "}") if "{{" in variables else variables
                body = f'{{"query": {json.dumps(query)}, "variables": {template.replace("{0}", amount)}}}'
                answer = await raw(one_world, body, headers)
                if answer.status_code >= 500 or (answer.status_code == 200 and not answer.json().get("errors")):
                    wrong[(name, amount)] = answer.text[:100]
    assert wrong == {}


async def test_a_literal_that_is_no_whole_number_is_refused(one_world: World, headers: dict[str, str]) -> None:
    async with nothing_happens(one_world):
        for amount in ("25000.0", "25000.5", "2.5e4", '"25000"', "null", "true", "NaN", "2147483648", "025000"):
            answer = await ask(one_world, MAKE_LITERAL.format(amount), None, headers)
            assert answer["errors"], amount
            assert answer.get("data") is None


async def test_a_whole_number_with_a_point_is_that_number_or_refused(one_world: World, headers: dict[str, str]) -> None:
    """JSON does not tell 25000.0 from 25000; GraphQL's Int takes both, and none may become another amount."""
    for amount in ("25000.0", "2.5e4"):
        charge = f'{{"charges": [{{"agreementId": "agr_1", "price": {amount}, "description": "{amount}"}}]}}'
        await raw(one_world, f'{{"query": {json.dumps(CHARGE_MAKE)}, "variables": {charge}}}', headers)
    assert {it.amount for it in one_world.effects("create")} <= {25_000}


async def test_unknown_and_missing_fields_are_refused(one_world: World, headers: dict[str, str]) -> None:
    item: dict[str, Any] = {"agreementId": "agr_1", "price": 1000, "description": "x"}
    cases: list[Any] = [item | {"amount": 1}, {"agreementId": "agr_1"}, item | {"due": "tomorrow"}, item | {"due": 5}]
    cases += [item | {"agreementId": None}, item | {"description": None}, item | {"retryDays": "5"}, None, 5, "x", []]
    async with nothing_happens(one_world):
        for case in cases:
            assert (await ask(one_world, CHARGE_MAKE, {"charges": [item, case]}, headers))["errors"], case


# Size


async def test_a_batch_above_the_limit_is_refused_whole(sqlite_url: str) -> None:
    world = make_world(sqlite_url, max_sync_batch=3)
    await world.install()
    await world.set_account()
    foreign_agreement(world, "agr_1")
    headers = await world.client()
    make = [{"agreementId": "agr_1", "price": 1000, "description": str(number)} for number in range(4)]
    one = [{"agreementId": "agr_1", "chargeId": f"chr_{number}"} for number in range(4)]
    refund = [it | {"description": "x"} for it in one]
    stop = "mutation ($ids: [ID!]!) { agreementCancel(ids: $ids) { successes } }"
    cases: list[tuple[str, dict[str, Any]]] = [
        (CHARGE_MAKE, {"charges": make}),
        (CHARGES, {"ids": ["agr_1"] * 4}),
        (stop, {"ids": ["agr_1"] * 4}),
        (moving("chargeCancel"), {"charges": one}),
        (moving("chargeCapture"), {"charges": one}),
        (moving("chargeRefund"), {"charges": refund}),
    ]
    async with nothing_happens(world):
        for query, variables in cases:
            [error] = (await ask(world, query, variables, headers))["errors"]
            assert error["extensions"]["code"] == "BATCH_TOO_LARGE"
            assert "4" in error["message"]
            assert "3" in error["message"]
    three = (await ask(world, CHARGE_MAKE, {"charges": make[:3]}, headers))["data"]["chargeMake"]
    assert len(three["successes"]) == 3
    await world.context.close()


async def test_a_batch_of_the_largest_size_may_be_written_out_in_the_query(sqlite_url: str) -> None:
    """The limits for queries leave room for what the batches allow."""
    world = make_world(sqlite_url)
    await world.install()
    await world.set_account()
    headers = await world.client()
    item = '{agreementId: "no id", price: 1000, description: "x", due: "2026-04-05", retryDays: 1, orderId: "o", '
    items = ", ".join([item + f'idempotencyKey: "{number}"}}' for number in range(500)])
    answer = await ask(world, f"mutation {{ chargeMake(charges: [{items}]) {{ errors {{ index }} }} }}", None, headers)
    assert "errors" not in answer, answer["errors"]
    assert len(answer["data"]["chargeMake"]["errors"]) == 500
    await world.context.close()


async def test_a_query_that_is_too_deep_is_refused(one_world: World, headers: dict[str, str]) -> None:
    deep = "{ agreements " + "{ edges " * 20 + "{ id }" + " }" * 20 + " }"
    introspection = "{ __schema { types " + "{ fields { type " * 6 + "{ name }" + " } }" * 6 + " } }"
    fragments = "query { ...a0 } " + "".join(
        f"fragment a{number} on Query {{ ...a{number + 1} }} " for number in range(50)
    )
    cyclic = "{ ...a } fragment a on Query { ...b } fragment b on Query { ...a }"
    async with nothing_happens(one_world):
        for query in (
            deep,
            introspection,
            fragments + "fragment a50 on Query { authTest { ok } }x",
            cyclic,
            "{" * 5000,
            "{ a" * 3000,
        ):
            answer = await post(one_world, {"query": query}, headers)
            assert answer.status_code < 500, query[:40]
            assert answer.status_code >= 400 or answer.json().get("errors"), query[:40]


async def test_a_query_of_too_many_words_is_refused(one_world: World, headers: dict[str, str]) -> None:
    words = "{ authTest { " + "ok " * 30_000 + "} }"
    values = 'query { charges(agreementIds: ["' + '","'.join(["agr_1"] * 30_000) + '"]) { successes } }'
    async with nothing_happens(one_world):
        for query in (words, values):
            answer = await post(one_world, {"query": query}, headers)
            assert answer.status_code < 500
            assert answer.json().get("errors"), answer.text[:200]


async def test_a_query_of_too_many_aliases_is_refused(one_world: World, headers: dict[str, str]) -> None:
    many = "{ " + " ".join(f"a{number}: authTest {{ ok }}" for number in range(16)) + " }"
    item = '[{agreementId: "agr_1", price: 1000, description: "x"}]'
    moves = " ".join(f"a{number}: chargeMake(charges: {item}) {{ successes }}" for number in range(16))
    hidden = (
        "{ ...a } fragment a on Query { " + " ".join(f"a{number}: authTest {{ ok }}" for number in range(20)) + " }"
    )
    async with nothing_happens(one_world):
        for query in (many, f"mutation {{ {moves} }}", hidden):
            assert (await ask(one_world, query, None, headers)).get("errors"), query[:60]


async def test_a_body_above_one_mebibyte_is_413_however_it_is_sent(one_world: World, headers: dict[str, str]) -> None:
    body = json.dumps({"query": "{ authTest { ok } }", "variables": {"x": "x" * 1024 * 1024}}).encode()

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 65_536):
            yield body[start : start + 65_536]

    async with nothing_happens(one_world):
        whole = await outside(one_world).post("/graphql", content=body, headers=JSON | headers)
        parts = await outside(one_world).post("/graphql", content=chunks(), headers=JSON | headers)
    assert (whole.status_code, parts.status_code) == (413, 413)


# Formats


async def test_queries_by_get_are_refused(one_world: World, headers: dict[str, str]) -> None:
    async with nothing_happens(one_world):
        for query in ("{ authTest { ok } }", MAKE_LITERAL.format(1000), ""):
            answer = await outside(one_world).get("/graphql", params={"query": query} if query else {}, headers=headers)
            assert 400 <= answer.status_code < 500
            assert "<html" not in answer.text.lower()


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
async def test_other_methods_are_refused(one_world: World, headers: dict[str, str], method: str) -> None:
    answer = await outside(one_world).request(method, "/graphql", json={"query": "{ __typename }"}, headers=headers)
    assert answer.status_code == 405


async def test_a_content_type_other_than_json_is_refused(one_world: World, headers: dict[str, str]) -> None:
    """A form can be sent from any page without asking first."""
    body = json.dumps({"query": MAKE_LITERAL.format(1000)})
    kinds = [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/graphql",
    ]
    statuses = {}
    async with nothing_happens(one_world):
        for kind in [*kinds, "", "x"]:
            sent = headers | {"Content-Type": kind}
            statuses[kind] = (await outside(one_world).post("/graphql", content=body, headers=sent)).status_code
    assert {kind: status for kind, status in statuses.items() if not 400 <= status < 500} == {}


BAD_BODIES = [
    b"", b"x", b"null", b"[]", b'"x"', b"5", b"{}", b'{"query": null}', b'{"query": 5}', b'{"query": ["{ a }"]}',
    b'{"query": ""}', b'{"query": "{"}', b'{"query": "{ unknown }"}', b'{"query": "{ __typename }", "variables": 5}',
    b'{"query": "{ __typename }", "variables": []}', b'{"query": "{ __typename }", "operationName": 5}',
    b'{"query": "{ __typename }", "operationName": "x"}',
    b'[{"query": "{ __typename }"}, {"query": "{ __typename }"}]', b"\xff\xfe", b"[" * 100_000,
    b'{"query": "{ __typename }", "variables": ' + b"[" * 100_000, b'{"query": "subscription { x }"}',
    b'{"query": "\\ud800"}', b'{"query": "\\u0000"}', b'{"query": "{ __typename }", "extensions": 5}',
]  # fmt: skip


async def test_a_body_that_is_no_request_is_refused_and_not_a_mistake_of_ours(
    one_world: World, headers: dict[str, str]
) -> None:
    crashed = []
    async with nothing_happens(one_world):
        for body in BAD_BODIES:
            answer = await raw(one_world, body, headers)
            if answer.status_code >= 500 or "An internal error" in answer.text:
                crashed.append(body[:60])
            elif answer.status_code == 200 and body != BAD_BODIES[-1]:
                assert answer.json().get("errors"), body[:60]
    assert crashed == []


async def test_texts_that_are_no_unicode_are_answered(one_world: World, headers: dict[str, str]) -> None:
    """JSON can spell them and UTF-8 cannot."""
    bad = "\ud800"
    item = {"agreementId": bad, "price": 1000, "description": "x"}
    good = {"agreementId": "agr_1", "price": 1000, "description": "x"}
    one = "query ($id: ID!) { agreement(id: $id) { id } }"
    statuses = {}
    for name, query, variables in (
        ("agreement", one, {"id": bad}),
        ("charges", CHARGES, {"ids": [bad]}),
        ("chargeMake", CHARGE_MAKE, {"charges": [good, item]}),
        ("description", CHARGE_MAKE, {"charges": [good | {"description": bad}]}),
        ("channel", "query ($c: String) { authTest(channel: $c) { ok } }", {"c": bad}),
    ):
        statuses[name] = (await post(one_world, {"query": query, "variables": variables}, headers)).status_code
    one_world.unforeseen.clear()
    assert {name: status for name, status in statuses.items() if status != 200} == {}


# Mistakes of ours


async def test_what_nobody_foresaw_is_masked(one_world: World, headers: dict[str, str]) -> None:
    """A table is gone: neither its name nor the query nor a secret may be in the answer."""
    agreement = await one_world.agreement(headers)
    await made(one_world, headers, agreement, "order-0001")
    async with one_world.context.store.engine.begin() as connection:
        await connection.execute(text("ALTER TABLE agreement RENAME TO elsewhere"))
    for query, variables in (("{ agreements { totalCount } }", {}), (CHARGES, {"ids": [agreement]})):
        [error] = (await ask(one_world, query, variables, headers))["errors"]
        assert error["message"] == "An internal error; it is logged."
        assert "SELECT" not in str(error)
        assert "agreement WHERE" not in str(error)
    assert len(one_world.unforeseen) == 2
    one_world.unforeseen.clear()


async def test_refusals_carry_a_code_and_no_stack(one_world: World) -> None:
    [error] = (await ask(one_world, "{ agreements { totalCount } }"))["errors"]
    assert error["extensions"] == {"code": "UNAUTHENTICATED"}
    assert set(error) <= {"message", "locations", "path", "extensions"}


# The schema


def test_the_exported_schema_is_the_one_that_is_served() -> None:
    """Write it anew with: python -c "from app.gql.schema import export; print(export(), end='')"."""
    assert (PROJECT / "graphql" / "extension.graphql").read_text() == export()


def test_the_exported_schema_can_be_read_and_has_the_promised_names() -> None:
    schema = build_schema(export())
    assert schema.query_type is not None
    assert schema.mutation_type is not None
    assert {"authTest", "agreement", "agreements", "charges", "charge"} <= set(schema.query_type.fields)
    mutations = {"agreementCreate", "agreementUpdate", "agreementCancel"}
    mutations |= {"chargeMake", "chargeCancel", "chargeRefund", "chargeCapture"}
    assert mutations <= set(schema.mutation_type.fields)
    assert "Float" not in print_schema(schema)


async def test_the_schema_can_be_asked_for_and_any_origin_may_ask(one_world: World) -> None:
    answer = await ask(one_world, "{ __schema { queryType { name } mutationType { name } } }")
    assert answer["data"]["__schema"] == {"queryType": {"name": "Query"}, "mutationType": {"name": "Mutation"}}
    asked = {
        "Origin": "https://storefront.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    preflight = await one_world.http.options("/graphql", headers=asked)
    assert preflight.status_code == 200
    assert preflight.headers["Access-Control-Allow-Origin"] == "*"
    assert "Access-Control-Allow-Credentials" not in preflight.headers


# Queries that are small to write and large to look at


async def test_fragments_that_double_at_each_level_are_refused_at_once(one_world: World) -> None:
    levels = 30
    fragments = " ".join(f"fragment F{n} on Query {{ ...F{n + 1} ...F{n + 1} }}" for n in range(levels))
    query = f"{{ ...F0 }} {fragments} fragment F{levels} on Query {{ authTest {{ ok }} }}"
    began = time.process_time()

    answer = await ask(one_world, query)

    assert answer["errors"][0]["message"] == "the query has more than 20 fragment spreads"
    assert time.process_time() - began < 2


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("{ " + "authTest { ok } " * 500 + "}", "selections"),
        ("{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }", "circles"),
        ("{ ...A } fragment A on Query { authTest { ok } ...A }", "circles"),
        ("{ agreements " + "{ edges { node " * 6 + "{ id }" + " } }" * 6 + " }", "deep"),
        ("{ " + " ".join(f"a{n}: authTest {{ ok }}" for n in range(16)) + " }", "aliases"),
    ],
)
async def test_a_query_that_is_too_large_is_refused_before_it_is_validated(
    one_world: World, query: str, why: str
) -> None:
    [error] = (await ask(one_world, query))["errors"]
    assert why in error["message"]


async def test_a_large_batch_written_into_the_query_itself_is_no_large_query(
    one_world: World, headers: dict[str, str]
) -> None:
    items = " ".join(f'{{ agreementId: "agr_x{n}", price: 100, description: "x" }}' for n in range(300))
    query = f"mutation {{ chargeMake(charges: [{items}]) {{ errors {{ index code }} }} }}"
    answer = await ask(one_world, query, {}, headers)
    assert len(answer["data"]["chargeMake"]["errors"]) == 300
