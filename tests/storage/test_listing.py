"""What somebody looks for leads to agreements and charges by whichever id there is, and to nobody else's."""

from app.domain.charge import ChargeOrigin
from app.domain.records import AgreementFilter, ChargeFilter, Page, Sought
from app.domain.subscription import Subscriber
from app.storage.database import SqlStore
from tests.builders import OTHER_SHOP, SHOP, a_charge, a_renewal, a_subscription, an_agreement

FIRST, SECOND = "T3JkZXI6Zmlyc3Q=", "T3JkZXI6c2Vjb25k"


async def test_orders_and_customers_lead_to_what_is_theirs(store: SqlStore) -> None:
    mine = an_agreement(customer="me", initial_order=FIRST)
    theirs = an_agreement(customer="them")
    foreign = an_agreement(shop=OTHER_SHOP, customer="me", initial_order=FIRST)
    name = mine.agreement_id or ""
    initial = a_charge(agreement_id=name, origin=ChargeOrigin.INITIAL)
    renewed = a_charge(agreement_id=name, saleor_order=SECOND)
    others = a_charge(agreement_id=theirs.agreement_id)
    elsewhere = a_charge(shop=OTHER_SHOP, agreement_id=foreign.agreement_id, saleor_order=SECOND)
    subscription = a_subscription(id=mine.id, agreement_id=name)
    period = a_renewal(subscription, order=SECOND, order_number="7")
    async with store.begin() as unit:
        for agreement in (mine, theirs, foreign):
            await unit.agreements.add(agreement)
        await unit.charges.add_all([initial, renewed, others, elsewhere])
        await unit.subscriptions.add(subscription, Subscriber(None, None, None))
        await unit.renewals.add_all([period])
    all_mine = {initial.id, renewed.id}
    cases = [
        (Sought(), set(), set()),
        (Sought("7"), {mine.id}, {renewed.id}),
        (Sought(FIRST), {mine.id}, {initial.id}),
        (Sought("me"), {mine.id}, all_mine),
        (Sought(orders=(FIRST,)), {mine.id}, {initial.id}),
        (Sought(orders=(SECOND, "other")), {mine.id}, {renewed.id}),
        (Sought(buyers_of=(FIRST,)), {mine.id}, all_mine),
        (Sought(buyers_of=(SECOND,)), {mine.id}, all_mine),
        (Sought(customers=("me", "nobody")), {mine.id}, all_mine),
        (Sought(buyers_of=(SECOND,), customers=("them",)), {mine.id, theirs.id}, {*all_mine, others.id}),
        (Sought("nothing"), set(), set()),
    ]
    async with store.begin() as unit:
        for sought, agreements, charges in cases:
            found = await unit.agreements.page(SHOP, AgreementFilter(sought=sought), Page(10))
            assert {it.id for it in found} == agreements, sought
            assert {it.id for it in await unit.charges.page(SHOP, ChargeFilter(sought=sought), Page(10))} == charges
