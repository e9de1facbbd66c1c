"""How the demo tells: steps and what came of them on the console, requests, and waiting for what should happen."""

import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import httpx
from rich.console import Console

from app.demo.errors import StoryError
from app.demo.office import Office
from app.demo.processes import Place

_PATIENCE = 20.0


class Passing(Protocol):
    """How time passes."""

    def wait(self) -> None: ...
    def days(self, number: int) -> None: ...


class RealTime:
    def wait(self) -> None:
        time.sleep(0.1)

    def days(self, number: int) -> None:
        raise StoryError(f"nobody waits for {number} days")


class Teller:
    def __init__(self, http: httpx.Client, place: Place, office: Office, passing: Passing | None = None) -> None:
        self.http = http
        self.app = place.app
        self.vipps = place.vipps
        self.saleor = place.saleor
        self.shop = place.shop
        self.office = office
        self.passing = passing or RealTime()
        self.console = Console(highlight=False, soft_wrap=True)
        self.step_number = 0

    # Telling

    def step(self, title: str, text: str = "") -> None:
        self.step_number += 1
        self.console.print(f"\n[bold cyan]{self.step_number}. {title}[/bold cyan]" + (f"\n   {text}" if text else ""))

    def say(self, text: str) -> None:
        self.console.print(f"   {text}")

    def check(self, what: str, *, holds: bool) -> None:
        if not holds:
            raise StoryError(what)
        self.console.print(f"   [green]✓[/green] {what}")

    # Calling

    def post(self, url: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Any:
        answer = self.http.post(url, json=body, headers=headers)
        if not answer.is_success:
            raise StoryError(f"{url} answered {answer.status_code}: {answer.text[:300]}")
        return answer.json() if answer.content else None

    def get(self, url: str) -> Any:
        return self.http.get(url).raise_for_status().json()

    def graphql(self, query: str, variables: Mapping[str, Any], headers: Mapping[str, str]) -> Any:
        answer = self.post(f"{self.app}/graphql", {"query": query, "variables": variables}, headers)
        if answer.get("errors"):
            raise StoryError(f"GraphQL: {answer['errors'][0]['message']}")
        return next(iter(answer["data"].values()))

    def wait_for(self, what: str, look: Callable[[], Any]) -> Any:
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            if found := look():
                return found
            self.passing.wait()
        raise StoryError(f"waited {_PATIENCE:.0f} s in vain for: {what}")

    def find_order(self, order_id: str) -> dict[str, Any]:
        found: dict[str, Any] = next(it for it in self.get(f"{self.saleor}/simulator/orders") if it["id"] == order_id)
        return found

    def sums_of(self, order_id: str) -> dict[str, float]:
        """What the order's only transaction adds up to."""
        found = self.get(f"{self.saleor}/simulator/orders/{order_id}/transactions")
        return dict(found[0]["sums"]) if found else {"charge_pending": 0, "charged": 0}

    def charges_made(self) -> list[dict[str, Any]]:
        return [it for it in self.get(f"{self.vipps}/simulator/ledger") if it["effect"] == "create"]

    def token(self, user: str) -> dict[str, str]:
        found = self.post(f"{self.saleor}/simulator/tokens", {"kind": "customer", "user": user})
        return {"Authorization": f"Bearer {found['token']}"}

    def control(self, path: str, body: Any = None) -> Any:
        """What the simulated shop is told to do."""
        return self.post(f"{self.saleor}/simulator{path}", body)
