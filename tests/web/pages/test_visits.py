"""Every fragment and every form, for every caller who must not have it: refused in words, and nothing happens."""

import re
from dataclasses import replace
from datetime import timedelta

import httpx
import pytest
from fastapi.routing import APIRoute

from app.web.pages.routes import fragments
from tests.web.helpers import nothing_happens
from tests.web.pages.visiting import Staff, words
from tests.world import SHOP, World, make_world

OTHER = "https://other.example/graphql/"


def addresses(world: World) -> list[tuple[str, str]]:
    """(method, path) of all that needs a token."""
    routes = [it for it in fragments(world.context.web).routes if isinstance(it, APIRoute)]
    found = [(method, it.path) for it in routes for method in it.methods or ()]
    assert len(found) > 5
    return [(method, re.sub(r"{\w+}", "0" * 8, path)) for method, path in found]


async def ask(world: World, method: str, path: str, headers: dict[str, str]) -> httpx.Response:
    return await world.http.request(method, path, headers=headers, data={"msn": "1"} if method == "POST" else None)


async def refused_everywhere(world: World, headers: dict[str, str], status: int, said: str, method: str = "") -> None:
    async with nothing_happens(world):
        for verb, path in addresses(world):
            if method in ("", verb):
                answer = await ask(world, verb, path, headers)
                assert (answer.status_code, answer.headers["Cache-Control"]) == (status, "no-store"), path
                assert said in words(answer), path
                assert answer.headers["Content-Type"] == "text/html; charset=utf-8"


async def test_without_a_token(one_world: World) -> None:
    await refused_everywhere(one_world, {}, 401, "Your session has ended")


async def test_with_a_token_that_has_expired(one_world: World) -> None:
    headers = Staff(one_world).headers()
    one_world.time.now += timedelta(minutes=6)
    await refused_everywhere(one_world, headers, 401, "Nothing was changed")


async def test_with_a_customers_token(one_world: World) -> None:
    customer = one_world.saleor.create_customer("kari@example.com")
    token = one_world.saleor.tokens.access(customer)
    await refused_everywhere(one_world, {"Authorization": f"Bearer {token}"}, 401, "Your session has ended")


async def test_with_an_api_clients_secret(one_world: World) -> None:
    await refused_everywhere(one_world, await one_world.client(), 401, "Your session has ended")


async def test_with_a_token_for_another_app(one_world: World) -> None:
    staff = Staff(one_world)
    token = one_world.saleor.tokens.dashboard(staff.user, replace(staff.app, number=99))
    await refused_everywhere(one_world, {"Authorization": f"Bearer {token}"}, 401, "Your session has ended")


async def test_without_a_permission_that_counts(one_world: World) -> None:
    headers = Staff(one_world, frozenset({"MANAGE_PRODUCTS"})).headers()
    await refused_everywhere(one_world, headers, 403, "You may not do this")


async def test_whoever_may_only_look_changes_nothing(one_world: World) -> None:
    headers = Staff(one_world, frozenset({"MANAGE_ORDERS"})).headers()
    await refused_everywhere(one_world, headers, 403, "Nothing was changed", method="POST")


async def test_from_a_shop_that_has_not_installed_the_app(sqlite_url: str) -> None:
    world = make_world(sqlite_url, [SHOP, OTHER])
    await world.install()
    stranger = world.shops[OTHER]
    await stranger.install("https://app.example/api/manifest")
    stranger.delete_app(stranger.apps[-1])
    await world.drain()
    token = stranger.tokens.dashboard(stranger.create_staff("s@other.example"), stranger.apps[-1])
    await refused_everywhere(world, {"Authorization": f"Bearer {token}"}, 401, "Your session has ended")
    await world.context.close()


async def test_an_address_without_a_page_says_so(one_world: World) -> None:
    answer = await Staff(one_world).get("/nowhere/at/all")
    assert answer.status_code == 404
    assert "This is not here" in words(answer)
    assert "<html" not in answer.text


async def test_a_form_that_cannot_be_read_changes_nothing(one_world: World) -> None:
    headers = Staff(one_world).headers() | {"Content-Type": "application/x-www-form-urlencoded"}
    async with nothing_happens(one_world):
        for body in (b"\xff\xfe=1", b"&".join(b"a=1" for _ in range(300))):
            answer = await one_world.http.post("/app/content/accounts/new", content=body, headers=headers)
            assert answer.status_code == 400


@pytest.mark.parametrize(("locale", "said"), [("nb", "Økten din er over"), ("en", "Your session has ended")])
async def test_a_refusal_speaks_the_dashboards_language(one_world: World, locale: str, said: str) -> None:
    answer = await one_world.http.get("/app/content/start", headers={"Accept-Language": locale})
    assert said in words(answer)


async def test_an_address_that_no_database_takes_is_no_accident(world: World) -> None:
    staff = Staff(world)
    for path in ("/charges/%00", "/agreements/%00", "/accounts/%00", "/agreements/agr%00/stop", "/clients/%00/revoke"):
        assert (await staff.get(path)).status_code == 404, path
    for moment in ("0001-01-01T00:00:00%2B14:00", "9999-12-31T23:59:59-14:00", "2026-01-01T00:00:00%00"):
        assert (await staff.get(f"/agreements?after={moment}~a")).status_code == 200, moment
