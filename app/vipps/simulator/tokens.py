"""Access tokens: issued to a sales unit, valid by the simulator's clock, revocable all at once."""

import base64
import json
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from app.vipps.simulator.clock import SimulatorClock
from app.vipps.simulator.config import MerchantCredentials, SimulatorConfig


@dataclass(frozen=True, slots=True)
class IssuedToken:
    text: str
    not_before: datetime
    expires: datetime


class TokenDesk:
    def __init__(self, config: SimulatorConfig, clock: SimulatorClock) -> None:
        self._lifetime = timedelta(seconds=config.token_seconds)
        self._clock = clock
        self._merchants = {merchant.client_id: merchant for merchant in config.merchants}
        self._valid: dict[str, tuple[str, datetime]] = {}
        self.issued = 0

    def merchant(self, client_id: str, client_secret: str) -> MerchantCredentials | None:
        found = self._merchants.get(client_id)
        # Bytes, because comparing text in constant time is defined for ASCII only.
        if found and secrets.compare_digest(found.client_secret.encode(), client_secret.encode()):
            return found
        return None

    def issue(self, merchant: MerchantCredentials) -> IssuedToken:
        now = self._clock.now()
        token = IssuedToken(_looks_like_jwt(merchant, now, now + self._lifetime), now, now + self._lifetime)
        self._valid = {text: held for text, held in self._valid.items() if held[1] > now}
        self._valid[token.text] = (merchant.msn, token.expires)
        self.issued += 1
        return token

    def owner(self, text: str) -> str | None:
        """The MSN that a token speaks for, unless it is unknown, revoked or too old."""
        msn, expires = self._valid.get(text, ("", self._clock.now()))
        return msn if expires > self._clock.now() else None

    def revoke_all(self) -> None:
        self._valid.clear()


def _looks_like_jwt(merchant: MerchantCredentials, not_before: datetime, expires: datetime) -> str:
    """Shaped and sized like the real thing, but signed by nobody: callers must treat it as opaque."""
    claims = {
        "appid": merchant.client_id,
        "nbf": int(not_before.timestamp()),
        "exp": int(expires.timestamp()),
        "jti": secrets.token_urlsafe(400),
    }
    head = {"typ": "JWT", "alg": "RS256", "kid": "simulator"}
    return ".".join(
        (_encode(json.dumps(head).encode()), _encode(json.dumps(claims).encode()), secrets.token_urlsafe(256))
    )


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
