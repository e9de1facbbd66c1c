"""Running the items of a batch: concurrently, in order of answer, never one stopping another."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from app.domain.batch import BatchResult, ItemResult
from app.domain.errors import Duplicate, RecurringError
from app.usecases.ports import Deps

T = TypeVar("T")
V = TypeVar("V")
_GROUP = 100  # results written in one transaction
_LINGER = 0.01  # seconds in which a group gathers: answers come in waves


@dataclass(frozen=True, slots=True)
class Malformed:
    """An item that an edge could not read: it keeps its place and gets its own error."""

    id: str
    error: RecurringError


class Sheet:
    """The answers of one batch by index. Filled in any order, read in the items' order."""

    def __init__(self, size: int) -> None:
        self._answers: list[ItemResult[object] | None] = [None] * size

    def refuse(self, index: int, item_id: str, error: RecurringError) -> None:
        self._answers[index] = ItemResult(index, item_id, error=error)

    def answer(self, index: int, item_id: str, value: object) -> None:
        self._answers[index] = ItemResult(index, item_id, value=value)

    def result(self) -> BatchResult[object]:
        answers = [answer for answer in self._answers if answer is not None]
        if len(answers) != len(self._answers):
            raise AssertionError("an item of the batch was left without an answer")
        return BatchResult(tuple(answers))


def unforeseen(deps: Deps, error: BaseException) -> RecurringError:
    deps.bug(error)
    return RecurringError("an internal error; it is logged, and nothing was left half done without a trace")


async def each(
    deps: Deps, items: Sequence[T], name: Callable[[T], str], work: Callable[[T], Awaitable[V]]
) -> BatchResult[V]:
    """Answer every item by `work`, which may raise; at most `concurrency` at a time."""
    gate = asyncio.Semaphore(deps.limits.concurrency)

    async def one(index: int, item: T) -> ItemResult[V]:
        async with gate:
            try:
                return ItemResult(index, name(item), value=await work(item))
            except RecurringError as error:
                return ItemResult(index, name(item), error=error)
            except Exception as error:  # noqa: BLE001  # the other items must be answered
                return ItemResult(index, name(item), error=unforeseen(deps, error))

    return BatchResult(tuple(await asyncio.gather(*(one(index, item) for index, item in enumerate(items)))))


async def each_once(
    deps: Deps, ids: Sequence[str | Malformed], work: Callable[[str], Awaitable[V]], done: str
) -> BatchResult[V]:
    """Answer every id by `work`; one that stands there twice is worked on once, and the second one is told so."""
    sheet = Sheet(len(ids))
    good: dict[str, int] = {}
    for index, it in enumerate(ids):
        if isinstance(it, Malformed):
            sheet.refuse(index, it.id, it.error)
        elif it in good:
            sheet.refuse(index, it, Duplicate(f"the same as item {good[it]} of this batch; it is {done}", field="ids"))
        else:
            good[it] = index
    for item in (await each(deps, list(good), str, work)).items:
        if item.error is not None:
            sheet.refuse(good[item.id], item.id, item.error)
        else:
            sheet.answer(good[item.id], item.id, item.value)
    return sheet.result()  # type: ignore[return-value]


async def pour(
    items: Sequence[T],
    work: Callable[[T], Awaitable[V]],
    keep: Callable[[list[V]], Awaitable[None]],
    concurrency: int,
) -> None:
    """Work on all items and hand the results over as they come, many at a time: one transaction can store a group.

    `work` must not raise. Where `keep` does, the rest is called off: what was stored before is found by the sweeper.
    """
    results: asyncio.Queue[V] = asyncio.Queue()
    source = iter(items)

    async def worker() -> None:
        for item in source:
            results.put_nowait(await work(item))

    async with asyncio.TaskGroup() as group:
        for _ in range(min(concurrency, len(items))):
            group.create_task(worker())
        left = len(items)
        while left:
            found = [await results.get()]
            if left > 1:
                await asyncio.sleep(_LINGER)
            while not results.empty() and len(found) < _GROUP:
                found.append(results.get_nowait())
            left -= len(found)
            await keep(found)
