"""One wish is one draft, whoever asks for it how often, whatever is lost on the way and wherever the process dies."""

import asyncio
import contextlib
import itertools
import json
import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from app.domain.account import ApiVersion, Caller, customer
from app.domain.agreement import DRAFT_LIFE, Agreement, AgreementStatus, Pricing, TransactionType
from app.domain.errors import Duplicate, InvalidInput, OutcomeUnknown, Rejected, Unavailable
from app.domain.limits import DRAFT_AGREEMENT
from app.domain.operation import OperationStatus
from app.domain.plan import IntervalUnit
from app.main import Context
from app.saleor.simulator.models import User
from app.usecases.agreements import AgreementWish, InitialChargeWish, create_agreement
from app.usecases.drafts import FIRST_LOOK, draft_of, request_of_draft
from app.usecases.ports import Deps, Job
from app.vipps.simulator import DEFAULT_MERCHANT
from tests.builders import a_draft
from tests.usecases.steps import (
    LEASE,
    MACHINE,
    Died,
    Life,
    agreement_row,
    another_worker,
    calls_of,
    charges_by_id,
    each_once,
    each_version,
    keys_and_bodies,
    mortal,
    raw,
    recover,
    run_later,
    trouble,
    until_called,
)
from tests.world import SHOP, World

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
PHONE = "4791234567"
INITIAL = InitialChargeWish(25_000, "First box")
OWN_PAGE = "https://shop.example/my"  # the caller's own, which does not carry our reference


@pytest.fixture
async def version(request: pytest.FixtureRequest, world: World) -> ApiVersion:
    """v2 as it is documented: it does not look at the key of a draft."""
    version = ApiVersion(request.param)
    await world.set_account(api_version=version)
    world.vipps.knobs.v2_draft_keys = False
    return version


@pytest.fixture
async def second(world: World) -> AsyncIterator[Context]:
    """Another worker on the same database."""
    context = another_worker(world)
    yield context
    await context.store.close()


def a_wish(**over: Any) -> AgreementWish:
    fields: dict[str, Any] = {
        "price": 25_000,
        "product_name": "Coffee",
        "redirect_url": "https://shop.example/thanks",
        "unit": IntervalUnit.MONTH,
    }
    return AgreementWish(**(fields | over))


def a_customer(world: World) -> User:
    return world.saleor.create_customer(f"{uuid.uuid4()}@example.com")


async def asked(world: World, who: User | Caller, deps: Deps | None = None, **over: Any) -> Agreement:
    caller = customer(SHOP, who.id) if isinstance(who, User) else who
    return await create_agreement(deps or world.context.deps, caller, a_wish(**over))


async def asked_until_answered(
    world: World, who: User, deps: Deps | None = None, *, pause: timedelta = timedelta(seconds=20), **over: Any
) -> Agreement:
    """As a storefront does: what stood in the way is gone some time, later where the machine is busy."""
    async with asyncio.timeout(60):
        while True:
            try:
                return await asked(world, who, deps, **over)
            except (Unavailable, OutcomeUnknown):
                await asyncio.sleep(0.02)
                world.advance(pause)


async def the_operation(world: World) -> dict[str, Any]:
    """The stored request of the only draft."""
    [row] = await raw(world, "operation")
    request = row["request"]
    return row | {"request": json.loads(request) if isinstance(request, str) else request}


@each_once
async def test_the_same_wish_of_the_same_customer_is_the_same_draft_while_it_lives(
    world: World, version: ApiVersion
) -> None:
    who = a_customer(world)
    first = await asked(world, who)
    world.advance(timedelta(minutes=9))
    second = await asked(world, who)

    assert second.agreement_id == first.agreement_id
    assert second.confirmation_url == first.confirmation_url
    assert second.confirmation_url
    assert len(world.effects("draft")) == 1
    assert version is ApiVersion(await _version_of(world))


async def _version_of(world: World) -> str:
    [draft] = calls_of(world, "draftAgreement")
    return str(draft.path.split("/")[2])


OTHER_WISHES: tuple[dict[str, Any], ...] = (
    {"price": 25_001},
    {"count": 2},
    {"unit": IntervalUnit.WEEK},
    {"product_name": "Tea"},
    {"initial_charge": INITIAL},
    {"initial_order": "T3JkZXI6MQ=="},
)


@on_sqlite
async def test_another_wish_of_the_same_customer_is_another_draft(world: World) -> None:
    who = a_customer(world)
    made = [(await asked(world, who, **other)).agreement_id for other in ({}, *OTHER_WISHES)]

    assert len(set(made)) == len(world.effects("draft")) == len(OTHER_WISHES) + 1


@each_once
async def test_two_customers_with_the_same_wish_and_key_never_get_each_others_draft(
    world: World, version: ApiVersion
) -> None:
    del version
    keys: tuple[dict[str, Any], ...] = ({}, {"idempotency_key": "checkout-1"})
    one, other = a_customer(world), a_customer(world)
    for more in keys:
        first, second = await asyncio.gather(asked(world, one, **more), asked(world, other, **more))

        assert first.agreement_id != second.agreement_id
        assert first.confirmation_url != second.confirmation_url
        assert (first.customer, second.customer) == (one.id, other.id)


@on_sqlite
async def test_wishes_of_nobody_in_particular_are_each_their_own(world: World) -> None:
    """A machine that names neither customer nor order may well mean two people."""
    first, second = await asked(world, MACHINE), await asked(world, MACHINE)
    assert first.agreement_id != second.agreement_id

    third = await asked(world, MACHINE, idempotency_key="once")
    assert (await asked(world, MACHINE, idempotency_key="once")).agreement_id == third.agreement_id
    of_order = await asked(world, MACHINE, initial_order="T3JkZXI6MQ==")
    assert (await asked(world, MACHINE, initial_order="T3JkZXI6MQ==")).agreement_id == of_order.agreement_id


@each_once
async def test_two_workers_asked_at_the_same_time_make_one_draft(
    world: World, second: Context, version: ApiVersion
) -> None:
    del version
    moment = timedelta(milliseconds=1)  # less than a lease, however often all of them ask
    for more in ({}, {"idempotency_key": "checkout-1"}, {"agreement_url": OWN_PAGE}):
        who, before = a_customer(world), len(world.effects("draft"))
        workers = (world.context.deps, second.deps) * 3
        answers = await asyncio.gather(
            *(asked_until_answered(world, who, deps, pause=moment, **more) for deps in workers)
        )

        assert len({it.agreement_id for it in answers}) == 1
        assert len({it.confirmation_url for it in answers}) == 1
        assert len(world.effects("draft")) == before + 1


@on_sqlite
async def test_whoever_asks_while_it_is_being_made_is_told_to_ask_again(world: World) -> None:
    who = a_customer(world)
    with pytest.raises(Died):
        await asked(world, who, mortal(world.context.deps, Life(dies_on="before create_agreement")))

    with pytest.raises(Unavailable, match="ask again") as refusal:
        await asked(world, who)
    assert refusal.value.retry_after == 2
    assert calls_of(world, "draftAgreement") == []


# How a draft can be told apart where its answer was lost: by our reference in the account's URL, or by the initial
# charge's order id. v3 has an id and a key of ours in any case.
TELLING: dict[str, tuple[str, dict[str, Any]]] = {
    "v2, our reference in the URL": ("v2", {}),
    "v2, an initial charge": ("v2", {"agreement_url": OWN_PAGE, "initial_charge": INITIAL}),
    "v2, nothing": ("v2", {"agreement_url": OWN_PAGE}),
    "v3, nothing but our id": ("v3", {"agreement_url": OWN_PAGE}),
}
SURE = {name for name in TELLING if name != "v2, nothing"}


@on_sqlite
@pytest.mark.parametrize("telling", TELLING)
async def test_a_draft_whose_process_dies_at_any_step_is_shown_once(world: World, telling: str) -> None:
    spoken, more = TELLING[telling]
    await world.set_account(api_version=ApiVersion(spoken))
    world.vipps.knobs.v2_draft_keys = False
    for dies_at in itertools.count(1):
        life, who, before = Life(dies_at), a_customer(world), len(world.effects("draft"))
        with contextlib.suppress(Died):
            await asked(world, who, mortal(world.context.deps, life), phone=PHONE, **more)
        world.advance(LEASE)
        await world.sweep()
        row = await asked(world, who, phone=PHONE, **more)
        again = await asked(world, who, phone=PHONE, **more)

        made = world.effects("draft")[before:]
        # Whichever was made last is the one that is shown; an earlier one was never shown to anybody.
        assert row.agreement_id == again.agreement_id == made[-1].agreement_id, life.last
        assert row.confirmation_url == again.confirmation_url, life.last
        assert len(made) == 1 or (telling not in SURE and len(made) == 2), life.last
        if not life.ended:
            break
    assert len(life.steps) >= 8
    assert all(len(bodies) == 1 for bodies in keys_and_bodies(world, "draftAgreement").values())
    rows = await raw(world, "operation")
    assert {row["status"] for row in rows} == {"DONE"}
    assert not any("phone" in str(row["request"]) for row in rows)


LOST: tuple[dict[str, Any], ...] = (
    {"kind": "timeout-before", "seconds": 0},
    {"kind": "timeout-after", "seconds": 0},
    {"kind": "reset-before"},
    {"kind": "reset-after"},
    {"kind": "status", "status": 429, "retry_after": "7"},
    {"kind": "status", "status": 500, "when": "after"},
    {"kind": "status", "status": 503, "style": "text"},
    {"kind": "status", "status": 409},
    {"kind": "status", "status": 302, "when": "after"},
    {"kind": "garbage"},
    {"kind": "garbage", "when": "after"},
)


@on_sqlite
@pytest.mark.parametrize("telling", TELLING)
async def test_a_draft_is_shown_once_whatever_befalls_the_call(world: World, telling: str) -> None:
    spoken, more = TELLING[telling]
    await world.set_account(api_version=ApiVersion(spoken))
    world.vipps.knobs.v2_draft_keys = False
    for what in LOST:
        who, before = a_customer(world), len(world.effects("draft"))
        trouble(world, "draftAgreement", what)
        row = await asked_until_answered(world, who, **more)

        made = world.effects("draft")[before:]
        assert row.agreement_id == made[-1].agreement_id, what
        assert row.confirmation_url, what
        assert row.status is AgreementStatus.PENDING, what
        assert len(made) == 1 or (telling not in SURE and len(made) == 2), what
        assert row.confirmation_url == (await asked(world, who, **more)).confirmation_url, what
    assert all(len(bodies) == 1 for bodies in keys_and_bodies(world, "draftAgreement").values())


@each_once
async def test_a_lost_answer_is_found_although_looking_fails_at_first(world: World, version: ApiVersion) -> None:
    del version
    who = a_customer(world)
    world.vipps.faults.add("reset-after", operation="draftAgreement")
    world.vipps.faults.add("status", status=503, operation="listAgreements")
    with pytest.raises(Unavailable, match="it is made once"):
        await asked(world, who)

    row = await asked_until_answered(world, who)

    assert len(world.effects("draft")) == 1
    world.vipps.approve(row.agreement_id or "")
    assert (await asked(world, who)).status is AgreementStatus.ACTIVE


@on_sqlite
async def test_another_draft_of_the_same_terms_is_not_taken_for_ours(world: World) -> None:
    """The neighbour's draft with the same product, price and plan stands in Vipps' list as well."""
    world.vipps.knobs.v2_draft_keys = False
    neighbour = await asked(world, a_customer(world), agreement_url=OWN_PAGE)
    who = a_customer(world)
    world.vipps.faults.add("reset-before", operation="draftAgreement")

    mine = await asked_until_answered(world, who, agreement_url=OWN_PAGE)

    assert mine.agreement_id != neighbour.agreement_id


@on_sqlite
async def test_an_answer_that_comes_after_somebody_else_took_over_does_not_undo_what_they_did(
    world: World, second: Context
) -> None:
    """The first worker hangs for longer than its lease; the second one's URL has been shown to the customer."""
    world.vipps.knobs.v2_draft_keys = False
    who = a_customer(world)
    world.vipps.faults.add("slow", seconds=0.3, operation="draftAgreement")
    slow = asyncio.create_task(asked(world, who, agreement_url=OWN_PAGE))
    await until_called(world, "draftAgreement")
    world.advance(LEASE)
    shown = await asked(world, who, second.deps, agreement_url=OWN_PAGE)
    world.vipps.approve(shown.agreement_id or "")
    assert (await asked(world, who, second.deps, agreement_url=OWN_PAGE)).status is AgreementStatus.ACTIVE

    late = await slow

    assert (late.agreement_id, late.confirmation_url) == (shown.agreement_id, shown.confirmation_url)
    row = await agreement_row(world, shown.agreement_id or "")
    assert row.status is AgreementStatus.ACTIVE
    assert row.confirmation_url == shown.confirmation_url


@each_once
async def test_an_expired_draft_makes_room_for_a_new_one(world: World, version: ApiVersion) -> None:
    del version
    who = a_customer(world)
    first = await asked(world, who)
    world.advance(DRAFT_LIFE + timedelta(seconds=1))
    second = await asked(world, who)

    assert second.agreement_id != first.agreement_id
    assert second.status is AgreementStatus.PENDING
    await recover(world)
    assert (await agreement_row(world, first.agreement_id or "")).status is AgreementStatus.EXPIRED


@on_sqlite
@pytest.mark.parametrize("over", ["rejected", "payment failed"])
async def test_a_draft_that_ended_early_makes_room_for_a_new_one_at_once(world: World, over: str) -> None:
    who = a_customer(world)
    first = await asked(world, who, initial_charge=INITIAL)
    assert first.agreement_id is not None
    if over == "rejected":
        world.vipps.reject(first.agreement_id)
    else:
        world.vipps.set_failure(first.agreement_id, "user_action_required")
        world.vipps.approve(first.agreement_id)

    second = await asked(world, who, initial_charge=INITIAL)

    assert second.agreement_id != first.agreement_id
    assert second.status is AgreementStatus.PENDING
    assert (await agreement_row(world, first.agreement_id)).status.final


@each_version
@pytest.mark.parametrize("key", [None, "checkout-1"])
async def test_a_draft_that_was_not_made_at_once_is_made_when_it_is_asked_for_again(
    world: World, version: ApiVersion, key: str | None
) -> None:
    del version
    who = a_customer(world)
    world.vipps.faults.add("status", status=503, operation="draftAgreement")
    with pytest.raises(Unavailable):
        await asked(world, who, phone=PHONE, idempotency_key=key)
    world.advance(DRAFT_LIFE + timedelta(minutes=1))

    row = await asked(world, who, phone=PHONE, idempotency_key=key)

    assert row.status is AgreementStatus.PENDING
    assert [it.agreement_id for it in world.effects("draft")] == [row.agreement_id]
    assert {it["status"] for it in await raw(world, "operation")} <= {"DONE", "REJECTED"}
    assert not any("phone" in str(it["request"]) for it in await raw(world, "operation"))


@on_sqlite
@pytest.mark.parametrize("key", [None, "checkout-1"])
async def test_a_draft_that_nobody_asks_for_again_is_closed_and_forgets_the_phone(
    world: World, key: str | None
) -> None:
    who = a_customer(world)
    world.vipps.faults.add("status", status=503, operation="draftAgreement")
    with pytest.raises(Unavailable):
        await asked(world, who, phone=PHONE, idempotency_key=key)
    await recover(world, rounds=9)
    assert [it["status"] for it in await raw(world, "agreement")] == ["EXPIRED"]
    assert "phone" not in (await the_operation(world))["request"]

    row = await asked(world, who, phone=PHONE, idempotency_key=key)

    assert row.status is AgreementStatus.PENDING
    assert [it.agreement_id for it in world.effects("draft")] == [row.agreement_id]


@each_version
@pytest.mark.parametrize("more", [{}, {"agreement_url": OWN_PAGE}, {"initial_charge": INITIAL}], ids=str)
async def test_a_lost_draft_that_is_over_by_the_next_time_is_not_shown(
    world: World, version: ApiVersion, more: dict[str, Any]
) -> None:
    """Vipps remembers the key and would give the old answer, whose URL nobody can approve any more."""
    del version
    who = a_customer(world)
    with pytest.raises(Died):
        await asked(world, who, mortal(world.context.deps, Life(dies_on="after create_agreement")), **more)
    world.advance(DRAFT_LIFE + timedelta(seconds=30))

    row = await asked_until_answered(world, who, **more)

    world.vipps.approve(row.agreement_id or "")
    assert (await asked(world, who, **more)).status is AgreementStatus.ACTIVE


@each_once
async def test_the_same_key_is_the_same_agreement_whatever_became_of_it(world: World, version: ApiVersion) -> None:
    del version
    who = a_customer(world)
    first = await asked(world, who, idempotency_key="checkout-1")
    world.advance(timedelta(minutes=1))
    assert (await asked(world, who, idempotency_key="checkout-1")).agreement_id == first.agreement_id
    world.advance(DRAFT_LIFE)

    again = await asked(world, who, idempotency_key="checkout-1")

    assert again.agreement_id == first.agreement_id
    assert again.status is AgreementStatus.EXPIRED
    assert len(world.effects("draft")) == 1


@on_sqlite
async def test_a_key_that_was_used_for_another_wish_is_refused(world: World) -> None:
    """Another customer's or another order's too: whoever asks by mistake must not be shown somebody else's URL."""
    mine: dict[str, Any] = {"idempotency_key": "checkout-1", "customer": "VXNlcjox"}
    first = await asked(world, MACHINE, **mine)
    for other in (*OTHER_WISHES[:-1], {"customer": "VXNlcjo5OQ=="}):
        with pytest.raises(Duplicate, match="idempotency key"):
            await asked(world, MACHINE, **(mine | other))

    assert len(world.effects("draft")) == 1
    assert (await asked(world, MACHINE, **mine)).agreement_id == first.agreement_id


@on_sqlite
async def test_a_key_with_another_initial_charge_is_refused(world: World) -> None:
    who = a_customer(world)
    await asked(world, who, idempotency_key="checkout-1", initial_charge=INITIAL)

    for other in (replace(INITIAL, price=99_000), replace(INITIAL, transaction_type=TransactionType.RESERVE_CAPTURE)):
        with pytest.raises(Duplicate, match="idempotency key"):
            await asked(world, who, idempotency_key="checkout-1", initial_charge=other)


@each_once
async def test_a_refusal_is_told_and_makes_room(world: World, version: ApiVersion) -> None:
    del version
    who = a_customer(world)
    world.vipps.faults.add("status", status=400, operation="draftAgreement")
    with pytest.raises(Rejected):
        await asked(world, who, phone=PHONE)

    row = await asked(world, who, phone=PHONE)

    assert row.status is AgreementStatus.PENDING
    assert len(calls_of(world, "draftAgreement")) == 2
    assert sorted(it["status"] for it in await raw(world, "agreement")) == ["PENDING", "REJECTED"]
    assert not any("phone" in str(it["request"]) for it in await raw(world, "operation"))


@on_sqlite
async def test_the_key_of_a_refused_draft_gives_the_refusal_again(world: World) -> None:
    who = a_customer(world)
    world.vipps.faults.add("status", status=400, operation="draftAgreement")
    for _ in range(2):
        with pytest.raises(Rejected, match="400"):
            await asked(world, who, idempotency_key="checkout-1")

    assert len(calls_of(world, "draftAgreement")) == 1


@on_sqlite
async def test_what_v2_has_no_words_for_is_refused_before_it_is_sent(world: World) -> None:
    who = a_customer(world)
    await world.set_account(api_version=ApiVersion.V2)
    with pytest.raises(InvalidInput, match="v3"):
        await asked(world, who, price=0, pricing=Pricing.FLEXIBLE)

    assert calls_of(world, "draftAgreement") == []


@on_sqlite
async def test_the_phone_is_sealed_while_the_draft_is_open_and_gone_afterwards(world: World) -> None:
    who = a_customer(world)
    with pytest.raises(Died):
        await asked(world, who, mortal(world.context.deps, Life(dies_on="after create_agreement")), phone=PHONE)

    held = await the_operation(world)
    assert held["status"] == "OPEN"
    assert held["request"]["phone"].startswith("gAAAA")
    assert PHONE not in json.dumps(held, default=str)
    world.advance(LEASE)
    await asked(world, who, phone=PHONE)
    done = await the_operation(world)
    assert done["status"] == OperationStatus.DONE
    assert "phone" not in done["request"]
    assert done["request"]["price"] == 25_000


@on_sqlite
async def test_a_draft_is_repeated_as_it_was_stored(world: World) -> None:
    """With everything in it that a draft can have."""
    await world.set_account(api_version=ApiVersion.V3)
    who = a_customer(world)
    more: dict[str, Any] = {
        "phone": PHONE,
        "product_description": "Blåbær & kaffe",
        "initial_charge": replace(INITIAL, transaction_type=TransactionType.RESERVE_CAPTURE),
        "campaign_price": 100,
        "campaign_end": world.time.now + timedelta(days=30, microseconds=123_456),
    }
    with pytest.raises(Died):
        await asked(world, who, mortal(world.context.deps, Life(dies_on="before create_agreement")), **more)
    world.vipps.faults.add("status", status=500, operation="draftAgreement")
    world.advance(LEASE)
    await asked_until_answered(world, who, **more)

    [(key, bodies)] = keys_and_bodies(world, "draftAgreement").items()
    assert len(calls_of(world, "draftAgreement")) == 2
    assert len(bodies) == 1
    assert key == (await raw(world, "agreement"))[0]["idempotency_key"]
    assert len(world.effects("draft")) == 1


def test_a_stored_draft_reads_back_as_it_was() -> None:
    for draft in (
        a_draft(phone=PHONE, external_id="row-1"),
        a_draft(product_description=""),
    ):
        assert draft_of(json.loads(json.dumps(request_of_draft(draft)))) == draft


async def test_no_more_than_three_hundred_drafts_a_minute_are_asked_for(world: World, second: Context) -> None:
    """Shared by all workers; whoever comes too late is told when to ask again, and is not forgotten."""
    bucket = DRAFT_AGREEMENT.bucket("test", DEFAULT_MERCHANT.msn)
    async with world.context.store.begin() as unit:
        await unit.allowances.take(bucket, 295, DRAFT_AGREEMENT.per_minute, world.time.now)
    people = [a_customer(world) for _ in range(10)]
    workers = itertools.cycle((world.context.deps, second.deps))
    answers = await asyncio.gather(
        *(asked(world, who, deps) for who, deps in zip(people, workers, strict=False)), return_exceptions=True
    )

    refused = [it for it in answers if isinstance(it, Unavailable)]
    assert len(refused) == 5
    assert all(it.retry_after is not None and 50 <= it.retry_after <= 65 for it in refused)
    assert len(calls_of(world, "draftAgreement")) == 5
    world.advance(timedelta(seconds=65))
    for who in people:
        assert (await asked(world, who)).confirmation_url
    assert len(world.effects("draft")) == 10


@on_sqlite
async def test_a_draft_is_followed_until_its_customer_has_decided(world: World) -> None:
    row = await asked(world, a_customer(world), initial_charge=INITIAL)
    assert row.agreement_id is not None
    [(after, kind, _, _)] = world.jobs.later
    assert (after, kind) == (FIRST_LOOK, Job.FOLLOW_DRAFT)
    assert await run_later(world, Job.FOLLOW_DRAFT) == 1
    assert (await agreement_row(world, row.agreement_id)).status is AgreementStatus.PENDING

    world.vipps.approve(row.agreement_id)
    assert await run_later(world, Job.FOLLOW_DRAFT) == 1
    await world.run_jobs()

    assert (await agreement_row(world, row.agreement_id)).status is AgreementStatus.ACTIVE
    [charge] = (await charges_by_id(world)).values()
    assert (charge.status, charge.captured) == ("CHARGED", 25_000)
    assert [it for it in world.jobs.later if it[1] is Job.FOLLOW_DRAFT] == []


@on_sqlite
async def test_following_a_draft_ends_with_it_and_survives_trouble(world: World) -> None:
    row = await asked(world, a_customer(world))
    world.vipps.faults.add("status", status=503, operation="getAgreement", times=3)
    rounds = 0
    while any(it[1] is Job.FOLLOW_DRAFT for it in world.jobs.later):
        with contextlib.suppress(Unavailable):
            await run_later(world, Job.FOLLOW_DRAFT)
        rounds += 1
        world.advance(timedelta(seconds=30))

    assert 15 < rounds < 30
    assert (await agreement_row(world, row.agreement_id or "")).status is AgreementStatus.EXPIRED
