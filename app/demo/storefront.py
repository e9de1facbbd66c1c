"""The example storefront, served by a simulated shop for itself."""

import json
import re
from pathlib import Path

from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route

from app.demo.processes import Place

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "storefront.html"
_SETTINGS = re.compile(r'{ "shop".*?}', re.DOTALL)
PATH = "/storefront"


def page(place: Place) -> str:
    """The example with its settings filled in."""
    settings = json.dumps({"shop": place.shop, "app": place.app, "channel": "norway"})
    return _SETTINGS.sub(lambda _: settings, EXAMPLE.read_text("utf-8"), count=1)


def route(place: Place) -> Route:
    text = page(place)

    async def show(_request: Request) -> HTMLResponse:
        return HTMLResponse(text)

    return Route(PATH, show)
