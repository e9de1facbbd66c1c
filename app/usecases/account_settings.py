"""Merchant accounts as staff set and try them: what they may see of one, what they change, and what a try found."""

import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from app.domain.account import Account, Caller, Environment, Scope
from app.domain.agreement import check_url
from app.domain.errors import InvalidInput, Misconfigured, NotFound, ProviderError, Unavailable
from app.domain.records import AuditEntry
from app.usecases.accounts import SAME_CONNECTION, SET, AccountCheck, check_account, mistakes, set_account
from app.usecases.nightly import webhook_url
from app.usecases.ports import Deps, Unit

CHECKED = "account.checked"
_GOOD = "ok"
_TOO_MANY = 429
_PATIENCE = 15.0  # seconds; somebody looks at a button meanwhile
_SLUG = re.compile(r"[\w.-]{1,100}")
_LONGEST_NUMBER, _MOST_DAYS = 20, 365
_HEADER = re.compile(r"[\x21-\x7e]{1,255}")
_TRAVELLING = ("client_id", "client_secret", "subscription_key")  # in headers, at Vipps


class Trouble(StrEnum):
    """What keeps an account from working, by who can mend it and where."""

    KEYS = "keys"  # Vipps does not know this pair of client id and secret
    SUBSCRIPTION_KEY = "subscription_key"  # Vipps does not know it, or it is of another sales unit
    NUMBER = "number"  # the keys are of another merchant serial number
    PRODUCT = "product"  # the sales unit has no recurring payments
    AWAY = "away"  # Vipps did not answer
    BUSY = "busy"  # asked too often: nothing was found out
    OTHER = "other"


# Codes and words by which Vipps says so (facts: VIPPS 8.1).
_NO_PRODUCT = frozenset({"merchant.not.allowed.for.recurring.operation", "invalid-sale-unit"})
_OTHER_NUMBER, _OTHER_KEY = "Invalid MSN", "invalid subscription key"


@dataclass(frozen=True, slots=True)
class Tried:
    """The newest try of an account since it was set: `trouble` is None where it works."""

    trouble: Trouble | None
    detail: str


@dataclass(frozen=True, slots=True)
class ShownAccount:
    """`complete` says that both keys are there. `tried` and `webhook` are what is stored, nothing is asked for."""

    account: Account
    complete: bool
    tried: Tried | None
    webhook: bool


async def shown_accounts(deps: Deps, caller: Caller) -> Sequence[ShownAccount]:
    """The shop's accounts, the default one first."""
    caller.require(Scope.AGREEMENTS_READ)
    async with deps.store.begin() as unit:
        accounts = await unit.accounts.of_shop(caller.shop)
        shown = [await _shown(unit, account) for account in accounts]
    return sorted(shown, key=lambda it: (it.account.channel != "default", it.account.channel))


async def shown_account(deps: Deps, caller: Caller, account_id: str) -> ShownAccount:
    """Raises NotFound for another shop's account too."""
    caller.require(Scope.AGREEMENTS_READ)
    async with deps.store.begin() as unit:
        account = await unit.accounts.get(caller.shop, account_id)
        if account is None:
            raise NotFound("no such merchant account")
        return await _shown(unit, account)


async def _shown(unit: Unit, account: Account) -> ShownAccount:
    webhooks = await unit.webhooks.of_account(account.shop, account.id)
    return ShownAccount(
        account,
        bool(account.client_secret and account.subscription_key),
        _newest_try(await unit.audit.of_object(account.shop, account.id)),
        any(it.retired_at is None for it in webhooks),
    )


def _newest_try(entries: Sequence[AuditEntry]) -> Tried | None:
    """A try counts until the account signs in with something else."""
    told = (it for it in reversed(entries) if it.action in {CHECKED, SET} and it.reason != SAME_CONNECTION)
    newest = next(told, None)
    if newest is None or newest.action == SET:
        return None
    return Tried(None if newest.after == _GOOD else Trouble(newest.after), newest.reason)


def proposed(shop: str, account: Account | None, changes: Mapping[str, Any]) -> Account:
    """The account as it would be, or a new one; secrets that are not among the changes stay."""
    empty = Account(str(uuid.uuid4()), shop, "default", Environment.TEST, "", "", None, None)
    return replace(account or empty, **changes)


def mistakes_in(account: Account) -> Sequence[InvalidInput]:
    """All that is wrong with it. What the use cases behind this take for granted of operators, staff are told."""
    long = {"lead-days": account.lead_days, "price-notice-days": account.price_notice_days}
    found = [
        InvalidInput(f"at most {_MOST_DAYS} days", field=field) for field, days in long.items() if days > _MOST_DAYS
    ]
    found += [
        InvalidInput("this key is missing or holds what no key has", field=name.replace("_", "-"))
        for name in _TRAVELLING
        if not _HEADER.fullmatch(getattr(account, name) or "")
    ]
    if len(account.msn) > _LONGEST_NUMBER:
        found.append(InvalidInput("this is longer than any merchant serial number", field="msn"))
    if not _SLUG.fullmatch(account.served):
        found.append(InvalidInput("a channel is named by its slug", field="channel"))
    try:
        if account.agreement_url is not None:
            check_url(account.agreement_url, "agreement-url", app_schemes=False)
    except InvalidInput as mistake:
        found.append(mistake)
    return [*mistakes(account), *found]


async def save_account(deps: Deps, caller: Caller, account: Account, seen: str, *, apart: bool = False) -> Account:
    """Set what was proposed, for the caller's shop; `apart` as in `set_account`.

    `seen` is the mark of what the form showed: a form that is sent twice, or that is old, changes nothing.
    """
    caller.require(Scope.CHARGES_WRITE)
    for mistake in mistakes_in(account):
        raise mistake
    return await set_account(deps, replace(account, shop=caller.shop), caller.actor, seen, apart=apart)


async def try_account(deps: Deps, caller: Caller, account_id: str, app_url: str) -> AccountCheck:
    """Sign in at Vipps, ask for a list, and register our webhook; what was found out is kept."""
    caller.require(Scope.CHARGES_WRITE)
    account = (await shown_account(deps, caller, account_id)).account
    if not (account.client_secret and account.subscription_key):
        raise InvalidInput("the account has no keys", field="client-secret")
    check = await check_account(deps, account, webhook_url(app_url, account), patience=_PATIENCE)
    found = trouble_of(check.error) if check.error else None
    if found is Trouble.BUSY:
        return check
    detail = check.error.message if check.error else ""
    told = AuditEntry(
        caller.shop, caller.actor, CHECKED, account.id, deps.clock(), after=found or _GOOD, reason=detail[:500]
    )
    async with deps.store.begin() as unit:
        await unit.audit.add([told])
    return check


def trouble_of(error: ProviderError) -> Trouble:
    if error.provider_code in _NO_PRODUCT:
        return Trouble.PRODUCT
    if _OTHER_NUMBER in error.message:
        return Trouble.NUMBER
    if _OTHER_KEY in error.message:
        return Trouble.SUBSCRIPTION_KEY
    if isinstance(error, Unavailable):
        ours = error.status is None and error.retry_after is not None  # Vipps was not asked at all
        return Trouble.BUSY if ours or error.status == _TOO_MANY else Trouble.AWAY
    return Trouble.KEYS if isinstance(error, Misconfigured) else Trouble.OTHER
