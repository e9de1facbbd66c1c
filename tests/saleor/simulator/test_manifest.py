"""Each rule of Saleor's for manifests, by the error code that breaking it gives."""

from typing import Any

import pytest

from app.saleor.simulator.manifest.validation import check_manifest
from app.saleor.simulator.manifest.versions import BadRange, satisfies
from app.saleor.simulator.schema import schema_of
from app.saleor.simulator.site import Site
from tests.saleor.simulator.doubles import manifest, webhook


def codes(document: Any, version: str = "3.23", installed: frozenset[str] = frozenset()) -> list[str]:
    site = Site("https://shop.example/graphql/", version)
    problems = check_manifest(document, site, schema_of(version, None), set(installed))
    return [problem.code for problem in problems]


def extension(**changes: Any) -> dict[str, Any]:
    return {"label": "Subscription", "url": "/widget", "mount": "ORDER_DETAILS_WIDGETS", "target": "WIDGET"} | changes


@pytest.mark.parametrize("version", ["3.21", "3.22", "3.23", "3.24"])
def test_good_manifest_has_no_problem_in_any_version(version: str) -> None:
    assert codes(manifest("OrderCreated", "OrderMetadataUpdated", "AppDeleted"), version) == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"id": ""}, ["REQUIRED"]),
        ({"version": None}, ["REQUIRED"]),
        ({"id": "x" * 257}, ["INVALID"]),
        ({"name": "x" * 61}, ["INVALID"]),
        ({"author": "  "}, ["INVALID"]),
        ({"appUrl": "app.example"}, ["INVALID_URL_FORMAT"]),
        ({"supportUrl": "https://a.example/" + "x" * 200}, ["INVALID"]),
        ({"permissions": ["MANAGE_EVERYTHING"]}, ["INVALID_PERMISSION"]),
        ({"permissions": None}, ["INVALID_MANIFEST_FORMAT"]),
        ({"webhooks": ["no object"]}, ["INVALID_MANIFEST_FORMAT"]),
        ({"brand": {"logo": {"default": "https://app.example/logo.svg"}}}, ["INVALID_URL_FORMAT"]),
        ({"brand": {"logo": {"default": "https://app.example/logo.png"}}}, []),
        ({"requiredSaleorVersion": ">=3.21 <4"}, []),
        ({"requiredSaleorVersion": "^3.24"}, ["UNSUPPORTED_SALEOR_VERSION"]),
        ({"requiredSaleorVersion": "soon"}, ["INVALID"]),
    ],
)
def test_field_rules(changes: dict[str, Any], expected: list[str]) -> None:
    assert codes(manifest(**changes)) == expected


def test_manifest_must_be_an_object() -> None:
    assert codes(["no"]) == ["INVALID_MANIFEST_FORMAT"]


def test_identifier_in_use_is_refused() -> None:
    assert codes(manifest(), installed=frozenset({"recurring.example"})) == ["UNIQUE"]


def test_manage_apps_is_refused_from_3_24_on() -> None:
    document = manifest(permissions=["MANAGE_APPS"])
    assert codes(document, "3.23") == []
    assert codes(document, "3.24") == ["OUT_OF_SCOPE_PERMISSION"]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"query": "subscription { event { ... on OrderCreated { order { nonsense } } } }"}, ["INVALID"]),
        ({"query": "{ shop { name } }"}, ["INVALID"]),
        ({"query": "subscription {"}, ["INVALID"]),
        ({"query": "subscription { event { issuedAt } }"}, ["INVALID"]),
        ({"query": ""}, ["REQUIRED"]),
        ({"asyncEvents": ["order_created"]}, ["INVALID"]),
        ({"asyncEvents": ["ORDER_CREATED"], "syncEvents": ["TRANSACTION_INITIALIZE_SESSION"]}, []),
        ({"targetUrl": "ftp://app.example/x"}, ["INVALID_URL_FORMAT"]),
        ({"targetUrl": "awssqs://key:secret@sqs.example/queue"}, []),
        ({"customHeaders": {"X-Key": "1"}}, []),
        ({"customHeaders": {"Cookie": "1"}}, ["INVALID_CUSTOM_HEADERS"]),
        ({"customHeaders": {f"X-{n}": "1" for n in range(6)}}, ["INVALID_CUSTOM_HEADERS"]),
    ],
)
def test_webhook_rules(changes: dict[str, Any], expected: list[str]) -> None:
    assert codes(manifest(webhooks=[webhook("OrderCreated", **changes)])) == expected


def test_subscription_with_a_null_literal_is_refused_as_saleor_cannot_parse_it() -> None:
    query = "subscription { event { ... on OrderCreated { order { metafields(keys: null) } } } }"
    assert codes(manifest(webhooks=[webhook("OrderCreated", query=query)])) == ["INVALID"]


def test_webhook_identifiers_are_unique_from_3_23_on() -> None:
    document = manifest(webhooks=[webhook("OrderCreated", identifier="a"), webhook("OrderUpdated", identifier="a")])
    assert codes(document, "3.23") == ["DUPLICATED_WEBHOOK_IDENTIFIER"]
    assert codes(document, "3.22") == []


@pytest.mark.parametrize(
    ("changes", "expected_3_22", "expected_3_23"),
    [
        ({}, [], []),
        ({"label": ""}, ["REQUIRED"], ["REQUIRED"]),
        ({"mount": "HOMEPAGE_WIDGETS"}, ["INVALID", "INVALID"], []),
        ({"mount": "SEARCH_ACTION", "target": "POPUP"}, ["INVALID"], []),
        ({"permissions": ["MANAGE_USERS"]}, ["OUT_OF_SCOPE_PERMISSION"], ["OUT_OF_SCOPE_PERMISSION"]),
        ({"url": "no url"}, ["INVALID_URL_FORMAT"], ["INVALID_URL_FORMAT"]),
        ({"target": "APP_PAGE", "url": "https://app.example/x"}, ["INVALID_URL_FORMAT"], []),
        (
            {"url": "https://other.example/x", "options": {"widgetTarget": {"method": "POST"}}},
            ["INVALID_URL_FORMAT"],
            [],
        ),
    ],
)
def test_extension_rules(changes: dict[str, Any], expected_3_22: list[str], expected_3_23: list[str]) -> None:
    document = manifest(extensions=[extension(**changes)])
    assert codes(document, "3.22") == expected_3_22
    assert codes(document, "3.23") == expected_3_23


def test_3_21_knows_no_widgets() -> None:
    assert codes(manifest(extensions=[extension()]), "3.21") == ["INVALID", "INVALID"]


def test_relative_extension_url_needs_the_app_url() -> None:
    assert codes(manifest(appUrl=None, extensions=[extension()])) == ["INVALID_URL_FORMAT"]


def test_extension_identifiers_are_unique() -> None:
    document = manifest(extensions=[extension(identifier="a"), extension(identifier=" a ")])
    assert codes(document) == ["DUPLICATED_EXTENSION_IDENTIFIER"]


@pytest.mark.parametrize(
    ("wanted", "yes"),
    [
        ("3.23", True),
        ("3.x", True),
        ("*", True),
        ("^3.21", True),
        ("~3.23.1", True),
        ("~3.22", False),
        (">3.23", False),
        (">3.22", True),
        ("<=3.23", True),
        ("<3.23.28", False),
        ("3.20 - 3.22", False),
        (">=3.20 <3.21 || >=3.23", True),
        (">=3.23.0-alpha", True),
    ],
)
def test_version_ranges(wanted: str, yes: bool) -> None:
    assert satisfies("3.23.28", wanted) is yes


def test_senseless_range_is_refused() -> None:
    with pytest.raises(BadRange):
        satisfies("3.23.28", "three")
