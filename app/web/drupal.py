"""The REST operations that the Drupal module documents, path for path, behind Basic auth.

Where the module was wrong (facts: PEERS 1.5) this is not: a malformed item is that item's error, a malformed body 400,
missing credentials 401, a missing scope 403, and one failure never stops the rest.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response

from app.domain.account import Caller, Scope
from app.domain.batch import BatchResult, ItemResult
from app.domain.errors import RecurringError
from app.domain.operation import OperationKind
from app.usecases.accounts import test_auth
from app.usecases.agreements import cancel_agreements, get_agreement
from app.usecases.charges import get_charges, make_charges
from app.usecases.money_moves import move
from app.usecases.ports import Deps
from app.web import drupal_bodies as bodies
from app.web.answers import http_status
from app.web.auth import basic_caller
from app.web.context import WebContext

PREFIX = "/vipps-recurring-payments"
Operation = Callable[[Deps, Caller, Request], Awaitable[Response]]


async def _test_auth(deps: Deps, caller: Caller, _request: Request) -> Response:
    caller.require(Scope.TOKEN_READ)
    return PlainTextResponse((await test_auth(deps, caller, None)).token.value)


async def _get_agreement(deps: Deps, caller: Caller, request: Request) -> Response:
    agreement_id = bodies.one_text(await _body(request))
    return JSONResponse(bodies.agreement((await get_agreement(deps, caller, agreement_id))[1]))


async def _cancel_agreements(deps: Deps, caller: Caller, request: Request) -> Response:
    return _batch(await cancel_agreements(deps, caller, bodies.texts(await _body(request))), _id)


async def _make_charges(deps: Deps, caller: Caller, request: Request) -> Response:
    items = bodies.charges_to_make(await _body(request), request.headers.get("Idempotency-Key"))
    return _batch(await make_charges(deps, caller, items), lambda item: item.answer.charge_id)


async def _get_charges(deps: Deps, caller: Caller, request: Request) -> Response:
    result = await get_charges(deps, caller, bodies.agreement_ids(await _body(request)))
    return _batch(result, lambda item: bodies.charge_list(item.answer.seen))


def _moving(kind: OperationKind) -> Operation:
    async def operation(deps: Deps, caller: Caller, request: Request) -> Response:
        items = bodies.moves(kind, await _body(request), request.headers.get("Idempotency-Key"))
        return _batch(await move(deps, caller, items), _id)

    return operation


_OPERATIONS: tuple[tuple[str, str, Operation], ...] = (
    ("/test/auth", "GET", _test_auth),
    ("/agreement/get", "POST", _get_agreement),
    ("/agreement/cancel", "POST", _cancel_agreements),
    ("/charge/make", "POST", _make_charges),
    ("/charge/get", "POST", _get_charges),
    ("/charge/cancel", "POST", _moving(OperationKind.CANCEL)),
    ("/charge/refund", "POST", _moving(OperationKind.REFUND)),
)


def router(context: WebContext) -> APIRouter:
    routes = APIRouter(prefix=PREFIX)
    for path, method, operation in _OPERATIONS:
        routes.add_api_route(path, _handler(context, operation), methods=[method], response_model=None)
    return routes


def _handler(context: WebContext, operation: Operation) -> Callable[[Request], Awaitable[Response]]:
    async def handle(request: Request) -> Response:
        try:
            caller = await basic_caller(context, request.headers.get("Authorization"))
            return await operation(context.deps, caller, request)
        except RecurringError as error:
            status = http_status(error)
            headers = {"WWW-Authenticate": 'Basic realm="vipps-recurring"'} if status == 401 else None  # noqa: PLR2004
            return JSONResponse({"success": False, "error": error.message}, status_code=status, headers=headers)

    return handle


async def _body(request: Request) -> Any:
    return bodies.parse(request.headers.get("Content-Type"), await request.body())


def _id(item: ItemResult[Any]) -> str:
    return item.id


def _batch(result: BatchResult[Any], success: Callable[[ItemResult[Any]], Any]) -> Response:
    errors = [f"{_shown(item.id)}: {_shown(item.error.message)}" for item in result.errors if item.error]
    return JSONResponse({"successes": [success(item) for item in result.successes], "errors": errors})


def _shown(text: str) -> str:
    """What a caller sent may hold halves of characters, which no answer can carry."""
    return text.encode("utf-8", "replace").decode()
