"""Installing: a token is proven before anything is stored, and only shops that may be called are called."""

# ruff: noqa: S104

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from app.domain.errors import Forbidden, InvalidInput
from app.main import build, http_clients
from app.saleor.network import GuardedResolver, ShopRules
from app.saleor.simulator.server import create_app as saleor_app
from app.serving import create_app
from tests.web.helpers import nothing_happens, register, saleor_hosts, stored
from tests.world import APP_URL, SHOP, Time, World, make_world, settings_for

CLOUD = "https://*.saleor.cloud/graphql/"


def _refused(answer: httpx.Response) -> str:
    """The code of a refusal that Saleor understands and whose text its staff can read."""
    assert answer.status_code >= 400, answer.text
    body = answer.json()
    assert set(body) == {"success", "error"}
    assert body["success"] is False
    assert set(body["error"]) == {"code", "message"}
    assert body["error"]["message"]
    code: str = body["error"]["code"]
    return code


@pytest.fixture
async def empty(sqlite_url: str) -> AsyncIterator[World]:
    """Nothing is installed."""
    world = make_world(sqlite_url)
    yield world
    await world.context.close()
    assert world.unforeseen == []


async def _restricted(sqlite_url: str, allowed: tuple[str, ...]) -> World:
    return make_world(sqlite_url, allow_any_saleor=False, allowed_saleor_urls=allowed)


# The handshake


async def _raw_token(world: World) -> str:
    async with world.context.store.engine.connect() as connection:
        return str((await connection.execute(text("SELECT token_sealed FROM installation"))).scalar_one())


async def test_a_proven_token_is_stored_encrypted_with_the_shops_keys(world: World) -> None:
    [app] = world.saleor.apps
    [row] = (await stored(world))["installation"]

    assert (row["shop"], row["app_id"], bool(row["active"])) == (SHOP, app.id, True)
    assert json.loads(row["jwks"]) == world.saleor.jwks()
    assert app.token not in await _raw_token(world)
    async with world.context.store.begin() as unit:
        installation = await unit.installations.get(SHOP)
    assert installation is not None
    assert installation.token == app.token


async def test_the_token_is_proven_at_the_shop_before_anything_is_stored(empty: World) -> None:
    seen: list[tuple[str, int]] = []
    shop = httpx.ASGITransport(app=_app_of(empty))

    async def watching(request: httpx.Request) -> httpx.Response:
        seen.append((request.url.path, len((await stored(empty))["installation"])))
        return await shop.handle_async_request(request)

    saleor_hosts(empty).apps["shop.example"] = _Through(watching)
    await empty.install()

    assert seen == [("/graphql/", 0), ("/.well-known/jwks.json", 0)]
    assert len((await stored(empty))["installation"]) == 1


async def test_a_token_the_shop_does_not_know_is_refused_and_an_installation_stays(one_world: World) -> None:
    async with nothing_happens(one_world):
        assert _refused(await register(one_world, "x" * 30)) == "UNAUTHENTICATED"


async def test_a_token_of_another_app_of_the_same_shop_is_refused(one_world: World) -> None:
    """Any app of the shop has a token that the shop knows: it must not take our place."""
    other = one_world.saleor._installer._write(
        {"id": "other.app", "name": "Other"}, "", frozenset(), None, activate=True
    )

    async with nothing_happens(one_world):
        assert _refused(await register(one_world, other.token)) == "UNAUTHENTICATED"


async def test_a_token_of_one_shop_does_not_install_another(sqlite_url: str) -> None:
    other = "https://other.example/graphql/"
    world = make_world(sqlite_url, (SHOP, other))
    app = await world.install()
    async with nothing_happens(world):
        assert _refused(await register(world, app.token, other)) == "UNAUTHENTICATED"
    await world.context.close()


async def test_a_shop_that_does_not_answer_rightly_is_refused(one_world: World) -> None:
    [app] = one_world.saleor.apps

    def dead(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("down", request=request)

    for status in (302, 401, 403, 404, 500, None):
        answer = httpx.Response(status or 200, headers={"Location": "https://elsewhere.example/"})
        broken = httpx.MockTransport(dead if status is None else lambda _request, answer=answer: answer)
        saleor_hosts(one_world).apps["shop.example"] = broken
        async with nothing_happens(one_world):
            _refused(await register(one_world, app.token))


NONSENSE: dict[str, Any] = {
    "no JSON": b"<html>",
    "deep": b"[" * 100_000,
    "a list": [],
    "a text": "x",
    "null": None,
    "data is a list": {"data": []},
    "app is a text": {"data": {"app": "x"}},
    "the id is a number": {"data": {"app": {"id": 5, "identifier": "vipps-recurring"}}},
    "errors is a number": {"errors": 5, "data": None},
    "errors is a text": {"errors": "no", "data": None},
    "shop is a list": {"data": {"app": {"id": "QXBwOjE=", "identifier": "vipps-recurring"}, "shop": [1]}},
    "shop is a text": {"data": {"app": {"id": "QXBwOjE=", "identifier": "vipps-recurring"}, "shop": "x"}},
}


async def test_a_shop_that_answers_nonsense_is_refused(one_world: World) -> None:
    content: Any = None

    def babble(request: httpx.Request) -> httpx.Response:
        if request.url.path != "/graphql/":
            return httpx.Response(404)
        return httpx.Response(200, content=content if isinstance(content, bytes) else json.dumps(content))

    saleor_hosts(one_world).apps["shop.example"] = httpx.MockTransport(babble)
    crashed = []
    async with nothing_happens(one_world):
        for name, content in NONSENSE.items():  # noqa: B007  # `babble` reads it
            answer = await register(one_world, "x" * 30)
            if not answer.headers["Content-Type"].startswith("application/json"):
                crashed.append(name)
            else:
                _refused(answer)
    assert crashed == []


async def test_without_keys_to_check_webhooks_by_nothing_is_installed(one_world: World) -> None:
    [app] = one_world.saleor.apps
    shop = httpx.ASGITransport(app=_app_of(one_world))
    keys = httpx.Response(404)

    async def keyless(request: httpx.Request) -> httpx.Response:
        return keys if request.url.path == "/.well-known/jwks.json" else await shop.handle_async_request(request)

    saleor_hosts(one_world).apps["shop.example"] = _Through(keyless)
    bodies = (b"no json", b"[]", b"{}", b'{"keys": []}', b'{"keys": {}}', b'{"keys": null}', b"[" * 100_000)
    async with nothing_happens(one_world):
        for keys in (httpx.Response(404), httpx.Response(401), *(httpx.Response(200, content=it) for it in bodies)):  # noqa: B007  # `keyless` reads it
            _refused(await register(one_world, app.token))


async def test_redirects_of_a_shop_are_not_followed(one_world: World) -> None:
    hosts = saleor_hosts(one_world)
    reached: list[str] = []

    def elsewhere(request: httpx.Request) -> httpx.Response:
        reached.append(str(request.url))
        return httpx.Response(200, json={"data": {"app": {"id": "QXBwOjE=", "identifier": "vipps-recurring"}}})

    hosts.apps["shop.example"] = httpx.MockTransport(
        lambda _request: httpx.Response(307, headers={"Location": "https://inside.example/graphql/"})
    )
    hosts.apps["inside.example"] = httpx.MockTransport(elsewhere)
    async with nothing_happens(one_world):
        _refused(await register(one_world, "x" * 30))
    assert reached == []


async def test_a_body_without_a_token_is_refused(one_world: World) -> None:
    bodies = [b"", b"x", b"null", b"[]", b'"auth_token"', b"{}", b'{"auth_token": null}', b'{"auth_token": 5}']
    bodies += [b'{"auth_token": ""}', b'\xff{"auth_token": "x"}', b"[" * 100_000]
    async with nothing_happens(one_world):
        for body in bodies:
            answer = await one_world.http.post("/api/register", content=body, headers={"Saleor-Api-Url": SHOP})
            assert _refused(answer) == "INVALID", body
            assert answer.status_code == 400


async def test_a_handshake_that_names_no_shop_is_refused(one_world: World) -> None:
    async with nothing_happens(one_world):
        answer = await one_world.http.post("/api/register", json={"auth_token": "x" * 30})
        assert _refused(answer) == "INVALID"


async def test_a_token_that_is_no_header_value_is_refused(sqlite_url: str) -> None:
    """Over the transport that is used in earnest, which is stricter than the one of tests."""
    context = build(settings_for(sqlite_url), clock=Time())
    transport = httpx.ASGITransport(app=create_app(context), raise_app_exceptions=False)
    statuses = {}
    async with httpx.AsyncClient(transport=transport, base_url=APP_URL) as http:
        for token in ("å" * 30, "a\nX-Evil: 1", "a\r\n\r\n", "a\x00b", "\ud800"):
            body = json.dumps({"auth_token": token})
            headers = {"Saleor-Api-Url": "https://nowhere.invalid/graphql/"}
            statuses[token] = (await http.post("/api/register", content=body, headers=headers)).status_code
    await context.close()
    assert {token: status for token, status in statuses.items() if not 400 <= status < 500} == {}


async def test_after_a_reinstall_the_new_app_works_and_the_old_token_does_not(one_world: World) -> None:
    [old] = one_world.saleor.apps
    one_world.saleor.delete_app(old)
    await one_world.drain()
    new = await one_world.install()
    await one_world.set_account()

    assert new.id != old.id
    [row] = (await stored(one_world))["installation"]
    assert (row["app_id"], bool(row["active"])) == (new.id, True)
    async with nothing_happens(one_world):
        assert _refused(await register(one_world, old.token)) == "UNAUTHENTICATED"
    assert await one_world.agreement(await one_world.client())


async def test_an_app_that_is_deleted_without_notice_can_be_installed_again(sqlite_url: str) -> None:
    """Before 3.23 a shop does not tell the app that it was removed."""
    world = make_world(sqlite_url, version="3.21")
    old = await world.install()
    world.saleor.delete_app(old)
    await world.drain()
    new = await world.install()

    [row] = (await stored(world))["installation"]
    assert row["app_id"] == new.id != old.id
    await world.context.close()


# Which shops may install


@pytest.mark.parametrize(
    ("entry", "url", "listed"),
    [
        (SHOP, SHOP, True),
        (SHOP, "https://shop.example.evil.example/graphql/", False),
        (SHOP, "https://shopXexample/graphql/", False),
        (SHOP, "https://evil.example/https://shop.example/graphql/", False),
        (CLOUD, "https://store.saleor.cloud/graphql/", True),
        (CLOUD, "https://store-2.saleor.cloud/graphql/", True),
        (CLOUD, "https://a.b.saleor.cloud/graphql/", False),
        (CLOUD, "https://.saleor.cloud/graphql/", False),
        (CLOUD, "https://saleor.cloud/graphql/", False),
        (CLOUD, "https://evil.example/x.saleor.cloud/graphql/", False),
        (CLOUD, "https://evil.example?.saleor.cloud/graphql/", False),
        (CLOUD, "https://evil.example#.saleor.cloud/graphql/", False),
        (CLOUD, "https://evil.example\\.saleor.cloud/graphql/", False),
        (CLOUD, "https://user:pass@store.saleor.cloud/graphql/", False),
        (CLOUD, "https://store@evil.saleor.cloud/graphql/", False),
        (CLOUD, "https://store.saleor.cloud.evil.example/graphql/", False),
        (CLOUD, "https://storeXsaleor.cloud/graphql/", False),
        (CLOUD, "https://store.saleor.cloud/graphql/x", False),
        (CLOUD, "https://store.saleor.cloud/graphql/\n", False),
        (CLOUD, "http://store.saleor.cloud/graphql/", False),
        ("https://(a|evil).example/graphql/", "https://evil.example/graphql/", False),
        ("https://.*/graphql/", "https://evil.example/graphql/", False),
    ],
)
def test_an_entry_of_the_allow_list_matches_the_whole_url(entry: str, url: str, *, listed: bool) -> None:
    rules = ShopRules((entry,))
    if listed:
        assert rules.check(url) == url
    else:
        with pytest.raises((Forbidden, InvalidInput)):
            rules.check(url)


async def test_an_empty_allow_list_refuses_every_shop_and_calls_none(sqlite_url: str) -> None:
    world = await _restricted(sqlite_url, ())
    async with nothing_happens(world):
        answer = await register(world, "x" * 30)
    assert _refused(answer) == "PERMISSION_DENIED"
    assert answer.status_code == 403
    assert saleor_hosts(world).calls == []
    await world.context.close()


async def test_a_listed_shop_is_installed_and_an_unlisted_one_is_not_called(sqlite_url: str) -> None:
    world = await _restricted(sqlite_url, ("https://x.example/graphql/", SHOP))
    await world.install()
    before = len(saleor_hosts(world).calls)
    async with nothing_happens(world):
        _refused(await register(world, "x" * 30, "https://other.example/graphql/"))
    assert len(saleor_hosts(world).calls) == before
    await world.context.close()


# Which addresses may be called

PRIVATE = [
    "127.0.0.1", "127.8.8.8", "10.0.0.1", "172.16.0.1", "172.31.255.254", "192.168.1.1", "169.254.169.254",
    "0.0.0.0", "0.1.2.3", "100.64.0.1", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255",
    "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:10.0.0.1]", "[::ffff:a9fe:a9fe]", "[fd00::1]", "[fc00::1]",
    "[fe80::1]", "[ff02::1]", "[fec0::1]", "[::127.0.0.1]", "[64:ff9b::127.0.0.1]", "[64:ff9b::a9fe:a9fe]",
    "[2002:7f00:1::]", "[2002:a00:1::]",
    "2130706433", "0x7f000001", "0X7F000001", "017700000001", "0x7f.1", "0177.0.0.1", "127.1", "127.0.1", "0", "10.1",
    "1.1", "127.0.0.1.", "127.1.", "2130706433.",
    "localhost", "LOCALHOST", "localhost.", "LocalHost.", "api.localhost", "api.localhost.", "db.local", "db.local.",
    "metadata.google.internal", "metadata.google.internal.",
]  # fmt: skip


@pytest.mark.parametrize("host", PRIVATE)
def test_a_host_that_names_this_machine_or_a_private_network_is_refused(host: str) -> None:
    with pytest.raises((Forbidden, InvalidInput)):
        ShopRules(allow_any=True).check(f"https://{host}/graphql/")


@pytest.mark.parametrize(
    "host", ["shop.example", "shop.example:443", "1.1.1.1", "[2606:4700::1111]", "xn--blbr-roah.no"]
)
def test_a_public_host_is_taken(host: str) -> None:
    url = f"https://{host}/graphql/"
    assert ShopRules(allow_any=True).check(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "", "x", "/graphql/", "//shop.example/graphql/", "https:///graphql/", "https://:443/graphql/",
        "http://shop.example/graphql/", "ftp://shop.example/graphql/", "file:///graphql/", "gopher://shop.example/graphql/",
        "javascript://shop.example/graphql/", "https://shop.example", "https://shop.example/", "https://shop.example/graphql",
        "https://shop.example/graphql//", "https://shop.example//graphql/", "https://shop.example/x/../graphql/",
        "https://shop.example/graphql/?x=1", "https://shop.example/graphql/#x", "https://shop.example/graphql/;x",
        "https://user@shop.example/graphql/", "https://user:pass@shop.example/graphql/", "https://@shop.example/graphql/",
        "https://shop.example:80/graphql/", "https://shop.example:22/graphql/", "https://shop.example:8443/graphql/",
        "https://shop.example:0/graphql/", "https://shop.example:99999/graphql/", "https://shop.example:x/graphql/",
        "https://shop.example:-1/graphql/",
        "https://blåbær.example/graphql/", "https://ⓛocalhost/graphql/", "https://127。0。0。1/graphql/",
        "https://shop.example%00/graphql/", "https://shop.example\\@evil.example/graphql/",
        " https://shop.example/graphql/", "https://shop.example/graphql/ ", "https://shop.example/graphql/\n",
        "https://sh\top.example/graphql/", "https://sh\nop.example/graphql/", "https://sh\rop.example/graphql/",
        "https://sh op.example/graphql/", "https://sh\x00op.example/graphql/", "https://sh<>op.example/graphql/",
        "https://[::1/graphql/", "https://::1/graphql/", "https://[fe80::1%25eth0]/graphql/", "https://[v1.x]/graphql/",
        "https://" + "a" * 64 + ".example/graphql/", "https://a..example/graphql/", "https://./graphql/",
        "https://" + "a." * 200 + "example/graphql/", "https://shop.example/graphql/" + "x" * 5000,
    ],
)  # fmt: skip
def test_what_is_not_the_plain_url_of_a_shop_is_refused(url: str) -> None:
    with pytest.raises((Forbidden, InvalidInput)):
        ShopRules(allow_any=True).check(url)


def test_development_allows_this_machine_by_plain_http() -> None:
    url = "http://localhost:8000/graphql/"
    assert ShopRules(allow_any=True, allow_private=True).check(url) == url


@pytest.mark.parametrize("host", ["169.254.169.254", "localhost", "127.0.0.1:8000", "[::1]"])
async def test_a_private_address_is_never_called(empty: World, host: str) -> None:
    async with nothing_happens(empty):
        _refused(await register(empty, "x" * 30, f"https://{host}/graphql/"))
    assert saleor_hosts(empty).calls == []


@pytest.mark.parametrize(
    "host", ["localhost", "127.0.0.1", "127.1", "2130706433", "10.1.2.3", "169.254.169.254", "0.0.0.0"]
)
async def test_the_resolver_refuses_a_name_that_leads_to_a_private_address(host: str) -> None:
    with pytest.raises(OSError, match="private"):
        await GuardedResolver().resolve(host, 443)


async def test_the_resolver_lets_public_addresses_through() -> None:
    [found] = await GuardedResolver().resolve("1.1.1.1", 443)
    assert found["host"] == "1.1.1.1"


@pytest.mark.parametrize(("guard", "reached"), [("deny", 0), ("allow", 1)])
async def test_a_name_that_resolves_to_this_machine_is_not_connected_to(
    sqlite_url: str, guard: str, reached: int
) -> None:
    """The text of the URL may look harmless: the connection itself is refused."""
    connections = 0

    async def count(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(count, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    clients = http_clients(settings_for(sqlite_url, private_networks=guard))
    try:
        await clients.saleor.get(f"http://localhost:{port}/graphql/")
    except httpx.TransportError:
        assert guard == "deny"
    finally:
        await clients.close()
        server.close()
        await server.wait_closed()
    assert connections == reached


async def test_the_recorded_handshake_of_a_real_saleor_is_read(
    sqlite_url: str, shared_data: Callable[[str], Any]
) -> None:
    """It carries a token that no simulator knows: the refusal is the shop's, not the reader's."""
    recorded = json.loads(shared_data("saleor/recorded/webhooks/_token_handshake.json").read_text())
    api_url = "http://localhost:8000/graphql/"
    world = make_world(sqlite_url, (api_url,), private_networks="allow")
    answer = await world.http.post(
        "/api/register",
        content=recorded["body"],
        headers={name: value for name, value in recorded["headers"] if name not in {"Host", "Content-Length"}},
    )
    assert _refused(answer) == "UNAUTHENTICATED"
    assert [str(call.url) for call in saleor_hosts(world).calls] == [api_url]
    assert (
        saleor_hosts(world).calls[0].headers["Authorization"] == f"Bearer {json.loads(recorded['body'])['auth_token']}"
    )
    await world.context.close()


class _Through(httpx.AsyncBaseTransport):
    """An ASGI app behind a function that may look at, or answer, its requests."""

    def __init__(self, handle: Callable[[httpx.Request], Any]) -> None:
        self._handle = handle

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        answer: httpx.Response = await self._handle(request)
        return answer


def _app_of(world: World) -> Any:

    return saleor_app(world.saleor)
