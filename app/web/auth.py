"""Who is calling: Basic credentials of an API client, or a Saleor token of a customer or of staff."""

import base64

from app.domain import account
from app.domain.account import Caller
from app.domain.errors import NotFound, Unauthenticated
from app.saleor.signatures import TokenClaims, unverified_issuer, verify_token
from app.usecases.clients import client_caller
from app.usecases.installations import installed
from app.web.context import WebContext

NO_CREDENTIALS = "no credentials: send Authorization with Basic (API client) or Bearer (Saleor token)"


async def basic_caller(context: WebContext, authorization: str | None) -> Caller:
    """An API client. Raises Unauthenticated."""
    scheme, _, value = (authorization or "").partition(" ")
    if scheme.lower() != "basic" or not value:
        raise Unauthenticated("this needs Basic credentials of an API client; make one with: client create")
    try:
        client_id, colon, secret = base64.b64decode(value.strip(), validate=True).decode().partition(":")
    except ValueError:
        colon = ""
    if not colon:
        raise Unauthenticated("the Basic credentials cannot be read: they are base64 of id:secret")
    return await client_caller(context.deps, client_id, secret)


async def any_caller(context: WebContext, authorization: str | None, authorization_bearer: str | None) -> Caller:
    """A client, a customer or staff. Raises Unauthenticated, or Forbidden for staff without any right here."""
    scheme, _, value = (authorization or "").partition(" ")
    if scheme.lower() == "basic":
        return await basic_caller(context, authorization)
    token = (authorization_bearer or (value if scheme.lower() in {"bearer", "jwt"} else "")).strip()
    if not token:
        raise Unauthenticated(NO_CREDENTIALS)
    return await _token_caller(context, token)


async def _token_caller(context: WebContext, token: str) -> Caller:
    """The issuer only chooses among the shops we know: no key is ever fetched from a name in a token."""
    shop = unverified_issuer(token)
    try:
        installation = await installed(context.deps, shop)
    except NotFound:
        raise Unauthenticated("the token is from a shop that has not installed this app") from None
    now = context.deps.clock()
    claims = await context.keys.check(installation, lambda jwks: verify_token(jwks, token, shop, now))
    return _caller(claims, shop, installation.app_id)


def _caller(claims: TokenClaims, shop: str, app_id: str) -> Caller:
    if claims.kind == "access" and not claims.is_staff:
        return account.customer(shop, claims.user)
    if claims.kind == "access":
        raise Unauthenticated("staff come with the Dashboard's app token, not with an access token")
    if claims.kind == "thirdparty" and claims.is_staff and claims.app == app_id:
        return account.staff(shop, claims.user, claims.user_permissions)
    if claims.kind == "thirdparty":
        raise Unauthenticated("the token is for another app")
    raise Unauthenticated("this kind of token is not accepted; send an access token")
