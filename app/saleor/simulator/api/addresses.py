"""Addresses as mutations are given them, checked and written as Saleor does."""

import re
from typing import Any

from app.saleor.simulator.api.fields import Request
from app.saleor.simulator.api.inputs import metadata_of
from app.saleor.simulator.input_errors import InputError
from app.saleor.simulator.models import Address

_FIELDS = {
    "firstName": "first_name",
    "lastName": "last_name",
    "companyName": "company_name",
    "streetAddress1": "street_address_1",
    "streetAddress2": "street_address_2",
    "city": "city",
    "cityArea": "city_area",
    "postalCode": "postal_code",
    "country": "country",
    "countryArea": "country_area",
    "phone": "phone",
}
_REQUIRED = ("country", "streetAddress1", "city", "postalCode")
_POSTAL_CODES = {"NO": r"\d{4}", "DK": r"\d{4}", "SE": r"\d{3} ?\d{2}", "FI": r"\d{5}"}


def address_of(request: Request, given: dict[str, Any] | None, kind: str) -> Address | None:
    """`kind` is BILLING or SHIPPING. Cities are written in capitals."""
    if given is None:
        return None
    if not given.get("skipValidation"):
        _check(given, kind)
    values = {_FIELDS[name]: value.strip() for name, value in given.items() if name in _FIELDS and value is not None}
    values["city"] = values.get("city", "").upper()
    return Address(
        number=request.shop.next_number("Address"),
        metadata=metadata_of(given.get("metadata"), "metadata", "REQUIRED"),
        **values,
    )


def _check(given: dict[str, Any], kind: str) -> None:
    for name in _REQUIRED:
        if not (given.get(name) or "").strip():
            raise InputError(name, "REQUIRED", "This field is required.", address_type=kind)
    pattern = _POSTAL_CODES.get(given["country"])
    if pattern and not re.fullmatch(pattern, given["postalCode"].strip()):
        text = "This value is not valid for the address."
        raise InputError("postalCode", "INVALID", text, address_type=kind)
