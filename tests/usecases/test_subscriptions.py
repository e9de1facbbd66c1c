"""Pausing, resuming, skipping, moving, cancelling and changing a subscription: what is stored, charged and told."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlmodel import SQLModel

from app.domain.account import Caller, CallerKind, Scope, customer, staff
from app.domain.agreement import AgreementStatus
from app.domain.charge import ChargeStatus
from app.domain.errors import (
    BatchTooLarge,
    Duplicate,
    ErrorCode,
    Forbidden,
    IllegalState,
    InvalidInput,
    LimitExceeded,
    Misconfigured,
    NotFound,
    OutcomeUnknown,
    RecurringError,
)
from app.domain.plan import IntervalUnit, Plan
from app.domain.records import AuditEntry
from app.domain.subscription import Subscriber, SubscriptionLine, SubscriptionStatus, VoucherPolicy
from app.usecases.ports import Limits
from app.usecases.subscription_terms import Line, NewPrice, Terms, change_terms
from app.usecases.subscriptions import CancelAt, cancel, move, pause, resume, skip
from app.usecases.watchdog import watch
from app.vipps.simulator.faults import Fault
from tests.usecases.renewing import HOME, Subscribed, account_is, days_pass, planned, settle, subscribe
from tests.usecases.steps import a_reserved_charge, agreement_row
from tests.world import SHOP, World

STAFF = staff(SHOP, "VXNlcjo5", frozenset({"HANDLE_PAYMENTS"}))
READER = staff(SHOP, "VXNlcjo5", frozenset({"MANAGE_ORDERS"}))
STRANGER = customer(SHOP, "VXNlcjo5OTk=")
ELSEWHERE = staff("https://other.example/graphql/", "VXNlcjo5", frozenset({"HANDLE_PAYMENTS"}))
S = SubscriptionStatus


async def owner(them: Subscribed) -> Caller:
    return customer(SHOP, (await them.row()).customer or "")


async def audit(world: World, them: Subscribed) -> list[AuditEntry]:
    async with world.context.store.begin() as unit:
        entries = await unit.audit.of_object(SHOP, them.agreement)
    return [it for it in entries if it.action.startswith("subscription.")]


async def notices(world: World) -> list[tuple[str, dict[str, Any]]]:
    notice = SQLModel.metadata.tables["notice"].c
    async with world.context.store.engine.connect() as connection:
        rows = await connection.execute(select(notice.kind, notice.data).order_by(notice.created_at, notice.kind))
        return [(kind, data) for kind, data in rows]


def today(world: World) -> date:
    return world.time.now.date()


Verb = Callable[[Any, Caller, Subscribed], Awaitable[Any]]


async def _moved(deps: Any, caller: Caller, them: Subscribed) -> Any:
    return await move(deps, caller, them.agreement, (await them.row()).next_due + timedelta(days=1))


VERBS: dict[str, Verb] = {
    "pause": lambda deps, caller, them: pause(deps, caller, [them.agreement]),
    "resume": lambda deps, caller, them: resume(deps, caller, [them.agreement]),
    "skip": lambda deps, caller, them: skip(deps, caller, [them.agreement]),
    "move": _moved,
    "cancel": lambda deps, caller, them: cancel(deps, caller, [them.agreement]),
    "cancel later": lambda deps, caller, them: cancel(deps, caller, [them.agreement], CancelAt.PERIOD_END),
    "terms": lambda deps, caller, them: change_terms(deps, caller, them.agreement, Terms(shipping_method="m")),
}


async def error_of(work: Awaitable[Any]) -> RecurringError | None:
    try:
        result = await work
    except RecurringError as error:
        return error
    items = getattr(result, "items", None)
    return items[0].error if items else None


@pytest.mark.parametrize("verb", VERBS)
async def test_only_the_owner_the_shop_and_machines_with_the_scope_may(one_world: World, verb: str) -> None:
    deps = one_world.context.deps
    them = await subscribe(one_world, status=S.PAUSED if verb == "resume" else S.ACTIVE)
    before = await them.row()
    reading = Caller(CallerKind.CLIENT, SHOP, "vrc_1", frozenset(Scope) - {Scope.AGREEMENTS_WRITE})
    refused = {
        STRANGER: Forbidden if verb == "terms" else NotFound,
        ELSEWHERE: (NotFound, Misconfigured),
        READER: Forbidden,
        reading: Forbidden,
    }
    for caller, error in refused.items():
        assert isinstance(await error_of(VERBS[verb](deps, caller, them)), error), caller
    assert await them.row() == before
    assert (await agreement_row(one_world, them.agreement)).status is AgreementStatus.ACTIVE

    mine = await owner(them)
    if verb == "terms":
        assert isinstance(await error_of(VERBS[verb](deps, mine, them)), Forbidden)
        mine = STAFF
    assert await error_of(VERBS[verb](deps, mine, them)) is None
    assert await them.row() != before


async def test_unknown_and_not_yours_look_the_same(one_world: World) -> None:
    them = await subscribe(one_world)
    for verb in (pause, resume, skip):
        theirs, none = (await verb(one_world.context.deps, STRANGER, [them.agreement, "agr_unknown"])).items
        assert theirs.error is not None
        assert none.error is not None
        assert theirs.error.message.replace(them.agreement, "X") == none.error.message.replace("agr_unknown", "X")


async def test_a_batch_answers_each_item_in_order_and_each_id_once(one_world: World) -> None:
    them = await subscribe(one_world)
    other = await subscribe(one_world)
    names = [them.agreement, "no id!", other.agreement, them.agreement, "agr_none"]
    result = await pause(one_world.context.deps, STAFF, names)
    codes = [it.error.code if it.error else None for it in result.items]
    assert codes == [None, ErrorCode.INVALID, None, ErrorCode.DUPLICATE, ErrorCode.NOT_FOUND]
    assert [it.id for it in result.items] == names
    many = ["agr_1"] * (Limits().max_sync_batch + 1)
    for work in (pause, resume, skip, cancel):
        with pytest.raises(BatchTooLarge):
            await work(one_world.context.deps, STAFF, many)


async def test_a_pause_skips_what_falls_into_it_and_ends_on_its_day(world: World) -> None:
    await account_is(world, notify_url="https://shop.example/notices", notify_secret="whsec_c2VjcmV0")
    them = await subscribe(world, plan=Plan(IntervalUnit.WEEK, 1))
    due = (await them.row()).next_due
    until = due + timedelta(days=3)
    assert await error_of(pause(world.context.deps, await owner(them), [them.agreement], until)) is None
    assert await error_of(pause(world.context.deps, await owner(them), [them.agreement], until)) is None  # the same
    assert [kind for kind, _ in await notices(world)] == ["subscription.paused"]

    await days_pass(world, 12)

    assert await them.outcomes() == ["SKIPPED/PAUSED", "PAID"]
    assert (await them.row()).status is S.ACTIVE
    [entry] = [it for it in await audit(world, them) if it.action == "subscription.paused"]
    assert (entry.actor, entry.before) == ((await owner(them)).actor, "status=ACTIVE paused_until=None")
    assert entry.after == f"status=PAUSED paused_until={until}"


async def test_a_planned_period_is_not_charged_after_a_pause(world: World) -> None:
    them = await subscribe(world)
    world.advance(timedelta(days=2))
    await planned(world)
    assert await them.outcomes() == ["PLANNED"]
    await pause(world.context.deps, STAFF, [them.agreement])
    await settle(world)
    assert await them.outcomes() == ["SKIPPED/PAUSED"]
    assert them.orders() == []
    assert world.effects("charge") == []


async def test_whoever_resumes_is_renewed_again_and_what_was_missed_says_why(world: World) -> None:
    them = await subscribe(world)
    await pause(world.context.deps, await owner(them), [them.agreement])
    # The planner does not run for a month and a half.
    world.advance(timedelta(days=45))
    assert await error_of(resume(world.context.deps, await owner(them), [them.agreement])) is None
    row = await them.row()
    assert (row.status, row.next_period) == (S.ACTIVE, 3)
    assert await them.outcomes() == ["SKIPPED/PAUSED", "SKIPPED/PAUSED"]
    assert row.next_due > today(world)
    with pytest.raises(IllegalState):
        (await resume(world.context.deps, await owner(them), [them.agreement])).items[0].answer  # noqa: B018


async def test_no_customer_lets_go_what_the_shop_holds(one_world: World) -> None:
    deps = one_world.context.deps
    them = await subscribe(one_world, status=S.HELD, reason="UNPAID")
    mine = await owner(them)
    for work in (resume, pause):
        assert isinstance(await error_of(work(deps, mine, [them.agreement])), IllegalState)
    # Nor by way of a cancellation that is taken back.
    assert await error_of(cancel(deps, mine, [them.agreement], CancelAt.PERIOD_END)) is None
    assert isinstance(await error_of(resume(deps, mine, [them.agreement])), IllegalState)
    assert await error_of(resume(deps, STAFF, [them.agreement])) is None
    assert (await them.row()).status is S.ACTIVE


async def test_skipping_leaves_out_the_next_period_and_no_second_one(world: World) -> None:
    them = await subscribe(world)
    before = await them.row()
    assert await error_of(skip(world.context.deps, await owner(them), [them.agreement])) is None
    assert isinstance(await error_of(skip(world.context.deps, await owner(them), [them.agreement])), Duplicate)
    row = await them.row()
    assert (row.next_period, row.next_due) == (2, before.schedule.due(2))
    assert await them.outcomes() == ["SKIPPED/SKIPPED"]
    assert (await them.renewal()).reason_text == "skipped by the customer"

    await days_pass(world, 7)
    assert them.orders() == []
    assert await error_of(skip(world.context.deps, STAFF, [them.agreement])) is None
    assert await them.outcomes() == ["SKIPPED/SKIPPED", "SKIPPED/SKIPPED"]


async def test_a_period_that_is_planned_is_skipped_with_its_draft(world: World) -> None:
    them = await subscribe(world)
    world.advance(timedelta(days=2))
    await planned(world)
    assert await error_of(skip(world.context.deps, STAFF, [them.agreement])) is None
    await settle(world)
    assert await them.outcomes() == ["SKIPPED/SKIPPED"]
    assert (await them.row()).next_period == 2
    assert isinstance(await error_of(skip(world.context.deps, STAFF, [them.agreement])), Duplicate)
    assert world.effects("charge") == []


async def test_a_charge_that_is_not_collected_is_cancelled_with_the_period(world: World) -> None:
    them = await subscribe(world)
    await days_pass(world, 2)
    assert await them.outcomes() == ["CHARGING"]
    charge = await them.charge()
    assert charge.charge_id is not None

    assert await error_of(skip(world.context.deps, await owner(them), [them.agreement])) is None

    assert (await them.charge()).status is ChargeStatus.CANCELLED
    assert await them.outcomes() == ["SKIPPED/SKIPPED"]
    await days_pass(world, 5)
    assert [it.status for it in them.orders()] == ["DRAFT"]
    assert await them.outcomes() == ["SKIPPED/SKIPPED"]


async def test_a_skip_that_cannot_be_finished_now_is_finished_later(world: World) -> None:
    them = await subscribe(world)
    await days_pass(world, 2)
    world.vipps.faults.add(Fault("status", method="DELETE", status=503, times=3))
    assert isinstance(await error_of(skip(world.context.deps, STAFF, [them.agreement])), OutcomeUnknown)
    await settle(world, rounds=6)
    assert (await them.charge()).status is ChargeStatus.CANCELLED
    await days_pass(world, 2)
    assert await them.outcomes() == ["SKIPPED/SKIPPED"]
    assert [it.status for it in them.orders()] == ["DRAFT"]


async def test_what_is_collected_is_not_skipped(world: World) -> None:
    them = await subscribe(world)
    await days_pass(world, 2)
    charge = await them.charge()
    async with world.context.store.begin() as unit:
        await unit.charges.save_all([replace(charge, status=ChargeStatus.PROCESSING)])
    error = await error_of(skip(world.context.deps, STAFF, [them.agreement]))
    assert isinstance(error, IllegalState)
    assert "refunded" in error.message
    assert await them.outcomes() == ["CHARGING"]


async def test_the_next_date_is_moved_and_charged_on_that_day(world: World) -> None:
    them = await subscribe(world)
    due = (await them.row()).next_due
    mine = await owner(them)
    for day in (today(world), today(world) + timedelta(days=1), due + timedelta(days=32)):
        with pytest.raises(InvalidInput):
            await move(world.context.deps, mine, them.agreement, day)
    await move(world.context.deps, mine, them.agreement, due + timedelta(days=3))
    await days_pass(world, 5)
    assert (await them.charge()).due == due + timedelta(days=3)
    # Now it is being renewed, and it is too late to move it.
    with pytest.raises(IllegalState):
        await move(world.context.deps, mine, them.agreement, due + timedelta(days=10))


async def test_cancelling_now_captures_what_is_reserved_and_stops_the_agreement_last(world: World) -> None:
    reserved = await a_reserved_charge(world)
    agreement = await agreement_row(world, reserved.agreement_id)
    row = replace(
        await (await subscribe(world)).row(), id=agreement.id, agreement_id=reserved.agreement_id, customer="owner"
    )
    async with world.context.store.begin() as unit:
        await unit.agreements.save(replace(agreement, customer="owner"))
        await unit.subscriptions.add(row, Subscriber(None, HOME, HOME))
    them = Subscribed(world, agreement.id, reserved.agreement_id, world.saleor.create_product(price=1))

    result = await cancel(world.context.deps, await owner(them), [them.agreement])

    assert result.items[0].answer.status is AgreementStatus.STOPPED
    assert [it.status for it in world.vipps.charges(them.agreement)] == ["CHARGED"]
    assert [it.effect for it in world.vipps.ledger][-2:] == ["capture", "stop"]
    row = await them.row()
    assert (row.status, row.reason) == (S.ENDED, "cancelled by the customer")
    await days_pass(world, 5)
    assert them.orders() == []
    assert isinstance(await error_of(cancel(world.context.deps, STAFF, [them.agreement])), IllegalState)


async def test_cancelling_while_vipps_is_away_ends_it_and_says_what_is_open(world: World) -> None:
    them = await subscribe(world)
    world.vipps.faults.add(Fault("status", method="PATCH", status=503, times=2))
    assert isinstance(await error_of(cancel(world.context.deps, STAFF, [them.agreement])), OutcomeUnknown)
    assert (await them.row()).status is S.ENDED
    await settle(world)
    assert (await agreement_row(world, them.agreement)).status is AgreementStatus.STOPPED


async def test_cancelling_at_the_end_of_the_period_lets_it_end_on_its_day(world: World) -> None:
    them = await subscribe(world)
    due = (await them.row()).next_due
    mine = await owner(them)
    result = await cancel(world.context.deps, mine, [them.agreement], CancelAt.PERIOD_END)
    assert result.items[0].answer.status is AgreementStatus.ACTIVE
    assert ((await them.row()).status, (await them.row()).ends_on) == (S.ENDING, due)
    # Asked again it is the same; taken back, it goes on; and then it ends after all.
    assert await error_of(cancel(world.context.deps, mine, [them.agreement], CancelAt.PERIOD_END)) is None
    assert await error_of(resume(world.context.deps, mine, [them.agreement])) is None
    assert (await them.row()).ends_on is None
    await cancel(world.context.deps, mine, [them.agreement], CancelAt.PERIOD_END)
    await days_pass(world, 3)
    assert (await agreement_row(world, them.agreement)).status is AgreementStatus.ACTIVE
    await days_pass(world, 2)
    assert (await them.row()).status is S.ENDED
    assert (await agreement_row(world, them.agreement)).status is AgreementStatus.STOPPED
    assert them.orders() == []
    assert isinstance(await error_of(resume(world.context.deps, mine, [them.agreement])), IllegalState)


async def test_whoever_cancels_before_the_charge_is_made_is_not_charged(world: World) -> None:
    them = await subscribe(world)
    due = (await them.row()).next_due
    world.advance(timedelta(days=2))
    await planned(world)
    await cancel(world.context.deps, STAFF, [them.agreement], CancelAt.PERIOD_END)
    assert (await them.row()).ends_on == due
    await days_pass(world, 3)
    assert await them.outcomes() == ["SKIPPED/ENDED"]
    assert world.effects("charge") == []


async def test_whoever_cancels_after_the_charge_is_made_has_the_period_that_it_pays(world: World) -> None:
    them = await subscribe(world)
    await days_pass(world, 2)
    assert await them.outcomes() == ["CHARGING"]
    await cancel(world.context.deps, STAFF, [them.agreement], CancelAt.PERIOD_END)
    row = await them.row()
    assert row.ends_on == row.schedule.due(2)
    await days_pass(world, 4)
    assert await them.outcomes() == ["PAID"]
    assert (await them.row()).status is S.ENDING


async def test_lines_are_changed_by_the_shop_and_keep_what_they_know(one_world: World) -> None:
    them = await subscribe(one_world)
    first = (await them.row()).lines[0]
    terms = Terms(lines=[Line(first.variant, 3), Line("UHJvZHVjdFZhcmlhbnQ6Nzc=", 1)])
    await change_terms(one_world.context.deps, STAFF, them.agreement, terms)
    assert (await them.row()).lines == (
        replace(first, quantity=3, since=one_world.time.now.isoformat()),
        SubscriptionLine("UHJvZHVjdFZhcmlhbnQ6Nzc=", 1, since=one_world.time.now.isoformat()),
    )
    wrong = [Terms(lines=[]), Terms(lines=[Line("a b", 1)]), Terms(lines=[Line(first.variant, 0)])]
    for them_terms in wrong:
        with pytest.raises(InvalidInput):
            await change_terms(one_world.context.deps, STAFF, them.agreement, them_terms)
    [entry] = await audit(one_world, them)
    assert entry.after == f"lines=3*{first.variant},1*UHJvZHVjdFZhcmlhbnQ6Nzc="


async def test_a_new_price_is_told_of_first_and_holds_from_its_day(world: World) -> None:
    await account_is(world, notify_url="https://shop.example/notices", notify_secret="whsec_c2VjcmV0")
    deps = world.context.deps
    them = await subscribe(world)
    variant = (await them.row()).lines[0].variant
    earliest = today(world) + timedelta(days=14)
    with pytest.raises(InvalidInput, match=str(earliest)):
        await change_terms(deps, STAFF, them.agreement, Terms(price=NewPrice(earliest - timedelta(days=1), 29_900)))
    wanted = Terms(price=NewPrice(earliest, 29_900, {variant: 29_900}))
    for _ in range(2):  # asked twice, told once
        await change_terms(deps, STAFF, them.agreement, wanted)
    [(kind, data)] = await notices(world)
    assert kind == "subscription.price_change"
    assert (data["price"], data["old_price"], data["on"]) == (29_900, 19_900, str(earliest))

    await days_pass(world, 5)
    assert (await them.charge(1)).amount.minor == 19_900
    await days_pass(world, 32)
    assert (await them.charge(2)).amount.minor == 29_900
    assert (await agreement_row(world, them.agreement)).price.minor == 29_900
    assert (await them.row()).price_change is None


async def test_a_price_above_the_limit_needs_a_new_agreement(one_world: World) -> None:
    deps = one_world.context.deps
    them = await subscribe(one_world)
    day = today(one_world) + timedelta(days=30)
    await change_terms(deps, STAFF, them.agreement, Terms(price=NewPrice(day, 5 * 19_900)))
    with pytest.raises(LimitExceeded, match="needs a new agreement"):
        await change_terms(deps, STAFF, them.agreement, Terms(price=NewPrice(day, 5 * 19_900 + 1)))
    for price in (NewPrice(day, 0), NewPrice(day, 20_000, {"unknown": 1})):
        with pytest.raises(InvalidInput):
            await change_terms(deps, STAFF, them.agreement, Terms(price=price))
    change = (await them.row()).price_change
    assert change is not None
    assert change.price.minor == 5 * 19_900


async def test_addresses_are_replaced_and_never_repeated(one_world: World) -> None:
    deps = one_world.context.deps
    them = await subscribe(one_world)
    new = HOME | {"streetAddress1": "Hemmelige gate 7"}
    terms = Terms(shipping=new, shipping_method="U2hpcHBpbmc6MQ==", voucher_policy=VoucherPolicy.EVERY)
    await change_terms(deps, STAFF, them.agreement, terms)
    async with one_world.context.store.begin() as unit:
        person = await unit.subscriptions.subscriber(SHOP, them.id)
    assert person is not None
    assert (person.billing, person.shipping) == (HOME, new)
    row = await them.row()
    assert (row.shipping_method, row.voucher_policy) == ("U2hpcHBpbmc6MQ==", VoucherPolicy.EVERY)
    assert (await audit(one_world, them))[-1].reason == "new shipping address"
    assert "Hemmelig" not in str(await audit(one_world, them))
    assert "Hemmelig" not in repr(terms)

    secret = "Hemmelige"
    wrong = [
        new | {"country": secret},
        new | {"nickname": secret},
        {"city": secret},
        new | {"city": secret * 100},
        new | {"city": f"{secret}\x00"},
    ]
    for address in wrong:
        with pytest.raises(InvalidInput) as refused:
            await change_terms(deps, STAFF, them.agreement, Terms(billing=address))
        assert secret not in refused.value.message


async def test_two_changes_at_once_are_both_decided_on_what_stands(world: World) -> None:
    them = await subscribe(world)
    deps = world.context.deps
    results = await _together(
        skip(deps, STAFF, [them.agreement]),
        skip(deps, await owner(them), [them.agreement]),
        change_terms(deps, STAFF, them.agreement, Terms(shipping_method="m")),
    )
    row = await them.row()
    assert (row.next_period, row.shipping_method) == (2, "m")
    assert await them.outcomes() == ["SKIPPED/SKIPPED"]
    errors = [error for error in results if error is not None]
    assert len(errors) == 1
    assert isinstance(errors[0], Duplicate)


async def _together(*works: Awaitable[Any]) -> list[RecurringError | None]:
    return list(await asyncio.gather(*(error_of(it) for it in works)))


@pytest.mark.parametrize("before", ["without an end", "until later"])
async def test_a_period_after_a_pause_that_was_shortened_is_renewed_when_it_ends_by_itself(
    world: World, before: str
) -> None:
    them = await subscribe(world)
    world.advance(timedelta(days=2))
    await planned(world)
    mine, deps, due = await owner(them), world.context.deps, (await them.renewal()).due
    until = None if before == "without an end" else due + timedelta(days=1)
    await pause(deps, mine, [them.agreement], until)
    await world.run_jobs()
    assert await them.outcomes() == ["SKIPPED/PAUSED"]
    await pause(deps, mine, [them.agreement], due - timedelta(days=1))
    await days_pass(world, 3)
    await watch(deps)

    assert (await them.row()).status is SubscriptionStatus.ACTIVE
    assert await them.outcomes() == ["PAID"]
    assert len(world.effects("charge")) == 1
