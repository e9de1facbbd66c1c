"""Which Saleor understands what (facts: SALEOR 13)."""

import re

OLDEST = (3, 21, 0)
PAYMENT_METHOD_DETAILS_SINCE = (3, 22, 0)
PROBLEMS_SINCE = (3, 22, 36)

_VERSION = re.compile(r"(\d{1,4})\.(\d{1,4})(?:\.(\d{1,4}))?", re.ASCII)


def version_of(text: str | None) -> tuple[int, int, int]:
    """Of a version as Saleor writes it; the oldest supported where it is missing or unreadable."""
    found = _VERSION.match(text or "")
    return (int(found[1]), int(found[2]), int(found[3] or 0)) if found else OLDEST
