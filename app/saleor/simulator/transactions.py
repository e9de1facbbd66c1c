"""The transactions of a shop: making, changing, finding them, and moving them from a checkout to its order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from app.saleor.simulator.base import Metadata
from app.saleor.simulator.consequences import settle
from app.saleor.simulator.event_reports import EventReports
from app.saleor.simulator.input_errors import InputError
from app.saleor.simulator.models import App, Payable, User
from app.saleor.simulator.records import Principal, Records
from app.saleor.simulator.transaction_models import PaymentMethodDetails, TransactionEvent, TransactionItem

LIMIT = 512
ADJUSTMENT = "Manual adjustment of the transaction."


@dataclass(frozen=True)
class Statement:
    """What transactionCreate and transactionUpdate say; None is what they leave alone.

    `amounts` are the sums as they ought to be: authorized, charged, refunded, canceled.
    """

    name: str | None = None
    message: str | None = None
    psp_reference: str | None = None
    external_url: str | None = None
    actions: Sequence[str] | None = None
    amounts: Mapping[str, Decimal] = field(default_factory=dict)
    metadata: Metadata = field(default_factory=dict)
    private_metadata: Metadata = field(default_factory=dict)
    method: PaymentMethodDetails | None = None


@dataclass(frozen=True)
class Remark:
    """An event that only informs."""

    psp_reference: str | None = None
    message: str = ""


class DataError(Exception):
    """A text that is too long for its column: Saleor does not check, its database does."""


class Transactions(EventReports):
    """All transactions. What they add up to is told of their orders and checkouts."""

    def __init__(self, shop: Records) -> None:
        super().__init__(shop)
        self.items: list[TransactionItem] = []

    # Finding

    def find(self, global_id_or_token: str) -> TransactionItem | None:
        return next((t for t in self.items if global_id_or_token in (t.id, str(t.token))), None)

    def with_reference(self, psp_reference: str) -> list[TransactionItem]:
        return [t for t in self.items if psp_reference and t.psp_reference == psp_reference]

    def events(self) -> list[TransactionEvent]:
        return [event for transaction in self.items for event in transaction.events]

    # Making and changing

    def add(
        self, source: Payable, *, app: App | None = None, user: User | None = None, idempotency_key: str | None = None
    ) -> TransactionItem:
        """An empty one."""
        now = self._shop.clock.now()
        transaction = TransactionItem(
            source=source,
            created_at=now,
            modified_at=now,
            app=app,
            app_identifier=app.identifier if app else None,
            user=user,
            idempotency_key=idempotency_key,
        )
        self.items.append(transaction)
        source.transactions.append(transaction)
        return transaction

    def create(
        self, source: Payable, statement: Statement, by: Principal | None = None, remark: Remark | None = None
    ) -> TransactionItem:
        """Saleor does not ask whether there is one with this reference: a repeated call makes a second transaction."""
        _check_lengths(statement)
        app, user = _split(by)
        transaction = self.add(source, app=app, user=user)
        self._write(transaction, statement)
        if remark:
            self._remark(transaction, remark, by)
        self._state_amounts(transaction, statement, by)
        return transaction

    def update(
        self,
        transaction: TransactionItem,
        statement: Statement,
        by: Principal | None = None,
        remark: Remark | None = None,
    ) -> None:
        _check_lengths(statement)
        wanted = statement.psp_reference
        if wanted and wanted != transaction.psp_reference and self.with_reference(wanted):
            raise InputError("transaction", "UNIQUE", "Transaction with provided `pspReference` already exists.")
        self.adopt(transaction, by)
        self._write(transaction, statement)
        if remark:
            self._remark(transaction, remark, by)
        self._state_amounts(transaction, statement, by)

    def move(self, checkout: Payable, order: Payable) -> None:
        """The checkout has become the order; nothing is told of that here."""
        for transaction in checkout.transactions:
            transaction.source = order
        order.transactions += checkout.transactions
        checkout.transactions = []

    @staticmethod
    def _write(transaction: TransactionItem, statement: Statement) -> None:
        for name in ("name", "message", "psp_reference", "external_url", "method"):
            value = getattr(statement, name)
            if value is not None:
                setattr(transaction, name, value)
        if statement.actions is not None:
            transaction.actions = list(dict.fromkeys(statement.actions))
        transaction.metadata.update(statement.metadata)
        transaction.private_metadata.update(statement.private_metadata)

    def _remark(self, transaction: TransactionItem, remark: Remark, by: Principal | None) -> None:
        self.write_event(
            transaction, "INFO", Decimal(0), psp_reference=remark.psp_reference, message=remark.message, by=by
        )

    def _state_amounts(self, transaction: TransactionItem, statement: Statement, by: Principal | None) -> None:
        """Each sum that differs becomes an event without a reference, worth the difference."""
        if not statement.amounts:
            return
        types = {"charged": "CHARGE_SUCCESS", "refunded": "REFUND_SUCCESS", "canceled": "CANCEL_SUCCESS"}
        wanted = statement.amounts.get("authorized")
        if wanted is not None and wanted != transaction.sums.authorized:
            authorized = any(event.type == "AUTHORIZATION_SUCCESS" for event in transaction.events)
            type_ = "AUTHORIZATION_ADJUSTMENT" if authorized else "AUTHORIZATION_SUCCESS"
            amount = wanted if authorized else wanted - transaction.sums.authorized
            self.write_event(transaction, type_, amount, message=ADJUSTMENT, by=by)
        for name, type_ in types.items():
            wanted = statement.amounts.get(name)
            present: Decimal = getattr(transaction.sums, name)
            if wanted is not None and wanted != present:
                self.write_event(transaction, type_, wanted - present, message=ADJUSTMENT, by=by)
        settle(self._shop, transaction, by)


def _split(by: Principal | None) -> tuple[App | None, User | None]:
    return (by if isinstance(by, App) else None), (by if isinstance(by, User) else None)


def _check_lengths(statement: Statement) -> None:
    for value in (statement.name, statement.message, statement.psp_reference):
        if value and len(value) > LIMIT:
            raise DataError(f"value too long for type character varying({LIMIT})")
