"""Do our books equal Vipps' books? Compared account by account; what can be repaired forward is, the rest is told."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from app.domain.account import Account, Installation
from app.domain.agreement import Agreement, AgreementStatus
from app.domain.charge import ORDER_SLOT, Charge, ChargeOrigin, ChargeStatus, SeenCharge
from app.domain.errors import NotFound, ProviderError, RecurringError, Rejected
from app.domain.limits import LIST_AGREEMENTS
from app.domain.provider import SeenAgreement
from app.domain.records import AuditEntry, Finding, FindingKind
from app.domain.subscription import SubscriptionStatus
from app.usecases.batches import each
from app.usecases.installations import installed
from app.usecases.known import merge_agreement, observe_agreement, observe_charges, refresh_agreement
from app.usecases.orders import charge_order
from app.usecases.permits import require_permit, told_to_wait
from app.usecases.ports import Deps, Job
from app.usecases.unpaid import given_up

ACTOR = "system:reconcile"
RECONCILED = "account.reconciled"
_PAGE = 500
_PATIENCE = 180.0  # seconds to wait for a place under the limit of five lists a minute
_LATE = timedelta(days=45)  # how long after they were due the charges of a stopped agreement are still compared
_LOST_ORDERS = timedelta(days=7)
_OPEN = timedelta(minutes=15)
# A charge goes from one to the next by itself, and nobody is told: that our row lags behind is no difference.
_WAITING = frozenset({ChargeStatus.PENDING, ChargeStatus.DUE, ChargeStatus.PROCESSING})
_ALL_KNOWN = (
    AgreementStatus.PENDING,
    AgreementStatus.ACTIVE,
    AgreementStatus.STOPPED,
    AgreementStatus.EXPIRED,
    AgreementStatus.UNKNOWN,
)


@dataclass(slots=True)
class Reconciliation:
    """What was compared for one account, and what differed. `trouble` is why it could not be finished."""

    account: Account
    agreements: int = 0
    charges: int = 0
    orders: int = 0
    findings: list[Finding] = field(default_factory=list)
    trouble: str = ""

    @property
    def open_findings(self) -> Sequence[Finding]:
        return [it for it in self.findings if not it.repaired]


async def reconcile_account(deps: Deps, account: Account) -> Reconciliation:
    """Never raises for what the other side does: what could not be asked is told as trouble or as a finding."""
    books, compared = Reconciliation(account), False
    try:
        active = await _active_there(deps, account)
        mine = await _compare_agreements(deps, account, active, books)
        await _unknown_here(deps, account, active, mine, books)
        if any(it.kind is FindingKind.AGREEMENT_UNKNOWN_HERE for it in books.findings):
            await _look_back(deps, account)
        compared = True
        await _lost_orders(deps, account, books)
    except RecurringError as error:
        books.trouble = error.message
    what = AuditEntry(
        account.shop,
        ACTOR,
        RECONCILED,
        account.id,
        deps.clock(),
        after=f"{books.agreements} agreements, {books.charges} charges, {len(books.findings)} differences",
        reason=books.trouble,
    )
    async with deps.store.begin() as unit:
        if compared:  # or what is known from the last time stays known
            await unit.findings.replace(account.shop, account.id, books.findings)
        await unit.audit.add([what])
    return books


async def _active_there(deps: Deps, account: Account) -> dict[str, SeenAgreement]:
    """Vipps' list of ACTIVE agreements; what is not in it is asked for one by one."""
    found: dict[str, SeenAgreement] = {}
    page: int | None = 1
    while page is not None:
        await require_permit(deps, account, LIST_AGREEMENTS, patience=_PATIENCE)
        try:
            answer = await deps.provider(account).list_agreements(AgreementStatus.ACTIVE, page=page)
        except ProviderError as error:
            await told_to_wait(deps, account, LIST_AGREEMENTS, error)
            raise
        found |= {it.agreement_id: it for it in answer.items}
        page = answer.next_page
    return found


async def _compare_agreements(
    deps: Deps, account: Account, active: dict[str, SeenAgreement], books: Reconciliation
) -> set[str]:
    """Ours, page by page, each with its charges; the ids of all that we know."""
    known: set[str] = set()
    after = ""
    while True:
        async with deps.store.begin() as unit:
            rows = await unit.agreements.of_account_after(account.shop, account.id, after, _ALL_KNOWN, _PAGE)
            charges = await unit.charges.of_agreements(account.shop, [it.agreement_id or "" for it in rows])
        if not rows:
            return known
        after = rows[-1].id
        known |= {it.agreement_id or "" for it in rows}
        books.agreements += len(rows)
        of: dict[str, list[Charge]] = {}
        for charge in charges:
            of.setdefault(charge.agreement_id, []).append(charge)

        async def compare(row: Agreement, of: dict[str, list[Charge]] = of) -> None:
            name = row.agreement_id or ""
            try:
                await _compare(deps, account, row, active.get(name), of.get(name, []), books)
            except ProviderError as error:
                books.findings.append(_finding(deps, row, FindingKind.UNREADABLE, row.status, error.message))

        for item in (await each(deps, rows, lambda it: it.id, compare)).items:
            if item.error is not None:
                row = rows[item.index]
                books.findings.append(_finding(deps, row, FindingKind.UNREADABLE, row.status, item.error.message))


async def _compare(
    deps: Deps,
    account: Account,
    row: Agreement,
    seen: SeenAgreement | None,
    charges: Sequence[Charge],
    books: Reconciliation,
) -> None:
    try:
        row = await _compare_agreement(deps, row, seen, books)
    except Rejected as error:
        if not error.unknown_object:
            raise
        books.findings.append(_finding(deps, row, FindingKind.AGREEMENT_UNKNOWN_THERE, row.status, "not there"))
        return
    unsettled = any(not charge.status.final for charge in charges)
    recent = any(charge.due > (deps.clock() - _LATE).date() for charge in charges)
    if row.status is AgreementStatus.ACTIVE or unsettled or recent:
        await _compare_charges(deps, account, row, charges, books)


async def _compare_agreement(
    deps: Deps, row: Agreement, seen: SeenAgreement | None, books: Reconciliation
) -> Agreement:
    if seen is None:
        if row.status.final:
            return row
        after, _ = await refresh_agreement(deps, ACTOR, row)
    elif replace(merge_agreement(row, seen, deps.clock()), checked_at=row.checked_at) != row:
        after = await observe_agreement(deps, ACTOR, row, seen)
    else:
        after = row
    if after.status is not row.status:
        books.findings.append(
            _finding(deps, row, FindingKind.AGREEMENT_STATUS, row.status, after.status, repaired=True)
        )
    elif seen is not None and row.contradicts(seen.status):
        books.findings.append(_finding(deps, row, FindingKind.AGREEMENT_STATUS, row.status, seen.status))
    return after


async def _compare_charges(
    deps: Deps, account: Account, row: Agreement, before: Sequence[Charge], books: Reconciliation
) -> None:
    seen = await deps.provider(account).list_charges(row.agreement_id or "")
    # What was open when we asked may have been sent since: only what Vipps had then is compared.
    after = await observe_charges(deps, ACTOR, row, seen)
    books.charges += len(seen)
    ours = {it.charge_id: it for it in before if it.charge_id} | {
        it.order_id: it for it in before if it.charge_id is None
    }
    for it in seen:
        books.findings += _differences(deps, row, ours.get(it.charge_id), it, after.get(it.charge_id))
    there = {it.charge_id for it in seen}
    gone = [it for it in before if it.charge_id and it.charge_id not in there]
    for charge in gone:
        books.findings.append(
            _finding(deps, row, FindingKind.CHARGE_UNKNOWN_THERE, charge.status, "not there", charge.charge_id)
        )
    open_ = [it for it in before if it.status is ChargeStatus.NEW and it.created_at < deps.clock() - _OPEN]
    await deps.jobs.enqueue(Job.CHARGE_CHUNK, row.shop, [it.id for it in open_])
    told = [it.id for it in after.values() if it.in_saleor and it.reported != it.shown]
    await deps.jobs.enqueue(Job.NOTIFY_SHOP, row.shop, told)


def _differences(
    deps: Deps, row: Agreement, before: Charge | None, seen: SeenCharge, after: Charge | None
) -> list[Finding]:
    if before is None or after is None or before.id != after.id:
        if after is not None and after.origin in {ChargeOrigin.API, ChargeOrigin.ORDER, ChargeOrigin.RENEWAL}:
            return []  # made while we were comparing
        text = f"{seen.status} {seen.amount}"
        return [
            _finding(deps, row, FindingKind.CHARGE_UNKNOWN_HERE, "unknown", text, seen.charge_id, repaired=bool(after))
        ]
    found: list[Finding] = []
    if before.contradicts(seen):
        found.append(_finding(deps, row, FindingKind.CHARGE_STATUS, before.status, seen.status, seen.charge_id))
    elif before.status is not after.status and not {before.status, after.status} <= _WAITING:
        found.append(
            _finding(deps, row, FindingKind.CHARGE_STATUS, before.status, seen.status, seen.charge_id, repaired=True)
        )
    ours, theirs = _sums(before), _sums(seen)
    if ours != theirs:
        repaired = _sums(after) == theirs
        found.append(_finding(deps, row, FindingKind.CHARGE_AMOUNT, ours, theirs, seen.charge_id, repaired=repaired))
    return found


def _sums(charge: Charge | SeenCharge) -> str:
    amount = charge.amount if isinstance(charge, SeenCharge) else charge.amount.minor
    return f"{amount} charged, {charge.captured} captured, {charge.refunded} refunded"


async def _unknown_here(
    deps: Deps, account: Account, active: dict[str, SeenAgreement], known: set[str], books: Reconciliation
) -> None:
    """Not taken over: another system may share the merchant serial number. Whoever names them makes them known.

    What another account or shop of ours knows is compared there.
    """
    now, rest = deps.clock(), sorted(active.keys() - known)
    async with deps.store.begin() as unit:
        of_shop = await unit.agreements.many(account.shop, rest)
        elsewhere = await unit.agreements.belongs_elsewhere(account.shop, account.environment.value, rest)
    for agreement_id in [it for it in rest if it not in of_shop and it not in elsewhere]:
        books.findings.append(
            Finding(
                account.shop,
                account.id,
                FindingKind.AGREEMENT_UNKNOWN_HERE,
                agreement_id,
                "unknown",
                active[agreement_id].status,
                repaired=False,
                found_at=now,
            )
        )


async def _look_back(deps: Deps, account: Account) -> None:
    """One of them may be what a customer has approved by a pay link, before the database was restored from a backup."""
    after = ""
    while True:
        async with deps.store.begin() as unit:
            page = await unit.subscriptions.page_after(account.shop, after, [SubscriptionStatus.HELD], _PAGE)
            mine = [it for it in page if it.account_id == account.id]
            unpaid = [next(given_up(it, await unit.renewals.of_subscription(it.shop, it.id)), None) for it in mine]
        if not page:
            return
        after = page[-1].id
        await deps.jobs.enqueue(Job.RENEW, account.shop, [it.id for it in unpaid if it is not None])


async def _lost_orders(deps: Deps, account: Account, books: Reconciliation) -> None:
    """Orders that name an agreement and of which no webhook ever arrived."""
    try:
        installation = await installed(deps, account.shop)
    except NotFound:
        return
    ids = await deps.shop.orders_with_agreement(installation, deps.clock() - _LOST_ORDERS)
    books.orders = len(ids)
    async with deps.store.begin() as unit:
        charged = await unit.charges.by_slots(account.shop, [ORDER_SLOT + it for it in ids])
    for order_id in [it for it in ids if ORDER_SLOT + it not in charged]:
        await _charge_lost(deps, installation, account, order_id, books)


async def _charge_lost(
    deps: Deps, installation: Installation, account: Account, order_id: str, books: Reconciliation
) -> None:
    try:
        if not await _is_of_account(deps, installation, account, order_id):
            return
        await charge_order(deps, installation, order_id)
    except ProviderError as error:
        books.trouble = books.trouble or error.message
        return
    async with deps.store.begin() as unit:
        charge = (await unit.charges.by_slots(account.shop, [ORDER_SLOT + order_id])).get(ORDER_SLOT + order_id)
    if charge is not None and charge.account_id == account.id:
        books.findings.append(
            Finding(
                account.shop,
                account.id,
                FindingKind.ORDER_NOT_CHARGED,
                charge.agreement_id,
                f"order {order_id} had no charge",
                charge.status,
                repaired=True,
                found_at=deps.clock(),
                charge_id=charge.charge_id or charge.order_id,
            )
        )


async def _is_of_account(deps: Deps, installation: Installation, account: Account, order_id: str) -> bool:
    """An order that names another account's agreement has its turn there; one that names none is told so."""
    order = await deps.shop.order(installation, order_id)
    async with deps.store.begin() as unit:
        agreement = await unit.agreements.get(account.shop, (order.agreement_id if order else None) or "")
    return agreement is None or agreement.account_id == account.id


def _finding(
    deps: Deps,
    row: Agreement,
    kind: FindingKind,
    ours: str,
    theirs: str,
    charge_id: str | None = None,
    *,
    repaired: bool = False,
) -> Finding:
    return Finding(
        row.shop,
        row.account_id,
        kind,
        row.agreement_id or "",
        str(ours),
        str(theirs),
        repaired,
        deps.clock(),
        charge_id,
    )
