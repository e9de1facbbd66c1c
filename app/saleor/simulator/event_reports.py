"""Events of transactions: writing them once each, and reports of what happened at the payment provider."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from app.saleor.simulator.base import Metadata
from app.saleor.simulator.consequences import settle
from app.saleor.simulator.input_errors import InputError
from app.saleor.simulator.models import App
from app.saleor.simulator.records import Principal, Records
from app.saleor.simulator.transaction_models import PaymentMethodDetails, TransactionEvent, TransactionItem

LONGEST_MESSAGE = 512

# Reported any number of times: they tell what is awaited, not what was done.
REPEATABLE = {"AUTHORIZATION_ACTION_REQUIRED", "CHARGE_ACTION_REQUIRED", "INFO"}
NAMES_THE_TRANSACTION = {"AUTHORIZATION_REQUEST", "AUTHORIZATION_SUCCESS", "CHARGE_REQUEST", "CHARGE_SUCCESS"}
SUCCESSES = {"AUTHORIZATION_SUCCESS", "CHARGE_SUCCESS"}

# Where the amount of an event is found when it is not given: among earlier events of the same reference.
AMOUNT_SOURCES = {
    "AUTHORIZATION_FAILURE": ("AUTHORIZATION_SUCCESS", "AUTHORIZATION_REQUEST"),
    "CHARGE_FAILURE": ("CHARGE_SUCCESS", "CHARGE_REQUEST"),
    "REFUND_FAILURE": ("REFUND_SUCCESS", "REFUND_REQUEST"),
    "CANCEL_FAILURE": ("CANCEL_SUCCESS", "CANCEL_REQUEST"),
    "REFUND_REVERSE": ("REFUND_SUCCESS",),
    "CHARGE_BACK": ("CHARGE_SUCCESS",),
}
OTHER_AMOUNT = "The transaction with provided `pspReference` and `type` already exists with different amount."
SECOND_AUTHORIZATION = (
    "The transaction already has an `AUTHORIZATION_SUCCESS` event. "
    "Use `AUTHORIZATION_ADJUSTMENT` to change the authorized amount."
)


@dataclass(frozen=True)
class Report:
    """What transactionEventReport says."""

    psp_reference: str
    type: str
    amount: Decimal | None = None
    time: datetime | None = None
    external_url: str = ""
    message: str = ""
    actions: Sequence[str] | None = None
    metadata: Metadata = field(default_factory=dict)
    private_metadata: Metadata = field(default_factory=dict)
    method: PaymentMethodDetails | None = None


@dataclass(frozen=True)
class Reported:
    event: TransactionEvent
    already_processed: bool


class EventReports:
    """Writes events. The same event of the same reference is never written twice."""

    def __init__(self, shop: Records) -> None:
        self._shop = shop
        self.on_success: list[Callable[[TransactionEvent], None]] = []  # of a charge or an authorization

    def events(self) -> list[TransactionEvent]:
        raise NotImplementedError

    def write_event(
        self,
        transaction: TransactionItem,
        type_: str,
        amount: Decimal,
        *,
        psp_reference: str | None = None,
        at: datetime | None = None,
        message: str = "",
        external_url: str = "",
        by: Principal | None = None,
        counts: bool = True,
        idempotency_key: str | None = None,
    ) -> TransactionEvent:
        event = TransactionEvent(
            number=self._shop.next_number("TransactionEvent"),
            transaction=transaction,
            type=type_,
            amount=amount,
            at=at or self._shop.clock.now(),
            psp_reference=psp_reference,
            message=shortened(message),
            external_url=external_url,
            idempotency_key=idempotency_key,
            counts=counts,
            by=by,
        )
        transaction.events.append(event)
        if psp_reference and type_ in SUCCESSES:
            for listener in self.on_success:
                listener(event)
        return event

    def write_failure(
        self, transaction: TransactionItem, type_: str, amount: Decimal, psp_reference: str | None, cause: str
    ) -> TransactionEvent:
        """A note that something went wrong on the way; it changes no sum."""
        return self.write_event(
            transaction, failure_of(type_), amount, psp_reference=psp_reference, message=cause, counts=False
        )

    def existing(
        self, transaction: TransactionItem, type_: str, psp_reference: str | None, amount: Decimal
    ) -> TransactionEvent | None:
        """The event that was written before, or an error where the new one contradicts it."""
        if type_ in REPEATABLE:
            return None
        same = [e for e in transaction.events if e.type == type_ and e.psp_reference == psp_reference]
        if same and same[0].amount != amount:
            raise InputError("pspReference", "INCORRECT_DETAILS", OTHER_AMOUNT)
        if not same and type_ == "AUTHORIZATION_SUCCESS" and any(e.type == type_ for e in transaction.events):
            raise InputError("type", "ALREADY_EXISTS", SECOND_AUTHORIZATION)
        return same[0] if same else None

    def report(self, transaction: TransactionItem, report: Report, by: Principal | None = None) -> Reported:
        amount = self._amount(report)
        try:
            before = self.existing(transaction, report.type, report.psp_reference, amount)
        except InputError as error:
            self.write_failure(transaction, report.type, amount, report.psp_reference, error.message)
            raise
        if report.actions is not None:
            transaction.actions = list(dict.fromkeys(report.actions))
        transaction.method = report.method or transaction.method
        if before is not None:  # the metadata of a repeated report is dropped
            return Reported(before, already_processed=True)
        event = self.write_event(
            transaction,
            report.type,
            amount,
            psp_reference=report.psp_reference,
            at=report.time,
            message=report.message,
            external_url=report.external_url,
            by=by,
        )
        transaction.metadata.update(report.metadata)
        transaction.private_metadata.update(report.private_metadata)
        if event.type in NAMES_THE_TRANSACTION and not transaction.psp_reference:
            transaction.psp_reference = event.psp_reference
        self.adopt(transaction, by)
        settle(self._shop, transaction, by)
        if report.metadata:
            self._shop.emit("TRANSACTION_ITEM_METADATA_UPDATED", transaction, by)
        return Reported(event, already_processed=False)

    def adopt(self, transaction: TransactionItem, by: Principal | None) -> None:
        """Nobody's transaction becomes that of the app that writes to it."""
        if isinstance(by, App) and not (transaction.user or transaction.app or transaction.app_identifier):
            transaction.app, transaction.app_identifier = by, by.identifier

    def _amount(self, report: Report) -> Decimal:
        if report.amount is not None:
            return report.amount
        if report.type == "INFO":
            return Decimal(0)
        if report.type not in AMOUNT_SOURCES:
            raise InputError("amount", "REQUIRED", f"The `amount` field is required for {report.type} event.")
        for type_ in AMOUNT_SOURCES[report.type]:
            for event in self.events():
                if event.type == type_ and event.psp_reference == report.psp_reference:
                    return event.amount
        raise InputError("amount", "REQUIRED", "The amount cannot be found in earlier events of this `pspReference`.")


def failure_of(type_: str) -> str:
    """Of CHARGE_REQUEST, CHARGE_SUCCESS and CHARGE_BACK: CHARGE_FAILURE."""
    kind, _, ending = type_.partition("_")
    return f"{kind}_FAILURE" if ending in {"REQUEST", "SUCCESS", "ADJUSTMENT", "BACK", "REVERSE"} else type_


def shortened(message: str) -> str:
    return message if len(message) <= LONGEST_MESSAGE else message[: LONGEST_MESSAGE - 3] + "..."
