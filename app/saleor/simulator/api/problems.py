"""Problems of apps in the API: an app reports and dismisses its own, staff dismiss any."""

from typing import Any

from graphql import GraphQLError

from app.saleor.simulator.api.fields import Fields, Request, moment, plain
from app.saleor.simulator.api.inputs import Payload, answering
from app.saleor.simulator.input_errors import InputError
from app.saleor.simulator.models import App, User
from app.saleor.simulator.permissions import PermissionDenied
from app.saleor.simulator.problems import MOST_PROBLEMS, AppProblem

Input = dict[str, Any]
KINDS = ("byApp", "byStaffWithIds", "byStaffWithKeys")
DEFAULT_MINUTES = 60


def problems_of(app: App, request: Request, limit: int | None = None) -> list[AppProblem]:
    if not request.requestor.is_(app):
        request.requestor.require_any("MANAGE_APPS")
    if limit is not None and not 0 < limit <= MOST_PROBLEMS:
        raise GraphQLError(f"`limit` may be 1 to {MOST_PROBLEMS}.")
    return request.shop.problems.of(app)[: limit or MOST_PROBLEMS]


@answering("appProblem")
def _create(_root: Any, request: Request, input: Input) -> Payload:  # noqa: A002 - Saleor's argument name
    app = request.requestor.app
    if app is None:
        raise PermissionDenied("AUTHENTICATED_APP")
    minutes = input.get("aggregationPeriod")
    problem = request.shop.problems.report(
        app,
        input["message"],
        input["key"],
        input.get("criticalThreshold"),
        DEFAULT_MINUTES if minutes is None else minutes,
    )
    return {"appProblem": problem}


@answering()
def _dismiss(_root: Any, request: Request, input: Input) -> Payload:  # noqa: A002 - Saleor's argument name
    app, user = request.requestor.app, request.requestor.user
    if app is None:
        request.requestor.require_any("MANAGE_APPS")
    kind = _kind(input, app)
    if app is not None:
        _dismiss_own(request, app, input[kind])
    elif user is not None and kind == "byStaffWithIds":
        request.shop.problems.dismiss_by_ids(input[kind]["ids"], user)
    elif user is not None:
        found = request.shop.find(input[kind]["app"])
        if not isinstance(found, App):
            raise InputError("app", "NOT_FOUND", "There is no such app.")
        request.shop.problems.dismiss_by_keys(found, input[kind]["keys"], user)
    return {}


def _kind(given: Input, app: App | None) -> str:
    kinds = [kind for kind in KINDS if given.get(kind) is not None]
    if len(kinds) != 1:
        code = "INVALID" if kinds else "REQUIRED"
        raise InputError("input", code, f"Must provide exactly one of {', '.join(KINDS)}.")
    if (kinds[0] == "byApp") != (app is not None):
        raise InputError(kinds[0], "INVALID", "Apps use `byApp`, staff the other inputs.")
    return kinds[0]


def _dismiss_own(request: Request, app: App, given: Input) -> None:
    ids, keys = given.get("ids"), given.get("keys")
    if bool(ids) == bool(keys):
        raise InputError("byApp", "INVALID" if ids else "REQUIRED", "Must provide either `ids` or `keys`.")
    if ids:
        request.shop.problems.dismiss_by_ids(ids, app)
    else:
        request.shop.problems.dismiss_by_keys(app, keys or [], app)


def _dismissed(problem: AppProblem, _request: Request) -> Payload | None:
    by = problem.dismissed_by
    if by is None:
        return None
    user = by if isinstance(by, User) else None
    return {"by": "USER" if user else "APP", "user": user, "userEmail": user and user.email}


MUTATION: Fields = {"appProblemCreate": _create, "appProblemDismiss": _dismiss}

PROBLEM: Fields = {
    "id": plain("id"),
    "createdAt": moment("created_at"),
    "updatedAt": moment("updated_at"),
    "count": plain("count"),
    "isCritical": plain("is_critical"),
    "dismissed": _dismissed,
    "message": plain("message"),
    "key": plain("key_text"),
}
