"""Merchant accounts and API clients of a shop: set, checked, made, revoked."""

import hashlib
import re
import secrets
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from app.domain.account import Account, ApiClient, ApiVersion, Caller, CallerKind, Scope
from app.domain.agreement import URL_MAX, AgreementStatus
from app.domain.charge import MIN_LEAD_DAYS, check_retry_days
from app.domain.dunning import DunningPolicy
from app.domain.errors import Forbidden, InvalidInput, NotFound, ProviderError, Unauthenticated
from app.domain.limits import LIST_AGREEMENTS
from app.domain.provider import AccessToken
from app.domain.records import AuditEntry
from app.usecases.known import account_for_channel
from app.usecases.permits import require_permit
from app.usecases.ports import Deps
from app.usecases.registrations import check_webhooks

_CLIENT_ID = re.compile(r"vrc_[0-9a-f]{24}")
_THIS_MACHINE = frozenset({"127.0.0.1", "::1", "localhost"})
_SHORTEST_SECRET = 16
_NOT_INSTALLED = "this shop has not installed the app yet; install it from the Saleor Dashboard first"


async def set_account(deps: Deps, account: Account) -> Account:
    """Make or replace a channel's account; agreements of an account that changes its environment stay with it."""
    check_retry_days(account.retry_days)
    if account.lead_days < MIN_LEAD_DAYS:
        raise InvalidInput(f"lead days are {MIN_LEAD_DAYS} at least", field="lead-days")
    _check_subscriptions(account)
    if not account.msn.isascii() or not account.msn.isdigit():
        raise InvalidInput("a merchant serial number has digits only", field="msn")
    async with deps.store.begin() as unit:
        if await unit.installations.get(account.shop) is None:
            raise NotFound(
                "this shop has not installed the app yet; install it from the Saleor Dashboard first", field="shop"
            )
        mine = {it.channel: it for it in await unit.accounts.of_shop(account.shop)}
        before = mine.get(account.channel)
        moved = before is not None and (before.environment, before.msn) != (account.environment, account.msn)
        if before is not None and moved and await unit.agreements.of_account(account.shop, before.id):
            raise InvalidInput(
                f"channel {account.channel} has agreements with the {before.environment} account {before.msn}, and an "
                "agreement cannot move to another merchant serial number; set the new account for another channel",
                field="msn",
            )
        account = replace(account, id=before.id if before else account.id)
        await unit.accounts.put(account)
        was = _told(before) if before else ""
        what = AuditEntry(
            account.shop, "operator:cli", "account.set", account.id, deps.clock(), before=was, after=_told(account)
        )
        await unit.audit.add([what])
    return account


def _check_subscriptions(account: Account) -> None:
    """What renewals follow: raises for a zone that no calendar knows and an endpoint that anybody could listen to."""
    try:
        ZoneInfo(account.time_zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InvalidInput(
            f"{account.time_zone!r:.60} is no time zone; write it like Europe/Oslo", field="time-zone"
        ) from None
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
class NewClient:
    client: ApiClient
    secret: str


async def create_client(deps: Deps, shop: str, name: str, scopes: Sequence[Scope]) -> NewClient:
    """A machine's id and secret. The secret is shown now and never again: only its hash is kept."""
    if not scopes:
        raise InvalidInput("an API client without a scope can do nothing; give at least one", field="scope")
    secret = secrets.token_urlsafe(32)
    client = ApiClient(
        id=f"vrc_{uuid.uuid4().hex[:24]}",
        shop=shop,
        name=name,
        secret_hash=hash_secret(secret),
        scopes=frozenset(scopes),
        created_at=deps.clock(),
    )
    async with deps.store.begin() as unit:
        if await unit.installations.get(shop) is None:
            raise NotFound(
                "this shop has not installed the app yet; install it from the Saleor Dashboard first", field="shop"
            )
        await unit.clients.put(client)
        what = AuditEntry(shop, "operator:cli", "client.created", client.id, client.created_at, after=" ".join(scopes))
        await unit.audit.add([what])
    return NewClient(client, secret)


async def revoke_client(deps: Deps, client_id: str) -> datetime:
    now = deps.clock()
    async with deps.store.begin() as unit:
        client = await unit.clients.get(client_id)
        if client is None:
            raise NotFound(f"no API client {client_id:.60}", field="client")
        await unit.clients.put(replace(client, revoked_at=client.revoked_at or now))
        await unit.audit.add([AuditEntry(client.shop, "operator:cli", "client.revoked", client.id, now)])
    return now


def hash_secret(secret: str) -> str:
    """The secret is 32 random bytes, so one round of SHA-256 is as good as a slow hash and costs a request nothing."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


async def client_caller(deps: Deps, client_id: str, secret: str) -> Caller:
    """Who a pair of Basic credentials is; the same answer for an unknown id, a wrong secret and a revoked client."""
    client = None
    if _CLIENT_ID.fullmatch(client_id):
        async with deps.store.begin() as unit:
            client = await unit.clients.get(client_id)
    known = client.secret_hash if client else hash_secret("")
    right = secrets.compare_digest(known, hash_secret(secret))
    if client is None or not right or client.revoked_at is not None:
        raise Unauthenticated("unknown API client or wrong secret; make one with: client create")
    return Caller(CallerKind.CLIENT, client.shop, client.id, client.scopes)


@dataclass(frozen=True, slots=True)
class AccountCheck:
    """What an account can do now. `sign_in`, each version and `webhooks` say "ok" or what is wrong, in words."""

    account: Account
    sign_in: str
    versions: Mapping[ApiVersion, str]
    webhooks: str

    @property
    def good(self) -> bool:
        return self.sign_in == OK and self.versions.get(self.account.api_version) == OK


OK = "ok"
_JUST_NOW = timedelta(minutes=1)


async def check_account(deps: Deps, account: Account, webhook_url: str, *, renew_webhook: bool = False) -> AccountCheck:
    """Sign in, ask both versions, and see that a webhook stands. Never raises for what Vipps answers."""
    try:
        await deps.provider(account).authenticate()
    except ProviderError as error:
        return AccountCheck(account, error.message, {}, "not tried")
    versions = {version: await _answers(deps, account, version) for version in ApiVersion}
    state = await check_webhooks(deps, account, webhook_url, renew=renew_webhook)
    return AccountCheck(account, OK, versions, state.text)


async def _answers(deps: Deps, account: Account, version: ApiVersion) -> str:
    """A short list proves that a version is there; that something is not found would prove nothing."""
    provider = deps.provider(replace(account, api_version=version))
    try:
        await require_permit(deps, account, LIST_AGREEMENTS, patience=_LIST_PATIENCE)
        await provider.list_agreements(AgreementStatus.PENDING, deps.clock() - _JUST_NOW)
    except ProviderError as error:
        return error.message
    return OK


_LIST_PATIENCE = 70.0  # seconds: five lists a minute, and whoever checks accounts can wait
