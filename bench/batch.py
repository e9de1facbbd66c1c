"""A batch of 200 charges over GraphQL, the simulated Vipps answering after 100 ms, against one charge after another.

Three real processes on loopback, as a merchant would run them. The limit is what nobody can beat at this concurrency:
items * latency / concurrency.
"""

import os
import time
from collections.abc import Mapping
from typing import Any

import httpx

from app.demo import Place, processes
from app.demo.office import Office, beside
from app.demo.story import Story
from app.usecases.ports import Limits

ITEMS = 200
LATENCY = 0.1
CONCURRENCY = int(os.environ.get("VIPPS_CONCURRENCY", Limits().concurrency))
ROUNDS = 3
ONE_BY_ONE = 20  # measured on these, reckoned for all

_MAKE = """mutation ($charges: [ChargeMakeInput!]!) {
  chargeMake(charges: $charges) { successes errors { message } }
}"""


def batch() -> None:
    with processes() as place, httpx.Client(timeout=120) as http:
        story = Story(http, place, Office(beside(place), place.shop))
        story.console.quiet = True
        story.install()
        agreement, headers = story.approve(story.sign_up()), story.machine
        http.post(f"{place.vipps}/simulator/latency", json={"seconds": LATENCY}).raise_for_status()
        single = min(_make(http, place, headers, agreement, ONE_BY_ONE, size=1) for _ in range(ROUNDS))
        one_by_one = single / ONE_BY_ONE * ITEMS
        together = min(_make(http, place, headers, agreement, ITEMS, size=ITEMS) for _ in range(ROUNDS))
        limit = ITEMS * LATENCY / CONCURRENCY
        print(
            f"{ITEMS} charges at {LATENCY * 1000:.0f} ms latency: {together:.2f} s in one batch, "
            f"{one_by_one:.1f} s one by one, {one_by_one / together:.1f} times faster (goal 25), "
            f"{together / limit:.2f} times the limit of {limit:.2f} s (goal 1.5)"
        )


def _make(
    http: httpx.Client, place: Place, headers: Mapping[str, str], agreement: str, count: int, *, size: int
) -> float:
    stamp = time.time_ns()
    items: list[dict[str, Any]] = [
        {"agreementId": agreement, "price": 100, "description": "Bench", "orderId": f"bench-{stamp}-{number}"}
        for number in range(count)
    ]
    began = time.perf_counter()
    for start in range(0, count, size):
        body = {"query": _MAKE, "variables": {"charges": items[start : start + size]}}
        answer = http.post(f"{place.app}/graphql", json=body, headers=headers).json()
        made = answer["data"]["chargeMake"]
        assert len(made["successes"]) == size, made["errors"][:1]
    return time.perf_counter() - began
