"""A shop's signing keys: the stored set first, and a fresh one at most now and then."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TypeVar

from app.domain.account import Installation
from app.domain.errors import ProviderError, Unavailable, UnknownKey
from app.usecases.ports import Deps

T = TypeVar("T")
_COOL_DOWN = timedelta(seconds=30)


def key_ids(jwks: str) -> frozenset[str]:
    """The ids in a key set; empty for what cannot be read."""
    try:
        keys = json.loads(jwks)["keys"]
        return frozenset(str(key["kid"]) for key in keys if isinstance(key, dict) and "kid" in key)
    except (ValueError, KeyError, TypeError, RecursionError):
        return frozenset()


class KeyRing:
    """Checks signatures against a shop's key set, and fetches the set again when a key is unknown.

    Forged requests with made-up keys cost the shop one fetch per cool-down; meanwhile an unknown key is answered with
    "try again", because Saleor repeats a webhook after a 503 but never after a 401 (facts: SALEOR 3.4).
    """

    def __init__(self, deps: Deps) -> None:
        self._deps = deps
        self._fetched: dict[str, datetime] = {}

    async def check(self, installation: Installation, verify: Callable[[str], T]) -> T:
        try:
            return verify(installation.jwks or '{"keys": []}')
        except UnknownKey:
            fresh = await self._refetch(installation)
        return verify(fresh)

    async def _refetch(self, installation: Installation) -> str:
        shop = installation.shop
        async with self._deps.turns.of(f"keys {shop}"):
            now = self._deps.clock()
            last = self._fetched.get(shop)
            if last is not None and now - last < _COOL_DOWN:
                async with self._deps.store.begin() as unit:
                    current = await unit.installations.get(shop)
                if current and current.jwks and current.jwks != installation.jwks:
                    return current.jwks
                raise Unavailable("the shop's keys were fetched a moment ago; try again later")
            self._fetched[shop] = now
            try:
                jwks = await self._deps.shop.key_set(shop)
            except ProviderError as error:
                raise Unavailable("the shop's keys cannot be fetched now") from error
            async with self._deps.store.begin() as unit:
                await unit.installations.renew_keys(shop, installation.app_id, jwks)
            return jwks
