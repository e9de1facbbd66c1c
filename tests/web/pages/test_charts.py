"""Bars in whole numbers: nothing leaves the picture, and what is not nothing is seen."""

from datetime import date, timedelta

import pytest

from app.domain.money import Currency
from app.web.pages.charts import HEIGHT, chart, round_number
from tests.builders import nok

DAYS = [date(2026, 3, 1) + timedelta(days=number) for number in range(3)]
NOK = Currency.NOK


@pytest.mark.parametrize(
    ("most", "edge"),
    [(0, 0), (1, 100), (100, 100), (101, 200), (950, 1_000), (1_001, 2_000), (25_000, 30_000), (10**12, 10**12)],
)
def test_a_scale_ends_with_a_round_number(most: int, edge: int) -> None:
    assert round_number(most) == edge


def test_what_came_grows_up_and_what_went_grows_down() -> None:
    found = chart(NOK, DAYS, {"in": [30_000, 0, 1]}, {"out": [10_000, 0, 0], "lost": [0, 0, 10_000]})
    assert found is not None
    assert (found.width, found.zero, found.top, found.bottom) == (30, 750, nok(30_000), nok(10_000))
    bars = {(it.kind, it.day.day): (it.y, it.height) for it in found.bars}
    assert bars == {("in", 1): (0, 750), ("out", 1): (750, 250), ("in", 3): (740, 10), ("lost", 3): (750, 250)}


def test_series_of_a_day_stand_on_each_other() -> None:
    found = chart(NOK, DAYS[:1], {}, {"out": [4_000], "lost": [6_000]})
    assert found is not None
    assert [(it.kind, it.y, it.y + it.height) for it in found.bars] == [("out", 0, 400), ("lost", 400, HEIGHT)]


def test_of_nothing_there_is_no_picture() -> None:
    assert chart(NOK, DAYS, {"in": [0, 0, 0]}, {}) is None
