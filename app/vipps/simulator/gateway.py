"""The door: subscription key, token, serial number, content type and rate limits, before anything is looked up."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from math import ceil

from app.vipps.simulator.config import MerchantCredentials, RateLimit, SimulatorConfig
from app.vipps.simulator.refusals import ErrorItem, RefusedError, refuse
from app.vipps.simulator.tokens import TokenDesk

_MINUTE = timedelta(minutes=1)
_MANY_COUNTERS = 10_000


@dataclass(frozen=True, slots=True)
class Call:
    """One request, freed of the web framework. Header names are in lower case."""

    operation: str
    method: str
    path: str
    query: Mapping[str, str]
    query_text: str
    path_parameters: Mapping[str, str]
    headers: Mapping[str, str]
    header_names: tuple[str, ...]
    body: bytes
    base_url: str

    @property
    def idempotency_key(self) -> str | None:
        """The misspelled name of old clients still counts in v2, and only there."""
        key = self.headers.get("idempotency-key")
        if key is None and self.path.startswith("/recurring/v2/"):
            return self.headers.get("idempotent-key")
        return key


class Gateway:
    def __init__(self, config: SimulatorConfig, tokens: TokenDesk) -> None:
        self._tokens = tokens
        self._by_key = {merchant.subscription_key: merchant for merchant in config.merchants}

    def subscriber(self, call: Call) -> MerchantCredentials:
        key = call.headers.get("ocp-apim-subscription-key")
        if key is None:
            raise refuse(401, "Access denied due to missing subscription key.")
        if key not in self._by_key:
            raise refuse(401, "Access denied due to invalid subscription key.")
        return self._by_key[key]

    def admit(self, call: Call) -> str:
        """The MSN of the caller, whose key, token and serial number must all speak of the same sales unit."""
        merchant = self.subscriber(call)
        # Header values are case-sensitive: `bearer` does not open the door.
        scheme, _, token = call.headers.get("authorization", "").partition(" ")
        if scheme != "Bearer" or self._tokens.owner(token) != merchant.msn:
            raise refuse(401, "Something went wrong, please try again later")
        given = call.headers.get("merchant-serial-number")
        if given is not None and given != merchant.msn:
            message = f"Invalid MSN: {given}. Check your API keys."
            raise refuse(403, message, code="invalid-sale-unit", field="Merchant-Serial-Number")
        return merchant.msn


def check_content_type(call: Call) -> None:
    content_type = call.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != "application/json":
        raise refuse(415, "The content type must be application/json.", code="unsupported-media-type")


class RateLimiter:
    """Counts the calls of the last minute, for each limit and for what the limit is counted by."""

    def __init__(self, limits: Mapping[str, tuple[RateLimit, ...]]) -> None:
        self._limits = limits
        self._calls: dict[tuple[str, ...], deque[datetime]] = {}
        self._too_many = _MANY_COUNTERS

    def check(self, call: Call, msn: str, now: datetime, weight: int = 1) -> None:
        """A call of some weight counts like that many calls; one heavier than a limit never gets through."""
        self._forget(now)
        counters = []
        for limit in self._limits.get(call.operation, ()):
            recent = self._calls.setdefault(_counted(call, msn, limit), deque())
            while recent and recent[0] <= now - _MINUTE:
                recent.popleft()
            if (excess := len(recent) + weight - limit.per_minute) > 0:
                raise _too_many_requests(recent, excess, now)
            counters.append(recent)
        for recent in counters:  # a refused call does not use up the other limits
            recent.extend([now] * weight)

    def _forget(self, now: datetime) -> None:
        """Every charge has counters of its own, so what is over has to go some time."""
        if len(self._calls) > self._too_many:
            self._calls = {name: times for name, times in self._calls.items() if times and times[-1] > now - _MINUTE}
            self._too_many = max(_MANY_COUNTERS, 2 * len(self._calls))


def _too_many_requests(recent: deque[datetime], excess: int, now: datetime) -> RefusedError:
    """Room comes when as many calls as there are too many are a minute old."""
    last_in_the_way = recent[min(excess, len(recent)) - 1] if recent else now
    seconds = max(1, ceil((last_in_the_way + _MINUTE - now).total_seconds()))
    return RefusedError(429, (ErrorItem(HTTPStatus.TOO_MANY_REQUESTS.phrase),), (("Retry-After", str(seconds)),))


def _counted(call: Call, msn: str, limit: RateLimit) -> tuple[str, ...]:
    """The path says nothing of the version here, so both versions use up the same limits."""
    bucket = limit.bucket or call.operation
    agreement_id = call.path_parameters.get("agreement_id", "")
    match limit.counted_by:
        case "merchant":
            return (bucket, msn)
        case "agreement":
            return (bucket, msn, agreement_id)
        case "charge":
            return (bucket, msn, agreement_id, call.path_parameters.get("charge_id", ""))
        case "key":
            return (bucket, msn, agreement_id, call.idempotency_key or "")
