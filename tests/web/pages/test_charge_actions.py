"""One charge's actions: their consequence is said before, they are done once, and what is old does nothing."""

import re

import httpx
import pytest

from app.domain.charge import Charge, ChargeStatus
from app.domain.money import Currency, Money
from app.domain.operation import OperationKind
from app.domain.records import AuditEntry
from app.domain.renewal import RenewalStatus
from app.domain.subscription import SubscriptionStatus
from app.usecases.charges import get_charge
from app.usecases.money_moves import ChargeMove
from app.web.pages.catalogue import language
from app.web.pages.typed import a_sum, written
from tests.builders import nok
from tests.usecases.renewing import days_pass, settle
from tests.usecases.steps import (
    MACHINE,
    a_collected_charge,
    a_made_charge,
    a_reserved_charge,
    a_subscriber,
    amounts,
    moved,
    on_v3,
    the_account,
)
from tests.web.helpers import nothing_happens, nothing_is_written_to_vipps
from tests.web.pages.test_lists import OTHER, VIEWER, failed_period
from tests.web.pages.visiting import Staff, fields, words, wrong
from tests.world import SHOP, World, make_world


async def seen(world: World, move: ChargeMove) -> Charge:
    """As Vipps shows it, in our books too."""
    return await get_charge(world.context.deps, MACHINE, move.agreement_id, move.charge_id)


async def opened(staff: Staff, charge: Charge, action: str) -> dict[str, str]:
    answer = await staff.get(f"/charges/{charge.id}/{action}")
    assert answer.status_code == 200, words(answer)
    return fields(answer)


async def send(staff: Staff, charge: Charge, action: str, form: dict[str, str]) -> httpx.Response:
    return await staff.post(f"/charges/{charge.id}/{action}", form)


async def test_a_part_is_refunded_and_then_the_rest(world: World) -> None:
    charge, staff = await seen(world, await a_collected_charge(world)), Staff(world)
    page = await staff.get(f"/charges/{charge.id}/refund")
    assert "NOK 250.00 can be refunded" in words(page)
    assert fields(page)["amount"] == "250.00"
    done = await send(staff, charge, "refund", fields(page) | {"amount": "49.50", "description": "Broken cup"})
    assert "Refunded." in words(done)
    assert "Partly refunded" in words(done)
    assert amounts(world, "refund") == [4_950]
    rest = await opened(staff, charge, "refund")
    assert rest["amount"] == "200.50"
    await send(staff, charge, "refund", rest | {"description": "The rest"})
    assert amounts(world, "refund") == [4_950, 20_050]


async def test_sent_twice_it_is_done_once_and_says_so(world: World) -> None:
    charge, staff = await seen(world, await a_collected_charge(world)), Staff(world)
    form = await opened(staff, charge, "refund") | {"amount": "10.00", "description": "Broken"}
    await send(staff, charge, "refund", form)
    again = await send(staff, charge, "refund", form)
    assert "Nothing happened a second time" in words(again)
    assert amounts(world, "refund") == [1_000]


async def test_an_answer_that_is_lost_may_be_asked_for_again(world: World) -> None:
    charge, staff = await seen(world, await a_collected_charge(world)), Staff(world)
    form = await opened(staff, charge, "refund") | {"amount": "10.00", "description": "Broken"}
    world.vipps.faults.add("reset-after", operation="refundCharge")
    lost = await send(staff, charge, "refund", form)
    assert lost.status_code == 503
    assert "never does it twice" in words(lost)
    assert fields(lost) == form
    world.time.now = world.time.now.replace(hour=20)
    await send(staff, charge, "refund", fields(lost))
    assert amounts(world, "refund") == [1_000]


@pytest.mark.parametrize("elsewhere", [True, False])
async def test_a_page_that_is_old_does_nothing(world: World, *, elsewhere: bool) -> None:
    """Whether a colleague refunded it here, or somebody did in the portal of Vipps, of which we have not heard."""
    charge, staff = await seen(world, await a_collected_charge(world)), Staff(world)
    form = await opened(staff, charge, "refund") | {"amount": "10.00", "description": "Broken"}
    if elsewhere:
        vipps = world.context.deps.provider(await the_account(world))
        await vipps.refund_charge(charge.agreement_id, charge.order_id, nok(2_000), "Portal", key="portal")
    else:
        move = ChargeMove(OperationKind.REFUND, charge.agreement_id, charge.charge_id or "", 2_000, "Broken")
        assert (await moved(world, move))[0].error is None
    async with nothing_is_written_to_vipps(world):
        late = await send(staff, charge, "refund", form)
    assert late.status_code == 409
    assert "Nothing was done" in words(late)
    assert "NOK 20.00" in words(late)


@pytest.mark.parametrize(
    ("name", "typed"),
    [
        ("amount", "250.01"),
        ("amount", "0"),
        ("amount", "-1"),
        ("amount", "1.005"),
        ("amount", "1e2"),
        ("amount", "12,5"),
        ("amount", ""),
        ("amount", "٢"),
        ("amount", "9" * 30),
        ("description", ""),
        ("description", "x" * 46),
    ],
)
async def test_what_is_wrong_stands_beside_its_field(one_world: World, name: str, typed: str) -> None:
    charge, staff = await seen(one_world, await a_collected_charge(one_world)), Staff(one_world)
    form = await opened(staff, charge, "refund") | {"amount": "10.00", "description": "Broken", name: typed}
    async with nothing_is_written_to_vipps(one_world):
        answer = await send(staff, charge, "refund", form)
    assert answer.status_code == 422
    assert wrong(answer) == {name}
    assert fields(answer) == form


async def test_a_refusal_of_vipps_is_shown_and_another_try_is_another_request(one_world: World) -> None:
    charge, staff = await seen(one_world, await a_collected_charge(one_world)), Staff(one_world)
    form = await opened(staff, charge, "refund") | {"amount": "10.00", "description": "Broken"}
    one_world.vipps.faults.add("status", status=400, style="problem", operation="refundCharge")
    refused = await send(staff, charge, "refund", form)
    assert "nothing has changed" in words(refused)
    assert fields(refused)["key"] != form["key"]
    await send(staff, charge, "refund", fields(refused))
    assert amounts(one_world, "refund") == [1_000]


async def test_what_is_reserved_is_captured_or_released(world: World) -> None:
    await on_v3(world)
    charge, staff = await seen(world, await a_reserved_charge(world)), Staff(world)
    assert "NOK 250.00 is reserved" in words(await staff.get(f"/charges/{charge.id}/capture"))
    done = await send(staff, charge, "capture", await opened(staff, charge, "capture") | {"amount": "100"})
    assert "Captured." in words(done)
    released = await send(staff, charge, "cancel", await opened(staff, charge, "cancel"))
    assert "Cancelled." in words(released)
    assert (amounts(world, "capture"), (await seen(world, _as_move(charge))).captured) == ([10_000], 10_000)


def _as_move(charge: Charge) -> ChargeMove:
    return ChargeMove(OperationKind.CANCEL, charge.agreement_id, charge.charge_id or charge.order_id)


async def test_a_charge_that_waits_is_cancelled_once(world: World) -> None:
    charge, staff = await a_made_charge(world, (await a_subscriber(world)).agreement), Staff(world)
    form = await opened(staff, charge, "cancel")
    await send(staff, charge, "cancel", form)
    again = await send(staff, charge, "cancel", form)
    assert "second time" in words(again)
    assert (await seen(world, _as_move(charge))).status is ChargeStatus.CANCELLED
    gone = await staff.get(f"/charges/{charge.id}/cancel")
    assert gone.status_code == 409
    assert not re.search(r"/charges/[\w-]+/(cancel|refund|capture)\"", gone.text)


async def test_a_failed_period_is_charged_again_before_its_day(world: World) -> None:
    who, staff = await failed_period(world), Staff(world)
    charge = await who.charge()
    form = await opened(staff, charge, "retry")
    done = await send(staff, charge, "retry", form)
    assert "It is being charged again" in words(done)
    async with nothing_is_written_to_vipps(world):
        late = await send(staff, charge, "retry", form)
    assert "Nothing happened a second time" in words(late)
    await world.drain()
    assert (await staff.get(f"/charges/{charge.id}/retry")).status_code == 409
    second = await who.charge(attempt=2)
    assert second.order_id != charge.order_id
    assert (second.amount, (await who.renewal()).status) == (charge.amount, RenewalStatus.CHARGING)
    assert f'href="/app/charges/{second.id}"' in (await staff.get(f"/charges/{charge.id}")).text
    assert "Charged again" in words(await staff.get("/charges"))
    assert "The period was charged again" not in words(await staff.get(f"/charges/{second.id}"))
    world.vipps.set_failure(who.agreement, None)
    await days_pass(world, 5)
    assert await who.outcomes() == ["PAID"]
    assert "Paid later" in words(await staff.get("/charges"))
    assert [it.amount for it in world.effects("charge")] == [19_900]
    assert "renewal.retried" in {it.action for it in await audited(world, who.agreement)}


async def audited(world: World, name: str) -> list[AuditEntry]:
    async with world.context.store.begin() as unit:
        return list(await unit.audit.of_object(SHOP, name))


async def test_a_period_that_was_given_up_is_charged_again_and_its_subscription_goes_on(world: World) -> None:
    who, staff = await failed_period(world), Staff(world)
    await days_pass(world, 16)
    assert ((await who.row()).status, await who.outcomes()) == (SubscriptionStatus.HELD, ["FAILED/CHARGE_FAILED"])
    world.vipps.set_failure(who.agreement, None)
    last = await who.charge(attempt=2)
    await send(staff, last, "retry", await opened(staff, last, "retry"))
    await settle(world)
    await days_pass(world, 5)
    assert (await who.renewal()).status is RenewalStatus.PAID
    assert (await who.row()).status is SubscriptionStatus.ACTIVE
    assert [it.amount for it in world.effects("charge")] == [19_900]


async def test_whoever_may_only_look_sees_no_actions(one_world: World) -> None:
    charge, staff = await seen(one_world, await a_collected_charge(one_world)), Staff(one_world, VIEWER)
    assert "/refund" not in (await staff.get(f"/charges/{charge.id}")).text
    async with nothing_happens(one_world):
        for action in ("refund", "capture", "cancel", "retry"):
            assert (await staff.get(f"/charges/{charge.id}/{action}")).status_code == 403
            assert (await send(staff, charge, action, {"key": "k", "seen": charge.sums})).status_code == 403


async def test_another_shops_charge_is_not_here(sqlite_url: str) -> None:
    world = make_world(sqlite_url, [SHOP, OTHER])
    await world.install()
    await world.install(world.shops[OTHER])
    await world.set_account()
    charge = await seen(world, await a_collected_charge(world))
    stranger = Staff(world)
    stranger.shop = world.shops[OTHER]
    stranger.user = stranger.shop.create_staff("s@other.example", frozenset({"HANDLE_PAYMENTS"}))
    form = {"key": "k", "seen": charge.sums, "amount": "1.00", "description": "Mine"}
    async with nothing_happens(world):
        for action in ("refund", "capture", "cancel", "retry"):
            assert (await stranger.get(f"/charges/{charge.id}/{action}")).status_code == 404
            assert (await send(stranger, charge, action, form)).status_code == 404
    await world.context.close()


async def test_a_form_without_its_key_is_none_of_ours(one_world: World) -> None:
    charge, staff = await seen(one_world, await a_collected_charge(one_world)), Staff(one_world)
    async with nothing_happens(one_world):
        answer = await send(staff, charge, "refund", {"amount": "1.00", "description": "Broken"})
    assert answer.status_code == 400


@pytest.mark.parametrize(
    ("code", "text", "minor"),
    [
        ("en", "1,234.50", 123_450),
        ("en", "1234.5", 123_450),
        ("en", "1234", 123_400),
        ("en", "12,34.50", None),
        ("en", "1 234.50", None),
        ("en", ".50", None),
        ("nb", "1 234,50", 123_450),
        ("nb", "1\N{NO-BREAK SPACE}234,50", 123_450),
        ("nb", "1234,5", 123_450),
        ("nb", "1234.50", 123_450),
        ("en", "49,50", 4_950),
        ("en", "1,234", 123_400),
        ("nb", "1.234", None),
        ("en", "49,5", None),
        ("en", "1" * 19 + ".00", None),
        ("nb", "0,001", None),
        ("nb", "12 34,50", None),
    ],
)
def test_sums_are_read_as_the_language_writes_them_exactly(code: str, text: str, minor: int | None) -> None:
    read = a_sum(language("dashboard", code), Currency.NOK)
    if minor is None:
        with pytest.raises(Exception, match=r"."):
            read(text)
    else:
        assert read(text) == Money(minor, Currency.NOK)
        assert read(written(language("dashboard", code), Money(minor, Currency.NOK))).minor == minor
