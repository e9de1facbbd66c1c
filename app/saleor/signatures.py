"""Saleor's signatures: webhooks signed over their raw bytes, and access tokens.

Facts: SALEOR 3.2 (detached JWS, RFC 7797) and 7 (token claims).
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, KeySetSerialization
from joserfc.util import urlsafe_b64decode

from app.domain.errors import Unauthenticated, UnknownKey

_ALGORITHMS = ["RS256"]
_LEEWAY = timedelta(seconds=5)
_PLAIN = re.compile(r"[\x21-\x7e]{1,255}")
# Detached, over the raw bytes (RFC 7797): what keeps a customer's token from passing as a webhook's signature.
_DETACHED = {"b64": False, "crit": ["b64"]}


def verify_webhook(jwks: str, signature: str, body: bytes) -> None:
    """Raise unless `signature` is this shop's over exactly these bytes."""
    header = _header(signature)
    if {name: header.get(name) for name in _DETACHED} != _DETACHED:
        raise Unauthenticated("the signature is no detached one")
    _require_key(jwks, header)
    try:
        jws.deserialize_compact(signature, _keys(jwks), algorithms=_ALGORITHMS, payload=body)
    except (JoseError, ValueError):
        raise Unauthenticated("the signature does not fit the body") from None


def unverified_issuer(token: str) -> str:
    """The shop that a token says it is from: good for choosing a key set, proof of nothing."""
    try:
        claims = json.loads(urlsafe_b64decode(token.split(".")[1].encode()))
        issuer = claims["iss"]
    except (ValueError, IndexError, KeyError, TypeError, RecursionError):
        raise Unauthenticated("the bearer token is no Saleor token") from None
    if not isinstance(issuer, str) or not _PLAIN.fullmatch(issuer):
        raise Unauthenticated("the bearer token names no shop")
    return issuer


@dataclass(frozen=True, slots=True)
class TokenClaims:
    """What a verified token says. `app` and `permissions` are set for Dashboard tokens only."""

    kind: str
    user: str
    is_staff: bool
    app: str | None
    user_permissions: frozenset[str]


def verify_token(jwks: str, token: str, shop: str, now: datetime) -> TokenClaims:
    """Raise unless the token is the shop's, of this moment, and whole."""
    header = _header(token)
    if "crit" in header:
        raise Unauthenticated("the bearer token demands what is not known here")
    _require_key(jwks, header)
    try:
        claims: Mapping[str, Any] = jwt.decode(token, _keys(jwks), algorithms=_ALGORITHMS).claims
    except (JoseError, ValueError):
        raise Unauthenticated("the bearer token is not signed by the shop") from None
    expires, user = claims.get("exp"), claims.get("user_id")
    if claims.get("iss") != shop or not isinstance(user, str) or not _PLAIN.fullmatch(user):
        raise Unauthenticated("the bearer token is for another shop")
    if isinstance(expires, bool) or not isinstance(expires, int) or expires <= (now - _LEEWAY).timestamp():
        raise Unauthenticated("the bearer token has expired; get a new one from Saleor")
    app, permissions = claims.get("app"), claims.get("user_permissions")
    return TokenClaims(
        kind=str(claims.get("type")),
        user=user,
        is_staff=claims.get("is_staff") is True,
        app=app if isinstance(app, str) else None,
        user_permissions=frozenset(str(it) for it in permissions) if isinstance(permissions, list) else frozenset(),
    )


def _header(token: str) -> Mapping[str, Any]:
    try:
        header = json.loads(urlsafe_b64decode(token.split(".", maxsplit=1)[0].encode()))
    except (ValueError, RecursionError):
        raise Unauthenticated("the signature is not a JWS") from None
    if not isinstance(header, dict) or header.get("alg") not in _ALGORITHMS:
        raise Unauthenticated("the signature is not made with RS256")
    return header


@lru_cache(maxsize=256)
def _keys(jwks: str) -> KeySet:
    serialized: KeySetSerialization = json.loads(jwks)
    return KeySet.import_key_set(serialized)


def _require_key(jwks: str, header: Mapping[str, Any]) -> None:
    kid = header.get("kid")
    if not isinstance(kid, str):
        raise Unauthenticated("the signature names no key")
    if all(key.get("kid") != kid for key in json.loads(jwks).get("keys", []) if isinstance(key, dict)):
        raise UnknownKey("signed with a key that the shop does not show")
