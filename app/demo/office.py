"""What operators do with commands: accounts, API clients, the books. The same use cases, without a process for each."""

import asyncio
import base64
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from app.config import Settings
from app.demo.processes import Place
from app.domain.account import Account, Environment, Scope, system
from app.main import Context, build
from app.usecases.accounts import AccountCheck, all_accounts, check_account, set_account
from app.usecases.clients import create_client
from app.usecases.explaining import Moment, explain_charge
from app.usecases.nightly import reconcile_all, webhook_url
from app.usecases.reconciliation import Reconciliation
from app.vipps.simulator import MerchantCredentials

T = TypeVar("T")
_CHANNEL = "default"


class Run(Protocol):
    """Does the work with a context of its own or with one that is there."""

    def __call__(self, work: Callable[[Context], Awaitable[T]], /) -> T: ...


def beside(place: Place) -> Run:
    """A context beside the processes of a place, on their database, as each command has one."""
    settings = Settings(**{name.lower(): value for name, value in place.environment.items()})  # type: ignore[arg-type]

    def run(work: Callable[[Context], Awaitable[T]], /) -> T:
        async def whole() -> T:
            context = build(settings)
            try:
                return await work(context)
            finally:
                await context.close()

        return asyncio.run(whole())

    return run


def account_of(merchant: MerchantCredentials, shop: str, **more: Any) -> Account:
    """The account of a shop's default channel, with the keys of a simulated merchant."""
    keys = {
        "msn": merchant.msn,
        "client_id": merchant.client_id,
        "client_secret": merchant.client_secret,
        "subscription_key": merchant.subscription_key,
    }
    named = {"id": str(uuid.uuid4()), "shop": shop, "channel": _CHANNEL, "environment": Environment.TEST}
    return Account(**named | keys | more)


class Office:
    """For one shop."""

    def __init__(self, run: Run, shop: str) -> None:
        self._run = run
        self._shop = shop

    def set_account(self, merchant: MerchantCredentials, **more: Any) -> None:
        account = account_of(merchant, self._shop, **more)
        self._run(lambda context: set_account(context.deps, account))

    def check_account(self) -> AccountCheck:
        async def work(context: Context) -> AccountCheck:
            [account] = [it for it in await all_accounts(context.deps) if it.shop == self._shop]
            return await check_account(context.deps, account, webhook_url(context.settings.app_url, account))

        return self._run(work)

    def client(self, name: str, scopes: Sequence[Scope]) -> Mapping[str, str]:
        """A new API client's headers."""
        made = self._run(lambda context: create_client(context.deps, self._shop, name, scopes))
        pair = f"{made.client.id}:{made.secret}".encode()
        return {"Authorization": "Basic " + base64.b64encode(pair).decode()}

    def reconcile(self) -> Reconciliation:
        [books] = self._run(lambda context: reconcile_all(context.deps, lambda _: None, self._shop))
        return books

    def explain(self, charge: str) -> Sequence[Moment]:
        async def work(context: Context) -> Sequence[Moment]:
            await context.journal.flush()
            return (await explain_charge(context.deps, system(self._shop), charge)).moments

        return self._run(work)
