"""Rows only move forward and money is conserved, in whatever order and however often the world is looked at."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.domain.account import Account, customer
from app.domain.agreement import AgreementStatus
from app.domain.charge import SeenCharge
from app.domain.errors import RecurringError, Rejected
from app.domain.operation import OperationKind
from app.domain.provider import RecurringProvider
from app.usecases.agreements import cancel_agreements, get_agreement
from app.usecases.charges import ChargeMake, get_charges, make_charges
from app.usecases.known import account_of, observe_agreement, observe_charges
from app.usecases.money_moves import ChargeMove, move
from tests.usecases.steps import (
    LEASE,
    MACHINE,
    Beforehand,
    Life,
    Subscriber,
    a_collected_charge,
    a_made_charge,
    a_subscriber,
    agreement_row,
    an_agreement,
    another_worker,
    limited,
    mortal,
    moved,
    raw,
    recover,
)
from tests.world import SHOP, World

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # the database does not matter here
# Written from facts/VIPPS.md 7.2, not from our table: what may come after what.
ORDER = ("NEW", "PENDING", "DUE", "PROCESSING", "RESERVED", "PARTIALLY_CAPTURED", "CHARGED")
BACK = {"PARTIALLY_REFUNDED": 8, "REFUNDED": 9}
RANKS = {name: rank for rank, name in enumerate(ORDER)} | BACK
ENDS = {"FAILED", "CANCELLED", "REJECTED", "REFUNDED"}
ACTIONS = ("make", "list", "get", "late", "sweep", "hour", "day", "collect", "fail", "cancel", "refund", "lose", "busy")


def is_step_forward(before: str, after: str) -> bool:
    if before == after:
        return True
    if before in ENDS:
        return False
    return after in ENDS or RANKS[after] > RANKS[before]


class Story:
    """One subscriber's charges, acted upon at random and looked at after every act."""

    def __init__(self, world: World, who: Subscriber) -> None:
        self.world = world
        self.who = who
        self.count = 0
        self.answers: list[Sequence[SeenCharge]] = []
        self.rows: dict[str, dict[str, Any]] = {}

    async def act(self, action: str, pick: int) -> None:
        """May raise a RecurringError: what the app says to whoever asks for something impossible."""
        acts: dict[str, Callable[..., Awaitable[object]]] = {
            "make": self._make,
            "list": self._look,
            "get": self._get,
            "late": self._late,
            "sweep": self.world.sweep,
        }
        if action in acts:
            await acts[action](*([pick] if action == "late" else []))
        elif action in {"cancel", "refund"}:
            await moved(self.world, self._move(action, pick))
        else:
            self._befall(action, pick)

    async def _make(self) -> None:
        self.count += 1
        name = f"order-{self.who.agreement[4:]}-{self.count}"
        await a_made_charge(self.world, self.who.agreement, 10_000, name)

    async def _get(self) -> None:
        await get_charges(self.world.context.deps, MACHINE, [self.who.agreement])

    async def _late(self, pick: int) -> None:
        """An answer that was on its way for a long time."""
        if self.answers:
            row = await agreement_row(self.world, self.who.agreement)
            await observe_charges(self.world.context.deps, "test", row, self.answers[pick % len(self.answers)])

    def _move(self, action: str, pick: int) -> ChargeMove:
        ids = sorted(row["charge_id"] for row in self.rows.values() if row["charge_id"])
        charge_id = ids[pick % len(ids)] if ids else "none-yet"
        if action == "cancel":
            return ChargeMove(OperationKind.CANCEL, self.who.agreement, charge_id)
        price = (None, 1_000, 4_000, 10_000)[pick % 4]
        return ChargeMove(OperationKind.REFUND, self.who.agreement, charge_id, price, "Broken")

    def _befall(self, what: str, pick: int) -> None:
        vipps = self.world.vipps
        match what:
            case "hour" | "day":
                self.world.advance(timedelta(hours=1 if what == "hour" else 24))
            case "collect":
                vipps.process_due()
            case "fail":
                vipps.set_failure(self.who.agreement, "technical_error" if pick % 2 else None)
            case "lose":
                vipps.faults.add("reset-after", method=("POST", "DELETE")[pick % 2], path="/charges")
            case _:
                vipps.faults.add("status", status=503, path="/charges", when="after")

    async def _look(self) -> None:
        row = await agreement_row(self.world, self.who.agreement)
        account = await account_of(self.world.context.deps, SHOP, row.account_id)
        seen = await self.world.context.deps.provider(account).list_charges(self.who.agreement)
        self.answers.append(seen)
        await observe_charges(self.world.context.deps, "test", row, seen)

    async def check(self) -> None:
        rows = {it["id"]: it for it in await raw(self.world, "charge") if it["agreement_id"] == self.who.agreement}
        for row_id, before in self.rows.items():
            after = rows[row_id]
            assert is_step_forward(before["status"], after["status"]), (before["status"], after["status"])
            assert before["captured"] <= after["captured"]
            assert before["refunded"] <= after["refunded"]
            assert before["charge_id"] in (None, after["charge_id"])
            for fixed in ("amount", "idempotency_key", "order_id", "due"):
                assert before[fixed] == after[fixed]
        for row in rows.values():
            assert 0 <= row["refunded"] <= row["captured"] <= row["amount"]
        named = [row["charge_id"] for row in rows.values() if row["charge_id"]]
        assert len(named) == len(set(named))
        self.rows = rows

    async def end(self) -> None:
        """When trouble is over and time has passed, our rows and Vipps' books say the same."""
        self.world.vipps.faults.clear()
        await recover(self.world, rounds=4, pause=timedelta(hours=2))
        await self._look()
        await self.check()
        books = {
            it.id: (it.status.value, it.captured, it.refunded) for it in self.world.vipps.charges(self.who.agreement)
        }
        ours = {it["charge_id"]: (it["status"], it["captured"], it["refunded"]) for it in self.rows.values()}
        assert ours == books
        created = [it for it in self.world.effects("create") if it.agreement_id == self.who.agreement]
        assert len(created) == self.count


@on_sqlite
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(acts=st.lists(st.tuples(st.sampled_from(ACTIONS), st.integers(0, 11)), min_size=4, max_size=16))
async def test_no_order_of_looking_and_acting_moves_a_charge_back_or_loses_money(
    world: World, acts: list[tuple[str, int]]
) -> None:
    story = Story(world, await a_subscriber(world, price=5_000_000))
    for action, pick in [("make", 0), *acts]:
        with contextlib.suppress(RecurringError):
            await story.act(action, pick)
        await story.check()
    await story.end()


async def test_a_late_answer_about_an_agreement_does_not_bring_it_back(world: World) -> None:
    who = await a_subscriber(world)
    deps = world.context.deps
    row, active = await get_agreement(deps, MACHINE, who.agreement)
    await cancel_agreements(deps, MACHINE, [who.agreement])
    for status in (AgreementStatus.ACTIVE, AgreementStatus.PENDING, AgreementStatus.UNKNOWN):
        await observe_agreement(deps, "test", row, replace(active, status=status))

    assert (await agreement_row(world, who.agreement)).status is AgreementStatus.STOPPED
    async with world.context.store.begin() as unit:
        told = [it.action for it in await unit.audit.of_object(SHOP, who.agreement)]
    assert told.count("agreement.contradiction") == 2


@on_sqlite
async def test_looking_at_an_agreement_brings_what_the_customer_did_in_vipps(world: World) -> None:
    who = await a_subscriber(world)
    world.vipps.stop_in_app(who.agreement)

    row, _ = await get_agreement(world.context.deps, customer(SHOP, who.user.id), who.agreement)

    assert row.status is AgreementStatus.STOPPED
    assert row.stop == world.time.now
    assert (await agreement_row(world, who.agreement)).status is AgreementStatus.STOPPED


async def test_drafts_settle_by_themselves(world: World) -> None:
    user = world.saleor.create_customer()
    approved, rejected, ignored = [await an_agreement(world, user, approve=False) for _ in range(3)]
    world.vipps.approve(approved)
    world.vipps.reject(rejected)
    for _ in range(7):
        world.advance(LEASE)
        await world.sweep()

    statuses = [(await agreement_row(world, it)).status for it in (approved, rejected, ignored)]
    assert statuses == [AgreementStatus.ACTIVE, AgreementStatus.STOPPED, AgreementStatus.EXPIRED]


async def test_a_draft_whose_process_died_expires(world: World) -> None:
    user = world.saleor.create_customer()
    died = 0
    for dies_on in ("before create_agreement", "after create_agreement"):
        dying = mortal(world.context.deps, Life(dies_on=dies_on))
        try:
            await an_agreement(replace(world, context=replace(world.context, deps=dying)), user)
        except BaseException as death:  # noqa: BLE001  # a death is no Exception
            died += type(death).__name__ == "Died"
    assert died == 2
    assert [row["status"] for row in await raw(world, "agreement")] == ["NEW", "NEW"]

    for _ in range(9):
        world.advance(LEASE)
        await world.sweep()

    assert [row["status"] for row in await raw(world, "agreement")] == ["EXPIRED", "EXPIRED"]
    assert world.effects("activate") == []


async def test_charges_made_elsewhere_are_stored_once_however_many_look_at_the_same_time(world: World) -> None:
    second = another_worker(world)
    who = await a_subscriber(world)
    for number in range(5):
        await a_made_charge(world, who.agreement, order_id=f"by-hand-{number}")
    async with world.context.store.engine.begin() as connection:
        await connection.exec_driver_sql("DELETE FROM charge")

    looks = [get_charges(deps, MACHINE, [who.agreement]) for deps in (world.context.deps, second.deps) * 6]
    results = await asyncio.gather(*looks)
    await second.store.close()

    assert all(result.errors == () for result in results)
    names = Counter(row["charge_id"] for row in await raw(world, "charge"))
    assert names == {f"by-hand-{number}": 1 for number in range(5)}
    assert {row["origin"] for row in await raw(world, "charge")} == {"FOUND"}


@pytest.mark.parametrize("named_by", ["order_id", "idempotency_key", "content"])
async def test_ten_equal_requests_at_the_same_time_make_one_charge(world: World, named_by: str) -> None:
    second = another_worker(world)
    who = await a_subscriber(world)
    name: dict[str, Any] = {} if named_by == "content" else {named_by: "one-and-only"}
    wanted = ChargeMake(who.agreement, 10_000, "Coffee", **name)

    requests = [make_charges(deps, MACHINE, [wanted]) for deps in (world.context.deps, second.deps) * 5]
    results = [result.items[0] for result in await asyncio.gather(*requests)]
    await second.store.close()

    assert len(world.effects("create")) == 1
    assert len(await raw(world, "charge")) == 1
    made = {it.answer.charge_id for it in results if it.error is None}
    assert made == {world.effects("create")[0].charge_id}
    allowed = {"OUTCOME_UNKNOWN", "DUPLICATE"}
    assert {it.error.code.value for it in results if it.error is not None} <= allowed


async def test_refunds_at_the_same_time_never_exceed_what_was_collected(world: World) -> None:
    second = another_worker(world)
    refund = replace(await a_collected_charge(world), price=10_000)
    asked = [replace(refund, idempotency_key=f"wish-{number}") for number in range(8)]
    asked += [replace(refund, price=None, idempotency_key=f"rest-{number}") for number in range(2)]

    works = [move((world.context.deps, second.deps)[n % 2], MACHINE, [it]) for n, it in enumerate(asked)]
    results = [result.items[0] for result in await asyncio.gather(*works)]
    await recover(world, rounds=2)
    await second.store.close()

    booked = [it.amount for it in world.effects("refund")]
    assert 1 <= len(booked) == len([it for it in results if it.error is None])
    assert sum(booked) <= 25_000
    [row] = await raw(world, "charge")
    assert row["refunded"] == sum(booked)
    assert {it["status"] for it in await raw(world, "operation")} <= {"DONE", "REJECTED"}


@on_sqlite
async def test_the_same_refund_asked_for_at_the_same_time_is_one_refund(world: World) -> None:
    refund = replace(await a_collected_charge(world), price=5_000, idempotency_key="wish")

    await asyncio.gather(*(move(world.context.deps, MACHINE, [refund]) for _ in range(5)))
    [again] = await moved(world, refund)

    assert again.error is None
    assert [it.amount for it in world.effects("refund")] == [5_000]


@on_sqlite
async def test_two_refunds_whose_long_keys_begin_alike_are_two_refunds(world: World) -> None:
    refund = replace(await a_collected_charge(world), price=5_000)
    keys = ["order-refund/" + "x" * 100 + ending for ending in ("/first", "/second")]
    for key in keys:
        [done] = await moved(world, replace(refund, idempotency_key=key))
        assert done.error is None

    assert [it.amount for it in world.effects("refund")] == [5_000, 5_000]


async def test_a_batch_of_fifty_answers_every_item_in_order_whatever_becomes_of_it(world: World) -> None:
    who = await a_subscriber(world, price=1_000_000)
    stopped = await a_subscriber(world)
    await cancel_agreements(world.context.deps, MACHINE, [stopped.agreement])
    world.vipps.faults.add("status", status=500, operation="createCharge", times=3)
    world.vipps.faults.add("reset-after", operation="createCharge", times=3)
    world.vipps.faults.add("status", status=400, operation="createCharge", times=2)
    kinds = ["good"] * 6 + ["stopped", "unknown", "too much", "again"]
    items = []
    for number in range(50):
        kind = kinds[number % 10]
        agreement = {"stopped": stopped.agreement, "unknown": "agr_nobody"}.get(kind, who.agreement)
        price = 9_000_000 if kind == "too much" else 1_000 + number
        name = "batch-item-000" if kind == "again" else f"batch-item-{number:03}"
        items.append(ChargeMake(agreement, price, f"Item {number}", order_id=name))

    result = await make_charges(world.context.deps, MACHINE, items)

    codes = [it.error.code.value if it.error else "" for it in result.items]
    assert [it.index for it in result.items] == list(range(50))
    assert [codes[number] for number in range(50) if number % 10 == 6] == ["ILLEGAL_STATE"] * 5
    assert [codes[number] for number in range(50) if number % 10 == 7] == ["NOT_FOUND"] * 5
    assert [codes[number] for number in range(50) if number % 10 == 8] == ["LIMIT_EXCEEDED"] * 5
    assert [codes[number] for number in range(50) if number % 10 == 9] == ["DUPLICATE"] * 5
    good = Counter(codes[number] for number in range(50) if number % 10 < 6)
    assert good == {"": 22, "UNAVAILABLE": 3, "OUTCOME_UNKNOWN": 3, "REJECTED": 2}
    assert all(it.error is None or it.error.message for it in result.items)

    await recover(world)
    made = Counter(it.order_id for it in world.effects("create"))
    assert len(made) == 28
    assert set(made.values()) == {1}
    assert Counter(row["status"] for row in await raw(world, "charge")) == {"PENDING": 28, "REJECTED": 2}


async def test_a_batch_that_is_sent_again_is_answered_several_items_at_a_time_and_in_order(world: World) -> None:
    who = await a_subscriber(world, price=1_000_000)
    items = [
        ChargeMake(who.agreement, 1_000 + number, "Coffee", order_id=f"coffee-{number:02}") for number in range(12)
    ]
    world.vipps.faults.add("reset-after", operation="createCharge", times=None)
    first = await make_charges(world.context.deps, MACHINE, items)
    assert len(first.errors) == 12
    world.vipps.faults.clear()
    world.advance(LEASE)
    real, calls = limited(world, concurrency=4), []
    at_once = [0]

    async def slow() -> None:
        at_once[0] += 1
        calls.append(at_once[0])
        await asyncio.sleep(0.02)
        at_once[0] -= 1

    def provider(account: Account) -> RecurringProvider:
        return cast(RecurringProvider, Beforehand(real.provider(account), "create_charge", slow))

    other = ChargeMake(who.agreement, 5_000, "Coffee", order_id="coffee-05")
    again = await make_charges(replace(real, provider=provider), MACHINE, [*items[:5], other, *items[6:]])

    assert len(calls) == 11
    assert 1 < max(calls) <= 4  # how many meet depends on the machine, that they may is the point
    assert [it.index for it in again.items] == list(range(12))
    assert [it.error.code.value if it.error else it.answer.charge_id for it in again.items] == [
        "DUPLICATE" if number == 5 else f"coffee-{number:02}" for number in range(12)
    ]
    assert len(world.effects("create")) == 12


@on_sqlite
async def test_what_vipps_refused_may_be_asked_for_anew(world: World) -> None:
    who = await a_subscriber(world)
    wanted = ChargeMake(who.agreement, 10_000, "Coffee", order_id="again-0001")
    world.vipps.faults.add("status", status=400, operation="createCharge")
    [first] = (await make_charges(world.context.deps, MACHINE, [wanted])).items
    assert isinstance(first.error, Rejected)

    [second] = (await make_charges(world.context.deps, MACHINE, [wanted])).items

    assert second.answer.charge_id == "again-0001"
    assert len(world.effects("create")) == 1
    assert Counter(row["status"] for row in await raw(world, "charge")) == {"REJECTED": 1, "PENDING": 1}
