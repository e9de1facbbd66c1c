"""Bars for a chart in whole numbers: how the page stretches them is the style sheet's business."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from app.domain.money import Currency, Money

STEP, GAP, HEIGHT = 10, 2, 1000  # a bucket's width, the space between two bars, and the height of all
_LEAST = 10  # what is not nothing is to be seen


@dataclass(frozen=True, slots=True)
class Bar:
    """A part of a bucket's bar, from `y` downwards; `kind` is its series."""

    kind: str
    day: date
    sum: Money
    x: int
    y: int
    height: int


@dataclass(frozen=True, slots=True)
class Chart:
    """`zero` is the height of the line from which bars grow up and down; `top` and `bottom` are what the edges mean."""

    width: int
    zero: int
    top: Money
    bottom: Money
    bars: Sequence[Bar]
    days: Sequence[date]

    @property
    def middle(self) -> date:
        return self.days[len(self.days) // 2]


def chart(
    currency: Currency, days: Sequence[date], up: Mapping[str, Sequence[int]], down: Mapping[str, Sequence[int]]
) -> Chart | None:
    """Series of minor units, one number a day, stacked on each other; None where all of them are 0."""
    top, bottom = _edge(up, len(days)), _edge(down, len(days))
    if not top + bottom:
        return None
    zero = HEIGHT * top // (top + bottom)
    bars: list[Bar] = []
    for place, day in enumerate(days):
        for series, sign in ((up, -1), (down, 1)):
            y = zero
            for kind, numbers in series.items():
                height = max(HEIGHT * numbers[place] // (top + bottom), _LEAST) if numbers[place] else 0
                start = y - height if sign < 0 else y
                if height:
                    bars.append(Bar(kind, day, Money(numbers[place], currency), place * STEP + GAP // 2, start, height))
                y += sign * height
    return Chart(len(days) * STEP, zero, Money(top, currency), Money(bottom, currency), bars, days)


def _edge(series: Mapping[str, Sequence[int]], count: int) -> int:
    return round_number(max((sum(numbers[place] for numbers in series.values()) for place in range(count)), default=0))


def round_number(most: int) -> int:
    """The next of 1, 2, 3, 4, 5, 6 and 8 with noughts after it, 100 at least: what a scale may end with."""
    if most <= 0:
        return 0
    step = 100
    while step * 10 < most:
        step *= 10
    return next(step * it for it in (1, 2, 3, 4, 5, 6, 8, 10) if step * it >= most)
