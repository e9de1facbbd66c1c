"""The simulator beside what a real Saleor 3.23 sent: same headers, same bodies, same signatures, same claims."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.saleor.simulator.models import App, Order, User
from app.saleor.simulator.schema import COMPLETE
from app.saleor.simulator.simulator import Simulator
from tests.saleor.simulator.doubles import MANIFEST_URL, AppDouble, manifest, read_token, verify_detached

RECORDED = COMPLETE / "recorded"
pytestmark = pytest.mark.skipif(not RECORDED.is_dir(), reason="the recording of a real Saleor is not at hand")

Scene = Callable[[Simulator, Order, User, App], None]

SCENES: dict[str, Scene] = {
    "order_created-1": lambda shop, order, user, _app: shop.emit("ORDER_CREATED", order, user),
    "order_created-2": lambda shop, order, user, _app: shop.emit("ORDER_CREATED", order, user),
    "order_confirmed": lambda shop, order, user, _app: shop.confirm_order(order, user),
    "order_paid": lambda shop, order, user, _app: shop.mark_charged(order, by=user),
    "order_fully_paid": lambda shop, order, user, _app: shop.mark_charged(order, by=user),
    "order_updated": lambda shop, order, user, _app: shop.touch_order(order, user),
    "order_cancelled": lambda shop, order, user, _app: shop.cancel_order(order, user),
    "order_metadata_updated": lambda shop, order, _user, app: shop.update_order_metadata(order, {"lab": "1"}, app),
    "app_status_changed": lambda shop, _order, user, app: shop.deactivate_app(app, user),
    "app_deleted": lambda shop, _order, user, app: shop.delete_app(app, user),
}


def load(name: str) -> Any:
    return json.loads((RECORDED / name).read_text(encoding="utf-8"))


def names(headers: list[list[str]] | list[tuple[str, str]]) -> list[str]:
    return [name for name, _value in headers]


def raw_names(request: Any) -> list[str]:
    return [name.decode() for name, _value in request.headers.raw]


def selection(value: Any) -> str:
    """The selection that made a recorded value. Objects with a __typename are members of a union or interface."""
    if isinstance(value, list):
        return selection(value[0]) if value else "{ __typename }"
    if not isinstance(value, dict):
        return ""
    inner = " ".join(f"{key} {selection(part)}" for key, part in value.items() if key != "__typename")
    if "__typename" not in value:
        return f"{{ {inner} }}"
    return f"{{ __typename ... on {value['__typename']} {{ {inner} }} }}" if inner else "{ __typename }"


def compare(recorded: Any, made: Any, place: str = "body") -> None:
    """Same keys in the same order, same JSON types; what is null or empty on one side says nothing of the other."""
    if recorded is None or made is None:
        return
    assert type(recorded) is type(made), place
    if isinstance(recorded, dict):
        assert list(recorded) == list(made), place
        for key in recorded:
            compare(recorded[key], made[key], f"{place}.{key}")
    if isinstance(recorded, list) and recorded and made:
        compare(recorded[0], made[0], f"{place}[]")


OBJECT_KEYS = ("user", "billingAddress", "shippingAddress", "deliveryMethod")


def nullable(body: dict[str, Any]) -> str:
    """Objects that were null in the recording cannot be selected without a guess: they are asked for their type."""
    text = f"subscription {{ event {selection(body)} }}"
    for key in OBJECT_KEYS:
        text = text.replace(f" {key}  ", f" {key} {{ __typename }} ")
    for key in ("createdBy", "checkout", "original"):
        text = text.replace(f" {key}  ", " ")
    return text


async def send(shop: Simulator, double: AppDouble, name: str) -> tuple[Any, dict[str, Any]]:
    recorded = json.loads(load(f"webhooks/{name}.json")["body"])
    hook: dict[str, Any] = {
        "name": name,
        "targetUrl": f"https://app.example/webhooks/{name}",
        "query": nullable(recorded),
    }
    hook |= {"asyncEvents": [name.partition("-")[0].upper()]}
    permissions = [permission["code"] for permission in recorded["recipient"]["permissions"]]
    double.manifest = manifest(webhooks=[hook], permissions=permissions)
    app = await shop.install(MANIFEST_URL)
    customer = shop.create_customer()
    order = shop.create_order(customer, [shop.create_product()], metadata={"vipps.agreementId": "agr_123"})
    order.lines[0].metadata["subscription.interval"] = "MONTH"
    await shop.deliver()
    double.requests.clear()
    SCENES[name](shop, order, customer, app)
    await shop.deliver()
    return double.webhooks[-1], recorded


@pytest.mark.parametrize("name", SCENES)
async def test_webhook_has_the_recorded_headers_and_body_shape(shop: Simulator, double: AppDouble, name: str) -> None:
    request, recorded = await send(shop, double, name)
    assert raw_names(request) == names(load(f"webhooks/{name}.json")["headers"])
    assert request.headers["Saleor-Event"] == name.partition("-")[0]
    compare(recorded, json.loads(request.content))


async def test_handshake_has_the_recorded_headers_and_body(shop: Simulator, double: AppDouble) -> None:
    recorded = load("webhooks/_token_handshake.json")
    await shop.install(MANIFEST_URL)
    request = double.requests[1]
    assert raw_names(request) == names(recorded["headers"])
    theirs = dict(recorded["headers"])
    for same in ("User-Agent", "Accept-Encoding", "Accept", "Connection", "Content-Type", "Saleor-Schema-Version"):
        assert request.headers[same] == theirs[same]
    assert len(request.content) == len(recorded["body"])
    compare(json.loads(recorded["body"]), json.loads(request.content))


@pytest.mark.parametrize("file", sorted((RECORDED / "webhooks").glob("[a-z]*.json")), ids=lambda file: file.stem)
def test_recorded_signature_verifies_as_ours_do(shop: Simulator, file: Path) -> None:
    recorded = json.loads(file.read_text(encoding="utf-8"))
    body = recorded["body"].encode()
    theirs = verify_detached(dict(recorded["headers"])["Saleor-Signature"], body, load("jwks.json"))
    ours = verify_detached(shop.key.sign_detached(body), body, shop.jwks())
    assert list(ours) == list(theirs)
    assert ours | {"kid": theirs["kid"]} == theirs


def test_jwks_has_the_recorded_members(shop: Simulator) -> None:
    (theirs,), (ours,) = load("jwks.json")["keys"], shop.jwks()["keys"]
    assert list(ours) == list(theirs)
    assert {k: ours[k] for k in ("kty", "key_ops", "e", "use", "alg")} == {
        k: theirs[k] for k in ("kty", "key_ops", "e", "use", "alg")
    }
    assert (len(ours["n"]), len(ours["kid"])) == (len(theirs["n"]), len(theirs["kid"]))


async def test_tokens_have_the_recorded_claims(shop: Simulator, double: AppDouble) -> None:
    widget = {"label": "W", "url": "/w", "mount": "ORDER_DETAILS_WIDGETS", "permissions": ["MANAGE_ORDERS"]}
    double.manifest = manifest(extensions=[widget])
    app = await shop.install(MANIFEST_URL)
    customer, staff = shop.create_customer(), shop.create_staff()
    tokens = {
        "customer_access": shop.tokens.access(customer),
        "customer_refresh": shop.tokens.refresh(customer),
        "staff_access": shop.tokens.access(staff),
        "staff_refresh": shop.tokens.refresh(staff),
        "staff_access_with_audience": shop.tokens.access(staff, audience="lab-aud"),
        "app_accessToken_for_dashboard_iframe": shop.tokens.dashboard(staff, app),
        "widget POST form": shop.tokens.extension(staff, app.extensions[0]),
    }
    recorded = load("token-claims.json")
    for kind, token in tokens.items():
        header, claims = read_token(token, shop.jwks())
        theirs = recorded[kind]
        assert set(header) == set(theirs["header"]), kind
        compare(
            {k: theirs["payload"][k] for k in sorted(theirs["payload"])}, {k: claims[k] for k in sorted(claims)}, kind
        )
        for same in ("owner", "type", "is_staff", "aud"):
            assert claims.get(same) == theirs["payload"].get(same), kind
        assert claims["exp"] - claims["iat"] == theirs["payload"]["exp"] - theirs["payload"]["iat"]
        assert len(claims["token"]) == len(theirs["payload"]["token"])
        assert len(claims.get("csrfToken", "")) == len(theirs["payload"].get("csrfToken", ""))
    assert set(claims["user_permissions"]) == set(theirs["payload"]["user_permissions"])


@pytest.mark.parametrize("name", ["001-app-query-as-app", "010-shop-as-app", "040-updateMetadata-order-as-app"])
async def test_api_answers_have_the_recorded_shape(shop: Simulator, double: AppDouble, name: str) -> None:
    recorded = load(f"graphql/{name}.json")
    double.manifest = manifest()
    app = await shop.install(MANIFEST_URL)
    order = shop.create_order(shop.create_customer(), amount=1)
    body = {"query": recorded["query"], "variables": {"id": order.id} if recorded["variables"] else {}}
    answer = shop.execute(body, {"authorization": f"Bearer {app.token}"})
    compare(recorded["response"], answer.content)
    assert answer.content["extensions"] == recorded["response"]["extensions"]
