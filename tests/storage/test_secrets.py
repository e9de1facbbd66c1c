"""Secrets at rest: unreadable without the key, readable with any known one, written with the newest."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from app.domain.errors import Misconfigured
from app.storage.database import SqlStore
from app.storage.secrets import SecretBox
from tests.builders import SHOP, an_account, an_installation
from tests.conftest import SECRET_KEY

NEW_KEY = "the next key for tests, which is longer than thirty-two characters"
OTHER_KEY = "a key that never was in use, longer than thirty-two characters"
BOX = SecretBox([SECRET_KEY])


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_what_is_sealed_is_opened(secret: str) -> None:
    sealed = BOX.seal(secret)
    assert BOX.open(sealed) == secret
    assert BOX.open(BOX.reseal(sealed)) == secret


def test_a_seal_shows_nothing_and_is_never_the_same() -> None:
    first, second = BOX.seal("s3cret"), BOX.seal("s3cret")
    assert "s3cret" not in first
    assert first != second


def test_the_newest_key_writes_and_every_known_one_reads() -> None:
    old = BOX.seal("s3cret")
    rotating = SecretBox([NEW_KEY, SECRET_KEY])
    assert rotating.open(old) == "s3cret"
    resealed = rotating.reseal(old)
    assert SecretBox([NEW_KEY]).open(resealed) == "s3cret"
    with pytest.raises(Misconfigured):
        BOX.open(resealed)
    with pytest.raises(Misconfigured):
        BOX.open(rotating.seal("s3cret"))


@pytest.mark.parametrize("sealed", ["", "s3cret", "gAAAAA", "æøå", "\x00"])
def test_what_was_never_sealed_is_the_merchants_to_mend(sealed: str) -> None:
    with pytest.raises(Misconfigured, match="SECRET_KEY"):
        BOX.open(sealed)
    with pytest.raises(Misconfigured, match="SECRET_KEY"):
        BOX.reseal(sealed)


def test_a_wrong_key_is_the_merchants_to_mend_and_shows_nothing() -> None:
    with pytest.raises(Misconfigured) as refused:
        SecretBox([OTHER_KEY]).open(BOX.seal("s3cret"))
    assert "s3cret" not in str(refused.value)
    assert OTHER_KEY not in str(refused.value)


SECRETS = ("saleor-app-token", "simulated-client-secret", "simulated-subscription-key")


async def filled(store: SqlStore) -> None:
    async with store.begin() as unit:
        await unit.installations.put(an_installation())
        await unit.accounts.put(an_account())
        await unit.accounts.put(an_account(channel="b2b", client_secret=None, subscription_key=None))


async def raw(store: SqlStore) -> str:
    """Everything the two tables hold, as anybody who can read the database would see it."""
    async with store.engine.connect() as connection:
        installations = (await connection.execute(text("SELECT * FROM installation"))).all()
        accounts = (await connection.execute(text("SELECT * FROM account ORDER BY id"))).all()
    return repr((installations, accounts))


async def test_no_secret_can_be_read_in_the_tables(store: SqlStore) -> None:
    await filled(store)
    content = await raw(store)
    assert SHOP in content
    assert [secret for secret in SECRETS if secret in content] == []


async def test_secrets_are_sealed_anew_with_the_newest_key(store: SqlStore, database_url: str) -> None:
    await filled(store)
    before = await raw(store)
    await store.close()
    rotating = SqlStore(database_url, SecretBox([NEW_KEY, SECRET_KEY]))
    try:
        async with rotating.begin() as unit:
            assert await unit.installations.get(SHOP) == an_installation()
        assert await rotating.reseal_secrets() == 3
        assert await raw(rotating) != before
    finally:
        await rotating.close()
    afterwards = SqlStore(database_url, SecretBox([NEW_KEY]))
    try:
        async with afterwards.begin() as unit:
            assert await unit.installations.get(SHOP) == an_installation()
            secrets = {it.channel: (it.client_secret, it.subscription_key) for it in await unit.accounts.of_shop(SHOP)}
        assert secrets == {"default": SECRETS[1:], "b2b": (None, None)}
    finally:
        await afterwards.close()


async def test_without_the_key_secrets_are_the_merchants_to_mend_and_stay_as_they_are(
    store: SqlStore, database_url: str
) -> None:
    await filled(store)
    before = await raw(store)
    await store.close()
    stranger = SqlStore(database_url, SecretBox([OTHER_KEY]))
    try:
        async with stranger.begin() as unit:
            with pytest.raises(Misconfigured):
                await unit.installations.get(SHOP)
            with pytest.raises(Misconfigured):
                await unit.accounts.of_shop(SHOP)
        with pytest.raises(Misconfigured):
            await stranger.reseal_secrets()
        assert await raw(stranger) == before
    finally:
        await stranger.close()
