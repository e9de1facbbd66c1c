"""Who may do what."""

import pytest

from app.domain.account import Caller, CallerKind, Scope, customer, staff, system
from app.domain.batch import BatchResult, ItemResult, check_size
from app.domain.errors import BatchTooLarge, Forbidden, NotFound
from tests.builders import CUSTOMER, SHOP, an_account, an_installation

READ = {Scope.AGREEMENTS_READ, Scope.CHARGES_READ}
MONEY = READ | {Scope.AGREEMENTS_WRITE, Scope.CHARGES_WRITE}


@pytest.mark.parametrize(
    ("caller", "rights"),
    [
        (customer(SHOP, CUSTOMER), {Scope.AGREEMENTS_READ, Scope.AGREEMENTS_WRITE, Scope.CHARGES_READ}),
        (staff(SHOP, "VXNlcjoy", frozenset({"MANAGE_ORDERS"})), READ),
        (staff(SHOP, "VXNlcjoy", frozenset({"HANDLE_PAYMENTS"})), MONEY),
        (staff(SHOP, "VXNlcjoy", frozenset({"HANDLE_PAYMENTS", "MANAGE_ORDERS"})), MONEY),
        (Caller(CallerKind.CLIENT, SHOP, "vrc_1", frozenset({Scope.TOKEN_READ})), {Scope.TOKEN_READ}),
        (system(SHOP), MONEY),
    ],
)
def test_each_caller_has_its_rights_and_no_others(caller: Caller, rights: set[Scope]) -> None:
    for scope in Scope:
        if scope in rights:
            caller.require(scope)
            continue
        with pytest.raises(Forbidden):
            caller.require(scope)


@pytest.mark.parametrize("permissions", [frozenset[str](), frozenset({"MANAGE_PRODUCTS"})])
def test_staff_without_a_permission_are_refused(permissions: frozenset[str]) -> None:
    with pytest.raises(Forbidden):
        staff(SHOP, "VXNlcjoy", permissions)


@pytest.mark.parametrize("owner", [None, "VXNlcjoy", ""])
def test_another_customers_agreement_does_not_exist_for_a_customer(owner: str | None) -> None:
    with pytest.raises(NotFound):
        customer(SHOP, CUSTOMER).require_owner(owner, "agr_1")


def test_owners_staff_and_the_app_reach_the_agreement() -> None:
    customer(SHOP, CUSTOMER).require_owner(CUSTOMER, "agr_1")
    staff(SHOP, "VXNlcjoy", frozenset({"MANAGE_ORDERS"})).require_owner(None, "agr_1")
    assert not system(SHOP).own_only


def test_the_audit_names_a_kind_and_an_id() -> None:
    assert customer(SHOP, CUSTOMER).actor == f"customer:{CUSTOMER}"


def test_text_forms_hide_secrets() -> None:
    text = repr(an_account(client_secret="s3cret", subscription_key="k3y")) + repr(an_installation(token="t0ken"))
    assert not [secret for secret in ("s3cret", "k3y", "t0ken") if secret in text]


def test_a_batch_tells_successes_and_errors_apart_in_order() -> None:
    error = NotFound("no")
    failed: ItemResult[int] = ItemResult(1, "b", error=error)
    result = BatchResult((ItemResult(0, "a", 1), failed, ItemResult(2, "c", 3)))
    assert [item.id for item in result.successes] == ["a", "c"]
    assert [item.error for item in result.errors] == [error]


def test_a_batch_may_be_as_large_as_the_limit_and_no_larger() -> None:
    check_size([1, 2], 2)
    with pytest.raises(BatchTooLarge):
        check_size([1, 2, 3], 2)
