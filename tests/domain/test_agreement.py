"""An agreement's states, and what may be written in a draft or a change."""

import itertools
from datetime import UTC, date, datetime
from typing import Any

import pytest

from app.domain.agreement import (
    AMOUNT_MAX,
    AgreementChanges,
    AgreementStatus,
    InitialCharge,
    TransactionType,
    check_amount,
    check_text,
    check_url,
)
from app.domain.errors import IllegalState, InvalidInput
from app.domain.money import Currency, Money
from tests.builders import a_draft, an_agreement, nok

# What may be seen after what. Everything else is a step back, or no step.
FORWARD = {
    "NEW": "PENDING ACTIVE STOPPED EXPIRED REJECTED",
    "PENDING": "ACTIVE STOPPED EXPIRED",
    "ACTIVE": "STOPPED",
    "STOPPED": "",
    "EXPIRED": "",
    "REJECTED": "",
    "UNKNOWN": "PENDING ACTIVE STOPPED EXPIRED REJECTED",
}
PAIRS = list(itertools.product(AgreementStatus, AgreementStatus))


def is_forward(before: AgreementStatus, seen: AgreementStatus) -> bool:
    return seen.value in FORWARD[before.value].split()


@pytest.mark.parametrize(("before", "seen"), PAIRS)
def test_an_agreement_moves_forward_or_not_at_all(before: AgreementStatus, seen: AgreementStatus) -> None:
    agreement = an_agreement(status=before)
    expected = seen if is_forward(before, seen) else before
    assert agreement.see(seen) == an_agreement(**{**_fields(agreement), "status": expected})


def _fields(agreement: Any) -> dict[str, Any]:
    return {name: getattr(agreement, name) for name in agreement.__dataclass_fields__}


@pytest.mark.parametrize(("before", "seen"), PAIRS)
def test_a_step_back_is_a_contradiction(before: AgreementStatus, seen: AgreementStatus) -> None:
    back = seen not in {before, AgreementStatus.UNKNOWN} and not is_forward(before, seen)
    assert an_agreement(status=before).contradicts(seen) is back


@pytest.mark.parametrize("status", AgreementStatus)
def test_an_unknown_status_never_moves_an_agreement(status: AgreementStatus) -> None:
    agreement = an_agreement(status=status)
    assert agreement.see(AgreementStatus.UNKNOWN) is agreement


@pytest.mark.parametrize("status", AgreementStatus)
def test_final_statuses_lead_nowhere(status: AgreementStatus) -> None:
    assert status.final is (not FORWARD[status.value])


@pytest.mark.parametrize("status", AgreementStatus)
def test_only_an_active_agreement_can_be_charged_or_changed(status: AgreementStatus) -> None:
    agreement = an_agreement(status=status, agreement_id="agr_1")
    if status is AgreementStatus.ACTIVE:
        agreement.require_active()
        return
    with pytest.raises(IllegalState, match=f"agr_1 is {status}") as refused:
        agreement.require_active()
    assert refused.value.field == "agreementId"


def test_intervals_are_counted_from_the_start_or_the_fallback() -> None:
    started = an_agreement(start=datetime(2026, 1, 31, 23, 59, tzinfo=UTC))
    assert started.anchor(date(2026, 5, 5)) == date(2026, 1, 31)
    assert an_agreement(start=None).anchor(date(2026, 5, 5)) == date(2026, 5, 5)


def test_a_draft_at_every_limit_is_accepted() -> None:
    draft = a_draft(
        price=nok(100),
        product_name="n" * 45,
        product_description="d" * 100,
        agreement_url="https://shop.example/".ljust(1024, "x"),
        redirect_url="myapp://back/".ljust(1024, "x"),
        phone="4791234567",
        initial_charge=InitialCharge(nok(AMOUNT_MAX), "i" * 45, TransactionType.RESERVE_CAPTURE),
    )
    assert draft.product_description == "d" * 100


@pytest.mark.parametrize(
    ("over", "field"),
    [
        ({"price": nok(99)}, "price"),
        ({"price": nok(0)}, "price"),
        ({"price": nok(-100)}, "price"),
        ({"price": nok(AMOUNT_MAX + 1)}, "price"),
        ({"price": Money(0, Currency.EUR)}, "price"),
        ({"product_name": ""}, "productName"),
        ({"product_name": " \t"}, "productName"),
        ({"product_name": "n" * 46}, "productName"),
        ({"product_description": "d" * 101}, "productDescription"),
        ({"agreement_url": "https://shop.example/".ljust(1025, "x")}, "merchantAgreementUrl"),
        ({"agreement_url": "myapp://my/1"}, "merchantAgreementUrl"),
        ({"agreement_url": ""}, "merchantAgreementUrl"),
        ({"redirect_url": "/return"}, "redirectUrl"),
        ({"redirect_url": "javascript:alert(1)"}, "redirectUrl"),
        ({"initial_charge": InitialCharge(nok(99), "First")}, "initialCharge.price"),
        ({"initial_charge": InitialCharge(nok(100), "")}, "initialCharge.description"),
        ({"initial_charge": InitialCharge(nok(100), "i" * 46)}, "initialCharge.description"),
        ({"phone": "1234567"}, "phoneNumber"),
        ({"phone": "+4791234567"}, "phoneNumber"),
        ({"phone": "1" * 16}, "phoneNumber"),
        ({"phone": "٤٧٩١٢٣٤٥"}, "phoneNumber"),
    ],
)
def test_a_draft_that_vipps_would_refuse_is_refused_here(over: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        a_draft(**over)
    assert refused.value.field == field


def test_a_refused_phone_number_is_not_repeated() -> None:
    with pytest.raises(InvalidInput) as refused:
        a_draft(phone="+4791234567")
    assert "91234567" not in str(refused.value)


def test_a_drafts_text_form_hides_the_phone_number() -> None:
    assert "4791234567" not in repr(a_draft(phone="4791234567"))


def test_the_smallest_amount_depends_on_the_currency() -> None:
    check_amount(Money(1, Currency.DKK), "price")
    with pytest.raises(InvalidInput):
        check_amount(nok(1), "price")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({}, "input"),
        ({"price": nok(99)}, "price"),
        ({"product_name": ""}, "productName"),
        ({"product_name": "n" * 46}, "productName"),
        ({"product_description": "d" * 101}, "productDescription"),
        ({"agreement_url": "ftp://shop.example/"}, "merchantAgreementUrl"),
    ],
)
def test_changes_that_vipps_would_refuse_are_refused_here(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        AgreementChanges(**changes)
    assert refused.value.field == field


def test_a_description_may_be_emptied() -> None:
    assert AgreementChanges(product_description="").product_description == ""


@pytest.mark.parametrize(
    "url",
    ["https://shop.example", "http://127.0.0.1:8000/x?y=1#z", "HTTPS://SHOP.EXAMPLE/å", "https://[::1]/"],
)
def test_web_addresses_are_accepted(url: str) -> None:
    check_url(url, "redirectUrl", app_schemes=False)


@pytest.mark.parametrize(
    "url",
    [
        *("", "shop.example", "//shop.example/x", "https://", "https:///x", "http:x", "https://shop.example/a b"),
        *("https://shop.example/\n", "https://[::1", "data:text/html,x", "file:///etc/passwd", "JavaScript:alert(1)"),
    ],
)
def test_other_texts_are_no_addresses(url: str) -> None:
    with pytest.raises(InvalidInput):
        check_url(url, "redirectUrl", app_schemes=True)


@pytest.mark.parametrize("text", ["a\x00b", "a\ud800b"])
def test_a_text_that_neither_the_wire_nor_a_database_can_carry_is_refused(text: str) -> None:
    """PostgreSQL takes no NUL and UTF-8 no lone surrogate: either would fail a whole batch instead of its item."""
    with pytest.raises(InvalidInput):
        check_text(text, "description", 45)
