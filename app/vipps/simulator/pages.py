"""Pages for people: the simulated app in which a user approves, and an overview with buttons for time and user."""

from collections.abc import Awaitable, Callable
from datetime import datetime, time, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from app.vipps.simulator.models import Agreement, AgreementStatus
from app.vipps.simulator.rules import add_months
from app.vipps.simulator.state import Simulator
from app.vipps.simulator.user import NotPossibleError
from app.vipps.simulator.views import APPROVAL_PATH, approval_url

# The overview is for looking around; the ledger has everything.
_SHOWN = 100
_ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><rect width="9" height="9" rx="2" fill="#ff5b24"/></svg>'
)


def _money(minor: int, agreement: Agreement) -> str:
    major, rest = divmod(minor, 100)
    return f"{major},{rest:02d} {'EUR' if agreement.currency == 'EUR' else 'kr'}"


def _environment() -> Environment:
    loader = FileSystemLoader(Path(__file__).parent / "templates")
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined)
    environment.filters["money"] = _money
    return environment


TEMPLATES = _environment()


def page_routes(simulator: Simulator) -> list[Route]:
    table: tuple[tuple[str, str, Callable[[Simulator, Request], Awaitable[Response]]], ...] = (
        ("GET", "/", _overview),
        ("POST", "/pages/advance", _advance),
        ("POST", "/pages/stop", _stop),
        ("GET", APPROVAL_PATH, _show_approval),
        ("POST", APPROVAL_PATH, _decide),
        ("GET", "/favicon.ico", _icon),
    )
    return [Route(path, partial(run, simulator), methods=[method]) for method, path, run in table]


def _render(template: str, status: int = 200, **values: Any) -> HTMLResponse:
    return HTMLResponse(TEMPLATES.get_template(template).render(**values), status)


async def _overview(simulator: Simulator, request: Request) -> Response:
    newest_first = simulator.agreements[: -_SHOWN - 1 : -1]
    base_url = (simulator.config.public_url or str(request.base_url)).rstrip("/")
    rows = [
        (agreement, approval_url(agreement, base_url) if agreement.status is AgreementStatus.PENDING else None)
        for agreement in newest_first
    ]
    return _render("overview.html", now=simulator.clock.now(), rows=rows, total=len(simulator.book.agreements))


async def _icon(_simulator: Simulator, _request: Request) -> Response:
    return Response(_ICON, media_type="image/svg+xml")


async def _advance(simulator: Simulator, request: Request) -> Response:
    now = simulator.clock.now()
    if _text(await request.form(), "by") == "month":
        same_day = datetime.combine(add_months(now.date(), 1), time(), now.tzinfo)
        simulator.advance(same_day - datetime.combine(now.date(), time(), now.tzinfo))
    else:
        simulator.advance(timedelta(days=1))
    return RedirectResponse("/", 303)


async def _stop(simulator: Simulator, request: Request) -> Response:
    try:
        simulator.stop_in_app(_text(await request.form(), "agreement_id"))
    except KeyError:
        return _render("message.html", 404, message="There is no such agreement.")
    except NotPossibleError as error:
        return _render("message.html", 409, message=str(error))
    return RedirectResponse("/", 303)


async def _show_approval(simulator: Simulator, request: Request) -> Response:
    agreement = _asked_about(simulator, request)
    if agreement is None:
        return _render("message.html", 404, message="There is nothing to approve here.")
    if agreement.status is not AgreementStatus.PENDING:
        return _render("message.html", message=f"This agreement is {agreement.status} and waits for no answer.")
    return _render("approval.html", agreement=agreement, charge=agreement.initial_charge)


async def _decide(simulator: Simulator, request: Request) -> Response:
    """The user is sent back after a yes, a no, and an approval whose first payment failed, just the same."""
    agreement = _asked_about(simulator, request)
    if agreement is None:
        return _render("message.html", 404, message="There is nothing to approve here.")
    decision = _text(await request.form(), "decision")
    if decision not in {"approve", "reject"}:
        return _render("message.html", 400, message="Answer with approve or reject.")
    try:
        (simulator.approve if decision == "approve" else simulator.reject)(agreement.id)
    except NotPossibleError:
        return _render("message.html", 409, message=f"This agreement is {agreement.status} and waits for no answer.")
    return RedirectResponse(agreement.merchant_redirect_url, 303)


def _asked_about(simulator: Simulator, request: Request) -> Agreement | None:
    simulator.settle()
    return simulator.book.by_approval_token(request.query_params.get("token", ""))


def _text(form: FormData, name: str) -> str:
    value = form.get(name)
    return value if isinstance(value, str) else ""
