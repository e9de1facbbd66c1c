"""The webhook sender: who hears of an event, the signed body, and the attempts to deliver it."""

import asyncio
from datetime import timedelta
from typing import Any

import httpx
from graphql import GraphQLSchema

from app.saleor.simulator.api.events import DEFERRED, LIFECYCLE, permission_for
from app.saleor.simulator.api.execution import tell
from app.saleor.simulator.api.fields import Request
from app.saleor.simulator.app_calls import OnAnswer
from app.saleor.simulator.deliveries import Attempt, Delivery, Mischief, Status
from app.saleor.simulator.keys import SigningKey
from app.saleor.simulator.manifest.webhooks import read_subscription
from app.saleor.simulator.models import App, Webhook
from app.saleor.simulator.outgoing import ClientFactory, send, to_json
from app.saleor.simulator.permissions import requestor_of
from app.saleor.simulator.records import Event
from app.saleor.simulator.site import Site
from app.saleor.simulator.state import Shop

MAXIMUM_ATTEMPTS = 6
FIRST_RETRY_SECONDS = 10
SERVER_ERROR = 500
LONGEST_RESPONSE = 1024


class EndlessDeliveries(Exception):
    """An app answers events with changes that cause events, for ever."""


class Webhooks:
    """Hears the shop's events as a listener and keeps every delivery, sent or not."""

    def __init__(self, shop: Shop, site: Site, schema: GraphQLSchema, key: SigningKey, clients: ClientFactory) -> None:
        self._shop = shop
        self._site = site
        self._schema = schema
        self._clients = clients
        self._sending = asyncio.Lock()
        self.key = key  # replaced by key rotation
        self.mischief = Mischief()
        self.deliveries: list[Delivery] = []
        self.news = asyncio.Event()  # wakes whoever sends in the background

    # Who hears of it

    def hear(self, event: Event) -> None:
        for app in self._shop.apps:
            for webhook in app.webhooks:
                if event.name in webhook.asynchronous and webhook.is_active and self._may_hear(app, event):
                    self._queue(webhook, event)

    def _may_hear(self, app: App, event: Event) -> bool:
        if event.name in LIFECYCLE and event.subject is app:
            if self._site.number >= (3, 23):
                return True
            return "MANAGE_APPS" in app.permissions and app.removed_at is None
        if app.removed_at is not None or not app.is_active:
            return False
        return permission_for(event.name) in app.permissions

    def _queue(self, webhook: Webhook, event: Event) -> None:
        delivery = self._new(webhook, event)
        deferred = event.name in DEFERRED and self._site.number >= (3, 23)
        if deferred or self._write(delivery):
            self.deliveries.append(delivery)
            self.news.set()

    def _new(self, webhook: Webhook, event: Event) -> Delivery:
        number = self._shop.next_number("EventDelivery")
        return Delivery(number=number, app=webhook.app, webhook=webhook, event=event, due_at=event.at)

    def _write(self, delivery: Delivery) -> bool:
        """Makes body and signature from the state of this moment. False where the subscription selects nothing."""
        document, _events = read_subscription(delivery.webhook.query, self._schema)
        request = Request(self._shop, self._site, requestor_of(delivery.app), delivery.event)
        content = tell(document, self._schema, request)
        if content is None:
            return False
        delivery.body = to_json(content)
        delivery.signature = self.key.sign_detached(delivery.body)
        return True

    # Questions to payment apps

    def first(self, app: App, event_name: str) -> Webhook | None:
        if not app.is_active or app.removed_at is not None or "HANDLE_PAYMENTS" not in app.permissions:
            return None
        return next((w for w in app.webhooks if w.is_active and event_name in w.synchronous), None)

    async def call(self, webhook: Webhook, event: Event) -> Any:
        delivery = self._new(webhook, event)
        if not self._write(delivery):
            return None
        self.deliveries.append(delivery)
        if self.mischief.drop and self.mischief.hits(event):
            delivery.status = Status.DROPPED
            return None
        delivery.status = Status.FAILED  # until the app has answered: nobody tries again
        async with self._clients() as client:
            response = await self._post(client, delivery)
        if response is None or not response.is_success:
            return None
        delivery.status = Status.SUCCESS
        return _json(response)

    def request(self, webhook: Webhook, event: Event, on_answer: OnAnswer) -> bool:
        delivery = self._new(webhook, event)
        delivery.on_answer = on_answer
        if not self._write(delivery):
            return False
        self.deliveries.append(delivery)
        self.news.set()
        return True

    # Sending

    async def deliver(self, limit: int = 1000) -> list[Delivery]:
        """Sends what is due, and what that causes, until nothing is due. Retries become due by moving the clock."""
        sent: list[Delivery] = []
        if not self._due():
            return sent
        async with self._sending, self._clients() as client:
            while batch := self._due():
                if len(sent) + len(batch) > limit:
                    raise EndlessDeliveries(f"More than {limit} deliveries, the last of {batch[-1].event.name}.")
                for delivery in batch:
                    if delivery.body is None and not self._write(delivery):
                        self.deliveries.remove(delivery)
                        continue
                    await self._deliver(client, delivery)
                    sent.append(delivery)
        return sent

    def _due(self) -> list[Delivery]:
        now = self._shop.clock.now()
        due = [d for d in self.deliveries if d.status is Status.PENDING and d.due_at <= now]
        if not self.mischief.reorder:
            return due
        hit = [d for d in due if self.mischief.hits(d.event)]
        return [d for d in due if d not in hit] + hit[::-1]

    async def _deliver(self, client: httpx.AsyncClient, delivery: Delivery) -> None:
        hit = self.mischief.hits(delivery.event)
        if hit and self.mischief.drop:
            delivery.status = Status.DROPPED
            if delivery.on_answer:
                delivery.on_answer(None)
        elif not self._is_alive(delivery):
            delivery.status = Status.FAILED
        else:
            await self._attempt(client, delivery)
            if hit and self.mischief.duplicate and delivery.replay_of is None:
                await self._attempt(client, self._copy(delivery))

    @staticmethod
    def _is_alive(delivery: Delivery) -> bool:
        """What an app that has been switched off was to hear is lost, but for the news of that."""
        if not delivery.webhook.is_active:
            return False
        return delivery.event.name in LIFECYCLE or (delivery.app.is_active and delivery.app.removed_at is None)

    async def _attempt(self, client: httpx.AsyncClient, delivery: Delivery) -> None:
        response = await self._post(client, delivery)
        status_code = response.status_code if response is not None else None
        self._conclude(delivery, status_code)
        if delivery.on_answer and delivery.status is not Status.PENDING:
            heard = response is not None and response.status_code < SERVER_ERROR
            delivery.on_answer(_json(response) if heard else None)

    async def _post(self, client: httpx.AsyncClient, delivery: Delivery) -> httpx.Response | None:
        """The answer, if one came. The attempt is kept either way."""
        response, url = None, delivery.webhook.target_url
        try:
            response = await send(client, self._site, "POST", url, self._headers(delivery), body=delivery.body or b"")
            response = self._lose(response, delivery.event)
            text = response.text
        except (httpx.TransportError, httpx.InvalidURL) as error:
            text = f"{type(error).__name__}: {error}"
            response = None
        status_code = response.status_code if response is not None else None
        delivery.attempts.append(Attempt(self._shop.clock.now(), status_code, text[:LONGEST_RESPONSE]))
        return response

    def _lose(self, response: httpx.Response, event: Event) -> httpx.Response:
        if not self.mischief.lose_answers or not self.mischief.hits(event):
            return response
        if self.mischief.bad_gateway:
            return httpx.Response(502, text="Bad gateway")
        raise httpx.ReadTimeout("The answer was lost.")

    def _conclude(self, delivery: Delivery, status_code: int | None) -> None:
        """Only silence and 5xx are worth another try; redirects and refusals are not. Nor is silence to a request."""
        silent = status_code is None and delivery.on_answer is None
        if status_code is not None and httpx.codes.is_success(status_code):
            delivery.status = Status.SUCCESS
        elif (silent or (status_code or 0) >= SERVER_ERROR) and len(delivery.attempts) < MAXIMUM_ATTEMPTS:
            wait = FIRST_RETRY_SECONDS * 2 ** (len(delivery.attempts) - 1)
            delivery.due_at = self._shop.clock.now() + timedelta(seconds=wait)
        else:
            delivery.status = Status.FAILED

    def _headers(self, delivery: Delivery) -> list[tuple[str, str]]:
        event = delivery.event.name.lower()
        named = [("Event", event), ("Domain", self._site.domain), ("Signature", delivery.signature)]
        return [
            ("Content-Type", "application/json"),
            *((f"X-Saleor-{name}", value) for name, value in named),
            *((f"Saleor-{name}", value) for name, value in named),
            ("Saleor-Api-Url", self._site.api_url),
            *delivery.webhook.custom_headers.items(),
        ]

    # Again

    def replay(self, number: int) -> Delivery:
        """Queues the same bytes under the same signature again. Only what has been sent can be replayed."""
        original = next((d for d in self.deliveries if d.number == number and d.body is not None), None)
        if original is None:
            raise LookupError(f"No delivery {number} has been sent.")
        return self._copy(original)

    def _copy(self, original: Delivery) -> Delivery:
        copy = Delivery(
            number=self._shop.next_number("EventDelivery"),
            app=original.app,
            webhook=original.webhook,
            event=original.event,
            due_at=self._shop.clock.now(),
            body=original.body,
            signature=original.signature,
            replay_of=original.number,
            on_answer=_ignore if original.event.name in original.webhook.synchronous else None,
        )
        self.deliveries.append(copy)
        self.news.set()
        return copy


def _ignore(_answer: Any) -> None:
    """Only the first answer to a question counts."""


def _json(response: httpx.Response | None) -> Any:
    try:
        return response.json() if response is not None else None
    except ValueError:
        return None
