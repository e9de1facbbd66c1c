"""A batch: every item gets an answer, in order, and one failure never stops the rest."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from app.domain.errors import BatchTooLarge, RecurringError

T = TypeVar("T")


@dataclass(frozen=True)
class ItemResult(Generic[T]):
    """The answer to one item: `id` names it as the caller did or as Vipps does; a value or an error, never both."""

    index: int
    id: str
    value: T | None = None
    error: RecurringError | None = None

    @property
    def answer(self) -> T:
        """The value; raises the item's error where there is none."""
        if self.value is None:
            raise self.error or RecurringError("the item has neither a value nor an error")
        return self.value


@dataclass(frozen=True)
class BatchResult(Generic[T]):
    items: tuple[ItemResult[T], ...]

    @property
    def successes(self) -> tuple[ItemResult[T], ...]:
        return tuple(item for item in self.items if item.error is None)

    @property
    def errors(self) -> tuple[ItemResult[T], ...]:
        return tuple(item for item in self.items if item.error is not None)


def check_size(items: Sequence[object], limit: int) -> None:
    if len(items) > limit:
        raise BatchTooLarge(
            f"{len(items)} items are more than the {limit} of one batch; send them in several", field="items"
        )
