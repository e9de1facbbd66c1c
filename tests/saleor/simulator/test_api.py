"""The API: who may ask for what, what is refused before it runs, and what mutations change."""

from typing import Any

import pytest

from app.saleor.simulator.api.execution import Answer
from app.saleor.simulator.models import App
from app.saleor.simulator.simulator import Simulator
from tests.saleor.simulator.doubles import MANIFEST_URL

Shop = Simulator


def ask(shop: Shop, query: str, token: str | None = None, **variables: Any) -> Answer:
    headers = {"authorization": f"Bearer {token}"} if token else {}
    return shop.execute({"query": query, "variables": variables}, headers)


def data(answer: Answer) -> Any:
    assert "errors" not in answer.content, answer.content["errors"]
    return answer.content["data"]


def codes(answer: Answer) -> list[str]:
    return [error["extensions"]["exception"]["code"] for error in answer.content.get("errors", [])]


@pytest.fixture
async def app(shop: Shop) -> App:
    return await shop.install(MANIFEST_URL)


async def test_both_header_names_carry_the_token(shop: Shop, app: App) -> None:
    for headers in ({"authorization": f"JWT {app.token}"}, {"authorization-bearer": app.token}):
        assert data(shop.execute({"query": "{ app { id } }"}, headers)) == {"app": {"id": app.id}}


@pytest.mark.parametrize("token", [None, "x" * 30])
async def test_no_token_or_an_unknown_one_is_nobody(shop: Shop, app: App, token: str | None) -> None:
    assert app.is_active
    assert data(ask(shop, "{ app { id } me { id } }", token)) == {"app": None, "me": None}


def test_shop_tells_its_version_to_apps_only(shop: Shop) -> None:
    answer = ask(shop, "{ shop { name schemaVersion domain { host url sslEnabled } } }")
    domain = {"host": "shop.example", "url": "https://shop.example/", "sslEnabled": True}
    assert data(answer) == {"shop": {"name": "Saleor e-commerce", "schemaVersion": "3.23", "domain": domain}}
    assert codes(ask(shop, "{ shop { version } }")) == ["PermissionDenied"]


async def test_order_shows_prices_lines_and_metadata(shop: Shop, app: App) -> None:
    product = shop.create_product(metadata={"vipps-recurring.interval": "MONTH:1"})
    order = shop.create_order(shop.create_customer(), [(product, 2)], channel="denmark", paid=True)
    query = """query($id: ID!) { order(id: $id) {
      number status chargeStatus authorizeStatus paymentStatus isPaid origin userEmail user { email }
      total { gross { amount currency } tax { amount } } totalBalance { amount }
      channel { slug currencyCode defaultCountry { code } } shippingAddress { city country { country } }
      lines { quantity unitPrice { net { amount } }
        variant { sku product { metafield(key: "vipps-recurring.interval") } } }
      transactions { id } events { type user { email } }
    } }"""
    found = data(ask(shop, query, app.token, id=order.id))["order"]
    assert found["total"]["gross"] == {"amount": 398.0, "currency": "DKK"}
    assert found["channel"] == {"slug": "denmark", "currencyCode": "DKK", "defaultCountry": {"code": "DK"}}
    assert found["lines"][0]["variant"]["product"] == {"metafield": "MONTH:1"}
    assert (found["chargeStatus"], found["isPaid"], found["paymentStatus"]) == ("FULL", True, "FULLY_CHARGED")
    assert found["events"][0] == {"type": "PLACED", "user": {"email": "ola.nordmann@example.com"}}


def test_stranger_with_the_id_sees_an_order_but_neither_person_nor_secrets(shop: Shop) -> None:
    order = shop.create_order(shop.create_customer(), amount=1)
    query = "query($id: ID!) { order(id: $id) { %s } }"
    open_fields = "number userEmail billingAddress { city } metadata { key }"
    seen = data(ask(shop, query % open_fields, id=order.id))["order"]
    assert seen == {"number": "1", "userEmail": "o...@example.com", "billingAddress": None, "metadata": []}
    for secret in ("privateMetadata { key }", "transactions { id }", "events { id }", "user { id }"):
        answer = ask(shop, query % secret, id=order.id)
        assert (answer.status, codes(answer)) == (200, ["PermissionDenied"]), secret


def test_customer_sees_their_own_order_but_not_its_transactions(shop: Shop) -> None:
    customer, other = shop.create_customer(), shop.create_customer("kari@example.com")
    order = shop.create_order(customer, amount=1)
    query = "query($id: ID!) { me { email } order(id: $id) { userEmail user { id } } }"
    token = shop.tokens.access(customer)
    expected = {"me": {"email": customer.email}, "order": {"userEmail": customer.email, "user": {"id": customer.id}}}
    assert data(ask(shop, query, token, id=order.id)) == expected
    assert codes(ask(shop, query, shop.tokens.access(other), id=order.id)) == ["PermissionDenied"]
    assert codes(ask(shop, "query($id: ID!) { order(id: $id) { transactions { id } } }", token, id=order.id)) == [
        "PermissionDenied"
    ]


async def test_orders_are_for_those_who_manage_them_page_by_page(shop: Shop, app: App) -> None:
    for _ in range(3):
        shop.create_order(email="a@example.com", amount=1)
    query = """query($after: String) { orders(first: 2, after: $after) {
      totalCount edges { node { number } } pageInfo { hasNextPage endCursor } } }"""
    assert codes(ask(shop, query)) == ["PermissionDenied"]
    first = data(ask(shop, query, app.token))["orders"]
    assert [edge["node"]["number"] for edge in first["edges"]] == ["3", "2"]
    assert first["pageInfo"]["hasNextPage"]
    second = data(ask(shop, query, app.token, after=first["pageInfo"]["endCursor"]))["orders"]
    assert [edge["node"]["number"] for edge in second["edges"]] == ["1"]
    assert not second["pageInfo"]["hasNextPage"]


@pytest.mark.parametrize("arguments", ["", "(first: 101)", "(first: 1, last: 1)"])
async def test_orders_need_one_page_size_up_to_a_hundred(shop: Shop, app: App, arguments: str) -> None:
    answer = ask(shop, f"{{ orders{arguments} {{ totalCount }} }}", app.token)
    assert (answer.status, codes(answer)) == (200, ["GraphQLError"])


LIST = """query($filter: OrderFilterInput, $sortBy: OrderSortingInput, $first: Int, $last: Int, $after: String,
  $before: String) {
  orders(filter: $filter, sortBy: $sortBy, first: $first, last: $last, after: $after, before: $before) {
    totalCount edges { cursor node { number } }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
  }
}"""
OLDEST_FIRST = {"field": "CREATED_AT", "direction": "ASC"}


def listed(shop: Shop, app: App, **arguments: Any) -> Any:
    size = {} if "last" in arguments else {"first": 100}
    return data(ask(shop, LIST, app.token, **(size | arguments)))["orders"]


def numbers(orders: Any) -> list[str]:
    return [edge["node"]["number"] for edge in orders["edges"]]


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ([{"key": "a"}], ["3", "2", "1"]),
        ([{"key": "a", "value": None}], ["3", "2", "1"]),
        ([{"key": "a", "value": ""}], ["3", "2", "1"]),  # as if there were no value
        ([{"key": "a", "value": "1"}], ["1"]),
        ([{"key": "a"}, {"key": "b"}], ["2"]),
        ([{"key": "A"}], []),
        ([{"key": "private"}], []),
        ([], ["5", "4", "3", "2", "1"]),
    ],
)
async def test_orders_are_filtered_by_public_metadata(
    shop: Shop, app: App, pairs: list[dict[str, str | None]], expected: list[str]
) -> None:
    for metadata in ({"a": "1"}, {"a": "2", "b": "1"}, {"a": ""}, {"b": "2"}, {}):
        shop.create_order(email="a@example.com", amount=1, metadata=metadata, private_metadata={"private": "1"})
    assert numbers(listed(shop, app, filter={"metadata": pairs})) == expected
    assert codes(ask(shop, LIST, filter={"metadata": pairs}, first=1)) == ["PermissionDenied"]


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        ({"gte": "2026-11-22"}, ["1", "2", "3"]),
        ({"gte": "2026-11-23"}, ["2", "3"]),
        ({"gte": "2026-11-23", "lte": "2026-11-23"}, ["2"]),
        ({"lte": "2026-11-22"}, ["1"]),
        ({"gte": "2026-11-25"}, []),
        ({}, ["1", "2", "3"]),
    ],
)
async def test_orders_are_filtered_by_the_day_they_were_made(
    shop: Shop, app: App, days: dict[str, str], expected: list[str]
) -> None:
    for _ in range(3):
        shop.create_order(email="a@example.com", amount=1)
        shop.clock.advance(24 * 3600)
    assert numbers(listed(shop, app, filter={"created": days}, sortBy=OLDEST_FIRST)) == expected


async def test_drafts_are_no_orders_yet(shop: Shop, app: App) -> None:
    shop.create_order(email="a@example.com", amount=1).status = "DRAFT"
    assert listed(shop, app)["totalCount"] == 0


@pytest.mark.parametrize("field", ["CREATED_AT", "NUMBER"])
@pytest.mark.parametrize("direction", ["ASC", "DESC"])
async def test_pages_follow_each_other_in_both_directions(shop: Shop, app: App, field: str, direction: str) -> None:
    for number in range(5):  # some at the same time
        shop.clock.advance(number % 2)
        shop.create_order(email="a@example.com", amount=1)
    expected = [str(number) for number in range(1, 6)][:: 1 if direction == "ASC" else -1]
    sort_by = {"field": field, "direction": direction}
    forwards, page = [], listed(shop, app, sortBy=sort_by, first=2)
    assert not page["pageInfo"]["hasPreviousPage"]
    forwards += numbers(page)
    while page["pageInfo"]["hasNextPage"]:
        page = listed(shop, app, sortBy=sort_by, first=2, after=page["pageInfo"]["endCursor"])
        assert page["pageInfo"]["hasPreviousPage"]
        assert page["totalCount"] == 5
        forwards += numbers(page)
    assert forwards == expected
    backwards, page = [], listed(shop, app, sortBy=sort_by, last=2)
    assert not page["pageInfo"]["hasNextPage"]
    backwards += numbers(page)[::-1]
    while page["pageInfo"]["hasPreviousPage"]:
        page = listed(shop, app, sortBy=sort_by, last=2, before=page["pageInfo"]["startCursor"])
        assert page["pageInfo"]["hasNextPage"]
        backwards += numbers(page)[::-1]
    assert backwards == expected[::-1]


async def test_a_cursor_belongs_to_its_sorting(shop: Shop, app: App) -> None:
    shop.create_order(email="a@example.com", amount=1)
    cursor = listed(shop, app)["pageInfo"]["endCursor"]
    for broken in (cursor[:-4], "nonsense", "W10=", "MQ==", "WyJ4Il0="):
        assert codes(ask(shop, LIST, app.token, first=1, after=broken)) == ["GraphQLError"], broken
    assert codes(ask(shop, LIST, app.token, first=1, after=cursor, sortBy=OLDEST_FIRST)) == ["GraphQLError"]
    assert codes(ask(shop, LIST, app.token, first=1, before=cursor)) == ["GraphQLError"]
    assert codes(ask(shop, LIST, app.token, last=1, after=cursor)) == ["GraphQLError"]


async def test_what_the_list_of_orders_does_not_know_is_refused(shop: Shop, app: App) -> None:
    shop.create_order(email="a@example.com", amount=1)
    assert codes(ask(shop, LIST, app.token, first=1, filter={"created": {"gte": "soon"}})) == ["GraphQLError"]
    if "OrderWhereInput" not in shop.schema.type_map:
        pytest.skip("the complete schema is not at hand")
    by_customer = {"field": "CUSTOMER", "direction": "ASC"}
    assert codes(ask(shop, LIST, app.token, first=1, sortBy=by_customer)) == ["NotServed"]
    assert codes(ask(shop, LIST, app.token, first=1, filter={"customer": "Ola"})) == ["NotServed"]
    assert codes(ask(shop, "{ orders(first: 1, where: {}) { totalCount } }", app.token)) == ["NotServed"]


async def test_order_by_external_reference_needs_permission(shop: Shop, app: App) -> None:
    order = shop.create_order(email="a@example.com", amount=1, external_reference="ref")
    query = '{ order(externalReference: "ref") { id } }'
    assert data(ask(shop, query, app.token))["order"] == {"id": order.id}
    assert codes(ask(shop, query)) == ["PermissionDenied"]


async def test_channels_are_for_apps_and_staff(shop: Shop, app: App) -> None:
    found = data(ask(shop, "{ channels { slug currencyCode } }", app.token))["channels"]
    assert {(c["slug"], c["currencyCode"]) for c in found} == {
        ("norway", "NOK"),
        ("denmark", "DKK"),
        ("finland", "EUR"),
    }
    assert codes(ask(shop, "{ channels { slug } }")) == ["PermissionDenied"]


UPDATE = """mutation($id: ID!, $input: [MetadataInput!]!) { %s(id: $id, input: $input) {
  item { metadata { key value } } errors { field code } } }"""
DELETE = "mutation($id: ID!, $keys: [String!]!) { %s(id: $id, keys: $keys) { errors { code } } }"


async def test_metadata_is_written_and_removed(shop: Shop, app: App) -> None:
    order = shop.create_order(email="a@example.com", amount=1, metadata={"z": "0"})
    pairs = [{"key": "a", "value": "1"}]
    written = data(ask(shop, UPDATE % "updateMetadata", app.token, id=order.id, input=pairs))["updateMetadata"]
    assert written == {"item": {"metadata": [*pairs, {"key": "z", "value": "0"}]}, "errors": []}
    ask(shop, UPDATE % "updatePrivateMetadata", app.token, id=order.id, input=pairs)
    assert (order.metadata, order.private_metadata) == ({"z": "0", "a": "1"}, {"a": "1"})
    ask(shop, DELETE % "deleteMetadata", app.token, id=order.id, keys=["z", "unknown"])
    ask(shop, DELETE % "deletePrivateMetadata", app.token, id=order.id, keys=["a"])
    assert (order.metadata, order.private_metadata) == ({"a": "1"}, {})


async def test_app_writes_its_own_metadata_without_permissions(shop: Shop) -> None:
    app = await shop.install(MANIFEST_URL, [])
    for name in ("updateMetadata", "updatePrivateMetadata"):
        data(ask(shop, UPDATE % name, app.token, id=app.id, input=[{"key": "k", "value": "v"}]))
    query = "{ app { metadata { value } privateMetadata { value } } }"
    assert data(ask(shop, query, app.token))["app"] == {
        "metadata": [{"value": "v"}],
        "privateMetadata": [{"value": "v"}],
    }


async def test_strangers_write_public_metadata_of_an_order_but_not_private(shop: Shop) -> None:
    order = shop.create_order(email="a@example.com", amount=1)
    pairs = [{"key": "vipps-recurring.agreement", "value": "agr_1"}]
    data(ask(shop, UPDATE % "updateMetadata", id=order.id, input=pairs))
    assert order.metadata == {"vipps-recurring.agreement": "agr_1"}
    answer = ask(shop, UPDATE % "updatePrivateMetadata", id=order.id, input=pairs)
    assert (codes(answer), answer.content["data"]) == (["PermissionDenied"], {"updatePrivateMetadata": None})
    assert order.private_metadata == {}


async def test_metadata_mistakes_are_errors_of_the_payload(shop: Shop, app: App) -> None:
    order = shop.create_order(email="a@example.com", amount=1)
    empty = [{"key": " ", "value": "1"}]
    answers = [
        ask(shop, UPDATE % "updateMetadata", app.token, id=order.id, input=empty),
        ask(shop, UPDATE % "updateMetadata", app.token, id="T3JkZXI6MQ==", input=[]),
    ]
    errors = [data(answer)["updateMetadata"]["errors"] for answer in answers]
    assert errors == [[{"field": "input", "code": "REQUIRED"}], [{"field": "id", "code": "NOT_FOUND"}]]


NOTE = """mutation($id: ID!, $text: String!) { orderNoteAdd(order: $id, input: {message: $text}) {
  event { type message app { id } } errors { field code } } }"""


async def test_note_is_kept_with_its_author(shop: Shop, app: App) -> None:
    order = shop.create_order(email="a@example.com", amount=1)
    note = data(ask(shop, NOTE, app.token, id=order.id, text=" hello "))["orderNoteAdd"]
    assert note == {"event": {"type": "NOTE_ADDED", "message": "hello", "app": {"id": app.id}}, "errors": []}
    assert [note.message for note in order.notes] == ["hello"]
    empty = data(ask(shop, NOTE, app.token, id=order.id, text=" "))["orderNoteAdd"]
    assert empty == {"event": None, "errors": [{"field": "message", "code": "REQUIRED"}]}
    assert codes(ask(shop, NOTE, id=order.id, text="anonymous")) == ["PermissionDenied"]


async def test_order_update_keeps_external_references_unique(shop: Shop, app: App) -> None:
    one = shop.create_order(email="a@example.com", amount=1, external_reference="one")
    two = shop.create_order(email="a@example.com", amount=1)
    query = """mutation($id: ID!, $input: OrderUpdateInput!) { orderUpdate(id: $id, input: $input) {
      order { externalReference userEmail } errors { code } } }"""
    changed = data(ask(shop, query, app.token, id=two.id, input={"externalReference": "two", "userEmail": "b@b.no"}))
    assert changed["orderUpdate"]["order"] == {"externalReference": "two", "userEmail": "b@b.no"}
    clash = data(ask(shop, query, app.token, id=two.id, input={"externalReference": one.external_reference}))
    assert clash["orderUpdate"] == {"order": None, "errors": [{"code": "UNIQUE"}]}


async def test_five_mutations_are_too_many_and_none_runs(shop: Shop, app: App) -> None:
    order = shop.create_order(email="a@example.com", amount=1)
    one = 'm%d: updateMetadata(id: "%s", input: [{key: "k", value: "v"}]) { errors { code } }'
    four = "mutation {" + " ".join(one % (n, order.id) for n in range(4)) + "}"
    five = "mutation {" + " ".join(one % (n, order.id) for n in range(5)) + "}"
    answer = ask(shop, five, app.token)
    assert (answer.status, "data" in answer.content, order.metadata) == (400, False, {})
    assert ask(shop, four, app.token).status == 200


@pytest.mark.parametrize(
    "query",
    [
        "{ shop { nonsense } }",
        "{ shop {",
        "",
        "subscription { event { issuedAt } }",
        "query($id: ID!) { order(id: $id) { id } }",
        "{ order(id: null) { id } }",
        "{" + " ".join(f"s{n}: shop {{ name }}" for n in range(101)) + "}",
    ],
)
def test_invalid_requests_are_http_400_without_data(shop: Shop, query: str) -> None:
    answer = ask(shop, query)
    assert (answer.status, "data" in answer.content) == (400, False)


def test_costly_query_is_refused(shop: Shop) -> None:
    costly = "lines { variant { product { variants { id } } } } user { id } events { id }"
    orders = " ".join(f"o{n}: orders(first: 100) {{ edges {{ node {{ ...Costly }} }} }}" for n in range(90))
    query = f"{{ {orders} }} fragment Costly on Order {{ {costly} }}"
    cost = 90 * (100 + 6 * 100)
    assert ask(shop, query).content["extensions"]["cost"]["requestedQueryCost"] == cost
    assert ask(shop, query).status == 400


def test_batches_and_bodies_without_a_query_are_http_400(shop: Shop) -> None:
    for body in (
        [{"query": "{ shop { name } }"}],
        None,
        {},
        {"query": 1},
        {"query": "{ shop { name } }", "variables": 1},
    ):
        assert shop.execute(body, {}).status == 400


async def test_answers_name_their_cost(shop: Shop, app: App) -> None:
    query = "{ app { id permissions { code } tokens { id authToken } } }"
    answer = ask(shop, query, app.token)
    assert answer.content["extensions"] == {"cost": {"requestedQueryCost": 2, "maximumAvailable": 50000}}
    assert data(answer)["app"]["tokens"][0]["authToken"] == app.token[-4:]


def test_bad_user_token_is_an_error_of_its_own(shop: Shop) -> None:
    customer = shop.create_customer()
    assert codes(ask(shop, "{ me { id } }", shop.tokens.expired(customer))) == ["ExpiredSignatureError"]
    assert codes(ask(shop, "{ me { id } }", shop.tokens.refresh(customer))) == ["InvalidTokenError"]
    assert codes(ask(shop, "{ me { id } }", "rubbish")) == ["InvalidTokenError"]
    token = shop.tokens.access(customer)
    customer.token_key = "changed"  # what a new password does
    assert codes(ask(shop, "{ me { id } }", token)) == ["InvalidTokenError"]


def test_rotated_key_ends_user_tokens(shop: Shop) -> None:
    token = shop.tokens.access(shop.create_customer())
    shop.rotate_key()
    assert codes(ask(shop, "{ me { id } }", token)) == ["InvalidTokenError"]


async def test_dashboard_token_has_what_both_the_app_and_the_user_may(shop: Shop, app: App) -> None:
    order = shop.create_order(email="a@example.com", amount=1)
    staff = shop.create_staff(permissions={"MANAGE_ORDERS", "MANAGE_USERS"})
    token = shop.tokens.dashboard(staff, app)
    data(ask(shop, UPDATE % "updatePrivateMetadata", token, id=order.id, input=[{"key": "k", "value": "v"}]))
    customer = shop.create_customer()  # MANAGE_USERS is the user's but not the app's
    denied = ask(shop, UPDATE % "updateMetadata", token, id=customer.id, input=[{"key": "k", "value": "v"}])
    assert codes(denied) == ["PermissionDenied"]


async def test_what_the_simulator_does_not_know_is_an_error_not_an_invention(shop: Shop, app: App) -> None:
    order = shop.create_order(email="a@example.com", amount=1)
    if "giftCards" not in getattr(shop.schema.type_map["Order"], "fields", {}):
        pytest.skip("the complete schema is not at hand")
    answer = ask(shop, "query($id: ID!) { order(id: $id) { giftCards { id } } }", app.token, id=order.id)
    assert codes(answer) == ["NotServed"]
