"""What Saleor calls: the manifest, the token handshake, webhooks."""

import json
import re
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from app.domain.errors import InvalidInput, RecurringError
from app.saleor.manifest import manifest
from app.usecases.installations import register, store_webhook
from app.web.answers import http_status
from app.web.context import WebContext
from app.web.payments import ANSWERS, answer
from app.web.signed import header, verified

_TOKEN = re.compile(r"[\x21-\x7e]{1,255}")  # Saleor's own have 30 characters


def router(context: WebContext) -> APIRouter:
    routes = APIRouter()

    @routes.get("/api/manifest")
    async def serve_manifest(request: Request) -> dict[str, Any]:
        return manifest(context.app_url, context.app_version, request.headers.get("Saleor-Schema-Version"))

    @routes.post("/api/register")
    async def handshake(request: Request) -> JSONResponse:
        """Any answer below 400 means installed to Saleor, so everything that is not that is 400 or more."""
        try:
            shop = context.rules.check(header(request, "Saleor-Api-Url"))
            await register(context.deps, shop, _auth_token(await request.body()), context.app_identifier)
        except RecurringError as error:
            return _refused(error)
        return JSONResponse({"success": True})

    @routes.post("/api/webhooks/saleor/{event}")
    async def webhook(event: str, request: Request) -> JSONResponse:
        try:
            installation, sent = await verified(context, event, request)
            if sent.event in ANSWERS:
                return await answer(context.deps, installation, sent)
            await store_webhook(context.deps, sent)
        except RecurringError as error:
            return _refused(error)
        # Stored is enough: 202 says that it will be done, and Saleor takes any 2xx.
        return JSONResponse({"success": True}, status_code=202)

    return routes


def _auth_token(body: bytes) -> str:
    try:
        token = json.loads(body)["auth_token"]
    except (ValueError, KeyError, TypeError, RecursionError):
        token = None
    if not isinstance(token, str) or not _TOKEN.fullmatch(token):
        raise InvalidInput("the body holds no auth_token that a header could carry", field="auth_token")
    return token


def _refused(error: RecurringError) -> JSONResponse:
    """Staff read `error.message`; after a 4xx Saleor never repeats, after a 5xx it does (facts: SALEOR 2, 3.4)."""
    answer = {"success": False, "error": {"code": error.code, "message": error.message}}
    return JSONResponse(answer, status_code=http_status(error))
