"""What may be written down of Vipps' texts and bodies: no secret, no person's data, no half a character, no novel.

This lies on the way of every charge, so it reads JSON once and walks it, without any model.
"""

import json
import re
from functools import lru_cache
from typing import Any, Literal

_HIDDEN = "[hidden]"
_MOST = 2_000  # characters of a body that the call log keeps
_LONGEST = 300  # characters of an error's text
_READ = 1_200  # characters of a text that are looked at: cleaning must stay quick whatever is sent
_LARGEST = 1_000_000  # bytes of a body that are read as JSON
_DEEPEST = 8
_ITEMS = 20  # of a list; the rest is counted
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_NUMBER = re.compile(r"(?<![\w.-])\+?\d(?:[ .-]?\d){7,14}(?![\w-])")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_ADDRESS = re.compile(r"[^\s@]{1,64}@[^\s@]{1,255}")
_TOKEN = re.compile(r"eyJ[\w-]{6,}\.[\w.-]+|\b(?:[Bb]earer|[Bb]asic)\s+[\w.~+/=-]{8,}")
# Names of fields, without underscores and capitals. Our own URLs are private too: they open a page without a password.
_PRIVATE = re.compile(
    "(customer)?phone(number)?|msisdn|email|birthdate|nin|(street)?address"
    "|((given|family|first|last|full|customer)?name)|sub"
    "|userinfourl|vippsconfirmationurl|merchantagreementurl|merchantredirecturl"
    "|(client)?secret|(access)?token|authorization|subscriptionkey"
)
# Long numbers stand in these by right: they name things and times, not people.
_ID = re.compile(
    "uuid|(agreement|charge|order|transaction|external|context|trace)?id|idempotencykey|type|code|instance"
    "|due|start|stop|end|created|occurred"
)


def plain(text: str) -> str:
    """Without control characters and halves of characters, which a database or an answer could not carry."""
    return _UNPRINTABLE.sub("", text)


def clean(text: str) -> str:
    """An error text goes to logs and screens: no phone number or address of a person may ride along."""
    if len(text) > _READ:
        # Without its last word, which may be half a number that would not be known as one.
        text = text[:_READ].rpartition(" ")[0]
    return _scrubbed(text)[:_LONGEST]


def _scrubbed(text: str) -> str:
    text = plain(text)
    if "@" in text:
        text = _ADDRESS.sub("…", text)
    text = _TOKEN.sub("…", text)
    return _NUMBER.sub(lambda found: found[0] if _DATE.match(found[0]) else "…", text)


def redacted(body: bytes) -> str:
    """A body as the call log may keep it."""
    if not body:
        return ""
    if len(body) <= _LARGEST:
        try:
            value = json.loads(body)
        except (ValueError, RecursionError):
            value = None
        if isinstance(value, dict | list):
            return json.dumps(_shown(value, 0), ensure_ascii=False, separators=(",", ":"))[:_MOST]
    # A text is cleaned beyond where it is cut, so that no half of a number is left.
    return _scrubbed(body[: _MOST * 4].decode("utf-8", "replace"))[:_MOST]


def _shown(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        return _scrubbed(value[: _MOST * 4])
    if depth >= _DEEPEST:
        return "…" if isinstance(value, dict | list) else value
    if isinstance(value, dict):
        return {plain(name): _shown_field(name, inner, value, depth) for name, inner in value.items()}
    if isinstance(value, list):
        shown = [_shown(inner, depth + 1) for inner in value[:_ITEMS]]
        return [*shown, f"… {len(value)} in all"] if len(value) > _ITEMS else shown
    return value


def _shown_field(name: str, value: Any, holder: dict[str, Any], depth: int) -> Any:
    sort = _sort(name)
    if sort == "id" and isinstance(value, str):
        return plain(value[:_MOST])
    # A problem's details name the field that they are about (facts: VIPPS 8.2).
    names_a_field = name == "name" and "reason" in holder
    hide = sort == "private" and value is not None and not names_a_field
    return _HIDDEN if hide else _shown(value, depth + 1)


@lru_cache(1_024)
def _sort(name: str) -> Literal["private", "id", "text"]:
    bare = name.replace("_", "").replace("-", "").lower()
    return "private" if _PRIVATE.fullmatch(bare) else "id" if _ID.fullmatch(bare) else "text"
