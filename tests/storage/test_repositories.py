"""The store's contract, on both databases: what goes in comes out, once, and only for its own shop."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any, TypeAlias

import pytest
from sqlalchemy.exc import IntegrityError, StatementError

from app.domain.account import Account, ApiClient, Environment, Installation, Scope
from app.domain.agreement import Agreement, AgreementStatus, Campaign
from app.domain.charge import Charge, ChargeOrigin, ChargeStatus
from app.domain.money import Currency, Money
from app.domain.operation import Operation, OperationKind, OperationStatus
from app.domain.plan import IntervalUnit, Plan
from app.domain.records import AgreementFilter, AppIdentity, InboxEntry, Page
from app.storage.database import SqlStore
from app.storage.repositories import SqlUnit
from tests.builders import (
    NOW,
    OTHER_SHOP,
    SHOP,
    a_charge,
    an_account,
    an_agreement,
    an_api_client,
    an_audit_entry,
    an_inbox_entry,
    an_installation,
    an_operation,
    nok,
)

S = ChargeStatus
SOON = NOW + timedelta(seconds=90)
LATER = NOW + timedelta(days=1)
# Half past eleven in Oslo, with microseconds.
OSLO = datetime(2026, 3, 2, 11, 30, 15, 123456, tzinfo=timezone(timedelta(hours=1)))


async def added(store: SqlStore, *things: Any) -> None:
    """Store anything, each in the way that suits it."""
    async with store.begin() as unit:
        for thing in things:
            match thing:
                case Installation():
                    await unit.installations.put(thing)
                case Account():
                    await unit.accounts.put(thing)
                case ApiClient():
                    await unit.clients.put(thing)
                case Agreement():
                    assert await unit.agreements.add(thing)
                case Charge():
                    assert await unit.charges.add_all([thing]) == {thing.id}
                case Operation():
                    assert await unit.operations.add(thing)
                case InboxEntry():
                    assert await unit.inbox.add(thing)
                case _:
                    raise AssertionError(thing)


async def charge_of(store: SqlStore, charge: Charge) -> Charge | None:
    async with store.begin() as unit:
        return await unit.charges.get(charge.shop, charge.id)


# What goes in comes out.


@pytest.mark.parametrize(
    "over",
    [
        {},
        {"token": None, "jwks": None, "saleor_version": None, "active": False},
        {"installed_at": OSLO, "shop_name": "Kaffe"},
    ],
)
async def test_an_installation_comes_back_as_it_was(store: SqlStore, over: dict[str, Any]) -> None:
    installation = an_installation(**over)
    await added(store, installation)
    async with store.begin() as unit:
        assert await unit.installations.get(SHOP) == installation
        assert await unit.installations.get("https://nobody.example/graphql/") is None


async def test_an_installation_is_described_while_it_stands(store: SqlStore) -> None:
    installation = an_installation()
    gone = an_installation(shop=OTHER_SHOP, active=False, token=None)
    await added(store, installation, gone)
    new = AppIdentity(installation.app_id, "app", "3.24.1", "Kaffe")
    async with store.begin() as unit:
        assert await unit.installations.everywhere() == [installation]
        await unit.installations.describe(SHOP, replace(new, app_id="QXBwOjk="))
        assert await unit.installations.get(SHOP) == installation
        await unit.installations.describe(OTHER_SHOP, replace(new, app_id=gone.app_id))
        assert await unit.installations.get(OTHER_SHOP) == gone
        await unit.installations.describe(SHOP, new)
        described = await unit.installations.get(SHOP)
    assert described == replace(installation, saleor_version="3.24.1", shop_name="Kaffe")


async def test_an_installation_is_replaced(store: SqlStore) -> None:
    again = an_installation(token="another", app_id="QXBwOjI=", active=False)
    await added(store, an_installation(), again)
    async with store.begin() as unit:
        assert await unit.installations.get(SHOP) == again


@pytest.mark.parametrize(
    "over",
    [
        {},
        {"client_secret": None, "subscription_key": None},
        {"environment": Environment.LIVE, "retry_days": 0, "lead_days": 30, "agreement_url": "https://shop.example/my"},
        {"channel": "kanal-æøå", "client_secret": "hemmelig æøå ☕"},
    ],
)
async def test_an_account_comes_back_as_it_was(store: SqlStore, over: dict[str, Any]) -> None:
    account = an_account(**over)
    await added(store, account)
    async with store.begin() as unit:
        assert await unit.accounts.get(SHOP, account.id) == account
        assert await unit.accounts.of_shop(SHOP) == [account]


async def test_an_account_is_replaced(store: SqlStore) -> None:
    account = an_account()
    await added(store, account, replace(account, msn="654321", client_secret="new"))
    async with store.begin() as unit:
        assert await unit.accounts.of_shop(SHOP) == [replace(account, msn="654321", client_secret="new")]


async def test_a_channel_has_one_account(store: SqlStore) -> None:
    await added(store, an_account(), an_account(channel="b2b"))
    with pytest.raises(IntegrityError):
        await added(store, an_account())


@pytest.mark.parametrize(
    "over", [{}, {"scopes": frozenset(Scope)}, {"scopes": frozenset(), "revoked_at": OSLO, "name": "Ødegård"}]
)
async def test_an_api_client_comes_back_as_it_was(store: SqlStore, over: dict[str, Any]) -> None:
    client = an_api_client(**over)
    await added(store, client)
    async with store.begin() as unit:
        assert await unit.clients.get(client.id) == client
        assert await unit.clients.of_shop(SHOP) == [client]
        assert await unit.clients.get("vrc_nobody") is None


EUR = Currency.EUR
AGREEMENTS: list[dict[str, Any]] = [
    {},
    {"customer": None, "start": None, "status": AgreementStatus.UNKNOWN},
    {
        "plan": Plan(IntervalUnit.YEAR, 31),
        "price": Money(2**40, EUR),
        "campaign": Campaign(Money(0, EUR), OSLO, NOW),
        "max_amount": Money(0, EUR),
        "initial_order": "T3JkZXI6MQ==",
        "confirmation_url": "https://api.vipps.no/" + "x" * 3_000,
        "start": OSLO,
        "stop": LATER,
        "failure": "Nei – æøå ☕",
        "checked_at": OSLO,
        "product_description": "",
        "environment": "live",
    },
    {"campaign": Campaign(nok(100), LATER)},
]


@pytest.mark.parametrize("over", AGREEMENTS)
async def test_an_agreement_comes_back_as_it_was(store: SqlStore, over: dict[str, Any]) -> None:
    agreement = an_agreement(**over)
    await added(store, agreement)
    async with store.begin() as unit:
        found = await unit.agreements.get(SHOP, agreement.agreement_id or "")
        assert found == agreement
        assert await unit.agreements.get(SHOP, agreement.agreement_id or "", lock=True) == agreement


@pytest.mark.parametrize("over", AGREEMENTS)
async def test_an_agreement_is_saved_whole(store: SqlStore, over: dict[str, Any]) -> None:
    agreement, bystander = an_agreement(agreement_id=None), an_agreement()
    await added(store, agreement, bystander)
    changed = replace(an_agreement(**over), id=agreement.id)
    async with store.begin() as unit:
        await unit.agreements.save(changed)
    async with store.begin() as unit:
        assert await unit.agreements.get(SHOP, changed.agreement_id or "") == changed
        assert await unit.agreements.get(SHOP, bystander.agreement_id or "") == bystander


CHARGES: list[dict[str, Any]] = [
    {},
    {
        "amount": Money(2**40, EUR),
        "captured": 2**40,
        "refunded": 2**39,
        "status": S.PARTIALLY_REFUNDED,
        "origin": ChargeOrigin.ORDER,
        "charge_id": "ORD-00000001",
        "slot": "order/T3JkZXI6MQ==",
        "saleor_order": "T3JkZXI6MQ==",
        "failure_code": "technical_error",
        "failure": "Nei – æøå ☕",
        "transaction_id": "5001234567",
        "attempts": 3,
        "next_attempt_at": OSLO,
        "lease_until": SOON,
        "reported": "CHARGED",
        "due": date(2028, 2, 29),
        "retry_days": 14,
        "created_at": OSLO,
        "actor": "",
    },
]


@pytest.mark.parametrize("over", CHARGES)
async def test_a_charge_comes_back_as_it_was(store: SqlStore, over: dict[str, Any]) -> None:
    charge = a_charge(**over)
    await added(store, charge)
    assert await charge_of(store, charge) == charge


@pytest.mark.parametrize("over", CHARGES)
async def test_charges_are_saved_whole(store: SqlStore, over: dict[str, Any]) -> None:
    one, two, bystander = a_charge(), a_charge(), a_charge()
    await added(store, one, two, bystander)
    changed = [replace(a_charge(**over), id=one.id), replace(two, status=S.DUE, charge_id=two.order_id)]
    async with store.begin() as unit:
        await unit.charges.save_all(changed)
        await unit.charges.save_all([])
    assert [await charge_of(store, it) for it in (*changed, bystander)] == [*changed, bystander]


@pytest.mark.parametrize(
    "over",
    [
        {},
        {
            "kind": OperationKind.UPDATE,
            "request": {"price": 30_000, "productName": "Te – æøå ☕"},
            "status": OperationStatus.REJECTED,
            "charge_id": None,
            "slot": "key/abc",
            "lock": "UPDATE/agr_1/",
            "attempts": 2,
            "next_attempt_at": OSLO,
            "lease_until": SOON,
            "failure_code": "status.notActive",
            "failure": "No",
            "created_at": OSLO,
        },
        {"request": {}, "kind": OperationKind.STOP},
    ],
)
async def test_an_operation_comes_back_as_it_was_and_is_saved_whole(store: SqlStore, over: dict[str, Any]) -> None:
    operation, bystander = an_operation(**over), an_operation(slot="key/bystander")
    await added(store, operation, bystander)
    changed = replace(operation, status=OperationStatus.DONE, lock=None, failure="Nei")
    async with store.begin() as unit:
        assert await unit.operations.get(SHOP, operation.id) == operation
        assert await unit.operations.by_slot(SHOP, "key/bystander") == bystander
        # The outcome of an attempt that another one took over from says nothing any more.
        await unit.operations.save(replace(operation, status=OperationStatus.REJECTED, attempts=operation.attempts - 1))
        assert await unit.operations.get(SHOP, operation.id) == operation
        open_ = operation.status is OperationStatus.OPEN
        assert await unit.operations.save(changed) is open_
        # What is settled stays as it is.
        assert not await unit.operations.save(replace(operation, failure="Later"))
    async with store.begin() as unit:
        assert await unit.operations.get(SHOP, operation.id) == (changed if open_ else operation)
        assert await unit.operations.get(SHOP, bystander.id) == bystander


async def test_an_event_comes_back_as_it_was_to_whoever_claims_it(store: SqlStore) -> None:
    entry = an_inbox_entry(received_at=OSLO, body='{"note": "æøå ☕ ' + "x" * 100_000 + '"}')
    await added(store, entry)
    async with store.begin() as unit:
        assert await unit.inbox.claim(SHOP, entry.id, OSLO, OSLO + timedelta(minutes=1)) == replace(entry, attempts=1)


async def test_the_audit_tells_its_entries_in_order(store: SqlStore) -> None:
    entries = [an_audit_entry(before=str(n), at=NOW - timedelta(hours=n), reason="æøå") for n in range(5)]
    async with store.begin() as unit:
        await unit.audit.add(entries[:3])
        await unit.audit.add(entries[3:])
        await unit.audit.add([])
        await unit.audit.add([an_audit_entry(object_id="another")])
    async with store.begin() as unit:
        assert await unit.audit.of_object(SHOP, entries[0].object_id) == entries


async def test_times_come_back_in_utc(store: SqlStore) -> None:
    charge = a_charge(next_attempt_at=OSLO)
    await added(store, charge)
    found = await charge_of(store, charge)
    assert found is not None
    assert found.next_attempt_at is not None
    assert found.next_attempt_at.tzinfo is UTC
    assert found.next_attempt_at == OSLO
    assert found.created_at.tzinfo is UTC


async def test_a_time_without_a_zone_is_refused(store: SqlStore) -> None:
    naive = datetime(2026, 3, 2)  # noqa: DTZ001  # this is what must not pass
    with pytest.raises(StatementError, match="time zone"):
        await added(store, a_charge(created_at=naive))


# Transactions.


async def test_what_raises_is_rolled_back(store: SqlStore) -> None:
    agreement, charge = an_agreement(), a_charge()

    async def work() -> None:
        async with store.begin() as unit:
            await unit.agreements.add(agreement)
            await unit.charges.add_all([charge])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await work()
    async with store.begin() as unit:
        assert await unit.agreements.get(SHOP, agreement.agreement_id or "") is None
        assert await unit.charges.get(SHOP, charge.id) is None


async def test_what_is_called_off_is_rolled_back_and_the_store_goes_on(store: SqlStore) -> None:
    first, second = a_charge(), a_charge()
    inside = asyncio.Event()

    async def work() -> None:
        async with store.begin() as unit:
            await unit.charges.add_all([first])
            inside.set()
            await asyncio.sleep(60)

    task = asyncio.create_task(work())
    await inside.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await added(store, second)
    assert await charge_of(store, first) is None
    assert await charge_of(store, second) == second


async def test_a_broken_constraint_breaks_one_transaction_and_no_more(store: SqlStore) -> None:
    one, two = a_charge(charge_id="ORD-1"), a_charge(charge_id="ORD-2")
    await added(store, one, two)
    with pytest.raises(IntegrityError):
        async with store.begin() as unit:
            await unit.charges.save_all([replace(one, attempts=9), replace(two, charge_id="ORD-1")])
    assert [await charge_of(store, it) for it in (one, two)] == [one, two]


# What there may be once.


async def test_a_slot_is_held_by_one_charge_of_a_shop(store: SqlStore) -> None:
    holder, late = a_charge(slot="order/1"), a_charge(slot="order/1")
    await added(store, holder, a_charge(slot="order/1", shop=OTHER_SHOP), a_charge(slot=None), a_charge(slot=None))
    async with store.begin() as unit:
        assert await unit.charges.add_all([late]) == frozenset()
        assert await unit.charges.by_slots(SHOP, ["order/1", "order/2"]) == {"order/1": holder}
    assert await charge_of(store, late) is None


async def test_a_freed_slot_can_be_taken(store: SqlStore) -> None:
    holder, late = a_charge(slot="like/1"), a_charge(slot="like/1")
    await added(store, holder)
    async with store.begin() as unit:
        await unit.charges.save_all([replace(holder, slot=None)])
        assert await unit.charges.add_all([late]) == {late.id}


async def test_a_charge_id_is_known_once_per_agreement(store: SqlStore) -> None:
    await added(store, a_charge(charge_id="ORD-1"))
    async with store.begin() as unit:
        assert await unit.charges.add_all([a_charge(charge_id="ORD-1")]) == frozenset()
        other = a_charge(charge_id="ORD-1", agreement_id="agr_other")
        assert await unit.charges.add_all([other]) == {other.id}


async def test_an_object_has_one_open_operation_of_a_sort(store: SqlStore) -> None:
    first, second = an_operation(lock="REFUND/agr_1/chr-1"), an_operation(lock="REFUND/agr_1/chr-1")
    await added(store, first, an_operation(lock=None), an_operation(lock=None))
    async with store.begin() as unit:
        assert not await unit.operations.add(second)
        await unit.operations.save(replace(first, status=OperationStatus.DONE, lock=None))
        assert await unit.operations.add(second)


async def test_a_clients_own_key_is_good_for_one_operation_for_ever(store: SqlStore) -> None:
    first = an_operation(slot="key/1")
    await added(store, replace(first, status=OperationStatus.DONE))
    async with store.begin() as unit:
        assert not await unit.operations.add(an_operation(slot="key/1"))
        assert await unit.operations.add(an_operation(slot="key/1", shop=OTHER_SHOP))


async def test_an_event_is_taken_in_once(store: SqlStore) -> None:
    entry = an_inbox_entry(event_key="e1")
    await added(store, entry)
    async with store.begin() as unit:
        assert not await unit.inbox.add(an_inbox_entry(event_key="e1", event="another", body="{}"))
        assert await unit.inbox.add(an_inbox_entry(event_key="e1", source="vipps"))
        assert await unit.inbox.add(an_inbox_entry(event_key="e1", shop=OTHER_SHOP))


async def test_the_same_event_delivered_ten_times_at_once_is_taken_in_once(store: SqlStore) -> None:
    async def deliver() -> bool:
        async with store.begin() as unit:
            return await unit.inbox.add(an_inbox_entry(event_key="e1"))

    assert sorted(await asyncio.gather(*(deliver() for _ in range(10)))) == [False] * 9 + [True]


async def test_an_order_charged_ten_times_at_once_is_charged_once(store: SqlStore) -> None:
    async def charge() -> int:
        async with store.begin() as unit:
            return len(await unit.charges.add_all([a_charge(slot="order/1"), a_charge(slot="order/1")]))

    assert sorted(await asyncio.gather(*(charge() for _ in range(10)))) == [0] * 9 + [1]


async def test_an_agreement_belongs_to_one_shop_of_an_environment(store: SqlStore) -> None:
    mine = an_agreement(agreement_id="agr_shared")
    await added(store, mine, an_agreement(agreement_id=None), an_agreement(agreement_id=None))
    async with store.begin() as unit:
        assert not await unit.agreements.add(an_agreement(agreement_id="agr_shared", shop=OTHER_SHOP))
        assert not await unit.agreements.add(an_agreement(agreement_id="agr_shared"))
        live = an_agreement(agreement_id="agr_shared", shop=OTHER_SHOP, environment="live")
        assert await unit.agreements.add(live)
        assert await unit.agreements.belongs_elsewhere(OTHER_SHOP, "test", ["agr_shared", "agr_x"]) == {"agr_shared"}
        assert await unit.agreements.belongs_elsewhere(SHOP, "test", ["agr_shared"]) == frozenset()
        assert await unit.agreements.belongs_elsewhere(SHOP, "live", ["agr_shared"]) == {"agr_shared"}


async def test_a_thousand_charges_are_stored_and_those_whose_slot_is_taken_are_told(store: SqlStore) -> None:
    held = [a_charge(slot=f"order/{n}") for n in range(0, 1_000, 100)]
    await added(store, *held)
    charges = [a_charge(slot=f"order/{n}") for n in range(1_000)]
    twice = [a_charge(slot="order/999"), a_charge(slot="order/1")]
    async with store.begin() as unit:
        inserted = await unit.charges.add_all([*charges, *twice])
    assert inserted == {it.id for number, it in enumerate(charges) if number % 100}
    async with store.begin() as unit:
        holders = await unit.charges.by_slots(SHOP, [f"order/{n}" for n in range(1_000)])
        saved = [replace(it, status=S.PENDING, charge_id=it.order_id) for it in holders.values()]
        await unit.charges.record_sent(saved)
        found = await unit.charges.find(SHOP, held[0].agreement_id, [it.order_id for it in saved])
    assert len(holders) == 1_000
    assert {it.id for it in holders.values()} == inserted | {it.id for it in held}
    assert found == {it.order_id: it for it in saved}


async def test_many_agreements_are_found_at_once(store: SqlStore) -> None:
    agreements = [an_agreement() for _ in range(50)]
    await added(store, *agreements)
    wanted = [it.agreement_id or "" for it in agreements] + [f"agr_absent{n}" for n in range(1_000)]
    async with store.begin() as unit:
        assert await unit.agreements.many(SHOP, wanted) == {it.agreement_id: it for it in agreements}
        assert await unit.agreements.many(SHOP, []) == {}


# Who holds what.

Claimable: TypeAlias = Charge | Operation | InboxEntry


async def claimed(store: SqlStore, thing: Claimable, now: datetime = NOW) -> Any:
    async with store.begin() as unit:
        return await repository_of(unit, thing).claim(thing.shop, thing.id, now, now + timedelta(seconds=90))


def repository_of(unit: SqlUnit, thing: Claimable) -> Any:
    match thing:
        case Charge():
            return unit.charges
        case Operation():
            return unit.operations
        case InboxEntry():
            return unit.inbox


CLAIMABLE = pytest.mark.parametrize("make", [a_charge, an_operation, an_inbox_entry])


@CLAIMABLE
async def test_of_many_claimers_at_once_one_wins(store: SqlStore, make: Callable[[], Any]) -> None:
    thing = make()
    await added(store, thing)
    winners = [it for it in await asyncio.gather(*(claimed(store, thing) for _ in range(8))) if it is not None]
    assert len(winners) == 1
    assert (winners[0].id, winners[0].attempts) == (thing.id, 1)


@CLAIMABLE
async def test_a_claim_that_is_not_committed_yet_keeps_others_out(store: SqlStore, make: Callable[[], Any]) -> None:
    thing = make()
    await added(store, thing)
    async with store.begin() as unit:
        assert await repository_of(unit, thing).claim(SHOP, thing.id, NOW, SOON) is not None
        late = asyncio.create_task(claimed(store, thing))
        await asyncio.sleep(0.1)
        assert not late.done()
    assert await late is None


@CLAIMABLE
async def test_a_claim_that_was_rolled_back_was_none(store: SqlStore, make: Callable[[], Any]) -> None:
    thing = make()
    await added(store, thing)

    async def work() -> None:
        async with store.begin() as unit:
            assert await repository_of(unit, thing).claim(SHOP, thing.id, NOW, SOON) is not None
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await work()
    again = await claimed(store, thing)
    assert again.attempts == 1


@CLAIMABLE
async def test_a_lease_can_be_taken_over_once_it_ended(store: SqlStore, make: Callable[[], Any]) -> None:
    thing = make()
    await added(store, thing)
    assert await claimed(store, thing) is not None
    assert await claimed(store, thing, NOW + timedelta(seconds=89)) is None
    taken_over = await claimed(store, thing, NOW + timedelta(seconds=90))
    assert taken_over.attempts == 2


@CLAIMABLE
async def test_what_a_dead_process_held_can_be_given_back(store: SqlStore, make: Callable[[], Any]) -> None:
    thing = make()
    await added(store, thing)
    assert await claimed(store, thing) is not None
    await store.release_leases()
    assert await claimed(store, thing) is not None


async def test_settled_rows_cannot_be_claimed(store: SqlStore) -> None:
    charges = [a_charge(status=status) for status in ChargeStatus if status is not S.NEW]
    operations = [an_operation(status=status) for status in (OperationStatus.DONE, OperationStatus.REJECTED)]
    done, dead = an_inbox_entry(), an_inbox_entry()
    await added(store, *charges, *operations, done, dead)
    async with store.begin() as unit:
        await unit.inbox.done(SHOP, done.id, NOW, "charged")
        await unit.inbox.dead(SHOP, dead.id, NOW, "gave up")
    settled: list[Claimable] = [*charges, *operations, done, dead]
    assert [await claimed(store, it) for it in settled] == [None] * 16


async def test_what_does_not_exist_cannot_be_claimed(store: SqlStore) -> None:
    things: list[Claimable] = [a_charge(), an_operation(), an_inbox_entry()]
    for thing in things:
        assert await claimed(store, thing) is None


async def test_the_outcome_of_a_call_is_stored_while_the_charge_is_new(store: SqlStore) -> None:
    charge = a_charge()
    await added(store, charge)
    sent = replace(charge, status=S.PENDING, charge_id=charge.order_id, next_attempt_at=LATER)
    async with store.begin() as unit:
        await unit.charges.record_sent([sent])
    assert await charge_of(store, charge) == sent


async def test_the_outcome_of_a_call_does_not_overwrite_what_was_seen_since(store: SqlStore) -> None:
    moved_on, still_new = a_charge(), a_charge()
    await added(store, moved_on, still_new)
    seen = replace(moved_on, status=S.CHARGED, charge_id=moved_on.order_id, captured=25_000, transaction_id="5001")
    async with store.begin() as unit:
        await unit.charges.save_all([seen])
        late = [replace(it, status=S.PENDING, charge_id=it.order_id) for it in (moved_on, still_new)]
        await unit.charges.record_sent(late)
    assert [await charge_of(store, it) for it in (moved_on, still_new)] == [seen, late[1]]


# What is left to do.


async def test_unsent_charges_are_found_when_they_are_free_and_due(store: SqlStore) -> None:
    found = [
        a_charge(),
        a_charge(next_attempt_at=NOW),
        a_charge(lease_until=NOW),
        a_charge(shop=OTHER_SHOP, next_attempt_at=NOW - timedelta(days=1)),
    ]
    hidden = [a_charge(next_attempt_at=SOON), a_charge(lease_until=SOON), a_charge(status=S.PENDING)]
    await added(store, *found, *hidden)
    async with store.begin() as unit:
        assert {it.id for it in await unit.charges.unsent(NOW, 100)} == {it.id for it in found}
        assert len(await unit.charges.unsent(NOW, 3)) == 3


async def test_unsettled_charges_are_found_when_their_next_look_has_come(store: SqlStore) -> None:
    open_ = [status for status in ChargeStatus if not status.final and status is not S.NEW]
    found = [a_charge(status=status, charge_id=f"c{status}", next_attempt_at=NOW) for status in open_]
    hidden = [
        *(a_charge(status=status, charge_id=f"c{status}") for status in ChargeStatus if status.final),
        a_charge(),
        a_charge(status=S.DUE),
        a_charge(status=S.DUE, charge_id="later", next_attempt_at=SOON),
    ]
    await added(store, *found, *hidden)
    async with store.begin() as unit:
        assert {it.id for it in await unit.charges.unsettled(NOW, 100)} == {it.id for it in found}
        await unit.charges.look_again(SHOP, found[0].id, SOON)
        await unit.charges.look_again(SHOP, found[1].id, None)
        assert {it.id for it in await unit.charges.unsettled(NOW, 100)} == {it.id for it in found[1:]}
        assert len(await unit.charges.unsettled(NOW, 2)) == 2


async def test_charges_that_are_not_shown_as_they_are_are_found(store: SqlStore) -> None:
    order = {"saleor_order": "T3JkZXI6MQ==", "origin": ChargeOrigin.ORDER}
    found = [
        a_charge(status=S.DUE, reported=None, **order),
        a_charge(status=S.CHARGED, reported="DUE/0/0/0", lease_until=NOW, **order),
        a_charge(status=S.CHARGED, saleor_transaction="transaction"),
        a_charge(
            status=S.PARTIALLY_REFUNDED, captured=300, refunded=200, reported="PARTIALLY_REFUNDED/300/100/0", **order
        ),
    ]
    hidden = [
        a_charge(status=S.DUE, reported="DUE/0/0/0", **order),
        a_charge(status=S.NEW, **order),
        a_charge(status=S.DUE),
        a_charge(status=S.DUE, lease_until=SOON, **order),
    ]
    await added(store, *found, *hidden)
    async with store.begin() as unit:
        assert {it.id for it in await unit.charges.unreported(NOW, 100)} == {it.id for it in found}
        for charge in found:
            assert await unit.charges.claim_report(SHOP, charge.id, NOW, SOON) is not None
            assert await unit.charges.claim_report(SHOP, charge.id, NOW, SOON) is None
            await unit.charges.mark_reported(SHOP, charge.id, charge.shown)
        assert await unit.charges.unreported(NOW, 100) == []
        assert await unit.charges.claim_report(SHOP, hidden[2].id, NOW, SOON) is None


async def test_a_charge_is_found_by_its_transaction_in_its_own_shop(store: SqlStore) -> None:
    charge = a_charge(status=S.CHARGED)
    await added(store, charge)
    async with store.begin() as unit:
        await unit.charges.link_transaction(OTHER_SHOP, charge.id, "transaction")
        assert await unit.charges.by_transaction(SHOP, "transaction") is None
        await unit.charges.link_transaction(SHOP, charge.id, "transaction")
        linked = await unit.charges.by_transaction(SHOP, "transaction")
        assert linked is not None
        assert linked.id == charge.id
        assert await unit.charges.by_transaction(OTHER_SHOP, "transaction") is None


async def test_unfinished_operations_are_found_when_they_are_free_and_due(store: SqlStore) -> None:
    found = [an_operation(), an_operation(next_attempt_at=NOW, lease_until=NOW), an_operation(shop=OTHER_SHOP)]
    hidden = [
        an_operation(next_attempt_at=SOON),
        an_operation(lease_until=SOON),
        an_operation(status=OperationStatus.DONE),
        an_operation(status=OperationStatus.REJECTED),
    ]
    await added(store, *found, *hidden)
    async with store.begin() as unit:
        assert {it.id for it in await unit.operations.unfinished(NOW, 100)} == {it.id for it in found}
        assert len(await unit.operations.unfinished(NOW, 2)) == 2


async def test_unsettled_agreements_are_found_when_nobody_looked_lately(store: SqlStore) -> None:
    before = NOW - timedelta(minutes=1)
    old = NOW - timedelta(hours=1)
    found = [
        an_agreement(status=AgreementStatus.NEW, agreement_id=None, created_at=old),
        an_agreement(status=AgreementStatus.PENDING, created_at=old, checked_at=old),
        an_agreement(status=AgreementStatus.PENDING, created_at=old, shop=OTHER_SHOP),
    ]
    hidden = [
        an_agreement(status=AgreementStatus.PENDING, created_at=old, checked_at=NOW),
        an_agreement(status=AgreementStatus.PENDING, created_at=NOW),
        an_agreement(status=AgreementStatus.ACTIVE, created_at=old),
        an_agreement(status=AgreementStatus.STOPPED, created_at=old),
    ]
    await added(store, *found, *hidden)
    async with store.begin() as unit:
        assert {it.id for it in await unit.agreements.unsettled(before, 100)} == {it.id for it in found}
        assert len(await unit.agreements.unsettled(before, 2)) == 2


async def test_waiting_events_are_told_in_the_order_they_came(store: SqlStore) -> None:
    second = an_inbox_entry(received_at=NOW - timedelta(minutes=1))
    first = an_inbox_entry(received_at=NOW - timedelta(minutes=2), shop=OTHER_SHOP)
    done, later, held = an_inbox_entry(), an_inbox_entry(), an_inbox_entry()
    await added(store, second, first, done, later, held)
    async with store.begin() as unit:
        await unit.inbox.done(SHOP, done.id, NOW, "")
        await unit.inbox.claim(SHOP, later.id, NOW, SOON)
        await unit.inbox.retry(SHOP, later.id, SOON, "Vipps is busy")
        await unit.inbox.claim(SHOP, held.id, NOW, LATER)
        assert await unit.inbox.waiting(NOW, 100) == [(OTHER_SHOP, first.id), (SHOP, second.id)]
        assert await unit.inbox.waiting(NOW, 1) == [(OTHER_SHOP, first.id)]
        assert [it for _, it in await unit.inbox.waiting(SOON, 100)] == [first.id, second.id, later.id]
    again = await claimed(store, later, SOON)
    assert again.attempts == 2


async def test_charges_are_found_by_vipps_id_or_while_open_by_our_order_id(store: SqlStore) -> None:
    known = a_charge(status=S.DUE, charge_id="chr-1")
    open_ = a_charge(order_id="ORD-OPEN")
    refused = a_charge(order_id="ORD-REFUSED", status=S.REJECTED)
    elsewhere = a_charge(charge_id="chr-1", agreement_id="agr_other")
    await added(store, known, open_, refused, elsewhere)
    wanted = ["chr-1", known.order_id, "ORD-OPEN", "ORD-REFUSED", "chr-2"]
    async with store.begin() as unit:
        found = await unit.charges.find(SHOP, known.agreement_id, wanted)
        # What was refused is found too: should Vipps have it after all, it is this one.
        assert found == {"chr-1": known, "ORD-OPEN": open_, "ORD-REFUSED": refused}
        assert await unit.charges.find(SHOP, known.agreement_id, wanted, lock=True) == found
        assert await unit.charges.find(SHOP, known.agreement_id, []) == {}


async def test_what_counts_towards_the_limit_is_every_recurring_charge_that_stands(store: SqlStore) -> None:
    gone = {S.FAILED, S.CANCELLED, S.REJECTED}
    minors = {status: 1_000 + place for place, status in enumerate(ChargeStatus)}
    charges = [a_charge(status=status, amount=nok(minor), agreement_id="agr_1") for status, minor in minors.items()]
    initial = a_charge(status=S.CHARGED, origin=ChargeOrigin.INITIAL, agreement_id="agr_1", amount=nok(99_999))
    found = a_charge(origin=ChargeOrigin.FOUND, agreement_id="agr_2", due=date(2026, 5, 1), amount=nok(500))
    await added(store, *charges, initial, found)
    async with store.begin() as unit:
        taken = await unit.charges.taken(SHOP, ["agr_1", "agr_2", "agr_3"])
    assert sorted(taken["agr_1"]) == sorted(
        (date(2026, 3, 4), minor) for status, minor in minors.items() if status not in gone
    )
    assert (taken["agr_2"], taken["agr_3"]) == ([(date(2026, 5, 1), 500)], [])


# Lists.


def place(agreement: Agreement) -> tuple[datetime, str]:
    return agreement.created_at, agreement.id


async def walk(store: SqlStore, size: int, *, backwards: bool, newest_first: bool) -> list[Agreement]:
    """All pages one after another, in the order of the list."""
    everything: list[Agreement] = []
    cursor = None
    for _ in range(40):
        async with store.begin() as unit:
            page = await unit.agreements.page(SHOP, AgreementFilter(), Page(size, cursor, backwards, newest_first))
        assert len(page) <= size
        if not page:
            return everything
        everything = [*page, *everything] if backwards else [*everything, *page]
        cursor = place(page[0] if backwards else page[-1])
    raise AssertionError("the pages have no end")


@pytest.mark.parametrize("newest_first", [True, False])
async def test_paging_either_way_shows_every_agreement_once_and_in_order(
    store: SqlStore, *, newest_first: bool
) -> None:
    # Seven to a moment, and the moments differ by a microsecond.
    agreements = [an_agreement(created_at=NOW + timedelta(microseconds=n // 7)) for n in range(20)]
    unknown = an_agreement(agreement_id=None, status=AgreementStatus.NEW)
    await added(store, *reversed(agreements), unknown, an_agreement(shop=OTHER_SHOP))
    expected = sorted(agreements, key=place, reverse=newest_first)
    for size in (1, 3, 7, 20, 50):
        assert await walk(store, size, backwards=False, newest_first=newest_first) == expected
        assert await walk(store, size, backwards=True, newest_first=newest_first) == expected


async def test_agreements_are_filtered_and_counted(store: SqlStore) -> None:
    mine = an_agreement(customer="me", created_at=NOW)
    stopped = an_agreement(customer="me", status=AgreementStatus.STOPPED, created_at=NOW + timedelta(hours=1))
    theirs = an_agreement(customer="them", created_at=NOW + timedelta(hours=2))
    await added(store, mine, stopped, theirs, an_agreement(agreement_id=None), an_agreement(shop=OTHER_SHOP))
    both = frozenset({AgreementStatus.STOPPED, AgreementStatus.ACTIVE})
    cases: list[tuple[AgreementFilter, list[Agreement]]] = [
        (AgreementFilter(), [theirs, stopped, mine]),
        (AgreementFilter(customer="me"), [stopped, mine]),
        (AgreementFilter(customer=""), []),
        (AgreementFilter(statuses=frozenset({AgreementStatus.STOPPED})), [stopped]),
        (AgreementFilter(statuses=both, customer="me"), [stopped, mine]),
        (AgreementFilter(created_from=NOW + timedelta(hours=1)), [theirs, stopped]),
        (AgreementFilter(created_to=NOW + timedelta(hours=1)), [mine]),
        (AgreementFilter(created_from=OSLO.astimezone(UTC), created_to=NOW), []),
    ]
    async with store.begin() as unit:
        for wanted, expected in cases:
            assert await unit.agreements.page(SHOP, wanted, Page(10)) == expected
            assert await unit.agreements.count(SHOP, wanted) == len(expected)


# Another shop sees, claims and changes nothing.


async def test_another_shop_sees_nothing(store: SqlStore) -> None:
    account, agreement, client = an_account(), an_agreement(), an_api_client()
    charge, operation = a_charge(charge_id="chr-1", slot="order/1"), an_operation(slot="key/1")
    await added(store, an_installation(), account, agreement, client, charge, operation)
    agreement_id = agreement.agreement_id or ""
    async with store.begin() as unit:
        await unit.audit.add([an_audit_entry()])
        assert await unit.installations.get(OTHER_SHOP) is None
        assert await unit.accounts.get(OTHER_SHOP, account.id) is None
        assert await unit.accounts.of_shop(OTHER_SHOP) == []
        assert await unit.agreements.get(OTHER_SHOP, agreement_id) is None
        assert await unit.agreements.get(OTHER_SHOP, agreement_id, lock=True) is None
        assert await unit.agreements.many(OTHER_SHOP, [agreement_id]) == {}
        assert await unit.agreements.page(OTHER_SHOP, AgreementFilter(), Page(10)) == []
        assert await unit.agreements.count(OTHER_SHOP, AgreementFilter()) == 0
        assert await unit.charges.get(OTHER_SHOP, charge.id) is None
        assert await unit.charges.find(OTHER_SHOP, charge.agreement_id, ["chr-1", charge.order_id]) == {}
        assert await unit.charges.by_slots(OTHER_SHOP, ["order/1"]) == {}
        assert await unit.charges.taken(OTHER_SHOP, [charge.agreement_id]) == {charge.agreement_id: []}
        assert await unit.operations.get(OTHER_SHOP, operation.id) is None
        assert await unit.operations.by_slot(OTHER_SHOP, "key/1") is None
        assert await unit.clients.of_shop(OTHER_SHOP) == []
        assert await unit.audit.of_object(OTHER_SHOP, an_audit_entry().object_id) == []


async def test_another_shop_claims_nothing(store: SqlStore) -> None:
    things: list[Claimable] = [a_charge(), an_operation(), an_inbox_entry()]
    await added(store, *things)
    for thing in things:
        assert await claimed(store, replace(thing, shop=OTHER_SHOP)) is None
        assert await claimed(store, thing) is not None


async def test_another_shop_changes_nothing(store: SqlStore) -> None:
    agreement, charge, operation, entry = an_agreement(), a_charge(), an_operation(), an_inbox_entry()
    await added(store, agreement, charge, operation, entry)
    async with store.begin() as unit:
        await unit.agreements.save(replace(agreement, shop=OTHER_SHOP, status=AgreementStatus.STOPPED))
        await unit.charges.save_all([replace(charge, shop=OTHER_SHOP, status=S.CHARGED)])
        await unit.charges.record_sent([replace(charge, shop=OTHER_SHOP, status=S.CHARGED)])
        await unit.charges.look_again(OTHER_SHOP, charge.id, LATER)
        await unit.charges.mark_reported(OTHER_SHOP, charge.id, S.CHARGED)
        await unit.operations.save(replace(operation, shop=OTHER_SHOP, status=OperationStatus.DONE))
        await unit.inbox.done(OTHER_SHOP, entry.id, NOW, "")
        await unit.inbox.dead(OTHER_SHOP, entry.id, NOW, "")
        await unit.inbox.retry(OTHER_SHOP, entry.id, LATER, "")
        assert not await unit.agreements.add(replace(agreement, shop=OTHER_SHOP, agreement_id="agr_x"))
        assert await unit.charges.add_all([replace(charge, shop=OTHER_SHOP)]) == frozenset()
        assert not await unit.operations.add(replace(operation, shop=OTHER_SHOP))
        assert not await unit.inbox.add(replace(entry, shop=OTHER_SHOP))
    async with store.begin() as unit:
        assert await unit.agreements.get(SHOP, agreement.agreement_id or "") == agreement
        assert await unit.charges.get(SHOP, charge.id) == charge
        assert await unit.operations.get(SHOP, operation.id) == operation
        assert await unit.inbox.waiting(NOW, 10) == [(SHOP, entry.id)]
        assert await unit.inbox.claim(SHOP, entry.id, OSLO, OSLO + timedelta(minutes=1)) == replace(entry, attempts=1)


async def attempt(store: SqlStore, work: Callable[[SqlUnit], Awaitable[None]]) -> None:
    """Refusing loudly is as good as doing nothing."""
    try:
        async with store.begin() as unit:
            await work(unit)
    except Exception:  # noqa: BLE001, S110  # the rows tell what came of it
        pass


async def test_another_shop_does_not_take_over_an_account(store: SqlStore) -> None:
    account = an_account()
    await added(store, account)
    await attempt(store, lambda unit: unit.accounts.put(replace(account, shop=OTHER_SHOP, msn="666666")))
    async with store.begin() as unit:
        assert await unit.accounts.of_shop(SHOP) == [account]


async def test_another_shop_does_not_take_over_an_api_client(store: SqlStore) -> None:
    client = an_api_client()
    await added(store, client)
    await attempt(store, lambda unit: unit.clients.put(replace(client, shop=OTHER_SHOP, secret_hash="6" * 64)))
    async with store.begin() as unit:
        assert await unit.clients.get(client.id) == client


async def test_a_shop_that_leaves_takes_its_secrets_and_nobody_elses(store: SqlStore) -> None:
    installation = an_installation()
    mine = [installation, an_account(), an_account(channel="b2b"), an_api_client()]
    revoked = an_api_client(revoked_at=NOW - timedelta(days=1), created_at=NOW + timedelta(seconds=1))
    theirs = [an_installation(shop=OTHER_SHOP), an_account(shop=OTHER_SHOP), an_api_client(shop=OTHER_SHOP)]
    agreement = an_agreement()
    await added(store, *mine, revoked, *theirs, agreement)
    async with store.begin() as unit:
        assert not await unit.installations.forget(SHOP, "another installation", NOW)
        assert await unit.installations.forget(SHOP, installation.app_id, NOW)
    async with store.begin() as unit:
        gone = await unit.installations.get(SHOP)
        assert gone is not None
        # The public keys stay: they tell this shop from another one that takes its name.
        assert (gone.active, gone.token, gone.jwks) == (False, None, installation.jwks)
        accounts = await unit.accounts.of_shop(SHOP)
        assert {(it.client_secret, it.subscription_key) for it in accounts} == {(None, None)}
        assert [it.revoked_at for it in await unit.clients.of_shop(SHOP)] == [NOW, revoked.revoked_at]
        assert await unit.agreements.get(SHOP, agreement.agreement_id or "") == agreement
        assert await unit.installations.get(OTHER_SHOP) == theirs[0]
        assert await unit.accounts.of_shop(OTHER_SHOP) == [theirs[1]]
        assert await unit.clients.of_shop(OTHER_SHOP) == [theirs[2]]
