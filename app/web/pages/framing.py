"""Which Dashboards may show us in a frame: a page whose shop is not known is framed by nobody.

Where a shop's Dashboard is served nothing at Saleor tells. Saleor Cloud, and whoever installs it the usual way, serves
it from the API's own origin, so that is the rule; the setting DASHBOARD_ORIGINS adds others, for all shops
("https://dashboard.example") or for one ("https://shop.example/graphql/=https://dashboard.example").
"""

from collections.abc import Sequence
from urllib.parse import urlsplit

from fastapi import Request

from app.domain.errors import NotFound
from app.usecases.installations import installed
from app.web.context import WebContext

_LONGEST = 255


def origins_of(context: WebContext, shop: str) -> Sequence[str]:
    """The shop's API origin first, then what the setting adds."""
    parts = urlsplit(shop)
    entries = [entry.rpartition("=") for entry in context.dashboard_origins]
    added = [origin for named, _, origin in entries if named in ("", shop)]
    return list(dict.fromkeys([f"{parts.scheme}://{parts.netloc}", *added]))


async def framing_shop(context: WebContext, request: Request) -> str | None:
    """The installed shop that the Dashboard names in the address, or None.

    It decides about frames and about nothing else: whose data is shown the token says. The Dashboard repeats parameters
    in some places, so the first that is filled counts (facts: SALEOR 8.1).
    """
    named = _first(request, "saleorApiUrl")
    domain = _first(request, "domain")
    guessed = [f"{scheme}://{domain}/graphql/" for scheme in ("https", "http")] if domain else []
    for shop in [named] if named else guessed:
        try:
            return (await installed(context.deps, shop)).shop
        except NotFound:
            continue
    return None


def _first(request: Request, name: str) -> str:
    found = next((value for value in request.query_params.getlist(name) if value), "")
    return found if len(found) <= _LONGEST and found.isprintable() else ""
