"""What Saleor has to be told of a charge, made of its present state: each event once, and sums that end as Vipps' do.

A `Report` names a transaction and is stored; what is wanted here is derived anew from the charge whenever it changed,
compared with what is stored, and only what is missing is added. Saleor groups events by their reference and lets the
newer of SUCCESS and FAILURE win (facts: SALEOR 4.5), so every movement of money has a reference of its own, and what
was told and turns out not to be so is taken back by a FAILURE under the same reference.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from app.domain.agreement import TransactionType
from app.domain.charge import Charge, ChargeOrigin, ChargeStatus
from app.domain.money import Money
from app.domain.operation import Operation, OperationKind, OperationStatus
from app.domain.transaction import ActionType, EventType, Report, ReportStatus, charge_reference, report_id

ACTION_SLOT = "saleor-action/"  # how the slot of an operation begins that was asked for on a Saleor transaction
_MESSAGE_MAX = 512
_LATER = timedelta(milliseconds=1)
_NEXT = timedelta(microseconds=1)
_S = ChargeStatus
_UNDER_WAY = frozenset({_S.NEW, _S.PENDING, _S.DUE, _S.PROCESSING, _S.UNKNOWN})
_RESERVED = frozenset({_S.RESERVED, _S.PARTIALLY_CAPTURED})
_SUCCEEDED = _RESERVED | {_S.CHARGED, _S.PARTIALLY_REFUNDED, _S.REFUNDED}
_ALL_RELEASED = frozenset({_S.CHARGED, _S.CANCELLED})  # whatever was not captured of it


@dataclass(frozen=True, slots=True)
class Wish:
    """An event that Saleor has to know; `psp_reference` and `type` are what it tells repeats by."""

    psp_reference: str
    type: EventType
    amount: Money
    occurred_at: datetime
    message: str
    actions: tuple[ActionType, ...]


@dataclass(frozen=True, slots=True)
class _Sort:
    """One of the sums that Saleor keeps, and our operation that moves it. `word` names what nobody of ours moved."""

    success: EventType
    failure: EventType
    word: str
    did: str
    operation: OperationKind | None = None


_AUTHORIZATION = _Sort(EventType.AUTHORIZATION_SUCCESS, EventType.AUTHORIZATION_FAILURE, "reserved", "reserved")
_CHARGE = _Sort(
    EventType.CHARGE_SUCCESS, EventType.CHARGE_FAILURE, "captured", "collected", operation=OperationKind.CAPTURE
)
_REFUND = _Sort(
    EventType.REFUND_SUCCESS, EventType.REFUND_FAILURE, "refunded", "refunded", operation=OperationKind.REFUND
)
_CANCEL = _Sort(
    EventType.CANCEL_SUCCESS, EventType.CANCEL_FAILURE, "cancelled", "released", operation=OperationKind.CANCEL
)
_SORT_OF = {sort.operation: sort for sort in (_CHARGE, _REFUND, _CANCEL)}


def reference_of(charge: Charge) -> str:
    """Known before Vipps has answered: our order id becomes the charge id."""
    return charge_reference(charge.agreement_id, charge.order_id)


def actions_of(charge: Charge) -> tuple[ActionType, ...]:
    """What staff may ask for in Saleor: what Vipps would do in this state (facts: VIPPS 7.2)."""
    actions: list[ActionType] = []
    if charge.status in _RESERVED:
        actions.append(ActionType.CHARGE)
    if charge.status in _RESERVED | {_S.NEW, _S.PENDING, _S.DUE}:
        actions.append(ActionType.CANCEL)
    if charge.status in {_S.CHARGED, _S.PARTIALLY_CAPTURED, _S.PARTIALLY_REFUNDED}:
        actions += [ActionType.REFUND] if charge.captured > charge.refunded else []
    return tuple(actions)


def wanted(charge: Charge, operations: Sequence[Operation], known: Sequence[Report], now: datetime) -> Sequence[Wish]:
    """What is missing among the `known` reports of the charge's transaction, in the order in which it has to be sent.

    `operations` are those of the charge, read after it, so that what moved the money which it shows is among them.
    While one of a sort is open nothing is told of that sort: it may be the cause of what is seen.
    """
    books = _Books(charge, operations, known, now)
    reserves = _reserves(charge, books)
    main = _AUTHORIZATION if reserves else _CHARGE
    _tell_under_way(books, main)
    if reserves:
        _level(books, _AUTHORIZATION, _authorized(books, operations), (), own_reference=True)
    # What is taken at once has the charge's reference; captures of what was reserved have their own.
    _level(books, _CHARGE, _collected(charge), operations if reserves else (), own_reference=not reserves)
    if charge.status.holds_no_money and not books.standing(main) and not books.used(books.reference, main):
        books.tell(books.reference, main.failure, charge.amount.minor, _failed(charge))
    if books.standing(_AUTHORIZATION):
        _level(books, _CANCEL, _released(books), operations)
    _level(books, _REFUND, charge.refunded, operations)
    _answer_saleor(books, operations)
    return books.wishes


def reports_of(
    shop: str, transaction: str, wishes: Sequence[Wish], known: Sequence[Report], now: datetime
) -> Sequence[Report]:
    """The rows of what is wanted, created one after another and after all that are known: so they are sent."""
    start = max([now, *(it.created_at + _NEXT for it in known)])
    return [
        Report(
            id=report_id(shop, transaction, it.psp_reference, it.type),
            shop=shop,
            transaction=transaction,
            psp_reference=it.psp_reference,
            type=it.type,
            amount=it.amount,
            occurred_at=it.occurred_at,
            message=it.message,
            actions=it.actions,
            status=ReportStatus.WAITING,
            created_at=start + place * _NEXT,
        )
        for place, it in enumerate(wishes)
    ]


@dataclass(frozen=True, slots=True)
class _Told:
    reference: str
    type: EventType
    minor: int
    at: datetime


class _Books:
    """What Saleor was told, or is about to be, and what is added to that."""

    def __init__(self, charge: Charge, operations: Iterable[Operation], known: Iterable[Report], now: datetime) -> None:
        self.charge = charge
        self.reference = reference_of(charge)
        self.wishes: list[Wish] = []
        self._actions = actions_of(charge)
        # The true time, where Vipps tells one; never a time to come, whatever its clock says.
        self._now = min(charge.happened_at or now, now)
        mine = {self.reference, *(it.id for it in operations)}
        self._told = [
            _Told(it.psp_reference, it.type, it.amount.minor, it.occurred_at)
            for it in known
            if it.psp_reference in mine or it.psp_reference.startswith(f"{self.reference}/")
        ]

    def has(self, reference: str, type_: EventType) -> bool:
        return any(it.reference == reference and it.type is type_ for it in self._told)

    def used(self, reference: str, sort: _Sort) -> bool:
        return self.has(reference, sort.success) or self.has(reference, sort.failure)

    def standing(self, sort: _Sort) -> Sequence[_Told]:
        """Successes that were not taken back."""
        return [it for it in self._told if it.type is sort.success and not self.has(it.reference, sort.failure)]

    def total(self, sort: _Sort) -> int:
        return sum(it.minor for it in self.standing(sort))

    def reserved(self) -> int:
        """What Saleor takes for reserved still."""
        return max(self.total(_AUTHORIZATION) - self.total(_CHARGE) - self.total(_CANCEL), 0)

    def tell(self, reference: str, type_: EventType, minor: int, message: str, at: datetime | None = None) -> None:
        if self.has(reference, type_):
            return
        at = at or self._now
        self._told.append(_Told(reference, type_, minor, at))
        amount = Money(minor, self.charge.amount.currency)
        self.wishes.append(Wish(reference, type_, amount, at, message[:_MESSAGE_MAX], self._actions))

    def take_back(self, told: _Told, sort: _Sort) -> None:
        """By a failure that is newer than what it takes back, whatever the clocks say."""
        at = max(self._now, told.at + _LATER)
        self.tell(told.reference, sort.failure, told.minor, _failed(self.charge), at)


def _reserves(charge: Charge, books: _Books) -> bool:
    told = books.standing(_AUTHORIZATION) or books.used(books.reference, _AUTHORIZATION)
    return bool(told) or charge.status in _RESERVED or charge.transaction_type is TransactionType.RESERVE_CAPTURE


def _tell_under_way(books: _Books, main: _Sort) -> None:
    charge = books.charge
    # The answer to a payment session has told of an initial charge already.
    if charge.status not in _UNDER_WAY or charge.captured or charge.origin is ChargeOrigin.INITIAL:
        return
    request = EventType.CHARGE_REQUEST if main is _CHARGE else EventType.AUTHORIZATION_REQUEST
    if not books.used(books.reference, main):
        verb = "charges" if main is _CHARGE else "reserves"
        books.tell(books.reference, request, charge.amount.minor, f"Vipps {verb} {charge.amount} on {charge.due}.")
    if charge.status is _S.PROCESSING:
        # Nothing has moved, but from now on it cannot be cancelled: this takes the action away in Saleor.
        text = f"Vipps is at the {charge.amount} now; they can no longer be cancelled."
        books.tell(f"{books.reference}/processing", EventType.INFO, 0, text)


def _level(
    books: _Books, sort: _Sort, target: int, operations: Sequence[Operation], *, own_reference: bool = False
) -> None:
    """Bring the sum that Saleor knows to `target`: by what our operations did, the rest under a name of its own."""
    mine = [it for it in operations if it.kind is sort.operation]
    if any(it.status is OperationStatus.OPEN for it in mine):
        return
    for told in reversed(books.standing(sort)):
        if books.total(sort) > target:
            books.take_back(told, sort)
    for it in mine:
        missing = target - books.total(sort)
        minor = missing if it.kind is OperationKind.CANCEL else int(it.request["amount"])
        if it.status is OperationStatus.DONE and 0 < minor <= missing:
            books.tell(it.id, sort.success, minor, _did(books.charge, sort, minor))
    missing = target - books.total(sort)
    if missing > 0:
        free = own_reference and not books.used(books.reference, sort)
        reference = books.reference if free else f"{books.reference}/{sort.word}/{target}"
        books.tell(reference, sort.success, missing, _did(books.charge, sort, missing))


def _authorized(books: _Books, operations: Sequence[Operation]) -> int:
    """What was reserved at all, whatever was captured or released of it since."""
    charge = books.charge
    if charge.status is _S.FAILED:
        return 0
    # An initial charge cannot be cancelled before it is reserved.
    moved = charge.origin is ChargeOrigin.INITIAL and any(_done(it) for it in operations)
    reserved = charge.status in _SUCCEEDED or charge.captured > 0 or moved or books.standing(_AUTHORIZATION)
    return charge.amount.minor if reserved else 0


def _done(operation: Operation) -> bool:
    return operation.kind in {OperationKind.CAPTURE, OperationKind.CANCEL} and operation.status is OperationStatus.DONE


def _collected(charge: Charge) -> int:
    """The row keeps what was captured once; where all of it failed afterwards, nothing is."""
    return 0 if charge.status is _S.FAILED else charge.captured


def _released(books: _Books) -> int:
    charge, before = books.charge, books.total(_CANCEL)
    rest = charge.amount.minor - charge.captured
    return rest if charge.status in _ALL_RELEASED else min(max(before, charge.cancelled), rest)


def _answer_saleor(books: _Books, operations: Sequence[Operation]) -> None:
    """Who asked in Saleor waits for an answer there; who asked by API has had it."""
    for it in operations:
        sort = _SORT_OF.get(it.kind)
        if sort is None or not (it.slot or "").startswith(ACTION_SLOT):
            continue
        if it.status is OperationStatus.REJECTED:
            # A cancellation is asked for all that is still reserved.
            minor = int(it.request.get("amount", books.reserved()))
            books.tell(it.id, sort.failure, minor, f"Vipps refused it: {it.failure or 'no reason given'}")
        elif it.status is OperationStatus.DONE and sort is _CANCEL and not books.used(it.id, sort):
            books.tell(it.id, sort.success, 0, "Vipps cancelled it; nothing of it was reserved any more.")


def _did(charge: Charge, sort: _Sort, minor: int) -> str:
    return f"Vipps {sort.did} {Money(minor, charge.amount.currency)} (charge {charge.charge_id or charge.order_id})."


def _failed(charge: Charge) -> str:
    reason = ": ".join(part for part in (charge.failure_code, charge.failure) if part)
    name = charge.charge_id or charge.order_id
    what = f"Vipps: charge {name} of {charge.amount} is {charge.status}"
    return f"{what}: {reason}" if reason and charge.status.holds_no_money else f"{what}."
