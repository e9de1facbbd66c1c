"""Fragments about merchant accounts: the list, one account's form, and a try of its connection."""

from fastapi.responses import HTMLResponse

from app.domain.account import Account
from app.domain.errors import IllegalState, InvalidInput, NotFound, ProviderError
from app.usecases.account_settings import (
    ShownAccount,
    Trouble,
    mistakes_in,
    proposed,
    save_account,
    shown_account,
    shown_accounts,
    trouble_of,
    try_account,
)
from app.usecases.accounts import mark
from app.usecases.installations import installed
from app.web.answers import http_status
from app.web.pages.account_form import AccountForm, changes_of, empty_form, form_of, typed
from app.web.pages.visits import Fragments, Visit

_OTHER_NAMES = {"retryDays": "retry_days"}


def add_to(fragments: Fragments) -> None:
    fragments.get("/accounts", _list)
    fragments.get("/accounts/new", _new)
    fragments.post("/accounts/new", _create)
    fragments.get("/accounts/{account}", _one)
    fragments.post("/accounts/{account}", _change)
    fragments.post("/accounts/{account}/try", _try)


async def _list(visit: Visit) -> HTMLResponse:
    return visit.show("accounts.html", accounts=await shown_accounts(visit.context.deps, visit.caller))


async def _new(visit: Visit) -> HTMLResponse:
    return await _form(visit, None, empty_form(), seen=mark(None))


async def _one(visit: Visit) -> HTMLResponse:
    return await _shown(visit)


async def _shown(visit: Visit, account_id: str | None = None, notice: str = "") -> HTMLResponse:
    found = await shown_account(visit.context.deps, visit.caller, account_id or visit.parameters["account"])
    return await _form(visit, found, form_of(found.account), seen=mark(found.account), notice=notice)


async def _create(visit: Visit) -> HTMLResponse:
    return await _save(visit, None, empty_form())


async def _change(visit: Visit) -> HTMLResponse:
    found = await shown_account(visit.context.deps, visit.caller, visit.parameters["account"])
    return await _save(visit, found, form_of(found.account))


async def _save(visit: Visit, found: ShownAccount | None, before: AccountForm) -> HTMLResponse:
    """All that is wrong is told at once, as far as it can be seen without looking at agreements."""
    form = typed(visit.form, before)
    changes = changes_of(visit.form, form)
    apart = visit.form.get("apart") == "1"
    if found is None:
        changes["channel"] = form.values["channel"]
    elif apart:  # whose keys are not the others'
        changes = {"client_secret": None, "subscription_key": None} | changes
    seen = visit.form.get("seen", "")
    account = proposed(visit.shop, found.account if found else None, changes)
    form.wrong |= {_field(mistake) for mistake in mistakes_in(account)}
    if found is None and account.is_earlier:
        form.wrong.add("channel")
    if form.wrong:
        return await _form(visit, found, form, seen=seen, status=422)
    try:
        account = await save_account(visit.context.deps, visit.caller, account, seen, apart=apart)
    except InvalidInput as error:
        form.wrong.add(_field(error))
        bound = error.field in {"environment", "msn"}
        return await _form(visit, found, form, seen=seen, status=422, detail=error.message, bound=bound)
    except IllegalState as error:
        return await _overtaken(visit, found, form, error)
    if found and found.tried and not found.tried.trouble and account.signs_in_like(found.account):
        return await _shown(visit, account.id, notice="saved")
    return await _tried(visit, account.id, saved=True)


async def _overtaken(visit: Visit, found: ShownAccount | None, form: AccountForm, error: IllegalState) -> HTMLResponse:
    """Sent twice, or from a page that is old. What was typed stays, and may be sent again by whoever looked."""
    mine = await shown_accounts(visit.context.deps, visit.caller)
    other = found.account if found else _of_channel([it.account for it in mine], form.values["channel"])
    if found is None and other is not None:
        return await _shown(visit, other.id, notice="exists")
    return await _form(visit, found, form, seen=mark(other), status=http_status(error), notice="overtaken")


def _of_channel(accounts: list[Account], channel: str) -> Account | None:
    return next((it for it in accounts if it.channel == channel), None)


async def _try(visit: Visit) -> HTMLResponse:
    return await _tried(visit, visit.parameters["account"], saved=False)


async def _tried(visit: Visit, account_id: str, *, saved: bool) -> HTMLResponse:
    """Whoever has typed keys wants to know whether they work; what was saved stays saved."""
    check = await try_account(visit.context.deps, visit.caller, account_id, visit.context.app_url)
    trouble = trouble_of(check.error) if check.error else None
    good, busy, bad = ("saved_works", "saved_busy", "saved_broken") if saved else ("works", "busy", "")
    return await _shown(visit, account_id, notice={None: good, Trouble.BUSY: busy}.get(trouble, bad))


async def _form(
    visit: Visit,
    found: ShownAccount | None,
    form: AccountForm,
    *,
    seen: str,
    status: int = 200,
    notice: str = "",
    detail: str = "",
    bound: bool = False,
) -> HTMLResponse:
    """`bound` says that its agreements keep it from changing its number or its environment."""
    apart = visit.form.get("apart") == "1"
    return visit.show(
        "account.html",
        status=status,
        shown=found,
        form=form,
        seen=seen,
        notice=notice,
        detail=detail,
        bound=bound or (apart and bool(form.wrong)),
        apart=apart,
        channels=await _channels(visit) if found is None else [],
        path=f"/accounts/{_id(found) or 'new'}",
    )


async def _channels(visit: Visit) -> list[tuple[str, str]]:
    """(slug, name) to choose from; none where the shop does not answer, and then the slug is typed."""
    deps = visit.context.deps
    try:
        found = await deps.shop.channels(await installed(deps, visit.shop))
    except (ProviderError, NotFound):
        return []
    return [(it.slug, it.name) for it in found]


def _id(found: ShownAccount | None) -> str | None:
    return found.account.id if found else None


def _field(error: InvalidInput) -> str:
    name = (error.field or "").replace("-", "_")
    return _OTHER_NAMES.get(name, name)
