"""The page to which Vipps sends a customer back: it waits for the outcome, and leads on to the shop."""

from urllib.parse import urlsplit

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from app.domain.errors import NotFound
from app.usecases.returning import Outcome, Return, returned
from app.web.context import WebContext
from app.web.pages.public import busy, invalid, spoken
from app.web.pages.rendering import page, security_headers
from app.web.pages.throttle import READS, Throttle

_EVERY, _SLOWLY = 2, 10  # seconds between looks
_PATIENT = 15  # looks until it is called slow: half a minute
_LAST = 75  # looks until nothing is waited for any more: the draft is over by then


def router(context: WebContext) -> APIRouter:
    routes = APIRouter()
    throttle = Throttle()

    @routes.get("/return/{token}")
    async def show(token: str, request: Request) -> Response:
        try:
            row_id = context.links.draft_of(token)
            wait = throttle.wait(row_id, READS, context.deps.clock())
            if wait:
                return busy(context, request, wait)
            it = await returned(context.deps, row_id)
        except NotFound:
            return invalid(context, request)
        if it.outcome is Outcome.APPROVED and it.fresh and it.onward is not None:
            return RedirectResponse(it.onward, 303, security_headers())
        return _waiting_or_over(context, request, row_id, it)

    return routes


def _waiting_or_over(context: WebContext, request: Request, row_id: str, it: Return) -> HTMLResponse:
    words, look = spoken(request), _look(request)
    slow = it.outcome is Outcome.WAITING and look >= _PATIENT
    key = f"public.back.{'slow' if slow else it.outcome.lower()}"
    answer = page(
        context,
        "back.html",
        words,
        heading=words.text(f"{key}.heading"),
        sentence=words.text(f"{key}.sentence"),
        shop_name=it.shop_name,
        product=it.product,
        onward=it.onward if slow or it.outcome is not Outcome.WAITING else None,
        shop=urlsplit(it.onward or "").hostname,
    )
    if it.outcome is Outcome.WAITING and look < _LAST:
        next_ = f"{context.links.back(row_id)}?look={look + 1}"
        answer.headers["Refresh"] = f"{_SLOWLY if slow else _EVERY}; url={next_}"
    return answer


def _look(request: Request) -> int:
    """How often this browser has looked; whoever makes it up waits otherwise, and nothing else."""
    text = request.query_params.get("look", "")
    return min(int(text), _LAST) if text.isascii() and text.isdigit() and len(text) <= len(str(_LAST)) else 0
