"""What is done once a day for every merchant account: compare the books, look after the webhooks, tidy up."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

from app.domain.account import Account
from app.domain.errors import Misconfigured, ProviderError
from app.usecases.ports import Deps
from app.usecases.reconciliation import Reconciliation, reconcile_account
from app.usecases.registrations import WebhookState, check_webhooks

_CALLS_KEPT = timedelta(days=90)


def webhook_url(app_url: str, account: Account) -> str:
    return f"{app_url}/api/webhooks/vipps/{account.id}"


async def usable_accounts(deps: Deps, shop: str | None = None) -> Sequence[Account]:
    """The accounts, of all shops or of one, that have credentials: a shop that left took them along."""
    async with deps.store.begin() as unit:
        accounts = await unit.accounts.everywhere()
    return [it for it in accounts if it.client_secret and it.subscription_key and shop in (None, it.shop)]


async def reconcile_all(
    deps: Deps, tell: Callable[[Reconciliation], None], shop: str | None = None
) -> Sequence[Reconciliation]:
    """One account after the other, because merchants share rate limits and nights are long."""
    all_books = []
    for account in await usable_accounts(deps, shop):
        books = await reconcile_account(deps, account)
        tell(books)
        all_books.append(books)
    return all_books


async def check_all_webhooks(deps: Deps, app_url: str, tell: Callable[[Account, WebhookState], None]) -> None:
    for account in await usable_accounts(deps):
        try:
            tell(account, await check_webhooks(deps, account, webhook_url(app_url, account)))
        except Misconfigured as error:
            tell(account, WebhookState(trouble=error.message))


async def look_at_shops(deps: Deps) -> None:
    """A shop gets a new name or a new version of Saleor without installing the app again."""
    async with deps.store.begin() as unit:
        installations = await unit.installations.everywhere()
    for it in installations:
        if it.token is None:
            continue
        with suppress(ProviderError):  # one that does not answer is looked at the next night
            now = await deps.shop.identify(it.shop, it.token)
            now = replace(now, version=now.version or it.saleor_version)
            if (now.version, now.shop_name) != (it.saleor_version, it.shop_name):
                async with deps.store.begin() as unit:
                    await unit.installations.describe(it.shop, now)


async def tidy(deps: Deps) -> int:
    """Forget calls that nobody asks about any more; how many. The database looks at what has become of its rows."""
    await deps.store.analyze()
    async with deps.store.begin() as unit:
        return await unit.calls.prune(deps.clock() - _CALLS_KEPT)
