"""What a press on "charge again" leaves alone where it is refused: the hold that the policy decided on, above all."""

from app.domain.charge import Charge
from app.domain.errors import IllegalState, Overtaken
from app.domain.subscription import UNPAID, SubscriptionStatus
from app.usecases.retrying import retry_charges
from tests.usecases.renewing import Subscribed, settle
from tests.usecases.steps import MACHINE
from tests.usecases.test_pay_links import begin, given_up
from tests.world import World


async def last_charge(them: Subscribed) -> Charge:
    return await them.charge(attempt=(await them.renewal()).attempt)


async def refused(world: World, charge: Charge) -> type[Exception] | None:
    """What is answered, when all that follows from it is done."""
    [item] = (await retry_charges(world.context.deps, MACHINE, [charge.id])).items
    await settle(world)
    return type(item.error) if item.error else None


async def hold(them: Subscribed) -> tuple[SubscriptionStatus, str | None]:
    row = await them.row()
    return row.status, row.reason


async def test_a_hold_stays_while_its_customer_is_paying_by_the_link(world: World) -> None:
    """Else one who then walks away is renewed, though the period stayed unpaid."""
    them = await given_up(world)
    await begin(them)
    assert await refused(world, await last_charge(them)) is IllegalState
    assert await hold(them) == (SubscriptionStatus.HELD, UNPAID)


async def test_a_hold_stays_where_the_charge_was_followed_by_another_one(world: World) -> None:
    them = await given_up(world)
    assert await refused(world, await them.charge(attempt=1)) is Overtaken
    assert await hold(them) == (SubscriptionStatus.HELD, UNPAID)


async def test_the_shops_own_hold_is_not_lifted(world: World) -> None:
    them, why = await given_up(world), "the shop looks into it"
    await them.change((await them.row()).resumed())
    await them.change((await them.row()).held(why))
    before = len(world.effects("create"))
    assert await refused(world, await last_charge(them)) is IllegalState
    assert await hold(them) == (SubscriptionStatus.HELD, why)
    assert len(world.effects("create")) == before
