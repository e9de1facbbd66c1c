"""What the web handlers work with: the use cases' collaborators and a few values from the settings."""

from dataclasses import dataclass

from app.saleor.network import ShopRules
from app.usecases.keys import KeyRing
from app.usecases.ports import Deps
from app.web.links import Links


@dataclass(frozen=True, slots=True)
class WebContext:
    deps: Deps
    keys: KeyRing
    rules: ShopRules
    app_url: str
    app_version: str
    app_identifier: str
    links: Links
    dashboard_origins: tuple[str, ...] = ()
