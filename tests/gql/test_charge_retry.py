"""Failed charges whose periods are charged again over GraphQL: once each, by the ids that Vipps knows them by."""

import asyncio
from collections.abc import Sequence
from typing import Any

from app.domain.account import Scope
from app.domain.renewal import RenewalStatus
from tests.usecases.renewing import days_pass, settle
from tests.usecases.steps import a_collected_charge
from tests.usecases.test_dearer_orders import dearer
from tests.usecases.test_retrying import failed, made
from tests.world import World

RETRY = """mutation ($ids: [ID!]!, $upTo: Int) {
  chargeRetry(ids: $ids, upTo: $upTo) { successes errors { index id code field message } results { id success } }
}"""


async def retry(world: World, ids: Sequence[str], up_to: int | None = None) -> Any:
    headers = await world.client(Scope.CHARGES_WRITE)
    answer = await world.graphql(RETRY, {"ids": ids, "upTo": up_to}, headers=headers)
    return (answer["data"] or {}).get("chargeRetry") or answer["errors"][0]["extensions"]


async def test_each_item_is_answered_and_each_period_charged_once(world: World) -> None:
    them = await failed(world, 2, retry_after=(60,))
    paid = await a_collected_charge(world)
    names = [(await one.charge()).order_id for one in them]
    ids = [names[0], "chr-unknown", names[1], paid.charge_id, names[0]]
    first, second = await asyncio.gather(retry(world, ids), retry(world, ids))
    for answer in (first, second):
        assert answer["successes"] == names
        told = [(it["index"], it["id"], it["code"], it["field"]) for it in answer["errors"]]
        assert told == [
            (1, "chr-unknown", "NOT_FOUND", "ids"),
            (3, paid.charge_id, "ILLEGAL_STATE", "ids"),
            (4, names[0], "DUPLICATE", "ids"),
        ]
        assert "has not failed" in answer["errors"][1]["message"]
        assert [(it["id"], it["success"]) for it in answer["results"]] == [
            (name, index in {0, 2}) for index, name in enumerate(ids)
        ]
    await settle(world)
    assert (await retry(world, names))["successes"] == names
    await days_pass(world, 5)
    for one in them:
        assert (await one.renewal()).status is RenewalStatus.PAID
        assert await made(world, one) == 2


async def test_a_period_that_costs_more_by_now_is_charged_up_to_the_sum_that_is_given(world: World) -> None:
    them, charge, cost = await dearer(world)
    [error] = (await retry(world, [charge.order_id]))["errors"]
    assert (error["code"], error["field"]) == ("LIMIT_EXCEEDED", "upTo")
    assert "costs more by now" in error["message"]
    assert (await retry(world, [charge.order_id], 0))["code"] == "INVALID"
    assert (await retry(world, [charge.order_id], cost))["successes"] == [charge.order_id]
    await days_pass(world, 5)
    assert ((await them.renewal()).status, await made(world, them)) == (RenewalStatus.PAID, 2)
    assert [it.amount for it in world.effects("charge")] == [cost]


async def test_more_than_a_batch_are_refused_together(one_world: World) -> None:
    [one] = await failed(one_world)
    name = (await one.charge()).order_id
    headers = await one_world.client(Scope.CHARGES_WRITE)
    answer = await one_world.graphql(RETRY, {"ids": [name] * 5_000}, headers=headers)
    assert answer["errors"][0]["extensions"]["code"] == "BATCH_TOO_LARGE"
    assert await made(one_world, one) == 1
