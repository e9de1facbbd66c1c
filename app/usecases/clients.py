"""API clients of a shop: machines that ask over GraphQL and REST, each with a secret of its own and what it may do."""

import hashlib
import re
import secrets
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from app.domain.account import ApiClient, Caller, CallerKind, Scope
from app.domain.errors import Duplicate, Forbidden, InvalidInput, NotFound, Unauthenticated
from app.domain.records import AuditEntry
from app.usecases.ports import Deps, Unit

OPERATOR = "operator:cli"
_CLIENTS = uuid.UUID("5d0d1a8e-7a0b-5a53-9f5e-0c6f4f5b1f7e")
_ID = re.compile(r"vrc_[0-9a-f]{24}")
_LONGEST_NAME = 120
_USED_EVERY = timedelta(hours=1)  # that a use is written down, so that it costs a request nothing
NOT_INSTALLED = "this shop has not installed the app yet; install it from the Saleor Dashboard first"


@dataclass(frozen=True, slots=True)
class NewClient:
    client: ApiClient
    secret: str = field(repr=False)


async def shop_clients(deps: Deps, caller: Caller) -> Sequence[ApiClient]:
    """Those that are in use first, the newest first."""
    _require_staff(caller, Scope.AGREEMENTS_READ)
    async with deps.store.begin() as unit:
        found = await unit.clients.of_shop(caller.shop)
    newest = sorted(found, key=lambda it: it.created_at, reverse=True)
    return sorted(newest, key=lambda it: it.revoked_at is not None)


async def make_client(deps: Deps, caller: Caller, name: str, scopes: Sequence[Scope], key: str) -> NewClient:
    """As `create_client`, by staff, who hand on at most what they may do themselves."""
    _require_staff(caller, Scope.CHARGES_WRITE)
    for scope in scopes:
        caller.require(scope)
    return await create_client(deps, caller.shop, name, scopes, caller.actor, key)


async def drop_client(deps: Deps, caller: Caller, client_id: str) -> None:
    """As `revoke_client`, by staff; another shop's is not known."""
    _require_staff(caller, Scope.CHARGES_WRITE)
    await revoke_client(deps, client_id, caller.actor, caller.shop)


def _require_staff(caller: Caller, scope: Scope) -> None:
    if caller.kind is not CallerKind.STAFF:
        raise Forbidden("only the shop's staff look after its API clients")
    caller.require(scope)


def a_client_name(text: str) -> str:
    if not 1 <= len(text) <= _LONGEST_NAME or not text.isprintable():
        raise InvalidInput(f"a name has 1 to {_LONGEST_NAME} characters, on one line", field="name")
    return text


async def create_client(
    deps: Deps, shop: str, name: str, scopes: Sequence[Scope], actor: str = OPERATOR, key: str | None = None
) -> NewClient:
    """A machine's id and secret. The secret is shown now and never again: only its hash is kept.

    Raises Duplicate, and makes none, where one was made of the same `key`.
    """
    if not scopes:
        raise InvalidInput("an API client without a scope can do nothing; give at least one", field="scope")
    secret = secrets.token_urlsafe(32)
    client = ApiClient(
        id=client_id_of(shop, key or str(uuid.uuid4())),
        shop=shop,
        name=a_client_name(name),
        secret_hash=hash_secret(secret),
        scopes=frozenset(scopes),
        created_at=deps.clock(),
    )
    async with deps.store.begin() as unit:
        # Whoever else makes one of the same key waits here.
        if await unit.installations.get(shop, lock=True) is None:
            raise NotFound(NOT_INSTALLED, field="shop")
        if await unit.clients.get(client.id) is not None:
            raise Duplicate("this API client is made already, and its secret was shown then")
        await unit.clients.put(client)
        told = " ".join(sorted(client.scopes))
        await unit.audit.add([AuditEntry(shop, actor, "client.created", client.id, client.created_at, after=told)])
    return NewClient(client, secret)


def client_id_of(shop: str, key: str) -> str:
    return f"vrc_{uuid.uuid5(_CLIENTS, f'{shop} {key}').hex[:24]}"


async def revoke_client(deps: Deps, client_id: str, actor: str = OPERATOR, shop: str | None = None) -> datetime:
    """When it was revoked: now, or long ago."""
    now = deps.clock()
    async with deps.store.begin() as unit:
        client = await _locked(unit, client_id, shop)
        if client.revoked_at is not None:
            return client.revoked_at
        await unit.clients.put(replace(client, revoked_at=now))
        await unit.audit.add([AuditEntry(client.shop, actor, "client.revoked", client.id, now)])
    return now


async def _locked(unit: Unit, client_id: str, shop: str | None) -> ApiClient:
    """As it is when nobody else is at the shop's clients."""
    client = await unit.clients.get(client_id)
    if client is not None and shop in (None, client.shop):
        await unit.installations.get(client.shop, lock=True)
        client = await unit.clients.get(client_id)
    if client is None or shop not in (None, client.shop):
        raise NotFound(f"no API client {client_id:.60}", field="client")
    return client


def hash_secret(secret: str) -> str:
    """The secret is 32 random bytes, so one round of SHA-256 is as good as a slow hash and costs a request nothing."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


async def client_caller(deps: Deps, client_id: str, secret: str) -> Caller:
    """Who a pair of Basic credentials is; the same answer for an unknown id, a wrong secret and a revoked client."""
    client = None
    if _ID.fullmatch(client_id):
        async with deps.store.begin() as unit:
            client = await unit.clients.get(client_id)
    known = client.secret_hash if client else hash_secret("")
    right = secrets.compare_digest(known, hash_secret(secret))
    if client is None or not right or client.revoked_at is not None:
        raise Unauthenticated("unknown API client or wrong secret; make one with: client create")
    now = deps.clock()
    if client.used_at is None or client.used_at + _USED_EVERY < now:
        async with deps.store.begin() as unit:
            await unit.clients.used(client.id, now)
    return Caller(CallerKind.CLIENT, client.shop, client.id, client.scopes)
