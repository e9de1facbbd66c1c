"""The store's repositories in SQLAlchemy Core: one set of statements for SQLite and PostgreSQL."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import date, datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, case, func, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.account import Account, ApiClient, Installation
from app.domain.agreement import Agreement, AgreementStatus
from app.domain.charge import Charge, ChargeOrigin, ChargeStatus
from app.domain.errors import Duplicate
from app.domain.operation import Operation, OperationKind, OperationStatus
from app.domain.records import AgreementFilter, AppIdentity, AuditEntry, AuditFilter, ChargeFilter, InboxEntry, Page
from app.storage import mapping
from app.storage.base import Repository, chunks, insert, table
from app.storage.figures import FigureRepository
from app.storage.journals import (
    AllowanceRepository,
    CallRepository,
    FailureRepository,
    FindingRepository,
    WebhookRepository,
    WorkerRepository,
)
from app.storage.listing import paged, renewed_as, sought_agreements, sought_charges
from app.storage.outbox import NoticeRepository, ReportRepository
from app.storage.renewals import RecoveryRepository, RenewalRepository
from app.storage.secrets import SecretBox
from app.storage.subscriptions import SessionRepository, SubscriptionRepository
from app.storage.tables import (
    BY_PEOPLE,
    UNSHOWN,
    AccountRow,
    AgreementRow,
    ApiClientRow,
    AuditRow,
    ChargeRow,
    InboxRow,
    InstallationRow,
    NoticeRow,
    OperationRow,
    RenewalRow,
    ReportRow,
    SubscriptionRow,
    WebhookRow,
)


class InstallationRepository(Repository):
    row = InstallationRow

    async def get(self, shop: str, *, lock: bool = False) -> Installation | None:
        query = select(self._t).where(self._c.shop == shop)
        row = (await self._db.execute(query.with_for_update() if lock else query)).mappings().first()
        return mapping.installation(row, self._secrets) if row else None

    async def everywhere(self) -> Sequence[Installation]:
        return [mapping.installation(row, self._secrets) for row in await self._all(self._c.active, order=self._c.shop)]

    async def put(self, installation: Installation) -> None:
        await self._put(mapping.installation_row(installation, self._secrets), ["shop"])

    async def describe(self, shop: str, identity: AppIdentity) -> None:
        same = and_(self._c.shop == shop, self._c.app_id == identity.app_id, self._c.active)
        now = {"saleor_version": identity.version, "shop_name": identity.shop_name}
        await self._db.execute(update(self._t).where(same).values(now))

    async def renew_keys(self, shop: str, app_id: str, jwks: str) -> None:
        same = and_(self._c.shop == shop, self._c.app_id == app_id, self._c.active)
        await self._db.execute(update(self._t).where(same).values(jwks=jwks))

    async def forget(self, shop: str, app_id: str, at: datetime) -> bool:
        accounts, clients = table(AccountRow), table(ApiClientRow)
        # The public keys stay: they tell the shop from another one that takes over its name.
        gone = {"active": False, "token_sealed": None}
        this = update(self._t).where(self._c.shop == shop, self._c.app_id == app_id).values(gone)
        if (await self._db.execute(this.returning(self._c.shop))).first() is None:
            return False
        blank = {"client_secret_sealed": None, "subscription_key_sealed": None, "notify_secret_sealed": None}
        await self._db.execute(update(accounts).where(accounts.c.shop == shop).values(blank))
        people = table(SubscriptionRow)
        await self._db.execute(update(people).where(people.c.shop == shop).values(subscriber_sealed=None))
        live = and_(clients.c.shop == shop, clients.c.revoked_at.is_(None))
        await self._db.execute(update(clients).where(live).values(revoked_at=at))
        return True


class AccountRepository(Repository):
    row = AccountRow

    async def get(self, shop: str, account_id: str) -> Account | None:
        row = await self._one(self._c.shop == shop, self._c.id == account_id)
        return mapping.account(row, self._secrets) if row else None

    async def of_shop(self, shop: str) -> Sequence[Account]:
        rows = await self._all(self._c.shop == shop, order=self._c.channel)
        return [mapping.account(row, self._secrets) for row in rows]

    async def anywhere(self, account_id: str) -> Account | None:
        row = await self._one(self._c.id == account_id)
        return mapping.account(row, self._secrets) if row else None

    async def everywhere(self) -> Sequence[Account]:
        return [mapping.account(row, self._secrets) for row in await self._all(order=self._c.shop)]

    async def put(self, account: Account) -> None:
        await self._put(mapping.account_row(account, self._secrets), ["id"])


class AgreementRepository(Repository):
    row = AgreementRow

    async def get(self, shop: str, agreement_id: str, *, lock: bool = False) -> Agreement | None:
        row = await self._one(self._c.shop == shop, self._c.agreement_id == agreement_id, lock=lock)
        return mapping.agreement(row) if row else None

    async def disown(self, shop: str) -> int:
        renewed = table(SubscriptionRow)
        owned = (renewed.c.shop == shop, renewed.c.customer.is_not(None))
        # One version more, so that whoever read it before cannot write the owner back.
        nobodys = {"customer": None, "version": renewed.c.version + 1}
        await self._db.execute(update(renewed).where(*owned).values(nobodys))
        mine = update(self._t).where(self._c.shop == shop, self._c.customer.is_not(None)).values(customer=None)
        return int((await self._db.execute(mine)).rowcount)

    async def let_go(self, shop: str, row_id: str) -> None:
        await self._db.execute(update(self._t).where(self._c.shop == shop, self._c.id == row_id).values(slot=None))

    async def by_row(self, shop: str, row_id: str, *, lock: bool = False) -> Agreement | None:
        row = await self._one(self._c.shop == shop, self._c.id == row_id, lock=lock)
        return mapping.agreement(row) if row else None

    async def anywhere(self, row_id: str) -> Agreement | None:
        row = await self._one(self._c.id == row_id)
        return mapping.agreement(row) if row else None

    async def revoke_links(self, shop: str, row_id: str, seen: int | None = None) -> bool:
        one_more = {"link_number": self._c.link_number + 1}
        mine = [self._c.shop == shop, self._c.id == row_id]
        where = mine if seen is None else [*mine, self._c.link_number == seen]
        return bool((await self._db.execute(update(self._t).where(*where).values(one_more))).rowcount)

    async def by_slot(self, shop: str, slot: str) -> Agreement | None:
        row = await self._one(self._c.shop == shop, self._c.slot == slot)
        return mapping.agreement(row) if row else None

    async def stopped_by(self, shop: str, row_id: str, actor: str) -> bool:
        where = (self._c.shop == shop, self._c.id == row_id, self._c.stopped_by.is_(None))
        return bool((await self._db.execute(update(self._t).where(*where).values(stopped_by=actor))).rowcount)

    async def of_account_after(
        self, shop: str, account_id: str, after: str, statuses: Sequence[AgreementStatus], limit: int
    ) -> Sequence[Agreement]:
        where = (self._c.shop == shop, self._c.account_id == account_id, self._c.id > after)
        wanted = self._c.status.in_([status.value for status in statuses])
        rows = await self._all(*where, wanted, self._c.agreement_id.is_not(None), order=self._c.id, limit=limit)
        return [mapping.agreement(row) for row in rows]

    async def many(self, shop: str, agreement_ids: Sequence[str]) -> Mapping[str, Agreement]:
        found: dict[str, Agreement] = {}
        for ids in chunks(agreement_ids):
            rows = await self._all(self._c.shop == shop, self._c.agreement_id.in_(ids))
            found |= {row["agreement_id"]: mapping.agreement(row) for row in rows}
        return found

    async def belongs_elsewhere(self, shop: str, environment: str, agreement_ids: Sequence[str]) -> frozenset[str]:
        theirs: set[str] = set()
        for ids in chunks(agreement_ids):
            where = (self._c.environment == environment, self._c.agreement_id.in_(ids), self._c.shop != shop)
            theirs |= set((await self._db.execute(select(self._c.agreement_id).where(*where))).scalars())
        return frozenset(theirs)

    async def looked_at(self, shop: str, row_id: str, at: datetime) -> None:
        where = (self._c.shop == shop, self._c.id == row_id)
        await self._db.execute(update(self._t).where(*where).values(checked_at=at))

    async def of_account(self, shop: str, account_id: str) -> int:
        where = (self._c.shop == shop, self._c.account_id == account_id)
        return int((await self._db.execute(select(func.count()).select_from(self._t).where(*where))).scalar_one())

    async def add(self, agreement: Agreement) -> bool:
        return await self._add(mapping.agreement_row(agreement))

    async def save(self, agreement: Agreement) -> None:
        await self._save([mapping.agreement_row(agreement)])
        renewed, price = table(SubscriptionRow), agreement.price.minor
        same = (renewed.c.shop == agreement.shop, renewed.c.id == agreement.id, renewed.c.price.is_distinct_from(price))
        await self._db.execute(update(renewed).where(*same).values(price=price))

    def _matches(self, shop: str, wanted: AgreementFilter) -> list[Any]:
        where = [self._c.shop == shop, self._c.agreement_id.is_not(None)]
        if wanted.statuses:
            where.append(self._c.status.in_([status.value for status in wanted.statuses]))
        if wanted.customer is not None:
            where.append(self._c.customer == wanted.customer)
        if wanted.created_from is not None:
            where.append(self._c.created_at >= wanted.created_from)
        if wanted.created_to is not None:
            where.append(self._c.created_at < wanted.created_to)
        if wanted.account is not None:
            where.append(self._c.account_id == wanted.account)
        if wanted.sought is not None:
            where.append(self._c.id.in_(sought_agreements(shop, wanted.sought)))
        if wanted.approved:
            where.append(self._c.start.is_not(None))
        if wanted.renewed:
            where.append(self._c.id.in_(renewed_as(shop, wanted.renewed)))
        if wanted.unless:
            resting = renewed_as(shop, wanted.unless).where(table(SubscriptionRow).c.id == self._c.id)
            where.append(~resting.exists())
        return where

    async def page(self, shop: str, filter_: AgreementFilter, page: Page) -> Sequence[Agreement]:
        query = paged(select(self._t).where(*self._matches(shop, filter_)), self._c.created_at, self._c.id, page)
        rows = (await self._db.execute(query)).mappings().all()
        return [mapping.agreement(row) for row in (reversed(rows) if page.backwards else rows)]

    async def matching(self, shop: str, filter_: AgreementFilter, limit: int) -> Sequence[str]:
        known = (*self._matches(shop, filter_), self._c.agreement_id.is_not(None))
        newest = (self._c.created_at.desc(), self._c.id.desc())
        query = select(self._c.agreement_id).where(*known).order_by(*newest).limit(limit)
        return (await self._db.execute(query)).scalars().all()

    async def count(self, shop: str, filter_: AgreementFilter) -> int:
        query = select(func.count()).select_from(self._t).where(*self._matches(shop, filter_))
        return int((await self._db.execute(query)).scalar_one())

    async def unsettled(self, before: datetime, limit: int) -> Sequence[Agreement]:
        open_ = self._c.status.in_([AgreementStatus.NEW.value, AgreementStatus.PENDING.value])
        stale = or_(self._c.checked_at.is_(None), self._c.checked_at < before)
        rows = await self._all(
            open_, stale, self._c.created_at < before, order=self._c.checked_at.nulls_first(), limit=limit
        )
        return [mapping.agreement(row) for row in rows]


_OTHERS = {"withdrawn", "reported", "saleor_transaction"}  # columns which are not the sender's
_NO_MONEY = [status.value for status in ChargeStatus if status.holds_no_money]
_LEAVES_VIPPS_ALONE = [ChargeStatus.NEW.value, *(status.value for status in ChargeStatus if status.final)]


class ChargeRepository(Repository):
    row = ChargeRow

    def _lease_values(self, until: datetime) -> dict[str, Any]:
        # A lease that nobody gave back was somebody's who may have sent the charge until it ended.
        return super()._lease_values(until) | {"sent_at": func.coalesce(self._c.lease_until, self._c.sent_at)}

    async def get(self, shop: str, charge_row_id: str) -> Charge | None:
        row = await self._one(self._c.shop == shop, self._c.id == charge_row_id)
        return mapping.charge(row) if row else None

    async def find(
        self, shop: str, agreement_id: str, charge_ids: Sequence[str], *, lock: bool = False
    ) -> Mapping[str, Charge]:
        found: dict[str, Charge] = {}
        for ids in chunks(charge_ids):
            # A charge whose outcome is open has no charge id yet, but Vipps will name it by our order id.
            named = or_(self._c.charge_id.in_(ids), and_(self._c.charge_id.is_(None), self._c.order_id.in_(ids)))
            rows = await self._all(self._c.shop == shop, self._c.agreement_id == agreement_id, named, lock=lock)
            # The one that Vipps is known to have comes before one that may be it, and an open one before one given up.
            ranked = sorted(
                rows, key=lambda row: (row["charge_id"] is not None, row["status"] == ChargeStatus.NEW.value)
            )
            found |= {row["charge_id"] or row["order_id"]: mapping.charge(row) for row in ranked}
        return found

    def _called(self, names: Sequence[str]) -> ColumnElement[bool]:
        """By its order id or by its charge id, each with an index: most have the same for both."""
        c = self._c
        return or_(c.order_id.in_(names), and_(c.charge_id.in_(names), c.charge_id != c.order_id))

    async def with_order_ids(self, shop: str, order_ids: Sequence[str]) -> Mapping[str, Charge]:
        found: dict[str, Charge] = {}
        for ids in chunks(order_ids):
            rows = await self._all(self._c.shop == shop, self._called(ids), order=self._c.created_at)
            for charge in map(mapping.charge, rows):
                # A charge that was refused is none: its order id may be used again.
                if charge.status is not ChargeStatus.REJECTED:
                    found |= {name: charge for name in (charge.order_id, charge.charge_id or "") if name in ids}
        return found

    async def many(self, shop: str, charge_row_ids: Sequence[str]) -> Mapping[str, Charge]:
        found: dict[str, Charge] = {}
        for ids in chunks(charge_row_ids):
            rows = await self._all(self._c.shop == shop, self._c.id.in_(ids))
            found |= {row["id"]: mapping.charge(row) for row in rows}
        return found

    async def named(self, shop: str, name: str) -> Sequence[Charge]:
        named = or_(self._called([name]), self._c.saleor_order == name)
        return [mapping.charge(row) for row in await self._all(self._c.shop == shop, named, limit=20)]

    def _matches(self, shop: str, filter_: ChargeFilter) -> list[Any]:
        where = [self._c.shop == shop]
        if filter_.statuses:
            where.append(self._c.status.in_(sorted(it.value for it in filter_.statuses)))
        if filter_.account is not None:
            where.append(self._c.account_id == filter_.account)
        if filter_.sought is not None:
            where.append(self._c.id.in_(sought_charges(shop, filter_.sought)))
        if filter_.due_from is not None:
            where.append(self._c.due >= filter_.due_from)
        if filter_.due_to is not None:
            where.append(self._c.due <= filter_.due_to)
        return where

    async def matching(self, shop: str, filter_: ChargeFilter, limit: int) -> Sequence[str]:
        query = select(self._c.id).where(*self._matches(shop, filter_)).order_by(self._c.due.desc(), self._c.id.desc())
        return (await self._db.execute(query.limit(limit))).scalars().all()

    async def page(self, shop: str, filter_: ChargeFilter, page: Page) -> Sequence[Charge]:
        query = paged(select(self._t).where(*self._matches(shop, filter_)), self._c.due, self._c.id, page)
        rows = (await self._db.execute(query)).mappings().all()
        return [mapping.charge(row) for row in (reversed(rows) if page.backwards else rows)]

    async def newest_of_order(self, shop: str, order: str) -> Charge | None:
        mine = (self._c.shop == shop, self._c.saleor_order == order)
        rows = await self._all(*mine, order=self._c.created_at.desc(), limit=1)
        return mapping.charge(rows[0]) if rows else None

    async def of_agreements(self, shop: str, agreement_ids: Sequence[str]) -> Sequence[Charge]:
        found: list[Charge] = []
        for ids in chunks(agreement_ids):
            rows = await self._all(self._c.shop == shop, self._c.agreement_id.in_(ids), order=self._c.created_at)
            found += [mapping.charge(row) for row in rows]
        return found

    async def of_batch(self, shop: str, batch_id: str) -> Sequence[Charge]:
        rows = await self._all(self._c.shop == shop, self._c.batch_id == batch_id, order=self._c.order_id)
        return [mapping.charge(row) for row in rows]

    async def by_slots(self, shop: str, slots: Sequence[str]) -> Mapping[str, Charge]:
        found: dict[str, Charge] = {}
        for some in chunks(slots):
            rows = await self._all(self._c.shop == shop, self._c.slot.in_(some))
            found |= {row["slot"]: mapping.charge(row) for row in rows}
        return found

    async def taken(self, shop: str, agreement_ids: Sequence[str]) -> Mapping[str, Sequence[tuple[date, int]]]:
        found: dict[str, list[tuple[date, int]]] = {agreement_id: [] for agreement_id in agreement_ids}
        for ids in chunks(agreement_ids):
            query = select(self._c.agreement_id, self._c.due, self._c.amount).where(
                self._c.shop == shop,
                self._c.agreement_id.in_(ids),
                self._c.status.not_in(_NO_MONEY),
                self._c.origin != ChargeOrigin.INITIAL.value,
            )
            for agreement_id, due, amount in await self._db.execute(query):
                found[agreement_id].append((due, amount))
        return found

    async def add_all(self, charges: Sequence[Charge]) -> frozenset[str]:
        if not charges:
            return frozenset()
        statement = insert(self._db, self._t).on_conflict_do_nothing().returning(self._c.id)
        # Rows as parameters, not as VALUES: the statement is compiled once and sent in large pieces.
        # Sorted, so that two batches with the same slots do not wait for each other crosswise.
        ordered = sorted(charges, key=lambda charge: charge.slot or charge.charge_id or charge.id)
        added = await self._db.execute(statement, [mapping.charge_row(charge) for charge in ordered])
        return frozenset(added.scalars())

    async def save_all(self, charges: Sequence[Charge]) -> None:
        await self._save([mapping.charge_row(charge) for charge in charges])

    async def record_sent(self, charges: Sequence[Charge]) -> None:
        # The number of attempts tells whether somebody else has taken the charge over since.
        same_attempt = self._c.attempts == bindparam("v_attempts")
        # Whoever withdrew it or showed it meanwhile has written that into columns which are not the sender's.
        rows = [
            {name: value for name, value in mapping.charge_row(it).items() if name not in _OTHERS} for it in charges
        ]
        try:
            await self._save(rows, self._c.status == ChargeStatus.NEW.value, same_attempt)
        except IntegrityError:
            raise Duplicate("Vipps' charge is known as another one of ours", field="orderId") from None

    async def look_again(self, shop: str, charge_row_id: str, at: datetime | None) -> None:
        where = (self._c.shop == shop, self._c.id == charge_row_id)
        await self._db.execute(update(self._t).where(*where).values(next_attempt_at=at))

    async def claim_report(self, shop: str, charge_row_id: str, now: datetime, until: datetime) -> Charge | None:
        where = (self._c.shop == shop, self._c.id == charge_row_id, UNSHOWN, self._free(now))
        claim = update(self._t).where(*where).values(lease_until=until)
        row = (await self._db.execute(claim.returning(self._t))).mappings().first()
        return mapping.charge(row) if row else None

    async def mark_reported(self, shop: str, charge_row_id: str, shown: str) -> None:
        where = (self._c.shop == shop, self._c.id == charge_row_id)
        await self._db.execute(update(self._t).where(*where).values(reported=shown, lease_until=None))

    async def link_transaction(self, shop: str, charge_row_id: str, transaction: str) -> None:
        where = (self._c.shop == shop, self._c.id == charge_row_id)
        await self._db.execute(update(self._t).where(*where).values(saleor_transaction=transaction))

    async def by_transaction(self, shop: str, transaction: str) -> Charge | None:
        row = await self._one(self._c.shop == shop, self._c.saleor_transaction == transaction)
        return mapping.charge(row) if row else None

    async def claim(self, shop: str, charge_row_id: str, now: datetime, until: datetime) -> Charge | None:
        row = await self._lease(shop, charge_row_id, now, until, ChargeStatus.NEW.value)
        return mapping.charge(row) if row else None

    async def claim_all(
        self, shop: str, charge_row_ids: Sequence[str], now: datetime, until: datetime, batch_id: str | None = None
    ) -> Sequence[Charge]:
        claimed: list[Charge] = []
        values: dict[str, Any] = self._lease_values(until)
        if batch_id is not None:
            # What was tried before keeps its own way.
            fresh = and_(self._c.attempts == 0, self._c.batch_id.is_(None))
            values["batch_id"] = case((fresh, batch_id), else_=self._c.batch_id)
        for ids in chunks(charge_row_ids):
            open_ = (self._c.status == ChargeStatus.NEW.value, self._free(now), self._due(now), self._c.dead.is_(None))
            locked = select(self._c.id).where(self._c.shop == shop, self._c.id.in_(ids), *open_).order_by(self._c.id)
            statement = (
                update(self._t)
                .where(self._c.id.in_(locked.with_for_update(skip_locked=True)))
                .values(values)
                .returning(self._t)
            )
            claimed += [mapping.charge(row) for row in (await self._db.execute(statement)).mappings()]
        return claimed

    async def open_of(self, shop: str, charge_row_ids: Sequence[str]) -> Sequence[Charge]:
        found: list[Charge] = []
        for ids in chunks(charge_row_ids):
            rows = await self._all(self._c.shop == shop, self._c.id.in_(ids), self._c.status == ChargeStatus.NEW.value)
            found += [mapping.charge(row) for row in rows]
        return found

    async def wait_until(self, shop: str, charge_row_ids: Sequence[str], at: datetime) -> None:
        for ids in chunks(charge_row_ids):
            waiting = (self._c.status == ChargeStatus.NEW.value, self._c.lease_until.is_(None))
            mine = update(self._t).where(self._c.shop == shop, self._c.id.in_(ids), *waiting)
            await self._db.execute(mine.values(next_attempt_at=at))

    async def pay_order(self, shop: str, charge_row_id: str, order: str, slot: str) -> None:
        mine = (self._c.shop == shop, self._c.id == charge_row_id, self._c.origin == ChargeOrigin.INITIAL.value)
        values = {"saleor_order": order, "slot": slot, "reported": None}
        await self._db.execute(update(self._t).where(*mine).values(values))

    async def give_to_order(self, charge: Charge, charge_row_id: str) -> bool:
        found = (self._c.shop == charge.shop, self._c.id == charge_row_id, self._c.origin == ChargeOrigin.FOUND.value)
        taken = select(self._c.id).where(self._c.shop == charge.shop, self._c.slot == charge.slot)
        values = {"origin": charge.origin.value, "saleor_order": charge.saleor_order, "slot": charge.slot}
        given = await self._db.execute(update(self._t).where(*found, ~taken.exists()).values(values))
        return bool(given.rowcount)

    async def withdraw(self, shop: str, charge_row_id: str, reason: str) -> None:
        where = (self._c.shop == shop, self._c.id == charge_row_id, self._c.status == ChargeStatus.NEW.value)
        await self._db.execute(update(self._t).where(*where).values(withdrawn=reason))

    async def show_again(self, shop: str, charge_row_id: str) -> None:
        mine = (self._c.shop == shop, self._c.id == charge_row_id)
        await self._db.execute(update(self._t).where(*mine).values(reported=None))

    async def not_made(self, shop: str, charge_row_id: str, now: datetime) -> None:
        where = (self._c.shop == shop, self._c.id == charge_row_id, self._c.status == ChargeStatus.NEW.value)
        # One attempt more, because a batch is repeated on its charges' second one.
        open_ = {"accepted_at": None, "next_attempt_at": now, "attempts": self._c.attempts + 1}
        await self._db.execute(update(self._t).where(*where).values(open_))

    async def hold_longer(self, shop: str, charge_row_ids: Sequence[str], until: datetime) -> None:
        for ids in chunks(charge_row_ids):
            held = (self._c.status == ChargeStatus.NEW.value, self._c.lease_until.is_not(None))
            mine = update(self._t).where(self._c.shop == shop, self._c.id.in_(ids), *held)
            await self._db.execute(mine.values(lease_until=until))

    async def unsent(self, now: datetime, limit: int) -> Sequence[Charge]:
        where = (self._c.status == ChargeStatus.NEW.value, self._c.dead.is_(None), self._free(now), self._due(now))
        rows = await self._all(*where, order=self._c.next_attempt_at.nulls_first(), limit=limit)
        return [mapping.charge(row) for row in rows]

    async def unsettled(self, now: datetime, limit: int) -> Sequence[Charge]:
        # What nobody wants any more is not waited for.
        due = or_(self._due(now), self._c.withdrawn.is_not(None))
        where = (self._c.status.not_in(_LEAVES_VIPPS_ALONE), self._c.charge_id.is_not(None), due)
        rows = await self._all(*where, order=self._c.next_attempt_at.nulls_first(), limit=limit)
        return [mapping.charge(row) for row in rows]

    async def unreported(self, now: datetime, limit: int) -> Sequence[Charge]:
        # What was tried and failed comes last, so that a shop that is away does not keep the others waiting.
        tried_last = self._c.lease_until.nulls_first()
        rows = await self._all(UNSHOWN, self._free(now), order=tried_last, limit=limit)
        return [mapping.charge(row) for row in rows]


class OperationRepository(Repository):
    row = OperationRow

    async def get(self, shop: str, operation_id: str) -> Operation | None:
        row = await self._one(self._c.shop == shop, self._c.id == operation_id)
        return mapping.operation(row, self._secrets) if row else None

    async def by_slot(self, shop: str, slot: str) -> Operation | None:
        row = await self._one(self._c.shop == shop, self._c.slot == slot)
        return mapping.operation(row, self._secrets) if row else None

    async def add(self, operation: Operation) -> bool:
        return await self._add(mapping.operation_row(operation, self._secrets))

    async def save(self, operation: Operation) -> bool:
        # The number of attempts tells whether somebody else has taken the operation over since.
        values = mapping.operation_row(operation, self._secrets)
        mine = (self._c.shop == operation.shop, self._c.id == operation.id, self._c.attempts == operation.attempts)
        still = self._c.status == OperationStatus.OPEN.value
        saved = await self._db.execute(update(self._t).where(*mine, still).values(values))
        return bool(saved.rowcount)

    async def claim(self, shop: str, operation_id: str, now: datetime, until: datetime) -> Operation | None:
        row = await self._lease(shop, operation_id, now, until, OperationStatus.OPEN.value)
        return mapping.operation(row, self._secrets) if row else None

    async def of_agreement(self, shop: str, agreement_id: str) -> Sequence[Operation]:
        where = (self._c.shop == shop, self._c.agreement_id == agreement_id)
        return [mapping.operation(row, self._secrets) for row in await self._all(*where, order=self._c.created_at)]

    async def unfinished(self, now: datetime, limit: int) -> Sequence[Operation]:
        # A draft is finished by whoever asks for it again: nobody waits for a URL that no customer sees.
        by_itself = (self._c.kind != OperationKind.CREATE.value, self._c.dead.is_(None))
        where = (self._c.status == OperationStatus.OPEN.value, *by_itself, self._free(now), self._due(now))
        rows = await self._all(*where, order=self._c.next_attempt_at.nulls_first(), limit=limit)
        return [mapping.operation(row, self._secrets) for row in rows]


class InboxRepository(Repository):
    row = InboxRow

    async def add(self, entry: InboxEntry) -> bool:
        return await self._add(asdict(entry) | {"status": "WAITING", "next_attempt_at": entry.received_at})

    async def claim(self, shop: str, entry_id: str, now: datetime, until: datetime) -> InboxEntry | None:
        row = await self._lease(shop, entry_id, now, until, "WAITING")
        return InboxEntry(**{name: row[name] for name in InboxEntry.__dataclass_fields__}) if row else None

    async def _settle(self, shop: str, entry_id: str, values: dict[str, Any]) -> None:
        where = (self._c.shop == shop, self._c.id == entry_id)
        await self._db.execute(update(self._t).where(*where).values(values | {"lease_until": None}))

    async def done(self, shop: str, entry_id: str, at: datetime, result: str) -> None:
        await self._settle(shop, entry_id, {"status": "DONE", "handled_at": at, "result": result})

    async def dead(self, shop: str, entry_id: str, at: datetime, error: str) -> None:
        await self._settle(shop, entry_id, {"status": "DEAD", "handled_at": at, "result": error})

    async def retry(self, shop: str, entry_id: str, at: datetime, error: str) -> None:
        await self._settle(shop, entry_id, {"next_attempt_at": at, "result": error})

    async def waiting(self, now: datetime, limit: int) -> Sequence[tuple[str, str]]:
        where = (self._c.status == "WAITING", self._free(now), self._due(now))
        query = select(self._c.shop, self._c.id).where(*where).order_by(self._c.next_attempt_at).limit(limit)
        return [(shop, entry_id) for shop, entry_id in await self._db.execute(query)]


class ClientRepository(Repository):
    row = ApiClientRow

    async def get(self, client_id: str) -> ApiClient | None:
        row = await self._one(self._c.id == client_id)
        return mapping.api_client(row) if row else None

    async def of_shop(self, shop: str) -> Sequence[ApiClient]:
        rows = await self._all(self._c.shop == shop, order=self._c.created_at)
        return [mapping.api_client(row) for row in rows]

    async def used(self, client_id: str, at: datetime) -> None:
        await self._db.execute(update(self._t).where(self._c.id == client_id).values(used_at=at))

    async def put(self, client: ApiClient) -> None:
        await self._put(mapping.api_client_row(client), ["id"])


class AuditRepository(Repository):
    row = AuditRow

    async def add(self, entries: Sequence[AuditEntry]) -> None:
        if entries:
            await self._db.execute(self._t.insert(), [asdict(entry) for entry in entries])

    async def of_object(self, shop: str, object_id: str) -> Sequence[AuditEntry]:
        rows = await self._all(self._c.shop == shop, self._c.object_id == object_id, order=self._c.id)
        return [_entry(row) for row in rows]

    async def page(
        self, shop: str, filter_: AuditFilter, before: int | None, limit: int
    ) -> Sequence[tuple[int, AuditEntry]]:
        where: list[Any] = [self._c.shop == shop]
        if filter_.object_id is not None:
            where.append(self._c.object_id == filter_.object_id)
        if filter_.people:
            where.append(BY_PEOPLE)  # in the index's own words
        if before is not None:
            where.append(self._c.id < before)
        rows = await self._all(*where, order=self._c.id.desc(), limit=limit)
        return [(row["id"], _entry(row)) for row in rows]


def _entry(row: mapping.Row) -> AuditEntry:
    return AuditEntry(**{name: row[name] for name in AuditEntry.__dataclass_fields__})


class SqlUnit:
    """All repositories on one connection, inside one transaction."""

    def __init__(self, connection: AsyncConnection, secrets: SecretBox) -> None:
        self._connection = connection
        self._secrets = secrets
        self.installations = InstallationRepository(connection, secrets)
        self.accounts = AccountRepository(connection, secrets)
        self.agreements = AgreementRepository(connection, secrets)
        self.charges = ChargeRepository(connection, secrets)
        self.operations = OperationRepository(connection, secrets)
        self.inbox = InboxRepository(connection, secrets)
        self.clients = ClientRepository(connection, secrets)
        self.audit = AuditRepository(connection, secrets)
        self.webhooks = WebhookRepository(connection, secrets)
        self.calls = CallRepository(connection, secrets)
        self.findings = FindingRepository(connection, secrets)
        self.allowances = AllowanceRepository(connection, secrets)
        self.workers = WorkerRepository(connection, secrets)
        self.failures = FailureRepository(connection, secrets)
        self.sessions = SessionRepository(connection, secrets)
        self.reports = ReportRepository(connection, secrets)
        self.subscriptions = SubscriptionRepository(connection, secrets)
        self.renewals = RenewalRepository(connection, secrets)
        self.recoveries = RecoveryRepository(connection, secrets)
        self.notices = NoticeRepository(connection, secrets)
        self.figures = FigureRepository(connection, secrets)

    async def release_leases(self) -> None:
        for row in (ChargeRow, OperationRow, InboxRow, ReportRow, RenewalRow, NoticeRow):
            rows = table(row)
            held = rows.c.lease_until.is_not(None)
            values: dict[str, Any] = {"lease_until": None}
            if "sent_at" in rows.c:
                values["sent_at"] = rows.c.lease_until  # it may have been sent until then
            await self._connection.execute(update(rows).where(held).values(values))

    async def reseal_secrets(self) -> int:
        sealed = (
            (InstallationRow, "shop", "token_sealed"),
            (AccountRow, "id", "client_secret_sealed"),
            (AccountRow, "id", "subscription_key_sealed"),
            (AccountRow, "id", "notify_secret_sealed"),
            (WebhookRow, "id", "secret_sealed"),
            (SubscriptionRow, "id", "subscriber_sealed"),
        )
        count = 0
        for row, key, column in sealed:
            rows = table(row)
            query = select(rows.c[key], rows.c[column]).where(rows.c[column].is_not(None))
            for row_id, value in (await self._connection.execute(query)).all():
                new = {column: self._secrets.reseal(value)}
                await self._connection.execute(update(rows).where(rows.c[key] == row_id).values(new))
                count += 1
        return count
