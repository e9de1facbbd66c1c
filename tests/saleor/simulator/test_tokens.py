"""Tokens: their claims, their lives, and the key behind them."""

from datetime import timedelta
from typing import Any

import pytest
from joserfc.errors import BadSignatureError, JoseError
from joserfc.jwk import RSAKey

from app.saleor.simulator.keys import SigningKey
from app.saleor.simulator.permissions import PermissionDenied
from app.saleor.simulator.simulator import Simulator
from tests.saleor.simulator.doubles import MANIFEST_URL, AppDouble, manifest, read_token

EXTENSION = {
    "label": "Subscription",
    "url": "/widget",
    "mount": "ORDER_DETAILS_WIDGETS",
    "permissions": ["MANAGE_ORDERS"],
}


def claims(shop: Simulator, token: str) -> dict[str, Any]:
    return read_token(token, shop.jwks())[1]


def test_customer_access_token_names_customer_shop_and_five_minutes(shop: Simulator) -> None:
    customer = shop.create_customer()
    header, found = read_token(shop.tokens.access(customer), shop.jwks())
    assert header == {"alg": "RS256", "kid": shop.key.kid, "typ": "JWT"}
    now = int(shop.clock.now().timestamp())
    assert found == {
        "iat": now,
        "owner": "saleor",
        "iss": "https://shop.example/graphql/",
        "exp": now + 300,
        "token": customer.token_key,
        "email": customer.email,
        "type": "access",
        "user_id": customer.id,
        "is_staff": False,
    }


def test_refresh_token_lives_thirty_days(shop: Simulator) -> None:
    found = claims(shop, shop.tokens.refresh(shop.create_customer()))
    assert (found["type"], found["exp"] - found["iat"]) == ("refresh", int(timedelta(days=30).total_seconds()))
    assert found["csrfToken"]


def test_expired_token_is_past_its_time(shop: Simulator) -> None:
    found = claims(shop, shop.tokens.expired(shop.create_customer()))
    assert found["exp"] < shop.clock.now().timestamp()


def test_audience_is_there_only_when_asked_for(shop: Simulator) -> None:
    customer = shop.create_customer()
    assert "aud" not in claims(shop, shop.tokens.access(customer))
    assert claims(shop, shop.tokens.access(customer, audience="x"))["aud"] == "custom:x"


async def test_dashboard_token_holds_the_permissions_of_both_and_all_of_the_users(shop: Simulator) -> None:
    app = await shop.install(MANIFEST_URL)
    staff = shop.create_staff(permissions={"MANAGE_ORDERS", "MANAGE_USERS"})
    found = claims(shop, shop.tokens.dashboard(staff, app))
    assert (found["type"], found["app"], found["is_staff"]) == ("thirdparty", app.id, True)
    assert found["permissions"] == ["MANAGE_ORDERS"]
    assert found["user_permissions"] == ["MANAGE_ORDERS", "MANAGE_USERS"]
    with pytest.raises(PermissionDenied):
        shop.tokens.dashboard(shop.create_customer(), app)


async def test_manifest_audience_is_the_dashboard_tokens(shop: Simulator, double: AppDouble) -> None:
    double.manifest = manifest(audience="https://app.example")
    app = await shop.install(MANIFEST_URL)
    assert claims(shop, shop.tokens.dashboard(shop.create_staff(), app))["aud"] == "https://app.example"


async def test_extension_token_holds_the_extensions_permissions_or_is_not_made(
    shop: Simulator, double: AppDouble
) -> None:
    double.manifest = manifest(extensions=[EXTENSION])
    (extension,) = (await shop.install(MANIFEST_URL)).extensions
    found = claims(shop, shop.tokens.extension(shop.create_staff(), extension))
    assert (found["app_extension"], found["permissions"]) == (extension.id, ["MANAGE_ORDERS"])
    weak = shop.create_staff("weak@example.com", permissions={"MANAGE_USERS"})
    with pytest.raises(PermissionDenied):
        shop.tokens.extension(weak, extension)


def test_overrides_make_tokens_that_ought_to_be_refused(shop: Simulator) -> None:
    token = shop.tokens.access(shop.create_customer(), iss="https://other.example/graphql/", email=None)
    found = claims(shop, token)
    assert found["iss"] == "https://other.example/graphql/"
    assert "email" not in found


def test_key_id_is_the_thumbprint_of_the_key(key: SigningKey) -> None:
    assert RSAKey.import_key(key.jwk()).thumbprint() == key.kid


def test_rotation_publishes_a_new_key_only_and_old_tokens_no_longer_verify(shop: Simulator) -> None:
    token, old = shop.tokens.access(shop.create_customer()), shop.jwks()
    shop.rotate_key()
    assert len(shop.jwks()["keys"]) == 1
    assert shop.jwks() != old
    with pytest.raises((JoseError, ValueError)):
        read_token(token, shop.jwks())
    forged = shop.jwks()
    forged["keys"][0]["kid"] = old["keys"][0]["kid"]
    with pytest.raises(BadSignatureError):
        read_token(token, forged)


def test_3_20_publishes_no_algorithm(key: SigningKey) -> None:
    assert "alg" not in Simulator(version="3.20", key=key).jwks()["keys"][0]
    assert Simulator(version="3.21", key=key).jwks()["keys"][0]["alg"] == "RS256"
