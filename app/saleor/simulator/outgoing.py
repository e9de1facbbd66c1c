"""Requests that leave the shop: headers in the order of the recorded ones, short timeouts, no redirects."""

import json
import ssl
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import httpx

from app.saleor.simulator.site import Site

ClientFactory = Callable[[], httpx.AsyncClient]
Headers = Sequence[tuple[str, str]]

TIMEOUT = httpx.Timeout(18, connect=2)


@cache
def _tls() -> ssl.SSLContext:
    return httpx.create_ssl_context(trust_env=False)


def default_client() -> httpx.AsyncClient:
    return httpx.AsyncClient(verify=_tls(), trust_env=False)


def to_json(content: Any) -> bytes:
    """JSON with ", " and ": " between, as Saleor writes it; non-ASCII letters are escaped."""
    return json.dumps(content).encode()


async def send(
    client: httpx.AsyncClient, site: Site, method: str, url: str, headers: Headers, *, body: bytes | None = None
) -> httpx.Response:
    target = httpx.URL(url)
    first = [
        ("Host", target.netloc.decode()),
        ("User-Agent", site.user_agent),
        ("Accept-Encoding", "gzip, deflate"),
        ("Accept", "*/*"),
        ("Connection", "keep-alive"),
    ]
    last = [] if body is None else [("Content-Length", str(len(body)))]
    request = httpx.Request(
        method, target, headers=[*first, *headers, *last], content=body, extensions={"timeout": TIMEOUT.as_dict()}
    )
    return await client.send(request, auth=None, follow_redirects=False)
