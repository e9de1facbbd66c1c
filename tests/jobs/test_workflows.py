"""What the kinds of jobs do."""

from app.jobs.workflows import handlers
from app.saleor.payloads import object_of
from app.usecases.ports import Job
from tests.world import SHOP, World


async def test_a_draft_that_cannot_be_read_now_is_looked_at_again_and_is_no_mistake_of_ours(one_world: World) -> None:
    agreement = await one_world.agreement(await one_world.client(), approve=False)
    async with one_world.context.store.begin() as unit:
        row = await unit.agreements.get(SHOP, agreement)
    assert row is not None
    one_world.vipps.faults.add("reset-before", operation="getAgreement")
    one_world.jobs.later.clear()

    await handlers(one_world.context.deps, object_of)[Job.FOLLOW_DRAFT](SHOP, [row.id])

    assert [(kind, ids) for _, kind, _, ids in one_world.jobs.later] == [(Job.FOLLOW_DRAFT, [row.id])]
