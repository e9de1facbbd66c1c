"""What the bodies of both versions have in common, and how an answer is read: or not, and what that means.

An answer to a read that cannot be understood changed nothing; one to a write leaves open what happened.
"""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, TypeVar
from urllib.parse import quote

import httpx
from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from app.domain.agreement import AgreementStatus
from app.domain.charge import ChargeStatus
from app.domain.errors import InvalidInput, OutcomeUnknown, Unavailable
from app.domain.money import Money, currency_of
from app.domain.plan import IntervalUnit, Plan
from app.domain.provider import Outcome

T = TypeVar("T")
UNREADABLE = "Vipps' answer cannot be read; the same request is repeated with the same key"
# `due` was seen as a bare date as well as a time (facts: VIPPS 16.14); what knows no zone is UTC.
Instant = Annotated[datetime, AfterValidator(lambda moment: moment if moment.tzinfo else moment.replace(tzinfo=UTC))]
# An agreement without an interval is charged per use, and one of v3 whose interval cannot be read is treated like it.
# The domain wants a plan: a month limits a LEGACY one to five prices a month (FLEXIBLE ones have no limit), and should
# anything ever renew by it, it takes money once a month and not every day.
PER_USE = Plan(IntervalUnit.MONTH, 1)
# Statuses that are ours: whoever wrote them on the wire means something that we do not know.
_OWN_AGREEMENT = {AgreementStatus.NEW, AgreementStatus.REJECTED}
_OWN_CHARGE = {ChargeStatus.NEW, ChargeStatus.REJECTED}
_AGREEMENT_STATUSES = {status.value: status for status in AgreementStatus if status not in _OWN_AGREEMENT}
_CHARGE_STATUSES = {status.value: status for status in ChargeStatus if status not in _OWN_CHARGE}
_COLLECTED = {ChargeStatus.CHARGED, ChargeStatus.PARTIALLY_REFUNDED, ChargeStatus.REFUNDED}


class Wire(BaseModel):
    """Unknown fields are ignored: Vipps calls adding them a compatible change (facts: VIPPS 1.7)."""

    model_config = ConfigDict(extra="ignore", alias_generator=to_camel, populate_by_name=True)


class Drafted(Wire):
    agreement_id: str
    vipps_confirmation_url: str
    charge_id: str | None = None


class Created(Wire):
    charge_id: str


class Owned(Wire):
    """What v3 shows of a charge that is found by its id alone (facts: VIPPS 5.2)."""

    agreement_id: str


class Confirmation(Wire):
    """What v3 shows of a draft and v2 does not (facts: VIPPS 4.3, 5.2)."""

    status: str = ""
    vipps_confirmation_url: str | None = None


def agreement_status(text: str) -> AgreementStatus:
    return _AGREEMENT_STATUSES.get(text, AgreementStatus.UNKNOWN)


def charge_status(text: str) -> ChargeStatus:
    return _CHARGE_STATUSES.get(text, ChargeStatus.UNKNOWN)


def collected(status: ChargeStatus, amount: int) -> int:
    """What was taken where only the status tells: all, or nothing yet."""
    return amount if status in _COLLECTED else 0


def money(minor: int | None, currency: str) -> Money | None:
    return None if minor is None else Money(minor, currency_of(currency))


def short(text: str | None, longest: int) -> str | None:
    """No text of Vipps' is so long today; one that were must not keep a row from being stored."""
    return None if text is None else text[:longest]


def instant(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def step(name: str) -> str:
    """An id as one step of a path. Dots are steps of their own, which no quoting hides from a server."""
    if name.strip(".") == "":
        raise InvalidInput(f"{name!r} is no id", field="id")
    return quote(name, safe="")


def read(parse: Callable[[bytes], T], body: bytes) -> T:
    try:
        return parse(body)
    except (InvalidInput, ValueError):
        raise Unavailable("Vipps' answer cannot be read; nothing was changed by asking") from None


def written(parse: Callable[[bytes], T], response: httpx.Response) -> T:
    try:
        return parse(response.content)
    except ValidationError:
        raise OutcomeUnknown(UNREADABLE) from None


def done(response: httpx.Response) -> Outcome:
    """A write whose answer says nothing more: empty or JSON. A page in its place is no answer."""
    body = response.content.strip()
    if body:
        try:
            json.loads(body)
        except (ValueError, RecursionError):
            raise OutcomeUnknown(UNREADABLE) from None
    return Outcome.ACCEPTED if response.status_code == httpx.codes.ACCEPTED else Outcome.DONE
