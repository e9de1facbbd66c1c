"""What stays of subscribers when a shop leaves, when another takes over its name, and when the key changes."""

from sqlalchemy import text

from app.domain.subscription import Subscriber
from app.storage.database import SqlStore
from app.storage.secrets import SecretBox
from tests.builders import CUSTOMER, NOW, OTHER_SHOP, SHOP, a_subscription, an_account, an_agreement, an_installation
from tests.conftest import SECRET_KEY

NEW_KEY = "the next key for tests, which is longer than thirty-two characters"
PERSON = Subscriber("someone@shop.example", {"city": "OSLO"}, {"city": "BERGEN"}, "NB")
NOTIFY = {"notify_url": "https://shop.example/notices", "notify_secret": "a-notify-secret"}


async def test_a_shop_that_leaves_takes_its_subscribers_and_its_notify_secret(store: SqlStore) -> None:
    mine, theirs = a_subscription(), a_subscription(shop=OTHER_SHOP, agreement_id="agr_2")
    accounts = [an_account(**NOTIFY), an_account(shop=OTHER_SHOP, **NOTIFY)]
    async with store.begin() as unit:
        await unit.installations.put(an_installation())
        for account in accounts:
            await unit.accounts.put(account)
        for it in (mine, theirs):
            assert await unit.subscriptions.add(it, PERSON)
        assert not await unit.installations.forget(SHOP, "another installation", NOW)
        assert await unit.subscriptions.subscriber(SHOP, mine.id) == PERSON
        assert await unit.installations.forget(SHOP, an_installation().app_id, NOW)
    async with store.begin() as unit:
        assert await unit.subscriptions.subscriber(SHOP, mine.id) is None
        # What was agreed stays as a record.
        assert await unit.subscriptions.get(SHOP, mine.id) == mine
        assert [it.notify_secret for it in await unit.accounts.of_shop(SHOP)] == [None]
        assert await unit.subscriptions.subscriber(OTHER_SHOP, theirs.id) == PERSON
        assert await unit.accounts.of_shop(OTHER_SHOP) == [accounts[1]]


async def test_a_shop_that_takes_over_a_name_renews_for_none_of_its_users(store: SqlStore) -> None:
    """Its users have the old ones' ids: a renewal order must not become a stranger's."""
    mine, theirs = a_subscription(), a_subscription(shop=OTHER_SHOP, agreement_id="agr_2")
    async with store.begin() as unit:
        assert await unit.agreements.add(an_agreement(agreement_id="agr_1"))
        for it in (mine, theirs):
            assert await unit.subscriptions.add(it, PERSON)
        assert await unit.agreements.disown(SHOP) == 1
        disowned = await unit.subscriptions.get(SHOP, mine.id)
        assert disowned is not None
        assert disowned.customer is None
        # Whoever read it before cannot write the old owner back.
        assert not await unit.subscriptions.save(mine)
        kept = await unit.subscriptions.get(OTHER_SHOP, theirs.id)
        assert kept is not None
        assert kept.customer == CUSTOMER


async def test_subscribers_and_notify_secrets_are_sealed_anew_with_the_newest_key(
    store: SqlStore, database_url: str
) -> None:
    subscription, account = a_subscription(), an_account(**NOTIFY)
    async with store.begin() as unit:
        await unit.accounts.put(account)
        assert await unit.subscriptions.add(subscription, PERSON)
    async with store.engine.connect() as connection:
        accounts = (await connection.execute(text("SELECT * FROM account"))).all()
        subscriptions = (await connection.execute(text("SELECT * FROM subscription"))).all()
    shown = repr((accounts, subscriptions))
    assert "/notices" in shown
    assert [it for it in ("a-notify-secret", "someone@", "OSLO", "BERGEN") if it in shown] == []
    await store.close()
    rotating = SqlStore(database_url, SecretBox([NEW_KEY, SECRET_KEY]))
    try:
        # The account's two at Vipps, its third for notices, and the subscriber.
        assert await rotating.reseal_secrets() == 4
    finally:
        await rotating.close()
    afterwards = SqlStore(database_url, SecretBox([NEW_KEY]))
    try:
        async with afterwards.begin() as unit:
            assert await unit.subscriptions.subscriber(SHOP, subscription.id) == PERSON
            assert await unit.accounts.get(SHOP, account.id) == account
    finally:
        await afterwards.close()
