"""Stored charges sent many at a time: each is made once, whatever breaks, and never more a minute than Vipps takes."""

import asyncio
import contextlib
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest

from app.domain.account import ApiVersion
from app.domain.charge import Charge, ChargeStatus
from app.domain.limits import CREATE_CHARGE
from app.main import Context
from app.usecases.chunks import send_chunk
from app.usecases.ports import Deps, Job
from app.vipps.simulator import DEFAULT_MERCHANT
from tests.usecases.steps import (
    LEASE,
    Died,
    Life,
    a_subscriber,
    an_order,
    another_worker,
    calls_of,
    charges_by_id,
    each_once,
    each_version,
    hears_vipps,
    keys_and_bodies,
    limited,
    mortal,
    only_order_created,
    raw,
    recover,
    run_later,
    status_of,
    stored_charges,
    trouble,
    until_called,
)
from tests.world import SHOP, World

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
MINUTE = timedelta(seconds=60)


@pytest.fixture
async def version(request: pytest.FixtureRequest, world: World) -> ApiVersion:
    version = ApiVersion(request.param)
    await world.set_account(api_version=version)
    return version


@pytest.fixture
async def second(world: World) -> AsyncIterator[Context]:
    """Another worker on the same database."""
    context = another_worker(world)
    yield context
    await context.store.close()


async def sent(world: World, charges: Sequence[Charge], deps: Deps | None = None) -> int:
    return await send_chunk(deps or world.context.deps, SHOP, [it.id for it in charges])


async def some_charges(world: World, count: int, **over: Any) -> list[Charge]:
    who = await a_subscriber(world, price=1_000_000)
    return await stored_charges(world, who.agreement, count, **over)


def made(world: World) -> Counter[str]:
    """How often each order id came to be a charge."""
    return Counter(it.order_id for it in world.effects("create"))


def once(charges: Sequence[Charge]) -> Counter[str]:
    return Counter(it.order_id for it in charges)


async def statuses(world: World) -> set[str]:
    return {row["status"] for row in await raw(world, "charge")}


def same_bytes(world: World) -> bool:
    """Whatever was sent again under a key was the same."""
    operations = ("createCharge", "createCharges")
    return all(len(bodies) == 1 for it in operations for bodies in keys_and_bodies(world, it).values())


@each_once
async def test_what_was_never_tried_is_sent_in_bulk(world: World, version: ApiVersion) -> None:
    charges = await some_charges(world, 30)
    assert await sent(world, charges) == 30
    assert made(world) == once(charges)
    if version is ApiVersion.V3:
        assert (len(calls_of(world, "createCharges")), len(calls_of(world, "createCharge"))) == (1, 0)
        # Accepted is not made: it is looked for.
        assert {(it.status, it.accepted_at is None) for it in (await charges_by_id(world)).values()} == {("NEW", False)}
        await recover(world, rounds=1)
    else:
        assert len(calls_of(world, "createCharge")) == 30

    rows = await charges_by_id(world)
    assert all(it.charge_id == it.order_id for it in rows.values())
    assert ChargeStatus.NEW not in {it.status for it in rows.values()}
    assert await sent(world, charges) == 0
    assert made(world) == once(charges)


@each_version
async def test_the_amounts_and_days_are_those_that_were_stored(world: World, version: ApiVersion) -> None:
    del version
    charges = await some_charges(world, 5, description="Kaffe i mars", retry_days=3)
    await sent(world, charges)

    for charge in charges:
        there = world.vipps.agreement(charge.agreement_id).charges[charge.order_id]
        assert (there.amount, there.description, there.due, there.retry_days, there.reserve_only) == (
            charge.amount.minor,
            "Kaffe i mars",
            charge.due,
            3,
            False,
        )


@each_once
async def test_what_vipps_will_not_have_is_refused_and_the_rest_is_made(world: World, version: ApiVersion) -> None:
    del version
    charges = await some_charges(world, 4)
    who = await a_subscriber(world, price=1_000)
    dear = await stored_charges(world, who.agreement, 1, price=900_000)
    world.vipps.stop_in_app((stopped := await a_subscriber(world)).agreement)
    late = await stored_charges(world, stopped.agreement, 1)
    await sent(world, [*dear, *charges, *late])
    await recover(world, rounds=1)

    assert made(world) == once(charges)
    rows = await charges_by_id(world)
    for charge in (*dear, *late):
        assert rows[charge.id].status is ChargeStatus.REJECTED
        assert rows[charge.id].failure
    assert "higher" in (rows[dear[0].id].failure or "")
    assert "active" in (rows[late[0].id].failure or "").lower()


TROUBLES: tuple[dict[str, Any], ...] = (
    {"kind": "timeout-before", "seconds": 0},
    {"kind": "timeout-after", "seconds": 0},
    {"kind": "reset-before"},
    {"kind": "reset-after"},
    {"kind": "status", "status": 429, "retry_after": "7"},
    {"kind": "status", "status": 429},
    {"kind": "status", "status": 500, "when": "after"},
    {"kind": "status", "status": 503, "style": "text"},
    {"kind": "status", "status": 400},
    {"kind": "status", "status": 409},
    {"kind": "status", "status": 413, "style": "azure"},
    {"kind": "status", "status": 401},
    {"kind": "status", "status": 302, "when": "after"},
    {"kind": "garbage"},
    {"kind": "garbage", "when": "after"},
)


@on_sqlite
@pytest.mark.parametrize("times", [1, 2])
async def test_a_batch_is_made_once_whatever_befalls_the_call(world: World, times: int) -> None:
    """Once: it is repeated as it was. Twice: then each charge goes its own way."""
    await world.set_account(api_version=ApiVersion.V3)
    for what in TROUBLES:
        charges = await some_charges(world, 3)
        for _ in range(times):
            trouble(world, "createCharges", what)
        await sent(world, charges)
        assert await statuses(world) >= {"NEW"}, what
        world.vipps.revoke_tokens()  # a 401 is believed only when it is said of a new token too
        await recover(world, rounds=4)
        world.vipps.faults.clear()
        await recover(world, rounds=2, pause=timedelta(minutes=31))

        assert {name: made(world)[name] for name in once(charges)} == once(charges), what
        assert "NEW" not in await statuses(world), what
    assert same_bytes(world)


async def test_a_batch_whose_answer_was_lost_is_repeated_with_the_same_key_and_bytes(world: World) -> None:
    await world.set_account(api_version=ApiVersion.V3)
    charges = await some_charges(world, 5)
    trouble(world, "createCharges", {"kind": "reset-after"})
    await sent(world, charges)
    world.advance(timedelta(seconds=30))
    await sent(world, charges)

    [(key, bodies)] = keys_and_bodies(world, "createCharges").items()
    assert len(calls_of(world, "createCharges")) == 2
    assert (len(key), len(bodies)) == (32, 1)
    assert made(world) == once(charges)
    await recover(world, rounds=1)
    assert calls_of(world, "createCharge") == []
    assert "NEW" not in await statuses(world)


@on_sqlite
async def test_the_jobs_of_a_batch_whose_answer_was_lost_repeat_it_once(world: World) -> None:
    """An engine runs each job for itself; the batch is one request, not one for each of its charges."""
    await world.set_account(api_version=ApiVersion.V3)
    charges = await some_charges(world, 40)
    trouble(world, "createCharges", {"kind": "reset-after"})
    await sent(world, charges)
    await run_later(world, Job.CHARGE_CHUNK)

    assert len(calls_of(world, "createCharges")) == 2
    assert await run_later(world, Job.CHARGE_CHUNK) == 1
    assert "NEW" not in await statuses(world)
    assert made(world) == once(charges)


@on_sqlite
async def test_a_batch_that_came_half_through_its_second_attempt_is_still_the_same_batch(world: World) -> None:
    """One of its charges was settled meanwhile, by a webhook or by a listing."""
    await world.set_account(api_version=ApiVersion.V3)
    await hears_vipps(world)
    charges = await some_charges(world, 3)
    trouble(world, "createCharges", {"kind": "reset-after"})
    await sent(world, charges)
    charge = charges[1]
    fields = {"agreementId": charge.agreement_id, "chargeId": charge.order_id}
    world.vipps.invent_event("recurring.charge-captured.v1", fields)
    await world.drain()
    assert await statuses(world) > {"NEW"}
    world.advance(timedelta(seconds=30))
    await sent(world, charges)

    [bodies] = keys_and_bodies(world, "createCharges").values()
    assert len(bodies) == 1
    await recover(world, rounds=1)
    assert made(world) == once(charges)


@on_sqlite
@pytest.mark.parametrize("spoken", ["v2", "v3"])
async def test_a_chunk_whose_process_dies_at_any_step_is_made_once(world: World, spoken: str) -> None:
    await world.set_account(api_version=ApiVersion(spoken))
    for dies_at in itertools.count(1):
        life = Life(dies_at)
        charges = await some_charges(world, 3)
        try:
            await sent(world, charges, mortal(world.context.deps, life))
        except* Died:
            pass
        await recover(world, rounds=2)

        assert {name: made(world)[name] for name in once(charges)} == once(charges), life.last
        assert "NEW" not in await statuses(world), life.last
        if not life.ended:
            break
    assert len(life.steps) >= (12 if spoken == "v3" else 15)
    assert same_bytes(world)


@on_sqlite
async def test_a_repetition_whose_process_dies_at_any_step_is_made_once(world: World) -> None:
    await world.set_account(api_version=ApiVersion.V3)
    for dies_at in itertools.count(1):
        life = Life(dies_at)
        charges = await some_charges(world, 2)
        for _ in range(2):
            trouble(world, "createCharges", {"kind": "reset-before"})
        await sent(world, charges)
        world.advance(LEASE)
        await sent(world, charges)
        world.vipps.faults.clear()
        world.advance(LEASE)
        try:
            await sent(world, charges, mortal(world.context.deps, life))
        except* Died:
            pass
        await recover(world, rounds=2)

        assert {name: made(world)[name] for name in once(charges)} == once(charges), life.last
        if not life.ended:
            break
    assert len(life.steps) >= 15
    assert same_bytes(world)


@each_once
async def test_two_workers_with_the_same_chunk_send_it_once(world: World, second: Context, version: ApiVersion) -> None:
    charges = await some_charges(world, 40)
    counts = await asyncio.gather(sent(world, charges), sent(world, charges, second.deps))
    await recover(world, rounds=1)

    assert sum(counts) == 40, version
    assert made(world) == once(charges)
    assert len(calls_of(world, "createCharge")) == (40 if version is ApiVersion.V2 else 0)
    assert "NEW" not in await statuses(world)


@on_sqlite
@pytest.mark.parametrize("lost", ["reset-before", "reset-after"])
@pytest.mark.parametrize("spoken", ["v2", "v3"])
async def test_a_charge_whose_day_passes_meanwhile_is_made_once(world: World, spoken: str, lost: Any) -> None:
    """What Vipps has is found; what it has not gets a new day and with it a new key."""
    await world.set_account(api_version=ApiVersion(spoken))
    charges = await some_charges(world, 3)
    operation = "createCharges" if spoken == "v3" else "createCharge"
    world.vipps.faults.add(lost, operation=operation, times=None)
    await sent(world, charges)
    world.vipps.faults.clear()
    world.advance(timedelta(days=4))
    await recover(world, rounds=2)

    assert made(world) == once(charges)
    rows = await charges_by_id(world)
    assert ChargeStatus.NEW not in {it.status for it in rows.values()}
    assert {rows[it.id].due > it.due for it in charges} == {lost == "reset-before"}
    assert same_bytes(world)


@on_sqlite
@pytest.mark.parametrize("lost", ["reset-before", "reset-after"])
@pytest.mark.parametrize(("before", "after"), [("v2", "v3"), ("v3", "v2")])
async def test_an_account_that_changes_its_version_between_attempts_charges_once(
    world: World, before: str, after: str, lost: Any
) -> None:
    await world.set_account(api_version=ApiVersion(before))
    charges = await some_charges(world, 3)
    operation = "createCharges" if before == "v3" else "createCharge"
    world.vipps.faults.add(lost, operation=operation, times=None)
    await sent(world, charges)
    world.vipps.faults.clear()
    await world.set_account(api_version=ApiVersion(after))
    await recover(world)

    assert made(world) == once(charges)
    assert "NEW" not in await statuses(world)


@on_sqlite
@pytest.mark.parametrize(("before", "after"), [("v2", "v3"), ("v3", "v2")])
async def test_a_version_that_changes_after_a_sudden_death_charges_once(world: World, before: str, after: str) -> None:
    """Nobody could write down with which version it was sent."""
    await world.set_account(api_version=ApiVersion(before))
    charges = await some_charges(world, 3)
    dies_on = "after create_charge" + ("s" if before == "v3" else "")
    try:
        await sent(world, charges, mortal(world.context.deps, Life(dies_on=dies_on)))
    except* Died:
        pass
    assert len(world.effects("create")) >= 1
    await world.set_account(api_version=ApiVersion(after))
    await recover(world)

    assert made(world) == once(charges)
    assert "NEW" not in await statuses(world)


@on_sqlite
async def test_what_vipps_makes_in_its_own_time_is_waited_for(world: World) -> None:
    await world.set_account(api_version=ApiVersion.V3)
    world.vipps.knobs.batch_delay = timedelta(minutes=5)
    charges = await some_charges(world, 3)
    await sent(world, charges)
    await recover(world, rounds=2)
    assert world.effects("create") == []
    assert await statuses(world) == {"NEW"}

    await recover(world, rounds=2)

    assert made(world) == once(charges)
    assert calls_of(world, "createCharge") == []
    assert len(calls_of(world, "createCharges")) == 1
    assert "NEW" not in await statuses(world)


@on_sqlite
async def test_what_vipps_does_not_make_in_ten_minutes_is_sent_on_its_own_and_still_made_once(world: World) -> None:
    """It is made after all, while we were about to make it ourselves: its order id is taken once."""
    await world.set_account(api_version=ApiVersion.V3)
    world.vipps.knobs.batch_delay = timedelta(minutes=15)
    charges = await some_charges(world, 2)
    await sent(world, charges)
    await recover(world, rounds=10)
    assert len(calls_of(world, "createCharge")) > 0
    await recover(world, rounds=2, pause=timedelta(hours=1))

    assert made(world) == once(charges)
    assert "NEW" not in await statuses(world)


@on_sqlite
async def test_one_charge_alone_is_no_batch(world: World) -> None:
    await world.set_account(api_version=ApiVersion.V3)
    charges = await some_charges(world, 1)
    await sent(world, charges)

    assert (len(calls_of(world, "createCharges")), len(calls_of(world, "createCharge"))) == (0, 1)
    assert "NEW" not in await statuses(world)


@on_sqlite
async def test_a_charge_that_was_tried_before_keeps_its_own_way(world: World) -> None:
    """Its key was heard perhaps: in a batch it would go out under another one."""
    await world.set_account(api_version=ApiVersion.V3)
    [tried] = await some_charges(world, 1)
    trouble(world, "createCharge", {"kind": "reset-after"})
    await sent(world, [tried])
    fresh = await some_charges(world, 2)
    world.advance(LEASE)
    await sent(world, [tried, *fresh])
    await recover(world, rounds=1)

    assert made(world) == once([tried, *fresh])
    assert len(calls_of(world, "createCharge")) == 2
    rows = await charges_by_id(world)
    assert [rows[it.id].batch_id is None for it in (tried, *fresh)] == [True, False, False]


@on_sqlite
async def test_charges_of_orders_go_by_way_of_their_orders(world: World) -> None:
    """The order may have been cancelled meanwhile."""
    await world.set_account(api_version=ApiVersion.V3)
    who = await a_subscriber(world, price=1_000_000)
    only_order_created(world)
    trouble(world, "createCharge", {"kind": "reset-before"})
    order = an_order(world, who)
    await world.drain()
    charges = await stored_charges(world, who.agreement, 2)
    world.saleor.cancel_order(order)
    world.advance(LEASE)
    await world.sweep()
    assert made(world) == once(charges)
    # Whether Vipps has heard of it is certain only after a while.
    await recover(world, rounds=8)

    assert made(world) == once(charges)
    assert status_of(order) == "CANCELLED"


@on_sqlite
async def test_a_charge_of_an_account_that_is_gone_waits(world: World) -> None:
    charges = await some_charges(world, 2, account_id="00000000-0000-4000-8000-000000000000")
    await sent(world, charges)

    assert await statuses(world) == {"NEW"}
    assert all("gone" in row["failure"] for row in await raw(world, "charge"))


@each_version
async def test_wrong_credentials_stop_a_chunk_and_right_ones_send_it(world: World, version: ApiVersion) -> None:
    charges = await some_charges(world, 4)
    await world.set_account(api_version=version, client_secret="wrong")
    await sent(world, charges)
    assert await statuses(world) == {"NEW"}

    await world.set_account(api_version=version)
    await recover(world, pause=timedelta(minutes=31))

    assert made(world) == once(charges)


@on_sqlite
async def test_a_charge_of_a_batch_that_was_given_up_is_revived_on_its_own(world: World) -> None:
    """Days later the batch as a whole says nothing any more; its other charges may have come to something else."""
    await world.set_account(api_version=ApiVersion.V3)
    deps = limited(world, attempts=1)
    charges = await some_charges(world, 3)
    trouble(world, "createCharges", {"kind": "reset-before"})
    await sent(world, charges)
    assert all(it.dead for it in (await charges_by_id(world)).values())
    world.advance(timedelta(days=1))
    await recover(world)
    assert made(world) == Counter()

    async with deps.store.begin() as unit:
        await unit.failures.revive(SHOP, charges[0].id, world.time.now)
    await sent(world, charges)

    assert made(world) == once(charges[:1])
    assert len(calls_of(world, "createCharges")) == 1


def busiest_minute(world: World) -> int:
    moments: list[datetime] = [it.at for it in world.effects("create")]
    return max(sum(first <= at < first + MINUTE for at in moments) for first in moments)


@each_once
async def test_two_workers_never_make_more_than_vipps_takes_in_a_minute(
    world: World, second: Context, version: ApiVersion
) -> None:
    """With the simulator counting as well: nothing is answered with 429, and nothing is lost."""
    del version
    world.vipps.knobs.rate_limits_on = True
    charges = await some_charges(world, 620)
    halves = (charges[:310], charges[310:])
    began = world.time.now
    await asyncio.gather(sent(world, halves[0]), sent(world, halves[1], second.deps))
    first_minute = len(world.effects("create"))
    assert first_minute == 500
    while set(made(world)) != set(once(charges)) and world.time.now < began + timedelta(minutes=5):
        world.advance(timedelta(seconds=20))
        await world.sweep()

    assert made(world) == once(charges)
    assert busiest_minute(world) <= 500
    assert world.time.now <= began + timedelta(minutes=2)
    creations = [*calls_of(world, "createCharge"), *calls_of(world, "createCharges")]
    assert 429 not in {it.status for it in creations}


@each_version
async def test_what_came_too_late_for_the_minute_is_not_an_attempt(world: World, version: ApiVersion) -> None:
    """A long queue must not use up its attempts by waiting."""
    del version
    limited(world, charges_per_minute=2)
    charges = await some_charges(world, 6)
    for _ in range(2):
        await sent(world, charges)

    rows = [it for it in (await charges_by_id(world)).values() if it.status is ChargeStatus.NEW and not it.accepted_at]
    assert len(rows) == 4
    assert {(it.attempts, it.failure) for it in rows} == {(0, None)}
    assert all(it.next_attempt_at and it.next_attempt_at > world.time.now for it in rows)
    assert any(kind is Job.CHARGE_CHUNK and after > timedelta(seconds=30) for after, kind, _, _ in world.jobs.later)


@each_once
async def test_a_429_is_no_answer_and_nobody_knocks_before_vipps_said_so(
    world: World, second: Context, version: ApiVersion
) -> None:
    operation = "createCharges" if version is ApiVersion.V3 else "createCharge"
    charges = await some_charges(world, 3)
    more = await some_charges(world, 3)
    world.vipps.faults.add("status", status=429, retry_after="300", operation=operation, times=None)
    await sent(world, charges)
    assert await statuses(world) == {"NEW"}
    world.vipps.faults.clear()
    calls = len(world.vipps.requests)
    for _ in range(2):
        world.advance(timedelta(seconds=100))
        await sent(world, [*charges, *more], second.deps)
    assert len(world.vipps.requests) == calls

    await recover(world, rounds=4)

    assert made(world) == once([*charges, *more])
    assert "REJECTED" not in await statuses(world)


@on_sqlite
async def test_two_shops_with_one_serial_number_share_its_limit(world: World) -> None:
    """And so do two channels of one shop: Vipps counts by serial number."""
    charges = await some_charges(world, 5)
    async with world.context.store.begin() as unit:
        bucket = CREATE_CHARGE.bucket("test", DEFAULT_MERCHANT.msn)
        await unit.allowances.take(bucket, 498, CREATE_CHARGE.per_minute, world.time.now)
    await sent(world, charges)

    assert len(world.effects("create")) == 2


@on_sqlite
async def test_a_worker_that_is_told_to_end_leaves_its_charges_to_others_at_once(world: World) -> None:
    charges = await some_charges(world, 3)
    world.vipps.faults.add("slow", seconds=5, operation="createCharge", times=None)
    task = asyncio.create_task(sent(world, charges))
    await until_called(world, "createCharge")
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    world.vipps.faults.clear()
    world.advance(timedelta(seconds=1))
    await sent(world, charges)

    assert made(world) == once(charges)
    assert "NEW" not in await statuses(world)
    assert {it.attempts for it in (await charges_by_id(world)).values()} == {2}
