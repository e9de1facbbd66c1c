"""The payment methods that apps keep for a customer: listed for a while from memory, deleted on request."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from app.saleor.simulator.answers import NO_ANSWER
from app.saleor.simulator.app_calls import AppCalls
from app.saleor.simulator.models import App, Channel, User
from app.saleor.simulator.records import Event, Records
from app.saleor.simulator.transaction_models import TransactionEvent

LIST, DELETE = "LIST_STORED_PAYMENT_METHODS", "STORED_PAYMENT_METHOD_DELETE_REQUESTED"
KEPT = timedelta(minutes=5)
SILENCE_KEPT = timedelta(seconds=1)
RESULTS = ("SUCCESSFULLY_DELETED", "FAILED_TO_DELETE", "FAILED_TO_DELIVER")
CARD_TEXTS = ("brand", "lastDigits")
CARD_NUMBERS = ("expMonth", "expYear")

Key = tuple[str, str, str]  # app, user and channel


@dataclass(frozen=True)
class StoredMethod:
    """`external_id` is the app's own; `id` wraps it with the app's identifier."""

    app: App
    external_id: str
    type: str
    currency: str
    name: str | None = None
    data: Any = None
    card: dict[str, Any] | None = None
    flows: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        return f"app:{self.app.identifier}:{self.external_id}"


@dataclass(frozen=True)
class Deletion:
    result: str
    error: str | None = None


class StoredMethods:
    """Asks every app that lists payment methods."""

    def __init__(self, shop: Records, calls: AppCalls) -> None:
        self._shop = shop
        self._calls = calls
        self._kept: dict[Key, tuple[datetime, list[StoredMethod]]] = {}

    async def of(self, user: User, channel: Channel) -> list[StoredMethod]:
        found: list[StoredMethod] = []
        for app in self._shop.apps:
            if self._calls.first(app, LIST):
                found += await self._of_app(app, user, channel)
        return found

    async def _of_app(self, app: App, user: User, channel: Channel) -> list[StoredMethod]:
        key, now = (app.identifier, user.id, channel.slug), self._shop.clock.now()
        until, kept = self._kept.get(key, (now, []))
        if now < until:
            return kept
        answer = await self._ask(app, LIST, user, {"channel": channel})
        listed = [] if answer is None else _read(answer, app, channel)
        self._kept[key] = now + (SILENCE_KEPT if answer is None else KEPT), listed
        return listed

    async def delete(self, user: User, method_id: str, channel: Channel) -> Deletion:
        """The app hears its own id only."""
        prefix, _, rest = method_id.partition(":")
        identifier, _, external_id = rest.partition(":")
        app = next((a for a in self._shop.apps if a.identifier == identifier and self._calls.first(a, DELETE)), None)
        if prefix != "app" or not external_id or app is None:
            return Deletion("FAILED_TO_DELIVER", "Payment method request delete failed to deliver.")
        answer = await self._ask(app, DELETE, user, {"channel": channel, "paymentMethodId": external_id})
        if answer is None:
            return Deletion("FAILED_TO_DELIVER", NO_ANSWER)
        result = answer.get("result") if isinstance(answer, dict) else None
        if result not in RESULTS:
            possible = ", ".join(RESULTS)
            text = f"Missing or invalid value for `result`: {result}. Possible values: {possible}."
            return Deletion("FAILED_TO_DELETE", text)
        if result == "SUCCESSFULLY_DELETED":
            self._forget(identifier, user, channel)
        return Deletion(result, answer.get("error"))

    async def _ask(self, app: App, name: str, user: User, details: dict[str, Any]) -> Any:
        webhook = self._calls.first(app, name)
        event = Event(name, user, user, self._shop.clock.now(), details)
        return await self._calls.call(webhook, event) if webhook else None

    def heard_success(self, event: TransactionEvent) -> None:
        """A payment that succeeded may have stored a method."""
        transaction = event.transaction
        user = getattr(transaction.source, "user", None)
        if user and transaction.app_identifier:
            self._forget(transaction.app_identifier, user, transaction.source.channel)

    def _forget(self, identifier: str, user: User, channel: Channel) -> None:
        self._kept.pop((identifier, user.id, channel.slug), None)


def _read(answer: Any, app: App, channel: Channel) -> list[StoredMethod]:
    """What is not a payment method is skipped."""
    given = answer.get("paymentMethods") if isinstance(answer, dict) else None
    listed: Sequence[Any] = given if isinstance(given, list) else []
    return [
        StoredMethod(
            app=app,
            external_id=entry["id"],
            type=entry["type"],
            currency=channel.currency,
            name=entry.get("name"),
            data=entry.get("data"),
            card=_card(entry.get("creditCardInfo")),
            flows=tuple(entry.get("supportedPaymentFlows") or ()),
        )
        for entry in listed
        if _is_method(entry)
    ]


def _is_method(entry: Any) -> bool:
    if not isinstance(entry, dict):
        return False
    flows = entry.get("supportedPaymentFlows")
    texts = all(isinstance(entry.get(name), str) for name in ("id", "type"))
    named = isinstance(entry.get("name"), str | None)
    return texts and named and (flows is None or (isinstance(flows, list) and set(flows) <= {"INTERACTIVE"}))


def _card(given: Any) -> dict[str, Any] | None:
    """An incomplete card is dropped; the method stays."""
    if not isinstance(given, dict):
        return None
    texts = all(isinstance(given.get(name), str | int) for name in CARD_TEXTS)
    numbers = all(isinstance(given.get(name), int) for name in CARD_NUMBERS)
    if not texts or not numbers:
        return None
    names = (*CARD_TEXTS, *CARD_NUMBERS, "firstDigits")
    return {name: given.get(name) for name in names} | {"lastDigits": str(given["lastDigits"])}
