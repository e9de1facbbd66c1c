"""What a shop has to sell subscriptions in: its channels, and whether a product is marked as one."""

from collections.abc import Mapping, Sequence
from typing import Any

from app.domain.account import Installation
from app.domain.checkout import INTERVAL_KEY
from app.domain.records import Channel
from app.saleor.calls import SaleorCalls, read

_MOST_CHANNELS = 20  # each is asked for apart, while staff wait


class AssortmentCalls(SaleorCalls):
    """The part of the Shop port that is about channels and products."""

    async def channels(self, installation: Installation) -> Sequence[Channel]:
        data = await self._ask(installation, "queries/channels", {})
        return read(_channels, data, "the shop's list of channels")

    async def subscription_products(self, installation: Installation) -> Sequence[tuple[str, str]]:
        """Products of the first active channel that has some which are marked, themselves or by their variants."""
        active = [it for it in await self.channels(installation) if it.active]
        for channel in active[:_MOST_CHANNELS]:
            variables = {"channel": channel.slug, "key": INTERVAL_KEY}
            data = await self._ask(installation, "queries/subscription-products", variables)
            if found := read(_marked, data, "the shop's list of products"):
                return found
        return []


def _channels(data: Mapping[str, Any]) -> Sequence[Channel]:
    return [Channel(str(it["slug"]), str(it["name"]), it["isActive"] is True) for it in data["channels"]]


def _marked(data: Mapping[str, Any]) -> Sequence[tuple[str, str]]:
    products = [edge["node"] for edge in data["products"]["edges"]]
    variants = [edge["node"] for edge in data["productVariants"]["edges"]]
    return [
        *((str(it["name"]), str(it["metafield"])) for it in products),
        *((str(it["product"]["name"]), str(it["metafield"])) for it in variants),
    ]
