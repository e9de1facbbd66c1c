"""Which work each kind of job does."""

from collections.abc import Callable

from app.jobs.engine import Engine
from app.usecases.installations import APPLY_INBOX, apply_inbox
from app.usecases.ports import Deps
from app.usecases.sweep import Swept, sweep

ObjectId = Callable[[str], str | None]


def register(engine: Engine, deps: Deps, object_id: ObjectId, swept: Callable[[Swept], None]) -> None:
    async def apply(shop: str, row_id: str) -> None:
        await apply_inbox(deps, object_id, shop, row_id)

    async def tidy() -> None:
        swept(await sweep(deps, object_id))

    engine.on(APPLY_INBOX, apply, concurrency=deps.limits.concurrency)
    engine.every_minute("sweep", tidy)
