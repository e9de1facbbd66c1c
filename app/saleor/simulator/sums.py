"""How Saleor adds up the events of a transaction: by their reference, the newest word last."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal

from app.saleor.simulator.transaction_models import Sums, TransactionEvent

ZERO = Decimal(0)
Group = dict[str, TransactionEvent]  # the last event of each ending: SUCCESS, FAILURE, REQUEST …


@dataclass
class _Tally:
    """The amounts while they are added up."""

    amounts: dict[str, Decimal] = field(default_factory=dict)

    def add(self, name: str, amount: Decimal) -> None:
        self.amounts[name] = self.amounts.get(name, ZERO) + amount

    def set(self, name: str, amount: Decimal) -> None:
        self.amounts[name] = amount

    def settle(self, group: Group, name: str, pending: str, reduced: str | None) -> None:
        """A request is on its way until its reference succeeds or fails; then the newer of the two holds."""
        request, success, failure = group.get("REQUEST"), group.get("SUCCESS"), group.get("FAILURE")
        if request and not success and not failure:
            self._move(request.amount, pending, reduced)
        if success and (failure is None or success.at > failure.at):
            self._move(success.amount, name, reduced)

    def _move(self, amount: Decimal, to: str, reduced: str | None) -> None:
        self.add(to, amount)
        if reduced:
            self.add(reduced, -amount)


def sums_of(events: Iterable[TransactionEvent]) -> Sums:
    counted = sorted((e for e in events if e.counts), key=lambda e: (e.at, e.number))
    authorizations = _since_adjustment([e for e in counted if e.type.startswith("AUTHORIZATION_")])
    others = [e for e in counted if not e.type.startswith("AUTHORIZATION_")]
    tally = _Tally()
    for event in [*authorizations, *others]:
        if not event.psp_reference:
            _add_manual(tally, event)
    for group in _groups(authorizations, "AUTHORIZATION"):
        if "ADJUSTMENT" in group:
            tally.set("authorized", group["ADJUSTMENT"].amount)
        tally.settle(group, "authorized", "authorize_pending", None)
    for group in _groups(others, "CHARGE"):
        if "BACK" in group:
            tally.add("charged", -group["BACK"].amount)
        tally.settle(group, "charged", "charge_pending", "authorized")
    for group in _groups(others, "REFUND"):
        if "REVERSE" in group:
            tally.add("charged", group["REVERSE"].amount)
            tally.add("refunded", -group["REVERSE"].amount)
        tally.settle(group, "refunded", "refund_pending", "charged")
    for group in _groups(others, "CANCEL"):
        tally.settle(group, "canceled", "cancel_pending", "authorized")
    tally.set("authorized", max(tally.amounts.get("authorized", ZERO), ZERO))
    return Sums(**tally.amounts)


def _since_adjustment(authorizations: list[TransactionEvent]) -> list[TransactionEvent]:
    """An adjustment replaces every authorization before it."""
    places = [place for place, event in enumerate(authorizations) if event.type == "AUTHORIZATION_ADJUSTMENT"]
    return authorizations[places[-1] :] if places else authorizations


def _groups(events: Iterable[TransactionEvent], kind: str) -> list[Group]:
    groups: dict[str, Group] = {}
    for event in events:
        start, _, ending = event.type.partition("_")
        if start == kind and event.psp_reference:
            groups.setdefault(event.psp_reference, {})[ending] = event
    return list(groups.values())


def _add_manual(tally: _Tally, event: TransactionEvent) -> None:
    """What transactionCreate and transactionUpdate state reduces nothing: whoever states it states all sums."""
    match event.type:
        case "AUTHORIZATION_SUCCESS":
            tally.add("authorized", event.amount)
        case "AUTHORIZATION_ADJUSTMENT":
            tally.set("authorized", event.amount)
        case "CHARGE_SUCCESS" | "REFUND_REVERSE":
            tally.add("charged", event.amount)
        case "CHARGE_BACK":
            tally.add("charged", -event.amount)
        case "REFUND_SUCCESS":
            tally.add("refunded", event.amount)
        case "CANCEL_SUCCESS":
            tally.add("canceled", event.amount)
