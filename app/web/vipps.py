"""What Vipps calls: webhooks about agreements and charges, signed by HMAC."""

from collections.abc import Sequence

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from app.domain.errors import RecurringError, Unauthenticated
from app.domain.records import Webhook
from app.usecases.notifications import receive_vipps
from app.vipps.webhooks import read_event, verify
from app.web.answers import http_status
from app.web.context import WebContext


def router(context: WebContext) -> APIRouter:
    routes = APIRouter()

    @routes.post("/api/webhooks/vipps/{account}")
    async def webhook(account: str, request: Request) -> JSONResponse:
        """Stored is enough: Vipps repeats for a week whatever is not answered with 2xx (facts: VIPPS 12.4)."""
        body = await request.body()

        def check(known: Sequence[Webhook]) -> None:
            _verify(known, body, request)

        try:
            await receive_vipps(context.deps, account[:64], check, lambda: read_event(body))
        except RecurringError as error:
            return JSONResponse({"success": False, "error": error.message}, status_code=http_status(error))
        return JSONResponse({"success": True}, status_code=202)

    return routes


def _verify(known: Sequence[Webhook], body: bytes, request: Request) -> None:
    """The URL that was registered is what was signed, whatever a proxy made of it on the way (facts: VIPPS 12.5)."""
    refusal: Unauthenticated | None = None
    for url in dict.fromkeys(webhook.url for webhook in known):
        try:
            verify([it.secret for it in known if it.url == url], url, body, request.headers)
        except Unauthenticated as error:
            refusal = error
        else:
            return
    raise refusal or Unauthenticated("no webhook of ours is registered here")
