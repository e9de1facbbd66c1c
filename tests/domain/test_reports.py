"""What Saleor is told of a charge: each event once, under the right reference, and sums that end as Vipps' do."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from fastapi import FastAPI
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.agreement import TransactionType
from app.domain.charge import Charge, ChargeOrigin, ChargeStatus, SeenCharge
from app.domain.operation import Operation, OperationKind, OperationStatus
from app.domain.reports import ACTION_SLOT, Wish, actions_of, reference_of, reports_of, wanted
from app.domain.transaction import ActionType, EventType, Report
from app.saleor.simulator import event_reports
from app.saleor.simulator.transaction_models import Sums
from tests.builders import NOW, a_charge, a_seen_charge, an_operation
from tests.world import SHOP, new_shop

S = ChargeStatus
DIRECT, RESERVE = TransactionType.DIRECT_CAPTURE, TransactionType.RESERVE_CAPTURE
AMOUNT = 25_000
TRANSACTION = "VHJhbnNhY3Rpb25JdGVtOjE="


def told(charge: Charge, operations: Sequence[Operation] = (), known: Sequence[Report] = ()) -> list[str]:
    """Short: type, what follows the charge's reference (or the operation's id), and minor units."""
    return [short(charge, it) for it in wanted(charge, operations, known, NOW)]


def short(charge: Charge, it: Wish) -> str:
    return f"{it.type} {it.psp_reference.removeprefix(reference_of(charge)) or 'R'} {it.amount.minor}"


def known_of(charge: Charge, operations: Sequence[Operation] = (), known: Sequence[Report] = ()) -> list[Report]:
    return [*known, *reports_of(SHOP, TRANSACTION, wanted(charge, operations, known, NOW), known, NOW)]


def an_op(kind: OperationKind, status: OperationStatus, amount: int, **over: Any) -> Operation:
    return an_operation(kind=kind, status=status, request={"amount": amount, "currency": "NOK"}, **over)


@pytest.mark.parametrize(
    ("charge", "expected"),
    [
        ({"status": S.NEW}, ["CHARGE_REQUEST R 25000"]),
        ({"status": S.DUE}, ["CHARGE_REQUEST R 25000"]),
        ({"status": S.DUE, "origin": ChargeOrigin.INITIAL}, []),
        ({"status": S.PROCESSING}, ["CHARGE_REQUEST R 25000", "INFO /processing 0"]),
        ({"status": S.CHARGED, "captured": AMOUNT}, ["CHARGE_SUCCESS R 25000"]),
        ({"status": S.CHARGED, "captured": AMOUNT, "origin": ChargeOrigin.INITIAL}, ["CHARGE_SUCCESS R 25000"]),
        ({"status": S.FAILED}, ["CHARGE_FAILURE R 25000"]),
        ({"status": S.REJECTED}, ["CHARGE_FAILURE R 25000"]),
        ({"status": S.CANCELLED}, ["CHARGE_FAILURE R 25000"]),
        (
            {"status": S.PARTIALLY_REFUNDED, "captured": AMOUNT, "refunded": 100},
            ["CHARGE_SUCCESS R 25000", "REFUND_SUCCESS /refunded/100 100"],
        ),
        ({"status": S.DUE, "transaction_type": RESERVE}, ["AUTHORIZATION_REQUEST R 25000"]),
        ({"status": S.RESERVED, "transaction_type": RESERVE}, ["AUTHORIZATION_SUCCESS R 25000"]),
        ({"status": S.FAILED, "transaction_type": RESERVE}, ["AUTHORIZATION_FAILURE R 25000"]),
        ({"status": S.CANCELLED, "transaction_type": RESERVE}, ["AUTHORIZATION_FAILURE R 25000"]),
        (
            {"status": S.CHARGED, "captured": AMOUNT, "transaction_type": RESERVE},
            ["AUTHORIZATION_SUCCESS R 25000", "CHARGE_SUCCESS /captured/25000 25000"],
        ),
        (
            {"status": S.CHARGED, "captured": 10_000, "transaction_type": RESERVE},
            [
                "AUTHORIZATION_SUCCESS R 25000",
                "CHARGE_SUCCESS /captured/10000 10000",
                "CANCEL_SUCCESS /cancelled/15000 15000",
            ],
        ),
    ],
)
def test_each_state_is_told_by_its_events(charge: dict[str, Any], expected: list[str]) -> None:
    assert told(a_charge(**charge)) == expected


@pytest.mark.parametrize("type_", [DIRECT, RESERVE])
def test_what_is_known_is_not_told_again(type_: TransactionType) -> None:
    charge = a_charge(status=S.PARTIALLY_REFUNDED, captured=AMOUNT, refunded=100, transaction_type=type_)
    assert told(charge, known=known_of(charge)) == []


@pytest.mark.parametrize(
    ("status", "sums", "actions"),
    [
        (S.NEW, {}, ["CANCEL"]),
        (S.DUE, {}, ["CANCEL"]),
        (S.PROCESSING, {}, []),
        (S.RESERVED, {}, ["CHARGE", "CANCEL"]),
        (S.PARTIALLY_CAPTURED, {"captured": 100}, ["CHARGE", "CANCEL", "REFUND"]),
        (S.PARTIALLY_CAPTURED, {"captured": 100, "refunded": 100}, ["CHARGE", "CANCEL"]),
        (S.CHARGED, {"captured": AMOUNT}, ["REFUND"]),
        (S.PARTIALLY_REFUNDED, {"captured": AMOUNT, "refunded": 100}, ["REFUND"]),
        (S.REFUNDED, {"captured": AMOUNT, "refunded": AMOUNT}, []),
        (S.FAILED, {}, []),
        (S.CANCELLED, {}, []),
    ],
)
def test_staff_are_offered_what_vipps_would_do(status: ChargeStatus, sums: dict[str, int], actions: list[str]) -> None:
    assert actions_of(a_charge(status=status, **sums)) == tuple(ActionType(it) for it in actions)


def test_a_refund_has_its_operations_reference_and_the_portals_what_it_came_to() -> None:
    charge = a_charge(status=S.PARTIALLY_REFUNDED, captured=AMOUNT, refunded=900)
    first = an_op(OperationKind.REFUND, OperationStatus.DONE, 500, charge_id=charge.charge_id)
    known = known_of(replace(charge, status=S.CHARGED, refunded=0))
    assert told(charge, [first], known) == [f"REFUND_SUCCESS {first.id} 500", "REFUND_SUCCESS /refunded/900 400"]


def test_a_refund_is_nobodys_only_when_no_operation_may_be_its_cause() -> None:
    charge = a_charge(status=S.PARTIALLY_REFUNDED, captured=AMOUNT, refunded=500)
    known = known_of(replace(charge, status=S.CHARGED, refunded=0))
    waiting = an_op(OperationKind.REFUND, OperationStatus.OPEN, 500)
    assert told(charge, [waiting], known) == []
    done = replace(waiting, status=OperationStatus.DONE)
    assert told(charge, [done], known) == [f"REFUND_SUCCESS {done.id} 500"]
    refused = replace(waiting, status=OperationStatus.REJECTED)
    assert told(charge, [refused], known) == ["REFUND_SUCCESS /refunded/500 500"]


def test_a_late_failure_is_newer_than_the_success_that_it_takes_back() -> None:
    charged = a_charge(status=S.CHARGED, captured=AMOUNT)
    known = known_of(charged)
    [failure] = wanted(replace(charged, status=S.FAILED, failure="bounced"), (), known, NOW - timedelta(hours=1))
    assert (failure.type, failure.psp_reference) == (EventType.CHARGE_FAILURE, reference_of(charged))
    assert failure.occurred_at > known[0].occurred_at
    assert "bounced" in failure.message


def test_the_time_is_vipps_own_where_it_tells_one_and_never_to_come() -> None:
    charge = a_charge(status=S.CHARGED, captured=AMOUNT, happened_at=NOW - timedelta(hours=3))
    [success] = wanted(charge, (), (), NOW)
    assert success.occurred_at == NOW - timedelta(hours=3)
    for other in (None, NOW + timedelta(hours=3)):
        [success] = wanted(replace(charge, happened_at=other), (), (), NOW)
        assert success.occurred_at == NOW


@pytest.mark.parametrize("kind", [OperationKind.CAPTURE, OperationKind.REFUND, OperationKind.CANCEL])
def test_a_refused_operation_is_told_to_saleor_only_where_saleor_asked(kind: OperationKind) -> None:
    charge = a_charge(status=S.PARTIALLY_CAPTURED, captured=10_000, transaction_type=RESERVE)
    known = known_of(charge)
    refused = an_op(kind, OperationStatus.REJECTED, 300, failure="not today")
    assert told(charge, [refused], known) == []
    cancels = kind is OperationKind.CANCEL
    theirs = replace(refused, slot=f"{ACTION_SLOT}1", request={} if cancels else refused.request)
    name = {"CAPTURE": "CHARGE", "REFUND": "REFUND", "CANCEL": "CANCEL"}[kind]
    # Who cancels in Saleor asks for all that is reserved, and is answered with that.
    assert told(charge, [theirs], known) == [f"{name}_FAILURE {theirs.id} {15_000 if cancels else 300}"]
    assert told(charge, [theirs], known_of(charge, [theirs], known)) == []


def test_rows_are_created_one_after_another_and_after_all_before_them() -> None:
    charge = a_charge(status=S.RESERVED, transaction_type=RESERVE)
    known = known_of(charge)
    known = known_of(replace(charge, status=S.CHARGED, captured=10_000), (), known)
    times = [it.created_at for it in known]
    assert [it.type for it in known] == ["AUTHORIZATION_SUCCESS", "CHARGE_SUCCESS", "CANCEL_SUCCESS"]
    assert times == sorted(set(times))


# Any history


@dataclass
class Vipps:
    """What is true, whoever did it; a move that Vipps would not do is refused."""

    reserves: bool
    initial: bool
    tells_cancelled: bool
    tells_times: bool
    moved_at: datetime | None = None
    status: ChargeStatus = S.PENDING
    captured: int = 0
    refunded: int = 0
    cancelled: int = 0

    def seen(self) -> SeenCharge:
        return a_seen_charge(
            charge_id=CHARGE_ID,
            status=self.status,
            captured=self.captured,
            refunded=self.refunded,
            cancelled=self.cancelled if self.tells_cancelled else 0,
            failure_reason="user_action_required" if self.status is S.FAILED else None,
            happened_at=self.moved_at,
        )

    def forward(self) -> None:
        steps = {S.PENDING: S.DUE, S.DUE: S.PROCESSING, S.PROCESSING: S.RESERVED if self.reserves else S.CHARGED}
        self.status = steps.get(self.status, self.status)
        self.captured = AMOUNT if self.status is S.CHARGED and not self.captured else self.captured

    def fail(self) -> None:
        late = self.status is S.CHARGED and not self.refunded
        if self.status in {S.PENDING, S.DUE, S.PROCESSING, S.RESERVED} or late:
            self.status = S.FAILED

    def capture(self, minor: int) -> bool:
        left = AMOUNT - self.captured - self.cancelled
        if self.status not in {S.RESERVED, S.PARTIALLY_CAPTURED} or not 0 < minor <= left:
            return False
        self.captured += minor
        self.status = S.CHARGED if minor == left else S.PARTIALLY_CAPTURED
        return True

    def refund(self, minor: int) -> bool:
        left = self.captured - self.refunded
        if self.status not in {S.CHARGED, S.PARTIALLY_REFUNDED, S.PARTIALLY_CAPTURED} or not 0 < minor <= left:
            return False
        self.refunded += minor
        if self.status is not S.PARTIALLY_CAPTURED:
            self.status = S.REFUNDED if minor == left else S.PARTIALLY_REFUNDED
        return True

    def cancel(self) -> bool:
        open_ = set() if self.initial else {S.PENDING, S.DUE}
        if self.status in open_ | {S.RESERVED}:
            self.cancelled = AMOUNT if self.status is S.RESERVED else 0
            self.status = S.CANCELLED
            return True
        if self.status is S.PARTIALLY_CAPTURED:
            self.cancelled = AMOUNT - self.captured
            self.status = S.CHARGED
            return True
        return False


CHARGE_ID = "vr-the-charge"
KINDS = {"CAPTURE": OperationKind.CAPTURE, "REFUND": OperationKind.REFUND, "CANCEL": OperationKind.CANCEL}
REQUESTS = {"CAPTURE": "CHARGE_REQUEST", "REFUND": "REFUND_REQUEST", "CANCEL": "CANCEL_REQUEST"}


def part(whole: int, share: int) -> int:
    return whole if share == 4 else whole * share // 4


class History:
    """Vipps, our row and operations of the charge, and Saleor's books, moved by one step at a time."""

    def __init__(self, *, reserves: bool, initial: bool, tells_cancelled: bool, tells_times: bool) -> None:
        self.now = NOW
        self.vipps = Vipps(reserves, initial, tells_cancelled, tells_times)
        self.row = a_charge(
            order_id=CHARGE_ID,
            transaction_type=RESERVE if reserves else DIRECT,
            origin=ChargeOrigin.INITIAL if initial else ChargeOrigin.RENEWAL,
        )
        self.operations: list[Operation] = []
        self.done_at_vipps: dict[str, bool] = {}
        self.snapshots = [self.vipps.seen()]
        self.known: list[Report] = []
        self.shop = new_shop(SHOP, FastAPI)
        self.transaction = self.shop.transactions.add(
            self.shop.create_order(email="kari@example.com", amount=AMOUNT // 100)
        )

    def step(self, what: str, share: int) -> None:
        self.now += timedelta(seconds=7)
        getattr(self, what)(share)
        if self.vipps.seen() != self.snapshots[-1] and self.vipps.tells_times:
            self.vipps.moved_at = self.now
        self.snapshots.append(self.vipps.seen())

    def forward(self, _share: int) -> None:
        self.vipps.forward()

    def fail(self, _share: int) -> None:
        self.vipps.fail()

    def portal_capture(self, share: int) -> None:
        self.vipps.capture(part(AMOUNT - self.vipps.captured - self.vipps.cancelled, share))

    def portal_refund(self, share: int) -> None:
        self.vipps.refund(part(self.vipps.captured - self.vipps.refunded, share))

    def portal_cancel(self, _share: int) -> None:
        self.vipps.cancel()

    def look(self, _share: int) -> None:
        self.row = self.row.see(self.vipps.seen(), NOW)

    def look_late(self, share: int) -> None:
        """An answer of some time ago that arrives now."""
        self.row = self.row.see(self.snapshots[len(self.snapshots) * share // 5], NOW)

    def refuse(self, _share: int) -> None:
        """Vipps says no to what it has all the same."""
        if self.row.status is S.NEW:
            self.row = replace(self.row, status=S.REJECTED, failure="no")

    def ask_capture(self, share: int) -> None:
        self._ask("CAPTURE", part(AMOUNT - self.row.captured - self.row.cancelled, share), share)

    def ask_refund(self, share: int) -> None:
        self._ask("REFUND", part(self.row.captured - self.row.refunded, share), share)

    def ask_cancel(self, share: int) -> None:
        self._ask("CANCEL", 0, share)

    def _ask(self, name: str, minor: int, share: int) -> None:
        kind = KINDS[name]
        open_ = any(it.kind is kind and it.status is OperationStatus.OPEN for it in self.operations)
        if open_ or self.row.charge_id is None or (minor <= 0 and name != "CANCEL"):
            return
        request: dict[str, str | int] = {} if name == "CANCEL" else {"amount": minor, "currency": "NOK"}
        slot = f"{ACTION_SLOT}{len(self.operations)}" if share % 2 else None
        asked = an_operation(kind=kind, request=request, slot=slot)
        self.operations.append(asked)
        if slot:
            # Staff asked on the transaction, and our answer was that it is under way.
            most = self.transaction.sums.charged if name == "REFUND" else self.transaction.sums.authorized
            amount = min(Decimal(minor) / 100, most) if minor else most
            self.send(REQUESTS[name], asked.id, max(amount, Decimal(0)), self.now)

    def arrive(self, share: int) -> None:
        """The request of an open operation reaches Vipps; nobody has heard of that yet."""
        waiting = [it for it in self.operations if it.id not in self.done_at_vipps]
        if not waiting:
            return
        it = waiting[len(waiting) * share // 5]
        minor = int(it.request.get("amount", 0))
        match it.kind:
            case OperationKind.CAPTURE:
                done = self.vipps.capture(minor)
            case OperationKind.REFUND:
                done = self.vipps.refund(minor)
            case _:
                done = self.vipps.cancel()
        self.done_at_vipps[it.id] = done

    def settle(self, share: int) -> None:
        """The answer of an operation that has arrived is written down, with the charge as it is now."""
        waiting = [it for it in self.operations if it.id in self.done_at_vipps and it.status is OperationStatus.OPEN]
        if not waiting:
            return
        it = waiting[len(waiting) * share // 5]
        done = self.done_at_vipps[it.id]
        ended = replace(it, status=OperationStatus.DONE if done else OperationStatus.REJECTED, failure="no")
        self.operations[self.operations.index(it)] = ended
        if done:
            self.row = self.row.see(self.vipps.seen(), NOW)

    def tell(self, _share: int = 0) -> None:
        wishes = wanted(self.row, self.operations, self.known, self.now)
        self.known += reports_of(SHOP, TRANSACTION, wishes, self.known, self.now)
        for it in wishes:
            self.send(it.type, it.psp_reference, it.amount.to_decimal(), it.occurred_at)
        assert not wanted(self.row, self.operations, self.known, self.now)

    def send(self, type_: str, reference: str, amount: Decimal, at: datetime) -> None:
        """Raises where Saleor would refuse it."""
        self.shop.transactions.report(self.transaction, event_reports.Report(reference, type_, amount, at))

    def finish(self) -> Sums:
        """Every request arrives, every answer is written down, and the charge is looked at once more."""
        while any(it.status is OperationStatus.OPEN for it in self.operations):
            self.step("arrive", 0)
            self.step("settle", 0)
        self.step("look", 0)
        self.step("tell", 0)
        return self.transaction.sums


STEPS = [
    *("forward", "forward", "fail", "portal_capture", "portal_refund", "portal_cancel", "look", "look", "look_late"),
    *("refuse", "ask_capture", "ask_refund", "ask_cancel", "arrive", "arrive", "settle", "settle", "tell", "tell"),
]
steps = st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 4)), max_size=40)


@given(
    steps=steps,
    reserves=st.booleans(),
    initial=st.booleans(),
    tells_cancelled=st.booleans(),
    tells_times=st.booleans(),
)
@settings(max_examples=150, deadline=None)
def test_saleors_sums_end_as_vipps_do_whatever_came_in_whatever_order(
    steps: list[tuple[str, int]], reserves: bool, initial: bool, tells_cancelled: bool, tells_times: bool
) -> None:
    history = History(reserves=reserves, initial=initial, tells_cancelled=tells_cancelled, tells_times=tells_times)
    for what, share in steps:
        history.step(what, share)
    sums = history.finish()
    vipps, row = history.vipps, history.row
    collected = 0 if vipps.status is S.FAILED else vipps.captured
    assert in_minor(sums.charged) == collected - vipps.refunded
    assert in_minor(sums.refunded) == vipps.refunded
    assert not sums.refund_pending
    assert not sums.cancel_pending
    under_way = row.status in {S.PENDING, S.DUE, S.PROCESSING}
    failed_before = any(it.type.endswith("FAILURE") and it.psp_reference == reference_of(row) for it in history.known)
    pending = AMOUNT if under_way and not initial and not failed_before else 0
    assert in_minor(sums.charge_pending) == (0 if reserves else pending)
    assert in_minor(sums.authorize_pending) == (pending if reserves else 0)
    if vipps.status is S.FAILED or not any(it.type is EventType.AUTHORIZATION_SUCCESS for it in history.known):
        assert sums.authorized == 0
    else:
        assert in_minor(sums.authorized) == AMOUNT - vipps.captured - vipps.cancelled
        assert in_minor(sums.canceled) == vipps.cancelled


def in_minor(amount: Decimal) -> int:
    return int(amount * 100)
