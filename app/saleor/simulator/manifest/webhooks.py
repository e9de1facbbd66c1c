"""The webhooks of a manifest, and the events that a subscription query is about."""

from functools import cache
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLSchema,
    InlineFragmentNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
)

from app.saleor.simulator.api import events
from app.saleor.simulator.api.execution import check_document
from app.saleor.simulator.manifest.problems import Problems

SCHEMES = ("http", "https", "awssqs", "gcpubsub")
MAXIMUM_HEADERS = 5
MAXIMUM_HEADER_LENGTH = 998

Webhook = dict[str, Any]


class InvalidSubscription(Exception):
    """The query of a webhook does not fit this shop."""


@cache
def read_subscription(query: str, schema: GraphQLSchema) -> tuple[DocumentNode, frozenset[str]]:
    """The parsed query and the events that it selects. Kept, because every payload needs it."""
    try:
        document = check_document(query, schema)
    except GraphQLError as error:
        raise InvalidSubscription(error.message) from error
    operations = [d for d in document.definitions if isinstance(d, OperationDefinitionNode)]
    if len(operations) != 1 or operations[0].operation is not OperationType.SUBSCRIPTION:
        raise InvalidSubscription("Exactly one subscription is expected.")
    fragments = {d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)}
    return document, frozenset(_events(operations[0], fragments))


def _events(operation: OperationDefinitionNode, fragments: dict[str, FragmentDefinitionNode]) -> set[str]:
    found: set[str] = set()
    for node in operation.selection_set.selections:
        if not isinstance(node, FieldNode):
            raise InvalidSubscription("The root of a subscription is a field.")
        if node.name.value == "event":
            found |= {events.name_of(name) for name in _types(node.selection_set, fragments)} - {"EVENT"}
        else:
            found.add(events.name_of(node.name.value))
    return found


def _types(selections: SelectionSetNode | None, fragments: dict[str, FragmentDefinitionNode]) -> set[str]:
    """Names of the types that the selection narrows to, through fragments within fragments."""
    found: set[str] = set()
    for node in selections.selections if selections else ():
        fragment = fragments.get(node.name.value) if isinstance(node, FragmentSpreadNode) else node
        if not isinstance(fragment, InlineFragmentNode | FragmentDefinitionNode):
            continue
        condition = fragment.type_condition
        if condition is None or condition.name.value == "Event":
            found |= _types(fragment.selection_set, fragments)
        else:
            found.add(condition.name.value)
    return found


def check_webhooks(
    manifest: dict[str, Any], schema: GraphQLSchema, version: tuple[int, int], problems: Problems
) -> None:
    identifiers: set[str] = set()
    for webhook in manifest.get("webhooks", []):
        for required in ("name", "targetUrl", "query"):
            if not isinstance(webhook.get(required), str) or not webhook[required]:
                problems.add("webhooks", "REQUIRED", f"A webhook lacks `{required}`.")
                return
        problems.check_length("webhooks", webhook["name"], 255)
        problems.check_url("webhooks", webhook["targetUrl"], SCHEMES, 255)
        _check_headers(webhook.get("customHeaders") or {}, problems)
        _check_query(webhook, schema, problems)
        identifier = (webhook.get("identifier") or "").strip() if version >= (3, 23) else ""
        if identifier and identifier in identifiers:
            problems.add("webhooks", "DUPLICATED_WEBHOOK_IDENTIFIER", f"Two webhooks are called {identifier}.")
        identifiers.add(identifier)


def _check_query(webhook: Webhook, schema: GraphQLSchema, problems: Problems) -> None:
    try:
        _document, selected = read_subscription(webhook["query"], schema)
    except InvalidSubscription as error:
        problems.add("webhooks", "INVALID", f"Subscription query is not valid: {error}")
        return
    for key, asynchronous in (("asyncEvents", True), ("syncEvents", False)):
        if unknown := set(webhook.get(key, [])) - events.names(schema, asynchronous=asynchronous):
            problems.add("webhooks", "INVALID", f"Invalid events in {key}: {', '.join(sorted(unknown))}.")
    if not selected and not webhook.get("asyncEvents") and not webhook.get("syncEvents"):
        problems.add("webhooks", "INVALID", "The webhook names no event.")


def events_of(webhook: Webhook, schema: GraphQLSchema) -> tuple[frozenset[str], frozenset[str]]:
    """Asynchronous and synchronous events: those listed, else those that the query selects."""
    asynchronous, synchronous = webhook.get("asyncEvents", []), webhook.get("syncEvents", [])
    if not asynchronous and not synchronous:
        _document, selected = read_subscription(webhook["query"], schema)
        return (
            selected & events.names(schema, asynchronous=True),
            selected & events.names(schema, asynchronous=False),
        )
    return frozenset(asynchronous), frozenset(synchronous)


def _check_headers(headers: dict[str, str], problems: Problems) -> None:
    allowed = all(name.lower().startswith(("x-", "authorization", "brokerproperties")) for name in headers)
    short = all(len(name) + len(value) + 2 <= MAXIMUM_HEADER_LENGTH for name, value in headers.items())
    if len(headers) > MAXIMUM_HEADERS or not allowed or not short:
        problems.add("webhooks", "INVALID_CUSTOM_HEADERS", "Too many, too long or not permitted custom headers.")
