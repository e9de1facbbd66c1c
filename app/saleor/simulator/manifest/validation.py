"""Checks a manifest as a whole. Nothing is written before everything holds."""

import mimetypes
from typing import Any

from graphql import GraphQLSchema

from app.saleor.simulator import permissions
from app.saleor.simulator.manifest.extensions import check_extensions
from app.saleor.simulator.manifest.problems import Problem, Problems
from app.saleor.simulator.manifest.versions import BadRange, satisfies
from app.saleor.simulator.manifest.webhooks import check_webhooks
from app.saleor.simulator.site import Site

LIMITS = {"id": 256, "name": 60, "version": 60, "audience": 256, "author": 60}
URLS = ("appUrl", "tokenTargetUrl", "configurationUrl", "dataPrivacyUrl", "homepageUrl", "supportUrl")
LISTS = ("permissions", "extensions", "webhooks")
RESERVED_ID = "saleor.io.gift-card-payment-gateway"


def check_manifest(manifest: Any, site: Site, schema: GraphQLSchema, installed_ids: set[str]) -> list[Problem]:
    problems = Problems()
    _check_shape(manifest, problems)
    if problems.found:  # the other checks rely on the shape
        return problems.found
    _check_required(manifest, site, problems)
    _check_texts(manifest, problems)
    _check_id(manifest.get("id"), site, installed_ids, problems)
    _check_permissions(manifest.get("permissions", []), site, problems)
    _check_brand(manifest.get("brand"), problems)
    _check_saleor_version(manifest.get("requiredSaleorVersion"), site, problems)
    check_extensions(manifest, site.number, site.uses_ssl, problems)
    check_webhooks(manifest, schema, site.number, problems)
    return problems.found


def _check_shape(manifest: Any, problems: Problems) -> None:
    if not isinstance(manifest, dict):
        problems.add("manifestUrl", "INVALID_MANIFEST_FORMAT", "The manifest is not a JSON object.")
        return
    for name in LISTS:
        if not isinstance(manifest.get(name, []), list):  # null too: Saleor iterates what it finds
            problems.add(name, "INVALID_MANIFEST_FORMAT", f"`{name}` must be a list.")
    for name in ("extensions", "webhooks"):
        if any(not isinstance(item, dict) for item in manifest.get(name) or []):
            problems.add(name, "INVALID_MANIFEST_FORMAT", f"`{name}` must hold objects.")


def _check_required(manifest: dict[str, Any], site: Site, problems: Problems) -> None:
    required = ["id", "name", "version"] + (["tokenTargetUrl"] if site.number <= (3, 22) else [])
    for name in required:
        if not isinstance(manifest.get(name), str) or not manifest[name].strip():
            problems.add(name, "REQUIRED", "Field required.")


def _check_texts(manifest: dict[str, Any], problems: Problems) -> None:
    for name, limit in LIMITS.items():
        problems.check_length(name, manifest.get(name), limit)
    for name in URLS:
        if manifest.get(name):
            problems.check_url(name, manifest[name])
    author = manifest.get("author")
    if author is not None and not str(author).strip():
        problems.add("author", "INVALID", "Incorrect value for field: author")


def _check_id(identifier: Any, site: Site, installed_ids: set[str], problems: Problems) -> None:
    if identifier in installed_ids or (identifier == RESERVED_ID and site.number >= (3, 23)):
        problems.add("id", "UNIQUE", "App with the same identifier is already installed.")


def _check_permissions(names: list[Any], site: Site, problems: Problems) -> None:
    if unknown := [str(name) for name in names if name not in permissions.known(site.number)]:
        problems.add("permissions", "INVALID_PERMISSION", f"Given permissions don't exist: {', '.join(unknown)}.")
    if "MANAGE_APPS" in names and site.number >= (3, 24):
        problems.add("permissions", "OUT_OF_SCOPE_PERMISSION", "An app may not ask for MANAGE_APPS.")


def _check_brand(brand: Any, problems: Problems) -> None:
    if brand is None:
        return
    logo = brand.get("logo") if isinstance(brand, dict) else None
    url = logo.get("default") if isinstance(logo, dict) else None
    if not isinstance(url, str):
        problems.add("brand", "REQUIRED", "A brand needs `logo.default`.")
        return
    problems.check_url("brand", url)
    if mimetypes.guess_type(url.partition("?")[0])[0] != "image/png":
        problems.add("brand", "INVALID_URL_FORMAT", "The logo must be a PNG file, and its URL must say so.")


def _check_saleor_version(wanted: Any, site: Site, problems: Problems) -> None:
    if not wanted:
        return
    try:
        satisfied = satisfies(site.full_version, str(wanted))
    except BadRange:
        problems.add("requiredSaleorVersion", "INVALID", "Incorrect value for required Saleor version.")
        return
    if not satisfied:
        message = f"Saleor version {site.full_version} is not supported by the app."
        problems.add("requiredSaleorVersion", "UNSUPPORTED_SALEOR_VERSION", message)
