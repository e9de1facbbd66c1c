"""What time brings: batches, retries, failures."""

from datetime import UTC, date, datetime, timedelta

import pytest

from app.vipps.simulator import Simulator, SimulatorClock
from app.vipps.simulator.processing import MAGIC_AMOUNTS
from app.vipps.simulator.rules import add_months, interval_index
from tests.vipps.simulator.helpers import Caller, a_caller, a_simulator, an_active_agreement


async def test_a_due_charge_is_paid_by_the_morning_batch(simulator: Simulator, caller: Caller) -> None:
    agreement_id = await an_active_agreement(simulator, caller)
    await caller.charged(agreement_id, due="2026-03-12")
    (charge,) = simulator.charges(agreement_id)

    simulator.advance(timedelta(days=1, hours=18, minutes=59))
    assert charge.status == "DUE"
    simulator.advance(timedelta(minutes=2))

    assert (charge.status, charge.captured) == ("CHARGED", 25_000)
    assert charge.transaction_id
    assert simulator.ledger[-1].effect == "charge"
    assert simulator.ledger[-1].at == datetime(2026, 3, 12, 7, tzinfo=UTC)


async def test_a_failing_charge_is_retried_until_the_last_batch_of_its_last_day(
    simulator: Simulator, caller: Caller
) -> None:
    agreement_id = await an_active_agreement(simulator, caller)
    charge_id = await caller.charged(agreement_id, amount=151, due="2026-03-12", retryDays=2)
    (charge,) = simulator.charges(agreement_id)

    simulator.advance(timedelta(days=4, hours=2, minutes=59))
    assert charge.status == "DUE"
    simulator.advance(timedelta(minutes=1))

    await caller.get_token()
    view = await caller.charge(agreement_id, charge_id)
    assert (view["status"], view["failureReason"]) == ("FAILED", "user_action_required")
    assert view["failureDescription"]
    assert simulator.ledger[-1].at == datetime(2026, 3, 14, 15, tzinfo=UTC)


async def test_a_charge_that_waits_for_a_retry_can_be_shown_as_processing() -> None:
    simulator = a_simulator(retry_status="PROCESSING")
    caller = await a_caller(simulator)
    agreement_id = await an_active_agreement(simulator, caller)
    charge_id = await caller.charged(agreement_id, amount=151, due="2026-03-12")

    simulator.advance(timedelta(days=2))

    await caller.get_token()
    assert (await caller.charge(agreement_id, charge_id))["status"] == "PROCESSING"
    assert (await caller.send("DELETE", f"/{agreement_id}/charges/{charge_id}")).status_code == 409


@pytest.mark.parametrize("amount", sorted(MAGIC_AMOUNTS))
async def test_magic_amounts_fail_for_their_reason(simulator: Simulator, caller: Caller, amount: int) -> None:
    agreement_id = await an_active_agreement(simulator, caller)
    await caller.charged(agreement_id, amount=amount, due="2026-03-12", retryDays=0)

    simulator.advance(timedelta(days=3))

    (charge,) = simulator.charges(agreement_id)
    assert (charge.status, charge.failure_reason) == ("FAILED", MAGIC_AMOUNTS[amount])


async def test_a_user_who_mends_the_card_in_time_pays(simulator: Simulator, caller: Caller) -> None:
    agreement_id = await an_active_agreement(simulator, caller)
    await caller.charged(agreement_id, due="2026-03-12", retryDays=2)
    simulator.set_failure(agreement_id, "technical_error")
    simulator.advance(timedelta(days=3))
    assert simulator.charges(agreement_id)[0].status == "DUE"

    simulator.set_failure(agreement_id, None)
    simulator.advance(timedelta(days=1))

    assert simulator.charges(agreement_id)[0].status == "CHARGED"


async def test_a_charge_above_the_users_own_limit_fails_unless_the_user_raises_it(
    simulator: Simulator, caller: Caller
) -> None:
    agreement_id = await caller.drafted(price=..., variableAmount={"suggestedMaxAmount": 50_000})
    simulator.approve(agreement_id, max_amount=20_000)
    await caller.charged(agreement_id, amount=30_000, due="2026-03-12", retryDays=0)
    await caller.charged(agreement_id, amount=30_000, due="2026-03-15", retryDays=0)

    simulator.advance(timedelta(days=3))
    simulator.set_max_amount(agreement_id, 30_000)
    simulator.advance(timedelta(days=3))

    first, second = simulator.charges(agreement_id)
    assert (first.status, first.failure_reason) == ("FAILED", "charge_amount_too_high")
    assert second.status == "CHARGED"


async def test_the_batch_can_be_run_by_hand_and_finds_only_what_is_due(simulator: Simulator, caller: Caller) -> None:
    agreement_id = await an_active_agreement(simulator, caller)
    await caller.charged(agreement_id, due="2026-03-11")
    await caller.charged(agreement_id, due="2026-03-12")
    simulator.advance(timedelta(hours=13))

    assert simulator.process_due() == 1
    assert [charge.status for charge in simulator.charges(agreement_id)] == ["CHARGED", "DUE"]


async def test_a_long_leap_brings_everything_in_its_own_order(simulator: Simulator, caller: Caller) -> None:
    agreement_id = await an_active_agreement(simulator, caller)
    for month in range(4, 13):
        await caller.charged(agreement_id, due=f"2026-{month:02d}-15")

    simulator.advance(timedelta(days=365))

    assert {charge.status for charge in simulator.charges(agreement_id)} == {"CHARGED"}
    times = [entry.at for entry in simulator.ledger]
    assert times == sorted(times)


def test_a_clock_does_not_run_backwards() -> None:
    with pytest.raises(ValueError, match="backwards"):
        SimulatorClock().advance(timedelta(seconds=-1))


def test_a_clock_without_a_start_follows_the_system_plus_what_was_advanced() -> None:
    clock = SimulatorClock()

    clock.advance(timedelta(days=1))

    offset = clock.now() - datetime.now(UTC)
    assert abs(offset - timedelta(days=1)) < timedelta(seconds=5)


@pytest.mark.parametrize(
    ("day", "expected"),
    [(date(2026, 1, 31), 0), (date(2026, 2, 27), 0), (date(2026, 2, 28), 1), (date(2026, 3, 30), 1)],
)
def test_a_monthly_interval_from_the_31st_starts_on_the_last_day_of_a_short_month(day: date, expected: int) -> None:
    assert interval_index(date(2026, 1, 31), day, "MONTH", 1) == expected


@pytest.mark.parametrize(
    ("unit", "count", "expected"), [("DAY", 1, 365), ("WEEK", 2, 26), ("MONTH", 3, 4), ("YEAR", 1, 1), ("YEAR", 2, 0)]
)
def test_intervals_count_from_the_start(unit: str, count: int, expected: int) -> None:
    start = date(2026, 3, 10)

    assert interval_index(start, add_months(start, 12), unit, count) == expected
