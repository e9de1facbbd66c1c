"""Our webhooks at Vipps: made without anybody, healed when they are gone, renewed without a gap, and never two."""

import contextlib
import itertools
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from app.domain.account import Account
from app.domain.records import Webhook
from app.usecases.nightly import check_all_webhooks, webhook_url
from app.usecases.ports import Deps
from app.usecases.registrations import OVERLAP, WebhookState, check_webhooks
from app.vipps.simulator.webhooks.deliveries import Registration, Status
from app.vipps.webhooks import EVENTS
from tests.usecases.steps import (
    Died,
    Life,
    a_subscriber,
    agreement_row,
    another_worker,
    calls_of,
    hears_vipps,
    mortal,
    raw,
    the_account,
    trouble,
)
from tests.world import APP_URL, SHOP, World

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


async def checked(world: World, *, renew: bool = False, deps: Deps | None = None) -> WebhookState:
    account = await the_account(world)
    return await check_webhooks(deps or world.context.deps, account, webhook_url(APP_URL, account), renew=renew)


async def ours(world: World, account: Account | None = None) -> Sequence[Webhook]:
    account = account or await the_account(world)
    async with world.context.store.begin() as unit:
        return await unit.webhooks.of_account(account.shop, account.id)


def theirs(world: World) -> Registration:
    [registration] = world.vipps.registrations
    return registration


async def test_a_registration_is_made_once_for_all_events(world: World) -> None:
    first, second = await checked(world), await checked(world)

    assert (first.made, first.removed, first.trouble) == (1, 0, "")
    assert second == WebhookState()
    assert (first.text, second.text) == ("1 made", "registered")
    [mine] = await ours(world)
    assert (mine.registration_id, mine.secret) == (theirs(world).id, theirs(world).secret)
    assert theirs(world).url == mine.url == webhook_url(APP_URL, await the_account(world))
    assert set(theirs(world).events) == set(EVENTS)
    assert [it["action"] for it in await raw(world, "audit") if it["actor"] == "system:webhooks"] == [
        "webhook.registered"
    ]


async def test_the_secret_is_sealed_at_rest(world: World) -> None:
    await checked(world)
    [row] = await raw(world, "webhook")

    assert row["secret_sealed"].startswith("gAAAA")
    assert theirs(world).secret not in str(await raw(world, "webhook"))
    assert theirs(world).secret not in str(await raw(world, "audit"))


@on_sqlite
async def test_a_registration_that_is_gone_is_made_anew(world: World) -> None:
    """Vipps deletes what does not answer for two weeks (facts: VIPPS 12.4)."""
    await hears_vipps(world)
    old = theirs(world)
    world.vipps.sender.registrations.forget(old)
    state = await checked(world)

    assert (state.made, state.removed, state.trouble) == (1, 0, "")
    assert theirs(world).id != old.id
    agreement = (await a_subscriber(world)).agreement
    world.vipps.stop_in_app(agreement)
    await world.drain()
    assert (await agreement_row(world, agreement)).stopped_by == "USER"


@on_sqlite
async def test_an_answer_that_was_lost_leaves_a_registration_that_the_next_check_removes(world: World) -> None:
    """Its secret was shown once, to nobody."""
    trouble(world, "registerWebhook", {"kind": "reset-after"})
    lost = await checked(world)
    orphan = theirs(world)
    assert lost.made == 0
    assert lost.trouble
    assert "polling" in lost.text
    assert await ours(world) == []

    state = await checked(world)

    assert (state.made, state.removed, state.trouble) == (1, 1, "")
    assert theirs(world).id != orphan.id
    assert theirs(world).id == (await ours(world))[0].registration_id
    assert await checked(world) == WebhookState()


@on_sqlite
async def test_a_renewal_leaves_both_secrets_good_while_old_events_are_on_their_way(world: World) -> None:
    await hears_vipps(world)
    old = theirs(world)
    agreement = (await a_subscriber(world)).agreement
    await world.drain()
    world.vipps.stop_in_app(agreement)  # signed with the old secret, and not delivered yet
    state = await checked(world, renew=True)
    [first, second] = world.vipps.registrations

    assert (state.made, state.removed) == (1, 0)
    assert (first.id, second.id) == (old.id, (await ours(world))[-1].registration_id)
    await world.drain()
    assert {it.status for it in world.vipps.deliveries} == {Status.DELIVERED}
    assert (await agreement_row(world, agreement)).stopped_by == "USER"
    other = (await a_subscriber(world)).agreement
    world.vipps.stop_in_app(other)
    await world.drain()
    assert {it.status for it in world.vipps.deliveries} == {Status.DELIVERED}
    # Both tell of it, and it is one event.
    assert len([row for row in await raw(world, "inbox") if "stopped" in row["event"]]) == 2


@on_sqlite
async def test_the_old_registration_goes_when_the_overlap_is_over(world: World) -> None:
    await hears_vipps(world)
    old = theirs(world)
    await checked(world, renew=True)
    world.advance(OVERLAP - timedelta(minutes=1))
    assert await checked(world) == WebhookState()
    world.advance(timedelta(minutes=2))
    state = await checked(world)

    assert (state.made, state.removed) == (0, 1)
    assert theirs(world).id != old.id
    # What Vipps still repeats may be signed with the old one: its secret is kept for a while, and then not.
    assert len(await ours(world)) == 2
    world.advance(timedelta(days=8))
    assert await checked(world) == WebhookState()
    assert len(await ours(world)) == 1


@on_sqlite
async def test_two_renewals_in_a_row_end_with_one_registration(world: World) -> None:
    for _ in range(2):
        await checked(world, renew=True)
        world.advance(timedelta(seconds=1))
    assert len(world.vipps.registrations) == 2
    world.advance(OVERLAP)
    await checked(world)

    newest = (await ours(world))[-1]
    assert theirs(world).id == newest.registration_id
    assert newest.retired_at is None


@on_sqlite
async def test_a_new_address_of_ours_is_registered_and_the_old_one_goes_after_the_overlap(world: World) -> None:
    await checked(world)
    account, deps = await the_account(world), world.context.deps
    moved = webhook_url("https://new.example", account)
    assert await check_webhooks(deps, account, moved) == WebhookState(made=1)
    assert {it.url for it in world.vipps.registrations} == {moved, webhook_url(APP_URL, account)}
    world.advance(OVERLAP + timedelta(seconds=1))

    assert await check_webhooks(deps, account, moved) == WebhookState(removed=1)
    assert theirs(world).url == moved


@on_sqlite
async def test_registrations_of_others_are_left_alone(world: World) -> None:
    """Another system of the same merchant, and another account of this shop."""
    account = await the_account(world)
    foreign = world.vipps.sender.registrations.add(account.msn, "https://other.example/hook", [EVENTS[0]])
    other = await world.set_account(channel="channel-b")
    await check_webhooks(world.context.deps, other, webhook_url(APP_URL, other))
    await checked(world)
    await checked(world, renew=True)
    world.advance(OVERLAP * 2)
    await checked(world)

    ids = {it.id for it in world.vipps.registrations}
    assert foreign.id in ids
    assert (await ours(world, other))[0].registration_id in ids
    assert len(ids) == 3


@on_sqlite
async def test_two_live_registrations_of_ours_end_as_one(world: World) -> None:
    """Two workers checked at the same time, and each made one."""
    await checked(world)
    account = await the_account(world)
    registry = world.context.deps.webhooks(account)
    registration_id, secret = await registry.register(webhook_url(APP_URL, account))
    [first] = await ours(world)
    async with world.context.store.begin() as unit:
        twin = replace(first, id="twin", registration_id=registration_id, secret=secret)
        await unit.webhooks.put(replace(twin, created_at=first.created_at + timedelta(seconds=1)))
    await checked(world)
    world.advance(OVERLAP + timedelta(seconds=1))
    await checked(world)

    assert theirs(world).id == registration_id
    assert [it.registration_id for it in await ours(world) if it.retired_at is None] == [registration_id]


TROUBLES: tuple[dict[str, Any], ...] = (
    {"operation": "listWebhooks", "kind": "status", "status": 503},
    {"operation": "listWebhooks", "kind": "garbage"},
    {"operation": "listWebhooks", "kind": "reset-before"},
    {"operation": "registerWebhook", "kind": "status", "status": 400},
    {"operation": "registerWebhook", "kind": "status", "status": 403},
    {"operation": "registerWebhook", "kind": "status", "status": 500, "when": "after"},
    {"operation": "registerWebhook", "kind": "garbage", "when": "after"},
)


@on_sqlite
async def test_trouble_is_told_and_over_by_the_next_check(world: World) -> None:
    for what in TROUBLES:
        for registration in world.vipps.registrations:
            world.vipps.sender.registrations.forget(registration)
        trouble(world, what["operation"], {name: it for name, it in what.items() if name != "operation"})
        told = await checked(world)
        assert told.trouble, what
        assert told.made == 0, what

        healed = await checked(world)

        assert (healed.made, healed.trouble) == (1, ""), what
        assert theirs(world).id == (await ours(world))[-1].registration_id, what


@on_sqlite
async def test_a_removal_that_fails_is_tried_again(world: World) -> None:
    await checked(world)
    await checked(world, renew=True)
    world.advance(OVERLAP + timedelta(seconds=1))
    trouble(world, "deleteWebhook", {"kind": "status", "status": 503})
    assert (await checked(world)).trouble
    assert len(world.vipps.registrations) == 2

    assert await checked(world) == WebhookState(removed=1)
    trouble(world, "deleteWebhook", {"kind": "reset-after"})
    await checked(world, renew=True)
    world.advance(OVERLAP + timedelta(seconds=1))
    await checked(world)
    assert (await checked(world)).trouble == ""
    assert len(world.vipps.registrations) == 1


@on_sqlite
@pytest.mark.parametrize("renew", [False, True])
async def test_a_check_whose_process_dies_at_any_step_is_mended_by_the_next(world: World, renew: bool) -> None:
    for dies_at in itertools.count(1):
        life = Life(dies_at)
        if not renew:
            for registration in world.vipps.registrations:
                world.vipps.sender.registrations.forget(registration)
        with contextlib.suppress(Died):
            await checked(world, renew=renew, deps=mortal(world.context.deps, life))
        await checked(world)
        world.advance(OVERLAP + timedelta(seconds=1))
        await checked(world)

        live = [it for it in await ours(world) if it.retired_at is None]
        assert [it.registration_id for it in live] == [theirs(world).id], life.last
        assert live[0].secret == theirs(world).secret, life.last
        if not life.ended:
            break
    assert len(life.steps) > 8


async def test_two_workers_that_check_at_the_same_time_lose_no_event(world: World) -> None:
    second = another_worker(world)
    await checked(world)
    await checked(world, deps=second.deps)

    assert len(calls_of(world, "registerWebhook")) == 1
    await second.store.close()


@on_sqlite
async def test_every_account_is_checked_and_one_without_credentials_holds_up_nobody(world: World) -> None:
    await world.set_account(channel="channel-b", client_secret="wrong")
    await world.set_account(channel="channel-c", client_secret=None)
    told: dict[str, WebhookState] = {}
    await check_all_webhooks(
        world.context.deps, APP_URL, lambda account, state: told.__setitem__(account.channel, state)
    )

    assert told["default"] == WebhookState(made=1)
    assert "credentials" in told["channel-b"].trouble
    assert "channel-c" not in told
    assert {it["shop"] for it in await raw(world, "webhook")} == {SHOP}
