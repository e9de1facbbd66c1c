"""A whole simulated Saleor: the shop with its key, its API, its tokens, its installer and its webhook sender."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from app.saleor.simulator.action_requests import ActionRequests
from app.saleor.simulator.api.execution import Answer, answer, answer_later
from app.saleor.simulator.api.fields import Request
from app.saleor.simulator.clock import Clock
from app.saleor.simulator.deliveries import Delivery, Mischief
from app.saleor.simulator.identity import ExpiredSignatureError, InvalidTokenError, identify
from app.saleor.simulator.installation import Installer
from app.saleor.simulator.keys import SigningKey
from app.saleor.simulator.models import App, Payable, User
from app.saleor.simulator.outgoing import ClientFactory, default_client
from app.saleor.simulator.permissions import Requestor
from app.saleor.simulator.records import Amount, Principal
from app.saleor.simulator.schema import COMPLETE, schema_of
from app.saleor.simulator.sessions import Configuration, Gateway, Outcome, Sessions
from app.saleor.simulator.site import Site
from app.saleor.simulator.state import Shop
from app.saleor.simulator.stored_methods import StoredMethods
from app.saleor.simulator.tokens import Tokens
from app.saleor.simulator.transaction_models import TransactionEvent, TransactionItem
from app.saleor.simulator.webhooks import Webhooks

CHANNELS = (("norway", "Norway", "NOK", "NO"), ("denmark", "Denmark", "DKK", "DK"), ("finland", "Finland", "EUR", "FI"))
JWKS_WITH_ALGORITHM = (3, 21)


class Simulator(Shop):
    """A shop that is reachable.

    `clients` makes the HTTP clients that installations and webhooks use; a test passes one with an ASGI transport.
    `start` stops the clock at that moment; without it time passes, by `clock` if there is one.
    `schema_directory=None` serves the small schema.
    """

    def __init__(
        self,
        api_url: str = "https://shop.example/graphql/",
        version: str = "3.23",
        *,
        name: str = "Saleor e-commerce",
        start: datetime | None = None,
        clients: ClientFactory = default_client,
        key: SigningKey | None = None,
        schema_directory: Path | None = COMPLETE,
        clock: Clock | None = None,
    ) -> None:
        super().__init__(name, clock or Clock(start))
        self.site = Site(api_url, version)
        self.schema = schema_of(self.site.schema_version, schema_directory)
        self.key = key or SigningKey()
        self.tokens = Tokens(self.site, self.clock, self.key)
        self.webhooks = Webhooks(self, self.site, self.schema, self.key, clients)
        version_number = self.site.number
        self.sessions = Sessions(self, self.transactions, self.webhooks, version_number)
        self.action_requests = ActionRequests(self, self.transactions, self.webhooks, version_number)
        self.stored_methods = StoredMethods(self, self.webhooks)
        self.transactions.on_success.append(self.stored_methods.heard_success)
        self._installer = Installer(self, self.site, self.schema, clients)
        self._away: tuple[int, datetime | None] | None = None
        self.listeners.append(self.webhooks.hear)
        for channel in CHANNELS:
            self.add_channel(*channel)

    @property
    def api_url(self) -> str:
        return self.site.api_url

    # Apps

    async def install(
        self,
        manifest_url: str,
        permissions: Iterable[str] | None = None,
        *,
        activate: bool = True,
        name: str | None = None,
        by: User | None = None,
    ) -> App:
        return await self._installer.install(manifest_url, permissions, activate=activate, name=name, by=by)

    def deactivate_app(self, app: App, by: User | None = None) -> None:
        self.set_app_active(app, active=False, by=by)

    def activate_app(self, app: App, by: User | None = None) -> None:
        self.set_app_active(app, active=True, by=by)

    # Payments, as a storefront and staff begin them

    async def payment_gateway_initialize(
        self,
        source: Payable,
        amount: Amount | None = None,
        *,
        data: Any = None,
        gateway: str | None = None,
        by: Principal | None = None,
    ) -> list[Configuration]:
        wanted = [Gateway(gateway or self._payment_app(), data)] if gateway or data is not None else []
        return await self.sessions.configure(source, wanted, _decimal(amount), by)

    async def initialize_transaction(
        self,
        source: Payable,
        amount: Amount | None = None,
        action: str | None = None,
        idempotency_key: str | None = None,
        data: Any = None,
        *,
        gateway: str | None = None,
        by: Principal | None = None,
    ) -> Outcome:
        """`gateway` is the identifier of an app: the newest payment app unless given."""
        return await self.sessions.initialize(
            source,
            Gateway(gateway or self._payment_app(), data),
            amount=_decimal(amount),
            action=action,
            idempotency_key=idempotency_key,
            by=by,
        )

    async def process_transaction(
        self, transaction: TransactionItem, data: Any = None, *, by: Principal | None = None
    ) -> Outcome:
        return await self.sessions.process(transaction, data, by=by)

    def request_action(
        self,
        transaction: TransactionItem,
        action: str,
        amount: Amount | None = None,
        *,
        by: Principal | None = None,
        reason: str | None = None,
    ) -> TransactionEvent:
        """The app hears of it when deliveries are sent."""
        return self.action_requests.request(transaction, action, _decimal(amount), by=by, reason=reason)

    def _payment_app(self) -> str:
        able = self.sessions.payment_apps()
        if not able:
            raise LookupError("No app in this shop begins payments.")
        return able[-1].identifier

    # Keys and API

    def jwks(self) -> dict[str, Any]:
        return {"keys": [self.key.jwk(with_algorithm=self.site.number >= JWKS_WITH_ALGORITHM)]}

    def rotate_key(self) -> SigningKey:
        """A new key takes over at once; the old one vanishes from the JWKS."""
        self.key = self.tokens.key = self.webhooks.key = SigningKey()
        return self.key

    def execute(self, body: object, headers: Mapping[str, str]) -> Answer:
        """One API request that asks no app; header names are in lower case."""
        return answer(body, self.schema, self._request(headers))

    async def answer(self, body: object, headers: Mapping[str, str]) -> Answer:
        """Any API request, also one that waits until an app has answered."""
        return await answer_later(body, self.schema, self._request(headers, may_wait=True))

    def _request(self, headers: Mapping[str, str], *, may_wait: bool = False) -> Request:
        caller: Requestor | ExpiredSignatureError | InvalidTokenError
        try:
            caller = identify(headers, self, self.key)
        except (ExpiredSignatureError, InvalidTokenError) as error:
            caller = error
        return Request(self, self.site, caller, may_wait=may_wait)

    # Outages

    def go_away(self, seconds: float | None = None, status: int = 503) -> None:
        """API and keys answer with this status, for so long by the shop's clock or until `come_back`.

        Webhooks are still sent: Saleor's workers are other processes than its API.
        """
        until = None if seconds is None else self.clock.now() + timedelta(seconds=seconds)
        self._away = status, until

    def come_back(self) -> None:
        self._away = None

    @property
    def away(self) -> int | None:
        """The status that everybody gets while the shop is away."""
        if self._away is None:
            return None
        status, until = self._away
        return status if until is None or self.clock.now() < until else None

    # Webhooks

    @property
    def deliveries(self) -> list[Delivery]:
        return self.webhooks.deliveries

    @property
    def mischief(self) -> Mischief:
        return self.webhooks.mischief

    @mischief.setter
    def mischief(self, mischief: Mischief) -> None:
        self.webhooks.mischief = mischief

    async def deliver(self, limit: int = 1000) -> list[Delivery]:
        return await self.webhooks.deliver(limit)

    def replay(self, number: int) -> Delivery:
        return self.webhooks.replay(number)

    @contextlib.asynccontextmanager
    async def delivering(self, pause: float = 0.5) -> AsyncIterator[None]:
        """Sends in the background: at once what happens, and every `pause` seconds what has become due again."""
        task = asyncio.create_task(self._deliver_for_ever(pause))
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _deliver_for_ever(self, pause: float) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.webhooks.news.wait(), pause)
            self.webhooks.news.clear()
            await self.webhooks.deliver(limit=BACKGROUND_LIMIT)


BACKGROUND_LIMIT = 1_000_000


def _decimal(amount: Amount | None) -> Decimal | None:
    return None if amount is None else Decimal(amount)
