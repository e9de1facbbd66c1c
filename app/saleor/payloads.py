"""What Saleor's webhook bodies hold of interest: whose event it is and which object it is about."""

import json
from decimal import Decimal
from typing import Any

# The object each event is about, by the field of the payload that holds it.
_OBJECTS = ("order", "app")


def parse(body: str | bytes) -> dict[str, Any]:
    """Money is a JSON number in Saleor's bodies and must never become a float (facts: SALEOR 3.3)."""
    try:
        data = json.loads(body, parse_float=Decimal)
    except (ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}


def _id(holder: object) -> str | None:
    value = holder.get("id") if isinstance(holder, dict) else None
    return value if isinstance(value, str) and value else None


def recipient_of(body: str | bytes) -> str | None:
    """The App id that Saleor sent this to."""
    return _id(parse(body).get("recipient"))


def object_of(body: str | bytes) -> str | None:
    """The id of the order or app that the event is about; None where a resolver failed and left it out."""
    data = parse(body)
    return next((found for name in _OBJECTS if (found := _id(data.get(name)))), None)
