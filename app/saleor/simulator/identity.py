"""Who sent an API request, by its token."""

from collections.abc import Mapping
from datetime import datetime

from app.saleor.simulator import ids
from app.saleor.simulator.keys import SigningKey
from app.saleor.simulator.models import User
from app.saleor.simulator.permissions import NOBODY, Requestor, requestor_of
from app.saleor.simulator.state import Shop

APP_TOKEN_LENGTH = 30


class InvalidTokenError(Exception):
    """Not a user token of this shop. The class name is the error code that Saleor answers."""


class ExpiredSignatureError(Exception):
    """A user token past its time. The class name is the error code that Saleor answers."""


def identify(headers: Mapping[str, str], shop: Shop, key: SigningKey) -> Requestor:
    """An unknown app token is nobody's; a user token that does not hold is an error."""
    token = _token(headers)
    if token is None:
        return NOBODY
    if len(token) == APP_TOKEN_LENGTH:
        app = next((a for a in shop.apps if a.token == token and a.is_active and a.removed_at is None), None)
        return requestor_of(app) if app else NOBODY
    return _user(token, shop, key)


def _token(headers: Mapping[str, str]) -> str | None:
    own_header = headers.get("authorization-bearer")
    if own_header:
        return own_header
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token if scheme.lower() in {"bearer", "jwt"} and token else None


def _user(token: str, shop: Shop, key: SigningKey) -> Requestor:
    claims = key.read_token(token)
    if claims is None or claims.get("type") not in {"access", "thirdparty"}:
        raise InvalidTokenError("Invalid token")
    if datetime.fromtimestamp(claims["exp"], tz=shop.clock.now().tzinfo) <= shop.clock.now():
        raise ExpiredSignatureError("Signature has expired")
    user = next((u for u in shop.users if ids.encode("User", u.number) == claims["user_id"]), None)
    if user is None or not user.is_active or user.token_key != claims["token"]:
        raise InvalidTokenError("Invalid token. User does not exist or is inactive.")
    return Requestor(user, _permissions(user, claims.get("permissions")), claims.get("app"))


def _permissions(user: User, limited_to: list[str] | None) -> frozenset[str]:
    return user.permissions if limited_to is None else user.permissions & frozenset(limited_to)
