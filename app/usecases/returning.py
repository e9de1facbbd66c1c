"""A customer comes back from Vipps: that proves nothing, so the outcome is waited for, and told to the shop."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import assert_never
from urllib.parse import quote, urlsplit

from app.domain.agreement import Agreement, AgreementStatus
from app.domain.errors import NotFound
from app.usecases.ports import Deps

_FORWARDED_FOR = timedelta(hours=1)


class Outcome(StrEnum):
    """OVER was approved once and is stopped by now; FAILED never became an agreement."""

    WAITING = "WAITING"
    APPROVED = "APPROVED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"
    FAILED = "FAILED"
    OVER = "OVER"


@dataclass(frozen=True, slots=True)
class Return:
    """`onward` is the shop's own address with the outcome in its query; `fresh` says that it is opened without asking.

    Whoever begins a checkout chooses that address, so an old link of ours sends nobody there: the page says where to.
    """

    outcome: Outcome
    product: str
    shop_name: str | None
    onward: str | None
    fresh: bool


async def returned(deps: Deps, row_id: str) -> Return:
    """How it stands by our own rows, which jobs and webhooks keep up with Vipps while a draft lives."""
    async with deps.store.begin() as unit:
        row = await unit.agreements.anywhere(row_id)
        if row is None:
            raise NotFound("this link is not valid")
        installation = await unit.installations.get(row.shop)
    fresh = deps.clock() < row.created_at + _FORWARDED_FOR
    return Return(
        _outcome(row), row.product_name, installation.shop_name if installation else None, _onward(row), fresh
    )


def _outcome(row: Agreement) -> Outcome:
    match row.status:
        case AgreementStatus.NEW | AgreementStatus.PENDING | AgreementStatus.UNKNOWN:
            return Outcome.WAITING
        case AgreementStatus.ACTIVE:
            return Outcome.APPROVED
        case AgreementStatus.STOPPED:
            return Outcome.REJECTED if row.start is None else Outcome.OVER
        case AgreementStatus.EXPIRED:
            return Outcome.EXPIRED
        case AgreementStatus.REJECTED:
            return Outcome.FAILED
    assert_never(row.status)


def _onward(row: Agreement) -> str | None:
    if row.return_url is None:
        return None
    parts = urlsplit(row.return_url)
    told = f"agreement={quote(row.agreement_id or row.id, safe='')}&status={row.status}"
    return parts._replace(query="&".join(part for part in (parts.query, told) if part)).geturl()
