"""How an app gets into the shop: its manifest is read and checked, then it is handed its token."""

import secrets
import string
from collections.abc import Iterable
from typing import Any

import httpx
from graphql import GraphQLSchema

from app.saleor.simulator.identity import APP_TOKEN_LENGTH
from app.saleor.simulator.manifest.problems import Problem
from app.saleor.simulator.manifest.validation import check_manifest
from app.saleor.simulator.manifest.webhooks import events_of
from app.saleor.simulator.models import App, Extension, User, Webhook
from app.saleor.simulator.outgoing import ClientFactory, send, to_json
from app.saleor.simulator.site import Site
from app.saleor.simulator.state import Shop

HTTP_ERROR = 400
LONGEST_MESSAGE = 255
ATTEMPTS = 3


class InstallationFailed(Exception):
    """The text is what staff see; `problems` says which field of the manifest is wrong, and by which code."""

    def __init__(self, message: str, problems: Iterable[Problem] = ()) -> None:
        super().__init__(message[:LONGEST_MESSAGE])
        self.problems = list(problems)

    @property
    def codes(self) -> list[str]:
        return [problem.code for problem in self.problems]


class Installer:
    """One shop's door for apps."""

    def __init__(self, shop: Shop, site: Site, schema: GraphQLSchema, clients: ClientFactory) -> None:
        self._shop = shop
        self._site = site
        self._schema = schema
        self._clients = clients

    async def install(
        self,
        manifest_url: str,
        permissions: Iterable[str] | None,
        *,
        activate: bool,
        name: str | None,
        by: User | None,
    ) -> App:
        """`permissions` are those that staff approve: all that the manifest asks for, unless given."""
        async with self._clients() as client:
            manifest = await self._fetch(client, manifest_url)
            self._check(manifest, permissions, by)
            granted = frozenset(manifest.get("permissions", []) if permissions is None else permissions)
            app = self._write(manifest, manifest_url, granted, name, activate=activate)
            try:
                await self._hand_over_token(client, app)
            except InstallationFailed:
                self._shop.apps.remove(app)
                raise
        app.is_installed = True
        self._shop.emit("APP_INSTALLED", app, by)
        return app

    async def _fetch(self, client: httpx.AsyncClient, url: str) -> Any:
        headers = [("Saleor-Schema-Version", self._site.schema_version)]
        try:
            response = await self._get(client, url, headers)
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise _refusal("MANIFEST_URL_CANT_CONNECT", "Can't fetch manifest data. Please try later.") from error
        if not response.is_success:
            raise _refusal("MANIFEST_URL_CANT_CONNECT", "Unable to fetch manifest data.")
        try:
            return response.json()
        except ValueError as error:
            raise _refusal("INVALID_MANIFEST_FORMAT", "Incorrect structure of manifest.") from error

    async def _get(self, client: httpx.AsyncClient, url: str, headers: list[tuple[str, str]]) -> httpx.Response:
        """From 3.23 on Saleor tries twice more when it cannot connect."""
        attempts = ATTEMPTS if self._site.number >= (3, 23) else 1
        for _ in range(attempts - 1):
            try:
                return await send(client, self._site, "GET", url, headers)
            except httpx.TransportError:
                continue
        return await send(client, self._site, "GET", url, headers)

    def _check(self, manifest: Any, permissions: Iterable[str] | None, by: User | None) -> None:
        installed = {app.identifier for app in self._shop.apps if app.removed_at is None}
        problems = check_manifest(manifest, self._site, self._schema, installed)
        if problems:
            raise InstallationFailed("; ".join(f"{p.field}: {p.message}" for p in problems), problems)
        granted = set(manifest.get("permissions", []) if permissions is None else permissions)
        if by and not granted <= by.permissions:
            raise _refusal("OUT_OF_SCOPE_PERMISSION", "You can't add permission that you don't have.", "permissions")

    def _write(
        self, manifest: dict[str, Any], url: str, granted: frozenset[str], name: str | None, *, activate: bool
    ) -> App:
        app = App(
            number=self._shop.next_number("App"),
            identifier=manifest["id"],
            name=name or manifest["name"],
            token=_new_token(),
            permissions=granted,
            created_at=self._shop.clock.now(),
            manifest=manifest,
            manifest_url=url,
            is_active=activate,
        )
        app.webhooks = [self._webhook(app, entry) for entry in manifest.get("webhooks", [])]
        app.extensions = [self._extension(app, entry) for entry in manifest.get("extensions", [])]
        self._shop.apps.append(app)
        return app

    def _webhook(self, app: App, entry: dict[str, Any]) -> Webhook:
        asynchronous, synchronous = events_of(entry, self._schema)
        return Webhook(
            number=self._shop.next_number("Webhook"),
            app=app,
            name=entry["name"],
            target_url=entry["targetUrl"],
            query=entry["query"],
            asynchronous=asynchronous,
            synchronous=synchronous,
            is_active=entry.get("isActive", True),
            custom_headers=entry.get("customHeaders") or {},
            identifier=entry.get("identifier"),
        )

    def _extension(self, app: App, entry: dict[str, Any]) -> Extension:
        return Extension(
            number=self._shop.next_number("AppExtension"),
            app=app,
            label=entry["label"],
            url=entry["url"],
            mount=entry["mount"].lower(),
            target=(entry.get("target") or "popup").lower(),
            permissions=frozenset(entry.get("permissions", [])),
        )

    async def _hand_over_token(self, client: httpx.AsyncClient, app: App) -> None:
        """The request is not signed: the app learns whom to trust by calling back with the token."""
        target = app.manifest.get("tokenTargetUrl")
        if not target:
            return
        headers = [
            ("Content-Type", "application/json"),
            ("X-Saleor-Domain", self._site.domain),
            ("Saleor-Domain", self._site.domain),
            ("Saleor-Api-Url", self._site.api_url),
            ("Saleor-Schema-Version", self._site.schema_version),
        ]
        try:
            response = await send(client, self._site, "POST", target, headers, body=to_json({"auth_token": app.token}))
        except httpx.TransportError as error:
            raise InstallationFailed("Failed to connect to app. Try later or contact with app support.") from error
        if response.status_code >= HTTP_ERROR:
            raise InstallationFailed(_complaint(response))


def _complaint(response: httpx.Response) -> str:
    """The app's own words where it gave them in the one shape that Saleor reads."""
    fallback = f"App internal error ({response.status_code}). Try later or contact with app support."
    try:
        message = response.json()["error"]["message"]
    except (ValueError, KeyError, TypeError):
        return fallback
    return message if isinstance(message, str) and message else fallback


def _refusal(code: str, message: str, field: str = "manifestUrl") -> InstallationFailed:
    return InstallationFailed(message, [Problem(field, code, message)])


def _new_token() -> str:
    return "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(APP_TOKEN_LENGTH))
