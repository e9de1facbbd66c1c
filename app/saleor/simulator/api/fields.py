"""How a field finds its value: tables of resolvers by type name, one loud error for what is not served."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from graphql import GraphQLResolveInfo

from app.saleor.simulator.identity import ExpiredSignatureError, InvalidTokenError
from app.saleor.simulator.permissions import Requestor
from app.saleor.simulator.pricing import Taxed
from app.saleor.simulator.records import Event
from app.saleor.simulator.site import Site
from app.saleor.simulator.state import Shop

Resolver = Callable[..., Any]  # (source, request, **arguments)
Fields = dict[str, Resolver]


class NotServed(Exception):
    """Valid against the schema, but outside what the simulator knows. Never answered by an invented value."""


@dataclass(frozen=True)
class Request:
    """What every resolver may need: the shop, who asks, and for payloads the event being told."""

    shop: Shop
    site: Site
    caller: Requestor | ExpiredSignatureError | InvalidTokenError
    event: Event | None = None
    may_wait: bool = False  # for apps to answer

    def require_waiting(self) -> None:
        if not self.may_wait:
            raise NotServed("Only `Simulator.answer` waits for apps; payloads and `Simulator.execute` do not.")

    @property
    def requestor(self) -> Requestor:
        """A bad user token is complained about by the first field that needs to know the caller."""
        if isinstance(self.caller, Exception):
            raise self.caller
        return self.caller


class Resolvers:
    """The field resolver of graphql-core, made of tables."""

    def __init__(self, tables: Mapping[str, Fields], event_fields: Fields) -> None:
        self._tables = tables
        self._event_fields = event_fields

    def __call__(self, source: Any, info: GraphQLResolveInfo[Any], **arguments: Any) -> Any:
        if isinstance(source, dict) and info.field_name in source:  # the payload of a mutation, or a connection
            return source[info.field_name]
        table = self._event_fields if isinstance(source, Event) else self._tables.get(info.parent_type.name, {})
        resolver = table.get(info.field_name)
        if resolver is None:
            raise NotServed(f"The simulator does not serve {info.parent_type.name}.{info.field_name}.")
        return resolver(source, info.context, **arguments)


@dataclass(frozen=True)
class Price:
    """An amount for the type Money."""

    amount: Decimal
    currency: str


@dataclass(frozen=True)
class TaxedPrice:
    """An amount for the type TaxedMoney."""

    amount: Taxed
    currency: str


MINOR_DIGITS = 2  # NOK, DKK, SEK and EUR alike

MONEY: Fields = {
    "amount": lambda price, _: float(price.amount),
    "currency": lambda price, _: price.currency,
    "fractionalAmount": lambda price, _: int(price.amount.scaleb(MINOR_DIGITS)),
    "fractionDigits": lambda _price, _: MINOR_DIGITS,
}
TAXED_MONEY: Fields = {
    "currency": lambda price, _: price.currency,
    "gross": lambda price, _: Price(price.amount.gross, price.currency),
    "net": lambda price, _: Price(price.amount.net, price.currency),
    "tax": lambda price, _: Price(price.amount.gross - price.amount.net, price.currency),
}


def plain(attribute: str) -> Resolver:
    """The attribute as it is."""
    return lambda source, _request: getattr(source, attribute)


def moment(attribute: str) -> Resolver:
    return lambda source, _request: iso(getattr(source, attribute))


def always(value: Any) -> Resolver:
    """For what holds for every record of this shop."""
    return lambda _source, _request: value


def iso(at: datetime) -> str:
    return at.isoformat()
