"""What the use cases need from outside, by shape: a store, a shop, providers, jobs and a clock."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Protocol

from app.domain.account import Account, ApiClient, Installation
from app.domain.agreement import Agreement, AgreementStatus
from app.domain.buyer import Buyer, OrdersWanted
from app.domain.charge import Charge
from app.domain.figures import Bucket, DayTotal, Expected, Outcome, Recovered, Sums, Waiting
from app.domain.limits import CREATE_CHARGE, Granted
from app.domain.money import Currency
from app.domain.notice import Notice
from app.domain.operation import Operation
from app.domain.order import DraftOrder, Order, OrderReport, OrderTransaction, RenewalOrder, SourceOrder
from app.domain.provider import RecurringProvider, WebhookRegistry
from app.domain.records import (
    AgreementFilter,
    AppIdentity,
    AuditEntry,
    AuditFilter,
    CallEntry,
    Channel,
    ChargeFilter,
    DeadLetter,
    Failing,
    Finding,
    InboxEntry,
    Page,
    Webhook,
)
from app.domain.recovery import Recovery, RecoveryStatus
from app.domain.renewal import Renewal, RenewalFilter, RenewalReason, RenewalStatus
from app.domain.subscription import Alike, Subscriber, Subscription, SubscriptionStatus
from app.domain.transaction import Report, ReportStatus, Session
from app.usecases.locks import Turns

Clock = Callable[[], datetime]


class Installations(Protocol):
    async def get(self, shop: str, *, lock: bool = False) -> Installation | None: ...
    async def everywhere(self) -> Sequence[Installation]:
        """Those that stand."""
        ...

    async def put(self, installation: Installation) -> None: ...
    async def describe(self, shop: str, identity: AppIdentity) -> None:
        """Its name and version, unless another installation has taken its place."""
        ...

    async def renew_keys(self, shop: str, app_id: str, jwks: str) -> None:
        """Replace the key set of this very installation, if it still stands."""
        ...

    async def forget(self, shop: str, app_id: str, at: datetime) -> bool:
        """Deactivate this very installation; False where another one took its place.

        Erases the token, the key set and the accounts' secrets, and revokes the shop's API clients.
        """
        ...


class Accounts(Protocol):
    async def everywhere(self) -> Sequence[Account]:
        """The accounts of all shops: for the operator, never for a caller."""
        ...

    async def anywhere(self, account_id: str) -> Account | None:
        """An account whose shop is not known yet: for a webhook that names the account only."""
        ...

    async def get(self, shop: str, account_id: str) -> Account | None: ...
    async def of_shop(self, shop: str) -> Sequence[Account]: ...
    async def put(self, account: Account) -> None: ...


class Agreements(Protocol):
    async def get(self, shop: str, agreement_id: str, *, lock: bool = False) -> Agreement | None: ...
    async def disown(self, shop: str) -> int:
        """No customer owns an agreement of this shop any more; how many there were."""
        ...

    async def let_go(self, shop: str, row_id: str) -> None:
        """Take its slot away, so that the same may be drafted anew."""
        ...

    async def by_row(self, shop: str, row_id: str, *, lock: bool = False) -> Agreement | None: ...
    async def anywhere(self, row_id: str) -> Agreement | None:
        """Of whichever shop: for whoever proves by a signature that they may know it."""
        ...

    async def revoke_links(self, shop: str, row_id: str, seen: int | None = None) -> bool:
        """All links of its customer that were signed until now open nothing any more; with `seen` only if theirs is
        still this number.
        """
        ...

    async def by_slot(self, shop: str, slot: str) -> Agreement | None: ...
    async def stopped_by(self, shop: str, row_id: str, actor: str) -> bool:
        """Note who stopped it, if nobody has."""
        ...

    async def of_account_after(
        self, shop: str, account_id: str, after: str, statuses: Sequence[AgreementStatus], limit: int
    ) -> Sequence[Agreement]:
        """A page of an account's agreements that Vipps knows, by row id past `after`."""
        ...

    async def many(self, shop: str, agreement_ids: Sequence[str]) -> Mapping[str, Agreement]: ...
    async def belongs_elsewhere(self, shop: str, environment: str, agreement_ids: Sequence[str]) -> frozenset[str]:
        """Those of the ids that another shop's rows hold in that environment."""
        ...

    async def looked_at(self, shop: str, row_id: str, at: datetime) -> None: ...
    async def of_account(self, shop: str, account_id: str) -> int:
        """How many agreements an account has."""
        ...

    async def add(self, agreement: Agreement) -> bool:
        """False, and nothing done, where a row of that agreement exists."""
        ...

    async def save(self, agreement: Agreement) -> None: ...
    async def page(self, shop: str, filter_: AgreementFilter, page: Page) -> Sequence[Agreement]: ...
    async def count(self, shop: str, filter_: AgreementFilter) -> int: ...
    async def matching(self, shop: str, filter_: AgreementFilter, limit: int) -> Sequence[str]:
        """Vipps' ids of the newest of them."""
        ...

    async def unsettled(self, before: datetime, limit: int) -> Sequence[Agreement]:
        """Agreements of all shops that are NEW or PENDING and were last looked at before that time."""
        ...


class Charges(Protocol):
    async def get(self, shop: str, charge_row_id: str) -> Charge | None: ...
    async def find(
        self, shop: str, agreement_id: str, charge_ids: Sequence[str], *, lock: bool = False
    ) -> Mapping[str, Charge]: ...
    async def with_order_ids(self, shop: str, order_ids: Sequence[str]) -> Mapping[str, Charge]:
        """By order id or charge id whatever stands or may stand under it."""
        ...

    async def pay_order(self, shop: str, charge_row_id: str, order: str, slot: str) -> None:
        """An initial charge pays that order, and is shown on it; it takes what may be charged once for it."""
        ...

    async def give_to_order(self, charge: Charge, charge_row_id: str) -> bool:
        """Let a row that was only found be the charge of that order; False where it belongs to one already."""
        ...

    async def withdraw(self, shop: str, charge_row_id: str, reason: str) -> None:
        """Nobody wants it any more: it is found at Vipps and cancelled, or given up, but not sent again."""
        ...

    async def show_again(self, shop: str, charge_row_id: str) -> None:
        """Its order may show something else by now."""
        ...

    async def many(self, shop: str, charge_row_ids: Sequence[str]) -> Mapping[str, Charge]:
        """By row id."""
        ...

    async def named(self, shop: str, name: str) -> Sequence[Charge]:
        """Charges with that charge id, order id or Saleor order: what somebody on the phone may have in hand."""
        ...

    async def matching(self, shop: str, filter_: ChargeFilter, limit: int) -> Sequence[str]:
        """Row ids of the latest of them by due day."""
        ...

    async def page(self, shop: str, filter_: ChargeFilter, page: Page) -> Sequence[Charge]:
        """By due day."""
        ...

    async def newest_of_order(self, shop: str, order: str) -> Charge | None: ...
    async def of_agreements(self, shop: str, agreement_ids: Sequence[str]) -> Sequence[Charge]: ...
    async def of_batch(self, shop: str, batch_id: str) -> Sequence[Charge]:
        """What was sent in one request, in the order in which it was sent."""
        ...

    async def by_slots(self, shop: str, slots: Sequence[str]) -> Mapping[str, Charge]: ...
    async def taken(self, shop: str, agreement_ids: Sequence[str]) -> Mapping[str, Sequence[tuple[date, int]]]:
        """Per agreement, due date and minor units of every recurring charge that stands or may stand."""
        ...

    async def add_all(self, charges: Sequence[Charge]) -> frozenset[str]:
        """Insert what holds no taken slot; the row ids that were inserted."""
        ...

    async def save_all(self, charges: Sequence[Charge]) -> None: ...
    async def record_sent(self, charges: Sequence[Charge]) -> None:
        """Save the outcome of a call, unless the row is no longer NEW or another attempt has begun: they know more.

        Raises Duplicate, for the whole transaction, where one of them is a charge that another row holds already.
        """
        ...

    async def look_again(self, shop: str, charge_row_id: str, at: datetime | None) -> None: ...
    async def claim_report(self, shop: str, charge_row_id: str, now: datetime, until: datetime) -> Charge | None:
        """Lease a charge whose order does not show its status yet; None where it does or somebody else writes it."""
        ...

    async def mark_reported(self, shop: str, charge_row_id: str, shown: str) -> None:
        """Write down what (`Charge.shown`) the charge's order and transaction show, and give the lease back."""
        ...

    async def link_transaction(self, shop: str, charge_row_id: str, transaction: str) -> None:
        """The Saleor transaction that tells of this charge."""
        ...

    async def by_transaction(self, shop: str, transaction: str) -> Charge | None: ...

    async def claim(self, shop: str, charge_row_id: str, now: datetime, until: datetime) -> Charge | None:
        """Lease a NEW charge for sending; None where somebody else holds it or it is no longer NEW."""
        ...

    async def claim_all(
        self, shop: str, charge_row_ids: Sequence[str], now: datetime, until: datetime, batch_id: str | None = None
    ) -> Sequence[Charge]:
        """Lease those that `claim` would, in one go; what was never tried is put into the batch."""
        ...

    async def open_of(self, shop: str, charge_row_ids: Sequence[str]) -> Sequence[Charge]:
        """Those that are NEW."""
        ...

    async def wait_until(self, shop: str, charge_row_ids: Sequence[str], at: datetime) -> None:
        """Those that nobody holds are not tried before that time."""
        ...

    async def not_made(self, shop: str, charge_row_id: str, now: datetime) -> None:
        """What Vipps accepted in a batch came to nothing: if it is still open, it may be sent on its own."""
        ...

    async def hold_longer(self, shop: str, charge_row_ids: Sequence[str], until: datetime) -> None:
        """Renew the leases of those that are not settled yet."""
        ...

    async def unsent(self, now: datetime, limit: int) -> Sequence[Charge]:
        """NEW charges of all shops whose lease ran out and whose next attempt has come."""
        ...

    async def unsettled(self, now: datetime, limit: int) -> Sequence[Charge]:
        """Charges of all shops known to Vipps, not final, whose next look has come."""
        ...

    async def unreported(self, now: datetime, limit: int) -> Sequence[Charge]:
        """Charges of all shops with an order or a transaction that does not show their present state."""
        ...


class Operations(Protocol):
    async def get(self, shop: str, operation_id: str) -> Operation | None: ...
    async def by_slot(self, shop: str, slot: str) -> Operation | None: ...
    async def add(self, operation: Operation) -> bool:
        """False, and nothing done, where the slot or the lock is taken."""
        ...

    async def save(self, operation: Operation) -> bool:
        """Save the outcome of an attempt; False, and nothing done, where another attempt has begun or settled it."""
        ...

    async def claim(self, shop: str, operation_id: str, now: datetime, until: datetime) -> Operation | None: ...
    async def of_agreement(self, shop: str, agreement_id: str) -> Sequence[Operation]: ...
    async def unfinished(self, now: datetime, limit: int) -> Sequence[Operation]:
        """Of all shops; drafts apart, which whoever asks again finishes."""
        ...


class Inbox(Protocol):
    async def add(self, entry: InboxEntry) -> bool:
        """False where the same event is there already."""
        ...

    async def claim(self, shop: str, entry_id: str, now: datetime, until: datetime) -> InboxEntry | None: ...
    async def done(self, shop: str, entry_id: str, at: datetime, result: str) -> None: ...
    async def retry(self, shop: str, entry_id: str, at: datetime, error: str) -> None: ...
    async def dead(self, shop: str, entry_id: str, at: datetime, error: str) -> None:
        """Give up: kept with its reason, looked at by people, never taken up by itself again."""
        ...

    async def waiting(self, now: datetime, limit: int) -> Sequence[tuple[str, str]]:
        """(shop, entry id) of what is received, not leased and due."""
        ...


class Clients(Protocol):
    async def get(self, client_id: str) -> ApiClient | None: ...
    async def of_shop(self, shop: str) -> Sequence[ApiClient]: ...
    async def put(self, client: ApiClient) -> None: ...
    async def used(self, client_id: str, at: datetime) -> None: ...


class Audit(Protocol):
    async def add(self, entries: Sequence[AuditEntry]) -> None: ...
    async def of_object(self, shop: str, object_id: str) -> Sequence[AuditEntry]: ...
    async def page(
        self, shop: str, filter_: AuditFilter, before: int | None, limit: int
    ) -> Sequence[tuple[int, AuditEntry]]:
        """The newest first, each with its number; those with a smaller one than `before`."""
        ...


class Webhooks(Protocol):
    async def of_account(self, shop: str, account_id: str) -> Sequence[Webhook]: ...
    async def put(self, webhook: Webhook) -> None: ...
    async def remove(self, shop: str, webhook_id: str) -> None: ...
    async def forget(self, shop: str) -> None: ...


class Calls(Protocol):
    async def add(self, calls: Sequence[CallEntry]) -> None: ...
    async def of_agreement(self, shop: str, agreement_id: str, limit: int = 500) -> Sequence[CallEntry]:
        """The newest `limit`, oldest first."""
        ...

    async def of_key(self, shop: str, idempotency_key: str) -> Sequence[CallEntry]:
        """Calls that were about no single agreement, oldest first: batches."""
        ...

    async def prune(self, before: datetime) -> int: ...


class Findings(Protocol):
    async def replace(self, shop: str, account_id: str, findings: Sequence[Finding]) -> None: ...
    async def of_shop(self, shop: str) -> Sequence[Finding]: ...
    async def open_everywhere(self) -> int:
        """How many differences of all shops are left."""
        ...


class Allowances(Protocol):
    async def take(self, bucket: str, wanted: int, per_minute: int, now: datetime) -> Granted: ...
    async def emptied(self, bucket: str, now: datetime, retry_after: float | None) -> None: ...


class Workers(Protocol):
    async def seen(self, worker_id: str, at: datetime) -> None: ...
    async def gone(self, worker_id: str) -> None: ...
    async def since(self, at: datetime) -> int: ...


class Failures(Protocol):
    """Dead letters, wherever they lie."""

    async def of_shop(self, shop: str, limit: int) -> Sequence[DeadLetter]: ...
    async def everywhere(self, limit: int) -> Sequence[DeadLetter]: ...
    async def revive(self, shop: str, letter_id: str, now: datetime) -> Failing | None: ...
    async def count(self) -> int: ...


class Sessions(Protocol):
    async def get(self, shop: str, transaction: str) -> Session | None: ...
    async def of_agreement(self, shop: str, agreement_row: str) -> Session | None:
        """The newest one, where several transactions paid for the same agreement."""
        ...

    async def add(self, session: Session) -> bool:
        """False, and nothing done, where one of that transaction stands."""
        ...

    async def of_transactions(self, shop: str, transactions: Sequence[str]) -> Mapping[str, Session]: ...
    async def give_order(self, shop: str, transaction: str, order: str) -> None: ...
    async def mark_started(self, shop: str, transaction: str) -> None: ...
    async def unstarted(self, limit: int) -> Sequence[Session]:
        """Of all shops: those with an order whose agreement is ACTIVE and whose subscription does not stand yet."""
        ...


class Reports(Protocol):
    """The outbox of what Saleor's transactions have to be told."""

    async def add_all(self, reports: Sequence[Report]) -> frozenset[str]:
        """Insert those that are not there yet; their ids."""
        ...

    async def of_transaction(self, shop: str, transaction: str) -> Sequence[Report]:
        """Oldest first."""
        ...

    async def claim(self, shop: str, report_id: str, now: datetime, until: datetime) -> Report | None: ...
    async def settle(self, shop: str, report_id: str, status: ReportStatus, failure: str | None = None) -> None: ...
    async def retry(self, report: Report) -> None:
        """Store its failure, next attempt and perhaps `dead`, and give the lease back."""
        ...

    async def waiting(self, now: datetime, limit: int) -> Sequence[tuple[str, str]]:
        """(shop, report id) of all shops, by creation, whose turn has come and that nobody holds."""
        ...


class Subscriptions(Protocol):
    async def get(self, shop: str, subscription_id: str, *, lock: bool = False) -> Subscription | None: ...
    async def many(self, shop: str, subscription_ids: Sequence[str]) -> Mapping[str, Subscription]: ...
    async def by_agreements(self, shop: str, agreement_ids: Sequence[str]) -> Mapping[str, Subscription]:
        """By Vipps' agreement id."""
        ...

    async def add(self, subscription: Subscription, subscriber: Subscriber) -> bool:
        """False, and nothing done, where the agreement has one."""
        ...

    async def save(self, subscription: Subscription) -> bool:
        """Save what was read as `version`, as the next one; False, and nothing done, where somebody was quicker."""
        ...

    async def subscriber(self, shop: str, subscription_id: str) -> Subscriber | None: ...
    async def put_subscriber(self, shop: str, subscription_id: str, subscriber: Subscriber) -> None: ...
    async def claim_due(self, horizons: Mapping[str, date], limit: int) -> Sequence[Subscription]:
        """A page, locked until the transaction ends and skipping what others hold, of those of each account (by its id)
        that are ACTIVE, PAUSED, HELD or ENDING and whose `next_due` is that day or earlier; by next_due, then id.
        """
        ...

    async def advance_all(self, subscriptions: Sequence[Subscription]) -> None:
        """Save many that this transaction holds, each as its next version."""
        ...

    async def page_after(
        self, shop: str, after: str, statuses: Sequence[SubscriptionStatus], limit: int
    ) -> Sequence[Subscription]:
        """By id past `after`."""
        ...

    async def alike(self, shop: str) -> Sequence[Alike]:
        """Those that are ACTIVE or PAUSED, counted by the database."""
        ...

    async def overdue(self, before: Mapping[str, date], limit: int) -> Sequence[Subscription]:
        """For the watchdog: ACTIVE and ENDING ones of each account whose `next_due` is before that day."""
        ...

    async def without(self, shop: str | None, limit: int) -> Sequence[Session]:
        """Sessions whose agreement is ACTIVE and that have no subscription: approved, and no order came of it."""
        ...


class Renewals(Protocol):
    async def get(self, shop: str, renewal_id: str) -> Renewal | None: ...
    async def many(self, shop: str, renewal_ids: Sequence[str]) -> Mapping[str, Renewal]: ...
    async def by_charge(self, shop: str, charge_row: str) -> Renewal | None: ...
    async def by_order(self, shop: str, order: str) -> Renewal | None: ...
    async def of_subscription(self, shop: str, subscription_id: str, limit: int = 100) -> Sequence[Renewal]:
        """The newest `limit`, by period, oldest first."""
        ...

    async def of_subscriptions(
        self, shop: str, subscription_ids: Sequence[str], limit: int
    ) -> Mapping[str, Sequence[Renewal]]:
        """Per subscription that has any what `of_subscription` gives, all in one query."""
        ...

    async def page(self, shop: str, wanted: RenewalFilter, page: Page) -> Sequence[Renewal]:
        """By due day."""
        ...

    async def count(self, shop: str, wanted: RenewalFilter) -> int: ...
    async def anywhere(self, renewal_id: str) -> Renewal | None:
        """Of whichever shop: for whoever proves by a signature that they may know it."""
        ...

    async def add_all(self, renewals: Sequence[Renewal]) -> int:
        """Insert those whose period has no row yet; how many."""
        ...

    async def claim(self, shop: str, renewal_id: str, now: datetime, until: datetime) -> Renewal | None:
        """Lease one that is not final, not dead and whose next attempt has come."""
        ...

    async def take(self, renewal: Renewal, now: datetime, until: datetime) -> Renewal | None:
        """Lease one as it was read, final or not due as it may be; None where it changed or somebody holds it."""
        ...

    async def move(self, shop: str, subscription_id: str, to: Subscription, held: str) -> None:
        """All periods belong to another subscription now; those that are final keep their agreement. Whoever holds one,
        but the caller's `held`, has lost it.
        """
        ...

    async def hold_longer(self, shop: str, renewal_id: str, until: datetime) -> None: ...
    async def save(self, renewal: Renewal) -> bool:
        """Save what a claim gave (the same number of `attempts`); False where somebody else has taken it over."""
        ...

    async def wake(self, shop: str, renewal_id: str, now: datetime) -> None:
        """Its next attempt is now, if it is not final."""
        ...

    async def waiting(self, now: datetime, limit: int) -> Sequence[tuple[str, str]]:
        """(shop, renewal id) of all shops that are not final and not dead, whose turn has come, and nobody holds."""
        ...

    async def end_open(self, shop: str, subscription_id: str, reason: RenewalReason, text: str) -> Sequence[Renewal]:
        """Skip what is PLANNED or WAITING and holds no charge; the rows as they were."""
        ...

    async def counts(self, shop: str, since: date, until: date) -> Mapping[tuple[RenewalStatus, str], int]:
        """Per status and reason (empty without one), of periods due from `since` to `until`."""
        ...

    async def of_status(
        self, shop: str, status: RenewalStatus, reason: RenewalReason | None, limit: int, *, newest: bool = False
    ) -> Sequence[Renewal]:
        """Oldest due first, or newest."""
        ...

    async def stale(self, before: date, limit: int) -> Sequence[Renewal]:
        """Of all shops: not final, and due before that day."""
        ...

    async def gaps(self, limit: int) -> Sequence[tuple[str, str, int]]:
        """(shop, subscription id, number of missing rows) where periods before `next_period` have no row."""
        ...


class Recoveries(Protocol):
    async def get(self, shop: str, recovery_id: str) -> Recovery | None: ...
    async def open_of(self, shop: str, subscription_id: str) -> Recovery | None: ...
    async def newest(self, shop: str, renewal_id: str) -> Recovery | None: ...
    async def add(self, recovery: Recovery) -> bool:
        """False where the subscription has an open one, or the period one of that number."""
        ...

    async def settle(self, shop: str, recovery_id: str, status: RecoveryStatus) -> None: ...


class Notices(Protocol):
    async def add(self, notice: Notice) -> bool: ...
    async def claim(self, shop: str, notice_id: str, now: datetime, until: datetime) -> Notice | None: ...
    async def done(self, shop: str, notice_id: str) -> None: ...
    async def retry(self, notice: Notice) -> None: ...
    async def waiting(self, now: datetime, limit: int) -> Sequence[tuple[str, str]]: ...


class Figures(Protocol):
    """Sums over a shop's rows. `since` and `until` that are days both count."""

    async def settled(self, shop: str, buckets: Sequence[Bucket]) -> Sequence[Sums]: ...
    async def refunded(self, shop: str, buckets: Sequence[Bucket]) -> Sequence[Sums]: ...
    async def charges_to_come(self, shop: str, since: date, until: date) -> Sequence[Expected]: ...
    async def renewals_to_come(self, shop: str, since: date, until: date) -> Sequence[Expected]: ...
    async def held(self, shop: str) -> int: ...
    async def active(self, shop: str) -> Mapping[Currency, int]:
        """Agreements that are ACTIVE now."""
        ...

    async def resting(self, shop: str) -> Mapping[Currency, Mapping[SubscriptionStatus, int]]:
        """Of the active ones those whose subscription is not renewed as it stands."""
        ...

    async def alive(self, shop: str, at: datetime) -> Mapping[Currency, int]:
        """Agreements that had begun before a moment and had not ended before it."""
        ...

    async def ended(self, shop: str, since: datetime, until: datetime) -> Mapping[Currency, int]:
        """Of those that were alive at `since`; an agreement that a pay link replaced has not ended."""
        ...

    async def day_totals(self, shop: str, zone: str, since: date, until: date) -> Sequence[DayTotal]:
        """Those that somebody added up in that time zone."""
        ...

    async def put_day_totals(self, shop: str, zone: str, totals: Sequence[DayTotal]) -> None: ...
    async def forget_day_totals(self, shop: str, moments: Sequence[datetime]) -> None:
        """Of the days of these moments, in whatever time zone."""
        ...

    async def recovered(self, shop: str, since: date, until: date) -> Sequence[Recovered]: ...
    async def waiting(self, shop: str) -> Sequence[Waiting]: ...
    async def outcomes(self, shop: str, since: date, until: date) -> Sequence[Outcome]:
        """By the day on which periods are due; both days count."""
        ...


class Unit(Protocol):
    """One transaction. Nobody calls Vipps or Saleor while one is open."""

    @property
    def installations(self) -> Installations: ...
    @property
    def accounts(self) -> Accounts: ...
    @property
    def agreements(self) -> Agreements: ...
    @property
    def charges(self) -> Charges: ...
    @property
    def operations(self) -> Operations: ...
    @property
    def inbox(self) -> Inbox: ...
    @property
    def clients(self) -> Clients: ...
    @property
    def audit(self) -> Audit: ...
    @property
    def webhooks(self) -> Webhooks: ...
    @property
    def calls(self) -> Calls: ...
    @property
    def findings(self) -> Findings: ...
    @property
    def allowances(self) -> Allowances: ...
    @property
    def workers(self) -> Workers: ...
    @property
    def failures(self) -> Failures: ...
    @property
    def sessions(self) -> Sessions: ...
    @property
    def reports(self) -> Reports: ...
    @property
    def subscriptions(self) -> Subscriptions: ...
    @property
    def renewals(self) -> Renewals: ...
    @property
    def recoveries(self) -> Recoveries: ...
    @property
    def notices(self) -> Notices: ...
    @property
    def figures(self) -> Figures: ...


class Store(Protocol):
    def begin(self) -> AbstractAsyncContextManager[Unit]:
        """Commits at the end of the block, rolls back where it raises."""
        ...

    async def analyze(self) -> None:
        """Let the database see how its rows are spread, so that it reads few of them."""
        ...

    async def release_leases(self) -> None:
        """Give back what a dead process held; for a store that only one process uses."""
        ...


class Shop(Protocol):
    """Saleor. Raises ProviderErrors only; a dead token is Misconfigured."""

    async def identify(self, shop: str, token: str) -> AppIdentity: ...
    async def key_set(self, shop: str) -> str:
        """The shop's JWKS as JSON text."""
        ...

    async def order(self, installation: Installation, order_id: str) -> Order | None: ...
    async def orders_with_agreement(self, installation: Installation, since: datetime) -> Sequence[str]:
        """Ids of the orders made since then that name an agreement in their metadata."""
        ...

    async def report(self, installation: Installation, report: OrderReport) -> None: ...

    async def channels(self, installation: Installation) -> Sequence[Channel]: ...
    async def subscription_products(self, installation: Installation) -> Sequence[tuple[str, str]]:
        """Some of what is marked as a subscription: the products' names, and the interval as the merchant wrote it."""
        ...

    # People: `app/saleor/buyers.py`.
    async def buyers(self, installation: Installation, wanted: OrdersWanted) -> Sequence[Buyer]:
        """Of up to `MOST_BUYERS` orders; drafts are not among them. Errors may repeat what was looked for."""
        ...

    # Transactions: `app/saleor/transactions.py`.
    async def create_transaction(
        self, installation: Installation, source: str, psp_reference: str, name: str, message: str
    ) -> str:
        """A transaction without amounts on an order; its id. Not idempotent: look at the order's own first."""
        ...

    async def transactions_of(self, installation: Installation, order: str) -> Sequence[OrderTransaction]: ...
    async def order_of(self, installation: Installation, transaction: str) -> str | None:
        """The order that the transaction pays; None where its checkout has not become one, or it is not ours to see."""
        ...

    async def report_event(self, installation: Installation, report: Report) -> None:
        """Repeats do no harm. Raises Rejected where Saleor will never take it."""
        ...

    # Renewal orders: `app/saleor/renewal_orders.py`.
    async def source_order(self, installation: Installation, order: str) -> SourceOrder | None:
        """The order that a subscription comes from: lines with what their products say, addresses, shipping."""
        ...

    async def order_by_reference(self, installation: Installation, reference: str) -> RenewalOrder | None: ...
    async def renewal_order(self, installation: Installation, order: str) -> RenewalOrder | None: ...
    async def create_draft(self, installation: Installation, draft: DraftOrder) -> RenewalOrder:
        """Raises Duplicate where the reference is taken, Rejected (`provider_code` is Saleor's) where it says no."""
        ...

    async def complete_draft(self, installation: Installation, order: str) -> RenewalOrder:
        """Raises Rejected with Saleor's code where something stands in the way."""
        ...

    async def delete_draft(self, installation: Installation, order: str) -> None:
        """Nothing happens where it is gone or no draft any more."""
        ...

    async def cancel_order(self, installation: Installation, order: str) -> None: ...
    async def add_note(self, installation: Installation, order: str, note: str) -> None: ...
    async def raise_problem(self, installation: Installation, key: str, message: str) -> None:
        """An app problem for staff; nothing happens before Saleor 3.22."""
        ...

    async def dismiss_problem(self, installation: Installation, key: str) -> None: ...


class Notifier(Protocol):
    """The shop's own endpoint for notices, by signed webhook."""

    async def send(self, account: Account, notice: Notice) -> None:
        """Raises ProviderErrors: Rejected where the endpoint says no for good (4xx but 408, 425, 429)."""
        ...


class Jobs(Protocol):
    async def enqueue(self, kind: "Job", shop: str, row_ids: Sequence[str], *, after: timedelta | None = None) -> None:
        """Carry rows' ids to a worker, soon or after a while; the same rows wait once.

        What is lost on the way the sweeper finds in the rows.
        """
        ...


class Job(StrEnum):
    """The kinds of work that happen later; a job's payload is a shop and row ids, never data."""

    APPLY_INBOX = "apply-inbox"
    CHARGE_CHUNK = "charge-chunk"
    OPERATION = "operation"
    FOLLOW_DRAFT = "follow-draft"
    FOLLOW_UP = "follow-up"
    NOTIFY_SHOP = "notify-shop"
    START = "start-subscription"  # ids of sessions
    REPORT = "report-transaction"  # ids of reports
    RENEW = "renew"  # ids of renewals
    NOTICE = "notice"  # ids of notices


@dataclass(frozen=True, slots=True)
class Limits:
    """`lease_seconds` is how long a row is left to whoever took it; whoever is at it for longer renews the lease.

    A lease that ends too early costs a repeat with the same key, never a second charge: the number of attempts decides
    whose outcome is stored. `concurrency` is how many calls one batch keeps in flight. After `attempts` in vain work
    is given up and waits for a person; a webhook after `inbox_attempts`. `charges_per_minute` is what Vipps lets one
    merchant create; a request waits `patience_seconds` for its turn, then a job goes on. `chunk` is how many charges
    one job carries, `batch` how many where they go in one request. `session_seconds` is how long a payment webhook of
    Saleor's is worked on, which waits for 18 (facts: SALEOR 3.5). A shop is waited for `search_seconds` when staff look
    for somebody, and `names_seconds` for the names on a page.
    """

    max_sync_batch: int = 500
    concurrency: int = 32
    lease_seconds: int = 45
    attempts: int = 60
    inbox_attempts: int = 200
    charges_per_minute: int = CREATE_CHARGE.per_minute
    patience_seconds: int = 10
    chunk: int = 200
    batch: int = 2000
    session_seconds: float = 14.0
    search_seconds: float = 2.0
    names_seconds: float = 1.5


@dataclass(frozen=True, slots=True)
class Deps:
    """The collaborators of a use case, made once in the composition root."""

    store: Store
    shop: Shop
    provider: Callable[[Account], RecurringProvider]
    webhooks: Callable[[Account], WebhookRegistry]
    jobs: Jobs
    clock: Clock
    sleep: Callable[[float], Awaitable[None]]
    limits: Limits
    jitter: Callable[[], float]
    turns: Turns
    notifier: Notifier
    pay_url: Callable[[str], str]
    """The signed link by which a renewal's customer pays it, by the renewal's id."""
    my_url: Callable[[str, int], str]
    """The signed link by which a customer manages an agreement, by its row id and the number of its links."""
    return_url: Callable[[str], str]
    """Where Vipps sends a customer who has decided about a draft, by the agreement's row id."""
    bug: Callable[[BaseException], None]
    """Tell of an exception that no rule foresaw; the item it struck is answered and the rest goes on."""
