"""The JSON Web Tokens that a shop issues to customers, staff, the Dashboard's iframes and its widgets."""

import secrets
from datetime import timedelta
from typing import Any

from app.saleor.simulator.clock import Clock
from app.saleor.simulator.keys import SigningKey
from app.saleor.simulator.models import App, Extension, User
from app.saleor.simulator.permissions import PermissionDenied
from app.saleor.simulator.site import Site

ACCESS = timedelta(minutes=5)
REFRESH = timedelta(days=30)

Claims = dict[str, Any]


class Tokens:
    """Mints tokens. `overrides` replaces or, by None, removes claims: for tokens that ought to be refused."""

    def __init__(self, site: Site, clock: Clock, key: SigningKey) -> None:
        self._site = site
        self._clock = clock
        self.key = key  # replaced by key rotation

    def access(self, user: User, *, audience: str | None = None, **overrides: Any) -> str:
        """What tokenCreate answers to a customer or to staff."""
        claims = self._claims(user, "access", ACCESS)
        return self._sign(claims | ({"aud": f"custom:{audience}"} if audience else {}), overrides)

    def refresh(self, user: User, **overrides: Any) -> str:
        return self._sign(self._claims(user, "refresh", REFRESH) | {"csrfToken": secrets.token_hex(32)}, overrides)

    def expired(self, user: User, **overrides: Any) -> str:
        """An access token that ran out a minute ago."""
        issued = int(self._clock.now().timestamp()) - 360
        return self.access(user, **({"iat": issued, "exp": issued + 300} | overrides))

    def dashboard(self, user: User, app: App, **overrides: Any) -> str:
        """What the Dashboard hands to the app's own page. Permissions are those that both the app and the user have."""
        return self._sign(self._thirdparty(user, app, app.permissions & user.permissions), overrides)

    def extension(self, user: User, extension: Extension, **overrides: Any) -> str:
        """What the Dashboard hands to a widget or popup: the extension's permissions, all of them or no token."""
        if missing := extension.permissions - user.permissions:
            raise PermissionDenied(*sorted(missing))
        claims = self._thirdparty(user, extension.app, extension.permissions)
        return self._sign(claims | {"app_extension": extension.id}, overrides)

    def _thirdparty(self, user: User, app: App, permissions: frozenset[str]) -> Claims:
        if not user.is_staff:
            raise PermissionDenied("AUTHENTICATED_STAFF_USER")
        if self._site.number >= (3, 24) and "MANAGE_APPS" in app.permissions:
            raise PermissionDenied("AUTHENTICATED_STAFF_USER")
        audience = app.manifest.get("audience")
        return (
            self._claims(user, "thirdparty", ACCESS)
            | {"app": app.id, "permissions": sorted(permissions), "user_permissions": sorted(user.permissions)}
            | ({"aud": audience} if audience else {})
        )

    def _claims(self, user: User, type_: str, lifetime: timedelta) -> Claims:
        now = self._clock.now()
        return {
            "iat": int(now.timestamp()),
            "owner": "saleor",
            "iss": self._site.api_url,
            "exp": int((now + lifetime).timestamp()),
            "token": user.token_key,
            "email": user.email,
            "type": type_,
            "user_id": user.id,
            "is_staff": user.is_staff,
        }

    def _sign(self, claims: Claims, overrides: Claims) -> str:
        return self.key.sign_token({name: c for name, c in (claims | overrides).items() if c is not None})
