"""How far a shop has come on the way from nothing to its first subscriber."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from app.domain.account import Caller, Environment, Scope
from app.domain.errors import InvalidInput, ProviderError
from app.domain.plan import Plan
from app.domain.records import AgreementFilter, Page
from app.usecases.account_settings import ShownAccount, shown_accounts
from app.usecases.installations import installed
from app.usecases.ports import Deps

_APPROVED = AgreementFilter(approved=True)


class Step(StrEnum):
    """In the order in which they are done; the later ones make no sense without the earlier."""

    CREDENTIALS = "credentials"
    CONNECTION = "connection"
    WEBHOOK = "webhook"
    PRODUCT = "product"
    AGREEMENT = "agreement"


@dataclass(frozen=True, slots=True)
class Stage:
    """`done` is None where it could not be found out; `about` names what was found. `account` is the one that is in the
    way, where one is, and `broken` whether it is known not to work.
    """

    step: Step
    done: bool | None
    about: str = ""
    account: str = ""
    broken: bool = False


@dataclass(frozen=True, slots=True)
class Setup:
    stages: Sequence[Stage]
    accounts: Sequence[ShownAccount]

    @property
    def testing(self) -> bool:
        """Whether nothing but Vipps' test environment is in use."""
        return all(it.account.environment is Environment.TEST for it in self.accounts)

    @property
    def next(self) -> Step | None:
        """What to do now: the first stage that is not done."""
        return next((it.step for it in self.stages if not it.done), None)


async def setup(deps: Deps, caller: Caller) -> Setup:
    """Where the shop stands: from our rows, except for the products, which Saleor is asked for."""
    caller.require(Scope.AGREEMENTS_READ)
    accounts = [it for it in await shown_accounts(deps, caller) if not it.account.is_earlier]
    usable = [it for it in accounts if it.complete]
    async with deps.store.begin() as unit:
        agreements = await unit.agreements.count(caller.shop, _APPROVED)
    stages = [
        _accounts_stage(Step.CREDENTIALS, accounts, [] if usable else accounts),
        _accounts_stage(Step.CONNECTION, usable, [it for it in usable if it.tried is None or it.tried.trouble]),
        _accounts_stage(Step.WEBHOOK, usable, [it for it in usable if not it.webhook]),
        await _product(deps, caller.shop),
        Stage(Step.AGREEMENT, agreements > 0, str(agreements)),
    ]
    return Setup(stages, accounts)


def _accounts_stage(step: Step, accounts: Sequence[ShownAccount], lacking: Sequence[ShownAccount]) -> Stage:
    """Those that do not work come before those that nobody tried."""
    first = next(iter(sorted(lacking, key=lambda it: it.tried is None)), None)
    if first is None:
        return Stage(step, bool(accounts))
    broken = bool(first.tried and first.tried.trouble)
    return Stage(step, done=False, about=first.account.channel, account=first.account.id, broken=broken)


async def has_subscribers(deps: Deps, caller: Caller) -> bool:
    """Whether the last step is done, however: from our rows alone, because every opening of the app asks it."""
    caller.require(Scope.AGREEMENTS_READ)
    async with deps.store.begin() as unit:
        return bool(await unit.agreements.page(caller.shop, _APPROVED, Page(1)))


async def _product(deps: Deps, shop: str) -> Stage:
    """A shop that does not answer now hides nothing else from staff."""
    try:
        found = await deps.shop.subscription_products(await installed(deps, shop))
    except ProviderError:
        return Stage(Step.PRODUCT, None)
    broken = next((name for name, interval in found if not _is_interval(interval)), None)
    if broken is not None:
        return Stage(Step.PRODUCT, done=False, about=broken, broken=True)
    return Stage(Step.PRODUCT, bool(found), found[0][0] if found else "")


def _is_interval(text: str) -> bool:
    try:
        Plan.parse(text.strip())
    except InvalidInput:
        return False
    return True
