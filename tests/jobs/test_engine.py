"""The job engine on PostgreSQL and in memory: now or later, once or again, through failures and lost connections."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from app.jobs.engine import Engine
from app.usecases.ports import Job

SHOP = "https://shop.example/graphql/"
PATIENCE = 40.0
Seen = list[tuple[str, tuple[str, ...]]]
MakeEngine = Callable[[], Engine]
NOBODY = "postgresql://postgres@127.0.0.1:1/nowhere"


@pytest.fixture(scope="session")
def _engine_database(postgres: Any) -> str:
    url: str = postgres.create()
    return url


@pytest.fixture
async def database(_engine_database: str) -> str:
    """A PostgreSQL database with the engine's tables and nothing in them."""
    await Engine(_raise, _engine_database).install()
    await _execute(_engine_database, "TRUNCATE pgqueuer, pgqueuer_log, pgqueuer_schedules")
    return _engine_database


@pytest.fixture(params=["memory", "postgresql"])
def url(request: pytest.FixtureRequest) -> str:
    return request.getfixturevalue("database") if request.param == "postgresql" else ""


@pytest.fixture
def bugs() -> list[BaseException]:
    """What the engine told of as unforeseen."""
    return []


@pytest.fixture
async def engine(url: str, bugs: list[BaseException]) -> AsyncIterator[Engine]:
    engine = Engine(bugs.append, url)
    yield engine
    await engine.stop()


def _raise(error: BaseException) -> None:
    raise error


async def _execute(url: str, command: str) -> list[Any]:
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    try:
        return list(await connection.fetch(command))
    finally:
        await connection.close()


@asynccontextmanager
async def _running(*engines: Engine) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(it.run()) for it in engines]
    try:
        yield
    finally:
        await asyncio.gather(*(it.stop(task) for it, task in zip(engines, tasks, strict=True)))


async def _until(look: Callable[[], object], seconds: float = PATIENCE) -> None:
    async with asyncio.timeout(seconds):
        while not look():  # noqa: ASYNC110  # what is looked at may be anywhere
            await asyncio.sleep(0.01)


def _note(seen: Seen) -> Callable[[str, Sequence[str]], Awaitable[None]]:
    async def handler(shop: str, ids: Sequence[str]) -> None:
        seen.append((shop, tuple(ids)))

    return handler


async def test_a_job_goes_to_the_handler_of_its_kind_with_its_shop_and_its_rows(engine: Engine) -> None:
    inbox: Seen = []
    charges: Seen = []
    engine.on(Job.APPLY_INBOX, _note(inbox))
    engine.on(Job.CHARGE_CHUNK, _note(charges))
    await engine.enqueue(Job.CHARGE_CHUNK, SHOP, ["a", "b"])
    await engine.enqueue(Job.CHARGE_CHUNK, SHOP, [])

    async with _running(engine):
        await engine.enqueue(Job.APPLY_INBOX, SHOP, ["c"])
        await _until(lambda: inbox and charges)

    assert charges == [(SHOP, ("a", "b"))]
    assert inbox == [(SHOP, ("c",))]


async def test_a_delayed_job_is_carried_at_about_its_time(engine: Engine) -> None:
    came: dict[str, float] = {}

    async def handler(_shop: str, ids: Sequence[str]) -> None:
        came[ids[0]] = time.monotonic() - began

    engine.on(Job.CHARGE_CHUNK, handler)
    async with _running(engine):
        began = time.monotonic()
        await engine.enqueue(Job.CHARGE_CHUNK, SHOP, ["later"], after=timedelta(seconds=1.5))
        await engine.enqueue(Job.CHARGE_CHUNK, SHOP, ["sooner"], after=timedelta(seconds=0.5))
        await engine.enqueue(Job.CHARGE_CHUNK, SHOP, ["now"])
        await engine.enqueue(Job.CHARGE_CHUNK, SHOP, ["overdue"], after=timedelta(seconds=-5))
        await _until(lambda: len(came) == 4)

    # None before its time, in their order, and not as late as whoever looks once in half a minute.
    assert came["sooner"] >= 0.5
    assert 1.5 <= came["later"] < 15
    assert max(came["now"], came["overdue"]) < came["sooner"] < came["later"]


async def test_duplicates_wait_once(engine: Engine) -> None:
    seen: Seen = []
    engine.on(Job.NOTIFY_SHOP, _note(seen))
    for _ in range(3):
        await engine.enqueue(Job.NOTIFY_SHOP, SHOP, ["a"])
    await engine.enqueue(Job.NOTIFY_SHOP, SHOP, ["a", "b"])
    await engine.enqueue(Job.NOTIFY_SHOP, "https://other.example/graphql/", ["a"])

    async with _running(engine):
        await _until(lambda: len(seen) >= 3)
        await asyncio.sleep(0.2)

    assert sorted(seen) == [("https://other.example/graphql/", ("a",)), (SHOP, ("a",)), (SHOP, ("a", "b"))]


async def test_a_delayed_job_does_not_stand_in_the_way_of_one_for_now(engine: Engine) -> None:
    seen: Seen = []
    engine.on(Job.CHARGE_CHUNK, _note(seen))
    await engine.enqueue(Job.CHARGE_CHUNK, SHOP, ["a"], after=timedelta(seconds=3))
    await engine.enqueue(Job.CHARGE_CHUNK, SHOP, ["a"])

    async with _running(engine):
        await _until(lambda: len(seen) == 1, 2.9)
        await _until(lambda: len(seen) == 2)


async def test_a_running_job_does_not_swallow_a_later_one_of_the_same_row(engine: Engine) -> None:
    started, go_on = [0], asyncio.Event()

    async def handler(_shop: str, _ids: Sequence[str]) -> None:
        started[0] += 1
        await go_on.wait()

    engine.on(Job.NOTIFY_SHOP, handler)
    async with _running(engine):
        await engine.enqueue(Job.NOTIFY_SHOP, SHOP, ["a"])
        await _until(lambda: started[0] == 1)
        await engine.enqueue(Job.NOTIFY_SHOP, SHOP, ["a"])
        await _until(lambda: started[0] == 2)
        await engine.enqueue(Job.NOTIFY_SHOP, SHOP, ["a"])
        await _until(lambda: started[0] == 3)
        go_on.set()


async def test_a_failing_handler_is_told_of_and_does_not_end_the_engine(
    engine: Engine, bugs: list[BaseException]
) -> None:
    seen: Seen = []

    async def fails(_shop: str, _ids: Sequence[str]) -> None:
        raise ValueError("a mistake")

    engine.on(Job.OPERATION, fails)
    engine.on(Job.APPLY_INBOX, _note(seen))
    async with _running(engine):
        await engine.enqueue(Job.OPERATION, SHOP, ["a"])
        await _until(lambda: bugs)
        await engine.enqueue(Job.APPLY_INBOX, SHOP, ["b"])
        await _until(lambda: seen)

    assert [str(it) for it in bugs] == ["a mistake"]


async def test_the_clock_ticks_on_after_a_failure(engine: Engine, bugs: list[BaseException]) -> None:
    ticks: list[float] = []

    async def work() -> None:
        ticks.append(time.monotonic())
        raise ValueError("a mistake")

    engine.schedule("often", "* * * * * *", work)
    async with _running(engine):
        await _until(lambda: len(ticks) == 2)

    assert ticks[1] - ticks[0] > 0.5
    assert [str(it) for it in bugs[:2]] == ["a mistake"] * 2


async def test_running_jobs_may_end_in_time_when_the_engine_is_told_to_stop(engine: Engine) -> None:
    started, ended = asyncio.Event(), []

    async def handler(_shop: str, ids: Sequence[str]) -> None:
        started.set()
        await asyncio.sleep(0.4)
        ended.append(ids[0])

    engine.on(Job.CHARGE_CHUNK, handler)
    task = asyncio.create_task(engine.run())
    await engine.enqueue(Job.CHARGE_CHUNK, SHOP, ["a"])
    await started.wait()
    began = time.monotonic()
    await engine.stop(task, seconds=5)

    assert ended == ["a"]
    assert time.monotonic() - began < 4
    assert task.done()


async def test_jobs_that_do_not_end_in_time_are_called_off(engine: Engine, bugs: list[BaseException]) -> None:
    started, told = asyncio.Event(), []

    async def handler(_shop: str, _ids: Sequence[str]) -> None:
        started.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            told.append("called off")
            raise

    engine.on(Job.CHARGE_CHUNK, handler)
    task = asyncio.create_task(engine.run())
    await engine.enqueue(Job.CHARGE_CHUNK, SHOP, ["a"])
    await started.wait()
    began = time.monotonic()
    await engine.stop(task, seconds=0.3)

    assert told == ["called off"]
    assert time.monotonic() - began < 4
    assert task.done()
    assert bugs == []


async def test_an_engine_that_is_told_to_stop_at_once_does(engine: Engine) -> None:
    engine.on(Job.CHARGE_CHUNK, _note([]))
    task = asyncio.create_task(engine.run())
    await asyncio.sleep(0)
    await engine.stop(task, seconds=5)
    assert task.done()
    assert not task.cancelled()


async def test_what_is_handed_over_after_the_end_is_left_to_the_sweeper(
    engine: Engine, bugs: list[BaseException]
) -> None:
    await engine.stop()
    await engine.enqueue(Job.APPLY_INBOX, SHOP, ["a"])
    assert bugs == []


async def test_ten_thousand_rows_are_carried_in_a_modest_memory(engine: Engine, url: str) -> None:
    rows_a_job = 10 if url else 1  # on PostgreSQL jobs wait outside of this process, and are handed over slowly
    done = [0]

    async def handler(_shop: str, ids: Sequence[str]) -> None:
        done[0] += len(ids)

    engine.on(Job.FOLLOW_UP, handler)
    before = _megabytes()
    ids = [f"{number:036}" for number in range(10_000)]
    pieces = [ids[start : start + rows_a_job] for start in range(0, len(ids), rows_a_job)]
    for start in range(0, len(pieces), 100):
        await asyncio.gather(*(engine.enqueue(Job.FOLLOW_UP, SHOP, it) for it in pieces[start : start + 100]))

    async with _running(engine):
        await _until(lambda: done[0] == 10_000, 30)

    assert done[0] == 10_000
    assert _megabytes() - before < 60


def _megabytes() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


async def test_two_engines_on_one_database_share_the_jobs_and_do_none_twice(
    database: str, bugs: list[BaseException]
) -> None:
    done: dict[str, list[str]] = {"one": [], "other": []}
    busy: set[str] = set()

    def worker(name: str) -> Engine:
        async def handler(_shop: str, ids: Sequence[str]) -> None:
            assert ids[0] not in busy
            busy.add(ids[0])
            await asyncio.sleep(0.02)
            busy.remove(ids[0])
            done[name].append(ids[0])

        engine = Engine(bugs.append, database)
        engine.on(Job.APPLY_INBOX, handler)
        return engine

    ticks: list[str] = []
    engines = {name: worker(name) for name in done}
    for name, engine in engines.items():
        engine.schedule("often", "* * * * * *", _ticker(ticks, name))
    wanted = [f"row {number}" for number in range(300)]
    async with _running(*engines.values()):
        began = time.monotonic()
        await asyncio.gather(*(engines["one"].enqueue(Job.APPLY_INBOX, SHOP, [it]) for it in wanted))
        await _until(lambda: sum(map(len, done.values())) >= len(wanted))
        await asyncio.sleep(2.5)
        seconds = time.monotonic() - began

    assert sorted(done["one"] + done["other"]) == sorted(wanted)
    assert min(map(len, done.values())) > 0
    assert 1 <= len(ticks) <= seconds + 2, "one tick a second, whoever takes it"
    assert bugs == []


def _ticker(ticks: list[str], name: str) -> Callable[[], Awaitable[None]]:
    async def tick() -> None:
        ticks.append(name)

    return tick


async def test_a_job_of_a_worker_that_is_gone_goes_to_another_one(database: str, bugs: list[BaseException]) -> None:
    seen: Seen = []
    engine = Engine(bugs.append, database)
    engine.on(Job.CHARGE_CHUNK, _note(seen))
    await engine.enqueue(Job.CHARGE_CHUNK, SHOP, ["a"])
    await _execute(
        database,
        "UPDATE pgqueuer SET status = 'picked', queue_manager_id = gen_random_uuid(), dedupe_key = NULL,"
        " heartbeat = now() - interval '10 seconds'",
    )

    async with _running(engine):
        await asyncio.sleep(0.5)
        assert seen == []
        await _until(lambda: seen)

    assert bugs == []
    assert await _execute(database, "SELECT * FROM pgqueuer") == []


async def test_an_engine_whose_connections_are_cut_comes_back_by_itself(
    database: str, bugs: list[BaseException]
) -> None:
    seen: Seen = []
    engine = Engine(bugs.append, database)
    engine.on(Job.APPLY_INBOX, _note(seen))
    async with _running(engine):
        for number in range(3):
            await engine.enqueue(Job.APPLY_INBOX, SHOP, [f"before {number}"])
            await _until(lambda: len(seen) == 2 * number + 1)  # noqa: B023
            await _execute(
                database,
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()",
            )
            await asyncio.sleep(0.1)
            began = time.monotonic()
            await engine.enqueue(Job.APPLY_INBOX, SHOP, [f"after {number}"])
            await _until(lambda: len(seen) == 2 * number + 2)  # noqa: B023
            assert time.monotonic() - began < 12

    assert len({ids for _, ids in seen}) == 6


async def test_handing_over_a_job_does_not_fail_with_the_database_away(bugs: list[BaseException]) -> None:
    engine = Engine(bugs.append, NOBODY)
    await engine.enqueue(Job.APPLY_INBOX, SHOP, ["a"])
    await engine.stop()
    assert [type(it) for it in bugs] == [ConnectionRefusedError]


async def test_an_engine_waits_for_a_database_that_is_away(bugs: list[BaseException]) -> None:
    engine = Engine(bugs.append, NOBODY)
    task = asyncio.create_task(engine.run())
    await _until(lambda: len(bugs) == 2)
    assert not task.done()
    await engine.stop(task, seconds=5)
    assert task.done()


async def test_the_engines_tables_are_made_once_and_missed_where_they_are_not(postgres: Any) -> None:
    url = postgres.create()
    engine = Engine(_raise, url)
    assert not await engine.installed()
    await asyncio.gather(engine.install(), engine.install())
    assert await engine.installed()
    await engine.install()
    await _execute(url, "DROP TABLE pgqueuer_schedules")
    assert not await engine.installed()
    await engine.install()
    assert await engine.installed()


async def test_what_is_done_is_forgotten(engine: Engine, url: str) -> None:
    seen: Seen = []
    engine.on(Job.APPLY_INBOX, _note(seen))
    async with _running(engine):
        await engine.enqueue(Job.APPLY_INBOX, SHOP, ["a"])
        await _until(lambda: seen)
        await asyncio.sleep(0.3)
        await engine.forget_done()
        left = await _execute(url, "SELECT * FROM pgqueuer_log UNION ALL SELECT * FROM pgqueuer_log") if url else []

    assert left == []


async def test_an_engine_in_memory_has_nothing_to_install() -> None:
    engine = Engine(_raise)
    await engine.install()
    assert await engine.installed()


@pytest.mark.parametrize("name", ["ssl", "sslmode"])
async def test_whether_the_connection_is_encrypted_is_said_in_one_way_for_all(database: str, name: str) -> None:
    async def connect(mode: str) -> None:
        await Engine(_raise, f"{database}?{name}={mode}").install()

    await connect("disable")
    with pytest.raises(ConnectionError, match="SSL"):
        await connect("require")
