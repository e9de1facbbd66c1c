"""Delivery: order, retries by the clock, giving up, and mischief on the way."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from app.vipps.simulator import Mischief, Simulator
from app.vipps.simulator.webhooks.deliveries import wait_after
from tests.vipps.simulator.helpers import Caller, a_caller
from tests.vipps.simulator.hooks import EVERYTHING, Shop, a_listened_simulator, a_webhook

ACTIVATED, REJECTED = EVERYTHING[0], EVERYTHING[1]


@pytest.fixture
def shop() -> Shop:
    return Shop()


@pytest.fixture
def simulator(shop: Shop) -> Simulator:
    return a_listened_simulator(shop)


async def _two_events(simulator: Simulator, caller: Caller) -> None:
    simulator.approve(await caller.drafted())
    simulator.reject(await caller.drafted())


def _statuses(simulator: Simulator) -> list[str]:
    return [str(delivery.status) for delivery in simulator.deliveries]


async def test_only_what_was_asked_for_is_told_and_only_afterwards(
    simulator: Simulator, caller: Caller, shop: Shop
) -> None:
    await _two_events(simulator, caller)
    await a_webhook(caller, events=[REJECTED])
    await _two_events(simulator, caller)

    assert await simulator.deliver() == 1
    assert shop.types == [REJECTED]


async def test_a_webhook_is_a_signed_post(simulator: Simulator, caller: Caller, shop: Shop) -> None:
    secret = await a_webhook(caller)
    simulator.approve(await caller.drafted())
    await simulator.deliver()

    (heard,) = shop.heard

    assert heard.path == "/hooks/vipps?tenant=42"
    assert heard.headers["host"] == "shop.example.com:8443"
    assert heard.headers["content-type"] == "application/json"
    assert heard.headers["x-ms-date"] == "Tue, 10 Mar 2026 12:00:00 GMT"
    assert heard.is_genuine(secret)
    assert not heard.is_genuine("another secret")


@pytest.mark.parametrize("trouble", [500, 404, 302, None])
async def test_a_failing_event_holds_up_those_behind_it(
    simulator: Simulator, caller: Caller, shop: Shop, trouble: int | None
) -> None:
    await a_webhook(caller)
    await _two_events(simulator, caller)
    shop.answers.append(trouble)

    assert await simulator.deliver() == 1
    assert await simulator.deliver() == 0
    simulator.advance(timedelta(seconds=2))
    assert await simulator.deliver() == 2

    assert shop.types == [ACTIVATED, ACTIVATED, REJECTED]
    assert [len(delivery.attempts) for delivery in simulator.deliveries] == [2, 1]
    assert simulator.deliveries[0].attempts[0].status_code == trouble
    assert _statuses(simulator) == ["delivered", "delivered"]


async def test_one_registration_does_not_hold_up_another(simulator: Simulator, caller: Caller, shop: Shop) -> None:
    await a_webhook(caller, "https://a.example/")
    await a_webhook(caller, "https://b.example/")
    simulator.approve(await caller.drafted())
    shop.answers.append(500)

    assert await simulator.deliver() == 2
    assert sorted(_statuses(simulator)) == ["delivered", "pending"]


async def test_each_attempt_is_signed_with_its_own_date(simulator: Simulator, caller: Caller, shop: Shop) -> None:
    secret = await a_webhook(caller)
    simulator.approve(await caller.drafted())
    shop.answers.append(500)
    await simulator.deliver()
    simulator.advance(timedelta(seconds=2))
    await simulator.deliver()

    first, second = shop.heard

    assert first.body == second.body
    assert first.headers["x-ms-date"] != second.headers["x-ms-date"]
    assert second.is_genuine(secret)


def test_the_schedule_of_retries() -> None:
    waits = [int(wait_after(attempts).total_seconds()) for attempts in range(1, 36)]

    assert waits[:5] == [2, 2, 2, 60, 120]
    assert set(waits[5:28]) == {3600}
    assert set(waits[28:]) == {86_400}


async def test_after_a_week_the_next_event_has_its_turn(simulator: Simulator, caller: Caller, shop: Shop) -> None:
    await a_webhook(caller)
    await _two_events(simulator, caller)
    shop.answers.extend([503] * 100)
    start = simulator.clock.now()

    while simulator.deliveries[0].status == "pending":
        await simulator.deliver()
        simulator.advance(max(simulator.deliveries[0].due_at - simulator.clock.now(), timedelta()))

    times: list[datetime] = [attempt.at for attempt in simulator.deliveries[0].attempts]
    assert simulator.deliveries[0].status == "expired"
    assert timedelta(days=6) < times[-1] - start <= timedelta(days=7)
    assert len(times) == 35
    assert times[5] - start == timedelta(seconds=186)
    assert len(simulator.deliveries[1].attempts) == 1


async def test_an_endpoint_that_fails_for_two_weeks_is_forgotten(
    simulator: Simulator, caller: Caller, shop: Shop
) -> None:
    await a_webhook(caller)
    shop.answers.extend([503] * 1000)
    for _ in range(3):
        simulator.reject(await caller.drafted())

    for _ in range(15):
        await simulator.deliver()
        simulator.advance(timedelta(days=1))

    assert simulator.registrations == []
    assert _statuses(simulator)[-1] == "abandoned"


async def test_what_a_deleted_registration_was_to_hear_is_abandoned(
    simulator: Simulator, caller: Caller, shop: Shop
) -> None:
    await a_webhook(caller)
    simulator.approve(await caller.drafted())
    (registration,) = simulator.registrations

    await caller.http.delete(f"/webhooks/v1/webhooks/{registration.id}", headers=caller.headers())

    assert (await simulator.deliver(), shop.heard, _statuses(simulator)) == (0, [], ["abandoned"])


async def test_what_is_dropped_never_comes(simulator: Simulator, caller: Caller, shop: Shop) -> None:
    await a_webhook(caller)
    simulator.mischief = Mischief(drop=True, events=frozenset({ACTIVATED}))
    await _two_events(simulator, caller)

    assert (await simulator.deliver(), shop.types, _statuses(simulator)) == (1, [REJECTED], ["dropped", "delivered"])


async def test_what_is_duplicated_comes_twice(simulator: Simulator, caller: Caller, shop: Shop) -> None:
    secret = await a_webhook(caller)
    simulator.mischief.duplicate = True
    simulator.approve(await caller.drafted())

    assert await simulator.deliver() == 2
    assert shop.heard[0].body == shop.heard[1].body
    assert all(heard.is_genuine(secret) for heard in shop.heard)


async def test_the_newest_can_come_first(simulator: Simulator, caller: Caller, shop: Shop) -> None:
    await a_webhook(caller)
    simulator.mischief.reorder = True
    await _two_events(simulator, caller)
    shop.answers.append(500)

    await simulator.deliver()
    simulator.advance(timedelta(seconds=2))
    await simulator.deliver()

    assert shop.types == [REJECTED, ACTIVATED, REJECTED]


async def test_events_can_be_late(simulator: Simulator, caller: Caller, shop: Shop) -> None:
    await a_webhook(caller)
    simulator.mischief.delay = timedelta(hours=1)
    await _two_events(simulator, caller)

    assert await simulator.deliver() == 0
    simulator.advance(timedelta(minutes=59))
    assert await simulator.deliver() == 0
    simulator.advance(timedelta(minutes=1))
    assert await simulator.deliver() == 2
    assert shop.types == [ACTIVATED, REJECTED]


@pytest.mark.parametrize("what", ["body", "body-and-hash", "signature", "secret"])
async def test_what_is_tampered_with_is_not_genuine(
    simulator: Simulator, caller: Caller, shop: Shop, what: Any
) -> None:
    secret = await a_webhook(caller)
    simulator.mischief.tamper = what
    simulator.approve(await caller.drafted())
    await simulator.deliver()

    (heard,) = shop.heard

    assert not heard.is_genuine(secret)
    assert heard.type == ACTIVATED


async def test_a_stale_webhook_is_signed_rightly(simulator: Simulator, caller: Caller, shop: Shop) -> None:
    secret = await a_webhook(caller)
    simulator.mischief.stale = timedelta(days=1)
    simulator.approve(await caller.drafted())
    await simulator.deliver()

    assert shop.heard[0].headers["x-ms-date"] == "Mon, 09 Mar 2026 12:00:00 GMT"
    assert shop.heard[0].is_genuine(secret)


async def test_the_signature_can_come_in_the_other_header(simulator: Simulator, caller: Caller, shop: Shop) -> None:
    secret = await a_webhook(caller)
    simulator.mischief.x_authorization = True
    simulator.approve(await caller.drafted())
    await simulator.deliver()

    assert "authorization" not in shop.heard[0].headers
    assert shop.heard[0].is_genuine(secret, "x-vipps-authorization")


async def test_an_unheard_of_event_reaches_everybody(simulator: Simulator, caller: Caller, shop: Shop) -> None:
    secret = await a_webhook(caller, events=[ACTIVATED])

    simulator.invent_event("recurring.agreement-paused.v1", {"agreementId": "agr_1"})
    await simulator.deliver()

    assert shop.heard[0].content == {
        "eventType": "recurring.agreement-paused.v1",
        "occurred": "2026-03-10T12:00:00Z",
        "msn": "123456",
        "agreementId": "agr_1",
    }
    assert shop.heard[0].is_genuine(secret)
    assert simulator.ledger == []


async def test_a_delivery_can_be_sent_again(simulator: Simulator, caller: Caller, shop: Shop) -> None:
    await a_webhook(caller)
    simulator.approve(await caller.drafted())
    await simulator.deliver()

    simulator.replay(1)
    with pytest.raises(LookupError):
        simulator.replay(7)

    assert await simulator.deliver() == 1
    assert shop.heard[0].body == shop.heard[1].body


async def test_without_anybody_who_listens_nothing_is_kept_to_be_sent(simulator: Simulator) -> None:
    caller = await a_caller(simulator)
    await _two_events(simulator, caller)

    assert (simulator.deliveries, len(simulator.events)) == ([], 2)
