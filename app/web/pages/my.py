"""The page on which a customer sees and changes an agreement by a signed link, without an account.

Opening a page changes nothing. A change takes two: one that says what will happen, and its button. Afterwards the
browser is sent back to the first page, so that reloading repeats nothing.
"""

from datetime import date
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from app.domain.errors import Duplicate, IllegalState, InvalidInput, NotFound, OutcomeUnknown, RecurringError
from app.usecases.customer_actions import Action, act, check_day, choosable, consequence, mark, offered
from app.usecases.customer_page import SHOWN, CustomerPage, customer_page
from app.web.answers import http_status
from app.web.context import WebContext
from app.web.pages.catalogue import Language
from app.web.pages.catalogue import offered as offered_languages
from app.web.pages.forms import fields
from app.web.pages.my_words import sentences
from app.web.pages.public import AREA, busy, chosen_language, from_elsewhere, invalid, message, spoken
from app.web.pages.rendering import page
from app.web.pages.throttle import READS, WRITES, Throttle

_OK, _BAD = 200, 400
_GOOD, _CAREFUL = "good", "warn"
# What the first page tells of what was done just now.
_TOLD = dict.fromkeys(Action, _GOOD) | {"soon": _CAREFUL, "stale": _CAREFUL}
_DATED = frozenset({Action.PAUSE, Action.MOVE})


class _Visit:
    """One request by a link; raises NotFound where the link opens nothing."""

    def __init__(self, context: WebContext, token: str, request: Request) -> None:
        self.context = context
        self.request = request
        self.row_id, self.number = context.links.agreement_of(token)

    async def page(self) -> CustomerPage:
        return await customer_page(self.context.deps, self.row_id, self.number)

    def language(self, it: CustomerPage) -> Language:
        return spoken(self.request, it.language)

    def path(self, step: str = "", **query: str) -> str:
        """The address of a step, in the language that was chosen."""
        base = self.context.links.my(self.row_id, self.number)
        chosen = chosen_language(self.request)
        kept = {"lang": chosen} if chosen else {}
        told = urlencode(kept | query)
        return base + (f"/{step}" if step else "") + (f"?{told}" if told else "")

    def back(self, step: str = "", **query: str) -> RedirectResponse:
        return RedirectResponse(self.path(step, **query), 303, {"Cache-Control": "no-store"})


def router(context: WebContext) -> APIRouter:
    routes = APIRouter()
    throttle = Throttle()

    async def serve(token: str, request: Request, action: str | None = None) -> Response:
        """One way in for every request: the link, how often it is used, and where a form comes from."""
        writes = request.method == "POST"
        try:
            visit = _Visit(context, token, request)
            wait = throttle.wait(visit.row_id, WRITES if writes else READS, context.deps.clock())
            if wait:
                return busy(context, request, wait)
            if writes and from_elsewhere(context, request):
                return message(context, spoken(request), "elsewhere", 403)
            if action is None:
                return _shown(visit, await visit.page())
            if action not in set(Action):
                return invalid(context, request)
            return await (_done if writes else _asked)(visit, Action(action))
        except NotFound:
            return invalid(context, request)

    @routes.get("/my/{token}")
    async def show(token: str, request: Request) -> Response:
        return await serve(token, request)

    @routes.get("/my/{token}/{action}")
    async def ask(token: str, action: str, request: Request) -> Response:
        return await serve(token, request, action)

    @routes.post("/my/{token}/{action}")
    async def do(token: str, action: str, request: Request) -> Response:
        return await serve(token, request, action)

    return routes


def _shown(visit: _Visit, it: CustomerPage) -> HTMLResponse:
    told, can = visit.request.query_params.get("told", ""), offered(it)
    # What can be done still was not done; only moving can be done twice.
    true = told in _TOLD and (told not in can or told == Action.MOVE)
    return page(
        visit.context,
        "my.html",
        visit.language(it),
        shop_name=it.shop_name,
        it=it,
        state=it.state.lower(),
        told=told if true else None,
        tone=_TOLD.get(told),
        actions=[(action, visit.path(action)) for action in can],
        pay_url=visit.context.links.pay(it.unpaid.id) if it.unpaid else None,
        receipts=it.receipts[:SHOWN],
        older=len(it.receipts) > SHOWN,
        languages=[(other, visit.path(lang=code)) for code, other in offered_languages(AREA).items()],
    )


async def _asked(visit: _Visit, action: Action) -> Response:
    """Choose a day, where it needs one; then what will happen, with the button that does it."""
    it = await visit.page()
    if action not in offered(it):
        return visit.back(told="stale")
    typed = visit.request.query_params.get("day") if action in _DATED else ""
    if typed is None:
        return _choose(visit, it, action)
    try:
        return _confirm(visit, it, action, _day(typed))
    except InvalidInput:
        return _choose(visit, it, action, typed, _BAD)


def _choose(visit: _Visit, it: CustomerPage, action: Action, typed: str | None = None, status: int = _OK) -> Response:
    first, last = choosable(it, action)
    return page(
        visit.context,
        "my_day.html",
        visit.language(it),
        status=status,
        shop_name=it.shop_name,
        action=action,
        here=visit.path(action),
        chosen=chosen_language(visit.request),
        back=visit.path(),
        first=first,
        last=last,
        typed=typed or "",
        wrong=typed is not None,
    )


def _confirm(visit: _Visit, it: CustomerPage, action: Action, day: date | None, status: int = _OK) -> Response:
    check_day(it, action, day)
    words = visit.language(it)
    return page(
        visit.context,
        "my_confirm.html",
        words,
        status=status,
        shop_name=it.shop_name,
        action=action,
        product=it.agreement.product_name,
        sentences=sentences(words, action, consequence(it, action, day), it),
        here=visit.path(action),
        back=visit.path(),
        day_field=day.isoformat() if day else "",
        mark=mark(it),
        trouble=status != _OK,
    )


async def _done(visit: _Visit, action: Action) -> Response:
    try:
        form = fields(await visit.request.body())
        day = _day(form.get("day"))
        await act(visit.context.deps, visit.row_id, visit.number, action, day, form.get("seen", ""))
    except InvalidInput:
        return visit.back(action)
    except (Duplicate, IllegalState):
        return visit.back(told="stale")
    except OutcomeUnknown:
        return visit.back(told="soon")
    except NotFound:
        raise
    except RecurringError as error:
        it = await visit.page()
        if action not in offered(it):  # it is done as far as we are concerned, and followed up
            return visit.back(told="soon")
        return _confirm(visit, it, action, day, http_status(error))
    return visit.back(told=action)


def _day(text: str | None) -> date | None:
    """Raises InvalidInput."""
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise InvalidInput("this is no day", field="day") from None
