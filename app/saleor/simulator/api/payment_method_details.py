"""How a transaction was paid: as a card, a gift card or otherwise (from 3.22 on)."""

from typing import Any

from app.saleor.simulator.api.fields import Fields, always, plain
from app.saleor.simulator.input_errors import InputError
from app.saleor.simulator.transaction_models import (
    CardPaymentMethodDetails,
    GiftCardPaymentMethodDetails,
    OtherPaymentMethodDetails,
    PaymentMethodDetails,
)

Input = dict[str, Any]
_LIMITS = {"name": 256, "brand": 40, "firstDigits": 4, "lastDigits": 4, "lastChars": 4}
_MONTHS = range(1, 13)
_YEARS = range(2000, 10_000)


def method_of(given: Input | None) -> PaymentMethodDetails | None:
    if not given:
        return None
    kinds = [kind for kind in ("card", "other", "giftCard") if given.get(kind)]
    if len(kinds) != 1:
        raise InputError("paymentMethodDetails", "INVALID", "Give exactly one kind of payment method details.")
    details = given[kinds[0]]
    _check(details)
    match kinds[0]:
        case "card":
            return CardPaymentMethodDetails(
                details["name"],
                details.get("brand"),
                details.get("firstDigits"),
                details.get("lastDigits"),
                details.get("expMonth"),
                details.get("expYear"),
            )
        case "giftCard":
            return GiftCardPaymentMethodDetails(details["name"], details.get("brand"), details.get("lastChars"))
        case _:
            return OtherPaymentMethodDetails(details["name"])


def _check(details: Input) -> None:
    too_long = [name for name, limit in _LIMITS.items() if len(details.get(name) or "") > limit]
    month, year = details.get("expMonth"), details.get("expYear")
    if too_long or (month is not None and month not in _MONTHS) or (year is not None and year not in _YEARS):
        raise InputError("paymentMethodDetails", "INVALID", "A value is too long or out of range.")


CARD: Fields = {
    "name": plain("name"),
    "brand": plain("brand"),
    "firstDigits": plain("first_digits"),
    "lastDigits": plain("last_digits"),
    "expMonth": plain("exp_month"),
    "expYear": plain("exp_year"),
}
OTHER: Fields = {"name": plain("name")}
GIFT_CARD: Fields = {
    "name": plain("name"),
    "brand": plain("brand"),
    "lastChars": plain("last_chars"),
    "isSaleorGiftcard": always(False),  # noqa: FBT003 - the value of a field
}
