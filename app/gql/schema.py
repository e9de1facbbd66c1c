"""The schema that is served, its limits, and its router."""

import json
import re
from collections.abc import Awaitable, Callable

import strawberry
from fastapi import Request
from graphql import GraphQLError
from strawberry.extensions import MaskErrors, MaxTokensLimiter
from strawberry.fastapi import GraphQLRouter
from strawberry.schema.config import StrawberryConfig
from strawberry.types import ExecutionContext

from app.domain.account import Caller
from app.domain.errors import RecurringError
from app.gql.context import Context
from app.gql.limits import LimitedValidation, ShortParserCache
from app.gql.mutations import Mutation
from app.gql.queries import Query
from app.usecases.ports import Deps

# A batch of 500 written out in the query itself, fields and all, stays below this.
_MAX_TOKENS = 25_000
_MAX_JSON_DEPTH = 20


def _unforeseen(error: GraphQLError) -> bool:
    """A refusal and a mistake in the query are for the caller's eyes; anything else is for ours."""
    return error.original_error is not None and not isinstance(error.original_error, GraphQLError | RecurringError)


# The library says what is wrong with a value and repeats the value: an address perhaps.
_REPEATED = re.compile(r"(?:[,.?] [Ff]ound|(cannot represent [a-z -]*value)): .*", re.DOTALL)


class Schema(strawberry.Schema):
    def process_errors(self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None) -> None:
        """Tell what nobody foresaw. A query's text or variables are never written down: they hold people's data."""
        context = execution_context.context if execution_context else None
        for error in errors:
            error.message = _REPEATED.sub(r"\1", error.message)
            if _unforeseen(error) and isinstance(context, Context) and error.original_error is not None:
                context.deps.bug(error.original_error)


class Router(GraphQLRouter[Context, None]):
    """Bodies that are JSON but no request, or deeper than any request is, are refused like bodies that are no JSON."""

    def decode_json(self, data: str | bytes) -> object:
        try:
            body = json.loads(data)
        except (ValueError, RecursionError):
            body = None
        if not isinstance(body, dict | list) or _depth(body) > _MAX_JSON_DEPTH:
            raise json.JSONDecodeError("no GraphQL request", "", 0)
        return body


def _depth(body: object) -> int:
    """How deep lists and objects are nested; level by level, so that no depth can overflow the stack."""
    level, depth = [body], 0
    while level and depth <= _MAX_JSON_DEPTH:
        nested = [it for it in level if isinstance(it, dict | list)]
        level = [child for it in nested for child in (it.values() if isinstance(it, dict) else it)]
        depth += bool(nested)
    return depth


def make_schema() -> Schema:
    return Schema(
        query=Query,
        mutation=Mutation,
        config=StrawberryConfig(auto_camel_case=True),
        extensions=[
            lambda: MaxTokensLimiter(max_token_count=_MAX_TOKENS),
            lambda: ShortParserCache(maxsize=100),
            lambda: LimitedValidation(maxsize=100),
            lambda: MaskErrors(should_mask_error=_unforeseen, error_message="An internal error; it is logged."),
        ],
    )


def export() -> str:
    """The schema as text, kept equal to graphql/extension.graphql by a test."""
    return make_schema().as_str() + "\n"


def router(deps: Deps, who: Callable[[Request], Awaitable[Caller | RecurringError]]) -> Router:
    """`who` finds out the caller; it answers with the refusal where there is none."""

    async def context(request: Request) -> Context:
        return Context(deps, await who(request))

    return Router(
        make_schema(),
        path="/graphql",
        context_getter=context,
        graphql_ide=None,  # its page loads scripts from elsewhere
        allow_queries_via_get=False,
    )
