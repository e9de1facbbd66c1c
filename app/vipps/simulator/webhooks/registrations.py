"""Who wants to hear of what: the registrations of each sales unit, and the rules for making one."""

from collections.abc import Iterator

import httpx

from app.vipps.simulator.config import SimulatorConfig
from app.vipps.simulator.knobs import Knobs
from app.vipps.simulator.refusals import ErrorItem, RefusedError, refuse
from app.vipps.simulator.webhooks.deliveries import Registration, Status
from app.vipps.simulator.webhooks.events import EVENT_TYPES


class Registrations:
    def __init__(self, config: SimulatorConfig, knobs: Knobs) -> None:
        self._most = config.max_registrations
        self._knobs = knobs
        self._by_id: dict[str, Registration] = {}

    def __iter__(self) -> Iterator[Registration]:
        return iter(list(self._by_id.values()))

    def __contains__(self, registration: Registration) -> bool:
        return registration.id in self._by_id

    def of(self, msn: str) -> list[Registration]:
        return [registration for registration in self._by_id.values() if registration.msn == msn]

    def add(self, msn: str, url: str, events: list[str]) -> Registration:
        problems = [*self._problems_of_url(url), *self._problems_of_events(msn, events)]
        if problems:
            raise RefusedError(400, tuple(problems))
        registration = Registration(msn=msn, url=url, events=tuple(dict.fromkeys(events)))
        self._by_id[registration.id] = registration
        return registration

    def _problems_of_url(self, url: str) -> Iterator[ErrorItem]:
        scheme = _scheme_of(url)
        if scheme not in {"http", "https"}:
            yield ErrorItem("This is no address that can be called.", field="url")
        elif self._knobs.require_https and scheme != "https":
            yield ErrorItem("The address must use https.", field="url")

    def _problems_of_events(self, msn: str, events: list[str]) -> Iterator[ErrorItem]:
        if not events:
            yield ErrorItem("At least one event is needed.", field="events")
        for event in dict.fromkeys(events):
            # What other products tell is none of our business here; what Recurring does not tell is a slip.
            if event not in EVENT_TYPES and (event.startswith("recurring.") or "." not in event):
                yield ErrorItem(f"There is no event {event}.", field="events")
            elif sum(event in other.events for other in self.of(msn)) >= self._most:
                yield ErrorItem(f"There are {self._most} webhooks for {event} already.", field="events")

    def remove(self, msn: str, registration_id: str) -> None:
        registration = self._by_id.get(registration_id)
        if registration is None or registration.msn != msn:
            raise refuse(404, "There is no such webhook.")
        self.forget(registration)

    def forget(self, registration: Registration) -> None:
        """What was still to be told is told to nobody."""
        self._by_id.pop(registration.id, None)
        for delivery in registration.queue:
            delivery.status = Status.ABANDONED
        registration.queue.clear()


def _scheme_of(url: str) -> str | None:
    """None for what cannot be called."""
    if not url.isascii() or not url.isprintable() or " " in url:
        return None
    try:
        target = httpx.URL(url)
    except httpx.InvalidURL:
        return None
    return target.scheme if target.host else None
