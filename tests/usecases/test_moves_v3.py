"""Captures, refunds and cancellations on v3: in parts, accepted before they are done, and each done once."""

import asyncio
import contextlib
import itertools
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from app.domain.account import ApiVersion
from app.domain.agreement import TransactionType
from app.domain.charge import ChargeStatus
from app.domain.errors import (
    Duplicate,
    IllegalState,
    InvalidInput,
    LimitExceeded,
    OutcomeUnknown,
    Rejected,
    Unavailable,
)
from app.domain.operation import OperationKind
from app.usecases.agreements import AgreementChange, cancel_agreements, update_agreement
from app.usecases.charges import ChargeMake, get_charges, make_charges
from app.usecases.money_moves import ChargeMove, move
from tests.builders import nok
from tests.usecases.steps import (
    LEASE,
    MACHINE,
    Died,
    Interrupted,
    Life,
    a_collected_charge,
    a_reserved_charge,
    a_subscriber,
    agreement_row,
    calls_of,
    keys_and_bodies,
    mortal,
    moved,
    on_v3,
    raw,
    recover,
    the_account,
    trouble,
    until_called,
)
from tests.world import World

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
async def v3(world: World) -> World:
    await on_v3(world)
    return world


async def sums(world: World, charge_id: str) -> tuple[str, int, int, int]:
    """Status, captured, refunded and cancelled of our row."""
    [row] = [it for it in await raw(world, "charge") if it["charge_id"] == charge_id]
    return row["status"], row["captured"], row["refunded"], row["cancelled"]


def there(world: World, it: ChargeMove) -> tuple[str, int, int, int]:
    charge = world.vipps.agreement(it.agreement_id).charges[it.charge_id]
    return charge.status, charge.captured, charge.refunded, charge.cancelled


def done(world: World, effect: str, charge_id: str) -> list[int]:
    return [it.amount for it in world.effects(effect) if it.charge_id == charge_id]


def refund_of(it: ChargeMove, price: int | None = None) -> ChargeMove:
    return ChargeMove(OperationKind.REFUND, it.agreement_id, it.charge_id, price, "Broken")


def cancel_of(it: ChargeMove) -> ChargeMove:
    return ChargeMove(OperationKind.CANCEL, it.agreement_id, it.charge_id)


async def by_portal(world: World, what: str, it: ChargeMove, amount: int = 0) -> None:
    """Somebody moves money past this app, with a key of their own."""
    provider, key = world.context.deps.provider(await the_account(world)), f"portal-{len(world.vipps.ledger)}"
    if what == "cancel":
        await provider.cancel_charge(it.agreement_id, it.charge_id, key=key)
    elif what == "capture":
        await provider.capture_charge(it.agreement_id, it.charge_id, nok(amount), "by hand", key=key)
    else:
        await provider.refund_charge(it.agreement_id, it.charge_id, nok(amount), "by hand", key=key)


async def test_a_reservation_is_captured_in_parts(v3: World) -> None:
    reserved = await a_reserved_charge(v3)
    answers = []
    for price in (10_000, 5_000, None):
        [item] = await moved(v3, replace(reserved, price=price))
        answers.append((item.answer.status, item.answer.captured))

    assert answers == [("PARTIALLY_CAPTURED", 10_000), ("PARTIALLY_CAPTURED", 15_000), ("CHARGED", 25_000)]
    assert done(v3, "capture", reserved.charge_id) == [10_000, 5_000, 10_000]
    assert await sums(v3, reserved.charge_id) == there(v3, reserved) == ("CHARGED", 25_000, 0, 0)


@on_sqlite
async def test_equal_parts_in_one_batch_are_one_and_with_keys_of_their_own_two(v3: World) -> None:
    """Twice the same line in one batch is a slip; whoever means it says so."""
    reserved = replace(await a_reserved_charge(v3), price=5_000)
    first, second = await moved(v3, reserved, reserved)
    assert first.error is None
    assert isinstance(second.error, Duplicate)

    parts = [replace(reserved, idempotency_key=key) for key in ("a", "b")]
    assert [it.error for it in await moved(v3, *parts)] == [None, None]

    assert done(v3, "capture", reserved.charge_id) == [5_000] * 3


@on_sqlite
async def test_a_part_asked_for_again_with_its_key_is_captured_once(v3: World) -> None:
    reserved = replace(await a_reserved_charge(v3), price=5_000, idempotency_key="parcel-1")
    for _ in range(3):
        [item] = await moved(v3, reserved)
        assert item.answer.captured == 5_000
    [other] = await moved(v3, replace(reserved, price=6_000))

    assert isinstance(other.error, Duplicate)
    assert done(v3, "capture", reserved.charge_id) == [5_000]


@on_sqlite
async def test_more_than_is_reserved_is_refused_before_it_is_asked_for(v3: World) -> None:
    reserved = await a_reserved_charge(v3)
    await moved(v3, replace(reserved, price=20_000))
    [item] = await moved(v3, replace(reserved, price=5_001))

    assert isinstance(item.error, LimitExceeded)
    assert "5000 still reserved" in item.error.message
    assert len(calls_of(v3, "captureCharge")) == 1


@on_sqlite
@pytest.mark.parametrize("price", [0, -1, 99])
async def test_a_part_too_small_is_refused_before_it_is_asked_for(v3: World, price: int) -> None:
    reserved = await a_reserved_charge(v3)
    [item] = await moved(v3, replace(reserved, price=price))

    assert isinstance(item.error, InvalidInput)
    assert calls_of(v3, "captureCharge") == []


async def test_two_captures_of_two_workers_at_once_do_not_take_more_than_asked_for(v3: World) -> None:
    """One is told that the other is under way, or takes what the other left; nothing is taken twice."""
    reserved = replace(await a_reserved_charge(v3), price=15_000)
    wishes = [replace(reserved, idempotency_key=key) for key in ("a", "b", "c")]
    items = await asyncio.gather(*(moved(v3, it) for it in wishes))

    errors = [item.error for [item] in items if item.error is not None]
    assert done(v3, "capture", reserved.charge_id) == [15_000]
    assert len(errors) == 2
    assert all(isinstance(error, Duplicate | LimitExceeded | Unavailable) for error in errors)


async def test_cancelling_what_was_captured_in_part_releases_the_rest(v3: World) -> None:
    reserved = await a_reserved_charge(v3)
    await moved(v3, replace(reserved, price=10_000))
    [item] = await moved(v3, cancel_of(reserved))

    assert (item.answer.status, item.answer.captured, item.answer.cancelled) == ("CHARGED", 10_000, 15_000)
    assert done(v3, "cancel", reserved.charge_id) == [15_000]
    assert await sums(v3, reserved.charge_id) == there(v3, reserved) == ("CHARGED", 10_000, 0, 15_000)
    for late in (replace(reserved, price=100), cancel_of(reserved)):
        [refused] = await moved(v3, late)
        assert isinstance(refused.error, IllegalState)
    # And what was captured can still go back, no more.
    [too_much] = await moved(v3, refund_of(reserved, 10_001))
    assert isinstance(too_much.error, LimitExceeded)
    [back] = await moved(v3, refund_of(reserved))
    assert (back.answer.status, back.answer.refunded) == ("REFUNDED", 10_000)


async def test_a_first_part_can_go_back_while_the_rest_is_reserved(v3: World) -> None:
    reserved = await a_reserved_charge(v3)
    await moved(v3, replace(reserved, price=10_000))
    [refund] = await moved(v3, refund_of(reserved, 4_000))
    assert refund.error is None
    [rest] = await moved(v3, reserved)

    assert rest.error is None
    assert there(v3, reserved)[1:] == (25_000, 4_000, 0)
    assert (await sums(v3, reserved.charge_id))[1:] == (25_000, 4_000, 0)


async def test_two_equal_refunds_are_two(v3: World) -> None:
    collected = await a_collected_charge(v3)
    for _ in range(2):
        [item] = await moved(v3, replace(collected, price=5_000))
        assert item.error is None

    assert done(v3, "refund", collected.charge_id) == [5_000, 5_000]
    assert await sums(v3, collected.charge_id) == ("PARTIALLY_REFUNDED", 25_000, 10_000, 0)
    assert len(keys_and_bodies(v3, "refundCharge")) == 2


async def test_a_recurring_charge_can_be_reserved_and_captured(v3: World) -> None:
    who = await a_subscriber(v3)
    wish = ChargeMake(who.agreement, 20_000, "Boots", transaction_type=TransactionType.RESERVE_CAPTURE)
    [made] = (await make_charges(v3.context.deps, MACHINE, [wish])).items
    v3.advance(timedelta(days=3))
    capture = ChargeMove(OperationKind.CAPTURE, who.agreement, made.answer.charge_id or "", 8_000)
    [item] = await moved(v3, capture)

    assert (item.answer.status, item.answer.captured) == ("PARTIALLY_CAPTURED", 8_000)
    assert v3.effects("charge") == []


@on_sqlite
async def test_v2_refuses_a_part_with_a_remedy_and_takes_the_whole(world: World) -> None:
    reserved = await a_reserved_charge(world)
    [part] = await moved(world, replace(reserved, price=10_000))
    assert isinstance(part.error, InvalidInput)
    assert "account set --api-version v3" in part.error.message
    assert calls_of(world, "captureCharge") == []
    assert [it for it in await raw(world, "operation") if it["kind"] == "CAPTURE"] == []

    [whole] = await moved(world, replace(reserved, price=25_000))
    assert (whole.answer.status, whole.answer.captured) == ("CHARGED", 25_000)


@on_sqlite
async def test_what_v3_captured_in_part_v2_can_only_tell_to_capture_by_v3(v3: World) -> None:
    """v2's capture takes all that was reserved: asked for the rest of it, nobody knows what it would do."""
    reserved = await a_reserved_charge(v3)
    await moved(v3, replace(reserved, price=10_000))
    await v3.set_account(api_version=ApiVersion.V2)
    for price in (None, 15_000):
        [item] = await moved(v3, replace(reserved, price=price))
        assert isinstance(item.error, InvalidInput | IllegalState | LimitExceeded), price

    assert done(v3, "capture", reserved.charge_id) == [10_000]


Begin = Callable[[World], Awaitable[ChargeMove]]


async def _a_part(world: World) -> ChargeMove:
    return replace(await a_reserved_charge(world), price=10_000)


async def _the_rest(world: World) -> ChargeMove:
    reserved = await a_reserved_charge(world)
    await moved(world, replace(reserved, price=10_000))
    return reserved


async def _a_refund(world: World) -> ChargeMove:
    return replace(await a_collected_charge(world), price=5_000)


async def _a_second_equal_refund(world: World) -> ChargeMove:
    collected = replace(await a_collected_charge(world), price=5_000)
    await moved(world, collected)
    return collected


async def _a_release(world: World) -> ChargeMove:
    return cancel_of(await _the_rest(world))


async def _a_cancellation(world: World) -> ChargeMove:
    return cancel_of(await a_reserved_charge(world))


# Each move: how its charge comes to be, its effect and operation at Vipps, and how the charge ends.
MOVES: dict[str, tuple[Begin, str, str, tuple[str, int, int, int]]] = {
    "a part": (_a_part, "capture", "captureCharge", ("PARTIALLY_CAPTURED", 10_000, 0, 0)),
    "the rest": (_the_rest, "capture", "captureCharge", ("CHARGED", 25_000, 0, 0)),
    "a refund": (_a_refund, "refund", "refundCharge", ("PARTIALLY_REFUNDED", 25_000, 5_000, 0)),
    "a second refund": (_a_second_equal_refund, "refund", "refundCharge", ("PARTIALLY_REFUNDED", 25_000, 10_000, 0)),
    "a release": (_a_release, "cancel", "cancelCharge", ("CHARGED", 10_000, 0, 15_000)),
    "a cancellation": (_a_cancellation, "cancel", "cancelCharge", ("CANCELLED", 0, 0, 25_000)),
}
TROUBLES: tuple[dict[str, Any], ...] = (
    {"kind": "timeout-before", "seconds": 0},
    {"kind": "reset-after"},
    {"kind": "status", "status": 429, "retry_after": "7"},
    {"kind": "status", "status": 302, "when": "after"},
)


@on_sqlite
@pytest.mark.parametrize(
    ("name", "accepted"),
    [*((name, False) for name in MOVES), ("a part", True), ("a refund", True), ("a release", True)],
)
async def test_a_move_is_done_once_whatever_befalls_the_call(v3: World, name: str, *, accepted: bool) -> None:
    begin, effect, operation, end = MOVES[name]
    for number, what in enumerate(TROUBLES):
        it = replace(await begin(v3), idempotency_key=f"wish-{number}")
        before = len(done(v3, effect, it.charge_id))
        v3.vipps.knobs.forced_202 = accepted
        v3.vipps.knobs.accepted_delay = timedelta(seconds=5)
        trouble(v3, operation, what)
        [first] = await moved(v3, it)
        # A redirect or garbage is an answer without an outcome, but to a success nobody looks at the body.
        assert first.error is None or "do not make it anew" in first.error.message, what
        await recover(v3, rounds=2)
        v3.vipps.knobs.forced_202 = False

        [again] = await moved(v3, it)
        assert again.error is None, (what, again.error)
        assert len(done(v3, effect, it.charge_id)) == before + 1, what
        assert await sums(v3, it.charge_id) == there(v3, it) == end, what
    assert {row["status"] for row in await raw(v3, "operation")} == {"DONE"}
    assert all(len(bodies) == 1 for bodies in keys_and_bodies(v3, operation).values())


@on_sqlite
@pytest.mark.parametrize("name", ["a second refund", "a release"])
async def test_a_move_whose_process_dies_at_any_step_is_done_once(v3: World, name: str) -> None:
    begin, effect, operation, end = MOVES[name]
    for dies_at in itertools.count(1):
        life = Life(dies_at)
        wanted = replace(await begin(v3), idempotency_key=f"wish-{dies_at}")
        before = len(done(v3, effect, wanted.charge_id))
        with contextlib.suppress(Died):
            await move(mortal(v3.context.deps, life), MACHINE, [wanted])
        v3.advance(LEASE)
        await v3.sweep()

        [again] = await moved(v3, wanted)
        assert again.error is None, (life.last, again.error)
        assert len(done(v3, effect, wanted.charge_id)) == before + 1, life.last
        assert await sums(v3, wanted.charge_id) == end, life.last
        if not life.ended:
            break
    assert len(life.steps) > 12
    assert all(len(bodies) == 1 for bodies in keys_and_bodies(v3, operation).values())


@pytest.mark.parametrize(
    ("database_url", "name"),
    [("sqlite", "a part"), ("postgresql", "a refund"), ("sqlite", "a release")],
    indirect=["database_url"],
)
async def test_what_is_accepted_is_followed_until_it_is_done(v3: World, name: str) -> None:
    """202 says that it will probably be: the row says so only when the charge shows it."""
    begin, effect, _, end = MOVES[name]
    wanted = await begin(v3)
    v3.vipps.knobs.forced_202 = True
    v3.vipps.knobs.accepted_delay = timedelta(minutes=3)
    [item] = await moved(v3, wanted)
    before = await sums(v3, wanted.charge_id)
    assert isinstance(item.error, OutcomeUnknown)
    assert "accepted" in item.error.message
    await recover(v3, rounds=1)
    assert await sums(v3, wanted.charge_id) == before
    assert [row["status"] for row in await raw(v3, "operation") if row["status"] != "DONE"] == ["OPEN"]

    await recover(v3, rounds=2)

    assert await sums(v3, wanted.charge_id) == there(v3, wanted) == end
    assert {row["status"] for row in await raw(v3, "operation")} == {"DONE"}
    assert Counter(done(v3, effect, wanted.charge_id)).total() == len(done(v3, effect, wanted.charge_id))


@on_sqlite
async def test_what_is_accepted_and_done_at_once_is_done(v3: World) -> None:
    v3.vipps.knobs.forced_202 = True
    reserved = await a_reserved_charge(v3)
    for wanted in (replace(reserved, price=10_000), cancel_of(reserved), refund_of(reserved, 3_000)):
        [item] = await moved(v3, wanted)
        assert item.error is None

    assert await sums(v3, reserved.charge_id) == there(v3, reserved) == ("PARTIALLY_REFUNDED", 10_000, 3_000, 15_000)


@on_sqlite
async def test_a_stop_and_an_update_that_are_accepted_are_followed_until_they_are_done(v3: World) -> None:
    v3.vipps.knobs.forced_202 = True
    v3.vipps.knobs.accepted_delay = timedelta(minutes=1)
    who = await a_subscriber(v3)
    with pytest.raises(OutcomeUnknown):
        await update_agreement(v3.context.deps, MACHINE, who.agreement, AgreementChange(price=30_000))
    assert (await agreement_row(v3, who.agreement)).price == nok(25_000)
    await recover(v3, rounds=1)
    assert (await agreement_row(v3, who.agreement)).price == nok(30_000)
    result = await cancel_agreements(v3.context.deps, MACHINE, [who.agreement])
    assert isinstance(result.items[0].error, OutcomeUnknown)
    assert (await agreement_row(v3, who.agreement)).status == "ACTIVE"
    await recover(v3, rounds=1)

    assert (await agreement_row(v3, who.agreement)).status == "STOPPED"
    assert [it.effect for it in v3.vipps.ledger[-2:]] == ["update", "stop"]


@on_sqlite
async def test_a_capture_that_was_accepted_and_never_done_is_not_written_down(v3: World) -> None:
    """The agreement was stopped in between, which released the reservation."""
    reserved = await a_reserved_charge(v3)
    v3.vipps.knobs.forced_202 = True
    v3.vipps.knobs.accepted_delay = timedelta(minutes=1)
    await moved(v3, reserved)
    v3.vipps.knobs.forced_202 = False
    await cancel_agreements(v3.context.deps, MACHINE, [reserved.agreement_id])
    await recover(v3)
    await get_charges(v3.context.deps, MACHINE, [reserved.agreement_id])

    assert done(v3, "capture", reserved.charge_id) == []
    assert await sums(v3, reserved.charge_id) == there(v3, reserved) == ("CANCELLED", 0, 0, 25_000)


ELSEWHERE: Sequence[tuple[str, str, Begin]] = (
    ("refund", "refundCharge", _a_refund),
    ("capture", "captureCharge", _a_part),
)


@on_sqlite
@pytest.mark.parametrize(("what", "operation", "begin"), ELSEWHERE, ids=[it[0] for it in ELSEWHERE])
@pytest.mark.parametrize("lost", ["reset-before", "reset-after"])
async def test_somebody_elses_move_of_the_same_amount_is_not_taken_for_ours(
    v3: World, what: str, operation: str, begin: Begin, lost: str
) -> None:
    """The history tells whose keys did what (facts: VIPPS 5.2): sums would say that it is done already."""
    wanted = replace(await begin(v3), idempotency_key="wish")
    trouble(v3, operation, {"kind": lost})
    await moved(v3, wanted)
    await by_portal(v3, what, wanted, wanted.price or 0)
    await recover(v3)

    assert done(v3, what, wanted.charge_id) == [wanted.price, wanted.price]
    [again] = await moved(v3, wanted)
    assert again.error is None
    assert await sums(v3, wanted.charge_id) == there(v3, wanted)


@on_sqlite
@pytest.mark.parametrize(("what", "operation", "begin"), ELSEWHERE, ids=[it[0] for it in ELSEWHERE])
async def test_nor_is_it_where_the_process_died_before_it_could_send_ours(
    v3: World, what: str, operation: str, begin: Begin
) -> None:
    wanted = replace(await begin(v3), idempotency_key="wish")
    with contextlib.suppress(Died):
        await move(mortal(v3.context.deps, Life(dies_on=f"before {what}_charge")), MACHINE, [wanted])
    assert calls_of(v3, operation) == []
    await by_portal(v3, what, wanted, wanted.price or 0)
    v3.advance(LEASE)
    await recover(v3)

    assert done(v3, what, wanted.charge_id) == [wanted.price, wanted.price]
    assert await sums(v3, wanted.charge_id) == there(v3, wanted)


@on_sqlite
async def test_nor_is_it_where_vipps_has_only_accepted_ours(v3: World) -> None:
    wanted = replace(await a_collected_charge(v3), price=5_000, idempotency_key="wish")
    v3.vipps.knobs.forced_202 = True
    v3.vipps.knobs.accepted_delay = timedelta(minutes=3)
    v3.vipps.faults.add("slow", seconds=0.2, operation="refundCharge")
    ours = asyncio.create_task(moved(v3, wanted))
    await until_called(v3, "refundCharge")
    v3.vipps.knobs.forced_202 = False
    await by_portal(v3, "refund", wanted, 5_000)
    [first] = await ours
    assert isinstance(first.error, OutcomeUnknown)

    await recover(v3, rounds=4)

    assert done(v3, "refund", wanted.charge_id) == [5_000, 5_000]
    [again] = await moved(v3, wanted)
    assert again.error is None


@on_sqlite
@pytest.mark.parametrize("spoken", ["v2", "v3"])
async def test_a_refund_that_comes_between_the_steps_of_another_is_not_taken_for_it(world: World, spoken: str) -> None:
    """Another one of the same amount is made between any two transactions, and the call of the first is lost."""
    await world.set_account(api_version=ApiVersion(spoken))
    for before in itertools.count(1):
        refund = replace(await a_collected_charge(world), price=5_000)
        first, second = (replace(refund, idempotency_key=f"{name}-{before}") for name in ("first", "second"))

        async def happens(it: ChargeMove = second) -> None:
            [item] = await moved(world, it)
            if item.error is None:
                trouble(world, "refundCharge", {"kind": "reset-before"})
            else:
                assert isinstance(item.error, Duplicate)

        store = Interrupted(world.context.store, before, happens)
        await move(replace(world.context.deps, store=store), MACHINE, [first])
        world.vipps.faults.clear()
        if store.begun < before:
            break
        await recover(world, rounds=1)
        for again in (*await moved(world, first), *await moved(world, second)):
            assert again.error is None, before
        assert done(world, "refund", refund.charge_id) == [5_000, 5_000], before
        assert (await sums(world, refund.charge_id))[2] == 10_000, before
    assert before > 6


@on_sqlite
async def test_a_move_that_vipps_refuses_is_told_and_leaves_room_for_another(v3: World) -> None:
    collected = await a_collected_charge(v3)
    [magic] = await moved(v3, replace(collected, price=123))
    assert isinstance(magic.error, Rejected)
    [item] = await moved(v3, replace(collected, price=5_000))

    assert item.error is None
    assert done(v3, "refund", collected.charge_id) == [5_000]
    assert sorted(row["status"] for row in await raw(v3, "operation") if row["kind"] == "REFUND") == [
        "DONE",
        "REJECTED",
    ]


@on_sqlite
@pytest.mark.parametrize(("before", "after"), [("v2", "v3"), ("v3", "v2")])
@pytest.mark.parametrize("lost", ["reset-before", "reset-after"])
async def test_an_account_that_changes_its_version_between_attempts_refunds_once(
    world: World, before: str, after: str, lost: str
) -> None:
    await world.set_account(api_version=ApiVersion(before))
    refund = replace(await a_collected_charge(world), price=5_000, idempotency_key="wish")
    trouble(world, "refundCharge", {"kind": lost})
    await moved(world, refund)
    await world.set_account(api_version=ApiVersion(after))
    await recover(world)

    assert done(world, "refund", refund.charge_id) == [5_000]
    [again] = await moved(world, refund)
    assert again.error is None
    assert again.answer.refunded == 5_000


@on_sqlite
async def test_a_cancelled_charge_is_not_collected(v3: World) -> None:
    who = await a_subscriber(v3)
    [made] = (await make_charges(v3.context.deps, MACHINE, [ChargeMake(who.agreement, 10_000, "Coffee")])).items
    v3.vipps.knobs.forced_202 = True
    [item] = await moved(v3, ChargeMove(OperationKind.CANCEL, who.agreement, made.answer.charge_id or ""))
    assert item.answer.status is ChargeStatus.CANCELLED
    v3.advance(timedelta(days=10))

    assert v3.effects("charge") == []
