"""Where a shop lives and which Saleor it runs."""

from dataclasses import dataclass
from urllib.parse import urlsplit

# The patch releases whose behaviour was studied; any other minor version reports patch 0.
PATCHES = {"3.20": "3.20.119", "3.21": "3.21.69", "3.22": "3.22.67", "3.23": "3.23.28"}


@dataclass(frozen=True)
class Site:
    """`api_url` is the whole GraphQL address, as Saleor-Api-Url and the `iss` claim have it."""

    api_url: str
    version: str = "3.23"

    @property
    def schema_version(self) -> str:
        return ".".join(self.version.split(".")[:2])

    @property
    def number(self) -> tuple[int, int]:
        major, minor = self.schema_version.split(".")
        return int(major), int(minor)

    @property
    def full_version(self) -> str:
        if self.version.count(".") > 1:
            return self.version
        return PATCHES.get(self.version, f"{self.version}.0")

    @property
    def domain(self) -> str:
        return urlsplit(self.api_url).netloc

    @property
    def uses_ssl(self) -> bool:
        return urlsplit(self.api_url).scheme == "https"

    @property
    def url(self) -> str:
        return f"{urlsplit(self.api_url).scheme}://{self.domain}/"

    @property
    def user_agent(self) -> str:
        return f"Saleor/{self.schema_version}"
