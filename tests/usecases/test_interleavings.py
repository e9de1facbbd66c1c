"""Webhooks, polls and answers in any order: the end is the same, and money is conserved on the way there."""

import asyncio
import os
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from shutil import copy
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from app.domain.account import ApiVersion
from app.domain.agreement import AgreementStatus, TransactionType
from app.domain.charge import Charge, ChargeStatus
from app.domain.errors import RecurringError
from app.domain.operation import OperationKind
from app.usecases.agreements import InitialChargeWish
from app.usecases.charges import get_charges
from app.usecases.money_moves import ChargeMove
from app.usecases.nightly import reconcile_all
from app.vipps.simulator import Mischief
from tests.usecases.steps import MACHINE, Subscriber, a_made_charge, a_subscriber, moved, trouble
from tests.world import SHOP, World, make_world

LOST: tuple[dict[str, Any], ...] = (
    {"kind": "timeout-after", "seconds": 0},
    {"kind": "reset-after"},
    {"kind": "reset-before"},
    {"kind": "status", "status": 503},
    {"kind": "status", "status": 500, "when": "after"},
    {"kind": "status", "status": 429, "retry_after": "3"},
)
ORDERS = (Mischief(reorder=True), Mischief(duplicate=True), Mischief(drop=True), Mischief())


@dataclass
class Ledger:
    """What was asked for and accepted, to be found at Vipps exactly once."""

    order_ids: list[str] = field(default_factory=list)
    refunds: dict[str, list[int]] = field(default_factory=dict)


class Interleavings(RuleBasedStateMachine):
    """One shop, one agreement on one version; what happens, and who sees it first, is hypothesis' choice."""

    template: Path
    version: ApiVersion

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None)  # noqa: S108
        self.ledger = Ledger()
        self.number = 0

    def run_async(self, work: Any) -> Any:
        return self.loop.run_until_complete(work)

    @initialize()
    def begin(self) -> None:
        path = Path(self.folder.name) / "world.db"
        copy(self.template, path)
        self.world: World = make_world(f"sqlite+aiosqlite:///{path}")
        self.who: Subscriber = self.run_async(self._begin())

    async def _begin(self) -> Subscriber:
        await self.world.install()
        await self.world.set_account(api_version=self.version)
        await self.world.register_webhooks()
        initial = InitialChargeWish(30_000, "First box", TransactionType.RESERVE_CAPTURE)
        who = await a_subscriber(self.world, price=1_000_000, initial_charge=initial)
        await self.world.drain()
        return who

    @rule(lost=st.sampled_from((None, *LOST)), price=st.integers(100, 5_000))
    def charge(self, lost: dict[str, Any] | None, price: int) -> None:
        """A charge whose answer may be lost: it is asked for all the same."""
        self.number += 1
        order_id = f"order-{self.number:08d}"
        if lost:
            trouble(self.world, "createCharge", lost)
        try:
            self.run_async(a_made_charge(self.world, self.who.agreement, price, order_id))
        except RecurringError:
            assert lost is not None or self._stopped()
        if not self._stopped():
            self.ledger.order_ids.append(order_id)

    @rule(kind=st.sampled_from((OperationKind.CAPTURE, OperationKind.CANCEL, OperationKind.REFUND)), data=st.data())
    def move(self, kind: OperationKind, data: st.DataObject) -> None:
        charges = list(self.world.vipps.charges(self.who.agreement))
        if not charges:
            return
        target = data.draw(st.sampled_from([it.id for it in charges]))
        lost = data.draw(st.sampled_from((None, *LOST)))
        if lost:
            operation = {OperationKind.CAPTURE: "captureCharge", OperationKind.CANCEL: "cancelCharge"}
            trouble(self.world, operation.get(kind, "refundCharge"), lost)
        price = data.draw(st.integers(100, 2_000)) if kind is OperationKind.REFUND else None
        what = ChargeMove(kind, self.who.agreement, target, price=price, description="Part")
        self.run_async(moved(self.world, what))
        self.world.vipps.faults.clear()

    @rule(minutes=st.sampled_from((1, 3, 60, 60 * 24)))
    def time_passes(self, minutes: int) -> None:
        self.world.advance(timedelta(minutes=minutes))

    @rule()
    def webhooks_arrive(self) -> None:
        self.run_async(self.world.vipps.deliver())

    @rule(mischief=st.sampled_from(ORDERS))
    def webhooks_go_astray(self, mischief: Mischief) -> None:
        self.world.vipps.mischief = mischief

    @rule()
    def jobs_run(self) -> None:
        self.run_async(self.world.run_jobs())

    @rule()
    def jobs_are_forgotten(self) -> None:
        self.world.jobs.waiting.clear()
        self.world.jobs.later.clear()

    @rule()
    def somebody_looks(self) -> None:
        self.run_async(get_charges(self.world.context.deps, MACHINE, [self.who.agreement]))

    @rule()
    def the_sweeper_comes(self) -> None:
        self.run_async(self.world.sweep())

    @precondition(lambda self: not self._stopped())
    @rule()
    def the_customer_stops(self) -> None:
        self.world.vipps.stop_in_app(self.who.agreement)

    def _stopped(self) -> bool:
        return str(self.world.vipps.agreement(self.who.agreement).status) == "STOPPED"

    @invariant()
    def money_is_conserved(self) -> None:
        if not hasattr(self, "who"):
            return
        for charge in self.run_async(self._rows()):
            assert charge.captured + charge.cancelled <= charge.amount.minor
            assert charge.refunded <= charge.captured

    async def _rows(self) -> list[Charge]:
        async with self.world.context.store.begin() as unit:
            return list(await unit.charges.of_agreements(SHOP, [self.who.agreement]))

    def teardown(self) -> None:
        if hasattr(self, "who"):
            self.run_async(self._end())
        self.folder.cleanup()
        self.loop.close()

    async def _end(self) -> None:
        """Quiet, and time enough: our books must equal Vipps' books."""
        world = self.world
        world.vipps.mischief = Mischief()
        world.vipps.faults.clear()
        for _ in range(6):
            world.advance(timedelta(minutes=5))
            await world.drain()
            await world.sweep()
        world.advance(timedelta(days=2))
        await world.sweep()
        # Where every webhook was lost and no charge was open, only the nightly comparison learns of a stop in the app.
        await reconcile_all(world.context.deps, lambda _: None)
        await world.drain()
        try:
            await self._books_are_equal()
        finally:
            await world.context.close()
        assert world.unforeseen == []

    async def _books_are_equal(self) -> None:
        world = self.world
        ours = {it.order_id: it for it in await self._rows()}
        theirs = {it.id: it for it in world.vipps.charges(self.who.agreement)}
        created = [it.order_id for it in world.effects("create")]
        assert len(created) == len(set(created))
        for name, seen in theirs.items():
            row = ours[name]
            assert (str(row.status), row.captured, row.refunded) == (str(seen.status), seen.captured, seen.refunded), (
                name
            )
        for order_id in self.ledger.order_ids:
            row = ours[order_id]
            assert row.status is not ChargeStatus.NEW, row
            assert (order_id in theirs) is (row.status is not ChargeStatus.REJECTED), row
        async with world.context.store.begin() as unit:
            agreement = await unit.agreements.get(SHOP, self.who.agreement)
            operations = await unit.operations.of_agreement(SHOP, self.who.agreement)
        assert agreement is not None
        assert agreement.status is (AgreementStatus.STOPPED if self._stopped() else AgreementStatus.ACTIVE)
        assert [it.status for it in operations if it.status == "OPEN"] == []
        # One effect for each move that is done, and none for one that was refused.
        for kind, effect in ((OperationKind.REFUND, "refund"), (OperationKind.CAPTURE, "capture")):
            done = [it for it in operations if it.kind is kind and it.status == "DONE"]
            assert len(world.effects(effect)) == len(done)


@pytest.mark.parametrize("version", ApiVersion)
def test_any_order_of_webhooks_polls_and_answers_ends_the_same(version: ApiVersion, sqlite_url: str) -> None:
    template = Path(sqlite_url.removeprefix("sqlite+aiosqlite:///"))
    machine = type("Machine", (Interleavings,), {"template": template, "version": version})
    machine.TestCase.settings = settings(  # type: ignore[attr-defined]
        max_examples=int(os.environ.get("INTERLEAVINGS", "10")),
        stateful_step_count=15,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    machine.TestCase("runTest").runTest()  # type: ignore[attr-defined]
