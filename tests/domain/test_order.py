"""Which orders may be charged, and what staff read where one may not."""

from dataclasses import replace
from typing import Any

import pytest

from app.domain.agreement import AgreementStatus
from app.domain.money import Currency, Money
from app.domain.order import (
    AGREEMENT_KEY,
    NOT_CHARGED,
    Order,
    OrderReport,
    OrderTransaction,
    order_id_for,
    own_names,
    refusal,
)
from app.domain.transaction import charge_reference
from tests.builders import SHOP, an_agreement, an_order, nok


def test_an_unpaid_order_of_the_same_customer_may_be_charged() -> None:
    assert refusal(an_order(), an_agreement()) is None


@pytest.mark.parametrize(
    ("order", "agreement", "reason"),
    [
        ({"status": "CANCELED"}, {}, "the order is CANCELED"),
        ({"status": "EXPIRED"}, {}, "the order is EXPIRED"),
        ({"status": "RETURNED"}, {}, "the order is RETURNED"),
        ({"customer": None}, {}, "does not belong to the customer"),
        ({"customer": "VXNlcjoy"}, {}, "does not belong to the customer"),
        ({}, {"customer": None}, "does not belong to the customer"),
        ({"customer": None}, {"customer": None}, "does not belong to the customer"),
        ({"customer": ""}, {"customer": None}, "does not belong to the customer"),
        ({"charge_status": "FULL"}, {}, "paid, in part or in full"),
        ({"charge_status": "PARTIAL"}, {}, "paid, in part or in full"),
        ({"charge_status": "OVERCHARGED"}, {}, "paid, in part or in full"),
        ({"authorize_status": "FULL"}, {}, "paid, in part or in full"),
        ({"authorize_status": "PARTIAL"}, {}, "paid, in part or in full"),
        ({"payment_pending": True}, {}, "another payment"),
        ({"total": None, "total_text": "250.005 NOK"}, {}, "the total 250.005 NOK is not an amount"),
        ({"total": nok(0)}, {}, "nothing to pay"),
        ({"total": nok(-100)}, {}, "nothing to pay"),
        ({"total": Money(25_000, Currency.EUR)}, {}, "in EUR and the agreement in NOK"),
        *(
            ({}, {"status": status}, f"is {status}; only an ACTIVE one")
            for status in AgreementStatus
            if status is not AgreementStatus.ACTIVE
        ),
    ],
)
def test_each_reason_not_to_charge_is_told(order: dict[str, Any], agreement: dict[str, Any], reason: str) -> None:
    told = refusal(an_order(**order), an_agreement(**agreement))
    assert told is not None
    assert reason in told


def test_an_agreement_that_this_shop_does_not_have_is_told() -> None:
    assert refusal(an_order(), None) == "this shop has no agreement agr_1"


@pytest.mark.parametrize("metadata", [{}, {AGREEMENT_KEY: ""}, {AGREEMENT_KEY: "  "}])
def test_an_order_without_an_agreement_is_told(metadata: dict[str, str]) -> None:
    assert refusal(an_order(metadata=metadata), None) == "the order names no agreement"


def test_a_long_text_from_a_storefront_is_cut_in_the_reason() -> None:
    told = refusal(an_order(metadata={AGREEMENT_KEY: "x" * 5_000}), None)
    assert told is not None
    assert len(told) < 120


def test_somebody_elses_agreement_is_refused_before_its_status_is_told() -> None:
    told = refusal(an_order(customer="VXNlcjoy"), an_agreement(status=AgreementStatus.STOPPED))
    assert told is not None
    assert "STOPPED" not in told


def test_spaces_around_the_agreement_id_do_not_matter() -> None:
    assert an_order(metadata={AGREEMENT_KEY: " agr_1 "}).agreement_id == "agr_1"


@pytest.mark.parametrize(
    ("status", "dead", "waits"),
    [
        ("DRAFT", False, True),
        ("UNCONFIRMED", False, True),
        ("UNFULFILLED", False, False),
        ("PARTIALLY_FULFILLED", False, False),
        ("FULFILLED", False, False),
        ("CANCELED", True, False),
        ("EXPIRED", True, False),
        ("RETURNED", True, False),
    ],
)
def test_an_order_waits_lives_or_is_dead(status: str, *, dead: bool, waits: bool) -> None:
    order: Order = an_order(status=status)
    assert (order.dead, order.waits) == (dead, waits)


def test_a_report_stands_once_the_order_shows_all_of_it() -> None:
    report = OrderReport("T3JkZXI6MQ==", NOT_CHARGED, "Not charged", reason="the order is paid")
    shown = {"vipps-recurring.status": NOT_CHARGED, "vipps-recurring.reason": "the order is paid"}
    assert report.stands_on(an_order(private_metadata=shown))
    assert not report.stands_on(an_order(private_metadata={}))
    assert not report.stands_on(an_order(private_metadata=shown | {"vipps-recurring.charge": "chr-1"}))
    assert not report.stands_on(an_order(metadata=shown))


@pytest.mark.parametrize(
    ("shown", "status", "charge", "noted"),
    [
        ("PENDING", "DUE", "chr-1", False),
        ("DUE", "PENDING", "chr-1", False),
        ("PENDING", "DUE", "chr-2", True),
        ("DUE", "CHARGED", "chr-1", True),
        (NOT_CHARGED, "DUE", "chr-1", True),
        ("", "PENDING", "chr-1", True),
    ],
)
def test_an_order_is_not_given_the_same_words_twice(shown: str, status: str, charge: str, *, noted: bool) -> None:
    order = an_order(private_metadata={"vipps-recurring.status": shown, "vipps-recurring.charge": "chr-1"})
    report = OrderReport(order.id, status, "Vipps charges 199.00 NOK", charge)
    assert report.without_repeating(order) == (report if noted else replace(report, note=""))


AGREEMENT = "agr_1"
OWN = own_names(SHOP, "T3JkZXI6MQ==", AGREEMENT, "VHJhbnNhY3Rpb25JdGVtOjE=")
REFERENCE = charge_reference(AGREEMENT, order_id_for(SHOP, "T3JkZXI6MQ=="))


def a_transaction(**over: Any) -> OrderTransaction:
    fields: dict[str, Any] = {"id": "VHJhbnNhY3Rpb25JdGVtOjk=", "psp_reference": "somebody", "money": True}
    return OrderTransaction(**(fields | over))


@pytest.mark.parametrize(
    ("order", "elsewhere"),
    [
        ({}, False),
        ({"transactions": (a_transaction(money=False),)}, False),
        ({"transactions": (a_transaction(),)}, True),
        ({"transactions": (a_transaction(id="VHJhbnNhY3Rpb25JdGVtOjE="),)}, False),
        ({"transactions": (a_transaction(psp_reference=REFERENCE),)}, False),
        ({"transactions": (a_transaction(psp_reference=REFERENCE),), "payment_pending": True}, False),
        ({"transactions": (a_transaction(psp_reference=REFERENCE),), "charge_status": "FULL"}, False),
        ({"transactions": (a_transaction(psp_reference=REFERENCE),), "authorize_status": "FULL"}, False),
        ({"transactions": (a_transaction(psp_reference=REFERENCE), a_transaction()), "charge_status": "FULL"}, True),
        # Marked as paid by hand while our own charge is on its way, or besides it.
        (
            {
                "transactions": (a_transaction(psp_reference=REFERENCE),),
                "charge_status": "FULL",
                "unexplained": True,
            },
            True,
        ),
        ({"transactions": (a_transaction(psp_reference=REFERENCE, money=False),), "charge_status": "FULL"}, True),
        ({"charge_status": "FULL"}, True),
        ({"charge_status": "PARTIAL"}, True),
        ({"authorize_status": "FULL"}, True),
        ({"payment_pending": True}, True),
    ],
)
def test_our_own_transaction_is_no_other_payment(order: dict[str, Any], *, elsewhere: bool) -> None:
    shown = an_order(**order)
    assert shown.paid_elsewhere(OWN) is elsewhere
    assert shown.unwanted(OWN) == ("the order was paid in another way" if elsewhere else None)


def test_a_transaction_of_another_agreement_or_order_is_not_our_own() -> None:
    for other in (own_names(SHOP, "T3JkZXI6MQ==", "agr_2"), own_names(SHOP, "T3JkZXI6Mg==", AGREEMENT)):
        assert an_order(transactions=(a_transaction(psp_reference=REFERENCE),)).paid_elsewhere(other)


def test_what_is_paid_by_our_own_transaction_is_not_charged_anew_where_we_know_of_no_charge() -> None:
    mine = (a_transaction(psp_reference=REFERENCE),)
    assert refusal(an_order(transactions=mine, payment_pending=True), an_agreement(), OWN) is None
    told = refusal(an_order(transactions=mine, charge_status="FULL"), an_agreement(), OWN)
    assert told is not None
    assert "paid" in told
