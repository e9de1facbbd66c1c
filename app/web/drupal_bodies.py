"""Bodies of the documented REST operations, read strictly and written as the module writes them."""

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, TypeVar

from app.domain.agreement import Campaign
from app.domain.charge import SeenCharge
from app.domain.errors import InvalidInput, RecurringError
from app.domain.operation import OperationKind
from app.domain.provider import SeenAgreement
from app.usecases.batches import Malformed
from app.usecases.charges import ChargeMake
from app.usecases.money_moves import ChargeMove
from app.web.answers import WrongType

T = TypeVar("T")
_LONGEST_NUMBER = 20  # digits of a price that comes as text


class _NotJson(str):
    """NaN and the infinities are no JSON but Python reads them: the item that holds one gets the error."""

    __slots__ = ()


def parse(content_type: str | None, body: bytes) -> Any:
    kind = (content_type or "application/json").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise WrongType(f"Content-Type is {kind:.60}; send application/json")
    try:
        return json.loads(body, parse_float=Decimal, parse_constant=_NotJson)
    except (ValueError, RecursionError):
        raise InvalidInput("the body is not JSON that can be read") from None


def one_text(body: Any) -> str:
    if not isinstance(body, str) or isinstance(body, _NotJson):
        raise InvalidInput('the body is one agreement id as a JSON string, for example "agr_UVUFcx3"')
    return body


def texts(body: Any) -> list[str | Malformed]:
    return [_text_or_bad(item, index) for index, item in enumerate(_array(body))]


def agreement_ids(body: Any) -> list[str | Malformed]:
    return _each(body, "agreement_id", lambda fields: fields.text("agreement_id"))


def charges_to_make(body: Any, key: str | None) -> list[ChargeMake | Malformed]:
    return _each(body, "agreement_id", lambda fields: _make(fields, key))


def moves(kind: OperationKind, body: Any, key: str | None) -> list[ChargeMove | Malformed]:
    return _each(body, "charge_id", lambda fields: _move(kind, fields, key))


def _array(body: Any) -> Sequence[Any]:
    if not isinstance(body, list):
        raise InvalidInput("the body is a JSON array of items")
    return body


def _text_or_bad(item: object, index: int) -> str | Malformed:
    if isinstance(item, str) and not isinstance(item, _NotJson):
        return item
    return Malformed(f"item {index}", InvalidInput("an agreement id is a text, for example agr_UVUFcx3"))


class _Fields:
    """One item's fields: what has the wrong type is named, never guessed."""

    def __init__(self, item: dict[str, Any], index: int) -> None:
        self._item = item
        self.index = index

    def text(self, name: str) -> str:
        value = self._item.get(name)
        if not isinstance(value, str) or isinstance(value, _NotJson) or not value:
            raise InvalidInput(f"{name} is required and is a text", field=name)
        return value

    def optional_text(self, name: str) -> str | None:
        return None if self._item.get(name) in (None, "") else self.text(name)

    def minor(self, name: str) -> int:
        """An integer or a text of digits, in minor units."""
        value = self._item.get(name)
        if isinstance(value, str) and len(value) <= _LONGEST_NUMBER and value.isascii() and value.isdigit():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise InvalidInput(f"{name} is a whole number of minor units, for example 25000 for 250.00", field=name)
        return value

    def key(self, header: str | None) -> str | None:
        """One Idempotency-Key header covers a whole batch: each item has its place in it."""
        return f"{header}/{self.index}" if header else None


def _each(body: Any, name: str, read: Callable[[_Fields], T]) -> list[T | Malformed]:
    """Every item read by `read`; one that cannot be is answered under the id it has at `name`, or under its place."""
    found: list[T | Malformed] = []
    for index, item in enumerate(_array(body)):
        if not isinstance(item, dict):
            found.append(Malformed(f"item {index}", InvalidInput("an item is a JSON object")))
            continue
        try:
            found.append(read(_Fields(item, index)))
        except RecurringError as error:
            named = item.get(name)
            found.append(Malformed(named if isinstance(named, str) and named else f"item {index}", error))
    return found


def _make(fields: _Fields, key: str | None) -> ChargeMake:
    return ChargeMake(
        agreement_id=fields.text("agreement_id"),
        price=fields.minor("price"),
        description=fields.optional_text("description"),
        order_id=fields.optional_text("charge_id"),
        idempotency_key=fields.key(key),
    )


def _move(kind: OperationKind, fields: _Fields, key: str | None) -> ChargeMove:
    """A cancel's price and description are documented and mean nothing."""
    refund = kind is OperationKind.REFUND
    return ChargeMove(
        kind=kind,
        agreement_id=fields.text("agreement_id"),
        charge_id=fields.text("charge_id"),
        price=fields.minor("price") if refund else None,
        description=fields.text("description") if refund else "",
        idempotency_key=fields.key(key),
    )


def charge_list(seen: Sequence[SeenCharge]) -> str:
    """The module encodes each agreement's list twice; so do we."""
    return json.dumps([charge(it) for it in seen], separators=(",", ":"))


def charge(seen: SeenCharge) -> dict[str, Any]:
    """A v2 charge, whatever version the account speaks."""
    body: dict[str, Any] = {
        "id": seen.charge_id,
        "status": seen.status.value,
        "due": _instant(seen.due),
        "amount": seen.amount,
        "amountRefunded": seen.refunded,
        "transactionId": seen.transaction_id,
        "description": seen.description,
        "type": seen.kind,
    }
    if seen.failure_reason:
        body |= {"failureReason": seen.failure_reason, "failureDescription": seen.failure_text}
    return body


def agreement(seen: SeenAgreement) -> dict[str, Any]:
    """A v2 agreement, whatever version the account speaks."""
    return {
        "id": seen.agreement_id,
        "start": _instant(seen.start),
        "stop": _instant(seen.stop),
        "status": seen.status.value,
        "productName": seen.product_name,
        "price": seen.price.minor,
        "productDescription": seen.product_description,
        "interval": seen.plan.unit.value,
        "intervalCount": seen.plan.count,
        "currency": seen.price.currency.value,
        "campaign": _campaign(seen.campaign),
        "variableAmount": _variable(seen),
        "merchantAgreementUrl": seen.agreement_url,
        "sub": seen.sub,
        "userinfoUrl": seen.userinfo_url,
    }


def _campaign(it: Campaign | None) -> dict[str, Any] | None:
    if it is None:
        return None
    return {"campaignPrice": it.price.minor, "start": _instant(it.start), "end": _instant(it.end)}


def _variable(seen: SeenAgreement) -> dict[str, Any] | None:
    if seen.suggested_max is None and seen.max_amount is None:
        return None
    return {
        "suggestedMaxAmount": seen.suggested_max.minor if seen.suggested_max else None,
        "maxAmount": seen.max_amount.minor if seen.max_amount else None,
    }


def _instant(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z") if moment else None
