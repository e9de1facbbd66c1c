"""What staff may do with one agreement and the subscription on it, each said once before it is done."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from fastapi.responses import HTMLResponse

from app.domain.account import Scope
from app.domain.errors import (
    Duplicate,
    IllegalState,
    InvalidInput,
    LimitExceeded,
    NotFound,
    OutcomeUnknown,
    ProviderError,
    RecurringError,
)
from app.usecases import subscriptions
from app.usecases.looking import AgreementDetail, agreement_detail
from app.usecases.periods import upcoming_of
from app.usecases.planning import local_day
from app.usecases.subscription_terms import Line, NewPrice, Terms, change_terms, price_limit
from app.usecases.subscriptions import CancelAt
from app.web.answers import http_status
from app.web.pages import formats
from app.web.pages.actions import Action, Field, required, show_action_on
from app.web.pages.agreement_page import actions_on, show_agreement
from app.web.pages.typed import Form, a_count, a_day, a_day_or_none, a_sum, written
from app.web.pages.visits import Fragments, Visit

_OURS = {"price": "amount", "until": "until", "date": "date", "on": "on"}  # by the use cases' names

UNREADABLE = InvalidInput("what was typed cannot be read")


@dataclass(frozen=True, slots=True)
class Wish:
    """Somebody wants something of an agreement. `form` notes what of it cannot be read."""

    visit: Visit
    detail: AgreementDetail
    form: Form

    @property
    def id(self) -> str:
        return self.detail.agreement.agreement_id or ""

    def readable(self) -> None:
        if self.form.wrong:
            raise UNREADABLE


Done = Callable[[Wish], Awaitable[str]]


async def _pause(wish: Wish) -> str:
    until = wish.form.read("until", a_day_or_none)
    wish.readable()
    (await subscriptions.pause(wish.visit.context.deps, wish.visit.caller, [wish.id], until)).items[0].answer  # noqa: B018
    return "done_pause"


async def _resume(wish: Wish) -> str:
    (await subscriptions.resume(wish.visit.context.deps, wish.visit.caller, [wish.id])).items[0].answer  # noqa: B018
    return "done_resume"


async def _skip(wish: Wish) -> str:
    (await subscriptions.skip(wish.visit.context.deps, wish.visit.caller, [wish.id])).items[0].answer  # noqa: B018
    return "done_skip"


async def _move(wish: Wish) -> str:
    day = wish.form.read("date", a_day)
    if day is None:
        raise UNREADABLE
    await subscriptions.move(wish.visit.context.deps, wish.visit.caller, wish.id, day)
    return "done_move"


async def _price(wish: Wish) -> str:
    on = wish.form.read("on", a_day)
    price = wish.form.read("amount", a_sum(wish.visit.language, wish.detail.agreement.price.currency))
    if on is None or price is None:
        raise UNREADABLE
    terms = Terms(price=NewPrice(on, price.minor))
    await change_terms(wish.visit.context.deps, wish.visit.caller, wish.id, terms)
    return "done_price"


async def _quantity(wish: Wish) -> str:
    subscription = wish.detail.subscription
    lines = subscription.lines if subscription else ()
    counts = [wish.form.read(f"quantity-{place}", a_count) for place, _ in enumerate(lines)]
    wish.readable()
    wanted = [Line(line.variant, count or 0) for line, count in zip(lines, counts, strict=True)]
    await change_terms(wish.visit.context.deps, wish.visit.caller, wish.id, Terms(lines=wanted))
    return "done_quantity"


async def _stop(wish: Wish) -> str:
    at = wish.form.read("at", CancelAt)
    wish.readable()
    result = await subscriptions.cancel(wish.visit.context.deps, wish.visit.caller, [wish.id], at or CancelAt.NOW)
    result.items[0].answer  # noqa: B018  # raises its error
    return "done_stop" if at is CancelAt.NOW else "done_stop_later"


DO: Mapping[str, Done] = {
    "pause": _pause,
    "resume": _resume,
    "skip": _skip,
    "move": _move,
    "price": _price,
    "quantity": _quantity,
    "stop": _stop,
}


def add_to(fragments: Fragments) -> None:
    for name in DO:
        fragments.get(f"/agreements/{{agreement}}/{name}", partial(_ask, name), Scope.AGREEMENTS_WRITE)
        fragments.post(f"/agreements/{{agreement}}/{name}", partial(_do, name), Scope.AGREEMENTS_WRITE)


def _mark(detail: AgreementDetail) -> str:
    """What was seen of it; it changes with whatever anybody does to it."""
    version = detail.subscription.version if detail.subscription else 0
    periods = ",".join(f"{it.period}{it.status}{it.reason or ''}" for it in detail.renewals[:2])
    return f"{detail.agreement.status}/{version}/{periods}"


async def _detail(visit: Visit) -> AgreementDetail:
    return await agreement_detail(visit.context.deps, visit.caller, visit.parameters["agreement"])


async def _ask(name: str, visit: Visit) -> HTMLResponse:
    detail = await _detail(visit)
    if name not in actions_on(detail):
        return await show_agreement(visit, visit.parameters["agreement"], "stale", 409)
    return await show_action_on(visit, [detail.first_order], _action(visit, name, detail), _form(visit, detail, {}))


async def _do(name: str, visit: Visit) -> HTMLResponse:
    detail = await _detail(visit)
    if required(visit.form, "seen") != _mark(detail):
        return await show_agreement(visit, visit.parameters["agreement"], "stale", 409)
    wish = Wish(visit, detail, _form(visit, detail, visit.form))
    try:
        notice = await DO[name](wish)
    except RecurringError as error:
        return await _refused(wish, name, error)
    return await show_agreement(visit, wish.id, notice)


async def _refused(wish: Wish, name: str, error: RecurringError) -> HTMLResponse:
    visit, form, action = wish.visit, wish.form, _action(wish.visit, name, wish.detail)
    shown_again = partial(show_action_on, visit, [wish.detail.first_order], action, form)
    match error:
        case InvalidInput() | LimitExceeded():
            form.wrong.update({_OURS[error.field]} if error.field in _OURS else set())
            notice = "" if form.wrong else "refused"
            told = error.message if error.field else ""
            return await shown_again(status=422, notice=notice, detail=told)
        case IllegalState() | Duplicate() | NotFound():
            return await shown_again(status=409, notice="refused", detail=error.message)
        case OutcomeUnknown():
            return await show_agreement(visit, wish.id, "pending", http_status(error))
        case ProviderError():
            return await shown_again(status=http_status(error), notice="refused", detail=error.message)
        case _:
            raise error


def _form(visit: Visit, detail: AgreementDetail, typed: Mapping[str, str]) -> Form:
    """Every field of every action, as it is usually filled."""
    subscription, usual = detail.subscription, {"until": "", "at": CancelAt.PERIOD_END.value}
    if subscription is None or detail.account is None:
        usual["at"] = CancelAt.NOW
    else:
        first = local_day(visit.context.deps, detail.account) + timedelta(days=max(detail.account.price_notice_days, 1))
        usual |= {
            "date": subscription.next_due.isoformat(),
            "on": first.isoformat(),
            "amount": written(visit.language, detail.agreement.price),
        }
        usual |= {f"quantity-{place}": str(line.quantity) for place, line in enumerate(subscription.lines)}
    return Form({name: typed.get(name, value) for name, value in usual.items()})


def _fields(visit: Visit, name: str, detail: AgreementDetail) -> Sequence[Field]:
    price, subscription = detail.agreement.price, detail.subscription
    words = {"currency": price.currency.value, "example": written(visit.language, price)}
    lines = subscription.lines if subscription else ()
    ends = tuple(CancelAt) if subscription else (CancelAt.NOW,)
    found: Mapping[str, Sequence[Field]] = {
        "pause": [Field("until", "date")],
        "move": [Field("date", "date")],
        "price": [Field("on", "date"), Field("amount", "decimal", words=words)],
        "quantity": [
            Field(f"quantity-{place}", "numeric", "quantity", {"name": line.name or line.variant})
            for place, line in enumerate(lines)
        ],
        "stop": [Field("at", options=ends)],
    }
    return found.get(name, ())


def _next_due(visit: Visit, detail: AgreementDetail) -> str:
    """The day of the period that is left out where somebody skips one: it may be on its way already."""
    if detail.subscription is None or detail.account is None:
        return ""
    today, oldest_first = local_day(visit.context.deps, detail.account), list(reversed(detail.renewals))
    upcoming = upcoming_of(oldest_first, today)
    return formats.day(visit.language, upcoming.due if upcoming else detail.subscription.next_due)


def _limit(visit: Visit, detail: AgreementDetail) -> str:
    """The most that a period may come to cost."""
    limit = price_limit(detail.agreement)
    return formats.money(visit.language, limit) if limit else visit.language.text("dashboard.agreements.no_limit")


def _action(visit: Visit, name: str, detail: AgreementDetail) -> Action:
    path = f"/agreements/{detail.agreement.agreement_id}"
    days = detail.account.price_notice_days if detail.account else 0
    return Action(
        area="agreements",
        name=name,
        path=f"{path}/{name}",
        back=path,
        subject=detail.agreement.product_name,
        about={"days": str(days), "due": _next_due(visit, detail), "limit": _limit(visit, detail)},
        fields=_fields(visit, name, detail),
        hidden={"seen": _mark(detail)},
        danger=name == "stop",
    )
