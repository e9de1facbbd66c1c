"""Version ranges as npm writes them, for `requiredSaleorVersion`."""

import operator
import re
from collections.abc import Callable

Version = tuple[int, int, int]
Comparator = tuple[Callable[[Version, Version], bool], Version]

_PART = re.compile(
    r"(?P<sign>\^|~|>=|<=|>|<|=)?\s*v?"
    r"(?P<major>\d+|[xX*])(?:\.(?P<minor>\d+|[xX*]))?(?:\.(?P<patch>\d+|[xX*]))?(?:[-+][0-9A-Za-z.-]+)?"
)
_SIGNS: dict[str, Callable[[Version, Version], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}


class BadRange(ValueError):
    """Not a range."""


def satisfies(version: str, wanted: str) -> bool:
    """Prereleases count as the version that they precede."""
    numbers = re.match(r"(\d+)\.(\d+)(?:\.(\d+))?", version)
    if numbers is None:
        raise BadRange(version)
    have = (int(numbers[1]), int(numbers[2]), int(numbers[3] or 0))
    return any(all(compare(have, bound) for compare, bound in _comparators(part)) for part in wanted.split("||"))


def _comparators(text: str) -> list[Comparator]:
    text = re.sub(r"(\S+)\s+-\s+(\S+)", r">=\1 <=\2", text.strip())
    found = list(_PART.finditer(text))
    if not found or _PART.sub("", text).strip():
        raise BadRange(text)
    return [comparator for match in found for comparator in _bounds(match)]


def _bounds(match: re.Match[str]) -> list[Comparator]:
    given = [int(n) for n in match.group("major", "minor", "patch") if n is not None and n.isdigit()]
    low = _fill(given)
    sign = match["sign"]
    if not given:
        return [(operator.ge, (0, 0, 0))]
    if sign == "^":
        return [(operator.ge, low), (operator.lt, _next(given, _first_number_that_counts(given)))]
    if sign == "~":
        return [(operator.ge, low), (operator.lt, _next(given, min(1, len(given) - 1)))]
    if sign in (">", "<="):  # "> 3.21" means after every 3.21.x
        edge = _next(given, len(given) - 1)
        return [(operator.ge if sign == ">" else operator.lt, edge)] if len(given) < len(low) else [(_SIGNS[sign], low)]
    if sign in _SIGNS:
        return [(_SIGNS[sign], low)]
    return [(operator.ge, low), (operator.lt, _next(given, len(given) - 1))]


def _first_number_that_counts(given: list[int]) -> int:
    return next((place for place, number in enumerate(given) if number), len(given) - 1)


def _next(given: list[int], place: int) -> Version:
    return _fill([*given[:place], given[place] + 1])


def _fill(given: list[int]) -> Version:
    major, minor, patch = [*given, 0, 0, 0][:3]
    return major, minor, patch
