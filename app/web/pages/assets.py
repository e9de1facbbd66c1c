"""Style sheet, script and pictures, under addresses that change with what is in them, so that they may be kept."""

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import Response

STATIC = Path(__file__).parent / "static"
TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
_FOREVER = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class Asset:
    name: str
    content: bytes
    digest: str

    @property
    def path(self) -> str:
        return f"/static/{self.digest}/{self.name}"

    @property
    def content_type(self) -> str:
        return TYPES[Path(self.name).suffix]


@cache
def assets() -> dict[str, Asset]:
    """Every file by its name; they are few and small, and do not change while a process lives."""
    found = {path.name: path.read_bytes() for path in sorted(STATIC.iterdir()) if path.suffix in TYPES}
    return {name: Asset(name, content, hashlib.sha256(content).hexdigest()[:16]) for name, content in found.items()}


def router() -> APIRouter:
    routes = APIRouter()

    @routes.get("/static/{digest}/{name}")
    async def serve(digest: str, name: str) -> Response:
        """While two versions of the app run side by side, a page of one may ask the other: it gets what there is."""
        asset = assets().get(name)
        if asset is None:
            return Response(status_code=404)
        headers = {
            "Cache-Control": _FOREVER if digest == asset.digest else "no-store",
            "X-Content-Type-Options": "nosniff",
        }
        return Response(asset.content, media_type=asset.content_type, headers=headers)

    return routes
