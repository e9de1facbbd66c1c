"""Steps that the tests of the use cases share: subscribers, orders, charges, time that passes, and sudden death."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from inspect import iscoroutinefunction
from typing import Any, cast

import pytest
from sqlalchemy import text

from app.domain.account import Account, ApiVersion, Caller, CallerKind, Scope, customer
from app.domain.agreement import Agreement, TransactionType
from app.domain.charge import ORDER_SLOT, Charge, ChargeRequest
from app.domain.operation import OperationKind, key_for
from app.domain.order import AGREEMENT_KEY
from app.domain.plan import IntervalUnit
from app.domain.provider import RecurringProvider, WebhookRegistry
from app.jobs.inline import InlineJobs
from app.jobs.workflows import handlers
from app.main import Context, build
from app.saleor.payloads import object_of
from app.saleor.simulator.deliveries import Mischief
from app.saleor.simulator.models import Order, User
from app.usecases.agreements import AgreementWish, InitialChargeWish, create_agreement, get_agreement
from app.usecases.charges import ChargeMake, make_charges
from app.usecases.money_moves import ChargeMove, move
from app.usecases.nightly import webhook_url
from app.usecases.ports import Deps, Job, Shop, Store, Unit
from app.usecases.registrations import WebhookState, check_webhooks
from app.usecases.sweep import sweep
from app.vipps.simulator.faults import Fault
from tests.builders import a_charge, nok
from tests.world import APP_URL, SHOP, World

# For tests with a fixture `version`: every version and every database once, or every version where databases are alike.
each_once = pytest.mark.parametrize(
    ("database_url", "version"), [("sqlite", "v2"), ("postgresql", "v3")], indirect=True
)
each_version = pytest.mark.parametrize(("database_url", "version"), [("sqlite", "v2"), ("sqlite", "v3")], indirect=True)
MACHINE = Caller(CallerKind.CLIENT, SHOP, "vrc_test", frozenset(Scope))
LEASE = timedelta(minutes=2)


@dataclass(frozen=True)
class Subscriber:
    user: User
    agreement: str


async def an_agreement(world: World, user: User, shop: str = SHOP, *, approve: bool = True, **over: Any) -> str:
    """Made by the customer; approved in the simulated app unless told otherwise. Its id."""
    wish: dict[str, Any] = {
        "price": 25_000,
        "product_name": "Coffee",
        "redirect_url": "https://shop.example/thanks",
        "unit": IntervalUnit.MONTH,
        # Without a key of its own the same wish of the same customer would be the same draft.
        "idempotency_key": str(uuid.uuid4()),
    }
    row = await create_agreement(world.context.deps, customer(shop, user.id), AgreementWish(**(wish | over)))
    assert row.agreement_id is not None
    if approve:
        world.vipps.approve(row.agreement_id)
        await get_agreement(world.context.deps, customer(shop, user.id), row.agreement_id)
    return row.agreement_id


async def a_subscriber(world: World, **over: Any) -> Subscriber:
    found = [user for user in world.saleor.users if not user.is_staff]
    user = found[0] if found else world.saleor.create_customer()
    return Subscriber(user, await an_agreement(world, user, **over))


def an_order(world: World, who: Subscriber, amount: Any = 199, **over: Any) -> Order:
    return world.saleor.create_order(who.user, amount=amount, metadata={AGREEMENT_KEY: who.agreement}, **over)


def status_of(order: Order) -> str:
    return order.private_metadata.get("vipps-recurring.status", "")


def reason_of(order: Order) -> str:
    return order.private_metadata.get("vipps-recurring.reason", "")


def notes_of(order: Order) -> list[str]:
    return [note.message or "" for note in order.notes]


async def a_made_charge(world: World, agreement: str, price: int = 10_000, order_id: str | None = None) -> Charge:
    """A charge made by API; raises the item's error where there is one."""
    result = await make_charges(
        world.context.deps, MACHINE, [ChargeMake(agreement, price, "Coffee", order_id=order_id)]
    )
    return result.items[0].answer


async def a_strangers_charge(world: World, agreement: str, price: int, order_id: str) -> None:
    """Made with the merchant's keys by another system: we have never heard of it."""
    async with world.context.store.begin() as unit:
        account = (await unit.accounts.of_shop(SHOP))[0]
    due = (world.time.now + timedelta(days=3)).date()
    request = ChargeRequest(agreement, order_id, nok(price), "Coffee", due, 0)
    await world.context.deps.provider(account).create_charge(request, key=uuid.uuid4().hex)


async def a_collected_charge(world: World, price: int = 25_000) -> ChargeMove:
    """An agreement whose initial charge was collected on approval, as a refund of all of it."""
    return await _with_initial(world, price, TransactionType.DIRECT_CAPTURE, OperationKind.REFUND)


async def a_reserved_charge(world: World, price: int = 25_000) -> ChargeMove:
    """An agreement whose initial charge is reserved, as its capture."""
    return await _with_initial(world, price, TransactionType.RESERVE_CAPTURE, OperationKind.CAPTURE)


async def _with_initial(world: World, price: int, kind: TransactionType, wanted: OperationKind) -> ChargeMove:
    who = await a_subscriber(world, initial_charge=InitialChargeWish(price, "First box", kind))
    [charge] = world.vipps.charges(who.agreement)
    return ChargeMove(wanted, who.agreement, charge.id, description="Broken" if wanted is OperationKind.REFUND else "")


async def moved(world: World, *moves: ChargeMove) -> Sequence[Any]:
    return (await move(world.context.deps, MACHINE, list(moves))).items


async def charge_of(world: World, order: Order, shop: str = SHOP) -> Charge | None:
    slot = ORDER_SLOT + order.id
    async with world.context.store.begin() as unit:
        return (await unit.charges.by_slots(shop, [slot])).get(slot)


async def agreement_row(world: World, agreement_id: str) -> Agreement:
    async with world.context.store.begin() as unit:
        row = await unit.agreements.get(SHOP, agreement_id)
    assert row is not None
    return row


async def raw(world: World, table: str) -> list[dict[str, Any]]:
    """What is really in a table, past our own mapping."""
    async with world.context.store.engine.connect() as connection:
        found = await connection.execute(text(f'SELECT * FROM "{table}"'))  # noqa: S608  # a table of ours
        return [dict(row) for row in found.mappings()]


async def recover(world: World, rounds: int = 3, pause: timedelta = LEASE) -> None:
    """Time passes, the sweeper runs and webhooks come in."""
    for _ in range(rounds):
        world.advance(pause)
        await world.sweep()
        await world.drain()


async def swept_by(deps: Deps) -> None:
    """The sweeper's minute in a process of its own, and the jobs that come of it."""
    jobs = InlineJobs()
    mine = replace(deps, jobs=jobs)
    await sweep(mine)
    await jobs.drain(handlers(mine, object_of))


def another_worker(world: World) -> Context:
    """A second process on the same database. Close its store; the HTTP clients are the first one's."""
    it = world.context
    return build(it.settings, jobs=world.jobs, clock=world.time, http=it.http, metrics=it.metrics)


def creations(world: World, amount: int) -> list[Any]:
    return [entry for entry in world.effects("create") if entry.amount == amount]


def keys_and_bodies(world: World, operation: str) -> dict[str, set[str]]:
    """Per idempotency key the bodies that were sent with it."""
    found: dict[str, set[str]] = {}
    for request in world.vipps.requests:
        if request.operation == operation:
            found.setdefault(request.idempotency_key or "", set()).add(request.body_sha256)
    return found


class Died(BaseException):
    """The process is gone; no handler of ours may catch this."""


class Life:
    """Counts the points at which a process can die, and dies at one of them."""

    def __init__(self, dies_at: int = 0, dies_on: str = "") -> None:
        self.dies_at = dies_at
        self.dies_on = dies_on
        self.steps: list[str] = []

    def step(self, what: str) -> None:
        self.steps.append(what)
        if len(self.steps) == self.dies_at or what == self.dies_on:
            raise Died(what)

    @property
    def ended(self) -> bool:
        return len(self.steps) >= self.dies_at

    @property
    def last(self) -> str:
        return f"death {self.dies_at}, {self.steps[-1] if self.steps else 'at once'}"


class MortalStore:
    """Dies before a transaction, inside it before its commit, or right after it."""

    def __init__(self, store: Store, life: Life) -> None:
        self._store = store
        self._life = life

    def begin(self) -> AbstractAsyncContextManager[Unit]:
        return self._begin()

    @asynccontextmanager
    async def _begin(self) -> AsyncIterator[Unit]:
        self._life.step("before a transaction")
        async with self._store.begin() as unit:
            yield unit
            self._life.step("before a commit")
        self._life.step("after a commit")

    async def analyze(self) -> None:
        await self._store.analyze()

    async def release_leases(self) -> None:
        await self._store.release_leases()


class _MortalCalls:
    """Any object with asynchronous methods, or parts that have them; dies before or after one of their calls."""

    def __init__(self, inner: object, life: Life) -> None:
        self._inner = inner
        self._life = life

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._inner, name)
        if not iscoroutinefunction(method):
            # `batches` of v3 makes calls too; what is no object of its own stays as it is.
            return _MortalCalls(method, self._life) if hasattr(method, "__dict__") else method

        async def call(*args: Any, **more: Any) -> Any:
            self._life.step(f"before {name}")
            answer = await method(*args, **more)
            self._life.step(f"after {name}")
            return answer

        return call


def mortal(deps: Deps, life: Life) -> Deps:
    """The same collaborators in a process that dies at a given step."""

    def provider(account: Account) -> RecurringProvider:
        return cast(RecurringProvider, _MortalCalls(deps.provider(account), life))

    def webhooks(account: Account) -> WebhookRegistry:
        return cast(WebhookRegistry, _MortalCalls(deps.webhooks(account), life))

    return replace(
        deps,
        store=MortalStore(deps.store, life),
        shop=cast(Shop, _MortalCalls(deps.shop, life)),
        provider=provider,
        webhooks=webhooks,
    )


def only_order_created(world: World) -> None:
    """No later event comes to the rescue: what is not done when an order is created is the sweeper's to do."""
    world.saleor.mischief = Mischief(
        drop=True, events=frozenset({"ORDER_CONFIRMED", "ORDER_UPDATED", "ORDER_METADATA_UPDATED"})
    )


def trouble(world: World, operation: str, what: Mapping[str, Any]) -> None:
    """The next call of that operation meets this."""
    world.vipps.faults.add(Fault(operation=operation, **what))


async def on_v3(world: World) -> Account:
    """From now on the merchant account speaks v3; its agreements and charges stay."""
    return await world.set_account(api_version=ApiVersion.V3)


async def the_account(world: World, shop: str = SHOP, channel: str = "default") -> Account:
    async with world.context.store.begin() as unit:
        [account] = [it for it in await unit.accounts.of_shop(shop) if it.channel == channel]
    return account


def limited(world: World, **limits: int) -> Deps:
    """The sweeper and the jobs of this world keep to other limits from now on; its collaborators with them."""
    deps = replace(world.context.deps, limits=replace(world.context.deps.limits, **limits))
    world.context = replace(world.context, deps=deps)
    return deps


async def hears_vipps(world: World, account: Account | None = None) -> WebhookState:
    """Register the account's webhook, so that what happens at Vipps is told to the app."""
    account = account or await the_account(world)
    return await check_webhooks(world.context.deps, account, webhook_url(APP_URL, account))


async def run_later(world: World, kind: Job) -> int:
    """The jobs of a kind that wait for their time, each by itself at that time as an engine runs them; how many."""
    mine = sorted((it for it in world.jobs.later if it[1] is kind), key=lambda it: it[0])
    world.jobs.later[:] = [it for it in world.jobs.later if it[1] is not kind]
    began = world.time.now
    for after, _, shop, row_ids in mine:
        world.advance(max(began + after - world.time.now, timedelta()))
        await handlers(world.context.deps, object_of)[kind](shop, row_ids)
    return len(mine)


async def stored_charges(world: World, agreement: str, count: int, price: int = 1_000, **over: Any) -> list[Charge]:
    """Rows as a run of renewals leaves them: NEW and never tried. Amounts go up by one, to tell them apart."""
    account, now = await the_account(world), world.time.now
    fields = {"account_id": account.id, "agreement_id": agreement, "created_at": now, "retry_days": 2}
    due = (now + timedelta(days=3)).date()
    charges = []
    for number in range(count):
        row_id = str(uuid.uuid4())
        mine = {"id": row_id, "order_id": f"vr-{row_id}", "idempotency_key": key_for("create-charge", row_id)}
        charges.append(a_charge(**(fields | mine | {"due": due, "amount": nok(price + number)} | over)))
    async with world.context.store.begin() as unit:
        assert len(await unit.charges.add_all(charges)) == count
    return charges


async def charges_by_id(world: World) -> dict[str, Charge]:
    """Our rows of all charges, by row id."""
    rows = await raw(world, "charge")
    async with world.context.store.begin() as unit:
        found = [await unit.charges.get(row["shop"], row["id"]) for row in rows]
    return {it.id: it for it in found if it is not None}


def calls_of(world: World, operation: str) -> list[Any]:
    """The requests of an operation that Vipps has seen, whatever it answered."""
    return [it for it in world.vipps.requests if it.operation == operation]


async def until_called(world: World, operation: str) -> None:
    """Wait until Vipps has been asked for that; for tests in which something else happens meanwhile."""
    while not calls_of(world, operation):  # noqa: ASYNC110  # the simulator rings no bell
        await asyncio.sleep(0.001)


class Interrupted:
    """A store in which something else happens right before one of the transactions."""

    def __init__(self, store: Store, before: int, happening: Callable[[], Awaitable[object]]) -> None:
        self._store = store
        self._before = before
        self._happening = happening
        self.begun = 0

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Unit]:
        self.begun += 1
        if self.begun == self._before:
            await self._happening()
        async with self._store.begin() as unit:
            yield unit

    async def analyze(self) -> None:
        await self._store.analyze()

    async def release_leases(self) -> None:
        await self._store.release_leases()


class Beforehand:
    """Any collaborator; something else happens right before each of its calls of one name."""

    def __init__(self, inner: object, name: str, happening: Callable[[], Awaitable[object]]) -> None:
        self._inner = inner
        self._name = name
        self._happening = happening

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._inner, name)
        if name != self._name:
            return method

        async def call(*args: Any, **more: Any) -> Any:
            await self._happening()
            return await method(*args, **more)

        return call


def amounts(world: World, effect: str, charge_id: str | None = None) -> list[int]:
    """What really happened at Vipps, to all charges or to one."""
    return [it.amount for it in world.effects(effect) if charge_id in (None, it.charge_id)]


async def operation_row(world: World, kind: OperationKind) -> dict[str, Any]:
    """Of the one operation of that kind."""
    [row] = [it for it in await raw(world, "operation") if it["kind"] == kind]
    return row
