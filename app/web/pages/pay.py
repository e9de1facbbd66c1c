"""The page on which a customer pays a failed renewal by a signed link. Opening it changes nothing; its button does."""

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from app.domain.errors import IllegalState, NotFound, OutcomeUnknown, RecurringError, Unavailable
from app.usecases.pay_links import PayPage, PayState, pay, pay_page
from app.web.answers import http_status
from app.web.context import WebContext
from app.web.pages.public import busy, from_elsewhere, invalid, message, spoken
from app.web.pages.rendering import page
from app.web.pages.throttle import READS, WRITES, Throttle

_LOOK_AGAIN = "4"  # seconds
_OFFERED = frozenset({PayState.PAYABLE, PayState.WAITING})
# Where Vipps' own pages lie is Vipps' to say, and they lead on to others.
_ANYWHERE = ("https:", "http:")


def router(context: WebContext) -> APIRouter:
    routes = APIRouter()
    throttle = Throttle()

    @routes.get("/pay/{token}")
    async def show(token: str, request: Request) -> Response:
        try:
            renewal_id = context.links.renewal_of(token)
            if wait := throttle.wait(renewal_id, READS, context.deps.clock()):
                return busy(context, request, wait)
            return _shown(context, request, await pay_page(context.deps, renewal_id))
        except NotFound:
            return invalid(context, request)

    @routes.post("/pay/{token}")
    async def begin(token: str, request: Request) -> Response:
        try:
            renewal_id = context.links.renewal_of(token)
            if wait := throttle.wait(renewal_id, WRITES, context.deps.clock()):
                return busy(context, request, wait)
            if from_elsewhere(context, request):
                return message(context, spoken(request), "elsewhere", 403)
            return RedirectResponse(await pay(context.deps, renewal_id), 303, {"Cache-Control": "no-store"})
        except NotFound:
            return invalid(context, request)
        except RecurringError as error:
            it = await pay_page(context.deps, renewal_id)
            if isinstance(error, IllegalState) and it.state not in _OFFERED:
                # It is paid, or being collected, or over: the page says which.
                return RedirectResponse(context.links.pay(renewal_id), 303, {"Cache-Control": "no-store"})
            return _shown(context, request, it, error)

    return routes


def _shown(context: WebContext, request: Request, it: PayPage, error: RecurringError | None = None) -> Response:
    words = spoken(request, it.language)
    state = f"public.pay.{it.state.lower()}"
    answer = page(
        context,
        "pay.html",
        words,
        status=http_status(error) if error else 200,
        form_targets=_ANYWHERE,
        heading=words.text(f"{state}.heading"),
        sentence=words.text(f"{state}.sentence"),
        button=words.text(f"{state}.button") if it.state in _OFFERED else None,
        trouble=words.text(f"public.pay.{_trouble(error)}") if error else None,
        shop_name=it.shop_name,
        product=it.product,
        amount=it.amount,
        due=it.due,
    )
    if it.state is PayState.WAITING and error is None:
        answer.headers["Refresh"] = _LOOK_AGAIN
    return answer


def _trouble(error: RecurringError) -> str:
    """Whether it may go another time, or somebody has to do something before."""
    return "trouble" if isinstance(error, (Unavailable, OutcomeUnknown)) else "refused"
