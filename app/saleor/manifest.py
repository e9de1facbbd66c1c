"""The manifest that Saleor reads: manifest.json with URLs and queries filled in, shaped for the asking version."""

import json
import re
from functools import cache
from typing import Any

from app.saleor.documents import ROOT, document

_VERSION = re.compile(r"(\d{1,4})\.(\d{1,4})", re.ASCII)
_OLDEST = (3, 21)
# An app is told of its own removal from 3.23 on; before that the event needs MANAGE_APPS (facts: SALEOR 2).
_LIFECYCLE_SINCE = (3, 23)
_IDENTIFIERS_SINCE = (3, 23)


@cache
def _template() -> dict[str, Any]:
    template: dict[str, Any] = json.loads((ROOT / "manifest.json").read_text())
    return template


def app_identifier() -> str:
    return str(_template()["id"])


def event_names() -> dict[str, str]:
    """Saleor's lower-case event name for each webhook's path segment."""
    return {hook["identifier"]: hook["asyncEvents"][0].lower() for hook in _template()["webhooks"]}


def schema_version(header: str | None) -> tuple[int, int]:
    """Major and minor of `Saleor-Schema-Version`; the oldest supported where it is missing or unreadable."""
    found = _VERSION.match(header or "")
    return (int(found[1]), int(found[2])) if found else _OLDEST


def manifest(app_url: str, app_version: str, header: str | None) -> dict[str, Any]:
    """The manifest for a Saleor of that schema version."""
    version = schema_version(header)
    body = {key: value for key, value in _template().items() if key != "webhooks"}
    body["version"] = app_version
    body["tokenTargetUrl"] = f"{app_url}/api/register"
    body["webhooks"] = [_webhook(hook, app_url, version) for hook in _template()["webhooks"] if _served(hook, version)]
    return body


def _served(hook: dict[str, Any], version: tuple[int, int]) -> bool:
    return hook["asyncEvents"] != ["APP_DELETED"] or version >= _LIFECYCLE_SINCE


def _webhook(hook: dict[str, Any], app_url: str, version: tuple[int, int]) -> dict[str, Any]:
    name = hook["identifier"]
    shaped = {key: value for key, value in hook.items() if key != "identifier" or version >= _IDENTIFIERS_SINCE}
    return shaped | {
        "targetUrl": f"{app_url}/api/webhooks/saleor/{name}",
        "query": document(f"subscriptions/{name}"),
        "isActive": True,
    }
