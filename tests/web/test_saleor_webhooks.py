"""Saleor's webhooks: believed only when signed by the shop and meant for us, stored once; what an uninstall does."""

import asyncio
import base64
import hashlib
import hmac
import json
import re
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from app.domain.errors import Unauthenticated, UnknownKey
from app.saleor.payloads import object_of, recipient_of
from app.saleor.signatures import verify_token, verify_webhook
from app.saleor.simulator.keys import SigningKey
from app.saleor.simulator.models import App
from app.usecases.ports import Job
from tests.web.helpers import nothing_happens, outside, saleor_hosts, stored
from tests.world import SHOP, World, bearer, make_world

ORDER = "T3JkZXI6MQ=="
OTHER = "https://other.example/graphql/"


def body_for(app: App, **over: Any) -> bytes:
    fields = {"issuedAt": "2026-03-02T09:00:00+00:00", "recipient": {"id": app.id}, "order": {"id": ORDER}}
    return json.dumps(fields | over).encode()


async def send(
    world: World,
    body: bytes,
    *,
    key: SigningKey | None = None,
    path: str = "order-created",
    event: str = "order_created",
    **headers: str | None,
) -> httpx.Response:
    """A webhook with the shop's signature unless told otherwise; a header of None is left out."""
    signature = (key or world.saleor.key).sign_detached(body)
    sent = {"Saleor-Event": event, "Saleor-Api-Url": SHOP, "Saleor-Signature": signature}
    changed = {f"Saleor-{name.replace('_', '-')}": value for name, value in headers.items()}
    final = {name: value for name, value in (sent | changed).items() if value is not None}
    return await outside(world).post(f"/api/webhooks/saleor/{path}", content=body, headers=final)


async def inbox(world: World) -> list[dict[str, Any]]:
    return (await stored(world))["inbox"]


def key_fetches(world: World) -> int:
    return sum(call.url.path == "/.well-known/jwks.json" for call in saleor_hosts(world).calls)


def refused(answer: httpx.Response) -> int:
    body = answer.json()
    assert body["success"] is False
    assert set(body["error"]) == {"code", "message"}
    return answer.status_code


# What is believed


async def test_a_signed_webhook_is_stored_as_it_came_and_answered_202(world: World) -> None:
    [app] = world.saleor.apps
    body = body_for(app, note="blåbær")

    answer = await send(world, body)

    assert answer.status_code == 202
    [row] = await inbox(world)
    assert (row["shop"], row["source"], row["event"], row["status"]) == (SHOP, "saleor", "order_created", "WAITING")
    assert row["body"].encode() == body
    assert world.jobs.waiting == [(Job.APPLY_INBOX, SHOP, [row["id"]])]


async def test_the_same_bytes_twice_are_one_row_and_one_job(world: World) -> None:
    [app] = world.saleor.apps
    body = body_for(app)
    answers = await asyncio.gather(*(send(world, body) for _ in range(5)))
    assert [answer.status_code for answer in answers] == [202] * 5
    assert len(await inbox(world)) == 1
    assert len(world.jobs.waiting) == 1


async def test_another_event_or_another_body_is_another_row(one_world: World) -> None:
    [app] = one_world.saleor.apps
    await send(one_world, body_for(app))
    await send(one_world, body_for(app), path="order-updated", event="order_updated")
    await send(one_world, body_for(app, issuedAt="2026-03-02T09:00:01+00:00"))
    assert len(await inbox(one_world)) == 3


async def test_the_older_header_names_are_read_too(one_world: World) -> None:
    [app] = one_world.saleor.apps
    body = body_for(app)
    headers = {
        "X-Saleor-Event": "order_created",
        "X-Saleor-Signature": one_world.saleor.key.sign_detached(body),
        "Saleor-Api-Url": SHOP,
    }
    answer = await one_world.http.post("/api/webhooks/saleor/order-created", content=body, headers=headers)
    assert answer.status_code == 202


@pytest.mark.parametrize("header", ["Event", "Api_Url", "Signature"])
async def test_a_missing_header_is_400(one_world: World, header: str) -> None:
    [app] = one_world.saleor.apps
    async with nothing_happens(one_world):
        for value in (None, ""):
            missing: dict[str, Any] = {header: value}
            assert refused(await send(one_world, body_for(app), **missing)) == 400


async def test_an_event_other_than_the_paths_is_400(one_world: World) -> None:
    [app] = one_world.saleor.apps
    async with nothing_happens(one_world):
        for event in ("order_updated", "app_deleted", "order-created", "order_created ,x", "nonsense"):
            assert refused(await send(one_world, body_for(app), event=event)) == 400


async def test_a_path_that_is_not_served_is_404(one_world: World) -> None:
    [app] = one_world.saleor.apps
    async with nothing_happens(one_world):
        for path in ("order-paid", "order_created", "ORDER-CREATED", "x"):
            answer = await send(one_world, body_for(app), path=path, event=path.replace("-", "_"))
            assert answer.status_code == 404


async def test_a_shop_that_has_not_installed_is_401_and_is_not_called(one_world: World) -> None:
    [app] = one_world.saleor.apps
    calls = len(saleor_hosts(one_world).calls)
    async with nothing_happens(one_world):
        for url in (OTHER, "https://evil.example/graphql/", SHOP + "x", SHOP.upper(), "x"):
            assert refused(await send(one_world, body_for(app), Api_Url=url)) == 401
    assert len(saleor_hosts(one_world).calls) == calls


async def test_an_event_for_another_app_of_the_shop_is_403(one_world: World) -> None:
    """One key signs for all apps: only the recipient tells them apart."""
    [app] = one_world.saleor.apps
    async with nothing_happens(one_world):
        for recipient in (
            {"id": "QXBwOjk5OQ=="},
            {"id": None},
            {"id": ""},
            {"id": [app.id]},
            {},
            None,
            app.id,
            [app.id],
        ):
            assert refused(await send(one_world, body_for(app, recipient=recipient))) == 403


async def test_a_signed_body_that_is_no_event_is_refused(one_world: World) -> None:
    async with nothing_happens(one_world):
        for body in (b"", b"x", b"null", b"[]", b'"x"', b"5", b"{}", b"[" * 100_000):
            assert refused(await send(one_world, body)) == 403
        assert refused(await send(one_world, b'{"recipient": "\xff"}')) == 400


async def test_a_changed_body_is_401(one_world: World) -> None:
    [app] = one_world.saleor.apps
    body = body_for(app)
    signature = one_world.saleor.key.sign_detached(body)
    async with nothing_happens(one_world):
        for changed in (body + b" ", body.replace(b": ", b":"), body.replace(b"MQ==", b"Mg=="), b"", body[:-1]):
            assert refused(await send(one_world, changed, Signature=signature)) == 401
    assert key_fetches(one_world) == 1


def part(content: Any) -> str:
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def hostile_signatures(world: World, body: bytes) -> dict[str, str]:
    kid, good = world.saleor.key.kid, world.saleor.key.sign_detached(body)
    header, _, tail = good.partition("..")
    right = {"alg": "RS256", "b64": False, "crit": ["b64"], "kid": kid, "typ": "JWT"}
    public = json.dumps(world.saleor.jwks()).encode()
    hs256 = part(right | {"alg": "HS256"})
    mac = hmac.new(public, hs256.encode() + b"." + body, hashlib.sha256).digest()
    forger = SigningKey()
    forger.kid = kid
    return {
        "alg none": f"{part(right | {'alg': 'none'})}..",
        "alg none, old signature": f"{part(right | {'alg': 'none'})}..{tail}",
        "alg HS256 with the public key": f"{hs256}..{part(mac)}",
        "alg RS512": f"{part(right | {'alg': 'RS512'})}..{tail}",
        "alg missing": f"{part({'kid': kid})}..{tail}",
        "alg is a list": f"{part(right | {'alg': ['RS256']})}..{tail}",
        "signed with another key of that name": forger.sign_detached(body),
        "no signature": f"{header}..",
        "no header": f"..{tail}",
        "empty": ".",
        "text": "not a signature",
        "letters": "blåbær",
        "header is no JSON": f"{part(b'{')}..{tail}",
        "header is a list": f"{part([])}..{tail}",
        "header is deep": f"{part(b'[' * 20_000)}..{tail}",
        "crit unknown": f"{part(right | {'crit': ['b64', 'exp']})}..{tail}",
        "crit is a number": f"{part(right | {'crit': 5})}..{tail}",
        "b64 is a text": f"{part(right | {'b64': 'no'})}..{tail}",
        "a key of the sender's own": f"{part(right | {'jwk': SigningKey().jwk()})}..{tail}",
        "four parts": f"{good}.x",
        "signature cut": good[:-10],
        "signature of other bytes": world.saleor.key.sign_detached(b"x"),
        "kid is a list": f"{part(right | {'kid': []})}..{tail}",
        "kid is an object": f"{part(right | {'kid': {}})}..{tail}",
    }


async def test_a_signature_that_is_not_the_shops_over_these_bytes_is_401(one_world: World) -> None:
    [app] = one_world.saleor.apps
    body = body_for(app)
    seen = {}
    async with nothing_happens(one_world):
        for name, signature in hostile_signatures(one_world, body).items():
            sent = {
                "Saleor-Event": "order_created",
                "Saleor-Api-Url": SHOP,
                "Saleor-Signature": signature.encode("latin-1"),
            }
            path = "/api/webhooks/saleor/order-created"
            answer = await outside(one_world).post(path, content=body, headers=sent)  # type: ignore[arg-type]
            # A key id that the shop never had may be looked up once, and then it is "try again".
            if answer.status_code not in ({401, 503} if name.startswith("kid is") else {401}):
                seen[name] = answer.status_code
    assert seen == {}


async def test_a_customers_token_is_no_signature_of_its_own_claims(one_world: World) -> None:
    """The same key signs both: whoever holds a token must not be able to present it as a webhook."""
    token = one_world.saleor.tokens.access(one_world.saleor.create_customer())
    header, claims, tail = token.split(".")
    body = base64.urlsafe_b64decode(claims + "==")
    jwks = json.dumps(one_world.saleor.jwks())
    for signature in (f"{header}..{tail}", token):
        with pytest.raises(Unauthenticated):
            verify_webhook(jwks, signature, body)


async def test_a_webhooks_signature_is_no_token(one_world: World) -> None:
    body = json.dumps(
        one_world.saleor.key.read_token(one_world.saleor.tokens.access(one_world.saleor.create_customer()))
    )
    header, _, tail = one_world.saleor.key.sign_detached(body.encode()).partition("..")
    for token in (f"{header}.{body}.{tail}", f"{header}.{part(body.encode())}.{tail}"):
        with pytest.raises(Unauthenticated):
            verify_token(json.dumps(one_world.saleor.jwks()), token, SHOP, one_world.time.now)


async def test_one_shops_signature_is_worth_nothing_at_another(sqlite_url: str) -> None:
    world = make_world(sqlite_url, (SHOP, OTHER))
    apps = [await world.install(shop) for shop in world.shops.values()]
    async with nothing_happens(world):
        answer = await send(world, body_for(apps[0]), key=world.shops[OTHER].key)
        assert refused(answer) in {401, 503}
        assert refused(await send(world, body_for(apps[1]), Api_Url=OTHER)) in {401, 503}
    await world.context.close()


# Keys


async def test_after_a_key_rotation_webhooks_are_believed_after_one_fetch(world: World) -> None:
    [app] = world.saleor.apps
    old = world.saleor.key
    new = world.saleor.rotate_key()
    before = key_fetches(world)

    for number in range(5):
        assert (await send(world, body_for(app, number=number))).status_code == 202

    assert key_fetches(world) == before + 1
    assert json.loads((await stored(world))["installation"][0]["jwks"])["keys"][0]["kid"] == new.kid
    assert refused(await send(world, body_for(app, number=9), key=old)) in {401, 503}
    assert len(await inbox(world)) == 5


async def test_webhooks_that_come_together_after_a_rotation_cost_one_fetch(one_world: World) -> None:
    [app] = one_world.saleor.apps
    one_world.saleor.rotate_key()
    before = key_fetches(one_world)
    answers = await asyncio.gather(*(send(one_world, body_for(app, number=number)) for number in range(8)))
    assert [answer.status_code for answer in answers] == [202] * 8
    assert key_fetches(one_world) == before + 1


async def test_many_forgeries_with_unknown_keys_cost_the_shop_one_fetch(one_world: World) -> None:
    [app] = one_world.saleor.apps
    forger = SigningKey()
    before = key_fetches(one_world)
    async with nothing_happens(one_world):
        for number in range(20):
            forger.kid = f"invented-{number}"
            assert refused(await send(one_world, body_for(app, number=number), key=forger)) in {401, 503}
    assert key_fetches(one_world) == before + 1
    # What is signed rightly is believed meanwhile.
    assert (await send(one_world, body_for(app))).status_code == 202


async def test_during_the_pause_after_a_forgery_a_new_key_is_answered_with_try_again(one_world: World) -> None:
    """Saleor repeats after a 503 and never after a 401: a rotation just then must not lose an event."""
    [app] = one_world.saleor.apps
    forger = SigningKey()
    await send(one_world, body_for(app), key=forger)
    one_world.saleor.rotate_key()
    assert refused(await send(one_world, body_for(app))) == 503
    one_world.advance(timedelta(seconds=31))
    assert (await send(one_world, body_for(app))).status_code == 202


async def test_a_shop_whose_keys_cannot_be_fetched_is_answered_with_try_again(one_world: World) -> None:
    [app] = one_world.saleor.apps
    one_world.saleor.rotate_key()
    saleor_hosts(one_world).apps.clear()
    async with nothing_happens(one_world):
        assert refused(await send(one_world, body_for(app))) == 503


async def test_a_shop_that_hangs_does_not_hold_up_the_keys_of_others(sqlite_url: str) -> None:
    world = make_world(sqlite_url, (SHOP, OTHER))
    for shop in world.shops.values():
        await world.install(shop)
    for shop in world.shops.values():
        shop.rotate_key()
    hang = asyncio.Event()

    async def silent(_request: httpx.Request) -> httpx.Response:
        await hang.wait()
        return httpx.Response(500)

    saleor_hosts(world).apps["other.example"] = httpx.MockTransport(silent)
    other = world.shops[OTHER]
    slow = asyncio.create_task(send(world, body_for(other.apps[0]), key=other.key, Api_Url=OTHER))
    await asyncio.sleep(0.05)
    try:
        answer = await asyncio.wait_for(send(world, body_for(world.saleor.apps[0])), 30)
        assert answer.status_code == 202
    finally:
        hang.set()
        await slow
        await world.context.close()


# Recorded from a real Saleor


@pytest.fixture
def recorded(shared_data: Callable[[str], Path]) -> list[dict[str, Any]]:
    files = sorted(shared_data("saleor/recorded/webhooks").glob("[a-z]*.json"))
    return [json.loads(path.read_text()) for path in files]


@pytest.fixture
def recorded_jwks(shared_data: Callable[[str], Path]) -> str:
    return shared_data("saleor/recorded/jwks.json").read_text()


def header_of(recording: dict[str, Any], name: str) -> str:
    return str(dict(recording["headers"])[name])


def test_every_recorded_webhook_verifies_and_fails_when_one_byte_changes(
    recorded: list[dict[str, Any]], recorded_jwks: str
) -> None:
    assert len(recorded) > 20
    for recording in recorded:
        signature, body = header_of(recording, "Saleor-Signature"), recording["body"].encode()
        verify_webhook(recorded_jwks, signature, body)
        for changed in (body + b"\n", body[:-1] + b" ", bytes([body[0] ^ 1]) + body[1:]):
            with pytest.raises(Unauthenticated):
                verify_webhook(recorded_jwks, signature, changed)


def test_a_recorded_webhook_is_unknown_to_another_shops_keys(recorded: list[dict[str, Any]]) -> None:
    jwks = json.dumps({"keys": [SigningKey().jwk()]})
    for recording in recorded:
        with pytest.raises(UnknownKey):
            verify_webhook(jwks, header_of(recording, "Saleor-Signature"), recording["body"].encode())


def test_recipient_and_object_are_read_from_the_recorded_events_that_we_subscribe_to(
    recorded: list[dict[str, Any]],
) -> None:
    ours = ("order_created", "order_confirmed", "order_updated", "order_metadata_updated", "app_deleted")
    found = [it for it in recorded if it["event"] in ours]
    assert {it["event"] for it in found} == set(ours)
    for recording in found:
        content = json.loads(recording["body"])
        holder = content["app"] if recording["event"] == "app_deleted" else content["order"]
        assert recipient_of(recording["body"]) == content["recipient"]["id"]
        assert object_of(recording["body"]) == holder["id"]


@pytest.fixture
async def recorded_shop(
    sqlite_url: str, recorded_jwks: str, recorded: list[dict[str, Any]]
) -> AsyncIterator[tuple[World, str]]:
    """The app as installed in the shop that was recorded."""
    url = header_of(recorded[0], "Saleor-Api-Url")
    world = make_world(sqlite_url, (url,), private_networks="allow")
    await world.install()
    app_id = json.loads(next(it for it in recorded if it["event"] == "app_deleted")["body"])["recipient"]["id"]
    async with world.context.store.engine.begin() as connection:
        change = text("UPDATE installation SET jwks = :jwks, app_id = :app_id")
        await connection.execute(change, {"jwks": recorded_jwks, "app_id": app_id})
    yield world, app_id
    await world.context.close()


async def test_recorded_requests_are_taken_as_they_were_sent(
    recorded_shop: tuple[World, str], recorded: list[dict[str, Any]]
) -> None:
    world, app_id = recorded_shop
    taken = 0
    for recording in recorded:
        path = recording["event"].replace("_", "-")
        if path not in {"order-created", "order-confirmed", "order-updated", "order-metadata-updated"}:
            continue
        headers = {name: value for name, value in recording["headers"] if name not in {"Host", "Content-Length"}}
        answer = await world.http.post(f"/api/webhooks/saleor/{path}", content=recording["body"], headers=headers)
        mine = recipient_of(recording["body"]) == app_id
        assert answer.status_code == (202 if mine else 403)
        taken += mine
    assert taken > 0
    assert len(await inbox(world)) == taken


async def test_tokens_with_the_recorded_claims_are_told_apart(
    recorded_shop: tuple[World, str], shared_data: Callable[[str], Path]
) -> None:
    """The recordings hold claims without signatures; a key of ours signs them as they are."""
    world, app_id = recorded_shop
    key = SigningKey()
    async with world.context.store.engine.begin() as connection:
        await connection.execute(text("UPDATE installation SET jwks = :j"), {"j": json.dumps({"keys": [key.jwk()]})})
    claims = json.loads(shared_data("saleor/recorded/token-claims.json").read_text())
    seen = {}
    for name, recording in claims.items():
        payload = recording["payload"]
        world.time.now = datetime.fromtimestamp(payload["iat"], UTC)
        answer = await world.graphql("{ agreements { totalCount } }", None, bearer(key.sign_token(payload)))
        refusal = answer["errors"][0]["extensions"]["code"] if "errors" in answer else "taken"
        seen[name] = (payload["type"], payload.get("app", app_id) == app_id, refusal)
    assert seen["customer_access"] == ("access", True, "taken")
    assert seen["app_accessToken_for_dashboard_iframe"] == ("thirdparty", True, "taken")
    for name, (kind, mine, refusal) in seen.items():
        good = mine and (kind == "thirdparty" or name == "customer_access")
        assert refusal == ("taken" if good else "UNAUTHENTICATED"), name


# Uninstalling


async def raw(world: World, table: str) -> list[dict[str, Any]]:
    """As it lies in the database, sealed."""
    async with world.context.store.engine.connect() as connection:
        rows = (await connection.execute(text(f'SELECT * FROM "{table}"'))).mappings().all()  # noqa: S608
        return [dict(row) for row in rows]


async def test_an_uninstall_erases_token_keys_and_merchant_secrets_and_revokes_clients(world: World) -> None:
    [app] = world.saleor.apps
    headers = await world.client()
    agreement = await world.agreement(headers)

    world.saleor.delete_app(app)
    await world.drain()

    [installation], [account], [client] = [await raw(world, it) for it in ("installation", "account", "api_client")]
    assert (installation["token_sealed"], bool(installation["active"])) == (None, False)
    assert (account["client_secret_sealed"], account["subscription_key_sealed"]) == (None, None)
    assert client["revoked_at"] is not None
    assert (await world.rest("/agreement/get", agreement, headers)).status_code == 401
    # What was agreed is not forgotten: it is the shop's, and a reinstall finds it.
    assert [it["agreement_id"] for it in await raw(world, "agreement")] == [agreement]


async def test_after_an_uninstall_webhooks_are_refused_and_the_shop_is_not_called(one_world: World) -> None:
    [app] = one_world.saleor.apps
    one_world.saleor.delete_app(app)
    await one_world.drain()
    calls = len(saleor_hosts(one_world).calls)
    async with nothing_happens(one_world):
        assert refused(await send(one_world, body_for(app))) == 401
        one_world.saleor.rotate_key()
        assert refused(await send(one_world, body_for(app))) == 401
    assert len(saleor_hosts(one_world).calls) == calls


def app_deleted(recipient: str, app_id: str) -> bytes:
    return json.dumps({"issuedAt": "x", "recipient": {"id": recipient}, "app": {"id": app_id}}).encode()


async def _everything_is_kept(world: World, headers: dict[str, str]) -> None:
    rows = await stored(world)
    assert all(row["token_sealed"] and row["jwks"] and row["active"] for row in rows["installation"])
    assert all(row["client_secret_sealed"] and row["subscription_key_sealed"] for row in rows["account"])
    assert (await world.rest("/charge/get", [], headers)).status_code == 200


async def test_a_late_uninstall_of_an_earlier_installation_is_refused_after_a_reinstall(one_world: World) -> None:
    [old] = one_world.saleor.apps
    one_world.saleor.delete_app(old)
    new = await one_world.install()
    assert new.id != old.id
    headers = await one_world.client()

    delivered = await one_world.saleor.deliver()
    await one_world.drain()

    assert [it.attempts[0].status_code for it in delivered if it.event.name == "APP_DELETED"] == [403]
    await _everything_is_kept(one_world, headers)


async def test_an_uninstall_that_is_applied_after_a_reinstall_forgets_nothing(world: World) -> None:
    """It was stored in time, and its job ran late."""
    [old] = world.saleor.apps
    world.saleor.delete_app(old)
    await world.saleor.deliver()
    assert len(world.jobs.waiting) == 1
    await world.install()
    headers = await world.client()

    await world.drain()

    await _everything_is_kept(world, headers)
    assert "nothing forgotten" in (await inbox(world))[0]["result"]


async def test_the_removal_of_another_app_forgets_nothing(one_world: World) -> None:
    [app] = one_world.saleor.apps
    headers = await one_world.client()
    for other in ("QXBwOjk5OQ==", "", "x"):
        sent = await send(one_world, app_deleted(app.id, other), path="app-deleted", event="app_deleted")
        assert sent.status_code == 202
    sent = await send(one_world, app_deleted("QXBwOjk5OQ==", app.id), path="app-deleted", event="app_deleted")
    assert refused(sent) == 403
    await one_world.drain()
    await _everything_is_kept(one_world, headers)


async def test_one_shops_uninstall_leaves_the_other_shop_alone(sqlite_url: str) -> None:
    world = make_world(sqlite_url, (SHOP, OTHER))
    for url, shop in world.shops.items():
        await world.install(shop)
        await world.set_account(url)
    headers = await world.client(shop=OTHER)
    world.saleor.delete_app(world.saleor.apps[0])
    await world.drain()
    rows = {row["shop"]: row for row in await raw(world, "installation")}
    assert (bool(rows[SHOP]["active"]), bool(rows[OTHER]["active"])) == (False, True)
    assert rows[OTHER]["token_sealed"]
    assert (await world.rest("/charge/get", [], headers)).status_code == 200
    await world.context.close()


async def test_no_token_and_no_key_is_in_an_answer(one_world: World) -> None:
    [app] = one_world.saleor.apps
    answers = [await send(one_world, body_for(app)), await send(one_world, body_for(app), Signature="x.y.z")]
    answers.append(await send(one_world, body_for(app, recipient=None)))
    for answer in answers:
        assert app.token not in answer.text
        assert not re.search(r"[A-Za-z0-9_-]{40,}", answer.text)
