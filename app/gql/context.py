"""What a resolver works with, and how a refusal becomes a GraphQL error."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cached_property

from graphql import GraphQLError
from strawberry.fastapi import BaseContext
from strawberry.types import Info as StrawberryInfo

from app.domain.account import Caller
from app.domain.errors import RecurringError
from app.gql.loaders import Loaders
from app.usecases.ports import Deps


class Context(BaseContext):
    """One request's. Who calls is found out before the first resolver; that nobody does is told by those who mind."""

    def __init__(self, deps: Deps, caller: Caller | RecurringError) -> None:
        super().__init__()
        self.deps = deps
        self._caller = caller

    def caller(self) -> Caller:
        if isinstance(self._caller, RecurringError):
            raise self._caller
        return self._caller

    @cached_property
    def loaders(self) -> Loaders:
        return Loaders(self.deps, self.caller())


Info = StrawberryInfo[Context, None]


@asynccontextmanager
async def refusals() -> AsyncIterator[None]:
    """Turn a refusal of the whole field into an error with a code; other exceptions are masked by the schema."""
    try:
        yield
    except RecurringError as error:
        extensions = {"code": error.code.value} | ({"field": error.field} if error.field else {})
        raise GraphQLError(error.message, extensions=extensions) from None
