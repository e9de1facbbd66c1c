"""Time: which day it is, when to try again what could not be done, and what its caller is told."""

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from app.domain.errors import Misconfigured, ProviderError, RecurringError
from app.domain.operation import backoff
from app.usecases.ports import Deps

_MERCHANT_PAUSE = timedelta(minutes=30)  # nothing changes until a person changes it


# Days are counted in Norway: never earlier than UTC's date, so never later than what Vipps takes for today.
_MARKET_TIME = ZoneInfo("Europe/Oslo")


def today(deps: Deps) -> date:
    return deps.clock().astimezone(_MARKET_TIME).date()


def next_attempt(deps: Deps, attempts: int, since: datetime, error: RecurringError, least: float = 0.0) -> datetime:
    """`since` is when it was first asked for: nothing waits for longer than it is old."""
    if isinstance(error, Misconfigured):
        return deps.clock() + _MERCHANT_PAUSE
    wait = error.retry_after if isinstance(error, ProviderError) else None
    now = deps.clock()
    return now + backoff(attempts, now - since, deps.jitter(), wait, least)


def given_up(deps: Deps, attempts: int, error: RecurringError) -> str | None:
    """Why there is no next attempt: a person has to look. None while there is one."""
    if attempts < deps.limits.attempts:
        return None
    return f"given up after {attempts} attempts: {error.message}"


def kept(error: RecurringError, what: str) -> RecurringError:
    """The same error, telling that it is not the end: whoever repeats the request by hand would do it twice."""
    return type(error)(f"{error.message}; {what} is kept and sent again with the same key: do not make it anew")
