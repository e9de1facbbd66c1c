"""What staff ask for in Saleor on a transaction is done at Vipps once, and Saleor's books end as Vipps' ledger."""

from dataclasses import replace

import pytest

from app.domain.account import ApiVersion
from app.domain.checkout import ActionAnswer, ActionRequest
from app.domain.errors import Unavailable
from app.domain.transaction import ActionType, EventType
from app.saleor.simulator.deliveries import Mischief
from app.usecases.installations import installed
from app.usecases.payment_requests import act
from app.vipps.simulator.faults import Fault
from tests.builders import nok
from tests.usecases.buying import MONTHLY, Purchase, a_customers_cart, a_product, events_of, initial_charge
from tests.usecases.steps import each_once, each_version, raw, recover
from tests.world import SHOP, World, make_world

RESERVE = MONTHLY | {"vipps-recurring.initial": "reserve"}


@pytest.fixture
async def version(request: pytest.FixtureRequest, world: World) -> ApiVersion:
    version = ApiVersion(request.param)
    await world.set_account(api_version=version)
    return version


@pytest.fixture
async def v3(one_world: World) -> World:
    await one_world.set_account(api_version=ApiVersion.V3)
    return one_world


async def bought(world: World, *, reserve: bool = False) -> Purchase:
    buying = a_customers_cart(world, a_product(world, metadata=RESERVE if reserve else MONTHLY))
    await buying.buy()
    return buying


async def asked(world: World, buying: Purchase, action: str, amount: object = None) -> None:
    """By staff, in the Dashboard: the app hears of it when Saleor's worker delivers."""
    world.saleor.request_action(buying.transaction, action, amount, by=world.saleor.users[-1])  # type: ignore[arg-type]
    await world.drain()


def sums(buying: Purchase) -> tuple[str, str, str, str]:
    it = buying.transaction.sums
    return f"{it.authorized:.0f}", f"{it.charged:.0f}", f"{it.refunded:.0f}", f"{it.canceled:.0f}"


def pending(buying: Purchase) -> list[object]:
    it = buying.transaction.sums
    return [it.authorize_pending, it.charge_pending, it.refund_pending, it.cancel_pending]


def moved_at_vipps(world: World) -> list[tuple[str, int]]:
    return [
        (str(it.effect), it.amount or 0) for it in world.vipps.ledger if it.effect in {"capture", "refund", "cancel"}
    ]


@each_once
@pytest.mark.usefixtures("version")
async def test_a_refund_in_two_parts(world: World) -> None:
    buying = await bought(world)
    await asked(world, buying, "REFUND", 50)
    assert sums(buying) == ("0", "149", "50", "0")
    assert buying.transaction.actions == ["REFUND"]
    await asked(world, buying, "REFUND")
    await recover(world, 1)
    assert sums(buying) == ("0", "0", "199", "0")
    assert pending(buying) == [0, 0, 0, 0]
    assert moved_at_vipps(world) == [("refund", 5_000), ("refund", 14_900)]
    assert buying.transaction.actions == []
    references = [it.psp_reference for it in buying.transaction.events if it.type == "REFUND_SUCCESS"]
    assert len(set(references)) == 2


@each_once
@pytest.mark.usefixtures("version")
async def test_what_is_reserved_is_captured_when_it_is_shipped(world: World) -> None:
    buying = await bought(world, reserve=True)
    await asked(world, buying, "CHARGE")
    await recover(world, 1)
    assert sums(buying) == ("0", "199", "0", "0")
    assert pending(buying) == [0, 0, 0, 0]
    assert moved_at_vipps(world) == [("capture", 19_900)]
    assert buying.order is not None
    assert buying.order.charge_status == "FULL"
    await asked(world, buying, "REFUND", 99)
    assert sums(buying) == ("0", "100", "99", "0")


@each_once
@pytest.mark.usefixtures("version")
async def test_what_is_not_shipped_is_released(world: World) -> None:
    buying = await bought(world, reserve=True)
    await asked(world, buying, "CANCEL")
    await recover(world, 1)
    assert sums(buying) == ("0", "0", "0", "199")
    assert pending(buying) == [0, 0, 0, 0]
    assert moved_at_vipps(world) == [("cancel", 19_900)]
    assert buying.transaction.actions == []


async def test_a_part_is_captured_and_the_rest_released(v3: World) -> None:
    buying = await bought(v3, reserve=True)
    await asked(v3, buying, "CHARGE", 100)
    assert sums(buying) == ("99", "100", "0", "0")
    await asked(v3, buying, "CANCEL")
    await recover(v3, 1)
    assert sums(buying) == ("0", "100", "0", "99")
    assert pending(buying) == [0, 0, 0, 0]
    assert moved_at_vipps(v3) == [("capture", 10_000), ("cancel", 9_900)]


async def test_v2_captures_all_or_nothing_and_says_so(one_world: World) -> None:
    buying = await bought(one_world, reserve=True)
    await asked(one_world, buying, "CHARGE", 100)
    assert sums(buying) == ("199", "0", "0", "0")
    assert pending(buying) == [0, 0, 0, 0]
    [failed] = [it for it in buying.transaction.events if it.type == "CHARGE_FAILURE"]
    assert "v2 captures all" in failed.message
    await asked(one_world, buying, "CHARGE")
    assert sums(buying) == ("0", "199", "0", "0")


@each_version
@pytest.mark.usefixtures("version")
async def test_a_part_of_a_reservation_is_not_released_alone(world: World) -> None:
    buying = await bought(world, reserve=True)
    await asked(world, buying, "CANCEL", 50)
    assert sums(buying) == ("199", "0", "0", "0")
    assert pending(buying) == [0, 0, 0, 0]
    assert moved_at_vipps(world) == []


@pytest.mark.parametrize("action", ["CHARGE", "CANCEL"])
async def test_what_the_charge_does_not_allow_is_a_failure_with_its_reason(one_world: World, action: str) -> None:
    buying = await bought(one_world)
    await asked(one_world, buying, action, 10)
    [failed] = [it for it in buying.transaction.events if it.type == f"{action}_FAILURE"]
    assert failed.message
    assert sums(buying) == ("0", "199", "0", "0")
    assert pending(buying) == [0, 0, 0, 0]


async def test_what_vipps_refuses_is_a_failure_with_its_reason(one_world: World) -> None:
    buying = await bought(one_world)
    await asked(one_world, buying, "REFUND", "1.23")  # Vipps' magic amount: the user cannot receive it any more
    await recover(one_world, 1)
    failed = [it for it in buying.transaction.events if it.type == "REFUND_FAILURE"]
    assert len(failed) == 1
    assert failed[0].message
    assert sums(buying) == ("0", "199", "0", "0")
    assert pending(buying) == [0, 0, 0, 0]


@each_once
@pytest.mark.usefixtures("version")
async def test_a_request_that_is_delivered_again_moves_money_once(world: World) -> None:
    """The app's answer was lost as a 502, so Saleor asks again with the same bytes."""
    buying = await bought(world)
    world.saleor.mischief = Mischief(lose_answers=True, bad_gateway=True)
    world.saleor.request_action(buying.transaction, "REFUND", 50)
    await world.saleor.deliver()
    world.saleor.mischief = Mischief()
    await recover(world, 2)
    assert moved_at_vipps(world) == [("refund", 5_000)]
    assert sums(buying) == ("0", "149", "50", "0")
    assert pending(buying) == [0, 0, 0, 0]


@each_version
@pytest.mark.usefixtures("version")
@pytest.mark.parametrize(
    "trouble",
    [
        Fault("reset-after", operation="refundCharge"),
        Fault("reset-before", operation="refundCharge"),
        Fault("status", operation="refundCharge", status=500, when="after"),
        Fault("status", operation="refundCharge", status=503),
    ],
    ids=lambda it: f"{it.kind}-{it.when}",
)
async def test_an_outcome_that_is_open_is_told_later_under_the_same_reference(world: World, trouble: Fault) -> None:
    buying = await bought(world)
    world.vipps.faults.add(replace(trouble, times=3))
    world.saleor.request_action(buying.transaction, "REFUND", 50)
    await world.saleor.deliver()
    [operation] = [it for it in await raw(world, "operation") if it["kind"] == "REFUND"]
    [request] = [it for it in buying.transaction.events if it.type == "REFUND_REQUEST"]
    assert request.psp_reference == operation["id"]
    world.vipps.faults.clear()
    await recover(world, 3)
    assert moved_at_vipps(world) == [("refund", 5_000)]
    assert sums(buying) == ("0", "149", "50", "0")
    assert pending(buying) == [0, 0, 0, 0]


async def test_with_nothing_stored_saleor_asks_again(one_world: World) -> None:
    buying = await bought(one_world)
    one_world.vipps.faults.add(Fault("status", operation="getCharge", status=503, times=None))
    with pytest.raises(Unavailable):
        await _act(one_world, _refund(buying))
    assert not [it for it in await raw(one_world, "operation") if it["kind"] == "REFUND"]
    one_world.vipps.faults.clear()
    answer = await _act(one_world, _refund(buying))
    assert (answer.result, answer.amount) == (EventType.REFUND_SUCCESS, nok(5_000))
    assert await _act(one_world, _refund(buying)) == answer
    assert moved_at_vipps(one_world) == [("refund", 5_000)]
    another = await _act(one_world, replace(_refund(buying), key="another"))
    assert another.psp_reference != answer.psp_reference
    assert moved_at_vipps(one_world) == [("refund", 5_000)] * 2


def _refund(buying: Purchase) -> ActionRequest:
    return ActionRequest(buying.transaction.id, ActionType.REFUND, nok(5_000), "a key of one delivery")


async def _act(world: World, request: ActionRequest, shop: str = SHOP) -> ActionAnswer:
    return await act(world.context.deps, await installed(world.context.deps, shop), request)


async def test_another_shops_transaction_cannot_be_moved(sqlite_url: str) -> None:
    other = "https://other.example/graphql/"
    world = make_world(sqlite_url, (SHOP, other))
    for shop in world.shops.values():
        await world.install(shop)
    await world.set_account()
    await world.set_account(shop=other)
    buying = await bought(world)
    answer = await _act(world, _refund(buying), other)
    assert answer.result is EventType.REFUND_FAILURE
    assert moved_at_vipps(world) == []
    charge = await initial_charge(world, buying)
    assert charge is not None
    assert charge.refunded == 0
    assert ("CHARGE_SUCCESS", "199.00") in events_of(buying)
    await world.context.close()
