"""Installing in a shop, receiving its events, and forgetting it."""

import hashlib
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from app.domain.account import Account, Installation
from app.domain.errors import (
    Forbidden,
    Misconfigured,
    NotFound,
    ProviderError,
    Unauthenticated,
)
from app.domain.records import AuditEntry, InboxEntry
from app.usecases.keys import KeyRing, key_ids
from app.usecases.ports import Deps, Job, Unit

ORDER_EVENTS = frozenset({"order_created", "order_confirmed", "order_updated", "order_metadata_updated"})
APP_DELETED = "app_deleted"


async def register(deps: Deps, shop: str, token: str, app_identifier: str) -> Installation:
    """Saleor's handshake. The request itself proves nothing: the token is proven by calling the shop with it.

    Only then is anything stored or overwritten. A new app id is a new installation over the old one's data.
    """
    try:
        identity = await deps.shop.identify(shop, token)
    except Misconfigured as error:
        raise Unauthenticated("the shop does not know this token", field="auth_token") from error
    if identity.identifier != app_identifier:
        raise Unauthenticated("the token belongs to another app of this shop", field="auth_token")
    jwks = await deps.shop.key_set(shop)
    installation = Installation(
        shop=shop,
        app_id=identity.app_id,
        token=token,
        jwks=jwks,
        saleor_version=identity.version,
        installed_at=deps.clock(),
        shop_name=identity.shop_name,
    )
    async with deps.store.begin() as unit:
        before = await unit.installations.get(shop, lock=True)
        _require_same_shop(before, installation)
        await unit.installations.put(installation)
        if before is not None and not _same_keys(before, installation):
            # Another shop under the same name: its users have the old ones' ids and must not own what was theirs.
            disowned = await unit.agreements.disown(shop)
            other = AuditEntry(
                shop, "saleor:handshake", "agreements.disowned", identity.app_id, installation.installed_at
            )
            await unit.audit.add([replace(other, after=str(disowned))])
        what = AuditEntry(
            shop,
            "saleor:handshake",
            "installation.registered",
            identity.app_id,
            installation.installed_at,
            before=before.app_id if before else "",
            after=identity.app_id,
        )
        await unit.audit.add([what])
    return installation


def _require_same_shop(before: Installation | None, now: Installation) -> None:
    """Another Saleor behind the same name must not inherit its accounts, clients and customers.

    A shop that is installed shows at least one of the keys it had; what shows none may have taken over the name.
    """
    if before is not None and before.active and not _same_keys(before, now):
        raise Forbidden(
            "the app is installed in another shop under this address, whose keys were different; if this shop really "
            "took its place, the operator says so first with: shop forget"
        )


def _same_keys(before: Installation, now: Installation) -> bool:
    """Whether the shop shows one of the keys it had; one of which no key is known is taken at its word."""
    return before.jwks is None or bool(key_ids(before.jwks) & key_ids(now.jwks or ""))


@dataclass(frozen=True, slots=True)
class Webhook:
    """What a shop says it sends: nothing of it is believed before the signature is."""

    shop: str
    event: str
    body: str


async def installed(deps: Deps, shop: str) -> Installation:
    async with deps.store.begin() as unit:
        return await require_installed(unit, shop)


async def require_installed(unit: Unit, shop: str) -> Installation:
    """Raises NotFound where the app is not, or no longer, installed in the shop."""
    installation = await unit.installations.get(shop)
    if installation is None or not installation.active or installation.token is None:
        raise NotFound("this shop has not installed the app")
    return installation


async def verify(
    deps: Deps, keys: KeyRing, webhook: Webhook, signature: Callable[[str], None], recipient: Callable[[], str | None]
) -> Installation:
    """The installation that a webhook was sent to. Raises Unauthenticated or Forbidden for what is not genuine.

    `signature` gets a key set and raises Unauthenticated where it does not fit; `recipient` reads the app id out of the
    body and is asked only after that.
    """
    try:
        installation = await installed(deps, webhook.shop)
    except NotFound as error:
        raise Unauthenticated(error.message) from None
    await keys.check(installation, signature)
    if recipient() != installation.app_id:
        # One key signs for all apps of a shop: only the recipient tells whose event it is (facts: SALEOR 3.2).
        raise Forbidden("this event is for another app")
    return installation


async def store_webhook(deps: Deps, webhook: Webhook) -> bool:
    """Store one that is verified; True where it is new. Whoever calls may answer 2xx: what is stored is not lost."""
    entry = InboxEntry(
        id=str(uuid.uuid4()),
        shop=webhook.shop,
        source="saleor",
        event=webhook.event,
        # Saleor sends no delivery id; a retry has the same bytes, and they hold the time of issue (facts: SALEOR 16).
        event_key=f"{webhook.event}/{hashlib.sha256(webhook.body.encode()).hexdigest()}",
        body=webhook.body,
        received_at=deps.clock(),
    )
    async with deps.store.begin() as unit:
        new = await unit.inbox.add(entry)
    if new:
        await deps.jobs.enqueue(Job.APPLY_INBOX, webhook.shop, [entry.id])
    return new


async def forget(deps: Deps, shop: str, app_id: str | None, actor: str = "saleor:app_deleted") -> str:
    """Uninstalled: erase what we hold in confidence. A late event about an earlier installation changes nothing."""
    now = deps.clock()
    async with deps.store.begin() as unit:
        standing = await unit.installations.get(shop)
        accounts = await unit.accounts.of_shop(shop)
    if standing is not None and standing.app_id == app_id:
        await _remove_webhooks(deps, accounts)  # while there are secrets to do it with
    async with deps.store.begin() as unit:
        if app_id is None or not await unit.installations.forget(shop, app_id, now):
            return "another installation took its place; nothing forgotten"
        await unit.webhooks.forget(shop)
        await unit.audit.add([AuditEntry(shop, actor, "installation.forgotten", app_id, now)])
    return "token, keys and merchant secrets erased; API clients revoked"


async def _remove_webhooks(deps: Deps, accounts: Sequence[Account]) -> None:
    """Tell Vipps to send no more events. Where that fails it gives up by itself after two weeks of refusals."""
    for account in accounts:
        async with deps.store.begin() as unit:
            webhooks = await unit.webhooks.of_account(account.shop, account.id)
        for webhook in webhooks:
            with suppress(ProviderError):
                await deps.webhooks(account).remove(webhook.registration_id)


async def forget_shop(deps: Deps, shop: str) -> str:
    """The operator's way, for shops that cannot tell (Saleor before 3.23, a shop that is gone)."""
    async with deps.store.begin() as unit:
        installation = await unit.installations.get(shop)
    if installation is None:
        raise NotFound("this shop has not installed the app", field="shop")
    return await forget(deps, shop, installation.app_id, "operator:cli")
