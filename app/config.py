"""Settings from the environment: frozen, without a default for a secret, one readable line for each mistake."""

import re
import sys
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

CommaList = Annotated[tuple[str, ...], NoDecode]
_SHORTEST_KEY = 32
_ORIGIN = re.compile(r"https?://[A-Za-z0-9.-]+(?::[0-9]{1,5})?")


class Settings(BaseSettings):
    """Each field is read from the environment variable of its upper-case name."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)

    app_url: str
    secret_key: CommaList = Field(repr=False)
    database_url: str = ""
    data_dir: str = "data"
    allowed_saleor_urls: CommaList = ()
    allow_any_saleor: bool = False
    dashboard_origins: CommaList = ()
    private_networks: Literal["allow", "deny"] = "deny"
    vipps_test_url: str = "https://apitest.vipps.no"
    vipps_live_url: str = "https://api.vipps.no"
    max_sync_batch: int = Field(default=500, ge=1, le=5000)
    vipps_concurrency: int = Field(default=32, ge=1, le=200)
    vipps_charges_per_minute: int = Field(default=500, ge=1)  # facts: VIPPS 10
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["console", "json"] = "console"

    @field_validator("secret_key", "allowed_saleor_urls", "dashboard_origins", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("secret_key")
    @classmethod
    def _long_keys(cls, keys: tuple[str, ...]) -> tuple[str, ...]:
        if not keys or any(len(key) < _SHORTEST_KEY for key in keys):
            raise ValueError(
                f"each key needs at least {_SHORTEST_KEY} random characters, for example: openssl rand -hex 32"
            )
        return keys

    @field_validator("dashboard_origins")
    @classmethod
    def _origins(cls, entries: tuple[str, ...]) -> tuple[str, ...]:
        if not all(_ORIGIN.fullmatch(entry.rpartition("=")[2]) for entry in entries):
            raise ValueError("each is https://host, or one shop's API URL and that: https://…/graphql/=https://host")
        return entries

    @field_validator("app_url", "vipps_test_url", "vipps_live_url")
    @classmethod
    def _absolute(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
            raise ValueError("must be an absolute http(s) URL without query")
        return url.rstrip("/")

    @field_validator("database_url")
    @classmethod
    def _driver(cls, url: str) -> str:
        if url and not url.startswith(("sqlite+aiosqlite:///", "postgresql+asyncpg://")):
            raise ValueError("must start with sqlite+aiosqlite:/// or postgresql+asyncpg://")
        try:
            _ = urlsplit(url).port
        except ValueError:
            # The port is then a part of the password, which is not shown.
            raise ValueError("cannot be read; in the password, write / as %2F, # as %23, ? as %3F, @ as %40") from None
        return url

    @property
    def database(self) -> str:
        return self.database_url or f"sqlite+aiosqlite:///{Path(self.data_dir) / 'vipps-recurring.sqlite3'}"


def mistakes(error: ValidationError) -> list[str]:
    """One line per mistake, without the value: it may be a secret."""
    lines = []
    for it in error.errors(include_input=False, include_url=False):
        name = str(it["loc"][0]).upper() if it["loc"] else "settings"
        lines.append(f"{name}: {'is not set' if it['type'] == 'missing' else it['msg'].removeprefix('Value error, ')}")
    return lines


def load() -> Settings:
    """The settings, or a line per mistake on standard error and exit code 1."""
    try:
        return Settings()
    except ValidationError as error:
        for line in mistakes(error):
            print(line, file=sys.stderr)  # noqa: T201
        raise SystemExit(1) from None
