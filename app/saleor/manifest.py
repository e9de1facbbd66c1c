"""The manifest that Saleor reads: manifest.json with URLs and queries filled in, shaped for the asking version."""

import json
from functools import cache
from typing import Any

from app.saleor.documents import ROOT, document
from app.saleor.versions import version_of

_SHAPED = ("webhooks", "extensions")
# An app is told of its own removal from 3.23 on; before that the event needs MANAGE_APPS (facts: SALEOR 2).
_LIFECYCLE_SINCE = (3, 23)
_IDENTIFIERS_SINCE = (3, 23)
_WIDGETS_SINCE = (3, 22)  # before that Saleor refuses a manifest that names such a place (facts: SALEOR 1.4)


@cache
def _template() -> dict[str, Any]:
    template: dict[str, Any] = json.loads((ROOT / "manifest.json").read_text())
    return template


def app_identifier() -> str:
    return str(_template()["id"])


@cache
def event_names() -> dict[str, str]:
    """Saleor's lower-case event name for each webhook's path segment."""
    return {hook["identifier"]: _event(hook).lower() for hook in _template()["webhooks"]}


@cache
def synchronous_events() -> frozenset[str]:
    """Lower-case names of the events that wait for their answer: Saleor's customer or staff wait with them."""
    return frozenset(_event(hook).lower() for hook in _template()["webhooks"] if "syncEvents" in hook)


def _event(hook: dict[str, Any]) -> str:
    [event] = hook.get("asyncEvents", []) + hook.get("syncEvents", [])
    return str(event)


def schema_version(header: str | None) -> tuple[int, int]:
    """Major and minor of `Saleor-Schema-Version`; the oldest supported where it is missing or unreadable."""
    return version_of(header)[:2]


def manifest(app_url: str, app_version: str, header: str | None) -> dict[str, Any]:
    """The manifest for a Saleor of that schema version."""
    version = schema_version(header)
    body = {key: value for key, value in _template().items() if key not in _SHAPED}
    body["version"] = app_version
    body["appUrl"] = f"{app_url}/app"
    body["tokenTargetUrl"] = f"{app_url}/api/register"
    body["webhooks"] = [_webhook(hook, app_url, version) for hook in _template()["webhooks"] if _served(hook, version)]
    if version >= _WIDGETS_SINCE:
        body["extensions"] = [
            _named(it, version) | {"url": body["appUrl"] + it["url"]} for it in _template()["extensions"]
        ]
    return body


def _named(entry: dict[str, Any], version: tuple[int, int]) -> dict[str, Any]:
    return {key: value for key, value in entry.items() if key != "identifier" or version >= _IDENTIFIERS_SINCE}


def _served(hook: dict[str, Any], version: tuple[int, int]) -> bool:
    return _event(hook) != "APP_DELETED" or version >= _LIFECYCLE_SINCE


def _webhook(hook: dict[str, Any], app_url: str, version: tuple[int, int]) -> dict[str, Any]:
    name = hook["identifier"]
    return _named(hook, version) | {
        "targetUrl": f"{app_url}/api/webhooks/saleor/{name}",
        "query": document(f"subscriptions/{name}"),
        "isActive": True,
    }
