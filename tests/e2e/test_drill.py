"""The drill: Vipps in trouble and processes killed all the while, and in the end every charge is made, once."""

import contextlib
import json
import math
import os
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.drilling import CAPTURED_AT_ONCE, TROUBLE, Client, Reaper, Work, paced, read, settle
from tests.e2e.machines import Machine, simulators

pytestmark = pytest.mark.e2e
CHARGES = int(os.environ.get("DRILL_CHARGES", "1000"))
SECONDS = max(14.0, CHARGES / 70)  # over which the work is spread
ORDERS = 40
LATENCY = 0.1  # seconds a call to Vipps, so that deaths strike in the middle of many
PATIENCE = 120.0  # seconds after the last death in which nothing stays open
NO_LIMIT = {"VIPPS_CHARGES_PER_MINUTE": "1000000"}


def _drill(machine: Machine, charges: int, largest: int, api_version: str) -> dict[str, Any]:
    """Work in trouble, then peace; the figures of it."""
    machine.start()
    machine.install(api_version)
    work = Work.plan(Client.of(machine), charges, largest)
    reaper = Reaper(machine)
    machine.outside.latency(LATENCY)
    for fault in TROUBLE:
        machine.outside.fault(times=None, **fault)
    began = time.monotonic()
    with reaper.at_work():
        _all_at_once(
            lambda: paced(len(work.batches[::2]), SECONDS, lambda number: work.make_batch(2 * number)),
            lambda: paced(len(work.batches[1::2]), SECONDS, lambda number: work.make_batch(2 * number + 1)),
            lambda: paced(len(work.agreements), SECONDS, work.refund),
            lambda: paced(math.ceil(len(work.reserved) / CAPTURED_AT_ONCE), SECONDS, work.capture),
            lambda: paced(ORDERS, SECONDS, work.order),
        )
        made = time.monotonic()
        time.sleep(4)
    machine.outside.clear_faults()
    machine.outside.latency(0.0)
    machine.start()
    last_death = reaper.deaths[-1][0]
    # Saleor waits up to three minutes between its tries, which is not ours to shorten: it tries again now.
    machine.outside.post(f"{machine.outside.saleor}/simulator/clock", {"advance": 600})
    settled = settle(machine, last_death, PATIENCE)
    work.books.compare(machine)
    assert reaper.found_dead == []
    assert machine.errors() == []
    assert work.client.surprises == []
    calls = machine.outside.get(f"{machine.outside.vipps}/simulator/requests")
    keys = Counter(it["idempotency_key"] for it in calls if it["operation"].startswith("createCharge"))
    return {
        "api": api_version,
        "charges": charges,
        "orders": ORDERS,
        "refunds": len(work.books.refunds),
        "cancels": len(work.books.cancels),
        "captures": sum(len(it) for it in work.books.captures.values()),
        "deaths": len(reaper.deaths),
        "calls": len(calls),
        "trouble": round(sum(it["fault"] is not None for it in calls) / len(calls), 3),
        "creations repeated": sum(count - 1 for count in keys.values()),
        "client repeats": work.client.repeats,
        "most attempts": read(machine, "SELECT max(attempts) AS most FROM charge")[0]["most"],
        "made in": round(made - began, 1),
        "last open after the last death": settled,
    }


def _all_at_once(*works: Callable[[], None]) -> None:
    with ThreadPoolExecutor(len(works)) as threads:
        for done in [threads.submit(work) for work in works]:
            done.result()


def _report(name: str, figures: dict[str, Any]) -> None:
    """One line for each drill, in the file that DRILL_REPORT names."""
    if file := os.environ.get("DRILL_REPORT"):
        with Path(file).open("a") as out:
            out.write(json.dumps({"drill": name} | figures) + "\n")


def test_no_charge_is_lost_or_made_twice_on_postgresql(tmp_path: Path, postgres: Any) -> None:
    with simulators(tmp_path) as around:
        machine = Machine(tmp_path, around, postgres.create(), workers=2, settings=NO_LIMIT)
        with contextlib.closing(machine):
            machine.command("migrate")
            _report("postgresql", _drill(machine, CHARGES, 200, os.environ.get("DRILL_API", "v2")))


def test_no_charge_is_lost_or_made_twice_on_sqlite(tmp_path: Path) -> None:
    with simulators(tmp_path) as around, contextlib.closing(Machine(tmp_path, around, settings=NO_LIMIT)) as machine:
        _report("sqlite", _drill(machine, CHARGES // 5, 50, os.environ.get("DRILL_API", "v3")))
