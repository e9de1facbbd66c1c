"""The customer's link of an agreement: sent to them once more by the shop's e-mail app, or replaced by another."""

import uuid
from collections.abc import Mapping

from fastapi.responses import HTMLResponse

from app.domain.account import Scope
from app.domain.errors import IllegalState, OutcomeUnknown, Overtaken
from app.usecases.looking import AgreementDetail, agreement_detail
from app.usecases.manage_links import replace_link, send_link
from app.web.answers import http_status
from app.web.pages.actions import Action, name_of_buyer, required, show_action
from app.web.pages.agreement_page import actions_on, show_agreement
from app.web.pages.typed import Form
from app.web.pages.visits import Fragments, Visit


def add_to(fragments: Fragments) -> None:
    fragments.get("/agreements/{agreement}/link", _ask, Scope.AGREEMENTS_WRITE)
    fragments.post("/agreements/{agreement}/link", _send, Scope.AGREEMENTS_WRITE)
    fragments.get("/agreements/{agreement}/replace", _ask_to_replace, Scope.AGREEMENTS_WRITE)
    fragments.post("/agreements/{agreement}/replace", _replace, Scope.AGREEMENTS_WRITE)


async def _ask(visit: Visit) -> HTMLResponse:
    agreement_id = visit.parameters["agreement"]
    detail = await agreement_detail(visit.context.deps, visit.caller, agreement_id)
    if "link" not in actions_on(detail):
        return await show_agreement(visit, agreement_id, "stale", 409)
    if detail.account is None or detail.account.notify_url is None:
        return await show_agreement(visit, agreement_id, "nobody_listens", 409)
    return show_action(visit, _action("link", detail, {"key": str(uuid.uuid4())}), Form({}))


def _action(name: str, detail: AgreementDetail, hidden: Mapping[str, str], *, danger: bool = False) -> Action:
    path = f"/agreements/{detail.agreement.agreement_id}"
    return Action(
        area="agreements",
        name=name,
        path=f"{path}/{name}",
        back=path,
        subject=detail.agreement.product_name,
        about={},
        fields=(),
        hidden=hidden,
        danger=danger,
    )


async def _send(visit: Visit) -> HTMLResponse:
    agreement_id, key = visit.parameters["agreement"], required(visit.form, "key")
    try:
        new = await send_link(visit.context.deps, visit.caller, agreement_id, key)
    except IllegalState:
        return await show_agreement(visit, agreement_id, "nobody_listens", 409)
    return await show_agreement(visit, agreement_id, "done_link" if new else "done_before")


async def _ask_to_replace(visit: Visit) -> HTMLResponse:
    detail = await agreement_detail(visit.context.deps, visit.caller, visit.parameters["agreement"])
    who = await name_of_buyer(visit, [detail.first_order])
    action = _action("replace", detail, {"seen": str(detail.agreement.link_number)}, danger=True)
    return show_action(visit, action, Form({}), who=who)


async def _replace(visit: Visit) -> HTMLResponse:
    """What was seen is the link's number, so that a form that is sent twice leaves the new link alone."""
    agreement_id, seen = visit.parameters["agreement"], required(visit.form, "seen")
    number = (await agreement_detail(visit.context.deps, visit.caller, agreement_id)).agreement.link_number
    if seen != str(number):
        return await show_agreement(visit, agreement_id, "stale", 409)
    try:
        await replace_link(visit.context.deps, visit.caller, agreement_id, number)
    except Overtaken:
        return await show_agreement(visit, agreement_id, "stale", 409)
    except OutcomeUnknown as error:
        return await show_agreement(visit, agreement_id, "replaced_untold", http_status(error))
    return await show_agreement(visit, agreement_id, "done_replace")
