"""What Saleor refuses before it executes: too much, too many, and syntax that its parser does not know."""

from collections.abc import Iterator

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    NullValueNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    VariableNode,
    Visitor,
    get_named_type,
    visit,
)

MAXIMUM_COST = 50_000
MAXIMUM_MUTATIONS = 4
MAXIMUM_ALIASES = 100

# Fields that cost a database visit. Connections cost one for each row that is asked for.
_COSTLY = {
    "Query": {"app", "me", "order", "channel", "channels", "checkout"},
    "Checkout": {"billingAddress", "channel", "lines", "shippingAddress", "transactions", "user"},
    "CheckoutLine": {"variant"},
    "App": {"tokens", "webhooks"},
    "Order": {
        "billingAddress", "channel", "discounts", "events", "fulfillments", "lines", "payments", "shippingAddress",
        "transactions", "user",
    },
    "OrderLine": {"variant"},
    "ProductVariant": {"product"},
    "Product": {"productType", "variants"},
    "User": {"defaultBillingAddress", "defaultShippingAddress"},
}  # fmt: skip


class Refused(Exception):
    """Answered with HTTP 400, without data."""


class _NullLiterals(Visitor):
    def enter_null_value(self, node: NullValueNode, *_: object) -> None:
        raise GraphQLError('Syntax Error: Unexpected Name "null".', node)


def check_syntax(document: DocumentNode) -> None:
    """Saleor's parser is older than the `null` literal: a null is sent as a variable."""
    visit(document, _NullLiterals())


def check_size(document: DocumentNode) -> None:
    fields = list(_fields(document))
    if sum(field.alias is not None for field in fields) > MAXIMUM_ALIASES:
        raise Refused(f"The query has more than {MAXIMUM_ALIASES} aliases.")
    mutations = sum(
        len(definition.selection_set.selections)
        for definition in document.definitions
        if isinstance(definition, OperationDefinitionNode) and definition.operation is OperationType.MUTATION
    )
    if mutations > MAXIMUM_MUTATIONS:
        raise Refused(f"The request has {mutations} mutations; at most {MAXIMUM_MUTATIONS} are allowed.")


def _fields(document: DocumentNode) -> Iterator[FieldNode]:
    found: list[FieldNode] = []

    class Collector(Visitor):
        def enter_field(self, node: FieldNode, *_: object) -> None:
            found.append(node)

    visit(document, Collector())
    yield from found


class Cost:
    """The cost of one operation, counted as Saleor does: children of a connection once for each row."""

    def __init__(self, schema: GraphQLSchema, document: DocumentNode, variables: dict[str, object]) -> None:
        self._schema = schema
        self._variables = variables
        self._fragments = {d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)}

    def of(self, operation: OperationDefinitionNode) -> int:
        """Mutations cost nothing themselves, but what is read of their payloads does."""
        is_query = operation.operation is OperationType.QUERY
        root = self._schema.query_type if is_query else self._schema.mutation_type
        return self._selections(operation.selection_set, root, 1)

    def _selections(self, selections: SelectionSetNode | None, parent: object, times: int) -> int:
        total = 0
        for node in selections.selections if selections else ():
            if isinstance(node, FieldNode):
                total += self._field(node, parent, times)
            elif isinstance(node, FragmentSpreadNode):
                fragment = self._fragments[node.name.value]
                kind = self._schema.type_map[fragment.type_condition.name.value]
                total += self._selections(fragment.selection_set, kind, times)
            elif isinstance(node, InlineFragmentNode):
                condition = node.type_condition
                inner = self._schema.type_map[condition.name.value] if condition else parent
                total += self._selections(node.selection_set, inner, times)
        return total

    def _field(self, node: FieldNode, parent: object, times: int) -> int:
        definition = getattr(parent, "fields", {}).get(node.name.value)
        if definition is None:  # __typename and the introspection fields
            return 0
        times *= max(1, self._rows(node))
        own = times if self._is_costly(node, parent) else 0
        return own + self._selections(node.selection_set, get_named_type(definition.type), times)

    @staticmethod
    def _is_costly(node: FieldNode, parent: object) -> bool:
        listed = isinstance(parent, GraphQLObjectType) and node.name.value in _COSTLY.get(parent.name, ())
        return listed or any(argument.name.value in {"first", "last"} for argument in node.arguments or ())

    def _rows(self, node: FieldNode) -> int:
        for argument in node.arguments or ():
            if argument.name.value in {"first", "last"}:
                value = argument.value
                rows = self._variables.get(value.name.value) if isinstance(value, VariableNode) else None
                rows = int(value.value) if isinstance(value, IntValueNode) else rows
                return rows if isinstance(rows, int) else 1
        return 1
