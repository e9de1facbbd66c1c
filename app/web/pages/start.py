"""The fragment that staff see until there are subscribers: what is done, and what to do next."""

from fastapi.responses import HTMLResponse

from app.usecases.setup import setup
from app.web.pages.visits import Fragments, Visit


def add_to(fragments: Fragments) -> None:
    fragments.get("/start", show)


async def show(visit: Visit) -> HTMLResponse:
    return visit.show("start.html", setup=await setup(visit.context.deps, visit.caller))
