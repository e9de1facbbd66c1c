"""Whom the app calls at all: it is given URLs by unproven requests and by merchants, so each is checked first.

The URL is checked as text, and the address once more when the connection is made, so that a name that resolves to
something else the second time gains nothing.
"""

import ipaddress
import re
import socket
from dataclasses import dataclass

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

from app.domain.errors import Forbidden, InvalidInput

_PORTS = frozenset({None, 443})
_LONGEST = 255
_LONGEST_ENDPOINT = 2048
_PORT_END = 65536
_FIELD = "Saleor-Api-Url"


# Addresses of version 6 that carry one of version 4: a gateway may lead them into the network behind it.
_CARRIERS = (ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("::/96"))
_LABEL = r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)"
_SERVER = rf"https?://(?P<host>{_LABEL}(?:\.{_LABEL})*|\[[0-9A-Fa-f:.]+\])(?::(?P<port>[0-9]{{1,5}}))?"
_URL = re.compile(rf"{_SERVER}/graphql/")
_ENDPOINT = re.compile(rf"{_SERVER}(?:[/?][A-Za-z0-9\-._~!$&'()*+,;=:@%/?]*)?")


def _private(address: str) -> bool:
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        if any(ip in carrier for carrier in _CARRIERS) or ip.sixtofour or ip.teredo or ip.is_site_local:
            return True
        if ip.ipv4_mapped:
            ip = ip.ipv4_mapped
    return not ip.is_global or ip.is_multicast


@dataclass(frozen=True, slots=True)
class ShopRules:
    """`allowed` holds exact URLs and patterns with `*`; both must match the whole URL."""

    allowed: tuple[str, ...] = ()
    allow_any: bool = False
    allow_private: bool = False

    def check(self, url: str) -> str:
        """The URL as it may be stored and called. Raises InvalidInput for a bad one, Forbidden for one not allowed."""
        found = _URL.fullmatch(url) if len(url) <= _LONGEST else None
        port = int(found["port"]) if found and found["port"] else None
        if found is None or (port is not None and not 0 < port < _PORT_END):
            raise InvalidInput("Saleor-Api-Url is not the plain URL of a Saleor API (…/graphql/)", field=_FIELD)
        host = found["host"].strip("[]").lower()
        if not url.startswith("https:") and not self.allow_private:
            raise InvalidInput("Saleor-Api-Url must start with https://", field=_FIELD)
        if not self._listed(url):
            raise Forbidden("this shop is not in ALLOWED_SALEOR_URLS")
        if not self.allow_private and (port not in _PORTS or _names_private_host(host)):
            raise Forbidden("this address is not allowed: private networks and unusual ports are refused")
        return url

    def _listed(self, url: str) -> bool:
        if self.allow_any:
            return True
        return any(re.fullmatch(_pattern(entry), url) for entry in self.allowed)


def check_endpoint(url: str, *, allow_private: bool) -> None:
    """Whether a merchant's own URL may be called. Raises InvalidInput for a bad one, Forbidden for one not allowed."""
    found = _ENDPOINT.fullmatch(url) if len(url) <= _LONGEST_ENDPOINT else None
    port = int(found["port"]) if found and found["port"] else None
    if found is None or (port is not None and not 0 < port < _PORT_END):
        raise InvalidInput("this is not the plain URL of an endpoint", field="url")
    if allow_private:
        return
    if not url.startswith("https:"):
        raise InvalidInput("the URL of an endpoint must start with https://", field="url")
    if port not in _PORTS or _names_private_host(found["host"].strip("[]").lower()):
        raise Forbidden("this address is not allowed: private networks and unusual ports are refused")


def _pattern(entry: str) -> str:
    """`*` stands for one part of a host name or path, so that a pattern cannot be widened by a slash or a dot."""
    return "[A-Za-z0-9-]+".join(re.escape(part) for part in entry.split("*"))


def _names_private_host(host: str) -> bool:
    if host == "localhost" or host.endswith((".localhost", ".local", ".internal")):
        return True
    try:
        return _private(host)
    except ValueError:
        # Numbers that only look like a name, such as 2130706433 or 0x7f.1, are addresses to the system's resolver.
        return bool(re.fullmatch(r"[0-9a-fx.]+", host)) and not re.search(r"\.[a-z]{2,}$", host)


class GuardedResolver(AbstractResolver):
    """Resolves names for outgoing calls to shops, and refuses what points into a private network."""

    def __init__(self) -> None:
        self._inner = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._inner.resolve(host, port, family)
        if any(_private(it["host"]) for it in found):
            raise OSError(f"{host} resolves to a private address, which is refused")
        return found

    async def close(self) -> None:
        await self._inner.close()
