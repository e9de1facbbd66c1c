"""How large a query may be, looked at before any validation rule runs: some of those cost more than the query does."""

from collections.abc import Iterator

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    OperationDefinitionNode,
    SelectionNode,
    SelectionSetNode,
)
from strawberry.extensions import ParserCache, ValidationCache

MAX_SELECTIONS = 200  # fields and spreads as written; the largest sensible query has about eighty
MAX_SPREADS = 20
MAX_ALIASES = 15
MAX_DEPTH = 10
_CACHED_LENGTH = 4096  # longer texts are written once, by machines, and a parsed one takes megabytes


class ShortParserCache(ParserCache):
    """Keeps what is asked again and again; a long text is parsed and forgotten."""

    def on_parse(self) -> Iterator[None]:
        if len(self.execution_context.query or "") > _CACHED_LENGTH:
            yield
        else:
            yield from super().on_parse()


class LimitedValidation(ValidationCache):
    """Refuses a document that is too large, too deep or goes in circles; only then validation begins."""

    def on_validate(self) -> Iterator[None]:
        document = self.execution_context.graphql_document
        problem = breach(document) if document is not None else None
        if problem is not None:
            self.execution_context.pre_execution_errors = [GraphQLError(problem)]
            yield
        elif len(self.execution_context.query or "") > _CACHED_LENGTH:
            yield
        else:
            yield from super().on_validate()


def breach(document: DocumentNode) -> str | None:
    """What is wrong with the document's size; None where nothing is. Costs one step for each selection as written."""
    fragments = {it.name.value: it for it in document.definitions if isinstance(it, FragmentDefinitionNode)}
    operations = [it for it in document.definitions if isinstance(it, OperationDefinitionNode)]
    written = [node for it in (*fragments.values(), *operations) for node in _all(it.selection_set)]
    if len(written) > MAX_SELECTIONS:
        return f"the query has {len(written)} selections; {MAX_SELECTIONS} are allowed"
    if sum(isinstance(node, FragmentSpreadNode) for node in written) > MAX_SPREADS:
        return f"the query has more than {MAX_SPREADS} fragment spreads"
    if sum(isinstance(node, FieldNode) and node.alias is not None for node in written) > MAX_ALIASES:
        return f"the query has more than {MAX_ALIASES} aliases"
    known: dict[str, int | None] = {}
    for operation in operations:
        depth = _depth(operation.selection_set, fragments, known)
        if depth is None:
            return "the query's fragments go in circles"
        if depth > MAX_DEPTH:
            return f"the query is {depth} levels deep; {MAX_DEPTH} are allowed"
    return None


def _all(selections: SelectionSetNode) -> list[SelectionNode]:
    """Every selection below, spreads not followed, without recursion."""
    found: list[SelectionNode] = []
    waiting = [selections]
    while waiting and len(found) <= MAX_SELECTIONS:
        for node in waiting.pop().selections:
            found.append(node)
            inner = getattr(node, "selection_set", None)
            if inner is not None:
                waiting.append(inner)
    return found


def _depth(
    selections: SelectionSetNode, fragments: dict[str, FragmentDefinitionNode], known: dict[str, int | None]
) -> int | None:
    """Levels of fields, each fragment looked at once; None where a fragment contains itself."""
    deepest = 0
    for node in selections.selections:
        if isinstance(node, FragmentSpreadNode):
            below = _fragment_depth(node.name.value, fragments, known)
        else:
            inner = getattr(node, "selection_set", None)
            below = 0 if inner is None else _depth(inner, fragments, known)
            if below is not None and isinstance(node, FieldNode):
                below += 1
        if below is None:
            return None
        deepest = max(deepest, below)
    return deepest


def _fragment_depth(
    name: str, fragments: dict[str, FragmentDefinitionNode], known: dict[str, int | None]
) -> int | None:
    if name not in known:
        known[name] = None  # until it is known: whoever meets this again is inside of it
        fragment = fragments.get(name)
        known[name] = 0 if fragment is None else _depth(fragment.selection_set, fragments, known)
    return known[name]
