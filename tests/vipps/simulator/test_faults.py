"""Forced trouble, and whether the request behind it took effect."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import uvicorn

from app.vipps.simulator import Fault, Simulator
from app.vipps.simulator.server import create_app
from tests.vipps.simulator.helpers import Caller, a_caller, a_charge, a_draft, a_simulator, an_active_agreement


@pytest.fixture
async def agreement_id(simulator: Simulator, caller: Caller) -> str:
    return await an_active_agreement(simulator, caller)


def charges_made(simulator: Simulator) -> int:
    return sum(entry.effect == "create" for entry in simulator.ledger)


@pytest.mark.parametrize(("kind", "made"), [("reset-before", 0), ("reset-after", 1)])
async def test_a_broken_connection_is_a_transport_error(
    simulator: Simulator, caller: Caller, agreement_id: str, kind: Any, made: int
) -> None:
    simulator.faults.add(kind, operation="createCharge")

    with pytest.raises(httpx.TransportError):
        await caller.send("POST", f"/{agreement_id}/charges", a_charge(), key="same")

    assert charges_made(simulator) == made
    assert (simulator.requests[-1].status, simulator.requests[-1].fault) == (None, kind)
    assert (await caller.send("POST", f"/{agreement_id}/charges", a_charge(), key="same")).status_code == 201
    assert charges_made(simulator) == 1


@pytest.mark.parametrize(("kind", "made"), [("timeout-before", 0), ("timeout-after", 1)])
async def test_a_hanging_request_lasts_until_the_caller_gives_up(
    simulator: Simulator, caller: Caller, agreement_id: str, kind: Any, made: int
) -> None:
    simulator.faults.add(kind)

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(caller.send("POST", f"/{agreement_id}/charges", a_charge(), key="same"), 0.5)

    assert charges_made(simulator) == made


async def test_a_hanging_request_with_a_limit_ends_in_a_timeout(simulator: Simulator, caller: Caller) -> None:
    simulator.faults.add("timeout-before", seconds=0.01)

    with pytest.raises(httpx.ReadTimeout):
        await caller.send("GET", "")


@pytest.mark.parametrize(("when", "made"), [("before", 0), ("after", 1)])
async def test_a_forced_status_comes_before_or_after_the_effect_and_is_not_kept_with_the_key(
    simulator: Simulator, caller: Caller, agreement_id: str, when: Any, made: int
) -> None:
    simulator.faults.add("status", status=503, retry_after="7", when=when)

    response = await caller.send("POST", f"/{agreement_id}/charges", a_charge(), key="same")

    assert (response.status_code, response.headers["retry-after"], response.content) == (503, "7", b"")
    assert charges_made(simulator) == made
    assert (await caller.send("POST", f"/{agreement_id}/charges", a_charge(), key="same")).status_code == 201
    assert charges_made(simulator) == 1


@pytest.mark.parametrize(
    ("style", "content_type", "start"),
    [
        ("array", "application/json;charset=UTF-8", '[{"message"'),
        ("azure", "application/json;charset=UTF-8", '{"responseInfo"'),
        ("problem", "application/problem+json", '{"type"'),
        ("text", "text/plain;charset=UTF-8", "Too Many"),
        ("empty", None, ""),
        ("documented", None, ""),
    ],
)
async def test_a_forced_status_comes_in_any_format(
    simulator: Simulator, caller: Caller, style: Any, content_type: str | None, start: str
) -> None:
    simulator.faults.add("status", status=429, style=style)

    response = await caller.send("GET", "")

    assert response.status_code == 429
    assert response.headers.get("content-type") == content_type
    assert response.text.startswith(start)


async def test_the_format_of_all_errors_is_a_knob() -> None:
    caller = await a_caller(a_simulator(error_style="problem"))

    response = await caller.send("GET", "/agr_unknown")

    assert response.json()["instance"] == "/vipps-recurring-merchant-api/v2/agreements/agr_unknown"


async def test_garbage_is_200_and_no_json(simulator: Simulator, caller: Caller) -> None:
    simulator.faults.add("garbage", when="after")

    response = await caller.send("POST", "", a_draft())

    assert response.status_code == 200
    with pytest.raises(ValueError, match="Expecting value"):
        response.json()
    assert len(simulator.ledger) == 1


async def test_a_slow_answer_is_a_good_answer(simulator: Simulator, caller: Caller) -> None:
    simulator.faults.add("slow", seconds=0.05)
    loop = asyncio.get_running_loop()
    start = loop.time()

    response = await caller.send("GET", "")

    assert (response.status_code, loop.time() - start >= 0.05) == (200, True)


async def test_every_answer_waits_for_the_latency(simulator: Simulator, caller: Caller) -> None:
    simulator.latency = 0.1
    loop = asyncio.get_running_loop()
    start = loop.time()

    await asyncio.gather(*(caller.send("GET", "") for _ in range(10)))

    assert 0.1 <= loop.time() - start < 0.9


async def test_a_fault_strikes_what_it_matches_and_as_often_as_it_says(simulator: Simulator, caller: Caller) -> None:
    simulator.faults.add(Fault("status", method="post", path="/agreements", times=2, status=500))

    seen = [(await caller.send("POST", "", a_draft())).status_code for _ in range(3)]

    assert (await caller.send("GET", "")).status_code == 200
    assert seen == [500, 500, 201]
    assert simulator.faults.armed == ()


async def test_the_token_endpoint_can_fail_too(simulator: Simulator, caller: Caller) -> None:
    simulator.faults.add("status", operation="getAccessToken", status=500, times=None)
    headers = {"Ocp-Apim-Subscription-Key": "x"}

    assert (await caller.http.post("/accesstoken/get", headers=headers)).status_code == 500
    simulator.faults.clear()
    assert (await caller.http.post("/accesstoken/get", headers=headers)).status_code == 401


def test_chance_is_repeatable() -> None:
    def drawn(seed: int) -> list[bool]:
        simulator = a_simulator(seed=seed)
        simulator.faults.add("status", probability=0.5, times=None)
        return [simulator.faults.strike("getCharge", "GET", "/") is not None for _ in range(200)]

    assert drawn(1) == drawn(1) != drawn(2)
    assert 60 < sum(drawn(1)) < 140


@asynccontextmanager
async def served(simulator: Simulator) -> AsyncIterator[httpx.AsyncClient]:
    config = uvicorn.Config(create_app(simulator), port=0, ws="none", lifespan="off", log_level="critical")
    server = uvicorn.Server(config)
    running = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110  # uvicorn offers nothing to await
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=2, trust_env=False) as client:
        yield client
    server.should_exit = True
    await running


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("reset-before", httpx.RemoteProtocolError),
        ("reset-after", httpx.RemoteProtocolError),
        ("timeout-before", httpx.ReadTimeout),
        ("timeout-after", httpx.ReadTimeout),
    ],
)
async def test_over_a_real_connection_the_client_meets_the_same_errors(
    simulator: Simulator, kind: Any, error: type[Exception]
) -> None:
    async with served(simulator) as client:
        caller = Caller(client)
        await caller.get_token()
        simulator.faults.add(kind)

        with pytest.raises(error):
            await caller.send("POST", "", a_draft())

        assert (await caller.send("GET", "?status=PENDING")).status_code == 200
    assert len(simulator.ledger) == (1 if kind.endswith("after") else 0)
