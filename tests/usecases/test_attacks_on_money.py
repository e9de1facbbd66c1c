"""Ways that once took money twice, against somebody's will or from somebody else, or lost it; each of them closed."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

import httpx
import pytest
from sqlmodel import SQLModel

from app.domain.account import Account, ApiVersion, customer
from app.domain.agreement import TransactionType
from app.domain.charge import Charge, ChargeStatus
from app.domain.errors import OutcomeUnknown
from app.domain.operation import OperationKind
from app.domain.order import AGREEMENT_KEY, CHARGE_KEY
from app.domain.plan import IntervalUnit
from app.domain.provider import RecurringProvider
from app.domain.records import AgreementFilter, Page
from app.saleor.payloads import object_of
from app.saleor.simulator.models import Order
from app.saleor.simulator.server import create_app as saleor_app
from app.saleor.simulator.simulator import Simulator as SaleorSimulator
from app.usecases.agreements import (
    AgreementWish,
    InitialChargeWish,
    cancel_agreements,
    create_agreement,
    list_agreements,
)
from app.usecases.charges import ChargeMake, make_charges
from app.usecases.inbox import apply_inbox
from app.usecases.installations import forget_shop
from app.usecases.money_moves import ChargeMove
from app.usecases.nightly import reconcile_all
from app.usecases.sending import request_for, resume_charge
from tests.builders import nok
from tests.usecases.steps import (
    MACHINE,
    Beforehand,
    Died,
    Life,
    a_collected_charge,
    a_reserved_charge,
    a_subscriber,
    amounts,
    an_agreement,
    an_order,
    calls_of,
    charge_of,
    each_once,
    mortal,
    moved,
    on_v3,
    only_order_created,
    operation_row,
    raw,
    recover,
    status_of,
    the_account,
    trouble,
)
from tests.web.helpers import saleor_hosts
from tests.world import APP_URL, SHOP, World, new_shop

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # the database does not matter here
A_DAY = timedelta(days=1)


@pytest.fixture
async def version(request: pytest.FixtureRequest, world: World) -> ApiVersion:
    version = ApiVersion(request.param)
    await world.set_account(api_version=version)
    return version


async def the_charge(world: World, order: Order) -> Charge:
    charge = await charge_of(world, order)
    assert charge is not None
    return charge


async def the_provider(world: World) -> RecurringProvider:
    return world.context.deps.provider(await the_account(world))


async def arrives_late(world: World, charge: Charge) -> None:
    """Vipps finishes what it was at when our deadline passed."""
    await (await the_provider(world)).create_charge(request_for(charge), key=charge.idempotency_key)


async def nights(world: World, count: int) -> None:
    """Days go by, each with its comparison of the books."""
    for _ in range(count):
        await reconcile_all(world.context.deps, lambda _: None)
        await recover(world, rounds=1, pause=A_DAY)


async def asked_for(world: World, wanted: ChargeMake) -> Any:
    [item] = (await make_charges(world.context.deps, MACHINE, [wanted])).items
    return item


# One wish, one charge.


@each_once
async def test_a_draft_that_vipps_made_late_is_not_made_anew_while_it_can_be_approved(
    world: World, version: ApiVersion
) -> None:
    """It lives for ten minutes from then, and not from when it was first asked for."""
    del version
    user = world.saleor.create_customer()
    initial = InitialChargeWish(25_000, "First box")
    wish = AgreementWish(25_000, "Coffee", "https://shop.example/thanks", IntervalUnit.MONTH, initial_charge=initial)

    async def ask() -> str:
        row = await create_agreement(world.context.deps, customer(SHOP, user.id), wish)
        return row.agreement_id or ""

    world.vipps.faults.add("reset-before", operation="draftAgreement", times=None)
    with pytest.raises(OutcomeUnknown):
        await ask()
    world.vipps.faults.clear()
    world.advance(timedelta(minutes=9, seconds=50))
    first = await ask()
    world.advance(timedelta(seconds=15))
    second = await ask()
    for shown in {first, second}:
        world.vipps.approve(shown)
    await recover(world)

    assert amounts(world, "charge") == [25_000]
    assert second == first


@on_sqlite
async def test_a_charge_of_unknown_outcome_does_not_use_up_the_limit_against_itself(world: World) -> None:
    """Told that it is above the limit, and not that it is kept, the caller makes it anew when there is room again."""
    who = await a_subscriber(world, price=25_000)
    wanted = ChargeMake(who.agreement, 80_000, "March", order_id="march-2026")
    world.vipps.faults.add("reset-after", operation="createCharge")
    assert isinstance((await asked_for(world, wanted)).error, OutcomeUnknown)

    again = await asked_for(world, wanted)

    assert again.error is None or isinstance(again.error, OutcomeUnknown)
    await recover(world)
    assert (await asked_for(world, wanted)).answer.charge_id == "march-2026"
    assert amounts(world, "create") == [80_000]


@on_sqlite
async def test_a_charge_is_answered_as_it_is_although_its_due_date_could_not_be_chosen_any_more(world: World) -> None:
    who = await a_subscriber(world)
    due = (world.time.now + A_DAY).date()
    wanted = ChargeMake(who.agreement, 10_000, "March", order_id="march-2026", due=due)
    first = await asked_for(world, wanted)
    world.advance(A_DAY)

    again = await asked_for(world, wanted)

    assert again.error is None
    assert again.answer.id == first.answer.id
    assert amounts(world, "create") == [10_000]


@on_sqlite
async def test_a_charge_is_answered_as_it_is_although_its_agreement_was_stopped_since(world: World) -> None:
    who = await a_subscriber(world)
    wanted = ChargeMake(who.agreement, 10_000, "March", idempotency_key="march")
    first = await asked_for(world, wanted)
    world.advance(timedelta(days=3))
    await recover(world)
    await cancel_agreements(world.context.deps, MACHINE, [who.agreement])

    again = await asked_for(world, wanted)

    assert again.error is None
    assert again.answer.id == first.answer.id
    assert again.answer.status is ChargeStatus.CHARGED


@each_once
@pytest.mark.parametrize("found_by", ["event", "night"])
async def test_an_order_is_not_charged_again_when_the_database_is_an_older_one(
    world: World, version: ApiVersion, found_by: str
) -> None:
    """Restored from the night before it knows nothing of today's charge; Vipps takes an order's id once."""
    del version
    who = await a_subscriber(world)
    order = an_order(world, who)
    await world.drain()
    charged = order.private_metadata[CHARGE_KEY]
    await restore(world, without=("charge", "inbox", "audit"))
    if found_by == "event":
        world.saleor.touch_order(order)
        await world.drain()

    await nights(world, 3)

    assert amounts(world, "create") == amounts(world, "charge") == [19_900]
    assert [row["charge_id"] for row in await raw(world, "charge")] == [charged]
    assert order.private_metadata[CHARGE_KEY] == charged
    assert status_of(order) == "CHARGED"


@on_sqlite
@pytest.mark.parametrize("ended", ["cancel_order", "mark_charged"])
async def test_nor_is_it_charged_when_nobody_wants_that_any_more(world: World, ended: str) -> None:
    who = await a_subscriber(world)
    order = an_order(world, who)
    await world.drain()
    await restore(world, without=("charge", "inbox", "audit"))
    getattr(world.saleor, ended)(order)
    await world.drain()

    await nights(world, 3)

    assert world.effects("charge") == []
    assert status_of(order) == "CANCELLED"


async def restore(world: World, without: tuple[str, ...]) -> None:
    """A backup from before there was anything in these tables."""
    async with world.context.store.engine.begin() as connection:
        for name in without:
            await connection.execute(SQLModel.metadata.tables[name].delete())


# What nobody wants is not collected.


async def test_a_charge_that_comes_into_being_after_its_order_was_cancelled_is_taken_back(world: World) -> None:
    """Our deadline had passed and Vipps was still at it: "there is no such charge" proves nothing within seconds."""
    who = await a_subscriber(world)
    world.vipps.faults.add("timeout-before", seconds=0, operation="createCharge")
    order = an_order(world, who)
    await world.drain()
    sent = await the_charge(world, order)
    world.advance(timedelta(seconds=10))
    world.saleor.cancel_order(order)
    await world.drain()

    await arrives_late(world, sent)
    await nights(world, 3)

    assert world.effects("charge") == []
    assert amounts(world, "cancel") == [19_900]
    assert [row["status"] for row in await raw(world, "charge")] == ["CANCELLED"]
    assert status_of(order) == "CANCELLED"


@on_sqlite
async def test_a_restart_does_not_make_old_what_was_sent_a_moment_ago(world: World) -> None:
    """Killed while sending and started again at once; then the order is cancelled, and then the request arrives."""
    who = await a_subscriber(world)
    only_order_created(world)
    world.vipps.faults.add("reset-before", operation="createCharge")
    order = an_order(world, who)
    await world.drain()
    world.advance(timedelta(minutes=30))
    charge = await the_charge(world, order)
    with pytest.raises(Died):
        await resume_charge(mortal(world.context.deps, Life(dies_on="before create_charge")), SHOP, charge.id)
    world.advance(timedelta(seconds=3))
    await world.context.store.release_leases()
    world.saleor.cancel_order(order)
    await world.sweep()
    await world.drain()

    await arrives_late(world, charge)
    await recover(world, rounds=4, pause=A_DAY)  # and no comparison of the books comes to the rescue

    assert world.effects("charge") == []
    assert amounts(world, "cancel") == [19_900]
    assert status_of(order) == "CANCELLED"


@pytest.mark.parametrize("lost", [False, True])
async def test_a_charge_that_is_cancelled_while_it_is_being_sent_is_not_collected(world: World, *, lost: bool) -> None:
    """Whoever sends it knows nothing of that, and stores what came of the call after it was withdrawn."""
    who = await a_subscriber(world)
    real = world.context.deps
    answers: list[Any] = []

    async def cancelled() -> None:
        answers.extend(await moved(world, ChargeMove(OperationKind.CANCEL, who.agreement, "coffee-2026-1")))

    def provider(account: Account) -> RecurringProvider:
        return cast(RecurringProvider, Beforehand(real.provider(account), "create_charge", cancelled))

    if lost:
        world.vipps.faults.add("reset-before", operation="createCharge")
    wanted = ChargeMake(who.agreement, 10_000, "Coffee", order_id="coffee-2026-1")
    await make_charges(replace(real, provider=provider), MACHINE, [wanted])
    await recover(world)
    await nights(world, 3)

    assert world.effects("charge") == []
    assert [type(it.error) for it in answers] == [OutcomeUnknown]
    assert amounts(world, "create") == amounts(world, "cancel") == ([] if lost else [10_000])
    assert [row["status"] for row in await raw(world, "charge")] == ["CANCELLED"]


LOOK = """
query ($agreement: ID!) {
  charge(agreementId: $agreement, chargeId: "march-2026") { status }
  charges(agreementIds: [$agreement]) { results { success charges { id status } } }
}
"""


@on_sqlite
async def test_a_charge_that_is_kept_to_be_sent_again_can_be_looked_at_and_cancelled(world: World) -> None:
    """Told not to make it anew but to look at it, nobody may find that there is none."""
    who = await a_subscriber(world)
    world.vipps.faults.add("reset-before", operation="createCharge")
    item = await asked_for(world, ChargeMake(who.agreement, 10_000, "March", order_id="march-2026"))
    assert isinstance(item.error, OutcomeUnknown)

    seen = await world.graphql(LOOK, {"agreement": who.agreement}, await world.client())
    assert seen["data"] == {
        "charge": {"status": "NEW"},
        "charges": {"results": [{"success": True, "charges": [{"id": "march-2026", "status": "NEW"}]}]},
    }

    [cancelled] = await moved(world, ChargeMove(OperationKind.CANCEL, who.agreement, "march-2026"))
    assert isinstance(cancelled.error, OutcomeUnknown)
    await recover(world)
    await nights(world, 3)
    assert world.effects("charge") == []
    assert [row["status"] for row in await raw(world, "charge")] == ["CANCELLED"]


@on_sqlite
@pytest.mark.parametrize("lost", ["reset-before", "reset-after"])
async def test_nothing_is_collected_for_an_order_that_does_not_exist_any_more(world: World, lost: str) -> None:
    """Nor is the shop asked for it every minute, for ever."""
    who = await a_subscriber(world)
    trouble(world, "createCharge", {"kind": lost})
    order = an_order(world, who)
    await world.drain()
    world.saleor.orders.remove(order)
    before = len(saleor_hosts(world).calls)
    await recover(world, rounds=30, pause=timedelta(minutes=1))
    asked = len(saleor_hosts(world).calls) - before

    await nights(world, 3)

    assert world.effects("charge") == []
    assert len(world.effects("cancel")) == len(world.effects("create"))
    assert (await the_charge(world, order)).status is ChargeStatus.CANCELLED
    assert asked <= 10


# Somebody else's money.


async def in_its_place(world: World) -> SaleorSimulator:
    """Another Saleor under the name of the one that was: its own keys, and users with the same small numbers."""
    other = new_shop(SHOP, lambda: world.app)
    other.rotate_key()
    saleor_hosts(world).apps["shop.example"] = httpx.ASGITransport(app=saleor_app(other))
    await other.install(f"{APP_URL}/api/manifest")
    await world.set_account()
    world.shops[SHOP] = world.saleor = other
    return other


async def forgotten(world: World) -> None:
    await forget_shop(world.context.deps, SHOP)


async def uninstalled(world: World) -> None:
    world.saleor.delete_app(world.saleor.apps[0])
    await world.drain()


@pytest.mark.parametrize("gone", [forgotten, uninstalled])
async def test_customers_of_a_new_shop_do_not_own_the_agreements_of_the_shop_before_it(
    world: World, gone: Callable[[World], Awaitable[None]]
) -> None:
    before = world.saleor.create_customer("before@example.com")
    agreement = await an_agreement(world, before)
    await gone(world)
    shop = await in_its_place(world)
    stranger = shop.create_customer("stranger@example.com")
    assert stranger.id == before.id

    theirs, _ = await list_agreements(world.context.deps, customer(SHOP, stranger.id), AgreementFilter(), Page(10))
    order = shop.create_order(stranger, amount=199, metadata={AGREEMENT_KEY: agreement})
    await world.drain()

    assert theirs == []
    assert world.effects("create") == []
    assert status_of(order) == "NOT_CHARGED"


# Captures and refunds.


@on_sqlite
async def test_a_conflict_while_vipps_is_still_at_a_capture_is_no_refusal(world: World) -> None:
    """A refusal is final, so the caller asks anew and both captures land."""
    await on_v3(world)
    wanted = replace(await a_reserved_charge(world, 20_000), price=5_000)
    world.vipps.faults.add("status", status=409, style="problem", operation="captureCharge")

    [first] = await moved(world, wanted)

    assert isinstance(first.error, OutcomeUnknown)
    operation = await operation_row(world, OperationKind.CAPTURE)
    assert operation["status"] == "OPEN"
    await (await the_provider(world)).capture_charge(
        wanted.agreement_id, wanted.charge_id, nok(5_000), "", key=operation["idempotency_key"]
    )
    await recover(world)
    assert amounts(world, "capture") == [5_000]
    assert (await operation_row(world, OperationKind.CAPTURE))["status"] == "DONE"


@on_sqlite
async def test_a_larger_refund_by_somebody_else_is_not_taken_for_ours(world: World) -> None:
    """v2 shows sums only: a sum that is neither the one before nor the one after ours is a person's to compare."""
    wanted = replace(await a_collected_charge(world, 25_000), price=5_000)
    world.vipps.faults.add("reset-before", operation="refundCharge")
    await moved(world, wanted)
    await (await the_provider(world)).refund_charge(
        wanted.agreement_id, wanted.charge_id, nok(8_000), "by hand", key="portal-1"
    )

    await recover(world)

    assert amounts(world, "refund") == [8_000]
    operation = await operation_row(world, OperationKind.REFUND)
    assert operation["status"] == "REJECTED"
    assert "compare with the Vipps portal" in operation["failure"]


MOVES = {
    "refund": (a_collected_charge, OperationKind.REFUND),
    "capture": (a_reserved_charge, OperationKind.CAPTURE),
}


@on_sqlite
@pytest.mark.parametrize("what", MOVES)
async def test_a_move_that_v3_accepted_is_not_sent_again_over_v2(world: World, what: str) -> None:
    """It is done an hour later, the account speaks v2 by then, and v2's paths know nothing of v3's keys."""
    begin, kind = MOVES[what]
    await on_v3(world)
    wanted = replace(await begin(world, 25_000), price=10_000)
    world.vipps.knobs.forced_202 = True
    world.vipps.knobs.accepted_delay = timedelta(hours=1)
    [first] = await moved(world, wanted)
    assert isinstance(first.error, OutcomeUnknown)
    await world.set_account(api_version=ApiVersion.V2)

    await recover(world)
    await recover(world, pause=timedelta(hours=1))

    assert amounts(world, what) == [10_000]
    assert (await operation_row(world, kind))["status"] == "DONE"


@on_sqlite
async def test_a_part_that_was_to_be_captured_over_v3_does_not_become_the_whole_over_v2(world: World) -> None:
    await on_v3(world)
    wanted = replace(await a_reserved_charge(world, 25_000), price=10_000)
    world.vipps.faults.add("reset-before", operation="captureCharge")
    await moved(world, wanted)
    await world.set_account(api_version=ApiVersion.V2)

    await recover(world)

    assert amounts(world, "capture") == [10_000]
    assert (await operation_row(world, OperationKind.CAPTURE))["status"] == "DONE"


@on_sqlite
async def test_what_v2_has_no_words_for_waits_until_the_account_speaks_v3_again(world: World) -> None:
    """An account that was set to v2 for an hour by mistake costs nobody a charge."""
    await on_v3(world)
    who = await a_subscriber(world)
    world.vipps.faults.add("reset-before", operation="createCharge")
    reserve = TransactionType.RESERVE_CAPTURE
    item = await asked_for(
        world, ChargeMake(who.agreement, 10_000, "Box", order_id="box-2026-1", transaction_type=reserve)
    )
    assert isinstance(item.error, OutcomeUnknown)
    await world.set_account(api_version=ApiVersion.V2)
    await recover(world, rounds=1)
    assert len(calls_of(world, "createCharge")) == 1

    await on_v3(world)
    await recover(world, pause=timedelta(hours=1))

    assert amounts(world, "create") == [10_000]
    assert [row["charge_id"] for row in await raw(world, "charge")] == ["box-2026-1"]


@on_sqlite
async def test_nor_where_the_order_was_never_told_of_its_charge_before_it_was_cancelled(world: World) -> None:
    who = await a_subscriber(world)
    order = an_order(world, who)
    await world.saleor.deliver()
    _, shop, [entry] = world.jobs.waiting[0]
    world.jobs.waiting.clear()
    dying = mortal(world.context.deps, Life(dies_on="after create_charge"))
    with pytest.raises(Died):
        await apply_inbox(dying, object_of, shop, entry)
    await restore(world, without=("charge", "inbox", "audit"))
    world.saleor.cancel_order(order)
    await world.drain()

    await nights(world, 3)

    assert world.effects("charge") == []
    assert status_of(order) == "CANCELLED"
