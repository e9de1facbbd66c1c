"""Orders by words, as Saleor's full text search finds them: whole words, without regard to case, each of them there."""

import re
from collections.abc import Iterator

from app.saleor.simulator.models import Address, Order

_WORD = re.compile(r"[\w.+-]+@[\w.-]+\w|\+?\w+")
_TYPED = re.compile(r'(-?)(?:"([^"]*)"?|(\S+))')


def like(order: Order, text: str) -> bool:
    """OR parts alternatives, a hyphen before a word excludes it. Words in quotes need not stand together here."""
    words = {word for part in _texts(order) for word in _words(part)}
    return any(_fits(words, alternative) for alternative in re.split(r"(?i:\bOR\b)", text))


def _fits(words: set[str], alternative: str) -> bool:
    typed = [(bool(no), _words(phrase or word)) for no, phrase, word in _TYPED.findall(alternative)]
    return any(wanted for _, wanted in typed) and all((wanted <= words) is not no for no, wanted in typed if wanted)


def _words(text: str) -> set[str]:
    return {word.lower() for word in _WORD.findall(text)}


def _texts(order: Order) -> Iterator[str]:
    yield from (str(order.number), order.id, order.email, order.customer_note, order.external_reference or "")
    if order.user:
        yield from (order.user.email, order.user.first_name, order.user.last_name)
    for address in (order.billing_address, order.shipping_address):
        yield from _of_address(address) if address else ()
    for line in order.lines:
        yield from (line.product_name, line.variant_name, line.variant.sku if line.variant else "")
    for transaction in order.transactions:
        yield from (transaction.id, transaction.psp_reference or "")
        yield from (event.psp_reference or "" for event in transaction.events)
    yield from (event.message or "" for event in order.events)


def _of_address(address: Address) -> Iterator[str]:
    yield from (address.first_name, address.last_name, address.company_name, address.phone)
    yield from (address.street_address_1, address.street_address_2, address.city, address.city_area)
    yield from (address.postal_code, address.country, address.country_area)
