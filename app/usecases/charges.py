"""Charges by API: make, get, cancel, capture and refund, each a batch with an answer per item."""

import hashlib
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from app.domain.account import Account, ApiVersion, Caller, Scope
from app.domain.agreement import LIKE_SLOT, Agreement, TransactionType, check_amount
from app.domain.batch import BatchResult, check_size
from app.domain.charge import (
    DESCRIPTION_MAX,
    KEY_SLOT,
    ORDER_ID_SLOT,
    Charge,
    ChargeOrigin,
    ChargeStatus,
    SeenCharge,
    check_description,
    check_due,
    check_limit,
    check_order_id,
    check_retry_days,
)
from app.domain.errors import Duplicate, InvalidInput, NotFound, OutcomeUnknown, RecurringError, Rejected
from app.domain.limits import CREATE_CHARGE, Granted
from app.domain.money import Money
from app.domain.operation import key_for
from app.domain.records import AuditEntry
from app.usecases.batches import Malformed, Sheet, each, pour
from app.usecases.known import (
    account_of,
    chargeable_agreements,
    check_id,
    find_agreement,
    find_agreements,
    observe_charges,
)
from app.usecases.permits import permitted, too_many
from app.usecases.ports import Deps
from app.usecases.retries import today
from app.usecases.sending import Sent, held, later, lease_end, resume_charge, send_charge, store_sent

_NEXT_MINUTE = 60.0  # seconds after which the rate limit surely has room


@dataclass(frozen=True, slots=True)
class ChargeMake:
    """One charge to make. `price` is minor units; what is None is filled in from the agreement and its account.

    `order_id` and `idempotency_key` are the caller's own: the same one again gives the same charge again.
    """

    agreement_id: str
    price: int
    description: str | None = None
    due: date | None = None
    retry_days: int | None = None
    order_id: str | None = None
    idempotency_key: str | None = None
    transaction_type: TransactionType = TransactionType.DIRECT_CAPTURE

    def checked(self) -> "ChargeMake":
        """All but the due date, which may have come since the same was asked for before."""
        check_id(self.agreement_id, "agreementId")
        if self.price <= 0:
            raise InvalidInput("price is a positive number of minor units (25000 is 250.00)", field="price")
        if self.description is not None:
            check_description(self.description)
        if self.retry_days is not None:
            check_retry_days(self.retry_days)
        if self.order_id is not None:
            check_order_id(self.order_id)
        return self

    def slot(self, caller: Caller, due: date | None) -> str:
        """What may be charged once.

        Without an id of the caller's own it is the whole content, so that a request sent twice is one charge; the due
        date in it lets another day's begin anew.
        """
        if self.order_id is not None:
            return ORDER_ID_SLOT + self.order_id
        if self.idempotency_key is not None:
            return KEY_SLOT + digest(caller.actor, self.idempotency_key)
        kind = "" if self.transaction_type is TransactionType.DIRECT_CAPTURE else f" {self.transaction_type}"
        return LIKE_SLOT + digest(self.agreement_id, str(self.price), str(self.description), str(due) + kind)


def digest(*parts: str) -> str:
    """One name for several parts, of a length that fits a column."""
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()


async def make_charges(deps: Deps, caller: Caller, items: Sequence[ChargeMake | Malformed]) -> BatchResult[Charge]:
    """Decide, store, call, store. An item whose outcome is open is answered with an error and finished later."""
    caller.require(Scope.CHARGES_WRITE)
    check_size(items, deps.limits.max_sync_batch)
    sheet = Sheet(len(items))
    wanted = await _new_ones(deps, caller, _readable(caller, items, sheet), sheet)
    agreements = await chargeable_agreements(deps, caller, [make.agreement_id for make in wanted.values()])
    accounts = await _accounts(deps, caller.shop)
    drafts = await _decide(deps, caller, wanted, agreements, sheet, accounts=accounts)
    async with deps.store.begin() as unit:
        added = await unit.charges.add_all(list(drafts.values()))
        await unit.audit.add([_stored(charge) for charge in drafts.values() if charge.id in added])
        taken = [str(charge.slot) for charge in drafts.values() if charge.id not in added]
        earlier = await unit.charges.by_slots(caller.shop, taken)
    others = {index: draft for index, draft in drafts.items() if draft.id not in added}
    await _again(deps, sheet, {it: (wanted[it], earlier.get(str(draft.slot))) for it, draft in others.items()})
    mine = {index: draft for index, draft in drafts.items() if draft.id in added}
    if mine:
        async with held(deps, list(mine.values())):
            await _send(deps, mine, accounts, sheet)
    return sheet.result()  # type: ignore[return-value]


async def _new_ones(deps: Deps, caller: Caller, wanted: dict[int, ChargeMake], sheet: Sheet) -> dict[int, ChargeMake]:
    """What was asked for before under the caller's own id is answered as it was, whatever has changed since.

    An order id is taken, too, where Vipps knows a charge by it that was made in another way.
    """
    slots = {index: it.slot(caller, it.due) for index, it in wanted.items() if it.order_id or it.idempotency_key}
    order_ids = [it.order_id for it in wanted.values() if it.order_id]
    async with deps.store.begin() as unit:
        by_slot = await unit.charges.by_slots(caller.shop, list(slots.values()))
        by_order_id = await unit.charges.with_order_ids(caller.shop, order_ids)
    found = {
        index: by_slot.get(slots.get(index, "")) or by_order_id.get(make.order_id or "")
        for index, make in wanted.items()
    }
    await _again(deps, sheet, {index: (wanted[index], earlier) for index, earlier in found.items() if earlier})
    return {index: make for index, make in wanted.items() if found[index] is None}


def _readable(caller: Caller, items: Sequence[ChargeMake | Malformed], sheet: Sheet) -> dict[int, ChargeMake]:
    slots: dict[str, int] = {}
    wanted: dict[int, ChargeMake] = {}
    for index, item in enumerate(items):
        if isinstance(item, Malformed):
            sheet.refuse(index, item.id, item.error)
            continue
        try:
            slot = item.checked().slot(caller, item.due)
            if slot in slots:
                raise Duplicate(
                    f"the same as item {slots[slot]} of this batch; if both are meant, give each its own orderId",
                    field="orderId",
                )
            slots[slot] = index
            wanted[index] = item
        except RecurringError as error:
            sheet.refuse(index, item.agreement_id, error)
    return wanted


async def _accounts(deps: Deps, shop: str) -> dict[str, Account]:
    async with deps.store.begin() as unit:
        return {account.id: account for account in await unit.accounts.of_shop(shop)}


async def _decide(
    deps: Deps,
    caller: Caller,
    wanted: Mapping[int, ChargeMake],
    agreements: Mapping[str, Agreement | RecurringError],
    sheet: Sheet,
    *,
    accounts: Mapping[str, Account],
) -> dict[int, Charge]:
    """The rules, item by item in order, so that the batch's own earlier items count towards the limit."""
    known = [agreement_id for agreement_id, found in agreements.items() if isinstance(found, Agreement)]
    async with deps.store.begin() as unit:
        taken = {key: list(value) for key, value in (await unit.charges.taken(caller.shop, known)).items()}
    drafts: dict[int, Charge] = {}
    for index, make in wanted.items():
        found = agreements[make.agreement_id]
        try:
            if isinstance(found, RecurringError):
                raise found
            draft = new_charge(deps, caller, found, accounts.get(found.account_id), make)
            check_limit(found, taken[make.agreement_id], draft.amount, draft.due)
        except RecurringError as error:
            sheet.refuse(index, make.agreement_id, error)
            continue
        taken[make.agreement_id].append((draft.due, draft.amount.minor))
        drafts[index] = draft
    return drafts


def new_charge(
    deps: Deps, caller: Caller, agreement: Agreement, account: Account | None, make: ChargeMake, **more: Any
) -> Charge:
    """The row of a new charge, leased to whoever makes it: nobody else sends it until the lease runs out."""
    agreement.require_active()
    if make.transaction_type is TransactionType.RESERVE_CAPTURE and account and account.api_version is ApiVersion.V2:
        raise InvalidInput(
            "v2 collects a charge at once; to reserve it first, set the account to v3: account set --api-version v3",
            field="transactionType",
        )
    now = deps.clock()
    amount = Money(make.price, agreement.price.currency)
    check_amount(amount, "price")
    lead, retry = (account.lead_days, account.retry_days) if account else (2, 0)
    due = check_due(make.due, today(deps)) if make.due else today(deps) + timedelta(days=lead)
    row_id = str(uuid.uuid4())
    defaults: dict[str, Any] = {"origin": ChargeOrigin.API, "slot": make.slot(caller, due)}
    return Charge(
        id=row_id,
        shop=caller.shop,
        account_id=agreement.account_id,
        agreement_id=make.agreement_id,
        order_id=make.order_id or f"vr-{row_id}",
        idempotency_key=key_for("create-charge", row_id),
        amount=amount,
        description=make.description or agreement.product_name[:DESCRIPTION_MAX],
        due=due,
        retry_days=retry if make.retry_days is None else make.retry_days,
        status=ChargeStatus.NEW,
        created_at=now,
        actor=caller.actor,
        transaction_type=make.transaction_type,
        api_version=account.api_version.value if account else None,
        attempts=1,
        lease_until=lease_end(deps),
        **(defaults | more),
    )


async def _again(deps: Deps, sheet: Sheet, asked: Mapping[int, tuple[ChargeMake, Charge | None]]) -> None:
    """Answer items that were asked for before: the same charge for the same key, never a second one."""

    async def answer(it: tuple[ChargeMake, Charge | None]) -> Charge:
        return await _earlier_charge(deps, *it)

    answers = await each(deps, list(asked.values()), lambda it: it[0].agreement_id, answer)
    for index, it in zip(asked, answers.items, strict=True):
        if it.error is not None:
            sheet.refuse(index, it.id, it.error)
        else:
            sheet.answer(index, it.id, it.value)


async def _earlier_charge(deps: Deps, make: ChargeMake, earlier: Charge | None) -> Charge:
    if earlier is None:
        raise Duplicate("the same charge is being made by another request; look at the agreement's charges")
    name = earlier.charge_id or earlier.order_id
    if make.order_id is None and make.idempotency_key is None:
        raise Duplicate(
            f"a charge with the same price, description and due date exists as {name} ({earlier.status}); "
            "if another one is meant, give it an orderId (charge_id) of its own",
            field="orderId",
        )
    same = (
        earlier.agreement_id == make.agreement_id
        and earlier.amount.minor == make.price
        and make.description in (None, earlier.description)
        and make.due in (None, earlier.due)
        and make.order_id in (None, earlier.order_id)
        and make.transaction_type is earlier.transaction_type
    )
    if not same:
        raise Duplicate(
            f"this id was used for another charge, {name} of {earlier.amount.minor} on {earlier.agreement_id}",
            field="orderId",
        )
    if earlier.status is ChargeStatus.NEW:
        earlier = await resume_charge(deps, earlier.shop, earlier.id) or earlier
    if earlier.status is ChargeStatus.REJECTED:
        raise Rejected(earlier.failure or "Vipps refused this charge", provider_code=earlier.failure_code)
    if earlier.dead is not None:
        raise OutcomeUnknown(f"{name} was {earlier.dead}; staff can have it tried again, do not make it anew")
    if earlier.status is ChargeStatus.NEW:
        raise OutcomeUnknown(
            f"{name} was sent and its outcome is not known yet; it is followed up, do not make it anew"
        )
    return earlier


async def _send(deps: Deps, drafts: Mapping[int, Charge], accounts: Mapping[str, Account], sheet: Sheet) -> None:
    allowed = await _allowed(deps, drafts, accounts)

    async def send(entry: tuple[int, Charge]) -> tuple[int, Sent]:
        index, draft = entry
        if index not in allowed:
            return index, later(deps, draft, too_many(Granted(0, _NEXT_MINUTE)))
        return index, await send_charge(deps, accounts.get(draft.account_id), draft, permitted=True)

    async def keep(group: list[tuple[int, Sent]]) -> None:
        await store_sent(deps, [sent for _, sent in group])
        for index, sent in group:
            if sent.error is None:
                sheet.answer(index, sent.charge.agreement_id, sent.charge)
            else:
                sheet.refuse(index, sent.charge.agreement_id, sent.error)

    await pour(list(drafts.items()), send, keep, deps.limits.concurrency)


async def _allowed(deps: Deps, drafts: Mapping[int, Charge], accounts: Mapping[str, Account]) -> frozenset[int]:
    """Which of the charges may be sent now, within the minute's limit; a job sends the others."""
    allowed: set[int] = set()
    for account_id in dict.fromkeys(it.account_id for it in drafts.values()):
        wanted = [index for index, it in drafts.items() if it.account_id == account_id]
        account = accounts.get(account_id)
        count = (await permitted(deps, account, CREATE_CHARGE, len(wanted))).count if account else len(wanted)
        allowed |= set(wanted[:count])
    return frozenset(allowed)


@dataclass(frozen=True, slots=True)
class AgreementCharges:
    """One agreement's charges as Vipps shows them now, and our rows of them by charge id.

    `waiting` are those that are stored and that Vipps does not have, or is not known to have, yet.
    """

    agreement: Agreement
    seen: Sequence[SeenCharge]
    rows: Mapping[str, Charge]
    waiting: Sequence[Charge] = ()


async def get_charges(
    deps: Deps, caller: Caller, agreement_ids: Sequence[str | Malformed]
) -> BatchResult[AgreementCharges]:
    """Every item is one call to Vipps; an agreement named twice is answered twice from the one call."""
    caller.require(Scope.CHARGES_READ)
    check_size(agreement_ids, deps.limits.max_sync_batch)
    ids = list(dict.fromkeys(it for it in agreement_ids if isinstance(it, str)))
    agreements = await find_agreements(deps, caller, ids)

    async def ask(agreement_id: str) -> AgreementCharges:
        found = agreements[agreement_id]
        if isinstance(found, RecurringError):
            raise found
        account = await account_of(deps, caller.shop, found.account_id)
        seen = await deps.provider(account).list_charges(agreement_id)
        rows = await observe_charges(deps, caller.actor, found, seen)
        async with deps.store.begin() as unit:
            ours = await unit.charges.of_agreements(caller.shop, [agreement_id])
        waiting = [it for it in ours if it.status is ChargeStatus.NEW and it.order_id not in rows]
        return AgreementCharges(found, seen, rows, waiting)

    answers = {item.id: item for item in (await each(deps, ids, str, ask)).items}
    sheet = Sheet(len(agreement_ids))
    for index, it in enumerate(agreement_ids):
        if isinstance(it, Malformed):
            sheet.refuse(index, it.id, it.error)
        elif (error := answers[it].error) is not None:
            sheet.refuse(index, it, error)
        else:
            sheet.answer(index, it, answers[it].value)
    return sheet.result()  # type: ignore[return-value]


async def get_charge(deps: Deps, caller: Caller, agreement_id: str, charge_id: str) -> Charge:
    """One charge, read from Vipps now."""
    caller.require(Scope.CHARGES_READ)
    check_id(charge_id, "chargeId")
    agreement = await find_agreement(deps, caller, agreement_id)
    return await refresh_charge(deps, caller.actor, agreement, charge_id)


async def refresh_charge(deps: Deps, actor: str, agreement: Agreement, charge_id: str) -> Charge:
    account = await account_of(deps, agreement.shop, agreement.account_id)
    try:
        seen = await deps.provider(account).get_charge(agreement.agreement_id or "", charge_id)
    except Rejected as error:
        if error.unknown_object and (open_ := await open_charge(deps, agreement, charge_id)) is not None:
            return open_
        if error.unknown_object:
            raise NotFound(f"no charge {charge_id} on agreement {agreement.agreement_id}", field="chargeId") from error
        raise
    rows = await observe_charges(deps, actor, agreement, [seen])
    return rows[charge_id]


async def open_charge(deps: Deps, agreement: Agreement, order_id: str) -> Charge | None:
    """A charge of ours that Vipps does not have: not yet, or not at all."""
    async with deps.store.begin() as unit:
        found = await unit.charges.find(agreement.shop, agreement.agreement_id or "", [order_id])
    row = found.get(order_id)
    return row if row is not None and row.unmade else None


def _stored(charge: Charge) -> AuditEntry:
    return AuditEntry(
        charge.shop, charge.actor, "charge.stored", charge.order_id, charge.created_at, after=charge.status
    )
