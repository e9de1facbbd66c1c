"""How the simulator says no: one exception that carries the status and the items of the error array."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ErrorItem:
    message: str
    code: str | None = None
    field: str | None = None


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
