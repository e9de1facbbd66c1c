"""What the tests of the edges share: what is stored, what reached Vipps, and agreements that somebody else made."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx
from sqlalchemy import text
from sqlmodel import SQLModel

from app.storage.secrets import SecretBox
from app.vipps.simulator import DEFAULT_MERCHANT
from app.vipps.simulator.models import Agreement, AgreementStatus, Charge, ChargeStatus
from tests.world import SECRET_KEY, SHOP, START, Router, World

Rows = dict[str, list[dict[str, Any]]]


async def stored(world: World) -> Rows:
    """Every row of every table; sealed secrets are opened, because the same one sealed again looks different.

    When an API client was let in is left out: it is, whatever it is refused afterwards.
    """
    found: Rows = {}
    box = SecretBox([SECRET_KEY])
    async with world.context.store.engine.connect() as connection:
        for table in SQLModel.metadata.tables:
            rows = (await connection.execute(text(f'SELECT * FROM "{table}"'))).mappings().all()  # noqa: S608
            found[table] = sorted(
                ({name: _opened(box, name, row[name]) for name in row if name != "used_at"} for row in rows), key=repr
            )
    return found


def _opened(box: SecretBox, name: str, value: Any) -> Any:
    return f"sealed {box.open(value)}" if name.endswith("_sealed") and value is not None else value


def writes(world: World) -> list[str]:
    """The write requests that Vipps has seen, whatever it answered."""
    return [f"{it.method} {it.path}" for it in world.vipps.requests if it.method != "GET" and "token" not in it.path]


@asynccontextmanager
async def nothing_happens(world: World) -> AsyncIterator[None]:
    """Fails unless database, Vipps' books and the number of requests to Vipps are the same afterwards."""
    before = await stored(world), list(world.vipps.ledger), world.vipps.requests_seen
    yield
    assert await stored(world) == before[0]
    assert world.vipps.ledger == before[1]
    assert world.vipps.requests_seen == before[2]


@asynccontextmanager
async def nothing_is_written_to_vipps(world: World) -> AsyncIterator[None]:
    before = writes(world), list(world.vipps.ledger)
    yield
    assert writes(world) == before[0]
    assert world.vipps.ledger == before[1]


def foreign_agreement(world: World, agreement_id: str, **over: Any) -> Agreement:
    """An ACTIVE agreement that another program made at the same merchant account."""
    values: dict[str, Any] = {
        "id": agreement_id,
        "msn": DEFAULT_MERCHANT.msn,
        "approval_token": secrets.token_urlsafe(8),
        "created": START,
        "expires": START + timedelta(minutes=10),
        "product_name": "Vipps product",
        "product_description": "Testing Vipps recurring payment",
        "price": 87600,
        "interval": "MONTH",
        "interval_count": 1,
        "merchant_agreement_url": "https://shop.example/my",
        "merchant_redirect_url": "https://shop.example/thanks",
        "status": AgreementStatus.ACTIVE,
        "start": datetime(2020, 2, 6, 10, 10, 7, tzinfo=UTC),
    }
    made = Agreement(**(values | over))
    world.vipps.book.add(made)
    return made


def foreign_charge(agreement: Agreement, charge_id: str, **over: Any) -> Charge:
    values: dict[str, Any] = {
        "id": charge_id,
        "type": "RECURRING",
        "amount": 10_000,
        "description": "This is description",
        "due": date(2026, 3, 5),
        "status": ChargeStatus.DUE,
    }
    made = Charge(**(values | over))
    agreement.charges[charge_id] = made
    return made


def saleor_hosts(world: World) -> Router:
    """Where the app's calls to shops go; more hosts may be added."""
    router = world.context.http.saleor._transport
    assert isinstance(router, Router)
    return router


def outside(world: World) -> httpx.AsyncClient:
    """The app as the network sees it: a mistake of ours is a bare 500 here, and not an exception in the test."""
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app=world.app, raise_app_exceptions=False), base_url=world.http.base_url
    )


async def register(world: World, token: str, shop: str = SHOP) -> httpx.Response:
    """Saleor's handshake, as anybody may send it."""
    async with outside(world) as http:
        return await http.post("/api/register", json={"auth_token": token}, headers={"Saleor-Api-Url": shop})
