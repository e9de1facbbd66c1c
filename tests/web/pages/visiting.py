"""Staff in front of the pages: tokens as the Dashboard hands them over, and what a fragment says."""

import re
from html import unescape
from typing import Any

import httpx

from app.saleor.simulator.models import App, User
from tests.world import World

MONEY = frozenset({"HANDLE_PAYMENTS", "MANAGE_ORDERS"})


class Staff:
    """Somebody of the shop's staff, with a fresh token for each request unless one is given."""

    def __init__(self, world: World, permissions: frozenset[str] = MONEY, locale: str = "en") -> None:
        self.world = world
        self.locale = locale
        self.shop = world.saleor
        self.user: User = self.shop.create_staff(f"staff-{len(self.shop.users)}@shop.example", permissions)

    @property
    def app(self) -> App:
        return self.shop.apps[-1]

    def headers(self, **claims: Any) -> dict[str, str]:
        token = self.shop.tokens.dashboard(self.user, self.app, **claims)
        return {"Authorization": f"Bearer {token}", "Accept-Language": self.locale}

    async def get(self, path: str, **claims: Any) -> httpx.Response:
        return await self.world.http.get(f"/app/content{path}", headers=self.headers(**claims))

    async def post(self, path: str, form: dict[str, str] | None = None, **claims: Any) -> httpx.Response:
        return await self.world.http.post(f"/app/content{path}", data=form or {}, headers=self.headers(**claims))


def words(answer: httpx.Response) -> str:
    """What a fragment says, without its markup."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", answer.text)).split())


def fields(answer: httpx.Response) -> dict[str, str]:
    """What stands in the fragment's fields, as a browser would send it."""
    found: dict[str, str] = {}
    for tag in re.findall(r"<input [^>]*>", answer.text):
        attributes = dict(re.findall(r'([\w-]+)="([^"]*)"', tag))
        found[attributes["name"]] = unescape(attributes.get("value", ""))
    for name, options in re.findall(r'<select [^>]*name="([^"]+)"[^>]*>(.*?)</select>', answer.text, re.DOTALL):
        values = re.findall(r'<option value="([^"]*)"( selected)?', options)
        found[name] = next((value for value, chosen in values if chosen), values[0][0])
    return found


def wrong(answer: httpx.Response) -> set[str]:
    """The names of the fields that the fragment calls wrong."""
    return set(re.findall(r'id="([\w-]+)"[^>]*aria-invalid="true"', answer.text))
