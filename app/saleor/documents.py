"""The GraphQL documents that we send to Saleor, read from the project's graphql/ folder."""

from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@cache
def document(name: str) -> str:
    """The text of `graphql/<name>.graphql`."""
    return (ROOT / "graphql" / f"{name}.graphql").read_text()
