"""Transactions in the API: making, changing and finding them, and who may."""

import pytest

from app.saleor.simulator.models import App, Order
from app.saleor.simulator.simulator import Simulator
from app.saleor.simulator.transaction_models import TransactionItem
from tests.saleor.simulator.doubles import MANIFEST_URL, AppDouble, manifest
from tests.saleor.simulator.payments import (
    CREATE,
    REPORT,
    SUMS,
    UPDATE,
    ask,
    crowns,
    error_codes,
    make,
    payload,
    report,
)

Shop = Simulator


async def test_creating_is_not_idempotent(shop: Shop, app: App, order: Order) -> None:
    one, two = make(shop, app, order, pspReference="same"), make(shop, app, order, pspReference="same")
    assert one is not two
    assert len(order.transactions) == 2


async def test_update_keeps_references_unique(shop: Shop, app: App, order: Order) -> None:
    make(shop, app, order, pspReference="one")
    two = make(shop, app, order, pspReference="two")
    clash = payload(ask(shop, UPDATE, app, id=two.id, transaction={"pspReference": "one"}))
    assert clash == {"transaction": None, "errors": [{"field": "transaction", "code": "UNIQUE"}]}
    same = payload(ask(shop, UPDATE, app, id=two.id, transaction={"pspReference": "two", "name": "N"}))
    assert (same["errors"], two.name) == ([], "N")


async def test_inputs_of_a_creation_are_checked(shop: Shop, app: App, order: Order) -> None:
    wrong = [
        ({"amountCharged": crowns(1, "EUR")}, "INCORRECT_CURRENCY"),
        ({"metadata": [{"key": " ", "value": "1"}]}, "METADATA_KEY_REQUIRED"),
        ({"externalUrl": "nonsense"}, "INVALID"),
    ]
    for transaction, code in wrong:
        made = payload(ask(shop, CREATE, app, id=order.id, transaction=transaction))
        assert [error["code"] for error in made["errors"]] == [code]
    assert error_codes(ask(shop, CREATE, app, id=order.id, transaction={"name": "x" * 513})) == ["DataError"]
    assert payload(ask(shop, CREATE, app, id=app.id, transaction={}))["errors"][0]["code"] == "INVALID"
    assert order.transactions == []


async def test_event_of_a_creation_informs(shop: Shop, app: App, order: Order) -> None:
    event = {"pspReference": "c", "message": "hello"}
    payload(ask(shop, CREATE, app, id=order.id, transaction={}, event=event))
    (told,) = order.transactions[0].events
    assert (told.type, told.psp_reference, told.message, told.by) == ("INFO", "c", "hello", app)


# Who may


async def test_transactions_are_for_apps_that_handle_payments(shop: Shop, order: Order) -> None:
    app = await shop.install(MANIFEST_URL, ["MANAGE_ORDERS"])
    assert error_codes(ask(shop, CREATE, app, id=order.id, transaction={})) == ["PermissionDenied"]
    assert error_codes(ask(shop, CREATE, id=order.id, transaction={})) == ["PermissionDenied"]
    assert order.transactions == []


async def test_another_app_may_not_report(shop: Shop, double: AppDouble, transaction: TransactionItem) -> None:
    double.manifest = manifest(id="other.example")
    other = await shop.install(MANIFEST_URL)
    staff = shop.create_staff()
    for by in (other, staff):
        answer = ask(shop, REPORT, by, id=transaction.id, psp="c", type="CHARGE_SUCCESS", amount=1)
        assert error_codes(answer) == ["PermissionDenied"]
        assert error_codes(ask(shop, UPDATE, by, id=transaction.id, transaction={"name": "x"})) == ["PermissionDenied"]
    assert (transaction.events, transaction.name) == ([], "Vipps")


async def test_a_reinstalled_app_still_owns_its_transactions(
    shop: Shop, app: App, transaction: TransactionItem
) -> None:
    shop.delete_app(app)
    again = await shop.install(MANIFEST_URL)
    assert report(shop, again, transaction, "CHARGE_SUCCESS", "c", amount=1)["errors"] == []


async def test_nobodys_transaction_is_adopted(shop: Shop, app: App, order: Order) -> None:
    transaction = shop.transactions.add(order)
    report(shop, app, transaction, "CHARGE_SUCCESS", "c", amount=1)
    assert (transaction.app, transaction.app_identifier) == (app, app.identifier)


async def test_customers_may_not_see_transactions_of_their_own_order(shop: Shop, app: App) -> None:
    customer = shop.create_customer()
    order = shop.create_order(customer, amount=100)
    make(shop, app, order)
    query = "query($id: ID!) { order(id: $id) { transactions { id } } }"
    assert error_codes(ask(shop, query, customer, id=order.id)) == ["PermissionDenied"]
    assert len(payload(ask(shop, query, app, id=order.id))["transactions"]) == 1


async def test_metadata_of_a_transaction_needs_handle_payments(
    shop: Shop, app: App, transaction: TransactionItem
) -> None:
    query = """mutation($id: ID!) { %s(id: $id, input: [{key: "k", value: "v"}]) { errors { code } } }"""
    for name in ("updateMetadata", "updatePrivateMetadata"):
        assert error_codes(ask(shop, query % name, id=transaction.id)) == ["PermissionDenied"]
        assert payload(ask(shop, query % name, app, id=transaction.id))["errors"] == []
    assert (transaction.metadata, transaction.private_metadata) == ({"k": "v"}, {"k": "v"})


# Looking


async def test_transaction_is_found_by_id_and_token(shop: Shop, app: App, transaction: TransactionItem) -> None:
    report(shop, app, transaction, "CHARGE_SUCCESS", "c", amount=100, message="paid")
    query = f"""query($id: ID, $token: UUID) {{ transaction(id: $id, token: $token) {{ id name pspReference {SUMS}
      createdBy {{ ... on App {{ id }} }} order {{ id }} events {{ type message amount {{ amount }} }} }} }}"""
    found = payload(ask(shop, query, app, id=transaction.id))
    assert found == payload(ask(shop, query, app, token=str(transaction.token)))
    assert found["createdBy"] == {"id": app.id}
    assert found["order"] == {"id": transaction.source.id}
    assert found["chargedAmount"] == {"amount": 100.0}
    assert found["events"] == [{"type": "CHARGE_SUCCESS", "message": "paid", "amount": {"amount": 100.0}}]
    assert error_codes(ask(shop, query, id=transaction.id)) == ["PermissionDenied"]


async def test_transactions_are_found_by_reference(shop: Shop, double: AppDouble, app: App, order: Order) -> None:
    if "TransactionWhereInput" not in shop.schema.type_map:
        pytest.skip("the complete schema is not at hand")
    one = make(shop, app, order, pspReference="one")
    make(shop, app, order, pspReference="two")
    query = """query($where: TransactionWhereInput) { transactions(first: 10, where: $where) {
      totalCount edges { node { id } } } }"""
    where = {"pspReference": {"eq": "one"}}
    expected = {"totalCount": 1, "edges": [{"node": {"id": one.id}}]}
    assert payload(ask(shop, query, app, where=where)) == expected
    assert payload(ask(shop, query, app, where={"pspReference": {"oneOf": ["one", "three"]}})) == expected
    double.manifest = manifest(id="other.example", permissions=["HANDLE_PAYMENTS"])
    other = await shop.install(MANIFEST_URL)
    assert payload(ask(shop, query, other, where=where))["totalCount"] == 0
    assert error_codes(ask(shop, query, where=where)) == ["PermissionDenied"]


async def test_without_manage_orders_a_new_installation_does_not_find_what_the_old_one_made(
    shop: Shop, app: App, order: Order
) -> None:
    if "TransactionWhereInput" not in shop.schema.type_map:
        pytest.skip("the complete schema is not at hand")
    make(shop, app, order, pspReference="one")
    shop.delete_app(app)
    again = await shop.install(MANIFEST_URL, ["HANDLE_PAYMENTS"])
    query = '{ transactions(first: 1, where: {pspReference: {eq: "one"}}) { totalCount } }'
    assert payload(ask(shop, query, again))["totalCount"] == 0
