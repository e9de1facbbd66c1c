"""The Webhooks API and its signature: registrations, their rules, and the published sample."""

import base64
from typing import Any

import pytest

from app.vipps.simulator import DEFAULT_MERCHANT, Simulator
from app.vipps.simulator.webhooks.signature import authorization, content_hash, signature
from tests.vipps.simulator.helpers import OTHER_MERCHANT, Caller, a_caller, a_simulator
from tests.vipps.simulator.hooks import EVERYTHING, URL, a_webhook, post_webhook

WEBHOOKS = "/webhooks/v1/webhooks"
PUBLISHED_SECRET = "A0+AeKBRG2KRGvnNwJpQlb6IJFk48CKXCIcrLoHncVJKDILsQSxS6NWCccwWm6r6FhGKhiHTBsG2wo/xU6FY/A=="
PUBLISHED_URL = "https://webhook.site/e2cee29b-012e-4f1d-8ef4-e95fd74a7a63"
PUBLISHED_DATE = "Thu, 30 Mar 2023 08:38:32 GMT"
PUBLISHED_BODY = b'{"some-unique-content":"ee6e441b-cc4a-46f8-895d-a5af79bcc233/hello-world"}'


def test_the_published_sample_comes_out() -> None:
    hashed = content_hash(PUBLISHED_BODY)

    signed = signature(PUBLISHED_SECRET, PUBLISHED_URL, PUBLISHED_DATE, hashed)

    assert hashed == "lNlsp1XA03N34HrQsVzPgJKtC+r7l/RBF4V3JQUWMj4="
    assert authorization(signed) == (
        "HMAC-SHA256 SignedHeaders=x-ms-date;host;x-ms-content-sha256"
        "&Signature=agAiSyogQbDHpeucoNwYz+yAr5nJ+v+zasdkSbqzv+U="
    )


def test_the_secret_is_not_decoded() -> None:
    decoded = base64.b64decode(PUBLISHED_SECRET).decode("latin-1")

    assert signature(decoded, PUBLISHED_URL, PUBLISHED_DATE, content_hash(PUBLISHED_BODY)) != (
        "agAiSyogQbDHpeucoNwYz+yAr5nJ+v+zasdkSbqzv+U="
    )


def test_query_and_port_are_signed() -> None:
    body = (
        b'{"agreementId":"agr_kFW4chk","agreementUUID":"82ce990f-d08a-448c-bd26-ee6be8418d06","agreementExternalId":'
        b'null,"eventType":"recurring.agreement-stopped.v1","occurred":"2023-10-11T09:51:04.562829303Z",'
        b'"actor":"MERCHANT"}'
    )
    secret, date = "090a478d-37ff-4e77-970e-d457aeb26a3a", "Wed, 11 Oct 2023 09:51:05 GMT"

    assert content_hash(body) == "OnRgDJ+yXRjb4x3zNMWngh0J95WPCxOwsIjwRrXmIE8="
    assert signature(secret, URL, date, content_hash(body)) == "DT0Flm2UHDNnq13y/uyrme7PBHWyVmUEOBnDZB3fff4="


async def test_the_secret_is_shown_once(caller: Caller) -> None:
    made = (await post_webhook(caller)).json()

    listed = await caller.http.get(WEBHOOKS, headers=caller.headers())

    assert set(made) == {"id", "secret"}
    assert listed.json() == {"webhooks": [{"id": made["id"], "url": URL, "events": EVERYTHING}]}


async def test_a_webhook_can_be_deleted_once(simulator: Simulator, caller: Caller) -> None:
    made = (await post_webhook(caller)).json()["id"]

    answers = [await caller.http.delete(f"{WEBHOOKS}/{it}", headers=caller.headers()) for it in (made, made, "x")]

    assert [answer.status_code for answer in answers] == [204, 404, 400]
    assert simulator.registrations == []


@pytest.mark.parametrize(
    ("url", "events", "names"),
    [
        ("ftp://shop.example/hooks", EVERYTHING, {"url"}),
        ("/hooks", EVERYTHING, {"url"}),
        ("https://", EVERYTHING, {"url"}),
        ("https://shop.example:port/", EVERYTHING, {"url"}),
        ("https://shop.example/a b", EVERYTHING, {"url"}),
        ("", EVERYTHING, {"url"}),
        (None, EVERYTHING, {"url"}),
        (URL, [], {"events"}),
        (URL, ["recurring.agreement-forgotten.v1"], {"events"}),
        (URL, "recurring.agreement-stopped.v1", {"events"}),
        ("nowhere", ["nothing"], {"url", "events"}),
    ],
)
async def test_a_registration_that_makes_no_sense_is_400(
    simulator: Simulator, caller: Caller, url: Any, events: Any, names: set[str]
) -> None:
    response = await post_webhook(caller, url, events)

    body = response.json()
    assert (response.status_code, response.headers["content-type"]) == (400, "application/problem+json")
    assert {detail["name"] for detail in body["extraDetails"]} == names
    assert (body["title"], body["instance"]) == ("Bad Request", "/v1/webhooks")
    assert body["traceId"]
    assert simulator.registrations == []


async def test_events_of_other_products_may_be_wanted_too(caller: Caller) -> None:
    assert (await post_webhook(caller, events=["epayments.payment.captured.v1"])).status_code == 201


async def test_http_is_a_knob(simulator: Simulator, caller: Caller) -> None:
    url = "http://127.0.0.1:8000/hooks"
    assert (await post_webhook(caller, url)).status_code == 201
    simulator.knobs.require_https = True

    assert (await post_webhook(caller, url)).status_code == 400


async def test_there_are_25_for_each_event() -> None:
    simulator = a_simulator(merchants=(DEFAULT_MERCHANT, OTHER_MERCHANT))
    caller, other = await a_caller(simulator), await a_caller(simulator, OTHER_MERCHANT)
    one, two = EVERYTHING[:2]
    for _ in range(25):
        await a_webhook(caller, events=[one])

    refused = await post_webhook(caller, events=[one, two])

    assert refused.status_code == 400
    assert [detail["name"] for detail in refused.json()["extraDetails"]] == ["events"]
    await a_webhook(caller, events=[two])
    await a_webhook(other, events=[one])


async def test_another_merchants_webhooks_do_not_exist() -> None:
    simulator = a_simulator(merchants=(DEFAULT_MERCHANT, OTHER_MERCHANT))
    owner, stranger = await a_caller(simulator), await a_caller(simulator, OTHER_MERCHANT)
    made = (await post_webhook(owner)).json()["id"]

    assert (await stranger.http.get(WEBHOOKS, headers=stranger.headers())).json() == {"webhooks": []}
    assert (await stranger.http.delete(f"{WEBHOOKS}/{made}", headers=stranger.headers())).status_code == 404
    assert len(simulator.registrations) == 1


async def test_the_api_asks_for_the_same_keys(caller: Caller) -> None:
    assert (await caller.http.get(WEBHOOKS)).status_code == 401
    assert (await caller.http.post(WEBHOOKS, content=b"{}", headers=caller.headers())).status_code == 415
