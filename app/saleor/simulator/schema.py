"""The GraphQL schema of a Saleor version: Saleor's own file where it is at hand, else the served part of it."""

from functools import cache
from pathlib import Path

from graphql import GraphQLSchema, build_ast_schema, parse

SERVED_PART = Path(__file__).with_name("schema.graphql")
COMPLETE = Path(__file__).parents[3].parent / "shared" / "data" / "saleor"


def schema_of(version: str, directory: Path | None = COMPLETE) -> GraphQLSchema:
    """`version` is major.minor. Built once per process: the complete file takes a second."""
    complete = directory / f"schema-{version}.graphql" if directory else SERVED_PART
    return _build(complete if complete.is_file() else SERVED_PART)


@cache
def _build(file: Path) -> GraphQLSchema:
    document = parse(file.read_text(encoding="utf-8"), no_location=True)
    return build_ast_schema(document, assume_valid=True, assume_valid_sdl=True)
