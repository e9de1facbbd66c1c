"""The manifest for every Saleor version, and its agreement with the documents we send and the paths we serve."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    GraphQLSchema,
    InlineFragmentNode,
    Node,
    OperationDefinitionNode,
    OperationType,
    Visitor,
    parse,
    validate,
    visit,
)

from app.saleor.documents import document
from app.saleor.manifest import app_identifier, event_names, manifest, schema_version, synchronous_events
from app.saleor.simulator.schema import schema_of
from tests.web.helpers import outside
from tests.world import APP_URL, SHOP, World, make_world

PROJECT = Path(__file__).resolve().parents[2]
VERSIONS = ("3.21", "3.22", "3.23", "3.24")
GARBAGE = (None, "", "x", "3", "latest", "v3.23", "-1.-1", "3.", ".23", "null")
FILES = sorted((PROJECT / "graphql").glob("*/*.graphql"))
DOCUMENTS = [path for path in FILES if path.parent.name != "fragments"]
# What only later versions are sent; `app/saleor/versions.py` decides about each of them.
LATER = {"report-event-with-method": "3.22", "raise-problem": "3.22", "dismiss-problem": "3.22"}
SYNCHRONOUS = {
    "PAYMENT_GATEWAY_INITIALIZE_SESSION",
    "TRANSACTION_INITIALIZE_SESSION",
    "TRANSACTION_PROCESS_SESSION",
    "TRANSACTION_CHARGE_REQUESTED",
    "TRANSACTION_REFUND_REQUESTED",
    "TRANSACTION_CANCELATION_REQUESTED",
    "LIST_STORED_PAYMENT_METHODS",
    "STORED_PAYMENT_METHOD_DELETE_REQUESTED",
}
PERSONAL = {
    "email",
    "userEmail",
    "firstName",
    "lastName",
    "phone",
    "billingAddress",
    "shippingAddress",
    "customerIpAddress",
    "customerNote",
}


@pytest.fixture
async def served(sqlite_url: str) -> AsyncIterator[World]:
    world = make_world(sqlite_url)
    yield world
    await world.context.close()


async def fetch(world: World, version: str | None) -> dict[str, Any]:
    headers = {} if version is None else {"Saleor-Schema-Version": version}
    answer = await world.http.get("/api/manifest", headers=headers)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("application/json")
    body: dict[str, Any] = answer.json()
    return body


def events(hook: dict[str, Any]) -> list[str]:
    return [*hook.get("asyncEvents", []), *hook.get("syncEvents", [])]


def names(body: dict[str, Any]) -> list[str]:
    return [event for hook in body["webhooks"] for event in events(hook)]


def text_of(path: Path) -> str:
    """A document as it is sent, with its fragments."""
    return document(f"{path.parent.name}/{path.stem}")


@pytest.fixture(params=VERSIONS)
def versioned(request: pytest.FixtureRequest, shared_data: Callable[[str], Path]) -> tuple[str, GraphQLSchema]:
    """A version and Saleor's real schema of it."""
    version: str = request.param
    return version, schema_of(version, shared_data(f"saleor/schema-{version}.graphql").parent)


# What is served


async def test_every_version_gets_all_that_saleor_requires(served: World) -> None:
    for version in VERSIONS:
        body = await fetch(served, version)
        assert (body["id"], body["name"], body["version"]) == ("vipps-recurring", "Vipps Recurring", served.app.version)
        assert body["tokenTargetUrl"] == f"{APP_URL}/api/register"
        assert set(body["permissions"]) == {"HANDLE_PAYMENTS", "MANAGE_ORDERS"}
        assert body["author"].strip()
        assert len(body["name"]) <= 60
        assert len(body["author"]) <= 60
        assert None not in body.values()
        for hook in body["webhooks"]:
            assert set(hook) >= {"name", "targetUrl", "query", "isActive"}
            assert len(events(hook)) == 1
            assert hook["targetUrl"].startswith(f"{APP_URL}/api/webhooks/saleor/")
            assert len(hook["targetUrl"]) <= 255


@pytest.mark.parametrize(("version", "tells"), [("3.21", False), ("3.22", False), ("3.23", True), ("3.24", True)])
async def test_the_own_removal_and_identifiers_are_known_from_323_on(
    served: World, version: str, *, tells: bool
) -> None:
    body = await fetch(served, version)
    assert ("APP_DELETED" in names(body)) is tells
    assert all(("identifier" in hook) is tells for hook in body["webhooks"])
    identifiers = [hook.get("identifier") for hook in body["webhooks"]]
    assert not tells or len(set(identifiers)) == len(identifiers)


@pytest.mark.parametrize(("version", "shown"), [("3.21", False), ("3.22", True), ("3.23", True), ("3.24", True)])
async def test_widgets_are_named_where_saleor_knows_such_places(served: World, version: str, *, shown: bool) -> None:
    extensions = (await fetch(served, version)).get("extensions", [])
    assert [(it["mount"], it["target"], it["url"]) for it in extensions] == (
        [
            ("ORDER_DETAILS_WIDGETS", "WIDGET", f"{APP_URL}/app/widgets/order"),
            ("CUSTOMER_DETAILS_WIDGETS", "WIDGET", f"{APP_URL}/app/widgets/customer"),
        ]
        if shown
        else []
    )
    assert all(("identifier" in it) is (version >= "3.23") for it in extensions)
    # Left out, the method is another one in Saleor's code than in its documentation.
    assert all(it["options"] == {"widgetTarget": {"method": "GET"}} for it in extensions)


async def test_the_order_events_are_in_every_version(served: World) -> None:
    for version in VERSIONS:
        wanted = {"ORDER_CREATED", "ORDER_CONFIRMED", "ORDER_UPDATED", "ORDER_METADATA_UPDATED"}
        assert wanted <= set(names(await fetch(served, version)))


async def test_the_payment_events_are_in_every_version_and_wait_for_their_answer(served: World) -> None:
    for version in VERSIONS:
        hooks = (await fetch(served, version))["webhooks"]
        waiting = [event for hook in hooks for event in hook.get("syncEvents", [])]
        assert sorted(waiting) == sorted(SYNCHRONOUS)
    assert synchronous_events() == {event.lower() for event in SYNCHRONOUS}


async def test_without_a_readable_version_the_oldest_manifest_is_served(served: World) -> None:
    oldest = await fetch(served, "3.21")
    for header in GARBAGE:
        assert await fetch(served, header) == oldest, header
        assert schema_version(header) == (3, 21), header


@pytest.mark.parametrize("header", ["3.23.28", "3.23-a.1", "3.99", "4.0", "10.0"])
async def test_patch_levels_and_later_versions_get_the_newest_manifest(served: World, header: str) -> None:
    assert await fetch(served, header) == await fetch(served, "3.24")


async def test_a_hostile_version_header_is_answered_like_none(served: World) -> None:
    http = outside(served)
    for header in ("9" * 5000 + ".1", "3." + "9" * 5000, "3.23" + "\t" * 100):
        answer = await http.get("/api/manifest", headers={"Saleor-Schema-Version": header})
        assert answer.status_code == 200, header[:20]


# Documents, events and paths agree


def test_every_document_is_valid_against_every_version(versioned: tuple[str, GraphQLSchema]) -> None:
    version, schema = versioned
    assert DOCUMENTS
    for path in DOCUMENTS:
        if version >= LATER.get(path.stem, ""):
            assert validate(schema, parse(text_of(path))) == [], f"{path.name} for {version}"


def test_what_only_later_versions_are_sent_is_not_valid_for_the_oldest(shared_data: Callable[[str], Path]) -> None:
    """Otherwise it could be sent to all."""
    schema = schema_of("3.21", shared_data("saleor/schema-3.21.graphql").parent)
    later = [path for path in DOCUMENTS if path.stem in LATER]
    assert len(later) == len(LATER)
    for path in later:
        assert validate(schema, parse(text_of(path))), path.name


def test_every_fragment_is_used_and_stands_in_the_file_of_its_name() -> None:
    fragments = [path for path in FILES if path.parent.name == "fragments"]
    sent = "".join(text_of(path) for path in DOCUMENTS)
    assert fragments
    for path in fragments:
        [fragment] = parse(path.read_text()).definitions
        assert isinstance(fragment, FragmentDefinitionNode)
        assert fragment.name.value == "".join(part.capitalize() for part in path.stem.split("-"))
        assert f"...{fragment.name.value}\n" in sent


def test_payment_webhooks_ask_for_nothing_about_a_person_but_the_id() -> None:
    for hook in manifest(APP_URL, "1", "3.24")["webhooks"]:
        if "syncEvents" in hook:
            assert _all_fields(parse(hook["query"])) & PERSONAL == set(), hook["name"]


async def test_every_query_of_the_manifest_is_valid_for_its_version(
    served: World, versioned: tuple[str, GraphQLSchema]
) -> None:
    version, schema = versioned
    for hook in (await fetch(served, version))["webhooks"]:
        assert validate(schema, parse(hook["query"])) == [], hook["name"]


def _all_fields(node: Node) -> set[str]:
    """The names of all fields in a document, at any depth."""
    found: set[str] = set()

    class Names(Visitor):
        def enter_field(self, field: FieldNode, *_: object) -> None:
            found.add(field.name.value)

    visit(node, Names())
    return found


def _operation(document: DocumentNode) -> OperationDefinitionNode:
    [operation] = [it for it in document.definitions if isinstance(it, OperationDefinitionNode)]
    return operation


def _fields(operation: OperationDefinitionNode) -> set[str]:
    """What the one event of a subscription selects."""
    [event] = operation.selection_set.selections
    assert isinstance(event, FieldNode)
    assert event.name.value == "event"
    assert event.selection_set is not None
    [fragment] = event.selection_set.selections
    assert isinstance(fragment, InlineFragmentNode)
    assert fragment.type_condition is not None
    return {it.name.value for it in fragment.selection_set.selections if isinstance(it, FieldNode)} | {
        "on " + fragment.type_condition.name.value
    }


def test_each_webhook_listens_to_the_event_that_its_document_selects_and_asks_for_the_recipient() -> None:
    for hook in manifest(APP_URL, "1", "3.24")["webhooks"]:
        operation = _operation(parse(hook["query"]))
        assert operation.operation is OperationType.SUBSCRIPTION
        [event] = events(hook)
        fields = _fields(operation)
        assert "on " + "".join(part.capitalize() for part in event.split("_")) in fields
        assert {"recipient", "issuedAt"} <= fields
        assert fields & {"order", "app", "transaction", "sourceObject", "user"}


def test_there_is_a_document_for_each_event_and_an_event_for_each_document() -> None:
    paths = event_names()
    assert set(paths) == {path.stem for path in DOCUMENTS if path.parent.name == "subscriptions"}
    assert {name.replace("-", "_") for name in paths} == set(paths.values())
    assert set(paths.values()) == {name.lower() for name in names(manifest(APP_URL, "1", "3.24"))}


async def test_each_target_url_of_the_manifest_is_served(served: World) -> None:
    for hook in (await fetch(served, "3.24"))["webhooks"]:
        answer = await served.http.post(hook["targetUrl"], content=b"{}")
        # It is known, and wants its headers.
        assert answer.status_code == 400, hook["targetUrl"]
        assert "Saleor-Event" in answer.json()["error"]["message"]
    assert (await served.http.post("/api/webhooks/saleor/unknown", content=b"{}")).status_code == 404


def test_documents_are_what_their_folder_says() -> None:
    kinds = {"queries": OperationType.QUERY, "mutations": OperationType.MUTATION}
    kinds["subscriptions"] = OperationType.SUBSCRIPTION
    for path in DOCUMENTS:
        assert _operation(parse(text_of(path))).operation is kinds[path.parent.name]


def test_the_graphql_folder_is_no_package() -> None:
    """It would hide graphql-core, and nothing could be imported any more."""
    assert list((PROJECT / "graphql").rglob("*.py")) == []


def test_the_identifier_never_changes() -> None:
    """Saleor keeps transactions by it: another identifier is another app."""
    assert app_identifier() == "vipps-recurring"


@pytest.mark.parametrize("version", VERSIONS)
async def test_each_version_of_the_simulated_shop_installs_the_app(sqlite_url: str, version: str) -> None:
    world = make_world(sqlite_url, version=version)
    app = await world.install()
    assert app.is_installed
    assert app.permissions == {"HANDLE_PAYMENTS", "MANAGE_ORDERS"}
    assert len(app.webhooks) == (13 if version in {"3.23", "3.24"} else 12)
    async with world.context.store.begin() as unit:
        installation = await unit.installations.get(SHOP)
    assert installation is not None
    assert (installation.app_id, installation.token) == (app.id, app.token)
    assert (installation.saleor_version or "").startswith(version)
    await world.context.close()


async def test_the_manifest_may_be_read_by_anybody_and_holds_no_secret(served: World) -> None:
    answer = await served.http.get("/api/manifest")
    assert isinstance(answer, httpx.Response)
    for secret in served.context.settings.secret_key:
        assert secret not in answer.text
