"""Subscription orders: charged once, for their own total, or not at all and then with a reason."""

from tests.world import World, bearer


async def test_an_order_that_names_an_agreement_is_charged_for_its_own_total(world: World) -> None:
    customer = world.saleor.create_customer()
    agreement = await world.agreement(bearer(world.saleor.tokens.access(customer)))
    metadata = {"vipps-recurring.agreement": agreement}

    order = world.saleor.create_order(customer, amount=199, metadata=metadata)
    await world.drain()

    [made] = world.effects("create")
    assert made.amount == 19900
    assert order.private_metadata["vipps-recurring.charge"] == made.charge_id
    assert order.private_metadata["vipps-recurring.status"] == "DUE"
    assert len(order.notes) == 1
