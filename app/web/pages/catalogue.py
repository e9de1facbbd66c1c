"""What pages say in each language: one TOML file a language, whose tables are areas ("public", "dashboard").

English is complete and stands in for what a language lacks. A language is offered for an area if its file has that
table, so that customers may be spoken to in more languages than staff.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

LOCALES = Path(__file__).parent / "locales"
FALLBACK = "en"
# What browsers call Norwegian: "no" leaves the written form open, and who reads nynorsk reads bokmål before English.
_SAME = {"no": "nb", "nn": "nb"}
_RANGE = re.compile(r"\s*([A-Za-z]{1,8})(?:-[A-Za-z0-9-]*)?\s*(?:;\s*q=([01](?:\.\d{1,3})?))?\s*")


@dataclass(frozen=True, slots=True)
class Language:
    """`texts` holds every key, dotted ("public.pay.title"); `areas` those the language's own file has."""

    code: str
    areas: frozenset[str]
    texts: Mapping[str, str] = field(repr=False)

    def text(self, key: str, /, **values: object) -> str:
        """The text of a key with its placeholders filled; a `count` chooses between `key.one` and `key.other`."""
        if "count" in values and key not in self.texts:
            key = f"{key}.{'one' if values['count'] == 1 else 'other'}"
        return self.texts[key].format_map(values)


def flat(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Dotted keys and their texts."""
    for name, value in table.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", str(value)


@cache
def languages() -> Mapping[str, Language]:
    """Every language by its code."""
    files = {path.stem: tomllib.loads(path.read_text("utf-8")) for path in sorted(LOCALES.glob("*.toml"))}
    complete = dict(flat(files[FALLBACK]))
    return {code: Language(code, frozenset(tables), complete | dict(flat(tables))) for code, tables in files.items()}


def offered(area: str) -> Mapping[str, Language]:
    """The languages that an area has, by code."""
    return {code: it for code, it in languages().items() if area in it.areas}


def language(area: str, code: str | None) -> Language:
    """The language of a code such as "nb" or "nb-NO", English where the area does not have it."""
    primary = (code or "").partition("-")[0].partition("_")[0].lower()
    return offered(area).get(_SAME.get(primary, primary)) or languages()[FALLBACK]


def preferred(area: str, accept_language: str | None) -> Language:
    """What a browser would rather read (Accept-Language), the first of equals; English where nothing fits."""
    asked = []
    for place, part in enumerate((accept_language or "")[:500].split(",")):
        found = _RANGE.fullmatch(part)
        if found and float(found[2] or 1) > 0:
            asked.append((-float(found[2] or 1), place, _SAME.get(found[1].lower(), found[1].lower())))
    known = offered(area)
    return next((known[code] for _, _, code in sorted(asked) if code in known), languages()[FALLBACK])
