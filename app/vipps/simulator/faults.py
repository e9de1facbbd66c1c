"""Trouble on demand: connections that hang or break, and answers that Vipps would rather not have given."""

import itertools
import random
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import ConfigDict, with_config

from app.vipps.simulator.config import ErrorStyle

FaultKind = Literal["timeout-before", "timeout-after", "reset-before", "reset-after", "status", "slow", "garbage"]
_REACHES_API = {"timeout-after", "reset-after", "slow"}


# A misspelled condition would match everything, so over HTTP it is refused.
@with_config(ConfigDict(extra="forbid"))
@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong, for which requests, and how often; an omitted condition matches everything."""

    kind: FaultKind
    operation: str | None = None
    method: str | None = None
    path: str | None = None  # a part of the path
    times: int | None = 1  # None: until cleared
    probability: float = 1.0
    status: int = 500
    style: ErrorStyle = "documented"
    retry_after: str | None = None
    when: Literal["before", "after"] = "before"  # for `status` and `garbage`: does the request take effect first?
    seconds: float | None = None  # how long `slow` waits or a timeout hangs; None hangs until the caller gives up

    def __post_init__(self) -> None:
        if not 0 <= self.probability <= 1:
            raise ValueError("A probability lies between 0 and 1.")
        if self.times is not None and self.times < 1:
            raise ValueError("A fault happens at least once, or without limit (null).")
        if not 200 <= self.status <= 599:  # noqa: PLR2004  # what HTTP can say as a final answer
            raise ValueError("A status lies between 200 and 599.")
        if self.seconds is not None and self.seconds < 0:
            raise ValueError("Seconds are not negative.")
        if self.retry_after is not None and not (self.retry_after.isascii() and self.retry_after.isprintable()):
            raise ValueError("Retry-After is printable ASCII.")

    @property
    def reaches_api(self) -> bool:
        return self.kind in _REACHES_API or (self.kind in {"status", "garbage"} and self.when == "after")

    @property
    def is_silent(self) -> bool:
        return self.kind.startswith(("timeout", "reset"))

    def matches(self, operation: str, method: str, path: str) -> bool:
        return (
            self.operation in {None, operation}
            and (self.method is None or self.method.upper() == method)
            and (self.path is None or self.path in path)
        )


@dataclass(slots=True)
class ArmedFault:
    number: int
    fault: Fault
    hits: int = 0

    @property
    def is_spent(self) -> bool:
        return self.fault.times is not None and self.hits >= self.fault.times


class Faults:
    """The faults in force; of several that match a request, the oldest strikes."""

    def __init__(self, seed: int = 0) -> None:
        self._armed: list[ArmedFault] = []
        self._numbers = itertools.count(1)
        self._chance = random.Random(seed)  # noqa: S311  # drills must be repeatable, not unpredictable

    def add(self, fault: Fault | FaultKind, **conditions: Any) -> ArmedFault:
        """Arm a fault, given whole or as a kind with its conditions."""
        whole = Fault(fault, **conditions) if isinstance(fault, str) else fault
        armed = ArmedFault(next(self._numbers), whole)
        self._armed.append(armed)
        return armed

    def clear(self) -> None:
        self._armed.clear()

    @property
    def armed(self) -> tuple[ArmedFault, ...]:
        return tuple(self._armed)

    def strike(self, operation: str, method: str, path: str) -> Fault | None:
        """The fault that this request meets, which counts as one of its times."""
        for armed in self._armed:
            if armed.fault.matches(operation, method, path) and self._chance.random() < armed.fault.probability:
                armed.hits += 1
                if armed.is_spent:
                    self._armed.remove(armed)
                return armed.fault
        return None
