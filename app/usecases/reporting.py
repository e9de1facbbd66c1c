"""Saleor's transactions: what became of charges is told there, each event once, by reports that are stored first."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime

from app.domain.account import Installation
from app.domain.agreement import Agreement
from app.domain.charge import Charge, ChargeOrigin
from app.domain.errors import NotFound, ProviderError, RecurringError, Rejected
from app.domain.money import Money
from app.domain.records import AuditEntry
from app.domain.renewal import RenewalStatus
from app.domain.reports import Wish, actions_of, reference_of, reports_of, wanted
from app.domain.transaction import EventType, Report, ReportStatus
from app.usecases.batches import unforeseen
from app.usecases.installations import installed
from app.usecases.ports import Deps, Job, Unit
from app.usecases.retries import given_up, next_attempt
from app.usecases.sending import lease_end

ACTOR = "system:report"
PROBLEM = "vipps-recurring-report"
NAME = "Vipps MobilePay"
_GONE = "the app is no longer installed in this shop"


@dataclass(frozen=True, slots=True)
class _Written:
    """Rows that jobs have to be told of once the transaction that wrote them has ended."""

    reports: Sequence[str] = ()
    renewal: str | None = None


async def settle_report(deps: Deps, installation: Installation, claimed: Charge) -> None:
    """The end of showing a charge that `claim_report` gave: its transaction, its renewal, and that it is shown.

    In one transaction under a lock of the row, so that an operation which ends meanwhile is either told of here or
    has it shown again.
    """
    transaction = await _ensure_transaction(deps, installation, claimed)
    async with deps.store.begin() as unit:
        reports = await _write(deps, unit, claimed, transaction) if transaction else ()
        written = _Written(reports, await _woken(deps, unit, claimed, refused=transaction is None))
        await unit.charges.mark_reported(claimed.shop, claimed.id, claimed.shown)
    await _carry_on(deps, claimed.shop, written)


async def _ensure_transaction(deps: Deps, installation: Installation, charge: Charge) -> str | None:
    if charge.saleor_transaction is not None or charge.saleor_order is None:
        return charge.saleor_transaction
    reference = reference_of(charge)
    shown = await deps.shop.transactions_of(installation, charge.saleor_order)
    found = next((it.id for it in shown if it.psp_reference == reference), None)
    if found is None:
        message = f"Vipps agreement {charge.agreement_id}"
        try:
            found = await deps.shop.create_transaction(installation, charge.saleor_order, reference, NAME, message)
        except Rejected as error:
            # The order is gone, or cannot have one: its metadata and notes are all that tells of the charge.
            await _note(deps, charge.shop, "transaction.refused", charge.order_id, error.message)
            return None
    async with deps.store.begin() as unit:
        await unit.charges.link_transaction(charge.shop, charge.id, found)
    return found


async def _write(deps: Deps, unit: Unit, charge: Charge, transaction: str) -> Sequence[str]:
    """Store what is missing; the ids of the new reports. The row is locked, and its operations are read after it."""
    name = charge.charge_id or charge.order_id
    row = (await unit.charges.find(charge.shop, charge.agreement_id, [name], lock=True)).get(name, charge)
    names = {row.order_id, row.charge_id}
    operations = [it for it in await unit.operations.of_agreement(row.shop, row.agreement_id) if it.charge_id in names]
    known = await unit.reports.of_transaction(row.shop, transaction)
    now = deps.clock()
    reports = reports_of(row.shop, transaction, wanted(row, operations, known, now), known, now)
    added = await unit.reports.add_all(reports)
    return [it.id for it in reports if it.id in added]


async def _carry_on(deps: Deps, shop: str, written: _Written) -> None:
    if written.reports:
        await deps.jobs.enqueue(Job.REPORT, shop, written.reports)
    if written.renewal is not None:
        await deps.jobs.enqueue(Job.RENEW, shop, [written.renewal])


async def send_report(deps: Deps, shop: str, report_id: str) -> None:
    """Tell Saleor one event; those of a transaction go one after another, as they were stored."""
    async with deps.store.begin() as unit:
        report = await unit.reports.claim(shop, report_id, deps.clock(), lease_end(deps))
    if report is None:
        return
    try:
        await deps.shop.report_event(await installed(deps, shop), report)
    except NotFound:
        await _ended(deps, report, ReportStatus.REFUSED, _GONE)
    except Rejected as error:
        # It will never be taken: Saleor's books differ from Vipps' until a person has looked.
        await _ended(deps, report, ReportStatus.REFUSED, error.message)
        await _tell_staff(deps, report, f"Saleor refuses it: {error.message}")
    except ProviderError as error:
        await _later(deps, report, error)
    except Exception as error:  # noqa: BLE001  # the row must not be lost to a mistake of ours
        await _later(deps, report, unforeseen(deps, error))
    else:
        await _ended(deps, report, ReportStatus.DONE)


async def _ended(deps: Deps, report: Report, status: ReportStatus, failure: str | None = None) -> None:
    async with deps.store.begin() as unit:
        await unit.reports.settle(report.shop, report.id, status, failure)
        ended = await _what_waited(deps, unit, report)
    await _carry_on(deps, report.shop, ended)


async def _later(deps: Deps, report: Report, error: RecurringError) -> None:
    dead = given_up(deps, report.attempts, error)
    at = None if dead else next_attempt(deps, report.attempts, report.created_at, error)
    failed = replace(report, failure=error.message, next_attempt_at=at, lease_until=None, dead=dead)
    async with deps.store.begin() as unit:
        await unit.reports.retry(failed)
        waited = await _what_waited(deps, unit, report) if dead else _Written()
    if at is not None:
        await deps.jobs.enqueue(Job.REPORT, report.shop, [report.id], after=at - deps.clock())
    if dead is not None:
        await _carry_on(deps, report.shop, waited)
        await _tell_staff(deps, report, dead)


async def _what_waited(deps: Deps, unit: Unit, report: Report) -> _Written:
    """The next report of the transaction, and the renewal that waits for its payment to be shown."""
    known = await unit.reports.of_transaction(report.shop, report.transaction)
    waiting = [it.id for it in known if it.status is ReportStatus.WAITING and it.dead is None]
    charge = await unit.charges.by_transaction(report.shop, report.transaction)
    return _Written(waiting[:1], await _woken(deps, unit, charge) if charge else None)


async def _woken(deps: Deps, unit: Unit, charge: Charge, *, refused: bool = False) -> str | None:
    # An initial charge may pay a renewal too, by a link.
    if charge.origin not in {ChargeOrigin.RENEWAL, ChargeOrigin.INITIAL}:
        return None
    renewal = await unit.renewals.by_charge(charge.shop, charge.id)
    # It asks for a refused transaction again by itself, with pauses: waking it here would leave out the pauses.
    if renewal is None or (refused and renewal.status is RenewalStatus.COLLECTED):
        return None
    await unit.renewals.wake(charge.shop, renewal.id, deps.clock())
    return renewal.id


async def _tell_staff(deps: Deps, report: Report, why: str) -> None:
    what = f"{report.type} of {report.amount} ({report.psp_reference}) is not shown on transaction {report.transaction}"
    await _note(deps, report.shop, "report.refused", report.psp_reference, f"{report.type} {report.amount}: {why}")
    with suppress(RecurringError):
        message = f"{what}: {why}. Compare the transaction with the charge at Vipps."
        await deps.shop.raise_problem(await installed(deps, report.shop), PROBLEM, message)


async def _note(deps: Deps, shop: str, action: str, name: str, reason: str) -> None:
    async with deps.store.begin() as unit:
        await unit.audit.add([AuditEntry(shop, ACTOR, action, name, deps.clock(), reason=reason)])


async def tell_of_stop(unit: Unit, agreement: Agreement, actor: str, now: datetime) -> Sequence[str]:
    """Have a stop that was not ours told on the agreement's newest transaction; ids of reports, for Job.REPORT."""
    name = agreement.agreement_id or ""
    charges = [it for it in await unit.charges.of_agreements(agreement.shop, [name]) if it.saleor_transaction]
    newest = max(charges, key=lambda it: it.created_at, default=None)
    session = None if newest else await unit.sessions.of_agreement(agreement.shop, agreement.id)
    transaction = newest.saleor_transaction if newest else session.id if session else None
    if transaction is None:
        return ()
    who = "the customer, in the app," if actor == "USER" else actor
    text = f"Agreement {name} was stopped by {who} at Vipps: nothing more is charged on it."
    nothing = Money(0, agreement.price.currency)
    wish = Wish(f"{name}/stopped", EventType.INFO, nothing, now, text, actions_of(newest) if newest else ())
    known = await unit.reports.of_transaction(agreement.shop, transaction)
    reports = reports_of(agreement.shop, transaction, [wish], known, now)
    return list(await unit.reports.add_all(reports))
