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
        """The misspelled name of old clients still counts in v2."""
        key = self.headers.get("idempotency-key")
        return self.headers.get("idempotent-key") if key is None else key


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

    def check(self, call: Call, msn: str, now: datetime) -> None:
        counters = []
        for limit in self._limits.get(call.operation, ()):
            recent = self._calls.setdefault(_counted(call, msn, limit), deque())
            while recent and recent[0] <= now - _MINUTE:
                recent.popleft()
            if len(recent) >= limit.per_minute:
                seconds = max(1, ceil((recent[0] + _MINUTE - now).total_seconds()))
                item = ErrorItem(HTTPStatus.TOO_MANY_REQUESTS.phrase)
                raise RefusedError(429, (item,), (("Retry-After", str(seconds)),))
            counters.append(recent)
        for recent in counters:  # a refused call does not use up the other limits
            recent.append(now)


def _counted(call: Call, msn: str, limit: RateLimit) -> tuple[str, ...]:
    agreement_id = call.path_parameters.get("agreement_id", "")
    match limit.counted_by:
        case "merchant":
            return (call.operation, msn)
        case "agreement":
            return (call.operation, msn, agreement_id)
        case "charge":
            return (call.operation, msn, agreement_id, call.path_parameters.get("charge_id", ""))
        case "key":
            return (call.operation, msn, agreement_id, call.idempotency_key or "")
