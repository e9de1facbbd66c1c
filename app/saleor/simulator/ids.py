"""Global ids as Saleor writes them: base64 of "Type:key"."""

import base64
import binascii


class UnknownId(ValueError):
    """The text is not a global id."""


def encode(type_name: str, key: object) -> str:
    return base64.b64encode(f"{type_name}:{key}".encode()).decode()


def decode(global_id: str) -> tuple[str, str]:
    try:
        type_name, separator, key = base64.b64decode(global_id, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError, ValueError) as error:
        raise UnknownId(global_id) from error
    if not (type_name and separator and key):
        raise UnknownId(global_id)
    return type_name, key
