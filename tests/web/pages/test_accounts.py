"""Merchant accounts as staff set them: what is wrong stands beside its field, secrets are never shown, once is once."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from app.domain.account import ApiVersion, Environment
from app.domain.dunning import GiveUp
from app.usecases.known import account_for_channel
from app.vipps.simulator import DEFAULT_MERCHANT
from tests.usecases.renewing import days_pass, subscribe
from tests.usecases.steps import the_account
from tests.web.helpers import nothing_happens
from tests.web.pages.visiting import Staff, fields, words, wrong
from tests.world import SHOP, World, make_world

OTHER = "https://other.example/graphql/"
KEYS = {
    "msn": DEFAULT_MERCHANT.msn,
    "client_id": DEFAULT_MERCHANT.client_id,
    "client_secret": DEFAULT_MERCHANT.client_secret,
    "subscription_key": DEFAULT_MERCHANT.subscription_key,
    "agreement_url": "https://shop.example/my-subscription",
}


async def accounts_of(world: World) -> int:
    async with world.context.store.begin() as unit:
        return len(await unit.accounts.of_shop(SHOP))


@pytest.fixture
async def bare(database_url: str) -> AsyncIterator[World]:
    """Installed, and nothing set."""
    world = make_world(database_url)
    await world.install()
    yield world
    await world.context.close()
    assert world.unforeseen == []


async def test_an_account_is_made_changed_and_tried(bare: World) -> None:
    staff = Staff(bare)
    form = fields(await staff.get("/accounts/new")) | KEYS | {"retry_days": "5", "dunning_retry": "2, 4"}
    saved = await staff.post("/accounts/new", form)
    assert saved.status_code == 200, words(saved)
    assert "Saved. The connection works" in words(saved)
    assert "Webhook registered" in words(saved)
    account = await the_account(bare)
    assert (account.msn, account.retry_days, account.dunning.retry_after) == (DEFAULT_MERCHANT.msn, 5, (2, 4))
    tried = await staff.post(f"/accounts/{account.id}/try")
    assert "The connection works" in words(tried)
    assert "Webhook registered" in words(tried)
    form = fields(tried) | {
        "api_version": "v3",
        "dunning_then": "CANCEL",
        "complete_orders": "at-once",
        "first_payment": "reserve",
    }
    saved = await staff.post(f"/accounts/{account.id}", form)
    assert "Saved, but not tested: Vipps takes a few of these calls a minute" in words(saved)
    after = await the_account(bare)
    assert after.reserve_initial
    assert (after.api_version, after.dunning.then, after.complete_when_paid) == (ApiVersion.V3, GiveUp.CANCEL, False)
    assert (after.client_secret, after.subscription_key) == (account.client_secret, account.subscription_key)
    assert "Not tested" in words(await staff.get("/accounts"))


@pytest.mark.parametrize(
    ("name", "said"), [("subscription_key", "the subscription key"), ("client_secret", "the client secret")]
)
async def test_what_was_saved_is_tested_at_once_and_says_which_key_is_wrong(bare: World, name: str, said: str) -> None:
    staff = Staff(bare)
    form = fields(await staff.get("/accounts/new")) | KEYS
    saved = await staff.post("/accounts/new", form | {name: "not-the-right-one"})
    assert "Saved, but the connection does not work yet" in words(saved)
    assert f"Vipps does not accept {'the client id and ' if name == 'client_secret' else ''}{said}" in words(saved)
    address = f"/accounts/{(await the_account(bare)).id}"
    checklist = await staff.get("/start")
    assert "The account for “All channels” does not work" in words(checklist)
    assert f'href="/app{address}"' in checklist.text
    mended = await staff.post(address, fields(saved) | {name: KEYS[name]})
    assert "Saved. The connection works" in words(mended)


async def test_what_has_nothing_to_do_with_signing_in_leaves_the_last_test_alone(one_world: World) -> None:
    staff, account = Staff(one_world), await the_account(one_world)
    await staff.post(f"/accounts/{account.id}/try")
    form = fields(await staff.get(f"/accounts/{account.id}"))
    asked = one_world.vipps.requests_seen
    saved = await staff.post(f"/accounts/{account.id}", form | {"lead_days": "9"})
    assert "Saved." in words(saved)
    assert one_world.vipps.requests_seen == asked
    assert "Works" in words(await staff.get("/accounts"))


async def test_secrets_are_never_shown_and_an_empty_field_keeps_them(one_world: World) -> None:
    staff, account = Staff(one_world), await the_account(one_world)
    secret = "a-new-secret-that-nobody-sees"
    shown = [
        await staff.get("/accounts"),
        await staff.get(f"/accounts/{account.id}"),
        await staff.post(f"/accounts/{account.id}", fields(await staff.get(f"/accounts/{account.id}"))),
        await staff.post(f"/accounts/{account.id}", {"client_secret": secret, "msn": "no digits"}),
        await staff.post(f"/accounts/{account.id}/try"),
    ]
    for text in (it.text for it in shown):
        assert DEFAULT_MERCHANT.client_secret not in text
        assert DEFAULT_MERCHANT.subscription_key not in text
        assert secret not in text
    assert await the_account(one_world) == account


@pytest.mark.parametrize(
    ("name", "typed"),
    [
        ("msn", "12-34"),
        ("msn", ""),
        ("msn", "1" * 21),
        ("client_id", "has spaces in it"),
        ("client_id", ""),
        ("client_secret", "two words"),
        ("subscription_key", "nøkkel"),
        ("environment", "prod"),
        ("api_version", "v4"),
        ("retry_days", "15"),
        ("retry_days", "two"),
        ("retry_days", "2.5"),
        ("lead_days", "0"),
        ("lead_days", "400"),
        ("price_notice_days", "-1"),
        ("agreement_url", "my page"),
        ("time_zone", "Oslo"),
        ("complete_orders", ""),
        ("first_payment", "later"),
        ("notify_url", "http://mail.example/"),
        ("dunning_retry", "3, soon"),
        ("dunning_retry", "91"),
        ("dunning_then", "SHRUG"),
        ("dunning_cancel_after", "0"),
    ],
)
async def test_what_is_wrong_stands_beside_its_field_and_what_was_typed_stays(
    one_world: World, name: str, typed: str
) -> None:
    staff, account = Staff(one_world), await the_account(one_world)
    form = fields(await staff.get(f"/accounts/{account.id}")) | {"lead_days": "7", name: typed}
    async with nothing_happens(one_world):
        answer = await staff.post(f"/accounts/{account.id}", form)
    assert answer.status_code == 422
    assert wrong(answer) == {name}
    assert f'id="{name}-wrong"' in answer.text
    if name in {"client_secret", "subscription_key"}:
        assert typed not in answer.text
    elif name not in {"environment", "api_version", "complete_orders", "first_payment", "dunning_then"}:
        assert fields(answer)[name] == typed
    assert name == "lead_days" or fields(answer)["lead_days"] == "7"


async def test_all_that_is_wrong_is_told_at_once(one_world: World) -> None:
    staff, account = Staff(one_world), await the_account(one_world)
    form = fields(await staff.get(f"/accounts/{account.id}")) | {
        "retry_days": "x",
        "dunning_retry": "x",
        "lead_days": "",
    }
    answer = await staff.post(f"/accounts/{account.id}", form)
    assert wrong(answer) == {"retry_days", "dunning_retry", "lead_days"}
    assert "3 fields need another look" in words(answer)


async def test_a_double_click_makes_one_account(bare: World) -> None:
    staff = Staff(bare)
    form = fields(await staff.get("/accounts/new")) | KEYS
    await staff.post("/accounts/new", form)
    async with nothing_happens(bare):
        again = await staff.post("/accounts/new", form | {"msn": "999"})
    assert "has an account already" in words(again)
    assert await accounts_of(bare) == 1


async def test_two_at_the_same_moment_make_one_account_and_one_change(bare: World) -> None:
    staff = Staff(bare)
    form = fields(await staff.get("/accounts/new")) | KEYS
    await asyncio.gather(*(staff.post("/accounts/new", form) for _ in range(4)))
    assert await accounts_of(bare) == 1
    address = f"/accounts/{(await the_account(bare)).id}"
    form = fields(await staff.get(address))
    answers = await asyncio.gather(*(staff.post(address, form | {"retry_days": str(days)}) for days in (6, 7, 8)))
    assert sorted(it.status_code for it in answers) == [200, 409, 409]


async def test_a_form_that_is_old_overwrites_nothing(one_world: World) -> None:
    staff, account = Staff(one_world), await the_account(one_world)
    mine = fields(await staff.get(f"/accounts/{account.id}"))
    await staff.post(f"/accounts/{account.id}", mine | {"retry_days": "6"})
    async with nothing_happens(one_world):
        late = await staff.post(f"/accounts/{account.id}", mine | {"lead_days": "9"})
    assert late.status_code == 409
    assert "Nothing was saved" in words(late)
    assert fields(late)["lead_days"] == "9"
    looked = await staff.post(f"/accounts/{account.id}", fields(late))
    assert "Saved" in words(looked)


async def test_saving_what_is_so_already_writes_nothing(one_world: World) -> None:
    staff, account = Staff(one_world), await the_account(one_world)
    form = fields(await staff.post(f"/accounts/{account.id}/try"))
    async with nothing_happens(one_world):
        assert (await staff.post(f"/accounts/{account.id}", form)).status_code == 200


async def test_another_shops_account_is_not_here(sqlite_url: str) -> None:
    world = make_world(sqlite_url, [SHOP, OTHER])
    await world.install()
    await world.install(world.shops[OTHER])
    theirs = await world.set_account(OTHER)
    staff = Staff(world)
    async with nothing_happens(world):
        for answer in (
            await staff.get(f"/accounts/{theirs.id}"),
            await staff.post(f"/accounts/{theirs.id}", KEYS | {"retry_days": "9"}),
            await staff.post(f"/accounts/{theirs.id}/try"),
        ):
            assert answer.status_code == 404
            assert "This is not here" in words(answer)
    assert DEFAULT_MERCHANT.msn not in (await staff.get("/accounts")).text
    await world.context.close()


async def test_a_number_with_agreements_stays(one_world: World) -> None:
    await one_world.agreement(await one_world.client())
    staff, account = Staff(one_world), await the_account(one_world)
    form = fields(await staff.get(f"/accounts/{account.id}")) | {"msn": "654321"}
    answer = await staff.post(f"/accounts/{account.id}", form)
    assert wrong(answer) == {"msn"}
    assert 'name="apart"' in answer.text
    again = await staff.post(f"/accounts/{account.id}", form | {"environment": "live"})
    assert wrong(again) == {"environment"}
    assert await the_account(one_world) == account


async def test_going_live_leaves_the_test_agreements_with_the_test_account(world: World) -> None:
    them, staff = await subscribe(world), Staff(world)
    old = await the_account(world)
    form = fields(await staff.get(f"/accounts/{old.id}")) | {"environment": "live", "apart": "1"}
    assert wrong(await staff.post(f"/accounts/{old.id}", form)) == {"client_secret", "subscription_key"}
    live = form | {"msn": "555555", "client_secret": "live-secret", "subscription_key": "live-key"}
    answers = await asyncio.gather(*(staff.post(f"/accounts/{old.id}", live) for _ in range(2)))
    assert sorted(it.status_code for it in answers) == [200, 409]
    async with world.context.store.begin() as unit:
        found = {it.channel: it for it in await unit.accounts.of_shop(SHOP)}
    new = found.pop("default")
    [earlier] = found.values()
    assert earlier == replace(old, channel=f"default~{old.id[:8]}")
    assert (new.environment, new.msn, new.client_secret) == (Environment.LIVE, "555555", "live-secret")
    assert new.id != old.id

    # What was sold before is renewed and charged by the account that it was sold with; what is sold now is not.
    await days_pass(world, 8)
    assert await them.outcomes() == ["PAID"]
    assert {it.account_id for it in [await them.charge()]} == {old.id}
    assert (await account_for_channel(world.context.deps, SHOP, "norway")).id == new.id

    page = words(await staff.get("/accounts"))
    assert f"All channels, earlier ({old.msn})" in page
    assert "All channels, earlier" in words(await staff.get(f"/agreements/{them.agreement}"))
    form = fields(await staff.get(f"/accounts/{old.id}"))
    assert "Saved." in words(await staff.post(f"/accounts/{old.id}", form | {"retry_days": "3"}))
    form = fields(await staff.get(f"/accounts/{old.id}")) | {"client_secret": "x" * 9, "subscription_key": "y" * 9}
    assert wrong(await staff.post(f"/accounts/{old.id}", form | {"msn": "777777", "apart": "1"})) == {"msn"}


async def test_a_new_account_cannot_pass_for_an_earlier_one(bare: World) -> None:
    answer = await Staff(bare).post("/accounts/new", KEYS | {"channel": "default~1234", "environment": "test"})
    assert "channel" in wrong(answer)
    assert await accounts_of(bare) == 0


async def test_the_audit_says_who_changed_it(one_world: World) -> None:
    staff, account = Staff(one_world), await the_account(one_world)
    form = fields(await staff.get(f"/accounts/{account.id}"))
    await staff.post(f"/accounts/{account.id}", form | {"environment": "live"})
    assert (await the_account(one_world)).environment is Environment.LIVE
    async with one_world.context.store.begin() as unit:
        entries = await unit.audit.of_object(SHOP, account.id)
    saved = entries[-2]  # the newest is the test of what was saved
    assert saved.actor == f"staff:{staff.user.id}"
    assert "live" in saved.after
