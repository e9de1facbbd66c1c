"""The Dashboard as far as an app's pages see it: a frame with the right address, real tokens and App Bridge messages.

What the messages look like is recorded from a real Dashboard 3.23 (facts: SALEOR 8.1, 8.2).
"""

from pathlib import Path
from typing import Any

from fastapi import APIRouter, HTTPException
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse
from jinja2 import Environment
from pydantic import BaseModel

from app.saleor.simulator.models import App, User
from app.saleor.simulator.permissions import ALL, PermissionDenied
from app.saleor.simulator.simulator import Simulator
from app.saleor.simulator.tokens import ACCESS

_FOLDER = Path(__file__).with_name("templates")
_FILES = {"dashboard.js": "text/javascript", "dashboard.css": "text/css"}
# Who looks at the demo, in the order of how much they may do.
_STAFF = {
    "owner@example.com": ALL,
    "orders-only@example.com": frozenset({"MANAGE_ORDERS"}),
    "nobody@example.com": frozenset({"MANAGE_PRODUCTS"}),
}
# As a real Dashboard says it, apart from what the app does not read.
_REFERRER = {"Referrer-Policy": "origin-when-cross-origin"}


class Visit(BaseModel):
    """Whose token for which app is wanted, or for which of its extensions."""

    app: str
    staff: str
    extension: str = ""


class Dashboard:
    """The pages and the token endpoint behind them, over one simulator."""

    def __init__(self, simulator: Simulator, templates: Environment) -> None:
        self._shop = simulator
        self._templates = templates

    def router(self) -> APIRouter:
        router = APIRouter(prefix="/dashboard")
        router.get("/files/{name}")(self.file)
        router.post("/token")(self.token)
        router.get("/")(self.page)
        router.get("/{path:path}")(self.page)
        return router

    async def file(self, name: str) -> FileResponse:
        if name not in _FILES:
            raise HTTPException(404, "There is no such file.")
        return FileResponse(_FOLDER / name, media_type=_FILES[name])

    async def token(self, body: Visit) -> JSONResponse:
        """What the Dashboard's own session fetches before it opens an app, and again before that one runs out."""
        try:
            token = self._token(self._member(body.staff), self._app(body.app), body.extension)
        except PermissionDenied as error:
            raise HTTPException(403, str(error)) from error
        return JSONResponse({"token": token, "seconds": int(ACCESS.total_seconds())})

    def _token(self, member: User, app: App, extension: str) -> str:
        if not extension:
            return self._shop.tokens.dashboard(member, app)
        found = next((it for it in app.extensions if it.id == extension), None)
        if found is None:
            raise HTTPException(404, "The app has no such extension.")
        return self._shop.tokens.extension(member, found)

    async def page(self, path: str = "") -> HTMLResponse:
        """Every address below is the same document; its script shows the app or, for other addresses, their name."""
        text = self._templates.get_template("dashboard.html").render(
            shop=self._shop, apps=self._apps(), staff=[it.email for it in self._staff()], data=self._data(), path=path
        )
        return HTMLResponse(text, headers=_REFERRER)

    def _data(self) -> dict[str, Any]:
        site = self._shop.site
        return {
            "apiUrl": site.api_url,
            "domain": site.domain,
            "saleorVersion": site.full_version,
            "dashboardVersion": f"v{site.full_version}",
            "apps": [
                {"id": it.id, "name": it.name, "url": it.manifest["appUrl"], "widgets": self._widgets(it)}
                for it in self._apps()
            ],
        }

    def _widgets(self, app: App) -> list[dict[str, str]]:
        found = [it for it in app.extensions if it.target == "widget"]
        return [{"id": it.id, "label": it.label, "url": it.url, "mount": it.mount} for it in found]

    def _apps(self) -> list[App]:
        return [it for it in self._shop.apps if it.removed_at is None and it.is_active and it.manifest.get("appUrl")]

    def _app(self, app_id: str) -> App:
        found = next((it for it in self._apps() if it.id == app_id), None)
        if found is None:
            raise HTTPException(404, "No such app with pages is installed.")
        return found

    def _staff(self) -> list[User]:
        """Those who are there already, and the three who are always there."""
        there = {it.email for it in self._shop.users}
        for email, permissions in _STAFF.items():
            if email not in there:
                self._shop.create_staff(email, permissions)
        names = list(_STAFF)
        staff = [it for it in self._shop.users if it.is_staff]
        return sorted(staff, key=lambda it: (it.email not in names, names.index(it.email) if it.email in names else 0))

    def _member(self, email: str) -> User:
        found = next((it for it in self._staff() if it.email == email), None)
        if found is None:
            raise HTTPException(404, "There is no such member of staff.")
        return found
