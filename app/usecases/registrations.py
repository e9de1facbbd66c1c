"""Our webhooks at Vipps: made, checked, healed and renewed by us; nobody has to click anything in a portal."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from app.domain.account import Account
from app.domain.errors import ProviderError
from app.domain.provider import WebhookRegistration
from app.domain.records import AuditEntry, Webhook
from app.usecases.ports import Deps

OVERLAP = timedelta(days=1)  # both secrets are good while events signed with the old one are still on their way
_LAST_WORDS = timedelta(days=7)  # how long Vipps repeats an event (facts: VIPPS 12.4)


@dataclass(frozen=True, slots=True)
class WebhookState:
    """What a check found and did: `made` and `removed` registrations; `trouble` where Vipps would not."""

    made: int = 0
    removed: int = 0
    trouble: str = ""

    @property
    def text(self) -> str:
        if self.trouble:
            return f"no webhook, polling does its work: {self.trouble}"
        parts = [f"{self.made} made" if self.made else "", f"{self.removed} old removed" if self.removed else ""]
        return ", ".join(part for part in parts if part) or "registered"


async def check_webhooks(deps: Deps, account: Account, url: str, *, renew: bool = False) -> WebhookState:
    """See that exactly one current registration stands for the account, and remove what is left of earlier ones.

    With `renew` a new secret takes the place of the old one, which stays good for the overlap. A registration whose
    answer was lost has a secret that nobody knows: it is removed, and another is made.
    """
    registry = deps.webhooks(account)
    try:
        async with deps.store.begin() as unit:
            ours = list(await unit.webhooks.of_account(account.shop, account.id))
        mine = {it.registration_id for it in ours}
        standing = [it for it in await registry.registrations() if it.url == url or it.id in mine]
        current = _current(ours, standing, url)
        made = 0
        if current is None or renew:
            current = await _make(deps, account, url, [it for it in ours if it.retired_at is None])
            made = 1
        removed = await _remove_others(deps, account, ours, standing, current)
    except ProviderError as error:
        return WebhookState(trouble=error.message)
    return WebhookState(made, removed)


def _current(ours: Sequence[Webhook], standing: Sequence[WebhookRegistration], url: str) -> Webhook | None:
    there = {it.id for it in standing if it.url == url}
    live = [it for it in ours if it.retired_at is None and it.url == url and it.registration_id in there]
    return live[-1] if live else None


async def _make(deps: Deps, account: Account, url: str, before: Sequence[Webhook]) -> Webhook:
    registration_id, secret = await deps.webhooks(account).register(url)
    now = deps.clock()
    webhook = Webhook(str(uuid.uuid4()), account.shop, account.id, registration_id, url, secret, now)
    what = AuditEntry(account.shop, "system:webhooks", "webhook.registered", account.id, now, after=registration_id)
    async with deps.store.begin() as unit:
        await unit.webhooks.put(webhook)
        for old in before:
            await unit.webhooks.put(replace(old, retired_at=now))
        await unit.audit.add([what])
    return webhook


async def _remove_others(
    deps: Deps, account: Account, ours: Sequence[Webhook], standing: Sequence[WebhookRegistration], current: Webhook
) -> int:
    """Away with registrations that are nobody's or whose overlap is over, and with secrets that sign nothing more."""
    now, removed = deps.clock(), 0
    known = {it.registration_id: it for it in ours} | {current.registration_id: current}
    for registration in standing:
        webhook = known.get(registration.id)
        in_use = webhook is not None and (webhook.retired_at is None or webhook.retired_at > now - OVERLAP)
        # One that was retired a moment ago by this very check is read as it was before: its overlap begins now.
        if not in_use:
            await deps.webhooks(account).remove(registration.id)
            removed += 1
    async with deps.store.begin() as unit:
        for webhook in ours:
            if webhook.retired_at is None and webhook.id != current.id:
                # Two checks at the same time made one each: this one's overlap begins now.
                await unit.webhooks.put(replace(webhook, retired_at=now))
            elif webhook.retired_at is not None and webhook.retired_at < now - OVERLAP - _LAST_WORDS:
                await unit.webhooks.remove(account.shop, webhook.id)
    return removed
