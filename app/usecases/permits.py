"""Vipps' limits per merchant, asked for before a call and shared by all processes through the database."""

from app.domain.account import Account
from app.domain.errors import ProviderError, Unavailable
from app.domain.limits import CREATE_CHARGE, Granted, RateLimit
from app.usecases.ports import Deps

_TOO_MANY = 429


async def permitted(
    deps: Deps, account: Account, limit: RateLimit, wanted: int = 1, patience: float | None = None
) -> Granted:
    """How many of the `wanted` calls may be made now; waits for the first of them, up to `patience` seconds."""
    patience = deps.limits.patience_seconds if patience is None else patience
    per_minute = deps.limits.charges_per_minute if limit is CREATE_CHARGE else limit.per_minute
    bucket, waited = limit.bucket(account.environment, account.msn), 0.0
    while True:
        async with deps.store.begin() as unit:
            granted = await unit.allowances.take(bucket, wanted, per_minute, deps.clock())
        if granted.count or waited + granted.wait > patience:
            return granted
        await deps.sleep(granted.wait)
        waited += granted.wait


async def require_permit(deps: Deps, account: Account, limit: RateLimit, patience: float | None = None) -> None:
    """Raises Unavailable, with the seconds to wait, where the minute has none left."""
    granted = await permitted(deps, account, limit, patience=patience)
    if not granted.count:
        raise too_many(granted)


def too_many(granted: Granted) -> Unavailable:
    return Unavailable(
        f"Vipps' limit for this merchant is used up; the next call is made in {granted.wait:.0f} s",
        retry_after=granted.wait,
    )


async def told_to_wait(deps: Deps, account: Account, limit: RateLimit, error: ProviderError) -> None:
    """After a 429 nobody else tries before Vipps said so."""
    if error.status != _TOO_MANY:
        return
    async with deps.store.begin() as unit:
        await unit.allowances.emptied(limit.bucket(account.environment, account.msn), deps.clock(), error.retry_after)
