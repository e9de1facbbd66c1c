"""The document that the Dashboard opens in its frame. It holds no data, because nobody has proven anything yet."""

from urllib.parse import urlencode

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from app.web.context import WebContext
from app.web.pages.catalogue import language as named
from app.web.pages.catalogue import preferred
from app.web.pages.framing import framing_shop, origins_of
from app.web.pages.rendering import page

AREA, HOME = "dashboard", "/home"
_WIDGETS = "/widgets/"
_THEMES = ("light", "dark")
# What the Dashboard and our script add to an address (facts: SALEOR 8.1); everything else there is the page's own.
_NOT_OURS = frozenset({"domain", "saleorApiUrl", "id", "theme", "locale", "appParams"})


def router(context: WebContext) -> APIRouter:
    routes = APIRouter()

    @routes.get("/app")
    async def start(request: Request) -> HTMLResponse:
        return await _shell(context, request, HOME)

    @routes.get("/app/{path:path}")
    async def deeper(path: str, request: Request) -> HTMLResponse:
        """The Dashboard opens a page by its own address again: what `updateRouting` told it."""
        return await _shell(context, request, f"/{path}" if path else HOME)

    return routes


async def _shell(context: WebContext, request: Request, path: str) -> HTMLResponse:
    # The script asks with `locale` when it knows the Dashboard's, which stands in no address of the Dashboard's own.
    locale = request.query_params.get("locale")
    accepted = request.headers.get("Accept-Language")
    language = named(AREA, locale) if locale else preferred(AREA, accepted)
    shop = await framing_shop(context, request)
    if shop is None:
        return page(context, "outside.html", language, status=404)
    theme = request.query_params.get("theme")
    origins = origins_of(context, shop)
    return page(
        context,
        "dashboard.html",
        language,
        framed_by=origins,
        origins=origins,
        path=path + _own_query(request),
        widget=path.startswith(_WIDGETS),
        theme=theme if theme in _THEMES else None,
    )


def _own_query(request: Request) -> str:
    """What a page was narrowed down to, as `updateRouting` told it, or what the Dashboard's page is about."""
    own: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        # Repeated in some places: the first that is filled counts (facts: SALEOR 8.1).
        if value and name not in _NOT_OURS and not name.startswith("featureFlags"):
            own.setdefault(name, value)
    return f"?{urlencode(own)}" if own else ""
