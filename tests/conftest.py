"""What all tests share: no network beyond this machine, a clock that is moved by hand, and an empty store."""

import asyncio
import gc
import os
import shutil
import tempfile
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import asyncpg
import pytest
import pytest_socket
from sqlmodel import SQLModel
from structlog.testing import capture_logs

from app.storage.database import SqlStore
from app.storage.secrets import SecretBox
from tests.builders import NOW
from tests.world import World, make_world

T = TypeVar("T")
SECRET_KEY = "a key for tests, which is longer than thirty-two characters"
PROJECT = Path(__file__).parent.parent
# A server whose user may create databases.
POSTGRES = os.environ.get("TEST_POSTGRES", "postgresql://postgres@127.0.0.1:5432/postgres")


# A parsed schema of Saleor is a great many objects that stay: the collector need not look through them so often.
gc.set_threshold(100_000, 50, 100)
# Most tests have a SQLite file of their own that syncs at each commit: in memory, where there is such a place.
if os.access("/dev/shm", os.W_OK):  # noqa: S108
    tempfile.tempdir = "/dev/shm"  # noqa: S108


@pytest.fixture(autouse=True)
def _only_loopback() -> None:
    """Whoever tries to reach anything else gets SocketConnectBlockedError; the plugin lifts this after the test."""
    pytest_socket.socket_allow_hosts(["127.0.0.1", "::1", "localhost"], allow_unix_socket=True)


@pytest.fixture(autouse=True)
def _unprinted_logs() -> Iterator[None]:
    """Printing a line for each request, or a traceback in colour, takes longer than many a test."""
    with capture_logs():
        yield


class MovableClock:
    """Stands still until it is moved."""

    def __init__(self, start: datetime = NOW) -> None:
        self._now = start

    def __call__(self) -> datetime:
        return self._now

    def advance(self, delta: timedelta) -> datetime:
        self._now += delta
        return self._now


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture(scope="session")
def shared_data() -> Callable[[str], Path]:
    """A file of the recordings and schemas that stand beside the project, or a skip where they do not."""

    def find(path: str) -> Path:
        found = PROJECT.parent / "shared" / "data" / path
        if not found.exists():
            pytest.skip(f"{found} is not on this machine")
        return found

    return find


def a_secret_box() -> SecretBox:
    return SecretBox([SECRET_KEY])


def _run(work: Callable[[], Awaitable[T]]) -> T:
    """Asynchronous work outside of any test's event loop."""

    async def whole() -> T:
        return await work()

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(lambda: asyncio.run(whole())).result()


async def _migrate(url: str) -> None:
    store = SqlStore(url, a_secret_box())
    await store.migrate()
    await store.close()


class PostgresServer:
    """Makes databases for one test process and takes them away again."""

    def __init__(self) -> None:
        self._prefix = f"vr_test_{os.getpid()}_{uuid.uuid4().hex[:8]}"
        self._made: list[str] = []

    async def _command(self, *commands: str) -> None:
        connection = await asyncpg.connect(POSTGRES, timeout=5)
        try:
            for command in commands:
                await connection.execute(command)
        finally:
            await connection.close()

    def create(self) -> str:
        """The URL of a new, empty database."""
        name = f"{self._prefix}_{len(self._made)}"
        _run(lambda: self._command(f'CREATE DATABASE "{name}"'))
        self._made.append(name)
        return urlsplit(POSTGRES)._replace(scheme="postgresql+asyncpg", path=f"/{name}").geturl()

    def drop_all(self) -> None:
        commands = [f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)' for name in self._made]
        _run(lambda: self._command(*commands))


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    server = PostgresServer()
    try:
        _run(lambda: server._command("SELECT 1"))
    except (OSError, TimeoutError, asyncpg.PostgresError) as error:
        reason = f"no PostgreSQL answers at {POSTGRES} ({error!r}); set TEST_POSTGRES"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    yield server
    server.drop_all()


@pytest.fixture(scope="session")
def _postgres_migrated(postgres: PostgresServer) -> str:
    """One migrated database for the whole process; tests find it emptied."""
    url = postgres.create()
    _run(lambda: _migrate(url))
    return url


@pytest.fixture(scope="session")
def _sqlite_migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One migrated file for the whole process; tests get a copy."""
    path = tmp_path_factory.mktemp("template") / "template.db"
    _run(lambda: _migrate(f"sqlite+aiosqlite:///{path}"))
    return path


async def _empty(url: str) -> None:
    """Deleting is much faster than truncating tables that hold a few rows."""
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    try:
        commands = ["SET lock_timeout = '10s'", *(str(table.delete()) for table in SQLModel.metadata.tables.values())]
        await connection.execute("; ".join(commands))
    finally:
        await connection.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A migrated, empty database."""
    if request.param == "sqlite":
        path = tmp_path / "store.db"
        shutil.copy(request.getfixturevalue("_sqlite_migrated"), path)
        return f"sqlite+aiosqlite:///{path}"
    url: str = request.getfixturevalue("_postgres_migrated")
    _run(lambda: _empty(url))
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def blank_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database in which nothing was ever done."""
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path / 'blank.db'}"
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.create()


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[SqlStore]:
    store = SqlStore(database_url, a_secret_box())
    yield store
    await store.close()


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    """The whole app and both simulators in this process; the app is installed and has a merchant account."""
    world = make_world(database_url)
    await world.install()
    await world.set_account()
    yield world
    await world.context.close()
    # A test that provokes the unforeseen empties the list itself.
    assert world.unforeseen == []


@pytest.fixture
def sqlite_url(tmp_path: Path, _sqlite_migrated: Path) -> str:
    """A migrated, empty SQLite file."""
    path = tmp_path / "one.db"
    shutil.copy(_sqlite_migrated, path)
    return f"sqlite+aiosqlite:///{path}"


@pytest.fixture
async def one_world(sqlite_url: str) -> AsyncIterator[World]:
    """As `world`, on SQLite only: for what no database can change."""
    world = make_world(sqlite_url)
    await world.install()
    await world.set_account()
    yield world
    await world.context.close()
    assert world.unforeseen == []
