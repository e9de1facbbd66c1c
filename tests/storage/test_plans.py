"""Rows that are asked for by name are found by an index, and not by reading all that a shop has."""

import re
from collections.abc import Awaitable, Callable, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, event, text

from app.domain.charge import Charge
from app.storage.database import SqlStore
from app.storage.repositories import SqlUnit
from tests.builders import SHOP, a_charge, an_agreement

MANY = 3_000
# What a plan says where it reads a whole table, or all rows of a shop.
WHOLE = {
    "sqlite": re.compile(r"\bSCAN\b|\(shop=\?\)$"),
    "postgresql": re.compile(r"Seq Scan|Index Cond: \(\(shop\)::text = '[^']*'::text\)$"),
}
Asked = Callable[[SqlUnit, Sequence[Charge]], Awaitable[Any]]
ASKED: dict[str, Asked] = {
    "agreement": lambda unit, some: unit.agreements.get(SHOP, some[0].agreement_id),
    "agreements": lambda unit, some: unit.agreements.many(SHOP, [it.agreement_id for it in some]),
    "charges": lambda unit, some: unit.charges.many(SHOP, [it.id for it in some]),
    "charges of agreements": lambda unit, some: unit.charges.of_agreements(SHOP, [it.agreement_id for it in some]),
    "charges by their orders' ids": lambda unit, some: unit.charges.with_order_ids(SHOP, [it.order_id for it in some]),
    "a charge by any name": lambda unit, some: unit.charges.named(SHOP, some[0].order_id),
    "a charge of an agreement": lambda unit, some: unit.charges.find(
        SHOP, some[0].agreement_id, [it.order_id for it in some]
    ),
}


async def filled(store: SqlStore) -> Sequence[Charge]:
    """Some of the many that there are."""
    agreements = [an_agreement() for _ in range(MANY // 3)]
    charges = [a_charge(agreement_id=agreements[number % len(agreements)].agreement_id) for number in range(MANY)]
    async with store.begin() as unit:
        for it in agreements:
            await unit.agreements.add(it)
        await unit.charges.add_all(charges)
    await store.analyze()
    if not store.sqlite:  # which does so in its own time
        async with store.engine.begin() as connection:
            await connection.execute(text("ANALYZE"))
    return charges[:: MANY // 10]


async def plans(store: SqlStore, asked: Asked, some: Sequence[Charge]) -> Sequence[str]:
    """The lines of the database's plans for what is asked of it."""
    async with store.begin() as unit:
        with heard(store) as statements:
            assert await asked(unit, some)
    how = "EXPLAIN QUERY PLAN" if store.sqlite else "EXPLAIN"
    async with store.engine.connect() as connection:
        answers = [await connection.exec_driver_sql(f"{how} {it}", given) for it, given in statements]
        return [str(row[-1]) for answer in answers for row in answer]


@contextmanager
def heard(store: SqlStore) -> Any:
    said: list[tuple[str, Any]] = []

    def hear(_c: Connection, _cursor: Any, statement: str, given: Any, _context: Any, _many: bool) -> None:
        said.append((statement, given))

    engine = store.engine.sync_engine
    event.listen(engine, "before_cursor_execute", hear)
    try:
        yield said
    finally:
        event.remove(engine, "before_cursor_execute", hear)


async def test_what_has_a_name_is_found_without_reading_all_of_a_shop(store: SqlStore) -> None:
    some = await filled(store)
    for name, asked in ASKED.items():
        found = await plans(store, asked, some)
        assert found, name
        whole = WHOLE["sqlite" if store.sqlite else "postgresql"]
        assert [line for line in found if whole.search(line)] == [], name
