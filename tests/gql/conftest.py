"""A world on one database, for what no database can change."""

import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from tests.world import World, make_world


@pytest.fixture(autouse=True)
def _unprinted_logs() -> Iterator[None]:
    """Printing a traceback in colour takes seconds."""
    with capture_logs():
        yield


@pytest.fixture
def sqlite_url(tmp_path: Path, _sqlite_migrated: Path) -> str:
    path = tmp_path / "one.db"
    shutil.copy(_sqlite_migrated, path)
    return f"sqlite+aiosqlite:///{path}"


@pytest.fixture
async def one_world(sqlite_url: str) -> AsyncIterator[World]:
    """As `world`, on SQLite only."""
    world = make_world(sqlite_url)
    await world.install()
    await world.set_account()
    yield world
    await world.context.close()
    assert world.unforeseen == []
