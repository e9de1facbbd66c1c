"""Fragments about API clients: the list, a new one whose secret is shown once, and the end of one."""

import uuid

from fastapi.responses import HTMLResponse

from app.domain.account import STAFF_MONEY_RIGHTS, ApiClient, Scope
from app.domain.errors import Duplicate, InvalidInput, NotFound
from app.usecases.clients import a_client_name, client_id_of, drop_client, make_client, shop_clients
from app.usecases.looking import merchant_accounts
from app.web.pages.actions import Action, required, show_action
from app.web.pages.formats import moment
from app.web.pages.lists import zone_of
from app.web.pages.typed import Form
from app.web.pages.visits import Fragments, Visit

PATH = "/clients"
_SCOPES = [it for it in Scope if it in STAFF_MONEY_RIGHTS]  # what staff may hand on


def add_to(fragments: Fragments) -> None:
    fragments.get(PATH, _list)
    fragments.get(f"{PATH}/new", _new, Scope.CHARGES_WRITE)
    fragments.post(f"{PATH}/new", _create)
    fragments.get(f"{PATH}/{{client}}/revoke", _ask, Scope.CHARGES_WRITE)
    fragments.post(f"{PATH}/{{client}}/revoke", _revoke)


async def _list(visit: Visit) -> HTMLResponse:
    return await _shown(visit)


async def _shown(visit: Visit, notice: str = "", about: str = "", status: int = 200) -> HTMLResponse:
    """`about` is the client that the notice is about."""
    found = await shop_clients(visit.context.deps, visit.caller)
    zone = zone_of(await merchant_accounts(visit.context.deps, visit.caller)).key
    return visit.show("clients.html", status=status, clients=found, notice=notice, about=about, zone=zone, path=PATH)


async def _new(visit: Visit) -> HTMLResponse:
    return _form(visit, Form({"name": "", "scope": ""}), str(uuid.uuid4()))


def _form(visit: Visit, form: Form, key: str) -> HTMLResponse:
    chosen = form.values["scope"].split("\n")
    status = 422 if form.wrong else 200
    return visit.show("client_new.html", status=status, form=form, key=key, scopes=_SCOPES, chosen=chosen)


async def _create(visit: Visit) -> HTMLResponse:
    """Sent twice it makes one: the second answer cannot show the secret, and says so."""
    key = required(visit.form, "key")
    form = Form({name: visit.form.get(name, "") for name in ("name", "scope")})
    name, scopes = form.read("name", a_client_name), form.read("scope", _some_scopes)
    if name is None or scopes is None:
        return _form(visit, form, key)
    try:
        made = await make_client(visit.context.deps, visit.caller, name, scopes, key)
    except Duplicate:
        return await _shown(visit, "made_before", client_id_of(visit.shop, key), 409)
    return visit.show("client_made.html", made=made, app_url=visit.context.app_url, path=PATH)


def _some_scopes(text: str) -> list[Scope]:
    found = [Scope(it) for it in text.split("\n")]
    if not set(found) <= set(_SCOPES):
        raise InvalidInput("staff hand on what they may do themselves", field="scope")
    return found


async def _one(visit: Visit) -> ApiClient:
    found = await shop_clients(visit.context.deps, visit.caller)
    wanted = visit.parameters["client"]
    client = next((it for it in found if it.id == wanted), None)
    if client is None:
        raise NotFound(f"no API client {wanted:.60}")
    return client


async def _ask(visit: Visit) -> HTMLResponse:
    client = await _one(visit)
    if client.revoked_at is not None:
        return await _shown(visit, "revoked_before", client.id, 409)
    action = Action(
        area="clients",
        name="revoke",
        path=f"{PATH}/{client.id}/revoke",
        back=PATH,
        subject=client.name,
        about={"used": await _last_used(visit, client)},
        fields=[],
        hidden={},
        danger=True,
        back_to=visit.language.text("dashboard.clients.title"),
    )
    return show_action(visit, action, Form({}))


async def _last_used(visit: Visit, client: ApiClient) -> str:
    words = visit.language
    if client.used_at is None:
        return words.text("dashboard.clients.revoke.unused")
    zone = zone_of(await merchant_accounts(visit.context.deps, visit.caller)).key
    return words.text("dashboard.clients.revoke.used", moment=moment(words, client.used_at, zone))


async def _revoke(visit: Visit) -> HTMLResponse:
    client = await _one(visit)
    if client.revoked_at is not None:
        return await _shown(visit, "revoked_before", client.id, 409)
    await drop_client(visit.context.deps, visit.caller, client.id)
    return await _shown(visit, "revoked", client.id)
