"""What is wrong with a manifest, in the words of Saleor's AppError."""

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Problem:
    """`code` is one of AppErrorCode."""

    field: str
    code: str
    message: str


@dataclass
class Problems:
    """Collects; every check of a manifest adds to it and none stops at the first."""

    found: list[Problem] = field(default_factory=list)

    def add(self, name: str, code: str, message: str) -> None:
        self.found.append(Problem(name, code, message))

    def check_length(self, name: str, value: Any, limit: int) -> None:
        if isinstance(value, str) and len(value) > limit:
            self.add(name, "INVALID", f"At most {limit} characters are allowed; this has {len(value)}.")

    def check_url(self, name: str, value: Any, schemes: tuple[str, ...] = ("http", "https"), limit: int = 200) -> None:
        if not isinstance(value, str) or not is_url(value, schemes):
            self.add(name, "INVALID_URL_FORMAT", "Enter a valid URL.")
        self.check_length(name, value, limit)


def is_url(value: str, schemes: tuple[str, ...] = ("http", "https")) -> bool:
    parts = urlsplit(value)
    return parts.scheme in schemes and bool(parts.hostname) and " " not in value
