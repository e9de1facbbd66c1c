"""All pages of the app in the order in which their addresses are tried."""

from fastapi import APIRouter

from app.web.context import WebContext
from app.web.pages import (
    accounts,
    agreement_actions,
    agreement_link,
    agreement_page,
    agreements,
    assets,
    audit,
    back,
    bulk,
    charge_actions,
    charge_page,
    charges,
    clients,
    exports,
    failures,
    my,
    overview,
    pay,
    renewal_actions,
    renewals,
    runs,
    shell,
    start,
    widgets,
)
from app.web.pages.visits import Fragments


def router(context: WebContext) -> APIRouter:
    routes = APIRouter()
    routes.include_router(assets.router())
    routes.include_router(pay.router(context))
    routes.include_router(my.router(context))
    routes.include_router(back.router(context))
    routes.include_router(fragments(context))
    routes.include_router(shell.router(context))
    return routes


def fragments(context: WebContext) -> APIRouter:
    """Everything that shows or changes something, and so needs a token."""
    found = Fragments(context)
    for area in (start, accounts, agreements, agreement_page, agreement_actions, agreement_link):
        area.add_to(found)
    for area in (charges, charge_page, charge_actions, exports, failures, audit, bulk, overview, widgets):
        area.add_to(found)
    for area in (runs, renewals, renewal_actions, clients):
        area.add_to(found)
    return found.close()
