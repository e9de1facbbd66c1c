"""The simulator's memory: agreements by id, order ids in use, and the ledger of effects."""

import secrets
import string
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from app.vipps.simulator.clock import SimulatorClock
from app.vipps.simulator.config import SimulatorConfig
from app.vipps.simulator.knobs import knobs_of
from app.vipps.simulator.models import (
    Actor,
    Agreement,
    Charge,
    ChargeEvent,
    Currency,
    Effect,
    FailureReason,
    HistoryEvent,
    LedgerEntry,
)
from app.vipps.simulator.refusals import refuse
from app.vipps.simulator.timeline import Timeline

_ALPHABET = string.ascii_letters + string.digits
_LONGEST_AGREEMENT_ID = 36
# What an effect on a charge is called in its history. Money taken at once is a capture there.
_IN_HISTORY: Mapping[Effect, HistoryEvent] = {
    Effect.DRAFT: "CREATE",
    Effect.CREATE: "CREATE",
    Effect.RESERVE: "RESERVE",
    Effect.CHARGE: "CAPTURE",
    Effect.CAPTURE: "CAPTURE",
    Effect.REFUND: "REFUND",
    Effect.CANCEL: "CANCEL",
    Effect.FAIL: "FAIL",
}

Listener = Callable[[LedgerEntry, Agreement, Charge | None], None]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, with which key, and under which address they reached us."""

    msn: str
    idempotency_key: str | None
    base_url: str


class Book:
    def __init__(self, config: SimulatorConfig, clock: SimulatorClock) -> None:
        self.config = config
        self.knobs = knobs_of(config)
        self.clock = clock
        self.timeline = Timeline()
        self.agreements: dict[str, Agreement] = {}
        self.ledger: list[LedgerEntry] = []
        self.listeners: list[Listener] = []  # who wants to hear of every effect
        # Charges whose day has come, or will come, by due date: what the daily batch looks at.
        self.awaiting: dict[str, list[tuple[Agreement, Charge]]] = {}
        # Order ids whose charge, taken in with a batch, will not come into being.
        self.doomed_orders: dict[str, FailureReason] = {}
        self._currencies: dict[str, Currency] = {merchant.msn: merchant.currency for merchant in config.merchants}
        self._by_msn: dict[str, list[Agreement]] = {merchant.msn: [] for merchant in config.merchants}
        self._by_token: dict[str, Agreement] = {}
        self._charge_ids: set[tuple[str, str]] = set()

    def now(self) -> datetime:
        """While something planned happens late, after a leap of the clock, this is still its own time."""
        return self.timeline.moment or self.clock.now()

    def add(self, agreement: Agreement) -> None:
        self.agreements[agreement.id] = agreement
        self._by_msn[agreement.msn].append(agreement)
        self._by_token[agreement.approval_token] = agreement

    def of_merchant(self, msn: str) -> list[Agreement]:
        return self._by_msn[msn]

    def currency_of(self, msn: str) -> Currency:
        return self._currencies[msn]

    def by_approval_token(self, token: str) -> Agreement | None:
        return self._by_token.get(token)

    def find(self, caller: Caller, agreement_id: str) -> Agreement:
        """The caller's own agreement; somebody else's does not exist for them."""
        if not agreement_id.startswith("agr_") or len(agreement_id) > _LONGEST_AGREEMENT_ID:
            message = "Missing message for error: invalid.agreementId"
            raise refuse(400, message, code="invalid.agreementId", field="agreementId")
        agreement = self.agreements.get(agreement_id)
        if agreement is None or agreement.msn != caller.msn:
            raise refuse(404, "Agreement not found.")
        return agreement

    def find_charge(self, caller: Caller, agreement_id: str, charge_id: str) -> tuple[Agreement, Charge]:
        agreement = self.find(caller, agreement_id)
        charge = agreement.charges.get(charge_id)
        if charge is None:
            raise refuse(404, "Charge not found.")
        return agreement, charge

    def find_charge_by_id(self, caller: Caller, charge_id: str) -> tuple[Agreement, Charge]:
        for agreement in self.of_merchant(caller.msn):
            if (charge := agreement.charges.get(charge_id)) is not None:
                return agreement, charge
        raise refuse(404, "Charge not found.")

    def new_agreement_id(self) -> str:
        while (agreement_id := "agr_" + _random_text()) in self.agreements:
            pass
        return agreement_id

    def claim_charge_id(self, msn: str, order_id: str | None, field: str) -> str:
        """An order id becomes the charge id and can be used once per merchant; without one, an id is made up."""
        if order_id is not None and (msn, order_id) in self._charge_ids:
            # Which error Vipps gives is not known. 409 is what it uses for other conflicts.
            raise refuse(409, "This order id has been used before.", code="conflict", field=field)
        charge_id = order_id
        while charge_id is None or (order_id is None and (msn, charge_id) in self._charge_ids):
            charge_id = "chr-" + _random_text()
        self._charge_ids.add((msn, charge_id))
        return charge_id

    def release_charge_id(self, msn: str, charge_id: str) -> None:
        """For a charge that never came into being."""
        self._charge_ids.discard((msn, charge_id))

    def record(
        self,
        effect: Effect,
        agreement: Agreement,
        charge: Charge | None = None,
        amount: int | None = None,
        key: str | None = None,
        actor: Actor = "MERCHANT",
    ) -> None:
        entry = LedgerEntry(
            number=len(self.ledger) + 1,
            at=self.now(),
            effect=effect,
            msn=agreement.msn,
            agreement_id=agreement.id,
            charge_id=charge.id if charge else None,
            order_id=charge.order_id if charge else None,
            amount=amount,
            idempotency_key=key,
            actor=actor,
        )
        self.ledger.append(entry)
        if charge is not None and (event := _IN_HISTORY.get(effect)):
            charge.history.append(_history_line(entry, event))
        for hear in self.listeners:
            hear(entry, agreement, charge)


def _history_line(entry: LedgerEntry, event: HistoryEvent) -> ChargeEvent:
    return ChargeEvent(
        occurred=entry.at,
        event=event,
        amount=entry.amount or 0,
        # What Vipps does by itself has a key too, which nobody outside knows.
        idempotency_key=entry.idempotency_key or str(uuid.uuid4()),
        success=event != "FAIL",
    )


def new_transaction_id() -> str:
    return str(secrets.randbelow(9 * 10**9) + 10**9)


def _random_text(length: int = 7) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))
