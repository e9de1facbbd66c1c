"""How the simulator says no: one exception that carries the status and what is wrong with which field.

Codes and field names are v2's where the two versions have different ones; `problems` knows v3's words for them.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ErrorItem:
    message: str
    code: str | None = None
    field: str | None = None
    as_sent: bool = False  # the field is called what the caller called it


class RefusedError(Exception):
    """A request that Vipps would answer with an error; what it is rendered as is decided elsewhere."""

    def __init__(
        self, status: int, items: tuple[ErrorItem, ...] = (), headers: tuple[tuple[str, str], ...] = ()
    ) -> None:
        super().__init__(status, items)
        self.status = status
        self.items = items
        self.headers = headers


def refuse(status: int, message: str, *, code: str | None = None, field: str | None = None) -> RefusedError:
    return RefusedError(status, (ErrorItem(message, code, field),))
