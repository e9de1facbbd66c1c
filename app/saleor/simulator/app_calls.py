"""What payments need of the webhook sender."""

from collections.abc import Callable
from typing import Any, Protocol

from app.saleor.simulator.models import App, Webhook
from app.saleor.simulator.records import Event

OnAnswer = Callable[[Any], None]


class AppCalls(Protocol):
    """An app is reached by the first of its active webhooks for an event, if it may handle payments."""

    def first(self, app: App, event_name: str) -> Webhook | None: ...

    async def call(self, webhook: Webhook, event: Event) -> Any:
        """One attempt, while the caller waits. What the app answered with success as JSON, else None."""

    def request(self, webhook: Webhook, event: Event, on_answer: OnAnswer) -> bool:
        """Queues; the answer, or None where none came, arrives later. False where there is nothing to send."""
