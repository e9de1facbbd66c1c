"""Merchant accounts of a shop: set and checked."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from app.domain.account import Account, ApiVersion, Caller, CallerKind
from app.domain.agreement import URL_MAX, AgreementStatus
from app.domain.charge import MIN_LEAD_DAYS, check_retry_days
from app.domain.dunning import DunningPolicy
from app.domain.errors import Forbidden, IllegalState, InvalidInput, NotFound, ProviderError
from app.domain.limits import LIST_AGREEMENTS
from app.domain.provider import AccessToken
from app.domain.records import AuditEntry
from app.usecases.clients import NOT_INSTALLED, OPERATOR, hash_secret
from app.usecases.known import account_for_channel
from app.usecases.permits import require_permit
from app.usecases.ports import Deps
from app.usecases.registrations import check_webhooks

_THIS_MACHINE = frozenset({"127.0.0.1", "::1", "localhost"})
_SHORTEST_SECRET = 16
SET, SAME_CONNECTION = "account.set", "the connection stays as it was"


async def set_account(
    deps: Deps, account: Account, actor: str = OPERATOR, seen: str | None = None, *, apart: bool = False
) -> Account:
    """Make or replace a channel's account.

    Agreements stay with the merchant serial number and the environment that they were made with. Where an account that
    has some is to get others, a new one takes its place `apart` from it, and it goes on with its agreements under a
    name of its own; without that InvalidInput is raised. `seen` is the mark of what whoever asks had before them:
    raises IllegalState where it has changed since.
    """
    for mistake in mistakes(account):
        raise mistake
    async with deps.store.begin() as unit:
        # Whoever else sets an account of this shop waits: what is read here stays true until it is written.
        if await unit.installations.get(account.shop, lock=True) is None:
            raise NotFound(NOT_INSTALLED, field="shop")
        mine = {it.channel: it for it in await unit.accounts.of_shop(account.shop)}
        before = mine.get(account.channel)
        if seen is not None and seen != mark(before):
            raise IllegalState("somebody changed this account meanwhile; look at it again")
        moved = before is not None and (before.environment, before.msn) != (account.environment, account.msn)
        if before is not None and moved and await unit.agreements.of_account(account.shop, before.id):
            if not apart or before.is_earlier:
                raise InvalidInput(
                    f"channel {account.channel} has agreements with the {before.environment} account {before.msn}, and "
                    "they stay with it; set the new account apart from it",
                    field="msn" if before.environment is account.environment else "environment",
                )
            await unit.accounts.put(before.made_way())
            gone = AuditEntry(account.shop, actor, "account.made_way", before.id, deps.clock(), after=account.msn)
            await unit.audit.add([gone])
            before, account = None, replace(account, id=str(uuid.uuid4()))
        account = replace(account, id=before.id if before else account.id)
        if account == before:
            return account
        await unit.accounts.put(account)
        was = _told(before) if before else ""
        same = before is not None and account.signs_in_like(before)
        what = AuditEntry(
            account.shop,
            actor,
            SET,
            account.id,
            deps.clock(),
            before=was,
            after=_told(account),
            reason=SAME_CONNECTION if same else "",
        )
        await unit.audit.add([what])
    return account


def mistakes(account: Account) -> Sequence[InvalidInput]:
    """All that is wrong with it, each with the field it is about."""
    found = []
    for check in (_check_number, _check_retries, _check_lead, _check_zone, _check_notices):
        try:
            check(account)
        except InvalidInput as mistake:
            found.append(mistake)
    return found


def _check_number(account: Account) -> None:
    if not account.msn.isascii() or not account.msn.isdigit():
        raise InvalidInput("a merchant serial number has digits only", field="msn")


def _check_retries(account: Account) -> None:
    check_retry_days(account.retry_days)


def _check_lead(account: Account) -> None:
    if account.lead_days < MIN_LEAD_DAYS:
        raise InvalidInput(f"lead days are {MIN_LEAD_DAYS} at least", field="lead-days")


def _check_zone(account: Account) -> None:
    """Raises for a zone that no calendar knows."""
    try:
        ZoneInfo(account.time_zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InvalidInput(
            f"{account.time_zone!r:.60} is no time zone; write it like Europe/Oslo", field="time-zone"
        ) from None


def _check_notices(account: Account) -> None:
    """Raises for an endpoint that anybody could listen to."""
    if account.notify_url is None:
        return
    parts = urlsplit(account.notify_url)
    safe = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _THIS_MACHINE)
    if not safe or not parts.hostname or parts.username or parts.fragment or len(account.notify_url) > URL_MAX:
        raise InvalidInput("the endpoint for notices is an absolute https URL without credentials", field="notify-url")
    if not account.notify_secret or len(account.notify_secret) < _SHORTEST_SECRET:
        raise InvalidInput(
            f"notices are signed: give a secret of at least {_SHORTEST_SECRET} characters", field="notify-secret"
        )


def mark(account: Account | None) -> str:
    """Tells one state of an account from another, its secrets apart."""
    return hash_secret(_told(account)) if account else "none"


async def find_account(deps: Deps, shop: str, channel: str) -> Account | None:
    """The channel's own account, without falling back to the default one."""
    async with deps.store.begin() as unit:
        return next((it for it in await unit.accounts.of_shop(shop) if it.channel == channel), None)


def _told(account: Account) -> str:
    """What the audit says of an account: everything but its secrets."""
    return (
        f"channel {account.channel}, {account.environment}, MSN {account.msn}, client {account.client_id}, "
        f"{account.api_version}, retry days {account.retry_days}, lead days {account.lead_days}, "
        f"agreement page {account.agreement_url or 'none'}, time zone {account.time_zone}, "
        f"dunning {_policy(account.dunning)}, "
        f"first payments are {'reserved' if account.reserve_initial else 'collected'}, "
        f"renewal orders are complete {'when paid' if account.complete_when_paid else 'at once'}, "
        f"price notice {account.price_notice_days} days, notices to {account.notify_url or 'nobody'}"
    )


def _policy(policy: DunningPolicy) -> str:
    days = ", ".join(str(days) for days in policy.retry_after) or "never"
    end = f", ended after {policy.cancel_after} days" if policy.cancel_after else ""
    return f"again after {days}, then {policy.then}{end}"


async def all_accounts(deps: Deps) -> Sequence[Account]:
    """Every shop's accounts, for the operator of this deployment."""
    async with deps.store.begin() as unit:
        return await unit.accounts.everywhere()


@dataclass(frozen=True, slots=True)
class AuthTest:
    """Whether the account's credentials work now. `token` is for callers with the right to read it only."""

    token: AccessToken
    account: Account


async def test_auth(deps: Deps, caller: Caller, channel: str | None) -> AuthTest:
    """Fetch a new token for the channel's account; raises Misconfigured or Unavailable where that fails."""
    if caller.kind is CallerKind.CUSTOMER or not caller.rights:
        raise Forbidden("only staff and API clients may test the credentials")
    account = await account_for_channel(deps, caller.shop, channel)
    return AuthTest(await deps.provider(account).authenticate(), account)


@dataclass(frozen=True, slots=True)
class AccountCheck:
    """What an account can do now. `sign_in`, each version and `webhooks` say "ok" or what is wrong, in words.

    `error` is what keeps the account from working: that it cannot sign in, or that its version does not answer.
    """

    account: Account
    sign_in: str
    versions: Mapping[ApiVersion, str]
    webhooks: str
    error: ProviderError | None = None

    @property
    def good(self) -> bool:
        return self.sign_in == OK and self.versions.get(self.account.api_version) == OK


OK = "ok"
_JUST_NOW = timedelta(minutes=1)
LIST_PATIENCE = 70.0  # seconds: five lists a minute, and whoever checks accounts can wait


async def check_account(
    deps: Deps, account: Account, webhook_url: str, *, renew_webhook: bool = False, patience: float = LIST_PATIENCE
) -> AccountCheck:
    """Sign in, ask both versions, and see that a webhook stands. Never raises for what Vipps answers."""
    try:
        await deps.provider(account).authenticate()
    except ProviderError as error:
        return AccountCheck(account, error.message, {}, "not tried", error)
    errors = {version: await _ask(deps, account, version, patience) for version in ApiVersion}
    versions = {version: error.message if error else OK for version, error in errors.items()}
    state = await check_webhooks(deps, account, webhook_url, renew=renew_webhook)
    return AccountCheck(account, OK, versions, state.text, errors[account.api_version])


async def _ask(deps: Deps, account: Account, version: ApiVersion, patience: float) -> ProviderError | None:
    """A short list proves that a version is there; that something is not found would prove nothing."""
    provider = deps.provider(replace(account, api_version=version))
    try:
        await require_permit(deps, account, LIST_AGREEMENTS, patience=patience)
        await provider.list_agreements(AgreementStatus.PENDING, deps.clock() - _JUST_NOW)
    except ProviderError as error:
        return error
    return None
