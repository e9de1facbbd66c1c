"""The sender: hears of every effect, queues it for whoever registered, and delivers in order, again and again."""

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from email.utils import format_datetime
from functools import cache
from ssl import SSLContext
from typing import Any

import httpx

from app.vipps.simulator.clock import SimulatorClock
from app.vipps.simulator.config import SimulatorConfig
from app.vipps.simulator.knobs import Knobs
from app.vipps.simulator.models import Agreement, Charge, LedgerEntry
from app.vipps.simulator.webhooks.deliveries import (
    GIVE_UP_AFTER,
    Attempt,
    Delivery,
    Mischief,
    Registration,
    Status,
    wait_after,
)
from app.vipps.simulator.webhooks.events import Event, event_of, stamp
from app.vipps.simulator.webhooks.registrations import Registrations
from app.vipps.simulator.webhooks.signature import authorization, content_hash, signature

ClientFactory = Callable[[], httpx.AsyncClient]

TIMEOUT_SECONDS = 10
FORGET_AFTER = timedelta(days=14)
LONGEST_RESPONSE = 1024
_NOTHING = Mischief()


class EndlessDeliveriesError(Exception):
    """A listener answers events with changes that cause events, for ever."""


@cache
def _tls() -> SSLContext:
    return httpx.create_ssl_context(trust_env=False)


def default_client() -> httpx.AsyncClient:
    return httpx.AsyncClient(verify=_tls(), trust_env=False)


class Sender:
    def __init__(self, config: SimulatorConfig, knobs: Knobs, clock: SimulatorClock, clients: ClientFactory) -> None:
        self._clock = clock
        self._clients = clients
        self._sending = asyncio.Lock()
        self._events_seen = 0
        self._queued = 0
        self.registrations = Registrations(config, knobs)
        self.mischief = Mischief()
        self.events: deque[Event] = deque(maxlen=config.keep_deliveries)
        self.deliveries: deque[Delivery] = deque(maxlen=config.keep_deliveries)
        self.news = asyncio.Event()  # wakes whoever sends in the background

    # Who hears of it

    def hear(self, entry: LedgerEntry, agreement: Agreement, charge: Charge | None) -> None:
        event = event_of(entry, agreement, charge, self._events_seen)
        if event is not None:
            self._take(event)
            for registration in self.registrations.of(event.msn):
                if event.type in registration.events:
                    self._queue(registration, event)

    def invent(self, msn: str, event_type: str, fields: dict[str, Any]) -> None:
        """An event that never happened, of a type perhaps that nobody knows: all of the sales unit hear it."""
        now = self._clock.now()
        known = {"eventType": event_type, "occurred": stamp(now, self._events_seen), "msn": msn}
        event = Event(self._events_seen, now, msn, event_type, known | fields)
        self._take(event)
        for registration in self.registrations.of(msn):
            self._queue(registration, event)

    def _take(self, event: Event) -> None:
        self._events_seen += 1
        self.events.append(event)

    def _queue(self, registration: Registration, event: Event, replay_of: int | None = None) -> Delivery:
        self._queued += 1
        delivery = Delivery(
            number=self._queued,
            registration=registration,
            event=event,
            due_at=event.at if replay_of is None else self._clock.now(),
            replay_of=replay_of,
        )
        registration.queue.append(delivery)
        self.deliveries.append(delivery)
        self.news.set()
        return delivery

    def replay(self, number: int) -> Delivery:
        """Queues the same body again, to be signed anew. Raises LookupError where there is no such delivery."""
        original = next((it for it in self.deliveries if it.number == number), None)
        if original is None or original.registration not in self.registrations:
            raise LookupError(f"There is no delivery {number} that could be sent again.")
        return self._queue(original.registration, original.event, number)

    # Sending

    async def deliver(self, limit: int) -> int:
        """Sends what is due, and what that causes, until nothing is due; answers how many requests were made."""
        sent = 0
        if not self._busy():
            return sent
        async with self._sending, self._clients() as client:
            while busy := self._busy():
                # One endpoint that lets us wait does not hold up the others.
                sent += sum(await asyncio.gather(*(self._drain(client, it) for it in busy)))
                if sent > limit:
                    raise EndlessDeliveriesError(f"More than {limit} webhooks were sent at once.")
        return sent

    def _busy(self) -> list[Registration]:
        now = self._clock.now()
        return [it for it in self.registrations if it.queue and it.queue[0].due_at <= now]

    async def _drain(self, client: httpx.AsyncClient, registration: Registration) -> int:
        """In order; one that fails holds up those behind it."""
        sent = 0
        while registration.queue and registration.queue[0].due_at <= self._clock.now():
            delivery = self._next(registration)
            mischief = self.mischief if self.mischief.hits(delivery) else _NOTHING
            if mischief.delay and not delivery.was_delayed:
                delivery.due_at, delivery.was_delayed = delivery.event.at + mischief.delay, True
                _hold_back(registration, delivery)
            elif mischief.drop:
                _finish(delivery, Status.DROPPED)
            else:
                sent += await self._deliver(client, delivery, mischief)
        return sent

    def _next(self, registration: Registration) -> Delivery:
        if self.mischief.reorder:
            return next((it for it in reversed(registration.queue) if self.mischief.hits(it)), registration.queue[0])
        return registration.queue[0]

    async def _deliver(self, client: httpx.AsyncClient, delivery: Delivery, mischief: Mischief) -> int:
        delivery.tries += 1
        status_code = await self._post(client, delivery, mischief)
        if mischief.duplicate:
            await self._post(client, delivery, mischief)
        if status_code is not None and httpx.codes.is_success(status_code):
            delivery.registration.failing_since = None
            _finish(delivery, Status.DELIVERED)
        else:
            self._try_later(delivery)
        return 2 if mischief.duplicate else 1

    def _try_later(self, delivery: Delivery) -> None:
        registration, now = delivery.registration, self._clock.now()
        registration.failing_since = registration.failing_since or now
        delivery.due_at = now + wait_after(delivery.tries)
        if delivery.due_at > delivery.attempts[0].at + GIVE_UP_AFTER:
            _finish(delivery, Status.EXPIRED)
        else:
            _hold_back(registration, delivery)
        if now - registration.failing_since >= FORGET_AFTER:
            self.registrations.forget(registration)

    async def _post(self, client: httpx.AsyncClient, delivery: Delivery, mischief: Mischief) -> int | None:
        headers, body = self._signed(delivery, mischief)
        status_code: int | None = None
        try:
            response = await client.post(
                delivery.registration.url,
                content=body,
                headers=headers,
                timeout=TIMEOUT_SECONDS,
                follow_redirects=False,
            )
            status_code, text = response.status_code, response.text
        except (httpx.TransportError, UnicodeError) as error:  # the latter for a host that no resolver can spell
            text = f"{type(error).__name__}: {error}"
        delivery.attempts.append(Attempt(self._clock.now(), status_code, text[:LONGEST_RESPONSE]))
        return status_code

    def _signed(self, delivery: Delivery, mischief: Mischief) -> tuple[dict[str, str], bytes]:
        """Each attempt is signed with a date of its own."""
        registration, body = delivery.registration, delivery.body
        body_hash = content_hash(body)
        date = format_datetime(self._clock.wire_now() - mischief.stale, usegmt=True)
        secret = "somebody else's" if mischief.tamper == "secret" else registration.secret
        signed = signature(secret, registration.url, date, body_hash)
        if mischief.tamper == "signature":
            signed = signed[::-1]
        if mischief.tamper in {"body", "body-and-hash"}:
            body = body[:-1] + b',"tampered":true}'
            body_hash = content_hash(body) if mischief.tamper == "body-and-hash" else body_hash
        name = "X-Vipps-Authorization" if mischief.x_authorization else "Authorization"
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "Vipps-MobilePay-Simulator",
            "x-ms-date": date,
            "x-ms-content-sha256": body_hash,
            name: authorization(signed),
        }
        return headers, body


def _finish(delivery: Delivery, status: Status) -> None:
    delivery.status = status
    # The registration may have been deleted while its endpoint was answering.
    with suppress(ValueError):
        delivery.registration.queue.remove(delivery)


def _hold_back(registration: Registration, delivery: Delivery) -> None:
    """To the front of its queue, so that what follows waits for it."""
    with suppress(ValueError):
        registration.queue.remove(delivery)
        registration.queue.appendleft(delivery)
