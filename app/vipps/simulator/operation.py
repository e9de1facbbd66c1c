"""What an operation of any of the simulated APIs is: a name, an address, and the way from a call to an answer."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from app.vipps.simulator.answers import Answer
from app.vipps.simulator.book import Book, Caller
from app.vipps.simulator.gateway import Call


def _one(_: Call) -> int:
    return 1


@dataclass(frozen=True, slots=True)
class Operation:
    """`keys` says what an idempotency key is worth; for "knob", the knob `v2_draft_keys` decides."""

    name: str
    methods: tuple[str, ...]
    path: str
    run: Callable[[Book, Caller, Call], Answer]
    keys: Literal["required", "honoured", "ignored", "knob"] = "ignored"
    takes_body: bool = False
    # How much one call counts towards a rate limit.
    weight: Callable[[Call], int] = _one
