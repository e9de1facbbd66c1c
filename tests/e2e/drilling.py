"""What a drill needs: trouble at Vipps, sudden deaths, clients who repeat what was not answered, and the books."""

import itertools
import json
import random
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import asyncpg
import httpx

from tests.e2e.machines import SCOPES, Machine, in_a_thread, wait_for

# One call in seven or so: answers that are lost, connections that break, servers that fail before or after the effect.
TROUBLE: tuple[dict[str, Any], ...] = (
    {"kind": "reset-before", "probability": 0.02},
    {"kind": "reset-after", "probability": 0.03},
    {"kind": "timeout-after", "probability": 0.01, "seconds": 3.0},
    {"kind": "status", "status": 503, "when": "before", "probability": 0.02},
    {"kind": "status", "status": 500, "when": "after", "probability": 0.02},
    {"kind": "status", "status": 429, "retry_after": "1", "probability": 0.02},
    {"kind": "slow", "probability": 0.02, "seconds": 1.0},
)
KEPT = ("do not make it anew", "it is followed up")  # said of an item that the app sees through by itself
_TRANSIENT = {"UNAVAILABLE", "OUTCOME_UNKNOWN"}
_PATIENCE = 180.0  # seconds in which a client gets an answer, whoever is killed


@dataclass
class Client:
    """An API client that sends again, with the same items, what was not answered or not taken in."""

    machine: Machine
    auth: tuple[str, str]
    repeats: int = 0
    surprises: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, machine: Machine) -> "Client":
        scopes = [part for scope in SCOPES for part in ("--scope", scope)]
        made = json.loads(machine.command("client", "create", "--shop", machine.shop, "--json", *scopes))
        return cls(machine, (made["id"], made["secret"]))

    def send(self, mutation: str, items: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """Until every item is done or kept by the app; the items that are done."""
        done, left = [], list(items)
        deadline = time.monotonic() + _PATIENCE
        while left:
            assert time.monotonic() < deadline, f"{mutation} of {left} was not answered"
            results = self._ask(mutation, left)
            if results is not None:
                done += [item for item, result in zip(left, results, strict=True) if result["success"]]
                left = [item for item, result in zip(left, results, strict=True) if self._again(mutation, result)]
            if left:
                self.repeats += 1
                time.sleep(0.3)
        return done

    def _ask(self, mutation: str, items: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]] | None:
        kind = f"C{mutation[1:]}Input"
        query = (
            f"mutation ($items: [{kind}!]!) {{ {mutation}(charges: $items) "
            "{ results { success error { code message } } } }"
        )
        body = {"query": query, "variables": {"items": items}}
        try:
            answer = httpx.post(f"{self.machine.url}/graphql", json=body, auth=self.auth, timeout=60)
        except httpx.TransportError:
            return None
        if answer.status_code != httpx.codes.OK:
            return None
        results: list[dict[str, Any]] = answer.json()["data"][mutation]["results"]
        return results

    def _again(self, mutation: str, result: Mapping[str, Any]) -> bool:
        error = result["error"]
        if result["success"] or any(it in error["message"] for it in KEPT):
            return False
        if error["code"] in _TRANSIENT or (error["code"] == "DUPLICATE" and "under way" in error["message"]):
            return True
        self.surprises.append(f"{mutation}: {error['code']} {error['message']}")
        return False


@dataclass
class Reaper:
    """Kills one of the machine's processes after the other, every so many seconds, and starts it again at once.

    Each is left so long to work, and no shorter than it took to start: a busy machine gets on too, with fewer deaths.
    """

    machine: Machine
    every: float = 2.0
    deaths: list[tuple[float, str]] = field(default_factory=list)
    found_dead: list[str] = field(default_factory=list)
    _launched: dict[str, float] = field(default_factory=dict)
    _up_since: dict[str, float] = field(default_factory=dict)
    _enough: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def at_work(self) -> Iterator[None]:
        thread = threading.Thread(target=self._run)
        thread.start()
        try:
            yield
        finally:
            self._enough.set()
            thread.join()

    def _run(self) -> None:
        last = time.monotonic()
        for name in itertools.cycle(self.machine.names):
            while time.monotonic() - last < self.every or self._is_at_work_too_shortly(name):
                if self._enough.wait(0.1):
                    return
                self._look_who_is_up()
            if not self.machine.runs(name):
                self.found_dead.append(name)
            self.machine.kill(name)
            last = time.monotonic()
            self.deaths.append((last, name))
            self._up_since.pop(name, None)
            self._launched[name] = last
            self.machine.launch(name)

    def _look_who_is_up(self) -> None:
        for name in set(self.machine.names) - set(self._up_since):
            if self.machine.is_up(name):
                self._up_since[name] = time.monotonic()

    def _is_at_work_too_shortly(self, name: str) -> bool:
        up_since = self._up_since.get(name)
        if up_since is None or not self.machine.runs(name):
            return self.machine.runs(name)
        took_to_start = up_since - self._launched.get(name, up_since)
        return time.monotonic() - up_since < max(self.every, took_to_start)


@dataclass(frozen=True)
class Open:
    """What is not finished, by kind, with what its rows say of why."""

    rows: Mapping[str, Sequence[Mapping[str, Any]]]
    orders: int

    def __bool__(self) -> bool:
        return bool(self.orders or any(self.rows.values()))

    def __str__(self) -> str:
        few = {name: [len(found), *found[:5]] for name, found in self.rows.items() if found}
        return f"{few}, orders that show no charge: {self.orders}"


_WAITS = "attempts, next_attempt_at, lease_until"
_OPEN = {
    "charges": f"SELECT order_id, {_WAITS}, failure FROM charge WHERE status = 'NEW'",  # noqa: S608
    "operations": f"SELECT kind, charge_id, {_WAITS}, failure FROM operation WHERE status = 'OPEN'",  # noqa: S608
    "inbox": f"SELECT event, {_WAITS}, result FROM inbox WHERE status = 'WAITING'",  # noqa: S608
    "unreported": (
        f"SELECT order_id, status, reported, {_WAITS} FROM charge WHERE saleor_order IS NOT NULL"  # noqa: S608
        " AND status <> 'NEW' AND (reported IS NULL"
        " OR reported <> status || '/' || captured || '/' || refunded || '/' || cancelled)"
    ),
    "reports": f"SELECT type, psp_reference, {_WAITS}, failure FROM report WHERE status = 'WAITING'",  # noqa: S608
}


def read(machine: Machine, query: str) -> list[dict[str, Any]]:
    """The machine's own rows, past the app."""
    if not machine.database:
        file = machine.folder / "vipps-recurring.sqlite3"
        with sqlite3.connect(f"file:{file}?mode=ro", uri=True) as connection:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute(query)]

    async def ask() -> list[dict[str, Any]]:
        connection = await asyncpg.connect(machine.database.replace("+asyncpg", ""))
        try:
            return [dict(row) for row in await connection.fetch(query)]
        finally:
            await connection.close()

    return in_a_thread(ask)


def still_open(machine: Machine) -> Open:
    orders = machine.outside.get(f"{machine.outside.saleor}/simulator/orders")
    without = [it for it in orders if "vipps-recurring.charge" not in it["privateMetadata"]]
    return Open({name: read(machine, query) for name, query in _OPEN.items()}, len(without))


def settle(machine: Machine, since: float, seconds: float) -> dict[str, float]:
    """Wait until nothing is open; when each kind of thing was finished, in seconds after `since`."""
    last: dict[str, float] = {}

    def nothing_is_open() -> bool:
        left = still_open(machine)
        for name, rows in (*left.rows.items(), ("orders", range(left.orders))):
            if rows:
                last[name] = round(time.monotonic() - since, 1)
        state.append(left)
        return not left

    state: list[Open] = []
    try:
        wait_for("everything to be settled", nothing_is_open, since + seconds - time.monotonic(), pause=0.5)
    except AssertionError as error:
        raise AssertionError(f"{seconds:.0f} s after the last death this is open: {state[-1]}") from error
    return last


@dataclass
class Books:
    """What was asked for, to be compared with what Vipps did."""

    charges: dict[str, int] = field(default_factory=dict)  # minor units by order id
    captures: dict[str, list[int]] = field(default_factory=dict)  # minor units, one after the other, by charge id
    refunds: dict[str, int] = field(default_factory=dict)  # minor units by charge id
    cancels: list[str] = field(default_factory=list)  # charge ids
    orders: dict[str, str] = field(default_factory=dict)  # agreement by Saleor order

    def compare(self, machine: Machine) -> None:
        """Every effect once, and none that nobody asked for."""
        ledger = machine.outside.get(f"{machine.outside.vipps}/simulator/ledger")
        made = [it for it in ledger if it["effect"] == "create"]
        twice = {name: count for name, count in Counter(it["order_id"] for it in made).items() if count > 1}
        assert twice == {}
        of_orders = self._of_orders(machine)
        amounts = {it["order_id"]: it["amount"] for it in made}
        assert amounts == self.charges | of_orders
        for effect, wanted in (("refund", self.refunds), ("cancel", dict.fromkeys(self.cancels))):
            done = [it for it in ledger if it["effect"] == effect]
            assert sorted(it["charge_id"] for it in done) == sorted(wanted), effect
        refunded = {it["charge_id"]: it["amount"] for it in ledger if it["effect"] == "refund"}
        assert refunded == self.refunds
        self._compare_captures(machine, [it for it in ledger if it["effect"] == "capture"])

    def _compare_captures(self, machine: Machine, done: Sequence[Mapping[str, Any]]) -> None:
        """Each part once and in order, and the sums in our rows."""
        captured: dict[str, list[int]] = {}
        for it in done:
            captured.setdefault(it["charge_id"], []).append(it["amount"])
        assert captured == self.captures
        rows = read(machine, "SELECT charge_id, captured FROM charge WHERE captured > 0 AND origin <> 'INITIAL'")
        assert {it["charge_id"]: it["captured"] for it in rows} == {name: sum(it) for name, it in captured.items()}

    def _of_orders(self, machine: Machine) -> dict[str, int]:
        """The order ids at Vipps, with amounts, of the one charge that each Saleor order has."""
        rows = read(machine, "SELECT saleor_order, agreement_id, order_id, charge_id, amount FROM charge")
        mine = [it for it in rows if it["saleor_order"] is not None]
        assert {it["saleor_order"]: it["agreement_id"] for it in mine} == self.orders
        assert len(mine) == len(self.orders)
        charge_of = {it["saleor_order"]: it["charge_id"] for it in mine}
        for order in machine.outside.get(f"{machine.outside.saleor}/simulator/orders"):
            assert order["privateMetadata"]["vipps-recurring.charge"] == charge_of[order["id"]]
            assert len(order["notes"]) == 1, order["notes"]
            # One transaction with one event: nothing was made twice, nothing told twice.
            shown = machine.outside.get(f"{machine.outside.saleor}/simulator/orders/{order['id']}/transactions")
            [transaction] = shown
            assert [it["type"] for it in transaction["events"]] == ["CHARGE_REQUEST"], transaction["events"]
            assert transaction["pspReference"] == f"{self.orders[order['id']]}/{charge_of[order['id']]}"
        return {it["order_id"]: it["amount"] for it in mine}


_RESERVED = 3000  # minor units of each charge that is captured
_PART = 1000
CAPTURED_AT_ONCE = 8


def _keyed(what: str, items: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [{**it, "idempotencyKey": f"{what}-{it['chargeId']}"} for it in items]


@dataclass
class Work:
    """The drill's making: charges in batches, some of them cancelled, orders, refunds of initial charges, and captures.

    What is captured was made and reserved before: a charge is reserved on its day, and the drill is over by then.
    """

    client: Client
    agreements: Sequence[str]  # each with an initial charge, which is refunded
    customers: Sequence[tuple[str, str]]  # with their agreements
    books: Books = field(default_factory=Books)
    batches: list[list[dict[str, Any]]] = field(default_factory=list)
    reserved: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def plan(cls, client: Client, charges: int, largest: int) -> "Work":
        machine, chance = client.machine, random.Random(7)  # noqa: S311  # a drill is to be repeatable
        initial = {"initialCharge": {"price": 5000, "description": "First month"}}
        agreements = [machine.subscribe(**initial)[1] for _ in range(max(charges // 100, 4))]
        work = cls(client, agreements, [machine.subscribe() for _ in range(8)])
        work._reserve(max(charges // 25, 16))
        while charges > 0:
            size = min(charges, chance.randint(largest // 4, largest))
            work.batches.append([work._charge(chance) for _ in range(size)])
            charges -= size
        return work

    def _charge(self, chance: random.Random) -> dict[str, Any]:
        order_id, price = f"drill-{len(self.books.charges):06}", chance.randint(100, 1000)
        self.books.charges[order_id] = price
        agreement = chance.choice(self.agreements)
        return {"agreementId": agreement, "price": price, "description": "Drill", "orderId": order_id}

    def _reserve(self, count: int) -> None:
        """Charges whose day has come at Vipps and whose money is set aside, on an account that speaks v3."""
        machine = self.client.machine
        machine.set_account("v3", "reserving")
        _, agreement = machine.subscribe(channel="reserving")
        day = datetime.now(ZoneInfo("Europe/Oslo")).date() + timedelta(days=1)
        for number in range(count):
            order_id = f"reserved-{number:06}"
            self.books.charges[order_id] = _RESERVED
            terms = {
                "price": _RESERVED,
                "description": "Drill",
                "due": day.isoformat(),
                "transactionType": "RESERVE_CAPTURE",
            }
            self.reserved.append({"agreementId": agreement, "orderId": order_id, **terms})
        assert len(self.client.send("chargeMake", self.reserved)) == count
        simulator = f"{machine.outside.vipps}/simulator"
        # At Vipps that day begins now: the other charges are due on the day after it or later.
        wait = datetime.combine(day, datetime.min.time(), UTC) - datetime.now(UTC)
        machine.outside.post(f"{simulator}/clock", {"advance_seconds": wait.total_seconds() + 1})
        machine.outside.post(f"{simulator}/process-due")
        charges = machine.outside.get(f"{simulator}/agreements/{agreement}")["charges"]
        assert [it["status"] for it in charges] == ["RESERVED"] * count

    def capture(self, number: int) -> None:
        """Some charges in one request; in turn all of one, a part, a part and then the rest, a part and a release."""
        some = list(enumerate(self.reserved))[number * CAPTURED_AT_ONCE :][:CAPTURED_AT_ONCE]
        kinds = {it["orderId"]: index % 4 for index, it in some}
        items = [{"agreementId": it["agreementId"], "chargeId": it["orderId"]} for _, it in some]
        parts = [it if kinds[it["chargeId"]] == 0 else it | {"price": _PART} for it in items]
        self.books.captures |= {it["chargeId"]: [it.get("price", _RESERVED)] for it in parts}
        done = {it["chargeId"] for it in self.client.send("chargeCapture", _keyed("capture", parts))}
        # What the app still sees to would only be waited for.
        rest = [it for it in items if it["chargeId"] in done and kinds[it["chargeId"]] == 2]
        for it in rest:
            self.books.captures[it["chargeId"]].append(_RESERVED - _PART)
        self.client.send("chargeCapture", _keyed("rest", rest))
        released = [it for it in items if it["chargeId"] in done and kinds[it["chargeId"]] == 3]
        self.books.cancels += [it["chargeId"] for it in released]
        self.client.send("chargeCancel", _keyed("release", released))

    def make_batch(self, number: int) -> None:
        done = self.client.send("chargeMake", self.batches[number])
        # One of each batch is not wanted any more. Vipps' name of a charge is our order id.
        for item in done[:1]:
            charge = {"agreementId": item["agreementId"], "chargeId": item["orderId"]}
            self.books.cancels.append(item["orderId"])
            self.client.send("chargeCancel", [charge | {"idempotencyKey": f"cancel-{item['orderId']}"}])

    def refund(self, number: int) -> None:
        agreement = self.agreements[number]
        simulator = self.client.machine.outside
        charge = simulator.get(f"{simulator.vipps}/simulator/agreements/{agreement}")["charges"][0]["id"]
        self.books.refunds[charge] = 1000 + number
        self.client.send(
            "chargeRefund",
            [
                {
                    "agreementId": agreement,
                    "chargeId": charge,
                    "price": 1000 + number,
                    "description": "Drill",
                    "idempotencyKey": f"refund-{number}",
                }
            ],
        )

    def order(self, number: int) -> None:
        customer, agreement = self.customers[number % len(self.customers)]
        self.books.orders[self.client.machine.order(customer, agreement)] = agreement


def paced(count: int, seconds: float, work: Callable[[int], None]) -> None:
    """Do it `count` times, spread over the seconds at least."""
    began = time.monotonic()
    for number in range(count):
        time.sleep(max(0.0, began + seconds * number / count - time.monotonic()))
        work(number)
