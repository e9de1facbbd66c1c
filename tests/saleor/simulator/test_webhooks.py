"""Who hears of what, what the request looks like, and what happens when it fails."""

import asyncio
import json

import httpx
import pytest

from app.saleor.simulator.deliveries import Mischief, Status
from app.saleor.simulator.keys import SigningKey
from app.saleor.simulator.models import Order
from app.saleor.simulator.simulator import Simulator
from app.saleor.simulator.webhooks import EndlessDeliveries
from tests.saleor.conftest import START
from tests.saleor.simulator.doubles import MANIFEST_URL, AppDouble, manifest, verify_detached, webhook


def order_in(shop: Simulator, **details: object) -> Order:
    return shop.create_order(email="ola@example.com", amount="199", **details)  # type: ignore[arg-type]


async def test_body_is_the_bare_event_with_numbers_for_money(shop: Simulator, double: AppDouble) -> None:
    double.manifest = manifest("OrderCreated")
    app = await shop.install(MANIFEST_URL)
    order = order_in(shop, metadata={"b": "2", "a": "1"})
    await shop.deliver()
    assert double.bodies == [
        {
            "issuedAt": "2026-11-22T05:00:00.123456+00:00",
            "version": "3.23.28",
            "issuingPrincipal": None,
            "recipient": {"id": app.id},
            "order": {
                "id": order.id,
                "number": "1",
                "total": {"gross": {"amount": 199.0, "currency": "NOK"}},
                "metadata": [{"key": "a", "value": "1"}, {"key": "b", "value": "2"}],
                "privateMetadata": [],
            },
        }
    ]
    text = double.webhooks[0].content.decode()
    assert text == json.dumps(double.bodies[0])
    assert '"amount": 199.0, "currency"' in text


async def test_headers_name_event_shop_and_signature_twice_and_no_schema_version(
    shop: Simulator, double: AppDouble
) -> None:
    double.manifest = manifest(webhooks=[webhook("OrderCreated", customHeaders={"X-Own": "1"})])
    await shop.install(MANIFEST_URL)
    order_in(shop)
    await shop.deliver()
    headers = double.webhooks[0].headers
    assert headers["Saleor-Event"] == headers["X-Saleor-Event"] == "order_created"
    assert headers["Saleor-Domain"] == headers["X-Saleor-Domain"] == "shop.example"
    assert headers["Saleor-Signature"] == headers["X-Saleor-Signature"]
    assert headers["Saleor-Api-Url"] == "https://shop.example/graphql/"
    assert headers["X-Own"] == "1"
    assert "Saleor-Schema-Version" not in headers
    assert "X-Saleor-Api-Url" not in headers


async def test_signature_covers_the_raw_body(shop: Simulator, double: AppDouble) -> None:
    double.manifest = manifest("OrderCreated")
    await shop.install(MANIFEST_URL)
    order_in(shop)
    await shop.deliver()
    request = double.webhooks[0]
    signature = request.headers["Saleor-Signature"]
    header = verify_detached(signature, request.content, shop.jwks())
    assert header == {"alg": "RS256", "b64": False, "crit": ["b64"], "kid": shop.key.kid, "typ": "JWT"}
    with pytest.raises(Exception, match="bad_signature"):
        verify_detached(signature, request.content + b" ", shop.jwks())


async def test_payload_shows_the_state_at_send_time(shop: Simulator, double: AppDouble) -> None:
    double.manifest = manifest("OrderCreated")
    await shop.install(MANIFEST_URL)
    order = order_in(shop)
    order.metadata["late"] = "yes"
    await shop.deliver()
    assert double.bodies[0]["order"]["metadata"] == [{"key": "late", "value": "yes"}]


async def test_before_3_23_the_payload_shows_the_state_at_event_time(double: AppDouble, key: SigningKey) -> None:
    shop = Simulator(version="3.22", start=START, clients=double.client, key=key)
    double.manifest = manifest("OrderCreated")
    await shop.install(MANIFEST_URL)
    order = order_in(shop)
    order.metadata["late"] = "yes"
    await shop.deliver()
    assert double.bodies[0]["order"]["metadata"] == []


async def test_denied_field_leaves_null_and_errors_and_is_still_sent(shop: Simulator, double: AppDouble) -> None:
    query = "subscription { event { ... on OrderCreated { issuedAt order { user { privateMetadata { key } } } } } }"
    double.manifest = manifest(webhooks=[webhook("OrderCreated", query=query)])
    await shop.install(MANIFEST_URL)
    shop.create_order(shop.create_customer(), amount=1)
    await shop.deliver()
    body = double.bodies[0]
    assert body["order"] == {"user": None}
    assert body["errors"][0]["path"] == ["event", "order", "user", "privateMetadata"]
    assert body["errors"][0]["extensions"] == {"exception": {"code": "PermissionDenied"}}


async def test_root_field_other_than_event_keeps_the_data_wrapper(shop: Simulator, double: AppDouble) -> None:
    query = 'subscription { orderCreated(channels: ["denmark"]) { order { id } } }'
    double.manifest = manifest(webhooks=[webhook("OrderCreated", query=query)])
    await shop.install(MANIFEST_URL)
    order = order_in(shop)  # in Norway: channel filters of a manifest are not applied
    await shop.deliver()
    assert double.bodies == [{"data": {"orderCreated": {"order": {"id": order.id}}}}]


async def test_subscription_that_selects_nothing_is_not_sent(shop: Simulator, double: AppDouble) -> None:
    double.manifest = manifest(webhooks=[webhook("OrderCreated", asyncEvents=["ORDER_CANCELLED"])])
    await shop.install(MANIFEST_URL)
    shop.cancel_order(order_in(shop))
    assert await shop.deliver() == []
    assert (double.webhooks, shop.deliveries) == ([], [])


async def test_events_are_taken_from_the_query_through_fragments(shop: Simulator, double: AppDouble) -> None:
    query = """
      subscription { event { ...Both } }
      fragment Both on Event { ... on OrderCreated { order { id } } ... on OrderCancelled { order { id } } }
    """
    double.manifest = manifest(webhooks=[webhook("OrderCreated", query=query)])
    await shop.install(MANIFEST_URL)
    shop.cancel_order(order_in(shop))
    await shop.deliver()
    assert double.events == ["order_created", "order_cancelled"]


async def test_order_events_need_manage_orders(shop: Simulator, double: AppDouble) -> None:
    double.manifest = manifest("OrderCreated")
    await shop.install(MANIFEST_URL, ["HANDLE_PAYMENTS"])
    order_in(shop)
    assert await shop.deliver() == []


async def test_own_metadata_writes_come_back(shop: Simulator, double: AppDouble) -> None:
    double.manifest = manifest("OrderMetadataUpdated", "OrderUpdated")
    app = await shop.install(MANIFEST_URL)
    order = order_in(shop)
    mutation = """mutation($id: ID!) {
      updateMetadata(id: $id, input: [{key: "a", value: "1"}]) { errors { code } }
      updatePrivateMetadata(id: $id, input: [{key: "p", value: "2"}]) { errors { code } }
      orderNoteAdd(order: $id, input: {message: "hello"}) { errors { code } }
    }"""
    shop.execute({"query": mutation, "variables": {"id": order.id}}, {"authorization-bearer": app.token})
    await shop.deliver()
    assert double.events == ["order_metadata_updated", "order_metadata_updated", "order_updated"]
    assert [body["issuingPrincipal"] for body in double.bodies] == [{"id": app.id}] * 3


async def test_app_that_answers_metadata_events_with_metadata_loops(shop: Simulator, double: AppDouble) -> None:
    double.manifest = manifest("OrderMetadataUpdated")
    await shop.install(MANIFEST_URL)
    order = order_in(shop)
    double.on_webhook = lambda _body: shop.update_order_metadata(order, {"same": "value"})
    shop.update_order_metadata(order, {"same": "value"})
    with pytest.raises(EndlessDeliveries):
        await shop.deliver(limit=20)
    assert len(double.webhooks) == 20


@pytest.mark.parametrize("failure", [500, 503, httpx.ReadTimeout("slow"), httpx.ConnectError("gone")])
async def test_failures_of_the_server_are_retried_six_times_with_identical_bytes(
    shop: Simulator, double: AppDouble, failure: int | Exception
) -> None:
    double.manifest = manifest("OrderCreated")
    await shop.install(MANIFEST_URL)
    order = order_in(shop)
    double.statuses = [failure] * 6
    await shop.deliver()
    for wait in (10, 20, 40, 80, 160):
        shop.clock.advance(wait - 1)
        assert await shop.deliver() == []
        order.metadata["changed"] = str(wait)
        shop.clock.advance(1)
        assert len(await shop.deliver()) == 1
    shop.clock.advance(100_000)
    assert await shop.deliver() == []
    assert [(d.status, len(d.attempts)) for d in shop.deliveries] == [(Status.FAILED, 6)]
    assert len({(r.content, r.headers["Saleor-Signature"]) for r in double.webhooks}) == 1


@pytest.mark.parametrize("status", [302, 400, 401, 404, 429])
async def test_redirects_and_refusals_are_final(shop: Simulator, double: AppDouble, status: int) -> None:
    double.manifest = manifest("OrderCreated")
    await shop.install(MANIFEST_URL)
    order_in(shop)
    double.statuses = [status]
    await shop.deliver()
    shop.clock.advance(1000)
    assert await shop.deliver() == []
    assert [(d.status, d.attempts[0].status_code) for d in shop.deliveries] == [(Status.FAILED, status)]


async def test_retry_may_succeed(shop: Simulator, double: AppDouble) -> None:
    double.manifest = manifest("OrderCreated")
    await shop.install(MANIFEST_URL)
    order_in(shop)
    double.statuses = [500]
    await shop.deliver()
    shop.clock.advance(10)
    (delivery,) = await shop.deliver()
    assert delivery.status is Status.SUCCESS
    assert [attempt.response for attempt in delivery.attempts] == ["noted", "noted"]


async def test_network_may_duplicate_drop_and_reorder(shop: Simulator, double: AppDouble) -> None:
    double.manifest = manifest("OrderCreated", "OrderConfirmed", "OrderCancelled")
    await shop.install(MANIFEST_URL)
    shop.mischief = Mischief(duplicate=True, events=frozenset({"ORDER_CREATED"}))
    order = order_in(shop)
    await shop.deliver()
    assert double.events == ["order_created", "order_created", "order_confirmed"]
    assert double.webhooks[0].content == double.webhooks[1].content
    shop.mischief = Mischief(drop=True)
    shop.cancel_order(order)
    (dropped,) = await shop.deliver()
    assert (dropped.status, len(double.webhooks)) == (Status.DROPPED, 3)
    shop.mischief = Mischief(reorder=True)
    order_in(shop)
    await shop.deliver()
    assert double.events[3:] == ["order_confirmed", "order_created"]


async def test_all_news_of_one_order_may_be_lost_for_good(shop: Simulator, double: AppDouble) -> None:
    double.manifest = manifest("OrderCreated", "OrderConfirmed", "OrderUpdated", "OrderMetadataUpdated")
    await shop.install(MANIFEST_URL)
    lost, told = order_in(shop), order_in(shop)
    double.statuses = [500]  # what waits for another try is lost with the rest
    shop.mischief = Mischief(drop=True, subjects=frozenset({lost.id}))
    for order in (lost, told):
        shop.update_order_metadata(order, {"a": "1"})
        shop.touch_order(order)
    await shop.deliver()
    shop.mischief = Mischief(drop=True, subjects=frozenset({lost.id, told.id}))
    shop.clock.advance(100_000)
    await shop.deliver()
    shop.mischief = Mischief()
    shop.clock.advance(100_000)
    assert await shop.deliver() == []
    assert {body["order"]["id"] for body in double.bodies} == {told.id}
    of_lost = [d.status for d in shop.deliveries if d.event.subject is lost]
    assert of_lost == [Status.DROPPED] * 4
    of_told = [d.status for d in shop.deliveries if d.event.subject is told]
    assert sorted(of_told) == [Status.DROPPED] + [Status.SUCCESS] * 3
    shop.touch_order(lost)
    await shop.deliver()
    assert double.bodies[-1]["order"]["id"] == lost.id


async def test_a_shop_that_is_away_still_sends(shop: Simulator, double: AppDouble) -> None:
    double.manifest = manifest("OrderCreated")
    await shop.install(MANIFEST_URL)
    shop.go_away()
    order_in(shop)
    await shop.deliver()
    assert double.events == ["order_created"]


async def test_replay_sends_the_same_bytes_and_signature_also_after_key_rotation(
    shop: Simulator, double: AppDouble
) -> None:
    double.manifest = manifest("OrderCreated")
    await shop.install(MANIFEST_URL)
    order = order_in(shop)
    (first,) = await shop.deliver()
    order.metadata["changed"] = "yes"
    shop.rotate_key()
    again = shop.replay(first.number)
    await shop.deliver()
    one, two = double.webhooks
    assert (one.content, one.headers["Saleor-Signature"]) == (two.content, two.headers["Saleor-Signature"])
    assert (again.replay_of, again.body_sha256) == (first.number, first.body_sha256)
    with pytest.raises(LookupError):
        shop.replay(999)


async def test_deleted_app_hears_of_it_at_once_and_its_token_is_dead(shop: Simulator, double: AppDouble) -> None:
    double.manifest = manifest("AppDeleted", "OrderCreated")
    app = await shop.install(MANIFEST_URL)
    order_in(shop)
    shop.delete_app(app)
    order_in(shop)
    content = shop.execute({"query": "{ app { id } }"}, {"authorization": f"Bearer {app.token}"}).content
    assert content["data"] == {"app": None}
    await shop.deliver()
    assert double.events == ["app_deleted"]
    assert double.bodies[0]["app"] == {"id": app.id, "isActive": False}
    assert [d.status for d in shop.deliveries] == [Status.FAILED, Status.SUCCESS]


async def test_before_3_23_a_deleted_app_hears_nothing(double: AppDouble, key: SigningKey) -> None:
    shop = Simulator(version="3.22", start=START, clients=double.client, key=key)
    double.manifest = manifest("AppDeleted", permissions=["MANAGE_APPS"])
    shop.delete_app(await shop.install(MANIFEST_URL))
    assert await shop.deliver() == []


async def test_deactivated_app_hears_of_that_and_of_nothing_else(shop: Simulator, double: AppDouble) -> None:
    double.manifest = manifest("AppStatusChanged", "AppInstalled", "OrderCreated")
    app = await shop.install(MANIFEST_URL)
    shop.deactivate_app(app)
    order_in(shop)
    await shop.deliver()
    assert double.events == ["app_installed", "app_status_changed"]
    shop.activate_app(app)
    await shop.deliver()
    assert double.bodies[-1]["app"] == {"id": app.id, "isActive": True}


async def test_background_task_delivers_by_itself(shop: Simulator, double: AppDouble) -> None:
    double.manifest = manifest("OrderCreated")
    await shop.install(MANIFEST_URL)
    async with shop.delivering(pause=0.01):
        order_in(shop)
        async with asyncio.timeout(30):
            while not double.webhooks:  # noqa: ASYNC110  # the shop delivers by itself
                await asyncio.sleep(0.01)
    assert double.events == ["order_created"]
