"""A run of renewals by a person: planned, ordered and charged now, with somebody watching how far it is."""

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import date

from app.usecases.chunks import send_chunk
from app.usecases.planning import name_of, plan
from app.usecases.ports import Deps
from app.usecases.renewals import renew_some

_FEW = 200


async def run_renewals(deps: Deps, until: date | None, tell: Callable[[int, int], None]) -> Mapping[str, int]:
    """Plan, then renew all whose turn has come; how many ended where, by status and reason.

    `tell` hears how many are done, of how many. What other workers hold meanwhile is theirs and not counted.
    """
    planned = await plan(deps, until)
    counts = Counter({f"planning {name}": count for name, count in planned.counts.items()})
    async with deps.store.begin() as unit:
        waiting = await unit.renewals.waiting(deps.clock(), 1_000_000)
    done = 0
    by_shop: dict[str, list[str]] = {}
    for shop, renewal_id in waiting:
        by_shop.setdefault(shop, []).append(renewal_id)
    for shop, ids in by_shop.items():
        for start in range(0, len(ids), _FEW):
            some = ids[start : start + _FEW]
            await send_chunk(deps, shop, await renew_some(deps, shop, some))
            async with deps.store.begin() as unit:
                found = [await unit.renewals.get(shop, it) for it in some]
            counts.update(name_of(it.status, it.reason) for it in found if it is not None)
            done += len(some)
            tell(done, len(waiting))
    return counts
