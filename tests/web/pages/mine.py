"""Steps before the customer's page: the link as it is handed out, what the page says, and pressing its buttons."""

import re
from collections.abc import Mapping
from html import unescape

import httpx

from tests.usecases.renewing import Subscribed
from tests.usecases.steps import agreement_row
from tests.web.pages.visiting import fields, words
from tests.world import APP_URL, World

ENGLISH = {"Accept-Language": "en"}
FIXED = "\N{NO-BREAK SPACE}"


async def path_of(world: World, agreement: str) -> str:
    row = await agreement_row(world, agreement)
    return world.context.deps.my_url(row.id, row.link_number).removeprefix(APP_URL)


async def opened(world: World, path: str, headers: Mapping[str, str] = ENGLISH) -> httpx.Response:
    answer = await world.http.get(path, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer


async def said(them: Subscribed) -> str:
    """What their page says now, in English."""
    return words(await opened(them.world, await path_of(them.world, them.agreement))).replace(FIXED, " ")


def actions(answer: httpx.Response) -> set[str]:
    """The names of what the page offers to do."""
    return set(re.findall(r'href="[^"]*/my/[^"/]+/(\w+)"', unescape(answer.text)))


async def confirming(world: World, path: str, action: str, day: str | None = None) -> httpx.Response:
    """The page that says what will happen."""
    asked = f"{path}/{action}" + (f"?day={day}" if day is not None else "")
    return await opened(world, asked)


async def press(
    world: World, path: str, action: str, form: Mapping[str, str], headers: Mapping[str, str] = ENGLISH
) -> httpx.Response:
    return await world.http.post(f"{path}/{action}", data=dict(form), headers=headers)


async def told_after(world: World, answer: httpx.Response) -> str:
    """Where the button leads, and what stands there."""
    assert answer.status_code == 303, answer.text
    shown = await opened(world, answer.headers["Location"].removeprefix(APP_URL))
    return words(shown).replace(FIXED, " ")


async def done(world: World, path: str, action: str, day: str | None = None) -> str:
    """Confirm it in the browser; what the page says afterwards."""
    form = fields(await confirming(world, path, action, day))
    return await told_after(world, await press(world, path, action, form))
