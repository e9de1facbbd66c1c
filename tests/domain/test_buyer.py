"""What somebody types to find a person or an order."""

import pytest

from app.domain.buyer import Buyer, OrdersWanted, like, number_in


@pytest.mark.parametrize("text", ["4", "#4", "# 4", "Order 4", "order #4", "Ordre 4"])
def test_an_orders_number_is_found_however_it_is_written(text: str) -> None:
    assert number_in(text) == "4"


@pytest.mark.parametrize("text", ["", "4a", "Kari 4", "#", "12345678", "٤", "orders 4", "agr_4", "4 4"])
def test_what_is_no_number_is_none(text: str) -> None:
    assert number_in(text) == ""


def test_a_telephone_number_is_looked_for_as_addresses_have_it() -> None:
    for text in ("+47 400 00 000", "0047 40000000", "+47-400-00-000"):
        assert like(text) == "+4740000000"
    assert like("400 00 000") == "40000000 OR +4740000000 OR +4540000000 OR +35840000000"
    assert like("040 1234567").endswith("+358401234567")


@pytest.mark.parametrize("text", ["Kari", "Kari Nordmann", "kari@example.com", "Gate 12", "+47", "4000000a"])
def test_other_texts_are_looked_for_as_they_are(text: str) -> None:
    assert like(text) == text


def test_nobody_stands_in_what_a_log_would_show() -> None:
    shown = repr([Buyer("T3I=", "4", None, "Kari", "kari@example.com"), OrdersWanted(like="kari@example.com")])
    assert "Kari" not in shown
    assert "kari" not in shown
