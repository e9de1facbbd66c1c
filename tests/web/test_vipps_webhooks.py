"""Vipps' webhooks at the door: believed only when signed for this account and this address, answered when stored."""

import asyncio
import base64
import hashlib
import hmac
import json
import uuid
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import httpx

from app.domain.records import Webhook
from app.usecases.nightly import webhook_url
from app.usecases.ports import Job
from app.vipps.simulator import Mischief
from app.vipps.simulator.webhooks.deliveries import Status, Tampering
from tests.usecases.steps import hears_vipps, the_account
from tests.web.helpers import nothing_happens, outside, stored
from tests.world import APP_URL, World

BODY = {
    "agreementId": "agr_unknown",
    "eventType": "recurring.agreement-activated.v1",
    "occurred": "2026-03-02T09:00:00.123456789Z",
    "msn": "123456",
}
DATE = "Mon, 02 Mar 2026 09:00:00 GMT"


def signed(secret: str, url: str, body: bytes) -> dict[str, str]:
    """By the steps of Vipps' documentation (facts: VIPPS 12.5), sharing no code with the app."""
    parts = urlsplit(url)
    digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
    text = f"POST\n{parts.path}\n{DATE};{parts.netloc};{digest}"
    signature = base64.b64encode(hmac.new(secret.encode(), text.encode(), hashlib.sha256).digest()).decode()
    return {
        "x-ms-date": DATE,
        "x-ms-content-sha256": digest,
        "Authorization": f"HMAC-SHA256 SignedHeaders=x-ms-date;host;x-ms-content-sha256&Signature={signature}",
    }


async def registered(world: World) -> Webhook:
    """The account's registration, secret included."""
    await hears_vipps(world)
    account = await the_account(world)
    async with world.context.store.begin() as unit:
        [webhook] = await unit.webhooks.of_account(account.shop, account.id)
    return webhook


async def post(
    world: World, body: Any, secret: str, *, url: str = "", to: str = "", without: Sequence[str] = (), **headers: str
) -> httpx.Response:
    """An event to the account's address, or another one, signed for it; some headers left out or changed."""
    url = url or webhook_url(APP_URL, await the_account(world))
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    sent = signed(secret, url, content) | {name.replace("_", "-"): value for name, value in headers.items()}
    kept = {name: value for name, value in sent.items() if name not in without}
    async with outside(world) as http:
        return await http.post(to or url, content=content, headers=kept)


async def test_a_signed_event_is_stored_once_and_answered(world: World) -> None:
    webhook = await registered(world)

    answers = [await post(world, BODY, webhook.secret) for _ in range(3)]

    assert [it.status_code for it in answers] == [202] * 3
    assert answers[0].json() == {"success": True}
    [row] = (await stored(world))["inbox"]
    assert (row["source"], row["event"], row["status"]) == ("vipps", BODY["eventType"], "WAITING")
    assert [(kind, ids) for kind, _, ids in world.jobs.waiting] == [(Job.APPLY_INBOX, [row["id"]])]


async def test_the_same_event_from_many_sides_at_once_is_stored_once(world: World) -> None:
    webhook = await registered(world)
    answers = await asyncio.gather(*(post(world, BODY, webhook.secret) for _ in range(8)))

    assert {it.status_code for it in answers} == {202}
    assert len((await stored(world))["inbox"]) == 1


OTHERS: tuple[dict[str, str], ...] = (
    {"occurred": "2026-03-02T09:00:00.123456788Z"},
    {"agreementId": "agr_other"},
    {"eventType": "recurring.agreement-stopped.v1"},
    {"chargeId": "chr-1"},
)


async def test_another_event_is_not_taken_for_a_repeat(one_world: World) -> None:
    webhook = await registered(one_world)
    await post(one_world, BODY, webhook.secret)
    for number, other in enumerate(OTHERS):
        await post(one_world, BODY | other, webhook.secret)
        assert len((await stored(one_world))["inbox"]) == number + 2, other


async def test_only_ids_and_times_of_an_event_are_kept(one_world: World) -> None:
    webhook = await registered(one_world)
    more = {"sub": "c06c4afe-d9e1-4c5d-939a-177d752a0944", "phoneNumber": "4791234567", "name": "Kari Normann"}
    await post(one_world, BODY | more, webhook.secret)

    [row] = (await stored(one_world))["inbox"]
    assert not [value for value in more.values() if value in json.dumps(row, default=str)]


async def test_an_event_without_a_signature_is_refused(one_world: World) -> None:
    webhook = await registered(one_world)
    for without in (["Authorization"], ["x-ms-date"], ["x-ms-content-sha256"], ["Authorization", "x-ms-date"]):
        async with nothing_happens(one_world):
            answer = await post(one_world, BODY, webhook.secret, without=without)
        assert answer.status_code == 401, without
        assert answer.json()["success"] is False
    async with nothing_happens(one_world), outside(one_world) as http:
        assert (await http.post(webhook.url, json=BODY)).status_code == 401
        assert (await http.post(webhook.url)).status_code == 401


async def test_whatever_was_tampered_with_is_refused_and_the_event_comes_again(one_world: World) -> None:
    await registered(one_world)
    ways: tuple[Tampering, ...] = ("body", "body-and-hash", "signature", "secret")
    for number, how in enumerate(ways):
        one_world.vipps.mischief = Mischief(tamper=how)
        one_world.vipps.invent_event("recurring.agreement-activated.v1", {"agreementId": "agr_unknown"})
        async with nothing_happens(one_world):
            await one_world.vipps.deliver()
        delivery = one_world.vipps.deliveries[-1]
        assert [it.status_code for it in delivery.attempts] == [401], how

        one_world.vipps.mischief = Mischief()
        one_world.advance(timedelta(seconds=2))
        await one_world.vipps.deliver()

        assert delivery.status is Status.DELIVERED, how
        assert len((await stored(one_world))["inbox"]) == number + 1, how


async def test_a_signature_of_something_else_is_refused(one_world: World) -> None:
    webhook = await registered(one_world)
    elsewhere = "https://evil.example" + urlsplit(webhook.url).path
    another_path = webhook.url + "/more"
    for url in (elsewhere, another_path, webhook.url.replace("https://app.example", "https://app.example:8443")):
        async with nothing_happens(one_world):
            assert (await post(one_world, BODY, webhook.secret, url=url, to=webhook.url)).status_code == 401, url
    async with nothing_happens(one_world):
        answer = await post(one_world, BODY, webhook.secret, x_ms_date="Mon, 02 Mar 2026 10:00:00 GMT")
        assert answer.status_code == 401
        # What was signed stands in Authorization and nowhere else.
        wrong = await post(one_world, BODY, "wrong", X_Vipps_Secret=webhook.secret)
        assert wrong.status_code == 401


async def test_another_accounts_secret_opens_nothing(one_world: World) -> None:
    world = one_world
    mine = await registered(world)
    other = await world.set_account(channel="channel-b")
    await hears_vipps(world, other)
    async with world.context.store.begin() as unit:
        [theirs] = await unit.webhooks.of_account(other.shop, other.id)
    assert theirs.secret != mine.secret

    async with nothing_happens(world):
        assert (await post(world, BODY, theirs.secret, url=mine.url)).status_code == 401
        assert (await post(world, BODY, mine.secret, url=theirs.url)).status_code == 401
        # Rightly signed, and then carried to the other's address.
        assert (await post(world, BODY, theirs.secret, url=theirs.url, to=mine.url)).status_code == 401
    assert (await post(world, BODY, theirs.secret, url=theirs.url)).status_code == 202


async def test_without_a_registration_nothing_is_believed(one_world: World) -> None:
    """Neither an empty key nor a made-up one: an HMAC can be made with any of them."""
    account = await the_account(one_world)
    unknown = f"{APP_URL}/api/webhooks/vipps/{uuid.uuid4()}"
    long = f"{APP_URL}/api/webhooks/vipps/{'a' * 3000}"
    async with nothing_happens(one_world):
        for url in (webhook_url(APP_URL, account), unknown, long, f"{APP_URL}/api/webhooks/vipps/%00"):
            for secret in ("", "None", "null", account.client_secret or "", account.id):
                assert (await post(one_world, BODY, secret, url=url)).status_code == 401, url


async def test_an_empty_secret_opens_nothing_even_where_one_is_stored(one_world: World) -> None:
    webhook = await registered(one_world)
    async with one_world.context.store.begin() as unit:
        await unit.webhooks.put(replace(webhook, secret=""))

    async with nothing_happens(one_world):
        for secret in ("", webhook.secret):
            assert (await post(one_world, BODY, secret)).status_code == 401


async def test_a_proxy_may_carry_the_signature_under_its_other_name_and_change_the_host(one_world: World) -> None:
    webhook = await registered(one_world)
    content = json.dumps(BODY).encode()
    headers = signed(webhook.secret, webhook.url, content)
    headers["X-Vipps-Authorization"] = headers.pop("Authorization")
    async with outside(one_world) as http:
        answer = await http.post("http://127.0.0.1:8000" + urlsplit(webhook.url).path, content=content, headers=headers)

    assert answer.status_code == 202
    one_world.vipps.mischief = Mischief(x_authorization=True)
    one_world.vipps.invent_event("recurring.agreement-activated.v1", {"agreementId": "agr_unknown"})
    await one_world.vipps.deliver()
    assert one_world.vipps.deliveries[0].status is Status.DELIVERED


async def test_an_event_that_was_signed_days_ago_is_still_one(one_world: World) -> None:
    """Vipps repeats for a week, and nobody documents that a repeat carries a new date (facts: VIPPS 12.4, 12.5)."""
    await registered(one_world)
    one_world.vipps.mischief = Mischief(stale=timedelta(days=6))
    one_world.vipps.invent_event("recurring.agreement-activated.v1", {"agreementId": "agr_unknown"})
    await one_world.vipps.deliver()

    assert one_world.vipps.deliveries[0].status is Status.DELIVERED


GENUINE: tuple[tuple[str, dict[str, Any]], ...] = (
    ("recurring.agreement-activated.v1", {"agreementId": "agr_unknown"}),
    ("recurring.charge-captured.v1", {"agreementId": "agr_unknown", "chargeId": "chr-1"}),
    ("recurring.agreement-moved.v2", {"agreementId": "agr_unknown"}),
    ("recurring.charge-teleported.v1", {"agreementId": "agr_unknown", "chargeId": "chr-1"}),
    ("recurring.something-about-nobody.v1", {}),
    ("recurring.something-about-nobody.v1", {"agreementId": None, "chargeId": 7}),
    ("epayments.payment.created.v1", {"reference": "order-1"}),
    ("x" * 300, {"agreementId": "y" * 300}),
)


async def test_what_is_genuine_is_never_sent_in_vain(one_world: World) -> None:
    """Whatever is not answered with 2xx is repeated for a week and holds up all that comes after it (VIPPS 12.4)."""
    await registered(one_world)
    for event_type, fields in GENUINE:
        one_world.vipps.invent_event(event_type, fields)
        await one_world.vipps.deliver()
        assert one_world.vipps.deliveries[-1].status is Status.DELIVERED, (event_type, fields)
    await one_world.run_jobs()

    assert {row["status"] for row in (await stored(one_world))["inbox"]} == {"DONE"}


async def test_a_genuine_body_that_is_no_event_does_not_hold_up_what_follows(one_world: World) -> None:
    webhook = await registered(one_world)
    for body in (b"", b"[]", b"null", b"\xff\xfe", b'{"eventType":1}', b"[" * 5_000):
        assert (await post(one_world, body, webhook.secret)).is_success, body[:20]

    assert (await stored(one_world))["inbox"] == []


async def test_a_body_beyond_all_measure_is_not_read(one_world: World) -> None:
    webhook = await registered(one_world)
    async with nothing_happens(one_world):
        assert (await post(one_world, BODY | {"more": "x" * 2_000_000}, webhook.secret)).status_code == 413


async def test_nobody_but_a_poster_is_answered(one_world: World) -> None:
    webhook = await registered(one_world)
    async with outside(one_world) as http:
        assert (await http.get(webhook.url)).status_code == 405
        assert (await http.put(webhook.url, json=BODY)).status_code == 405
