"""The extensions of a manifest: from 3.23 on Saleor takes any mount and target, before it does not."""

from typing import Any
from urllib.parse import urlsplit

from app.saleor.simulator.manifest.problems import Problems, is_url

Extension = dict[str, Any]
LIMITS = {"label": 256, "url": 200, "mount": 256, "target": 128, "identifier": 256}
DETAILS_WIDGETS = frozenset(
    f"{page}_DETAILS_WIDGETS"
    for page in ("ORDER", "DRAFT_ORDER", "PRODUCT", "CUSTOMER", "COLLECTION", "VOUCHER", "GIFT_CARD")
)


def check_extensions(manifest: dict[str, Any], version: tuple[int, int], ssl: bool, problems: Problems) -> None:
    identifiers: set[str] = set()
    for extension in manifest.get("extensions", []):
        for required in ("label", "url", "mount"):
            if not isinstance(extension.get(required), str) or not extension[required]:
                problems.add("extensions", "REQUIRED", f"An extension lacks `{required}`.")
                return
        for name, limit in LIMITS.items():
            problems.check_length("extensions", extension.get(name), limit)
        _check_url(extension, manifest, problems)
        _check_permissions(extension, manifest, problems)
        if version >= (3, 23):
            _check_identifier(extension, identifiers, problems)
        else:
            _check_place(extension, manifest, version, ssl, problems)


def _check_url(extension: Extension, manifest: dict[str, Any], problems: Problems) -> None:
    url = extension["url"]
    if url.startswith("/") and not manifest.get("appUrl"):
        problems.add("extensions", "INVALID_URL_FORMAT", "A relative URL of an extension needs `appUrl`.")
    if not url.startswith("/") and not is_url(url):
        problems.add("extensions", "INVALID_URL_FORMAT", "Incorrect value for the URL of an extension.")


def _check_permissions(extension: Extension, manifest: dict[str, Any], problems: Problems) -> None:
    if surplus := set(extension.get("permissions", [])) - set(manifest.get("permissions", [])):
        problems.add(
            "extensions",
            "OUT_OF_SCOPE_PERMISSION",
            f"Extension permission must be listed in App's permissions: {', '.join(sorted(surplus))}.",
        )


def _check_identifier(extension: Extension, seen: set[str], problems: Problems) -> None:
    identifier = (extension.get("identifier") or "").strip()
    if identifier and identifier in seen:
        problems.add("extensions", "DUPLICATED_EXTENSION_IDENTIFIER", f"Two extensions are called {identifier}.")
    seen.add(identifier)


def _check_place(
    extension: Extension, manifest: dict[str, Any], version: tuple[int, int], ssl: bool, problems: Problems
) -> None:
    mount, target = extension["mount"].upper(), (extension.get("target") or "popup").upper()
    targets = {"POPUP", "APP_PAGE"} | ({"NEW_TAB", "WIDGET"} if version >= (3, 22) else set())
    if target not in targets:
        problems.add("extensions", "INVALID", f"Incorrect value for field: target ({target}).")
    is_widget = mount.endswith("_WIDGETS")
    if mount == "SEARCH_ACTION" or (is_widget and (version <= (3, 21) or mount not in DETAILS_WIDGETS)):
        problems.add("extensions", "INVALID", f"Incorrect value for field: mount ({mount}).")
    if target == "WIDGET" and mount not in DETAILS_WIDGETS:
        problems.add("extensions", "INVALID", f"WIDGET is no target for the mount {mount}.")
    if target == "APP_PAGE" and not extension["url"].startswith("/"):
        problems.add("extensions", "INVALID_URL_FORMAT", "The URL of an APP_PAGE extension must start with '/'.")
    if target in {"NEW_TAB", "WIDGET"} and "POST" in str(extension.get("options", {})):
        _check_post(extension["url"], manifest, ssl, problems)


def _check_post(url: str, manifest: dict[str, Any], ssl: bool, problems: Problems) -> None:
    if url.startswith("/"):
        url = str(manifest.get("appUrl", "")) + url
    if ssl and urlsplit(url).scheme != "https":
        problems.add("extensions", "INVALID_URL_FORMAT", "The URL of an extension opened by POST must be https.")
    if urlsplit(url).hostname != urlsplit(str(manifest.get("tokenTargetUrl", ""))).hostname:
        problems.add("extensions", "INVALID_URL_FORMAT", "An extension opened by POST must be on the app's host.")
