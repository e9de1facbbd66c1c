"""What became of charges reaches Saleor's transactions: once, in order, and so that the sums are Vipps' own."""

import asyncio
import itertools
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from app.domain.agreement import TransactionType
from app.domain.charge import ChargeOrigin, ChargeStatus
from app.domain.operation import OperationKind
from app.domain.order import AGREEMENT_KEY, order_id_for
from app.domain.renewal import RENEWAL_KEY
from app.domain.transaction import ActionType, Session, charge_reference
from app.jobs.workflows import handlers
from app.saleor.payloads import object_of
from app.saleor.simulator.event_reports import Report
from app.saleor.simulator.models import Order
from app.saleor.simulator.transaction_models import Sums, TransactionItem
from app.saleor.simulator.transactions import Statement
from app.usecases.agreements import InitialChargeWish
from app.usecases.following import notify_shop
from app.usecases.inbox import apply_inbox
from app.usecases.installations import installed
from app.usecases.money_moves import ChargeMove
from app.usecases.orders import charge_order
from app.vipps.simulator.models import ChargeStatus as VippsStatus
from tests.builders import nok
from tests.usecases.steps import (
    LEASE,
    Died,
    Life,
    Subscriber,
    a_made_charge,
    a_subscriber,
    agreement_row,
    amounts,
    an_order,
    another_worker,
    charge_of,
    hears_vipps,
    mortal,
    moved,
    on_v3,
    only_order_created,
    operation_row,
    raw,
    recover,
    status_of,
    stored_charges,
    the_account,
    trouble,
)
from tests.world import SHOP, World

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # the database does not matter here


def the_transaction(order: Order) -> TransactionItem:
    [transaction] = order.transactions
    return transaction


def events_of(order: Order) -> list[str]:
    return [f"{it.type} {it.amount:.2f}" for it in the_transaction(order).events]


def sums_of(order: Order) -> dict[str, str]:
    """Those that are not nothing."""
    sums = the_transaction(order).sums
    names = ("authorized", "authorize_pending", "charged", "charge_pending", "refunded", "refund_pending", "canceled")
    return {name: f"{getattr(sums, name):.2f}" for name in names if getattr(sums, name)}


async def a_charged_order(world: World, **over: Any) -> tuple[Subscriber, Order]:
    """Collected on its due day, and shown so."""
    who = await a_subscriber(world)
    order = an_order(world, who, **over)
    await world.drain()
    await recover(world, rounds=2, pause=timedelta(days=2))
    assert status_of(order) == "CHARGED"
    return who, order


async def by_somebody_else(world: World, agreement: str, charge_id: str, amount: int, key: str = "portal") -> None:
    """A refund in Vipps' portal: with the merchant's rights, and past us."""
    provider = world.context.deps.provider(await the_account(world))
    await provider.refund_charge(agreement, charge_id, nok(amount), "In the portal", key=key)


async def test_an_orders_charge_is_pending_and_then_pays_the_order_and_its_echoes_change_nothing(world: World) -> None:
    who = await a_subscriber(world)
    order = an_order(world, who)
    await world.drain()

    transaction = the_transaction(order)
    assert transaction.psp_reference == charge_reference(who.agreement, order_id_for(SHOP, order.id))
    assert (events_of(order), transaction.actions) == (["CHARGE_REQUEST 199.00"], ["CANCEL"])
    assert (sums_of(order), order.charge_status) == ({"charge_pending": "199.00"}, "NONE")

    for _ in range(3):
        world.advance(timedelta(seconds=1))
        world.saleor.touch_order(order)
        world.saleor.order_metadata_changed(order)
        await world.drain()
        await world.sweep()
    assert world.effects("cancel") == []
    assert len(order.notes) == 1

    await recover(world, rounds=2, pause=timedelta(days=2))
    assert (sums_of(order), order.charge_status) == ({"charged": "199.00"}, "FULL")
    assert (events_of(order)[1:], transaction.actions) == (["CHARGE_SUCCESS 199.00"], ["REFUND"])

    told = len(world.saleor.deliveries)
    for _ in range(3):
        world.advance(timedelta(seconds=1))
        world.saleor.touch_order(order)
        await world.drain()
        await world.sweep()
    assert len(world.saleor.deliveries) == told + 3
    assert amounts(world, "create") == amounts(world, "charge") == [19_900]
    assert world.effects("cancel") == world.effects("refund") == []
    assert (len(order.transactions), len(transaction.events), len(order.notes)) == (1, 2, 2)


async def test_an_order_that_another_app_pays_takes_its_pending_charge_back(world: World) -> None:
    order = an_order(world, await a_subscriber(world))
    await world.drain()

    world.advance(timedelta(seconds=1))
    theirs = world.saleor.transactions.create(order, Statement(name="Card", psp_reference="card-1"))
    world.saleor.transactions.report(theirs, Report("card-1", "CHARGE_SUCCESS", Decimal(199)))
    await world.drain()

    ours = order.transactions[0]
    assert amounts(world, "cancel") == [19_900]
    assert [it.type for it in ours.events] == ["CHARGE_REQUEST", "CHARGE_FAILURE"]
    assert ours.sums == Sums()
    assert ours.actions == []
    assert (status_of(order), order.charge_status) == ("CANCELLED", "FULL")


@on_sqlite
async def test_an_order_that_is_being_paid_by_another_app_takes_its_pending_charge_back(world: World) -> None:
    order = an_order(world, await a_subscriber(world))
    await world.drain()

    world.advance(timedelta(seconds=1))
    theirs = world.saleor.transactions.create(order, Statement(name="Card", psp_reference="card-1"))
    world.saleor.transactions.report(theirs, Report("card-1", "CHARGE_REQUEST", Decimal(199)))
    world.saleor.touch_order(order)
    await world.drain()

    assert amounts(world, "cancel") == [19_900]


@on_sqlite
async def test_an_order_marked_as_paid_by_hand_takes_its_pending_charge_back(world: World) -> None:
    """By a payment of the old kind, of which no transaction tells."""
    order = an_order(world, await a_subscriber(world))
    await world.drain()

    world.advance(timedelta(seconds=1))
    order.charged = Decimal(199)
    world.saleor.touch_order(order)
    await world.drain()

    assert amounts(world, "cancel") == [19_900]
    assert status_of(order) == "CANCELLED"


async def test_refunds_by_api_and_in_the_portal_are_each_told_once_with_references_of_their_own(world: World) -> None:
    who, order = await a_charged_order(world)
    charge = await charge_of(world, order)
    assert charge is not None
    assert charge.charge_id is not None

    move = ChargeMove(OperationKind.REFUND, who.agreement, charge.charge_id, 2_000, "A cup")
    [done] = await moved(world, move)
    assert done.error is None
    await world.drain()
    await by_somebody_else(world, who.agreement, charge.charge_id, 500)
    await world.drain()
    await notified(world, order)
    await moved(world, replace(move, idempotency_key="another"))
    await world.drain()

    assert amounts(world, "refund") == [2_000, 500, 2_000]
    assert sums_of(order) == {"charged": "154.00", "refunded": "45.00"}
    refunds = [it for it in the_transaction(order).events if it.type == "REFUND_SUCCESS"]
    operations = [it["id"] for it in await raw(world, "operation") if it["kind"] == OperationKind.REFUND]
    references = [str(it.psp_reference) for it in refunds]
    assert [references[0], references[2]] == operations
    assert references[1].endswith(f"{charge.charge_id}/refunded/2500")
    assert order.charge_status == "PARTIAL"


async def notified(world: World, order: Order) -> None:
    """What a webhook of Vipps leads to: the charge is looked at."""
    charge = await charge_of(world, order)
    assert charge is not None
    await world.rest("/charge/get", [{"agreement_id": charge.agreement_id}], await world.client())
    await world.drain()


async def test_a_refund_whose_answer_was_lost_is_told_under_its_operation_and_not_as_the_portals(world: World) -> None:
    who, order = await a_charged_order(world)
    charge = await charge_of(world, order)
    assert charge is not None
    trouble(world, "refundCharge", {"kind": "timeout-after", "seconds": 0})
    [open_] = await moved(world, ChargeMove(OperationKind.REFUND, who.agreement, charge.order_id, 2_000, "A cup"))
    assert open_.error is not None

    # Everybody sees the money, and nobody knows yet whose it is.
    await notified(world, order)
    assert "REFUND_SUCCESS 20.00" not in events_of(order)

    await recover(world, rounds=2)
    [refund] = [it for it in the_transaction(order).events if it.type == "REFUND_SUCCESS"]
    operation = await operation_row(world, OperationKind.REFUND)
    assert (refund.psp_reference, operation["status"]) == (operation["id"], "DONE")
    assert amounts(world, "refund") == [2_000]
    assert sums_of(order) == {"charged": "179.00", "refunded": "20.00"}


@on_sqlite
async def test_a_charge_that_fails_is_told_with_its_reason(world: World) -> None:
    order = an_order(world, await a_subscriber(world), amount=Decimal("1.51"))
    await world.drain()
    for _ in range(9):
        await recover(world, rounds=1, pause=timedelta(days=1))

    assert status_of(order) == "FAILED"
    failure = the_transaction(order).events[-1]
    assert failure.type == "CHARGE_FAILURE"
    assert "user_action_required" in failure.message or "limit" in failure.message or "FAILED" in failure.message
    assert (sums_of(order), the_transaction(order).actions) == ({}, [])


@on_sqlite
async def test_a_failure_after_the_success_takes_the_payment_back_in_saleor(world: World) -> None:
    who, order = await a_charged_order(world)
    [charge] = world.vipps.charges(who.agreement)
    charge.status = VippsStatus.FAILED

    await notified(world, order)

    assert events_of(order)[1:] == ["CHARGE_SUCCESS 199.00", "CHARGE_FAILURE 199.00"]
    assert (sums_of(order), order.charge_status, the_transaction(order).actions) == ({}, "NONE", [])
    assert status_of(order) == "FAILED"


async def test_two_processes_that_tell_of_a_charge_at_once_make_one_transaction(world: World) -> None:
    who = await a_subscriber(world)
    only_order_created(world)
    second = another_worker(world)
    orders = []
    for number in range(3):
        orders.append(an_order(world, who, amount=50 + number))
        charge = await _made_and_not_told(world, orders[-1])
        both = (world.context.deps, second.deps)
        await asyncio.gather(*(notify_shop(deps, SHOP, [charge]) for deps in both * 2))
    await recover(world)
    await second.store.close()

    assert [events_of(order) for order in orders] == [[f"CHARGE_REQUEST {50 + number}.00"] for number in range(3)]


@on_sqlite
async def test_v3_tells_the_true_time_of_what_happened_while_nobody_looked(world: World) -> None:
    await on_v3(world)
    order = an_order(world, await a_subscriber(world))
    await world.drain()

    await recover(world, rounds=1, pause=timedelta(days=6))

    [taken] = world.effects("charge")
    success = the_transaction(order).events[-1]
    assert (success.type, success.at) == ("CHARGE_SUCCESS", taken.at)
    assert success.at < world.time.now - timedelta(days=1)


async def test_a_charge_without_an_order_is_nobodys_transaction(world: World) -> None:
    who = await a_subscriber(world)
    await a_made_charge(world, who.agreement)
    await recover(world, rounds=3, pause=timedelta(days=2))

    assert amounts(world, "charge") == [10_000]
    assert world.saleor.transactions.items == []
    assert await raw(world, "report") == []


async def test_what_saleor_did_not_hear_is_told_later_and_in_order(world: World) -> None:
    order = an_order(world, await a_subscriber(world))
    await world.drain()
    world.saleor.go_away()
    await recover(world, rounds=3, pause=timedelta(days=1))
    assert amounts(world, "charge") == [19_900]
    assert events_of(order) == ["CHARGE_REQUEST 199.00"]

    world.saleor.come_back()
    await recover(world, rounds=3, pause=timedelta(hours=1))

    assert events_of(order) == ["CHARGE_REQUEST 199.00", "CHARGE_SUCCESS 199.00"]
    assert status_of(order) == "CHARGED"
    assert world.unforeseen == []


@on_sqlite
async def test_what_saleor_refuses_is_shown_to_staff_and_not_sent_for_ever(world: World) -> None:
    order = an_order(world, await a_subscriber(world))
    await world.drain()
    transaction = the_transaction(order)
    # Somebody wrote another amount under our reference.
    reference = str(transaction.psp_reference)
    world.saleor.transactions.report(transaction, Report(reference, "CHARGE_SUCCESS", Decimal(1)))

    await recover(world, rounds=4, pause=timedelta(days=1))

    [refused] = [it for it in await raw(world, "report") if it["type"] == "CHARGE_SUCCESS"]
    assert refused["status"] == "REFUSED"
    assert "different amount" in refused["failure"]
    [problem] = world.saleor.problems.of(world.saleor.apps[0])
    assert problem.key_text == "vipps-recurring-report"
    assert "199.00 NOK" in problem.message
    assert any(it["action"] == "report.refused" for it in await raw(world, "audit"))


async def test_a_process_that_dies_at_any_step_of_telling_makes_one_transaction_and_tells_each_event_once(
    world: World,
) -> None:
    who = await a_subscriber(world, price=1_000_000)
    only_order_created(world)
    for dies_at in itertools.count(1, 1 if world.context.store.sqlite else 5):
        order = an_order(world, who, amount=10 + dies_at)
        charge = await _made_and_not_told(world, order)
        life = Life(dies_at)
        dying = mortal(world.context.deps, life)
        try:
            await notify_shop(dying, SHOP, [charge])
            await world.jobs.drain(handlers(dying, object_of))
        except Died:
            world.jobs.waiting.clear()
        await recover(world, rounds=1)

        assert events_of(order) == [f"CHARGE_REQUEST {10 + dies_at}.00"], life.last
        assert len(order.notes) == 1, life.last
        if not life.ended:
            break
    assert len(life.steps) > 20


async def _made_and_not_told(world: World, order: Order) -> str:
    """The order's charge stands at Vipps; the process died before it told Saleor. Its row's id."""
    world.jobs.waiting.clear()
    await world.saleor.deliver()
    _, shop, [entry] = world.jobs.waiting[0]
    with pytest.raises(Died):
        await apply_inbox(mortal(world.context.deps, Life(dies_on="before report")), object_of, shop, entry)
    world.jobs.waiting.clear()
    world.jobs.later.clear()
    world.advance(LEASE)
    charge = await charge_of(world, order)
    assert charge is not None
    return charge.id


@on_sqlite
async def test_a_transaction_whose_making_was_not_answered_is_found_and_not_made_again(world: World) -> None:
    who = await a_subscriber(world)
    only_order_created(world)
    order = an_order(world, who)
    charge = await _made_and_not_told(world, order)
    with pytest.raises(Died):
        await notify_shop(mortal(world.context.deps, Life(dies_on="after create_transaction")), SHOP, [charge])
    assert len(order.transactions) == 1

    await recover(world)

    assert events_of(order) == ["CHARGE_REQUEST 199.00"]


@on_sqlite
async def test_a_charge_whose_order_is_gone_is_told_of_in_the_audit_only(world: World) -> None:
    who = await a_subscriber(world)
    only_order_created(world)
    order = an_order(world, who)
    await _made_and_not_told(world, order)
    world.saleor.orders.remove(order)

    await recover(world)

    async with world.context.store.begin() as unit:
        assert await unit.charges.unreported(world.time.now, 10) == []
    assert await raw(world, "report") == []
    assert any(it["action"] == "transaction.refused" for it in await raw(world, "audit"))


async def test_a_stop_in_the_app_shows_on_the_newest_transaction(world: World) -> None:
    await hears_vipps(world)
    who, first = await a_charged_order(world)
    second = an_order(world, who)
    await world.drain()

    world.vipps.stop_in_app(who.agreement)
    await world.drain()
    await world.drain()

    [told] = [it for it in the_transaction(second).events if it.type == "INFO"]
    assert "stopped by the customer" in told.message
    assert not [it for it in the_transaction(first).events if it.type == "INFO"]
    # What was open is cancelled with the agreement, and the transaction offers nothing any more.
    assert (the_transaction(second).actions, sums_of(second)) == ([], {})
    assert the_transaction(first).actions == ["REFUND"]


@on_sqlite
async def test_an_initial_charge_is_told_to_its_sessions_transaction_and_to_no_order(world: World) -> None:
    wish = InitialChargeWish(29_900, "First box", TransactionType.RESERVE_CAPTURE)
    who = await a_subscriber(world, initial_charge=wish)
    order = world.saleor.create_order(who.user, amount=299)
    paying = world.saleor.transactions.add(order, app=world.saleor.apps[0])
    [seen] = world.vipps.charges(who.agreement)
    async with world.context.store.begin() as unit:
        rows = await unit.charges.find(SHOP, who.agreement, [seen.id])
        await unit.charges.link_transaction(SHOP, rows[seen.id].id, paying.id)
    await recover(world)
    await moved(world, ChargeMove(OperationKind.CAPTURE, who.agreement, seen.id))
    await world.drain()

    assert events_of(order) == ["AUTHORIZATION_SUCCESS 299.00", "CHARGE_SUCCESS 299.00"]
    assert (sums_of(order), order.charge_status) == ({"charged": "299.00"}, "FULL")
    operation = await operation_row(world, OperationKind.CAPTURE)
    assert paying.events[-1].psp_reference == operation["id"]
    assert (order.notes, order.private_metadata) == ([], {})


@pytest.mark.parametrize("kind", ["renewal", "checkout"])
@on_sqlite
async def test_an_order_of_a_renewal_or_a_checkout_is_not_charged_by_its_metadata(world: World, kind: str) -> None:
    who = await a_subscriber(world)
    metadata = {AGREEMENT_KEY: who.agreement} | ({RENEWAL_KEY: f"{who.agreement}:1"} if kind == "renewal" else {})
    world.saleor.mischief.drop = True
    order = world.saleor.create_order(who.user, amount=199, metadata=metadata)
    if kind == "checkout":
        paying = world.saleor.transactions.add(order, app=world.saleor.apps[0])
        row = await agreement_row(world, who.agreement)
        session = Session(
            id=paying.id,
            shop=SHOP,
            account_id=row.account_id,
            agreement_row=row.id,
            action=ActionType.CHARGE,
            amount=nok(19_900),
            source=order.id,
            created_at=world.time.now,
        )
        async with world.context.store.begin() as unit:
            await unit.sessions.add(session)

    done = await charge_order(world.context.deps, await installed(world.context.deps, SHOP), order.id)

    assert ("renewal" if kind == "renewal" else "paid at the checkout") in done
    assert world.effects("create") == []
    assert order.notes == []


async def test_a_renewals_charge_is_sent_without_its_order_and_shown_on_its_transaction(world: World) -> None:
    who = await a_subscriber(world)
    order = world.saleor.create_order(who.user, amount=199)
    [charge] = await stored_charges(
        world,
        who.agreement,
        1,
        19_900,
        origin=ChargeOrigin.RENEWAL,
        saleor_order=order.id,
        order_id="vr-renewal-0001",
    )
    await world.sweep()

    assert amounts(world, "create") == [19_900]
    assert (events_of(order), the_transaction(order).actions) == (["CHARGE_REQUEST 199.00"], ["CANCEL"])
    await recover(world, rounds=3, pause=timedelta(days=2))
    assert order.charge_status == "FULL"
    # The metadata and notes are the renewal's own matter.
    assert (order.notes, order.private_metadata) == ([], {})
    async with world.context.store.begin() as unit:
        found = await unit.charges.get(SHOP, charge.id)
    assert found is not None
    assert (found.status, found.reported) == (ChargeStatus.CHARGED, found.shown)
