"""One request for a fragment: who asks, in which language, and what may be shown.

Every fragment and every form is asked for with the Dashboard's token in a header, which no other site can send: there
is no cookie, so there is nothing to forge. A refusal is a fragment too, because people read it.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from app.domain.account import Caller, CallerKind, Scope
from app.domain.errors import Forbidden, NotFound, RecurringError, Unauthenticated
from app.web.answers import http_status
from app.web.auth import any_caller
from app.web.context import WebContext
from app.web.pages.catalogue import Language, preferred
from app.web.pages.forms import fields
from app.web.pages.rendering import page

SEARCH = "Search-For"  # the header with what somebody typed into a search, percent-encoded
PORTAL = "https://portal.vippsmobilepay.com/"  # where merchants find their keys


@dataclass(frozen=True, slots=True)
class Visit:
    """A member of the shop's staff looks at something or sends a form. `form` is empty for those who only look.

    `search` is what they typed to find somebody: it may be about a person, so it never stands in an address.
    """

    context: WebContext
    caller: Caller
    language: Language
    parameters: Mapping[str, str]
    form: Mapping[str, str]
    search: str = ""

    @property
    def shop(self) -> str:
        return self.caller.shop

    @property
    def may_write(self) -> bool:
        return Scope.CHARGES_WRITE in self.caller.rights

    def show(self, template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
        return page(self.context, template, self.language, status=status, visit=self, portal=PORTAL, **values)


Work = Callable[[Visit], Awaitable[Response]]


class Fragments:
    """Registers fragments below /app/content; each names the right that it needs. `close` answers for all others."""

    def __init__(self, context: WebContext) -> None:
        self._context = context
        self.routes = APIRouter(prefix="/app/content")

    def get(self, path: str, work: Work, needs: Scope = Scope.AGREEMENTS_READ) -> None:
        self._add("GET", path, work, needs)

    def post(self, path: str, work: Work, needs: Scope = Scope.CHARGES_WRITE) -> None:
        self._add("POST", path, work, needs)

    def close(self) -> APIRouter:
        self.get("/{path:path}", _nowhere)
        return self.routes

    def _add(self, method: str, path: str, work: Work, needs: Scope) -> None:
        async def serve(request: Request) -> Response:
            language = preferred("dashboard", request.headers.get("Accept-Language"))
            try:
                return await work(await _visit(self._context, request, language, needs))
            except RecurringError as error:
                return _refused(self._context, language, error)

        self.routes.add_api_route(path, serve, methods=[method], response_class=HTMLResponse)


async def _nowhere(_visit: Visit) -> HTMLResponse:
    raise NotFound("there is no such page")


async def _visit(context: WebContext, request: Request, language: Language, needs: Scope) -> Visit:
    caller = await any_caller(context, request.headers.get("Authorization"), None)
    if caller.kind is not CallerKind.STAFF:
        raise Unauthenticated("these pages are for staff, with the Dashboard's app token")
    caller.require(needs)
    asked = dict(request.query_params) | {name: str(value) for name, value in request.path_params.items()}
    parameters = {name: value.replace("\0", "") for name, value in asked.items()}  # which no database takes
    form = fields(await request.body()) if request.method == "POST" else {}
    return Visit(context, caller, language, parameters, form, unquote(request.headers.get(SEARCH, "")))


def _refused(context: WebContext, language: Language, error: RecurringError) -> HTMLResponse:
    kinds = ((Unauthenticated, "expired"), (Forbidden, "forbidden"), (NotFound, "unknown"), (RecurringError, "failed"))
    kind = next(name for class_, name in kinds if isinstance(error, class_))
    return page(context, "refused.html", language, status=http_status(error), kind=kind, detail=error.message)
