"""Finding the agreements and charges that a caller names: in our rows, or at Vipps where we do not know them yet.

Agreements made before this app came (by the Drupal module, by hand) work for staff and API clients; what is learnt
is stored. A customer owns only what was made here in the customer's own name.
"""

import re
import uuid
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from app.domain.account import Account, Caller
from app.domain.agreement import Agreement, AgreementStatus
from app.domain.charge import Charge, ChargeOrigin, SeenCharge
from app.domain.errors import InvalidInput, Misconfigured, NotFound, ProviderError, RecurringError, Rejected
from app.domain.money import Money
from app.domain.operation import key_for
from app.domain.provider import SeenAgreement
from app.domain.records import AuditEntry
from app.usecases.batches import each
from app.usecases.day_totals import forget_days
from app.usecases.ports import Deps, Job

_UNDECIDED = frozenset({AgreementStatus.PENDING, AgreementStatus.UNKNOWN})
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_VIPPS = "vipps:seen"
_OPAQUE = re.compile(r"[\x21-\x7e]{1,255}")


def check_id(value: str, field: str) -> str:
    if not _ID.fullmatch(value):
        raise InvalidInput(
            f"{value!r:.70} is no {field}: 1 to 64 letters, digits, hyphens and underscores", field=field
        )
    return value


def check_opaque(value: str | None, field: str) -> None:
    """An id or slug of somebody else's: no rule of its own, but nothing that a database could not carry."""
    if value is not None and not _OPAQUE.fullmatch(value):
        raise InvalidInput(f"{field} is 1 to 255 printable characters without spaces", field=field)


async def account_of(deps: Deps, shop: str, account_id: str) -> Account:
    async with deps.store.begin() as unit:
        account = await unit.accounts.get(shop, account_id)
    if account is None:
        raise Misconfigured("the merchant account of this agreement is gone; set it again with: account set")
    return account


async def account_for_channel(deps: Deps, shop: str, channel: str | None) -> Account:
    """The channel's own account, or the shop's default one."""
    check_opaque(channel, "channel")
    async with deps.store.begin() as unit:
        accounts = {account.channel: account for account in await unit.accounts.of_shop(shop)}
    account = accounts.get(channel or "default") or accounts.get("default")
    if account is None:
        raise Misconfigured(
            "the shop has no merchant account for this channel; set one with: account set", field="channel"
        )
    return account


async def find_agreements(deps: Deps, caller: Caller, ids: Sequence[str]) -> dict[str, Agreement | RecurringError]:
    """Per id the agreement, or why there is none for this caller."""
    wanted = list(dict.fromkeys(ids))
    found: dict[str, Agreement | RecurringError] = {}
    good: list[str] = []
    for agreement_id in wanted:
        try:
            good.append(check_id(agreement_id, "agreementId"))
        except InvalidInput as error:
            found[agreement_id] = error
    async with deps.store.begin() as unit:
        rows = await unit.agreements.many(caller.shop, good)
    for agreement_id, row in rows.items():
        try:
            caller.require_owner(row.customer, agreement_id)
            found[agreement_id] = row
        except NotFound as error:
            found[agreement_id] = error
    missing = [agreement_id for agreement_id in good if agreement_id not in found]
    if missing and caller.own_only:
        found |= {name: NotFound(f"no agreement {name}", field="agreementId") for name in missing}
    elif missing:
        found |= await _learn(deps, caller, missing)
    return found


async def chargeable_agreements(
    deps: Deps, caller: Caller, ids: Sequence[str]
) -> dict[str, Agreement | RecurringError]:
    """As find_agreements, but a draft is looked at again: the customer may have approved it a moment ago."""
    found = await find_agreements(deps, caller, ids)
    drafts = [name for name, row in found.items() if isinstance(row, Agreement) and row.status in _UNDECIDED]

    async def look(agreement_id: str) -> Agreement:
        row = found[agreement_id]
        if isinstance(row, RecurringError):
            raise row
        return (await refresh_agreement(deps, caller.actor, row))[0]

    for item in (await each(deps, drafts, str, look)).items:
        found[item.id] = item.error or item.answer
    return found


async def find_agreement(deps: Deps, caller: Caller, agreement_id: str) -> Agreement:
    found = (await find_agreements(deps, caller, [agreement_id]))[agreement_id]
    if isinstance(found, RecurringError):
        raise found
    return found


async def _learn(deps: Deps, caller: Caller, ids: Sequence[str]) -> dict[str, Agreement | RecurringError]:
    async with deps.store.begin() as unit:
        accounts = await unit.accounts.of_shop(caller.shop)
        theirs: set[tuple[str, str]] = set()
        for environment in {account.environment for account in accounts}:
            elsewhere = await unit.agreements.belongs_elsewhere(caller.shop, environment.value, ids)
            theirs |= {(environment.value, agreement_id) for agreement_id in elsewhere}

    async def ask(agreement_id: str) -> Agreement:
        trouble: RecurringError | None = None
        for account in accounts:
            if (account.environment.value, agreement_id) in theirs:
                continue
            try:
                seen = await deps.provider(account).get_agreement(agreement_id)
            except ProviderError as error:
                # Another account may know it; what stood in the way is told if none does.
                if not (isinstance(error, Rejected) and error.unknown_object):
                    trouble = error
                continue
            return await _adopt(deps, caller, account, seen)
        if trouble is not None:
            raise trouble
        if not accounts:
            raise Misconfigured("the shop has no merchant account; set one with: account set")
        raise NotFound(f"This agreement does not exist: {agreement_id}", field="agreementId")

    answers = await each(deps, ids, str, ask)
    return {
        item.id: item.value if item.value is not None else item.error or NotFound("unknown") for item in answers.items
    }


async def _adopt(deps: Deps, caller: Caller, account: Account, seen: SeenAgreement) -> Agreement:
    now = deps.clock()
    row = found_agreement(account, str(uuid.uuid4()), seen, now)
    async with deps.store.begin() as unit:
        if await unit.agreements.add(row):
            what = AuditEntry(caller.shop, caller.actor, "agreement.found", seen.agreement_id, now, after=row.status)
            await unit.audit.add([what])
            return row
        # Somebody was quicker: this shop, or another one that shares the merchant account.
        theirs = await unit.agreements.get(caller.shop, seen.agreement_id)
    if theirs is None:
        raise NotFound(f"This agreement does not exist: {seen.agreement_id}", field="agreementId")
    return theirs


def found_agreement(account: Account, row_id: str, seen: SeenAgreement, now: datetime) -> Agreement:
    """A row for an agreement that our database does not have."""
    row = Agreement(
        id=row_id,
        shop=account.shop,
        account_id=account.id,
        environment=account.environment.value,
        idempotency_key=key_for("create-agreement", row_id),
        plan=seen.plan,
        price=seen.price,
        product_name=seen.product_name,
        product_description=seen.product_description,
        status=seen.status,
        created_at=now,
        agreement_id=seen.agreement_id,
        pricing=seen.pricing,
        confirmation_url=seen.confirmation_url,
    )
    return merge_agreement(row, seen, now)


def merge_agreement(row: Agreement, seen: SeenAgreement, now: datetime) -> Agreement:
    """Our row with what Vipps shows: the status forward only, the rest as it is there now."""
    limits = [limit for limit in (seen.suggested_max, seen.max_amount) if limit is not None]
    after = row.see(seen.status).freed()
    stopped = now if after.status is AgreementStatus.STOPPED else None  # Vipps does not always say when
    return replace(
        after,
        pricing=seen.pricing,
        product_name=seen.product_name,
        product_description=seen.product_description,
        price=seen.price,
        plan=seen.plan,
        start=seen.start or row.start,
        stop=seen.stop or row.stop or stopped,
        campaign=seen.campaign,
        max_amount=max(limits, key=lambda limit: limit.minor) if limits else None,
        checked_at=now,
    )


def _seen_by(actor: str, entry: AuditEntry) -> AuditEntry:
    """What Vipps shows is not the doing of whoever happened to look."""
    return replace(entry, actor=actor) if actor.startswith("vipps:") else replace(entry, reason=f"seen by {actor}")


async def observe_agreement(deps: Deps, actor: str, row: Agreement, seen: SeenAgreement) -> Agreement:
    """Apply and store what Vipps shows; the audit tells of each step, and of a step back that was not taken."""
    now = deps.clock()
    agreement_id = seen.agreement_id
    async with deps.store.begin() as unit:
        # The row may have moved on while Vipps was being asked.
        row = await unit.agreements.get(row.shop, agreement_id, lock=True) or row
        after = merge_agreement(row, seen, now)
        if row.status is not after.status or row.contradicts(seen.status):
            action = "agreement.status" if row.status is not after.status else "agreement.contradiction"
            what = _seen_by(actor, AuditEntry(row.shop, _VIPPS, action, agreement_id, now, row.status, seen.status))
            await unit.audit.add([what])
        await unit.agreements.save(after)
    return after


async def refresh_agreement(deps: Deps, actor: str, row: Agreement) -> tuple[Agreement, SeenAgreement]:
    """Ask Vipps and store the answer. Needs an agreement that Vipps knows."""
    if row.agreement_id is None:
        raise NotFound("this agreement was never made at Vipps")
    account = await account_of(deps, row.shop, row.account_id)
    seen = await deps.provider(account).get_agreement(row.agreement_id)
    return await observe_agreement(deps, actor, row, seen), seen


def found_charge(agreement: Agreement, seen: SeenCharge, now: datetime) -> Charge:
    """A row for a charge that somebody else made."""
    row_id = str(uuid.uuid4())
    return Charge(
        id=row_id,
        shop=agreement.shop,
        account_id=agreement.account_id,
        agreement_id=agreement.agreement_id or "",
        order_id=seen.charge_id,
        idempotency_key=key_for("create-charge", row_id),
        amount=Money(seen.amount, agreement.price.currency),
        description=seen.description,
        due=(seen.due or now).date(),
        retry_days=0,
        status=seen.status,
        origin=ChargeOrigin.INITIAL if seen.kind == "INITIAL" else ChargeOrigin.FOUND,
        created_at=now,
        charge_id=seen.charge_id,
    )


async def find_initial(deps: Deps, actor: str, agreement: Agreement) -> Charge | None:
    """The agreement's initial charge as Vipps shows it now; None where Vipps knows none."""
    account = await account_of(deps, agreement.shop, agreement.account_id)
    seen = await deps.provider(account).list_charges(agreement.agreement_id or "")
    rows = await observe_charges(deps, actor, agreement, seen)
    return next((it for it in rows.values() if it.origin is ChargeOrigin.INITIAL), None)


async def observe_charges(
    deps: Deps, actor: str, agreement: Agreement, seen: Sequence[SeenCharge]
) -> dict[str, Charge]:
    """Apply and store what Vipps shows of an agreement's charges; rows by Vipps' charge id."""
    now = deps.clock()
    agreement_id = agreement.agreement_id or ""
    audit: list[AuditEntry] = []
    news: list[str] = []
    async with deps.store.begin() as unit:
        ours = await unit.charges.find(agreement.shop, agreement_id, [it.charge_id for it in seen], lock=True)
        shown = {it.charge_id: it for it in seen}
        # A charge of ours whose outcome is open is not the one that somebody made under the same order id before.
        rows = {name: row for name, row in ours.items() if row.charge_id is not None or row.matches(shown[name])}
        strangers = [found_charge(agreement, it, now) for it in seen if it.charge_id not in rows]
        await unit.charges.add_all(strangers)
        rows |= {row.order_id: row for row in strangers}
        changed: list[Charge] = []
        for it in seen:
            before = rows[it.charge_id]
            after = before.see(it, now)
            if before.status is not after.status or before.contradicts(it):
                action = "charge.status" if before.status is not after.status else "charge.contradiction"
                entry = AuditEntry(before.shop, _VIPPS, action, it.charge_id, now, before.status, it.status)
                audit.append(_seen_by(actor, entry))
            await forget_days(unit, before, after, now)
            if after != before or it.charge_id in {row.order_id for row in strangers}:
                rows[it.charge_id] = replace(after.freed(), next_attempt_at=after.next_look(now))
                changed.append(rows[it.charge_id])
            if after.in_saleor and after.shown != before.shown:
                news.append(after.id)
        await unit.charges.save_all(changed)
        await unit.audit.add(audit)
    await deps.jobs.enqueue(Job.NOTIFY_SHOP, agreement.shop, news)
    return rows
