"""Names of a period, which are the same whoever makes them, and what is final."""

import pytest

from app.domain.charge import check_order_id
from app.domain.renewal import RenewalStatus, renewal_id, renewal_order_id

SHOP = "https://shop.example/graphql/"


def test_a_period_has_one_row_id() -> None:
    assert renewal_id(SHOP, "sub", 3) == renewal_id(SHOP, "sub", 3)
    ids = {renewal_id(shop, sub, period) for shop in (SHOP, "other") for sub in ("a", "b") for period in (1, 2)}
    assert len(ids) == 8


def test_each_attempt_has_an_order_id_that_vipps_takes_and_that_is_always_the_same() -> None:
    ids = {renewal_order_id(SHOP, "agr_1", period, attempt) for period in (1, 11) for attempt in (1, 2)}
    assert len(ids) == 4
    assert renewal_order_id(SHOP, "agr_1", 1, 1) in ids
    for order_id in ids:
        check_order_id(order_id)


@pytest.mark.parametrize("status", RenewalStatus)
def test_what_is_final(status: RenewalStatus) -> None:
    assert status.final is (status in {RenewalStatus.PAID, RenewalStatus.SKIPPED, RenewalStatus.FAILED})
