"""The GraphQL documents that we send to Saleor, read from the project's graphql/ folder."""

import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

_FOLDER = ROOT / "graphql"
_SPREAD = re.compile(r"\.\.\.\s*([A-Z]\w*)")
_WORD_BEGIN = re.compile(r"(?<!^)(?=[A-Z])")


@cache
def document(name: str) -> str:
    """The text of `graphql/<name>.graphql` with the fragments that it uses."""
    text = (_FOLDER / f"{name}.graphql").read_text()
    return text + "".join((_FOLDER / f"{fragment}.graphql").read_text() for fragment in _fragments(text))


def _fragments(text: str) -> list[str]:
    """`...CheckoutCart` stands in `fragments/checkout-cart`; each once, with those that it uses itself."""
    found: dict[str, None] = {}
    waiting = _SPREAD.findall(text)
    while waiting:
        name = f"fragments/{_WORD_BEGIN.sub('-', waiting.pop(0)).lower()}"
        if name not in found:
            found[name] = None
            waiting += _SPREAD.findall((_FOLDER / f"{name}.graphql").read_text())
    return list(found)
