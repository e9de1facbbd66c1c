"""Reading a form that a browser sent."""

from collections.abc import Mapping
from urllib.parse import parse_qsl

from app.domain.errors import InvalidInput

_MOST_FIELDS = 200


def fields(body: bytes) -> Mapping[str, str]:
    """Its fields by name; of a name that comes several times all values, one to a line."""
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=_MOST_FIELDS, errors="strict")
    except ValueError:
        raise InvalidInput("the form cannot be read") from None
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        found.setdefault(name, []).append(value.replace("\0", "").strip())
    return {name: "\n".join(values) for name, values in found.items()}
