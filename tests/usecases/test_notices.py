"""Notices: stored with their news, sent signed to the shop's endpoint until it takes them, each once."""

import hashlib
import hmac
import json
from datetime import timedelta
from typing import Any

import pytest

from app.domain.account import system
from app.domain.dunning import DunningPolicy
from app.usecases.ending import end
from tests.usecases.renewing import account_is, days_pass, settle, subscribe
from tests.usecases.steps import raw
from tests.world import SHOP, World

URL, SECRET = "https://mail.example/notices", "a-secret-for-notices-0123456789"


class Endpoint:
    """The shop's e-mail app as an ASGI app: keeps what it was sent, and answers as it is told."""

    def __init__(self) -> None:
        self.status = 204
        self.got: list[tuple[dict[str, str], bytes]] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body = (await receive())["body"]
        headers = {name.decode().lower(): value.decode() for name, value in scope["headers"]}
        self.got.append((headers, body))
        await send({"type": "http.response.start", "status": self.status, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    @property
    def news(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.got]

    @property
    def kinds(self) -> list[str]:
        return [it["kind"] for it in self.news]


@pytest.fixture
async def endpoint(one_world: World) -> Endpoint:
    import httpx

    endpoint = Endpoint()
    transport = one_world.context.http.saleor._transport
    transport.apps["mail.example"] = httpx.ASGITransport(app=endpoint)  # type: ignore[attr-defined]
    await account_is(one_world, notify_url=URL, notify_secret=SECRET)
    return endpoint


async def test_a_paid_renewal_is_told_signed_and_without_a_persons_data(one_world: World, endpoint: Endpoint) -> None:
    who = await subscribe(one_world, 199)
    await days_pass(one_world, 5)
    [(headers, body)] = endpoint.got
    stamp, _, signed = headers["vipps-recurring-signature"].partition(",v1=")
    at = stamp.removeprefix("t=")
    assert hmac.compare_digest(signed, hmac.new(SECRET.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest())
    [news] = endpoint.news
    assert (news["kind"], news["agreement"]) == ("renewal.paid", who.agreement)
    assert (news["data"]["amount"], news["data"]["currency"], news["data"]["period"]) == (19_900, "NOK", 1)
    assert b"Nordmann" not in body
    assert b"Karl" not in body


async def test_what_fails_and_what_waits_is_told_once_each(one_world: World, endpoint: Endpoint) -> None:
    await account_is(one_world, retry_days=0, dunning=DunningPolicy(retry_after=(3,)))
    who = await subscribe(one_world, 199)
    one_world.saleor.set_stock(who.product.variants[0], 0)
    await days_pass(one_world, 4)
    assert endpoint.kinds == ["renewal.waiting"]
    one_world.saleor.set_stock(who.product.variants[0], 5)
    one_world.vipps.set_failure(who.agreement, "user_action_required")
    await days_pass(one_world, 15)
    assert endpoint.kinds == ["renewal.waiting", "renewal.failed", "renewal.failed", "subscription.held"]
    first, last = endpoint.news[1], endpoint.news[2]
    assert first["data"]["next_attempt"] is not None
    assert (last["data"]["next_attempt"], last["data"]["then"]) == (None, "HOLD")


async def test_an_end_is_told(one_world: World, endpoint: Endpoint) -> None:
    who = await subscribe(one_world)
    await end(one_world.context.deps, system(SHOP), await who.row(), "enough")
    await one_world.run_jobs()
    assert endpoint.kinds == ["subscription.ended"]


async def test_an_endpoint_that_is_away_gets_it_later_under_the_same_id(one_world: World, endpoint: Endpoint) -> None:
    endpoint.status = 503
    who = await subscribe(one_world)
    await end(one_world.context.deps, system(SHOP), await who.row(), "enough")
    await one_world.run_jobs()
    endpoint.status = 204
    await settle(one_world)
    assert len(endpoint.got) == 2
    assert len({it["id"] for it in endpoint.news}) == 1
    await settle(one_world)
    assert len(endpoint.got) == 2


async def test_an_endpoint_that_refuses_makes_a_dead_letter(one_world: World, endpoint: Endpoint) -> None:
    endpoint.status = 410
    who = await subscribe(one_world)
    await end(one_world.context.deps, system(SHOP), await who.row(), "enough")
    await settle(one_world)
    one_world.advance(timedelta(days=1))
    await settle(one_world)
    assert len(endpoint.got) == 1
    [row] = await raw(one_world, "notice")
    assert "410" in row["dead"]


async def test_nobody_listening_means_no_notice(one_world: World) -> None:
    who = await subscribe(one_world)
    await end(one_world.context.deps, system(SHOP), await who.row(), "enough")
    await settle(one_world)
    assert await raw(one_world, "notice") == []
