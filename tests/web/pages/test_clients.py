"""API clients as staff make and revoke them: a secret that is shown once, one client for one form, and a clear end."""

import asyncio
import re
from datetime import timedelta
from html import unescape

import httpx
import pytest

from app.domain.account import ApiClient, Scope
from app.domain.records import AuditEntry
from app.usecases.clients import create_client
from tests.web.helpers import nothing_happens
from tests.web.pages.test_lists import OTHER, VIEWER
from tests.web.pages.visiting import Staff, fields, words, wrong
from tests.world import SHOP, START, World, basic, make_world

READ = ["agreements:read", "charges:read"]


async def clients_of(world: World) -> list[ApiClient]:
    async with world.context.store.begin() as unit:
        return list(await unit.clients.of_shop(SHOP))


async def a_key(staff: Staff) -> str:
    answer = await staff.get("/clients/new")
    return fields(answer)["key"]


async def make(staff: Staff, key: str, name: str = "Webshop", scopes: list[str] | None = None) -> httpx.Response:
    form = {"key": key, "name": name, "scope": READ if scopes is None else scopes}
    return await staff.post("/clients/new", form)  # type: ignore[arg-type]


def credentials(answer: httpx.Response) -> dict[str, str]:
    """As an API client would send them."""
    found = dict(re.findall(r'<input id="(id|secret)" value="([^"]+)"', answer.text))
    return basic(found["id"], unescape(found["secret"]))


async def audited(world: World, name: str) -> list[AuditEntry]:
    async with world.context.store.begin() as unit:
        return list(await unit.audit.of_object(SHOP, name))


async def test_a_client_is_made_used_and_revoked(world: World) -> None:
    staff = Staff(world)
    assert "There is no API client yet." in words(await staff.get("/clients"))
    made = await make(staff, await a_key(staff), "Webshop & co")
    assert "Copy the secret now" in words(made)
    headers, [client] = credentials(made), await clients_of(world)
    assert (client.name, sorted(client.scopes)) == ("Webshop & co", READ)
    assert "Never" in words(await staff.get("/clients"))
    assert "It was never used." in words(await staff.get(f"/clients/{client.id}/revoke"))
    query = "{ agreements(first: 1) { totalCount } }"
    assert "errors" not in await world.graphql(query, headers=headers)
    said = words(await staff.get("/clients"))
    assert f"Webshop & co {client.id} See agreements See charges" in said
    asked = words(await staff.get(f"/clients/{client.id}/revoke"))
    assert "refused at once" in asked
    revoked = await staff.post(f"/clients/{client.id}/revoke")
    assert f"{client.id} is refused from now on" in words(revoked)
    assert "errors" in await world.graphql(query, headers=headers)
    entries = [(it.action, it.actor) for it in await audited(world, client.id)]
    assert entries == [
        ("client.created", f"staff:{staff.user.id}"),
        ("client.revoked", f"staff:{staff.user.id}"),
    ]


async def test_when_a_client_was_last_used_is_known_to_the_hour(world: World) -> None:
    staff = Staff(world)
    headers = credentials(await make(staff, await a_key(staff)))
    [client] = await clients_of(world)
    seen = []
    for minutes in (0, 50, 20):
        world.advance(timedelta(minutes=minutes))
        await world.graphql("{ agreements(first: 1) { totalCount } }", headers=headers)
        await world.graphql("{ agreements(first: 1) { totalCount } }", headers=basic(client.id, "wrong"))
        seen.append((await clients_of(world))[0].used_at)
    assert seen == [START, START, START + timedelta(minutes=70)]
    assert "It was last used on 2 March 2026" in words(await staff.get(f"/clients/{client.id}/revoke"))
    await staff.post(f"/clients/{client.id}/revoke")
    world.advance(timedelta(days=1))
    await world.graphql("{ agreements(first: 1) { totalCount } }", headers=headers)
    assert (await clients_of(world))[0].used_at == seen[-1]


async def test_the_secret_is_shown_once_and_never_stored(world: World) -> None:
    staff = Staff(world)
    made = await make(staff, await a_key(staff))
    [secret] = re.findall(r'<input id="secret" value="([^"]+)"', made.text)
    assert made.text.count(secret) == 1
    assert secret not in re.sub(r"<input[^>]*>", "", made.text)  # nor in what the Dashboard is told
    [client] = await clients_of(world)
    assert secret not in repr(client) + client.secret_hash
    for path in ("/clients", f"/clients/{client.id}/revoke", f"/audit?object={client.id}"):
        text = (await staff.get(path)).text
        assert secret not in text
        assert client.secret_hash not in text


async def test_a_double_click_makes_one_client_and_says_so(world: World) -> None:
    staff = Staff(world)
    key = await a_key(staff)
    answers = await asyncio.gather(*(make(staff, key) for _ in range(4)))
    assert sorted(it.status_code for it in answers) == [200, 409, 409, 409]
    [client] = await clients_of(world)
    async with nothing_happens(world):
        late = await make(staff, key, "Another name")
    assert late.status_code == 409
    assert f"{client.id} was made already" in words(late)
    assert "<input" not in late.text
    await make(staff, await a_key(staff))
    assert len(await clients_of(world)) == 2


async def test_a_client_is_revoked_once(world: World) -> None:
    staff = Staff(world)
    await make(staff, await a_key(staff))
    [client] = await clients_of(world)
    await asyncio.gather(*(staff.post(f"/clients/{client.id}/revoke") for _ in range(3)))
    assert [it.action for it in await audited(world, client.id)] == ["client.created", "client.revoked"]
    async with nothing_happens(world):
        late = [await staff.get(f"/clients/{client.id}/revoke"), await staff.post(f"/clients/{client.id}/revoke")]
    for answer in late:
        assert answer.status_code == 409
        assert "was revoked already" in words(answer)


@pytest.mark.parametrize(
    ("name", "scopes", "field"),
    [
        ("", READ, "name"),
        ("x" * 121, READ, "name"),
        ("two\nlines", READ, "name"),
        ("Webshop", [], "scope"),
        ("Webshop", ["everything"], "scope"),
        ("Webshop", ["token:read"], "scope"),
    ],
)
async def test_what_is_wrong_stands_beside_its_field(
    one_world: World, name: str, scopes: list[str], field: str
) -> None:
    staff = Staff(one_world)
    key = await a_key(staff)
    async with nothing_happens(one_world):
        answer = await make(staff, key, name, scopes)
    assert (answer.status_code, wrong(answer)) == (422, {field})
    assert f'id="{field}-wrong"' in answer.text
    assert fields(answer)["key"] == key
    assert re.findall(r'value="([\w:]+)" [^>]*checked', answer.text) == [it for it in scopes if it in READ]


async def test_a_form_without_its_key_is_none_of_ours(one_world: World) -> None:
    async with nothing_happens(one_world):
        assert (await make(Staff(one_world), "")).status_code == 400


async def test_a_client_of_the_operator_is_shown_with_what_staff_cannot_hand_on(one_world: World) -> None:
    await create_client(one_world.context.deps, SHOP, "Drupal", [Scope.TOKEN_READ])
    assert "Read the access token of Vipps" in words(await Staff(one_world, VIEWER).get("/clients"))


async def test_another_shops_client_is_not_here_and_a_viewer_changes_nothing(sqlite_url: str) -> None:
    world = make_world(sqlite_url, [SHOP, OTHER])
    await world.install()
    await world.install(world.shops[OTHER])
    await make(Staff(world), await a_key(Staff(world)))
    [client] = await clients_of(world)
    stranger, viewer = Staff(world), Staff(world, VIEWER)
    stranger.shop = world.shops[OTHER]
    stranger.user = stranger.shop.create_staff("s@other.example", frozenset({"HANDLE_PAYMENTS"}))
    async with nothing_happens(world):
        assert client.id not in (await stranger.get("/clients")).text
        for answer in (
            await stranger.get(f"/clients/{client.id}/revoke"),
            await stranger.post(f"/clients/{client.id}/revoke"),
        ):
            assert answer.status_code == 404
        listed = await viewer.get("/clients")
        assert client.id in listed.text
        assert "/revoke" not in listed.text
        assert "/clients/new" not in listed.text
        assert (await viewer.get("/clients/new")).status_code == 403
        assert (await viewer.post(f"/clients/{client.id}/revoke")).status_code == 403
    await world.context.close()


async def test_norwegian_staff_read_norwegian(one_world: World) -> None:
    staff = Staff(one_world, locale="nb")
    assert "Kopier hemmeligheten nå" in words(await make(staff, await a_key(staff)))
    assert "API-klienter" in words(await staff.get("/clients"))
